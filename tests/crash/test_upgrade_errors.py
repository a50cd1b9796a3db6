"""Disks that refuse while a store is brought up to date: told in words with the exit code, nothing changed, and the next command goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import apsw
import pytest

from holdfast.store import database
from tests.amount import some
from tests.crash import points, volume
from tests.store import version

LIMIT_S = 60
GOLDEN = points.REPO_ROOT / "tests" / "golden" / "store-1"
EXPECTED = (GOLDEN.parent / "store-1.sessions.json").read_text()
NOW = {"HOLDFAST_NOW": "2026-11-22T12:00:00Z"}
BACKUP = f"store-schema-{database.SCHEMA_VERSION}.db"
COPY = f"backups/.{BACKUP}.writing"
needs_strace = pytest.mark.skipif(points.missing() is not None, reason=points.missing() or "")
needs_root = pytest.mark.skipif(volume.cannot_mount() is not None, reason=volume.cannot_mount() or "")
pytestmark = pytest.mark.slow


@pytest.fixture
def sql(tmp_path):
    return version.later(tmp_path / "sql")


@pytest.fixture
def needed(tmp_path):
    """Steps without which questions cannot be answered."""
    return version.later(tmp_path / "needed", optional=False)


@pytest.fixture
def golden(tmp_path):
    """The golden home with today's tables, whatever they are."""
    home = tmp_path / "home"
    shutil.copytree(GOLDEN, home, symlinks=True)
    home.chmod(0o700)
    command = [sys.executable, "-m", "holdfast", "sessions", "--json"]
    done = subprocess.run(
        command, env=volume.environment(home) | NOW, capture_output=True, text=True, check=True
    )
    assert done.stdout == EXPECTED
    shutil.rmtree(home / "backups", ignore_errors=True)
    return home


