"""Roll-ups kept while folding: a question then costs the same however many events there are.

Triggers of `sql/schema.sql` report every row of `span`, `llm`, `event` and `agent` that comes or changes to the functions
registered here, the old one with sign -1, the new one with 1. `Rollups` adds the differences of a batch up by key and writes
them inside the batch's transaction: a thousand tool calls of one agent on one day are one update. Because only
differences of rows count, every order of arrival gives the same sums, and `doctor` can count again.

Two levels: by session, agent and day (`tool_day`, `llm_day`, `error_day`), and totals over them (`session_total`;
`tool_total`, `llm_total` and `error_total` by day and agent type). When an agent's type becomes known later, what
it did so far moves to that type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.clock import DAY_US
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import apsw

_SQL = statements("rollups")
_FAR = 2**63 - 1
_TOOL_FIGURES = 8  # calls, completed, failed, denied, interrupted, open, timed, duration_ms
_LLM_FIGURES = 10  # calls, five kinds of tokens, unreliable, untold, cost_pico, unpriced
_OF_STATUS = {"completed": 1, "failed": 2, "cancelled": 3, "interrupted": 4, None: 5}
_SUMS = 20  # of `session_total`, in the order of the statement `session_sums`
_TURNS, _OPEN, _RAISED, _AGENTS, _SILENT, _TOOLS, _LLM = 0, 1, 2, 3, 4, 5, 10
Key = tuple[Any, ...]


class Rollups:
    """Hears of every row that changes in one open store, and writes the sums. Call `write` in the batch's transaction."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._tools: dict[Key, list[int]] = {}  # (session, agent, day, tool)
        self._llm: dict[Key, list[int]] = {}  # (session, agent, day, model)
        self._errors: dict[Key, list[int]] = {}  # (session, day, agent)
        self._sums: dict[int, list[int]] = {}
        self._agents: set[tuple[int, str]] = set()
        listeners: tuple[tuple[str, Any, int], ...] = (
            ("holdfast_span", self._span, 10),
            ("holdfast_llm", self._llm_call, 12),
            ("holdfast_error", self._error, 4),
            ("holdfast_agent", self._agent, 2),
        )
        for name, listener, arguments in listeners:
            db.create_scalar_function(name, listener, arguments)

    # ── what the triggers say ──

    def _span(
        self,
        sign: int,
        session_id: int,
        kind: str,
        agent: str,
        name: str | None,
        start_us: int | None,
        end_us: int | None,
        status: str | None,
        duration_ms: int | None,
        inherited: int,
    ) -> None:
        if status is None:
            self._sums_of(session_id)[_OPEN] += sign
        if inherited:
            return
        if kind == "turn":
            self._sums_of(session_id)[_TURNS] += sign
        if kind != "tool" or name is None:
            return
        key = (session_id, agent, _day(end_us if start_us is None else start_us), name)
        figures = self._tools.get(key)
        if figures is None:
            figures = self._tools[key] = [0] * _TOOL_FIGURES
        figures[0] += sign
        if (at := _OF_STATUS.get(status)) is not None:
            figures[at] += sign
        if duration_ms is None and start_us is not None and end_us is not None:
            duration_ms = _quotient(end_us - start_us, 1000)
        if duration_ms is not None:
            figures[6] += sign
            figures[7] += sign * duration_ms

    def _llm_call(
        self,
        sign: int,
        session_id: int,
        agent: str,
        start_us: int | None,
        model: str | None,
        final: int,
        input_tokens: int | None,
        output_tokens: int | None,
        cache_read: int | None,
        cache_write_5m: int | None,
        cache_write_1h: int | None,
        cost_pico: int | None,
    ) -> None:
        key = (session_id, agent, _day(start_us), model or "")
        figures = self._llm.get(key)
        if figures is None:
            figures = self._llm[key] = [0] * _LLM_FIGURES
        figures[0] += sign
        figures[1] += sign * (input_tokens or 0)
        figures[2] += sign * (output_tokens or 0)
        figures[3] += sign * (cache_read or 0)
        figures[4] += sign * (cache_write_5m or 0)
        figures[5] += sign * (cache_write_1h or 0)
        if not final:
            figures[6] += sign
        if input_tokens is None or output_tokens is None:
            figures[7] += sign
        if cost_pico is None:
            figures[9] += sign
        else:
            figures[8] += sign * cost_pico

    def _error(self, sign: int, session_id: int, agent: str, time_us: int | None) -> None:
        key = (session_id, _day(time_us), agent)
        self._errors.setdefault(key, [0])[0] += sign

    def _agent(self, session_id: int, agent: str) -> None:
        self._agents.add((session_id, agent))

    def _sums_of(self, session_id: int) -> list[int]:
        found = self._sums.get(session_id)
        if found is None:
            found = self._sums[session_id] = [0] * _SUMS
        return found

    # ── writing ──

    def forget(self) -> None:
        """Drop what was heard, after a transaction that failed."""
        for heard in (self._tools, self._llm, self._errors, self._sums, self._agents):
            heard.clear()

    def write(self, touched: Mapping[int, Iterable[str]]) -> None:
        """Write the differences; `touched` are the sessions, and their agents, of which the batch said anything."""
        agents = self._agents | {
            (session_id, agent) for session_id, seen in touched.items() for agent in seen
        }
        for found in (self._tools, self._llm):
            agents.update(key[:2] for key in found)
        agents.update((session_id, agent) for session_id, _, agent in self._errors)
        totals = _Totals()
        kinds = {each: self._kind(*each, totals) for each in sorted(agents)}
        for session_id, agent, day, tool in self._tools:
            totals.add(
                totals.tools,
                (day, kinds[session_id, agent].type, tool),
                self._tools[session_id, agent, day, tool],
            )
        for session_id, agent, day, model in self._llm:
            totals.add(
                totals.llm,
                (day, kinds[session_id, agent].type, model),
                self._llm[session_id, agent, day, model],
            )
        for session_id, day, agent in self._errors:
            totals.add(
                totals.errors, (day, kinds[session_id, agent].type), self._errors[session_id, day, agent]
            )
        self._apply("tool_day", self._tools)
        self._apply("llm_day", self._llm)
        self._apply("error_day", self._errors)
        self._apply("tool_total", totals.tools)
        self._apply("llm_total", totals.llm)
        self._apply("error_total", totals.errors)
        self._days()
        for each, kind in kinds.items():
            self._keep(*each, kind)
        self._write_sessions(touched)
        self.forget()

    def _apply(self, table: str, differences: dict[Key, list[int]]) -> None:
        """Add differences to a table; rows that may have come to nothing are dropped if they have."""
        changes = [(*key, *map(_fitting, by)) for key, by in differences.items() if any(by)]
        if changes:
            self._db.executemany(_SQL[table], changes)
        fallen = [key for key, by in differences.items() if by[0] < 0]
        if fallen:
            self._db.executemany(_SQL[f"drop_{table}"], fallen)

    def _days(self) -> None:
        """Note on which days the sessions were at work."""
        risen: set[tuple[int, int]] = set()
        fallen: set[tuple[int, int]] = set()
        for found, day_at in ((self._tools, 2), (self._llm, 2), (self._errors, 1)):
            for key, by in found.items():
                (risen if by[0] > 0 else fallen).add((key[day_at], key[0]))
        for name, pairs in (("day_of_session", risen), ("drop_day_of_session", fallen)):
            if pairs:
                self._db.executemany(_SQL[name], [{"day": d, "session_id": s} for d, s in sorted(pairs)])

    def _kind(self, session_id: int, agent: str, totals: _Totals) -> _Kind:
        """What an agent is now. When its type is another than before, what it did so far goes there."""
        who = {"session_id": session_id, "agent": agent}
        found: Any = self._db.execute(_SQL["agent_kind"], who).fetchone()
        kind = _Kind(*found)
        if kind.held_type is not None and kind.held_type != kind.type:
            for name, into in (
                ("tools_of_agent", totals.tools),
                ("models_of_agent", totals.llm),
                ("errors_of_agent", totals.errors),
            ):
                held: list[Any] = self._db.execute(_SQL[name], who).fetchall()
                for day, *rest in held:
                    what, figures = ((), rest) if into is totals.errors else ((rest[0],), rest[1:])
                    totals.add(into, (day, kind.held_type, *what), [-n for n in figures])
                    totals.add(into, (day, kind.type, *what), figures)
        return kind

    def _keep(self, session_id: int, agent: str, kind: _Kind) -> None:
        """Write down what an agent is, and count it for its session."""
        who = {"session_id": session_id, "agent": agent}
        found: Any = self._db.execute(_SQL["agent_calls"], who).fetchone()
        uses, calls = found
        now = (kind.type, kind.known, uses, calls)
        if now != kind.held():
            self._db.execute(_SQL["agent_kept"], (session_id, agent, *now))
        silent = int(bool(agent) and kind.known and not calls)
        was_silent = int(bool(agent) and kind.held_known and not kind.held_calls)
        if kind.known != kind.held_known or silent != was_silent:
            sums = self._sums_of(session_id)
            sums[_AGENTS] += kind.known - kind.held_known
            sums[_SILENT] += silent - was_silent

    def _write_sessions(self, touched: Iterable[int]) -> None:
        for session_id in touched:
            self._sums_of(session_id)
        for (session_id, *_), by in self._tools.items():
            sums = self._sums_of(session_id)
            sums[_TOOLS] += by[0]
            for at in range(2, 6):  # failed, denied, interrupted, open
                sums[_TOOLS + at - 1] += by[at]
        for (session_id, *_), by in self._llm.items():
            sums = self._sums_of(session_id)
            for at, number in enumerate(by, _LLM):
                sums[at] += number
        for (session_id, *_), by in self._errors.items():
            self._sums_of(session_id)[_RAISED] += by[0]
        self._db.executemany(
            _SQL["session_sums"],
            [(session_id, *map(_fitting, by)) for session_id, by in sorted(self._sums.items())],
        )
        self._db.executemany(
            _SQL["session_last"], [{"session_id": session_id} for session_id in sorted(touched)]
        )


