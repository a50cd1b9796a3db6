"""`holdfast stop`, `kill`, `pause`, `unpause` and `rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import agents, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import HoldfastError, SuperviseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.home import Home
    from holdfast.supervising import Steered, View

_AGENTS = click.argument("names", metavar="AGENT...", nargs=-1, required=True)
_WHY = click.option("--why", help="The reason, which is recorded.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
_DONE = {"stop": "ended", "kill": "ended", "pause": "paused", "unpause": "goes on"}


def _command(how: str, more: str) -> click.Command:
    @click.command(how, help=f"{COMMANDS[how][1]}\n\n    {more} {agents.HOW_CALLED}\n    ")
    @_AGENTS
    @_WHY
    @_JSON
    @click.pass_obj
    def command(context: Context, names: tuple[str, ...], why: str | None, as_json: bool) -> None:  # noqa: FBT001
        from holdfast import supervising

        ask = getattr(supervising, how)
        home = context.home
        _each(home, names, lambda name: ask(home, name, by="person", why=why), how, as_json=as_json)

    return command


stop = _command("stop", "One that waits to be started again is not started any more.")
kill = _command("kill", "Its whole group gets SIGKILL.")
pause = _command("pause", "Its whole group gets SIGSTOP: it keeps what it has, and does nothing.")
unpause = _command("unpause", "Its whole group gets SIGCONT.")


def _each(
    home: Home, names: tuple[str, ...], ask: Callable[[str], Steered], how: str, *, as_json: bool
) -> None:
    """Ask one after the other; what went wrong with one keeps nobody from asking the next, and is raised at the end."""
    told: list[Steered] = []
    failed: list[HoldfastError] = []
    for name in names:
        try:
            came = ask(name)
        except HoldfastError as exc:
            failed.append(exc)
            continue
        told.append(came)
        if not came.done:
            failed.append(_not_yet(came, how))
        elif not as_json:
            _say(came.view, how)
    if as_json and (told or not failed):
        terminal.print_json({"agents": _told(home, told)})
    for other in failed[:-1]:
        terminal.error(str(other), other.hint)
    if failed:
        raise failed[-1]


def _told(home: Home, found: list[Steered]) -> list[dict[str, Any]]:
    said = agents.told(home, [came.view for came in found])
    return [one | {"reached": came.reached, "done": came.done} for one, came in zip(said, found, strict=True)]


def _not_yet(came: Steered, how: str) -> SuperviseError:
    agent = came.view.id
    if came.unsure:
        left = ", ".join(f"{one.pid} ({one.name})" for one in came.unsure)
        return SuperviseError(
            f"{how}: agent {agent}: of its group still runs: {left}; it could not be told to be its own, and was left alone",
            hint="look at it, and end it yourself where it is",
        )
    what = "was asked for it, and is not so yet" if came.reached else "could not be reached"
    return SuperviseError(
        f"{how}: agent {agent} {what}", hint=f"`holdfast attempts {agent}` tells how it stands"
    )


def _say(view: View, how: str) -> None:
    last = view.last
    how_it_ended = ""
    if last is not None and last.exit_code is not None:
        how_it_ended = f" with exit code {last.exit_code}"
    elif last is not None and last.signal is not None:
        how_it_ended = f" by signal {last.signal}"
    called = f" ({view.name})" if view.name else ""
    click.echo(terminal.plain(f"agent {view.id}{called} {_DONE[how]}{how_it_ended}"))
    agents.say_left(view)


@click.command(
    "rm", help=f"{COMMANDS['rm'][1]}\n\n    What is recorded of them stays. {agents.HOW_CALLED}\n    "
)
@_AGENTS
@_JSON
@click.pass_obj
def remove(context: Context, names: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001
    from holdfast import supervising

    removed = [supervising.remove(context.home, name, by="person").id for name in names]
    if as_json:
        terminal.print_json({"removed": removed})
    else:
        for name in removed:
            click.echo(f"removed: {name}")


commands = {"stop": stop, "kill": kill, "pause": pause, "unpause": unpause, "rm": remove}
