"""The store's file: generations, versions, the writer's lock."""

from __future__ import annotations

import subprocess
import sys

import apsw
import pytest

from holdfast.errors import StoreDamaged, StoreError, StoreFromFuture
from holdfast.store import database


def _publish(home, number: int) -> None:
    database.create(database.generation_path(home, number)).close()
    database.publish(home, number)


def test_an_empty_home_has_no_store(tmp_path):
    assert database.current(tmp_path) is None
    with pytest.raises(StoreError):
        database.open_reader(tmp_path)


def test_publishing_replaces_the_generation_and_removes_the_old_one(tmp_path):
    _publish(tmp_path, 1)
    _publish(tmp_path, 2)
    assert database.current(tmp_path) == 2
    assert database.generations(tmp_path) == [2]
    assert str((tmp_path / "store.db").readlink()) == "store-0002.db"


def test_a_reader_of_the_old_generation_keeps_it_until_done(tmp_path):
    _publish(tmp_path, 1)
    reader = database.open_reader(tmp_path)
    _publish(tmp_path, 2)
    assert reader.execute("SELECT count(*) FROM session").get == 0


def test_a_reader_cannot_write(tmp_path):
    _publish(tmp_path, 1)
    with pytest.raises(apsw.ReadOnlyError):
        database.open_reader(tmp_path).execute("DELETE FROM session")


def test_a_store_from_the_future_is_refused_with_the_remedy(tmp_path):
    _publish(tmp_path, 1)
    db = database.open_writer(database.generation_path(tmp_path, 1))
    db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    db.close()
    with pytest.raises(StoreFromFuture) as caught:
        database.open_reader(tmp_path)
    assert "upgrade" in (caught.value.hint or "")


def test_a_file_that_is_no_database_is_unreadable(tmp_path):
    _publish(tmp_path, 1)
    path = database.generation_path(tmp_path, 1)
    path.with_name(path.name + "-wal").unlink()
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreDamaged):
        database.open_writer(database.generation_path(tmp_path, 1))


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    db = database.create(tmp_path / "s.db")

    def fail() -> None:
        with database.transaction(db):
            db.execute("INSERT INTO cursor VALUES (1, 2, 0, '')")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert db.execute("SELECT * FROM cursor").fetchall() == []


def test_only_one_process_is_the_writer_and_death_frees_the_lock(tmp_path):
    hold = (
        "import sys; from pathlib import Path; from holdfast.store import database\n"
        "with database.writer_lock(Path(sys.argv[1])) as mine:\n"
        "    print(mine, flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "True\n"
    with database.writer_lock(tmp_path) as mine:
        assert not mine
    other.kill()
    other.communicate()
    with database.writer_lock(tmp_path) as mine:
        assert mine


def test_sqlite_is_recent_enough_to_be_read_while_written():
    assert tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) >= (3, 51, 3)
