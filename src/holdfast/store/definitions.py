"""Revisions of definitions, as they were recorded: the oldest first, in the order of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast import clock
from holdfast.store.statements import statements

if TYPE_CHECKING:
    import apsw

    from holdfast.events import DefinitionRevised, Event


class Revision(NamedTuple):
    """What happened to a file once.

    Attributes:
        id: of the event.
        time_us: when it was seen, `changed_us` the file's own time (UTC microseconds).
        operation: create, modify, delete, rename or restore.
        path: without links; `path_bytes` in hexadecimal where it is no UTF-8.
        root: the directory of definitions in which it lies.
        sha256: of its content since; None: it is gone.
        before_sha256: of its content until then; None: there was none.
        previous: the revision before of the same file.
        batch: the same for those that were seen at once.
        own: Holdfast wrote it.
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


def told(event: Event, data: DefinitionRevised, segment: int, offset_bytes: int) -> Revision:
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
    )


def every(db: apsw.Connection) -> list[Revision]:
    """Every revision."""
    return _rows(db, "definitions_all")


def of_name(db: apsw.Connection, name: str, tool: str | None = None) -> list[Revision]:
    """Those of the files that have or had a name, also under another one."""
    return _rows(db, "definitions_of_name", {"name": name, "tool": tool})


def of_path(db: apsw.Connection, path: str) -> list[Revision]:
    """Those of one file."""
    return _rows(db, "definitions_of_path", {"path": path})


def named(db: apsw.Connection, begins: str) -> list[Revision]:
    """Those whose id, or the SHA-256 of whose content, begins so (hexadecimal digits)."""
    return _rows(db, "definitions_like", {"begins": begins})


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
    return [Revision(*row)._replace(own=bool(row[Revision._fields.index("own")])) for row in rows]
