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
