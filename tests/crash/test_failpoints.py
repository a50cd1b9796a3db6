"""A kill at every failpoint: the next process carries on, nothing acknowledged is lost, the answers are the same.

Who adds a failpoint adds the operation that passes it (`tests/crash/child.py`) to OPERATIONS.
"""

from __future__ import annotations

import random

import pytest

from holdfast.failpoints import NAMES
from tests.crash import sweep

pytestmark = pytest.mark.slow

_SYNC_FAILS = "journal.syncing=error:EIO@1,"
# failpoint → the operation that passes it, and what must go wrong before
OPERATIONS = {
    "home.made": ("append", ""),
    "home.naming": ("append", ""),
    "home.named": ("append", ""),
    "journal.unlocked": ("append", ""),
    "journal.created": ("append", ""),
    "journal.appending": ("append", ""),
    "journal.left": ("rotate", ""),
    "journal.syncing": ("append", ""),
    "journal.naming": ("append", ""),
    "journal.stranded": ("append", _SYNC_FAILS),
    "journal.rescued": ("append", _SYNC_FAILS),
    "blob.created": ("blob", ""),
    "blob.written": ("blob", ""),
    "blob.synced": ("blob", ""),
    "blob.renamed": ("blob", ""),
    "seal.written": ("seal", ""),
    "seal.renamed": ("seal", ""),
    "seal.chained": ("seal", ""),
    "seal.done": ("seal", ""),
    "seal.rewritten": ("retire", ""),
    "rewrite.rewritten": ("retire", ""),
    "rewrite.removing": ("retire", ""),
    "rewrite.copies": ("forget", ""),
    "forget.listed": ("forget", ""),
    "forget.naming": ("forget", ""),
    "forget.ending": ("forget", ""),
    "redact.cleaned": ("redact", ""),
    "home.raising": ("redact", ""),
    "import.taken": ("import-export", ""),
    "export.written": ("export", ""),
    "restore.written": ("restore", ""),
    "restore.linked": ("restore", ""),
    "migrate.copied": ("migrate", ""),
    "migrate.stepped": ("migrate", ""),
    "inbox.taken": ("project-more", ""),
    "inbox.appended": ("project-more", ""),
    "inbox.recorded": ("project-more", ""),
    "import.recorded": ("project", ""),
    "store.created": ("project", ""),
    "store.meeting": ("project", ""),
    "store.folded": ("project", ""),
    "store.committed": ("project", ""),
    "store.rebuilt": ("rebuild", ""),
    "store.linked": ("rebuild", ""),
    "store.published": ("rebuild", ""),
}
_benches: dict[str, sweep.Bench] = {}  # of this process: the undisturbed run of an operation is made once


@pytest.fixture
def bench(tmp_path_factory):
    def bench_of(operation):
        if operation not in _benches:
            seed = f"{random.SystemRandom().randrange(10**6)}"
            directory = tmp_path_factory.mktemp("failpoints")
            _benches[operation] = sweep.Bench(directory, operation, seed, traced=False)
        return _benches[operation]

    return bench_of


_ELSEWHERE = ("tail.", "resume.", "run.", "request.", "cleanup.", "checkpoint.", "definition.")


def test_every_failpoint_has_an_operation_that_passes_it():
    """Those of the tailer, which has no home, are killed at in tests/monitor/test_adapter.py, those of a resume in
    tests/e2e/test_recover_resume.py; those of agents that are started here in tests/e2e/test_run.py, of requests
    for them in tests/e2e/test_requests.py, of removing them in tests/e2e/test_cleanup.py, those of checkpoints in
    tests/e2e/test_checkpoint.py, and those of definitions in tests/e2e/test_revisions.py,
    test_definition_history.py and test_definition_care.py.
    """
    assert set(OPERATIONS) == {name for name in NAMES if not name.startswith(_ELSEWHERE)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_kill_at_a_failpoint_loses_nothing_acknowledged(bench, name):
    operation, before = OPERATIONS[name]
    trial = bench(operation).fail(f"{before}{name}=kill")
    print(f"seed {trial.seed}")
    assert not trial.violations, str(trial)


def test_a_failpoint_that_is_not_passed_is_noticed(bench):
    """Negative control: an operation that never comes by is no pass."""
    trial = bench("append").fail("store.rebuilt=kill")
    assert any("not hit" in violation for violation in trial.violations)
