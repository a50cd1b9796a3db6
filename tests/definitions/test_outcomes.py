"""What came of runs by the text that they ran with: shares, medians, their intervals, and when there are too few."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.definitions.outcomes import (
    ENOUGH_RUNS,
    Run,
    difference,
    median,
    outcomes,
    share,
    wilson,
)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [  # Newcombe, Stat. Med. 17, 1998, 857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_a_share_is_the_published_one(k, n, low, high):
    assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    [  # Newcombe, Stat. Med. 17, 1998, 873, table II, method 10
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((0, 29), (5, 56), -0.0381, 0.1926),
    ],
)
def test_the_interval_of_a_difference_is_the_published_one(before, after, low, high):
    found = difference(share(*before), share(*after))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("n", "low", "high"), [(20, 6, 15), (25, 8, 18), (50, 18, 33), (100, 40, 61)])
def test_the_interval_of_a_median_is_that_of_the_tables(n, low, high):
    """Of the values 1 to n, the ranks between which the median lies are the values."""
    found = median(list(range(n, 0, -1)))
    assert (found.value, found.low, found.high) == ((n + 1) / 2, low, high)


@given(st.integers(ENOUGH_RUNS, 400))
def test_the_interval_of_a_median_covers_as_much_as_it_says_and_no_rank_more(n):
    found = median(list(range(n)))
    below = sum(math.comb(n, i) for i in range(int(found.low) + 1)) / 2**n
    assert below <= 0.025 < below + math.comb(n, int(found.low) + 1) / 2**n
    assert found.low == n - 1 - found.high


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ((10, 40), (36, 40), "higher"),
        ((36, 40), (10, 40), "lower"),
        ((20, 40), (22, 40), "not told apart"),
        ((20, 40), (19, 19), "insufficient data"),
        ((0, 19), (19, 19), "insufficient data"),
        ((0, 0), (0, 0), "insufficient data"),
    ],
)
def test_a_difference_is_named_only_where_it_is_told_apart(before, after, word):
    assert difference(share(*before), share(*after)).word == word


def test_the_interval_of_a_difference_of_medians_holds_it_as_often_as_it_says():
    """Of skewed values, of which the later ones are three times as large; nothing is drawn anew."""
    drawn = random.Random(20081693)
    held = 0
    for _ in range(400):
        before = median([drawn.lognormvariate(0, 1.2) for _ in range(20)])
        after = median([3 * drawn.lognormvariate(0, 1.2) for _ in range(60)])
        found = difference(before, after)
        assert found.value == after.value - before.value
        held += found.low <= 2 <= found.high
    assert held >= 0.95 * 400


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (range(20), range(100, 120), "higher"),
        (range(100, 120), range(20), "lower"),
        (range(20), range(2, 22), "not told apart"),
        (range(20), range(100, 119), "insufficient data"),
    ],
)
def test_medians_are_told_apart_as_shares_are(before, after, word):
    assert difference(median(list(before)), median(list(after))).word == word


def test_what_runs_take_is_told_of_those_that_completed():
    cheap = [Run("a", "failed", tokens=1, cost_pico=1, duration_ms=1)] * 30
    [one] = outcomes([*cheap, *[Run("a", "completed", tokens=9, cost_pico=9, duration_ms=9)] * 20])
    assert [(each.n, each.value) for each in (one.tokens, one.cost_pico, one.duration_ms)] == [(20, 9)] * 3
    [none] = outcomes(cheap)
    assert (none.success.n, none.tokens.n, none.tokens.value) == (30, 0, None)


def test_below_twenty_runs_nothing_is_claimed():
    [one] = outcomes([Run("a", "completed", tokens=5, duration_ms=7)] * (ENOUGH_RUNS - 1))
    assert not one.is_enough
    assert (one.success.k, one.success.n, one.success.value, one.success.low) == (19, 19, None, None)
    assert (one.tokens.n, one.tokens.value, one.duration_ms.value) == (19, None, None)


def test_runs_are_counted_by_text_and_what_goes_on_is_no_outcome():
    runs = [Run("new", "completed", started_us=9, model="m")] * 21 + [
        Run("new", "running", started_us=99)
    ] * 3
    runs += [Run("old", "failed", started_us=1, retries=2, blocked=True)] * 20
    old, new = outcomes(runs)
    assert (old.text, old.runs, old.ended, old.success.value, old.retries) == ("old", 20, 20, 0.0, 40)
    assert (old.retried.value, old.blocked.value) == (1.0, 1.0)
    assert (new.text, new.runs, new.ended, new.success.value, new.last_us) == ("new", 24, 21, 1.0, 99)
    assert new.models == {"m": 21, None: 3}
    assert old.tokens.n == 0


def test_an_unknown_figure_is_left_out_and_not_taken_for_zero():
    [one] = outcomes([Run("a", "completed", cost_pico=10)] * 20 + [Run("a", "completed")] * 30)
    assert (one.cost_pico.n, one.cost_pico.value) == (20, 10)


runs = st.builds(
    Run,
    text=st.sampled_from("abc"),
    status=st.sampled_from(["completed", "failed", "running", "interrupted"]),
    started_us=st.none() | st.integers(0, 9),
    retries=st.integers(0, 2),
    blocked=st.booleans(),
    tokens=st.none() | st.integers(0, 9),
)


@given(st.lists(runs, max_size=90))
def test_figures_add_up_and_do_not_hang_on_the_order(found):
    out = outcomes(found)
    assert sum(one.runs for one in out) == len(found)
    assert outcomes(reversed(found)) == out
    for one in out:
        for each in (one.success, one.retried, one.blocked):
            assert each.n == one.ended
            if each.value is not None:
                assert 0 <= each.low <= each.value <= each.high <= 1
