"""Disks and directories that refuse: every refusal is told in words, with its exit code, and costs nothing acknowledged."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from holdfast import retention
from holdfast.home import Home
from holdfast.journal import format as fmt
from holdfast.journal import reader, segments
from holdfast.settings import load
from tests.amount import some
from tests.crash import points, volume

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 60
EVENT = '{"kind": "probe.noted", "session": "s", "fields": {"n": 1}}\n'

needs_strace = pytest.mark.skipif(points.missing() is not None, reason=points.missing() or "")
needs_root = pytest.mark.skipif(volume.cannot_mount() is not None, reason=volume.cannot_mount() or "")
needs_another_user = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="root may do anything; needs setpriv to be less",
)
pytestmark = pytest.mark.slow


def holdfast(*args: str) -> list[str]:
    return [sys.executable, "-m", "holdfast", *args]


def run(home: Path, command: list[str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    env = volume.environment(home)
    return subprocess.run(
        command, env=env, input=stdin, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def record(
    home: Path, *options: str, inject: tuple[str, ...] = (), of: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`holdfast record` one event, with faults injected into its system calls, or into those that concern one file."""
    faults = [f"--inject={fault}" for fault in inject]
    only = ["-P", str(of)] if of else []
    strace = ["strace", "-f", "-o", "/dev/null", *only, *faults, "--"] if inject else []
    return run(home, [*strace, *holdfast("record", *options)], EVENT)


def assert_told(done: subprocess.CompletedProcess[str], exit_codes: set[int], *words: str) -> None:
    """The command failed with one of the codes, nothing acknowledged, and says why without a traceback."""
    assert done.returncode in exit_codes, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert not done.stdout.strip()
    for word in words:
        assert word in done.stderr


def found(home: Path) -> list[tuple[int, str]]:
    items = [i for i in reader.read(home / "journal") if isinstance(i, reader.Found)]
    return [(i.segment, i.record.id) for i in items if i.record.s != fmt.SEGMENT_SOURCE]


@pytest.fixture
def used(tmp_path):
    """A home in which something was recorded and imported before."""
    home = tmp_path / "home"
    assert record(home).returncode == 0
    assert run(home, holdfast("sessions")).returncode == 0
    return home


# ── fsync ──


@needs_strace
@pytest.mark.parametrize("number", [1, 2])
def test_a_failed_fsync_is_made_good_in_a_new_segment(used, number):
    """When the first (or second) fsync of a durable append fails, its record is appended again to a new segment, same id; the store has it once."""
    done = record(used, "--durable", inject=(f"fsync:error=EIO:when={number}",))
    assert done.returncode == 0, done.stderr
    record_id = done.stdout.strip()
    assert [i for _, i in found(used)].count(record_id) == 2
    assert segments.numbers(used / "journal") == [1, 2]
    sessions = json.loads(run(used, holdfast("show", "s", "--json")).stdout)
    assert sessions["events"] == {"probe.noted": 2}


@needs_strace
@pytest.mark.parametrize("number", ["EIO", "ENOSPC", "EDQUOT"])
def test_durable_is_not_acknowledged_when_nothing_can_be_synced(used, number):
    """While every fsync fails, a durable append fails with its exit code, says so, and acknowledges nothing."""
    done = record(used, "--durable", inject=(f"fsync:error={number}",))
    assert_told(done, {21}, os.strerror(getattr(errno, number)))
    after = record(used, "--durable")
    assert after.returncode == 0
    assert after.stdout.strip() in [i for _, i in found(used)]


@needs_strace
def test_fdatasync_of_the_store_fails(used):
    """When the store cannot be synced, the command says so or answers; the journal is whole and the next command goes on."""
    assert record(used).returncode == 0
    done = run(
        used, ["strace", "-f", "-o", "/dev/null", "--inject=fdatasync:error=EIO", "--", *holdfast("sessions")]
    )
    assert done.returncode in {0, 30}, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert json.loads(run(used, holdfast("show", "s", "--json")).stdout)["events"] == {"probe.noted": 2}


# ── writes ──


@needs_strace
@pytest.mark.parametrize(
    "fault", ["write:error=ENOSPC", "write:error=EIO", "write:error=EDQUOT", "write:error=EROFS"]
)
def test_a_write_that_is_refused(used, fault):
    """When the write of a record fails, the command says why with its exit code, and the next one works."""
    done = record(used, inject=(f"{fault}:when=1",), of=segments.path(used / "journal", 1))
    assert_told(
        done, {21}, "the record was not written", os.strerror(getattr(errno, fault.rpartition("=")[2]))
    )
    before = found(used)
    after = record(used)
    assert found(used) == [*before, (1, after.stdout.strip())]


