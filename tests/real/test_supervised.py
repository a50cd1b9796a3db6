"""The real clients, started by `holdfast run`: one truth of process, session, hooks and spans, also when they are killed at work."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.supervise import tools
from tests.real.claude import ALLOWED
from tests.real.codex_client import BINARY as CODEX
from tests.real.codex_client import FREE, Codex, is_shut_in
from tests.real.codex_endpoint import Endpoint as CodexEndpoint
from tests.real.endpoint import Call, Say, bash
from tests.real.test_hooks import awaited, recorded
from tests.user import User, own_variables
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


class Supervised(User):
    """A user of a client who starts it by `holdfast run`."""

    def said(self, name: str) -> str:
        return (self.home / "run" / name / "0001" / "out.log").read_text("utf-8", "replace")

    def agrees(self, name: str, *, state: str, status: str, alive: bool) -> dict[str, Any]:
        """What triage says, which every other answer must not contradict."""
        agent, found = self.agent(name), self.ask("recover", "show", name)
        session = found["session"]
        assert agent["session"] == f"{session['source']}:{session['id']}"
        assert (session["state"], found["status"], found["alive"]) == (state, status, alive)
        assert session["run"]["agent"] == name
        assert agent["state"] == session["run"]["status"]
        assert (agent["exit_code"], agent["signal"]) == (
            session["run"]["exit_code"],
            session["run"]["signal"],
        )
        assert [one for one in self.ask("sessions")["sessions"] if one["id"] == session["id"]] == [session]
        assert self.ask("show", name)["session"] == session
        assert self.ask("tree", name)["session"] == session
        listed = [one["session"]["id"] for one in self.ask("recover", "list")["sessions"]]
        assert (session["id"] in listed) is found["needs_attention"]
        return found


# ── Claude Code ──


@pytest.fixture
def claude(client):
    return client("supervised")


@pytest.fixture
def user(home, claude) -> Supervised:
    return Supervised(home, claude.project, claude.environment | own_variables())


def words(claude, prompt: str, *more: str) -> list[str]:
    return [str(claude.binary), "-p", prompt, "--allowedTools", ",".join(ALLOWED), *more]


def test_claude_that_ends_well_is_one_in_every_answer(user, claude, endpoint):
    """The session has the id that it was given; our hooks told as much as the user's own were told."""
    prompt = endpoint.script("main", Call((bash("echo one"), bash("exit 3"))), Say("That was it."))
    name = user.run(*words(claude, prompt))
    assert user.ended(name)["exit_code"] == 0
    found = user.agrees(name, state="ended", status="finished", alive=False)
    session = found["session"]
    assert claude.sessions() == [session["id"]]
    assert (found["findings"], session["turns"], session["tool_calls"]) == ([], 1, 2)
    until(lambda: not claude.is_listening(), "the user's own hooks")
    assert awaited(recorded(user.home)) == awaited(claude.heard())
    assert user.ask("show", name, "--coverage")["coverage"]["calls"]["both"] == 2
    assert not (claude.config / "settings.local.json").exists()
    assert "holdfast" not in (claude.config / "settings.json").read_text()


def cut(user, claude, endpoint, gate) -> tuple[str, dict[str, Any]]:
    """Claude Code in the middle of a command; the agent's id, and what `ps` says of it."""
    prompt = endpoint.script("main", Call((bash(gate.command),)), Say("That was it."))
    name = user.run(*words(claude, prompt, "--allowedTools", "Bash"))
    gate.reached()
    return name, user.agent(name)


def test_claude_at_work_is_alive_and_killed_is_cut(user, claude, endpoint, gate):
    name, agent = cut(user, claude, endpoint, gate())
    assert (agent["state"], agent["activity"]) == ("running", "busy")
    found = user.agrees(name, state="working", status="in_flight", alive=True)
    session = found["session"]["id"]
    refused = user.call("recover", "resume", session)
    assert (refused.returncode, "supervised" in refused.stderr) == (4, True), refused.stderr
    os.kill(agent["pid"], signal.SIGKILL)
    assert user.ended(name)["signal"] == signal.SIGKILL
    found = user.agrees(name, state="interrupted", status="interrupted", alive=False)
    assert (found["grade"], found["cause"], found["findings"]) == ("observed", "died", [])
    [call] = found["calls"]
    assert call["status"] == "interrupted"
    files = [one["file"] for one in found["evidence"] if one["source"] == "run.exit"]
    assert json.loads((user.home / files[0]).read_text())["signal"] == signal.SIGKILL


def test_claude_that_was_stopped_was_stopped_and_goes_on_supervised(user, claude, endpoint, gate):
    name, _ = cut(user, claude, endpoint, gate())
    assert user.call("stop", name).returncode == 0
    found = user.agrees(name, state="interrupted", status="interrupted", alive=False)
    assert (found["cause"], user.agent(name)["state"]) == ("stopped", "cancelled")
    session = found["session"]["id"]
    again = user.run(*words(claude, endpoint.script("again", Say("I go on.")), "--resume", session))
    assert user.ended(again)["exit_code"] == 0
    found = user.agrees(again, state="ended", status="finished", alive=False)
    assert (found["session"]["id"], found["session"]["turns"]) == (session, 2)
    assert user.ask("recover", "list")["sessions"] == []


