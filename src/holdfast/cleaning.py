"""Take secrets out of what is stored already: every record passes the door of today, and what comes out otherwise is written anew.

Records in which nothing is found stay byte for byte as they are. Of what was understood in bodies that are gone, the texts pass the
door. A second run finds nothing, unless the rules changed meanwhile.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from holdfast import premises, redact, rewriting
from holdfast.errors import BlobDamaged, SegmentHeld
from holdfast.events import codec
from holdfast.failpoints import failpoint
from holdfast.journal import blobs, reader, segments, verify
from holdfast.journal import format as fmt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from holdfast.home import Home
    from holdfast.journal.format import BlobRef, Record, Removed

WHY = "redacted"
_WHOLE_LIMIT_BYTES = 1 << 20  # as where bodies come in: what is longer passes the door in a stream
_HINT = "what was cleaned stays so; `holdfast redact apply` goes on"


@dataclass(slots=True)
class Found:
    """What is to be taken out.

    Attributes:
        records: how many would change; `kinds`: how many places of each kind are in them.
        looked_at: how many records were read.
        unreadable: names of blobs that cannot be read, so that nobody knows what is in them.
        segments: where those records stand.
        blobs: names of those that records name, as far as records can be read.
        nameless_blobs: how many blobs with such things no record names; a run that was cut short left them.
    """

    records: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    looked_at: int = 0
    unreadable: set[str] = field(default_factory=set)
    segments: set[int] = field(default_factory=set)
    blobs: set[str] = field(default_factory=set)
    nameless_blobs: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done: `level_before` is the redaction level that the home's mark says, `level` that of this version."""

    found: Found
    level_before: int
    level: int


@dataclass(frozen=True, slots=True)
class Done:
    """What was done; sizes in bytes. `anchor` stands for the journal as it is now."""

    records: int
    kinds: dict[str, int]
    segments: int
    blob_bytes: int
    copies_bytes: int
    anchor: str | None


def plan(home: Home, report: Callable[[int], None] = lambda _: None) -> Plan:
    """Look through everything that is stored; changes nothing.

    Raises:
        RewriteRefused: some of the journal cannot be decompressed.
        StoreError: the system refused to read it.
    """
    with rewriting.told(home, rewriting.UNCHANGED):
        found = _look(home, segments.numbers(home.journal), report)
        found.nameless_blobs = _nameless_blobs(home, found.blobs)
        return Plan(found, premises.level(home.path), redact.LEVEL)


def carry_out(home: Home, planned: Plan, report: Callable[[int], None] = lambda _: None) -> Done:
    """Take out what is found, and raise the home's mark when all of it is clean.

    Raises:
        StoreBusy: another process imports.
        SegmentHeld: another process holds a segment that must be rewritten, or records right now what would be taken out.
        RewriteRefused: sealed history is not what was sealed; nothing was changed.
        SealFailed, StoreError: the disk refused. What was rewritten stays so; the next run ends it.
    """
    with rewriting.alone(home, _HINT):
        outdated = premises.level(home.path) < redact.LEVEL
        # nobody may go on with what stood at the door before
        rewriting.seal(
            home, set(segments.plain_numbers(home.journal)) if outdated else planned.found.segments
        )
        found = _look(home, segments.numbers(home.journal))
        _refuse_held(home, found, "no record was changed")
        rewriting.check_sealed(home, found.segments)
        change = _Cleaning(home, write=True).line
        made = rewriting.anew(
            home, sorted(found.segments), lambda number: rewriting.changed(home, number, change), WHY, report
        )
        copies_bytes = rewriting.drop_copies(home)
        _refuse_held(home, _look(home, segments.plain_numbers(home.journal)), "all older records are clean")
        failpoint("redact.cleaned")
        if outdated:
            premises.raise_level(home.path)
    anchor = verify.anchor(home.journal)
    return Done(found.records, dict(found.kinds), made.segments, made.blob_bytes, copies_bytes, anchor)


def _refuse_held(home: Home, found: Found, done: str) -> None:
    if plain := found.segments & set(segments.plain_numbers(home.journal)):
        path = segments.path(home.journal, min(plain))
        raise SegmentHeld(f"another process records such things right now, into {path}", done)


def _look(home: Home, numbers: Iterable[int], report: Callable[[int], None] = lambda _: None) -> Found:
    cleaning, out, done_bytes = _Cleaning(home, write=False), Found(), 0
    for number in numbers:
        try:
            for _, line, _ in reader.every_line(home.journal, number):
                kinds = cleaning.cleaned(line)[1] if line else {}
                out.looked_at += bool(line)
                done_bytes += len(line)
                if kinds:
                    out.records += 1
                    out.kinds.update(kinds)
                    out.segments.add(number)
            report(done_bytes)
        except reader.Lost as exc:
            raise rewriting.unreadable(home.journal, exc) from exc
    out.unreadable, out.blobs = cleaning.unreadable, cleaning.blob_names()
    return out


