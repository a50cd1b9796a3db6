"""Sessions of Claude Code whose agents run under names of definitions, as its transcripts tell of them, at moments of one's own."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast import clock

if TYPE_CHECKING:
    from pathlib import Path

DAY = "2026-11-10"
DAY_US = clock.parse_us(f"{DAY}T00:00:00Z")
OLD_DAY = "2026-03-10"  # when documents said that a session reads definitions as it begins


def at(minute: float, day: str = DAY) -> str:
    """A moment of the day."""
    return clock.iso(clock.parse_us(f"{day}T00:00:00Z") + int(minute * 60_000_000))


@dataclass
class Agent:
    """A subagent: its type, when it starts and for how long it works (minutes), and what it does.

    Attributes:
        calls: (tool, input, whether it fails) of each of its calls.
        ends: `completed`, `failed`, or None: it goes on.
        announced: the model that its file beside the transcript names; None: none.
    """

    type: str
    minute: float
    lasts: float = 0.5
    built_in: bool | None = False
    model: str = "claude-opus-5-5"
    calls: list[tuple[str, str, bool]] = field(default_factory=lambda: [("Read", "a.txt", False)])
    ends: str | None = "completed"
    denied: bool = False
    announced: str | None = "claude-opus-5-5"


def session(
    projects: Path, cwd: Path, began: float, agents: list[Agent], *, day: str = DAY, name: str | None = None
) -> str:
    """Write a session that began at a minute of a day, and each of its agents; its id."""
    name, version = name or str(uuid.uuid4()), "2.1.330"
    own = projects / "-w" / f"{name}.jsonl"
    own.parent.mkdir(parents=True, exist_ok=True)
    common = {
        "sessionId": name,
        "cwd": str(cwd),
        "version": version,
        "userType": "external",
        "gitBranch": "main",
    }
    lines = [_said(common, at(began, day), "user", "do it")]
    for number, one in enumerate(agents):
        call = f"toolu_{name[:8]}_{number}"
        asked = {"type": "tool_use", "id": call, "name": "Agent"}
        asked["input"] = {
            "subagent_type": one.type,
            "prompt": f"work {number}",
            "description": f"work {number}",
        }
        lines.append(_said(common, at(one.minute, day), "assistant", [asked], model="claude-opus-5-5"))
        _write_agent(own.with_suffix(""), common, one, call, f"a{name[:8]}{number}", day)
        if one.ends is not None:
            result = {
                "type": "tool_result",
                "tool_use_id": call,
                "content": "done",
                "is_error": one.ends != "completed",
            }
            lines.append(_said(common, at(one.minute + one.lasts, day), "user", [result]))
    if all(one.ends is not None for one in agents):
        last = agents[-1].minute + agents[-1].lasts if agents else began
        lines.append(
            _said(common, at(last, day), "assistant", [{"type": "text", "text": "Done."}], stop="end_turn")
        )
    own.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return name


def _write_agent(directory: Path, common: dict[str, Any], one: Agent, call: str, name: str, day: str) -> None:
    place = directory / "subagents"
    place.mkdir(parents=True, exist_ok=True)
    of = common | {"agentId": name, "isSidechain": True}
    lines = [_said(of, at(one.minute, day), "user", "work")]
    for number, (tool, given, fails) in enumerate(one.calls):
        key = "command" if tool == "Bash" else "file_path"
        used = {"type": "tool_use", "id": f"{call}_{number}", "name": tool, "input": {key: given}}
        lines.append(_said(of, at(one.minute, day), "assistant", [used], model=one.model))
        content = "Permission to use it has been denied." if one.denied else "x"
        result = {
            "type": "tool_result",
            "tool_use_id": used["id"],
            "content": content,
            "is_error": fails or one.denied,
        }
        lines.append(_said(of, at(one.minute, day), "user", [result]))
        if one.denied:
            lines[-1]["toolDenialKind"] = "user-rejected"
    if one.ends == "completed":
        said = [{"type": "text", "text": "Done."}]
        lines.append(
            _said(of, at(one.minute + one.lasts, day), "assistant", said, model=one.model, stop="end_turn")
        )
    (place / f"agent-{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    meta = {
        "agentType": one.type,
        "toolUseId": call,
        "spawnDepth": 1,
        "description": "work",
    }
    meta |= {} if one.announced is None else {"model": one.announced}
    meta |= {} if one.built_in is None else {"isBuiltIn": one.built_in}
    meta |= {"finished": True} if one.ends == "completed" else {}
    (place / f"agent-{name}.meta.json").write_text(json.dumps(meta))


def _said(
    common: dict[str, Any],
    moment: str,
    role: str,
    content: Any,
    *,
    model: str | None = None,
    stop: str | None = None,
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": role, "content": content}
    if role == "assistant":
        usage = {
            "input_tokens": 100,
            "output_tokens": 20,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        }
        message |= {"id": f"msg_{uuid.uuid4().hex[:12]}", "model": model or "claude-opus-5-5", "usage": usage}
        message |= {"stop_reason": stop or "tool_use"}
    return common | {"type": role, "uuid": str(uuid.uuid4()), "timestamp": moment, "message": message}


def put(path: Path, text: str, minute: float, day: str = DAY) -> Path:
    """Write a definition as of a minute of a day."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    us = clock.parse_us(at(minute, day))
    os.utime(path, ns=(us * 1000, us * 1000))
    return path


def text(name: str, body: str = "Read it.", **keys: str) -> str:
    """The text of a definition."""
    head = {"name": name, "description": "Reads"} | keys
    return "---\n" + "".join(f"{key}: {value}\n" for key, value in head.items()) + f"---\n{body}\n"
