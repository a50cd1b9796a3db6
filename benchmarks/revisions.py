"""`revisions`: a change of a definition until it is recorded, with a service up; what a version costs; bursts; and what watching costs when nothing happens."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.following import SETTLE_S, cpu_s, rss_bytes
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

if TYPE_CHECKING:
    from collections.abc import Callable

_BODY = "You read what was changed, say what is wrong with it, and name the line.\n" * 70  # about 5 kB
_LIMIT_S = 60.0


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks revisions", description=__doc__)
    parser.add_argument("--definitions", type=int, default=1_000, help="in all (default %(default)s)")
    parser.add_argument("--roots", type=int, default=30, help="directories (default %(default)s)")
    parser.add_argument("--changes", type=int, default=500, help="one by one (default %(default)s)")
    parser.add_argument("--burst", type=int, default=1_000, help="files at once (default %(default)s)")
    parser.add_argument("--idle-s", type=float, default=60.0, help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default %(default)s)")
    parser.add_argument("--store", help=argparse.SUPPRESS)  # what the process that measures is started with
    given = parser.parse_args(options)
    if given.store:
        print(json.dumps(_store(Path(given.store), given.changes)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-revisions-") as directory:
        place = Path(directory).resolve()
        env = environment(HOME=place, HOLDFAST_HOME=place / "h")
        argv = python("benchmarks", "revisions", "--changes", min(given.changes, 200), "--store", place / "s")
        stored = json.loads(run(argv, environment(HOME=place / "s", HOLDFAST_HOME=place / "s" / "h")).out)
        files = _write(place, given.definitions, given.roots)
        _sessions(place, given.roots)
        service = subprocess.Popen(holdfast("up"), env=env, stderr=subprocess.PIPE, text=True)
        try:
            assert any("caught up:" in line for line in service.stderr)
            journal = _Journal(place / "h" / "journal")
            first_s = journal.wait(lambda: journal.revisions >= len(files))
            time.sleep(SETTLE_S)
            before_s, began_s = cpu_s(service.pid), time.monotonic()
            time.sleep(given.idle_s)
            idle = (cpu_s(service.pid) - before_s) / (time.monotonic() - began_s) * 100
            taken_ms = _changes(files, journal, given.changes, random.Random(given.seed))
            burst_ms = _burst(place, journal, given.burst)
            peak_mb = rss_bytes(service.pid) / 1e6
        finally:
            service.terminate()
            service.wait()
    figures = {
        "definitions": len(files),
        "roots": given.roots,
        "p50_ms": percentile(taken_ms, 0.5),
        "p99_ms": percentile(taken_ms, 0.99),
        "worst_ms": max(taken_ms),
        "version_ms": stored["one_ms"],
        "version_forced_ms": stored["forced_ms"],
        "version_in_burst_ms": stored["of_many_ms"],
        "plain_file_ms": stored["plain_ms"],
        "first_look_s": first_s,
        "burst_ms": burst_ms,
        "idle_percent": idle,
        "peak_mb": peak_mb,
    }
    rows = [[name.replace("_", " "), value] for name, value in figures.items()]
    table(
        f"{len(files)} definitions in {given.roots} roots, {given.changes} changes one by one, {given.burst} at once",
        ["", ""],
        rows,
    )
    found = [
        Budget("change until it is recorded, p99, ms", figures["p99_ms"], 150),
        Budget("version stored, ms", figures["version_ms"], 1),
        Budget(f"{given.burst} files changed at once, all recorded, ms", burst_ms, 2_000),
        Budget("idle service, percent of a core", idle, 1),
        Budget("service, peak MB", peak_mb, 100),
    ]
    budgets(found)
    remember("revisions", figures, found)


def _text(name: str, version: object) -> bytes:
    return f"---\nname: {name}\ndescription: Reads what was changed, {version}\ntools: Read, Grep\n---\n{_BODY}".encode()


def _write(place: Path, number: int, roots: int) -> list[Path]:
    """Definitions in projects, each a root of its own."""
    files = []
    for at in range(number):
        root = place / f"p{at % roots}" / ".claude" / "agents"
        root.mkdir(parents=True, exist_ok=True)
        files.append(root / f"agent-{at}.md")
        files[-1].write_bytes(_text(files[-1].stem, 0))
    return files


def _sessions(place: Path, roots: int) -> None:
    """A session in each project, a moment ago, so that it is watched."""
    for at in range(roots):
        session = f"{at:08x}-0000-4000-8000-000000000000"
        path = place / ".claude" / "projects" / f"-p{at}" / f"{session}.jsonl"
        path.parent.mkdir(parents=True)
        entry = {
            "type": "user",
            "uuid": f"{at:08x}-1111-4000-8000-000000000000",
            "sessionId": session,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "cwd": str(place / f"p{at}"),
            "message": {"role": "user", "content": "go"},
        }
        path.write_text(json.dumps(entry) + "\n")


class _Journal:
    """What a growing journal says of contents, read as it grows."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[Path, int] = {}
        self.revisions = 0
        self.hashes: set[str] = set()

    def look(self) -> None:
        for path in self._directory.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                new = file.read()
            whole, end, _ = new.rpartition(b"\n")
            self._read[path] = self._read.get(path, 0) + len(whole) + len(end)
            for line in whole.split(b"\n"):
                if b'"definition.revised"' in line:
                    self.revisions += 1
                    self.hashes.add(line.partition(b'"hash_after":"')[2][:64].decode())

    def wait(self, what: Callable[[], bool]) -> float:
        """Seconds until it is so."""
        began_s = time.monotonic()
        while True:
            self.look()
            taken_s = time.monotonic() - began_s
            if what():
                return taken_s
            assert taken_s < _LIMIT_S, f"{self.revisions} revisions, and no more"
            time.sleep(0.000_5)


