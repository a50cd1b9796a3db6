"""Wiring: one home directory with its journal, store, sources and translators.

home.json   format and redaction level of what lies here
host-id     this host, a random UUID
config.toml settings, written by the user
journal/    segments; blobs/ large bodies
store.db    link to the current store; writer.lock: held by the one process that captures and folds
inbox/ run/ backups/   for later
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock, redact
from holdfast.errors import HomeError, HomeFromFuture, HomeOutdated, StoreDamaged, StoreError
from holdfast.journal.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import apsw

    from holdfast.capture.claude_files import Cursor, SourceFile
    from holdfast.settings import Settings
    from holdfast.store.project import Entry, Projector, Translation, Translator

FORMAT = 1
SAMPLE = "sample"  # a home of this name inside another holds the bundled samples, and nothing else is imported there
_MARK = "home.json"
_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "fuse.sshfs",
        "fuse.rclone",
    }
)
_FOLD_EVERY_BYTES = 8 << 20


class _Mark(msgspec.Struct):
    format: int
    redaction: int


@dataclass(slots=True)
class ImportReport:
    """What one catch-up did, and what is left.

    Attributes:
        files_total, files_done: source files found, and those whose every byte is recorded and folded.
        bytes_total, bytes_done: their sizes, and how much of it was dealt with.
        busy: another process holds the writer's lock; nothing was done.
        unreadable: (path, why) of what could not be looked at.
        done: nothing is left.
    """

    files_total: int = 0
    files_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    records: int = 0
    busy: bool = False
    done: bool = True
    unreadable: list[tuple[str, str]] = field(default_factory=list)


class Home:
    """One home. Opening it creates what is missing; nothing else is written until something is recorded."""

    def __init__(self, settings: Settings, *, sample: bool = False) -> None:
        self.settings = settings
        self.path = settings.home / SAMPLE if sample else settings.home
        self.is_sample = self.path.name == SAMPLE and (sample or (self.path.parent / _MARK).exists())
        self.journal = self.path / "journal"
        self.blobs = self.path / "blobs"
        self._looked_at: list[SourceFile] | None = None  # what the last look at the default roots found
        _prepare(self.path)
        for directory in (self.journal, self.blobs):
            directory.mkdir(mode=0o700, exist_ok=True)

    @cached_property
    def host_id(self) -> str:
        """This host's id; made once."""
        path = self.path / "host-id"
        try:
            return str(uuid.UUID(path.read_text("ascii").strip()))
        except FileNotFoundError:
            made = str(uuid.uuid4())
            _write_new(path, f"{made}\n".encode())
            return str(uuid.UUID(path.read_text("ascii").strip()))
        except (ValueError, OSError) as exc:
            hint = "restore the file from a backup, or delete it to start a new host id"
            raise HomeError(f"{path}: is no host id: {exc}", hint=hint) from exc

    def writer(self, *, fsync_interval_s: float | None = None) -> Writer:
        """A writer to this home's journal."""
        s = self.settings
        return Writer(
            self.journal,
            self.blobs,
            self.host_id,
            segment_size_bytes=s.segment_size_bytes,
            inline_limit_bytes=s.inline_body_size_bytes,
            fsync_interval_s=s.fsync_interval_s if fsync_interval_s is None else fsync_interval_s,
        )

    def now_us(self) -> int:
        """The moment that answers are about."""
        return clock.parse_us(self.settings.now) or clock.now_us()

    # ── the store ──

    def reader(self) -> apsw.Connection:
        """The store, for reading; an empty one is made when there is none yet."""
        from holdfast.store import database

        if database.current(self.path) is None:
            with database.writer_lock(self.path, wait_ms=self.settings.catch_up_wait_ms) as mine:
                if mine:
                    self._open_store().close()
        return database.open_reader(self.path)

    def _open_store(self) -> apsw.Connection:
        """The store, for writing, under the writer's lock.

        A missing, damaged or outdated one is folded anew; so is one that knows more than the journal.
        """
        from holdfast.store import database

        number = database.current(self.path)
        if number is not None:
            path = database.generation_path(self.path, number)
            try:
                db = database.open_writer(path)
                ahead = database.is_ahead(db, self.journal)
                if database.versions(db) == _VERSIONS() and not ahead:
                    self._drop_leftovers(number)
                    return db
                db.close()
                if ahead:
                    self._quarantine(path)
            except StoreDamaged:
                self._quarantine(path)
        return self._rebuild(number, None)

    def _quarantine(self, path: Path) -> None:
        """Keep a damaged store aside for inspection, with its log; `doctor` names it."""
        for suffix in ("-wal", ""):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).replace(self.path / f"{path.name}.damaged{suffix}")

    def _drop_leftovers(self, number: int) -> None:
        """Remove generations that an interrupted rebuild left."""
        from holdfast.store import database

        for other in database.generations(self.path):
            if other != number:
                database.remove(self.path, other)

    def _rebuild(self, current: int | None, report: Callable[[ImportReport], None] | None) -> apsw.Connection:
        from holdfast.store import database

        others = database.generations(self.path)
        number = max([*others, current or 0]) + 1
        for other in others:
            if other != current:
                database.remove(self.path, other)
        db = database.create(database.generation_path(self.path, number))
        progress = ImportReport()

        def told(done: object) -> None:
            progress.records = getattr(done, "records", 0)
            if report:
                report(progress)

        self._keep_hints(db, current)
        self._projector(db).catch_up(told)
        database.checkpoint(db, truncate=True)
        database.publish(self.path, number)
        return db

    def _keep_hints(self, db: apsw.Connection, current: int | None) -> None:
        """Carry scan hints over: they are about source files, and still true."""
        import apsw

        from holdfast.store import database

        if current is None:
            return
        with contextlib.suppress(apsw.Error, StoreError):
            old = database.open_writer(database.generation_path(self.path, current))
            rows = old.execute("SELECT * FROM scan_hint").fetchall()
            old.close()
            with database.transaction(db):
                db.executemany("INSERT INTO scan_hint VALUES (?, ?, ?, ?, ?)", rows)

    def rebuild(self, report: Callable[[ImportReport], None] | None = None) -> bool:
        """Fold the whole journal into a new store and put it in the old one's place.

        Returns False when another process holds the writer's lock.
        """
        import apsw

        from holdfast.store import database

        with database.writer_lock(self.path, wait_ms=5_000) as mine:
            if not mine:
                return False
            try:
                self._rebuild(database.current(self.path), report).close()
            except apsw.Error as exc:
                raise _store_failed(self.path, exc) from exc
            return True

    def _projector(self, db: apsw.Connection) -> Projector:
        from holdfast.store.project import Projector

        return Projector(db, self.journal, self.blobs, translators(), self.settings.head_size_chars)

    # ── capture ──

    def default_roots(self) -> list[Path]:
        """Where agent history is looked for without being told."""
        root = samples() if self.is_sample else self.settings.claude_config_dir / "projects"
        return [root] if root.is_dir() else []

    def catch_up(
        self,
        paths: list[Path] | None = None,
        *,
        report: Callable[[ImportReport], None] | None = None,
        limit_s: float | None = None,
        wait_ms: int | None = None,
    ) -> ImportReport:
        """Record what is new in the sources and fold the journal; newest sessions first.

        Args:
            paths: files and directories to read; None: the default roots.
            report: called as work goes on.
            limit_s: stop after about this long, at a file's or batch's end; the next call goes on.
            wait_ms: how long to wait for another process that is catching up.

        Raises:
            NotFound: a given path does not exist.
        """
        import apsw

        from holdfast.capture import claude_files
        from holdfast.store import database

        files, unreadable = claude_files.find(self.default_roots() if paths is None else paths)
        if paths is None:
            self._looked_at = files
        out = ImportReport(
            files_total=len(files),
            bytes_total=sum(file.size_bytes for file in files),
            unreadable=[(u.path, u.why) for u in unreadable],
        )
        wait_ms = self.settings.catch_up_wait_ms if wait_ms is None else wait_ms
        with database.writer_lock(self.path, wait_ms=wait_ms) as mine:
            if not mine:
                out.busy, out.done = True, False
                return out
            try:
                db = self._open_store()
                try:
                    _Capture(self, db, out, report, limit_s).run(files)
                finally:
                    database.checkpoint(db, truncate=True)
                    db.close()
            except apsw.Error as exc:
                raise _store_failed(self.path, exc) from exc
        return out

    def has_records(self) -> bool:
        """Whether anything was ever recorded here."""
        from holdfast.journal import segments

        return bool(segments.numbers(self.journal))

    def sweep(self, db: apsw.Connection, now_us: int) -> dict[str, Any]:
        """Which sessions the tool will delete from its own history soon, and whether they are recorded here.

        `after_days` is the tool's retention (None: unknown), `within_days` how far we look ahead.
        """
        from holdfast.capture import claude_files

        after_days = claude_files.sweep_days(self.settings.claude_config_dir)
        within_days = self.settings.sweep_warning_days
        due = []
        if after_days is not None:
            hints = _hints(db)
            horizon_us = now_us + (within_days - after_days) * clock.DAY_US
            files = claude_files.find(self.default_roots())[0] if self._looked_at is None else self._looked_at
            for file in files:
                session = claude_files.session_of(file)
                if session is not None and file.mtime_ns // 1000 <= horizon_us:
                    swept_us = file.mtime_ns // 1000 + after_days * clock.DAY_US
                    due.append(
                        {"id": session, "swept_at": clock.iso(swept_us), "recorded": _unchanged(file, hints)}
                    )
        due.sort(key=lambda s: (str(s["swept_at"]), str(s["id"])))
        return {"after_days": after_days, "within_days": within_days, "sessions": due}

    def files_behind(self, db: apsw.Connection, files: list[SourceFile]) -> int:
        """How many of these files hold something that is not recorded yet."""
        hints = _hints(db)
        return sum(not _unchanged(file, hints) for file in files)


