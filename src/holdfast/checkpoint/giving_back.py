"""Give a checkpoint back: write its files into a directory, byte for byte, with their permissions and links.

All is written into a directory beside (`.NAME.UUID.part/NAME`), forced to disk, and renamed: the directory is there whole, or not at all. Who writes there
holds a lock on the outer one, so what somebody left who was killed is told from work under way, and removed by whoever comes next. git hands the
contents over as they are kept; each is hashed again on the way. No name of a checkpoint leads outside: every directory is made by us, and
links come last.

A worktree is made there too, and then git's file about where it lies (gitrepository-layout(5), `worktrees/<id>/gitdir`) is led to the
place that it gets, so that the rename is the last step. Whose it is then, the name of our directory says, in a file of ours beside it: git gives the
id of a worktree again, and the place may have become somebody else's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from holdfast.checkpoint import commits, reading
from holdfast.checkpoint.objects import EXECUTABLE, LINK, name_of
from holdfast.errors import CheckpointFailed, CheckpointRefused
from holdfast.failpoints import failpoint
from holdfast.git import Git, NoAnswer, shown
from holdfast.ids import uuid7
from holdfast.journal.blobs import write_over
from holdfast.plain_files import content_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.checkpoint.commits import Read

LIMIT_S: Final = 600.0
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SETTINGS: Final = {
    "core.logAllRefUpdates": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "worktree.useRelativePaths": "false",  # the directory is moved
}
_MARK: Final = "holdfast-part"  # in git's directory of a worktree: the directory of ours that it is made in
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What was written: where, how many files, and their bytes; `removed`: what somebody left beside who was killed."""

    directory: str
    files: int
    size_bytes: int
    removed: list[str]


def give_back(common_dir: Path, read: Read, target: Path, *, worktree: bool) -> GivenBack:
    """Write a checkpoint's files into a directory that is not there yet, or empty.

    Args:
        common_dir: git's directory of the repository that has it.
        read: the checkpoint.
        target: where.
        worktree: make a worktree of the repository of it, detached at the commit that the checkpoint was taken at.

    Raises:
        CheckpointRefused: the directory has something in it, or cannot be a worktree. Nothing was written.
        CheckpointFailed: git lacks something, or the system refused. The directory is not there, or as it was.
    """
    target = Path(os.path.abspath(target))  # noqa: PTH100 - links stay as they are written
    _refuse_full(target)
    base = _base(common_dir, read) if worktree else None
    part = target.with_name(f".{target.name}.{uuid7()}.part")
    with contextlib.ExitStack() as held:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            removed = _remove_dead(target)
            part.mkdir(mode=0o700)
            held.callback(_remove, part, target)
            held.callback(os.close, _locked(part))
            out = _put(common_dir, read, part / target.name, target, base)
            _force(target.parent)
        except NoAnswer as exc:
            raise CheckpointFailed(shown(os.fsencode(target)), str(exc)) from exc
        except OSError as exc:
            if isinstance(exc, FileExistsError) or os.path.lexists(target):
                _refuse_full(target)
            raise CheckpointFailed(exc.filename or target, exc.strerror or str(exc)) from exc
    return GivenBack(str(target), *out, removed)


def _put(common_dir: Path, read: Read, temporary: Path, target: Path, base: str | None) -> tuple[int, int]:
    """Write all of it into a new directory, and rename that; how many files, and bytes. Raises NoAnswer, OSError."""
    temporary.mkdir(mode=0o700)
    if base is not None:
        _register(common_dir, base, target, temporary)
    out = _write_all(common_dir, read, temporary)
    temporary.chmod(0o777 & ~_umask())
    os.sync()
    failpoint("checkpoint.written")
    if base is not None:
        _lead_to(temporary, target)
        failpoint("checkpoint.led")
    temporary.rename(target)  # over an empty directory, if there is one
    if base is not None:
        with contextlib.suppress(OSError):  # it says nothing any more
            (_git_dir(target) / _MARK).unlink()
    return out


# ── what somebody left who was killed ──


