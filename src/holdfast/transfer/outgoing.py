"""Write records of a journal as an export, one after the other.

What a choice of sessions takes along is whole files: if one record of a source file speaks of a session, all records of
that file belong to it, also those that no translator reads, so that reading the file can go on where they end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import BlobDamaged
from holdfast.events import WorkspaceMoved
from holdfast.journal import blobs, reader
from holdfast.journal.format import SEGMENT_SOURCE, is_tombstone
from holdfast.store import outline
from holdfast.store.known import Known, Sight
from holdfast.store.project import FILE_SOURCE, SHARED_SOURCES, start_of
from holdfast.transfer import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from holdfast.journal.format import Record
    from holdfast.store.project import Translator

_REPORT_EVERY = 1_000
_FAR_US = 2**63


@dataclass(frozen=True, slots=True)
class Choice:
    """Which records are wanted; every one by default.

    Attributes:
        sessions: keys of sessions ("claude:<id>"); None: all.
        workspaces: the directories in which these sessions were started.
        since_us, until_us: records received in [since, until), UTC microseconds.
    """

    sessions: frozenset[str] | None = None
    workspaces: frozenset[str] = frozenset()
    since_us: int = 0
    until_us: int = _FAR_US

    @property
    def is_everything(self) -> bool:
        return self.sessions is None and self.since_us <= 0 and self.until_us >= _FAR_US


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes of a segment that are in no export, and why."""

    segment: int
    start_byte: int
    end_byte: int
    why: str


@dataclass(slots=True)
class Written:
    """What an export holds.

    Attributes:
        records: those in it. `repeated` stood in the journal again under the same id, and are in it once.
        size_bytes: of the export.
        lost: what could not be read, so is not in it.
    """

    records: int = 0
    repeated: int = 0
    size_bytes: int = 0
    lost: list[Lost] = field(default_factory=list)


class Export:
    """One export.

    Args:
        journal, blob_directory: where the records and large bodies are.
        scratch: a directory for a scratch file.
        translators: one for each source; needed to know what sessions a record speaks of.
        choice: which records.
        report: told about progress now and then.
    """

    def __init__(
        self,
        journal: Path,
        blob_directory: Path,
        scratch: Path,
        translators: Mapping[str, Translator],
        choice: Choice,
        report: Callable[[Written], None] | None = None,
    ) -> None:
        self._journal = journal
        self._blobs = blob_directory
        self._scratch = scratch
        self._translators = translators
        self._choice = choice
        self._report = report or (lambda _: None)
        self._paths: dict[str, str] = {}
        self._files: set[str] = set()  # those that speak of a chosen session
        self._declared: dict[
            str, bytes
        ] = {}  # declarations of which it is not known yet whether they are wanted
        self._out = Written()

    def write(self, out: BinaryIO) -> Written:
        """Write the whole export.

        Raises:
            OSError: `out` took no more.
        """
        if self._choice.sessions is not None:
            self._find_files()
        self._put(out, lines.first_line())
        with Known(self._scratch) as known:
            for item in reader.read(self._journal):
                if isinstance(item, reader.Damage):
                    self._out.lost.append(Lost(item.segment, item.start, item.end, item.why))
                elif item.record.s in {SEGMENT_SOURCE, lines.SOURCE} or _says_nothing(item.record):
                    continue
                elif known.add(item.record.id) is not Sight.NEW:
                    self._out.repeated += 1
                else:
                    self._take(out, item)
        self._put(out, lines.last_line(self._out.records))
        return self._out

    def _put(self, out: BinaryIO, data: bytes) -> None:
        out.write(data)
        self._out.size_bytes += len(data)

    def _take(self, out: BinaryIO, item: reader.Found) -> None:
        if not self._choice.is_everything:
            if item.record.s == FILE_SOURCE:
                self._declare(item)
                return
            if not self._wanted(item.record):
                return
            if item.record.p is not None and (declaration := self._declared.pop(item.record.p.file, None)):
                self._count(out, declaration)
        try:
            body = self._body(item.record)
        except BlobDamaged as exc:
            self._out.lost.append(Lost(item.segment, item.start, item.end, str(exc)))
            return
        if item.record.f is None:
            self._count(out, lines.small(item.line, item.record, body))
            return
        for piece in lines.large(item.line, item.record, body):
            self._put(out, piece)
        self._count(out, b"")

    def _count(self, out: BinaryIO, line: bytes) -> None:
        self._put(out, line)
        self._out.records += 1
        if self._out.records % _REPORT_EVERY == 0:
            self._report(self._out)

    def _body(self, record: Record) -> bytes:
        return record.body_bytes() or b"" if record.f is None else blobs.get(self._blobs, record.f)

    # ── what is wanted ──

    def _declare(self, item: reader.Found) -> None:
        """Keep a file's declaration until a record of the file is written."""
        body = item.record.body_bytes() or b""
        if file := declared(body):
            self._declared.setdefault(file[0], lines.small(item.line, item.record, body))

    def _wanted(self, record: Record) -> bool:
        if not self._choice.since_us <= record.t < self._choice.until_us:
            return False
        if self._choice.sessions is None:
            return True
        if record.p is not None and record.s not in SHARED_SOURCES:
            return record.p.file in self._files
        return self._speaks_of_them(record)

    def _find_files(self) -> None:
        """Read the journal once to learn which files speak of a chosen session, and which moves concern them."""
        self._places = set(self._choice.workspaces)
        for item in reader.read(self._journal):
            if isinstance(item, reader.Damage):
                continue
            record = item.record
            if record.s == FILE_SOURCE:
                if file := declared(record.body_bytes() or b""):
                    self._paths[file[0]] = file[1]
            elif record.s not in SHARED_SOURCES and (record.p is None or record.p.file not in self._files):
                speaks = self._speaks_of_them(record)
                if record.p is not None and speaks:
                    self._files.add(record.p.file)

    def _speaks_of_them(self, record: Record) -> bool:
        translator = self._translators.get(record.s)
        if translator is None:
            return False
        path = self._paths.get(record.p.file if record.p else "")
        events = outline.events_of(translator, record, self._blobs, path, start_of(record, 0, 0))
        assert self._choice.sessions is not None
        return any(
            self._is_move_of_theirs(event.data)
            if isinstance(event.data, WorkspaceMoved)
            else event.session in self._choice.sessions
            for event in events or ()
        )

    def _is_move_of_theirs(self, move: WorkspaceMoved) -> bool:
        old = PurePosixPath(move.old)
        moved = {place for place in self._places if PurePosixPath(place).is_relative_to(old)}
        self._places |= {
            str(PurePosixPath(move.new, PurePosixPath(place).relative_to(old))) for place in moved
        }
        return bool(moved)


def _says_nothing(record: Record) -> bool:
    """Whether this is a tombstone, and none that stands for a line of a file that goes on."""
    return is_tombstone(record) and record.p is None


class _Declaration(msgspec.Struct):
    id: str
    path: str


def declared(body: bytes) -> tuple[str, str] | None:
    """(file id, path) of a file's declaration."""
    try:
        found = msgspec.json.decode(body, type=_Declaration)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.id, found.path
