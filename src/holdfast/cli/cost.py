"""`holdfast cost`."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import answers, terminal, when
from holdfast.cli.app import COMMANDS, Context
from holdfast.store import costs, queries

if TYPE_CHECKING:
    from holdfast.cli.columns import Cell, Columns

_NUMBERS = ("calls", "input", "output", "cache read", "written", "cost")
_MISSING = "missing"  # a column where something is
_CACHE = ("cache read", "written")
_WIDE = 100  # columns
_NUMBERS_WIDTH, _CACHE_WIDTH, _LEAST_NAME = 68, 21, 12  # columns, gaps included


@click.command("cost", help=COMMANDS["cost"][1])
@click.option("--by", type=click.Choice(costs.BYS), help="What to split the sum by.")
@click.option("--since", help="First moment or day: 2026-11-01, 2026-11-01T14:30:00Z, or 7d.")
@click.option("--until", help="Last moment or day, written alike.")
@click.option("--session", help="Only this session; the start of its id will do.")
@click.option("--utc", is_flag=True, help="Days are UTC instead of this machine's time zone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(
    context: Context,
    by: str | None,
    since: str | None,
    until: str | None,
    session: str | None,
    utc: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    now_us = context.home.now_us()
    zone = UTC if utc else None
    since_us = when.first_us(since, now_us, "--since", zone)
    until_us = when.last_us(until, now_us, "--until", zone)
    db = answers.ready(context)
    only = None if session is None else queries.session_id(db, session)
    question = costs.Question(since_us, until_us, only, zone)
    found = costs.costs(db, question, now_us, by)
    if as_json:
        terminal.print_json(found)
    else:
        _print(found, limited=any((since, until, session)))


def _print(found: dict[str, Any], *, limited: bool) -> None:
    out = terminal.console()
    total = found["total"]
    if not total["llm_calls"] and not total["silent_agents"]:
        out.print("no model calls match" if limited else "no model calls are recorded")
        return
    out.print(_table(found, out.width))
    out.print()
    for line in _notes(found):
        out.print(line, style="dim")


def _table(found: dict[str, Any], width: int) -> Columns:
    """Periods above days, or groups above their total. Where names are long, a narrow terminal gets no cache columns."""
    total, by = found["total"], found["by"]
    narrow = by != "day" and width < _WIDE
    numbers = [name for name in _NUMBERS if not (narrow and name in _CACHE)]
    if total["incomplete_calls"] or total["silent_agents"]:
        numbers.append(_MISSING)
    room = max(_LEAST_NAME, width - (_NUMBERS_WIDTH - _CACHE_WIDTH if narrow else _NUMBERS_WIDTH))

    def add(name: Cell, use: dict[str, Any]) -> None:
        cells = _cells(use)
        made.add_row(name, *(cells[number] for number in numbers))

    head = "when" if found["periods"] else by.replace("-", " ")
    made = terminal.table(head, *numbers, right=tuple(numbers), flexible=(head,))
    for period in found["periods"]:
        add(terminal.safe(period["name"], style="bold"), period)
    if found["periods"] and found["groups"]:
        made.add_row(*[""] * (1 + len(numbers)))
    for group in found["groups"]:
        add(_name(group, by, room), group)
    if not found["periods"]:
        add(terminal.safe("total", style="bold"), total)
    return made


def _name(group: dict[str, Any], by: str, room: int) -> Cell:
    """What a group is called: of a session the title too, of a long path its end."""
    key = group["key"]
    if key is None:
        return terminal.safe("no time" if by == "day" else "unknown")
    if by == "session":
        title = terminal.plain((group["title"] or "(no prompt)").strip(), max(_LEAST_NAME, room - 10))
        return terminal.safe(key[:8] + "  " + title, 200)
    if by == "project" and len(key) > room:
        key = "…" + key[1 - room :]
    return terminal.safe(key, 200)


def _cells(use: dict[str, Any]) -> dict[str, str]:
    """The numbers of a line by column; what is a lower bound bears a `≥` before it."""
    tokens, silent = use["tokens"], use["silent_agents"]
    untold = bool(tokens["unknown_calls"] or silent)
    cut = untold or bool(tokens["output_unreliable_calls"])
    written = [tokens["cache_write_5m"], tokens["cache_write_1h"]]
    return {
        "calls": f"{use['llm_calls']:,}",
        "input": _at_least(terminal.count(tokens["input"]), part=untold),
        "output": _at_least(terminal.count(tokens["output"]), part=cut),
        "cache read": _at_least(terminal.count(tokens["cache_read"]), part=untold),
        "written": _at_least(terminal.count(None if None in written else sum(written)), part=untold),
        "cost": _at_least(terminal.usd(use["cost_usd"]), part=cut or not use["cost_complete"]),
        _MISSING: " ".join(
            [
                *([f"{use['incomplete_calls']:,}"] if use["incomplete_calls"] else []),
                *([f"+{silent:,}"] if silent else []),
            ]
        ),
    }


def _at_least(text: str, *, part: bool) -> str:
    return f"≥{text}" if part and text != "unknown" else text


def _notes(found: dict[str, Any]) -> list[str]:
    zone, notes = found["time_zone"], _why_missing(found["total"])
    if found["by"] == "day" or found["since"] or found["until"]:
        notes.append("Days are UTC." if zone == "UTC" else f"Days are those of {zone}; with --utc, of UTC.")
    return [*notes, f"List prices of {found['prices_of']} ({found['prices_from']})."]


def _why_missing(total: dict[str, Any]) -> list[str]:
    """What `missing` counts, a line for each reason; a call may have more than one."""
    tokens = total["tokens"]
    reasons = (
        (tokens["output_unreliable_calls"], "call", "only a first count of the output tokens is recorded"),
        (tokens["unknown_calls"], "call", "no token counts are recorded"),
        (total["unpriced_calls"], "call", "the price is not known; they are not in the cost"),
        (total["silent_agents"], "subagent", "no call is recorded (behind the +)"),
    )
    told = [f"  {number:,} {word}{'s' * (number > 1)}: {why}" for number, word, why in reasons if number]
    return ["≥ at least, because something is missing:", *told] if told else []