def _locked(part: Path) -> int:
    """A lock on a directory of ours, held while this is open. Raises OSError: somebody holds it."""
    fd = os.open(part, _DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _remove_dead(target: Path) -> list[str]:
    """Remove what nobody writes any more that was to become this directory; which ones. Raises OSError."""
    ours = re.compile(rf"\.{re.escape(target.name)}\.{_UUID}\.part")
    removed = []
    for path in sorted(target.parent.iterdir()):
        if ours.fullmatch(path.name) and not path.is_symlink():
            with contextlib.suppress(OSError):  # somebody is at it, or it is not ours
                fd = _locked(path)
                try:
                    _remove(path, target)
                finally:
                    os.close(fd)
                if not os.path.lexists(path):
                    removed.append(shown(os.fsencode(path)))
    return removed


def _remove(part: Path, target: Path) -> None:
    """Remove a directory of ours, with what git knows of the worktree that was made in it."""
    inside = part / target.name
    with contextlib.suppress(NoAnswer, OSError, ValueError):
        if _is_registered(inside, target):
            git = Git(inside, LIMIT_S, _SETTINGS)
            git.leave_out_hooks()
            git("worktree", "repair", os.fspath(inside))  # git may know it by the place that it was to get
            git("worktree", "remove", "--force", "--force", os.fspath(inside))
    _drop(part)


def _is_registered(inside: Path, target: Path) -> bool:
    """Whether what git knows of a worktree is what we had it write for this one: a file `.git` may name anybody's. Raises OSError, ValueError."""
    git_dir = _git_dir(inside)
    known = os.path.realpath(os.fsdecode(content_of(git_dir / "gitdir").rstrip(b"\n")))
    if known == os.path.realpath(inside / ".git"):  # killed before it was led to its place
        return True
    if content_of(git_dir / _MARK) != os.fsencode(inside.parent.name):
        return False
    with contextlib.suppress(OSError, ValueError):
        return known == os.path.realpath(target / ".git") and _git_dir(target) != git_dir
    return True  # nothing stands there


def _git_dir(worktree: Path) -> Path:
    """Where the file of a linked worktree leads. Raises OSError: there is none, or a link."""
    if worktree.is_symlink() or (worktree / ".git").is_symlink():
        raise FileNotFoundError(worktree / ".git")
    said = content_of(worktree / ".git").removeprefix(b"gitdir: ").rstrip(b"\n")
    return Path(os.path.realpath(worktree / os.fsdecode(said)))


def _refuse_full(target: Path) -> None:
    where = shown(os.fsencode(target))
    hint = "name a directory that is not there yet, or empty; nothing was written"
    try:
        if target.is_symlink() or not target.is_dir():
            target.lstat()
            raise CheckpointRefused(f"{where}: something that is no directory stands there", hint=hint)
        if any(target.iterdir()):
            raise CheckpointRefused(f"{where} is not empty", hint=hint)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as exc:
        raise CheckpointRefused(f"{where}: {exc.strerror}", hint=hint) from exc


def _write_all(common_dir: Path, read: Read, top: Path) -> tuple[int, int]:
    """Write everything below a new directory of ours; how many files, and bytes."""
    git = Git("/", LIMIT_S, _SETTINGS, repository=common_dir)
    entries = reading.files(git, read.oid)
    modes = read.told.modes if read.told else commits.Modes()
    algorithm = "sha1" if len(read.oid) == 40 else "sha256"
    size_bytes = 0
    with git.begin("cat-file", "--batch", reads=True) as asked, asked.limited(), _Tree(top) as tree:
        for path, entry in sorted(entries.items(), key=lambda item: item[1].mode == LINK):
            content = _content(asked.process.stdin, asked.process.stdout, entry.oid)
            if name_of("blob", content, algorithm) != entry.oid:
                raise NoAnswer(f"{shown(path)}: the repository's copy is damaged")
            if entry.mode == LINK:
                tree.link(path, content)
            else:
                tree.file(path, content, commits.bits_of(modes, path, executable=entry.mode == EXECUTABLE))
                size_bytes += len(content)
    return len(entries), size_bytes


def _content(asks: IO[bytes] | None, says: IO[bytes] | None, oid: str) -> bytes:
    """What git has under a name. Raises NoAnswer."""
    assert asks is not None
    assert says is not None
    asks.write(f"{oid}\n".encode())
    asks.flush()
    words = says.readline().split()
    if len(words) != 3 or words[1] != b"blob":
        raise NoAnswer(f"the repository lacks {oid}")
    content = says.read(int(words[2]) + 1)
    if len(content) != int(words[2]) + 1:
        raise NoAnswer(f"the repository cannot read {oid}")
    return content[:-1]


class _Tree:
    """Writes below a new directory; nothing outside can be reached by what it is told."""

    def __init__(self, top: Path) -> None:
        self._top = os.open(top, _DIRECTORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._top)

    def file(self, path: bytes, content: bytes, bits: int) -> None:
        with self._directory_of(path) as (at, name):
            fd = os.open(name, _NEW, 0o600, dir_fd=at)
            try:
                left = memoryview(content)
                while left:
                    left = left[os.write(fd, left) :]
                os.fchmod(fd, bits)
            finally:
                os.close(fd)

    def link(self, path: bytes, to: bytes) -> None:
        with self._directory_of(path) as (at, name):
            os.symlink(to, name, dir_fd=at)

    @contextlib.contextmanager
    def _directory_of(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        *directories, name = path.split(b"/")
        if any(one in {b"", b".", b".."} or one.lower() == b".git" for one in (*directories, name)):
            raise NoAnswer(f"{shown(path)}: no checkpoint of ours has such a name")
        at = os.dup(self._top)
        try:
            for directory in directories:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(directory, dir_fd=at)
                below = os.open(directory, _DIRECTORY, dir_fd=at)
                os.close(at)
                at = below
            yield at, name
        finally:
            os.close(at)


# ── a worktree of it ──


def _base(common_dir: Path, read: Read) -> str:
    """The commit that a worktree can stand at. Raises CheckpointRefused."""
    base = read.told.base if read.told else None
    hint = "without --worktree its files are written into a plain directory"
    if base is None:
        raise CheckpointRefused(
            "the checkpoint was taken before there was a commit, so it can be no worktree", hint=hint
        )
    try:
        said = reading.asker(common_dir)(
            "cat-file", "--batch-check=%(objecttype)", given=f"{base}\n".encode()
        )
    except NoAnswer as exc:
        raise CheckpointFailed(common_dir, str(exc)) from exc
    if said.strip() != b"commit":
        raise CheckpointRefused(
            f"the commit {base}, that it was taken at, is not in the repository any more", hint=hint
        )
    return base


def _register(common_dir: Path, base: str, target: Path, temporary: Path) -> None:
    """Have git make a worktree of a new directory, with an index as the commit has it. Raises CheckpointRefused, NoAnswer, OSError."""
    for known in (common_dir / "worktrees").glob("*/gitdir"):
        with contextlib.suppress(OSError):
            if content_of(known).rstrip(b"\n") == os.fsencode(target / ".git"):
                raise CheckpointRefused(
                    f"git knows a worktree at {shown(os.fsencode(target))}, which is not there any more",
                    hint="`git worktree prune` makes it forget that; or name another directory",
                )
    git = Git("/", LIMIT_S, _SETTINGS, repository=common_dir)
    git.leave_out_hooks()
    git("worktree", "add", "--no-checkout", "--detach", os.fspath(temporary), base)
    inside = Git(temporary, LIMIT_S, _SETTINGS)
    inside.leave_out_hooks()
    inside("read-tree", base)


def _lead_to(temporary: Path, target: Path) -> None:
    """Have git know a worktree by the place that it is about to get, and which directory of ours it still lies in. Raises NoAnswer, OSError."""
    git_dir = Path(os.fsdecode(Git(temporary, LIMIT_S, _SETTINGS).place()[1]))
    write_over(git_dir / _MARK, os.fsencode(temporary.parent.name), mode=None)
    write_over(git_dir / "gitdir", os.fsencode(target / ".git") + b"\n", mode=None)


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def _drop(directory: Path) -> None:
    """Remove what was not renamed."""
    for at, directories, names in os.walk(os.fsencode(directory), topdown=False):
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(at, name))  # noqa: PTH108, PTH118 - bytes
        for name in directories:
            with contextlib.suppress(OSError):
                path = os.path.join(at, name)  # noqa: PTH118 - bytes
                os.unlink(path) if os.path.islink(path) else os.rmdir(path)  # noqa: PTH106, PTH108, PTH114 - bytes
    with contextlib.suppress(OSError):
        directory.rmdir()


def _force(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
