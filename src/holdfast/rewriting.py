"""Rewrite what is stored: sealed segments get other lines, and everything that was made from the old ones goes.

A person asked for it: to retire, to forget, to take secrets out. Each step is on the disk before the next begins:

    1. note in the store that it must be folded anew
    2. put each segment's new content in the place of the old; its seal keeps the old hash (`sealing.rewrite`)
    3. remove blobs that no record names any more
    4. fold the store anew, into a new file
    5. remove copies of older stores, and what killed processes left (`drop_copies`)

Killed at any moment, each segment is as it was or as it shall be, and doing it again ends the work.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from holdfast import background
from holdfast.errors import RewriteRefused, SegmentHeld, StoreBusy, StoreError
from holdfast.failpoints import failpoint
from holdfast.journal import blobs, chain, reader, sealed, sealing, segments, verify
from holdfast.journal.format import BlobRef
from holdfast.store import database, migrate, upkeep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from holdfast.home import Home

WAIT_MS = 5_000
UNCHANGED = "nothing was changed; make room or repair access, then run this again"
HINT = "`holdfast journal verify` lists what is wrong; nothing was changed"
_ASIDE = re.compile(
    rf"store-\d+\.db(?:{'|'.join(re.escape(end) for end in (upkeep.AHEAD, upkeep.DAMAGED, upkeep.NEWER))})(?:-wal|-shm)?\Z"
)


@dataclass(frozen=True, slots=True)
class Anew:
    """What rewriting did: how many segments, and bytes on disk of them before and after, and of blobs that went."""

    segments: int
    stored_before: int
    stored_after: int
    blob_bytes: int


@contextlib.contextmanager
def alone(home: Home, hint: str) -> Iterator[None]:
    """Be the home's one writer for the block.

    Raises:
        StoreBusy: another process is.
        StoreError: the disk refused; `hint` says what that leaves.
    """
    with database.writer_lock(home.path, wait_ms=WAIT_MS) as mine:
        if not mine:
            raise StoreBusy("another process is importing", hint="wait for it, then run this again")
        with told(home, hint):
            yield


@contextlib.contextmanager
def told(home: Home, hint: str) -> Iterator[None]:
    """What the system refuses, in words.

    Raises:
        StoreError: something; `hint` says what that leaves.
    """
    try:
        yield
    except (apsw.Error, OSError) as exc:
        place = exc.filename if isinstance(exc, OSError) and exc.filename else home.path
        raise StoreError(f"{place}: {getattr(exc, 'strerror', None) or exc}", hint=hint) from exc


def first_fault(home: Home) -> verify.Finding | None:
    """What is not as it was written; None: everything is. What an earlier rewriting left is ended first."""
    sealing.finish_rewriting(home.journal)
    return next(iter(verify.verify(home.journal, home.blobs).findings), None)


def seal(home: Home, wanted: set[int]) -> None:
    """Seal the plain segments among these, and with them all before.

    Raises:
        SegmentHeld: another process writes one of them, or one before; no content was changed.
        SealFailed, AppendFailed: the disk refused.
    """
    plain = wanted & set(segments.plain_numbers(home.journal))
    if not plain:
        return
    if max(plain) == max(segments.numbers(home.journal)):
        writer = home.writer(fsync_interval_s=0)
        writer.rotate()
        writer.close()
    sealing.seal_all(home.journal, home.host_id)
    if waiting := [number for number in sealing.sealable(home.journal) if number <= max(plain)]:
        path = segments.path(home.journal, waiting[0])
        raise SegmentHeld(f"another process is recording: it holds {path}", "no content was changed")


def check_sealed(home: Home, wanted: Iterable[int]) -> None:
    """Whether these segments may be rewritten: content that is not what was sealed would pass for it afterwards.

    Raises:
        RewriteRefused: one of them, or the chain, is not as it was sealed.
    """
    sealing.finish_rewriting(home.journal)
    concerned = {segments.sealed_path(home.journal, number) for number in wanted}
    if not concerned:
        return
    concerned.add(home.journal / chain.NAME)
    for finding in verify.verify(home.journal, home.blobs).findings:
        if finding.path in concerned:
            raise RewriteRefused(f"{finding.path}: {finding.what}", hint=HINT)


def anew(
    home: Home,
    numbers: Sequence[int],
    lines: Callable[[int], Iterable[bytes]],
    why: str,
    report: Callable[[int], None] = lambda _: None,
    prepare: Callable[[apsw.Connection], None] | None = None,
) -> Anew:
    """Steps 1 to 4. The caller holds the writer's lock.

    Args:
        home: the home.
        numbers: which segments; all are sealed.
        lines: the new plain bytes of one.
        why: what their seals say.
        report: called with the number of plain bytes dealt with.
        prepare: changes in the store, before it is folded anew, what is carried over. Without it and without segments it is
            folded only when an earlier run left that undone.

    Raises:
        SealFailed: the disk refused; what was rewritten until then stays so.
    """
    before = after = done_bytes = done = 0
    db = home.upkeep().open()
    assert db is not None, "nothing was deferred"
    with contextlib.closing(db):
        if numbers or prepare:
            database.fold_again(db)  # from here on the rows are older than the journal they came from
        if prepare:
            prepare(db)
        for number in numbers:
            path = segments.sealed_path(home.journal, number)
            before += path.stat().st_size
            done_bytes += reader.size(home.journal, number)
            made = sealing.rewrite(home.journal, number, home.host_id, lines(number), why)
            failpoint("rewrite.rewritten")
            database.moved(db, number, made.size)
            after += path.stat().st_size
            done += 1
            report(done_bytes)
    removed = remove_blobs(home)
    if (folded := home.upkeep().open()) is not None:
        folded.close()
    return Anew(done, before, after, removed)


def changed(home: Home, number: int, change: Callable[[int, bytes], bytes]) -> Iterator[bytes]:
    """The plain bytes of a segment with some of its lines changed; `change` gets offset and line, without its LF.

    Raises:
        RewriteRefused: some of it cannot be read.
    """
    try:
        for at, line, ended in reader.every_line(home.journal, number):
            yield (change(at, line) if line else line) + (b"\n" if ended else b"")
    except reader.Lost as exc:
        raise unreadable(home.journal, exc) from exc


def unreadable(journal: Path, exc: reader.Lost) -> RewriteRefused:
    return RewriteRefused(f"{segments.present(journal, exc.segment)}: {exc}", hint=HINT)


# ── blobs that nothing names any more ──


class _Names:
    """The SHA-256 of every blob that records name, also records of a newer format and damaged ones: looked for in the raw bytes."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._read_bytes: dict[int, int] = {}

    def more(self) -> set[str]:
        """What is named in what was not read yet; a name may stand across the place where reading ended."""
        found: set[str] = set()
        for number in segments.numbers(self._journal):
            start = max(0, self._read_bytes.get(number, 0) - verify.OVERLAP_BYTES)
            if 0 < reader.size(self._journal, number) <= self._read_bytes.get(number, 0):
                continue
            rest, at = b"", start
            for piece in reader.pieces(self._journal, number, start):
                if isinstance(piece, sealed.Hole):
                    raise RewriteRefused(f"segment {number} cannot be read", hint=HINT)
                found.update(name.decode() for name, _ in verify.NAMED_BLOB.findall(rest + piece))
                rest, at = (rest + piece)[-verify.OVERLAP_BYTES :], at + len(piece)
            self._read_bytes[number] = at
        return found


