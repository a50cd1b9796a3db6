"""What became of a definition, what changed in it, and giving it back, as a person asks for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.definitions import comparing
from holdfast.journal import digested
from tests import warm
from tests.conftest import RUN_LIMIT_S
from tests.e2e.test_definitions import world  # noqa: F401 - a fixture
from tests.e2e.test_revisions import assert_unbroken, revisions
from tests.waiting import until

pytestmark = pytest.mark.slow  # each of these starts the command several times

ONE = b"---\nname: qa\ndescription: d\n---\nLook at what was changed.\n"
CONTENTS = {
    "more": ONE + b"Say what is wrong.\n",
    "no line end": ONE.rstrip(b"\n"),
    "windows line ends": ONE.replace(b"\n", b"\r\n"),
    "another beginning": ONE.replace(b"description: d", b"description: another"),
    "words of many scripts": ONE + "Größe 漢字 \u200d\n".encode(),
    "nothing": b"",
}


def holdfast(cwd, *args, code=0, **env):
    """What the command prints, as bytes; what it says, where it fails."""
    words = tuple(os.fsdecode(word) for word in args)
    done = warm.run_holdfast(words, stdin=b"", env=os.environ | env, cwd=cwd, limit_s=RUN_LIMIT_S)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr.decode()


def asked(cwd, *args, code=0):
    return json.loads(holdfast(cwd, *args, "--json", code=code))


def history(cwd, name="qa", *more):
    """Its revisions, the oldest first."""
    return asked(cwd, "definitions", "history", name, *more)["revisions"][::-1]


def looked(cwd):
    holdfast(cwd, "definitions")


@pytest.fixture
def qa(world):  # noqa: F811 - the fixture
    """A definition of which two contents were seen."""
    path = world.agent(world.project / ".claude", "qa.md")
    for content in (ONE, CONTENTS["more"]):
        path.write_bytes(content)
        looked(world.project)
    return path


# ── history ──


def test_the_history_names_every_revision_across_a_rename(world, qa):  # noqa: F811
    moved = qa.rename(qa.with_name("moved.md"))
    looked(world.project)
    moved.write_bytes(ONE.replace(b"name: qa", b"name: quality"))
    looked(world.project)
    moved.unlink()
    found = history(world.project)
    assert [(one["operation"], one["version"], Path(one["path"]).name, one["name"]) for one in found] == [
        ("create", 1, "qa.md", "qa"),
        ("modify", 2, "qa.md", "qa"),
        ("rename", None, "moved.md", "qa"),
        ("modify", 3, "moved.md", "quality"),
        ("delete", None, "moved.md", "quality"),
    ]
    assert [one["id"] for one in history(world.project, "quality")] == [one["id"] for one in found]
    assert [one["before_sha256"] for one in found[1:]] == [one["sha256"] for one in found[:-1]]
    assert all(one["content"] == "kept" for one in found[:-1])
    assert b"it lay at .claude/agents/qa.md?: the same content" in holdfast(
        world.project, "definitions", "history", "qa"
    )


def test_another_definition_in_the_same_place_is_another_history(world, qa):  # noqa: F811
    qa.unlink()
    looked(world.project)
    qa.write_bytes(ONE.replace(b"name: qa", b"name: other"))
    looked(world.project)
    assert [one["operation"] for one in history(world.project)] == ["create", "modify", "delete"]
    assert [one["operation"] for one in history(world.project, "other")] == ["create"]


def test_a_definition_of_the_same_name_in_another_project_is_another_one(world, qa):  # noqa: F811
    shutil.rmtree(world.project)
    other = world.agent(world.user / "other" / ".claude", "other.md", "qa", body="Quite another text.\n")
    told = [(one["operation"], one["path"]) for one in history(world.user / "other", "qa", "--all")]
    assert told[2:] == [("create", str(other)), ("delete", str(qa))]


def test_a_definition_is_asked_for_by_the_name_that_it_answers_to(world):  # noqa: F811
    path = world.agent(world.plugin("acme"), "only.md")
    looked(world.project)
    path.write_bytes(path.read_bytes() + b"More.\n")
    found = asked(world.project, "definitions", "history", "only")
    assert (found["name"], len(found["revisions"])) == ("acme:only", 2)
    assert asked(world.project, "definitions", "diff", "only")["name"] == "acme:only"
    assert "the plugin tier is not written" in holdfast(
        world.project, "restore", "definition", "only", "--yes", code=43
    )
    said = holdfast(world.project, "definitions", "history", "only", "--tool", "codex", code=3)
    assert "no definition of Codex called 'only' was ever seen" in said
    assert b"no definition of Codex was" in holdfast(
        world.project, "definitions", "history", "--tool", "codex"
    )
    world.agent(world.project / ".claude", "only.md")  # what has the name comes first
    assert asked(world.project, "definitions", "history", "only")["name"] == "only"


def test_a_checkout_of_many_files_reads_as_one(world):  # noqa: F811
    for number in range(40):
        world.agent(world.project / ".claude", f"a{number}.md")
    looked(world.project)
    text = holdfast(world.project, "definitions", "history").decode()
    assert text.count("\n") == 2, text
    assert "40 changes at once: 40 created" in text
    assert "and 35 more; --each names every file" in text
    each = holdfast(world.project, "definitions", "history", "--each").decode()
    assert all(f".claude/agents/a{number}.md" in each for number in range(40))
    assert "a7.md  (one of 40 at once)" in holdfast(world.project, "definitions", "history", "a7").decode()
    assert len(asked(world.project, "definitions", "history")["revisions"]) == 40


def test_what_was_not_seen_is_said(world, qa):  # noqa: F811
    qa.write_bytes(ONE + b"Later.\n")
    os.utime(qa, (1_700_000_000, 1_700_000_000))
    assert [one["unseen_s"] is not None for one in history(world.project)] == [False, False, True]
    assert b"what it had until then, if anything, was not seen" in holdfast(
        world.project, "definitions", "history", "qa"
    )


def project(world, name):  # noqa: F811
    """Another project beside the first; its definition of qa."""
    (world.user / name / ".git").mkdir(parents=True)
    return world.agent(world.user / name / ".claude", "qa.md", body=f"I am of {name}.\n")


def test_of_several_files_of_a_name_the_one_is_meant_that_counts_here(world, qa):  # noqa: F811
    other = world.agent(world.claude, "qa.md")
    there = project(world, "there")
    for cwd, path, numbers in ((world.project, qa, [1, 2]), (there.parents[2], there, [4])):
        looked(cwd)
        found = history(cwd)
        assert [(one["path"], one["version"]) for one in found] == [(str(path), number) for number in numbers]
        every = history(cwd, "qa", "--all")
    assert [(one["path"], one["version"]) for one in every] == [
        (str(qa), 1), (str(qa), 2), (str(other), 3), (str(there), 4),
    ]  # fmt: skip
    said = holdfast(world.project, "definitions", "history", "qa").decode()
    assert "2 versions" in said
    assert "2 other files of this name: --all" in said
    assert asked(world.project, "definitions", "history", "qa")["other_files"] == [str(other), str(there)]
    assert [one["version"] for one in history(world.project, "qa", "--path", str(other))] == [3]
    diff = asked(world.project, "definitions", "diff", "qa")
    assert (diff["from"]["version"], diff["to"]["version"]) == (1, 2)
    diff = asked(world.project, "definitions", "diff", "qa", "2", "3", "--all")
    assert (diff["from"]["path"], diff["to"]["path"]) == (str(qa), str(other))
    for words in (("definitions", "diff", "qa", "3"), ("restore", "definition", "qa", "--revision", "3")):
        assert f"version 3 is of {other}; --path" in holdfast(world.project, *words, code=3)
    assert "no definition of this name was seen" in holdfast(
        world.project, "definitions", "history", "qa", "--path", "/nowhere/qa.md", code=3
    )


def test_a_restore_gives_no_other_projects_file_back(world, qa):  # noqa: F811
    there = project(world, "there")
    looked(there.parents[2])
    shutil.rmtree(there.parents[2])
    [done] = restored(world.project)["definitions"]
    assert (done["path"], qa.read_bytes()) == (str(qa), ONE)
    assert not there.exists()
    qa.unlink()
    [done] = restored(world.project)["definitions"]
    assert (done["path"], qa.read_bytes()) == (str(qa), ONE)


def test_where_it_is_not_certain_which_file_is_meant_the_path_is_asked_for(world, qa):  # noqa: F811
    there = project(world, "there")
    looked(there.parents[2])
    elsewhere = world.user / "elsewhere"
    elsewhere.mkdir()
    assert {one["path"] for one in history(elsewhere)} == {str(qa), str(there)}
    for words in (("definitions", "diff", "qa"), ("restore", "definition", "qa", "--yes")):
        assert f"2 files have or had this name: {qa}, {there}" in holdfast(elsewhere, *words, code=2)
    other = world.agent(world.claude, "qa.md")
    looked(world.project)
    qa.unlink()  # now the user's counts, and nobody said that it is meant
    looked(world.project)
    assert {one["path"] for one in history(world.project)} == {str(qa), str(other)}
    said = holdfast(world.project, "restore", "definition", "qa", "--yes", code=2)
    assert f"2 files have or had this name: {other}, {qa}" in said
    other.write_bytes(ONE)
    looked(world.project)
    assert {one["path"] for one in history(world.project)} == {str(other)}
    restored(world.project, "--path", str(qa))
    assert qa.read_bytes() == CONTENTS["more"]


def test_where_the_directory_is_gone_paths_are_whole(world, qa):  # noqa: F811
    gone = world.user / "gone"
    gone.mkdir()
    words = ["-m", "holdfast", "definitions", "history", "qa"]
    script = 'cd "$1"; rmdir "$1"; shift; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", gone, sys.executable, *words],
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=True,
    )
    assert b" ~/project/.claude/agents/qa.md\n" in done.stdout


# ── who ──


def git(cwd, *words):
    subprocess.run(
        ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *words],
        cwd=cwd,
        check=True,
        capture_output=True,
    )


def test_who_committed_a_content_is_inferred(world):  # noqa: F811
    shutil.rmtree(world.project / ".git")
    git(world.project, "init", "-q")
    path = world.agent(world.project / ".claude", "qa.md")
    for content, subject in ((ONE, "Add qa"), (CONTENTS["more"], "Say more")):
        path.write_bytes(content)
        git(world.project, "add", "-A")
        git(world.project, "commit", "-qm", subject)
        looked(world.project)
    path.write_bytes(ONE + b"By nobody known.\n")
    looked(world.project)
    path.unlink()
    git(world.project, "commit", "-qam", "Remove qa")
    who = [one["who"] for one in history(world.project)]
    assert [[each["subject"] for each in one] for one in who] == [["Add qa"], ["Say more"], [], []]
    assert {(each["by"], each["name"], each["grade"]) for one in who for each in one} == {
        ("commit", "Ann", "inferred")
    }
    assert b"by Ann? in commit" in holdfast(world.project, "definitions", "history", "qa")


def test_the_agent_whose_call_wrote_a_file_is_inferred(world, qa):  # noqa: F811
    """By the path and the file's own time; a call on another file of the name, and one at another time, are not taken."""
    at = 1_790_000_000
    qa.write_bytes(ONE + b"By an agent.\n")
    os.utime(qa, (at, at))
    looked(world.project)
    session = "11111111-2222-4333-8444-555555555555"
    calls = [("toolu_a", str(qa), 0), ("toolu_b", "/elsewhere/qa.md", 0), ("toolu_c", str(qa), 3600)]
    write_transcript(
        world.claude / "projects" / "-a-project" / f"{session}.jsonl", session, world.project, calls, at
    )
    *_, last = history(world.project)
    [who] = last["who"]
    assert (who["by"], who["call"], who["session"], who["tool"], who["grade"]) == (
        "agent",
        "toolu_a",
        f"claude:{session}",
        "Write",
        "inferred",
    )
    assert b"by the main agent? in session 11111111" in holdfast(
        world.project, "definitions", "history", "qa"
    )


