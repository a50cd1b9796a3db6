"""`holdfast requests list` and `holdfast requests process`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.deploying import Report

_WAIT_MS = 5_000  # for another process that answers


@click.command("list", help=COMMANDS["requests list"][1])
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def listing(context: Context, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import deploying

    found = deploying.listed(context.home)
    if as_json:
        terminal.print_json({"requests": found})
        return
    if not found:
        click.echo("no requests wait, and none was refused")
        return
    table = terminal.table("STATE", "REQUEST", "FILE", "WHY", flexible=("WHY",))
    for one in found:
        table.add_row(
            one["state"], one["request_id"] or "", one["file"], terminal.safe(one["why"] or "", limit=200)
        )
    terminal.console().print(table)


@click.command(
    "process",
    help=f"""{COMMANDS["requests process"][1]}

    Requests are JSON files in `requests/` of the home, answers in `responses/` (docs/format.md). One that was answered is not carried out
    again, however often it comes. Ends with 1 when the system kept one from being answered; it is answered the next time.
    """,
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def processing(context: Context, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import deploying

    out = deploying.process(context.home, wait_ms=_WAIT_MS)
    if as_json:
        terminal.print_json(
            {
                "answers": [msgspec.to_builtins(answer) for answer in out.answers],
                "waiting": out.waiting,
                "troubles": [{"file": file, "why": why} for file, why in out.troubles],
            }
        )
    else:
        _tell(out)
    if out.troubles:
        file, why = out.troubles[0]
        raise HoldfastError(
            f"{terminal.some(len(out.troubles), 'request')} could not be answered: {file}: {why}",
            hint="nothing is lost; repair that, then run this again",
        )
    if out.busy:
        raise HoldfastError(
            "another process answers requests, and has not ended", hint="look again in a moment"
        )


def _tell(out: Report) -> None:
    for answer in out.answers:
        if answer.agent is None:
            terminal.note(f"{terminal.plain(answer.request_id or '(no id)', 60)}: refused: {answer.error}")
        else:
            click.echo(f"{terminal.plain(answer.request_id, 60)}: {answer.status}: agent {answer.agent}")
    if out.waiting:
        terminal.note(
            f"note: {terminal.some(out.waiting, 'file')} not whole yet; looked at again the next time"
        )
    if not (out.answers or out.waiting or out.busy):
        click.echo("no requests wait")


commands = {"requests list": listing, "requests process": processing}
