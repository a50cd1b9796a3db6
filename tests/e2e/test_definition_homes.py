"""What another home recorded of definitions, and an export brought, is that home's: it says nothing of what lies here."""

from __future__ import annotations

import json
import os

import pytest

from tests.e2e import test_definition_history as of_history
from tests.e2e.test_definition_care import faults
from tests.e2e.test_definition_history import CONTENTS, ONE, history, holdfast, looked, qa  # noqa: F401
from tests.e2e.test_definitions import world  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow  # each of these starts the command several times


@pytest.fixture
def imported(world, home, tmp_path, qa, monkeypatch):  # noqa: F811
    """Another home, which saw the first content of `qa` in the same place, and imported what this home recorded of two contents, of `zz` and of a
    snapshot.
    """
    zz = world.agent(world.claude, "zz.md")
    holdfast(world.project, "definitions", "snapshot", "--message", "there")
    exported = tmp_path / "exported.jsonl"
    holdfast(world.project, "export", exported)
    zz.unlink()
    there = (home / "host-id").read_text().strip()
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "another-home"))
    qa.write_bytes(ONE)
    looked(world.project)
    holdfast(world.project, "import", exported)
    return there


def new_boot(tmp_path):
    """Have the index made anew, as after a boot."""
    (tmp_path / "another-home" / "definitions" / "index").unlink()


def test_what_another_home_saw_is_marked_and_is_no_part_of_what_lies_here(world, tmp_path, imported):  # noqa: F811
    new_boot(tmp_path)
    looked(world.project)
    told = [(one["host"], one["version"], one["operation"], one["content"]) for one in history(world.project)]
    assert told == [
        (None, 1, "create", "kept"),
        (imported, None, "create", "kept"),  # the same bytes
        (imported, None, "modify", "elsewhere"),
    ]
    assert [one["host"] for one in history(world.project, "zz")] == [imported]
    assert faults(world.project, 0) == []
    said = holdfast(world.project, "definitions", "history", "qa").decode()
    assert f"seen in another home ({imported[:8]})" in said
    assert "content not here" in said
    assert "damaged" not in said


def test_a_rebuild_and_the_journal_alone_say_the_same(world, tmp_path, imported, qa):  # noqa: F811
    del imported
    before = [one["id"] for one in history(world.project)]
    new_boot(tmp_path)
    qa.write_bytes(CONTENTS["no line end"])
    looked(world.project)
    holdfast(world.project, "rebuild")
    new_boot(tmp_path)
    after = history(world.project)
    assert [one["id"] for one in after[:-1]] == before
    assert [(one["operation"], one["version"]) for one in after if one["host"] is None] == [
        ("create", 1),
        ("modify", 2),
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("qa",), 2, "no version before the last one"),
        (("qa", "--revision", "{other}"), 3, "in another home"),
        (("qa", "--revision", "{other}", "--to", "{to}"), 3, "exports carry none"),
        (("qa", "--revision", "{same}"), 43, "--to"),
        (("zz", "--to", "{to}"), 3, "nothing of it changed here"),
        (("--snapshot", "last"), 3, "no snapshot"),
    ],
)
def test_nothing_is_written_to_a_path_of_another_home(world, tmp_path, imported, qa, words, code, said):  # noqa: F811
    same, other = [one for one in history(world.project) if one["host"] == imported]
    put = {"other": other["sha256"], "same": same["id"], "to": str(tmp_path / "to.md")}
    words = [word.format(**put) for word in words]
    told = holdfast(world.project, "restore", "definition", *words, "--yes", code=code)
    assert said in told
    assert qa.read_bytes() == ONE
    assert not (tmp_path / "to.md").exists()


def test_what_is_here_too_can_be_written_elsewhere(world, tmp_path, imported):  # noqa: F811
    same = next(one for one in history(world.project) if one["host"] == imported)
    to = tmp_path / "to.md"
    of_history.restored(world.project, "--revision", same["id"], "--to", str(to))
    assert to.read_bytes() == ONE


def test_snapshots_are_each_homes_own(world, imported):  # noqa: F811
    listed = json.loads(holdfast(world.project, "definitions", "snapshots", "--json"))["snapshots"]
    assert [(one["message"], one["host"]) for one in listed] == [("there", imported)]
    [foreign] = listed
    named = ("restore", "definition", "--snapshot", foreign["id"], "--yes")
    done = json.loads(_output(world, *named, "--json"))
    assert (done["definitions"], len(done["left"])) == ([], 2)
    holdfast(world.project, "definitions", "snapshot", "--message", "here")
    last = json.loads(holdfast(world.project, "definitions", "snapshots", "last", "--json"))["snapshots"]
    assert [(one["message"], one["host"]) for one in last] == [("here", None)]


def _output(world, *words):  # noqa: F811
    """What is printed by a command that fails."""
    done = of_history.warm.run_holdfast(
        words, stdin=b"", env=dict(os.environ), cwd=world.project, limit_s=of_history.RUN_LIMIT_S
    )
    assert done.returncode == 26, done.stderr
    return done.stdout


def test_a_purge_counts_what_lies_here_alone(world, home, tmp_path, imported, qa):  # noqa: F811
    del home, imported
    qa.write_bytes(CONTENTS["no line end"])
    looked(world.project)
    removed = json.loads(
        holdfast(world.project, "definitions", "purge", "--older-than", "0", "--yes", "--json")
    )["removed"]
    assert len(removed) == 1
    assert len(list((tmp_path / "another-home" / "definitions" / "texts").iterdir())) == 1


def test_a_definition_that_lies_in_another_home_alone_is_not_told_as_unused(world, imported):  # noqa: F811
    del imported
    said = json.loads(holdfast(world.project, "--json"))["definitions"]["never_used"]
    assert {one["name"] for one in said} == {"qa"}
