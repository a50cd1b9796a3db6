"""`holdfast config`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.settings import SETTINGS


@click.command("config", help=COMMANDS["config"][1])
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, as_json: bool) -> None:  # noqa: FBT001
    values = context.settings.values()
    rows = [
        {
            "name": setting.name,
            "value": os.fspath(values[setting.name])
            if isinstance(values[setting.name], Path)
            else values[setting.name],
            "unit": setting.unit,
            "origin": context.settings.origin(setting.name),
            "environment": setting.env,
            "sentence": setting.sentence,
        }
        for setting in SETTINGS
    ]
    if as_json:
        terminal.print_json({"settings": rows})
        return
    for row in rows:
        value = terminal.plain(row["value"]) if row["value"] != "" else "(not set)"
        click.echo(f"{row['name']} = {value}   [{row['unit']}]   from {terminal.plain(row['origin'])}")
        click.echo(f"    {row['sentence']}")
