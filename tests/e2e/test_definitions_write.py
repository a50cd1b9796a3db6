"""Definitions are written with the command: only over what was read, only where that may be, and each change is recorded once."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path
from typing import NamedTuple

import pytest

import holdfast
from holdfast import door, errors
from holdfast.cli.app import main
from holdfast.definitions.parse import MOST_BYTES
from holdfast.home import Home
from holdfast.journal import digested
from holdfast.settings import load
from holdfast.store import definitions
from tests.conftest import RUN_LIMIT_S
from tests.e2e.test_definitions import BODY, world  # noqa: F401 - a fixture
from tests.e2e.test_revisions import assert_unbroken, revisions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("world"),
]  # each of these starts the command several times


def sha(content):
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


def text(body="Look.", name="qa", **more):
    head = "".join(
        f"{key}: {value}\n" for key, value in ({"name": name, "description": "Reads changes"} | more).items()
    )
    return f"---\n{head}---\n{body}\n"


class Hand:
    """Somebody who writes definitions in a project."""

    def __init__(self, world):  # noqa: F811 - the fixture's value
        self.world, self.project = world, world.project

    def __call__(self, *args, given="", code=0, cwd=None, of=("definitions",), **env):
        """Run the command; what it prints, and where it fails what it says. It runs in this process: one of its own costs ten times as much."""
        streams = [io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8")]
        streams += [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
        threshold = gc.get_threshold()
        with pytest.MonkeyPatch.context() as patched:
            for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
                patched.setattr(sys, name, stream)
            for name, value in env.items():
                patched.setenv(name, value)
            patched.chdir(cwd or self.project)
            with pytest.raises(SystemExit) as ended:
                main([*of, *map(str, args)])
        gc.set_threshold(*threshold)
        door.close()
        out, said = (stream.buffer.getvalue().decode() for stream in streams[1:])
        assert (ended.value.code or 0) == code, (out, said)
        return said if code else out

    def ask(self, *args, given="", **env):
        return json.loads(self(*args, "--json", given=given, **env))

    def put(self, name, content, base, *args, **more):
        return self("put", name, "--base", base, *args, given=content, **more)

    def state(self, name="qa"):
        [one] = self.ask("show", name)["definitions"]
        return one["state"]

    def conflict(self, *args):
        """The only one."""
        [one] = self.ask("conflicts", *args)["conflicts"]
        return one

    def file(self, tier="project", name="qa.md"):
        root = self.world.claude if tier == "user" else self.project / ".claude"
        return root / "agents" / name


@pytest.fixture
def hand(world):  # noqa: F811 - the fixture
    return Hand(world)


@pytest.fixture
def qa(hand):
    """A definition in the project."""
    hand("create", "qa", "--from", "-", given=text())
    return hand.file()


def told(name="qa"):
    return [(one.operation, one.tier, one.own) for one in revisions(name)]


# ── each act ──


def test_a_life_is_one_history(hand):
    hand("create", "qa", "--from", "-", "--reason", "we need it", "--author", "ann", given=text("one"))
    path = hand.file()
    hand.put("qa", text("two"), sha(text("one")), "--reason", "better")
    hand("edit", "qa", VISUAL="sed -i s/two/three/")
    assert hand("migrate", "qa", "--to", "user").startswith("moved  ")
    hand("replicate", "qa", "--to", "project")
    hand("delete", "qa", "--strategy", "distributed")
    assert "it was deleted" in hand("show", "qa", code=3)
    hand("create", "qa", "--from", "-", given=text("four"))
    found = revisions("qa")
    assert [(one.operation, one.tier) for one in found] == [
        ("create", "project"), ("modify", "project"), ("modify", "project"), ("rename", "user"), ("restore", "project"),
        ("delete", "project"), ("delete", "user"), ("create", "project"),
    ]  # fmt: skip
    assert_unbroken(found)
    assert all(one.own for one in found)
    assert [(one.author, one.author_grade, one.reason) for one in found[:2]] == [
        ("ann", "observed", "we need it"),
        (found[1].author, "observed", "better"),
    ]
    assert found[5].batch == found[6].batch is not None
    assert path.read_text() == text("four")


def test_what_we_write_is_recorded_once(hand, qa):
    """The next look, by whomever, finds nothing new."""
    for body in ("two", "Look."):
        hand.put("qa", text(body), sha(qa.read_bytes()))
        hand("list")
    assert told() == [("create", "project", True), ("modify", "project", True), ("restore", "project", True)]


def test_what_is_said_is_what_is_recorded(hand, qa):
    hand.put("qa", text("two"), sha(text()))
    assert hand.put("qa", text(), sha(text("two"))).startswith("restored  ")
    hand("delete", "qa")
    assert hand("create", "qa", "--from", "-", given=text("two")).startswith("restored  ")
    assert [operation for operation, *_ in told()] == ["create", "modify", "restore", "delete", "restore"]


def test_what_is_said_of_a_write_is_what_the_history_says(hand, qa):
    assert hand("delete", "qa").startswith("removed  .claude/agents/qa.md (qa, project)\n")
    restored = hand("create", "qa", "--from", "-", "--author", "ann", given=text())
    assert restored.startswith("restored  .claude/agents/qa.md (qa, project)\n")
    *_, done, who = hand("history", "qa", "--limit", "1").split("\n\n")[0].splitlines()
    assert "  restored  " in done
    assert who.strip() == "by ann"
    assert qa.read_text() == text()


def test_what_somebody_else_changed_before_is_recorded_as_theirs(hand, qa):
    qa.write_text(text("theirs"))
    hand.put("qa", text("ours"), sha(text("theirs")))
    assert told() == [("create", "project", True), ("modify", "project", False), ("modify", "project", True)]
    assert_unbroken(revisions("qa"))


def test_a_new_one_says_what_to_write(hand):
    for number, tool in enumerate(("claude", "codex")):
        name = f"new-{number}"
        [made] = hand.ask("create", name, "--tool", tool)["files"]
        assert (made["validity"], made["operation"]) == ("valid", "create")
        assert made["counts"] == (True if tool == "claude" else made["counts"])
        assert hand.ask("show", name)["definitions"][0]["state"] == "active"
    for name in ("true", "null", "123", "0x1f"):  # words that YAML takes for something else than text
        [made] = hand.ask("create", name)["files"]
        assert (made["name"], made["validity"], made["findings"]) == (name, "valid", [])
    [made] = hand.ask(
        "create",
        "näher dran: ja",
        "--tool",
        "custom",
        HOLDFAST_DEFINITION_ROOTS='{"team": ["~/team", "user"]}',
    )["files"]
    assert made["path"].endswith("/team/näher dran- ja.md")
    assert (made["name"], made["validity"]) == ("näher dran: ja", "valid")


def test_files_of_names_that_look_alike_can_lie_in_every_file_system(hand):
    """One that does not tell case or forms of a letter apart would take them for one."""
    names = ("foo", "Foo", unicodedata.normalize("NFC", "bär"), unicodedata.normalize("NFD", "bär"))
    files = [Path(one["path"]).name for name in names for one in hand.ask("create", name)["files"]]
    assert files == ["foo.md", "Foo-2.md", f"{names[2]}.md", f"{names[3]}-2.md"]


def test_a_text_comes_through_a_pipe_that_has_a_name(hand):
    """As of `--from <(command)`, or /dev/stdin."""
    for name, body in (("one", "Look."), ("two", "x" * (MOST_BYTES + 1))):
        reading, writing = os.pipe()
        writer = threading.Thread(target=_write_all, args=(writing, text(body, name).encode()))
        writer.start()
        hand("create", name, "--from", f"/dev/fd/{reading}", code=0 if name == "one" else 2)
        os.close(reading)
        writer.join()
    assert hand.file(name="one.md").read_text() == text("Look.", "one")
    assert not hand.file(name="two.md").exists()


def _write_all(fd, content):
    with contextlib.suppress(BrokenPipeError), os.fdopen(fd, "wb") as file:
        file.write(content)


def test_nothing_is_written_where_nothing_changes(hand, qa):
    before = qa.stat()
    [same] = hand.ask("put", "qa", "--base", sha(qa.read_bytes()), given=text())["files"]
    assert (same["operation"], same["revision"], same["sha256"]) == (None, None, sha(text()))
    assert "unchanged" in hand.put("qa", text(), "0" * 64)
    assert "unchanged" in hand("edit", "qa", EDITOR="true")
    assert qa.stat().st_mtime_ns == before.st_mtime_ns
    assert told() == [("create", "project", True)]


@pytest.mark.parametrize("word", [[], ["read-only"]], ids=["written", "read-only"])
def test_a_system_root_of_your_own_is_written_unless_it_is_read_only(hand, tmp_path, word):
    kit = tmp_path / "kit"
    kit.mkdir()
    roots = {"HOLDFAST_DEFINITION_ROOTS": json.dumps({"kit": [str(kit), "system", *word]})}
    words = ("create", "qa", "--tool", "custom", "--strategy", "system_fallback")
    said = hand(*words, code=43 if word else 0, **roots)
    assert [path.name for path in kit.iterdir()] == ([] if word else ["qa.md"])
    assert ("qa is not written" in said) == bool(word)


def test_rights_and_links_stay(hand, qa, tmp_path):
    qa.chmod(0o640)
    with contextlib.suppress(OSError):  # not every file system has them
        os.setxattr(qa, "user.seen", b"yes")
    attributes = os.listxattr(qa)
    hand.put("qa", text("two"), sha(text()))
    assert stat.S_IMODE(qa.stat().st_mode) == 0o640
    assert os.listxattr(qa) == attributes
    elsewhere = tmp_path / "dotfiles.md"
    qa.replace(elsewhere)
    qa.symlink_to(elsewhere)
    assert f"(→ {elsewhere})" in hand.put("qa", text("three"), sha(text("two")))
    assert (qa.is_symlink(), elsewhere.read_text()) == (True, text("three"))
    assert_unbroken(revisions("qa"))


def test_a_copy_of_what_nobody_may_write_can_be_written(hand, qa):
    qa.chmod(0o444)
    hand("replicate", "qa", "--to", "user")
    assert stat.S_IMODE(hand.file("user").stat().st_mode) == 0o644
    hand("delete", "qa", "--tier", "user")


@pytest.mark.parametrize(
    "act", [("delete", "qa"), ("migrate", "qa", "--to", "user")], ids=["delete", "migrate"]
)
def test_a_link_and_what_it_leads_to_stay_where_they_are(hand, qa, tmp_path, act):
    elsewhere = tmp_path / "dotfiles.md"
    qa.replace(elsewhere)
    qa.symlink_to(elsewhere)
    said = hand(*act, code=43)
    assert (f"is a link to {elsewhere}" in said, f"rm {qa}" in said) == (True, True)
    assert (qa.is_symlink(), elsewhere.read_text()) == (True, text())
    elsewhere.unlink()
    for words in (act, ("create", "qa")):
        said = hand(*words, code=43)
        assert ("a link to" in said, f"rm {qa}" in said) == (True, True)
    assert not hand.file("user").exists()


def test_a_file_that_lies_in_both_tiers_is_not_moved(hand):
    """One directory, reached from both."""
    agents = hand.file("user").parent
    agents.mkdir()
    (hand.project / ".claude").mkdir()
    (hand.project / ".claude" / "agents").symlink_to(agents)
    hand("create", "qa", "--from", "-", given=text())
    for tier in ("user", "project"):
        assert f"lies in the tier {tier} already" in hand("migrate", "qa", "--to", tier, code=2)
    assert hand.file("user").read_text() == text()


def test_an_editor_that_fails_or_meets_a_conflict_loses_no_word(hand, qa):
    said = hand("edit", "qa", code=1, EDITOR="sh -c 'echo mine >> $0; exit 3'")
    copy = said.rpartition("your text is in ")[2].strip()
    assert Path(copy).read_text() == text() + "mine\n"
    assert stat.S_IMODE(Path(copy).stat().st_mode) == 0o600
    assert qa.read_text() == text()
    script = f"sh -c 'echo mine >> $0; echo theirs >> {qa}'"
    assert "nothing was written" in hand("edit", "qa", code=44, EDITOR=script)
    assert qa.read_text() == text() + "theirs\n"
    assert "mine\n" in hand("conflicts", hand.conflict()["id"], "--merged")
    assert "cannot be started" in hand("edit", "qa", code=2, EDITOR="no-such-editor")


def test_what_an_editor_leaves_beside_is_taken_away(hand, qa, home):
    hand("edit", "qa", EDITOR="sh -c 'mkdir -p ${0%/*}/undo/tree; echo more >> $0; echo x > $0~'")
    assert qa.read_text() == text() + "more\n"
    assert list((home / "definitions" / "editing").iterdir()) == []


def test_an_interrupt_is_for_the_editor(hand, qa):
    """As with git: the key that interrupts goes to both, and only the editor knows what it means."""
    assert _edit(hand, "sh -c 'kill -INT $PPID; kill -QUIT $PPID; echo more >> $0'").returncode == 0
    assert qa.read_text() == text() + "more\n"


def test_copies_that_a_kill_left_behind_are_told(hand, qa, home):
    assert _edit(hand, "sh -c 'echo mine >> $0; kill -KILL $PPID'").returncode == -signal.SIGKILL
    [copy] = (home / "definitions" / "editing").glob("*/qa.md")
    assert copy.read_text() == text() + "mine\n"
    said = _edit(hand, "sh -c 'ls -d $0; echo more >> $0'")
    assert (said.returncode, f"left by an edit that was cut: {copy}" in said.stderr) == (0, True)
    [own] = [line for line in said.stdout.splitlines() if line.startswith("/")]
    assert own not in said.stderr


def test_an_editor_that_removes_its_copy_is_not_said_to_have_kept_it(hand, qa):
    said = hand("edit", "qa", code=1, EDITOR="rm")
    assert ("removed its copy" in said, "your text is in" in said) == (True, False)
    assert qa.read_text() == text()


def _edit(hand, editor):
    """In a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "holdfast", "definitions", "edit", "qa"],
        cwd=hand.project,
        env=os.environ | {"VISUAL": editor},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )


