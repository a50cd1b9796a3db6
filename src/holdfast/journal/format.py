r"""The journal's record format, version 1. `docs/format.md` says the same for other languages.

A segment (`journal/00000001.jsonl`, numbers rising) is a file of lines that end in one LF byte. An append writes
LF + record + LF in one `write`, so every record stands at the start of a line whatever the writer before it
left half-written; empty lines mean nothing. A record is one JSON object, its members in this order:

    {"v":1,"id":"...","t":1795259242112000,"s":"claude.transcript","p":["9f0c...",0,412],"b":{...},"c":"0a1b2c3d"}

    v   format version: 1
    id  UUID of the record. The same id twice is the same record (it was appended again): fold one
    t   time received, UTC microseconds
    s   source: who wrote it and which translator reads it
    p   optional position in the source: [file id, first byte, byte after the last one], line end included
    e   optional line end of the source line when it is not LF: "\r\n", or "" for a last line without one
    r   optional, what was taken out of the body before it was written: {"kind of secret":number of places}
    exactly one of, the body as received after redaction:
    b   one line of valid UTF-8 JSON, byte for byte (it neither begins nor ends with white space, holds no CR,
        and is nested at most 200 deep)
    x   any other valid UTF-8, as a JSON string
    y   anything else, as base64
    f   {"sha256":"...","size":n}: the bytes are in blobs/<sha256>
    z   {"sha256":"...","size":n,"crc":n,"why":"...",...}: a body that was removed, and what is kept of it: its SHA-256 and
        size, the CRC-32 of the source line, line end included, why it was removed, and where they were kept
        "events", "kept" and "problems": what its translator understood, texts cut. Of a record that was forgotten
        nothing is kept, {"why":"forgotten"}, and its id and time say nothing of it (`tombstone`)
    c   CRC-32 (zlib) of every byte of the line before `,"c":"`, eight lower-case hex digits

A line that is not empty and does not end in a `c` that fits is damage: readers skip to the next line, report the
byte range and go on. A last line without its LF may still be in the making: readers leave it. A record with a
higher `v` whose `c` fits is not damage; it is from a newer Holdfast.

The first record a writer puts into a new segment has source "holdfast.segment" and body
{"format":1,"host":"<uuid>","redaction":n}. Sealed segments hold the same lines, compressed and chained by SHA-256
(`journal/sealed.py`); nothing in a record changes for it.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from holdfast.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION = 1
SUFFIX_BYTES = 16  # `,"c":"` + 8 hex digits + `"}`
DEPTH_LIMIT = 200  # jq 1.6 stops at 256 levels, CPython's json between 1,000 and 100,000
SEGMENT_SOURCE = "holdfast.segment"

_MEMBERS = frozenset(("v", "id", "t", "s", "p", "e", "r", "b", "x", "y", "f", "z", "c"))
_STRETCH_BYTES = 1 << 20  # large bodies are looked at in stretches of this size
_OPENING = b"[{"
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_WHITE = b" \t\r\n"
_LF, _CR = 0x0A, 0x0D


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # what SQLite and most languages can hold


class BlobRef(msgspec.Struct, frozen=True):
    """Where a body too large for a line is kept."""

    sha256: str
    size: _Count


class Removed(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is kept of a body that was removed. `events` are those of `events.codec`, in JSON.

    Hash, size and CRC are absent where they would tell too much.
    """

    sha256: str = ""
    size: _Count = 0
    crc: _Count = 0
    why: str
    kept: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    events: tuple[msgspec.Raw, ...] = ()


class Position(NamedTuple):
    """Where a record stood in its source: bytes [start, end) of the file with this id."""

    file: str
    start: _Count
    end: _Count


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One decoded record. `body_bytes()` gives the body back unless it is a blob."""

    v: int
    id: str
    t: _Count
    s: str
    p: Position | None = None
    e: str = "\n"
    r: dict[str, _Count] | None = None
    b: msgspec.Raw = msgspec.Raw(b"")
    x: str | None = None
    y: str | None = None
    f: BlobRef | None = None
    z: Removed | None = None

    def body_bytes(self) -> bytes | None:
        """The body's exact bytes; None when they are in a blob (`f`) or were removed (`z`)."""
        if self.x is not None:
            return self.x.encode()
        if self.y is not None:
            return base64.b64decode(self.y)
        return None if self.f is not None or self.z is not None else bytes(self.b)


