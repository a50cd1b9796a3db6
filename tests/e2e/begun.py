"""A stand-in for `claude` and `codex`, started anew: it writes what recordings of each show, and ends as it is told to.

BEGUN_MODE says how: `works`, to a good end; `refuses`, before it writes anything; `cut`, which stops in the middle of a call and waits at the
gate, a fifo in BEGUN_LOG; `dies`, which does the same, and sends itself SIGKILL at the gate; `returns`, which ends there with exit code 0;
`told`, which ends well with exit code 3; `fails`, whose turn ends in an error of the API; `picks`, which works in a session of its own choice.
BEGUN_RECORDED is the directory of the recordings. Each start leaves a file in BEGUN_LOG with its words and its environment.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOG, RECORDED = Path(os.environ["BEGUN_LOG"]), Path(os.environ["BEGUN_RECORDED"])
MODE = os.environ.get("BEGUN_MODE", "works")
CODES = {"told": 3, "fails": 1}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def value(name: str) -> str | None:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def gate() -> None:
    (LOG / "reached").touch()
    with (LOG / "gate").open() as fifo:
        fifo.read()


def end() -> None:
    if MODE in {"cut", "dies", "returns"}:
        gate()
    if MODE == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(CODES.get(MODE, 0))


def hooks(event: str, payload: dict[str, Any]) -> None:
    """Run the hooks of the settings that were passed, as the tool does."""
    given = value("--settings")
    if given is None:
        return
    settings = json.loads(given if given.startswith("{") else Path(given).read_text())
    for group in settings.get("hooks", {}).get(event, []):
        for entry in group["hooks"]:
            told = json.dumps(payload | {"hook_event_name": event}) + "\n"
            subprocess.run(["/bin/sh", "-c", entry["command"]], input=told, text=True, check=False)


# ── Claude Code ──


def claude() -> None:
    session = value("--session-id") or str(uuid.uuid4())
    config = Path(os.environ["CLAUDE_CONFIG_DIR"])
    scenario = {"works": "task-tools", "told": "task-tools", "picks": "task-tools", "fails": "api-error-400"}
    name = scenario.get(MODE, "kill9-during-tool")
    [recorded] = (RECORDED / "claude-code" / name / "transcript").glob("*.jsonl")
    lines = [json.loads(line) for line in recorded.read_text().splitlines()]
    hooks("SessionStart", {"session_id": session, "source": "startup", "cwd": str(Path.cwd())})
    listed = registry(config, session)
    path = config / "projects" / "-a-project" / f"{session}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for line in lines:
            said = json.loads(json.dumps(line).replace(recorded.stem, session))
            for name in ("sessionId", "session_id"):
                if name in said:
                    said[name] = session
            said |= {"timestamp": now()} if "timestamp" in said else {}
            said |= {"cwd": str(Path.cwd())} if "cwd" in said else {}
            file.write(json.dumps(said) + "\n")
    print("said something", flush=True)
    try:
        end()
    finally:
        listed.unlink()


def registry(config: Path, session: str) -> Path:
    path = config / "sessions" / f"{os.getpid()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    at_ms = int(datetime.now(UTC).timestamp() * 1000)
    said = {
        "pid": os.getpid(),
        "sessionId": session,
        "cwd": str(Path.cwd()),
        "startedAt": at_ms,
        "procStart": ticks,
        "pidDomain": f"linux:0:{Path('/proc/self/ns/pid').readlink()}",
        "version": "2.1.330",
        "status": "busy",
        "statusUpdatedAt": at_ms,
    }
    path.write_text(json.dumps(said))
    return path


# ── Codex ──


def codex() -> None:
    home = Path(os.environ["CODEX_HOME"])
    [recorded] = (RECORDED / "codex" / "kill9-then-resume").rglob("*.jsonl")
    lines = [json.loads(line) for line in recorded.read_text().splitlines()]
    old, thread = lines[0]["payload"]["id"], str(uuid.uuid4())
    print("OpenAI Codex v0.169.0\n--------\nsession id: " + thread + "\n--------", flush=True)
    lock = home / "thread-writer-locks" / f"{thread}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    path = home / "sessions" / "2026" / "11" / "22" / f"rollout-2026-11-22T00-00-00-{thread}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held, path.open("a") as file:
        fcntl.flock(held, fcntl.LOCK_EX)
        for line in lines if MODE == "works" else lines[:22]:
            said = json.loads(json.dumps(line).replace(old, thread)) | {"timestamp": now()}
            file.write(json.dumps(said) + "\n")
        file.flush()
        end_of_codex(lock)


def end_of_codex(lock: Path) -> None:
    if MODE in {"cut", "dies", "returns"}:
        gate()
    if MODE == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    lock.unlink()
    sys.exit(CODES.get(MODE, 0))


def main() -> None:
    said = {"argv": sys.argv[1:], "env": dict(os.environ), "pid": os.getpid()}
    (LOG / f".{os.getpid()}").write_text(json.dumps(said))
    (LOG / f".{os.getpid()}").rename(LOG / f"start-{os.getpid()}.json")
    if MODE == "refuses":
        sys.exit("Error: it does not want to")
    claude() if Path(sys.argv[0]).name == "claude" else codex()


main()
