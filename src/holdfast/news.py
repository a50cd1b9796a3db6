"""What is recorded, as it is recorded: the events of a journal's records after a place, in the order of the journal.

A place is told by each event's `seq`: "<segment>.<line>.<number of the event in its record>.<end of the record's id>", and behind
a comma, "<segment>.<line>" for each other segment that was still being written: how far that one was told. Who comes back with the
last one that it saw gets what came after it, each event once. Lines keep their numbers when a segment is rewritten
(`holdfast forget`, for example).
"""

from __future__ import annotations

import os
import re
import time
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import BlobDamaged, NotFound, UsageError
from holdfast.journal import format as fmt
from holdfast.journal import reader, segments
from holdfast.journal.format import SEGMENT_SOURCE, Position, is_tombstone
from holdfast.monitor.notice import Notices
from holdfast.store import asking, bodies, lock
from holdfast.store.project import FILE_SOURCE, start_of, translated
from holdfast.transfer.outgoing import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from holdfast.events import Event
    from holdfast.home import Home
    from holdfast.store.project import Translator

_ID_END = 12  # digits of a record's id in a `seq`
_SEQ = re.compile(
    rf"(\d{{1,9}})\.(\d{{1,12}})\.(\d{{1,9}})\.([0-9a-f]{{{_ID_END}}})((?:,\d{{1,9}}\.\d{{1,12}}){{0,1000}})\Z"
)
_BATCH_EVENTS = 200
_ALL = 2**62  # more than any segment holds


class News(NamedTuple):
    """One event, where it stands, and when its record was received (UTC microseconds)."""

    seq: str
    received_us: int
    event: Event


class _Place(NamedTuple):
    """How far a segment was read: bytes, and lines."""

    offset_bytes: int
    lines: int


class Subscription:
    """Reads a journal as it grows.

    Args:
        journal, blob_directory: where records and large bodies are.
        translators: one for each source.
        paths: of source files by their id, as far as they were declared before the first record that is read.
        text_chars: how much of a long text is kept at least.
    """

    def __init__(
        self,
        journal: Path,
        blob_directory: Path,
        translators: Mapping[str, Translator],
        paths: Mapping[str, str | None],
        text_chars: int,
    ) -> None:
        self._journal = journal
        self._blobs = blob_directory
        self._translators = translators
        self._paths = dict(paths)
        self._text_chars = text_chars
        self._read: dict[int, _Place] = {}  # of segments that grow, or were not read to their end
        self._done: set[int] = set()  # sealed, and read to their end
        self._skip: tuple[int, int] | None = None  # segment, and how many events of its next record were told

    # ── where to begin ──

    def from_now(self) -> None:
        """Begin behind everything that stands in the journal."""
        self._done = set(segments.sealed_numbers(self._journal))
        for number in set(segments.numbers(self._journal)) - self._done:
            starts = list(reader.line_starts(self._journal, number))
            self._read[number] = _Place(starts[-1], len(starts) - 1)

    def from_seq(self, seq: str) -> None:
        """Begin behind an event.

        Raises:
            UsageError: that is no `seq`.
            NotFound: it is none of this journal.
        """
        found = _SEQ.match(seq)
        if found is None:
            raise UsageError(
                f"{seq[:60]!r} is no place in a journal", hint="give the `seq` of an event, as it was told"
            )
        segment, line, event, id_end = int(found[1]), int(found[2]), int(found[3]), found[4]
        lines = {}
        for other in filter(None, found[5].split(",")):
            number, _, told = other.partition(".")
            lines[int(number)] = int(told)
        self._read = {number: self._place(number, told, seq) for number, told in lines.items()}
        self._read[segment] = self._place(segment, line + 1, seq)  # it must stand there whole
        self._read[segment] = self._place(segment, line, seq)
        self._check(segment, self._read[segment].offset_bytes, id_end, seq)
        newest = max(self._read)
        self._done = {number for number in segments.numbers(self._journal) if number < newest} - set(
            self._read
        )
        self._skip = segment, event + 1

    def _place(self, number: int, lines: int, seq: str) -> _Place:
        """Behind so many lines."""
        for at, start in enumerate(reader.line_starts(self._journal, number)):
            if at == lines:
                return _Place(start, lines)
        raise _none_of_this_journal(seq)

    def _check(self, number: int, start: int, id_end: str, seq: str) -> None:
        """Whether the record stands there, or what is left of it after it was forgotten."""
        try:
            record = reader.record_at(self._journal, number, start)
        except (fmt.Damaged, fmt.Newer):
            return  # what is damaged is no other's
        if not record.id.endswith(id_end) and not is_tombstone(record):
            raise _none_of_this_journal(seq)

    # ── reading on ──

    def batches(self) -> Iterator[list[News]]:
        """What is new since the last time, some at once."""
        new = self.poll()
        while batch := list(islice(new, _BATCH_EVENTS)):
            yield batch

    def poll(self) -> Iterator[News]:
        """What is new since the last time."""
        sealed = set(segments.sealed_numbers(self._journal))
        for number in sealed & self._read.keys():  # it may have been rewritten since it was sealed
            self._read[number] = self._again(number, self._read[number])
        after = {number: place.offset_bytes for number, place in self._read.items()}
        for item in reader.read(self._journal, after | dict.fromkeys(self._done, _ALL)):
            before = self._read.get(item.segment, _Place(0, 0))
            line = before.lines + item.start - before.offset_bytes  # an empty line is one byte
            self._read[item.segment] = _Place(item.end, line + 1)
            if isinstance(item, reader.Found):
                yield from self._news(item, line)
        self._done |= sealed
        for number in sealed:
            self._read.pop(number, None)

    def _again(self, number: int, place: _Place) -> _Place:
        end = place
        for line, start in enumerate(reader.line_starts(self._journal, number)):
            end = _Place(start, line)
            if line == place.lines:
                break
        return end

    def _news(self, item: reader.Found, line: int) -> Iterator[News]:
        told = 0
        if self._skip is not None and self._skip[0] == item.segment:
            told, self._skip = self._skip[1], None
        others = "".join(
            f",{number}.{place.lines}"
            for number, place in sorted(self._read.items())
            if number != item.segment
        )
        for number, event in enumerate(self._events(item)):
            if number >= told:
                seq = f"{item.segment}.{line}.{number}.{item.record.id[-_ID_END:]}{others}"
                yield News(seq, item.record.t, event)

    def _events(self, item: reader.Found) -> list[Event]:
        record = item.record
        if record.s == FILE_SOURCE and (told := declared(record.body_bytes() or b"")) is not None:
            self._paths[told[0]] = told[1]
        translator = self._translators.get(record.s)
        if translator is None or record.s == SEGMENT_SOURCE or is_tombstone(record):
            return []
        try:
            body = bodies.read(record, self._blobs, self._text_chars)
        except BlobDamaged:
            return []  # `holdfast doctor` tells of it
        path = self._path(record.p)
        return translated(translator, record, body, path, start_of(record, item.segment, item.start)).events

    def _path(self, position: Position | None) -> str | None:
        return self._paths.get(position.file) if position else None


