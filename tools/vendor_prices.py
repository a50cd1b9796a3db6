"""Write src/holdfast/data/prices.json from the model price table inside a LiteLLM wheel.

    python tools/vendor_prices.py litellm-1.109.1-….whl [litellm-1.77.1-….whl ...] [--date YYYY-MM-DD]

Newer tables drop models that are not sold any more, which old history is full of: models that the first wheel does not have
are taken from the next ones.

Kept are text models of providers that agents talk to directly, under the name the provider gives them;
resold, regional, fine-tuned, speech and image models are left out. A price of LiteLLM is a decimal number
of dollars per token; here it is a whole number of pico-dollars (1e-12 USD), and one that is not whole stops
the run. A figure LiteLLM does not have is left out, never written as 0, and neither is a 0 of its own taken
over: in that table it means that nobody has entered the price, or that the provider has no such charge.

A model's object:

    input, output                        per token
    cache_read                           per token read from the prompt cache
    cache_write_5m, cache_write_1h       per token written to it, by how long it stays
    web_search                           per search; only where the size of its context does not matter
    fast                                 the same per-token figures for requests answered at speed "fast"
    tiers                                [{above_tokens, …the same per-token figures…}], smallest first:
                                         they replace all of the above when a request's input is longer
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

TABLE = "litellm/model_prices_and_context_window_backup.json"
TARGET = Path(__file__).resolve().parent.parent / "src" / "holdfast" / "data" / "prices.json"
PICO = Decimal(10) ** 12
MODES = {"chat", "completion", "responses"}
# Which of a provider's models, by the name without the provider's prefix.
WANTED = {
    "anthropic": re.compile(r"claude-"),
    "openai": re.compile(r"(gpt-|chatgpt-|codex-|o\d)"),
    "gemini": re.compile(r"gemini-\d|gemini-.*latest"),
    "deepseek": re.compile(r"deepseek-"),
    "mistral": re.compile(r"(open-)?(mistral|ministral|codestral|devstral|magistral|pixtral)-"),
    "xai": re.compile(r"grok-"),
}
UNWANTED = re.compile(r"audio|tts|realtime|image|voxtral|streaming|omni-")
# Our name -> LiteLLM's; a tier's key has `_above_<N>k_tokens` after it.
FIGURES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
}
TIER = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")


def pico_dollars(price: Decimal | int) -> int:
    """The same price in pico-dollars.

    Raises:
        ValueError: it is negative, or not a whole number of them.
    """
    exact = Decimal(price) * PICO
    if exact < 0 or exact != exact.to_integral_value():
        raise ValueError(f"{price} USD is not a whole number of pico-dollars")
    return int(exact)


def figures(entry: dict[str, Any], suffix: str = "") -> dict[str, int]:
    """The per-token prices of one entry whose keys end in `suffix`."""
    found = {ours: entry.get(theirs + suffix) for ours, theirs in FIGURES.items()}
    return {ours: pico_dollars(price) for ours, price in found.items() if price}


def trimmed(entry: dict[str, Any]) -> dict[str, Any]:
    """One entry of LiteLLM's table as one of ours."""
    model: dict[str, Any] = dict(figures(entry))
    searches = {pico_dollars(price) for price in entry.get("search_context_cost_per_query", {}).values()}
    if len(searches) == 1 and searches != {0}:
        model["web_search"] = searches.pop()
    factor = entry.get("provider_specific_entry", {}).get("fast")
    if factor is not None:
        model["fast"] = {name: pico_dollars(price / PICO * factor) for name, price in figures(entry).items()}
    tiers = sorted(int(match[1]) for match in map(TIER.fullmatch, entry) if match)
    if tiers:
        model["tiers"] = [
            {"above_tokens": kilo * 1000, **figures(entry, f"_above_{kilo}k_tokens")} for kilo in tiers
        ]
        if factor is not None:
            raise ValueError("a model with tiers and a fast variant: decide how the two combine")
    return model


def select(table: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Our models by their providers' own names, sorted.

    LiteLLM lists some twice, with and without a prefix; what one of the two leaves out the other supplies.

    Raises:
        ValueError: the two contradict each other.
    """
    models: dict[str, dict[str, Any]] = {}
    for key, entry in table.items():
        provider = entry.get("litellm_provider", "")
        name = key.removeprefix(f"{provider}/")
        wanted = WANTED.get(provider)
        if wanted is None or not wanted.match(name) or "/" in name or ":" in name:
            continue
        if entry.get("mode") not in MODES or UNWANTED.search(name):
            continue
        model = trimmed(entry)
        if "input" not in model or "output" not in model:
            continue
        known = models.setdefault(name, {})
        contradicted = [field for field in known.keys() & model.keys() if known[field] != model[field]]
        if contradicted:
            raise ValueError(f"{name} has two prices for {', '.join(sorted(contradicted))}")
        known.update(model)
    return dict(sorted(models.items()))


def table_of(wheel: Path) -> dict[str, dict[str, Any]]:
    """The table in a wheel, its prices as they are written there."""
    with zipfile.ZipFile(wheel) as opened:
        table: dict[str, dict[str, Any]] = json.loads(opened.read(TABLE), parse_float=Decimal)
    return table


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Write prices.json from LiteLLM wheels.")
    parser.add_argument("wheel", type=Path, nargs="+", help="the newest first")
    parser.add_argument("--date", type=dt.date.fromisoformat, help="of the prices; default: today (UTC)")
    options = parser.parse_args(arguments)
    found: dict[str, dict[str, Any]] = {}
    for wheel in options.wheel:
        found = select(table_of(wheel)) | found
    versions = [wheel.name.split("-")[1] for wheel in options.wheel]
    head = {
        "source": " and ".join(
            [f"LiteLLM {versions[0]}", *(f"{v} for what it has dropped" for v in versions[1:])]
        ),
        "licence": "MIT",
        "date": str(options.date or dt.datetime.now(dt.UTC).date()),
        "unit": "pico-dollars per token",
    }
    # One model per line: a change of price is one line of a diff.
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    models = [f"    {json.dumps(name)}: {json.dumps(model)}" for name, model in sorted(found.items())]
    TARGET.write_text("\n".join(["{", *lines, '  "models": {', ",\n".join(models), "  }", "}", ""]))
    sys.stdout.write(f"{TARGET}: {len(models)} models, {TARGET.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
