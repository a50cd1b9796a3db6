"""`holdfast logs`."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import agents, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.cli.output import Shown
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from holdfast.home import Home
    from holdfast.supervising import View

_LOOK_AGAIN_S = 0.1
_MOST_BYTES = 1 << 20  # in one JSON answer


@click.command(
    "logs",
    help=f"""{COMMANDS["logs"][1]}

    {agents.HOW_CALLED} Where a program reads the output it gets it byte for byte; at a terminal, what would command
    the terminal is shown instead of obeyed.
    """,
)
@click.argument("agent")
@click.option("-f", "--follow", is_flag=True, help="Go on until it ends; Ctrl-C leaves it running.")
@click.option("-n", "--lines", type=click.IntRange(min=0), help="Only the last so many lines.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt.  [default: the last]")
@click.option("--raw", is_flag=True, help="Byte for byte at a terminal too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(
    context: Context,
    agent: str,
    follow: bool,  # noqa: FBT001
    lines: int | None,
    attempt: int | None,
    raw: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    from holdfast import supervising
    from holdfast.errors import NotFound, UsageError
    from holdfast.supervise.output import Output

    if as_json and follow:
        raise UsageError("--json gives one answer, and --follow never ends", hint="leave out one of them")

    home = context.home
    view = supervising.find(home, agent)
    numbers = [life.attempt for life in view.look.lives]
    if attempt is not None and attempt not in numbers:
        raise NotFound(
            f"agent {view.id} has no attempt {attempt}", hint=f"`holdfast attempts {view.id}` lists them"
        )
    wanted = attempt or max(numbers, default=1)
    if as_json:
        terminal.print_json(_answer(view, wanted, lines))
        return
    shown = Shown(
        Output(view.directory, wanted, last_lines=lines, on_to_next=follow and attempt is None), raw=raw
    )
    shown.copy()
    if follow:
        _follow(home, view.id, wanted if attempt is not None else None, shown)


def _answer(view: View, attempt: int, lines: int | None) -> dict[str, Any]:
    from holdfast.supervise import look
    from holdfast.supervise.output import Output

    output = Output(view.directory, attempt, last_lines=lines, most_bytes=_MOST_BYTES, on_to_next=False)
    text = b"".join(output.parts())
    return {
        "id": view.id,
        "attempt": attempt,
        "output": printable_path(str(look.attempt_directory(view.directory, attempt) / "out.log")),
        "first_byte": output.first_byte,
        "text": text.decode("utf-8", "backslashreplace"),
    }


def _follow(home: Home, agent: str, attempt: int | None, shown: Shown) -> None:
    """Until it is over, or that one attempt is. What it wrote last is there before its end is known."""
    from holdfast import supervising

    while True:
        view = supervising.find(home, agent)
        lives = [life for life in view.look.lives if life.attempt == attempt]
        over = not lives[0].is_alive if lives else view.is_ended
        shown.copy()
        if over:
            return
        select.select([], [], [], _LOOK_AGAIN_S)
