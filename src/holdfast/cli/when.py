"""Times as people type them: 2026-11-01, 2026-11-01T14:30:00Z, or 7d for seven days ago."""

from __future__ import annotations

import re

from holdfast import clock
from holdfast.errors import UsageError

_DAYS_AGO = re.compile(r"(\d{1,5})d")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def first_us(text: str | None, now_us: int, option: str) -> int | None:
    """The first microsecond (UTC) that the text means; a day begins with the day. None stays None."""
    return None if text is None else _moment_us(text, now_us, option)


def last_us(text: str | None, now_us: int, option: str) -> int | None:
    """The last microsecond that the text means; a day lasts to its end."""
    if text is None:
        return None
    whole_day = _DAYS_AGO.fullmatch(text) or _DAY.fullmatch(text)
    return _moment_us(text, now_us, option) + (clock.DAY_US - 1 if whole_day else 0)


def _moment_us(text: str, now_us: int, option: str) -> int:
    if found := _DAYS_AGO.fullmatch(text):
        return (now_us // clock.DAY_US - int(found[1])) * clock.DAY_US
    moment_us = clock.parse_us(text)
    if moment_us is None:
        raise UsageError(
            f"{option} {text!r} is no time",
            hint="write it as 2026-11-01, as 2026-11-01T14:30:00Z, or as 7d for seven days ago",
        )
    return moment_us