def _changes(files: list[Path], journal: _Journal, number: int, chance: random.Random) -> list[float]:
    """Milliseconds from before a file is saved until its content is recorded; saves come at random moments, half of them by renaming."""
    taken = []
    for at in range(number):
        time.sleep(chance.uniform(0.0, 0.2))
        path, text = chance.choice(files), _text("changed", at)
        wanted = hashlib.sha256(text).hexdigest()
        began_s = time.monotonic()
        if at % 2:
            beside = path.with_suffix(".tmp")
            beside.write_bytes(text)
            beside.rename(path)
        else:
            path.write_bytes(text)
        journal.wait(lambda wanted=wanted: wanted in journal.hashes)
        taken.append((time.monotonic() - began_s) * 1e3)
    return taken


def _burst(place: Path, journal: _Journal, number: int) -> float:
    """Milliseconds until as many new files in one directory are recorded, from before the first is written."""
    root = place / "p0" / ".claude" / "agents" / "burst"
    root.mkdir()
    texts = [_text(f"burst-{at}", "in a burst") for at in range(number)]
    began_s = time.monotonic()
    for at, text in enumerate(texts):
        (root / f"burst-{at}.md").write_bytes(text)
    wanted = {hashlib.sha256(text).hexdigest() for text in texts}
    journal.wait(lambda: wanted <= journal.hashes)
    return (time.monotonic() - began_s) * 1e3


def _store(place: Path, number: int) -> dict[str, float]:
    """What it takes to keep a content and record that it is there, alone, until it is on the disk too, and for each of many. Looking is not in it."""
    from holdfast import defining
    from holdfast.definitions.ledger import Known, Step
    from holdfast.home import Home
    from holdfast.settings import load

    ledger = defining.ledger_of(Home(load(place / "h", dict(os.environ), {})))

    def kept(held, at: int, *, text: bytes) -> Step:
        sha256 = held.texts.keep(text)
        fields = {"name": f"agent-{at}", "operation": "modify", "tool": "claude", "tier": "project"}
        fields |= {"path": f"/p/.claude/agents/agent-{at}.md", "root": "/p/.claude/agents"}
        fields |= {"hash_before": "0" * 64, "hash_after": sha256, "size_bytes": len(text)}
        body = {"kind": "definition.revised", "key": f"{at}:{sha256}", "fields": fields}
        known = Known("claude", f"agent-{at}", "project", "/p/.claude/agents", sha256, len(text), "")
        return Step(body, fields["path"].encode(), known)

    with ledger.held() as held:  # what lies there already
        held.note([kept(held, at, text=_text("n", at)) for at in range(1_000)])
    one, forced = [], []
    for at in range(number):
        began = time.perf_counter()
        with ledger.held() as held:
            held.note([kept(held, at, text=_text("n", f"one {at}"))])
            one.append((time.perf_counter() - began) * 1e3)
        forced.append((time.perf_counter() - began) * 1e3)
    began = time.perf_counter()
    with ledger.held() as held:
        held.note([kept(held, at, text=_text("n", f"many {at}")) for at in range(1_000)])
    of_many_ms = (time.perf_counter() - began) * 1e3 / 1_000
    plain = []
    for at in range(number):
        began = time.perf_counter()
        _plain(place, _text("n", f"plain {at}"))
        plain.append((time.perf_counter() - began) * 1e3)
    figures = {"one_ms": median(one), "forced_ms": median(forced), "of_many_ms": of_many_ms}
    return figures | {"plain_ms": median(plain)}


def _plain(place: Path, content: bytes) -> None:
    """The least that keeping a content can take: a new file, renamed. ext4 passes over inodes that were freed in the last minutes, so after many removals
    it takes ten times as long.
    """
    temporary = place / "plain"
    temporary.write_bytes(content)
    temporary.rename(place / hashlib.sha256(content).hexdigest())
