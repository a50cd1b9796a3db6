"""Spans: which status may follow which, which evidence wins, and walks that always end."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import IllegalTransition
from holdfast.spans import (
    INFERRED,
    OBSERVED,
    STATUS_WORDS,
    STATUSES,
    TERMINAL,
    TRANSITIONS,
    Evidence,
    can_move,
    merge,
    move,
    tree,
)

# ── Moves ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        ["pending", "spawning", "running", "completed"],
        ["pending", "running", "waiting", "running", "paused", "running", "failed"],
        ["spawning", "cancelled"],
        ["running", "interrupted"],
        ["waiting", "completed"],
        ["paused", "lost", "running", "completed"],
        ["running", "lost", "interrupted"],
    ],
)
def test_lives_that_are_allowed(path):
    """A span may live any of these lives."""
    for before, after in pairwise(path):
        assert move(before, after) == after


@pytest.mark.parametrize("before", sorted(TERMINAL))
def test_an_outcome_is_final(before):
    """Nothing follows an outcome; trying again is a new span."""
    assert not any(can_move(before, after) for after in STATUSES)
    with pytest.raises(IllegalTransition) as caught:
        move(before, "running")
    assert "new span" in caught.value.hint


def test_an_illegal_move_names_both_and_what_may_follow():
    """The message says which move, the hint which ones there are."""
    with pytest.raises(IllegalTransition) as caught:
        move("waiting", "pending")
    assert "waiting" in str(caught.value)
    assert "pending" in str(caught.value)
    for status in TRANSITIONS["waiting"]:
        assert status in caught.value.hint


def test_staying_and_unknown_statuses_are_no_moves():
    """Only a change between known statuses is a move."""
    assert not any(can_move(status, status) for status in STATUSES)
    assert not can_move("sleeping", "running")
    assert not can_move("running", "sleeping")


def test_every_status_is_in_every_table():
    """The transition table, the tie-break order and the words agree on what a status is."""
    assert set(TRANSITIONS) == set(STATUSES)
    assert {after for nexts in TRANSITIONS.values() for after in nexts} <= set(STATUSES)
    assert set(STATUS_WORDS.values()) <= set(STATUSES)
    assert set(STATUSES) <= set(STATUS_WORDS)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("draft", "pending"),
        ("planning", "pending"),
        ("initializing", "spawning"),
        ("executing", "running"),
        ("working", "running"),
        ("started", "running"),
        ("in_progress", "running"),
        ("waiting_approval", "waiting"),
        ("suspended", "paused"),
        ("success", "completed"),
        ("error", "failed"),
        ("terminated", "cancelled"),
        ("unknown", "lost"),
    ],
)
def test_other_systems_words(word, status):
    """The status words of earlier systems have one meaning each."""
    assert STATUS_WORDS[word] == status


# ── Evidence ──────────────────────────────────────────────────────────────────────────────────

evidence = st.builds(
    Evidence,
    grade=st.sampled_from([INFERRED, OBSERVED]),
    rank=st.integers(0, 3),
    time_us=st.integers(0, 5),
    status=st.sampled_from([*STATUSES, "sleeping", "dreaming"]),
)


@given(evidence, evidence)
def test_merge_is_commutative(a, b):
    """Which claim arrives first does not matter."""
    assert merge(a, b) == merge(b, a)


@given(evidence, evidence, evidence)
def test_merge_is_associative(a, b, c):
    """How claims are grouped does not matter."""
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(evidence)
def test_merge_is_idempotent(a):
    """The same claim twice is one claim."""
    assert merge(a, a) == a


@given(st.lists(evidence, min_size=1, max_size=5))
def test_any_order_of_arrival_gives_one_answer(claims):
    """Folding every permutation ends at the same claim."""
    assert len({reduce(merge, order) for order in permutations(claims)}) == 1


@given(evidence, evidence)
def test_observed_beats_inferred(a, b):
    """A rule never overrides a record."""
    assert merge(a._replace(grade=OBSERVED), b._replace(grade=INFERRED)) == a._replace(grade=OBSERVED)


@given(
    evidence,
    evidence,
    st.sampled_from(sorted(TERMINAL)),
    st.sampled_from(["pending", "running", "waiting", "lost"]),
)
def test_an_outcome_beats_an_unfinished_status_of_its_grade(a, b, outcome, unfinished):
    """A late "running" does not reopen what has ended, however trusted or recent it is."""
    b = b._replace(grade=a.grade, status=unfinished)
    assert merge(b, a._replace(status=outcome)).status == outcome


def test_then_rank_then_time_then_order():
    """Between equals the trusted source decides, then the later claim, then doubt over success."""
    low, high = Evidence(OBSERVED, 1, 9, "failed"), Evidence(OBSERVED, 2, 1, "completed")
    assert merge(low, high) == high
    early, late = Evidence(OBSERVED, 1, 1, "failed"), Evidence(OBSERVED, 1, 2, "completed")
    assert merge(early, late) == late
    good, bad = Evidence(OBSERVED, 1, 1, "completed"), Evidence(OBSERVED, 1, 1, "failed")
    assert merge(good, bad) == bad


# ── Trees ─────────────────────────────────────────────────────────────────────────────────────


def test_walk_is_depth_first_in_the_order_of_the_rows():
    """Parents come before children, siblings in the order they came, children before parents too."""
    found = tree([("c", "b"), ("a", None), ("b", "a"), ("d", "a"), ("e", "c"), ("z", None)])
    assert list(found.walk()) == [("a", 0), ("b", 1), ("c", 2), ("e", 3), ("d", 1), ("z", 0)]
    assert list(found.walk(["b"])) == [("b", 0), ("c", 1), ("e", 2)]
    assert found.children_of("a") == ("b", "d")
    assert found.children_of("nobody") == ()
    assert found.depths() == {"a": 0, "b": 1, "c": 2, "e": 3, "d": 1, "z": 0}
    assert found.orphans == found.cycles == ()


def test_orphans_stay_as_roots():
    """A span whose parent never arrived is shown, with everything below it."""
    found = tree([("a", None), ("x", "missing"), ("y", "x")])
    assert found.roots == ("a", "x")
    assert found.orphans == ("x",)
    assert found.depths()["y"] == 1


def test_the_first_row_of_a_span_counts():
    """A repeated row does not move a span."""
    assert list(tree([("a", None), ("b", "a"), ("b", None)]).walk()) == [("a", 0), ("b", 1)]


@pytest.mark.parametrize(
    ("rows", "cycles"),
    [
        ([("a", "a")], [("a",)]),
        ([("a", "b"), ("b", "a")], [("a", "b")]),
        (
            [("x", "c"), ("b", "a"), ("c", "b"), ("a", "c"), ("p", "q"), ("q", "p")],
            [("b", "a", "c"), ("p", "q")],
        ),
    ],
)
def test_cycles_are_reported_and_cut(rows, cycles):
    """A ring is named, its first member becomes a root, and the walk still ends having seen everyone once."""
    found = tree(rows)
    assert sorted(found.cycles) == sorted(cycles)
    assert sorted(span for span, _ in found.walk()) == sorted({span for span, _ in rows})
    assert {ring[0] for ring in cycles} <= set(found.roots)
    assert found.orphans == ()


names = st.integers(0, 8).map(str)


@given(st.lists(st.tuples(names, st.none() | names)))
def test_every_span_is_walked_once_whatever_the_rows(rows):
    """Orphans, rings and repetitions never lose a span, show it twice, or hang."""
    found = tree(rows)
    walked = [span for span, _ in found.walk()]
    assert sorted(walked) == sorted({span for span, _ in rows})
    for ring in found.cycles:
        assert len(set(ring)) == len(ring)


def test_ten_thousand_deep():
    """Depth costs no stack, and a ring of that length is found too."""
    rows = [(str(n), str(n - 1) if n else None) for n in range(10_000)]
    assert tree(rows).depths()["9999"] == 9999
    assert tree(reversed(rows)).depths()["9999"] == 9999
    ring = tree([("0", "9999"), *rows[1:]])
    assert [len(cycle) for cycle in ring.cycles] == [10_000]
    assert len(list(ring.walk())) == 10_000
