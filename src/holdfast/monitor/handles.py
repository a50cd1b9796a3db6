"""Open files of logs, so that what is renamed or deleted can still be read to its end; few, those used last."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.monitor.generation import Generation

LIMIT = 64


class Handles:
    """Open files by generation, at most `limit` and those that are pinned: nothing else leads to what they hold."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = max(1, limit)
        self._fds: OrderedDict[int, int] = OrderedDict()
        self._pinned: set[int] = set()

    def __len__(self) -> int:
        return len(self._fds)

    def __contains__(self, generation: int) -> bool:
        return generation in self._fds

    def held(self) -> list[int]:
        """The generations whose files are open, the longest unused first."""
        return list(self._fds)

    def fd(self, generation: int) -> int | None:
        """The open file of a generation."""
        return self._fds.get(generation)

    def use(self, generation: Generation) -> int:
        """The open file of a generation, opened if need be. Raises OSError."""
        fd = self._fds.get(generation.id)
        if fd is None:
            fd = open_regular(generation.path)
            self.keep(generation.id, fd)
        self._fds.move_to_end(generation.id)
        return fd

    def keep(self, generation: int, fd: int) -> None:
        """Hold an open file for a generation; the longest unused ones are closed."""
        self.drop(generation)
        self._fds[generation] = fd
        self._close_beyond_limit()

    def pin(self, generation: int) -> None:
        """Do not close this one until it is unpinned."""
        if generation in self._fds:
            self._pinned.add(generation)

    def unpin(self, generation: int) -> None:
        """It is like any other."""
        self._pinned.discard(generation)

    def trim(self) -> None:
        """Close what is too many."""
        self._close_beyond_limit()

    def _close_beyond_limit(self) -> None:
        too_many = len(self._fds) - self._limit
        if too_many > 0:
            *_, last = self._fds  # the one in use
            unpinned = [each for each in self._fds if each not in self._pinned and each != last]
            for generation in unpinned[:too_many]:
                self.drop(generation)

    def drop(self, generation: int) -> None:
        """Close the file of a generation, if it is open."""
        fd = self._fds.pop(generation, None)
        self._pinned.discard(generation)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        """Close all."""
        while self._fds:
            os.close(self._fds.popitem()[1])


def open_regular(path: str) -> int:
    """Open a file for reading that is no pipe and no device; never waits. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError("it is no regular file")
    return fd