@needs_strace
@pytest.mark.parametrize("length", [0, 1, 17, 120])
def test_a_write_that_is_said_to_be_short(used, length):
    """When the system reports a short write, the whole record is appended again and acknowledged once it is whole."""
    done = record(used, inject=(f"write:retval={length}:when=1",), of=segments.path(used / "journal", 1))
    assert done.returncode == 0, done.stderr
    assert [i for _, i in found(used)].count(done.stdout.strip()) == 1


@needs_strace
def test_writes_that_stay_short(used):
    """When every write is short, the append is given up with its exit code."""
    done = record(used, inject=("write:retval=3:when=1..3",), of=segments.path(used / "journal", 1))
    assert_told(done, {21}, "only a part of it fitted")


# ── while folding ──


@pytest.mark.parametrize("fault", ["error:ENOSPC", "error:EIO", "memory"])
def test_a_refusal_while_folding_is_not_taken_for_a_bad_record(tmp_path, fault):
    """An error of the disk in the middle of a fold ends the command; the next one folds the record as if nothing had been."""
    home = tmp_path / "home"
    record_id = record(home).stdout.strip()
    done = run(home, ["env", f"HOLDFAST_FAILPOINTS=store.meeting={fault}", *holdfast("sessions")])
    assert_told(done, {1} if fault == "memory" else {30})
    timeline = json.loads(run(home, holdfast("timeline", "s", "--json")).stdout)
    assert [entry["id"] for entry in timeline["entries"]] == [record_id]
    assert run(home, holdfast("doctor")).returncode == 0


@pytest.mark.parametrize("command", [("sessions",), ("rebuild",), ("import",)])
@pytest.mark.parametrize(
    ("what", "exit_code"), [("writer.lock", 30), ("journal/00000002.jsonl", 20), ("store-0002.db", 30)]
)
def test_what_cannot_be_opened_is_named_with_its_exit_code(used, command, what, exit_code):
    """A lock, segment or store that the system does not open: the message names it, whatever the command."""
    (used / "no-claude" / "projects").mkdir(parents=True)
    (used / what).unlink(missing_ok=True)
    (used / what).symlink_to((used / what).name)  # a loop, which root cannot open either
    if what.startswith("store"):
        (used / "store.db").unlink()  # so that a new one is made
    done = run(used, holdfast(*command))
    if what.startswith("store") and not done.returncode:
        return  # the command took another number
    if command != ("sessions",) or done.returncode:  # an answer may be given without what is new
        assert_told(done, {exit_code}, what.rpartition("/")[2], os.strerror(errno.ELOOP))
    (used / what).unlink()
    assert run(used, holdfast("sessions")).returncode == 0


def test_no_memory_at_the_end_of_a_process(used):
    """A process that finds no memory for its last sync says so, without a traceback."""
    done = run(used, ["env", "HOLDFAST_FAILPOINTS=journal.syncing=memory", *holdfast("record")], EVENT)
    assert done.returncode in {1, 21}  # 21: the background sync came first
    assert "memory" in done.stderr.lower()
    assert "Traceback" not in done.stderr


# ── sealing, exporting ──

TREE = points.REPO_ROOT / "tests" / "data" / "claude-code" / "api-error-400"
SMALL = ("env", "HOLDFAST_SEGMENT_SIZE_BYTES=100")


@pytest.mark.parametrize("fault", some(["error:ENOSPC", "error:EIO", "memory"], 1))
@pytest.mark.parametrize("place", ["seal.written", "seal.renamed", "seal.chained"])
@pytest.mark.parametrize("source", ["transcripts", "export"])
def test_an_import_whose_sealing_fails_succeeds_and_says_so(used, source, place, fault):
    """What was to be imported is; that its segments could not be sealed is a note; the next sealing makes up for it."""
    path = TREE
    if source == "export":
        other, path = used.parent / "other", used.parent / "history.jsonl"
        assert run(other, holdfast("import", str(TREE))).returncode == 0
        assert run(other, holdfast("export", str(path))).returncode == 0
    done = run(used, [*SMALL, f"HOLDFAST_FAILPOINTS={place}={fault}", *holdfast("import", str(path))])
    assert done.returncode == 0, done.stderr
    assert "not sealed" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(json.loads(run(used, holdfast("sessions", "--json")).stdout)["sessions"]) == 2
    assert run(used, holdfast("journal", "seal")).returncode == 0
    assert run(used, holdfast("journal", "verify")).returncode == 0


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EROFS"])
def test_an_export_that_cannot_be_finished_leaves_what_was_there(used, fault):
    """The command says which file and why, with its exit code; under its name stands what stood there before."""
    path = used.parent / "history.jsonl"
    assert run(used, holdfast("export", str(path))).returncode == 0
    before = path.read_bytes()
    assert record(used).returncode == 0
    done = run(
        used, ["env", f"HOLDFAST_FAILPOINTS=export.written=error:{fault}", *holdfast("export", str(path))]
    )
    assert_told(done, {28}, str(path), os.strerror(getattr(errno, fault)))
    assert path.read_bytes() == before
    assert [p.name for p in used.parent.iterdir() if p.name.endswith(".part")] == []


