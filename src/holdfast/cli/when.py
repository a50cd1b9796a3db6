"""Times as people type them: 2026-11-01, 2026-11-01T14:30:00Z, or 7d for seven days ago.

Days and times without a zone are UTC, unless a command says otherwise; None as a zone is the machine's own.
"""

from __future__ import annotations

import re
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING

from holdfast import clock
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from datetime import tzinfo

_DAYS_AGO = re.compile(r"(\d{1,5})d")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def first_us(text: str | None, now_us: int, option: str, zone: tzinfo | None = UTC) -> int | None:
    """The first microsecond (UTC) that the text means; a day begins with the day. None stays None."""
    return None if text is None else _moments_us(text, now_us, option, zone)[0]


def last_us(text: str | None, now_us: int, option: str, zone: tzinfo | None = UTC) -> int | None:
    """The last microsecond that the text means; a day lasts to its end."""
    return None if text is None else _moments_us(text, now_us, option, zone)[1]


def _moments_us(text: str, now_us: int, option: str, zone: tzinfo | None) -> tuple[int, int]:
    try:
        day = _day(text, now_us, zone)
    except ValueError:
        moment_us = None  # 2026-02-30
    else:
        if day is not None:
            return clock.start_us(day, zone), clock.end_us(day, zone)
        moment_us = clock.parse_us(text, zone)
    if moment_us is None:
        raise UsageError(
            f"{option} {text!r} is no time",
            hint="write it as 2026-11-01, as 2026-11-01T14:30:00Z, or as 7d for seven days ago",
        )
    return moment_us, moment_us


def _day(text: str, now_us: int, zone: tzinfo | None) -> date | None:
    """The day that the text names; None if it is not a day's name."""
    if found := _DAYS_AGO.fullmatch(text):
        return clock.date_in(now_us, zone) - timedelta(days=int(found[1]))
    return date.fromisoformat(text) if _DAY.fullmatch(text) else None
