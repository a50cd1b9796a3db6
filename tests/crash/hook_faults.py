"""The installed hook where everything is wrong, thousands of times: the tool that runs it must see success and nothing else.

Each situation is made for real: a home, hooks that our command installed, and then what went wrong. A hook is run as Claude
Code runs it: its line of shell by `/bin/sh -c`, the payload on standard input, both outputs read to their ends.

python -m tests.crash.hook_faults [--runs N] [--only SITUATION] [--seed S] [--jobs N]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from holdfast.hooks import EVENTS
from tests.conftest import REPO_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNS = 10_000  # of each situation
LIMIT_S = 30
_SIZES_BYTES = (100, 600, 2_000, 20_000, 70_000, 1 << 20, 9 << 20)
_WEIGHTS = (20, 20, 20, 10, 5, 1, 0.1)
_DISK_KIB, _BALLAST_KIB = 64, 56  # room for the first payloads, and for a part of the next one


class Place(NamedTuple):
    """Where hooks are installed: the home, the command line of a hook, and what it is started with."""

    home: Path
    command: str
    environment: dict[str, str]


class Outcome(NamedTuple):
    """What a tool saw of one hook; `took_all`: it could hand over the whole payload, and met no broken pipe."""

    code: int
    out: bytes
    err: bytes
    took_all: bool
    wall_s: float

    @property
    def is_silent(self) -> bool:
        return self.took_all and (self.code, self.out, self.err) == (0, b"", b"")


def install(base: Path) -> Place:
    """A home and a user of their own, with hooks that the command installed."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPO_ROOT / "src"),
        "HOME": str(base / "user"),
        "HOLDFAST_HOME": str(base / "home"),
        "CLAUDE_CONFIG_DIR": str(base / "claude"),
        "CODEX_HOME": str(base / "codex"),
    }
    (base / "user").mkdir(parents=True)
    (base / "claude").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "hooks", "install"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    hooks = json.loads((base / "claude" / "settings.json").read_text())["hooks"]
    [command] = {hooks[event][-1]["hooks"][0]["command"] for event in EVENTS}
    return Place(base / "home", command, {"PATH": os.environ["PATH"], "HOME": environment["HOME"]})


# ── what goes wrong ──


@contextlib.contextmanager
def unwritable(place: Place) -> Iterator[Place]:
    """The spool cannot be written: it is a directory, which stops root too."""
    (place.home / "inbox" / "claude").mkdir(parents=True)
    yield place


@contextlib.contextmanager
def forbidden(place: Place) -> Iterator[Place]:
    """The spool belongs to somebody else."""
    spool = place.home / "inbox" / "claude"
    spool.parent.mkdir(parents=True, exist_ok=True)
    spool.touch(0o400)
    if os.geteuid() == 0:
        done = subprocess.run(["chattr", "+i", str(spool)], capture_output=True, check=False)
        if done.returncode:
            raise Absent(f"the file system keeps no file from root: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", str(spool)], check=True)


@contextlib.contextmanager
def full_disk(place: Place) -> Iterator[Place]:
    """The inbox lies on a disk of its own, which is full after the first payloads: one of them is cut."""
    disk = place.home / "inbox"
    disk.mkdir(parents=True, exist_ok=True)
    options = f"size={_DISK_KIB}k,mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        raise Absent(f"no file system can be mounted: {mounted.stderr.decode().strip()}")
    try:
        (disk / "ballast").write_bytes(bytes(_BALLAST_KIB << 10))
        yield place
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@contextlib.contextmanager
def no_home(place: Place) -> Iterator[Place]:
    """The home was deleted."""
    shutil.rmtree(place.home, ignore_errors=True)
    yield place


@contextlib.contextmanager
def uninstalled(place: Place) -> Iterator[Place]:
    """Holdfast is gone, with its home; only the hook is still in the settings. No program of Python's is found either."""
    shutil.rmtree(place.home, ignore_errors=True)
    tools = place.home.with_name("tools")
    tools.mkdir()
    for name in ("dd", "cat", "perl"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    yield place._replace(environment={**place.environment, "PATH": str(tools)})


SITUATIONS: dict[str, Callable[[Place], contextlib.AbstractContextManager[Place]]] = {
    "spool unwritable": unwritable,
    "spool forbidden": forbidden,
    "disk full": full_disk,
    "home missing": no_home,
    "holdfast uninstalled": uninstalled,
}


class Absent(Exception):
    """What a situation needs is not on this machine."""


# ── running it ──


def payload(chooser: random.Random) -> bytes:
    [size] = chooser.choices(_SIZES_BYTES, _WEIGHTS)
    head = b'{"session_id":"s","hook_event_name":"PreToolUse","tool_input":"'
    return head + b"x" * (size - len(head) - 3) + b'"}\n'


def fire(place: Place, given: bytes) -> Outcome:
    """Run the hook once."""
    began_s = time.perf_counter()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["/bin/sh", "-c", place.command], stdin=pipe, stdout=pipe, stderr=pipe, env=place.environment, cwd="/"
    ) as hook:
        assert hook.stdin is not None
        try:
            hook.stdin.write(given)
            hook.stdin.flush()
            took_all = True
        except BrokenPipeError:
            took_all = False
        out, err = hook.communicate(timeout=LIMIT_S)
    return Outcome(hook.returncode, out, err, took_all, time.perf_counter() - began_s)


def trial(
    situation: str, runs: int, seed: int, jobs: int, directory: Path, command: str | None = None
) -> list[Outcome]:
    """Run the hook in one situation; `command` in its place. Raises Absent."""
    chooser = random.Random(f"{seed}/{situation}")
    place = install(directory / situation.replace(" ", "-"))
    if command is not None:
        place = place._replace(command=command.replace("{}", str(place.home / "inbox" / "claude")))
    with SITUATIONS[situation](place) as broken, ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(partial(fire, broken), (payload(chooser) for _ in range(runs))))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.hook_faults", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="of each situation (default %(default)s)")
    parser.add_argument("--only", choices=SITUATIONS, help="this situation alone")
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    print(f"seed {seed} (repeat with --seed {seed})", flush=True)
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="holdfast-faults-") as directory:
        for situation in [asked.only] if asked.only else SITUATIONS:
            try:
                found = trial(situation, asked.runs, seed, asked.jobs, Path(directory))
            except Absent as exc:
                print(f"{situation:22} not tried: {exc}", flush=True)
                continue
            bad = [outcome for outcome in found if not outcome.is_silent]
            slowest_ms = max(outcome.wall_s for outcome in found) * 1e3
            seen["runs"] += len(found)
            seen["bad"] += len(bad)
            print(
                f"{situation:22} {len(found):>7,} runs, {len(bad)} not silent, slowest {slowest_ms:.0f} ms",
                flush=True,
            )
            for outcome in bad[:5]:
                print(f"    {outcome}")
    print(f"{seen['runs']:,} runs, {seen['bad']} of which the host saw something")
    return 1 if seen["bad"] or not seen["runs"] else 0


if __name__ == "__main__":
    sys.exit(main())
