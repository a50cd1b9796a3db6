"""`holdfast redact rules | add | allow | remove | emails`: the rules, and those of the user."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
_FROM_NOW = "what is recorded already stays as it is; `holdfast redact apply` looks through it"


@click.command("rules", help=COMMANDS["redact rules"][1])
@click.option("--own", "only_own", is_flag=True, help="Only yours, and what you let through.")
@_JSON
@click.pass_obj
def rules(context: Context, only_own: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import redaction_rules
    from holdfast.redact import gate

    path = _path(context.settings.home)
    listed = [rule for rule in redaction_rules.listed(path) if rule.own or not only_own]
    own = redaction_rules.choices(path)
    if as_json:
        shown = [asdict(rule) for rule in listed]
        terminal.print_json({"file": os.fspath(path), "engine": gate.engine(), "rules": shown, **asdict(own)})
        return
    table = terminal.table("kind", "form", "provider", "looks for", flexible=("looks for",))
    for rule in listed:
        form = f"own {rule.form}" if rule.own else rule.form
        what = terminal.safe(rule.what, 200)
        table.add_row(terminal.safe(rule.kind or "by its name", 40, "bold"), form, rule.provider or "", what)
    if listed:
        terminal.console().print(table)
    for value in own.values:
        click.echo(f"let through: {terminal.plain(value)}")
    for pattern in own.patterns:
        click.echo(f"let through what matches: {terminal.plain(pattern)}")
    click.echo(f"{terminal.some(len(listed), 'rule')}, e-mail addresses {'out' if own.emails else 'stay'}")


def _path(home: Path) -> Path:
    from holdfast.redact.rules import FILE_NAME

    return home / FILE_NAME


@click.command("add", help=COMMANDS["redact add"][1])
@click.option(
    "--kind", required=True, help="What stands in the placeholder: lower-case letters, digits, hyphens."
)
@click.option("--pattern", metavar="REGEX", help="What is taken out: the group `secret`, or else all of it.")
@click.option("--prefix", help="What the secret begins with; with --chars, --least and --most.")
@click.option("--chars", help="Which characters follow, as in a class: A-Za-z0-9.  [default: A-Za-z0-9_-]")
@click.option("--least", type=click.IntRange(1, 2_000), help="How many of them at least.  [default: 16]")
@click.option("--most", type=click.IntRange(1, 2_000), help="How many of them at most.  [default: 200]")
@_JSON
@click.pass_obj
def add(
    context: Context,
    kind: str,
    pattern: str | None,
    prefix: str | None,
    chars: str | None,
    least: int | None,
    most: int | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    from holdfast import redaction_rules

    if (pattern is None) == (prefix is None):
        raise UsageError("give either --pattern or --prefix", hint="`holdfast redact add --help`")
    if pattern is not None and (chars, least, most) != (None, None, None):
        raise UsageError("--chars, --least and --most belong to --prefix")
    path = _path(context.outdated_home().path)
    if pattern is not None:
        redaction_rules.add_pattern(path, kind, pattern)
    else:
        assert prefix is not None
        least = 16 if least is None else least
        most = max(200, least) if most is None else most
        redaction_rules.add_token(path, kind, prefix, chars or "A-Za-z0-9_-", least, most)
    form = "token" if pattern is None else "pattern"
    if as_json:
        terminal.print_json({"file": os.fspath(path), "kind": kind, "form": form})
        return
    click.echo(f"{terminal.plain(kind)} is taken out from now on ({form} in {terminal.plain(path)})")
    click.echo(_FROM_NOW)


@click.command(
    "allow",
    help=COMMANDS["redact allow"][1]
    + "\n\nThe home keeps the value as it is, in redact.toml: it must be none that is secret. `-` reads it from standard input.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("value", required=False)
@click.option("--pattern", metavar="REGEX", help="Let through whatever this matches as a whole.")
@click.option("--sure", is_flag=True, help="Also a value whose own form says that it is a secret.")
@_JSON
@click.pass_obj
def allow(context: Context, value: str | None, pattern: str | None, sure: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import redaction_rules

    if (value is None) == (pattern is None):
        raise UsageError("give either a value or --pattern", hint="`holdfast redact allow --help`")
    path = _path(context.outdated_home().path)
    if pattern is not None:
        redaction_rules.allow_pattern(path, pattern)
        added = True
    else:
        added = redaction_rules.allow(path, _given(value or ""), sure=sure)
    if as_json:
        terminal.print_json({"file": os.fspath(path), "added": added})
    elif added:
        click.echo(
            f"let through from now on ({terminal.plain(path)}); what was taken out before does not come back"
        )
    else:
        click.echo("it is let through already")


def _given(value: str) -> str:
    if value != "-":
        return value
    if sys.stdin is None:
        raise UsageError("standard input is closed", hint="pipe the value into it")
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise UsageError("what standard input holds is not UTF-8", hint="pipe the value into it") from None


@click.command("remove", help=COMMANDS["redact remove"][1])
@click.argument("name")
@_JSON
@click.pass_obj
def remove(context: Context, name: str, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import redaction_rules

    path = _path(context.outdated_home().path)
    removed = redaction_rules.remove(path, name)
    if as_json:
        terminal.print_json({"file": os.fspath(path), "removed": removed})
        return
    for what in removed:
        click.echo(f"removed: {terminal.plain(what)}")


@click.command("emails", help=COMMANDS["redact emails"][1])
@click.argument("switch", type=click.Choice(("on", "off")))
@_JSON
@click.pass_obj
def emails(context: Context, switch: str, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import redaction_rules

    path = _path(context.outdated_home().path)
    redaction_rules.set_emails(path, on=switch == "on")
    if as_json:
        terminal.print_json({"file": os.fspath(path), "emails": switch == "on"})
    else:
        click.echo(
            f"e-mail addresses {'are taken out' if switch == 'on' else 'stay'} from now on; {_FROM_NOW}"
        )


commands = {
    "redact rules": rules,
    "redact add": add,
    "redact allow": allow,
    "redact remove": remove,
    "redact emails": emails,
}
