"""Watch what a program does to the files below a directory, while it does it to real ones.

The `os` functions that change files or names are wrapped for the block. They do what they always do, and log it. When
the block ends, the log must explain what lies on the disk, byte for byte: a way of writing that is not watched (a
library of C, another process) is an error, not a hole in the test. Files that are opened for writing with `open` are
given a plain file of Python, which writes through `os.write`.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.crash.simfs.disk import ROOT, Log, Moment, Names, Promise, Sync, SyncFailed, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Recorder:
    """The watch over one directory, which must be empty.

    Args:
        root: the directory.
        unheard: fsync of "file" or "directory" that is not carried out: what a build without it would do.
        between: called before each watched call; it may let another program do something.
    """

    def __init__(
        self,
        root: Path,
        *,
        unheard: frozenset[str] = frozenset(),
        between: Callable[[str], None] | None = None,
    ) -> None:
        self.log = Log()
        self.fail_syncs: set[int] = set()  # numbers of file syncs that fail with EIO
        self.fail_writes: dict[int, int | None] = {}  # number of the write → bytes it takes; None: ENOSPC
        self._root = os.fspath(root)
        self._unheard = unheard
        self._between = between
        self._entries: dict[int, dict[str, int]] = {ROOT: {}}  # as the program sees them
        self._open: dict[int, int] = {}  # descriptor → node
        self._poisoned: set[int] = set()  # descriptors whose next fsync reports an error that another one met
        self._count: Counter[str] = Counter()
        self._nodes = 0
        self._real: dict[str, Any] = {}

    # ── what a protocol says ──

    def promise(self, *keys: str) -> None:
        """From now on these must be found after any crash."""
        self.log.steps += [Promise(key) for key in keys]

    def settle(self) -> None:
        """Everything done so far was on the disk long before."""
        self.log.settled = len(self.log.steps)

    # ── watching ──

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        names = [name.removeprefix("_os_") for name in dir(self) if name.startswith("_os_")]
        self._real = {name: getattr(os, name) for name in names}
        for name in names:
            setattr(os, name, self._wrapped(name))
        real_open = io.open
        io.open = builtins.open = self._opener(real_open)  # type: ignore[assignment]
        try:
            yield
        finally:
            io.open = builtins.open = real_open
            for name, real in self._real.items():
                setattr(os, name, real)
        self._explain()

    def _wrapped(self, name: str) -> Callable[..., Any]:
        act = getattr(self, f"_os_{name}")

        def call(*args: Any, **options: Any) -> Any:
            if self._between is not None:
                self._between(name)
            return act(*args, **options)

        return call

    def _opener(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **options: Any) -> Any:
            is_ours = file in self._open if isinstance(file, int) else self._place(file) is not None
            if not is_ours or not set(mode) & set("wxa+"):
                return real(file, mode, buffering, *args, **options)
            assert "b" in mode, f"not watched: text written to {file}"
            assert "+" not in mode, f"not watched: {file} opened for reading and writing"
            flags = os.O_WRONLY | os.O_CLOEXEC | os.O_CREAT | _FLAGS[mode.replace("b", "")]
            raw = _PlainFile(file if isinstance(file, int) else os.open(file, flags, 0o666))
            return io.BufferedWriter(raw) if buffering else raw

        return opened

    def _explain(self) -> None:
        logged = dict(Moment(self.log, len(self.log.steps)).everything().files())
        found: dict[str, bytes | None] = {}
        for path in Path(self._root).rglob("*"):
            found[os.fspath(path.relative_to(self._root))] = None if path.is_dir() else path.read_bytes()
        different = sorted(p for p in logged.keys() | found.keys() if logged.get(p, 0) != found.get(p, 0))
        assert not different, f"written in a way that was not watched: {different}"

    def _node(self, path: str) -> int | None:
        """What a path stands for; None: it is not there, or not below the root."""
        place = self._place(path)
        return None if place is None else self._entries[place[0]].get(place[1])

    def _place(self, path: Any) -> tuple[int, str] | None:
        """(directory, name) of a path below the root; None: it is elsewhere, or in a directory that is not there."""
        text = os.fspath(path)
        if not isinstance(text, str) or not text.startswith(self._root + os.sep):
            return None
        *parents, name = Path(text).relative_to(self._root).parts
        node = ROOT
        for parent in parents:
            inner = self._entries[node].get(parent)
            if inner is None:
                return None
            node = inner
        return node, name

    def _new(self, *, directory: bool = False) -> int:
        self._nodes += 1
        if directory:
            self._entries[self._nodes] = {}
            self.log.directories.add(self._nodes)
        return self._nodes

    def _change(self, *changes: tuple[tuple[int, str], int | None]) -> None:
        """Log a change of names; one directory is changed in one step."""
        for directory in dict.fromkeys(place[0] for place, _ in changes):
            here = tuple((place[1], node) for place, node in changes if place[0] == directory)
            self.log.steps.append(Names(directory, here))
            for name, node in here:
                if node is None:
                    self._entries[directory].pop(name, None)
                else:
                    self._entries[directory][name] = node

    # ── the calls ──

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        place = self._place(path)
        before = None if place is None else self._entries[place[0]].get(place[1])
        fd: int = self._real["open"](path, flags, mode, **options)
        if place is not None:
            node = before
            if node is None:
                node = self._new()
                self._change((place, node))
            elif flags & os.O_TRUNC:
                self.log.steps.append(Write(node, 0, None))
            self._open[fd] = node
        elif os.fspath(path) == self._root:
            self._open[fd] = ROOT
        return fd

    def _os_close(self, fd: int) -> None:
        self._open.pop(fd, None)
        self._poisoned.discard(fd)
        self._real["close"](fd)

    def _os_write(self, fd: int, data: bytes) -> int:
        if fd not in self._open:
            return int(self._real["write"](fd, data))
        self._count["write"] += 1
        if self._count["write"] in self.fail_writes:
            taken = self.fail_writes[self._count["write"]]
            if taken is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = bytes(data)[:taken]
        written = int(self._real["write"](fd, data))
        end = os.lseek(fd, 0, os.SEEK_CUR)
        self.log.steps.append(Write(self._open[fd], end - written, bytes(data[:written])))
        return written

    def _os_ftruncate(self, fd: int, size: int) -> None:
        self._real["ftruncate"](fd, size)
        if fd in self._open:
            self.log.steps.append(Write(self._open[fd], size, None))

    def _os_fsync(self, fd: int) -> None:
        node = self._open.get(fd)
        if node is None:
            self._real["fsync"](fd)
            return
        begin = len(self.log.steps)
        kind = "directory" if node in self._entries else "file"
        self._count[kind] += 1
        if kind == "file" and self._count[kind] in self.fail_syncs and fd not in self._poisoned:
            self._poisoned |= {other for other, its in self._open.items() if its == node}
        elif self._between is not None:
            self._between("in fsync")
        if fd in self._poisoned:  # looked at when the sync ends; the kernel tells each descriptor once
            self._poisoned.discard(fd)
            self.log.steps.append(SyncFailed(node, begin))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if kind not in self._unheard:
            self.log.steps.append(Sync(node, begin))

    _os_fdatasync = _os_fsync

    def _os_mkdir(self, path: Any, mode: int = 0o777, **options: Any) -> None:
        self._real["mkdir"](path, mode, **options)
        place = self._place(path)
        if place is not None:
            self._change((place, self._new(directory=True)))

    def _os_rename(self, source: Any, target: Any, **options: Any) -> None:
        self._real["rename"](source, target, **options)
        self._renamed(source, target)

    def _os_replace(self, source: Any, target: Any, **options: Any) -> None:
        self._real["replace"](source, target, **options)
        self._renamed(source, target)

    def _renamed(self, source: Any, target: Any) -> None:
        before, after = self._place(source), self._place(target)
        if before is not None and after is not None:
            self._change((after, self._entries[before[0]][before[1]]), (before, None))

    def _os_link(self, source: Any, target: Any, **options: Any) -> None:
        self._real["link"](source, target, **options)
        after = self._place(target)
        if after is not None:
            self._change((after, self._node(os.fspath(source))))

    def _os_unlink(self, path: Any, **options: Any) -> None:
        self._real["unlink"](path, **options)
        place = self._place(path)
        if place is not None:
            self._change((place, None))

    _os_remove = _os_unlink

    def _os_rmdir(self, path: Any, **options: Any) -> None:
        self._real["rmdir"](path, **options)
        place = self._place(path)
        if place is not None:
            self._change((place, None))


_FLAGS = {"w": os.O_TRUNC, "x": os.O_EXCL, "a": os.O_APPEND}


class _PlainFile(io.RawIOBase):
    """A file that writes through `os`, so that it is watched."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return os.write(self._fd, bytes(data))

    def seek(self, offset: int, whence: int = 0) -> int:
        return os.lseek(self._fd, offset, whence)

    def truncate(self, size: int | None = None) -> int:
        size = self.tell() if size is None else size
        os.ftruncate(self._fd, size)
        return size

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._fd)
