"""Checkpoints of workspaces, with a home: whose workspace is meant, what is recorded of them, and when the service takes them."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import background, clock, door
from holdfast.checkpoint import commits, giving_back, kept, looking, place, reading, taking
from holdfast.errors import CheckpointError, CheckpointRefused, HoldfastError, NotFound, UsageError
from holdfast.git import NoAnswer, shown
from holdfast.store import asking, checkpoints, queries
from holdfast.visible import printable_path

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from holdfast.checkpoint.commits import Read
    from holdfast.checkpoint.giving_back import GivenBack
    from holdfast.checkpoint.looking import Look
    from holdfast.checkpoint.place import Place
    from holdfast.checkpoint.reading import Changes
    from holdfast.checkpoint.taking import Intent, Taken
    from holdfast.home import Home

Json = dict[str, Any]
ASKED, TIMED = "asked", "timed"
LOG: Final = "checkpoint.log"
_TIMED_LIMIT_S: Final = (
    120.0  # of one round of timed checkpoints; what is not reached then, the next round may
)
_ROUND_LIMIT_S: Final = (
    _TIMED_LIMIT_S + 180.0
)  # after which it is ended; the last of its worktrees has its own limits
_GRACE_S: Final = 10.0  # that it has to end what it asked git
_SHARE: Final = 0.05  # of a core, the most that rounds take
_LOOK_AGAIN_S: Final = 0.5  # while a round runs
_EMAIL: Final = "email"  # a kind that a home may have taken out, and no secret
_AT_WORK: Final = frozenset({"working", "waiting"})


@dataclass(frozen=True, slots=True)
class Meant:
    """A directory that is meant, and the session it was named by ("<source>:<native id>"), if it was."""

    directory: str
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asks for beyond a checkpoint."""

    message: str | None = None
    include_ignored: bool = False
    include_secrets: bool = False
    trigger: str = ASKED


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint, and git's directory of the repository that has it."""

    repository: Path
    read: Read


# ── which workspace ──


def meant(home: Home, name: str | None) -> Meant:
    """The directory of what a person names; None: the current one. Whatever else can be named one day has its place here.

    Raises:
        NotFound, AmbiguousId: it is no session's id, or fits several.
        CheckpointRefused: where the session works is not known, or not there.
    """
    if name is None:
        return Meant(_here())
    db = home.reader()
    try:
        row = queries.session_id(db, name)
        [found] = queries.session_rows(db, row)
    finally:
        db.close()
    if found["cwd"] is None:
        raise CheckpointRefused(
            f"where session {found['native']} works is not recorded", hint="run this in its directory"
        )
    if not os.path.isdir(found["cwd"]):  # noqa: PTH112 - foreign text
        raise CheckpointRefused(
            f"{found['cwd']}, where session {found['native']} worked, is not there",
            hint="if it lies elsewhere now: `holdfast workspace move OLD NEW`",
        )
    return Meant(found["cwd"], found["key"])


def _here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - any bytes
    except OSError as exc:
        raise CheckpointRefused(
            "the current directory is not there any more", hint="change to one that is"
        ) from exc


# ── taking ──


def take(home: Home, directory: str, asked: Asked, about: str | None = None) -> Taken:
    """Take a checkpoint of the worktree that holds a directory. What is about to be written is recorded before, what became of it after.

    Args:
        home: where it is recorded.
        directory: in the worktree.
        asked: what is asked for.
        about: the session that it is for.

    Raises:
        CheckpointRefused: there is no such worktree, or another process is at it for long.
        CheckpointFailed: git or the system refused.
        AppendFailed: that it is about to be taken could not be recorded; then it is not taken.
    """
    return take_at(home, place.find(directory), asked, about)


