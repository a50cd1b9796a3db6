"""Positions in the consumer's database: kept in the same transaction as what was made of the lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw

from holdfast.errors import TailFailed, TailTaken
from holdfast.monitor.fingerprint import Print
from holdfast.monitor.generation import Batch, Generation, Stamp
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION = 1


_SQL = statements("positions", "holdfast.monitor")


class Positions:
    """The tables `tail_state` and `tail_generation` of an open database; they are made if need be.

    Raises:
        TailFailed: they cannot be read or made, or were made by a newer Holdfast.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        try:
            db.execute(_SQL["tables"])
            found = db.execute(_SQL["version"]).fetchone()
        except apsw.Error as exc:
            raise TailFailed(db.filename or "the positions", str(exc)) from exc
        if found is None or found[0] > _VERSION:
            raise TailFailed(db.filename or "the positions", "written by a newer Holdfast")

    def batch_number(self) -> int:
        """How many batches were kept."""
        found = self._db.execute(_SQL["batch"]).fetchone()
        return int(found[0]) if found else 0

    def generations(self) -> list[Generation]:
        """All that is known, the oldest first."""
        out = []
        for row in self._db.execute(_SQL["generations"]):
            number, log, path, dev, ino, birth, size, mtime_ns, ctime_ns, looked_ns = row[:10]
            consumed, crc, head, blocks, continues, is_there = row[10:]
            generation = Generation(
                id=number,
                log=os.fsdecode(log),
                path=os.fsdecode(path),
                stamp=Stamp(dev, ino, size, mtime_ns, ctime_ns),
                birth=birth,
                print=Print(consumed, crc, head, blocks),
                continues=bool(continues),
                looked_ns=looked_ns,
                is_there=bool(is_there),
                is_new=False,
            )
            out.append(generation)
        return out

    def keep(self, batch: Batch) -> None:
        """Write a batch's positions; the caller has a transaction open.

        Raises:
            TailTaken: another reader has kept something since.
        """
        self._db.execute(_SQL["next_batch"], (batch.number,))
        if not self._db.changes():
            raise TailTaken(self._db.filename or "the positions")
        self._db.executemany(_SQL["keep"], _rows(batch.changed.values()))
        self._db.executemany(_SQL["forget"], [(number,) for number in batch.gone])


def _rows(generations: Iterable[Generation]) -> list[tuple[int | bytes | None, ...]]:
    return [
        (
            each.id,
            os.fsencode(each.log),
            os.fsencode(each.path),
            *each.stamp[:2],
            each.birth,
            *each.stamp[2:],
            each.looked_ns,
            *each.print,
            each.continues,
            each.is_there,
        )
        for each in generations
    ]
