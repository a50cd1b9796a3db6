"""Failpoints: the source and the registry name the same places, and each action does what it says."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from holdfast import failpoints
from holdfast.errors import UsageError

SOURCE = Path(failpoints.__file__).parent
EVENT = '{"kind": "probe.noted", "session": "s", "fields": {"n": 1}}\n'


def names_in_source():
    """The literal of every call of `failpoint`."""
    out = []
    for module in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                assert isinstance(node.args[0], ast.Constant), module
                out.append(node.args[0].value)
    return out


def test_the_registry_names_each_failpoint_of_the_source_once():
    """A name in the source that is not listed, listed but gone, or used in two places, is a mistake."""
    found = Counter(names_in_source())
    assert set(found) == set(failpoints.NAMES)
    assert [name for name, times in found.items() if times > 1] == []


@pytest.mark.parametrize(
    "asked", ["journal.created", "journal.created=die", "no.such=kill", "blob.written=error:ENOSUCH", "=kill"]
)
def test_what_cannot_be_read_is_refused_with_what_is_accepted(asked):
    with pytest.raises(UsageError, match="expected") as told:
        failpoints.plan(asked)
    assert failpoints.VARIABLE in (told.value.hint or "")


def test_passages():
    """Without @ each passage counts, with @N one, with @N+ that one and all later."""
    found = failpoints.plan("blob.created=tell,blob.written=tell@2,blob.synced=tell@2+")
    assert [(a.first, a.last) for a in found.values()] == [(1, None), (2, 2), (2, None)]


def test_a_star_stands_for_every_name_that_begins_so():
    assert set(failpoints.plan("*=tell")) == set(failpoints.NAMES)
    assert set(failpoints.plan("blob.*=kill")) == {n for n in failpoints.NAMES if n.startswith("blob.")}


@pytest.mark.slow
def test_nothing_is_passed_unless_asked(run):
    assert run("record", stdin=EVENT).stderr == ""


@pytest.mark.slow
def test_telling(run):
    """`*=tell` names every failpoint on the way."""
    done = run("record", "--durable", stdin=EVENT, env={failpoints.VARIABLE: "*=tell"})
    assert done.returncode == 0
    told = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("failpoint ")]
    assert told[:3] == ["home.made", "home.naming", "home.named"]
    assert told[-2:] == ["journal.syncing", "journal.naming"]


@pytest.mark.slow
def test_an_error(run):
    """An error raised at a failpoint is told as the real one would be."""
    done = run("record", stdin=EVENT, env={failpoints.VARIABLE: "journal.appending=error:ENOSPC@2"})
    assert done.returncode == 21
    assert os.strerror(28) in done.stderr
    assert done.stdout == ""
    assert run("record", stdin=EVENT).returncode == 0


@pytest.mark.slow
def test_an_unreadable_variable_ends_the_command_in_words(run):
    done = run("record", stdin=EVENT, env={failpoints.VARIABLE: "no.such=kill"})
    assert done.returncode == 2
    assert "journal.created" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for a stopped process as Linux shows it")
def test_standing_still(home):
    """A process stopped at a failpoint stands there, and goes on with SIGCONT."""
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "record"],
        env=os.environ | {failpoints.VARIABLE: "journal.created=stop"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(EVENT)
    process.stdin.close()
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert (home / "journal" / "00000001.jsonl").stat().st_size == 0
    process.send_signal(signal.SIGCONT)
    assert len(process.stdout.read().split()) == 1
    assert process.wait(60) == 0
    process.stdout.close()
