"""One truth of Codex's sessions: from rollouts, from hooks and `notify`, from both, in whatever order they arrive."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import ask, everything

RECORDED = Path(__file__).resolve().parent.parent / "data" / "codex"
SCENARIOS = sorted(path.name for path in RECORDED.iterdir())
_DAY = "2026-11-21"  # of the recordings
_TIME = re.compile(r'"\d{4}-\d\d-\d\dT[^"]*"')
SOON = "2026-11-21T11:30:50Z"
# What is known of the last turn of a session, from rollouts, and from hooks where they say something else.
STATES = {
    "api-error": ("failed", "interrupted"),
    "kill9-then-resume": ("ended", "ended"),
    "multi-agent-v2": ("ended", "ended"),
    "sigint": ("interrupted", "interrupted"),
    "tools-and-patch": ("ended", "ended"),
}


def rollouts(scenario: str) -> list[Path]:
    return sorted((RECORDED / scenario).rglob("rollout-*.jsonl"))


def payloads(scenario: str) -> list[bytes]:
    """What hooks left, and `notify`: a turn's end is told by both, in this order."""
    found = [RECORDED / scenario / f"{kind}.ndjson" for kind in ("hooks", "notify")]
    return [line for path in found if path.exists() for line in path.read_bytes().splitlines(keepends=True)]


def root_of(scenario: str) -> str:
    return json.loads(rollouts(scenario)[0].read_text().splitlines()[0])["payload"]["session_id"]


def fill(home: Path, tmp_path: Path, scenario: str, order: str) -> Path:
    """A home that both sources arrived in, in one order or another."""
    inbox = home / "inbox"
    sessions = tmp_path / f"rollouts-{home.name}"
    sessions.mkdir()
    ask(home, ["sessions"])
    inbox.mkdir(mode=0o700, exist_ok=True)

    def hooks(*lines: bytes) -> None:
        with (inbox / "codex").open("ab") as spool:
            spool.write(b"".join(lines))
        ask(home, ["sessions"])

    def files() -> None:
        for path in rollouts(scenario):
            shutil.copy(path, sessions)
        ask(home, ["import", str(sessions)])

    match order:
        case "rollouts":
            files()
        case "hooks":
            hooks(*payloads(scenario))
        case "rollouts first":
            files()
            hooks(*payloads(scenario))
        case "hooks first":
            hooks(*payloads(scenario))
            files()
        case _:
            interleave(home, scenario, sessions, inbox)
    return home


def interleave(home: Path, scenario: str, sessions: Path, inbox: Path) -> None:
    """Line by line, drawn from all sources; each keeps its own order, and the recorder comes by now and then."""
    dice = random.Random(f"{scenario} {home.name}")
    queues = [
        (sessions / path.name, path.read_bytes().splitlines(keepends=True)) for path in rollouts(scenario)
    ]
    queues.append((inbox / "codex", payloads(scenario)))
    while queues:
        batch = min(sum(len(lines) for _, lines in queues), dice.randrange(10, 40))
        for _ in range(batch):
            path, lines = dice.choice(queues)
            with path.open("ab") as file:
                file.write(lines.pop(0))
            queues = [queue for queue in queues if queue[1]]
            if not queues:
                break
        ask(home, ["import", str(sessions)])


