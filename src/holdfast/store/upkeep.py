"""The life of a home's store under the writer's lock: opened, migrated, set aside, folded anew.

nothing there, or damaged, or further than its journal   →  set aside what is there, fold the journal into a new one
made with older tables                                   →  copy it, take the missing steps (`migrate`)
rows that only folding anew puts right                   →  fold into the next generation, answer from this one meanwhile
made by a newer Holdfast                                 →  refuse; nothing is touched unless a person says so
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from holdfast.errors import StoreDamaged, StoreError, StoreFromFuture
from holdfast.failpoints import failpoint
from holdfast.store import database, migrate
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.store.project import Progress, Projector

# A journal up to this size is folded while the command waits. Real transcripts fold at some 50 MB per second of CPU, so it takes a
# third of a second where the machine is idle, and hardly more than one where it is not; starting a process takes as long.
FOLD_AT_ONCE_BYTES = 16 << 20
DAMAGED = ".damaged"  # behind the name of a store that was set aside because it cannot be used
AHEAD = ".ahead"  # … because it knows records that the journal does not hold any more
NEWER = ".newer"  # … because a newer Holdfast made it, and the person wanted one for this version


@dataclass(frozen=True, slots=True)
class Folding:
    """How far folding the journal anew is."""

    records: int
    done_bytes: int
    total_bytes: int


class StoreAhead(StoreDamaged):
    """A store is sound, but the journal has lost what it was folded from."""


class Upkeep:
    """Opens the store of a home for its one writer. Every method needs the writer's lock.

    Args:
        home: the home.
        journal: where its records are.
        projector: makes what folds the journal into an open store.
    """

    def __init__(self, home: Path, journal: Path, projector: Callable[[apsw.Connection], Projector]) -> None:
        self._home = home
        self._journal = journal
        self._projector = projector

    def open(
        self, told: Callable[[Folding], None] | None = None, *, defer: bool = False
    ) -> apsw.Connection | None:
        """The store, with today's tables and rows, open for writing.

        Args:
            told: called while the journal is folded anew.
            defer: leave a long fold to another process, if questions can be answered meanwhile; then the answer is None.

        Raises:
            StoreFromFuture: a newer Holdfast made it.
            StoreError: the disk refused.
        """
        number = database.current(self._home)
        if number is None:
            return self._fold(None, told)
        path = database.generation_path(self._home, number)
        try:
            db = self._sound(path)
        except StoreDamaged as exc:
            self._set_aside(path, AHEAD if isinstance(exc, StoreAhead) else DAMAGED)
            return self._fold(number, told)
        if not database.must_fold_again(db):
            self._drop_leftovers(number)
            return db
        wait = not (defer and database.answers_meanwhile(db) and self._is_long())
        db.close()
        return self._fold(number, told) if wait else None

    def rebuild(
        self, told: Callable[[Folding], None] | None = None, *, set_aside: bool = False
    ) -> apsw.Connection:
        """Fold the whole journal into a new store, in the place of the one there is.

        Args:
            told: called while folding.
            set_aside: keep a store that a newer Holdfast made beside, instead of refusing.

        Raises:
            StoreFromFuture: a newer Holdfast made the store, and nobody said that it may go.
        """
        number = database.current(self._home)
        if number is not None:
            path = database.generation_path(self._home, number)
            try:
                database.open_writer(path).close()
            except StoreFromFuture:
                if not set_aside:
                    raise
                self._set_aside(path, NEWER)
            except StoreDamaged:
                self._set_aside(path, DAMAGED)
        return self._fold(number, told)

    def _sound(self, path: Path) -> apsw.Connection:
        """The store of that file with today's tables; damaged counts what is not ours, and what knows more than the journal."""
        db = database.open_writer(path)
        try:
            if database.versions(db)["schema_version"] < database.SCHEMA_VERSION:
                migrate.migrate(db, self._home, path)
            self._check(db, path)
        except apsw.Error as exc:
            db.close()
            raise database.refused(path, exc) from exc
        except BaseException:
            db.close()
            raise
        return db

    def _check(self, db: apsw.Connection, path: Path) -> None:
        database.check_tables(db, path)
        if not database.must_fold_again(db) and database.is_ahead(db, self._journal):
            raise StoreAhead(path, "it knows records that the journal does not hold")

    def _is_long(self) -> bool:
        return sum(database.sizes(self._journal).values()) > FOLD_AT_ONCE_BYTES

    def _set_aside(self, path: Path, why: str) -> None:
        """Keep a store beside, with its log; `doctor` names it."""
        for suffix in ("-wal", ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).replace(self._home / f"{path.name}{why}{suffix}")

    def _drop_leftovers(self, number: int) -> None:
        """Remove generations that an interrupted fold left."""
        for other in database.generations(self._home):
            if other != number:
                database.remove(self._home, other)

    def _fold(self, current: int | None, told: Callable[[Folding], None] | None) -> apsw.Connection:
        """Fold the journal into the next generation and make it the current one."""
        others = database.generations(self._home)
        number = max([*others, current or 0]) + 1
        for other in others:
            if other != current:
                database.remove(self._home, other)
        db = database.create(database.generation_path(self._home, number))
        total_bytes = sum(database.sizes(self._journal).values())
        database.tell(self._home, "fold", 0, total_bytes)

        def report(progress: Progress) -> None:
            done_bytes = min(progress.journal_bytes, total_bytes)
            database.tell(self._home, "fold", done_bytes, total_bytes)
            if told:
                told(Folding(progress.records, done_bytes, total_bytes))

        folded = self._projector(db).catch_up(report)
        if not folded.damaged:  # what is lost may still stand in its source: look at every file again
            self._keep_hints(db, current)
        database.checkpoint(db, truncate=True)
        failpoint("store.rebuilt")
        database.publish(self._home, number)
        database.tell(self._home, "import")
        return db

    def _keep_hints(self, db: apsw.Connection, current: int | None) -> None:
        """Carry scan hints over: they are about source files, and still true."""
        if current is None:
            return
        with contextlib.suppress(apsw.Error, StoreError):
            old = database.open_writer(database.generation_path(self._home, current))
            rows = (
                []
                if database.is_ahead(old, self._journal)
                else old.execute(statements("queries")["hints"]).fetchall()
            )
            old.close()
            with database.transaction(db):
                db.executemany(statements("fold")["hint_kept"], rows)
