"""Public call shapes; only type-checked, never run."""

from __future__ import annotations

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
