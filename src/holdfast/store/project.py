"""The projection: read the journal after the cursor, translate, fold; rows and cursor commit together.

What a source's records mean is known to its translator, which `home` hands in. A translator is a plain function of
one record; it raises nothing and keeps nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from holdfast import clock
from holdfast.errors import BlobDamaged
from holdfast.events import codec
from holdfast.failpoints import failpoint
from holdfast.journal import reader
from holdfast.journal.format import SEGMENT_SOURCE, is_tombstone
from holdfast.store import bodies, database, passages
from holdfast.store.bodies import Body
from holdfast.store.condense import CONDENSED_LIMIT_BYTES
from holdfast.store.fold import Fold
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import apsw

    from holdfast.events import Event
    from holdfast.journal.format import Position, Record, Removed

FILE_SOURCE = (
    "holdfast.file"  # body {"id":…,"source":…,"path":…,"generation":n}: says which file an id stands for
)
SHARED_SOURCES = frozenset(
    {"claude.hook", "codex.hook", "run.progress"}
)  # spools, which no declaration names: each record of theirs stands by itself
_BATCH_RECORDS = 2_000
_BATCH_BYTES = 4 << 20
_META = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"
_MOVED = statements("fold")["cursor_moved"]
_CHECKPOINT_EVERY = 16  # batches; keeps the write-ahead log near 64 MB of source text


class Entry(msgspec.Struct, frozen=True):
    """A record as a translator gets it."""

    body: bytes
    record_id: str
    received_us: int
    file: str
    path: str | None
    start: int


@dataclass(slots=True)
class Translation:
    """What a translator understood: events, types it keeps without reading them, and what it could not read."""

    events: list[Event] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Translator(Protocol):
    """Turns one record into events. Pure; never raises."""

    def __call__(self, entry: Entry, /) -> Translation: ...


@dataclass(slots=True)
class Progress:
    """What a projection run did.

    Attributes:
        damaged: records and blobs that could not be read.
        journal_bytes: how much of the journal is folded, whoever folded it.
        stopped: it was asked to end before all was folded.
    """

    records: int = 0
    body_bytes: int = 0
    damaged: int = 0
    journal_bytes: int = 0
    stopped: bool = False


class Projector:
    """Folds a journal into an open store.

    Args:
        db: the store, opened for writing under the writer's lock.
        journal, blob_directory: where the records and large bodies are.
        translators: one for each source.
        head_chars: how much of a text is kept in a row.
        search_chars: how much of a text can be searched.
        host: of the home.
    """

    def __init__(
        self,
        db: apsw.Connection,
        journal: Path,
        blob_directory: Path,
        translators: Mapping[str, Translator],
        head_chars: int,
        search_chars: int = passages.TEXT_CHARS,
        host: str | None = None,
    ) -> None:
        self._db = db
        self._journal = journal
        self._blobs = blob_directory
        self._translators = translators
        self._text_chars = max(head_chars, search_chars)
        self._fold = Fold(db, head_chars, search_chars, host)
        files: list[Any] = db.execute("SELECT id, path, consumed_bytes FROM source_file").fetchall()
        self._paths: dict[str, str | None] = {name: path for name, path, _ in files}
        self._commits = 0
        self._keyed: set[str] = set()  # keys of this batch
        self._consumed: dict[str, int] = {name: consumed for name, _, consumed in files}
        self._cursor: dict[int, int] = dict(db.execute("SELECT segment, offset_bytes FROM cursor"))

    def catch_up(
        self,
        report: Callable[[Progress], bool | None] | None = None,
    ) -> Progress:
        """Fold everything the journal holds after the cursor. `report` is called after each batch; if it says so, that was the last."""
        progress = Progress()
        batch = _Batch()
        for item in reader.read(self._journal, self._cursor):
            self._take(item, batch, progress)
            if batch.records >= _BATCH_RECORDS or batch.body_bytes >= _BATCH_BYTES:
                self._commit(batch)
                batch = _Batch()
                if self._tell(progress, report):
                    progress.stopped = True
                    break
        if batch.cursor:
            self._commit(batch)
            self._tell(progress, report)
        database.checkpoint(self._db)
        return progress

    def _tell(self, progress: Progress, report: Callable[[Progress], bool | None] | None) -> bool:
        """Whether it is asked to end."""
        progress.journal_bytes = sum(self._cursor.values())
        return bool(report and report(progress))

    def _take(self, item: reader.Found | reader.Damage, batch: _Batch, progress: Progress) -> None:
        batch.cursor[item.segment] = _Place(item.end, item.start, "")
        batch.records += 1
        if isinstance(item, reader.Damage):
            progress.damaged += 1
            if item.newer:
                batch.newer.append(item.newer)
            self._problem(f"journal segment {item.segment}", item.start, item.end, item.why)
            return
        progress.records += 1
        record = item.record
        batch.cursor[item.segment] = _Place(item.end, item.start, record.id)
        if record.s == SEGMENT_SOURCE:
            return
        if record.s == FILE_SOURCE:
            self._declare(record)
            return
        if is_tombstone(record):
            self._pass(record, batch)
            return
        try:
            body = bodies.read(record, self._blobs, self._text_chars)
        except BlobDamaged as exc:
            progress.damaged += 1
            self._problem(f"journal segment {item.segment}", item.start, item.end, str(exc))
            return
        batch.body_bytes += len(body.text or b"")
        progress.body_bytes += body.size_bytes
        fresh = record.p is None or self._advance(record, record.p, body, batch)
        try:
            self._translate(item, record, body, batch, fresh=fresh)
        except (*database.TROUBLE, OSError, MemoryError):
            raise  # not the record's fault: it is folded when the cause is gone
        except Exception as exc:  # noqa: BLE001 - one record no translator was ready for must not stop all others
            why = f"could not be folded: {type(exc).__name__}: {exc}"
            self._problem(f"journal segment {item.segment}", item.start, item.end, why[:300])

    def _pass(self, record: Record, batch: _Batch) -> None:
        """Move the cursor of a file over a line that was forgotten in it. The next reading has nothing to compare."""
        position = record.p
        if position is None or not position.start <= self._consumed.get(position.file, 0) < position.end:
            return
        self._consumed[position.file] = position.end
        nothing = position._replace(start=position.end)
        batch.files.setdefault(position.file, _FileRead(record.s)).saw(nothing, Body(b"", 0, None), "")

    def _advance(self, record: Record, position: Position, body: Body, batch: _Batch) -> bool:
        """Move a file's cursor if this record continues it; whether it holds bytes not counted before.

        Behind a hole (a damaged record) the cursor stays, so that the file is read again from there.
        """
        consumed = self._consumed.get(position.file, 0)
        if not position.start <= consumed < position.end:
            return position.start > consumed
        self._consumed[position.file] = position.end
        batch.files.setdefault(position.file, _FileRead(record.s)).saw(position, body, record.e)
        return True

    def _translate(
        self, item: reader.Found, record: Record, body: Body, batch: _Batch, *, fresh: bool
    ) -> None:
        """Fold what the record's translator understands. Of a removed body it is kept what it understood before."""
        translator = self._translators.get(record.s)
        file = record.p.file if record.p else ""
        if translator is None:
            batch.kept[file, f"source {record.s}"] += fresh
            return
        start = start_of(record, item.segment, item.start)
        if record.p is None and record.id[14:15] == "8" and not self._first_use(item):
            return
        translation = translated(translator, record, body, self._paths.get(file), start)
        for event in translation.events:
            self._fold.add(event, item.segment, item.start)
        size_bytes = record.p.end - record.p.start if record.p else body.size_bytes
        self._fold.told(translation.events, record.s, file, size_bytes, record.t, fresh=fresh)
        for kept in translation.kept:
            batch.kept[file, kept] += fresh
        if translation.problems:
            end = record.p.end if record.p else item.end
            place = self._paths.get(file) or (f"file {file}" if file else f"journal segment {item.segment}")
            for why in translation.problems:
                self._problem(place, start, end, why)

    def _first_use(self, item: reader.Found) -> bool:
        """Whether this is the first record with its key; ids made from a key are UUIDs of version 8."""
        if item.record.id in self._keyed:
            return False
        where = self._db.execute(
            "SELECT segment, offset_bytes FROM keyed WHERE id = ?", (item.record.id,)
        ).fetchone()
        if where is not None:
            if where > (
                item.segment,
                item.start,
            ):  # an earlier one turned up later: a slow writer in an older segment
                self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('fold_again', '1')")
            return False
        self._keyed.add(item.record.id)
        self._fold.row("key_used", id=item.record.id, segment=item.segment, offset_bytes=item.start)
        return True

    def _declare(self, record: Record) -> None:
        try:
            body = msgspec.json.decode(record.body_bytes() or b"", type=_Declared)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._paths[body.id] = body.path
        self._fold.row(
            "source_declared", id=body.id, source=body.source, path=body.path, generation=body.generation
        )

    def _problem(self, place: str, start: int, end: int, why: str) -> None:
        self._fold.row("problem_seen", place=place, start_byte=start, end_byte=end, why=why)

    def _commit(self, batch: _Batch) -> None:
        for file, read in batch.files.items():
            self._fold.row("source_read", id=file, **read.values())
        for (file, kept), count in batch.kept.items():
            self._fold.row("kept_more", file=file, type=kept, records=count)
        try:
            try:
                self._write(batch)
            except OverflowError:
                self._fold.make_holdable()
                self._write(batch)
        except BaseException:
            self._fold.forget()
            self._keyed.clear()
            self._consumed = dict(self._db.execute("SELECT id, consumed_bytes FROM source_file"))
            raise
        failpoint("store.committed")
        self._cursor.update((segment, place.offset_bytes) for segment, place in batch.cursor.items())
        self._keyed.clear()
        self._commits += 1
        if self._commits % _CHECKPOINT_EVERY == 0:
            database.checkpoint(self._db)

    def _passed_over(self, version: int) -> None:
        """Remember that records of this format version wait for a Holdfast that reads it."""
        known = self._db.execute("SELECT value FROM meta WHERE key = ?", (database.NEWER_RECORDS,)).fetchone()
        least = version if known is None else min(version, int(known[0]))
        self._db.execute(_META, (database.NEWER_RECORDS, str(least)))

    def _write(self, batch: _Batch) -> None:
        """Rows and cursor: both, or neither."""
        with database.transaction(self._db):
            self._fold.write()
            self._db.execute(_META, ("folded_us", str(clock.now_us())))
            if batch.newer:
                self._passed_over(min(batch.newer))
            for segment, place in batch.cursor.items():
                self._db.execute(_MOVED, {"segment": segment, **place._asdict()})
            failpoint("store.folded")