def _nameless_blobs(home: Home, named: set[str]) -> int:
    """How many blobs with something to take out no record names.

    Those that another process puts right now, before their records, are none of them: they passed the door.
    """
    cleaning = _Cleaning(home, write=False)
    return sum(bool(cleaning.blob_kinds(ref)) for ref in rewriting.nameless_blobs(home, named))


class _Cleaning:
    """Passes lines of the journal through the door of a home.

    Args:
        home: the home.
        write: keep the cleaned content of blobs; otherwise only tell what is in them.
    """

    def __init__(self, home: Home, *, write: bool) -> None:
        self._redactor = home.redactor
        self._blobs = home.blobs
        self._inline_limit_bytes = home.settings.inline_body_size_bytes
        self._write = write
        self._cleaned_blobs: dict[str, tuple[BlobRef, Mapping[str, int]]] = {}
        self.unreadable: set[str] = set()

    def line(self, at: int, line: bytes) -> bytes:  # noqa: ARG002 - every change gets it
        """What stands in a line's place."""
        return self.cleaned(line)[0]

    def cleaned(self, line: bytes) -> tuple[bytes, Mapping[str, int]]:
        """The line as it shall be, and what was taken out; nothing was: the very line."""
        try:
            record = fmt.decode(line)
        except fmt.Newer:
            return line, {}  # what wrote it had a door of its own, and its form is not known here
        except fmt.Damaged:
            return self._redactor.clean(line)  # no record before, and none after
        if record.s == fmt.SEGMENT_SOURCE or fmt.is_tombstone(record):
            return line, {}
        member, kinds = self._member(record)
        return (fmt.encode_again(line, record, member(), kinds), kinds) if kinds else (line, kinds)

    def _member(self, record: Record) -> tuple[Callable[[], bytes], Mapping[str, int]]:
        """What makes the record's new body member, and what was taken out of the body."""
        if record.z is not None:
            removed, kinds = self._removed(record.z)
            return partial(fmt.removed_member, removed), kinds
        if record.f is not None:
            ref, kinds = self._blob(record.f)
            return partial(fmt.blob_member, ref), kinds
        body, kinds = self._redactor.clean(record.body_bytes() or b"")
        return partial(self._inline, body), kinds

    def _inline(self, body: bytes) -> bytes:
        """A body that grew, because placeholders are longer than what they stand for, may have become a blob's."""
        if len(body) <= self._inline_limit_bytes or not self._write:
            return fmt.body_member(body)
        return fmt.blob_member(blobs.put(self._blobs, body))

    def _blob(self, ref: BlobRef) -> tuple[BlobRef, Mapping[str, int]]:
        known = self._cleaned_blobs.get(ref.sha256)
        if known is not None:
            return known
        kinds: Counter[str] = Counter()
        try:
            for _ in self._stream(ref, kinds):
                pass
            if kinds and self._write:
                self._cleaned_blobs[ref.sha256] = (
                    blobs.put_stream(self._blobs, self._stream(ref, Counter())),
                    kinds,
                )
        except BlobDamaged:
            self.unreadable.add(ref.sha256)
            kinds.clear()
        return self._cleaned_blobs.setdefault(ref.sha256, (ref, kinds))

    def blob_names(self) -> set[str]:
        """The blobs that were looked at."""
        return set(self._cleaned_blobs)

    def blob_kinds(self, ref: BlobRef) -> Mapping[str, int]:
        """What would be taken out of a blob; nothing of one that cannot be read."""
        return self._blob(ref)[1]

    def _stream(self, ref: BlobRef, kinds: Counter[str]) -> Iterator[bytes]:
        """The content of a blob, cleaned in the way in which bodies of its size are when they come in."""
        if ref.size > max(_WHOLE_LIMIT_BYTES, self._inline_limit_bytes):
            yield from self._redactor.stream(blobs.read(self._blobs, ref), kinds)
            return
        cleaned = self._redactor.clean(blobs.get(self._blobs, ref))
        kinds.update(cleaned.kinds)
        yield cleaned.body

    def _removed(self, removed: Removed) -> tuple[Removed, Mapping[str, int]]:
        """What is kept of a removed body. Its hash would let a guess be compared with what is taken out here; it goes too."""
        kinds: Counter[str] = Counter()
        kept = tuple(self._text(text, kinds) for text in removed.kept)
        problems = [self._text(text, kinds) for text in removed.problems]
        events = []
        for raw in removed.events:
            body, found = self._redactor.clean(bytes(raw))
            kinds.update(found)
            if found and not _is_event(body):
                problems.append(
                    "what was understood here could not be kept: it was a secret for the most part"
                )
            else:
                events.append(msgspec.Raw(body))
        if not kinds:
            return removed, kinds
        parts = {"kept": kept, "problems": tuple(problems), "events": tuple(events)}
        return msgspec.structs.replace(removed, sha256="", size=0, **parts), kinds

    def _text(self, text: str, kinds: Counter[str]) -> str:
        body, found = self._redactor.clean(msgspec.json.encode(text))
        kinds.update(found)
        return msgspec.json.decode(body, type=str) if found else text


def _is_event(body: bytes) -> bool:
    try:
        codec.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
