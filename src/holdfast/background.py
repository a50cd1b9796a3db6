"""Folding a long journal again without making anybody wait: a process of its own that outlives the command that started it.

The process is `holdfast rebuild --background`, in a session of its own. It takes the writer's lock like everybody else, looks again
whether there is anything to do, and is gone. `run/rebuild.log` holds who it is ("process 4711 123456": its number, and its
start in the kernel's ticks), and what it says. If it dies, the next command starts another; if it fails, one does
a while later.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from holdfast import clock, processes
from holdfast.settings import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.settings import Settings

RUN = "run"
LOG = "rebuild.log"
_AGAIN_AFTER_S = (
    30  # a process that fails at once, on a full disk for example, is not started by every command
)
_children: list[
    subprocess.Popen[bytes]
] = []  # of this process, so that nobody waits for them and none is collected early


def log_path(home: Path) -> Path:
    """What the last such process said."""
    return home / RUN / LOG


def is_running(home: Path) -> bool:
    """Whether the process that was started last still runs."""
    for line in _lines(home):
        match line.split():
            case ["process", pid, ticks] if pid.isdecimal():
                start = int(ticks) if ticks.isdecimal() else None
                return processes.is_alive(processes.Identity(int(pid), start, processes.boot_id()))
    return False


def last_words(home: Path) -> str | None:
    """The error that the last such process ended with; None: it said none."""
    return next((line for line in _lines(home) if line.startswith("error: ")), None)


def _lines(home: Path) -> list[str]:
    try:
        return log_path(home).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def start(home: Path, settings: Settings) -> None:
    """Start the process, unless it runs, or failed a moment ago. The caller holds the writer's lock, so that only one is started.

    Raises:
        OSError: it cannot be started.
    """
    if is_running(home) or (last_words(home) is not None and not _is_due(log_path(home))):
        return
    spawn(home, settings, ["rebuild", "--background"], log_path(home))


def spawn(home: Path, settings: Settings, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start `holdfast COMMAND` in a session of its own, with these settings; what it says goes to the log, after who it is.

    Raises:
        OSError: it cannot be started.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    log.parent.mkdir(mode=0o700, exist_ok=True)
    values = settings.values()
    given = {row.env: row.written(values[row.name]) for row in SETTINGS if values[row.name] != ""}
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(log, flags, 0o600)
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "holdfast", *command],
            env=os.environ | given | {"HOLDFAST_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            start_new_session=True,
        )
        _children.append(child)
        os.write(fd, f"process {child.pid} {processes.started_ticks(child.pid)}\n".encode())
    finally:
        os.close(fd)
    return child


def _is_due(log: Path) -> bool:
    return not 0 <= clock.now_us() / 1e6 - log.stat().st_mtime < _AGAIN_AFTER_S
