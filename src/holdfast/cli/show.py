"""`holdfast show SESSION`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast import clock
from holdfast.cli import answers, links, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.store import queries

_ERRORS = 20
_FILES = 40


@click.command("show", help=COMMANDS["show"][1])
@click.argument("session")
@click.option(
    "--coverage",
    is_flag=True,
    help="Show what each source told of it, where they differ, and what is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, session: str, coverage: bool, as_json: bool) -> None:  # noqa: FBT001
    db = answers.ready(context)
    now_us = context.home.now_us()
    row = queries.session_id(db, session)
    found = queries.show(db, row, now_us, context.stale_us, context.home.vitals())
    statuses = {agent["id"]: agent["status"] for agent in found["agents"]}
    known = links.of_session(context.home, db, row, found["session"]["state"], statuses)
    for agent in found["agents"]:
        agent["definition"] = known.get(agent["id"])
    found["coverage"] = _coverage(db, row) if coverage else None
    if as_json:
        terminal.print_json(found)
        return
    out = terminal.console()
    if coverage:
        _print_coverage(out, found["session"], found["coverage"])
        return
    silent = sum(bool(a["id"]) and not a["llm_calls"] for a in found["agents"])
    _print_summary(out, found["session"], now_us, silent, found["reported_calls"])
    _print_agents(out, found["agents"])
    links.say(out, known)
    _print_files(out, found["files"])
    _print_errors(out, found["errors"])
    told = ", ".join(f"{number} {kind}" for kind, number in found["events"].items())
    if told:
        out.print()
        out.print(terminal.cell(f"Also recorded: {told}", 400))


def _print_summary(
    out: Any,  # noqa: ANN401 - rich's Console
    s: dict[str, Any],
    now_us: int,
    silent: int,
    by_call: dict[str, Any],
) -> None:
    out.print(terminal.cell(s["title"] or "(no prompt)", 120, "bold"))
    tokens = s["tokens"]
    unreliable = tokens["output_unreliable_calls"]
    lines = [
        ("session", s["id"] + (f"   fork of {s['forked_from']}" if s["forked_from"] else "")),
        ("state", f"{s['state']} ({s['state_grade']}: {s['state_why']})"),
        *_now(s["activity"], now_us),
        ("active", f"{s['started_at']} to {s['last_activity_at']} ({_ago(s, now_us)} ago)"),
        (
            "where",
            f"{s['workspace'] or 'unknown'}   branch {s['git_branch'] or 'unknown'}   {s['source']} {s['tool_version'] or ''}",
        ),
        (
            "work",
            ", ".join(
                terminal.some(s[name], word)
                for name, word in (
                    ("turns", "turn"),
                    ("agents", "agent"),
                    ("tool_calls", "tool call"),
                    ("errors", "error"),
                )
            ),
        ),
        (
            "tokens",
            _tokens(tokens) + f", in {terminal.some(s['llm_calls'], 'call')}",
        ),
        ("cost", terminal.usd(s["cost_usd"], complete=s["cost_complete"]) + _reported(s, by_call)),
    ]
    for name, text in lines:
        line = terminal.cell(name.ljust(9), style="dim")
        out.print(line.append_text(terminal.cell(text, 300)))
    if unreliable:
        out.print(
            f"         output tokens of {unreliable} calls are what the tool wrote when the answer began: "
            "a lower bound, and so is the cost"
        )
    if s["unpriced_calls"]:
        out.print(f"         {s['unpriced_calls']} calls have no known price and are not in the cost")
    if silent:
        out.print(
            f"         no model calls of {terminal.some(silent, 'agent')} are recorded: they are not in the cost"
        )


_PROCESS = {"alive": "its process runs", "dead": "no process of it runs", "unknown": "its process is unknown"}


def _now(activity: dict[str, Any], now_us: int) -> list[tuple[str, str]]:
    """What it is about, and how old the last sign of life is; nothing where nobody can tell."""
    if activity["state"] is None and activity["process"] == "unknown":
        return []
    number = activity["background_tasks"]
    running = f", {terminal.some(number, 'task')} in the background" if number else ""
    state = (activity["state"] or "not at work").replace("_", " ")
    heard_us = clock.parse_us(activity["last_sign_at"])
    age = "unknown" if heard_us is None else f"{terminal.age(heard_us, now_us)} ago"
    said = f"{state}{running}; {_PROCESS[activity['process']]}; last sign of life {age}"
    return [("now", said)]


def _tokens(tokens: dict[str, Any]) -> str:
    if tokens["input"] is None:
        return "unknown"
    written = tokens["cache_write_5m"] + tokens["cache_write_1h"]
    more = (
        f", without {terminal.some(tokens['unknown_calls'], 'call')} of unknown size"
        if tokens["unknown_calls"]
        else ""
    )
    return f"{tokens['input']:,} in, {tokens['output']:,} out, {tokens['cache_read']:,} cache read, {written:,} cache written{more}"


def _ago(s: dict[str, Any], now_us: int) -> str:
    return terminal.age(clock.parse_us(s["last_activity_at"]), now_us)


def _reported(s: dict[str, Any], by_call: dict[str, Any]) -> str:
    reported = s["reported_cost_usd"]
    if reported is None and by_call["calls"]:
        part = f"for {by_call['calls']} of {terminal.some(s['llm_calls'], 'call')}"
        return f"   (the tool reports {terminal.usd(by_call['cost_usd'])} {part})"
    if reported is None:
        return "   (the tool reported none)"
    same = s["cost_usd"] is not None and abs(reported - s["cost_usd"]) < 1e-9
    return "   (the tool reports the same)" if same else f"   (the tool reports {terminal.usd(reported)})"


def _print_agents(out: Any, agents: list[dict[str, Any]]) -> None:  # noqa: ANN401
    numbers = ("tools", "errors", "tokens", "cost")
    made = terminal.table(
        "agent",
        "type",
        "status",
        *numbers,
        "started by",
        "task",
        right=numbers,
        flexible=("task", "started by"),
    )
    for a in agents:
        made.add_row(
            terminal.safe(a["id"] or "main", 17, "bold"),
            terminal.safe(a["type"] or "unknown", 20),
            terminal.standing(a["status"], a["status_grade"]),
            str(a["tool_calls"]),
            str(a["errors"] or ""),
            terminal.count(terminal.all_tokens(a["tokens"])),
            terminal.usd(a["cost_usd"], complete=a["cost_complete"]),
            terminal.safe(_starter(a), 18, "dim"),
            terminal.safe(a["description"] or "", 50),
        )
    out.print("\nAgents")
    out.print(made)


def _starter(agent: dict[str, Any]) -> str:
    """Which agent started it; with a question mark where that is only inferred."""
    if agent["parent_agent"] is None:
        return "unknown" if agent["parent_grade"] == "unknown" else ""
    return (agent["parent_agent"] or "main") + ("?" if agent["parent_grade"] == "inferred" else "")


def _print_files(out: Any, files: list[dict[str, Any]]) -> None:  # noqa: ANN401
    if not files:
        return
    made = terminal.table(
        "file", "what", "calls", "ok", "+", "-", right=("calls", "ok", "+", "-"), flexible=("file",)
    )
    for f in files[:_FILES]:
        made.add_row(
            terminal.safe(f["path"], 90),
            f["operation"],
            str(f["calls"]),
            str(f["completed"]),
            "" if f["lines_added"] is None else str(f["lines_added"]),
            "" if f["lines_removed"] is None else str(f["lines_removed"]),
        )
    out.print("\nFiles")
    out.print(made)
    if len(files) > _FILES:
        out.print(f"… and {len(files) - _FILES} more: --json lists all")


def _print_errors(out: Any, errors: list[dict[str, Any]]) -> None:  # noqa: ANN401
    if not errors:
        return
    made = terminal.table("at", "agent", "what", "status", "message", flexible=("message", "what"))
    for e in errors[:_ERRORS]:
        code = f" {e['exit_code']}" if e["exit_code"] is not None else ""
        made.add_row(
            terminal.safe((e["at"] or "unknown")[11:19] or "unknown"),
            terminal.safe(e["agent"] or "main", 17),
            terminal.safe(f"{e['tool'] or 'error'}: {e['type'] or 'unknown'}{code}", 40),
            terminal.standing(e["status"]),
            terminal.safe(e["message"] or e["input"] or "", 80),
        )
    out.print("\nErrors")
    out.print(made)
    if len(errors) > _ERRORS:
        out.print(f"… and {len(errors) - _ERRORS} more: --json lists all")


def _coverage(db: Any, row: int) -> dict[str, Any]:  # noqa: ANN401 - apsw's connection
    from holdfast.store import coverage

    return coverage.coverage(db, row, _size_of)


def _size_of(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return None


def _print_coverage(out: Any, s: dict[str, Any], c: dict[str, Any]) -> None:  # noqa: ANN401
    out.print(terminal.cell(f"{s['title'] or '(no prompt)'}   {s['id']}", 150, "bold"))
    numbers = ("records", "repeated", "facts", "bytes", "unread")
    made = terminal.table("source", *numbers, "first", "last", "file", right=numbers, flexible=("file",))
    for one in c["sources"]:
        unread = (
            "" if one["path"] is None else "gone" if one["unread_bytes"] is None else str(one["unread_bytes"])
        )
        made.add_row(
            terminal.safe(one["source"]),
            str(one["records"]),
            str(one["repeated"] or ""),
            str(one["events"]),
            terminal.size(one["size_bytes"]),
            unread,
            one["first_at"][:19] if one["first_at"] else f"~{one['recorded_from'][:19]}",
            one["last_at"][:19] if one["last_at"] else f"~{one['recorded_to'][:19]}",
            terminal.safe(one["path"] or "", 90, "dim"),
        )
    out.print(made)
    out.print("~ it tells no times: when it was recorded", style="dim")
    out.print(f"\nturns    {c['turns']['transcript']} in the transcript, {c['turns']['hooks']} told by hooks")
    for name in ("calls", "agents"):
        seen = c[name]
        only = f"{seen['transcript_only']} by the transcript only, {seen['hooks_only']} by hooks only"
        out.print(f"{name.ljust(8)} {seen['both']} seen by both, {only}")
    for call in c["calls_of_hooks_only"][:_ERRORS]:
        line = f"         {call['id']}  {call['tool'] or 'unknown'}  {call['status'] or 'not reported'}"
        out.print(terminal.cell(line, 150))
    copied = c["copied"]
    if any(copied.values()):
        calls = terminal.some(copied["llm_calls"], "model call")
        out.print(
            f"copied   {terminal.some(copied['spans'], 'span')} and {calls}, which count in the session they are from"
        )
    for one in c["processes"]:
        what = f"process  {one['pid']}, {one['status'] or 'status unknown'} since {one['status_since'] or 'unknown'}"
        out.print(terminal.cell(what, 150))
    for one in c["problems"][:_ERRORS]:
        where = f"{one['place']}: bytes {one['start_byte']} to {one['end_byte']}: {one['why']}"
        out.print(terminal.cell(f"problem  {where}", 300))
    if not c["problems"]:
        out.print("problems none in these files")
