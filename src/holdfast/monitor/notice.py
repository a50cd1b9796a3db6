"""Hints which directories changed, so that a reader need not look at all of them. Never the truth.

Where the system gives no notes (not Linux), or not about everything (more directories than `watch_limit` or than the system
allows), `wait` says None from time to time: unknown, look everywhere. What it cannot know of at all: changes that another
machine makes on a network file system, and writes to a file outside that is reached by a link to the file. So a reader looks
everywhere now and then in any case.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from typing import TYPE_CHECKING, Self

from holdfast.monitor import inotify

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from holdfast.monitor.inotify import Event, Inotify

WATCH_LIMIT = 16_384  # directories; the kernel keeps about 1 KiB for each
_READS_LIMIT = (
    64  # reads of the queue in one wait, so that a flood of notes cannot keep the caller from its work
)


class Notices:
    """Watch directories with everything below them, also what appears there later and what links to directories lead to.

    A directory that does not exist yet is looked for at each `wait`. One thread waits; any thread, and a signal handler, may `wake`.

    Args:
        paths: the directories.
        watch_limit: how many directories are watched at most, those near the top first.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]], *, watch_limit: int = WATCH_LIMIT) -> None:
        self._roots = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - strings, as they are reported
        self._limit = watch_limit
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        self._queue: Inotify | None = None
        self._paths: dict[int, set[str]] = {}  # of a watch; more than one where links lead to a directory
        self._watches: dict[str, int] = {}  # of a path
        self._changed: set[str] = set()
        self._complete = False
        self.overflows = 0  # how often the system had more to tell than its queue holds
        self._unknown = True  # what changed before the first wait
        self._unknown_s = time.monotonic()
        self._start()

    def wait(self, timeout_s: float | None, *also: int) -> set[str] | None:
        """Wait for a change, for `wake`, or for the time to pass; None as time waits without end.

        Args:
            timeout_s: how long to wait at most.
            also: descriptors; that one of them can be read ends the wait too.

        Returns:
            The directories in which something changed: a name, a size, an attribute, or the directory is new or gone. Empty:
            nothing, as far as can be known. None: it is not known what changed. The first answer is None, at once: what
            happens after it is seen.
        """
        ready = select.poll()
        for fd in (self._woken, *also):
            ready.register(fd, select.POLLIN)
        if self._queue is not None:
            ready.register(self._queue.fd, select.POLLIN)
        self._look_for_missing_roots()
        if not (self._unknown or self._changed):
            ready.poll(None if timeout_s is None else max(0, timeout_s) * 1_000)
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4_096)
        self._take_notes()
        if not self._complete and timeout_s is not None:
            self._unknown = self._unknown or time.monotonic() - self._unknown_s >= timeout_s
        return self._answer()

    def wake(self) -> None:
        """End the present wait, or the next one if there is none."""
        with contextlib.suppress(BlockingIOError):  # full of earlier calls
            os.write(self._waker, b"\0")

    @property
    def is_complete(self) -> bool:
        """Whether every directory is watched; if not, `wait` says None when its time has passed."""
        return self._complete

    @property
    def watch_count(self) -> int:
        """How many directories are watched."""
        return len(self._paths)

    def close(self) -> None:
        """Give everything back; no thread may be waiting."""
        if self._queue is not None:
            self._queue.close()
            self._queue = None
        for end in (self._woken, self._waker):
            os.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ── what is watched ──

    def _start(self) -> None:
        """Watch everything from the roots on, in a new queue."""
        if self._queue is not None:
            self._queue.close()
            self._queue = None
        self._paths.clear()
        self._watches.clear()
        try:
            self._queue = inotify.Inotify()
        except OSError:
            self._complete = False
            return
        self._complete = True
        for root in self._roots:
            self._watch_tree(root)
        self._changed.clear()

    def _look_for_missing_roots(self) -> None:
        if self._queue is None:
            return
        for root in self._roots:
            if root not in self._watches and self._is_room():
                self._watch_tree(root)

    def _is_room(self) -> bool:
        return len(self._paths) < self._limit

    def _watch_tree(self, top: str) -> None:
        """Watch a directory and all below it, and note them as changed: things may have happened there unseen."""
        level = [top]
        while level:
            below: list[str] = []
            for path in level:
                if path not in self._watches and self._watch(path):
                    below += _directories_in(path)
            level = below

    def _watch(self, path: str) -> bool:
        """Watch one directory; whether to go on below it."""
        assert self._queue is not None
        if not self._is_room():
            self._complete = False
            return False
        try:
            watch = self._queue.watch(path)
        except OSError as exc:
            # gone again, or not ours to read: there is nothing to be seen there by anyone
            self._complete = self._complete and exc.errno in _NOTHING_THERE
            return False
        known = self._paths.setdefault(watch, set())
        is_new = not known
        known.add(path)
        self._watches[path] = watch
        self._changed.add(path)
        return is_new

    def _drop_tree(self, top: str) -> None:
        """Watch a directory that left its place, and all below it, no longer under these paths.

        A directory of it may be known under another path too, because of a link or because it was met in its new place before
        the note of its move; what is below was then watched under the first path only, so it is watched anew.
        """
        again: list[str] = []
        todo = [top]
        while todo:
            root = todo.pop()
            below = root + os.sep
            for path in [path for path in self._watches if path == root or path.startswith(below)]:
                others = self._drop(path)
                again += others
                todo += others
        for path in sorted(again):
            self._watch_tree(path)

    def _drop(self, path: str) -> set[str]:
        """Watch one directory no longer under this path; returns the others that it has."""
        watch = self._watches.pop(path)
        paths = self._paths[watch]
        paths.discard(path)
        if not paths:
            assert self._queue is not None
            self._queue.unwatch(watch)
            del self._paths[watch]
        return set(paths)

    # ── what is told ──

    def _take_notes(self) -> None:
        for _ in range(_READS_LIMIT):
            events = list(self._queue.read()) if self._queue is not None else []
            if not events:
                return
            for event in events:
                if event.mask & inotify.QUEUE_OVERFLOW:
                    self.overflows += 1
                    self._unknown = True
                    self._start()
                    return
                self._take(event)

    def _take(self, event: Event) -> None:
        for directory in sorted(self._paths.get(event.watch, ())):
            self._changed.add(directory)
            if event.mask & inotify.MOVE_SELF:
                self._drop_tree(directory)
            elif event.mask & (inotify.DELETE_SELF | inotify.IGNORED):
                self._drop(directory)  # it was empty
            elif event.name:
                self._take_name(f"{directory.rstrip(os.sep)}{os.sep}{event.name}", event.mask)

    def _take_name(self, path: str, mask: int) -> None:
        """Follow what a name in a watched directory has become."""
        if path in self._watches and mask & (inotify.MOVED_FROM | inotify.DELETE):
            self._drop_tree(path)
        elif mask & (inotify.CREATE | inotify.MOVED_TO | inotify.ATTRIB) and os.path.isdir(path):  # noqa: PTH112
            self._watch_tree(path)

    def _answer(self) -> set[str] | None:
        changed, self._changed = self._changed, set()
        if not self._unknown:
            return changed
        self._unknown = False
        self._unknown_s = time.monotonic()
        return None


_NOTHING_THERE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP}


def _directories_in(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if _is_directory(entry)]
    except OSError:
        return []


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a directory, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
