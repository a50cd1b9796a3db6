"""Contents of definitions are checked by `doctor`, removed by `definitions purge`, and go with the home."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from holdfast.definitions import ledger
from holdfast.journal import digested
from tests.conftest import RUN_LIMIT_S
from tests.e2e.test_definition_history import ONE, asked, history, holdfast, looked, qa, restored  # noqa: F401
from tests.e2e.test_definitions import world  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow  # each of these starts the command several times


def texts(home):
    return {path.name for path in (home / "definitions" / "texts").iterdir()}


def purged(cwd, *args):
    return asked(cwd, "definitions", "purge", "--older-than", *args)


# ── purge ──


def test_only_what_lies_nowhere_and_is_in_no_snapshot_is_removed(world, home, qa):  # noqa: F811
    holdfast(world.project, "definitions", "snapshot")
    for number in range(3):
        qa.write_bytes(ONE + b"%d\n" % number)
        looked(world.project)
    other = world.agent(world.claude, "other.md")
    looked(world.project)
    other.unlink()
    undecided = ledger.Texts(home / "definitions" / "texts").keep(b"of something that is not decided yet")
    *_, last = found = history(world.project)
    in_snapshot = found[1]["sha256"]
    before = texts(home)
    assert purged(world.project, "1", "--yes")["removed"] == []
    planned = purged(world.project, "0", "--dry-run")
    said = holdfast(world.project, "definitions", "purge", "--older-than", "0", code=2)
    assert "nobody can be asked here" in said
    assert texts(home) == before
    done = purged(world.project, "0", "--yes")
    assert done["removed"] == planned["removed"]
    assert texts(home) == {in_snapshot, last["sha256"], undecided}
    assert [one["content"] for one in history(world.project)] == [
        "removed",
        "kept",
        "removed",
        "removed",
        "kept",
    ]
    assert "removed for good" in holdfast(world.project, "definitions", "diff", "qa", "1", "2", code=3)
    assert "removed for good" in holdfast(
        world.project, "restore", "definition", "qa", "--revision", "1", "--yes", code=3
    )
    assert b"content removed" in holdfast(world.project, "definitions", "history", "qa")
    holdfast(world.project, "doctor")
    qa.write_bytes(ONE)  # what is seen again is kept again
    looked(world.project)
    assert history(world.project)[0]["content"] == "kept"


def test_a_purge_that_is_killed_says_no_less_than_it_did(world, home, qa):  # noqa: F811
    qa.write_bytes(ONE + b"Another.\n")
    looked(world.project)
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "definitions", "purge", "--older-than", "0", "--yes"],
        cwd=world.project,
        env=os.environ | {"HOLDFAST_FAILPOINTS": "definition.purging=kill"},
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(texts(home)) == 3
    assert [one["content"] for one in history(world.project)] == ["kept"] * 3
    assert len(purged(world.project, "0", "--yes")["removed"]) == 2
    holdfast(world.project, "doctor")


# ── doctor ──


def faults(cwd, code):
    said = json.loads(holdfast_out(cwd, "doctor", "--json", code=code))
    return [
        (one["severity"], one["what"])
        for one in said["findings"]
        if "definition" in one["where"] or "/qa" in one["where"]
    ]


def holdfast_out(cwd, *args, code):
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", *args],
        cwd=cwd,
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def damage(home, harm, sha256):
    texts_of, index = home / "definitions" / "texts", home / "definitions" / "index"
    if harm == "a flipped bit":
        content = bytearray((texts_of / sha256).read_bytes())
        content[3] ^= 1
        (texts_of / sha256).write_bytes(content)
    elif harm == "a missing content":
        (texts_of / sha256).unlink()
    elif harm == "another index":
        found = digested.read(index, ledger.Index)
        found.known = {}
        digested.write(index, found)
    elif harm == "what was set aside":
        (home / "definitions" / "pending.damaged").touch(mode=0o600)
    elif harm == "what was not recorded":
        digested.write(home / "definitions" / "pending", ledger.Pending([]))
    elif harm == "a content in the making":
        (texts_of / ".writing-01a20000-0000-7000-8000-000000000000").touch(mode=0o600)


@pytest.mark.parametrize(
    ("harm", "code", "said"),
    [
        ("none", 0, None),
        ("a flipped bit", 40, "is damaged"),
        ("a missing content", 40, "that qa had is missing"),
        ("another index", 40, "does not say what is recorded"),
        ("what was set aside", 0, "was set aside"),
        ("what was not recorded", 0, "were about to be recorded"),
        ("a content in the making", 0, "before it was complete"),
    ],
)
def test_the_doctor_compares_what_is_kept_with_what_is_recorded(world, home, qa, harm, code, said):  # noqa: F811
    del qa
    sha256 = history(world.project)[0]["sha256"]
    damage(home, harm, sha256)
    found = faults(world.project, code)
    assert [severity for severity, _ in found] == (["fault"] if code else ["notice"] if said else [])
    assert said is None or said in found[0][1]


@pytest.mark.parametrize("lost", ["definitions", "definitions/texts", "one text", "a damaged text"])
def test_what_lies_there_is_kept_again(world, home, qa, lost):  # noqa: F811
    """So that the next edit takes nothing away, and the doctor's remedy works."""
    last = history(world.project)[-1]["sha256"]
    if lost == "one text":
        damage(home, "a missing content", last)
    elif lost == "a damaged text":
        damage(home, "a flipped bit", last)
        qa.write_bytes(qa.read_bytes())
    else:
        shutil.rmtree(home / lost)
    looked(world.project)
    content = qa.read_bytes()
    qa.write_bytes(ONE + b"Another.\n")
    looked(world.project)
    restored(world.project)
    assert qa.read_bytes() == content
    assert [one["operation"] for one in history(world.project)] == ["create", "modify", "modify", "restore"]


