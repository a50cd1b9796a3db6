"""Moves of projects: which paths they lead where, and that folding them in any order gives the same."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import events as ev
from holdfast.store import database
from holdfast.store.fold import Fold
from holdfast.store.workspaces import Moves, near

NAMES = st.lists(st.sampled_from(["a", "b", "ab", "a b", "ü"]), min_size=1, max_size=4).map(
    lambda n: "/" + "/".join(n)
)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/a/b", "/n"),
        ("/a/b/c", "/n/c"),
        ("/a/bc", "/a/bc"),
        ("/a", "/a"),
        ("/x/a/b", "/x/a/b"),
        ("a/b", "a/b"),
        ("", ""),
        (None, None),
    ],
)
def test_whole_components_count(place, expected):
    assert Moves([(10, "/a/b/", "/n/")]).now(place, 5) == expected


def test_a_move_holds_for_what_began_before_it():
    moves = Moves([(10, "/a", "/b"), (20, "/b", "/c")])
    assert [moves.now("/a", t) for t in (9, 10, 15)] == ["/c", "/a", "/a"]
    assert [moves.now("/b", t) for t in (9, 15, 20)] == ["/c", "/c", "/b"]
    assert moves.now("/a", 2**63 - 1) == "/c"  # when it began is unknown


def test_what_makes_no_sense_moves_nothing():
    moves = Moves([(10, "", "/x"), (10, "relative", "/x"), (10, "/a", "relative"), (10, "/", "/x")])
    assert moves.now("/a", 5) == "/a"


@settings(deadline=None)
@given(NAMES, NAMES, NAMES)
def test_there_and_back_is_no_move(place, old, new):
    if (
        os.path.commonpath([place, new]) == new
    ):  # what lay at the new place before comes along on the way back
        return
    assert Moves([(10, old, new), (10, new, old)]).now(place, 5) == place


def test_any_order_of_records_folds_to_the_same_moves(tmp_path):
    """Also where an id was given twice: the first in the journal is the move."""
    told = [("1", 1, 50, "/a"), ("2", 1, 90, "/b"), ("1", 2, 10, "/other"), ("3", 2, 5, "/c")]
    found = set()
    for number, order in enumerate(itertools.permutations(told)):
        db = database.create(tmp_path / f"{number}.db")
        fold = Fold(db, 300)
        for record_id, segment, offset, new in order:
            data = ev.WorkspaceMoved(old="/x", new=new)
            event = ev.Event(
                id=record_id, kind="workspace.moved", session="sdk:default", time_us=1, data=data
            )
            fold.add(event, segment, offset)
            with database.transaction(db):
                fold.write()
        assert db.execute("SELECT count(*) FROM session").get == 0
        rows = db.execute("SELECT id, new FROM workspace_move ORDER BY segment, offset_bytes").fetchall()
        found.add(tuple(rows))
        db.close()
    assert found == {(("1", "/a"), ("2", "/b"), ("3", "/c"))}


def test_near_names_come_before_near_spellings():
    known = ["/home/you/demo", "/srv/app", "/home/me/dem"]
    assert near("/home/me/demo", known) == ["/home/you/demo", "/home/me/dem"]
    assert near("/q", known) == []
