"""The store's SQLite file: opening, versions, transactions, and the one writer's lock.

`store.db` is a symbolic link to the current generation, `store-<n>.db`. A rebuild writes the next generation
and renames a new link over the old one, so that a reader never meets a database beside another one's
write-ahead log. Whoever still reads the old generation keeps it until done.

One process writes and checkpoints, under `writer.lock`; everybody else opens read-only. SQLite comes with apsw,
because the interpreter's own is often older than 3.51.3, which repaired a race that corrupts WAL databases.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from typing import TYPE_CHECKING, Any

import apsw

from holdfast.errors import StoreBusy, StoreDamaged, StoreError, StoreFromFuture
from holdfast.journal import reader, segments
from holdfast.store.statements import text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION = 1  # of the tables; a migration takes an older store here
PROJECTION_VERSION = 2  # of how events are folded; an older store is folded again
LINK = "store.db"
LOCK = "writer.lock"
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
    temporary.replace(home / LINK)
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
        db.execute(text("schema"))
        db.execute(
            "INSERT INTO meta VALUES ('schema_version', ?), ('projection_version', ?)",
            (str(SCHEMA_VERSION), str(PROJECTION_VERSION)),
        )
    return db


def open_writer(path: Path) -> apsw.Connection:
    """Open a generation for writing; the caller holds the writer's lock.

    Raises:
        StoreDamaged: the file is damaged.
        StoreFromFuture: a newer Holdfast wrote it.
    """
    db = _connect(path, apsw.SQLITE_OPEN_READWRITE)
    _check_version(db, path)
    return db


def open_reader(home: Path) -> apsw.Connection:
    """Open the current generation for reading only.

    A rebuild may replace the generation while it is being opened. What was opened is good if the link still names it
    once its log is open too: nothing of it is removed before the link is changed.

    Raises:
        StoreError: there is none yet.
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
    db.execute("PRAGMA query_only = 1")
    _check_version(db, path)
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
        raise _refused(path, exc) from exc
    return db


def _refused(path: Path, exc: apsw.Error) -> StoreError:
    """Tell damage, which a new store cures, from trouble around the file, which it does not."""
    if isinstance(exc, _TROUBLE):
        return StoreError(
            f"{path}: {exc}", hint="make room or repair access, then run the same command again"
        )
    return StoreDamaged(path, str(exc))


_TROUBLE = (
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
        raise _refused(path, exc) from exc
    if found["schema_version"] > SCHEMA_VERSION or found["projection_version"] > PROJECTION_VERSION:
        error = StoreFromFuture(f"{path}: written by a newer Holdfast")
        error.hint = "upgrade this one (`pip install --upgrade holdfast`); the journal is not affected"
        raise error


def versions(db: apsw.Connection) -> dict[str, int]:
    """`schema_version` and `projection_version` of an open store; 0 where it does not say."""
    found = dict.fromkeys(("schema_version", "projection_version"), 0)
    for key, value in db.execute("SELECT key, value FROM meta"):
        if key in found:
            found[key] = int(value)
    return found


def backlog_bytes(db: apsw.Connection, journal: Path) -> int:
    """How much of the journal is not folded yet; what a writer is still at, or left unfinished, does not count."""
    cursor = dict(db.execute("SELECT segment, offset_bytes FROM cursor"))
    unfinished = {tail.segment: tail.end - tail.start for tail in reader.tails(journal)}
    sizes = {number: segments.path(journal, number).stat().st_size for number in segments.numbers(journal)}
    return sum(
        max(0, size - unfinished.get(number, 0) - cursor.get(number, 0)) for number, size in sizes.items()
    )


def folded_us(db: apsw.Connection) -> int | None:
    """When the journal was folded last, UTC microseconds; None: never."""
    found = db.execute("SELECT value FROM meta WHERE key = 'folded_us'").fetchone()
    return None if found is None else int(found[0])


def must_fold_again(db: apsw.Connection) -> bool:
    """Whether a record turned up that should have been folded before others: only folding anew puts it right."""
    return db.execute("SELECT 1 FROM meta WHERE key = 'fold_again'").fetchone() is not None


def is_ahead(db: apsw.Connection, journal: Path) -> bool:
    """Whether the store folded records that the journal does not hold any more.

    A power cut may take the end of a segment after it was folded. What is appended then stands before the cursor
    and would never be folded.
    """
    return any(
        not _stands(segments.path(journal, number), start, end, last_id)
        for number, end, start, last_id in db.execute("SELECT * FROM cursor")
    )


def _stands(path: Path, start: int, end: int, last_id: str) -> bool:
    """Whether the line that was folded last still stands where it stood."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            line = file.read(end - start)
    except FileNotFoundError:
        return False
    named = b'"id":"%b"' % last_id.encode() if last_id else b""
    return len(line) == end - start and line.endswith(b"\n") and named in line[:80]


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
def writer_lock(home: Path, wait_ms: int = 0) -> Iterator[bool]:
    """Try to become the home's one writer for the block; yields whether it worked.

    The kernel frees the lock when its holder dies, however it dies.
    """
    fd = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield _lock_within(fd, wait_ms)
    finally:
        os.close(fd)


def _lock_within(fd: int, wait_ms: int) -> bool:
    deadline_ns = time.monotonic_ns() + wait_ms * 1_000_000
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic_ns() >= deadline_ns:
                return False
            time.sleep(0.01)
        else:
            return True


def rows(db: apsw.Connection, sql: str, **values: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - SQL values
    """Run a query and give its rows as dictionaries."""
    cursor = db.execute(sql, values)
    try:
        names = [column[0] for column in cursor.get_description()]
    except apsw.ExecutionCompleteError:  # no rows: nothing to describe
        return []
    return [dict(zip(names, row, strict=True)) for row in cursor]
