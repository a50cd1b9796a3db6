"""One catch-up: record what is new in source files, and fold the journal as it grows."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast.capture import claude_registry
from holdfast.capture.apart import Apart, is_worth_it
from holdfast.capture.claude_files import Cursor, Reader, recorded_path
from holdfast.capture.inbox import Drain, take
from holdfast.failpoints import failpoint
from holdfast.store import database
from holdfast.store.statements import statements
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import apsw

    from holdfast.capture.claude_files import SourceFile
    from holdfast.capture.inbox import Taken
    from holdfast.capture.lines import Stretch
    from holdfast.journal.sealing import Beside
    from holdfast.journal.writer import Writer
    from holdfast.store.project import Projector
    from holdfast.store.upkeep import Folding

_FOLD_EVERY_BYTES = 8 << 20
_FOLD_APART_BYTES = 2 << 20  # nothing else to do meanwhile
_LEAST_BYTES = 16 << 10  # what reading and folding a file costs however short it is, in bytes of a long one
_UNFINISHED = -1  # in place of the size of a file that was not read to its end: no file has it

Hint = tuple[
    int, int, int, str | None
]  # size in bytes, time of change in ns, inode, digest of a meta file or a last line


@dataclass(slots=True)
class ImportReport:
    """What one catch-up did, and what is left.

    Attributes:
        files_total, files_done: source files found, and those whose every byte is recorded and folded.
        bytes_total, bytes_done: their sizes, and how much of it was dealt with.
        busy: another process holds the writer's lock, or must do its work first; nothing was done.
        deferred: the journal is folded again in the background first.
        folding: how far folding the journal anew is; None: that is not what is being done.
        unreadable: (path, why) of what could not be looked at.
        left_out: source files that were passed over because their session was forgotten; not among `files_total`.
        unsealed: why full segments of the journal could not be sealed; None when they could, or nothing waits for it.
        done: nothing is left.
    """

    files_total: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    records: int = 0
    busy: bool = False
    deferred: bool = False
    done: bool = True
    folding: Folding | None = None
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    left_out: int = 0
    unsealed: str | None = None

    def answer(self) -> dict[str, Any]:
        """What a service tells of it to who asked."""
        told: dict[str, Any] = {name: getattr(self, name) for name in _TOLD}
        left_bytes = _TOLD_UNREADABLE_BYTES
        unreadable = []
        for path, why in self.unreadable[:_TOLD_UNREADABLE]:
            unreadable.append((printable_path(path), printable_path(why)))
            left_bytes -= sum(len(text.encode()) for text in unreadable[-1])
            if left_bytes < 0:
                break
        return told | {"unreadable": unreadable}

    @classmethod
    def told(cls, answer: dict[str, Any]) -> ImportReport:
        """The report that a service's answer tells; busy, if it could not look."""
        if not isinstance(answer.get("unreadable"), list):
            return cls(busy=True, done=False)
        unreadable = [(str(path), str(why)) for path, why in answer["unreadable"]]
        return cls(**{name: answer[name] for name in _TOLD if name in answer}, unreadable=unreadable)


_TOLD = (
    "files_total",
    "files_done",
    "bytes_total",
    "bytes_done",
    "records",
    "left_out",
    "busy",
    "done",
    "unsealed",
)
_TOLD_UNREADABLE = 100
_TOLD_UNREADABLE_BYTES = (
    40 << 10
)  # a socket takes 100 KiB at once; a path has 4 KiB at most, twice that with what JSON adds


class Inbox(NamedTuple):
    """Where hooks and agents leave what they say, whose is recorded as a tombstone, and which session an agent is."""

    directory: Path
    is_left_out: Callable[[Taken, bytes], bool]
    session_of: Callable[[str], str | None] = lambda _: None


class Registry(NamedTuple):
    """Where Claude Code lists its processes, who reads that, and which sessions are not recorded."""

    directory: Path
    place: claude_registry.Place
    is_left_out: Callable[[str], bool]


