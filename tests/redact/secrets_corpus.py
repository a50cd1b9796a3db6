"""The labelled corpus that judges a secret redactor: made anew from a seed, scored by what survives.

python -m tests.redact.secrets_corpus --seed 7 --stats
python -m tests.redact.secrets_corpus --seed 7 --score --redactor module:factory --json
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections import Counter
from itertools import zip_longest

from tests.redact import contexts, documents, hard, negatives, tokens, trivial_redactors
from tests.redact.carriers import carry, carry_keyed
from tests.redact.model import Dice, Item
from tests.redact.scoring import altered, decoded_views, examine, item_views, kept, leaks, lost
from tests.redact.surroundings import SETTINGS, surround, surround_document

__all__ = ["Item", "altered", "decoded_views", "generate", "kept", "leaks", "lost"]

TOKEN_COPIES = 2
DOCUMENT_COPIES = 3
KEYED_EVERY = 3  # so many token forms also come as a JSON value of their own
CONTEXT_COPIES = 2
NEGATIVE_COPIES = 3
# A core must not look like a word a redactor may write in its place, nor like the words around it.
COMMON = "redacted removed password passwd secret token api-key apikey private hidden masked credential basic bearer"


class Draft:
    """What a builder hands back, before the item has its name: form, carrier, bodies, cores, keep."""

    def __init__(self, form, carrier, bodies, cores, keep):
        self.form, self.carrier, self.bodies, self.cores = form, carrier, bodies, cores
        self.keep = tuple(dict.fromkeys(text for text in keep if len(text) > 2))


def generate(seed: int) -> list[Item]:
    """The whole corpus of a seed: the same items, byte for byte, whenever it is called."""
    items: list[Item] = []
    for tier, plans in (("core", _core_plans()), ("context", _context_plans()), ("hard", _hard_plans())):
        for number, (title, build) in enumerate(plans):
            draft = _clean(f"{seed}/{tier}/{title}/{number}", build)
            shown = title if draft.form in title else f"{title}({draft.form})"
            name = f"{tier}/{shown}/{draft.carrier}#{number}"
            items.append(
                Item(name, "positive", tier, title, draft.carrier, draft.bodies, draft.cores, draft.keep)
            )
    return items + negatives.generate(seed, NEGATIVE_COPIES)


def _clean(name: str, build) -> Draft:
    """The first draft none of whose cores' fragments occurs by chance in what surrounds them."""
    for attempt in range(40):
        draft = build(Dice(f"{name}/look/{attempt}"), Dice(f"{name}/key/{attempt}"))
        sibling = build(Dice(f"{name}/look/{attempt}"), Dice(f"{name}/other/{attempt}"))
        if _is_clean(draft, sibling):
            return draft
    raise AssertionError(f"no clean draft of {name}")


def _is_clean(draft: Draft, sibling: Draft) -> bool:
    """Every core is legible in the item, none of its fragments in the same item with another secret."""
    surroundings = Item("", "", "", "", "", sibling.bodies, draft.cores)
    common = Item("", "", "", "", "", (COMMON.encode(),), draft.cores)
    whole = "\x00".join(item_views(draft.bodies))
    legible = all(core in whole for core in draft.cores) and all(text in whole for text in draft.keep)
    return legible and not leaks(surroundings, sibling.bodies) and not leaks(common, common.bodies)


def _core_plans():
    settings = tuple(SETTINGS)
    turn = 0
    for number, (form, make) in enumerate(tokens.makers()):
        for copy in range(TOKEN_COPIES):
            yield form, _token_plan(make, settings[turn % len(settings)])
            turn += 1 + copy
        if number % KEYED_EVERY == 0:
            yield form, _keyed_plan(make)
    for form, make in documents.makers():
        for _ in range(DOCUMENT_COPIES):
            yield form, _document_plan(make)


def _token_plan(make, setting: str):
    def build(look: Dice, key: Dice) -> Draft:
        secret = make(look, key)
        snippet = surround(secret, look, setting)
        carrier, record = carry(look, snippet)
        return Draft(secret.form, carrier, (record,), secret.cores, snippet.keep)

    return build


def _keyed_plan(make):
    def build(look: Dice, key: Dice) -> Draft:
        secret = make(look, key)
        name = look.pick(secret.names)
        name = look.pick((name, name.lower()))
        carrier, record = carry_keyed(look, name, secret.text)
        return Draft(secret.form, carrier, (record,), secret.cores, (name, *secret.keep))

    return build


