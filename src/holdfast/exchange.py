"""Wiring of exports: from a home into a file, and from a file into a home."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from holdfast.capture.claude_files import key_named, session_named, transcript_beside
from holdfast.capture.claude_transcripts import WHOLE_SOURCES
from holdfast.errors import StoreBusy, TransferFailed, UsageError
from holdfast.failpoints import failpoint
from holdfast.home import translators
from holdfast.ids import uuid7
from holdfast.journal.blobs import sync_directory
from holdfast.store import database, outline, queries
from holdfast.store.known import Known
from holdfast.store.project import FILE_SOURCE, SHARED_SOURCES, start_of
from holdfast.transfer import incoming, lines, outgoing, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from holdfast.catch_up import ImportReport
    from holdfast.home import Home
    from holdfast.journal.format import Record

_SNIFF_BYTES = 1 << 20
_WAIT_MS = 5_000


def choose(
    home: Home, sessions: tuple[str, ...], since_us: int | None = None, last_us: int | None = None
) -> outgoing.Choice:
    """The choice that a person's words mean: of these sessions, received from `since_us` to `last_us`, both included.

    Raises:
        NotFound, AmbiguousId: a session's id is no session's, or fits several.
    """
    wide = outgoing.Choice()
    keys, workspaces = None, set[str]()
    if sessions:
        db = home.reader()
        found = [queries.session_origin(db, queries.session_id(db, prefix)) for prefix in sessions]
        keys = frozenset(key for key, _ in found)
        workspaces = {cwd for _, cwd in found if cwd is not None}
    return outgoing.Choice(
        keys,
        frozenset(workspaces),
        wide.since_us if since_us is None else since_us,
        wide.until_us if last_us is None else last_us + 1,
    )


def export(
    home: Home,
    target: Path | None,
    choice: outgoing.Choice,
    report: Callable[[outgoing.Written], None] | None = None,
) -> outgoing.Written:
    """Write an export; None is standard output. A file appears under its name when it is complete and on disk.

    Raises:
        UsageError: the target cannot be one.
        TransferFailed: the system refused.
    """
    with _told(target or "standard output"):
        return _export(home, target, choice, report)


@contextlib.contextmanager
def _told(place: object) -> Iterator[None]:
    """What the system refuses, in words. A reader of our output that left early is nobody's fault."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise TransferFailed(exc.filename or place, exc.strerror or str(exc)) from exc
    except apsw.Error as exc:  # the scratch file
        raise TransferFailed(place, f"no room for a scratch file in the home: {exc}") from exc


def _export(
    home: Home,
    target: Path | None,
    choice: outgoing.Choice,
    report: Callable[[outgoing.Written], None] | None,
) -> outgoing.Written:
    work = outgoing.Export(home.journal, home.blobs, home.path, translators(), choice, report)
    if target is None:
        written = work.write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return written
    with _appearing(_checked(home, target)) as out:
        return work.write(out)


def _checked(home: Home, target: Path) -> Path:
    """Where the export will stand. What is no export of ours is never written over."""
    path = _outside(home, target)
    try:
        found = path.stat()
    except FileNotFoundError:
        if path.parent.is_dir():
            return path
        raise UsageError(f"{path.parent} is no directory", hint="make it first") from None
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{target} is a directory", hint="name a file, such as history.jsonl")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{target} is no regular file", hint="write to standard output: holdfast export -")
    if found.st_size and not _looks_like_export(path):
        raise UsageError(f"{target} exists and is no export", hint="name another file, or remove it first")
    return path


