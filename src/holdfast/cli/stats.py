"""`holdfast stats`."""

from __future__ import annotations

import re
from typing import Any

import click

from holdfast import clock
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import UsageError
from holdfast.store import queries


@click.command("stats", help=COMMANDS["stats"][1])
@click.option("--since", help="First day (UTC): 2026-11-01, or 7d for the last seven days.")
@click.option("--until", help="Last day (UTC), written alike.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, since: str | None, until: str | None, as_json: bool) -> None:  # noqa: FBT001
    db = answers.ready(context)
    now_us = context.home.now_us()
    found = queries.stats(db, _day(since, now_us, "--since"), _day(until, now_us, "--until"))
    if as_json:
        terminal.print_json(found)
        return
    out = terminal.console()
    _print(out, "Agent types", "agent_type", found["agent_types"], ("agents", "tool_calls", "errors"))
    _print(out, "Models", "model", found["models"], ())
    _print_tools(out, found["tools"])
    _print(out, "Days", "day", found["days"], ("sessions", "tool_calls", "errors"))


def _day(text: str | None, now_us: int, option: str) -> int | None:
    """A day's number since 1970-01-01."""
    if text is None:
        return None
    if found := re.fullmatch(r"(\d{1,5})d", text):
        return int(now_us // clock.DAY_US) - int(found[1])
    day_us = clock.parse_us(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
    if day_us is None:
        raise UsageError(
            f"{option} {text!r} is no day", hint="write it as 2026-11-01, or as 7d for seven days ago"
        )
    return int(day_us // clock.DAY_US)


def _print(out: Any, title: str, key: str, rows: list[dict[str, Any]], counts: tuple[str, ...]) -> None:  # noqa: ANN401
    numbers = (
        *(name.replace("_", " ") for name in counts),
        "calls",
        "input",
        "output",
        "cache read",
        "written",
        "cost",
    )
    made = terminal.table(title, *numbers, right=numbers)
    for row in rows:
        made.add_row(
            terminal.safe(row[key] or "unknown", 40, "bold"),
            *(str(row[name]) for name in counts),
            str(row["llm_calls"]),
            *_token_cells(row["tokens"]),
            terminal.usd(row["cost_usd"], complete=row["cost_complete"]),
        )
    out.print(made)
    out.print()


def _token_cells(tokens: dict[str, Any] | None) -> list[str]:
    """Input, output (≥ where some of it is a lower bound), cache reads, cache writes."""
    if tokens is None or tokens["input"] is None:
        return ["unknown"] * 4
    return [
        terminal.count(tokens["input"]),
        terminal.count(tokens["output"]) + ("≥" if tokens["output_unreliable_calls"] else ""),
        terminal.count(tokens["cache_read"]),
        terminal.count(tokens["cache_write_5m"] + tokens["cache_write_1h"]),
    ]


def _print_tools(out: Any, rows: list[dict[str, Any]]) -> None:  # noqa: ANN401
    numbers = ("calls", "ok", "failed", "denied", "interrupted", "unfinished", "mean")
    made = terminal.table("Tools", *numbers, right=numbers)
    for row in rows:
        mean = row["mean_duration_ms"]
        made.add_row(
            terminal.safe(row["tool"] or "unknown", 40, "bold"),
            str(row["calls"]),
            str(row["completed"]),
            str(row["failed"] or ""),
            str(row["denied"] or ""),
            str(row["interrupted"] or ""),
            str(row["unfinished"] or ""),
            "unknown" if mean is None else f"{mean / 1000:.2f} s",
        )
    out.print(made)
    out.print()
