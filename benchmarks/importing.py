"""`import`: transcripts into a cold store, next to `agentsview sync`; and what one appended line costs.

Both commands read the same copy of the corpus from the page cache, alternating. agentsview runs in a network namespace
of its own with a home of its own, once in one process (`AGENTSVIEW_NO_DAEMON=1`, its fastest way) and once as a person
types it, which starts a server that stays; that server is ended by its id.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import copies
from benchmarks.measuring import (
    ROOT,
    Budget,
    budgets,
    environment,
    holdfast,
    median,
    own_peak_bytes,
    python,
    remember,
    run,
    table,
)

CORPUS = ROOT.parent / "shared" / "data" / "public-transcripts" / "claude-projects"
_MB = 1_000_000
OURS, THEIRS, THEIRS_SERVED = "holdfast import", "agentsview sync, one process", "agentsview sync, its server"


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks import", description=__doc__)
    parser.add_argument(
        "corpus", nargs="?", type=Path, default=CORPUS, help="a Claude Code `projects` directory"
    )
    parser.add_argument("--repeats", type=int, default=5, help="of each command (default %(default)s)")
    parser.add_argument(
        "--copies", type=int, default=1, help="import the corpus this many times over, under new ids"
    )
    given = parser.parse_args(options)
    found: list[Budget] = []
    figures: dict[str, object] = {}
    if given.corpus.is_dir():
        _corpus(given, figures, found)
    else:
        print(
            f"\nimport: SKIPPED, there is no {given.corpus.name} beside the checkout; name a `projects` directory"
        )
    _appended(figures, found)
    budgets(found)
    remember("import", figures, found)


# ── a corpus into a cold store ──


class _Import(NamedTuple):
    wall_s: float
    cpu_s: float
    peak_bytes: int


def _corpus(given, figures, found):
    with tempfile.TemporaryDirectory(prefix="bench-import-") as made:
        projects = Path(made, "user", ".claude", "projects")
        if given.copies > 1:
            copies.write(given.corpus, projects, given.copies)
        else:
            shutil.copytree(given.corpus, projects)
        size_bytes = sum(
            len(path.read_bytes()) for path in projects.rglob("*") if path.is_file()
        )  # into the page cache
        runs = {OURS: []}
        why_not = _cannot_compare()
        if why_not:
            print(f"\nimport: agentsview is not measured: {why_not}")
        else:
            runs |= {THEIRS: [], THEIRS_SERVED: []}
        # The gate of redaction is compiled once for a version and kept in the user's cache: in a run before.
        with tempfile.TemporaryDirectory(prefix="bench-cache-") as cache:
            with tempfile.TemporaryDirectory(prefix="bench-home-") as home:
                figures["first_wall_s"] = _ours(projects, home, cache).wall_s
            for _ in range(given.repeats):
                for name, results in runs.items():
                    with tempfile.TemporaryDirectory(prefix="bench-home-") as home:
                        ours = name == OURS
                        results.append(
                            _ours(projects, home, cache) if ours else _theirs(projects, home, name)
                        )
        print(
            f"\nthe first import of a version, which compiles the gate of redaction: {figures['first_wall_s']:.2f} s"
        )
    _show(size_bytes, runs, given, figures, found)


def _ours(projects, home, cache):
    env = environment(HOME=home, HOLDFAST_HOME=Path(home, "h"), XDG_CACHE_HOME=cache)
    done = run(holdfast("import", projects), env)
    return _Import(done.wall_s, done.cpu_s, done.peak_bytes)


def _show(size_bytes, runs, given, figures, found):
    mb = size_bytes / _MB
    rows, speed = [], {}
    for name, results in runs.items():
        wall_s = median([r.wall_s for r in results])
        speed[name] = mb / wall_s
        figures[name] = {
            "wall_s": wall_s,
            "mb_per_s": speed[name],
            "cpu_s": median([r.cpu_s for r in results]),
            "peak_mb": max(r.peak_bytes for r in results) / _MB,
            "spread": max(r.wall_s for r in results) / min(r.wall_s for r in results),
        }
        rows.append([name, *figures[name].values(), speed[OURS] / speed[name]])
    figures["corpus_mb"] = mb
    heads = ["", "wall s", "MB/s", "CPU s", "peak MB", "spread", "ours / it"]
    table(f"import: {mb:.0f} MB, cold store, medians of {given.repeats}", heads, rows)
    if own_peak_bytes() > 60 * _MB:
        print(f"  (peaks are at least this process's own {own_peak_bytes() / _MB:.0f} MB)")
    ratio = speed[OURS] / max(speed[n] for n in runs if n != OURS) if len(runs) > 1 else None
    found.append(Budget("speed: ours / agentsview's fastest", ratio, 0.8, at_most=False))
    found.append(Budget("peak memory, MB", figures[OURS]["peak_mb"], 100))


# ── agentsview ──


def _cannot_compare():
    if _agentsview() is None:
        return "it is not installed (pip install agentsview)"
    if not sys.platform.startswith("linux") or not shutil.which("unshare") or not shutil.which("ip"):
        return "it is run without a network, which takes Linux with `unshare` and `ip`"
    tried = subprocess.run([*_unshare(), "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    return None if tried.returncode == 0 else f"unshare: {tried.stderr.decode().strip()}"


def _agentsview():
    """The program itself, without the Python wrapper around it."""
    spec = importlib.util.find_spec("agentsview")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (program := Path(place, "bin", "agentsview")).exists():
            return program
    return None


def _unshare():
    return ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]


def _theirs(projects, home, name):
    Path(home, ".claude").mkdir()
    Path(home, ".claude", "projects").symlink_to(projects)
    more = {"AGENTSVIEW_NO_DAEMON": "1"} if name == THEIRS else {}
    # The loopback comes up before the clock starts; the shell then becomes the program.
    script = 'ip link set lo up && read -r _ < "$1" && shift && exec "$@"'
    gate = Path(home, "gate")
    os.mkfifo(gate)
    argv = [*_unshare(), "sh", "-c", script, "sh", str(gate), str(_agentsview()), "sync"]
    try:
        return _timed_from(
            gate, argv, environment(HOME=home, **more), len(list(projects.rglob("*.jsonl"))), home
        )
    finally:
        _end_server(home)


def _timed_from(gate, argv, env, files, home):
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        with gate.open("w") as opened:  # returns once the other side has opened it
            began = time.perf_counter()
            opened.write("\n")
        _, status, used = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    synced = re.search(r"(\d+) sessions? synced", text)
    if child.returncode != 0 or not synced or not 0 < int(synced[1]) <= files:
        raise RuntimeError(f"agentsview sync did not do what it should:\n{text[-2000:]}")
    server = _server(home)
    if server is None:
        return _Import(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
    cpu_s, peak_bytes = _used_by(server)
    return _Import(wall_s, used.ru_utime + used.ru_stime + cpu_s, peak_bytes)


def _server(home):
    """The process id of the server that lives in this home, checked against the process's own environment."""
    for path in Path(home, ".agentsview").glob("daemon.*.json"):
        pid = json.loads(path.read_text())["pid"]
        try:
            if f"HOME={home}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                return pid
        except OSError:
            continue
    return None


