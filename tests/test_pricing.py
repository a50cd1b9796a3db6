"""Prices are exact where they are known, and unknown everywhere else."""

from __future__ import annotations

import importlib.util
import json
import random
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.pricing import find_model, format_usd, price, price_table

TESTS = Path(__file__).resolve().parent
RECORDINGS = TESTS / "data" / "claude-code"
VENDOR_TOOL = TESTS.parent / "tools" / "vendor_prices.py"
COUNTS = st.integers(min_value=0, max_value=10**9)
PICO = 10**12


def requests_of(scenario):
    """(model, usage) of each model message of a recording: the last line of a message speaks for it."""
    messages = {}
    for transcript in sorted((RECORDINGS / scenario).rglob("*.jsonl")):
        for line in transcript.read_text("utf-8").splitlines():
            entry = json.loads(line)
            if entry["type"] == "assistant" and entry["message"]["model"] != "<synthetic>":
                messages[entry["message"]["id"]] = entry["message"]
    return [(message["model"], message["usage"]) for message in messages.values()]


def cost_of(requests):
    cost = 0
    for model, usage in requests:
        one = price(
            model,
            usage["input_tokens"],
            usage["output_tokens"],
            usage["cache_read_input_tokens"],
            usage["cache_creation"]["ephemeral_5m_input_tokens"],
            usage["cache_creation"]["ephemeral_1h_input_tokens"],
        )
        assert one is not None
        cost += one
    return cost


def reported_cost(scenario):
    """What the client itself said at the end, in pico-dollars: the last cost-state, its costUSD summed."""
    states = [
        json.loads(line)
        for transcript in (RECORDINGS / scenario / "transcript").glob("*.jsonl")
        for line in transcript.read_text("utf-8").splitlines()
        if '"cost-state"' in line
    ]
    return round(sum(Decimal(str(use["costUSD"])) for use in states[-1]["modelUsage"].values()) * PICO)


@pytest.mark.parametrize(
    "scenario",
    [
        "api-error-400",
        "async-subagents",
        "foreground-nested-subagents",
        "max-turns",
        "sigterm-during-tool",
        "task-tools",
    ],
)
def test_the_price_of_a_recorded_session_is_what_its_client_reported(scenario):
    """Main agent and subagents, two models, cache reads and writes: equal to the billionth of a dollar."""
    assert abs(cost_of(requests_of(scenario)) - reported_cost(scenario)) <= PICO // 10**9


def test_a_fork_costs_what_it_added():
    """The copied message was paid for by the original."""
    copied, *own = requests_of("fork-after-kill9")
    assert cost_of(own) == reported_cost("fork-after-kill9")
    assert cost_of([copied]) > 0


def test_a_session_killed_and_resumed_costs_both_parts():
    """The client starts again at zero after a kill, and counts two compaction requests it does not write down."""
    compaction = cost_of(
        [
            (
                "claude-opus-5-5",
                {
                    "input_tokens": 220,
                    "output_tokens": 42,
                    "cache_read_input_tokens": 2200,
                    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0},
                },
            )
        ]
    )
    killed = cost_of(requests_of("kill9-during-tool"))
    whole = cost_of(requests_of("resume-after-kill9-and-compact"))
    assert whole - killed == reported_cost("resume-after-kill9-and-compact") - compaction


def test_a_message_cut_short_lacks_the_output_nobody_wrote_down():
    """Interrupted while streaming: the transcript keeps the placeholder, the client knew 63 tokens more."""
    scenario = "tui-esc-interrupts-sigterm"
    assert reported_cost(scenario) - cost_of(requests_of(scenario)) == 63 * 20_000_000


def test_the_table_says_where_it_is_from():
    table = price_table()
    assert table.source.startswith("LiteLLM ")
    assert table.licence == "MIT"
    assert table.unit == "pico-dollars per token"
    assert len(table.date) == 10


def test_every_model_has_whole_prices_above_zero():
    """A 0 would turn an unknown price into a free model."""
    for name, model in price_table().models.items():
        for figures in (model, model.fast, *model.tiers):
            if figures is None:
                continue
            given_prices = [
                figures.input,
                figures.output,
                figures.cache_read,
                figures.cache_write_5m,
                figures.cache_write_1h,
            ]
            assert all(each is None or each > 0 for each in given_prices), name
        thresholds = [tier.above_tokens for tier in model.tiers]
        assert thresholds == sorted(set(thresholds)), name


