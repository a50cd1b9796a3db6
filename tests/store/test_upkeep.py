"""What is done with the store that is found, under the writer's lock."""

from __future__ import annotations

import os

import pytest

from holdfast.errors import StoreBusy, StoreFromFuture
from holdfast.home import Home
from holdfast.settings import load
from holdfast.store import database, schema, upkeep
from tests.store import version


@pytest.fixture
def kept(home):
    """A home with three records, folded."""
    found = Home(load(None, os.environ, {}))
    writer = found.writer(fsync_interval_s=0)
    for number in range(3):
        writer.append("sdk", b'{"kind":"probe.noted","fields":{"n":%d}}' % number)
    writer.close()
    assert found.catch_up([]).done
    return found


def change(home, sql):
    db = database.open_writer(database.generation_path(home.path, database.current(home.path)))
    db.execute(sql)
    db.close()


def opened(home, **more):
    with database.writer_lock(home.path) as mine:
        assert mine
        db = home.upkeep().open(**more)
        if db is not None:
            db.close()
        return db is not None


def held(home):
    db = database.open_reader(home.path)
    try:
        return db.execute("SELECT count(*) FROM event WHERE kind = 'probe.noted'").get
    finally:
        db.close()


OUTDATED = "UPDATE meta SET value = '0' WHERE key = 'projection_version'"


def test_a_store_that_is_as_it_should_be_stays(kept):
    assert opened(kept)
    assert database.current(kept.path) == 1


@pytest.mark.parametrize(
    "sql",
    [
        OUTDATED,
        "INSERT INTO meta VALUES ('fold_again', '1')",
        "INSERT INTO meta VALUES ('newer_records', '1')",
        "INSERT INTO meta VALUES ('folded_schema', '0')",
    ],
)
def test_rows_that_only_folding_anew_puts_right_are_folded_anew(kept, sql):
    change(kept, sql)
    assert opened(kept)
    assert database.current(kept.path) == 2
    assert held(kept) == 3
    db = database.open_reader(kept.path)
    assert not database.must_fold_again(db)
    db.close()


def test_a_long_fold_is_left_to_another_process_if_old_rows_are_an_answer(kept, monkeypatch):
    monkeypatch.setattr(upkeep, "FOLD_AT_ONCE_BYTES", 10)
    change(kept, OUTDATED)
    assert not opened(kept, defer=True)
    assert database.current(kept.path) == 1
    assert held(kept) == 3
    change(kept, "INSERT INTO meta VALUES ('folded_schema', '0')")
    assert opened(kept, defer=True)
    assert database.current(kept.path) == 2


def test_records_of_a_format_that_is_still_newer_are_no_reason_to_fold(kept):
    change(kept, "INSERT INTO meta VALUES ('newer_records', '2')")
    assert opened(kept)
    assert database.current(kept.path) == 1


def test_how_far_a_fold_is_is_told_to_its_caller_and_in_the_lock(kept):
    told = []
    with database.writer_lock(kept.path):
        kept.upkeep().rebuild(told.append).close()
    assert told
    assert told[-1].done_bytes == told[-1].total_bytes > 0
    assert told[-1].records == 4  # with the one that begins the segment


@pytest.mark.parametrize("aside", [False, True])
def test_a_newer_store_goes_only_when_somebody_says_so(kept, aside):
    change(kept, "UPDATE meta SET value = '99' WHERE key = 'projection_version'")
    with database.writer_lock(kept.path):
        if not aside:
            with pytest.raises(StoreFromFuture, match="99"):
                kept.upkeep().rebuild()
            assert database.current(kept.path) == 1
            return
        kept.upkeep().rebuild(set_aside=True).close()
    assert (kept.path / "store-0001.db.newer").exists()
    assert held(kept) == 3


def test_rebuilding_a_damaged_store_keeps_it_beside(kept):
    (kept.path / "store-0001.db").write_bytes(b"no database" * 1_000)
    (kept.path / "store-0001.db-wal").unlink(missing_ok=True)
    with database.writer_lock(kept.path):
        kept.upkeep().rebuild().close()
    assert (kept.path / "store-0001.db.damaged").exists()
    assert held(kept) == 3


def test_without_a_store_a_rebuild_makes_one(kept):
    for path in kept.path.glob("store*"):
        path.unlink()
    with database.writer_lock(kept.path):
        kept.upkeep().rebuild().close()
    assert held(kept) == 3


def test_an_error_in_between_closes_the_store(kept, monkeypatch):
    class Bug(Exception):
        pass

    def fail(*_: object) -> None:
        raise Bug

    monkeypatch.setattr(database, "is_ahead", fail)
    with pytest.raises(Bug):
        opened(kept)


def test_rows_of_tables_that_nobody_filled_answer_nothing(kept, monkeypatch, tmp_path):
    """A reader refuses them, and says who is in the way; home brings them up to date when nobody is."""
    monkeypatch.setattr(database, "SCHEMA", schema.Schema(version.later(tmp_path / "sql", optional=False)))
    monkeypatch.setattr(database, "SCHEMA_VERSION", database.SCHEMA.version)
    with pytest.raises(StoreBusy, match="folded by an older Holdfast") as caught:
        database.open_reader(kept.path)
    assert "start it again" in (caught.value.hint or "")
    kept.reader().close()
    assert held(kept) == 3
