"""`holdfast redact check` and `holdfast redact stats`: what would be taken out, and what was."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import HoldfastError, HomeOutdated, NotFound, SecretsFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.redaction_check import Checker, Looked, Place
    from holdfast.redaction_counts import Counts, Tally

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
_WHY_CHARS = 100


@click.command(
    "check",
    help=COMMANDS["redact check"][1]
    + "\n\nWrites nothing, and never prints a secret. `-` is standard input. Exits with 41 when there is something.",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--plain",
    is_flag=True,
    help="One line a place, its fields divided by tabs: FILE:LINE:COLUMN, bytes, kind, rule, placeholder.",
)
@_JSON
@click.pass_obj
def check(context: Context, files: tuple[Path, ...], plain: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast.home import KeptGates
    from holdfast.redaction_check import Checker

    line = terminal.ProgressLine("checking")
    home = context.settings.home
    checker = Checker(home, line.bytes_done, KeptGates().load)
    shown: list[dict[str, Any]] = []
    unread: list[tuple[Path, HoldfastError]] = []
    try:
        for place in _places(checker, files, unread):
            if as_json:
                shown.append(asdict(place))
                continue
            line.done()
            click.echo(_plain(place) if plain else _told(place))
    finally:
        line.done()
    looked, read = checker.looked, len(files) - len(unread)
    if as_json:
        counts = {"files": read, "records": looked.records, "bytes": looked.size_bytes}
        kinds = dict(sorted(looked.kinds.items()))
        terminal.print_json(
            {"places": shown, "kinds": kinds, **counts, "unread": [str(file) for file, _ in unread]}
        )
    elif not plain and (read or looked.kinds):
        click.echo(_summary(looked, read))
    _end(looked.kinds.total(), [exc for _, exc in unread])


def _places(
    checker: Checker, files: tuple[Path, ...], unread: list[tuple[Path, HoldfastError]]
) -> Iterator[Place]:
    """The places in all files; what cannot be read, and why, goes to `unread`."""
    for file in files:
        try:
            yield from checker.file(file) if str(file) != "-" else checker.stream(_standard_input(), "-")
        except (NotFound, UsageError) as exc:
            unread.append((file, exc))


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise UsageError("standard input is closed", hint="pipe a text into it")
    return sys.stdin.buffer


def _end(found: int, unread: list[HoldfastError]) -> None:
    """Say what was not read, and end with the code for what was found, or else for the first that was not read."""
    for exc in unread if found else unread[1:]:
        terminal.note(f"not read: {exc}")
    if found:
        what = f"{terminal.some(found, 'place')} would be taken out"
        raise SecretsFound(what, hint="what is none of it can be let through: `holdfast redact allow`")
    if unread:
        raise unread[0]


def _at(place: Place) -> str:
    column = "" if place.column is None else f":{place.column}"
    return f"{terminal.plain(place.file)}:{place.line}{column}"


def _plain(place: Place) -> str:
    bytes_ = f"{place.start_byte}-{place.end_byte}"
    fields = (_at(place), bytes_, place.kind, place.rule or "unknown", place.placeholder)
    return "\t".join(terminal.plain(each) for each in fields)


def _told(place: Place) -> str:
    rule = " ".join(part for part in (place.provider, place.rule or "more than one rule") if part)
    why = f": {terminal.plain(place.why, _WHY_CHARS)}" if place.why else ""
    record = "" if place.record is None else f"record {place.record}, "
    at = f"{_at(place)}  {record}bytes {place.start_byte} to {place.end_byte}"
    around = terminal.plain(f"{place.before}{place.placeholder}{place.after}".strip())
    return f"{at}  {terminal.plain(place.kind)} ({terminal.plain(rule)}{why})\n    {around}"


def _summary(looked: Looked, files: int) -> str:
    where = f"{terminal.some(files, 'file')}, {terminal.size(looked.size_bytes)}"
    if not looked.kinds:
        return f"nothing would be taken out of {where}"
    kinds = ", ".join(f"{number} {kind}" for kind, number in looked.kinds.most_common())
    return f"{terminal.some(looked.kinds.total(), 'place')} in {where}: {terminal.plain(kinds)}"


@click.command("stats", help=COMMANDS["redact stats"][1])
@_JSON
@click.pass_obj
def stats(context: Context, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import redaction_counts
    from holdfast.cli import answers

    try:
        home = context.home
        answers.catch_up(home)
    except HomeOutdated:  # nothing more is recorded into it; what is there can be counted
        home = context.outdated_home()
    line = terminal.ProgressLine("counting")
    try:
        found = redaction_counts.count(home, line.bytes_done)
    finally:
        line.done()
    if as_json:
        terminal.print_json(asdict(found))
        return
    _tallies("Kinds", found.kinds)
    _tallies("Sources", found.sources)
    _sums(found)


def _tallies(title: str, tallies: dict[str, Tally]) -> None:
    if not tallies:
        return
    out: Any = terminal.console()
    made = terminal.table(title, "records", "places", right=("records", "places"))
    for name, tally in sorted(tallies.items(), key=lambda each: (-each[1].places, each[0])):
        made.add_row(terminal.safe(name, 40, "bold"), str(tally.records), str(tally.places))
    out.print(made)
    out.print()


def _sums(found: Counts) -> None:
    records = terminal.some(found.records, "record")
    changed, unchecked = found.changed, found.unchecked
    if changed.records:
        click.echo(
            f"{terminal.some(changed.places, 'place')} taken out of {terminal.some(changed.records, 'record')}; "
            f"{records} read"
        )
    else:
        click.echo(f"nothing was taken out; {records} read")
    if unchecked.records:
        click.echo(
            f"{terminal.some(unchecked.places, 'text')} in {terminal.some(unchecked.records, 'record')} could not be "
            "looked at in time and were taken out whole"
        )
    if found.unknown:
        click.echo(
            f"unknown: {terminal.some(found.unknown, 'record')} written before anything was taken out; "
            "`holdfast redact apply` looks at them"
        )
    if found.damaged:
        click.echo(f"{terminal.some(found.damaged, 'damaged range')}; `holdfast doctor` lists them")


commands = {"redact check": check, "redact stats": stats}
