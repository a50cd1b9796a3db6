"""Revisions of definitions, as they were recorded: the oldest first, in the order of the journal."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast import clock
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from holdfast.events import DefinitionRevised, Event


class Revision(NamedTuple):
    """What happened to a file once.

    Attributes:
        id: of the event.
        time_us: when it was seen, `changed_us` the file's own time (UTC microseconds).
        operation: create, modify, delete, rename, restore, unlink or link.
        path: without links; `path_bytes` in hexadecimal where it is no UTF-8.
        root: the directory of definitions in which it lies.
        sha256: of its content since; None: it is gone.
        before_sha256: of its content until then; None: there was none.
        previous: the revision before of the same file.
        batch: the same for those that were seen at once.
        own: Holdfast wrote it.
        host: the other home in which it was seen, of which an export was imported; None: this one.
    """

    id: str
    segment: int
    offset_bytes: int
    time_us: int
    operation: str
    tool: str
    name: str
    tier: str | None
    path: str
    path_bytes: str | None
    root: str | None
    sha256: str | None
    before_sha256: str | None
    previous: str | None
    path_before: str | None
    name_before: str | None
    size_bytes: int | None
    changed_us: int | None
    validity: str | None
    score: int | None
    batch: str | None
    own: bool
    author: str | None
    author_grade: str | None
    reason: str | None
    host: str | None = None


def other(host: str | None, own: str | None) -> str | None:
    """The home that an event names, if it is another one than `own`. Before homes were named, each recorded only of itself."""
    return None if host == own else host


def told(
    event: Event, data: DefinitionRevised, segment: int, offset_bytes: int, own_host: str | None
) -> Revision:
    """The revision that an event tells of, which names a tool and a path."""
    assert data.tool is not None
    assert data.path is not None
    return Revision(
        id=event.id,
        segment=segment,
        offset_bytes=offset_bytes,
        time_us=event.time_us or 0,
        operation=data.operation,
        tool=data.tool,
        name=data.name,
        tier=data.tier,
        path=data.path,
        path_bytes=data.path_bytes,
        root=data.root,
        sha256=data.hash_after,
        before_sha256=data.hash_before,
        previous=data.previous,
        path_before=data.path_before,
        name_before=data.name_before,
        size_bytes=data.size_bytes,
        changed_us=clock.parse_us(data.changed_at),
        validity=data.validity,
        score=data.score,
        batch=data.batch,
        own=data.own,
        author=data.author,
        author_grade=data.author_grade,
        reason=data.reason,
        host=other(data.host, own_host),
    )


class Conflict(NamedTuple):
    """A definition that was not written, because somebody else had.

    Attributes:
        id: of the event.
        time_us: UTC microseconds, as `resolved_us`.
        operation: what was to be done: create, modify, delete, rename or restore.
        name, tier, path, root: of the file; of where it lies since, if it was moved before anybody decided.
        base: the SHA-256 of what was read; None: there was no file.
        ours: of what was to be written; None: no file was to be there.
        theirs: of what lay there; None: no file.
        choice: ours, theirs, merge or text; None: nobody decided.
        resolved_sha256: of what lay there after that.
        came: nobody decided, and what was to be written came to lie there later.
    """

    id: str
    time_us: int
    operation: str
    tool: str
    name: str
    tier: str | None
    path: str
    path_bytes: str | None
    root: str | None
    base: str | None
    ours: str | None
    theirs: str | None
    author: str | None
    author_grade: str | None
    reason: str | None
    resolved_us: int | None
    choice: str | None
    resolved_sha256: str | None
    resolved_by: str | None
    resolved_by_grade: str | None
    resolved_reason: str | None
    came: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it waits for a decision."""
        return self.choice is None and not self.came


def conflicts(db: apsw.Connection, *, resolved: bool = False) -> list[Conflict]:
    """Those of this home that wait for a decision, the oldest first; `resolved`: the others too."""
    rows: Any = db.execute(statements("queries")["definition_conflicts"])
    found = [(Conflict(*row[2:]), row[:2]) for row in rows]
    moves = _rows(db, "definitions_moved") if any(one.is_open for one, _ in found) else []
    every_one = (_followed(db, one, at, moves) for one, at in found)
    return [one for one in every_one if resolved or one.is_open]


def _followed(db: apsw.Connection, one: Conflict, at: tuple[int, int], moves: list[Revision]) -> Conflict:
    """A conflict, and what became of its file since that place in the journal, until somebody decides."""
    while one.is_open:
        there = _rows(db, "definitions_at_path", {"path": one.path})
        later = [
            each
            for each in (*there, *moves)
            if (each.segment, each.offset_bytes) > at
            and (one.path == each.path_before or (one.path, one.ours) == (each.path, each.sha256))
        ]
        if not later:
            break
        found = min(later, key=lambda each: (each.segment, each.offset_bytes))
        at = found.segment, found.offset_bytes
        if one.path == found.path_before:
            one = one._replace(
                name=found.name,
                tier=found.tier,
                path=found.path,
                path_bytes=found.path_bytes,
                root=found.root,
            )
        one = one._replace(came=found.sha256 == one.ours)
    return one


