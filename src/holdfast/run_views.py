"""Agents that were started here, as they are at this moment, and as commands and programs are told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import clock
from holdfast.errors import AgentRuns, AmbiguousId, NotFound
from holdfast.supervise import lineage, linked, look, plan, process, reach, tools
from holdfast.supervise import spec as specs
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.capture.progress import Progress
    from holdfast.home import Home
    from holdfast.supervise.look import AgentLook, Life
    from holdfast.supervise.spec import Spec

NOT_ASKED: Final[dict[str, Any]] = dict.fromkeys(("session_state", "session_why", "activity", "title"))
_LEAST_PREFIX: Final = 2  # characters of an id


class View(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as it is at this moment.

    Attributes:
        look: what its directory shows.
        directory: where that is (a path).
        parent: whom it works for: an agent's id, or a name that nobody here is called by.
        level: how many agents stand above it.
        action: what would be done about it by whoever supervises.
        now_us: the moment.
    """

    look: AgentLook
    directory: Any
    parent: str | None
    level: int
    action: plan.Action
    now_us: int

    @property
    def id(self) -> str:
        return self.look.id

    @property
    def spec(self) -> Spec | None:
        return self.look.spec

    @property
    def last(self) -> Life | None:
        return self.look.last

    @property
    def is_alive(self) -> bool:
        return self.look.is_alive

    @property
    def is_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return not self.is_alive and isinstance(self.action, plan.Done | plan.GiveUp | plan.Ask)

    @property
    def status(self) -> str:
        """Its execution status; `pending` while it waits to be started again."""
        if self.last is None or (not self.is_alive and not self.is_ended):
            return "pending"
        return self.last.status

    @property
    def name(self) -> str | None:
        return None if self.spec is None else self.spec.name


# ── look ──


def agents(home: Home, *, ended: bool = False, now_us: int | None = None) -> list[View]:
    """Every agent that is alive or about to be, parents before children; with `ended` also the others."""
    now_us = clock.now_us() if now_us is None else now_us
    run = look.run_directory(home.path)
    wanted = [path for path in look.agent_directories(run) if ended or not look.is_settled(path)]
    family = _Family(run, [look.look(path) for path in wanted])
    views = [_view(family.found[path.name], path, family, now_us) for path in wanted]
    return sorted((view for view in views if ended or not view.is_ended), key=family.order)


class _Family:
    """Agents by id, with all that stand above them and lie here; of some of those only what they were asked for with."""

    def __init__(self, run: Path, some: list[AgentLook]) -> None:
        self.found = {one.id: one for one in some}
        names = {one.spec.parent for one in some if one.spec is not None and one.spec.parent is not None}
        if any(
            specs.ID.fullmatch(name) is None for name in names
        ):  # a name that its coordinator gave, perhaps after this one
            names = {path.name for path in look.agent_directories(run)}
        while names := {name for name in names - self.found.keys() if specs.ID.fullmatch(name)}:
            above = [look.without_lives(run / name) for name in names if (run / name).is_dir()]
            self.found |= {one.id: one for one in above}
            names = {one.spec.parent for one in above if one.spec is not None and one.spec.parent is not None}
        self.parents = lineage.parents(self.found.values())

    def above(self, one: AgentLook) -> list[AgentLook]:
        """Its parent, that one's parent, and so on, as far as they are known."""
        out: list[AgentLook] = []
        while (parent := self.found.get(self.parents.get(one.id, ""))) is not None and parent not in out:
            out.append(one := parent)
        return out

    def order(self, view: View) -> list[tuple[int, str]]:
        """By age, each behind the one it works for."""
        return [(_created_us(one), one.id) for one in reversed([view.look, *self.above(view.look)])]


def _view(one: AgentLook, directory: Path, family: _Family, now_us: int) -> View:
    return View(
        look=one,
        directory=directory,
        parent=family.parents.get(one.id),
        level=len(family.above(one)),
        action=plan.once_told(one, now_us),
        now_us=now_us,
    )


def again(view: View) -> View:
    """An agent that was looked at before, as it is now."""
    found, now_us = look.look(view.directory), clock.now_us()
    return msgspec.structs.replace(view, look=found, action=plan.once_told(found, now_us), now_us=now_us)


def _created_us(one: AgentLook) -> int:
    return 0 if one.spec is None else one.spec.created_us


def find(home: Home, name: str) -> View:
    """The agent with this id, whose id begins so, with this name, or that another system calls so.

    Raises:
        NotFound: there is none.
        AmbiguousId: several fit; of several that are called so the one that is alive is meant.
    """
    exact = look.run_directory(home.path) / name
    if specs.ID.fullmatch(name) and exact.is_dir():
        family = _Family(exact.parent, [look.look(exact)])
        return _view(family.found[name], exact, family, clock.now_us())
    views = agents(home, ended=True)
    fitting = [view for view in views if name in _names(view)] or [
        view for view in views if len(name) >= _LEAST_PREFIX and view.id.startswith(name)
    ]
    living = [view for view in fitting if view.is_alive]
    if len(fitting) == 1 or len(living) == 1:
        return (living or fitting)[0]
    if fitting:
        raise AmbiguousId(name, [view.id for view in fitting], what="agents")
    raise NotFound(f"no agent has the id or name {name!r}", hint="`holdfast ps --all` lists them")


def _names(view: View) -> set[str | None]:
    return {view.id, view.name, None if view.spec is None else view.spec.external_id}


def refuse_survivors(view: View) -> None:
    """Raises AgentRuns where processes of a life go on whose end nobody saw."""
    found = [
        one
        for group in reach.survivors(view.look, view.directory).values()
        for one in (*group.own, *group.unsure)
    ]
    if found:
        running = ", ".join(f"{one.pid} ({one.name})" for one in found)
        raise AgentRuns(
            f"agent {view.id} is gone, and of its group still runs: {running}",
            hint=f"`holdfast stop {view.id}` ends what is known to be its own",
        )


