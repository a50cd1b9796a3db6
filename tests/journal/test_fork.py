"""Forked and spawned children, and threads beside them, record without losing or mixing anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.journal import format as fmt
from holdfast.journal import reader

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
LIMIT_S = 60
REPO_ROOT = Path(__file__).resolve().parents[2]

_PREAMBLE = """
import json, multiprocessing, os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks beside threads; that is what is tested
import holdfast

def record(who, count):
    return [holdfast.record("probe.noted", session=who, who=who, n=n, text=who * 50) for n in range(count)]

def say(ids):
    os.write(1, (json.dumps(ids) + chr(10)).encode())

"""

_FORKS = (
    _PREAMBLE
    + """
ids = record("before", 5)           # the parent's descriptor is open and its sync thread runs
children = []
for number in range(6):
    child = os.fork()
    if child == 0:
        mine = record(f"child-{number}", 40)
        grandchild = os.fork()
        if grandchild == 0:
            say(record(f"grandchild-{number}", 20))
            os._exit(0)
        mine += record(f"child-{number}-more", 10)
        os.waitpid(grandchild, 0)
        say(mine)
        os._exit(0)
    children.append(child)
    ids += record(f"parent-{number}", 30)
say(ids)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""
)

_THREADS = (
    _PREAMBLE
    + """
say(record("before", 1))
stop = threading.Event()
def work(name):
    ids = []
    for n in range(100_000):
        ids.append(holdfast.record("probe.noted", session=name, who=name, n=n, text="t" * 300))
        if stop.is_set():
            break
    say(ids)
threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(4)]
for thread in threads:
    thread.start()
children = []
for number in range(20):            # forked while threads of the parent are in the middle of an append
    child = os.fork()
    if child == 0:
        say(record(f"child-{number}", 20))
        os._exit(0)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
stop.set()
for thread in threads:
    thread.join()
"""
)

_POOLS = (
    _PREAMBLE
    + """
def work(name):
    return record(name, 50)

if __name__ == "__main__":
    ids = record("before", 3)
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            for mine in pool.map(work, [f"{method}-{n}" for n in range(6)]):
                ids += mine
    ids += record("after", 3)
    say(ids)
"""
)


