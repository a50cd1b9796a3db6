"""A sample of the kill sweep (`python -m tests.crash.sweep` hits every point), and proof that it would notice."""

from __future__ import annotations

import random

import pytest

from tests.amount import some
from tests.crash import child, points, sweep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(points.missing() is not None, reason=points.missing() or ""),
]
SAMPLES = len(some(range(2), 1))

# what an operation cannot do without writing: if one of these is not among the points, the list is not complete
EXPECTED = {
    "append": {
        ("openat", "journal/00000001.jsonl"),
        ("write", "journal/00000001.jsonl"),
        ("link", ".home.json.*"),
    },
    "blob": {("rename", "blobs/.writing-*"), ("fsync", "blobs/.writing-*"), ("fsync", "blobs")},
    "rotate": {("openat", f"journal/0000000{n}.jsonl") for n in (1, 2, 3)},
    "group-sync": {("fsync", "journal/00000001.jsonl")},
    "seal": {
        ("write", "journal/.sealing-00000001"),
        ("fsync", "journal/.sealing-00000001"),
        ("rename", "journal/.sealing-00000001"),
        ("fsync", "journal/.sealing-chain"),
        ("rename", "journal/.sealing-chain"),
        ("unlink", "journal/00000001.jsonl"),
    },
    "retire": {
        ("rename", "journal/.sealing-00000001"),
        ("rename", "journal/.sealing-chain"),
        ("rename", ".store.db.new"),
    },
    "project": {
        ("pwrite64", "store-0001.db-wal"),
        ("fdatasync", "store-0001.db"),
        ("write", "journal/00000001.jsonl"),
    },
    "project-more": {("pwrite64", "store-0001.db-wal"), ("write", "journal/00000001.jsonl")},
    "migrate": {
        ("pwrite64", "backups/.store-schema-1.db.writing"),
        ("fsync", "backups/.store-schema-1.db.writing"),
        ("rename", "backups/.store-schema-1.db.writing"),
        ("fsync", "backups"),
        ("pwrite64", "store-0001.db-wal"),
        ("pwrite64", "writer.lock"),
    },
    "refold": {("symlink", ".store.db.new"), ("rename", ".store.db.new"), ("unlink", "store-0001.db")},
    "rebuild": {("symlink", ".store.db.new"), ("rename", ".store.db.new"), ("unlink", "store-0001.db")},
    "export": {
        ("write", ".out/.export.jsonl.*.part"),
        ("fsync", ".out/.export.jsonl.*.part"),
        ("rename", ".out/.export.jsonl.*.part"),
        ("fsync", ".out"),
        ("unlink", ".known-*"),
    },
    "restore": {
        ("write", ".out/transcript/.*.jsonl.*.part"),
        ("fsync", ".out/transcript/.*.jsonl.*.part"),
        ("link", ".out/transcript"),
        ("unlink", ".out/transcript"),
        ("fsync", ".out/transcript"),
        ("mkdirat", ".out/transcript/*"),
    },
    "import-export": {
        ("write", "journal/00000001.jsonl"),
        ("fsync", "journal/00000001.jsonl"),
        ("rename", "blobs/.writing-*"),
        ("pwrite64", "store-0001.db-wal"),
        ("unlink", ".known-*"),
    },
    "forget": {
        ("fsync", ".forgotten.new"),
        ("rename", ".forgotten.new"),
        ("rename", "journal/.sealing-00000001"),
        ("rename", "journal/.sealing-chain"),
        ("rename", "blobs/*"),
        ("rename", ".store.db.new"),
    },
    "redact": {
        ("rename", ".home.json.*"),
        ("rename", "journal/.sealing-00000001"),
        ("rename", "journal/.sealing-chain"),
        ("rename", ".store.db.new"),
    },
}


def names(found: list[points.Point]) -> set[tuple[str, str]]:
    same = {
        "linkat": "link",
        "renameat": "rename",
        "renameat2": "rename",
        "symlinkat": "symlink",
        "unlinkat": "unlink",
    }
    return {(same.get(point.syscall, point.syscall), point.file) for point in found}


@pytest.mark.parametrize("operation", sweep.OPERATIONS)
def test_a_kill_at_any_write_loses_nothing_acknowledged(tmp_path, operation):
    """Killed as it enters a writing call, an operation leaves a home in which the next process carries on and misses nothing."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    bench = sweep.Bench(tmp_path, operation, f"{seed}.0")
    assert EXPECTED[operation] <= names(bench.points)
    for number, point in enumerate(random.Random(seed).sample(bench.points, SAMPLES)):
        trial = bench.trial(number, point)
        assert not trial.violations, str(trial)


def test_the_sweep_notices_a_writer_that_acknowledges_first(tmp_path):
    """Negative control: a writer that acknowledges before it writes is found out at each of its writes."""
    bench = sweep.Bench(tmp_path, "append", "control", child.ACK_FIRST)
    writes = [p for p in bench.points if p.syscall == "write" and p.file.startswith("journal/")]
    found_out = 0
    for number, point in enumerate(writes[-3:]):
        trial = bench.trial(number, point)
        if any(violation.startswith("not hit") for violation in trial.violations):
            continue  # two records went out with one write this time, so that it was another one
        assert any("is not in the journal" in violation for violation in trial.violations), str(trial)
        assert any("0 times in the store" in violation for violation in trial.violations), str(trial)
        found_out += 1
    assert found_out


def test_the_sweep_notices_a_migration_in_more_than_one_transaction(tmp_path):
    """Negative control: killed between two statements, such a migration leaves a store between two versions."""
    bench = sweep.Bench(tmp_path, "migrate", "control", child.SPLIT_MIGRATION)
    writes = [p for p in bench.points if p.syscall == "pwrite64" and p.file == "store-0001.db-wal"]
    trial = bench.trial(0, writes[len(writes) // 2])
    assert any("is between two versions" in violation for violation in trial.violations), str(trial)


def test_the_sweep_notices_that_something_is_forgotten_before_it_is_noted(tmp_path):
    """Negative control: what is rewritten and on no list comes back with the next look at the sources."""
    with pytest.raises(AssertionError, match="nothing says what"):
        sweep.Bench(tmp_path, "forget", "control", child.UNLISTED)


def test_a_point_that_is_not_hit_is_a_violation(tmp_path):
    """A sweep that does not kill where it meant to kill is no pass."""
    bench = sweep.Bench(tmp_path, "append", "missed")
    trial = bench.trial(0, points.Point("fsync", 10_000, "journal"))
    assert any("not hit" in violation for violation in trial.violations)


def test_half_an_export_under_its_final_name_would_be_noticed(tmp_path, monkeypatch):
    """Negative control: an exporter that writes in place."""
    from tests.crash import check, child

    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "home"))
    child.run("append", "control")
    child.run("export", "control")
    home = child.open_home()
    assert check.look_at_export(home, finished=False) == []
    target = child.out_of(home) / child.EXPORT
    target.write_bytes(target.read_bytes()[:-60])
    assert "killed" in check.look_at_export(home, finished=False)[0]
    target.with_name(".export.jsonl.x.part").touch()
    assert "leaves" in check.look_at_export(home, finished=True)[0]
