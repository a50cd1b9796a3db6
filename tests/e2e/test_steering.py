"""What is asked of an agent counts for the agent, whatever becomes of its lives meanwhile, and is told as it came."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import holdfast
from holdfast import clock, settings, steering, supervising
from holdfast.home import Home
from tests.e2e.test_run import ask, one, over, room, start
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ask", "start"]  # fixtures
pytestmark = pytest.mark.slow
FAILS_ONCE = "test -e {0} || {{ touch {0}; exit 3; }}; sleep 600"
LATER_US = 31_000_000  # after its first failure it is started again


def opened() -> Home:
    return Home(settings.load(None, os.environ, {}))


def tick() -> None:
    supervising.Supervisor(opened()).tick(clock.now_us() + LATER_US)


@pytest.fixture
def failed(home: Path, start, tmp_path: Path) -> str:
    """An agent that failed, and is started again when somebody looks."""
    agent = start(FAILS_ONCE.format(tmp_path / "once"), "--restart", "on-failure")
    over(home, agent)
    return agent


def test_one_that_is_started_again_while_it_is_asked_to_end_is_asked_again(ask, run, failed, monkeypatch):
    """Who restarts it began it after the command had looked, and before it said what it wants."""
    intend = steering._intend

    def late(*args):
        monkeypatch.setattr(steering, "_intend", intend)
        tick()
        assert one(ask, failed)["state"] == "running"
        intend(*args)

    monkeypatch.setattr(steering, "_intend", late)
    came = steering.stop(opened(), failed)
    assert (came.done, came.reached, came.view.status) == (True, True, "cancelled")
    told = one(ask, failed)
    assert (told["state"], told["attempt"], told["life"]) == ("cancelled", 2, "exited")


def test_one_that_is_asked_to_end_while_it_is_made_again_is_not_begun(ask, run, failed, monkeypatch):
    """Who restarts it had looked before, and makes the attempt after the command is through."""
    make = supervising._make_again

    def late(*args, **more):
        told = ask("stop", failed, "--why", "enough")
        assert (told["agents"][0]["done"], told["agents"][0]["attempt"]) == (True, 1)
        return make(*args, **more)

    monkeypatch.setattr(supervising, "_make_again", late)
    tick()
    told = one(ask, failed)
    assert (told["life"], told["attempt"]) == ("never_started", 2)
    stop = ask("attempts", failed)["attempts"][1]["stop"]
    assert (stop["how"], stop["why"]) == ("stop", "enough")
    tick()
    assert one(ask, failed)["life"] == "never_started"
    assert ask("ps")["agents"] == []


def test_what_a_person_starts_again_after_it_was_ended_begins(ask, run, failed):
    ask("stop", failed)
    assert run("run", "--detach", "--again", failed).returncode == 0
    assert one(ask, failed)["state"] == "running"
    assert ask("stop", failed)["agents"][0]["done"]


def test_what_became_of_a_life_before_it_was_asked_for_anything_stays_so(ask, run, home, start):
    """The machine started again; stopped, the agent is not started once more, and its life was cut all the same."""
    agent = start("exec sleep 600", "--restart", "on-failure")
    path = room(home, agent) / "child.json"
    child = json.loads(path.read_text())
    for pid in (child["shim_pid"], child["pid"]):
        os.kill(pid, 9)
    until(lambda: one(ask, agent)["life"] == "lost")
    path.write_text(json.dumps(child | {"boot_id": "another"}))
    (room(home, agent) / "told").unlink(missing_ok=True)
    assert one(ask, agent)["state"] == "pending"
    [told] = ask("stop", agent)["agents"]
    assert (told["state"], told["done"]) == ("interrupted", True)
    [life] = ask("attempts", agent)["attempts"]
    assert (life["state"], life["stop"]["how"], life["stop"]["over"]) == ("interrupted", "stop", True)
    assert ask("recover", "show", agent)["status"] == "interrupted"
    tick()
    assert one(ask, agent)["attempt"] == 1


def test_one_that_never_began_and_was_stopped_is_cancelled_for_everybody(ask, run, home):
    """Also for the coordinator who asked for it."""
    box = home / "requests"
    box.mkdir(parents=True)
    home.chmod(0o700)
    (box / "r.json").write_text(json.dumps({"request_id": "r", "agent_id": "n1", "argv": ["sleep", "600"]}))
    assert run("requests", "process", env={"HOLDFAST_FAILPOINTS": "run.made=kill"}).returncode < 0
    [told] = ask("stop", "n1")["agents"]
    assert (told["state"], told["life"], told["done"]) == ("cancelled", "never_started", True)
    assert [life["state"] for life in ask("attempts", "n1")["attempts"]] == ["cancelled"]
    assert holdfast.status("n1").status == "cancelled"
    assert run("requests", "process").returncode == 0
    answer = json.loads((home / "responses" / "r_response.json").read_text())
    assert (answer["status"], answer["agent"]) == ("cancelled", told["id"])
    assert one(ask, told["id"])["life"] == "never_started"
