"""Kills at random moments inside large writes, and disks that fill up inside one.

python -m tests.crash.volume fill DIRECTORY SIZE_KIB SEED      (inside `unshare -m`, started by `full_disks`)
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.crash import flood, points

KILLS, MEGABYTES, DISKS = 400, 100, 40
_KILLS_PER_HOME = 10
_RUN_LIMIT_S = 60
_MEMORY_LEAST_BYTES = 2 << 30
_BALLAST_BYTES = 256 << 10


def environment(home: Path) -> dict[str, str]:
    """What a child gets: this checkout, a home, and nothing of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "CLAUDE"))}
    return {
        **kept,
        "PYTHONPATH": f"{points.REPO_ROOT / 'src'}{os.pathsep}{points.REPO_ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CLAUDE_CONFIG_DIR": str(home / "no-claude"),
        "HOLDFAST_HOME": str(home),
    }


def start(home: Path, *args: str, **more: str) -> subprocess.Popen[bytes]:
    """Start a flood."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.crash.flood", *args],
        env=environment(home) | more,
        cwd=points.REPO_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def one_record(home: Path, name: str) -> subprocess.CompletedProcess[bytes]:
    """Another process records one event."""
    command = [sys.executable, "-m", "tests.crash.flood", "after", name, "1", "small"]
    return subprocess.run(
        command,
        env=environment(home),
        cwd=points.REPO_ROOT,
        capture_output=True,
        timeout=_RUN_LIMIT_S,
        check=False,
    )


def kill_inside(home: Path, seed: str, writer: str, chooser: random.Random) -> bytes:
    """Start a flood, let some of it through, kill it at a random moment; returns what it acknowledged."""
    process = start(home, seed, writer, "0", "mixed")
    assert process.stdout is not None
    assert process.stderr is not None
    output = chunk = b""
    wanted, in_burst = chooser.randint(1, 40), chooser.random() < 0.8
    deadline_s = time.monotonic() + _RUN_LIMIT_S
    while output.count(b"\n") < wanted or (in_burst and chunk.count(b"\n") < flood.BATCH_RECORDS):
        assert time.monotonic() < deadline_s
        if select.select([process.stdout], [], [], 1)[0]:
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            output += chunk
    moment_s = time.perf_counter() + chooser.uniform(0, 0.006)  # a few large writes long
    while time.perf_counter() < moment_s:
        pass
    process.send_signal(signal.SIGKILL)
    output += process.stdout.read()  # what it acknowledged before it died is in the pipe
    process.wait(_RUN_LIMIT_S)
    process.stdout.close()
    process.stderr.close()
    return output


def kills(directory: Path, seed: int, least_kills: int, least_bytes: int) -> tuple[list[str], str]:
    """Kill until there were this many kills and this much was written; returns violations and a summary."""
    chooser = random.Random(seed)
    places = _places(directory)
    violations: list[str] = []
    done = size = acknowledged_total = torn = tails = number = 0
    while done < least_kills or size < least_bytes:
        home = places[number % len(places)] / f"volume-{number}"
        number += 1
        audit = flood.Audit(home / "journal", home / "blobs")
        acknowledged: list[str] = []
        for _ in range(
            min(_KILLS_PER_HOME, max(1, least_kills - done)) if done < least_kills else _KILLS_PER_HOME
        ):
            acknowledged += flood.ids_of(kill_inside(home, f"{seed}", f"w{done}", chooser))
            torn_now = len(audit.damage)
            after = one_record(home, f"after-{done}")
            if after.returncode:
                violations.append(f"kill {done}: the next process failed: {after.stderr.decode()[-300:]}")
            acknowledged += flood.ids_of(after.stdout)
            audit.go_on()
            violations += [f"kill {done}: {v}" for v in audit.missing(acknowledged[-5_000:])]
            tails += len(audit.damage) > torn_now
            done += 1
        violations += audit.missing(acknowledged) + audit.broken + _store_misses(home, acknowledged)
        size += audit.size_bytes
        torn += sum(d.end - d.start for d in audit.damage)
        acknowledged_total += len(acknowledged)
        if not violations:
            shutil.rmtree(home)
    for place in places[1:]:
        if not violations:
            shutil.rmtree(place)
    return violations, (
        f"{done} kills inside {size / 1e6:.0f} MB, {tails} of them in the middle of a write ({torn / 1e6:.1f} MB torn "
        f"and reported), {acknowledged_total} acknowledged records"
    )


def _places(directory: Path) -> list[Path]:
    """Where homes are made in turn: the disk, and memory, which looks for a kill after every page of a write."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < _MEMORY_LEAST_BYTES:
        return [directory]
    return [directory, Path(tempfile.mkdtemp(prefix="holdfast-volume-", dir=memory))]


