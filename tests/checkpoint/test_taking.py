"""What is in a checkpoint, and that nothing else changes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast import checkpointing, leaving
from holdfast.checkpoint import kept, looking, place, reading, taking
from holdfast.errors import CheckpointFailed, CheckpointRefused
from holdfast.git import Git
from holdfast.redact.redactor import Redactor
from tests.checkpoint.builders import clean, git, lying, made, of_git

REF = "refs/holdfast/checkpoints/main"


def fill(root):
    """Files of every sort that git can keep, most of them untracked, and settings that would convert them."""
    (root / ".gitattributes").write_text(
        "*.txt text eol=crlf\n*.dat filter=trap\n*.u16 working-tree-encoding=UTF-16\n$* ident\n"
    )
    (root / "crlf.txt").write_bytes(b"one\r\ntwo\nthree\r")
    (root / "id.txt").write_bytes(b"$Id$ $Id: 1234 $\n")
    (root / "x.dat").write_bytes(bytes(range(256)) * 10)
    (root / "y.u16").write_bytes("grün".encode("utf-16"))
    (root / "empty").write_bytes(b"")
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "run").write_text("#!/bin/sh\n")
    (root / "deep" / "er" / "run").chmod(0o750)
    (root / "private").write_text("mine\n")
    (root / "private").chmod(0o600)
    (root / "deep.txt").write_text("sorts beside the directory\n")
    (root / "link").symlink_to("a.txt")
    (root / "dangling").symlink_to("/nothing/here")
    (root / "to-directory").symlink_to("deep")
    (root / "line\nend").write_text("a name of two lines\n")
    (root / 'tab\t"quote" \\ back').write_text("a name to quote\n")
    (root / "-dash").write_text("-\n")
    (root / "ünï").write_text("ü\n")
    (root / os.fsdecode(b"not-utf8-\xff\xfe")).write_bytes(b"\xff")


def test_what_lies_there_comes_back_byte_for_byte(taker, repository, tmp_path):
    fill(repository)
    (repository / "a.txt").write_text("changed, not added\n")
    (repository / "staged.txt").write_text("staged\n")
    git(repository, "add", "staged.txt")
    (repository / "sub" / "b.txt").unlink()
    taken = taker.take(repository)
    back = taker.back(taken.commit, repository / ".git", tmp_path / "back")
    assert lying(back) == lying(repository)
    assert (taken.told.left_out, taken.told.unsteady, taken.told.notes) == ([], [], [])
    clean(repository)


def test_nothing_of_gits_changes_but_objects_and_our_reference(taker, repository):
    fill(repository)
    git(repository, "config", "core.logAllRefUpdates", "always")
    git(repository, "config", "core.untrackedCache", "true")
    git(repository, "status")
    before, files = of_git(repository / ".git"), lying(repository)
    refs = git(repository, "for-each-ref")
    stamps = {path: path.lstat().st_mtime_ns for path in repository.rglob("*") if ".git/" not in str(path)}
    for number in range(3):
        (repository / "new.txt").write_text(f"{number}")
        assert taker.take(repository).is_new
        (repository / "new.txt").unlink()
    stamps.pop(repository / ".git")
    stamps.pop(repository, None)
    assert of_git(repository / ".git") == before
    assert lying(repository) == files
    assert {path: path.lstat().st_mtime_ns for path in stamps} == stamps
    ours = git(repository, "for-each-ref", "refs/holdfast", "--format=%(refname)")
    assert ours == REF
    kept_refs = [line for line in git(repository, "for-each-ref").splitlines() if REF not in line]
    assert "\n".join(kept_refs) == refs


def test_where_nothing_changed_no_checkpoint_is_made(taker, repository):
    first = taker.take(repository)
    size = sum(path.stat().st_size for path in (repository / ".git").rglob("*"))
    for _ in range(100):
        again = taker.take(repository, "again")
        assert (again.commit, again.is_new) == (first.commit, False)
    assert sum(path.stat().st_size for path in (repository / ".git").rglob("*")) == size
    assert taker.events() == ["taking", "taken"]
    git(repository, "commit", "-q", "--allow-empty", "-m", "the same files")
    assert not taker.take(repository).is_new


def test_each_checkpoint_follows_the_one_before(taker, repository):
    ids = []
    for number in range(4):
        (repository / "n.txt").write_text(str(number))
        ids.append(taker.take(repository, f"number {number}").commit)
    at = place.find(repository)
    found = reading.chain(at, 10)
    assert [one.oid for one in found] == ids[::-1]
    assert [one.told.message for one in found] == [f"number {number}" for number in (3, 2, 1, 0)]
    assert git(repository, "rev-parse", REF) == ids[-1]


def test_permissions_alone_are_a_change(taker, repository, tmp_path):
    first = taker.take(repository)
    (repository / "a.txt").chmod(0o600)
    second = taker.take(repository)
    assert (second.is_new, second.tree) == (True, first.tree)
    back = taker.back(second.commit, repository / ".git", tmp_path / "back")
    assert stat.S_IMODE((back / "a.txt").stat().st_mode) == 0o600


def left(taken):
    return {one.reason: one.first for one in taken.told.left_out}


def test_what_looks_like_a_secret_or_is_ignored_comes_in_only_when_asked_for(taker, repository, tmp_path):
    (repository / ".gitignore").write_text("build/\n*.log\n")
    (repository / "build").mkdir()
    (repository / "build" / "out").write_text("made\n")
    (repository / "x.log").write_text("log\n")
    (repository / ".env").write_text("A=1\n")
    (repository / ".env.example").write_text("A=\n")
    (repository / "keys").mkdir()
    (repository / "keys" / "server.pem").write_text("?\n")
    (repository / "id_ed25519").write_text("?\n")
    (repository / "notes.md").write_text("the token is ghp_" + "abcdEFGHijklMNOPqrstUVWXyz0123456789" + "\n")
    (repository / "test_login.py").write_text('password = "hunter2hunter"\n')
    first = taker.take(repository)
    assert left(first) == {"secret": [".env", "id_ed25519", "keys/server.pem", "notes.md"]}
    assert first.told.ignored is False
    both = taker.take(repository, include_ignored=True, include_secrets=True)
    assert left(both) == {}
    assert lying(taker.back(both.commit, repository / ".git", tmp_path / "all")) == lying(repository)
    again = taker.take(repository)
    assert (again.tree, left(again)) == (first.tree, left(first))
    clean(repository)


def test_what_was_not_searched_for_secrets_is_told_and_searched_the_next_time(taker, repository, monkeypatch):
    (repository / "notes.md").write_text("the token is ghp_" + "abcdEFGHijklMNOPqrstUVWXyz0123456789" + "\n")
    monkeypatch.setattr(looking, "SECRETS_LIMIT_S", -1)
    first = taker.take(repository)
    assert "names alone decided about 1 of them, such as notes.md" in " ".join(first.told.notes)
    assert left(first) == {}
    monkeypatch.undo()
    second = taker.take(repository)
    assert (left(second), second.told.notes) == ({"secret": ["notes.md"]}, [])


def test_rules_that_are_read_slowly_leave_nothing_unsearched(taker, repository, monkeypatch):
    """As on a machine that is busy, where the rules are compiled for the first time."""
    for number in range(3):
        (repository / f"notes{number}.md").write_text(
            "the token is ghp_" + "abcdEFGHijklMNOPqrstUVWXyz0123456789" + "\n"
        )
    monkeypatch.setattr(looking, "SECRETS_LIMIT_S", 0.3)
    certain, calls = Redactor.certain_kinds.fget, []

    def slow(redactor):
        began_s = time.thread_time()
        while time.thread_time() - began_s < 1.5 * looking.SECRETS_LIMIT_S:
            pass
        calls.append(redactor)
        return certain(redactor)

    monkeypatch.setattr(Redactor, "certain_kinds", property(slow))
    assert left(taker.take(repository)) == {"secret": [f"notes{number}.md" for number in range(3)]}
    assert len(calls) == 1


def test_what_cannot_be_searched_for_secrets_is_left_out(taker, repository, monkeypatch):
    (repository / "notes.md").write_text("the token is ghp_" + "abcdEFGHijklMNOPqrstUVWXyz0123456789" + "\n")

    def fails(*_):
        raise RuntimeError("late")

    monkeypatch.setattr("holdfast.redact.redactor.Redactor.places", fails)
    assert left(taker.take(repository)) == {"secret": ["notes.md"]}


def test_what_git_tracks_is_in_whatever_it_is_called(taker, repository, tmp_path):
    (repository / ".env").write_text("A=1\n")
    git(repository, "add", "-f", ".env")
    (repository / ".env").write_text("A=2\n")
    taken = taker.take(repository)
    assert left(taken) == {}
    assert (taker.back(taken.commit, repository / ".git", tmp_path / "b") / ".env").read_text() == "A=2\n"


def test_what_is_beyond_a_limit_is_told(taker, repository, monkeypatch):
    monkeypatch.setenv("HOLDFAST_CHECKPOINT_FILE_SIZE_BYTES", "1000")
    monkeypatch.setattr(looking, "MOST_UNTRACKED", 3)
    monkeypatch.setattr(looking, "MOST_READ_BYTES", 1_500)
    (repository / "a.txt").write_bytes(b"l" * 1_001)
    for number in range(5):
        (repository / f"u{number}").write_bytes(b"u" * 700)
    taken = taker.take(repository)
    assert left(taken) == {"large": ["a.txt"], "too_many": ["u3", "u4"], "too_much": ["u2"]}
    assert taken.told.files == 3


def test_what_cannot_be_kept_is_told(taker, repository, tmp_path):
    os.mkfifo(repository / "a.fifo")
    (repository / "a.txt").unlink()
    os.mkfifo(repository / "a.txt")
    made(repository / "nested")
    other = made(tmp_path / "other")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "module")
    taken = taker.take(repository)
    assert left(taken) == {"special": ["a.txt"], "repository": ["module", "nested"]}
    inside = taker.take(repository / "module")
    assert inside.place.root == os.fsencode(repository / "module")
    assert inside.told.files == 2


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="root may read everything, and setpriv is absent",
)
def test_what_may_not_be_read_is_told(taker, repository, tmp_path, home):
    (repository / "closed").write_text("x")
    (repository / "closed").chmod(0)
    (repository / "shut").mkdir()
    (repository / "shut" / "in").write_text("x")
    (repository / "shut").chmod(0)
    words = [sys.executable, "-m", "holdfast", "checkpoint", "--json"]
    env = dict(os.environ)
    if os.geteuid() == 0:
        for top in (tmp_path, repository):
            subprocess.run(["chown", "-R", "65534:65534", top], check=True)
        probe = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ls", tmp_path],
            capture_output=True,
            check=False,
        )
        python = subprocess.run(
            [
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                sys.executable,
                "-c",
                "import holdfast",
            ],
            capture_output=True,
            check=False,
            cwd="/",
        )
        if probe.returncode or python.returncode:
            pytest.skip("another user may not read the test's directory, or the interpreter")
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words]
        env["XDG_CACHE_HOME"] = str(tmp_path / "user")
    done = subprocess.run(words, cwd=repository, capture_output=True, text=True, env=env, check=False)
    (repository / "shut").chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert '"unreadable"' in done.stdout
    assert "closed" in done.stdout
    assert "shut/" in done.stdout  # what git said of it


def test_what_the_system_refuses_is_told_by_name(taker, repository, monkeypatch):
    opened = looking.Looker._opened

    def refusing(looker, path):
        if path == b"sub/b.txt":
            raise PermissionError(13, "Permission denied")
        return opened(looker, path)

    monkeypatch.setattr(looking.Looker, "_opened", refusing)
    assert left(taker.take(repository)) == {"unreadable": ["sub/b.txt"]}


def test_a_file_that_changes_while_it_is_read_is_told(taker, repository, monkeypatch):
    real = looking._bytes

    def busy(fd, limit_bytes):
        with (repository / "a.txt").open("a") as file:
            file.write("more\n")
        return real(fd, limit_bytes)

    monkeypatch.setattr(looking, "_bytes", busy)
    taken = taker.take(repository)
    assert "a.txt" in taken.told.unsteady
    monkeypatch.setattr(looking, "_bytes", real)
    assert taker.take(repository).told.unsteady == []
    clean(repository)


def test_a_change_that_the_systems_dates_do_not_tell_is_seen(taker, repository):
    """Size and date are as before: a file that was changed shortly before a look is read again at the next."""
    path = repository / "a.txt"
    for number in range(20):
        path.write_text(f"{number:02}")
        os.utime(path, ns=(10**18, 10**18))
        taken = taker.take(repository)
        assert git(repository, "cat-file", "-p", f"{taken.commit}:a.txt") == f"{number:02}"


def test_no_link_leads_out_of_the_worktree(taker, repository, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("not yours\n")
    shutil.rmtree(repository / "sub")
    (repository / "sub").symlink_to(outside)
    taken = taker.take(repository)
    names = git(repository, "ls-tree", "-r", "--name-only", taken.commit).split()
    assert names == ["a.txt", "sub"]


@pytest.mark.parametrize("damage", ["gone", "torn", "other", "future"])
def test_what_is_remembered_of_files_is_only_a_hint(taker, repository, damage, home):
    taker.take(repository)
    [path] = (home / kept.DIRECTORY).glob("*.index")
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "other":
        path.write_bytes(whole[:40] + b"?" + whole[41:])
    else:
        kept.save(path.parent, path.stem, kept.Index(version=99))
    (repository / "a.txt").write_text("new\n")
    taken = taker.take(repository)
    assert git(repository, "cat-file", "-p", f"{taken.commit}:a.txt") == "new"
    clean(repository)


def test_a_reference_that_names_nothing_hides_no_checkpoint_but_its_own(
    taker, repository, tmp_path, monkeypatch
):
    """As after a damage of the disk: in one worktree what the last checkpoint is cannot be told, and in all others it can."""
    git(repository, "worktree", "add", "-q", "-b", "other", tmp_path / "other")
    good = taker.take(tmp_path / "other")
    taker.take(repository)
    path, lost = repository / ".git" / REF, "12" * 20
    monkeypatch.chdir(tmp_path / "other")
    for content, why in ((lost, f"{REF} names {lost}, which the repository does not have"), ("", "broken")):
        path.write_text(content)
        assert checkpointing.find(taker.home, good.commit[:8]).read.oid == good.commit
        found = checkpointing.find(taker.home, None)
        assert not checkpointing.changes(taker.home, found, None)
        for ask in (taker.take, lambda at: reading.chain(place.find(at), 1)):
            with pytest.raises(CheckpointFailed, match=why if ask == taker.take else REF):
                ask(repository)
        assert path.read_text() == content
        git(repository, "update-ref", "-d", REF) if content else path.unlink()
        assert taker.take(repository).is_new


@pytest.mark.parametrize(
    ("found", "planted", "is_ours"),
    [
        (r"committer .*", "committer x <y> " + "9" * 5_000 + " +0000", True),
        (r'"size_bytes":\d+', '"size_bytes":1' + "0" * 400, False),
        (r'"files":\d+', '"files":-1', False),
        (r'"count":\d+', '"count":1' + "0" * 400, False),
    ],
    ids=["time", "size", "files", "left out"],
)
def test_a_commit_that_says_what_cannot_be_is_in_nobodys_way(taker, repository, found, planted, is_ours):
    """Who wrote the repository may have written that too."""
    (repository / ".env").write_text("left out\n")
    taken = taker.take(repository)
    written = re.sub(found, planted, git(repository, "cat-file", "commit", taken.commit), count=1)
    (repository / ".git" / "planted").write_text(f"{written}\n")
    made = git(repository, "hash-object", "-t", "commit", "-w", "--literally", ".git/planted")
    git(repository, "update-ref", REF, made)
    [one] = reading.chain(place.find(repository), 2)
    assert (one.oid, one.told is not None) == (made, is_ours)
    (repository / "a.txt").write_text("changed\n")
    assert taker.take(repository).parent == made


def test_a_worktree_whose_registration_names_no_place_is_refused(taker, repository, tmp_path):
    git(repository, "worktree", "add", "-q", "-b", "other", tmp_path / "other")
    (repository / ".git" / "worktrees" / "other" / "gitdir").write_bytes(b"/x\0/.git\n")
    with pytest.raises(CheckpointRefused, match="does not name it as a worktree of its own"):
        taker.take(tmp_path / "other")


def test_what_is_remembered_does_not_stand_for_objects_that_went(taker, repository):
    """Somebody removed the reference and collected everything; the next checkpoint is whole again."""
    (repository / "u.txt").write_text("untracked\n")
    taker.take(repository)
    git(repository, "update-ref", "-d", REF)
    git(repository, "gc", "-q", "--prune=now")
    taker.take(repository)
    clean(repository)


# ── the state of the repository ──


def conflicted(repository, how):
    """Leave a merge, rebase or cherry-pick half done."""
    git(repository, "checkout", "-q", "-b", "other")
    (repository / "a.txt").write_text("theirs\n")
    git(repository, "commit", "-q", "-am", "theirs")
    git(repository, "checkout", "-q", "main")
    (repository / "a.txt").write_text("ours\n")
    git(repository, "commit", "-q", "-am", "ours")
    git(repository, how, "other", ok=False)


@pytest.mark.parametrize("how", ["merge", "rebase", "cherry-pick"])
def test_in_the_middle_of_a(taker, repository, how, tmp_path):
    conflicted(repository, how)
    (repository / "u.txt").write_text("untracked\n")
    before = of_git(repository / ".git")
    taken = taker.take(repository)
    assert taken.told.operation.startswith(how)
    assert of_git(repository / ".git") == before
    assert lying(taker.back(taken.commit, repository / ".git", tmp_path / "back")) == lying(repository)
    clean(repository)


def test_a_detached_head_a_linked_worktree_and_a_repository_without_a_commit(taker, repository, tmp_path):
    git(repository, "checkout", "-q", "--detach")
    assert taker.take(repository).told.branch is None
    linked = tmp_path / "linked"
    git(repository, "worktree", "add", "-q", "-b", "side", str(linked))
    (linked / "own.txt").write_text("own\n")
    taken = taker.take(linked)
    assert (taken.place.ref, taken.told.branch) == ("refs/holdfast/checkpoints/worktrees/linked", "side")
    assert taken.parent is None
    git(repository, "worktree", "remove", "--force", str(linked))
    back = taker.back(taken.commit, repository / ".git", tmp_path / "back")
    assert (back / "own.txt").read_text() == "own\n"
    bare = tmp_path / "young"
    git(tmp_path, "init", "-q", str(bare))
    empty = taker.take(bare)
    assert (empty.told.base, empty.told.files) == (None, 0)
    (bare / "first").write_text("1")
    second = taker.take(bare)
    assert (second.told.base, second.told.files, second.is_new) == (None, 1, True)
    clean(bare)


def test_a_directory_below_the_root_stands_for_all_of_it(taker, repository):
    taken = taker.take(repository / "sub")
    assert taken.place.root == os.fsencode(repository)
    assert taken.told.files == 2


def test_a_locked_index_is_not_in_the_way(taker, repository):
    (repository / ".git" / "index.lock").touch()
    (repository / "a.txt").write_text("new\n")
    assert taker.take(repository).is_new
    assert (repository / ".git" / "index.lock").exists()


def test_what_a_sparse_checkout_does_not_have_there_is_not_deleted(taker, repository, tmp_path):
    git(repository, "sparse-checkout", "set", "--no-cone", "/a.txt")
    assert not (repository / "sub").exists()
    (repository / "a.txt").write_text("changed\n")
    for more in ([], ["--cone", "--sparse-index", "nothing"]):
        git(repository, "sparse-checkout", *(["set", *more] if more else ["list"]))
        taken = taker.take(repository)
        assert (left(taken), taken.told.files, taken.told.size_bytes) == ({}, 2, len("changed\nb\n"))
        assert "1 files that a sparse checkout does not have there" in " ".join(taken.told.notes)
        found = checkpointing.Kept(repository / ".git", reading.one(repository / ".git", taken.commit))
        assert not checkpointing.changes(taker.home, found, None)
    back = taker.back(taken.commit, repository / ".git", tmp_path / "back")
    assert (back / "sub" / "b.txt").read_text() == "b\n"
    clean(repository)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_where_a_sparse_checkout_has_no_directory_is_in_and_can_be_given_back(
    taker, repository, tmp_path, kind
):
    """git's tree has one of both, the file or what would lie below it; with both it is none that anybody can check out."""
    (repository / "sub" / "deep").mkdir()
    (repository / "sub" / "deep" / "c.txt").write_text("c\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "deep")
    git(repository, "sparse-checkout", "set", "--no-cone", "/a.txt")
    if kind == "file":
        (repository / "sub").write_text("untracked\n")
    else:
        (repository / "sub").symlink_to("a.txt")
    taken = taker.take(repository)
    assert left(taken) == {"sparse": ["sub/b.txt", "sub/deep/c.txt"]}
    assert (taken.told.files, taken.told.notes) == (2, [])
    assert lying(taker.back(taken.commit, repository / ".git", tmp_path / "back")) == lying(repository)
    found = checkpointing.Kept(repository / ".git", reading.one(repository / ".git", taken.commit))
    assert not checkpointing.changes(taker.home, found, None)
    clean(repository)


def test_a_partial_clone_need_not_have_what_its_index_names(taker, repository, tmp_path):
    git(repository, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repository}", str(clone))
    git(clone, "sparse-checkout", "set", "--no-cone", "/a.txt")
    git(clone, "checkout", "-q")
    taken = taker.take(clone)
    assert (left(taken), taken.told.files) == ({"sparse": ["sub/b.txt"]}, 1)
    assert (taker.back(taken.commit, clone / ".git", tmp_path / "b") / "a.txt").read_text() == "a\n"


def test_what_a_sparse_checkout_comes_to_lack_is_not_told_as_deleted(taker, repository, tmp_path):
    for number in range(30):
        (repository / "sub" / f"{number}.txt").write_text(f"{number}\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "many")
    git(repository, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--filter=blob:limit=1m", f"file://{repository}", str(clone))
    taken = taker.take(clone)
    git(clone, "sparse-checkout", "set", "--no-cone", "/a.txt")
    (clone / "a.txt").unlink()
    found = checkpointing.Kept(clone / ".git", reading.one(clone / ".git", taken.commit))
    now = checkpointing.changes(taker.home, found, None)
    assert (now.deleted, len(now.unknown), now.added) == ([b"a.txt"], 31, [])


@pytest.mark.parametrize("bit", ["--skip-worktree", "--assume-unchanged"])
def test_what_git_was_told_not_to_look_at_may_be_deleted(taker, repository, bit):
    """Only a sparse checkout does not have there what nobody deleted."""
    git(repository, "update-index", bit, "a.txt")
    (repository / "a.txt").unlink()
    taken = taker.take(repository)
    assert (left(taken), taken.told.files, taken.told.notes) == ({}, 1, [])


@pytest.mark.parametrize("bit", ["--skip-worktree", "--assume-unchanged"])
def test_what_git_was_told_not_to_look_at_is_in_as_it_lies_there(taker, repository, bit):
    git(repository, "update-index", bit, "a.txt", "sub/b.txt")
    (repository / "a.txt").write_text("changed\n")
    for text in ("changed\n", "again\n"):
        (repository / "a.txt").write_text(text)
        taken = taker.take(repository)
        assert left(taken) == {}
        assert git(repository, "cat-file", "-p", f"{taken.commit}:a.txt") == text.strip()


@pytest.mark.parametrize(
    "name",
    [".GIT/config", "deep/.Git/x", ".giT", "git~1/x", ".git ", "a/.g\u200cit/x", ".git::$INDEX_ALLOCATION/x"],
)
def test_what_git_keeps_a_name_for_is_left_out_and_told(taker, repository, tmp_path, name):
    path = repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x\n")
    for like in (".gitx", "x.git", ".gi", "git~2", "legit"):
        (repository / like).write_text("x\n")
    taken = taker.take(repository)
    assert left(taken) == {"name": [name]}
    assert taken.told.files == 7
    assert len(lying(taker.back(taken.commit, repository / ".git", tmp_path / "back"))) == 7
    clean(repository)


def test_a_repository_that_names_its_objects_by_sha256(taker, home, tmp_path):
    repository = made(tmp_path / "work", "--object-format=sha256")
    fill(repository)
    taken = taker.take(repository)
    assert len(taken.commit) == 64
    assert lying(taker.back(taken.commit, repository / ".git", tmp_path / "back")) == lying(repository)
    clean(repository)


def test_a_shared_repository_and_one_with_alternates(taker, repository, tmp_path):
    git(repository, "gc", "-q")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--shared", str(repository), str(clone))
    (clone / "a.txt").write_text("new\n")
    before = sorted((repository / ".git" / "objects").rglob("*"))
    taken = taker.take(clone)
    assert sorted((repository / ".git" / "objects").rglob("*")) == before
    assert lying(taker.back(taken.commit, clone / ".git", tmp_path / "back")) == lying(clone)


def test_many_files_come_in_as_one_pack(taker, repository, tmp_path):
    for number in range(700):
        (repository / f"f{number}").write_text(str(number))
    taken = taker.take(repository)
    assert len(list((repository / ".git" / "objects" / "pack").glob("*.pack"))) == 1
    assert lying(taker.back(taken.commit, repository / ".git", tmp_path / "back")) == lying(repository)
    clean(repository)


def test_a_large_pack_lies_in_a_file_meanwhile(taker, repository, tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    drawn = random.Random(seed)
    for number in range(5):
        (repository / f"big{number}").write_bytes(drawn.randbytes(5 << 20))
    taken = taker.take(repository)
    assert lying(taker.back(taken.commit, repository / ".git", tmp_path / "back")) == lying(repository)


# ── what is refused ──


def test_where_there_is_no_worktree_it_is_refused(taker, repository, tmp_path, monkeypatch):
    plain = tmp_path / "plain"
    plain.mkdir()
    bare = tmp_path / "bare.git"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    file = tmp_path / "file"
    file.touch()
    for directory, words in (
        (plain, "no git repository"),
        (bare, "bare"),
        (repository / ".git", "not a worktree"),
        (file, "no such directory"),
        (tmp_path / "nothing", "no such directory"),
    ):
        with pytest.raises(CheckpointRefused, match=words) as told:
            taker.take(directory)
        assert told.value.hint
    monkeypatch.setenv("PATH", str(plain))
    with pytest.raises(CheckpointRefused, match="git is not installed"):
        taker.take(repository)


def test_a_repository_that_says_that_its_worktree_lies_elsewhere_is_refused(taker, repository, tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "diary").write_text("mine")
    git(repository, "config", "core.worktree", str(tmp_path / "victim"))
    with pytest.raises(CheckpointRefused, match=r"core\.worktree"):
        taker.take(repository)


def points_at(worktree, to):
    shutil.rmtree(worktree / ".git", ignore_errors=True)
    (worktree / ".git").write_text(f"gitdir: {to}\n")


@pytest.mark.parametrize("how", ["file", "link", "linked worktree", "commondir", "submodule"])
def test_a_repository_that_does_not_name_this_worktree_is_refused(taker, repository, tmp_path, how):
    """A directory that somebody was given may lead git into any repository of its user."""
    git(repository, "worktree", "add", "-q", str(tmp_path / "side"))
    other = made(tmp_path / "other")
    if how == "file":
        points_at(other, repository / ".git")
    elif how == "link":
        shutil.rmtree(other / ".git")
        (other / ".git").symlink_to(repository / ".git")
    elif how == "linked worktree":
        points_at(other, repository / ".git" / "worktrees" / "side")
    elif how == "commondir":
        (other / ".git" / "commondir").write_text(f"{repository / '.git'}\n")
    else:
        git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "module")
        points_at(other, repository / ".git" / "modules" / "module")
    with pytest.raises(CheckpointRefused, match=r"does not name it|core\.worktree"):
        taker.take(other)
    assert git(repository, "for-each-ref", "refs/holdfast") == ""
    assert taker.take(tmp_path / "side").is_new


def test_a_repository_whose_directory_lies_elsewhere_has_to_name_its_worktree(taker, home, tmp_path):
    git(tmp_path, "init", "-q", "--separate-git-dir", str(tmp_path / "elsewhere.git"), str(tmp_path / "work"))
    with pytest.raises(CheckpointRefused, match="does not name it") as told:
        taker.take(tmp_path / "work")
    assert "core.worktree" in told.value.hint
    git(tmp_path / "work", "config", "core.worktree", str(tmp_path / "work"))
    assert taker.take(tmp_path / "work").is_new


def test_a_submodule_may_have_settings_of_its_own_for_its_worktree(taker, repository, tmp_path):
    """`git sparse-checkout` moves core.worktree out of the settings that all worktrees share."""
    other = made(tmp_path / "other")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "module")
    module = repository / "module"
    git(module, "sparse-checkout", "set", "--no-cone", "/a.txt")
    git(module, "config", "--worktree", "--get", "core.worktree")
    taken = taker.take(module)
    assert (taken.is_new, taken.told.files) == (True, 2)
    points_at(other, repository / ".git" / "modules" / "module")
    with pytest.raises(CheckpointRefused, match=r"core\.worktree"):
        taker.take(other)


def test_of_a_worktree_that_was_copied_it_is_told_what_a_repair_would_do(taker, repository, tmp_path):
    git(repository, "worktree", "add", "-q", str(tmp_path / "side"))
    shutil.copytree(tmp_path / "side", tmp_path / "copy")
    with pytest.raises(CheckpointRefused, match="does not name it") as told:
        taker.take(tmp_path / "copy")
    assert f"a copy of the worktree at {tmp_path / 'side'}" in told.value.hint
    assert "would take that one's registration" in told.value.hint


def test_a_worktree_that_was_moved_is_refused_until_git_knows_where_it_is(taker, repository, tmp_path):
    git(repository, "worktree", "add", "-q", str(tmp_path / "side"))
    (tmp_path / "side").rename(tmp_path / "moved")
    with pytest.raises(CheckpointRefused, match="does not name it"):
        taker.take(tmp_path / "moved")
    git(tmp_path / "moved", "worktree", "repair")
    assert taker.take(tmp_path / "moved").is_new


@pytest.mark.parametrize(
    "place_of",
    [
        ".git/HEAD", ".git/packed-refs", ".git/index", ".git/config", ".git/info/exclude", ".git/MERGE_HEAD", ".git/gc.pid",
        ".git/rebase-merge/msgnum", ".git/refs/heads/main", f".git/{REF}", ".gitignore", "sub/.gitattributes",
    ],
)  # fmt: skip
def test_no_pipe_is_waited_for(taker, repository, monkeypatch, place_of):
    taker.take(repository)
    (repository / "a.txt").write_text("changed\n")
    pipe = repository / place_of
    pipe.parent.mkdir(parents=True, exist_ok=True)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    monkeypatch.setattr(place, "LIMIT_S", 0.7)
    signal.alarm(30)
    try:
        taker.take(repository)
    except (CheckpointFailed, CheckpointRefused) as refused:
        print(refused)
    finally:
        signal.alarm(0)
    assert running(repository) == []


def running(repository):
    """Processes of git that were asked about a repository."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0].endswith(b"git") and any(os.fsencode(repository) in word for word in words):
                found.append(words)
    return found


def test_what_git_started_against_our_will_is_ended_with_it(taker, repository, tmp_path, monkeypatch):
    """Also where git itself is gone, and somebody holds its pipes."""
    real, pid = tmp_path / "bin", tmp_path / "pid"
    real.mkdir()
    (real / "git").write_text(f"#!/bin/sh\nsleep 600 &\necho $! > {pid}\nexit 0\n")
    (real / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{real}:{os.environ['PATH']}")
    monkeypatch.setattr(place, "LIMIT_S", 1)
    with pytest.raises(CheckpointRefused, match="took too long"):
        taker.take(repository)
    stat_of = Path("/proc", pid.read_text().strip(), "stat")
    while stat_of.exists() and stat_of.read_text().rpartition(") ")[2][0] != "Z":
        pass


def test_hooks_of_the_configuration_are_overridden_wherever_hooks_could_run(
    taker, repository, tmp_path, monkeypatch
):
    """git has them since 2.54: `hook.<name>.command`. What an older one is told is seen here."""
    git(repository, "config", 'hook.spy "x".command', "touch ran")
    git(repository, "config", 'hook.spy "x".event', "reference-transaction")
    git(repository, "config", "hook.a.b.event", "post-checkout")
    real, seen = tmp_path / "bin", tmp_path / "seen"
    real.mkdir()
    (real / "git").write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "told = {v: os.environ[k.replace('KEY', 'VALUE')] for k, v in os.environ.items() if k.startswith('GIT_CONFIG_KEY_')}\n"
        f"open({str(seen)!r}, 'a').write(json.dumps([sys.argv[1:], told]) + '\\n')\n"
        f"os.execv({shutil.which('git')!r}, sys.argv)\n"
    )
    (real / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{real}:{os.environ['PATH']}")
    taken = taker.take(repository)
    taker.back(taken.commit, repository / ".git", tmp_path / "tree", worktree=True)
    leaving.remove(leaving.references([], [str(repository / ".git")]).found)
    assert git(repository, "for-each-ref", "refs/holdfast") == ""
    could = {"update-ref", "worktree", "read-tree"}
    asked = [(could & set(words), told) for words, told in map(json.loads, seen.read_text().splitlines())]
    assert {word for words, _ in asked for word in words} == could
    for words, told in asked:
        for name in ('spy "x"', "a.b") if words else ():
            assert (told[f"hook.{name}.enabled"], told[f"hook.{name}.command"]) == ("false", "true"), words


def asks_for_hooks(taker, repository, monkeypatch, content):
    """Take a checkpoint of a changed file; whether git was asked which hooks there are, and which ones were left out."""
    asked, begin = [], Git.begin

    def noting(self, *words, **more):
        asked.append((words[0], {name for name in self._settings if name.startswith("hook.")}))
        return begin(self, *words, **more)

    (repository / "a.txt").write_text(content)
    with monkeypatch.context() as patched:
        patched.setattr(Git, "begin", noting)
        assert taker.take(repository).is_new
    [left] = [hooks for word, hooks in asked if word == "update-ref"]
    return "config" in [word for word, _ in asked], len(left)


def test_hooks_are_asked_for_again_when_a_configuration_changes(taker, repository, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "UNSURE_NS", -(1 << 62))  # the tests have no time to let files rest

    def ask(content):
        return asks_for_hooks(taker, repository, monkeypatch, content)

    assert [ask("1"), ask("2")] == [(True, 0), (False, 0)]
    git(repository, "config", "hook.x.command", "touch ran")
    assert [ask("3"), ask("4")] == [(True, 2), (False, 2)]
    for path in (".gitconfig", ".config/git/config"):
        (tmp_path / "user" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "user" / path).write_text(f'[hook "{path}"]\n\tcommand = touch ran\n')
    assert [ask("5"), ask("6")] == [(True, 6), (False, 6)]
    git(repository, "config", "extensions.worktreeConfig", "true")
    git(repository, "config", "--worktree", "hook.y.command", "touch ran")
    assert [ask("7"), ask("8")] == [(True, 8), (False, 8)]
    git(repository, "config", "include.path", str(tmp_path / "more"))
    assert [ask("9"), ask("10")] == [(True, 8), (True, 8)]
    (tmp_path / "more").write_text('[hook "z"]\n\tcommand = touch ran\n')
    assert ask("11") == (True, 10)
    git(repository, "config", "--unset", "include.path")
    git(repository, "config", "hook.ü.command", "touch ran")
    assert [ask("12"), ask("13")] == [(True, 10), (True, 10)]


def test_what_a_configuration_has_just_come_to_be_is_not_remembered(taker, repository, monkeypatch):
    """The system may date another change alike."""
    monkeypatch.setattr(kept, "UNSURE_NS", 1 << 62)
    assert [asks_for_hooks(taker, repository, monkeypatch, text) for text in "12"] == [(True, 0), (True, 0)]


def test_a_damaged_repository_is_told_of_and_left_as_it_is(taker, repository):
    (repository / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(CheckpointFailed, match="git says"):
        taker.take(repository)
    assert git(repository, "for-each-ref", "refs/holdfast") == ""
    assert taker.events() == []


def test_a_reference_that_is_locked_is_told_of(taker, repository):
    taker.take(repository)
    (repository / "a.txt").write_text("new\n")
    lock = repository / ".git" / f"{REF}.lock"
    lock.touch()
    with pytest.raises(CheckpointFailed, match=r"main\.lock"):
        taker.take(repository)
    lock.unlink()
    assert taker.take(repository).is_new
    assert taker.events() == ["taking", "taken", "taking", "not_taken", "taking", "taken"]


# ── hostile repositories ──


def test_no_program_runs_that_a_repository_names(taker, repository, tmp_path, monkeypatch):
    seen = tmp_path / "ran"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho ran >> {seen}\ncat\n")
    trap.chmod(0o755)
    for name, value in {
        "core.fsmonitor": str(trap),
        "filter.trap.clean": str(trap),
        "filter.trap.smudge": str(trap),
        "filter.trap.process": str(trap),
        "filter.trap.required": "true",
        "diff.external": str(trap),
        "diff.trap.textconv": str(trap),
        "core.pager": str(trap),
        "core.sshCommand": str(trap),
        "core.alternateRefsCommand": str(trap),
        "core.hooksPath": str(tmp_path / "hooks"),
        "gpg.program": str(trap),
        "commit.gpgSign": "true",
    }.items():
        git(repository, "config", name, value)
    (repository / ".gitattributes").write_text("* filter=trap diff=trap\n")
    for hooks in (tmp_path / "hooks", repository / ".git" / "hooks"):
        hooks.mkdir(exist_ok=True)
        for name in (
            "reference-transaction",
            "post-index-change",
            "pre-auto-gc",
            "post-checkout",
            "pre-commit",
            "post-commit",
        ):
            shutil.copy(trap, hooks / name)
    fill(repository)
    seen.unlink(missing_ok=True)
    taken = taker.take(repository)
    back = taker.back(taken.commit, repository / ".git", tmp_path / "back")
    taker.back(taken.commit, repository / ".git", tmp_path / "tree", worktree=True)
    reading.files(reading.asker(repository / ".git"), taken.commit)
    assert not seen.exists()
    assert lying(back) == lying(repository)
    git(repository, "-c", f"core.fsmonitor={trap}", "status", ok=False)
    assert seen.exists(), "negative control: git does run it"


def test_variables_of_the_caller_do_not_lead_git_elsewhere(taker, repository, tmp_path, monkeypatch):
    other = made(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
    taken = taker.take(repository)
    assert taken.place.common_dir == repository / ".git"
    assert not (tmp_path / "index").exists()
    assert not (tmp_path / "objects").exists()


# ── what git takes away ──


@pytest.mark.parametrize("is_checked", [True, False], ids=["checked", "negative control"])
def test_objects_that_are_taken_away_before_they_are_named_are_handed_over_again(
    taker, repository, monkeypatch, is_checked
):
    (repository / "u.txt").write_text("untracked\n")
    send, times = taking._send, []

    def sent(asker, pack, *, loose):
        send(asker, pack, loose=loose)
        times.append(1)
        if len(times) == 1:
            path = repository / ".git" / "objects" / git(repository, "hash-object", "--no-filters", "u.txt")
            name = path.name
            (path.parent / name[:2] / name[2:]).unlink()

    monkeypatch.setattr(taking, "_send", sent)
    if not is_checked:
        monkeypatch.setattr(taking, "_missing", lambda *_: False)
    taker.take(repository)
    assert len(times) == (2 if is_checked else 1)
    if is_checked:
        clean(repository)
    else:
        with pytest.raises(AssertionError):  # git says what is missing on its standard output
            clean(repository)


def test_what_only_the_users_index_held_is_kept_when_that_goes(taker, repository, monkeypatch):
    """A staged file's object is counted on; it is collected before the checkpoint names it."""
    (repository / "s.txt").write_text("staged\n")
    git(repository, "add", "s.txt")
    send, times = taking._send, []

    def sent(asker, pack, *, loose):
        send(asker, pack, loose=loose)
        times.append(1)
        if len(times) == 1:
            git(repository, "rm", "-q", "--cached", "s.txt")
            name = git(repository, "hash-object", "s.txt")
            (repository / ".git" / "objects" / name[:2] / name[2:]).unlink()

    monkeypatch.setattr(taking, "_send", sent)
    taken = taker.take(repository)
    assert taken.told.files == 3
    clean(repository)
    assert git(repository, "rev-list", "--count", REF) == "1"
    assert taker.events()[-1] == "taken"
