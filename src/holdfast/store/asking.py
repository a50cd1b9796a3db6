"""`run/service.sock`: how the process that keeps a home caught up is asked to.

A service holds the writer's lock for as long as it runs. Who has a question asks it to look first; who has work that needs the lock
asks it to yield. One JSON object a line, each way; a question is one line, its answer is one line.

    {"ask": "catch_up"}   looks at every source and folds; answers when it is done, with what an `ImportReport` says; with `roots`, the
                          directories that the asker would look into: {"other_roots": true} when the service has others
    {"ask": "yield"}      lets go of the lock and answers; takes it again when the asker closes the connection, or dies
    {"ask": "status"}     how it is
    {"ask": "stop"}       answers, and ends in order

What is no question is answered with {"error": …}; so is one whose answer cannot be told. Who connects and says nothing for some
seconds is not waited for.

The socket lies in the home, which nobody else may enter; a service that is gone leaves one that refuses. Nothing depends on an
answer: without one, the kernel's lock says who may work.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUN = "run"
NAME = "service.sock"
WORDS = ("catch_up", "yield", "status", "stop")
_LONGEST_ADDRESS = 100  # bytes; systems allow 104 or 108
_LINE_LIMIT_BYTES = 1 << 20
_ASKERS = 64  # at once; more wait in the kernel's queue
_CHUNK_BYTES = 1 << 16
_ANSWER_LIMIT_BYTES = (
    100 << 10
)  # half of what a socket takes at once (208 KiB on Linux, with what the kernel adds)
SILENT_S = 5.0  # who asks does so at once
_DEAF_S = 1.0  # where the system gives no connection, until it is tried again
_NONE_LEFT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

Answer = dict[str, Any]
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@contextlib.contextmanager
def _address(home: Path) -> Iterator[str]:
    """The socket's name as the system takes it: a long one through a descriptor of its directory, where that is possible.

    Raises:
        OSError: it is too long.
    """
    path = os.fspath(home / RUN / NAME)
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield path
        return
    if sys.platform != "linux":
        raise OSError(f"{path}: longer than this system lets the name of a socket be")
    fd = os.open(home / RUN, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)


# ── who asks ──


def ask(home: Path, word: str, wait_s: float, **more: Any) -> Answer | None:  # noqa: ANN401 - JSON
    """What the service says; None: none runs, or it did not answer in time.

    Args:
        home: whose service.
        word: what it is asked.
        wait_s: how long to wait for the answer.
        more: further members of the question.
    """
    question = {"ask": word} | more
    with (
        contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError),
        _asked(home, question) as asker,
    ):
        return _answer(asker, wait_s)
    return None


@contextlib.contextmanager
def yielded(home: Path, wait_s: float) -> Iterator[bool]:
    """Have the service let go of the lock until the block ends; yields whether it said so in time."""
    with contextlib.ExitStack() as stack:
        answer: Answer | None = None
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            answer = _answer(stack.enter_context(_asked(home, {"ask": "yield"})), wait_s)
        yield answer is not None and answer.get("yielded") is True


@contextlib.contextmanager
def _asked(home: Path, question: dict[str, Any]) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as asker:
        asker.settimeout(0)  # a service that is stopped takes nobody; the queue of such may be full
        with _address(home) as address:
            asker.connect(address)
        asker.send(_line(question))
        yield asker


def _answer(asker: socket.socket, wait_s: float) -> Answer | None:
    deadline_s = time.monotonic() + wait_s
    said = b""
    while not said.endswith(b"\n"):
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or len(said) > _LINE_LIMIT_BYTES:
            return None
        asker.settimeout(left_s)
        try:
            chunk = asker.recv(_CHUNK_BYTES)
        except TimeoutError:
            return None
        if not chunk:
            return None
        said += chunk
    return _decode(said)


# ── who is asked ──


@dataclass(eq=False, slots=True)
class Asker:
    """A connection, and what it asks.

    Attributes:
        word: what is to be answered; None: nothing at the moment.
        question: all members of it.
        stays: it may be silent as long as it likes.
        said_s: when it said something last, or came.
        heard: what it said and nobody understood yet.
    """

    connection: socket.socket
    said_s: float
    word: str | None = None
    question: dict[str, Any] = field(default_factory=dict)
    stays: bool = False
    heard: bytes = b""


class Listener:
    """Takes questions; never waits for who asks.

    Args:
        home: the home; its `run` directory is made if there is none.
        now_s: the clock that silence is measured with.

    Raises:
        OSError: the system gives no socket there.
    """

    def __init__(self, home: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        (home / RUN).mkdir(mode=0o700, exist_ok=True)
        self._path = home / RUN / NAME
        self._path.unlink(missing_ok=True)  # of a service that is gone: the caller is the only one
        self._now_s = now_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._selector = selectors.DefaultSelector()
        self._askers: list[Asker] = []
        self._deaf_until_s: float | None = None  # None: it listens
        try:
            with _address(home) as address:
                self._socket.bind(address)
            self._bound = self._mark()
            self._path.chmod(0o600)
            self._socket.listen(_ASKERS)
        except BaseException:
            self._socket.close()
            self._selector.close()
            raise
        self._socket.settimeout(0)
        self._selector.register(self._socket, selectors.EVENT_READ)

    def _mark(self) -> tuple[int, int] | None:
        """Which file stands at the socket's place."""
        try:
            found = self._path.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def fileno(self) -> int:
        """Readable when somebody asks, or leaves."""
        return self._selector.fileno()

    @property
    def wait_s(self) -> float:
        """After how long `hear` is to be called although `fileno` cannot be read: somebody waits for an answer, or is silent."""
        if any(asker.word is not None for asker in self._askers):
            return 0.0
        ends_s = [asker.said_s + SILENT_S for asker in self._askers if not asker.stays]
        if self._deaf_until_s is not None:
            ends_s.append(self._deaf_until_s)
        return max(0.0, min(ends_s) - self._now_s()) if ends_s else float("inf")

    def hear(self, timeout_s: float = 0.0) -> list[Asker]:
        """Who asks and was not answered yet, the first first; waits up to `timeout_s` for somebody to say something."""
        if self._deaf_until_s is not None and self._now_s() >= self._deaf_until_s:
            self._listen_again()
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._socket:
                self._accept()
            else:
                self._read(key.data)
        self._drop_silent()
        return [asker for asker in self._askers if asker.word is not None]

    def is_there(self, asker: Asker) -> bool:
        """Whether an asker holds its connection still, as `hear` saw it last."""
        return asker in self._askers

    def answer(self, asker: Asker, answer: Answer) -> None:
        """Answer a question; the asker may ask again, or leave."""
        asker.word = None
        self._send(asker, answer)
        self._understand(asker)

    def close(self) -> None:
        """Leave; who waits for an answer gets none. Another service's socket at our place stays."""
        for asker in list(self._askers):
            self._drop(asker)
        self._selector.close()
        self._socket.close()
        if self._bound is not None and self._mark() == self._bound:
            self._path.unlink(missing_ok=True)

    # ── who comes ──

    def _accept(self) -> None:
        """Take everybody who waits; where there is no room, they go on waiting."""
        while len(self._askers) < _ASKERS:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as exc:
                if exc.errno in _NONE_LEFT:
                    break
                continue  # it left again
            connection.settimeout(0)
            asker = Asker(connection, self._now_s())
            self._askers.append(asker)
            self._selector.register(connection, selectors.EVENT_READ, asker)
            self._read(asker)
        self._deaf_until_s = self._now_s() + _DEAF_S
        self._selector.unregister(self._socket)

    def _listen_again(self) -> None:
        self._deaf_until_s = None
        self._selector.register(self._socket, selectors.EVENT_READ)

    def _drop_silent(self) -> None:
        silent_s = self._now_s() - SILENT_S
        for asker in list(self._askers):
            if asker.word is None and not asker.stays and asker.said_s <= silent_s:
                self._drop(asker)

    def _drop(self, asker: Asker) -> None:
        if asker in self._askers:
            self._askers.remove(asker)
            self._selector.unregister(asker.connection)
        asker.connection.close()
        if self._deaf_until_s is not None:  # there is room again
            self._listen_again()

    # ── what they say ──

    def _read(self, asker: Asker) -> None:
        try:
            said = asker.connection.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        asker.heard += said
        if not said or len(asker.heard) > _CHUNK_BYTES:
            self._drop(asker)
            return
        asker.said_s = self._now_s()
        self._understand(asker)

    def _understand(self, asker: Asker) -> None:
        """Take the next question of what was heard; the one after it when this one is answered."""
        while asker.word is None and b"\n" in asker.heard and asker in self._askers:
            line, _, asker.heard = asker.heard.partition(b"\n")
            question: dict[str, Any] = {}
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                question = _decode(line)
            word = question.get("ask")
            if word in WORDS:
                asker.word, asker.question = word, question
            else:
                known = ", ".join(WORDS)
                self._send(asker, {"error": f"nothing is known of {str(word)[:50]!r}; ask one of {known}"})

    def _send(self, asker: Asker, answer: Answer) -> None:
        line = _line(answer)
        if len(line) > _ANSWER_LIMIT_BYTES:
            line = _line({"error": f"the answer is too long: {len(line)} bytes"})
        try:
            sent = asker.connection.send(line)
        except OSError:
            sent = 0
        if sent < len(line):  # it left, or does not listen
            self._drop(asker)


def _line(message: Answer) -> bytes:
    """A message as it is sent; of one that cannot be told, that."""
    try:
        return msgspec.json.encode(message) + b"\n"
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        return msgspec.json.encode({"error": f"it cannot be told: {type(exc).__name__}"}) + b"\n"
