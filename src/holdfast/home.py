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
import uuid
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock, premises
from holdfast.errors import HomeError, JournalError, StoreDamaged, StoreError
from holdfast.failpoints import failpoint
from holdfast.journal.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from holdfast.capture.claude_files import SourceFile
    from holdfast.catch_up import ImportReport
    from holdfast.settings import Settings
    from holdfast.store.project import Entry, Projector, Translation, Translator

SAMPLE = "sample"  # a home of this name inside another holds the bundled samples, and nothing else is imported there


class Home:
    """One home. Opening it creates what is missing; nothing else is written until something is recorded."""

    def __init__(self, settings: Settings, *, sample: bool = False) -> None:
        self.settings = settings
        self.path = settings.home / SAMPLE if sample else settings.home
        self.is_sample = self.path.name == SAMPLE and (sample or (self.path.parent / premises.MARK).exists())
        self.journal = self.path / "journal"
        self.blobs = self.path / "blobs"
        self._looked_at: list[SourceFile] | None = None  # what the last look at the default roots found
        premises.prepare(self.path)
        for directory in (self.journal, self.blobs):
            try:
                directory.mkdir(mode=0o700, exist_ok=True)
            except OSError as exc:
                raise premises.unusable(self.path, f"{directory.name}: {exc.strerror}") from exc

    @cached_property
    def host_id(self) -> str:
        """This host's id; made once."""
        path = self.path / "host-id"
        try:
            if not path.exists():
                premises.write_new(path, f"{uuid.uuid4()}\n".encode())
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
        import apsw

        from holdfast.store import database

        if database.current(self.path) is None:
            with database.writer_lock(self.path, wait_ms=self.settings.catch_up_wait_ms) as mine:
                if mine:
                    try:
                        self._open_store().close()
                    except (apsw.Error, OSError) as exc:
                        raise self._failed(exc) from exc
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
                if database.versions(db) == _VERSIONS() and not ahead and not database.must_fold_again(db):
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
        from holdfast.catch_up import ImportReport

        progress = ImportReport()

        def told(done: object) -> None:
            progress.records = getattr(done, "records", 0)
            if report:
                report(progress)

        folded = self._projector(db).catch_up(told)
        if not folded.damaged:  # what is lost may still stand in its source: look at every file again
            self._keep_hints(db, current)
        database.checkpoint(db, truncate=True)
        failpoint("store.rebuilt")
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
            rows = (
                []
                if database.is_ahead(old, self.journal)
                else old.execute("SELECT * FROM scan_hint").fetchall()
            )
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
            except (apsw.Error, OSError) as exc:
                raise self._failed(exc) from exc
            return True

    def _failed(self, exc: Exception) -> JournalError | StoreError:
        """What the system refused while the journal was folded, in words."""
        hint = "make room or repair access; what is recorded is safe, and the next command folds it"
        if not isinstance(exc, OSError):
            return StoreError(f"{self.path / 'store.db'}: {exc}", hint=hint)
        place = Path(os.fsdecode(exc.filename)) if exc.filename else self.path
        kind = JournalError if place == self.journal or self.journal in place.parents else StoreError
        return kind(f"{place}: {exc.strerror}", hint=hint)

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
        from holdfast.catch_up import Capture, ImportReport
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
                    Capture(
                        db, self.writer(fsync_interval_s=0), self._projector(db), out, report, limit_s
                    ).run(files)
                finally:
                    database.checkpoint(db, truncate=True)
                    again = database.must_fold_again(db)
                    db.close()
                if again:
                    self._open_store().close()
            except (apsw.Error, OSError) as exc:
                raise self._failed(exc) from exc
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
        from holdfast.catch_up import hints_of, unchanged

        after_days = claude_files.sweep_days(self.settings.claude_config_dir)
        within_days = self.settings.sweep_warning_days
        due = []
        if after_days is not None:
            hints = hints_of(db)
            horizon_us = now_us + (within_days - after_days) * clock.DAY_US
            files = claude_files.find(self.default_roots())[0] if self._looked_at is None else self._looked_at
            for file in files:
                session = claude_files.session_of(file)
                if session is not None and file.mtime_ns // 1000 <= horizon_us:
                    swept_us = file.mtime_ns // 1000 + after_days * clock.DAY_US
                    due.append(
                        {"id": session, "swept_at": clock.iso(swept_us), "recorded": unchanged(file, hints)}
                    )
        due.sort(key=lambda s: (str(s["swept_at"]), str(s["id"])))
        return {"after_days": after_days, "within_days": within_days, "sessions": due}


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


def samples() -> Path:
    """The bundled sample history."""
    return Path(str(resources.files("holdfast") / "samples" / "projects"))
