"""`run`: starting 100 agents, finding them again in a new process, telling 100 ends, and what 100 idle shims cost.

The supervisor that started them is killed first. A new process is timed from its start until it has classified all of them and holds each so
that it is told of its end (`again`); the same in the process alone (`inside`).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import (
    Budget,
    budgets,
    environment,
    median,
    percentile,
    remember,
    run,
    table,
)

_START = """
import json, os, sys, time
from holdfast import settings, supervising
from holdfast.home import Home
from holdfast.supervise.spec import Wish
home = Home(settings.load(None, os.environ, {}))
began = time.perf_counter()
for number in range(int(sys.argv[1])):
    supervising.launch(home, Wish(argv=("sleep", "1000"), cwd="/"))
print(json.dumps({"start_s": time.perf_counter() - began}), flush=True)
time.sleep(1000)
"""
_AGAIN = """
import json, os, time
began = time.perf_counter()
from holdfast import settings, supervising
from holdfast.home import Home
home = Home(settings.load(None, os.environ, {}))
supervisor = supervising.Supervisor(home)
inside = time.perf_counter()
ticked = supervisor.tick()
held = len(supervisor.descriptors())
done = time.perf_counter()
print(json.dumps({"inside_s": done - inside, "loaded_s": inside - began, "held": held, "told": ticked.told}))
"""
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks run", description=__doc__)
    parser.add_argument("--agents", type=int, default=100, help="(default %(default)s)")
    parser.add_argument("--runs", type=int, default=9, help="(default %(default)s)")
    parser.add_argument(
        "--idle-s", type=float, default=30.0, help="how long idle shims are watched (default %(default)s)"
    )
    given = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="bench-run-") as directory:
        figures = _measure(Path(directory), given.agents, given.runs, given.idle_s)
    table(
        f"run: {given.agents} agents, {given.runs} runs",
        ["", ""],
        [[name, value] for name, value in figures.items()],
    )
    found = [
        Budget("100 agents found again by a new process, ms", figures["again, p50 ms"], 250),
        Budget("100 idle shims, % of a core", figures["idle shims, % of a core"], 0.5),
    ]
    budgets(found)
    remember("run", {"agents": given.agents, **figures}, found)


def _measure(directory: Path, agents: int, runs: int, idle_s: float) -> dict[str, float | None]:
    env = environment(HOME=directory, HOLDFAST_HOME=directory / "h")
    first = subprocess.Popen([sys.executable, "-c", _START, str(agents)], env=env, stdout=subprocess.PIPE)
    assert first.stdout is not None
    started = json.loads(first.stdout.readline())
    first.kill()
    first.wait()
    shims = [
        json.loads(path.read_text())["shim_pid"] for path in (directory / "h" / "run").glob("*/*/child.json")
    ]
    assert len(shims) == agents
    try:
        memory = _memory_mb(shims)
        idle = _idle(shims, idle_s)
        again = [run([sys.executable, "-c", _AGAIN], env) for _ in range(runs)]
    finally:
        for pid in shims:
            os.kill(pid, signal.SIGINT)
    said = [json.loads(one.out) for one in again]
    assert all(one["held"] == agents for one in said)
    while any(Path(f"/proc/{pid}").exists() for pid in shims):
        time.sleep(0.05)
    ends = run([sys.executable, "-c", _AGAIN], env)
    assert json.loads(ends.out)["told"] == agents
    return {
        "start, s": started["start_s"],
        "again, p50 ms": median([one.wall_s * 1e3 for one in again]),
        "again, p90 ms": percentile([one.wall_s * 1e3 for one in again], 0.9),
        "again, CPU ms": median([one.cpu_s * 1e3 for one in again]),
        "inside, p50 ms": median([one["inside_s"] * 1e3 for one in said]),
        "ends told, ms": ends.wall_s * 1e3,
        "idle shims, % of a core": idle,
        **memory,
    }


def _idle(pids: list[int], seconds: float) -> float:
    before, began = _cpu_ticks(pids), time.monotonic()
    time.sleep(seconds)
    return 100 * (_cpu_ticks(pids) - before) / _CLOCK_TICKS / (time.monotonic() - began)


def _cpu_ticks(pids: list[int]) -> int:
    """Of all of them, from what the scheduler counts in nanoseconds where it does: ticks of 10 ms are too coarse for so little."""
    total_ns = 0
    for pid in pids:
        total_ns += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return total_ns * _CLOCK_TICKS // 10**9


def _memory_mb(pids: list[int]) -> dict[str, float | None]:
    """Of one, on average: its share, where shared pages are divided among those that share them, and all that is resident."""
    found = {"Pss": 0, "Rss": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in found:
                found[name] += int(rest.split()[0])
    return {f"{name.upper()} of a shim, MB": total / 1e3 / len(pids) for name, total in found.items()}
