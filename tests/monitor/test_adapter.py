"""The adapter's own promises: its protocol, a consumer that comes back, states that are taken, damaged or full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64decode

import pytest

from holdfast import failpoints
from tests.monitor.world import AdapterReader

pytestmark = pytest.mark.slow


@pytest.fixture
def top(tmp_path):
    path = tmp_path / "logs"
    path.mkdir()
    return path


def ask(top, state, *requests, arguments=(), env=None):
    """One run of the program; its output as objects."""
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.testing.tail", str(top), str(state), *arguments],
        input="".join(f"{request}\n" for request in requests).encode(),
        stdout=subprocess.PIPE,
        env=os.environ | (env or {}),
        timeout=60,
        check=False,
    )
    lines = done.stdout.splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")], done.returncode


def lines_of(found):
    return [(item["seq"], item["line"]) for item in found if "line" in item]


def test_the_protocol(top, tmp_path):
    (top / "app.log").write_bytes(b"one\nb\xffd\n\0\0two\npart")
    found, code = ask(top, tmp_path / "made" / "for" / "it", "", "any text")
    assert code == 0
    started, one, bad, two, marker, last = found
    assert (started["event"], started["seq"], started["last"]) == ("started", 1, 0)
    assert one == {"seq": 2, "log": "app.log", "line": "one", "generation": 1, "offset": 0, "end": 4}
    assert (bad["line"], b64decode(bad["bytes"])) == ("b\ufffdd", b"b\xffd")
    assert (two["line"], two["nul_bytes"]) == ("two", 2)
    assert marker == {"poll": 1, "lines": 3, "events": 1, "seq": 4, "behind": False}
    assert last == {"poll": 2, "lines": 0, "events": 0, "seq": 4, "behind": False}


def test_a_consumer_that_comes_back_gets_what_it_does_not_have(top, tmp_path):
    (top / "app.log").write_text("one\ntwo\nthree\n")
    assert lines_of(ask(top, tmp_path / "state", "")[0]) == [(2, "one"), (3, "two"), (4, "three")]
    found, _ = ask(top, tmp_path / "state", "", arguments=["--after", "2"])
    assert lines_of(found) == [(3, "two"), (4, "three")]
    found, _ = ask(top, tmp_path / "state", "ack 4", "")
    assert lines_of(found) == []
    found, _ = ask(top, tmp_path / "state", "", arguments=["--after", "1"])
    gone = next(item for item in found if item.get("event") == "gone")
    assert gone["kept_after"] >= 4


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_the_state_may_lie_in_the_directory(top, kind):
    (top / "app.log").write_text("one\n")
    if kind == "directory":
        (top / "state").mkdir()
    found = [item for _ in range(2) for item in ask(top, top / "state", "", "")[0]]
    assert [item["line"] for item in found if "line" in item] == ["one"]


def test_a_pattern_and_a_single_file(top, tmp_path):
    for name in ("a.log", "b.log", "c.txt"):
        (top / name).write_text(f"{name}\n")
    found, _ = ask(top / "*.log", tmp_path / "one", "")
    assert [line for _, line in lines_of(found)] == ["a.log", "b.log"]
    found, _ = ask(top / "c.txt", tmp_path / "two", "")
    assert [(item["log"], item["line"]) for item in found if "line" in item] == [("c.txt", "c.txt")]


def test_a_second_reader_is_refused_and_told_why(top, tmp_path):
    first = AdapterReader(top, tmp_path / "state")
    first.poll()
    second = subprocess.run(
        [sys.executable, "-m", "holdfast.testing.tail", str(top), str(tmp_path / "state")],
        input=b"\n",
        capture_output=True,
        check=False,
    )
    first.stop()
    assert (second.returncode, second.stdout) == (56, b"")
    assert b"another reader" in second.stderr
    assert b"end the other reader" in second.stderr


@pytest.mark.parametrize("how", [b"", b"garbage" * 1_000])
def test_a_damaged_state_is_set_aside_and_told(top, tmp_path, how):
    (top / "app.log").write_text("one\n")
    state = tmp_path / "state"
    before, _ = ask(top, state, "")
    state.write_bytes(how)
    found, code = ask(top, state, "")
    kinds = {item["event"]: item for item in found if "event" in item}
    assert code == 0
    assert [line for _, line in lines_of(found)] == ["one"]
    assert kinds["started"]["state"] != before[0]["state"]
    assert kinds["state_lost"]["set_aside"].endswith("state.damaged-1")
    assert (tmp_path / "state.damaged-1").read_bytes() == how


def test_a_state_that_cannot_be_made_is_told(top, tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.testing.tail", str(top), str(tmp_path / "file" / "state")],
        input=b"\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 55
    assert b"file/state" in done.stderr


def test_a_full_disk_is_told_and_nothing_is_lost_after_it(top, tmp_path):
    """The state may not grow beyond a limit for a while; the lines come when it may, even if their file is gone by then."""
    import resource

    reader = AdapterReader(top, tmp_path / "state")
    (top / "app.log").write_text("one\n")
    reader.poll()
    unlimited = resource.prlimit(reader.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(reader.process.pid, resource.RLIMIT_FSIZE, (1, unlimited[1]))
    with (top / "app.log").open("a") as file:
        file.write("two\n")
    assert "failed" in reader.poll()
    (top / "app.log").unlink()
    assert "failed" in reader.poll()
    resource.prlimit(reader.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert "failed" not in reader.poll()
    assert reader.result() == [b"one", b"two"]
    assert "state_failed" in reader.events


@pytest.mark.parametrize("name", [name for name in failpoints.NAMES if name.startswith("tail.")])
def test_a_kill_at_a_failpoint_loses_and_repeats_nothing(top, tmp_path, name):
    (top / "app.log").write_text("one\ntwo\n")
    reader = AdapterReader(top, tmp_path / "state")
    reader.stop()
    for passage in (1, 2):
        reader.start(**{failpoints.VARIABLE: f"{name}=kill@{passage}"})
        while reader.poll() is not None:
            with (top / "app.log").open("a") as file:
                file.write("more\n")
        reader.stop()
        assert reader.process.returncode == -signal.SIGKILL
    with (top / "app.log").open("a") as file:
        file.write("last\n")
    reader.start()
    reader.poll()
    expected = (top / "app.log").read_bytes().splitlines()
    assert reader.result() == expected


def test_only_the_moment_before_the_commit_shows_lines_twice_and_their_numbers_tell(top, tmp_path):
    (top / "app.log").write_text("one\ntwo\n")
    first, _ = ask(top, tmp_path / "state", "", env={failpoints.VARIABLE: "tail.printed=kill@2"})
    again, _ = ask(top, tmp_path / "state", "")
    assert lines_of(first) == lines_of(again) == [(2, "one"), (3, "two")]
