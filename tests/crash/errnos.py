"""The system says no: every operation, at each call that writes or opens, with each error; and what is left.

    python -m tests.crash.errnos [--only OPERATION] [--every] [--sample N] [--seed S] [--jobs N] [--list]

Each call of each operation is refused once, with errors in turn so that each meets each operation; --every refuses each
call with each error that it may give. Beside single calls, whole resources are refused: descriptors, memory. A command that
was refused must say so in words with an exit code of ours, must not have acknowledged what is not there, and the same
command must succeed afterwards, without a hand, and answer as if nothing had happened. Linux, needs strace.

What stands in an export, in a migrated store and in sealed history is looked at too.

To add an operation: a line in OPERATIONS.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast import errors
from holdfast.cli import terminal
from holdfast.cli.app import INTERRUPT_EXIT, UNEXPECTED_EXIT, cli
from holdfast.failpoints import NAMES, VARIABLE
from holdfast.store import database
from tests.crash import check, child, points, volume

if TYPE_CHECKING:
    from collections.abc import Iterator

_TREE = str(points.REPO_ROOT / "tests" / "data" / "claude-code" / "api-error-400")
_OTHER_TREE = str(points.REPO_ROOT / "tests" / "data" / "claude-code" / "max-turns")
_SMALL_SEGMENTS = {"HOLDFAST_SEGMENT_SIZE_BYTES": "400"}
_SMALL_BODIES = {"HOLDFAST_INLINE_BODY_SIZE_BYTES": "300"}


class Operation(NamedTuple):
    """A command, what it is given, and the commands that a home has seen before.

    EXPORT in a command is the name of an export of this home, beside it. `given`: what stands under it before.
    """

    command: tuple[str, ...]
    events: int = 0  # lines on its standard input
    before: tuple[tuple[str, ...], ...] = ()
    environment: dict[str, str] = {}  # noqa: RUF012 - read only
    home: Path | None = None  # a home to begin with
    given: tuple[tuple[str, ...], ...] = ()  # the commands that a home has seen whose export is given


_RECORD = ("record",)
EXPORT = "EXPORT"
_SEAL = ("journal", "seal", "--all")
_RETIRE = ("journal", "retire", "--keep-days", "1", "--yes", "--without-backup", "--most", "100")
_GOLDEN = points.REPO_ROOT / "tests" / "golden" / "store-1"
_MUCH_LATER = {"HOLDFAST_NOW": "2126-11-25T12:00:00Z"}  # whatever was received by now is old then
OPERATIONS = {
    "append": Operation(("record", "--durable"), 2),
    "append-more": Operation(("record", "--durable"), 2, (_RECORD,)),
    "blob": Operation(("record", "--durable"), 2, (_RECORD,), _SMALL_BODIES),
    "rotate": Operation(_RECORD, 4, (_RECORD,), _SMALL_SEGMENTS),
    "project": Operation(("sessions", "--json"), 0, (("import", _TREE), _RECORD)),
    "rebuild": Operation(("rebuild",), 0, (_RECORD, ("import", _TREE))),
    "import": Operation(("import", _TREE), 0, (_RECORD,)),
    "import-more": Operation(("import", _OTHER_TREE), 0, (_RECORD, ("import", _TREE)), _SMALL_SEGMENTS),
    "seal": Operation(("journal", "seal"), 0, (_RECORD, _RECORD), _SMALL_SEGMENTS | _SMALL_BODIES),
    "seal-all": Operation(_SEAL, 0, (("import", _TREE), _RECORD)),
    "retire": Operation(
        _RETIRE, 0, (_RECORD, ("import", _TREE), _SEAL), _SMALL_SEGMENTS | _SMALL_BODIES | _MUCH_LATER
    ),
    "forget": Operation(
        ("forget", child.FORGOTTEN[1], "--yes"),
        0,
        (_RECORD, ("import", _TREE), ("import", _OTHER_TREE)),
        _SMALL_SEGMENTS | _SMALL_BODIES,
    ),
    "migrate": Operation(("sessions", "--json"), home=_GOLDEN),
    "export": Operation(("export", EXPORT), 0, (_RECORD, ("import", _TREE)), _SMALL_BODIES),
    "import-export": Operation(
        ("import", EXPORT), 0, (_RECORD,), _SMALL_SEGMENTS | _SMALL_BODIES, given=(("import", _TREE), _RECORD)
    ),
}

_OPENING = {"open", "openat", "creat"}
_NAMING = _OPENING | {
    name + suffix
    for name in ("mkdir", "link", "rename", "symlink", "unlink", "rmdir", "chmod")
    for suffix in ("", "at", "at2")
}
# error → the calls that may give it; None: any
ERRNOS: dict[str, set[str] | None] = {
    "ENOSPC": None,
    "EIO": None,
    "EROFS": None,
    "EACCES": _NAMING,
    "EMFILE": _OPENING,
    "ENOMEM": None,
}
_LACKING = {"EMFILE", "ENOMEM"}  # says nothing about what could not be opened
_STAYS = {
    "fsync",
    "fdatasync",
    "pwrite64",
}  # tried a second time so that it keeps failing, which a full disk does
_DESCRIPTORS = range(5, 12)  # with fewer, the interpreter cannot read its own modules
_MEMORY_MIB = range(50, 74, 4)  # with less, it cannot load what is ours, the gate of redaction included
_FIRST_US = 1_795_000_000_000_000
_LIMIT_S = 120
_MIDDLE = 2
# memory, and descriptors to read what we are made of, have no code of their own: such a command ends with 1
_NOTHING_LEFT = re.compile(
    r"^error: (out of memory$|.*failed to map segment|\[Errno 24\] .*/src/holdfast/)", re.MULTILINE
)
# what a command may end with; 1 and 70 would say that nobody thought of it
_OURS = {cls.exit_code for cls in errors.tree()} - {1, UNEXPECTED_EXIT, INTERRUPT_EXIT}


def events(operation: Operation, first: int = 0) -> bytes:
    """Keyed and timed events, so that sending them again has no second effect."""
    lines = [
        {
            "kind": child.KIND,
            "session": "s",
            "key": f"k{number}",
            "time": _FIRST_US + number,
            "fields": {"n": number, "text": f"{number} " * 150},
        }
        for number in range(first, first + operation.events)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class Fault(NamedTuple):
    """How the system says no."""

    errno: str
    inject: str = ""  # for strace
    wrap: tuple[str, ...] = ()  # a command around ours
    failpoints: str = ""
    place: str = ""


@dataclass
class Trial:
    """One refusal, and what came of it."""

    operation: str
    fault: Fault
    status: int = 0
    said: str = ""
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        bad = f"  VIOLATIONS: {'; '.join(self.violations)}" if self.violations else ""
        return f"{self.operation:12} {self.fault.errno:7} {self.fault.place:52} ended {self.status}{bad}"


class Bench:
    """One operation in homes of their own."""

    def __init__(self, directory: Path, name: str, *, ack_first: bool = False) -> None:
        self.name, self._operation = name, OPERATIONS[name]
        self._ack_first = ack_first
        self._directory = directory / name
        self._directory.mkdir(parents=True)
        self._template = self._directory / "template"
        if self._operation.home is not None:
            shutil.copytree(self._operation.home, self._template, symlinks=True)
            self._template.chmod(0o700)
        self._prepare(self._template, self._operation.before)
        if self._operation.given:
            giver = self._directory / "giver"
            child.out_of_path(giver).mkdir()
            self._prepare(giver, (*self._operation.given, ("export", EXPORT)))
        home = self._fresh("clean")
        trace_file = self._directory / "clean.trace"
        outcome = points.trace(
            self._command(home), self._env(home), home, trace_file, given=self._given, opening=True
        )
        assert outcome.status == 0, outcome.errors
        # a word on standard output about a file is no call on the file
        self.points = [point for point in outcome.points if not point.file.endswith("\\n")]
        self._answers = self._again(home)["answers"]

    @property
    def _given(self) -> bytes:
        return events(self._operation)

    def _prepare(self, home: Path, commands: tuple[tuple[str, ...], ...]) -> None:
        for number, command in enumerate(commands):
            given = events(Operation(command, 2), 100 + 10 * number) if command == _RECORD else b""
            done = self._run([*_holdfast(), *_filled(command, home)], home, given)
            assert done.returncode == 0, done.stderr

    def _command(self, home: Path) -> list[str]:
        if self._ack_first:
            return [sys.executable, "-m", "tests.crash.child", "append", "0"]
        return [*_holdfast(), *_filled(self._operation.command, home)]

    def _env(self, home: Path) -> dict[str, str]:
        more = {child.ACK_FIRST: "1"} if self._ack_first else {}
        return volume.environment(home) | {"HOLDFAST_NOW": check.NOW} | self._operation.environment | more

    def _fresh(self, name: str) -> Path:
        home = self._directory / name
        for path in (home, child.out_of_path(home)):
            shutil.rmtree(path, ignore_errors=True)
        if self._template.exists():
            shutil.copytree(self._template, home, symlinks=True)
        if EXPORT in self._operation.command:
            child.out_of_path(home).mkdir()
        if self._operation.given:
            shutil.copy(self._export_of(self._directory / "giver"), self._export_of(home))
        return home

    @staticmethod
    def _export_of(home: Path) -> Path:
        return child.out_of_path(home) / child.EXPORT

    def _run(
        self, command: list[str], home: Path, given: bytes, more: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            env=self._env(home) | (more or {}),
            cwd=points.REPO_ROOT,
            input=given,
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
        )

    def _again(self, home: Path) -> dict[str, Any]:
        """The same command in a new process, and every answer after it."""
        command = [
            sys.executable,
            "-m",
            "tests.crash.errnos",
            "again",
            *_filled(self._operation.command, home),
        ]
        done = self._run(command, home, self._given)
        if done.returncode:
            return {"failed": done.stderr.decode("utf-8", "replace").strip()[-400:]}
        return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]

    def trial(self, number: int, fault: Fault) -> Trial:
        home = self._fresh(f"home-{number}")
        out = Trial(self.name, fault)
        strace = ["strace", "-f", "-o", "/dev/null", f"--inject={fault.inject}", "--"] if fault.inject else []
        done = self._run(
            [*strace, *fault.wrap, *self._command(home)], home, self._given, {VARIABLE: fault.failpoints}
        )
        out.status, out.said = done.returncode, done.stderr.decode("utf-8", "replace")
        out.violations += self._unfit(out)
        if EXPORT in self._operation.command and out.status == 0 and not self._export_of(home).exists():
            out.violations.append("exported, says the command, and no export is there")
        again = self._again(home)
        if "failed" in again:
            out.violations.append(f"the next command failed: {again['failed']}")
            return out
        acknowledged = [line.split()[0] for line in done.stdout.decode().splitlines() if line[8:9] == "-"]
        out.violations += [f"acknowledged {i} is not there" for i in acknowledged if i not in again["before"]]
        out.violations += again["violations"]
        found = again["rebuilt" if self._is_damage(fault) else "answers"]
        if not self._ack_first and (different := check.differences(found, self._answers)):
            out.violations.append(f"answers differ from an undisturbed run: {', '.join(different)}")
        if not out.violations:
            shutil.rmtree(home)
            shutil.rmtree(child.out_of_path(home), ignore_errors=True)
        return out

    @staticmethod
    def _is_damage(fault: Fault) -> bool:
        """A blob that is there and cannot be read is damage: its record is folded without it, until a rebuild."""
        return " blobs/" in fault.place and fault.errno not in _LACKING

    @staticmethod
    def _unfit(out: Trial) -> list[str]:
        """What is wrong with how the command ended."""
        wrong = []
        if "Traceback" in out.said:
            wrong.append(f"a traceback: {out.said.strip().splitlines()[-1]}")
        if out.status != 0 and out.status not in _OURS and not _NOTHING_LEFT.search(out.said):
            wrong.append(f"ended with {out.status}: {out.said.strip()[-300:]}")
        if out.status in _OURS and not any(line.startswith("error: ") for line in out.said.splitlines()):
            wrong.append(f"ended with {out.status} and no word: {out.said!r}")
        return wrong

    # ── which faults ──

    def faults(self, chooser: random.Random, *, every: bool) -> list[Fault]:
        """Each call refused at least once, with errors in turn; `every`: with each error that fits."""
        turn = chooser.sample([*ERRNOS], len(ERRNOS))
        out = []
        for point in self._distinct(chooser, every=every):
            fitting = [e for e in turn if (calls := ERRNOS[e]) is None or point.syscall in calls]
            place = f"{point.syscall} #{point.number} {point.file}"
            for errno in fitting if every else fitting[:1]:
                out.append(Fault(errno, f"{point.syscall}:error={errno}:when={point.number}", place=place))
                turn.append(turn.pop(turn.index(errno)))
            if point.syscall in _STAYS:
                errno = chooser.choice(("ENOSPC", "EIO"))
                inject = f"{point.syscall}:error={errno}:when={point.number}+"
                out.append(Fault(errno, inject, place=f"{place} and later"))
        return out + self._resources()

    def _distinct(self, chooser: random.Random, *, every: bool) -> list[points.Point]:
        """The calls to refuse: all, or of the many alike (a call, a file) the first, the last, and some between."""
        alike: dict[tuple[str, str], list[points.Point]] = {}
        for point in dict.fromkeys(self.points):
            alike.setdefault((point.syscall, point.file), []).append(point)
        if every:
            return [point for found in alike.values() for point in found]
        out = []
        for found in alike.values():
            middle = chooser.sample(found[1:-1], min(_MIDDLE, len(found[1:-1])))
            out += [*found[:1], *middle, *found[1:][-1:]]
        return out

    def _resources(self) -> list[Fault]:
        """Whole resources refused, by the system itself; and memory where a failpoint is passed."""
        out = [
            Fault("EMFILE", wrap=("prlimit", f"--nofile={n}"), place=f"at most {n} descriptors")
            for n in _DESCRIPTORS
        ]
        out += [
            Fault("ENOMEM", wrap=("prlimit", f"--as={n << 20}"), place=f"at most {n} MiB")
            for n in _MEMORY_MIB
        ]
        return out + [Fault("ENOMEM", failpoints=f"{name}=memory", place=name) for name in self.passed()]

    def passed(self) -> list[str]:
        """The failpoints on the operation's way."""
        home = self._fresh("passing")
        done = self._run(self._command(home), home, self._given, {VARIABLE: "*=tell"})
        said = {
            line.split()[1] for line in done.stderr.decode().splitlines() if line.startswith("failpoint ")
        }
        return [name for name in NAMES if name in said]