# ── where ──


@pytest.mark.parametrize(
    ("strategy", "written"),
    [
        ("tier_specific", None),
        ("user_override", "user"),
        ("system_fallback", "project"),
        ("distributed", "project user"),
    ],
)
def test_a_tier_that_may_not_be_written_is_not(hand, strategy, written):
    managed = hand.world.agent(hand.world.managed / ".claude", "qa.md")
    before = managed.read_bytes()
    with holdfast.Definitions(hand.project) as agents:
        if written is None:
            with pytest.raises(errors.DefinitionRefused, match="may not be written"):
                agents.put("qa", text("two"), base=sha(before), strategy=strategy)
        else:
            agents.put("qa", text("two"), base=sha(before), strategy=strategy)
            assert agents.get("qa").path == str(managed)
    assert managed.read_bytes() == before
    there = [tier for tier in ("project", "user") if hand.file(tier).exists()]
    assert there == (written or "").split()


def test_a_file_that_does_not_count_is_told(hand, qa):
    said = hand("replicate", "qa", "--to", "user")
    assert "it does not count here: .claude/agents/qa.md (project) does" in said


def test_of_several_files_all_are_written_or_none(hand, qa):
    hand("replicate", "qa", "--to", "user")
    other = hand.file("user")
    hand.put("qa", text("two"), sha(text()), "--strategy", "distributed")
    assert (qa.read_text(), other.read_text()) == (text("two"), text("two"))
    other.write_text(text("theirs"))
    said = hand.put("qa", text("three"), sha(text("two")), "--strategy", "distributed", code=44)
    assert f"not written either: {qa}" in said
    assert (qa.read_text(), other.read_text()) == (text("two"), text("theirs"))
    assert hand.conflict()["path"] == str(other)
    assert "says something else" in hand("migrate", "qa", "--to", "user", code=43)
    hand("replicate", "qa", "--to", "user", code=44)
    hand("replicate", "qa", "--to", "user", "--base", sha(text("theirs")))
    assert other.read_text() == text("two")
    assert hand("migrate", "qa", "--to", "user").startswith("removed  ")
    assert_unbroken(revisions("qa"))


