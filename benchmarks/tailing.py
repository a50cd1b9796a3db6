"""`tail`: what following logs costs: lines and bytes a second, an idle poll of many files, open files, memory.

Each part runs in a process of its own. Throughput is that of the tailer with a consumer that stores every line in the database
that holds the positions, and that of the adapter's process with a consumer that reads its output.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import Budget, budgets, environment, median, remember, run, table

_LINE = "2026-11-22T00:00:00.000Z INFO worker-%d request %08d handled in %d ms, status 200, %s\n"
_POLL_INTERVAL_S = 1.0  # of a service without notices; with them it is asked less


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks tail", description=__doc__)
    parser.add_argument(
        "--mb", type=int, default=64, help="size of the log that is read (default %(default)s)"
    )
    parser.add_argument("--polls", type=int, default=20, help="idle polls (default %(default)s)")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--files", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args(options)
    if given.part:
        print(json.dumps({"read": _read, "idle": _idle}[given.part](given)))
        return
    figures = {"read": _apart("read", given), "adapter": _adapter(given.mb)}
    for files in (1_000, 10_000):
        figures[f"idle_{files}"] = _apart("idle", given, files=files)
    rows = [[name, found["mb_per_s"], found["lines_per_s"]] for name, found in list(figures.items())[:2]]
    table("tail: reading one log", ["", "MB/s", "lines/s"], rows)
    rows = [
        [
            files,
            found["first_s"],
            found["idle_ms"],
            found["idle_cpu_ms"],
            found["hinted_ms"],
            found["handles"],
            found["rss_mb"],
        ]
        for files in (1_000, 10_000)
        if (found := figures[f"idle_{files}"])
    ]
    table(
        "tail: nothing new", ["files", "first s", "poll ms", "CPU ms", "hinted ms", "handles", "RSS MB"], rows
    )
    thousand = figures["idle_1000"]
    found = [
        Budget(
            "1,000 idle files, % of a core at a poll a second",
            thousand["idle_cpu_ms"] / 10 / _POLL_INTERVAL_S,
            1,
        ),
        Budget("1,000 idle files, RSS MB", thousand["rss_mb"], 100),
        Budget("10,000 idle files, open handles", figures["idle_10000"]["handles"], 64),
    ]
    budgets(found)
    remember("tail", figures, found)


def _apart(part, given, files=0):
    command = [sys.executable, "-m", "benchmarks", "tail", "--part", part, "--mb", str(given.mb)]
    command += ["--polls", str(given.polls), "--files", str(files)]
    return json.loads(run(command, environment()).out.splitlines()[-1])


def write(path: Path, size_bytes: int) -> int:
    """A log of about this size; returns its number of lines."""
    lines = size_bytes // len(_LINE % (1, 1, 1, "x" * 40))
    with path.open("w") as file:
        file.writelines(_LINE % (n % 9, n, n % 977, "x" * (n % 80)) for n in range(lines))
    return lines


def _read(given):
    import apsw

    from holdfast.monitor.scope import Scope
    from holdfast.monitor.tail import Tailer

    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory, "logs")
        top.mkdir()
        lines = write(top / "app.log", given.mb << 20)
        size = (top / "app.log").stat().st_size
        db = apsw.Connection(str(Path(directory, "state.db")))
        db.execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE line (body BLOB)"
        ).fetchall()
        tailer = Tailer(Scope([top]), db, poll_bytes=1 << 40)
        began, got = time.perf_counter(), 0
        for batch in tailer.poll():
            with db:
                db.executemany("INSERT INTO line VALUES (?)", [(line.body,) for line in batch.lines])
                tailer.keep(batch)
            got += len(batch.lines)
        took = time.perf_counter() - began
        assert got == lines
    return {"mb_per_s": size / 1e6 / took, "lines_per_s": got / took, "rss_mb": _rss_mb()}


def _adapter(mb):
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory, "logs")
        top.mkdir()
        lines = write(top / "app.log", mb << 20)
        size = (top / "app.log").stat().st_size
        command = [sys.executable, "-m", "holdfast.testing.tail", str(top), str(Path(directory, "state"))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            began, got = time.perf_counter(), 0
            process.stdin.write(b"\n")
            process.stdin.close()
            got = sum(b'"line":' in line for line in process.stdout)
            took = time.perf_counter() - began
        assert got == lines
    return {"mb_per_s": size / 1e6 / took, "lines_per_s": got / took}


def _idle(given):
    import apsw

    from holdfast.monitor.scope import Scope
    from holdfast.monitor.tail import Tailer

    def poll(changed=None):
        for batch in tailer.poll(changed):
            with db:
                tailer.keep(batch)

    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory, "logs")
        for number in range(given.files):
            path = top / f"{number % 100}" / f"{number}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_LINE % (1, number, 1, ""))
            os.utime(path, (1, 1))
        db = apsw.Connection(str(Path(directory, "state.db")))
        db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").fetchall()
        tailer = Tailer(Scope([top]), db)
        began = time.perf_counter()
        poll()
        first_s = time.perf_counter() - began
        time.sleep(2.5)  # until the files' times are so old that they are believed
        poll()
        walls, cpus, hinted = [], [], []
        for _ in range(given.polls):
            began, used = time.perf_counter(), time.thread_time()
            poll()
            walls.append((time.perf_counter() - began) * 1e3)
            cpus.append((time.thread_time() - used) * 1e3)
            began = time.perf_counter()
            poll({str(top / "7")})
            hinted.append((time.perf_counter() - began) * 1e3)
        return {
            "first_s": first_s,
            "idle_ms": median(walls),
            "idle_cpu_ms": median(cpus),
            "hinted_ms": median(hinted),
            "handles": tailer.open_handles,
            "rss_mb": _rss_mb(),
        }


def _rss_mb():
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