def later(home, sql, *args, inject=()):
    """`holdfast ARGS` as a version with two steps more, with faults injected into its system calls below the home."""
    strace = (
        ["strace", "-f", "-o", "/dev/null", *[f"--inject={fault}" for fault in inject], "--"]
        if inject
        else []
    )
    command = [sys.executable, "-m", "tests.store.version", json.dumps({"sql": str(sql)}), *args]
    env = volume.environment(home) | NOW
    return subprocess.run(
        [*strace, *command],
        env=env,
        cwd=points.REPO_ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def schema_of(home):
    db = apsw.Connection(str(home / "store.db"), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        return database.versions(db)["schema_version"]
    finally:
        db.close()


def assert_unharmed(home, sql):
    """The store is as it was, no torn copy has a name, and the same command works once the disk does."""
    assert schema_of(home) == database.SCHEMA_VERSION
    assert later(home, sql, "sessions", "--json").stdout == EXPECTED
    assert schema_of(home) == database.SCHEMA_VERSION + 2
    assert [path.name for path in (home / "backups").iterdir()] == [BACKUP]


def calls(home, sql, syscall, file):
    """Which of a process's calls of that name are about a file, in an undisturbed run on a copy of the home."""
    copy = home.parent / "copy"
    shutil.copytree(home, copy, symlinks=True)
    command = [sys.executable, "-m", "tests.store.version", json.dumps({"sql": str(sql)}), "sessions"]
    outcome = points.trace(command, volume.environment(copy), copy, home.parent / "trace")
    assert outcome.status == 0, outcome.errors
    shutil.rmtree(copy)
    return [p.number for p in outcome.points if p.syscall == syscall and p.file == file]


@needs_strace
@pytest.mark.parametrize("error", some(["ENOSPC", "EIO", "EDQUOT"], 1))
@pytest.mark.parametrize(
    ("syscall", "file"), [("pwrite64", COPY), ("fsync", COPY), ("rename", COPY), ("fsync", "backups")]
)
def test_a_copy_that_cannot_be_made_stops_the_migration(golden, sql, error, syscall, file):
    """Questions are still answered, from the older store; the note names the copy, the reason, and what to do."""
    number = calls(golden, sql, syscall, file)[0]
    done = later(golden, sql, "sessions", "--json", inject=(f"{syscall}:error={error}:when={number}",))
    assert done.returncode == 0, done.stderr
    assert done.stdout == EXPECTED
    assert "Traceback" not in done.stderr
    for word in ("the copy failed", str(golden / "backups" / BACKUP)):
        assert word in done.stderr
    assert_unharmed(golden, sql)


@needs_strace
def test_where_questions_need_the_step_the_refusal_is_an_error(golden, needed):
    number = calls(golden, needed, "fsync", COPY)[0]
    done = later(golden, needed, "import", str(golden), inject=(f"fsync:error=ENOSPC:when={number}",))
    assert done.returncode == 30
    assert "the copy failed" in done.stderr
    assert "nothing was changed" in done.stderr
    done = later(golden, needed, "sessions", inject=(f"fsync:error=ENOSPC:when={number}+",))
    assert done.returncode == 30
    assert "the copy failed" in done.stderr
    assert_unharmed(golden, needed)


@needs_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_migration_whose_writes_fail_changes_nothing(golden, sql, error):
    """Whichever of the transaction's writes fails."""
    numbers = calls(golden, sql, "pwrite64", f"{(golden / 'store.db').readlink()}-wal")
    for number in {numbers[0], numbers[len(numbers) // 4]}:
        done = later(golden, sql, "sessions", "--json", inject=(f"pwrite64:error={error}:when={number}",))
        assert done.returncode in {0, 30}, done.stderr
        assert "Traceback" not in done.stderr
        assert "bug" not in done.stderr
        assert "could not be brought up to date" in done.stderr
        assert schema_of(golden) == database.SCHEMA_VERSION
    assert_unharmed(golden, sql)


@needs_root
@pytest.mark.parametrize("room_kib", [0, 64, 132, 160, 400])
def test_a_disk_without_room_for_the_copy(tmp_path, sql, room_kib):
    """On a disk that is nearly full every command ends in words; with room again the store is brought up to date."""
    home = tmp_path / "disk" / "home"
    (tmp_path / "disk").mkdir()
    as_later = f"{sys.executable} -m tests.store.version '{json.dumps({'sql': str(sql)})}'"
    script = tmp_path / "script.sh"
    script.write_text(f"""
mount -t tmpfs -o size=2m tmpfs {tmp_path}/disk
cp -a {GOLDEN} {home} && chmod 700 {home}
dd if=/dev/zero of={tmp_path}/disk/ballast bs=1k 2> /dev/null
truncate -s -{room_kib}k {tmp_path}/disk/ballast
for what in sessions doctor rebuild; do
    {as_later} $what > {tmp_path}/$what.out 2> {tmp_path}/$what.err; echo $? > {tmp_path}/$what.code
done
rm {tmp_path}/disk/ballast
{as_later} sessions --json > {tmp_path}/later.out 2> {tmp_path}/later.err || exit 1
""")
    env = volume.environment(home) | NOW
    done = subprocess.run(
        ["unshare", "-m", "sh", str(script)], env=env, cwd=points.REPO_ROOT, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, (tmp_path / "later.err").read_text()
    for what in ("sessions", "doctor", "rebuild"):
        code, errors = int((tmp_path / f"{what}.code").read_text()), (tmp_path / f"{what}.err").read_text()
        assert code in {0, 30, 40}, (what, code, errors)
        assert "Traceback" not in errors
        assert "bug" not in errors
    assert (tmp_path / "later.out").read_text() == EXPECTED


def test_a_place_for_copies_that_is_no_directory(golden, sql):
    (golden / "backups").write_text("in the way")
    done = later(golden, sql, "sessions", "--json")
    assert done.stdout == EXPECTED
    assert "the copy failed" in done.stderr
    (golden / "backups").unlink()
    assert_unharmed(golden, sql)
