"""`forgotten`: what was forgotten on a person's word, and is left out when it comes again.

The file is one JSON object, replaced as a whole, mode 0600:

    {"format":1,"key":h,"sessions":[{"session":h,"paths":[h,…],"records":[h,…],"unfinished":true,"files":[h,…]},…]}

Every `h` is a keyed hash (HMAC-SHA-256, 32 of its hexadecimal digits) of a name, under the home's key: without the key nobody can
ask the file whether some session was ever here. `key` tells whether the key is still the one that they were made with. `paths`
are those of the session's source files, `records` ids of single records in places that go on: a move of a workspace, a title in another
session's file. `unfinished` and `files` (ids of source files in the journal) stand there until the journal holds nothing of it any more.
"""

from __future__ import annotations

import hmac
import os
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from holdfast.capture import claude_files, claude_hooks, codex_hooks, progress
from holdfast.errors import HomeError, UsageError
from holdfast.failpoints import failpoint
from holdfast.journal import blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from holdfast.capture.claude_files import SourceFile
    from holdfast.capture.inbox import Taken
    from holdfast.capture.lines import Stretch

NAME = "forgotten"
TEMPORARY = f".{NAME}.new"
FORMAT = 1
_DIGITS = 32
_MOST_HASHES = 1 << 16  # kept in memory; a journal names the same sessions and files again and again
_HINT = "restore the file and redaction-key from a backup; without `forgotten`, what was forgotten is recorded again"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is known of one forgotten session, each a keyed hash."""

    session: str
    paths: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()
    unfinished: bool = False
    files: frozenset[str] = frozenset()

    def with_more(self, paths: Iterable[str], records: Iterable[str], files: Iterable[str]) -> Entry:
        """The same with more to look for; its work is not done then."""
        return Entry(
            session=self.session,
            paths=self.paths.union(paths),
            records=self.records.union(records),
            unfinished=True,
            files=self.files.union(files),
        )

    def without(self, paths: frozenset[str], records: frozenset[str]) -> Entry:
        """The same with less to look for."""
        return msgspec.structs.replace(self, paths=self.paths - paths, records=self.records - records)

    def finished(self) -> Entry:
        """The same when the journal holds nothing of it any more."""
        return Entry(session=self.session, paths=self.paths, records=self.records)


class _File(msgspec.Struct):
    format: int
    key: str
    sessions: list[Entry]


class Hashes:
    """Keyed hashes of names; the same name as a session and as a path has different ones."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._of = lru_cache(_MOST_HASHES)(self._hash)

    def _hash(self, sort: str, name: str) -> str:
        text = f"holdfast.forgotten\0{sort}\0{name}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, "sha256").hex()[:_DIGITS]

    def key(self) -> str:
        return self._of("key", "")

    def session(self, key: str) -> str:
        """Of a session's key ("claude:<id>", "codex:<id>")."""
        return self._of("session", key)

    def path(self, path: str) -> str:
        """Of a source file's path, as declarations have it."""
        return self._of("path", path)

    def record(self, record_id: str) -> str:
        return self._of("record", record_id)

    def file(self, file_id: str) -> str:
        return self._of("file", file_id)


