"""Transcripts in the layouts of Claude Code 1.0 and early 2.0, imported and asked about through the command."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import old_layouts as old
from tests.e2e.conftest import ask

TOOL = Path(__file__).resolve().parent.parent.parent / "tools" / "expected_counts"
needs_jq = pytest.mark.skipif(
    shutil.which("jq") is None or shutil.which("bash") is None, reason="counting needs bash and jq"
)


def asked(home, *command):
    return json.loads(ask(home, [*command, "--json"])[0])


def inline(name, session=old.PARALLEL):
    """The agent whose chain begins with the line of that name."""
    return f"inline-{old.uuid(session, name)}"


FIRST = {
    inline("first of one"): "toolu_one",
    inline("first of two"): "toolu_two",
    inline("first of three"): "toolu_three",
    inline("first of deep"): "toolu_deep",
    inline("first of again"): "toolu_again",
}
UNPLACED = {inline("first of nobody"), inline("after the lost one")}


@pytest.fixture
def history(imported, tmp_path):
    """A home that holds all of the made-up history."""
    return imported(old.write(tmp_path / "old"))


def nodes(tree):
    """(node, its parent) of a whole tree."""
    todo = [(root, None) for root in tree["roots"]]
    while todo:
        node, parent = todo.pop()
        yield node, parent
        todo += [(child, node) for child in node["children"]]


@needs_jq
def test_everything_is_counted_as_jq_counts_it(history, tmp_path):
    counted = json.loads(
        subprocess.run([TOOL, tmp_path / "old"], capture_output=True, text=True, check=True).stdout
    )
    found = {session["id"]: session for session in asked(history, "sessions")["sessions"]}
    assert found.keys() == counted["by_session"].keys()
    for name, expected in counted["by_session"].items():
        ours = found[name]
        for key in ("agents", "turns", "tool_calls", "errors"):
            assert ours[key] == expected[key], (name, key)
        assert ours["llm_calls"] == expected["messages"]
        tokens = ours["tokens"] | {"output_unreliable": ours["tokens"]["output_unreliable_calls"]}
        assert {key: tokens[key] for key in expected["tokens"]} == expected["tokens"]
    parents = {
        agent: under["tool_use_id"] for agent, under in counted["by_session"][old.PARALLEL]["parents"].items()
    }
    assert parents == FIRST


def test_each_inline_subagent_hangs_under_the_call_that_told_it_what_it_says(history):
    """Two were told the same: the first goes to the first call. A refused call started nothing; its repetition did."""
    found = list(nodes(asked(history, "tree", old.PARALLEL)))
    under = {node["id"]: parent["id"] for node, parent in found if node["kind"] == "agent" and parent}
    assert under == FIRST | dict.fromkeys(UNPLACED, "")


def test_a_subagent_that_a_subagent_started_is_its_child(history):
    agents = {agent["id"]: agent for agent in asked(history, "show", old.PARALLEL)["agents"]}
    assert agents[inline("first of deep")]["parent_agent"] == inline("first of two")
    assert {agents[name]["parent_agent"] for name in FIRST if name != inline("first of deep")} == {""}


def test_what_was_concluded_is_called_inferred_and_what_is_not_known_unknown(history):
    agents = asked(history, "show", old.PARALLEL)["agents"]
    grades = {agent["id"]: agent["parent_grade"] for agent in agents}
    assert grades == {"": None} | dict.fromkeys(FIRST, "inferred") | dict.fromkeys(UNPLACED, "unknown")
    assert {agent["parent_tool_call"] for agent in agents if agent["id"] in UNPLACED} == {None}
    (_, beside) = asked(history, "show", old.BESIDE)["agents"]
    assert (beside["parent_tool_call"], beside["parent_grade"]) == ("toolu_ex", "observed")


def test_work_counts_for_the_subagent_that_did_it(history):
    agents = {agent["id"]: agent for agent in asked(history, "show", old.PARALLEL)["agents"]}
    deep, one = agents[inline("first of deep")], agents[inline("first of one")]
    assert (deep["tool_calls"], deep["errors"], deep["llm_calls"], deep["tokens"]["output"]) == (1, 1, 2, 8)
    assert (one["tool_calls"], one["errors"], one["llm_calls"], one["tokens"]["output"]) == (1, 0, 2, 8)
    assert one["tokens"]["output_unreliable_calls"] == 0
    assert deep["tokens"]["output_unreliable_calls"] == 1
    assert (one["type"], one["description"]) == ("reader", "Tests, first half")
    types = {row["agent_type"]: row for row in asked(history, "stats")["agent_types"]}
    assert (types["reader"]["agents"], types["reader"]["tool_calls"]) == (2, 2)
    assert types["writer"]["agents"] == 1


def test_a_call_cut_by_the_user_is_interrupted_and_a_refused_one_denied(history):
    errors = {error["tool_call"]: error for error in asked(history, "show", old.PARALLEL)["errors"]}
    assert errors["toolu_rm"]["status"] == "interrupted"
    assert errors["toolu_refused"]["type"] == "denied"
    assert errors["toolu_wc"]["agent"] == inline("first of deep")


def test_lines_that_a_resume_copied_count_once_and_are_shown_twice(history):
    sessions = {session["id"]: session for session in asked(history, "sessions")["sessions"]}
    again = sessions[old.RESUMED]
    assert again["forked_from"] == old.PARALLEL
    assert (again["turns"], again["agents"], again["tool_calls"], again["llm_calls"]) == (1, 1, 0, 1)
    found = list(nodes(asked(history, "tree", old.RESUMED)))
    copied = {node["id"]: parent["id"] for node, parent in found if node["kind"] == "agent" and parent}
    assert copied == FIRST | dict.fromkeys(UNPLACED, "")
    assert all(node["inherited"] for node, _ in found if node["id"] in copied)


def test_a_summary_titles_the_session_of_its_line_wherever_it_stands(history):
    titles = {session["id"]: session["title"] for session in asked(history, "sessions")["sessions"]}
    assert titles == {
        old.PARALLEL: "Tests read, docs improved",
        old.RESUMED: "Tests read, docs improved",  # it holds a copy of the line, and has no summary of its own
        old.COSTED: "Add a config file",
        old.BESIDE: "Where the door is",
    }


@pytest.mark.parametrize("order", list(itertools.permutations(["session", "summary", "named"])))
def test_a_summary_ranks_below_a_given_title_and_above_the_first_prompt(order, imported, tmp_path):
    files = {
        "session": (f"{old.BESIDE}.jsonl", old.beside()),
        "summary": (f"{old.POINTER}.jsonl", [old.summary("Summed up", old.beside()[-1])]),
        "named": (
            f"{old.COSTED}.jsonl",
            [{"type": "custom-title", "customTitle": "Named", "sessionId": old.BESIDE}],
        ),
    }
    home = None
    for part in order:
        name, records = files[part]
        (tmp_path / name).write_bytes(old.lines(records))
        home = imported(tmp_path / name, into=home)
        (session, *more) = asked(home, "sessions")["sessions"] or [{"title": None}]
        done = order[: order.index(part) + 1]
        assert not more
        expected = "Named" if "named" in done else "Explore" if "session" in done else None
        if "summary" in done and "session" in done and "named" not in done:
            expected = "Summed up"
        assert session["title"] == expected


def test_a_file_with_nothing_but_a_summary_is_no_session(imported, tmp_path, run):
    home = imported(old.write(tmp_path / "old", f"{old.POINTER}.jsonl"))
    assert asked(home, "sessions")["sessions"] == []
    assert asked(home, "doctor")["kept_types"] == {"summary": 1}


def test_costs_that_the_tool_wrote_beside_each_call_are_its_report(history):
    sessions = {session["id"]: session for session in asked(history, "sessions")["sessions"]}
    assert sessions[old.COSTED]["reported_cost_usd"] == pytest.approx(0.015, abs=1e-12)
    assert sessions[old.COSTED]["cost_pico_usd"] != 15_000_000_000
    assert sessions[old.PARALLEL]["reported_cost_usd"] is None
    shown = asked(history, "show", old.COSTED)
    assert shown["reported_calls"] == {"calls": 2, "cost_usd": pytest.approx(0.015, abs=1e-12)}
    assert asked(history, "show", old.PARALLEL)["reported_calls"] == {"calls": 0, "cost_usd": None}


def test_a_report_of_some_calls_is_no_report_of_the_session(imported, tmp_path):
    """A session that an upgrade fell into: later calls say nothing, so the sum is no total."""
    records = [*old.costed(), *({**r, "uuid": f"x{n}"} for n, r in enumerate(old.costed()[2:]))]
    for record in records[-2:]:
        record.pop("costUSD", None)
        record["message"] = record["message"] | {"id": "msg_later"}
    path = tmp_path / f"{old.COSTED}.jsonl"
    path.write_bytes(old.lines(records))
    home = imported(path)
    assert asked(home, "sessions")["sessions"][0]["reported_cost_usd"] is None
    assert asked(home, "show", old.COSTED)["reported_calls"]["calls"] == 2
    assert "for 2 of 3 calls" in ask(home, ["show", old.COSTED])[0]


def test_a_chain_whose_middle_is_lost_is_joined_by_its_calls(imported, tmp_path):
    """Between a call and its result a line is missing: the result tells to whom the rest belongs."""
    records = old.parallel()
    result = next(
        record
        for record in records
        if record["isSidechain"]
        and "grep" in json.dumps(record["message"].get("content", ""))
        and record["type"] == "user"
    )
    result["parentUuid"] = "a line that is not there"
    path = tmp_path / f"{old.PARALLEL}.jsonl"
    path.write_bytes(old.lines(records))
    agents = {agent["id"]: agent for agent in asked(imported(path), "show", old.PARALLEL)["agents"]}
    assert agents.keys() == {"", *FIRST, *UNPLACED}
    assert agents[inline("first of one")]["llm_calls"] == 2
