"""Codex rollouts on disk: which files they are, and which thread and session each is of.

A thread has one rollout, `rollout-<time>-<thread>.jsonl`, below `sessions/<year>/<month>/<day>/` or in `archived_sessions/`. Its
first line, `session_meta`, says more: a thread that an agent started (`parent_thread_id`) names in `session_id` the thread that
the user sees, and is an agent of that session. The lines behind it name neither, so the id of a rollout in the journal does:

    <16 digits>.<thread>            a thread of its own
    <16 digits>.<root>.<thread>     a thread that is an agent of the session of another

Codex may compress a rollout that was not written to for long (0.169.0: the feature `local_thread_store_compression`): `….jsonl.zst` takes the
place of `….jsonl`, and gives it back when the thread goes on. Both are one file here, known by the name without `.zst`; where both are
there, the plain one counts, as for Codex.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import zstandard

from holdfast.capture.claude_json import object_in, text_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

SOURCE: Final = "codex.rollout"
SESSIONS: Final = "sessions"  # below Codex's directory
ARCHIVED: Final = "archived_sessions"
_HEAD_LIMIT_BYTES = 4 << 20  # of the first line, which holds the instructions given to the model
_READ_BYTES = 64 << 10
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_IS_ID = re.compile(rf"{_UUID}\Z")
COMPRESSED: Final = ".zst"
_NAME = re.compile(rf"rollout-[^/]*?({_UUID})\.jsonl(?:\.zst)?\Z")
_CONTENT_LIMIT_BYTES = 8 << 30  # of one rollout; what is longer is told, not read
_FILE_ID = re.compile(rf"[0-9a-f]{{16}}\.(?:({_UUID})\.)?({_UUID})\Z")


class Rollout(NamedTuple):
    """Of which thread a rollout is, and in whose session it counts: the same, or the one that started it."""

    root: str
    thread: str

    @property
    def session(self) -> str:
        return f"codex:{self.root}"

    @property
    def agent(self) -> str:
        """The native id of the agent, "" for the main one."""
        return "" if self.thread == self.root else self.thread

    def file_id(self, short_name: str) -> str:
        return (
            f"{short_name}.{self.thread}"
            if self.thread == self.root
            else f"{short_name}.{self.root}.{self.thread}"
        )


def rollout_of(file_id: str) -> Rollout | None:
    """What the id of a rollout in the journal says; None: it is none."""
    found = _FILE_ID.match(file_id)
    return None if found is None else Rollout(found[1] or found[2], found[2])


def is_named_like_one(path: str) -> bool:
    return _NAME.match(path.rsplit("/", 1)[-1]) is not None


def rollout_named(path: str) -> Rollout | None:
    """What the name of a rollout says, which is less than its first line does."""
    found = _NAME.match(path.rsplit("/", 1)[-1])
    return None if found is None else Rollout(found[1], found[1])


def plain_path(path: str) -> str:
    """The path under which a rollout is known, whether it is compressed or not; of any other file its own."""
    return path.removesuffix(COMPRESSED) if is_compressed(path) else path


def is_compressed(path: str) -> bool:
    return path.endswith(COMPRESSED) and is_named_like_one(path)


@contextlib.contextmanager
def content(path: str, directory: Path) -> Iterator[int]:
    """A source file, open for reading; of a compressed rollout what it holds, in a file without a name in `directory`.

    Raises:
        OSError: it cannot be read, or is not what its name says.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not is_compressed(path):
            yield fd
            return
        with tempfile.TemporaryFile(dir=directory) as held:
            size_bytes = 0
            for chunk in _chunks(fd):
                size_bytes += len(chunk)
                if size_bytes > _CONTENT_LIMIT_BYTES:
                    raise OSError(errno.EFBIG, f"it holds more than {_CONTENT_LIMIT_BYTES >> 30} GiB")
                held.write(chunk)
            held.flush()
            yield held.fileno()
    finally:
        os.close(fd)


def _chunks(fd: int) -> Iterator[bytes]:
    """What a compressed file holds.

    Raises:
        OSError: it is damaged, or not written to its end.
    """
    with open(fd, "rb", closefd=False) as file:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            while chunk := file.read(_READ_BYTES):
                while chunk:
                    if frame.eof:
                        frame = zstandard.ZstdDecompressor().decompressobj()
                    yield frame.decompress(chunk)
                    chunk = frame.unused_data
        except zstandard.ZstdError as exc:
            raise OSError(errno.EIO, f"it cannot be decompressed: {exc}") from exc
        if not frame.eof:
            raise OSError(errno.EIO, "it cannot be decompressed: it is cut short")


def look_into(path: str) -> Rollout | None:
    """What the first line of a file says; None as `look`.

    Raises:
        OSError: it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not is_compressed(path):
            return look(fd)
        head = b""
        for chunk in _chunks(fd):
            head += chunk
            if b"\n" in head or len(head) >= _HEAD_LIMIT_BYTES:
                break
        return rollout_told(head.partition(b"\n")[0])
    finally:
        os.close(fd)


def look(fd: int) -> Rollout | None:
    """What the first line of an open file says; None: it is no rollout, or that line is not written to its end yet."""
    return rollout_told(_head(fd).partition(b"\n")[0])


def begins_with_a_line(fd: int) -> bool:
    """Whether the first line of an open file is written to its end, or is longer than any that says something."""
    head = _head(fd)
    return b"\n" in head or len(head) >= _HEAD_LIMIT_BYTES


def _head(fd: int) -> bytes:
    head = b""
    while b"\n" not in head and len(head) < _HEAD_LIMIT_BYTES:
        more = os.pread(fd, _READ_BYTES, len(head))
        if not more:
            break
        head += more
    return head


def rollout_told(line: bytes) -> Rollout | None:
    """What a `session_meta` line says; None: it is none."""
    if not line.startswith(b"{") or b"session_meta" not in line:
        return None
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return (
        rollout_in(record["payload"])
        if record.get("type") == "session_meta" and "payload" in record
        else None
    )


def rollout_in(meta: object) -> Rollout | None:
    """The thread that the payload of a `session_meta` is about."""
    told = object_in(meta)
    thread = _id(told.get("id")) or _id(told.get("session_id"))
    if thread is None:
        return None
    parent = parent_of(told)
    root = None if parent is None else _id(told.get("session_id"))
    return Rollout(root if root is not None and root != thread else parent or thread, thread)


def parent_of(meta: dict[str, Any]) -> str | None:
    """The thread that started this one; None: a person did."""
    return _id(meta.get("parent_thread_id")) or _id(spawned(meta).get("parent_thread_id"))


def spawned(meta: dict[str, Any]) -> dict[str, Any]:
    """How a thread was started by another; empty when it was not."""
    return object_in(object_in(object_in(meta.get("source")).get("subagent")).get("thread_spawn"))


def _id(value: object) -> str | None:
    text = text_in(value)
    return text if text is not None and _IS_ID.match(text) else None
