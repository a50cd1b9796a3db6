"""A tool or a plain command that Holdfast started shows as one in every answer: its process, its session and what capture saw."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from holdfast import hooks, processes
from holdfast.supervise import tools
from tests.e2e.conftest import CAPTURED
from tests.user import User
from tests.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGUN = Path(__file__).parent / "begun.py"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them"),
]


class World(User):
    """A user with a stand-in for both tools in PATH, and what the command answers."""

    def __init__(self, home: Path, base: Path) -> None:
        self.base, self.log = base, base / "log"
        super().__init__(home, base / "a project", self.environment())
        for path in (self.project, self.log, base / "bin"):
            path.mkdir(parents=True)
        os.mkfifo(self.log / "gate")
        for name in ("claude", "codex"):
            program = base / "bin" / name
            program.write_text(f"#!{sys.executable}\n{BEGUN.read_text()}")
            program.chmod(0o755)

    def environment(self, mode: str = "works") -> dict[str, str]:
        return os.environ | {
            "PATH": f"{self.base / 'bin'}:{os.environ['PATH']}",
            "CODEX_HOME": str(self.base / "codex"),
            "BEGUN_LOG": str(self.log),
            "BEGUN_MODE": mode,
            "BEGUN_RECORDED": str(CAPTURED.parent),
        }

    def call(self, *args: str, mode: str = "works", **more: str) -> subprocess.CompletedProcess[str]:
        """As a user calls, with a stand-in that does so."""
        return super().call(*args, BEGUN_MODE=mode, **more)

    def exit_file(self, name: str) -> Path:
        return self.home / "run" / name / "0001" / "exit.json"

    def reached(self) -> None:
        """Wait until the stand-in stands at its gate."""
        until((self.log / "reached").exists, "the gate")

    def open_gate(self) -> None:
        with (self.log / "gate").open("w"):
            pass

    def starts(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self.log.glob("start-*.json")]

    def session(self) -> dict[str, Any]:
        [found] = self.ask("sessions")["sessions"]
        return found

    def survey(self, session: str) -> dict[str, Any]:
        return self.ask("recover", "show", session)

    def close(self) -> None:
        for said in self.starts():
            if processes.started_ticks(said["pid"]) is not None:
                os.kill(said["pid"], signal.SIGKILL)


@pytest.fixture
def world(home, tmp_path) -> Iterator[World]:
    made = World(home, tmp_path / "world")
    yield made
    made.close()


# ── one truth ──


@pytest.mark.parametrize(
    ("mode", "state", "status", "code"),
    [
        ("works", "ended", ("finished", "completed"), 0),
        ("fails", "failed", ("finished", "failed"), 1),
        ("told", "failed", ("finished", "failed"), 3),
        ("refuses", "failed", ("finished", "failed"), 1),
    ],
)
def test_a_tool_that_ended_stands_the_same_in_every_answer(mode, state, status, code, world):
    name = world.run("claude", "-p", "go", mode=mode, options=("--name", "builder"))
    agent = world.ended(name)
    assert (agent["exit_code"], agent["tool"], agent["name"]) == (code, "claude", "builder")
    session = world.session()
    assert (f"claude:{session['id']}", session["state"]) == (agent["session"], state)
    assert (session["run"]["agent"], session["run"]["exit_code"]) == (name, code)
    found = world.survey(name)
    assert (found["session"]["id"], found["status"], found["outcome"]) == (session["id"], *status)
    assert bool(found["findings"]) is (mode == "told")
    assert world.ask("tree", name)["session"]["id"] == session["id"]
    assert world.ask("show", name)["session"] == session
    assert world.ask("recover", "list")["sessions"] == []


def test_a_tool_that_works_is_alive_in_every_answer_and_is_not_resumed(world):
    name = world.run("claude", "-p", "go", mode="cut")
    world.reached()
    agent, session = world.agent(name), world.session()
    assert (agent["state"], agent["session"]) == ("running", f"claude:{session['id']}")
    assert (agent["activity"], session["activity"]["state"]) == ("busy", "busy")
    assert (agent["session_state"], agent["title"]) == ("working", session["title"])
    assert (session["state"], session["activity"]["process"]) == ("working", "alive")
    assert session["run"]["state"] == "running"
    found = world.survey(name)
    assert (found["status"], found["alive"], found["needs_attention"]) == ("in_flight", True, False)
    assert world.ask("recover", "list")["sessions"] == []
    refused = world.call("recover", "resume", session["id"])
    assert (refused.returncode, "supervised" in refused.stderr) == (4, True), refused.stderr
    world.open_gate()
    world.ended(name)


def test_a_tool_that_was_killed_was_cut_and_its_exit_file_says_so(world):
    """The transcript, the list that it left behind and the shim agree, and the shim's word is the proof."""
    name = world.run("claude", "-p", "go", mode="dies")
    world.reached()
    world.open_gate()
    agent = world.ended(name)
    assert (agent["signal"], agent["exit_code"]) == (9, None)
    assert (agent["state"], agent["session_state"], agent["activity"]) == ("failed", "interrupted", None)
    [cut] = world.ask("recover", "list")["sessions"]
    assert cut["session"]["id"] == agent["session"].partition(":")[2]
    found = world.survey(name)
    assert (found["status"], found["grade"], found["cause"]) == ("interrupted", "observed", "died")
    assert found["findings"] == []
    proof = {one["source"]: one for one in found["evidence"] if one["source"].startswith("run")}
    assert (world.home / proof["run.exit"]["file"]).samefile(world.exit_file(name))
    record = (world.home / proof["run"]["file"]).read_bytes()[proof["run"]["offset_bytes"] :].split(b"\n")[0]
    assert b"run.ended" in record
    assert world.call("recover", "check").returncode == 3


