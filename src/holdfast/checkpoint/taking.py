"""Take a checkpoint: look, decide whether anything changed, hand the objects to git, then name the commit.

Nothing but objects and the worktree's own reference (`place`) is written into the repository. Objects come first; whoever is killed
before the reference is moved leaves objects that nothing names, which git collects in time. The reference moves from the checkpoint that
was looked at to the new one, or not at all, so of two that are taken at once one begins again. `git gc --prune=now` may take objects away that
nothing named when it looked. So afterwards, while one is at work or where something is missing, they are handed over again as a pack,
which it leaves alone.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.checkpoint import commits, kept, looking
from holdfast.checkpoint.objects import Pack, add_trees, commit
from holdfast.errors import CheckpointFailed, CheckpointRefused
from holdfast.failpoints import failpoint
from holdfast.git import NoAnswer, configuration, shown, under_way
from holdfast.plain_files import content_of
from holdfast.store import lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.checkpoint.commits import Modes, Read, Told
    from holdfast.checkpoint.looking import Look, Rules
    from holdfast.checkpoint.place import Place
    from holdfast.git import Asked, Git

_WAIT_MS: Final = 60_000  # for another process that is at the same worktree
_TRIES: Final = 5
_SENDS: Final = 10  # of the objects, when git collects them while they are handed over
_PAUSE_S: Final = 0.01
_UNPACKED: Final = 500  # more objects than this are kept as one pack
# Contents are on their way to the disk before the reference is forced there, which takes all that was written before along: file systems keep the
# order of their own log. So one wait serves all.
_UNSYNCED: Final = {"core.fsyncMethod": "writeout-only"}
_BRANCH: Final = b"ref: refs/heads/"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        rules: which files belong in.
        trigger: "asked" or "timed".
        message: of a person.
        time_us: now, UTC.
    """

    rules: Rules
    trigger: str
    message: str | None
    time_us: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A checkpoint.

    Attributes:
        commit, tree, parent: as git names them.
        is_new: whether it was made now; otherwise nothing changed since it was.
        told: what it says of itself; of one that was there before, what would be said now.
        read_files, read_bytes: what had to be read for it.
        took_ms: in all.
    """

    place: Place
    commit: str
    tree: str
    parent: str | None
    is_new: bool
    told: Told
    read_files: int
    read_bytes: int
    took_ms: float


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be written."""

    place: Place
    commit: str
    tree: str
    parent: str | None
    told: Told


@dataclass(slots=True)
class _Try:
    """What one try begins with."""

    git: Git
    previous: Read | None
    base: str | None
    index: kept.Index

    @property
    def is_kept(self) -> bool:
        """Whether what was remembered was left by the last checkpoint."""
        return (
            self.previous is not None
            and self.index.last is not None
            and self.index.last.oid == self.previous.oid
        )


class _Again(Exception):
    """Something else happened meanwhile."""


def take(place: Place, wish: Wish, directory: Path, intend: Callable[[Intent], object]) -> Taken:
    """Take a checkpoint of a worktree.

    Args:
        place: the worktree.
        wish: what is asked for.
        directory: where what is known of worktrees is kept, which exists.
        intend: told before anything is written; not at all when nothing changed.

    Raises:
        CheckpointRefused: another process is at it for long.
        CheckpointFailed: git or the system refused; the last checkpoint is what it was.
    """
    began_s = time.perf_counter()
    where = shown(place.root)
    with lock.held(directory, _WAIT_MS, name=f"{place.stem}.lock") as mine:
        if not mine:
            raise CheckpointRefused(
                f"{where}: another process is taking a checkpoint of it",
                hint="wait for it, then run this again",
            )
        for number in range(_TRIES):
            try:
                return _once(place, wish, directory, intend, began_s, is_first=number == 0)
            except _Again:
                continue
            except NoAnswer as exc:
                raise CheckpointFailed(where, str(exc)) from exc
            except OSError as exc:
                raise CheckpointFailed(exc.filename or where, exc.strerror or str(exc)) from exc
    raise CheckpointFailed(
        where, "something else changed its checkpoints, or took objects away, again and again"
    )