REFUSED = [
    (("create", "qa"), "", 43, "already"),
    (("create", "new", "--from", "-"), text(), 43, "called 'qa', not 'new'"),
    (("create", "../x", "--tier", "managed"), "", 43, "may not be written"),
    (("create", "///"), "", 43, "no file can be called"),
    (("create", "new", "--from", "none.md"), "", 3, "No such file"),
    (("create", "new", "--tier", "built-in"), "", 3, "no tier built-in"),
    (("put", "none", "--base", "0" * 64), text(), 3, "no definition is called"),
    (("put", "qa", "--base", "123"), "", 2, "no SHA-256"),
    (("put", "--base", "absent"), "", 2, "give a NAME"),
    (("put", "qa", "--base", "absent"), text("two"), 44, "it is there already"),
    (("put", "--path", "elsewhere.md", "--base", "absent"), text(), 43, "no directory of definitions"),
    (("put", "--path", ".claude/agents/../../out.md", "--base", "absent"), text(), 43, "no directory of definitions"),
    (("put", "--path", ".claude/agents/new/../../../../out/x.md", "--base", "absent"), text(), 43, "no directory of"),
    (("put", "--path", ".claude/agents/README.md", "--base", "absent"), "Hello", 43, "would not take this"),
    (("put", "--path", ".claude/agents/qa.txt", "--base", "absent"), text(), 43, "would not take this"),
    (("put", "qa", "--base", sha(text())), "x" * (MOST_BYTES + 1), 2, "at most"),
    (("put", "qa", "--base", sha(text()), "--tier", "user"), text("2"), 3, "no file in the tier user"),
    (("delete", "qa", "--base", "0" * 64), "", 44, "it was changed"),
    (("delete", "qa", "--base", "absent"), "", 2, "cannot be removed"),
    (("delete", "qa", "--tier", "user"), "", 3, "it lies in: project"),
    (("migrate", "qa", "--to", "project"), "", 2, "already"),
    (("migrate", "qa", "--to", "managed"), "", 43, "may not be written"),
    (("put", "qa", "--base", sha(text())), "", 43, "nothing is to be written"),
    (("put", "qa", "--base", sha(text())), " \n", 43, "nothing is to be written"),
    (("create", "new", "--from", "-"), "", 43, "nothing is to be written"),
    (("edit", "qa"), "", 43, "nothing is to be written"),
    (("delete", "qa", "--tier", "project", "--strategy", "user_override"), "", 2, "chooses the tier itself"),
    (("create", "new", "--tier", "user", "--strategy", "distributed"), "", 2, "chooses the tier itself"),
    (("resolve", "0123", "ours"), "", 3, "no conflict"),
    (("resolve", "ours"), "", 2, "say which"),
    (("resolve", "0123", "4567", "-"), text(), 2, "of one conflict"),
    (("conflicts", "--merged"), "", 2, "say which"),
    (("conflicts", "--ours"), "", 2, "say which"),
]  # fmt: skip


