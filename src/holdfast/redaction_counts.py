"""Count what was taken out of the recorded history: each record says it of itself (member `r`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from holdfast import premises, redact
from holdfast.journal import format as fmt
from holdfast.journal import reader, segments

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.home import Home

UNCHECKED = "unchecked"


@dataclass(slots=True)
class Tally:
    """How many records something was taken out of, and in how many places."""

    records: int = 0
    places: int = 0

    def add(self, places: int) -> None:
        self.records += 1
        self.places += places


@dataclass(slots=True)
class Counts:
    """What was taken out.

    Attributes:
        records: records that were read.
        changed: of how many of them something was taken out, and in how many places, without what is unchecked.
        kinds, sources: the same by kind of secret, and by source.
        unchecked: fields that were taken out whole, because they could not be looked at in time.
        unknown: records that were written before anything was taken out, and not cleaned since.
        damaged: ranges of the journal that could not be read.
    """

    records: int = 0
    changed: Tally = field(default_factory=Tally)
    kinds: dict[str, Tally] = field(default_factory=dict)
    sources: dict[str, Tally] = field(default_factory=dict)
    unchecked: Tally = field(default_factory=Tally)
    unknown: int = 0
    damaged: int = 0


class _Opening(msgspec.Struct):
    redaction: int = 0


def count(home: Home, report: Callable[[int], None] = lambda _: None) -> Counts:
    """Read the whole journal and count.

    Args:
        home: the home.
        report: called with the number of bytes read so far.
    """
    out = Counts()
    clean = premises.level(home.path) >= redact.LEVEL > 0
    seen: set[str] = set()
    done = 0
    for number in segments.numbers(home.journal):
        known, end = clean, 0
        for item in reader.read_segment(home.journal, number):
            end = item.end
            report(done + end)
            if isinstance(item, reader.Damage):
                out.damaged += 1
            elif item.record.s == fmt.SEGMENT_SOURCE:
                out.records += 1
                known = clean or _level(item.record) > 0
            else:
                _add(out, item.record, seen, known=known)
        done += end
    return out


def _level(record: fmt.Record) -> int:
    """What stood at the door of the writer that opened a segment."""
    try:
        return msgspec.json.decode(record.body_bytes() or b"{}", type=_Opening).redaction
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


def _add(out: Counts, record: fmt.Record, seen: set[str], *, known: bool) -> None:
    out.records += 1
    if not record.r:
        out.unknown += not known
        return
    if record.id in seen:  # appended again: the same record
        return
    seen.add(record.id)
    taken = Counter(record.r)
    if unchecked := taken.pop(UNCHECKED, 0):
        out.unchecked.add(unchecked)
    if places := taken.total():
        out.changed.add(places)
        out.sources.setdefault(record.s, Tally()).add(places)
    for kind, number in taken.items():
        out.kinds.setdefault(kind, Tally()).add(number)
