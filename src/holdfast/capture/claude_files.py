"""Find the history of Claude Code and of Codex on disk and read what is new in it.

`find` lists transcripts, subagents' meta files and rollouts, newest first. `Reader` turns the bytes behind a file's cursor into
journal lines. Where reading goes on comes from the store, which has it from the journal: append and cursor
advance are one act.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import os
import re
import stat
import zlib
from collections import Counter
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from holdfast import clock
from holdfast.capture import codex_files
from holdfast.capture.claude_transcripts import META_SOURCE, RESULT_SOURCE, SOURCE
from holdfast.capture.lines import CHUNK_BYTES, LONG_LINE_BYTES, Stretch, Unsteady, read_lines
from holdfast.errors import NotFound
from holdfast.ids import derived, short
from holdfast.journal.format import Position, left_out
from holdfast.plain_files import content_of
from holdfast.store.outline import outline
from holdfast.store.project import FILE_SOURCE
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from holdfast.journal.writer import Writer

_BATCH_BYTES = 4 << 20
_SNIFF_BYTES = 64 << 10
_TELLING_LIMIT_BYTES = (
    16 << 20
)  # how far lines are read that name no session; a longer one is passed through as it is looked at
WHOLE_LIMIT_BYTES: Final = {META_SOURCE: 1 << 20, RESULT_SOURCE: 8 << 20}  # of a file that is one record
_DIGEST_DIGITS = 32
_TRANSCRIPT_NAME = re.compile(r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|agent-[^/]*)\.jsonl\Z")
_SESSION_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_SESSION_ID = re.compile(rb'"sessionId"\s*:\s*"([0-9a-f-]{1,300})"')  # on a line that is no single object
_META_END = ".meta.json"
_RESULTS = "tool-results"  # a session's directory for outputs that are too long for its transcript
_BELOW_SESSION = frozenset({"subagents", _RESULTS})
_META_NAME = re.compile(r"agent-[^/]*\.meta\.json\Z")
_encode = msgspec.json.Encoder().encode


class SourceFile(NamedTuple):
    """One file as it was found: sizes in bytes, time of the last change in ns. `is_meta`: it is recorded whole."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int
    is_meta: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or directory that could not be looked at, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a file was recorded: its id in the journal, its generation, and how its last line checks."""

    file: str
    generation: int
    consumed_bytes: int
    last_start: int
    last_crc: int


def find(paths: Iterable[Path]) -> tuple[list[SourceFile], list[Unreadable]]:
    """Everything to read below the paths, sessions with the newest change first, and what could not be looked at.

    Raises:
        NotFound: a path does not exist.
    """
    files: dict[str, SourceFile] = {}
    unreadable: list[Unreadable] = []
    for path in paths:
        real = os.path.realpath(path)
        if not os.path.lexists(real):
            raise NotFound(
                f"{path}: no such file or directory", hint="give a transcript, or a directory that holds some"
            )
        for found in _walk(real, unreadable):
            files[found.path] = found
    newest: dict[str, int] = {}
    keyed = [(_session_key(file.path), file) for file in files.values()]
    for key, file in keyed:
        newest[key] = max(newest.get(key, 0), file.mtime_ns)
    ordered = sorted((-newest[key], file.is_meta, file.path, file) for key, file in keyed)
    return [file for *_, file in ordered], unreadable


def _session_key(path: str) -> str:
    """What keeps a session's main transcript and what belongs to it together."""
    for below in _BELOW_SESSION:
        head, sep, _ = path.partition(f"/{below}/")
        if sep:
            return head
    return path.removesuffix(".jsonl")


def session_of(file: SourceFile) -> str | None:
    """The session whose main transcript this is, by its name; None for anything else."""
    name = file.path.rsplit("/", 1)[-1]
    found = None if file.is_meta or name.startswith("agent-") else _TRANSCRIPT_NAME.match(name)
    return name.removesuffix(".jsonl") if found else None


