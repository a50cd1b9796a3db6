from __future__ import annotations

from datetime import UTC, date
from zoneinfo import ZoneInfo

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


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-06-01", 24), ("2026-10-25", 25)])
def test_a_day_is_as_long_as_the_calendar_of_its_zone_says(day, hours):
    first, last = (edge(date.fromisoformat(day), BERLIN) for edge in (clock.start_us, clock.end_us))
    assert last + 1 - first == hours * 3_600_000_000
    assert [clock.date_in(moment, BERLIN).isoformat() for moment in (first, last)] == [day, day]


@given(st.dates())
def test_every_day_of_the_calendar_has_a_beginning_and_an_end(day):
    for zone in (UTC, BERLIN, None):
        assert clock.start_us(day, zone) < clock.end_us(day, zone)


def test_a_time_without_a_zone_is_of_the_zone_that_is_asked_for():
    assert clock.parse_us("2026-07-01T12:00", BERLIN) == clock.parse_us("2026-07-01T10:00Z")
    assert clock.parse_us("2026-07-01T12:00Z", BERLIN) == clock.parse_us("2026-07-01T12:00Z")
    assert clock.parse_us("0001-01-01T00:00", BERLIN) is None


def test_a_zone_is_called_what_it_is_at_the_moment():
    assert clock.zone_name(0, UTC) == "UTC"
    summer = clock.parse_us("2026-07-01")
    assert (clock.zone_name(0, BERLIN), clock.zone_name(summer, BERLIN)) == ("CET", "CEST")
