"""The state of real worktrees, also of hostile ones, and of directories that hold none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.recover.worktree import look

pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.usefixtures("home"),  # none of the user's configuration counts
]
WHO = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(at: Path, *words: str, ok: bool = True) -> str:
    done = subprocess.run(
        ["git", "-C", at, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | WHO,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 or not ok, done.stderr
    return done.stdout.strip()


def commit(at: Path, name: str, text: str, subject: str | None = None) -> None:
    (at / name).write_text(text)
    git(at, "add", name)
    git(at, "commit", "-m", subject or f"write {name}")


@pytest.fixture
def repository(tmp_path) -> Path:
    """One commit on main, pushed to a remote."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "remote.git")
    path = tmp_path / "work"
    git(tmp_path, "init", "-q", "-b", "main", "work")
    git(path, "remote", "add", "origin", str(tmp_path / "remote.git"))
    commit(path, "a.txt", "a\n", "begin")
    git(path, "push", "-q", "-u", "origin", "main")
    return path


def everything(top: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(top.rglob("*"))
    }


def test_a_clean_worktree_is_told_as_such(repository):
    state = look(repository)
    assert (state.root, state.branch, state.detached) == (str(repository), "main", False)
    assert state.head == git(repository, "rev-parse", "HEAD")
    assert state.is_clean is True
    assert (state.unpushed.count, state.unpushed.upstream) == (0, "origin/main")
    assert (state.stashes.count, state.operation, state.linked) == (0, "", ())
    assert (state.index_locked, state.notes, state.why) == (False, (), None)


def test_what_is_not_committed_pushed_or_ended_is_counted_and_named(repository):
    for number in range(12):
        commit(repository, "b.txt", str(number), f"step {number}")
    (repository / "a.txt").write_text("put aside\n")
    git(repository, "stash", "-m", "for later")
    (repository / "b.txt").write_text("staged\n")
    git(repository, "add", "b.txt")
    (repository / "b.txt").write_text("changed again\n")
    (repository / "a.txt").unlink()
    for number in range(25):
        (repository / f"new {number:02}\n.txt").write_text("")
    below = repository / "below"
    below.mkdir()
    (below / "x").write_text("")
    (repository / ".git" / "index.lock").write_text("")
    state = look(below)
    assert state.root == str(repository)
    assert (state.staged.count, state.staged.first) == (1, ("b.txt",))
    assert (state.changed.count, state.changed.first) == (2, ("a.txt", "b.txt"))
    assert (state.untracked.count, len(state.untracked.first)) == (26, 20)
    assert state.untracked.first[:2] == ("below/", "new 00\n.txt")
    assert state.unpushed.count == 12
    assert state.unpushed.subjects[:2] == ("step 11", "step 10")
    assert len(state.unpushed.subjects) == 10
    assert (state.stashes.count, state.stashes.first) == (1, ("On main: for later",))
    assert (state.is_clean, state.index_locked) == (False, True)


def test_without_an_upstream_it_is_said_what_was_compared(repository):
    git(repository, "switch", "-q", "-c", "side")
    commit(repository, "b.txt", "b", "on the side")
    state = look(repository)
    assert (state.unpushed.count, state.unpushed.subjects) == (1, ("on the side",))
    assert (state.unpushed.upstream, state.unpushed.why) == (None, "no upstream: on no remote branch")
    git(repository, "remote", "remove", "origin")
    state = look(repository)
    assert (state.unpushed.count, state.unpushed.why) == (2, "no upstream: there is no remote")


def test_an_upstream_that_is_gone_is_none(repository):
    git(repository, "switch", "-q", "-c", "side")
    git(repository, "push", "-q", "-u", "origin", "side")
    git(repository, "push", "-q", "origin", "--delete", "side")
    commit(repository, "b.txt", "b")
    assert look(repository).unpushed.upstream is None
    assert look(repository).unpushed.count == 1