def test_what_is_refused_says_why_and_changes_nothing(hand, qa, monkeypatch):
    monkeypatch.setenv("VISUAL", "truncate -s0")
    for args, given, code, words in REFUSED:
        said = hand(*args, given=given, code=code)
        assert words in said, args
        assert "hint: " in said or code == 2, args
        assert qa.read_text() == text(), args
        assert [path.name for path in qa.parent.iterdir()] == ["qa.md"], args
    assert told() == [("create", "project", True)]


def test_a_file_that_nobody_may_write_is_left_alone(hand, qa):
    qa.chmod(0o444)
    assert "chmod u+w" in hand.put("qa", text("two"), sha(text()), code=43)
    assert qa.read_text() == text()


def test_what_may_not_be_written_is_not_edited_first(hand, qa):
    qa.chmod(0o444)
    hand.world.agent(hand.world.managed / ".claude", "held.md")
    said = [hand("edit", name, code=43, EDITOR="false") for name in ("qa", "held")]
    assert ("chmod u+w" in said[0], "may not be written" in said[1]) == (True, True)
    hand("edit", "held", "--strategy", "user_override", EDITOR="sed -i s/You/We/")
    assert hand.file("user", "held.md").read_text().endswith(f"We{BODY[3:]}")


def test_a_name_is_not_taken_twice_in_a_directory(hand, qa):
    hand("create", "web", "--from", "-", given=text(name="web"))
    for where in (("qa",), ("--path", qa), ("--path", qa.with_name("new.md"))):
        base = "absent" if where[-1] == qa.with_name("new.md") else sha(text())
        said = hand("put", *where, "--base", base, given=text(name="web"), code=43)
        assert "'web' already" in said
    assert sorted(path.name for path in qa.parent.iterdir()) == ["qa.md", "web.md"]
    assert qa.read_text() == text()
    hand.world.agent(qa.parents[1], "second.md", "web")  # somebody else's: what is so already may be changed
    hand.put("web", text("two", name="web"), sha(text(name="web")))


def test_a_copy_out_of_a_plugin_is_no_second_one_of_its_name(hand):
    """Outside it is called without the plugin's name."""
    agents = hand.world.plugin("kit") / "agents"
    hand.world.agent(agents.parent, "qa.md")
    hand("create", "qa", "--tier", "user", "--from", "-", given=text())
    assert "'qa' already" in hand("replicate", "kit:qa", "--to", "user", code=43)
    assert [path.name for path in hand.file("user").parent.iterdir()] == ["qa.md"]


