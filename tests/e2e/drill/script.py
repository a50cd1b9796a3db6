"""The lives of agents as lists of acts, made of the recordings: each line, file and hook of theirs in the order in which it came.

Every life has ids of its own, so that many of one recording can go on at once. With each act stands what it means, which is
all that `truth` goes by.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

RECORDED = Path(__file__).resolve().parents[2] / "data"
CLAUDE = (
    "async-subagents",
    "foreground-nested-subagents",
    "kill9-foreground-subagent",
    "task-tools",
    "kill9-during-tool",
)
CODEX = ("multi-agent-v2", "tools-and-patch", "kill9-then-resume")
_UUID = re.compile(r"\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-)([0-9a-f]{12})\b")
_OTHER_IDS = re.compile(
    r'\b(?:(?:toolu|msg|req|call|fc|fco|resp|amsg|at|ctc)_[0-9A-Za-z_]++|a[0-9a-f]{16}\b)(?!"\s*:)'
)
_TOLD = {
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PermissionRequest",
    "SubagentStart",
    "SubagentStop",
    "Stop",
    "SessionEnd",
    "PostToolBatch",
}


@dataclass(frozen=True)
class Step:
    """An act, as the stand-in is told it, and what it means: who it is of, and the line, payload or status that came into the world."""

    act: list[Any]
    meaning: tuple[str, Any] = ("nothing", None)
    agent: str = ""


@dataclass
class Life:
    """One session from beginning to end."""

    tool: str
    session: str
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Places:
    """Where the tools of a user write, and the hook that is installed there."""

    claude: Path
    codex: Path
    hook: str


class _Names:
    """Gives each id of a recording another one, always the same."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        text = _UUID.sub(lambda found: found[1] + self._other(found[0], 12), text)
        return _OTHER_IDS.sub(lambda found: self._of_id(found[0]), text)

    def _other(self, name: str, digits: int) -> str:
        if name not in self._known:
            self._known[name] = f"{self._chance.getrandbits(4 * digits):0{digits}x}"
        return self._known[name]

    def _of_id(self, name: str) -> str:
        kind, underscore, _ = name.partition("_")
        return f"{kind}_{self._other(name, 12)}" if underscore else f"a{self._other(name, 16)}"


def life(chance: random.Random, places: Places) -> Life:
    """A random recording under new names."""
    name = chance.choice([*CLAUDE, *CLAUDE, *CODEX])
    return _codex(name, chance, places) if name in CODEX else _claude(name, chance, places)


# ── Claude Code ──


def _claude(name: str, chance: random.Random, places: Places) -> Life:
    top, names = RECORDED / "claude-code" / name, _Names(chance)
    [main] = (top / "transcript").glob("*.jsonl")
    session = names(main.stem)
    project, registry = places.claude / "projects" / "-home-dev-demo", str(places.claude / "sessions")
    told = chance.random() < 0.7  # hooks are installed
    listed = told or chance.random() < 0.8  # the version has a registry
    timed: list[tuple[str, int, Step]] = []
    for path in sorted((top / "transcript").rglob("*.jsonl")):
        _lines(path, project / names(str(path.relative_to(top / "transcript"))), names, timed)
    for path in sorted((top / "transcript").rglob("*.meta.json")):
        _meta(path, project / names(str(path.relative_to(top / "transcript"))), names, timed)
    if told:
        _hooks(top / "hooks.ndjson", names, places.hook, timed, early=chance.random() < 0.5)
    timed.sort(key=lambda one: one[:2])
    out = Life("claude", session)
    if listed:
        out.steps.append(_registered(registry, session, "busy"))
    asking: set[str] = set()
    for _, _, step in timed:
        out.steps.append(step)
        status = _status(step, asking)
        if listed and status:
            out.steps.append(_registered(registry, session, *status))
        if told and not asking and _begins_call(step) and chance.random() < 0.3:
            out.steps += _asked_and_given(step, registry if listed else None, session, places.hook)
    if listed and step.meaning[0] == "hook" and step.meaning[1]["hook_event_name"] == "SessionEnd":
        out.steps.append(Step(["unregister", registry], ("process", None)))
    return out


def _registered(directory: str, session: str, status: str, waiting: str | None = None) -> Step:
    more = {"waitingFor": waiting} if waiting else {}
    return Step(["register", directory, session, status, more], ("process", status))


def _begins_call(step: Step) -> bool:
    return step.meaning[0] == "hook" and step.meaning[1]["hook_event_name"] == "PreToolUse"


def _asked_and_given(step: Step, registry: str | None, session: str, command: str) -> list[Step]:
    """A person is asked for leave to use a tool, and gives it; no hook tells the second."""
    said = step.meaning[1] | {"hook_event_name": "PermissionRequest", "permission_suggestions": []}
    said.pop("tool_use_id")
    asked = Step(["hook", command, json.dumps(said)], ("hook", said), step.agent)
    if registry is None:
        return [asked, Step(["nothing"], ("given", None), step.agent)]
    busy = _registered(registry, session, "busy")
    given = Step(busy.act, ("given", "busy"), step.agent)
    return [asked, _registered(registry, session, "waiting", "permission prompt"), given]


def _status(step: Step, asking: set[str]) -> tuple[str, ...] | None:
    """What the process says of itself after a step; `asking` are the agents that need leave."""
    kind, said = step.meaning
    event = said["hook_event_name"] if kind == "hook" else None
    if event == "PermissionRequest":
        asking.add(step.agent)
    elif event == "PostToolBatch":
        asking.discard(step.agent)
    elif event == "Stop" and not asking:
        return ("idle",) if not said["background_tasks"] else None
    elif event != "UserPromptSubmit":
        return None
    return ("waiting", "permission prompt") if asking else ("busy",)