def _once(
    place: Place,
    wish: Wish,
    directory: Path,
    intend: Callable[[Intent], object],
    began_s: float,
    *,
    is_first: bool,
) -> Taken:
    begun = _Try(place.git(), None, None, kept.load(directory, place.stem))
    configured = configuration(place.git_dir, place.common_dir, kept.UNSURE_NS)
    named = begun.index.hooks if begun.index.hooks and begun.index.hooks[0] == configured else None
    pack = Pack(directory, place.algorithm)
    hooks: Asked | None = None
    try:
        with looking.begin(begun.git, wish.rules) as asked:
            begun.base, begun.previous = _stands(begun, place)
            looker = looking.Looker(
                place, wish.rules, begun.index, pack, is_kept=begun.is_kept, borrow=is_first
            )
            look = looker.run(asked)
        is_likely = look.read_files or len(look.files) != len(
            begun.index.files
        )  # that something is to be written
        if is_likely and named is None:
            hooks = begun.git.hooks()  # meanwhile
        known = frozenset(begun.index.trees if begun.is_kept else ())
        tree, trees = add_trees(pack, look.lines(), known, place.algorithm)
        modes, untold = commits.modes(look.files)
        told = _told(place, wish, begun, look, modes, untold)
        last = begun.previous
        is_new = last is None or last.tree != tree or last.told is None or last.told.modes != modes
        if last is None or is_new:
            parent = None if last is None else last.oid
            time_s = wish.time_us // 1_000_000
            oid = pack.add("commit", commit(tree, parent, time_s, commits.text(told)))
            intend(Intent(place, oid, tree, parent, told))
            failpoint("checkpoint.intended")
            names, is_plain = begun.git.leave_out_hooks(hooks, named[1] if named else None)
            named = (configured, names) if configured and is_plain else None
            _write(place, begun, pack, oid, [*look.fresh, *(trees - known)], is_first=is_first)
            last = commits.Read(oid, tree, parent, time_s, commits.Told(modes=modes))
        if is_new or look.read_files or not begun.is_kept:
            index = kept.Index(
                last=last,
                trees=sorted(trees),
                files=look.files | look.others,
                repository=os.fsencode(place.common_dir),
                hooks=named,
            )
            _keep(directory, place, index, told)
    finally:
        pack.close()
        if hooks is not None:
            with hooks:
                pass
    took_ms = (time.perf_counter() - began_s) * 1_000
    return Taken(place, last.oid, tree, last.parent, is_new, told, look.read_files, look.read_bytes, took_ms)


def _keep(directory: Path, place: Place, index: kept.Index, told: Told) -> None:
    """Keep what is known of the files. The checkpoint is there by now, whatever becomes of that."""
    try:
        kept.save(directory, place.stem, index)
    except OSError as exc:
        told.notes.append(
            f"what is known of its files could not be kept: {exc.strerror}; the next one reads all of them"
        )


def _stands(begun: _Try, place: Place) -> tuple[str | None, Read | None]:
    """The commit that the worktree stands at, and its last checkpoint. Raises NoAnswer."""
    last = begun.index.last
    if last is not None and place.named(place.ref) == last.oid:
        head = place.head()
        if head is not None:
            return head, last
    return _stands_as_git_says(begun.git, place)


def _stands_as_git_says(git: Git, place: Place) -> tuple[str | None, Read | None]:
    """The commit that the worktree stands at, and its last checkpoint. Raises NoAnswer."""
    said = git("cat-file", "--batch", given=f"HEAD^{{commit}}\n{place.ref}\n".encode())
    found: list[tuple[str, bytes] | None] = []
    at = 0
    while at < len(said):
        line, _, _ = said[at:].partition(b"\n")
        at += len(line) + 1
        words = line.split(b" ")
        if words[-1] == b"missing":
            found.append(None)
            continue
        if len(words) != 3 or words[1] != b"commit":
            raise NoAnswer(f"{place.ref} names no commit")
        size_bytes = int(words[2])
        found.append((words[0].decode(), said[at : at + size_bytes]))
        at += size_bytes + 1
    if len(found) != 2:
        raise NoAnswer("git's answer about its commits is not understood")
    head, previous = found
    read = None if previous is None else commits.read(*previous)
    if previous is not None and read is None:
        raise NoAnswer(f"{place.ref} names a commit that is not understood")
    if previous is None and (tip := _tip(git, place)) is not None:
        if not _missing(git, place, [tip]):
            raise _Again
        why = f"{place.ref} names {tip}, which the repository does not have"
        hint = f"`git fsck` there says more; `git update-ref -d {place.ref}` gives up what it named, and lets checkpoints begin anew"
        raise CheckpointFailed(shown(place.root), why, hint=hint)
    return None if head is None else head[0], read


