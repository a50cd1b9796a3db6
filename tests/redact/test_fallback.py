"""Where the `hyperscan` wheel is absent, the same is found, more slowly."""

from __future__ import annotations

import pytest

from holdfast.redact import Redactor, gate, rules
from tests.redact.examine import CORPORA, examine

SEED = 1


def engine_without(monkeypatch):
    """A factory of redactors that share one gate made of `re`; a fresh one has heard of no stream."""
    monkeypatch.setattr(gate, "hyperscan", None)
    made = rules.load()
    shared = Redactor(b"key", made)._finder

    class Engine:
        def __init__(self):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("holdfast.redact.redactor.Finder", lambda *_: shared)
                self._redactor = Redactor(b"key", made)

        def body(self, raw):
            return self._redactor.clean(raw).body

    return Engine


def test_doctor_can_tell_which_engine_is_at_work(monkeypatch):
    """The slower one has a name of its own."""
    monkeypatch.setattr(gate, "hyperscan", None)
    assert gate.engine() == "re"


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPORA)
def test_the_fallback_earns_the_promised_marks(monkeypatch, name):
    """Of every third item: recall, look-alikes and neighbours are as good without hyperscan as with it."""
    print(f"{name} corpus, seed {SEED}")
    marks = examine(CORPORA[name], CORPORA[name].generate(SEED)[::3], engine_without(monkeypatch))
    assert not marks.shortfalls(), marks.report()
