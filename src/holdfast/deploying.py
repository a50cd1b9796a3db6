"""Answer what coordinators ask for: read each request once, start one agent for it, and say so once.

Every step can be the last one of a process; the next one carries on from what lies there (`supervise/mailbox.py`):

    requests/NAME.json               look: is it whole?
        → claimed/NAME.json          nobody else takes it
        → an agent                   its id is made of the request's and the file's, so that it is started once however often this is done
        → answered/STEM.json         what it is answered, for good: a request of the same id is answered so again
        → responses/STEM_response.json
        → claimed/NAME.json is gone

One that cannot be carried out is answered with what is wrong with it and lies in `refused/` then. It binds nothing: the same id may
be asked for again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast import clock, supervising
from holdfast.errors import HoldfastError, SuperviseError
from holdfast.failpoints import failpoint
from holdfast.supervise import lineage, look, reach, requests
from holdfast.supervise.mailbox import Letter, Mailbox, Spoiled, Torn
from holdfast.supervise.requests import Answer, Refused, Request
from holdfast.supervise.spec import Wish
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.home import Home
    from holdfast.supervise.look import AgentLook

REQUESTED_BY: Final = "request"
_SUFFIX: Final = ".json"
_OTHER_CASE: Final = "request_id: one was answered that differs in case alone, which this file system does not tell; take another"
_TASK_CHARS: Final = 200
_STATUSES: Final = {"waiting": "running", "paused": "running", "interrupted": "failed", "lost": "failed"}


@dataclass(slots=True)
class Report:
    """What was done.

    Attributes:
        answers: of those that were answered, in their order.
        waiting: how many files are not whole yet.
        troubles: (file, why) of requests that wait because the system refused something.
        busy: another process answers; nothing was done.
        stopped: it was to stop, and left some for the next time.
    """

    answers: list[Answer] = field(default_factory=list)
    waiting: int = 0
    troubles: list[tuple[str, str]] = field(default_factory=list)
    busy: bool = False
    stopped: bool = False


def process(home: Home, *, wait_ms: int = 0, stop: Callable[[], bool] = lambda: False) -> Report:
    """Answer every request that is whole, in the order in which they were written.

    Args:
        home: where they lie.
        wait_ms: how long to wait for another process that answers.
        stop: asked between two requests whether to leave the others for the next time.

    Raises:
        HomeError: the directories cannot be used.
        StoreError: the system does not let us ask whether we are alone.
        OSError: they cannot be read.
    """
    out, box = Report(), Mailbox(home.path)
    box.open()
    if not (box.claimed() or box.waiting()):
        return out
    with box.alone(wait_ms) as mine:
        if not mine:
            out.busy = True
            return out
        box.drop_temporaries()
        office = _Office(home, box, out)
        for letter, is_claimed in [(one, True) for one in box.claimed()] + [
            (one, False) for one in box.waiting()
        ]:
            if stop():
                out.stopped = True
                break
            office.take(letter, is_claimed=is_claimed)
    return out


class _Office:
    """Answers letters, alone."""

    def __init__(self, home: Home, box: Mailbox, out: Report) -> None:
        self._home, self._box, self._out = home, box, out
        self._run = supervising.run_directory(home)
        self._is_carrying_on = bool(box.claimed())
        self._specs: dict[str, AgentLook] | None = None  # what is known of all agents, without their lives

    def take(self, letter: Letter, *, is_claimed: bool) -> None:
        """Answer one; what the system refuses is told, and it waits."""
        try:
            found = self._box.read(letter)
            if isinstance(found, Torn):
                self._out.waiting += 1
                return
            if not is_claimed:
                claimed = self._box.claim(letter)
                if claimed is None:
                    self._out.waiting += letter.path.exists()
                    return
                letter, found = claimed, self._box.read(claimed)
            if isinstance(found, Torn):  # it was replaced by half a file at the last moment
                self._out.waiting += 1
            elif isinstance(found, Spoiled):
                self._refuse(letter, Refused(None, (found.why,)))
            else:
                self._answer(letter, found)
        except FileNotFoundError:
            return  # its author took it back
        except (HoldfastError, OSError, RecursionError) as exc:
            self._is_carrying_on = True  # its agent may be there, and its answer is not
            self._out.troubles.append((visible(letter.path.name), str(exc)))

    def _answer(self, letter: Letter, body: dict[str, Any]) -> None:
        """Carry it out, unless one of its id was; then write down the answer, give it, and drop the letter."""
        request = requests.read(body)
        request_id = request.request_id
        stem = None if request_id is None else requests.stem(request_id)
        kept = None if stem is None else self._box.kept(stem)
        if kept is not None and kept.answer.request_id != request_id:
            self._refuse(letter, Refused(request_id, (_OTHER_CASE,)))
            return
        if stem is None or (kept is None and isinstance(request, Refused)):
            assert isinstance(request, Refused)
            self._refuse(letter, request)
            return
        if kept is None:
            assert isinstance(request, Request)
            answer = self._carry_out(letter, request)
            if isinstance(answer, Refused):
                self._refuse(letter, answer)
                return
            self._box.keep(stem, answer, body)
        else:
            answer = kept.answer
        self._box.answer(stem, answer)
        self._box.drop(letter)
        self._out.answers.append(answer)

    def _refuse(self, letter: Letter, refused: Refused) -> None:
        """Say what is wrong, where the answer is looked for, unless an answer lies there that counts."""
        named = refused.request_id or letter.path.name.removesuffix(_SUFFIX)
        stem, answer = requests.stem(named), refused.answer()
        if self._box.kept(stem) is None:
            self._box.answer(stem, answer)
        self._box.set_aside(letter, answer)
        self._out.answers.append(answer)

    def _carry_out(self, letter: Letter, request: Request) -> Answer | Refused:
        directory = self._run / self._agent_of(letter, request.request_id)
        if not directory.exists():
            wish = self._wish(request, directory.name)
            if isinstance(wish, Refused):
                return wish
            try:
                supervising.launch(self._home, wish)
            except SuperviseError as exc:
                if not directory.exists():
                    return Refused(request.request_id, (str(exc),))
        failpoint("request.launched")
        found = self._begun(directory)
        if self._specs is not None:
            self._specs[found.id] = found
        return answer_of(request, found)

    def _agent_of(self, letter: Letter, request_id: str) -> str:
        """The agent of a request: the one that was made before somebody was killed, else a new one, by an id that is free."""
        if self._is_carrying_on and (made := self._made(request_id)) is not None:
            return made
        attempt = 0
        while True:
            agent = requests.agent_id(request_id, letter.mark, attempt)
            if not (self._run / agent).exists():
                return agent
            attempt += 1

    def _made(self, request_id: str) -> str | None:
        """The agent that was made for a request."""
        known = self._known().values()
        return next(
            (one.id for one in known if one.spec is not None and one.spec.request == request_id), None
        )

    def _known(self) -> dict[str, AgentLook]:
        """Every agent, without its lives."""
        if self._specs is None:
            found = map(look.without_lives, look.agent_directories(self._run))
            self._specs = {one.id: one for one in found}
        return self._specs

    def _called(self, name: str) -> AgentLook | None:
        """The agent of this name, as it is now."""
        return lineage.meant(self._all_called(name))

    def _all_called(self, name: str) -> list[AgentLook]:
        return [look.look(self._run / one.id) for one in lineage.called(self._known().values(), name)]

    def _begun(self, directory: Path) -> AgentLook:
        """An agent as it is, once it was begun: who made it may have been killed before that."""
        found = look.look(directory)
        last = found.last
        if last is not None and last.state == "never_started" and found.spec is not None:
            with supervising.opened(self._home) as telling:
                supervising.begin(telling, directory, found.spec, last.attempt)
                found = look.look(directory)
                telling.catch_up(found)
        return found

    def _wish(self, request: Request, agent: str) -> Wish | Refused:
        """What is to be started for a request."""
        parent = None if request.parent_agent_id is None else self._called(request.parent_agent_id)
        above = None if parent is None else parent.spec
        cwd = request.cwd or (str(Path.home()) if above is None else above.cwd)
        faults = [*self._faults(request)]
        if not os.path.isdir(cwd):  # noqa: PTH112 - a text of the caller's
            faults.append(f"cwd: there is no such directory: {visible(cwd)!r}")
        argv = self._argv(request, agent, cwd)
        if isinstance(argv, Refused):
            faults += argv.faults
        if faults or isinstance(argv, Refused):
            return Refused(request.request_id, tuple(faults))
        return Wish(
            id=agent,
            argv=tuple(argv),
            cwd=cwd,
            environment=request.env,
            name=request.agent_name,
            parent=request.parent_agent_id if parent is None else parent.id,  # of nobody here: as it is told
            task=request.task or _head(request.prompt),
            model=request.model,
            agent_type=request.agent_type,
            external_id=request.agent_id,
            restart=request.restart,
            requested_by=REQUESTED_BY,
            request=request.request_id,
            metadata=_metadata(request),
        )

    def _faults(self, request: Request) -> Iterator[str]:
        """What is wrong with the name of the agent in a request."""
        for other in () if request.agent_id is None else self._all_called(request.agent_id):
            is_left = not other.is_alive and bool(reach.survivors(other, self._run / other.id))
            if other.is_alive or is_left:
                how = "is gone, and something of it still runs" if is_left else "is at work already"
                name = visible(request.agent_id or "")
                yield f"agent_id: {name!r} {how}, as {other.id}; stop it first, or give another"

    def _argv(self, request: Request, agent: str, cwd: str) -> list[str] | Refused:
        """The command: the request's own, else that of the template, with the prompt's file written where it wants one."""
        if request.argv is not None:
            return request.argv
        template = requests.template(request, self._home.settings.deploy_commands)
        if template is None:
            return requests.no_command(request)
        values = {"request_id": request.request_id, "agent_id": request.agent_id or agent, "cwd": cwd}
        values |= {
            name: value
            for name in ("agent_name", "agent_type", "model", "prompt")
            if (value := getattr(request, name)) is not None
        }
        if request.prompt is not None:
            values["prompt_file"] = os.fspath(self._box.prompt_path(agent))
        argv = requests.command(template, values)
        if request.prompt is not None and any("{prompt_file}" in word for word in template):
            self._box.put_prompt(agent, request.prompt)
        return argv


def _head(prompt: str | None) -> str | None:
    """What a prompt is about: its first line."""
    lines = (prompt or "").strip().splitlines()
    return lines[0][:_TASK_CHARS] if lines else None


def _metadata(request: Request) -> dict[str, Any]:
    said = {
        "prompt": request.prompt,
        "load_percentage": request.load_percentage,
        "estimated_duration": request.estimated_duration,
    }
    return request.metadata | {name: value for name, value in said.items() if value is not None}


def answer_of(request: Request, found: AgentLook) -> Answer:
    """What a coordinator is told of the agent that was started for it."""
    last = found.last
    status = "spawning" if last is None or last.status == "pending" else last.status
    error = None if last is None else last.error
    return Answer(
        request_id=request.request_id,
        agent_id=request.agent_id or found.id,
        agent=found.id,
        status=_STATUSES.get(status, status),
        pid=None if last is None else last.pid,
        started_at=None if last is None else clock.iso(last.started_us),
        message=_message(found, error),
        error=error,
    )


def _message(found: AgentLook, error: str | None) -> str:
    if error is not None:
        return f"agent {found.id} could not be started"
    return f"agent {found.id}; `holdfast ps` shows it, `holdfast logs {found.id}` what it says"


# ── from outside ──


def listed(home: Home) -> list[dict[str, Any]]:
    """What waits or was refused: `file`, `request_id`, `state` (waiting, claimed or refused), `at` and `why`, the oldest first.

    `why` says what keeps it waiting, or what is wrong with it; None: nothing does.
    """
    box = Mailbox(home.path)
    out = [
        {"at": clock.iso(letter.changed_ns // 1_000), **_about(box, letter), "state": state}
        for state, letters in (("claimed", box.claimed()), ("waiting", box.waiting()))
        for letter in letters
    ]
    return [*box.refusals(), *out]


def _about(box: Mailbox, letter: Letter) -> dict[str, Any]:
    out: dict[str, Any] = {"file": visible(letter.path.name), "request_id": None, "why": None}
    try:
        found = box.read(letter)
    except OSError as exc:
        return out | {"why": exc.strerror or str(exc)}
    if isinstance(found, Torn | Spoiled):
        return out | {"why": found.why}
    request = requests.read(found)
    why = "; ".join(request.faults) if isinstance(request, Refused) else None
    return out | {"request_id": request.request_id, "why": why}
