"""Every scenario, through the tailer and through the adapter's process: each expected line once, none other, in order."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.monitor.scenarios import ALL
from tests.monitor.world import AdapterReader, ApiReader, World

CASES = [pytest.param(each, scope, id=f"{each.id}-{scope}") for each in ALL for scope in each.scopes]


def verdict(scenario, delivered):
    """What is wrong with what was delivered; None: nothing."""
    expected, got = Counter(scenario.expected), Counter(delivered)
    lost, more = expected - got, got - expected
    if lost:
        return f"lost {sum(lost.values())}: {list(lost)[:3]}"
    if sum(more.values()) > scenario.spare:
        return f"{sum(more.values())} too many: {list(more)[:3]}"
    if scenario.order and not scenario.spare and delivered != scenario.expected:
        return "out of order"
    return None


def run(scenario, scope, directory, reader):
    world = World(directory, scope, reader)
    scenario.happens(world)
    return verdict(scenario, world.result())


def test_there_are_enough_of_them_and_each_has_a_name_of_its_own():
    assert len(ALL) >= 105
    assert len({each.id for each in ALL}) == len(ALL)


@pytest.mark.parametrize(("scenario", "scope"), CASES)
def test_each_line_once_in_order(scenario, scope, tmp_path):
    assert run(scenario, scope, tmp_path, ApiReader) is None


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [pytest.param(each, id=each.id) for each in ALL])
def test_each_line_once_in_order_through_the_adapter(scenario, tmp_path):
    assert run(scenario, "directory", tmp_path, AdapterReader) is None
