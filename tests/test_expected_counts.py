"""The committed counts are those of `tools/expected_counts`, and that tool counts as its definitions say."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
TOOL = TESTS.parent / "tools" / "expected_counts"
RECORDINGS = TESTS / "data" / "claude-code"
EXPECTED = TESTS / "expected"
PUBLIC = TESTS.parent.parent / "shared" / "data" / "public-transcripts"
SCENARIOS = sorted(path.name for path in RECORDINGS.iterdir())
# Why the tool's own figures differ here: tests/test_pricing.py.
REPORTED_DIFFERENTLY = {"resume-after-kill9-and-compact", "tui-esc-interrupts-sigterm"}
NOT_REPORTED = {"kill9-during-tool", "kill9-foreground-subagent"}

needs_jq = pytest.mark.skipif(
    shutil.which("jq") is None or shutil.which("bash") is None, reason="counting needs bash and jq"
)


def count(directory):
    done = subprocess.run([TOOL, directory], capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


def expected(name):
    return json.loads((EXPECTED / f"{name}.json").read_text("utf-8"))


def user(uuid, session="s", **fields):
    return {"type": "user", "uuid": uuid, "sessionId": session, "message": {"content": "do it"}} | fields


def assistant(uuid, session="s", *, message="m", tools=(), output=7, stop="end_turn", **fields):
    return {
        "type": "assistant",
        "uuid": uuid,
        "sessionId": session,
        "message": {
            "id": message,
            "model": "claude-x",
            "stop_reason": stop,
            "usage": {"input_tokens": 1, "output_tokens": output, "cache_creation_input_tokens": 3},
            "content": [{"type": "tool_use", "id": tool} for tool in tools],
        },
    } | fields


def at(second):
    return f"2026-01-01T00:00:{second:02}.500Z"


def write(path, *values):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [value if isinstance(value, str) else json.dumps(value) for value in values]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


@needs_jq
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_recording_counts_as_committed(scenario):
    assert count(RECORDINGS / scenario) == expected(scenario)


@needs_jq
@pytest.mark.slow
def test_all_recordings_together_count_as_committed():
    assert count(RECORDINGS) == expected("captured-all")


@needs_jq
@pytest.mark.slow
@pytest.mark.needs_shared
def test_the_public_transcripts_count_as_committed():
    assert count(PUBLIC) == expected("public-transcripts")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_tokens_are_those_the_client_reported(scenario):
    """Counted from the transcripts, equal to the client's own sum, but for the cases named above."""
    (session,) = expected(scenario)["by_session"].values()
    if scenario in NOT_REPORTED:
        assert session["reported"] is None
        return
    ours = {m: {k: v for k, v in t.items() if k != "output_unreliable"} for m, t in session["models"].items()}
    theirs = {m: {k: v for k, v in t.items() if k != "cost_pico_usd"} for m, t in session["reported"].items()}
    assert (ours == theirs) == (scenario not in REPORTED_DIFFERENTLY)


@pytest.mark.parametrize("name", [*SCENARIOS, "captured-all", "public-transcripts"])
def test_sessions_and_the_unowned_add_up_to_the_total(name):
    counts = expected(name)
    parts = [*counts["by_session"].values(), counts["unowned"]]
    for what in ("agents", "turns", "tool_calls", "errors", "messages"):
        assert sum(part[what] for part in parts) == counts["total"][what]
    for kind, tokens in counts["total"]["tokens"].items():
        assert sum(part["tokens"][kind] for part in parts) == tokens


def test_nested_subagents_hang_under_the_agent_that_called_them():
    (session,) = expected("foreground-nested-subagents")["by_session"].values()
    agents = {parent["agent"] for parent in session["parents"].values()}
    assert len(session["parents"]) == 5
    assert agents == {"main", "a4f6ee10f846ed794"}


@needs_jq
def test_two_values_on_one_line_both_count(tmp_path):
    torn = json.dumps(user("u1")) + json.dumps(assistant("u2", tools=["t1"]))
    write(tmp_path / "s.jsonl", torn, user("u3"))
    total = count(tmp_path)["total"]
    assert (total["turns"], total["tool_calls"], total["messages"]) == (2, 1, 1)


@needs_jq
def test_a_damaged_line_costs_no_other_line(tmp_path):
    spliced = json.dumps(user("u2")) + json.dumps(user("u3"))[:40] + json.dumps(user("u4"))
    write(tmp_path / "s.jsonl", user("u1"), spliced, "\x00\x00", "", "[1, 2]", "null", '"text"', user("u5"))
    assert count(tmp_path)["total"]["turns"] == 3


@needs_jq
def test_the_last_line_of_a_message_tells_its_tokens(tmp_path):
    write(
        tmp_path / "s.jsonl",
        assistant("u1", output=1, stop=None),
        assistant("u2", output=9),
        assistant("u3", message="cut", output=1, stop=None),
        assistant("u2", output=5),
    )
    total = count(tmp_path)["total"]
    assert total["messages"] == 2
    assert total["tokens"] == {
        "input": 2,
        "output": 10,
        "cache_read": 0,
        "cache_write_5m": 6,
        "cache_write_1h": 0,
        "output_unreliable": 1,
    }


