"""No rule takes more than linear time, whatever stands in a field. `python -m benchmarks redaction --adversarial` has the figures."""

from __future__ import annotations

import json
import os
import time

import pytest

from holdfast.redact import Redactor, rules
from holdfast.redact.redactor import LIMIT_S
from tests.amount import some
from tests.redact import adversary

ALL = (
    "HOLDFAST_TEST_FIELD_CHARS" in os.environ
)  # `make redos`: every field of every rule, of 200,000 characters
LARGE_CHARS = int(os.environ.get("HOLDFAST_TEST_FIELD_CHARS", "40000"))
SMALL_CHARS = LARGE_CHARS // 4
_TIMES = 3  # a large field is measured so often, and the least counts: other work on the machine only adds
GROWTH_LIMIT = 8  # of a field four times as long; a square would be 16
RULES = rules.load()
SHAPES = {adversary.name_of(number, shape): shape for number, shape in enumerate(RULES.shapes)}


@pytest.fixture(scope="module")
def redactor():
    return Redactor(b"key", RULES)


def cost_s(redactor, body: bytes) -> float:
    """Processor time of one cleaning, which must give a record."""
    began = time.process_time()
    cleaned = redactor.clean(body)
    cost = time.process_time() - began
    assert json.loads(cleaned.body)["fields"]["tool"] == "Bash"
    return cost


def faster_than_linear(redactor, make) -> list[str]:
    """The fields that cost more than a linear amount; what one field may cost at most is let pass as noise."""
    found = []
    for (name, small), (_, large) in zip(make(SMALL_CHARS), make(LARGE_CHARS), strict=True):
        small_s = cost_s(redactor, adversary.body(small))
        bodies = [adversary.body(large)] * _TIMES
        large_s = min(cost_s(redactor, body) for body in bodies)
        if large_s > GROWTH_LIMIT * small_s + 2 * LIMIT_S:  # it is looked at twice
            found.append(f"{name}: {small_s * 1e3:.0f} ms, four times as long {large_s * 1e3:.0f} ms")
    return found


def _some(fields):
    """In the suite every third field; which ones differs from rule to rule by how many there are."""
    fields = list(fields)
    return fields if ALL else fields[len(fields) % 3 :: 3]


@pytest.mark.slow
@pytest.mark.parametrize("name", some(SHAPES, len(SHAPES) // 3))
def test_a_rule_costs_no_more_than_linear_time(redactor, name):
    """Fields made to be hard on one rule cost in proportion to their length, and their record remains."""
    assert not faster_than_linear(redactor, lambda size: _some(adversary.fields(SHAPES[name], size)))


@pytest.mark.slow
def test_the_readings_of_a_text_cost_no_more_than_linear_time(redactor):
    """Escapes, colours, wrapped lines, base64 and quotes without end cost in proportion to their length."""
    assert not faster_than_linear(redactor, adversary.general)


@pytest.mark.slow
@pytest.mark.skipif(not ALL, reason="takes minutes: `make redos`")
def test_the_adversary_opens_the_gate():
    """A field that the gate lets by would prove nothing: nearly every one made from a rule is looked at."""
    gate = Redactor(b"key", RULES)._finder.gate
    unopened = [
        name
        for name, shape in SHAPES.items()
        if not any(gate.hits(adversary.body(text)) for _, text in adversary.fields(shape, 2_000))
    ]
    assert unopened == []


def test_square_time_is_found_out():
    """The measure is able to fail: a redactor that takes square time is told."""

    class Square(Redactor):
        def clean(self, body):
            for _ in range((len(body) // 5) ** 2):
                pass
            return super().clean(body)

    found = faster_than_linear(Square(b"key", RULES), lambda size: [("square", "a" * size)])
    assert len(found) == 1
