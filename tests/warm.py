"""Run `holdfast ARGS` in a process of its own that need not import the package first.

Most of what a short command costs is imports, and the suite starts thousands. So one process imports them once and is
forked for each: what runs has its own process, arguments, environment, directory and pipes, and ends as an interpreter
ends. `make thorough` starts each from nothing, as users do, and so does here whatever sets how an interpreter starts.
"""

from __future__ import annotations

import array
import contextlib
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from tests.amount import THOROUGH

_ROOT = Path(__file__).resolve().parent.parent
_LARGEST_REQUEST = 16 << 20
_AT_THE_START = (
    "PYTHON",
    "LC_",
    "LANG",
    "LD_",
    "MALLOC_",
    "HOLDFAST_FAILPOINTS",
)  # what is read before anything else


def run_holdfast(
    args: tuple[str, ...], *, stdin: bytes, env: dict[str, str], cwd: Path, limit_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end. Raises subprocess.TimeoutExpired as `subprocess.run` does."""
    if THOROUGH or not hasattr(os, "fork") or _start(env) != _start(dict(os.environ)):
        command = [sys.executable, "-m", "holdfast", *args]
        return subprocess.run(
            command, input=stdin, capture_output=True, timeout=limit_s, cwd=cwd, env=env, check=False
        )
    return _warm(os.getpid()).run(args, stdin, env, cwd, limit_s)


def _start(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_AT_THE_START)}


class Warm:
    """The process that has imported everything, and is forked."""

    def __init__(self) -> None:
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(there.fileno())],
                cwd=_ROOT,
                pass_fds=(there.fileno(),),
            )

    def run(
        self, args: tuple[str, ...], stdin: bytes, env: dict[str, str], cwd: Path, limit_s: float
    ) -> subprocess.CompletedProcess[bytes]:
        until = time.monotonic() + limit_s
        with contextlib.ExitStack() as stack:
            pipes = [os.pipe() for _ in range(3)]
            theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
            umask = os.umask(0)
            os.umask(umask)
            request = json.dumps([args, env, str(cwd), umask]).encode("utf-8", "surrogatepass")
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", theirs))]
            self._here.sendmsg([len(request).to_bytes(4, "big")], rights)
            self._here.sendall(request)
            for fd in theirs:
                os.close(fd)
            pid = int.from_bytes(self._exactly(4), "big")
            ours = [os.fdopen(pipes[0][1], "wb", buffering=0), os.fdopen(pipes[1][0], "rb", buffering=0)]
            ours.append(os.fdopen(pipes[2][0], "rb", buffering=0))
            for file in ours:
                stack.enter_context(file)
            stack.callback(self._ended, pid)
            out, err = _communicate(ours, stdin, until, (args, limit_s), pid)
        return subprocess.CompletedProcess(["holdfast", *args], self._status, out, err)

    def _ended(self, _pid: int) -> None:
        self._status = int.from_bytes(self._exactly(4), "big", signed=True)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._here.recv(size - len(data))
            if not more:
                raise RuntimeError("the process that is forked for each command has ended")
            data += more
        return data


def _communicate(
    files: list[Any], stdin: bytes, until: float, asked: tuple[Any, float], pid: int
) -> tuple[bytes, bytes]:
    """Write all of stdin and read the other two to their ends."""
    given, said = memoryview(stdin), {files[1]: b"", files[2]: b""}
    with selectors.DefaultSelector() as selector:
        for file in said:
            selector.register(file, selectors.EVENT_READ)
        if given:
            os.set_blocking(files[0].fileno(), False)
            selector.register(files[0], selectors.EVENT_WRITE)
        else:
            files[0].close()
        while selector.get_map():
            ready = selector.select(max(until - time.monotonic(), 0))
            if not ready:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["holdfast", *asked[0]], asked[1], *said.values())
            for key, _ in ready:
                file: Any = key.fileobj
                if file is files[0]:
                    try:
                        given = given[file.write(given[:65536]) or 0 :]
                    except BrokenPipeError:
                        given = given[:0]
                    more = bool(given)
                else:
                    data = file.read(1 << 16)
                    said[file] += data
                    more = bool(data)
                if not more:
                    selector.unregister(file)
                    file.close()
    return said[files[1]], said[files[2]]


@cache
def _warm(_pid: int) -> Warm:
    return Warm()


# ── the process that is forked ──


def _serve(connection: socket.socket) -> list[str] | None:
    """Fork for each request. Returns the arguments in a child, and None once nobody asks any more."""
    while True:
        head, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(3 * 4))
        if not head:
            return None
        fds = array.array("i", ancillary[0][2])
        size = int.from_bytes(head, "big")
        request = connection.recv(size, socket.MSG_WAITALL)
        args, env, cwd, umask = json.loads(request.decode("utf-8", "surrogatepass"))
        pid = os.fork()
        if pid == 0:
            connection.close()
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
                os.close(fd)
            for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
                was = getattr(sys, name)
                # Kept by the interpreter to its end, which flushes them.
                new = open(number, mode, encoding=was.encoding, errors=was.errors, closefd=False)  # noqa: SIM115
                setattr(sys, name, new)
                setattr(sys, f"__{name}__", new)
            os.umask(umask)
            os.chdir(cwd)
            sys.path[0] = cwd
            os.environ.clear()
            os.environ.update(env)
            return list(args)
        for fd in fds:
            os.close(fd)
        connection.sendall(pid.to_bytes(4, "big"))
        _, status = os.waitpid(pid, 0)
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))


def _import_everything() -> None:
    import holdfast.cli

    for module in pkgutil.iter_modules(holdfast.cli.__path__, "holdfast.cli."):
        importlib.import_module(module.name)
    for name in (
        "holdfast.catch_up",
        "holdfast.home",
        "holdfast.redact.redactor",
        "rich.table",
        "rich.console",
    ):
        importlib.import_module(name)


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    args = _serve(connection)
    if args is not None:
        sys.argv = ["holdfast", *args]
        runpy.run_module("holdfast", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
