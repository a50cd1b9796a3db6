"""A sealed segment: its bytes compressed in independent frames, with a seal that chains it to the one before.

`journal/00000007.jsonl.zst` is a valid zstd file (`zstd -dc` gives the plain segment back, byte for byte), made of

    groups      a marker and one zstd frame; a frame holds whole lines, about 256 KiB of them, and its own checksum
    seal        what the segment is, and its link in the chain
    seek table  of the zstd seekable format: where each group begins, so that one record costs one frame

Marker, seal and seek table stand in skippable frames, which zstd readers pass over: 4 bytes magic, 4 bytes length, content;
all numbers little-endian.

    marker      magic 0x184D2A50; u64 first plain byte, u32 plain size, u32 size of the zstd frame that follows, u32 CRC-32
                of the 24 bytes before it. It lets a reader find every whole frame around any damage
    seal        magic 0x184D2A51; one JSON object, members in this order and without white space:
                {"format":1,"host":"<uuid>","segment":7,"size":n,"sha256":"...","stored_size":n,"stored_sha256":"...",
                 "previous":"...","link":"..."}
                sha256 and size are of the plain segment, stored_* of all groups as they stand in this file, previous
                is the link of the segment before (64 zeros: there is none), link is SHA-256 over the bytes of the object
                before `,"link"`. A segment that was rewritten has a member "was" before "link": what stood there before
    seek table  magic 0x184D2A5E; per group u32 stored size, u32 plain size; then u32 number of groups, u8 0, u32 0x8F92EAB1
                (github.com/facebook/zstd, contrib/seekable_format)

`journal/chain.jsonl` repeats every seal, one a line: a seal that was replaced together with its segment differs from it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
import zlib
from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import zstandard

from holdfast.journal.blobs import write_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORMAT = 1
LEVEL = 3
FRAME_BYTES = 256 << 10  # plain bytes after which a frame ends at the next line end
FRAME_LIMIT_BYTES = (
    4 << 20
)  # a frame ends here even within a line; only damage is that long without a line end
NO_LINK = "0" * 64
_MARKER_HEAD = struct.pack("<II", 0x184D2A50, 20)
_SEAL_MAGIC, _TABLE_MAGIC, _FOOTER_MAGIC = 0x184D2A51, 0x184D2A5E, 0x8F92EAB1
_PLACE = struct.Struct("<QII")
_FOOTER = struct.Struct("<IBI")
_ENTRY = struct.Struct("<II")
_MARKER_BYTES = len(_MARKER_HEAD) + _PLACE.size + 4
_SCAN_BYTES = 1 << 20
_SEAL_LIMIT_BYTES = 64 << 10


class Was(msgspec.Struct, frozen=True):
    """What stood in a segment before it was rewritten: the content is gone, its hash and its place in the chain stay."""

    size: int
    sha256: str
    link: str
    why: str


class Seal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a sealed segment says about itself."""

    format: int
    host: str
    segment: int
    size: int
    sha256: str
    stored_size: int
    stored_sha256: str
    previous: str
    was: tuple[Was, ...] = ()
    link: str = ""

    def linked(self) -> Seal:
        """The same with its link computed."""
        return msgspec.structs.replace(self, link=self._link())

    def _link(self) -> str:
        return hashlib.sha256(_encode(msgspec.structs.replace(self, link=""))[:-1]).hexdigest()

    def line(self) -> bytes:
        """The seal as one line of JSON, without a line end."""
        return _encode(self)

    @property
    def fits(self) -> bool:
        """Whether the link is that of the other members."""
        return self.link == self._link()

    @property
    def place(self) -> str:
        """The link that the next segment names; rewriting a segment does not change it."""
        return self.was[0].link if self.was else self.link


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Seal).decode


def read_seal(raw: bytes) -> Seal | None:
    """A seal from its JSON; None when it is none, or is not written the one way there is (of a newer format: any way)."""
    try:
        seal = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return seal if seal.format > FORMAT or (seal.line() == raw and seal.fits) else None


class Group(NamedTuple):
    """One frame with its marker: where it stands in the file, and which plain bytes it holds."""

    at: int
    stored: int
    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


class Hole(NamedTuple):
    """Plain bytes [start, end) that cannot be read any more."""

    start: int
    end: int


