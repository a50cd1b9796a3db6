"""A process that Holdfast started is evidence for the session that it works in: one truth, whatever arrives first."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast import events as ev
from holdfast.capture import claude_transcripts as claude
from holdfast.capture import runs as translator
from holdfast.recover import survey
from holdfast.store import activity, database, queries, runs, timeline, tree
from holdfast.store.fold import Fold
from holdfast.store.project import Entry

CAPTURED = Path(__file__).resolve().parent.parent / "data" / "claude-code"
NOW_US, STALE_US = 1_795_348_800_000_000, 600_000_000
STARTED_US = 1_795_000_000_000_000
AGENT, BELOW = "0123456789ab", "ba9876543210"
HOST = "host-1"
LIVE = "22222222-2222-4222-8222-222222222222"


def session_of(scenario: str) -> str:
    [path] = (CAPTURED / scenario / "transcript").glob("*.jsonl")
    return f"claude:{path.stem}"


def transcript(scenario: str) -> list[Entry]:
    out = []
    for path in sorted((CAPTURED / scenario / "transcript").rglob("*.jsonl")):
        at = 0
        for line in path.read_bytes().splitlines(keepends=True):
            out.append(Entry(line.rstrip(b"\n"), f"{path}:{at}", 0, path.name, str(path), at))
            at += len(line)
    return out


def told(kind: str, about: str, at_us: int = STARTED_US, *, run: str = AGENT, **fields: Any) -> Entry:
    """A record of ours about a run."""
    body = {"kind": kind, "time": at_us, "fields": {"run": run, "about": about} | fields}
    key = f"{run}/{fields.get('attempt', 0)}/{kind}/{about}"
    return Entry(json.dumps(body).encode(), key, at_us, translator.SOURCE, None, 0)


def life(
    about: str, *, run: str = AGENT, attempt: int = 1, parent: str | None = None, **end: Any
) -> list[Entry]:
    """A run from its request to its end, or without one."""
    at_us = STARTED_US + attempt
    out = [
        told("run.requested", about, run=run, argv=["sleep", "1"], cwd="/srv/x", name="one", parent=parent),
        told("run.starting", about, at_us, run=run, attempt=attempt),
        told(
            "run.started",
            about,
            at_us,
            run=run,
            attempt=attempt,
            pid=77,
            start_ticks=5,
            boot_id="b",
            host=HOST,
        ),
    ]
    if end:
        out.append(told("run.ended", about, NOW_US - 1, run=run, attempt=attempt, **end))
    return out


EXITED = {"outcome": "exited", "status": "completed", "exit_code": 0}
FAILED = {"outcome": "exited", "status": "failed", "exit_code": 1}
KILLED = {"outcome": "exited", "status": "failed", "signal": 9}
STOPPED = {"outcome": "exited", "status": "cancelled", "exit_code": 143, "asked": "stop"}
LOST = {"outcome": "lost", "status": "interrupted", "reason": "the machine started again"}


def folded(tmp_path: Path, entries: list[Entry], batches: int = 1):
    db = database.create(tmp_path / f"store-{random.getrandbits(60)}.db")
    fold = Fold(db, head_chars=300)
    for at in range(batches):
        for place, entry in enumerate(entries[at::batches]):
            translate = translator.translate if entry.file == translator.SOURCE else claude.translate
            for event in translate(entry).events:
                fold.add(event, 1, place)
        with database.transaction(db):
            fold.write()
    return db


def surveyed(db, native: str, looks=runs.recorded_only) -> dict[str, Any]:
    def vitals(_key, _known, lives):
        return activity.supervised(runs.last(map(looks, lives)))

    now = survey.Now(NOW_US, STALE_US, boot="b2")
    return survey.session(db, queries.session_id(db, native), now, vitals)


OPEN, DONE, REFUSED, ESCAPED = (
    "kill9-during-tool",
    "task-tools",
    "api-error-400",
    "tui-esc-interrupts-sigterm",
)
FINISHED = ("ended", "finished", "completed")
CUT = ("interrupted", "interrupted", None)
BAD = ("failed", "finished", "failed")

# what its transcript says, how its process ended → state, what recover says, whether they contradict each other, how it was ended
TABLE = [
    (OPEN, EXITED, CUT, True, "exited"),
    (OPEN, FAILED, CUT, False, "exited"),
    (OPEN, KILLED, CUT, False, "died"),
    (OPEN, STOPPED, CUT, False, "stopped"),
    (OPEN, LOST, CUT, False, "rebooted"),
    (DONE, EXITED, FINISHED, False, None),
    (DONE, FAILED, BAD, True, None),
    (DONE, KILLED, FINISHED, False, None),
    (DONE, STOPPED, FINISHED, False, None),
    (DONE, LOST, FINISHED, False, None),
    (REFUSED, FAILED, BAD, False, None),
    (REFUSED, EXITED, BAD, False, None),
    (ESCAPED, STOPPED, CUT, False, "stopped"),
]


@pytest.mark.parametrize(("scenario", "end", "expected", "contradicts", "cause"), TABLE)
def test_an_end_that_was_seen_and_a_transcript_give_one_status(
    scenario, end, expected, contradicts, cause, tmp_path
):
    key = session_of(scenario)
    db = folded(tmp_path, transcript(scenario) + life(key, **end))
    found = surveyed(db, key)
    assert (found["session"]["state"], found["status"], found["outcome"]) == expected
    assert bool(found["findings"]) is contradicts, found["findings"]
    assert found["cause"] == cause
    assert found["alive"] is False
    if end is not LOST and scenario in (OPEN, DONE):
        assert found["grade"] == "observed"
        files = {one["source"]: one for one in found["evidence"] if one["source"].startswith("run")}
        assert files["run.exit"]["file"] == f"run/{AGENT}/0001/exit.json"
        assert files["run"]["file"] == "journal/00000001.jsonl"
        assert files["run"]["offset_bytes"] is not None


def alive(state: str):
    return lambda run: run._replace(state=state)


@pytest.mark.parametrize(
    ("scenario", "state", "expected"),
    [
        (OPEN, "running", ("working", "in_flight", "busy")),
        (OPEN, "unshimmed", ("working", "in_flight", "busy")),
        (OPEN, "paused", ("waiting", "waiting", "waiting_for_input")),
        (DONE, "running", ("idle", "finished", "idle")),
    ],
)
def test_a_process_that_runs_keeps_its_session_alive_however_silent_it_is(
    scenario, state, expected, tmp_path
):
    key = session_of(scenario)
    db = folded(tmp_path, transcript(scenario) + life(key))
    found = surveyed(db, key, alive(state))
    session = found["session"]
    assert (session["state"], found["status"], session["activity"]["state"]) == expected
    assert (found["alive"], found["needs_attention"]) == (True, False)
    assert session["run"]["state"] == state
    locks = [one["file"] for one in found["evidence"] if one["source"] == "run.lock"]
    assert locks == [f"run/{AGENT}/0001/lock"]


def test_a_life_that_nobody_can_look_at_says_nothing(tmp_path):
    """As with an imported history: silence decides, as it does without it."""
    key = session_of(OPEN)
    db = folded(tmp_path, transcript(OPEN) + life(key))
    found = surveyed(db, key)
    assert (found["status"], found["grade"], found["alive"]) == ("interrupted", "inferred", None)
    assert found["session"]["run"]["state"] == "unknown"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (EXITED, FINISHED),
        (FAILED, BAD),
        (KILLED, BAD),
        (STOPPED, ("ended", "finished", "cancelled")),
        (LOST, CUT),
    ],
)
def test_a_plain_command_is_a_session_of_its_own_that_stands_as_its_process(end, expected, tmp_path):
    db = folded(tmp_path, life(f"run:{AGENT}", **end))
    found = surveyed(db, AGENT)
    session = found["session"]
    assert (session["state"], found["status"], found["outcome"]) == expected
    assert (session["source"], session["title"], session["workspace"]) == ("run", "one", "/srv/x")
    [main] = found["agents"]
    assert main["status"] == expected[1]
    [shown] = queries.agents(db, queries.session_id(db, AGENT), session["state"])
    assert shown["status"] == end["status"]


@pytest.mark.parametrize(
    ("end", "state", "recovered", "status"),
    [
        (LOST, "interrupted", ("interrupted", None), "interrupted"),
        (LOST | {"asked": "stop", "status": "cancelled"}, "ended", ("finished", "cancelled"), "cancelled"),
    ],
)
@pytest.mark.parametrize("before", [None, EXITED, FAILED])
def test_an_end_that_nobody_saw_is_inferred_wherever_it_is_told(
    end, state, recovered, status, before, tmp_path
):
    """Whatever was seen of the lives before it."""
    about = f"run:{AGENT}"
    lives = [] if before is None else life(about, **before)
    lives += life(about, attempt=2, **end)[-2:]
    db = folded(tmp_path, lives)
    found = surveyed(db, AGENT)
    session = found["session"]
    assert (session["state"], session["state_grade"], found["grade"]) == (state, "inferred", "inferred")
    assert (found["status"], found["outcome"]) == recovered
    assert (session["run"]["state"], session["run"]["ended_at"]) == ("lost", None)
    [shown] = queries.agents(db, queries.session_id(db, AGENT), session["state"])
    assert (shown["status"], shown["status_grade"]) == (status, "inferred")
    assert "nobody saw how" in shown["status_why"]
    [main] = tree.tree(db, queries.session_id(db, AGENT), NOW_US, STALE_US)["roots"]
    turn = main["children"][-1]
    assert (main["grade"], turn["grade"], turn["status"]) == ("inferred", "inferred", status)
    told = [one for one in timeline.timeline(db, queries.session_id(db, AGENT)) if one["kind"] in ENDS]
    assert len(told) == (0 if before is None else 1), "an end of the turn that was seen, and no other"


ENDS = {"turn.ended", "agent.ended"}


def test_of_one_agents_lives_the_last_counts_whatever_the_clock_said(tmp_path):
    """It may have been set back."""
    first, second = life(f"run:{AGENT}", **FAILED), life(f"run:{AGENT}", attempt=2, **EXITED)
    body = json.loads(second[2].body) | {"time": STARTED_US - 5}
    second[2] = msgspec.structs.replace(second[2], body=json.dumps(body).encode())
    found = surveyed(folded(tmp_path, first + second), AGENT)
    assert (found["session"]["state"], found["session"]["run"]["attempt"]) == ("ended", 2)


@pytest.mark.parametrize(
    ("end", "state"), [(EXITED, "ended"), (FAILED, "failed"), (KILLED, "failed"), (LOST, "interrupted")]
)
def test_a_tools_session_of_which_nothing_is_recorded_stands_as_its_process(end, state, tmp_path):
    """Such as one whose tool refused its words."""
    db = folded(tmp_path, life(f"claude:{LIVE}", **end))
    found = surveyed(db, LIVE)
    session = found["session"]
    assert session["state"] == state
    assert (session["workspace"], session["title"]) == ("/srv/x", "one")
    assert session["started_at"] is not None


def test_the_last_life_counts_and_the_session_before_goes_on_in_it(tmp_path):
    """Started again, each life of a tool is a session of its own; the one before needs nobody's attention."""
    first, second = session_of(OPEN), f"claude:{LIVE}"
    entries = transcript(OPEN) + life(first, **LOST)
    entries += [
        told("run.started", second, NOW_US - 5, attempt=2, pid=78, start_ticks=9, boot_id="b", host=HOST),
        told("run.ended", second, NOW_US - 1, attempt=2, **EXITED),
    ]
    db = folded(tmp_path, entries)
    before = surveyed(db, first)
    assert (before["status"], before["continued_by"], before["needs_attention"]) == (
        "interrupted",
        LIVE,
        False,
    )
    assert surveyed(db, second)["status"] == "finished"
    answers = queries.sessions(db, NOW_US, STALE_US)
    assert survey.needing(db, answers) == []
    assert queries.session_key(db, AGENT[:6]) == second  # an agent is found by its own id too


