"""What the tests of sealed history share: a journal with sealed segments, and every way to tamper with it."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

from holdfast.journal import chain, reader, sealed, segments
from holdfast.journal import format as fmt
from holdfast.journal.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "00000000-0000-4000-8000-000000000000"
SEGMENT_BYTES = 6_000


def bodies_for(count: int, seed: int = 0) -> list[bytes]:
    chooser = random.Random(seed)
    words = ["alpha", "beta", "gamma", "delta", "\u20ac", '\\"', "tool_use", "0" * 40]
    out = []
    for number in range(count):
        text = " ".join(chooser.choices(words, k=chooser.randrange(1, 120)))
        out.append(b'{"n":%d,"text":"%s"}' % (number, text.encode()))
        if number % 9 == 4:
            out.append(b"\xff\xfe" + chooser.randbytes(chooser.randrange(200)))
    return out


def journal_of(directory: Path, bodies: list[bytes], *, segment_bytes: int = SEGMENT_BYTES) -> list[str]:
    """Record each body; segments are small, the last one stays unsealed. Returns the ids."""
    directory.mkdir(exist_ok=True)
    writer = Writer(
        directory, directory.parent / "blobs", HOST, fsync_interval_s=0, segment_size_bytes=segment_bytes
    )
    ids = [writer.append("test", body) for body in bodies]
    writer.close()
    return ids


def found(directory: Path) -> dict[str, bytes]:
    """id → body of every record that can be read."""
    return {
        item.record.id: item.record.body_bytes() or b""
        for item in reader.read(directory)
        if isinstance(item, reader.Found) and item.record.s != fmt.SEGMENT_SOURCE
    }


# ── tampering: each changes sealed history in a directory, and names what it did ──


def _bytes_changed(chooser: random.Random, raw: bytearray) -> str:
    at = chooser.randrange(len(raw))
    for _ in range(chooser.choice((1, 1, 1, 4, 60))):
        spot = min(at + chooser.randrange(80), len(raw) - 1)
        raw[spot] ^= 1 << chooser.randrange(8)
    raw[at] ^= 0xFF
    return f"edited bytes at {at}"


def _bytes_deleted(chooser: random.Random, raw: bytearray) -> str:
    at = chooser.randrange(len(raw))
    size = chooser.choice((1, 7, 100, 4000))
    del raw[at : at + size]
    return f"deleted {size} bytes at {at}"


def _bytes_inserted(chooser: random.Random, raw: bytearray) -> str:
    at, size = chooser.randrange(len(raw) + 1), chooser.choice((1, 7, 100, 4000))
    copied = chooser.random() < 0.3
    raw[at:at] = raw[:size] if copied else chooser.randbytes(size)
    return f"inserted {size} bytes at {at}"


def _blocks_swapped(chooser: random.Random, raw: bytearray) -> str:
    before = bytes(raw)
    size = chooser.choice((1, 16, 300))
    while bytes(raw) == before:
        a, b = sorted(chooser.sample(range(max(2, len(raw) - size)), 2))
        b = max(b, a + size)
        raw[a : a + size], raw[b : b + size] = before[b : b + size], before[a : a + size]
    return f"swapped blocks of {size} bytes"


def _cut(chooser: random.Random, raw: bytearray) -> str:
    at = chooser.randrange(len(raw))
    del raw[at:]
    return f"cut at {at}"


def _in_file(change: Callable[[random.Random, bytearray], str]) -> Callable[[random.Random, Path], str]:
    def tamper(chooser: random.Random, directory: Path) -> str:
        path = chooser.choice([*_files(directory), directory / chain.NAME])
        raw = bytearray(path.read_bytes())
        what = change(chooser, raw)
        path.write_bytes(raw)
        return f"{path.name}: {what}"

    return tamper


def _files(directory: Path) -> list[Path]:
    return [segments.sealed_path(directory, number) for number in segments.sealed_numbers(directory)]


def _files_swapped(chooser: random.Random, directory: Path) -> str:
    a, b = chooser.sample(_files(directory), 2)
    held = a.with_name("held")
    a.rename(held), b.rename(a), held.rename(b)
    return f"swapped {a.name} and {b.name}"


def _file_deleted(chooser: random.Random, directory: Path) -> str:
    path = chooser.choice([*_files(directory), directory / chain.NAME])
    path.unlink()
    return f"deleted {path.name}"


def _last_deleted_everywhere(chooser: random.Random, directory: Path) -> str:
    """The newest sealed segments, out of the chain's file too."""
    gone = chooser.randrange(1, 3)
    for path in _files(directory)[-gone:]:
        path.unlink()
    lines = chain.lines(directory)[:-gone]
    (directory / chain.NAME).write_bytes(b"".join(line + b"\n" for line in lines))
    return f"deleted the last {gone}, out of the chain too"


def _content_changed(chooser: random.Random, directory: Path) -> str:
    """A record's text is changed with all its checksums, and its segment compressed and sealed again."""
    path = chooser.choice(_files(directory))
    with sealed.opened(path) as segment:
        seal, plain = segment.seal, b"".join(item[1] for item in segment.read())  # type: ignore[index]
    lines = [line for line in plain.split(b"\n") if line]
    number = chooser.randrange(len(lines))
    kind = chooser.choice(("edit", "delete", "insert", "swap"))
    if kind == "edit":
        record = fmt.decode(lines[number])
        lines[number] = fmt.encode(record.id, record.t + 1, record.s, b'"b":{"n":0}')
    elif kind == "delete":
        del lines[number]
    elif kind == "insert":
        lines.insert(number, fmt.encode("00000000-0000-7000-8000-000000000000", 1, "test", b'"b":1'))
    else:
        other = (number + 1) % len(lines)
        lines[number], lines[other] = lines[other], lines[number]
    changed = b"".join(b"\n" + line + b"\n" for line in lines)
    assert seal is not None
    with path.open("wb") as file:
        sealed.write(file.fileno(), [changed], seal.host, seal.segment, seal.previous)
    return f"{path.name}: sealed again after {kind} of record {number}"


TAMPERINGS = {
    "edit": _in_file(_bytes_changed),
    "delete": _in_file(_bytes_deleted),
    "insert": _in_file(_bytes_inserted),
    "swap": _in_file(_blocks_swapped),
    "cut": _in_file(_cut),
    "files swapped": _files_swapped,
    "file deleted": _file_deleted,
    "last deleted": _last_deleted_everywhere,
    "sealed again": _content_changed,
}


def tampered(template: Path, directory: Path, kind: str, seed: str) -> str:
    """Copy a home's journal and blobs and tamper with the copy; says how."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(template, directory)
    return TAMPERINGS[kind](random.Random(seed), directory / "journal")
