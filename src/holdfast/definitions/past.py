"""What lay where at a moment of the past. Pure: recorded changes of files and recorded looks at directories go in.

A change says what a file held when it was seen, not since when. A look says that a directory held what is recorded, at that moment or, while somebody
watched, all the time. So between two looks a file held what it held at both, if no change was recorded between; otherwise its own time (mtime)
says when it changed, as far as that lies between the last look before the change and the moment at which it was seen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.definitions import tools

if TYPE_CHECKING:
    from collections.abc import Iterable

OBSERVED: Final = "observed"
INFERRED: Final = "inferred"
UNKNOWN: Final = "unknown"
_WORST_FIRST: Final = (UNKNOWN, INFERRED, OBSERVED)
WATCH_GAP_US: Final = 5_000_000  # within which whoever watches a directory has looked at it again

_Key = tuple[str, str]  # of a directory: its tool and real path


@dataclass(frozen=True, slots=True)
class Revision:
    """A recorded change of one file.

    Attributes:
        id: of its event.
        seen_us: when it was seen, or made by ourselves (`own`).
        root: the directory of definitions in which the file lies.
        sha256: of its content afterwards; None: it is gone.
        changed_us: the file's own time; None: unknown.
        loads: whether its tool takes it; None: unknown.
        path_before, name_before: where it lay and what it was called before, where that changed.
    """

    id: str
    seen_us: int
    tool: str
    name: str
    tier: str
    root: str
    path: str
    sha256: str | None
    changed_us: int | None = None
    size_bytes: int | None = None
    validity: str | None = None
    loads: bool | None = True
    own: bool = False
    path_before: str | None = None
    name_before: str | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """A directory as a look reached it: `counts` is as for `roots.Root`; `seen`: it could be looked through, or was not there."""

    tool: str
    tier: str
    path: str
    counts: bool | None = True
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """What was reached from a working directory, the strongest first within a tool, and when; `from_us` to `to_us` it was watched."""

    cwd: str
    from_us: int
    to_us: int
    roots: tuple[Reached, ...]


class Doubt(NamedTuple):
    """Why something is not sure: the grade that remains, the rule that decided, and both in words."""

    grade: str
    rule: str
    why: str


SURE: Final = Doubt(OBSERVED, "looks", "it was looked at before and after, and nothing changed between")
_BY_TIME: Final = Doubt(
    INFERRED,
    "mtime",
    "it was seen first after the agent started; the file's own time is not later than the start",
)
_BY_ORDER: Final = Doubt(
    INFERRED, "mtime-order", "whether it changed before or after the start, the file's own time says"
)
_NOT_SINCE: Final = Doubt(
    INFERRED, "seen-before", "it was seen before the start, and nobody has looked since"
)
_NEVER_SEEN: Final = Doubt(
    UNKNOWN,
    "never-seen",
    "the file was seen first after it had changed; what lay there at the start nobody saw",
)
UNPLACED: Final = Doubt(
    UNKNOWN, "change-unplaced", "whether the file changed before or after the start is not recorded"
)


class Told(NamedTuple):
    """What a file may have been at a moment: one thing, or several where that cannot be told. None: not there, or another definition's."""

    options: tuple[Revision | None, ...]
    doubt: Doubt


class _Lay(NamedTuple):
    """What a file was from a moment on: as of `seen_us`, and since `changed_us` if that is known."""

    seen_us: int
    changed_us: int | None
    revision: Revision | None


@dataclass(frozen=True, slots=True)
class File:
    """One path, and what it was of this definition, in the order in which that was recorded."""

    tool: str
    root: str
    tier: str
    path: str
    lays: tuple[_Lay, ...]

    @property
    def key(self) -> _Key:
        """Of the directory it lies in."""
        return (self.tool, self.root)


