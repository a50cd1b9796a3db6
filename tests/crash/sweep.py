"""Kill Holdfast everywhere it writes, start it again, and look.

    python -m tests.crash.sweep [--trials N] [--only NAME] [--full] [--seed S] [--jobs N] [--list]

Without --only: every writing system call of every operation, each at least once, until N trials are done. --full
adds kills at random moments inside large writes, full disks, and a crowd of writers. Exit code 1 when anything
acknowledged is missing, anything is corrupt, or a person would have to help.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from tests.crash import check, child, crowd, points, volume
from tests.store import version

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIALS = 600
_KILLED = -9
_ATTEMPTS = 3  # the background thread does not always come to the same call at the same time
_RECORDINGS = points.REPO_ROOT / "tests" / "data" / "claude-code"
_TREES = {
    "project": ("api-error-400",),
    "project-more": ("api-error-400", "fork-after-kill9"),
    "rebuild": ("max-turns",),
    "refold": ("max-turns",),
    "export": ("api-error-400",),
    "restore": ("kill9-foreground-subagent",),
    "import-export": (),
    "forget": ("api-error-400", "max-turns"),
}
_GOLDEN = points.REPO_ROOT / "tests" / "golden" / "store-1"
_OUTDATE = "UPDATE meta SET value = '0' WHERE key = 'projection_version'"


@dataclass
class Trial:
    """One kill and what the next process found."""

    operation: str
    seed: str
    point: points.Point
    acknowledged: int = 0
    violations: list[str] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        call = f"{self.point.syscall} #{self.point.number} {self.point.file}"
        notes = [f"{self.acknowledged} acknowledged", f"{self.seen.get('records', '?')} records read"]
        notes += [f"{n} {name}" for name in ("damage", "tails") if (n := self.seen.get(name))]
        notes += [f"left {', '.join(left)}"] if (left := self.seen.get("leftovers")) else []
        bad = f"  VIOLATIONS: {'; '.join(self.violations)}" if self.violations else ""
        return f"{self.operation:12} seed {self.seed}  {call:58} {', '.join(notes)}{bad}"


class Bench:
    """A directory in which one operation is run, killed and looked at, again and again, in homes of their own."""

    def __init__(
        self,
        directory: Path,
        operation: str,
        seed: str,
        mistake: str | None = None,
        *,
        traced: bool = True,
    ) -> None:
        self.operation, self.seed = operation, seed
        self._mistake = mistake
        self._directory = directory / f"{operation}-{seed}"
        self._directory.mkdir(parents=True)
        self._template = self._directory / "template"
        self._sql = version.later(self._directory / "sql") if operation == "migrate" else None
        self.tree = self._plant() if operation in _TREES else None
        self._prepare()
        clean = self._directory / "clean"
        outcome = self._traced(clean) if traced else self._run("clean", "")
        assert outcome.status == 0, outcome.errors
        self.points = outcome.points
        found = self._check(clean, outcome.acknowledged)
        assert not found["violations"], found["violations"]
        self._answers = found["each_answer"]

    def _traced(self, home: Path) -> points.Outcome:
        self._fresh(home)
        return points.trace(self._command(), self._environment(home), home, self._directory / "clean.trace")

    def _plant(self) -> Path:
        tree = self._directory / "tree"
        tree.mkdir()
        for name in _TREES[self.operation]:
            shutil.copytree(_RECORDINGS / name, tree / name)
        if self.operation == "import-export":
            self._export_into(tree)
        return tree

    def _export_into(self, tree: Path) -> None:
        """An export of a home with transcripts and blobs, to be imported."""
        source = self._directory / "source"
        shutil.copytree(_RECORDINGS / "api-error-400", tree / "api-error-400")
        self._run_clean("project", self.seed, tree / "api-error-400", home=source)
        self._run_clean("blob", self.seed, home=source)
        self._run_clean("export", self.seed, home=source)
        shutil.rmtree(tree / "api-error-400")
        shutil.move(source.with_name("source.out") / child.EXPORT, tree / child.EXPORT)

    def _prepare(self) -> None:
        """The home that the operation begins with: none, or one that was used before."""
        if self.operation == "group-sync":
            self._run_clean("append", "before")
        if self.operation in ("retire", "forget", "redact"):
            self._run_clean("seal", self.seed)
        if self.operation == "forget":
            self._run_clean("project", self.seed, self.tree)
        if self.operation == "migrate":
            shutil.copytree(_GOLDEN, self._template, symlinks=True)
            self._template.chmod(0o700)
        if self.operation in ("rebuild", "refold", "project-more", "export", "restore"):
            self._run_clean("append", "before")
            assert self.tree is not None
            self._run_clean("project", self.seed, self.tree / _TREES[self.operation][0])
        if self.operation == "project-more":
            inbox = self._template / "inbox"
            inbox.mkdir(mode=0o700)
            (inbox / "claude").write_bytes((_RECORDINGS / "api-error-400" / "hooks.ndjson").read_bytes())
        if self.operation == "refold":
            db = apsw.Connection(str(self._template / "store.db"))
            db.execute(_OUTDATE)
            db.close()
        shutil.rmtree(self._directory / "user", ignore_errors=True)

    def _run_clean(
        self, operation: str, seed: str, tree: Path | None = None, home: Path | None = None
    ) -> None:
        command = [sys.executable, "-m", "tests.crash.child", operation, seed, *([str(tree)] if tree else [])]
        env = self._environment(home or self._template) | child.ENVIRONMENT[operation]
        env.pop(self._mistake or "", None)
        env.pop(child.DOOR, None)
        subprocess.run(command, env=env, cwd=points.REPO_ROOT, check=True, capture_output=True)

    def _command(self) -> list[str]:
        operation = "project" if self.operation == "project-more" else self.operation
        tree = [str(self.tree)] if self.tree else []
        return [sys.executable, "-m", "tests.crash.child", operation, self.seed, *tree]

    def _environment(self, home: Path) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "CLAUDE"))
        }
        operation = "project" if self.operation == "project-more" else self.operation
        return {
            **kept,
            "PYTHONPATH": f"{points.REPO_ROOT / 'src'}{os.pathsep}{points.REPO_ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self._directory / "user"),
            "CLAUDE_CONFIG_DIR": str(self._directory / "user" / ".claude"),
            "HOLDFAST_HOME": str(home),
            "HOLDFAST_NOW": check.NOW,
            **child.ENVIRONMENT[operation],
            **({child.SQL: str(self._sql)} if self._sql else {}),
            **({self._mistake: "1"} if self._mistake else {}),
        }

    def _fresh(self, home: Path) -> None:
        if self._template.exists():
            shutil.copytree(self._template, home, symlinks=True)

    @staticmethod
    def _clear(home: Path) -> None:
        for path in (home, home.with_name(f"{home.name}.out")):
            shutil.rmtree(path, ignore_errors=True)

    def _check(self, home: Path, acknowledged: list[tuple[str, int]]) -> dict[str, Any]:
        """Let a new process carry on in the home; one that fails is a violation, not an error of ours."""
        operation = "project" if self.operation == "project-more" else self.operation
        tree = str(self.tree) if self.tree else None
        job = {"operation": operation, "seed": self.seed, "tree": tree, "acknowledged": acknowledged}
        env = self._environment(home)
        env.pop(self._mistake or "", None)
        done = subprocess.run(
            [sys.executable, "-m", "tests.crash.check"],
            input=json.dumps(job),
            text=True,
            env=env,
            cwd=points.REPO_ROOT,
            capture_output=True,
            timeout=points.RUN_LIMIT_S,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
            return {"violations": [f"the next process failed: {last}"], "each_answer": {}}
        # the acknowledgements of the operation, run again by the check, come before the last line
        return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]

    def trial(self, number: int, point: points.Point) -> Trial:
        """Kill the operation at one point in a fresh home, and look."""
        home = self._directory / f"home-{number}"
        trace_file = self._directory / f"{number}.trace"
        out = Trial(self.operation, self.seed, point)
        for _ in range(_ATTEMPTS):
            self._clear(home)
            self._fresh(home)
            outcome = points.kill_at(self._command(), self._environment(home), home, trace_file, point)
            if outcome.status == _KILLED and point in outcome.last:
                break
        else:
            out.violations.append(f"not hit: ended with {outcome.status} at {outcome.last}")
        self._look(out, home, outcome)
        if not out.violations:
            trace_file.unlink()
        return out

    def fail(self, failpoints: str) -> Trial:
        """Kill the operation at a failpoint in a fresh home, and look."""
        name = failpoints.rpartition(",")[2].partition("=")[0]
        out = Trial(self.operation, self.seed, points.Point("failpoint", 1, name))
        outcome = self._run(f"failpoint-{name}", failpoints)
        if outcome.status != -signal.SIGKILL:
            out.violations.append(f"{name} not hit: ended with {outcome.status}: {outcome.errors[-300:]}")
        self._look(out, self._directory / f"failpoint-{name}", outcome)
        return out

    def _run(self, name: str, failpoints: str) -> points.Outcome:
        """The operation in a fresh home of this name, with faults at failpoints, not traced."""
        home = self._directory / name
        self._fresh(home)
        done = subprocess.run(
            self._command(),
            env=self._environment(home) | {"HOLDFAST_FAILPOINTS": failpoints},
            cwd=points.REPO_ROOT,
            capture_output=True,
            timeout=points.RUN_LIMIT_S,
            check=False,
        )
        return points.Outcome(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"), [], [])

    def _look(self, out: Trial, home: Path, outcome: points.Outcome) -> None:
        """Let the next process carry on, and compare with an undisturbed run."""
        out.acknowledged = len(outcome.acknowledged)
        out.seen = self._check(home, outcome.acknowledged)
        out.violations += out.seen["violations"]
        if not out.violations:
            found = out.seen["each_answer"]
            names = sorted(
                n for n in found.keys() | self._answers.keys() if found.get(n) != self._answers.get(n)
            )
            out.violations += [f"answers differ from an undisturbed run: {', '.join(names)}"] if names else []
            self._clear(home)


OPERATIONS = (*child.OPERATIONS[:7], "project-more", *child.OPERATIONS[7:])


def sweep(
    directory: Path,
    operations: tuple[str, ...],
    trials: int,
    seed: int,
    jobs: int,
) -> Iterator[Trial]:
    """Kill each operation at each of its points; rounds with other payloads follow until `trials` are done."""
    done = rounds = 0
    with ThreadPoolExecutor(jobs) as pool:
        while rounds == 0 or done < trials:
            for operation in operations:
                bench = Bench(directory, operation, f"{seed}.{rounds}")
                for trial in pool.map(bench.trial, range(len(bench.points)), bench.points):
                    done += 1
                    yield trial
            rounds += 1


def table(trials: list[Trial]) -> str:
    """Trials, points hit and violations for each operation and system call."""
    count = Counter((t.operation, t.point.syscall) for t in trials)
    distinct: dict[tuple[str, str], set[tuple[int, str]]] = {}
    for t in trials:
        distinct.setdefault((t.operation, t.point.syscall), set()).add((t.point.number, t.point.file))
    bad = Counter((t.operation, t.point.syscall) for t in trials if t.violations)
    lines = [f"{'operation':14}{'system call':16}{'points':>8}{'trials':>8}{'violations':>12}"]
    lines += [
        f"{operation:14}{call:16}{len(distinct[operation, call]):>8}{n:>8}{bad[operation, call]:>12}"
        for (operation, call), n in sorted(count.items())
    ]
    total = sum(len(d) for d in distinct.values())
    lines.append(f"{'all':14}{'':16}{total:>8}{len(trials):>8}{sum(bad.values()):>12}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.sweep", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--trials", type=int, default=TRIALS, help="at least this many kills (default %(default)s)"
    )
    parser.add_argument(
        "--only", choices=[*OPERATIONS, "volume", "full-disk", "crowd"], help="this part alone"
    )
    parser.add_argument(
        "--full", action="store_true", help="also kills inside large writes, full disks, a crowd"
    )
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print every kill and what was observed")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    print(f"seed {seed} (repeat with --seed {seed})", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="holdfast-sweep-"))
    bad = 0
    if asked.only in (None, *OPERATIONS):
        bad += _run_sweep(directory, (asked.only,) if asked.only else OPERATIONS, asked, seed)
    for name, part in (("volume", volume.full), ("full-disk", volume.full_disks), ("crowd", crowd.full)):
        if asked.only == name or (asked.full and asked.only is None):
            began_s = time.monotonic()
            violations, summary = part(directory, seed)
            bad += len(violations)
            print(f"\n{name}: {summary}; {len(violations)} violations; {time.monotonic() - began_s:.0f} s")
            print(*violations, sep="\n", flush=True)
    if bad:
        print(f"\n{bad} violations; what is left of those homes lies in {directory}")
        return 1
    shutil.rmtree(directory)
    print("\nnothing acknowledged was lost, nothing was corrupt, nobody had to help")
    return 0


def _run_sweep(directory: Path, operations: tuple[str, ...], asked: argparse.Namespace, seed: int) -> int:
    if why := points.missing():
        print(f"kills at system calls were not tried: {why}")
        return 1
    began_s = time.monotonic()
    trials = []
    for trial in sweep(directory, operations, asked.trials, seed, asked.jobs):
        trials.append(trial)
        if asked.list or trial.violations:
            print(trial, flush=True)
    print(f"\n{table(trials)}\n{time.monotonic() - began_s:.0f} s", flush=True)
    return sum(bool(trial.violations) for trial in trials)


if __name__ == "__main__":
    sys.exit(main())
