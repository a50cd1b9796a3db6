"""Hints that a directory which is not there yet may have come. The nearest directory above it is watched, by itself and for names only.

So `mkdir -p .claude/agents` is noticed at once, and nobody watches all of a project for it. Never the truth, as `monitor/notice.py`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from holdfast.monitor import inotify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.monitor.inotify import Inotify

_READS_LIMIT = 64


class Expected:
    """Watch for directories that are not there."""

    def __init__(self) -> None:
        self._queue: Inotify | None = None
        self._names: dict[int, set[str]] = {}  # of a watch: the names that are waited for
        with contextlib.suppress(OSError):
            self._queue = inotify.Inotify()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What can be read when something may have come."""
        return () if self._queue is None else (self._queue.fd,)

    def expect(self, paths: Iterable[str]) -> bool:
        """Wait for these directories from now on, and for no others; whether one of them is there already."""
        if self._queue is None:
            return False
        before, self._names = self._names, {}
        came = False
        for path in paths:
            came = self._expect(path) or came
        for watch in before.keys() - self._names.keys():
            self._queue.unwatch(watch)
        return came

    def _expect(self, path: str) -> bool:
        assert self._queue is not None
        name = ""
        while not os.path.isdir(path):  # noqa: PTH112 - text, whatever bytes it has
            path, name = os.path.split(path.rstrip(os.sep) or os.sep)
            if not name:
                return False
        if not name:
            return True
        try:
            self._names.setdefault(self._queue.watch(path, inotify.NAMES), set()).add(name)
        except OSError:  # gone again, or no more watches are allowed: time tells then
            return False
        return os.path.isdir(os.path.join(path, name))  # noqa: PTH112, PTH118 - it came meanwhile

    def came(self) -> bool:
        """Whether something happened that may be one of them. What it says it says once."""
        out = False
        for _ in range(_READS_LIMIT):
            events = list(self._queue.read()) if self._queue is not None else []
            if not events:
                break
            for event in events:
                if event.mask & inotify.QUEUE_OVERFLOW:
                    out = True
                elif event.watch in self._names:
                    out = out or not event.name or event.name in self._names[event.watch]
        return out

    def close(self) -> None:
        if self._queue is not None:
            self._queue.close()
            self._queue = None