def _store_failed(path: Path, exc: Exception) -> StoreError:
    hint = "make room or repair access; what is recorded is safe, and the next command folds it"
    return StoreError(f"{path / 'store.db'}: {exc}", hint=hint)


class _Capture:
    """One catch-up under the writer's lock."""

    def __init__(
        self,
        home: Home,
        db: apsw.Connection,
        out: ImportReport,
        report: Callable[[ImportReport], None] | None,
        limit_s: float | None,
    ) -> None:
        self._db = db
        self._out = out
        self._report = report or (lambda _: None)
        self._deadline_s = None if limit_s is None else time.monotonic() + limit_s
        self._writer = home.writer(fsync_interval_s=0)
        self._projector = home._projector(db)  # noqa: SLF001 - same module
        self._unfolded_bytes = 0
        self._file_bytes = 0

    def run(self, files: list[SourceFile]) -> None:
        from holdfast.capture.claude_files import Reader

        hints = _hints(self._db)
        reader = Reader(self._writer, self._cursor, self._appended)
        fresh: list[tuple[SourceFile, str | None]] = []
        try:
            for file in files:
                if not _unchanged(file, hints):
                    if fresh and self._late():
                        self._out.done = False
                        break
                    digest = self._read(reader, file, hints)
                    if digest is not False:
                        fresh.append((file, digest if isinstance(digest, str) else None))
                self._out.files_done += 1
                self._out.bytes_done += file.size_bytes
                self._file_bytes = 0
                self._report(self._out)
            self._fold()
        finally:
            self._writer.close()
        self._remember(fresh)

    def _read(
        self, reader: object, file: SourceFile, hints: dict[str, tuple[int, int, int, str | None]]
    ) -> str | bool | None:
        """Record what is new in one file; False when it could not be read."""
        known = hints.get(file.path)
        try:
            return reader.read(file, known[3] if known else None)  # type: ignore[attr-defined,no-any-return]
        except OSError as exc:
            self._out.unreadable.append((file.path, exc.strerror or str(exc)))
            return False

    def _late(self) -> bool:
        return self._deadline_s is not None and time.monotonic() >= self._deadline_s

    def _cursor(self, path: str) -> Cursor | None:
        from holdfast.capture.claude_files import Cursor
        from holdfast.store.statements import statements

        row = self._db.execute(statements("queries")["cursors_of_path"], {"path": path}).fetchone()
        return None if row is None else Cursor(*row)

    def _appended(self, size_bytes: int) -> None:
        self._unfolded_bytes += size_bytes
        if self._unfolded_bytes >= _FOLD_EVERY_BYTES:
            self._fold()
        self._report(self._out)

    def _fold(self) -> None:
        self._unfolded_bytes = 0
        self._out.records += self._projector.catch_up().records

    def _remember(self, fresh: list[tuple[SourceFile, str | None]]) -> None:
        from holdfast.store import database

        if not fresh:
            return
        with database.transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO scan_hint VALUES (?, ?, ?, ?, ?)",
                [
                    (_hint_key(file.path), file.size_bytes, file.mtime_ns, file.inode, digest)
                    for file, digest in fresh
                ],
            )


