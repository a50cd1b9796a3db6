"""Subagents inside their session's file: who started whom, and what a further line costs."""

from __future__ import annotations

import pytest

from holdfast.capture import claude_transcripts as claude
from holdfast.store import database
from holdfast.store.fold import Fold
from holdfast.store.project import Entry
from holdfast.store.sidechains import _Call, started_by
from tests import old_layouts as old


def call(position, name, end=None, agent=""):
    return _Call(position, name, agent, end, None)


def pairs(chains, calls):
    return {chain: found.id for chain, found in started_by(chains, calls).items()}


def test_equal_prompts_are_paired_in_order():
    assert pairs([(30, "a"), (40, "b")], [call(10, "one"), call(20, "two")]) == {"a": "one", "b": "two"}


def test_a_call_that_ended_before_a_chain_begins_did_not_start_it():
    calls = [call(10, "refused", end=11), call(20, "again", end=90)]
    assert pairs([(30, "a")], calls) == {"a": "again"}


def test_a_call_that_has_no_end_may_have_started_a_chain():
    assert pairs([(30, "a")], [call(10, "killed")]) == {"a": "killed"}


def test_what_stands_out_of_order_is_paired_with_what_is_left():
    assert pairs([(5, "a"), (30, "b")], [call(10, "one"), call(20, "two")]) == {"b": "one", "a": "two"}


def test_no_agent_started_itself():
    assert pairs([(10, "a")], [call(20, "own", agent="a")]) == {}
    assert pairs([(10, "a"), (11, "b")], [call(20, "own", agent="a")]) == {"b": "own"}


def test_more_chains_than_calls_leave_some_unplaced():
    assert pairs([(20, "a"), (30, "b")], [call(10, "one")]) == {"a": "one"}


def test_many_equal_prompts_are_paired_one_by_one():
    """Linear work: agents that are warmed up are all told the same."""
    chains = [(2 * n + 1, f"a{n:05}") for n in range(20_000)]
    found = pairs(chains, [call(2 * n, f"c{n:05}") for n in range(20_000)])
    assert all(found[f"a{n:05}"] == f"c{n:05}" for n in range(20_000))


def entries(records):
    found, at = [], 0
    for line in old.lines(records).splitlines(keepends=True):
        found.append(Entry(line.rstrip(b"\n"), f"f:{at}", 0, "f", "/projects/f.jsonl", at))
        at += len(line)
    return found


class Folded:
    """A store that batches are folded into."""

    def __init__(self, tmp_path):
        self.db = database.create(tmp_path / "store.db")
        self._fold = Fold(self.db, head_chars=300)

    def batch(self, *found):
        for entry in found:
            for event in claude.translate(entry).events:
                self._fold.add(event, 1, 0)
        with database.transaction(self.db):
            self._fold.write()

    def cost(self, work):
        """How many steps of its virtual machine SQLite takes for some work."""
        steps = 0

        def step():
            nonlocal steps
            steps += 1
            return False

        self.db.set_progress_handler(step, 1)
        work()
        self.db.set_progress_handler(None)
        return steps

    def parents(self):
        return dict(self.db.execute("SELECT agent, parent_tool FROM agent WHERE agent <> ''"))

    def agents_of_spans(self):
        return dict(self.db.execute("SELECT id, agent FROM span"))


@pytest.fixture
def store(tmp_path):
    return Folded(tmp_path)


def long_chain(length):
    t = old.Transcript(old.PARALLEL, "1.0.57", "2025-07-25")
    t.answers("m", old.task("long", "Go", "Long"), stop="tool_use")
    t.says("Go", chain="c", name="first")
    for number in range(length // 2):
        t.answers(f"c{number}", old.call(f"b{number}", "Bash", command="true"), chain="c")
        t.returns(f"b{number}", "ok", chain="c")
    return t.records


def test_a_further_line_costs_the_same_however_long_its_chain_is(store):
    """Counted in the database's own steps, which do not depend on the machine."""
    every = entries(long_chain(10_000))
    store.batch(*every[:100])
    early = [store.cost(lambda entry=entry: store.batch(entry)) for entry in every[100:140]]
    store.batch(*every[140:-40])
    late = [store.cost(lambda entry=entry: store.batch(entry)) for entry in every[-40:]]
    assert set(store.agents_of_spans().values()) == {"", f"inline-{old.uuid(old.PARALLEL, 'first')}"}
    assert sum(late) <= sum(early) * 1.2, (sum(early), sum(late))
    walk = store.cost(lambda: list(store.db.execute("SELECT chain FROM sidechain WHERE node > ''")))
    assert walk > max(late) * 2, "the control: looking at the whole chain for a line would be noticed"


def test_a_chain_that_arrives_backwards_becomes_one_agent(store):
    records = long_chain(300)
    for entry in reversed(entries(records)):
        store.batch(entry)
    assert store.parents() == {f"inline-{old.uuid(old.PARALLEL, 'first')}": "toolu_long"}
    assert set(store.agents_of_spans().values()) == {"", f"inline-{old.uuid(old.PARALLEL, 'first')}"}


def test_a_call_is_free_again_when_its_chain_turns_out_to_begin_earlier(store):
    """Two chains say what one call said. The first turns out to go on from another beginning, so the second has the call."""
    t = old.Transcript(old.PARALLEL, "1.0.57", "2025-07-25")
    t.answers("m", old.task("only", "Go", "Only"), stop="tool_use")
    t.says("Something else", chain="z", name="beginning")
    t.says("Go", chain="a", name="first")
    t.says("Go", chain="b", name="second")
    t.follows("z", "first")
    t.answers("bridge", old.text("joined"), chain="z", name="bridge")
    t.follows("z", "beginning")
    t.answers("bridge", old.text("again"), chain="z", name="bridge")
    *most, last = entries(t.records)
    second, beginning = (f"inline-{old.uuid(old.PARALLEL, n)}" for n in ("second", "beginning"))
    store.batch(*most)
    assert store.parents()[second] is None
    store.batch(last)
    assert store.parents() == {second: "toolu_only", beginning: None}


def test_a_later_end_of_a_call_moves_its_chain_to_another_call(store):
    """The result that shows that the first call was refused arrives last."""
    t = old.Transcript(old.PARALLEL, "1.0.57", "2025-07-25")
    t.answers("m1", old.task("refused", "Go", "First"), stop="tool_use")
    t.returns("refused", old.REFUSED, error=True)
    t.answers("m2", old.task("again", "Go", "Second"), stop="tool_use")
    t.says("Go", chain="a", name="first")
    call_1, refusal, call_2, chain = entries(t.records)
    agent = f"inline-{old.uuid(old.PARALLEL, 'first')}"
    store.batch(call_1, call_2, chain)
    assert store.parents() == {agent: "toolu_refused"}
    store.batch(refusal)
    assert store.parents() == {agent: "toolu_again"}


def test_a_program_may_name_its_agents_as_it_likes(store):
    """Only transcripts have inline lines; a program's agent of such a name is just an agent."""
    from holdfast import events as ev

    fold = Fold(store.db, head_chars=300)
    data = ev.MessageSent(role="agent", text="hello")
    event = ev.Event(
        id="e", kind="message.sent", session="sdk:s", time_us=1, data=data, agent="inline-reviewer"
    )
    fold.add(event, 1, 0)
    with database.transaction(store.db):
        fold.write()
    assert store.parents() == {"inline-reviewer": None}
    assert store.db.execute("SELECT count(*) FROM chain").get == 0
