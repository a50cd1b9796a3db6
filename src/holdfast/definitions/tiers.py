"""Files → definitions: for each name which file counts, what it hides, and why. Pure.

A definition is known by its tool and its name. Names are compared as they are written; those that differ in case only, or only in how Unicode
spells them, are two names, which is told.

An agent of a plugin is called `plugin:directory:name`. Its plain name is its alias, and counts less than every other one.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.definitions import tools
from holdfast.definitions.findings import NOTE, WARNING, Finding, in_order
from holdfast.definitions.validate import INVALID
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from holdfast.definitions.parse import Parsed
    from holdfast.definitions.reading import File
    from holdfast.definitions.roots import Root
    from holdfast.definitions.validate import Verdict

OBSERVED: Final = "observed"
INFERRED: Final = "inferred"
WINS: Final = "wins"
SHADOWED: Final = "shadowed"
PASSED_OVER: Final = "passed over"
_TIMES_LARGER = 4  # what hides something so much larger is told
_SAY_AT_LEAST_BYTES = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A file that may be a definition, and what was read of it.

    Attributes:
        name: what its tool calls it: its own name, with its plugin before it; else that of its file.
        named_by: `name`, or `file`.
        aliases: what else it answers to.
        parsed: None: its content was not read.
        sha256: of its content; None: it was not read.
        also_at: other paths of the same file.
    """

    file: File
    name: str
    named_by: str
    aliases: tuple[str, ...]
    parsed: Parsed | None
    sha256: str | None
    verdict: Verdict
    also_at: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int | None:
        """Of the file; None: it could not be looked at."""
        return self.file.state.size_bytes if self.file.state else None

    @property
    def is_empty(self) -> bool:
        """Whether it was read, and tells the agent nothing."""
        return self.parsed is not None and not self.parsed.body.strip()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a file stands among those of its name: `wins`, `shadowed` or `passed over`, and why."""

    place: Place
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Definition:
    """One name of one tool.

    Attributes:
        order: every file of this name, the one that counts first.
        grade: `observed`: the tool says in which order they count. `inferred`: a rule of ours had to decide.
        why: of the grade, where it is inferred.
        findings: about the files together; what is about one of them stands in its verdict.
    """

    tool: str
    name: str
    order: tuple[Standing, ...]
    grade: str
    why: str
    findings: tuple[Finding, ...]

    @property
    def winner(self) -> Place | None:
        """The file that counts; None: its tool takes none of them."""
        first = self.order[0]
        return first.place if first.state == WINS else None

    @property
    def shown(self) -> Place:
        """The file that counts, else the first."""
        return self.order[0].place

    @property
    def shadowed(self) -> tuple[Place, ...]:
        """The files that would count without it."""
        return tuple(one.place for one in self.order if one.state == SHADOWED)


class Aside(NamedTuple):
    """What was not read, and may count too.

    Attributes:
        unseen: roots that hold, or may hold, files that nobody could see.
        declared: names of roles that a config.toml of Codex declares, and which one does.
    """

    unseen: Sequence[Root]
    declared: Mapping[str, str]


def resolve(places: Iterable[Place], aside: Aside = Aside((), {})) -> list[Definition]:  # noqa: B008 - nobody changes it
    """Every definition, by tool and name.

    Args:
        places: in the order of their roots, the strongest first.
        aside: what was not read, and may count too.
    """
    groups: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in places:
        groups[place.file.root.tool, place.name].append(place)
    near = _near_names(groups)
    out = [
        _definition(tool, name, group, near.get((tool, name), []), aside)
        for (tool, name), group in groups.items()
    ]
    return sorted(out, key=lambda one: (list(tools.TOOLS).index(one.tool), one.name.casefold(), one.name))


def _definition(tool: str, name: str, group: list[Place], near: list[str], aside: Aside) -> Definition:
    if len(group) > 1:
        group = sorted(group, key=_strength)
    taken = [place for place in group if _is_taken(place)]
    winner = taken[0] if taken else None
    order = [
        Standing(place, *_standing(place, winner))
        for place in (*taken, *(p for p in group if not _is_taken(p)))
    ]
    doubt = _unseen_doubt(tool, winner, aside.unseen) or _doubt(winner, taken)
    if not doubt and tool == tools.CODEX and name in aside.declared:
        doubt = declared_too(aside.declared[name])
    found = [*_hiding(winner, taken[1:]), *_passed_over(winner, group), *_alike(name, near)]
    return Definition(tool, name, tuple(order), INFERRED if doubt else OBSERVED, doubt, in_order(found))


def _is_taken(place: Place) -> bool:
    return place.verdict.loads is not False and place.file.root.counts is not False


def _strength(place: Place) -> tuple[tuple[int, int], bytes | int]:
    """What sorts files of one name: their roots, and within a root what their tool does there."""
    by_path = tools.TOOLS[place.file.root.tool].duplicates == "path"
    return place.file.root.rank, os.fsencode(place.file.path) if by_path else place.file.place


def _standing(place: Place, winner: Place | None) -> tuple[str, str]:
    root = place.file.root
    if root.counts is False:
        return PASSED_OVER, root.why
    if place.verdict.loads is False:
        return PASSED_OVER, place.verdict.why
    assert winner is not None  # this one is taken, so there is a first that is
    if place is winner:
        return WINS, f"{root.tier}: {root.why}"
    above = winner.file.root
    if above == root:
        return SHADOWED, "another file of the same directory has this name"
    if above.tier == root.tier:
        return (
            SHADOWED,
            "another one is nearer"
            if root.tier == tools.PROJECT
            else f"another {root.tier} root comes first",
        )
    return SHADOWED, f"{above.tier} counts before {root.tier}"


def declared_too(path: str) -> str:
    """What is not certain where a config.toml declares a role that a file says, too."""
    return (
        f"{printable_path(path)} declares a role of this name, and which of the two counts is not documented"
    )


def _unseen_doubt(tool: str, winner: Place | None, unseen: Sequence[Root]) -> str:
    """Which directory may hold a stronger file of any name, unseen; "" where none does."""
    for root in unseen:
        if (
            root.tool == tool
            and root.counts is not False
            and (not winner or root.rank <= winner.file.root.rank)
        ):
            return f"{printable_path(root.path)} ({root.tier}) could not all be looked through"
    return ""


def _doubt(winner: Place | None, taken: list[Place]) -> str:
    """Why it is not certain that this file counts; "" where it is."""
    if winner is None:
        return ""
    root = winner.file.root
    rivals = [place.file.root for place in taken[1:]]
    if winner.verdict.loads is None:
        return winner.verdict.why
    if root in rivals and tools.TOOLS[root.tool].duplicates == "unknown":
        return "which of two files in one directory counts is not documented"
    if root.counts is None:
        return root.why
    if any(other.tier == root.tier == tools.PLUGIN for other in rivals):
        return "which of two plugins counts is not documented"
    if winner.named_by == "file" and not tools.TOOLS[root.tool].named_by_file:
        return "it has no name of its own, so it is called by its file"
    return ""


# ── what is to be told of them together ──


def _hiding(winner: Place | None, hidden: list[Place]) -> Iterator[Finding]:
    """What is wrong with hiding these."""
    if winner is None:
        return
    size, remedy = winner.size_bytes or 0, f"remove {visible(printable_path(winner.file.path))}, or fill it"
    for place in hidden:
        where, bytes_there = (
            f"{visible(printable_path(place.file.path))} ({place.file.root.tier})",
            place.size_bytes or 0,
        )
        if place.file.root == winner.file.root:
            text = f"{where} has the same name in the same directory"
            yield Finding(WARNING, "duplicate", text, "rename one of them, or remove it")
        if winner.sha256 is not None and winner.sha256 == place.sha256:
            yield Finding(NOTE, "same-content", f"{where} is hidden, and has the same content")
        elif winner.is_empty and not place.is_empty:
            text = f"with {size:,} bytes that tell the agent nothing it hides {where}, {bytes_there:,} bytes"
            yield Finding(WARNING, "hides-larger", text, remedy)
        elif is_much_larger(bytes_there, size):
            text = f"with {size:,} bytes it hides {where}, {bytes_there:,} bytes"
            yield Finding(WARNING, "hides-larger", text, remedy)
        if winner.verdict.validity == INVALID and place.verdict.validity != INVALID:
            yield Finding(
                WARNING,
                "hides-valid",
                f"it is invalid, and hides {where}, which is not",
                "repair or remove it",
            )


def is_much_larger(hidden_bytes: int, size_bytes: int) -> bool:
    """Whether a file that hides one of that size is to be told."""
    return hidden_bytes >= max(_TIMES_LARGER * size_bytes, _SAY_AT_LEAST_BYTES)


def _passed_over(winner: Place | None, group: list[Place]) -> Iterator[Finding]:
    for place in group:
        if place.verdict.loads is False and place.file.root.counts is not False:
            instead = f"; {visible(printable_path(winner.file.path))} counts instead" if winner else ""
            text = f"{visible(printable_path(place.file.path))}: {place.verdict.why}{instead}"
            yield Finding(WARNING, "passed-over", text, "repair it")


def _alike(name: str, near: list[str]) -> Iterator[Finding]:
    for other in near:
        same = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)
        how = "looks the same, and is written with other characters" if same else "differs in case only"
        yield Finding(
            WARNING,
            "near-name",
            f"there is {visible(other)} too, which {how}: these are two agents",
            "rename one of them",
        )


def _near_names(groups: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[str]]:
    """For each name those of the same tool that a person takes for it."""
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for tool, name in groups:
        alike[tool, folded(name)].append(name)
    many = {key: names for key, names in alike.items() if len(names) > 1}
    return {
        (tool, name): [other for other in names if other != name]
        for (tool, _), names in many.items()
        for name in names
    }


def folded(name: str) -> str:
    """What is the same for names that a person takes for each other."""
    return (
        name.casefold()
        if name.isascii()
        else unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    )
