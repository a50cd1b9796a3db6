"""`holdfast up`, `status`, `down`, `service install` and `service uninstall`."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from holdfast import clock
from holdfast.cli import agents, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import HoldfastError, NoService, ServiceError, SuperviseError

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.supervising import Steered
    from holdfast.units import Unit

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")


@click.command(
    "up",
    help=f"""{COMMANDS["up"][1]}

    Records what agents write within a fraction of a second, and answers `holdfast watch`. Nothing depends on it: without a service
    every command catches up by itself. SIGTERM, Ctrl-C and `holdfast down` end it in order.
    """,
)
@click.option(
    "--detach", is_flag=True, help="Run it in the background, until `holdfast down` or the next boot."
)
@_JSON
@click.pass_obj
def up(context: Context, detach: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import service

    home = context.home
    pid = service.detach(home.path, context.settings) if detach else os.getpid()
    if as_json:
        log = str(service.log_path(home.path)) if detach else None
        terminal.print_json({"home": str(home.path), "pid": pid, "log": log})
        sys.stdout.flush()
    elif detach:
        click.echo(terminal.plain(f"the service runs: process {pid}, home {home.path}"))
    if detach:
        return
    service.Service(home, _say, lambda: _cut(context)).run()


def _say(words: str) -> None:
    terminal.note(f"{clock.iso(clock.now_us())} {words}")


def _cut(context: Context) -> list[str]:
    """What was cut before the service began, in words."""
    from holdfast.cli import recover

    try:
        with contextlib.closing(context.home.reader()) as db:
            told = recover.summary(recover.surveyed(context, db))
    except HoldfastError as exc:
        return [f"whether anything was cut is unknown: {exc}"]
    return recover.told_lines(told, context.home.now_us()) if told["sessions"] else []


@click.command("status", help=COMMANDS["status"][1])
@_JSON
@click.pass_obj
def status(context: Context, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import service
    from holdfast.definitions import trouble
    from holdfast.store import asking

    path = context.settings.home
    who = service.running(path)
    if who is None:
        raise NoService(f"no service of {path} runs", hint=_hint(service.last_words(path)))
    said = service.ask(path, "status")
    if as_json:
        terminal.print_json({"home": str(path), "pid": who.pid, "version": who.holdfast, "answer": said})
        return
    click.echo(terminal.plain(f"the service of {path} runs: process {who.pid}, Holdfast {who.holdfast}"))
    if said is None:
        click.echo("it does not answer at the moment: a long import, or folding, is under way")
        for words in trouble.kept(path / asking.RUN):
            click.echo(terminal.plain(f"trouble with {words}"))
        return
    for line in _words(said):
        click.echo(terminal.plain(line))


def _hint(last_words: str | None) -> str:
    said = "" if last_words is None else f"; the last one said: {last_words}"
    return f"`holdfast up` starts one; without it every command catches up by itself{said}"


def _words(said: dict[str, Any]) -> list[str]:
    """What a service says of itself, as far as its version says it."""
    lines = [_times(said), _follows(said)]
    if said.get("told_of_changes") is False:
        lines.append("the system does not tell of every change")
    if every_s := said.get("looks_at_all_every_s"):
        lines.append(f"looks at everything every {every_s:.0f} s")
    if unreadable := said.get("unreadable"):
        lines.append(f"{terminal.some(unreadable, 'file')} cannot be read: `holdfast doctor` lists them")
    lines += _definitions(said.get("definitions") or {})
    if said.get("yielded"):
        lines.append("it has yielded: another command works in the home")
    if problem := said.get("problem"):
        lines.append(f"trouble: {problem}")
    return [line for line in lines if line]


def _times(said: dict[str, Any]) -> str:
    since_us = clock.parse_us(said.get("started_at") or "")
    since = "" if since_us is None else f"for {terminal.age(since_us, clock.now_us())}: "
    told = []
    if (looks := said.get("looks")) is not None:
        told.append(f"{looks} looks")
    if (records := said.get("records")) is not None:
        told.append(f"{records} records folded")
    if (cpu_s := said.get("cpu_s")) is not None:
        told.append(f"{cpu_s:.1f} s of a core")
    return since + ", ".join(told)


def _follows(said: dict[str, Any]) -> str:
    told = []
    if (files := said.get("files")) is not None:
        told.append(f"follows {terminal.some(files, 'file')}")
    if (watched := said.get("directories_watched")) is not None:
        told.append(f"told of changes in {_directories(watched)}")
    return ", ".join(told)


def _directories(number: int) -> str:
    return "1 directory" if number == 1 else f"{number} directories"


def _definitions(said: dict[str, Any]) -> list[str]:
    """What it says of definitions."""
    if "definitions" not in said:
        return []
    where = _directories(said["directories"])
    line = f"watches {terminal.some(said['definitions'], 'definition')} in {where}"
    if last := said.get("last_change"):
        age = terminal.age(clock.parse_us(last["at"]), clock.now_us())
        line += f"; the last change, {age} ago: {last['operation']} {last['name']}"
    lines = [line]
    if (every_s := said["looks_every_s"]) > 1:
        lines.append(f"looks at all definitions every {every_s:.1f} s: there are many")
    if unreadable := said["unreadable"]:
        lines.append(
            f"{unreadable} of their files or directories cannot be read: `holdfast definitions` names those that count where you are"
        )
    if problem := said["problem"]:
        lines.append(f"trouble with definitions: {problem}")
    return lines


@click.command(
    "down",
    help=f"""{COMMANDS["down"][1]}

    Agents that were started here go on; with --kill they are stopped too, each as `holdfast stop` does.
    """,
)
@click.option("--kill", is_flag=True, help="Stop every agent that was started here, too.")
@_JSON
@click.pass_obj
def down(context: Context, kill: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import service

    path: Path = context.settings.home
    who = service.running(path)
    if who is not None and not service.end(path, who):
        raise ServiceError(
            f"{who} was told to end, and has not yet",
            hint="a long step is under way; look again with `holdfast status`",
        )
    stopped, refused = _stop_agents(context) if kill else ([], [])
    if as_json:
        ended = None if who is None else who.pid
        terminal.print_json(
            {"home": str(path), "ended": ended, "stopped": [came.view.id for came in stopped]}
        )
    elif who is None:
        click.echo(terminal.plain(f"no service of {path} runs"))
    else:
        click.echo(f"ended: process {who.pid}")
    for came in stopped if not as_json else ():
        click.echo(terminal.plain(f"stopped: agent {came.view.id} {came.view.name or ''}".rstrip()))
        agents.say_left(came.view)
    for other in refused:
        terminal.error(str(other), other.hint)
    if late := [came.view.id for came in stopped if not came.done]:
        raise SuperviseError(
            f"agents that have not ended yet: {', '.join(late)}", hint="`holdfast kill` ends them"
        )
    if refused:
        number = terminal.some(len(refused), "agent")
        raise SuperviseError(f"{number} could not be asked to end", hint="`holdfast ps` tells which run")


def _stop_agents(context: Context) -> tuple[list[Steered], list[HoldfastError]]:
    """Stop every agent that runs, or waits to be started again: all are asked first, and then waited for."""
    from holdfast import supervising

    home = context.home
    asked = [view.id for view in supervising.agents(home)]
    return supervising.stop_all(home, asked, by="person", why="holdfast down --kill")


_SYSTEM = click.option(
    "--system",
    type=click.Choice(["systemd", "launchd"]),
    help="Which one starts it.  [default: that of this platform]",
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")


@click.command(
    "install",
    help=f"""{COMMANDS["service install"][1]}

    Writes one file and tells the commands that make the system read it; it starts nothing by itself.
    """,
)
@_SYSTEM
@_DRY_RUN
@_JSON
@click.pass_obj
def install(context: Context, system: str | None, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import units

    made = units.unit(system or units.here(), context.settings, os.environ)
    changed = False if dry_run else units.install(made)
    if as_json:
        _print_unit(made, made.start, changed=changed, dry_run=dry_run)
        return
    if dry_run:
        said = "\n".join(
            [f"{made.path} would hold:", *(f"  {line}" for line in made.content.decode().splitlines())]
        )
    else:
        said = f"{'written' if changed else 'nothing to change'}: {made.path}"
    _tell(said, "to start it, now and at each login:", made.start)
    click.echo(
        "It will not have your shell's environment: a secret is taken out by its form there, not because a variable holds it "
        "(`holdfast redact add` makes a rule)."
    )


@click.command(
    "uninstall",
    help=f"""{COMMANDS["service uninstall"][1]}

    Removes the file that `holdfast service install` wrote, and tells the commands that end what runs.
    """,
)
@_SYSTEM
@_DRY_RUN
@_JSON
@click.pass_obj
def uninstall(context: Context, system: str | None, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import units

    made = units.unit(system or units.here(), context.settings, os.environ)
    changed = False if dry_run else units.uninstall(made)
    if as_json:
        _print_unit(made, made.stop, changed=changed, dry_run=dry_run)
    elif dry_run:
        _tell(f"{made.path} would be removed, if it is there", _TO_END, made.stop)
    else:
        _tell(f"{'removed' if changed else 'not there'}: {made.path}", _TO_END, made.stop)


_TO_END = "to end what the system started:"


def _print_unit(made: Unit, commands: tuple[str, ...], *, changed: bool, dry_run: bool) -> None:
    terminal.print_json(
        {
            "system": made.system,
            "path": str(made.path),
            "changed": changed,
            "dry_run": dry_run,
            "content": made.content.decode(),
            "commands": [command.partition("  #")[0] for command in commands],
        }
    )


def _tell(said: str, what: str, commands: tuple[str, ...]) -> None:
    for line in (*said.split("\n"), what, *(f"  {command}" for command in commands)):
        click.echo(terminal.plain(line))


commands = {
    "up": up,
    "status": status,
    "down": down,
    "service install": install,
    "service uninstall": uninstall,
}
