"""Which directory a project lies in today: as it was recorded, led through the moves that a person told of.

A move holds for what began before it, so a new project at an old place keeps its place, and history that is
imported late goes to where its project is now. Moves are applied in journal order: they chain, and one back undoes.
Whole path components count: a move of /a/b is none of /a/bc. Only the workspace of a session follows; paths inside
records stay what they were.
"""

from __future__ import annotations

import difflib
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from holdfast import clock
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_UNKNOWN_US = 2**63 - 1  # what `session.cwd_us` holds when no record with a directory has a time


class Moves:
    """Every move there is, in journal order, as (UTC microseconds, old, new)."""

    def __init__(self, told: Iterable[tuple[int, str, str]]) -> None:
        self._told = [
            (time_us, str(PurePosixPath(old)), str(PurePosixPath(new)))
            for time_us, old, new in told
            if old.startswith("/") and new.startswith("/") and PurePosixPath(old) != PurePosixPath("/")
        ]

    @classmethod
    def of(cls, db: apsw.Connection) -> Moves:
        return cls(db.execute(statements("queries")["workspace_moves"]))

    def now(self, place: str | None, began_us: int) -> str | None:
        """Where a directory lies today that was `place` at `began_us`."""
        if place is None:
            return None
        for time_us, old, new in self._told:
            if (began_us < time_us or began_us == _UNKNOWN_US) and is_below(place, old):
                place = new + place[len(old) :]
        return place

    def once(self, place: str) -> list[str]:
        """Every name that a directory may have had which lies at `place` today, that one first."""
        names = {place: None}
        for _, old, new in reversed(self._told):
            names |= {old + one[len(new) :]: None for one in names if is_below(one, new)}
        return list(names)


def recent(db: apsw.Connection, since_us: int, most: int) -> list[str]:
    """The directories in which sessions worked since then (UTC microseconds), where they lie today; the last one first."""
    moves = Moves.of(db)
    rows: Any = db.execute(
        statements("queries")["recent_directories"], {"since_us": since_us, "most": most}
    ).fetchall()
    found = (moves.now(cwd, cwd_us) for cwd, cwd_us, _ in rows)
    return list(dict.fromkeys(place for place in found if place is not None))


def is_below(place: str, directory: str) -> bool:
    """Whether a path is a directory, or lies in it."""
    return place == directory or place.startswith(directory.rstrip("/") + "/")


def listed(sessions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The workspaces of session rows that were led through the moves; the one used last comes first."""
    by_path: dict[str, dict[str, Any]] = {}
    for row in sessions:
        if row["cwd"] is None:
            continue
        one = by_path.setdefault(row["cwd"], {"sessions": 0, "last_us": None, "recorded_as": set()})
        one["sessions"] += 1
        one["recorded_as"].add(row["recorded_cwd"])
        if row["last_us"] is not None:
            one["last_us"] = max(one["last_us"] or 0, row["last_us"])
    ordered = sorted(by_path.items(), key=lambda item: (-(item[1]["last_us"] or 0), item[0]))
    return [
        {
            "path": path,
            "exists": os.path.isdir(path),  # noqa: PTH112 - foreign text, a NUL in it must not raise
            "sessions": one["sessions"],
            "last_activity_at": clock.iso(one["last_us"]),
            "recorded_as": sorted(one["recorded_as"] - {path}),
        }
        for path, one in ordered
    ]


def near(wanted: str, known: list[str]) -> list[str]:
    """Known workspaces that may have been meant: same last name first, then similar spellings."""
    name = PurePosixPath(wanted).name
    same = [path for path in known if PurePosixPath(path).name == name]
    return list(dict.fromkeys([*same, *difflib.get_close_matches(wanted, known, 5, 0.5)]))[:5]
