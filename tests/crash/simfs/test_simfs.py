"""Some hundred states of each protocol (`python -m tests.crash.simfs` looks at 100,000), and proof that loss is noticed."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys

import pytest

from tests.crash.simfs import explore
from tests.crash.simfs.disk import ROOT, Log, Moment, Names, Promise, Sync, SyncFailed, Write
from tests.crash.simfs.explore import MISTAKES, PROTOCOLS
from tests.crash.simfs.recorder import Recorder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watch knows the calls made on Linux")
STATES = 250  # of each protocol; `make simfs` looks at many more


def print_seed():
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    return seed


@pytest.mark.slow
@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_state_after_a_power_cut_lacks_what_was_promised(name):
    """Whatever of the unsynced is lost, torn or out of order: what was promised is read, nothing is invented, and the next process goes on."""
    found = explore.explore(name, print_seed(), STATES)
    assert found.states >= STATES
    assert not found.violations, "\n".join(found.examples[:5])


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_build_with_a_mistake_is_found_out(name):
    """Negative control: without one of the syncs, promising too early, or trying a failed fsync again, something is lost or torn."""
    found = explore.explore_mistake(name, print_seed())
    assert any("is lost" in kind or kind.startswith("verify:") for kind in found.kinds), str(found)


# ── the model itself ──


def states(log, upto=None, count=300):
    moment = Moment(log, len(log.steps) if upto is None else upto)
    chooser = random.Random(7)
    return {tuple(sorted(tree.files())) for tree in moment.sample(chooser, count)}


def test_what_is_synced_is_in_every_state_and_what_is_not_is_in_some():
    log = Log([Names(ROOT, (("f", 1),)), Write(1, 0, b"ab"), Sync(1, 2), Sync(ROOT, 3), Write(1, 2, b"cd")])
    contents = {dict(state)["f"] for state in states(log)}
    assert all(content.startswith(b"ab") for content in contents)
    assert {b"ab", b"abc", b"abcd", b"ab\0\0", b"ab\0d"} <= contents


def test_a_name_may_be_lost_with_a_synced_file():
    log = Log([Names(ROOT, (("f", 1),)), Write(1, 0, b"ab"), Sync(1, 2)])
    assert {(), (("f", b"ab"),)} == states(log)


def test_a_rename_may_come_before_the_data_and_never_leaves_neither_name():
    log = Log(
        [Names(ROOT, (("t", 1),)), Sync(ROOT, 1), Write(1, 0, b"ab"), Names(ROOT, (("f", 1), ("t", None)))]
    )
    found = states(log)
    assert (("f", b""),) in found
    assert all(state for state in found)
    assert {tuple(name for name, _ in state) for state in found} == {("t",), ("f",), ("f", "t")}


def test_a_later_fsync_does_not_bring_back_what_a_failed_one_lost():
    log = Log([Names(ROOT, (("f", 1),)), Sync(ROOT, 1), Write(1, 0, b"ab"), SyncFailed(1, 3), Sync(1, 4)])
    assert b"" in {dict(state)["f"] for state in states(log)}


def test_what_was_written_while_an_fsync_ran_is_not_covered_by_it():
    log = Log([Names(ROOT, (("f", 1),)), Sync(ROOT, 1), Write(1, 0, b"ab"), Write(1, 2, b"cd"), Sync(1, 3)])
    assert b"ab" in {dict(state)["f"] for state in states(log)}


def test_promises_count_from_their_moment_on():
    log = Log([Promise("a"), Names(ROOT, (("f", 1),)), Promise("b")])
    assert [Moment(log, upto).promised for upto in (0, 1, 2, 3)] == [[], ["a"], ["a"], ["a", "b"]]


def test_writing_that_is_not_watched_is_an_error(tmp_path):
    """The log must explain the disk: what another program writes is not seen, and that is said."""
    before = os.fsync, io.open, open
    with pytest.raises(AssertionError, match="not watched"), Recorder(tmp_path).watching():
        subprocess.run(["touch", tmp_path / "f"], check=True)
    assert before == (os.fsync, io.open, open)


def test_files_opened_for_writing_are_watched(tmp_path):
    """`open` for writing is seen as the system calls it makes, buffered or not; reading and other places are left alone."""
    elsewhere = tmp_path / "elsewhere"
    root = tmp_path / "root"
    root.mkdir()
    disk = Recorder(root)
    with disk.watching():
        elsewhere.write_text("text")
        (root / "a").write_bytes(b"one")
        with (root / "b").open("xb", buffering=0) as file:
            file.write(b"two, too long")
            file.seek(3)
            file.truncate()
            os.fsync(file.fileno())
        with open(root / "a", "ab") as file:  # noqa: PTH123 - that is what is tried
            file.write(b" more")
        assert (root / "a").read_bytes() == b"one more"
    kinds = [type(step).__name__ for step in disk.log.steps]
    assert kinds == ["Names", "Write", "Names", "Write", "Write", "Sync", "Write"]


def test_a_workload_is_the_same_again_with_its_seed(tmp_path):
    """Kinds of steps, sizes and record ids come from the seed alone."""

    def shape(directory):
        directory.mkdir()
        log = explore.record(explore.Mistake("journal"), "5/journal/3", directory)
        return [type(step).__name__ for step in log.steps], sorted(log.known)

    assert shape(tmp_path / "a") == shape(tmp_path / "b")
