"""Forks: what a further line costs, and a beginning that is found late."""

from __future__ import annotations

import json

import pytest

from holdfast.capture import claude_transcripts as claude
from holdfast.store import database
from holdfast.store.fold import Fold
from holdfast.store.project import Entry

ORIGINAL, FORK = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


class Folded:
    """A store that single lines are folded into."""

    def __init__(self, path):
        self.db = database.create(path)
        self._fold = Fold(self.db, head_chars=300)
        self._at = {}

    def line(self, session, at=None, **record):
        body = json.dumps({"sessionId": session, **record}).encode()
        at = self._at.get(session, 0) if at is None else at
        self._at[session] = max(self._at.get(session, 0), at + len(body) + 1)
        for event in claude.translate(Entry(body, f"{session}:{at}", 0, session, None, at)).events:
            self._fold.add(event, 1, 0)

    def commit(self):
        with database.transaction(self.db):
            self._fold.write()

    def steps(self, work):
        """How many steps of its virtual machine SQLite takes for some work."""
        count = 0

        def step():
            nonlocal count
            count += 1
            return False

        self.db.set_progress_handler(step, 1)
        work()
        self.db.set_progress_handler(None)
        return count


def message(number, second):
    return {
        "type": "assistant",
        "uuid": f"uuid-{number}",
        "timestamp": f"2026-11-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z",
        "message": {
            "id": f"msg_{number}",
            "model": "claude-sonnet-4",
            "role": "assistant",
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 1, "output_tokens": 2},
            "content": [{"type": "tool_use", "id": f"toolu_{number}", "name": "Read", "input": {}}],
        },
    }


@pytest.fixture
def store(tmp_path):
    return Folded(tmp_path / "store.db")


def forked(store, shared):
    """An original with so many messages, and a fork that copied them all."""
    for number in range(shared):
        store.line(ORIGINAL, **message(number, number))
    store.commit()
    store.line(FORK, type="queue-operation", timestamp="2026-11-01T09:00:00Z")
    for number in range(shared):
        store.line(FORK, **message(number, number))
    store.commit()


def grown(store, session, number):
    store.line(session, **message(f"own-{number}", 40_000 + number))
    store.commit()


def test_a_further_line_of_a_fork_costs_the_same_however_much_it_copied(tmp_path):
    """Counted in the database's own steps, which do not depend on the machine."""
    costs = []
    for shared in (50, 2_000):
        store = Folded(tmp_path / f"store-{shared}.db")
        forked(store, shared)
        assert store.db.execute("SELECT count(*) FROM llm WHERE inherited").get == shared
        grown(store, FORK, 0)
        costs.append([store.steps(lambda n=n, store=store: grown(store, FORK, n)) for n in range(1, 6)])
    few, many = (sum(each) for each in costs)
    assert many <= 1.3 * few, costs
    assert few > 100  # or nothing was measured


def test_a_beginning_that_is_found_late_gives_back_what_was_no_copy(store):
    """A session's own life may turn out to begin earlier: what seemed copied until then is its own."""
    store.line(FORK, at=5_000, type="queue-operation", timestamp="2026-11-01T09:00:00Z")
    store.line(FORK, at=6_000, **message(1, 3_600))
    store.commit()
    assert store.db.execute("SELECT inherited FROM llm").get == 1
    store.line(FORK, at=100, type="queue-operation", timestamp="2026-11-01T00:30:00Z")
    store.commit()
    assert store.db.execute("SELECT inherited FROM llm").get == 0
    assert store.db.execute("SELECT llm_calls FROM session_total").get == 1


def test_many_sessions_that_share_a_line_are_one_family(store):
    """Each new holder is tied to one of the others, not to all: families of hundreds stay cheap to find."""
    for number in range(200):
        session = f"{number:08}-0000-4000-8000-000000000000"
        store.line(session, **message("shared", 1))
        store.line(session, **message(f"own-{number}", 10 + number))
        store.commit()
    assert store.db.execute("SELECT count(*) FROM kin").get < 400
    assert store.db.execute("SELECT count(*) FROM llm WHERE NOT inherited AND id = 'msg_shared'").get == 1
    assert store.db.execute("SELECT sum(llm_calls) FROM session_total").get == 201
