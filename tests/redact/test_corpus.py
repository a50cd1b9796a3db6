"""What the engine earns on the labelled corpora, and that the corpora can tell a good redactor from a bad one."""

from __future__ import annotations

from functools import cache

import pytest

from tests.redact import trivial_redactors
from tests.redact.engine import Engine
from tests.redact.examine import CORPORA, TIERS, examine, seeds
from tests.redact.secrets_corpus import check

each_corpus = pytest.mark.parametrize("name", CORPORA)


@cache
def items(name, seed):
    return CORPORA[name].generate(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds())
@each_corpus
def test_the_engine_earns_the_promised_marks(name, seed):
    """Recall by tier, look-alikes left alone and neighbours kept are at least what was promised, whatever the seed."""
    print(f"{name} corpus, seed {seed}")
    marks = examine(CORPORA[name], items(name, seed), Engine)
    assert not marks.shortfalls(), marks.report()


@pytest.mark.slow
@each_corpus
def test_a_redactor_that_does_nothing_fails_recall(name):
    """Nothing is caught where nothing is taken out, and nothing else is held against it."""
    marks = examine(CORPORA[name], items(name, 1), trivial_redactors.Identity)
    assert [marks.right[tier] for tier in TIERS] == [0, 0, 0]
    assert [found.split()[0] for found in marks.shortfalls()] == list(TIERS)


@pytest.mark.slow
@each_corpus
def test_a_redactor_that_deletes_everything_fails_on_look_alikes(name):
    """Everything is caught where all is deleted, every look-alike is altered and no neighbour kept."""
    marks = examine(CORPORA[name], items(name, 1), trivial_redactors.DeleteEverything)
    assert [marks.share(tier) for tier in TIERS] == [1, 1, 1]
    assert marks.right["hard-negative"] == 0
    assert [found.split()[0] for found in marks.shortfalls()] == ["kept", "look-alikes"]


@pytest.mark.slow
@each_corpus
def test_a_corpus_is_large_and_varied_enough(name):
    """At least 500 secrets in at least 11 carriers stand against at least 500 look-alikes, all under names of their own."""
    every = items(name, 1)
    positives = [item for item in every if item.label == "positive"]
    assert len(positives) >= 500
    assert len(every) - len(positives) >= 500
    assert len({item.carrier for item in positives}) >= 11
    assert len({item.name for item in every}) == len(every)


@pytest.mark.slow
@each_corpus
def test_a_corpus_is_the_same_for_the_same_seed(name):
    """A failure can be looked at again: the seed says everything."""
    assert CORPORA[name].generate(1) == items(name, 1)


@pytest.mark.slow
def test_the_first_corpus_finds_nothing_wrong_with_itself():
    """Each item is one line of JSON, and the two trivial redactors earn exactly what they should."""
    assert check(1) == []
