"""`checkpoint`: a git worktree of 2,000 files and 80 MB, the first time, after a change, and where nothing changed.

Once by a call of the library in a process that stays, as the service's would: the checkpoint itself, and with what is recorded of it. Once as the
command, which starts an interpreter, reads the rules of redaction and opens the home before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import (
    ROOT,
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

_SEED = 20_261_122
_PLAIN = "plain `git add -A && git write-tree`, changed"  # nothing forced to disk, no commit, no reference
_SETTLED_S = 2.2  # what was changed later than that before a checkpoint is read again by the next one
_LIBRARY = """
import json, os, resource, sys, time
from pathlib import Path
from holdfast import checkpointing
from holdfast.checkpoint import place
from holdfast.home import Home
from holdfast.settings import load

root, runs, settled_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
home = Home(load(None, os.environ, {}))

def cpu_ms():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used) * 1e3

def take():
    began_ms, began_s = cpu_ms(), time.perf_counter()
    at = place.find(root)
    taken = checkpointing.take_at(home, at, checkpointing.Asked())
    return [taken.took_ms, (time.perf_counter() - began_s) * 1e3, taken.is_new, cpu_ms() - began_ms]

files = sorted(path for path in root.rglob("*.bin"))
out = {"first": [take()], "changed": [], "unchanged": []}
for number in range(runs):
    time.sleep(settled_s)
    out["unchanged"].append(take())
    files[number * 37 % len(files)].write_bytes(os.urandom(40_000))
    (root / f"new-{number}.txt").write_text(f"{number}")
    out["changed"].append(take())
print(json.dumps(out))
"""


def main(options: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks checkpoint", description=__doc__)
    parser.add_argument("--files", type=int, default=2_000, help="(default %(default)s)")
    parser.add_argument("--megabytes", type=int, default=80, help="of all of them (default %(default)s)")
    parser.add_argument("--runs", type=int, default=11, help="(default %(default)s)")
    given = parser.parse_args(options)
    if shutil.which("git") is None:
        print("checkpoint: git is not installed; nothing was measured")
        return
    with tempfile.TemporaryDirectory(prefix="bench-checkpoint-") as directory:
        made = _worktree(Path(directory), given.files, given.megabytes)
        env = environment(HOME=directory, HOLDFAST_HOME=Path(directory) / "h")
        told = json.loads(
            run([sys.executable, "-c", _LIBRARY, str(made), str(given.runs), str(_SETTLED_S)], env).out
        )
        command = _commands(made, env, given.runs)
    rows, figures = [], {}
    for name, found in told.items():
        figures[f"library, {name}"] = _figures([one[0] for one in found])
        both = _figures([one[1] for one in found], [one[3] for one in found])
        figures[f"library with finding and recording, {name}"] = both
    figures |= {f"command, {name}": _figures(*found) for name, found in command.items()}
    assert all(one[2] for one in told["changed"])
    assert not any(one[2] for one in told["unchanged"])
    rows = [[name, *values.values()] for name, values in figures.items()]
    table(
        f"checkpoint: {given.files} files, {given.megabytes} MB, {given.runs} runs",
        ["", "best ms", "p50 ms", "p90 ms", "CPU ms"],
        rows,
    )
    after = figures["library, changed"]
    found = [
        Budget("checkpoint after a change, ms", after["p50_ms"], 50),
        Budget("checkpoint where nothing changed, ms", figures["library, unchanged"]["p50_ms"], 50),
    ]
    budgets(found)
    remember("checkpoint", {"files": given.files, "megabytes": given.megabytes, **figures}, found)


def _figures(walls_ms: list[float], cpus_ms: list[float] | None = None) -> dict[str, float | None]:
    return {
        "best_ms": min(walls_ms),
        "p50_ms": median(walls_ms),
        "p90_ms": percentile(walls_ms, 0.9),
        "cpu_ms": None if cpus_ms is None else median(cpus_ms),
    }


def _worktree(directory: Path, files: int, megabytes: int) -> Path:
    """A repository with one commit of files in nested directories; a tenth of them is not tracked."""
    drawn, root = random.Random(_SEED), directory / "work"
    _git(directory, "init", "-q", str(root))
    for number in range(files):
        path = root / f"d{number % 40}" / f"e{number % 7}" / f"f{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn.randbytes(megabytes * 1_000_000 // files))
        if number == files * 9 // 10:
            _git(root, "add", "-A")
            _git(root, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "-m", "begin")
    return root


def _commands(root: Path, env: dict[str, str], runs: int) -> dict[str, tuple[list[float], list[float]]]:
    """Walls and processor times of the command, and of git alone with an index of its own."""
    out: dict[str, tuple[list[float], list[float]]] = {
        name: ([], []) for name in ("changed", "unchanged", _PLAIN)
    }
    plain = env | {"GIT_INDEX_FILE": str(root.parent / "index")}
    script = ["sh", "-c", f"git -C {root} add -A && git -C {root} write-tree"]
    ours = ["sh", "-c", f"cd {root} && exec {shlex.join(holdfast('checkpoint'))}"]
    run(script, plain)
    for _ in range(runs):
        time.sleep(_SETTLED_S)
        for name, argv, variables in (
            ("changed", ours, env),
            ("unchanged", ours, env),
            (_PLAIN, script, plain),
        ):
            if name != "unchanged":
                (root / "changing.bin").write_bytes(os.urandom(40_000))
            done = run(argv, variables)
            out[name][0].append(done.wall_s * 1e3)
            out[name][1].append(done.cpu_s * 1e3)
    return out


def _git(at: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(at), *words], check=True, env=environment(HOME=at), cwd=ROOT)
