"""Fold events into rows, so that any order of arrival gives the same rows.

`Fold` collects what one batch of records says and writes it with few statements. It decides nothing about order:
rivals are settled in SQL by comparison (`sql/fold.sql`), sums are kept by `rollups`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import events as ev
from holdfast import pricing, spans
from holdfast.failpoints import failpoint
from holdfast.store import definitions, forks, looks, passages, sidechains, summaries, turn_models
from holdfast.store.coverage import Account
from holdfast.store.indexing import Index
from holdfast.store.rollups import Rollups
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

_PROGRAMS = "sdk"  # the source of events that programs record themselves
_FAR_US = 2**63 - 1
_OF_WORKSPACES = (ev.CheckpointTaking, ev.CheckpointTaken, ev.CheckpointNotTaken)  # no part of a session
_OF_DEFINITIONS = (ev.DefinitionSnapshot, ev.DefinitionsPurged)
_OF_OURS = (  # no activity of the session
    ev.SessionResuming,
    ev.SessionResumed,
    ev.SessionResumeFailed,
    ev.RunRequested,
    ev.RunStarting,
    ev.RunStarted,
    ev.RunEnded,
    ev.RunLinked,
    ev.RunStopping,
    ev.RunProgress,
    ev.RunRemoved,
)
_MOST_TOKENS = 10**9  # in one call; context windows are a few million
_MOST_PICO = 10**16  # 10,000 USD for one call
_MOST_MS = 10**12  # 31 years
_SQL = statements("fold")
_encode = msgspec.json.Encoder(order="deterministic").encode

# How much a source's word on an end counts: a summary written afterwards (a resumed session marks cut calls), or what the
# model was shown of a result, yields to the thing's own report.
AFTERTHOUGHT_RANK, REPORT_RANK = 1, 2


class _Seen:
    """What a batch says about one session."""

    __slots__ = (
        "agents",
        "cwd",
        "entry_us",
        "first_us",
        "has_main",
        "id",
        "last_us",
        "latest",
        "own",
        "title",
    )

    def __init__(self, session_id: int, *, has_main: bool) -> None:
        self.id = session_id
        self.has_main = (
            has_main  # whether events without an agent are the main agent's; programs need not have one
        )
        self.first_us: int | None = None
        self.last_us: int | None = None
        self.entry_us: int | None = None
        self.own: tuple[int, int] | None = None
        self.latest: tuple[int, str, str, str] | None = None
        self.cwd: tuple[int, str] | None = None
        self.title: tuple[int, int, str] | None = None
        self.agents: dict[str, list[int | None]] = {}

    def at(self, agent: str, time_us: int | None) -> None:
        if not agent and not self.has_main:
            return
        span = self.agents.get(agent)
        if span is None:
            self.agents[agent] = [time_us, time_us]
        elif time_us is not None:
            if span[0] is None or time_us < span[0]:
                span[0] = time_us
            if span[1] is None or time_us > span[1]:
                span[1] = time_us


def _lowest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _highest(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else max(a, b)


class Fold:
    """Folds events into one open store. Call `add` for each event, then `write` inside a transaction.

    Args:
        db: the store, opened for writing.
        head_chars: texts in rows are cut to this length; the journal keeps them whole.
        search_chars: how much of a text can be searched.
        host: of the home; rows say of which other one something is.
    """

    def __init__(
        self,
        db: apsw.Connection,
        head_chars: int,
        search_chars: int = passages.TEXT_CHARS,
        host: str | None = None,
    ) -> None:
        self._db = db
        self._host = host
        self._head = head_chars
        self._index = Index(db, search_chars, head_chars)
        self._rollups = Rollups(db)
        self._ids: dict[str, int] = {}
        self._met: list[tuple[int, str, str, str]] = []  # sessions that have no row yet
        self._seen: dict[str, _Seen] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._accounts: dict[tuple[int, str, str], Account] = {}
        self._sidechains = sidechains.Sidechains(db)
        self._handlers: dict[str, Callable[[ev.Event, _Seen, Any], None]] = {
            "session.noted": self._session_noted,
            "session.started": self._session_started,
            "session.cost_reported": self._session_cost,
            "line.linked": self._line_linked,
            "llm.called": self._llm_called,
            "tool.started": self._tool_started,
            "tool.ended": self._tool_ended,
            "tool.used": self._tool_used,
            "turn.started": self._turn_started,
            "agent.started": self._agent_started,
            "agent.ended": self._agent_ended,
            "span.linked": self._linked,
            "process.sighted": self._process_sighted,
            "activity.noted": self._activity_noted,
            "work.told": self._work_told,
        }

    # ── taking in ──

    def add(self, event: ev.Event, segment: int, offset_bytes: int) -> None:
        """Take in one event that was read from the record at this place of the journal."""
        if self._is_of_no_session(event, segment, offset_bytes):
            return
        time_us = event.time_us
        seen = self._seen.get(event.session) or self._first_sight(event.session)
        if isinstance(event.data, ev.RecoveryJudged):  # is said about the session, and no part of it
            self.row(
                "recovery_judged",
                session_id=seen.id,
                agent=event.agent,
                segment=segment,
                offset_bytes=offset_bytes,
                time_us=time_us or 0,
                verdict=event.data.verdict,
                why=event.data.why,
            )
            return
        if isinstance(event.data, _OF_OURS):
            self._run_told(event, seen, event.data, segment, offset_bytes)
            self._resume_told(event, seen, event.data, segment, offset_bytes)
            return
        if time_us is not None:
            seen.first_us = _lowest(seen.first_us, time_us)
            seen.last_us = _highest(seen.last_us, time_us)
        self._index.add(event, seen.id, segment, offset_bytes)
        if event.agent.startswith(ev.INLINE_AGENT) and seen.has_main:
            self._sidechains.line(seen.id, event)
        handler = self._handlers.get(event.kind)
        if handler is not None:
            handler(event, seen, event.data)
            return
        kind = ev.KINDS.get(event.kind)
        span_kind = (kind and kind.span_kind) or _text(event.data, "span_kind")
        if event.kind == "span.ended" and span_kind is None:
            span_kind = _ANY_KIND
        if kind is not None and span_kind and span_kind != "turn":
            self._generic_span(event, seen, span_kind, kind.phase)
        seen.at(event.agent, time_us)
        self._tell(event, seen, segment, offset_bytes)

    def _is_of_no_session(self, event: ev.Event, segment: int, offset_bytes: int) -> bool:
        """Take in what belongs to no session, or not to the one that it names; whether it was that."""
        data = event.data
        if isinstance(data, ev.SessionNoted) and data.about:
            self._told_about_a_line(data, data.about)
            return True
        if isinstance(data, ev.WorkspaceMoved):
            values = {
                "id": event.id,
                "segment": segment,
                "offset_bytes": offset_bytes,
                "time_us": event.time_us or 0,
            }
            self.row("workspace_moved", **values, old=data.old, new=data.new)
            return True
        if isinstance(data, _OF_WORKSPACES):
            self._checkpoint(event, data)
            return True
        if isinstance(data, ev.DefinitionRevised) and data.tool and data.path:
            self._definition(event, data, segment, offset_bytes)
            return True
        if isinstance(data, ev.DefinitionConflicted | ev.DefinitionResolved):
            self._definition_conflict(event, data, segment, offset_bytes)
            return True
        if isinstance(data, _OF_DEFINITIONS):
            self.row(
                "definition_told",
                id=event.id,
                segment=segment,
                offset_bytes=offset_bytes,
                time_us=event.time_us or 0,
                told=event.kind.partition(".")[2],
                data=msgspec.json.encode(data).decode(),
                host=definitions.other(data.host, self._host),
            )
            return True
        if isinstance(data, ev.DefinitionsLooked):
            host = definitions.other(data.host, self._host)
            for statement, values in looks.rows(data, event.time_us or 0, host):
                self.row(statement, **values)
            return True
        return isinstance(data, ev.DefinitionUnwatched)

    def _definition(
        self, event: ev.Event, data: ev.DefinitionRevised, segment: int, offset_bytes: int
    ) -> None:
        told = definitions.told(event, data, segment, offset_bytes, self._host)
        self.row(
            "definition_revised",
            **(told._asdict() | {"own": int(told.own), "reason": self._cut(told.reason)}),
        )

    def _definition_conflict(
        self,
        event: ev.Event,
        data: ev.DefinitionConflicted | ev.DefinitionResolved,
        segment: int,
        offset_bytes: int,
    ) -> None:
        values: dict[str, Any] = {
            "segment": segment,
            "offset_bytes": offset_bytes,
            "time_us": event.time_us or 0,
            "author": data.author,
            "author_grade": data.author_grade,
            "reason": self._cut(data.reason),
        }
        if isinstance(data, ev.DefinitionResolved):
            values |= {"conflict": data.conflict, "choice": data.choice, "sha256": data.hash_after}
            self.row("definition_resolved", **values)
            return
        values |= {name: getattr(data, name) for name in _OF_CONFLICT}
        values["host"] = definitions.other(data.host, self._host)
        self.row("definition_conflicted", id=event.id, **values)

    def _checkpoint(
        self, event: ev.Event, data: ev.CheckpointTaking | ev.CheckpointTaken | ev.CheckpointNotTaken
    ) -> None:
        taken = data if isinstance(data, ev.CheckpointTaken) else None
        self.row(
            "checkpoint_told",
            id=event.id,
            kind=event.kind.partition(".")[2],
            attempt=getattr(data, "attempt", event.id),
            time_us=event.time_us or 0,
            workspace=data.workspace,
            repository=data.repository,
            commit_id=getattr(data, "commit", None),
            trigger_name=getattr(data, "trigger", None),
            note=self._cut(taken.note if taken else getattr(data, "why", None)),
            files=taken.files if taken else None,
            size_bytes=taken.size_bytes if taken else None,
        )

    def _first_sight(self, key: str) -> _Seen:
        session_id = self._ids.get(key)
        source, _, native = key.partition(":")
        if session_id is None:
            failpoint("store.meeting")
            known: Any = self._db.execute(_SQL["session_id"], {"key": key}).get
            if known is None:
                known = self._next_id()
                self._met.append((known, key, source, native))
            session_id = self._ids[key] = known
        seen = self._seen[key] = _Seen(session_id, has_main=source != _PROGRAMS)
        return seen

    def _next_id(self) -> int:
        """A number for a session met for the first time; its row is written with the batch. There is one writer."""
        if self._met:
            return self._met[-1][0] + 1
        highest: Any = self._db.execute(_SQL["session_highest"]).get
        return int(highest) + 1

    def told(
        self,
        events: list[ev.Event],
        source: str,
        file: str,
        size_bytes: int,
        recorded_us: int,
        *,
        fresh: bool,
    ) -> None:
        """Count a record for each session that these events, which were added before, are about."""
        for key in {event.session for event in events}:
            session_id = self._ids.get(key)
            if session_id is not None:
                account = self._accounts.get((session_id, source, file))
                if account is None:
                    account = self._accounts[session_id, source, file] = Account()
                account.add(
                    [event for event in events if event.session == key], size_bytes, recorded_us, fresh=fresh
                )

    def row(self, statement: str, **values: Any) -> None:  # noqa: ANN401 - SQL values
        """Add a row for one of the statements of `sql/fold.sql`."""
        self._rows.setdefault(statement, []).append(values)

    def _cut(self, text: str | None) -> str | None:
        return text if text is None or len(text) <= self._head else text[: self._head] + "…"

    def _tell(self, event: ev.Event, seen: _Seen, segment: int, offset_bytes: int) -> None:
        try:
            data = _encode(self._cut_all(msgspec.to_builtins(event.data))).decode()
        except RecursionError:
            data = '{"why":"nested too deeply to be shown; the journal holds it"}'
        self.row(
            "event_told",
            id=event.id,
            session_id=seen.id,
            kind=event.kind,
            agent=event.agent,
            span=event.span,
            position=event.order,
            time_us=event.time_us,
            data=data,
            segment=segment,
            offset_bytes=offset_bytes,
        )

    def _cut_all(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, str):
            return self._cut(value)
        if isinstance(value, dict):
            return {key: self._cut_all(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._cut_all(item) for item in value]
        return value

    # ── one kind each ──

    def _session_noted(self, event: ev.Event, seen: _Seen, data: ev.SessionNoted) -> None:
        time_us = event.time_us
        if data.own and time_us is not None:
            seen.own = min(seen.own or (event.order, time_us), (event.order, time_us))
        elif data.tool_version is not None:
            seen.entry_us = _highest(seen.entry_us, time_us)
            seen.at(event.agent, time_us)
            latest = (
                -1 if time_us is None else time_us,
                data.tool_version,
                data.git_branch or "",
                data.entrypoint or "",
            )
            if seen.latest is None or latest > seen.latest:
                seen.latest = latest
        if data.cwd is not None:
            cwd = (_FAR_US if time_us is None else time_us, data.cwd)
            if seen.cwd is None or cwd < seen.cwd:
                seen.cwd = cwd
        if data.title:
            self._title(seen, data.title_rank, event.order, data.title)
        if data.line:
            self.row("line_noted", mark=summaries.mark(data.line), session_id=seen.id, position=event.order)

    def _told_about_a_line(self, data: ev.SessionNoted, line: str) -> None:
        if data.title:
            values = {"title": self._one_line(data.title), "title_rank": data.title_rank}
            self.row("summary_told", mark=summaries.mark(line), **values)

    def _one_line(self, text: str) -> str:
        return self._cut(" ".join(text.split())) or ""

    def _title(self, seen: _Seen, rank: int, order: int, text: str) -> None:
        title = (rank, order, self._one_line(text))
        if seen.title is None or title > seen.title:
            seen.title = title

    def _session_started(self, event: ev.Event, seen: _Seen, data: ev.SessionStarted) -> None:
        if data.title or data.goal:
            self._title(seen, 3, event.order, data.title or data.goal or "")
        if data.cwd is not None:
            seen.cwd = min(seen.cwd or (_FAR_US, data.cwd), (event.time_us or _FAR_US, data.cwd))
        seen.at(event.agent, event.time_us)
        self._tell(event, seen, 0, 0)

    def _session_cost(self, event: ev.Event, seen: _Seen, data: ev.CostReported) -> None:
        self.row("session_cost", session_id=seen.id, time_us=event.order, cost_usd=data.cost_usd)
        self._tell(event, seen, 0, 0)

    def _line_linked(self, event: ev.Event, seen: _Seen, data: ev.LineLinked) -> None:
        seen.at(event.agent, event.time_us)
        if seen.has_main:
            self._sidechains.link(seen.id, data, event.order)

    def _llm_called(self, event: ev.Event, seen: _Seen, data: ev.LlmCalled) -> None:
        seen.at(event.agent, event.time_us)
        values = {
            "id": data.message_id or event.span or event.id,
            "session_id": seen.id,
            "agent": event.agent,
            "position": event.order,
            "time_us": event.time_us,
            "usage_us": -1 if event.time_us is None else event.time_us,
            "model": data.model,
            "final": int(data.final),
            "stop_reason": data.stop_reason,
            "input_tokens": _sane(data.input_tokens),
            "output_tokens": _sane(data.output_tokens),
            "cache_read_tokens": _sane(data.cache_read_tokens),
            "cache_write_5m_tokens": _sane(data.cache_write_5m_tokens),
            "cache_write_1h_tokens": _sane(data.cache_write_1h_tokens),
            "cost_pico": _cost(data),
        }
        self.row("llm_called", **values)
        self.row("llm_usage", **values)
        if data.reported_usd is not None:
            reported = _sane(round(data.reported_usd * pricing.PICO_PER_USD), _MOST_PICO)
            if reported is not None:
                self.row("llm_reported", session_id=seen.id, id=values["id"], cost_pico=reported)

    def _turn_started(self, event: ev.Event, seen: _Seen, data: ev.TurnStarted) -> None:
        seen.at(event.agent, event.time_us)
        if data.text and not event.agent:
            self._title(seen, 1, -event.order, data.text)
        self._start(event, seen, "turn", name=data.origin, text=data.text)

    def _start(
        self,
        event: ev.Event,
        seen: _Seen,
        kind: str,
        *,
        name: str | None,
        text: str | None = None,
        path: str | None = None,
        operation: str | None = None,
    ) -> None:
        self.row(
            "span_started",
            id=event.span or event.id,
            session_id=seen.id,
            kind=kind,
            agent=event.agent,
            name=name,
            parent=event.parent,
            position=event.order,
            start_us=event.time_us,
            input=self._cut(text),
            path=path,
            operation=operation,
        )

    def _tool_started(self, event: ev.Event, seen: _Seen, data: ev.ToolStarted) -> None:
        seen.at(event.agent, event.time_us)
        if data.prompt:
            self._sidechains.call(seen.id, event.span or event.id, data.prompt, self._cut(data.description))
        self._start(
            event,
            seen,
            "tool",
            name=data.tool,
            text=data.input or data.description,
            path=data.path,
            operation=data.operation,
        )

    def _tool_ended(self, event: ev.Event, seen: _Seen, data: ev.ToolEnded) -> None:
        seen.at(event.agent, event.time_us)
        rank = AFTERTHOUGHT_RANK if data.status == "interrupted" or data.as_shown else REPORT_RANK
        self._end(
            event,
            seen,
            "tool",
            status=data.status,
            rank=rank,
            name=data.tool,
            output=data.output,
            operation=data.operation,
            error_type=data.error_type,
            exit_code=data.exit_code,
            duration_ms=data.duration_ms,
            lines_added=data.lines_added,
            lines_removed=data.lines_removed,
        )

    def _end(
        self,
        event: ev.Event,
        seen: _Seen,
        kind: str,
        *,
        status: str,
        rank: int = REPORT_RANK,
        name: str | None = None,
        output: str | None = None,
        operation: str | None = None,
        **more: Any,  # noqa: ANN401 - the columns of `span` that only some ends know
    ) -> None:
        values = {
            "id": event.span or event.id,
            "session_id": seen.id,
            "kind": kind,
            "agent": event.agent,
            "name": name,
            "position": event.order,
            "end_us": event.time_us,
            **_claim(status, rank, event.time_us),
            "output": self._cut(output),
            "operation": operation,
            "error_type": more.get("error_type"),
            "exit_code": more.get("exit_code"),
            "duration_ms": _sane(more.get("duration_ms"), _MOST_MS),
            "lines_added": more.get("lines_added"),
            "lines_removed": more.get("lines_removed"),
        }
        self.row("span_touched", **values)
        self.row("span_ended", **values)

    def _tool_used(self, event: ev.Event, seen: _Seen, data: ev.ToolUsed) -> None:
        seen.at(event.agent, event.time_us)
        self._start(
            event,
            seen,
            "tool",
            name=data.tool,
            text=data.input or data.description,
            path=data.path,
            operation=data.operation,
        )
        if data.status is not None:
            self._end(
                event,
                seen,
                "tool",
                status=data.status,
                output=data.output or data.error_message,
                error_type=data.error_type,
                exit_code=data.exit_code,
                duration_ms=data.duration_ms,
            )

    def _agent_started(self, event: ev.Event, seen: _Seen, data: ev.AgentStarted) -> None:
        seen.at(event.agent, event.time_us)
        self.row(
            "agent_started",
            session_id=seen.id,
            agent=event.agent,
            agent_type=data.agent_type,
            name=data.name,
            description=self._cut(data.description or data.reason),
            parent_tool=data.parent_tool,
            parent_agent=data.parent_agent,
            depth=data.depth,
            model=data.model,
            background=None if data.background is None else int(data.background),
            built_in=None if data.built_in is None else int(data.built_in),
            definition=data.definition,
        )

    def _agent_ended(self, event: ev.Event, seen: _Seen, data: ev.AgentEnded) -> None:
        """An end alone makes no agent: background commands are announced in the same words."""
        self.row(
            "agent_ended",
            session_id=seen.id,
            agent=event.agent,
            **_claim(data.status, REPORT_RANK, event.time_us),
            reason=self._cut(data.reason),
            told_by=data.told_by,
            told_at=None if data.told_by is None else event.order,
        )
        if data.told_by is not None and data.told_by != event.agent:
            self.row("agent_heard", session_id=seen.id, agent=event.agent)

    def _linked(self, event: ev.Event, seen: _Seen, data: ev.SpanLinked) -> None:
        if event.span:
            self.row(
                "link_told",
                session_id=seen.id,
                source_span=event.span,
                target_span=data.target,
                kind=data.link_kind,
            )

    def _resume_told(
        self, event: ev.Event, seen: _Seen, data: ev.Data, segment: int, offset_bytes: int
    ) -> None:
        """It is said about the session, and no part of it."""
        self._tell(event, seen, segment, offset_bytes)
        if isinstance(data, ev.SessionResumed) and data.turn and data.from_turn:
            source, _, native = event.session.partition(":")
            key = f"{source}:{data.new_session or native}"
            new = self._seen.get(key) or self._first_sight(key)
            values = {"source_span": data.turn, "target_span": data.from_turn, "kind": "resumes"}
            self.row("link_told", session_id=new.id, **values)

    def _run_told(self, event: ev.Event, seen: _Seen, data: ev.Data, segment: int, offset_bytes: int) -> None:
        """What became of an agent that was started here. Of a session of its tool it says no more than the tool does."""
        attempt = 0
        match data:
            case ev.RunRequested():
                self.row(
                    "run_asked", agent=data.run, name=data.name, parent=data.parent, started_us=event.time_us
                )
                if data.cwd is not None and seen.cwd is None:
                    seen.cwd = (_FAR_US, data.cwd)
                if data.name or data.task:
                    self._title(seen, 0, 0, data.name or data.task or "")
            case ev.RunStarting() | ev.RunStarted():
                attempt = data.attempt
                self.row("run_begun", agent=data.run, attempt=attempt, **_began(event, data))
            case ev.RunEnded():
                attempt = data.attempt
                place = {"segment": segment, "offset_bytes": offset_bytes}
                self.row("run_ended", agent=data.run, attempt=attempt, **_ended(event, data), **place)
            case ev.RunLinked():
                attempt = data.attempt
            case _:
                return
        self.row("run_in", session_id=seen.id, agent=data.run, attempt=attempt)

    def _process_sighted(self, event: ev.Event, seen: _Seen, data: ev.ProcessSighted) -> None:
        seen.at("", None)
        self.row(
            "process_sighted",
            session_id=seen.id,
            host=data.host or "",
            boot=data.boot_id or "",
            namespace=data.namespace or "",
            pid=data.pid,
            start_ticks=-1 if data.start_ticks is None else data.start_ticks,
            began_us=data.began_us,
            status=self._cut(data.status),
            waiting_for=self._cut(data.waiting_for),
            since_us=-1 if data.since_us is None else data.since_us,
            seen_us=event.order,
        )

    def _activity_noted(self, event: ev.Event, seen: _Seen, data: ev.ActivityNoted) -> None:
        if not event.agent:
            seen.at("", None)
        told = _encode(self._cut_all(msgspec.to_builtins(data))).decode()
        self.row(
            "sign_seen",
            session_id=seen.id,
            agent=event.agent,
            sign=data.sign,
            position=event.order,
            data=told,
        )

    def _work_told(self, event: ev.Event, seen: _Seen, data: ev.WorkTold) -> None:
        at = {"end": "end_position", "shown": "shown_position"}.get(data.phase)
        if data.span_kind == "turn" and data.input and not event.agent:
            self._title(seen, 1, -event.order, data.input)  # any prompt of a transcript stands before it
        values = dict.fromkeys(("end_position", "shown_position", "output", "shown"), None)
        self.row(
            "work_told",
            **values
            | {
                "session_id": seen.id,
                "id": event.span or event.id,
                "kind": data.span_kind,
                "agent": event.agent,
                "name": data.name,
                "input": self._cut(data.input),
                "path": data.path,
                "operation": data.operation,
                "position": event.order,
                "status": data.status,
                "shown" if data.phase == "shown" else "output": self._cut(data.output),
                "error_type": data.error_type,
                "exit_code": data.exit_code,
                "duration_ms": _sane(data.duration_ms, _MOST_MS),
                "lines_added": data.lines_added,
                "lines_removed": data.lines_removed,
            }
            | ({at: event.order} if at else {}),
        )

    def _generic_span(self, event: ev.Event, seen: _Seen, span_kind: str, phase: str) -> None:
        """Tasks, phases, code runs, approvals: what starts and ends by the registry's word."""
        data = event.data
        names = _NAMES if phase != "end" else _NAMES_OF_ENDS
        name = next((text for field in names if (text := _text(data, field))), None)
        if phase != "end":
            text = _text(data, "code") or _text(data, "summary") or _text(data, "description")
            self._start(event, seen, span_kind, name=name, text=text)
        status = _text(data, "status")
        if phase != "start" and status:
            self._end(
                event,
                seen,
                span_kind,
                status=status,
                name=name,
                output=_text(data, "output") or _text(data, "summary"),
                error_type=_text(data, "error_type"),
                exit_code=getattr(data, "exit_code", None),
                duration_ms=getattr(data, "duration_ms", None),
            )

    # ── writing ──

    def write(self) -> None:
        """Write everything taken in, and settle what needs more than one record. Runs inside the caller's transaction.

        Raises:
            OverflowError: a number fits no column; nothing is dropped, see `make_holdable`.
        """
        self._db.executemany(_SQL["session_met"], self._met)
        told = {seen.id: self._write_session(seen) for seen in self._seen.values()}
        for (session_id, source, file), account in self._accounts.items():
            self.row("source_told", session_id=session_id, source=source, file=file, **account.values())
        self._accounts = {}
        names = self._sidechains.join()
        if names:
            for queued in self._rows.values():
                sidechains.renamed(queued, names)
        for statement in _WRITE_ORDER:
            if found := self._rows.get(statement):
                self._db.executemany(_SQL[statement], found)
        self._index.write()
        touched = {
            seen.id: {names.get((seen.id, agent), agent) for agent in seen.agents}
            for seen in self._seen.values()
        }
        rows, self._seen, self._rows = self._rows, {}, {}
        turn_models.settle(self._db, turn_models.turns_of(rows))
        self._sidechains.settle(_ids_by_session(rows.get("span_ended", [])))
        self._title_by_summaries({row["mark"] for name in _MARKED for row in rows.get(name, [])})
        ids = _Ids(rows)
        forks.settle(
            self._db,
            {session: forks.Change(partial(ids.of, session), *found) for session, found in told.items()},
        )
        self._rollups.write(touched)
        self._met = []

    def _title_by_summaries(self, marks: set[int]) -> None:
        for session_id, title in summaries.settle(self._db, marks) if marks else ():
            key: Any = self._db.execute(_SQL["session_key"], {"session_id": session_id}).get
            self._index.add_title(key, session_id, title)
        self._index.write()

    def make_holdable(self) -> None:
        """Make numbers that no column can hold unknown, after `write` raised OverflowError and was rolled back.

        Looking at every number of every row beforehand costs 6 % of an import.
        """
        self._rollups.forget()  # what was reported was rolled back with the rows
        for statement, found in self._rows.items():
            self._rows[statement] = [_holdable(row) for row in found]

    def forget(self) -> None:
        """Drop what was taken in, after a transaction that failed."""
        self._seen, self._rows, self._ids, self._met, self._accounts = {}, {}, {}, [], {}
        self._index.forget()
        self._sidechains.forget()
        self._rollups.forget()

    def _write_session(self, seen: _Seen) -> tuple[bool, int | None]:
        """Write what was told about a session as a whole; whether its own life begins elsewhere now, and its last entry before."""
        db = self._db
        ended_before_us: Any = db.execute(_SQL["session_entry"], {"session_id": seen.id}).get
        reowned = False
        db.execute(
            _SQL["session_seen"],
            {
                "session_id": seen.id,
                "first_us": seen.first_us,
                "last_us": seen.last_us,
                "last_entry_us": seen.entry_us,
            },
        )
        if seen.own:
            own = {"session_id": seen.id, "own_position": seen.own[0], "own_from_us": seen.own[1]}
            reowned = db.execute(_SQL["session_own"], own).get is not None
        if seen.title:
            rank, order, title = seen.title
            db.execute(
                _SQL["session_title"],
                {"session_id": seen.id, "title": title, "title_rank": rank, "title_order": order},
            )
        if seen.cwd:
            db.execute(
                _SQL["session_cwd"], {"session_id": seen.id, "cwd_us": seen.cwd[0], "cwd": seen.cwd[1]}
            )
        if seen.latest:
            latest_us, version, branch, entrypoint = seen.latest
            values = {"latest_us": latest_us, "tool_version": version, "git_branch": branch or None}
            db.execute(
                _SQL["session_latest"], {"session_id": seen.id, "entrypoint": entrypoint or None, **values}
            )
        for agent, (first_us, last_us) in seen.agents.items():
            self.row("agent_seen", session_id=seen.id, agent=agent, first_us=first_us, last_us=last_us)
        return reowned, ended_before_us


