"""The store's SQLite file: opening, versions, transactions, and the one writer's lock.

`store.db` is a symbolic link to the current generation, `store-<n>.db`. A rebuild writes the next generation
and renames a new link over the old one, so that a reader never meets a database beside another one's
write-ahead log. Whoever still reads the old generation keeps it until done.

One process writes and checkpoints, under `writer.lock`; everybody else opens read-only. SQLite comes with apsw,
because the interpreter's own is often older than 3.51.3, which repaired a race that corrupts WAL databases.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any

import apsw

from holdfast import processes
from holdfast.errors import StoreBusy, StoreDamaged, StoreError, StoreFromFuture
from holdfast.failpoints import failpoint
from holdfast.journal import format as fmt
from holdfast.journal import reader, segments
from holdfast.release import __version__
from holdfast.store import lock
from holdfast.store.schema import ours

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = ours()
SCHEMA_VERSION = SCHEMA.version  # of the tables; a migration takes an older store here
PROJECTION_VERSION = 3  # of how events are folded; an older store is folded again
LINK = "store.db"
NEWER_RECORDS = "newer_records"  # in `meta`: the lowest format version of records that were passed over
_GENERATION = re.compile(r"store-(\d+)\.db\Z")
_BELONGING = re.compile(r"store-(\d+)\.db(?:-wal|-shm|-journal)?\Z")
_OPEN_ATTEMPTS = 20  # each one means that another rebuild was finished in the meantime
_BUSY_MS = 5_000
_CACHE_KIB = 16_384


def generation_path(home: Path, number: int) -> Path:
    """The file of one generation."""
    return home / f"store-{number:04d}.db"


def generations(home: Path) -> list[int]:
    """The generations of which anything lies in the home, rising."""
    return sorted({int(found[1]) for name in os.listdir(home) if (found := _BELONGING.match(name))})  # noqa: PTH208


def current(home: Path) -> int | None:
    """The generation that `store.db` points to; None when there is no store yet."""
    number = _linked(home)
    for _ in range(_OPEN_ATTEMPTS):
        if number is None or generation_path(home, number).exists():
            return number
        before, number = number, _linked(home)
        if number == before:
            return None
    return number


def _linked(home: Path) -> int | None:
    """The number in the link, whether or not that generation exists."""
    try:
        found = _GENERATION.match(os.readlink(home / LINK))  # noqa: PTH115 - a name, not a path
    except OSError:
        return None
    return int(found[1]) if found else None


def publish(home: Path, number: int) -> None:
    """Make a generation the current one, in one rename, and drop the others."""
    temporary = home / f".{LINK}.new"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(generation_path(home, number).name)
    failpoint("store.linked")
    temporary.replace(home / LINK)
    failpoint("store.published")
    for other in generations(home):
        if other != number:
            remove(home, other)


def remove(home: Path, number: int) -> None:
    """Delete one generation with what SQLite keeps beside it; the database first, so that nobody opens it halfway."""
    path = generation_path(home, number)
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def create(path: Path) -> apsw.Connection:
    """Make an empty store at `path` and open it for writing."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    db = _connect(path, apsw.SQLITE_OPEN_READWRITE)
    with transaction(db):
        db.execute(SCHEMA.today)
        db.execute(
            "INSERT INTO meta (key, value) VALUES ('schema_version', ?), ('projection_version', ?)",
            (str(SCHEMA_VERSION), str(PROJECTION_VERSION)),
        )
    failpoint("store.created")
    return db


def open_writer(path: Path) -> apsw.Connection:
    """Open a generation for writing; the caller holds the writer's lock. It may have an older version's tables.

    Raises:
        StoreDamaged: the file is damaged.
        StoreFromFuture: a newer Holdfast wrote it.
    """
    db = _connect(path, apsw.SQLITE_OPEN_READWRITE)
    try:
        _check_version(db, path)
    except StoreError:
        db.close()
        raise
    return db


def open_reader(home: Path) -> apsw.Connection:
    """Open the current generation for reading only.

    A rebuild may replace the generation while it is being opened. What was opened is good if the link still names it
    once its log is open too: nothing of it is removed before the link is changed.

    Raises:
        StoreError: there is none yet.
        StoreBusy: questions cannot be answered from it before the writer has brought it up to date.
        StoreDamaged, StoreFromFuture: as `open_writer`.
    """
    for _ in range(_OPEN_ATTEMPTS):
        number = current(home)
        if number is None:
            raise StoreError(f"{home}: there is no store yet", hint="run `holdfast import`")
        try:
            db = _open_reader(generation_path(home, number))
        except StoreError:
            if _linked(home) == number:
                raise
            continue
        if _linked(home) == number:
            return db
        db.close()
    raise StoreBusy(f"{home / LINK}: it is being rebuilt again and again", hint="run this again")


