"""`first_screen`: `holdfast`, as a process, on a home with 500 imported sessions made from the bundled samples."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import copies
from benchmarks.measuring import (
    Budget,
    budgets,
    environment,
    holdfast,
    median,
    percentile,
    remember,
    run,
    table,
)


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks first_screen", description=__doc__)
    parser.add_argument("--sessions", type=int, default=500, help="(default %(default)s)")
    parser.add_argument("--runs", type=int, default=15, help="(default %(default)s)")
    given = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="bench-screen-") as directory:
        projects = Path(directory, ".claude", "projects")
        size_bytes = copies.write(copies.SAMPLES, projects, given.sessions, given.sessions)
        env = environment(HOME=directory, HOLDFAST_HOME=Path(directory, "h"))
        imported = run(holdfast("import"), env)
        shown = f"{given.sessions} sessions"
        runs = {"holdfast": [], "holdfast sessions": [], "holdfast --help": []}
        run(holdfast(), env)
        for _ in range(given.runs):
            for name, results in runs.items():
                results.append(run(holdfast(*name.split()[1:]), env))
        assert shown in runs["holdfast"][0].out, runs["holdfast"][0].out[:500]
    figures, rows = {}, []
    for name, results in runs.items():
        walls = [r.wall_s * 1e3 for r in results]
        figures[name] = {
            "p50_ms": median(walls),
            "p90_ms": percentile(walls, 0.9),
            "cpu_ms": median([r.cpu_s * 1e3 for r in results]),
            "peak_mb": max(r.peak_bytes for r in results) / 1e6,
        }
        rows.append([name, *figures[name].values()])
    title = f"first screen: {shown}, {size_bytes / 1e6:.0f} MB (imported in {imported.wall_s:.1f} s), {given.runs} runs"
    table(title, ["", "p50 ms", "p90 ms", "CPU ms", "peak MB"], rows)
    found = [Budget("holdfast p50, ms", figures["holdfast"]["p50_ms"], 300)]
    budgets(found)
    remember("first_screen", {"sessions": given.sessions, **figures}, found)
