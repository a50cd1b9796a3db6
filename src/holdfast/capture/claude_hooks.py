"""Claude Code's hooks: what each payload says.

What payloads have in common stands in `hook_payload.py`. Read is what transcripts lack: that a person was asked, that an agent
began and stopped, that a session was left and why. Turns and calls of tools are told too (`work.told`), for agents of which
there is no transcript; else they are the transcript's, which knows their order. Facts used here, each seen on real recordings:

- Hooks run ahead of the transcript, and those of parallel calls arrive in any order.
- `agent_type` without `agent_id` is a main agent that was started under a name.
- What is asked (`PermissionRequest`) names no call. A call that is denied is reported by no hook of its own; only `PostToolBatch` says
  what the model was given.
- Compaction stops an internal agent that was never started; its type is empty.
- A notice that comes while a turn runs bears the id of that turn's prompt, and begins none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import events as ev
from holdfast.capture import hook_payload
from holdfast.capture.claude_json import blocks, count_in, id_in, object_in, text_in, text_of
from holdfast.capture.claude_results import SUMMARY, call_of, patch_size, what_failed

if TYPE_CHECKING:
    from holdfast.store.project import Entry, Translation

SOURCE: Final = "claude.hook"


def translate(entry: Entry) -> Translation:
    """Understand one payload (`Entry.body` without its line end)."""
    return hook_payload.translate(entry, _Payload)


def session_of(payload: bytes) -> str | None:
    """The session that a payload names, as it is known here; None: it names none."""
    try:
        said = msgspec.json.decode(payload, type=_Named).session_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return f"claude:{said}" if said else None


class _Named(msgspec.Struct):
    session_id: str = ""


class _Payload(hook_payload.Payload):
    """Reads one payload of Claude Code."""

    tool = "claude"

    def session_start(self) -> None:
        super().session_start()
        self._main()

    def agent_stop(self) -> None:
        if self._said.get("agent_type"):  # else it is internal, and was never started
            super().agent_stop()

    def needed(self) -> None:
        """A person was told something, mostly that it is their turn."""
        text = text_in(self._said.get("message")) or "something"
        self._add("notice.raised", ev.NoticeRaised(topic="waiting", text=text))
        kind = text_in(self._said.get("notification_type")) or "elicitation"
        if sign := _NEEDS.get(kind.partition("_")[0] if kind.startswith("elicitation") else kind):
            self._sign(sign, text)

    def prompted(self) -> None:
        """A person, or a notice that an agent in the background is done, gave it something to do."""
        if self._agent:
            return
        self._of_main("prompted")
        self._main()
        text = text_in(self._said.get("prompt"))
        if text is not None and text.lstrip().startswith("<task-notification>"):
            summary = SUMMARY.search(text)
            text = f"(notified) {summary[1]}" if summary else text
        prompt = id_in(self._said.get("prompt_id")) or self._id
        self._told("turn", "start", f"prompt:{prompt}", {"input": text})

    def worked(self) -> None:
        self._of_main("worked")

    def called(self) -> None:
        """A tool is about to be used, if nobody forbids it."""
        self.worked()
        if (call := id_in(self._said.get("tool_use_id"))) is not None:
            self._told("tool", "start", call, self._call())

    def returned(self) -> None:
        self.worked()
        call = id_in(self._said.get("tool_use_id"))
        if call is None:
            return
        details = object_in(self._said.get("tool_response"))
        added, removed = patch_size(details.get("structuredPatch"))
        ended = {
            "status": "completed",
            "duration_ms": count_in(self._said.get("duration_ms")),
            "lines_added": added,
            "lines_removed": removed,
        }
        self._told("tool", "end", call, self._call() | ended)
        child = id_in(details.get("agentId"))
        if child is not None:
            background = True if details.get("isAsync") is True else None
            started = ev.AgentStarted(
                parent_tool=call,
                parent_agent=self._agent or None,
                description=text_in(details.get("description")),
                background=background,
            )
            self._add("agent.started", started, "child", agent=child)

    def went_wrong(self) -> None:
        self.worked()
        call, error = id_in(self._said.get("tool_use_id")), text_in(self._said.get("error")) or ""
        if call is not None:
            cut = "interrupted" if self._said.get("is_interrupt") is True else None
            status, error_type, exit_code = what_failed(error, cut)
            ended = {
                "status": status,
                "error_type": error_type,
                "exit_code": exit_code,
                "output": error or None,
                "duration_ms": count_in(self._said.get("duration_ms")),
            }
            self._told("tool", "end", call, self._call() | ended)

    def _call(self) -> dict[str, Any]:
        """What a call is about, as the transcript would say it."""
        return call_of(text_in(self._said.get("tool_name")), object_in(self._said.get("tool_input")))

    def shown(self) -> None:
        """All calls of one message are over: what the model is given of them."""
        self._sign("answered")
        for number, each in enumerate(blocks(self._said.get("tool_calls"))):
            if (call := id_in(each.get("tool_use_id"))) is not None:
                about = call_of(text_in(each.get("tool_name")), object_in(each.get("tool_input")))
                output = text_of(each.get("tool_response")) or None
                self._told("tool", "shown", call, about | {"output": output}, str(number))

    def _told(self, kind: str, phase: str, span: str, what: dict[str, Any], part: str = "") -> None:
        data = ev.WorkTold(span_kind=kind, phase=phase, **what)
        self._add("work.told", data, f"{phase}{part}", span=span)

    def _main(self) -> None:
        """There is a main agent; where it was started under a name, that is its type."""
        self._add("agent.started", ev.AgentStarted(agent_type=self._type() or "main"), "main", agent="")

    def stopped(self) -> None:
        running = self._said.get("background_tasks")
        tasks = [task for task in blocks(running) if text_in(task.get("status")) in {None, "running"}]
        agents = sum(text_in(task.get("type")) == "subagent" for task in tasks)
        known = isinstance(running, list)
        self._sign("stopped", tasks=len(tasks) if known else None, agents=agents if known else None)

    def failed(self) -> None:
        self._sign("failed", text_in(self._said.get("error_details")) or text_in(self._said.get("error")))

    def _of_main(self, sign: str) -> None:
        """What matters of a main agent only: when it was at work last."""
        if not self._agent:
            self._sign(sign)


_NEEDS: Final = {"permission_prompt": "asked", "agent_needs_input": "needed", "elicitation": "needed"}
_Payload.handlers = {
    "SessionStart": _Payload.session_start,
    "SessionEnd": _Payload.session_end,
    "SubagentStart": _Payload.agent_start,
    "SubagentStop": _Payload.agent_stop,
    "PermissionRequest": _Payload.asked,
    "Notification": _Payload.needed,
    "Elicitation": _Payload.needed,
    "UserPromptSubmit": _Payload.prompted,
    "PreToolUse": _Payload.called,
    "PostToolUse": _Payload.returned,
    "PostToolUseFailure": _Payload.went_wrong,
    "PreCompact": _Payload.worked,
    "PostToolBatch": _Payload.shown,
    "PermissionDenied": _Payload.answered,
    "ElicitationResult": _Payload.answered,
    "Stop": _Payload.stopped,
    "StopFailure": _Payload.failed,
}
