"""`holdfast progress`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from holdfast import clock
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import UsageError


@click.command(
    "progress",
    help=f"""{COMMANDS["progress"][1]}

    Inside an agent that Holdfast started, AGENT is left out. PERCENT runs from 0 to 100; `-` says nothing of it, and only the message or
    the task. Less than was said before counts only with --reset. Without Holdfast in PATH, a line does the same:
    `printf '40%% half of it\\n' >> "$HOLDFAST_PROGRESS"`.
    """,
)
@click.argument("words", metavar="[AGENT] PERCENT", nargs=-1, required=True)
@click.option("--message", help="What it is doing, in words.")
@click.option("--task", help="What it works on.")
@click.option("--reset", is_flag=True, help="Begin anew: less than before counts too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(
    context: Context,
    words: tuple[str, ...],
    message: str | None,
    task: str | None,
    reset: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    from holdfast import progressing
    from holdfast.capture import progress

    if len(words) > 2:
        raise UsageError(
            "expected at most an agent and a number",
            hint="put a message of several words in quotes: --message 'half of it'",
        )
    percent = _percent(words[-1])
    spool = _spool(context, words[:-1])
    progressing.say(spool, progress.told(percent, message, task, clock.now_us(), reset=reset))
    if as_json:
        said = {"agent": progress.agent_of(spool.name), "percent": percent, "message": message}
        terminal.print_json(said | {"current_task": task, "reset": reset})


def _spool(context: Context, named: tuple[str, ...]) -> Path:
    """Where the agent that is named, else the one that runs this command, says how far it is."""
    from holdfast import supervising
    from holdfast.capture import progress

    if named:
        agent = supervising.find(context.home, named[0]).id
        return context.home.inbox / progress.spool_name(agent)
    spool = Path(os.environ.get(progress.VARIABLE, ""))
    if progress.SPOOL.fullmatch(spool.name) is None:
        raise UsageError(
            "no agent that Holdfast started runs this command, so it must be said which one is meant",
            hint="holdfast progress AGENT PERCENT; `holdfast ps` lists agents",
        )
    return spool


def _percent(text: str) -> float | None:
    if text == "-":
        return None
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise UsageError(f"PERCENT: expected a number from 0 to 100, or -, got {text!r:.40}")
    return value
