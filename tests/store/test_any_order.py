"""Folding is commutative: records in any order, in any batches, give the same rows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.capture import claude_transcripts as claude
from holdfast.store import database, queries, timeline, tree
from holdfast.store.fold import Fold
from holdfast.store.project import Entry
from holdfast.store.statements import statements

if TYPE_CHECKING:
    import apsw

CAPTURED = Path(__file__).resolve().parent.parent / "data" / "claude-code"
NOW_US, STALE_US = 1_795_348_800_000_000, 600_000_000


def _entries(*scenarios: str) -> list[Entry]:
    found = []
    for scenario in scenarios:
        for path in sorted((CAPTURED / scenario / "transcript").rglob("*.jsonl")):
            at = 0
            for line in path.read_bytes().splitlines(keepends=True):
                found.append(Entry(line.rstrip(b"\n"), f"{path}:{at}", 0, path.name, str(path), at))
                at += len(line)
    return found


def _folded(tmp_path: Path, batches: list[list[Entry]]) -> apsw.Connection:
    db = database.create(tmp_path / f"store-{random.getrandbits(60)}.db")
    fold = Fold(db, head_chars=300)
    for batch in batches:
        for entry in batch:
            for event in claude.translate(entry).events:
                fold.add(event, 1, 0)
        with database.transaction(db):
            fold.write()
    return db


def _answers(db: apsw.Connection) -> list[object]:
    keys = dict(db.execute("SELECT id, native FROM session"))
    views = [
        (keys[n], queries.show(db, n, NOW_US, STALE_US), tree.tree(db, n, NOW_US, STALE_US)) for n in keys
    ]
    views = [(*view, timeline.timeline(db, n)) for view, n in zip(views, keys, strict=True)]
    return [
        sorted(views, key=lambda view: view[0]),
        queries.sessions(db, NOW_US, STALE_US),
        queries.stats(db),
    ]


SETS = [
    ("async-subagents", "foreground-nested-subagents"),
    ("kill9-foreground-subagent", "fork-after-kill9", "max-turns"),
    ("kill9-during-tool", "resume-after-kill9-and-compact", "tui-esc-interrupts-sigterm", "api-error-400"),
]


@pytest.mark.parametrize("scenarios", SETS, ids="+".join)
@pytest.mark.parametrize("seed", range(4))
def test_shuffled_records_in_random_batches_give_the_same_answers(seed, scenarios, tmp_path):
    entries = _entries(*scenarios)
    expected = _answers(_folded(tmp_path, [entries]))
    chance = random.Random(seed)
    shuffled = entries + chance.sample(entries, len(entries) // 3)  # some arrive twice
    chance.shuffle(shuffled)
    batches, at = [], 0
    while at < len(shuffled):
        step = chance.randint(1, 40)
        batches.append(shuffled[at : at + step])
        at += step
    assert _answers(_folded(tmp_path, batches)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_rollups_are_always_the_sum_of_the_rows(seed, tmp_path):
    entries = _entries(*(name for scenarios in SETS for name in scenarios))
    random.Random(seed).shuffle(entries)
    db = _folded(tmp_path, [entries[n : n + 50] for n in range(0, len(entries), 50)])
    assert {
        name: db.execute(sql).get for name, sql in statements("recount").items() if db.execute(sql).get
    } == {}
    assert db.execute("SELECT sum(calls) FROM tool_day").get > 0