def write_transcript(transcript, session, cwd, calls, at, agent=None):
    """A session, or a subagent of one, whose calls of `Write` (id, path, seconds later) each took 2 s."""
    lines, parent = [], None
    of_agent = {} if agent is None else {"agentId": agent}

    def line(kind, seconds, message, **more):
        nonlocal parent
        own = f"{len(lines):08d}-0000-4000-8000-000000000000"
        stamp = (
            datetime.fromtimestamp(at + seconds, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
        lines.append(
            {"type": kind, "uuid": own, "parentUuid": parent, "sessionId": session, "timestamp": stamp,
             "cwd": str(cwd), "version": "2.1.259", "isSidechain": agent is not None, "message": message, **of_agent, **more}
        )  # fmt: skip
        parent = own

    line("user", -10, {"role": "user", "content": "Write it."})
    for number, (call, path, later) in enumerate(calls):
        use = {"type": "tool_use", "id": call, "name": "Write", "input": {"file_path": path, "content": "x"}}
        message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "claude-opus-4-1"}
        usage = {"input_tokens": 1, "output_tokens": 1}
        line("assistant", later - 1, message | {"content": [use], "stop_reason": "tool_use", "usage": usage})
        result = {"type": "tool_result", "tool_use_id": call, "content": "done"}
        line("user", later + 1, {"role": "user", "content": [result]})
    transcript.parent.mkdir(parents=True, exist_ok=True)
    transcript.write_text("".join(json.dumps(one) + "\n" for one in lines))


# ── diff ──


def real_diff(before, after, headings, tmp_path):
    """What `diff -u` says of two contents."""
    (tmp_path / "a").write_bytes(before)
    (tmp_path / "b").write_bytes(after)
    words = ["diff", "-u", "-L", headings[0], "-L", headings[1], tmp_path / "a", tmp_path / "b"]
    return subprocess.run(words, capture_output=True, check=False).stdout


def test_a_diff_is_what_diff_says(world, qa, tmp_path):  # noqa: F811
    for what, content in CONTENTS.items():
        qa.write_bytes(content)
        mine = holdfast(world.project, "definitions", "diff", "qa", "1", "now")
        headings = [line[4:].decode() for line in mine.split(b"\n")[:2]]
        assert mine
        assert mine == real_diff(ONE, content, headings, tmp_path), what


@pytest.mark.parametrize("what", CONTENTS)
def test_without_a_diff_of_the_system_the_same_comes_out(tmp_path, monkeypatch, what):
    monkeypatch.setenv("PATH", str(tmp_path))
    sides = comparing.Side("x/qa.md", "1", ONE), comparing.Side("x/qa.md", "2", CONTENTS[what])
    text = comparing.compare(*sides).text
    monkeypatch.undo()
    target = tmp_path / "qa.md"
    target.write_bytes(ONE)
    subprocess.run(["patch", "--binary", "-s", target], input=text, check=True)
    assert (target.read_bytes() if target.exists() else b"") == CONTENTS[what]


def test_revisions_are_named_in_every_way(world, qa):  # noqa: F811
    del qa
    first, last = history(world.project)
    diff = holdfast(world.project, "definitions", "diff", "qa")
    ways = [
        ("1", "2"),
        (first["sha256"][:12], last["sha256"][:12]),
        (first["id"], last["id"]),
        (first["seen_at"][:-1] + "999Z", last["seen_at"][:-1] + "999Z"),
    ]
    for way in ways:
        assert holdfast(world.project, "definitions", "diff", "qa", *way) == diff, way
    assert holdfast(world.project, "definitions", "diff", "qa", "1") != b""
    assert holdfast(world.project, "definitions", "diff", "qa", "2") == b""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("qa", "9"), 3, "there is no version 9"),
        (("qa", "ffffffff"), 3, "no revision begins with"),
        (("qa", "2001-01-01"), 3, "nothing of this name had been seen"),
        (("qa", "../x"), 2, "names no revision"),
        (("qa", "now", "now"), 2, "name a revision"),
        (("qa", "1", "2", "3"), 2, "name one or two"),
        (("nobody",), 3, "was ever seen"),
        (("../../etc/passwd",), 3, "was ever seen"),
    ],
)
def test_what_cannot_be_compared_is_said(world, qa, words, code, said):  # noqa: F811
    del qa
    assert said in holdfast(world.project, "definitions", "diff", *words, code=code)


