"""`holdfast workspace list` and `holdfast workspace move OLD NEW`."""

from __future__ import annotations

import os

import click

from holdfast import clock, door
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import NotFound, UsageError
from holdfast.store import queries
from holdfast.store.workspaces import is_below, near


@click.command("list", help=COMMANDS["workspace list"][1])
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:  # noqa: FBT001
    found = queries.workspaces(answers.ready(context))
    if as_json:
        terminal.print_json({"workspaces": found})
        return
    now_us = context.home.now_us()
    out = terminal.console()
    table = terminal.table(
        "workspace", "sessions", "active", "", right=("sessions",), flexible=("workspace",)
    )
    for one in found:
        recorded = f"recorded as {', '.join(one['recorded_as'])}" if one["recorded_as"] else ""
        note = "; ".join(filter(None, (recorded, "" if one["exists"] else "is not there")))
        age = terminal.age(clock.parse_us(one["last_activity_at"]), now_us)
        table.add_row(
            terminal.cell(one["path"], 200), str(one["sessions"]), age, terminal.cell(note, 200, "dim")
        )
    out.print(table if found else "no workspaces")


@click.command(
    "move",
    help="Say that the project in OLD, and all below it, lies in NEW now.\n\nSessions that began in OLD before are then "
    "shown under NEW. Nothing on disk is moved. To undo it, move it back.",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def move(context: Context, old: str, new: str, as_json: bool) -> None:  # noqa: FBT001
    before = queries.workspaces(answers.ready(context))
    source, target = _known(old, before), _absolute(new)
    if source == target:
        raise UsageError(f"{source} is where it is", hint="name the directory that the project was moved to")
    if source == "/":
        raise UsageError("everything lies in /", hint="name the project's own directory")
    home = context.home
    body = {"kind": "workspace.moved", "time": home.now_us(), "fields": {"old": source, "new": target}}
    record_id = door.append(body, durable=True, strict=True, home=os.fspath(home.path))
    door.close()
    answers.catch_up(home)
    moved = sum(one["sessions"] for one in before if is_below(one["path"], source))
    exists = os.path.isdir(target)  # noqa: PTH112 - text of a person
    if as_json:
        terminal.print_json(
            {"id": record_id, "old": source, "new": target, "new_exists": exists, "sessions": moved}
        )
        return
    click.echo(terminal.plain(f"{terminal.some(moved, 'session')} of {source} now under {target}"))
    if not exists:
        terminal.note(f"note: {target} is not there (yet); it was noted all the same")


def _absolute(path: str) -> str:
    if "\0" in path or not path:
        raise UsageError(f"{path!r} is no path", hint="give a directory")
    return os.path.abspath(path)  # noqa: PTH100 - links stay as they are written


def _known(old: str, found: list[dict[str, object]]) -> str:
    """The path as sessions know it: as it was given, or with links resolved."""
    paths = [str(one["path"]) for one in found]
    wanted = _absolute(old)
    for path in (wanted, os.path.realpath(wanted)):
        if any(is_below(known, path) for known in paths):
            return path
    close = near(wanted, paths)
    earlier = next((str(one["path"]) for one in found if wanted in one["recorded_as"]), None)  # type: ignore[operator]
    hint = (
        f"it was moved to {earlier} before" if earlier else f"near it: {', '.join(close)}" if close else None
    )
    raise NotFound(
        f"no session was started in {wanted}, or below it",
        hint=hint or "`holdfast workspace list` lists them",
    )


commands = {"workspace list": list_, "workspace move": move}
