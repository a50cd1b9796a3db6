"""Hold locks while this process forks, so that the child finds nothing that another thread had half done.

A child has the forking thread alone: a lock that another thread held stays held in it for good, and what that lock guards
stays as it was in the middle. So a fork waits for such threads first. It does not wait for ever: after `WAIT_S` it goes on,
and who calls `hold` must be able to begin anew in the child whatever it finds.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WAIT_S = 1.0


class _Held(threading.local):
    """Which locks the fork under way in this thread holds; two threads may fork at once."""

    def __init__(self) -> None:
        self.locks: list[threading.Lock | threading.RLock] = []


def hold(locks: Callable[[], Iterable[threading.Lock | threading.RLock]], anew: Callable[[], None]) -> None:
    """Hold these locks during each fork from now on, and call `anew` in each child.

    Args:
        locks: gives them, always in the same order.
        anew: makes new locks, and begins anew what they guard. Must not raise: the interpreter would drop it and go on.
    """
    held = _Held()

    def before() -> None:
        until = time.monotonic() + WAIT_S
        for lock in locks():
            if lock.acquire(timeout=max(until - time.monotonic(), 0)):
                held.locks.append(lock)

    def in_parent() -> None:
        while held.locks:
            held.locks.pop().release()

    def in_child() -> None:
        held.locks.clear()
        anew()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
