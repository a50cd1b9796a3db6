"""Read a journal while others write it: every intact record, and every damaged range by its bytes.

Reading never changes anything. Order is (segment, offset). Records are recognised only at line starts, so after
damage the next line is simply tried. What stands after the last LF may still be in the making: it is left
for the next read, and the position that `read` reports stays before it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from holdfast.journal import format as fmt
from holdfast.journal import segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_CHUNK_BYTES = 1 << 20
_RECORD_CHUNK_BYTES = 16 << 10  # where one record is wanted; most are shorter
_LINE_LIMIT_BYTES = 64 << 20  # no writer makes longer lines: bodies over 256 KiB are blobs


class Found(NamedTuple):
    """An intact record and where it stands: bytes [start, end) of its segment, LF included."""

    record: fmt.Record
    segment: int
    start: int
    end: int


class Damage(NamedTuple):
    """Bytes [start, end) of a segment that are no record, and why."""

    segment: int
    start: int
    end: int
    why: str
    newer: bool = False  # intact, but written by a newer Holdfast


def read(directory: Path, after: Mapping[int, int] | None = None) -> Iterator[Found | Damage]:
    """Everything after the given offsets (segment number → byte offset, absent = 0), in journal order."""
    after = after or {}
    for number in segments.numbers(directory):
        yield from read_segment(directory, number, after.get(number, 0))


def read_segment(directory: Path, number: int, offset: int = 0) -> Iterator[Found | Damage]:
    """The records and damaged ranges of one segment from `offset`, which must be a line start."""
    for start, line, length in _lines(segments.path(directory, number), offset):
        if not length:
            continue
        end = start + length + 1
        if line is None:
            yield Damage(number, start, end, "longer than any record")
            continue
        try:
            yield Found(fmt.decode(line), number, start, end)
        except fmt.Damaged as exc:
            yield Damage(number, start, end, exc.why)
        except fmt.Newer:
            yield Damage(number, start, end, "written by a newer Holdfast", newer=True)


def _lines(
    path: Path, offset: int, chunk_bytes: int | None = None
) -> Iterator[tuple[int, bytes | None, int]]:
    """(offset, line, its length), without LF, for every complete line; one too long to be a record is None."""
    chunk_bytes = chunk_bytes or _CHUNK_BYTES
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        held: list[bytes] = []
        length = 0
        while chunk := os.pread(fd, chunk_bytes, offset + length):
            head, line_end, rest = chunk.partition(b"\n")
            held.append(head)
            length += len(head)
            if length > _LINE_LIMIT_BYTES:
                held.clear()
            if not line_end:
                continue
            yield offset, b"".join(held) if length <= _LINE_LIMIT_BYTES else None, length
            offset += length + 1
            *complete, last = rest.split(b"\n")
            for line in complete:
                yield offset, line, len(line)
                offset += len(line) + 1
            held, length = [last], len(last)
    finally:
        os.close(fd)


class Tail(NamedTuple):
    """Bytes after the last LF of a segment: a record in the making, or what a killed writer left."""

    segment: int
    start: int
    end: int


def tails(directory: Path) -> list[Tail]:
    """The unfinished tail of each segment that has one."""
    out = []
    for number in segments.numbers(directory):
        path = segments.path(directory, number)
        size = path.stat().st_size
        start = _line_start(path, size)
        if start < size:
            out.append(Tail(number, start, size))
    return out


def _line_start(path: Path, size: int) -> int:
    """The offset after the last LF within the final stretch, 0 when there is none."""
    with path.open("rb") as file:
        at = size
        while at > 0:
            step = min(_CHUNK_BYTES, at)
            file.seek(at - step)
            found = file.read(step).rfind(b"\n")
            if found >= 0:
                return at - step + found + 1
            at -= step
    return 0


def record_at(directory: Path, segment: int, offset: int) -> fmt.Record:
    """The one record that starts at this byte of a segment.

    Raises:
        fmt.Damaged, fmt.Newer: there is no readable record there.
    """
    for _, line, _ in _lines(segments.path(directory, segment), offset, _RECORD_CHUNK_BYTES):
        if line is not None:
            return fmt.decode(line)
        raise fmt.Damaged("longer than any record")
    raise fmt.Damaged("nothing stands there")
