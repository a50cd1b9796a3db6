"""One session as a tree: agent → turn → model and tool calls → subagent → …

A node hangs under the parent its source names; else under the turn of its agent that was open then; else under its agent.
Subagents hang under the tool call that started them; those in the session's own file whose call is not known, under the main agent.
What points nowhere, or at its own descendant, becomes a root.

A session may hold ten thousand nodes: rows are read as tuples, and each becomes its node in one step.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast import spans
from holdfast.clock import iso
from holdfast.events import INLINE_AGENT
from holdfast.store import collector, queries, state
from holdfast.store.activity import Vitals, nobody_looked
from holdfast.store.database import rows
from holdfast.store.queries import PICO_PER_USD
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

Json = dict[str, Any]
_Row = tuple[Any, ...]  # of the queries `span_nodes` or `llm_nodes`; both begin with agent, place, id
_SQL = statements("queries")
_TURN, _LLM = 0, 1  # the lowest two bits of a place: what stands first at one position; 2 is any other span
_PLACE = itemgetter(1)
_OPEN: Json = {"status": None, "kind": ""}  # a span that has no end


@collector.paused()
def tree(
    db: apsw.Connection, session: int, now_us: int, stale_us: int, vitals: Vitals = nobody_looked
) -> Json:
    """The session, its tree from the roots, and the typed links between spans."""
    row = queries.session_rows(db, session, vitals=vitals)[0]
    summary = queries.session_answer(row, now_us, stale_us)
    ends_told = row["source"] in state.TELLS_TURNS
    last = summary | {"state": "ended"} if state.last_turn_is_over(row) else summary
    turns = _turn_standings(db, session, last, ends_told=ends_told)
    growing = _Growing(summary["state"], turns, ends_told=ends_told)
    spans_found: list[_Row] = db.execute(_SQL["span_nodes"], {"session_id": session}).fetchall()
    calls_found: list[_Row] = db.execute(_SQL["llm_nodes"], {"session_id": session}).fetchall()
    growing.spans.update([row[2] for row in spans_found])
    growing.calls.update([row[2] for row in calls_found])
    growing.add_agents(list(_agents(db, session, summary)))
    streams: dict[str, list[_Row]] = {}
    for found in (*spans_found, *calls_found):  # in the order of their ids, which sorting keeps among equals
        streams.setdefault(found[0], []).append(found)
    for agent in sorted(streams):
        growing.add_stream(agent, sorted(streams[agent], key=_PLACE))
    links = rows(db, _SQL["links"], session_id=session)
    roots = growing.grown()
    _hang_below(db, session, roots, _Looking(now_us, stale_us, vitals))
    return {
        "session": summary,
        "roots": roots,
        "links": [{"from": k["source_span"], "to": k["target_span"], "kind": k["kind"]} for k in links],
    }


class _Growing:
    """A tree that takes its nodes in order, each hung under its parent at once, or when the parent comes."""

    def __init__(self, session_state: str, turns: dict[str, state.Standing], *, ends_told: bool) -> None:
        self.spans: set[str] = set()  # every span's id
        self.calls: set[str] = set()  # and every model call's
        self._state = session_state
        self._ends_told = ends_told
        self._unfinished = state.of_span(_OPEN, session_state)
        self._turns = turns
        self._nodes: dict[str, Json] = {}
        self._roots: list[Json] = []
        self._waiting: dict[str, list[Json]] = {}

    def add_agents(self, found: list[tuple[str, str | None, Json]]) -> None:
        """Agents come before all work; their (name, parent's name, node)."""
        self._nodes.update((name, node) for name, _, node in found)
        for _, parent, node in found:
            if parent in self.spans or parent in self.calls:
                self._waiting.setdefault(parent, []).append(node)
            elif parent in self._nodes:
                self._nodes[parent]["children"].append(node)
            else:
                self._roots.append(node)

    def add_stream(self, agent: str, found: list[_Row]) -> None:
        """One agent's spans and model calls, in order."""
        nodes, waiting, named = self._nodes, self._waiting, self.spans
        self._unfinished = state.of_span(_OPEN, self._state)
        top = nodes.get(_agent_name(agent))
        under = beside = self._roots if top is None else top["children"]
        for row in found:
            name, order = row[2], row[1] & 3
            if name in nodes:
                continue
            parent = None
            if order == _LLM:
                node = _llm_node(row)
            else:
                node, parent = self._span_node(row), row[4]
            nodes[name] = node
            if waiting and name in waiting:
                node["children"] = waiting.pop(name)
            if parent is None or parent == name or parent not in named:
                (beside if order == _TURN else under).append(node)
            elif parent in nodes:
                nodes[parent]["children"].append(node)
            else:
                waiting.setdefault(parent, []).append(node)
            if order == _TURN:
                under = node["children"]
                if self._ends_told:
                    self._unfinished = state.of_span(_OPEN, self._state, self._turns[name])

    def _span_node(self, row: _Row) -> Json:
        _, _, name, kind, _, label, text, status, start_us, end_us, duration_ms, inherited, grade = row
        if kind == "turn":
            status, grade, _ = self._turns[name]
        elif status is None:
            status, grade, _ = self._unfinished
        if duration_ms is None and start_us is not None and end_us is not None:
            duration_ms = max(0, (end_us - start_us) // 1000)
        return {
            "kind": kind,
            "id": name,
            "name": label,
            "text": text,
            "status": status,
            "grade": grade,
            "started_at": iso(start_us),
            "duration_ms": duration_ms,
            "inherited": inherited != 0,
            "tokens": None,
            "cost_usd": None,
            "definition": None,
            "children": [],
        }

    def grown(self) -> list[Json]:
        """The roots. A ring of nodes, to which none of them leads, is cut where its first member stands."""
        count, level = 0, self._roots
        while level:
            count += len(level)
            level = [child for node in level if node["children"] for child in node["children"]]
        if count == len(self._nodes):
            return self._roots
        names = {id(node): name for name, node in self._nodes.items()}
        parents: dict[str, str | None] = dict.fromkeys(self._nodes)
        for name, node in self._nodes.items():
            parents.update((names[id(child)], name) for child in node["children"])
        built = spans.tree(parents.items())
        for name, node in self._nodes.items():
            node["children"] = [self._nodes[child] for child in built.children_of(name)]
        return [self._nodes[name] for name in built.roots]


def _agents(db: apsw.Connection, session: int, summary: Json) -> Iterator[tuple[str, str | None, Json]]:
    """(node name, parent's name, node) of each agent. Names of agents cannot be mistaken for ids of spans."""
    for agent in queries.agents(db, session, summary["state"]):
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


class _Looking(NamedTuple):
    """The moment, and who looks at processes."""

    now_us: int
    stale_us: int
    vitals: Vitals


def _hang_below(
    db: apsw.Connection,
    session: int,
    nodes: list[Json],
    looking: _Looking,
    above: frozenset[int] = frozenset(),
) -> None:
    """Hang the agents that Holdfast started for those of a session under its main agent, with those that work for them."""
    main = next((node for node in nodes if node["kind"] == "agent" and not node["id"]), None)
    place = nodes if main is None else main["children"]
    for row in rows(db, _SQL["runs_below"], session_id=session):
        works_in = rows(db, _SQL["sessions_of_run"], agent=row["agent"])
        if not works_in or works_in[0]["id"] in above | {session}:
            continue
        [found] = queries.session_rows(db, works_in[0]["id"], vitals=looking.vitals)
        node = _run_node(found, queries.session_answer(found, looking.now_us, looking.stale_us))
        place.append(node)
        _hang_below(db, found["id"], node["children"], looking, above | {session})


def _run_node(row: Json, summary: Json) -> Json:
    """An agent with a session of its own, whose tree shows its work."""
    run = row["run"]
    return {
        "kind": "agent",
        "id": row["key"],
        "name": run.name or row["source"],
        "text": summary["title"],
        "status": run.status if row["source"] == state.RUN else state.MAIN_STATUS[summary["state"]],
        "grade": summary["state_grade"],
        "started_at": iso(run.started_us),
        "duration_ms": run.duration_ms,
        "inherited": False,
        "tokens": summary["tokens"],
        "cost_usd": summary["cost_usd"],
        "definition": None,
        "children": [],
    }


def _agent_name(agent: str) -> str:
    return f"agent {agent}"


def _exists(db: apsw.Connection, session: int, span: str | None) -> bool:
    return span is not None and bool(rows(db, _SQL["span_exists"], id=span, session_id=session))


def _turn_standings(
    db: apsw.Connection, session: int, summary: Json, *, ends_told: bool
) -> dict[str, state.Standing]:
    """How each turn ended: by the mark that stands before the next turn, else by what the session's state says."""
    turns: dict[str, list[tuple[int, str]]] = {}
    for agent, position, turn in db.execute(_SQL["turns"], {"session_id": session}):
        turns.setdefault(agent, []).append((position, turn))
    marks: dict[str, list[tuple[int, str]]] = {}
    for agent, position, data in db.execute(_SQL["marks"], {"session_id": session}):
        marks.setdefault(agent, []).append((position, data))
    out = {}
    for agent, found in turns.items():
        places = [position for position, _ in marks.get(agent, ())]
        for number, (position, turn) in enumerate(found):
            last = number + 1 == len(found)
            at = bisect_left(places, 2**63 if last else found[number + 1][0]) - 1
            marked = at >= 0 and places[at] > position
            mark = msgspec.json.decode(marks[agent][at][1]) if marked else None
            out[turn] = state.of_turn(mark, summary if last else None, ends_told=ends_told)
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
        "definition": None,
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
        "started_at": iso(row["first_us"]),
        "duration_ms": None,
        "inherited": True,
        "tokens": None,
        "cost_usd": None,
        "definition": None,
        "children": [],
    }


def _llm_node(row: _Row) -> Json:
    (
        _,
        _,
        name,
        model,
        stop_reason,
        final,
        unreliable,
        start_us,
        tokens_in,
        tokens_out,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        untold,
        cost_pico,
        inherited,
    ) = row
    return {
        "kind": "llm",
        "id": name,
        "name": model,
        "text": stop_reason,
        "status": "completed" if final else "unknown",
        "grade": "observed" if final else "unknown",
        "started_at": iso(start_us),
        "duration_ms": None,
        "inherited": inherited != 0,
        "tokens": {
            "input": tokens_in,
            "output": tokens_out,
            "cache_read": cache_read,
            "cache_write_5m": cache_write_5m,
            "cache_write_1h": cache_write_1h,
            "output_unreliable_calls": unreliable,
            "unknown_calls": untold,
        },
        "cost_usd": None if cost_pico is None else cost_pico / PICO_PER_USD,
        "definition": None,
        "children": [],
    }
