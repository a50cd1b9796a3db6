"""What was made of definitions: kept within limits, found by key, dropped by pattern.

An entry has a key, by which it is found, and a name, by which it is dropped. A pattern is compared with whole names, so `qa` drops what was made of
`qa` and leaves `qa-web` alone; `qa*` drops both. Nothing grows old by itself: who asks compares what the entry was made from (a file's times, a
SHA-256, both may stand in the key) and puts a new one where that changed.

What is not used longest makes room, unless it was used since the latest `round` began: a look through more files than there is room for would
otherwise drop each one just before it is asked for.
"""

from __future__ import annotations

import fnmatch
import re
import threading
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast import forks

if TYPE_CHECKING:
    from collections.abc import Hashable

MOST_ENTRIES: Final = 20_000
MOST_BYTES: Final = 64 * 1024 * 1024
_PATTERN = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class Figures:
    """What a cache holds and did.

    Attributes:
        size_bytes: what its entries are said to take.
        hits, misses: questions that it could answer, and that it could not.
        evicted: entries that made room.
        refused: what there was no room for.
        invalidated: entries that were dropped by name or pattern.
    """

    entries: int
    size_bytes: int
    hits: int
    misses: int
    evicted: int
    refused: int
    invalidated: int


@dataclass(slots=True)
class _Entry:
    name: str
    value: Any
    size_bytes: int
    round: int


class Cache:
    """Keeps values; any thread may use it. In a forked child it begins empty.

    Args:
        most_entries, most_bytes: what it keeps at most.
    """

    def __init__(self, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self._most_entries, self._most_bytes = most_entries, most_bytes
        self._begin()

    def _begin(self) -> None:
        self._life = _life
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()  # what was used last stands last
        self._keys: defaultdict[str, set[Hashable]] = defaultdict(set)  # of each name
        self._size_bytes = self._round = self._invalidations = 0
        self._hits = self._misses = self._evicted = self._refused = self._invalidated = 0

    def _mine(self) -> None:
        """What this process put; it holds the lock."""
        if self._life != _life:
            self._begin()

    def round(self) -> None:
        """Begin a round: what is not used in it may be dropped for what is."""
        with _lock:
            self._mine()
            self._round += 1

    @property
    def invalidations(self) -> int:
        """How often something was invalidated. To be read before what is to be kept is made: see `put`."""
        with _lock:
            self._mine()
            return self._invalidations

    def get(self, key: Hashable) -> Any:  # noqa: ANN401 - whatever was put
        """What was put; None: there is nothing."""
        with _lock:
            self._mine()
            entry = self._entries.get(key)
            if entry is None:
                self._misses += 1
                return None
            self._hits += 1
            entry.round = self._round
            self._entries.move_to_end(key)
            return entry.value

    def put(self, key: Hashable, name: str, value: object, size_bytes: int, *, since: int) -> bool:
        """Keep a value instead of what the key had; whether there is room for it.

        Args:
            key: by which it is found.
            name: by which it is dropped.
            value: what is kept.
            size_bytes: what it takes, about.
            since: `invalidations` before it was made. If something was invalidated in the meantime, it may be that from which this was made, and it is
                not kept.
        """
        with _lock:
            self._mine()
            self._drop(key)
            if since != self._invalidations:
                return False
            if not self._make_room(size_bytes):
                self._refused += 1
                return False
            self._entries[key] = _Entry(name, value, size_bytes, self._round)
            self._keys[name].add(key)
            self._size_bytes += size_bytes
            return True

    def drop(self, key: Hashable) -> None:
        """Keep nothing for a key."""
        with _lock:
            self._mine()
            self._drop(key)

    def invalidate(self, pattern: str) -> int:
        """Drop every entry whose name matches; how many there were.

        Args:
            pattern: `*`, `?` and `[…]` as in file names, for the whole name, upper and lower case apart. `[*]` stands for a star.
        """
        with _lock:
            self._mine()
            if _PATTERN.search(pattern) is None:
                return self._invalidate([pattern] if pattern in self._keys else [])
            fits = re.compile(fnmatch.translate(pattern)).match
            return self._invalidate([name for name in self._keys if fits(name)])

    def invalidate_name(self, name: str) -> int:
        """The same for one name, whatever characters it has."""
        with _lock:
            self._mine()
            return self._invalidate([name] if name in self._keys else [])

    def figures(self) -> Figures:
        """What it holds and did."""
        with _lock:
            self._mine()
            return Figures(
                len(self._entries),
                self._size_bytes,
                self._hits,
                self._misses,
                self._evicted,
                self._refused,
                self._invalidated,
            )

    # ── all of these hold the lock ──

    def _invalidate(self, names: list[str]) -> int:
        self._invalidations += 1
        before = len(self._entries)
        for name in names:
            for key in list(self._keys[name]):
                self._drop(key)
        dropped = before - len(self._entries)
        self._invalidated += dropped
        return dropped

    def _make_room(self, size_bytes: int) -> bool:
        if size_bytes > self._most_bytes or self._most_entries < 1:
            return False
        while len(self._entries) >= self._most_entries or self._size_bytes + size_bytes > self._most_bytes:
            key = next(iter(self._entries))
            if self._entries[key].round == self._round:
                return False
            self._drop(key)
            self._evicted += 1
        return True

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._size_bytes -= entry.size_bytes
        keys = self._keys[entry.name]
        keys.discard(key)
        if not keys:
            del self._keys[entry.name]


# One lock for all of them: a fork has one to wait for, and a process has one or two caches, each held for microseconds.
_lock = threading.Lock()
_life = 0  # of the process: one more in a child than in who forked it


def _begin_anew() -> None:
    global _lock, _life  # noqa: PLW0603 - module state is the point
    _lock = threading.Lock()
    _life += 1


forks.hold(lambda: (_lock,), _begin_anew)
