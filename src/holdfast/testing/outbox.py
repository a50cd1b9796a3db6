"""The state of the tailing adapter: positions, and the lines behind them until the consumer has them, in one database.

`STATE` is a file, or a directory in which `tail.db` is used. Beside it lie SQLite's own files and `….lock`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

import apsw

from holdfast.errors import TailFailed, TailTaken
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEPT_BYTES = 16 << 20  # printed lines that are kept for a consumer that never acknowledges any
WAITING_BYTES = 64 << 20  # unacknowledged lines from which on nothing more is read
CORRUPT = (apsw.CorruptError, apsw.NotADBError)  # what SQLite finds out
DAMAGED = (*CORRUPT, apsw.SQLError, TypeError, ValueError, IndexError)  # ... and what it does not, on opening
_SUFFIXES = ("", "-wal", "-shm", "-journal", ".lock")


_SQL = statements("outbox", "holdfast.testing")


class Lock:
    """Held by the one reader of a state; the kernel frees it when its holder dies.

    Raises:
        TailTaken: another process holds it.
        TailFailed: the state's directory cannot be used.
    """

    def __init__(self, path: str) -> None:
        try:
            self._fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise TailFailed(path, exc.strerror or str(exc)) from exc
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise TailTaken(path) from None

    def release(self) -> None:
        os.close(self._fd)


def place(state: str) -> str:
    """The database for a STATE as it was given; missing directories are made. Raises TailFailed."""
    path = os.path.abspath(state)  # noqa: PTH100
    try:
        if os.path.isdir(path) or state.endswith(os.sep):  # noqa: PTH112
            path = os.path.join(path, "tail.db")  # noqa: PTH118
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
    except OSError as exc:
        raise TailFailed(path, exc.strerror or str(exc)) from exc
    return path


def belonging(path: str) -> list[str]:
    """Every file that is, or may become, part of a state."""
    return [path + suffix for suffix in _SUFFIXES] + [_aside(path, number) for number in range(1, 100)]


def set_aside(path: str) -> str:
    """Move a damaged database out of the way, with what belongs to it; returns where it lies. Raises TailFailed."""
    try:
        target = next(name for number in range(1, 100) if not os.path.lexists(name := _aside(path, number)))
        for suffix in ("-wal", "-shm", "-journal", ""):
            with contextlib.suppress(FileNotFoundError):
                os.rename(path + suffix, target + suffix)  # noqa: PTH104
    except (OSError, StopIteration) as exc:
        raise TailFailed(path, f"it is damaged, and cannot be set aside: {exc}") from exc
    return target


def _aside(path: str, number: int) -> str:
    return f"{path}.damaged-{number}"


class Outbox:
    """An open state.

    Raises:
        DAMAGED: it is not what was written.
        TailFailed: it cannot be opened or written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self.db = self._open(path)
        except DAMAGED:
            raise
        except apsw.Error as exc:
            raise TailFailed(path, str(exc)) from exc
        state = self._rows("state")[0]
        self.id: str = state[0]
        self.last: int = state[1]
        self.printed: int = state[2]
        self.acknowledged: int | None = state[3]
        self._sizes: deque[tuple[int, int]] = deque(self._rows("sizes"))
        self._kept_bytes = sum(size for _, size in self._sizes)

    def _open(self, path: str) -> apsw.Connection:
        if os.path.exists(path) and not os.path.getsize(path):  # noqa: PTH110, PTH202
            raise ValueError("the file is empty")
        db = apsw.Connection(path)
        db.set_busy_timeout(1_000)
        db.execute("PRAGMA journal_mode = WAL").get  # noqa: B018 - reading the answer runs the statement
        db.execute("PRAGMA synchronous = NORMAL")
        if db.execute("PRAGMA quick_check(1)").get != "ok":
            raise ValueError("the database is damaged")
        with db:
            db.execute(_SQL["tables"])
            db.execute(_SQL["begin"], (str(uuid.uuid4()),))
        os.chmod(path, 0o600)  # noqa: PTH101
        return db

    def _rows(self, name: str, *values: int) -> list[tuple[Any, ...]]:
        return self.db.execute(_SQL[name], values).fetchall()

    def add(self, items: Iterable[bytes], *, last: int) -> None:
        """Take in items with the numbers up to `last`; in the caller's transaction, `took_in` after it."""
        items = list(items)
        first = last - len(items) + 1
        self.db.executemany(_SQL["add"], list(enumerate(items, first)))
        self.db.execute(_SQL["set_last"], (last,))

    def took_in(self, sizes: list[int]) -> None:
        """The transaction with these items was committed."""
        for size in sizes:
            self.last += 1
            self._sizes.append((self.last, size))
            self._kept_bytes += size

    def unprinted(self) -> Iterator[tuple[int, bytes]]:
        """Items from the first one on that was not printed."""
        after = self.printed
        while rows := self._rows("items", after):
            for seq, item in rows:
                yield seq, item
                after = seq

    @contextlib.contextmanager
    def printing(self, last: int) -> Iterator[None]:
        """Note that items were printed, after the block has printed them."""
        with self.db:
            self.db.execute(_SQL["set_printed"], (last,))
            yield
        self.printed = last

    def go_back_to(self, seq: int) -> int:
        """Print again from behind this number on; returns the number behind which everything is still there."""
        oldest = self._sizes[0][0] - 1 if self._sizes else self.last
        self.printed = min(self.last, max(seq, oldest))
        return oldest

    def acknowledge(self, seq: int) -> None:
        """The consumer has everything up to this number."""
        self.acknowledged = max(self.acknowledged or 0, min(seq, self.printed))
        with self.db:
            self.db.execute(_SQL["set_acknowledged"], (self.acknowledged,))

    def tidy(self) -> None:
        """Drop what will not be asked for again."""
        drop = None
        while self._sizes:
            seq, size = self._sizes[0]
            if self.acknowledged is None:
                is_done = seq <= self.printed and self._kept_bytes > KEPT_BYTES
            else:
                is_done = seq <= self.acknowledged
            if not is_done:
                break
            self._sizes.popleft()
            self._kept_bytes -= size
            drop = seq
        if drop is not None:
            with self.db:
                self.db.execute(_SQL["drop"], (drop,))

    def is_full(self) -> bool:
        """Whether too much waits for acknowledgement to read more."""
        return self.acknowledged is not None and self._kept_bytes > WAITING_BYTES

    def close(self) -> None:
        self.db.close()
