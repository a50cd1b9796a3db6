"""Give back contents that definitions had: one, or all of a snapshot. What is written over is kept first, and each file written is a new revision."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast import clock, defining, defining_writes
from holdfast.definition_history import contents, real_of
from holdfast.definitions import looking, reading, revisions, roots, swapping, tools, versions, writing
from holdfast.definitions.swapping import NOTHING, Overtaken
from holdfast.definitions.writing import Write
from holdfast.errors import BlobDamaged, DefinitionRefused, NotFound, StoreError, UsageError
from holdfast.journal.blobs import sync_directory, write_all
from holdfast.redaction_rules import PLACEHOLDER
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.definitions.ledger import Held
    from holdfast.definitions.roots import Root
    from holdfast.definitions.versions import Version
    from holdfast.home import Home
    from holdfast.store.definitions import Revision

WRITTEN: Final = "written"
THERE: Final = "there"
_TRIES: Final = 5  # to write a file that others write at the same time

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """A content that is to lie somewhere.

    Attributes:
        row: the revision that had it.
        path: where it is to lie, without links.
        root: the directory of definitions that this is in; None: in none, so that nothing of it is recorded.
        content: its bytes.
    """

    row: Revision
    path: bytes
    root: Root | None
    content: bytes

    @property
    def shown(self) -> str:
        """Its path as text."""
        return printable_path(os.fsdecode(self.path))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of a goal.

    Attributes:
        state: WRITTEN, or THERE: the content lay there already.
        revision: the new one; None: there is none, because nothing was written, or not among definitions.
        replaced_sha256: of what lay there before, which is kept; None: nothing did.
    """

    goal: Goal
    state: str
    revision: str | None = None
    replaced_sha256: str | None = None


# ── which content, and where to ──


def wanted(found: list[Version]) -> Version:
    """The version of a file that is meant where none is named: the one before the last change; of one that was made anew, the last that said something
    else.

    Raises:
        UsageError: there is none before.
    """
    last = versions.last_change(found)
    before = versions.before(found, last)
    if last.row.before_sha256 is None:
        others = (
            one for one in reversed(found) if one.is_here and one.row.sha256 not in (None, last.row.sha256)
        )
        before = next(others, None)
    if before is None or before.row.sha256 is None:
        raise UsageError(
            "it has no version before the last one",
            hint="`holdfast definitions history NAME` lists what there is; name one with --revision",
        )
    return before


def goal(home: Home, found: Iterable[Version], one: Version, to: str | None) -> Goal:
    """What has to be done for a version to lie where its file is now, or elsewhere.

    Args:
        home: where its content is kept.
        found: the history, by which its file is followed.
        one: the version.
        to: a directory, which is there or ends in `/`, or a file; None: where it lies now, or lay last.

    Raises:
        NotFound, BlobDamaged: its content cannot be had.
        DefinitionRefused: it may not be written there.
        UsageError: that is inside the home.
    """
    content = contents(home).get(one.row)
    last = versions.now_at([each.row for each in found], one.row)
    path = _target(one.row, to) if to is not None else os.path.realpath(os.fsdecode(real_of(last)))
    return _goal(home, one.row, path, content, elsewhere=to is not None)


def _check_place(row: Revision, path: str) -> None:
    """Raises DefinitionRefused: where it lay is a path of another machine, or not known."""
    if row.host is not None:
        raise DefinitionRefused(
            f"{row.path}: it was seen there {versions.elsewhere(row.host)}, and not here",
            hint="name a place here with --to",
        )
    if PLACEHOLDER.search(path):
        raise DefinitionRefused(
            f"{row.path}: where it lay is not known, because redaction took something out of the path",
            hint="name the file with --to",
        )


def _target(row: Revision, to: str) -> str:
    if to.endswith("/") or os.path.isdir(to):  # noqa: PTH112 - text, whatever bytes it has
        to = os.path.join(to, os.path.basename(os.fsdecode(real_of(row))))  # noqa: PTH118, PTH119
    return os.path.realpath(to)


