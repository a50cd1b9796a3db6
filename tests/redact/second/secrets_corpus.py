"""A labelled corpus for judging a redactor of secrets in JSON records, made at random from a seed.

    python -m tests.redact.second.secrets_corpus --seed 1 --stats
    python -m tests.redact.second.secrets_corpus --seed 1 --score --redactor package.module:factory [--json]

The factory returns an object with body(raw: bytes) -> bytes. Each item gets a fresh one; the bodies of one
item are given to it in order. A flush() of the object, if it has one, is called last; its bytes count too.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.redact.second import context, hard, negatives, records
from tests.redact.second import settings as tables
from tests.redact.second.dice import Dice, Filled, Token, chars, fill, tame, wild
from tests.redact.second.envelopes import JSON_STREAMS, TEXT_STREAMS, inner, wrap
from tests.redact.second.tokens import Form, aws_secret, long_forms, pem_forms, simple_forms
from tests.redact.second.views import all_views, decoded_views, fragments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Item", "altered", "decoded_views", "generate", "kept", "leaks"]

CORE_ROUNDS = 2
CONTEXT_EXTRA = 10
HARD_STREAMS = 36
NEGATIVE_ROUNDS = 2


@dataclass(frozen=True)
class Item:
    """One examination question: records, and what must vanish from them or stay in them."""

    name: str
    label: str
    tier: str
    form: str
    carrier: str
    bodies: tuple[bytes, ...]
    cores: tuple[str, ...]
    keep: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How to make one item; made again with other secrets when they meet their surroundings by chance."""

    name: str
    tier: str
    form: str
    make: Callable[[Dice], tuple[str, tuple[bytes, ...], Filled]]


def variables(dice: Dice, form: Form) -> dict[str, str]:
    """Draw the name of a variable for a form, and the same name in camel case."""
    name = dice.around.choice(form.variables)
    if name.isupper():
        name = dice.around.choice(["", "", "", "ACME_", "PROD_", "MY_"]) + name
    if dice.around.random() < 0.12:
        name = name.lower()
    first, *rest = name.lower().split("_")
    return {"key": name, "var": first + "".join(part.capitalize() for part in rest)}


def wrapped(
    dice: Dice, setting: str, kind: str, filled: Filled, place: int
) -> tuple[str, tuple[bytes, ...], Filled]:
    """Put a filled text into a record."""
    envelope, body = wrap(dice, kind, filled.text, place)
    return f"{setting}>{envelope}", (body,), filled


def token_plan(form: Form, setting: tuple, place: int, name: str) -> Plan:
    """Plan a token of a provider in a setting."""
    title, kind, template = setting

    def make(dice: Dice) -> tuple[str, tuple[bytes, ...], Filled]:
        given = {"val": form.make(dice.secret), **variables(dice, form)}
        return wrapped(dice, title, kind, fill(dice, template, given), place)

    return Plan(name, "hard" if title == "b64-key" else "core", form.name, make)


def aws_plan(setting: tuple, place: int, name: str) -> Plan:
    """Plan a key pair of AWS in a setting."""
    title, kind, template = setting

    def make(dice: Dice) -> tuple[str, tuple[bytes, ...], Filled]:
        ident = chars(dice.secret, "T16")
        session = "IQoJb3JpZ2luX2Vj" + chars(dice.secret, "b300")
        prefix = "ASIA" if "{{session}}" in template else dice.around.choice(["AKIA", "AKIA", "ASIA"])
        given = {
            "id": Token(prefix + ident, (ident,)),
            "secret": aws_secret(dice.secret),
            "session": Token(session, (session[16:],)),
        }
        return wrapped(dice, title, kind, fill(dice, template, given), place)

    return Plan(name, "core", title.replace("aws-", "aws-pair-"), make)


