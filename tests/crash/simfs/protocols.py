"""What is tried: each protocol does real work with the real code, and says what must be found after a crash.

To add one: a function that works below `stage.root`, tells `stage.known` what it is about to write and `stage.promise`
from when on it must be found; and a function that looks at one state with the real reader, carries on in it as the next
process would, and returns what is wrong. `settle` says that what was done so far is old.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import AppendFailed, BlobDamaged, HoldfastError
from holdfast.home import Home
from holdfast.journal import blobs, reader
from holdfast.journal import format as fmt
from holdfast.journal.writer import Writer
from holdfast.settings import load

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.crash.simfs.recorder import Recorder

HOST = "6b1d3c2e-0f57-4a38-9c05-5f1de9b7a001"
SOURCE = "probe"
_ALPHABET = 'abcdefgh "\\/{}[]:,\n\t\u00e9\u4e2d\U0001f600\u2028'


@dataclass
class Stage:
    """Where a protocol works, and to whom it says what it promises."""

    root: Path
    chooser: random.Random
    disk: Recorder
    writer: type[Writer] = Writer
    ack_first: bool = False  # the mistake of promising before writing

    def known(self, key: str, content: bytes) -> None:
        """This may be found from now on."""
        self.disk.log.known[key] = content

    def body(self) -> bytes:
        """A record's body: small and awkward, or some sectors long."""
        longest = self.chooser.choice((20, 200, 2_500))
        text = "".join(self.chooser.choices(_ALPHABET, k=self.chooser.randint(0, longest)))
        return json.dumps({"text": text}, ensure_ascii=self.chooser.random() < 0.5).encode()

    def key(self) -> str:
        """A record id that the seed decides."""
        return str(uuid.UUID(int=self.chooser.getrandbits(128), version=4))


class Found(NamedTuple):
    """One state of the disk, and what was promised before the crash."""

    root: Path
    promised: list[str]
    known: Mapping[str, bytes]


class Protocol(NamedTuple):
    run: Callable[[Stage], None]
    check: Callable[[Found], list[str]]


# ── the journal ──


class _Hand:
    """One writer, and which of its records are not promised yet."""

    def __init__(self, stage: Stage, *, inline_limit_bytes: int = 1 << 20) -> None:
        self._stage = stage
        self._waiting: list[str] = []
        self.busy = False
        self.writer = stage.writer(
            stage.root / "journal",
            stage.root / "blobs",
            HOST,
            segment_size_bytes=stage.chooser.choice((1, 400, 1_500, 100_000)),
            inline_limit_bytes=inline_limit_bytes,
            fsync_interval_s=0,
        )

    def append(self, *, durable: bool) -> None:
        key, body = self._stage.key(), self._stage.body()
        self._stage.known(key, body)
        if self._stage.ack_first and durable:
            self._stage.disk.promise(key)
        self.writer.append(SOURCE, body, record_id=key, durable=durable)
        self._waiting.append(key)
        if durable:
            self._kept()

    def append_lines(self) -> None:
        made = {self._stage.key(): self._stage.body() for _ in range(self._stage.chooser.randint(1, 4))}
        for key, body in made.items():
            self._stage.known(key, body)
        self.writer.append_lines([self.writer.line(SOURCE, body, key) for key, body in made.items()])
        self._waiting += made

    def sync(self) -> None:
        self.writer.sync()
        self._kept()

    def close(self) -> None:
        self.writer.close()
        self._kept()

    def group_sync(self) -> None:
        """What the background thread does, in this thread: sync until an interval brought nothing new."""
        self.writer._stop.set()
        self.writer._sync_until_idle()
        self.writer._stop = threading.Event()
        if self.writer._stranded is None and not self.writer._unsynced:
            self._kept()

    def _kept(self) -> None:
        self._stage.disk.promise(*self._waiting)
        self._waiting.clear()

    def act(self) -> None:
        """Something that a writer may do; refused appends promise nothing."""
        self.busy = True
        what = self._stage.chooser.choices(
            ("append", "durable", "lines", "sync", "group", "close"), (4, 3, 1, 1, 2, 1)
        )[0]
        with contextlib.suppress(AppendFailed):
            match what:
                case "lines":
                    self.append_lines()
                case "sync":
                    self.sync()
                case "group":
                    self.group_sync()
                case "close":
                    self.close()
                case _:
                    self.append(durable=what == "durable")
        self.busy = False


def _directories(stage: Stage) -> None:
    (stage.root / "journal").mkdir(mode=0o700)
    (stage.root / "blobs").mkdir(mode=0o700)
    stage.disk.settle()


