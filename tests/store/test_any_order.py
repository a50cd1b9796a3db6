"""Folding is commutative: records in any order, in any batches, give the same rows."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.capture import claude_hooks, claude_registry
from holdfast.capture import claude_transcripts as claude
from holdfast.store import database, queries, timeline, tree
from holdfast.store.fold import Fold
from holdfast.store.project import Entry
from holdfast.store.statements import statements
from tests import old_layouts

if TYPE_CHECKING:
    import apsw

CAPTURED = Path(__file__).resolve().parent.parent / "data" / "claude-code"
NOW_US, STALE_US = 1_795_348_800_000_000, 600_000_000


OLD = "old layouts"


def _entries(*scenarios: str) -> list[Entry]:
    found = []
    for scenario in scenarios:
        if scenario == OLD:
            for name, records in old_layouts.history().items():
                found += _entries_of(name, records)
            continue
        for path in sorted((CAPTURED / scenario / "transcript").rglob("*.jsonl")):
            at = 0
            for line in path.read_bytes().splitlines(keepends=True):
                found.append(Entry(line.rstrip(b"\n"), f"{path}:{at}", 0, path.name, str(path), at))
                at += len(line)
    return found


def _entries_of(name: str, records: list[old_layouts.Record]) -> list[Entry]:
    found, at = [], 0
    for line in old_layouts.lines(records).splitlines(keepends=True):
        found.append(Entry(line.rstrip(b"\n"), f"{name}:{at}", 0, name, f"/projects/{name}", at))
        at += len(line)
    return found


_TRANSLATORS = {
    claude_hooks.SOURCE: claude_hooks.translate,
    claude_registry.SOURCE: claude_registry.translate,
}


def _told(scenario: str) -> list[Entry]:
    """What hooks told in a scenario, and what a registry listed of its session, recorded one after the other."""
    source, found, session = claude_hooks.SOURCE, [], ""
    for number, line in enumerate((CAPTURED / scenario / "hooks.ndjson").read_bytes().splitlines()):
        session = json.loads(line)["session_id"]
        found.append(Entry(line, f"{scenario}/{number}", NOW_US - 1_000_000 + number, source, None, number))
    for number, status in enumerate(("busy", "waiting", "busy", "idle")):
        said = {"pid": 7, "sessionId": session, "status": status, "statusUpdatedAt": NOW_US // 1000 + number}
        body = json.dumps({"host": "h", "boot": "b", "namespace": None, "said": said}).encode()
        name = f"{scenario}/listed/{number}"
        found.append(Entry(body, name, NOW_US + number, claude_registry.SOURCE, None, number))
    return found


def _folded(tmp_path: Path, batches: list[list[Entry]]) -> apsw.Connection:
    db = database.create(tmp_path / f"store-{random.getrandbits(60)}.db")
    fold = Fold(db, head_chars=300)
    for batch in batches:
        for entry in batch:
            for event in _TRANSLATORS.get(entry.file, claude.translate)(entry).events:
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
    (OLD,),
]


@pytest.mark.parametrize("scenarios", SETS, ids="+".join)
@pytest.mark.parametrize("seed", range(4))
def test_shuffled_records_in_random_batches_give_the_same_answers(seed, scenarios, tmp_path):
    entries = _entries(*scenarios)
    expected = _answers(_folded(tmp_path, [entries]))
    assert _answers(_folded(tmp_path, _shuffled(entries, random.Random(seed), 40))) == expected


@pytest.mark.parametrize("scenarios", SETS[:3], ids="+".join)
@pytest.mark.parametrize("seed", range(3))
def test_transcripts_hooks_and_registry_in_any_order_give_the_same_answers(seed, scenarios, tmp_path):
    entries = _entries(*scenarios) + [entry for scenario in scenarios for entry in _told(scenario)]
    expected = _answers(_folded(tmp_path, [entries]))
    assert _answers(_folded(tmp_path, _shuffled(entries, random.Random(seed), 40))) == expected


@pytest.mark.parametrize("seed", range(3))
def test_what_hooks_told_in_any_order_gives_the_same_answers_without_a_transcript(seed, tmp_path):
    entries = [entry for scenario in SETS[0] + SETS[2] for entry in _told(scenario)]
    db = _folded(tmp_path, [entries])
    expected = _answers(db)
    assert sum(session["tool_calls"] for session in queries.sessions(db, NOW_US, STALE_US)) > 30
    assert _answers(_folded(tmp_path, _shuffled(entries, random.Random(seed), 40))) == expected


def _shuffled(entries: list[Entry], chance: random.Random, most: int) -> list[list[Entry]]:
    """The entries in any order and in batches of any size up to `most`; some arrive twice."""
    shuffled = entries + chance.sample(entries, len(entries) // 3)
    chance.shuffle(shuffled)
    batches, at = [], 0
    while at < len(shuffled):
        step = chance.randint(1, most)
        batches.append(shuffled[at : at + step])
        at += step
    return batches


def _tangle(chance: random.Random) -> list[old_layouts.Record]:
    """Inline lines as no tool would write them: gaps, circles, lines with two parents, few prompts, calls that never end."""
    prompts = ["look", "listen", "smell"]
    ids = [f"line-{n}" for n in range(30)]
    records = []
    for number, uuid in enumerate(ids):
        parent = chance.choice([None, *ids[: number + 3], "lost-1", "lost-2"])
        record = {
            "type": "user",
            "uuid": uuid,
            "parentUuid": parent,
            "isSidechain": chance.random() < 0.8,
            "sessionId": old_layouts.PARALLEL,
            "version": "1.0.60",
            "timestamp": f"2025-07-25T09:00:{number:02}.000Z",
        }
        content: object = chance.choice(prompts)
        if chance.random() < 0.6:
            record["type"] = "assistant"
            block = chance.choice(
                [
                    old_layouts.task(f"t{number}", chance.choice(prompts), f"task {number}"),
                    old_layouts.call(f"b{chance.randrange(9)}", "Bash", command="true"),
                    old_layouts.text("Hm."),
                ]
            )
            message = {
                "id": f"m{chance.randrange(20)}",
                "model": "m",
                "content": [block],
                "usage": {"output_tokens": 1},
            }
            records.append(record | {"message": message})
            continue
        if chance.random() < 0.5:
            name = chance.choice(["t", "b"])
            content = [
                {"type": "tool_result", "tool_use_id": f"toolu_{name}{chance.randrange(30)}", "content": "ok"}
            ]
        records.append(record | {"message": {"role": "user", "content": content}})
    records += [r | {"parentUuid": chance.choice(ids)} for r in chance.sample(records, 3)]
    return records


@pytest.mark.parametrize("seed", range(25))
def test_even_tangled_inline_lines_give_the_same_answers_in_any_order(seed, tmp_path):
    chance = random.Random(seed)
    entries = _entries_of("tangle.jsonl", _tangle(chance))
    expected = _answers(_folded(tmp_path, [entries]))
    for most in (1, 5, 30):
        assert _answers(_folded(tmp_path, _shuffled(entries, chance, most))) == expected, (
            f"seed {seed}, {most}"
        )


@pytest.mark.parametrize("seed", range(3))
def test_rollups_are_always_the_sum_of_the_rows(seed, tmp_path):
    entries = _entries(*(name for scenarios in SETS for name in scenarios))
    random.Random(seed).shuffle(entries)
    db = _folded(tmp_path, [entries[n : n + 50] for n in range(0, len(entries), 50)])
    assert {
        name: db.execute(sql).get for name, sql in statements("recount").items() if db.execute(sql).get
    } == {}
    assert db.execute("SELECT sum(calls) FROM tool_day").get > 0
