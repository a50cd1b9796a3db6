"""Events: any spelling in, one payload out; nothing that came is lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidEvent
from holdfast.events import (
    KINDS,
    AgentEnded,
    AgentStarted,
    Check,
    ContextSnapshot,
    DecisionMade,
    ErrorRaised,
    Event,
    FileChanged,
    Option,
    ToolUsed,
    Unknown,
    ValidationCompleted,
    canonical,
    decode,
    encode,
    parse,
    reference,
)
from holdfast.events.spellings import IMPLIED, RENAMES, SECTIONS, WORDS

# ── The seven classic kinds: nested, flat, and what both mean ─────────────────────────────────

CLASSIC = {
    "agent_invocation": (
        {
            "agent": {"name": "planner", "invoked_by": "orchestrator", "reason": "new feature"},
            "context": {
                "tokens_before": 1000,
                "tokens_after": 1400,
                "tokens_consumed": 400,
                "files_in_context": ["a.py"],
            },
            "metadata": {"user_request": "add login", "expected_outcome": "a plan"},
        },
        {
            "agent": "planner",
            "invoked_by": "orchestrator",
            "reason": "new feature",
            "status": "started",
            "context": {
                "tokens_before": 1000,
                "tokens_after": 1400,
                "tokens_consumed": 400,
                "files_in_context": ["a.py"],
            },
            "tokens_consumed": 400,
            "user_request": "add login",
            "expected_outcome": "a plan",
        },
        "agent.started",
        AgentStarted(
            name="planner",
            parent_agent="orchestrator",
            reason="new feature",
            user_request="add login",
            expected_outcome="a plan",
            tokens_consumed=400,
            context={
                "tokens_before": 1000,
                "tokens_after": 1400,
                "tokens_consumed": 400,
                "files_in_context": ["a.py"],
            },
        ),
    ),
    "tool_usage": (
        {
            "tool": {
                "name": "Task",
                "subagent_type": "coder",
                "description": "d",
                "parameters": {"prompt": "go"},
            },
            "execution": {
                "start_time": "2025-10-29T15:30:00Z",
                "end_time": "2025-10-29T15:30:02Z",
                "duration_ms": 2000,
                "success": False,
                "error": "no such file",
            },
            "result": {"summary": "nothing", "tokens_consumed": 7, "files_accessed": ["x.py"]},
        },
        {
            "tool": "Task",
            "agent_type": "coder",
            "description": "d",
            "parameters": {"prompt": "go"},
            "started_at": "2025-10-29T15:30:00Z",
            "ended_at": "2025-10-29T15:30:02Z",
            "duration_ms": 2000.2,
            "success": False,
            "error_message": "no such file",
            "result_summary": "nothing",
            "tokens_consumed": 7,
            "files_accessed": ["x.py"],
        },
        "tool.used",
        ToolUsed(
            tool="Task",
            status="failed",
            input='{"prompt":"go"}',
            description="d",
            agent_type="coder",
            output="nothing",
            error_message="no such file",
            duration_ms=2000,
            started_at="2025-10-29T15:30:00Z",
            ended_at="2025-10-29T15:30:02Z",
            tokens_consumed=7,
            files_accessed=["x.py"],
        ),
    ),
    "file_operation": (
        {
            "operation": {
                "type": "write",
                "file_path": "a.py",
                "size_bytes": 10,
                "lines": 2,
                "hash_before": "h1",
                "hash_after": "h2",
                "diff_summary": "+1 line",
            },
            "context": {"task": "t", "rationale": "because"},
        },
        {
            "operation": "modify",
            "file_path": "a.py",
            "file_size_bytes": 10,
            "lines": 2,
            "git_hash_before": "h1",
            "git_hash_after": "h2",
            "diff_summary": "+1 line",
            "task": "t",
            "rationale": "because",
        },
        "file.changed",
        FileChanged(
            operation="modify",
            path="a.py",
            size_bytes=10,
            lines=2,
            hash_before="h1",
            hash_after="h2",
            diff_summary="+1 line",
            task="t",
            rationale="because",
        ),
    ),
    "decision": (
        {
            "decision": {
                "question": "which?",
                "options": [
                    {"choice": "a", "reasoning": "fast", "confidence": 0.9},
                    {"choice": "b", "reasoning": "slow", "confidence": 0.1},
                ],
                "selected": "a",
                "rationale": "speed",
            },
        },
        {
            "question": "which?",
            "options": [
                {"choice": "a", "reasoning": "fast", "confidence": 0.9},
                {"choice": "b", "reasoning": "slow", "confidence": 0.1},
            ],
            "selected": "a",
            "rationale": "speed",
            "confidence": 0.9,
        },
        "decision.made",
        DecisionMade(
            question="which?",
            options=[
                Option(choice="a", reasoning="fast", confidence=0.9),
                Option(choice="b", reasoning="slow", confidence=0.1),
            ],
            selected="a",
            rationale="speed",
            confidence=0.9,
        ),
    ),
    "error": (
        {
            "error": {
                "type": "TimeoutError",
                "message": "too slow",
                "severity": "warning",
                "recoverable": True,
                "context": {"host": "h"},
                "stack_trace": "…",
                "attempted_fix": "retry",
                "fix_successful": True,
                "fix_result": {"attempts": 2},
            },
        },
        {
            "error_type": "TimeoutError",
            "error_message": "too slow",
            "severity": "medium",
            "recoverable": True,
            "context": {"host": "h"},
            "stack_trace": "…",
            "attempted_fix": "retry",
            "fix_successful": True,
            "fix_result": {"attempts": 2},
        },
        "error.raised",
        ErrorRaised(
            error_type="TimeoutError",
            message="too slow",
            severity="warning",
            recoverable=True,
            context={"host": "h"},
            stack_trace="…",
            attempted_fix="retry",
            fix_successful=True,
            fix_result={"attempts": 2},
        ),
    ),
    "context_snapshot": (
        {
            "trigger": "token_limit",
            "snapshot": {
                "tokens_used": 150_000,
                "tokens_remaining": 50_000,
                "agents_invoked": ["planner"],
                "tasks_completed": 3,
                "files_modified": ["a.py"],
                "current_phase": "p",
                "current_task": "t",
                "active_agents": ["coder"],
                "key_context": ["k"],
            },
        },
        {
            "trigger": "token_limit",
            "tokens_after": 150_000,
            "tokens_remaining": 50_000,
            "agents_invoked": ["planner"],
            "tasks_completed": 3,
            "files_modified": ["a.py"],
            "current_phase": "p",
            "current_task": "t",
            "active_agents": ["coder"],
            "key_context": ["k"],
        },
        "context.snapshot",
        ContextSnapshot(
            trigger="token_limit",
            tokens_after=150_000,
            tokens_remaining=50_000,
            agents_invoked=["planner"],
            tasks_completed=3,
            files_modified=["a.py"],
            current_phase="p",
            current_task="t",
            active_agents=["coder"],
            key_context=["k"],
        ),
    ),
    "validation": (
        {
            "validation": {
                "type": "performance",
                "target": {"component": "c", "metric": "fps", "threshold": 60, "measured": 58},
                "result": "FAIL",
                "checks": [{"name": "fps", "pass": False}, {"name": "memory", "pass": True}],
                "action_required": "optimise",
            },
        },
        {
            "validation_type": "performance",
            "target": {"component": "c", "metric": "fps", "threshold": 60, "measured": 58},
            "result": "fail",
            "checks": {"fps": "fail", "memory": "pass"},
            "action_required": "optimise",
        },
        "validation.completed",
        ValidationCompleted(
            validation_type="performance",
            target={"component": "c", "metric": "fps", "threshold": 60, "measured": 58},
            result="fail",
            checks=[Check(name="fps", result="fail"), Check(name="memory", result="pass")],
            action_required="optimise",
        ),
    ),
}


@pytest.mark.parametrize("layout", [0, 1], ids=["nested", "flat"])
@pytest.mark.parametrize("kind", CLASSIC)
def test_classic_layouts_mean_the_same(kind, layout):
    """Each classic kind, nested or flat, becomes the same canonical payload."""
    *layouts, name, payload = CLASSIC[kind]
    assert parse(kind, layouts[layout]) == (name, payload)


@pytest.mark.parametrize("kind", CLASSIC)
def test_parsing_leaves_what_came_alone(kind):
    """The caller's fields are not changed."""
    for fields in CLASSIC[kind][:2]:
        before = json.dumps(fields)
        parse(kind, fields)
        assert json.dumps(fields) == before


