"""`holdfast definitions purge`."""

from __future__ import annotations

import click

from holdfast import clock, definition_purge
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.cli.definition_history import json_option, up_to_date


@click.command(
    "purge",
    help=COMMANDS["definitions purge"][1]
    + "\n\nWhat lies somewhere now, and what a snapshot names, is kept however old it is. Revisions stay in the history, with `content removed`.",
)
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=click.IntRange(min=0),
    required=True,
    help="Contents that lay nowhere for so many days.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--yes", is_flag=True, help="Do not ask. Where nobody can be asked, nothing is done without it (2)."
)
@json_option
@click.pass_obj
def command(context: Context, days: int, dry_run: bool, yes: bool, as_json: bool) -> None:  # noqa: FBT001
    up_to_date(context)
    planned = definition_purge.purge(context.home, days, dry_run=True)
    agreed = not dry_run and bool(planned.going) and (yes or _agreed(planned, as_json=as_json))
    if agreed:
        planned = definition_purge.purge(context.home, days, dry_run=False)
    if as_json:
        terminal.print_json(
            {
                "dry_run": dry_run,
                "done": agreed,
                "before": clock.iso(planned.before_us),
                "removed": list(planned.going),
                "size_bytes": planned.size_bytes,
                "kept": planned.kept,
                "kept_bytes": planned.kept_bytes,
            }
        )
        return
    verb = "removed" if agreed else "would be removed"
    going = f"{_some(planned)} {verb}" if planned.going else "nothing is old enough to be removed"
    click.echo(
        f"{going}; {terminal.some(planned.kept, 'content')} ({terminal.size(planned.kept_bytes)}) kept"
    )
    if planned.going and not agreed:
        click.echo(f"nothing was changed{' (--dry-run)' if dry_run else ''}")


def _some(planned: definition_purge.Plan) -> str:
    return f"{terminal.some(len(planned.going), 'content')} ({terminal.size(planned.size_bytes)})"


def _agreed(planned: definition_purge.Plan, *, as_json: bool) -> bool:
    question = f"Remove {_some(planned)} of definitions? They cannot be restored afterwards"
    return terminal.agreed(question, as_json=as_json)


commands = {"definitions purge": command}
