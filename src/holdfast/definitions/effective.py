"""Which text of its definition an agent ran with, and how sure that is. Pure, and asked when somebody reads, so that later evidence wins.

    observed   looks from before the session began and from after the agent started agree, and the tool says which file counts; or the tool
               itself recorded that it used an agent of its own, or was given one in the call
    inferred   a rule had to decide, and is named
    unknown    what is recorded allows another answer, or none

A session reads its definitions some time between its process's begin and the agent's start. Where the answer is the same all that time, when exactly
does not matter; where it is not, it is as its tool does (`tools.Reads`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast import clock
from holdfast.definitions import tools
from holdfast.definitions.past import INFERRED, OBSERVED, SURE, UNKNOWN, UNPLACED, Doubt, worst

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.definitions.past import File, Look, Past, Revision, Told

FILE: Final = "file"
BUILT_IN: Final = "built-in"
CALL: Final = "call"
NOT_FOUND: Final = "not found"


@dataclass(frozen=True, slots=True)
class Start:
    """An agent as it started.

    Attributes:
        cwd: the directory of its session, as it was recorded; None: unknown.
        at_us: when it started; None: unknown.
        since_us: when the process of its session began, as far as that is known; None: as it started.
        built_in: whether its tool says that it brings this agent along; None: it does not say.
        given: SHA-256 of the definition that the session was given in its call; None: none is known.
        told: SHA-256 of the text that it was given, as whoever started it says; None: nobody says.
    """

    cwd: str | None
    at_us: int | None
    since_us: int | None = None
    built_in: bool | None = None
    given: str | None = None
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """What an agent ran with.

    Attributes:
        origin: `file`, `built-in` (of its tool), `call` (given on the command line), `not found`.
        grade: `observed`, `inferred` or `unknown`.
        rule: what decided, in a word for programs; `why`: the same in words.
        revision: of the file; None: it is of none, or of which cannot be told.
        sha256: of the text; None: unknown, or not ours to see.
        shadowed: what surely lay there, and would have counted without it.
        either: other texts that it may have run with instead.
    """

    origin: str
    grade: str
    rule: str
    why: str
    revision: Revision | None = None
    sha256: str | None = None
    shadowed: tuple[Revision, ...] = ()
    either: tuple[Revision, ...] = ()

    @property
    def tier(self) -> str | None:
        """In which tier it lay; None: unknown."""
        if self.origin == FILE:
            tiers = {one.tier for one in (self.revision, *self.either) if one is not None}
            return tiers.pop() if len(tiers) == 1 else None
        return {BUILT_IN: tools.BUILT_IN, CALL: tools.COMMAND_LINE}.get(self.origin)


class Stand(NamedTuple):
    """Which file stood first at a moment.

    Attributes:
        options: one, or several where that cannot be told; () none.
        shadowed: files that surely lay there, and count less.
        lay: every file that surely lay there, the strongest first.
    """

    options: tuple[Revision, ...]
    shadowed: tuple[Revision, ...]
    doubts: tuple[Doubt, ...]
    lay: tuple[Revision, ...] = ()

    @property
    def sha256(self) -> str | None:
        """Of the only text; None: there is none, or several."""
        texts = {one.sha256 for one in self.options}
        return texts.pop() if len(texts) == 1 else None


def effective(past: Past, start: Start) -> Effective:
    """Decide what an agent of a name ran with."""
    if start.told is not None:
        return _told(past, start, start.told)
    if start.at_us is None:
        return _unknown("no-start", "when it started is not recorded")
    began_us = start.at_us if start.since_us is None else min(start.since_us, start.at_us)
    at_begin, at_start = (stands(past, start.cwd, moment) for moment in (began_us, start.at_us))
    if start.given is not None and not _is_managed(past, at_begin, start.at_us):
        return Effective(
            CALL, OBSERVED, "call", "it was given in the call that started the session", sha256=start.given
        )
    if start.built_in:
        title = tools.TOOLS[past.tool].title
        why = f"{title} recorded that it used the agent that it brings along"
        return Effective(BUILT_IN, OBSERVED, "tool-says", why, shadowed=at_start.lay)
    if not at_begin.options and not at_start.options:
        return _without_file(past, start, (*at_begin.doubts, *at_start.doubts))
    return _of_file(past, start, at_begin, at_start)


def _told(past: Past, start: Start, sha256: str) -> Effective:
    """What whoever started it says that it was given: a text of one of the files, or another one."""
    why = "whoever started it recorded which text it was given"
    lays = [lay for file in past.files for lay in file.lays if lay.revision and lay.revision.sha256 == sha256]
    before = [lay for lay in lays if start.at_us is None or lay.seen_us <= start.at_us]
    lay = max(before, key=lambda lay: lay.seen_us, default=lays[0] if lays else None)
    if lay is None:
        return Effective(CALL, OBSERVED, "told", why, sha256=sha256)
    stand = Stand((), (), ()) if start.at_us is None else stands(past, start.cwd, start.at_us)
    shadowed = tuple(one for one in stand.shadowed if one.path != getattr(lay.revision, "path", None))
    return Effective(FILE, OBSERVED, "told", why, lay.revision, sha256, shadowed)


def _is_managed(past: Past, stand: Stand, at_us: int) -> bool:
    """Whether a file counts more than what the call says."""
    order = tools.TOOLS[past.tool].tiers(clock.date_in(at_us, UTC))
    if tools.COMMAND_LINE not in order:
        return True
    stronger = order[: order.index(tools.COMMAND_LINE)]
    return bool(stand.options) and all(one.tier in stronger for one in stand.options)


def _without_file(past: Past, start: Start, doubts: tuple[Doubt, ...]) -> Effective:
    tool = tools.TOOLS[past.tool]
    if start.built_in is None and past.name in tool.built_in:
        if doubts and worst(doubts).grade == UNKNOWN:
            return _unknown(*worst(doubts)[1:])
        why = f"{tool.title} brings an agent of this name along, and no file with it is known"
        return Effective(BUILT_IN, INFERRED, "built-in-name", why)
    if not past.files:
        said = f"{tool.title} says that it is none of its own, and " if start.built_in is False else ""
        why = f"{said}no file with this name is recorded: it was given in the call, or its file was gone before anybody looked"
        return _unknown("no-file", why)
    return _unknown(
        "no-file-then",
        "no file with this name lay where its session would have found it, as far as is recorded",
    )


def _unknown(rule: str, why: str) -> Effective:
    return Effective(NOT_FOUND, UNKNOWN, rule, why)


def _of_file(past: Past, start: Start, at_begin: Stand, at_start: Stand) -> Effective:
    chosen, other, rule = at_start, at_begin, None
    doubts = (*at_begin.doubts, *at_start.doubts)
    if at_begin.sha256 is None or at_begin.sha256 != at_start.sha256:
        chosen, other, rule = _by_reading(past, start, at_begin, at_start)
        doubts = (*(() if rule is None else (rule,)), *chosen.doubts)
    doubt = worst(doubts)
    may_be = [*chosen.options, *(other.options if rule is not None and rule.rule in _MAY_BE_OTHER else ())]
    why = "; ".join(dict.fromkeys(each.why for each in doubts if each.grade == doubt.grade)) or doubt.why
    if doubt.grade == UNKNOWN or chosen.sha256 is None:
        return Effective(FILE, UNKNOWN, doubt.rule, why, None, None, chosen.shadowed, _each_text_once(may_be))
    one = chosen.options[0]
    either = tuple(each for each in _each_text_once(may_be) if each.sha256 != one.sha256)
    return Effective(FILE, doubt.grade, doubt.rule, why, one, one.sha256, chosen.shadowed, either)


def _each_text_once(revisions: list[Revision]) -> tuple[Revision, ...]:
    return tuple({one.sha256: one for one in reversed(revisions)}.values())[::-1]


_MAY_BE_OTHER: Final = ("read-at-session?", "reading-unknown")


def _by_reading(
    past: Past, start: Start, at_begin: Stand, at_start: Stand
) -> tuple[Stand, Stand, Doubt | None]:
    """What counts where the file changed between the session's begin and the agent's start: that, what it is not, and the rule."""
    assert start.at_us is not None  # or nobody asks
    tool = tools.TOOLS[past.tool]
    reads = tool.reads_on(clock.date_in(start.at_us, UTC))
    if not at_begin.options:
        why = "it was not there when the session began, so that it was read after that"
        return at_start, at_begin, Doubt(INFERRED, "read-later", why)
    if reads is None:
        why = "the file changed between the begin of the session and the start, and when its tool reads it is not known"
        return at_start, at_begin, Doubt(UNKNOWN, "reading-unknown", why)
    if reads.when == tools.AT_AGENT:
        if not at_start.options:
            return at_begin, at_start, Doubt(UNKNOWN, "gone", "its file was gone when it started")
        why = f"{tool.title} reads it when an agent starts"
        return at_start, at_begin, Doubt(INFERRED, "read-at-agent", why)
    if reads.certain:
        why = f"{tool.title} reads it when a session begins"
        return at_begin, at_start, Doubt(INFERRED, "read-at-session", why)
    why = (
        f"the file changed after the session began: {tool.title} has been seen to keep the text from then, "
        "though its documents say that it takes the new one"
    )
    return at_begin, at_start, Doubt(INFERRED, "read-at-session?", why)


# ── which of several files stood first ──


def stands(past: Past, cwd: str | None, at_us: int) -> Stand:
    """Which of the files of a name stood first at a moment, seen from a directory."""
    order = _order(past, cwd, at_us)
    doubts: list[Doubt] = []
    options: list[Revision] = []
    shadowed: list[Revision] = []
    lay: list[Revision] = []
    is_decided = False
    for number, file in enumerate(order.files):
        told = past.at(file, at_us)
        taken = [one for one in told.options if one is not None and one.loads is not False]
        sure = taken if len(told.options) == 1 else []
        lay += sure
        if is_decided:
            shadowed += sure
            continue
        doubts += _doubts_of(told, taken, file, order)
        options += taken
        is_decided = bool(taken) and (None not in told.options or _is_one_moved(options))
        rivals = _rivals(past, order.files[number + 1 :], file, at_us) if is_decided else []
        if {one.sha256 for one in rivals} - {one.sha256 for one in options}:
            options += rivals
            why = "which of two files in one directory counts is not documented"
            doubts.append(Doubt(UNKNOWN, "same-directory", why))
    if _is_one_moved(options):
        doubts = [_MOVED, *(each for each in doubts if each is not UNPLACED)]
    if order.doubt is not SURE:
        doubts.append(order.doubt)
    own = [one for one in shadowed if one not in options]
    return Stand(tuple(dict.fromkeys(options)), tuple(own), tuple(doubts), tuple(lay))


def _doubts_of(told: Told, taken: list[Revision], file: File, order: _Order) -> Iterator[Doubt]:
    if told.doubt is not SURE:
        yield told.doubt
    if taken and taken[0].loads is None:
        yield Doubt(INFERRED, "unchecked", "whether its tool takes this file is not known")
    if taken and file.key in order.doubtful:
        yield Doubt(INFERRED, "counts", "whether its tool reads this directory is not known")


def _is_one_moved(options: list[Revision]) -> bool:
    """Whether these are one content that moved from path to path, so that it lay at one of them all the time."""
    here = {one.path for one in options} - {one.path_before for one in options}
    return len(options) > 1 and len(here) == 1 and len({one.sha256 for one in options}) == 1


def _rivals(past: Past, weaker: tuple[File, ...], file: File, at_us: int) -> list[Revision]:
    """Files of the same directory that count as much, where the tool says nothing of which is taken."""
    if tools.TOOLS[past.tool].duplicates != "unknown":
        return []
    beside = (told for other in weaker if other.key == file.key for told in past.at(other, at_us).options)
    return [one for one in beside if one is not None and one.loads is not False]


class _Order(NamedTuple):
    """Files that count for a directory, the strongest first; the directories of which that is not sure; and what is doubtful of it all."""

    files: tuple[File, ...]
    doubtful: frozenset[tuple[str, str]]
    doubt: Doubt


_MOVED: Final = Doubt(
    INFERRED, "renamed", "it was moved about that time, with the same content, and counts at both places"
)
_NO_LOOK: Final = Doubt(
    INFERRED,
    "paths",
    "no look from this directory is recorded; by their paths these are the files that count",
)
_ONE_LOOK: Final = Doubt(
    INFERRED,
    "one-look",
    "looks from this directory are not recorded from both before and after; that nothing else lay there follows from one",
)
_NO_DIRECTORY: Final = Doubt(
    UNKNOWN,
    "no-directory",
    "the directory of its session is not recorded, so which files count cannot be told",
)


def _order(past: Past, cwd: str | None, at_us: int) -> _Order:
    if cwd is None:
        everywhere = tuple(file for file in past.files if file.tier != tools.PROJECT)
        doubt = SURE if len(everywhere) == len(past.files) else _NO_DIRECTORY
        return _Order(_by_paths(past, everywhere, "/", at_us), frozenset(), doubt)
    looks = [look for look in past.looks if look.cwd == cwd]
    before = next((look for look in reversed(looks) if look.from_us <= at_us), None)
    after = next((look for look in looks if look.to_us >= at_us), None)
    look = before or after
    if look is None:
        return _Order(_by_paths(past, tuple(past.files), cwd, at_us), frozenset(), _NO_LOOK)
    roots = [root for root in look.roots if root.tool == past.tool and root.counts is not False]
    rank = {root.path: number for number, root in reversed(list(enumerate(roots)))}
    files = sorted(
        (file for file in past.files if file.root in rank), key=lambda file: (rank[file.root], file.path)
    )
    doubtful = frozenset((root.tool, root.path) for root in roots if root.counts is None)
    is_sure = before is not None and after is not None and _same(before, after, past.tool)
    return _Order(tuple(files), doubtful, SURE if is_sure else _ONE_LOOK)


def _same(one: Look, other: Look, tool: str) -> bool:
    """Whether two looks found the same directories, and could look into them."""
    first, second = ([root for root in look.roots if root.tool == tool] for look in (one, other))
    return first == second and all(root.seen for root in first)


def _by_paths(past: Past, files: tuple[File, ...], cwd: str, at_us: int) -> tuple[File, ...]:
    """The order of the tiers, and of projects the nearest first; those that the directory does not lie in do not count."""
    tool = tools.TOOLS[past.tool]
    rank = {tier: number for number, tier in enumerate(tool.tiers(clock.date_in(at_us, UTC)))}
    counting = []
    for file in files:
        base = tool.project_of(file.root)
        if file.tier != tools.PROJECT or cwd == base or cwd.startswith(f"{base.rstrip('/')}/"):
            near = -len(base) if file.tier == tools.PROJECT else 0
            counting.append(((rank.get(file.tier, len(rank)), near, file.path), file))
    return tuple(file for _, file in sorted(counting, key=lambda each: each[0]))
