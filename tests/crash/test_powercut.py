"""A few power cuts (`python -m tests.crash.powercut` makes hundreds), and proof that a missing fsync is noticed."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.amount import some
from tests.crash import points, powercut

pytestmark = pytest.mark.slow
TRIALS, CONTROLS = len(some(range(5), 3)), 2
LIMIT_S = 300


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_power_cut_loses_nothing_promised(kind):
    """After a power cut everything promised is read, recording goes on and the store opens; without fsync, things are lost."""
    if why := powercut.missing(kind):
        pytest.skip(why)
    seed = random.SystemRandom().randrange(10**6)
    numbers = ["--trials", f"{TRIALS}", "--controls", f"{CONTROLS}", "--seed", f"{seed}", "--list"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.powercut", "--fs", kind, *numbers],
        cwd=points.REPO_ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kind}: {TRIALS} cuts" in done.stdout
    assert f"without fsync: noticed: {CONTROLS} of {CONTROLS}" in done.stdout
