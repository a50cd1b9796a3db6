"""`holdfast record`: typed events on standard input, one JSON object a line."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
import msgspec

from holdfast import door
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import InvalidEvent, UsageError


@click.command(
    "record",
    help=COMMANDS["record"][1]
    + '\n\n{"kind": "tool.used", "session": "nightly", "agent": "planner", "fields": {"tool": "Bash", "status": "completed"}}'
    "\n\nPrints the id of each event once it is safe.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse events that do not fit their kind, instead of keeping them as invalid.",
)
@click.option("--durable", is_flag=True, help="Force each event to disk before its id is printed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, strict: bool, durable: bool, as_json: bool) -> None:  # noqa: FBT001
    home = os.fspath(context.home.path)
    refused = 0
    if sys.stdin is None:
        raise UsageError("standard input is closed", hint="pipe events into it, one JSON object a line")
    for number, line in enumerate(sys.stdin.buffer, 1):
        if not line.strip():
            continue
        try:
            record_id = door.append(_event(line), durable=durable, strict=strict, home=home)
        except InvalidEvent as exc:
            refused += 1
            terminal.error(f"line {number}: {exc}", exc.hint)
            continue
        if as_json:
            click.echo(f'{{"line": {number}, "id": "{record_id}"}}')
        else:
            click.echo(record_id)
    door.close()
    if refused:
        raise UsageError(
            f"{terminal.some(refused, 'line')} not recorded; all others were",
            hint="mend them and send them again",
        )


def _event(line: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidEvent("(unreadable)", f"not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise InvalidEvent("(unreadable)", f"a {type(value).__name__} where an object should be")
    if not isinstance(value.get("kind", value.get("event_type")), str):
        raise InvalidEvent("(none)", 'has no "kind"')
    return value