# ── redaction ──


def test_what_redaction_would_take_out_of_paths_and_names_stays(world, home):  # noqa: F811
    """By these a file is found: after a boot too, and after what is recorded was redacted by new rules."""
    project = world.project / "ann.smith@corp.com"
    (project / ".git").mkdir(parents=True)
    path = project / ".claude" / "agents" / "badge no. 123-456789.md"
    path.parent.mkdir(parents=True)
    holdfast(project, "redact", "emails", "on")
    for text in (b"1", b"2"):
        path.write_bytes(b"---\nname: bob@corp.com\ndescription: d\n---\nAsk carl@corp.com. %b\n" % text)
        looked(project)
    (home / "definitions" / "index").unlink()  # as after a boot
    looked(project)
    own = ("--kind", "badge", "--pattern", "badge no\\. (?P<secret>[0-9]{3}-[0-9]{6})")
    holdfast(project, "redact", "add", *own)
    holdfast(project, "definitions", "snapshot", "--message", "of badge no. 987-654321")
    asked(project, "redact", "apply", "--yes")
    (home / "definitions" / "index").unlink()
    asked(project, "restore", "definition", "bob@corp.com", "--yes")
    assert path.read_bytes().endswith(b" 1\n")
    found = history(project, "bob@corp.com")
    assert [(one["operation"], one["path"], one["root"]) for one in found] == [
        (operation, str(path), str(path.parent)) for operation in ("create", "modify", "restore")
    ]
    [taken] = asked(project, "definitions", "snapshots")["snapshots"]
    assert "[REDACTED:badge:" in taken["message"]
    assert faults(project, 0) == []


def test_nothing_is_written_to_a_path_that_redaction_made(world, home, qa, tmp_path):  # noqa: F811
    """As homes have it that were redacted before paths stayed."""
    place = tmp_path / "[REDACTED:email:04e0]" / ".claude" / "agents" / "old.md"
    told = {"name": "old", "operation": "create", "tool": "claude", "tier": "project"}
    told |= {"path": str(place), "root": str(place.parent), "hash_after": history(world.project)[0]["sha256"]}
    event = {"kind": "definition.revised", "session": "holdfast.definitions", "fields": told}
    subprocess.run(
        [sys.executable, "-m", "holdfast", "record"],
        input=json.dumps(event).encode(),
        check=True,
        capture_output=True,
    )
    words = ("restore", "definition", "old", "--revision", "1", "--yes")
    assert "--to" in holdfast(world.project, *words, code=43)
    assert not place.exists()
    to = tmp_path / "old.md"
    holdfast(world.project, *words, "--to", str(to))
    assert to.read_bytes() == ONE
    del home, qa


# ── leaving, and what takes nothing along ──


def test_a_purge_of_the_home_leaves_nothing_of_definitions(world, home, qa):  # noqa: F811
    del qa
    damage(home, "what was set aside", "")
    damage(home, "a content in the making", "")
    holdfast(world.project, "uninstall", "--purge", "--yes")
    assert not home.exists()


def test_no_text_is_in_an_export_and_no_session_takes_revisions_along(world, home, tmp_path, qa):  # noqa: F811
    del qa
    out = tmp_path / "out.jsonl"
    holdfast(world.project, "export", out)
    assert b"definition.revised" in out.read_bytes()
    assert b"Look at what was changed" not in out.read_bytes()
    (tmp_path / "said").write_text("")
    subprocess.run(
        [sys.executable, "-m", "holdfast", "record"],
        input=b'{"kind": "note", "fields": {"text": "x"}}\n', check=True, capture_output=True,
    )  # fmt: skip
    holdfast(world.project, "forget", "default", "--yes")
    assert len(history(world.project)) == 2