@needs_strace
@pytest.mark.parametrize("fault", ["EMFILE", "ENFILE", "ENOMEM"])
def test_a_blob_that_this_process_cannot_open_is_not_damaged(used, fault):
    """Without descriptors or memory to read a blob, its record is not folded as damaged: the next command folds it whole."""
    tiny = ["env", "HOLDFAST_INLINE_BODY_SIZE_BYTES=20"]
    done = run(used, [*tiny, *holdfast("record")], EVENT)
    assert done.returncode == 0, done.stderr
    (blob,) = (used / "blobs").iterdir()
    strace = ["strace", "-f", "-o", "/dev/null", "-P", str(blob), f"--inject=openat:error={fault}:when=1"]
    done = run(used, [*strace, "--", *holdfast("sessions")])
    assert done.returncode in {0, 30}, done.stderr
    assert os.strerror(getattr(errno, fault)) in done.stderr
    assert json.loads(run(used, holdfast("show", "s", "--json")).stdout)["events"] == {"probe.noted": 2}


@needs_strace
@pytest.mark.parametrize("fault", ["EIO", "EACCES", "EMFILE"])
def test_an_export_that_cannot_be_read_is_not_taken_for_something_else(used, fault):
    """An export that cannot be looked into is named, with the exit code of an import that lacks something; all else is imported."""
    path = used.parent / "history.jsonl"
    assert run(used, holdfast("export", str(path))).returncode == 0
    inject = f"--inject=openat:error={fault}:when=1"
    strace = ["strace", "-f", "-o", "/dev/null", "-P", str(path), inject, "--"]
    done = run(used, [*strace, *holdfast("import", str(path), str(TREE))])
    assert done.returncode == 26, done.stderr
    assert str(path) in done.stderr
    assert os.strerror(getattr(errno, fault)) in done.stderr
    assert len(json.loads(run(used, holdfast("sessions", "--json")).stdout)["sessions"]) == 2
    assert json.loads(run(used, holdfast("import", str(path), "--json")).stdout)["exports"][0]["new"] == 0


def test_a_segment_whose_sealing_was_cut_is_not_retired(used):
    """While the plain segment counts, the sealed one beside it is not rewritten."""
    assert run(used, [*SMALL, *holdfast("import", str(TREE))]).returncode == 0
    assert record(used).returncode == 0
    done = run(used, [*SMALL, "HOLDFAST_FAILPOINTS=seal.renamed=kill", *holdfast("journal", "seal", "--all")])
    assert done.returncode == -signal.SIGKILL
    both = set(segments.plain_numbers(used / "journal")) & set(segments.sealed_numbers(used / "journal"))
    assert both
    ready = Home(load(used, {}, {}))
    assert not both & {c.segment for c in retention.plan(ready, keep_days=1).candidates}


def test_a_cut_rewriting_that_made_a_segment_longer(used):
    """What takes a record's place may be longer than it was, and the list of seals says the old size until somebody ends the work."""
    assert run(used, [*SMALL, *holdfast("journal", "seal", "--all")]).returncode == 0
    aged = [*SMALL, "HOLDFAST_NOW=2126-11-25T12:00:00Z"]
    retire = holdfast("journal", "retire", "--keep-days", "1", "--yes", "--without-backup", "--most", "100")
    done = run(used, [*aged, "HOLDFAST_FAILPOINTS=seal.rewritten=kill", *retire])
    assert done.returncode == -signal.SIGKILL
    listed = reader.sealed_sizes(used / "journal")
    assert any(reader.size(used / "journal", number) > size for number, size in listed.items())
    for _ in range(2):
        assert run(used, [*aged, *holdfast("sessions")]).returncode == 0
    assert not list(used.glob("*.ahead"))
    assert run(used, [*aged, *retire]).returncode == 0
    assert run(used, [*aged, *holdfast("doctor")]).returncode == 0


