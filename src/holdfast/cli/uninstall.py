"""`holdfast uninstall`."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import click

from holdfast import leaving
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import HoldfastError, UsageError
from holdfast.store import database, queries

if TYPE_CHECKING:
    from holdfast.leaving import Found, Purge

_PACKAGE = "to remove the package itself: pip uninstall holdfast"


@click.command("uninstall", help=COMMANDS["uninstall"][1] + "\n\nSays what it will remove, and asks.")
@click.option("--purge", is_flag=True, help="Remove the home too: everything that was ever recorded.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, purge: bool, yes: bool, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    found = leaving.outside(context.settings, _workspaces(context), os.environ)
    planned = leaving.plan(context.settings.home) if purge else None
    if not as_json:
        _say(context, found, planned, purge=purge)
    done = None
    if planned is not None and not dry_run:
        _ask(planned, yes=yes)
        done = leaving.purge(planned)
    if as_json:
        shown = done or planned
        terminal.print_json(
            {
                "dry_run": dry_run,
                "outside": [{"what": one.what, "where": one.where, "remedy": one.remedy} for one in found],
                "home": str(context.settings.home),
                "removed": [str(path) for path in shown.remove] if shown else [],
                "kept": [str(path) for path in shown.keep] if shown else [],
                "size_bytes": shown.size_bytes if shown else 0,
                "home_is_gone": not context.settings.home.exists(),
            }
        )
        return
    if done is not None:
        _say_done(done)
    click.echo(_PACKAGE)


def _workspaces(context: Context) -> list[str]:
    """The directories agents worked in, as far as a store that is there tells; nothing is made for the question."""
    home = context.settings.home
    with contextlib.suppress(HoldfastError, OSError):
        if database.current(home) is not None:
            with contextlib.closing(database.open_reader(home)) as db:
                return [one["path"] for one in queries.workspaces(db)]
    return []


def _say(context: Context, found: list[Found], planned: Purge | None, *, purge: bool) -> None:
    for one in found:
        click.echo(terminal.plain(f"outside the home: {one.where}: {one.what}"))
        click.echo(terminal.plain(f"        not of this version's making; {one.remedy}"))
    if not found:
        click.echo("outside the home: nothing was installed")
    home = context.settings.home
    if planned is None:
        there = "stays; --purge removes it" if home.exists() else "is not there"
        click.echo(terminal.plain(f"home: {home} {'is not there' if purge else there}"))
        return
    size = terminal.size(planned.size_bytes)
    click.echo(
        terminal.plain(f"home: {home}: {terminal.some(len(planned.remove), 'name')} to remove, {size}")
    )
    for path in planned.remove:
        if path.parent == home:
            click.echo(terminal.plain(f"        {path}{'/ and what is ours in it' if path.is_dir() else ''}"))
    for path in planned.keep:
        click.echo(terminal.plain(f"        kept, because it is not ours: {path}"))


def _ask(planned: Purge, *, yes: bool) -> None:
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "nothing was removed: nobody can be asked here", hint="say --yes, or look first with --dry-run"
        )
    click.confirm(
        terminal.plain(
            f"Remove {planned.home} with everything that was recorded in it? This cannot be undone"
        ),
        abort=True,
    )


def _say_done(done: Purge) -> None:
    click.echo(f"removed {terminal.some(len(done.remove), 'name')}, {terminal.size(done.size_bytes)}")
    for path in done.keep:
        terminal.note(f"kept: {path}")
