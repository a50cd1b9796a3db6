"""The SDK's translator: what a program records, and what becomes of it when it is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.capture.sdk import translate
from holdfast.events import (
    KINDS,
    AgentStarted,
    DecisionMade,
    Invalid,
    SpanLinked,
    ToolUsed,
    Unknown,
    decode,
    encode,
)


def one(body):
    (event,) = translate(body, record_id="r1", received_us=5_000_000, order=7)
    return event


def test_a_whole_body():
    """Every part of the body has its place in the event."""
    event = one(
        {
            "kind": "tool.used",
            "time": "1970-01-01T00:00:01.5Z",
            "session": "s",
            "agent": "coder",
            "span": "call-1",
            "parent": "turn-1",
            "key": "k",
            "fields": {"tool": "Bash", "mood": "good"},
        }
    )
    assert (event.id, event.kind, event.session, event.time_us) == ("r1", "tool.used", "sdk:s", 1_500_000)
    assert (event.agent, event.span, event.parent, event.order) == (
        "coder",
        "sdk:s/call-1",
        "sdk:s/turn-1",
        7,
    )
    assert event.data == ToolUsed(tool="Bash", extra={"mood": "good"})


def test_what_is_left_out():
    """Only the kind is needed: the rest falls back."""
    event = one({"kind": "session.started"})
    assert (event.session, event.time_us, event.agent, event.span) == ("sdk:default", 5_000_000, "", None)


@pytest.mark.parametrize(
    "time", [0, 1_500_000, "1970-01-01T00:00:01.500000+00:00", "1970-01-01T02:00:00+02:00"]
)
def test_times(time):
    """Integers are microseconds; a zone is respected; zero is a time, not a missing one."""
    expected = time if isinstance(time, int) else {"1970-01-01T02:00:00+02:00": 0}.get(time, 1_500_000)
    assert one({"kind": "session.ended", "time": time}).time_us == expected


@pytest.mark.parametrize(
    ("fields", "agent", "extra"),
    [
        ({"agent": "coder"}, "coder", {}),
        ({"agent": {"name": "coder"}}, "coder", {}),
        ({"agent": {"name": "coder", "invoked_by": "boss"}}, "coder", {"agent": {"invoked_by": "boss"}}),
        ({"agent": {"id": 3}}, "", {"agent": {"id": 3}}),
    ],
)
def test_the_agent_may_stand_in_the_fields(fields, agent, extra):
    """A classic event names its agent beside its payload, as text or as an object."""
    event = one({"kind": "decision", "fields": {"question": "q", **fields}})
    assert event.agent == agent
    assert event.data == DecisionMade(question="q", extra=extra)


def test_an_event_about_an_agent_is_that_agents():
    """The agent that started is the event's agent, and its description stays in the payload."""
    fields = {"agent": {"name": "planner", "invoked_by": "boss", "reason": "r"}}
    event = one({"kind": "agent_invocation", "session": "s", "fields": fields})
    assert (event.kind, event.agent) == ("agent.started", "planner")
    assert event.data == AgentStarted(name="planner", parent_agent="boss", reason="r")


def test_a_classic_line():
    """A line of a classic activity log is understood as it is."""
    event = one(
        {
            "event_type": "tool_usage",
            "timestamp": "1970-01-01T00:00:02Z",
            "session_id": "session_20251029_153000",
            "event_id": "evt_001",
            "agent": "coder",
            "tool": {"name": "Task"},
        }
    )
    assert (event.kind, event.session, event.time_us, event.agent) == (
        "tool.used",
        "sdk:session_20251029_153000",
        2_000_000,
        "coder",
    )
    assert event.data == ToolUsed(tool="Task", extra={"event_id": "evt_001"})


# ── Spans ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "kind", [kind.name for kind in KINDS.values() if kind.span_kind or kind.phase != "point"]
)
def test_an_event_about_a_span_always_has_one(kind):
    """Where the program names no span, one is derived, the same for the same record."""
    fields = {
        "tool": "t",
        "task_id": "t",
        "case_id": "c",
        "status": "completed",
        "decision": "granted",
        "span_kind": "phase",
        "agent": "coder",
    }
    body = {"kind": kind, "session": "s", "fields": fields}
    assert one(body).kind == kind
    assert one(body).span.startswith("sdk:s/")
    assert one(body) == one(body)