# ── writing ──


def write(
    fd: int, plain: Iterable[bytes], host: str, segment: int, previous: str, was: tuple[Was, ...] = ()
) -> Seal:
    """Write a sealed segment to an empty file and give its seal.

    Args:
        fd: open for writing; nobody else writes it.
        plain: the segment's bytes, in pieces of any size.
        host: the host whose journal it is.
        segment: its number.
        previous: the link of the segment before.
        was: what this one replaces, the newest last.

    Raises:
        OSError: the file could not be written.
    """
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
    content, stored = hashlib.sha256(), hashlib.sha256()
    groups: list[Group] = []
    at = start = 0
    for piece in _frames(plain):
        content.update(piece)
        frame = _compress(compressor, piece)
        group = marker(start, len(piece), frame) + frame
        stored.update(group)
        write_all(fd, group)
        groups.append(Group(at, len(group), start, len(piece)))
        at, start = at + len(group), start + len(piece)
    seal = Seal(
        FORMAT, host, segment, start, content.hexdigest(), at, stored.hexdigest(), previous, was
    ).linked()
    write_all(fd, trailer(seal, groups))
    return seal


def _compress(compressor: zstandard.ZstdCompressor, piece: bytes) -> bytes:
    try:
        return compressor.compress(piece)
    except zstandard.ZstdError as exc:  # any bytes can be compressed: what it lacks is memory
        raise OSError(errno.ENOMEM, str(exc)) from exc


def marker(start: int, size: int, frame: bytes) -> bytes:
    """The marker that stands before a frame."""
    place = _MARKER_HEAD + _PLACE.pack(start, size, len(frame))
    return place + struct.pack("<I", zlib.crc32(place))


def trailer(seal: Seal, groups: list[Group]) -> bytes:
    """What stands behind the last frame: seal and seek table."""
    text = seal.line()
    table = b"".join(_ENTRY.pack(group.stored, group.size) for group in groups)
    table += _FOOTER.pack(len(groups), 0, _FOOTER_MAGIC)
    return b"".join(
        struct.pack("<II", magic, len(content)) + content
        for magic, content in ((_SEAL_MAGIC, text), (_TABLE_MAGIC, table))
    )


def _frames(plain: Iterable[bytes]) -> Iterator[bytes]:
    """Cut at the first line end after FRAME_BYTES, in any case at FRAME_LIMIT_BYTES."""
    held = bytearray()
    for piece in plain:
        held += piece
        while len(held) >= FRAME_BYTES:
            cut = held.find(b"\n", FRAME_BYTES - 1) + 1
            if not cut or cut > FRAME_LIMIT_BYTES:
                if len(held) < FRAME_LIMIT_BYTES:
                    break
                cut = FRAME_LIMIT_BYTES
            yield bytes(held[:cut])
            del held[:cut]
    if held:
        yield bytes(held)


# ── reading ──


class Sealed:
    """An open sealed segment. Damage anywhere in it costs the frames that it touches, nothing else."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.file_size = os.fstat(fd).st_size
        self.seal, groups = _read_trailer(fd, self.file_size)
        self._by_markers = groups is None
        self.groups = _scan(fd, self.file_size) if groups is None else groups  # in order of their plain bytes

    @property
    def size(self) -> int:
        """Plain bytes: as the seal says; without one, up to the last frame that is known."""
        if self.seal is not None:
            return self.seal.size
        return self.groups[-1].end if self.groups else 0

    def read(self, start: int = 0) -> Iterator[tuple[int, bytes] | Hole]:
        """(first plain byte, bytes) from `start` on, frame by frame, and the holes between them.

        A frame that is not where the seek table says may have moved: then all frames are looked for by their markers.
        """
        at = start
        waiting = self._following(at)
        while group := next(waiting, None):
            if group.end <= at:
                continue
            content = _decompress(os.pread(self._fd, group.stored, group.at), group)
            if content is None:
                if not self._by_markers:
                    self._by_markers, self.groups = True, _scan(self._fd, self.file_size)
                    waiting = self._following(at)
                continue
            if group.start > at:
                yield Hole(at, group.start)
                at = group.start
            yield at, content[at - group.start :] if at > group.start else content
            at = group.end
        if at < self.size:
            yield Hole(at, self.size)

    def _following(self, at: int) -> Iterator[Group]:
        """The groups from the one on that holds plain byte `at`."""
        return iter(self.groups[max(0, bisect_right(self.groups, at, key=lambda group: group.start) - 1) :])


@contextmanager
def opened(path: Path) -> Iterator[Sealed]:
    """Open a sealed segment for reading.

    Raises:
        OSError: it cannot be opened.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield Sealed(fd)
    finally:
        os.close(fd)