@pytest.mark.parametrize(
    "spelling",
    [
        "claude-opus-4-5-20251101",
        "anthropic/claude-opus-4-5",
        "us.anthropic.claude-opus-4-5-20251101-v1:0",
        "bedrock/eu.anthropic.claude-opus-4-5-20251101-v1:0",
        "vertex_ai/claude-opus-4-5@20251101",
        "claude-opus-4-5@20251101",
        "claude-opus-4-5-20991231",
        "claude-opus-4-5[1m]",
        "claude-opus-4-5-20251101[1m]",
    ],
)
def test_a_model_is_found_by_its_other_spellings(spelling):
    assert find_model(spelling) == find_model("claude-opus-4-5") is not None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "claude",
        "claude-opus",
        "claude-opus-4-55",
        "claude-opus-4-5-preview",
        "claude-opus-4-5-2025",
        "my-claude-opus-4-5",
        "groq/claude-opus-4-5",
        "gpt-5-v2",
        "gpt-5-turbo-max",
        "<synthetic>",
        "anthropic/",
    ],
)
def test_a_name_that_only_resembles_a_model_is_unknown(name):
    """A guess from a similar name would be a wrong bill."""
    assert find_model(name) is None
    assert price(name, 1, 1, 0, 0, 0) is None


def test_a_needed_price_that_is_missing_makes_the_cost_unknown():
    """gpt-5 has no price for cache writes or searches: without them it can be priced, with them it cannot."""
    assert price("gpt-5", 10, 10, 10, 0, 0) is not None
    assert price("gpt-5", 10, 10, 10, 1, 0) is None
    assert price("gpt-5", 10, 10, 10, 0, 1) is None
    assert price("claude-haiku-4-5", 10, 10, 10, 0, 0, web_searches=1) is None


def test_a_search_costs_a_cent():
    assert price("claude-opus-5-5", 0, 0, 0, 0, 0, web_searches=3) == 3 * PICO // 100


def test_an_hour_in_the_cache_costs_more_than_five_minutes():
    assert price("claude-opus-5-5", 0, 0, 0, 1_000_000, 0) == 5 * PICO
    assert price("claude-opus-5-5", 0, 0, 0, 0, 1_000_000) == 8 * PICO


def test_a_long_input_is_dearer_for_all_of_the_request():
    """Cached input counts towards the threshold, and the threshold itself still belongs to the lower tier."""
    assert price("claude-haiku-5-5", 40_000, 1_000, 50_000, 6_000, 4_000) == (
        40_000 * 100_000 + 1_000 * 500_000 + 50_000 * 10_000 + 6_000 * 125_000 + 4_000 * 200_000
    )
    assert price("claude-haiku-5-5", 40_001, 1_000, 50_000, 6_000, 4_000) == 5 * (
        40_001 * 100_000 + 1_000 * 500_000 + 50_000 * 10_000 + 6_000 * 125_000 + 4_000 * 200_000
    )


def test_speed_changes_the_price_or_makes_it_unknown():
    """Fast is dearer where its price is known; a speed nobody has a price for is not charged as the usual one."""
    usual = price("claude-opus-5-5", 100, 100, 100, 100, 100)
    assert usual is not None
    assert price("claude-opus-5-5", 100, 100, 100, 100, 100, speed="standard") == usual
    assert price("claude-opus-5-5", 100, 100, 100, 100, 100, speed="fast") == 2 * usual
    assert price("claude-haiku-5-5", 100, 100, 100, 100, 100, speed="fast") is None
    assert price("claude-opus-5-5", 100, 100, 100, 100, 100, speed="ludicrous") is None


def test_a_negative_count_has_no_price():
    assert price("claude-opus-5-5", -1, 0, 0, 0, 0) is None


@given(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS), st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS))
def test_without_tiers_the_price_of_a_sum_is_the_sum_of_the_prices(one, other):
    """Whole numbers: nothing is lost however requests are grouped."""
    both = [left + right for left, right in zip(one, other, strict=True)]
    apart = [price("claude-opus-5-5", *counts) for counts in (one, other)]
    assert price("claude-opus-5-5", *both) == sum(each for each in apart if each is not None)


@given(st.sampled_from(sorted(price_table().models)), COUNTS, COUNTS)
def test_nothing_is_free(model, input_tokens, output_tokens):
    cost = price(model, input_tokens, output_tokens, 0, 0, 0)
    assert cost is not None
    assert (cost > 0) == (input_tokens + output_tokens > 0)


