"""`holdfast attempts`."""

from __future__ import annotations

from typing import Any

import click

from holdfast import clock
from holdfast.cli import agents, terminal
from holdfast.cli.app import COMMANDS, Context


@click.command(
    "attempts",
    help=f"""{COMMANDS["attempts"][1]}

    {agents.HOW_CALLED}
    """,
)
@click.argument("agent")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, agent: str, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import supervising

    home = context.home
    view = supervising.find(home, agent)
    supervising.told_up_to_date(home, [view.look])
    said = supervising.attempts_answer(view)
    if as_json:
        terminal.print_json(said)
        return
    out = terminal.console()
    table = terminal.table(
        "ATTEMPT",
        "STATE",
        "BEGAN",
        "FOR",
        "END",
        "PROCESS",
        right=("ATTEMPT", "FOR", "PROCESS"),
        flexible=("END",),
    )
    for one, life in zip(said["attempts"], view.look.lives, strict=True):
        lost = one["life"] == "lost"
        began_us = clock.parse_us(one["started_at"] or "")
        until_us = clock.parse_us(one["ended_at"] or "") or (None if lost else view.now_us)
        table.add_row(
            str(one["attempt"]),
            terminal.standing(one["state"], life.grade),
            one["started_at"] or "",
            "" if began_us is None or until_us is None else terminal.age(began_us, until_us),
            _end(one),
            "" if one["pid"] is None else str(one["pid"]),
        )
    out.print(table)
    for one in said["attempts"]:
        for left in one["left"]:
            click.echo(
                terminal.plain(
                    f"attempt {one['attempt']} left process {left['pid']} ({left['name']}), which runs on"
                )
            )
    if said["next"]:
        click.echo(terminal.plain(f"next: {said['next']}"))


def _end(one: dict[str, Any]) -> str:
    words = []
    if one["exit_code"] is not None:
        words.append(f"exit code {one['exit_code']}")
    if one["signal"] is not None:
        words.append(f"signal {one['signal']}")
    if one["why"]:
        words.append(one["why"])
    if one["asked"]:
        words.append(f"it was told to end ({one['asked']})")
    return "; ".join(words)
