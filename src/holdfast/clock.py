"""Time as Holdfast keeps it: UTC microseconds since 1970, as int. None means unknown."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
_SECONDS = [f"{number:02d}." for number in range(60)]
_MILLISECONDS = [f"{number:03d}Z" for number in range(1_000)]
_MAX_US = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z, the last moment datetime can show


def now_us() -> int:
    """The wall clock in UTC microseconds."""
    return time.time_ns() // 1_000


def parse_us(text: object) -> int | None:
    """Read an ISO 8601 time; without a zone it counts as UTC. None when it is not a time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except OverflowError:
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
