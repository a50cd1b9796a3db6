"""What is known of the past of definitions: their revisions, what became of the contents, and who may have changed them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast import defining
from holdfast.definitions import authors, comparing, reading, tools, versions
from holdfast.definitions.authors import Who
from holdfast.definitions.comparing import Difference, Side
from holdfast.definitions.versions import Version
from holdfast.errors import AmbiguousId, BlobDamaged, NotFound, UsageError
from holdfast.store import definitions
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    import apsw

    from holdfast.definitions.ledger import Texts
    from holdfast.definitions.registry import Found
    from holdfast.home import Home
    from holdfast.store.definitions import Revision

NOW = "now"
_MOST_NAMED = 5  # files, in a message
KEPT, REMOVED, MISSING, ELSEWHERE = "kept", "removed", "missing", "elsewhere"
_MOST_FILES_ASKED = 8  # of which git is asked who changed them, for one history
_MOST_ASKED = 200  # revisions of which agents are asked about, the newest


@dataclass(slots=True)
class History:
    """The revisions of a name, or of all.

    Attributes:
        versions: the oldest first.
        batches: how many changes were seen at once, by batch.
        who: by revision, whoever may have made it, the surest first.
    """

    name: str | None
    versions: list[Version]
    batches: dict[str, int] = field(default_factory=dict)
    who: dict[str, list[Who]] = field(default_factory=dict)

    def at(self, path: str) -> list[list[Version]]:
        """The file that lies at a path or lay there last, else those that lay there before.

        Raises:
            NotFound: none of this name did.
        """
        real = printable_path(os.path.realpath(path))
        there = versions.files(self.versions)
        out = [each for each in there if each[-1].row.path == real]
        out = out or [each for each in there if any(real == one.row.path_before for one in each)]
        if not out:
            raise NotFound(
                f"no definition of this name was seen at {printable_path(path)}",
                hint=f"there is {places(there)}",
            )
        return out

    def meant(self, here: Found) -> list[list[Version]]:
        """The files that are meant in a directory: the one that counts there, with those that were removed there since it changed; else the only one that
        was removed there; else all that were seen here; else all.
        """
        every = versions.files(self.versions)
        there = [each for each in every if any(one.is_here for one in each)] or every
        counting = {printable_path(one.shown.file.real) for one in here.definitions if one.name == self.name}
        counts = [each for each in there if _last(each).sha256 and _last(each).path in counting]
        roots = {(root.tool, printable_path(root.real)) for root in here.roots}
        lay = [each for each in there if not _last(each).sha256 and _root_of(each) in roots]
        if not counts:
            return lay if len(lay) == 1 else there
        position = {one.row.id: number for number, one in enumerate(self.versions)}
        since = max(position[_last(each).id] for each in counts)
        return counts + [each for each in lay if position[_last(each).id] > since]


def _last(file: list[Version]) -> Revision:
    """What became of a file last, here if it was ever seen here."""
    return next((one.row for one in reversed(file) if one.is_here), file[-1].row)


def _root_of(file: list[Version]) -> tuple[str, str | None]:
    return _last(file).tool, _last(file).root


def places(files: Iterable[list[Version]]) -> str:
    """Where files lie or lay last, for a message."""
    paths = sorted({each[-1].row.path for each in files})
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(paths[:_MOST_NAMED]) + more


def only(files: list[list[Version]]) -> list[Version]:
    """The versions of the only one. Raises UsageError: there are several."""
    if len(files) > 1:
        raise UsageError(
            f"{len(files)} files have or had this name: {places(files)}", hint="say which with --path"
        )
    return files[0]


def of_name(home: Home, name: str, tool: str | None = None) -> History:
    """The history of a definition.

    Args:
        home: where it is recorded; folded before.
        name: as its file says it, now or once.
        tool: whose definition it is; None: of all that have this name.

    Raises:
        NotFound: none of this name was ever seen.
    """
    with contextlib.closing(home.reader()) as db:
        rows = definitions.of_files_of(db, name, tool)
        out = History(name, versions.of_name(rows, name))
        if not out.versions:
            of = f" of {tools.TOOLS[tool].title}" if tool else ""
            raise NotFound(
                f"no definition{of} called {name[:80]!r} was ever seen",
                hint="`holdfast definitions history` without a name lists all that were",
            )
        out.batches = definitions.batch_sizes(db, (one.row for one in out.versions))
    return out


def of_all(home: Home) -> History:
    """Every revision there is, of every home; versions have no numbers then, which count within a name."""
    with contextlib.closing(home.reader()) as db:
        rows = definitions.every(db, others=True)
        return History(None, [Version(one, None) for one in rows], definitions.batch_sizes(db, rows))


# ── contents ──


class Contents:
    """Every content that is kept, and what became of the others."""

    def __init__(self, texts: Texts, purged: Collection[str]) -> None:
        self._texts = texts
        self._purged = purged

    def state_of(self, row: Revision) -> str | None:
        """What became of a revision's content, without reading it: KEPT, REMOVED for good, or MISSING; ELSEWHERE: another home has it; None: there
        was none.
        """
        if row.sha256 is None:
            return None
        if self._texts.has(row.sha256):
            return KEPT
        if row.host is not None:
            return ELSEWHERE
        return REMOVED if row.sha256 in self._purged else MISSING

    def get(self, row: Revision) -> bytes:
        """What a file had after a revision.

        Raises:
            NotFound: the file was removed then, or its content since (`definition_purge`), or only another home has it.
            BlobDamaged: its content is not there, or not what it was.
        """
        if row.sha256 is None:
            raise NotFound(f"{row.path} was removed then", hint="name the version before")
        state = self.state_of(row)
        if state == ELSEWHERE:
            raise NotFound(
                f"the content {versions.short(row.sha256)} was seen {versions.elsewhere(row.host)}, and exports carry none",
                hint=f"write it into a file there (`holdfast restore definition {row.name} --revision {versions.short(row.sha256)} --to FILE`), "
                "and bring that here",
            )
        if state == REMOVED:
            raise NotFound(
                f"the content {versions.short(row.sha256)} was removed for good by `holdfast definitions purge`",
                hint="a backup of the home may have it",
            )
        if state == MISSING:
            raise BlobDamaged(self._texts.directory / row.sha256, "the content is not there any more")
        return self._texts.get(row.sha256)

    def read(self, sha256: str | None) -> bytes | None:
        """A content; None: there is none, or it cannot be had."""
        try:
            return None if sha256 is None else self._texts.get(sha256)
        except BlobDamaged:
            return None


def contents(home: Home) -> Contents:
    """Every content that is kept in a home."""
    with contextlib.closing(home.reader()) as db:
        purged = definitions.purged(db)
    return Contents(defining.ledger_of(home).texts, purged)


# ── differences ──


@dataclass(frozen=True, slots=True)
class Compared:
    """Two moments of a definition; None: there was no file, or what lies there now."""

    before: Version | None
    after: Version | None
    difference: Difference
    sides: tuple[Side, Side]


def find(
    history: History, found: list[Version], wanted: str, moment_us: Callable[[str], int | None]
) -> Version:
    """The one of a file that a person means. Raises as `versions.find`; of one of another file of the name the hint says so."""
    try:
        return versions.find(found, wanted, moment_us(wanted))
    except NotFound as exc:
        with contextlib.suppress(NotFound, UsageError, AmbiguousId):
            other = versions.find(history.versions, wanted, moment_us(wanted))
            exc.hint = f"{other.label} is of {other.row.path}; --path says that it is meant"
        raise


def compare(
    home: Home,
    history: History,
    found: list[Version],
    wanted: tuple[str, ...],
    moment_us: Callable[[str], int | None],
) -> Compared:
    """Compare two revisions, or one with what lies there now.

    Args:
        home: where the contents are.
        history: of the name.
        found: to choose from.
        wanted: nothing: the last change; one: from that to what lies there now; two: from the one to the other. `now` is what lies there.
        moment_us: what a word is as a time.

    Raises:
        NotFound, UsageError, AmbiguousId: as `versions.find`.
        BlobDamaged: a content is not there, or not what it was.
    """
    kept = contents(home)
    if not wanted:
        after = versions.last_change(found)
        before = versions.before(found, after)
        return _compared(before, after, _side(kept, before), _side(kept, after))
    first, last = wanted[0], (wanted[1] if len(wanted) > 1 else NOW)
    chosen = [None if word == NOW else find(history, found, word, moment_us) for word in (first, last)]
    anchor = next((one for one in chosen if one is not None), None)
    if anchor is None:
        raise UsageError("`now` and `now` are the same", hint="name a revision")
    sides = [_side(kept, one) if one is not None else _lying(found, anchor) for one in chosen]
    return _compared(chosen[0], chosen[1], sides[0], sides[1])


def _compared(before: Version | None, after: Version | None, a: Side, b: Side) -> Compared:
    return Compared(before, after, comparing.compare(a, b), (a, b))


def _side(kept: Contents, one: Version | None) -> Side:
    if one is None or one.row.sha256 is None:
        return Side(one.row.path if one else "", one.label if one else "", None)
    label = f"{one.label}, {versions.short(one.row.sha256)}"
    return Side(one.row.path, label, kept.get(one.row))


def _lying(found: list[Version], anchor: Version) -> Side:
    """What lies now where the file of a revision is."""
    if not anchor.is_here:
        raise NotFound(
            f"{anchor.row.path} was seen {versions.elsewhere(anchor.row.host)}, and what lies there now is not known here",
            hint="name two revisions",
        )
    at = versions.now_at([one.row for one in found], anchor.row)
    try:
        return Side(at.path, NOW, reading.content(os.fsdecode(real_of(at))))
    except FileNotFoundError:
        return Side(at.path, NOW, None)
    except OSError as exc:
        raise NotFound(f"{at.path} cannot be read: {exc.strerror}", hint="name two revisions") from exc


def real_of(row: Revision) -> bytes:
    """Where the file of a revision lay then, whatever bytes its path has."""
    return bytes.fromhex(row.path_bytes) if row.path_bytes else os.fsencode(row.path)


# ── who ──


def ask_who(home: Home, found: History, shown: list[Version]) -> None:
    """Find out who may have made changes: what was said when they were made, calls of agents, commits. Nothing of it is kept."""
    commits: dict[str, list[authors.Commit]] = {}
    kept = contents(home)
    with contextlib.closing(home.reader()) as db:
        for one in reversed(shown[-_MOST_ASKED:]):
            found.who[one.row.id] = [
                who
                for who in (_said(one.row), _agent(db, one), _commit(kept, one, commits))
                if who is not None
            ]


def _said(row: Revision) -> Who | None:
    if row.author is None and not row.own:
        return None
    grade = row.author_grade or ("observed" if row.own else "unknown")
    return Who(authors.HOLDFAST, row.author or "holdfast", grade, row.reason or "it was written by Holdfast")


def _agent(db: apsw.Connection, one: Version) -> Who | None:
    row = one.row
    if row.own or row.host is not None or row.changed_us is None or row.sha256 == row.before_sha256:
        return None
    found = definitions.writers(db, row.path, row.changed_us, authors.SLACK_US)
    return authors.writing(found, os.path.realpath(os.fsdecode(real_of(row))), row.changed_us)


def _commit(kept: Contents, one: Version, commits: dict[str, list[authors.Commit]]) -> Who | None:
    row = one.row
    if row.own or row.host is not None or row.sha256 == row.before_sha256:
        return None
    path = os.fsdecode(real_of(row))
    if path not in commits:
        if len(commits) >= _MOST_FILES_ASKED:
            return None
        commits[path] = authors.commits(path)
    if not commits[path]:
        return None
    after, before = kept.read(row.sha256), kept.read(row.before_sha256)
    if row.sha256 is not None and after is None:
        return None
    return authors.committed(commits[path], after, before, row.time_us)
