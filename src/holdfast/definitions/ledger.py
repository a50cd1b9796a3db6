"""What is kept of definitions: every content that was seen, and what lay where when it was looked last.

    <home>/definitions/texts/<sha256>   contents, byte for byte
    <home>/definitions/index            what lies where as it was recorded last: SHA-256 of the rest, then MessagePack
    <home>/definitions/pending          changes that are about to be recorded, in the same form
    <home>/definitions/intended         the same, and what is to be done to files before
    <home>/definitions/looked           looks that were recorded last (`looks.py`)
    <home>/definitions/editing/         copies that somebody edits
    <home>/definitions/lock             held by whoever looks or writes, one at a time

A change is recorded in this order: its content, `pending`, the records, `index`, and `pending` is emptied (zeros instead of its digest). Whoever takes the lock next and finds
something in `pending` appends the same records again: their keys are the same, so that twice is once. Both are written over where they lie, which is
three times as fast as beside; what a kill tears its digest tells. Who changes files writes down `intended` first, for good; it becomes `pending` when all of them are
changed. Who finds `intended` looks at the files: either all of it is done, or it is undone (`swapping.py`).

The index is a copy of what the journal says.
Where it is gone, damaged, or of another boot of the machine, after which the end of the journal may be missing, it is made from the store.
Contents are forced to the disk once the lock is free, so that nobody waits for that.
None of this needs the writer's lock, so that no import, however long, keeps a change from being seen.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from holdfast import processes
from holdfast.definitions import swapping
from holdfast.definitions.revisions import UNLINK
from holdfast.errors import DefinitionsBusy, HoldfastError, StoreError
from holdfast.failpoints import failpoint
from holdfast.journal import blobs, digested
from holdfast.journal.format import BlobRef
from holdfast.store.lock import lock_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from holdfast.definitions.looks import Watch

DIRECTORY: Final = "definitions"
TEXTS: Final = "texts"
EDITING: Final = "editing"  # copies that somebody edits
INDEX: Final = "index"
PENDING: Final = "pending"
INTENDED: Final = "intended"
LOCK: Final = "lock"
VERSION: Final = 2  # of the index; another one is made anew
WAIT_MS: Final = 5_000
_BLOCK_BYTES: Final = 4_096
_FORCED_AT_ONCE: Final = 64  # contents; of more, the system writes them when it likes
_FOR_NOW: Final = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
CONFLICT: Final = "definition.conflict"
RESOLVED: Final = "definition.resolved"

Json = dict[str, Any]


class Known(msgspec.Struct, array_like=True):
    """A file of a definition as it was recorded last.

    Attributes:
        root: the directory through which it was reached, without links, as text.
        revision: the event that says so.
        state: what the system says of the file (`reading.State`); empty: it has to be read again.
        first: the SHA-256 that it had when it was first recorded, since it was not there last; "": not known.
    """

    tool: str
    name: str
    tier: str
    root: str
    sha256: str
    size_bytes: int
    revision: str
    state: tuple[int, ...] = ()
    first: str = ""


class Waiting(NamedTuple):
    """What was not written because somebody else had: the file, and the SHA-256 of what was to be written, of what was read and of what lay there; "": nothing."""

    path: bytes
    ours: str
    base: str
    theirs: str


class Index(msgspec.Struct):
    """What lies where, by real path.

    Attributes:
        boot: of the machine, when it was written.
        gone: the last event of each file that is not there any more, or is not reached.
        unlinked: those of them that still lay there.
        had: every content that each file ever had, also where it lay before, as 32 bytes each.
        roots: every directory in which definitions were ever found, without links: its tool and tier.
        conflicts: those that nobody decided yet, by their events.
    """

    version: int = VERSION
    boot: str | None = None
    known: dict[bytes, Known] = {}
    gone: dict[bytes, str] = {}
    unlinked: set[bytes] = set()
    had: dict[bytes, list[bytes]] = {}
    roots: dict[bytes, tuple[str, str]] = {}
    conflicts: dict[str, Waiting] = {}

    def leave(self, path: bytes, event: str, operation: str) -> None:
        """A file is not there any more, or is not reached."""
        self.gone[path] = event
        if operation == UNLINK:
            self.unlinked.add(path)

    def add_content(self, sha256: str, path: bytes, path_before: bytes | None) -> None:
        """A file has a content now, and what it had where it lay before."""
        self.gone.pop(path, None)
        self.unlinked.discard(path)
        had = self.had.setdefault(path, [])
        for digest in (*self.had.get(path_before or b"", ()), bytes.fromhex(sha256)):
            if digest not in had:
                had.append(digest)


class Step(msgspec.Struct):
    """One record that is about to be appended, and what the index says afterwards.

    Attributes:
        body: of the event; its `key` makes that twice is once.
        path: of the file; None: the record is about none, and changes nothing of what lies where.
        known: how it lies then, but for `revision` and `first`; None: it is gone.
        path_before: where it lay, if it was moved.
    """

    body: Json
    path: bytes | None = None
    known: Known | None = None
    path_before: bytes | None = None


def revised(fields: Json, now_us: int, path: bytes, known: Known | None, path_before: bytes | None) -> Step:
    """The record of a change of a file; `fields` are those of the event, `previous` and `hash_after` among them. The rest as in `Step`."""
    previous, after = fields["previous"] or "", fields["hash_after"] or ""
    body = {
        "kind": "definition.revised",
        "time": now_us,
        "key": f"definition:{previous}:{path.hex()}:{after}",
        "fields": {name: value for name, value in fields.items() if value is not None},
    }
    return Step(body, path, known, path_before)


class Pending(msgspec.Struct):
    """Steps in their order, and what is done to files for them. `padding` makes the file one of few sizes."""

    steps: list[Step]
    actions: list[swapping.Action] = []
    padding: bytes = b""


class Texts:
    """Contents by their SHA-256."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def keep(self, content: bytes, *, sync: bool = False) -> str:
        """Keep a content; its SHA-256. Raises OSError."""
        sha256 = blobs.put(self.directory, content, sync=False).sha256
        if sync:
            self.force([sha256])
        return sha256

    def force(self, names: Iterable[str]) -> None:
        """Have contents survive a loss of power. Raises OSError."""
        blobs.force(self.directory, names)

    def get(self, sha256: str) -> bytes:
        """A content, checked.

        Raises:
            BlobDamaged: it is not there, or not what it was.
        """
        return blobs.get(self.directory, BlobRef(sha256, 0))

    def has(self, sha256: str) -> bool:
        return blobs.stands(self.directory, sha256)