def _goal(home: Home, row: Revision, path: str, content: bytes, *, elsewhere: bool) -> Goal:
    if Path(path).is_relative_to(home.path.resolve()):
        raise UsageError(f"{printable_path(path)} lies inside the home", hint="name a place outside of it")
    if not elsewhere:
        _check_place(row, path)
    root = root_of(home, row.tool, path, None if elsewhere else row.root)
    if root is None and not elsewhere:
        raise DefinitionRefused(
            f"{printable_path(path)}: no directory of definitions is there any more that counts for {row.tool}",
            hint="name another place with --to",
        )
    if root is not None and not elsewhere and not _is_reached(root, path):
        lies = "it still lies there, and " if os.path.lexists(path) else ""
        raise DefinitionRefused(
            f"{printable_path(path)}: {lies}no link in {printable_path(root.path)} leads to it any more",
            hint="make the link again, or name another place with --to",
        )
    out = Goal(row, os.fsencode(path), root, content)
    if root is not None and not root.writable and not _lies_there(out):
        raise _read_only(out, root)
    return out


def _is_reached(root: Root, path: str) -> bool:
    """Whether what lies at a path is in a root, or a link there leads to it."""
    if path.startswith(f"{root.real.rstrip('/')}/"):
        return True
    return any(file.real == path for file in reading.files(root, tools.TOOLS[root.tool]).files)


def _lies_there(one: Goal) -> bool:
    try:
        return reading.content(os.fsdecode(one.path)) == one.content
    except OSError:
        return False


def _read_only(one: Goal, root: Root) -> DefinitionRefused:
    why = f"this directory of the {root.tier} tier is not written"
    if not roots.may_write(root.path):
        why = "the system does not let you write there"
    return DefinitionRefused(f"{one.shown}: {why}", hint="name another place with --to")


def root_of(home: Home, tool: str, path: str, reached: str | None = None) -> Root | None:
    """The directory of definitions that a path is in, seen from there or from the current directory; None: it is no place for a definition.

    Args:
        home: whose settings say where definitions lie.
        tool: whose definition it is.
        path: without links.
        reached: the directory through which a file is reached that lies in none, by a link.
    """
    today = clock.date_in(home.now_us(), UTC)
    if not reading.is_named(os.path.basename(path), tools.TOOLS[tool]):  # noqa: PTH119
        return None
    found: list[Root] = []
    for directory in dict.fromkeys(
        [*_around(path, tool), *(_around(reached, tool) if reached else []), _here()]
    ):
        found += roots.find(home.settings, directory, str(Path.home()), today).found
    ours = [one for one in found if one.tool == tool]
    around = [one for one in ours if path.startswith(f"{one.real.rstrip('/')}/")]
    linked = next((one for one in ours if printable_path(one.real) == reached), None)
    return max(around, key=lambda one: len(one.real), default=linked)


def _around(path: str, tool: str) -> Iterator[str]:
    """Directories from which a file or directory of definitions may be seen: it counts in no other, where the project is in no repository."""
    yield os.path.dirname(path)  # noqa: PTH120
    inner = tools.TOOLS[tool].inner
    project, is_inner, _ = f"{path}/".rpartition(f"/{inner}/")
    if inner and is_inner:
        yield project or "/"


def _here() -> str:
    try:
        return os.path.realpath(os.getcwd())  # noqa: PTH109
    except FileNotFoundError:
        return "/"


# ── writing ──


def restore(home: Home, goals: list[Goal], reason: str) -> list[Restored]:
    """Write contents into files, all of them or none, and record it.

    Args:
        home: where it is recorded.
        goals: what is to lie where, each path once.
        reason: why, as it is recorded.

    Raises:
        DefinitionsBusy: another process looks at definitions, or writes one.
        DefinitionRefused: a file cannot be told from others any more, or others write them all the time.
        DefinitionNotWritten, StoreError, AppendFailed: the system refused.
    """
    ours = [one for one in goals if one.root is not None]
    kept = defining.ledger_of(home)
    done: dict[bytes, Restored] = {}
    lay: dict[bytes, str] = {}
    for attempt in range(_TRIES):
        try:
            with kept.held() as held:
                looking.look(
                    held, {one.root.real: one.root for one in ours if one.root}.values(), home.now_us()
                )
                done |= _written(held, ours, reason, home.now_us())
            break
        except Overtaken as exc:
            lies = swapping.digest(exc.path)
            if lay.get(exc.path) == lies:  # and nobody changed it, so it is not what was looked at
                raise DefinitionRefused(
                    f"{printable_path(os.fsdecode(exc.path))}: what lies there is no definition, or cannot be read",
                    hint="put it aside first, or name another place with --to",
                ) from exc
            lay[exc.path] = lies
            if attempt == _TRIES - 1:
                raise DefinitionRefused(
                    "others write these files all the time", hint="end them, then run the same command again"
                ) from exc
    done |= {one.path: _put_outside(one) for one in goals if one.root is None}
    return [done[one.path] for one in goals]


