"""A sample of the errno matrix (`python -m tests.crash.errnos` refuses every call), and proof that it would notice."""

from __future__ import annotations

import random

import pytest

from tests.amount import some
from tests.crash import errnos, points

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(points.missing() is not None, reason=points.missing() or ""),
]
SAMPLES = len(some(range(2), 1))


@pytest.mark.parametrize("name", errnos.OPERATIONS)
def test_a_refusal_is_told_and_made_good_by_the_next_command(tmp_path, name):
    """Refused a call, descriptors or memory, a command says so, has acknowledged nothing that is not there, and works the next time."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    trials = [*errnos.matrix(tmp_path, [name], seed, 1, every=False, sample=SAMPLES)]
    assert len(trials) == SAMPLES
    assert not [str(trial) for trial in trials if trial.violations]


def test_the_matrix_refuses_each_operation_with_each_error(tmp_path):
    """No cell of the matrix is empty, and every writing call of the operation is among the refused."""
    bench = errnos.Bench(tmp_path, "append")
    found = bench.faults(random.Random(1), every=False)
    assert {fault.errno for fault in found} == set(errnos.ERRNOS)
    places = {fault.place.rpartition(" ")[2] for fault in found if fault.inject}
    assert {point.file for point in bench.points} <= places | {"later"}


def test_a_program_that_acknowledges_first_and_does_not_catch_is_noticed(tmp_path):
    """Negative control: what was acknowledged and is not there, and a traceback, are both found."""
    bench = errnos.Bench(tmp_path, "append", ack_first=True)
    write = [p for p in bench.points if p.syscall == "write" and p.file.startswith("journal/")][-1]
    fault = errnos.Fault("ENOSPC", f"write:error=ENOSPC:when={write.number}", place=write.file)
    trial = bench.trial(0, fault)
    assert any("a traceback" in violation for violation in trial.violations), str(trial)
    assert any("is not there" in violation for violation in trial.violations), str(trial)
