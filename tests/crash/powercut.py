"""Cut the power of a real file system under a process that records, and look what is left.

    python -m tests.crash.powercut [--trials N] [--fs ext4|xfs] [--seed S] [--controls N] [--only OPERATION] [--list]

A file system in an image is shut down by its own ioctl, so that nothing more reaches the image: what the kernel held
back is gone, as when the power goes. The process is stopped first (a cut in the middle of an fsync that then returns
would count as a loss). Then: unmount, mount, which replays the file system's log, and look with a new process. The
negative control records under `eatmydata`, which turns fsync into nothing: it must lose something in 9 of 10 trials.
Needs root, loop devices and the file system's mkfs; says so and exits with 77 without them.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import door
from holdfast.journal import reader, sealing, segments, verify
from holdfast.store import database
from tests.crash import child, flood, points, volume

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIALS, CONTROLS = 200, 10
SKIPPED_EXIT = 77
_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, the same for ext4 and xfs
_LOG_FLUSHED, _NOTHING_FLUSHED = 1, 2  # with the first, the log of names may be ahead of the data
_IMAGE_BYTES = {"ext4": 512 << 20, "xfs": 512 << 20}
_CUTS_PER_HOME, _HOMES_PER_IMAGE = 4, 4
_LIMIT_S = 120
_SEAL_EVERY = 25  # records
_CONTROL_LEAST_S = 0.2  # a control that was cut before it promised anything proves nothing
_SYNC_SLACK_S = 1.0  # beyond the interval: the time that the background sync itself takes
_TREE = points.REPO_ROOT / "tests" / "data" / "claude-code"
_SEGMENTS = {"HOLDFAST_SEGMENT_SIZE_BYTES": "20000", "HOLDFAST_INLINE_BODY_SIZE_BYTES": "4000"}
# operation → how often, and the least and longest time until the cut, after it began
OPERATIONS = {
    "append": (4, 0.0, 0.5),
    "seal": (3, 0.0, 0.9),
    "group": (1, 2.2, 3.5),
    "import": (2, 0.0, 0.8),
    "rebuild": (1, 0.0, 0.8),
}


def missing(kind: str) -> str | None:
    """Why the power cannot be cut here; None when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux, to mount an image and shut it down"
    if shutil.which(f"mkfs.{kind}") is None:
        return f"needs mkfs.{kind} (Debian, Ubuntu: {'xfsprogs' if kind == 'xfs' else 'e2fsprogs'})"
    if why := volume.cannot_mount():
        return why
    with tempfile.TemporaryDirectory() as scratch:
        return (
            None if _mounts(Path(scratch), kind) else f"an image of {kind} cannot be mounted: no loop device"
        )


def _mounts(scratch: Path, kind: str) -> bool:
    """Whether an image can be made and mounted, tried in a mount namespace of its own."""
    image, top = scratch / "probe", scratch / "top"
    top.mkdir()
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES[kind])
    script = f"mkfs.{kind} -q {image} && mount -o loop -t {kind} {image} {top} && umount {top}"
    return not subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, check=False
    ).returncode


# ── what is cut: `python -m tests.crash.powercut act OPERATION SEED` with the home in the environment ──


def act(operation: str, seed: str) -> None:
    """Do it until the power goes. Each acknowledgement is a line: id, number, whether it is durable, when."""
    if operation in ("append", "group", "seal"):
        chooser = random.Random(seed)
        for number in range(10**9):
            if operation == "seal" and number % _SEAL_EVERY == 0:
                _seal(chooser)
            size = chooser.choice((20, 500, 3_000, 12_000))
            durable = operation != "group" and chooser.random() < 0.4
            record_id = door.append(flood.body(seed, "w", number, size), durable=durable)
            _tell(f"{record_id} {number} {'d' if durable else '-'} {time.monotonic_ns()}")
            if operation == "group":
                time.sleep(0.005)
    home = child.open_home()
    _tell("ready 0 - 0")
    if operation == "import":
        for number, tree in enumerate(sorted(_TREE.iterdir())):
            assert home.catch_up([tree]).done
            _tell(f"{tree.name} {number} d {time.monotonic_ns()}")
    for number in range(10**9):
        assert home.rebuild()
        _tell(f"rebuilt {number} - 0")


