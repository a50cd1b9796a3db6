"""What is played to the real client: each scene is one person's use of it, from the first prompt to the end."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tests.real.claude import Claude, Done, Gate, Screen
from tests.real.endpoint import Call, Endpoint, Refuse, Say, Wait, agent, bash
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Stage:
    """Where a scene plays. `gate` makes one."""

    claude: Claude
    endpoint: Endpoint
    gate: Callable[[], Gate]


def tools(stage: Stage) -> Done:
    """Parallel calls, one of which fails, and one that nobody allowed."""
    prompt = stage.endpoint.script(
        "main",
        Call((bash("echo one"), bash("exit 3"), bash("echo two"))),
        Call((bash("rm nothing"),)),
        Say("That was it."),
    )
    return stage.claude.run(prompt)


def large(stage: Stage, size_bytes: int = 3 << 20) -> Done:
    """A file of some megabytes is written: its hooks are told all of it, and afterwards more than once."""
    line = "many words, again and again\n"
    text = line * (size_bytes // len(line))
    write = "Write", {"file_path": str(stage.claude.project / "long.txt"), "content": text}
    return stage.claude.run(stage.endpoint.script("main", Call((write,)), Say("That was long.")))


def subagents(stage: Stage) -> Done:
    """Two at once, one of which has one of its own."""
    stage.endpoint.script("outer", Call((agent("inner", background=False),)), Say("outer is done"))
    stage.endpoint.script("inner", Call((bash("echo inner"),)), Say("inner is done"))
    stage.endpoint.script("other", Call((bash("exit 2"),)), Say("other is done"))
    both = agent("outer", background=False), agent("other", background=False)
    return stage.claude.run(stage.endpoint.script("main", Call(both), Say("Both are done.")))


def background(stage: Stage, while_it_works: Callable[[], object] = lambda: None) -> Done:
    """An agent that goes on after the main one has stopped; its end starts a turn of its own."""
    go_on = threading.Event()
    stage.endpoint.script("helper", Call((bash("echo first"),)), Wait(go_on, "helper is done"))
    prompt = stage.endpoint.script(
        "main", Call((agent("helper", background=True),)), Say("It is on its way."), Say("It came back.")
    )
    started = stage.claude.start(prompt)
    until(lambda: "Stop" in stage.claude.events(), "the main agent's stop")
    assert stage.endpoint.asked("helper", 1).wait(60)
    try:
        while_it_works()
    finally:
        go_on.set()
    return stage.claude.end(started)


def api_error(stage: Stage) -> Done:
    return stage.claude.run(stage.endpoint.script("main", Refuse(400, "the script says no")))


def max_turns(stage: Stage) -> Done:
    steps = [Call((bash(f"echo {number}"),)) for number in range(5)]
    return stage.claude.run(stage.endpoint.script("main", *steps), "--max-turns", "2")


def escape(stage: Stage) -> Done:
    """A person at a terminal presses Esc while a command runs, and then ends the program."""
    gate = stage.gate()
    prompt = stage.endpoint.script("main", Call((bash(gate.command),)), Say("That was it."))
    screen = Screen(stage.claude, "--permission-mode", "acceptEdits", "--allowedTools", "Bash")
    try:
        until(lambda: "SessionStart" in stage.claude.events(), "the start")
        screen.type(prompt)
        until(lambda: b"main" in screen.shown, "the prompt on the screen")
        screen.type("\r")
        gate.reached()
        screen.type("\x1b")
        until(
            lambda: any(b"interrupted by user" in held for held in stage.claude.transcripts().values()), "Esc"
        )
    finally:
        code = screen.end()
    until(lambda: not stage.claude.is_listening(), "the user's own hooks")
    return Done(code, [], "")


def _cut(stage: Stage, by: signal.Signals) -> Done:
    gate = stage.gate()
    prompt = stage.endpoint.script("main", Call((bash(gate.command),)), Say("That was it."))
    started = stage.claude.start(prompt, "--allowedTools", "Bash")
    gate.reached()
    os.kill(started.pid, by)
    return stage.claude.end(started)


def sigkill(stage: Stage) -> Done:
    return _cut(stage, signal.SIGKILL)


def sigterm(stage: Stage) -> Done:
    return _cut(stage, signal.SIGTERM)


def sigint(stage: Stage) -> Done:
    return _cut(stage, signal.SIGINT)


def killed_with_subagent(stage: Stage) -> Done:
    """SIGKILL while a subagent's command runs."""
    gate = stage.gate()
    stage.endpoint.script("helper", Call((bash(gate.command),)), Say("helper is done"))
    prompt = stage.endpoint.script("main", Call((agent("helper", background=False),)), Say("That was it."))
    started = stage.claude.start(prompt, "--allowedTools", "Bash,Agent")
    gate.reached()
    os.kill(started.pid, signal.SIGKILL)
    return stage.claude.end(started)


