"""Who is to be told of changes. Each subscriber is called in a thread of its own, so that a slow one delays nobody and a failing one harms nobody.

A subscriber is told each change once, in order, by one call at a time. What waits for it is limited: of what is more the oldest is left out, and the
next change that it gets says how many. Once `unsubscribe` has returned, it is not called any more.

In a forked child there are no subscribers: their threads are not there, and who forked it is told already.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_WAITING: Final = 10_000
_log = logging.getLogger("holdfast.definitions")
_here = threading.local()  # `calling`: this thread is one that calls a subscriber


class Tellable(Protocol):
    """Something that subscribers are told of."""

    @property
    def names(self) -> tuple[str, ...]:
        """What patterns are compared with."""


T = TypeVar("T", bound=Tellable)


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of what was told.

    Attributes:
        subscribers: that there are now.
        told: calls that came back.
        failed: calls that raised.
        missed: what was left out because too much waited for a subscriber.
        waiting: calls that are still to be made, those under way included.
    """

    subscribers: int
    told: int
    failed: int
    missed: int
    waiting: int


class _Counts:
    """Of all subscribers, also those that are no more."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.told = self.failed = self.missed = 0


class Subscribers(Generic[T]):
    """Tells what happens to who wants to know; any thread may use it.

    Args:
        with_missed: a change, and how many before it a subscriber missed → what it is told.
        most_waiting: how much waits for one subscriber at most.
    """

    def __init__(self, with_missed: Callable[[T, int], T], most_waiting: int = MOST_WAITING) -> None:
        self._with_missed, self._most_waiting = with_missed, most_waiting
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._all: list[_Subscriber[T]] = []
        self._counts = _Counts()

    def _mine(self) -> None:
        """In a child begin anew: the lock may be held by a thread that is not there."""
        if self._pid != os.getpid():
            self._begin()

    def add(self, callback: Callable[[T], object], pattern: str) -> Callable[[], None]:
        """Tell `callback` from now on of what has a name that fits; how to end that.

        What it returns waits for a call that is under way. From within a subscriber it does not, as that may wait for itself; then too no other call begins.
        """
        self._mine()
        pid = self._pid
        one = _Subscriber(callback, pattern, self._with_missed, self._most_waiting, self._counts)
        with self._lock:
            self._all.append(one)

        def unsubscribe() -> None:
            if os.getpid() == pid:
                self._leave(one, None)

        return unsubscribe

    def tell(self, changes: Iterable[T]) -> None:
        """Hand over what happened, in order. Returns at once, whatever subscribers do."""
        self._mine()
        with self._lock:  # over all of them, so that two threads that tell do not mix their order
            for change in changes:
                for one in self._all:
                    one.tell(change)

    def figures(self) -> Figures:
        """What became of what was told so far."""
        self._mine()
        with self._lock:
            waiting = sum(one.waiting() for one in self._all)
            counts = self._counts
            with counts.lock:
                return Figures(len(self._all), counts.told, counts.failed, counts.missed, waiting)

    def close(self, timeout_s: float) -> bool:
        """Call subscribers with what waits for them, and make no call afterwards; whether all was told in this time (seconds)."""
        self._mine()
        with self._lock:
            leaving = list(self._all)
        until_s = time.monotonic() + timeout_s
        drained = [one.drained(until_s) for one in leaving]
        for one in leaving:
            self._leave(one, until_s)
        return all(drained)

    def _leave(self, one: _Subscriber[T], until_s: float | None) -> None:
        one.leave(until_s)
        with self._lock:
            if one in self._all:
                self._all.remove(one)


class _Subscriber(Generic[T]):
    """One callback, what waits for it, and the thread that calls it."""

    def __init__(
        self,
        callback: Callable[[T], object],
        pattern: str,
        with_missed: Callable[[T, int], T],
        most_waiting: int,
        counts: _Counts,
    ) -> None:
        self._callback, self._with_missed, self._counts = callback, with_missed, counts
        self._fits = re.compile(fnmatch.translate(pattern)).match
        self._changed = threading.Condition()
        self._waiting: deque[T] = deque()
        self._most_waiting = most_waiting
        self._missed = 0  # before what waits first
        self._thread: threading.Thread | None = None
        self._is_calling = self._is_leaving = False

    def tell(self, change: T) -> None:
        if not any(map(self._fits, change.names)):
            return
        with self._changed:
            if self._is_leaving:
                return
            if len(self._waiting) >= self._most_waiting:
                self._waiting.popleft()
                self._missed += 1
                with self._counts.lock:
                    self._counts.missed += 1
            self._waiting.append(change)
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="holdfast-subscriber", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads now, or the interpreter ends
            _log.exception(
                "a subscriber to definitions cannot be called; it is tried again with the next change"
            )
        else:
            self._thread = thread

    def _run(self) -> None:
        _here.calling = True
        while (change := self._next()) is not None:
            failed = False
            try:
                self._callback(change)
            except BaseException:  # noqa: BLE001 - even `SystemExit` would end this thread without a word
                _log.exception(
                    "a subscriber to definitions failed; it is told of the next change all the same"
                )
                failed = True
            with self._counts.lock:
                self._counts.failed += failed
                self._counts.told += not failed
            del change  # the next one may be long in coming

    def _next(self) -> T | None:
        """What to call it with; None: it has left."""
        with self._changed:
            self._is_calling = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._is_leaving)
            if self._is_leaving:
                return None
            self._is_calling = True
            missed, self._missed = self._missed, 0
            change = self._waiting.popleft()
        return self._with_missed(change, missed) if missed else change

    def drained(self, until_s: float) -> bool:
        """Wait until nothing waits for it; False: that is not so at this time of the monotonic clock."""
        with self._changed:
            if _is_in_a_call():
                return not self._waiting
            return self._changed.wait_for(lambda: not (self._waiting or self._is_calling), _left_s(until_s))

    def leave(self, until_s: float | None) -> None:
        """Begin no call any more, and wait for the one under way; until a time of the monotonic clock, None: as long as it takes."""
        with self._changed:
            self._is_leaving = True
            self._waiting.clear()
            self._changed.notify_all()
            if not _is_in_a_call():
                left_s = None if until_s is None else _left_s(until_s)
                self._changed.wait_for(lambda: not self._is_calling, left_s)

    def waiting(self) -> int:
        with self._changed:
            return len(self._waiting) + self._is_calling


def _is_in_a_call() -> bool:
    """Whether this thread is one that calls a subscriber, which cannot wait for itself."""
    return getattr(_here, "calling", False)


def _left_s(until_s: float) -> float:
    return max(until_s - time.monotonic(), 0)
