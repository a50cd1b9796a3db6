"""Read checkpoints back out of a repository: which there are, what is in one, and what differs between two."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.checkpoint import commits
from holdfast.checkpoint.objects import EXECUTABLE, FILE, LINK, Entry
from holdfast.checkpoint.place import LIMIT_S, REFS, SETTINGS
from holdfast.errors import CheckpointFailed, NotFound, UsageError
from holdfast.git import Git, NoAnswer, shortened, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from holdfast.checkpoint.commits import Read
    from holdfast.checkpoint.place import Place

_MOST: Final = 100_000  # checkpoints that are looked through for an id
_LEAST_CHARS: Final = 4
_NAME: Final = re.compile(r"[0-9a-f]{4,64}\Z")
_ENTRY: Final = re.compile(rb"(\d{6}) (\w+) ([0-9a-f]{40,64})\t([^\0]+)\0")


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two states of a worktree: paths, sorted. `modes`: only whether it can be executed, or is a link, changed.
    `unknown`: in one of them, and left out of the other one, for a reason of its own, where it may have been as well.
    """

    added: list[bytes]
    changed: list[bytes]
    modes: list[bytes]
    deleted: list[bytes]
    unknown: list[bytes]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.modes or self.deleted or self.unknown)


def asker(common_dir: Path) -> Git:
    """Ask a repository about its objects, whether or not the worktree is still there. Raises CheckpointFailed."""
    try:
        return Git("/", LIMIT_S, SETTINGS, repository=common_dir)
    except NoAnswer as exc:
        raise CheckpointFailed(common_dir, str(exc)) from exc


def chain(place: Place, most: int) -> list[Read]:
    """The checkpoints of a worktree, newest first. Raises CheckpointFailed."""
    git = asker(place.common_dir)
    try:
        with git.begin("for-each-ref", place.ref) as asked:
            if not asked.answer():
                if said := " ".join(
                    shown(asked.said).split()
                ):  # one that is broken is passed over with a warning
                    hint = f"`git fsck` there says more; without {place.common_dir / place.ref} checkpoints begin anew"
                    raise CheckpointFailed(place.common_dir, f"git says: {shortened(said)}", hint=hint)
                return []
        names = git("rev-list", "--first-parent", f"--max-count={most}", place.ref, "--").decode().split()
        return list(_commits(git, names))
    except NoAnswer as exc:
        raise CheckpointFailed(place.common_dir, str(exc)) from exc


def one(common_dir: Path, oid: str) -> Read:
    """One checkpoint. Raises CheckpointFailed: the repository does not have it."""
    try:
        found = list(_commits(asker(common_dir), [oid]))
    except NoAnswer as exc:
        raise CheckpointFailed(common_dir, str(exc)) from exc
    if not found:
        raise CheckpointFailed(
            common_dir, f"there is no checkpoint {oid} any more", hint="`holdfast checkpoint list`"
        )
    return found[0]


def references_of(git: Git, oid: str) -> list[str]:
    """The references, one for each worktree, that keep a checkpoint. Raises NoAnswer."""
    return git("for-each-ref", "--format=%(refname)", f"--contains={oid}", REFS).decode().split()


def names(common_dir: Path, wanted: str) -> list[str]:
    """The checkpoints in a repository, of all of its worktrees, whose name begins so. Raises CheckpointFailed."""
    git = asker(common_dir)
    try:
        said = git("rev-list", "--ignore-missing", f"--max-count={_MOST}", f"--glob={REFS}*", "--")
    except NoAnswer as exc:
        raise CheckpointFailed(common_dir, str(exc)) from exc
    return [name for name in said.decode().split() if name.startswith(wanted)]


def checked(wanted: str) -> str:
    """An id as it can be looked for. Raises UsageError."""
    if not _NAME.match(wanted.lower()):
        raise UsageError(
            f"{wanted!r} is no checkpoint's id",
            hint=f"give at least {_LEAST_CHARS} of its hexadecimal digits, as `holdfast checkpoint list` shows them",
        )
    return wanted.lower()


def chosen(wanted: str, found: list[str]) -> str:
    """The one that is meant. Raises NotFound, UsageError."""
    each = sorted(set(found))
    if not each:
        raise NotFound(
            f"no checkpoint {wanted!r} is known here",
            hint="`holdfast checkpoint list`, in the repository that has it",
        )
    if len(each) > 1:
        raise UsageError(
            f"{wanted!r} fits {len(each)} checkpoints: {', '.join(each[:5])}",
            hint="give more characters of the id",
        )
    return each[0]


def files(git: Git, oid: str) -> dict[bytes, Entry]:
    """Every file of a commit by its path. Raises NoAnswer."""
    said = git("ls-tree", "-r", "-z", "--full-tree", oid)
    found = _ENTRY.findall(said)
    if len(found) != said.count(b"\0"):
        raise NoAnswer("git's list of a checkpoint's files is not understood")
    out = {}
    for mode, kind, name, path in found:
        number = int(mode, 8)
        if kind != b"blob" or number not in {FILE, EXECUTABLE, LINK} or path in out:
            raise NoAnswer(f"a checkpoint of ours has no {mode.decode()} {kind.decode()}")
        out[path] = Entry(number, name.decode())
    return out


def changes(
    before: Mapping[bytes, Entry],
    after: Mapping[bytes, Entry],
    is_unknown_before: Callable[[bytes], bool] = lambda _: False,
    is_unknown_after: Callable[[bytes], bool] = lambda _: False,
) -> Changes:
    """What differs from `before` in `after`; what may have been there, and was left out, is neither added nor deleted."""
    both = sorted(before.keys() & after.keys())
    added, deleted = after.keys() - before.keys(), before.keys() - after.keys()
    unknown = {*filter(is_unknown_before, added), *filter(is_unknown_after, deleted)}
    return Changes(
        unknown=sorted(unknown),
        added=sorted(added - unknown),
        changed=[path for path in both if before[path].oid != after[path].oid],
        modes=[path for path in both if before[path].oid == after[path].oid and before[path] != after[path]],
        deleted=sorted(deleted - unknown),
    )


def left_out_of(read: Read | None) -> Callable[[bytes], bool]:
    """Whether a path was left out of a checkpoint; of many, it names only the first."""
    left = [] if read is None or read.told is None else read.told.left_out
    named = {name for one in left for name in one.first}
    return lambda path: shown(path) in named


def _commits(git: Git, oids: list[str]) -> Iterator[Read]:
    """Those of the commits that there are."""
    said = git("cat-file", "--batch", given="".join(f"{oid}\n" for oid in oids).encode())
    at = 0
    while at < len(said):
        line, _, _ = said[at:].partition(b"\n")
        at += len(line) + 1
        words = line.split(b" ")
        if words[-1] == b"missing":
            continue
        content = said[at : at + int(words[2])]
        at += len(content) + 1
        read = commits.read(words[0].decode(), content) if words[1] == b"commit" else None
        if read is not None:
            yield read
