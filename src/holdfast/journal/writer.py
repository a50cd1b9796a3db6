"""Append records so that an acknowledged one survives the writer's death.

What a returned `append` promises:
    the record survives `kill -9` of this process; with `durable=True` it also survives a power cut.
    Without it, a power cut may take what was appended since the last group sync (`fsync_interval_s`, 1 s).

How:
    One append is one `write(2)` on a descriptor opened with O_APPEND. Writers of any number of processes share a
    segment and never wait for each other: each holds a shared lock on the segment it writes, so that nobody
    seals it; who finds the segment full creates the next one with O_EXCL and moves on.
    A short write is not continued; the whole record is appended again.
    A failed fsync is not retried on the same file, because the kernel reports an error once and then forgets
    (measured on ext4: the second fsync returns success). A new segment is opened and everything appended
    since the last good sync is appended again, under the same ids. While that fails too, `sync` and
    `durable=True` fail, and each later one tries again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
import weakref
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from holdfast import clock, forks, redact
from holdfast.errors import AppendFailed
from holdfast.failpoints import failpoint
from holdfast.ids import uuid7
from holdfast.journal import blobs, segments
from holdfast.journal import format as fmt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

UNSYNCED_LIMIT_BYTES = 8 << 20  # what may be kept in memory for a failed fsync; reaching it syncs at once
LARGEST_INLINE_BYTES = (
    8 << 20
)  # written as a JSON string it stays below what readers take for an endless line
_LOOK_BYTES = 64 << 10  # a writer looks at its segment's size after so many bytes of its own
_ATTEMPTS = 3  # whole-record attempts after short writes; the second one normally names the cause (ENOSPC)

_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


class Writer:
    """Appends to one journal. Safe for threads; a forked child opens its own descriptor at its first append.

    Args:
        directory: the journal's directory; must exist.
        blob_directory: where bodies over `inline_limit_bytes` go.
        host: the host id, written at the start of each segment this writer creates.
        segment_size_bytes: a segment at least this long is left for the next one.
        fsync_interval_s: group sync by a background thread; 0 leaves syncing to `sync` and `durable=True`.
        redactor: gives what every body passes, when the first one comes; by default one whose placeholders no other process
            can make.
    """

    def __init__(
        self,
        directory: Path,
        blob_directory: Path,
        host: str,
        *,
        segment_size_bytes: int = 64 << 20,
        inline_limit_bytes: int = 256 << 10,
        fsync_interval_s: float = 1.0,
        redactor: Callable[[], redact.Redactor] = lambda: redact.Redactor(),  # noqa: PLW0108 - imported when it is called
    ) -> None:
        self.directory = directory
        self._blobs = blob_directory
        self._host = host
        self._make_redactor = redactor
        self._segment_size_bytes = segment_size_bytes
        self._look_every_bytes = min(_LOOK_BYTES, segment_size_bytes // 16)  # whether the segment is full
        self.inline_limit_bytes = min(inline_limit_bytes, LARGEST_INLINE_BYTES)
        self._fsync_interval_s = fsync_interval_s
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._fd = -1
        self._file = (0, 0)  # which one that is, for a child forked while it is being closed
        self._segment = 0
        self._full = False
        self._named = False  # whether the segment's name in its directory is durable
        self._unsynced: list[bytes] = []
        self._unsynced_bytes = 0
        self._unlooked_bytes = 0
        self._stranded: str | None = None  # why the file that `_unsynced` was written to cannot be synced
        self._flushing = threading.RLock()  # held by the background thread while it syncs without `_lock`
        self._in_flight: list[bytes] = []  # what it syncs; still there afterwards when that failed
        self._flush_error: OSError | None = None  # why
        self._stop = threading.Event()
        self._syncer: threading.Thread | None = None
        self.sync_failures = 0

    @cached_property
    def redactor(self) -> redact.Redactor:
        """What every body passes. Made when it is first needed: that takes longer than to look that nothing is new."""
        return self._make_redactor()

    # ── appending ──

    def append(
        self,
        source: str,
        body: bytes,
        *,
        record_id: str | None = None,
        position: fmt.Position | None = None,
        durable: bool = False,
    ) -> str:
        """Append one record; when this returns its id, the record survives the death of this process.

        Raises:
            AppendFailed: nothing was acknowledged; earlier records are intact.
        """
        record_id = record_id or uuid7()
        cleaned = self.redactor.clean(body)
        member = self._member(cleaned.body)
        line = fmt.encode(record_id, clock.now_us(), source, member, position, "\n", cleaned.kinds)
        self._append(line, durable=durable)
        if len(cleaned.body) > self.inline_limit_bytes:
            self._keep_blob(cleaned.body)
        return record_id

    def _keep_blob(self, body: bytes) -> None:
        """Put the blob of a record just appended again, if somebody removed it before the record named it."""
        if not blobs.stands(self._blobs, hashlib.sha256(body).hexdigest()):
            self._put(body)

    def _put(self, body: bytes) -> fmt.BlobRef:
        try:
            return blobs.put(self._blobs, body)
        except OSError as exc:
            raise AppendFailed(self._blobs, exc.strerror or str(exc)) from exc

    def _append(self, line: bytes, *, durable: bool) -> None:
        with self._lock:
            self._write(b"\n" + line + b"\n")
            if durable:
                self._sync()
            elif self._syncer is None and self._fsync_interval_s > 0:
                self._start_syncer()

    def append_lines(self, lines: Sequence[bytes]) -> None:
        """Append many records made by `line` in one write: all are acknowledged, or none."""
        if not lines:
            return
        with self._lock:
            self._write(b"\n" + b"\n\n".join(lines) + b"\n")

    def line(
        self,
        source: str,
        body: bytes,
        record_id: str,
        position: fmt.Position | None = None,
        line_end: str = "\n",
    ) -> bytes:
        """Encode one record: its body through the redaction door, a large body into a blob first.

        Raises:
            AppendFailed: the blob could not be written.
        """
        cleaned = self.redactor.clean(body)
        member = self._member(cleaned.body)
        return fmt.encode(record_id, clock.now_us(), source, member, position, line_end, cleaned.kinds)

    def taken_over(self, line: bytes | bytearray, record: fmt.Record, body: bytes) -> bytes:
        """Encode a record of another journal for this one: id, time received, source and position stay.

        The body passes the redaction door again, and so does what is kept of a removed one, and members that this version
        does not know.

        Raises:
            AppendFailed: the blob could not be written.
        """
        if fmt.has_no_body(record):
            member, kinds = self._kept_of_removed(line)
        else:
            cleaned = self.redactor.clean(body)
            member, kinds = self._member(cleaned.body), cleaned.kinds
        return fmt.encode_again(line, record, member, kinds, self._more)

    def _kept_of_removed(self, line: bytes | bytearray) -> tuple[bytes, Mapping[str, int]]:
        """The `z` of a record without what is a secret in it; if one was, also without hash and size, which a guess fits."""
        kept, kinds = self.redactor.clean(fmt.removed_as_it_stands(line))
        if kinds and not kept.startswith(b"{"):  # it could not be looked at
            kept = b'{"why":%b}' % kept
        if kinds:
            members = msgspec.json.decode(kept, type=dict[str, msgspec.Raw])
            kept = msgspec.json.encode({k: v for k, v in members.items() if k not in ("sha256", "size")})
        return b'"z":' + kept, kinds

    def _more(self, members: bytes) -> tuple[bytes, Mapping[str, int]]:
        """Further members of a record without the secrets in them; none, if they could not be looked at."""
        cleaned, kinds = self.redactor.clean(b"{%b}" % members[1:])
        return b"," + cleaned[1:-1] if cleaned.startswith(b"{") else b"", kinds

    def _member(self, body: bytes) -> bytes:
        if len(body) <= self.inline_limit_bytes:
            return fmt.body_member(body)
        return fmt.blob_member(self._put(body))

    def line_of_stream(
        self,
        source: str,
        chunks: Iterable[bytes],
        record_id: str,
        position: fmt.Position | None = None,
        line_end: str = "\n",
    ) -> bytes:
        """Encode one record whose body is over `inline_limit_bytes` and is never held whole.

        Raises:
            AppendFailed: the blob could not be written.
            Exception: what the chunks raise, if it is no OSError; nothing is kept then.
        """
        kinds: Counter[str] = Counter()
        try:
            ref = blobs.put_stream(self._blobs, self.redactor.stream(chunks, kinds))
        except OSError as exc:
            raise AppendFailed(self._blobs, exc.strerror or str(exc)) from exc
        return fmt.encode(record_id, clock.now_us(), source, fmt.blob_member(ref), position, line_end, kinds)

    def _write(self, data: bytes) -> None:
        """Append `data` whole, in one write."""
        if self._unsynced_bytes + len(data) > UNSYNCED_LIMIT_BYTES:
            self._sync()
        if self._fd < 0 or self._full:
            self._move_on()
        self._write_whole(data)
        self._unsynced.append(data)
        self._unsynced_bytes += len(data)
        self._unlooked_bytes += len(data)
        if self._unlooked_bytes >= self._look_every_bytes:
            self._unlooked_bytes = 0
            self._full = os.lseek(self._fd, 0, os.SEEK_CUR) >= self._segment_size_bytes

    def _write_whole(self, data: bytes) -> None:
        for _ in range(_ATTEMPTS):
            try:
                failpoint("journal.appending")
                if os.write(self._fd, data) == len(data):
                    return
            except OSError as exc:
                raise AppendFailed(self._path(), exc.strerror or str(exc)) from exc
        raise AppendFailed(self._path(), f"only a part of it fitted, {_ATTEMPTS} times")

    # ── segments ──

    def _path(self) -> Path:
        return segments.path(self.directory, self._segment)

    def _move_on(self) -> None:
        """Leave a full segment (or none) for the newest one that has room, or for a new one."""
        self._sync()
        if self._fd >= 0 and self._full:
            self._leave()
            failpoint("journal.left")
        while self._fd < 0:
            newest = self._newest()
            if not newest or not self._join(newest):
                self._create(newest + 1)

    def _newest(self) -> int:
        """The highest segment number; 0 when there is none."""
        try:
            return max(segments.numbers(self.directory), default=0)
        except OSError as exc:
            raise AppendFailed(self.directory, exc.strerror or str(exc)) from exc

    def _leave(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._full = -1, False

    def _join(self, number: int) -> bool:
        """Take part in an existing segment, unless it is full, or somebody seals it or has just sealed it."""
        try:
            fd = os.open(segments.path(self.directory, number), _APPEND)
        except FileNotFoundError:
            return False
        except OSError as exc:
            raise AppendFailed(segments.path(self.directory, number), exc.strerror or str(exc)) from exc
        found = os.fstat(fd) if _lock_shared(fd) else None
        if found is None or not found.st_nlink or found.st_size >= self._segment_size_bytes:
            os.close(fd)
            return False
        self._fd, self._file = fd, (found.st_dev, found.st_ino)
        self._segment, self._named = number, False  # its creator may have died before naming it
        return True

    def _create(self, number: int) -> None:
        """Create a segment, unless another writer was quicker; its first record says whose it is."""
        path = segments.path(self.directory, number)
        if (
            number > 1
        ):  # names reach the disk in order: a gap in the numbers after a power cut would look like a loss
            with contextlib.suppress(OSError):
                blobs.sync_directory(self.directory)
        try:
            fd = os.open(path, _APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return
        except OSError as exc:
            raise AppendFailed(path, exc.strerror or str(exc)) from exc
        failpoint("journal.unlocked")
        found = os.fstat(fd) if _lock_shared(fd) else None
        if found is None or not found.st_nlink:  # others filled it and left, and it is being sealed
            os.close(fd)
            return
        self._fd, self._file = fd, (found.st_dev, found.st_ino)
        self._segment, self._full, self._named = number, False, False
        body = f'{{"format":{fmt.VERSION},"host":"{self._host}","redaction":{redact.LEVEL}}}'.encode()
        header = fmt.encode(uuid7(), clock.now_us(), fmt.SEGMENT_SOURCE, fmt.body_member(body))
        failpoint("journal.created")
        try:
            self._write_whole(b"\n" + header + b"\n")
        except AppendFailed:
            self._leave()
            raise

    def rotate(self) -> None:
        """Begin a new segment now, so that the one before can be sealed. An empty journal stays empty.

        Raises:
            AppendFailed: the disk refused.
        """
        with self._lock:
            self._sync()
            self._leave()
            newest = self._newest()
            while newest and self._fd < 0:
                self._create(newest + 1)
                newest = self._newest()

    # ── syncing ──

    def sync(self) -> None:
        """Make everything appended so far survive a power cut.

        Raises:
            AppendFailed: the disk refused, also in a new segment.
        """
        with self._lock:
            self._sync()

    def _sync(self) -> None:
        """Sync what was appended; the caller holds the lock.

        A sync under way in the background is awaited first: what it syncs is part of "so far", and an error that it
        meets is not reported again.
        """
        with self._flushing:
            failed, self._flush_error = self._flush_error, None
            late, self._in_flight = self._in_flight, []
        if failed is not None:
            self._unsynced[:0] = late
            self._unsynced_bytes += sum(map(len, late))
            self._strand(failed)
        if not self._unsynced:
            return
        if self._stranded is None:
            try:
                self._flush()
            except OSError as exc:
                self._strand(exc)
        if self._stranded is not None:
            self._rescue(self._stranded)
        self._unsynced, self._unsynced_bytes = [], 0

    def _flush(self) -> None:
        """Force the segment to disk, and its name unless this writer did that before.

        The directory above too: it names the journal, the blobs, and the host that the segment says it is from.
        """
        failpoint("journal.syncing")
        _fsync(self._fd)
        if not self._named:
            failpoint("journal.naming")
            blobs.sync_directory(self.directory)
            blobs.sync_directory(self.directory.parent)
            self._named = True

    def _strand(self, cause: OSError) -> None:
        """Give up a file whose fsync failed; what it was to make durable stays in `_unsynced`."""
        self.sync_failures += 1
        self._stranded = cause.strerror or str(cause)
        self._leave()
        failpoint("journal.stranded")

    def _rescue(self, why: str) -> None:
        """After a failed fsync: append everything since the last good one to a new segment, and sync that."""
        try:
            while self._fd < 0:
                self._create(self._newest() + 1)
                if self._fd >= 0:  # otherwise another writer was quicker
                    self._flush()  # whether the disk takes anything at all, before more is written to it
            self._write_whole(b"".join(self._unsynced))
            failpoint("journal.rescued")
            self._flush()
        except OSError as exc:
            path = self._path()
            self._strand(exc)
            raise AppendFailed(
                path, f"fsync failed ({why}), in a new segment too ({self._stranded})"
            ) from exc
        self._stranded = None

    def _start_syncer(self) -> None:
        syncer = threading.Thread(target=self._sync_until_idle, name="holdfast-fsync", daemon=True)
        try:
            syncer.start()
        except RuntimeError:  # the system gives no thread: sync here, and try again with the next append
            self._sync()
        else:
            self._syncer = syncer  # before it can look: the caller holds the lock

    def _sync_until_idle(self) -> None:
        """Sync once an interval, without holding up appenders; end when an interval brought nothing new."""
        while True:
            self._stop.wait(self._fsync_interval_s)
            with self._lock:
                if (
                    not self._unsynced or self._stranded is not None
                ):  # stranded: appends and `sync` try, and say so
                    self._syncer = None
                    return
                self._flushing.acquire()
                self._in_flight, self._unsynced, self._unsynced_bytes = self._unsynced, [], 0
            try:
                self._flush()  # the segment stays open: whoever leaves it takes `_flushing` before
            except OSError as exc:
                self._flush_error = exc
            except MemoryError:  # it is not known what was synced, so it is treated as not synced
                self._flush_error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            else:
                self._in_flight = []
            finally:
                self._flushing.release()
            if self._flush_error is not None:
                with (
                    self._lock,
                    contextlib.suppress(AppendFailed, MemoryError),
                ):  # suppressed: the next append or `sync` says so
                    self._sync()

    def close(self) -> None:
        """Sync and release the segment. Appending again is allowed and opens it anew."""
        with self._lock:
            self._stop.set()
            try:
                self._sync()
            finally:
                if self._unsynced and self._stranded is None:  # out of memory, or interrupted
                    self._stranded = "it was left before it was synced"
                self._leave()
                self._stop = threading.Event()

    def _after_fork(self) -> None:
        """In a forked child: give back the inherited descriptor; the parent's records are the parent's to sync.

        Where the fork could not wait, the parent may just have closed it, and the number may name another file.
        """
        with contextlib.suppress(OSError):
            found = os.fstat(self._fd)
            if (found.st_dev, found.st_ino) == self._file:
                os.close(self._fd)
        self._reset()


_APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def _lock_shared(fd: int) -> bool:
    """Say that this segment is being written; False when somebody is sealing it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _fsync(fd: int) -> None:
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone does not reach the platter
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)


def _locks() -> list[threading.RLock]:
    with contextlib.suppress(RuntimeError):  # another thread just makes one
        return [writer._lock for writer in sorted(_writers, key=id)]  # noqa: SLF001 - same module
    return []


def _forget_after_fork() -> None:
    for writer in list(_writers):
        writer._after_fork()  # noqa: SLF001 - same module


forks.hold(_locks, _forget_after_fork)