def test_a_call_left_open_by_a_process_that_ended_well_is_told_as_a_contradiction(world):
    name = world.run("claude", "-p", "go", mode="returns")
    world.reached()
    world.open_gate()
    world.ended(name)
    found = world.survey(name)
    assert (found["status"], found["grade"]) == ("interrupted", "observed")
    [contradiction] = found["findings"]
    assert "exited with code 0" in contradiction


def test_a_tool_that_was_stopped_by_us_was_stopped(world):
    name = world.run("claude", "-p", "go", mode="cut")
    world.reached()
    assert world.call("stop", name).returncode == 0
    agent = world.ended(name)
    assert agent["state"] == "cancelled"
    found = world.survey(name)
    assert (found["status"], found["cause"]) == ("interrupted", "stopped")


def test_a_plain_command_stands_the_same_in_every_answer(world):
    name = world.run("sh", "-c", "echo done; exit 4", options=("--name", "script"))
    agent = world.ended(name)
    session = world.session()
    assert (agent["state"], agent["exit_code"]) == ("failed", 4)
    assert (session["source"], session["id"], session["state"]) == ("run", name, "failed")
    found = world.survey("script")
    assert (found["session"]["id"], found["status"], found["outcome"]) == (name, "finished", "failed")
    [root] = world.ask("tree", name)["roots"]
    assert (root["kind"], root["status"]) == ("agent", "failed")


@pytest.mark.parametrize(
    ("stopped", "state", "session", "recovered"),
    [
        (False, "interrupted", "interrupted", ("interrupted", None, "died")),
        (True, "cancelled", "ended", ("finished", "cancelled", None)),
    ],
)
def test_a_plain_command_whose_end_nobody_saw_is_lost_in_every_answer(
    stopped, state, session, recovered, world
):
    """Its shim was killed, and then it ended, by itself or because it was asked to: no answer says that this was seen."""
    name = world.run("sleep", "600")
    child = json.loads((world.exit_file(name).parent / "child.json").read_text())
    os.kill(child["shim_pid"], signal.SIGKILL)
    until(lambda: processes.started_ticks(child["shim_pid"]) is None, "the end of its shim")
    if stopped:
        assert world.call("stop", name).returncode == 0
    else:
        os.kill(child["pid"], signal.SIGKILL)
    agent = world.ended(name)
    assert (agent["life"], agent["state"], agent["exit_code"], agent["signal"]) == ("lost", state, None, None)
    assert f" {state}? " in world.call("ps", "--all").stdout
    [life] = world.ask("attempts", name)["attempts"]
    assert (life["life"], life["state"], life["ended_at"]) == ("lost", state, None)
    shown = world.ask("show", name)
    assert (shown["session"]["state"], shown["session"]["state_grade"]) == (session, "inferred")
    assert (shown["agents"][0]["status"], shown["agents"][0]["status_grade"]) == (state, "inferred")
    found = world.survey(name)
    assert (found["status"], found["outcome"], found["cause"], found["grade"]) == (*recovered, "inferred")
    [root] = world.ask("tree", name)["roots"]
    assert (root["status"], root["grade"]) == (state, "inferred")
    assert (root["children"][0]["status"], root["children"][0]["grade"]) == (state, "inferred")
    assert not {"turn.ended", "agent.ended"} & set(shown["events"])
    assert bool(world.ask()["interrupted"]) is not stopped


def cut_command(world):
    """Start a plain command, and cut it together with its shim; its id."""
    name = world.run("sh", "-c", "echo begun; exec sleep 600")
    child = json.loads((world.exit_file(name).parent / "child.json").read_text())
    for process in (child["shim_pid"], child["pid"]):
        os.kill(process, signal.SIGKILL)
    world.until_it_is(name, "lost")
    return name


