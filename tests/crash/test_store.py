"""The store when its file is damaged, replaced, or further than the journal: it is folded anew, and nobody has to help."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import apsw
import pytest

from holdfast.errors import StoreBusy, StoreError
from holdfast.home import Home
from holdfast.ids import derived
from holdfast.journal import reader, segments
from holdfast.settings import load
from holdfast.store import database
from tests.crash import volume

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 60


@pytest.fixture
def opened(home):
    """A home with twenty records, folded."""
    found = Home(load(None, os.environ, {}))
    record(found, 20)
    fold(found)
    return found


def record(home: Home, count: int) -> list[str]:
    writer = home.writer(fsync_interval_s=0)
    ids = [writer.append("sdk", b'{"kind":"probe.noted","fields":{"n":%d}}' % n) for n in range(count)]
    writer.close()
    return ids


def fold(home: Home) -> None:
    assert home.catch_up([]).done


def held(home: Home) -> set[str]:
    db = database.open_reader(home.path)
    try:
        return {row[0] for row in db.execute("SELECT id FROM event")}
    finally:
        db.close()


def told(home: Home, record_id: str) -> list[tuple[str]]:
    db = database.open_reader(home.path)
    try:
        return db.execute("SELECT data FROM event WHERE id = ?", (record_id,)).fetchall()
    finally:
        db.close()


def in_journal(home: Home) -> set[str]:
    return {
        i.record.id for i in reader.read(home.journal) if isinstance(i, reader.Found) and i.record.s == "sdk"
    }


def current_path(home: Home) -> Path:
    number = database.current(home.path)
    assert number is not None
    return database.generation_path(home.path, number)


# ── damage ──


@pytest.mark.parametrize(
    "content", [b"", b"x" * 100, b"no database at all\n" * 1_000, b"SQLite format 3\0" + b"\xff" * 8_000]
)
def test_a_damaged_store_is_set_aside_and_folded_anew(opened, content):
    """A store that cannot be read is kept beside, with its log, and a new one is folded from the journal."""
    path = current_path(opened)
    path.write_bytes(content)
    fold(opened)
    assert held(opened) == in_journal(opened)
    assert current_path(opened) != path
    kept = (opened.path / f"{path.name}.damaged").read_bytes()
    assert kept == content or not content  # opening an empty file makes it an empty database
    assert database.generations(opened.path) == [2]


def test_a_store_that_is_gone_is_folded_anew(opened):
    """Deleting the store loses nothing."""
    for path in opened.path.glob("store*"):
        path.unlink()
    fold(opened)
    assert held(opened) == in_journal(opened)


def test_trouble_around_a_store_is_not_damage(opened, monkeypatch):
    """A store that cannot be opened for want of memory, space or rights is left where it is."""

    def refuse(*_: object, **__: object) -> None:
        raise apsw.FullError("database or disk is full")

    path = current_path(opened)
    with monkeypatch.context() as patch:
        patch.setattr(apsw, "Connection", refuse)
        with pytest.raises(StoreError, match="disk is full"):
            opened.catch_up([])
        with pytest.raises(StoreError, match="disk is full"):
            database.open_reader(opened.path)
    assert current_path(opened) == path
    assert not list(opened.path.glob("*.damaged"))


# ── a journal that lost its end after it was folded ──


@pytest.mark.parametrize("kept", [0, 1, 10, 19])
@pytest.mark.parametrize("more", [0, 1, 40])
def test_a_store_that_is_further_than_its_journal(opened, kept, more):
    """When a power cut took folded records, those appended afterwards are folded all the same: the store equals the journal."""
    path = segments.path(opened.journal, 1)
    found = [i for i in reader.read(opened.journal) if i.record.s == "sdk"]
    os.truncate(path, found[kept].start)
    ids = record(opened, more)
    fold(opened)
    assert held(opened) == in_journal(opened)
    assert set(ids) <= held(opened)


def test_a_segment_that_is_gone(opened):
    """When a folded segment is gone, the store that knew it is set aside, not overwritten."""
    segments.path(opened.journal, 1).unlink()
    ids = record(opened, 3)
    fold(opened)
    assert held(opened) == set(ids)
    assert len(list(opened.path.glob("store-*.db.ahead"))) == 1


def test_a_store_that_fits_its_journal_is_kept(opened):
    """Ordinary growth, torn ends and new segments are no reason to fold anew."""
    record(opened, 5)
    with segments.path(opened.journal, 1).open("ab") as file:
        file.write(b'\n{"v":1,"torn')
    fold(opened)
    segments.path(opened.journal, 2).touch()
    record(opened, 5)
    fold(opened)
    fold(opened)
    assert held(opened) == in_journal(opened)
    assert database.generations(opened.path) == [1]


def test_the_first_use_of_a_key_is_the_same_after_a_rebuild(home, monkeypatch):
    """A slow writer that uses a key in an older segment, after that was folded from a newer one, changes no answer on rebuild."""
    monkeypatch.setenv("HOLDFAST_SEGMENT_SIZE_BYTES", "600")
    opened = Home(load(None, os.environ, {}))
    slow, fast = opened.writer(fsync_interval_s=0), opened.writer(fsync_interval_s=0)
    slow.append("sdk", b'{"kind":"probe.noted"}')
    key = derived("sdk", "", "K")
    for _ in range(3):
        fast.append("sdk", b'{"kind":"probe.noted","fields":{"text":"%s"}}' % (b"x" * 400))
    fast.append("sdk", b'{"kind":"probe.noted","key":"K","fields":{"from":"fast"}}', record_id=key)
    fold(opened)
    slow.append("sdk", b'{"kind":"probe.noted","key":"K","fields":{"from":"slow"}}', record_id=key)
    slow.close()
    fast.close()
    fold(opened)
    before = told(opened, key)
    assert opened.rebuild()
    assert told(opened, key) == before


# ── leftovers ──


def test_what_an_interrupted_rebuild_left_is_removed(opened):
    """Files of generations that were never published, or not removed to the end, go away by themselves."""
    for name in ("store-0002.db", "store-0003.db-wal", "store-0004.db-shm", "store-0000.db-journal"):
        (opened.path / name).write_bytes(b"leftover")
    fold(opened)
    assert database.generations(opened.path) == [1]
    assert opened.rebuild()
    assert database.generations(opened.path) == [2]
    assert held(opened) == in_journal(opened)


# ── readers beside rebuilds ──

_REBUILD = """
import os, sys
from holdfast.home import Home
from holdfast.settings import load
home = Home(load(None, os.environ, {}))
for _ in range(int(sys.argv[1])):
    assert home.rebuild()