def test_a_session_that_becomes_known_later_takes_the_place_of_the_runs_own(tmp_path):
    key = session_of(DONE)
    entries = [*transcript(DONE), *life(f"run:{AGENT}"), told("run.linked", key, attempt=1)]
    db = folded(tmp_path, entries)
    [only] = queries.sessions(db, NOW_US, STALE_US)
    assert only["id"] == key.partition(":")[2]
    assert only["run"]["agent"] == AGENT
    assert queries.session_key(db, AGENT) == key
    assert surveyed(db, key, alive("running"))["alive"] is True


@pytest.mark.parametrize(("tool", "turns"), [(None, 1), ("a tool of somebody's", 1), ("codex", 0)])
def test_a_run_stands_for_its_work_unless_its_tool_tells_that_itself(tool, turns, tmp_path):
    entries = [
        told("run.requested", f"run:{AGENT}", argv=["x"], tool=tool),
        told("run.started", f"run:{AGENT}", attempt=1, tool=tool),
        told("run.ended", f"run:{AGENT}", NOW_US - 1, attempt=1, tool=tool, **EXITED),
    ]
    found = surveyed(folded(tmp_path, entries), AGENT)["session"]
    assert (found["state"], found["turns"], found["agents"]) == ("ended", turns, turns)


def test_agents_stand_below_the_one_that_they_work_for(tmp_path):
    """A script below a session of Claude Code, and another one below that; a ring ends."""
    key, third = session_of(DONE), "aaaaaaaaaaaa"
    entries = transcript(DONE) + life(key, parent=third, **EXITED)
    entries += life(f"run:{BELOW}", run=BELOW, parent=AGENT, **FAILED)
    entries += life(f"run:{third}", run=third, parent=BELOW, **EXITED)
    db = folded(tmp_path, entries)
    shown = tree.tree(db, queries.session_id(db, key), NOW_US, STALE_US)
    [main] = shown["roots"]
    [below] = [node for node in main["children"] if node["id"] == f"run:{BELOW}"]
    assert (below["kind"], below["status"], below["name"]) == ("agent", "failed", "one")
    assert [(node["id"], node["status"]) for node in below["children"]] == [(f"run:{third}", "completed")]
    assert below["children"][0]["children"] == []


