"""A few trials of the drill (`make recover-drill` makes 200), and that it finds out who makes a mistake."""

from __future__ import annotations

import os
import random
import sys

import pytest

from tests.e2e.drilled import drilled

TRIALS = int(os.environ.get("HOLDFAST_TEST_DRILL_TRIALS", "5"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("home"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started"),
]


def test_whatever_is_killed_and_when_the_truth_is_told():
    """Of every session, agent, subagent and open call; also after another boot, and where a number was used again."""
    done = drilled("drill", "--trials", str(TRIALS), "--seed", str(random.SystemRandom().randrange(10**9)))
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("mistake", "told"), [("transcripts", "alive is None"), ("numbers", "dead: alive is True")]
)
def test_a_triage_that_makes_the_mistakes_of_others_is_found_out(mistake, told):
    """One that believes transcripts alone, and one that knows a process by its number."""
    done = drilled("drill", "--trials", "3", "--seed", "1", "--believe", mistake)
    assert done.returncode == 1, done.stdout + done.stderr
    assert told in done.stdout
