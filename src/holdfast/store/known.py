"""Which record ids were seen, and with what content, for any number of records in bounded memory.

The table lies in a scratch file in the home that has no name: it is gone with its process, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import time
from enum import Enum
from typing import TYPE_CHECKING, Self

import apsw

from holdfast.ids import uuid7
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from pathlib import Path

_SQL = statements("known")
_PREFIX = ".known-"
_MOMENT_S = 60


class Sight(Enum):
    """What an id was when it was added."""

    NEW = "new"
    SAME = "same"
    OTHER = "other"


class Known:
    """Ids with digests of their contents; close it, or use it as a context.

    Args:
        directory: where the scratch file goes (about 50 bytes a record).
    """

    def __init__(self, directory: Path) -> None:
        _drop_leftovers(directory)
        path = directory / f"{_PREFIX}{uuid7()}"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._db.execute(_SQL["open"]).fetchall()
        finally:
            path.unlink(missing_ok=True)

    def add(self, record_id: str, digest: bytes = b"") -> Sight:
        """Add an id, unless it is known; says whether it was, and with this digest."""
        key = _key(record_id)
        if self._db.execute(_SQL["add"], (key, digest)).get is not None:
            return Sight.NEW
        return Sight.SAME if self._db.execute(_SQL["digest_of"], (key,)).get == digest else Sight.OTHER

    def close(self) -> None:
        """Give the scratch file back."""
        self._db.close(force=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _drop_leftovers(directory: Path) -> None:
    """Remove what a process left that was killed before it could take the name away, which takes a moment only."""
    for name in os.listdir(directory):  # noqa: PTH208 - names only
        if name.startswith(_PREFIX):
            path = directory / name
            with contextlib.suppress(FileNotFoundError):
                if abs(time.time() - path.stat().st_mtime) > _MOMENT_S:
                    path.unlink()


def _key(record_id: str) -> bytes:
    """The id in half the room; one that is no UUID, as it is."""
    try:
        packed = bytes.fromhex(record_id.replace("-", ""))
    except ValueError:
        return record_id.encode()
    return packed if len(packed) == 16 and len(record_id) == 36 else record_id.encode()