class Ledger:
    """Keeps definitions of a home.

    Args:
        home: the home's directory.
        record: appends an event and gives its id.
        from_store: makes an index from what the store says, which has to be folded up to the journal's end.
        force: has what was appended survive a loss of power.
    """

    def __init__(
        self,
        home: Path,
        record: Callable[[Json], str],
        from_store: Callable[[], Index],
        force: Callable[[], None] = lambda: None,
    ) -> None:
        self.directory = home / DIRECTORY
        self.texts = Texts(self.directory / TEXTS)
        self.record = record
        self.force = force
        self._from_store = from_store
        self.watched: dict[str, Watch] = {}  # looks of this process, by directory
        self._read: tuple[object, Index] | None = None  # the index as it was read last
        self._unforced: set[str] = set()  # contents that were recorded

    @contextlib.contextmanager
    def held(self, wait_ms: int = WAIT_MS) -> Iterator[Held]:
        """Be the only one who looks or writes for the block. What somebody began and did not end is ended first.

        Raises:
            DefinitionsBusy: another process is at it.
            StoreError: the system refused.
        """
        with _told(self.directory):
            for directory in (self.directory, self.texts.directory):
                if not directory.is_dir():
                    directory.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _lock(fd, wait_ms)
            with _told(self.directory):
                held = Held(self, self._index())
                held.end_pending()
                yield held
        except BaseException:
            self._read = None  # what is in memory may say more than what is written
            raise
        finally:
            os.close(fd)
            self._force()

    def _force(self) -> None:
        kept, self._unforced = self._unforced, set()
        if 0 < len(kept) <= _FORCED_AT_ONCE:
            with contextlib.suppress(OSError):  # a removal of old contents may be at it
                self.texts.force(kept)

    def to_force(self, names: Iterable[str]) -> None:
        """Have contents survive a loss of power once the lock is free."""
        self._unforced.update(names)

    def peek(self) -> tuple[Index, Pending | None]:
        """The index, without waiting for anybody, and what is being done to files (None: nothing).

        Raises:
            StoreError: the system refused.
        """
        index_path, intended = self.directory / INDEX, self.directory / INTENDED
        with _told(self.directory):
            try:
                index = digested.read(index_path, Index)
                known = index is not None and (index.version, index.boot) == (VERSION, processes.boot_id())
            except FileNotFoundError:
                index, known = None, False
            try:
                under_way = digested.read(intended, Pending)
            except FileNotFoundError:
                under_way = None
        return index if known and index is not None else self._anew(), under_way

    def forget_read(self) -> None:
        """Read the index again when it is needed next."""
        self._read = None

    def _index(self) -> Index:
        path = self.directory / INDEX
        try:
            state = _state(path)
        except FileNotFoundError:
            return self._anew()
        if self._read is not None and self._read[0] == state:
            return self._read[1]
        found = digested.read(path, Index)
        if found is None or found.version != VERSION or found.boot != processes.boot_id():
            return self._anew()
        self._read = (state, found)
        return found

    def _anew(self) -> Index:
        out = self._from_store()
        out.boot = processes.boot_id()
        return out

    def save(self, index: Index) -> None:
        """Write the index, whole or not at all. Raises OSError."""
        index.boot = processes.boot_id()
        path = self.directory / INDEX
        digested.write_over(path, index)
        self._read = (_state(path), index)

    def drop_index(self) -> None:
        """Have the index made from the store by whoever is next."""
        self._read = None
        (self.directory / INDEX).unlink(missing_ok=True)


