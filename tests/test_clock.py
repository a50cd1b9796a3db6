from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import clock


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-21T11:07:22.112Z", 1_795_259_242_112_000),
        ("2026-11-21T12:07:22.112+01:00", 1_795_259_242_112_000),
        ("2026-11-21T11:07:22.112", 1_795_259_242_112_000),
        ("", None),
        ("yesterday", None),
        ("2026-02-31T00:00:00Z", None),
        (None, None),
        (5, None),
        ({"a": 1}, None),
    ],
)
def test_times_are_read_as_utc_microseconds_or_are_unknown(text, expected):
    assert clock.parse_us(text) == expected


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_what_is_shown_reads_back_to_the_millisecond(time_ms):
    assert clock.parse_us(clock.iso(time_ms * 1000)) == time_ms * 1000


@pytest.mark.parametrize("time_us", [-1, -(10**30), 10**30])
def test_impossible_times_are_shown_at_the_edge_not_raised(time_us):
    assert clock.iso(time_us) is not None
    assert clock.day(time_us) is not None


def test_unknown_stays_unknown():
    assert clock.iso(None) is None
    assert clock.day(None) is None
