"""What is true of an attempt, while it changes as it is looked at."""

from __future__ import annotations

import json
import os

import pytest

from holdfast import processes
from holdfast.supervise import look

BOOT = processes.boot_id() or "unknown"
CHILD = {"pid": os.getpid(), "start_ticks": 1, "boot_id": BOOT, "started_us": 5, "shim_pid": 1}
END = {"exit_code": 4, "signal": None, "ended_us": 7}


@pytest.fixture
def room(tmp_path):
    path = tmp_path / "0123456789ab" / "0001"
    path.mkdir(parents=True)
    (path / "start.json").write_text("{}")
    return path


def write(room, name, said):
    (room / name).write_text(json.dumps(said))


@pytest.mark.parametrize("begun_before", [True, False])
def test_an_end_that_comes_between_two_of_its_files_is_seen_at_the_second_look(
    room, begun_before, monkeypatch
):
    """Its lock was free already, and its end was not there yet; or nothing of it was."""
    if begun_before:
        write(room, "child.json", CHILD)
    asked = look._read

    def late(path):
        found = asked(path)
        if path.name == "exit.json" and found is None:
            write(room, "child.json", CHILD)
            write(room, "exit.json", END)
        return found

    monkeypatch.setattr(look, "_read", late)
    found = look.life(room.parent, 1)
    assert (found.state, found.exit_code, found.pid) == ("exited", 4, os.getpid())


def test_what_is_the_same_at_both_looks_is_so(room):
    assert look.life(room.parent, 1).state == "never_started"
    write(room, "child.json", CHILD)
    assert look.life(room.parent, 1).state == "lost"
    write(room, "exit.json", END)
    assert look.life(room.parent, 1).state == "exited"
