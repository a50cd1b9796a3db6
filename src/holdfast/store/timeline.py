"""What happened in one session, in order: file order within an agent, time between agents."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock
from holdfast.store.database import rows
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

Json = dict[str, Any]
_SQL = statements("queries")
_TOLD_BY_SPANS = frozenset({"tool", "turn"})  # other spans are told by the events that started and ended them
_TEXT_FIELDS = (
    "text",
    "message",
    "question",
    "task_name",
    "path",
    "summary",
    "name",
    "task_id",
    "reason",
    "trigger",
    "why",
)
_BEFORE_ALL, _AFTER_ALL = -1, 2**62  # positions of an agent's beginning and end in its own stream


def timeline(db: apsw.Connection, session: int) -> list[Json]:
    """What happened, in order: file order within an agent, time between agents."""
    streams: dict[str, list[tuple[int, int | None, int, Json]]] = {}
    for rank, position, time_us, entry in _entries(db, session):
        streams.setdefault(entry["agent"], []).append((position, time_us, rank, entry))
    merged = heapq.merge(*(_in_file_order(name, found) for name, found in sorted(streams.items())))
    return [entry for _, _, _, _, _, entry in merged]


def _in_file_order(
    agent: str, found: list[tuple[int, int | None, int, Json]]
) -> Iterator[tuple[int, str, int, int, str, Json]]:
    """One agent's entries by position; a time that runs backwards counts as the latest seen so far."""
    latest = 0
    for position, time_us, rank, entry in sorted(found, key=lambda item: (item[0], item[2], item[3]["id"])):
        latest = max(latest, time_us or 0)
        yield latest, agent, position, rank, entry["id"], entry


def _entries(db: apsw.Connection, session: int) -> Iterable[tuple[int, int, int | None, Json]]:
    for row in rows(db, _SQL["events"], session_id=session):
        data = msgspec.json.decode(row["data"])
        yield (
            1,
            row["position"],
            row["time_us"],
            _entry(row, row["kind"], row["time_us"], None, _told(data), data),
        )
    for row in rows(db, _SQL["agents"], session_id=session):
        if row["agent"]:
            yield from _agent_entries(row)
    for row in rows(db, _SQL["llm_calls"], session_id=session):
        data = {name: row[name] for name in ("model", "stop_reason", "input_tokens", "output_tokens")}
        yield (
            0,
            row["position"],
            row["start_us"],
            _entry(row, "llm.called", row["start_us"], None, row["model"], data),
        )
    for row in rows(db, _SQL["spans"], session_id=session):
        if row["kind"] not in _TOLD_BY_SPANS:
            continue
        began = {"tool": row["name"], "path": row["path"]} if row["kind"] == "tool" else {}
        if row["kind"] != "tool" or row["input"] is not None or row["start_us"] is not None:
            text = row["input"] if row["input"] is not None else row["name"]
            entry = _entry(row, f"{row['kind']}.started", row["start_us"], None, text, began)
            yield 2, row["position"], row["start_us"], entry
        if row["status"] is not None and row["end_position"] is not None:
            ended = {"tool": row["name"], "error_type": row["error_type"], "exit_code": row["exit_code"]}
            entry = _entry(row, f"{row['kind']}.ended", row["end_us"], row["status"], row["output"], ended)
            yield 3, row["end_position"], row["end_us"], entry


def _agent_entries(row: Json) -> Iterator[tuple[int, int, int | None, Json]]:
    """A subagent's beginning stands before its first record, its end, where one is recorded, behind its last."""
    told = {"agent_type": row["agent_type"] or row["asked_type"], "parent_tool_call": row["parent_tool"]}
    shown = {"agent": row["agent"], "id": row["agent"], "inherited": False}
    yield (
        0,
        -1,
        row["first_us"],
        _entry(shown, "agent.started", row["first_us"], None, row["description"], told),
    )
    if row["status"] is not None:
        at = row["status_us"] if row["status_us"] >= 0 else None
        yield 4, _AFTER_ALL, at, _entry(shown, "agent.ended", at, row["status"], row["reason"], {})


def _entry(
    row: Json, kind: str, time_us: int | None, status: str | None, text: str | None, data: Json
) -> Json:
    return {
        "at": clock.iso(time_us),
        "agent": row["agent"],
        "kind": kind,
        "id": row["id"],
        "status": status if status is not None else data.get("status"),
        "text": text,
        "inherited": bool(row["inherited"]),
        "data": {key: value for key, value in data.items() if value is not None and key != "text"},
    }


def _told(data: Json) -> str | None:
    for field in _TEXT_FIELDS:
        if isinstance(data.get(field), str):
            return str(data[field])
    return None