def test_flat_fields_the_nested_layout_lacks():
    """The flat context snapshot and file operation carry figures of their own."""
    _, snapshot = parse(
        "context_snapshot",
        {
            "tokens_before": 1,
            "tokens_after": 3,
            "tokens_consumed": 2,
            "tokens_total_budget": 200_000,
            "memory_mb": 1.5,
        },
    )
    assert snapshot == ContextSnapshot(
        tokens_before=1, tokens_after=3, tokens_consumed=2, token_budget=200_000, memory_mb=1.5
    )
    _, change = parse(
        "file_operation",
        {"operation": "create", "file_path": "a", "lines_changed": 3, "diff": "+x", "language": "python"},
    )
    assert change == FileChanged(operation="create", path="a", lines_changed=3, diff="+x", language="python")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("started", "agent.started"),
        ("completed", "agent.ended"),
        ("failed", "agent.ended"),
        (None, "agent.started"),
    ],
)
def test_invocation_is_start_or_end_by_its_status(status, kind):
    """A classic invocation with an outcome is an end."""
    name, data = parse("agent_invocation", {"agent": "coder", "status": status})
    assert name == kind
    assert data.name == "coder"
    if status in {"completed", "failed"}:
        assert data.status == status


@pytest.mark.parametrize("status", ["success", "Completed", "in progress", None])
def test_an_invocations_status_may_be_any_word(status):
    """Other systems' words decide between start and end too, and end as ours."""
    name, data = parse("agent_invocation", {"agent": "coder", "status": status})
    if status in {"success", "Completed"}:
        assert (name, data) == ("agent.ended", AgentEnded(name="coder", status="completed"))
    else:
        assert (name, data) == ("agent.started", AgentStarted(name="coder"))


