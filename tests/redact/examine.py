"""Put a redactor through the labelled corpora, and print what it earns: `make redaction`.

Two corpora, by two authors who knew neither the rules nor each other's: `tests/redact/secrets_corpus.py` and
`tests/redact/second/secrets_corpus.py`. Both are made anew from a seed. A secret is caught when no fragment of more than
four characters of it survives in any reading of the records; a look-alike must come back byte for byte.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.redact import secrets_corpus as first
from tests.redact.second import secrets_corpus as second

CORPORA = {"first": first, "second": second}
TIERS = ("core", "context", "hard")
LEAST = {"core": 0.995, "context": 0.96, "hard": 0.90, "kept": 0.98}
MOST_ALTERED = 0.005
SEEDS = (1, 7)


class Fault(NamedTuple):
    """What a redactor got wrong in one item."""

    tier: str
    form: str
    name: str
    what: str  # "leaked", "altered", "lost", "no JSON", "raised"
    shown: str


@dataclass
class Marks:
    """What a redactor earned on one corpus."""

    asked: Counter[str] = field(default_factory=Counter)  # by tier, and "kept", "hard-negative"
    right: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def share(self, mark: str) -> float:
        return self.right[mark] / self.asked[mark]

    def shortfalls(self) -> list[str]:
        """Which promised figures are missed; none: all are met."""
        missed = [
            f"{mark} {self.share(mark):.2%} < {least:.1%}"
            for mark, least in LEAST.items()
            if self.share(mark) < least
        ]
        if 1 - self.share("hard-negative") > MOST_ALTERED:
            missed.append(f"look-alikes altered {1 - self.share('hard-negative'):.2%} > {MOST_ALTERED:.1%}")
        return missed + [
            f"{fault.name}: {fault.what}" for fault in self.faults if fault.what in {"no JSON", "raised"}
        ]

    def by_form(self, *what: str) -> list[str]:
        """How often each form went wrong, the most frequent first."""
        found = Counter((fault.what, fault.tier, fault.form) for fault in self.faults if fault.what in what)
        return [f"{count:3}  {what:8} {tier:14} {form}" for (what, tier, form), count in found.most_common()]

    def report(self) -> str:
        lines = [
            *self.shortfalls(),
            *self.by_form("leaked", "altered", "lost", "no JSON", "raised"),
            *(f"{fault.what}: {fault.name}: {fault.shown}" for fault in self.faults),
        ]
        return "\n".join(lines)


def examine(corpus, items, factory) -> Marks:
    """Every item through a fresh redactor, its bodies in order."""
    marks = Marks()
    for item in items:
        redactor = factory()
        try:
            given = tuple(redactor.body(body) for body in item.bodies)
        except Exception as error:  # noqa: BLE001 - whatever a redactor raises is a fault of that item
            marks.asked[item.tier] += 1
            marks.faults.append(Fault(item.tier, item.form, item.name, "raised", repr(error)))
            continue
        _mark(marks, corpus, item, given)
    return marks


def _mark(marks, corpus, item, given):
    marks.asked[item.tier] += 1
    if not all(_is_json(body) for body in given):
        marks.faults.append(_fault(item, "no JSON", given))
    if item.label == "negative":
        altered = corpus.altered(item, given)
        marks.right[item.tier] += not altered
        if altered:
            marks.faults.append(_fault(item, "altered", given))
        return
    leaked, kept = corpus.leaks(item, given), corpus.kept(item, given)
    marks.right[item.tier] += not leaked
    marks.asked["kept"] += 1
    marks.right["kept"] += kept
    if leaked:
        marks.faults.append(_fault(item, "leaked", given, leaked))
    if not kept:
        marks.faults.append(_fault(item, "lost", given))


def _fault(item, what, given, more=""):
    shown = b" | ".join(given).decode("utf-8", "replace")
    return Fault(item.tier, item.form, item.name, what, f"{more} {shown}"[:1200])


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def seeds() -> tuple[int, ...]:
    """The fixed seeds, and one that HOLDFAST_TEST_SEED adds."""
    added = os.environ.get("HOLDFAST_TEST_SEED")
    return SEEDS if added is None else (*SEEDS, int(added))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds(), help="(default: %(default)s)")
    parser.add_argument("--redactor", default="tests.redact.engine:Engine", help="module:factory")
    parser.add_argument("--faults", action="store_true", help="show each item that went wrong")
    given = parser.parse_args()
    module, _, attribute = given.redactor.partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    every = Marks()
    print(f"{'corpus':8} {'seed':>5} {'core':>8} {'context':>8} {'hard':>8} {'kept':>8} {'altered':>12}")
    print(f"{'asked':14} {'>= 99.5%':>8} {'>= 96%':>8} {'>= 90%':>8} {'>= 98%':>8} {'<= 0.5%':>12}")
    for name, corpus in CORPORA.items():
        for seed in given.seeds:
            marks = examine(corpus, corpus.generate(seed), factory)
            every.faults += marks.faults
            print(_row(name, seed, marks))
    print("\n".join(["", *every.by_form("leaked", "altered", "lost", "no JSON", "raised")]))
    if given.faults:
        print("\n".join(f"\n{fault.what}: {fault.name}\n  {fault.shown}" for fault in every.faults))


def _row(name: str, seed: int, marks: Marks) -> str:
    shares = " ".join(f"{marks.share(mark):8.2%}" for mark in (*TIERS, "kept"))
    asked, right = marks.asked["hard-negative"], marks.right["hard-negative"]
    return f"{name:8} {seed:5} {shares} {asked - right:5} of {asked}"


if __name__ == "__main__":
    main()
