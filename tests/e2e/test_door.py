"""The Python door and `holdfast record`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CLASSIC = [
    {"kind": "agent_invocation", "agent": {"name": "planner", "invoked_by": "main", "reason": "plan"}},
    {
        "kind": "tool_usage",
        "agent": "planner",
        "tool": {"name": "Bash"},
        "execution": {"success": True, "duration_ms": 5},
    },
    {"kind": "tool_usage", "agent": "planner", "tool": "Bash", "success": False, "error_message": "no"},
    {"kind": "file_operation", "agent": "planner", "operation": {"type": "write", "file_path": "/w/a.py"}},
    {"kind": "decision", "agent": "planner", "question": "which?", "options": ["a", "b"], "selected": "a"},
    {"kind": "error", "agent": "planner", "error_type": "ValueError", "error_message": "bad"},
    {"kind": "context_snapshot", "agent": "planner", "trigger": "manual", "tokens_consumed": 10},
    {
        "kind": "validation",
        "agent": "planner",
        "validation_type": "unit",
        "checks": {"a": "pass"},
        "result": "PASS",
    },
]


def _send(run, *events: dict, args: tuple[str, ...] = ()):
    return run("record", *args, stdin="".join(json.dumps(event) + "\n" for event in events))


def test_the_seven_classic_kinds_are_recorded_and_shown(run):
    done = _send(run, *({"session": "s"} | event for event in CLASSIC))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(set(done.stdout.split())) == len(CLASSIC)
    shown = json.loads(run("show", "s", "--json").stdout)
    assert shown["session"]["tool_calls"] == 2
    assert shown["session"]["errors"] == 2
    kinds = shown["events"]
    for kind in ("file.changed", "decision.made", "error.raised", "context.snapshot", "validation.completed"):
        assert kinds.get(kind) == 1, kinds
    assert "invalid" not in kinds


def test_the_same_key_twice_is_one_event_and_gives_the_first_id(run):
    event = {"kind": "tool.used", "session": "s", "key": "k1", "tool": "Bash", "status": "completed"}
    first, second = (_send(run, event).stdout for _ in range(2))
    assert first == second
    assert json.loads(run("show", "s", "--json").stdout)["session"]["tool_calls"] == 1


def test_a_bad_event_is_kept_with_the_reason_or_refused_when_strict(run):
    bad = {
        "kind": "decision.made",
        "session": "s",
        "question": "q",
        "options": [{"choice": "a"}],
        "selected": "z",
    }
    assert _send(run, bad).returncode == 0
    assert json.loads(run("show", "s", "--json").stdout)["events"] == {"invalid": 1}
    refused = _send(run, bad, args=("--strict",))
    assert refused.returncode == 2
    assert "selected" in refused.stderr


def test_unknown_kinds_and_fields_are_kept(run):
    _send(run, {"kind": "vendor.special", "session": "s", "fields": {"deep": {"a": [1, 2]}}})
    entries = json.loads(run("timeline", "s", "--json").stdout)["entries"]
    assert entries[0]["kind"] == "vendor.special"
    assert entries[0]["data"]["fields"] == {"deep": {"a": [1, 2]}}


def test_record_from_python_is_safe_when_it_returns(run, home):
    program = (
        "import holdfast, os, signal\n"
        "for n in range(100):\n"
        "    print(holdfast.record('tool.used', session='py', agent='a', tool='Bash', status='completed', n=n), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert len(done.stdout.split()) == 100
    assert json.loads(run("show", "py", "--json").stdout)["session"]["tool_calls"] == 100


def test_record_rejects_what_json_cannot_hold_only_when_it_must(run, home):
    program = (
        "import holdfast, datetime, pathlib\n"
        "holdfast.record('notice.raised', session='py', message='m', when=datetime.datetime(2026, 1, 1), where=pathlib.Path('/x'),"
        " thing=object(), nan=float('nan'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(run("show", "py", "--json").stdout)["events"] == {"notice.raised": 1}


@pytest.mark.parametrize("text", ["", "\n\n", "   \n"])
def test_nothing_on_standard_input_records_nothing(text, run):
    done = run("record", stdin=text)
    assert (done.returncode, done.stdout) == (0, "")


def test_of_different_events_under_one_key_the_first_counts(run):
    first = {"kind": "tool.used", "session": "s", "key": "k", "tool": "Bash", "status": "completed"}
    run("sessions")
    _send(run, first)
    run("sessions")  # folded between, and not: both ways
    _send(run, first | {"status": "failed"}, first | {"status": "failed", "tool": "Other"})
    (tool,) = json.loads(run("stats", "--json").stdout)["tools"]
    assert (tool["tool"], tool["completed"], tool["failed"]) == ("Bash", 1, 0)
    run("rebuild")
    assert json.loads(run("stats", "--json").stdout)["tools"] == [tool]


def test_a_session_with_an_open_task_is_not_over(run):
    _send(
        run,
        {"kind": "task.started", "session": "s", "agent": "builder", "task_id": "t1", "task_name": "Build"},
    )
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert (session["state"], session["state_grade"]) == ("working", "inferred")
    (later,) = json.loads(run("sessions", "--json", env={"HOLDFAST_NOW": "2099-01-01T00:00:00Z"}).stdout)[
        "sessions"
    ]
    assert later["state"] == "interrupted"
    _send(
        run,
        {"kind": "task.completed", "session": "s", "agent": "builder", "task_id": "t1", "status": "success"},
    )
    (done,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert done["state"] == "idle"


def test_only_named_agents_are_counted(run):
    _send(run, {"kind": "notice.raised", "session": "s", "message": "m"})
    assert json.loads(run("show", "s", "--json").stdout)["agents"] == []
    _send(run, {"kind": "notice.raised", "session": "s", "agent": "a", "message": "m"})
    assert [agent["id"] for agent in json.loads(run("show", "s", "--json").stdout)["agents"]] == ["a"]


def test_missing_token_figures_are_unknown_not_zero(run):
    _send(
        run,
        {"kind": "llm.called", "session": "s", "agent": "a", "model": "claude-opus-5-5", "output_tokens": 5},
    )
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert session["tokens"]["input"] is None
    assert session["tokens"]["unknown_calls"] == 1
    assert session["cost_usd"] is None
    assert "unknown" in run("show", "s").stdout


def test_events_that_do_not_fit_are_noticed_by_doctor(run):
    _send(run, {"kind": "decision.made", "session": "s"})
    done = run("doctor")
    assert done.returncode == 0
    assert "do not fit their kind: 1" in done.stdout


def test_the_cost_of_an_agent_without_recorded_calls_is_unknown_and_no_sum_passes_for_complete(run):
    call = {"kind": "llm.called", "session": "s", "model": "claude-haiku-4-5-20251001", "output_tokens": 7}
    _send(
        run,
        {"kind": "agent.started", "session": "s", "agent": "told", "agent_type": "worker"},
        call | {"agent": "told", "input_tokens": 5},
    )
    whole = json.loads(run("show", "s", "--json").stdout)["session"]
    assert whole["cost_complete"] is True
    assert whole["cost_usd"] > 0

    _send(run, {"kind": "agent.started", "session": "s", "agent": "silent", "agent_type": "worker"})
    lacking = json.loads(run("show", "s", "--json").stdout)["session"]
    assert (lacking["cost_usd"], lacking["cost_complete"]) == (whole["cost_usd"], False)
    assert json.loads(run("--json").stdout)["totals"]["cost_complete"] is False
    (worker,) = (
        row
        for row in json.loads(run("stats", "--json").stdout)["agent_types"]
        if row["agent_type"] == "worker"
    )
    assert worker["cost_complete"] is False
    assert "no model calls of 1 agent are recorded" in run("show", "s").stdout
    assert "the cost of agents without a recorded model call is unknown" in run().stdout


def test_an_unpriced_model_is_named_on_the_first_screen(run):
    call = {"kind": "llm.called", "session": "s", "model": "strange", "input_tokens": 5, "output_tokens": 7}
    _send(run, call)
    assert "the cost of 1 model call is unknown" in run().stdout
