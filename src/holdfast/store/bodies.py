"""Bodies of records as translators get them: whole, or condensed when they are long."""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import BlobDamaged
from holdfast.journal import blobs
from holdfast.store.condense import CONDENSED_LIMIT_BYTES, condense

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.journal.format import Record

WHOLE_LIMIT_BYTES = 1 << 20  # parsed, it takes up to eleven times as much
_STRING_LIMIT_BYTES = 192 << 10
_RAW_BYTES_A_CHARACTER = 12  # at most: a pair of escaped surrogates


class Body(NamedTuple):
    """What is to be translated, the size of the whole body, and how it checks.

    `text` is None when even the condensed body is too long. `crc` is the CRC-32 of the whole body, None where `text` is
    that body.
    """

    text: bytes | None
    size_bytes: int
    crc: int | None
    removed_crc: int | None = None  # of the line in its source, when the body was removed

    def line_crc(self, line_end: str) -> int:
        """The CRC-32 of the line in its source, line end included."""
        if self.removed_crc is not None:
            return self.removed_crc
        crc = zlib.crc32(self.text or b"") if self.crc is None else self.crc
        return zlib.crc32(line_end.encode(), crc)


def read(record: Record, blob_directory: Path, head_chars: int) -> Body:
    """The body of a record; strings of which rows keep `head_chars` characters keep at least those.

    Raises:
        BlobDamaged: it is in a blob that cannot be relied on.
    """
    if record.z is not None:
        return Body(b"", 0, None, record.z.crc)
    raw = record.body_bytes()
    if raw is None:
        assert record.f is not None
        if record.f.size > WHOLE_LIMIT_BYTES:
            return _condensed(blobs.read(blob_directory, record.f), head_chars)
        raw = blobs.get(blob_directory, record.f)
    if len(raw) > WHOLE_LIMIT_BYTES:
        return _condensed(iter([raw]), head_chars)
    return Body(raw, len(raw), None)


def as_it_is(record: Record, blob_directory: Path) -> Iterator[bytes]:
    """The bytes that stand for a body, in chunks, also where they are not what was written; none where none can be read."""
    if record.f is None:
        yield record.body_bytes() or b""
        return
    with contextlib.suppress(BlobDamaged):
        yield from blobs.read(blob_directory, record.f)


def _condensed(chunks: Iterator[bytes], head_chars: int) -> Body:
    size = crc = 0

    def counted() -> Iterator[bytes]:
        nonlocal size, crc
        for chunk in chunks:
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
            yield chunk

    limit = max(_STRING_LIMIT_BYTES, _RAW_BYTES_A_CHARACTER * (head_chars + 2))
    text = condense(counted(), string_limit_bytes=limit, limit_bytes=CONDENSED_LIMIT_BYTES)
    return Body(text, size, crc)
