"""Take an older store to today's tables: a copy first, then every missing step and the new version in one transaction.

A process that is killed in between leaves the store of before or the store of after, and the next command goes on. Only the
holder of the writer's lock comes here.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import apsw

from holdfast.errors import StoreDamaged, StoreError
from holdfast.failpoints import failpoint
from holdfast.store import database
from holdfast.store.schema import is_done, statements_of

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.store.schema import Step

BACKUPS = "backups"
_PAGES_AT_ONCE = 4_096
_HINT = (
    "nothing was changed; make room or repair access, then run the same command again "
    "(the store may also be deleted: it is folded anew from the journal)"
)


def backup_path(home: Path, version: int) -> Path:
    """Where the copy of a store of that schema is kept."""
    return home / BACKUPS / f"store-schema-{version}.db"


def migrate(db: apsw.Connection, home: Path, path: Path) -> None:
    """Bring the store `path`, open as `db`, to today's tables.

    Raises:
        StoreError: the copy could not be made, or the disk refused; the store is as it was.
        StoreDamaged: its tables are not what its version says; the store is as it was.
    """
    found = database.versions(db)["schema_version"]
    back_up(db, backup_path(home, found))
    failpoint("migrate.copied")
    try:
        _take(db, path, found)
    except apsw.Error as exc:
        error = database.refused(path, exc)
        if not isinstance(error, StoreDamaged):
            error = StoreError(f"{path}: its tables could not be brought up to date: {exc}", hint=_HINT)
        raise error from exc


def _take(db: apsw.Connection, path: Path, found: int) -> None:
    schema = database.SCHEMA
    with database.transaction(db):
        for step in schema.steps:
            if step.number > found:
                take(db, step)
        db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('folded_schema', ?)", (str(found),))
        sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('schema_version', ?)"
        db.execute(sql, (str(schema.version),))
        if missing := schema.missing(db):
            raise StoreDamaged(path, f"made by schema {found}, but not with its tables: {missing[0]}")
        failpoint("migrate.stepped")


def take(db: apsw.Connection, step: Step) -> None:
    """Take one step; what it made before is left as it is."""
    for statement in statements_of(step.sql):
        if not is_done(db, statement):
            db.execute(statement)


def back_up(db: apsw.Connection, path: Path) -> None:
    """Copy an open store, with what stands in its log, to `path`: whole or not at all.

    Raises:
        StoreError: it could not be written.
    """
    temporary = path.with_name(f".{path.name}.writing")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary.unlink(missing_ok=True)
        _copy(db, temporary)
        _force(temporary)
        temporary.replace(path)
        _force(path.parent)
    except (OSError, apsw.Error) as exc:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        what = "the store must be copied before its tables are brought up to date, and the copy failed"
        raise StoreError(f"{path}: {what}: {exc}", hint=_HINT) from exc


def _copy(db: apsw.Connection, path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    copy = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        copy.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")  # a torn copy is never named
        with copy.backup("main", db, "main") as backup:
            while not backup.done:
                backup.step(_PAGES_AT_ONCE)
    finally:
        copy.close()


def _force(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
