"""`holdfast rebuild`."""

from __future__ import annotations

import click

from holdfast.catch_up import ImportReport
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import StoreBusy


@click.command("rebuild", help=COMMANDS["rebuild"][1])
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, as_json: bool) -> None:  # noqa: FBT001
    line = terminal.ProgressLine("folding")
    last = ImportReport()

    def report(progress: ImportReport) -> None:
        last.records = progress.records
        line.show(progress)

    try:
        done = context.home.rebuild(report)
    finally:
        line.done()
    if not done:
        raise StoreBusy(
            "another process is importing into this home", hint="wait for it, then run this again"
        )
    if as_json:
        terminal.print_json({"records": last.records})
    else:
        click.echo(f"{last.records} records folded into a new store")
