"""A checkpoint is given back whole, or not at all, and nowhere but where it was asked for."""

from __future__ import annotations

import os

import pytest

from holdfast import checkpointing
from holdfast.checkpoint import commits, giving_back, place, reading
from holdfast.checkpoint.objects import Pack, add_trees, commit
from holdfast.errors import CheckpointFailed, CheckpointRefused, UsageError
from holdfast.git import Git
from tests.checkpoint.builders import git, lying, made


def siblings(path):
    return sorted(one.name for one in path.parent.iterdir())


@pytest.mark.parametrize("what", ["file", "link", "full", "hidden"])
def test_what_stands_there_is_never_touched(taker, repository, tmp_path, what):
    taken = taker.take(repository)
    to = tmp_path / "to"
    if what == "file":
        to.write_text("mine")
    elif what == "link":
        (tmp_path / "real").mkdir()
        to.symlink_to(tmp_path / "real")
    else:
        to.mkdir()
        (to / (".mine" if what == "hidden" else "mine")).write_text("mine")
    before, names = lying(tmp_path / "to") if to.is_dir() else to.lstat().st_mtime_ns, siblings(to)
    for worktree in (False, True):
        with pytest.raises(CheckpointRefused, match=r"not empty|no directory"):
            taker.back(taken.commit, repository / ".git", to, worktree=worktree)
    assert (lying(to) if to.is_dir() else to.lstat().st_mtime_ns) == before
    assert siblings(to) == names


def test_an_empty_directory_and_one_that_is_not_there_are_filled(taker, repository, tmp_path):
    taken = taker.take(repository)
    (tmp_path / "empty").mkdir()
    for to in (tmp_path / "empty", tmp_path / "new" / "below"):
        assert lying(taker.back(taken.commit, repository / ".git", to)) == lying(repository)


def test_nothing_is_given_back_into_the_home(taker, repository, home):
    taken = taker.take(repository)
    with pytest.raises(UsageError, match="inside the home"):
        taker.back(taken.commit, repository / ".git", home / "inbox" / "x")


def test_a_worktree_of_it_stands_at_its_commit_with_everything_uncommitted(taker, repository, tmp_path):
    (repository / "a.txt").write_text("changed\n")
    (repository / "u.txt").write_text("untracked\n")
    (repository / "sub" / "b.txt").unlink()
    taken = taker.take(repository)
    base = git(repository, "rev-parse", "HEAD")
    git(repository, "commit", "-q", "-am", "went on")
    before = git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")
    to = taker.back(taken.commit, repository / ".git", tmp_path / "tree", worktree=True)
    assert lying(to) == {name: one for name, one in lying(repository).items() if name != b"sub/b.txt"}
    assert git(to, "rev-parse", "HEAD") == base
    assert git(to, "status", "--porcelain").splitlines() == ["M a.txt", " D sub/b.txt", "?? u.txt"]
    assert (git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")) == before
    git(repository, "worktree", "remove", "--force", str(to))


def test_a_worktree_needs_a_commit_that_is_there(taker, home, tmp_path):
    young = tmp_path / "young"
    git(tmp_path, "init", "-q", str(young))
    (young / "x").write_text("x")
    taken = taker.take(young)
    with pytest.raises(CheckpointRefused, match="before there was a commit"):
        taker.back(taken.commit, young / ".git", tmp_path / "to", worktree=True)
    old = made(tmp_path / "old")
    taken = taker.take(old)
    git(old, "commit", "-q", "--amend", "-m", "other")
    git(old, "reflog", "expire", "--expire=now", "--all")
    git(old, "gc", "-q", "--prune=now")
    with pytest.raises(CheckpointRefused, match="not in the repository any more"):
        taker.back(taken.commit, old / ".git", tmp_path / "to", worktree=True)
    assert not (tmp_path / "to").exists()
    assert lying(taker.back(taken.commit, old / ".git", tmp_path / "to")) == lying(old)


@pytest.mark.parametrize("damage", ["gone", "other bytes"])
def test_what_git_lacks_is_told_and_nothing_is_left_behind(taker, repository, tmp_path, damage):
    (repository / "u.txt").write_text("untracked\n")
    taken = taker.take(repository)
    name = git(repository, "hash-object", "u.txt")
    path = repository / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o600)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3] + b"???")
    before = siblings(tmp_path / "to")
    with pytest.raises(CheckpointFailed):
        taker.back(taken.commit, repository / ".git", tmp_path / "to")
    assert siblings(tmp_path / "to") == before


def crafted(repository, entries):
    """A checkpoint that nobody of ours would make."""
    at = place.find(repository)
    pack = Pack(repository, at.algorithm)
    blob = pack.add("blob", b"echo owned\n")
    lines = [(path, b"%o" % mode, blob) for path, mode in entries.items()]
    tree, _ = add_trees(pack, lines, frozenset(), at.algorithm)
    oid = pack.add("commit", commit(tree, None, 0, "x\n\n{}"))
    Git(repository, 10)("unpack-objects", "-q", given=pack.whole())
    pack.close()
    git(repository, "update-ref", at.ref, oid)
    return oid


