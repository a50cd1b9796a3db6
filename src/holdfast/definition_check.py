"""Compare what is kept of definitions with what is recorded of them, for `holdfast doctor`. Nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from holdfast import defining, processes
from holdfast.definition_history import real_of
from holdfast.definitions import ledger
from holdfast.definitions.ledger import Index
from holdfast.errors import BlobDamaged
from holdfast.journal import blobs, digested
from holdfast.journal.format import BlobRef
from holdfast.store import database, definitions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import apsw

    from holdfast.definitions.ledger import Texts
    from holdfast.home import Home
    from holdfast.store.definitions import Conflict, Revision

_MOST_TOLD = 20  # of each sort


class Wrong(NamedTuple):
    """Something that is not as it should be; `is_fault` False: it is worth knowing."""

    what: str
    where: str
    remedy: str
    is_fault: bool = True


def check(home: Home, db: apsw.Connection) -> Iterator[Wrong]:
    """Look at every content, at the index, and at the chain of revisions.

    Raises:
        OSError: something cannot be read.
    """
    kept = defining.ledger_of(home)
    if not kept.directory.is_dir():
        if definitions.any_revision(db):
            what = "revisions of definitions are recorded, and the directory of their contents is not there"
            yield Wrong(what, str(kept.directory), _BACKUP)
        return
    before = _read(kept.directory / ledger.INDEX)
    rows = definitions.every(db)
    yield from _leftovers(kept.directory)
    yield from _some(_contents(kept.texts.directory, rows, definitions.purged(db)))
    yield from _some(_chain(rows))
    yield from _some(_conflicts(kept.texts, definitions.conflicts(db)))
    is_behind = bool(database.backlog_bytes(db, home.journal)) or not digested.is_empty(
        kept.directory / ledger.PENDING
    )
    if before is not None and not is_behind and before == _read(kept.directory / ledger.INDEX):
        yield from _some(_index(kept.directory / ledger.INDEX, rows))


_BACKUP = "restore it from a backup"


def _some(found: Iterator[Wrong]) -> Iterator[Wrong]:
    for number, one in enumerate(found):
        if number == _MOST_TOLD:
            yield Wrong("there is more of this", one.where, "mend what is told first")
            return
        yield one


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _leftovers(directory: Path) -> Iterator[Wrong]:
    for path in sorted(directory.iterdir()):
        if path.name == ledger.PENDING and not digested.is_empty(path):
            what = "changes of definitions were about to be recorded when their process ended"
            yield Wrong(what, str(path), "any command about definitions records them", is_fault=False)
        elif path.name == ledger.INTENDED:
            what = "what was about to be done to definitions was not ended when its process did"
            remedy = "any command about definitions looks whether it was done, and else undoes it"
            yield Wrong(what, str(path), remedy, is_fault=False)
        elif path.name.endswith(".damaged"):
            what = "what was about to be recorded of definitions cannot be read, and was set aside"
            remedy = (
                "what lies there now was looked at again; delete it when you no longer need to look at it"
            )
            yield Wrong(what, str(path), remedy, is_fault=False)
        elif path.name.startswith("."):
            what = "a file whose writer was stopped before it was complete"
            remedy = "it may be deleted when no command is running"
            yield Wrong(what, str(path), remedy, is_fault=False)
    texts = directory / ledger.TEXTS
    for path in sorted(texts.glob(f"{blobs.TEMPORARY_PREFIX}*")) if texts.is_dir() else ():
        what = "a content of a definition whose writer was stopped before it was complete"
        yield Wrong(what, str(path), "it may be deleted when no command is running", is_fault=False)


def _contents(texts: Path, rows: list[Revision], purged: dict[str, int]) -> Iterator[Wrong]:
    there = blobs.sizes(texts)
    for sha256 in sorted(there):
        try:
            blobs.verify(texts, BlobRef(sha256, 0))
        except BlobDamaged as exc:
            remedy = "restore it from a backup, or put the same content there again: looking at it keeps it"
            yield Wrong(f"a content of a definition is damaged: {exc.why}", str(texts / sha256), remedy)
    named = {sha256: row for row in rows for sha256 in (row.before_sha256, row.sha256) if sha256 is not None}
    for sha256 in sorted(named.keys() - there.keys() - purged.keys()):
        what = f"a content that {named[sha256].name} had is missing"
        yield Wrong(what, str(texts / sha256), _BACKUP)


def _conflicts(texts: Texts, waiting: list[Conflict]) -> Iterator[Wrong]:
    """Whether both contents of each conflict that waits for a decision are there."""
    for one in waiting:
        for sha256 in (one.ours, one.theirs):
            if sha256 is not None and not texts.has(sha256):
                what = f"a content of the conflict {one.id} about {one.name} is missing"
                yield Wrong(what, str(texts.directory / sha256), _BACKUP)


def _chain(rows: list[Revision]) -> Iterator[Wrong]:
    """Each revision begins with what the one before of its file left, and no two follow the same one."""
    by_id = {one.id: one for one in rows}
    followed: dict[tuple[str, str], str] = {}
    for one in rows:
        before = by_id.get(one.previous or "")
        if one.previous is None:
            if one.before_sha256 is not None:
                yield _broken(one, "it says what was there before, and not which revision left it")
            continue
        if before is None:
            yield _broken(one, f"the revision before it, {one.previous}, is not there")
            continue
        moved_away = before.path != (one.path_before or one.path)
        left = None if moved_away else before.sha256
        if one.before_sha256 != left:
            yield _broken(one, f"what was there before is not what {before.id} left")
        if (one.previous, one.path_before or one.path) in followed:
            yield _broken(one, f"another one follows {before.id} too")
        followed[one.previous, one.path_before or one.path] = one.id


def _broken(one: Revision, why: str) -> Wrong:
    what = f"the chain of revisions is broken at {one.id}: {why}"
    return Wrong(
        what, one.path, "nothing is lost by it; `holdfast journal verify` says whether the journal is whole"
    )


def _index(path: Path, rows: list[Revision]) -> Iterator[Wrong]:
    """Whether the index says what the store says; one that is of another boot or damaged is made anew, and no fault."""
    found = digested.read(path, Index)
    if found is None or (found.version, found.boot) != (ledger.VERSION, processes.boot_id()):
        return
    stored = {real_of(one): one.id for one in definitions.current(rows).values()}
    known = {raw: one.revision for raw, one in found.known.items()}
    for raw in sorted(stored.keys() | known.keys()):
        if stored.get(raw) != known.get(raw):
            what = "the index of definitions does not say what is recorded"
            yield Wrong(what, str(path), "delete it: it is made again from what is recorded")
            return