class _Ids:
    """The ids of the rows that a batch wrote, by session; sorted out when somebody asks."""

    def __init__(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        self._rows = rows
        self._found: dict[int, set[str]] | None = None

    def of(self, session_id: int) -> list[str]:
        if self._found is None:
            self._found = {}
            for statement in ("span_started", "span_touched", "llm_called", "event_told"):
                for row in self._rows.get(statement, ()):
                    self._found.setdefault(row["session_id"], set()).add(row["id"])
        return sorted(self._found.get(session_id, ()))


_ANY_KIND = "~"  # sorts behind every real kind, which replaces it; an end need not say what ended
_NAMES = ("name", "task_name", "task", "task_id", "language", "subject", "tool")
_NAMES_OF_ENDS = ("name", "task_name")
_OF_CONFLICT = (
    "operation",
    "tool",
    "name",
    "tier",
    "path",
    "path_bytes",
    "root",
    "base",
    "ours",
    "theirs",
)
_WRITE_ORDER = (
    "source_told",
    "session_cost",
    "agent_seen",
    "agent_started",
    "agent_ended",
    "agent_heard",
    "span_started",
    "span_touched",
    "span_ended",
    "llm_called",
    "llm_usage",
    "llm_reported",
    "line_noted",
    "summary_told",
    "event_told",
    "process_sighted",
    "run_asked",
    "run_begun",
    "run_ended",
    "run_in",
    "sign_seen",
    "work_told",
    "link_told",
    "workspace_moved",
    "checkpoint_told",
    "definition_revised",
    "definition_told",
    "definitions_reached",
    "definitions_looked",
    "definition_conflicted",
    "definition_resolved",
    "recovery_judged",
    "key_used",
    "source_declared",
    "source_read",
    "kept_more",
    "problem_seen",
)
_MARKED = ("line_noted", "summary_told")


def _ids_by_session(rows: list[dict[str, Any]]) -> dict[int, list[str]]:
    out: dict[int, list[str]] = {}
    for row in rows:
        out.setdefault(row["session_id"], []).append(row["id"])
    return out


def _claim(status: str, rank: int, time_us: int | None) -> dict[str, Any]:
    """The columns by which an observed status meets its rivals."""
    claim = spans.Evidence(spans.OBSERVED, rank, -1 if time_us is None else time_us, status)
    return {
        "status": status,
        "status_rank": spans.strength(claim),
        "status_us": claim.time_us,
        "status_place": spans.place(status),
    }


def _began(event: ev.Event, data: ev.RunStarting | ev.RunStarted) -> dict[str, Any]:
    if isinstance(data, ev.RunStarting):
        return dict.fromkeys(("host", "boot", "pid", "start_ticks", "started_us"))
    return {
        "host": data.host,
        "boot": data.boot_id,
        "pid": data.pid,
        "start_ticks": data.start_ticks,
        "started_us": event.time_us,
    }


def _ended(event: ev.Event, data: ev.RunEnded) -> dict[str, Any]:
    return {
        "state": data.outcome,
        "exit_code": data.exit_code,
        "signal": data.signal,
        "asked": data.asked,
        "why": data.reason,
        "ended_us": event.time_us,
    }


def _text(data: ev.Data, field: str) -> str | None:
    value = getattr(data, field, None)
    return value if isinstance(value, str) and value else None


def _holdable(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if type(value) is int and not -_FAR_US <= value <= _FAR_US else value
        for name, value in row.items()
    }


def _sane(number: int | None, most: int = _MOST_TOKENS) -> int | None:
    """A figure that can be true; sums of such figures stay within 64 bits. Anything else is unknown."""
    return number if number is not None and 0 <= number <= most else None


def _cost(data: ev.LlmCalled) -> int | None:
    figures = (
        data.input_tokens,
        data.output_tokens,
        data.cache_read_tokens or 0,
        data.cache_write_5m_tokens or 0,
        data.cache_write_1h_tokens or 0,
    )
    if data.model is None or any(_sane(figure) is None for figure in figures):
        return None
    cost = pricing.price(data.model, *figures, web_searches=data.web_searches, speed=data.speed)  # type: ignore[arg-type]
    return _sane(cost, _MOST_PICO)
