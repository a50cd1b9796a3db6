"""Answers from the store, as plain dictionaries and lists ready for JSON.

Shapes are documented in `docs/reference/json.md`; a test compares. Times are ISO 8601 in UTC, costs both as
`cost_usd` (a number) and `cost_pico_usd` (exact), unknown is null. Nothing here depends on the order in which
records arrived.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock
from holdfast.errors import AmbiguousId, NotFound
from holdfast.store import runs, state
from holdfast.store.activity import Signs, Vitals, nobody_looked, sighted, signs_by_session
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
    return int(_session(db, prefix)["id"])


def session_key(db: apsw.Connection, prefix: str) -> str:
    """The key of that session: its source and its native id. Raises as `session_id`."""
    return str(_session(db, prefix)["key"])


def _session(db: apsw.Connection, prefix: str) -> Json:
    found = rows(db, _SQL["session_by_prefix"], prefix=prefix) if prefix else []
    found = [_of_run(db, row["native"]) or row if row["key"].startswith(_OWN) else row for row in found]
    exact = [row for row in found if prefix in (row["native"], row["key"])]
    if len(exact) == 1 or len(found) == 1:
        return (exact or found)[0]
    if not found and (of_agent := _of_run(db, prefix)):
        return of_agent
    if not found:
        raise NotFound(f"no session starts with {prefix!r}", hint="`holdfast sessions` lists them")
    raise AmbiguousId(prefix, [row["key"] if exact else row["native"] for row in found])


def _of_run(db: apsw.Connection, prefix: str) -> Json | None:
    """The session that the agent works in whose id begins so; None: there is no such agent, or several."""
    agents = rows(db, _SQL["runs_by_prefix"], prefix=prefix)
    found = rows(db, _SQL["sessions_of_run"], agent=agents[0]["agent"]) if len(agents) == 1 else []
    return found[0] if found else None


_OWN = f"{state.RUN}:"


def own_runs(db: apsw.Connection, session: int) -> list[int]:
    """The sessions that stand for agents which turned out to work in this one."""
    return [row["id"] for row in rows(db, _SQL["own_runs"], session_id=session)]


def agents_by_prefix(db: apsw.Connection, prefix: str) -> list[tuple[int, str, str]]:
    """(row of the session, its native id, agent) of each agent whose id begins with `prefix`; that one alone whose id it is."""
    found = rows(db, _SQL["agents_by_prefix"], prefix=prefix) if prefix else []
    exact = [row for row in found if row["agent"] == prefix]
    return [(row["session_id"], row["native"], row["agent"]) for row in exact or found]


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
    standing, activity = state.of_session(row, now_us, stale_us)
    return {
        "id": row["native"],
        "source": row["source"],
        "title": row["title"],
        "state": standing.state,
        "state_grade": standing.grade,
        "state_why": standing.why,
        "activity": {
            "state": activity.state,
            "process": activity.process,
            "background_tasks": activity.background,
            "last_sign_at": clock.iso(activity.last_sign_us),
        },
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
        **use_answer(row, told=row["source"] == "claude" and row["transcribed"]),
        "reported_cost_usd": _reported(row),
        **_fork(row),
        "run": runs.answer(row["run"]),
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


def sessions(db: apsw.Connection, now_us: int, stale_us: int, vitals: Vitals = nobody_looked) -> list[Json]:
    """Every session, last activity first."""
    return [session_answer(row, now_us, stale_us) for row in session_rows(db, vitals=vitals)]


def session_rows(
    db: apsw.Connection, only: int | None = None, *, vitals: Vitals = nobody_looked
) -> list[Json]:
    """What the store says of each session, or of one; `cwd` is where its project lies today.

    `signs` is what its hooks told last, `vital` what `vitals` says of its process, `running_agents` counts those in the background.
    `runs` are the lives of agents in it as they are recorded, `run` is the one that counts, as it stands now.
    """
    found = rows(db, _SQL["sessions"]) if only is None else rows(db, _SQL["session"], session_id=only)
    moves = Moves.of(db)
    for row in found:
        row["recorded_cwd"] = row["cwd"]
        row["cwd"] = moves.now(row["cwd"], row["cwd_us"])
        told = row["source"] in state.TELLS_TURNS  # the others show their forks by the lines they copied
        row["told_fork"] = db.execute(_SQL["told_fork"], {"session_id": row["id"]}).get if told else None
    signs = signs_by_session(rows(db, _SQL["signs"], session_id=only))
    processes = {row["session_id"]: sighted(row) for row in rows(db, _SQL["processes"], session_id=only)}
    lives = runs.by_session(db, only)
    for row in found:
        row["signs"] = signs.get(row["id"]) or Signs()
        row["runs"] = lives.get(row["id"], [])
        row["vital"] = vitals(row["key"], processes.get(row["id"]), row["runs"])
        row["run"] = (
            row["vital"].run if row["vital"] is not None and row["vital"].run else runs.last(row["runs"])
        )
        nothing = not row["turns"] and not row["llm_calls"] and not row["tool_calls"]
        row["transcribed"] = not (nothing and (row["signs"].of or row["runs"] or row["id"] in processes))
        if not row["transcribed"]:
            _add_told(db, row)
        row["running_agents"] = partial(_running_agents, db, row["id"])
    return found


def _add_told(db: apsw.Connection, row: Json) -> None:
    """Count what hooks told of a session of which nothing is transcribed; its times are those of recording."""
    told = rows(db, _SQL["told_work"], session_id=row["id"])
    for name in _TOLD:
        row[name] += sum(one[name] for one in told)
    times = [at for one in told for at in (one["first_us"], one["last_us"])]
    times += row["signs"].times()
    times += [
        at for run in row["runs"] for at in (run.started_us, run.ended_us, run.seen_us) if at is not None
    ]
    if row["first_us"] is None and times:
        row["first_us"], row["last_us"] = min(times), max(times)


_TOLD = ("turns", "tool_calls", "tool_failed", "tool_denied", "tool_interrupted")


def _running_agents(db: apsw.Connection, session: int) -> int:
    began_us = life_began_us(db, session)
    return int(rows(db, _SQL["running_agents"], session_id=session, life_us=began_us)[0]["n"])


def life_began_us(db: apsw.Connection, session: int) -> int | None:
    """When the last life of a session began that is known of; None: nothing tells. What it ran before has ended."""
    began_us: int | None = rows(db, _SQL["life_began"], session_id=session)[0]["us"]
    return began_us


def session_origin(db: apsw.Connection, session: int) -> tuple[str, str | None]:
    """A session's key, and the directory in which it was started as it was recorded."""
    [row] = rows(db, _SQL["session_origin"], session_id=session)
    return row["key"], row["cwd"]


