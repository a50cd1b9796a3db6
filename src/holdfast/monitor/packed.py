"""Compressed files, read as what they hold. They are never logs of their own; a rotated log may have become one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from typing import IO, TYPE_CHECKING, cast

import zstandard

from holdfast.monitor import fingerprint
from holdfast.monitor.fingerprint import Print

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError, ValueError)
_CHUNK_BYTES = 1 << 20


class NotReadable(Exception):
    """It cannot be uncompressed: damaged, still being written, or of a kind that is not known."""


class Packed:
    """An open compressed file; reading goes forwards."""

    def __init__(self, path: str) -> None:
        opener = _OPENERS.get(os.path.splitext(path)[1])  # noqa: PTH122 - strings throughout
        if opener is None:
            raise NotReadable(path)
        try:
            self._stream = opener(path)
        except _UNREADABLE as exc:
            raise NotReadable(path) from exc
        self.head = b""  # the first bytes, as far as they are needed to know it again

    @classmethod
    def to_read(cls, path: str) -> Packed:
        """Open a file that is read and then to be known again. Raises NotReadable."""
        first = cls(path)
        out = cls(path)
        out.head = first.read_at(fingerprint.HEAD_BYTES, 0)
        first.close()
        return out

    def print_of(self, consumed: int, crc: int | None) -> Print:
        """The print of what was read of it; it has no blocks, because `which` compares all of it."""
        return Print(consumed, crc, fingerprint.digest(self.head[:consumed]), b"")

    def read_at(self, size: int, at: int) -> bytes:
        """Uncompressed bytes from an offset on. Raises NotReadable."""
        try:
            if self._stream.tell() != at:
                self._stream.seek(at)
            return self._stream.read(size)
        except _UNREADABLE as exc:
            raise NotReadable(str(exc)) from exc

    def close(self) -> None:
        self._stream.close()


def size_of(path: str) -> int:
    """How much a compressed file holds, uncompressed; all of it is read. Raises NotReadable."""
    packed = Packed(path)
    try:
        size = 0
        while chunk := packed.read_at(_CHUNK_BYTES, size):
            size += len(chunk)
        return size
    finally:
        packed.close()


def which(path: str, known: Iterable[Print]) -> list[Print]:
    """Of the prints those with which a compressed file begins, the longest last. Raises NotReadable."""
    out: list[Print] = []
    packed = Packed(path)
    try:
        head = packed.read_at(fingerprint.HEAD_BYTES, 0)
        at, crc = len(head), zlib.crc32(head)
        for each in sorted(known):
            if (
                each.crc is None
                or not each.consumed
                or fingerprint.digest(head[: each.consumed]) != each.head
            ):
                continue
            if each.consumed <= len(head):
                if zlib.crc32(head[: each.consumed]) == each.crc:
                    out.append(each)
                continue
            further = fingerprint.crc_of(packed.read_at, at, each.consumed, crc)
            if further is None:
                break
            at, crc = each.consumed, further
            if crc == each.crc:
                out.append(each)
        return out
    finally:
        packed.close()


def _zstd(path: str) -> IO[bytes]:
    return cast("IO[bytes]", zstandard.open(path, "rb"))


_OPENERS = {
    ".gz": lambda path: cast("IO[bytes]", gzip.open(path, "rb")),  # noqa: SIM115
    ".bz2": lambda path: cast("IO[bytes]", bz2.open(path, "rb")),  # noqa: SIM115
    ".xz": lambda path: cast("IO[bytes]", lzma.open(path, "rb")),  # noqa: SIM115
    ".zst": _zstd,
}