@dataclass(slots=True)
class Means:
    """What catching up works with, under the writer's lock; open for one catch-up or for many.

    Attributes:
        key: gives what the digests of lines are made with.
        is_left_out, is_line_left_out: whether a file, or one line, belongs to what was forgotten; None: no line does.
        hints: what the store knows of source files, by `_hint_key`; None: it was not asked yet.
        runs: tells what became of agents that were started here.
        passed: keys of those that were found and not recorded: left out, or not to be read.
    """

    db: apsw.Connection
    writer: Writer
    projector: Projector
    sealing: Beside
    key: Callable[[], bytes]
    is_left_out: Callable[[SourceFile], bool] = lambda _: False
    is_line_left_out: Callable[[bytes | Stretch], bool] | None = None
    inbox: Inbox | None = None
    registry: Registry | None = None
    hints: dict[str, Hint] | None = None
    runs: Callable[[Writer], object] = lambda _: None
    passed: set[str] = field(default_factory=set)

    def knows(self, file: SourceFile) -> bool:
        """Whether a file of this path was met before."""
        key = _hint_key(file.path)
        return key in self.passed or (self.hints is not None and key in self.hints)

    def close(self, *, seal_all: bool = False) -> bool:
        """Let go of all of it, and finish sealing; whether the store must be folded anew."""
        try:
            self.writer.close()
        finally:
            self.sealing.close(finish=seal_all)
            database.checkpoint(self.db, truncate=True)
            again = database.must_fold_again(self.db)
            self.db.close()
        return again


