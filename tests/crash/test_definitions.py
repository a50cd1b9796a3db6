"""`make definition-sweep` in small: the command is killed at a few of the system calls with which it writes a definition."""

from __future__ import annotations

import pytest

from tests.amount import some
from tests.crash import definitions, points

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]


@pytest.mark.skipif(points.missing() is not None, reason=str(points.missing()))
def test_a_kill_at_a_system_call_leaves_old_or_new_and_the_record_agrees(tmp_path):
    every = list(enumerate(definitions.plan(tmp_path, "distributed")))
    for number, point in some(every[len(every) // 4 :], 2):
        assert definitions.trial(tmp_path, "distributed", number, point) == [], point
