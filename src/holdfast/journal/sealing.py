"""Seal segments that nobody writes any more, in their order, one process at a time.

A segment is sealed when it is not the newest and no writer holds it; a writer that is frozen or slow holds up sealing, never
another writer. The steps leave a whole segment under its name at every moment, whoever is killed when:

    1. write `.sealing-<number>` and read it back whole    the plain segment counts
    2. sync it, rename it to `<number>.jsonl.zst`, sync the directory
    3. replace `chain.jsonl` by one that ends in this seal
    4. remove the plain segment, sync the directory        the sealed one counts

A seal cut between 2 and 4 is done again from 1.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from holdfast.errors import SealFailed
from holdfast.failpoints import failpoint
from holdfast.journal import blobs, chain, sealed, segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

TEMPORARY_PREFIX = ".sealing-"
_READ_BYTES = 1 << 20


def sealable(directory: Path) -> list[int]:
    """The segments that wait to be sealed, in order: all but the newest.

    Raises:
        SealFailed: the directory cannot be read.
    """
    with _told(directory):
        newest = max(segments.numbers(directory), default=0)
        return [number for number in segments.plain_numbers(directory) if number < newest]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the system refuses, in words."""
    try:
        yield
    except OSError as exc:
        raise SealFailed(path, exc.strerror or str(exc)) from exc


def seal_all(directory: Path, host: str, *, go_on: Callable[[], bool] = lambda: True) -> list[sealed.Seal]:
    """Seal what waits for it, as far as writers let go of it; the caller is the only one who seals here.

    Args:
        directory: the journal.
        host: the host id.
        go_on: asked before each segment.

    Raises:
        SealFailed: the disk refused; every record stays readable where it is.
    """
    done: list[sealed.Seal] = []
    waiting = sealable(directory)
    if waiting:
        finish_rewriting(directory)
    for number in waiting:
        if not go_on():
            break
        made = seal(directory, number, host)
        if made is None:
            break  # the chain is in order: what follows waits too
        done.append(made)
    return done


