"""`holdfast restore definition`, `holdfast definitions snapshot` and `snapshots`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast import clock, definition_history, definition_restore, definition_snapshots
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.cli.definition_history import (
    files,
    here,
    json_option,
    moments,
    named,
    path_option,
    tool_option,
    up_to_date,
)
from holdfast.cli.definitions import near
from holdfast.definitions import versions
from holdfast.errors import NotFound, TransferIncomplete, UsageError

if TYPE_CHECKING:
    from holdfast.definition_restore import Goal, Restored
    from holdfast.definition_snapshots import Snapshot
    from holdfast.home import Home
    from holdfast.store.definitions import Revision

Json = dict[str, Any]
_SHORT = 13  # characters of an id that begins with its time
_MOST_SHOWN = 20


@click.command(
    "definition",
    help=COMMANDS["restore definition"][1]
    + "\n\nByte for byte. What is written over is kept first, and what is written is a revision of its own, so a restore can be restored from. "
    "Without --revision: as it was before its last change. With --snapshot every file that is in it.",
)
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--revision", metavar="REV", help="A version's number, the beginning of its SHA-256 or id, or a time."
)
@click.option(
    "--snapshot", metavar="ID", help="Every definition in this snapshot instead; `last` is the last one."
)
@tool_option
@path_option
@click.option(
    "--to",
    metavar="PATH",
    type=click.Path(),
    help="Write this file, or into this directory (one that is to be made ends in /), instead of where it lies now or lay last.",
)
@click.option("--reason", metavar="TEXT", help="Why, as it is recorded.")
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would be written.")
@click.option(
    "--yes", is_flag=True, help="Do not ask. Where nobody can be asked, nothing is done without it (2)."
)
@json_option
@click.pass_obj
def restore(
    context: Context,
    name: str | None,
    revision: str | None,
    snapshot: str | None,
    tool: str | None,
    path: str | None,
    to: str | None,
    reason: str | None,
    dry_run: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    if (name is None) == (snapshot is None):
        raise UsageError(
            "name one of both: a definition, or --snapshot ID", hint="holdfast restore definition NAME"
        )
    if snapshot is not None and (revision or tool or path):
        raise UsageError(
            "--revision, --tool and --path are for one definition", hint="leave them out with --snapshot"
        )
    up_to_date(context)
    home = context.home
    left: list[tuple[str, str]] = []
    if snapshot is not None:
        goals, left, why = _of_snapshot(home, snapshot, to)
    else:
        assert name is not None
        goals, why = _of_name(context, name, revision, tool, path, to)
    agreed = not dry_run and bool(goals) and (yes or _agreed(goals, as_json=as_json))
    done = definition_restore.restore(home, goals, reason or why) if agreed else []
    if as_json:
        terminal.print_json(_restored_json(goals, done, left, dry_run=dry_run))
    else:
        _say_restored(goals, done, left, dry_run=dry_run)
    if left:
        raise TransferIncomplete(
            f"{len(left)} of {terminal.some(len(goals) + len(left), 'definition')} cannot be restored",
            hint="the answer says why" + ("; all others can" if goals else ""),
        )


def _of_name(
    context: Context, name: str, wanted: str | None, tool: str | None, path: str | None, to: str | None
) -> tuple[list[Goal], str]:
    home = context.home
    found = named(context, name, tool)
    chosen = definition_history.only(files(context, found, path))
    one = (
        definition_restore.wanted(chosen)
        if wanted is None
        else definition_history.find(found, chosen, wanted, moments(context))
    )
    why = f"restored {one.label}, {versions.short(one.row.sha256)}"
    return [definition_restore.goal(home, found.versions, one, to)], why


def _of_snapshot(home: Home, begins: str, to: str | None) -> tuple[list[Goal], list[tuple[str, str]], str]:
    found = definition_snapshots.find(home, begins)
    chosen, every = definition_snapshots.rows(home, found)
    goals, left = definition_restore.goals_of(home, every, chosen, to)
    return goals, left, f"restored snapshot {found.id[:_SHORT]}"


def _agreed(goals: list[Goal], *, as_json: bool) -> bool:
    for one in [] if as_json else goals[:_MOST_SHOWN]:
        click.echo(terminal.plain(f"{near(one.shown, here())}  {versions.short(one.sha256)}"))
    if len(goals) > _MOST_SHOWN and not as_json:
        click.echo(f"… and {len(goals) - _MOST_SHOWN} more")
    question = f"Write {terminal.some(len(goals), 'definition')}? What lies there now is kept"
    return terminal.agreed(question, as_json=as_json)


def _restored_json(
    goals: list[Goal], done: list[Restored], left: list[tuple[str, str]], *, dry_run: bool
) -> Json:
    by_path = {one.goal.path: one for one in done}
    return {
        "dry_run": dry_run,
        "done": bool(done),
        "definitions": [_goal_json(one, by_path.get(one.path)) for one in goals],
        "left": [{"path": path, "why": why} for path, why in left],
    }


def _goal_json(one: Goal, done: Restored | None) -> Json:
    return {
        "name": one.row.name,
        "tool": one.row.tool,
        "path": one.shown,
        "of_revision": one.row.id,
        "sha256": one.sha256,
        "size_bytes": len(one.content),
        "state": done.state if done else None,
        "revision": done.revision if done else None,
        "replaced_sha256": done.replaced_sha256 if done else None,
        "recorded": one.root is not None,
    }


def _say_restored(
    goals: list[Goal], done: list[Restored], left: list[tuple[str, str]], *, dry_run: bool
) -> None:
    for each in done:
        _say_one(each)
    for path, why in left[:_MOST_SHOWN]:
        terminal.note(f"not restored: {near(path, here())}: {why}")
    if dry_run:
        for one in goals:
            size = terminal.size(len(one.content))
            click.echo(
                terminal.plain(
                    f"would write {near(one.shown, here())} ({size}, {versions.short(one.sha256)})"
                )
            )
        click.echo("nothing was changed (--dry-run)")
    elif not done:
        click.echo("nothing was changed")


def _say_one(each: Restored) -> None:
    one = each.goal
    place, size = near(one.shown, here()), terminal.size(len(one.content))
    if each.state == definition_restore.THERE:
        click.echo(terminal.plain(f"{place} has this content already"))
        return
    over = f"; {versions.short(each.replaced_sha256)} lay there, and is kept" if each.replaced_sha256 else ""
    click.echo(terminal.plain(f"{place}: {size}, {versions.short(one.sha256)}{over}"))
    if one.root is None:
        click.echo("        it lies in no directory of definitions, so nothing is recorded of it")


# ── snapshots ──


@click.command(
    "snapshot",
    help=COMMANDS["definitions snapshot"][1]
    + "\n\nOf every tool and tier, as seen from the current directory; those that are hidden too. `holdfast restore definition --snapshot ID` gives it back.",
)
@click.option("--message", "-m", metavar="TEXT", help="What it is for.")
@click.option(
    "--cwd", metavar="DIR", type=click.Path(), help="Seen from this directory instead of the current one."
)
@json_option
@click.pass_obj
def snapshot(context: Context, message: str | None, cwd: str | None, as_json: bool) -> None:  # noqa: FBT001
    directory = here() if cwd is None else str(Path(cwd).resolve())
    if not directory or not Path(directory).is_dir():
        raise NotFound(f"{cwd or 'the current directory'} is no directory", hint="name one with --cwd DIR")
    taken = definition_snapshots.take(context.home, directory, message)
    if as_json:
        terminal.print_json(_snapshot_json(taken))
        return
    size = "" if taken.size_bytes is None else f", {terminal.size(taken.size_bytes)}"
    click.echo(f"snapshot {taken.id[:_SHORT]}: {terminal.some(len(taken.revisions), 'definition')}{size}")
    if taken.unreadable:
        terminal.note(
            f"note: {terminal.some(taken.unreadable, 'place')} could not be looked at; `holdfast definitions` says which"
        )
    click.echo(f"to give it back: holdfast restore definition --snapshot {taken.id[:_SHORT]}")


def _snapshot_json(one: Snapshot) -> Json:
    return {
        "id": one.id,
        "at": clock.iso(one.at_us),
        "cwd": one.cwd,
        "message": one.message,
        "files": len(one.revisions),
        "size_bytes": one.size_bytes,
        "unreadable": one.unreadable,
        "author": one.author,
    }


def _file_json(row: Revision) -> Json:
    return {
        "path": row.path,
        "name": row.name,
        "tool": row.tool,
        "tier": row.tier,
        "revision": row.id,
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
    }


@click.command(
    "snapshots",
    help=COMMANDS["definitions snapshots"][1] + "\n\nThe newest first; of a named one every file.",
)
@click.argument("wanted", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def snapshots(context: Context, wanted: str | None, as_json: bool) -> None:  # noqa: FBT001
    up_to_date(context)
    home = context.home
    chosen = [definition_snapshots.find(home, wanted)] if wanted else definition_snapshots.every(home)[::-1]
    rows: list[Revision] = []
    came: list[str] = []
    if wanted:
        rows, every = definition_snapshots.rows(home, chosen[0])
        came = definition_snapshots.since(rows, every)
    if as_json:
        kept = definition_history.contents(home)
        files = [_file_json(row) | {"content": kept.state_of(row)} for row in rows]
        listed = [_snapshot_json(one) | {"host": one.host} for one in chosen]
        terminal.print_json({"snapshots": listed, "files": files, "came_since": came})
        return
    if not chosen:
        click.echo("no snapshot was taken yet; `holdfast definitions snapshot` takes one")
    for one in chosen:
        at = (clock.iso(one.at_us) or "")[:19].replace("T", " ")
        size = "" if one.size_bytes is None else f", {terminal.size(one.size_bytes)}"
        said = f"{one.id[:_SHORT]}  {at}Z  {terminal.some(len(one.revisions), 'definition')}{size}, seen from {one.cwd}"
        said += "" if one.host is None else f", {versions.elsewhere(one.host)}"
        click.echo(terminal.plain(said + (f": {one.message}" if one.message else "")))
    for row in rows:
        click.echo(
            terminal.plain(
                f"  {versions.short(row.sha256)}  {row.tier or '?':<8}  {near(row.path, here())}  {row.name[:60]}"
            )
        )
    for path in came[:_MOST_SHOWN]:
        click.echo(terminal.plain(f"  not in it, came since: {near(path, here())}"))


commands = {
    "restore definition": restore,
    "definitions snapshot": snapshot,
    "definitions snapshots": snapshots,
}
