"""One life of one process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from holdfast import processes


def test_this_process_lives():
    assert processes.mine().pid == os.getpid()
    assert processes.is_alive(processes.mine())


@pytest.mark.parametrize("collected", [True, False])
def test_a_process_that_ended_does_not_live(collected):
    """Also one that nobody has waited for yet."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    who = processes.Identity(child.pid, processes.started_ticks(child.pid), processes.boot_id())
    assert processes.is_alive(who)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    if collected:
        child.wait()
    else:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    if collected or who.started_ticks is not None:
        assert not processes.is_alive(who)
    child.wait()
    child.stdout.close()


def test_another_life_of_the_same_number_is_another_process():
    me = processes.mine()
    assert not processes.is_alive(me._replace(boot="another"))
    if me.started_ticks is not None:
        assert not processes.is_alive(me._replace(started_ticks=me.started_ticks + 1))


def test_where_starts_are_not_told_the_number_decides(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    me = processes.mine()
    assert (me.started_ticks, me.boot) == (None, None)
    assert processes.is_alive(me)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not processes.is_alive(me._replace(pid=child.pid))


def test_a_process_of_another_user_lives(monkeypatch, tmp_path):
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(processes, "_PROC", tmp_path)
    monkeypatch.setattr(os, "kill", refuse)
    assert processes.is_alive(processes.mine())
