"""Codex rollouts: what each record type says.

Which file is a rollout, and how its id tells its thread and session, stands in `codex_files.py`. A line is
{"timestamp", "ordinal", "type", "payload"}. Facts used here, each seen on recordings of 0.169.0:

- A turn runs from `task_started` to `task_complete` (with `error` where it failed) or `turn_aborted`. A process that was killed
  writes neither, nor does a resume, which appends to the same file, end what was cut.
- `token_usage_record` is one answer of a model. `input_tokens` contains `cached_input_tokens`, `output_tokens` the reasoning. The
  figures beside it are sums, as are those of `token_count`, which misses the answer before a kill. An answer is known by its turn
  and its `response_id`.
- Rollouts that do not number their lines, those of 2025, have no such record. There `token_count` tells what the last answer used
  (`last_token_usage`) and the sum so far; it is told again whenever limits change, and once more in what a fork copied, with other times.
  So an answer is known by the sum that it led to. The first one's may be that of another thread's too, so it is known by its thread as well.
- The model stands in the `turn_context` of the turn, that of 2025 without naming it.
- What the model said, and what it was shown, are `response_item`s; what happened, `item_completed` events. Both have the id of the
  call. The call of a tool stands before the usage of the answer that it is part of.
- A subagent is a thread with a rollout of its own. `SubAgentActivity` in its parent's names the call that started it.
- A fork names what it goes on from (`history_base`, `forked_from_id`), and copies no lines. Where a version did copy them, the
  first `session_meta` is the fork's own.

Records not read further are counted by type; nothing is an error for being unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import events as ev
from holdfast.capture import codex_tools as tools
from holdfast.capture.claude_json import clean, count_in, id_in, object_in, pieces, text_in, text_of
from holdfast.capture.codex_files import SOURCE, Rollout, parent_of, rollout_of, spawned
from holdfast.clock import parse_us
from holdfast.store.project import Translation

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.store.project import Entry

__all__ = ["SOURCE", "translate"]

_FIGURES = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")
_PAYLOAD_TYPED = frozenset({"event_msg", "response_item"})
_ENDINGS = {"completed": "completed", "failed": "failed", "interrupted": "interrupted", "errored": "failed"}
_loads = msgspec.json.Decoder().decode


COMPLETED: Final = ev.TurnEnded(status="completed", reason="the turn was completed")
INTERRUPTED: Final = ev.TurnEnded(status="interrupted", reason="interrupted by the user")


def end_of_turn(turn: str) -> str:
    """The id of the event that ends a turn, whoever tells of it."""
    return f"{turn}/end"


def translate(entry: Entry) -> Translation:
    """Understand one line of a rollout (`Entry.body` without its line end)."""
    out = Translation()
    rollout = rollout_of(entry.file)
    if rollout is None:
        out.kept.append("rollout of no thread")
        return out
    try:
        values: list[tuple[int, Any]] = [(0, _loads(entry.body))]
        whole = True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values, whole = list(pieces(entry.body, out)), False
    for offset, value in values:
        if isinstance(value, dict):
            try:
                record = value if whole else clean(value)
                _Line(out, rollout, record, entry.start + offset).read()
            except RecursionError:
                out.problems.append("nested too deeply")
        else:
            out.problems.append(f"a {type(value).__name__} where an object should be")
    return out


class _Line:
    """Reads one object of a line; adds what it understood to `out`."""

    def __init__(self, out: Translation, rollout: Rollout, record: dict[str, Any], position: int) -> None:
        self._out = out
        self._rollout = rollout
        self._position = position
        self._type = text_in(record.get("type")) or "(no type)"
        self._payload = object_in(record.get("payload"))
        self._time_us = parse_us(record.get("timestamp"))
        ordinal = count_in(record.get("ordinal"))
        self._numbered = ordinal is not None
        self._name = f"{rollout.thread}:{position if ordinal is None else ordinal}"
        if self._type == "response_item" and (native := id_in(self._payload.get("id"))):
            self._name = native

    def read(self) -> None:
        kind = self._type
        if kind in _PAYLOAD_TYPED:
            kind = f"{kind} {text_in(self._payload.get('type')) or '(no type)'}"
        handler = _HANDLERS.get(kind)
        if handler is None:
            self._keep(kind)
        else:
            handler(self, self._payload)

    def _keep(self, kind: str) -> None:
        self._out.kept.append(kind[:60])

    def _add(
        self, kind: str, data: ev.Data, part: str = "", *, span: str | None = None, agent: str | None = None
    ) -> None:
        self._out.events.append(
            ev.Event(
                id=f"{self._name}/{part}" if part else self._name,
                kind=kind,
                session=self._rollout.session,
                time_us=self._time_us,
                data=data,
                agent=self._rollout.agent if agent is None else agent,
                span=span,
                order=self._position,
            )
        )

    # ── the thread ──

    def session_meta(self, meta: dict[str, Any]) -> None:
        if meta.get("id", self._rollout.thread) != self._rollout.thread:
            self._keep("session_meta of another thread")
            return
        noted = ev.SessionNoted(
            cwd=text_in(meta.get("cwd")),
            git_branch=text_in(object_in(meta.get("git")).get("branch")),
            tool_version=text_in(meta.get("cli_version")) or "",
            entrypoint=text_in(meta.get("originator")),
        )
        self._add("session.noted", noted, "entry")
        if self._rollout.agent:
            self._agent(meta)
            return
        self._add("session.noted", ev.SessionNoted(own=True), "own")
        base = id_in(object_in(meta.get("history_base")).get("thread_id")) or id_in(
            meta.get("forked_from_id")
        )
        if base is not None and base != self._rollout.thread:
            self._add("session.started", ev.SessionStarted(reason="fork", forked_from=base), "fork")

    def _agent(self, meta: dict[str, Any]) -> None:
        parent, how = parent_of(meta), spawned(meta)
        path = text_in(meta.get("agent_path")) or text_in(how.get("agent_path")) or ""
        started = ev.AgentStarted(
            agent_type=text_in(meta.get("agent_role")) or text_in(how.get("agent_role")),
            name=text_in(meta.get("agent_nickname")) or text_in(how.get("agent_nickname")),
            description=path.rpartition("/")[2] or None,
            parent_agent=None if parent == self._rollout.root else parent,
            depth=count_in(how.get("depth")),
            background=True,
        )
        self._add("agent.started", started, "agent")

    # ── turns ──

    def task_started(self, payload: dict[str, Any]) -> None:
        turn = id_in(payload.get("turn_id"))
        if self._rollout.agent or turn is None:
            self._keep("event_msg task_started")
            return
        origin = text_in(object_in(payload.get("turn_attribution")).get("turn_trigger"))
        self._add("turn.started", ev.TurnStarted(origin=origin), span=turn)

    def turn_context(self, payload: dict[str, Any]) -> None:
        turn, model = id_in(payload.get("turn_id")), text_in(payload.get("model"))
        if model is not None and self._rollout.agent:
            self._add("agent.started", ev.AgentStarted(model=model), "model")
        self._keep("turn_context")
        if turn is not None and model is not None:
            self._name = f"{turn}/context"
            self._add("turn.noted", ev.TurnNoted(model=model), span=turn)

    def task_complete(self, payload: dict[str, Any]) -> None:
        error = payload.get("error")
        if not error:
            self._end(payload, COMPLETED)
            return
        why = _error_text(error)
        kind = text_in(object_in(error).get("codex_error_info"))
        self._add("error.raised", ev.ErrorRaised(error_type=kind, message=why), "error")
        self._end(payload, ev.TurnEnded(status="failed", reason=why[:200]))

    def turn_aborted(self, payload: dict[str, Any]) -> None:
        reason = text_in(payload.get("reason")) or "aborted"
        aborted = ev.TurnEnded(status="interrupted", reason=reason)
        self._end(payload, INTERRUPTED if reason == "interrupted" else aborted)

    def _end(self, payload: dict[str, Any], ended: ev.TurnEnded) -> None:
        if self._rollout.agent:
            own = ev.AgentEnded(status=ended.status, reason=ended.reason, told_by=self._rollout.agent)
            self._add("agent.ended", own, "end")
            return
        part = "end"
        if (turn := id_in(payload.get("turn_id"))) is not None:
            self._name, part = end_of_turn(turn), ""
        self._add("turn.ended", ended, part)

    def error(self, payload: dict[str, Any]) -> None:
        kind = text_in(payload.get("codex_error_info"))
        self._add("error.raised", ev.ErrorRaised(error_type=kind, message=_error_text(payload)), "error")

    def compacted(self, _payload: dict[str, Any]) -> None:
        self._add("context.compacted", ev.ContextCompacted())

    # ── what the model said, and what it was shown ──

    def message(self, payload: dict[str, Any]) -> None:
        """What a person said comes with its turn, in an event."""
        text = text_of(payload.get("content"))
        if payload.get("role") == "assistant" and text:
            self._add("message.sent", ev.MessageSent(role="assistant", text=text), "0")
        else:
            self._keep(f"message {text_in(payload.get('role')) or '(no role)'}")

    def reasoning(self, payload: dict[str, Any]) -> None:
        text = text_of(payload.get("summary")) or text_of(payload.get("content"))
        if text:
            self._add("message.sent", ev.MessageSent(role="assistant", text=text, thinking=True), "0")
        else:
            self._keep("response_item reasoning")

    def agent_message(self, payload: dict[str, Any]) -> None:
        """What one agent told another. The text of a task is written encrypted."""
        text = text_of(payload.get("content")).rpartition("Payload:\n")[2] or "(encrypted)"
        sender, recipient = text_in(payload.get("author")), text_in(payload.get("recipient"))
        sent = ev.MessageSent(role="agent", text=text, sender=sender, recipient=recipient)
        self._add("message.sent", sent, "0")

    def call(self, payload: dict[str, Any]) -> None:
        tool_id = id_in(payload.get("call_id"))
        if tool_id is None:
            self._keep(f"{self._type} without a call id")
            return
        name, space = text_in(payload.get("name")) or "(unnamed)", text_in(payload.get("namespace"))
        arguments = tools.given(payload.get("arguments"))
        started = ev.ToolStarted(
            tool=f"{space}.{name}" if space else name,
            input=text_in(payload.get("input")) or tools.head_of_input(arguments),
            operation=text_in(arguments.get("agent_type")) if name == "spawn_agent" else None,
        )
        self._add("tool.started", started, tool_id, span=tool_id)

    def output(self, payload: dict[str, Any]) -> None:
        tool_id = id_in(payload.get("call_id"))
        if tool_id is None:
            self._keep(f"{self._type} without a call id")
        else:
            self._add("tool.ended", tools.shown(payload.get("output")), f"{tool_id}/end", span=tool_id)

    # ── what happened ──

    def item_completed(self, payload: dict[str, Any]) -> None:
        item = object_in(payload.get("item"))
        kind, item_id = text_in(item.get("type")) or "(no type)", id_in(item.get("id"))
        started_ms, ended_ms = (
            count_in(payload.get("started_at_ms")),
            count_in(payload.get("completed_at_ms")),
        )
        took_ms = None if started_ms is None or ended_ms is None else max(0, ended_ms - started_ms)
        if kind == "UserMessage":
            self._prompt(id_in(payload.get("turn_id")), item)
        elif item_id is None or kind not in _ITEMS:
            self._keep(f"item {kind}")
        else:
            _ITEMS[kind](self, item_id, item, took_ms)

    def _prompt(self, turn: str | None, item: dict[str, Any]) -> None:
        text = text_of(item.get("content")) or "(no text)"
        if self._rollout.agent or turn is None:
            self._add("message.sent", ev.MessageSent(role="user", text=text), "0")
        else:
            self._add("turn.started", ev.TurnStarted(text=text), "prompt", span=turn)

    def user_message(self, payload: dict[str, Any]) -> None:
        """What a person said, in rollouts that do not number their lines; in others it comes as an item too."""
        text = text_in(payload.get("message"))
        if text is None or self._numbered:
            self._keep("event_msg user_message")
        else:
            self._add("message.sent", ev.MessageSent(role="user", text=text), "0")

    def _command(self, tool_id: str, item: dict[str, Any], _took_ms: int | None) -> None:
        self._add("tool.ended", tools.command_ended(item), f"{tool_id}/end", span=tool_id)

    def _tool(self, tool_id: str, item: dict[str, Any], took_ms: int | None) -> None:
        self._add("tool.ended", tools.item_ended(item, took_ms), f"{tool_id}/end", span=tool_id)

    def _patch(self, tool_id: str, item: dict[str, Any], took_ms: int | None) -> None:
        patch = tools.patch(item, took_ms)
        self._add("tool.ended", patch.ended, f"{tool_id}/end", span=tool_id)
        for number, changed in enumerate(patch.files):
            self._add("file.changed", changed, f"{tool_id}/{number}", span=tool_id)

    def _collab(self, tool_id: str, item: dict[str, Any], took_ms: int | None) -> None:
        """It says less of a call that went well than what the model was shown."""
        if item.get("status") != "completed":
            self._tool(tool_id, item, took_ms)
        receivers = item.get("receiver_thread_ids")
        if (text_in(item.get("tool")) or "").startswith("spawn") and isinstance(receivers, list):
            for child in filter(None, map(id_in, receivers)):
                self._started(child, tool_id, text_in(item.get("model")))

    def _activity(self, item_id: str, item: dict[str, Any], _took_ms: int | None) -> None:
        child, what = id_in(item.get("agent_thread_id")), text_in(item.get("kind")) or ""
        if child is not None and what == "started":
            self._started(child, item_id, text_in(item.get("model")))
        elif child is not None and what in _ENDINGS:
            self._time_us = None  # hearsay: the agent's own rollout, where there is one, decides
            reason = f"the agent above it was told: {what}"
            ended = ev.AgentEnded(status=_ENDINGS[what], reason=reason, told_by=self._rollout.agent)
            self._add("agent.ended", ended, f"{child}/heard", agent=child)
        else:
            self._keep(f"SubAgentActivity {what}")

    def _started(self, child: str, tool_id: str, model: str | None) -> None:
        above = self._rollout.agent or None
        started = ev.AgentStarted(parent_tool=tool_id, parent_agent=above, model=model, background=True)
        self._add("agent.started", started, f"{tool_id}/{child}", agent=child)

    # ── model calls ──

    def token_count(self, payload: dict[str, Any]) -> None:
        """What the last answer used, where nothing better tells it. That it is told of every answer is not sure."""
        info = object_in(payload.get("info"))
        last, total = object_in(info.get("last_token_usage")), object_in(info.get("total_token_usage"))
        if self._numbered or not last or not total:
            self._keep("event_msg token_count")
            return
        figures = [count_in(total.get(name)) for name in _FIGURES]
        first = figures == [count_in(last.get(name)) for name in _FIGURES]
        sums = "-".join("" if figure is None else str(figure) for figure in figures)
        call = f"{self._rollout.thread}:tokens:{sums}" if first else f"tokens:{sums}"
        self._name = call
        self._add("llm.called", _called(call, last, model=text_in(info.get("model")), final=False), span=call)

    def usage(self, payload: dict[str, Any]) -> None:
        turn, response = id_in(payload.get("turn_id")), id_in(payload.get("response_id"))
        call = f"{turn or self._rollout.thread}/{response or self._name}"
        called = _called(call, object_in(payload.get("usage")))
        self._add("llm.called", called, "usage", span=call)


def _called(
    call: str, usage: dict[str, Any], *, model: str | None = None, final: bool = True
) -> ev.LlmCalled:
    """One answer. The whole of its input is told, and what of it was cached."""
    input_tokens, cached = count_in(usage.get("input_tokens")), count_in(usage.get("cached_input_tokens"))
    written = count_in(usage.get("cache_write_input_tokens"))
    return ev.LlmCalled(
        message_id=call,
        model=model,
        input_tokens=_less(input_tokens, (cached or 0) + (written or 0)),
        output_tokens=count_in(usage.get("output_tokens")),
        cache_read_tokens=cached,
        cache_write_5m_tokens=written,
        cache_write_1h_tokens=None if written is None else 0,
        final=final,
    )


def _less(whole: int | None, part: int) -> int | None:
    """What is left of a sum without a part that it contains; None where that makes no sense."""
    return None if whole is None or part > whole else whole - part


def _error_text(error: object) -> str:
    """The words of an error, which may stand as JSON in a string."""
    text = text_in(error) or text_in(object_in(error).get("message")) or "error"
    inner = object_in(tools.given(text).get("error")) if text.startswith("{") else {}
    return text_in(inner.get("message")) or text


_ITEMS: dict[str, Callable[[_Line, str, dict[str, Any], int | None], None]] = {
    "CommandExecution": _Line._command,  # noqa: SLF001 - the class's own table
    "FileChange": _Line._patch,  # noqa: SLF001
    "McpToolCall": _Line._tool,  # noqa: SLF001
    "CollabAgentToolCall": _Line._collab,  # noqa: SLF001
    "SubAgentActivity": _Line._activity,  # noqa: SLF001
}

_HANDLERS: dict[str, Callable[[_Line, dict[str, Any]], None]] = {
    "session_meta": _Line.session_meta,
    "turn_context": _Line.turn_context,
    "token_usage_record": _Line.usage,
    "compacted": _Line.compacted,
    "event_msg task_started": _Line.task_started,
    "event_msg task_complete": _Line.task_complete,
    "event_msg turn_aborted": _Line.turn_aborted,
    "event_msg error": _Line.error,
    "event_msg token_count": _Line.token_count,
    "event_msg item_completed": _Line.item_completed,
    "event_msg user_message": _Line.user_message,
    "response_item message": _Line.message,
    "response_item reasoning": _Line.reasoning,
    "response_item agent_message": _Line.agent_message,
    "response_item function_call": _Line.call,
    "response_item custom_tool_call": _Line.call,
    "response_item function_call_output": _Line.output,
    "response_item custom_tool_call_output": _Line.output,
}
