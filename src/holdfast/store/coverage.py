"""What each source told of a session, where they differ, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdfast import clock
from holdfast.store.database import rows
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from holdfast.events import Event

Json = dict[str, Any]
_SQL = statements("queries")
MOST: Final = 100  # of what is listed one by one; the rest is counted


class Account:
    """What a batch of records of one source tells of one session."""

    __slots__ = ("events", "first_us", "last_us", "recorded", "records", "repeated", "size_bytes")

    def __init__(self) -> None:
        self.records = self.repeated = self.events = self.size_bytes = 0
        self.first_us: int | None = None
        self.last_us: int | None = None
        self.recorded: tuple[int, int] | None = None

    def add(self, events: list[Event], size_bytes: int, recorded_us: int, *, fresh: bool) -> None:
        """Count one record; one that is not `fresh` was recorded before, and says nothing new."""
        earliest, latest = self.recorded or (recorded_us, recorded_us)
        self.recorded = min(earliest, recorded_us), max(latest, recorded_us)
        if not fresh:
            self.repeated += 1
            return
        self.records += 1
        self.events += len(events)
        self.size_bytes += size_bytes
        for event in events:
            if event.time_us is not None:
                self.first_us = event.time_us if self.first_us is None else min(self.first_us, event.time_us)
                self.last_us = event.time_us if self.last_us is None else max(self.last_us, event.time_us)

    def values(self) -> dict[str, int | None]:
        """The columns of `session_source`."""
        earliest, latest = self.recorded or (0, 0)
        return {
            "records": self.records,
            "repeated": self.repeated,
            "events": self.events,
            "size_bytes": self.size_bytes,
            "first_us": self.first_us,
            "last_us": self.last_us,
            "recorded_from": earliest,
            "recorded_to": latest,
        }


def coverage(db: apsw.Connection, session: int, size_of: Callable[[str], int | None]) -> Json:
    """What each source told of a session.

    Args:
        db: the store.
        session: the row of the session.
        size_of: how long a file is now; None: it is not there.
    """
    hooks_only = rows(db, _SQL["calls_of_hooks_only"], session_id=session, most=MOST)
    return {
        "sources": [
            _source(row, size_of) for row in rows(db, _SQL["sources_of_session"], session_id=session)
        ],
        "turns": rows(db, _SQL["turns_seen"], session_id=session)[0],
        "calls": _counted(db, "calls_seen", session),
        "calls_of_hooks_only": [
            {"id": one["id"], "agent": one["agent"], "tool": one["name"], "status": one["status"]}
            for one in hooks_only
        ],
        "agents": _counted(db, "agents_seen", session),
        "copied": rows(db, _SQL["copied"], session_id=session)[0],
        "problems": rows(db, _SQL["problems_of_session"], session_id=session, most=MOST),
        "processes": [_process(row) for row in rows(db, _SQL["processes_of_session"], session_id=session)],
    }


def _counted(db: apsw.Connection, name: str, session: int) -> Json:
    [row] = rows(db, _SQL[name], session_id=session)
    return {seen: number or 0 for seen, number in row.items()}


def _source(row: Json, size_of: Callable[[str], int | None]) -> Json:
    """A source's account. Bytes of a file are unread where it grew, or none of it is known to be there."""
    size = None if row["path"] is None else size_of(row["path"])
    return {
        "source": row["source"],
        "path": row["path"],
        "generation": row["generation"],
        "records": row["records"],
        "repeated": row["repeated"],
        "events": row["events"],
        "size_bytes": row["size_bytes"],
        "unread_bytes": None if size is None else max(0, size - row["consumed_bytes"]),
        "first_at": clock.iso(row["first_us"]),
        "last_at": clock.iso(row["last_us"]),
        "recorded_from": clock.iso(row["recorded_from"]),
        "recorded_to": clock.iso(row["recorded_to"]),
    }


def _process(row: Json) -> Json:
    return {
        "pid": row["pid"],
        "host": row["host"] or None,
        "boot": row["boot"] or None,
        "began_at": clock.iso(row["began_us"]),
        "status": row["status"],
        "waiting_for": row["waiting_for"],
        "status_since": clock.iso(None if row["since_us"] < 0 else row["since_us"]),
        "recorded_at": clock.iso(row["seen_us"]),
    }