def test_why_an_agent_was_invoked_is_not_why_it_ended():
    """The reason of a finished invocation is kept apart from the reason of its end."""
    name, data = parse(
        "agent_invocation",
        {
            "agent": "coder",
            "status": "failed",
            "reason": "implement",
            "error_message": "boom",
            "result": {"n": 1},
        },
    )
    assert name == "agent.ended"
    assert data == AgentEnded(
        name="coder",
        status="failed",
        reason="boom",
        result='{"n":1}',
        extra={"invocation_reason": "implement"},
    )


@pytest.mark.parametrize(
    ("before", "operation"), [(None, "create"), ("", "create"), ("h", "modify"), (..., "modify")]
)
def test_write_over_nothing_is_a_creation(before, operation):
    """A write is a creation only where the source says that nothing was there."""
    given_hash = {} if before is ... else {"hash_before": before}
    _, data = parse("file_operation", {"operation": {"type": "write", "file_path": "a", **given_hash}})
    assert data.operation == operation


# ── Kinds ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spelling", "kind"),
    [
        ("tool_usage", "tool.used"),
        ("tool.used", "tool.used"),
        ("tool_used", "tool.used"),
        ("tool.error", "tool.ended"),
        ("agent.completed", "agent.ended"),
        ("agent_handoff", "handoff.made"),
        ("snapshot.created", "checkpoint.created"),
        ("approval.required", "case.opened"),
        ("approval_denied", "case.decided"),
        ("task.stage_changed", "task.progressed"),
        ("test.run_completed", "test.completed"),
        ("session.summary", "session.summarised"),
        ("code_exec", "code.executed"),
        ("file_gen", "file.changed"),
        ("state_transition", "state.changed"),
        ("workflow.started", "span.started"),
        ("cost.tracked", "cost.tracked"),
        ("weather.changed", "weather.changed"),
        ("", ""),
    ],
)
def test_every_spelling_has_one_kind(spelling, kind):
    """Snake case and dots, old names and new, lead to one kind; what is unknown stays as it is."""
    assert canonical(spelling) == kind