class Held:
    """A ledger whose lock is held.

    Attributes:
        index: what lies where; changed by `note` alone.
        texts: every content.
        ended: what somebody had begun to record, and was recorded now.
    """

    def __init__(self, ledger: Ledger, index: Index) -> None:
        self._ledger = ledger
        self.ended: list[Step] = []
        self.index = index
        self.texts = ledger.texts

    @property
    def _pending(self) -> Path:
        return self._ledger.directory / PENDING

    @property
    def _intended(self) -> Path:
        return self._ledger.directory / INTENDED

    def note(self, steps: list[Step]) -> list[str]:
        """Record changes; the ids of their events, in the order given. Their contents were kept before.

        Raises:
            OSError, AppendFailed: it could not be recorded now; whoever holds the lock next tries again.
        """
        if not steps:
            return []
        digested.write_over(self._pending, _padded(Pending(steps)))
        failpoint("definition.pending")
        return self._end(steps)

    def intend(self, steps: list[Step], actions: list[swapping.Action]) -> None:
        """Write down, for good, what is about to be done to files. `applied`, `record` and `finish` follow, or `undone`; if not, whoever holds the
        lock next asks the files. Raises OSError.
        """
        digested.write(self._intended, Pending(steps, actions), sync=True)
        failpoint("definition.intended")

    def applied(self) -> None:
        """All of it is done; from now on it is true. Raises OSError."""
        self._intended.replace(self._pending)
        failpoint("definition.applied")

    def unapplied(self) -> None:
        """It is about to be undone, and nothing of it is recorded. Raises OSError."""
        if not digested.is_empty(self._pending):
            self._pending.replace(self._intended)

    def undone(self) -> None:
        """Nothing of it is done any more. Raises OSError."""
        self._intended.unlink(missing_ok=True)

    def record(self, steps: list[Step]) -> list[str]:
        """Append the records of what is done; the ids of their events.

        Raises:
            AppendFailed: not even the first was appended.
            OSError: one was, and others were not; whoever holds the lock next appends them.
        """
        ids: list[str] = []
        for step in steps:
            try:
                ids.append(self._ledger.record(step.body))
            except HoldfastError as exc:
                if not ids:
                    raise
                raise OSError(errno.EIO, str(exc)) from exc
            self._enter(step, ids[-1])
        failpoint("definition.recorded")
        return ids

    def finish(self, steps: list[Step], actions: list[swapping.Action] | None = None) -> None:
        """Write the index, and say that nothing is under way any more. Raises OSError; whoever holds the lock next does it then."""
        self._ledger.save(self.index)
        failpoint("definition.indexed")
        for action in actions or ():
            swapping.clear(action)
        swapping.sync_around(actions or ())
        digested.empty(self._pending)
        self._ledger.to_force(step.known.sha256 for step in steps if step.known)

    def force(self) -> None:
        """Have what was recorded survive a loss of power. Raises AppendFailed."""
        self._ledger.force()

    def leave(self) -> None:
        """Leave the rest to whoever holds the lock next: what is in memory says more than what is written."""
        self._ledger.forget_read()

    def remember(self, states: dict[bytes, tuple[int, ...]], roots: dict[bytes, tuple[str, str]]) -> None:
        """Take down what the system says of files whose content is as it was, and directories; no change. Raises OSError."""
        fresh = {path: state for path, state in states.items() if self.index.known[path].state != state}
        if fresh or not roots.items() <= self.index.roots.items():
            for path, state in fresh.items():
                self.index.known[path].state = state
            self.index.roots |= roots
            self._ledger.save(self.index)

    def end_pending(self) -> None:
        """End what somebody began. Raises OSError, AppendFailed."""
        if self._intended.exists() and self._settle():
            self.applied()
        if not digested.is_empty(self._pending) and (found := self._found(self._pending)):
            self.record(found.steps)
            self.finish(found.steps, found.actions)
            self.ended = found.steps

    def _settle(self) -> bool:
        """Whether what was intended is done; if not, it is undone."""
        found = self._found(self._intended)
        if found is None:
            return False
        try:
            done = swapping.settle(found.actions, self.texts.keep, self.texts.get)
        except OSError as exc:
            if exc.errno in _FOR_NOW:
                raise
            self._set_aside(self._intended)  # others are not kept from being recorded
            return False
        if not done:
            self.undone()
        return done

    def _found(self, path: Path) -> Pending | None:
        """What somebody wrote down; None: a loss of power, a kill, or damage. What it said is found again by looking."""
        found = digested.read(path, Pending)
        if found is None:
            self._set_aside(path)
        return found

    def _set_aside(self, path: Path) -> None:
        path.replace(path.with_name(f"{path.name}.damaged"))

    def _end(self, steps: list[Step]) -> list[str]:
        ids = self.record(steps)
        self.finish(steps)
        return ids

    def _enter(self, step: Step, event: str) -> None:
        index, fields = self.index, step.body.get("fields", {})
        if step.body["kind"] == CONFLICT and step.path is not None:
            ours, base, theirs = (fields.get(side) or "" for side in ("ours", "base", "theirs"))
            index.conflicts[event] = Waiting(step.path, ours, base, theirs)
        elif step.body["kind"] == RESOLVED:
            index.conflicts.pop(fields["conflict"], None)
        if step.path is None or step.body["kind"] == CONFLICT:
            return
        place = step.path if step.path_before is None else step.path_before
        before = index.known.get(place) or index.known.get(step.path)
        last = before.revision if before else index.gone.get(step.path)
        if last not in {None, event, fields.get("previous")}:
            return  # a loss of power brought back what was written down before, and the index knows of more since
        if step.path_before is not None:
            index.gone[step.path_before] = event
        index.known.pop(place, None)
        sha256 = step.known.sha256 if step.known else ""
        index.conflicts = {
            one: waiting._replace(path=step.path) if waiting.path == place else waiting
            for one, waiting in index.conflicts.items()
            if waiting.path not in (place, step.path) or waiting.ours != sha256
        }
        if step.known is None:
            index.leave(step.path, event, fields["operation"])
            return
        first = before.first if before else sha256
        known = msgspec.structs.replace(step.known, revision=event, first=first)
        index.known[step.path] = known
        index.add_content(known.sha256, step.path, step.path_before)


def _lock(fd: int, wait_ms: int) -> None:
    if not lock_within(fd, wait_ms):
        raise DefinitionsBusy("another process writes definitions", hint="run the same command again")


def _padded(pending: Pending) -> Pending:
    pending.padding = bytes(-len(msgspec.msgpack.encode(pending)) % _BLOCK_BYTES)
    return pending


def _state(path: Path) -> object:
    """What tells whether a file of ours was written since, however soon after: its digest is part of it. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        about = os.fstat(file.fileno())
        return about.st_ino, about.st_size, about.st_mtime_ns, file.read(digested.DIGEST_BYTES)


@contextlib.contextmanager
def _told(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        place = os.fsdecode(exc.filename) if exc.filename else directory
        raise StoreError(f"{place}: {exc.strerror}", hint="make room or repair access") from exc