_as_raw = msgspec.json.Decoder(msgspec.Raw).decode
_as_record = msgspec.json.Decoder(Record).decode
_text = msgspec.json.Encoder().encode


def is_plain_json(body: bytes) -> bool:
    """Whether `body` may stand in a record as it is: valid JSON on one line, UTF-8, not too deep."""
    if not body or body[0] in _WHITE or body[-1] in _WHITE or _LF in body or _CR in body:
        return False
    try:
        _as_raw(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return is_utf8(body) and _depth(body) <= DEPTH_LIMIT


def is_utf8(body: bytes) -> bool:
    """Whether `body` is valid UTF-8. A large one is looked at in stretches, never held again as text."""
    try:
        if len(body) <= _STRETCH_BYTES:
            body.decode()
            return True
        decode = codecs.getincrementaldecoder("utf-8")().decode
        view = memoryview(body)
        for at in range(0, len(body), _STRETCH_BYTES):
            decode(view[at : at + _STRETCH_BYTES])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _depth(body: bytes) -> int:
    """Nesting of valid JSON, or a number above the limit.

    Peeling matching pairs off the brackets alone gives a bound in a few passes; brackets inside strings can only
    make it too high, and then the text is walked once.
    """
    rest, rounds = body.translate(None, _NOT_BRACKETS), 0
    if len(rest) <= 2 * DEPTH_LIMIT:  # the usual case: each level takes two brackets
        return len(rest) // 2
    while rest and rounds <= DEPTH_LIMIT:
        peeled = rest.replace(b"[]", b"").replace(b"{}", b"")
        if len(peeled) == len(rest):
            break
        rest, rounds = peeled, rounds + 2  # one pass may peel "[{}]" at once: two levels
    bound = rounds + len(rest)
    return bound if bound <= DEPTH_LIMIT else _walked_depth(body)


def _walked_depth(body: bytes) -> int:
    depth = deepest = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def body_member(body: bytes) -> bytes:
    """The `b`, `x` or `y` member for a body, without leading comma.

    Bodies of our own encoder are looked at too (0.5 µs per KB): a program may have put ready-made JSON into them.
    """
    if is_plain_json(body):
        return b'"b":' + body
    try:
        return b'"x":' + _text(body.decode())
    except UnicodeDecodeError:
        return b'"y":"' + base64.b64encode(body) + b'"'


def blob_member(ref: BlobRef) -> bytes:
    """The `f` member that names a blob."""
    return b'"f":' + _text(ref)


def removed_member(removed: Removed) -> bytes:
    """The `z` member of a record whose body was removed."""
    return b'"z":' + _text(removed)


def opening(
    record_id: str,
    time_us: int,
    source: str,
    position: Position | None = None,
    line_end: str = "\n",
    redacted: Mapping[str, int] | None = None,
) -> bytes:
    """What stands in a line before the member with the body.

    `record_id` and `source` are ours and plain ASCII; the file id of a position too. `redacted` is the member `r`.
    """
    head = f'{{"v":1,"id":"{record_id}","t":{time_us},"s":"{source}",'
    if position is not None:
        head += f'"p":["{position[0]}",{position[1]},{position[2]}],'
    if line_end != "\n":
        head += f'"e":{_text(line_end).decode()},'
    if redacted:
        head += f'"r":{_text(redacted).decode()},'
    return head.encode()


def encode(
    record_id: str,
    time_us: int,
    source: str,
    member: bytes,
    position: Position | None = None,
    line_end: str = "\n",
    redacted: Mapping[str, int] | None = None,
    more: bytes = b"",
) -> bytes:
    """Write one record as a line without its LF. `member` comes from `body_member` or `blob_member`.

    `more` is what stands between body and checksum (`more_members`).
    """
    sealed = opening(record_id, time_us, source, position, line_end, redacted) + member + more
    return b'%b,"c":"%08x"}' % (sealed, zlib.crc32(sealed))


def left_out(record_id: str, time_us: int, source: str, position: Position, line_end: str) -> bytes:
    """A line that stands in the place of one that is not recorded, because it was forgotten."""
    record = Record(v=VERSION, id=record_id, t=time_us, s=source, p=position, e=line_end)
    return tombstone(record, in_place=True)


def encode_again(
    line: bytes | bytearray,
    record: Record,
    member: bytes,
    redacted: Mapping[str, int] | None = None,
    clean: Callable[[bytes], tuple[bytes, Mapping[str, int]]] | None = None,
) -> bytes:
    """Write an intact record (`line`, and `record` as it was read) with another body member; all else of it stays.

    So do members that this version does not know, unless `clean` takes something out of them: it gets them as
    `more_members` gives them. `redacted` is what was taken out of the body besides what `r` names already.
    """
    told = Counter(record.r or {})
    told.update(redacted or {})
    fields = (record.id, record.t, record.s, member, record.p, record.e)
    same = encode(*fields, told)
    if same == line:
        return same
    more = more_members(line)
    if more and clean is not None:
        more, kinds = clean(more)
        told.update(kinds)
    return encode(*fields, told, more)


def more_members(line: bytes | bytearray) -> bytes:
    """The members of an intact record that this version does not know, each with a comma before it."""
    members = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    return b"".join(
        b",%b:%b" % (_text(name), bytes(value)) for name, value in members.items() if name not in _MEMBERS
    )


def removed_as_it_stands(line: bytes | bytearray) -> bytes:
    """The value of the `z` of an intact record that has one, with members that this version does not know."""
    return bytes(msgspec.json.decode(line, type=_WithRemoved).z)


class _WithRemoved(msgspec.Struct):
    z: msgspec.Raw


FORGOTTEN = "forgotten"  # `why` of a tombstone
_TOMBSTONE_STEP_US = 3_600_000_000


def tombstone(record: Record, *, in_place: bool = False) -> bytes:
    """The line that stands in the place of a record that was forgotten.

    Nothing in it can be compared with a guess: the id is made now, the time is that of the hour, and there is no hash, size or
    position. The source stays.

    Args:
        record: what is forgotten.
        in_place: it is a line in a file of others, who go on: id, time and position stay.
    """
    member = removed_member(Removed(why=FORGOTTEN))
    if in_place:
        return encode(record.id, record.t, record.s, member, record.p, record.e)
    return encode(uuid7(), record.t - record.t % _TOMBSTONE_STEP_US, record.s, member)


def is_tombstone(record: Record) -> bool:
    """Whether a record was forgotten."""
    return record.z is not None and record.z.why == FORGOTTEN


def has_no_body(record: Record) -> bool:
    """Whether a record has no body: what it held was removed (`z`), or it is none of ours."""
    return record.x is None and record.y is None and record.f is None and not memoryview(record.b).nbytes


class Damaged(Exception):
    """A line is not a record; `why` names what does not fit."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Newer(Exception):
    """An intact record of a format version (`v`) that this code does not know."""

    def __init__(self, v: int) -> None:
        super().__init__(v)
        self.v = v


def decode(line: bytes | bytearray) -> Record:
    """Read one line (without its LF).

    Raises:
        Damaged: the line is not an intact record.
        Newer: it is intact, but its `v` is higher than ours.
    """
    if line[-SUFFIX_BYTES:-10] != b',"c":"' or line[-2:] != b'"}':
        raise Damaged("no checksum at its end")
    if line[-10:-2] != b"%08x" % zlib.crc32(memoryview(line)[:-SUFFIX_BYTES]):
        raise Damaged("checksum does not fit")
    try:
        record = _as_record(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _why_unreadable(line, exc) from exc
    if record.v > VERSION:
        raise Newer(record.v)
    if record.v < VERSION:
        raise Damaged(f"checksum fits, but there is no format version {record.v}")
    if record.y is not None:
        try:
            binascii.a2b_base64(record.y, strict_mode=True)
        except ValueError as exc:
            raise Damaged(f"checksum fits, but its body is no base64: {exc}") from exc
    return record


class _Version(msgspec.Struct):
    v: int


def _why_unreadable(line: bytes | bytearray, exc: Exception) -> Damaged | Newer:
    try:
        v = msgspec.json.decode(line, type=_Version).v
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        v = VERSION
    return Newer(v) if v > VERSION else Damaged(f"checksum fits, but it cannot be read: {exc}")