def test_no_spelling_has_two_kinds():
    """An alias never hides another kind."""
    owners: dict[str, str] = {}
    for kind in KINDS.values():
        for name in (kind.name, *kind.aliases):
            for spelling in {name, name.replace(".", "_")}:
                assert owners.setdefault(spelling, kind.name) == kind.name


def test_tables_name_only_what_exists():
    """A table row for a kind or field that does not exist would never be used."""
    for table in (SECTIONS, RENAMES, {kind: words for kind, words in WORDS.items() if kind}):
        assert set(table) <= set(KINDS)
    for kind, words in WORDS.items():
        if kind:
            assert set(words) <= _field_names(kind)
    for kind, renames in RENAMES.items():
        assert set(renames.values()) <= _field_names(kind), kind
    for spelling, fields in IMPLIED.items():
        kind = canonical(spelling)
        assert kind in KINDS, spelling
        assert set(fields) <= _field_names(kind), spelling


def _field_names(kind: str) -> set[str]:
    return {field.name for field in msgspec.structs.fields(KINDS[kind].payload)}


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("agent.failed", {"agent": "a", "error": "boom"}, {"status": "failed", "reason": "boom"}),
        ("agent.timeout", {"agent": "a"}, {"status": "failed", "reason": "timeout"}),
        ("task.failed", {"task_id": "t"}, {"status": "failed"}),
        ("task.completed", {"task_id": "t", "status": "success"}, {"status": "completed"}),
        ("approval.denied", {"approval_id": "c", "actor": "me"}, {"decision": "denied", "case_id": "c"}),
        ("phase.started", {"name": "build"}, {"span_kind": "phase", "name": "build"}),
        (
            "test.run_completed",
            {"test_suite": "unit", "status": "passed", "passed": 3},
            {"result": "pass", "suite": "unit"},
        ),
        (
            "blocker.detected",
            {"description": "stuck"},
            {"topic": "blocker", "severity": "warning", "text": "stuck"},
        ),
        ("file_gen", {"file_path": "plot.png"}, {"operation": "create", "path": "plot.png"}),
        ("error", {"message": "m", "severity": "high"}, {"severity": "error"}),
        ("error", {"message": "m", "severity": None}, {"severity": "error"}),
        ("tool.used", {"tool": "Bash"}, {"status": None}),
        (
            "code_exec",
            {"language": "python", "success": True, "exit_code": 0},
            {"status": "completed", "exit_code": 0},
        ),
    ],
)
def test_other_spellings_fill_our_fields(kind, fields, expected):
    """What a kind's name, or other names and words of its fields, say ends in our fields."""
    _, data = parse(kind, fields)
    assert {name: getattr(data, name) for name in expected} == expected


# ── What does not fit ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "fields", "parts"),
    [
        ("tool_usage", {}, ["tool: required but not given; expected text"]),
        ("tool.used", {"tool": 5}, ["tool: expected text, got 5"]),
        (
            "tool.used",
            {"tool": "x", "duration_ms": "soon"},
            ["duration_ms: expected integer or null, got 'soon'"],
        ),
        (
            "tool.used",
            {"tool": "x", "duration_ms": -1},
            ["duration_ms: expected integer or null >= 0, got -1"],
        ),
        (
            "tool.used",
            {"tool": "x", "tokens_consumed": 10**30},
            ["tokens_consumed", "<= 9223372036854775807"],
        ),
        ("tool.used", {"tool": "x", "status": "great"}, ["status: expected one of pending", "got 'great'"]),
        (
            "tool.used",
            {"tool": "x", "success": "yes", "files_accessed": [1]},
            ["files_accessed[0]: expected str, got 1"],
        ),
        (
            "error",
            {"message": "m", "severity": "bad"},
            ["severity: expected one of debug, info, warning", "'bad'"],
        ),
        (
            "decision",
            {"question": "q", "options": ["a", "b"], "selected": "c"},
            ["selected", "['a', 'b']", "'c'"],
        ),
        ("decision", {"question": "q", "options": [{"reasoning": "r"}]}, ["options[0].choice: required"]),
        (
            "decision",
            {"question": "q", "confidence": 1.5},
            ["confidence: expected number or null <= 1.0, got 1.5"],
        ),
        ("decision", {"question": "q", "confidence": float("nan")}, ["confidence", "nan"]),
        (
            "validation",
            {"result": "maybe"},
            ["result: expected one of pass, fail, warning, skipped, got 'maybe'"],
        ),
        ("validation", {"result": "pass", "checks": {"a": "hm"}}, ["checks", "'hm'"]),
        (
            "file_operation",
            {"operation": "chew", "file_path": "a"},
            ["operation: expected one of create", "'chew'"],
        ),
        ("assessment.made", {"alignment": "fine"}, ["alignment: expected one of on_track", "'fine'"]),
    ],
)
def test_a_bad_event_says_field_value_and_what_is_expected(kind, fields, parts):
    """The message is enough to repair the event."""
    with pytest.raises(InvalidEvent) as caught:
        parse(kind, fields)
    assert kind in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_decision_without_options_may_select_anything():
    """Where no options are given there is nothing to compare the selection with."""
    _, data = parse("decision", {"question": "q", "selected": "c"})
    assert data.selected == "c"