def test_a_time_that_came_twice_names_nothing(world):  # noqa: F811
    """A clock that was set back makes a moment belong to two versions."""
    path = world.agent(world.project / ".claude", "qa.md")
    for hour in ("10", "12", "09"):
        path.write_bytes(ONE + hour.encode())
        holdfast(world.project, "definitions", HOLDFAST_NOW=f"2026-11-01T{hour}:00:00Z")
    at = [f"2026-11-01T{hour}:00:00Z" for hour in ("11", "13")]
    said = holdfast(world.project, "definitions", "diff", "qa", at[0], code=2)
    assert "cannot be told, for a clock was set back: version 1 or version 3" in said
    assert asked(world.project, "definitions", "diff", "qa", at[1])["from"]["version"] == 3


def test_what_is_no_text_is_told_as_such(world, qa):  # noqa: F811
    qa.write_bytes(ONE + b"caf\xe9\n")
    said = asked(world.project, "definitions", "diff", "qa")
    assert (said["binary"], said["diff"], said["equal"]) == (True, None, False)
    assert b"not both are text" in holdfast(world.project, "definitions", "diff", "qa")


def test_a_text_that_is_damaged_is_not_taken_for_what_was(world, home, qa):  # noqa: F811
    del qa
    first, _ = history(world.project)
    kept = home / "definitions" / "texts" / first["sha256"]
    kept.write_bytes(b"something else")
    assert "SHA-256" in holdfast(world.project, "definitions", "diff", "qa", "1", code=22)
    assert "SHA-256" in holdfast(
        world.project, "restore", "definition", "qa", "--revision", "1", "--yes", code=22
    )


