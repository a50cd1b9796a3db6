"""One session from all its sources: the same truth whichever comes first, and as much of it as each tells alone."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import CAPTURED, SCENARIOS, ask, everything

if TYPE_CHECKING:
    from pathlib import Path

# What transcripts lack: these come from hooks only, whatever the order.
_OF_HOOKS = {"session.started", "session.ended", "notice.raised"}
_RESUMED = "resume-after-kill9-and-compact"  # its transcript begins with that of another scenario


def payloads(scenario: str) -> list[bytes]:
    names = ("kill9-during-tool", _RESUMED) if scenario == _RESUMED else (scenario,)
    return [
        line
        for name in names
        for line in (CAPTURED / name / "hooks.ndjson").read_bytes().splitlines(keepends=True)
    ]


def leave(home: Path, lines: list[bytes]) -> None:
    """Put payloads into the inbox and have them recorded."""
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    (home / "inbox" / "claude").write_bytes(b"".join(lines))
    ask(home, ["sessions"])


def said(home: Path) -> dict[str, Any]:
    """Every answer. Ids of what hooks told are those of spools, which each home names itself."""
    answers = {question: json.loads(answer) for question, answer in everything(home).items()}
    for question, answer in answers.items():
        for entry in answer["entries"] if question.startswith("timeline") else ():
            if entry["kind"] in _OF_HOOKS:
                del entry["id"]
    return answers


def fresh(tmp_path: Path, name: str) -> Path:
    home = tmp_path / name
    ask(home, ["sessions"])
    return home


@pytest.fixture
def beginnings(tmp_path) -> Any:
    """Give the transcripts of a scenario with the first half of each file, and then whole, at one place."""

    def give(scenario: str, *, whole: bool) -> Path:
        place = tmp_path / "growing"
        shutil.copytree(CAPTURED / scenario / "transcript", place, dirs_exist_ok=True)
        for path in () if whole else place.rglob("*.jsonl"):
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(lines[: len(lines) // 2]))
        return place

    return give


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_answers_are_the_same_whichever_source_comes_first(scenario, home, tmp_path, beginnings):
    transcripts = CAPTURED / scenario / "transcript"
    told = payloads(scenario)

    first = fresh(tmp_path, "transcript-first")
    ask(first, ["import", str(transcripts)])
    alone = said(first)
    leave(first, told)
    expected = said(first)

    last = fresh(tmp_path, "hooks-first")
    leave(last, told)
    ask(last, ["import", str(transcripts)])
    assert said(last) == expected

    mixed = fresh(tmp_path, "by-turns")
    leave(mixed, told[: len(told) // 3])
    ask(mixed, ["import", str(beginnings(scenario, whole=False))])
    leave(mixed, told[len(told) // 3 : 2 * len(told) // 3])
    ask(mixed, ["import", str(beginnings(scenario, whole=True))])
    leave(mixed, told[2 * len(told) // 3 :])
    assert said(mixed) == expected

    for question, answer in expected.items():
        assert _without_hooks(question, answer) == _without_hooks(question, alone[question]), question


def _without_hooks(question: str, answer: dict[str, Any]) -> object:
    """An answer without what only hooks tell."""
    answer = copy.deepcopy(answer)
    if question.startswith("timeline"):
        return [entry for entry in answer["entries"] if entry["kind"] not in _OF_HOOKS]
    if question.startswith("show"):
        answer["events"] = {kind: n for kind, n in answer["events"].items() if kind not in _OF_HOOKS}
        answer["agents"] = [_known_agent(agent) for agent in answer["agents"]]
    if question.startswith("tree"):
        answer["roots"] = [_node(node) for node in answer["roots"]]
    return answer


def _known_agent(agent: dict[str, Any]) -> dict[str, Any]:
    """How an agent ended may be told by its stop where no transcript says it."""
    return {name: value for name, value in agent.items() if name not in ("status_grade", "status_why")}


def _node(node: dict[str, Any]) -> dict[str, Any]:
    grade = {} if node["kind"] == "agent" else {"grade": node["grade"]}
    kept = {name: value for name, value in node.items() if name not in ("grade", "children")}
    return kept | grade | {"children": [_node(child) for child in node["children"]]}


# What no hook tells: an error of the API; the end of a call that was cut; and which call started an agent that never came back.
LACKED_ERRORS = {
    "api-error-400": 1,
    "resume-after-kill9-and-compact": 1,
    "sigterm-during-tool": 1,
    "tui-esc-interrupts-sigterm": 2,
}
LACKED_STARTERS = {"kill9-foreground-subagent"}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_hooks_alone_tell_the_same_work(scenario, home, tmp_path):
    """Turns with their prompts, calls with their agents and ends, agents with who started them."""
    by_transcript, by_hooks = fresh(tmp_path, "transcript"), fresh(tmp_path, "hooks")
    ask(by_transcript, ["import", str(CAPTURED / scenario / "transcript")])
    leave(by_hooks, payloads(scenario))
    expected, found = _work(by_transcript), _work(by_hooks)
    assert found.pop("cost") == (None, None, False)
    assert None not in expected.pop("cost")
    expected["numbers"]["errors"] -= LACKED_ERRORS.get(scenario, 0)
    cut = {call for call, (*_, status) in found["calls"].items() if status == "interrupted"}
    for one in (expected, found):
        one["calls"] = {call: told[: 2 if call in cut else 3] for call, told in one["calls"].items()}
        one["agents"] = [
            agent[:2] if scenario in LACKED_STARTERS else agent[: 4 if cut else 5] for agent in one["agents"]
        ]
    assert found == expected


def _work(home: Path) -> dict[str, Any]:
    [session] = json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]
    shown, grown, told = (
        json.loads(answer)
        for answer in ask(home, *[[view, session["id"], "--json"] for view in ("show", "tree", "timeline")])
    )
    entries = told["entries"]
    nodes = list(_walk(grown["roots"]))
    return {
        "cost": (session["tokens"]["input"], session["cost_usd"], session["cost_complete"]),
        "numbers": {name: session[name] for name in ("id", "turns", "agents", "tool_calls", "errors")},
        "turns": [
            entry["text"] for entry in entries if entry["kind"] == "turn.started" and not entry["inherited"]
        ],
        "calls": {
            node["id"]: (node["name"], node["text"], node["status"])
            for node in nodes
            if node["kind"] == "tool" and not node["inherited"]
        },
        "agents": sorted(
            (a["id"], a["type"], a["parent_tool_call"] or "", a["tool_calls"], a["errors"])
            for a in shown["agents"]
        ),
        "files": [
            (file["path"], file["operation"], file["calls"], file["completed"]) for file in shown["files"]
        ],
    }


def _walk(nodes: list[dict[str, Any]]) -> Any:
    for node in nodes:
        yield node
        yield from _walk(node["children"])
