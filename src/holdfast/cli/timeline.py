"""`holdfast timeline SESSION`."""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import NotFound
from holdfast.store import queries, timeline


@click.command("timeline", help=COMMANDS["timeline"][1])
@click.argument("session")
@click.option("--agent", help="Only this agent; `main` for the main one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, session: str, agent: str | None, as_json: bool) -> None:  # noqa: FBT001
    db = answers.ready(context)
    entries = _of_agent(timeline.timeline(db, queries.session_id(db, session)), agent)
    if agent is not None and not entries:
        raise NotFound(f"no agent {agent!r} in this session", hint="`holdfast show SESSION` lists its agents")
    if as_json:
        terminal.print_json({"entries": entries})
        return
    out = terminal.console()
    made = terminal.table("at", "agent", "what", "status", "text", flexible=("text",))
    day = None
    for entry in entries:
        at = entry["at"] or ""
        if at[:10] != day and at:
            day = at[:10]
            made.add_row(terminal.safe(day, style="bold"), "", "", "", "")
        style = "dim" if entry["inherited"] or entry["kind"] == "llm.called" else ""
        made.add_row(
            terminal.safe(at[11:23] or "unknown", style=style),
            terminal.safe(entry["agent"] or "main", 17, style),
            terminal.safe(_what(entry), 30, style),
            terminal.standing(
                entry["status"] or "", "inferred" if entry["data"].get("outcome") == "lost" else None
            ),
            terminal.safe(entry["text"] or "", 90, style),
        )
    out.print(made)


def _of_agent(entries: list[dict[str, Any]], agent: str | None) -> list[dict[str, Any]]:
    """The entries of one agent, by its whole id or the start of it."""
    if agent is None:
        return entries
    names = {entry["agent"] for entry in entries}
    wanted = agent if agent in names else "" if agent == "main" else None
    return [
        e for e in entries if (e["agent"] == wanted if wanted is not None else e["agent"].startswith(agent))
    ]


def _what(entry: dict[str, object]) -> str:
    data = entry["data"]
    tool = data.get("tool") if isinstance(data, dict) else None
    return f"{entry['kind']} {tool}" if tool else str(entry["kind"])