def session_named(path: str) -> str | None:
    """The session that a source file's path names: of its main transcript, or of the directory with what belongs to it."""
    *above, name = path.split("/")
    names = [name.removesuffix(".jsonl"), *(one for one, below in pairwise(above) if below in _BELOW_SESSION)]
    return next((one for one in names if _SESSION_NAME.match(one)), None)


def transcript_beside(path: str) -> str:
    """The transcript to which an agent's meta file, or a long output, belongs; of any other path itself."""
    directory, _, _ = path.rpartition("/")
    if _holds_results(directory):
        return f"{directory.removesuffix(f'/{_RESULTS}')}.jsonl"
    return f"{path.removesuffix(_META_END)}.jsonl" if path.endswith(_META_END) else path


def _holds_results(directory: str) -> bool:
    """Whether a directory is one where a session keeps long outputs."""
    above, _, name = directory.rpartition("/")
    return name == _RESULTS and _SESSION_NAME.match(above.rpartition("/")[2]) is not None


def whole_source(path: str) -> str | None:
    """The source of a file that is recorded whole; None: it is no such file."""
    directory, _, name = path.rpartition("/")
    if _holds_results(directory):
        return RESULT_SOURCE
    return META_SOURCE if name.endswith(".json") and _META_NAME.search(name) is not None else None


def session_told(file: SourceFile) -> str | None:
    """The session that the first lines of a transcript name, however long they are; None: they name none, or cannot be read."""
    try:
        fd = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        for at, line, _ in read_lines(fd, 0):
            if told := next(filter(None, sorted(sessions_of_line(line))), None):
                return told
            if at > _TELLING_LIMIT_BYTES:
                break
    except OSError:
        pass
    finally:
        os.close(fd)
    return None


def key_named(path: str) -> str | None:
    """The key of the session that a source file's path names."""
    if (session := session_named(path)) is not None:
        return f"claude:{session}"
    rollout = codex_files.rollout_named(path)
    return None if rollout is None else rollout.session


def key_told(file: SourceFile) -> str | None:
    """The key of the session that a source file's first lines name: of a rollout its first one, which names more than its path."""
    with contextlib.suppress(OSError):
        if (rollout := codex_files.look_into(file.path)) is not None:
            return rollout.session
    if (named := key_named(file.path)) is not None:
        return named
    session = session_told(file)
    return None if session is None else f"claude:{session}"


def sessions_of_line(line: bytes | Stretch) -> set[str]:
    """The sessions that one line of a transcript names."""
    if isinstance(line, bytes):
        try:
            return {msgspec.json.decode(line, type=_Sniffed).sessionId}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {found.decode() for found in _SESSION_ID.findall(line)}
    with contextlib.suppress(Unsteady):  # who records it says so
        return {outline(line.chunks()).get("sessionId") or ""}
    return set()


def _walk(real: str, unreadable: list[Unreadable]) -> Iterator[SourceFile]:
    if not os.path.isdir(real):  # noqa: PTH112 - os.walk speaks strings
        if file := _look(real, whole_source(real) is not None, unreadable):
            yield file
        return

    visited = _Visited(real)
    todo = [real]
    while todo:
        directory = todo.pop()
        try:
            with os.scandir(directory) as entries:
                found = list(entries)
        except OSError as exc:
            unreadable.append(Unreadable(directory, exc.strerror or str(exc)))
            continue
        names = {entry.name for entry in found}
        holds_results = _holds_results(directory)
        for entry in found:
            name = entry.name
            if _is_directory(entry):
                if visited.is_new(entry):
                    todo.append(entry.path)
                continue
            is_meta = holds_results or (name.endswith(".json") and _META_NAME.search(name) is not None)
            plain = codex_files.plain_path(name)
            if not is_meta and (not plain.endswith(".jsonl") or (plain != name and plain in names)):
                continue
            file = _look(entry.path, is_meta, unreadable)
            if file and (is_meta or _is_named_like_one(name) or _is_transcript(file, unreadable)):
                yield file


