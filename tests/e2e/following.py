"""A service and a watcher as processes of their own, waited for by what they say and never by time."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 60  # for what takes a fraction of a second
SESSION = "5b1f0000-0000-4000-8000-000000000001"


class _Lines:
    """Lines of a pipe, as they come."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: IO[bytes]) -> None:
        self._process = process
        self._pipe = pipe
        self._held = b""
        self._before: list[str] = []
        os.set_blocking(pipe.fileno(), False)

    def next(self) -> str:
        while b"\n" not in self._held:
            with selectors.DefaultSelector() as ready:
                ready.register(self._pipe, selectors.EVENT_READ)
                assert ready.select(LIMIT_S), f"nothing was said in {LIMIT_S} s; before: {self._before}"
            chunk = self._pipe.read()
            assert chunk, f"it ended with {self._process.wait(LIMIT_S)}; before: {self._before}"
            self._held += chunk
        line, _, self._held = self._held.partition(b"\n")
        self._before = [*self._before[-3:], line.decode()]
        return self._before[-1]


def _hear_interrupts() -> None:
    """What is started in the background by a shell ignores Ctrl-C, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """`holdfast ARGUMENTS` at work, or another module; its lines are read as they come."""

    def __init__(self, *arguments: str, module: str = "holdfast") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_hear_interrupts,  # noqa: PLW1509 - it sets one signal
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._told = _Lines(self.process, self.process.stdout)
        self._notes = _Lines(self.process, self.process.stderr)

    def line(self) -> str:
        """The next line of its output. Fails when it ends, or says nothing for very long."""
        return self._told.next()

    def until(self, word: str) -> str:
        """Read its output on until a line holds the word."""
        while word not in (line := self._told.next()):
            pass
        return line

    def notes_until(self, word: str) -> str:
        """Read what it says beside until a line holds the word."""
        while word not in (line := self._notes.next()):
            pass
        return line

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
        self.process.wait(LIMIT_S)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return self.process.returncode


@contextlib.contextmanager
def serving(*modes: str) -> Iterator[Process]:
    """A service that has looked at everything once; with modes, one that `tests/e2e/hindered.py` hinders so."""
    service = Process(*modes, module="tests.e2e.hindered") if modes else Process("up")
    try:
        service.notes_until("caught up:")
        yield service
    finally:
        service.end()


@contextlib.contextmanager
def watching(*arguments: str) -> Iterator[Process]:
    """A watcher that has begun to watch."""
    watcher = Process("watch", *arguments, "--json")
    try:
        watcher.notes_until("watching")
        yield watcher
    finally:
        watcher.end(signal.SIGINT)


def transcript(session: str = SESSION, project: str = "-home-dev-demo") -> Path:
    directory = Path(os.environ["CLAUDE_CONFIG_DIR"], "projects", project)
    directory.mkdir(parents=True, exist_ok=True)
    return directory / f"{session}.jsonl"


def prompt(number: int, session: str = SESSION) -> bytes:
    """A line of a transcript: a prompt with a number in it."""
    entry = {
        "type": "user",
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "sessionId": session,
        "timestamp": f"2026-11-22T03:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
        "cwd": "/home/dev/demo",
        "message": {"role": "user", "content": f"prompt {number} end"},
    }
    return json.dumps(entry).encode() + b"\n"


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


def told(line: str) -> tuple[str, int] | None:
    """The place and number of a prompt that a watcher told of; None: of something else."""
    event: dict[str, Any] = json.loads(line)
    if event["kind"] != "turn.started":
        return None
    return event["seq"], int(event["data"]["text"].split()[1])


def next_prompt(watcher: Process) -> tuple[str, int]:
    while (found := told(watcher.line())) is None:
        pass
    return found
