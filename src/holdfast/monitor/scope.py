"""Where logs are looked for: below a directory, by a pattern, or one file."""

from __future__ import annotations

import glob
import os
import stat
from typing import TYPE_CHECKING

from holdfast.monitor.generation import Found, Stamp
from holdfast.monitor.names import PACKED, is_packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Scope:
    """Files to follow.

    Args:
        places: each a directory (every regular file in it and below, whatever its name, also through links; compressed
            ones only as what a log has become), a pattern (`*`, `?`, `[…]`, `**`), or a file. It need not exist yet.
        leave_out: files and directories that are passed over.
    """

    def __init__(
        self, places: Iterable[str | os.PathLike[str]], leave_out: Iterable[str | os.PathLike[str]] = ()
    ) -> None:
        self.places = [os.path.abspath(place) for place in places]  # noqa: PTH100 - strings throughout
        self._left_out = {os.path.realpath(path) for path in leave_out}
        self._left_out_names = {os.path.basename(path) for path in self._left_out}  # noqa: PTH119
        self.unlistable: dict[str, str] = {}  # directory → why

    def look(self, only: set[str] | None = None) -> Iterator[tuple[str, os.stat_result]]:
        """Every file to follow with what its metadata says; `only`: those directly in these directories."""
        if only is None:
            self.unlistable.clear()
        for place in self.places:
            if os.path.isdir(place):  # noqa: PTH112
                yield from self._below(place, only)
            elif os.path.lexists(place):
                yield from _regular(place)
            elif glob.has_magic(place):
                for path in glob.iglob(place, recursive=True, include_hidden=True):  # noqa: PTH207
                    if not is_packed(path) and not self._is_left_out(path):
                        yield from _regular(path)

    def _below(self, top: str, only: set[str] | None) -> Iterator[tuple[str, os.stat_result]]:
        if only is not None:
            prefix = top.rstrip(os.sep) + os.sep
            for directory in only:
                if directory == top or directory.startswith(prefix):
                    yield from self._listed(directory, [])
            return
        linked: set[tuple[int, int]] = set()
        todo = [top]
        while todo:
            directory = todo.pop()
            below: list[os.DirEntry[str]] = []
            yield from self._listed(directory, below)
            todo += [each.path for each in reversed(below) if _is_new(each, linked)]

    def _listed(self, directory: str, below: list[os.DirEntry[str]]) -> Iterator[tuple[str, os.stat_result]]:
        try:
            with os.scandir(directory) as found:
                entries = sorted(found, key=_name)
        except FileNotFoundError:
            self.unlistable.pop(directory, None)
            return
        except OSError as exc:
            self.unlistable[directory] = exc.strerror or str(exc)
            return
        self.unlistable.pop(directory, None)
        for entry in entries:
            try:
                if entry.name in self._left_out_names and self._is_left_out(entry.path):
                    continue
                if entry.is_dir():
                    below.append(entry)
                elif not entry.name.endswith(PACKED) and entry.is_file():
                    yield entry.path, entry.stat()
            except OSError:  # gone, or a link to nothing
                continue

    def beside(self, path: str) -> list[Found]:
        """The regular files in the directory of a path that `look` does not give, compressed ones among them."""
        directory = os.path.dirname(path)  # noqa: PTH120
        followed = {each for each, _ in self.look({directory})}
        try:
            with os.scandir(directory) as entries:
                others = [entry.path for entry in entries if entry.path not in followed]
        except OSError:
            return []
        return [
            Found(path, stamp_of(status))
            for other in sorted(others)
            if not self._is_left_out(other)
            for path, status in _regular(other)
        ]

    def _is_left_out(self, path: str) -> bool:
        return bool(self._left_out) and os.path.realpath(path) in self._left_out


def stamp_of(found: os.stat_result) -> Stamp:
    """The part of metadata by which a change shows."""
    return Stamp(
        _signed(found.st_dev), _signed(found.st_ino), found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )


def _signed(number: int) -> int:
    """As SQLite holds numbers."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _regular(path: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return
    if stat.S_ISREG(found.st_mode):
        yield path, found


def _is_new(directory: os.DirEntry[str], linked: set[tuple[int, int]]) -> bool:
    """Whether to go into a directory; one that links lead to, once."""
    try:
        if not directory.is_symlink():
            return True
        found = directory.stat()
    except OSError:
        return False
    real = os.path.realpath(directory.path)
    if directory.path.startswith(real.rstrip(os.sep) + os.sep) or (found.st_dev, found.st_ino) in linked:
        return False  # it leads to where it lies
    linked.add((found.st_dev, found.st_ino))
    return True
