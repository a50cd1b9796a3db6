"""Subagents that share their session's file: which lines are one agent's, and which call started it.

Such lines name no agent; each names the line it follows. What hangs together is a *chain*, and each chain is an agent: lines that
follow each other, the parts of one message, a call and its result. A chain is named after its first line: one that follows none,
else the one that stands first in the file. It was started by the call that told it what its first line says; where several calls
said the same, by the earliest one that was open where the chain begins, and what is left goes in order.

Lines arrive in any order, in any batches, more than once. So what hangs together is kept as a union of sets, and a chain's
name as a minimum: both only ever grow together, and the result depends on the lines alone. A line that goes on where its chain ends
costs a look at its parent. Chains that turn out to be one are renamed; read in file order that happens at most once to a chain.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast.events import INLINE_AGENT
from holdfast.ids import short
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import apsw

    from holdfast import events as ev

_SQL = statements("sidechains")
_MOVES = ("move_nodes", "move_spans", "move_llm", "move_events", "merge_agent", "drop_agent", "drop_chain")
_encode = msgspec.json.Encoder().encode

Names = dict[tuple[int, str], str]  # (session, name that an event gave) → the chain's name


class _First(NamedTuple):
    """What decides which line a chain is named after: the least one."""

    headless: int  # 0: it follows no line
    position: int
    line: str


class _Chain(NamedTuple):
    """A chain as it is known: a row of `known_chains`."""

    name: str
    headless: int
    position: int
    prompt: str | None

    def first(self) -> _First:
        return _First(self.headless, self.position, self.name.removeprefix(INLINE_AGENT))


class _Forest:
    """Disjoint sets of texts."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def find(self, item: str) -> str:
        above = self._above
        top = above.setdefault(item, item)
        while above[top] != top:
            top = above[top]
        while above[item] != top:
            above[item], item = top, above[item]
        return top

    def join(self, a: str, b: str) -> None:
        self._above[self.find(a)] = self.find(b)

    def sets(self) -> Iterable[list[str]]:
        out: dict[str, list[str]] = {}
        for item in self._above:
            out.setdefault(self.find(item), []).append(item)
        return out.values()


class _Told:
    """What a batch says about the inline lines and the agents' calls of one session."""

    __slots__ = ("calls", "firsts", "forest", "prompts")

    def __init__(self) -> None:
        self.forest = _Forest()
        self.firsts: dict[str, _First] = {}
        self.prompts: dict[str, str] = {}
        self.calls: dict[str, tuple[str, str | None]] = {}


