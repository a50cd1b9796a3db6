"""What is asked for by name, by path or by tier → the files that are meant, as they were looked at. Nothing is written here."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.definitions import placing, tiers, tools
from holdfast.definitions.placing import Wanted
from holdfast.definitions.swapping import NOTHING
from holdfast.definitions.writing import Write, place_of
from holdfast.errors import DefinitionRefused, NotFound, UsageError
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from holdfast.definitions.placing import Target
    from holdfast.definitions.registry import Found
    from holdfast.definitions.tiers import Place


@dataclass(frozen=True, slots=True)
class Where:
    """What is to be written, and where.

    Attributes:
        name: of the definition.
        path: its file, instead of a name; absolute.
        tool: whose; None: the only one that has such an agent, and for a new one Claude Code.
        tier: where; None: as the strategy says.
        strategy: one of `placing.STRATEGIES`.

    Raises:
        UsageError: there is no such strategy or tool; a tier is given to a strategy that says where by itself.
    """

    name: str | None = None
    path: str | None = None
    tool: str | None = None
    tier: str | None = None
    strategy: str = placing.TIER_SPECIFIC

    def __post_init__(self) -> None:
        if self.strategy not in placing.STRATEGIES:
            there = ", ".join(placing.STRATEGIES)
            raise UsageError(f"{self.strategy!r} is no strategy", hint=f"there is {there}")
        if self.tool is not None and self.tool not in tools.TOOLS:
            raise UsageError(f"{self.tool!r} is no tool", hint=f"there is {', '.join(tools.TOOLS)}")
        if self.tier is not None and self.strategy in {placing.USER_OVERRIDE, placing.DISTRIBUTED}:
            raise UsageError(
                f"{self.strategy} chooses the tier itself", hint="leave the tier or the strategy out"
            )


def source(found: Found, where: Where) -> Place:
    """The file that is asked for: the one that counts, or the strongest of a tier.

    Raises:
        NotFound: there is none.
        UsageError: several tools have one.
    """
    if where.path is not None:
        if (place := _at(found, where.path)) is None:
            hint = "`holdfast definitions --json` says as `roots` which directories are looked into"
            raise NotFound(f"{shown(where.path)} is no definition, seen from {shown(found.cwd)}", hint=hint)
        return place
    assert where.name is not None
    ones = [one for one in found.the(where.name) if where.tool in (None, one.tool)]
    if not ones:
        raise NotFound(f"{visible(where.name)!r} is no definition of {where.tool}", hint="leave --tool out")
    if len(ones) > 1:
        which = " and of ".join(one.tool for one in ones)
        raise UsageError(f"{visible(where.name)!r} is a definition of {which}", hint="say which with --tool")
    order = [each.place for each in ones[0].order]
    if where.tier is None:
        return order[0]
    if place := next((one for one in order if is_of(one, where.tier)), None):
        return place
    has = ", ".join(dict.fromkeys(place.file.root.tier for place in order))
    raise NotFound(f"{visible(where.name)} has no file in the tier {where.tier}", hint=f"it lies in: {has}")


def _at(found: Found, path: str) -> Place | None:
    real = os.path.realpath(path)
    every = (each.place for one in found.definitions for each in one.order)
    return next((place for place in every if place.file.real == real), None)


def is_of(place: Place, tier: str) -> bool:
    """Whether a file lies in a tier, however its directory is reached."""
    return tier in {place.file.root.tier, *place.file.root.also}


def called(found: Found, tool: str, name: str) -> list[Place]:
    """Every file of a name, the one that counts first."""
    ones = (one for one in found.definitions if (one.tool, one.name) == (tool, name))
    return [each.place for one in ones for each in one.order]


def every_file(found: Found, place: Place) -> list[Place]:
    """Every file of the name of this one, the one that counts first."""
    for one in found.definitions:
        if any(each.place is place for each in one.order):
            return [each.place for each in one.order]
    return [place]


def in_tier(found: Found, place: Place, tier: str) -> list[Place]:
    """Those of them in a tier, the strongest first."""
    return [one for one in every_file(found, place) if is_of(one, tier)]


def removable(found: Found, where: Where) -> list[Place]:
    """The files that are there, and are to be removed or moved.

    Raises:
        DefinitionRefused: they may not.
        NotFound, UsageError: as `source`; there is no file where the strategy wants one.
    """
    place = source(found, where)
    every = every_file(found, place)
    if where.strategy == placing.USER_OVERRIDE:
        every = in_tier(found, place, tools.USER)[:1]
        if not every:
            raise NotFound(f"{visible(place.name)} has no file in the tier {tools.USER}")
    elif where.strategy == placing.TIER_SPECIFIC:
        every = [place]
    whys = {one.file.path: placing.protected(one.file.root, one.file.real, found.roots) for one in every}
    able = [one for one in every if whys[one.file.path] is None]
    if not able:
        hint = "--tier TIER chooses another file of this name"
        raise DefinitionRefused(f"nothing was changed: {next(iter(whys.values()))}", hint=hint)
    chosen = able if where.strategy == placing.DISTRIBUTED else able[:1]
    if link := next((one for one in chosen if os.path.islink(one.file.path)), None):  # noqa: PTH114 - any bytes
        raise linked(link)
    return chosen


def linked(place: Place) -> DefinitionRefused:
    """Who made a link takes it away: what it leads to may be somebody else's too."""
    path, to = shown(place.file.path), shown(place.file.real)
    return DefinitionRefused(
        f"{path} is a link to {to}{'' if place.sha256 else ', where nothing can be read'}, so nothing was changed",
        hint=f"`rm {path}` takes the link away, and leaves what it leads to",
    )


