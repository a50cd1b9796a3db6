"""`holdfast tree SESSION`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import answers, links, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.cli.columns import Cell, Lines
from holdfast.store import queries, tree

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command("tree", help=COMMANDS["tree"][1])
@click.argument("session")
@click.option("--calls", is_flag=True, help="Show model calls too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, session: str, calls: bool, as_json: bool) -> None:  # noqa: FBT001
    db = answers.ready(context)
    row = queries.session_id(db, session)
    found = tree.tree(db, row, context.home.now_us(), context.stale_us, context.home.vitals())
    agents = list(_agents(found["roots"]))
    statuses = {node["id"]: node["status"] for node in agents}
    known = links.of_session(context.home, db, row, found["session"]["state"], statuses)
    for node in agents if known else ():
        node["definition"] = known.get(node["id"])
    if as_json:
        terminal.print_json(found)
        return
    out = terminal.console()
    out.print(terminal.cell(f"{found['session']['id']}  {found['session']['title'] or ''}", 120, "bold"))
    out.print(Lines(_lines(found["roots"], calls=calls)))


def _agents(roots: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The nodes of the session's own agents."""
    todo = list(roots)
    while todo:
        node = todo.pop()
        if node["kind"] == "agent" and not node["inherited"]:
            yield node
        todo.extend(node["children"])


def _lines(roots: list[dict[str, Any]], *, calls: bool) -> Iterator[list[Cell]]:
    """One line a node, depth first; iterative, so any depth will do."""
    todo = [(node, "", number == len(roots) - 1) for number, node in reversed(list(enumerate(roots)))]
    while todo:
        node, indent, last = todo.pop()
        yield _line(node, indent + ("└─ " if last else "├─ "))
        below = indent + ("   " if last else "│  ")
        shown = [child for child in node["children"] if calls or child["kind"] != "llm"]
        todo.extend(
            (child, below, number == len(shown) - 1) for number, child in reversed(list(enumerate(shown)))
        )


def _line(node: dict[str, Any], lead: str) -> list[Cell]:
    name = node["name"] or node["kind"]
    if node["kind"] == "agent":
        name = f"agent {node['name'] or 'unknown'}" + (f" {node['id']}" if node["id"] else "")
    elif node["kind"] == "turn":
        name = "turn"
    style = "bold" if node["kind"] in {"agent", "turn"} else ""
    line = [Cell(lead, "dim"), Cell(terminal.plain(name, 40), style)]
    if node["status"] not in {"completed", "unknown"} or node["kind"] == "agent":
        line += [Cell("  "), terminal.standing(node["status"], node["grade"])]
    line += links.of_node(node["definition"])
    more = ""
    if node["duration_ms"] is not None:
        more += f"  {node['duration_ms'] / 1000:.1f} s"
    if node["kind"] == "agent" and node["cost_usd"] is not None:
        more += f"  {terminal.usd(node['cost_usd'])}"
    if node["inherited"]:
        more += "  (copied from the original)"
    if node["text"] and node["kind"] != "llm":
        more += "  " + terminal.plain(node["text"], 80)
    return [*line, Cell(more, "dim")]
