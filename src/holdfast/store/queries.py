"""Answers from the store, as plain dictionaries and lists ready for JSON.

Shapes are documented in `docs/reference/json.md`; a test compares. Times are ISO 8601 in UTC, costs both as
`cost_usd` (a number) and `cost_pico_usd` (exact), unknown is null. Nothing here depends on the order in which
records arrived.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock
from holdfast.errors import AmbiguousId, NotFound
from holdfast.store import state
from holdfast.store.database import rows
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

Json = dict[str, Any]
_SQL = statements("queries")
_ANY_DAY = {"from_day": -2, "to_day": 2**53}
_PICO = 10**12


def session_id(db: apsw.Connection, prefix: str) -> int:
    """The store's row of the session whose native id starts with `prefix`.

    Raises:
        NotFound: no session starts with it.
        AmbiguousId: several do, and none is exactly it.
    """
    found = rows(db, _SQL["session_by_prefix"], prefix=prefix) if prefix else []
    exact = [row for row in found if prefix in (row["native"], row["key"])]
    if len(exact) == 1 or len(found) == 1:
        return int((exact or found)[0]["id"])
    if not found:
        raise NotFound(f"no session starts with {prefix!r}", hint="`holdfast sessions` lists them")
    raise AmbiguousId(prefix, [row["key"] if exact else row["native"] for row in found])


# ── parts that several answers share ──


def _cost(row: Json) -> Json:
    """Cost fields; null when nothing could be priced, `cost_complete` false when some calls could not."""
    known = row["unpriced"] < row["llm_calls"] or row["llm_calls"] == 0
    return {
        "cost_usd": row["cost_pico"] / _PICO if known else None,
        "cost_pico_usd": row["cost_pico"] if known else None,
        "cost_complete": row["unpriced"] == 0,
        "unpriced_calls": row["unpriced"],
    }


def _tokens(row: Json) -> Json:
    return {
        "input": row["input_tokens"],
        "output": row["output_tokens"],
        "cache_read": row["cache_read_tokens"],
        "cache_write_5m": row["cache_write_5m_tokens"],
        "cache_write_1h": row["cache_write_1h_tokens"],
        "output_unreliable_calls": row["unreliable"],
    }


def _session(row: Json, now_us: int, stale_us: int) -> Json:
    standing = state.of_session(row, now_us, stale_us)
    return {
        "id": row["native"],
        "source": row["source"],
        "title": row["title"],
        "state": standing.state,
        "state_grade": standing.grade,
        "state_why": standing.why,
        "workspace": row["cwd"],
        "git_branch": row["git_branch"],
        "tool_version": row["tool_version"] or None,
        "started_at": clock.iso(row["first_us"]),
        "last_activity_at": clock.iso(row["last_us"]),
        "turns": row["turns"],
        "agents": row["agents"],
        "tool_calls": row["tool_calls"],
        "errors": row["tool_failed"] + row["tool_denied"] + row["tool_interrupted"] + row["errors_raised"],
        "llm_calls": row["llm_calls"],
        "tokens": _tokens(row),
        **_cost(row),
        "reported_cost_usd": row["reported_cost_usd"],
        "forked_from": row["forked_from"],
    }


# ── sessions ──


def sessions(db: apsw.Connection, now_us: int, stale_us: int) -> list[Json]:
    """Every session, last activity first."""
    return [_session(row, now_us, stale_us) for row in rows(db, _SQL["sessions"], only=None)]


def overview(db: apsw.Connection, now_us: int, stale_us: int) -> Json:
    """The first screen: how many sessions are in which state, and what they took together."""
    found = sessions(db, now_us, stale_us)
    by_state = dict.fromkeys(state.STATES, 0)
    for session in found:
        by_state[session["state"]] += 1
    return {"by_state": by_state, "totals": totals(found), "sessions": found}


def totals(found: list[Json]) -> Json:
    """Sums over sessions as `sessions` gives them."""
    sums = {
        name: sum(s[name] for s in found) for name in ("turns", "agents", "tool_calls", "errors", "llm_calls")
    }
    token_names = list(found[0]["tokens"]) if found else list(_tokens(_NOTHING))
    unpriced = sum(s["unpriced_calls"] for s in found)
    known = unpriced < sums["llm_calls"] or not sums["llm_calls"]
    pico = sum(s["cost_pico_usd"] or 0 for s in found)
    return {
        "sessions": len(found),
        **sums,
        "tokens": {name: sum(s["tokens"][name] for s in found) for name in token_names},
        "cost_usd": pico / _PICO if known else None,
        "cost_pico_usd": pico if known else None,
        "cost_complete": unpriced == 0,
        "unpriced_calls": unpriced,
    }


_NOTHING: Json = dict.fromkeys(
    (
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "unreliable",
    ),
    0,
)


def show(db: apsw.Connection, session: int, now_us: int, stale_us: int) -> Json:
    """One session: summary, agents, files touched, errors, and what else was told."""
    row = rows(db, _SQL["sessions"], only=session)[0]
    summary = _session(row, now_us, stale_us)
    return {
        "session": summary,
        "agents": agents(db, session, summary["state"]),
        "files": [
            {
                "path": file["path"],
                "operation": file["operation"],
                "calls": file["calls"],
                "completed": file["completed"],
                "lines_added": file["lines_added"],
                "lines_removed": file["lines_removed"],
                "last_at": clock.iso(file["last_us"]),
            }
            for file in rows(db, _SQL["files"], session_id=session)
        ],
        "errors": errors(db, session),
        "events": {row["kind"]: row["n"] for row in rows(db, _SQL["told"], session_id=session)},
    }


def agents(db: apsw.Connection, session: int, session_state: str) -> list[Json]:
    """The agents of a session, the main one first."""
    out = []
    for row in rows(db, _SQL["agents"], session_id=session):
        standing = state.of_agent(row, session_state)
        out.append(
            {
                "id": row["agent"],
                "type": "main" if not row["agent"] else row["agent_type"] or row["asked_type"],
                "name": row["name"],
                "description": row["description"],
                "status": standing.state,
                "status_grade": standing.grade,
                "status_why": standing.why,
                "parent_agent": None if not row["agent"] else _parent_agent(row),
                "parent_tool_call": row["parent_tool"],
                "depth": row["depth"],
                "model": row["model"],
                "background": None if row["background"] is None else bool(row["background"]),
                "started_at": clock.iso(row["first_us"]),
                "last_activity_at": clock.iso(row["last_us"]),
                "tool_calls": row["tool_calls"],
                "errors": row["tool_failed"] + row["tool_denied"] + row["tool_interrupted"],
                "llm_calls": row["llm_calls"],
                "tokens": _tokens(row),
                **_cost(row),
            }
        )
    return out


def _parent_agent(row: Json) -> str | None:
    holder = row["holder"] if row["holder"] is not None else row["parent_agent"]
    return None if holder is None else str(holder)


def errors(db: apsw.Connection, session: int) -> list[Json]:
    """Tool calls that did not end well, and errors that were raised, in order per agent."""
    out = [
        (
            row["agent"],
            row["position"],
            {
                "at": clock.iso(row["time_us"]),
                "agent": row["agent"],
                "type": row["error_type"],
                "status": row["status"],
                "tool": row["name"],
                "tool_call": row["id"],
                "exit_code": row["exit_code"],
                "input": row["input"],
                "message": row["output"],
            },
        )
        for row in rows(db, _SQL["failed_tools"], session_id=session)
    ]
    for row in rows(db, _SQL["errors_raised"], session_id=session):
        data = msgspec.json.decode(row["data"])
        out.append(
            (
                row["agent"],
                row["position"],
                {
                    "at": clock.iso(row["time_us"]),
                    "agent": row["agent"],
                    "type": data.get("error_type"),
                    "status": "failed",
                    "tool": None,
                    "tool_call": None,
                    "exit_code": None,
                    "input": None,
                    "message": data.get("message"),
                },
            )
        )
    return [error for _, _, error in sorted(out, key=lambda item: item[:2])]


# ── the tree ──


def tree(db: apsw.Connection, session: int, now_us: int, stale_us: int) -> Json:
    """The session as a tree: agent → turn → model and tool calls → subagent → …"""
    summary = _session(rows(db, _SQL["sessions"], only=session)[0], now_us, stale_us)
    nodes: dict[str, Json] = {}
    parents = {f"agent:{a['id']}": a for a in agents(db, session, summary["state"])}
    for name, agent in parents.items():
        nodes[name] = _agent_node(agent)
    spans = rows(db, _SQL["spans"], session_id=session)
    calls = rows(db, _SQL["llm_calls"], session_id=session)
    turns = _turn_standings(db, session, spans, summary)
    items = [
        (
            row["agent"],
            row["position"],
            _span_node(row, turns.get(row["id"]) or state.of_span(row, summary["state"])),
            row["parent"],
        )
        for row in spans
    ]
    items += [(row["agent"], row["position"], _llm_node(row), None) for row in calls]
    items.sort(key=lambda item: (item[0], item[1], _KIND_ORDER.get(item[2]["kind"], 3), item[2]["id"]))
    for _, _, node, _ in items:
        nodes.setdefault(node["id"], node)
    turn: dict[str, Json] = {}
    for agent_id, _, node, parent in items:
        home = nodes.get(f"agent:{agent_id}")
        if node["kind"] == "turn":
            turn[agent_id] = node
        elif agent_id in turn:
            home = turn[agent_id]
        _attach(nodes, node, nodes.get(parent) if parent else None, home)
    roots = _hang_agents(nodes, parents)
    for node in nodes.values():
        if not node.pop("attached", False) and node["kind"] != "agent" and node not in roots:
            roots.append(node)
    links = rows(db, _SQL["links"], session_id=session)
    return {
        "session": summary,
        "roots": roots,
        "links": [{"from": k["source_span"], "to": k["target_span"], "kind": k["kind"]} for k in links],
    }


_KIND_ORDER = {"turn": 0, "llm": 1}


def _attach(nodes: dict[str, Json], node: Json, parent: Json | None, home: Json | None) -> None:
    """Hang a node under its named parent, else under its turn or agent; never under itself or its own child."""
    target = parent if parent is not None and parent is not node and not _below(node, parent) else home
    if target is not None and nodes.get(node["id"]) is node:
        target["children"].append(node)
        node["attached"] = True


def _below(node: Json, other: Json) -> bool:
    """Whether `other` hangs somewhere below `node`."""
    todo = list(node["children"])
    while todo:
        child = todo.pop()
        if child is other:
            return True
        todo.extend(child["children"])
    return False


def _hang_agents(nodes: dict[str, Json], agents_by_node: dict[str, Json]) -> list[Json]:
    """Subagents go under the tool call that started them, else under their parent agent, else to the top."""
    roots = []
    for name, agent in agents_by_node.items():
        node = nodes[name]
        place = nodes.get(agent["parent_tool_call"] or "")
        if place is None and agent["parent_agent"] is not None:
            place = nodes.get(f"agent:{agent['parent_agent']}")
        if place is None or place is node or _below(node, place):
            roots.append(node)
        else:
            place["children"].append(node)
        node["attached"] = True
    return roots


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


def _turn_standings(
    db: apsw.Connection, session: int, spans: list[Json], summary: Json
) -> dict[str, state.Standing]:
    """How each turn ended: by the mark that stands before the next turn, else by what the session's state says."""
    turns = [row for row in spans if row["kind"] == "turn"]
    marks = [
        (event["agent"], event["position"], msgspec.json.decode(event["data"]))
        for event in rows(db, _SQL["marks"], session_id=session)
    ]
    out = {}
    for number, row in enumerate(turns):
        later = turns[number + 1 : number + 2]
        last = not later or later[0]["agent"] != row["agent"]
        end = 2**63 if last else later[0]["position"]
        found = [mark for agent, at, mark in marks if agent == row["agent"] and row["position"] < at < end]
        out[row["id"]] = state.of_turn(found[-1] if found else None, summary if last else None)
    return out