def take_at(home: Home, at: Place, asked: Asked, about: str | None = None) -> Taken:
    """Take a checkpoint of a worktree. Raises as `take`."""
    rules = looking.Rules(
        asked.include_ignored,
        asked.include_secrets,
        home.settings.checkpoint_file_size_bytes,
        _secret_in(home),
    )
    wish = taking.Wish(rules, asked.trigger, asked.message, clock.now_us())
    telling = _Telling(home, about)
    try:
        taken = taking.take(at, wish, _directory(home), telling.intend)
    except BaseException as exc:
        telling.failed(at, exc)
        raise
    if taken.is_new:
        telling.taken(taken)
    return taken


class _Telling:
    """Records what becomes of a checkpoint; a try that began again is an attempt of its own."""

    def __init__(self, home: Home, about: str | None) -> None:
        self._home = os.fspath(home.path)
        self._about = {"about": about} if about else {}
        self._attempt: str | None = None

    def intend(self, intent: Intent) -> None:
        if self._attempt is not None:
            self.failed(intent.place, "it began again: something else happened meanwhile")
        told = intent.told
        self._attempt = self._say(
            "checkpoint.taking", intent.place, commit=intent.commit, tree=intent.tree, parent=intent.parent,
            ref=intent.place.ref, base=told.base, trigger=told.trigger,
        )  # fmt: skip

    def taken(self, taken: Taken) -> None:
        told = taken.told
        self._say(
            "checkpoint.taken", taken.place, attempt=self._attempt, ref=taken.place.ref, commit=taken.commit,
            tree=taken.tree, parent=taken.parent, base=told.base, branch=told.branch, operation=told.operation,
            trigger=told.trigger, note=told.message, files=told.files, size_bytes=told.size_bytes,
            left_out=msgspec.to_builtins(told.left_out), unsteady=told.unsteady, ignored=told.ignored,
            duration_ms=round(taken.took_ms),
        )  # fmt: skip

    def failed(self, at: Place, why: object) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            self._say("checkpoint.not_taken", at, attempt=attempt, why=str(why) or type(why).__name__)

    def _say(self, kind: str, at: Place, **fields: Any) -> str:  # noqa: ANN401 - each kind has its own
        said = {name: value for name, value in fields.items() if value is not None}
        where = {"workspace": shown(at.root), "repository": printable_path(str(at.common_dir))}
        body = {"kind": kind, "time": clock.now_us(), "fields": where | said | self._about}
        # An intent has to survive this process; after a power cut the repository itself says what it has.
        durable = kind != "checkpoint.taking"
        return door.append(body, durable=durable, strict=True, home=self._home)


def _directory(home: Home) -> Path:
    out = home.path / kept.DIRECTORY
    try:
        out.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise CheckpointError(f"{out}: {exc.strerror}", hint="make room or repair access") from exc
    return out


def _secret_in(home: Home) -> Callable[[bytes, bool], str]:
    """Finds the kind of a secret in a text: one that is told for sure, in settings also by its name alone. What cannot be looked at is one."""
    certain: frozenset[str] | None = None

    def find(content: bytes, is_settings: bool) -> str:  # noqa: FBT001 - called by position
        nonlocal certain
        if certain is None:
            from holdfast.redact.redactor import UNCHECKED  # noqa: PLC0415 - most checkpoints search nothing

            certain = home.redactor.certain_kinds | {UNCHECKED}
        kinds = home.redactor.clean(content).kinds
        return next((kind for kind in kinds if kind in certain or (is_settings and kind != _EMAIL)), "")

    return find


# ── timed ──


def take_timed(home: Home, say: Callable[[str], object]) -> int:
    """Take a checkpoint of each workspace in which a session is at work; how many were taken. What is refused is said."""
    began_s = time.monotonic()
    seen: set[str] = set()
    taken = 0
    for directory in _at_work(home):
        if time.monotonic() - began_s > _TIMED_LIMIT_S:
            say(f"{directory}: no time was left for it")
            continue
        try:
            at = place.find(directory)
            if at.stem not in seen:
                seen.add(at.stem)
                taken += take_at(home, at, Asked(trigger=TIMED)).is_new
        except HoldfastError as exc:
            say(str(exc))
    return taken


