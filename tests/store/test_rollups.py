"""Roll-ups are the sum of the rows, whatever came in whichever order; and no hot question reads rows one by one."""

from __future__ import annotations

import random
import re

import apsw
import pytest

from holdfast import events as ev
from holdfast.store import database
from holdfast.store.fold import Fold
from holdfast.store.statements import statements
from tests.store.test_any_order import SETS, _entries, _folded

RECOUNTS = statements("recount")
QUERIES = statements("queries")


def wrong(db):
    """Which roll-ups differ from their rows, and in how many places."""
    return {name: number for name, sql in RECOUNTS.items() if (number := db.execute(sql).get)}


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    """Every recorded scenario, shuffled, in batches of 50."""
    entries = _entries(*(name for scenarios in SETS for name in scenarios))
    random.Random(7).shuffle(entries)
    directory = tmp_path_factory.mktemp("folded")
    return _folded(directory, [entries[n : n + 50] for n in range(0, len(entries), 50)])


def test_shuffled_records_are_counted_right(folded):
    assert wrong(folded) == {}
    assert folded.execute("SELECT sum(tool_calls) FROM session_total").get > 0


DAY = 86_400_000_000
KINDS = ("tool", "tool", "tool", "turn", "llm", "error", "agent")


def told(chance, number):
    """One event out of a small world, so that rows meet: two sessions (one a fork), few agents, calls and days."""
    session = f"{chance.choice(('claude', 'sdk'))}:s{chance.randrange(3)}"
    agent = chance.choice(("", "", "a1", "a2", "a3"))
    at = chance.choice((None, chance.randrange(5) * DAY + chance.randrange(1000)))
    span = f"t{chance.randrange(12)}"
    what = {
        "id": f"e{number}",
        "session": session,
        "time_us": at,
        "agent": agent,
        "order": chance.randrange(100),
    }
    kind = chance.choice(KINDS)
    if kind == "tool" and chance.random() < 0.5:
        data = ev.ToolStarted(
            tool=chance.choice(("Bash", "Agent")), operation=chance.choice((None, "Explore", "zz"))
        )
        return ev.Event(kind="tool.started", span=span, data=data, **what)
    if kind == "tool":
        status = chance.choice(("completed", "failed", "cancelled", "interrupted"))
        data = ev.ToolEnded(status=status, duration_ms=chance.choice((None, 5)))
        return ev.Event(kind="tool.ended", span=span, data=data, **what)
    if kind == "turn":
        return ev.Event(
            kind="turn.started", span=f"u{chance.randrange(5)}", data=ev.TurnStarted(text="x"), **what
        )
    if kind == "llm":
        called = ev.LlmCalled(
            message_id=f"m{chance.randrange(8)}",
            model=chance.choice((None, "claude-haiku-4-5-20251001")),
            input_tokens=chance.choice((None, 10)),
            output_tokens=chance.randrange(50),
            final=chance.random() < 0.5,
        )
        return ev.Event(kind="llm.called", data=called, **what)
    if kind == "error":
        what |= {"id": f"x{(same := chance.randrange(6))}", "agent": ("", "a1", "a2")[same % 3]}
        return ev.Event(kind="error.raised", data=ev.ErrorRaised(error_type="E", message="m"), **what)
    what["agent"] = agent or "a1"
    started = ev.AgentStarted(
        agent_type=chance.choice((None, None, "planner")), parent_tool=chance.choice((None, span))
    )
    return ev.Event(kind="agent.started", data=started, **what)


def own(session, at, order):
    noted = ev.SessionNoted(own=True)
    return ev.Event(
        id=f"own-{session}", kind="session.noted", session=session, time_us=at, order=order, data=noted
    )


def fold_all(tmp_path, events, chance):
    """Fold in random batches; roll-ups must be right after each."""
    db = database.create(tmp_path / f"store-{random.getrandbits(60)}.db")
    fold = Fold(db, 300)
    left = list(events)
    while left:
        for event in left[: (size := chance.randint(1, 30))]:
            fold.add(event, 1, 0)
        with database.transaction(db):
            fold.write()
        left = left[size:]
        assert wrong(db) == {}
    return db


def totals(db):
    return [
        db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
        for table in ("tool_total", "llm_total", "error_total")
    ] + [
        db.execute(
            "SELECT s.key, t.* FROM session_total AS t JOIN session AS s ON s.id = t.session_id ORDER BY 1"
        ).fetchall()
    ]


def without_ids(found):
    return [*found[:3], [(row[0], *row[2:]) for row in found[3]]]


