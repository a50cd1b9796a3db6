"""`run/resume-<16 digits>.lock`: one process at a time resumes a session, and the file says which one, and what it started.

The kernel frees the lock when its holder dies, however it dies. What was started then goes on, so the file names that too; whoever
gets the lock looks whether it is alive. It writes its name there itself, after it was forked and before it becomes the tool, and until
then it holds the lock as well: at no moment is there a process that nobody knows of.

The file stays, and keeps the name of the last attempt. Who looked before an attempt and gets the lock after it finds another name than
it saw.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec

from holdfast import processes
from holdfast.errors import ResumeRefused, StoreError
from holdfast.store.lock import lock_within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SIZE_BYTES = 512  # of the padded object, which is replaced by one write
_encode = msgspec.json.Encoder().encode


class Who(msgspec.Struct, frozen=True):
    """One life of one process."""

    pid: int
    started_ticks: int | None = None
    boot: str | None = None

    @classmethod
    def mine(cls) -> Who:
        return cls(*processes.mine())

    @property
    def is_alive(self) -> bool:
        return processes.is_alive(processes.Identity(self.pid, self.started_ticks, self.boot))


class Told(msgspec.Struct, frozen=True):
    """What stands in the file: the last attempt, who made it, and what it started."""

    attempt: str = ""
    by: Who | None = None
    started: Who | None = None


class Claim:
    """The right to resume a session, as long as this process lives and does not give it back."""

    def __init__(self, fd: int, attempt: str) -> None:
        self._fd = fd
        self._told = Told(attempt, Who.mine())

    def tell(self) -> None:
        """Say who holds it."""
        _write(self._fd, self._told)

    def tell_started(self) -> None:
        """Say what was started; called in that process, before it becomes the tool."""
        _write(self._fd, Told(self._told.attempt, self._told.by, Who.mine()))


def told(path: Path) -> Told:
    """What stands in a session's file; nothing, if there is none, or it cannot be understood."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Told)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Told()


@contextlib.contextmanager
def claimed(path: Path, attempt: str, seen: Told) -> Iterator[Claim]:
    """Claim a session for the block.

    Args:
        path: its file; the directory is made if need be.
        attempt: a name that no other attempt has.
        seen: what stood in the file when it was decided to resume.

    Raises:
        ResumeRefused: another process resumes it, or did since, or what one started is alive.
        StoreError: the system does not let us ask.
    """
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        hint = "make room or repair access, then run the same command again"
        raise StoreError(f"{path}: {exc.strerror}", hint=hint) from exc
    try:
        mine = lock_within(fd, 0)
        now = told(path)
        if not mine:
            raise _taken(now)
        if now.started is not None and now.started.is_alive:
            raise _refused(f"process {now.started.pid}, which was started to resume it, is alive")
        if now.attempt != seen.attempt:
            raise _refused("another process has resumed it just now")
        claim = Claim(fd, attempt)
        try:
            claim.tell()
        except OSError as exc:
            raise StoreError(f"{path}: {exc.strerror}", hint="make room or repair access") from exc
        yield claim
    finally:
        os.close(fd)


def _taken(now: Told) -> ResumeRefused:
    if now.started is not None and now.started.is_alive:
        by = f" for process {now.by.pid}" if now.by is not None and now.by.is_alive else ""
        return _refused(f"process {now.started.pid} resumes it{by}")
    who = f"process {now.by.pid}" if now.by is not None and now.by.is_alive else "another process"
    return _refused(f"{who} is resuming it")


def _refused(why: str) -> ResumeRefused:
    return ResumeRefused(
        f"the session is not resumed: {why}",
        hint="nothing was started; `holdfast show` says where it stands",
    )


def _write(fd: int, what: Told) -> None:
    os.pwrite(fd, _encode(what).ljust(_SIZE_BYTES - 1) + b"\n", 0)