def without_places(value: Any) -> Any:
    """Where a record stands depends on the order of recording."""
    if isinstance(value, dict):
        return {name: without_places(one) for name, one in value.items() if name != "offset_bytes"}
    return [without_places(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(6))
def test_records_in_any_order_give_the_same_answers(seed, tmp_path):
    key = session_of(OPEN)
    entries = transcript(OPEN) + life(key, **KILLED)
    entries += life(f"run:{BELOW}", run=BELOW, parent=AGENT, **EXITED)
    entries.append(told("run.linked", f"claude:{LIVE}", attempt=1, run=BELOW))

    def answers(found) -> object:
        keys = sorted(queries.keys(found))
        shown = [tree.tree(found, queries.session_id(found, one), NOW_US, STALE_US) for one in keys]
        listed = queries.sessions(found, NOW_US, STALE_US)
        surveys = [surveyed(found, one) for one in keys]
        return without_places([shown, listed, surveys])

    dice = random.Random(seed)
    shuffled = dice.sample(entries, len(entries))
    expected = answers(folded(tmp_path, entries))
    assert answers(folded(tmp_path, shuffled, dice.randint(1, 9))) == expected


def test_an_event_that_tells_of_a_life_is_of_no_kind_but_ours():
    assert {kind for kind in ev.KINDS if kind.startswith("run.")} >= {
        "run.requested",
        "run.linked",
        "run.ended",
    }