def _lines(path: Path, target: Path, names: _Names, timed: list[tuple[str, int, Step]]) -> None:
    agent = path.stem.removeprefix("agent-") if path.parent.name == "subagents" else ""
    at = ""
    for raw in path.read_text().splitlines():
        line = json.loads(raw)
        if line.get("type", "").startswith("api-request"):
            continue
        at = max(at, line.get("timestamp", ""))
        text = names(raw)
        step = Step(["append", str(target), text], ("line", json.loads(text)), names(agent))
        timed.append((at, 20, step))


def _meta(path: Path, target: Path, names: _Names, timed: list[tuple[str, int, Step]]) -> None:
    """It is written when its agent begins, and again when it ended."""
    said = json.loads(names(path.read_text()))
    times = [
        json.loads(raw).get("timestamp", "")
        for raw in Path(str(path).replace(".meta.json", ".jsonl")).read_text().splitlines()
    ]
    agent = names(path.name.removeprefix("agent-").removesuffix(".meta.json"))
    begun = {key: value for key, value in said.items() if key != "finished"}
    timed.append(
        (
            min(filter(None, times)),
            10,
            Step(["write", str(target), json.dumps(begun)], ("meta", begun), agent),
        )
    )
    if said.get("finished"):
        timed.append((max(times), 30, Step(["write", str(target), json.dumps(said)], ("meta", said), agent)))


def _hooks(
    path: Path, names: _Names, command: str, timed: list[tuple[str, int, Step]], *, early: bool
) -> None:
    """Hooks bear no time: each stands by the line that it is about, in the order in which they came.

    Args:
        path: of their payloads.
        names: gives new ids.
        command: the installed hook.
        timed: takes the steps.
        early: `PreToolUse` comes before the line of its call.
    """
    calls, results = _times_of_calls(timed)
    ends, prompts = _ends(timed), _prompts(timed)
    at, place = "", 0
    for raw in path.read_text().splitlines():
        text = names(raw)
        said = json.loads(text)
        if said["hook_event_name"] not in _TOLD:
            continue
        call, event = said.get("tool_use_id"), said["hook_event_name"]
        anchor = calls.get(call) if event == "PreToolUse" else results.get(call) if call else None
        if event == "Stop":
            anchor = ends.pop(0) if ends else None
        if event == "UserPromptSubmit":
            anchor = prompts.get(said["prompt"])
        if event == "SubagentStop":
            anchor = max(
                (t for t, _, s in timed if s.agent == said["agent_id"] and s.meaning[0] == "line"),
                default=None,
            )
        if anchor is not None and anchor >= at:
            before = {"PostToolUse", "PostToolUseFailure", "UserPromptSubmit"} | (
                {"PreToolUse"} if early else set()
            )
            at, place = anchor, 15 if event in before else 25
        timed.append((at, place, Step(["hook", command, text], ("hook", said), said.get("agent_id") or "")))


def _times_of_calls(timed: list[tuple[str, int, Step]]) -> tuple[dict[str, str], dict[str, str]]:
    calls: dict[str, str] = {}
    results: dict[str, str] = {}
    for at, _, step in timed:
        for block in _blocks(step.meaning[1]) if step.meaning[0] == "line" else []:
            if block.get("type") == "tool_use":
                calls[block["id"]] = at
            elif block.get("type") == "tool_result":
                results[block["tool_use_id"]] = at
    return calls, results


def _ends(timed: list[tuple[str, int, Step]]) -> list[str]:
    """When the turns of the main agent ended."""
    return sorted(
        at
        for at, _, step in timed
        if step.meaning[0] == "line"
        and not step.agent
        and (step.meaning[1].get("message") or {}).get("stop_reason") == "end_turn"
    )


def _prompts(timed: list[tuple[str, int, Step]]) -> dict[str, str]:
    """When each prompt of the main agent was written."""
    found = {}
    for at, _, step in timed:
        content = (step.meaning[1].get("message") or {}).get("content") if step.meaning[0] == "line" else None
        if isinstance(content, str) and not step.agent:
            found[content] = at
    return found


def _blocks(line: dict[str, Any]) -> list[dict[str, Any]]:
    content = (line.get("message") or {}).get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


# ── Codex ──


def _codex(name: str, chance: random.Random, places: Places) -> Life:
    top, names = RECORDED / "codex" / name, _Names(chance)
    timed: list[tuple[str, int, Step]] = []
    main = ""
    for path in sorted((top / "sessions").rglob("*.jsonl")):
        meta = json.loads(path.read_text().partition("\n")[0])
        thread = names(meta["payload"]["id"])
        is_main = not meta["payload"].get("parent_thread_id")
        main = thread if is_main else main
        target = places.codex / names(str(path.relative_to(top)))
        lock = str(places.codex / "thread-writer-locks" / f"{thread}.lock")
        timed.append(
            (meta["timestamp"], 10, Step(["lock", lock], ("locked", thread), "" if is_main else thread))
        )
        at = ""
        for raw in path.read_text().splitlines():
            line = json.loads(raw)
            at = max(at, line["timestamp"])
            text = names(raw)
            step = Step(["append", str(target), text], ("codex", json.loads(text)), "" if is_main else thread)
            timed.append((at, 20, step))
        if chance.random() < 0.5:
            timed.append(("9", 20, Step(["unlock", lock], ("unlocked", thread))))
    timed.sort(key=lambda one: one[:2])
    return Life("codex", main, [step for _, _, step in timed])
