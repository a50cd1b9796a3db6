"""Codex's locks: `thread-writer-locks/<thread>.lock` in its directory is locked while a process writes that thread.

Seen on version 0.169, and documented nowhere: the lock is one of `flock`; a process that ends well removes the file, one that is
killed leaves it behind unlocked. Who holds it is read from the kernel's list, by the file's device and number: taking the lock
to find out would be in the tool's way. In a pid namespace that list leaves out who is outside of it; there, and where nobody is
listed, the lock is asked for after all, shared, and given back at once.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import Final

DIRECTORY: Final = "thread-writer-locks"  # below Codex's
_LOCKS = Path("/proc/locks")
_NAMESPACE = "/proc/self/ns/pid"
_OUTERMOST = (
    f"pid:[{0xEFFFFFFC}]"  # the number that the kernel gives to the first one (proc_ns.h: PROC_PID_INIT_INO)
)
_LINE = re.compile(
    r"\d+: \w+ +\w+ +\w+ +(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) "
)  # one that waits has "->" behind the number
_IS_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def held() -> dict[tuple[int, int, int], int] | None:
    """(major, minor, inode) of each file that somebody holds a lock on, and who; None: the system does not tell.

    The process is told as the kernel tells it: a number that is not above 0 is none that can be seen from here.
    """
    try:
        found = _LOCKS.read_text("ascii", "replace")
    except OSError:
        return None
    lines = _LINE.findall(found)
    return {(int(major, 16), int(minor, 16), int(inode)): int(pid) for pid, major, minor, inode in lines}


def holder(directory: Path, thread: str, locks: dict[tuple[int, int, int], int] | None) -> int | bool | None:
    """Who holds a thread's lock: its process, or True where that cannot be seen; False: nobody. None: there is no lock, or it cannot
    be told.

    Some file systems show another device in the kernel's list than `stat` does; there, a number alone proves nothing.
    """
    if locks is None or not _IS_ID.match(thread):
        return None
    try:
        found = os.lstat(directory / f"{thread}.lock")
    except OSError:
        return None
    pid = locks.get((os.major(found.st_dev), os.minor(found.st_dev), found.st_ino))
    if pid is not None:
        return pid if pid > 1 else True
    if any(found.st_ino == inode for _, _, inode in locks):
        return None
    return False if _all_are_listed() else _is_held(directory / f"{thread}.lock")


def _all_are_listed() -> bool:
    try:
        return os.readlink(_NAMESPACE) == _OUTERMOST  # noqa: PTH115 - no path, but a name
    except OSError:
        return False


def _is_held(path: Path) -> bool | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(fd)
    return False