def is_parent_known(view: View) -> bool | None:
    """Whether the agent that it works for is one of ours that is still here; None: it works for none."""
    return None if view.parent is None else view.level > 0


# ── answers ──


def answer(view: View, far: Progress | None = None, sight: reach.Sight | None = None) -> dict[str, Any]:
    """An agent as commands and programs are told of it (docs/reference/json.md); `far` is how far it is, where that was looked for.
    Who tells of several at once gives all the same `sight`.
    """
    spec, last = view.spec, view.last
    used = process.use(last.pid) if last is not None and last.is_alive and last.pid is not None else None
    return {
        "id": view.id,
        "name": view.name,
        "state": view.status,
        "life": None if last is None else last.state,
        "why": _why(view),
        "parent": view.parent,
        "parent_known": is_parent_known(view),
        "level": view.level,
        "session": None if spec is None else session_of(view, spec),
        **NOT_ASKED,
        "external_id": None if spec is None else spec.external_id,
        "agent_type": None if spec is None else spec.agent_type,
        "model": None if spec is None else spec.model,
        "task": None if spec is None else spec.task,
        "tool": None if spec is None else spec.tool,
        "command": [] if spec is None else [printable_path(text) for text in spec.argv],
        "directory": None if spec is None else printable_path(spec.cwd),
        "restart": None if spec is None else spec.restart,
        "request": None if spec is None else spec.request,
        "attempt": None if last is None else last.attempt,
        "pid": None if last is None else last.pid,
        "created_at": None if spec is None else clock.iso(spec.created_us),
        "started_at": None if last is None else clock.iso(last.started_us),
        "ended_at": None if last is None else clock.iso(last.ended_us),
        "last_sign_at": clock.iso(last_sign_us(view)),
        "exit_code": None if last is None else last.exit_code,
        "signal": None if last is None else last.signal,
        "cpu_s": _cpu_s(last) if used is None else used.cpu_s,
        "memory_bytes": None if used is None else used.memory_bytes,
        "left": [msgspec.to_builtins(one) for one in left(view, sight)],
        "progress": None if far is None else _progress(far),
    }


def _progress(far: Progress) -> dict[str, Any]:
    return {
        "percent": far.percent,
        "message": far.message,
        "current_task": far.task,
        "at": clock.iso(far.at_us),
        "grade": far.grade,
    }


def session_of(view: View, spec: Spec) -> str:
    """The key of the session that it works in, or worked last, as far as it is known."""
    if view.last is None:
        return spec.session
    known = linked.told(look.attempt_directory(view.directory, view.last.attempt))
    return known[-1] if known else tools.session_of(spec.session, view.id, view.last.attempt)


def _why(view: View) -> str | None:
    """What there is to say about its state beyond the state."""
    if view.last is not None and view.last.is_alive:
        return view.last.why
    said = None if view.last is None else view.last.reason
    return said or view.action.why if not isinstance(view.action, plan.Record) else said


def _cpu_s(life: Life | None) -> float | None:
    if life is None or life.user_us is None or life.system_us is None:
        return None
    return (life.user_us + life.system_us) / 1e6


def left(view: View, sight: reach.Sight | None = None) -> list[look.Left]:
    """What its last life left behind, and runs on."""
    last = view.last
    if last is None:
        return []
    return reach.left_of(last, look.attempt_directory(view.directory, last.attempt), sight)


def last_sign_us(view: View) -> int | None:
    """When it was heard of last: it wrote something, began, or ended."""
    last = view.last
    if last is None:
        return None
    room = look.attempt_directory(view.directory, last.attempt)
    signs = (look.changed_us(room / "out.log"), last.started_us, last.ended_us)
    return max((at for at in signs if at is not None), default=None)


def attempts_answer(view: View) -> dict[str, Any]:
    """The lives of an agent as commands and programs are told of them (docs/reference/json.md)."""
    sight = reach.Sight()
    return {
        "id": view.id,
        "next": _next(view),
        "attempts": [_attempt(life, view, sight) for life in view.look.lives],
    }


def _next(view: View) -> str | None:
    """What will be done about it by whoever supervises; None: nothing."""
    match view.action:
        case plan.Wait(why, until_us) if until_us is not None:
            return f"{why}, at {clock.iso(until_us)}"
        case plan.Start() | plan.GiveUp() | plan.Ask() as action:
            return action.why
    return None


def _attempt(life: Life, view: View, sight: reach.Sight) -> dict[str, Any]:
    room = look.attempt_directory(view.directory, life.attempt)
    return {
        "attempt": life.attempt,
        "state": life.status,
        "life": life.state,
        "why": life.reason,
        "pid": life.pid,
        "start_ticks": life.start_ticks,
        "boot_id": life.boot_id,
        "shim_pid": life.shim_pid,
        "created_at": clock.iso(life.created_us),
        "started_at": clock.iso(life.started_us),
        "seen_at": clock.iso(life.seen_us),
        "ended_at": clock.iso(life.ended_us),
        "exit_code": life.exit_code,
        "signal": life.signal,
        "asked": life.asked,
        "stop": None if life.stop is None else msgspec.to_builtins(life.stop),
        "cpu_s": _cpu_s(life),
        "max_rss_bytes": life.max_rss_bytes,
        "left": [msgspec.to_builtins(one) for one in reach.left_of(life, room, sight)],
        "output": printable_path(str(room / "out.log")),
        "output_bytes": look.size_bytes(room / "out.log"),
    }
