"""Codex's hooks, and what it gives `notify`: what each payload says.

What payloads have in common stands in `hook_payload.py`. The session is that of the root thread, an agent is named by its thread. Facts used
here, each seen on recordings of 0.169.0:

- A turn has the id that it has in the rollout, so that what both tell of it is one fact. Where the rollout tells of any turn, it
  alone says which is the last (`store/sql/rollups.sql`).
- A turn that failed has no `Stop`, and after a kill there is nothing. `SubagentStop` stands in the place of `Stop` for subagents.
- What is asked (`PermissionRequest`) names no call.
- Calls of tools have other names than in rollouts, and no exit code: they are the rollout's.
- `notify` is told of turns of all threads. The root of a subagent's is not named; only those of a person say which client is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import events as ev
from holdfast.capture import hook_payload
from holdfast.capture.claude_json import id_in, text_in
from holdfast.capture.codex import COMPLETED, INTERRUPTED, end_of_turn

if TYPE_CHECKING:
    from holdfast.store.project import Entry, Translation

SOURCE: Final = "codex.hook"

_NOTIFIED: Final = "agent-turn-complete"


def translate(entry: Entry) -> Translation:
    """Understand one payload (`Entry.body` without its line end)."""
    return hook_payload.translate(entry, _Payload)


def session_of(payload: bytes) -> str | None:
    """The session that a payload names, as it is known here; of `notify` its thread. None: it names none."""
    try:
        said = msgspec.json.decode(payload, type=_Named)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    name = said.session_id or said.thread_id
    return f"codex:{name}" if name else None


class _Named(msgspec.Struct):
    session_id: str = ""
    thread_id: str = msgspec.field(default="", name="thread-id")


class _Payload(hook_payload.Payload):
    """Reads one payload of Codex."""

    tool = "codex"

    def __init__(self, entry: Entry, out: Translation, said: dict[str, Any], number: int) -> None:
        super().__init__(entry, out, said, number)
        self._turn = id_in(said.get("turn_id"))

    def read(self) -> None:
        if self._said.get("type") == _NOTIFIED:
            self._notified()
        else:
            super().read()

    def _notified(self) -> None:
        """A turn was completed. Of what was said in it not all belongs to it, so its prompt is not told."""
        thread, client = id_in(self._said.get("thread-id")), text_in(self._said.get("client"))
        self._turn = id_in(self._said.get("turn-id"))
        if thread is None or client is None:
            self._out.kept.append(f"notify {_NOTIFIED}")
            return
        self._session = thread
        self._noted()
        if self._turn is not None:
            self._add("turn.started", ev.TurnStarted(), span=self._turn, before_us=1)
        self.stop()

    def worked(self) -> None:
        self._sign("worked")

    def prompt(self) -> None:
        if self._turn is not None and not self._agent:
            self._add("turn.started", ev.TurnStarted(text=text_in(self._said.get("prompt"))), span=self._turn)
        if not self._agent:
            self._sign("prompted")

    def stop(self) -> None:
        self._turn_ended(COMPLETED)

    def interrupt(self) -> None:
        self._turn_ended(INTERRUPTED)

    def _turn_ended(self, data: ev.TurnEnded) -> None:
        if self._turn is not None and not self._agent:
            self._add("turn.ended", data, name=end_of_turn(self._turn))
        self._sign("stopped")


_Payload.handlers = {
    "SessionStart": _Payload.session_start,
    "SessionEnd": _Payload.session_end,
    "UserPromptSubmit": _Payload.prompt,
    "Stop": _Payload.stop,
    "Interrupt": _Payload.interrupt,
    "SubagentStart": _Payload.agent_start,
    "SubagentStop": _Payload.agent_stop,
    "PermissionRequest": _Payload.asked,
    "PreToolUse": _Payload.worked,
    "PostToolUse": _Payload.answered,  # of what was asked about this call nothing is open any more; no other answer is told
}