def _open_reader(path: Path) -> apsw.Connection:
    db = _connect(path, apsw.SQLITE_OPEN_READWRITE)  # a WAL reader must be able to make the -shm file
    try:
        db.execute("PRAGMA query_only = 1")
        _check_version(db, path)
        _check_readable(db, path)
    except StoreError:
        db.close()
        raise
    db.execute("BEGIN")  # one answer is one moment, also when it takes several queries
    return db


def _connect(path: Path, flags: int) -> apsw.Connection:
    try:
        db = apsw.Connection(str(path), flags=flags)
        db.set_busy_timeout(_BUSY_MS)
        db.execute("PRAGMA journal_mode = WAL").get  # noqa: B018 - reading the answer runs the statement
        db.execute(
            "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
            f"PRAGMA cache_size = -{_CACHE_KIB}"
        )
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    except apsw.Error as exc:
        raise refused(path, exc) from exc
    return db


def refused(path: Path, exc: apsw.Error) -> StoreError:
    """Tell damage, which a new store cures, from trouble around the file, which it does not."""
    if isinstance(exc, TROUBLE):
        return StoreError(f"{path}: {exc}", hint=_TROUBLE_HINT)
    return StoreDamaged(path, str(exc))


_TROUBLE_HINT = "make room or repair access, then run the same command again"
# What a disk, another process or a limit is to blame for, and no row.
TROUBLE = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.FullError,
    apsw.IOError,
    apsw.NoMemError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)


def _check_version(db: apsw.Connection, path: Path) -> None:
    try:
        found = versions(db)
    except apsw.Error as exc:
        raise refused(path, exc) from exc
    except ValueError as exc:
        raise StoreDamaged(path, f"its version is no number: {exc}") from exc
    ours = {"schema_version": SCHEMA_VERSION, "projection_version": PROJECTION_VERSION}
    if any(found[name] > number for name, number in ours.items()):
        made = f"schema {found['schema_version']}, projection {found['projection_version']}"
        error = StoreFromFuture(
            f"{path}: written by a newer Holdfast ({made}; "
            f"this one, {__version__}, knows {SCHEMA_VERSION} and {PROJECTION_VERSION})"
        )
        error.hint = (
            "upgrade this one (`pip install --upgrade holdfast`); the journal is not affected. To stay with this one: "
            "`holdfast rebuild --set-aside` keeps the newer store beside and folds one for this version"
        )
        raise error


def _check_readable(db: apsw.Connection, path: Path) -> None:
    folded = folded_schema(db)
    if folded >= SCHEMA.oldest_readable:
        return
    what = f"{path}: it was folded by an older Holdfast (schema {folded})"
    holder = lock.holder(path.parent)
    if holder is not None and not is_older(holder):
        far = "" if holder.percent is None else f", {holder.percent} %"
        raise StoreBusy(
            f"{what}, and {holder} is bringing it up to date{far}", hint="wait for it, then run this again"
        )
    hint = (
        f"stop that process and start it again with this version ({__version__}); "
        "nothing is changed beneath it, and nothing recorded is lost"
    )
    raise StoreBusy(f"{what}, and {holder or 'another process'} is still at work on it", hint=hint)


def versions(db: apsw.Connection) -> dict[str, int]:
    """`schema_version` and `projection_version` of an open store; 0 where it does not say."""
    found = dict.fromkeys(("schema_version", "projection_version"), 0)
    for key, value in db.execute("SELECT key, value FROM meta"):
        if key in found:
            found[key] = int(value)
    return found


def folded_schema(db: apsw.Connection) -> int:
    """The schema that the rows were folded for; a migration adds tables, but no rows."""
    found = _number(db, "folded_schema")
    return versions(db)["schema_version"] if found is None else found


def is_outdated(db: apsw.Connection) -> bool:
    """Whether an older version made the store, or folded it."""
    found = versions(db)
    return (found["schema_version"], found["projection_version"]) < (SCHEMA_VERSION, PROJECTION_VERSION)


def is_older(holder: lock.Holder) -> bool:
    """Whether the holder of the lock is of a version that knows less than this one."""
    return (holder.schema, holder.projection) < (SCHEMA_VERSION, PROJECTION_VERSION)


def check_tables(db: apsw.Connection, path: Path) -> None:
    """A store that claims today's version has today's tables.

    Raises:
        StoreDamaged: it has not.
    """
    if missing := SCHEMA.missing(db):
        raise StoreDamaged(path, f"it says schema {SCHEMA_VERSION}, but has other tables: {missing[0]}")


def _number(db: apsw.Connection, key: str) -> int | None:
    """A number kept under a key of `meta`; None when there is none."""
    found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(found[0]) if found is not None and str(found[0]).isdecimal() else None


def sizes(journal: Path) -> dict[int, int]:
    """Bytes of each segment of a journal, uncompressed."""
    return {number: reader.size(journal, number) for number in segments.numbers(journal)}


