"""A root → the files in it that may be definitions. Nothing here waits, follows a loop, or reads what is no plain file.

Links are followed, to directories once each, but for those to a directory that the root itself lies in. Names stay what they are: bytes that are no UTF-8 are kept as surrogate escapes, from which
`os.fsencode` gives the bytes back.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from holdfast.definitions.parse import MOST_BYTES
from holdfast.plain_files import content_of

if TYPE_CHECKING:
    from holdfast.definitions.roots import Root
    from holdfast.definitions.tools import Tool

_MOST_FILES = 10_000  # of a root
_MOST_ENTRIES = 100_000


class State(NamedTuple):
    """What changes when a file's content does."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


class Problem(NamedTuple):
    """Why nothing of a file is read.

    Attributes:
        why: in words.
        hint: what to do about it.
        loads: False: no tool can read it either; None: one may.
    """

    why: str
    hint: str
    loads: bool | None = None


_READABLE = "make it a plain file that can be read"
WENT_AWAY = Problem("it went away", "look again", loads=False)
NO_TARGET = Problem(
    "it is a link to nothing", "remove the link, or put a file where it leads to", loads=False
)
_NO_FILE = Problem("it is no plain file", _READABLE, loads=False)
NO_STATE = State(0, 0, 0, 0, 0)


class File(NamedTuple):
    """A file in a root.

    Attributes:
        path: as it is reached from the root.
        real: without links.
        inner: from the root on, with `/`.
        suffix: of its name, lower case.
        place: which of its root it was when the system listed them.
        state: None: it cannot be looked at, which `problem` says.
        problem: why nothing of it is read; None: it can be.
    """

    root: Root
    path: str
    real: str
    inner: str
    suffix: str
    place: int
    state: State | None
    problem: Problem | None = None

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        return self.inner.rpartition("/")[2][: -len(self.suffix)]


@dataclass(slots=True)
class Listed:
    """The files of a root.

    Attributes:
        files: as far as they could be found.
        unreadable: what was not looked at (path, why).
        unseen: the paths of these where nobody knows what lies there.
        is_whole: False: the tool may see more files.
    """

    files: list[File] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    is_whole: bool = True

    def miss(self, path: str, why: str) -> None:
        """Take down what could not be looked through."""
        self.unreadable.append((path, why))
        self.unseen.append(path)
        self.is_whole = False


def files(root: Root, tool: Tool) -> Listed:
    """Look through a root."""
    out = Listed()
    if not root.exists:
        _miss(out, root.path)
        return out
    seen: set[tuple[int, int]] = set()
    todo = deque([_Directory(root.path, root.real, "")])
    entries_left = _MOST_ENTRIES
    while todo:
        directory = todo.popleft()
        entries = _entries(directory.path, seen, entries_left + 1, out)  # one more tells that there are more
        for entry in entries[:entries_left]:
            if _is_directory(entry):
                inner = directory.with_inner(entry)
                if is_around(inner.real, root.real):
                    out.unreadable.append(
                        (entry.path, "leads to a directory that it lies in, and is not followed")
                    )
                    out.is_whole = False
                else:
                    todo.append(inner)
            elif suffix := suffix_of(entry.name, tool):
                if len(out.files) == _MOST_FILES:
                    return _cut(out, root, f"{_MOST_FILES:,} definitions")
                real = _real(entry, directory.real)
                out.files.append(
                    _file(root, entry, real, directory.inner + entry.name, suffix, len(out.files))
                )
        if len(entries) > entries_left:
            return _cut(out, root, f"{_MOST_ENTRIES:,} entries")
        entries_left -= len(entries)
    return out


def _miss(out: Listed, path: str) -> None:
    """Say why nothing is known of a directory that seems not to be there, unless it is not."""
    try:
        os.stat(path)  # noqa: PTH116 - any bytes
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as exc:
        out.miss(path, f"cannot be looked at: {exc.strerror}")
        return
    if os.path.lexists(path):
        out.unreadable.append((path, "is no directory"))


def _cut(out: Listed, root: Root, most: str) -> Listed:
    out.miss(root.path, f"has more than {most}; others are left out")
    return out


class _Directory(NamedTuple):
    path: str
    real: str
    inner: str

    def with_inner(self, entry: os.DirEntry[str]) -> _Directory:
        """One that lies in it."""
        return _Directory(entry.path, _real(entry, self.real), f"{self.inner}{entry.name}/")


def _entries(path: str, seen: set[tuple[int, int]], most: int, out: Listed) -> list[os.DirEntry[str]]:
    """What lies in a directory that was not looked into yet."""
    try:
        about = os.stat(path)  # noqa: PTH116 - text, whatever bytes it has
        if (about.st_dev, about.st_ino) in seen:
            return []
        seen.add((about.st_dev, about.st_ino))
        with os.scandir(path) as listing:
            return list(itertools.islice(listing, most))
    except OSError as exc:
        out.miss(path, f"cannot be looked through: {exc.strerror}")
        return []


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _real(entry: os.DirEntry[str], directory: str) -> str:
    return os.path.realpath(entry.path) if entry.is_symlink() else f"{directory}/{entry.name}"


_NO_AGENTS = (".#", "._")  # Emacs' locks, and what macOS keeps beside a file elsewhere


def is_around(directory: str, root: str) -> bool:
    """Whether a root lies in a directory, both without links. All of a disk may lie there, and is nobody's definition."""
    return directory != root and f"{root}/".startswith(f"{directory.rstrip('/')}/")


def is_named(name: str, tool: Tool) -> bool:
    """Whether a file of this name may be a definition of a tool."""
    return suffix_of(name, tool) is not None


def suffix_of(name: str, tool: Tool) -> str | None:
    """The suffix by which a name is a definition's; None: it is none. `__init__.py` and its like are parts of a package."""
    if name.startswith(_NO_AGENTS):
        return None
    lower = name.lower() if tool.named_by_file else name
    found = next((suffix for suffix in tool.suffixes if lower.endswith(suffix)), None)
    return (
        None
        if found is None or len(name) == len(found) or (found == ".py" and name.startswith("__"))
        else found
    )


def _file(root: Root, entry: os.DirEntry[str], real: str, inner: str, suffix: str, place: int) -> File:
    def made(state: State | None, problem: Problem | None = None) -> File:
        return File(root, entry.path, real, inner, suffix, place, state, problem)

    try:
        about = entry.stat()
    except FileNotFoundError:
        return made(None, NO_TARGET if entry.is_symlink() else WENT_AWAY)
    except OSError as exc:
        return made(None, refused(exc))
    return made(state_of(about), problem_of(about))


def problem_of(about: os.stat_result) -> Problem | None:
    """Why the content of what lies there is not read; None: it can be."""
    if not stat.S_ISREG(about.st_mode):
        return _NO_FILE
    if about.st_size > MOST_BYTES:
        why = f"it has {about.st_size:,} bytes, and at most {MOST_BYTES:,} are read"
        return Problem(why, "make it smaller")
    return None


def refused(exc: OSError) -> Problem:
    """What the system said, in place of a file or of its content."""
    loads = False if exc.errno == errno.ELOOP else None  # a link to itself
    return Problem(f"it cannot be read: {exc.strerror}", _READABLE, loads)


def state_of(about: os.stat_result) -> State:
    """What changes with the content of a file."""
    return State(about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)


def content(path: str) -> bytes:
    """The bytes of a plain file, at once or not at all.

    Raises:
        OSError: it cannot be read, or is no plain file, or too large.
    """
    return content_of(path, MOST_BYTES)
