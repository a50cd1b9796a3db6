"""Answers from the store, as plain dictionaries and lists ready for JSON.

Shapes are documented in `docs/reference/json.md`; a test compares. Times are ISO 8601 in UTC, costs both as
`cost_usd` (a number) and `cost_pico_usd` (exact), unknown is null. Nothing here depends on the order in which
records arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock
from holdfast.errors import AmbiguousId, NotFound
from holdfast.store import state
from holdfast.store.database import rows
from holdfast.store.statements import statements
from holdfast.store.workspaces import Moves, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

Json = dict[str, Any]
_SQL = statements("queries")
ANY_DAY = {"from_day": -2, "to_day": 2**53}
PICO_PER_USD = 10**12


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
    """Cost fields; null when nothing could be priced.

    `cost_complete` is false when some calls could not be priced, or subagents have none recorded (`silent_agents`).
    """
    known = row["unpriced"] < row["llm_calls"] or row["llm_calls"] == 0
    return {
        "cost_usd": row["cost_pico"] / PICO_PER_USD if known else None,
        "cost_pico_usd": row["cost_pico"] if known else None,
        "cost_complete": row["unpriced"] == 0 and not row.get("silent_agents"),
        "unpriced_calls": row["unpriced"],
    }


def tokens_answer(row: Json) -> Json:
    """Token sums; null when every call lacks its figures, and `unknown_calls` says how many do."""
    known = row["untold"] < row["llm_calls"] or row["llm_calls"] == 0
    return {
        "input": row["input_tokens"] if known else None,
        "output": row["output_tokens"] if known else None,
        "cache_read": row["cache_read_tokens"] if known else None,
        "cache_write_5m": row["cache_write_5m_tokens"] if known else None,
        "cache_write_1h": row["cache_write_1h_tokens"] if known else None,
        "output_unreliable_calls": row["unreliable"],
        "unknown_calls": row["untold"],
    }


def use_answer(row: Json, *, told: bool) -> Json:
    """Tokens and cost. Where no model call is recorded, they are zero only if the source would have told of one."""
    if not told and row["llm_calls"] == 0:
        tokens = dict.fromkeys(("input", "output", "cache_read", "cache_write_5m", "cache_write_1h"))
        unknown = {"cost_usd": None, "cost_pico_usd": None, "cost_complete": False, "unpriced_calls": 0}
        return {"tokens": {**tokens, "output_unreliable_calls": 0, "unknown_calls": 0}, **unknown}
    return {"tokens": tokens_answer(row), **_cost(row)}


def _reported(row: Json) -> float | None:
    """The tool's own account of the whole session: its last one, or what it said of each call, if of every one."""
    if row["reported_cost_usd"] is not None:
        return float(row["reported_cost_usd"])
    every = row["reported_calls"] and row["reported_calls"] == row["llm_calls"]
    return row["reported_pico"] / PICO_PER_USD if every else None


def session_answer(row: Json, now_us: int, stale_us: int) -> Json:
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
        **use_answer(row, told=row["source"] == "claude"),
        "reported_cost_usd": _reported(row),
        **_fork(row),
    }


def _fork(row: Json) -> Json:
    """What a session goes on from: what its source says counts before what copied lines show."""
    if row["told_fork"] is not None:
        return {"forked_from": row["told_fork"], "forked_from_grade": "observed"}
    return {
        "forked_from": row["forked_from"],
        "forked_from_grade": None if row["forked_from"] is None else "inferred",
    }


# ── sessions ──


def sessions(db: apsw.Connection, now_us: int, stale_us: int) -> list[Json]:
    """Every session, last activity first."""
    return [session_answer(row, now_us, stale_us) for row in session_rows(db)]


def session_rows(db: apsw.Connection, only: int | None = None) -> list[Json]:
    """What the store says of each session, or of one; `cwd` is where its project lies today."""
    found = rows(db, _SQL["sessions"]) if only is None else rows(db, _SQL["session"], session_id=only)
    moves = Moves.of(db)
    for row in found:
        row["recorded_cwd"] = row["cwd"]
        row["cwd"] = moves.now(row["cwd"], row["cwd_us"])
        told = row["source"] in state.TELLS_TURNS  # the others show their forks by the lines they copied
        row["told_fork"] = db.execute(_SQL["told_fork"], {"session_id": row["id"]}).get if told else None
    return found


def session_origin(db: apsw.Connection, session: int) -> tuple[str, str | None]:
    """A session's key, and the directory in which it was started as it was recorded."""
    [row] = rows(db, _SQL["session_origin"], session_id=session)
    return row["key"], row["cwd"]


def workspaces(db: apsw.Connection) -> list[Json]:
    """Every directory that agents worked in, where it lies today; the one used last comes first."""
    return listed(session_rows(db))


def overview(db: apsw.Connection, now_us: int, stale_us: int) -> Json:
    """The first screen: how many sessions are in which state, and what they took together."""
    found = sessions(db, now_us, stale_us)
    by_state = dict.fromkeys(state.STATES, 0)
    for session in found:
        by_state[session["state"]] += 1
    return {"by_state": by_state, "totals": totals(found), "sessions": found}