class Past:
    """What is recorded of the files that ever had one name.

    Args:
        tool, name: of the definition. A plugin's agent answers to its plain name too.
        revisions: of every path that ever had the name, in order of record; also those under which it had another one.
        looks: at any directories, in any order.
    """

    def __init__(
        self, tool: str, name: str, revisions: Iterable[Revision], looks: Iterable[Look] = ()
    ) -> None:
        self.tool, self.name = tool, name
        self.looks = sorted(looks, key=lambda look: (look.from_us, look.to_us))
        self.files = _files(tool, name, revisions)
        self._seen: dict[_Key, list[tuple[int, int]]] = defaultdict(list)
        for look in self.looks:
            for root in look.roots:
                if root.seen:
                    self._seen[root.tool, root.path].append((look.from_us, look.to_us))

    def at(self, file: File, at_us: int) -> Told:
        """What a file was at a moment."""
        place = bisect_right(file.lays, at_us, key=lambda lay: lay.seen_us) - 1
        here = file.lays[place] if place >= 0 else None
        later = file.lays[place + 1] if place + 1 < len(file.lays) else None
        looked_us, again_us = self.last_look(file.key, at_us), self.next_look(file.key, at_us)
        if here is None and looked_us is None:
            return _before_all_looks(later, at_us)
        now = here.revision if here else None
        if later is None:
            return Told((now,), _NOT_SINCE if again_us is None else SURE)
        if again_us is not None and again_us < later.seen_us:
            return Told((now,), SURE)
        since_us = max(here.seen_us if here else -1, -1 if looked_us is None else looked_us)
        if later.changed_us is None or not since_us < later.changed_us <= later.seen_us:
            return Told(_each_once(now, later.revision), UNPLACED)
        return Told((later.revision if later.changed_us <= at_us else now,), _BY_ORDER)

    def last_look(self, key: _Key, at_us: int) -> int | None:
        """When a directory was looked at last, at a moment."""
        before = [
            to_us if to_us < at_us else max(from_us, at_us - WATCH_GAP_US)
            for from_us, to_us in self._seen.get(key, ())
            if from_us <= at_us
        ]
        return max(before, default=None)

    def next_look(self, key: _Key, at_us: int) -> int | None:
        """When a directory was looked at next after a moment."""
        after = [
            from_us if from_us > at_us else min(to_us, at_us + WATCH_GAP_US)
            for from_us, to_us in self._seen.get(key, ())
            if to_us >= at_us
        ]
        return min(after, default=None)


def _before_all_looks(first: _Lay | None, at_us: int) -> Told:
    """What a file was before anybody looked."""
    assert first is not None  # a file is known by what was seen of it
    if first.changed_us is not None and first.changed_us <= at_us:
        return Told((first.revision,), _BY_TIME)
    return Told(_each_once(first.revision, None), _NEVER_SEEN)


def _each_once(*options: Revision | None) -> tuple[Revision | None, ...]:
    return tuple(dict.fromkeys(options))


def _files(tool: str, name: str, revisions: Iterable[Revision]) -> list[File]:
    lays: dict[tuple[str, str], list[_Lay]] = defaultdict(list)  # by path, and the root that led there
    of: dict[tuple[str, str], Revision] = {}
    roots: dict[str, str] = {}
    for one in revisions:
        if one.tool != tool:
            continue
        for path in (one.path_before or one.path, one.path):
            root = roots.pop(path, one.root)
            if (path, root) != (one.path, one.root):  # it is not there any more, or not reached from there
                lays[path, root].append(_Lay(one.seen_us, one.seen_us if one.own else None, None))
        is_it = one.sha256 is not None and answers_to(one, name)
        changed_us = one.seen_us if one.own else one.changed_us
        key = one.path, one.root
        lays[key].append(_Lay(one.seen_us, changed_us, one if is_it else None))
        roots[one.path] = one.root
        if is_it:
            of[key] = one
    return [
        File(tool, root, of[path, root].tier, path, _changes(sorted(found, key=lambda lay: lay.seen_us)))
        for (path, root), found in lays.items()
        if (path, root) in of
    ]


def _changes(lays: list[_Lay]) -> tuple[_Lay, ...]:
    """Without those that say the same as the one before."""
    out: list[_Lay] = []
    for lay in lays:
        before = out[-1].revision if out else None
        if before is None or lay.revision is None or before.sha256 != lay.revision.sha256:
            out.append(lay)
    return tuple(out)


def answers_to(revision: Revision, name: str) -> bool:
    """Whether a definition is called so, or is a plugin's with that plain name."""
    plain = revision.name.rpartition(":")[2] if revision.tier == tools.PLUGIN else None
    return name in (revision.name, plain)


def worst(doubts: Iterable[Doubt]) -> Doubt:
    """The first of the worst grade; where there is none, all is sure."""
    return min(doubts, key=lambda doubt: _WORST_FIRST.index(doubt.grade), default=SURE)