def _holdfast() -> list[str]:
    return [sys.executable, "-m", "holdfast"]


def _filled(command: tuple[str, ...], home: Path) -> list[str]:
    """A command with the name of this home's export."""
    return [str(child.out_of_path(home) / child.EXPORT) if word == EXPORT else word for word in command]


# ── the next process: `python -m tests.crash.errnos again COMMAND…` ──


def again(command: list[str]) -> dict[str, Any]:
    """Which records are there, and what is wrong; then the command again; then every answer."""
    home = child.open_home()
    before, violations = _ids(home), check.look_at_tables(home.path)
    if command[0] == "export":
        violations += check.look_at_export(home, finished=False)
    with contextlib.redirect_stdout(io.StringIO()):
        terminal.prepare_streams()
        cli.main(command, prog_name="holdfast", standalone_mode=False)
    assert home.catch_up([]).done
    if command[0] == "export":
        violations += check.look_at_export(home, finished=True)
    violations += check.sealed_history(home)
    out = {"before": before, "violations": violations}
    for name in ("answers", "rebuilt"):
        with contextlib.closing(database.open_reader(home.path)) as db:
            out[name] = check.answers(db)
        assert home.rebuild()
    return out


def _ids(home: Any) -> list[str]:
    from holdfast.journal import reader

    return [item.record.id for item in reader.read(home.journal) if isinstance(item, reader.Found)]


