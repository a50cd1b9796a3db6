"""What the system says of every file that may be a definition: cheap enough to be asked each second, and nothing is opened.

What it says of a file changes when the file's content does, but for a change so soon after another one that the system's clock counts both
as one, which `registry.is_settled` tells.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.definitions import reading, tools

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.definitions.roots import Root

_MOST_ENTRIES: Final = 100_000  # of a root

State = tuple[int, ...]  # as `reading.State`; of what cannot be looked at the error's number


class Scan(NamedTuple):
    """What was said at one moment.

    Attributes:
        files: the state of each file, by the path at which it is reached; of a directory that cannot be looked through, its error.
        places: which directory each root is (device and inode), by its path; None: there is none.
    """

    files: dict[str, State]
    places: dict[str, tuple[int, int] | None]


def scan(roots: Iterable[Root]) -> Scan:
    """Ask for all files of these roots."""
    out = Scan({}, {})
    for root in roots:
        suffixes = tools.TOOLS[root.tool].suffixes
        out.places[root.path] = _scan_root(root, suffixes, out.files)
    return out


def _scan_root(root: Root, suffixes: tuple[str, ...], files: dict[str, State]) -> tuple[int, int] | None:
    place: tuple[int, int] | None = None
    seen: set[tuple[int, int]] = set()
    todo = deque([root.path])
    left = _MOST_ENTRIES
    while todo and left > 0:
        path = todo.popleft()  # as `reading.files`, so that what two links lead to has the same path in both
        try:
            about = os.stat(path)  # noqa: PTH116 - text, whatever bytes it has
            here = (about.st_dev, about.st_ino)
            place = place or here
            if here in seen:
                continue
            seen.add(here)
            with os.scandir(path) as entries:
                for entry in entries:
                    left -= 1
                    _scan_entry(entry, root, suffixes, files, todo)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as exc:
            files[path] = (exc.errno or 0,)
    return place


def _scan_entry(
    entry: os.DirEntry[str], root: Root, suffixes: tuple[str, ...], files: dict[str, State], todo: deque[str]
) -> None:
    try:
        if entry.is_dir():
            if not entry.is_symlink() or not reading.is_around(os.path.realpath(entry.path), root.real):
                todo.append(entry.path)
        elif entry.name.lower().endswith(suffixes):
            about = entry.stat()
            files[entry.path] = (
                about.st_dev,
                about.st_ino,
                about.st_size,
                about.st_mtime_ns,
                about.st_ctime_ns,
            )
    except OSError as exc:  # a link to nothing or to itself, or it went away
        files[entry.path] = (exc.errno or 0,)


class Still(NamedTuple):
    """What held still between two scans.

    Attributes:
        files: the state of each file that did.
        moving: paths of those that did not, also of what was there in one scan only.
        is_patient: while anything moves, files that appear or go wait for the next look: half a move is no change. Else each waits for itself.
    """

    files: dict[str, State]
    moving: frozenset[str]
    is_patient: bool


def still(before: Mapping[str, State], now: Mapping[str, State], *, is_patient: bool) -> Still:
    """What is as it was."""
    files = {path: state for path, state in now.items() if before.get(path) == state}
    return Still(files, frozenset((before.keys() | now.keys()) - files.keys()), is_patient)
