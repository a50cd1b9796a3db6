"""The shim's protocol, as docs/format.md says it: the program is started as a native one would be."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.supervise import process, shim

pytestmark = pytest.mark.slow
LIMIT_S = 30
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what state a process is in")


class Room:
    """An attempt's directory, and the shim in it."""

    def __init__(self, path):
        self.path = path
        self.shim = None

    def start(self, *command, grace_s=0.3, beat_s=5):
        ready, told = os.pipe()
        words = [
            sys.executable,
            "-I",
            "-S",
            shim.__file__,
            self.path,
            str(grace_s),
            str(beat_s),
            str(told),
            "--",
        ]
        process.prepare_subreaper()
        self.shim = subprocess.Popen(
            [*words, *command],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(told,),
            preexec_fn=process.become_subreaper,  # noqa: PLW1509 - no thread runs
        )
        os.close(told)
        poll = select.poll()
        poll.register(ready)
        assert poll.poll(LIMIT_S * 1_000)
        said = os.read(ready, 10)
        os.close(ready)
        return said

    def end(self):
        assert self.shim.wait(LIMIT_S) == 0
        return json.loads((self.path / "exit.json").read_text())

    def child(self):
        return json.loads((self.path / "child.json").read_text())

    def output(self):
        return (self.path / "out.log").read_text()

    def until(self, what):
        deadline_s = time.monotonic() + LIMIT_S
        while not what():
            assert time.monotonic() < deadline_s
            time.sleep(0.005)


@pytest.fixture
def room(tmp_path):
    path = tmp_path / "0001"
    path.mkdir()
    made = Room(path)
    yield made
    if made.shim is not None and made.shim.poll() is None:
        os.kill(made.shim.pid, signal.SIGINT)
        made.shim.wait(LIMIT_S)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("exit 0", {"exit_code": 0, "signal": None}),
        ("exit 255", {"exit_code": 255, "signal": None}),
        ("kill -9 $$", {"exit_code": None, "signal": 9}),
        ("kill -TERM $$", {"exit_code": None, "signal": 15}),
    ],
)
def test_how_it_ended_is_written_exactly(room, command, expected):
    assert room.start("sh", "-c", f"echo out; echo err >&2; {command}") == b"1"
    told = room.end()
    assert {name: told[name] for name in expected} == expected
    assert (told["error"], told["asked"], told["left"]) == (None, None, [])
    assert room.output() == "out\nerr\n"
    assert told["max_rss_bytes"] > 0
    assert room.child()["started_us"] <= told["ended_us"]


@pytest.mark.parametrize(("command", "code"), [("exit 5", 5), ("sleep 60 & exit 2", 2)])
def test_where_a_child_cannot_be_looked_at_without_reaping_it_its_end_is_written_too(tmp_path, command, code):
    """As on macOS before Python 3.13."""
    other = tmp_path / "shim.py"
    other.write_text(
        Path(shim.__file__).read_text().replace("import os\n", "import os\nvars(os).pop('waitid', None)\n", 1)
    )
    words = [sys.executable, "-I", "-S", other, tmp_path, "1", "5", "-1", "--", "sh", "-c", command]
    subprocess.run(words, check=True, timeout=LIMIT_S, start_new_session=True)
    assert json.loads((tmp_path / "exit.json").read_text())["exit_code"] == code


@pytest.mark.parametrize(
    ("program", "code", "why"),
    [("/nowhere/at/all", 127, "No such file or directory"), ("/etc/passwd", 126, "Permission denied")],
)
def test_a_program_that_cannot_be_started_is_told(room, program, code, why):
    if code == 126 and os.access(program, os.X_OK):
        pytest.skip("everything may be started here")
    assert room.start(program) == b"x"
    told = room.end()
    assert (told["exit_code"], told["error"]) == (code, why)


def test_files_are_for_the_owner_alone(room):
    room.start("true")
    room.end()
    assert {name.name: oct(name.stat().st_mode & 0o777) for name in room.path.iterdir()} == dict.fromkeys(
        ("lock", "child.json", "hb", "out.log", "exit.json"), "0o600"
    )


@pytest.mark.parametrize("there", ["child.json", "exit.json"])
def test_an_attempt_that_began_is_begun_by_nobody_else(room, there):
    (room.path / there).write_text("{}")
    assert room.start("sh", "-c", "echo again") == b""
    assert room.shim.wait(LIMIT_S) == shim.REFUSED
    assert not (room.path / "out.log").exists()


def test_an_attempt_that_somebody_holds_is_begun_by_nobody_else(room):
    with (room.path / "lock").open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        assert room.start("sh", "-c", "echo again") == b""
        assert room.shim.wait(LIMIT_S) == shim.REFUSED
    assert not (room.path / "out.log").exists()


