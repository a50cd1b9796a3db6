"""From one version to the next through the command: homes of older versions, of newer ones, and both at once."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import apsw
import pytest

from holdfast import background, processes
from holdfast.catch_up import ImportReport
from holdfast.cli import terminal
from holdfast.home import Home
from holdfast.settings import load
from holdfast.store import database, lock, migrate, schema, upkeep
from tests.conftest import REPO_ROOT, RUN_LIMIT_S
from tests.e2e.conftest import CAPTURED, everything
from tests.store import version

GOLDEN = REPO_ROOT / "tests" / "golden" / "store-1"
EXPECTED = (GOLDEN.parent / "store-1.sessions.json").read_text()
EVENT = '{"kind":"probe.noted","session":"s","fields":{"n":1}}\n'
pytestmark = pytest.mark.slow
needs_pidfd = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="a stranger's end is waited for with pidfd_open"
)


@pytest.fixture
def golden(home, monkeypatch):
    """A home that the first schema made, at the moment that its answers are about."""
    monkeypatch.setenv("HOLDFAST_NOW", "2026-11-22T12:00:00Z")
    shutil.copytree(GOLDEN, home, symlinks=True)
    home.chmod(0o700)
    for path in home.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)
    return home


@pytest.fixture
def later(tmp_path):
    """`holdfast` as a version with two steps more, from whose store questions of today can be answered."""
    sql = version.later(tmp_path / "sql")

    def run_later(*args, stdin="", **job):
        done = subprocess.run(
            command({"sql": str(sql)} | job, *args),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            cwd=REPO_ROOT,
            env=os.environ | {"PYTHONPATH": str(REPO_ROOT)},
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return run_later


def command(job, *args):
    return [sys.executable, "-m", "tests.store.version", json.dumps(job), *map(str, args)]


class Holding:
    """Another process of some version that holds a home's lock for the block."""

    def __init__(self, home, **job):
        self._command = command(job, "--hold", home)

    def __enter__(self):
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPO_ROOT
        )
        assert self.process.stdout.readline() == "True\n"
        return self.process

    def __exit__(self, *_):
        self.process.communicate("")


def store_path(home):
    return database.generation_path(home, database.current(home))


def read(path, sql):
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def versions_in(path):
    found = dict(read(path, "SELECT key, value FROM meta"))
    return int(found["schema_version"]), int(found["projection_version"])


def change(home, sql):
    """What another version, or an accident, would have left in the store."""
    read(store_path(home), sql)