@needs_jq
def test_agents_of_every_layout_count(tmp_path):
    """Main, a file beside, a nested file, a start that left only its meta.json, progress, and inline lines."""
    progress = {
        "type": "progress",
        "uuid": "p1",
        "sessionId": "s",
        "parentToolUseID": "t1",
        "data": {"type": "agent_progress", "agentId": "of-progress", "message": user("u9")},
    }
    write(
        tmp_path / "s.jsonl",
        user("u1"),
        assistant("u2", tools=["t1"]),
        progress,
        user("u3", isSidechain=True),
    )
    write(tmp_path / "agent-beside.jsonl", user("u4", isSidechain=True, agentId="beside"))
    write(tmp_path / "s/subagents/agent-below.jsonl", user("u5", isSidechain=True, agentId="below"))
    write(tmp_path / "s/subagents/agent-unborn.meta.json", {"toolUseId": "gone"})
    session = count(tmp_path)["by_session"]["s"]
    assert session["agents"] == 6
    assert session["turns"] == 1
    assert session["parents"] == {
        "of-progress": {"tool_use_id": "t1", "agent": "main"},
        "unborn": {"tool_use_id": "gone", "agent": None},
    }


@needs_jq
def test_inline_lines_that_hang_together_are_one_agent(tmp_path):
    """Two at once, told the same; one piece whose beginning is lost, tied to its agent by a call; one that nobody started."""

    def side(parent, **fields):
        return {"isSidechain": True, "parentUuid": parent} | fields

    def asks(uuid, call, **fields):
        value = assistant(uuid, message=f"of {uuid}", tools=[call], **fields)
        value["message"]["content"][0] |= {"name": "Task", "input": {"prompt": "do it"}}
        return value

    answer = {"message": {"content": [{"type": "tool_result", "tool_use_id": "b1"}]}}
    write(
        tmp_path / "s.jsonl",
        asks("u1", "t1"),
        asks("u2", "t2"),
        user("a1", **side(None)),
        user("b1", **side(None)),
        assistant("a2", message="of a", **side("a1")),
        assistant("b2", message="of b", tools=["b1"], **side("b1")),
        user("b3", **side("lost") | answer),
        user("c1", **side(None) | {"message": {"content": "nobody said this"}}),
    )
    session = count(tmp_path)["by_session"]["s"]
    assert session["agents"] == 4
    assert session["parents"] == {
        "inline-a1": {"tool_use_id": "t1", "agent": "main"},
        "inline-b1": {"tool_use_id": "t2", "agent": "main"},
    }


@needs_jq
def test_a_fork_owns_only_what_it_added(tmp_path):
    """Lines older than the record a fork starts with are the original's, also when that is not there."""
    shared = [user("u1", timestamp=at(1)), assistant("u2", timestamp=at(2))]
    copies = [value | {"sessionId": "f"} for value in shared]
    mark = {"type": "queue-operation", "sessionId": "f", "timestamp": at(30)}
    write(tmp_path / "f.jsonl", mark, *copies, user("u3", "f", timestamp=at(31)))
    alone = count(tmp_path)
    assert alone["by_session"]["f"]["turns"] == 1
    assert alone["by_session"]["f"]["inherited_entries"] == 2
    assert alone["unowned"]["messages"] == 1
    write(tmp_path / "s.jsonl", *shared, user("u4", timestamp=at(40)))
    both = count(tmp_path)
    assert both["total"]["turns"] == 3
    assert both["by_session"]["s"]["messages"] == 1
    assert both["by_session"]["f"]["messages"] == 0
    assert both["unowned"]["messages"] == 0


@needs_jq
def test_without_a_mark_the_session_that_ended_first_owns_what_two_share(tmp_path):
    shared = [user("u1", timestamp=at(1)), assistant("u2", timestamp=at(2))]
    write(
        tmp_path / "a.jsonl",
        *[value | {"sessionId": "a"} for value in shared],
        user("u3", "a", timestamp=at(9)),
    )
    write(tmp_path / "z.jsonl", *[value | {"sessionId": "z"} for value in shared])
    sessions = count(tmp_path)["by_session"]
    assert [sessions[name]["turns"] for name in "az"] == [1, 1]
    assert [sessions[name]["messages"] for name in "az"] == [0, 1]


@needs_jq
def test_what_stands_before_a_queued_prompt_is_the_sessions_own(tmp_path):
    """Interactive sessions write queue operations whenever somebody types ahead."""
    mark = {"type": "queue-operation", "sessionId": "s", "timestamp": at(30)}
    write(tmp_path / "s.jsonl", user("u1", timestamp=at(1)), mark, user("u2", timestamp=at(31)))
    session = count(tmp_path)["by_session"]["s"]
    assert (session["turns"], session["inherited_entries"]) == (2, 0)


@needs_jq
def test_an_empty_directory_counts_nothing(tmp_path):
    counts = count(tmp_path)
    assert counts["by_session"] == {}
    assert counts["total"]["sessions"] == 0


@needs_jq
def test_a_last_line_without_newline_is_still_the_last(tmp_path):
    """Many real transcripts end so; jq gives that line the number of the one before."""
    lines = [json.dumps(assistant("u2", output=1, stop=None)), json.dumps(assistant("u1", output=9))]
    (tmp_path / "s.jsonl").write_text("\n".join(lines), "utf-8")
    assert count(tmp_path)["total"]["tokens"]["output"] == 9
