"""Content kept by its SHA-256, one file each: `blobs/<sha256>`, mode 0600.

A blob is complete before any record names it: it is written to a temporary name in the same directory, synced,
renamed, and the directory synced. A temporary left by a crash is never read; `doctor` counts it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
from typing import TYPE_CHECKING

from holdfast.errors import BlobDamaged
from holdfast.failpoints import failpoint
from holdfast.ids import uuid7
from holdfast.journal.format import BlobRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import FileIO
    from pathlib import Path

TEMPORARY_PREFIX = ".writing-"
ASIDE_PREFIX = ".removing-"
_CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"[0-9a-f]{64}\Z")
_LACKING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte to a file only this process writes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def put(directory: Path, content: bytes, *, sync: bool = True) -> BlobRef:
    """Keep `content` and say where. Keeping the same content again writes nothing, unless it was damaged.

    Args:
        directory: where.
        content: what.
        sync: so that it survives a loss of power; in a directory where it is not always so, whoever calls forces it to the disk (`force`).

    Raises:
        OSError: it could not be written; no blob of that name exists then unless it did before.
    """
    ref = BlobRef(hashlib.sha256(content).hexdigest(), len(content))
    if _stands(directory, ref):
        if sync:
            sync_directory(directory)  # whoever wrote it may have died before its name was durable
        return ref
    return put_stream(directory, [content], sync=sync)


def force(directory: Path, names: Iterable[str]) -> None:
    """Have what is kept under these names survive a loss of power. Raises OSError."""
    for name in names:
        fd = os.open(directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    sync_directory(directory)


def put_stream(directory: Path, chunks: Iterable[bytes], *, sync: bool = True) -> BlobRef:
    """Keep the content that these chunks make up, holding one of them at a time. Arguments as for `put`.

    Raises:
        OSError: as `put`; also what the chunks themselves raise leaves no blob.
    """
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
        sync_directory(directory.parent)
    temporary = directory / f"{TEMPORARY_PREFIX}{uuid7()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)  # says that somebody is at it
            failpoint("blob.created")
            digest, size = hashlib.sha256(), 0
            for chunk in chunks:
                digest.update(chunk)
                write_all(fd, chunk)
                size += len(chunk)
            ref = BlobRef(digest.hexdigest(), size)
            failpoint("blob.written")
            if sync:
                os.fsync(fd)
            failpoint("blob.synced")
            temporary.replace(directory / ref.sha256)
        finally:
            os.close(fd)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    failpoint("blob.renamed")
    if sync:
        sync_directory(directory)
    return ref


def _stands(directory: Path, ref: BlobRef) -> bool:
    try:
        verify(directory, ref)
    except BlobDamaged:
        return False
    return True


def get(directory: Path, ref: BlobRef) -> bytes:
    """Read a blob back and check it against its name.

    Raises:
        BlobDamaged: the file is absent, unreadable, or its content is not what its name says.
    """
    return b"".join(read(directory, ref))


def verify(directory: Path, ref: BlobRef) -> None:
    """Check a blob against its name, holding a chunk of it at a time; raises as `get`."""
    for _ in read(directory, ref):
        pass


def _opened(directory: Path, sha256: str) -> FileIO:
    """A blob's file, also while somebody looks whether it may be removed."""
    try:
        return (directory / sha256).open("rb", buffering=0)
    except FileNotFoundError:
        return (directory / f"{ASIDE_PREFIX}{sha256}").open("rb", buffering=0)


def read(directory: Path, ref: BlobRef) -> Iterator[bytes]:
    """The content in chunks. Only when the last one was taken is it known to be what its name says.

    Raises:
        BlobDamaged: as `get`, at the latest after the last chunk.
        OSError: this process lacks descriptors or memory, which says nothing about the blob.
    """
    path = directory / ref.sha256
    if not _NAME.match(ref.sha256):
        raise BlobDamaged(path, "the record names no SHA-256")
    digest = hashlib.sha256()
    try:
        with _opened(directory, ref.sha256) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                yield chunk
    except OSError as exc:
        if exc.errno in _LACKING:
            raise
        raise BlobDamaged(path, f"cannot be read: {exc.strerror}") from exc
    if digest.hexdigest() != ref.sha256:
        raise BlobDamaged(path, "its content does not have the SHA-256 of its name")


# ── removing ──
# Nobody waits for anybody. Who removes a blob puts it aside first, then looks whether it was named meanwhile. Who names one looks
# afterwards whether it stands, and puts it again if not: one of the two always sees the other.


def stands(directory: Path, sha256: str) -> bool:
    """Whether a blob has its name; asked after a record that names it was appended."""
    return (directory / sha256).exists()


def unnamed(directory: Path, named: set[str]) -> dict[str, int]:
    """SHA-256 and size in bytes of each blob that is not among those that are named."""
    found = {}
    for path in directory.iterdir() if directory.is_dir() else ():
        if _NAME.match(path.name) and path.name not in named:
            found[path.name] = path.stat().st_size
    return found


def sizes(directory: Path) -> dict[str, int]:
    """SHA-256 and size in bytes of each blob, also of those that a removal has put aside."""
    found = {}
    for path in directory.iterdir() if directory.is_dir() else ():
        name = path.name.removeprefix(ASIDE_PREFIX)
        if _NAME.match(name):
            with contextlib.suppress(FileNotFoundError):  # a removal goes on
                found[name] = path.stat().st_size
    return found


def restore_aside(directory: Path) -> None:
    """Give back their names to blobs that a killed removal had put aside.

    Raises:
        OSError: one cannot be renamed.
    """
    for path in directory.glob(f"{ASIDE_PREFIX}*") if directory.is_dir() else ():
        path.replace(directory / path.name.removeprefix(ASIDE_PREFIX))


def remove_temporaries(directory: Path) -> int:
    """Remove blobs in the making whose writers are gone; gives how many bytes that were. An empty one may have a writer."""
    removed_bytes = 0
    for path in directory.glob(f"{TEMPORARY_PREFIX}*") if directory.is_dir() else ():
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if size_bytes := os.fstat(fd).st_size:
                    path.unlink()
                    removed_bytes += size_bytes
            finally:
                os.close(fd)
    return removed_bytes


def remove(directory: Path, wanted: dict[str, int], named_since: Callable[[], set[str]]) -> int:
    """Remove blobs that no record names; gives how many bytes that were.

    Args:
        directory: the blobs. The caller holds the writer's lock: nobody imports, and nobody else removes.
        wanted: from `unnamed`.
        named_since: what was named since that was found out.

    Raises:
        OSError: one could not be removed.
    """
    for name in wanted:
        (directory / name).replace(directory / f"{ASIDE_PREFIX}{name}")
    if not wanted:
        return 0
    sync_directory(directory)
    again, removed_bytes = named_since(), 0
    for name, size_bytes in wanted.items():
        aside = directory / f"{ASIDE_PREFIX}{name}"
        if name in again:
            aside.replace(directory / name)
        else:
            aside.unlink()
            removed_bytes += size_bytes
    sync_directory(directory)
    return removed_bytes


def write_over(
    path: Path, content: bytes, *, mode: int | None = 0o600, check: Callable[[Path], None] = lambda _: None
) -> None:
    """Give a file new content at once or not at all; `mode` None: the usual rights.

    `check` is shown the new file under its temporary name; what it raises leaves the old one.

    Raises:
        OSError: the system refused.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(16).hex()}")
    fd = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if mode is None else 0o600
    )
    try:
        try:
            if mode is not None:
                os.fchmod(fd, mode)
            write_all(fd, content)
            os.fsync(fd)
        finally:
            os.close(fd)
        check(temporary)
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
