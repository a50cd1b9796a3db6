"""What a disk may hold after a crash and a loss of power.

A `Log` is what a program did to files and names, in order, with the moments of its promises. At any moment of it a
crash leaves one of many states. The model is what POSIX allows, not what one file system happens to do:

    what was synced stays: the content of a file as of the begin of its fsync, the names of a directory as of its own
    a write that was not synced: lost, kept, cut at any byte, without its beginning, zeros or garbage in its place
    a file's size: as far as it was ever written, as far as data was kept, or shorter; never below what was synced
    a name in a directory that was not synced: there or not, each change on its own, whatever became of the file
    a rename in it: not done, done, or both names; never neither
    between files and directories: no order at all
    after a failed fsync: what it was to sync may be lost for good, even when a later fsync succeeds
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

ROOT = 0
_SECTOR_BYTES = 512


class Write(NamedTuple):
    """Bytes at an offset of a file; `data` None: it was cut to `offset` bytes."""

    node: int
    offset: int
    data: bytes | None


class Names(NamedTuple):
    """A change of one directory: name → what it stands for now (None: nothing)."""

    node: int
    changes: tuple[tuple[str, int | None], ...]


class Sync(NamedTuple):
    """A file or directory was synced: what was done to it before step `begin` stays."""

    node: int
    begin: int


class SyncFailed(NamedTuple):
    """An fsync failed: what was done to the file before step `begin` and not synced may be lost for good."""

    node: int
    begin: int


class Promise(NamedTuple):
    """From here on this key must be found after any crash."""

    key: str


Step = Write | Names | Sync | SyncFailed | Promise


@dataclass
class Log:
    """What was done, in order."""

    steps: list[Step] = field(default_factory=list)
    directories: set[int] = field(default_factory=lambda: {ROOT})
    known: dict[str, bytes] = field(default_factory=dict)  # everything that may be found
    settled: int = 0  # what was done before this step is on the disk for certain


@dataclass
class _Change:
    step: Write | Names
    durable: bool = False
    doomed: bool = False


class Tree(NamedTuple):
    """One state: content of each file and names of each directory, by node."""

    contents: dict[int, bytes]
    names: dict[int, dict[str, int]]

    def files(self, node: int = ROOT, at: str = "") -> Iterator[tuple[str, bytes | None]]:
        """(path, content) of everything that can be reached, parents first; content None: a directory."""
        for name, child in self.names.get(node, {}).items():
            path = f"{at}{name}"
            if child in self.names:
                yield path, None
                yield from self.files(child, f"{path}/")
            else:
                yield path, self.contents.get(child, b"")

    def lay_out(self, root: Path) -> None:
        """Make it real below an empty directory."""
        for path, content in self.files():
            if content is None:
                (root / path).mkdir(mode=0o700)
            else:
                (root / path).write_bytes(content)
                (root / path).chmod(0o600)


class Moment:
    """What was done to files and names until a step, and what of it must have reached the disk."""

    def __init__(self, log: Log, upto: int) -> None:
        self._directories = log.directories
        self.promised: list[str] = []
        self._changes: dict[int, list[_Change]] = {}
        begun: dict[int, list[tuple[int, _Change]]] = {}
        for number, step in enumerate(log.steps[:upto]):
            if isinstance(step, Promise):
                self.promised.append(step.key)
            elif isinstance(step, Write | Names):
                change = _Change(step, durable=number < log.settled)
                self._changes.setdefault(step.node, []).append(change)
                begun.setdefault(step.node, []).append((number, change))
            else:
                for at, change in begun.get(step.node, []):
                    if at < step.begin and not change.durable and not change.doomed:
                        change.durable = isinstance(step, Sync)
                        change.doomed = not change.durable

    def everything(self) -> Tree:
        """The state in which every change is on the disk."""
        return self._tree(_Whole())

    def sample(self, chooser: random.Random, count: int) -> Iterator[Tree]:
        """States: the plain ones first (nothing, everything, names alone, data alone), then at random."""
        plain = [("none", "none"), ("all", "all"), ("none", "all"), ("all", "none")]
        for number in range(count):
            data, names = plain[number] if number < len(plain) else (None, None)
            yield self._tree(_Chance(chooser, data, names))

    def _tree(self, fate: _Fate) -> Tree:
        contents: dict[int, bytes] = {}
        names: dict[int, dict[str, int]] = {node: {} for node in self._directories}
        for node, changes in self._changes.items():
            if node in self._directories:
                for change, kept in zip(changes, fate.names(changes), strict=True):
                    _rename(names[node], change.step, kept)  # type: ignore[arg-type]
            else:
                contents[node] = fate.content(changes)
        return Tree(contents, names)


def _rename(entries: dict[str, int], step: Names, kept: str) -> None:
    for name, node in step.changes:
        if kept == "none" or (kept == "both" and node is None):
            continue
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


class _Fate:
    """Decides what became of changes."""

    def names(self, changes: list[_Change]) -> list[str]:
        """For each change of a directory: none, all, or both (a rename that left the old name too)."""
        raise NotImplementedError

    def content(self, changes: list[_Change]) -> bytes:
        raise NotImplementedError


class _Whole(_Fate):
    def names(self, changes: list[_Change]) -> list[str]:
        return ["all"] * len(changes)

    def content(self, changes: list[_Change]) -> bytes:
        out = bytearray()
        for change in changes:
            _put(out, change.step.offset, change.step.data)  # type: ignore[union-attr]
        return bytes(out)


class _Chance(_Fate):
    """Draws a pattern for each file and directory, and the details within it."""

    def __init__(self, chooser: random.Random, data: str | None, names: str | None) -> None:
        self._chooser = chooser
        self._data = data
        self._names = names

    def names(self, changes: list[_Change]) -> list[str]:
        pattern = self._names or self._pattern()
        open_ones = [i for i, change in enumerate(changes) if not change.durable]
        kept = self._chosen(pattern, open_ones)
        out = []
        for i, change in enumerate(changes):
            whole = change.durable or i in kept
            both = not change.durable and i in kept and self._names is None and self._chooser.random() < 0.2
            out.append("both" if both else "all" if whole else "none")
        return out

    def content(self, changes: list[_Change]) -> bytes:
        pattern = self._data or self._pattern()
        kept = self._chosen(pattern, [i for i, change in enumerate(changes) if not change.durable])
        out = bytearray()
        reached = 0  # as far as it was ever written
        for i, change in enumerate(changes):
            step = change.step
            assert isinstance(step, Write)
            if step.data is not None:
                reached = max(reached, step.offset + len(step.data))
            if change.durable or i in kept:
                _put(out, step.offset, step.data)
            elif self._data is None and step.data is not None:
                self._damage(out, step.offset, step.data)
        return bytes(self._sized(out, changes, reached))

    def _sized(self, out: bytearray, changes: list[_Change], reached: int) -> bytearray:
        """The size may be ahead of the data, or behind it; what was synced stays."""
        least = max((c.step.offset + len(c.step.data or b"") for c in changes if c.durable), default=0)  # type: ignore[union-attr]
        chance = 1.0 if self._data else self._chooser.random()
        if chance < 0.25 and reached > len(out):
            out.extend(bytes(reached - len(out)))
        elif chance < 0.5 and len(out) > least:
            del out[self._chooser.randint(least, len(out)) :]
        return out

    def _pattern(self) -> str:
        return self._chooser.choice(("none", "all", "prefix", "one lost", "one kept", "some", "some"))

    def _chosen(self, pattern: str, numbers: list[int]) -> set[int]:
        if pattern == "none" or not numbers:
            return set()
        if pattern == "all":
            return set(numbers)
        if pattern == "prefix":
            return set(numbers[: self._chooser.randint(0, len(numbers))])
        if pattern == "some":
            return {n for n in numbers if self._chooser.random() < 0.5}
        one = {self._chooser.choice(numbers)}
        return one if pattern == "one kept" else set(numbers) - one

    def _damage(self, out: bytearray, offset: int, data: bytes) -> None:
        """What is left of a write that was not kept whole; often nothing."""
        how = self._chooser.choice(("lost", "lost", "cut", "headless", "zeros", "garbage", "sectors"))
        at = self._chooser.randint(0, len(data))
        if how == "cut":
            _put(out, offset, data[:at])
        elif how == "headless":
            _put(out, offset + at, data[at:])
        elif how == "zeros":
            _put(out, offset, bytes(len(data)))
        elif how == "garbage":
            _put(out, offset, self._chooser.randbytes(at))
        elif how == "sectors":
            edge = _SECTOR_BYTES - offset % _SECTOR_BYTES
            for begin in (0, *range(edge, len(data), _SECTOR_BYTES)):
                end = edge if begin == 0 else begin + _SECTOR_BYTES
                if self._chooser.random() < 0.5:
                    _put(out, offset + begin, data[begin:end])


def _put(out: bytearray, offset: int, data: bytes | None) -> None:
    """Write, with zeros where nothing was written before; or cut."""
    if data is None:
        del out[offset:]
    elif data:
        out.extend(bytes(max(0, offset - len(out))))
        out[offset : offset + len(data)] = data