def test_a_new_file_of_a_definition_says_its_name(hand):
    managed = hand.world.agent(hand.world.managed / ".claude", "qa.md")
    said = hand.put(
        "qa", text(name="web"), sha(managed.read_bytes()), "--strategy", "system_fallback", code=43
    )
    assert "called 'web', not 'qa'" in said


def test_a_path_is_written_by_its_root(hand, qa):
    new = qa.with_name("deep") / "web.md"
    hand("put", "--path", new, "--base", "absent", given=text(name="web"))
    assert new.read_text() == text(name="web")
    hand(
        "put",
        "--path",
        "web.md",
        "--base",
        sha(text(name="web")),
        given=text("two", name="web-2"),
        cwd=new.parent,
    )
    [one] = [each for each in revisions("web") if each.operation == "modify"]
    assert (one.name, one.name_before) == ("web-2", "web")
    hand("put", "--path", ".claude/agents/none/../up.md", "--base", "absent", given=text(name="up"))
    assert qa.with_name("up.md").read_text() == text(name="up")


# ── conflicts ──


@pytest.fixture
def disputed(world):  # noqa: F811 - the fixture
    """Somebody changed the key, we wanted to change the text."""
    path = world.project / ".claude" / "agents" / "qa.md"
    theirs, ours = text(model="opus"), text("Look twice.")
    with holdfast.Definitions(world.project) as agents:
        agents.create("qa", text())
        path.write_text(theirs)
        with pytest.raises(errors.DefinitionConflict):
            agents.put("qa", ours, base=sha(text()))
        yield Disputed(agents, path, theirs, ours)


class Disputed(NamedTuple):
    agents: holdfast.Definitions
    path: Path
    theirs: str
    ours: str


@pytest.mark.parametrize(
    ("choice", "result"),
    [
        ("ours", text("Look twice.")),
        ("theirs", text(model="opus")),
        ("merge", text("Look twice.", model="opus")),
        ("text", text("Look thrice.")),
    ],
    ids=["ours", "theirs", "merge", "text"],
)
def test_a_conflict_is_decided_once(disputed, choice, result):
    agents = disputed.agents
    [one] = agents.conflicts()
    assert (one.base, one.ours, one.theirs) == (sha(text()), sha(disputed.ours), sha(disputed.theirs))
    agents.resolve(one.id, choice, text=text("Look thrice.") if choice == "text" else None)
    assert disputed.path.read_text() == result
    assert agents.conflicts() == []
    assert [each.choice for each in agents.conflicts(resolved=True)] == [choice]
    with pytest.raises(errors.UsageError, match="decided already"):
        agents.resolve(one.id, "ours")
    assert_unbroken(revisions("qa"))


def test_an_unknown_choice_decides_nothing(disputed):
    [one] = disputed.agents.conflicts()
    with pytest.raises(errors.UsageError, match="'mine' is no choice"):
        disputed.agents.resolve(one.id, "mine")
    assert (disputed.path.read_text(), disputed.agents.conflicts()) == (disputed.theirs, [one])


def test_a_conflict_is_not_decided_into_what_may_not_be_written_any_more(hand, disputed, monkeypatch):
    """Its directory became a link to one that is managed."""
    managed = hand.world.agent(hand.world.managed / ".claude", "qa.md")
    before = managed.read_bytes()
    hand.world.project.joinpath(".claude", "agents").rename(hand.world.project / "aside")
    hand.file().parent.symlink_to(managed.parent)
    one = hand.conflict()["id"]
    assert "may not be written" in hand("resolve", one, "ours", "--base", sha(before), code=43)
    assert managed.read_bytes() == before
    assert hand.conflict()["state"] == "open"


def test_a_conflict_in_a_root_that_is_read_only_by_now_is_not_written(hand, home):
    def roots(*words):
        return {"HOLDFAST_DEFINITION_ROOTS": json.dumps({"team": ["team", "project", "claude", *words]})}

    path = hand.world.agent(hand.project, "t.md", "t")
    path = path.rename(hand.project / "team.md")
    (hand.project / "team").mkdir()
    path = path.rename(hand.project / "team" / "t.md")
    before = path.read_text()
    hand.put("t", text("ours", "t"), "0" * 64, code=44, **roots())
    one = hand.conflict()["id"]
    assert "may not be written" in hand("resolve", one, "ours", code=43, **roots("read-only"))
    assert "no directory of definitions" in hand("resolve", one, "ours", code=43)
    assert path.read_text() == before
    hand("resolve", one, "theirs")


def test_a_conflict_is_listed_shown_and_decided_with_the_command(hand, disputed):
    assert hand.state() == "conflicted"
    one = hand.conflict()
    assert [one[f"{side}_sha256"] for side in ("theirs", "ours", "base")] == [
        sha(disputed.theirs), sha(disputed.ours), sha(text()),
    ]  # fmt: skip
    assert one["id"][:8] in hand("conflicts")
    assert "1 definition in a conflict to be decided" in hand("list")
    assert "1 conflict about definitions to be decided" in hand(of=())
    assert "both can be merged" in hand("conflicts", one["id"][:8])
    hand("resolve", one["id"][:8], "-", "--reason", "both are right", given=text("Look thrice."))
    assert disputed.path.read_text() == text("Look thrice.")
    assert "no conflict waits" in hand("conflicts")
    assert "to be decided" not in hand("list") + hand(of=())
    after = hand.conflict("--all")
    assert (after["state"], after["choice"], after["resolved_sha256"], after["resolved_reason"]) == (
        "resolved", "text", sha(text("Look thrice.")), "both are right",
    )  # fmt: skip


