"""Sealing and rewriting segments: what is tried, and what must be found after a crash (see `protocols.py`).

A process that dies is one that goes no further than a failpoint; the next one seals again in the same run. Frames are small in
some workloads, so that a sealed segment has several.
"""

from __future__ import annotations

import contextlib
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

from holdfast.errors import AppendFailed, BlobDamaged, HoldfastError, SealFailed
from holdfast.journal import blobs, reader, sealed, sealing, segments, verify
from holdfast.journal import format as fmt
from holdfast.journal.writer import Writer
from tests.crash.simfs import protocols
from tests.crash.simfs.protocols import HOST, SOURCE, Found, Mistake, Protocol, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW = "new "  # before a record's id: its other body
_WHY = "rewritten"
_DEATHS = ("seal.written", "seal.renamed", "seal.chained", "seal.done", "seal.rewritten")


class _Died(BaseException):
    pass


@contextlib.contextmanager
def _sometimes(stage: Stage) -> Iterator[None]:
    """Small frames; a process that dies at a failpoint, which ends the block."""
    dies_at = stage.chooser.choice(_DEATHS) if stage.chooser.random() < 0.4 else None
    passages = stage.chooser.randint(1, 2)

    def failpoint(name: str) -> None:
        nonlocal passages
        passages -= name == dies_at
        if name == dies_at and not passages:
            raise _Died

    frame_bytes = stage.chooser.choice((100, 700, sealed.FRAME_BYTES))
    with (
        mock.patch.object(sealed, "FRAME_BYTES", frame_bytes),
        mock.patch.object(sealing, "failpoint", failpoint),
        contextlib.suppress(_Died, SealFailed, AppendFailed),
    ):
        yield


def _hand(stage: Stage) -> protocols._Hand:
    hand = protocols._Hand(stage, inline_limit_bytes=stage.chooser.choice((100, 1 << 20, 1 << 20)))
    hand.writer._segment_size_bytes = stage.chooser.choice((1, 400, 1_500))
    return hand


def _fill(stage: Stage) -> None:
    """A writer fills some segments; it leaves in order, or is killed and leaves what no fsync saw."""
    hand = _hand(stage)
    for _ in range(stage.chooser.randint(2, 6)):
        hand.act()
    if stage.chooser.random() < 0.7:
        with contextlib.suppress(AppendFailed):
            hand.close()
    else:
        hand.writer._leave()


def _held(directory: Path, number: int) -> list[str]:
    return [item.record.id for item in _found(directory, number)]


def _found(directory: Path, number: int) -> list[reader.Found]:
    items = reader.read_segment(directory, number)
    return [i for i in items if isinstance(i, reader.Found) and i.record.s == SOURCE]


def seal(stage: Stage) -> None:
    """Segments are filled and sealed, in turn and inside each other's calls; what is sealed is durable, whoever wrote it."""
    protocols._directories(stage)
    journal = stage.root / "journal"
    beside: list[protocols._Hand] = []

    def interrupt(call: str) -> None:
        if beside and not beside[0].busy and stage.chooser.random() < 0.05:
            beside[0].act()

    for number in range(stage.chooser.randint(1, 3)):
        _fill(stage)
        if stage.chooser.random() < 0.5:
            stage.disk.settle()
        if number == 0:
            protocols._faults(stage)
            if stage.chooser.random() < 0.4:
                beside.append(_hand(stage))
        stage.disk._between = interrupt
        with _sometimes(stage):
            for made in sealing.seal_all(journal, HOST):
                stage.disk.promise(*_held(journal, made.segment))
        stage.disk._between = None
    for hand in beside:
        with contextlib.suppress(AppendFailed):
            hand.close()


def check_seal(found: Found) -> list[str]:
    """Every promised record is there, plain or sealed; the next sealing ends what was begun, and nothing is wrong then."""
    wrong, before = protocols._look(found)
    wrong += _wrong_seals(found.root)
    added = _go_on(found.root, wrong)
    more, after = protocols._look(found, ignore=frozenset(added))
    wrong += [f"afterwards: {text}" for text in more if text not in wrong]
    wrong += [f"record {i} was readable before the next sealing" for i in before - after]
    return wrong + [f"record {i} of the next writer cannot be read" for i in added if i not in after]


def _wrong_seals(root: Path) -> list[str]:
    """Before anybody goes on: whatever bears a sealed segment's name is whole, and so is the chain."""
    found = verify.verify(root / "journal", root / "blobs").findings
    return [
        f"before: {f.path.name} {f.what}"
        for f in found
        if f.path.name[-6:] != ".jsonl" and not f.what.startswith("it differs")
    ]


def _go_on(root: Path, wrong: list[str]) -> list[str]:
    """The next writer, the next sealing of all there is, and a look at every byte."""
    journal = root / "journal"
    writer = Writer(journal, root / "blobs", HOST, segment_size_bytes=300, fsync_interval_s=0)
    try:
        added = [writer.append(SOURCE, b'{"after":%d}' % n, durable=n == 1) for n in range(2)]
        writer.rotate()
        writer.close()
        sealing.seal_all(journal, HOST)
    except HoldfastError as exc:
        wrong.append(f"the next process failed: {exc}")
        return []
    if waiting := sealing.sealable(journal):
        wrong.append(f"segments {waiting} are still not sealed")
    wrong += [f"verify: {f.path.name} {f.what}" for f in verify.verify(journal, root / "blobs").findings]
    return added


