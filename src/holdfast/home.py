"""Wiring: one home directory with its journal, store, sources and translators.

home.json   format and redaction level of what lies here
host-id     this host, a random UUID
redaction-key  what the hashes in placeholders and in `forgotten` are keyed with: 32 random bytes in hexadecimal
redact.toml rules of redaction, written by the user
forgotten   what was forgotten and is left out when it comes again (`forgotten.py`)
config.toml settings, written by the user
journal/    segments; blobs/ large bodies
definitions/ what definitions of agents were seen, byte for byte, and what lay where (`definitions/ledger.py`)
store.db    link to the current store; writer.lock: held by the one process that captures and folds
backups/    copies of older stores, made before their tables were brought up to date
run/        a directory for each agent that was started here (`supervise/look.py`); the service's lock and socket, and what it said in
            the background; what a fold in the background said; claims on sessions that are resumed
inbox/      what hooks left and agents said of their progress, and nobody recorded yet (`capture/inbox.py`)
requests/   what coordinators ask for (`supervise/mailbox.py`); responses/ what they are answered
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock, premises
from holdfast.errors import HomeError, JournalError, StoreBusy, StoreError, SuperviseError
from holdfast.journal.writer import Writer
from holdfast.settings import cache_directory

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from holdfast.capture.claude_files import SourceFile
    from holdfast.catch_up import ImportReport, Means, Registry
    from holdfast.forgotten import Forgotten
    from holdfast.journal.sealed import Seal
    from holdfast.redact import Redactor
    from holdfast.settings import Settings
    from holdfast.store.activity import Vitals
    from holdfast.store.context import Recall
    from holdfast.store.project import Entry, Projector, Translation, Translator
    from holdfast.store.upkeep import Folding, Upkeep

_SEAL_WAIT_MS = 5_000
KEY = "redaction-key"
_GATE = "redaction-gate-"
_KEPT_GATES = 4  # of other rules and versions too
_LEAST_KEY_BYTES = 16
_KEY_HINT = "restore it from a backup, or delete it together with `forgotten`: equal secrets then get other placeholders than before"
SAMPLE = "sample"  # a home of this name inside another holds the bundled samples, and nothing else is imported there


class Home:
    """One home. Opening it creates what is missing; nothing else is written until something is recorded.

    Args:
        settings: say where it is.
        sample: the home of the bundled samples inside it.
        outdated: open one, too, that was written when less was taken out of bodies.
    """

    def __init__(self, settings: Settings, *, sample: bool = False, outdated: bool = False) -> None:
        self.settings = settings
        self.path = settings.home / SAMPLE if sample else settings.home
        self.is_sample = self.path.name == SAMPLE and (sample or (self.path.parent / premises.MARK).exists())
        self.journal = self.path / "journal"
        self.blobs = self.path / "blobs"
        self.inbox = self.path / "inbox"
        self._looked_at: list[SourceFile] | None = None  # what the last look at the default roots found
        premises.prepare(self.path, outdated=outdated or self.is_sample)  # the samples hold no secrets
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
            redactor=lambda: self.redactor,
        )

    @cached_property
    def redactor(self) -> Redactor:
        """What every body passes before it is written into this home."""
        from holdfast.redact import Redactor, rules

        kept = KeptGates()
        own = rules.load(self.rules_path)
        return Redactor(self.key, own, load=kept.load, keep=kept.keep, environment=os.environ)

    def cleaned(self, told: dict[str, Any]) -> dict[str, Any]:
        """What was seen of the world and passed no door yet, without the secrets in it; nothing, if it could not be looked at."""
        found = msgspec.json.decode(self.redactor.clean(msgspec.json.encode(told)).body)
        return found if isinstance(found, dict) else {}

    def read_rules_again(self) -> None:
        """Forget what was read of the rules of redaction: what is written from now on passes those of today."""
        self.__dict__.pop("redactor", None)

    @property
    def rules_path(self) -> Path:
        """The user's own rules of redaction."""
        from holdfast.redact import rules

        return self.path / rules.FILE_NAME

    @cached_property
    def key(self) -> bytes:
        """What this home's keyed hashes are made with; made once."""
        path = self.path / KEY
        try:
            if not path.exists():
                premises.write_new(path, f"{os.urandom(32).hex()}\n".encode())
            key = bytes.fromhex(path.read_text("ascii"))
        except (ValueError, OSError) as exc:
            raise HomeError(f"{path}: is no key: {exc}", hint=_KEY_HINT) from exc
        if len(key) < _LEAST_KEY_BYTES:
            raise HomeError(f"{path}: is no key: it is too short", hint=_KEY_HINT)
        return key

    def forgotten(self) -> Forgotten:
        """What was forgotten, as it is listed now.

        Raises:
            HomeError: the list cannot be read.
        """
        from holdfast.forgotten import Forgotten

        return Forgotten(self.path, lambda: self.key)

    def now_us(self) -> int:
        """The moment that answers are about."""
        return clock.parse_us(self.settings.now) or clock.now_us()

    # ── the store ──

    def reader(self) -> apsw.Connection:
        """The store, for reading; an empty one is made when there is none yet.

        Raises:
            StoreBusy: another process keeps a store from which this version cannot answer.
            StoreFromFuture: a newer Holdfast made it.
        """
        from holdfast.store import database

        if database.current(self.path) is None:
            self._bring_up()
        try:
            return database.open_reader(self.path)
        except StoreBusy:
            if not self._bring_up():
                raise
        return database.open_reader(self.path)

    def _bring_up(self) -> bool:
        """Make or mend the store, without recording anything; False when another process is at it."""
        import apsw

        from holdfast.store import database

        with database.writer_lock(self.path, wait_ms=self.settings.catch_up_wait_ms, ask=False) as mine:
            if mine:
                try:
                    db = self.upkeep().open(defer=True)
                    if db is not None:
                        db.close()
                except (apsw.Error, OSError) as exc:
                    raise self._failed(exc) from exc
            return mine

    def rebuild(
        self,
        report: Callable[[ImportReport], None] | None = None,
        *,
        only_if_due: bool = False,
        set_aside: bool = False,
    ) -> bool:
        """Fold the whole journal into a new store and put it in the old one's place.

        Returns False when another process holds the writer's lock.

        Args:
            report: called as work goes on.
            only_if_due: do nothing to a store that is of this version and as it should be.
            set_aside: keep a store that a newer Holdfast made beside, instead of refusing.

        Raises:
            StoreFromFuture: a newer Holdfast made the store.
        """
        import apsw

        from holdfast.catch_up import ImportReport
        from holdfast.store import database

        told = _folding_in(ImportReport(), report)
        with database.writer_lock(self.path, wait_ms=5_000, doing="fold") as mine:
            if not mine:
                return False
            try:
                upkeep = self.upkeep()
                db = upkeep.open(told) if only_if_due else upkeep.rebuild(told, set_aside=set_aside)
                if db is not None:
                    db.close()
            except (apsw.Error, OSError) as exc:
                raise self._failed(exc) from exc
            return True

    def upkeep(self) -> Upkeep:
        """What opens the store for writing; the caller holds the writer's lock."""
        from holdfast.store.upkeep import Upkeep

        return Upkeep(self.path, self.journal, self._projector)

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

        s = self.settings
        return Projector(
            db,
            self.journal,
            self.blobs,
            translators(),
            s.head_size_chars,
            s.search_size_chars,
            self.host_id,
        )

    def recall(self) -> Recall:
        """Reads passages back out of this home's journal."""
        from holdfast.store.context import Recall

        return Recall(self.journal, self.blobs, translators())

    def vitals(self) -> Vitals:
        """What tells, now, whether a process of a session is at work."""
        from holdfast.capture import claude_registry, codex_locks
        from holdfast.capture.liveness import Liveness, here
        from holdfast.supervise import lives, look

        registry = self.settings.claude_config_dir / claude_registry.DIRECTORY
        locks = self.settings.codex_home / codex_locks.DIRECTORY
        looks = lives.looks(look.run_directory(self.path), self.host_id)
        return Liveness(registry, locks, here(self.host_id), looks)

    # ── capture ──

    def default_roots(self) -> list[Path]:
        """Where agent history lies that is looked for without being told."""
        from holdfast.capture.codex_files import ARCHIVED

        if self.is_sample:
            return [samples()]
        roots = (*self.looked_for(), self.settings.codex_home / ARCHIVED)
        return [root for root in roots if root.is_dir()]

    def looked_for(self) -> list[Path]:
        """Where each tool keeps its history."""
        from holdfast.capture.codex_files import SESSIONS

        return [self.settings.claude_config_dir / "projects", self.settings.codex_home / SESSIONS]

    def catch_up(
        self,
        paths: list[Path] | None = None,
        *,
        report: Callable[[ImportReport], None] | None = None,
        limit_s: float | None = None,
        wait_ms: int | None = None,
        defer: bool = False,
        seal_all: bool = False,
        also_forgotten: bool = False,
    ) -> ImportReport:
        """Record what is new in the sources and fold the journal; newest sessions first.

        Args:
            paths: files and directories to read; None: the default roots.
            report: called as work goes on.
            limit_s: stop after about this long, at a file's or batch's end; the next call goes on.
            wait_ms: how long to wait for another process that is catching up.
            defer: leave it to a process in the background to fold a long journal again for this version; nothing new is recorded
                until it is done.
            seal_all: seal every segment that waits for it; otherwise only what can be sealed meanwhile.
            also_forgotten: record files of forgotten sessions too, which are not forgotten then any more.

        Raises:
            NotFound: a given path does not exist.
            StoreFromFuture: a newer Holdfast made the store.
            UsageError: one of the sessions is just being forgotten.
        """
        import apsw

        from holdfast.store import database

        wait_ms = self.settings.catch_up_wait_ms if wait_ms is None else wait_ms
        if not (paths or seal_all or also_forgotten):
            served = self._served(wait_ms, self.names_of_roots() if paths is None else None)
            if served is not None:
                return served
        out, files = self.found(self.default_roots() if paths is None else paths)
        if paths is None:
            self._looked_at = files
        with database.writer_lock(self.path, wait_ms=wait_ms) as mine:
            if not mine:
                out.busy, out.done = True, False
                return out
            premises.drop_temporaries(self.path)
            told = _folding_in(out, report)
            try:
                db = self.upkeep().open(told, defer=defer)
                out.folding = None
                if also_forgotten:
                    self.forgotten().remember_files(files)
                again = db is not None and self._capture(db, files, out, report, limit_s, seal_all=seal_all)
                if again and (db := self.upkeep().open(told, defer=defer)) is not None:
                    db.close()
                if db is None:
                    out.deferred, out.busy, out.done = True, True, False
                    self._fold_in_background()
            except (apsw.Error, OSError) as exc:
                raise self._failed(exc) from exc
        return out

    def names_of_roots(self) -> list[str]:
        """Where this process looks for agents' history, as another one can compare it."""
        from holdfast.visible import printable_path

        return [printable_path(os.path.realpath(path)) for path in self.looked_for()]

    def _served(self, wait_ms: int, roots: list[str] | None) -> ImportReport | None:
        """What the service says that keeps this home caught up; None: none does, or not with these roots."""
        from holdfast.catch_up import ImportReport
        from holdfast.store import asking, lock

        holder = lock.holder(self.path)
        if holder is None or not holder.serves:
            return None
        more = {} if roots is None else {"roots": roots}
        answer = asking.ask(self.path, "catch_up", wait_ms / 1000, **more)
        if answer is not None and answer.get("other_roots") is True:
            return None
        return ImportReport(busy=True, done=False) if answer is None else ImportReport.told(answer)

    def found(self, paths: list[Path]) -> tuple[ImportReport, list[SourceFile]]:
        """The source files below the paths, and a report that nothing is done with them yet.

        Raises:
            NotFound: a path does not exist.
        """
        from holdfast.capture import claude_files
        from holdfast.catch_up import ImportReport

        files, unreadable = claude_files.find(paths)
        out = ImportReport(
            files_total=len(files),
            bytes_total=sum(file.size_bytes for file in files),
            unreadable=[(u.path, u.why) for u in unreadable if not self.forgotten().holds_path(u.path)],
        )
        return out, files

    def _capture(
        self,
        db: apsw.Connection,
        files: list[SourceFile],
        out: ImportReport,
        report: Callable[[ImportReport], None] | None,
        limit_s: float | None,
        *,
        seal_all: bool,
    ) -> bool:
        """Record and fold, seal beside, and close the store; whether it must be folded anew then."""
        from holdfast.catch_up import Capture

        means = self.means(db)
        try:
            Capture(means, out, report, limit_s).run(files)
        finally:
            again = means.close(seal_all=seal_all)
            out.unsealed = str(means.sealing.failed) if means.sealing.failed else None
        return again

    def means(self, db: apsw.Connection) -> Means:
        """What catching up works with; the caller holds the writer's lock and gives the store, open for writing."""
        from holdfast.catch_up import Inbox, Means
        from holdfast.journal.sealing import Beside

        forgotten = self.forgotten()
        return Means(
            db,
            self.writer(fsync_interval_s=0),
            self._projector(db),
            Beside(self.journal, lambda: self.host_id),
            lambda: self.key,
            forgotten.holds,
            forgotten.holds_line if forgotten else None,
            Inbox(self.inbox, forgotten.holds_payload, self._session_of),
            None if self.is_sample else self._registry(forgotten),
            runs=self._tell_runs,
        )

    def _tell_runs(self, writer: Writer) -> None:
        """Tell what became of agents that were started here while nobody looked."""
        from holdfast.supervise import look, telling

        run = look.run_directory(self.path)
        told = telling.Telling(run, lambda: writer, lambda: self.host_id)
        if telling.tell_all(told, telling.unsettled(run)):
            writer.sync()
            told.settle()

    def _session_of(self, agent: str) -> str | None:
        """The key of the session that an agent is which was started here; None: it cannot be read any more."""
        from holdfast.supervise import look, spec

        try:
            return spec.read(look.run_directory(self.path) / agent).session
        except SuperviseError:
            return None

    @property
    def registry_directory(self) -> Path:
        """Where Claude Code lists its processes."""
        from holdfast.capture import claude_registry

        return self.settings.claude_config_dir / claude_registry.DIRECTORY

    def _registry(self, forgotten: Forgotten) -> Registry:
        from holdfast.capture.liveness import here
        from holdfast.catch_up import Registry

        return Registry(self.registry_directory, here(self.host_id), forgotten.holds_session)

    def _fold_in_background(self) -> None:
        from holdfast import background

        try:
            background.start(self.path, self.settings)
        except OSError as exc:
            what = f"{self.path}: the process that folds the store again cannot be started: {exc}"
            raise StoreError(what, hint="`holdfast rebuild` does it while you wait") from exc

    def seal(self, *, newest_too: bool = False) -> list[Seal] | None:
        """Seal every segment that waits for it; None when another process holds the writer's lock.

        Args:
            newest_too: begin a new segment first, so that all there is can be sealed.

        Raises:
            AppendFailed, SealFailed: the disk refused.
        """
        from holdfast.journal import sealing
        from holdfast.store import database

        with database.writer_lock(self.path, wait_ms=_SEAL_WAIT_MS) as mine:
            if not mine:
                return None
            if newest_too:
                writer = self.writer(fsync_interval_s=0)
                writer.rotate()
                writer.close()
            return sealing.seal_all(self.journal, self.host_id)

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
            forgotten = self.forgotten()
            horizon_ns = (now_us + (within_days - after_days) * clock.DAY_US + 1) * 1_000
            files = claude_files.find(self.default_roots())[0] if self._looked_at is None else self._looked_at
            old = [file for file in files if file.mtime_ns < horizon_ns]
            hints = hints_of(db) if old else {}
            for file in old:
                session = claude_files.session_of(file)
                if session is not None and not forgotten.holds(file):
                    swept_us = file.mtime_ns // 1000 + after_days * clock.DAY_US
                    due.append(
                        {"id": session, "swept_at": clock.iso(swept_us), "recorded": unchanged(file, hints)}
                    )
        due.sort(key=lambda s: (str(s["swept_at"]), str(s["id"])))
        return {"after_days": after_days, "within_days": within_days, "sessions": due}


