"""The first run needs no set-up, and the screen says what matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tests.e2e.conftest import CAPTURED


def test_with_history_the_bare_command_imports_and_shows_it(run, history, home):
    done = run(env={"HOLDFAST_NOW": "2026-11-22T12:00:00Z"})
    assert done.returncode == 0
    assert "10 sessions" in done.stdout
    assert "4 interrupted" in done.stdout
    assert "33333333" in done.stdout
    assert home.is_dir()


def test_without_history_samples_are_shown_and_named_so(run, home):
    done = run()
    assert done.returncode == 0
    assert "No agent history was found" in done.stderr
    assert "sample recordings" in done.stderr
    assert "async" not in done.stderr
    assert json.loads(run("--json").stdout)["sample"] is True
    assert list((home / "journal").iterdir()) == []


def test_once_something_is_recorded_samples_are_gone(run):
    run()
    run("record", stdin='{"kind": "notice.raised", "message": "hello"}\n')
    assert json.loads(run("--json").stdout)["sample"] is False


def test_nothing_is_written_outside_the_home(run, history, home, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in history.rglob("*")}
    run()
    run("doctor")
    assert {path: path.stat().st_mtime_ns for path in history.rglob("*")} == before
    outside = {
        p for p in tmp_path.rglob("*") if home not in (p, *p.parents) and history not in (p, *p.parents)
    }
    assert {p.name for p in outside} == {"user", "workspace"}


def test_new_lines_show_without_importing_again(run, history):
    run()
    (transcript,) = history.rglob("8dc736b7*.jsonl")
    with transcript.open("ab") as file:
        prompt = {
            "type": "user",
            "uuid": "new",
            "sessionId": transcript.stem,
            "timestamp": "2026-11-22T11:59:50.000Z",
            "version": "2.1.330",
            "message": {"role": "user", "content": "one more thing"},
        }
        file.write(json.dumps(prompt).encode() + b"\n")
    listed = json.loads(run("sessions", "--json", env={"HOLDFAST_NOW": "2026-11-22T12:00:00Z"}).stdout)[
        "sessions"
    ]
    assert listed[0]["id"] == transcript.stem
    assert listed[0]["state"] == "working"
    assert listed[0]["state_grade"] == "inferred"
    later = json.loads(run("sessions", "--json", env={"HOLDFAST_NOW": "2026-11-22T13:00:00Z"}).stdout)[
        "sessions"
    ]
    assert later[0]["state"] == "interrupted"


def test_sessions_about_to_be_swept_are_named(run, history):
    (old,) = history.rglob("8dc736b7*.jsonl")
    now_s = 1_795_348_800  # 2026-11-22T12:00:00Z
    os.utime(old, (now_s - 25 * 86_400,) * 2)
    for path in history.rglob("*.jsonl"):
        if path != old:
            os.utime(path, (now_s,) * 2)
    done = run(env={"HOLDFAST_NOW": "2026-11-22T12:00:00Z"})
    assert "1 session will be deleted by Claude Code within 7 days" in done.stdout
    sweep = json.loads(run("--json", env={"HOLDFAST_NOW": "2026-11-22T12:00:00Z"}).stdout)["sweep"]
    assert sweep["sessions"] == [{"id": old.stem, "swept_at": "2026-11-27T12:00:00.000Z", "recorded": True}]
    (history / "settings.json").write_text('{"cleanupPeriodDays": 90}')
    assert (
        json.loads(run("--json", env={"HOLDFAST_NOW": "2026-11-22T12:00:00Z"}).stdout)["sweep"]["sessions"]
        == []
    )


@pytest.mark.slow
def test_a_long_first_import_answers_early_and_then_finishes(run, history):
    done = run(env={"HOLDFAST_FIRST_ANSWER_S": "0"})
    assert done.returncode == 0
    assert "files imported so far; the rest follows" in done.stderr
    assert done.stdout.count("session   state") + done.stdout.count("sessions (") >= 2
    assert "10 sessions" in done.stdout


def test_newest_sessions_are_imported_first(run, history):
    now_s = time.time()
    for number, path in enumerate(sorted(history.rglob("*.jsonl"))):
        os.utime(path, (now_s - 10_000 - number,) * 2)
    (newest,) = history.rglob("8dc736b7*.jsonl")
    os.utime(newest, (now_s,) * 2)
    first = run(env={"HOLDFAST_FIRST_ANSWER_S": "0.000001"}).stdout
    listed = [line for line in first.splitlines() if line.startswith("8dc736b7")]
    assert listed


def test_another_process_at_work_is_said_not_waited_for(run, history, home):
    import fcntl

    run()
    with (home / "writer.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("sessions")
        assert done.returncode == 0
        assert "another process is importing; this answer is " in done.stderr
        assert "s old, 0 B of the journal are not in it" in done.stderr
        assert "3e8f6aeb" in done.stdout
        refused = run("import", CAPTURED)
        assert refused.returncode == 31


def test_escape_sequences_of_agents_never_reach_the_terminal(run, tmp_path):
    evil = "\x1b]52;c;aGk=\x07\x1b[2J\x9b31mred\u202egnp.exe\u200b\r overwritten\x00"
    source = tmp_path / "22222222-2222-4222-8222-222222222222.jsonl"
    lines = [
        {
            "type": "user",
            "uuid": "u1",
            "message": {"content": evil},
            "cwd": evil,
            "gitBranch": evil,
            "version": evil,
        },
        {
            "type": "assistant",
            "uuid": "a1",
            "message": {
                "id": "m1",
                "model": evil,
                "usage": {},
                "content": [
                    {"type": "text", "text": evil},
                    {"type": "tool_use", "id": "t1", "name": evil, "input": {"command": evil}},
                ],
            },
        },
        {
            "type": "user",
            "uuid": "u2",
            "message": {
                "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": evil}]
            },
        },
        {"type": evil},
    ]
    common = {"sessionId": source.stem, "timestamp": "2026-11-21T10:00:00Z", "version": "2"}
    source.write_text("".join(json.dumps(common | entry) + "\n" for entry in lines))
    run("import", source)
    for args in (
        [],
        ["sessions"],
        ["show", "2222"],
        ["tree", "2222"],
        ["timeline", "2222"],
        ["stats"],
        ["doctor"],
    ):
        for form in ([], ["--json"]):
            done = run(*args, *form, env={"FORCE_COLOR": ""})
            for bad in ("\x1b", "\x9b", "\u202e", "\u200b", "\r", "\x00", "\x07"):
                assert bad not in done.stdout + done.stderr, (args, bad)
    assert run("show", evil.replace("\x00", "")).stderr.count("\x1b") == 0


def test_colours_only_on_a_terminal(run, history):
    assert "\x1b" not in run().stdout


def test_any_terminal_will_do(run, history):
    run("import")  # or a busy machine says that the rest follows
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": ""}
    for args in ([], ["tree", "1a16"], ["timeline", "1a16"], ["config"]):
        done = run(*args, env=ascii_only)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), (">/dev/full", 1)]
)
def test_output_that_goes_nowhere_is_no_bug(redirection, code, history, home):
    command = f"'{sys.executable}' -m holdfast sessions {redirection}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "bug" not in done.stderr
