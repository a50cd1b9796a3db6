"""`redaction`: what cleaning a record costs: one with nothing in it, one with a secret, one made to be hard.

The events are those of the public transcripts where they are present, else of the bundled samples. Every event is cleaned by
itself, as it would be recorded, and timed by itself; processor time decides about the budgets. `--adversarial` prints the
fields of 200 KB that cost most, each made from one rule's own expressions (`tests/redact/adversary.py`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.measuring import ROOT, Budget, budgets, percentile, remember, table

PUBLIC = ROOT.parent / "shared" / "data" / "public-transcripts"
SAMPLES = ROOT / "tests" / "data"
FIELD_CHARS = 200_000
WORST_SHOWN = 12
PROCESSOR_REPEATS = 3


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks redaction", description=__doc__)
    parser.add_argument("transcripts", type=Path, nargs="?", help="a folder of *.jsonl (default: see above)")
    parser.add_argument(
        "--adversarial", action="store_true", help="only the fields made to be hard, all of them"
    )
    given = parser.parse_args(options)
    found: list[Budget] = []
    figures: dict[str, object] = {"engine": _engine()}
    if not given.adversarial:
        figures["gate"] = _gate()
        figures["events"] = events = _events(given.transcripts or (PUBLIC if PUBLIC.is_dir() else SAMPLES))
        figures["hit"] = _hit()
        found += [
            Budget("clean event p50, µs", events["clean_p50_us"], 10),
            Budget("any event mean, µs", events["mean_us"], 60),
        ]
    figures["adversarial"] = worst = _adversarial(given.adversarial)
    found.append(Budget("200 KB made to be hard, worst rule, ms", worst["worst_ms"], 300))
    budgets(found)
    remember("redaction", figures, found)


def _engine() -> str:
    from holdfast.redact import gate

    return gate.engine()


def _redactor(kept: dict[str, bytes] | None = None):
    from holdfast.redact import Redactor

    kept = {} if kept is None else kept
    return Redactor(b"key", load=kept.get, keep=kept.__setitem__)


def _gate() -> dict[str, float]:
    """What the gate costs once: compiled for the first time, and loaded by every process after that."""
    from holdfast.redact import rules

    began = time.process_time()
    rules.load()
    rules_s = time.process_time() - began
    kept: dict[str, bytes] = {}
    made_s = []
    for _ in range(2):
        began = time.process_time()
        _redactor(kept)
        made_s.append(time.process_time() - began)
    figures = {
        "rules_ms": rules_s * 1e3,
        "compile_ms": made_s[0] * 1e3,
        "load_ms": made_s[1] * 1e3,
        "kept_kb": sum(map(len, kept.values())) / 1e3,
    }
    table(
        f"the gate ({_engine()}), CPU",
        ["rules ms", "first made ms", "made from the kept form ms", "kept KB"],
        [[*figures.values()]],
    )
    return figures


def _events(folder: Path) -> dict[str, object]:
    """Each line of the transcripts cleaned once, after one pass to warm up."""
    lines = [line for path in sorted(folder.rglob("*.jsonl")) for line in path.read_bytes().splitlines()]
    redactor = _redactor()
    for line in lines[:500]:
        redactor.clean(line)
    times_us, clean_us, past, altered = [], [], 0, 0
    began, size = time.process_time(), 0
    for line in lines:
        start = time.thread_time_ns()
        cleaned = redactor.clean(line)
        times_us.append((time.thread_time_ns() - start) / 1e3)
        size += len(line)
        altered += cleaned.body is not line
    whole_s = time.process_time() - began
    for line, cost_us in zip(lines, times_us, strict=True):
        if redactor._hits(line):
            past += 1
        else:
            clean_us.append(cost_us)
    figures = {
        "corpus": folder.name,
        "events": len(lines),
        "mb": size / 1e6,
        "clean_p50_us": percentile(clean_us, 0.5),
        "clean_mean_us": sum(clean_us) / len(clean_us),
        "p50_us": percentile(times_us, 0.5),
        "mean_us": sum(times_us) / len(times_us),
        "p99_us": percentile(times_us, 0.99),
        "max_ms": max(times_us) / 1e3,
        "mb_per_cpu_s": size / 1e6 / whole_s,
        "past_gate": past / len(lines),
        "altered": altered / len(lines),
    }
    heads = [
        "clean p50 µs",
        "clean mean",
        "all p50",
        "all mean",
        "all p99",
        "max ms",
        "MB/s",
        "past the gate",
        "altered",
    ]
    names = ["clean_p50_us", "clean_mean_us", "p50_us", "mean_us", "p99_us", "max_ms", "mb_per_cpu_s"]
    row = [figures[name] for name in names] + [f"{past / len(lines):.2%}", f"{altered / len(lines):.3%}"]
    table(f"{folder.name}: {len(lines):,} events, {size / 1e6:.0f} MB, CPU", heads, [row])
    return figures


def _hit() -> dict[str, float]:
    """What a record with a secret costs, by its length."""
    redactor = _redactor()
    secret = "ghp_" + "k7Qz2Vw9Rt4Zb8Nc3Mf6Yh5Jd1Lg0Pz7Sv2Q"
    figures = {}
    for size in (200, 2_000, 20_000, 200_000):
        text = "The test passed, and src/app/main.py was read again. " * (size // 53 + 1)
        body = json.dumps(
            {"kind": "tool.used", "session": "s", "fields": {"output": f"{text[:size]} {secret} ok"}}
        )
        figures[f"{size}"] = _least_s(redactor, body.encode()) * 1e6
    table("one secret in a field of so many characters, CPU", ["", *figures], [["µs", *figures.values()]])
    return figures


def _least_s(redactor, body: bytes) -> float:
    """The least of some runs: what it costs when nothing else is in the way."""
    costs = []
    for _ in range(PROCESSOR_REPEATS):
        began = time.process_time()
        redactor.clean(body)
        costs.append(time.process_time() - began)
    return min(costs)


def _adversarial(every: bool) -> dict[str, object]:
    """The worst field of each rule; one that costs more than a third of the budget is measured again."""
    from holdfast.redact import rules
    from tests.redact import adversary

    redactor = _redactor()
    worst: dict[str, tuple[float, str]] = defaultdict(lambda: (0.0, ""))
    cases = [(adversary.name_of(n, shape), shape) for n, shape in enumerate(rules.load().shapes)]
    for name, fields in [
        *((name, adversary.fields(shape, FIELD_CHARS)) for name, shape in cases),
        ("any: readings", adversary.general(FIELD_CHARS)),
    ]:
        for what, text in fields:
            body = adversary.body(text)
            began = time.process_time()
            redactor.clean(body)
            cost_s = time.process_time() - began
            if cost_s > 0.1:
                cost_s = min(cost_s, _least_s(redactor, body))
            worst[name] = max(worst[name], (cost_s * 1e3, what))
    ordered = sorted(worst.items(), key=lambda item: -item[1][0])
    over = sum(cost_ms > 300 for _, (cost_ms, _) in ordered)
    rows = [[name, cost_ms, what] for name, (cost_ms, what) in ordered[: None if every else WORST_SHOWN]]
    table(
        f"fields of 200 KB made to be hard, {len(ordered)} rules, CPU",
        ["rule", "ms", "its worst field"],
        rows,
    )
    name, (cost_ms, what) = ordered[0]
    return {
        "worst_ms": cost_ms,
        "worst": f"{name}, {what}",
        "over_300_ms": over,
        "median_ms": percentile([cost for _, (cost, _) in ordered], 0.5),
    }
