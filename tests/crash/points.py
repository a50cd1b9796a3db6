"""Every moment at which an operation writes, found with strace, and a kill at any one of them.

strace counts calls per thread. A signal that it injects arrives as the call is entered, and a call that is entered
with SIGKILL pending is not carried out: to be killed at call N is to have done exactly N - 1 of them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

REPO_ROOT = Path(__file__).resolve().parents[2]
RUN_LIMIT_S = 60
# Everything that changes a file or a name; `?` lets strace skip what an architecture does not have.
WRITING = [
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "?open",
    "openat",
    "?creat",
    "?rename",
    "renameat",
    "renameat2",
    "?link",
    "linkat",
    "?symlink",
    "symlinkat",
    "?unlink",
    "unlinkat",
    "?rmdir",
    "?mkdir",
    "mkdirat",
    "truncate",
    "ftruncate",
    "fallocate",
    "?chmod",
    "fchmod",
    "fchmodat",
    "?chown",
    "fchown",
    "utimensat",
    "copy_file_range",
    "sendfile",
]
_CALL = re.compile(r"^(\d+)\s+(\w+)\((.*)$")
_OPENS = {"open", "openat"}


class Point(NamedTuple):
    """One writing call: its name, the how-manieth call of that name in its thread, and the file's name."""

    syscall: str
    number: int
    file: str


@dataclass(frozen=True)
class Outcome:
    """How a traced run ended: exit status (-9 when killed), its output, and the writing calls it began."""

    status: int
    output: bytes
    errors: str
    points: list[Point]
    last: list[Point]  # the last one of each thread

    @property
    def acknowledged(self) -> list[tuple[str, int]]:
        """(record id, number) of each acknowledgement that arrived whole."""
        whole, _, _ = self.output.rpartition(b"\n")
        pairs = [line.split() for line in whole.decode().splitlines()]
        return [(record_id, int(number)) for record_id, number in pairs]


def missing() -> str | None:
    """Why kills cannot be placed here; None when they can."""
    if sys.platform != "linux":
        return "needs Linux: system calls are counted with strace"
    if shutil.which("strace") is None:
        return "needs strace (Debian, Ubuntu: apt install strace)"
    probe = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return None if probe.returncode == 0 else "strace may not trace here (ptrace is forbidden)"


def trace(
    command: list[str],
    env: dict[str, str],
    home: Path,
    trace_file: Path,
    inject: tuple[str, ...] = (),
    *,
    given: bytes = b"",
    opening: bool = False,
) -> Outcome:
    """Run a command under strace, with faults injected ("fsync:error=EIO:when=1"), and list its writing calls.

    `given` is its standard input; `opening`: list the calls that open for reading too.
    """
    options = [f"--inject={fault}" for fault in inject]
    calls = ",".join(WRITING)
    strace = ["strace", "-f", "-y", "-s", "200", "-o", str(trace_file), f"--trace={calls}", *options, "--"]
    done = subprocess.run(
        [*strace, *command],
        env=env,
        cwd=REPO_ROOT,
        input=given,
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    points = _points(trace_file.read_text("utf-8", "replace").splitlines(), home, opening=opening)
    last = list(dict(points).values())
    errors = done.stderr.decode("utf-8", "replace")
    return Outcome(done.returncode, done.stdout, errors, [point for _, point in points], last)


def kill_at(command: list[str], env: dict[str, str], home: Path, trace_file: Path, point: Point) -> Outcome:
    """Run a command and kill it as it enters one call."""
    return trace(command, env, home, trace_file, (f"{point.syscall}:signal=SIGKILL:when={point.number}",))


def _points(lines: list[str], home: Path, *, opening: bool) -> list[tuple[str, Point]]:
    """(thread, point) of each writing call below the home, in order."""
    seen: dict[tuple[str, str], int] = {}
    out = []
    for line in lines:
        call = _CALL.match(line)
        if call is None:
            continue
        thread, name, rest = call.groups()
        seen[thread, name] = seen.get((thread, name), 0) + 1
        if str(home) in rest and (opening or _writes(name, rest)):
            out.append((thread, Point(name, seen[thread, name], _file(rest, home))))
    return out


def _writes(name: str, rest: str) -> bool:
    return name not in _OPENS or "O_CREAT" in rest or "O_TRUNC" in rest


def _file(rest: str, home: Path) -> str:
    """The file a call is about, as a name in the home; names that differ from run to run become `*`."""
    found = re.search(re.escape(str(home)) + r"/?([^>\"]*)", rest)
    name = found[1] if found else ""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,64}", "*", name) or "."