# ── restore ──


def restored(cwd, *args, code=0):
    return asked(cwd, "restore", "definition", "qa", *args, "--yes", code=code)


@pytest.mark.parametrize(
    ("gone", "restart"), [("there", False), ("removed", True), ("with its directory", False)]
)
def test_any_revision_comes_back_byte_for_byte(world, home, qa, gone, restart):  # noqa: F811
    for what in ("no line end", "windows line ends"):
        qa.write_bytes(CONTENTS[what])
        looked(world.project)
    last = qa.read_bytes()
    qa.chmod(0o640)
    if gone == "removed":
        qa.unlink()
    elif gone == "with its directory":
        shutil.rmtree(qa.parent.parent)
    if restart:  # what the machine forgot is made from what is recorded
        (home / "definitions" / "index").unlink()
    before = [one for one in history(world.project) if one["version"]]
    for one in before:
        [done] = restored(world.project, "--revision", str(one["version"]))["definitions"]
        kept = (home / "definitions" / "texts" / one["sha256"]).read_bytes()
        assert qa.read_bytes() == kept
        assert done["sha256"] == one["sha256"]
    if gone == "there":
        assert qa.stat().st_mode & 0o777 == 0o640
    after = history(world.project)
    ours = [one for one in after if one["own"]]
    assert ours
    assert {one["operation"] for one in ours} == {"restore"}
    assert ours[-1]["who"][0]["grade"] == "observed"
    assert last in [
        (home / "definitions" / "texts" / one["sha256"]).read_bytes() for one in after if one["sha256"]
    ]
    assert_unbroken(revisions("qa"))
    assert len(history(world.project)) == len(after)  # our own writes are no changes


