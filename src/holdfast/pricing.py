"""What a request to a model cost, in whole pico-dollars (1e-12 USD), from a price table that ships with us.

`data/prices.json` is LiteLLM's table, trimmed and made exact by `tools/vendor_prices.py`, which also says what
its fields mean. Pico-dollars because the cheapest cached token costs a few thousand of them: every price is a
whole number, so sums are exact and do not depend on their order.

Whatever is not in the table is unknown, and unknown is `None`, never 0. These are list prices: discounts,
batches, regional surcharges and subscriptions are not in them.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

PICO_PER_USD: Final = 10**12
STANDARD_SPEEDS: Final = frozenset({None, "", "standard"})

# Ways of naming the same model at the same list price. A resold model (`groq/…`) is another product.
_PREFIX: Final = re.compile(
    r"(anthropic|openai|gemini|google|deepseek|mistral|mistralai|xai|x-ai|vertex_ai|bedrock)/"
    r"|((us|eu|apac|jp|au|global)\.)?anthropic\."
)
_LONG_CONTEXT: Final = re.compile(r"\[\d+[mk]\]$")  # claude-…[1m]: the same model with a longer window
_REVISION: Final = re.compile(r"^(claude-.+)-v\d+(:\d+)?$")  # Bedrock: claude-…-v1:0
_AT_DATE: Final = re.compile(r"@(20\d{6})$")  # Vertex: claude-…@20250929
_DATE: Final = re.compile(r"-20\d{6}$")


class Figures(msgspec.Struct, frozen=True):
    """Pico-dollars per token; `None` where the table has no figure."""

    input: int
    output: int
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None


class Tier(Figures, frozen=True, kw_only=True):
    """The figures of requests whose input is longer than `above_tokens`."""

    above_tokens: int


class ModelPrice(Figures, frozen=True, kw_only=True):
    """The figures of one model; `web_search` is per search."""

    web_search: int | None = None
    fast: Figures | None = None
    tiers: tuple[Tier, ...] = ()  # smallest threshold first


class PriceTable(msgspec.Struct, frozen=True):
    """All prices, where they are from and of which day."""

    source: str
    licence: str
    date: str
    unit: str
    models: dict[str, ModelPrice]


@cache
def price_table() -> PriceTable:
    """The table that ships with this version, read on first use."""
    packed = (resources.files("holdfast") / "data" / "prices.json").read_bytes()
    return msgspec.json.decode(packed, type=PriceTable)


def price(
    model: str,
    input: int,  # noqa: A002 - the words of the table; nothing here reads from a terminal
    output: int,
    cache_read: int,
    cache_write_5m: int,
    cache_write_1h: int,
    web_searches: int = 0,
    speed: str | None = None,
) -> int | None:
    """What one request cost in pico-dollars; `None` when that cannot be known.

    Prices may depend on how long the input was, so sum over requests: never price a sum of tokens.

    Args:
        model: its name as the client wrote it.
        input: tokens sent that were neither read from nor written to the prompt cache.
        output: tokens received, thinking included.
        cache_read: tokens read from the prompt cache.
        cache_write_5m: tokens written to it for five minutes, or for as long as the provider's default is.
        cache_write_1h: tokens written to it for an hour.
        web_searches: searches the provider ran on the model's behalf.
        speed: "fast" for the faster, dearer service; `None` or "standard" for the usual one.
    """
    known = find_model(model)
    if known is None:
        return None
    figures = _figures(known, speed, input + cache_read + cache_write_5m + cache_write_1h)
    if figures is None:
        return None
    counts_and_prices = (
        (input, figures.input),
        (output, figures.output),
        (cache_read, figures.cache_read),
        (cache_write_5m, figures.cache_write_5m),
        (cache_write_1h, figures.cache_write_1h),
        (web_searches, known.web_search),
    )
    cost = 0
    for count, each in counts_and_prices:
        if count == 0:
            continue
        if each is None or count < 0:
            return None
        cost += count * each
    return cost


def find_model(name: str) -> ModelPrice | None:
    """The model of that name, by any of its exact spellings; `None` if the table lacks it."""
    models = price_table().models
    return next((models[spelling] for spelling in _spellings(name) if spelling in models), None)


def format_usd(pico: int | None) -> str:
    """Dollars for people: "$12.35", below a dollar "$0.0269", "<$0.0001", and "unknown" for `None`."""
    if pico is None:
        return "unknown"
    if pico < 0:
        return f"-{format_usd(-pico)}"
    if pico == 0:
        return "$0.00"
    if pico < PICO_PER_USD // 10_000:
        return "<$0.0001"
    decimals = 4 if pico < PICO_PER_USD else 2
    unit = PICO_PER_USD // 10**decimals
    dollars, rest = divmod((pico + unit // 2) // unit, 10**decimals)
    return f"${dollars:,}.{rest:0{decimals}d}"


def _spellings(name: str) -> Iterator[str]:
    """The name as given, then with less and less around it; only whole, known parts are taken off."""
    yield name
    bare = name
    while match := _PREFIX.match(bare):
        bare = bare[match.end() :]
    bare = _LONG_CONTEXT.sub("", bare)
    yield bare
    bare = _AT_DATE.sub(r"-\1", _REVISION.sub(r"\1", bare))
    yield bare
    yield _DATE.sub("", bare)


def _figures(model: ModelPrice, speed: str | None, input_tokens: int) -> Figures | None:
    """The figures for a request of that speed and total input, or `None` if they are not known."""
    if speed == "fast":
        return model.fast
    if speed not in STANDARD_SPEEDS:
        return None
    reached = [tier for tier in model.tiers if input_tokens > tier.above_tokens]
    return reached[-1] if reached else model
