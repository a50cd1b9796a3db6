"""Recordings that were cut at moments at which it is easy to be wrong about where things stand."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.recover import triage
from holdfast.store.activity import Wait
from tests.e2e.conftest import CAPTURED, ask
from tests.e2e.test_liveness import list_process, running, transcripts

MULTI_AGENT = CAPTURED.parent / "codex" / "multi-agent-v2" / "sessions"


def only(home: Path) -> dict:
    [one] = json.loads(ask(home, ["recover", "list", "--json", "--all"])[0])["sessions"]
    return one


def cut_behind(path: Path, target: Path, said: str) -> Path:
    """A file's lines up to the first that holds some words."""
    lines = path.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if said in line)
    target.write_text("".join(lines[: place + 1]))
    return target


def test_a_message_that_goes_on_ends_no_turn(home, tmp_path):
    """Claude Code writes an answer block by block: its text is there before the call that it announces."""
    [main] = (CAPTURED / "kill9-foreground-subagent" / "transcript").glob("*.jsonl")
    ask(home, ["import", str(cut_behind(main, tmp_path / main.name, '"Delegating (foreground)."'))])
    one = only(home)
    assert (one["status"], one["calls"]) == ("interrupted", [])
    assert one["why"] == "silent for 10 min while the last message ended with tool_use, and no call follows"


def test_nor_does_that_of_a_subagent(home, tmp_path):
    scenario = CAPTURED / "async-subagents" / "transcript"
    files = transcripts("async-subagents", tmp_path / "cut", until="Delegating to two subagents")
    [counting] = scenario.glob("*/subagents/agent-af8aed871c0825533.jsonl")
    cut_behind(counting, files / counting.relative_to(scenario), '"Counting."')
    ask(home, ["import", str(files)])
    stands = {agent["id"][:3]: agent["status"] for agent in only(home)["agents"]}
    assert stands["af8"] == "interrupted"


def test_a_session_whose_agents_never_ended_was_cut_however_silent(home, tmp_path):
    """Its own turn was over; those that it left at work in the background were not."""
    files = transcripts("async-subagents", tmp_path / "cut", until="stop_hook_summary")
    ask(home, ["import", str(files)])
    one = only(home)
    assert one["status"] == "interrupted"
    assert one["why"] == "silent for 10 min while 2 agents run in the background"
    assert (one["needs_attention"], one["cause"]) == (
        True,
        None,
    )  # nobody stopped it: its own turn had ended well
    assert [agent["status"] for agent in one["agents"] if agent["id"]].count("interrupted") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")
def test_a_call_of_codex_is_open_though_its_tokens_were_counted(home, tmp_path, monkeypatch):
    """What an answer took is written behind the calls in it."""
    codex = tmp_path / "codex"
    monkeypatch.setenv("CODEX_HOME", str(codex))
    main = min(MULTI_AGENT.rglob("*.jsonl"))
    ask(home, ["import", str(cut_behind(main, tmp_path / main.name, '"token_usage_record"'))])
    lock = codex / "thread-writer-locks" / f"{only(home)['session']['id']}.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert [call["status"] for call in only(home)["calls"]] == ["in_flight", "in_flight"]
    assert [(call["status"], call["why"]) for call in only(home)["calls"]] == [
        ("interrupted", "it has no result; whether it took effect is unknown")
    ] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started")
def test_an_entry_that_is_left_from_another_boot_is_no_process_of_this_one(home, monkeypatch):
    """Also where somebody has its number and its start since: both count from the boot. And it is told as what it is."""
    config = Path(os.environ["CLAUDE_CONFIG_DIR"])
    (config / "sessions").mkdir(parents=True)
    ask(home, ["import", str(CAPTURED / "kill9-during-tool" / "transcript")])
    with running() as process:
        list_process(config, only(home)["session"]["id"], process.pid)
        assert (only(home)["alive"], only(home)["cause"]) == (True, None)
        for _ in range(2):
            assert (told := later(home))["alive"] is False
            assert (told["status"], told["cause"]) == ("interrupted", "rebooted")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started")
def test_leave_that_was_given_is_told_by_no_hook(home):
    """Only a process that says that it waits shows that a call for which leave was asked did not begin."""
    config = Path(os.environ["CLAUDE_CONFIG_DIR"])
    (config / "sessions").mkdir(parents=True)
    ask(home, ["import", str(CAPTURED / "kill9-during-tool" / "transcript")])
    session = only(home)["session"]["id"]
    asked = {
        "session_id": session,
        "hook_event_name": "PermissionRequest",
        "tool_name": "Bash",
        "tool_input": {},
    }
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    (home / "inbox" / "claude").write_text(json.dumps(asked) + "\n")
    assert of_call(home) == "unknown"
    with running() as process:
        entry = list_process(config, session, process.pid, "waiting", waitingFor="permission prompt")
        waited = entry.read_bytes()
        assert of_call(home) == "waiting"
        list_process(config, session, process.pid, "busy", statusUpdatedAt=1_795_300_005_000)
        assert of_call(home) == "in_flight"
    assert of_call(home) == "unknown"
    entry.write_bytes(waited)
    assert of_call(home) == "never_started"
    entry.unlink()  # another process got its number: what it said after that was recorded is not known
    assert of_call(home) == "unknown"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started")
def test_whom_a_process_waited_for_is_told_only_where_one_agent_asked(home):
    """An agent that began shows that leave was given for its call; of two calls that were asked for, nothing tells which had it."""
    config = Path(os.environ["CLAUDE_CONFIG_DIR"])
    (config / "sessions").mkdir(parents=True)
    ask(home, ["import", str(CAPTURED / "kill9-foreground-subagent" / "transcript")])
    one = only(home)
    [agent] = [agent["id"] for agent in one["agents"] if agent["id"]]
    asked = {"session_id": one["session"]["id"], "hook_event_name": "PermissionRequest", "tool_input": {}}
    told = [asked | {"tool_name": "Agent"}, asked | {"tool_name": "Bash", "agent_id": agent}]
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    (home / "inbox" / "claude").write_text("".join(json.dumps(each) + "\n" for each in told))
    with running() as process:
        list_process(config, one["session"]["id"], process.pid, "waiting", waitingFor="permission prompt")
    assert {call["tool"]: call["status"] for call in only(home)["calls"]} == {
        "Agent": "interrupted",
        "Bash": "never_started",
    }
    wait = Wait(True, "it asks for leave to use Bash", "leave to use Bash")
    cut = triage.Verdict("interrupted", None, "inferred", "")
    common = {"current": True, "wait": wait, "likewise": 1, "process": "waiting"}
    assert triage.of_call("Bash", cut, others=False, **common).status == "never_started"
    assert triage.of_call("Bash", cut, others=True, **common).status == "unknown"


def of_call(home: Path) -> str:
    [call] = only(home)["calls"]
    return call["status"]


_LATER = """
import sys
from holdfast import processes
processes.boot_id = lambda: "the next one"
from holdfast.cli.app import cli
cli.main(args=["recover", "list", "--json", "--all"], prog_name="holdfast")
"""


def later(home: Path) -> dict:
    """What is told after the machine was started anew."""
    done = subprocess.run([sys.executable, "-c", _LATER], capture_output=True, text=True, check=True)
    [one] = json.loads(done.stdout)["sessions"]
    return one
