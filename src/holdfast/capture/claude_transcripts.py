"""Claude Code transcripts, from 1.0 on: what each record type says.

A transcript is `projects/<encoded cwd>/<session>.jsonl`, its subagents `<session>/subagents/agent-<id>.jsonl` with
`agent-<id>.meta.json` beside them. What older versions wrote otherwise stands in `claude_layouts.py`. Facts used here, each seen
on real recordings:

- An assistant message is one line per content block; all carry the message's id, and usage so far. The last line has the
  final usage. A line with a `stop_reason` is final; where none has one, output tokens are the placeholder of the
  stream's start and no figure to trust.
- A fork copies lines with the same `uuid` and message id under its own session id. `queue-operation` and
  `api-request*` records are never copied; they show when a session's own life began.
- On resume, a tool call cut by a kill gets a made-up error result (`toolDenialKind` "interrupted"): its outcome
  is unknown.
- Two writers may put two objects on one line, or one into another.

Records not read further are counted by type; nothing is an error for being unknown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import events as ev
from holdfast.capture import claude_layouts as layouts
from holdfast.capture.claude_json import blocks, clean, count_in, id_in, object_in, pieces, text_in, text_of
from holdfast.capture.claude_results import (
    AGENT_TOOLS,
    INTERRUPTED,
    SUMMARY,
    call_of,
    patch_size,
    what_failed,
)
from holdfast.clock import parse_us
from holdfast.store.outline import outline
from holdfast.store.project import Translation

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.store.project import Entry

SOURCE: Final = "claude.transcript"
META_SOURCE: Final = "claude.agent_meta"
RESULT_SOURCE: Final = "claude.tool_result"
WHOLE_SOURCES: Final = (META_SOURCE, RESULT_SOURCE)  # a record holds a file beside transcripts, whole

_OWN_TYPES = frozenset({"queue-operation", "api-request", "api-request-shape"})
_NOT_PROMPTS = (
    INTERRUPTED,
    "<local-command-stdout>",
    "<local-command-caveat>",
    "<command-name>",
)
_NOTIFIED = re.compile(r"<task-id>([^<]{1,200})</task-id>.*?<status>([a-z_]{1,40})</status>", re.DOTALL)
_COMMAND = re.compile(r"\A<command-message>.*?<command-name>(/[^<]{1,100})</command-name>", re.DOTALL)
_ARGUMENTS = re.compile(r"<command-args>([^<]{1,400})</command-args>")
_STATUS = {"completed": "completed", "failed": "failed", "stopped": "cancelled", "killed": "cancelled"}
_UUID_FILE = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.jsonl\Z")

_loads = msgspec.json.Decoder().decode


def translate(entry: Entry) -> Translation:
    """Understand one line of a transcript (`Entry.body` without its line end)."""
    line = _Line(entry)
    try:
        values: list[tuple[int, Any]] = [(0, _loads(entry.body))]
        whole = True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        values, whole = list(pieces(entry.body, line.out)), False
    for offset, value in values:
        if isinstance(value, dict):
            try:
                line.read(value if whole else clean(value), entry.start + offset)
            except RecursionError:
                line.out.problems.append("nested too deeply")
        else:
            line.out.problems.append(f"a {type(value).__name__} where an object should be")
    return line.out


class _Line:
    """Reads the objects of one line; collects what it understood in `out`."""

    def __init__(self, entry: Entry) -> None:
        self.out = Translation()
        self._entry = entry
        self._session = ""
        self._agent = ""
        self._inline = False
        self._time_us: int | None = None
        self._position = 0
        self._uuid = ""

    def read(self, record: dict[str, Any], position: int) -> None:
        kind = record.get("type")
        if kind == "summary":
            self._summary(record, position)
            return
        session = id_in(record.get("sessionId")) or self._session_of_file()
        if session is None or not isinstance(kind, str):
            self.out.kept.append(kind[:60] if isinstance(kind, str) else "(no type)")
            return
        self._session = f"claude:{session}"
        self._time_us = parse_us(record.get("timestamp"))
        self._position = position
        self._uuid = id_in(record.get("uuid")) or f"{self._entry.file}:{position}"
        self._agent = layouts.agent_of(record, self._uuid)
        self._inline = self._agent.startswith(ev.INLINE_AGENT)
        if self._inline:
            self._add("line.linked", layouts.link(record, self._uuid), "line")
        handler = _HANDLERS.get(kind)
        if handler is None:
            if kind in _OWN_TYPES and not self._agent:
                self._add("session.noted", ev.SessionNoted(own=True), "own")
                self._notification(text_in(record.get("content")) or "")
            self.out.kept.append(kind[:60])
            return
        handler(self, record)

    def _session_of_file(self) -> str | None:
        found = _UUID_FILE.search(self._entry.path or "")
        return found[1] if found else None

    def _add(
        self, kind: str, data: ev.Data, part: str = "", *, span: str | None = None, agent: str | None = None
    ) -> None:
        self.out.events.append(
            ev.Event(
                id=f"{self._uuid}/{part}" if part else self._uuid,
                kind=kind,
                session=self._session,
                time_us=self._time_us,
                data=data,
                agent=self._agent if agent is None else agent,
                span=span,
                order=self._position,
            )
        )

    def _summary(self, record: dict[str, Any], position: int) -> None:
        """A title for the session that holds a certain line; the session of this file is no matter."""
        noted = layouts.summary(record)
        if noted is not None:
            self._session, self._agent, self._time_us = "claude:", "", None
            self._position, self._uuid = position, f"{noted.about}"
            self._add("session.noted", noted, "summary")
        self.out.kept.append("summary")

    def _note_entry(self, record: dict[str, Any]) -> None:
        """Where and with what the session ran, as every user and assistant line says."""
        version = text_in(record.get("version"))
        noted = ev.SessionNoted(
            cwd=text_in(record.get("cwd")),
            git_branch=text_in(record.get("gitBranch")),
            tool_version=version or "",
            entrypoint=text_in(record.get("entrypoint")),
            line=self._uuid if not self._agent and layouts.may_be_summed_up(version) else None,
        )
        self._add("session.noted", noted, "entry")

    # ── assistant ──

    def assistant(self, record: dict[str, Any]) -> None:
        self._note_entry(record)
        message = object_in(record.get("message"))
        model = text_in(message.get("model"))
        if record.get("isApiErrorMessage") is True:
            self._api_error(record, message)
            return
        if model != "<synthetic>":
            self._usage(message, model, layouts.reported_usd(record))
        if (agent_type := text_in(record.get("attributionAgent"))) and self._agent:
            self._add("agent.started", ev.AgentStarted(agent_type=agent_type, model=model), "type")
        content = message.get("content")
        for number, block in enumerate(blocks(content)):
            self._assistant_block(block, number, synthetic=model == "<synthetic>")
        if isinstance(content, str) and content:
            self._add("message.sent", ev.MessageSent(role="assistant", text=content), "0")

    def _assistant_block(self, block: dict[str, Any], number: int, *, synthetic: bool) -> None:
        kind = block.get("type")
        if kind == "text" and (text := text_in(block.get("text"))):
            role = "tool" if synthetic else "assistant"
            self._add("message.sent", ev.MessageSent(role=role, text=text), str(number))
        elif kind == "thinking" and (text := text_in(block.get("thinking"))):
            sent = ev.MessageSent(role="assistant", text=text, thinking=True)
            self._add("message.sent", sent, str(number))
        elif kind == "tool_use" and (tool_id := id_in(block.get("id"))):
            self._tool_use(tool_id, block)
        elif isinstance(kind, str) and kind not in {"text", "thinking", "redacted_thinking"}:
            self.out.kept.append(f"block {kind[:50]}")

    def _tool_use(self, tool_id: str, block: dict[str, Any]) -> None:
        given = object_in(block.get("input"))
        call = call_of(text_in(block.get("name")), given)
        name = call["name"] or ""
        started = ev.ToolStarted(
            tool=name,
            input=call["input"],
            path=call["path"],
            operation=call["operation"],
            description=text_in(given.get("description")),
            prompt=text_in(given.get("prompt")) if name in AGENT_TOOLS else None,
        )
        self._add("tool.started", started, tool_id, span=tool_id)

    def _usage(self, message: dict[str, Any], model: str | None, reported_usd: float | None) -> None:
        message_id, usage = id_in(message.get("id")) or self._uuid, message.get("usage")
        if not isinstance(usage, dict):
            return
        written = count_in(usage.get("cache_creation_input_tokens"))
        split = usage.get("cache_creation")
        if isinstance(split, dict):
            write_5m = count_in(split.get("ephemeral_5m_input_tokens"))
            write_1h = count_in(split.get("ephemeral_1h_input_tokens"))
        else:
            write_5m, write_1h = written, None if written is None else 0
        stop_reason = text_in(message.get("stop_reason"))
        called = ev.LlmCalled(
            message_id=message_id,
            model=model,
            input_tokens=count_in(usage.get("input_tokens")),
            output_tokens=count_in(usage.get("output_tokens")),
            cache_read_tokens=count_in(usage.get("cache_read_input_tokens")),
            cache_write_5m_tokens=write_5m,
            cache_write_1h_tokens=write_1h,
            stop_reason=stop_reason,
            final=stop_reason is not None,
            speed=text_in(usage.get("speed")),
            service_tier=text_in(usage.get("service_tier")),
            web_searches=count_in(object_in(usage.get("server_tool_use")).get("web_search_requests")) or 0,
            reported_usd=reported_usd,
        )
        self._add("llm.called", called, "usage", span=message_id)

    def _api_error(self, record: dict[str, Any], message: dict[str, Any]) -> None:
        text = text_of(message.get("content")) or "API error"
        kind = text_in(record.get("apiErrorType")) or text_in(record.get("error")) or "api_error"
        self._add("error.raised", ev.ErrorRaised(error_type=kind, message=text, severity="error"), "error")
        self._add("turn.ended", ev.TurnEnded(status="failed", reason=text[:200]), "end")

    # ── user ──

    def user(self, record: dict[str, Any]) -> None:
        self._note_entry(record)
        message = object_in(record.get("message"))
        content = message.get("content")
        results = [block for block in blocks(content) if block.get("type") == "tool_result"]
        for block in results:
            self._tool_result(block, record)
        text = text_of(content)
        if not text and any(block.get("type") in {"image", "document"} for block in blocks(content)):
            text = "(an image or a document)"
        if results or not text:
            return
        if text.startswith(INTERRUPTED):
            self._add(
                "turn.ended", ev.TurnEnded(status="interrupted", reason="interrupted by the user"), "end"
            )
        elif record.get("isMeta") is True:
            self.out.kept.append("user meta")
        elif record.get("isCompactSummary") is True:
            self._add("message.sent", ev.MessageSent(role="summary", text=text), "0")
        elif text.startswith(_NOT_PROMPTS):
            self._add("message.sent", ev.MessageSent(role="command", text=text), "0")
        elif self._agent:
            self._add("message.sent", ev.MessageSent(role="user", text=text), "0")
        else:
            self._prompt(record, text)

    def _prompt(self, record: dict[str, Any], text: str) -> None:
        origin = text_in(record.get("turnOrigin")) or text_in(record.get("promptSource"))
        if text.lstrip().startswith("<task-notification>"):
            origin = "task_notification"
            self._notification(text)
            if summary := SUMMARY.search(text):
                text = f"(notified) {summary[1]}"
        elif command := _COMMAND.search(text):
            arguments = _ARGUMENTS.search(text)
            text = f"{command[1]} {arguments[1] if arguments else ''}".strip()
        self._add("turn.started", ev.TurnStarted(text=text, origin=origin), span=self._uuid)

    def _tool_result(self, block: dict[str, Any], record: dict[str, Any]) -> None:
        tool_id = id_in(block.get("tool_use_id"))
        if tool_id is None:
            return
        text = text_of(block.get("content"))
        raw = record.get("toolUseResult")
        details = object_in(raw)
        status, error_type, exit_code = "completed", None, None
        if block.get("is_error") is True:
            status, error_type, exit_code = what_failed(text, text_in(record.get("toolDenialKind")))
        added, removed = patch_size(details.get("structuredPatch"))
        child = id_in(details.get("agentId"))
        ended = ev.ToolEnded(
            status=status,
            output=text or None,
            error_type=error_type,
            exit_code=exit_code,
            duration_ms=count_in(details.get("totalDurationMs")) or count_in(details.get("durationMs")),
            child_agent=child,
            lines_added=added,
            lines_removed=removed,
        )
        self._add("tool.ended", ended, f"{tool_id}/end", span=tool_id)
        if child is not None:
            self._child(tool_id, child, details)

    def _child(self, tool_id: str, child: str, details: dict[str, Any]) -> None:
        """An agent call's result names the agent that ran; a result given at launch ends nothing."""
        background = details.get("isAsync") is True
        started = ev.AgentStarted(
            parent_tool=tool_id,
            parent_agent=None if self._inline else self._agent or None,
            description=text_in(details.get("description")),
            background=True if background else None,
        )
        self._add("agent.started", started, f"{tool_id}/child", agent=child)
        status = _STATUS.get(text_in(details.get("status")) or "")
        if status and not background:
            self._add(
                "agent.ended",
                ev.AgentEnded(status=status, reason="its call returned", told_by=self._agent),
                f"{tool_id}/done",
                agent=child,
            )

    def _notification(self, text: str) -> None:
        for agent, word in _NOTIFIED.findall(text):
            if status := _STATUS.get(word):
                reason = f"task notification: {word}"
                ended = ev.AgentEnded(status=status, reason=reason, told_by=self._agent)
                self._add("agent.ended", ended, f"notified/{agent}", agent=agent)

    # ── everything else ──

    def attachment(self, record: dict[str, Any]) -> None:
        attached = object_in(record.get("attachment"))
        kind = text_in(attached.get("type")) or "(no type)"
        if kind == "queued_command" and (text := text_in(attached.get("prompt"))):
            self._notification(text)
        elif kind == "max_turns_reached":
            self._add(
                "turn.ended",
                ev.TurnEnded(status="interrupted", reason="the limit of turns was reached"),
                "end",
            )
        self.out.kept.append(f"attachment {kind[:50]}")

    def system(self, record: dict[str, Any]) -> None:
        subtype = text_in(record.get("subtype")) or "(no subtype)"
        content = text_in(record.get("content")) or ""
        if subtype == "compact_boundary":
            about = object_in(record.get("compactMetadata"))
            compacted = ev.ContextCompacted(
                trigger=text_in(about.get("trigger")),
                tokens_before=count_in(about.get("preTokens")),
                tokens_after=count_in(about.get("postTokens")),
            )
            self._add("context.compacted", compacted)
        elif subtype == "api_error":
            error = object_in(record.get("error"))
            text = content or text_in(error.get("message")) or "API error"
            raised = ev.ErrorRaised(
                error_type="api_error", message=text, severity="warning", recoverable=True
            )
            self._add("error.raised", raised, "error")
        elif subtype == "turn_duration":
            self._add("turn.ended", ev.TurnEnded(status="completed", reason="turn duration recorded"), "end")
        elif subtype == "stop_hook_summary":
            self._add("turn.ended", ev.TurnEnded(status="completed", reason="stop hooks ran"), "end")
        elif subtype in {"local_command", "informational"} and content:
            self._add("message.sent", ev.MessageSent(role="command", text=content), "0")
        else:
            self.out.kept.append(f"system {subtype[:50]}")

    def cost_state(self, record: dict[str, Any]) -> None:
        cost: Any = record.get("totalCostUSD")
        known = isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < 1e12
        reported = ev.CostReported(
            cost_usd=float(cost) if known else None,
            models=object_in(record.get("modelUsage")),
            duration_ms=count_in(record.get("totalDuration")),
        )
        self._uuid = f"{self._session}:{record.get('startTime')}:{record.get('totalDuration')}"
        self._add("session.cost_reported", reported, "cost")

    def custom_title(self, record: dict[str, Any]) -> None:
        title = text_in(record.get("customTitle")) or text_in(record.get("title"))
        if title:
            self._add("session.noted", ev.SessionNoted(title=title, title_rank=5), "title")
        self.out.kept.append("custom-title")

    def ai_title(self, record: dict[str, Any]) -> None:
        title = text_in(record.get("aiTitle")) or text_in(record.get("title"))
        if title:
            self._add("session.noted", ev.SessionNoted(title=title, title_rank=4), "title")
        self.out.kept.append("ai-title")

    def progress(self, record: dict[str, Any]) -> None:
        """A subagent's message, wrapped into the main transcript (2.1.0 to 2.1.4x); other progress is only kept."""
        line = layouts.unwrapped(record)
        if line is None:
            kind = text_in(object_in(record.get("data")).get("type")) or "(no type)"
            self.out.kept.append(f"progress {kind[:50]}")
            return
        parent_tool = id_in(record.get("parentToolUseID"))
        if parent_tool is not None:
            started = ev.AgentStarted(parent_tool=parent_tool)
            self._add("agent.started", started, "parent", agent=line["agentId"])
        if line["type"] in {"user", "assistant"}:
            self.read(line, self._position)
        else:
            self.out.kept.append("progress agent_progress")


