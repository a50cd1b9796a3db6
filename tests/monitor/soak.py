"""Kill the adapter again and again while a writer writes and rotates, and count what the consumer gets.

    python -m tests.monitor.soak [--kills 500] [--seed N] [--reader adapter|inode|apart] [--in DIRECTORY]

Kills come at each of the tailer's failpoints (lines read, positions written, committed, printed) and at random moments. The
writer does not wait for anybody; what was delivered may be deleted. The consumer passes over what it has by its number.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from holdfast import failpoints

POINTS = ("tail.read", "tail.keeping", "tail.kept", "tail.printed")
MODULES = {
    "adapter": ["holdfast.testing.tail"],
    "inode": ["tests.monitor.broken", "inode"],
    "apart": ["tests.monitor.broken", "apart"],
}
_LIMIT_S = 60
_KEPT = 3  # rotated files that are left in any case


class Writer(threading.Thread):
    """Writes numbered lines, sometimes in pieces, and rotates by renaming; deletes old files that were delivered."""

    def __init__(self, top: Path, seed) -> None:
        super().__init__(daemon=True)
        self.top, self.chance = top, random.Random(seed)
        self.written = 0
        self.rotations = 0
        self.delivered = 0  # set by the consumer
        self.stopping = threading.Event()
        self._last_of: list[int] = []  # the last line of each rotated file, newest first

    def run(self):
        log = self.top / "app.log"
        file = log.open("ab", buffering=0)
        until_rotation = self.chance.randrange(100, 3_000)
        while not self.stopping.is_set():
            for _ in range(self.chance.randrange(1, 60)):
                self.written += 1
                filler = b"." * self.chance.choice([0, 10, 80, 700])
                line = b"%08d %s\n" % (self.written, filler)
                cut = self.chance.randrange(len(line)) if self.chance.random() < 0.05 else 0
                for piece in (line[:cut], line[cut:]):
                    if piece:
                        file.write(piece)
                until_rotation -= 1
            if until_rotation <= 0:
                file.close()
                self._rotate(log)
                file = log.open("ab", buffering=0)
                until_rotation = self.chance.randrange(100, 3_000)
            self.stopping.wait(self.chance.random() * 0.02)
        file.close()

    def _rotate(self, log):
        self.rotations += 1
        while len(self._last_of) > _KEPT and self._last_of[-1] <= self.delivered:
            (self.top / f"app.log.{len(self._last_of)}").unlink()
            self._last_of.pop()
        for number in range(len(self._last_of), 0, -1):
            (self.top / f"app.log.{number}").rename(self.top / f"app.log.{number + 1}")
        log.rename(self.top / "app.log.1")
        self._last_of.insert(0, self.written)


class Soak:
    """One run: kills, and what came of them."""

    def __init__(self, directory: Path, reader, seed) -> None:
        self.chance = random.Random(seed)
        self.module = MODULES[reader]
        self.top, self.state = directory / "logs", directory / "state"
        self.top.mkdir()
        self.writer = Writer(self.top, seed)
        self.got: list[int] = []
        self.last_seq = 0
        self.passed_over = 0
        self.garbled = 0
        self.kills: Counter[str] = Counter()
        self.points: list[str] = []

    def start(self, **environment):
        after = ["--after", str(self.last_seq)] if self.last_seq and self.chance.random() < 0.5 else []
        command = [sys.executable, "-m", *self.module, str(self.top), str(self.state), *after]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | environment
        )

    def take(self, raw):
        """One line of output; whether it ends a poll."""
        if not raw.endswith(b"\n"):
            return False
        item = json.loads(raw)
        if "poll" in item:
            return True
        if item["seq"] <= self.last_seq:
            self.passed_over += 1
            return False
        self.last_seq = item["seq"]
        if "line" in item:
            if not item["line"][:8].isdigit():
                self.garbled += 1
                return False
            self.got.append(int(item["line"][:8]))
            self.writer.delivered = self.got[-1]
        return False

    def ask(self):
        request = f"ack {self.last_seq}\n" if self.last_seq and self.chance.random() < 0.3 else "\n"
        try:
            self.process.stdin.write(request.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def poll(self):
        """Ask and read the answer; False: the process died."""
        self.ask()
        while raw := self.process.stdout.readline():
            if self.take(raw):
                return True
        return False

    def end(self):
        self.process.kill()
        while raw := self.process.stdout.readline():
            self.take(raw)
        self.process.wait(_LIMIT_S)
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def kill_once(self):
        if self.chance.random() < 0.6:
            self.points = self.points or self.chance.sample(
                POINTS, len(POINTS)
            )  # each as often as the others
            name = self.points.pop()
            self.start(**{failpoints.VARIABLE: f"{name}=kill@{self.chance.randrange(1, 4)}"})
            for _ in range(20):
                if not self.poll():
                    self.kills[name] += 1
                    break
            self.end()
            return
        self.start()
        for _ in range(self.chance.randrange(3)):
            self.poll()
        self.ask()
        time.sleep(self.chance.random() * 0.15)  # the moment is what is drawn
        self.kills["random moment"] += 1
        self.end()

    def run(self, kills):
        self.writer.start()
        while self.kills.total() < kills:
            self.kill_once()
        self.writer.stopping.set()
        self.writer.join()
        self.start()
        for _ in range(4):
            self.poll()
        self.process.stdin.close()
        self.end()

    def figures(self):
        counted = Counter(self.got)
        lost = self.writer.written - len(counted)
        repeated = len(self.got) - len(counted)
        order = "kept" if self.got == sorted(self.got) else "broken"
        return {
            "lines": self.writer.written,
            "rotations": self.writer.rotations,
            "kills": self.kills.total(),
        } | {
            "lost": lost,
            "repeated": repeated,
            "garbled": self.garbled,
            "order": order,
        }


def soak(kills, seed, reader, base=None):
    """Run one; its figures, and where the kills came."""
    with tempfile.TemporaryDirectory(dir=base) as directory:
        one = Soak(Path(directory), reader, seed)
        try:
            one.run(kills)
        finally:
            one.writer.stopping.set()
            one.writer.join()
        return one.figures(), one


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.monitor.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--reader", choices=MODULES, default="adapter")
    parser.add_argument("--in", dest="base", help="a directory on the file system to be tested")
    given = parser.parse_args()
    print(f"seed {given.seed}, reader {given.reader}")
    figures, one = soak(given.kills, given.seed, given.reader, given.base)
    print(", ".join(f"{name} {value}" for name, value in figures.items()))
    print("kills:", ", ".join(f"{name} {times}" for name, times in sorted(one.kills.items())))
    print(f"printed again after a kill, told by their numbers: {one.passed_over}")
    sys.exit(bool(figures["lost"] or figures["repeated"] or figures["garbled"] or figures["order"] != "kept"))


if __name__ == "__main__":
    main()
