"""`holdfast definitions delete`, `migrate` and `replicate`: files of definitions go, move, and are copied into other tiers."""

from __future__ import annotations

import click

from holdfast.cli import definition_writing as writing
from holdfast.cli.app import COMMANDS, Context
from holdfast.definitions import placing, tools
from holdfast.errors import UsageError


@click.command(
    "delete",
    help=COMMANDS["definitions delete"][1]
    + "\n\nThe file that counts here, unless --tier or --strategy says which. Every content that it had is kept, and its name can be used again.",
)
@click.argument("name", metavar="NAME")
@click.option(
    "--base", metavar="SHA256", help="Only if it says this still; else whatever it says is removed."
)
@writing.tool
@writing.tier
@writing.strategy
@writing.told
@click.pass_obj
def delete(
    context: Context,
    name: str,
    base: str | None,
    tool: str | None,
    tier: str | None,
    strategy: str,
    reason: str | None,
    author: str | None,
    cwd: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    over = None if base is None else writing.base_of(base)
    if base is not None and over is None:
        raise UsageError("what is absent cannot be removed", hint="leave --base out, or give a SHA-256")
    writer = writing.writer(context, cwd, author, reason)
    where = writing.where(name, None, tool, tier, strategy)
    writing.carried_out(context, cwd, lambda: writer.delete(where, over), as_json=as_json)


@click.command(
    "migrate",
    help=COMMANDS["definitions migrate"][1]
    + "\n\nIts history goes on there. Where something else has its name there already, nothing is moved.",
)
@click.argument("name", metavar="NAME")
@click.option("--to", metavar="TIER", type=click.Choice(tools.TIERS), required=True, help="Into this tier.")
@writing.tool
@writing.tier
@writing.told
@click.pass_obj
def migrate(
    context: Context,
    name: str,
    to: str,
    tool: str | None,
    tier: str | None,
    reason: str | None,
    author: str | None,
    cwd: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    writer = writing.writer(context, cwd, author, reason)
    where = writing.where(name, None, tool, tier, placing.TIER_SPECIFIC)
    writing.carried_out(context, cwd, lambda: [writer.migrate(where, to)], as_json=as_json)


@click.command(
    "replicate",
    help=COMMANDS["definitions replicate"][1]
    + "\n\nAll of them or none. What says something else there is written over only where --base says what that is.",
)
@click.argument("name", metavar="NAME")
@click.option(
    "--to",
    metavar="TIER",
    type=click.Choice(tools.TIERS),
    required=True,
    multiple=True,
    help="Into this tier; can be given several times.",
)
@click.option("--base", metavar="SHA256", help="What may be written over.")
@writing.tool
@writing.tier
@writing.told
@click.pass_obj
def replicate(
    context: Context,
    name: str,
    to: tuple[str, ...],
    base: str | None,
    tool: str | None,
    tier: str | None,
    reason: str | None,
    author: str | None,
    cwd: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    over = None if base is None else writing.base_of(base)
    writer = writing.writer(context, cwd, author, reason)
    where = writing.where(name, None, tool, tier, placing.TIER_SPECIFIC)
    writing.carried_out(context, cwd, lambda: writer.replicate(where, to, over), as_json=as_json)


commands = {
    "definitions delete": delete,
    "definitions migrate": migrate,
    "definitions replicate": replicate,
}
