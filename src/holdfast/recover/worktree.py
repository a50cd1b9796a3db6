"""The state of the git worktree that holds a directory, now: what is not committed, not pushed, put aside, or half done.

git itself is asked, as `holdfast.git` says: nothing is changed, and nothing of the repository's is run. Without its filter a file may seem
changed that is not, which `notes` then says. Submodules are compared by their commit and never entered.

All questions together have one limit of time; what was not answered by then stays None, and `why` says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from holdfast.git import Git, NoAnswer, shortened, shown, under_way

LIMIT_S: Final = 5.0  # for all questions about one worktree
_STATUS_SHARE: Final = 0.6  # of it, for the slowest one
_MOST_PATHS: Final = 20
_MOST_SUBJECTS: Final = 10


@dataclass(frozen=True, slots=True)
class Paths:
    """How many there are, and the first of them, as git names them below the root."""

    count: int
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unpushed:
    """Commits that the upstream does not have or, where there is none, that no remote branch has, as far as last fetched.

    `subjects` are the newest first. `why` says what `count` is compared with.
    """

    count: int
    subjects: tuple[str, ...]
    upstream: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Linked:
    """Another worktree of the same repository. `agents` says that it lies where Claude Code puts those of its agents."""

    path: str
    branch: str | None
    head: str | None
    exists: bool
    locked: bool
    agents: bool


@dataclass(frozen=True, slots=True)
class Worktree:
    """What is known of the worktree that holds `directory`. None is "not known", never "nothing"; `why` then says the reason.

    `branch` is None also where the head is detached, which `detached` tells. `operation` is what was begun and not ended ("merge",
    "rebase: step 2 of 5"), "" if nothing was. `index_locked`: a git process is at work, or was killed, and left its lock.
    """

    directory: str
    root: str | None = None
    branch: str | None = None
    detached: bool | None = None
    head: str | None = None
    staged: Paths | None = None
    changed: Paths | None = None
    unmerged: Paths | None = None
    untracked: Paths | None = None
    unpushed: Unpushed | None = None
    stashes: Paths | None = None
    operation: str | None = None
    index_locked: bool | None = None
    linked: tuple[Linked, ...] | None = None
    notes: tuple[str, ...] = ()
    why: str | None = None

    @property
    def is_clean(self) -> bool | None:
        """Whether everything is committed and nothing is half done; None: it is not known."""
        parts = (self.staged, self.changed, self.unmerged, self.untracked)
        if self.operation is None or any(part is None for part in parts):
            return None
        return not self.operation and not any(part.count for part in parts if part)


def look(directory: str | os.PathLike[str], limit_s: float = LIMIT_S) -> Worktree:
    """The state of the worktree that holds a directory. Raises nothing: what is not known, and why, it says.

    Args:
        directory: where an agent worked; it may be gone.
        limit_s: seconds, for all of it.
    """
    state = Worktree(shown(os.fsencode(directory)))
    if not os.path.isdir(directory):  # noqa: PTH112 - a name with a NUL in it is none either
        return replace(state, why="there is no such directory")
    try:
        asking = Git(directory, limit_s)
        root, found = asking.place()
        asking.leave_out_filters()
    except NoAnswer as exc:
        return replace(state, why=str(exc))
    git_dir = Path(os.fsdecode(found))
    state = replace(
        state,
        root=shown(root),
        operation=under_way(git_dir),
        index_locked=(git_dir / "index.lock").exists(),
    )
    unknown: list[str] = []
    for question in (_with_status, _with_stashes, _with_linked, _with_unpushed):
        try:
            state = question(state, asking)
        except NoAnswer as exc:
            unknown.append(str(exc))
    return replace(state, why="; ".join(dict.fromkeys(unknown)) or None)


def _with_status(state: Worktree, asking: Git) -> Worktree:
    """Head and branch, and the files that are not as the last commit has them."""
    words = ["--porcelain=v2", "-z", "--branch", "--untracked-files=normal", "--no-renames"]
    said = asking("status", *words, "--ignore-submodules=dirty", share=_STATUS_SHARE)
    headers: dict[bytes, bytes] = {}
    staged, changed, unmerged, untracked = [], [], [], []
    for entry in said.split(b"\0"):
        kind, _, rest = entry.partition(b" ")
        if kind == b"#":
            name, _, value = rest.partition(b" ")
            headers[name] = value
        elif kind == b"1":
            path = entry.split(b" ", 8)[-1]
            if rest[:1] != b".":
                staged.append(path)
            if rest[1:2] != b".":
                changed.append(path)
        elif kind == b"u":
            unmerged.append(entry.split(b" ", 10)[-1])
        elif kind == b"?":
            untracked.append(rest)
    branch, head = headers.get(b"branch.head", b""), headers.get(b"branch.oid", b"")
    skipped = f"filters were not run ({', '.join(asking.filters)}), so a file may seem changed that is not"
    return replace(
        state,
        branch=None if branch in {b"", b"(detached)"} else shown(branch),
        detached=branch == b"(detached)",
        head=None if head in {b"", b"(initial)"} else shown(head),
        staged=_paths(staged),
        changed=_paths(changed),
        unmerged=_paths(unmerged),
        untracked=_paths(untracked),
        notes=(*state.notes, skipped) if changed and asking.filters else state.notes,
    )


def _with_stashes(state: Worktree, asking: Git) -> Worktree:
    lines = asking("stash", "list", "--format=%gs").splitlines()
    return replace(state, stashes=Paths(len(lines), tuple(map(_text, lines[:_MOST_SUBJECTS]))))


def _with_linked(state: Worktree, asking: Git) -> Worktree:
    found = []
    for block in asking("worktree", "list", "--porcelain").split(b"\n\n"):
        told = dict(line.partition(b" ")[::2] for line in block.split(b"\n") if line)
        path = told.get(b"worktree")
        if path is None or shown(path) == state.root or b"bare" in told:
            continue
        branch = told.get(b"branch", b"").removeprefix(b"refs/heads/")
        found.append(
            Linked(
                path=shown(path),
                branch=shown(branch) if branch else None,
                head=shown(told[b"HEAD"]) if b"HEAD" in told else None,
                exists=os.path.isdir(path),  # noqa: PTH112 - bytes
                locked=b"locked" in told,
                agents=b"/.claude/worktrees/" in path,
            )
        )
    return replace(state, linked=tuple(found))


def _with_unpushed(state: Worktree, asking: Git) -> Worktree:
    if state.head is None:
        if state.detached is None:
            raise NoAnswer("without the head it is not known what is not pushed")
        return replace(state, unpushed=Unpushed(0, (), None, "there is no commit yet"))
    upstream = _upstream(state, asking)
    if upstream:
        beyond, why = [f"{upstream}..HEAD"], f"not in {_text(upstream.encode())}"
        upstream = upstream.removeprefix("refs/remotes/").removeprefix("refs/heads/")
    else:
        beyond = ["HEAD", "--not", "--remotes"]
        remotes = asking("remote").split()
        why = "no upstream: on no remote branch" if remotes else "no upstream: there is no remote"
    count = int(asking("rev-list", "--count", *beyond, "--"))
    lines = asking("log", f"-{_MOST_SUBJECTS}", "--format=%s", *beyond, "--").splitlines() if count else []
    return replace(state, unpushed=Unpushed(count, tuple(map(_text, lines)), upstream, why))


def _upstream(state: Worktree, asking: Git) -> str | None:
    """The reference that the branch is pushed to; None: it has none, or that is gone."""
    if state.branch is None:
        return None
    words = ["--count=1", "--format=%(upstream)%00%(upstream:track)", f"refs/heads/{state.branch}"]
    name, _, track = asking("for-each-ref", *words).rstrip(b"\n").partition(b"\0")
    return os.fsdecode(name) if name and track != b"[gone]" else None


def _paths(found: list[bytes]) -> Paths:
    return Paths(len(found), tuple(map(shown, found[:_MOST_PATHS])))


def _text(line: bytes) -> str:
    return shortened(shown(line))
