"""git's objects: their names, the trees and commits that a checkpoint is made of, and packs to hand them over in.

Formats: gitformat-pack(5), and `git cat-file -p` of a tree and of a commit. A pack is "PACK", version 2 and the number of objects (4 bytes
each, big-endian), the objects, and the hash of all before it. An object in it is its type and size in groups of 7 bits, then zlib.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zlib
from typing import IO, TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE, EXECUTABLE, LINK, TREE = 0o100644, 0o100755, 0o120000, 0o40000
_TYPES: Final = {"commit": 1, "tree": 2, "blob": 3}
_LEVEL: Final = 1  # fast; git packs what stays
_IN_MEMORY_BYTES: Final = 16 << 20
_CHUNK_BYTES: Final = 1 << 20
_WHO: Final = "Holdfast <holdfast@localhost>"


class Entry(NamedTuple):
    """One file of a tree: git's mode, and its object's name in hexadecimal."""

    mode: int
    oid: str


def name_of(kind: str, content: bytes, algorithm: str) -> str:
    """The name of an object, in hexadecimal. `algorithm` is that of its repository: sha1 or sha256."""
    digest = hashlib.new(algorithm, b"%b %d\0" % (kind.encode(), len(content)), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()


class Pack:
    """Objects to hand over, each once; a large one lies in a nameless file below `directory`.

    Attributes:
        names: of the objects.
    """

    def __init__(self, directory: Path, algorithm: str) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=os.fspath(directory))  # noqa: SIM115 - closed by `close`
        self._algorithm = algorithm
        self._is_ended = False
        self.names: dict[str, None] = {}
        self._file.write(b"PACK" + struct.pack(">II", 2, 0))

    def add(self, kind: str, content: bytes, oid: str | None = None) -> str:
        """Put an object in, unless it is there; its name."""
        oid = name_of(kind, content, self._algorithm) if oid is None else oid
        if oid not in self.names:
            self.names[oid] = None
            self._file.write(_header(_TYPES[kind], len(content)) + zlib.compress(content, _LEVEL))
        return oid

    def whole(self) -> bytes | IO[bytes]:
        """The pack: its bytes, or a file that stands at its beginning. Nothing can be added any more."""
        if not self._is_ended:
            self._is_ended = True
            self._file.seek(8)
            self._file.write(struct.pack(">I", len(self.names)))
            self._file.seek(0)
            digest = hashlib.new(self._algorithm, usedforsecurity=False)
            while chunk := self._file.read(_CHUNK_BYTES):
                digest.update(chunk)
            self._file.write(digest.digest())
        size_bytes = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        if size_bytes <= _IN_MEMORY_BYTES:
            return self._file.read()
        self._file.flush()
        return self._file

    def close(self) -> None:
        self._file.close()


def _header(kind: int, size_bytes: int) -> bytes:
    """The head of an object in a pack: 3 bits of type and 4 of size, then 7 of size each; the high bit says that more follow."""
    first, rest = (kind << 4) | (size_bytes & 15), size_bytes >> 4
    out = bytearray()
    while rest:
        out.append(first | 0x80)
        first, rest = rest & 0x7F, rest >> 7
    out.append(first)
    return bytes(out)


def add_trees(
    pack: Pack, entries: Iterable[tuple[bytes, bytes, str]], known: frozenset[str], algorithm: str
) -> tuple[str, set[str]]:
    """Put the trees of files in that are not known already; the name of the uppermost one, and of all.

    Args:
        pack: where they go.
        entries: of every file its path below the root, with `/` between names, git's mode in octal, and its object's name.
        known: trees that the repository has and keeps.
        algorithm: of the repository.
    """
    below: dict[bytes, list[tuple[bytes, bytes]]] = {b"": []}  # directory → (what git sorts by, its line)
    raw = bytes.fromhex
    for path, mode, oid in entries:
        directory, _, name = path.rpartition(b"/")
        line = (name, mode + b" " + name + b"\0" + raw(oid))
        if directory in below:
            below[directory].append(line)
        else:
            below[directory] = [line]
            while directory and (directory := directory.rpartition(b"/")[0]) not in below:
                below[directory] = []
    made: set[str] = set()
    top = ""
    for directory in sorted(
        below, key=lambda path: -path.count(b"/") if path else 1
    ):  # deepest first, the root last
        content = b"".join([line for _, line in sorted(below[directory])])
        top = name_of("tree", content, algorithm)
        made.add(top)
        if top not in known:
            pack.add("tree", content, top)
        above, _, name = directory.rpartition(b"/")
        if directory:
            below[above].append((name + b"/", b"%o %b\0%b" % (TREE, name, raw(top))))
    return top, made


def commit(tree: str, parent: str | None, time_s: int, text: str) -> bytes:
    """A commit's content; its author is always the same, whoever the user is."""
    parents = "" if parent is None else f"parent {parent}\n"
    who = f"{_WHO} {time_s} +0000"
    return f"tree {tree}\n{parents}author {who}\ncommitter {who}\nencoding UTF-8\n\n{text}".encode()
