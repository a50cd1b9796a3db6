"""A part of `make hook-faults`."""

from __future__ import annotations

import random

import pytest

from tests.crash import hook_faults

RUNS = 40


def tried(situation, directory, command=None):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    try:
        return hook_faults.trial(situation, RUNS, seed, 2, directory, command)
    except hook_faults.Absent as exc:
        pytest.skip(str(exc))


@pytest.mark.slow
@pytest.mark.parametrize("situation", hook_faults.SITUATIONS)
def test_the_host_sees_success_and_nothing_else(situation, tmp_path):
    found = tried(situation, tmp_path)
    assert [outcome for outcome in found if not outcome.is_silent] == []
    assert len(found) == RUNS


@pytest.mark.slow
@pytest.mark.parametrize("situation", hook_faults.SITUATIONS)
def test_a_hook_that_only_appends_is_found_out(situation, tmp_path):
    """It says what went wrong, and fails."""
    found = tried(situation, tmp_path, "cat >> {}")
    assert any(not outcome.is_silent for outcome in found)
