"""`follow`: an appended line until `holdfast watch --json` tells of it, with a service up; and what both cost when nothing happens."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import Budget, budgets, environment, holdfast, percentile, remember, table

TICKS_A_S = os.sysconf("SC_CLK_TCK")
SETTLE_S = 3.0


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks follow", description=__doc__)
    parser.add_argument("--files", type=int, default=1_000, help="(default %(default)s)")
    parser.add_argument("--lines", type=int, default=1_000, help="(default %(default)s)")
    parser.add_argument("--idle-s", type=float, default=60.0, help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default %(default)s)")
    given = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="bench-follow-") as directory:
        env = environment(HOME=directory, HOLDFAST_HOME=Path(directory, "h"))
        files = written(Path(directory, ".claude", "projects"), given.files)
        service = subprocess.Popen(holdfast("up"), env=env, stderr=subprocess.PIPE, text=True)
        watcher = None
        try:
            assert any("caught up:" in line for line in service.stderr)
            command = holdfast("watch", "--json")
            watcher = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert any(b"watching" in line for line in watcher.stderr)
            time.sleep(SETTLE_S)
            before, began_s = [cpu_s(p.pid) for p in (service, watcher)], time.monotonic()
            time.sleep(given.idle_s)
            idle = [
                (cpu_s(process.pid) - old) / (time.monotonic() - began_s) * 100
                for process, old in zip((service, watcher), before, strict=True)
            ]
            before_s = cpu_s(service.pid)
            taken_ms = latencies(files, watcher, given.lines, random.Random(given.seed))
            busy_ms = (cpu_s(service.pid) - before_s) / given.lines * 1e3
            peak = [rss_bytes(p.pid) / 1e6 for p in (service, watcher)]
        finally:
            for process in (service, watcher):
                if process is not None:
                    process.terminate()
                    process.wait()
    figures = {
        "files": given.files,
        "lines": given.lines,
        "p50_ms": percentile(taken_ms, 0.5),
        "p99_ms": percentile(taken_ms, 0.99),
        "worst_ms": max(taken_ms),
        "cpu_ms_a_line": busy_ms,
        "idle_percent": idle[0],
        "idle_percent_watch": idle[1],
        "peak_mb": peak[0],
        "peak_mb_watch": peak[1],
    }
    rows = [[name, value] for name, value in figures.items()]
    table(f"{given.files} followed files, {given.lines} lines appended", ["", ""], rows)
    found = [
        Budget("appended line until it is told, p99, ms", figures["p99_ms"], 300),
        Budget("idle service, percent of a core", figures["idle_percent"], 1),
        Budget("service, peak MB", figures["peak_mb"], 100),
    ]
    budgets(found)
    remember("follow", figures, found)


def written(projects: Path, number: int) -> list[Path]:
    """Transcripts of sessions with some history each, in twenty projects."""
    files = []
    for at in range(number):
        directory = projects / f"-home-dev-{at % 20}"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{at:08x}-0000-4000-8000-000000000000.jsonl"
        path.write_bytes(b"".join(line(path, at * 100 + n) for n in range(20)))
        files.append(path)
    return files


def line(path: Path, number: int) -> bytes:
    entry = {
        "type": "user",
        "uuid": f"{number:08x}-1111-4000-8000-000000000000",
        "sessionId": path.stem,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "message": {"role": "user", "content": f"line {number} " + "of what somebody said " * 20},
    }
    return json.dumps(entry).encode() + b"\n"


def latencies(
    files: list[Path], watcher: subprocess.Popen, number: int, chance: random.Random
) -> list[float]:
    """Milliseconds from before a line is appended until a watcher tells of it; lines come at random moments."""
    taken = []
    for at in range(number):
        time.sleep(chance.uniform(0.0, 0.06))
        path = chance.choice(files)
        text = line(path, 0x40000000 + at)
        wanted = f"line {0x40000000 + at} ".encode()
        began_s = time.monotonic()
        with path.open("ab") as file:
            file.write(text)
        assert any(wanted in told for told in watcher.stdout)
        taken.append((time.monotonic() - began_s) * 1e3)
    return taken


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_S


def rss_bytes(pid: int) -> int:
    """The most it ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
