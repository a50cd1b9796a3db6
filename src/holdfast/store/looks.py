"""Looks at definitions: the rows that an event is, and those about a moment."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast import clock
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

    from holdfast import events as ev

_AROUND = 4  # looks on either side of a moment; those of several who watch overlap


class Look(NamedTuple):
    """A look from a working directory; `from_us` to `to_us` somebody watched. `reach` names what it reached (`reached`)."""

    cwd: str
    from_us: int
    to_us: int
    reach: str


def rows(
    data: ev.DefinitionsLooked, time_us: int, host: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What an event of a home (None: this one) tells, as rows: (statement of `fold.sql`, its values). Places that are not in its list are passed over."""
    for there in data.directories:
        reached = [data.roots[place] for place in there.roots if place < len(data.roots)]
        text = msgspec.json.encode(reached).decode()
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        since_us = clock.parse_us(there.since)
        from_us = time_us if since_us is None or since_us > time_us else since_us
        yield "definitions_reached", {"id": digest, "roots": text}
        values = {"host": host or "", "cwd": there.cwd, "from_us": from_us, "to_us": time_us, "reach": digest}
        yield "definitions_looked", values


def about(db: apsw.Connection, host: str | None, cwd: str, moments: Iterable[int]) -> list[Look]:
    """Looks of a home (None: this one) from a working directory that say what lay there at these moments: the nearest on either side."""
    found: dict[tuple[int, int, str], tuple[int, int, str]] = {}
    sql = statements("uses")["definitions_looks"]
    for at_us in dict.fromkeys(moments):
        for row in db.execute(sql, {"host": host or "", "cwd": cwd, "at_us": at_us, "most": _AROUND}):
            found[row[0], row[1], row[2]] = row
    return [Look(cwd, *row) for row in sorted(found.values())]


def reached(db: apsw.Connection, reach: str) -> tuple[dict[str, Any], ...]:
    """The directories of definitions that a look reached, as the event has them, the strongest of a tool first."""
    [text] = next(iter(db.execute(statements("uses")["definitions_reach"], {"reach": reach})))
    return tuple(msgspec.json.decode(text))