def every(db: apsw.Connection, *, others: bool = False) -> list[Revision]:
    """Every revision of this home; `others`: of those whose exports were imported, too."""
    return _rows(db, "definitions_of_homes" if others else "definitions_all")


def any_revision(db: apsw.Connection) -> bool:
    """Whether there is any of this home."""
    return db.execute(statements("queries")["definitions_any"]).fetchone() is not None


def of_name(db: apsw.Connection, name: str, tool: str | None = None) -> list[Revision]:
    """Those of the files that have or had a name, also under another one; of every home."""
    return [one for one in of_names(db, [name])[name] if tool in (None, one.tool)]


def of_names(db: apsw.Connection, names: Iterable[str]) -> dict[str, list[Revision]]:
    """The same of many names, of any tool."""
    out: dict[str, list[Revision]] = {name: [] for name in names}
    rows: Any = db.execute(statements("queries")["definitions_of_names"], {"names": json.dumps(list(out))})
    for name, *row in rows:
        out[name].append(_revision(row))
    return out


def of_path(db: apsw.Connection, path: str) -> list[Revision]:
    """Those of one path, of every home."""
    return _rows(db, "definitions_of_path", {"path": path})


def named(db: apsw.Connection, begins: str) -> list[Revision]:
    """Those of this home whose id, or the SHA-256 of whose content, begins so (hexadecimal digits)."""
    return _rows(db, "definitions_like", {"begins": begins})


def of_files_of(db: apsw.Connection, name: str, tool: str | None = None) -> list[Revision]:
    """Those of the files that have or had a name, wherever they lay before and lie since; of every home."""
    found = {one.id: one for one in of_name(db, name, tool)}
    asked: set[str] = set()
    while more := {path for one in found.values() for path in (one.path, one.path_before) if path} - asked:
        asked |= more
        for path in more:
            found |= {one.id: one for one in of_path(db, path) if tool in (None, one.tool)}
    return sorted(found.values(), key=lambda one: (one.segment, one.offset_bytes, one.id))


def batch_sizes(db: apsw.Connection, revisions: Iterable[Revision]) -> dict[str, int]:
    """How many changes were seen at once with these, by batch."""
    batches = sorted({one.batch for one in revisions if one.batch})
    rows: Any = db.execute(statements("queries")["definition_batches"], {"batches": json.dumps(batches)})
    return dict(rows) if batches else {}


def of_ids(db: apsw.Connection, ids: Iterable[str]) -> list[Revision]:
    """Those with these ids."""
    return _rows(db, "definitions_of_ids", {"ids": json.dumps(list(ids))})


class Told(NamedTuple):
    """What else was recorded of definitions, and when (UTC microseconds); `host` as in `Revision`."""

    id: str
    time_us: int
    data: dict[str, Any]
    host: str | None


def snapshots(db: apsw.Connection) -> list[Told]:
    """Every snapshot, the oldest first; of every home."""
    return _told(db, "snapshot")


def purged(db: apsw.Connection) -> dict[str, int]:
    """Every content that was removed here for good, and when that was recorded last, by SHA-256."""
    ours = [one for one in _told(db, "purged") if one.host is None]
    return {sha256: one.time_us for one in ours for sha256 in one.data["hashes"]}


def _told(db: apsw.Connection, kind: str) -> list[Told]:
    rows: Any = db.execute(statements("queries")["definition_events"], {"kind": kind})
    return [Told(event, time_us, json.loads(data), host) for event, time_us, data, host in rows]


class Writer(NamedTuple):
    """A call that wrote a file: of which session and agent, when it was under way, and the path as it was given."""

    source: str
    native: str
    agent: str
    agent_type: str | None
    call: str | None
    tool: str | None
    path: str
    cwd: str | None
    start_us: int
    end_us: int | None


def writers(db: apsw.Connection, path: str, at_us: int, slack_us: int) -> list[Writer]:
    """Calls that wrote a file of this name, wherever it lies, and were under way at a moment."""
    values = {"file": os.path.basename(path), "from_us": at_us - slack_us, "until_us": at_us + slack_us}  # noqa: PTH119
    rows: Any = db.execute(statements("queries")["definition_writers"], values)
    return [Writer(*row) for row in rows if row[6] is not None and row[8] is not None]


def current(revisions: list[Revision], until_us: int | None = None) -> dict[str, Revision]:
    """What lay where, by path, after these, or after those of them that were seen until then."""
    out: dict[str, Revision] = {}
    for one in revisions:
        if until_us is not None and one.time_us > until_us:
            continue
        if one.path_before is not None:
            out.pop(one.path_before, None)
        if one.sha256 is None:
            out.pop(one.path, None)
        else:
            out[one.path] = one
    return out


def _rows(db: apsw.Connection, statement: str, values: dict[str, str | None] | None = None) -> list[Revision]:
    rows: Any = db.execute(statements("queries")[statement], values or {})
    return [_revision(row) for row in rows]


def _revision(row: Iterable[Any]) -> Revision:
    one = Revision(*row)
    return one._replace(own=bool(one.own))
