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

if TYPE_CHECKING:
    import apsw

CAPTURED = Path(__file__).resolve().parent.parent / "data" / "claude-code"
NOW_US, STALE_US = 1_795_348_800_000_000, 600_000_000
TABLES = ("session", "agent", "span", "llm", "event", "tool_day", "llm_day")


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


ROLLUPS = {
    "tool_day": """
        SELECT session_id, agent, coalesce(coalesce(start_us, end_us) / 86400000000, -1), name, count(*),
            sum(status IS 'completed'), sum(status IS 'failed'), sum(status IS 'cancelled'), sum(status IS 'interrupted'),
            sum(status IS NULL), sum(coalesce(duration_ms, (end_us - start_us) / 1000) IS NOT NULL),
            sum(coalesce(duration_ms, (end_us - start_us) / 1000, 0))
        FROM span WHERE kind = 'tool' AND name IS NOT NULL AND NOT inherited GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
    "llm_day": """
        SELECT session_id, agent, coalesce(start_us / 86400000000, -1), coalesce(model, ''), count(*), sum(input_tokens),
            sum(output_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens), sum(cache_write_1h_tokens),
            sum(NOT final), sum(input_tokens IS NULL OR output_tokens IS NULL), sum(coalesce(cost_pico, 0)), sum(cost_pico IS NULL)
        FROM llm WHERE NOT inherited GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
}


@pytest.mark.parametrize("table", ROLLUPS)
@pytest.mark.parametrize("seed", range(3))
def test_rollups_are_always_the_sum_of_the_rows(seed, table, tmp_path):
    entries = _entries(*(name for scenarios in SETS for name in scenarios))
    random.Random(seed).shuffle(entries)
    db = _folded(tmp_path, [entries[n : n + 50] for n in range(0, len(entries), 50)])
    claimed = db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4").fetchall()
    assert claimed == db.execute(ROLLUPS[table]).fetchall()
    assert claimed