def test_a_text_that_comes_too_late_for_its_conflict_is_one_itself(hand, disputed):
    first = hand.conflict()["id"]
    disputed.path.write_text(text("theirs again"))
    said = hand("resolve", first, "-", given=text("Look thrice."), code=44)
    both = hand.ask("conflicts")["conflicts"]
    assert [one["id"] for one in both] == [first, both[1]["id"]]
    assert both[1]["id"] in said
    assert [both[1][f"{side}_sha256"] for side in ("base", "ours", "theirs")] == [
        sha(disputed.theirs), sha(text("Look thrice.")), sha(text("theirs again")),
    ]  # fmt: skip
    hand("resolve", both[1]["id"], "ours")
    assert disputed.path.read_text() == text("Look thrice.")
    disputed.path.write_text(text("theirs once more"))
    said = hand("resolve", first, "ours", code=44)
    assert f"`--base {sha(text('theirs once more'))}`" in said
    assert [one["id"] for one in hand.ask("conflicts")["conflicts"]] == [first]


def test_what_contradicts_each_other_at_length_is_cut(hand, qa):
    qa.write_text(text("x" * 300))
    hand.put("qa", text("line\n" * 30), sha(text()), code=44)
    shown = hand("conflicts", hand.conflict()["id"])
    assert "ours    … and 19 more lines" in shown
    assert f"theirs  {'x' * 200}…\n" in shown


def test_what_was_to_be_written_can_be_seen_where_the_file_is_gone(hand, qa):
    qa.unlink()
    said = hand("put", "--path", qa, "--base", sha(text()), given=text("ours"), code=44)
    one = hand.conflict()["id"]
    assert f"resolve {one} ours` writes it" in said
    assert hand("conflicts", one, "--ours") == text("ours")
    assert "no text" in hand("conflicts", one, "--theirs", code=43)


def test_a_file_that_was_not_removed_is_kept_or_removed(hand, qa):
    qa.write_text(text("theirs"))
    said = hand("delete", "qa", "--base", sha(text()), code=44)
    one = hand.conflict()["id"]
    assert f"resolve {one} ours` removes it" in said
    assert "merge" not in said
    hand("resolve", one, "ours")
    assert not qa.exists()


def test_both_texts_are_there_whatever_becomes_of_the_file(disputed):
    agents, path = disputed.agents, disputed.path
    agents.delete("qa")
    [one] = agents.conflicts()
    with pytest.raises(errors.DefinitionConflict, match="not there any more"):
        agents.resolve(one.id, "ours")
    with pytest.raises(errors.DefinitionRefused, match="nothing to merge"):
        agents.resolve(one.id, "merge")
    agents.resolve(one.id, "ours", base="")
    assert path.read_text() == disputed.ours


@pytest.mark.parametrize("other", [None, "in the user's"])
@pytest.mark.parametrize("strategy", ["tier_specific", "system_fallback"])
def test_what_was_read_and_is_gone_is_a_conflict_about_that_file(hand, qa, other, strategy):
    """It is not written over another file of the name, which was not read."""
    if other is not None:
        hand("create", "qa", "--tier", "user", "--from", "-", given=text(other))
    qa.unlink()
    before = other and hand.file("user").read_bytes()
    said = hand.put("qa", text("ours"), sha(text()), "--strategy", strategy, code=44)
    assert f"{qa}: it is not there any more" in said
    assert (qa.exists(), other and hand.file("user").read_bytes()) == (False, before)
    one = hand.conflict()
    assert (one["path"], one["tier"], one["theirs_sha256"]) == (str(qa), "project", None)
    hand("resolve", one["id"], "ours")
    assert qa.read_text() == text("ours")


def test_texts_that_contradict_each_other_are_not_merged(hand, qa):
    qa.write_text(text("theirs", model="opus"))
    hand.put("qa", text("ours", model="haiku"), sha(text()), code=44)
    one = hand.conflict()
    said = hand("resolve", one["id"], "merge", code=44)
    assert "`model`" in said
    assert "FILE" in said
    shown = hand("conflicts", one["id"])
    assert "both changed `model`" in shown
    for each in ("read    (nothing)", "ours    model: haiku", "theirs  model: opus", "theirs  theirs"):
        assert f"    {each}\n" in shown
    for side, whole in (("ours", text("ours", model="haiku")), ("theirs", text("theirs", model="opus"))):
        assert hand("conflicts", one["id"], f"--{side}") == whole
    [about] = hand.ask("conflicts", one["id"])["conflicts"]
    assert [place["key"] for place in about["merge"]["conflicts"]] == ["model", None]
    marked = hand("conflicts", one["id"], "--merged")
    assert all(line in marked for line in ("model: opus", "model: haiku", "<<<<<<< ours"))
    for mark in ("<<<<<<< ours", "||||||| base", ">>>>>>> theirs"):
        assert f"{mark}\n" in marked
        said = hand("resolve", one["id"], "-", given=f"{text()}{mark}\r\n", code=43)
        assert f"still says `{mark}`" in said
    assert qa.read_text() == text("theirs", model="opus")
    hand("resolve", one["id"], "-", given=text("Look\n=======\n"))


