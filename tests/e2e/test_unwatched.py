"""Agents whose shim was killed: all of their group is reached, nobody else is, and what stays is told."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from holdfast import processes, settings, supervising
from holdfast.cli import agents
from holdfast.home import Home
from holdfast.supervise import process
from tests.e2e.test_run import ask, one, room, start
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ask", "start"]  # fixtures
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who is in a group"),
]
IMMUNE = "sh -c 'trap \"\" TERM; echo member; sleep 600' & "
OBEYS = "trap 'echo bye; exit 3' TERM; echo leader; while :; do sleep 0.01; done"
DEAF = "trap '' TERM; echo leader; while :; do sleep 0.01; done"


class Unwatched:
    def __init__(self, home: Path, agent: str) -> None:
        self.agent = agent
        self.room = room(home, agent)
        child = json.loads((self.room / "child.json").read_text())
        self.pid, self.shim = child["pid"], child["shim_pid"]

    def lines(self) -> list[str]:
        return (self.room / "out.log").read_text().split()

    def group(self) -> list[str]:
        return [member.name for member in process.group(self.pid)]


@pytest.fixture
def unwatched(home, start):
    """Start a shell command, wait for so many lines of it, and kill its shim."""
    made = []

    def started(command: str, lines: int) -> Unwatched:
        one = Unwatched(home, start(command, "--grace", "0.2"))
        made.append(one)
        until(lambda: len(one.lines()) == lines)
        os.kill(one.shim, signal.SIGKILL)
        until(lambda: processes.started_ticks(one.shim) is None)
        return one

    yield started
    for each in made:
        for member in process.group(each.pid):
            os.kill(member.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("command", "lines", "how", "says"),
    [
        (IMMUNE + OBEYS, 2, "stop", True),
        (IMMUNE + DEAF, 2, "stop", False),
        (IMMUNE + OBEYS, 2, "kill", False),
    ],
)
def test_all_of_its_group_is_ended_whoever_ignores_what(command, lines, how, says, unwatched, ask):
    agent = unwatched(command, lines)
    [told] = ask(how, agent.agent)["agents"]
    assert (told["state"], told["reached"], told["done"], told["left"]) == ("cancelled", True, True, [])
    assert agent.group() == []
    assert ("bye" in agent.lines()) is says


def test_one_that_is_halted_hears_that_it_is_to_end(unwatched, ask):
    agent = unwatched(OBEYS, 1)
    os.kill(agent.pid, signal.SIGSTOP)
    until(lambda: process.is_stopped(agent.pid))
    assert ask("stop", agent.agent)["agents"][0]["done"]
    assert "bye" in agent.lines()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_outlives_it_in_its_group_is_told_and_can_be_ended(how, unwatched, ask, run):
    """What became of the agent itself was told before, and stays so."""
    agent = unwatched(IMMUNE + OBEYS, 2)
    os.kill(agent.pid, signal.SIGKILL)
    until(lambda: one(ask, agent.agent)["life"] == "lost")
    left = one(ask, agent.agent)["left"]
    assert {each["name"] for each in left} == set(agent.group()) == {"sh", "sleep"}
    assert "runs on" in run("attempts", agent.agent).stdout
    assert "is alive" not in run("pause", agent.agent).stderr
    [told] = ask(how, agent.agent)["agents"]
    assert (told["state"], told["reached"], told["done"], told["left"]) == ("interrupted", True, True, [])
    assert agent.group() == []
    assert "is not running" in ask(how, agent.agent, code=74)
    assert ask("recover", "show", agent.agent)["status"] == "interrupted"
    assert ask("rm", agent.agent) == {"removed": [agent.agent]}


def test_ending_all_goes_on_after_one_that_cannot_be_asked(ask, run, home, start):
    first, second, third = (start("sleep 60") for _ in range(3))
    for agent in (first, second):
        (room(home, agent) / "stop.json").mkdir()
    done = run("down", "--kill", "--json")
    assert done.returncode == 72, done.stderr
    assert json.loads(done.stdout)["stopped"] == [third]
    assert all(f"{home}/run/{agent}/0001: Is a directory" in done.stderr for agent in (first, second))
    assert "2 agents could not be asked to end" in done.stderr
    assert {each["id"] for each in ask("ps")["agents"]} == {first, second}
    for agent in (first, second):
        (room(home, agent) / "stop.json").rmdir()


@pytest.fixture
def outlived(unwatched, ask):
    """A lost agent of whose group something runs on."""
    agent = unwatched(IMMUNE + OBEYS, 2)
    os.kill(agent.pid, signal.SIGKILL)
    until(lambda: one(ask, agent.agent)["life"] == "lost")
    return agent


def test_one_of_which_something_runs_on_is_not_removed_nor_started_beside_it(outlived, ask, run):
    agent = outlived.agent
    for command in (("rm", agent), ("run", "--detach", "--again", agent)):
        done = run(*command)
        assert (done.returncode, "of its group still runs" in done.stderr) == (73, True), done.stderr
    assert ask("cleanup", "--keep-days", "0")["kept"] == {"something of it runs on": 1}
    assert one(ask, agent)["attempt"] == 1
    assert ask("stop", agent)["agents"][0]["done"]
    assert [each["id"] for each in ask("cleanup", "--keep-days", "0")["agents"]] == [agent]


def test_what_an_earlier_life_left_in_its_group_is_ended_too(outlived, ask, monkeypatch):
    monkeypatch.setattr(supervising, "refuse_survivors", lambda _: None)
    supervising.start_again(Home(settings.load(None, os.environ, {})), outlived.agent)
    told = one(ask, outlived.agent)
    assert (told["life"], told["attempt"]) == ("running", 2)
    [told] = ask("stop", outlived.agent)["agents"]
    assert (told["done"], told["life"]) == (True, "exited")
    assert outlived.group() == []


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_cannot_be_told_to_be_its_own_is_named_and_nothing_is_said_to_have_ended(
    how, unwatched, ask, run
):
    agent = unwatched("env -i sleep 600 & echo leader; exec sleep 600", 1)
    until(lambda: agent.group() == ["sleep", "sleep"])
    os.kill(agent.pid, signal.SIGKILL)
    until(lambda: process.member(agent.pid) is None, "whoever has it now to reap it")
    done = run(how, agent.agent, "--json")
    [told] = json.loads(done.stdout)["agents"]
    assert (done.returncode, told["reached"], told["done"]) == (72, False, False), done.stderr
    [left] = told["left"]
    assert f"{left['pid']} (sleep); it could not be told to be its own, and was left alone" in done.stderr
    assert agent.group() == ["sleep"]


def test_a_daemon_of_one_without_a_shim_is_named_and_left_alone(unwatched, ask, run):
    agent = unwatched("setsid sleep 600 & echo leader; sleep 600; wait", 1)
    until(lambda: sorted(agent.group()) == ["sh", "sleep"])
    done = run("stop", agent.agent)
    [left] = one(ask, agent.agent)["left"]
    assert (done.returncode, left["name"]) == (0, "sleep")
    assert f"process {left['pid']} (sleep), which it started, runs on" in done.stderr
    assert "is not running" in ask("stop", agent.agent, code=74)
    assert ask("rm", agent.agent) == {"removed": [agent.agent]}
    assert processes.started_ticks(left["pid"]) == left["start_ticks"]
    os.kill(left["pid"], signal.SIGKILL)


def test_all_processes_are_looked_at_once_for_however_many_agents(unwatched, ask, run, monkeypatch):
    for _ in range(3):
        os.kill(unwatched("echo leader; exec sleep 600", 1).pid, signal.SIGKILL)
    until(lambda: {each["life"] for each in ask("ps", "--all")["agents"]} == {"lost"})
    looks, everybody = [], process.everybody
    monkeypatch.setattr(process, "everybody", lambda: looks.append(None) or everybody())
    home = Home(settings.load(None, os.environ, {}))
    assert len(agents.told(home, supervising.agents(home, ended=True))) == 3
    assert len(looks) == 1


def test_one_that_is_halted_is_paused_for_everybody_and_nobody_is_sure(unwatched, ask, run):
    agent = unwatched(OBEYS, 1).agent
    assert "running?" in run("ps").stdout
    [told] = ask("pause", agent)["agents"]
    assert (told["state"], told["life"], told["done"]) == ("paused", "unshimmed", True)
    assert one(ask, agent)["state"] == ask("attempts", agent)["attempts"][0]["state"] == "paused"
    assert "paused?" in run("ps").stdout
    assert "paused?" in run("attempts", agent).stdout
    session = ask("show", agent)["session"]
    assert (session["run"]["status"], session["state"], session["state_grade"]) == (
        "paused",
        "waiting",
        "inferred",
    )
    assert [each["state"] for each in ask("unpause", agent)["agents"]] == ["running"]
