"""`holdfast ps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdfast import clock
from holdfast.cli import agents, terminal
from holdfast.cli.app import COMMANDS, Context

if TYPE_CHECKING:
    from holdfast.home import Home
    from holdfast.supervising import View


@click.command("ps", help=COMMANDS["ps"][1])
@click.option("--all", "ended", is_flag=True, help="Also those that ended.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, ended: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import supervising

    home = context.home
    views = supervising.agents(home, ended=True)
    supervising.told_up_to_date(home, [view.look for view in views])
    views = [view for view in views if ended or not view.is_ended]
    told = agents.told(home, views)
    if as_json:
        terminal.print_json({"agents": told})
        return
    _tell_waiting(home)
    if not views:
        click.echo("no agents" if ended else "no agents run; `holdfast ps --all` lists those that ended")
        return
    terminal.console().print(_table(views, told))


def _tell_waiting(home: Home) -> None:
    """Say that somebody asks for agents, and nobody answers."""
    from holdfast.supervise.mailbox import Mailbox

    box = Mailbox(home.path)
    if count := len(box.waiting()) + len(box.claimed()):
        verb = "waits" if count == 1 else "wait"
        terminal.note(
            f"note: {terminal.some(count, 'request')} {verb}; `holdfast requests process` or `holdfast up` answers"
        )


def _done(said: dict[str, Any]) -> str:
    """How far it is; `~`: its list of tasks says so."""
    far = said["progress"]
    if far is None or far["percent"] is None:
        return ""
    return f"{'~' if far['grade'] == 'inferred' else ''}{far['percent']:.0f} %"


def _doing(said: dict[str, Any]) -> str:
    """What it says that it does, else what it is to do."""
    far = said["progress"] or {}
    own = ": ".join(filter(None, (far.get("current_task"), far.get("message"))))
    return own or said["task"] or said["title"] or " ".join(said["command"])


def _table(views: list[View], told: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - columns
    cells = [_cells(view, said) for view, said in zip(views, told, strict=True)]
    asked = {"ACTIVITY", "DONE", "NAME"}  # where nobody has any there is room for what agents do
    shown = [name for name in cells[0] if name not in asked or any(row[name] for row in cells)]
    right = tuple(name for name in ("FOR", "LAST SIGN", "CPU", "MEMORY", "DONE") if name in shown)
    flexible = tuple(name for name in ("NAME", "DOING") if name in shown)
    table = terminal.table(*shown, right=right, flexible=flexible)
    for row in cells:
        table.add_row(*(row[name] for name in shown))
    return table


def _cells(view: View, said: dict[str, Any]) -> dict[str, Any]:
    """What the table shows of one agent, by the names of its columns."""
    return {
        "AGENT": "  " * view.level + view.id,
        "NAME": _name(said),
        "STATE": terminal.standing(said["state"], _grade(view)),
        "ACTIVITY": _about(said),
        "FOR": _for(said, view.now_us),
        "LAST SIGN": ""
        if view.is_ended
        else terminal.age(clock.parse_us(said["last_sign_at"] or ""), view.now_us),
        "CPU": "" if said["cpu_s"] is None else f"{said['cpu_s']:.1f} s",
        "MEMORY": "" if said["memory_bytes"] is None else terminal.size(said["memory_bytes"]),
        "DONE": _done(said),
        "DOING": _doing(said),
    }


def _name(said: dict[str, Any]) -> str:
    """What it is called; and for whom it works where that is nobody who is here."""
    for_whom = f"(for {said['parent']}, who is not known)" if said["parent_known"] is False else ""
    return " ".join(filter(None, (said["name"], for_whom)))


def _about(said: dict[str, Any]) -> str:
    """What its session is about, or how that stands where nothing of it is at work."""
    return (said["activity"] or said["session_state"] or "").replace("_", " ")


def _grade(view: View) -> str:
    """How sure its state is."""
    return "observed" if view.last is None or view.status == "pending" else view.last.grade


def _for(said: dict[str, Any], now_us: int) -> str:
    """How long it runs, or ran; nothing, where nobody knows."""
    if said["life"] == "lost":
        return ""
    since_us = clock.parse_us(said["started_at"] or "")
    return (
        "" if since_us is None else terminal.age(since_us, clock.parse_us(said["ended_at"] or "") or now_us)
    )
