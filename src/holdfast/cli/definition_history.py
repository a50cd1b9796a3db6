"""`holdfast definitions history` and `diff`: what became of a definition, who changed it, and what changed."""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast import clock, defining, definition_history
from holdfast.cli import answers, terminal, when
from holdfast.cli.app import COMMANDS, Context
from holdfast.cli.definitions import near
from holdfast.definitions import authors, registry, revisions, tools, versions
from holdfast.errors import DefinitionsBusy, HoldfastError, NotFound, StoreFromFuture, UsageError
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.definition_history import Compared, History
    from holdfast.definitions.authors import Who
    from holdfast.definitions.comparing import Side
    from holdfast.definitions.registry import Found
    from holdfast.definitions.versions import Version

Json = dict[str, Any]
WAIT_MS = 1_000
_MOST_ACTS = 100
_MOST_NAMES = 5
_NAME_CHARS = 60
_SUBJECT_CHARS = 80
_DONE = {
    "create": "created",
    "modify": "modified",
    "delete": "deleted",
    "rename": "renamed",
    "restore": "restored",
    "unlink": "unlinked",
    "link": "linked",
}
tool_option = click.option("--tool", type=click.Choice(list(tools.TOOLS)), help="Of this tool only.")
path_option = click.option(
    "--path", metavar="FILE", type=click.Path(), help="Of this file only, also where it lay before."
)
all_option = click.option("--all", "every", is_flag=True, help="Of every file of the name.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")


def up_to_date(context: Context, *, sources: bool = False) -> None:
    """Look at every directory in which definitions were found, and fold what is recorded; say what keeps an answer from being complete.

    Args:
        context: of the command.
        sources: record what agents' transcripts say, too.
    """
    try:
        defining.look(context.home, [here() or "/"], everywhere=True, wait_ms=WAIT_MS)
    except DefinitionsBusy:
        terminal.note("note: another process writes definitions; what changed just now may be missing here")
    except StoreFromFuture:
        raise
    except HoldfastError as exc:
        terminal.note(f"note: what changed since the last look could not be recorded: {exc}")
    answers.catch_up(context.home, sources=sources)


def here() -> str:
    """The current directory without links; "" when it is gone."""
    try:
        return os.path.realpath(os.getcwd())  # noqa: PTH109 - text, whatever bytes it has
    except FileNotFoundError:
        return ""


def moments(context: Context) -> Callable[[str], int | None]:
    """What a word is as a time: the last moment of it; None: it is none."""
    now_us = context.home.now_us()

    def moment_us(word: str) -> int | None:
        try:
            return when.last_us(word, now_us, "")
        except UsageError:
            return None

    return moment_us


def named(context: Context, name: str, tool: str | None) -> History:
    """The history of a name; where none was ever seen that has it, of the definition that answers to it here.

    Raises:
        NotFound: there is none, or there are several.
    """
    try:
        return definition_history.of_name(context.home, name, tool)
    except NotFound as exc:
        names = {one.name for one in _counting(context).named(name) if tool in (None, one.tool)}
        if len(names) != 1:
            exc.hint = f"{', '.join(sorted(names))} answer to it" if names else exc.hint
            raise
        return definition_history.of_name(context.home, names.pop(), tool)


def files(context: Context, found: History, path: str | None) -> list[list[Version]]:
    """The files of a name that are meant: at a path, else where the command runs."""
    return found.meant(_counting(context)) if path is None else found.at(path)


def _counting(context: Context) -> Found:
    """What counts where the command runs."""
    home = context.home
    today = clock.date_in(home.now_us(), UTC)
    return registry.Registry(home.settings, str(Path.home())).look(here() or "/", today)


# ── history ──


