"""Random histories of logs whose outcome can be decided, and what must come out of them.

    python -m tests.monitor.histories [--rounds 1000] [--seed N] [--reader api|adapter|inode|apart]

What is not done, because no reader could know better: to delete or cut what was not read (unless its file is held open, or a copy
stays) or a last line without an end that was not looked at twice, to write a file anew with the beginning that was read of the old
one, to rotate and compress what was never seen, to move files where nobody looks while the reader is down.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.monitor import readers
from tests.monitor.world import AdapterReader, ApiReader, World

READERS = {
    "api": ApiReader,
    "adapter": AdapterReader,
    "inode": readers.InodeAndOffset,
    "apart": readers.CommitApart,
}
BANNER = [f"banner {number:02d} ".ljust(57, "=") for number in range(40)]
KEPT = 5  # rotated files of a log
_NUMBER = re.compile(rb"#(\d+)")


class Log:
    def __init__(self, name) -> None:
        self.name = name
        self.exists = False
        self.seen = False  # by a poll, under its own name
        self.unread = False  # written to since the last poll
        self.held = False  # open in the reader
        self.owed = False  # deleted with unread lines: only the open file has them
        self.partial = b""  # written, without its line end
        self.read = False  # something of this file was
        self.fresh = True  # nothing but what every file begins with
        self.rotated: list[str] = []  # newest first


class History:
    """One history: what happens, and what is expected of it."""

    def __init__(self, seed, directory: Path, reader) -> None:
        self.chance = random.Random(seed)
        self.scope = self.chance.choice(["directory", "directory", "file", "pattern"])
        self.files = str(self.chance.choice([1, 2, 64]))
        options = {"handle_limit": int(self.files)} if issubclass(reader, ApiReader) else {}
        self.world = World(directory, self.scope, reader, **options)
        count = self.chance.choice([1, 1, 2, 3]) if self.scope == "directory" else 1
        self.logs = [Log("app.log"), Log("other.log"), Log("third.txt")][:count]
        self.expected: Counter[bytes] = Counter()
        self.unordered: set[bytes] = set()
        self.owner: dict[int, str] = {}  # of a line's number
        self.lines = 0
        self.is_up = False
        self.polls = self.second_look = (
            0  # a line without an end comes only with the second poll after its rotation
        )
        self.told: list[str] = []

    def run(self, steps):
        """What went wrong; None: nothing."""
        self.world.up()
        self.is_up = True
        for _ in range(steps):
            step = self.chance.choice(STEPS)
            log = self.chance.choice(self.logs)
            if step(self, log) is not False:
                self.told.append(f"{step.__name__} {log.name} #{self.lines}")
        if not self.is_up:
            self.world.restart()
        self.world.poll(2)
        return self.verdict(self.world.result())

    def verdict(self, delivered):
        got = Counter(delivered)
        lost, more = self.expected - got, got - self.expected
        if lost:
            return f"lost {sum(lost.values())}: {[each[:20] for each in sorted(lost)[:3]]}"
        if more:
            return f"{sum(more.values())} too many: {[each[:20] for each in sorted(more)[:3]]}"
        last: dict[str, int] = {}
        for line in delivered:
            found = _NUMBER.search(line)
            if found is None or line in self.unordered:
                continue
            number = int(found[1])
            log = self.owner[number]
            if number < last.get(log, 0):
                return f"out of order: {line[:40]}"
            last[log] = number
        return None

    # ── what can happen ──

    def line(self, log):
        self.lines += 1
        chance = self.chance.random()
        size = self.chance.randrange(40) if chance < 0.9 else self.chance.randrange(5_000)
        filler = self.chance.choice([b"x", "é".encode(), b"\xff", b"\r.", b"\0."])
        text = b"#%d " % self.lines + (filler * size)[:size]
        text = text.removesuffix(b"\r")
        self.owner[self.lines] = log.name
        return text

    def begin(self, log):
        """A file that is new begins with what all begin with, or not, and always with a line of its own behind that."""
        log.exists = True
        log.held = log.read = False
        log.fresh = True

    def write(self, log):
        lines = []
        if not log.exists:
            self.begin(log)
        if log.fresh and not log.partial:
            lines += BANNER if self.chance.random() < 0.3 else []
            log.fresh = False
        lines += [self.line(log) for _ in range(self.chance.randrange(1, 8))]
        self.put(log, lines)

    def put(self, log, lines):
        raw = b"".join((each if isinstance(each, bytes) else each.encode()) + b"\n" for each in lines)
        whole = log.partial + raw
        log.partial = b""
        for line in whole.split(b"\n")[:-1]:
            self.expect(line)
        self.world.raw(raw, log.name)
        log.unread = True

    def expect(self, line):
        line = line.removesuffix(b"\r")
        self.expected[line] += 1

    def write_partly(self, log):
        if not log.exists or log.fresh or log.partial:
            return False
        text = self.line(log)
        self.world.raw(text, log.name)
        log.partial, log.unread = text, True
        return None

    def finish(self, log):
        return self.put(log, [b" and so on"]) if log.partial else False

    def end_partial(self, log):
        """The file is rotated away with a line that has no end: that is a line of its own."""
        if log.partial:
            self.expect(log.partial)
            self.unordered.add(log.partial.removesuffix(b"\r"))
            self.second_look = self.polls + 2
            log.partial = b""

    def may_rotate(self, log):
        return log.exists and log.seen and (self.scope == "directory" or not log.fresh)

    def shift(self, log):
        """Make room for `.1`; whether the oldest may go."""
        if len(log.rotated) >= KEPT:
            if not self.is_drained() or self.polls < self.second_look:
                return False
            self.world.delete(log.rotated.pop())
        for number, name in reversed(list(enumerate(log.rotated))):
            found = re.fullmatch(rf"{re.escape(log.name)}\.\d+(\.gz)?", name)
            if found:
                renamed = f"{log.name}.{number + 2}{found[1] or ''}"
                self.world.rename(name, renamed)
                log.rotated[number] = renamed
        return True

    def rotate(self, log):
        if not self.may_rotate(log) or not self.shift(log):
            return False
        self.end_partial(log)
        self.world.rename(log.name, f"{log.name}.1")
        log.rotated.insert(0, f"{log.name}.1")
        log.exists = False
        if self.chance.random() < 0.7:
            self.world.raw(b"", log.name)
            self.begin(log)
        return None

    def copy_and_cut(self, log):
        if not self.may_rotate(log) or not log.read or log.partial or not self.shift(log):
            return False
        self.world.copy(log.name, f"{log.name}.1")
        if self.chance.random() < 0.3 and self.is_up and not log.fresh and not log.unread:
            self.poll(log)  # while the copy is there and the log not yet cut
        self.world.truncate(0, log.name)
        log.rotated.insert(0, f"{log.name}.1")
        log.fresh, log.read = True, False
        return None

    def compress(self, log):
        plain = [name for name in log.rotated if not name.endswith(".gz")]
        if not plain:
            return False
        name = self.chance.choice(plain)
        self.world.gzip(name)
        log.rotated[log.rotated.index(name)] = f"{name}.gz"
        return None

    def is_drained(self):
        return not any(log.unread for log in self.logs)

    def delete(self, log):
        if not log.exists or log.partial or not (self.is_drained() or (self.is_up and log.held)):
            return False
        if log.fresh:
            return False
        self.world.delete(log.name)
        log.exists = log.seen = False  # what is made anew stands in no chain with anything that was read
        log.owed = log.owed or log.unread
        return None

    def write_anew(self, log):
        """Cut and written anew at once, often longer than it was."""
        if not log.exists or log.partial or log.fresh or not self.is_drained():
            return False
        lines = BANNER if self.chance.random() < 0.5 else []
        lines = lines + [self.line(log) for _ in range(self.chance.randrange(1, 60))]
        self.world.truncate(0, log.name)
        log.read = False
        self.put(log, lines)
        return None

    def append_to_rotated(self, log):
        """The writer had not noticed yet. Where its file is not followed, it is while the reader runs."""
        if (
            not log.rotated
            or log.rotated[0] != f"{log.name}.1"
            or not self.is_up
            or not self.chance.randrange(3)
        ):
            return False
        if not self.world.path(log.rotated[0]).read_bytes().endswith(b"\n"):
            return False
        if log.unread:
            self.poll(log)
        text = self.line(log)
        self.world.raw(text + b"\n", log.rotated[0])
        self.expect(text)
        self.unordered.add(text)
        self.poll(log)
        return None

    def touch(self, log):
        if log.exists:
            os.utime(self.world.path(log.name))

    def away_and_back(self, log):
        if not log.exists or not log.seen:
            return False
        self.world.rename(log.name, "away")
        if self.is_up and log.read and not log.unread and not log.partial and self.chance.random() < 0.5:
            self.world.poll()
        self.world.rename("away", log.name)
        return None

    def poll(self, log):
        if not self.is_up:
            return False
        self.world.poll()
        self.polls += 1
        for each in self.logs:
            each.seen = each.exists
            each.held = each.exists and (each.held or each.unread) and self.files == "64"
            each.read = each.read or (each.exists and each.unread and not each.fresh)
            each.unread = each.owed = False
        return None

    def may_end(self):
        return self.is_up and not any(log.owed for log in self.logs)

    def down(self, log):
        if not self.may_end():
            return False
        self.world.down()
        self.is_up = False
        return self.forget_handles()

    def up(self, log):
        if self.is_up:
            return False
        self.world.restart()
        self.is_up = True
        return None

    def kill(self, log):
        if not self.may_end():
            return False
        self.world.kill()
        return self.forget_handles()

    def crash(self, log):
        if not self.may_end():
            return False
        self.world.crash(self.chance.choice(["read", "written", "kept"]))
        return self.forget_handles()

    def forget_handles(self):
        if self.polls < self.second_look:  # a new process begins to look
            self.second_look = self.polls + 2
        for log in self.logs:
            log.held = False


STEPS = [
    *[History.write] * 6,
    *[History.poll] * 6,
    History.write_partly,
    *[History.finish] * 2,
    *[History.rotate] * 3,
    *[History.copy_and_cut] * 2,
    *[History.compress] * 2,
    *[History.delete] * 2,
    *[History.write_anew] * 2,
    History.append_to_rotated,
    History.touch,
    History.away_and_back,
    History.down,
    *[History.up] * 2,
    History.kill,
    History.crash,
]


def wrong(seed, reader, steps=60, base=None):
    """What a reader did wrong in one history, with how it came to it; None: nothing."""
    with tempfile.TemporaryDirectory(dir=base) as directory:
        history = History(seed, Path(directory), reader)
        try:
            said = history.run(steps)
        except readers.Failed as exc:
            said = f"failed: {exc}"
        return (
            None if said is None else f"seed {seed} ({history.scope}): {said}\n  " + ", ".join(history.told)
        )


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.monitor.histories", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--reader", choices=READERS, default="api")
    parser.add_argument("--in", dest="base", help="a directory on the file system to be tested")
    parser.add_argument("--one", action="store_true", help="only this seed, and say what happened")
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.rounds} histories of {given.steps} steps, reader {given.reader}")
    bad = 0
    for seed in range(given.seed, given.seed + (1 if given.one else given.rounds)):
        if said := wrong(seed, READERS[given.reader], given.steps, given.base):
            bad += 1
            if bad <= 5:
                print(said)
    print(f"{given.rounds - bad} of {given.rounds} histories: each line once, in order")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
