"""What is true of an agent, read from its run directory: the kernel's word first, then what was written down.

    run/<agent>/spec.json     what was asked for
    run/<agent>/0001/         one life: start.json lock child.json hb out.log exit.json, stop.json, again, told

The order in which a life is looked at is what makes the answer right (docs/format.md, "Run directories"): the lock before `exit.json`, which
is written before the lock is free; then `child.json`, without which nothing ever ran; then the process itself.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import processes
from holdfast.errors import SuperviseError
from holdfast.plain_files import content_of
from holdfast.supervise import process
from holdfast.supervise import spec as specs
from holdfast.supervise.spec import Spec  # noqa: TC001 - a field's type is looked at when it is read

if TYPE_CHECKING:
    from pathlib import Path

STATES: Final = ("running", "paused", "exited", "never_started", "unshimmed", "lost")
AGAIN: Final = "again"
_ALIVE: Final = frozenset({"running", "paused", "unshimmed"})
ENDS: Final = frozenset({"stop", "kill"})  # what may be asked of a life so that it ends
_ATTEMPT = re.compile(r"\d{4,9}")
_MOST_NUMBER = 1 << 63
_MOST_MARK_BYTES = 64  # of a file that holds a word or a number
_MOST_FILE_BYTES = 8 << 20  # start.json holds an environment, of which the kernel takes a few MiB at most


class Left(msgspec.Struct, frozen=True):
    """A process that the agent started, and that had left its group: it was alive when the agent ended."""

    pid: int
    start_ticks: int | None = None
    name: str = ""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `stop.json`: what somebody wanted of a life. `how` is stop, kill, pause or unpause; `over`: the life had ended by then,
    and was to have no successor.
    """

    how: str
    over: bool = False
    by: str | None = None
    why: str | None = None
    at_us: int | None = None


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt.

    Attributes:
        state: running, paused, exited, never_started, unshimmed (it is there, and nobody watches it), or lost (it is gone, and nobody
            saw how). `why` says the rule where it is not the kernel's or the shim's own word.
        is_halted: nobody watches it, and a signal halts it.
        rebooted: it is lost because the machine started again.
        pid, start_ticks, boot_id: of the agent; None: it never had any, or the system does not tell.
        shim_pid: who watches it.
        created_us, started_us, seen_us, ended_us: when the attempt was made, when it began, when its shim was alive last, and when it
            ended. UTC microseconds.
        exit_code, signal: how it ended; both None: unknown. `error` is why its program could not be started.
        asked: what the shim was asked for: stop or kill.
        user_us, system_us, max_rss_bytes: what it used, once it ended.
        left, left_count: processes that it left behind.
        stop: what somebody wanted of it last.
        is_again: a person had it started once more.
        told: how much of it is recorded: "", "started" or "ended".
    """

    attempt: int
    state: str
    why: str | None = None
    is_halted: bool = False
    rebooted: bool = False
    pid: int | None = None
    start_ticks: int | None = None
    boot_id: str | None = None
    shim_pid: int | None = None
    created_us: int | None = None
    started_us: int | None = None
    seen_us: int | None = None
    ended_us: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    error: str | None = None
    asked: str | None = None
    user_us: int | None = None
    system_us: int | None = None
    max_rss_bytes: int | None = None
    left: tuple[Left, ...] = ()
    left_count: int = 0
    stop: Asked | None = None
    is_again: bool = False
    told: str = ""

    @property
    def is_alive(self) -> bool:
        return self.state in _ALIVE

    @property
    def is_paused(self) -> bool:
        return self.state == "paused" or self.is_halted

    @property
    def is_over(self) -> bool:
        return self.state in {"exited", "lost"}

    @property
    def identity(self) -> processes.Identity | None:
        return None if self.pid is None else processes.Identity(self.pid, self.start_ticks, self.boot_id)

    @property
    def status(self) -> str:
        """The execution status that it amounts to: an unknown end is `interrupted`, one that we asked for is `cancelled`."""
        if self.state == "never_started":
            return "pending" if self.was_asked is None else "cancelled"
        if self.is_alive:
            return "paused" if self.is_paused else "running"
        if self.was_asked is not None:
            return "cancelled"
        if self.state == "lost":
            return "interrupted"
        return "completed" if self.exit_code == 0 else "failed"

    @property
    def grade(self) -> str:
        """How sure that is: nobody saw how a lost one ended, or watches one whose shim is gone."""
        return "inferred" if self.state in {"lost", "unshimmed"} else "observed"

    @property
    def reason(self) -> str | None:
        """Why its program could not be started, else what says how it stands."""
        return self.error or self.why

    @property
    def was_asked(self) -> str | None:
        """What it was asked for before it ended: as its shim says, else, where nobody saw its end or it never began, as who asked for it noted."""
        noted = self.stop if self.state in {"lost", "never_started"} else None
        if noted is not None and noted.how in ENDS and not noted.over:
            return noted.how
        return self.asked


class AgentLook(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as its directory shows it. `lives` are in order. `problem` says why `spec` could not be read."""

    id: str
    spec: Spec | None
    lives: tuple[Life, ...]
    problem: str | None = None

    @property
    def last(self) -> Life | None:
        return self.lives[-1] if self.lives else None

    @property
    def is_alive(self) -> bool:
        return self.last is not None and self.last.is_alive


