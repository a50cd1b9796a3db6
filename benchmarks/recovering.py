"""`recover`: what was cut, after everything died: 200 sessions, each with a subagent, whose processes are gone.

`list` runs as a process of its own: once where nothing is recorded yet, as after a crash without a service, and again. `check` runs
on a home of 500 sessions none of which was cut.
"""

from __future__ import annotations

import argparse
import json
import shutil
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

_CUT = "33333333-3333-4333-8333-333333333333"
_DEAD_PID = 2**22 + 1  # above the highest that Linux gives out


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks recover", description=__doc__)
    parser.add_argument("--sessions", type=int, default=200, help="that were cut (default %(default)s)")
    parser.add_argument("--runs", type=int, default=9, help="(default %(default)s)")
    given = parser.parse_args(options)
    runs = {}
    with tempfile.TemporaryDirectory(prefix="bench-recover-") as directory:
        runs |= _cut(Path(directory), given.sessions, given.runs)
    with tempfile.TemporaryDirectory(prefix="bench-recover-") as directory:
        runs["recover check, nothing cut"] = _well(Path(directory), given.runs)
    figures, rows = {}, []
    for name, results in runs.items():
        walls = [result.wall_s * 1e3 for result in results]
        figures[name] = {
            "p50_ms": median(walls),
            "p90_ms": percentile(walls, 0.9),
            "cpu_ms": median([result.cpu_s * 1e3 for result in results]),
            "peak_mb": max(result.peak_bytes for result in results) / 1e6,
        }
        rows.append([name, *figures[name].values()])
    title = f"recover: {given.sessions} sessions cut, {given.runs} runs"
    table(title, ["", "p50 ms", "p90 ms", "CPU ms", "peak MB"], rows)
    first, again, check = figures
    found = [
        Budget("recover list of what is not recorded yet, ms", figures[first]["p50_ms"], 2_000),
        Budget("recover list, ms", figures[again]["p50_ms"], 2_000),
        Budget("recover check with nothing to do, ms", figures[check]["p50_ms"], 300),
    ]
    budgets(found)
    remember("recover", {"sessions": given.sessions, **figures}, found)


def _cut(directory: Path, sessions: int, number: int) -> dict[str, list]:
    sample = directory / "sample" / "demo"
    sample.mkdir(parents=True)
    [main_file] = copies.SAMPLES.rglob(f"{_CUT}.jsonl")
    shutil.copy(main_file, sample)
    shutil.copytree(main_file.with_suffix(""), sample / _CUT)
    claude = directory / ".claude"
    copies.write(directory / "sample", claude / "projects", sessions)
    (claude / "sessions").mkdir()
    for at, path in enumerate(sorted((claude / "projects" / "demo").glob("*.jsonl"))):
        entry = {
            "pid": _DEAD_PID + at,
            "sessionId": path.stem,
            "procStart": "1",
            "status": "busy",
            "startedAt": 1,
        }
        (claude / "sessions" / f"{entry['pid']}.json").write_text(json.dumps(entry | {"statusUpdatedAt": 1}))
    fresh, again = [], []
    for at in range(number):
        env = environment(HOME=directory, HOLDFAST_HOME=directory / f"h{at}")
        fresh.append(run(holdfast("recover", "list", "--json"), env))
        again.append(run(holdfast("recover", "list", "--json"), env))
    for result in (fresh[0], again[-1]):
        told = json.loads(result.out)["sessions"]
        assert len(told) == sessions
        assert {(one["status"], one["cause"], one["cut_agents"], one["cut_calls"]) for one in told} == {
            ("interrupted", "died", 1, 2)
        }
    return {"recover list, nothing recorded yet": fresh, "recover list": again}


def _well(directory: Path, number: int) -> list:
    sample = directory / "sample" / "demo"
    for path in copies.SAMPLES.rglob("*.json*"):
        if _CUT not in str(path):
            target = sample / path.relative_to(next(copies.SAMPLES.iterdir()))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    copies.write(directory / "sample", directory / ".claude" / "projects", 500, 500)
    env = environment(HOME=directory, HOLDFAST_HOME=directory / "h")
    run(holdfast("import"), env)
    results = [run(holdfast("recover", "check"), env) for _ in range(number)]
    assert results[0].out == "nothing was cut\n", results[0].out
    return results
