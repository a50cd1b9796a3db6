"""`holdfast rebuild`."""

from __future__ import annotations

import click

from holdfast.catch_up import ImportReport
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context


@click.command("rebuild", help=COMMANDS["rebuild"][1])
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.option(
    "--set-aside",
    is_flag=True,
    help="Keep a store that a newer Holdfast made beside, as store-N.db.newer, and fold one for this version.",
)
@click.option(
    "--background",
    is_flag=True,
    hidden=True,
    help="Only what is due for this version, without progress; commands start it for long journals.",
)
@click.pass_obj
def command(context: Context, as_json: bool, set_aside: bool, background: bool) -> None:  # noqa: FBT001
    line = terminal.ProgressLine("folding")
    last = ImportReport()

    def report(progress: ImportReport) -> None:
        last.folding = progress.folding
        if not background:
            line.show(progress)

    try:
        done = context.home.rebuild(report, only_if_due=background, set_aside=set_aside)
    finally:
        line.done()
    if not done:
        raise answers.busy(context.home)
    records = 0 if last.folding is None else last.folding.records
    if as_json:
        terminal.print_json({"records": records})
    else:
        click.echo(f"{records} records folded into a new store")
