"""Every generation that is known: by its number, by where it is, by its file, by its log."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.monitor.generation import Found, Generation


class Registry:
    """Generations with the ways to find them. Of one log they are kept in the order in which they are read."""

    def __init__(self, known: Iterable[Generation] = ()) -> None:
        self.by_id: dict[int, Generation] = {}
        self.at: dict[str, Generation] = {}  # also under the other names of the same file
        self.by_inode: dict[tuple[int, int], list[Generation]] = {}
        self.by_log: dict[str, list[Generation]] = {}
        self._paths_in: dict[str, set[str]] = {}  # those of `at`, by directory
        self.displaced: set[Generation] = set()  # another one was found where they were
        self.next_id = 1
        for generation in known:
            self.add(generation)

    def add(self, generation: Generation) -> None:
        """Take in a generation."""
        self.by_id[generation.id] = generation
        self.next_id = max(self.next_id, generation.id + 1)
        self.by_inode.setdefault(generation.stamp[:2], []).append(generation)
        self.by_log.setdefault(generation.log, []).append(generation)
        if generation.is_there:
            self._put(generation, generation.path)

    def _put(self, generation: Generation, path: str) -> None:
        earlier = self.at.get(path)
        if earlier is not None and earlier is not generation and earlier.path == path:
            self.displaced.add(earlier)
        if earlier is None:
            self._paths_in.setdefault(_directory(path), set()).add(path)
        self.at[path] = generation

    def alias(self, path: str, generation: Generation) -> None:
        """The same file has this name too."""
        self._put(generation, path)

    def _take_away(self, path: str) -> None:
        del self.at[path]
        self._paths_in[_directory(path)].discard(path)

    def found_in(self, directories: set[str] | None) -> list[Generation]:
        """Generations that are, or were, in these directories; None: anywhere."""
        if directories is None:
            paths = list(self.at)
        else:
            paths = [path for directory in directories for path in self._paths_in.get(directory, ())]
        return list(dict.fromkeys([*(self.at[path] for path in paths), *self.displaced]))

    def place(self, generation: Generation, file: Found) -> None:
        """It was found there."""
        if generation.stamp[:2] != file.stamp[:2]:
            self.by_inode[generation.stamp[:2]].remove(generation)
            self.by_inode.setdefault(file.stamp[:2], []).append(generation)
        if self.at.get(generation.path) is generation and generation.path != file.path:
            self._take_away(generation.path)
        generation.is_outside = generation.is_outside and generation.path == file.path
        generation.path = file.path
        generation.stamp = file.stamp
        generation.is_there = True
        generation.is_unlinked = generation.is_truncated = False
        self.displaced.discard(generation)
        self._put(generation, file.path)

    def lose(self, generation: Generation) -> None:
        """It is not where it was."""
        generation.is_there = False
        generation.is_outside = False
        self.displaced.discard(generation)
        if self.at.get(generation.path) is generation:
            self._take_away(generation.path)

    def forget(self, generation: Generation) -> None:
        """It will not be asked for again."""
        self.lose(generation)
        del self.by_id[generation.id]
        self.by_inode[generation.stamp[:2]].remove(generation)
        if not self.by_inode[generation.stamp[:2]]:
            del self.by_inode[generation.stamp[:2]]
        self.by_log[generation.log].remove(generation)

    def outside(self) -> list[Generation]:
        """Generations that are followed where nobody looks otherwise."""
        return [each for each in self.at.values() if each.is_outside]

    def latest(self, log: str) -> Generation | None:
        """The generation of a log that is read last."""
        known = self.by_log.get(log)
        return known[-1] if known else None


def _directory(path: str) -> str:
    return path.rpartition(os.sep)[0]