@pytest.mark.parametrize(
    "entries",
    [
        {b"../out": 0o100644},
        {b"a/../../out": 0o100644},
        {b".git/hooks/post-checkout": 0o100755},
        {b"sub/.GIT/config": 0o100644},
        {b"./x": 0o100644},
        {b"x": 0o120000, b"x/y": 0o100644},
        {b"x": 0o160000},
    ],
)
def test_a_checkpoint_that_is_none_of_ours_reaches_nothing_outside(taker, repository, tmp_path, entries):
    oid = crafted(repository, entries)
    to = tmp_path / "far" / "to"
    with pytest.raises(CheckpointFailed):
        taker.back(oid, repository / ".git", to)
    assert list((tmp_path / "far").iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_what_differs_is_told(taker, repository):
    first = taker.take(repository)
    (repository / "a.txt").write_text("changed\n")
    (repository / "sub" / "b.txt").unlink()
    (repository / "new.txt").write_text("new\n")
    found = checkpointing.Kept(repository / ".git", reading.one(repository / ".git", first.commit))
    now = checkpointing.changes(taker.home, found, None)
    assert (now.added, now.changed, now.modes, now.deleted) == ([b"new.txt"], [b"a.txt"], [], [b"sub/b.txt"])
    second = taker.take(repository)
    other = checkpointing.Kept(repository / ".git", reading.one(repository / ".git", second.commit))
    assert checkpointing.changes(taker.home, found, other) == now
    assert checkpointing.since_parent(other) == now
    assert not checkpointing.changes(taker.home, other, None)
    (repository / "a.txt").chmod(0o755)
    assert checkpointing.changes(taker.home, other, None).modes == [b"a.txt"]


def test_what_cannot_be_in_a_checkpoint_is_neither_added_nor_deleted(
    taker, repository, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOLDFAST_CHECKPOINT_FILE_SIZE_BYTES", "1000")
    for name in ("grows.txt", "turns.md", "hides.log", "goes.txt"):
        (repository / name).write_text("small\n")
    first = taker.take(repository)
    (repository / "grows.txt").write_text("l" * 1_001)
    (repository / "big.txt").write_text("l" * 1_001)
    for name in ("turns.md", "new.md"):
        (repository / name).write_text("the token is ghp_" + "abcdEFGHijklMNOPqrstUVWXyz0123456789" + "\n")
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "goes.txt").unlink()
    (repository / "goes.txt").mkdir()
    (repository / "new.txt").write_text("new\n")

    def kept(taken):
        return checkpointing.Kept(repository / ".git", reading.one(repository / ".git", taken.commit))

    now = checkpointing.changes(taker.home, kept(first), None)
    assert (now.added, now.deleted, now.changed) == ([b".gitignore", b"new.txt"], [b"goes.txt"], [])
    assert now.unknown == [b"grows.txt", b"hides.log", b"turns.md"]
    second = kept(taker.take(repository))
    for told in (checkpointing.changes(taker.home, kept(first), second), checkpointing.since_parent(second)):
        assert (told.added, told.unknown) == ([b".gitignore", b"new.txt"], [b"grows.txt", b"turns.md"])
    back = checkpointing.changes(taker.home, second, kept(first))
    assert (back.added, back.unknown) == ([b"goes.txt", b"hides.log"], [b"grows.txt", b"turns.md"])


def test_an_object_that_is_a_pipe_is_not_waited_for(taker, repository, tmp_path, monkeypatch):
    taken = taker.take(repository)
    oid = git(repository, "rev-parse", f"{taken.commit}:a.txt")
    pipe = repository / ".git" / "objects" / oid[:2] / oid[2:]
    pipe.unlink()
    os.mkfifo(pipe)
    monkeypatch.setattr(giving_back, "LIMIT_S", 0.7)
    with pytest.raises(CheckpointFailed):
        taker.back(taken.commit, repository / ".git", tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_time_limit_ends_what_hangs(taker, repository, tmp_path, monkeypatch):
    taken = taker.take(repository)
    real = tmp_path / "bin"
    real.mkdir()
    (real / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (real / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{real}:{os.environ['PATH']}")
    monkeypatch.setattr(place, "LIMIT_S", 0.3)
    monkeypatch.setattr(giving_back, "LIMIT_S", 0.3)
    with pytest.raises(CheckpointRefused, match="took too long"):
        taker.take(repository)
    with pytest.raises(CheckpointFailed, match="took too long"):
        giving_back.give_back(
            repository / ".git",
            commits.Read(taken.commit, taken.tree, None, 0, None),
            tmp_path / "to",
            worktree=False,
        )
