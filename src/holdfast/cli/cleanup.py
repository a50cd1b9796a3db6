"""`holdfast cleanup`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast import clock
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context

if TYPE_CHECKING:
    from holdfast.tidying import Candidate, Done, Plan


@click.command(
    "cleanup",
    help=f"""{COMMANDS["cleanup"][1]}

    An agent goes whatever became of it: completed, failed, cancelled, lost, or never begun. One that is alive, or is to be started
    again, never goes. What was recorded of it stays. With it goes what is kept of the request for it, so that its id means nothing
    any more, and requests that were refused before. One whose request waits to be answered stays.
    """,
)
@click.option(
    "--keep-days",
    type=click.IntRange(min=0),
    required=True,
    help="Keep what ended within so many days; 0 keeps none that ended.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write each agent into DIRECTORY/AGENT.tar.zst first; no value of its environment.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, keep_days: int, dry_run: bool, archive: Path | None, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import tidying

    home = context.home
    answers.catch_up(home)  # what it said last is recorded before it goes
    planned, done = (
        (tidying.plan(home, keep_days), None) if dry_run else tidying.clean(home, keep_days, archive)
    )
    if as_json:
        terminal.print_json(_answer(planned, done))
        return
    agents = planned.agents if done is None else done.agents
    for one in agents:
        name = "" if one.name is None else f" {terminal.plain(one.name, 60)}"
        ended = terminal.age(one.ended_us, home.now_us())
        click.echo(f"{one.id}{name}: {one.status}, {ended} ago, {terminal.size(one.size_bytes)}")
    for agent, why in () if done is None else done.left:
        terminal.note(f"note: {agent} stays: {why}")
    click.echo(_summary(planned, done))


def _summary(planned: Plan, done: Done | None) -> str:
    verb = "would be removed" if done is None else "removed"
    agents = planned.agents if done is None else done.agents
    size_bytes = planned.size_bytes if done is None else done.size_bytes
    kept = ", ".join(f"{count} {why}" for why, count in sorted(planned.kept.items()))
    said = f"{terminal.some(len(agents), 'agent')} {verb}, {terminal.size(size_bytes)}"
    return f"{said}; kept: {kept}" if kept else said


def _answer(planned: Plan, done: Done | None) -> dict[str, Any]:
    return {
        "dry_run": done is None,
        "before": clock.iso(planned.before_us),
        "agents": [_agent(one) for one in (planned.agents if done is None else done.agents)],
        "left": [] if done is None else [{"id": agent, "why": why} for agent, why in done.left],
        "kept": planned.kept,
        "requests": len(planned.stale),
        "refused": sum(not path.name.endswith(".why.json") for path in planned.refused),
        "leftover": len(planned.leftover),
        "size_bytes": planned.size_bytes if done is None else done.size_bytes,
        "archives": [] if done is None else [str(path) for path in done.archives],
    }


def _agent(one: Candidate) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "status": one.status,
        "ended_at": clock.iso(one.ended_us),
        "request": one.request,
        "size_bytes": one.size_bytes,
    }