def test_claude_that_picks_its_session_is_known_by_its_hook(user, claude, endpoint):
    claude.run(endpoint.script("main", Say("That was it.")))
    [session] = claude.sessions()
    name = user.run(*words(claude, endpoint.script("again", Say("I go on.")), "--continue"))
    user.ended(name)
    found = user.agrees(name, state="ended", status="finished", alive=False)
    assert (found["session"]["id"], found["session"]["turns"]) == (session, 2)


def test_claude_that_refuses_its_words_says_so_itself(user, claude, endpoint):
    claude.run(endpoint.script("main", Say("That was it.")))
    [session] = claude.sessions()
    name = user.run(*words(claude, "go", "--resume", session, "--session-id", session))
    assert user.ended(name)["exit_code"] == 1
    assert "--fork-session" in user.said(name)


def test_settings_of_the_users_own_stay_beside_ours(user, claude, endpoint):
    """Those of a launch that the user gave: its hook runs, and so do ours."""
    heard = claude.base / "launch-heard"
    entry = {"hooks": [{"type": "command", "command": f"cat > {heard}"}]}
    given = claude.base / "mine.json"
    given.write_text(json.dumps({"hooks": {"Stop": [entry]}}))
    before = given.read_bytes()
    prompt = endpoint.script("main", Say("That was it."))
    name = user.run(*words(claude, prompt, "--settings", str(given)))
    user.ended(name)
    assert json.loads(heard.read_text())["hook_event_name"] == "Stop"
    assert given.read_bytes() == before
    seen = user.ask("show", name, "--coverage")["coverage"]["sources"]
    assert "claude.hook" in [one["source"] for one in seen]


def test_what_claude_starts_stands_below_it_and_in_its_trace(user, claude, endpoint):
    """A command of its own starts another agent: the environment tells whom that works for."""
    inner = f"{sys.executable} -m holdfast run --name below -- sh -c 'echo $TRACEPARENT; exit 3'"
    prompt = endpoint.script("main", Call((bash(inner),)), Say("That was it."))
    name = user.run(*words(claude, prompt, "--allowedTools", "Bash"))
    user.ended(name)
    agents = {one["name"]: one for one in user.ask("ps", "--all")["agents"]}
    below = agents["below"]
    assert (below["parent"], below["level"], below["exit_code"]) == (name, 1, 3)
    assert user.said(below["id"]).split("-")[1] == tools.trace_id(below["id"])
    [main] = user.ask("tree", name)["roots"]
    [node] = [node for node in main["children"] if node["id"] == below["session"]]
    assert (node["name"], node["status"]) == ("below", "failed")


def test_spans_of_claude_are_of_the_agents_trace(user, claude, endpoint):
    more = {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1",
        "OTEL_TRACES_EXPORTER": "console",
    }
    user.given |= more
    name = user.run(*words(claude, endpoint.script("main", Say("That was it."))))
    user.ended(name)
    assert f'traceId: "{tools.trace_id(name)}"' in user.said(name)


# ── Codex ──


@pytest.fixture
def codex(home: Path, tmp_path: Path, monkeypatch) -> Iterator[Codex]:
    if CODEX is None:
        pytest.skip("there is no real Codex here: HOLDFAST_TEST_CODEX names one")
    if not is_shut_in():
        pytest.skip("a real client runs only where it reaches nothing: `unshare -n`, with the loopback up")
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    endpoint = CodexEndpoint()
    made = Codex(tmp_path / "codex", tmp_path / "work", endpoint)
    (made.home / "config.toml").write_text(
        f"""model_provider = "scripted"
model = "gpt-6.1-sol"
[model_providers.scripted]
name = "scripted"
base_url = "{endpoint.url}"
wire_api = "responses"
supports_websockets = false
stream_max_retries = 0
request_max_retries = 0
"""
    )
    yield made
    endpoint.shutdown()
    endpoint.server_close()


@pytest.fixture
def codex_user(home, codex) -> Supervised:
    return Supervised(home, codex.work, codex.environment | own_variables())


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["plain", "json"])
def test_codex_that_ends_well_is_one_in_every_answer(codex_user, codex, more):
    name = codex_user.run(str(CODEX), "exec", *more, *FREE, "SCRIPT:tools go")
    assert codex_user.ended(name)["exit_code"] == 0
    found = codex_user.agrees(name, state="ended", status="finished", alive=False)
    [rollout] = codex.rollouts
    assert found["session"]["id"] in rollout.name
    assert len(codex_user.ask("sessions")["sessions"]) == 1


def test_codex_at_work_is_alive_and_killed_is_cut(codex_user, codex):
    name = codex_user.run(str(CODEX), "exec", "--json", *FREE, "SCRIPT:slow go")
    begun = '"type":"item.started"'
    until(lambda: codex_user.said(name).count(begun) >= 2, "its second command")
    agent = codex_user.agent(name)
    assert (agent["state"], agent["activity"]) == ("running", "busy")
    found = codex_user.agrees(name, state="working", status="in_flight", alive=True)
    refused = codex_user.call("recover", "resume", found["session"]["id"])
    assert (refused.returncode, "supervised" in refused.stderr) == (4, True), refused.stderr
    os.kill(agent["pid"], signal.SIGKILL)
    assert codex_user.ended(name)["signal"] == signal.SIGKILL
    found = codex_user.agrees(name, state="interrupted", status="interrupted", alive=False)
    assert (found["grade"], found["cause"]) == ("observed", "died")
