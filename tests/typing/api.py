"""Public call shapes; only type-checked, never run."""

from __future__ import annotations

from pathlib import Path

import holdfast

made: str = holdfast.record("tool.used", agent="planner", tool="Bash", status="completed")
holdfast.record(
    "decision.made",
    key="d1",
    session="s",
    span="x",
    parent="y",
    time=0,
    durable=True,
    strict=True,
    question="?",
)
holdfast.record(
    "agent_invocation", agent={"name": "builder", "invoked_by": "planner"}, time="2026-11-21T00:00:00Z"
)

asked: holdfast.Deployment = holdfast.deploy(["python", "worker.py"], agent_id="L2.2.1", parent="L1.1")
holdfast.deploy(
    prompt="Look at every texture.",
    agent_name="texture checker",
    agent_type="L2",
    model="haiku",
    task="textures",
    cwd=Path("/tmp"),
    env={"WAVE": "3"},
    restart="on-failure",
    load_percentage=12.5,
    estimated_duration=1800,
    metadata={"wave": 3},
    request_id="req_1",
    timeout_s=0,
    home="/tmp/home",
)
far: float | None = holdfast.status("L2.2.1").progress

with holdfast.Definitions(Path("/tmp"), home="/tmp/home") as agents:
    one: holdfast.Definition = agents.get("reviewer", tool="claude", tier="user")
    hidden: list[str] = [file.path for file in one.hides]
    text: str | None = agents.get("reviewer", revision="ab12").text
    models: list[str | None] = [each.model for each in agents.all(tool="codex", tier="project")]
    prompt: holdfast.Prompt = agents.prompt("reviewer", variables={"branch": "main"}, sections={"Task": "t"})
    plain: str = agents.prompt("reviewer", variables=None, tier="user", tool="claude", revision="ab12").text
    changes: list[holdfast.DefinitionChange] = agents.refresh()
    leave = agents.subscribe(lambda change: print(change.name, change.missed), "review*")
    leave()
    agents.subscribe(changes.append)
    dropped: int = agents.invalidate("review*") + agents.invalidate()
    counted: dict[str, int] = agents.figures()
    all_told: bool = agents.close(timeout_s=1)
names: list[str | None] = [one.agent_name for one in holdfast.list(parent="L1.1", recursive=True, ended=True)]

written: tuple[holdfast.WrittenFile, ...] = holdfast.Definitions("/tmp").put(
    "qa", "text", base=None, tier="user", strategy="user_override", author="me", reason="why"
)
holdfast.Definitions().create("qa", b"text", tool="codex")
holdfast.Definitions().delete("qa", base="0" * 64)
moved: holdfast.WrittenFile = holdfast.Definitions().migrate("qa", to="project")
holdfast.Definitions().replicate("qa", to=["project", "user"])
waiting: list[holdfast.ConflictRecord] = holdfast.Definitions().conflicts()
settled: holdfast.WrittenFile | None = holdfast.Definitions().resolve("01", "text", text="x")
