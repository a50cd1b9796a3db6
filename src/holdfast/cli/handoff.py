"""`holdfast handoff SESSION`, and what `holdfast recover packet` gives too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import UsageError
from holdfast.recover import handover, survey
from holdfast.recover.packet import BUDGET_TOKENS
from holdfast.store import asking, queries

if TYPE_CHECKING:
    import apsw

    from holdfast.recover.packet import Packet


def made(context: Context, db: apsw.Connection, session: int, budget_tokens: int = BUDGET_TOKENS) -> Packet:
    """The packet of one session, by its row in the store."""
    home = context.home
    now = survey.Now.here(home.now_us(), context.stale_us)
    return handover.of_session(
        db, home.recall(), home.cleaned, session, now, home.vitals(), home.path / asking.RUN, budget_tokens
    )


def give(packet: Packet, out: Path | None, *, as_json: bool) -> None:
    """Print a packet, or write it into a file that only the user may read.

    Raises:
        UsageError: the file cannot be written.
    """
    if packet.data["over_budget"]:
        used, budget = packet.data["tokens"], packet.data["budget_tokens"]
        terminal.note(
            f"note: it takes {used} tokens, over {budget}: the goal and what was cut are never left out"
        )
    if out is None:
        _print(packet, as_json=as_json)
        return
    try:
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(terminal.as_json(packet.data) + "\n" if as_json else packet.markdown)
    except OSError as exc:
        raise UsageError(
            f"{out}: {exc.strerror}", hint="say another file, or none to have it printed"
        ) from exc
    terminal.note(f"{packet.data['tokens']} tokens are written to {out}")


def _print(packet: Packet, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(packet.data)
    else:
        click.echo(packet.markdown, nl=False)


BUDGET = click.option(
    "--budget-tokens",
    type=click.IntRange(min=1),
    default=BUDGET_TOKENS,
    help=f"Leave out the least useful until it takes no more, by an estimate on the safe side; {BUDGET_TOKENS} unless said.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Give JSON (docs/reference/json.md).")
OUT = click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), help="Write into this file instead."
)


@click.command(
    "handoff",
    help=f"{COMMANDS['handoff'][1]}\n\nMarkdown for the agent or person who carries on; also of sessions that ended well.",
)
@click.argument("session")
@BUDGET
@JSON
@OUT
@click.pass_obj
def command(context: Context, session: str, budget_tokens: int, as_json: bool, out: Path | None) -> None:  # noqa: FBT001
    db = answers.ready(context)
    give(made(context, db, queries.session_id(db, session), budget_tokens), out, as_json=as_json)
