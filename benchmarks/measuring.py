"""What the benchmarks share: running a command, medians, tables, budgets, and the line in `results.jsonl`.

This process stays small on purpose: it imports nothing of what it measures, because on Linux the peak memory of a child
begins at that of the process that started it.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results.jsonl")
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
_PASSED_ON = ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH")


class Ran(NamedTuple):
    """One run of a command: wall and CPU seconds (children it waited for included), peak memory, what it printed."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    out: str


def environment(**more: object) -> dict[str, str]:
    """A bare environment: no setting of the person who runs this reaches what is measured."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | {name: str(value) for name, value in more.items()}


def run(argv: list[str], env: dict[str, str]) -> Ran:
    """Run a command to its end. Raises RuntimeError, with what it said, when it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        child = subprocess.Popen(argv, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            said = err.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(argv[:6])} ended with {child.returncode}:\n{said}")
        return Ran(
            wall_s,
            used.ru_utime + used.ru_stime,
            used.ru_maxrss * _RSS_UNIT_BYTES,
            out.read().decode(errors="replace"),
        )


def python(module: str, *args: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, args)]


def holdfast(*args: object) -> list[str]:
    """The command as a person starts it: the installed script, else the module."""
    script = Path(sysconfig.get_path("scripts"), "holdfast")
    return [str(script), *map(str, args)] if script.exists() else python("holdfast", *args)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def median(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def table(title: str, heads: list[str], rows: list[list[object]]) -> None:
    shown = [heads, *[[cell(value) for value in row] for row in rows]]
    widths = [max(len(row[at]) for row in shown) for at in range(len(heads))]
    print(f"\n{title}")
    for row in shown:
        first, *others = (
            text.ljust(w) if at == 0 else text.rjust(w)
            for at, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join([first, *others]).rstrip())


def cell(value: object) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


class Budget(NamedTuple):
    """A promise and what was measured; None: it could not be measured here."""

    what: str
    measured: float | None
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


def budgets(found: list[Budget]) -> None:
    rows = [
        [
            b.what,
            b.measured,
            f"{'<=' if b.at_most else '>='} {cell(b.limit)}",
            {True: "met", False: "MISSED"}.get(b.met, "not measured"),
        ]
        for b in found
    ]
    table("Budget", ["", "measured", "budget", ""], rows)


def remember(benchmark: str, figures: dict[str, object], found: list[Budget]) -> None:
    """Append this run to `results.jsonl`."""
    line = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "benchmark": benchmark,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": machine(),
        "figures": _rounded(figures),
        "budgets": {
            b.what: {"measured": _rounded(b.measured), "limit": b.limit, "met": b.met} for b in found
        },
    }
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"\n  {line['machine']}, Python {line['python']}, commit {line['commit']}\n")


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def machine() -> str:
    """What kind of machine this is, without its name."""
    model = ""
    if (info := Path("/proc/cpuinfo")).exists():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = f" {names[0]}" if names else ""
    memory_gib = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30))
    return f"{os.cpu_count()} x{model or ' ' + platform.machine()}, {memory_gib} GiB, {platform.system()}"


def _commit() -> str:
    """The commit measured; "+" when the package's files differ from it."""
    git = ["git", "-C", str(ROOT)]
    found = subprocess.run(
        [*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False
    )
    if found.returncode != 0:
        return "unknown"
    changed = subprocess.run(
        [*git, "status", "--porcelain", "src"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() + ("+" if changed.stdout.strip() else "")


def own_peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT_BYTES