def test_without_a_revision_the_last_change_is_taken_back(world, qa):  # noqa: F811
    restored(world.project)
    assert qa.read_bytes() == ONE
    qa.unlink()
    [done] = restored(world.project, "--reason", "it was needed")["definitions"]
    assert qa.read_bytes() == ONE
    assert done["replaced_sha256"] is None
    assert history(world.project)[-1]["reason"] == "it was needed"


def test_of_a_definition_that_was_made_anew_the_last_text_is_meant(world, qa):  # noqa: F811
    before = qa.read_bytes()
    qa.unlink()
    looked(world.project)
    qa.write_bytes(ONE + b"Anew.\n")
    restored(world.project)
    assert qa.read_bytes() == before


def test_what_lies_there_now_is_kept_first(world, home, qa):  # noqa: F811
    qa.write_bytes(b"never seen by anybody\n")
    [done] = restored(world.project, "--revision", "1")["definitions"]
    assert (
        home / "definitions" / "texts" / done["replaced_sha256"]
    ).read_bytes() == b"never seen by anybody\n"
    [again] = restored(world.project, "--revision", done["replaced_sha256"][:12])["definitions"]
    assert again["state"] == "written"
    assert qa.read_bytes() == b"never seen by anybody\n"
    [twice] = restored(world.project, "--revision", done["replaced_sha256"][:12])["definitions"]
    assert (twice["state"], twice["revision"]) == ("there", None)


