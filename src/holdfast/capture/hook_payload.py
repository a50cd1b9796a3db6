"""What payloads of hooks have in common, whichever tool gave them: an event's name, a session, in a subagent the agent, and no time.

So what they tell has no time either, and is ordered by the moment at which it was recorded, at or after the one that it is about.
Payloads that are not read further are counted by their event's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from holdfast import events as ev
from holdfast.capture.claude_json import count_in, id_in, pieces, text_in
from holdfast.store.project import Translation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.store.project import Entry

_loads = msgspec.json.Decoder().decode


class Payload:
    """Reads one payload into `out`. A tool's own reader says how its sessions are named, and what it does with which event."""

    tool: ClassVar[str]
    handlers: ClassVar[Mapping[str, Callable[[Any], None]]]

    def __init__(self, entry: Entry, out: Translation, said: dict[str, Any], number: int) -> None:
        self._entry = entry
        self._out = out
        self._said = said
        self._id = f"{entry.record_id}/{number}" if number else entry.record_id
        self._session = id_in(said.get("session_id"))
        self._agent = id_in(said.get("agent_id")) or ""

    def read(self) -> None:
        """Tell what it says."""
        name = text_in(self._said.get("hook_event_name"))
        handler = self.handlers.get(name or "")
        if self._session is not None:
            self._noted()
        if self._session is None or handler is None:
            self._out.kept.append(f"hook {name[:50]}" if name else "(no event name)")
            return
        handler(self)

    def _add(
        self,
        kind: str,
        data: ev.Data,
        part: str = "",
        *,
        name: str | None = None,
        span: str | None = None,
        agent: str | None = None,
        before_us: int = 0,
    ) -> None:
        """Tell of an event. Its id is the payload's with `part`, or `name` where other sources tell of it too."""
        self._out.events.append(
            ev.Event(
                id=name or (f"{self._id}/{part}" if part else self._id),
                kind=kind,
                session=f"{self.tool}:{self._session}",
                time_us=None,
                data=data,
                agent=self._agent if agent is None else agent,
                span=span,
                # Beyond any place in a transcript, which counts where there is one.
                order=self._entry.received_us - before_us,
            )
        )

    def _noted(self) -> None:
        self._add("session.noted", ev.SessionNoted(cwd=text_in(self._said.get("cwd"))), "noted")

    def _sign(
        self, sign: str, text: str | None = None, tasks: int | None = None, agents: int | None = None
    ) -> None:
        self._add(
            "activity.noted", ev.ActivityNoted(sign=sign, text=text, tasks=tasks, agents=agents), "sign"
        )

    def _type(self) -> str | None:
        return text_in(self._said.get("agent_type"))

    def session_start(self) -> None:
        cwd, reason = text_in(self._said.get("cwd")), text_in(self._said.get("source"))
        self._add("session.started", ev.SessionStarted(cwd=cwd, reason=reason, agent_type=self._type()))
        self._sign("began", reason)

    def session_end(self) -> None:
        reason = text_in(self._said.get("reason"))
        self._add("session.ended", ev.SessionEnded(reason=reason))
        self._sign("left", reason)

    def agent_start(self) -> None:
        if self._agent:
            self._add("agent.started", ev.AgentStarted(agent_type=self._type()))

    def agent_stop(self) -> None:
        if self._agent:
            self._add("agent.ended", ev.AgentEnded(status="completed", reason="it stopped"))
            self._sign("stopped")

    def asked(self) -> None:
        """A person was asked for leave."""
        tool = text_in(self._said.get("tool_name")) or "a tool"
        self._add("notice.raised", ev.NoticeRaised(topic="waiting", text=f"{tool} asks for leave"))
        self._sign("asked", f"leave to use {tool}")

    def answered(self) -> None:
        self._sign("answered")


def translate(entry: Entry, reader: type[Payload]) -> Translation:
    """Understand one payload (`Entry.body` without its line end)."""
    out = Translation()
    try:
        values: list[Any] = [_loads(entry.body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values = [value for _, value in pieces(entry.body, out)]
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            out.problems.append(f"a {type(value).__name__} where an object should be")
        elif value.get("too_long") is True:
            out.problems.append(f"a payload of more than {count_in(value.get('least_bytes')) or 0:,} bytes")
        else:
            reader(entry, out, value, number).read()
    return out