def _sum(figures: Iterable[int | None]) -> int | None:
    """The sum of what is known; null when there are figures and none is."""
    known, unknown = 0, 0
    total = 0
    for figure in figures:
        known, unknown = known + (figure is not None), unknown + (figure is None)
        total += figure or 0
    return None if unknown and not known else total


def totals(found: list[Json]) -> Json:
    """Sums over sessions as `sessions` gives them."""
    sums = {
        name: sum(s[name] for s in found) for name in ("turns", "agents", "tool_calls", "errors", "llm_calls")
    }
    token_names = list(found[0]["tokens"]) if found else list(tokens_answer(_NOTHING))
    pico = _sum(s["cost_pico_usd"] for s in found)
    return {
        "sessions": len(found),
        **sums,
        "tokens": {name: _sum(s["tokens"][name] for s in found) for name in token_names},
        "cost_usd": None if pico is None else pico / PICO_PER_USD,
        "cost_pico_usd": pico,
        "cost_complete": all(s["cost_complete"] for s in found),
        "unpriced_calls": sum(s["unpriced_calls"] for s in found),
    }


_NOTHING: Json = dict.fromkeys(
    (
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "unreliable",
        "untold",
        "llm_calls",
    ),
    0,
)


def show(db: apsw.Connection, session: int, now_us: int, stale_us: int) -> Json:
    """One session: summary, agents, files touched, errors, and what else was told."""
    row = session_rows(db, session)[0]
    summary = session_answer(row, now_us, stale_us)
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
        "events": {told["kind"]: told["n"] for told in rows(db, _SQL["told"], session_id=session)},
        "reported_calls": {
            "calls": row["reported_calls"],
            "cost_usd": row["reported_pico"] / PICO_PER_USD if row["reported_calls"] else None,
        },
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
                "parent_grade": _parent_grade(row),
                "depth": row["depth"],
                "model": row["model"],
                "background": None if row["background"] is None else bool(row["background"]),
                "started_at": clock.iso(row["first_us"]),
                "last_activity_at": clock.iso(row["last_us"]),
                "tool_calls": row["tool_calls"],
                "errors": row["tool_failed"] + row["tool_denied"] + row["tool_interrupted"],
                "llm_calls": row["llm_calls"],
                **use_answer(row, told=not row["agent"]),
            }
        )
    return out


def _parent_agent(row: Json) -> str | None:
    holder = row["holder"] if row["holder"] is not None else row["parent_agent"]
    return None if holder is None else str(holder)


def _parent_grade(row: Json) -> str | None:
    """How sure it is which call or agent started this one; None for the main agent."""
    if not row["agent"]:
        return None
    if row["parent_tool"] is None and row["parent_agent"] is None:
        return "unknown"
    return "inferred" if row["inline"] else "observed"


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


# ── statistics ──


def stats(db: apsw.Connection, since: int | None = None, until: int | None = None) -> Json:
    """Use per agent type, tool, model and day; `since` and `until` are day numbers (since 1970-01-01 UTC)."""
    days = {
        "from_day": ANY_DAY["from_day"] if since is None else since,
        "to_day": ANY_DAY["to_day"] if until is None else until,
    }
    return {
        "agent_types": _agent_types(db, days),
        "tools": [_tool_stat(row) for row in rows(db, _SQL["stats_tools"], **days)],
        "models": [
            {
                "model": row["model"] or None,
                "llm_calls": row["llm_calls"],
                "tokens": tokens_answer(row),
                **_cost(row),
            }
            for row in rows(db, _SQL["stats_models"], **days)
        ],
        "days": [
            {
                "day": clock.day(row["day"] * clock.DAY_US) if row["day"] >= 0 else None,
                "sessions": row["sessions"],
                "tool_calls": row["tool_calls"],
                "errors": row["not_ok"],
                "llm_calls": row["llm_calls"],
                "tokens": tokens_answer(row),
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
    every = days["from_day"] == ANY_DAY["from_day"] and days["to_day"] == ANY_DAY["to_day"]
    counted = (
        rows(db, _SQL["stats_agent_count"]) if every else rows(db, _SQL["stats_agent_count_of_days"], **days)
    )
    by_type: dict[str, Json] = {}
    for row in counted:
        agents = max(row["known"], row["tool_users"], row["model_callers"])
        if agents:
            silent = 0 if row["agent_type"] == "main" else agents - row["model_callers"]
            by_type[row["agent_type"]] = {"agents": agents, "silent_agents": silent}
    for name in ("stats_agent_tools", "stats_agent_llm", "stats_agent_errors"):
        for row in rows(db, _SQL[name], **days):
            by_type.setdefault(row["agent_type"], {"agents": 0}).update(row)
    out = []
    for agent_type, row in sorted(by_type.items()):
        full = {
            **dict.fromkeys(("tool_calls", "not_ok", "raised", "cost_pico", "unpriced"), 0),
            **_NOTHING,
            **row,
        }
        out.append(
            {
                "agent_type": agent_type or None,
                "agents": full["agents"],
                "tool_calls": full["tool_calls"],
                "errors": full["not_ok"] + full["raised"],
                "llm_calls": full["llm_calls"],
                **use_answer(full, told=agent_type == "main"),
            }
        )
    return sorted(
        out, key=lambda row: (-(row["cost_pico_usd"] or 0), -row["tool_calls"], row["agent_type"] or "")
    )
