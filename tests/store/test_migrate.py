"""The steps taken on a store: a copy first, all in one transaction, and what is not ours refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from holdfast.errors import StoreDamaged, StoreError
from holdfast.store import database, migrate, schema
from tests.store import version

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


@pytest.fixture
def later(tmp_path, monkeypatch):
    """This process as a version with two steps more."""
    monkeypatch.setattr(database, "SCHEMA", schema.Schema(version.later(tmp_path / "sql")))
    monkeypatch.setattr(database, "SCHEMA_VERSION", database.SCHEMA.version)
    return database.SCHEMA


@pytest.fixture
def opened(tmp_path):
    """The golden store of the first schema, open for writing."""
    path = tmp_path / "store-0001.db"
    shutil.copy(GOLDEN / "store-1" / "store-0001.db", path)
    db = database.open_writer(path)
    yield db, path
    db.close()


def rows(path):
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        return db.execute("SELECT id, kind, data FROM event ORDER BY id").fetchall()
    finally:
        db.close()


@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.iterdir() if p.is_dir()))
@pytest.mark.parametrize("to", ["ours", "later"])
def test_every_golden_store_comes_to_todays_tables(name, to, tmp_path, request):
    if to == "later":
        request.getfixturevalue("later")
    path = tmp_path / "store-0001.db"
    source = GOLDEN / name
    shutil.copy(source / (source / "store.db").readlink(), path)
    before = rows(path)
    db = database.open_writer(path)
    found = database.versions(db)["schema_version"]
    migrate.migrate(db, tmp_path, path)
    assert database.SCHEMA.missing(db) == []
    assert database.versions(db)["schema_version"] == database.SCHEMA_VERSION
    assert database.folded_schema(db) == found
    db.close()
    assert rows(path) == before
    assert rows(migrate.backup_path(tmp_path, found)) == before
    assert before


@pytest.mark.parametrize("start", range(2))
def test_every_schema_on_the_way_comes_to_todays_tables(start, later, tmp_path):
    """Also one that stopped between the golden ones."""
    path = tmp_path / "store-0001.db"
    db = apsw.Connection(str(path))
    for step in later.steps[: len(later.steps) - 2 + start]:
        migrate.take(db, step)
    db.execute(f"INSERT INTO meta VALUES ('schema_version', '{later.version - 2 + start}')")
    db.close()
    db = database.open_writer(path)
    migrate.migrate(db, tmp_path, path)
    assert later.missing(db) == []
    db.close()


def test_the_schema_that_rows_were_folded_for_is_kept_over_further_steps(opened, later, tmp_path):
    db, path = opened
    migrate.migrate(db, tmp_path, path)
    db.execute(f"UPDATE meta SET value = '{later.version - 1}' WHERE key = 'schema_version'")
    migrate.migrate(db, tmp_path, path)
    assert database.folded_schema(db) == 1
    assert sorted(p.name for p in (tmp_path / "backups").iterdir()) == [
        "store-schema-1.db",
        f"store-schema-{later.version - 1}.db",
    ]


def test_a_statement_that_fails_leaves_the_store_as_it_was(opened, later, tmp_path):
    """The tables are not what the version says: that is damage, and nothing of the steps stays."""
    db, path = opened
    db.execute("CREATE TABLE extra (other TEXT)")
    before = schema.shape_of(db)
    with pytest.raises(StoreDamaged):
        migrate.migrate(db, tmp_path, path)
    assert schema.shape_of(db) == before
    assert database.versions(db)["schema_version"] == 1


def test_tables_that_are_not_ours_in_the_end_leave_the_store_as_it_was(opened, later, tmp_path):
    db, path = opened
    db.execute("ALTER TABLE kept ADD COLUMN more TEXT")
    before = schema.shape_of(db)
    with pytest.raises(StoreDamaged, match="table kept"):
        migrate.migrate(db, tmp_path, path)
    assert schema.shape_of(db) == before


def test_a_disk_that_refuses_is_no_damage(opened, later, tmp_path, monkeypatch):
    db, path = opened

    def full(*_: object) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(migrate, "take", full)
    with pytest.raises(StoreError, match="could not be brought up to date") as caught:
        migrate.migrate(db, tmp_path, path)
    assert not isinstance(caught.value, StoreDamaged)
    assert "nothing was changed" in (caught.value.hint or "")


def test_a_copy_holds_what_stands_in_the_log_and_takes_the_place_of_an_earlier_one(opened, tmp_path):
    db, _ = opened
    copy = tmp_path / "backups" / "copy.db"
    migrate.back_up(db, copy)
    (copy.parent / ".copy.db.writing").write_text("left by a process that was killed")
    db.execute("INSERT INTO kept VALUES ('f', 't', 7)")
    migrate.back_up(db, copy)
    other = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READWRITE)
    assert other.execute("SELECT records FROM kept WHERE file = 'f'").get == 7
    other.close()
    assert [path.name for path in copy.parent.iterdir() if not path.name.endswith(("-wal", "-shm"))] == [
        "copy.db"
    ]


def test_a_copy_that_fails_leaves_nothing(opened, tmp_path, monkeypatch):
    db, _ = opened

    def refuse(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(migrate, "_force", refuse)
    with pytest.raises(StoreError, match=r"the copy failed: .*Input/output error"):
        migrate.back_up(db, tmp_path / "backups" / "copy.db")
    assert list((tmp_path / "backups").iterdir()) == []