_CATCH_UP = """
import os
from holdfast.home import Home
from holdfast.settings import load
from holdfast.store import database
home = Home(load(None, os.environ, {}))
assert home.catch_up([]).done
db = database.open_reader(home.path)
assert db.execute("PRAGMA integrity_check").get == "ok"
print(*(row[0] for row in db.execute("SELECT id FROM event")), sep="\\n")
"""


def _store_misses(home: Path, acknowledged: list[str]) -> list[str]:
    """Catch up in a new process and compare the store with the acknowledgements."""
    done = subprocess.run(
        [sys.executable, "-c", _CATCH_UP], env=environment(home), capture_output=True, text=True, check=False
    )
    if done.returncode:
        return [f"catching up failed: {done.stderr[-300:]}"]
    held = done.stdout.split()
    if len(held) != len(set(held)):
        return ["the store holds a record twice"]
    return [f"acknowledged record {i} is not in the store" for i in set(acknowledged) - set(held)]


def full(directory: Path, seed: int) -> tuple[list[str], str]:
    """The kills of a release."""
    return kills(directory, seed, KILLS, MEGABYTES * 1_000_000)


# ── full disks ──


def cannot_mount() -> str | None:
    """Why small disks cannot be made here; None when they can."""
    if shutil.which("unshare") is None:
        return "needs unshare (util-linux)"
    probe = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return (
        None if probe.returncode == 0 else "needs root: small disks are mounted in a namespace of their own"
    )


def full_disk(directory: Path, size_kib: int, seed: str) -> list[str]:
    """Fill a disk of this size to the brim while recording; returns violations."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [
        "unshare",
        "-m",
        sys.executable,
        "-m",
        "tests.crash.volume",
        "fill",
        str(directory),
        str(size_kib),
        seed,
    ]
    done = subprocess.run(
        command,
        env=environment(directory / "home"),
        cwd=points.REPO_ROOT,
        capture_output=True,
        text=True,
        timeout=_RUN_LIMIT_S,
        check=False,
    )
    if done.returncode:
        return [f"disk of {size_kib} KiB, seed {seed}: the harness failed: {done.stderr[-500:]}"]
    return [f"disk of {size_kib} KiB, seed {seed}: {v}" for v in json.loads(done.stdout)]


def full_disks(directory: Path, seed: int) -> tuple[list[str], str]:
    """Many small disks, each filled by records of mixed sizes."""
    if why := cannot_mount():
        return [], f"not tried: {why}"
    chooser = random.Random(seed)
    violations = []
    for number in range(DISKS):
        violations += full_disk(directory / f"disk-{number}", chooser.randint(300, 6_000), f"{seed}.{number}")
    return violations, f"{DISKS} disks filled to the last byte"


def _fill(directory: Path, size_kib: str, seed: str) -> list[str]:
    """In a mount namespace of its own: record until the disk is full, make room, carry on."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(directory)], check=True)
    home = directory / "home"
    ballast = directory / "ballast"
    ballast.write_bytes(bytes(_BALLAST_BYTES))
    violations = []
    process = start(home, seed, "filling", "0", "mixed")
    output, errors = process.communicate(timeout=_RUN_LIMIT_S)
    if process.returncode not in (10, 21) or b"Traceback" in errors:
        violations.append(f"ended with {process.returncode}: {errors.decode()[-300:]}")
    ballast.unlink()
    after = one_record(home, "after")
    if after.returncode:
        violations.append(f"with room again, recording failed: {after.stderr.decode()[-300:]}")
    audit = flood.Audit(home / "journal", home / "blobs")
    audit.go_on()
    return violations + audit.missing(flood.ids_of(output) + flood.ids_of(after.stdout)) + audit.broken


if __name__ == "__main__":
    assert sys.argv[1] == "fill"
    print(json.dumps(_fill(Path(sys.argv[2]), sys.argv[3], sys.argv[4])))