# ── rewriting, which retires ──


def rewrite(stage: Stage) -> None:
    """Sealed segments get other content, some of them twice, some by a process that dies and one that goes on."""
    protocols._directories(stage)
    journal = stage.root / "journal"
    for _ in range(stage.chooser.randint(1, 2)):
        _fill(stage)
    with contextlib.suppress(AppendFailed):
        (hand := _hand(stage)).writer.rotate()
        hand.close()
    sealing.seal_all(journal, HOST)
    numbers = segments.sealed_numbers(journal)
    for number in numbers:
        stage.disk.promise(*_held(journal, number))
    stage.disk.settle()
    protocols._faults(stage)
    for number in numbers:
        for item in _found(journal, number):
            stage.known(NEW + item.record.id, stage.body())
    for _ in range(stage.chooser.randint(1, 3)):
        with _sometimes(stage):
            sealing.finish_rewriting(journal)
            for number in stage.chooser.sample(numbers, stage.chooser.randint(0, len(numbers))):
                sealing.rewrite(journal, number, HOST, _rewritten(stage, number), _WHY)
                stage.disk.promise(*(NEW + key for key in _held(journal, number)))


def _rewritten(stage: Stage, number: int) -> Iterator[bytes]:
    for item in reader.read_segment(stage.root / "journal", number):
        if isinstance(item, reader.Damage):
            continue
        body = stage.disk.log.known.get(NEW + item.record.id, item.record.b)
        r = item.record
        yield b"\n" + fmt.encode(r.id, r.t, r.s, fmt.body_member(bytes(body)), r.p, r.e) + b"\n"


def check_rewrite(found: Found) -> list[str]:
    """Each segment has its old content or its new one, never neither, never both; ending what was begun leaves nothing wrong."""
    journal = found.root / "journal"
    wrong = [f"before: {text}" for text in _contents(found)] + _wrong_seals(found.root)
    try:
        sealing.finish_rewriting(journal)
        wrong += [
            f"verify: {f.path.name} {f.what}" for f in verify.verify(journal, found.root / "blobs").findings
        ]
        for number in segments.sealed_numbers(journal)[:1]:  # and it can be rewritten once more
            same = [b"\n" + item.line + b"\n" for item in _found(journal, number)]
            sealing.rewrite(journal, number, HOST, same, _WHY)
    except HoldfastError as exc:
        return [*wrong, f"the next process failed: {exc}"]
    _go_on(found.root, wrong)
    return wrong + _contents(found)


def _contents(found: Found) -> list[str]:
    journal = found.root / "journal"
    wrong, seen = [], set[str]()
    for number in segments.numbers(journal):
        states = set()
        for item in _found(journal, number):
            key = item.record.id
            if key not in found.known:
                continue  # of the next writer
            state = _state(found, item.record)
            if state == "new":
                seen.add(NEW + key)
            seen.add(key)
            states.add(state)
        if len(states - {"either"}) > 1 or "another" in states:
            wrong.append(f"segment {number} holds {', '.join(sorted(states))} content")
    return wrong + [
        f"promised {key} is lost" for key in found.promised if key not in seen and not _same(found, key)
    ]


def _same(found: Found, key: str) -> bool:
    """Whether a record's new body is its old one."""
    return key.startswith(NEW) and found.known[key] == found.known[key.removeprefix(NEW)]


def _state(found: Found, record: fmt.Record) -> str:
    try:
        body = record.body_bytes() if record.f is None else blobs.get(found.root / "blobs", record.f)
    except BlobDamaged:
        return "another"
    old, new = found.known[record.id], found.known.get(NEW + record.id)
    if old == new == body:
        return "either"
    return "old" if body == old else "new" if body == new else "another"


PROTOCOLS = {"seal": Protocol(seal, check_seal), "rewrite": Protocol(rewrite, check_rewrite)}


# ── mistakes that must be found out ──


@contextlib.contextmanager
def _unsynced_file() -> Iterator[None]:
    """Sealing does not sync what it writes before it renames it."""
    calls = SimpleNamespace(**vars(os) | {"fsync": lambda _: None})
    with mock.patch.object(sealing, "os", calls):
        yield


@contextlib.contextmanager
def _unsynced_names() -> Iterator[None]:
    """Sealing removes the plain segment before the sealed one's name is on the disk."""
    calls = SimpleNamespace(**vars(blobs) | {"sync_directory": lambda _: None})
    with mock.patch.object(sealing, "blobs", calls):
        yield


MISTAKES = {
    "seal renamed without fsync": Mistake("seal", around=_unsynced_file),
    "plain segment removed before the seal's name is synced": Mistake("seal", around=_unsynced_names),
    "rewritten segment renamed without fsync": Mistake("rewrite", around=_unsynced_file),
}