@pytest.mark.parametrize("seed", range(12))
def test_a_small_world_in_any_order_is_counted_right_after_every_batch(seed, tmp_path):
    """Types and parents that become known late, ends before starts, forks, other days: sums move along."""
    chance = random.Random(seed)
    events = [told(chance, number) for number in range(200)]
    events.append(own("claude:s1", 3 * DAY, 0))
    db = fold_all(tmp_path, events, chance)
    shuffled = events + chance.sample(events, 50)
    chance.shuffle(shuffled)
    assert without_ids(totals(fold_all(tmp_path, shuffled, chance))) == without_ids(totals(db))
    assert db.execute("SELECT count(*) FROM span WHERE inherited").get > 0


def test_a_batch_that_fails_leaves_the_sums_as_they_were(tmp_path):
    db = database.create(tmp_path / "s.db")
    fold = Fold(db, 300)
    chance = random.Random(1)
    fold.add(told(chance, 1), 1, 0)

    def fail():
        with database.transaction(db):
            fold.write()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    fold.forget()
    for number in range(2, 40):
        fold.add(told(chance, number), 1, 0)
    with database.transaction(db):
        fold.write()
    assert wrong(db) == {}


@pytest.mark.parametrize("table", RECOUNTS)
def test_a_wrong_roll_up_is_noticed(table, folded):
    """The control: without it, right sums would prove nothing."""
    column = folded.execute(f"SELECT name FROM pragma_table_info('{table}') ORDER BY cid DESC LIMIT 1").get
    wrongs = {
        "error_total": "INSERT INTO error_total VALUES (1, 'nobody', 1)",
        "error_day": "INSERT INTO error_day VALUES (1, 1, 'nobody', 1)",
        "session_day": "DELETE FROM session_day",
        "session_total": "UPDATE session_total SET turns = turns + 1",
    }
    folded.execute("BEGIN")
    folded.execute(wrongs.get(table, f"UPDATE {table} SET {column} = 1 - {column}"))
    found = wrong(folded)
    folded.execute("ROLLBACK")
    assert table in found


def test_rows_cannot_be_written_past_the_roll_ups(tmp_path):
    """A connection that does not count cannot write what is counted."""
    path = tmp_path / "s.db"
    database.create(path).close()
    db = database.open_writer(path)
    with pytest.raises(apsw.SQLError, match="no such function: holdfast_"):
        db.execute("INSERT INTO span (id, session_id, kind, agent, position) VALUES ('a', 1, 'tool', '', 0)")


# ── plans ──

_ROWS = re.compile(r"\b(SCAN|SEARCH) (\w+)")
_OF_ROWS = {"span", "llm", "event"}
_ALIASES = {"p": "span"}


def plan(db, name):
    values = dict.fromkeys(re.findall(r":(\w+)", QUERIES[name]), 1)
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {QUERIES[name]}", values)]


def looked_at(steps):
    return [
        (found[1], _ALIASES.get(found[2], found[2]), step) for step in steps if (found := _ROWS.search(step))
    ]


ABOUT_ALL = [name for name in QUERIES if name == "sessions" or name.startswith("stats_")]
ABOUT_ONE = [
    "session",
    "agents",
    "files",
    "failed_tools",
    "errors_raised",
    "told",
    "spans",
    "llm_calls",
    "events",
    "marks",
    "turns",
    "span_nodes",
    "llm_nodes",
    "span_exists",
    "links",
]


@pytest.mark.parametrize("name", ABOUT_ALL)
def test_questions_about_everything_read_roll_ups_only(name, folded):
    touched = {table for _, table, _ in looked_at(plan(folded, name))}
    assert touched
    assert not touched & _OF_ROWS


@pytest.mark.parametrize("name", ABOUT_ONE)
def test_questions_about_a_session_search_for_it(name, folded):
    for how, table, step in looked_at(plan(folded, name)):
        if table in _OF_ROWS | {"session", "session_total", "tool_day", "llm_day", "link", "agent"}:
            assert how == "SEARCH", step
            assert "session_id=?" in step or "rowid=?" in step, step


def test_the_days_asked_for_are_searched_for(folded):
    for name in ("stats_agent_count_of_days", "stats_days", "stats_tools", "stats_models"):
        steps = [
            step for _, table, step in looked_at(plan(folded, name)) if table.endswith(("_total", "_day"))
        ]
        assert steps
        assert all("day" in step and step.startswith(("SEARCH", "SCAN u")) for step in steps), steps


def test_what_came_last_is_one_step_into_an_index(folded):
    sql = statements("rollups")["session_last"]
    steps = [row[3] for row in folded.execute(f"EXPLAIN QUERY PLAN {sql}", {"session_id": 1})]
    assert not any("TEMP B-TREE" in step for step in steps), steps
    assert all("SEARCH" in step for _, _, step in looked_at(steps)), steps


def test_folding_searches_for_forks_by_id(folded):
    """A lookup for each row that comes; a scan here makes folding grow with the store."""
    for table in ("span", "llm"):
        sql = f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE id = 'x' AND session_id <> 1"
        (step,) = [row[3] for row in folded.execute(sql)]
        assert f"COVERING INDEX {table}_id (id=?" in step
