"""Lines out of bytes: ended by LF alone, whatever their length, and only when their end is there."""

from __future__ import annotations

import errno
import os
import zlib
from typing import TYPE_CHECKING, NamedTuple

from holdfast.monitor import fingerprint

if TYPE_CHECKING:
    from holdfast.monitor.fingerprint import ReadAt

MAX_LINE_BYTES = 8 << 20
_SHARE_BYTES = 256 << 10  # read at once
_SHARE_LINES = 8_192
_CHUNK_BYTES = 1 << 20
_HOLE_BYTES = 1 << 20  # a run of NUL from here on is not read but passed over
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line of a log.

    `body` is what stands between `start` and `end` (offsets in the file) without its LF, one CR before it, a byte order mark at
    the start of the file, and `nul_bytes` of NUL at its start (a hole that a truncation left).
    """

    log: str
    generation: int
    start: int
    end: int
    body: bytes
    cut_bytes: int = 0  # so much of it was left out at its end: it was longer than is held
    nul_bytes: int = 0
    is_ended: bool = True  # False: the file was rotated away in the middle of it
    continues: bool = False  # it goes on where a line that was not ended stopped

    @property
    def text(self) -> str:
        """The line as text; bytes that are no UTF-8 are shown as U+FFFD."""
        return self.body.decode("utf-8", "replace")

    @property
    def is_utf8(self) -> bool:
        """Whether the text is all of it."""
        try:
            self.body.decode()
        except UnicodeDecodeError:
            return False
        return True


class Place(NamedTuple):
    """Where reading goes on: behind `consumed` bytes with this CRC; up to `searched` there is no further line end."""

    consumed: int
    crc: int | None
    searched: int
    continues: bool


class Reading:
    """Reads lines of one generation of one log.

    Args:
        log, generation: what the lines are said to be of.
        read_at: reads its file.
        fd: its file, for passing over holes; None: it has none.
        max_line_bytes: what is longer is given cut.
    """

    def __init__(
        self, log: str, generation: int, read_at: ReadAt, fd: int | None, max_line_bytes: int
    ) -> None:
        self._log = log
        self._generation = generation
        self._read_at = read_at
        self._fd = fd
        self._max = max_line_bytes

    def take(self, place: Place, target: int, *, is_final: bool = False) -> tuple[list[Line], Place]:
        """Some of the lines between the place and `target`, and where it goes on; none: there is no further line end.

        Args:
            place: where to go on.
            target: up to where the file is looked at.
            is_final: nothing more is expected, so what stands without a line end is a line.
        """
        start = place.consumed
        if place.searched <= start:
            data = self._read_at(min(_SHARE_BYTES, target - start), start)
            if b"\n" in data and not data.startswith(b"\0"):
                return self._split(place, data)
            searched = start + (0 if data.startswith(b"\0") else len(data))
        else:
            searched = place.searched
        return self._one(place, searched, target, is_final=is_final)

    def _split(self, place: Place, data: bytes) -> tuple[list[Line], Place]:
        """The lines in a piece that ends none of them with more than it holds."""
        *bodies, _ = data[: data.rindex(b"\n") + 1].split(b"\n", _SHARE_LINES)
        lines: list[Line] = []
        at, log, generation = place.consumed, self._log, self._generation
        for body in bodies:
            if body.startswith(b"\0"):  # a hole: looked at by itself
                break
            end = at + len(body) + 1
            shown = body.removesuffix(b"\r")
            if not at:
                shown = shown.removeprefix(_BOM)
            if len(shown) > self._max:
                lines.append(Line(log, generation, at, end, shown[: self._max], len(shown) - self._max))
            else:
                lines.append(Line(log, generation, at, end, shown))
            at = end
        if place.continues:
            lines[0] = lines[0]._replace(continues=True)
        used = memoryview(data)[: at - place.consumed]
        crc = None if place.crc is None else zlib.crc32(used, place.crc)
        return lines, Place(at, crc, at, continues=False)

    def _one(self, place: Place, searched: int, target: int, *, is_final: bool) -> tuple[list[Line], Place]:
        """The next line, however long."""
        start = place.consumed
        text_start = self._behind_nuls(start, target) if searched <= start else start
        found = self._line_end(max(searched, text_start), target)
        if found is None and not (is_final and target > text_start):
            return [], place._replace(searched=target)
        end = target if found is None else found + 1
        text_end = target if found is None else found
        if searched > start:  # the search began behind the run
            text_start = self._behind_nuls(start, text_end)
        line = self._line(place, start, end, text_start, text_end)
        crc = place.crc
        if crc is not None:
            crc = (
                None
                if text_start - start > _HOLE_BYTES
                else fingerprint.crc_of(self._read_at, start, end, crc)
            )
        return [line], Place(end, crc, end, continues=found is None)

    def _line(self, place: Place, start: int, end: int, text_start: int, text_end: int) -> Line:
        held_end = min(text_end, text_start + self._max + 1)
        body = _all_of(self._read_at, text_start, held_end)
        cut_bytes = text_end - held_end
        if not cut_bytes:
            body = body.removesuffix(b"\r")
        elif self._read_at(1, text_end - 1) == b"\r":
            cut_bytes -= 1
        if not start:
            body = body.removeprefix(_BOM)
        cut_bytes += max(0, len(body) - self._max)
        return Line(
            self._log,
            self._generation,
            start,
            end,
            body[: self._max],
            cut_bytes,
            text_start - start,
            end > text_end,
            place.continues,
        )

    def _line_end(self, at: int, target: int) -> int | None:
        while at < target:
            chunk = self._read_at(min(_CHUNK_BYTES, target - at), at)
            if not chunk:
                return None
            found = chunk.find(b"\n")
            if found >= 0:
                return at + found
            at += len(chunk)
        return None

    def _behind_nuls(self, at: int, target: int) -> int:
        """Where a run of NUL ends."""
        while at < target:
            if self._fd is not None:
                at = min(target, _data_from(self._fd, at, target))
            chunk = self._read_at(min(_CHUNK_BYTES, target - at), at)
            rest = len(chunk.lstrip(b"\0"))
            at += len(chunk) - rest
            if rest or not chunk:
                return at
        return at


def _data_from(fd: int, at: int, target: int) -> int:
    """Where the next byte is that the file system stores; a hole is not read."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except AttributeError:
        return at
    except OSError as exc:
        return target if exc.errno == errno.ENXIO else at  # nothing stored from here on; or not told


def _all_of(read_at: ReadAt, start: int, end: int) -> bytes:
    chunks: list[bytes] = []
    while start < end and (chunk := read_at(min(_CHUNK_BYTES, end - start), start)):
        chunks.append(chunk)
        start += len(chunk)
    return b"".join(chunks)