@pytest.mark.parametrize(
    ("start", "end", "fields"),
    [
        ("task.started", "task.completed", {"task_id": "7"}),
        ("approval.required", "approval.granted", {"approval_id": "a"}),
        ("agent.invoked", "agent.completed", {"agent": "coder"}),
    ],
)
def test_start_and_end_meet_in_one_span(start, end, fields):
    """What the payload names ties start to end, without a span id from the program."""
    first, last = (one({"kind": kind, "fields": fields}) for kind in (start, end))
    assert first.span == last.span
    assert (KINDS[first.kind].phase, KINDS[last.kind].phase) == ("start", "end")


def test_the_same_span_id_in_two_sessions_is_two_spans():
    """Programs number their spans as they like."""
    a, b = (one({"kind": "turn.started", "session": name, "span": "1"}) for name in "ab")
    assert a.span != b.span


def test_a_whole_span_id_reaches_another_session():
    """An id with its session in it is not put into this one; ids in payloads follow the same rule."""
    event = one(
        {
            "kind": "span.linked",
            "session": "b",
            "span": "2",
            "fields": {"link_kind": "retry_of", "target": "sdk:a/1"},
        }
    )
    assert (event.span, event.data) == ("sdk:b/2", SpanLinked(link_kind="retry_of", target="sdk:a/1"))
    started = one({"kind": "agent.started", "session": "b", "fields": {"name": "x", "parent_tool": "t1"}})
    assert started.data.parent_tool == "sdk:b/t1"


# ── What is wrong or unknown ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ({}, ["kind: required"]),
        ({"kind": 5}, ["kind: expected text, got 5"]),
        ({"kind": ""}, ["kind: expected text"]),
        ({"kind": "x", "fields": [1]}, ["fields: expected an object, got [1]"]),
        ({"kind": "x", "session": 5}, ["session: expected text, got 5"]),
        ({"kind": "x", "time": "soon"}, ["time: expected ISO 8601", "'soon'"]),
        ({"kind": "x", "time": True}, ["time", "True"]),
        ({"kind": "x", "time": 10**30}, ["time"]),
        ({"kind": "x", "time": -1}, ["time"]),
        ({"kind": "tool.used", "session": "s", "fields": {"tool": 1}}, ["tool: expected text, got 1"]),
    ],
)
def test_a_bad_event_is_kept_and_says_why(body, parts):
    """Nothing is raised and nothing is lost: the event is there, invalid, with its reason and its fields."""
    event = one(body)
    assert event.kind == "invalid"
    assert isinstance(event.data, Invalid)
    for part in parts:
        assert part in event.data.why
    assert event.session == ("sdk:s" if body.get("session") == "s" else "sdk:default")
    assert event.id == "r1"
    if isinstance(body.get("fields"), dict):
        assert event.data.fields == body["fields"]
    else:
        assert event.data.fields == body


def test_an_unknown_kind_is_kept():
    """What this version does not know goes through untouched, agent and all."""
    event = one({"kind": "weather.changed", "fields": {"agent": "sky", "to": "rain"}})
    assert (event.kind, event.span) == ("weather.changed", None)
    assert event.data == Unknown(fields={"agent": "sky", "to": "rain"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(sorted(KINDS)) | json_values,
        "event_type": st.sampled_from(["tool_usage", "error"]),
        "time": json_values,
        "session": st.text() | json_values,
        "agent": st.text() | json_values,
        "span": st.text() | json_values,
        "parent": st.text() | json_values,
        "fields": st.dictionaries(
            st.sampled_from(
                ["tool", "agent", "name", "status", "task_id", "options", "context", "error", "result"]
            )
            | st.text(),
            json_values,
            max_size=5,
        )
        | json_values,
    },
)


@given(bodies)
def test_nothing_is_ever_raised(body):
    """Any JSON object gives exactly one event, and the caller's body is left alone."""
    before = repr(body)
    event = one(body)
    assert repr(body) == before
    assert event.kind in KINDS or isinstance(event.data, Unknown)


@given(bodies)
def test_what_came_as_json_can_be_written_as_json(body):
    """Every event made from real JSON survives its own encoding."""
    try:
        body = json.loads(json.dumps(body, allow_nan=False))
    except ValueError:
        return
    event = one(body)
    try:
        raw = encode(event)
    except OverflowError:  # an integer beyond 64 bits in a field we do not know
        return
    assert decode(raw) == event


def test_deep_nesting_is_an_answer_too():
    """Nesting beyond the interpreter's stack is reported, not raised."""
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    event = one({"kind": "tool.used", "fields": {"tool": "x", "parameters": deep}})
    assert event.kind == "invalid"
    assert "deep" in event.data.why
