"""What comes after a kill: a new process that records, catches up, and looks whether anything is missing.

    python -m tests.crash.check < job.json

The job: {"operation", "seed", "tree": path or null, "acknowledged": [[id, number], …]}. The answer on standard
output: {"violations": […], "answers": sha256, "damage": n, "tails": n, "records": n, "leftovers": […]}.
Nothing here repairs anything by hand: only public calls that a user's next command would make.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

import holdfast
from holdfast import exchange
from holdfast.cli.app import cli
from holdfast.ids import derived
from holdfast.journal import blobs, reader, segments, verify
from holdfast.journal import format as fmt
from holdfast.store import database, migrate, schema
from tests.crash import child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.home import Home

AFTER_KEY = "after"
NOW = "2026-11-25T12:00:00Z"  # what time the answers take it to be
_GENERATION_FILE = re.compile(r"store-\d+\.db(-wal|-shm)?\Z")
_OF_HOOKS = {"session.started", "session.ended"}
_HOME_NAMES = {
    "forgotten",
    "backups",
    "blobs",
    "definitions",
    "home.json",
    "host-id",
    "inbox",
    "journal",
    "redaction-key",
    "store.db",
    "writer.lock",
}


def ask(*args: str) -> Any:
    """What a command says with --json."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        cli.main([*args, "--json"], prog_name="holdfast", standalone_mode=False)
    return json.loads(out.getvalue())


def answers(db: apsw.Connection) -> dict[str, Any]:
    """Everything that can be asked, and how far each source was read."""
    out: dict[str, Any] = {name: ask(name) for name in ("sessions", "stats")}
    for (session,) in db.execute("SELECT native FROM session ORDER BY native").fetchall():
        for name in ("show", "tree", "timeline"):
            out[f"{name} {session}"] = ask(name, session)
        for entry in out[f"timeline {session}"]["entries"]:
            if entry["kind"] in _OF_HOOKS:
                del entry["id"]  # of the name that chance gave to a spool
    out["kept"] = database.rows(
        db, "SELECT type, sum(records) AS records FROM kept GROUP BY type ORDER BY type"
    )
    out["files"] = database.rows(
        db,
        "SELECT path, generation, consumed_bytes, last_start, last_crc, records FROM source_file ORDER BY path",
    )
    out["problems"] = database.rows(
        db,
        "SELECT place, start_byte, end_byte, why FROM problem"
        " WHERE place NOT LIKE 'journal segment%' ORDER BY place, start_byte, why",
    )
    return out


def digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Which answers differ, by name."""
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def look_at_journal(
    home: Home, operation: str, seed: str, acknowledged: list[tuple[str, int]]
) -> dict[str, Any]:
    """Every acknowledged record is there, once after folding equal ids, with the content it was given."""
    found: dict[str, fmt.Record] = {}
    bodies: dict[str, set[str]] = {}
    damage = []
    for item in reader.read(home.journal):
        if isinstance(item, reader.Damage):
            damage.append([item.segment, item.start, item.end, item.why])
            continue
        found[item.record.id] = item.record
        bodies.setdefault(item.record.id, set()).add(_sum_of_body(home, item.record))
    violations = [
        f"acknowledged record {n} ({i}) is not in the journal" for i, n in acknowledged if i not in found
    ]
    violations += [f"record {i} has {len(b)} different contents" for i, b in bodies.items() if len(b) > 1]
    for record_id, number in acknowledged:
        if record_id in found:
            violations += _content_is_wrong(home, found[record_id], operation, seed, number)
    return {
        "violations": violations,
        "ids": set(found),
        "damage": damage,
        "tails": len(reader.tails(home.journal)),
    }


def _sum_of_body(home: Home, record: fmt.Record) -> str:
    if record.z is not None:
        return record.z.sha256
    raw = record.body_bytes() if record.f is None else blobs.get(home.blobs, record.f)
    assert raw is not None
    return hashlib.sha256(raw).hexdigest()


def _content_is_wrong(home: Home, record: fmt.Record, operation: str, seed: str, number: int) -> list[str]:
    raw = record.body_bytes()
    if raw is None:
        assert record.f is not None
        raw = blobs.get(home.blobs, record.f)
    text = json.loads(raw)["fields"]["text"]
    return [] if text == child.text_of(operation, seed, number) else [f"record {number} has another text"]


def look_at_store(
    home: Home, acknowledged: list[tuple[str, int]], journal_ids: set[str]
) -> tuple[list[str], dict[str, Any]]:
    """The store is sound, holds each acknowledged record once, and nothing that the journal has not."""
    with contextlib.closing(database.open_reader(home.path)) as db:
        violations = [
            f"integrity_check: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"
        ]
        held = Counter(row[0] for row in db.execute("SELECT id FROM event WHERE kind = ?", (child.KIND,)))
        violations += [f"record {n} is {held[i]} times in the store" for i, n in acknowledged if held[i] != 1]
        violations += [f"the store has {i}, the journal does not" for i in held.keys() - journal_ids]
        return violations, answers(db)


def look_at_tables(home: Path) -> list[str]:
    """Before anybody repairs anything: the store's tables are exactly those of the version that it says, and so are a copy's."""
    number = database.current(home)
    if number is None:
        return []
    copies = [path for path in (home / migrate.BACKUPS).glob("*") if not path.name.startswith(".")]
    violations = []
    for path in (database.generation_path(home, number), *copies):
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        found = database.versions(db)["schema_version"]
        same = apsw.Connection(":memory:")
        for step in database.SCHEMA.steps:
            if step.number <= found:
                migrate.take(same, step)
        if schema.shape_of(db) != schema.shape_of(same):
            violations.append(f"{path.name} is between two versions: it says {found}")
        if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            violations.append(f"{path.name} is damaged")
        db.close()
    return violations


def leftovers(home: Home) -> tuple[list[str], list[str]]:
    """Files that a killed process left: harmless ones, and ones that have no business here."""
    harmless, wrong = [], []
    current = database.current(home.path)
    mine = "" if current is None else database.generation_path(home.path, current).name
    for path in sorted(home.path.iterdir()):
        name = path.name
        if name in _HOME_NAMES:
            continue
        if _GENERATION_FILE.match(name):
            if not name.startswith(mine) or not mine:
                wrong.append(f"leftover {name} beside the current {mine}")
        elif name.startswith("."):
            harmless.append(name)
        else:
            wrong.append(f"unexpected file {name}")
    wrong += [
        f"unexpected file {path.name} among the copies"
        for path in (home.path / migrate.BACKUPS).glob("*")
        if not re.fullmatch(r"store-schema-\d+\.db", path.name) or path.stat().st_mode & 0o077
    ]
    wrong += [f"inbox/{path.name} was not recorded" for path in home.inbox.glob("*")]
    for path in sorted(home.blobs.iterdir()):
        if path.name.startswith(blobs.TEMPORARY_PREFIX):
            harmless.append(f"blobs/{path.name}")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != path.name.removeprefix(blobs.ASIDE_PREFIX):
            wrong.append(f"blob {path.name} is not what its name says")
    wrong += [
        f"unexpected file journal/{p.name}"
        for p in home.journal.iterdir()
        if not re.match(r"\d{8}\.jsonl(\.zst)?\Z|chain\.jsonl\Z|\.sealing-", p.name)
    ]
    return harmless, wrong


def sealed_history(home: Home) -> list[str]:
    """Sealed history is what was sealed, and sealing goes on."""
    made = home.seal()
    if made is None:
        return ["sealing found the writer's lock held"]
    found = verify.verify(home.journal, home.blobs).findings
    written = {segments.path(home.journal, n) for n in segments.plain_numbers(home.journal)}  # may end torn
    return [f"verify: {f.path.name} {f.what}" for f in found if f.path not in written]


def look_at_export(home: Home, *, finished: bool) -> list[str]:
    """Under its own name there is a whole export or nothing; a finished one gives another home the same answers."""
    place = child.out_of(home)
    names = {path.name for path in place.iterdir()} if place.exists() else set()
    if finished and names != {child.EXPORT}:
        return [f"an export leaves {sorted(names)}"]
    if child.EXPORT not in names:
        return []
    other = home.path.with_name(f"{home.path.name}.in")
    shutil.rmtree(other, ignore_errors=True)
    with in_home(other), (place / child.EXPORT).open("rb") as file:
        copy = child.open_home()
        taken = exchange.take_in(copy, file)
        if taken.skipped or not taken.whole:
            return [f"an export that was killed stands under its final name: {taken}"]
        if not finished:
            return []
        exchange.fold(copy)
        with contextlib.closing(database.open_reader(copy.path)) as db:
            theirs = answers(db)
    with contextlib.closing(database.open_reader(home.path)) as db:
        different = differences(answers(db), theirs)
    shutil.rmtree(other)
    return [f"the export's home answers otherwise: {', '.join(different)}"] if different else []


def look_at_restored(home: Home, tree: Path | None, *, finished: bool) -> list[str]:
    """Under its own name each file is what it was, or nothing; a finished run leaves all of them and nothing else."""
    assert tree is not None
    place = child.out_of(home)
    found = {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    [main] = tree.rglob(f"{child.RESTORED}.jsonl")
    files = [main, *(path for path in main.with_suffix("").rglob("*") if path.is_file())]
    wanted = {path.relative_to(main.parent.parent): path.read_bytes() for path in files}
    if finished and found.keys() != wanted.keys():
        return [f"restoring leaves {sorted(map(str, found))}"]
    halves = [
        str(path) for path, content in found.items() if path.suffix != ".part" and wanted[path] != content
    ]
    return [f"restored otherwise than it was: {', '.join(halves)}"] if halves else []


def look_at_what_goes(home: Home, operation: str, *, finished: bool) -> list[str]:
    """Nothing is rewritten before it is noted; when all is done, nothing of it stands anywhere below the home."""
    if operation == "forget" and not finished:
        stones = any(
            isinstance(i, reader.Found) and fmt.is_tombstone(i.record) for i in reader.read(home.journal)
        )
        return ["something is forgotten, and nothing says what"] if stones and not home.forgotten() else []
    if not finished or operation not in ("forget", "redact"):
        return []
    names = (
        b"|".join(re.escape(name.encode()) for name in child.FORGOTTEN[1:])
        + b'|"session":"%b"' % child.SESSION.encode()
    )
    looked_for = child.SUM if operation == "redact" else re.compile(names)
    wrong = [
        f"{path.name} still holds {found[0].decode()}"
        for path in home.path.rglob("*")
        if path.is_file() and (found := looked_for.search(path.read_bytes()))
    ]
    for number in segments.numbers(home.journal):
        for _, line, _ in reader.every_line(home.journal, number):
            wrong += [
                f"segment {number} still holds {found[0].decode()}" for found in looked_for.finditer(line)
            ]
    return wrong + (["the list says that it is not done"] if home.forgotten().unfinished else [])


@contextlib.contextmanager
def in_home(path: Path) -> Iterator[None]:
    """Commands of this process use another home for a while."""
    before = os.environ["HOLDFAST_HOME"]
    os.environ["HOLDFAST_HOME"] = str(path)
    try:
        yield
    finally:
        os.environ["HOLDFAST_HOME"] = before


def check(job: dict[str, Any]) -> dict[str, Any]:
    """Carry on after a kill and report what is wrong."""
    operation, seed = job["operation"], job["seed"]
    tree = Path(job["tree"]) if job["tree"] else None
    acknowledged = [(record_id, number) for record_id, number in job["acknowledged"]]
    if operation == "redact":  # every other command asks for it
        child.run(operation, seed)
    untouched = look_at_tables(child.open_home().path)
    after = holdfast.record("probe.after", key=AFTER_KEY, session="after", time=NOW, text="carried on")
    assert after == derived("sdk", "after", AFTER_KEY)
    home = child.open_home()
    report = home.catch_up([tree] if tree else [])
    violations = untouched
    if not report.done or report.unreadable:
        violations.append(f"catching up did not finish: {report}")
    journal = look_at_journal(home, operation, seed, acknowledged)
    violations += journal["violations"]
    if after not in journal["ids"]:
        violations.append("the next process's record is not in the journal")
    violations += look_at_store(home, acknowledged, journal["ids"])[0]
    violations += sealed_history(home)
    harmless, wrong = leftovers(home)
    violations += wrong

    violations += look_at_what_goes(home, operation, finished=False)
    if operation == "export":
        violations += look_at_export(home, finished=False)
    if operation == "restore":
        violations += look_at_restored(home, tree, finished=False)
    child.run(
        operation, seed, tree
    )  # the killed program is started again; doing it twice must have one effect
    home.catch_up([tree] if tree else [])
    violations += look_at_what_goes(home, operation, finished=True)
    ids = look_at_journal(home, operation, seed, acknowledged)["ids"]
    more, before = look_at_store(home, acknowledged, ids)
    violations += more
    if operation == "export":
        violations += look_at_export(home, finished=True)
    if operation == "restore":
        violations += look_at_restored(home, tree, finished=True)
    assert home.rebuild()
    more, rebuilt = look_at_store(home, acknowledged, ids)
    violations += more
    if different := differences(before, rebuilt):
        violations.append(f"a rebuild changes the answers to: {', '.join(different)}")
    violations += leftovers(home)[1]
    return {
        "violations": violations,
        "answers": digest(rebuilt),
        "each_answer": {name: digest({"": value}) for name, value in rebuilt.items()},
        "damage": len(journal["damage"]),
        "tails": journal["tails"],
        "records": len(journal["ids"]),
        "leftovers": harmless,
    }


if __name__ == "__main__":
    child.become()
    json.dump(check(json.load(sys.stdin)), sys.stdout)