class Capture:
    """One catch-up under the writer's lock.

    Args:
        means: what it works with.
        out: what it did is told here.
        report: called as work goes on.
        limit_s: stop after about so long, at the end of a file or batch.
        stop: asked now and then whether to stop so.
    """

    def __init__(
        self,
        means: Means,
        out: ImportReport,
        report: Callable[[ImportReport], None] | None = None,
        limit_s: float | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._means = means
        self._is_left_out = means.is_left_out
        self._db = means.db
        self._out = out
        self._report = report or (lambda _: None)
        self._deadline_s = None if limit_s is None else time.monotonic() + limit_s
        self._stop = stop
        self._writer = means.writer
        self._projector = means.projector
        self._sealing = means.sealing
        self._unfolded_bytes = 0
        self._fold_every_bytes = _FOLD_EVERY_BYTES
        self._fresh: list[tuple[str, int, int, int, str | None]] = []  # rows of `scan_hint`
        self._sighted: list[tuple[str, int, int, int, str | None]] = []  # others, of the registry
        self._gone: list[tuple[str]] = []  # and paths of those to be dropped

    def run(self, files: list[SourceFile]) -> None:
        """Read the files that changed, in order, until done or late; what was recorded is folded either way."""
        if not self._fold(look=False):  # an earlier run may have been killed between recording and folding
            return  # how far each source is recorded is not known yet
        self._drain()
        self._means.runs(self._writer)
        hints = self._hints()
        self._sight(hints)
        changed = [file for file in files if not unchanged(file, hints) and not self._is_left_out(file)]
        reader = self._reader(changed, hints)
        try:
            for file in files:
                if not unchanged(file, hints):
                    if self._is_left_out(file):
                        self._leave_out(file)
                        continue
                    if (self._fresh or not self._out.done) and self._late():
                        self._out.done = False
                        break
                    if not self._read(reader, file, hints):
                        continue
                self._out.files_done += 1
                self._out.bytes_done += file.size_bytes
                self._report(self._out)
            reader.close()
            self._fold()
        finally:
            reader.close()
            self._writer.sync()
        failpoint("import.recorded")
        self._remember(hints)

    def _hints(self) -> dict[str, Hint]:
        if self._means.hints is None:
            self._means.hints = hints_of(self._db)
        return self._means.hints

    def _drain(self) -> None:
        """Record what hooks left; what cannot be read is told, and stays for the next time."""
        inbox = self._means.inbox
        if inbox is None:
            return
        drain = Drain(self._writer, self._consumed, self._appended, inbox.is_left_out)
        try:
            spools = take(inbox.directory, inbox.session_of)
        except OSError as exc:
            self._out.unreadable.append((os.fspath(inbox.directory), exc.strerror or str(exc)))
            return
        for spool in spools:
            try:
                drain.record(spool)
            except OSError as exc:
                self._out.unreadable.append((spool.path, exc.strerror or str(exc)))

    def _sight(self, hints: dict[str, Hint]) -> None:
        """Record which processes the tool lists, where that changed."""
        if self._means.registry is None:
            return
        directory, place, is_left_out = self._means.registry

        def known(path: str) -> str | None:
            return hints[path][3] if path in hints else None

        for path, digest, size_bytes in claude_registry.record(
            directory, place, self._writer, known, is_left_out
        ):
            self._sighted.append((path, 0, 0, 0, digest))
            self._appended(size_bytes)
        listed = f"{_hint_key(os.fspath(directory))}/"
        self._gone = [(path,) for path in hints if path.startswith(listed) and not os.path.lexists(path)]

    def _consumed(self, name: str) -> int:
        row = self._db.execute(statements("queries")["consumed_of_file"], {"id": name}).fetchone()
        return 0 if row is None else int(row[0])

    def _leave_out(self, file: SourceFile) -> None:
        self._means.passed.add(_hint_key(file.path))
        self._out.left_out += 1
        self._out.files_total -= 1
        self._out.bytes_total -= file.size_bytes

    def _reader(self, changed: list[SourceFile], hints: dict[str, Hint]) -> Reader | Apart:
        """What reads: here, or where there is much to read, in a process of its own while this one folds."""
        paths = {recorded_path(file.path) for file in changed if not file.is_meta}
        cursors = {path: cursor for path in paths if (cursor := self._cursor(path)) is not None}
        new_bytes = sum(file.size_bytes for file in changed) - sum(c.consumed_bytes for c in cursors.values())
        if self._deadline_s is not None or not is_worth_it(new_bytes):  # with a limit, nothing is read ahead
            return self._reader_here()
        self._fold_every_bytes = _FOLD_APART_BYTES
        files = [(file, known[3] if (known := hints.get(_hint_key(file.path))) else None) for file in changed]
        try:
            return Apart(
                lambda: self._writer,
                cursors,
                self._appended,
                files,
                self._means.key,
                self._means.is_line_left_out,
            )
        except OSError:  # the system gives no process
            return self._reader_here()

    def _reader_here(self) -> Reader:
        means = self._means
        return Reader(self._writer, self._cursor, self._appended, means.key, means.is_line_left_out)

    def _read(self, reader: Reader | Apart, file: SourceFile, hints: dict[str, Hint]) -> bool:
        """Record what is new in one file; whether all of it is recorded now."""
        known = hints.get(_hint_key(file.path))
        try:
            complete, digest = reader.read(file, known[3] if known else None)
        except OSError as exc:
            self._out.unreadable.append((file.path, exc.strerror or str(exc)))
            self._means.passed.add(_hint_key(file.path))
            return False
        size_bytes = file.size_bytes if complete else _UNFINISHED
        self._fresh.append((_hint_key(file.path), size_bytes, file.mtime_ns, file.inode, digest))
        if not complete:
            self._out.done = False
        return complete

    def _late(self) -> bool:
        return self._stop() or (self._deadline_s is not None and time.monotonic() >= self._deadline_s)

    def _cursor(self, path: str) -> Cursor | None:
        row = self._db.execute(statements("queries")["cursors_of_path"], {"path": path}).fetchone()
        return None if row is None else Cursor(*row)

    def _appended(self, size_bytes: int) -> bool:
        """Fold now and then, so that little is left to fold when it is time to stop; whether it is."""
        self._unfolded_bytes += max(size_bytes, _LEAST_BYTES)
        if self._unfolded_bytes >= self._fold_every_bytes:
            self._fold()
        self._report(self._out)
        return self._late()

    def _fold(self, *, look: bool = True) -> bool:
        """Fold what was recorded; whether all of it is folded now, or it was asked to stop before."""
        self._unfolded_bytes = 0
        if look:
            self._sealing.look()
        progress = self._projector.catch_up(lambda _: self._stop())
        self._out.records += progress.records
        if progress.stopped:
            self._out.done = False
        return not progress.stopped

    def _remember(self, hints: dict[str, Hint]) -> None:
        if self._fresh or self._sighted or self._gone:
            with database.transaction(self._db):
                self._db.executemany(statements("fold")["hint_kept"], self._fresh + self._sighted)
                self._db.executemany(statements("fold")["hint_dropped"], self._gone)
            for path, size_bytes, mtime_ns, inode, digest in self._fresh + self._sighted:
                hints[path] = (size_bytes, mtime_ns, inode, digest)
            for (path,) in self._gone:
                hints.pop(path, None)


def _hint_key(path: str) -> str:
    return printable_path(path)


def hints_of(db: apsw.Connection) -> dict[str, Hint]:
    return {
        path: (size, mtime, inode, digest)
        for path, size, mtime, inode, digest in db.execute(statements("queries")["hints"])
    }


def unchanged(file: SourceFile, hints: dict[str, Hint]) -> bool:
    known = hints.get(_hint_key(file.path))
    return known is not None and known[:3] == (file.size_bytes, file.mtime_ns, file.inode)