def run(tmp_path: Path, script: str) -> list[str]:
    """Run a script on a home of its own; returns what it acknowledged."""
    path = tmp_path / "script.py"
    path.write_text(script)
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "CLAUDE"))},
        "PYTHONPATH": str(REPO_ROOT / "src"),
        "HOLDFAST_HOME": str(tmp_path / "home"),
        "HOLDFAST_FSYNC_INTERVAL_S": "0.002",
        "HOLDFAST_SEGMENT_SIZE_BYTES": "30000",
    }
    done = subprocess.run(
        [sys.executable, str(path)], env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return [record_id for line in done.stdout.splitlines() for record_id in json.loads(line)]


def succeeds(code: str, *args: str, **env: str) -> str:
    """Run a script, which finds out by itself whether all is well; returns what it said beside."""
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        env={**os.environ, "PYTHONPATH": str(REPO_ROOT / "src"), **env},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def bodies(journal: Path) -> list[bytes]:
    """What the scripts appended."""
    return [i.record.body_bytes() for i in reader.read(journal) if i.record.s == "test"]


def assert_each_once(tmp_path: Path, acknowledged: list[str]) -> None:
    items = list(reader.read(tmp_path / "home" / "journal"))
    assert not [i for i in items if isinstance(i, reader.Damage)]
    found = [i.record for i in items if i.record.s != fmt.SEGMENT_SOURCE]
    assert len(set(acknowledged)) == len(acknowledged), "two processes gave out the same id"
    assert sorted(record.id for record in found) == sorted(acknowledged)
    for who in {json.loads(record.body_bytes())["session"] for record in found}:
        numbers = [b["fields"]["n"] for r in found if (b := json.loads(r.body_bytes()))["session"] == who]
        assert numbers == sorted(numbers), f"{who}'s records are out of order"


@pytest.mark.slow
@pytest.mark.parametrize("script", [_FORKS, _THREADS, _POOLS], ids=["forks", "forks-beside-threads", "pools"])
def test_children_record_like_anybody_else(tmp_path, script):
    """Every record that parent, children, grandchildren, threads and pools acknowledged is there once, in each one's order."""
    acknowledged = run(tmp_path, script)
    assert len(acknowledged) > 300
    assert_each_once(tmp_path, acknowledged)


_WHILE_OPENING = """
import os, signal, threading
import holdfast
from holdfast import door

opening, forked = threading.Event(), threading.Event()
def open_slowly():
    with door._lock:
        opening.set()
        forked.wait()
thread = threading.Thread(target=open_slowly)
thread.start()
opening.wait()
child = os.fork()
if child == 0:
    signal.alarm(5)
    holdfast.record("probe.noted", n=1)
    os._exit(0)
forked.set()
thread.join()
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.slow
def test_a_fork_while_another_thread_opens_the_home(tmp_path):
    """A child forked while a thread of its parent opens the home records like anybody else, and waits for nobody."""
    (tmp_path / "home").mkdir()
    succeeds(_WHILE_OPENING, HOLDFAST_HOME=str(tmp_path / "home"))


_SYNC_IN_CHILD = """
import os, sys
from pathlib import Path
from holdfast.journal import writer
from holdfast.journal.writer import Writer

synced = []
writer._fsync = lambda fd: synced.append(fd)
journal = Path(sys.argv[1])
mine = Writer(journal, journal, "h", fsync_interval_s=0)
mine.append("test", b'"parent"')
child = os.fork()
if child == 0:
    mine.sync()
    mine.close()
    ok = not synced                      # nothing of its own to sync
    mine.append("test", b'"child"', durable=True)
    os._exit(0 if ok and len(synced) == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
assert not synced
mine.sync()
assert len(synced) == 1
"""


def test_a_child_leaves_the_parents_records_to_the_parent(tmp_path):
    """What a parent appended before a fork is synced by the parent; the child starts with nothing, on a descriptor of its own."""
    succeeds(_SYNC_IN_CHILD, str(tmp_path))
    assert bodies(tmp_path) == [b'"parent"', b'"child"']


_WHILE_LEAVING = """
import os, signal, sys, threading
from pathlib import Path
from holdfast import forks
from holdfast.journal.writer import Writer

forks.WAIT_S = 0
journal = Path(sys.argv[1])
mine = Writer(journal, journal, "h", fsync_interval_s=0)
mine.append("test", b'"parent"')
closed, forked = threading.Event(), threading.Event()
def leave_slowly():
    with mine._lock:
        os.close(mine._fd)
        if sys.argv[2] == "reused":
            assert os.open(sys.executable, os.O_RDONLY) == mine._fd
        closed.set()
        forked.wait()
        mine._fd = -1
thread = threading.Thread(target=leave_slowly)
thread.start()
closed.wait()
number = mine._fd
child = os.fork()
if child == 0:
    signal.alarm(20)
    mine.append("test", b'"child"')
    os._exit(0 if sys.argv[2] == "closed" or os.fstat(number).st_ino == os.stat(sys.executable).st_ino else 1)
forked.set()
thread.join()
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("number", ["closed", "reused"])
def test_a_fork_while_another_thread_leaves_a_segment(tmp_path, number):
    """A child forked between a descriptor's close and its being forgotten records, and closes no file of another's."""
    assert not succeeds(_WHILE_LEAVING, str(tmp_path), number)
    assert bodies(tmp_path) == [b'"parent"', b'"child"']


_HELD = """
import os, threading
from holdfast import forks

lock = threading.Lock()
forks.hold(lambda: (lock,), lambda: None)
taken, free = threading.Event(), threading.Event()
def work():
    with lock:
        taken.set()
        free.wait()
thread = threading.Thread(target=work)
thread.start()
taken.wait()
forks.WAIT_S = 0
if (first := os.fork()) == 0:      # goes on without the lock, which it must not give back
    os._exit(0)
forks.WAIT_S = 60
free.set()
if (second := os.fork()) == 0:     # waited, and has the lock
    os._exit(0 if lock.locked() else 1)
assert not lock.locked()
thread.join()
assert [os.waitpid(child, 0)[1] for child in (first, second)] == [0, 0]
"""


def test_a_fork_waits_for_a_lock_and_not_for_ever():
    """What a fork held is given back once it is done; what it could not get stays with whom it belongs to."""
    assert not succeeds(_HELD, PYTHONWARNINGS="ignore")