def test_a_stop_reaches_the_whole_group_and_force_comes_after_the_grace(room):
    room.start(
        "sh",
        "-c",
        'trap "" TERM; (trap "" TERM; echo child; sleep 60) & echo immune; while :; do sleep 1; done',
    )
    room.until(lambda: room.output().count("\n") == 2)
    began_s = time.monotonic()
    os.kill(room.shim.pid, signal.SIGTERM)
    told = room.end()
    assert time.monotonic() - began_s >= 0.3
    assert (told["signal"], told["asked"], told["left"]) == (9, "stop", [])


def test_a_stop_lets_it_end_as_it_likes(room):
    room.start("sh", "-c", 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.01; done')
    room.until(lambda: room.output() == "up\n")
    os.kill(room.shim.pid, signal.SIGTERM)
    told = room.end()
    assert (told["exit_code"], told["asked"]) == (3, "stop")
    assert room.output().endswith("bye\n")


@needs_proc
def test_a_paused_agent_can_be_stopped(room):
    room.start("sleep", "60", grace_s=LIMIT_S)
    pid = room.child()["pid"]
    os.kill(room.shim.pid, signal.SIGTSTP)
    room.until(lambda: state(pid) == "T")
    os.kill(room.shim.pid, signal.SIGTERM)
    assert room.end()["signal"] == 15


@needs_proc
def test_pause_and_going_on(room):
    room.start("sleep", "60")
    pid = room.child()["pid"]
    os.kill(room.shim.pid, signal.SIGTSTP)
    room.until(lambda: state(pid) == "T")
    os.kill(room.shim.pid, signal.SIGCONT)
    room.until(lambda: state(pid) == "S")
    os.kill(room.shim.pid, signal.SIGINT)
    told = room.end()
    assert (told["signal"], told["asked"]) == (9, "kill")


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@needs_proc
def test_what_it_leaves_in_its_group_ends_with_it(room):
    room.start("sh", "-c", "sleep 60 & echo $!")
    told = room.end()
    assert told["exit_code"] == 0
    room.until(lambda: not Path(f"/proc/{int(room.output())}").exists() or state(int(room.output())) == "Z")


THREADED = """
import os, subprocess, sys, threading, time
if os.fork():
    os.read(os.pipe()[0], 1)  # until it is told to end
os.setsid()
def start():
    print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid, flush=True)
    time.sleep(600)
threading.Thread(target=start).start()
"""


@needs_proc
def test_what_a_thread_of_what_it_left_started_is_listed_too(room):
    """It left its group, and stands with the thread that forked it."""
    room.start(sys.executable, "-c", THREADED)
    room.until(lambda: room.output().endswith("\n"))
    started = int(room.output())
    os.kill(room.shim.pid, signal.SIGTERM)
    left = room.end()["left"]
    for one in left:
        os.kill(one["pid"], signal.SIGKILL)
    assert started in {one["pid"] for one in left}
    assert len(left) == 2


@needs_proc
def test_what_is_asked_for_after_its_end_does_not_count(room):
    room.start("sh", "-c", 'trap "" TERM; (trap "" TERM; sleep 60) & exit 4', grace_s=LIMIT_S)
    room.until(lambda: state(room.child()["pid"]) == "Z")
    os.kill(room.shim.pid, signal.SIGINT)
    told = room.end()
    assert (told["exit_code"], told["asked"]) == (4, None)


def test_without_a_disk_it_does_not_begin(room):
    (room.path / ".exit").mkdir()  # stands for a disk that takes nothing
    assert room.start("sh", "-c", "echo begun") == b""
    assert room.shim.wait(LIMIT_S) != 0
    assert not (room.path / "child.json").exists()


def test_without_its_shim_it_writes_on(room):
    go = room.path / "go"
    room.start("sh", "-c", f"while [ ! -e {go} ]; do sleep 0.01; done; echo written")
    room.shim.kill()
    room.shim.wait()
    go.touch()
    room.until(lambda: room.output() == "written\n")
    assert not (room.path / "exit.json").exists()


def test_a_full_disk_does_not_keep_the_end_from_being_written(room):
    """The space for it is taken before the agent begins, and no other is needed."""
    room.start("sh", "-c", "sleep 0.2; exit 4")
    before = (room.path / ".exit").stat()
    assert before.st_size == 2_048
    assert room.end()["exit_code"] == 4
    after = (room.path / "exit.json").stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)


def test_it_loads_next_to_nothing():
    """What it imports costs memory for each agent."""
    probe = f"exec(open({shim.__file__!r}).read().partition('def main')[0])"
    done, bare = (
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"import sys, os; {code}; print(*sys.modules)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for code in (probe, "pass")
    )
    assert set(done) - set(bare) <= {"__future__", "fcntl", "select", "_signal", "time"}


@needs_proc
@pytest.mark.parametrize("children", [shim._children, process._children])
def test_a_thread_that_ends_as_it_is_asked_hides_no_child_of_the_others(children, monkeypatch):
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda place: ["4194305", *listed(place)])  # no thread has this number
    with subprocess.Popen(["sleep", "600"]) as child:
        try:
            assert child.pid in children(os.getpid())
        finally:
            child.kill()
