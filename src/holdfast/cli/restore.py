"""`holdfast restore session SESSION` and `holdfast restore checkpoint CHECKPOINT`."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast import checkpointing, restoring
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import TransferIncomplete
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from holdfast.restoring import File, Redacted, Restored

_MOST_SHOWN = 20
_WORDS = {
    restoring.WRITTEN: "written",
    restoring.THERE: "there already",
    restoring.DIFFERS: "not written: another file stands there",
    restoring.REFUSED: "refused",
}


@click.command(
    "session",
    help=COMMANDS["restore session"][1]
    + "\n\nWhere the files lay, or below another directory. Nothing that stands there is changed.",
)
@click.argument("session")
@click.option(
    "--to",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the project's directory, or Codex's `sessions`, and what lay in it, below this one.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would become of each file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def session_command(context: Context, session: str, to: Path | None, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    home = context.home
    answers.catch_up(home, sources=False)
    done = restoring.restore(home, session, to, dry_run=dry_run)
    if as_json:
        terminal.print_json({**asdict(done), "dry_run": dry_run})
    else:
        _say(done, dry_run=dry_run, in_place=to is None)
    _refuse(done)


def _say(done: Restored, *, dry_run: bool, in_place: bool) -> None:
    for file in done.files:
        _say_file(file)
    states = Counter(file.state for file in done.files)
    shown = ", ".join(f"{states[state]} {word}" for state, word in _WORDS.items() if states[state])
    click.echo(terminal.plain(f"{terminal.some(len(done.files), 'file')} below {done.target}: {shown}"))
    if any(file.redacted.lines for file in done.files):
        click.echo("lines of which something was taken out are not what they were; all others are")
    if dry_run:
        click.echo("nothing was changed (--dry-run)")
    elif in_place and done.is_whole:
        command = "codex resume" if done.tool == "codex" else "claude --resume"
        click.echo(f"to go on in the directory it ran in: {command} {shlex.quote(done.session)}")


def _say_file(file: File) -> None:
    size = "" if file.bytes is None else f" ({terminal.size(file.bytes)})"
    why = f": {file.why}" if file.why else ""
    click.echo(terminal.plain(f"{file.state:<8} {file.path or '(unknown path)'}{size}{why}"))
    if file.redacted.lines:
        click.echo(terminal.plain(f"         taken out: {_kinds(file.redacted)}, in {_lines(file.redacted)}"))
    for gap in file.gaps[1:_MOST_SHOWN]:
        click.echo(terminal.plain(f"         bytes {gap.start_byte} to {gap.end_byte}: {gap.why}"))
    if len(file.gaps) > _MOST_SHOWN:
        click.echo(f"         and {len(file.gaps) - _MOST_SHOWN} more; --json lists them all")


def _kinds(redacted: Redacted) -> str:
    return ", ".join(f"{places} {kind}" for kind, places in sorted(redacted.places.items()))


def _lines(redacted: Redacted) -> str:
    """Line 3; lines 3, 5 and 9."""
    shown = [str(line) for line in redacted.lines[:_MOST_SHOWN]]
    more = f" and {len(redacted.lines) - _MOST_SHOWN} more" if len(redacted.lines) > _MOST_SHOWN else ""
    return f"line{'s' if len(redacted.lines) > 1 else ''} {', '.join(shown)}{more}"


def _refuse(done: Restored) -> None:
    """End with an error when something is not there now."""
    for lost in done.unread[:_MOST_SHOWN]:
        terminal.note(
            f"not read: journal segment {lost.segment} bytes {lost.start_byte} to {lost.end_byte}: {lost.why}"
        )
    left = sum(file.state not in (restoring.WRITTEN, restoring.THERE) for file in done.files)
    if left:
        raise TransferIncomplete(
            f"{left} of {terminal.some(len(done.files), 'file')} cannot be restored",
            hint="the answer says why; move a file that stands in the way, or name another place with --to",
        )
    if done.unread:
        raise TransferIncomplete(
            f"{terminal.some(len(done.unread), 'range')} of the journal cannot be read; whose lines stood there is not known",
            hint="a restored file may lack its last lines; `holdfast doctor` says what can be done about the damage",
        )


@click.command(
    "checkpoint",
    help=COMMANDS["restore checkpoint"][1]
    + "\n\nByte for byte, with permissions and links. CHECKPOINT is its id, or how that begins (`holdfast checkpoint list`).",
)
@click.argument("checkpoint")
@click.option(
    "--to",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="Where: a directory that is not there yet, or empty.",
)
@click.option(
    "--worktree",
    is_flag=True,
    help="Make DIR a worktree of the repository, at the commit that the checkpoint was taken at; else it is a plain directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def checkpoint_command(context: Context, checkpoint: str, to: Path, worktree: bool, as_json: bool) -> None:  # noqa: FBT001
    home = context.home
    answers.catch_up(home, sources=False)
    found = checkpointing.find(home, checkpoint)
    done = checkpointing.give_back(home, found, to, worktree=worktree)
    told = found.read.told
    if as_json:
        out = {
            "id": found.read.oid,
            "repository": printable_path(str(found.repository)),
            "workspace": told.root if told else None,
        }
        terminal.print_json({**out, **asdict(done), "worktree": worktree})
        return
    for path in done.removed:
        click.echo(terminal.plain(f"removed what a run left that was killed: {path}"))
    size = f"{terminal.some(done.files, 'file')}, {terminal.size(done.size_bytes)}"
    click.echo(terminal.plain(f"{done.directory}: {size}, as they were in {found.read.oid[:12]}"))
    click.echo("directories have the usual permissions: git keeps none of theirs")
    if told is not None and told.left_out:
        click.echo(
            f"{sum(one.count for one in told.left_out)} files were left out; `holdfast checkpoint show` names them"
        )


commands = {"restore session": session_command, "restore checkpoint": checkpoint_command}