def start_of(record: Record, segment: int, offset_bytes: int) -> int:
    """Where a record stands in its source; of one without a position, where it stands in the journal."""
    return record.p.start if record.p else (segment << 40) | offset_bytes


def translated(
    translator: Translator, record: Record, body: Body, path: str | None, start: int
) -> Translation:
    """What a record says. Of a removed body it is kept what was understood before."""
    if record.z is not None:
        return understood(record.z)
    if body.text is None:
        size = f"{body.size_bytes} bytes, and over {CONDENSED_LIMIT_BYTES} even without its long texts"
        return Translation(problems=[f"too much to be read at once: {size}"])
    file = record.p.file if record.p else ""
    translation = translator(Entry(body.text, record.id, record.t, file, path, start))
    if body.crc is not None and translation.problems:  # where exactly is unknown: it was read condensed
        translation.problems = [f"a part of its {body.size_bytes} bytes is not what it should be"]
    return translation


def understood(removed: Removed) -> Translation:
    """What was understood in a body before it was removed."""
    events = [codec.decode(bytes(raw)) for raw in removed.events]
    return Translation(events, list(removed.kept), list(removed.problems))


class _Declared(msgspec.Struct):
    id: str
    source: str
    path: str
    generation: int = 0


class _Place(NamedTuple):
    """How far a segment was read, and the record that stood last."""

    offset_bytes: int
    last_start: int
    last_id: str


class _FileRead:
    """How far a batch read one source file, and how its last line checks."""

    __slots__ = ("body", "end", "records", "source", "start", "tail")

    def __init__(self, source: str) -> None:
        self.source = source
        self.records = self.start = self.end = 0
        self.body = Body(b"", 0, None)
        self.tail = "\n"

    def saw(self, position: Position, body: Body, line_end: str) -> None:
        self.records += 1
        self.start, self.end, self.body, self.tail = position.start, position.end, body, line_end

    def values(self) -> dict[str, int | str]:
        crc = self.body.line_crc(self.tail)
        return {
            "source": self.source,
            "consumed_bytes": self.end,
            "last_start": self.start,
            "last_crc": crc,
            "records": self.records,
        }


class _Batch:
    """What has been taken in since the last commit."""

    __slots__ = ("body_bytes", "cursor", "files", "kept", "newer", "records")

    def __init__(self) -> None:
        self.cursor: dict[int, _Place] = {}
        self.files: dict[str, _FileRead] = {}
        self.kept: Counter[tuple[str, str]] = Counter()
        self.newer: list[int] = []  # format versions of records that were passed over
        self.records = self.body_bytes = 0