def resumed(stage: Stage) -> Done:
    """Killed during a call, then gone on with."""
    _cut(stage, signal.SIGKILL)
    [session] = stage.claude.sessions()
    return stage.claude.run(stage.endpoint.script("again", Say("I go on.")), "--resume", session)


def forked(stage: Stage) -> Done:
    """A second session that goes on from the first."""
    stage.claude.run(stage.endpoint.script("main", Call((bash("echo one"),)), Say("That was it.")))
    [session] = stage.claude.sessions()
    more = stage.endpoint.script("fork", Say("I go another way."))
    return stage.claude.run(more, "--resume", session, "--fork-session")


def compacted(stage: Stage) -> Done:
    stage.claude.run(stage.endpoint.script("main", Call((bash("echo one"),)), Say("That was it.")))
    [session] = stage.claude.sessions()
    return stage.claude.run("/compact", "--resume", session)


class Expected(NamedTuple):
    """What is true of a scene.

    Attributes:
        code: the client's exit code; negative: the signal.
        state: of its last session, right after it as well as when silence has become evidence.
        turns: of that session, in order.
        calls: of tools, by status, its subagents' too; any of these: what a client still writes as it ends is left to chance.
        agents: of its subagents, in the order of their status.
    """

    code: int
    state: str
    turns: list[str]
    calls: list[dict[str, int]]
    agents: list[str]


SCENES: dict[Callable[[Stage], Done], Expected] = {
    tools: Expected(0, "ended", ["completed"], [{"completed": 2, "failed": 1, "cancelled": 1}], []),
    large: Expected(0, "ended", ["completed"], [{"completed": 1}], []),
    subagents: Expected(0, "ended", ["completed"], [{"completed": 4, "failed": 1}], ["completed"] * 3),
    background: Expected(0, "ended", ["completed"] * 2, [{"completed": 2}], ["completed"]),
    api_error: Expected(1, "failed", ["failed"], [{}], []),
    max_turns: Expected(1, "interrupted", ["interrupted"], [{"completed": 2}], []),
    escape: Expected(143, "interrupted", ["interrupted"], [{"cancelled": 1}], []),
    sigkill: Expected(-signal.SIGKILL, "interrupted", ["interrupted"], [{"interrupted": 1}], []),
    sigterm: Expected(143, "interrupted", ["interrupted"], [{"failed": 1}, {"interrupted": 1}], []),
    sigint: Expected(0, "interrupted", ["interrupted"], [{"cancelled": 1}], []),
    killed_with_subagent: Expected(
        -signal.SIGKILL,
        "interrupted",
        ["interrupted"],
        [{"interrupted": 2}],
        ["interrupted"],
    ),
    resumed: Expected(0, "ended", ["completed"] * 2, [{"interrupted": 1}], []),
    forked: Expected(0, "ended", ["completed"] * 2, [{"completed": 1}], []),
    compacted: Expected(0, "ended", ["completed"], [{"completed": 1}], []),
}
