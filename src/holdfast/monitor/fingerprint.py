"""By what a file is known again: not by its number alone, but by what was read of it.

A print is taken of the bytes consumed so far: their CRC-32, a digest of their head (up to 1 KiB, so it grows with a young file),
and one of blocks spread over them. No single one of these is enough: files of one program begin alike, files of one terminal end
alike, and the number of a deleted file is given to the next one.
"""

from __future__ import annotations

import array
import fcntl
import hashlib
import os
import sys
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    ReadAt = Callable[[int, int], bytes]  # at most so many bytes, from this offset on; fewer at the end

HEAD_BYTES = 1_024
_BLOCKS = 8
_BLOCK_BYTES = 256
_CHUNK_BYTES = 1 << 20
ALWAYS_WHOLE_BYTES = 64 << 10  # a file of which no more was read is compared as a whole
SUSPECT_WHOLE_BYTES = 4 << 20  # ... and up to here when something besides growth happened to it
_GET_VERSION = 0x8008_7601 if sys.maxsize > 2**32 else 0x8004_7601  # FS_IOC_GETVERSION, linux/fs.h


class Print(NamedTuple):
    """What is known of the first `consumed` bytes; `crc` None: not taken of a file with large holes."""

    consumed: int
    crc: int | None
    head: bytes
    blocks: bytes


NOTHING = Print(0, 0, b"", b"")


def taken(read_at: ReadAt, consumed: int, crc: int | None) -> Print | None:
    """The print of the first `consumed` bytes of a file; None: it is shorter."""
    if not consumed:
        return NOTHING
    head = read_at(min(HEAD_BYTES, consumed), 0)
    blocks = _blocks(read_at, consumed)
    if len(head) < min(HEAD_BYTES, consumed) or blocks is None:
        return None
    return Print(consumed, crc, digest(head), blocks)


def stands(read_at: ReadAt, known: Print, whole_limit_bytes: int = ALWAYS_WHOLE_BYTES) -> bool:
    """Whether a file still begins with what was read of it."""
    found = taken(read_at, known.consumed, known.crc)
    if found is None or found != known:
        return False
    if known.crc is None or known.consumed > whole_limit_bytes:
        return True
    return crc_of(read_at, 0, known.consumed) == known.crc


def crc_of(read_at: ReadAt, start: int, end: int, crc: int = 0) -> int | None:
    """The CRC-32 of a stretch, continued from that of what lies before it; None: the file is shorter."""
    while start < end:
        chunk = read_at(min(_CHUNK_BYTES, end - start), start)
        if not chunk:
            return None
        crc = zlib.crc32(chunk, crc)
        start += len(chunk)
    return crc


def head_of(read_at: ReadAt) -> bytes | None:
    """The digest of a file's first KiB, as prints have it; None: it is shorter."""
    head = read_at(HEAD_BYTES, 0)
    return digest(head) if len(head) == HEAD_BYTES else None


def _blocks(read_at: ReadAt, consumed: int) -> bytes | None:
    """A digest of blocks that begin at each eighth, and of the last one."""
    if consumed <= (_BLOCKS + 1) * _BLOCK_BYTES:
        whole = read_at(consumed, 0)
        return digest(whole) if len(whole) == consumed else None
    out = hashlib.blake2b(digest_size=8)
    for start in [*(number * consumed // _BLOCKS for number in range(_BLOCKS)), consumed - _BLOCK_BYTES]:
        block = read_at(_BLOCK_BYTES, start)
        if len(block) < _BLOCK_BYTES:
            return None
        out.update(block)
    return out.digest()


def digest(raw: bytes) -> bytes:
    """As prints have it."""
    return hashlib.blake2b(raw, digest_size=8).digest()


def birth_of(fd: int) -> int | None:
    """What the file system gives each file beside its number and never gives again with it; None: it gives nothing of the kind."""
    if sys.platform != "linux":
        return None
    answer = array.array("i", [0, 0])
    try:
        fcntl.ioctl(fd, _GET_VERSION, answer)
    except OSError:
        return None
    return answer[0]


def read_from(fd: int) -> ReadAt:
    """Read an open file."""

    def read_at(size: int, at: int) -> bytes:
        return os.pread(fd, size, at)

    return read_at


def whole_of(fd: int) -> Print | None:
    """A print of all that an open file holds; None: it holds nothing, or was changed meanwhile."""
    size = os.fstat(fd).st_size
    crc = crc_of(read_from(fd), 0, size) if size else None
    return None if crc is None else taken(read_from(fd), size, crc)