def _is_named_like_one(name: str) -> bool:
    return _TRANSCRIPT_NAME.match(name) is not None or codex_files.is_named_like_one(name)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


class _Visited:
    """Directories that were met; links may lead to one twice, or in a circle.

    Only links cost a look of their own: of other directories the listing tells the inode, and without links none comes twice.
    """

    def __init__(self, root: str) -> None:
        self._paths = {os.stat(root).st_ino: root}  # noqa: PTH116 - of directories that are no links
        self._linked: set[tuple[int, int]] = set()

    def is_new(self, entry: os.DirEntry[str]) -> bool:
        """Whether a directory was not met before."""
        try:
            if not entry.is_symlink():
                known = self._linked and _mark(entry.stat()) in self._linked
                self._paths[entry.inode()] = entry.path
                return not known
            mark = _mark(entry.stat())
            other = self._paths.get(mark[1])
            if mark in self._linked or (other is not None and _mark(os.stat(other)) == mark):  # noqa: PTH116
                return False
        except OSError:
            return False
        self._linked.add(mark)
        return True


def _mark(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _look(path: str, is_meta: bool, unreadable: list[Unreadable]) -> SourceFile | None:  # noqa: FBT001 - a column
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError as exc:
        unreadable.append(Unreadable(path, exc.strerror or str(exc)))
        return None
    if not stat.S_ISREG(found.st_mode):  # no pipes, no devices
        return None
    return SourceFile(path, found.st_size, found.st_mtime_ns, found.st_ino, is_meta)


def _is_transcript(file: SourceFile, unreadable: list[Unreadable]) -> bool:
    """Whether a file of another name looks like a transcript: a record with `type` and `sessionId` near its start, or like a rollout."""
    try:
        with open(file.path, "rb") as opened:  # noqa: PTH123
            head = opened.read(_SNIFF_BYTES)
            if codex_files.look(opened.fileno()) is not None:
                return True
    except OSError as exc:
        unreadable.append(Unreadable(file.path, exc.strerror or str(exc)))
        return False
    return any(looked.type and looked.sessionId for looked in _sniffed(head))


def _sniffed(head: bytes) -> Iterator[_Sniffed]:
    for line in head.split(b"\n"):
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield msgspec.json.decode(line, type=_Sniffed)


class _Sniffed(msgspec.Struct):
    type: str = ""
    sessionId: str = ""  # noqa: N815 - the tool's own spelling


class Reader:
    """Appends what is new in source files to the journal.

    Args:
        writer: the journal.
        cursors: where reading a path goes on (None: it was never read).
        after_append: called after each batch with the bytes appended; may fold them; True stops the reading.
        key: gives what the digests of lines are made with.
        is_left_out: whether a tombstone is recorded in the place of a line; None: of none.
    """

    def __init__(
        self,
        writer: Writer,
        cursors: Callable[[str], Cursor | None],
        after_append: Callable[[int], bool],
        key: Callable[[], bytes],
        is_left_out: Callable[[bytes | Stretch], bool] | None = None,
    ) -> None:
        self._is_left_out = is_left_out
        self._writer = writer
        self._cursors = cursors
        self._after_append = after_append
        self._key = key

    def read(self, file: SourceFile, known_digest: str | None = None) -> tuple[bool, str | None]:
        """Record what is new; returns whether it was read to its end, and a digest to be given the next time.

        The digest is that of a file that is recorded whole, or of the last recorded line of a transcript.

        Raises:
            OSError: the file could not be read; what was appended before stays.
        """
        if file.is_meta:
            return True, self._read_whole(file, known_digest)
        return self._read_transcript(file.path, known_digest)

    def close(self) -> None:
        """Nothing is held."""

    # ── files that are one record: written anew as a whole ──

    def _read_whole(self, file: SourceFile, known_digest: str | None) -> str:
        source = whole_source(file.path) or META_SOURCE
        if source == RESULT_SOURCE and file.size_bytes > WHOLE_LIMIT_BYTES[source]:
            why = f"it has {file.size_bytes} bytes, and is not recorded; {WHOLE_LIMIT_BYTES[source]} would be"
            raise OSError(errno.EFBIG, why)
        with open(file.path, "rb") as opened:  # noqa: PTH123
            raw = opened.read(WHOLE_LIMIT_BYTES[source])
        shown = printable_path(file.path)
        digest = derived(source, shown, short(raw.hex(), 64))
        if digest != known_digest:
            body = {
                "path": shown,
                "text": raw.decode(errors="replace"),
            }  # encoded, it would pass redaction unread
            line = self._writer.line(source, _encode(body), digest)
            self._writer.append_lines([line])
            self._after_append(len(line))
        return digest

    # ── transcripts: only ever appended to, until they are replaced ──

    def _read_transcript(self, path: str, known_digest: str | None) -> tuple[bool, str | None]:
        with codex_files.content(path, self._writer.directory) as fd:
            shown = recorded_path(path)
            cursor = self._cursors(shown)
            start, generation, digest = 0, 0, None
            if cursor is not None:
                last = Position(cursor.file, cursor.last_start, cursor.consumed_bytes)
                digest = self._line_digest(last, _stretch(fd, last.start, last.end))
                if digest == known_digest or _continues(fd, cursor, self._writer):
                    start, generation = cursor.consumed_bytes, cursor.generation
                else:
                    generation, digest = cursor.generation + 1, None
            if start == os.fstat(fd).st_size:
                return True, digest
            into = _what_it_is(fd, shown, generation)
            if into is None:
                return True, digest
            source, file = into
            declared = {"id": file, "source": source, "path": shown, "generation": generation}
            header = self._writer.line(FILE_SOURCE, _encode(declared), derived(FILE_SOURCE, file))
            complete, newer = self._append(fd, source, file, start, header)
            return complete, newer or digest

    def _append(self, fd: int, source: str, file: str, start: int, header: bytes) -> tuple[bool, str | None]:
        """Append line by line, in batches; whether the end was reached, and the last line's digest."""
        batch, size = [header], 0
        last: tuple[Position, bytes | Stretch, str] | None = None
        line_of, key = self._writer.line, f"{source}:{file}"
        hold_limit_bytes = max(LONG_LINE_BYTES, self._writer.inline_limit_bytes)
        for at, body, line_end in read_lines(fd, start, hold_limit_bytes):
            place = Position(file, at, at + len(body) + len(line_end))
            last = place, body, line_end
            if self._is_left_out is not None and self._is_left_out(body):
                line = left_out(derived(key, str(at)), clock.now_us(), source, place, line_end)
                size += len(line)
            elif isinstance(body, bytes):
                line = line_of(source, body, derived(key, str(at)), place, line_end)
                size += len(line)
            else:
                line = self._long_line(source, body, derived(key, str(at)), place, line_end)
                size += len(body)
            batch.append(line)
            if size >= _BATCH_BYTES:
                self._writer.append_lines(batch)
                batch, appended, size = [], size, 0
                if self._after_append(appended):
                    return False, self._digest_of_last(*last)
        if size:
            self._writer.append_lines(batch)
            self._after_append(size)
        return True, self._digest_of_last(*last) if last else None

    def _digest_of_last(self, place: Position, body: bytes | Stretch, line_end: str) -> str | None:
        chunks = [body] if isinstance(body, bytes) else body.chunks()
        try:
            return self._line_digest(place, chain(chunks, [line_end.encode()]))
        except Unsteady:  # the next reading compares it with what was recorded
            return None

    def _line_digest(self, place: Position, chunks: Iterable[bytes]) -> str:
        """What a line is known by, as its source has it: another key's tells nothing of it, and no other rules change it."""
        digest = hmac.new(self._key(), f"line\0{place.file}\0{place.start}\0".encode(), hashlib.sha256)
        for chunk in chunks:
            digest.update(chunk)
        return digest.hexdigest()[:_DIGEST_DIGITS]

    def _long_line(self, source: str, body: Stretch, record_id: str, place: Position, line_end: str) -> bytes:
        try:
            return self._writer.line_of_stream(source, body.chunks(), record_id, place, line_end)
        except Unsteady as exc:
            raise OSError(errno.EIO, str(exc)) from exc


def _what_it_is(fd: int, path: str, generation: int) -> tuple[str, str] | None:
    """The source of an open file and its id in the journal; None: it will be a rollout, but does not say yet of which thread."""
    name = file_id(path, generation)
    if _TRANSCRIPT_NAME.match(path.rsplit("/", 1)[-1]) is not None:
        return SOURCE, name
    if (rollout := codex_files.look(fd)) is not None:
        return codex_files.SOURCE, rollout.file_id(name)
    if not codex_files.is_named_like_one(path):
        return SOURCE, name
    told = codex_files.rollout_named(path) if codex_files.begins_with_a_line(fd) else None
    return None if told is None else (codex_files.SOURCE, told.file_id(name))


def _continues(fd: int, cursor: Cursor, writer: Writer) -> bool:
    """Whether the file is still the one the cursor is about: the last recorded line stands where it stood.

    If something was taken out of the line when it was recorded, it is compared without it; that tells nothing when rules or the
    environment have changed since, so the line's digest is asked first (`Reader`).
    """
    if os.fstat(fd).st_size < cursor.consumed_bytes:
        return False
    if _crc(_stretch(fd, cursor.last_start, cursor.consumed_bytes)) == cursor.last_crc:
        return True
    size = cursor.consumed_bytes - cursor.last_start
    tail = os.pread(fd, min(size, 2), cursor.consumed_bytes - min(size, 2))
    line_end = b"\r\n" if tail == b"\r\n" else b"\n" if tail.endswith(b"\n") else b""
    body = _stretch(fd, cursor.last_start, cursor.consumed_bytes - len(line_end))
    if size > max(LONG_LINE_BYTES, writer.inline_limit_bytes):
        return _crc(chain(writer.redactor.stream(body, Counter()), [line_end])) == cursor.last_crc
    return _crc([writer.redactor.clean(b"".join(body)).body, line_end]) == cursor.last_crc


def _stretch(fd: int, start: int, end: int) -> Iterator[bytes]:
    at = start
    while at < end and (chunk := os.pread(fd, min(CHUNK_BYTES, end - at), at)):
        yield chunk
        at += len(chunk)


def _crc(chunks: Iterable[bytes]) -> int:
    crc = 0
    for chunk in chunks:
        crc = zlib.crc32(chunk, crc)
    return crc


def file_id(path: str, generation: int) -> str:
    """The id of one generation of a path; the path becomes another file when its content is replaced."""
    return short(f"{path}\0{generation}")


def recorded_path(path: str) -> str:
    """The path under which a source file is recorded, as text: of a compressed rollout that of the plain one."""
    return printable_path(codex_files.plain_path(path))


def sweep_days(config_dir: Path) -> int | None:
    """After how many days Claude Code deletes a transcript that was not changed; None: its settings cannot be read."""
    try:
        raw = content_of(config_dir / "settings.json")
    except FileNotFoundError:
        return DEFAULT_SWEEP_DAYS
    except OSError:
        return None
    try:
        days = msgspec.json.decode(raw, type=_ToolSettings).cleanupPeriodDays
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if days is None:
        return DEFAULT_SWEEP_DAYS
    return days if days > 0 else None


DEFAULT_SWEEP_DAYS: Final = 30


class _ToolSettings(msgspec.Struct):
    cleanupPeriodDays: int | None = None  # noqa: N815 - the tool's own spelling
