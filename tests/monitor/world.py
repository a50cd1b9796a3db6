"""A directory of logs, what happens in it, and a reader that is driven through it: in this process, or as the adapter's."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import apsw

from holdfast import failpoints
from holdfast.monitor.scope import Scope
from holdfast.monitor.tail import Tailer

LIMIT_S = 60
POINTS = {"read": "tail.read", "written": "tail.keeping", "kept": "tail.kept", "printed": "tail.printed"}


class Crash(Exception):
    """The consumer dies here."""


class ApiReader:
    """The tailer in this process. Its consumer keeps what it got in the database that holds the positions."""

    def __init__(self, place, state: Path, **options) -> None:
        self.place, self.state, self.options = place, state, options
        self.delivered: list[bytes] = []
        self.events: list[str] = []
        self.dies_at = None
        self.start()

    def start(self):
        self.state.mkdir(parents=True, exist_ok=True)
        path = self.state / "consumer.db"
        try:
            self._open(path)
        except (apsw.CorruptError, apsw.NotADBError):
            for each in self.state.iterdir():
                each.unlink()
            self._open(path)

    def _open(self, path):
        self.db = apsw.Connection(str(path))
        self.db.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").fetchall()
        if self.db.execute("PRAGMA quick_check(1)").get != "ok":
            raise apsw.CorruptError
        self.db.execute("CREATE TABLE IF NOT EXISTS line (n INTEGER PRIMARY KEY, body BLOB, event TEXT)")
        leave_out = [self.state]
        self.tailer = Tailer(Scope([self.place], leave_out), self.db, settle_us=0, **self.options)

    def poll(self):
        while True:
            for batch in self.tailer.poll():
                self._take(batch)
            if not self.tailer.is_behind:
                return

    def _take(self, batch):
        if self.dies_at == "read":
            raise Crash
        rows = [(line.body, None) for line in batch.lines] + [(None, each.kind) for each in batch.events]
        with self.db:
            self.db.executemany("INSERT INTO line (body, event) VALUES (?, ?)", rows)
            self.tailer.keep(batch)
            if self.dies_at == "written":
                raise Crash
        if self.dies_at == "kept":
            raise Crash

    def crash(self, at):
        """Poll, and die at a point: "read" (nothing kept), "written" (not committed), "kept" (committed)."""
        self.dies_at = at
        with contextlib.suppress(Crash):
            self.poll()
        self.dies_at = None
        self.kill()

    def kill(self):
        self.stop()
        self.start()

    def stop(self):
        self._remember()
        self.tailer.close()
        self.db.close()

    def _remember(self):
        """What the consumer has for good is what it committed; a state that is damaged later takes nothing of it back."""
        rows = self.db.execute("DELETE FROM line RETURNING body, event, n").fetchall()
        for body, event, _ in sorted(rows, key=lambda row: row[2]):
            self.delivered += [] if body is None else [body]
            self.events += [] if event is None else [event]

    def result(self):
        self.stop()
        return self.delivered


class AdapterReader:
    """The adapter in a process of its own. The consumer trusts the numbers: what it has already, it passes over."""

    def __init__(self, place, state: Path, *, trusts_numbers=True, **options) -> None:
        self.place, self.state = place, state
        self.arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self.trusts_numbers = trusts_numbers
        self.delivered: list[bytes] = []
        self.objects: list[dict] = []
        self.events: list[str] = []
        self.seen: set[tuple[str, int]] = set()
        self.id = None
        self.start()

    def start(self, **environment):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "holdfast.testing.tail",
                str(self.place),
                str(self.state),
                *self.arguments,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environment,
        )

    def poll(self, request=b""):
        """Ask for one poll; whether it was answered to its end."""
        try:
            self.process.stdin.write(request + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        while raw := self.process.stdout.readline():
            if not raw.endswith(b"\n"):  # cut in the middle by the kill
                return None
            item = json.loads(raw)
            self._take(item)
            if "poll" in item:
                return item
        return None

    def _take(self, item):
        self.objects.append(item)
        if item.get("event") == "started":
            self.id = item["state"]
        if "seq" in item and "poll" not in item and self.trusts_numbers:
            if (self.id, item["seq"]) in self.seen:
                return
            self.seen.add((self.id, item["seq"]))
        if "line" in item:
            body = item["line"].encode() if "bytes" not in item else b64decode(item["bytes"])
            self.delivered.append(body)
        elif "event" in item and item["event"] != "started":
            self.events.append(item["event"])

    def crash(self, at):
        self.stop()
        self.start(**{failpoints.VARIABLE: f"{POINTS[at]}=kill"})
        while self.poll() is not None and self.process.poll() is None:
            break
        self.kill()

    def kill(self):
        self.process.kill()
        self._drain()
        self.start()

    def _drain(self):
        while raw := self.process.stdout.readline():
            if raw.endswith(b"\n"):
                self._take(json.loads(raw))
        self.process.wait(LIMIT_S)
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self._drain()

    def result(self):
        self.stop()
        assert self.process.returncode in (0, -9)
        return self.delivered


class World:
    """Files, and a reader of them. Names are relative to `top`; what is `outside` is not looked at."""

    def __init__(self, directory: Path, scope: str, reader, **options) -> None:
        self.root = directory
        self.top = directory / "logs"
        self.top.mkdir(parents=True)
        self.outside = directory / "outside"
        self.outside.mkdir()
        self.state = directory / "state"
        self.place = {"directory": self.top, "file": self.top / "app.log", "pattern": self.top / "app.log*"}[
            scope
        ]
        self._reader, self._options = reader, options
        self.reader = None

    def up(self):
        self.reader = self.reader or self._reader(self.place, self.state, **self._options)

    # ── what happens to files ──

    def path(self, name) -> Path:
        return self.top / name

    def append(self, lines, name="app.log"):
        """Whole lines."""
        self.raw(b"".join(as_bytes(line) + b"\n" for line in lines), name)

    def raw(self, raw, name="app.log"):
        with self.path(name).open("ab") as file:
            file.write(as_bytes(raw))

    def overwrite(self, lines, name="app.log"):
        """Truncate it and write it anew, in place."""
        with self.path(name).open("r+b") as file:
            file.truncate(0)
            file.write(b"".join(as_bytes(line) + b"\n" for line in lines))

    def rename(self, source, target):
        self.path(source).rename(self.path(target))

    def rotate(self, to="app.log.1", name="app.log"):
        self.rename(name, to)
        self.path(name).write_bytes(b"")

    def delete(self, name="app.log"):
        self.path(name).unlink()

    def copy(self, source, target):
        shutil.copyfile(self.path(source), self.path(target))

    def truncate(self, size=0, name="app.log"):
        os.truncate(self.path(name), size)

    def copytruncate(self, to="app.log.1", name="app.log"):
        self.copy(name, to)
        self.truncate(0, name)

    def gzip(self, name):
        with gzip.open(self.path(f"{name}.gz"), "wb") as packed:
            packed.write(self.path(name).read_bytes())
        self.delete(name)

    def link(self, name, target):
        """A symbolic link, swapped in with a rename."""
        new = self.path(name).with_name("." + Path(name).name + ".new")
        new.symlink_to(target)
        new.rename(self.path(name))

    # ── what happens to the reader ──

    def poll(self, times=1):
        self.up()
        for _ in range(times):
            self.reader.poll()

    def down(self):
        self.reader.stop()

    def restart(self):
        self.reader.start()

    def kill(self):
        self.reader.kill()

    def crash(self, at):
        self.up()
        self.reader.crash(at)

    def damage(self, how):
        """Do something to every file that holds the positions; the reader is down."""
        files = (
            [self.state]
            if self.state.is_file()
            else [each for each in self.state.rglob("*") if each.is_file()]
        )
        for each in files:
            how(each)

    def result(self):
        self.up()
        self.poll(3)
        return self.reader.result()


def as_bytes(text) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
