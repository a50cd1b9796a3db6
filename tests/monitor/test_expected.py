"""Directories that are not there yet: it is noticed when they come, whatever of the way to them came first."""

from __future__ import annotations

import os
import select
import shutil
import sys

import pytest

from holdfast.monitor import inotify
from holdfast.monitor.expected import Expected
from tests.waiting import LIMIT_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs inotify")


@pytest.fixture
def expected():
    made = Expected()
    yield made
    made.close()


def told(expected):
    """Whether something can be read, and what it says."""
    assert select.select(expected.descriptors, [], [], LIMIT_S)[0]
    return expected.came()


@pytest.mark.parametrize("come", [".claude", ".claude/agents"])
def test_a_directory_that_comes_is_told(expected, tmp_path, come):
    assert not expected.expect([str(tmp_path / ".claude" / "agents")])
    (tmp_path / come).mkdir(parents=True)
    assert told(expected)
    assert not expected.came()
    assert expected.expect([str(tmp_path / ".claude" / "agents")]) is come.endswith("agents")


def test_one_that_is_moved_in_and_one_below_another_are_told(expected, tmp_path):
    (tmp_path / "outside" / "agents").mkdir(parents=True)
    (tmp_path / "p").mkdir()
    wanted = [str(tmp_path / "p" / ".claude" / "agents"), str(tmp_path / "p" / ".codex" / "agents")]
    assert not expected.expect(wanted)
    (tmp_path / "outside").rename(tmp_path / "p" / ".codex")
    assert told(expected)
    assert expected.expect(wanted)


def test_other_names_say_nothing(expected, tmp_path):
    expected.expect([str(tmp_path / ".claude" / "agents")])
    (tmp_path / "other").mkdir()
    assert not told(expected)


def test_a_directory_above_that_goes_away_is_told(expected, tmp_path):
    (tmp_path / "p").mkdir()
    expected.expect([str(tmp_path / "p" / "agents")])
    shutil.rmtree(tmp_path / "p")
    assert told(expected)
    assert not expected.expect([str(tmp_path / "p" / "agents")])
    (tmp_path / "p").mkdir()
    assert told(expected)


def test_what_is_not_waited_for_any_more_is_not_told(expected, tmp_path):
    (tmp_path / "p").mkdir()
    expected.expect([str(tmp_path / "p" / "agents")])
    expected.expect([str(tmp_path / "q" / "agents")])
    expected.came()
    (tmp_path / "p" / "agents").mkdir()
    assert not expected.came()


def test_where_the_system_tells_nothing_it_says_nothing(monkeypatch, tmp_path):
    def refused(_):
        raise OSError("no more")

    monkeypatch.setattr(inotify.Inotify, "__init__", refused)
    expected = Expected()
    assert expected.descriptors == ()
    assert not expected.expect([os.fspath(tmp_path / "agents")])
    assert not expected.came()
    expected.close()
