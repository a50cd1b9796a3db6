"""Several writers at once, one killed, one frozen."""

from __future__ import annotations

import random
import sys

import pytest

from tests.crash import crowd

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to see who is frozen"),
]


def test_nobody_waits_for_a_frozen_writer_and_nothing_is_lost(tmp_path):
    """Of eight writers one is killed and one frozen across several segments: the others finish, and each acknowledged record is there once."""
    seed = random.SystemRandom().randrange(10**6)
    violations, summary = crowd.run(tmp_path, seed, 8, 600, 32 << 10)
    print(f"seed {seed}: {summary}")
    assert not violations
