"""A process that records without end, and the look at what it left.

    python -m tests.crash.flood SEED WRITER COUNT small|mixed

COUNT 0 never ends. "small" are records of some hundred bytes; "mixed" are records up to 250 KiB, blobs, and batches of
several megabytes in one write. Each record says what it must hold, so whoever reads it can tell whether it is whole.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import sys
from typing import TYPE_CHECKING, Any

from holdfast import door
from holdfast.errors import HoldfastError
from holdfast.ids import uuid7
from holdfast.journal import blobs, reader
from holdfast.journal import format as fmt
from tests.crash import child

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KIND = "flood.noted"
_INLINE_BYTES = 256 << 10
BATCH_RECORDS = 24
_BURST_BATCHES = 6


def body(seed: str, writer: str, number: int, size: int) -> dict[str, Any]:
    unit = hashlib.sha256(f"{seed}/{writer}/{number}".encode()).hexdigest()
    text = (unit * (size // len(unit) + 1))[:size]
    return {
        "kind": KIND,
        "session": "flood",
        "fields": {"seed": seed, "writer": writer, "n": number, "text": text},
    }


def is_whole(fields: dict[str, Any]) -> bool:
    """Whether a record that was read back holds what was recorded."""
    made = body(fields["seed"], fields["writer"], fields["n"], len(fields["text"]))
    return bool(made["fields"] == fields)


def record_all(seed: str, writer: str, count: int, mix: str) -> None:
    chooser = random.Random(f"{seed}/{writer}/{os.getpid()}")
    numbers = itertools.count() if count == 0 else iter(range(count))
    for number in numbers:
        kind = (
            "small"
            if mix == "small"
            else chooser.choices(["small", "large", "blob", "batch"], [6, 5, 1, 2])[0]
        )
        if kind == "batch":
            batches = [[*itertools.islice(numbers, BATCH_RECORDS)] for _ in range(_BURST_BATCHES)]
            _burst(seed, writer, batches, chooser)
            continue
        size = {"small": (1, 1_500), "large": (8 << 10, 250 << 10), "blob": (_INLINE_BYTES, 600 << 10)}[kind]
        _acknowledge(door.append(body(seed, writer, number, chooser.randint(*size))), number)


def _burst(seed: str, writer: str, batches: list[list[int]], chooser: random.Random) -> None:
    """Writes of several megabytes back to back, as an import does them: of each all are acknowledged, or none.

    They are made ready first, so that for a few milliseconds hardly anything but writing happens.
    """
    journal = child.open_home().writer()
    ready = []
    for numbers in batches:
        ids = {n: uuid7() for n in numbers}
        sizes = {n: chooser.randint(1, _INLINE_BYTES - 1_000) for n in numbers}
        bodies = {n: json.dumps(body(seed, writer, n, sizes[n])).encode() for n in numbers}
        lines = [journal.line(door.SOURCE, bodies[n], ids[n]) for n in numbers]
        ready.append((lines, "".join(f"{ids[n]} {n}\n" for n in numbers).encode()))
    for lines, acknowledgement in ready:
        journal.append_lines(lines)
        os.write(1, acknowledgement)
    journal.close()


def _acknowledge(record_id: str, number: int) -> None:
    os.write(1, f"{record_id} {number}\n".encode())


class Audit:
    """Reads a journal bit by bit and keeps account of what stands there."""

    def __init__(self, journal: Path, blob_directory: Path) -> None:
        self._journal, self._blobs = journal, blob_directory
        self._after: dict[int, int] = {}
        self.times: dict[str, int] = {}
        self.broken: list[str] = []
        self.damage: list[reader.Damage] = []
        self.size_bytes = 0

    def go_on(self) -> None:
        """Read what was appended since the last call."""
        for item in self._new(self._after):
            self._after[item.segment] = item.end
            self.size_bytes += item.end - item.start
            if isinstance(item, reader.Damage):
                self.damage.append(item)
            elif item.record.s == door.SOURCE:
                self._account(item.record)

    def _new(self, after: Mapping[int, int]) -> Iterator[reader.Found | reader.Damage]:
        return reader.read(self._journal, dict(after))

    def _account(self, record: fmt.Record) -> None:
        self.times[record.id] = self.times.get(record.id, 0) + 1
        raw = record.body_bytes()
        if raw is None:
            assert record.f is not None
            self.size_bytes += record.f.size
            raw = blobs.get(self._blobs, record.f)
        held = json.loads(raw)
        if held["kind"] == KIND and not is_whole(held["fields"]):
            self.broken.append(f"record {record.id} does not hold what was recorded")

    def missing(self, acknowledged: list[str]) -> list[str]:
        return [f"acknowledged record {i} is not in the journal" for i in acknowledged if i not in self.times]


def ids_of(output: bytes) -> list[str]:
    """The ids of the acknowledgements that arrived whole."""
    return [line.split()[0] for line in output.rpartition(b"\n")[0].decode().splitlines()]


def main(seed: str, writer: str, count: str, mix: str) -> int:
    try:
        record_all(seed, writer, int(count), mix)
        door.close()
    except HoldfastError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
