"""Content kept by its SHA-256, one file each: `blobs/<sha256>`, mode 0600.

A blob is complete before any record names it: it is written to a temporary name in the same directory, synced,
renamed, and the directory synced. A temporary left by a crash is never read; `doctor` counts it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING

from holdfast.errors import BlobDamaged
from holdfast.failpoints import failpoint
from holdfast.ids import uuid7
from holdfast.journal.format import BlobRef

if TYPE_CHECKING:
    from pathlib import Path

TEMPORARY_PREFIX = ".writing-"
_NAME = re.compile(r"[0-9a-f]{64}\Z")


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


def put(directory: Path, content: bytes) -> BlobRef:
    """Keep `content` durably and say where. Keeping the same content again writes nothing, unless it was damaged.

    Raises:
        OSError: it could not be written; no blob of that name exists then unless it did before.
    """
    ref = BlobRef(hashlib.sha256(content).hexdigest(), len(content))
    final = directory / ref.sha256
    if _holds(final, content):
        sync_directory(directory)  # whoever wrote it may have died before its name was durable
        return ref
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
        sync_directory(directory.parent)
    temporary = directory / f"{TEMPORARY_PREFIX}{uuid7()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            failpoint("blob.created")
            write_all(fd, content)
            failpoint("blob.written")
            os.fsync(fd)
        finally:
            os.close(fd)
        failpoint("blob.synced")
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    failpoint("blob.renamed")
    sync_directory(directory)
    return ref


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def get(directory: Path, ref: BlobRef) -> bytes:
    """Read a blob back and check it against its name.

    Raises:
        BlobDamaged: the file is absent, unreadable, or its content is not what its name says.
    """
    path = directory / ref.sha256
    if not _NAME.match(ref.sha256):
        raise BlobDamaged(path, "the record names no SHA-256")
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise BlobDamaged(path, f"cannot be read: {exc.strerror}") from exc
    if hashlib.sha256(content).hexdigest() != ref.sha256:
        raise BlobDamaged(path, "its content does not have the SHA-256 of its name")
    return content
