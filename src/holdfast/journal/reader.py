"""Read a journal while others write it: every intact record, and every damaged range by its bytes.

Reading never changes anything. Order is (segment, offset). Records are recognised only at line starts, so after
damage the next line is simply tried. What stands after the last LF may still be in the making: it is left
for the next read, and the position that `read` reports stays before it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from holdfast.journal import chain, sealed, segments
from holdfast.journal import format as fmt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_CHUNK_BYTES = 1 << 20
_RECORD_CHUNK_BYTES = 16 << 10  # where one record is wanted; most are shorter
_LINE_LIMIT_BYTES = 64 << 20  # no writer makes longer lines: bodies over 256 KiB are blobs


class Found(NamedTuple):
    """An intact record and where it stands: bytes [start, end) of its segment, LF included; `line` is without it."""

    record: fmt.Record
    segment: int
    start: int
    end: int
    line: bytes


class Damage(NamedTuple):
    """Bytes [start, end) of a segment that are no record, and why.

    `newer`: the format version of an intact record that a newer Holdfast wrote; 0 for everything else.
    """

    segment: int
    start: int
    end: int
    why: str
    newer: int = 0


def read(directory: Path, after: Mapping[int, int] | None = None) -> Iterator[Found | Damage]:
    """Everything after the given offsets (segment number → byte offset, absent = 0), in journal order."""
    after = after or {}
    done = sealed_sizes(directory) if after else {}
    for number in segments.numbers(directory):
        offset = after.get(number, 0)
        if offset == 0 or offset != done.get(number):
            yield from read_segment(directory, number, offset)


def read_segment(directory: Path, number: int, offset: int = 0) -> Iterator[Found | Damage]:
    """The records and damaged ranges of one segment from `offset`, which must be a line start.

    Offsets are bytes of the plain segment, also when it is sealed. What cannot be decompressed is one damaged range
    for each run of frames.
    """
    for start, line, length in _lines(pieces(directory, number, offset), offset):
        if length < 0:
            yield Damage(number, start, start - length, "it cannot be decompressed")
            continue
        if not length:
            continue
        end = start + length + 1
        if line is None:
            yield Damage(number, start, end, "longer than any record")
            continue
        try:
            yield Found(fmt.decode(line), number, start, end, line)
        except fmt.Damaged as exc:
            yield Damage(number, start, end, exc.why)
        except fmt.Newer as exc:
            yield Damage(number, start, end, "written by a newer Holdfast", newer=exc.v)


def pieces(
    directory: Path, number: int, offset: int, chunk_bytes: int | None = None
) -> Iterator[bytes | sealed.Hole]:
    """The bytes of a segment from `offset` on, and what of them is lost.

    A segment may be sealed at any moment: the plain file is tried first, because it counts as long as it stands.
    """
    try:
        fd = os.open(segments.path(directory, number), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield from _sealed_pieces(segments.sealed_path(directory, number), offset)
        return
    try:
        while chunk := os.pread(fd, chunk_bytes or _CHUNK_BYTES, offset):
            yield chunk
            offset += len(chunk)
    finally:
        os.close(fd)


def _sealed_pieces(path: Path, offset: int) -> Iterator[bytes | sealed.Hole]:
    try:
        with sealed.opened(path) as segment:
            for item in segment.read(offset):
                yield item if isinstance(item, sealed.Hole) else item[1]
    except FileNotFoundError:
        return


def _lines(pieces: Iterator[bytes | sealed.Hole], offset: int) -> Iterator[tuple[int, bytes | None, int]]:
    """(offset, line, its length), without LF, for every complete line; one too long to be a record is None.

    A hole is (offset, None, minus its length); the half of a line that stands before it is lost with it.
    """
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        if isinstance(piece, sealed.Hole):
            yield offset, None, offset - piece.end
            offset, held, length = piece.end, [], 0
            continue
        head, line_end, rest = piece.partition(b"\n")
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


def line_starts(directory: Path, number: int) -> Iterator[int]:
    """Where each line of a segment begins, empty ones included, and last where the next one will. What cannot be decompressed counts as one line.

    Rewriting a segment keeps the number of every line.
    """
    end = 0
    for start, _, length in _lines(pieces(directory, number, 0), 0):
        yield start
        end = start - length if length < 0 else start + length + 1
    yield end


class Lost(Exception):
    """Bytes of a segment cannot be decompressed."""

    def __init__(self, segment: int, hole: sealed.Hole) -> None:
        super().__init__(f"plain bytes {hole.start} to {hole.end} cannot be decompressed")
        self.segment = segment


def every_line(directory: Path, number: int) -> Iterator[tuple[int, bytes, bool]]:
    """(offset, line without its LF, whether it has one) of all that stands in a segment: joined again, they are its bytes.

    Raises:
        Lost: some of it cannot be decompressed.
    """
    held, at = b"", 0
    for piece in pieces(directory, number, 0):
        if isinstance(piece, sealed.Hole):
            raise Lost(number, piece)
        *complete, rest = piece.split(b"\n")
        for part in complete:
            line, held = held + part, b""
            yield at, line, True
            at += len(line) + 1
        held += rest
    if held:
        yield at, held, False


def sealed_sizes(directory: Path) -> dict[int, int]:
    """The bytes of the plain segment, for each sealed one that `chain.jsonl` names: one small file tells of all.

    Of what is not in it, or has a plain file too, `size` knows; and of what was just rewritten, which may be longer than it says here.
    """
    plain = set(segments.plain_numbers(directory))
    return {seal.segment: seal.size for seal in chain.seals(directory) if seal.segment not in plain}


def size(directory: Path, number: int) -> int:
    """The bytes of a segment, sealed or not; 0 when it is gone."""
    for _ in range(2):  # it may be sealed between the two looks
        try:
            return segments.path(directory, number).stat().st_size
        except FileNotFoundError:
            with (
                suppress(FileNotFoundError),
                sealed.opened(segments.sealed_path(directory, number)) as segment,
            ):
                return segment.size
    return 0


def stands(directory: Path, number: int, start: int, end: int, record_id: str) -> bool:
    """Whether bytes [start, end) of a segment are still the line of this record (empty id: any line).

    Of a sealed segment only its size is asked: it was forced to disk before it was sealed, and is never cut.
    """
    try:
        with segments.path(directory, number).open("rb") as file:
            file.seek(start)
            line = file.read(end - start)
    except FileNotFoundError:
        return size(directory, number) >= end
    named = b'"id":"%b"' % record_id.encode() if record_id else b""
    return len(line) == end - start and line.endswith(b"\n") and named in line[:80]


class Tail(NamedTuple):
    """Bytes after the last LF of a segment: a record in the making, or what a killed writer left."""

    segment: int
    start: int
    end: int


def tails(directory: Path) -> list[Tail]:
    """The unfinished tail of each segment that has one."""
    return [tail for number in segments.numbers(directory) if (tail := tail_of(directory, number))]


def tail_of(directory: Path, number: int) -> Tail | None:
    """The unfinished tail of a segment; None when it has none, or is gone."""
    path = segments.path(directory, number)
    try:
        end = path.stat().st_size
        start = _line_start(path, end)
    except FileNotFoundError:
        with suppress(FileNotFoundError), sealed.opened(segments.sealed_path(directory, number)) as segment:
            return _sealed_tail(segment, number)
        return None
    return Tail(number, start, end) if start < end else None


def _sealed_tail(segment: sealed.Sealed, number: int) -> Tail | None:
    if not segment.groups:
        return None
    last = segment.groups[-1]
    for item in segment.read(last.start):
        if not isinstance(item, sealed.Hole) and not item[1].endswith(b"\n"):
            start = last.start + item[1].rfind(b"\n") + 1
            return Tail(number, start, last.end)
    return None


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
    """The one record that starts at this byte of a segment; of a sealed one, only its frame is read.

    Raises:
        fmt.Damaged, fmt.Newer: there is no readable record there.
    """
    for _, line, length in _lines(pieces(directory, segment, offset, _RECORD_CHUNK_BYTES), offset):
        if line is not None:
            return fmt.decode(line)
        raise fmt.Damaged("it cannot be decompressed" if length < 0 else "longer than any record")
    raise fmt.Damaged("nothing stands there")
