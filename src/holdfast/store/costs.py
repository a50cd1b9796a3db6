"""What model calls took and cost: by day, model, project, agent type or session, and over the last days.

Each call counts once in the whole home: rows that a fork copied are `inherited` and belong to the session that made
them. Sums come from the calls, not from the roll-ups, because those know UTC days only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from holdfast import clock, pricing
from holdfast.store import queries
from holdfast.store.database import rows
from holdfast.store.statements import statements
from holdfast.store.workspaces import Moves

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, tzinfo

    import apsw

Json = dict[str, Any]
Sums = dict[Any, Counter[str]]
BYS: Final = ("day", "model", "project", "agent-type", "session")
LATELY_DAYS: Final = 14  # how far back the first view lists days
PERIODS: Final = (
    ("today", 1),
    ("last 7 days", 7),
    ("last 30 days", 30),
    ("all", None),
)  # today is one of the days
_SQL = statements("queries")


@dataclass(frozen=True)
class Question:
    """Which calls are meant, and whose calendar days: `zone` None is the machine's own. None elsewhere means all.

    `session` is a row of the store.
    """

    since_us: int | None = None
    until_us: int | None = None
    session: int | None = None
    zone: tzinfo | None = None


def costs(db: apsw.Connection, question: Question, now_us: int, by: str | None = None) -> Json:
    """Sums of the calls in question, split by one of `BYS`; without one, periods up to today and the days lately."""
    sums = _sums(db, by or "day", question)
    lately = by is None and question.since_us is None and question.until_us is None
    today = clock.date_in(now_us, question.zone)
    shown = _since(sums, today, LATELY_DAYS) if lately else sums
    return {
        "by": by or "day",
        "since": clock.iso(question.since_us),
        "until": clock.iso(question.until_us),
        "time_zone": clock.zone_name(now_us, question.zone),
        "prices_of": pricing.price_table().date,
        "prices_from": pricing.price_table().source,
        "total": _figures(_total(sums)),
        "periods": _periods(sums, today) if lately else [],
        "groups": _groups(db, by or "day", shown),
    }


def _sums(db: apsw.Connection, by: str, question: Question) -> Sums:
    """Figures by what they are split by; sessions are rows of the store."""
    since_us, until_us = question.since_us, question.until_us
    values = {
        "by": by,
        "zone": "+0 days" if question.zone is UTC else "localtime",
        "session_id": question.session,
        "since_us": since_us,
        "until_us": until_us,
        "from_day": queries.ANY_DAY["from_day"] if since_us is None else since_us // clock.DAY_US,
        "to_day": queries.ANY_DAY["to_day"] if until_us is None else until_us // clock.DAY_US,
    }
    key = _keys(db, by)
    sums: Sums = defaultdict(Counter)
    for name in ("cost", "cost_silent"):
        for row in rows(db, _SQL[name], **values):
            sums[key(row.pop("key"))].update(row)
    return sums


def _keys(db: apsw.Connection, by: str) -> Callable[[Any], Any]:
    """From the key of a statement's row to that of a group."""
    if by != "project":
        return lambda key: None if key == "" else key
    moves = Moves.of(db)
    places = {row["id"]: moves.now(row["cwd"], row["cwd_us"]) for row in rows(db, _SQL["cost_sessions"])}
    return places.get


def _total(sums: Sums) -> Counter[str]:
    total: Counter[str] = Counter()
    for figures in sums.values():
        total.update(figures)
    return total


def _since(sums: Sums, today: date, days: int) -> Sums:
    """Those of the last days; today is one of them."""
    first, last = (today - timedelta(days=days - 1)).isoformat(), today.isoformat()
    return {day: figures for day, figures in sums.items() if day is not None and first <= day <= last}


def _periods(sums: Sums, today: date) -> list[Json]:
    return [
        {
            "name": name,
            "since": None if days is None else (today - timedelta(days=days - 1)).isoformat(),
            **_figures(_total(sums if days is None else _since(sums, today, days))),
        }
        for name, days in PERIODS
    ]


def _groups(db: apsw.Connection, by: str, sums: Sums) -> list[Json]:
    """Days in order, what has no time first; anything else dearest first."""
    known = {row["id"]: row for row in rows(db, _SQL["cost_sessions"])} if by == "session" else {}
    found = [
        {
            "key": known[key]["native"] if by == "session" else key,
            "title": known[key]["title"] if by == "session" else None,
            **_figures(figures),
        }
        for key, figures in sums.items()
    ]
    found.sort(key=lambda group: group["key"] or "")
    if by != "day":
        found.sort(key=lambda group: (-(group["cost_pico_usd"] or 0), -group["llm_calls"]))
    return found


def _figures(sums: Counter[str]) -> Json:
    """One line of the answer. Where agents were at work of which no call is recorded, nothing is known rather than zero."""
    return {
        "llm_calls": sums["llm_calls"],
        "incomplete_calls": sums["incomplete"],
        "silent_agents": sums["silent_agents"],
        **queries.use_answer(sums, told=not sums["silent_agents"]),
    }
