"""Revisions of files → the history of one name: which of them belong to it, their numbers, and which one a person means. Pure.

A revision belongs to a name if its file had the name then, or was the same file before or afterwards: renames are followed both ways. Each
content that a file got is a **version** with a number; they are counted for each tool from 1. A rename that changed no byte, and a removal, have none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from holdfast.errors import AmbiguousId, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.store.definitions import Revision

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")  # more digits begin a SHA-256
_BEGINS: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,63}")
_LATE_US: Final = 10_000_000  # between a change and that it is seen; less is a look's own time
_SHORT: Final = 12  # characters of a SHA-256 by which a person can name it
_SHORT_HOST: Final = 8  # characters of a host's id


@dataclass(frozen=True, slots=True)
class Version:
    """A revision in the history of a name.

    Attributes:
        row: as it was recorded.
        number: of its content; None: it brought none, or was seen in another home.
    """

    row: Revision
    number: int | None

    @property
    def is_here(self) -> bool:
        """Whether it was seen in this home."""
        return self.row.host is None

    @property
    def late_us(self) -> int | None:
        """How long after the file was written last it was seen, where nobody watched: what it had in between was not seen. None: it was seen at once, or
        when it happened is not known.
        """
        if self.number is None or self.row.own or self.row.changed_us is None:
            return None
        late_us = self.row.time_us - self.row.changed_us
        return late_us if late_us > _LATE_US else None

    @property
    def label(self) -> str:
        """What a person calls it."""
        if self.number is not None:
            return f"version {self.number}"
        return self.row.operation if self.is_here else f"{self.row.operation} {elsewhere(self.row.host)}"


def short(sha256: str | None) -> str:
    """How a content is named to a person; `-` for none."""
    return sha256[:_SHORT] if sha256 else "-"


def elsewhere(host: str | None) -> str:
    """How another home is named to a person."""
    return f"in another home ({(host or '')[:_SHORT_HOST]})"


def of_name(rows: Iterable[Revision], name: str) -> list[Version]:
    """The history of a name, the oldest first.

    Args:
        rows: of every file that ever had the name, in the order of the journal; also under other names.
        name: as it is written in the file.
    """
    rows = list(rows)
    ours = {one.id for one in rows if name in (one.name, one.name_before)}
    for one in rows:  # what became of them
        if _goes_on(one) and one.previous in ours:
            ours.add(one.id)
    by_id = {one.id: one for one in rows}
    for one in reversed(rows):  # what they were before
        if one.id in ours and _goes_on(one) and one.previous in by_id:
            ours.add(one.previous)
    return numbered(one for one in rows if one.id in ours)


def _goes_on(one: Revision) -> bool:
    """Whether it is about a file that was there before."""
    return one.before_sha256 is not None and one.previous is not None


def numbered(rows: Iterable[Revision]) -> list[Version]:
    """Number the contents of this home, for each tool from 1."""
    last: dict[str, int] = defaultdict(int)
    out = []
    for one in rows:
        is_new = _brings_content(one) and one.host is None
        last[one.tool] += is_new
        out.append(Version(one, last[one.tool] if is_new else None))
    return out


def _brings_content(one: Revision) -> bool:
    return one.sha256 is not None and one.sha256 != one.before_sha256


def by_revision(versions: Sequence[Version]) -> dict[str, int]:
    """The number of the content that a file had after each revision, by the revision's id."""
    out: dict[str, int] = {}
    of_content: dict[tuple[str, str], int] = {}
    for one in versions:
        if one.row.sha256 is None:
            continue
        content = (one.row.tool, one.row.sha256)
        if one.number is not None:
            of_content[content] = one.number
        if content in of_content:
            out[one.row.id] = of_content[content]
    return out


def lying(versions: Sequence[Version]) -> dict[str, Version]:
    """The last version of each file that is there, by path."""
    out: dict[str, Version] = {}
    for one in versions:
        if not one.is_here:
            continue
        if one.row.path_before is not None:
            out.pop(one.row.path_before, None)
        out.pop(one.row.path, None)
        if one.row.sha256 is not None:
            out[one.row.path] = one
    return out


def files(versions: Sequence[Version]) -> list[list[Version]]:
    """The same by file, wherever each was moved; what came into the place of a file that was removed is the same one."""
    out: list[list[Version]] = []
    at: dict[tuple[str, str], list[Version]] = {}
    for one in versions:
        row = one.row
        mine = at.pop((row.tool, row.path_before or row.path), None)
        if mine is None:
            out.append(mine := [])
        mine.append(one)
        at[row.tool, row.path] = mine
    return out


