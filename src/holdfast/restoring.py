"""Give a session's transcripts back: write what the journal holds of its source files where they lay, or elsewhere.

A session's files are those whose path names it, and those whose path names none and of which some line speaks of it; of Codex the
rollouts of its threads, each where it lay last, and not compressed. Of each path the newest generation is given back: body and line end of each record in the order of their positions, which must follow
each other without a gap from the first byte on. Agents' meta files and long outputs are given back as they were recorded last.

A file of which something is missing is refused, and what is missing is named. What was taken out of a line before it was recorded
is not known any more; such lines are given back as they are, and named.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from holdfast.capture import codex_files
from holdfast.capture.claude_files import (
    WHOLE_LIMIT_BYTES,
    file_id,
    session_named,
    transcript_beside,
)
from holdfast.capture.claude_transcripts import SOURCE, WHOLE_SOURCES
from holdfast.errors import BlobDamaged, NotFound, TransferFailed, UsageError
from holdfast.home import translators
from holdfast.ids import derived, short
from holdfast.journal import blobs, reader, sealed
from holdfast.journal import format as fmt
from holdfast.redaction_rules import PLACEHOLDER
from holdfast.store import bodies, outline, queries
from holdfast.store.project import FILE_SOURCE, start_of
from holdfast.store.statements import statements
from holdfast.transfer import placing
from holdfast.transfer.outgoing import Lost, declared
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import apsw

    from holdfast.home import Home

WRITTEN, THERE, DIFFERS, REFUSED = placing.WRITTEN, placing.THERE, placing.DIFFERS, placing.REFUSED
_HEAD_BYTES = 4 << 10  # of a damaged line; what says whose it is stands at its beginning
_HEAD = re.compile(rb'\{"v":\d+,"id":"[^"]*","t":\d+,"s":"([^"]{1,200})"')
_PLACE = re.compile(rb'"p":\["([0-9a-f]{16}(?:\.[0-9a-f-]{36}){0,2})",(\d{1,19}),(\d{1,19})\]')
_META_PATH = re.compile(rb'"path":"((?:[^"\\]|\\.){1,4000})"')
_ESCAPED = re.compile(r"\\x[89a-f][0-9a-f]")  # a byte of a path that is no UTF-8, as it is recorded
_PLACEHOLDER = re.compile(PLACEHOLDER.pattern.replace("[a-z0-9-]{1,40}", "([a-z0-9-]{1,40})").encode())
_SOURCES = {"claude": (SOURCE, *WHOLE_SOURCES), "codex": (codex_files.SOURCE,)}  # of what can be given back
_GONE = {"retired": "its full text was retired", fmt.FORGOTTEN: "it was forgotten"}


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes [start, end) of a source file that cannot be given back, and why."""

    start_byte: int
    end_byte: int
    why: str


@dataclass(slots=True)
class Redacted:
    """What was taken out of a file's lines before they were recorded.

    Attributes:
        places: how many, by kind of secret.
        lines: in which lines, counted from 1.
    """

    places: dict[str, int] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)

    def add(self, line: int, kinds: Mapping[str, int]) -> None:
        for kind, places in kinds.items():
            self.places[kind] = self.places.get(kind, 0) + places
        self.lines.append(line)