def _outside(home: Home, target: Path) -> Path:
    path = Path(os.path.realpath(target))
    if path.is_relative_to(home.path.resolve()):
        raise UsageError(f"{target} lies inside the home", hint="name a place outside of it")
    return path


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its name only when it is complete; what a killed export left goes first."""
    _drop_leftovers(path)
    temporary = path.with_name(f".{path.name}.{uuid7()}.part")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb", buffering=1 << 20) as out:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield out
            out.flush()
            os.fsync(fd)
            failpoint("export.written")
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _drop_leftovers(path: Path) -> None:
    mine = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f-]{36}\.part\Z")
    for name in os.listdir(path.parent):  # noqa: PTH208 - names only
        if mine.match(name):
            with contextlib.suppress(OSError):  # another export is at it, or it is gone
                fd = os.open(path.with_name(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.with_name(name).unlink()
                finally:
                    os.close(fd)


def export_tables(
    home: Home,
    target: Path,
    sessions: tuple[str, ...],
    report: Callable[[tables.Progress], None] | None = None,
) -> dict[str, int]:
    """Write the store's tables as Parquet into a new directory; returns how many rows each has.

    Raises:
        UsageError: pyarrow is not installed, or the target is there already.
        NotFound, AmbiguousId: a session's id is no session's, or fits several.
        TransferFailed: the system refused.
    """
    place = _outside(home, target)
    db = home.reader()
    chosen = [queries.session_id(db, prefix) for prefix in sessions] or None
    with _told(target):
        return tables.write(db, place, chosen, report)


def is_export(path: Path) -> bool:
    """Whether a file is an export; what is no file is none.

    Raises:
        TransferFailed: it cannot be read. An export that was taken for something else would be recorded as what it is not.
    """
    with _told(path):
        return path.is_file() and _looks_like_export(path)


def _looks_like_export(path: Path) -> bool:
    with path.open("rb") as file:
        return lines.is_export(file.read(_SNIFF_BYTES))


def take_in(
    home: Home,
    file: BinaryIO,
    report: Callable[[incoming.Taken], None] | None = None,
    *,
    also_forgotten: bool = False,
) -> incoming.Taken:
    """Append what is new in an export. It is folded by the next catch-up.

    Records of sessions that were forgotten are left out; with `also_forgotten` they come too, and are not forgotten any more.

    Raises:
        StoreBusy: another process imports into this home.
        UsageError: with `also_forgotten`, some session is just being forgotten.
        TransferFailed: the export cannot be read any further, or the system refused something else.
    """
    with database.writer_lock(home.path, wait_ms=_WAIT_MS) as mine:
        if not mine:
            raise StoreBusy(
                "another process is importing into this home", hint="wait for it, then run this again"
            )
        with _told(getattr(file, "name", "the export")), Known(home.path) as known:
            barred = _Barred(home)
            if also_forgotten:
                home.forgotten().refuse_unfinished()
            taken = _take_in(home, file, known, report, barred.look if also_forgotten else barred.holds)
            if also_forgotten:
                barred.remember()
            return taken


def opened(path: Path) -> BinaryIO:
    """An export, for reading. Raises TransferFailed."""
    with _told(path):
        return path.open("rb")


def _take_in(
    home: Home,
    file: BinaryIO,
    known: Known,
    report: Callable[[incoming.Taken], None] | None,
    is_left_out: Callable[[Record], bool],
) -> incoming.Taken:
    incoming.fill(known, home.journal)
    writer = home.writer(fsync_interval_s=0)
    try:
        return incoming.Import(writer, known, report, is_left_out).read(file)
    finally:
        writer.close()


class _Barred:
    """Tells which records of an export belong to sessions that were forgotten; it sees them in their order.

    Of a file that speaks of such a session everything belongs to it from the first record that says so; where its path names another
    session, only the records that say so.
    """

    def __init__(self, home: Home) -> None:
        self._blobs = home.blobs
        self._forgotten = home.forgotten()
        self._translators = translators()
        self._paths: dict[str, str] = {}
        self._files: set[str] = set()
        self._met: tuple[set[str], set[str], set[str]] = (set(), set(), set())  # sessions, paths, records

    def look(self, record: Record) -> bool:
        """Notes whose a record is; none is left out."""
        if self._forgotten:
            self.holds(record)
            self._met[0].update(self._theirs(record))
        return False

    def remember(self) -> None:
        """Take what was met off the list."""
        self._forgotten.remember(*self._met)

    def holds(self, record: Record) -> bool:
        """Whether a record belongs to a forgotten session."""
        if not self._forgotten:
            return False
        if self._forgotten.holds_record(record.id):
            self._met[2].add(record.id)
            return True
        if record.s == FILE_SOURCE:
            return self._declared(record)
        if record.s in WHOLE_SOURCES and self._meta(record):
            return True
        if record.p is not None and record.p.file in self._files:
            return True
        sessions = self._theirs(record)
        shared = record.s in SHARED_SOURCES
        if sessions and record.p is not None and not shared and not self._is_of_another(record.p.file):
            self._files.add(record.p.file)
        return bool(sessions)

    def _declared(self, record: Record) -> bool:
        found = outgoing.declared(record.body_bytes() or b"")
        if found is None:
            return False
        name = found[0]
        self._paths[name] = found[1]
        if not self._forgotten.holds_path(found[1]):
            return False
        self._files.add(name)
        self._meet(found[1])
        return True

    def _meta(self, record: Record) -> bool:
        path = outline.outline([record.body_bytes() or b""]).get("path")
        if path is None:
            return False
        beside = transcript_beside(path)
        if not self._forgotten.holds_path(path) and beside not in map(self._paths.get, self._files):
            return False
        self._meet(beside)
        return True

    def _meet(self, path: str) -> None:
        self._met[1].add(path)
        if (key := key_named(path)) is not None:
            self._met[0].add(key)

    def _is_of_another(self, file: str) -> bool:
        named = session_named(self._paths.get(file, ""))
        return named is not None and not self._forgotten.holds_session(f"claude:{named}")

    def _theirs(self, record: Record) -> set[str]:
        """Keys of the forgotten sessions that a record speaks of."""
        translator = self._translators.get(record.s)
        if translator is None:
            return set()
        path = self._paths.get(record.p.file if record.p else "")
        events = outline.events_of(translator, record, self._blobs, path, start_of(record, 0, 0))
        return {event.session for event in events or () if self._forgotten.holds_session(event.session)}


def fold(home: Home, report: Callable[[ImportReport], None] | None = None) -> ImportReport:
    """Fold what was appended."""
    return home.catch_up([], report=report, wait_ms=_WAIT_MS)