def test_a_plain_command_that_was_cut_is_started_once_more_and_not_resumed(world):
    name = cut_command(world)
    shown = world.call("recover", "show", name).stdout
    [line] = [line for line in shown.splitlines() if line.startswith("carry on: ")]
    assert line == f"carry on: holdfast run --again {name[:8]}"
    assert world.survey(name)["resume"][0]["command"] == f"holdfast run --again {name}"
    assert f"`holdfast run --again {name}` starts it once more" in world.call("handoff", name).stdout
    refused = world.call("recover", "resume", name)
    assert (refused.returncode, f"holdfast run --again {name}" in refused.stderr) == (65, True), (
        refused.stderr
    )
    command = line.removeprefix("carry on: holdfast ").split()
    assert world.call(*command, "--detach").returncode == 0
    assert world.agent(name)["state"] == "running"
    assert world.call("kill", name).returncode == 0


def test_what_was_removed_is_not_said_to_be_startable_once_more(world):
    name = cut_command(world)
    assert world.call("rm", name).returncode == 0
    shown = world.call("recover", "show", name).stdout
    assert "carry on: it was removed; start it anew with `holdfast run`" in shown
    assert world.survey(name)["resume"][0]["command"] is None
    assert "What it was started with was removed" in world.call("handoff", name).stdout
    refused = world.call("recover", "resume", name)
    assert (refused.returncode, "it was removed" in refused.stderr) == (65, True), refused.stderr
    assert "--again" not in shown + refused.stderr


def test_what_is_no_session_of_the_tool_is_refused_by_the_tool(world):
    name = world.run("claude", "--session-id", "x\udcff", "-p", "go", mode="refuses")
    assert world.ended(name)["exit_code"] == 1


def test_what_nobody_told_is_told_by_whoever_asks_next(world):
    """Not `ps`, but an answer about sessions."""
    name = world.run("sh", "-c", "exit 0")
    until(world.exit_file(name).exists, "the end")
    until(lambda: world.session()["state"] == "ended", "the end to be told")
    [told] = [one for one in world.survey(name)["evidence"] if one["source"] == "run"]
    assert told["file"] == "journal/00000001.jsonl"


def test_agents_that_an_agent_starts_stand_below_it(world):
    """Each is told whom it works for by its environment."""
    script = f"{sys.executable} -m holdfast run --name below -- sh -c 'exit 3'; exit 0"
    name = world.run("sh", "-c", script, options=("--name", "above"))
    world.ended(name)
    agents = {one["name"]: one for one in world.ask("ps", "--all")["agents"]}
    assert (agents["below"]["parent"], agents["below"]["level"]) == (name, 1)
    [root] = world.ask("tree", "above")["roots"]
    [below] = [node for node in root["children"] if node["kind"] == "agent"]
    assert (below["id"], below["name"], below["status"]) == (agents["below"]["session"], "below", "failed")


# ── the launch ──


def test_a_tool_is_told_its_session_its_trace_and_our_hooks_for_this_launch(world):
    name = world.run("claude", "-p", "go")
    world.ended(name)
    [said] = world.starts()
    argv, environment = said["argv"], said["env"]
    assert argv[-2:] == ["-p", "go"]
    assert f"claude:{argv[argv.index('--session-id') + 1]}" == world.agent(name)["session"]
    assert environment[tools.AGENT] == name
    assert environment[tools.TRACE].split("-")[1] == tools.trace_id(name)
    settings = Path(argv[argv.index("--settings") + 1])
    assert settings.stat().st_mode & 0o777 == 0o600
    assert settings.is_relative_to(world.home / "run" / name)
    assert list(json.loads(settings.read_text())["hooks"]) == list(hooks.EVENTS)
    assert not (Path(os.environ["CLAUDE_CONFIG_DIR"]) / "settings.json").exists()
    assert world.ask("show", name)["events"]["session.started"] == 1, "its hook was recorded"


@pytest.mark.parametrize("kind", ["fifo", "huge", "no text", "a directory", "missing"])
def test_settings_that_cannot_be_read_are_left_for_the_tool(kind, world):
    """The launch neither waits for them nor takes them in, and no word is changed."""
    place = world.project / "given.json"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "a directory":
        place.mkdir()
    elif kind != "missing":
        place.write_bytes(b'{"env": {"A": "\xff"}}' if kind == "no text" else b"{" + b" " * (1 << 21) + b"}")
    name = world.run("claude", "--settings", str(place), "-p", "go", mode="refuses")
    world.ended(name)
    [said] = world.starts()
    assert said["argv"][-4:] == ["--settings", str(place), "-p", "go"]
    assert said["argv"].count("--settings") == 1
    assert not (world.exit_file(name).parent / "settings.json").exists()


