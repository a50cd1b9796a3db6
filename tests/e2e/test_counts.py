"""Counts, tokens, costs and parents equal an independent reading of the same recordings in jq."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import SHARED_DATA
from tests.e2e.conftest import CAPTURED, SCENARIOS, ask

EXPECTED = Path(__file__).resolve().parent.parent / "expected"


def _ours(session: dict) -> dict:
    tokens = session["tokens"]
    return {
        "agents": session["agents"],
        "turns": session["turns"],
        "tool_calls": session["tool_calls"],
        "errors": session["errors"],
        "messages": session["llm_calls"],
        "tokens": {
            **{
                name: tokens[name]
                for name in ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
            },
            "output_unreliable": tokens["output_unreliable_calls"],
        },
    }


def _compare(home: Path, expected_file: str) -> None:
    expected = json.loads((EXPECTED / f"{expected_file}.json").read_text())
    listed, screen = (json.loads(text) for text in ask(home, ["sessions", "--json"], ["--json"]))
    ours = {session["id"]: _ours(session) for session in listed["sessions"]}
    assert ours == {
        name: {key: session[key] for key in _ours_keys} for name, session in expected["by_session"].items()
    }
    totals, unowned = screen["totals"], expected["unowned"]
    for key in ("turns", "tool_calls", "errors"):
        assert totals[key] == expected["total"][key] - unowned[key]
    assert totals["tokens"]["output"] == expected["total"]["tokens"]["output"] - unowned["tokens"]["output"]


_ours_keys = ("agents", "turns", "tool_calls", "errors", "messages", "tokens")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_captured_scenario_is_counted_as_jq_counts_it(scenario, imported):
    _compare(imported(CAPTURED / scenario), scenario)


def test_all_captured_scenarios_together_are_counted_as_jq_counts_them(imported):
    _compare(imported(CAPTURED), "captured-all")


@pytest.mark.needs_shared
@pytest.mark.slow
def test_public_transcripts_are_counted_as_jq_counts_them(imported):
    _compare(imported(SHARED_DATA / "public-transcripts"), "public-transcripts")


# What the tool says it cost, where a transcript cannot say the same:
# - `/compact` is not in the transcript, and the cost of a killed process is not in what the tool reports after a resume;
# - a message cut while it streamed keeps the token count of its first line.
NOT_IN_THE_TRANSCRIPT = {"resume-after-kill9-and-compact", "tui-esc-interrupts-sigterm"}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_cost_and_tokens_equal_what_the_tool_reports(scenario, imported):
    home = imported(CAPTURED / scenario)
    expected = json.loads((EXPECTED / f"{scenario}.json").read_text())["by_session"]
    (listed,) = ask(home, ["sessions", "--json"])
    for session in json.loads(listed)["sessions"]:
        reported = expected[session["id"]]["reported"]
        if reported is None:
            assert session["reported_cost_usd"] is None
        elif scenario in NOT_IN_THE_TRANSCRIPT:
            assert session["reported_cost_usd"] > 0
        else:
            assert session["cost_pico_usd"] == sum(model["cost_pico_usd"] for model in reported.values())
            assert session["cost_usd"] == pytest.approx(session["reported_cost_usd"], abs=1e-9)
            for name in ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h"):
                assert session["tokens"][name] == sum(model[name] for model in reported.values())


def _agents_below(node: dict, call: str | None = None) -> dict[str, str | None]:
    """Agent id → id of the tool call it hangs under."""
    found = {node["id"]: call} if node["kind"] == "agent" and node["id"] else {}
    for child in node["children"]:
        found |= _agents_below(child, node["id"] if node["kind"] == "tool" else None)
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_subagent_hangs_under_the_call_that_started_it(scenario, imported):
    home = imported(CAPTURED / scenario)
    for name, session in json.loads((EXPECTED / f"{scenario}.json").read_text())["by_session"].items():
        tree, show = (
            json.loads(text) for text in ask(home, ["tree", name, "--json"], ["show", name, "--json"])
        )
        under = {}
        for root in tree["roots"]:
            under |= _agents_below(root)
        assert under == {agent: parent["tool_use_id"] for agent, parent in session["parents"].items()}
        holders = {agent["id"]: agent["parent_agent"] for agent in show["agents"] if agent["id"]}
        assert holders == {
            agent: "" if parent["agent"] == "main" else parent["agent"]
            for agent, parent in session["parents"].items()
        }


def test_an_agent_of_depth_two_hangs_under_an_agent_of_depth_one(imported):
    home = imported(CAPTURED / "foreground-nested-subagents")
    (shown,) = ask(home, ["show", "1a163ba8", "--json"])
    depth = {agent["id"]: agent["depth"] for agent in json.loads(shown)["agents"]}
    nested = next(agent for agent in json.loads(shown)["agents"] if agent["depth"] == 2)
    assert depth[nested["parent_agent"]] == 1


STATES = {
    "api-error-400": "failed",
    "async-subagents": "ended",
    "foreground-nested-subagents": "ended",
    "fork-after-kill9": "ended",
    "kill9-during-tool": "interrupted",
    "kill9-foreground-subagent": "interrupted",
    "max-turns": "interrupted",
    "resume-after-kill9-and-compact": "ended",
    "sigterm-during-tool": "interrupted",
    "task-tools": "ended",
    "tui-esc-interrupts-sigterm": "interrupted",
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_way_to_end_is_told_apart(scenario, imported):
    (listed,) = ask(imported(CAPTURED / scenario), ["sessions", "--json"])
    (session,) = json.loads(listed)["sessions"]
    assert session["state"] == STATES[scenario], session["state_why"]
    assert session["state_grade"] in {"observed", "inferred"}