def content(home):
    """Every file of a home by its content; SQLite's own beside a store that is opened count only if anything is in them."""
    out = {}
    for path in sorted(home.rglob("*")):
        if path.is_symlink():
            out[str(path)] = str(path.readlink())
        elif (
            path.is_file()
            and path.name != "writer.lock"
            and not (path.name.endswith(("-shm", "-wal")) and ".db-" in path.name)
        ):
            out[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return out


# ── older ──


def test_an_older_home_is_copied_migrated_and_answers_the_same(golden, run, later):
    done = later("sessions", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == EXPECTED
    latest = schema.ours().version + 2
    assert versions_in(store_path(golden))[0] == latest
    kept = migrate.backup_path(golden, 1)
    assert versions_in(kept) == (1, 1)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    found = json.loads(later("doctor", "--json").stdout)
    assert found["faults"] == 0
    (backup,) = [f for f in found["findings"] if "copy of the store" in f["what"]]
    assert "deleted" in backup["remedy"]
    assert "MB" in backup["what"]


def test_a_golden_home_is_brought_to_this_version(golden, run):
    """With whatever steps there are today."""
    assert run("sessions", "--json").stdout == EXPECTED
    assert versions_in(store_path(golden)) == (database.SCHEMA_VERSION, database.PROJECTION_VERSION)
    db = database.open_writer(store_path(golden))
    assert schema.ours().missing(db) == []
    db.close()
    assert run("doctor").returncode == 0


def test_the_copy_put_back_is_the_way_back(golden, run, later):
    """After a migration the older version refuses; with the copy in the store's place it goes on."""
    before = everything(golden)
    assert later("sessions").returncode == 0
    assert later("record", stdin=EVENT).returncode == 0
    assert run("sessions").returncode == 32
    copies = sorted((golden / "backups").iterdir())
    shutil.copy(copies[-1], golden / "store-0099.db")
    (golden / "store.db").unlink()
    (golden / "store.db").symlink_to("store-0099.db")
    assert run("show", "s").returncode == 0
    answers = everything(golden)
    assert {name: answers[name] for name in before if name.startswith(("tree", "timeline", "show"))} == {
        name: before[name] for name in before if name.startswith(("tree", "timeline", "show"))
    }


def test_migrating_again_replaces_the_copy(golden, later):
    assert later("sessions").returncode == 0
    (kept,) = (golden / "backups").iterdir()
    first = kept.stat().st_ino
    change(golden, f"UPDATE meta SET value = '{kept.stem.rpartition('-')[2]}' WHERE key = 'schema_version'")
    done = later("sessions", "--json")
    assert done.stdout == EXPECTED
    assert [path.name for path in (golden / "backups").iterdir()] == [kept.name]
    assert kept.stat().st_ino != first


def test_a_store_whose_new_tables_nobody_filled_is_folded_before_anything_is_answered(
    golden, run, later, tmp_path
):
    """When questions read what a step adds, rows folded before it are no answer: unknown is never shown as zero."""
    run("sessions")
    before = store_path(golden)
    sql = version.later(tmp_path / "needed", optional=False)
    done = later("sessions", "--json", sql=str(sql))
    assert done.stdout == EXPECTED
    assert store_path(golden) != before
    assert read(store_path(golden), "SELECT value FROM meta WHERE key = 'folded_schema'") == []


# ── folding again in the background ──


@pytest.fixture
def long_home(home, run):
    """A home whose journal is too long to be folded while somebody waits, with rows of an older projection."""
    opened = Home(load(None, os.environ, {}))
    writer = opened.writer(fsync_interval_s=0)
    filler = b"x" * 200_000
    for number in range(upkeep.FOLD_AT_ONCE_BYTES // len(filler) + 2):
        body = b'{"kind":"probe.noted","session":"s%d","fields":{"text":"%s"}}' % (number % 3, filler)
        writer.append("sdk", body)
    writer.close()
    assert run("import", CAPTURED / "max-turns").returncode == 0
    change(home, "UPDATE meta SET value = '0' WHERE key = 'projection_version'")
    return home


NOW = {"HOLDFAST_NOW": "2026-11-22T12:00:00Z"}
NOTE = "s old: the store is being folded again for this version"


def started(home):
    """The process that folds in the background, by its number."""
    return int(re.search(r"^process (\d+) \d+$", background.log_path(home).read_text(), re.MULTILINE)[1])


def wait_for(pid):
    """Until a process that is not a child of this one has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], RUN_LIMIT_S)[0]
    finally:
        os.close(fd)


def projection_of(home):
    return versions_in(store_path(home))[1]


@needs_pidfd
def test_a_long_journal_is_folded_in_the_background_while_old_rows_answer(long_home, run):
    """The first answer is given at once, of the old rows, and says so; the same question later is answered of new ones."""
    done = run("sessions", "--json", env=NOW)
    assert done.returncode == 0
    assert NOTE in done.stderr
    assert "transcripts are read when that is done" in done.stderr
    wait_for(started(long_home))
    assert projection_of(long_home) == database.PROJECTION_VERSION
    after = run("sessions", "--json", env=NOW)
    assert after.stderr == ""
    assert after.stdout == done.stdout
    log = background.log_path(long_home)
    assert "records folded" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700
    assert run("doctor").returncode == 0


def test_while_it_is_folded_answers_say_how_far_and_programs_record(golden, run):
    """Whoever folds the store again is named, with how far it is; what needs the lock itself is refused."""
    run("sessions")
    with Holding(golden, doing="fold", done_bytes=43, total_bytes=100) as holder:
        done = run("sessions", "--json")
        assert done.stdout == EXPECTED
        assert (
            f"the store is being folded again for this version, 43 % (process {holder.pid} (Holdfast "
            in done.stderr
        )
        assert run("record", stdin=EVENT).returncode == 0
        refused = run("rebuild")
        assert refused.returncode == 31
        assert f"process {holder.pid} (Holdfast " in refused.stderr
        assert "is folding the store of this home again (43 %)" in refused.stderr
    assert run("show", "s").returncode == 0


# Stops the process in the background, by its own hand, as soon as it has told that a part is folded.
STOP_HALFWAY = """
import os, signal, sys
if "--background" in sys.orig_argv:
    from holdfast.store import lock
    tell = lock.tell
    def tell_and_stop(home, holder, **where):
        tell(home, holder, **where)
        if holder.done_bytes:
            os.kill(os.getpid(), signal.SIGSTOP)
    lock.tell = tell_and_stop
"""


@needs_pidfd
def test_a_fold_that_is_killed_is_started_again_by_the_next_command(long_home, run, tmp_path):
    """Killed halfway, it leaves the old rows in place; nobody has to help."""
    (tmp_path / "sitecustomize.py").write_text(STOP_HALFWAY)
    run("sessions", env={"PYTHONPATH": str(tmp_path)})
    first = started(long_home)
    while (holder := lock.holder(long_home)) is None or not holder.done_bytes:
        assert processes.started_ticks(first) is not None, background.log_path(long_home).read_text()
    done = run("sessions")
    assert re.search(rf"{NOTE}, \d+ % \(process {first} \(Holdfast ", done.stderr)
    assert run("record", stdin=EVENT).returncode == 0
    os.kill(first, signal.SIGKILL)
    wait_for(first)
    assert projection_of(long_home) == 0
    assert len(database.generations(long_home)) == 2
    assert NOTE in run("sessions").stderr
    second = started(long_home)
    assert second != first
    wait_for(second)
    assert projection_of(long_home) == database.PROJECTION_VERSION
    assert run("show", "s").returncode == 0
    assert run("doctor").returncode == 0
    assert database.generations(long_home) == [database.current(long_home)]


@needs_pidfd
def test_a_fold_that_fails_is_told_and_not_started_by_every_command(long_home, run):
    """Its error is shown by answers and by doctor; a while later it is tried again."""
    log = background.log_path(long_home)
    log.parent.mkdir(mode=0o700)
    log.write_text("process 1 1\nerror: disk full\n")
    log.chmod(0o600)
    done = run("sessions")
    assert done.returncode == 0
    assert (
        "the last try ended with 'error: disk full'; `holdfast rebuild` does it while you wait" in done.stderr
    )
    found = json.loads(run("doctor", "--json").stdout)
    assert [f["severity"] for f in found["findings"] if "disk full" in f["what"]] == ["fault"]
    assert "disk full" in log.read_text()
    os.utime(log, (0, 0))
    assert NOTE in run("sessions").stderr
    wait_for(started(long_home))
    assert projection_of(long_home) == database.PROJECTION_VERSION


def test_a_short_journal_is_folded_at_once(golden, run):
    run("sessions")
    change(golden, "UPDATE meta SET value = '0' WHERE key = 'projection_version'")
    done = run("sessions", "--json")
    assert done.stdout == EXPECTED
    assert done.stderr == ""
    assert projection_of(golden) == database.PROJECTION_VERSION
    assert not (golden / "run").exists()


def test_importing_folds_a_long_journal_first(long_home, run):
    """A command that records waits for the fold, instead of leaving its work to nobody."""
    done = run("import", CAPTURED / "fork-after-kill9")
    assert done.returncode == 0, done.stderr
    assert projection_of(long_home) == database.PROJECTION_VERSION
    assert not (long_home / "run").exists()


def test_a_rebuild_shows_how_far_it_is(long_home, run, monkeypatch):
    """In the end all bytes of the journal are folded; every report has a percentage that only rises."""
    told = []
    opened = Home(load(None, os.environ, {}))
    assert opened.rebuild(lambda report: told.append(report.folding))
    parts = [each.done_bytes / each.total_bytes for each in told]
    assert len(parts) > 2
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    line = terminal.ProgressLine("folding")
    line._next_s = 0.0
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    line.show(ImportReport(folding=told[0]))
    assert re.match(r"folding █*░+ \d+ %, [\d.]+ MB of [\d.]+ MB of the journal\n", stream.getvalue())


# ── newer ──


def test_a_newer_home_is_refused_by_every_command_and_nothing_is_changed(golden, run):
    mark = golden / "home.json"
    mark.write_text('{"format":7,"redaction":0}\n')
    before = content(golden)
    for args in (
        (),
        ("sessions",),
        ("doctor",),
        ("import", CAPTURED),
        ("rebuild",),
        ("rebuild", "--set-aside"),
    ):
        done = run(*args)
        assert done.returncode == 12
        for word in (str(golden), "newer Holdfast", "home.json: format 7", "this one knows 1", "pip install"):
            assert word in done.stderr
    done = run("record", stdin=EVENT)
    assert done.returncode == 12
    assert content(golden) == before


@pytest.mark.parametrize("key", ["schema_version", "projection_version"])
def test_a_newer_store_is_refused_and_nothing_is_changed(golden, run, key):
    run("sessions")
    change(golden, f"UPDATE meta SET value = '77' WHERE key = '{key}'")
    before = content(golden)
    for args in (
        (),
        ("sessions",),
        ("stats",),
        ("import", CAPTURED / "max-turns"),
        ("rebuild",),
        ("rebuild", "--background"),
    ):
        done = run(*args)
        assert done.returncode == 32, (args, done.stderr)
        assert done.stdout == ""
        assert done.stderr.count("newer Holdfast") == 1
        for word in (str(store_path(golden)), "77", "pip install --upgrade", "rebuild --set-aside"):
            assert word in done.stderr
    found = json.loads(run("doctor", "--json").stdout)
    (fault,) = [f for f in found["findings"] if f["severity"] == "fault"]
    assert "newer Holdfast" in fault["what"]
    assert "upgrade" in fault["remedy"]
    assert content(golden) == before


def test_recording_goes_on_beside_a_newer_store(golden, run):
    """The journal is not the store's: what is recorded is folded after the upgrade."""
    run("sessions")
    change(golden, "UPDATE meta SET value = '77' WHERE key = 'schema_version'")
    assert run("record", stdin=EVENT).returncode == 0
    change(golden, f"UPDATE meta SET value = '{database.SCHEMA_VERSION}' WHERE key = 'schema_version'")
    assert run("show", "s").returncode == 0


def test_a_newer_store_is_set_aside_when_a_person_says_so(golden, run, later):
    assert later("sessions", "--json", holdfast="9.9.9").stdout == EXPECTED
    kept = store_path(golden)
    assert run("rebuild").returncode == 32
    done = run("rebuild", "--set-aside", "--json")
    assert done.returncode == 0, done.stderr
    assert run("sessions", "--json").stdout == EXPECTED
    assert versions_in(golden / f"{kept.name}.newer")[0] == database.SCHEMA_VERSION + 2
    found = json.loads(run("doctor", "--json").stdout)
    assert [f["where"] for f in found["findings"] if "newer Holdfast" in f["what"]] == [
        str(golden / f"{kept.name}.newer")
    ]
    assert later("sessions", "--json").stdout == EXPECTED


def newer_record(record_id, text):
    body = json.dumps({"kind": "probe.noted", "session": "ahead", "key": "k", "fields": {"text": text}})
    head = f'{{"v":2,"id":"{record_id}","t":1795348800000000,"s":"sdk","b":{body}'.encode()
    return b'%b,"c":"%08x"}' % (head, zlib.crc32(head))


def test_a_record_of_a_newer_format_is_reported_kept_and_folded_after_the_upgrade(home, run, later):
    run("record", stdin=EVENT)
    segment = home / "journal" / "00000001.jsonl"
    with segment.open("ab") as file:
        file.write(b"\n" + newer_record("01934f70-0000-7000-8000-000000000001", "from ahead") + b"\n")
    raw = segment.read_bytes()
    assert run("show", "ahead").returncode == 3
    found = json.loads(run("doctor", "--json").stdout)
    (fault,) = [f for f in found["findings"] if "newer Holdfast" in f["what"]]
    assert fault["where"] == str(segment)
    assert "upgrade" in fault["remedy"]
    assert segment.read_bytes() == raw
    upgraded = [sys.executable, "-c", UPGRADED_FORMAT, "timeline", "ahead", "--json"]
    done = subprocess.run(upgraded, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "from ahead" in done.stdout
    assert segment.read_bytes() == raw


# A version that reads format 2 as well as 1.
UPGRADED_FORMAT = """
import sys
from holdfast.cli.app import main
from holdfast.journal import format as fmt
decode, fmt.VERSION = fmt.decode, 2
def both(line):
    fmt.VERSION = 2 if line.startswith(b'{"v":2') else 1
    try:
        return decode(line)
    finally:
        fmt.VERSION = 2
fmt.decode = both
main(sys.argv[1:])
"""


# ── a newer command beside an older process ──


def test_a_newer_command_answers_beside_an_older_holder_and_changes_nothing(golden, run, later):
    """It names the holder and what to do; it migrates only when the holder is gone."""
    run("sessions")
    with Holding(golden, holdfast="0.0.9") as holder:
        before = content(golden)
        done = later("sessions", "--json", holdfast="9.9.9")
        assert done.returncode == 0
        assert done.stdout == EXPECTED
        assert "this answer is " in done.stderr
        assert (
            f"process {holder.pid} (Holdfast 0.0.9) keeps the store for an older Holdfast: stop it"
            in done.stderr
        )
        refused = later("rebuild")
        assert refused.returncode == 31
        assert f"process {holder.pid} (Holdfast 0.0.9)" in refused.stderr
        assert content(golden) == before
        assert not (golden / "backups" / f"store-schema-{database.SCHEMA_VERSION}.db").exists()
    done = later("sessions", "--json")
    assert done.stdout == EXPECTED
    assert done.stderr == ""
    assert versions_in(store_path(golden))[0] == database.SCHEMA_VERSION + 2


def test_a_newer_command_that_cannot_read_the_older_store_names_the_holder(golden, run, later, tmp_path):
    run("sessions")
    sql = version.later(tmp_path / "needed", optional=False)
    with Holding(golden, holdfast="0.0.9") as holder:
        before = content(golden)
        for args in ((), ("sessions", "--json"), ("stats",)):
            done = later(*args, sql=str(sql), holdfast="9.9.9")
            assert done.returncode == 31
            assert done.stdout == ""
            for word in (
                str(store_path(golden)),
                f"process {holder.pid} (Holdfast 0.0.9)",
                "start it again",
                "9.9.9",
            ):
                assert word in done.stderr
        assert later("doctor", sql=str(sql)).returncode == 40
        assert content(golden) == before
    assert later("sessions", "--json", sql=str(sql)).stdout == EXPECTED


def test_a_store_that_a_process_of_this_version_brings_up_to_date_is_waited_for(golden, run, later, tmp_path):
    """Nobody is told to stop what is doing the right thing."""
    run("sessions")
    sql = str(version.later(tmp_path / "needed", optional=False))
    with Holding(golden, sql=sql, holdfast="9.9.9", doing="fold", done_bytes=7, total_bytes=10) as holder:
        done = later("sessions", sql=sql, holdfast="9.9.9")
        assert done.returncode == 31
        assert f"process {holder.pid} (Holdfast 9.9.9) is bringing it up to date, 70 %" in done.stderr
        assert "stop" not in done.stderr
        assert "wait for it" in done.stderr


def test_a_golden_store_beside_a_process_that_holds_the_lock(golden, run):
    """With the store of the first version and this one's steps: answered if it can be, else refused by name."""
    with Holding(golden, holdfast="0.0.9", sql=str(first_schema(golden.parent))) as holder:
        done = run("sessions", "--json")
        if schema.ours().oldest_readable == 1:
            assert done.stdout == EXPECTED
        else:
            assert done.returncode == 31
            assert f"process {holder.pid} (Holdfast 0.0.9)" in done.stderr
        assert versions_in(store_path(golden))[0] == 1
    assert run("sessions", "--json").stdout == EXPECTED


def first_schema(directory):
    """The schema with its first step alone."""
    made = directory / "first"
    (made / "migrations").mkdir(parents=True)
    spine = schema.ours().steps[0]
    (made / "migrations" / f"{spine.name}.sql").write_text(spine.sql)
    (made / "schema.sql").write_text(spine.sql)
    return made


# ── tables that are not ours ──


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE cursor DROP COLUMN last_id",
        "ALTER TABLE cursor ADD COLUMN more TEXT",
        "DROP TABLE scan_hint",
        "ALTER TABLE session RENAME COLUMN title TO heading",
        "DROP TRIGGER llm_counted",
        "UPDATE meta SET value = 'one' WHERE key = 'schema_version'",
        "DELETE FROM meta",
        "DROP TABLE meta",
        "DROP TABLE meta; CREATE TABLE meta (other TEXT)",
    ],
)
def test_a_store_that_claims_to_be_ours_and_is_not_is_set_aside(golden, run, sql):
    """What a development version left ends no command: it is kept beside, and the journal is folded anew."""
    run("sessions")
    path = store_path(golden)
    change(golden, sql)
    done = run("sessions", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == EXPECTED
    if (
        "DELETE" not in sql
    ):  # a store that says no version is an old one: the steps are taken, and it is whole again
        assert (golden / f"{path.name}.damaged").exists()
    assert run("doctor").returncode == 0


def test_such_a_store_beside_a_process_that_holds_the_lock_is_told_in_words(golden, run):
    run("sessions")
    change(
        golden, "ALTER TABLE cursor DROP COLUMN last_id; ALTER TABLE session RENAME COLUMN title TO heading"
    )
    with Holding(golden):
        done = run("sessions")
    assert done.returncode == 30
    assert "holdfast rebuild" in done.stderr


def test_a_migration_that_meets_other_tables_sets_the_store_aside(golden, run, later):
    run("sessions")
    change(golden, "DROP TABLE scan_hint; CREATE TABLE extra (other TEXT)")
    done = later("sessions", "--json")
    assert done.stdout == EXPECTED
    assert len(list(golden.glob("*.damaged"))) == 1


# ── what killed first runs leave ──


def test_temporaries_of_dead_first_runs_go_and_others_are_named(golden, run):
    """A file whose writer is dead is removed; one that may be at work, or does not tell, is left and listed."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    me = processes.mine()
    names = {
        "dead": f".home.json.{dead.pid:08x}{1:016x}{7:016x}",
        "young": f".home.json.{dead.pid:08x}{1:016x}{8:016x}",
        "living": f".host-id.{me.pid:08x}{me.started_ticks or 0:016x}{7:016x}",
        "untold": f".home.json.{5:032x}",
    }
    for name in names.values():
        (golden / name).write_text("")
        (golden / name).chmod(0o600)
        os.utime(golden / name, (0, 0))
    os.utime(golden / names["young"])
    assert run("sessions").returncode == 0
    assert {name for name in names.values() if (golden / name).exists()} == set(names.values()) - {
        names["dead"]
    }
    found = json.loads(run("doctor", "--json").stdout)
    assert {Path(f["where"]).name for f in found["findings"]} >= {names["living"], names["untold"]}
