"""`holdfast import [PATH…]`."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import NotFound

_WAIT_MS = 5_000


@click.command("import", help=COMMANDS["import"][1])
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, paths: tuple[Path, ...], as_json: bool) -> None:  # noqa: FBT001
    home = context.home
    if not paths and not home.default_roots():
        looked = context.settings.claude_config_dir / "projects"
        raise NotFound(f"{looked}: no agent history there", hint="name a path: holdfast import PATH")
    line = terminal.ProgressLine("importing")
    try:
        report = home.catch_up(list(paths) or None, report=line.show, wait_ms=_WAIT_MS, seal_all=True)
    finally:
        line.done()
    if report.busy:
        raise answers.busy(home)
    if as_json:
        terminal.print_json(
            {
                "files_total": report.files_total,
                "files_done": report.files_done,
                "bytes_total": report.bytes_total,
                "records": report.records,
                "unreadable": [{"path": path, "why": why} for path, why in report.unreadable],
                "unsealed": report.unsealed,
            }
        )
        return
    for path, why in report.unreadable:
        terminal.note(f"not read: {path}: {why}")
    if report.unsealed:
        terminal.note(f"note: {report.unsealed}")
    click.echo(
        f"{report.files_done} of {report.files_total} files ({terminal.size(report.bytes_total)}) are recorded; "
        f"{report.records} new records"
    )