def _decompress(stored: bytes, group: Group) -> bytes | None:
    place = _marked(stored[:_MARKER_BYTES])
    frame = memoryview(stored)[_MARKER_BYTES:]
    if place != (group.start, group.size, len(frame)):
        return None
    try:
        # What the frame claims is checked before memory is taken for it.
        if (
            zstandard.frame_content_size(frame) != group.size
            or not zstandard.get_frame_parameters(frame).has_checksum
        ):
            return None
        content = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except (zstandard.ZstdError, MemoryError):
        return None
    return content if len(content) == group.size else None


def _marked(raw: bytes) -> tuple[int, int, int] | None:
    """(first plain byte, plain size, frame size) of a marker; None when it is none."""
    if len(raw) != _MARKER_BYTES or not raw.startswith(_MARKER_HEAD):
        return None
    if int.from_bytes(raw[-4:], "little") != zlib.crc32(raw[:-4]):
        return None
    start, size, frame = _PLACE.unpack_from(raw, len(_MARKER_HEAD))
    return (start, size, frame) if 0 < size <= FRAME_LIMIT_BYTES else None


def _scan(fd: int, file_size: int) -> list[Group]:
    """The groups by their markers, wherever they stand, in order of their plain bytes."""
    return sorted(_marked_groups(fd, file_size), key=lambda group: (group.start, group.at))


def _marked_groups(fd: int, file_size: int) -> Iterator[Group]:
    at, held = 0, b""
    while chunk := os.pread(fd, _SCAN_BYTES, at + len(held)):
        held += chunk
        begin = 0
        while (begin := held.find(_MARKER_HEAD, begin)) >= 0:
            place = _marked(os.pread(fd, _MARKER_BYTES, at + begin))
            if place is not None and at + begin + _MARKER_BYTES + place[2] <= file_size:
                yield Group(at + begin, _MARKER_BYTES + place[2], place[0], place[1])
            begin += 1
        keep = min(len(held), len(_MARKER_HEAD) - 1)
        at, held = at + len(held) - keep, held[len(held) - keep :]


def _read_trailer(fd: int, file_size: int) -> tuple[Seal | None, list[Group] | None]:
    """The seal and the groups by the seek table; each None where it cannot be read."""
    footer = os.pread(fd, _FOOTER.size, max(0, file_size - _FOOTER.size))
    if len(footer) != _FOOTER.size:
        return None, None
    count, descriptor, magic = _FOOTER.unpack(footer)
    table_size = count * _ENTRY.size + _FOOTER.size
    table_at = file_size - table_size - 8
    if magic != _FOOTER_MAGIC or descriptor or table_at < 0:
        return None, None
    raw = os.pread(fd, table_size + 8, table_at)
    if raw[:8] != struct.pack("<II", _TABLE_MAGIC, table_size):
        return None, None
    groups, at, start = [], 0, 0
    for stored, size in _ENTRY.iter_unpack(raw[8 : -_FOOTER.size]):
        groups.append(Group(at, stored, start, size))
        at, start = at + stored, start + size
    seal = _seal_before(fd, table_at)
    fits = seal is not None and (at, start) == (seal.stored_size, seal.size)
    return seal, groups if fits else None


def _seal_before(fd: int, end: int) -> Seal | None:
    """The seal that ends at `end`, wherever it begins."""
    begin = max(0, end - _SEAL_LIMIT_BYTES)
    raw = os.pread(fd, end - begin, begin)
    at = raw.rfind(struct.pack("<I", _SEAL_MAGIC))
    if at < 0 or len(raw) - at < 8 or int.from_bytes(raw[at + 4 : at + 8], "little") != len(raw) - at - 8:
        return None
    return read_seal(raw[at + 8 :])