def test_an_error_message_is_bounded():
    """A huge bad value is not repeated in full."""
    with pytest.raises(InvalidEvent) as caught:
        parse("tool.used", {"tool": ["x" * 10_000]})
    assert len(str(caught.value)) < 300


# ── What is unknown ───────────────────────────────────────────────────────────────────────────


def test_unknown_fields_are_kept():
    """A field no payload knows is in `extra`, also one left over in a section."""
    _, started = parse("agent.started", {"name": "x", "status": "completed"})
    assert started == AgentStarted(name="x", extra={"status": "completed"})
    _, data = parse("tool_usage", {"tool": {"name": "T", "colour": "red"}, "mood": 3, "extra": {"old": 1}})
    assert data == ToolUsed(tool="T", extra={"tool": {"colour": "red"}, "mood": 3, "old": 1})


@pytest.mark.parametrize(
    ("kind", "section"),
    [(kind, section) for kind, (nested, *_) in CLASSIC.items() for section in nested if section != "trigger"],
)
def test_no_section_loses_what_it_holds(kind, section):
    """A key that nobody expected in a section of the nested layout is still there afterwards."""
    nested = CLASSIC[kind][0]
    _, data = parse(kind, nested | {section: nested[section] | {"surprise": "kept"}})
    assert "kept" in json.dumps(msgspec.to_builtins(data))


def test_two_names_for_one_field_keep_both():
    """Where our name is given too, the other one stays beside it."""
    _, data = parse("message", {"text": "ours", "content": "theirs"})
    assert data.text == "ours"
    assert data.extra == {"content": "theirs"}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(), json_values, max_size=5)


@given(st.text().filter(lambda kind: canonical(kind) not in KINDS), objects)
def test_unknown_kinds_come_back_as_they_were(kind, fields):
    """An unknown kind is never an error, and loses nothing on its way out and in."""
    name, data = parse(kind, fields)
    assert (name, data) == (kind, Unknown(fields=fields))
    event = _event(name, data)
    assert decode(encode(event)) == event


# ── Round trips ───────────────────────────────────────────────────────────────────────────────


def _values(type_: msgspec.inspect.Type) -> st.SearchStrategy[Any]:  # noqa: C901 - one case per type
    """Values of a field's type."""
    match type_:
        case msgspec.inspect.IntType():
            return st.integers(-(2**63) if type_.ge is None else type_.ge, 2**63 - 1)
        case msgspec.inspect.FloatType():
            return st.floats(type_.ge, type_.le, allow_nan=False, allow_infinity=False)
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.StrType():
            return st.text()
        case msgspec.inspect.NoneType():
            return st.none()
        case msgspec.inspect.UnionType():
            return st.one_of(*map(_values, type_.types))
        case msgspec.inspect.ListType():
            return st.lists(_values(type_.item_type), max_size=2)
        case msgspec.inspect.DictType():
            return objects
        case msgspec.inspect.AnyType():
            return json_values
        case msgspec.inspect.StructType():
            return _structs(type_.cls)
    raise AssertionError(type_)


def _structs(cls: type) -> st.SearchStrategy[Any]:
    fields = msgspec.inspect.type_info(cls).fields
    required = {field.name: _values(field.type) for field in fields if field.required}
    optional = {field.name: _values(field.type) for field in fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: cls(**values))