def core_plans(dice: Dice) -> Iterator[Plan]:
    """Plan the core tier: each form in several settings."""
    rng = dice.around
    keyed, bare = list(tables.KEYED), list(tables.BARE)
    urlish, bulky = list(tables.URLISH), list(tables.BULKY)
    for settings in (keyed, bare, urlish, bulky):
        rng.shuffle(settings)
    place = rng.randrange(100)
    for form in simple_forms() * CORE_ROUNDS:
        place += 1
        use_bare = not form.keyed and (place % 2 == 0)
        pool = bare if use_bare else keyed
        setting = pool[place // 2 % len(pool)] if not form.keyed else pool[(place * 7) % len(pool)]
        yield token_plan(form, setting, place * 3 + place // 12, f"core-{form.name}-{setting[0]}-{place}")
    for form in long_forms() * 3:
        place += 1
        jwt_like = "jwt" in form.name
        pool = [*keyed, *bare] if jwt_like else urlish
        setting = pool[(place * 5) % len(pool)]
        yield token_plan(form, setting, place * 3 + place // 12, f"core-{form.name}-{setting[0]}-{place}")
    for form in pem_forms() * 3:
        place += 1
        pool = [s for s in bulky if not (form.name.startswith("gcp") and s[0] == "python-literal")]
        yield token_plan(
            form,
            pool[place % len(pool)],
            place * 3 + place // 12,
            f"core-{form.name}-{pool[place % len(pool)][0]}-{place}",
        )
    for setting in tables.AWS:
        place += 1
        yield aws_plan(setting, place, f"core-{setting[0]}-{place}")


def row_plan(row: tuple, tier: str, place: int, name: str, given: Callable[[Dice], dict]) -> Plan:
    """Plan an item from a row of a table."""
    form, kind, template = row[:3]

    def make(dice: Dice) -> tuple[str, tuple[bytes, ...], Filled]:
        return wrapped(dice, kind, kind, fill(dice, template, given(dice)), place)

    return Plan(name, tier, form, make)


def context_plans(dice: Dice) -> Iterator[Plan]:
    """Plan the context tier: each row once, some twice in another record."""
    rows = list(context.CONTEXT)
    rows += dice.around.sample(rows, CONTEXT_EXTRA)
    shift = dice.around.randrange(100)
    for place, row in enumerate(rows, shift):
        yield row_plan(row, "context", place, f"context-{row[0]}-{place - shift}", lambda _: {})


def distinctive(dice: Dice) -> tuple[Form, Token]:
    """Draw a provider's token that is recognisable by itself and written on one line without blanks."""
    forms = [form for form in simple_forms() if not form.keyed and "webhook" not in form.name]
    form = dice.around.choice(
        [form for form in forms if form.name not in ("fly", "lark-webhook", "zapier-hook", "slack-workflow")]
    )
    return form, form.make(dice.secret)


def hard_values(what: str) -> Callable[[Dice], dict]:
    """Make the function that draws the secrets of a row of the hard tier."""

    def draw(dice: Dice) -> dict:
        form, made = distinctive(dice)
        _, second = distinctive(dice)
        given: dict = {**variables(dice, form), "second": second}
        if what in ("token", "distinct"):
            given["val"] = made
        elif what == "long":
            text = chars(dice.secret, "A40")
            given["val"] = Token(text, (text,))
        elif what == "wild":
            text = wild(dice.secret)
            given["val"] = Token(text, (text,))
        return given

    return draw


def hard_plans(dice: Dice) -> Iterator[Plan]:
    """Plan the hard tier: each row once, then the streams."""
    shift = dice.around.randrange(100)
    for place, row in enumerate(hard.HARD, shift):
        yield row_plan(row, "hard", place, f"hard-{row[0]}-{place - shift}", hard_values(row[3]))
    for number in range(HARD_STREAMS):
        yield stream_plan(number)


STREAM_TEXTS = [
    ("token-prose", "{=I found this key:=} {{val}} {=in the settings, shall I go on?=}"),
    ("password-assignment", "{=Run it with=} DB_PASSWORD={{val}} {=and tell me what you see.=}"),
    ("header", 'curl -H "Authorization: Bearer {{val}}" {=https://api.acme.test/v1/items=}'),
    ("spoken", "{=ok,=} the password is {{val}} {=as far as I know=}"),
    ("url", "postgres://{=app_rw=}:{{val}}@{=db.internal/orders=} {=is the staging one=}"),
    ("key-block", "{=Here is the key:=}\n{{val}}\n{=Keep it safe.=}"),
]


def stream_secret(number: int, dice: Dice) -> tuple[str, dict]:
    """Draw the secret and the text of a stream."""
    title, template = STREAM_TEXTS[number % len(STREAM_TEXTS)]
    if title == "key-block":
        made = dice.around.choice(pem_forms()[:6]).make(dice.secret)
    elif title in ("token-prose", "header"):
        made = distinctive(dice)[1]
    else:
        text = tame(dice.secret)
        made = Token(text, (text,))
    return template, {"val": made}


def cut(dice: Dice, text: str, cores: tuple[str, ...]) -> list[str]:
    """Cut a text into two to six pieces, at least once within its first core."""
    first = text.index(cores[0])
    inside = first + 2 + int(dice.around.random() * max(1, len(cores[0]) - 3))
    places = {inside} | {
        1 + int(dice.around.random() * (len(text) - 1)) for _ in range(dice.around.randint(0, 4))
    }
    edges = [0, *sorted(place for place in places if 0 < place < len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def stream_plan(number: int) -> Plan:
    """Plan a secret that is split over consecutive records."""
    streams = {**TEXT_STREAMS, **JSON_STREAMS}
    stream = list(streams)[(number + number // len(STREAM_TEXTS)) % len(streams)]
    title = STREAM_TEXTS[number % len(STREAM_TEXTS)][0]

    def make(dice: Dice) -> tuple[str, tuple[bytes, ...], Filled]:
        template, given = stream_secret(number, dice)
        filled = fill(dice, template, given)
        text = inner(dice.around, {"command": filled.text}) if stream in JSON_STREAMS else filled.text
        cores = tuple(core for core in filled.cores if core in text)
        return stream, tuple(streams[stream](dice.around, cut(dice, text, cores))), filled

    return Plan(f"hard-stream-{title}-{stream}-{number}", "hard", f"stream-{title}", make)


def negative_plans(dice: Dice) -> Iterator[Plan]:
    """Plan the negatives: each row in several records, and whole records."""
    shift = dice.around.randrange(100)
    for turn in range(NEGATIVE_ROUNDS):
        for place, row in enumerate(negatives.ALL, shift + 5 * turn):
            yield row_plan(row, "hard-negative", place, f"negative-{row[0]}-{turn}", lambda _: {})
        for form, make in records.RECORDS.items():
            yield record_plan(form, make, turn)


def record_plan(form: str, make_record: Callable, turn: int) -> Plan:
    """Plan a whole record without a secret."""

    def make(dice: Dice) -> tuple[str, tuple[bytes, ...], Filled]:
        return "record", (make_record(dice.around),), Filled("")

    return Plan(f"negative-{form}-{turn}", "hard-negative", form, make)


def collides(cores: tuple[str, ...], others: tuple[bytes, ...]) -> bool:
    """Tell whether a fragment of a core also occurs in the same surroundings around another secret."""
    haystack = "\0".join(all_views(others))
    return any(fragments(core, haystack) for core in cores)


def build(seed: int, plan: Plan) -> Item:
    """Make the item of a plan, with a secret that does not meet its surroundings by chance."""
    for attempt in range(40):
        carrier, bodies, filled = plan.make(Dice.of(seed, plan.name, attempt))
        if plan.tier == "hard-negative":
            return Item(plan.name, "negative", plan.tier, plan.form, carrier, bodies, (), ())
        _, others, _ = plan.make(Dice.of(seed, plan.name, attempt + 1000))
        if filled.cores and not collides(filled.cores, others):
            return Item(
                plan.name, "positive", plan.tier, plan.form, carrier, bodies, filled.cores, filled.keep
            )
    raise ValueError(f"no free secret for {plan.name}")


def generate(seed: int) -> list[Item]:
    """Make the whole corpus of a seed."""
    plans: list[Plan] = []
    for maker in (core_plans, context_plans, hard_plans, negative_plans):
        plans.extend(maker(Dice.of(seed, maker.__name__)))
    return [build(seed, plan) for plan in plans]


def leaks(item: Item, redacted: tuple[bytes, ...]) -> list[str]:
    """Fragments of more than four characters of any core that survive in any reading of the bodies."""
    haystack = "\0".join(all_views(redacted))
    found = [piece for core in item.cores for piece in fragments(core, haystack)]
    return list(dict.fromkeys(found))


def altered(item: Item, redacted: tuple[bytes, ...]) -> bool:
    """Tell whether any body differs from its original."""
    return tuple(item.bodies) != tuple(redacted)


def missing(item: Item, redacted: tuple[bytes, ...]) -> list[str]:
    """The neighbouring texts that did not survive."""
    views = all_views(redacted)
    return [text for text in item.keep if not any(text in view for view in views)]


def kept(item: Item, redacted: tuple[bytes, ...]) -> bool:
    """Tell whether every neighbouring text survives in some reading."""
    return not missing(item, redacted)


def redact(factory: Callable, item: Item) -> tuple[tuple[bytes, ...], str]:
    """Run a fresh redactor over the bodies of an item; returns its outputs and the error, if any."""
    try:
        redactor = factory()
        outputs = [redactor.body(body) for body in item.bodies]
        if hasattr(redactor, "flush"):
            rest = redactor.flush()
            outputs.extend([rest] if isinstance(rest, bytes) and rest else list(rest or []))
        return tuple(outputs), ""
    except Exception as error:  # noqa: BLE001 - whatever a redactor raises is a failure of that item
        return tuple(item.bodies), f"{type(error).__name__}: {error}"


def is_json(body: bytes) -> bool:
    """Tell whether a body is one JSON value."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def judge(item: Item, factory: Callable) -> dict:
    """Examine a redactor with one item."""
    outputs, error = redact(factory, item)
    leaked = leaks(item, outputs) if item.label == "positive" else []
    lost = missing(item, outputs) if item.label == "positive" else []
    false_positive = item.label == "negative" and altered(item, outputs)
    return {
        "item": item,
        "outputs": outputs,
        "error": error,
        "leaked": leaked,
        "lost": lost,
        "false_positive": false_positive,
        "broken_json": not all(is_json(body) for body in outputs),
        "failed": bool(leaked or false_positive or error),
    }


def summary(results: list[dict]) -> dict:
    """Count the results by tier."""
    report: dict = {
        "tiers": {},
        "errors": sum(bool(r["error"]) for r in results),
        "broken_json": sum(r["broken_json"] for r in results),
    }
    for tier in ("core", "context", "hard"):
        rows = [r for r in results if r["item"].tier == tier]
        caught = sum(not r["leaked"] and not r["error"] for r in rows)
        report["tiers"][tier] = {
            "items": len(rows),
            "caught": caught,
            "recall": round(caught / max(1, len(rows)), 4),
        }
    positives = [r for r in results if r["item"].label == "positive"]
    negatives = [r for r in results if r["item"].label == "negative"]
    caught = sum(not r["leaked"] and not r["error"] for r in positives)
    report["recall"] = round(caught / max(1, len(positives)), 4)
    report["positives"], report["negatives"] = len(positives), len(negatives)
    report["false_positives"] = sum(r["false_positive"] for r in negatives)
    report["keep_rate"] = round(sum(not r["lost"] for r in positives) / max(1, len(positives)), 4)
    return report


def failure_record(result: dict) -> dict:
    """A failure as a JSON value."""
    item = asdict(result["item"])
    item["bodies"] = [body.decode("utf-8", "replace") for body in result["item"].bodies]
    outputs = [body.decode("utf-8", "replace") for body in result["outputs"]]
    return {
        **item,
        "result": outputs,
        "leaked": result["leaked"],
        "lost": result["lost"],
        "error": result["error"],
        "false_positive": result["false_positive"],
    }


def print_failure(result: dict) -> None:
    """Print a failure for people."""
    record = failure_record(result)
    reason = (
        "error"
        if record["error"]
        else "altered"
        if record["false_positive"]
        else "leak"
        if record["leaked"]
        else "lost"
    )
    print(f"\n{reason}: {record['name']}  [{record['tier']}] {record['carrier']}")
    for before, after in zip(
        record["bodies"], [*record["result"], *[""] * len(record["bodies"])], strict=False
    ):
        print(f"  body:   {before}\n  result: {after}")
    for label in ("leaked", "lost", "error"):
        if record[label]:
            print(f"  {label}: {record[label]}")


def score(args: argparse.Namespace) -> int:
    """Examine a redactor and print the report."""
    module, _, name = args.redactor.partition(":")
    factory = getattr(importlib.import_module(module), name or "factory")
    results = [judge(item, factory) for item in generate(args.seed)]
    report = summary(results)
    shown = [r for r in results if r["failed"] or (args.lost and r["lost"])]
    if args.json:
        print(
            json.dumps(
                {**report, "failures": [failure_record(r) for r in shown]}, ensure_ascii=False, indent=1
            )
        )
        return 0
    for result in shown:
        print_failure(result)
    print()
    for tier, row in report["tiers"].items():
        print(f"{tier:<8} recall {row['recall']:.2%}  ({row['caught']} of {row['items']})")
    print(
        f"all      recall {report['recall']:.2%}; "
        f"false positives {report['false_positives']} of {report['negatives']}; "
        f"keep rate {report['keep_rate']:.2%}; errors {report['errors']}; broken JSON {report['broken_json']}"
    )
    return 0


def stats(seed: int) -> int:
    """Print the counts of the corpus."""
    items = generate(seed)
    counts = [
        ("tier", Counter(item.tier for item in items)),
        ("form", Counter(f"{item.tier}: {item.form}" for item in items)),
        ("setting", Counter(item.carrier.partition(">")[0] for item in items)),
        ("record", Counter(item.carrier.rpartition(">")[2] for item in items)),
    ]
    for title, counter in counts:
        print(f"\n{title} ({len(counter)})")
        for name, count in sorted(counter.items()):
            print(f"  {count:5} {name}")
    positives = sum(item.label == "positive" for item in items)
    bodies = sum(len(item.bodies) for item in items)
    print(f"\nseed {seed}: {positives} positives, {len(items) - positives} negatives, {bodies} bodies")
    return 0


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stats", action="store_true", help="print counts by tier, form and carrier")
    parser.add_argument("--score", action="store_true", help="examine a redactor")
    parser.add_argument(
        "--redactor", default="tests.redact.second.trivial_redactors:identity", help="module:factory"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--lost", action="store_true", help="list items whose neighbouring text was lost, too"
    )
    args = parser.parse_args()
    sys.path.insert(0, ".")
    return score(args) if args.score else stats(args.seed)


if __name__ == "__main__":
    sys.exit(main())
