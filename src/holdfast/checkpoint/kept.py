"""What is known of a worktree's files since its last checkpoint, so that the next one reads only those that changed.

`<home>/checkpoints/<digest of git's directory>.index`: the SHA-256 of the rest, then MessagePack. It is an index in the sense of git's own:
path → what the system says of the file, and the object that has its content. Git's own format is of no use here: what git adds to an
index passes the conversions that `.gitattributes` names. It is a hint: whatever is wrong with it, everything is read again.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

import msgspec

from holdfast.checkpoint.commits import Read  # noqa: TC001 - decoded
from holdfast.journal import digested
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY: Final = "checkpoints"
UNSURE_NS: Final = (
    2_000_000_000  # a change this shortly before the look may be followed by one that the system dates alike
)
VERSION: Final = 2


class Known(msgspec.Struct, array_like=True):
    """One file: what the system said of it, its object, and what was found in it: the kind of a secret, "" for none, None: not looked.

    `ctime_ns` changes whenever size, content or permissions do; -1: the file has to be read again.
    """

    ctime_ns: int
    mtime_ns: int
    inode: int
    size: int
    bits: int
    oid: str
    secret: str | None = None


class Index(msgspec.Struct, array_like=True):
    """What is kept. `last` is the checkpoint that it was left by, of what it says of itself only the permissions; `trees` is every tree
    below it. It holds every file here in which no secret was found. `repository` is git's directory that has it. `hooks` are the names of those
    that git's configuration defines, and what that was like (`git.configuration`), where they can be known by that.
    """

    version: int = VERSION
    last: Read | None = None
    trees: list[str] = []
    files: dict[bytes, Known] = {}
    repository: bytes = b""
    hooks: tuple[str, list[str]] | None = None


def known(found: os.stat_result, oid: str, secret: str | None, looked_ns: int) -> Known:
    """What is kept of a file; one that may change without the system's dates telling is read again."""
    sure = found.st_ctime_ns < looked_ns - UNSURE_NS
    ctime_ns = found.st_ctime_ns if sure else -1
    return Known(ctime_ns, found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode & 0o777, oid, secret)


def load(directory: Path, stem: str) -> Index:
    """What was kept; an empty one when there is nothing that can be used."""
    found = _read(directory / f"{stem}.index")
    return found if found.version == VERSION else Index()


def repositories(directory: Path) -> list[str]:
    """Every repository of which something is kept, whatever is recorded of it."""
    found = {os.fsdecode(_read(path).repository) for path in directory.glob("*.index")}
    return sorted(found - {""})


def repository_at(directory: Path, recorded: str) -> str:
    """Where a repository lies whose path was recorded as text: that it is no UTF-8 is known here alone."""
    if "\\x" not in recorded:
        return recorded
    return next((known for known in repositories(directory) if printable_path(known) == recorded), recorded)


def _read(path: Path) -> Index:
    with contextlib.suppress(OSError):
        return digested.read(path, Index) or Index()
    return Index()


def save(directory: Path, stem: str, index: Index) -> None:
    """Keep it, whole or not at all. Raises OSError."""
    digested.write(directory / f"{stem}.index", index)