def test_what_was_to_be_written_and_is_written_later_is_no_conflict_any_more(disputed):
    disputed.agents.put("qa", disputed.ours, base=sha(disputed.theirs))
    assert disputed.agents.conflicts() == []
    assert [one.choice for one in disputed.agents.conflicts(resolved=True)] == [None]


def test_what_was_to_be_written_and_an_editor_saves_is_no_conflict_any_more(hand, disputed):
    one = hand.conflict()["id"]
    disputed.path.write_text(disputed.ours)
    assert "no conflict waits" in hand("conflicts")
    assert hand.conflict("--all")["state"] == "written"
    assert "came to lie there" in hand("resolve", one, "ours", code=2)


@pytest.mark.parametrize("index", [True, False], ids=["index", "journal"])
def test_a_conflict_goes_along_with_its_file(hand, disputed, home, index):
    hand("migrate", "qa", "--to", "user")
    disputed.path.parent.mkdir(exist_ok=True)
    if not index:
        (home / "definitions" / "index").unlink()
    assert hand.state() == "conflicted"
    one = hand.conflict()
    assert (one["path"], one["tier"]) == (str(hand.file("user")), "user")
    hand("migrate", "qa", "--to", "project")
    hand("resolve", one["id"], "merge")
    assert disputed.path.read_text() == text("Look twice.", model="opus")
    hand("migrate", "qa", "--to", "user")
    assert hand.conflict("--all")["path"] == str(disputed.path)


def test_a_moved_file_that_says_what_was_to_be_written_is_in_no_conflict(hand, disputed, home):
    hand("migrate", "qa", "--to", "user")
    hand.file("user").write_text(disputed.ours)
    assert hand.ask("conflicts")["conflicts"] == []
    assert hand.state() == "modified"
    (home / "definitions" / "index").unlink()
    assert hand.state() == "modified"


def test_who_reads_again_and_writes_has_decided_their_own_conflicts(world):  # noqa: F811
    """The loop of a program: read, write, and where somebody else was faster read again."""
    with holdfast.Definitions(world.project) as one, holdfast.Definitions(world.project) as other:
        [made] = one.create("qa", text())
        for number in range(3):
            base = one.get("qa").sha256
            other.put("qa", text(f"other {number}"), base=other.get("qa").sha256)
            with pytest.raises(errors.DefinitionConflict):
                one.put("qa", text(f"one {number}"), base=base)
            one.put("qa", text(f"one {number} again"), base=one.get("qa").sha256, reason="again")
            assert one.conflicts() == []
        decided = one.conflicts(resolved=True)
        assert [each.choice for each in decided] == ["text"] * 3
        with pytest.raises(errors.DefinitionConflict) as refused:
            other.put("qa", text("late"), base=made.sha256, author="ann")
        one.put("qa", text("one"), base=one.get("qa").sha256)
        other.put("qa", text("other"), base=other.get("qa").sha256, author="bob")
        assert [each.id for each in one.conflicts()] == [*refused.value.ids]
        assert_unbroken(revisions("qa"))


def test_the_same_conflict_again_is_one(hand, disputed):
    one = hand.conflict()["id"]
    for _ in range(2):
        said = hand.put("qa", disputed.ours, sha(text()), "--author", "ann", code=44)
        assert one in said
    assert hand.conflict()["id"] == one
    (Path(os.environ["HOLDFAST_HOME"]) / "definitions" / "index").unlink()
    assert one in hand.put("qa", disputed.ours, sha(text()), code=44)
    hand("resolve", one, "theirs")
    hand.put("qa", disputed.ours, sha(text()), code=44)
    assert hand.conflict()["id"] != one


def test_several_conflicts_are_decided_at_once(hand, disputed):
    for number in range(3):
        hand.put("qa", text(f"mine {number}"), sha(text()), code=44)
    ids = [one["id"] for one in hand.ask("conflicts")["conflicts"]]
    said = hand("resolve", *ids[2:], "ours", code=44)
    assert "1 of 2 are decided" in said
    assert disputed.path.read_text() == text("mine 1")
    assert hand("resolve", ids[0], ids[1], ids[0], ids[3], "theirs").count("unchanged  ") == 3
    assert hand.ask("conflicts")["conflicts"] == []
    assert disputed.path.read_text() == text("mine 1")


def test_both_write_the_same_and_one_writes_twice_without_a_conflict(world):  # noqa: F811
    with holdfast.Definitions(world.project) as agents:
        [made] = agents.create("qa", text())
        agents.put("qa", text("two"), base=made.sha256)
        agents.put("qa", text("two"), base=made.sha256)
        base = sha(text("two"))
        for number in range(5):
            [made] = agents.put("qa", text(f"{number}"), base=base)
            base = made.sha256
        assert agents.conflicts(resolved=True) == []


def test_conflicts_and_states_are_there_when_the_index_is_gone(hand, disputed, home):
    (home / "definitions" / "index").unlink()
    assert hand.state() == "conflicted"
    hand("resolve", hand.conflict()["id"], "theirs")
    (home / "definitions" / "index").unlink()
    assert hand.state() == "modified"


# ── states ──


