"""Random histories: each line once, in order; and readers with the usual mistakes are found out."""

from __future__ import annotations

import os
import random

import pytest

from tests.monitor.histories import wrong
from tests.monitor.readers import CommitApart, InodeAndOffset
from tests.monitor.world import AdapterReader, ApiReader

ROUNDS = int(os.environ.get("HOLDFAST_TEST_HISTORIES", "25"))  # `make tail-histories`: 1,000


def seeds(count):
    first = random.SystemRandom().randrange(10**9)
    print(f"seeds from {first}")
    return range(first, first + count)


@pytest.mark.slow
def test_each_line_once_in_order_whatever_happens():
    assert [said for seed in seeds(ROUNDS) if (said := wrong(seed, ApiReader))] == []


@pytest.mark.slow
def test_each_line_once_in_order_through_the_adapter():
    assert [
        said for seed in seeds(max(2, ROUNDS // 50)) if (said := wrong(seed, AdapterReader, steps=30))
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize("reader", [InodeAndOffset, CommitApart])
def test_a_reader_with_a_usual_mistake_is_found_out(reader):
    assert any(wrong(seed, reader) for seed in range(30))
