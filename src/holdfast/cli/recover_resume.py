"""`holdfast recover resume ID`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from holdfast import clock, new_life, resuming
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import HoldfastError, ResumeFailed

if TYPE_CHECKING:
    from holdfast.home import Home
    from holdfast.new_life import Outcome
    from holdfast.resuming import Plan, Wish

_FAILED_HINT = {
    "exited": "what it said stands above; repair that, then run this again",
    "elsewhere": "that session goes on by itself; this one is where it was",
    "silent": "it was not killed, and may still begin: look at it, or end it, before this is tried again. The setting "
    "resume_limit_s says how long is waited",
}


@click.command(
    "resume",
    help=f"""{COMMANDS["recover resume"][1]}

    Starts the session's tool in the directory where it worked, and tells it what was cut. At a terminal it is interactive; else it
    answers once, and its output is this command's. A session that is alive is refused, and two that resume one at once start it once.

    Ends with 0 when the session worked and its tool ended well, with 67 when it showed no work within `resume_limit_s`.
    """,
)
@click.argument("session", metavar="ID")
@click.argument("more", metavar="[-- ARGS]", nargs=-1, type=click.UNPROCESSED)
@click.option("--fork", is_flag=True, help="Go on as a session of its own; the old one stays as it is.")
@click.option("--print", "printed", is_flag=True, help="Print the command to type, and start nothing.")
@click.option(
    "--no-packet", is_flag=True, help="Tell the session nothing: not what was cut, nor anything else."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(
    context: Context,
    session: str,
    more: tuple[str, ...],
    fork: bool,  # noqa: FBT001
    printed: bool,  # noqa: FBT001
    no_packet: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    home = context.home
    answers.catch_up(home)
    at_terminal = printed or (not as_json and _is_terminal())
    wish = resuming.Wish(session, fork, not no_packet, at_terminal, more)
    if printed:
        _print(home, resuming.plan(home, wish), wish, as_json=as_json)
        return
    _tell_unfinished(home, session)
    done = new_life.carry_out(home, wish, stdout=sys.stderr.fileno() if as_json else None, note=terminal.note)
    if as_json:
        terminal.print_json(_answer(home, done.plan, wish, done))
    _end(done)


def _is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def _print(home: Home, planned: Plan, wish: Wish, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(_answer(home, planned, wish, None))
        return
    click.echo(terminal.plain(resuming.shell_line(home, planned)))
    if planned.program is None:
        terminal.note(f"note: {planned.start.argv[0]} is not in PATH here")


def _answer(home: Home, planned: Plan, wish: Wish, done: Outcome | None) -> dict[str, Any]:
    return {
        "session": planned.session,
        "source": planned.source,
        "fork": wish.fork,
        "directory": planned.directory,
        "program": planned.program,
        "command": planned.start.without_prompt,
        "environment": planned.environment,
        "shell": resuming.shell_line(home, planned) if wish.terminal else None,
        "packet": planned.packet,
        "attempt": None if done is None else done.attempt,
        "pid": None if done is None else done.pid,
        "outcome": None if done is None else "resumed" if done.resumed else "failed",
        "reason": None if done is None else done.reason,
        "why": None if done is None else done.why,
        "new_session": planned.start.new_session if done is None else done.new_session,
        "sign": None if done is None else done.sign,
        "exit_code": None if done is None else done.exit_code,
    }


def _tell_unfinished(home: Home, session: str) -> None:
    """Say that an earlier attempt was cut, if the last one was."""
    last = resuming.last_attempt(home, session)
    if last is not None and last["outcome"] is None:
        at = terminal.age(clock.parse_us(last["at"]), home.now_us())
        terminal.note(
            f"note: {at} ago process {last['pid']} was about to resume this session, and did not say what became of it"
        )


def _end(done: Outcome) -> None:
    """End with the code that fits, and say why."""
    for why in done.untold:
        terminal.note(f"note: how it went could not be recorded: {why}")
    name, session = done.plan.start.argv[0], done.plan.session
    if not done.resumed:
        running = f"; process {done.pid} runs" if done.exit_code is None else ""
        raise ResumeFailed(
            f"session {session} was not resumed: {done.why}{running}",
            hint=_FAILED_HINT[done.reason or "silent"],
        )
    if done.exit_code:
        how = f"signal {-done.exit_code}" if done.exit_code < 0 else f"exit code {done.exit_code}"
        raise HoldfastError(
            f"session {done.new_session or session} worked again, and then {name} ended with {how}",
            hint="`holdfast show` says where it stands",
        )


commands = {"recover resume": command}