def test_nothing_is_written_unless_somebody_agrees(world, qa):  # noqa: F811
    before = qa.read_bytes()
    words = ("restore", "definition", "qa")
    assert b"would write" in holdfast(world.project, *words, "--dry-run")
    assert "nobody can be asked here" in holdfast(world.project, *words, code=2)
    assert "nobody can be asked with --json" in holdfast(world.project, *words, "--json", code=2)
    assert qa.read_bytes() == before
    assert len(history(world.project)) == 2


def test_a_link_stays_one_and_what_it_leads_to_is_written(world, qa):  # noqa: F811
    real = world.project / "shared.md"
    qa.rename(real)
    qa.symlink_to(real)
    looked(world.project)
    restored(world.project, "--revision", "1", "--path", str(real))
    assert qa.is_symlink()
    assert real.read_bytes() == ONE


@pytest.fixture
def linked(world, tmp_path):  # noqa: F811
    """A link in the project, and the definition that it leads to."""
    target = world.agent(tmp_path / "outside", "one.md", "qa")
    link = world.project / ".claude" / "agents" / "linked.md"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    looked(world.project)
    return link, target


def told(cwd):
    holdfast(cwd, "doctor")  # the chain is sound, and the index says the same
    return [(one["operation"], Path(one["path"]).name) for one in history(cwd, "qa", "--all")]


def test_a_file_whose_link_goes_is_not_gone(world, home, linked):  # noqa: F811
    link, target = linked
    before = target.read_bytes()
    link.unlink()
    assert told(world.project) == [("create", "one.md"), ("unlink", "one.md")]
    assert b"it still lies there, and is not reached from .claude/agents" in holdfast(
        world.project, "definitions", "history", "qa"
    )
    for words in ((), ("--revision", "1")):
        said = holdfast(world.project, "restore", "definition", "qa", *words, "--yes", code=43)
        assert "it still lies there, and no link in" in said
    assert target.read_bytes() == before
    (home / "definitions" / "index").unlink()
    link.symlink_to(target)
    assert told(world.project)[2:] == [("link", "one.md")]
    target.write_bytes(before + b"More.\n")
    assert told(world.project)[3:] == [("modify", "one.md")]


def test_a_link_that_leads_elsewhere_moves_nothing(world, linked):  # noqa: F811
    link, target = linked
    other = world.agent(target.parents[1], "two.md", "qa", body="Another text.\n")
    before = other.read_bytes()
    link.unlink()
    link.symlink_to(other)
    assert sorted(told(world.project)) == [("create", "one.md"), ("create", "two.md"), ("unlink", "one.md")]
    holdfast(world.project, "restore", "definition", "qa", "--yes", code=2)
    holdfast(world.project, "restore", "definition", "qa", "--revision", "1", "--yes", code=3)
    holdfast(
        world.project, "restore", "definition", "qa", "--revision", "1", "--path", target, "--yes", code=43
    )
    assert other.read_bytes() == before


def test_what_a_link_leads_to_can_go_and_come_back(world, linked):  # noqa: F811
    link, target = linked
    before = target.read_bytes()
    target.unlink()
    assert told(world.project) == [("create", "one.md"), ("delete", "one.md")]
    restored(world.project)
    assert link.is_symlink()
    assert link.read_bytes() == before
    assert told(world.project)[2:] == [("restore", "one.md")]
    target.unlink()
    link.unlink()
    assert "no link in" in holdfast(world.project, "restore", "definition", "qa", "--yes", code=43)
    assert not target.exists()


@pytest.mark.parametrize(
    ("is_known", "expected"), [(True, ["create", "link"]), (False, ["create", "unlink", "link"])]
)
def test_a_link_that_goes_takes_nothing_from_another_project(world, is_known, expected):  # noqa: F811
    """Whose directory was looked into before, or is afterwards."""
    other = world.user / "other"
    target = world.agent(other / ".claude", "one.md", "qa")
    link = world.project / ".claude" / "agents" / "linked.md"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    looked(world.project)
    if is_known:
        looked(other)
    link.unlink()
    if not is_known:
        looked(world.project)
    looked(other)
    assert [one for one, _ in told(other)] == expected
    assert history(other)[-1]["root"] == str(target.parent)


