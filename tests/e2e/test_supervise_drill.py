"""A few trials of the drill (`make supervise-drill` starts 2,000 agents), and that it finds out who makes a mistake."""

from __future__ import annotations

import os
import random
import sys

import pytest

from tests.e2e.drilled import drilled

AGENTS = os.environ.get("HOLDFAST_TEST_SUPERVISED", "1")  # one trial of each scene at least
MOST = os.environ.get("HOLDFAST_TEST_SUPERVISED_AT_ONCE", "6")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("home"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started"),
]


def test_whatever_is_killed_each_agent_is_started_once_and_its_end_is_known():
    """Supervisors, shims and agents, at random moments; also after another boot, and where a number was used again."""
    seed = str(random.SystemRandom().randrange(10**9))
    done = drilled("supervise_drill", "--agents", AGENTS, "--most", MOST, "--seed", seed)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("mistake", "scene", "told"),
    [
        ("numbers", "reused", "unshimmed, and its number is another's"),
        ("restart", "unwatched", "begun 2 times without its shim"),
        ("lock", "racing", "begun 3 times, not 2"),
        ("exit", "abandoned", "exited (0, None), not exited"),
    ],
)
def test_a_supervisor_that_makes_the_mistakes_of_others_is_found_out(mistake, scene, told):
    """One that knows processes by number, restarts what it cannot see, starts without a lock, or makes up how things ended."""
    done = drilled(
        "supervise_drill",
        "--agents",
        "1",
        "--most",
        "6",
        "--seed",
        "5",
        "--scene",
        scene,
        "--believe",
        mistake,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert told in done.stdout