_HANDLERS: dict[str, Callable[[_Line, dict[str, Any]], None]] = {
    "assistant": _Line.assistant,
    "user": _Line.user,
    "attachment": _Line.attachment,
    "system": _Line.system,
    "cost-state": _Line.cost_state,
    "custom-title": _Line.custom_title,
    "ai-title": _Line.ai_title,
    "progress": _Line.progress,
}


# ── files beside transcripts ──


def translate_result(entry: Entry) -> Translation:
    """Understand what stands in `tool-results`, a long output; the record's body is {"path":…, "text":…}. Whose it is, its path says."""
    out = Translation(kept=["tool result"])
    found = _RESULT_PATH.search(outline([entry.body]).get("path") or "")
    if found is not None and (session := id_in(found[1])) is not None:
        noted = ev.Event(
            id=f"{entry.record_id}/noted",
            kind="session.noted",
            session=f"claude:{session}",
            time_us=None,
            data=ev.SessionNoted(),
        )
        out.events.append(noted)
    return out


_RESULT_PATH = re.compile(r"([^/]+)/tool-results/[^/]+\Z")


def translate_meta(entry: Entry) -> Translation:
    """Understand an `agent-<id>.meta.json`; the record's body is {"path":…, "text":…}."""
    out = Translation()
    try:
        body = _loads(entry.body)
        path, meta = text_in(object_in(body).get("path")) or "", _loads(object_in(body).get("text") or "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        out.problems.append(f"an agent's meta.json cannot be read: {exc}")
        return out
    found = re.search(r"([^/]+)/subagents/agent-([^/]+)\.meta\.json\Z", path)
    if found is None or not isinstance(meta, dict):
        out.kept.append("agent meta")
        return out
    session, agent = id_in(found[1]), id_in(found[2])
    started = ev.AgentStarted(
        agent_type=text_in(meta.get("agentType")),
        name=text_in(meta.get("name")),
        description=text_in(meta.get("description")),
        parent_tool=id_in(meta.get("toolUseId")),
        parent_agent=id_in(meta.get("parentAgentId")),
        depth=count_in(meta.get("spawnDepth")),
        model=text_in(meta.get("model")),
        background={"background": True, "foreground": False}.get(text_in(meta.get("requestShape")) or ""),
        built_in=built_in if isinstance(built_in := meta.get("isBuiltIn"), bool) else None,
    )
    facts: list[tuple[str, ev.Data]] = [("agent.started", started)]
    if meta.get("finished") is True:
        facts.append(("agent.ended", ev.AgentEnded(status="completed", reason="its meta.json says finished")))
    for kind, data in facts:
        out.events.append(
            ev.Event(
                id=f"{session}/{agent}/{kind}",
                kind=kind,
                session=f"claude:{session}",
                time_us=None,
                data=data,
                agent=agent or "",
            )
        )
    return out
