"""Reading in a process of its own gives what reading here gives, and its end is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import RUN_LIMIT_S

SAMPLES = Path(__file__).resolve().parent.parent.parent / "src" / "holdfast" / "samples" / "projects"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reading apart needs Linux")


def patched(tmp_path, code, name="patch"):
    """The environment of a process that runs `code` at its start."""
    directory = tmp_path / name
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(directory)}


APART = "import holdfast.capture.apart as apart\napart.LEAST_BYTES = 1\n"
HERE = "import holdfast.capture.apart as apart\napart.LEAST_BYTES = 1 << 60\n"
NOTED = (
    APART
    + "made = apart.Apart.__init__\n"
    + "def noted(self, *given):\n"
    + "    made(self, *given)\n"
    + "    open({path!r}, 'w').write(str(self._child))\n"
    + "apart.Apart.__init__ = noted\n"
)


def test_reading_apart_gives_the_same_answers(run, home, tmp_path):
    there = tmp_path / "child"
    done = run("import", SAMPLES, env=patched(tmp_path, NOTED.format(path=str(there))))
    assert done.returncode == 0, done.stderr
    assert there.exists(), "it was read apart"
    apart = json.loads(run("sessions", "--json").stdout)
    other = {"HOLDFAST_HOME": str(tmp_path / "other"), **patched(tmp_path, HERE, "here")}
    assert run("import", SAMPLES, env=other).returncode == 0
    here = json.loads(run("sessions", "--json", env=other).stdout)
    assert apart["sessions"]
    assert apart["sessions"] == here["sessions"]
    again = run("import", SAMPLES, env=patched(tmp_path, APART, "again"))
    assert again.returncode == 0
    assert json.loads(run("sessions", "--json").stdout)["sessions"] == apart["sessions"]


def test_an_error_of_the_reading_process_is_told_as_it_was_raised_there(run, tmp_path):
    code = (
        APART
        + "from holdfast.errors import AppendFailed\nimport holdfast.journal.writer as writer\n"
        + "def refused(self, lines): raise AppendFailed('the segment', 'No space left on device')\n"
        + "writer.Writer.append_lines = refused\n"
    )
    done = run("import", SAMPLES, env=patched(tmp_path, code))
    assert done.returncode == 21, done.stderr
    assert "No space left on device" in done.stderr
    assert run("import", SAMPLES).returncode == 0


def test_a_reading_process_that_is_killed_is_named_and_what_it_recorded_stays(run, tmp_path):
    code = (
        APART
        + "import os, signal, holdfast.journal.writer as writer\n"
        + "append, times = writer.Writer.append_lines, []\n"
        + "def killed(self, lines):\n"
        + "    append(self, lines)\n"
        + "    times.append(1)\n"
        + "    len(times) == 2 and os.kill(os.getpid(), signal.SIGKILL)\n"
        + "writer.Writer.append_lines = killed\n"
    )
    done = run("import", SAMPLES, env=patched(tmp_path, code))
    assert done.returncode == 20, done.stderr
    assert "ended early (signal 9)" in done.stderr
    assert run("journal", "verify").returncode == 0
    assert run("import", SAMPLES).returncode == 0
    assert len(json.loads(run("sessions", "--json").stdout)["sessions"]) > 3


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_the_reading_process_ends_with_the_one_that_asked_for_it(home, tmp_path, run, sent, status):
    """Also when that one is killed, and then the next import goes on."""
    there = tmp_path / "child"
    slow = (
        NOTED.format(path=str(there))
        + "import signal\n"
        + "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in jobs that a script starts
        + "import time, holdfast.capture.claude_files as files\n"
        + "read = files.Reader.read\n"
        + "def slowly(self, file, known=None):\n"
        + "    time.sleep(0.2)\n"
        + "    return read(self, file, known)\n"
        + "files.Reader.read = slowly\n"
    )
    env = os.environ | patched(tmp_path, slow)
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "import", SAMPLES],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(there.exists)
    until(there.read_text)
    child = int(there.read_text())
    process.send_signal(sent)
    assert process.wait(RUN_LIMIT_S) == status
    until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text())
    assert run("import", SAMPLES).returncode == 0


def until(holds):
    """Wait for what another process does."""
    for _ in range(RUN_LIMIT_S * 100):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")