def untimed(answers: dict[str, str]) -> dict[str, str]:
    """Without what says when something was recorded: timelines, where that orders what has no time, and times of another day."""
    return {
        name: _TIME.sub(lambda found: found[0] if found[0].startswith(f'"{_DAY}') else '"(recorded)"', answer)
        for name, answer in answers.items()
        if not name.startswith("timeline")
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_sources_give_one_truth_in_any_order(scenario, home, tmp_path):
    """The same answers, and after a rebuild again; of what rollouts tell nothing is changed by hooks."""
    orders = ("rollouts first", "hooks first", "interleaved")
    homes = {
        order: fill(home.with_name(order.replace(" ", "-")), tmp_path, scenario, order) for order in orders
    }
    expected = untimed(everything(homes["rollouts first"]))
    for order in orders[1:]:
        assert untimed(everything(homes[order])) == expected, order
    ask(homes["hooks first"], ["rebuild"])
    assert untimed(everything(homes["hooks first"])) == expected

    alone = untimed(everything(fill(home.with_name("alone"), tmp_path, scenario, "rollouts")))
    root = root_of(scenario)
    assert timeless(expected[f"tree {root} --json"]) == timeless(alone[f"tree {root} --json"])
    both, one = json.loads(expected[f"show {root} --json"]), json.loads(alone[f"show {root} --json"])
    for name, value in one["session"].items():
        if name not in {"state", "state_grade", "state_why"}:  # that it was left, only hooks say
            assert both["session"][name] == value, name
    assert both["session"]["state"] == one["session"]["state"] == STATES[scenario][0]


def timeless(tree: str) -> object:
    """A tree without what only hooks tell of it: what kind of agent one is and so of which text, that somebody was asked."""
    found = json.loads(tree)

    def bare(node: dict) -> dict:
        below = [bare(child) for child in node["children"] if child["kind"] != "event"]
        told = {"name": None, "definition": None} if node["kind"] == "agent" else {}
        return {**node, **told, "children": below}

    return [bare(node) for node in found["roots"]]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_hooks_alone_tell_what_they_know(scenario, home, tmp_path):
    """The session, its directory, its prompts, its turns' ends, its agents; of tokens, models and calls nothing is claimed."""
    fill(home, tmp_path, scenario, "hooks")
    root = root_of(scenario)
    (answer,) = ask(home, ["show", root, "--json"])
    shown = json.loads(answer)
    session = shown["session"]
    assert (session["state"], session["workspace"]) == (STATES[scenario][1], "/home/dev/demo")
    given = [json.loads(line) for line in payloads(scenario)]
    given = [one for one in given if one.get("session_id") == root]
    prompts = [one["prompt"] for one in given if one["hook_event_name"] == "UserPromptSubmit"]
    assert (session["turns"], session["title"]) == (len(prompts), prompts[0])
    assert (session["llm_calls"], session["tool_calls"], session["cost_usd"]) == (0, 0, None)
    assert session["tokens"]["input"] is None
    agents = {one["agent_id"] for one in given if one["hook_event_name"] == "SubagentStart"}
    assert {agent["id"]: agent["status"] for agent in shown["agents"] if agent["id"]} == dict.fromkeys(
        agents, "completed"
    )


@pytest.mark.parametrize("scenario", ["kill9-then-resume", "multi-agent-v2", "tools-and-patch"])
def test_notify_alone_tells_of_completed_turns(scenario, home, tmp_path):
    """The session, its directory, and the turn; a subagent's, whose session it does not name, makes none up."""
    told = [one for one in payloads(scenario) if json.loads(one).get("type")]
    ask(home, ["sessions"])
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    (home / "inbox" / "codex").write_bytes(b"".join(told))
    (answer,) = ask(home, ["sessions", "--json"])
    found = {one["id"]: one for one in json.loads(answer)["sessions"]}
    assert set(found) == {json.loads(one)["thread-id"] for one in told if "client" in json.loads(one)}
    session = found[root_of(scenario)]
    assert (session["turns"], session["state"], session["workspace"]) == (1, "ended", "/home/dev/demo")
    assert (session["title"], session["llm_calls"], session["tokens"]["input"]) == (None, 0, None)


def _resumed() -> tuple[list[str], list[str]]:
    """The rollout of a session that was killed, and what its resume added."""
    (path,) = rollouts("kill9-then-resume")
    lines = path.read_text().splitlines(keepends=True)
    at = [number for number, line in enumerate(lines) if '"task_started"' in line][1]
    return lines[:at], lines[at:]


def test_a_session_that_was_left_and_goes_on_is_not_over(run, home, tmp_path):
    """Its end, told by a hook, counts until it begins again; whether a hook or the rollout says that."""
    (path,) = rollouts("tools-and-patch")
    lines = path.read_text().splitlines(keepends=True)
    growing = tmp_path / path.name
    growing.write_text("".join(lines))
    root = json.loads(lines[0])["payload"]["id"]
    assert run("import", growing).returncode == 0
    states = []

    def look(*lines: dict) -> None:
        with (home / "inbox" / "codex").open("a") as spool:
            spool.writelines(json.dumps({"session_id": root} | line) + "\n" for line in lines)
        run("import", growing)
        (answer,) = ask(home, ["show", root, "--json"], now=SOON)
        states.append(json.loads(answer)["session"]["state"])

    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    look({"hook_event_name": "SessionStart", "source": "startup"})
    look({"hook_event_name": "SessionEnd", "reason": "other"})
    look({"hook_event_name": "SessionStart", "source": "resume"})
    turn = json.loads(json.dumps(json.loads(lines[1])).replace("0255-7410", "9255-7410"))
    turn["ordinal"], turn["timestamp"] = len(lines), "2026-11-21T11:30:40.000Z"
    growing.write_text("".join([*lines, json.dumps(turn) + "\n"]))
    look()
    assert states == ["idle", "ended", "idle", "working"]


def test_a_turn_that_only_a_hook_saw_ends_no_other(run, home, tmp_path):
    """A prompt that another hook refused is no turn in the rollout: what the rollout tells last is last."""
    (path,) = rollouts("tools-and-patch")
    root = root_of("tools-and-patch")
    assert run("import", path).returncode == 0
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    refused = {"session_id": root, "hook_event_name": "UserPromptSubmit", "turn_id": "t", "prompt": "no"}
    (home / "inbox" / "codex").write_text(json.dumps(refused) + "\n")
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert (session["state"], session["turns"]) == ("ended", 2)
    assert run("doctor").returncode == 0, run("doctor").stdout


def test_the_end_of_a_killed_session_is_not_made_up(home, tmp_path):
    """Killed, with a hook that told of its beginning: neither source says that it is over."""
    before, _ = _resumed()
    (path,) = rollouts("kill9-then-resume")
    root = root_of("kill9-then-resume")
    cut = tmp_path / path.name
    cut.write_text("".join(before))
    ask(home, ["import", str(cut)])
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    turn = json.loads(next(line for line in before if '"task_started"' in line))["payload"]["turn_id"]
    told = [
        {"session_id": root, "hook_event_name": "SessionStart", "source": "startup"},
        {
            "session_id": root,
            "hook_event_name": "UserPromptSubmit",
            "turn_id": turn,
            "prompt": "SCENARIO:kill1 go",
        },
    ]
    (home / "inbox" / "codex").write_text("".join(json.dumps(one) + "\n" for one in told))
    states = {}
    for now in ("2026-11-21T11:30:00Z", "2026-11-21T11:50:00Z"):
        (answer,) = ask(home, ["sessions", "--json"], now=now)
        (session,) = json.loads(answer)["sessions"]
        states[now] = (session["state"], session["turns"])
    assert list(states.values()) == [("working", 1), ("interrupted", 1)]