class Sidechains:
    """Collects what a batch says; `join` settles which lines are one agent's, `settle` which call started it."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._told: dict[int, _Told] = {}
        self._changed: dict[int, set[str]] = {}

    def forget(self) -> None:
        """Drop what was taken in: it is written, or its transaction failed."""
        self._told, self._changed = {}, {}

    # ── taking in ──

    def line(self, session_id: int, event: ev.Event) -> None:
        """Take in an event of an inline line: what it is about belongs to the line's agent."""
        told = self._of(session_id)
        line = event.agent.removeprefix(INLINE_AGENT)
        told.forest.join(line, event.span or line)
        first = _First(1, event.order, line)
        told.firsts[line] = min(told.firsts.get(line, first), first)

    def link(self, session_id: int, data: ev.LineLinked, position: int) -> None:
        """Take in which line a line follows."""
        told = self._of(session_id)
        if data.parent is not None:
            told.forest.join(data.line, data.parent)
            return
        first = _First(0, position, data.line)
        told.firsts[data.line] = min(told.firsts.get(data.line, first), first)
        if data.prompt:
            told.prompts[data.line] = max(told.prompts.get(data.line, ""), _digest(data.prompt))

    def call(self, session_id: int, call: str, prompt: str, description: str | None) -> None:
        """Take in a call that starts an agent with a prompt."""
        calls, digest = self._of(session_id).calls, _digest(prompt)
        before = calls.get(call, (digest, description))
        calls[call] = max(before[0], digest), max(filter(None, (before[1], description)), default=None)

    def _of(self, session_id: int) -> _Told:
        told = self._told.get(session_id)
        if told is None:
            told = self._told[session_id] = _Told()
        return told

    # ── before the batch's rows are written ──

    def join(self) -> Names:
        """Put the batch's lines to their chains; rename chains that turn out to be one. Gives each line's chain.

        What was taken in stays until `settle`: when the transaction is rolled back and tried again, this is done again.
        """
        names: Names = {}
        for session_id, told in self._told.items():
            if told.firsts:
                self._join(session_id, told, names)
            for call, (prompt, description) in told.calls.items():
                values = {"session_id": session_id, "id": call, "prompt": prompt, "description": description}
                for (before,) in self._rows("call_known", **values):
                    self._touch(session_id, before)
                self._db.execute(_SQL["agent_called"], values)
                self._touch(session_id, prompt)
        return names

    def _join(self, session_id: int, told: _Told, names: Names) -> None:
        sets = [set(found) for found in told.forest.sets()]
        nodes = _json(node for found in sets for node in found)
        known = dict(self._rows("known_nodes", session_id=session_id, nodes=nodes))
        found = self._rows("known_chains", session_id=session_id, chains=_json(sorted(set(known.values()))))
        chains = {row[0]: _Chain(*row) for row in found}
        for members, old in _through_chains(sets, known):
            firsts = [told.firsts[node] for node in members if node in told.firsts]
            first = min(firsts + [chains[name].first() for name in old])
            chain = INLINE_AGENT + first.line
            for other in sorted(old - {chain}):
                self._rename(session_id, chains[other], chain)
            self._keep(session_id, chain, first, told.prompts.get(first.line), chains.get(chain))
            new = [(session_id, node, chain) for node in members if node not in known]
            self._db.executemany(_SQL["node_known"], new)
            names.update(
                ((session_id, INLINE_AGENT + node), chain) for node in members if node in told.firsts
            )

    def _rename(self, session_id: int, old: _Chain, new: str) -> None:
        self._touch(session_id, old.prompt)
        values = {"session_id": session_id, "old": old.name, "new": new}
        for (prompt,) in self._rows("prompts_within", **values):
            self._touch(session_id, prompt)
        for statement in _MOVES:
            self._db.execute(_SQL[statement], values)

    def _keep(
        self, session_id: int, name: str, first: _First, prompt: str | None, before: _Chain | None
    ) -> None:
        """Write how a chain begins, where that is new. Of several texts of the same line the greatest counts."""
        if before is not None and before.prompt is not None:
            prompt = max(prompt or "", before.prompt)
        chain = _Chain(name, first.headless, first.position, prompt)
        if chain == before:
            return
        self._db.execute(_SQL["chain_known"], {"session_id": session_id} | chain._asdict())
        for text in {prompt, before and before.prompt}:
            self._touch(session_id, text)

    def _touch(self, session_id: int, prompt: str | None) -> None:
        if prompt is not None:
            self._changed.setdefault(session_id, set()).add(prompt)

    # ── after the batch's rows are written ──

    def settle(self, ended: Mapping[int, list[str]]) -> None:
        """Find the call that started each chain, where something about either changed.

        Args:
            ended: the spans of each session whose ends were told; where a call ended decides which chains it can
                have started.
        """
        touched = _json(sorted(self._changed.keys() | ended.keys()))
        for (session_id,) in self._rows("sessions_with_chains", sessions=touched):
            ids = _json(ended.get(session_id, ()))
            prompts = {row[0] for row in self._rows("prompts_of_calls", session_id=session_id, ids=ids)}
            for prompt in sorted(prompts | self._changed.get(session_id, set())):
                self._settle(session_id, prompt)
        self.forget()

    def _settle(self, session_id: int, prompt: str) -> None:
        chains = self._rows("chains_told", session_id=session_id, prompt=prompt)
        calls = [_Call(*row) for row in self._rows("calls_telling", session_id=session_id, prompt=prompt)]
        found = started_by([(position, chain) for chain, position, _ in chains], calls)
        for chain, _, before in chains:
            call = found.get(chain)
            values = {"session_id": session_id, "chain": chain, "call": None, "description": None}
            if call is not None:
                values |= {"call": call.id, "description": call.description}
            if values["call"] != before:
                self._db.execute(_SQL["chain_called"], values)
            self._db.execute(_SQL["agent_called_by"], values)

    def _rows(self, name: str, **values: Any) -> list[Any]:  # noqa: ANN401 - SQL values
        return list(self._db.execute(_SQL[name], values))


class _Call(NamedTuple):
    """A call that starts an agent, and where in the file it begins and ends."""

    position: int
    id: str
    agent: str
    end_position: int | None
    description: str | None


def started_by(chains: list[tuple[int, str]], calls: list[_Call]) -> dict[str, _Call]:
    """Which call started which chain, given (position, name) of the chains that begin with what the calls said.

    In order of the file each chain takes the earliest call that is open where it begins. Chains and calls that are left
    (one of them stands in a part of the file that is out of order) are paired in order; but no agent started itself.
    """
    found: dict[str, _Call] = {}
    waiting, left, over = deque(sorted(calls)), [], []
    for position, chain in sorted(chains):
        while waiting and waiting[0].position < position and _ended_before(waiting[0], position):
            over.append(waiting.popleft())
        if waiting and waiting[0].position < position:
            found[chain] = waiting.popleft()
        else:
            left.append(chain)
    rest = sorted([*over, *waiting])
    for chain in left:
        call = next((call for call in rest if call.agent != chain), None)
        if call is not None:
            found[chain] = call
            rest.remove(call)
    return found


def _ended_before(call: _Call, position: int) -> bool:
    return call.end_position is not None and call.end_position < position


def _through_chains(sets: list[set[str]], known: Mapping[str, str]) -> Iterable[tuple[set[str], set[str]]]:
    """(nodes, chains known so far) of what hangs together, also through nodes of earlier batches."""
    forest = _Forest()
    of_set = [{known[node] for node in nodes if node in known} for nodes in sets]
    for number, chains in enumerate(of_set):
        forest.find(f"{number}")
        for chain in chains:
            forest.join(f"{number}", f"={chain}")
    for items in forest.sets():
        numbers = [int(item) for item in items if not item.startswith("=")]
        yield (
            set().union(*(sets[number] for number in numbers)),
            {item[1:] for item in items if item.startswith("=")},
        )


def _json(items: Iterable[object]) -> str:
    return _encode(list(items)).decode()


def _digest(prompt: str) -> str:
    """What two prompts are compared by; white space around them is no part of them."""
    return short(prompt.strip(), 32)


def renamed(rows: list[dict[str, Any]], names: Names) -> None:
    """Put the chains' names into rows that name an agent by one of its lines."""
    for row in rows:
        agent = row.get("agent")
        if agent and (name := names.get((row["session_id"], agent))):
            row["agent"] = name
