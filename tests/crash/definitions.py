"""Kill `holdfast definitions` at every system call that writes, of every act, and look.

    python -m tests.crash.definitions [--trials N] [--only ACT] [--list] [--jobs N]

strace places each kill at the call itself, so that what the Python of the command does beside the calls that are counted in
tests/definitions/faulty.py is seen too. After each, a new process looks: the files have to be old or new, what is recorded has to say the same, each revision has to begin
with what the one before left, and nothing may lie beside a file or say that something is under way. Exit code 1 where one is not so. Linux, needs strace.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.crash import points
from tests.definitions import faulty
from tests.definitions.faulty import ACTS, NEW, OLD, THIRD, World, begun, sha, violations

_KILLED = -9
_ATTEMPTS = 3  # a thread of the journal's does not always come to the same call at the same time
_COMMANDS = {
    "create": (("create", "qa", "--from", "-"), NEW),
    "put": (("put", "qa", "--base", sha(OLD)), NEW),
    "delete": (("delete", "qa"), b""),
    "migrate": (("migrate", "qa", "--to", "user"), b""),
    "replicate": (("replicate", "qa", "--to", "user", "--base", sha(THIRD)), b""),
    "distributed": (("put", "qa", "--base", sha(OLD), "--strategy", "distributed"), NEW),
    "delete both": (("delete", "qa", "--strategy", "distributed"), b""),
}
assert set(_COMMANDS) == set(ACTS)


def command(world: World, name: str) -> tuple[list[str], dict[str, str], bytes]:
    """What is run, with which environment, and what it reads."""
    args, given = _COMMANDS[name]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "CLAUDE"))
    }
    environment |= world.environment | {
        "PYTHONPATH": f"{points.REPO_ROOT / 'src'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = [sys.executable, "-m", "holdfast", "definitions", *args, "--cwd", str(world.project)]
    return words, environment, given


def run(world: World, name: str, trace: Path, inject: tuple[str, ...] = ()) -> points.Outcome:
    """Run an act under strace."""
    words, environment, given = command(world, name)
    return points.trace(words, environment, world.place, trace, inject, given=given)


def trial(place: Path, name: str, number: int, point: points.Point) -> list[str]:
    """Kill an act at a call; what is wrong then."""
    for _ in range(_ATTEMPTS):
        world = begun(place / f"{name}-{number}", ACTS[name])
        trace = place / f"{name}-{number}.trace"
        done = run(world, name, trace, (f"{point.syscall}:signal=SIGKILL:when={point.number}",))
        if done.status == _KILLED and point in done.last:
            break
        shutil.rmtree(world.place)
    else:
        return [f"not hit: ended with {done.status} at {done.last}: {done.errors}"]
    out = violations(world, ACTS[name], acknowledged=None)
    if not out:
        shutil.rmtree(world.place)
        trace.unlink()
    return out


def plan(place: Path, name: str) -> list[points.Point]:
    """The calls of an act that is not killed, which has to be right too."""
    world = begun(place / f"{name}-clean", ACTS[name])
    done = run(world, name, place / f"{name}-clean.trace")
    assert done.status == 0, done.errors
    assert violations(world, ACTS[name], acknowledged=True) == []
    return done.points


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, help="so many of each act, spread evenly (default: every call)")
    parser.add_argument("--only", choices=list(ACTS), help="this act alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print every kill")
    asked = parser.parse_args()
    if why := points.missing():
        print(f"kills at system calls were not tried: {why}")
        return 1
    began_s = time.monotonic()
    place = Path(tempfile.mkdtemp(prefix="holdfast-definitions-"))
    bad, counts = 0, Counter[str]()
    with ProcessPoolExecutor(asked.jobs) as pool:
        for name in [asked.only] if asked.only else ACTS:
            every = list(enumerate(plan(place, name)))
            step = max(1, len(every) // asked.trials) if asked.trials else 1
            chosen = every[::step]
            found = pool.map(
                trial, *zip(*((place, name, number, point) for number, point in chosen), strict=True)
            )
            for (_, point), wrong in zip(chosen, found, strict=True):
                counts[name] += 1
                bad += bool(wrong)
                if wrong or asked.list:
                    print(
                        f"{name:12} {point.syscall} #{point.number} {point.file}  {'; '.join(wrong)}",
                        flush=True,
                    )
            print(f"{name:12} {counts[name]} of {len(every)} calls that write", flush=True)
    print(f"{sum(counts.values())} kills, {bad} with something wrong; {time.monotonic() - began_s:.0f} s")
    if bad:
        print(f"what is left of them lies in {place}")
        return 1
    shutil.rmtree(place)
    return 0


assert faulty.in_process  # each look is a process of its own

if __name__ == "__main__":
    sys.exit(main())
