"""`holdfast tree SESSION`."""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.store import queries, tree


@click.command("tree", help=COMMANDS["tree"][1])
@click.argument("session")
@click.option("--calls", is_flag=True, help="Show model calls too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, session: str, calls: bool, as_json: bool) -> None:  # noqa: FBT001
    db = answers.ready(context)
    found = tree.tree(db, queries.session_id(db, session), context.home.now_us(), context.stale_us)
    if as_json:
        terminal.print_json(found)
        return
    out = terminal.console()
    out.print(terminal.cell(f"{found['session']['id']}  {found['session']['title'] or ''}", 120, "bold"))
    for line in _lines(found["roots"], calls=calls):
        out.print(line)


def _lines(roots: list[dict[str, Any]], *, calls: bool) -> list[Any]:
    """One line a node, depth first; iterative, so any depth will do."""
    out = []
    todo = [(node, "", number == len(roots) - 1) for number, node in reversed(list(enumerate(roots)))]
    while todo:
        node, indent, last = todo.pop()
        out.append(_line(node, indent + ("└─ " if last else "├─ ")))
        below = indent + ("   " if last else "│  ")
        shown = [child for child in node["children"] if calls or child["kind"] != "llm"]
        todo.extend(
            (child, below, number == len(shown) - 1) for number, child in reversed(list(enumerate(shown)))
        )
    return out


def _line(node: dict[str, Any], lead: str) -> Any:  # noqa: ANN401 - rich's Text
    line = terminal.cell("")
    line.append(lead, style="dim")
    name = node["name"] or node["kind"]
    if node["kind"] == "agent":
        name = f"agent {node['name'] or 'unknown'}" + (f" {node['id']}" if node["id"] else "")
    elif node["kind"] == "turn":
        name = "turn"
    line.append(terminal.plain(name, 40), style="bold" if node["kind"] in {"agent", "turn"} else "")
    if node["status"] not in {"completed", "unknown"} or node["kind"] == "agent":
        line.append("  ")
        line.append_text(terminal.state(node["status"], node["grade"]))
    if node["duration_ms"] is not None:
        line.append(f"  {node['duration_ms'] / 1000:.1f} s", style="dim")
    if node["kind"] == "agent" and node["cost_usd"] is not None:
        line.append(f"  {terminal.usd(node['cost_usd'])}", style="dim")
    if node["inherited"]:
        line.append("  (copied from the original)", style="dim")
    if node["text"] and node["kind"] != "llm":
        line.append("  " + terminal.plain(node["text"], 80), style="dim")
    return line
