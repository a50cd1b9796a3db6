"""One session as a tree: agent → turn → model and tool calls → subagent → …

A node hangs under the parent its source names; else under the turn of its agent that was open then; else under its agent.
Subagents hang under the tool call that started them; those in the session's own file whose call is not known, under the main agent.
What points nowhere, or at its own descendant, becomes a root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock, spans
from holdfast.events import INLINE_AGENT
from holdfast.store import queries, state
from holdfast.store.database import rows
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

Json = dict[str, Any]
_SQL = statements("queries")
_KIND_ORDER = {"turn": 0, "llm": 1}


def tree(db: apsw.Connection, session: int, now_us: int, stale_us: int) -> Json:
    """The session, its tree from the roots, and the typed links between spans."""
    row = queries.session_rows(db, session)[0]
    summary = queries.session_answer(row, now_us, stale_us)
    nodes: dict[str, Json] = {}
    parents: dict[str, str | None] = {}
    for name, parent, node in (*_agents(db, session, summary), *_work(db, session, summary)):
        if name not in nodes:
            nodes[name], parents[name] = node, parent
    known = {name: parent if parent in nodes else None for name, parent in parents.items()}
    built = spans.tree(known.items())
    for name, children in built.children.items():
        nodes[name]["children"] = [nodes[child] for child in children]
    links = rows(db, _SQL["links"], session_id=session)
    return {
        "session": summary,
        "roots": [nodes[name] for name in built.roots],
        "links": [{"from": k["source_span"], "to": k["target_span"], "kind": k["kind"]} for k in links],
    }


def _agents(db: apsw.Connection, session: int, summary: Json) -> Iterator[tuple[str, str | None, Json]]:
    """(node name, parent's name, node) of each agent. Names of agents cannot be mistaken for ids of spans."""
    found = queries.agents(db, session, summary["state"])
    for agent in found:
        parent = agent["parent_tool_call"]
        if agent["parent_agent"] is not None and not _exists(db, session, parent):
            parent = _agent_name(agent["parent_agent"])
        elif agent["parent_grade"] == "unknown" and agent["id"].startswith(INLINE_AGENT):
            parent = _agent_name(
                ""
            )  # it stands in the session's own file, so something of the session started it
        yield _agent_name(agent["id"]), parent if agent["id"] else None, _agent_node(agent)
    for row in rows(db, _SQL["copied_agents"], session_id=session):
        yield _agent_name(row["agent"]), row["parent_tool"] or _agent_name(""), _copied_agent_node(row)


def _agent_name(agent: str) -> str:
    return f"agent {agent}"


def _exists(db: apsw.Connection, session: int, span: str | None) -> bool:
    return span is not None and bool(rows(db, _SQL["span_exists"], id=span, session_id=session))


def _work(db: apsw.Connection, session: int, summary: Json) -> Iterator[tuple[str, str | None, Json]]:
    """(id, parent's name, node) of each span and model call, in the order of each agent's stream."""
    found = rows(db, _SQL["spans"], session_id=session)
    turns = _turn_standings(db, session, found, summary)
    items = [
        (row["agent"], row["position"], row["parent"], _span_node(row, turns, summary["state"]))
        for row in found
    ]
    items += [
        (row["agent"], row["position"], None, _llm_node(row))
        for row in rows(db, _SQL["llm_calls"], session_id=session)
    ]
    items.sort(key=lambda item: (item[0], item[1], _KIND_ORDER.get(item[3]["kind"], 2), item[3]["id"]))
    named = {row["id"] for row in found}
    turn: dict[str, str] = {}
    for agent, _, parent, node in items:
        if node["kind"] == "turn":
            turn[agent] = node["id"]
            default = _agent_name(agent)
        else:
            default = turn.get(agent, _agent_name(agent))
        yield node["id"], parent if parent in named and parent != node["id"] else default, node


def _turn_standings(
    db: apsw.Connection, session: int, found: list[Json], summary: Json
) -> dict[str, state.Standing]:
    """How each turn ended: by the mark that stands before the next turn, else by what the session's state says."""
    turns = [row for row in found if row["kind"] == "turn"]
    marks = [
        (event["agent"], event["position"], msgspec.json.decode(event["data"]))
        for event in rows(db, _SQL["marks"], session_id=session)
    ]
    out = {}
    for number, row in enumerate(turns):
        later = turns[number + 1 : number + 2]
        last = not later or later[0]["agent"] != row["agent"]
        end = 2**63 if last else later[0]["position"]
        within = [mark for agent, at, mark in marks if agent == row["agent"] and row["position"] < at < end]
        out[row["id"]] = state.of_turn(within[-1] if within else None, summary if last else None)
    return out


# ── nodes ──


def _agent_node(agent: Json) -> Json:
    return {
        "kind": "agent",
        "id": agent["id"],
        "name": agent["type"],
        "text": agent["description"],
        "status": agent["status"],
        "grade": agent["status_grade"],
        "started_at": agent["started_at"],
        "duration_ms": None,
        "inherited": False,
        "tokens": agent["tokens"],
        "cost_usd": agent["cost_usd"],
        "children": [],
    }


def _copied_agent_node(row: Json) -> Json:
    """A subagent that is another session's: what it used is told there."""
    known = row["tool_status"] is not None
    return {
        "kind": "agent",
        "id": row["agent"],
        "name": row["type"],
        "text": row["description"],
        "status": row["tool_status"] if known else "unknown",
        "grade": "inferred" if known else "unknown",
        "started_at": clock.iso(row["first_us"]),
        "duration_ms": None,
        "inherited": True,
        "tokens": None,
        "cost_usd": None,
        "children": [],
    }


def _span_node(row: Json, turns: dict[str, state.Standing], session_state: str) -> Json:
    standing = turns.get(row["id"]) or state.of_span(row, session_state)
    return {
        "kind": row["kind"],
        "id": row["id"],
        "name": row["name"],
        "text": row["input"],
        "status": standing.state,
        "grade": standing.grade,
        "started_at": clock.iso(row["start_us"]),
        "duration_ms": _duration_ms(row),
        "inherited": bool(row["inherited"]),
        "tokens": None,
        "cost_usd": None,
        "children": [],
    }


def _llm_node(row: Json) -> Json:
    return {
        "kind": "llm",
        "id": row["id"],
        "name": row["model"],
        "text": row["stop_reason"],
        "status": "completed" if row["final"] else "unknown",
        "grade": "observed" if row["final"] else "unknown",
        "started_at": clock.iso(row["start_us"]),
        "duration_ms": None,
        "inherited": bool(row["inherited"]),
        "tokens": {
            "input": row["input_tokens"],
            "output": row["output_tokens"],
            "cache_read": row["cache_read_tokens"],
            "cache_write_5m": row["cache_write_5m_tokens"],
            "cache_write_1h": row["cache_write_1h_tokens"],
            "output_unreliable_calls": int(not row["final"]),
            "unknown_calls": int(row["input_tokens"] is None or row["output_tokens"] is None),
        },
        "cost_usd": None if row["cost_pico"] is None else row["cost_pico"] / queries.PICO_PER_USD,
        "children": [],
    }


def _duration_ms(row: Json) -> int | None:
    if row["duration_ms"] is not None:
        return int(row["duration_ms"])
    if row["start_us"] is None or row["end_us"] is None:
        return None
    return max(0, int((row["end_us"] - row["start_us"]) // 1000))
