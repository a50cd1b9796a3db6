"""Read an export into a journal: each record once, as it was, whatever else stands in the file.

A line that is no intact record, or one that no journal may hold, is passed over and named with its bytes; every other
one is appended. A record whose id the journal has already is not appended again.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import ExportFromFuture
from holdfast.failpoints import failpoint
from holdfast.journal import format as fmt
from holdfast.journal import reader
from holdfast.store.known import Known, Sight
from holdfast.transfer import lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from holdfast.journal.writer import Writer

_BATCH_BYTES = 4 << 20
_DIGEST_BYTES = 16
_PLAIN_NAME = re.compile(r"[ !#-\[\]-~]{1,200}\Z")  # ASCII without quotes, backslashes and controls
_LINE_ENDS = ("\n", "\r\n", "")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes of an export that were not taken, and why."""

    start_byte: int
    end_byte: int
    why: str


@dataclass(slots=True)
class Taken:
    """What one import of an export did.

    Attributes:
        records: lines that are intact records. Of these:
        new: appended now.
        known: in the journal already.
        differing: in the journal already with another content, which stays.
        left_out: passed over because their session was forgotten.
        size_bytes: read so far.
        whole: the export has its first and last line, and as many between them as it says.
        skipped: what was not taken.
    """

    records: int = 0
    new: int = 0
    known: int = 0
    differing: int = 0
    left_out: int = 0
    size_bytes: int = 0
    whole: bool = False
    skipped: list[Skipped] = field(default_factory=list)


class _About(msgspec.Struct):
    """The body of a first or last line."""

    format: int | None = None
    records: int | None = None


class _Refused(Exception):
    """A record that no journal may hold."""


def fill(known: Known, journal: Path) -> None:
    """Enter every record of a journal."""
    for item in reader.read(journal):
        if isinstance(item, reader.Found):
            record = item.record
            known.add(record.id, _digest_of(record))


def _digest(body: bytes) -> bytes:
    """The beginning of the SHA-256 of a record's body, which is also a blob's name."""
    return hashlib.sha256(body).digest()[:_DIGEST_BYTES]


def _digest_of(record: fmt.Record) -> bytes:
    """The same of a record whose body may lie elsewhere, or be removed."""
    elsewhere = record.f or record.z
    return _digest(record.body_bytes() or b"") if elsewhere is None else _named(elsewhere.sha256)


def _named(sha256: str) -> bytes:
    try:
        return bytes.fromhex(sha256)[:_DIGEST_BYTES]
    except ValueError:
        return b""


class Import:
    """One import.

    Args:
        writer: the journal's.
        known: every id that the journal holds.
        report: told about progress after each batch.
        is_left_out: whether a record is passed over; asked for each new one, in the order of the export.
    """

    def __init__(
        self,
        writer: Writer,
        known: Known,
        report: Callable[[Taken], None] | None = None,
        is_left_out: Callable[[fmt.Record], bool] = lambda _: False,
    ) -> None:
        self._is_left_out = is_left_out
        self._writer = writer
        self._known = known
        self._report = report or (lambda _: None)
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._since_first = 0  # lines since the export's first one
        self._begun = self._ended = False
        self._torn = False  # an export that was joined in began before the last one was whole
        self._out = Taken()

    def read(self, file: BinaryIO) -> Taken:
        """Append what is new in an export.

        Raises:
            AppendFailed: the disk took no more; what was counted as new before is safe.
            ExportFromFuture: a newer Holdfast wrote the export; nothing of it was read.
            OSError: the export cannot be read any further.
        """
        for start, line, length, complete in lines.read(file):
            end = start + length + complete
            self._out.size_bytes = end
            try:
                self._line(line, complete=complete)
            except _Refused as exc:
                self._out.skipped.append(Skipped(start, end, str(exc)))
            if self._batch_bytes >= _BATCH_BYTES:
                self._append()
        self._append()
        self._writer.sync()
        self._out.whole = self._begun and self._ended and not self._torn
        return self._out

    def _line(self, line: bytes | bytearray | None, *, complete: bool) -> None:
        self._since_first += 1
        try:
            if line is None:
                raise _Refused("longer than any record")
            record = fmt.decode(line)
        except fmt.Damaged as exc:
            raise _Refused(exc.why if complete else "the last record is cut off") from exc
        except fmt.Newer as exc:
            if line is not None and lines.is_export(bytes(line[:200])) and not self._begun:
                raise _from_future() from exc
            raise _Refused("written by a newer Holdfast") from exc
        if record.s == lines.SOURCE:
            self._about(record)
        elif record.s != fmt.SEGMENT_SOURCE:  # which belongs to another journal's files
            self._record(line, record)

    def _about(self, record: fmt.Record) -> None:
        """The export's first or last line."""
        self._since_first -= 1
        try:
            about = msgspec.json.decode(record.b, type=_About)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise _Refused("says nothing that can be read about the export") from exc
        if about.format is not None:
            if about.format > lines.FORMAT:
                raise _from_future()
            self._torn |= self._begun and not self._ended
            self._begun, self._ended, self._since_first = True, False, 0
        elif about.records is not None:
            if about.records != self._since_first:
                self._torn = True
            self._ended = True

    def _record(self, line: bytes | bytearray, record: fmt.Record) -> None:
        _check(record)
        self._ended = False  # something behind the last line: there must be another one
        self._out.records += 1
        if self._is_left_out(record):
            self._out.left_out += 1
            return
        body = record.body_bytes() or b""
        sight = self._known.add(record.id, _digest(body) if record.z is None else _digest_of(record))
        if sight is not Sight.NEW:
            self._out.known += 1
            self._out.differing += sight is Sight.OTHER
            return
        made = self._writer.taken_over(line, record, body)
        self._batch.append(made)
        self._batch_bytes += len(made)

    def _append(self) -> None:
        self._writer.append_lines(self._batch)
        failpoint("import.taken")
        self._out.new += len(self._batch)
        self._batch, self._batch_bytes = [], 0
        self._report(self._out)


def _check(record: fmt.Record) -> None:
    """Refuse what our own journal never holds: names end up in other lines, in file names, and on terminals."""
    try:
        if str(uuid.UUID(record.id)) != record.id:
            raise _Refused("its id is no UUID in its usual form")
    except ValueError as exc:
        raise _Refused("its id is no UUID") from exc
    if not _PLAIN_NAME.match(record.s) or (record.p is not None and not _PLAIN_NAME.match(record.p.file)):
        raise _Refused("its source or file id is not plain text")
    if record.p is not None and record.p.end < record.p.start:
        raise _Refused("its position ends before it begins")
    if record.e not in _LINE_ENDS:
        raise _Refused("its line end is none")
    if record.f is not None:
        raise _Refused("its body is a blob, which is not in the export")
    if fmt.has_no_body(record) and record.z is None:
        raise _Refused("it has no body")
    if (memoryview(record.b).nbytes > 0) + (record.x is not None) + (record.y is not None) > 1:
        raise _Refused("it has more than one body")


def _from_future() -> ExportFromFuture:
    return ExportFromFuture(
        "the export was written by a newer Holdfast",
        hint="upgrade this one (`pip install --upgrade holdfast`); nothing was imported",
    )
