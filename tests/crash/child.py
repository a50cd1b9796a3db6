"""What gets killed: one operation on a home, as a program would do it.

    python -m tests.crash.child OPERATION SEED [TREE]

An acknowledgement is one line "<record id> <number>" on standard output, written only after `record` returned,
unless ACK_FIRST is set: then it is written before, which is the mistake that the harness must notice.
Records have keys and times, so that running an operation twice must have one effect.

With UNLISTED, it begins to forget before it noted what: a mistake that the harness must notice. With DOOR, it is of a
later version that takes the member `sum` out of bodies.

With SQL, a directory, the process is of a later version, whose schema and steps are those. With SPLIT_MIGRATION it takes each
statement of a step by itself instead of all in one transaction: another mistake that the harness must notice.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import holdfast
from holdfast import cleaning, door, exchange, forgetting, redact, restoring, retention
from holdfast.cli.app import cli
from holdfast.home import Home
from holdfast.ids import derived
from holdfast.settings import load
from holdfast.store import database, migrate
from holdfast.transfer.outgoing import Choice
from tests.store import version

if TYPE_CHECKING:
    from collections.abc import Iterator

ACK_FIRST = "CRASH_ACK_FIRST"
SQL = "CRASH_SQL"
SPLIT_MIGRATION = "CRASH_SPLIT_MIGRATION"
UNLISTED = "CRASH_UNLISTED"
DOOR = "CRASH_DOOR"
SESSION = "crash"
KIND = "probe.noted"
EXPORT = "export.jsonl"
RESTORED = "33333333-3333-4333-8333-333333333333"  # has an agent's transcript and meta file
_FIRST_US = 1_795_000_000_000_000
_WAIT_LIMIT_S = 10

# operation → (records, least and most characters of text)
RECORDS = {
    "append": (8, 1, 3_000),
    "blob": (4, 1_500, 40_000),
    "rotate": (8, 200, 900),
    "group-sync": (6, 1, 2_000),
    "seal": (8, 200, 900),
}
_SMALL = {
    "HOLDFAST_FSYNC_INTERVAL_S": "0",
    "HOLDFAST_SEGMENT_SIZE_BYTES": "1500",
    "HOLDFAST_INLINE_BODY_SIZE_BYTES": "700",
}
ENVIRONMENT = {
    "append": {"HOLDFAST_FSYNC_INTERVAL_S": "0"},
    "blob": {"HOLDFAST_FSYNC_INTERVAL_S": "0", "HOLDFAST_INLINE_BODY_SIZE_BYTES": "1024"},
    "rotate": {"HOLDFAST_FSYNC_INTERVAL_S": "0", "HOLDFAST_SEGMENT_SIZE_BYTES": "700"},
    "group-sync": {"HOLDFAST_FSYNC_INTERVAL_S": "0.05"},
    "seal": {"HOLDFAST_FSYNC_INTERVAL_S": "0", "HOLDFAST_SEGMENT_SIZE_BYTES": "1500"},
    "retire": {
        "HOLDFAST_FSYNC_INTERVAL_S": "0",
        "HOLDFAST_SEGMENT_SIZE_BYTES": "1500",
        "HOLDFAST_NOW": "2126-11-25T12:00:00Z",  # whatever was received by now is old then
    },
    "project": {},
    "rebuild": {},
    "migrate": {},
    "refold": {},
    "export": {},
    "import-export": {"HOLDFAST_INLINE_BODY_SIZE_BYTES": "4096"},
    "restore": {},
    "forget": _SMALL,
    "redact": _SMALL | {DOOR: "1"},
}
OPERATIONS = tuple(ENVIRONMENT)


def text_of(operation: str, seed: str, number: int) -> str:
    """The text that record `number` holds: awkward on purpose (quotes, escapes, many bytes per character)."""
    _, least, most = RECORDS[operation]
    chooser = random.Random(f"{operation}/{seed}/{number}")
    alphabet = 'abc "\\/{}[]:,\n\t\u00e9\u4e2d\U0001f600\u2028' if number % 2 else "0123456789abcdef"
    return "".join(chooser.choices(alphabet, k=chooser.randint(least, most)))


def sum_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def acknowledge(record_id: str, number: int) -> None:
    os.write(1, f"{record_id} {number}\n".encode())


def record_one(operation: str, seed: str, number: int) -> str:
    text = text_of(operation, seed, number)
    return holdfast.record(
        KIND,
        key=f"{seed}-{number}",
        session=SESSION,
        time=_FIRST_US + number,
        durable=number % 3 == 0 and operation != "group-sync",
        n=number,
        sum=sum_of(text),
        text=text,
    )


def record_all(operation: str, seed: str) -> None:
    for number in range(RECORDS[operation][0]):
        if os.environ.get(ACK_FIRST):
            acknowledge(derived(door.SOURCE, SESSION, f"{seed}-{number}"), number)
            record_one(operation, seed, number)
        else:
            acknowledge(record_one(operation, seed, number), number)
    if operation == "group-sync":
        _wait_for_group_sync()


def _wait_for_group_sync() -> None:
    """Until the background thread took what was appended; it is one of the places to be killed in."""
    writer = next(iter(door._writers.values()))
    deadline_s = time.monotonic() + _WAIT_LIMIT_S
    while writer._syncer is not None and time.monotonic() < deadline_s:
        time.sleep(0.001)


def become() -> None:
    """Be the version that the environment says, with the mistake that it says."""
    if os.environ.get(SQL):
        version.become({"sql": os.environ[SQL]})
    if os.environ.get(DOOR):
        redact.Redactor, redact.LEVEL = _Door, redact.LEVEL + 1
    if os.environ.get(UNLISTED):
        forgetting._list = lambda *_: None
    if os.environ.get(SPLIT_MIGRATION):
        migrate.database = SimpleNamespace(**vars(database) | {"transaction": _none})


SUM = re.compile(rb'(?<="sum":")[0-9a-f]{64}')


class _Door(redact.Redactor):
    def clean(self, body: bytes) -> redact.Cleaned:
        clean, places = SUM.subn(b"[REDACTED:sum:0000]", body)
        return redact.Cleaned(clean, {"sum": places}) if places else redact.Cleaned(body, {})


@contextlib.contextmanager
def _none(_: object) -> Iterator[None]:
    yield


def command(*args: str) -> None:
    """A command as a user gives it, without its output, which is no acknowledgement."""
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main(list(args), prog_name="holdfast", standalone_mode=False)


def out_of(home: Home) -> Path:
    """Where exports of a home go."""
    return out_of_path(home.path)


def out_of_path(home: Path) -> Path:
    """The same by the home's path: beside it, under a name that begins as its own, so that a trace sees it."""
    return home.with_name(f"{home.name}.out")