"""


@pytest.mark.slow
def test_readers_do_not_notice_rebuilds(opened):
    """While another process rebuilds again and again, every reader opens a whole store."""
    rebuilding = subprocess.Popen(
        [sys.executable, "-c", _REBUILD, "60"], env=volume.environment(opened.path), stderr=subprocess.PIPE
    )
    expected, looks = in_journal(opened), 0
    while rebuilding.poll() is None:
        assert held(opened) == expected
        looks += 1
    assert rebuilding.stderr is not None
    errors = rebuilding.stderr.read()
    rebuilding.stderr.close()
    assert rebuilding.returncode == 0, errors
    assert looks > 10
    fold(opened)
    assert len(database.generations(opened.path)) == 1


def test_a_generation_that_goes_while_it_is_opened(opened, monkeypatch):
    """A reader whose generation was replaced before its log was open takes the next one."""
    connect = database._connect
    replaced = []

    def replaced_meanwhile(path: Path, flags: int) -> apsw.Connection:
        db = connect(path, flags)
        if not replaced:
            replaced.append(path)
            monkeypatch.setattr(database, "_connect", connect)
            assert opened.rebuild()
        return db

    monkeypatch.setattr(database, "_connect", replaced_meanwhile)
    assert held(opened) == in_journal(opened)
    assert replaced


def test_a_store_that_is_replaced_for_ever(opened, monkeypatch):
    """A reader does not try for ever."""
    numbers = iter(range(2, 10_000))
    monkeypatch.setattr(database, "_linked", lambda _: next(numbers))
    monkeypatch.setattr(database, "current", lambda _: 1)
    with pytest.raises(StoreBusy):
        database.open_reader(opened.path)


def test_there_is_no_store_yet(home):
    """Asking a home that has no store says so."""
    opened = Home(load(None, os.environ, {}))
    with pytest.raises(StoreError, match="no store yet"):
        database.open_reader(opened.path)
    (opened.path / database.LINK).symlink_to("store-0007.db")
    assert database.current(opened.path) is None


# ── the writer's lock ──


_HOLD = """
import sys
from pathlib import Path
from holdfast.store import database
with database.writer_lock(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def test_only_one_writes(opened):
    """Who finds the writer's lock taken is told so, and changes nothing; the kernel frees it with its holder."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(opened.path)],
        env=volume.environment(opened.path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == b"True\n"
    assert opened.catch_up([], wait_ms=0).busy
    holder.kill()
    holder.wait(LIMIT_S)
    holder.stdin.close()
    holder.stdout.close()
    assert not opened.catch_up([], wait_ms=1_000).busy
