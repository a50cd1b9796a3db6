"""Translator of what programs record themselves, through `holdfast.record()` and `holdfast record`.

The body of a record is a JSON object:

    {"kind": str,               the kind, in any known spelling; an unknown one is kept
     "time": ISO 8601 | int,    when it happened, as integer in UTC microseconds; left out: when received
     "session": str,            left out: "default"
     "agent": str,              left out: the agent that the fields name, else the main agent
     "span": str,               what the event is about or belongs to
     "parent": str,             that span's parent
     "key": str,                the same key twice is the same record (used before translation)
     "fields": {…}}             the payload; left out: every other member is a field

A line of a classic activity log is read too: it has `event_type` instead of `kind`, `timestamp` and
`session_id`, and its fields stand beside them.

Span ids are the program's own, so two sessions may use the same ones: here they become "<session
key>/<id>". An id that begins with "sdk:" is taken as whole already. An event that starts or ends a span
and names none gets one from what its payload names (the task, the case, the agent), so that start and
end meet; else from its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from holdfast import clock
from holdfast.errors import InvalidEvent
from holdfast.events import (
    KINDS,
    AgentEnded,
    AgentStarted,
    CaseClosed,
    CaseDecided,
    CaseOpened,
    CheckpointNotTaken,
    CheckpointTaken,
    CheckpointTaking,
    Data,
    Event,
    Invalid,
    RecoveryJudged,
    SessionResumed,
    SessionResumeFailed,
    SessionResuming,
    SpanLinked,
    TaskCompleted,
    TaskProgressed,
    TaskStarted,
    canonical,
    parse,
)

SOURCE = "sdk"
DEFAULT_SESSION = "default"
_LAST_US = 253_402_300_799_999_999  # the end of the year 9999, the last moment that can be shown
_ENVELOPE = {"event_type": "kind", "timestamp": "time", "session_id": "session"}  # classic name → ours

_ABOUT_OTHERS = (
    RecoveryJudged,
    SessionResuming,
    SessionResumed,
    SessionResumeFailed,
)  # which belong to the session that they name

_OF_WORKSPACES = (CheckpointTaking, CheckpointTaken, CheckpointNotTaken)  # which may name a session

_FLAT = frozenset({"kind", "time", "session", "span", "parent", "key"})


def translate(body: Mapping[str, Any], *, record_id: str, received_us: int, order: int) -> list[Event]:
    """Turn one record into its event. A bad one becomes an event of kind "invalid" that says why; nothing is
    raised.

    `received_us` is UTC microseconds, `order` the position of the record in its source.
    """
    try:
        return [_event(_unfold(body), record_id, received_us, order)]
    except InvalidEvent as exc:
        why = exc.why
    except RecursionError:
        why = "nested too deeply"
    return [_invalid(body, why, record_id, received_us, order)]


class _Body(NamedTuple):
    kind: str
    time_us: int | None
    session: str
    agent: str | None
    span: str | None
    parent: str | None
    fields: dict[str, Any]


def _unfold(body: Mapping[str, Any]) -> _Body:
    """Check the envelope; raises InvalidEvent."""
    if "kind" not in body and "event_type" in body:
        body = _from_classic(body)
    elif "fields" not in body:
        body = _from_flat(body)
    kind = _text(body, "kind")
    if kind is None:
        raise InvalidEvent("", "kind: required but not given")
    fields = body.get("fields")
    if fields is not None and not isinstance(fields, Mapping):
        raise InvalidEvent(kind, f"fields: expected an object, got {fields!r:.80}")
    return _Body(
        kind=kind,
        time_us=_time_us(kind, body.get("time")),
        session=f"{SOURCE}:{_text(body, 'session') or DEFAULT_SESSION}",
        agent=_text(body, "agent"),
        span=_text(body, "span"),
        parent=_text(body, "parent"),
        fields=dict(fields or {}),
    )


def _from_classic(line: Mapping[str, Any]) -> dict[str, Any]:
    body = {ours: line.get(theirs) for theirs, ours in _ENVELOPE.items()}
    return body | {"fields": {name: value for name, value in line.items() if name not in _ENVELOPE}}


def _from_flat(body: Mapping[str, Any]) -> dict[str, Any]:
    """An event whose fields stand beside its envelope."""
    envelope = {name: value for name, value in body.items() if name in _FLAT}
    if isinstance(body.get("agent"), str):
        envelope["agent"] = body["agent"]
    return envelope | {"fields": {name: value for name, value in body.items() if name not in envelope}}


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None or (isinstance(value, str) and value):
        return value
    raise InvalidEvent(str(body.get("kind")), f"{name}: expected text, got {value!r:.80}")


def _time_us(kind: str, value: object) -> int | None:
    if value is None:
        return None
    time_us = value if isinstance(value, int) and not isinstance(value, bool) else clock.parse_us(value)
    if time_us is None or not 0 <= time_us <= _LAST_US:
        raise InvalidEvent(kind, f"time: expected ISO 8601 or UTC microseconds since 1970, got {value!r:.80}")
    return time_us


def _event(body: _Body, record_id: str, received_us: int, order: int) -> Event:
    named = _take_agent(body.kind, body.fields)
    kind, data = parse(body.kind, body.fields)
    agent = body.agent or named or _name_of(data) or ""
    if isinstance(data, AgentStarted) and data.parent_tool is not None:
        data.parent_tool = _whole_id(body.session, data.parent_tool)
    elif isinstance(data, SpanLinked):
        data.target = _whole_id(body.session, data.target)
    return Event(
        id=record_id,
        kind=kind,
        session=_session(body, data),
        time_us=received_us if body.time_us is None else body.time_us,
        data=data,
        agent=agent,
        span=_span(body, kind, data, agent, record_id),
        parent=None if body.parent is None else _whole_id(body.session, body.parent),
        order=order,
    )


def _session(body: _Body, data: Data) -> str:
    if isinstance(data, _ABOUT_OTHERS):
        return data.about
    if isinstance(data, _OF_WORKSPACES):
        return data.about or f"workspace:{data.workspace}"
    return body.session


def _take_agent(kind: str, fields: dict[str, Any]) -> str | None:
    """Who did it, taken out of the fields; an event about an agent keeps its fields, which describe that
    agent.
    """
    name = canonical(kind)
    if name not in KINDS or KINDS[name].span_kind == "agent":
        return None
    if isinstance(fields.get("agent"), str):
        return str(fields.pop("agent")) or None
    if isinstance(fields.get("agent"), Mapping) and isinstance(fields["agent"].get("name"), str):
        rest = dict(fields.pop("agent"))
        named = str(rest.pop("name"))
        if rest:
            fields["agent"] = rest
        return named or None
    return None


def _name_of(data: Data) -> str | None:
    return data.name if isinstance(data, AgentStarted | AgentEnded) else None


def _span(body: _Body, kind: str, data: Data, agent: str, record_id: str) -> str | None:
    """The span named, else one made for an event that is about a span, else None."""
    if body.span is not None:
        return _whole_id(body.session, body.span)
    known = KINDS.get(kind)
    if known is None or (known.span_kind is None and known.phase == "point"):
        return None
    match data:
        case TaskStarted() | TaskProgressed() | TaskCompleted():
            return f"{body.session}/task/{data.task_id}"
        case CaseOpened() | CaseDecided() | CaseClosed():
            return f"{body.session}/case/{data.case_id}"
        case AgentStarted() | AgentEnded() if agent:
            return f"{body.session}/agent/{agent}"
    return f"{body.session}/{record_id}"


def _whole_id(session: str, span: str) -> str:
    return span if span.startswith(f"{SOURCE}:") else f"{session}/{span}"


def _invalid(body: Mapping[str, Any], why: str, record_id: str, received_us: int, order: int) -> Event:
    """Keep a bad event where it can be found: in its session if that much of it can be read."""
    session, kind = body.get("session", body.get("session_id")), body.get("kind", body.get("event_type"))
    fields = body.get("fields")
    return Event(
        id=record_id,
        kind="invalid",
        session=f"{SOURCE}:{session if isinstance(session, str) and session else DEFAULT_SESSION}",
        time_us=received_us,
        data=Invalid(
            kind=kind if isinstance(kind, str) else "",
            why=why,
            fields=dict(fields) if isinstance(fields, Mapping) else dict(body),
        ),
        order=order,
    )