def test_what_is_no_plain_file_is_not_called_busy(world, qa):  # noqa: F811
    qa.unlink()
    os.mkfifo(qa)
    said = holdfast(world.project, "restore", "definition", "qa", "--revision", "1", "--yes", code=43)
    assert "what lies there is no definition, or cannot be read" in said


def test_it_can_be_written_elsewhere(world, tmp_path, qa):  # noqa: F811
    del qa
    out = tmp_path / "out"
    out.mkdir()
    [done] = restored(world.project, "--revision", "1", "--to", out)["definitions"]
    assert (out / "qa.md").read_bytes() == ONE
    assert done["recorded"] is False
    (out / "qa.md").write_bytes(b"mine")
    said = holdfast(world.project, "restore", "definition", "qa", "--to", out, "--yes", code=43)
    assert "another file stands there" in said
    restored(world.project, "--revision", "1", "--to", f"{tmp_path}/new/")
    assert (tmp_path / "new" / "qa.md").read_bytes() == ONE
    other = world.claude / "agents" / "qa.md"
    [done] = restored(world.project, "--revision", "1", "--to", other)["definitions"]
    assert (done["recorded"], other.read_bytes()) == (True, ONE)
    assert history(world.project, "qa", "--all")[-1]["tier"] == "user"


def test_what_is_not_to_be_written_is_not(world, qa):  # noqa: F811
    del qa
    path = world.agent(world.managed / ".claude", "boss.md")
    looked(world.project)
    first = path.read_bytes()
    path.write_bytes(first + b"More.\n")
    said = holdfast(world.project, "restore", "definition", "boss", "--yes", code=43)
    assert "the managed tier is not written" in said
    assert path.read_bytes() == first + b"More.\n"


POINTS = ("intended", "written", "replaced", "recorded", "indexed")


def restoring(world, point, *words, how="kill"):  # noqa: F811
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "holdfast",
            "restore",
            "definition",
            *(words or ("qa", "--revision", "1")),
            "--yes",
        ],
        cwd=world.project,
        env=os.environ | {"HOLDFAST_FAILPOINTS": f"definition.{point}={how}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("point", "lies_there"), [*((point, True) for point in POINTS), ("written", False), ("replaced", False)]
)
def test_a_restore_that_is_killed_leaves_old_or_new_and_the_record_agrees(world, home, qa, point, lies_there):  # noqa: F811
    if not lies_there:
        qa.unlink()
        looked(world.project)
    with restoring(world, point) as process:
        process.communicate(timeout=RUN_LIMIT_S)
    assert process.returncode == -signal.SIGKILL
    is_new = POINTS.index(point) >= POINTS.index("replaced")
    assert (qa.read_bytes() if qa.exists() else None) == (
        ONE if is_new else CONTENTS["more"] if lies_there else None
    )
    found = history(world.project)
    assert [one["own"] for one in found].count(True) == is_new
    assert [one.name for one in qa.parent.iterdir()] == (["qa.md"] if qa.exists() else [])
    assert digested.is_empty(home / "definitions" / "pending")
    assert_unbroken(revisions("qa"))
    restored(world.project, "--revision", "1")
    assert qa.read_bytes() == ONE


@pytest.mark.parametrize("lies_there", [True, False])
def test_what_is_saved_while_it_is_restored_is_not_lost(world, home, qa, lies_there):  # noqa: F811
    """An editor saves at the last moment, beside and renamed: that is found and kept, and then written over."""
    if not lies_there:
        qa.unlink()
        looked(world.project)
    with restoring(world, "written", how="stop@1") as process:
        stat = Path(f"/proc/{process.pid}/stat")
        until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        saved = qa.with_name("saved")
        saved.write_bytes(b"saved at the last moment\n")
        saved.replace(qa)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=RUN_LIMIT_S)
    assert process.returncode == 0
    assert qa.read_bytes() == ONE
    *_, saved_one, ours = history(world.project)
    assert ours["own"]
    assert (
        home / "definitions" / "texts" / saved_one["sha256"]
    ).read_bytes() == b"saved at the last moment\n"
    assert_unbroken(revisions("qa"))


