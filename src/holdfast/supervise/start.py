"""Make run directories and start shims. What is made appears whole, under its name, or not at all: two who make the same, make one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from holdfast.errors import SuperviseError
from holdfast.failpoints import failpoint
from holdfast.supervise import inherited, shim
from holdfast.supervise import spec as specs
from holdfast.supervise.look import attempt_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from holdfast.supervise.spec import Spec

BEAT_S: Final = (
    10.0  # a shim says so often that it is alive; nobody takes silence for death on the same machine
)
READY_S: Final = 20.0  # an interpreter starts in 10 ms, on a machine that is not overwhelmed
FORMAT: Final = 1
_LEFTOVER: Final = re.compile(r"\.[0-9a-f]{12}\.[0-9a-f]{8}\.(new|gone)")
_LEFT_AFTER_S: Final = 3_600.0
_BEGUN, _FAILED = b"1", b"x"
_children: list[subprocess.Popen[bytes]] = []  # shims of this process, so that none stays behind as a zombie


class Started(NamedTuple):
    """A shim that was started; `ready` can be read when it is known whether the program runs."""

    process: subprocess.Popen[bytes]
    ready: int


class Command(NamedTuple):
    """What an attempt is started with: the words, the environment, and files that lie in its directory before, by name."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    files: Mapping[str, bytes] = MappingProxyType({})


def make_agent(run: Path, spec: Spec, command: Command) -> Path | None:
    """Make an agent's directory with its first attempt in it; None: there is one of this id already.

    Raises:
        SuperviseError: the system does not let us.
    """
    directory = run / spec.id
    temporary = run / f".{spec.id}.{os.urandom(4).hex()}.new"
    try:
        run.mkdir(mode=0o700, exist_ok=True)
        temporary.mkdir(mode=0o700)
        try:
            _write(temporary / specs.NAME, specs.written(spec))
            first = attempt_directory(temporary, 1)
            first.mkdir(mode=0o700)
            _fill(first, spec, command, attempt_directory(directory, 1))
            _sync(first, temporary)
            failpoint("run.making")
            if not _name(temporary, directory):
                return None
            _sync(run)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as exc:
        raise _refused(directory, exc) from exc
    return directory


def drop_leftovers(run: Path) -> None:
    """Remove what makers and removers left that were killed long ago."""
    with contextlib.suppress(OSError):
        for path in run.iterdir():
            if _LEFTOVER.fullmatch(path.name) and time.time() - path.stat().st_mtime > _LEFT_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)


def make_attempt(directory: Path, spec: Spec, number: int, command: Command) -> bool:
    """Make the directory of another attempt; False: somebody else made it.

    Raises:
        SuperviseError: the system does not let us.
    """
    room = attempt_directory(directory, number)
    temporary = directory / f".{room.name}.{os.urandom(4).hex()}.new"
    try:
        temporary.mkdir(mode=0o700)
        try:
            _fill(temporary, spec, command, room)
            _sync(temporary)
            if not _name(temporary, room):
                return False
            _sync(directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as exc:
        raise _refused(room, exc) from exc
    return True


def _fill(temporary: Path, spec: Spec, command: Command, room: Path) -> None:
    """Write what an attempt is started with into its directory, which will be `room`."""
    told = {**command.environment, "HOLDFAST_AGENT": spec.id, "HOLDFAST_RUN": os.fspath(room)}
    said = {"format": FORMAT, "argv": list(command.argv), "cwd": spec.cwd, "environment": told}
    _write(temporary / "start.json", json.dumps(said).encode() + b"\n")
    for name, content in command.files.items():
        _write(temporary / name, content)


def _name(temporary: Path, path: Path) -> bool:
    """Give a directory its name; False: there is one that has it."""
    try:
        temporary.rename(path)
    except OSError:
        if path.exists():
            return False
        raise
    return True


def start_shim(directory: Path, attempt: int, start: dict[str, Any], spec: Spec) -> Started:
    """Start the shim of an attempt. If another one has it, this one goes away by itself.

    Raises:
        SuperviseError: no process can be started there.
    """
    reap()
    give = inherited.giver(spec.inherited)
    room = attempt_directory(directory, attempt)
    ready, told = os.pipe()
    try:
        child = subprocess.Popen(
            [
                *_interpreter(),
                os.fspath(room),
                str(spec.stop_grace_s),
                str(BEAT_S),
                str(told),
                "--",
                *start["argv"],
            ],
            cwd=start["cwd"],
            env=start["environment"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(told,),
            umask=inherited.umask_of(spec.inherited),
            preexec_fn=give,  # noqa: PLW1509 - system calls, of functions that are loaded
        )
    except (OSError, subprocess.SubprocessError) as exc:
        os.close(ready)
        raise _refused(room, exc) from exc
    finally:
        os.close(told)
    _children.append(child)
    return Started(child, ready)


def _interpreter() -> list[str]:
    return [sys.executable, "-I", "-S", os.path.abspath(shim.__file__)]  # noqa: PTH100 - as the shim knows itself


def wait_begun(started: Started, timeout_s: float = READY_S) -> bool | None:
    """Wait until a program runs (True), or could not be started (False); None: its shim went away, or says nothing."""
    try:
        with contextlib.closing(_Waiting(started.ready)) as waiting:
            said = waiting.read(timeout_s)
    finally:
        os.close(started.ready)
        reap()
    return {_BEGUN: True, _FAILED: False}.get(said)


class _Waiting:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def read(self, timeout_s: float) -> bytes:
        return os.read(self._fd, 1) if self._poll.poll(timeout_s * 1_000) else b""

    def close(self) -> None:
        self._poll.unregister(self._fd)


def reap() -> None:
    """Take note of shims of this process that ended."""
    _children[:] = [child for child in _children if child.poll() is None]


def program(argv0: str, cwd: str, environment: dict[str, str]) -> str | None:
    """The file that a shim would start; None: there is none."""
    if "/" in argv0:
        path = os.path.join(cwd, argv0)  # noqa: PTH118 - as the kernel reads it
        return path if os.path.isfile(path) and os.access(path, os.X_OK) else None  # noqa: PTH113
    return shutil.which(argv0, path=environment.get("PATH", os.defpath))


def _write(path: Path, content: bytes) -> None:
    """A new file of ours, on disk."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)


def leave(path: Path, content: bytes, *, durable: bool = True) -> None:
    """A file of ours in place of another of its name: whole, or not at all. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(fd)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        _sync(path.parent)


def _sync(*directories: Path) -> None:
    for directory in directories:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _refused(place: Path, exc: Exception) -> SuperviseError:
    why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return SuperviseError(
        f"{place}: {why}", hint="nothing was started; make room or repair access, then try again"
    )