def _at_work(home: Home) -> list[str]:
    """Directories in which a session works or waits, the one used last first."""
    db = home.reader()
    try:
        stale_us = int(home.settings.stale_after_s * 1_000_000)
        found = queries.sessions(db, home.now_us(), stale_us, home.vitals())
    finally:
        db.close()
    return list(
        dict.fromkeys(one["workspace"] for one in found if one["state"] in _AT_WORK and one["workspace"])
    )


class Timer:
    """Starts a round of timed checkpoints in a process of its own when one is due: never two at once, and never more than a share of a core."""

    def __init__(self, home: Home, say: Callable[[str], object]) -> None:
        self._home = home
        self._say = say
        self._every_s = home.settings.checkpoint_every_s
        self._due_s = time.monotonic() + self._every_s
        self._began_s = 0.0
        self._child: subprocess.Popen[bytes] | None = None
        self._is_told = False  # that this round is ended

    def wait_s(self) -> float:
        """How long nothing has to be done."""
        if not self._every_s:
            return math.inf
        return _LOOK_AGAIN_S if self._child is not None else max(0.0, self._due_s - time.monotonic())

    def tick(self) -> None:
        """Start a round if one is due."""
        now_s = time.monotonic()
        if self._child is not None and now_s > self._began_s + _ROUND_LIMIT_S:
            self._end(by_force=now_s > self._began_s + _ROUND_LIMIT_S + _GRACE_S)
        if self._child is not None and self._child.poll() is not None:
            self._child = None
            self._due_s = max(self._due_s, now_s + (now_s - self._began_s) / _SHARE)
        if self._every_s and self._child is None and now_s >= self._due_s:
            self._is_told = False
            self._began_s, self._due_s = now_s, now_s + self._every_s
            log = self._home.path / asking.RUN / LOG
            words = ["checkpoint", "take", "--timed"]
            try:
                self._child = background.spawn(self._home.path, self._home.settings, words, log)
            except OSError as exc:
                self._say(f"no checkpoints could be taken: {exc}")

    def _end(self, *, by_force: bool) -> None:
        """End a round that takes too long: it leads its own group, and ends what it asked git unless it is forced."""
        assert self._child is not None
        if not self._is_told:
            self._is_told = True
            self._say(f"a round of timed checkpoints took longer than {_ROUND_LIMIT_S:g} s and was ended")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL if by_force else signal.SIGTERM)


# ── reading ──


def chain(at: Place, most: int) -> list[Read]:
    """The checkpoints of a worktree, newest first."""
    return reading.chain(at, most)


def find(home: Home, wanted: str | None) -> Kept:
    """The checkpoint that a person means: by its id or how that begins, here or as it was recorded; None: the newest one here.

    Raises:
        NotFound: there is none.
        UsageError: it is no id, or fits several.
        CheckpointRefused, CheckpointFailed: its repository is not there, or does not have it any more.
    """
    if wanted is None:
        at = place.find(_here())
        found = reading.chain(at, 1)
        if not found:
            raise NotFound(
                f"no checkpoint of {shown(at.root)} was taken", hint="`holdfast checkpoint` takes one"
            )
        return Kept(at.common_dir, found[0])
    wanted = reading.checked(wanted)
    places = dict(_recorded(home, wanted))
    try:
        here = place.find(_here()).common_dir
        places |= dict.fromkeys(reading.names(here, wanted), here)
    except CheckpointRefused:
        pass
    oid = reading.chosen(wanted, list(places))
    return Kept(places[oid], reading.one(places[oid], oid))


def _recorded(home: Home, wanted: str) -> Iterator[tuple[str, Path]]:
    db = home.reader()
    try:
        for commit, repository in checkpoints.named(db, wanted):
            yield commit, Path(kept.repository_at(home.path / kept.DIRECTORY, repository))
    finally:
        db.close()