@dataclass(frozen=True, slots=True)
class File:
    """What became of one file.

    Attributes:
        path: where it is now, or would be; of a file that has no place the recorded one. None: that is not known any more.
        state: WRITTEN, THERE, DIFFERS or REFUSED; see `placing.Outcome`.
        bytes: of what was recorded; None: it was not read to its end.
        redacted: what is missing in it on purpose.
        gaps: what is missing otherwise; then it is refused.
        why: None when it is there now.
    """

    path: str | None
    state: str
    bytes: int | None
    redacted: Redacted
    gaps: list[Gap]
    why: str | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of a session's files. `unread` are damaged ranges of the journal that do not say whose they were."""

    tool: str
    session: str
    target: str
    files: list[File]
    unread: list[Lost]

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there now."""
        return not self.unread and all(file.state in (WRITTEN, THERE) for file in self.files)


def restore(home: Home, name: str, to: Path | None = None, *, dry_run: bool = False) -> Restored:
    """Write a session's transcripts and agents' meta files; what stands there is never changed.

    Args:
        home: where it was recorded.
        name: the session's id, or its beginning.
        to: a directory that gets the directory of the project, or of Codex `sessions`; None: they are written where they lay.
        dry_run: write nothing, and say what would become of each file.

    Raises:
        NotFound, AmbiguousId: it is no session's id, or fits several; NotFound too when no transcript of it was recorded.
        UsageError: the target lies in the home.
        TransferFailed: the target cannot be made.
    """
    db = home.reader()
    try:
        key, native = _session(home, db, name)
        look = _Look(home, db, key)
        found = look.run()
    finally:
        db.close()
    if not found:
        raise NotFound(
            f"no transcript of session {native} is recorded here",
            hint="only what was read from Claude Code's transcripts and Codex's rollouts can be given back",
        )
    tool = key.partition(":")[0]
    settings = home.settings
    own = Path(
        os.path.realpath(settings.codex_home if tool == "codex" else settings.claude_config_dir / "projects")
    )
    target = _target(home, own if to is None else to, dry_run=dry_run)
    places = _Places(own, target, key, elsewhere=to is not None)
    files = [_restored(one, target, places, dry_run=dry_run) for one in found]
    return Restored(tool, native, str(target), files, look.unread)


def _session(home: Home, db: apsw.Connection, name: str) -> tuple[str, str]:
    """The key and the id of the session that a person means."""
    try:
        session_id = queries.session_id(db, name)
    except NotFound as exc:
        if any(home.forgotten().holds_session(key) for key in (name, f"claude:{name}", f"codex:{name}")):
            raise NotFound(f"session {name!r} was forgotten", hint="nothing of it is kept") from exc
        raise
    key, _ = queries.session_origin(db, session_id)
    return key, key.partition(":")[2]


def _target(home: Home, target: Path, *, dry_run: bool) -> Path:
    path = Path(os.path.realpath(target))
    if path.is_relative_to(home.path.resolve()):
        raise UsageError(f"{target} lies inside the home", hint="name a place outside of it")
    try:
        if not dry_run:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif path.exists() and not path.is_dir():
            raise NotADirectoryError(20, os.strerror(20))
    except OSError as exc:
        raise TransferFailed(exc.filename or target, exc.strerror or str(exc)) from exc
    return path


# ── where a file goes ──


class _Misplaced(Exception):
    """A file is not written anywhere; says why."""


class _Places:
    """Where recorded paths lie below the target.

    Args:
        own: the directory of projects in Claude Code's, or Codex's own.
        target: below which files are written.
        key: of their session.
        elsewhere: the target is not where they lay.
    """

    def __init__(self, own: Path, target: Path, key: str, *, elsewhere: bool) -> None:
        self._own = f"{printable_path(str(own))}/"
        self._target = target
        self._tool, _, self._session = key.partition(":")
        self._elsewhere = elsewhere

    def names(self, path: str | None, why_pathless: str) -> tuple[str, ...]:
        """The directories below the target, and the file's name.

        Raises:
            _Misplaced: it has no place there.
        """
        if path is None:
            raise _Misplaced(why_pathless)
        if not path.startswith("/"):
            raise _Misplaced("its recorded path is not whole")
        names = self._below(path)
        if "\0" in path or any(name in ("", ".", "..") for name in (*path.split("/")[1:], *names)):
            raise _Misplaced("its recorded path leads elsewhere than it says")
        if any(map(_ESCAPED.search, names)):
            raise _Misplaced("its name has bytes that are no UTF-8, and which they were is not told for sure")
        return names

    def _below(self, path: str) -> tuple[str, ...]:
        if path.startswith(self._own):
            return tuple(path[len(self._own) :].split("/"))
        if not self._elsewhere:
            raise _Misplaced(f"it did not lie below {self._own[:-1]}; --to DIR writes it elsewhere")
        names = path.split("/")[1:]
        if self._tool == "codex":
            kept = (codex_files.SESSIONS, codex_files.ARCHIVED)
            return tuple(names[max((at for at, name in enumerate(names[:-1]) if name in kept), default=-1) :])
        theirs = {self._session, f"{self._session}.jsonl"}
        at = max((at for at, name in enumerate(names) if name in theirs), default=len(names) - 1)
        return tuple(names[max(0, at - 1) :])

    def path(self, names: tuple[str, ...]) -> str:
        """Where it is written. Raises _Misplaced."""
        path = str(self._target.joinpath(*names))
        if self._tool == "codex" and os.path.lexists(f"{path}{codex_files.COMPRESSED}"):
            raise _Misplaced(f"Codex keeps a compressed one beside it: {path}{codex_files.COMPRESSED}")
        return path


def _restored(one: _Source | _Meta, target: Path, places: _Places, *, dry_run: bool) -> File:
    """Write one file, or say why not."""
    shown = one.path
    try:
        names = places.names(shown, one.why_pathless)
        shown = places.path(names)
        one.check()
        out = placing.put(target, names, one.content, dry_run=dry_run)
    except _Misplaced as exc:
        return File(shown, REFUSED, None, Redacted(), [], str(exc))
    except _Lacking as exc:
        return File(shown, REFUSED, None, Redacted(), exc.gaps, str(exc))
    except OSError as exc:
        return File(shown, REFUSED, None, Redacted(), [], exc.strerror or str(exc))
    return File(shown, out.state, out.size_bytes, one.redacted, [], out.why)


class _Lacking(Exception):
    """Something of a file is not there any more."""

    def __init__(self, gaps: list[Gap]) -> None:
        first = gaps[0]
        more = f"; and {len(gaps) - 1} more" if len(gaps) > 1 else ""
        super().__init__(f"bytes {first.start_byte} to {first.end_byte}: {first.why}{more}")
        self.gaps = gaps


# ── what the journal holds of a file ──


class _Piece(NamedTuple):
    """One line of a source file: where it stood there, and where its record stands; `gone` is why it has no body any more."""

    start: int
    end: int
    segment: int
    at: int
    record_end: int
    record_id: str
    gone: str | None


class _Source:
    """One generation of a transcript, as far as the journal holds it."""

    why_pathless = "the record that says where it lay cannot be read"

    def __init__(self, records: _Records, name: str) -> None:
        self._records = records
        self.name = name
        self.path: str | None = None
        self.generation = 0
        self.named: str | None = None  # the key of the session that the path names, or of a rollout its id
        self.thread: str | None = None  # of a rollout
        self.declared = 0  # when its place was last told, as a number that rises
        self.speaks = False  # of the session that is looked for
        self.flaw: str | None = None
        self.damaged: list[Gap] = []  # what damaged lines of the journal say they held
        self.known_bytes = 0  # how much of it was recorded, as the store has it
        self.redacted = Redacted()
        self._pieces: dict[tuple[int, str], _Piece] = {}
        self._lines: list[_Piece] = []

    def declare(self, path: str, generation: int, number: int) -> None:
        self.path, self.generation, self.declared = path, generation, number
        rollout, named = codex_files.rollout_of(self.name), session_named(path)
        if rollout is not None:
            self.named, self.thread = rollout.session, rollout.thread
        elif named is not None:
            self.named = f"claude:{named}"
        if file_id(path, generation) != self.name.partition(".")[0]:
            self.flaw = "its path is not recorded as it was"

    def add(self, item: reader.Found) -> None:
        record = item.record
        assert record.p is not None
        why = None if record.z is None else _GONE.get(record.z.why, f"it was removed ({record.z.why})")
        place = record.p.start, record.id
        piece = _Piece(*record.p[1:], item.segment, item.start, item.end, record.id, why)
        self._pieces.setdefault(place, piece)

    @property
    def is_empty(self) -> bool:
        return not self._pieces

    def check(self) -> None:
        """Raises _Misplaced, _Lacking: it cannot be given back."""
        if self.flaw is not None:
            raise _Misplaced(self.flaw)
        if gaps := self._gaps():
            raise _Lacking(gaps)

    def _gaps(self) -> list[Gap]:
        """What is missing, in order."""
        self._lines = sorted(self._pieces.values())
        there = {(piece.start, piece.end) for piece in self._lines}
        damaged = [gap for gap in self.damaged if (gap.start_byte, gap.end_byte) not in there]
        out, at = [], 0
        for piece in self._lines:
            if piece.start > at:
                out.append(Gap(at, piece.start, _why_missing(damaged, at, piece.start)))
            if piece.start < at or piece.end < piece.start:
                out.append(Gap(piece.start, max(at, piece.end), "it is recorded twice, and not alike"))
            if piece.gone is not None:
                out.append(Gap(piece.start, piece.end, piece.gone))
            at = max(at, piece.end)
        if (end := max([self.known_bytes, *(gap.end_byte for gap in damaged)])) > at:
            out.append(Gap(at, end, _why_missing(damaged, at, end)))
        return _joined(out)

    def content(self) -> Iterator[bytes]:
        """Its bytes. Raises _Lacking."""
        self.redacted = Redacted()
        for number, piece in enumerate(self._lines, 1):
            record = self._records.at(piece)
            size_bytes, kinds = 0, Counter(record.r or {})
            try:
                for chunk in chain(self._records.body(record), [record.e.encode()]):
                    size_bytes += len(chunk)
                    yield chunk
            except BlobDamaged:
                raise _Lacking(self._damaged_blobs()) from None
            if not kinds and size_bytes != piece.end - piece.start:
                kinds = self._placeholders(record)
                if not kinds:
                    raise _Lacking([Gap(piece.start, piece.end, "its record is not as long as it was")])
            if kinds:
                self.redacted.add(number, kinds)

    def _placeholders(self, record: fmt.Record) -> Counter[str]:
        """What was taken out of a record that does not say so, as those of earlier versions."""
        body = b"".join(self._records.body(record))
        return Counter(kind.decode() for kind in _PLACEHOLDER.findall(body))

    def _damaged_blobs(self) -> list[Gap]:
        out = []
        for piece in self._lines:
            try:
                for _ in self._records.body(self._records.at(piece)):
                    pass
            except BlobDamaged as exc:
                out.append(Gap(piece.start, piece.end, f"its blob {exc.why}"))
        return out


def _why_missing(damaged: list[Gap], start: int, end: int) -> str:
    """Why no record of these bytes is there."""
    told = [gap.why for gap in damaged if gap.start_byte < end and gap.end_byte > start]
    return "; ".join(dict.fromkeys(told)) or "no record of it is in the journal"


def _joined(gaps: list[Gap]) -> list[Gap]:
    """The same with neighbours of the same cause as one."""
    out: list[Gap] = []
    for gap in gaps:
        if out and out[-1].why == gap.why and out[-1].end_byte == gap.start_byte:
            gap = Gap(out.pop().start_byte, gap.end_byte, gap.why)  # noqa: PLW2901 - it takes the place of both
        out.append(gap)
    return out


class _Content(msgspec.Struct):
    path: str
    text: str | None = None
    base64: str | None = None


class _Meta:
    """A file that is recorded whole, as it was last: of an agent, or a long output."""

    why_pathless = (
        "the full texts of agents' meta files, or of long outputs, were retired, and with them where they lay"
    )

    def __init__(
        self, records: _Records, path: str | None, record: fmt.Record | None, flaw: str | None = None
    ) -> None:
        self._records = records
        self._record = record
        self.path = path
        self.flaw = flaw
        self.redacted = Redacted()

    def check(self) -> None:
        """Raises _Misplaced: it cannot be given back."""
        if self.flaw is not None:
            raise _Misplaced(self.flaw)

    def content(self) -> Iterator[bytes]:
        """Its bytes. Raises _Misplaced."""
        record = self._record
        assert record is not None
        try:
            raw = b"".join(self._records.body(record))
            held = msgspec.json.decode(raw, type=_Content)
            content = (held.text or "").encode() if held.base64 is None else base64.b64decode(held.base64)
        except (BlobDamaged, msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as exc:
            raise _Misplaced(f"its record cannot be read: {exc}") from exc
        if len(content) >= WHOLE_LIMIT_BYTES[record.s]:
            raise _Misplaced("it is longer than what is recorded of such a file")
        exact = derived(record.s, self.path or "", short(content.hex(), 64)) == record.id
        if not exact and not record.r and "\ufffd" in (held.text or ""):
            raise _Misplaced("it had bytes that are no UTF-8, and those are not recorded")
        self.redacted = Redacted()
        if record.r:
            lines = [n for n, line in enumerate(content.split(b"\n"), 1) if _PLACEHOLDER.search(line)]
            self.redacted = Redacted(dict(record.r), lines)
        yield content


class _Records:
    """Reads records at known places of the journal; neighbours cost one reading."""

    def __init__(self, home: Home) -> None:
        self._journal, self._blobs = home.journal, home.blobs
        self._segment, self._start, self._held = 0, 0, b""

    def at(self, piece: _Piece) -> fmt.Record:
        """A record that was met before. Raises _Lacking when it does not stand there any more."""
        held_end = self._start + len(self._held)
        if piece.segment != self._segment or not self._start <= piece.at <= piece.record_end <= held_end:
            self._fill(piece)
        line = self._held[piece.at - self._start : piece.record_end - self._start - 1]
        try:
            record = fmt.decode(line)
        except (fmt.Damaged, fmt.Newer):
            record = None
        if record is None or record.id != piece.record_id:
            why = "the journal was rewritten just now: run the same command again"
            raise _Lacking([Gap(piece.start, piece.end, why)])
        return record

    def _fill(self, piece: _Piece) -> None:
        held, size_bytes = [], 0
        for part in reader.pieces(self._journal, piece.segment, piece.at):
            if isinstance(part, sealed.Hole):
                break
            held.append(part)
            size_bytes += len(part)
            if size_bytes >= piece.record_end - piece.at:
                break
        self._segment, self._start, self._held = piece.segment, piece.at, b"".join(held)

    def body(self, record: fmt.Record) -> Iterator[bytes]:
        """The chunks of a body. Raises BlobDamaged."""
        if record.f is None:
            yield record.body_bytes() or b""
        else:
            yield from blobs.read(self._blobs, record.f)


# ── which files are theirs ──


class _Look:
    """Reads the journal once and finds what belongs to a session."""

    def __init__(self, home: Home, db: apsw.Connection, key: str) -> None:
        self._home = home
        self._db = db
        self._key = key
        self._recorded = _SOURCES.get(key.partition(":")[0], ())
        self._declarations = 0
        self._translators = translators()
        self._records = _Records(home)
        self._sources: dict[str, _Source] = {}
        self._metas: dict[str, _Meta] = {}
        self._retired_metas = False
        self.unread: list[Lost] = []

    def run(self) -> list[_Source | _Meta]:
        """Their files, by path."""
        damaged = []
        for item in reader.read(self._home.journal):
            if isinstance(item, reader.Damage):
                damaged.append(item)
                if (path := _meta_named(self._head(item))) is not None:
                    self._metas[path] = _Meta(
                        self._records, path, None, f"its newest record is damaged: {_where(item)}"
                    )
            elif item.record.s == FILE_SOURCE:
                self._declare(item.record)
            elif item.record.s in WHOLE_SOURCES:
                self._meta(item.record)
            elif item.record.s in self._recorded and item.record.p is not None:
                self._line(item)
        for item in damaged:
            self._blame(item)
        return self._theirs()

    def _source(self, name: str) -> _Source:
        if name not in self._sources:
            self._sources[name] = _Source(self._records, name)
        return self._sources[name]

    def _declare(self, record: fmt.Record) -> None:
        body = record.body_bytes() or b""
        if (found := declared(body)) is not None:
            self._declarations += 1
            self._source(found[0]).declare(found[1], _generation(body), self._declarations)

    def _line(self, item: reader.Found) -> None:
        assert item.record.p is not None
        source = self._source(item.record.p.file)
        if source.named not in (None, self._key):
            return
        source.add(item)
        if source.named is None and not source.speaks:
            source.speaks = self._speaks(item.record, source.path)

    def _speaks(self, record: fmt.Record, path: str | None) -> bool:
        start = start_of(record, 0, 0)
        events = outline.events_of(self._translators[record.s], record, self._home.blobs, path, start)
        return any(event.session == self._key for event in events or ())

    def _meta(self, record: fmt.Record) -> None:
        if record.z is not None:
            self._retired_metas |= self._speaks(record, None)
            return
        path = outline.outline(bodies.as_it_is(record, self._home.blobs)).get("path")
        if path is not None and f"claude:{session_named(path) or self._key.partition(':')[2]}" == self._key:
            self._metas[path] = _Meta(self._records, path, record)

    # ── damage ──

    def _head(self, item: reader.Damage) -> bytes:
        """The beginning of a damaged line; empty: it cannot be read at all."""
        for part in reader.pieces(self._home.journal, item.segment, item.start):
            return b"" if isinstance(part, sealed.Hole) else part[: min(_HEAD_BYTES, item.end - item.start)]
        return b""

    def _blame(self, item: reader.Damage) -> None:
        """Find out which file a damaged line was of, or keep it as one that may be of theirs."""
        head = self._head(item)
        source = _HEAD.match(head)
        if source is not None and source[1].decode("latin-1") not in self._recorded:
            return
        place = _PLACE.search(head)
        file = self._sources.get(place[1].decode()) if place else None
        if place and file is not None:
            why = f"its record is damaged: {_where(item)}"
            file.damaged.append(Gap(int(place[2]), int(place[3]), why))
        elif _meta_named(head) is None:
            self.unread.append(Lost(item.segment, item.start, item.end, item.why))

    # ── the choice ──

    def _theirs(self) -> list[_Source | _Meta]:
        newest: dict[str, _Source] = {}
        paths: set[str] = set()
        pathless: list[_Source | _Meta] = []
        for source in self._sources.values():
            if source.path is None:
                if source.speaks:
                    pathless.append(source)
                continue
            if self._is_theirs(source):
                paths.add(source.path)
            if source.path not in newest or newest[source.path].generation < source.generation:
                newest[source.path] = source
        files: list[_Source | _Meta] = [
            self._checked(newest[path]) for path in sorted(paths) if self._lay_there_last(newest[path], paths)
        ]
        metas = [meta for path, meta in sorted(self._metas.items()) if self._is_beside(path, paths)]
        if self._retired_metas and not metas:
            metas.append(_Meta(self._records, None, None))
        return [*files, *metas, *pathless]

    def _lay_there_last(self, source: _Source, paths: set[str]) -> bool:
        """Whether a rollout lay at no other of these paths later, as one that was archived."""
        others = (one for one in self._sources.values() if one.thread is not None and one.path in paths)
        return not any(one.thread == source.thread and one.declared > source.declared for one in others)

    def _is_theirs(self, source: _Source) -> bool:
        return source.speaks if source.named is None else source.named == self._key

    def _is_beside(self, path: str, paths: set[str]) -> bool:
        named = session_named(path)
        return f"claude:{named}" == self._key if named is not None else transcript_beside(path) in paths

    def _checked(self, source: _Source) -> _Source:
        """The newest generation of a path, with what the store knows of it."""
        row = self._db.execute(statements("queries")["cursors_of_path"], {"path": source.path}).fetchone()
        if row is not None and row[0] == source.name:
            source.known_bytes = row[2]
        if not self._is_theirs(source):
            source.flaw = "its content was replaced, and the newer one is of another session"
        elif source.is_empty and not source.known_bytes:
            source.flaw = "nothing of its newest content is recorded"
        return source


class _Declared(msgspec.Struct):
    generation: int = 0


def _generation(body: bytes) -> int:
    try:
        return msgspec.json.decode(body, type=_Declared).generation
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


def _meta_named(head: bytes) -> str | None:
    """The path that a damaged record of a whole file names."""
    source, path = _HEAD.match(head), _META_PATH.search(head)
    if source is None or path is None or source[1].decode("latin-1") not in WHOLE_SOURCES:
        return None
    try:
        return msgspec.json.decode(b'"' + path[1] + b'"', type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _where(item: reader.Damage) -> str:
    return f"journal segment {item.segment} bytes {item.start} to {item.end}"
