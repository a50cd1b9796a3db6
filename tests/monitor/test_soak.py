"""Kills while a writer writes and rotates: nothing lost, nothing repeated, in order; and mistakes are found out."""

from __future__ import annotations

import os
import random
import sys

import pytest

from tests.monitor.soak import soak

KILLS = int(os.environ.get("HOLDFAST_TEST_TAIL_KILLS", "12"))  # `make tail-soak`: 500

pytestmark = pytest.mark.slow


def run(reader, kills):
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    figures, _ = soak(kills, seed, reader)
    print(figures, file=sys.stderr)
    return figures


def test_each_line_once_in_order_whenever_it_is_killed():
    figures = run("adapter", KILLS)
    assert figures["kills"] >= KILLS
    assert (figures["lost"], figures["repeated"], figures["garbled"], figures["order"]) == (0, 0, 0, "kept")


def test_positions_apart_from_lines_are_found_out():
    figures = run("apart", 15)
    assert figures["lost"] or figures["repeated"] or figures["order"] != "kept"
