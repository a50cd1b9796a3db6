"""The Python side of deployment: ask for agents, and see what became of them. `holdfast.deploy`, `holdfast.status`, `holdfast.list`.

A program asks by a file in `requests/`, as coordinators in any language do, so that nothing depends on who runs at that moment: the
service, or the next `holdfast requests process`, starts the agent. What became of it is read from its run directory.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import clock
from holdfast.errors import NotFound, UsageError
from holdfast.ids import uuid7

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from holdfast.capture.progress import Progress
    from holdfast.home import Home
    from holdfast.run_views import View
    from holdfast.supervise.requests import Answer
    from holdfast.supervise.spec import Restart

_LOOK_AGAIN_S: Final = 0.02


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is answered.

    Attributes:
        request_id: its id; ask again with it, and the same is answered.
        agent_id: your own name for the agent, else Holdfast's; None: nothing was started.
        agent: Holdfast's id of it; None: it was refused, or nobody has answered yet.
        status: pending (nobody has answered yet), spawning, running, completed, failed or cancelled.
        pid: of its process; None: not known.
        started_at: ISO 8601.
        message: what was done, in words.
        error: what is wrong; None: nothing is.
    """

    request_id: str
    agent_id: str | None = None
    agent: str | None = None
    status: str
    pid: int | None = None
    started_at: str | None = None
    message: str | None = None
    error: str | None = None


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as it is at this moment.

    Attributes:
        id: Holdfast's id of it; None: its request waits to be answered.
        agent_id, agent_name, agent_type, model, task, request_id, metadata: as it was asked for.
        parent: the id of the agent that it works for; `parent_known` False: nobody here is called so yet, and it is as the request named it.
        level: what its type says ("L2"), else one more than its parent's; 1 works for no agent that is known.
        status: pending, spawning, running, paused, completed, failed, cancelled or interrupted.
        attempt: how often it was started.
        pid, started_at, ended_at, exit_code, signal: of the last attempt; None: unknown, or not yet. Times are ISO 8601.
        last_seen_at: when it was alive last.
        progress: from 0 to 100; None: not known. `message` and `current_task` are what it said with it, `progress_grade` is observed,
            by its own word, or inferred, from its list of tasks.
        error: why it could not be started, or is refused.
    """

    id: str | None
    agent_id: str | None = None
    agent_name: str | None = None
    agent_type: str | None = None
    model: str | None = None
    task: str | None = None
    request_id: str | None = None
    metadata: dict[str, Any] = {}
    parent: str | None = None
    parent_known: bool | None = None
    level: int | None = None
    status: str
    attempt: int = 0
    pid: int | None = None
    started_at: str | None = None
    ended_at: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    last_seen_at: str | None = None
    progress: float | None = None
    progress_grade: str | None = None
    message: str | None = None
    current_task: str | None = None
    error: str | None = None


def deploy(
    argv: Sequence[str] | None = None,
    *,
    prompt: str | None = None,
    agent_id: str | None = None,
    agent_name: str | None = None,
    agent_type: str | None = None,
    model: str | None = None,
    parent: str | None = None,
    task: str | None = None,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    restart: Restart = "never",
    load_percentage: float | None = None,
    estimated_duration: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    request_id: str | None = None,
    timeout_s: float = 30.0,
    home: str | Path | None = None,
) -> Deployment:
    """Ask for an agent, and wait until the request is answered.

    Args:
        argv: the command; None: what the setting `deploy_commands` says for the type and model.
        prompt: what that command is told.
        agent_id: your own name for the agent, such as "L2.2.1".
        agent_name: what people call it.
        agent_type: what it is, such as "L2".
        model: what it works with.
        parent: the agent that it works for: its id, your own name for it, or what it is called.
        task: what it is to do; None: the prompt.
        cwd: where it works; None: where its parent does, else your own directory.
        env: added to the environment of who starts it.
        restart: what is done when it fails: never, on-failure or ask.
        load_percentage: from 0 to 100; kept with it.
        estimated_duration: in seconds; kept with it.
        metadata: kept with it.
        request_id: the same one twice is one agent and one answer; None: a new one.
        timeout_s: how long to wait for the answer. Without the service nobody may answer for long; the request stays.
        home: None: the one that the environment names.

    Returns:
        What it is answered: `pending`, if nobody did so in time.

    Raises:
        UsageError: a value has the wrong form. What else is wrong is told by the answer.
        HomeError: the home, or what stands where the answer is looked for, cannot be used.
        OSError: the request cannot be written.
    """
    from holdfast.supervise import mailbox, requests  # noqa: PLC0415 - importing holdfast stays light

    body: dict[str, Any] = {
        "request_id": request_id or uuid7(),
        "argv": None if argv is None else [*argv],
        "prompt": prompt,
        "agent_id": agent_id,
        "agent_name": agent_name,
        "agent_type": agent_type,
        "model": model,
        "parent_agent_id": parent,
        "task": task,
        "cwd": None if cwd is None else os.path.abspath(cwd),  # noqa: PTH100 - links stay
        "env": None if env is None else dict(env),
        "restart": restart,
        "load_percentage": load_percentage,
        "estimated_duration": estimated_duration,
        "metadata": None if metadata is None else dict(metadata),
    }
    body = {name: value for name, value in body.items() if value is not None}
    for name, value in body.items():
        try:
            msgspec.json.encode(value)
        except (TypeError, ValueError, RecursionError) as exc:
            why = f"{name}: it cannot be written as JSON: {exc}"
            raise UsageError(why, hint="nothing was written") from exc
    made = requests.read(body)
    if isinstance(made, requests.Refused):
        raise UsageError("; ".join(made.faults), hint="nothing was written")
    box = mailbox.Mailbox(_home(home).path)
    box.open()
    stem = requests.stem(made.request_id)
    if (kept := box.kept(stem)) is not None:
        return _deployment(kept.answer, made.request_id)
    box.forget_response(stem)  # of a refusal
    box.write(body, stem)
    return _answered(box, made, stem, timeout_s)


def _answered(box: Any, made: Any, stem: str, timeout_s: float) -> Deployment:  # noqa: ANN401 - their types are loaded late
    deadline_s = time.monotonic() + timeout_s
    while True:
        if not box.waits(stem) and (answer := box.response(stem)) is not None:
            return _deployment(answer, made.request_id)
        if time.monotonic() >= deadline_s:
            why = "nobody has answered yet; `holdfast up` or `holdfast requests process` does"
            return Deployment(
                request_id=made.request_id, agent_id=made.agent_id, status="pending", message=why
            )
        time.sleep(_LOOK_AGAIN_S)


def _deployment(answer: Answer, request_id: str) -> Deployment:
    """An answer, which may name no request where none could be read."""
    said = msgspec.to_builtins(answer)
    return msgspec.convert(said | {"request_id": answer.request_id or request_id}, Deployment)


def status(agent: str, *, home: str | Path | None = None) -> AgentStatus:
    """An agent as it is now.

    Args:
        agent: its id, your own name for it, what it is called, or the id of the request for it.
        home: None: the one that the environment names.

    Raises:
        NotFound: there is none, and no request for one.
        HoldfastError: the home cannot be used, or its store not be read.
    """
    from holdfast.supervise import lineage  # noqa: PLC0415 - as above

    at = _home(home)
    views = _views(at)
    agents = [view.look for view in views.values()]
    named = lineage.called(agents, agent) or [
        one for one in agents if one.spec is not None and one.spec.request == agent
    ]
    found = lineage.meant(named)
    return _requested(at, agent) if found is None else _told(at, [found.id], views)[0]


def _requested(home: Home, request_id: str) -> AgentStatus:
    """An agent that is not there yet."""
    from holdfast import deploying  # noqa: PLC0415 - as above
    from holdfast.supervise import mailbox, requests  # noqa: PLC0415

    for one in reversed(deploying.listed(home)):
        if one["request_id"] == request_id and one["state"] != "refused":
            return AgentStatus(id=None, request_id=request_id, status="pending", error=one["why"])
    answer = mailbox.Mailbox(home.path).response(requests.stem(request_id))
    if answer is not None and answer.request_id == request_id:
        gone = "it was removed" if answer.agent is not None else answer.error
        return AgentStatus(
            id=answer.agent, agent_id=answer.agent_id, request_id=request_id, status=answer.status, error=gone
        )
    raise NotFound(
        f"no agent and no request is called {request_id!r}", hint="`holdfast ps --all` lists agents"
    )


def listed(
    parent: str | None = None,
    *,
    recursive: bool = False,
    ended: bool = False,
    home: str | Path | None = None,
) -> list[AgentStatus]:
    """Agents as they are now, the oldest first, children behind whom they work for.

    Args:
        parent: only those that work for this one, named as for `status`, or as their requests name it, if nobody here is called so;
            None: all.
        recursive: with `parent` also those that work for them, and so on.
        ended: also those that are over.
        home: None: the one that the environment names.

    Raises:
        NotFound: nobody is called so, and nobody works for one.
        HoldfastError: the home cannot be used, or its store not be read.
    """
    from holdfast.supervise import lineage  # noqa: PLC0415 - as above

    at = _home(home)
    views = _views(at)
    agents = [view.look for view in views.values()]
    if parent is None:
        chosen = lineage.all_below(agents)
    else:
        above = lineage.meant(lineage.called(agents, parent))
        if above is None and parent not in lineage.parents(agents).values():
            raise NotFound(f"no agent is called {parent!r}", hint="`holdfast ps --all` lists them")
        chosen = lineage.below(agents, parent if above is None else above.id, recursive=recursive)
    return _told(at, [one.id for one in chosen if ended or not views[one.id].is_ended], views)


def _home(home: str | Path | None) -> Home:
    from holdfast.home import Home  # noqa: PLC0415 - as above
    from holdfast.settings import load  # noqa: PLC0415

    return Home(load(None, os.environ, {} if home is None else {"home": os.fspath(home)}))


def _views(home: Home) -> dict[str, View]:
    from holdfast import run_views  # noqa: PLC0415 - as above

    return {view.id: view for view in run_views.agents(home, ended=True)}


def _told(home: Home, chosen: Sequence[str], views: Mapping[str, View]) -> list[AgentStatus]:
    from holdfast import progressing  # noqa: PLC0415 - as above
    from holdfast.supervise import lineage  # noqa: PLC0415

    levels = lineage.levels(view.look for view in views.values())
    far = progressing.of(home, [spec for one in chosen if (spec := views[one].spec) is not None])
    return [_status_of(views[one], levels[one], far.get(one)) for one in chosen]


def _status_of(view: View, level: int, far: Progress | None) -> AgentStatus:
    from holdfast import run_views  # noqa: PLC0415 - as above

    spec, last = view.spec, view.last
    said: dict[str, Any] = {"error": view.look.problem}
    if spec is not None:
        said = {
            "agent_id": spec.external_id,
            "agent_name": spec.name,
            "agent_type": spec.agent_type,
            "model": spec.model,
            "task": spec.task,
            "request_id": spec.request,
            "metadata": spec.metadata,
            "parent": view.parent,
            "parent_known": run_views.is_parent_known(view),
        }
    if last is not None:
        said |= {
            "attempt": last.attempt,
            "pid": last.pid,
            "started_at": clock.iso(last.started_us),
            "ended_at": clock.iso(last.ended_us),
            "exit_code": last.exit_code,
            "signal": last.signal,
            "last_seen_at": clock.iso(
                max(filter(None, (run_views.last_sign_us(view), last.seen_us)), default=None)
            ),
            "error": last.error or said.get("error"),
        }
    if far is not None:
        said |= {
            "progress": far.percent,
            "progress_grade": far.grade,
            "message": far.message,
            "current_task": far.task,
        }
    return AgentStatus(id=view.id, level=level, status=view.status, **said)
