"""Claude Code's hooks: what each payload says.

A payload names its session, and inside a subagent the agent; never a time, so an event of it has none. Read is what transcripts lack:
that a person was asked, that an agent began and stopped, that a session was left and why. Calls of tools and turns are the
transcript's, which knows their order: a call that only a hook saw could not be placed among them. Facts used here, each seen on
real recordings:

- Hooks run ahead of the transcript, and those of parallel calls arrive in any order.
- `agent_type` without `agent_id` is a main agent that was started under a name.
- What is asked (`PermissionRequest`) names no call.
- Compaction stops an internal agent that was never started; its type is empty.

Payloads not read further are counted by their event's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import events as ev
from holdfast.capture.claude_json import count_in, id_in, pieces, text_in
from holdfast.store.project import Translation

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.store.project import Entry

SOURCE: Final = "claude.hook"

_loads = msgspec.json.Decoder().decode


def translate(entry: Entry) -> Translation:
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
            _Payload(entry, out, value, number).read()
    return out


def session_of(payload: bytes) -> str | None:
    """The session that a payload names, as it is known here; None: it names none."""
    try:
        said = msgspec.json.decode(payload, type=_Named).session_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return f"claude:{said}" if said else None


class _Named(msgspec.Struct):
    session_id: str = ""


class _Payload:
    """Reads one payload into `out`."""

    def __init__(self, entry: Entry, out: Translation, said: dict[str, Any], number: int) -> None:
        self._entry = entry
        self._out = out
        self._said = said
        self._id = f"{entry.record_id}/{number}" if number else entry.record_id
        self._session = id_in(said.get("session_id"))
        self._agent = id_in(said.get("agent_id")) or ""

    def read(self) -> None:
        name = text_in(self._said.get("hook_event_name"))
        handler = _HANDLERS.get(name or "")
        if self._session is not None:
            self._add("session.noted", ev.SessionNoted(cwd=text_in(self._said.get("cwd"))), "noted")
        if self._session is None or handler is None:
            self._out.kept.append(f"hook {name[:50]}" if name else "(no event name)")
            return
        handler(self)

    def _add(self, kind: str, data: ev.Data, part: str = "", *, span: str | None = None) -> None:
        self._out.events.append(
            ev.Event(
                id=f"{self._id}/{part}" if part else self._id,
                kind=kind,
                session=f"claude:{self._session}",
                time_us=None,
                data=data,
                agent=self._agent,
                span=span,
                order=self._entry.received_us,  # beyond any place in a transcript, which counts where there is one
            )
        )

    def session_start(self) -> None:
        cwd = text_in(self._said.get("cwd"))
        self._add("session.started", ev.SessionStarted(cwd=cwd, reason=text_in(self._said.get("source"))))

    def session_end(self) -> None:
        self._add("session.ended", ev.SessionEnded(reason=text_in(self._said.get("reason"))))

    def agent_start(self) -> None:
        if self._agent:
            agent_type = text_in(self._said.get("agent_type"))
            self._add("agent.started", ev.AgentStarted(agent_type=agent_type))

    def agent_stop(self) -> None:
        if self._agent and self._said.get("agent_type"):
            self._add("agent.ended", ev.AgentEnded(status="completed", reason="it stopped"))

    def asked(self) -> None:
        """A person was asked, for leave or for words."""
        text = text_in(self._said.get("message")) or f"{text_in(self._said.get('tool_name'))} asks for leave"
        self._add("notice.raised", ev.NoticeRaised(topic="waiting", text=text))


_HANDLERS: dict[str, Callable[[_Payload], None]] = {
    "SessionStart": _Payload.session_start,
    "SessionEnd": _Payload.session_end,
    "SubagentStart": _Payload.agent_start,
    "SubagentStop": _Payload.agent_stop,
    "PermissionRequest": _Payload.asked,
    "Notification": _Payload.asked,
}