def remove_blobs(home: Home) -> int:
    """Remove what no record names any more, also what an earlier run that was killed left; gives its bytes.

    Raises:
        RewriteRefused: a segment cannot be read, so it is not known what it names.
    """
    blobs.restore_aside(home.blobs)
    names = _Names(home.journal)
    wanted = blobs.unnamed(home.blobs, names.more())
    failpoint("rewrite.removing")
    return blobs.remove(home.blobs, wanted, names.more)


def nameless_blobs(home: Home, named: set[str]) -> list[BlobRef]:
    """Blobs that no record names, also those that a killed removal put aside. Another process may be about to name some.

    Args:
        home: the home.
        named: some that records name; when these are all there is, the journal is not read.
    """
    there = {name: size_bytes for name, size_bytes in blobs.sizes(home.blobs).items() if name not in named}
    others = _Names(home.journal).more() if there else set()
    return [BlobRef(name, size_bytes) for name, size_bytes in there.items() if name not in others]


# ── copies ──


def drop_copies(home: Home) -> int:
    """Remove copies of older stores, and what killed processes left; gives their bytes. The caller holds the writer's lock."""
    failpoint("rewrite.copies")
    found = [path for path in home.path.iterdir() if _ASIDE.match(path.name)]
    found += (home.path / migrate.BACKUPS).glob("*store-schema-*")
    found += home.journal.glob(f"{sealing.TEMPORARY_PREFIX}*")
    if not background.is_running(home.path):
        found += [background.log_path(home.path)]
    size_bytes = blobs.remove_temporaries(home.blobs)
    for path in found:
        with contextlib.suppress(FileNotFoundError):
            size_bytes += path.stat().st_size
            path.unlink()
    for directory in {path.parent for path in found if path.parent.is_dir()}:
        blobs.sync_directory(directory)
    return size_bytes
