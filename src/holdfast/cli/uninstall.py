"""`holdfast uninstall`."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from holdfast import leaving, premises
from holdfast.checkpoint import kept
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import HoldfastError, UsageError
from holdfast.store import checkpoints as checkpoints_of
from holdfast.store import database, queries
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from holdfast.leaving import Found, Purge, Reference, References, Unreached

_PACKAGE = "to remove the package itself: pip uninstall holdfast"


@click.command("uninstall", help=COMMANDS["uninstall"][1] + "\n\nSays what it will remove, and asks.")
@click.option("--purge", is_flag=True, help="Remove the home too: everything that was ever recorded.")
@click.option("--checkpoints", is_flag=True, help="Remove the checkpoints in repositories; --purge does too.")
@click.option(
    "--leave-behind",
    is_flag=True,
    help="With --purge: go on where repositories with checkpoints cannot be asked.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(
    context: Context,
    purge: bool,  # noqa: FBT001
    checkpoints: bool,  # noqa: FBT001
    leave_behind: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    dry_run: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    workspaces, repositories = _workspaces(context)
    found = leaving.outside(context.settings, workspaces, os.environ)
    references = leaving.references(workspaces, repositories)
    planned = leaving.plan(context.settings.home) if purge else None
    if not as_json:
        _say(context, found, references, planned, purge=purge, checkpoints=checkpoints)
    done, removed = None, []
    if not dry_run:
        if planned is not None and not leave_behind:
            leaving.refuse_unreached(references.unreached)
        removed = [one for one in references.found if one.checkpoints and (checkpoints or purge)]
        if removed or planned is not None:
            _ask(planned, removed, yes=yes)
        if planned is not None:
            leaving.refuse_with_agents(planned.home)
        if planned is None:
            leaving.remove(removed)
        else:
            done = leaving.purge(planned, removed)
    if as_json:
        shown = done or planned
        terminal.print_json(
            {
                "dry_run": dry_run,
                "outside": [{"what": one.what, "where": one.where, "remedy": one.remedy} for one in found],
                "references": [_json(one) | {"removed": one in removed} for one in references.found],
                "unreached": list(map(_json, references.unreached)),
                "home": str(context.settings.home),
                "removed": [str(path) for path in shown.remove] if shown else [],
                "kept": [str(path) for path in shown.keep] if shown else [],
                "size_bytes": shown.size_bytes if shown else 0,
                "home_is_gone": not context.settings.home.exists(),
            }
        )
        return
    if removed:
        click.echo(
            f"removed the checkpoints of {terminal.some(len(removed), 'worktree')}; git collects their objects in time"
        )
    if done is not None:
        _say_done(done)
    click.echo(_PACKAGE)


def _json(one: Reference | Unreached) -> dict[str, Any]:
    return asdict(one) | {"repository": printable_path(one.repository)}


def _workspaces(context: Context) -> tuple[list[str], list[str]]:
    """The directories agents worked in, and the repositories in which checkpoints were taken or begun, as far as a home that is there
    tells; nothing is made for the question.
    """
    home = context.settings.home
    known = kept.repositories(home / kept.DIRECTORY)
    try:
        if premises.is_marked(home) and not home.is_symlink():
            answers.catch_up(context.home, sources=False)
        if database.current(home) is not None:
            with contextlib.closing(database.open_reader(home)) as db:
                return [one["path"] for one in queries.workspaces(db)], [
                    *known,
                    *(
                        kept.repository_at(home / kept.DIRECTORY, one)
                        for one in checkpoints_of.repositories(db)
                    ),
                ]
    except (HoldfastError, OSError) as exc:
        terminal.note(f"note: checkpoints that were recorded here may be missed: {exc}")
    return [], known


def _say(
    context: Context,
    found: list[Found],
    references: References,
    planned: Purge | None,
    *,
    purge: bool,
    checkpoints: bool,
) -> None:
    for one in found:
        click.echo(terminal.plain(f"outside the home: {one.where}: {one.what}"))
        click.echo(terminal.plain(f"        not of this version's making; {one.remedy}"))
    for ref in references.found:
        _say_reference(ref, goes=purge or checkpoints)
    for lost in references.unreached:
        click.echo(
            terminal.plain(f"outside the home: {lost.repository}: checkpoints were taken there: {lost.why}")
        )
        click.echo("        whether it keeps them cannot be told, and they stay")
    if not found and not references.found and not references.unreached:
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


def _say_reference(ref: Reference, *, goes: bool) -> None:
    if not ref.checkpoints:
        words = ["git", f"--git-dir={ref.repository}", "update-ref", "-d", ref.name]
        click.echo(terminal.plain(f"outside the home: {ref.repository}: the reference {ref.name}"))
        click.echo(terminal.plain(f"        not of this version's making; {shlex.join(words)}"))
        return
    count = terminal.some(ref.checkpoints, "checkpoint")
    stays = "to remove" if goes else "stay; --checkpoints removes them"
    click.echo(terminal.plain(f"outside the home: {ref.repository}: {count} below {ref.name}: {stays}"))


def _ask(planned: Purge | None, references: list[Reference], *, yes: bool) -> None:
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "nothing was removed: nobody can be asked here", hint="say --yes, or look first with --dry-run"
        )
    what = [] if planned is None else [f"{planned.home} with everything that was recorded in it"]
    what += [f"{one.checkpoints} checkpoints in {one.repository}" for one in references]
    click.confirm(terminal.plain(f"Remove {' and '.join(what)}? This cannot be undone"), abort=True)


def _say_done(done: Purge) -> None:
    click.echo(f"removed {terminal.some(len(done.remove), 'name')}, {terminal.size(done.size_bytes)}")
    for path in done.keep:
        terminal.note(f"kept: {path}")