def now_at(rows: Sequence[Revision], begins: Revision) -> Revision:
    """The last revision of the file that this one is about, wherever it was moved since."""
    at = begins
    after = False
    for one in rows:
        if after and one.host == at.host and (one.path_before or one.path) == at.path:
            at = one
        after = after or one.id == begins.id
    return at


def last_change(versions: Sequence[Version]) -> Version:
    """The last one here that changed a content, or took it away.

    Raises:
        NotFound: there is none.
    """
    for one in reversed(versions):
        if one.is_here and one.row.sha256 != one.row.before_sha256:
            return one
    hint = "name a revision: `holdfast definitions history NAME` lists what there is"
    raise NotFound("nothing of it changed here yet", hint=hint)


def before(versions: Sequence[Version], one: Version) -> Version | None:
    """The one that says what the file had before this; None: nothing, or it is not known which that was."""
    if one.row.before_sha256 is None:
        return None
    return next((each for each in versions if each.row.id == one.row.previous), None)


def find(versions: Sequence[Version], wanted: str, moment_us: int | None) -> Version:
    """The one that a person means.

    Args:
        versions: to choose from.
        wanted: a number, or how the SHA-256 of a content or the id of a revision begins.
        moment_us: what `wanted` is as a time; None: it is none.

    Raises:
        NotFound: there is none.
        AmbiguousId, UsageError: it fits several, or can be nothing of that.
    """
    if _NUMBER.fullmatch(wanted):
        return _numbered(versions, int(wanted))
    if moment_us is not None:
        return _at(versions, wanted, moment_us)
    if not _BEGINS.fullmatch(wanted.lower()):
        raise UsageError(
            f"{wanted!r} names no revision",
            hint="write a version's number, at least 4 characters of its SHA-256 or id, a time, or `now`",
        )
    return _beginning(versions, wanted.lower())


def _numbered(versions: Sequence[Version], number: int) -> Version:
    found = [one for one in versions if one.number == number]
    if not found:
        last = max((one.number or 0 for one in versions), default=0)
        raise NotFound(f"there is no version {number}", hint=f"the last one is {last}")
    if len(found) > 1:
        names = " and ".join(sorted({one.row.tool for one in found}))
        raise UsageError(f"{names} have a version {number} each", hint="say which with --tool")
    return found[0]


def _at(versions: Sequence[Version], wanted: str, moment_us: int) -> Version:
    there = lying(list(takewhile(lambda one: one.row.time_us <= moment_us, versions)))
    also = lying([one for one in versions if one.row.time_us <= moment_us])
    if there != also:  # the order of the records is the true one, and that time came twice, or never
        each = sorted({one.label for one in (*there.values(), *also.values())})
        raise UsageError(
            f"what had this name at {wanted} cannot be told, for a clock was set back: {' or '.join(each)}",
            hint="name a version",
        )
    if not there:
        raise NotFound(
            f"nothing of this name had been seen at {wanted}, or it was gone",
            hint="`holdfast definitions history` has the times",
        )
    if len(there) > 1:
        raise UsageError(
            f"at {wanted} {len(there)} files had this name: {', '.join(sorted(there)[:5])}",
            hint="say which with --path, or name a version",
        )
    return next(iter(there.values()))


def _beginning(versions: Sequence[Version], begins: str) -> Version:
    contents = {one.row.sha256 for one in versions if one.row.sha256 and one.row.sha256.startswith(begins)}
    ids = {one.row.id for one in versions if one.row.id.startswith(begins)}
    if len(contents) + len(ids) > 1:
        raise AmbiguousId(begins, sorted(contents | ids), what="revisions")
    found = [
        one
        for one in reversed(versions)
        if one.row.id in ids or (one.row.sha256 in contents and _brings_content(one.row))
    ]
    if found:
        return max(found, key=lambda one: one.is_here)
    raise NotFound(f"no revision begins with {begins!r}", hint="`holdfast definitions history` lists them")


def acts(versions: Sequence[Version]) -> list[list[Version]]:
    """Versions in their order, those that were seen at once in one list."""
    out: list[list[Version]] = []
    by_batch: dict[str, list[Version]] = {}
    for one in versions:
        batch = one.row.batch
        if batch is not None and batch in by_batch:
            by_batch[batch].append(one)
            continue
        out.append([one])
        if batch is not None:
            by_batch[batch] = out[-1]
    return out
