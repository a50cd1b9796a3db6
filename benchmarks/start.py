"""`start`: how long `holdfast --help` takes, and which modules it spends that on."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile

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
    parser = argparse.ArgumentParser(prog="python -m benchmarks start", description=__doc__)
    parser.add_argument("--runs", type=int, default=21, help="of each command (default %(default)s)")
    given = parser.parse_args(options)
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "holdfast --help": holdfast("--help"),
        "import holdfast": [sys.executable, "-c", "import holdfast"],
    }
    with tempfile.TemporaryDirectory(prefix="bench-start-") as directory:
        env = environment(HOME=directory, HOLDFAST_HOME=f"{directory}/h")
        runs = {name: [] for name in commands}
        for argv in commands.values():
            run(argv, env)  # leaves the compiled modules that every later run finds
        for _ in range(given.runs):
            for name, argv in commands.items():
                runs[name].append(run(argv, env))
        slow = _import_times(env)
    figures, rows = {}, []
    for name, results in runs.items():
        walls = [r.wall_s * 1e3 for r in results]
        figures[name] = {
            "p50_ms": median(walls),
            "p90_ms": percentile(walls, 0.9),
            "cpu_ms": median([r.cpu_s * 1e3 for r in results]),
        }
        rows.append(
            [name, *figures[name].values(), figures[name]["p50_ms"] / figures["python -c pass"]["p50_ms"]]
        )
    table(f"start: {given.runs} runs each", ["", "p50 ms", "p90 ms", "CPU ms", "ratio"], rows)
    table(
        "`holdfast --help`: slowest imports (each with what it imports; under -X importtime)",
        ["", "ms"],
        slow,
    )
    found = [Budget("holdfast --help p50, ms", figures["holdfast --help"]["p50_ms"], 120)]
    budgets(found)
    remember("start", figures, found)


def _import_times(env):
    """The ten slowest modules, with everything they import; modules inside a listed one are listed too."""
    argv = [sys.executable, "-X", "importtime", "-c", "from holdfast.cli import main; main(['--help'])"]
    said = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stderr
    found = []
    for line in said.splitlines():
        columns = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and columns[1].strip().isdigit():
            found.append((int(columns[1]) / 1e3, columns[2].strip()))
    return [[name, ms] for ms, name in sorted(found, reverse=True)[:10]]
