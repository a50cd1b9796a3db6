"""`holdfast import [PATH…]`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast import exchange
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import NotFound, StoreBusy, TransferFailed, TransferIncomplete, UsageError

if TYPE_CHECKING:
    from holdfast.catch_up import ImportReport
    from holdfast.transfer.incoming import Taken

_WAIT_MS = 5_000
_MOST_SHOWN = 20
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\x00")


@click.command(
    "import",
    help=COMMANDS["import"][1]
    + "\n\nA PATH may be an export made by `holdfast export`; - is one on standard input.",
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--forgotten", is_flag=True, help="Also sessions that were forgotten; from now on they are not any more."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, paths: tuple[Path, ...], forgotten: bool, as_json: bool) -> None:  # noqa: FBT001
    home = context.home
    if not paths and not home.default_roots():
        looked = " and ".join(map(str, home.looked_for()))
        raise NotFound(f"{looked}: no agent history there", hint="name a path: holdfast import PATH")
    exports, unreadable = _exports(paths)
    sources = [path for path in paths if path not in exports and str(path) not in unreadable]
    for path in sources:
        _refuse_compressed(path)
    taken = {str(path): _take_in(context, path, also_forgotten=forgotten) for path in exports}
    line = terminal.ProgressLine("importing")
    try:
        report = home.catch_up(
            sources if paths else None,
            report=line.show,
            wait_ms=_WAIT_MS,
            seal_all=True,
            also_forgotten=forgotten,
        )
    finally:
        line.done()
    if report.busy:
        raise StoreBusy(
            "another process is importing into this home", hint="wait for it, then run this again"
        )
    if as_json:
        _print_json(report, taken)
    else:
        _print(report, taken, sources=bool(sources) or not paths)
        if report.left_out and paths:
            what = terminal.some(report.left_out, "file")
            click.echo(f"{what} left out: their session was forgotten (--forgotten imports them)")
    _complain(taken, unreadable)


def _exports(paths: tuple[Path, ...]) -> tuple[list[Path], dict[str, str]]:
    """Which of the paths are exports, and why one of them cannot be told to be."""
    exports, unreadable = [], {}
    for path in paths:
        try:
            if str(path) == "-" or exchange.is_export(path):
                exports.append(path)
        except TransferFailed as exc:
            unreadable[str(path)] = str(exc)
    return exports, unreadable


def _refuse_compressed(path: Path) -> None:
    """A compressed file holds no line that could be read; recording it as a transcript would help nobody."""
    try:
        with path.open("rb") as file:
            head = file.read(6)
    except OSError:  # what is wrong with it is told when it is read
        return
    if any(head.startswith(magic) for magic in _COMPRESSED):
        raise UsageError(f"{path}: it is compressed", hint="unpack it first, then import what was in it")


def _take_in(context: Context, path: Path, *, also_forgotten: bool) -> Taken:
    line = terminal.ProgressLine("importing")
    try:
        if str(path) == "-":
            if sys.stdin is None:
                raise UsageError("standard input is closed", hint="pipe an export into it")
            return exchange.take_in(
                context.home, sys.stdin.buffer, line.show_count, also_forgotten=also_forgotten
            )
        with exchange.opened(path) as file:
            return exchange.take_in(context.home, file, line.show_count, also_forgotten=also_forgotten)
    finally:
        line.done()


def _print_json(report: ImportReport, taken: dict[str, Taken]) -> None:
    terminal.print_json(
        {
            "files_total": report.files_total,
            "files_done": report.files_done,
            "bytes_total": report.bytes_total,
            "records": report.records,
            "unreadable": [{"path": path, "why": why} for path, why in report.unreadable],
            "left_out": report.left_out,
            "unsealed": report.unsealed,
            "exports": [{"path": path, **asdict(one)} for path, one in taken.items()],
        }
    )


def _print(report: ImportReport, taken: dict[str, Taken], *, sources: bool) -> None:
    for path, one in taken.items():
        click.echo(
            terminal.plain(
                f"{path}: {terminal.some(one.records, 'record')} ({terminal.size(one.size_bytes)}); "
                f"{terminal.some(one.new, 'new record')}"
            )
        )
        if one.left_out:
            what = terminal.some(one.left_out, "record")
            click.echo(f"{what} left out: their session was forgotten (--forgotten imports them)")
    if report.unsealed:
        terminal.note(f"note: {report.unsealed}")
    if not sources:
        return
    for path, why in report.unreadable:
        terminal.note(f"not read: {path}: {why}")
    click.echo(
        f"{report.files_done} of {report.files_total} files ({terminal.size(report.bytes_total)}) are recorded; "
        f"{report.records} new records"
    )


def _complain(taken: dict[str, Taken], unreadable: dict[str, str]) -> None:
    """Say what of the exports was not taken, where nobody overlooks it."""
    faults = list(unreadable.values())
    for path, one in taken.items():
        for skipped in one.skipped[:_MOST_SHOWN]:
            terminal.note(
                f"not imported: {path} bytes {skipped.start_byte} to {skipped.end_byte}: {skipped.why}"
            )
        if len(one.skipped) > _MOST_SHOWN:
            terminal.note(f"and {len(one.skipped) - _MOST_SHOWN} more; --json lists them all")
        if one.differing:
            terminal.note(
                f"note: {path}: {terminal.some(one.differing, 'record')} with ids that are recorded here with "
                "another content; what was recorded first stays"
            )
        if one.skipped:
            faults.append(f"{path}: {terminal.some(len(one.skipped), 'line')} could not be imported")
        if not one.whole:
            faults.append(
                f"{path}: it is not whole: its first or last line is missing, or lines between them"
            )
    if faults:
        raise TransferIncomplete(
            "; ".join(faults),
            hint="everything else is imported; repair access or make the export again, and import it: only what is missing is added",
        )
