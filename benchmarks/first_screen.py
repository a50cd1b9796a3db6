"""`first_screen`: `holdfast`, as a process, on a home with 500 imported sessions made from the bundled samples.

Then once more with sessions at work whose agents run under names of definitions, and with what they brought: looking at the files, and which text each agent has.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import copies
from benchmarks.measuring import (
    Budget,
    budgets,
    environment,
    holdfast,
    median,
    percentile,
    remember,
    run,
    table,
)

_BODY = "You read what was changed, say what is wrong with it, and name the line.\n" * 70


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks first_screen", description=__doc__)
    parser.add_argument("--sessions", type=int, default=500, help="(default %(default)s)")
    parser.add_argument("--runs", type=int, default=15, help="(default %(default)s)")
    parser.add_argument("--at-work", type=int, default=3, help="sessions (default %(default)s)")
    parser.add_argument("--agents", type=int, default=3, help="of each of those (default %(default)s)")
    parser.add_argument("--definitions", type=int, default=30, help="of the user (default %(default)s)")
    given = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="bench-screen-") as directory:
        projects = Path(directory, ".claude", "projects")
        size_bytes = copies.write(copies.SAMPLES, projects, given.sessions, given.sessions)
        env = environment(HOME=directory, HOLDFAST_HOME=Path(directory, "h"))
        imported = run(holdfast("import"), env)
        shown = f"{given.sessions} sessions"
        runs = {"holdfast": [], "holdfast sessions": [], "holdfast --help": []}
        run(holdfast(), env)
        for _ in range(given.runs):
            for name, results in runs.items():
                results.append(run(holdfast(*name.split()[1:]), env))
        for each in range(given.definitions):
            _define(Path(directory, ".claude"), f"user-{each}")
        for each in range(given.at_work):
            _work(Path(directory, f"w{each}"), projects, given.agents)
        run(holdfast(), env)
        runs["holdfast, agents at work"] = [run(holdfast(), env) for _ in range(given.runs)]
        at_work = runs["holdfast, agents at work"][-1].out
        assert f"{given.at_work} working" in at_work, at_work[:500]
        assert shown in runs["holdfast"][0].out, runs["holdfast"][0].out[:500]
    figures, rows = {}, []
    for name, results in runs.items():
        walls = [r.wall_s * 1e3 for r in results]
        figures[name] = {
            "p50_ms": median(walls),
            "p90_ms": percentile(walls, 0.9),
            "cpu_ms": median([r.cpu_s * 1e3 for r in results]),
            "peak_mb": max(r.peak_bytes for r in results) / 1e6,
        }
        rows.append([name, *figures[name].values()])
    title = f"first screen: {shown}, {size_bytes / 1e6:.0f} MB (imported in {imported.wall_s:.1f} s), {given.runs} runs"
    table(title, ["", "p50 ms", "p90 ms", "CPU ms", "peak MB"], rows)
    found = [
        Budget(f"{name} p50, ms", figures[name]["p50_ms"], 300)
        for name in ("holdfast", "holdfast, agents at work")
    ]
    budgets(found)
    remember("first_screen", {"sessions": given.sessions, **figures}, found)


def _define(place: Path, name: str) -> None:
    """A definition of about 5 kB."""
    path = place / "agents" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nname: {name}\ndescription: Reads\n---\n{_BODY}")


def _work(project: Path, projects: Path, agents: int) -> None:
    """A project with definitions, and a session in it whose agents run under their names, now."""
    (project / ".git").mkdir(parents=True)
    session = projects / "-at-work" / f"{uuid.uuid4()}.jsonl"
    inner = session.with_suffix("") / "subagents"
    inner.mkdir(parents=True)
    lines = [_line(session, project, "user", "do it")]
    for number in range(agents):
        name, agent = f"{project.name}-{number}", f"a{session.stem[:8]}{number}"
        _define(project / ".claude", name)
        call = {"type": "tool_use", "id": f"toolu_{agent}", "name": "Agent"}
        call["input"] = {"subagent_type": name, "prompt": agent, "description": "work"}
        lines.append(_line(session, project, "assistant", [call], f"msg_{agent}"))
        told = _line(session, project, "user", "work") | {"agentId": agent, "isSidechain": True}
        (inner / f"agent-{agent}.jsonl").write_text(json.dumps(told) + "\n")
        meta = {"agentType": name, "toolUseId": call["id"], "spawnDepth": 1, "isBuiltIn": False}
        (inner / f"agent-{agent}.meta.json").write_text(json.dumps(meta))
    session.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _line(session: Path, project: Path, role: str, content: object, message: str = "") -> dict[str, Any]:
    about = {"sessionId": session.stem, "cwd": str(project), "version": "2.1.330", "userType": "external"}
    said: dict[str, Any] = {"role": role, "content": content}
    if message:
        said |= {"id": message, "model": "claude-opus-5-5", "stop_reason": "tool_use"}
        said["usage"] = {"input_tokens": 100, "output_tokens": 20}
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return about | {"type": role, "uuid": str(uuid.uuid4()), "timestamp": moment, "message": said}
