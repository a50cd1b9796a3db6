"""`holdfast hooks install`, `hooks uninstall` and `hooks status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holdfast import hooks
from holdfast.capture import inbox
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context

if TYPE_CHECKING:
    from collections.abc import Callable

_TOOL = click.option(
    "--tool", type=click.Choice(inbox.TOOLS), default="claude", show_default=True, help="Whose settings."
)
_SCOPE = click.option(
    "--scope",
    type=click.Choice(hooks.SCOPES),
    default="user",
    show_default=True,
    help="`user`: all your projects; `project`: this directory's, shared with its repository; `local`: this directory's, for you.",
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")


def _changing(name: str, text: str) -> Callable[[Callable[..., None]], click.Command]:
    def decorate(function: Callable[..., None]) -> click.Command:
        for option in (_JSON, _DRY_RUN, _SCOPE, _TOOL):
            function = option(function)
        return click.command(name, help=f"{COMMANDS[f'hooks {name}'][1]}\n\n{text}")(click.pass_obj(function))

    return decorate


@_changing(
    "install",
    "Adds one line of shell to each event in the tool's settings and keeps what they held beside them. It can be said "
    "again: only what is missing or outdated changes.",
)
def install(context: Context, tool: str, scope: str, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    directory = context.home.inbox
    if not dry_run:
        directory.mkdir(mode=0o700, exist_ok=True)
    mine = hooks.Hooks(hooks.settings_file(context.settings, scope), directory)
    _say(mine, tool, scope, mine.install(dry_run=dry_run), dry_run, as_json, "installed in")


@_changing("uninstall", "Removes only what `holdfast hooks install` added for this home.")
def uninstall(context: Context, tool: str, scope: str, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    directory = context.settings.home / inbox.DIRECTORY
    mine = hooks.Hooks(hooks.settings_file(context.settings, scope), directory)
    _say(mine, tool, scope, mine.uninstall(dry_run=dry_run), dry_run, as_json, "removed from")


def _say(
    mine: hooks.Hooks,
    tool: str,
    scope: str,
    changed: tuple[str, ...],
    dry_run: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
    done: str,
) -> None:
    if as_json:
        terminal.print_json(
            {
                "tool": tool,
                "scope": scope,
                "path": str(mine.path),
                "changed": list(changed),
                "dry_run": dry_run,
            }
        )
    elif not changed:
        click.echo(terminal.plain(f"nothing to change in {mine.path}"))
    else:
        would = "would be " if dry_run else ""
        click.echo(terminal.plain(f"{terminal.some(len(changed), 'hook')} {would}{done} {mine.path}"))
        if not dry_run and mine.path.with_name(mine.path.name + hooks.BACKUP_SUFFIX).exists():
            click.echo(terminal.plain(f"what it held before: {mine.path}{hooks.BACKUP_SUFFIX}"))


@click.command("status", help=COMMANDS["hooks status"][1])
@_JSON
@click.pass_obj
def status(context: Context, as_json: bool) -> None:  # noqa: FBT001
    directory = context.settings.home / inbox.DIRECTORY
    places = [
        hooks.Hooks(hooks.settings_file(context.settings, scope), directory).look(scope)
        for scope in hooks.SCOPES
    ]
    waiting = inbox.waiting_bytes(directory)
    if as_json:
        terminal.print_json(
            {
                "places": [
                    {
                        "tool": place.tool,
                        "scope": place.scope,
                        "path": str(place.path),
                        "installed": list(place.installed),
                        "outdated": list(place.outdated),
                        "missing": [] if place.problem else _missing(place),
                        "problem": place.problem,
                    }
                    for place in places
                ],
                "inbox": str(directory),
                "waiting_bytes": waiting,
            }
        )
        return
    for place in places:
        click.echo(terminal.plain(f"{place.tool} {place.scope:8} {_words(place):28} {place.path}"))
    click.echo(
        terminal.plain(f"{terminal.size(waiting)} in {directory} wait for the next command")
        if waiting
        else "nothing waits to be recorded"
    )


def _missing(place: hooks.Place) -> list[str]:
    return [event for event in hooks.EVENTS if event not in (*place.installed, *place.outdated)]


def _words(place: hooks.Place) -> str:
    if place.problem:
        return "cannot be read"
    if not place.installed and not place.outdated:
        return "not installed"
    missing = _missing(place)
    if not missing and not place.outdated:
        return f"installed ({terminal.some(len(place.installed), 'event')})"
    return f"to renew: {len(place.outdated)} outdated, {len(missing)} missing"


commands = {"hooks install": install, "hooks uninstall": uninstall, "hooks status": status}
