"""`append`: what `holdfast.record()` costs its caller, and what a `kill -9` takes.

Side by side in one run, interleaved: bare `os.write` of ready bytes, `holdfast.record`, an OpenTelemetry batch span with
the same fields as attributes. Each measurement is a fresh process.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import ROOT, Budget, budgets, environment, median, python, remember, run, table

VARIANTS = ("os.write", "holdfast", "opentelemetry")
WRITERS = 8
PACED_PER_S, PACED_EVENTS = 200, 400
_FOREVER = 100_000_000


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks append", description=__doc__)
    parser.add_argument(
        "--events", type=int, default=50_000, help="in each timed process (default %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="of each variant (default %(default)s)")
    parser.add_argument("--kills", type=int, default=5, help="of each variant and pace (default %(default)s)")
    given = parser.parse_args(options)
    env = environment()
    costs = _costs(given.events, given.repeats, 0, env)
    paced = _costs(PACED_EVENTS, given.repeats, PACED_PER_S, env)
    kills = {
        "tight loop": _kills(given.kills, 0, (0.3, 0.9), env),
        "1,000/s": _kills(given.kills, 1_000, (1.0, 3.0), env),
    }
    together = {variant: _together(variant, given.events // 2, env) for variant in VARIANTS[:2]}
    _show(costs, paced, kills, together, given)


# ── what a call costs ──


def _costs(events, repeats, per_second, env):
    """Medians over the repeats, per variant and figure; `spread` is highest over lowest p50."""
    runs = {variant: [] for variant in VARIANTS}
    for _ in range(repeats):
        for variant in VARIANTS:
            with tempfile.TemporaryDirectory() as directory:
                done = run(python("benchmarks.writers", "time", variant, directory, events, per_second), env)
            runs[variant].append(json.loads(done.out))
    out = {}
    for variant, found in runs.items():
        out[variant] = {name: median([one[name] for one in found]) for name in found[0]}
        p50s = [one["p50_us"] for one in found]
        out[variant]["spread"] = max(p50s) / min(p50s)
    return out


# ── what a kill takes ──


class _Writer:
    """A process that writes and counts what was acknowledged to it."""

    def __init__(self, variant, directory, name, events, per_second, env):
        self.name = name
        self._counter = Path(directory, f"counter-{name}")
        self._counter.write_bytes(bytes(8))
        argv = python(
            "benchmarks.writers", "emit", variant, directory, events, per_second, self._counter, name
        )
        self.process = subprocess.Popen(
            argv, env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def finish(self):
        assert self.process.stdout.readline() == "done\n"

    def end(self):
        self.process.communicate("\n")

    def acknowledged(self):
        return struct.unpack("<Q", self._counter.read_bytes())[0]


def _kills(trials, per_second, moment_s, env):
    """{variant: acknowledged, lost, twice} over some processes, each killed at a random moment."""
    dice = random.Random(9)
    out = {variant: {"acknowledged": 0, "lost": 0, "twice": 0} for variant in VARIANTS}
    for _ in range(trials):
        wait_s = dice.uniform(*moment_s)
        for variant in VARIANTS:
            with tempfile.TemporaryDirectory() as directory:
                writer = _Writer(variant, directory, "w0", _FOREVER, per_second, env)
                writer.go()
                time.sleep(wait_s)
                writer.kill()
                _add(out[variant], variant, directory, [writer], env)
    return out


def _add(total, variant, directory, writers, env):
    counts = {writer.name: writer.acknowledged() for writer in writers}
    pairs = [f"{name}={count}" for name, count in counts.items()]
    found = json.loads(run(python("benchmarks.writers", "count", variant, directory, *pairs), env).out)
    total["acknowledged"] += sum(counts.values())
    for name, count in found.items():
        total[name] += count


def _together(variant, events, env):
    """Eight processes into one journal (or one file) at once; one of them is killed on the way."""
    total = {"acknowledged": 0, "lost": 0, "twice": 0}
    with tempfile.TemporaryDirectory() as directory:
        writers = [_Writer(variant, directory, f"w{n}", events, 0, env) for n in range(WRITERS)]
        began = time.perf_counter()
        for writer in writers:
            writer.go()
        time.sleep(0.2)
        writers[3].kill()
        others = [writer for writer in writers if writer is not writers[3]]
        for writer in others:
            writer.finish()
        wall_s = time.perf_counter() - began
        for writer in others:
            writer.end()
        _add(total, variant, directory, writers, env)
    return total | {"per_s": total["acknowledged"] / wall_s}


# ── telling ──


def _show(costs, paced, kills, together, given):
    ours, otel = costs["holdfast"], costs["opentelemetry"]
    names = ("p50_us", "p99_us", "mean_us", "max_ms", "cpu_us", "per_s")
    heads = [
        "",
        "p50 µs",
        "p99 µs",
        "mean µs",
        "max ms",
        "CPU µs",
        "events/s",
        "p50 ratio",
        "mean ratio",
        "spread",
    ]
    rows = [[v, *[c[n] for n in names], *_ratios(c, ours), c["spread"]] for v, c in costs.items()]
    table(f"append, tight loop: ~1 KB events, medians of {given.repeats} x {given.events:,}", heads, rows)
    rows = [
        [v, *[c[n] for n in names[:3]], *_ratios(c, paced["holdfast"]), c["spread"]] for v, c in paced.items()
    ]
    title = f"append, {PACED_PER_S} a second: medians of {given.repeats} x {PACED_EVENTS}"
    table(title, ["", *heads[1:4], *heads[7:]], rows)
    rows = [
        [v, pace, found["acknowledged"], *_loss(found)]
        for pace, per in kills.items()
        for v, found in per.items()
    ]
    rows += [
        [v, f"{WRITERS} processes, one killed", f["acknowledged"], *_loss(f)] for v, f in together.items()
    ]
    table(
        f"kill -9 at a random moment: {given.kills} times each",
        ["", "", "acknowledged", "lost", "share", "twice"],
        rows,
    )
    rows = [[v, f["per_s"], f["per_s"] / together["os.write"]["per_s"]] for v, f in together.items()]
    table(f"{WRITERS} processes at once into one journal (or file)", ["", "events/s", "ratio"], rows)
    lost = sum(per["holdfast"]["lost"] for per in kills.values())
    found = [
        Budget("record() p50, µs", ours["p50_us"], 12),
        Budget("record() p99, µs", ours["p99_us"], 100),
        Budget("events/s, one process", ours["per_s"], 50_000, at_most=False),
        Budget(
            "caller's time, OpenTelemetry batch span / record()", _ratios(otel, ours)[1], 1.5, at_most=False
        ),
        Budget("lost on kill -9", lost, 0),
        Budget(
            "lost or doubled, 8 processes", together["holdfast"]["lost"] + together["holdfast"]["twice"], 0
        ),
    ]
    budgets(found)
    remember("append", {"cost": costs, "paced": paced, "kill": kills, "together": together}, found)


def _ratios(cost, ours):
    """p50 and mean over ours. The mean is what the caller pays: it holds the waits for the exporter's thread too."""
    return [cost["p50_us"] / ours["p50_us"], cost["mean_us"] / ours["mean_us"]]


def _loss(found):
    return [found["lost"], f"{found['lost'] / max(1, found['acknowledged']):.1%}", found["twice"]]
