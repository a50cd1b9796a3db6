r"""An export: records of a journal in one file that needs nothing beside it. `docs/format.md` says the same.

Each line is a record as it stands in a journal (`journal/format.py`), and ends in one LF. In this order:

    a first line     {"v":1,"id":"...","t":0,"s":"holdfast.export","b":{"format":1,"redaction":n},"c":"..."}
    the records      in journal order, each id once; never `f`: large bodies stand in the line; no "holdfast.segment"
    a last line      {"v":1,"id":"...","t":0,"s":"holdfast.export","b":{"records":n},"c":"..."}

`n` in the last line counts the records since the first: an export that was cut off shows. Nothing in it tells when,
where or by whom it was made, so the same history gives the same bytes. Exports may be joined with `cat`.
"""

from __future__ import annotations

import base64
import codecs
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast import redact
from holdfast.ids import derived
from holdfast.journal import format as fmt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

SOURCE: Final = "holdfast.export"
FORMAT: Final = 1
LINE_LIMIT_BYTES = 1 << 30  # what is taken for a line without end; a body of this size needs as much memory
_CHUNK_BYTES = 1 << 20
_BASE64_BYTES = 3 << 18  # a multiple of three: no padding before the end
_SNIFF_BYTES = 1 << 20  # one damaged line may be long
_MARK = b'"s":"holdfast.export"'
_text = msgspec.json.Encoder().encode


def first_line() -> bytes:
    """The line that says what follows, with its LF."""
    body = b'{"format":%d,"redaction":%d}' % (FORMAT, redact.LEVEL)
    return fmt.encode(derived(SOURCE, "first"), 0, SOURCE, b'"b":' + body) + b"\n"


def last_line(records: int) -> bytes:
    """The line that says how many records there were, with its LF."""
    return fmt.encode(derived(SOURCE, "last"), 0, SOURCE, b'"b":{"records":%d}' % records) + b"\n"


def is_export(head: bytes) -> bool:
    """Whether a file that begins so is an export, or at least lines of a journal; damage in them does not hide it."""
    found = head[:_SNIFF_BYTES].split(b"\n")
    return any(_MARK in line[:120] or line.startswith(b'{"v":1,"id":"') for line in found)


def small(line: bytes, record: fmt.Record, body: bytes) -> bytes:
    """A record with an ordinary body as a line of an export, with its LF."""
    if fmt.has_no_body(record):
        return line + b"\n"
    return fmt.encode_again(line, record, fmt.body_member(body)) + b"\n"


def large(line: bytes, record: fmt.Record, body: bytes) -> Iterator[bytes]:
    """A record whose body was a blob as a line of an export, with its LF, in pieces; nothing of its size is copied."""
    crc = 0
    for piece in _sealed(line, record, body):
        crc = zlib.crc32(piece, crc)
        yield piece
    yield b',"c":"%08x"}\n' % crc


def _sealed(line: bytes, record: fmt.Record, body: bytes) -> Iterator[bytes]:
    yield fmt.opening(record.id, record.t, record.s, record.p, record.e, record.r)
    if fmt.is_plain_json(body):
        yield b'"b":'
        yield body
    elif fmt.is_utf8(body):
        yield b'"x":"'
        yield from _escaped(body)
        yield b'"'
    else:
        yield b'"y":"'
        view = memoryview(body)
        for at in range(0, len(body), _BASE64_BYTES):
            yield base64.b64encode(view[at : at + _BASE64_BYTES])
        yield b'"'
    yield fmt.more_members(line)


def _escaped(body: bytes) -> Iterator[bytes]:
    """The inside of a JSON string."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    view = memoryview(body)
    for at in range(0, len(body), _CHUNK_BYTES):
        yield _text(decode(view[at : at + _CHUNK_BYTES]))[1:-1]


def read(file: BinaryIO) -> Iterator[tuple[int, bytes | bytearray | None, int, bool]]:
    """(offset, line without its LF, its length, whether it has its LF) of each line that is not empty.

    A line too long to be a record is None; it is passed over without being held.
    """
    start, held, length = 0, bytearray(), 0
    while chunk := file.read(_CHUNK_BYTES):
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            length += len(piece)
            if length:
                yield start, _whole(held, piece, length), length, True
            start, held, length = start + length + 1, bytearray(), 0
        length += len(rest)
        held = bytearray() if length > LINE_LIMIT_BYTES else _longer(held, rest)
    if length:
        yield start, _whole(held, b"", length), length, False


def _whole(held: bytearray, piece: bytes, length: int) -> bytes | bytearray | None:
    if length > LINE_LIMIT_BYTES:
        return None
    return _longer(held, piece) if held else piece


def _longer(held: bytearray, piece: bytes) -> bytearray:
    """Grown in place: a large line is never held twice."""
    held += piece
    return held