def test_each_state_follows_from_what_is_recorded(hand, qa):
    assert hand.state() == "active"
    hand.put("qa", text("two"), sha(text()))
    assert hand.state() == "modified"
    hand.put("qa", text(), sha(text("two")))
    assert hand.state() == "active"
    hand("delete", "qa")
    [gone] = hand.ask("list", "--state", "deleted")["deleted"]
    assert (gone["name"], gone["state"], gone["sha256"]) == ("qa", "deleted", sha(text()))
    hand("create", "qa", "--from", "-", given=text("three"))
    assert hand.state() == "active"
    assert hand.ask("list", "--state", "deleted")["deleted"] == []
    assert [one["name"] for one in hand.ask("list", "--state", "active")["definitions"]] == ["qa"]
    hand.file().unlink()
    hand.file().write_bytes(b"x" * (MOST_BYTES + 1))
    assert {one["state"] for one in hand.ask("list")["definitions"]} == {"validating"}


# ── killed ──


@pytest.mark.parametrize("point", ["intended", "written", "replaced", "applied"])
def test_a_move_that_is_killed_is_done_or_not(hand, qa, home, point):
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "definitions", "migrate", "qa", "--to", "user"],
        cwd=hand.project,
        env=os.environ | {"HOLDFAST_FAILPOINTS": f"definition.{point}=kill"},
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    if point != "applied":
        [one] = json.loads(_without_looking(hand, "list", "--json"))["definitions"]
        assert one["state"] == "migrating"
    hand("list")
    moved = point == "applied"  # of two files one is replaced: that is undone
    assert (qa.exists(), hand.file("user").exists()) == (not moved, moved)
    assert told() == [("create", "project", True), *([("rename", "user", True)] if moved else [])]
    assert_unbroken(revisions("qa"))
    assert not [*hand.world.user.parent.rglob(".holdfast-*")]
    assert digested.is_empty(home / "definitions" / "pending")
    assert not (home / "definitions" / "intended").exists()


def _without_looking(hand, *args):
    """Ask while another process holds the lock, so that what is under way stays."""
    with (Path(os.environ["HOLDFAST_HOME"]) / "definitions" / "lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        return hand(*args)


# ── from Python ──


def test_programs_write_only_over_what_they_read(world):  # noqa: F811
    with holdfast.Definitions(world.project) as agents:
        [made] = agents.create("qa", text(), reason="from a program")
        assert (made.operation, made.tier, made.sha256) == ("create", "project", sha(text()))
        read = agents.get("qa")
        [put] = agents.put("qa", text("two"), base=read.sha256, author="a program")
        assert (put.sha256_before, put.sha256) == (read.sha256, sha(text("two")))
        with pytest.raises(errors.DefinitionConflict) as refused:
            agents.put("qa", text(model="opus"), base=read.sha256)
        [waiting] = agents.conflicts()
        assert (waiting.id,) == refused.value.ids
        made = agents.resolve(waiting.id, "merge", reason="both")
        assert agents.get("qa").text == text("two", model="opus")
        assert agents.conflicts() == []
        assert [one.choice for one in agents.conflicts(resolved=True)] == ["merge"]
        assert agents.migrate("qa", to="user").path_before == str(
            world.project / ".claude" / "agents" / "qa.md"
        )
        assert [one.tier for one in agents.replicate("qa", to=["project", "user"])] == ["project", "user"]
        agents.delete("qa", strategy="distributed")
        with pytest.raises(errors.NotFound):
            agents.get("qa")
    opened = Home(load(None, os.environ, {}))
    assert opened.catch_up([]).done
    with contextlib.closing(opened.reader()) as db:
        assert [one.author for one in definitions.of_name(db, "qa")][1] == "a program"
    assert_unbroken(revisions("qa"))


WRONG = [
    (lambda agents: agents.create("new", text(), strategy="everywhere"), "'everywhere' is no strategy"),
    (lambda agents: agents.create("new", text(), tool="nonsense"), "'nonsense' is no tool"),
    (lambda agents: agents.create("new", text(), tier="user", strategy="distributed"), "chooses the tier itself"),
    (lambda agents: agents.create("new", text(), reason="\ud800"), "the reason has no UTF-8 form"),
    (lambda agents: agents.create("new", text(), author="\ud800"), "the author has no UTF-8 form"),
    (lambda agents: agents.create("new", None), "`text` is NoneType"),
    (lambda agents: agents.create(7, text()), "a name is text"),
    (lambda agents: agents.put("qa", text("2"), base="123"), "'123' is no SHA-256"),
    (lambda agents: agents.put("qa", text("2"), base=""), "'' is no SHA-256"),
    (lambda agents: agents.delete("qa", base=7), "'7' is no SHA-256"),
    (lambda agents: agents.invalidate(None), "a pattern is text"),
    (lambda agents: agents.subscribe(print, None), "a pattern is text"),
    (lambda agents: agents.subscribe(None), "cannot be called"),
]  # fmt: skip


def test_what_no_call_can_mean_is_refused_as_that(hand, qa):
    with holdfast.Definitions(hand.project) as agents:
        for call, words in WRONG:
            with pytest.raises(errors.UsageError) as refused:
                call(agents)
            assert words in str(refused.value)
        assert agents.figures()["subscribers"] == 0
    assert told() == [("create", "project", True)]


def test_what_a_call_may_mean_is_taken(hand, qa):
    with holdfast.Definitions(hand.project) as agents:
        agents.put("qa", bytearray(text("two").encode()), base=sha(text()).upper())
        assert [one.tier for one in agents.replicate("qa", to="user")] == ["user"]
