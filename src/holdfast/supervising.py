"""Supervision over an open home: start agents, ask them to end, start them again, and see that what becomes of them is told.

Look (`supervise/look.py`), decide (`supervise/plan.py`), act, tell (`supervise/telling.py`): any number of supervisors may do so side by side, and none
has to. An agent needs nobody but its shim.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import msgspec.structs

from holdfast import clock, launching
from holdfast.capture import inbox, progress
from holdfast.errors import AgentRuns, HoldfastError, SuperviseError
from holdfast.failpoints import failpoint
from holdfast.run_telling import opened, told_up_to_date
from holdfast.run_views import View, again, agents, answer, attempts_answer, find, left, refuse_survivors
from holdfast.steering import Steered, kill, pause, stop, stop_all, unpause
from holdfast.supervise import look, plan, process, reach, start
from holdfast.supervise import spec as specs
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.home import Home
    from holdfast.supervise.look import AgentLook
    from holdfast.supervise.process import Handle
    from holdfast.supervise.spec import Spec, Wish
    from holdfast.supervise.telling import Telling

__all__ = [
    "Launched",
    "Steered",
    "Supervisor",
    "Ticked",
    "View",
    "agents",
    "answer",
    "attempts_answer",
    "discard",
    "find",
    "kill",
    "launch",
    "left",
    "opened",
    "pause",
    "remove",
    "run_directory",
    "start_again",
    "stop",
    "stop_all",
    "told_up_to_date",
    "unpause",
]


class Launched(NamedTuple):
    """An agent that was started. `pid` None: it is not known yet; `error`: why its program could not be started.

    `is_new` is False where an agent with the wished id was there before. `notes` say what could not be done for its tool.
    """

    id: str
    directory: Path
    attempt: int
    pid: int | None
    error: str | None
    is_new: bool = True
    notes: tuple[str, ...] = ()


def run_directory(home: Home) -> Path:
    """Where run directories lie."""
    return look.run_directory(home.path)


# ── start ──


def launch(home: Home, wish: Wish, *, requested: Callable[[str], object] = lambda _: None) -> Launched:
    """Start an agent in a process of its own that needs nobody to stay.

    Args:
        home: where it is kept.
        wish: what is asked for.
        requested: told the agent's id once that it is wanted is recorded.

    Raises:
        SuperviseError: it cannot be started as it is asked for.
        AppendFailed: that it is wanted cannot be recorded; nothing was started.
    """
    specs.check(wish)
    environment = os.environ | {"HOLDFAST_HOME": os.fspath(home.path)} | wish.environment
    _refuse_unstartable(wish, environment)
    run = run_directory(home)
    start.drop_leftovers(run)
    agent = wish.id or _new_id(run)
    directory = run / agent
    if directory.exists():
        return _launched(directory, is_new=False)
    home.inbox.mkdir(mode=0o700, exist_ok=True)
    environment |= {progress.VARIABLE: os.fspath(home.inbox / progress.spool_name(agent))}
    command = launching.command(home, wish, agent, 1, environment)
    spec = specs.made(launching.known(wish, command), agent, clock.now_us())
    with opened(home) as telling:
        telling.requested(spec)
        requested(agent)
        failpoint("run.requested")
        if start.make_agent(run, spec, command.start) is None:
            return _launched(directory, is_new=False)
        failpoint("run.made")
        begin(telling, directory, spec, 1)
        telling.catch_up(look.look(directory))
    return _launched(directory, is_new=True)._replace(notes=tuple(command.notes))


def begin(telling: Telling, directory: Path, spec: Spec, attempt: int) -> bool | None:
    """Start the shim of an attempt that was made, and wait until it says how that went; see `start.wait_begun`."""
    said = look.start_of(directory, attempt)
    if said is None:
        place = look.attempt_directory(directory, attempt) / "start.json"
        raise SuperviseError(f"{place}: it cannot be read", hint="remove the agent, and start it anew")
    telling.starting(spec, attempt)
    if attempt > 1:
        from holdfast import progressing  # noqa: PLC0415 - most agents have one attempt

        progressing.begin(directory.parents[1] / inbox.DIRECTORY / progress.spool_name(spec.id), attempt)
    failpoint("run.starting")
    _hand_over_end(directory, attempt)
    if _is_to_end(directory, attempt):
        return None
    started = start.start_shim(directory, attempt, said, spec)
    failpoint("run.started")
    begun = start.wait_begun(started)
    if begun is False:
        reach.wait(
            directory, attempt, "kill", 0.0, _ASKED_NOBODY
        )  # its end is written; its shim is about to go
    elif begun and _is_to_end(directory, attempt):  # somebody asked for that while it was being started
        room = look.attempt_directory(directory, attempt)
        reach.ask(room, look.life(directory, attempt), "stop")
    return begun


_ASKED_NOBODY: Final = reach.Asked(None, reached=False)


def _is_to_end(directory: Path, attempt: int) -> bool:
    asked = look.life(directory, attempt).stop
    return asked is not None and asked.how in reach.ENDS


def _hand_over_end(directory: Path, attempt: int) -> None:
    """Who asked the life before to end, while this attempt was made, meant the agent. He looks for this one after he asked; we for that after it was made."""
    before = look.life(directory, attempt - 1).stop if attempt > 1 else None
    room = look.attempt_directory(directory, attempt)
    if before is not None and before.how in reach.ENDS and not (room / look.AGAIN).exists():
        start.leave(
            room / "stop.json", msgspec.json.encode(msgspec.structs.replace(before, over=False)) + b"\n"
        )


def start_again(home: Home, name: str) -> Launched:
    """Start another attempt of an agent that is over, with what the last one was started with. Whoever supervises counts it as any other.

    Raises:
        NotFound, AmbiguousId: as `find`.
        AgentRuns: it is alive, or something of it is, or it is to be started again anyway.
        SuperviseError: how it was started cannot be read, or its directory or its program is not there any more.
    """
    view = find(home, name)
    last, spec = view.last, view.spec
    if not view.is_ended:
        raise AgentRuns(
            f"agent {view.id} is {view.status}", hint=f"`holdfast attempts {view.id}` tells how it stands"
        )
    refuse_survivors(view)
    said = None if last is None else look.start_of(view.directory, last.attempt)
    if said is None or spec is None or last is None:
        raise SuperviseError(
            f"{view.directory}: how it was started cannot be read", hint="start it anew with `holdfast run`"
        )
    _refuse_unstartable(spec, said["environment"])
    with opened(home) as telling:
        telling.catch_up(view.look)
        attempt = last.attempt if last.state == "never_started" else last.attempt + 1
        if attempt == last.attempt:  # who did not want it to begin does now
            room = look.attempt_directory(view.directory, attempt)
            start.leave(room / look.AGAIN, b"")
            (room / "stop.json").unlink(missing_ok=True)
        if attempt == last.attempt or _make_again(
            home, view.directory, spec, attempt, said["environment"], by_person=True
        ):
            begin(telling, view.directory, spec, attempt)
        telling.catch_up(look.look(view.directory))
    return _launched(view.directory, is_new=False)


def _make_again(
    home: Home,
    directory: Path,
    spec: Spec,
    attempt: int,
    environment: dict[str, str],
    *,
    by_person: bool = False,
) -> bool:
    """Make another attempt with the environment of the last one; False: somebody else made it."""
    command = launching.command(home, spec, spec.id, attempt, environment).start
    if by_person:
        command = command._replace(files={**command.files, look.AGAIN: b""})
    return start.make_attempt(directory, spec, attempt, command)


def _new_id(run: Path) -> str:
    while (run / (agent := secrets.token_hex(6))).exists():
        pass
    return agent


def _refuse_unstartable(wish: Wish | Spec, environment: dict[str, str]) -> None:
    if not os.path.isabs(wish.cwd) or not os.path.isdir(wish.cwd):  # noqa: PTH112, PTH117 - a text of the caller's
        raise SuperviseError(f"{wish.cwd}: there is no such directory", hint="nothing was started")
    if start.program(wish.argv[0], wish.cwd, environment) is None:
        where = "" if "/" in wish.argv[0] else " in PATH"
        raise SuperviseError(f"{wish.argv[0]}: there is no such program{where}", hint="nothing was started")


def _launched(directory: Path, *, is_new: bool) -> Launched:
    found = look.look(directory)
    last = found.last
    attempt, pid, error = (0, None, None) if last is None else (last.attempt, last.pid, last.error)
    return Launched(found.id, directory, attempt, pid, error, is_new)


# ── remove ──


def remove(home: Home, name: str, *, by: str | None = None) -> View:
    """Remove what an agent left in the home, its output too; what is recorded of it stays. The agent as it was.

    Raises:
        NotFound, AmbiguousId: as `find`.
        AgentRuns: it is alive, or something of it is, or it is to be started again.
        SuperviseError: its request waits to be answered, so that it would be started anew; or the system does not let us.
    """
    view = find(home, name)
    request = None if view.spec is None else view.spec.request
    if request is None:
        return discard(home, view, by=by)
    from holdfast.supervise.mailbox import Mailbox  # noqa: PLC0415 - most agents were not asked for by a file

    box = Mailbox(home.path)
    with box.unanswered():
        if box.exists and box.may_start(request):
            raise SuperviseError(
                f"agent {view.id}: its request {visible(request)!r} waits to be answered",
                hint="`holdfast requests process` answers it; then run this again",
            )
        return discard(home, view, by=by)


def discard(home: Home, view: View, *, by: str | None = None) -> View:
    """As `remove`, of an agent that was looked at before; it is looked at again. Raises AgentRuns and SuperviseError."""
    view = again(view)
    if not view.is_ended:
        state = "alive" if view.is_alive else "about to be started again"
        raise AgentRuns(f"agent {view.id} is {state}", hint=f"`holdfast stop {view.id}` ends it first")
    refuse_survivors(view)
    about = view.spec if view.spec is not None else view.id
    with opened(home) as telling:
        telling.catch_up(view.look)
        telling.tell("run.removed", about, "removed", clock.now_us(), durable=True, by=by)
    failpoint("run.removing")
    away = view.directory.with_name(f".{view.id}.{secrets.token_hex(4)}.gone")
    try:
        os.utime(view.directory)  # it is not taken for what somebody left long ago who was killed
        view.directory.rename(away)
        if look.look(away).is_alive:  # somebody started it again meanwhile
            away.rename(view.directory)
            raise AgentRuns(f"agent {view.id} is alive", hint=f"`holdfast stop {view.id}` ends it first")
        shutil.rmtree(away)
    except OSError as exc:
        raise SuperviseError(
            f"{view.directory}: {exc.strerror}", hint="repair access, then run this again"
        ) from exc
    return view


# ── supervise ──


class Ticked(NamedTuple):
    """What one look at all agents came to: events told, attempts started (agent, attempt), what went wrong (agent, why), and when,
    in UTC microseconds, something is due by itself; None: nothing is.
    """

    told: int
    started: list[tuple[str, int]]
    trouble: list[tuple[str, str]]
    due_us: int | None


class Supervisor:
    """Looks at agents, and does what is to be done. It holds nothing that another one lacks: it may die at any moment.

    Args:
        home: where they are kept.
        only: the one agent to look at; None: all.
        whole_us: all are looked at so often, in microseconds; in between those of which the system tells that something happened.
    """

    def __init__(self, home: Home, only: str | None = None, *, whole_us: int = 10_000_000) -> None:
        self._home = home
        self._only = only
        self._whole_us = whole_us
        self._run = look.run_directory(home.path)
        self._handles: dict[str, Handle | None] = {}  # of the living; None: the system gives none
        self._due_us: dict[str, int] = {}
        self._whole_due_us = 0
        self._changed_us: int | None = None

    def descriptors(self) -> list[int]:
        """Those that can be read once something happened to an agent."""
        return [handle.fd for handle in self._handles.values() if handle is not None and handle.fd >= 0]

    @property
    def is_told(self) -> bool:
        """Whether the system tells of the end of every agent that is alive."""
        return all(handle is not None and handle.fd >= 0 for handle in self._handles.values())

    def close(self) -> None:
        """Let go of everything; agents are left as they are."""
        for name in list(self._handles):
            self._drop(name)

    def tick(self, now_us: int | None = None) -> Ticked:
        """Look once; `now_us` is UTC microseconds."""
        now_us = clock.now_us() if now_us is None else now_us
        start.reap()
        out = Ticked(0, [], [], None)
        told = 0
        with opened(self._home) as telling:
            for name in self._to_look_at(now_us):
                try:
                    told += self._attend(telling, name, now_us, out)
                except Exception as exc:  # noqa: BLE001 - the rim: what is odd about one agent hides no other
                    known = isinstance(exc, HoldfastError | OSError)
                    out.trouble.append((name, str(exc) if known else f"{type(exc).__name__}: {exc}"))
                    self._due_us[name] = now_us + _AGAIN_US
        due_us = min(self._due_us.values(), default=None)
        return out._replace(told=told, due_us=due_us)

    def _to_look_at(self, now_us: int) -> list[str]:
        if self._only is not None:
            return [self._only]
        changed_us = look.changed_us(self._run)
        if now_us >= self._whole_due_us or now_us < self._whole_due_us - self._whole_us:
            self._whole_due_us = now_us + self._whole_us
        elif changed_us == self._changed_us:
            return sorted(self._told_of() | {name for name, at_us in self._due_us.items() if at_us <= now_us})
        self._changed_us = changed_us
        return [path.name for path in look.agent_directories(self._run) if not look.is_settled(path)]

    def _told_of(self) -> set[str]:
        """The agents of which the system tells that something happened; those too of which it never tells."""
        ready = select.poll()
        names = {}
        for name, handle in self._handles.items():
            if handle is not None and handle.fd >= 0:
                ready.register(handle.fd, select.POLLIN)
                names[handle.fd] = name
        blind = {name for name in self._handles if name not in names.values()}
        return blind | {names[fd] for fd, _ in ready.poll(0)}

    def _attend(self, telling: Telling, name: str, now_us: int, out: Ticked) -> int:
        """Do what is to be done about one agent; how many events were told."""
        directory, told = self._run / name, 0
        self._due_us.pop(name, None)
        found = look.look(directory)
        action = plan.next_action(found, now_us)
        if isinstance(action, plan.Record):
            told = telling.catch_up(found)
            action = plan.once_told(found, now_us)
        match action:
            case plan.Start():
                self._drop(name)
                self._start(telling, directory, found, action)
                out.started.append((name, action.attempt))
                self._due_us[name] = now_us  # that it began is to be told
            case plan.Wait():
                self._hold(name, directory, found)
                told = told or telling.link(found)
                if action.until_us is not None:
                    self._due_us[name] = action.until_us
            case _:
                self._drop(name)
        return told

    def _start(self, telling: Telling, directory: Path, found: AgentLook, action: plan.Start) -> None:
        assert found.spec is not None, "what cannot be read is not started"
        last = found.last
        if last is None or action.attempt != last.attempt:
            said = None if last is None else look.start_of(directory, last.attempt)
            if said is None:
                raise SuperviseError(f"{directory}: how it was started cannot be read", hint="start it anew")
            _make_again(self._home, directory, found.spec, action.attempt, said["environment"])
            failpoint("run.again")
        begin(telling, directory, found.spec, action.attempt)

    def _hold(self, name: str, directory: Path, found: AgentLook) -> None:
        """Be told of the end of who watches it, or of itself."""
        self._drop(name)
        last = found.last
        if last is None or not last.is_alive:
            return
        room = look.attempt_directory(directory, last.attempt)
        handle = process.owner_handle(room / "lock")
        if handle is None and last.state == "unshimmed" and last.identity is not None:
            handle = process.identity_handle(last.identity)
        self._handles[name] = handle

    def _drop(self, name: str) -> None:
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.close()


_AGAIN_US = 5_000_000
