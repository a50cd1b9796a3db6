"""What happened in one session, in order: file order within an agent, time between agents."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.clock import iso
from holdfast.store import collector
from holdfast.store.database import rows
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

Json = dict[str, Any]
_SQL = statements("queries")
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
_decode = msgspec.json.Decoder().decode
_PLACE = itemgetter(0, 1, 2)
_MOMENT = itemgetter(0, 1, 2)
_BEFORE_ALL, _AFTER_ALL = -1, 2**62  # positions of an agent's beginning and end in its own stream


# an entry and where it stands in its agent's stream: position, order at one position, id, time, entry
_Placed = tuple[int, int, str, int | None, Json]


@collector.paused()
def timeline(db: apsw.Connection, session: int) -> list[Json]:
    """What happened, in order: file order within an agent, time between agents."""
    streams: dict[str, list[_Placed]] = {}
    for tell in (_events, _agents, _llm_calls, _spans):
        for placed in tell(db, session):
            streams.setdefault(placed[4]["agent"], []).append(placed)
    merged: list[tuple[int, str, int, Json]] = []
    for agent in sorted(streams):
        merged += _in_file_order(agent, streams[agent])
    merged.sort(key=_MOMENT)
    return [entry for *_, entry in merged]


def _in_file_order(agent: str, found: list[_Placed]) -> Iterator[tuple[int, str, int, Json]]:
    """One agent's entries by position; a time that runs backwards counts as the latest seen so far."""
    latest = 0
    for position, _, _, time_us, entry in sorted(found, key=_PLACE):
        if time_us is not None and time_us > latest:
            latest = time_us
        yield latest, agent, position, entry


def _events(db: apsw.Connection, session: int) -> Iterator[_Placed]:
    found: Iterable[Any] = db.execute(_SQL["events"], {"session_id": session})
    for name, kind, agent, position, time_us, told, inherited in found:
        data = _decode(told)
        text = next((data[field] for field in _TEXT_FIELDS if isinstance(data.get(field), str)), None)
        status = data.get("status")
        data.pop("text", None)
        entry = _entry(agent, kind, name, time_us, status, text, inherited, data)
        yield position, 1, name, time_us, entry


def _agents(db: apsw.Connection, session: int) -> Iterator[_Placed]:
    """A subagent's beginning stands before its first record, its end, where one is recorded, behind its last."""
    for row in rows(db, _SQL["agents"], session_id=session):
        if not row["agent"]:
            continue
        told = {"agent_type": row["agent_type"] or row["asked_type"], "parent_tool_call": row["parent_tool"]}
        agent, began_us = row["agent"], row["first_us"]
        entry = _entry(agent, "agent.started", agent, began_us, None, row["description"], 0, told)
        yield _BEFORE_ALL, 0, agent, began_us, entry
        if row["status"] is not None:
            at = row["status_us"] if row["status_us"] >= 0 else None
            entry = _entry(agent, "agent.ended", agent, at, row["status"], row["reason"], 0, {})
            yield _AFTER_ALL, 4, agent, at, entry


def _llm_calls(db: apsw.Connection, session: int) -> Iterator[_Placed]:
    found: Iterable[Any] = db.execute(_SQL["llm_calls"], {"session_id": session})
    for name, agent, position, start_us, model, stop_reason, tokens_in, tokens_out, inherited in found:
        data = {
            "model": model,
            "stop_reason": stop_reason,
            "input_tokens": tokens_in,
            "output_tokens": tokens_out,
        }
        entry = _entry(agent, "llm.called", name, start_us, None, model, inherited, data)
        yield position, 0, name, start_us, entry


def _spans(db: apsw.Connection, session: int) -> Iterator[_Placed]:
    """Beginnings and ends of tools and turns; other spans are told by the events that started and ended them."""
    found: Iterable[Any] = db.execute(_SQL["spans"], {"session_id": session})
    for (
        name,
        kind,
        agent,
        label,
        position,
        end_position,
        start_us,
        end_us,
        status,
        given,
        output,
        path,
        error_type,
        exit_code,
        inherited,
    ) in found:
        if kind != "tool" or given is not None or start_us is not None:
            began = {"tool": label, "path": path} if kind == "tool" else {}
            text = given if given is not None else label
            entry = _entry(agent, f"{kind}.started", name, start_us, None, text, inherited, began)
            yield position, 2, name, start_us, entry
        if status is not None and end_position is not None:
            ended = {"tool": label, "error_type": error_type, "exit_code": exit_code}
            entry = _entry(agent, f"{kind}.ended", name, end_us, status, output, inherited, ended)
            yield end_position, 3, name, end_us, entry


def _entry(
    agent: str,
    kind: str,
    name: str,
    time_us: int | None,
    status: str | None,
    text: str | None,
    inherited: int,
    data: Json,
) -> Json:
    return {
        "at": iso(time_us),
        "agent": agent,
        "kind": kind,
        "id": name,
        "status": status,
        "text": text,
        "inherited": inherited != 0,
        "data": {key: value for key, value in data.items() if value is not None},
    }
