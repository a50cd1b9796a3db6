"""What becomes of agents that were started here, as records of the source `run`.

What is true lies in `run/` (`look.py`); events only tell it. Each has a key of its own, so telling twice has one effect, and whoever
looks may tell what nobody saw.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from typing import TYPE_CHECKING, Any, Self

import msgspec

from holdfast import clock
from holdfast.failpoints import failpoint
from holdfast.ids import derived
from holdfast.store.state import RUN
from holdfast.supervise import linked, look, plan, start, tools
from holdfast.supervise import spec as specs
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from holdfast.journal.writer import Writer
    from holdfast.supervise.look import AgentLook, Life
    from holdfast.supervise.spec import Spec

_SESSION = re.compile(r"[a-z]+:[A-Za-z0-9._-]{1,80}")
_encode = msgspec.json.Encoder(enc_hook=repr).encode


class Telling:
    """Writes down what becomes of agents, as records of the source `run`; open for a while, so that the journal is opened once.

    Args:
        run: where run directories lie.
        open_writer: opens the journal, when there is something to tell; it is closed at the end of the block.
        host: gives this host's id.
    """

    def __init__(self, run: Path, open_writer: Callable[[], Writer], host: Callable[[], str]) -> None:
        self._run = run
        self._open_writer = open_writer
        self._host = host
        self._writer: Writer | None = None
        self._marks: list[tuple[Path, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Force what was told to disk, and only then remember that it is told."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        self.settle()

    def settle(self) -> None:
        """Remember what is told, once it is on disk; if that fails, it is told again, which has no effect."""
        failpoint("run.told")
        for path, said in self._marks:
            with contextlib.suppress(OSError):
                start.leave(path, said, durable=False)
        self._marks.clear()

    def tell(
        self,
        kind: str,
        spec_or_id: Spec | str,
        key: str,
        time_us: int,
        *,
        durable: bool = False,
        **fields: Any,  # noqa: ANN401
    ) -> None:
        """Record one event of an agent. The same key twice is one event.

        Raises:
            AppendFailed: it was not written.
        """
        if isinstance(spec_or_id, str):
            agent, about = spec_or_id, specs.own_session(spec_or_id)
        else:
            agent = spec_or_id.id
            about = tools.session_of(spec_or_id.session, agent, fields.get("attempt", 1))
        body = {"kind": kind, "time": time_us, "fields": {"run": agent, "about": about} | fields}
        if self._writer is None:
            self._writer = self._open_writer()
        record_id = derived(RUN, f"{agent}/{key}")
        self._writer.append(RUN, _encode(body), record_id=record_id, durable=durable)

    def requested(self, spec: Spec) -> None:
        """That it is wanted. Values of variables are not told."""
        said = {name: value for name, value in msgspec.to_builtins(spec).items() if name not in _NOT_TOLD}
        said |= {"environment": sorted(spec.environment)}
        said["argv"] = [printable_path(text) for text in tools.without_settings(spec.argv)]
        said["cwd"] = printable_path(spec.cwd)
        self.tell("run.requested", spec, "requested", spec.created_us, durable=True, **said)

    def starting(self, spec: Spec, attempt: int) -> None:
        """That an attempt is about to be started."""
        self.tell("run.starting", spec, f"{attempt}/starting", clock.now_us(), attempt=attempt)

    def catch_up(self, agent: AgentLook) -> int:
        """Tell what happened to an agent and is not told; how many events that took."""
        told = sum(self._catch_up(agent, life) for life in agent.lives if plan.is_untold(life))
        return told + self.link(agent)

    def link(self, agent: AgentLook) -> int:
        """Tell in which sessions an agent's tool said that it works, where it chose them itself; how many are told."""
        if agent.spec is None or agent.spec.tool is None or not agent.spec.is_plain:
            return 0
        return sum(self._link(agent.spec, life) for life in agent.lives)

    def _link(self, spec: Spec, life: Life) -> int:
        room = look.attempt_directory(self._run / spec.id, life.attempt)
        known = linked.told(room)
        said = filter(
            _SESSION.fullmatch, linked.said(spec.tool, room)
        )  # what an agent wrote there itself may be anything
        found = [session for session in said if session not in known]
        for session in found:
            key, at_us = f"{life.attempt}/linked/{session}", life.started_us or clock.now_us()
            self.tell("run.linked", spec, key, at_us, attempt=life.attempt, about=session)
        if found:
            self._marks.append((room / linked.NAME, linked.written([*known, *found])))
        return len(found)

    def _catch_up(self, agent: AgentLook, life: Life) -> int:
        about = agent.spec if agent.spec is not None else agent.id
        tool = None if agent.spec is None else agent.spec.tool
        count = 0
        if not life.told and life.started_us is not None:
            said = self._identity(life) | {"text": None if agent.spec is None else text_of(agent.spec)}
            self.tell("run.started", about, f"{life.attempt}/started", life.started_us, tool=tool, **said)
            count += 1
        if life.is_over:
            at_us = life.ended_us or life.seen_us or life.started_us or clock.now_us()
            self.tell("run.ended", about, f"{life.attempt}/ended", at_us, tool=tool, **_end(life))
            count += 1
        self._mark(agent, life)
        return count

    def _identity(self, life: Life) -> dict[str, Any]:
        return {
            "attempt": life.attempt,
            "pid": life.pid,
            "start_ticks": life.start_ticks,
            "boot_id": life.boot_id,
            "host": self._host(),
            "shim_pid": life.shim_pid,
        }

    def _mark(self, agent: AgentLook, life: Life) -> None:
        room = look.attempt_directory(self._run / agent.id, life.attempt)
        self._marks.append((room / "told", b"ended\n" if life.is_over else b"started\n"))
        if life is agent.last and plan.is_settled(agent):
            self._marks.append((look.settled_path(room.parent), b"%d\n" % life.attempt))


_NOT_TOLD = frozenset({"format", "id", "session", "created_us", "environment", "inherited"})


def _end(life: Life) -> dict[str, Any]:
    return {
        "attempt": life.attempt,
        "outcome": life.state,
        "status": life.status,
        "exit_code": life.exit_code,
        "signal": life.signal,
        "reason": life.reason,
        "asked": life.was_asked,
        "user_us": life.user_us,
        "system_us": life.system_us,
        "max_rss_bytes": life.max_rss_bytes,
        "left": [one.pid for one in life.left],
        "seen_us": life.seen_us,
    }


def text_of(spec: Spec) -> str:
    """What an agent is to do: its task, or its command as a person would type it."""
    return spec.task or printable_path(shlex.join(tools.without_settings(spec.argv)))


def tell_all(telling: Telling, found: Iterable[AgentLook]) -> int:
    """Tell what happened to agents and is not told; how many events that took."""
    return sum(map(telling.catch_up, found))


def unsettled(run: Path) -> Iterable[AgentLook]:
    """The agents to which something may have happened that is not told."""
    return (look.look(path) for path in look.agent_directories(run) if not look.is_settled(path))
