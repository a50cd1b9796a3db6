"""`holdfast definitions conflicts` and `resolve`: what was not written because somebody else had, and what is to become of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast import clock
from holdfast.cli import definition_shapes as shapes
from holdfast.cli import definition_writing as writing
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.cli.definitions import near
from holdfast.errors import DefinitionRefused, HoldfastError, UsageError
from holdfast.visible import visible

if TYPE_CHECKING:
    from holdfast.definitions.merging import Merged
    from holdfast.definitions.writing import Written
    from holdfast.home import Home
    from holdfast.store.definitions import Conflict

Json = dict[str, Any]
_SHORT_CHARS = 8
_MERGED, _OURS, _THEIRS = "merged", "ours", "theirs"
_MOST_LINES = 12  # of each text that are shown where they contradict each other
_MOST_CHARS = 200  # of a line
_OPEN, _RESOLVED, _CAME = "open", "resolved", "written"


@click.command(
    "conflicts",
    help=COMMANDS["definitions conflicts"][1]
    + "\n\nOf one ID: what was read, what was to be written, what lay there, whether both can be merged, and where they contradict each other.",
)
@click.argument("begins", metavar="[ID]", required=False)
@click.option("--all", "every", is_flag=True, help="Also those that are decided.")
@click.option(
    "--merged",
    "side",
    flag_value=_MERGED,
    help="Print both texts of one ID in one, between marks where they contradict each other.",
)
@click.option("--ours", "side", flag_value=_OURS, help="Print what was to be written.")
@click.option("--theirs", "side", flag_value=_THEIRS, help="Print what lay there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def conflicts(
    context: Context,
    begins: str | None,
    every: bool,  # noqa: FBT001
    side: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    from holdfast import defining_writes

    if side and begins is None:
        raise UsageError(f"--{side} prints a text of one conflict", hint="say which, by its ID")
    if begins is None:
        found = defining_writes.conflicts(context.home, resolved=every)
        if as_json:
            terminal.print_json({"conflicts": [_json(one) | {"merge": None} for one in found]})
        else:
            _say_all(found)
        return
    one = defining_writes.conflict_of(context.home, begins)
    if side:
        sys.stdout.buffer.write(_text(context.home, one, side))
        return
    both = _both(context.home, one)
    if as_json:
        terminal.print_json({"conflicts": [_json(one) | {"merge": _merge_json(both)}]})
        return
    _say_one(one, both)


def _text(home: Home, one: Conflict, side: str) -> bytes:
    from holdfast import defining_writes

    if side == _MERGED:
        return defining_writes.merged(home, one).marked
    return defining_writes.text_of(home, one.ours if side == _OURS else one.theirs)


def _json(one: Conflict) -> Json:
    return {
        "id": one.id,
        "at": clock.iso(one.time_us),
        "operation": one.operation,
        "tool": one.tool,
        "name": one.name,
        "tier": one.tier,
        "root": one.root,
        "path": one.path,
        "base_sha256": one.base,
        "ours_sha256": one.ours,
        "theirs_sha256": one.theirs,
        "author": one.author,
        "author_grade": one.author_grade,
        "reason": one.reason,
        "state": _state(one),
        "resolved_at": None if one.resolved_us is None else clock.iso(one.resolved_us),
        "choice": one.choice,
        "resolved_sha256": one.resolved_sha256,
        "resolved_by": one.resolved_by,
        "resolved_by_grade": one.resolved_by_grade,
        "resolved_reason": one.resolved_reason,
    }


def _state(one: Conflict) -> str:
    return _OPEN if one.is_open else _RESOLVED if one.choice is not None else _CAME


def _merge_json(both: Merged | str) -> Json:
    """Whether both can be merged, and if not, why."""
    if isinstance(both, str):
        return {"clean": False, "why": both, "conflicts": []}
    places = [
        {"key": one.where or None, "line": one.line, "base": one.base, "ours": one.ours, "theirs": one.theirs}
        | {"why": one.why or None}
        for one in both.conflicts
    ]
    return {"clean": both.content is not None, "why": None, "conflicts": places}


def _both(home: Home, one: Conflict) -> Merged | str:
    """Both texts in one; a text: why that cannot be."""
    from holdfast import defining_writes

    try:
        return defining_writes.merged(home, one)
    except DefinitionRefused as exc:
        return str(exc)


def _say_all(found: list[Conflict]) -> None:
    if not found:
        click.echo("no conflict waits for a decision")
        return
    table = terminal.table("id", "when", "name", "tier", "wanted", "state", "file", flexible=("file", "name"))
    for one in found:
        state = one.choice or _state(one)
        table.add_row(
            one.id[:_SHORT_CHARS],
            (clock.iso(one.time_us) or "")[:19],
            terminal.safe(terminal.plain(one.name), 60),
            one.tier or "?",
            one.operation,
            terminal.safe(state, style="yellow" if one.is_open else "dim"),
            terminal.safe(_file(one), 200),
        )
    terminal.console().print(table)


def _file(one: Conflict) -> str:
    try:
        return near(one.path, str(Path.cwd()))
    except FileNotFoundError:  # this directory is not there any more
        return visible(one.path)


def _say_one(one: Conflict, both: Merged | str) -> None:
    click.echo(terminal.plain(f"{one.id}  {_state(one)}  {_file(one)} ({one.name[:60]}, {one.tier})"))
    rows = {
        "when": clock.iso(one.time_us),
        "wanted": f"{one.operation}, by {one.author or 'nobody known'}",
        "why": one.reason or "",
        "read": one.base or "nothing lay there",
        "ours": one.ours or "nothing was to lie there",
        "theirs": one.theirs or "nothing lay there",
        "decided": f"{one.choice}, by {one.resolved_by or 'nobody known'}" if one.choice else "",
    }
    for label, said in rows.items():
        if said:
            click.echo(terminal.plain(f"  {label:<8}{said}"))
    if isinstance(both, str):
        click.echo(terminal.plain(f"  {both}"))
        return
    if both.content is not None:
        click.echo("  both can be merged")
    for each in both.conflicts:
        where = f"`{visible(each.where)}`" if each.where else "the text"
        line = f", line {each.line} of ours" if each.line is not None else ""
        click.echo(terminal.plain(f"  both changed {where}{line}{f': {each.why}' if each.why else ''}"))
        for label, text in (("read", each.base), (_OURS, each.ours), (_THEIRS, each.theirs)):
            _say_lines(label, text.splitlines() or ["(nothing)"])


def _say_lines(label: str, lines: list[str]) -> None:
    for line in lines[:_MOST_LINES]:
        click.echo(terminal.plain(f"    {label:<8}{line[:_MOST_CHARS]}{'…' * (len(line) > _MOST_CHARS)}"))
    if len(lines) > _MOST_LINES:
        click.echo(f"    {label:<8}… and {len(lines) - _MOST_LINES:,} more lines")


@click.command(
    "resolve",
    help=COMMANDS["definitions resolve"][1]
    + "\n\n`ours` is what was to be written, `theirs` what lies there, `merge` both, where they do not contradict each other; a FILE holds another "
    "text (- is standard input). If the file was changed again since, nothing is written, unless --base says what lies there now. Several IDs are decided one after "
    "the other, up to the first that cannot be.",
)
@click.argument("words", metavar="ID... ours|theirs|merge|FILE", nargs=-1, required=True, type=click.Path())
@click.option("--base", metavar="SHA256", help="Of one ID: what may be written over, or `absent`.")
@writing.told
@click.pass_obj
def resolve(
    context: Context,
    words: tuple[str, ...],
    base: str | None,
    reason: str | None,
    author: str | None,
    cwd: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    from holdfast import defining_writes

    *begins, choice = words
    if not begins:
        raise UsageError("say which conflict, and what is to become of it", hint="`resolve ID ours`")
    over = None if base is None else writing.base_of(base) or ""
    content = None
    if choice not in {defining_writes.OURS, defining_writes.THEIRS, defining_writes.MERGE}:
        content, choice = writing.given(choice), defining_writes.TEXT
    if len(begins) > 1 and (content is not None or over is not None):
        raise UsageError("a FILE and --base are of one conflict", hint="decide them one by one")
    writer = writing.writer(context, cwd, author, reason)
    found = {one.id: one for one in (defining_writes.conflict_of(context.home, each) for each in begins)}

    def act() -> list[Written]:
        done: list[Written] = []
        for number, one in enumerate(found.values()):
            try:
                made = writer.resolve(one, choice, content, over)
            except HoldfastError as exc:
                if number:
                    exc.hint = f"{f'{exc.hint}; ' if exc.hint else ''}{number} of {len(found)} are decided, the first ones"
                raise
            done += [] if made is None else [made]
        return done

    writing.carried_out(context, cwd, act, as_json=as_json)
    for one in found.values() if choice == defining_writes.THEIRS and not as_json else ():
        click.echo(
            terminal.plain(
                f"unchanged  {near(one.path, shapes.directory(cwd))} ({one.name[:60]}, {one.tier})"
            )
        )


commands = {"definitions conflicts": conflicts, "definitions resolve": resolve}
