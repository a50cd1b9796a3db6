"""What each source told of a session: counted once, with what one of them lacks, and what came twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.conftest import CAPTURED, ask
from tests.e2e.test_join import leave, payloads

if TYPE_CHECKING:
    from pathlib import Path

ASYNC = "async-subagents"


def coverage(home: Path, session: str) -> dict[str, Any]:
    return json.loads(ask(home, ["show", session, "--coverage", "--json"])[0])["coverage"]


def of_source(found: dict[str, Any], source: str) -> list[dict[str, Any]]:
    return [one for one in found["sources"] if one["source"] == source]


def test_each_source_by_itself_and_both(home):
    """Fifteen calls and four agents of one session, told by its transcripts, its hooks, and both."""
    ask(home, ["import", str(CAPTURED / ASYNC / "transcript")])
    found = coverage(home, "3e8f")
    assert found["calls"] == {"both": 0, "transcript_only": 15, "hooks_only": 0}
    assert found["turns"] == {"transcript": 3, "hooks": 0}
    files = of_source(found, "claude.transcript")
    assert len(files) == 4
    assert {one["unread_bytes"] for one in files} == {0}
    assert min(one["first_at"] for one in files) == "2026-11-21T11:07:22.112Z"

    leave(home, payloads(ASYNC))
    found = coverage(home, "3e8f")
    assert found["calls"] == {"both": 15, "transcript_only": 0, "hooks_only": 0}
    assert found["agents"] == {"both": 4, "transcript_only": 0, "hooks_only": 0}
    assert found["turns"] == {"transcript": 3, "hooks": 3}
    [hooks] = of_source(found, "claude.hook")
    assert hooks["records"] == len(payloads(ASYNC))
    assert hooks["size_bytes"] == sum(map(len, payloads(ASYNC)))
    assert (hooks["first_at"], hooks["path"]) == (None, None)
    assert "15 seen by both" in ask(home, ["show", "3e8f", "--coverage"])[0]


def test_what_the_transcript_lacks_is_named(home, tmp_path):
    """It was cut in the middle; then it grew, and what stands there beyond is counted."""
    [whole] = (CAPTURED / "task-tools" / "transcript").glob("*.jsonl")
    lines = whole.read_bytes().splitlines(keepends=True)
    cut = tmp_path / whole.name
    where = next(n for n, line in enumerate(lines) if b"tasks_1_0" in line)
    cut.write_bytes(b"".join(lines[:where]))
    ask(home, ["import", str(cut)])
    leave(home, payloads("task-tools"))
    cut.write_bytes(b"".join(lines))
    found = coverage(home, whole.stem)
    assert found["calls"] == {"both": 1, "transcript_only": 0, "hooks_only": 2}
    assert [(one["tool"], one["status"]) for one in found["calls_of_hooks_only"]] == [
        ("TaskUpdate", "completed"),
        ("TaskUpdate", "completed"),
    ]
    [file] = of_source(found, "claude.transcript")
    assert file["unread_bytes"] == sum(map(len, lines[where:]))
    cut.unlink()
    assert of_source(coverage(home, whole.stem), "claude.transcript")[0]["unread_bytes"] is None


def test_what_is_recorded_twice_counts_once(home):
    """Lines that stand in the journal once more are told as repeated; folding anew counts the same."""
    ask(home, ["import", str(CAPTURED / "task-tools" / "transcript")])
    [before] = of_source(coverage(home, "8dc7"), "claude.transcript")
    [segment] = (home / "journal").glob("*.jsonl")
    once = segment.read_bytes()
    with segment.open("ab") as again:
        again.write(b"\n" + once)
    [after] = of_source(coverage(home, "8dc7"), "claude.transcript")
    assert after == before | {"repeated": before["records"]}
    ask(home, ["rebuild"])
    assert of_source(coverage(home, "8dc7"), "claude.transcript") == [after]


def test_what_a_fork_copied_is_told(home):
    for scenario in ("kill9-foreground-subagent", "fork-after-kill9"):
        ask(home, ["import", str(CAPTURED / scenario / "transcript")])
    sessions = json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]
    fork = next(session["id"] for session in sessions if session["forked_from"])
    copied = coverage(home, fork)["copied"]
    assert copied["spans"] > 0
    assert copied["llm_calls"] > 0


def test_damage_in_a_file_is_named(home, tmp_path):
    path = tmp_path / "88888888-8888-4888-8888-888888888888.jsonl"
    line = {"type": "user", "sessionId": path.stem, "message": {"role": "user", "content": "x"}}
    path.write_text(json.dumps(line) + "\nnot JSON\n")
    ask(home, ["import", str(path)])
    [problem] = coverage(home, path.stem)["problems"]
    assert problem["place"] == str(path)
    assert problem["start_byte"] == len(json.dumps(line)) + 1
