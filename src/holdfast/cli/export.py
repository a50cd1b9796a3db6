"""`holdfast export [FILE]`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast import exchange
from holdfast.cli import answers, terminal, when
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import TransferIncomplete, UsageError

if TYPE_CHECKING:
    from holdfast.transfer.outgoing import Written

_MOST_SHOWN = 20


@click.command(
    "export",
    help=COMMANDS["export"][1]
    + "\n\nWithout FILE, or with -, to standard output; `holdfast import` reads it.",
)
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "parquet"]),
    default="jsonl",
    help="jsonl: the recorded history, as one file. parquet: the tables of answers, as a directory FILE.",
)
@click.option("--session", "sessions", multiple=True, help="Only this session; may be given several times.")
@click.option(
    "--since", help="First moment or day (UTC) of receipt: 2026-11-01, 2026-11-01T12:00:00Z, or 7d."
)
@click.option("--until", help="Last moment or day (UTC) of receipt, written alike.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md); needs a FILE.")
@click.pass_obj
def command(
    context: Context,
    file: Path | None,
    form: str,
    sessions: tuple[str, ...],
    since: str | None,
    until: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    target = None if file is None or str(file) == "-" else file
    _check_target(target, form, as_json=as_json)
    home = context.home
    now_us = home.now_us()
    since_us, last_us = when.first_us(since, now_us, "--since"), when.last_us(until, now_us, "--until")
    answers.catch_up(home)
    if form == "parquet":
        assert target is not None
        if since or until:
            raise UsageError(
                "--since and --until choose records, and tables hold none",
                hint="filter the tables by their times",
            )
        _tables(context, target, sessions, as_json=as_json)
        return
    line = terminal.ProgressLine("exporting")
    try:
        written = exchange.export(
            home, target, exchange.choose(home, sessions, since_us, last_us), line.show_count
        )
    finally:
        line.done()
    _tell(written, target, as_json=as_json)


def _check_target(target: Path | None, form: str, *, as_json: bool) -> None:
    if target is not None:
        return
    if form == "parquet":
        raise UsageError(
            "Parquet is written into a directory", hint="holdfast export DIRECTORY --format parquet"
        )
    if as_json:
        raise UsageError(
            "--json needs standard output for itself", hint="name a file: holdfast export FILE --json"
        )
    if sys.stdout.isatty():
        raise UsageError(
            "an export is no reading for a terminal", hint="name a file: holdfast export history.jsonl"
        )


def _tell(written: Written, target: Path | None, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json({"file": str(target), **asdict(written), "tables": None})
    else:
        where = "" if target is None else f" to {target}"
        said = f"{terminal.some(written.records, 'record')} ({terminal.size(written.size_bytes)}) exported{where}"
        click.echo(terminal.plain(said), err=target is None)
    for lost in written.lost[:_MOST_SHOWN]:
        terminal.note(
            f"not exported: journal segment {lost.segment} bytes {lost.start_byte} to {lost.end_byte}: {lost.why}"
        )
    if len(written.lost) > _MOST_SHOWN:
        terminal.note(f"and {len(written.lost) - _MOST_SHOWN} more; --json lists them all")
    if written.lost:
        raise TransferIncomplete(
            f"{terminal.some(len(written.lost), 'range')} of the journal could not be read and are not in the export",
            hint="all other records are in it; `holdfast doctor` says what can be done about the damage",
        )


def _tables(context: Context, target: Path, sessions: tuple[str, ...], *, as_json: bool) -> None:
    line = terminal.ProgressLine("exporting")
    try:
        rows: dict[str, Any] = exchange.export_tables(context.home, target, sessions, line.show_count)
    finally:
        line.done()
    if as_json:
        counts = dict.fromkeys(("records", "repeated", "size_bytes"))
        terminal.print_json({"file": str(target), **counts, "lost": [], "tables": rows})
    else:
        click.echo(
            terminal.plain(f"{', '.join(f'{n} {name}' for name, n in rows.items())} exported to {target}")
        )
