"""`scale`: questions and whole commands on stores of a million and of five million rows.

A row is what the store keeps as `span`, `llm` or `event`. The transcripts are made by `benchmarks.synthetic`, imported with
`holdfast import` into a home of their own, and then asked: in a process that holds the store open (medians, wall and CPU
time), and as whole commands. It takes minutes and, for five million rows, 12 GB of disk: it runs only when named.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks import synthetic
from benchmarks.measuring import (
    Budget,
    budgets,
    environment,
    holdfast,
    median,
    percentile,
    python,
    remember,
    run,
    table,
)

_COMMANDS = {
    "holdfast": [],
    "holdfast sessions": ["sessions"],
    "holdfast stats": ["stats"],
    "holdfast tree, 10,000 spans": ["tree", "LARGE"],
    "holdfast timeline, the same": ["timeline", "LARGE"],
}
_REVIEW_ROWS, _FIRST_SCREEN_ROWS = 1_000_000, 5_000_000


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[_REVIEW_ROWS, _FIRST_SCREEN_ROWS], help="(default: both)"
    )
    parser.add_argument("--runs", type=int, default=7, help="of each command (default %(default)s)")
    parser.add_argument("--keep", type=Path, help="build here and keep it, or use what an earlier run kept")
    given = parser.parse_args(options)
    figures: dict[str, object] = {}
    found: list[Budget] = []
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as temporary:
        for rows in given.rows:
            _measure(given.keep or Path(temporary), rows, given.runs, figures, found)
    budgets(found)
    remember("scale", figures, found)


def _measure(place, rows, runs, figures, found):
    user = place / f"rows-{rows}"
    env = environment(HOME=user, HOLDFAST_HOME=user / "h", HOLDFAST_NOW=synthetic.END)
    large, imported = _built(user, rows, env)
    asked = json.loads(run(python("benchmarks.asking", user / "h", large), env).out)
    commands = _commands(large, runs, env)
    size = f"{asked['rows'] / 1e6:.2f} M rows, {asked['sessions']} sessions, store of {asked['store_mb']:,.0f} MB"
    shown = [[name, *one.values()] for name, one in asked["asked"].items()]
    table(
        f"scale: {size}; `large` has {asked['large_nodes']:,} nodes, the others {asked['usual_rows']} rows",
        ["in one process", "wall ms", "CPU ms", "least ms"],
        shown,
    )
    table(
        "whole commands",
        ["", "p50 ms", "p90 ms", "CPU ms", "peak MB"],
        [[n, *one.values()] for n, one in commands.items()],
    )
    figures[f"{rows}_rows"] = {**asked, "import": imported, "commands": commands}
    found += _promises(rows, asked["asked"], commands)


def _built(user, rows, env):
    """The large session's id, and what the import took (None when an earlier run imported)."""
    note = user / "built.json"
    if note.exists():
        kept = json.loads(note.read_text())
        return kept["large"], kept["import"]
    large, sessions, made = synthetic.write(user / ".claude" / "projects", rows)
    done = run(holdfast("import"), env)
    imported = {
        "wall_s": done.wall_s,
        "cpu_s": done.cpu_s,
        "cpu_us_per_row": done.cpu_s / made * 1e6,
        "peak_mb": done.peak_bytes / 1e6,
    }
    note.write_text(json.dumps({"large": large, "sessions": sessions, "rows": made, "import": imported}))
    return large, imported


def _commands(large, runs, env):
    results = {name: [] for name in _COMMANDS}
    for at in range(runs + 1):
        for name, args in _COMMANDS.items():
            done = run(holdfast(*(large if arg == "LARGE" else arg for arg in args)), env)
            if at:  # the first of each compiles and warms
                results[name].append(done)
    return {
        name: {
            "p50_ms": median([r.wall_s * 1e3 for r in done]),
            "p90_ms": percentile([r.wall_s * 1e3 for r in done], 0.9),
            "cpu_ms": median([r.cpu_s * 1e3 for r in done]),
            "peak_mb": max(r.peak_bytes for r in done) / 1e6,
        }
        for name, done in results.items()
    }


def _promises(rows, asked, commands):
    if rows >= _FIRST_SCREEN_ROWS:
        yield Budget(f"holdfast at {rows:,} rows p50, ms", commands["holdfast"]["p50_ms"], 500)
        return
    for name, limit in (("stats", 10), ("sessions", 10), ("show", 10), ("timeline", 10), ("tree, large", 50)):
        yield Budget(f"{name} at {rows:,} rows, ms", asked[name]["wall_ms"], limit)
