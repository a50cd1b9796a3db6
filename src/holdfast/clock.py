"""Time as Holdfast keeps it: UTC microseconds since 1970, as int. None means unknown."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
_SECONDS = [f"{number:02d}." for number in range(60)]
_MILLISECONDS = [f"{number:03d}Z" for number in range(1_000)]
_MAX_US = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z, the last moment datetime can show


def now_us() -> int:
    """The wall clock in UTC microseconds."""
    return time.time_ns() // 1_000


def parse_us(text: object, zone: tzinfo | None = UTC) -> int | None:
    """Read an ISO 8601 time; without a zone it counts as one of `zone`, None being the machine's. None when it is not a time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone).astimezone(UTC)
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except (OverflowError, ValueError):  # in UTC it would be before the year 1, or after 9999
        return None


def iso(time_us: int | None) -> str | None:
    """ISO 8601 in UTC with milliseconds ("2026-11-21T11:07:22.112Z"); None stays None."""
    if time_us is None:
        return None
    if not 0 <= time_us <= _MAX_US:
        time_us = 0 if time_us < 0 else _MAX_US
    second = time_us // 1_000_000
    return _minute(second // 60) + _SECONDS[second % 60] + _MILLISECONDS[time_us // 1_000 % 1_000]


@lru_cache(maxsize=4_096)
def _minute(number: int) -> str:
    """The text of a minute; an answer holds thousands of moments, and most share theirs with others."""
    return (_EPOCH + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:")


def day(time_us: int | None) -> str | None:
    """The UTC day of a moment ("2026-11-21")."""
    return None if time_us is None else (iso(time_us) or "")[:10]


def date_in(time_us: int, zone: tzinfo | None) -> date:
    """The calendar day of a moment in a time zone; None is the machine's own."""
    return datetime.fromtimestamp(time_us // 1_000_000, zone).date()


def start_us(day: date, zone: tzinfo | None) -> int:
    """The first microsecond of a calendar day in a time zone; None is the machine's own.

    At the ends of the calendar, where a zone may lead beyond it, days are UTC.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    try:
        return int(midnight.timestamp()) * 1_000_000
    except (OverflowError, ValueError):
        return int(midnight.replace(tzinfo=UTC).timestamp()) * 1_000_000


def end_us(day: date, zone: tzinfo | None) -> int:
    """The last microsecond of a calendar day; it is not always 24 hours after the first."""
    if day == date.max:
        return start_us(day, zone) + DAY_US - 1
    return start_us(day + timedelta(days=1), zone) - 1


def zone_name(time_us: int, zone: tzinfo | None) -> str:
    """What a time zone is called at a moment ("CET"); None is the machine's own."""
    return datetime.fromtimestamp(time_us // 1_000_000, zone).astimezone(zone).tzname() or "local time"