def seal(directory: Path, number: int, host: str) -> sealed.Seal | None:
    """Seal one segment; None when somebody still writes it.

    Raises:
        SealFailed: the disk refused, or gave back something else than was written.
    """
    plain = segments.path(directory, number)
    with _told(plain):
        fd = os.open(plain, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return None
            made = _write(directory, number, host, previous_link(directory, number), _pieces(fd))
            failpoint("seal.renamed")
            _enter(directory, made)
            failpoint("seal.chained")
            plain.unlink()
            blobs.sync_directory(directory)
            failpoint("seal.done")
        finally:
            os.close(fd)
    return made


def rewrite(directory: Path, number: int, host: str, plain: Iterable[bytes], why: str) -> sealed.Seal:
    """Put other content in a sealed segment's place; its hash and its place in the chain stay.

    The caller is the only one who seals here. Readers find the old content or the new one. Cut between the two steps, the chain
    still names the old content, and the new seal says that it replaced it: `finish_rewriting` ends it.

    Raises:
        SealFailed: the segment's seal cannot be read, or the disk refused.
    """
    path = segments.sealed_path(directory, number)
    with _told(path):
        with sealed.opened(path) as old:
            seal = old.seal
        if seal is None:
            raise SealFailed(path, "its seal is damaged")
        was = (*seal.was, sealed.Was(seal.size, seal.sha256, seal.link, why))
        made = _write(directory, number, host, seal.previous, plain, was)
        failpoint("seal.rewritten")
        _enter(directory, made)
    return made


def finish_rewriting(directory: Path) -> None:
    """Enter the seals of rewritten segments which the chain does not name yet.

    Raises:
        SealFailed: the disk refused.
    """
    with _told(directory):
        named = {seal.segment: seal for seal in chain.seals(directory)}
        numbers = segments.sealed_numbers(directory)
    for number in numbers:
        path = segments.sealed_path(directory, number)
        with _told(path):
            with sealed.opened(path) as segment:
                seal = segment.seal
            if seal is not None and replaces(seal, named.get(number)):
                _enter(directory, seal)


def replaces(seal: sealed.Seal, other: sealed.Seal | None) -> bool:
    """Whether a seal says that it took the other one's place."""
    return other is not None and bool(seal.was) and seal.was[-1].link == other.link


def previous_link(directory: Path, number: int) -> str:
    """The link of the sealed segment before this one; NO_LINK when there is none.

    Raises:
        SealFailed: there is one, and its seal cannot be read in its file nor in the chain's.
    """
    before = [other for other in segments.sealed_numbers(directory) if other < number]
    if not before:
        return sealed.NO_LINK
    path = segments.sealed_path(directory, before[-1])
    with sealed.opened(path) as last:
        seal = last.seal or {s.segment: s for s in chain.seals(directory)}.get(before[-1])
    if seal is None:
        raise SealFailed(path, "its seal is damaged, nothing can be chained to it")
    return seal.place


class Beside:
    """Seals in a thread of its own while the caller appends; what fails is kept in `failed`, and hinders nobody.

    Args:
        directory: the journal.
        host: gives the host id; asked when there is something to seal.
    """

    def __init__(self, directory: Path, host: Callable[[], str]) -> None:
        self._directory = directory
        self._host = host
        self._thread: threading.Thread | None = None
        self._stop = False
        self.sealed = 0
        self.failed: SealFailed | None = None

    def look(self) -> None:
        """Begin to seal when something waits for it and nothing is being sealed."""
        busy = self._thread is not None and self._thread.is_alive()
        if busy or self.failed is not None:
            return
        try:
            if sealable(self._directory):
                self._start(self._host())
        except SealFailed as exc:
            self.failed = exc

    def _start(self, host: str) -> None:
        thread = threading.Thread(target=self._seal, args=(host,), name="holdfast-seal", daemon=True)
        with suppress(RuntimeError):  # the system gives no thread: the next look asks again
            thread.start()
            self._thread = thread

    def close(self, *, finish: bool) -> None:
        """Wait for the segment that is being sealed; with `finish` for all that wait."""
        self._stop = not finish
        if self._thread is not None:
            self._thread.join()
        if finish and self.failed is None:
            self._seal(self._host())

    def _seal(self, host: str) -> None:
        try:
            self.sealed += len(seal_all(self._directory, host, go_on=lambda: not self._stop))
        except SealFailed as exc:
            self.failed = exc
        except MemoryError:
            self.failed = SealFailed(self._directory, "out of memory")


# ── steps ──


def _pieces(fd: int) -> Iterator[bytes]:
    at = 0
    while piece := os.pread(fd, _READ_BYTES, at):
        yield piece
        at += len(piece)


def _write(
    directory: Path,
    number: int,
    host: str,
    previous: str,
    plain: Iterable[bytes],
    was: tuple[sealed.Was, ...] = (),
) -> sealed.Seal:
    """Write, read back, and name a sealed segment."""
    temporary = directory / f"{TEMPORARY_PREFIX}{number:08d}"
    final = segments.sealed_path(directory, number)
    with _new_file(temporary) as fd:
        made = sealed.write(fd, plain, host, number, previous, was)
        os.fsync(fd)
        failpoint("seal.written")
        _read_back(fd, made, temporary)
        temporary.replace(final)
    blobs.sync_directory(directory)
    return made


def _read_back(fd: int, made: sealed.Seal, path: Path) -> None:
    """Whether the file gives back what was sealed: only then may the plain segment go."""
    content = hashlib.sha256()
    again = sealed.Sealed(fd)
    for item in again.read():
        if isinstance(item, sealed.Hole):
            raise SealFailed(path, f"plain bytes {item.start} to {item.end} cannot be read back")
        content.update(item[1])
    if again.seal != made or content.hexdigest() != made.sha256:
        raise SealFailed(path, "what was read back is not what was written")


def _enter(directory: Path, made: sealed.Seal) -> None:
    """Enter a seal into `chain.jsonl`, in the place of an earlier one of its segment."""
    seals = {seal.segment: seal for seal in chain.seals(directory)} | {made.segment: made}
    lines = b"".join(seals[number].line() + b"\n" for number in sorted(seals))
    temporary = directory / f"{TEMPORARY_PREFIX}chain"
    with _new_file(temporary) as fd:
        blobs.write_all(fd, lines)
        os.fsync(fd)
        temporary.replace(directory / chain.NAME)
    blobs.sync_directory(directory)


@contextmanager
def _new_file(path: Path) -> Iterator[int]:
    """A file of this name that is new and gone again when the block fails; what a killed sealer left is in nobody's way."""
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