def _seal(chooser: random.Random) -> None:
    """Seal what waits for it, or all there is; what was said before and stands in a sealed segment is durable then."""
    home = child.open_home()
    newest_too = chooser.random() < 0.5
    if newest_too:
        door.close()
    made = home.seal(newest_too=newest_too)
    assert made is not None
    for seal in made:
        for item in reader.read_segment(home.journal, seal.segment):
            if isinstance(item, reader.Found) and item.record.s == door.SOURCE:
                _tell(f"{item.record.id} 0 s {time.monotonic_ns()}")


def _tell(line: str) -> None:
    os.write(1, line.encode() + b"\n")


@dataclass
class Cut:
    """One trial: what was said before the power went, and what the next process found."""

    operation: str
    seed: str
    flag: int
    lines: list[list[str]] = field(default_factory=list)
    stopped_ns: int = 0
    violations: list[str] = field(default_factory=list)
    oldest_lost_s: float = 0.0
    found: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        flag = "log flushed" if self.flag == _LOG_FLUSHED else "nothing flushed"
        bad = f"  VIOLATIONS: {'; '.join(self.violations[:5])}" if self.violations else ""
        return f"{self.operation:8} seed {self.seed:12} {flag:16} {len(self.lines)} acknowledged, {self.found}{bad}"

    @property
    def promised(self) -> list[str]:
        """Durable ones and, of the same process, all before them; and what is older than the interval."""
        if self.operation == "group":
            limit_ns = self.stopped_ns - int((1.0 + _SYNC_SLACK_S) * 1e9)
            return [line[0] for line in self.lines if int(line[3]) < limit_ns]
        last = max((i for i, line in enumerate(self.lines) if line[2] == "d"), default=-1)
        told = [line[0] for line in self.lines[: last + 1] if line[0] != "ready"]
        return list(dict.fromkeys(told + [line[0] for line in self.lines if line[2] == "s"]))


class Disk:
    """A file system in an image; made, mounted, cut and mounted again."""

    def __init__(self, scratch: Path, kind: str) -> None:
        self._kind, self._image, self.top = kind, scratch / "image", scratch / "top"
        self.top.mkdir()

    def make(self) -> None:
        self._image.unlink(missing_ok=True)
        with self._image.open("wb") as file:
            file.truncate(_IMAGE_BYTES[self._kind])
        subprocess.run(
            [f"mkfs.{self._kind}", "-q", str(self._image)], check=True, capture_output=True, timeout=_LIMIT_S
        )

    def mount(self) -> None:
        command = ["mount", "-o", "loop", "-t", self._kind, str(self._image), str(self.top)]
        subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_S)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.top)], check=True, capture_output=True, timeout=_LIMIT_S)

    def cut(self, flag: int) -> None:
        fd = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(fd)


