"""`holdfast definitions validate`: whether definitions are what their tools take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from holdfast.cli import definition_shapes as shapes
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.cli.definitions import near, say_findings, say_none
from holdfast.definitions import registry, tools
from holdfast.definitions.findings import NOTE
from holdfast.errors import DefinitionsInvalid, NotFound
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.definitions.findings import Finding
    from holdfast.definitions.registry import Found
    from holdfast.definitions.tiers import Definition, Place


class _Checked(NamedTuple):
    """A file, how it stands among those of its name (None: it was named as a file), and what is to be told of it."""

    place: Place
    state: str | None
    findings: tuple[Finding, ...]


@click.command(
    "validate",
    help=COMMANDS["definitions validate"][1]
    + "\n\nOf each NAME every file that counts here or is hidden; of a FILE (with `.md`, `.toml`, `.py`, `.json`, `.yaml` or `.yml` behind) that "
    "one. Without: all of them here. Nothing in a file is run. Exits with 42 when one is not valid.",
)
@click.argument("names", nargs=-1, metavar="[NAME|FILE...]", type=click.Path())
@click.option(
    "--tool",
    type=click.Choice(list(tools.TOOLS)),
    help="Of this tool only; a FILE as one of its definitions.",
)
@click.option(
    "--cwd", metavar="DIR", type=click.Path(), help="Seen from this directory instead of the current one."
)
@click.option(
    "--all", "every", is_flag=True, help="Say every note too, and name those in which nothing is wrong."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def validate(
    context: Context,
    names: tuple[str, ...],
    tool: str | None,
    cwd: str | None,
    every: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    found = shapes.looked(context, cwd)
    checked = list(_checked(found, names, tool))
    wrong = sum(one.place.verdict.validity != "valid" for one in checked)
    if as_json:
        files = [_json(one) for one in checked]
        counts: dict[str, Any] = {"checked": len(checked), "not_valid": wrong}
        terminal.print_json(
            {
                "cwd": printable_path(found.cwd),
                **counts,
                "files": files,
                "unreadable": shapes.unreadable(found),
            }
        )
    else:
        _say(found, checked, every=every)
    if wrong:
        raise DefinitionsInvalid(
            f"{wrong} of {terminal.some(len(checked), 'file')} not valid",
            hint="what is to be done stands beside each error",
        )


def _json(one: _Checked) -> dict[str, Any]:
    more = shapes.findings(one.findings)
    return shapes.file(one.place) | {"tool": one.place.file.root.tool, "state": one.state, "together": more}


def _checked(found: Found, names: tuple[str, ...], tool: str | None) -> Iterator[_Checked]:
    if not names:
        for one in found.definitions:
            if tool in (None, one.tool):
                yield from _of(one)
    for name in dict.fromkeys(names):
        ones = [one for one in found.named(name) if tool in (None, one.tool)]
        for one in ones:
            yield from _of(one)
        if not ones and registry.is_file_of_ours(name):
            yield _Checked(_read(name, tool), None, ())
        elif not ones:
            shapes.named(found, name)  # raises NotFound with what may have been meant
            raise NotFound(f"{printable_path(name)!r} is no definition of {tool}", hint="leave --tool out")


def _read(path: str, tool: str | None) -> Place:
    try:
        return registry.of_file(path, tools.TOOLS[tool] if tool else None)
    except OSError as exc:
        raise NotFound(f"{printable_path(path)}: {exc.strerror}") from exc


def _of(one: Definition) -> Iterator[_Checked]:
    for number, each in enumerate(one.order):
        yield _Checked(each.place, each.state, one.findings if number == 0 else ())


def _say(found: Found, checked: list[_Checked], *, every: bool) -> None:
    if not checked:
        say_none(found)
    quiet = 0
    for one in checked:
        together = [each for each in one.findings if each.code != "passed-over"]  # each file says its own
        told = [each for each in (*together, *one.place.verdict.findings) if every or each.level != NOTE]
        if not told and not every:
            quiet += 1
            continue
        place = one.place
        score = f" {place.verdict.score}" if place.verdict.score is not None else ""
        state = f", {one.state}" if one.state not in (None, "wins") else ""
        path = near(place.file.path, found.cwd)
        click.echo(terminal.plain(f"{place.verdict.validity}{score}  {path} ({place.name[:60]}{state})"))
        say_findings(told)
    if quiet:
        rest = terminal.some(quiet, "file")
        click.echo(f"{rest} valid, and nothing to say of {'it' if quiet == 1 else 'them'}")
    for path, why in found.unreadable:
        terminal.note(f"note: {near(path, found.cwd)} {why}")


commands = {"definitions validate": validate}