# ── many ──


def matrix(
    directory: Path, names: list[str], seed: int, jobs: int, *, every: bool, sample: int | None = None
) -> Iterator[Trial]:
    """Refuse, look, and say what came of it; `sample`: so many faults of each operation."""
    for name in names:
        chooser = random.Random(f"{seed}/{name}")
        bench = Bench(directory, name)
        found = bench.faults(chooser, every=every)
        if sample is not None:
            found = chooser.sample(found, min(sample, len(found)))
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(bench.trial, range(len(found)), found)


def table(trials: list[Trial]) -> str:
    """Trials for each operation and error, and how many of them succeeded in spite of it."""
    count = Counter((t.operation, t.fault.errno) for t in trials)
    bad = Counter(t.operation for t in trials if t.violations)
    refused = Counter(t.operation for t in trials if t.status)
    lines = ["operation    " + "".join(f"{errno:>8}" for errno in ERRNOS) + "    refused  violations"]
    for name in dict.fromkeys(t.operation for t in trials):
        cells = "".join(f"{count[name, errno]:>8}" for errno in ERRNOS)
        lines.append(f"{name:13}{cells}{refused[name]:>11}{bad[name]:>12}")
    lines.append(f"{len(trials)} trials, {sum(bad.values())} with violations")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.errnos", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=OPERATIONS, help="this operation alone")
    parser.add_argument("--every", action="store_true", help="each call with each error that it may give")
    parser.add_argument("--sample", type=int, default=None, help="so many refusals of each operation, by lot")
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print every refusal and what came of it")
    asked = parser.parse_args()
    if why := points.missing():
        print(f"nothing was refused: {why}")
        return 1
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    print(f"seed {seed} (repeat with --seed {seed})", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="holdfast-errnos-"))
    began_s, trials = time.monotonic(), []
    names = [asked.only] if asked.only else [*OPERATIONS]
    for trial in matrix(directory, names, seed, asked.jobs, every=asked.every, sample=asked.sample):
        trials.append(trial)
        if asked.list or trial.violations:
            print(trial, flush=True)
    print(f"\n{table(trials)}\n{time.monotonic() - began_s:.0f} s")
    if any(trial.violations for trial in trials):
        print(f"what is left of those homes lies in {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["again"]:
        json.dump(again(sys.argv[2:]), sys.stdout)
    else:
        sys.exit(main())