def _none_of_this_journal(seq: str) -> NotFound:
    return NotFound(
        f"no record of this home stands at {seq[:60]}",
        hint="it is a place in another home, or in what was lost; begin without --after, and look at `holdfast timeline`",
    )


# ── following ──

_LOOK_EVERY_S = 10.0  # at all sources, also where the system tells of changes
_GAP_S = 0.2  # between two looks at the sources
_MOST_GAP_S = 2.0
_SHARE = 0.05  # of a core, for looking where the system tells nothing
_ANSWER_WAIT_S = 2.0


class Follower:
    """What is recorded from now on, as it comes.

    While no service keeps the home caught up, sources are looked at when they seem to have changed.

    Args:
        home: the home.
        subscription: where to begin.
        catch_up: looks at the sources.
        unanswered: called when a service holds the home and does not answer.
    """

    def __init__(
        self,
        home: Home,
        subscription: Subscription,
        catch_up: Callable[[], object],
        unanswered: Callable[[lock.Holder], object],
    ) -> None:
        self._home = home
        self._subscription = subscription
        self._catch_up = catch_up
        self._unanswered = unanswered
        self._looked_s = float("-inf")
        self._gap_s = _GAP_S

    def batches(self) -> Iterator[list[News]]:
        """Some events at once; it ends never by itself."""
        home = self._home
        journal = os.path.realpath(home.journal)
        watched = (*home.looked_for(), home.registry_directory, home.inbox, home.journal)
        with Notices([path.resolve() for path in watched]) as notices:
            pending = True
            while True:
                changed = notices.wait(_GAP_S if pending or not notices.is_complete else _LOOK_EVERY_S)
                pending = pending or changed is None or bool(changed - {journal})
                waited_s = time.monotonic() - self._looked_s
                if waited_s >= (self._gap_s if pending else _LOOK_EVERY_S):
                    self._look(every=waited_s >= _LOOK_EVERY_S)
                    pending = False
                yield from self._subscription.batches()

    def _look(self, *, every: bool) -> None:
        began_s = time.monotonic()
        holder = lock.holder(self._home.path)
        if holder is None or not holder.serves:
            self._catch_up()
            self._gap_s = min(max(_GAP_S, (time.monotonic() - began_s) / _SHARE), _MOST_GAP_S)
        elif every and asking.ask(self._home.path, "status", _ANSWER_WAIT_S) is None:
            self._unanswered(holder)
        self._looked_s = time.monotonic()
