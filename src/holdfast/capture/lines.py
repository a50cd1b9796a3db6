"""Split a file that its writer may still be at into lines, whatever their length.

A line of usual length is read into memory. A long one is given as a stretch of its file: looked through for its end, and
read again by whoever takes it, a chunk at a time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from holdfast.store.condense import CONDENSED_LIMIT_BYTES, LEAST_STRING_LIMIT_BYTES, condense

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 1 << 20
LONG_LINE_BYTES = 1 << 20  # what is longer is never held whole


class Stretch(NamedTuple):
    """A line too long to be held: `size_bytes` of an open file from `start` on, without its line end."""

    fd: int
    start: int
    size_bytes: int

    def __len__(self) -> int:
        return self.size_bytes

    def chunks(self) -> Iterator[bytes]:
        """The line, a chunk at a time.

        Raises:
            Unsteady: it cannot be read, or is not a line of this size any more.
        """
        at, end = self.start, self.start + self.size_bytes
        while at < end:
            try:
                chunk = os.pread(self.fd, min(CHUNK_BYTES, end - at), at)
            except OSError as exc:
                raise Unsteady(exc.strerror or str(exc)) from exc
            if not chunk or b"\n" in chunk:
                raise Unsteady("it was changed while it was read")
            yield chunk
            at += len(chunk)


class Unsteady(Exception):
    """A long line could not be read to its end; `str()` of it says why."""


def read_lines(
    fd: int, start: int, hold_limit_bytes: int = LONG_LINE_BYTES
) -> Iterator[tuple[int, bytes | Stretch, str]]:
    """(offset, line, line end) from `start` on. Lines over about `hold_limit_bytes` come as a stretch of the file.

    A last line without a line end is held back, because its writer may not be done, unless it is a whole JSON object:
    nothing can follow that on the same line.
    """
    held: list[bytes] = []
    at = start
    read_from = start
    while chunk := os.pread(fd, CHUNK_BYTES, read_from):
        read_from += len(chunk)
        held.append(chunk)
        if b"\n" not in chunk:
            if read_from - at > hold_limit_bytes:
                held.clear()
                found = _line_end(fd, read_from)
                if found is None:
                    yield from _long_tail(fd, at)
                    return
                end = "\r\n" if os.pread(fd, 1, found - 1) == b"\r" else "\n"
                yield at, Stretch(fd, at, found + 1 - len(end) - at), end
                at = read_from = found + 1
            continue
        *lines, rest = b"".join(held).split(b"\n")
        held = [rest] if rest else []
        for line in lines:
            end = "\n"
            if line.endswith(b"\r"):
                line, end = line[:-1], "\r\n"  # noqa: PLW2901
            yield at, line, end
            at += len(line) + len(end)
    tail = b"".join(held)
    if tail.endswith(b"}") and _is_object(tail):
        yield at, tail, ""


def _line_end(fd: int, at: int) -> int | None:
    """Where the next line end stands, from `at` on; None: there is none yet."""
    while chunk := os.pread(fd, CHUNK_BYTES, at):
        found = chunk.find(b"\n")
        if found >= 0:
            return at + found
        at += len(chunk)
    return None


def _long_tail(fd: int, at: int) -> Iterator[tuple[int, Stretch, str]]:
    """A long last line without a line end, if it is a whole object."""
    tail = Stretch(fd, at, os.fstat(fd).st_size - at)
    if os.pread(fd, 1, at + tail.size_bytes - 1) != b"}":
        return
    try:
        body = condense(
            tail.chunks(),
            string_limit_bytes=LEAST_STRING_LIMIT_BYTES,
            limit_bytes=CONDENSED_LIMIT_BYTES,
        )
        if body is None:  # hardly anything but structure, and that is seen only whole
            body = b"".join(tail.chunks())
    except Unsteady:  # its writer is at it
        return
    if _is_object(body):
        yield at, tail, ""


def _is_object(tail: bytes) -> bool:
    try:
        msgspec.json.decode(tail, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