def test_a_detached_head_and_an_empty_repository(repository, tmp_path):
    commit(repository, "b.txt", "b")
    git(repository, "checkout", "-q", "--detach")
    state = look(repository)
    assert (state.branch, state.detached) == (None, True)
    assert (state.unpushed.count, state.unpushed.upstream) == (1, None)
    git(tmp_path, "init", "-q", "-b", "main", "empty")
    state = look(tmp_path / "empty")
    assert (state.branch, state.head, state.is_clean) == ("main", None, True)
    assert (state.unpushed.count, state.unpushed.why) == (0, "there is no commit yet")


def conflict(repository: Path) -> None:
    git(repository, "switch", "-q", "-c", "side")
    for number in range(3):
        commit(repository, "a.txt", f"side {number}\n", f"side {number}")
    git(repository, "switch", "-q", "main")
    commit(repository, "a.txt", "main\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("merge", "side"), "merge"),
        (("rebase", "main", "side"), "rebase: step 1 of 3"),
        (("rebase", "--apply", "main", "side"), "rebase: step 1 of 3"),
        (("cherry-pick", "side"), "cherry-pick"),
        (("revert", "--no-edit", "HEAD~1"), "revert"),
        (("bisect", "start"), "bisect"),
    ],
)
def test_an_operation_in_progress_is_named(repository, words, expected):
    conflict(repository)
    git(repository, *words, ok=False)
    state = look(repository)
    assert state.operation == expected
    assert state.is_clean is False
    if words[0] != "bisect":
        assert state.unmerged.first == ("a.txt",)


def test_other_worktrees_of_the_repository_are_listed(repository, tmp_path):
    agents = repository / ".claude" / "worktrees" / "fix"
    git(repository, "worktree", "add", "-q", "-b", "fix", str(agents))
    git(repository, "worktree", "add", "-q", "--detach", "--lock", str(tmp_path / "elsewhere"))
    git(repository, "worktree", "add", "-q", "-b", "gone", str(tmp_path / "gone"))
    shutil.rmtree(tmp_path / "gone")
    found = {Path(one.path).name: one for one in look(repository).linked}
    assert sorted(found) == ["elsewhere", "fix", "gone"]
    assert (found["fix"].branch, found["fix"].agents, found["fix"].exists) == ("fix", True, True)
    assert (found["elsewhere"].branch, found["elsewhere"].locked) == (None, True)
    assert (found["gone"].exists, found["gone"].agents) == (False, False)
    commit(agents, "b.txt", "b", "the agent's")
    state = look(agents)
    assert (state.root, state.branch, state.unpushed.count) == (str(agents), "fix", 1)
    assert state.linked[0].path == str(repository)


# ── nothing is changed, nothing is run ──


def test_nothing_is_changed(repository):
    """Not even the index, which plain `git status` refreshes."""
    os.utime(repository / "a.txt", (1, 1))
    before = everything(repository)
    assert look(repository).changed.count == 0
    assert everything(repository) == before
    git(repository, "status")
    assert everything(repository) != before


def trap(directory: Path) -> Path:
    """A program that leaves a mark when it is run."""
    program = directory / "trap"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {directory / "mark"}\n')
    program.chmod(0o755)
    return program


def make_hostile(repository: Path, program: Path) -> None:
    """Everything in a repository that may name a program names that one."""
    settings = [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "credential.helper",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "merge.evil.driver",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "filter.two.clean",
        "filter.a=b.clean",
        "filter..clean",
        "gpg.program",
        "gpg.ssh.program",
        "gpg.x509.program",
        "pager.status",
        "pager.log",
        "pager.stash",
        "sequence.editor",
        "uploadpack.packObjectsHook",
        "interactive.diffFilter",
        "trailer.x.command",
        "status.x.command",
        "remote.origin.uploadpack",
        "remote.origin.vcs",
    ]
    included = repository / ".git" / "more"
    for number, name in enumerate(settings):
        value = str(program)
        if number % 2:
            git(repository, "config", "--file", str(included), name, value)
        else:
            git(repository, "config", name, value)
    for name, value in {
        "include.path": "more",
        "filter.evil.required": "true",
        "alias.status": f"!{program}",
        "log.showSignature": "true",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{program}",
        "submodule.recurse": "true",
    }.items():
        git(repository, "config", name, value)
    (repository / ".gitattributes").write_text(
        "*.txt filter=evil diff=evil merge=evil\n*.two filter=two\n*.eq filter=a=b\n*.none filter=\n"
    )
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in (
        "post-index-change",
        "fsmonitor-watchman",
        "pre-commit",
        "reference-transaction",
        "post-checkout",
    ):
        shutil.copy(program, hooks / name)