@click.command(
    "history",
    help=COMMANDS["definitions history"][1]
    + "\n\nThe newest revision first, across renames: of the file that counts in the current directory, else of the only one that had the name, else of all; "
    "without NAME what happened to all definitions. Each content has a number, which `diff` and `restore definition` take. Who changed it is told where it is known: what Holdfast wrote itself is observed; commits and agents' calls are inferred (`?`).",
)
@click.argument("name", metavar="[NAME]", required=False)
@tool_option
@path_option
@all_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_MOST_ACTS,
    show_default=True,
    help="At most so many changes, the newest; those that were seen at once are one.",
)
@click.option("--each", is_flag=True, help="Name every file of changes that were seen at once.")
@json_option
@click.pass_obj
def history(
    context: Context,
    name: str | None,
    tool: str | None,
    path: str | None,
    every: bool,  # noqa: FBT001
    limit: int,
    each: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    if name is None and (every or path is not None):
        raise UsageError("--path and --all need a NAME", hint="holdfast definitions history NAME --path FILE")
    _one_of(path, every)
    up_to_date(context, sources=True)
    home = context.home
    if name is None:
        found = definition_history.of_all(home)
        chosen = [one for one in found.versions if tool in (None, one.row.tool)]
    else:
        found = named(context, name, tool)
        chosen = _chosen(context, found, path, every)
    acts = versions.acts(chosen)
    shown = acts[-limit:]
    if name is not None:
        definition_history.ask_who(home, found, [one for act in shown for one in act])
    if as_json:
        terminal.print_json(_history_json(context, found, chosen, shown))
        return
    if not shown:
        click.echo(f"no definition{f' of {tools.TOOLS[tool].title}' if tool else ''} was ever seen")
    _say_history(context, found, chosen, shown, each=each)
    if len(acts) > limit:
        click.echo(f"\n{len(acts) - limit} older; --limit {len(acts)} shows them")
    if name is not None and (left := _left_out(found, chosen)):
        click.echo(
            f"\n{terminal.some(len(left), 'other file')} of this name: --all shows what became of each"
        )


def _one_of(path: str | None, every: bool) -> None:  # noqa: FBT001
    if every and path is not None:
        raise UsageError("--path and --all exclude each other", hint="name one file, or none")


def _chosen(context: Context, found: History, path: str | None, every: bool) -> list[Version]:  # noqa: FBT001
    """The versions of the files that are meant, in their order."""
    if every:
        return found.versions
    ours = {one.row.id for file in files(context, found, path) for one in file}
    return [one for one in found.versions if one.row.id in ours]


def _left_out(found: History, chosen: list[Version]) -> list[str]:
    """Where the files of the name lie, or lay last, that were not chosen."""
    ours = {one.row.id for one in chosen}
    others = [file[-1].row for file in versions.files(found.versions)]
    return sorted({row.path for row in others if row.id not in ours})


def _history_json(
    context: Context, found: History, chosen: list[Version], shown: list[list[Version]]
) -> Json:
    kept = definition_history.contents(context.home)
    lying = {one.row.id for one in versions.lying(chosen).values()}
    return {
        "name": found.name,
        "total": len(chosen),
        "other_files": [] if found.name is None else _left_out(found, chosen),
        "revisions": [
            _revision_json(one)
            | {
                "content": kept.state_of(one.row),
                "lies_there": one.row.id in lying,
                "batch_changes": found.batches.get(one.row.batch or ""),
                "who": [_who_json(who) for who in found.who.get(one.row.id, [])],
            }
            for act in reversed(shown)
            for one in reversed(act)
        ],
    }


def _revision_json(one: Version) -> Json:
    row = one.row
    return {
        "id": row.id,
        "version": one.number,
        "seen_at": clock.iso(row.time_us),
        "changed_at": clock.iso(row.changed_us),
        "unseen_s": None if one.late_us is None else one.late_us / 1_000_000,
        "operation": row.operation,
        "tool": row.tool,
        "name": row.name,
        "name_before": row.name_before,
        "tier": row.tier,
        "path": row.path,
        "path_before": row.path_before,
        "root": row.root,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "before_sha256": row.before_sha256,
        "previous": row.previous,
        "validity": row.validity,
        "score": row.score,
        "batch": row.batch,
        "own": row.own,
        "reason": row.reason,
        "host": row.host,
    }


def _who_json(who: Who) -> Json:
    told = asdict(who)
    return {"by": told.pop("by"), "at": clock.iso(told.pop("at_us")), **told}


def _say_history(
    context: Context, found: History, chosen: list[Version], shown: list[list[Version]], *, each: bool
) -> None:
    kept = definition_history.contents(context.home)
    lying = versions.lying(chosen)
    if found.name is not None:
        count = sum(one.number is not None for one in chosen)
        where = ", ".join(near(path, here()) for path in sorted(lying)[:_MOST_NAMES]) or "not there any more"
        said = f"{found.name[:_NAME_CHARS]}: {terminal.some(count, 'version')}, {where}"
        click.echo(terminal.plain(said))
    for act in reversed(shown):
        if found.name is None and len(act) > 1 and not each:
            _say_burst(act)
            continue
        for one in reversed(act):
            _say_version(found, one, kept)


def _say_burst(act: list[Version]) -> None:
    """What was seen at once, as one act on many files."""
    counts = Counter(_DONE.get(one.row.operation, one.row.operation) for one in act)
    names = list(dict.fromkeys(one.row.name for one in act))
    done = ", ".join(f"{n} {word}" for word, n in counts.most_common())
    more = (
        f" and {len(names) - _MOST_NAMES} more; --each names every file" if len(names) > _MOST_NAMES else ""
    )
    click.echo(f"  {_at(act[-1].row.time_us)}  {terminal.some(len(act), 'change')} at once: {done}")
    click.echo(terminal.plain(f"      {', '.join(one[:_NAME_CHARS] for one in names[:_MOST_NAMES])}{more}"))


def _say_version(found: History, one: Version, kept: definition_history.Contents) -> None:
    row = one.row
    number = "-" if one.number is None else str(one.number)
    size = "-" if row.size_bytes is None else terminal.size(row.size_bytes)
    done = _DONE.get(row.operation, row.operation)
    name = "" if found.name == row.name else f"  {row.name[:_NAME_CHARS]}"
    head = f"{number:>3}  {_at(row.time_us)}  {done:<8}  {row.tier or '?':<8}  {size:>8}  {versions.short(row.sha256):<12}"
    changes = found.batches.get(row.batch or "", 1)
    at_once = f"  (one of {changes} at once)" if changes > 1 else ""
    click.echo(terminal.plain(f"{head}  {near(row.path, here())}{name}{at_once}"))
    for line in _notes(found, one, kept):
        click.echo(terminal.plain(f"       {line}"))


def _notes(found: History, one: Version, kept: definition_history.Contents) -> list[str]:
    row = one.row
    out = []
    if row.path_before is not None:
        rule = "" if row.own else f"?: {row.reason}"
        out.append(f"it lay at {near(row.path_before, here())}{rule}")
    if row.operation == revisions.UNLINK:
        out.append(f"it still lies there, and is not reached from {near(row.root or '?', here())} any more")
    if row.operation == revisions.LINK:
        out.append(f"it lay there, and is reached from {near(row.root or '?', here())} now")
    if row.name_before is not None:
        out.append(f"it was called {row.name_before[:_NAME_CHARS]}")
    out += [_who_said(who, row.reason) for who in found.who.get(row.id, [])]
    if one.late_us is not None:
        ago = terminal.age(row.changed_us, row.time_us)
        out.append(f"written {ago} before it was seen: what it had until then, if anything, was not seen")
    if not one.is_here:
        out.append(f"seen {versions.elsewhere(row.host)}")
    said = kept.state_of(row)
    if said == definition_history.ELSEWHERE:
        out.append("content not here")
    elif said not in (None, definition_history.KEPT):
        out.append(f"content {said}")
    return out


def _who_said(who: Who, reason: str | None) -> str:
    mark = "?" if who.grade == "inferred" else ""
    if who.by == authors.COMMIT:
        subject = f" {who.subject[:_SUBJECT_CHARS]!r}" if who.subject else ""
        return f"by {who.name}{mark} in commit {(who.commit or '')[:12]}{subject}: {who.why}"
    if who.by == authors.AGENT:
        session = terminal.short_id((who.session or "").partition(":")[2])
        return f"by {who.name}{mark} in session {session}: {who.why}"
    return f"by {who.name}{mark}" + (f": {reason}" if reason else "")


def _at(time_us: int) -> str:
    return (clock.iso(time_us) or "")[:19].replace("T", " ") + "Z"


# ── diff ──


@click.command(
    "diff",
    help=COMMANDS["definitions diff"][1]
    + "\n\nOf the file that counts in the current directory, else of the only one that had the name, as `diff -u` has it. Without FROM: the last change; without TO: from FROM to what lies there now. Each is a version's number, how the SHA-256 of a "
    "content or the id of a revision begins, a time, or `now`. At a terminal what would command it is made visible; elsewhere every byte is as it is.",
)
@click.argument("name", metavar="NAME")
@click.argument("wanted", nargs=-1, metavar="[FROM] [TO]")
@tool_option
@path_option
@all_option
@json_option
@click.pass_obj
def diff(
    context: Context,
    name: str,
    wanted: tuple[str, ...],
    tool: str | None,
    path: str | None,
    every: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    if len(wanted) > 2:
        raise UsageError(f"{len(wanted)} revisions were named", hint="name one or two")
    _one_of(path, every)
    up_to_date(context)
    found = named(context, name, tool)
    chosen = found.versions if every else definition_history.only(files(context, found, path))
    done = definition_history.compare(context.home, found, chosen, wanted, moments(context))
    if as_json:
        terminal.print_json(_diff_json(found.name, done))
        return
    _say_diff(done)


def _diff_json(name: str | None, done: Compared) -> Json:
    text = done.difference.text
    return {
        "name": name,
        "from": _side_json(done.before, done.sides[0]),
        "to": _side_json(done.after, done.sides[1]),
        "equal": done.difference.equal,
        "binary": text is None,
        "diff": None if text is None else text.decode("utf-8"),
        "added": done.difference.count(b"+"),
        "removed": done.difference.count(b"-"),
    }


def _side_json(one: Version | None, side: Side) -> Json:
    return {
        "path": side.path or None,
        "revision": one.row.id if one else None,
        "version": one.number if one else None,
        "sha256": side.sha256,
        "size_bytes": None if side.content is None else len(side.content),
    }


def _say_diff(done: Compared) -> None:
    text = done.difference.text
    a, b = (_told(side) for side in done.sides)
    if done.difference.equal:
        terminal.note(f"{a} and {b}: the same content")
    elif text is None:
        click.echo(terminal.plain(f"not both are text: {a}, {b}"))
    elif not text:
        terminal.note(f"{a}, {b}: no line differs")
    elif sys.stdout.isatty():
        click.echo(visible(text.decode("utf-8"), keep="\n\t"), nl=False)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text)


def _told(side: Side) -> str:
    if side.content is None:
        return "no file"
    return f"{Path(side.path).name} ({side.label}, {terminal.size(len(side.content))})"


commands = {"definitions history": history, "definitions diff": diff}