def open_home() -> Home:
    return Home(load(None, os.environ, {}))


FORGOTTEN = (SESSION, "fc3f569b-af39-439b-a2d6-233ca13391b9")


def forget(tree: Path | None) -> None:
    """Forget a program's session and one with a transcript, as far as they are there, and what was not ended before."""
    home = open_home()
    home.catch_up([tree] if tree else [])
    with contextlib.closing(home.reader()) as db:
        found = [
            forgetting.Session(key, native, None, 0, [])
            for key, native in db.execute("SELECT key, native FROM session ORDER BY key")
            if native in FORGOTTEN
        ]
    planned = forgetting.plan(home, found)
    if found or planned.unfinished:
        forgetting.carry_out(home, planned)


def clean(tree: Path | None) -> None:
    """Take secrets out of a home that was written before there was a door."""
    home = Home(load(None, os.environ, {}), outdated=True)
    cleaning.carry_out(home, cleaning.plan(home))


def restore(tree: Path | None) -> None:
    """Give a session's files back, beside the home."""
    home = open_home()
    assert restoring.restore(home, RESTORED, out_of(home)).is_whole


_COMMANDS = {"migrate": ("sessions",), "refold": ("rebuild", "--background")}
_WITH_HOME = {"forget": forget, "redact": clean, "restore": restore}


def run(operation: str, seed: str, tree: Path | None = None) -> None:
    """Do the whole operation once; doing it again changes nothing."""
    if operation == "project":
        assert tree is not None
        report = open_home().catch_up([tree])
        assert report.done, report
    elif operation == "rebuild":
        assert open_home().rebuild()
    elif operation == "retire":
        home = open_home()
        home.catch_up([])
        if planned := retention.plan(home, keep_days=1):
            retention.carry_out(home, planned, most_share=1.0)
    elif operation in _WITH_HOME:
        door.close()
        _WITH_HOME[operation](tree)
    elif operation in _COMMANDS:
        command(*_COMMANDS[operation])
    elif operation == "export":
        home = open_home()
        out_of(home).mkdir(exist_ok=True)
        assert not exchange.export(home, out_of(home) / EXPORT, Choice()).lost
    elif operation == "import-export":
        assert tree is not None
        with (tree / EXPORT).open("rb") as file:
            taken = exchange.take_in(open_home(), file)
        assert taken.whole, taken
        assert not taken.skipped, taken
        assert exchange.fold(open_home()).done
    else:
        record_all(operation, seed)
    if operation == "seal":
        door.close()
        assert open_home().seal() is not None


if __name__ == "__main__":
    become()
    run(sys.argv[1], sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None)
