"""Draw states, make each real, look at it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crash.simfs import protocols, sealing
from tests.crash.simfs.disk import Log, Moment, Promise, Tree
from tests.crash.simfs.protocols import Found, Mistake, Stage
from tests.crash.simfs.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOLS = {**protocols.PROTOCOLS, **sealing.PROTOCOLS}
MISTAKES = {**protocols.MISTAKES, **sealing.MISTAKES}
CONTROL_STATES = 10_000  # at most: a mistake is found out after some hundred
_STATES_PER_MOMENT = 12


@dataclass
class Result:
    """How many different states were looked at, in how many runs, and what was wrong with them."""

    states: int = 0
    workloads: int = 0
    moments: int = 0
    violations: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.states} states of {self.moments} moments of {self.workloads} workloads, "
            f"{self.violations} violations"
        )


def explore(name: str, seed: int, states: int, *, only: int | None = None) -> Result:
    """Look at least at this many different states of a protocol; `only`: those of one workload."""
    return _explore(Mistake(name), seed, states, only)


def explore_mistake(name: str, seed: int, states: int = CONTROL_STATES) -> Result:
    """Look at states that a build with this mistake may leave, until one of them is wrong."""
    return _explore(MISTAKES[name], seed, states, None, enough=1)


def _explore(
    build: Mistake, seed: int, states: int, only: int | None, *, enough: int | None = None
) -> Result:
    out = Result()
    seen: set[bytes] = set()
    directory = Path(tempfile.mkdtemp(prefix="holdfast-simfs-", dir=_memory()))
    try:
        while out.states < states:
            workload = out.workloads if only is None else only
            _one_workload(build, f"{seed}/{build.protocol}/{workload}", workload, directory, seen, out)
            if only is not None or (enough is not None and out.violations >= enough):
                break
    finally:
        shutil.rmtree(directory)
    return out


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def record(build: Mistake, seed: str, directory: Path) -> Log:
    """Run one workload for real and log what it does to the disk."""
    root = directory / "run"
    root.mkdir()
    disk = Recorder(root, unheard=build.unheard)
    with disk.watching(), build.around():
        PROTOCOLS[build.protocol].run(Stage(root, random.Random(seed), disk, build.writer, build.ack_first))
    shutil.rmtree(root)
    return disk.log


def _one_workload(
    build: Mistake, seed: str, workload: int, directory: Path, seen: set[bytes], out: Result
) -> None:
    log = record(build, seed, directory)
    out.workloads += 1
    chooser = random.Random(f"{seed}/states")
    for upto, tree, promised in _states(log, chooser, out):
        print_of = _fingerprint(tree, promised)
        if print_of in seen:
            continue
        seen.add(print_of)
        out.states += 1
        wrong = _look(build, log, tree, promised, directory / "state")
        if wrong:
            out.violations += 1
            out.kinds.update(_kind(text) for text in wrong)
            out.examples.append(f"--workload {workload}, step {upto}: {'; '.join(wrong)}"[:600])


def _states(log: Log, chooser: random.Random, out: Result) -> Iterator[tuple[int, Tree, list[str]]]:
    for upto in range(log.settled, len(log.steps) + 1):
        if upto < len(log.steps) and isinstance(log.steps[upto], Promise):
            continue  # the moment after it asks for more and leaves the same
        out.moments += 1
        moment = Moment(log, upto)
        for tree in moment.sample(chooser, _STATES_PER_MOMENT):
            yield upto, tree, moment.promised


def _fingerprint(tree: Tree, promised: list[str]) -> bytes:
    out = hashlib.blake2b(digest_size=12)
    for path, content in sorted(tree.files()):
        out.update(f"{path}\0{content is None}\0{len(content or b'')}\0".encode() + (content or b""))
    out.update("\0".join(promised).encode())
    return out.digest()


def _look(build: Mistake, log: Log, tree: Tree, promised: list[str], root: Path) -> list[str]:
    root.mkdir()
    try:
        tree.lay_out(root)
        return PROTOCOLS[build.protocol].check(Found(root, promised, log.known))
    finally:
        shutil.rmtree(root)


def _kind(text: str) -> str:
    return " ".join(word for word in text.split() if not any(c.isdigit() for c in word))[:80]