def _span_node(row: Json, standing: state.Standing) -> Json:
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
        },
        "cost_usd": None if row["cost_pico"] is None else row["cost_pico"] / _PICO,
        "children": [],
    }


def _duration_ms(row: Json) -> int | None:
    if row["duration_ms"] is not None:
        return int(row["duration_ms"])
    if row["start_us"] is None or row["end_us"] is None:
        return None
    return max(0, int((row["end_us"] - row["start_us"]) // 1000))


# ── the timeline ──


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
        yield 4, 2**62, at, _entry(shown, "agent.ended", at, row["status"], row["reason"], {})


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
    for field in ("text", "message", "question", "reason", "task_name", "path", "summary", "trigger", "why"):
        if isinstance(data.get(field), str):
            return str(data[field])
    return None


# ── statistics ──


def stats(db: apsw.Connection, since: int | None = None, until: int | None = None) -> Json:
    """Use per agent type, tool, model and day; `since` and `until` are day numbers (since 1970-01-01 UTC)."""
    days = {
        "from_day": _ANY_DAY["from_day"] if since is None else since,
        "to_day": _ANY_DAY["to_day"] if until is None else until,
    }
    return {
        "agent_types": _agent_types(db, days),
        "tools": [_tool_stat(row) for row in rows(db, _SQL["stats_tools"], **days)],
        "models": [
            {
                "model": row["model"] or None,
                "llm_calls": row["llm_calls"],
                "tokens": _tokens(row),
                **_cost(row),
            }
            for row in rows(db, _SQL["stats_models"], **days)
        ],
        "days": [
            {
                "day": clock.day(row["day"] * clock.DAY_US) if row["day"] >= 0 else None,
                "sessions": row["sessions"],
                "tool_calls": row["tool_calls"],
                "tool_errors": row["not_ok"],
                "llm_calls": row["llm_calls"],
                "tokens": _tokens(row),
                **_cost(row),
            }
            for row in rows(db, _SQL["stats_days"], **days)
        ],
    }


def _tool_stat(row: Json) -> Json:
    return {
        "tool": row["tool"] or None,
        "calls": row["calls"],
        "completed": row["completed"],
        "failed": row["failed"],
        "denied": row["denied"],
        "interrupted": row["interrupted"],
        "unfinished": row["open"],
        "mean_duration_ms": row["duration_ms"] // row["timed"] if row["timed"] else None,
    }


def _agent_types(db: apsw.Connection, days: dict[str, int]) -> list[Json]:
    by_type: dict[str, Json] = {}
    every = days["from_day"] == _ANY_DAY["from_day"] and days["to_day"] == _ANY_DAY["to_day"]
    if every:
        for row in rows(db, _SQL["stats_agent_count"]):
            by_type[row["agent_type"]] = {"agents": row["agents"]}
    for name in ("stats_agent_tools", "stats_agent_llm"):
        for row in rows(db, _SQL[name], **days):
            known = by_type.setdefault(row["agent_type"], {"agents": 0})
            known["agents"] = max(known["agents"], row.pop("agents"))
            known.update(row)
    out = []
    for agent_type, row in sorted(by_type.items()):
        full = {
            "tool_calls": 0,
            "not_ok": 0,
            "llm_calls": 0,
            "cost_pico": 0,
            "unpriced": 0,
            **_NOTHING,
            **row,
        }
        out.append(
            {
                "agent_type": agent_type or None,
                "agents": full["agents"],
                "tool_calls": full["tool_calls"],
                "tool_errors": full["not_ok"],
                "llm_calls": full["llm_calls"],
                "tokens": _tokens(full),
                **_cost(full),
            }
        )
    return sorted(
        out, key=lambda row: (-(row["cost_pico_usd"] or 0), -row["tool_calls"], row["agent_type"] or "")
    )