def _event(kind: str, data: Any, **more: Any) -> Event:
    return Event(id="e1", kind=kind, session="sdk:s", data=data, **{"time_us": None} | more)


events = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.builds(
        _event,
        st.just(kind),
        _structs(KINDS[kind].payload),
        time_us=st.none() | st.integers(-(2**63), 2**63 - 1),
        agent=st.text(),
        span=st.none() | st.text(),
        parent=st.none() | st.text(),
        order=st.integers(0, 2**63 - 1),
    )
)


@given(events)
def test_roundtrip(event):
    """Reading back a written event gives the same event."""
    assert decode(encode(event)) == event


@given(st.sampled_from(sorted(KINDS)), objects, st.data())
def test_parsing_twice_changes_nothing(kind, more, data):
    """A parsed payload, written out and parsed again, is itself: normalising has nothing left to do."""
    known = _field_names(kind)
    fields = {
        field.name: data.draw(_values(field.type))
        for field in msgspec.inspect.type_info(KINDS[kind].payload).fields
        if field.required or data.draw(st.booleans())
    }
    for name, words in (WORDS[""] | WORDS.get(kind, {})).items():
        if name in known:
            fields[name] = data.draw(st.sampled_from(sorted(words)))
    try:
        name, first = parse(kind, more | msgspec.to_builtins(fields))
    except InvalidEvent:
        return
    assert parse(name, msgspec.to_builtins(first)) == (name, first)


@given(st.sampled_from(sorted(KINDS)), objects)
def test_any_object_is_read_or_refused(kind, fields):
    """Whatever comes, the answer is a payload or InvalidEvent."""
    try:
        name, _ = parse(kind, fields)
    except InvalidEvent:
        return
    assert name in KINDS


def test_a_newer_payload_is_kept_unread():
    """An event of a version this build does not know survives reading and writing."""
    raw = b'{"id":"e","kind":"tool.used","v":9,"session":"sdk:s","data":{"tool":{"new":"shape"}}}'
    event = decode(raw)
    assert event.data == Unknown(fields={"tool": {"new": "shape"}}, version=9)
    assert json.loads(encode(event)) == json.loads(raw)


def test_a_payload_of_another_kind_is_not_written():
    """Mixing kind and payload is a bug, found where it happens."""
    with pytest.raises(TypeError, match="cannot carry ToolUsed"):
        encode(_event("turn.started", ToolUsed(tool="x")))


# ── The reference ─────────────────────────────────────────────────────────────────────────────


def test_reference_lists_every_kind_in_plain_words():
    """Every kind has a sentence; every field a type that needs no Python to be read."""
    rows = reference()
    assert [row["kind"] for row in rows] == list(KINDS)
    for row in rows:
        assert row["sentence"].endswith(".")
        assert json.loads(json.dumps(row)) == row
        for field in row["fields"]:
            assert "typing" not in field["type"], field
            assert "class" not in field["type"], field
    tool = next(row for row in rows if row["kind"] == "tool.used")
    assert tool["fields"][0] == {"name": "tool", "type": "text", "required": True}
    assert {"name": "duration_ms", "type": "integer or null", "required": False} in tool["fields"]
    assert "tool_usage" in tool["aliases"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_figures_carry_their_unit(kind):
    """A number's name ends in its unit, or counts something, or the payload's notes explain it."""
    units = (
        "_ms",
        "_us",
        "_s",
        "_usd",
        "_bytes",
        "_tokens",
        "_pct",
        "_mb",
        "_minutes",
        "_count",
        "_rank",
        "_chars",
    )
    notes = KINDS[kind].payload.__doc__ or ""
    counted = {"lines_added", "lines_removed", "web_searches", "exit_code", "pid", "depth"}
    for field in msgspec.inspect.type_info(KINDS[kind].payload).fields:
        options = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else [field.type]
        if not any(isinstance(each, msgspec.inspect.IntType | msgspec.inspect.FloatType) for each in options):
            continue
        name = field.name
        said = name.endswith(units) or name.startswith("tokens_") or name in counted or name in notes
        assert said or "counts are of tests" in notes, f"{kind}.{name}"