def _used_by(pid):
    """CPU seconds of a server and the helpers it waited for, and its own peak memory."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"), int(peak[1]) * 1024


def _end_server(home):
    pid = _server(home)
    if pid is None:
        return
    for sign, patience_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        os.kill(pid, sign)
        until = time.monotonic() + patience_s
        while _server(home) == pid and time.monotonic() < until:
            time.sleep(0.05)
        if _server(home) != pid:
            return


# ── one appended line ──


def _appended(figures, found):
    """A file grows by 10 lines, 100 times over, when 2 MB of it are imported and when 20 MB are."""
    rows, cost = [], {}
    for _ in range(5):
        for size_mb in (2, 20):
            with tempfile.TemporaryDirectory(prefix="bench-append-") as directory:
                done = run(
                    python("benchmarks.growing", directory, size_mb * _MB), environment(HOME=directory)
                )
            cost.setdefault(size_mb, []).append(json.loads(done.out))
    for size_mb, results in cost.items():
        cost[size_mb] = {name: median([one[name] for one in results]) for name in results[0]}
        rows.append([f"{size_mb} MB imported", *cost[size_mb].values()])
    ratio = cost[20]["cpu_us"] / cost[2]["cpu_us"]
    heads = ["", "wall µs / line", "CPU µs / line", "step p50 ms", "bytes read / line byte"]
    table("import: 1,000 lines appended in 100 steps, each caught up with (medians of 5)", heads, rows)
    figures["appended_line"] = {f"{size_mb}_mb": one for size_mb, one in cost.items()}
    found.append(Budget("appended line, CPU at 10x the file size / at 1x", ratio, 1.25))
