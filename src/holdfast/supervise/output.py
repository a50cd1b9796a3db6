"""What an agent wrote: the bytes of its `out.log`, attempt after attempt."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from holdfast.plain_files import opened
from holdfast.supervise import look

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

_AT_ONCE_BYTES: Final = 1 << 20
_BACK_BYTES: Final = 1 << 16


class Output:
    """Reads on where it stopped; an attempt that is over is followed by the next one.

    Args:
        directory: the agent's.
        attempt: the first attempt that is read.
        last_lines: of that one so many lines at its end; None: all.
        most_bytes: of that one no more than so many bytes at its end; None: all. It begins with a line then, if it can.
        on_to_next: read those that follow it too.

    Attributes:
        first_byte: where in the file of the first attempt it begins.
    """

    def __init__(
        self,
        directory: Path,
        attempt: int = 1,
        *,
        last_lines: int | None = None,
        most_bytes: int | None = None,
        on_to_next: bool = True,
    ) -> None:
        self._on_to_next = on_to_next
        self._directory = directory
        self._attempt = attempt
        self._offset = 0
        if last_lines is not None or most_bytes is not None:
            with contextlib.suppress(FileNotFoundError), self._open() as file:
                self._offset = _start_of_last(file, last_lines, most_bytes)
        self.first_byte = self._offset

    @property
    def _path(self) -> Path:
        return look.attempt_directory(self._directory, self._attempt) / "out.log"

    def _open(self) -> FileIO:
        return os.fdopen(opened(self._path), "rb", buffering=0)

    def parts(self) -> Iterator[bytes]:
        """What is new at this moment, piece by piece. What is written while it is read comes next time, or never, if nobody asks."""
        yield from self._new()
        while self._on_to_next and look.attempt_directory(self._directory, self._attempt + 1).exists():
            yield from self._new()  # an attempt is made once the one before it is over: now all of that is there
            self._attempt, self._offset = self._attempt + 1, 0
            yield from self._new()

    def _new(self) -> Iterator[bytes]:
        with contextlib.suppress(FileNotFoundError), self._open() as file:
            until = file.seek(0, os.SEEK_END)
            file.seek(self._offset)
            while self._offset < until:
                found = file.read(min(_AT_ONCE_BYTES, until - self._offset))
                if not found:
                    return
                self._offset += len(found)
                yield found


def _start_of_last(file: FileIO, lines: int | None, most_bytes: int | None) -> int:
    """Where the last lines of a file begin, in bytes, read from its end."""
    end = file.seek(0, os.SEEK_END)
    first = 0 if most_bytes is None else max(0, end - most_bytes)
    at, missing = end, lines
    while missing is not None and at > first:
        size = min(_BACK_BYTES, at - first)
        file.seek(at - size)
        part = file.read(size) or b""
        if at == end:
            part = part.removesuffix(b"\n")  # the last line's own end begins none
        at -= size
        if missing == 0:
            return end
        found = part.count(b"\n")
        if found >= missing:
            place = len(part)
            for _ in range(missing):
                place = part.rindex(b"\n", 0, place)
            return at + place + 1
        missing -= found
    return _start_of_line(file, first, end)


def _start_of_line(file: FileIO, at: int, end: int) -> int:
    """The first line that begins there or a little later; the place itself, if none does."""
    if at == 0:
        return 0
    file.seek(at - 1)
    found = (file.read(_BACK_BYTES) or b"").find(b"\n")
    return at if found < 0 or at + found >= end else at + found