class KeptGates:
    """Compiled gates of redaction in the user's cache, for every home; whatever is wrong with one, it is made again.

    Compiling takes a third of a second, and depends on the rules, the engine and the processor only.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = cache_directory() if directory is None else directory

    def load(self, name: str) -> bytes | None:
        """A gate, if it is whole and nobody else could have written it."""
        path = self._directory / f"{_GATE}{name}"
        try:
            with path.open("rb") as file:
                for found in (self._directory.stat(), os.fstat(file.fileno())):
                    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
                        return None
                digest, _, gate = file.read().partition(b"\n")
        except OSError:
            return None
        if hashlib.sha256(gate).hexdigest().encode() != digest:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # those that were not used for longest go first
        return gate

    def keep(self, name: str, gate: bytes) -> None:
        """Keep one; not for sure: nothing is lost with it, and its digest tells whether it is whole."""
        path = self._directory / f"{_GATE}{name}"
        temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        with contextlib.suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = sorted(self._directory.glob(f"*{_GATE}*"), key=lambda old: old.stat().st_mtime)
            for old in kept[: -_KEPT_GATES + 1]:
                old.unlink(missing_ok=True)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(hashlib.sha256(gate).hexdigest().encode() + b"\n" + gate)
            temporary.replace(path)

    def remove(self) -> None:
        """Remove what is kept, and the directory if nothing else is in it."""
        with contextlib.suppress(OSError):
            for kept in self._directory.glob(f"*{_GATE}*"):
                kept.unlink(missing_ok=True)
            self._directory.rmdir()


def _folding_in(
    out: ImportReport, report: Callable[[ImportReport], None] | None
) -> Callable[[Folding], None]:
    """Tell how far a fold is through a report of ours."""

    def told(folding: Folding) -> None:
        out.folding = folding
        if report:
            report(out)

    return told


def translators() -> dict[str, Translator]:
    """The translator of each source."""
    from holdfast.capture import claude_hooks, claude_registry, codex, codex_hooks, progress, runs, sdk
    from holdfast.capture import claude_transcripts as claude
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
        claude.RESULT_SOURCE: claude.translate_result,
        claude_hooks.SOURCE: claude_hooks.translate,
        claude_registry.SOURCE: claude_registry.translate,
        codex.SOURCE: codex.translate,
        codex_hooks.SOURCE: codex_hooks.translate,
        progress.SOURCE: progress.translate,
        runs.SOURCE: runs.translate,
        sdk.SOURCE: translate_sdk,
    }


def samples() -> Path:
    """The bundled sample history."""
    return Path(str(resources.files("holdfast") / "samples" / "projects"))