@pytest.mark.parametrize(
    ("pico", "text"),
    [
        (None, "unknown"),
        (0, "$0.00"),
        (1, "<$0.0001"),
        (PICO // 10_000 - 1, "<$0.0001"),
        (PICO // 10_000, "$0.0001"),
        (26_925_000_000, "$0.0269"),
        (PICO - 1, "$1.0000"),
        (PICO, "$1.00"),
        (12_345_000_000_000, "$12.35"),
        (1_234_567 * PICO, "$1,234,567.00"),
        (-2 * PICO, "-$2.00"),
    ],
)
def test_dollars_are_written_for_people(pico, text):
    assert format_usd(pico) == text


@pytest.fixture(scope="module")
def vendor_prices():
    spec = importlib.util.spec_from_file_location("vendor_prices", VENDOR_TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(**fields):
    return {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "input_cost_per_token": Decimal("1e-06"),
        "output_cost_per_token": Decimal("5e-06"),
    } | fields


def test_vendoring_keeps_direct_text_models_under_their_own_names(vendor_prices):
    table = {
        "claude-x": entry(),
        "anthropic/claude-x": entry(cache_read_input_token_cost=Decimal("1e-07")),
        "us.anthropic.claude-x": entry(litellm_provider="bedrock"),
        "claude-picture": entry(mode="image_generation"),
        "claude-free": entry(input_cost_per_token=0, output_cost_per_token=0),
        "ft:gpt-x": entry(litellm_provider="openai"),
        "gpt-audio": entry(litellm_provider="openai"),
    }
    assert vendor_prices.select(table) == {
        "claude-x": {"input": 1_000_000, "output": 5_000_000, "cache_read": 100_000}
    }


def test_vendoring_takes_what_was_dropped_from_older_wheels(vendor_prices, tmp_path, monkeypatch):
    """A model of both has the price of the newer one."""
    entry = {"litellm_provider": "anthropic", "mode": "chat", "output_cost_per_token": 2e-06}
    tables = {
        "litellm-2.0.0-py3-none-any.whl": {"claude-new": entry | {"input_cost_per_token": 1e-06}},
        "litellm-1.0.0-py3-none-any.whl": {
            "claude-new": entry | {"input_cost_per_token": 3e-06},
            "claude-old": entry | {"input_cost_per_token": 4e-06},
        },
    }
    for name, table in tables.items():
        with zipfile.ZipFile(tmp_path / name, "w") as wheel:
            wheel.writestr(vendor_prices.TABLE, json.dumps(table))
    monkeypatch.setattr(vendor_prices, "TARGET", tmp_path / "prices.json")
    vendor_prices.main([*(str(tmp_path / name) for name in tables), "--date", "2026-11-21"])
    made = json.loads((tmp_path / "prices.json").read_text())
    assert made["source"] == "LiteLLM 2.0.0 and 1.0.0 for what it has dropped"
    assert {name: model["input"] for name, model in made["models"].items()} == {
        "claude-new": 1_000_000,
        "claude-old": 4_000_000,
    }


def test_vendoring_refuses_two_prices_for_one_model(vendor_prices):
    table = {"claude-x": entry(), "anthropic/claude-x": entry(input_cost_per_token=Decimal("2e-06"))}
    with pytest.raises(ValueError, match="claude-x has two prices for input"):
        vendor_prices.select(table)


def test_vendoring_refuses_a_price_that_is_not_whole(vendor_prices):
    with pytest.raises(ValueError, match="whole number"):
        vendor_prices.pico_dollars(Decimal("1.5e-12"))


def test_vendoring_keeps_tiers_in_order_and_fast_prices(vendor_prices):
    tiers = {
        "input_cost_per_token_above_200k_tokens": Decimal("3e-06"),
        "input_cost_per_token_above_100k_tokens": Decimal("2e-06"),
        "output_cost_per_token_above_100k_tokens": Decimal("6e-06"),
        "output_cost_per_token_above_200k_tokens": Decimal("7e-06"),
        "input_cost_per_token_above_200k_tokens_batches": Decimal("1e-06"),
    }
    shuffled = entry(**dict(random.Random(7).sample(sorted(tiers.items()), len(tiers))))
    assert vendor_prices.trimmed(shuffled)["tiers"] == [
        {"above_tokens": 100_000, "input": 2_000_000, "output": 6_000_000},
        {"above_tokens": 200_000, "input": 3_000_000, "output": 7_000_000},
    ]
    fast = vendor_prices.trimmed(entry(provider_specific_entry={"fast": Decimal("2.5")}))
    assert fast["fast"] == {"input": 2_500_000, "output": 12_500_000}


def test_vendoring_takes_a_search_price_only_if_there_is_one(vendor_prices):
    """Where it depends on the size of the search context, which no usage record tells, it is unknown."""
    sizes = {"search_context_size_low": Decimal("0.005"), "search_context_size_high": Decimal("0.012")}
    assert "web_search" not in vendor_prices.trimmed(entry(search_context_cost_per_query=sizes))
    same = dict.fromkeys(sizes, Decimal("0.01"))
    assert vendor_prices.trimmed(entry(search_context_cost_per_query=same))["web_search"] == PICO // 100