def run_directory(home: Path) -> Path:
    """Where the run directories of a home's agents lie."""
    return home / "run"


def agent_directories(run: Path) -> list[Path]:
    """The directories of all agents, in the order of their ids."""
    try:
        names = os.listdir(run)  # noqa: PTH208 - names only
    except OSError:
        return []
    return [run / name for name in sorted(names) if specs.ID.fullmatch(name)]


def without_lives(directory: Path) -> AgentLook:
    """An agent as it was asked for."""
    try:
        return AgentLook(id=directory.name, spec=specs.read(directory), lives=())
    except SuperviseError as exc:
        return AgentLook(id=directory.name, spec=None, lives=(), problem=str(exc))


def attempts(directory: Path) -> list[int]:
    """The numbers of an agent's attempts, in order."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names only
    except OSError:
        return []
    return sorted(int(name) for name in names if _ATTEMPT.fullmatch(name))


def attempt_directory(directory: Path, attempt: int) -> Path:
    """Where one attempt lies."""
    return directory / f"{attempt:04d}"


def settled_path(directory: Path) -> Path:
    """The file that says after which attempt nothing more is to be told or done by itself."""
    return directory / "settled"


def is_settled(directory: Path) -> bool:
    """Whether an agent is over and told, and no attempt was made since. Much cheaper than a look."""
    try:
        said = content_of(settled_path(directory), _MOST_MARK_BYTES)
        return not attempt_directory(directory, int(said) + 1).exists()
    except (OSError, ValueError):
        return False


def look(directory: Path) -> AgentLook:
    """Read an agent's run directory, and ask the kernel."""
    spec, problem = None, None
    try:
        spec = specs.read(directory)
    except SuperviseError as exc:
        problem = str(exc)
    lives = tuple(life(directory, attempt) for attempt in attempts(directory))
    return AgentLook(id=directory.name, spec=spec, lives=lives, problem=problem)


def life(directory: Path, attempt: int) -> Life:
    """Look at one attempt."""
    found = _life(directory, attempt)
    if found.state in {"unshimmed", "lost"}:  # it may have begun and ended since its lock was looked at
        found = _life(directory, attempt)
    return found


def _life(directory: Path, attempt: int) -> Life:
    room = attempt_directory(directory, attempt)
    found: dict[str, Any] = {"attempt": attempt, "created_us": changed_us(room / "start.json")}
    owner = process.lock_owner(room / "lock")
    if owner is not None:
        return _watched(room, found, owner)
    said = _read(room / "exit.json")
    if said is not None:
        return _known(room, found | _identity(room) | _end(said) | {"state": "exited"})
    if not (room / "child.json").exists():
        return _known(room, found | {"state": "never_started"})
    found |= _identity(room)
    if found.get("pid") is None:
        return _known(room, found | {"state": "lost", "why": "child.json cannot be read"})
    return _known(room, found | _unwatched(found))