def test_a_disk_that_is_full_leaves_the_file_as_it_was(world, qa):  # noqa: F811
    with restoring(world, "replaced", how="error:ENOSPC") as process:
        process.communicate(timeout=RUN_LIMIT_S)
    assert process.returncode == 45
    with restoring(world, "written", how="error:ENOSPC") as process:
        process.communicate(timeout=RUN_LIMIT_S)
    assert_unbroken(revisions("qa"))
    assert [one.name for one in qa.parent.iterdir()] == ["qa.md"]


# ── snapshots ──


def test_a_snapshot_gives_the_whole_set_back(world, home, tmp_path):  # noqa: F811
    roots = (world.managed / ".claude", world.project / ".claude", world.claude)
    paths = [world.agent(root, "qa.md", body=f"I am {number}.\n") for number, root in enumerate(roots)]
    role = world.role(world.codex, "helper")
    taken = asked(world.project, "definitions", "snapshot", "--message", "before the release")
    then = {path: path.read_bytes() for path in (*paths, role)}
    assert (taken["files"], taken["message"]) == (4, "before the release")
    paths[1].write_bytes(ONE)
    paths[2].unlink()
    role.write_text('name = "helper"\ndescription = "another"\ndeveloper_instructions = "Look."\n')
    came = world.agent(world.project / ".claude", "late.md")
    shown = asked(world.project, "definitions", "snapshots", taken["id"][:13])
    assert len(shown["files"]) == 4
    assert shown["came_since"] == [str(came)]
    (home / "definitions" / "index").unlink()
    done = asked(world.project, "restore", "definition", "--snapshot", taken["id"], "--yes")
    assert Counter(one["state"] for one in done["definitions"]) == {"written": 3, "there": 1}
    assert {path: path.read_bytes() for path in then} == then
    assert came.exists()
    out = tmp_path / "out"
    asked(world.project, "restore", "definition", "--snapshot", "last", "--to", out, "--yes")
    written = {
        path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    assert written == {
        "claude-managed/qa.md": then[paths[0]],
        "claude-project/qa.md": then[paths[1]],
        "claude-user/qa.md": then[paths[2]],
        "codex-user/helper.toml": then[role],
    }
    for one in ("qa", "helper"):
        assert_unbroken(revisions(one))
    paths[0].write_bytes(ONE)  # nobody but the organisation writes what it manages
    said = holdfast(world.project, "restore", "definition", "--snapshot", "last", "--yes", code=26)
    assert "the managed tier is not written" in said
    assert said.count(str(paths[0])) == 1
    assert paths[0].read_bytes() == ONE


def test_what_lies_in_no_repository_comes_back_from_anywhere(world):  # noqa: F811
    """Codex looks for a project's in the working directory itself, where there is no repository around."""
    lone = world.user / "lone"
    role = world.role(lone / ".codex", "scout")
    taken = asked(lone, "definitions", "snapshot")
    first = role.read_bytes()
    for words in (("scout",), ("--snapshot", taken["id"])):
        role.write_bytes(first + b"# More.\n")
        looked(lone)
        [done] = asked(world.project, "restore", "definition", *words, "--yes")["definitions"]
        assert (done["state"], done["recorded"], role.read_bytes()) == ("written", True, first)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("restore", "definition"), 2, "name one of both"),
        (("restore", "definition", "qa", "--snapshot", "last"), 2, "name one of both"),
        (("restore", "definition", "--snapshot", "last", "--revision", "1"), 2, "are for one definition"),
        (("restore", "definition", "--snapshot", "nothing", "--yes"), 3, "no snapshot's id begins"),
        (("definitions", "snapshots", "../x"), 3, "no snapshot's id begins"),
        (("definitions", "snapshot", "--cwd", "/nowhere"), 3, "is no directory"),
        (("restore", "definition", "nobody", "--yes"), 3, "was ever seen"),
    ],
)
def test_what_cannot_be_given_back_is_said(world, qa, words, code, said):  # noqa: F811
    del qa
    assert said in holdfast(world.project, *words, code=code)