def _written(held: Held, goals: list[Goal], reason: str, now_us: int) -> dict[bytes, Restored]:
    writes = [_write(held, one) for one in goals]
    made = writing.write(held, writes, defining_writes.by(None, reason), now_us, operation=revisions.RESTORE)
    return {
        one.path: Restored(one, WRITTEN, each.revision, each.before)
        if each.revision is not None
        else Restored(one, THERE)
        for one, each in zip(goals, made, strict=True)
    }


def _write(held: Held, one: Goal) -> Write:
    known = held.index.known.get(one.path)
    assert one.root is not None
    if not one.root.writable and (known is None or known.sha256 != one.sha256):
        raise _read_only(one, one.root)
    path = os.fsdecode(one.path)
    return Write(one.root, path, path, one.content, known.sha256 if known else NOTHING)


def _put_outside(one: Goal) -> Restored:
    """Write a file that is no definition, where none is. Raises DefinitionRefused, StoreError."""
    path = Path(os.fsdecode(one.path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        with contextlib.suppress(OSError):
            if reading.content(os.fsdecode(one.path)) == one.content:
                return Restored(one, THERE)
        raise DefinitionRefused(
            f"{one.shown}: another file stands there, which is no definition and would not be kept",
            hint="move it away, or name another place with --to",
        ) from None
    except OSError as exc:
        raise StoreError(f"{one.shown}: {exc.strerror}", hint="make room or repair access") from exc
    try:
        try:
            write_all(fd, one.content)
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_directory(path.parent)
    except OSError as exc:
        path.unlink(missing_ok=True)
        raise StoreError(f"{one.shown}: {exc.strerror}", hint="make room or repair access") from exc
    return Restored(one, WRITTEN)


# ── a snapshot ──


def goals_of(
    home: Home, every: list[Revision], chosen: list[Revision], to: str | None
) -> tuple[list[Goal], list[tuple[str, str]]]:
    """What has to be done for files to be as they were, and what cannot be (path, why).

    Args:
        home: where their contents are kept.
        every: all revisions, by which files are followed.
        chosen: the revisions that they had.
        to: a directory that they are all to lie in, by tool and tier; None: where each lies now, or lay last.
    """
    kept = contents(home)
    places = _places(every, chosen) if to is None else _below(chosen, to)
    goals, left = [], []
    for row in chosen:
        try:
            content = kept.get(row)
            goals.append(_goal(home, row, places[row.id], content, elsewhere=to is not None))
        except (DefinitionRefused, NotFound, BlobDamaged) as exc:
            left.append((row.path, str(exc).removeprefix(f"{row.path}: ")))
    return goals, left


def _places(every: list[Revision], chosen: list[Revision]) -> dict[str, str]:
    """Where each file lies now; where two came to lie in one place, where each lay then."""
    now = {row.id: versions.now_at(every, row) for row in chosen}
    taken: dict[str, int] = {}
    for row in chosen:
        taken[now[row.id].path] = taken.get(now[row.id].path, 0) + 1
    return {
        row.id: os.path.realpath(os.fsdecode(real_of(now[row.id] if taken[now[row.id].path] == 1 else row)))
        for row in chosen
    }


def _below(chosen: list[Revision], to: str) -> dict[str, str]:
    """A place below a directory for each: by tool and tier, and a number where a tier has several roots."""
    numbered: dict[tuple[str, str | None], list[str]] = {}
    out = {}
    for row in chosen:
        mine = numbered.setdefault((row.tool, row.tier), [])
        root = row.root or os.path.dirname(row.path)  # noqa: PTH120
        if root not in mine:
            mine.append(root)
        number = f"-{mine.index(root) + 1}" if mine.index(root) else ""
        path = os.fsdecode(real_of(row))
        inner = path[len(root) + 1 :] if path.startswith(f"{root}/") else os.path.basename(path)  # noqa: PTH119
        out[row.id] = os.path.realpath(os.path.join(to, f"{row.tool}-{row.tier or 'unknown'}{number}", inner))  # noqa: PTH118
    return out