def _hint_key(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _hints(db: apsw.Connection) -> dict[str, tuple[int, int, int, str | None]]:
    return {
        path: (size, mtime, inode, digest)
        for path, size, mtime, inode, digest in db.execute(
            "SELECT path, size_bytes, mtime_ns, inode, digest FROM scan_hint"
        )
    }


def _unchanged(file: SourceFile, hints: dict[str, tuple[int, int, int, str | None]]) -> bool:
    known = hints.get(_hint_key(file.path))
    return known is not None and known[:3] == (file.size_bytes, file.mtime_ns, file.inode)


def _VERSIONS() -> dict[str, int]:  # noqa: N802 - a constant that is imported late
    from holdfast.store import database

    return {"schema_version": database.SCHEMA_VERSION, "projection_version": database.PROJECTION_VERSION}


def translators() -> dict[str, Translator]:
    """The translator of each source."""
    from holdfast.capture import claude_transcripts as claude
    from holdfast.capture import sdk
    from holdfast.store.project import Translation

    def translate_sdk(entry: Entry) -> Translation:
        try:
            body = msgspec.json.decode(entry.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            return Translation(problems=[f"a recorded event cannot be read: {exc}"])
        if not isinstance(body, dict):
            return Translation(problems=["a recorded event is not an object"])
        events = sdk.translate(
            body, record_id=entry.record_id, received_us=entry.received_us, order=entry.start
        )
        return Translation(events=events)

    return {
        claude.SOURCE: claude.translate,
        claude.META_SOURCE: claude.translate_meta,
        sdk.SOURCE: translate_sdk,
    }


# ── the directory ──


def _prepare(path: Path) -> None:
    """Make the home, or check the one there is."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as exc:
        raise _unusable(path, exc.strerror or str(exc)) from exc
    if found.st_uid != os.geteuid():
        raise _unusable(path, f"it belongs to user {found.st_uid}, not to you ({os.geteuid()})")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(path, f"user {os.geteuid()} may not read and write it")
    if found.st_mode & 0o077:
        path.chmod(0o700)
    kind = file_system(path)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise _unusable(
            path, f"it lies on a network file system ({kind}), where locks and appends are not safe"
        )
    _check_mark(path)


def _unusable(path: Path, why: str) -> HomeError:
    return HomeError(
        f"home {path} cannot be used: {why}", hint="set HOLDFAST_HOME to a local directory of yours"
    )


def _check_mark(path: Path) -> None:
    mark = path / _MARK
    try:
        found = msgspec.json.decode(mark.read_bytes(), type=_Mark)
    except FileNotFoundError:
        _write_new(mark, msgspec.json.encode(_Mark(FORMAT, redact.LEVEL)) + b"\n")
        return
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
        hint = 'restore it from a backup; its content is {"format":1,"redaction":n}'
        raise HomeError(f"{mark}: cannot be read: {exc}", hint=hint) from exc
    if found.format > FORMAT or found.redaction > redact.LEVEL:
        hint = "upgrade this Holdfast (`pip install --upgrade holdfast`)"
        raise HomeFromFuture(f"home {path} was written by a newer Holdfast", hint=hint)
    if found.redaction < redact.LEVEL:
        hint = f"move {path} away and run `holdfast import` again"
        raise HomeOutdated(
            f"home {path} was written before redaction existed; it may hold secrets", hint=hint
        )


def _write_new(path: Path, content: bytes) -> None:
    """Write a small file whole; whoever is first wins, and nobody ever sees half of it."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # no hard links here: a rename is as whole, only not exclusive
        shutil.copyfile(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def file_system(path: Path) -> str | None:
    """The type of file system a path lies on ("ext4", "nfs4"); None where the platform does not tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    best, kind = "", None
    here = str(path.resolve()) + "/"
    for mount, name in _mounts(lines):
        if here.startswith(mount.rstrip("/") + "/") and len(mount) >= len(best):
            best, kind = mount, name
    return kind


def _mounts(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        fields, _, rest = line.partition(" - ")
        parts = fields.split(" ")
        if len(parts) > 4 and rest:
            yield parts[4].replace("\\040", " "), rest.split(" ", 1)[0]


def samples() -> Path:
    """The bundled sample history."""
    return Path(str(resources.files("holdfast") / "samples" / "projects"))
