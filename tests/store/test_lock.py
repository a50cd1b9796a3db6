"""The writer's lock, and what its holder says in it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import pytest

from holdfast import processes
from holdfast.release import __version__
from holdfast.store import database, lock


def test_the_holder_says_who_it_is_until_it_leaves(tmp_path):
    with database.writer_lock(tmp_path, doing="fold") as mine:
        assert mine
        found = lock.holder(tmp_path)
        assert found is not None
        assert (found.pid, found.started_ticks, found.boot) == processes.mine()
        assert (found.holdfast, found.doing, found.percent) == (__version__, "fold", None)
        assert (found.schema, found.projection) == (database.SCHEMA_VERSION, database.PROJECTION_VERSION)
        database.tell(tmp_path, "fold", 430, 1_000)
        found = lock.holder(tmp_path)
        assert found is not None
        assert found.percent == 43
    assert lock.holder(tmp_path) is None
    assert (tmp_path / lock.NAME).read_bytes() == b""


def test_a_holder_that_was_killed_is_not_named(tmp_path):
    """What it said stays in the file, but is believed only of a process that lives, in this boot, since that moment."""
    hold = "import os,sys; from pathlib import Path; from holdfast.store import database\nwith database.writer_lock(Path(sys.argv[1])): os._exit(0)"
    subprocess.run([sys.executable, "-c", hold, str(tmp_path)], check=True)
    said = json.loads((tmp_path / lock.NAME).read_bytes())
    assert lock.holder(tmp_path) is None
    me = processes.mine()
    for change, named in (
        ({"pid": me.pid, "started_ticks": me.started_ticks}, True),
        ({"pid": me.pid, "started_ticks": (me.started_ticks or 0) + 1}, me.started_ticks is None),
        ({"pid": me.pid, "started_ticks": me.started_ticks, "boot": "another"}, False),
    ):
        (tmp_path / lock.NAME).write_text(json.dumps(said | change))
        assert (lock.holder(tmp_path) is not None) == named


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff\xfe", b" " * 512])
def test_a_holder_that_says_nothing_sensible_is_not_named(tmp_path, said):
    (tmp_path / lock.NAME).write_bytes(said)
    assert lock.holder(tmp_path) is None


def test_who_does_not_get_the_lock_leaves_what_its_holder_said(tmp_path):
    with database.writer_lock(tmp_path):
        before = (tmp_path / lock.NAME).read_bytes()
        with database.writer_lock(tmp_path, wait_ms=20) as mine:
            assert not mine
        assert (tmp_path / lock.NAME).read_bytes() == before


def test_a_disk_that_is_full_keeps_nobody_from_working(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with database.writer_lock(tmp_path) as mine:
        assert mine
        assert lock.holder(tmp_path) is None


def test_a_word_too_many_is_not_said(tmp_path):
    with database.writer_lock(tmp_path):
        before = (tmp_path / lock.NAME).read_bytes()
        database.tell(tmp_path, "x" * 600)
        assert (tmp_path / lock.NAME).read_bytes() == before


def test_every_word_has_the_same_length(tmp_path):
    with database.writer_lock(tmp_path):
        for done in (0, 10**6, 10**15, 1):
            database.tell(tmp_path, "fold", done, 10**15)
            assert (tmp_path / lock.NAME).stat().st_size == 512
            found = lock.holder(tmp_path)
            assert found is not None
            assert found.done_bytes == done


def test_an_older_holder_is_told_by_its_numbers(tmp_path):
    with database.writer_lock(tmp_path):
        found = lock.holder(tmp_path)
        assert found is not None
        assert not database.is_older(found)
        for older in ({"schema": 0}, {"projection": 0}):
            said = json.loads((tmp_path / lock.NAME).read_bytes()) | older
            (tmp_path / lock.NAME).write_text(json.dumps(said))
            other = lock.holder(tmp_path)
            assert other is not None
            assert database.is_older(other)