def puts(found: Found, where: Where, content: bytes, base: str | None) -> list[Write]:
    """Over what a content is to be written.

    Args:
        found: what was looked at.
        where: what is asked for.
        content: all of a file.
        base: the SHA-256 of what its writer read; None: there was none.

    Raises:
        DefinitionRefused: it may not be written there; a new file is to hide what says something else than its writer read.
        NotFound, UsageError: as `source`.
    """
    if where.path is not None:
        return [_put_at(found, where.path, content, base)]
    read = source(found, where)
    wanted = Wanted(read.file.root.tool, read.name, every_file(found, read), suffix=read.file.suffix)
    tier = where.tier or (read.file.root.tier if where.strategy == placing.TIER_SPECIFIC else None)
    out = []
    for one in targets(found, wanted, where.strategy, tier):
        if one.place is None and base not in {None, read.sha256}:
            what = f"{shown(read.file.path)} says something else than what was read (SHA-256 {base})"
            raise DefinitionRefused(f"{what}, so no other file is to hide it", hint="read it again")
        out.append(
            new_called(one, content, read.name) if one.place is None else over(one.place, content, base)
        )
    return out


def reads_anew(found: Found, where: Where, content: bytes, base: str) -> bool:
    """Whether a name leads to another file than the one that was read, which said `base`, by all that its text tells."""
    try:
        place = source(found, where)
    except NotFound:
        return True
    by_place = where.strategy in {placing.TIER_SPECIFIC, placing.SYSTEM_FALLBACK}
    return by_place and place.sha256 not in {base, hashlib.sha256(content).hexdigest()}


def at_gone(found: Found, where: Where, path: str, tool: str, content: bytes, base: str) -> Write | None:
    """Write over a file that is not there any more; None: it is not what is asked for, or may not be written. Other arguments as for `puts`."""
    holds = [
        root for root in found.roots if root.tool == tool and path.startswith(f"{root.real.rstrip('/')}/")
    ]
    if not holds or where.tool not in {None, tool}:
        return None
    root = max(holds, key=lambda one: len(one.real))
    if where.tier not in {None, root.tier, *root.also} or placing.protected(root, path, found.roots):
        return None
    return Write(root, path, path, content, base)


def _put_at(found: Found, path: str, content: bytes, base: str | None) -> Write:
    if place := _at(found, path):
        root, path, real = place.file.root, place.file.path, place.file.real
    else:
        if ".." in path.split("/"):
            path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))  # noqa: PTH118, PTH119, PTH120 - any bytes
        real = os.path.realpath(path)
        holds = [root for root in found.roots if real.startswith(f"{root.real.rstrip('/')}/")]
        by_link = [root for root in found.roots if path.startswith(f"{root.path.rstrip('/')}/")]
        if not (holds or by_link):
            raise DefinitionRefused(
                f"{shown(path)} lies in no directory of definitions, seen from {shown(found.cwd)}",
                hint="`holdfast definitions --json` lists them as `roots`",
            )
        root = max(holds or by_link, key=lambda one: len(one.real))
    if (why := placing.protected(root, real, found.roots)) is not None:
        raise DefinitionRefused(f"nothing was written: {why}")
    return Write(root, path, real, content, base or NOTHING)


def over(place: Place, content: bytes | None, base: str | None) -> Write:
    """Write over a file, or remove it (`content` None). `base`: as in `puts`."""
    return Write(place.file.root, place.file.path, place.file.real, content, base or NOTHING)


def new(target: Target, content: bytes, like: str | None = None) -> Write:
    """Write where nothing lies. `like`: a file whose rights it gets."""
    directory, name = os.path.split(target.path)
    real = f"{os.path.realpath(directory)}/{name}"
    return Write(target.root, target.path, real, content, NOTHING, like)


def new_called(target: Target, content: bytes, name: str) -> Write:
    """The same, of what says this name. Raises DefinitionRefused: it says another one."""
    one = new(target, content)
    says = place_of(one).name
    if says != name:
        raise DefinitionRefused(
            f"what is to be written is called {visible(says)!r}, not {visible(name)!r}",
            hint=f"say `name: {visible(name)}` in it, or create {visible(says)}",
        )
    return one


def check_is_only(found: Found, one: Write) -> None:
    """Raises DefinitionRefused: it would take a name that another file in its directory has, so that one of both does not count."""
    try:
        says = place_of(one).name
    except DefinitionRefused:  # said when it is written, or kept if it comes to a conflict
        return
    have = called(found, one.root.tool, says)
    other = next((place for place in have if place.file.root.real == one.root.real), None)
    if other is not None and all(place.file.real != one.real for place in have):
        raise DefinitionRefused(
            f"{shown(other.file.path)} is called {visible(says)!r} already, so nothing was written",
            hint="give it another name",
        )


def targets(found: Found, wanted: Wanted, strategy: str, tier: str | None) -> tuple[Target, ...]:
    """As `placing.targets`, on this machine."""
    return placing.targets(wanted, found.roots, strategy, tier, is_taken=_Taken())


class _Taken:
    """Whether a path is one of something that lies there, also to file systems that do not tell case or forms of a letter apart."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {}

    def __call__(self, path: str) -> bool:
        directory, name = os.path.split(path)
        if directory not in self._names:
            lying: list[str] = []
            with contextlib.suppress(OSError):  # it is made first, or may be written and not read
                lying = os.listdir(directory)  # noqa: PTH208 - any bytes
            self._names[directory] = {tiers.folded(each) for each in lying}
        return tiers.folded(name) in self._names[directory] or os.path.lexists(path)


def shown(path: str) -> str:
    """A path for people."""
    return visible(printable_path(path))
