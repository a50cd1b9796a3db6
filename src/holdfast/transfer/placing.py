"""Put a file below a directory, whole or not at all, and never over another one.

Directories are walked one by one and links in them are not followed, so nothing is written outside. A file is written
under a temporary name beside its own, forced to disk, and then given its name with `link`, which replaces nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.failpoints import failpoint
from holdfast.ids import uuid7
from holdfast.journal.blobs import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

WRITTEN, THERE, DIFFERS, REFUSED = "written", "there", "differs", "refused"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS = {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}  # what systems say to O_NOFOLLOW
_PIPES = {errno.ENXIO, errno.EOPNOTSUPP}  # and to opening what is no file
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Attributes:
        state: WRITTEN, THERE (it stood there already), DIFFERS (another one stands there, and stays) or REFUSED.
        size_bytes: of what was to be written; None: it was not read.
        why: None when it is there now.
    """

    state: str
    size_bytes: int | None = None
    why: str | None = None


def put(
    root: Path, names: tuple[str, ...], content: Callable[[], Iterator[bytes]], *, dry_run: bool = False
) -> Outcome:
    """Put one file below `root`, which exists; with `dry_run` only say what would become of it.

    Args:
        root: a directory; links in its own path are followed.
        names: the directories below it, which are made, and the file's name.
        content: gives the bytes; may be asked twice. What it raises leaves nothing behind.
        dry_run: change nothing.

    Raises:
        OSError: the system refused.
    """
    with contextlib.ExitStack() as opened:
        try:
            directory = _walked(root, names[:-1], opened, make=not dry_run)
        except _Linked as exc:
            return Outcome(REFUSED, None, f"{exc} is a link, or no directory")
        if directory is None:
            return Outcome(WRITTEN, sum(map(len, content())))
        if not dry_run:
            _drop_leftovers(directory, names[-1])
        return _compared(directory, names[-1], content) or _written(
            directory, names[-1], content, dry_run=dry_run
        )


class _Linked(Exception):
    """A directory on the way is a link, or none."""


def _walked(root: Path, names: tuple[str, ...], opened: contextlib.ExitStack, *, make: bool) -> int | None:
    """The directory that the names lead to, open; None: it is not there, and is not to be made."""
    try:
        at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        if make:
            raise
        return None
    opened.callback(os.close, at)
    for done, name in enumerate(names, 1):
        try:
            below = _entered(at, name, make=make)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno in _LINKS:
                raise _Linked("/".join(names[:done])) from exc
            raise
        opened.callback(os.close, below)
        at = below
    return at


def _entered(at: int, name: str, *, make: bool) -> int:
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=at)
            os.fsync(at)
    return os.open(name, _DIRECTORY, dir_fd=at)


def _written(directory: int, name: str, content: Callable[[], Iterator[bytes]], *, dry_run: bool) -> Outcome:
    if dry_run:
        return Outcome(WRITTEN, sum(map(len, content())))
    temporary = f".{name}.{uuid7()}.part"
    fd = os.open(temporary, _NEW, 0o600, dir_fd=directory)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # says that somebody is at it
        size_bytes = _fill(fd, content())
        os.fsync(fd)
        failpoint("restore.written")
        try:
            os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
        except FileExistsError:  # it came meanwhile
            if found := _compared(directory, name, content):
                return found
            raise
        failpoint("restore.linked")
    finally:
        os.unlink(temporary, dir_fd=directory)
        os.close(fd)
    os.fsync(directory)
    return Outcome(WRITTEN, size_bytes)


def _fill(fd: int, chunks: Iterable[bytes]) -> int:
    held, size_bytes = bytearray(), 0
    for chunk in chunks:
        held += chunk
        size_bytes += len(chunk)
        if len(held) >= _CHUNK_BYTES:
            write_all(fd, bytes(held))
            held.clear()
    write_all(fd, bytes(held))
    return size_bytes


def _compared(directory: int, name: str, content: Callable[[], Iterator[bytes]]) -> Outcome | None:
    """How what stands under the name compares; None: nothing does."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno in _LINKS:
            return Outcome(DIFFERS, None, "a link stands there")
        if exc.errno in _PIPES:
            return Outcome(DIFFERS, None, "what stands there is no regular file")
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return Outcome(DIFFERS, None, "what stands there is no regular file")
    with os.fdopen(fd, "rb") as file:
        same, size_bytes, ended = _same(file, content())
        goes_on = bool(file.read(1))
    if same == size_bytes and not goes_on:
        return Outcome(THERE, size_bytes)
    if same == size_bytes:
        why = f"goes on after these {size_bytes} bytes; `holdfast import` records the rest"
    else:
        why = f"ends after {same} of {size_bytes} bytes" if ended else f"differs from byte {same} on"
    return Outcome(DIFFERS, size_bytes, f"what stands there {why}")


def _same(file: BinaryIO, chunks: Iterable[bytes]) -> tuple[int, int, bool]:
    """How many bytes are the same from the beginning on, how many the chunks have, and whether the file ended before them."""
    same, size_bytes, is_same, ended = 0, 0, True, False
    for chunk in chunks:
        size_bytes += len(chunk)
        if is_same:
            there = file.read(len(chunk))
            is_same = there == chunk
            common = len(chunk) if is_same else _first_difference(there, chunk)
            same += common
            ended = not is_same and common == len(there)
    return same, size_bytes, ended


def _first_difference(one: bytes, other: bytes) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _drop_leftovers(directory: int, name: str) -> None:
    """Remove what a killed run left under temporary names of this file."""
    mine = re.compile(re.escape(f".{name}.") + r"[0-9a-f-]{36}\.part\Z")
    for found in os.listdir(directory):
        if mine.match(found):
            with contextlib.suppress(OSError):  # another run is at it, or it is gone
                fd = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(found, dir_fd=directory)
                finally:
                    os.close(fd)
