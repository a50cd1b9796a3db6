"""`holdfast definitions list`, `show` and `why`: which file says what an agent is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast import clock
from holdfast.cli import definition_shapes as shapes
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.definitions import reading, states, tiers, tools
from holdfast.definitions.findings import ERROR, NOTE, WARNING
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.cli.columns import Cell
    from holdfast.definitions.findings import Finding
    from holdfast.definitions.registry import Found
    from holdfast.definitions.tiers import Definition, Place
    from holdfast.store.definitions import Revision

_LOOK = {
    "valid": "green",
    "invalid": "red",
    "unchecked": "yellow",
    ERROR: "red",
    WARNING: "yellow",
    NOTE: "dim",
}
_STATES = {tiers.WINS: "green", tiers.SHADOWED: "dim", tiers.PASSED_OVER: "yellow"}
_STATE_SAID = {
    states.CONFLICTED: "somebody wanted to write something else: `holdfast definitions conflicts`",
    states.MIGRATING: "it is being moved into another tier",
}
_NAME_CHARS = 60
_MOST_TOLD = 20
_WORDS_SHOWN = 12
_DESCRIPTION_CHARS = 400
_cwd = click.option(
    "--cwd", metavar="DIR", type=click.Path(), help="Seen from this directory instead of the current one."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")


@click.command(
    "list",
    help=COMMANDS["definitions list"][1]
    + "\n\nOf each name the file that counts in the current directory. `hides` counts the files that would count without it, "
    "`used` says how long ago an agent of that name started last, anywhere.",
)
@click.option("--tool", type=click.Choice(list(tools.TOOLS)), help="Of this tool only.")
@click.option("--tier", type=click.Choice(tools.TIERS), help="Of this tier only.")
@click.option("--type", "kind", metavar="TYPE", help="That say they are of this type.")
@click.option(
    "--capability", metavar="WORDS", help="That name a capability or specialisation with these words."
)
@click.option(
    "--state", type=click.Choice(states.STATES), help="In this state; `deleted` ones have no file any more."
)
@_cwd
@_json
@click.pass_obj
def list_(
    context: Context,
    tool: str | None,
    tier: str | None,
    kind: str | None,
    capability: str | None,
    state: str | None,
    cwd: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    found = shapes.looked(context, cwd)
    state_of = shapes.standing(context)
    shown = [
        one
        for one in found.definitions
        if tool in (None, one.tool)
        and tier in (None, one.shown.file.root.tier)
        and _is_of(one.shown, kind)
        and _can(one.shown, capability)
        and state in (None, state_of(one))
    ]
    used = shapes.last_used(context)
    gone = shapes.deleted(context, found, tool, tier) if state == states.DELETED else None
    if as_json:
        terminal.print_json(
            {
                "cwd": printable_path(found.cwd),
                "definitions": [
                    shapes.definition(one) | {"state": state_of(one)} | used.answer(one) for one in shown
                ],
                "deleted": gone if gone is None else [shapes.gone(one) for one in gone],
                "roots": [shapes.root(one) for one in found.roots],
                "unseen": shapes.unseen(one.tool for one in shown),
                "unreadable": shapes.unreadable(found),
            }
        )
    elif gone is None:
        _say_list(context, found, shown, used)
        if waiting := sum(state_of(one) == states.CONFLICTED for one in shown):
            number = terminal.some(waiting, "definition")
            click.echo(f"\n{number} in a conflict to be decided: `holdfast definitions conflicts`")
    else:
        _say_gone(found, gone)


def _say_gone(found: Found, gone: list[Revision]) -> None:
    if not gone:
        click.echo("no definition was deleted here")
        return
    table = terminal.table("name", "tool", "tier", "when", "file", flexible=("file", "name"))
    for one in gone:
        name = terminal.safe(terminal.plain(one.name), _NAME_CHARS)
        when = (clock.iso(one.time_us) or "")[:19]
        table.add_row(name, one.tool, one.tier or "?", when, terminal.safe(near(one.path, found.cwd), 200))
    terminal.console().print(table)


def _is_of(place: Place, kind: str | None) -> bool:
    return kind is None or (
        place.parsed is not None and (place.parsed.kind or "").casefold() == kind.casefold()
    )


def _can(place: Place, words: str | None) -> bool:
    if words is None:
        return True
    said = (*place.parsed.capabilities, *place.parsed.specialisations) if place.parsed else ()
    return any(words.casefold() in one.casefold() for one in said)


def _say_list(context: Context, found: Found, shown: list[Definition], used: shapes.LastUsed) -> None:
    now_us = _now_us(context)
    if shown:
        table = terminal.table(
            "name",
            "tool",
            "tier",
            "model",
            "size",
            "check",
            "hides",
            "used",
            "file",
            right=("size", "check", "hides", "used"),
            flexible=("file", "name"),
        )
        for one in shown:
            place = one.shown
            model = place.parsed.model if place.parsed else None
            table.add_row(
                terminal.safe(terminal.plain(one.name), _NAME_CHARS),
                one.tool,
                tier_of(one),
                terminal.safe(model or "-", 24),
                size(place),
                check(place),
                str(len(one.shadowed) or "-"),
                used.words(one, now_us),
                terminal.safe(near(place.file.path, found.cwd), 200),
            )
        terminal.console().print(table)
    else:
        say_none(found)
    _say_problems(found, shown)


def tier_of(one: Definition) -> str:
    """The tier of the file that counts; `?` behind one of which it is not certain, brackets around one that does not count."""
    tier = one.shown.file.root.tier
    if one.winner is None:
        return f"({tier})"
    return tier + ("?" if one.grade == tiers.INFERRED else "")


def size(place: Place) -> str:
    return "?" if place.size_bytes is None else terminal.size(place.size_bytes)


def check(place: Place) -> Cell:
    """The score, or what is wrong instead, in its colour."""
    verdict = place.verdict
    word = str(verdict.score) if verdict.validity == "valid" else verdict.validity
    return terminal.safe(word, style=_LOOK[verdict.validity])


def near(path: str, cwd: str) -> str:
    """A path as a person would write it in this directory ("": it is gone); what is not shown is escaped."""
    home = str(Path.home())
    if cwd and path.startswith(f"{cwd}/"):
        path = path[len(cwd) + 1 :]
    elif path.startswith(f"{home}/"):
        path = f"~{path[len(home) :]}"
    return visible(printable_path(path))


def say_none(found: Found) -> None:
    """Say that no definition is to be told of: none counts here, or none of those that do was asked for."""
    if found.definitions:
        click.echo("no definition is like that")
        return
    click.echo("no definitions of agents count here; these directories would be looked into:")
    for root in found.roots:
        click.echo(terminal.plain(f"  {root.tool:<7} {root.tier:<8} {near(root.path, found.cwd)}"))


def _say_problems(found: Found, shown: list[Definition]) -> None:
    told = list(_problems(shown))
    for one, finding in told[:_MOST_TOLD]:
        click.echo()
        click.echo(terminal.plain(f"{one.name[:_NAME_CHARS]} ({one.tool}): {finding.text}"))
        if finding.hint:
            click.echo(terminal.plain(f"  {finding.hint}"))
    wrong = sum(one.shown.verdict.validity != "valid" for one in shown)
    if len(told) > _MOST_TOLD:
        click.echo(f"\n{len(told) - _MOST_TOLD} more; `holdfast definitions validate` says all")
    if wrong:
        click.echo(
            f"\n{terminal.some(wrong, 'definition')} not valid: `holdfast definitions validate` says why"
        )
    for path, why in found.unreadable[:_MOST_TOLD]:
        terminal.note(f"note: {near(path, found.cwd)} {why}")


def _problems(shown: list[Definition]) -> Iterator[tuple[Definition, Finding]]:
    """What is to be told of files together; of names that are alike once."""
    alike: set[tuple[str, str]] = set()
    for one in shown:
        for finding in one.findings:
            if finding.code == "near-name":
                key = (one.tool, tiers.folded(one.name))
                if key in alike:
                    continue
                alike.add(key)
            if finding.level != NOTE:
                yield one, finding


@click.command(
    "show", help=COMMANDS["definitions show"][1] + "\n\nOf the file that counts in the current directory."
)
@click.argument("name", metavar="NAME")
@_cwd
@_json
@click.pass_obj
def show(context: Context, name: str, cwd: str | None, as_json: bool) -> None:  # noqa: FBT001
    found = shapes.looked(context, cwd)
    ones, used = shapes.named(found, name, context), shapes.last_used(context)
    state_of = shapes.standing(context)
    if as_json:
        definitions = [
            shapes.definition(one) | {"state": state_of(one)} | used.answer(one) | {"text": _text(one.shown)}
            for one in ones
        ]
        terminal.print_json({"cwd": printable_path(found.cwd), "name": name, "definitions": definitions})
        return
    for number, one in enumerate(ones):
        if number:
            click.echo()
        _say_one(context, found, one, used, state_of(one))


def _text(place: Place) -> str | None:
    """The text of a file; None: it cannot be read, or is no UTF-8."""
    try:
        return reading.content(place.file.path).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _say_one(
    context: Context, found: Found, one: Definition, used: shapes.LastUsed, state: str | None
) -> None:
    place = one.shown
    facts = [
        one.tool,
        tier_of(one),
        size(place),
        f"score {place.verdict.score}" if place.verdict.score is not None else "unchecked",
    ]
    click.echo(
        terminal.plain(f"{one.name[:_NAME_CHARS]}  {', '.join(facts)}  {near(place.file.path, found.cwd)}")
    )
    for label, said in (*_facts(one, state), ("last used", _ago(used.words(one, _now_us(context))))):
        click.echo(terminal.plain(f"  {label:<16}{said}"))
    say_findings((*one.findings, *place.verdict.findings))
    text = _text(place)
    if text is None:
        terminal.note(f"note: {near(place.file.path, found.cwd)} is no text that can be shown")
        return
    click.echo()
    click.echo(visible(text.replace("\r\n", "\n"), keep="\n\t").rstrip("\n"))


def _ago(words: str) -> str:
    return {"?": "unknown", "never": "never, as far as is recorded"}.get(words, f"{words} ago")


def _now_us(context: Context) -> int:
    return clock.parse_us(context.settings.now) or clock.now_us()


def _facts(one: Definition, state: str | None) -> Iterable[tuple[str, str]]:
    """What is known of a definition, by label; what is not is left out."""
    place, parsed = one.shown, one.shown.parsed
    hidden = terminal.some(len(one.shadowed), "file")
    every = {
        "state": _STATE_SAID.get(state or "", ""),
        "does not count": "" if one.winner else one.order[0].why,
        "not certain": one.why,
        "hides": f"{hidden}; `holdfast definitions why` names them" if one.shadowed else "",
        "also called": ", ".join(place.aliases),
    }
    if parsed is not None:
        every |= {
            "description": terminal.plain(parsed.description or "", _DESCRIPTION_CHARS),
            "type": parsed.kind or "",
            "model": parsed.model or "",
            "tools": "" if parsed.tools is None else ", ".join(parsed.tools) or "none",
            "capabilities": _several(parsed.capabilities),
            "specialisations": _several(parsed.specialisations),
            "SHA-256": place.sha256 or "",
        }
    return ((label, said) for label, said in every.items() if said)


def _several(words: tuple[str, ...]) -> str:
    return "; ".join(words[:_WORDS_SHOWN]) + ("; …" if len(words) > _WORDS_SHOWN else "")


def say_findings(found: Iterable[Finding], indent: str = "  ") -> None:
    """Findings, one a line, and below each what to do."""
    for one in found:
        where = f"line {one.line}: " if one.line is not None else ""
        click.echo(
            terminal.plain(f"{indent}{one.level}: {where}{one.text}{f'; {one.hint}' if one.hint else ''}")
        )


@click.command(
    "why",
    help=COMMANDS["definitions why"][1]
    + "\n\nThe file that counts in the current directory first, then those that it hides, in their order.",
)
@click.argument("name", metavar="NAME")
@_cwd
@_json
@click.pass_obj
def why(context: Context, name: str, cwd: str | None, as_json: bool) -> None:  # noqa: FBT001
    found = shapes.looked(context, cwd)
    ones = shapes.named(found, name)
    unseen, also = shapes.unseen(one.tool for one in ones), found.also_called(name)
    if as_json:
        used, state_of = shapes.last_used(context), shapes.standing(context)
        definitions = [shapes.explained(one) | {"state": state_of(one)} | used.answer(one) for one in ones]
        terminal.print_json(
            {
                "cwd": printable_path(found.cwd),
                "name": name,
                "definitions": definitions,
                "also_called": also,
                "unseen": unseen,
            }
        )
        return
    for one in ones:
        _say_order(found, one)
    for other in also:
        click.echo(terminal.plain(f"{other} has this plain name too, and answers to its whole one"))
    for each in unseen:
        tool = tools.TOOLS[each["tool"]]
        if each["tier"] != tools.BUILT_IN or name in tool.built_in:
            click.echo(f"not seen: {each['what']} ({tool.title}, {each['tier']})")


def _say_order(found: Found, one: Definition) -> None:
    """Two lines a file, so that no path and no reason is cut however narrow the terminal is."""
    title, files = tools.TOOLS[one.tool].title, terminal.some(len(one.order), "file")
    click.echo(
        terminal.plain(
            f"{one.name[:_NAME_CHARS]}: {files} for {title}, seen from {printable_path(found.cwd)}"
        )
    )
    rows = [
        (each.state, each.place.file.root.tier, size(each.place), check(each.place).text)
        for each in one.order
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for each, (state, tier, size_, checked) in zip(one.order, rows, strict=True):
        path = near(each.place.file.path, found.cwd)
        head = f"{state:<{widths[0]}}  {tier:<{widths[1]}}  {size_:>{widths[2]}}  {checked:>{widths[3]}}"
        terminal.console().print(
            terminal.cell(f"  {head}  {path}", len(head) + len(path) + 4, _STATES[each.state]), soft_wrap=True
        )
        indent = " " * (widths[0] + 4)
        click.echo(terminal.plain(f"{indent}{each.why}"))
        for other in each.place.also_at:
            click.echo(terminal.plain(f"{indent}the same file: {near(other, found.cwd)}"))
    if one.why:
        click.echo(terminal.plain(f"not certain: {one.why}"))
    say_findings(one.findings, "")


commands = {"definitions list": list_, "definitions show": show, "definitions why": why}