# ── homes that cannot be used ──


def _as_another(home: Path, command: list[str]) -> list[str]:
    """The command as a user who owns the home, but is not root."""
    if os.geteuid() != 0:
        return command
    for path in [home, *home.rglob("*")]:
        os.lchown(path, 65534, 65534)
    for path in [home, *home.parents]:
        if path.owner() == "root" and not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]


@needs_another_user
@pytest.mark.parametrize(
    ("what", "mode", "exit_codes"),
    [
        (".", 0o500, {10, 21}),
        (".", 0o000, {2, 10}),
        ("journal", 0o500, {0}),
        ("journal", 0o000, {21}),
        ("journal/00000001.jsonl", 0o400, {21}),
    ],
)
def test_what_may_not_be_written(used, what, mode, exit_codes):
    """A home, journal or segment without permission is told with its path; with permission again recording goes on."""
    command = _as_another(used, holdfast("record"))
    (used / what).chmod(mode)
    done = run(used, command, EVENT)
    (used / what).chmod(0o700 if (used / what).is_dir() else 0o600)
    if exit_codes != {0}:
        assert_told(done, exit_codes, str(used))
    again = run(used, command, EVENT)
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() in [i for _, i in found(used)]


@needs_another_user
def test_a_home_that_may_not_be_made(tmp_path):
    """When the home cannot be made, the message names it and what to set."""
    tmp_path.chmod(0o555)
    command = _as_another(tmp_path, holdfast("record"))
    tmp_path.chmod(0o555)
    done = run(tmp_path / "home", command, EVENT)
    tmp_path.chmod(0o755)
    assert_told(done, {10}, "HOLDFAST_HOME", str(tmp_path / "home"))


@needs_root
@pytest.mark.parametrize("command", [("record",), ("sessions",), ("rebuild",)])
def test_a_read_only_disk(used, command):
    """On a file system that is mounted read-only every command says so with its exit code."""
    mount = f"mount --bind {used} {used} && mount -o remount,ro,bind {used}"
    done = run(used, ["unshare", "-m", "sh", "-c", f"{mount} && exec {' '.join(holdfast(*command))}"], EVENT)
    if command != ("sessions",) or done.returncode:  # reading may well work
        assert_told(done, {10, 21, 30}, str(used))
    assert record(used).returncode == 0


@needs_root
@pytest.mark.parametrize("room_kib", [0, 4, 8, 12, 24, 40, 80])
def test_a_disk_that_is_full_from_the_start(tmp_path, room_kib):
    """On a disk with hardly any room every command ends with its exit code; with room again, all work and all acknowledged is there."""
    script = tmp_path / "script.sh"
    home = tmp_path / "disk" / "home"
    (tmp_path / "disk").mkdir()
    (tmp_path / "event").write_text(EVENT * 3)
    command = " ".join(holdfast())
    script.write_text(f"""
mount -t tmpfs -o size=2m tmpfs {tmp_path}/disk
dd if=/dev/zero of={tmp_path}/disk/ballast bs=1k count={2048 - room_kib} 2> /dev/null
for what in record sessions rebuild doctor; do
    {command} $what < {tmp_path}/event > {tmp_path}/$what.out 2> {tmp_path}/$what.err; echo $? > {tmp_path}/$what.code
done
rm {tmp_path}/disk/ballast
{command} record < {tmp_path}/event > {tmp_path}/later.out || exit 1
{command} timeline s --json > {tmp_path}/timeline || exit 2
""")
    done = run(home, ["unshare", "-m", "sh", str(script)])
    assert done.returncode == 0, done.stderr
    for what in ("record", "sessions", "rebuild", "doctor"):
        code, errors = int((tmp_path / f"{what}.code").read_text()), (tmp_path / f"{what}.err").read_text()
        assert code in {0, 10, 21, 30, 40}, (what, code, errors)
        assert "Traceback" not in errors
        assert "bug" not in errors
    acknowledged = re.findall(
        r"[0-9a-f-]{36}", (tmp_path / "record.out").read_text() + (tmp_path / "later.out").read_text()
    )
    timeline = (tmp_path / "timeline").read_text()
    assert len(acknowledged) >= 3
    assert all(record_id in timeline for record_id in acknowledged)
