"""`holdfast checkpoint` and its commands."""

from __future__ import annotations

import shlex
import signal
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast import checkpointing, clock, door
from holdfast.checkpoint import place
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.git import shown
from holdfast.store import checkpoints
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from holdfast.checkpoint.commits import Read, Told
    from holdfast.checkpoint.reading import Changes
    from holdfast.checkpoint.taking import Taken
    from holdfast.checkpointing import Kept
    from holdfast.home import Home

Json = dict[str, Any]
_SHORT_CHARS = 12
_MOST_SHOWN = 20
_LEFT = {
    "secret": "look as if they held secrets (--include-secrets)",
    "large": "larger than checkpoint_file_size_bytes",
    "too_many": "untracked, beyond the first 10,000 of those",
    "too_much": "beyond what is read for one checkpoint (2 GiB)",
    "unreadable": "cannot be read",
    "special": "neither files nor links",
    "repository": "repositories of their own, or submodules",
    "name": "of names that git keeps for itself",
    "sparse": "not there in a sparse checkout, nor surely in the repository, or behind a file",
}
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")


@click.command(
    "take",
    help=COMMANDS["checkpoint take"][1]
    + "\n\nOf the workspace of session ID, else of the current directory. git keeps it below refs/holdfast; branch, index, and files stay as "
    "they are. Where nothing changed since the last one, none is made.",
)
@click.argument("session", metavar="[ID]", required=False)
@click.option("--message", "-m", metavar="TEXT", help="What it is for.")
@click.option("--include-ignored", is_flag=True, help="Keep files too that git is told to ignore.")
@click.option(
    "--include-secrets", is_flag=True, help="Keep untracked files too that look as if they held secrets."
)
@click.option(
    "--timed",
    is_flag=True,
    hidden=True,
    help="Of every workspace in which a session is at work; for the service.",
)
@_json_option
@click.pass_obj
def take(
    context: Context,
    session: str | None,
    message: str | None,
    include_ignored: bool,  # noqa: FBT001
    include_secrets: bool,  # noqa: FBT001
    timed: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    home = context.home
    if timed:
        signal.signal(signal.SIGTERM, _leave)  # so that what git was asked is ended too
        answers.catch_up(home)
        count = checkpointing.take_timed(home, lambda words: click.echo(terminal.plain(words)))
        click.echo(f"{terminal.some(count, 'checkpoint')} taken")
        return
    if session is not None:
        answers.catch_up(home)
    meant = checkpointing.meant(home, session)
    asked = checkpointing.Asked(message, include_ignored, include_secrets)
    taken = checkpointing.take(home, meant.directory, asked, meant.about)
    door.close()
    if as_json:
        terminal.print_json(_taken_json(taken))
    else:
        _say_taken(taken)


def _leave(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _taken_json(taken: Taken) -> Json:
    return {
        "id": taken.commit,
        "is_new": taken.is_new,
        "parent": taken.parent,
        "tree": taken.tree,
        "ref": taken.place.ref,
        "repository": printable_path(str(taken.place.common_dir)),
        **_told_json(taken.told),
        "read_files": taken.read_files,
        "read_bytes": taken.read_bytes,
        "took_ms": round(taken.took_ms, 1),
    }


def _told_json(told: Told) -> Json:
    return {
        "workspace": told.root,
        "base": told.base,
        "branch": told.branch,
        "operation": told.operation,
        "trigger": told.trigger,
        "message": told.message,
        "files": told.files,
        "size_bytes": told.size_bytes,
        "left_out": msgspec.to_builtins(told.left_out),
        "unsteady": told.unsteady,
        "ignored_included": told.ignored,
        "secrets_included": told.secrets,
        "notes": told.notes,
    }


def _say_taken(taken: Taken) -> None:
    told, name = taken.told, taken.commit[:_SHORT_CHARS]
    if not taken.is_new:
        click.echo(terminal.plain(f"nothing changed in {told.root} since checkpoint {name}"))
    else:
        size = f"{terminal.some(told.files, 'file')}, {terminal.size(told.size_bytes)}"
        click.echo(terminal.plain(f"checkpoint {name} of {told.root}: {size}, in {taken.took_ms:.0f} ms"))
    _say_left(told)
    click.echo(f"to give it back: holdfast restore checkpoint {name} --to DIR")


def _say_left(told: Told) -> None:
    for one in told.left_out:
        names = ", ".join(one.first[:5]) + (", …" if one.count > 5 else "")
        click.echo(terminal.plain(f"  left out: {one.count} {_LEFT.get(one.reason, one.reason)}: {names}"))
    if not told.ignored:
        click.echo("  left out: what git is told to ignore (--include-ignored)")
    for name in told.unsteady:
        click.echo(terminal.plain(f"  changed while it was read, and is in as it was read last: {name}"))
    for note in told.notes:
        click.echo(terminal.plain(f"  note: {note}"))


@click.command(
    "list",
    help=COMMANDS["checkpoint list"][1]
    + "\n\nOf the workspace of session ID, else of the current directory, as its repository has them; --all: the last one of each "
    "workspace, as they were recorded.",
)
@click.argument("session", metavar="[ID]", required=False)
@click.option("--all", "every", is_flag=True, help="Of every workspace.")
@click.option(
    "-n", "--number", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many."
)
@_json_option
@click.pass_obj
def list_(context: Context, session: str | None, every: bool, number: int, as_json: bool) -> None:  # noqa: FBT001
    home = context.home
    if every or session is not None:
        answers.catch_up(home, sources=session is not None)
    out: Json = {"workspace": None, "repository": None, "checkpoints": [], "workspaces": [], "untold": []}
    if every:
        db = home.reader()
        try:
            out |= {"workspaces": checkpoints.last(db)[:number], "untold": checkpoints.untold(db)[:number]}
        finally:
            db.close()
    else:
        at = place.find(checkpointing.meant(home, session).directory)
        found = [_brief(one) for one in checkpointing.chain(at, number)]
        out |= {
            "workspace": shown(at.root),
            "repository": printable_path(str(at.common_dir)),
            "checkpoints": found,
        }
    if as_json:
        terminal.print_json(out)
    elif every:
        _say_workspaces(home, out)
    else:
        _say_chain(home, out)


def _brief(read: Read) -> Json:
    told = read.told
    return {
        "id": read.oid,
        "at": clock.iso(read.time_s * 1_000_000),
        "parent": read.parent,
        "base": told.base if told else None,
        "branch": told.branch if told else None,
        "trigger": told.trigger if told else None,
        "message": told.message if told else None,
        "files": told.files if told else None,
        "size_bytes": told.size_bytes if told else None,
        "left_out": sum(one.count for one in told.left_out) if told else None,
    }


def _say_chain(home: Home, out: Json) -> None:
    if not out["checkpoints"]:
        click.echo(terminal.plain(f"no checkpoint of {out['workspace']}; `holdfast checkpoint` takes one"))
        return
    table = terminal.table(
        "checkpoint", "taken", "files", "size", "left out", "branch", "why",
        right=("files", "size", "left out"), flexible=("why",),
    )  # fmt: skip
    for one in out["checkpoints"]:
        table.add_row(
            one["id"][:_SHORT_CHARS],
            terminal.age(clock.parse_us(one["at"]), home.now_us()),
            "?" if one["files"] is None else f"{one['files']:,}",
            "?" if one["size_bytes"] is None else terminal.size(one["size_bytes"]),
            "?" if one["left_out"] is None else f"{one['left_out']:,}",
            terminal.cell(one["branch"] or "-", 40),
            terminal.cell(one["message"] or one["trigger"] or "?", 200),
        )
    terminal.console().print(table)


def _say_workspaces(home: Home, out: Json) -> None:
    table = terminal.table(
        "workspace", "last", "taken", "checkpoints", right=("checkpoints",), flexible=("workspace",)
    )
    for one in out["workspaces"]:
        age = terminal.age(clock.parse_us(one["at"]), home.now_us())
        table.add_row(
            terminal.cell(one["workspace"], 200),
            terminal.cell(one["commit"][:_SHORT_CHARS]),
            age,
            str(one["checkpoints"]),
        )
    terminal.console().print(table if out["workspaces"] else "no checkpoint was taken")
    for one in out["untold"]:
        name = one["commit"][:_SHORT_CHARS]
        terminal.note(
            f"note: {one['workspace']}: {name} was about to be taken at {one['at']}; what became of it was not recorded"
        )


@click.command(
    "show",
    help=COMMANDS["checkpoint show"][1]
    + "\n\nCHECKPOINT is its id, or how that begins; without, the newest one here.",
)
@click.argument("checkpoint", metavar="[CHECKPOINT]", required=False)
@_json_option
@click.pass_obj
def show(context: Context, checkpoint: str | None, as_json: bool) -> None:  # noqa: FBT001
    home = context.home
    if checkpoint is not None:
        answers.catch_up(home, sources=False)
    found = checkpointing.find(home, checkpoint)
    changes = checkpointing.since_parent(found)
    if as_json:
        terminal.print_json(_whole_json(found) | {"changes": _changes_json(changes)})
        return
    _say_whole(home, found)
    _say_changes(changes, "since the one before" if found.read.parent else "in it, the first one")


def _whole_json(found: Kept) -> Json:
    read = found.read
    told = _told_json(read.told) if read.told else None
    return {
        **_brief(read),
        "tree": read.tree,
        "repository": printable_path(str(found.repository)),
        "told": told,
    }


def _say_whole(home: Home, found: Kept) -> None:
    read, told = found.read, found.read.told
    age = terminal.age(read.time_s * 1_000_000, home.now_us())
    click.echo(
        terminal.plain(f"checkpoint {read.oid}, taken {age} ago, in {printable_path(str(found.repository))}")
    )
    if told is None:
        click.echo("its message is none of ours: nothing more is known of it")
        return
    stood = f"at {told.base[:_SHORT_CHARS]}" if told.base else "before the first commit"
    where = f"{stood}{f' on {told.branch}' if told.branch else ''}{f', in a {told.operation}' if told.operation else ''}"
    click.echo(terminal.plain(f"{told.root}, {where}: {told.files} files, {terminal.size(told.size_bytes)}"))
    click.echo(terminal.plain(f"{told.trigger}{f': {told.message}' if told.message else ''}"))
    _say_left(told)
    click.echo(f"to give it back: holdfast restore checkpoint {read.oid[:_SHORT_CHARS]} --to DIR")


@click.command(
    "diff",
    help=COMMANDS["checkpoint diff"][1]
    + "\n\nWithout OTHER: in its worktree as it is now. Without both: since the newest one here.",
)
@click.argument("checkpoint", metavar="[CHECKPOINT]", required=False)
@click.argument("other", metavar="[OTHER]", required=False)
@_json_option
@click.pass_obj
def diff(context: Context, checkpoint: str | None, other: str | None, as_json: bool) -> None:  # noqa: FBT001
    home = context.home
    if checkpoint is not None:
        answers.catch_up(home, sources=False)
    found = checkpointing.find(home, checkpoint)
    second = None if other is None else checkpointing.find(home, other)
    changes = checkpointing.changes(home, found, second)
    to = None if second is None else second.read.oid
    if as_json:
        about = {"from": found.read.oid, "to": to, "repository": printable_path(str(found.repository))}
        terminal.print_json(about | {"changes": _changes_json(changes)})
        return
    _say_changes(changes, f"since {found.read.oid[:_SHORT_CHARS]}")
    if to is not None and changes:
        words = [
            "git",
            f"--git-dir={found.repository}",
            "diff",
            found.read.oid[:_SHORT_CHARS],
            to[:_SHORT_CHARS],
        ]
        click.echo(terminal.plain(f"what changed in them: {shlex.join(words)}"))


def _changes_json(changes: Changes) -> Json:
    return {
        "added": list(map(shown, changes.added)),
        "changed": list(map(shown, changes.changed)),
        "modes": list(map(shown, changes.modes)),
        "deleted": list(map(shown, changes.deleted)),
        "unknown": list(map(shown, changes.unknown)),
    }


def _say_changes(changes: Changes, since: str) -> None:
    if not changes:
        click.echo(f"nothing changed {since}")
        return
    for sign, paths in zip(
        "+~x-?",
        (changes.added, changes.changed, changes.modes, changes.deleted, changes.unknown),
        strict=True,
    ):
        for path in paths[:_MOST_SHOWN]:
            click.echo(terminal.plain(f"  {sign} {shown(path)}"))
        if len(paths) > _MOST_SHOWN:
            click.echo(f"  {sign} and {len(paths) - _MOST_SHOWN} more; --json lists them all")
    counts = (
        f"{len(changes.added)} added, {len(changes.changed)} changed, {len(changes.modes)} with another mode, "
        f"{len(changes.deleted)} deleted"
    )
    if changes.unknown:
        counts += f", {len(changes.unknown)} not known, because one of both leaves them out"
    click.echo(f"{counts} {since}")


commands = {
    "checkpoint take": take,
    "checkpoint list": list_,
    "checkpoint show": show,
    "checkpoint diff": diff,
}
