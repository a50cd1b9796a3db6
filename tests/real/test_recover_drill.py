"""Real clients, several at once with subagents, killed together with the service: `holdfast recover` tells what is true.

What is true is known by the scripted model: who was given a last answer, who was not, and which command ran and did not end.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.endpoint import Call, Say, agent, bash
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
TRIALS = int(os.environ.get("HOLDFAST_TEST_DRILL_TRIALS", "2"))
LONGEST_S = 4.0  # from the first start to the kill
CUT, DONE = ("interrupted", None), ("finished", "completed")


@pytest.fixture
def service(played) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "up"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=played.environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    yield process
    kill(process)


def begin(played, name: str, *steps: Any) -> subprocess.Popen[str]:
    """One client that follows a script of its own, allowed to do all that it asks for."""
    claude, endpoint = played.stage.claude, played.stage.endpoint
    return claude.start(endpoint.script(name, *steps), "--allowedTools", "Bash,Agent")


def found(played) -> dict[str, dict[str, Any]]:
    """Where each session stands, by the name of its script."""
    answers = played.ask("recover", "list", "--all")["sessions"]
    titles = {one["session"]["id"]: script_of(played, one["session"]["id"]) for one in answers}
    return {titles[one["session"]["id"]]: one for one in answers if titles[one["session"]["id"]]}


def script_of(played, session: str) -> str | None:
    """Which script a session's first prompt names."""
    for path, content in played.stage.claude.transcripts().items():
        if path.endswith(f"/{session}.jsonl") and b"[script " in content:  # not of its subagents
            return content.partition(b"[script ")[2].partition(b"]")[0].decode()
    return None


def agents(one: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {
        found["description"]: (found["status"], found["outcome"]) for found in one["agents"] if found["id"]
    }


def stands(one: dict[str, Any]) -> tuple[str, str | None]:
    return one["status"], one["outcome"]


def kill(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        if process.stdout is not None and not process.stdout.closed:
            process.communicate()


def test_five_clients_and_the_service_are_killed(played, service):
    """Each where its script holds it; one that lives is never dead, one that finished unheard is not lost."""
    stage = played.stage
    gates = [stage.gate() for _ in range(6)]
    held = [Call((bash(gate.command),)) for gate in gates]
    for name in ("quick", "quick-too"):
        stage.endpoint.script(name, Call((bash("echo quick"),)), Say(f"{name} is done"))
    for number, name in ((1, "slow"), (2, "left"), (3, "far")):
        stage.endpoint.script(name, held[number], Say(f"{name} is done"))
    done = begin(played, "done", Call((agent("quick", background=False),)), Say("That was it."))
    assert stage.claude.end(done).code == 0
    killed = [
        begin(played, "at-tool", held[0], Say("no")),
        begin(
            played,
            "with-agents",
            Call((agent("quick", background=False), agent("slow", background=False))),
            Say("no"),
        ),
        begin(played, "left-behind", Call((agent("left", background=True),)), Say("It is on its way.")),
        begin(
            played,
            "unheard",
            Call((agent("quick-too", background=True), agent("far", background=True))),
            held[4],
            Say("no"),
        ),
    ]
    alive = begin(played, "alive", held[5], Say("That was it."))
    for gate in gates:
        gate.reached()
    until(lambda: stage.endpoint.asked("quick-too", 1).is_set(), "the agent that finishes")
    until(lambda: agents(found(played)["unheard"])["follow quick-too"] == DONE, "its end to be recorded")
    kill(*killed, service)
    told = found(played)
    assert {name: stands(one) for name, one in told.items()} == {
        "done": DONE,
        "at-tool": CUT,
        "with-agents": CUT,
        "left-behind": CUT,
        "unheard": CUT,
        "alive": ("in_flight", None),
    }
    assert {name: agents(one) for name, one in told.items()} == {
        "done": {"follow quick": DONE},
        "at-tool": {},
        "with-agents": {"follow quick": DONE, "follow slow": CUT},
        "left-behind": {"follow left": CUT},
        "unheard": {"follow quick-too": DONE, "follow far": CUT},
        "alive": {},
    }
    assert {one["alive"] for name, one in told.items() if name != "alive"} == {False}
    assert told["alive"]["alive"]
    offered = {one["session"]["id"] for one in played.ask("recover", "list")["sessions"]}
    assert offered == {
        told[name]["session"]["id"] for name in ("at-tool", "with-agents", "left-behind", "unheard")
    }
    for name in ("at-tool", "with-agents", "unheard"):
        assert {call["status"] for call in told[name]["calls"]} == {"interrupted"}, name
    gates[5].let_through()
    assert stage.claude.end(alive).code == 0
    assert stands(found(played)["alive"]) == DONE


def test_what_was_written_alone_would_not_tell_it(played, tmp_path):
    """Negative control: right after the kill, transcripts without hooks and registry show the killed one at work."""
    gate = played.stage.gate()
    process = begin(played, "at-tool", Call((bash(gate.command),)), Say("no"))
    gate.reached()
    kill(process)
    now = datetime.now(UTC).isoformat()
    played.ask("sessions")
    (played.stage.claude.config / "projects").rename(tmp_path / "projects")
    elsewhere = {
        "HOLDFAST_HOME": str(tmp_path / "other"),
        "CLAUDE_CONFIG_DIR": str(tmp_path),
        "HOLDFAST_NOW": now,
    }
    answer = played.ask("recover", "list", "--all", **elsewhere)
    assert [stands(one) for one in answer["sessions"]] == [("in_flight", None)]
    [one] = played.ask("recover", "list")["sessions"]
    assert stands(one) == CUT


@pytest.mark.parametrize("trial", range(TRIALS))
def test_killed_at_a_moment_of_chance(trial, played, service):
    """Whatever the moment: nobody is told as finished who was not given a last answer, nobody who lives as dead."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance, endpoint = random.Random(seed), played.stage.endpoint
    for name in ("one", "two"):
        for helper in (f"{name}-helper", f"{name}-other"):
            endpoint.script(helper, Call((bash(f"echo {helper}"),)), Say(f"{helper} is done"))
    alive = begin(played, "alive", Call((bash(played.stage.gate().command),)), Say("That was it."))
    until(lambda: endpoint.asked("alive", 0).is_set(), "the one that lives")
    doomed = {
        name: begin(
            played,
            name,
            Call((bash(f"echo {name}"),)),
            Call((agent(f"{name}-helper", background=False), agent(f"{name}-other", background=True))),
            Call((bash("sleep 1"),)),
            Say("That was it."),
        )
        for name in ("one", "two")
    }
    threading.Event().wait(chance.uniform(0.2, LONGEST_S))
    over = {name: process.poll() is not None for name, process in doomed.items()}
    kill(*doomed.values(), service)
    told = found(played)
    assert (told["alive"]["status"], told["alive"]["alive"]) == ("in_flight", True), told["alive"]
    for name in doomed:
        if name not in told:  # it was killed before it wrote its prompt
            continue
        answered = endpoint.asked(name, 3).is_set()
        status = stands(told[name])
        assert told[name]["alive"] is False
        if over[name]:
            assert status == DONE, told[name]
        elif not answered:
            assert status[0] == "interrupted", told[name]
        for helper, where in agents(told[name]).items():
            # where no call is written yet, a hook told of an agent, and not which
            names = (
                [f"{name}-helper", f"{name}-other"] if helper is None else [helper.removeprefix("follow ")]
            )
            if not any(endpoint.asked(each, 1).is_set() for each in names):
                assert where[0] != "finished", told[name]
    kill(alive)
