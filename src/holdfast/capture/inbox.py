"""The inbox: what hooks leave, one spool for each tool, and what agents say of their progress, one spool for each, until it is recorded.

A hook is a line of shell that its tool starts at each event, with the event as JSON on standard input (`sink.py`). It appends
that to a spool with one write and ends, whatever happens: it knows nothing of journals, and waits for nobody. Whoever catches up next
renames the spool, so that it grows no more, records its lines, and removes it when nobody has it open and the journal is on
the disk. Until then a record of it is known by the name the spool was given and the place of the line, so that a spool that is
read again after a crash is not recorded twice.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import signal
import stat
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from holdfast import clock
from holdfast.capture import progress
from holdfast.capture.lines import Stretch, Unsteady, read_lines
from holdfast.capture.sink import CUT_BYTES
from holdfast.failpoints import failpoint
from holdfast.ids import derived, uuid7
from holdfast.journal.format import Position, left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from holdfast.journal.writer import Writer

DIRECTORY: Final = "inbox"
TOOLS: Final = ("claude", "codex")
_TOO_LONG = msgspec.json.encode({"too_long": True, "least_bytes": CUT_BYTES})  # what is recorded of it
_TAKEN = re.compile(rf"({'|'.join(TOOLS)})-[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}\Z")
_BATCH_BYTES = 4 << 20
_QUIET_S = 60  # where the system does not say who has a file open: after this long no hook is at work, which have 5 s


class Taken(NamedTuple):
    """A spool that grows no more but by hooks that had it open: its name is the id of the file in positions."""

    path: str
    name: str
    source: str  # of its records

    @property
    def tool(self) -> str | None:
        """Whose hooks left it; None: an agent said how far it is."""
        tool, _, kind = self.source.partition(".")
        return tool if kind == "hook" else None


def take(directory: Path, session_of: Callable[[str], str | None] = lambda _: None) -> list[Taken]:
    """Rename the spools that hold anything, and give all that wait to be recorded, the oldest first.

    `session_of` gives the key of the session that an agent is, if it is one of its tool's.

    Raises:
        OSError: the inbox cannot be read, or a spool not be renamed.
    """
    with contextlib.suppress(FileNotFoundError):
        names = os.listdir(directory)  # noqa: PTH208 - names only
        for spool, name in [*_free(names, session_of)]:
            if (directory / spool).lstat().st_size:
                (directory / spool).rename(directory / name)
                failpoint("inbox.taken")
                names.append(name)
        return [Taken(os.fspath(directory / name), name, source) for name, source in sorted(_taken(names))]
    return []


def _free(names: list[str], session_of: Callable[[str], str | None]) -> Iterator[tuple[str, str]]:
    """(name, name once it is taken) of each spool that still grows."""
    for name in names:
        if name in TOOLS:
            yield name, f"{name}-{uuid7()}"
        elif progress.SPOOL.fullmatch(name):
            yield name, progress.taken_name(name, uuid7(), session_of(progress.agent_of(name)))


def _taken(names: list[str]) -> Iterator[tuple[str, str]]:
    """(name, source) of each spool that was taken."""
    for name in names:
        if (match := _TAKEN.match(name)) is not None:
            yield name, f"{match[1]}.hook"
        elif progress.TAKEN.fullmatch(name):
            yield name, progress.SOURCE


def waiting_bytes(directory: Path) -> int:
    """How much lies in the inbox."""
    size_bytes = 0
    for path in directory.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # it was recorded meanwhile
            size_bytes += path.lstat().st_size
    return size_bytes


class Drain:
    """Records what hooks left.

    Args:
        writer: the journal.
        consumed: how much of a spool is recorded, by its name.
        after_append: called after each batch with the bytes appended.
        is_left_out: whether a tombstone is recorded in the place of a payload of a spool.
    """

    def __init__(
        self,
        writer: Writer,
        consumed: Callable[[str], int],
        after_append: Callable[[int], object],
        is_left_out: Callable[[Taken, bytes], bool] = lambda *_: False,
    ) -> None:
        self._writer = writer
        self._consumed = consumed
        self._after_append = after_append
        self._is_left_out = is_left_out

    def record(self, spool: Taken) -> bool:
        """Record what is new in a spool; whether all of it is, so that it could be removed.

        Raises:
            OSError: it cannot be read or removed; what was recorded stays so.
            AppendFailed: the journal took nothing more.
        """
        fd = os.open(spool.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "it is no file")
            at = self._lines(fd, spool, self._consumed(spool.name))
            if not _is_ours_alone(fd):
                return False
            at = self._lines(fd, spool, at)  # what came before the last hook let go of it
            self._torn(fd, spool, at)
            self._writer.sync()
            failpoint("inbox.recorded")
            os.unlink(spool.path)  # noqa: PTH108
            return True
        finally:
            os.close(fd)

    def _lines(self, fd: int, spool: Taken, start: int) -> int:
        """Record the whole lines from `start` on; where they end."""
        batch: list[bytes] = []
        size = 0
        at = start
        for body, place, line_end in _payloads(fd, spool.name, start):
            line = self._line(spool, body, place, line_end)
            batch.append(line)
            size += len(line)
            at = place.end
            if size >= _BATCH_BYTES:
                self._append(batch, size)
                batch, size = [], 0
        if batch:
            self._append(batch, size)
        return at

    def _torn(self, fd: int, spool: Taken, at: int) -> None:
        """What stands last without a line end: payloads that were too long, and one that a hook could not write to its end."""
        while body := os.pread(fd, CUT_BYTES, at):
            place = Position(spool.name, at, at + len(body))
            line = self._line(spool, _TOO_LONG if len(body) == CUT_BYTES else body, place, "")
            self._append([line], len(line))
            at = place.end

    def _line(self, spool: Taken, body: bytes, place: Position, line_end: str) -> bytes:
        record_id = derived(spool.source, spool.name, str(place.start))
        if self._is_left_out(spool, body):
            return left_out(record_id, clock.now_us(), spool.source, place, line_end)
        return self._writer.line(spool.source, body, record_id, place, line_end)

    def _append(self, batch: list[bytes], size: int) -> None:
        self._writer.append_lines(batch)
        failpoint("inbox.appended")
        self._after_append(size)


def _payloads(fd: int, name: str, start: int) -> Iterator[tuple[bytes, Position, str]]:
    """(payload, place, line end) from `start` on. In the place of one that was too long stands how long it was at least."""
    while True:
        for at, body, line_end in read_lines(fd, start):
            size = len(body)
            if size >= CUT_BYTES:  # what stands behind it on the same line is another one
                start = at + CUT_BYTES
                yield _TOO_LONG, Position(name, at, start), ""
                break
            try:
                whole = b"".join(body.chunks()) if isinstance(body, Stretch) else body
            except Unsteady as exc:
                raise OSError(errno.EIO, str(exc)) from exc
            start = at + size + len(line_end)
            yield whole, Position(name, at, start), line_end
        else:
            return


def _is_ours_alone(fd: int) -> bool:
    """Whether nobody else has the file open; nobody can open it any more who knew it by its former name."""
    if sys.platform == "linux":
        try:
            fcntl.fcntl(
                fd, fcntl.F_SETSIG, signal.SIGURG
            )  # should a lease be broken: a signal that does no harm
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)  # given only to who alone has it open
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as exc:
            if exc.errno == errno.EAGAIN:
                return False
        else:
            return True
    return time.time() - os.fstat(fd).st_mtime > _QUIET_S
