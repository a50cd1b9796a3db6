"""What happened to definitions, seen by the next command: each change once, with the right kind, whatever was killed when."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.definitions import ledger
from holdfast.home import Home
from holdfast.journal import digested
from holdfast.settings import load
from holdfast.store import definitions
from tests.conftest import RUN_LIMIT_S
from tests.e2e.test_definitions import hold, world  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow  # each of these starts the command several times


def revisions(name):
    """Every revision of a name, as it is recorded."""
    opened = Home(load(None, os.environ, {}))
    assert opened.catch_up([]).done
    with contextlib.closing(opened.reader()) as db:
        return definitions.of_name(db, name)


def told(name):
    return [(one.operation, Path(one.path).name) for one in revisions(name)]


def assert_unbroken(found):
    """Each revision begins with what the one before of the same file left."""
    by_id = {one.id: one for one in found}
    for one in found:
        before = by_id.get(one.previous)
        if before is None:
            assert one.before_sha256 is None
        elif before.path == (one.path_before or one.path):
            assert one.before_sha256 == before.sha256
        else:  # it was moved away from here
            assert one.before_sha256 is None


def test_each_change_is_recorded_once_by_the_next_command(world):  # noqa: F811 - the fixture
    path = world.agent(world.project / ".claude", "qa.md")
    look = lambda: hold(world.project, "list")  # noqa: E731
    look()
    look()
    path.write_text(path.read_text() + "More.\n")
    look()
    other = path.rename(path.with_name("moved.md"))
    look()
    other.touch()
    look()
    other.unlink()
    look()
    world.agent(world.project / ".claude", "qa.md")
    look()
    assert told("qa") == [
        ("create", "qa.md"),
        ("modify", "qa.md"),
        ("rename", "moved.md"),
        ("delete", "moved.md"),
        ("restore", "qa.md"),
    ]
    assert_unbroken(revisions("qa"))


@pytest.mark.parametrize("point", ["pending", "recorded", "indexed"])
def test_a_look_that_is_killed_records_a_change_once(world, home, point):  # noqa: F811
    path = world.agent(world.project / ".claude", "qa.md")
    hold(world.project, "list")
    path.write_text(path.read_text() + "More.\n")
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "definitions"],
        cwd=world.project,
        env=os.environ | {"HOLDFAST_FAILPOINTS": f"definition.{point}=kill"},
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    path.write_text(path.read_text() + "And more.\n")
    hold(world.project, "list")
    assert told("qa") == [("create", "qa.md"), ("modify", "qa.md"), ("modify", "qa.md")]
    assert_unbroken(revisions("qa"))
    assert digested.is_empty(home / "definitions" / "pending")


@pytest.mark.parametrize("harm", ["gone", "torn", "of another boot", "of another version"])
def test_an_index_that_is_no_use_is_made_from_what_is_recorded(world, home, harm):  # noqa: F811
    path = world.agent(world.project / ".claude", "qa.md")
    hold(world.project, "list")
    index = home / "definitions" / "index"
    if harm == "gone":
        index.unlink()
    elif harm == "torn":
        os.truncate(index, 50)
    else:
        found = digested.read(index, ledger.Index)
        if harm == "of another boot":
            found.boot = "another"
        else:
            found.version -= 1
        found.known = {}
        digested.write(index, found)
    hold(world.project, "list")
    path.write_text(path.read_text() + "More.\n")
    hold(world.project, "list")
    assert told("qa") == [("create", "qa.md"), ("modify", "qa.md")]
    assert_unbroken(revisions("qa"))


def test_a_file_to_which_links_lead_from_two_projects_is_one(world, tmp_path):  # noqa: F811
    shared = world.agent(tmp_path / "shared", "qa.md")
    others = [world.project, world.user / "other"]
    for project in others:
        (project / ".claude" / "agents").mkdir(parents=True)
        (project / ".claude" / "agents" / "qa.md").symlink_to(shared)
        hold(project, "list")
    for number, project in enumerate(others):
        shared.write_text(shared.read_text() + f"More {number}.\n")
        hold(project, "list")
    assert told("qa") == [("create", "qa.md"), ("modify", "qa.md"), ("modify", "qa.md")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look through everything")
def test_a_directory_that_may_not_be_looked_through_is_not_empty(world):  # noqa: F811
    path = world.agent(world.project / ".claude", "qa.md")
    hold(world.project, "list")
    path.parent.chmod(0)
    hold(world.project, "list")
    path.parent.chmod(0o700)
    hold(world.project, "list")
    assert told("qa") == [("create", "qa.md")]


def swap(_, path):
    other = path.with_name("other.md")
    aside = path.rename(path.with_name("aside"))
    other.rename(path)
    aside.rename(other)


def bring_back(there, path):
    content = path.read_bytes()
    path.write_bytes(content + b"More.\n")
    hold(there.project, "list")
    path.write_bytes(content)


def remove_and_put_again(there, path):
    content = path.read_bytes()
    path.unlink()
    hold(there.project, "list")
    path.write_bytes(content)


def move_and_bring_back(there, path):
    content = path.read_bytes()
    moved = path.rename(path.with_name("moved.md"))
    hold(there.project, "list")
    moved.write_bytes(content + b"More.\n")
    hold(there.project, "list")
    moved.write_bytes(content)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda there, path: there.agent(there.claude, "qa.md"), ["create"]),
        (lambda _, path: path.with_name("copy.md").write_bytes(path.read_bytes()), ["create"]),
        (swap, ["modify", "modify"]),
        (bring_back, ["modify", "restore"]),
        (remove_and_put_again, ["delete", "restore"]),
        (move_and_bring_back, ["rename", "modify", "restore"]),
    ],
    ids=["copied to the user's", "copied", "two change places", "as before", "put again", "as before it was moved"],
)  # fmt: skip
@pytest.mark.parametrize("index", ["kept", "made anew"])
def test_only_what_a_file_had_before_comes_back(world, home, act, expected, index):  # noqa: F811
    path = world.agent(world.project / ".claude", "qa.md")
    world.agent(world.project / ".claude", "other.md", body="Another text.\n")
    hold(world.project, "list")
    act(world, path)
    if index == "made anew":
        (home / "definitions" / "index").unlink()
    hold(world.project, "list")
    found = {one.id: one.operation for name in ("qa", "other") for one in revisions(name)}
    assert sorted(found.values()) == sorted(["create", "create", *expected])
    assert_unbroken(revisions("qa"))


def test_a_project_that_moved_is_the_same(world):  # noqa: F811
    world.agent(world.project / ".claude", "qa.md")
    hold(world.project, "list")
    moved = world.project.rename(world.user / "moved")
    hold(moved, "list")
    assert told("qa") == [("create", "qa.md"), ("rename", "qa.md")]
