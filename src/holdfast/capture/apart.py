"""Read source files in a process of its own, while this one folds what it appends.

The journal lies between the two as it does between any writer and reader; over a pipe go only what was appended and which
files are read. The reading process dies with this one, and what it appended counts, as after any crash.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from multiprocessing import Pipe
from typing import TYPE_CHECKING

from holdfast import errors
from holdfast.capture.claude_files import Reader
from holdfast.errors import HoldfastError, ReadingStopped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection

    from holdfast.capture.claude_files import Cursor, SourceFile
    from holdfast.capture.lines import Stretch
    from holdfast.journal.writer import Writer

LEAST_BYTES = 12 << 20  # for less, another process is not worth its start
_AHEAD_BYTES = 16 << 20  # how far the reading process may be ahead
_PR_SET_PDEATHSIG = 1


def is_worth_it(size_bytes: int) -> bool:
    """Whether reading so much apart saves time, and can be done from here."""
    return (
        size_bytes >= LEAST_BYTES
        and sys.platform == "linux"
        and (os.cpu_count() or 1) > 1
        and threading.active_count() == 1  # a fork would leave the child the locks of other threads
    )


class Apart:
    """Reads like `Reader`, in another process that goes ahead of the questions.

    Args:
        make_writer: opens the journal, in the other process.
        cursors: where reading goes on, by path.
        after_append: see `Reader`.
        files: those that will be asked for, in their order, each with the digest that is known of it.
        key: see `Reader`.
        is_left_out: see `Reader`.
    """

    def __init__(
        self,
        make_writer: Callable[[], Writer],
        cursors: Mapping[str, Cursor],
        after_append: Callable[[int], bool],
        files: Sequence[tuple[SourceFile, str | None]],
        key: Callable[[], bytes],
        is_left_out: Callable[[bytes | Stretch], bool] | None = None,
    ) -> None:
        self._after_append = after_append
        self._here, there = Pipe()
        parent = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            self._here.close()
            _run(there, parent, make_writer, cursors, files, key, is_left_out)
        there.close()

    def read(self, file: SourceFile, _known_digest: str | None = None) -> tuple[bool, str | None]:
        """As `Reader.read`, for the next of the files.

        Raises:
            OSError: the file could not be read, or the other process is gone.
        """
        while True:
            try:
                kind, *told = self._here.recv()
            except (EOFError, ConnectionError) as exc:
                raise ReadingStopped(_how(self._ended())) from exc
            if kind == "appended":
                stop = self._after_append(told[0])
                self._send(("stop", 0) if stop else ("folded", told[0]))
            elif kind == "file":
                assert told[0] == file.path, "files are asked for in the order in which they were given"
                return told[1], told[2]
            elif kind == "unreadable":
                raise OSError(told[1], told[2], told[0])
            else:
                raise _raised(*told)

    def _send(self, message: tuple[str, int]) -> None:
        with contextlib.suppress(ConnectionError):  # the next `recv` says so
            self._here.send(message)

    def close(self) -> None:
        """End the other process at its next batch, and wait for it: nothing is appended afterwards."""
        self._here.close()
        self._ended()

    def _ended(self) -> int:
        if self._child > 0:
            _, self._status = os.waitpid(self._child, 0)
            self._child = -1
        return self._status


def _how(status: int) -> str:
    """How a process ended, in words."""
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"


def _raised(name: str, message: str, hint: str | None) -> HoldfastError:
    """An error of ours from the other process, as it was raised there."""
    kind = getattr(errors, name, HoldfastError)
    error: HoldfastError = kind.__new__(kind)
    Exception.__init__(error, message)
    if hint is not None:
        error.hint = hint
    return error


# ── in the other process ──


def _run(
    pipe: Connection,
    parent: int,
    make_writer: Callable[[], Writer],
    cursors: Mapping[str, Cursor],
    files: Sequence[tuple[SourceFile, str | None]],
    key: Callable[[], bytes],
    is_left_out: Callable[[bytes | Stretch], bool] | None,
) -> None:
    """Read all files, and end this process; it never returns."""
    status = 1
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            _read_all(pipe, make_writer(), cursors, files, key, is_left_out)
            while True:  # until the other side closes: what it did not read yet must not be lost
                pipe.recv()
    except HoldfastError as exc:
        pipe.send(("error", type(exc).__name__, str(exc), exc.hint))
    except (ConnectionError, EOFError, KeyboardInterrupt):
        status = 0  # nobody wants more
    except Exception as exc:  # noqa: BLE001 - the last words of this process
        pipe.send(("error", "HoldfastError", f"{type(exc).__name__}: {exc}", None))
    finally:
        os._exit(status)  # no exit handlers: they are the other process's


def _read_all(
    pipe: Connection,
    writer: Writer,
    cursors: Mapping[str, Cursor],
    files: Sequence[tuple[SourceFile, str | None]],
    key: Callable[[], bytes],
    is_left_out: Callable[[bytes | Stretch], bool] | None,
) -> None:
    ahead = _Ahead(pipe)
    reader = Reader(writer, cursors.get, ahead.appended, key, is_left_out)
    for file, known in files:
        try:
            complete, digest = reader.read(file, known)
        except HoldfastError:
            raise
        except OSError as exc:
            pipe.send(("unreadable", file.path, exc.errno or 0, exc.strerror or str(exc)))
            continue
        if ahead.stopped:
            writer.close()
        pipe.send(("file", file.path, complete, digest))
        if ahead.stopped:
            return
    writer.close()


class _Ahead:
    """How far this process is ahead of the one that folds."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._bytes = 0
        self.stopped = False

    def appended(self, size_bytes: int) -> bool:
        self._pipe.send(("appended", size_bytes))
        self._bytes += size_bytes
        while not self.stopped and (self._bytes > _AHEAD_BYTES or self._pipe.poll()):
            kind, folded = self._pipe.recv()
            self._bytes -= folded
            self.stopped = kind == "stop"
        return self.stopped
