"""What is to be written, and how → which files. Pure but for `is_taken`, which says what lies there.

tier_specific     where it lies now, or the tier that is asked for; a new one in the first tier of `project`, `user`, `system` that may be written
user_override     the user's own
system_fallback   as tier_specific, and where that may not be written the first tier of `project`, `user`, `system` that may
distributed       every tier that may be written

In a tier that is the file that the definition has there; where it has none a new one, in the strongest root that is there, or else would be made. What may not be
written is never chosen, and a link into such a place neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.definitions import tools
from holdfast.errors import DefinitionRefused, NotFound
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.definitions.roots import Root
    from holdfast.definitions.tiers import Place

TIER_SPECIFIC: Final = "tier_specific"
USER_OVERRIDE: Final = "user_override"
SYSTEM_FALLBACK: Final = "system_fallback"
DISTRIBUTED: Final = "distributed"
STRATEGIES: Final = (TIER_SPECIFIC, USER_OVERRIDE, SYSTEM_FALLBACK, DISTRIBUTED)

_FALLBACK = (tools.PROJECT, tools.USER, tools.SYSTEM)
_MOST_NAME_BYTES = 255  # of a file's name, on every file system that matters
_MOST_ALIKE = 1_000  # files whose names begin with that of a definition
_ROOM_FOR_NUMBER = 5
_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\ud800-\udfff]'
)  # a project is checked out on Windows too

_DEVICE = re.compile(
    r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE
)  # no files on Windows, whatever follows the dot


@dataclass(frozen=True, slots=True)
class Target:
    """A file to be written.

    Attributes:
        root: in which it lies.
        path: as it is reached from there.
        place: what lies there; None: nothing yet.
    """

    root: Root
    path: str
    place: Place | None = None

    @property
    def real(self) -> str:
        """What is written: never a link, but what it leads to."""
        return self.place.file.real if self.place else self.path


@dataclass(frozen=True, slots=True)
class Wanted:
    """A definition that is to be written.

    Attributes:
        tool: whose.
        name: of the definition.
        places: the files that it has, the one that counts first.
        stem: what its file is called where a new one is made; None: as the name says.
        suffix: of a new file; None: the first that its tool reads, or that of the file that counts.
    """

    tool: str
    name: str
    places: Sequence[Place] = ()
    stem: str | None = None
    suffix: str | None = None


def targets(
    wanted: Wanted,
    roots: Iterable[Root],
    strategy: str = TIER_SPECIFIC,
    tier: str | None = None,
    *,
    is_taken: Callable[[str], bool],
) -> tuple[Target, ...]:
    """The files that are to be written.

    Args:
        wanted: what.
        roots: all that there are, the strongest first.
        strategy: one of STRATEGIES.
        tier: that is asked for; None: as the strategy says.
        is_taken: whether something lies at a path where a new file might be made.

    Raises:
        NotFound: its tool has no such tier here.
        DefinitionRefused: it may not be written where it would have to be.
    """
    every = list(roots)
    own = [root for root in every if root.tool == wanted.tool]
    if tier is not None and not _of_tier(own, tier):
        there = ", ".join(dict.fromkeys(root.tier for root in own))
        raise NotFound(f"{tools.TOOLS[wanted.tool].title} has no tier {tier} here", hint=f"there is {there}")
    asked, only_first = _tiers(wanted, own, strategy, tier)
    found = [_in_tier(wanted, own, every, one, is_taken) for one in asked]
    good = [one for one in found if isinstance(one, Target)]
    if not good:
        whys = [one for one in found if isinstance(one, str)] or ["there is no tier that may be written"]
        hint = "--tier TIER or --strategy user_override chooses another place"
        raise DefinitionRefused(f"{visible(wanted.name)} is not written: {whys[0]}", hint=hint)
    return tuple(good[:1] if only_first else _each_once(good))


def _tiers(wanted: Wanted, own: list[Root], strategy: str, tier: str | None) -> tuple[list[str], bool]:
    """The tiers in question, and whether the first that may be written is enough."""
    here = tier or (wanted.places[0].file.root.tier if wanted.places else None)
    if strategy == USER_OVERRIDE:
        return [tools.USER], True
    if strategy == DISTRIBUTED:
        return [one for one in tools.TIERS if any(root.writable for root in _of_tier(own, one))], False
    if strategy == TIER_SPECIFIC and here is not None:
        return [here], True
    return [*dict.fromkeys(one for one in (here, *_FALLBACK) if one is not None)], True


def _of_tier(roots: Iterable[Root], tier: str) -> list[Root]:
    return [root for root in roots if tier == root.tier or tier in root.also]


def _in_tier(
    wanted: Wanted, own: list[Root], every: list[Root], tier: str, is_taken: Callable[[str], bool]
) -> Target | str:
    """The file in a tier; a text: why there is none that may be written."""
    roots = _of_tier(own, tier)
    for place in wanted.places:
        if place.file.root in roots:
            if (why := protected(place.file.root, place.file.real, every)) is not None:
                return why
            return Target(place.file.root, place.file.path, place)
    able = [root for root in roots if root.writable]
    if not able:
        title = tools.TOOLS[wanted.tool].title
        shown = ", ".join(visible(printable_path(root.path)) for root in roots[:1])
        return f"{shown} ({tier}) may not be written" if roots else f"{title} has no tier {tier} here"
    sure = [
        one for one in able if one.counts == able[0].counts
    ]  # none that counts less surely than the nearest
    root = next((one for one in sure if one.exists), able[0])
    return Target(root, _new_path(wanted, root, is_taken))


def protected(root: Root, real: str, every: Iterable[Root]) -> str | None:
    """Why a file may not be written; None: it may. A link may lead from one root into another, which then decides."""
    holds = [one for one in every if real.startswith(f"{one.real.rstrip('/')}/")]
    owner = max(holds, key=lambda one: len(one.real), default=root)
    for one in (root, owner):
        if not one.writable:
            return f"{visible(printable_path(real))} lies in the tier {one.tier}, which may not be written"
    return None


def _each_once(found: list[Target]) -> list[Target]:
    return list({one.real: one for one in reversed(found)}.values())[::-1]


# ── names of new files ──


def _new_path(wanted: Wanted, root: Root, is_taken: Callable[[str], bool]) -> str:
    suffix = wanted.suffix or (
        wanted.places[0].file.suffix if wanted.places else tools.TOOLS[wanted.tool].suffixes[0]
    )
    stem = wanted.name if wanted.stem is None else wanted.stem
    for number in range(1, _MOST_ALIKE):
        path = f"{root.path.rstrip('/')}/{file_name(stem, suffix, number)}"
        if not is_taken(path):
            return path
    raise DefinitionRefused(
        f"{visible(printable_path(root.path))}: there is no name left for a file of {visible(wanted.name)}",
        hint="remove some of the files whose names begin with it",
    )


def file_name(name: str, suffix: str, number: int = 1) -> str:
    """What a file for a definition is called, whatever the definition is.

    Args:
        name: of the definition.
        suffix: of the file (".md").
        number: from 2 on it is put behind the name.

    Raises:
        DefinitionRefused: nothing of the name can be in a file's.
    """
    stem = _UNSAFE.sub("-", name).lstrip("-. ")  # which hide a file, or make it look like an option
    if suffix == ".py":
        stem = stem.lstrip("_")  # such are parts of a package
    if _DEVICE.match(stem):
        stem = f"agent-{stem}"
    if not stem.strip("-. "):
        raise DefinitionRefused(
            f"no file can be called {visible(name[:80])!r}", hint="give a name with letters"
        )
    behind = f"-{number}" if number > 1 else ""
    room = _MOST_NAME_BYTES - len(suffix.encode()) - _ROOM_FOR_NUMBER
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + behind + suffix
