"""What the commands that write definitions share: their options, who writes, and what they say of it."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from holdfast import door
from holdfast.cli import definition_shapes as shapes
from holdfast.cli import terminal
from holdfast.cli.definitions import near, say_findings
from holdfast.definitions import placing, tools
from holdfast.definitions.findings import NOTE
from holdfast.definitions.parse import MOST_BYTES
from holdfast.errors import DefinitionConflict, NotFound, UsageError
from holdfast.plain_files import content_of
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.cli.app import Context
    from holdfast.defining_writes import Writer
    from holdfast.definitions.choosing import Where
    from holdfast.definitions.registry import Found
    from holdfast.definitions.writing import Written

Json = dict[str, Any]
_Command = TypeVar("_Command", bound="Callable[..., Any]")
_ABSENT = "absent"
_WORDS = {
    "create": "created",
    "modify": "changed",
    "delete": "removed",
    "rename": "moved",
    "restore": "restored",
    None: "unchanged",
}

tool = click.option("--tool", type=click.Choice(list(tools.TOOLS)), help="Of this tool.")
tier = click.option("--tier", type=click.Choice(tools.TIERS), help="The file in this tier.")
strategy = click.option(
    "--strategy",
    type=click.Choice(placing.STRATEGIES),
    default=placing.TIER_SPECIFIC,
    show_default=True,
    help="Which files: those of the tier, your own, the first that may be written, or one in every tier that may be.",
)


def told(command: _Command) -> _Command:
    """Options of every command that writes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md)."),
        click.option(
            "--cwd",
            metavar="DIR",
            type=click.Path(),
            help="Seen from this directory instead of the current one.",
        ),
        click.option("--author", metavar="NAME", help="Who changes it; you, if it is not said."),
        click.option("--reason", metavar="TEXT", help="Why; it is recorded with the change."),
    ):
        command = option(command)
    return command


def writer(context: Context, cwd: str | None, author: str | None, reason: str | None) -> Writer:
    """Who writes what is asked for here."""
    from holdfast.defining_writes import Writer, by

    return Writer(context.home, shapes.directory(cwd), by(author, reason))


def where(name: str | None, path: str | None, tool: str | None, tier: str | None, strategy: str) -> Where:
    """What is asked for; a path as the system knows it from here."""
    from holdfast.definitions.choosing import Where

    whole = None if path is None else os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118 - any bytes
    return Where(name, whole, tool, tier, strategy)


def base_of(words: str) -> str | None:
    """What may be written over; None: nothing may lie there. Raises UsageError."""
    from holdfast.defining_writes import sha256_of

    return None if words == _ABSENT else sha256_of(words)


def given(path: str) -> bytes:
    """What stands in a file; "-": what comes from standard input. A pipe with a name is read to its end too.

    Raises:
        NotFound: it cannot be read.
        UsageError: it is more than a definition may be.
    """
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        elif _is_stream(path):
            with open(path, "rb") as file:  # noqa: PTH123 - any bytes
                content = file.read(MOST_BYTES + 1)
        else:
            return content_of(path, MOST_BYTES)
    except OSError as exc:
        raise NotFound(
            f"{printable_path(path)}: {exc.strerror}", hint="name a file that can be read"
        ) from exc
    if len(content) > MOST_BYTES:
        raise UsageError(f"a definition has at most {MOST_BYTES:,} bytes", hint="give less")
    return content


def _is_stream(path: str) -> bool:
    """Whether a path is that of a pipe, as a shell names one for `<(command)`, or of a terminal."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - any bytes
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def carried_out(
    context: Context, cwd: str | None, act: Callable[[], Sequence[Written]], *, as_json: bool
) -> None:
    """Write, and say what became of it."""
    try:
        done = act()
    except DefinitionConflict as exc:
        if as_json:
            where = printable_path(shapes.directory(cwd))
            terminal.print_json({"cwd": where, "files": [], "conflicts": list(exc.ids)})
        raise
    finally:
        door.close()
    found = shapes.looked(context, cwd)
    if as_json:
        files = [_json(one, found) for one in done]
        terminal.print_json({"cwd": printable_path(found.cwd), "files": files, "conflicts": []})
        return
    for one in done:
        _say(one, found)


def _json(one: Written, found: Found) -> Json:
    verdict = one.place.verdict if one.place else None
    return {
        "tool": one.root.tool,
        "name": one.name,
        "name_before": one.name_before,
        "tier": one.root.tier,
        "root": printable_path(one.root.path),
        "path": printable_path(one.path),
        "real_path": printable_path(one.real),
        "path_before": None if one.path_before is None else printable_path(one.path_before),
        "operation": one.operation,
        "revision": one.revision,
        "sha256": one.sha256,
        "before_sha256": one.before,
        "size_bytes": one.size_bytes,
        "validity": verdict.validity if verdict else None,
        "score": verdict.score if verdict else None,
        "findings": shapes.findings(verdict.findings) if verdict else [],
        "counts": _counts(one, found)[0],
    }


def _counts(one: Written, found: Found) -> tuple[bool | None, str]:
    """Whether a file counts here now, and if not, what does instead; None: it is gone, or not seen from here."""
    for each in found.definitions:
        for number, standing in enumerate(each.order):
            if one.place is not None and standing.place.file.real == one.real:
                first = each.order[0].place.file
                instead = (
                    f"{near(first.path, found.cwd)} ({first.root.tier}) does" if number else standing.why
                )
                return standing.state == "wins", instead
    return None, ""


def _say(one: Written, found: Found) -> None:
    before = f" from {near(one.path_before, found.cwd)}" if one.path_before is not None else ""
    real = f" (→ {near(one.real, found.cwd)})" if one.real != one.path else ""
    what = f"{_WORDS[one.operation]}  {near(one.path, found.cwd)}{real}{before} ({one.name[:60]}, {one.root.tier})"
    click.echo(terminal.plain(what))
    if one.name_before is not None:
        click.echo(terminal.plain(f"  it is called {one.name[:60]} now, and was {one.name_before[:60]}"))
    counts, instead = _counts(one, found)
    if counts is False:
        click.echo(terminal.plain(f"  it does not count here: {instead}"))
    if one.place is not None:
        say_findings(finding for finding in one.place.verdict.findings if finding.level != NOTE)
