"""Who holds a shim's lock, and how exactly that process, and no other, is given a signal.

A number alone is never trusted: the kernel says who owns the lock now, and where it can (Linux), a signal goes through a descriptor of the
process that was asked about afterwards.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from holdfast import processes
from holdfast.plain_files import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.processes import Identity

# struct flock: fcntl(2) of Linux with 64-bit offsets; fcntl(2) of the BSDs and macOS, where the type stands last.
_IS_LINUX = sys.platform == "linux"
_LAYOUT = "hhqqi4x" if _IS_LINUX else "qqihh"
_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_MOST_PROCESSES = 4_096  # of one agent, that figures are summed over
UNNAMED = 0  # who holds a lock, but has no number here: a process of another pid namespace


def lock_owner(path: Path | str) -> int | None:
    """The process that holds a POSIX write lock on a file; UNNAMED: one that cannot be named from here; None: none."""
    try:
        fd = opened(path, follow=False)
    except OSError:
        return None
    try:
        return _owner(fd)
    finally:
        os.close(fd)


def _owner(fd: int) -> int | None:
    if _IS_LINUX:
        asked = struct.pack(_LAYOUT, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_LAYOUT, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    else:
        asked = struct.pack(_LAYOUT, 0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
        _, _, pid, kind, _ = struct.unpack(_LAYOUT, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    if kind == fcntl.F_UNLCK:
        return None
    return max(int(pid), UNNAMED)


class Handle:
    """One process, held so that a signal reaches it or nobody; `fd` can be read once it has ended (-1 where there is none)."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd

    def send(self, number: int) -> bool:
        """Give it a signal; whether it was there."""
        try:
            if self.fd >= 0:
                signal.pidfd_send_signal(self.fd, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def handle(pid: int) -> Handle | None:
    """The process that has this number at this moment; None: none has."""
    if pid <= 0:
        return None
    try:
        return Handle(pid, os.pidfd_open(pid)) if hasattr(os, "pidfd_open") else Handle(pid, -1)
    except ProcessLookupError:
        return None
    except OSError:  # a kernel before 5.3, or no descriptor is left
        return Handle(pid, -1)


def owner_handle(lock: Path) -> Handle | None:
    """The holder of a shim's lock: asked for, opened, and asked for again, so that it is this very process."""
    pid = lock_owner(lock)
    found = None if pid is None else handle(pid)
    if found is None:
        return None
    if lock_owner(lock) == pid:
        return found
    found.close()
    return None


def identity_handle(who: Identity) -> Handle | None:
    """That very life of a process; None: it is over, or nobody can tell."""
    if who.started_ticks is None or who.boot is None:
        return None
    found = handle(who.pid)
    if found is None:
        return None
    if processes.is_alive(who):
        return found
    found.close()
    return None


class Member(NamedTuple):
    """A process that runs, and the group and session that it is in."""

    pid: int
    start_ticks: int
    group: int
    session: int
    name: str

    @property
    def identity(self) -> tuple[int, int]:
        return self.pid, self.start_ticks


def member(pid: int) -> Member | None:
    """The process that has a number, also as a zombie; None: none has, or the system does not tell."""
    found = _stat(pid)
    return None if found is None else _member(pid, found)


def _member(pid: int, found: _Stat) -> Member:
    return Member(pid, found.start_ticks, found.group, found.session, found.name)


def everybody() -> list[Member]:
    """All processes but zombies; none where the system does not tell."""
    out = []
    for name in os.listdir(_PROC) if _IS_LINUX else []:  # noqa: PTH208 - names only
        found = _stat(int(name)) if name.isdecimal() else None
        if found is not None and found.state not in "ZX":
            out.append(_member(int(name), found))
    return out


def group(number: int, among: Iterable[Member] | None = None) -> list[Member]:
    """The processes of a group that leads a session too; zombies are left out."""
    found = everybody() if among is None else among
    return [one for one in found if (one.group, one.session) == (number, number)]


def mark(pid: int) -> bytes | None:
    """The attempt that the environment names which a process was started with, as `/AGENT/ATTEMPT`; None: it names none, or is not ours to read."""
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    places = (one for one in variables if one.startswith(b"HOLDFAST_RUN="))
    return next((b"/" + b"/".join(place.split(b"/")[-2:]) for place in places), None)


class _Stat(NamedTuple):
    name: str
    state: str
    group: int
    session: int
    cpu_ticks: int
    start_ticks: int
    rss_bytes: int


def _stat(pid: int) -> _Stat | None:
    """What /proc/<pid>/stat says (proc(5)); None: no such process, or not Linux."""
    try:
        head, _, rest = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")
    except OSError:
        return None
    fields = rest.split()
    return _Stat(
        head.partition(b"(")[2].decode("utf-8", "backslashreplace"),
        fields[0].decode("ascii"),
        int(fields[2]),
        int(fields[3]),
        int(fields[11]) + int(fields[12]),
        int(fields[19]),
        int(fields[21]) * _PAGE_BYTES,
    )


def tells_state() -> bool:
    """Whether this system tells what state a process is in."""
    return _IS_LINUX


def is_stopped(pid: int) -> bool:
    """Whether a process is halted by a signal."""
    found = _stat(pid)
    return found is not None and found.state in {"T", "t"}


class Use(NamedTuple):
    """What a process and all below it use now: seconds of a core so far, and resident memory, where shared pages count in each."""

    cpu_s: float
    memory_bytes: int


def use(pid: int) -> Use | None:
    """What a process and its descendants use; None: the system does not tell."""
    cpu_ticks = rss_bytes = 0
    todo, seen = [pid], 0
    while todo and seen < _MOST_PROCESSES:
        one = todo.pop()
        found = _stat(one)
        if found is None:
            continue
        seen += 1
        cpu_ticks += found.cpu_ticks
        rss_bytes += found.rss_bytes
        todo += _children(one)
    return Use(cpu_ticks / _TICKS_PER_S, rss_bytes) if seen else None


def _children(pid: int) -> list[int]:
    out: list[int] = []
    try:
        tasks = os.listdir(_PROC / str(pid) / "task")  # noqa: PTH208 - names only
    except OSError:
        return []  # it ended meanwhile
    for task in tasks:
        with contextlib.suppress(OSError):  # that one did
            out += map(int, (_PROC / str(pid) / "task" / task / "children").read_bytes().split())
    return out


def become_subreaper() -> None:
    """Have orphans of this process's descendants come to it; an exec keeps that. Linux only, elsewhere nothing."""
    for prctl in _prctl:
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


_prctl: list[Callable[..., object]] = []  # at most one; loaded by who starts agents


def prepare_subreaper() -> None:
    """Load what `become_subreaper` needs, which runs between fork and exec, where nothing may be loaded."""
    if _IS_LINUX and not _prctl:
        import ctypes  # noqa: PLC0415 - only who starts agents needs it

        _prctl.append(ctypes.CDLL(None).prctl)
