"""Kills inside large writes and full disks, a few of each (`python -m tests.crash.sweep --full` does hundreds)."""

from __future__ import annotations

import random
import sys

import pytest

from tests.crash import volume

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]


def test_a_kill_inside_a_large_write_loses_nothing_acknowledged(tmp_path):
    """Killed at random moments of writes up to several megabytes, a writer leaves every acknowledged record and room for the next."""
    seed = random.SystemRandom().randrange(10**6)
    violations, summary = volume.kills(tmp_path, seed, 3, 1)
    print(f"seed {seed}: {summary}")
    assert not violations


@pytest.mark.skipif(volume.cannot_mount() is not None, reason=volume.cannot_mount() or "")
@pytest.mark.parametrize("size_kib", [400, 3_000])
def test_a_disk_that_fills_up_loses_nothing_acknowledged(tmp_path, size_kib):
    """On a full disk recording fails with its exit code and no traceback; with room again it goes on, and nothing is missing."""
    seed = f"{random.SystemRandom().randrange(10**6)}"
    assert volume.full_disk(tmp_path / "disk", size_kib, seed) == []
