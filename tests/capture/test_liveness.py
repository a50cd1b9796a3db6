"""Which of several words about a session's process counts: our own shim's, its tool's list, or neither."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast import processes
from holdfast.capture import claude_registry, liveness
from holdfast.store.runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

SESSION, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
KEY = f"claude:{SESSION}"
HOST = "host-1"
BEFORE_US, AFTER_US = 1_795_000_000_000_000, 1_795_400_000_000_000
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started")


@pytest.fixture
def other() -> Iterator[int]:
    """A process that runs, and is not this one."""
    process = subprocess.Popen(["sleep", "600"])
    yield process.pid
    process.kill()
    process.wait()


def listed(registry: Path, pid: int, session: str, status: str = "busy", began_us: int = BEFORE_US) -> None:
    said = {
        "pid": pid,
        "sessionId": session,
        "startedAt": began_us // 1000,
        "procStart": str(processes.started_ticks(pid) or 1),
        "pidDomain": f"linux:0:{Path('/proc/self/ns/pid').readlink()}",
        "status": status,
        "statusUpdatedAt": AFTER_US // 1000,
    }
    (registry / f"{pid}.json").write_text(json.dumps(said))


def of(registry: Path, *lives: Run):
    place = claude_registry.Place(HOST, processes.boot_id(), str(Path("/proc/self/ns/pid").readlink()))
    return liveness.Liveness(registry, registry / "none", place)(KEY, None, lives)


def life(state: str, pid: int | None = None, **more: object) -> Run:
    pid = os.getpid() if pid is None else pid
    ticks = processes.started_ticks(pid)
    return Run(
        "0123456789ab", 1, None, None, state, pid=pid, start_ticks=ticks, boot=processes.boot_id(), **more
    )


def ended(at_us: int = AFTER_US) -> Run:
    return life("exited", exit_code=0, ended_us=at_us)


def test_a_supervised_process_that_runs_does_what_its_tool_says_of_it(tmp_path):
    listed(tmp_path, os.getpid(), SESSION, "waiting")
    found = of(tmp_path, life("running"))
    assert (found.process, found.status, found.run.state) == ("alive", "waiting", "running")
    assert "supervised" in found.why


def test_a_tool_that_lists_a_process_below_the_supervised_one_says_what_that_does(tmp_path, other):
    """As where the program that was started is a script around the tool."""
    listed(tmp_path, other, SESSION, "idle")
    found = of(tmp_path, life("running"))
    assert (found.process, found.status) == ("alive", "idle")


def test_a_supervised_process_that_runs_needs_no_list(tmp_path):
    found = of(tmp_path, life("running"))
    assert (found.process, found.status) == ("alive", None)


def test_an_end_that_was_seen_counts_before_what_was_left_in_the_list(tmp_path):
    listed(tmp_path, 2**22 - 1, SESSION)
    found = of(tmp_path, ended())
    assert (found.process, found.run.exit_code) == ("dead", 0)


def test_a_process_that_lives_counts_before_an_end_of_another(tmp_path, other):
    """Somebody went on with the session elsewhere."""
    listed(tmp_path, other, SESSION)
    found = of(tmp_path, ended())
    assert (found.process, found.run) == ("alive", None)


def test_a_process_that_came_later_and_died_counts_before_an_end_of_another(tmp_path):
    listed(tmp_path, 2**22 - 1, SESSION, began_us=AFTER_US)
    found = of(tmp_path, ended(BEFORE_US))
    assert (found.process, found.run) == ("dead", None)


def test_a_supervised_process_that_went_on_to_another_session_is_not_at_this_one(tmp_path):
    """As after `/clear`."""
    listed(tmp_path, os.getpid(), OTHER)
    found = of(tmp_path, life("running"))
    assert (found.process, found.run) == ("dead", None)
    assert "another session" in found.why


def test_of_several_lives_the_one_that_goes_on_counts(tmp_path):
    found = of(
        tmp_path, life("running", started_us=BEFORE_US), ended()._replace(started_us=AFTER_US, attempt=2)
    )
    assert found.process == "alive"


@pytest.mark.parametrize("state", ["unknown", "never_started"])
def test_a_life_of_which_nothing_is_known_leaves_it_to_the_tool(tmp_path, other, state):
    assert of(tmp_path, life(state)) is None
    listed(tmp_path, other, SESSION)
    assert of(tmp_path, life(state)).process == "alive"
