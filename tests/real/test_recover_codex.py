"""The real Codex, killed while agents of its own are at work: `holdfast recover` tells who had finished and who was cut."""

from __future__ import annotations

import signal

import pytest

from tests.real.test_recover_resume import ask, codex  # noqa: F401 - fixtures
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_codex_killed_with_agents_at_work(codex, ask):  # noqa: F811
    with codex.started("SCRIPT:team go") as process:
        until((codex.work / "begun").exists, "the agent's command")
        until(
            lambda: any("Message Type: FINAL_ANSWER" in path.read_text() for path in codex.rollouts),
            "the other agent's end",
        )
        [alive] = ask("recover", "list", "--all")["sessions"]
        process.send_signal(signal.SIGKILL)
        process.communicate()
    [cut] = ask("recover", "list")["sessions"]
    assert (alive["status"], alive["alive"]) == ("in_flight", True)
    assert (cut["status"], cut["cause"], cut["alive"]) == ("interrupted", "died", False)
    agents = {one["description"]: (one["status"], one["reported"]) for one in cut["agents"] if one["id"]}
    assert agents == {"quick": ("finished", True), "late": ("interrupted", None)}
    calls = {call["tool"]: call["status"] for call in cut["calls"]}
    assert calls == {"collaboration.wait_agent": "interrupted", "exec_command": "interrupted"}
