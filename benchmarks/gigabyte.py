"""`gigabyte`: the same corpus once and many times over, so that what grows with the archive shows.

Copies are written under new ids (sessions, lines, messages, tool calls), so none is a fork of another and each is as much
work as the first. Both imports are whole commands into cold stores, alternating. Then a transcript of the large archive
grows by 1,000 lines, is imported again, and the same is done in the small archive.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import tempfile
from pathlib import Path

from benchmarks import copies
from benchmarks.importing import CORPUS
from benchmarks.measuring import Budget, budgets, environment, holdfast, median, python, remember, run, table

_MB = 1_000_000
_SMALL_MB = 45
_TAIL_BYTES = 4 * _MB
LINES = 1_000


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gigabyte", description=__doc__)
    parser.add_argument(
        "corpus", nargs="?", type=Path, default=CORPUS, help="a Claude Code `projects` directory"
    )
    parser.add_argument("--copies", type=int, default=22, help="of the corpus (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of each import (default %(default)s)")
    given = parser.parse_args(options)
    with tempfile.TemporaryDirectory(prefix="bench-gigabyte-") as made:
        archives = {
            name: _archive(given.corpus, Path(made, name), number)
            for name, number in (("once", 1), ("many", given.copies))
        }
        rounds = [
            {name: _imported(projects) for name, projects in archives.items()} for _ in range(given.repeats)
        ]
    figures: dict[str, object] = {
        name: {what: median([one[name][what] for one in rounds]) for what in rounds[0][name]}
        for name in archives
    }
    _show(figures, given.repeats)


def _archive(corpus, projects, number):
    """Copies of the corpus, or of the bundled samples as many as make up its usual size.

    Another process makes them: the peak memory of a child begins at that of the process that started it.
    """
    if not corpus.is_dir():
        corpus, number = copies.SAMPLES, number * _SMALL_MB * _MB // int(_size(copies.SAMPLES) * _MB)
    run(python("benchmarks.copies", corpus, projects, number), environment())
    return projects


def _size(path, pattern="*"):
    return sum(found.stat().st_size for found in path.rglob(pattern) if found.is_file()) / _MB


def _imported(projects):
    with tempfile.TemporaryDirectory(prefix="bench-home-") as user:
        home = Path(user, "h")
        env = environment(HOME=user, HOLDFAST_HOME=home)
        mb = _size(projects)
        done = run(holdfast("import", projects), env)
        found = {
            "mb": mb,
            "wall_s": done.wall_s,
            "mb_per_s": mb / done.wall_s,
            "mb_per_cpu_s": mb / done.cpu_s,
            "peak_mb": done.peak_bytes / _MB,
            "journal_mb": _size(home / "journal") + _size(home / "blobs"),
            "store_mb": _size(home, "store-*"),
        }
        return found | _grown(projects, env)


def _grown(projects, env):
    """What more lines of one transcript cost, beyond a look at everything that did not change."""
    idle = min(run(holdfast("import", projects), env).cpu_s for _ in range(3))
    grown = max(projects.rglob("*.jsonl"), key=lambda path: path.stat().st_size)
    size = grown.stat().st_size
    lines = _more_lines(grown)
    try:
        with grown.open("ab") as file:
            file.write(b"".join(lines))
        done = run(holdfast("import", projects), env)
    finally:
        with grown.open("r+b") as file:
            file.truncate(size)
    recorded = re.search(r"(\d+) new records", done.out)
    if not recorded or int(recorded[1]) < len(lines):  # the first one may go on a line that had no end
        raise RuntimeError(f"{len(lines)} lines were appended, and the import said: {done.out}")
    return {"nothing_new_cpu_s": idle, "line_cpu_us": (done.cpu_s - idle) / len(lines) * 1e6}


def _more_lines(transcript):
    """The last lines of a transcript, under new ids as often as it takes, in the same session."""
    with transcript.open("rb") as file:
        file.seek(-min(_TAIL_BYTES, transcript.stat().st_size), os.SEEK_END)
        tail = b"".join(file.read().splitlines(keepends=True)[1:])
    session = re.search(rb'"sessionId": ?"([^"]+)"', tail)[1]
    own = hashlib.sha256(b"").hexdigest().encode()
    made = []
    while len(made) < LINES:
        more = copies.renamed(tail.replace(session, own), f"grown {len(made)}").replace(own, session)
        made += more.splitlines(keepends=True)
    return made[:LINES]


def _show(figures, repeats):
    once, many = figures["once"], figures["many"]
    rows = [[f"{archive['mb']:.0f} MB", *list(archive.values())[1:]] for archive in (once, many)]
    heads = ["", "wall s", "MB/s", "MB/CPU s", "peak MB", "journal MB", "store MB"]
    heads += ["CPU s, nothing new", "CPU µs / line"]
    table(f"gigabyte: cold stores, medians of {repeats}; then 1,000 lines more", heads, rows)
    found = [
        Budget(
            "MB/s of the large archive / of the small one",
            many["mb_per_s"] / once["mb_per_s"],
            0.8,
            at_most=False,
        ),
        Budget("peak memory, MB", many["peak_mb"], 100),
        Budget(
            "appended line, CPU in the large archive / in the small one",
            many["line_cpu_us"] / once["line_cpu_us"],
            1.25,
        ),
    ]
    budgets(found)
    remember("gigabyte", figures, found)