def workspaces(db: apsw.Connection) -> list[Json]:
    """Every directory that agents worked in, where it lies today; the one used last comes first."""
    return listed(session_rows(db))


def overview(db: apsw.Connection, now_us: int, stale_us: int, vitals: Vitals = nobody_looked) -> Json:
    """The first screen: how many sessions are in which state, and what they took together."""
    found = sessions(db, now_us, stale_us, vitals)
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


def told_by_hooks(db: apsw.Connection, source: str, since_us: int) -> tuple[int, int]:
    """How many sessions of a tool began since, and of how many of them a hook told."""
    found: Any = db.execute(_SQL["told_by_hooks"], {"source": source, "since_us": since_us}).fetchone()
    return found[0], found[1]


def show(
    db: apsw.Connection, session: int, now_us: int, stale_us: int, vitals: Vitals = nobody_looked
) -> Json:
    """One session: summary, agents, files touched, errors, and what else was told."""
    row = session_rows(db, session, vitals=vitals)[0]
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


def agent_rows(db: apsw.Connection, session: int) -> list[Json]:
    """What the store says of each agent of a session, the main one first."""
    told = {row["agent"]: row for row in rows(db, _SQL["told_work"], session_id=session)}
    parents = {row.pop("id"): row for row in rows(db, _SQL["told_parents"], session_id=session)}
    found = rows(db, _SQL["agents"], session_id=session)
    life_us = life_began_us(db, session)
    ours = any(row["source"] == state.RUN for row in found)
    run = runs.last(runs.by_session(db, session).get(session, [])) if ours else None
    for row in found:
        row["life_us"] = life_us
        row["run"] = run
        if row["holder"] is None and row["parent_tool"] in parents:
            row.update(parents[row["parent_tool"]])
        if row["agent"] in told:
            row.update({name: told[row["agent"]][name] for name in _TOLD if name in row})
            row.update({at: row[at] or told[row["agent"]][at] for at in ("first_us", "last_us")})
    return found


def agents(db: apsw.Connection, session: int, session_state: str) -> list[Json]:
    """The agents of a session, the main one first."""
    out = []
    transcribed = bool(rows(db, _SQL["is_transcribed"], session_id=session)[0]["found"])
    for row in agent_rows(db, session):
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
                "parent_agent": parent_agent(row),
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
                **use_answer(row, told=not row["agent"] and transcribed and row["source"] != state.RUN),
            }
        )
    return out


def parent_agent(row: Json) -> str | None:
    """Which agent started this one; None: it is the main agent, or not known."""
    if not row["agent"]:
        return None
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


# ── being resumed ──


def resumes(db: apsw.Connection, session: int) -> list[Json]:
    """The attempts to resume a session, in order. `outcome` is resumed, failed, or None: what became of it is not recorded."""
    out: dict[str, Json] = {}
    outcomes: dict[str, tuple[str, Json]] = {}
    for row in rows(db, _SQL["resumes"], session_id=session):
        data = msgspec.json.decode(row["data"])
        if row["kind"] == "session.resuming":
            out[row["id"]] = {"id": row["id"], "at": clock.iso(row["time_us"]), **_attempt(data)}
        elif outcomes.get(data["attempt"], ("", {}))[0] != "resumed" or row["kind"] == "session.resumed":
            outcomes[data["attempt"]] = _OUTCOMES[row["kind"]], data
    for attempt, (outcome, data) in outcomes.items():
        if attempt in out:
            new_session = data.get("new_session") or out[attempt]["new_session"]
            out[attempt] |= {"outcome": outcome, "why": data.get("why"), "new_session": new_session}
    return list(out.values())


_OUTCOMES = {"session.resumed": "resumed", "session.resume_failed": "failed"}


def _attempt(data: Json) -> Json:
    return {
        "fork": data.get("fork", False),
        "new_session": data.get("new_session"),
        "pid": data.get("pid"),
        "outcome": None,
        "why": None,
    }


def last_turn(db: apsw.Connection, session: int) -> str | None:
    """The id of the last turn of a session's main agent."""
    return next(
        (row["id"] for row in reversed(rows(db, _SQL["turns"], session_id=session)) if not row["agent"]), None
    )


def keys(db: apsw.Connection) -> set[str]:
    """The key of every session that is known."""
    return {key for (key,) in db.execute(_SQL["session_keys"])}