def _watched(room: Path, found: dict[str, Any], owner: int) -> Life:
    found |= _identity(room) | {"state": "running"}
    found["shim_pid"] = owner or found.get("shim_pid")
    pid = found.get("pid")
    if pid is not None and process.is_stopped(pid):
        found["state"] = "paused"
    elif pid is not None and not process.tells_state():
        stop = _asked(room)
        found["state"] = "paused" if stop is not None and stop.how == "pause" else "running"
    return _known(room, found)


def _unwatched(found: dict[str, Any]) -> dict[str, Any]:
    """Nobody holds the lock, and no end is written down."""
    who = processes.Identity(found["pid"], found.get("start_ticks"), found.get("boot_id"))
    boot = processes.boot_id()
    if who.boot is not None and boot is not None and who.boot != boot:
        return {"state": "lost", "why": "the machine started again", "rebooted": True}
    if who.boot is None or who.started_ticks is None:
        return {
            "state": "lost",
            "why": "its shim is gone, and the system does not tell whether it is this process",
        }
    if processes.is_alive(who):
        is_halted = process.is_stopped(who.pid)
        why = "its shim is gone, and it is halted" if is_halted else "its shim is gone, and it runs"
        return {"state": "unshimmed", "why": why, "is_halted": is_halted}
    return {"state": "lost", "why": "its shim is gone, and so is it"}


def _known(room: Path, found: dict[str, Any]) -> Life:
    is_again = (room / AGAIN).exists()
    return Life(
        **found, seen_us=changed_us(room / "hb"), stop=_asked(room), is_again=is_again, told=told(room)
    )


def _identity(room: Path) -> dict[str, Any]:
    said = _read(room / "child.json") or {}
    names = ("pid", "start_ticks", "shim_pid", "started_us")
    out: dict[str, Any] = {name: _whole(said.get(name)) for name in names}
    boot = said.get("boot_id")
    return out | {"boot_id": boot if isinstance(boot, str) else None}


def _end(said: dict[str, Any]) -> dict[str, Any]:
    names = ("exit_code", "signal", "ended_us", "user_us", "system_us", "max_rss_bytes")
    out: dict[str, Any] = {name: _whole(said.get(name)) for name in names}
    for name in ("error", "asked"):
        value = said.get(name)
        out[name] = value if isinstance(value, str) else None
    try:
        left = msgspec.convert(said.get("left") or [], tuple[Left, ...])
    except msgspec.ValidationError:
        left = ()
    return out | {"left": left, "left_count": max(len(left), _whole(said.get("left_count")) or 0)}


def _asked(room: Path) -> Asked | None:
    said = _read(room / "stop.json")
    try:
        return None if said is None else msgspec.convert(said, Asked)
    except msgspec.ValidationError:
        return None


def told(room: Path) -> str:
    """How much of a life is recorded."""
    try:
        return content_of(room / "told", _MOST_MARK_BYTES).decode("ascii").strip()
    except (OSError, ValueError):
        return ""


def start_of(directory: Path, attempt: int) -> dict[str, Any] | None:
    """What an attempt was started with: `argv`, `cwd` and `environment`; None: it cannot be read."""
    said = _read(attempt_directory(directory, attempt) / "start.json")
    return said if said is not None and isinstance(said.get("environment"), dict) else None


def changed_us(path: Path) -> int | None:
    """When a file was written last, or touched, in UTC microseconds."""
    try:
        return path.stat().st_mtime_ns // 1_000
    except OSError:
        return None


def size_bytes(path: Path) -> int | None:
    """How long a file is; None: it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(content_of(path, _MOST_FILE_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _whole(value: object) -> int | None:
    """A whole number, of those that the kernel has."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST_NUMBER:
        return value
    return None
