"""Which model answered, where only the turn says so.

An answer whose id begins with that of a turn and a slash, and that names no model, takes the model of the turn's `turn.noted`
event, and is priced then. Either may come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import pricing
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

CONTEXT = "/context"  # behind a turn's id: the id of the event that names its model
_SQL = statements("fold")
_encode = msgspec.json.Encoder().encode


def turns_of(rows: dict[str, list[dict[str, Any]]]) -> set[tuple[int, str]]:
    """The (session, turn) of which a batch tells the model, or an answer without one."""
    noted = {
        (row["session_id"], row["span"]) for row in rows.get("event_told", ()) if row["kind"] == "turn.noted"
    }
    calls = (row for row in rows.get("llm_called", ()) if row["model"] is None and "/" in row["id"])
    return noted | {(row["session_id"], row["id"].partition("/")[0]) for row in calls}


def settle(db: apsw.Connection, turns: Iterable[tuple[int, str]]) -> None:
    """Give the answers of these turns their model and their cost."""
    for session_id, turn in sorted(turns):
        values = {"session_id": session_id, "turn": turn, "context": f"{turn}{CONTEXT}"}
        found: list[Any] = db.execute(_SQL["calls_without_model"], values).fetchall()
        for call, model, *figures in found:
            row = {"session_id": session_id, "id": call, "model": model, "cost_pico": _cost(model, figures)}
            db.execute(_SQL["llm_model"], row)


def _cost(model: str, figures: list[int | None]) -> int | None:
    sent, received, *cache = figures
    if sent is None or received is None:
        return None
    read, written_5m, written_1h = (figure or 0 for figure in cache)
    return pricing.price(model, sent, received, read, written_5m, written_1h)