class Bench:
    """Trials one after another, some in a home that was cut before."""

    def __init__(self, scratch: Path, kind: str, *, unsynced: bool = False) -> None:
        self._disk = Disk(scratch, kind)
        self._unsynced = unsynced
        self._homes = 0  # begun in this image
        self._cuts = 0  # of the home in use
        self._promised: list[str] = []  # in it
        self._imported = False  # into it
        self._expected = self._undisturbed(scratch / "undisturbed")

    @staticmethod
    def _undisturbed(home: Path) -> int:
        """How many records the import makes."""
        command = [sys.executable, "-m", "holdfast", "import", str(_TREE)]
        env = volume.environment(home) | _SEGMENTS
        subprocess.run(command, env=env, capture_output=True, check=True, timeout=_LIMIT_S)
        return _imported(home / "journal")

    def trial(self, operation: str, seed: str, chooser: random.Random) -> Cut:
        home = self._home(fresh=self._unsynced or (operation == "import" and self._imported))
        out = Cut(operation, seed, chooser.choice((_NOTHING_FLUSHED, _NOTHING_FLUSHED, _LOG_FLUSHED)))
        self._run_and_cut(home, out, chooser)
        self._disk.unmount()
        self._disk.mount()
        self._promised += [i for i in out.promised if len(i) == 36]
        self._look(home, out)
        return out

    def _home(self, *, fresh: bool) -> Path:
        """The home to cut next: the same again some times, then another, now and then on a new file system."""
        if fresh or self._cuts % _CUTS_PER_HOME == 0:
            if self._homes % _HOMES_PER_IMAGE == 0:
                if self._homes:
                    self._disk.unmount()
                self._disk.make()
                self._disk.mount()
            self._homes += 1
            self._cuts, self._promised, self._imported = 0, [], False
        self._cuts += 1
        return self._disk.top / f"above-{self._homes}" / "home"

    def _run_and_cut(self, home: Path, out: Cut, chooser: random.Random) -> None:
        before = ["eatmydata"] if self._unsynced and shutil.which("eatmydata") else []
        without = {"POWERCUT_UNSYNCED": "1"} if self._unsynced and not before else {}
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.crash.powercut", "act", out.operation, out.seed],
            env=volume.environment(home) | _SEGMENTS | without,
            cwd=points.REPO_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        said = b""
        _, least_s, longest_s = OPERATIONS[out.operation]
        least_s = max(least_s, _CONTROL_LEAST_S) if self._unsynced else least_s
        select.select([process.stdout], [], [], _LIMIT_S)
        until_s = time.monotonic() + chooser.uniform(least_s, longest_s)
        while (left_s := until_s - time.monotonic()) > 0:
            if select.select([process.stdout], [], [], left_s)[0]:
                said += (chunk := os.read(process.stdout.fileno(), 1 << 16))
                if not chunk:
                    break
        process.send_signal(signal.SIGSTOP)
        if process.returncode is None:  # until its last thread came back from the kernel
            os.waitpid(process.pid, os.WUNTRACED)
        else:
            out.violations.append(f"it ended by itself: {process.stderr.read().decode()[-300:]}")
        out.stopped_ns = time.monotonic_ns()
        self._disk.cut(out.flag)
        process.kill()
        said += process.stdout.read()
        process.wait(_LIMIT_S)
        process.stdout.close()
        process.stderr.close()
        out.lines = [line.split() for line in said.rpartition(b"\n")[0].decode().splitlines()]

    def _look(self, home: Path, out: Cut) -> None:
        job = {
            "promised": self._promised,
            "acknowledged": [line[0] for line in out.lines if len(line[0]) == 36],
            "import": out.operation == "import" or self._imported,
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.crash.powercut", "look"],
            input=json.dumps(job),
            env=volume.environment(home) | _SEGMENTS,
            cwd=points.REPO_ROOT,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        if done.returncode:
            out.violations.append(f"the next process failed: {done.stderr.strip()[-300:]}")
            return
        out.found = json.loads(done.stdout.splitlines()[-1])
        out.violations += out.found.pop("violations")
        lost = set(out.found.pop("lost"))
        at = [int(line[3]) for line in out.lines if line[0] in lost]
        out.oldest_lost_s = (out.stopped_ns - min(at)) / 1e9 if at else 0.0
        out.violations += self._imports_lost(out)
        self._imported |= out.operation == "import"
        self._promised.append(out.found.pop("after"))

    def _imports_lost(self, out: Cut) -> list[str]:
        """What was imported and synced stands in the journal; and everything, once the sources are read again."""
        if "imported" not in out.found:
            return []
        wrong = []
        said = {line[0] for line in out.lines if line[2] == "d"} if out.operation == "import" else set()
        if lost := sorted(said - set(out.found["stood"])):
            wrong.append(f"imported and synced, but not in the journal: {lost}")
        if out.found["imported"] != self._expected:
            wrong.append(f"{out.found['imported']} of {self._expected} records after importing again")
        del out.found["stood"]
        return wrong

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._disk.unmount()


# ── the look of the next process: `python -m tests.crash.powercut look` ──


def look(job: dict[str, Any]) -> dict[str, Any]:
    """Is everything there, does recording go on, does the store open or make itself anew?"""
    home = child.open_home()
    audit = flood.Audit(home.journal, home.blobs)
    audit.go_on()
    stood = _whole_trees(home.journal) if job["import"] else []
    violations = audit.missing(job["promised"]) + audit.broken
    after = door.append(flood.body("after", "look", 0, 30), durable=True)
    report = home.catch_up([_TREE] if job["import"] else [])
    if not report.done:
        violations.append(f"catching up did not finish: {report}")
    audit.go_on()
    violations += audit.missing([after])
    with contextlib.closing(database.open_reader(home.path)) as db:
        sound = db.execute("PRAGMA integrity_check").get
        held = Counter(row[0] for row in db.execute("SELECT id FROM event WHERE kind = ?", (flood.KIND,)))
    violations += [f"integrity_check: {sound}"] if sound != "ok" else []
    violations += [
        f"record {i} is {held[i]} times in the store" for i in [*job["promised"], after] if held[i] != 1
    ]
    violations += [f"the store has {i}, the journal does not" for i in held if i not in audit.times]
    out: dict[str, Any] = {"violations": violations, "after": after, "records": len(audit.times)}
    out["lost"] = [i for i in job["acknowledged"] if i not in audit.times]
    out["unacknowledged_lost"] = len(out["lost"])
    out["damage"] = len(audit.damage)
    out["sealed"], out["cut_while_sealing"] = _sealed(home.journal)
    door.close()  # which holds the segment it wrote
    made = home.seal(newest_too=True)
    found = verify.verify(home.journal, home.blobs).findings if made is not None else None
    violations += ["sealing found the writer's lock held"] if found is None else []
    violations += [f"verify: {each.path.name} {each.what}" for each in found or []]
    audit_again = flood.Audit(home.journal, home.blobs)
    audit_again.go_on()
    violations += [f"after sealing: {text}" for text in audit_again.missing([*job["promised"], after])]
    if job["import"]:
        out["stood"], out["imported"] = stood, _imported(home.journal)
    return out


def _sealed(journal: Path) -> tuple[int, int]:
    """How many segments are sealed, and of how many the sealing was cut."""
    finished = set(segments.sealed_numbers(journal))
    cut = finished & set(segments.plain_numbers(journal))
    left = sum(path.name.startswith(sealing.TEMPORARY_PREFIX) for path in journal.iterdir())
    return len(finished - cut), len(cut) + left


def _imported(journal: Path) -> int:
    return len({key for key, _ in _from_files(journal)})


def _from_files(journal: Path) -> Iterator[tuple[tuple[str, int], int]]:
    for item in reader.read(journal):
        if isinstance(item, reader.Found) and item.record.p is not None:
            yield (item.record.p.file, item.record.p.start), item.record.p.end


def _whole_trees(journal: Path) -> list[str]:
    """Which recordings stand in the journal with every byte of every transcript, by name."""
    from holdfast.journal import reader
    from holdfast.store.project import FILE_SOURCE

    paths: dict[str, str] = {}
    reached: dict[str, set[tuple[int, int]]] = {}
    for item in reader.read(journal):
        if not isinstance(item, reader.Found):
            continue
        if item.record.s == FILE_SOURCE:
            body = json.loads(item.record.body_bytes() or b"{}")
            paths[body["id"]] = body["path"]
        elif item.record.p is not None:
            reached.setdefault(item.record.p.file, set()).add((item.record.p.start, item.record.p.end))
    size = Counter({paths.get(file, ""): sum(e - s for s, e in spans) for file, spans in reached.items()})
    return [
        tree.name
        for tree in _TREE.iterdir()
        if all(size[str(path)] >= path.stat().st_size for path in tree.rglob("*.jsonl"))
    ]


# ── many ──


def cuts(
    scratch: Path, kind: str, trials: int, seed: int, *, only: str | None = None, unsynced: bool = False
) -> Iterator[Cut]:
    """Cut again and again; call it inside a mount namespace of its own."""
    chooser = random.Random(f"{seed}/{kind}/{unsynced}")
    bench = Bench(scratch, kind, unsynced=unsynced)
    weights = [weight for weight, _, _ in OPERATIONS.values()]
    try:
        for number in range(trials):
            operation = "append" if unsynced else only or chooser.choices([*OPERATIONS], weights)[0]
            yield bench.trial(operation, f"{seed}.{number}", chooser)
    finally:
        bench.close()


def _report(asked: argparse.Namespace, seed: int, scratch: Path) -> int:
    began_s = time.monotonic()
    done = []
    for cut in cuts(scratch / "cuts", asked.fs, asked.trials, seed, only=asked.only):
        done.append(cut)
        if asked.list or cut.violations:
            print(cut, flush=True)
    bad = sum(bool(cut.violations) for cut in done)
    kinds = Counter(cut.operation for cut in done)
    promised = sum(len(cut.promised) for cut in done)
    sealed = sum(cut.found.get("sealed", 0) for cut in done)
    midway = sum(bool(cut.found.get("cut_while_sealing")) for cut in done)
    gone = sum(cut.found.get("unacknowledged_lost", 0) for cut in done)
    oldest_s = max((cut.oldest_lost_s for cut in done if cut.operation == "group"), default=0.0)
    print(
        f"{asked.fs}: {len(done)} cuts ({', '.join(f'{n} {k}' for k, n in kinds.items())}), {promised} promises, "
        f"{sealed} sealed segments, {midway} cuts in the middle of sealing, {bad} cuts with violations; {gone} records that were not promised yet are gone, in group sync the oldest of "
        f"{oldest_s:.2f} s; {time.monotonic() - began_s:.0f} s",
        flush=True,
    )
    if asked.controls:
        losing = [
            bool(c.violations)
            for c in cuts(scratch / "control", asked.fs, asked.controls, seed, unsynced=True)
        ]
        noticed = sum(losing) >= 0.9 * len(losing)
        verdict = "noticed" if noticed else "NOT NOTICED"
        print(
            f"{asked.fs} without fsync: {verdict}: {sum(losing)} of {len(losing)} cuts lost something promised"
        )
        bad += not noticed
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.powercut", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--trials", type=int, default=TRIALS, help="how many cuts (default %(default)s)")
    parser.add_argument(
        "--controls", type=int, default=CONTROLS, help="cuts of the negative control (default %(default)s)"
    )
    parser.add_argument("--fs", choices=_IMAGE_BYTES, default="ext4")
    parser.add_argument("--only", choices=OPERATIONS, help="this operation alone")
    parser.add_argument("--seed", type=int, default=None, help="repeat an earlier run")
    parser.add_argument("--list", action="store_true", help="print every cut and what was found")
    asked = parser.parse_args()
    if why := missing(asked.fs):
        print(f"the power was not cut: {why}")
        return SKIPPED_EXIT
    if "POWERCUT_INSIDE" not in os.environ:
        os.environ["POWERCUT_INSIDE"] = "1"  # mounts stay in a namespace of their own, and go with it
        os.execvp("unshare", ["unshare", "-m", sys.executable, "-m", "tests.crash.powercut", *sys.argv[1:]])
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    print(f"seed {seed} (repeat with --seed {seed}; moments are not exactly the same again)", flush=True)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    scratch = Path(tempfile.mkdtemp(prefix="holdfast-powercut-", dir=memory))
    try:
        (scratch / "cuts").mkdir()
        (scratch / "control").mkdir()
        return _report(asked, seed, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["act"]:
        if os.environ.get("POWERCUT_UNSYNCED"):  # the same without eatmydata
            os.fsync = os.fdatasync = lambda fd: None
        act(*sys.argv[2:])
    elif sys.argv[1:2] == ["look"]:
        json.dump(look(json.load(sys.stdin)), sys.stdout)
    else:
        sys.exit(main())