def _told(place: Place, wish: Wish, begun: _Try, look: Look, modes: Modes, untold: int) -> Told:
    notes = list(look.notes)
    if untold:
        notes.append(f"the permissions of {untold} files are kept as git has them only")
    return commits.Told(
        root=shown(place.root),
        base=begun.base,
        branch=_branch(place),
        operation=under_way(place.git_dir),
        trigger=wish.trigger,
        message=wish.message,
        files=len(look.files) + len(look.links) + len(look.absent),
        size_bytes=look.size_bytes,
        left_out=commits.left_out(look.left_out),
        unsteady=look.unsteady.first,
        ignored=wish.rules.include_ignored,
        secrets=wish.rules.include_secrets,
        notes=notes,
        modes=modes,
    )


def _branch(place: Place) -> str | None:
    """The branch that is checked out; None: none, or it is not known."""
    try:
        said = content_of(place.git_dir / "HEAD").strip()
    except OSError:
        return None
    name = said.removeprefix(_BRANCH)
    return None if name in {said, b".invalid"} else shown(name)


# ── writing ──


def _write(place: Place, begun: _Try, pack: Pack, oid: str, fresh: list[str], *, is_first: bool) -> None:
    """Hand the objects over and move the reference. Raises _Again, NoAnswer."""
    git = begun.git
    before = None if begun.previous is None else begun.previous.oid
    for number in range(_SENDS):
        _pause(number)
        try:
            _send(git, pack, loose=is_first and number == 0)
            failpoint("checkpoint.sent")
            git("update-ref", "--no-deref", place.ref, oid, before or "0" * len(oid))
            break
        except NoAnswer:
            if _tip(git, place) != before:
                raise _Again from None
            if number + 1 == _SENDS or not _missing(git, place, [oid]):
                raise
    failpoint("checkpoint.named")
    if not _is_safe(git, place, pack, [oid, *fresh]):
        _take_back(git, place, begun, oid)
        raise _Again


def _pause(number: int) -> None:
    if number:  # to sleep for no time would still let everybody else go first
        time.sleep(number * _PAUSE_S)


def _is_safe(git: Git, place: Place, pack: Pack, wanted: list[str]) -> bool:
    """Whether git has what was just named, and will not take it away; what it took is handed over again."""
    if not _is_collecting(place) and not _missing(git, place, wanted):
        return True
    for number in range(_SENDS):
        _pause(number)
        with contextlib.suppress(NoAnswer):  # it may take away what it is just given
            _send(git, pack, loose=False)
            return not _missing(git, place, wanted)
    return False


def _is_collecting(place: Place) -> bool:
    """Whether a `git gc` may still act on what was named before the reference was moved. One that begins later sees it."""
    return (place.common_dir / "gc.pid").exists()


def _take_back(git: Git, place: Place, begun: _Try, oid: str) -> None:
    """Let the reference name what it did before."""
    if begun.previous is None:
        git("update-ref", "--no-deref", "-d", place.ref, oid)
    else:
        git("update-ref", "--no-deref", place.ref, begun.previous.oid, oid)


def _tip(git: Git, place: Place) -> str | None:
    """What the reference names now; None: it is not there."""
    return git("for-each-ref", "--format=%(objectname)", place.ref).decode().strip() or None


def _send(git: Git, pack: Pack, *, loose: bool) -> None:
    """Hand the objects over: as files of their own, unless they are many. Raises NoAnswer."""
    is_loose = loose and len(pack.names) <= _UNPACKED
    words = ["unpack-objects", "-q"] if is_loose else ["index-pack", "--stdin"]
    whole = pack.whole()
    given = whole if isinstance(whole, bytes) else None
    reads = True if isinstance(whole, bytes) else whole
    with git.begin(*words, reads=reads, settings=_UNSYNCED) as asked:
        asked.answer(given)


def _missing(git: Git, place: Place, names: list[str]) -> bool:
    """Whether git lacks any of these objects. Raises NoAnswer."""
    objects = os.path.join(place.common_dir, "objects")  # noqa: PTH118 - for speed, as below
    names = [name for name in names if not os.path.exists(f"{objects}/{name[:2]}/{name[2:]}")]  # noqa: PTH110
    if not names:
        return False
    said = git(
        "cat-file", "--batch-check=%(objecttype)", given="".join(f"{name}\n" for name in names).encode()
    )
    return b" missing\n" in said or said.count(b"\n") != len(names)
