"""Hooks under the real client: each event that it fires is recorded once, it does not notice, and states are right."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import pytest

from holdfast.capture import sink
from tests.e2e.test_hooks import recorded
from tests.real import scenes
from tests.real.endpoint import Call, Say, bash
from tests.real.scenes import SCENES, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
UNAWAITED = b'"hook_event_name":"StopFailure"'  # the client does not wait for its hooks: what still runs when it exits is cut (2.1.330)
LATER = "2030-01-01T00:00:00Z"  # when silence has become evidence


class Recorder:
    """Runs the command again and again, and kills every other one at some moment of its life."""

    def __init__(self, environment: dict[str, str], seed: int) -> None:
        self._environment = environment
        self._dice = random.Random(seed)
        self._is_over = threading.Event()
        self.killed = self.finished = 0
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _work(self) -> None:
        while not (self._is_over.is_set() and self.killed and self.finished):
            command = [sys.executable, "-m", "holdfast", "sessions", "--json"]
            with subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL) as started:
                try:
                    started.wait(self._dice.uniform(0, 0.7) if self.killed <= self.finished else None)
                except subprocess.TimeoutExpired:
                    started.kill()
            self.killed += started.returncode == -signal.SIGKILL
            self.finished += started.returncode == 0


def nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting = list(tree["roots"])
    while waiting:
        node = waiting.pop(0)
        yield node
        waiting += node["children"]


def awaited(payloads: list[bytes]) -> Counter[bytes]:
    """How often each payload is there, without line ends and what the client may have cut."""
    return Counter(payload.rstrip(b"\n") for payload in payloads if UNAWAITED not in payload)


def kinds(claude) -> Counter[str]:
    """How often the client fired each event."""
    return Counter(json.loads(payload)["hook_event_name"] for payload in awaited(claude.heard()).elements())


def each_once(claude, home: Path) -> bool:
    """Whether what the user's own hooks were given is what is recorded, and nothing twice."""
    counted = Counter(recorded(home))
    return awaited(claude.heard()) == awaited(list(counted.elements())) and set(counted.values()) == {1}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_each_event_is_recorded_once_and_the_client_does_not_notice(scene, client, played, home):
    """A recorder comes by all the time, and is killed; states are right in the end."""
    expected = SCENES[scene]
    plain = client("plain")
    without = scene(Stage(plain, played.stage.endpoint, played.stage.gate))
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    with Recorder(played.environment, seed) as recorder:
        done = scene(played.stage)
    assert (recorder.killed > 0, recorder.finished > 0) == (True, True)

    assert without.code == expected.code
    assert (done.code, done.results, done.err) == (without.code, without.results, without.err)
    assert done.hooks_said == []
    claude = played.stage.claude
    assert kinds(claude) == kinds(plain)

    assert played.ask("sessions")["sessions"][0]["state"] == expected.state
    assert each_once(claude, home)
    assert list((home / "inbox").iterdir()) == []
    [session, *others] = played.ask("sessions", now=LATER)["sessions"]
    assert session["state"] == expected.state
    assert len(others) == len(claude.sessions()) - 1
    found = list(nodes(played.ask("tree", session["id"], now=LATER)))
    assert [node["status"] for node in found if node["kind"] == "turn"] == expected.turns
    assert Counter(node["status"] for node in found if node["kind"] == "tool") in expected.calls
    assert (
        sorted(node["status"] for node in found if node["kind"] == "agent" and node["id"]) == expected.agents
    )


def test_a_stop_with_a_background_agent_at_work_is_not_the_end(played):
    """The main agent has stopped; the session has not, and neither has the agent."""

    def look() -> None:
        [session] = played.ask("sessions")["sessions"]
        told = played.ask("show", session["id"])
        assert (session["state"], session["state_grade"]) == ("working", "inferred"), session["state_why"]
        assert [agent["status"] for agent in told["agents"] if agent["id"]] == ["running"]

    scenes.background(played.stage, look)


def test_many_clients_at_once_leave_everything(client, played, home, run):
    """Four, each with thirteen calls at a time, into one home; a recorder comes by all the time, and is killed."""
    claudes = [played.stage.claude, *(client(f"client-{number}") for number in range(3))]
    prompts = []
    for number, claude in enumerate(claudes):
        assert run("hooks", "install", env={"CLAUDE_CONFIG_DIR": str(claude.config)}).returncode == 0
        calls = tuple(bash(f"echo {number} {call}") for call in range(13))
        prompts.append(played.stage.endpoint.script(f"client-{number}", Call(calls), Say("That was it.")))
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    with Recorder(played.environment, seed):
        started = [claude.start(prompt) for claude, prompt in zip(claudes, prompts, strict=True)]
        done = [claude.end(one) for claude, one in zip(claudes, started, strict=True)]
    assert [(one.code, one.hooks_said, one.err) for one in done] == [(0, [], "")] * 4
    played.ask("sessions")
    told = [payload for claude in claudes for payload in claude.heard()]
    assert sum(json.loads(payload)["hook_event_name"] == "PostToolUse" for payload in told) == 52
    assert sorted(told) == sorted(payload + b"\n" for payload in recorded(home))


def test_a_payload_beyond_the_limit_is_noted_in_its_place(played, home):
    """The client is told nothing of it."""
    done = scenes.large(played.stage, sink.LIMIT_BYTES // 3 * 2)
    assert (done.code, done.hooks_said, done.err) == (0, [], "")
    played.ask("sessions")
    told = played.stage.claude.heard()
    short = sorted(payload for payload in told if len(payload) <= sink.LIMIT_BYTES + 1)
    notes = [payload for payload in recorded(home) if payload.startswith(b'{"too_long":true')]
    assert (len(told), len(notes)) == (len(short) + len(notes), len(told) - len(short))
    assert notes
    assert sorted(payload + b"\n" for payload in recorded(home) if payload not in notes) == short


@pytest.mark.parametrize("mistake", ["cat > {}", "cat >> {}; cat {}", ":"])
def test_a_hook_with_a_mistake_is_found_out(mistake, played, home):
    """It keeps only the last, or says something, or nothing happens: the comparison above must see it."""
    settings = played.stage.claude.config / "settings.json"
    spool = str(home / "inbox" / "claude")
    value = json.loads(settings.read_text())
    for groups in value["hooks"].values():
        for entry in groups[-1]["hooks"]:
            assert entry["command"].startswith(sink.OURS)
            entry["command"] = mistake.replace("{}", spool)
    settings.write_text(json.dumps(value))
    done = scenes.tools(played.stage)
    played.ask("sessions")
    assert done.hooks_said or not each_once(played.stage.claude, home)
