"""Today's tables, and the numbered steps that lead to them.

`sql/schema.sql` is what a new store gets. `sql/migrations/NNNN_name.sql` takes a store from the step before to step NNNN; the
highest number is the version of the schema. Both roads end at the same tables, and a test compares them.

A step may be taken twice: a CREATE of something that is there, and an ALTER TABLE … ADD of a column that is there, are passed over;
every other statement must be written so that it does no harm the second time (DROP TRIGGER IF EXISTS, then CREATE TRIGGER).

Whether questions can be answered from a store that was folded before a step, the step says itself:

    -- questions do without this step

on a line of its own means that no question reads what the step adds (an index, a table that only capture uses). Without that
line, questions need it: a store folded before it is folded again before anything is answered, because a table that nobody
filled would show unknown as zero.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

_STEP = re.compile(r"(\d{4})_(\w+)\.sql\Z")
_OPTIONAL = re.compile(r"^-- questions do without this step$", re.MULTILINE)
_COMMENT = re.compile(r"--[^\n]*")
_CREATE = re.compile(
    r"CREATE\s+(?:UNIQUE\s+|VIRTUAL\s+)?(?:TABLE|INDEX|VIEW|TRIGGER)\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)",
    re.IGNORECASE,
)
_ADD_COLUMN = re.compile(r"ALTER\s+TABLE\s+(\w+)\s+ADD\s+(?:COLUMN\s+)?(\w+)", re.IGNORECASE)
_COLUMNS = """
    SELECT m.name, t.wr, t.strict, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden
    FROM sqlite_master m JOIN pragma_table_list t ON t.name = m.name AND t.schema = 'main'
    JOIN pragma_table_xinfo(m.name) c
    WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY m.name, c.cid"""
_OTHERS = """
    SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master
    WHERE type <> 'table' OR sql LIKE 'CREATE VIRTUAL%'"""

Shape = dict[str, tuple[object, ...]]


class Step(NamedTuple):
    """One step of the road; `needed`: questions read what it adds."""

    number: int
    name: str
    sql: str
    needed: bool


class Schema:
    """A directory with `schema.sql` and `migrations/`.

    Attributes:
        version: the number of the last step, which is the version of today's tables.
    """

    def __init__(self, directory: Traversable) -> None:
        self._directory = directory
        self._files = {
            int(found[1]): file
            for file in (directory / "migrations").iterdir()
            if (found := _STEP.match(file.name))
        }
        self.version = max(self._files)

    @cached_property
    def today(self) -> str:
        """What makes the tables of an empty store."""
        return (self._directory / "schema.sql").read_text("utf-8")

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every step, rising."""
        texts = [(number, self._files[number]) for number in sorted(self._files)]
        made = [(number, file.name.removesuffix(".sql"), file.read_text("utf-8")) for number, file in texts]
        return tuple(Step(number, name, sql, _OPTIONAL.search(sql) is None) for number, name, sql in made)

    @cached_property
    def oldest_readable(self) -> int:
        """The oldest schema a store may have been folded with for questions of today to be answered from it."""
        return max(step.number for step in self.steps if step.needed)

    @cached_property
    def shape(self) -> Shape:
        """Today's tables, as `shape_of` gives them."""
        db = apsw.Connection(":memory:")
        try:
            db.execute(self.today)
            return shape_of(db)
        finally:
            db.close()

    def missing(self, db: apsw.Connection) -> list[str]:
        """What of today's tables is not in a store, or is otherwise there; anything beyond is nobody's harm."""
        found = shape_of(db)
        return sorted(name for name, wanted in self.shape.items() if found.get(name) != wanted)


@cache
def ours() -> Schema:
    """The schema of this version."""
    return Schema(resources.files("holdfast.store") / "sql")


def shape_of(db: apsw.Connection) -> Shape:
    """Everything in a database, by name: columns of tables in order, and the text of all else without comments and white space."""
    out: dict[str, tuple[object, ...]] = {}
    for name, *column in db.execute(_COLUMNS):
        if not name.startswith("sqlite_"):
            out[f"table {name}"] = (*out.get(f"table {name}", ()), tuple(column))
    for kind, name, of, sql in db.execute(_OTHERS):
        out[f"{kind} {name}"] = (of, " ".join(_COMMENT.sub("", sql).split()))
    return out


def statements_of(sql: str) -> Iterator[str]:
    """Each statement of a file by itself."""
    held = ""
    for piece in sql.split(";"):
        held += piece + ";"
        if apsw.complete(held):
            if _COMMENT.sub("", held).strip("; \n"):
                yield held.strip()
            held = ""


def is_done(db: apsw.Connection, statement: str) -> bool:
    """Whether a statement of a step made what it makes before."""
    plain = _COMMENT.sub("", statement).strip()
    if made := _CREATE.match(plain):
        return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (made[1],)).fetchone() is not None
    if added := _ADD_COLUMN.match(plain):
        sql = "SELECT 1 FROM pragma_table_xinfo(?) WHERE name = ?"
        return db.execute(sql, (added[1], added[2])).fetchone() is not None
    return False