class Forgotten:
    """The list of one home. It is read when it is made; who changes it holds the writer's lock.

    Args:
        home: the home.
        key: gives the home's key; asked only when there is something to compare.

    Raises:
        HomeError: the list cannot be relied on. It is never taken for an empty one.
    """

    def __init__(self, home: Path, key: Callable[[], bytes]) -> None:
        self._path = home / NAME
        self._key = key
        self._hashes: Hashes | None = None
        self.entries = self._read()
        self._sessions = {entry.session for entry in self.entries}
        self._paths = {path for entry in self.entries for path in entry.paths}
        self._records = {record for entry in self.entries for record in entry.records}

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def hashes(self) -> Hashes:
        if self._hashes is None:
            self._hashes = Hashes(self._key())
        return self._hashes

    @property
    def unfinished(self) -> list[Entry]:
        """Those of which the journal may still hold something."""
        return [entry for entry in self.entries if entry.unfinished]

    def _read(self) -> list[Entry]:
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise HomeError(f"{self._path}: cannot be read: {exc}", hint=_HINT) from exc
        if found.format > FORMAT:
            hint = "upgrade this Holdfast (`pip install --upgrade holdfast`)"
            raise HomeError(f"{self._path}: written by a newer Holdfast", hint=hint)
        if found.sessions and found.key != self.hashes.key():
            raise HomeError(f"{self._path}: it was made with another redaction-key", hint=_HINT)
        return found.sessions

    def save(self, entries: Iterable[Entry]) -> None:
        """Replace the list; when this returns, the new one survives a power cut.

        Raises:
            OSError: it could not be written; the old one stands.
        """
        kept = sorted(entries, key=lambda entry: entry.session)
        temporary = self._path.with_name(TEMPORARY)
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            listed = _File(FORMAT, self.hashes.key(), kept)
            blobs.write_all(fd, msgspec.json.encode(listed, order="deterministic") + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        failpoint("forget.naming")
        temporary.replace(self._path)
        blobs.sync_directory(self._path.parent)

    # ── what is left out ──

    def holds_session(self, key: str) -> bool:
        """Whether the session of this key was forgotten."""
        return bool(self.entries) and self.hashes.session(key) in self._sessions

    def holds_record(self, record_id: str) -> bool:
        """Whether a record is one of those that were forgotten one by one."""
        return bool(self._records) and self.hashes.record(record_id) in self._records

    def holds_path(self, path: str) -> bool:
        """Whether a path, as declarations have it, is that of a forgotten session: it was one before, or names one.

        A meta file's path is that of the transcript beside it.
        """
        if not self.entries:
            return False
        named = claude_files.key_named(path)
        return self.hashes.path(claude_files.transcript_beside(path)) in self._paths or (
            named is not None and self.holds_session(named)
        )

    def holds(self, file: SourceFile) -> bool:
        """Whether a source file is left out; one whose name names no session is asked for the one that it tells of, or its transcript."""
        if not self.entries:
            return False
        path = claude_files.recorded_path(file.path)
        if self.holds_path(path):
            return True
        if claude_files.session_named(path) is not None:
            return False
        told = claude_files.key_told(file._replace(path=claude_files.transcript_beside(file.path)))
        return told is not None and self.holds_session(told)

    def holds_line(self, line: bytes | Stretch) -> bool:
        """Whether a line of a transcript speaks of a forgotten session."""
        return any(self.holds_session(f"claude:{one}") for one in claude_files.sessions_of_line(line))

    def holds_payload(self, spool: Taken, payload: bytes) -> bool:
        """Whether what a hook or an agent left in a spool speaks of a forgotten session."""
        if not self.entries:
            return False
        if spool.tool is None:
            return self.holds_session(progress.session_of(spool.name))
        session = (codex_hooks if spool.tool == "codex" else claude_hooks).session_of(payload)
        return session is not None and self.holds_session(session)

    def remember(self, sessions: Iterable[str], paths: Iterable[str], records: Iterable[str] = ()) -> None:
        """Take these off the list: sessions by their keys with all that is listed of them, of others single paths and ids of records.

        Raises:
            UsageError: the journal may still hold something of it.
            OSError: the list could not be written.
        """
        hashes = self.hashes
        back = {*map(hashes.session, sessions)}
        named = frozenset(map(hashes.path, paths)), frozenset(map(hashes.record, records))
        hit = [e for e in self.entries if e.session in back or e.paths & named[0] or e.records & named[1]]
        _refuse_unfinished(hit)
        if hit:
            self.save(entry.without(*named) for entry in self.entries if entry.session not in back)

    def refuse_unfinished(self) -> None:
        """Raises UsageError when the journal may still hold something of any session on the list."""
        _refuse_unfinished(self.entries)

    def remember_files(self, files: Iterable[SourceFile]) -> None:
        """Take off the list what these source files are of; raises as `remember`."""
        given = list(files) if self.entries else []
        paths = [claude_files.recorded_path(file.path) for file in given]
        told = [
            claude_files.key_named(path) if claude_files.session_named(path) else claude_files.key_told(file)
            for path, file in zip(paths, given, strict=True)
        ]
        self.remember([key for key in told if key is not None], paths)


def _refuse_unfinished(entries: Iterable[Entry]) -> None:
    if any(entry.unfinished for entry in entries):
        hint = "`holdfast forget` ends it; import it again after that"
        raise UsageError("a session that is to be imported is not wholly forgotten yet", hint=hint)