def backlog_bytes(db: apsw.Connection, journal: Path) -> int:
    """How much of the journal is not folded yet; what a writer is still at, or left unfinished, does not count."""
    cursor = dict(db.execute("SELECT segment, offset_bytes FROM cursor"))
    behind = 0
    for number in segments.numbers(journal):
        missing = reader.size(journal, number) - cursor.get(number, 0)
        if missing > 0 and (tail := reader.tail_of(journal, number)):
            missing -= tail.end - tail.start
        behind += missing if missing > 1 else 0  # an LF alone comes before a record that nobody finished
    return behind


def cursor(db: apsw.Connection) -> dict[int, int]:
    """How far each segment of the journal is folded."""
    return dict(db.execute("SELECT segment, offset_bytes FROM cursor"))


def folded_us(db: apsw.Connection) -> int | None:
    """When the journal was folded last, UTC microseconds; None: never."""
    return _number(db, "folded_us")


def fold_again(db: apsw.Connection) -> None:
    """Note that only folding anew puts this store right: the next opening for writing does it."""
    with transaction(db):
        db.execute("INSERT OR REPLACE INTO meta VALUES ('fold_again', '1')")


def moved(db: apsw.Connection, segment: int, offset_bytes: int) -> None:
    """Note that a segment which was folded to its end ends elsewhere now."""
    with transaction(db):
        db.execute("UPDATE cursor SET offset_bytes = ? WHERE segment = ?", (offset_bytes, segment))


def must_fold_again(db: apsw.Connection) -> bool:
    """Whether only folding anew puts the rows right.

    An older version folded them; or tables that questions read were added since; or a record turned up that should have been
    folded before others; or records were passed over because their format was newer, and this version reads it.
    """
    newer = _number(db, NEWER_RECORDS)
    return (
        versions(db)["projection_version"] < PROJECTION_VERSION
        or folded_schema(db) < SCHEMA.oldest_readable
        or _number(db, "fold_again") is not None
        or (newer is not None and newer <= fmt.VERSION)
    )


def answers_meanwhile(db: apsw.Connection) -> bool:
    """Whether questions can be answered from the rows as they are until they are folded anew."""
    return folded_schema(db) >= SCHEMA.oldest_readable


def is_ahead(db: apsw.Connection, journal: Path) -> bool:
    """Whether the store folded records that the journal does not hold any more.

    A power cut may take the end of a segment after it was folded. What is appended then stands before the cursor
    and would never be folded. The list of seals answers for nearly all; where it says less than was folded the segment itself is asked,
    because a rewriting that was cut leaves the old size in it.
    """
    places: list[Any] = db.execute("SELECT segment, last_start, offset_bytes, last_id FROM cursor").fetchall()
    sealed = reader.sealed_sizes(journal)
    return not all(
        sealed.get(segment, 0) >= end or reader.stands(journal, segment, start, end, last_id)
        for segment, start, end, last_id in places
    )


@contextlib.contextmanager
def transaction(db: apsw.Connection) -> Iterator[None]:
    """All of the block's writes, or none."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def checkpoint(db: apsw.Connection, *, truncate: bool = False) -> None:
    """Move the write-ahead log into the database as far as readers allow. Only the writer calls this."""
    mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE
    db.set_busy_timeout(0)  # a reader at work is no reason to wait: the next checkpoint goes further
    try:
        with contextlib.suppress(apsw.BusyError):
            db.wal_checkpoint(mode=mode)
    finally:
        db.set_busy_timeout(_BUSY_MS)


@contextlib.contextmanager
def writer_lock(home: Path, wait_ms: int = 0, doing: str = "import", *, ask: bool = True) -> Iterator[bool]:
    """Try to become the home's one writer for the block; yields whether it worked.

    Args:
        home: the home.
        wait_ms: how long to wait for another one.
        doing: what for, told to whoever finds the lock taken: "import", "fold" or "serve".
        ask: have a service let go of the lock meanwhile, unless it is of an older version: nothing is changed beneath it.
    """
    ask = ask and (other := lock.holder(home)) is not None and other.serves and not is_older(other)
    with lock.held(home, wait_ms, ask=ask) as mine:
        if mine:
            tell(home, doing)
        yield mine


def tell(home: Path, doing: str, done_bytes: int = 0, total_bytes: int = 0, *, name: str = lock.NAME) -> None:
    """Say in the lock what its holder, who calls this, does and how far it is."""
    pid, ticks, boot = processes.mine()
    holder = lock.Holder(
        pid=pid,
        started_ticks=ticks,
        boot=boot,
        holdfast=__version__,
        schema=SCHEMA_VERSION,
        projection=PROJECTION_VERSION,
        doing=doing,
        done_bytes=done_bytes,
        total_bytes=total_bytes,
    )
    lock.tell(home, holder, name=name)


def rows(db: apsw.Connection, sql: str, **values: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - SQL values
    """Run a query and give its rows as dictionaries."""
    cursor = db.execute(sql, values)
    try:
        names = [column[0] for column in cursor.get_description()]
    except apsw.ExecutionCompleteError:  # no rows: nothing to describe
        return []
    return [dict(zip(names, row, strict=True)) for row in cursor]
