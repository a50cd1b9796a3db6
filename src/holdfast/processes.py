"""Who a process is: its number, when the kernel started it, and in which boot. A number alone is given out again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_START_TICKS_FIELD = 19  # of /proc/<pid>/stat, counted behind the name, which may hold anything


class Identity(NamedTuple):
    """One life of one process. None where the platform does not tell."""

    pid: int
    started_ticks: int | None
    boot: str | None


def mine() -> Identity:
    """This process."""
    pid = os.getpid()
    return Identity(pid, started_ticks(pid), boot_id())


def is_alive(who: Identity) -> bool:
    """Whether that very process still runs; where start times are not told, whether one of its number does."""
    if who.boot != boot_id():
        return False
    if who.started_ticks is not None:
        return started_ticks(who.pid) == who.started_ticks
    try:
        os.kill(who.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def started_ticks(pid: int) -> int | None:
    """When a process was started, in the kernel's ticks since boot; None: no such process, it ended, or not told."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[_START_TICKS_FIELD])


def boot_id() -> str | None:
    """Which boot of the machine this is."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