class _Kind:
    """What an agent is, and what `agent_kind` held of it (type None: nothing)."""

    __slots__ = ("held_calls", "held_known", "held_type", "held_uses", "known", "type")

    def __init__(
        self, now: str, known: int, held: str | None, held_known: int, uses: int, calls: int
    ) -> None:
        self.type, self.known = now, known
        self.held_type, self.held_known, self.held_uses, self.held_calls = held, held_known, uses, calls

    def held(self) -> Key:
        return self.held_type, self.held_known, self.held_uses, self.held_calls


class _Totals:
    """Differences by day and agent type."""

    def __init__(self) -> None:
        self.tools: dict[Key, list[int]] = {}
        self.llm: dict[Key, list[int]] = {}
        self.errors: dict[Key, list[int]] = {}

    @staticmethod
    def add(into: dict[Key, list[int]], key: Key, figures: Iterable[int]) -> None:
        known = into.get(key)
        into[key] = list(figures) if known is None else [a + b for a, b in zip(known, figures, strict=True)]


def _day(time_us: int | None) -> int:
    """Days since 1970-01-01 UTC; -1 for unknown. Towards zero, as SQL divides."""
    return -1 if time_us is None else _quotient(time_us, DAY_US)


def _quotient(number: int, by: int) -> int:
    return number // by if number >= 0 else -(-number // by)


def _fitting(number: int) -> int | float:
    """A number a column can hold: beyond 64 bits SQL goes on with floating point, and so do we."""
    return number if -_FAR <= number <= _FAR else float(number)