def _document_plan(make):
    def build(look: Dice, key: Dice) -> Draft:
        secret = make(look, key)
        one_line = "\n" not in secret.text and "{" not in secret.text
        if one_line and look.random() < 0.75:
            snippet = surround(secret, look, look.pick(tuple(SETTINGS)))
        else:
            snippet = surround_document(secret, look)
        carrier, record = carry(look, snippet)
        return Draft(secret.form, carrier, (record,), secret.cores, snippet.keep)

    return build


def _context_plans():
    for form, (_, _, templates) in contexts.FORMS.items():
        copies = max(CONTEXT_COPIES, (len(templates) + 1) // 2)
        for copy in range(copies):
            yield form, _context_plan(form, copy, len(templates))
    for _ in range(16):
        yield "generic-json-value", _keyed_plan(contexts.generic_secret)


def _context_plan(form: str, copy: int, count: int):
    def build(look: Dice, key: Dice) -> Draft:
        template = copy * 2 + look.randrange(2) if count > 2 else copy
        secret, snippet = contexts.contextual(form, template, look, key)
        carrier, record = carry(look, snippet)
        return Draft(secret.form, carrier, (record,), secret.cores, snippet.keep)

    return build


def _hard_plans():
    for title, (make, copies) in hard.BUILDERS.items():
        for _ in range(copies):
            yield title, _hard_plan(make)


def _hard_plan(make):
    def build(look: Dice, key: Dice) -> Draft:
        return Draft(*make(look, key))

    return build


# The command line


def _load(name: str):
    module, _, attribute = name.partition(":")
    sys.path.insert(0, ".")
    return getattr(importlib.import_module(module), attribute or "factory")


def _print_stats(items: list[Item]) -> None:
    for heading, count in (
        ("tier", Counter(item.tier for item in items)),
        ("form", Counter(f"{item.tier}/{item.form}" for item in items)),
        ("setting", Counter(item.carrier.split("/")[0] for item in items)),
        ("carrier", Counter(item.carrier.split("/")[-1] for item in items)),
    ):
        print(f"# by {heading}: {len(count)} kinds, {sum(count.values())} items")
        for name, number in sorted(count.items()):
            print(f"{number:6}  {name}")
    several = [len(item.bodies) for item in items if len(item.bodies) > 1]
    print(f"# streams: {len(several)} items of {min(several)} to {max(several)} bodies")


def _print_report(report: dict) -> None:
    for one in report["failures"]:
        print(f"--- {one['name']}")
        for before, after in zip_longest(one["bodies"], one["result"], fillvalue="(nothing)"):
            print(f"  body    {before}\n  result  {after}")
        for word in ("leaked", "lost", "altered", "raised"):
            if word in one:
                print(f"  {word:7} {one[word]}")
    for name, value in report["summary"].items():
        print(f"{name}: {value}")


def check(seed: int) -> list[str]:
    """What is wrong with the corpus itself; empty when nothing is."""
    items = generate(seed)
    wrong = [] if items == generate(seed) else ["two calls with one seed differ"]
    wrong += [
        f"name used twice: {name}" for name, count in Counter(one.name for one in items).items() if count > 1
    ]
    wrong += [f"not one line of JSON: {one.name}" for one in items for raw in one.bodies if not _is_line(raw)]
    untouched = examine(trivial_redactors.Identity, items)["summary"]
    nothing = examine(trivial_redactors.DeleteEverything, items)["summary"]
    if (untouched["recall"], untouched["keep_rate"], untouched["false_positives"]) != (0.0, 1.0, 0):
        wrong.append(f"identity earns {untouched}")
    if (nothing["recall"], nothing["false_positives"]) != (1.0, nothing["negatives"]):
        wrong.append(f"deleting everything earns {nothing}")
    return wrong


def _is_line(raw: bytes) -> bool:
    return b"\n" not in raw and isinstance(json.loads(raw), dict)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stats", action="store_true", help="counts by tier, form and carrier")
    parser.add_argument("--check", action="store_true", help="examine the corpus itself")
    parser.add_argument("--score", action="store_true", help="put a redactor through the corpus")
    parser.add_argument(
        "--redactor", default="tests.redact.trivial_redactors:Identity", help="module:factory"
    )
    parser.add_argument("--json", action="store_true", help="the report of --score for machines")
    parser.add_argument("--brief", action="store_true", help="the summary of --score without the failures")
    chosen = parser.parse_args(arguments)
    items = generate(chosen.seed)
    if chosen.stats:
        _print_stats(items)
    if chosen.check:
        wrong = check(chosen.seed)
        print("\n".join(wrong) or "the corpus is sound")
        if wrong:
            return 1
    if chosen.score:
        report = examine(_load(chosen.redactor), items)
        if chosen.brief:
            report = {"summary": report["summary"], "failures": []}
        if chosen.json:
            print(json.dumps(report, ensure_ascii=False, indent=1))
        else:
            _print_report(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
