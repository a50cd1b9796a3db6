"""A stand-in for `claude` and `codex`: started to resume a session, it writes what the recordings of a resume show.

STAND_IN_MODE says how it behaves: `works`; `slow`, which waits at the gate before its first work; `silent`, which writes only what the tool
writes at once, and waits at the gate; `error`, which says so and ends; `elsewhere`, which works in another session. STAND_IN_LOG is a
directory: each start leaves a file there with its words, directory, environment and input. The gate is a fifo in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOG = Path(os.environ["STAND_IN_LOG"])
MODE = os.environ.get("STAND_IN_MODE", "works")
RECORDED = Path(os.environ["STAND_IN_RECORDED"])
CLAUDE_ENDED, CODEX_ENDED = 31, 22  # lines that stood there when the process was killed
AT_ONCE = {"queue-operation"}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log(said: dict[str, Any]) -> None:
    temporary = LOG / f".{os.getpid()}"
    temporary.write_text(json.dumps(said))
    temporary.rename(LOG / f"start-{os.getpid()}.json")


def gate() -> None:
    with (LOG / "gate").open() as fifo:
        fifo.read()


def value(name: str) -> str | None:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def append(path: Path, lines: list[dict[str, Any]]) -> None:
    with path.open("a") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")


# ── Claude Code ──


def claude(told: str) -> None:
    old = value("--resume")
    config = Path(os.environ["CLAUDE_CONFIG_DIR"])
    [path] = config.glob(f"projects/*/{old}.jsonl")
    recorded = [json.loads(line) for line in (RECORDED / "claude.jsonl").read_text().splitlines()]
    new = value("--session-id") or (str(uuid.uuid4()) if MODE == "elsewhere" else old)
    if new != old:
        before = [json.loads(line) for line in path.read_text().splitlines()]
        path = path.with_name(f"{new}.jsonl")
        if "--fork-session" in sys.argv:
            copied = [line for line in before if line.get("type") not in AT_ONCE]
            append(path, [{**line, "sessionId": new} for line in copied])
    with listed(config, str(new)):
        lines = [line for line in recorded[CLAUDE_ENDED:46] if "sessionId" in line]
        for line in lines:
            line.update(sessionId=new, timestamp=now(), cwd=str(Path.cwd()))
            line.update({"uuid": str(uuid.uuid4())} if "uuid" in line else {})
        at_once = next(n for n, line in enumerate(lines) if line["type"] == "api-request")
        prompt = lines[at_once - 1]
        assert prompt["type"] == "user"
        prompt["message"]["content"] = told
        append(path, lines[:at_once])
        work(lambda: append(path, [line | {"timestamp": now()} for line in lines[at_once:]]))


@contextlib.contextmanager
def listed(config: Path, session: str):
    """In the tool's list of its processes, as long as it runs."""
    said = {
        "pid": os.getpid(),
        "sessionId": session,
        "cwd": str(Path.cwd()),
        "startedAt": int(datetime.now(UTC).timestamp() * 1000),
        "procStart": Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19],
        "version": "2.1.330",
        "status": "busy",
        "updatedAt": int(datetime.now(UTC).timestamp() * 1000),
    }
    path = config / "sessions" / f"{os.getpid()}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(said))
    try:
        yield
    finally:
        path.unlink()


# ── Codex ──


def codex() -> None:
    words = [word for word in sys.argv[1:] if word != "exec"]
    verb, old = words[0], words[1]
    home = Path(os.environ["CODEX_HOME"])
    [path] = home.glob(f"sessions/*/*/*/rollout-*{old}.jsonl")
    recorded = [json.loads(line) for line in (RECORDED / "codex.jsonl").read_text().splitlines()]
    lines = recorded[CODEX_ENDED:39]
    thread = old
    if verb == "fork":
        thread = str(uuid.uuid4())
        path = path.with_name(f"rollout-2026-11-22T00-00-00-{thread}.jsonl")
        meta = recorded[0]
        meta["payload"] |= {"id": thread, "session_id": thread, "forked_from_id": old, "cwd": str(Path.cwd())}
        lines = [meta, *lines]
    lock = home / "thread-writer-locks" / f"{thread}.lock"
    lock.parent.mkdir(exist_ok=True)
    turn = str(uuid.uuid4())
    text = json.dumps(lines).replace("01a1fddf-4ec6-75f2-9630-5725c00f7c37", turn)
    lines = json.loads(text.replace(str(recorded[0]["payload"]["session_id"]), str(thread)))
    at_once = next(n for n, line in enumerate(lines) if "AgentMessage" in json.dumps(line))
    number = path.read_text().count("\n") if path.exists() else 0
    for line in lines:
        line["timestamp"] = now()
        line["ordinal"], number = number, number + 1
        if "id" in line["payload"] and line["type"] == "response_item":
            line["payload"]["id"] = str(uuid.uuid4())
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        append(path, lines[:at_once])
        work(lambda: append(path, [line | {"timestamp": now()} for line in lines[at_once:]]))
    lock.unlink()


def work(write) -> None:
    if MODE in {"slow", "silent"}:
        gate()
    if MODE != "silent":
        write()
        print("Resumed and finished.")


def main() -> None:
    program = Path(sys.argv[0]).name
    reads = "-p" in sys.argv or "exec" in sys.argv
    told = sys.stdin.read() if reads else next((word for word in sys.argv[1:] if " " in word), "")
    log(
        {
            "argv": sys.argv[1:],
            "cwd": str(Path.cwd()),
            "env": dict(os.environ),
            "told": told,
            "pid": os.getpid(),
        }
    )
    if MODE == "error":
        sys.exit(f"{program}: it does not want to")
    claude(told) if program == "claude" else codex()


main()
