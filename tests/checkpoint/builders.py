"""Repositories for tests of checkpoints, and what is compared of them."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WHO = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "file",
}
OURS = ("refs/holdfast", "objects")


def git(at: Path, *words: str, ok: bool = True) -> str:
    done = subprocess.run(
        ["git", "-C", at, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env=os.environ | WHO,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 or not ok, done.stderr
    return done.stdout.strip()


def made(path: Path, *options: str) -> Path:
    """A repository with one commit of two files."""
    git(path.parent, "init", "-q", "-b", "main", *options, str(path))
    (path / "a.txt").write_text("a\n")
    (path / "sub").mkdir()
    (path / "sub" / "b.txt").write_text("b\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "begin")
    return path


def of_git(git_dir: Path) -> dict[str, tuple[int, str]]:
    """Every file of git's but objects and references of ours: when it was changed, and a hash."""
    out = {}
    for path in sorted(git_dir.rglob("*")):
        name = str(path.relative_to(git_dir))
        if not name.startswith(OURS) and not path.is_dir():
            out[name] = (path.lstat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
    return out


def lying(root: Path) -> dict[bytes, tuple[str, int, bytes]]:
    """Every file below a directory but git's: what it is, its permissions, its bytes or where it leads."""
    out = {}
    for path in root.rglob("*"):
        below = path.relative_to(root)
        found = path.lstat()
        if ".git" in below.parts:
            continue
        if stat.S_ISLNK(found.st_mode):
            out[os.fsencode(below)] = ("link", 0, os.fsencode(path.readlink()))
        elif stat.S_ISREG(found.st_mode):
            out[os.fsencode(below)] = ("file", stat.S_IMODE(found.st_mode), path.read_bytes())
    return out


def clean(repository: Path) -> None:
    """git finds nothing wrong, and nothing that is named is missing."""
    git(repository, "fsck", "--full", "--strict", "--no-dangling")
    git(repository, "rev-list", "--objects", "--glob=refs/holdfast/*", "--quiet")
