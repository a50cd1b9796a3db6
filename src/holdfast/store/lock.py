"""`writer.lock`: one process at a time captures, folds, migrates and rebuilds, and says in the file who it is.

The kernel frees the lock when its holder dies, however it dies. What stands in the file is one JSON object, padded to a
fixed size so that it is replaced by one write: whoever finds the lock taken can name the holder, its version and how far it is.
It is believed only as long as that very process lives; a holder that leaves in order empties the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

import msgspec

from holdfast import processes
from holdfast.errors import StoreError
from holdfast.store import asking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "writer.lock"
SERVING = "serve"  # what a service holds the lock for, as long as it runs
_SIZE_BYTES = 512  # of the padded object; an unusually long one is simply not told
_YIELD_WAIT_S = 5.0  # a service lets go at the end of a batch


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the lock, and what for ("import", "fold" or "serve"); `total_bytes` 0: how far it is was not told."""

    pid: int
    started_ticks: int | None
    boot: str | None
    holdfast: str
    schema: int
    projection: int
    doing: str
    done_bytes: int = 0
    total_bytes: int = 0

    @property
    def serves(self) -> bool:
        """Whether it is a service, which can be asked."""
        return self.doing == SERVING

    @property
    def percent(self) -> int | None:
        """How much of it is done; None: not told."""
        return 100 * self.done_bytes // self.total_bytes if self.total_bytes else None

    def __str__(self) -> str:
        return f"process {self.pid} (Holdfast {self.holdfast})"


@contextlib.contextmanager
def held(home: Path, wait_ms: int, *, ask: bool = False, name: str = NAME) -> Iterator[bool]:
    """Try to get the lock for the block; yields whether it worked.

    Args:
        home: the home; of another lock that is told in the same way, the directory where it lies.
        name: of its file.
        wait_ms: how long to wait for who holds it.
        ask: have a service that holds it let go of it for the block.

    Raises:
        StoreError: the system does not let us ask for it.
    """
    try:
        fd = os.open(home / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        hint = "make room or repair access, then run the same command again"
        raise StoreError(f"{home / name}: {exc.strerror}", hint=hint) from exc
    mine = False
    with contextlib.ExitStack() as stack:
        try:
            mine = lock_within(fd, 0)
            if not mine and ask:
                stack.enter_context(asking.yielded(home, _YIELD_WAIT_S))
            mine = mine or lock_within(fd, wait_ms)
            yield mine
        finally:
            if mine:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, 0)
            os.close(fd)


def lock_within(fd: int, wait_ms: int) -> bool:
    """Try to lock an open file for this process alone; whether it worked."""
    deadline_ns = time.monotonic_ns() + wait_ms * 1_000_000
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic_ns() >= deadline_ns:
                return False
            time.sleep(0.01)
        else:
            return True


def tell(home: Path, holder: Holder, *, name: str = NAME) -> None:
    """Write down who holds the lock; only the holder may call this. A full disk is no reason to stop working."""
    line = msgspec.json.encode(holder)
    if len(line) >= _SIZE_BYTES:
        return
    with contextlib.suppress(OSError):
        fd = os.open(home / name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.pwrite(fd, line.ljust(_SIZE_BYTES - 1) + b"\n", 0)
        finally:
            os.close(fd)


def holder(home: Path, *, name: str = NAME) -> Holder | None:
    """Who holds the lock; None when nobody does, or somebody who does not say."""
    try:
        found = msgspec.json.decode((home / name).read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    who = processes.Identity(found.pid, found.started_ticks, found.boot)
    return found if processes.is_alive(who) else None
