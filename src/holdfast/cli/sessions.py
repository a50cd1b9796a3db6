"""`holdfast sessions`."""

from __future__ import annotations

import click

from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.cli.overview import sessions_table
from holdfast.store import queries
from holdfast.store.state import STATES


@click.command("sessions", help=COMMANDS["sessions"][1])
@click.option("--state", "wanted", type=click.Choice(STATES), help="Only sessions in this state.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, wanted: str | None, limit: int | None, as_json: bool) -> None:  # noqa: FBT001
    db = answers.ready(context)
    now_us = context.home.now_us()
    found = [
        s
        for s in queries.sessions(db, now_us, context.stale_us, context.home.vitals())
        if wanted in (None, s["state"])
    ]
    if as_json:
        terminal.print_json({"sessions": found[:limit]})
        return
    out = terminal.console()
    out.print(sessions_table(found[:limit], now_us, out.width) if found else "no sessions")