def _faults(stage: Stage) -> None:
    """Now and then a sync that fails, a write that is short, a disk that is full."""
    chance = stage.chooser.random()
    if chance < 0.3:
        stage.disk.fail_syncs = {n for n in range(1, 12) if stage.chooser.random() < 0.25}
    elif chance < 0.45:
        taken = [stage.chooser.choice((None, 0, 1, 40, 300)) for _ in range(3)]
        stage.disk.fail_writes = {stage.chooser.randint(1, 12): size for size in taken}


def journal(stage: Stage) -> None:
    """One to three writers append, durably or not, sync alone or in groups, rotate, meet errors; also inside each other's calls."""
    _directories(stage)
    _faults(stage)
    hands = [_Hand(stage) for _ in range(stage.chooser.choice((1, 2, 2, 3)))]
    between = stage.chooser.choice((0.0, 0.1, 0.3))
    acting: list[_Hand] = []

    def interrupt(call: str) -> None:
        idle = [hand for hand in hands if not hand.busy]
        if acting and len(acting) == 1 and idle and stage.chooser.random() < between:
            acting.append(stage.chooser.choice(idle))
            acting[-1].act()
            acting.pop()

    stage.disk._between = interrupt
    for _ in range(stage.chooser.randint(3, 9)):
        acting.append(stage.chooser.choice(hands))
        acting[0].act()
        acting.clear()
    stage.disk._between = None
    for hand in hands:
        with contextlib.suppress(AppendFailed):
            hand.close()


def check_journal(found: Found) -> list[str]:
    """Every promised record is there, none is invented or altered, blobs of readable records are whole, and writing goes on."""
    wrong, before = _look(found)
    writer = Writer(
        found.root / "journal", found.root / "blobs", HOST, segment_size_bytes=300, fsync_interval_s=0
    )
    try:
        added = [writer.append(SOURCE, b'{"after":%d}' % n, durable=n == 1) for n in range(3)]
        writer.close()
    except HoldfastError as exc:
        return [*wrong, f"the next writer failed: {exc}"]
    more, after = _look(found, ignore=frozenset(added))
    wrong += [f"afterwards: {text}" for text in more if text not in wrong]
    wrong += [f"record {i} of the next writer cannot be read" for i in added if i not in after]
    wrong += [f"record {i} was readable before the next writer came" for i in before - after]
    return wrong


def _look(found: Found, ignore: frozenset[str] = frozenset()) -> tuple[list[str], set[str]]:
    """What is wrong with the journal as it stands, and which records can be read."""
    wrong, ids = [], set()
    for item in reader.read(found.root / "journal"):
        if isinstance(item, reader.Damage):
            continue
        record = item.record
        if record.s == fmt.SEGMENT_SOURCE:
            if json.loads(record.body_bytes() or b"{}").get("host") != HOST:
                wrong.append(f"segment {item.segment} names another host")
            continue
        ids.add(record.id)
        if record.id not in ignore:
            wrong += _altered(found, record)
    wrong += [f"promised record {key} is lost" for key in found.promised if key not in ids and "-" in key]
    wrong += [
        f"promised blob {key} is lost" for key in found.promised if "-" not in key and not _blob(found, key)
    ]
    return wrong, ids


def _altered(found: Found, record: fmt.Record) -> list[str]:
    if record.id not in found.known:
        return [f"record {record.id} was never written"]
    try:
        body = record.body_bytes() if record.f is None else blobs.get(found.root / "blobs", record.f)
    except BlobDamaged as exc:
        return [f"record {record.id} can be read, its blob cannot: {exc}"]
    return [] if body == found.known[record.id] else [f"record {record.id} has another body"]


def _blob(found: Found, sha256: str) -> bool:
    with contextlib.suppress(BlobDamaged):
        blobs.get(found.root / "blobs", fmt.BlobRef(sha256, 0))
        return True
    return False


# ── blobs ──