@pytest.mark.slow
def test_no_program_is_run_that_a_repository_names(repository, tmp_path):
    """And the same repository does run them when git is asked without care."""
    for ending in ("two", "eq", "none"):
        commit(repository, f"a.{ending}", "same")
    program, mark = trap(tmp_path), tmp_path / "mark"
    make_hostile(repository, program)
    for path in repository.glob("a.*"):
        path.write_text(path.read_text())  # same content, other times: git must read it to know
        os.utime(path, (1, 1))
    state = look(repository)
    assert not mark.exists()
    assert state.why is None
    assert (state.changed.count, state.untracked.first) == (0, (".gitattributes",))
    assert (state.unpushed.count, state.stashes.count) == (3, 0)
    (repository / "a.txt").write_text("other")
    state = look(repository)
    assert not mark.exists()
    assert state.changed.first == ("a.txt",)
    assert state.notes == ("filters were not run (, a=b, evil, two), so a file may seem changed that is not",)
    git(repository, "-c", "alias.status=", "status", ok=False)
    assert "trap" in mark.read_text()


def test_a_missing_object_is_not_fetched(repository, tmp_path):
    """A partial clone would start whatever the address of its remote names."""
    program, mark = trap(tmp_path), tmp_path / "mark"
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    make_hostile(repository, program)
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    state = look(repository)
    assert not mark.exists()
    assert state.why
    assert state.staged is None
    git(repository, "-c", "core.fsmonitor=false", "cat-file", "-p", tree, ok=False)
    assert mark.exists()


def test_the_callers_variables_do_not_lead_git_elsewhere(repository, tmp_path, monkeypatch):
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor={trap(tmp_path)}'")
    assert look(repository).root == str(repository)
    assert not (tmp_path / "mark").exists()


# ── why nothing is known ──


def test_where_nothing_can_be_known_the_reason_is_told(repository, tmp_path, monkeypatch):
    plain = tmp_path / "plain"
    plain.mkdir()
    reasons = {
        tmp_path / "nowhere": "there is no such directory",
        repository / "a.txt": "there is no such directory",
        "a\0b": "there is no such directory",
        plain: "there is no git repository here",
        repository / ".git": "this is git's own directory or a bare repository, not a worktree",
        tmp_path / "remote.git": "this is git's own directory or a bare repository, not a worktree",
    }
    for directory, reason in reasons.items():
        state = look(directory)
        assert (state.why, state.root, state.is_clean) == (reason, None, None)
    (repository / ".git" / "config").write_text("[core\n")
    assert look(repository).why.startswith("git says: bad config line 1")
    monkeypatch.setenv("PATH", str(plain))
    assert look(repository).why == "git is not installed, or not on the PATH"


@pytest.mark.slow
def test_a_git_that_takes_too_long_is_given_up(repository, tmp_path):
    """What was known by then is told, the rest is not known."""
    os.mkfifo(tmp_path / "fifo")
    git(repository, "config", "core.excludesFile", str(tmp_path / "fifo"))
    state = look(repository, limit_s=2)
    assert (state.root, state.operation) == (str(repository), "")
    assert (state.staged, state.is_clean) == (None, None)
    assert "git took too long: `git status` was given up (2 s in all)" in state.why
    state = look(repository, limit_s=0)
    assert state.why == "git took too long: `git rev-parse` was given up (0 s in all)"


def test_a_damaged_repository_is_told_of(repository):
    (repository / ".git" / "index").write_bytes(b"DIRC")
    state = look(repository)
    assert state.staged is None
    assert state.why.startswith("git says: ")
