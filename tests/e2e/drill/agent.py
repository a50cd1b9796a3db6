"""A stand-in for an agent's process: does one act for each line that it is given, says when it is done, and knows nothing else.

An act is one thing that a tool does to the world: append a line to a transcript, write a file, take a lock, start a hook. What it
writes bears the moment at which it is written. It runs without any library, so that many can be started and killed in a short time.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

TIMES = re.compile(r'("timestamp": ?")20[0-9T:.Z-]+"')
HELD = []  # locks, until this process ends


LAST_MS = [0]


def now_ms():
    """This moment; it acts faster than any agent, so each moment is later than the one before."""
    LAST_MS[0] = max(int(time.time() * 1000), LAST_MS[0] + 1)
    return LAST_MS[0]


def now():
    at = now_ms()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03d}Z"


def made(path):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return path


def append(path, text):
    """A line in one write, as the tools do it."""
    fd = os.open(made(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (TIMES.sub(lambda found: found[1] + now() + '"', text) + "\n").encode())
    os.close(fd)


def tear(path, text):
    """The first half of a line."""
    fd = os.open(made(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, text.encode()[: len(text) // 2])
    os.close(fd)


def write(path, text):
    temporary = Path(made(path) + ".new")
    temporary.write_text(text)
    temporary.rename(path)


def register(directory, session, status, more):
    """Its entry in Claude Code's registry."""
    at_ms = now_ms()
    ticks = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    said = {
        "pid": os.getpid(),
        "sessionId": session,
        "cwd": "/home/dev/demo",
        "startedAt": BEGAN_MS,
        "procStart": ticks,
        "version": "2.1.330",
        "kind": "interactive",
        "pidDomain": "linux:0123456789abcdef:" + str(Path("/proc/self/ns/pid").readlink()),
        "status": status,
        "updatedAt": at_ms,
        "statusUpdatedAt": at_ms,
    }
    write(f"{directory}/{os.getpid()}.json", json.dumps(said | more))


def unregister(directory):
    Path(directory, f"{os.getpid()}.json").unlink()


def hook(command, payload):
    """What Claude Code does: a shell with the payload on its standard input."""
    subprocess.run(["/bin/sh", "-c", command], input=(payload + "\n").encode(), check=False)


def lock(path):
    fd = os.open(made(path), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    HELD.append(fd)


def unlock(path):
    Path(path).unlink()


def nothing():
    """Something that a person does."""


BEGAN_MS = now_ms()
ACTS = {one.__name__: one for one in (append, tear, write, register, unregister, hook, lock, unlock, nothing)}

if __name__ == "__main__":
    for line in sys.stdin.buffer:
        name, *arguments = json.loads(line)
        ACTS[name](*arguments)
        os.write(1, b".")