def test_hooks_that_are_installed_are_not_passed_again(world):
    Path(os.environ["CLAUDE_CONFIG_DIR"]).mkdir()
    assert world.call("hooks", "install", "--tool", "claude").returncode == 0
    world.ended(world.run("claude", "-p", "go"))
    [said] = world.starts()
    assert "--settings" not in said["argv"]


def test_a_session_that_the_tool_chose_is_learnt_and_takes_the_place_of_the_runs_own(world):
    name = world.run("claude", "--continue", "-p", "go", mode="picks")
    world.ended(name)
    session = world.session()
    assert session["source"] == "claude"
    assert session["run"]["agent"] == name
    assert world.agent(name)["session"] == f"claude:{session['id']}"
    assert world.survey(name)["session"]["id"] == session["id"]


@pytest.mark.parametrize(("mode", "state"), [("works", "ended"), ("dies", "interrupted")])
def test_a_thread_of_codex_is_learnt_from_its_process(mode, state, world):
    name = world.run("codex", "exec", "go", mode=mode)
    if mode == "dies":
        world.reached()
        found = world.session()
        assert (found["source"], found["state"], found["run"]["state"]) == ("codex", "working", "running")
        world.open_gate()
    world.ended(name)
    session = world.session()
    assert (session["source"], session["state"], session["run"]["agent"]) == ("codex", state, name)
    assert world.agent(name)["session"] == f"codex:{session['id']}"


def test_each_life_of_an_agent_works_in_a_session_of_its_own(world):
    """Started again, it goes on in another session, and nobody has to look at the one that was cut."""
    name = world.run("claude", "-p", "go", mode="dies", options=("--restart", "on-failure"))
    world.reached()
    world.open_gate()
    first = world.ended(name)["session"]
    (world.log / "reached").unlink()
    code = f"""
import os
from holdfast import clock, supervising
from holdfast.home import Home
from holdfast.settings import load
supervisor = supervising.Supervisor(Home(load(None, os.environ, {{}})), {name!r})
ticked = supervisor.tick(clock.now_us() + 60_000_000)
assert ticked.started == [({name!r}, 2)], ticked
"""
    subprocess.run([sys.executable, "-c", code], env=world.environment("dies"), check=True, timeout=LIMIT_S)
    world.reached()
    second = world.agent(name)["session"]
    assert second != first
    found = world.survey(first.partition(":")[2])
    assert (found["status"], found["continued_by"]) == ("interrupted", second.partition(":")[2])
    assert found["needs_attention"] is False
    assert world.ask("recover", "list")["sessions"] == []
    world.open_gate()
    world.until_it_is(name, "exited")


# ── forgetting ──


def everywhere(home: Path) -> bytes:
    """Every byte in the home, sealed segments as they were."""
    plain = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    unpacked = zstandard.ZstdDecompressor().stream_reader
    sealed = [
        unpacked(path.read_bytes(), read_across_frames=True).read()
        for path in (home / "journal").glob("*.zst")
    ]
    return b"".join(plain + sealed)


@pytest.mark.parametrize(
    "words", [("claude", "-p"), ("claude", "--continue", "-p"), ("codex", "exec"), ("echo",)]
)
def test_forgetting_a_session_takes_what_its_agent_left(words, world):
    name = world.run(*words, "xylophone lesson")
    world.ended(name)
    session = world.session()
    assert b"xylophone lesson" in everywhere(world.home)
    done = world.call("forget", session["id"], "--yes")
    assert done.returncode == 0, done.stderr
    assert world.ask("ps", "--all")["agents"] == []
    assert world.ask("sessions")["sessions"] == []
    assert b"xylophone lesson" not in everywhere(world.home)


def test_what_an_agent_works_in_is_not_forgotten(world):
    name = world.run("claude", "-p", "xylophone lesson", mode="cut")
    world.reached()
    session = world.session()
    refused = world.call("forget", session["id"], "--yes")
    assert (refused.returncode, name in refused.stderr) == (4, True), refused.stderr
    assert world.session()["id"] == session["id"]
    world.open_gate()
    world.ended(name)


def test_ps_answers_without_a_store(world):
    """What is true of agents lies beside it."""
    name = world.run("claude", "-p", "go")
    world.ended(name)
    (world.home / "store.db").unlink()
    (world.home / "store.db").mkdir()
    done = world.call("ps", "--all", "--json")
    assert done.returncode == 0, done.stderr
    [agent] = json.loads(done.stdout)["agents"]
    assert (agent["id"], agent["exit_code"], agent["session_state"]) == (name, 0, None)
    assert "note:" in done.stderr
