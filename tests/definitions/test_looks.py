"""Looks at definitions: which are recorded, what the rows say of them, and that none is claimed that was not made."""

from __future__ import annotations

import msgspec
import pytest

from holdfast import events as ev
from holdfast.definitions import looks
from holdfast.definitions.ledger import Index, Ledger
from holdfast.definitions.past import WATCH_GAP_US, Reached
from holdfast.definitions.roots import Root
from holdfast.store import database
from holdfast.store import looks as rows

US = 1_000_000
ROOTS = (
    Reached("claude", "project", "/w/.claude/agents"),
    Reached("claude", "user", "/u/agents", None, seen=False),
)


class Kept:
    """A ledger, and what it recorded."""

    def __init__(self, place):
        self.recorded = []
        self.ledger = Ledger(place, self.record, Index)
        self.ledger.directory.mkdir(parents=True)

    def record(self, body):
        self.recorded.append(body)
        return "id"

    def note(self, second, roots=ROOTS, cwd="/w"):
        return looks.note(self.ledger, {cwd: roots}, second * US)

    def spans(self):
        """(since, at) of each look that was recorded, in seconds."""
        out = []
        for body in self.recorded:
            data = msgspec.convert(body["fields"], ev.DefinitionsLooked)
            for _, values in rows.rows(data, body["time"]):
                if "cwd" in values:
                    out.append((values["from_us"] // US, values["to_us"] // US))
        return out


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path)


EVERY = looks.EVERY_US // US


@pytest.mark.parametrize(
    ("moments", "recorded"),
    [
        ([1], [(1, 1)]),
        ([1, 2, 3], [(1, 1)]),
        ([1, 50, EVERY, EVERY + 1], [(1, 1), (EVERY, EVERY + 1)]),
        ([1, *range(2, 2 * EVERY + 3)], [(1, 1), (1, EVERY + 1), (EVERY + 1, 2 * EVERY + 1)]),
        ([1, *range(EVERY - 90, EVERY + 3)], [(1, 1), (EVERY - 90, EVERY + 1)]),
        ([1, *range(EVERY - 4, EVERY), EVERY + 50], [(1, 1), (EVERY + 50, EVERY + 50)]),
        ([100, 50], [(100, 100), (50, 50)]),
    ],
    ids=["the first", "soon again", "later", "watched", "watched from later on", "watched, with a gap", "a clock that goes back"],
)  # fmt: skip
def test_one_look_in_ten_minutes_is_recorded_and_watching_is_a_span(kept, moments, recorded):
    for moment in moments:
        kept.note(moment)
    assert kept.spans() == recorded


def test_a_look_that_reaches_something_else_is_recorded_at_once_and_joins_no_span(kept):
    kept.note(1)
    kept.note(2)
    kept.note(3, ROOTS[:1])
    kept.note(4, ROOTS[:1])
    assert kept.spans() == [(1, 1), (3, 3)]


def test_another_process_knows_what_was_recorded_and_a_lost_note_costs_one_record(kept, tmp_path):
    kept.note(1)
    other = Kept.__new__(Kept)
    other.recorded, other.ledger = [], Ledger(tmp_path, kept.record, Index)
    other.note(2)
    assert kept.spans() == [(1, 1)]
    (kept.ledger.directory / looks.FILE).write_bytes(b"torn")
    other.note(3)
    assert kept.spans() == [(1, 1), (2, 3)]


def test_every_look_is_given_to_whoever_asks_now(kept):
    assert [(one.cwd, one.from_us, one.to_us) for one in kept.note(1)] == [("/w", US, US)]
    assert [(one.from_us, one.to_us) for one in kept.note(2)] == [(US, 2 * US)]
    assert [(one.from_us, one.to_us) for one in kept.note(2 + 2 * WATCH_GAP_US // US)] == [(12 * US, 12 * US)]


def test_what_could_not_be_looked_through_is_not_said_to_be_seen():
    root = Root("claude", "user", "/u/a", "/real/a", (0, 0), exists=True, writable=False, why="")
    assert [one.seen for one in looks.reach([root], [])] == [True]
    for broken in ("/u/a", "/u/a/sub", "/real/a/x.md"):
        assert [one.seen for one in looks.reach([root], [broken])] == [False]
    assert [one.seen for one in looks.reach([root], ["/u/ab"])] == [True]


def test_rows_about_a_moment_are_the_nearest_on_either_side(tmp_path):
    db = database.create(tmp_path / "s.db")
    data = ev.DefinitionsLooked(
        roots=[ev.work.RootReached(tool="claude", tier="user", path="/u")],
        directories=[
            ev.work.DirectoryReached(cwd="/w", roots=[0, 9]),
            ev.work.DirectoryReached(cwd="/x", roots=[]),
        ],
    )
    fold = {"definitions_reached": "definition_reach", "definitions_looked": "definition_look"}
    for second in range(0, 100, 10):
        for statement, values in rows.rows(data, second * US):
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            db.execute(f"INSERT OR IGNORE INTO {fold[statement]} ({names}) VALUES ({marks})", values)
    found = rows.about(db, None, "/w", [45 * US])
    assert [one.to_us // US for one in found] == [10, 20, 30, 40, 50, 60, 70, 80]
    assert rows.reached(db, found[0].reach) == ({"tool": "claude", "tier": "user", "path": "/u"},)
    assert rows.about(db, None, "/nowhere", [45 * US]) == []
