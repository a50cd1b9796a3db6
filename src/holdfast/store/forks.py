"""Forks: to which session a copied line belongs.

A fork copies its original's lines, native ids included, under its own session id. Each session keeps its own view; rows that
belong to another session are marked `inherited` and count only there.

In the fork, copied lines stand behind its first own record (of a type that is never copied) but are older than it. Where no
such record tells, the session that ended first is the original. Both rules look at rows, not at their order of arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast.events import INLINE_AGENT
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import apsw

FORK_SLACK_US = 5_000_000  # a copied line is at least this much older than the fork's own first record
_TABLES = ("spans", "llm", "events")
_SQL = statements("fold")
_encode = msgspec.json.Encoder().encode


def _rows(db: apsw.Connection, name: str, **values: Any) -> list[Any]:  # noqa: ANN401 - SQL values
    return list(db.execute(_SQL[name], values))


class Change(NamedTuple):
    """What a batch changed of one session."""

    ids: Callable[[], list[str]]  # of the rows that came or changed; asked only where it matters
    reowned: bool  # its own life was found to begin elsewhere
    ended_before_us: int | None  # the last entry before the batch


def settle(db: apsw.Connection, changes: Mapping[int, Change]) -> None:
    """Decide to whom each shared row belongs, where the batch changed something about it.

    A line that is appended to a session costs the same however long the session is, and however many forks it has: only
    the batch's own rows are looked at, unless the session's beginning, or which member of a family ended first, is new.
    """
    due = {low for low, _ in _rows(db, "kin_open")}
    for session_id, change in sorted(changes.items()):
        values = {"session_id": session_id, "slack_us": FORK_SLACK_US}
        if change.reowned:
            for table in _TABLES:
                db.execute(_SQL[f"disown_{table}"], values)
        if _rows(db, "own_before", **values):
            _inherit(db, values, None if change.reowned else change.ids())
        if session_id not in due and _concerns_kin(db, session_id, change):
            due.add(session_id)
    done: set[int] = set()
    for session_id in sorted(due):
        if session_id not in done:
            done |= _settle_family(db, _family(db, session_id))
    if due:
        db.execute(_SQL["kin_settled"])


def _inherit(db: apsw.Connection, values: dict[str, Any], ids: list[str] | None) -> None:
    """Mark rows that the session's own beginning shows to be copies: these, or all of them (None)."""
    for table in _TABLES:
        if ids is None:
            db.execute(_SQL[f"inherit_{table}"], values)
        else:
            db.execute(_SQL[f"inherit_some_{table}"], values | {"ids": _encode(ids).decode()})


def _concerns_kin(db: apsw.Connection, session_id: int, change: Change) -> bool:
    """Whether what changed of a session may change what its family shares."""
    if not _rows(db, "kin_of", session_id=session_id):
        return False
    if change.reowned:
        return True
    if _rows(db, "shared_in_batch", session_id=session_id, ids=_encode(change.ids()).decode()):
        return True
    ages = _ages(db, _family(db, session_id))
    now = ages.pop(session_id).ended
    before = (change.ended_before_us or 0, now[1])
    return any(before <= age.ended <= now for age in ages.values())


def _family(db: apsw.Connection, session_id: int) -> set[int]:
    """All sessions that share lines with this one, directly or through others."""
    family, todo = {session_id}, [session_id]
    while todo:
        for pair in _rows(db, "kin_of", session_id=todo.pop()):
            for other in pair:
                if other not in family:
                    family.add(other)
                    todo.append(other)
    return family


def _settle_family(db: apsw.Connection, family: set[int]) -> set[int]:
    members = _encode(sorted(family)).decode()
    ages = _ages(db, family)
    origin: dict[int, tuple[int, str, int]] = {}
    for table in ("span", "llm", "event"):
        for holders in _shared_rows(db, table, members):
            owner = _owner(holders, ages)
            for holder in holders:
                wanted = int(holder.session_id != owner)
                if wanted and owner is not None:
                    mark = (holder.time_us or 0, holder.id, owner)
                    origin[holder.session_id] = max(origin.get(holder.session_id, mark), mark)
                if wanted != holder.inherited:
                    values = {"inherited": wanted, "id": holder.id, "session_id": holder.session_id}
                    db.execute(_SQL[f"mark_{table}"], values)
    for session_id in family:
        found = origin.get(session_id)
        db.execute(_SQL["session_forked"], {"session_id": session_id, "origin": found[2] if found else None})
    return family


def _ages(db: apsw.Connection, family: set[int]) -> dict[int, _Age]:
    found = _rows(db, "session_ages", sessions=_encode(sorted(family)).decode())
    return {row[0]: _Age(row[1], row[2], (row[3] or 0, row[4])) for row in found}


class _Age(NamedTuple):
    """What tells whether a session is a fork: its first own record, and when it ended."""

    own_position: int | None
    own_from_us: int | None
    ended: tuple[int, str]


class _Holder(NamedTuple):
    """A row that more than one session holds."""

    id: str
    session_id: int
    agent: str
    position: int
    time_us: int | None
    inherited: int


def _shared_rows(db: apsw.Connection, table: str, members: str) -> Iterable[list[_Holder]]:
    name = "shared_llm" if table == "llm" else f"shared_{table}s"
    shared: dict[str, list[_Holder]] = {}
    for row in _rows(db, name, sessions=members):
        shared.setdefault(row[0], []).append(_Holder(*row))
    return shared.values()


def _owner(holders: list[_Holder], ages: dict[int, _Age]) -> int | None:
    """The session a shared row belongs to; None when every holder copied it from one we have not seen."""
    candidates = [
        (ages[h.session_id].ended, h.session_id) for h in holders if not _copied(h, ages[h.session_id])
    ]
    return min(candidates)[1] if candidates else None


def _copied(holder: _Holder, age: _Age) -> bool:
    own_file = holder.agent and not holder.agent.startswith(INLINE_AGENT)
    if own_file or holder.time_us is None or age.own_position is None or age.own_from_us is None:
        return False
    return holder.position > age.own_position and holder.time_us < age.own_from_us - FORK_SLACK_US
