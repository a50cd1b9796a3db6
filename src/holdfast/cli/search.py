"""`holdfast search TEXT`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import answers, terminal, when
from holdfast.cli.app import COMMANDS, Context
from holdfast.store import passages, queries, search

if TYPE_CHECKING:
    from rich.console import Console

_JSON_WIDTH_CHARS = 240
_INDENT = 4
_LINES = 2  # of context a hit
_SLACK_CHARS = 12  # what breaking lines at words and marking matches takes


@click.command("search", help=COMMANDS["search"][1], context_settings={"ignore_unknown_options": True})
@click.argument("text", type=click.UNPROCESSED)  # any text may be asked for, as it may stand anywhere
@click.option("--session", help="Only this session; the start of its id will do.")
@click.option("--agent", help="Only agents of this id (or its start), name or type; `main` for main agents.")
@click.option("--tool", help="Only calls of this tool.")
@click.option("--kind", type=click.Choice(passages.KINDS), help="Only passages of this kind.")
@click.option("--since", help="First moment or day (UTC): 2026-11-01, 2026-11-01T14:30:00Z, or 7d.")
@click.option("--until", help="Last moment or day (UTC), written alike.")
@click.option("--ranked", is_flag=True, help="Best match first (bm25) instead of newest first.")
@click.option(
    "--limit",
    type=click.IntRange(1, search.MOST_HITS),
    default=20,
    show_default=True,
    help="How many hits to show at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(
    context: Context,
    text: str,
    session: str | None,
    agent: str | None,
    tool: str | None,
    kind: str | None,
    since: str | None,
    until: str | None,
    ranked: bool,  # noqa: FBT001
    limit: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    now_us = context.home.now_us()
    since_us, until_us = when.first_us(since, now_us, "--since"), when.last_us(until, now_us, "--until")
    db = answers.ready(context)
    question = search.Question(
        text=text,
        session_id=None if session is None else queries.session_id(db, session),
        agent=agent,
        tool=tool,
        kind=kind,
        since_us=since_us,
        until_us=until_us,
        ranked=ranked,
        limit=limit,
    )
    out = terminal.console()
    width_chars = _JSON_WIDTH_CHARS if as_json else _LINES * max(20, out.width - _INDENT) - _SLACK_CHARS
    found = search.search(db, context.home.recall(), question, width_chars)
    if as_json:
        terminal.print_json(found)
        return
    for hit in found["hits"]:
        _print_hit(out, hit)
    filters = {"session": session, "agent": agent, "tool": tool, "kind": kind, "since": since, "until": until}
    _print_end(out, found, context, filters)


def _print_hit(out: Console, hit: dict[str, Any]) -> None:
    """One line that says where, then the words around the match."""
    from rich.text import Text

    at = (hit["at"] or "unknown time")[:19].replace("T", " ")
    what = hit["kind"] + (f" {hit['tool']}" if hit["tool"] else "")
    agent = f"/{hit['agent'][:12]}" if hit["agent"] else ""
    line = Text()
    line.append_text(terminal.cell(at, style="dim")).append("  ")
    line.append_text(terminal.cell(what, 24, "bold")).append("  ")
    line.append_text(terminal.cell(f"{terminal.short_id(hit['session'])}{agent}", 27, "cyan")).append("  ")
    line.append_text(terminal.cell(f"{hit['segment']}:{hit['offset']}", style="dim")).append("  ")
    copied = "(copied)  " if hit["inherited"] else ""
    line.append_text(terminal.cell(copied + (hit["session_title"] or ""), 200, "dim"))
    out.print(line, no_wrap=True, overflow="ellipsis", crop=True)
    if hit["context"] is not None:
        _print_context(out, hit)
    if hit["context_why"]:
        out.print(terminal.cell(f"    ({hit['context_why']})", 300, "yellow"))


def _print_context(out: Console, hit: dict[str, Any]) -> None:
    """The context on two lines, without the breaks it has of its own; what matched first stands in them."""
    from rich.text import Text

    colours = out.color_system is not None and not out.no_color
    shown, at = Text(), 0
    for match in hit["matches"]:
        shown.append(_flat(hit["context"][at : match["from"]]))
        word = _flat(hit["context"][match["from"] : match["to"]])
        shown.append(word if colours else f"«{word}»", style="bold red")
        at = match["to"]
    shown.append(_flat(hit["context"][at:]))
    for line in shown.wrap(out, max(20, out.width - _INDENT))[:_LINES]:
        line.rstrip()
        out.print(Text(" " * _INDENT).append_text(line), no_wrap=True)


def _flat(text: str) -> str:
    """On one line, without the spaces that indent code; whatever a terminal would act on becomes visible."""
    return terminal.plain(_WHITE.sub(" ", text))


_WHITE = re.compile(r"\s+")


def _print_end(out: Console, found: dict[str, Any], context: Context, filters: dict[str, str | None]) -> None:
    """What was looked for, and in how much, so that an empty answer can be judged."""
    if found["index"] == "building":
        out.print("the search index is being built; run this again in a while")
        return
    if not found["words"]:
        out.print("nothing to look for: words are made of letters and digits, and there is none")
        return
    if found["hits"] and not found["more"] and not found["words_left_out"]:
        return
    lines = []
    if not found["hits"]:
        s = context.settings
        where = "".join(f", {name} {given}" for name, given in filters.items() if given is not None)
        lines.append(f"nothing found for {' '.join(found['words'])}{where}")
        lines.append(
            f"searched: {found['passages']:,} passage{'' if found['passages'] == 1 else 's'}, the first {s.search_size_chars:,} characters of each, "
            f"{min(s.head_size_chars, s.search_size_chars):,} of outputs"
        )
    elif found["more"]:
        lines.append(f"the {len(found['hits'])} {_FIRST[found['order']]}; there are more: --limit")
    if found["words_left_out"]:
        lines.append(
            f"{terminal.some(found['words_left_out'], 'word')} too many: only the first {len(found['words'])} "
            "were looked for"
        )
    for line in lines:
        out.print(terminal.plain(line), style="dim", soft_wrap=True)


_FIRST = {"newest": "newest hits", "rank": "best hits"}