def changes(home: Home, found: Kept, other: Kept | None) -> Changes:
    """What differs from a checkpoint in another one of its repository; None: in its worktree as it is now.

    Raises:
        UsageError: they are of two repositories.
        CheckpointRefused, CheckpointFailed: it cannot be looked at.
    """
    if other is not None and other.repository != found.repository:
        raise UsageError("these checkpoints are of two repositories", hint="compare two of one")
    try:
        git = reading.asker(found.repository)
        before = reading.files(git, found.read.oid)
        if other is not None:
            left_out = map(reading.left_out_of, (found.read, other.read))
            return reading.changes(before, reading.files(git, other.read.oid), *left_out)
        root, now = _now(home, found)
        return reading.changes(
            before,
            now.entries(),
            reading.left_out_of(found.read),
            lambda path: path in now.sparse or _is_there(root, path),
        )
    except NoAnswer as exc:
        raise CheckpointError(f"{found.repository}: {exc}", hint="`git fsck` there says more") from exc


def since_parent(found: Kept) -> Changes:
    """What differs in a checkpoint from the one before it; from nothing, for the first. Raises CheckpointError."""
    try:
        git = reading.asker(found.repository)
        parent = None if found.read.parent is None else reading.one(found.repository, found.read.parent)
        before = {} if parent is None else reading.files(git, parent.oid)
        left_out = map(reading.left_out_of, (parent, found.read))
        return reading.changes(before, reading.files(git, found.read.oid), *left_out)
    except NoAnswer as exc:
        raise CheckpointError(f"{found.repository}: {exc}", hint="`git fsck` there says more") from exc


def _is_there(root: bytes, path: bytes) -> bool:
    """Whether something other than a directory stands at a path, which is in no checkpoint then for a reason of its own."""
    whole = os.path.join(root, path)  # noqa: PTH118 - bytes
    return os.path.lexists(whole) and (os.path.islink(whole) or not os.path.isdir(whole))  # noqa: PTH112, PTH114


def _now(home: Home, found: Kept) -> tuple[bytes, Look]:
    """The root, and what lies there, as a checkpoint like this one would have it now. Raises NoAnswer."""
    at = _worktree_of(found)
    settled = found.read.told or commits.Told()
    limit_bytes = home.settings.checkpoint_file_size_bytes
    rules = looking.Rules(settled.ignored, settled.secrets, limit_bytes, _secret_in(home))
    git = at.git()
    with looking.begin(git, rules) as asked:
        looker = looking.Looker(at, rules, kept.Index(), None, is_kept=False, borrow=True)
        return at.root, looker.run(asked)


def _worktree_of(found: Kept) -> Place:
    """The worktree that a checkpoint is of: that of the current directory, which may have been moved, else the one where it was taken.

    Raises:
        CheckpointRefused: it does not lie there any more.
        NoAnswer: git cannot tell.
    """
    references = reading.references_of(reading.asker(found.repository), found.read.oid)
    with contextlib.suppress(CheckpointRefused):
        here = place.find(_here())
        if _is_of(here, found.repository) and here.ref in references:
            return here
    at = place.find(found.read.told.root if found.read.told else "")
    if not _is_of(at, found.repository) or (references and at.ref not in references):
        raise CheckpointRefused(
            f"{shown(at.root)} is not the worktree that it was taken of any more",
            hint="run this in the worktree where it lies now, or compare two checkpoints",
        )
    return at


def _is_of(at: Place, repository: Path) -> bool:
    return os.path.realpath(at.common_dir) == os.path.realpath(repository)


def give_back(home: Home, found: Kept, to: Path, *, worktree: bool) -> GivenBack:
    """Write a checkpoint's files into a new directory. Raises as `giving_back.give_back`, and UsageError inside the home."""
    if Path(os.path.realpath(to)).is_relative_to(home.path.resolve()):
        raise UsageError(f"{to} lies inside the home", hint="name a place outside of it")
    return giving_back.give_back(found.repository, found.read, to, worktree=worktree)
