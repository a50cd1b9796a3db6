"""Where a checkpoint is taken, and where it is kept: the worktree that holds a directory, and one reference for each worktree.

    refs/holdfast/checkpoints/main              of the worktree that the repository was made with
    refs/holdfast/checkpoints/worktrees/NAME    of the linked worktree that git knows by this name

A reference names the newest checkpoint; each checkpoint's first parent is the one before it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from holdfast.errors import CheckpointRefused
from holdfast.git import Git, NoAnswer, shown
from holdfast.plain_files import content_of

REFS: Final = "refs/holdfast/checkpoints/"
LIMIT_S: Final = 60.0  # for all that git is asked for one checkpoint
SETTINGS: Final = {  # of git: nothing beside objects and our references is written
    "core.logAllRefUpdates": "false",
    "core.fsync": "committed,loose-object",
    "core.untrackedCache": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}
_OID: Final = re.compile(rb"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_BRANCH: Final = re.compile(rb"refs/heads/(?!.*\.\.)[A-Za-z0-9_./+-]+\Z")
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """A worktree, and the repository that keeps its checkpoints.

    Attributes:
        root: of the worktree; any bytes.
        git_dir, common_dir: git's directory of the worktree, and that of the repository.
        algorithm: of the repository's names: sha1 or sha256.
        ref: names the newest checkpoint of this worktree.
    """

    root: bytes
    git_dir: Path
    common_dir: Path
    algorithm: str
    ref: str

    @property
    def stem(self) -> str:
        """What the files of ours about this worktree are called."""
        return hashlib.sha256(os.fsencode(self.git_dir)).hexdigest()[:32]

    def named(self, ref: str) -> str | None:
        """What a reference names, as its file says, which saves asking git; None: git has to be asked."""
        try:
            said = content_of(self.common_dir / ref).strip()
        except OSError:
            said = self._packed(ref.encode())
        return said.decode() if _OID.match(said) else None

    def _packed(self, ref: bytes) -> bytes:
        """The same, among those that git packed: "<name> <reference>", a line each."""
        try:
            lines = content_of(self.common_dir / "packed-refs")
        except OSError:
            return b""
        return lines[: max(0, lines.find(b" " + ref + b"\n"))].rpartition(b"\n")[2]

    def head(self) -> str | None:
        """The commit that the worktree stands at; None: git has to be asked."""
        try:
            said = content_of(self.git_dir / "HEAD").strip()
        except OSError:
            return None
        if _OID.match(said):
            return said.decode()
        name = said.removeprefix(b"ref: ")
        return self.named(name.decode()) if _BRANCH.match(name) else None

    def git(self) -> Git:
        """Ask about the whole worktree."""
        return Git(os.fsdecode(self.root), LIMIT_S, SETTINGS)


def find(directory: str | os.PathLike[str]) -> Place:
    """The worktree that holds a directory.

    Raises:
        CheckpointRefused: there is none, or not one to be trusted.
    """
    where = shown(os.fsencode(directory))
    if not os.path.isdir(directory):  # noqa: PTH112 - a name with a NUL in it is none either
        raise CheckpointRefused(
            f"{where}: there is no such directory", hint="name a directory in a git repository"
        )
    try:
        more = ["--git-common-dir", "--show-object-format"]
        root, git_dir, common_dir, algorithm = Git(directory, LIMIT_S).place(*more)
    except NoAnswer as exc:
        raise CheckpointRefused(f"{where}: {exc}", hint=_hint(str(exc))) from exc
    _refuse_elsewhere(directory, root, where)
    own, common = Path(os.fsdecode(git_dir)), Path(os.fsdecode(common_dir))
    _refuse_foreign(root, own, common)
    return Place(root, own, common, algorithm.decode(), _ref(own, common))


def _hint(why: str) -> str:
    if "no git repository" in why:
        return "a checkpoint is kept by git: `git init` there makes a repository, and needs no commit"
    return "run this in the worktree of a git repository"


def _refuse_elsewhere(directory: str | os.PathLike[str], root: bytes, where: str) -> None:
    """Refuse a worktree that its repository's settings say lies elsewhere: any directory of the user's could be meant."""
    at = os.path.realpath(os.fsencode(directory))
    while not os.path.lexists(os.path.join(at, b".git")) and at != b"/":  # noqa: PTH118 - bytes
        at = os.path.dirname(at)  # noqa: PTH120 - bytes
    if at != os.path.realpath(root):
        raise CheckpointRefused(
            f"{where}: the repository's settings say that its worktree is {shown(root)} (core.worktree)",
            hint="nothing was looked at; run this in a repository whose worktree lies around its .git",
        )


def _refuse_foreign(root: bytes, git_dir: Path, common_dir: Path) -> None:
    """Refuse a repository that does not name this worktree as one of its own: a file `.git` may name anybody's."""
    here, own, common = (
        os.path.realpath(os.fsdecode(root)),
        os.path.realpath(git_dir),
        os.path.realpath(common_dir),
    )
    if own == common:
        is_ours = own == os.path.join(here, ".git") or _is_said_to_lie_around(git_dir)  # noqa: PTH118
    else:
        is_ours = os.path.dirname(own) == os.path.join(common, "worktrees") and _names(own, here)  # noqa: PTH118, PTH120
    if not is_ours:
        raise CheckpointRefused(
            f"{shown(root)}: its .git leads to {git_dir}, which does not name it as a worktree of its own",
            hint=f"nothing was written. {_mending(own)}",
        )


def _mending(git_dir: str) -> str:
    """What to do where git's directory does not name a worktree."""
    named = _named(git_dir)
    if named is not None and os.path.lexists(named):
        of = shown(os.fsencode(os.path.dirname(named)))  # noqa: PTH120
        return f"It is a copy of the worktree at {of}, and `git worktree repair` here would take that one's registration: `git worktree add` makes one of its own"
    return (
        "Where it was moved: `git worktree repair` there; where git's directory was put elsewhere: "
        "`git config core.worktree DIR` there"
    )


def _is_said_to_lie_around(git_dir: Path) -> bool:
    """Whether a repository's settings say where its worktree is; that it is the one meant was seen before.

    They do so in a file of their own once worktrees have settings of their own, as `git sparse-checkout` has it.
    """
    git = Git("/", LIMIT_S, repository=git_dir)
    for where in ("--local", "--worktree"):
        with contextlib.suppress(NoAnswer):
            if git("config", where, "--get", "core.worktree", empty_at=1).strip():
                return True
    return False


def _names(git_dir: str, here: str) -> bool:
    """Whether git's directory of a linked worktree says that it is that of this one."""
    named = _named(git_dir)
    return named is not None and os.path.realpath(os.path.dirname(named)) == here  # noqa: PTH120


def _named(git_dir: str) -> str | None:
    """The file `.git` that git's directory of a linked worktree names (gitrepository-layout(5), `worktrees/<id>/gitdir`); None: none."""
    try:
        said = os.fsdecode(content_of(os.path.join(git_dir, "gitdir")).rstrip(b"\n"))  # noqa: PTH118
    except OSError:
        return None
    return None if "\0" in said else os.path.join(git_dir, said)  # noqa: PTH118


def _ref(git_dir: Path, common_dir: Path) -> str:
    if os.path.realpath(git_dir) == os.path.realpath(common_dir):
        return f"{REFS}main"
    name = git_dir.name
    fits = _PLAIN.match(name) and not name.endswith((".lock", ".")) and ".." not in name
    return f"{REFS}worktrees/{name if fits else hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
