"""Small files of ours beside the journal that are whole or worth nothing: the SHA-256 of the rest, then MessagePack.

They are copies and notes. What is damaged is not believed, and made again from what it was a copy of.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from holdfast.ids import uuid7
from holdfast.journal.blobs import sync_directory, write_all

if TYPE_CHECKING:
    from pathlib import Path

DIGEST_BYTES: Final = 32
_NOTHING: Final = bytes(DIGEST_BYTES)  # in the digest's place
_Kind = TypeVar("_Kind")


def write(path: Path, content: msgspec.Struct, *, sync: bool = False) -> None:
    """Write a file whole or not at all; `sync`: so that it survives a loss of power. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{uuid7()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(fd, _digested(content))
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def write_over(path: Path, content: msgspec.Struct) -> None:
    """Write a file where it lies; torn by a kill, or by another error, it is damaged. Raises OSError."""
    whole = _digested(content)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, whole)
        if os.fstat(fd).st_size > len(whole):
            os.ftruncate(fd, len(whole))
    finally:
        os.close(fd)


def empty(path: Path) -> None:
    """Have a file say nothing. It keeps its size: to change that takes longer than everything else together. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        write_all(fd, _NOTHING)
    finally:
        os.close(fd)


def is_empty(path: Path) -> bool:
    """Whether a file is not there, or says nothing. Raises OSError."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(DIGEST_BYTES) in (b"", _NOTHING)
    except FileNotFoundError:
        return True


def read(path: Path, kind: type[_Kind]) -> _Kind | None:
    """What a file says; None: it is damaged. Raises OSError."""
    whole = path.read_bytes()
    body = whole[DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != whole[:DIGEST_BYTES]:
        return None
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _digested(content: msgspec.Struct) -> bytes:
    body = msgspec.msgpack.encode(content)
    return hashlib.sha256(body).digest() + body
