"""`hook`: what the installed hook adds to an event of the tool, over a shell that does nothing.

Command lines take turns, in an order drawn anew each round: the hook, `:`, and `:` once more, whose difference to the first is the noise.
Each is started by `/bin/sh -c` with the payload in a pipe, and timed from its start until it has ended. First the machine is left
alone, then busy loops run beside. There the payload is also given once after the start, as tools do it: whatever reads it then, a shell
with `read` too, may have to wait until the one that gives it gets a turn, which is no cost of the hook.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import (
    Budget,
    budgets,
    environment,
    median,
    percentile,
    python,
    remember,
    run,
    table,
)

HOOK, SHELL, AGAIN, READS = "hook", "sh -c :", "sh -c :, again", "sh -c 'read x'"
SIZES_BYTES = (1_000, 1_000_000)
LIMIT_MS = 3
_PIPE_BYTES = 1 << 20
_DRAWS = 400  # of which an interval of confidence is made
_EMPTY_EVERY = 200  # rounds


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks hook", description=__doc__)
    parser.add_argument("--runs", type=int, default=1500, help="of each command line (default %(default)s)")
    parser.add_argument("--loops", type=int, default=4, help="busy ones (default %(default)s)")
    given = parser.parse_args(options)
    figures = {}
    with tempfile.TemporaryDirectory(prefix="bench-hook-") as directory:
        hook = _installed(Path(directory))
        spool = Path(directory, "home", "inbox", "claude")
        for size_bytes in SIZES_BYTES:
            figures[f"{size_bytes:,} bytes"] = _measured(hook, spool, size_bytes, given.runs)
        with _busy(given.loops):
            for when, filled in (("", True), (", given after the start", False)):
                figures[f"{SIZES_BYTES[0]:,} bytes, {given.loops} busy loops{when}"] = _measured(
                    hook, spool, SIZES_BYTES[0], given.runs, reads=True, filled=filled
                )
    for name, figure in figures.items():
        _show(name, figure, given.runs)
    quiet, _, busy, _ = figures.values()
    found = [
        Budget("hook, added p50, ms", _told(quiet, "p50", LIMIT_MS), LIMIT_MS),
        Budget(
            f"hook, added p99 beside {given.loops} busy loops, ms", _told(busy, "p99", LIMIT_MS), LIMIT_MS
        ),
    ]
    budgets(found)
    remember("hook", {"runs": given.runs, **figures}, found)


def _installed(directory: Path) -> str:
    """The line of shell that `holdfast hooks install` writes."""
    env = environment(
        HOME=directory, HOLDFAST_HOME=directory / "home", CLAUDE_CONFIG_DIR=directory, CODEX_HOME=directory
    )
    run(python("holdfast", "hooks", "install"), env)
    hooks = json.loads((directory / "settings.json").read_text())["hooks"]
    return hooks["PreToolUse"][-1]["hooks"][0]["command"]


@contextlib.contextmanager
def _busy(loops: int):
    started = [subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(loops)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


def _measured(
    hook: str, spool: Path, size_bytes: int, runs: int, *, reads: bool = False, filled: bool = True
) -> dict[str, object]:
    """Percentiles of each command line, and of what the hook adds, with intervals of 95 %.

    Args:
        hook: the line of shell.
        spool: where it appends.
        size_bytes: of a payload.
        runs: of each line.
        reads: whether a shell that reads a line takes part.
        filled: whether the payload lies in the pipe before the start.
    """
    lines = {HOOK: hook, SHELL: ":", AGAIN: ":"} | ({READS: "read x"} if reads else {})
    payload = b'{"session_id":"' + b"x" * (size_bytes - 18) + b'"}\n'
    walls_ms: dict[str, list[float]] = {name: [] for name in lines}
    cpus_ms: dict[str, list[float]] = {name: [] for name in lines}
    dice = random.Random(1)
    for round_ in range(runs):
        for name in dice.sample([*lines], len(lines)):
            wall_ms, cpu_ms = _fired(lines[name], payload, filled)
            walls_ms[name].append(wall_ms)
            cpus_ms[name].append(cpu_ms)
        if round_ % _EMPTY_EVERY == 0:
            assert spool.stat().st_size >= size_bytes
            spool.unlink()
    return {
        **{
            name: {
                "p50_ms": median(walls),
                "p99_ms": percentile(walls, 0.99),
                "cpu_p50_ms": median(cpus_ms[name]),
            }
            for name, walls in walls_ms.items()
        },
        "added": _added(walls_ms[HOOK], walls_ms[SHELL]),
        "noise": _added(walls_ms[AGAIN], walls_ms[SHELL]),
        **({"reading": _added(walls_ms[READS], walls_ms[SHELL])} if reads else {}),
    }


def _fired(command: str, payload: bytes, filled: bool = True) -> tuple[float, float]:
    """Wall and CPU milliseconds of one run."""
    there, give = os.pipe()
    if filled:
        fcntl.fcntl(give, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.write(give, payload)
        os.close(give)
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    child = subprocess.Popen(["/bin/sh", "-c", command], stdin=there)
    os.close(there)
    if not filled:
        with contextlib.suppress(BrokenPipeError):  # `:` takes nothing
            os.write(give, payload)
        os.close(give)
    child.wait()
    wall_s = time.perf_counter() - began
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return wall_s * 1e3, cpu_s * 1e3


def _added(walls_ms: list[float], base_ms: list[float]) -> dict[str, object]:
    """What the first adds to the second: the differences of their percentiles, and where those lie in 95 of 100 draws of rounds."""
    dice = random.Random(2)
    pairs = list(zip(walls_ms, base_ms, strict=True))
    drawn = [dice.choices(pairs, k=len(pairs)) for _ in range(_DRAWS)]
    found: dict[str, object] = {}
    for name, of in (("p50_ms", median), ("p99_ms", lambda values: percentile(values, 0.99))):
        found[name] = of(walls_ms) - of(base_ms)
        draws = [of([a for a, _ in pairs]) - of([b for _, b in pairs]) for pairs in drawn]
        found[name.replace("ms", "95_ms")] = [percentile(draws, 0.025), percentile(draws, 0.975)]
    return found


def _told(figure: dict[str, dict[str, float]], share: str, limit_ms: float) -> float | None:
    """What the hook adds; None when a shell differs from itself by so much that nothing follows from it."""
    added = figure["added"][f"{share}_ms"]
    if max(map(abs, figure["noise"][f"{share}_95_ms"])) < abs(added - limit_ms):
        return added
    return None


def _show(name: str, figure: dict[str, dict[str, float]], runs: int) -> None:
    rows = [[one, *figure[one].values()] for one in (HOOK, SHELL, AGAIN, READS) if one in figure]
    table(f"hook: {name}, {runs:,} runs each", ["", "p50 ms", "p99 ms", "CPU p50 ms"], rows)
    rows = [
        [what, *(_interval(figure[key], share) for share in ("p50", "p99"))]
        for what, key in (("the hook adds", "added"), ("noise", "noise"), ("reading alone adds", "reading"))
        if key in figure
    ]
    table("differences, with what 95 of 100 draws give", ["", "p50 ms", "p99 ms"], rows)


def _interval(figure: dict[str, object], share: str) -> str:
    low, high = figure[f"{share}_95_ms"]
    return f"{figure[f'{share}_ms']:.2f} ({low:.2f} to {high:.2f})"