def blob(stage: Stage) -> None:
    """Contents are kept, some of them twice or by two programs at once, some damaged before; records name them."""
    _directories(stage)
    if stage.chooser.random() < 0.3:
        stage.disk.fail_syncs = {stage.chooser.randint(1, 8)}
    contents = [stage.body() + stage.body() for _ in range(stage.chooser.randint(1, 3))]
    hands = [_Hand(stage, inline_limit_bytes=stage.chooser.choice((0, 100))) for _ in range(2)]
    nested: list[int] = []

    def put() -> None:
        content = stage.chooser.choice(contents)
        with contextlib.suppress(OSError):
            ref = blobs.put(stage.root / "blobs", content)
            stage.disk.promise(ref.sha256)

    def interrupt(call: str) -> None:
        if not nested and stage.chooser.random() < 0.1:
            nested.append(1)
            put()
            nested.clear()

    if stage.chooser.random() < 0.3:  # what an earlier crash left under a blob's name
        name = hashlib.sha256(contents[0]).hexdigest()
        fd = os.open(stage.root / "blobs" / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        blobs.write_all(fd, contents[0][:7])
        os.close(fd)
        stage.disk.settle()
    stage.disk._between = interrupt
    for _ in range(stage.chooser.randint(2, 6)):
        if stage.chooser.random() < 0.4:
            put()
        else:
            hands[stage.chooser.randint(0, 1)].act()
    stage.disk._between = None
    for hand in hands:
        with contextlib.suppress(AppendFailed):
            hand.close()


# ── the first moments of a home ──

HOST_KEY = "host id"


def first_run(stage: Stage) -> None:
    """A home is made below directories that are not there yet, by one or two programs at once; one records durably."""
    inside: list[int] = []

    def begin(key: str, *, durable: bool) -> None:
        home = _home(stage.root)
        stage.known(HOST_KEY, home.host_id.encode())
        writer = home.writer(fsync_interval_s=0)
        body = stage.body()
        stage.known(key, body)
        writer.append(SOURCE, body, record_id=key, durable=durable)
        if durable:
            stage.disk.promise(key, HOST_KEY)
            stage.disk.log.known[HOST_KEY] = home.host_id.encode()

    def interrupt(call: str) -> None:
        if not inside and stage.chooser.random() < chance:
            inside.append(1)
            begin(stage.key(), durable=stage.chooser.random() < 0.5)
            inside.clear()

    chance = stage.chooser.choice((0.0, 0.03, 0.1))
    stage.disk._between = interrupt
    begin(stage.key(), durable=stage.chooser.random() < 0.7)
    inside.append(1)
    begin(stage.key(), durable=True)
    stage.disk._between = None


def _home(root: Path) -> Home:
    return Home(load(root / "state" / "mine" / "holdfast", {"HOME": str(root)}, {}))


def check_first_run(found: Found) -> list[str]:
    """The home opens, is the same host, and holds what was promised; recording goes on."""
    try:
        home = _home(found.root)
        host = home.host_id
        writer = home.writer(fsync_interval_s=0)
        added = writer.append(SOURCE, b"{}", durable=True)
        writer.close()
    except HoldfastError as exc:
        return [f"the home does not open: {exc}"]
    wrong = []
    if HOST_KEY in found.promised and host.encode() != found.known[HOST_KEY]:
        wrong.append("the host has another id")
    ids = set()
    for item in reader.read(home.journal):
        if isinstance(item, reader.Damage) or item.record.s == fmt.SEGMENT_SOURCE:
            continue
        ids.add(item.record.id)
        if item.record.id != added and item.record.body_bytes() != found.known.get(item.record.id):
            wrong.append(f"record {item.record.id} was never written so")
    wrong += [
        f"promised record {key} is lost" for key in found.promised if key != HOST_KEY and key not in ids
    ]
    return wrong if added in ids else [*wrong, "the next record cannot be read"]


PROTOCOLS = {
    "journal": Protocol(journal, check_journal),
    "blob": Protocol(blob, check_journal),
    "home": Protocol(first_run, check_first_run),
}


# ── mistakes that must be found out ──


class _Stubborn(Writer):
    """Tries an fsync again on the file on which it failed."""

    def _flush(self) -> None:
        try:
            super()._flush()
        except OSError:
            super()._flush()


class Mistake(NamedTuple):
    """A build with one thing wrong, and the protocol that it breaks."""

    protocol: str
    unheard: frozenset[str] = frozenset()
    ack_first: bool = False
    writer: type[Writer] = Writer
    around: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext  # entered while it runs


MISTAKES = {
    "journal without fsync": Mistake("journal", unheard=frozenset({"file"})),
    "journal without fsync of the directory": Mistake("journal", unheard=frozenset({"directory"})),
    "journal that promises before it writes": Mistake("journal", ack_first=True),
    "journal that tries a failed fsync again": Mistake("journal", writer=_Stubborn),
    "blobs renamed without fsync": Mistake("blob", unheard=frozenset({"file"})),
    "blobs without fsync of the directory": Mistake("blob", unheard=frozenset({"directory"})),
    "home without fsync of a directory": Mistake("home", unheard=frozenset({"directory"})),
}
