"""The first screen: what agents did, what was interrupted, what is about to be swept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holdfast import clock
from holdfast.cli import answers, links, terminal
from holdfast.definitions import trouble
from holdfast.recover import survey
from holdfast.store import asking, lock, queries

if TYPE_CHECKING:
    from holdfast.catch_up import ImportReport
    from holdfast.cli.app import Context
    from holdfast.cli.columns import Cell, Columns
    from holdfast.home import Home

_ROWS = 15
_LISTED = 5
_WIDE = 100  # columns


def run(context: Context, *, as_json: bool) -> None:
    """Show the first screen; a long first import shows what it has early, and goes on."""
    home = context.home
    if _nothing_here(home):
        _show_samples(context, as_json=as_json)
        return
    limit_s = None if as_json else context.settings.first_answer_s
    report = answers.catch_up(home, limit_s=limit_s)
    _show(context, home, report, as_json=as_json)
    if report.done or report.busy or not report.files_total:
        return
    terminal.note(f"{report.files_done} of {report.files_total} files imported so far; the rest follows")
    report = answers.catch_up(home)
    _show(context, home, report, as_json=as_json)


def _nothing_here(home: Home) -> bool:
    """Whether there is neither history on this machine nor anything recorded."""
    from holdfast.capture import claude_files

    return not home.has_records() and not claude_files.find(home.default_roots())[0]


def _show_samples(context: Context, *, as_json: bool) -> None:
    """Bundled recordings in a home of their own, so that yours stays clean."""
    home = context.sample_home()
    report = home.catch_up()
    looked = " and ".join(map(str, context.home.looked_for()))
    terminal.note(f"No agent history was found (looked in {looked}).")
    terminal.note("This is how it looks, on sample recordings that come with Holdfast:")
    click.echo(err=True)
    _show(context, home, report, as_json=as_json, sample=True)
    if not as_json:
        terminal.note(f"Look around: holdfast --home '{home.path}' show 3e8f")


def _show(context: Context, home: Home, report: ImportReport, *, as_json: bool, sample: bool = False) -> None:
    now_us = home.now_us()
    db = home.reader()
    found = queries.overview(db, now_us, context.stale_us, home.vitals())
    found["interrupted"] = survey.needing(db, found["sessions"])
    sweep = home.sweep(db, now_us)
    found["definitions"] = links.overview(home, db, found["sessions"])
    if as_json:
        terminal.print_json(_answer(found, report, sweep, sample=sample))
    else:
        _print(found, sweep, now_us)
    _note_trouble(home)


def _note_trouble(home: Home) -> None:
    """Say what the service that runs cannot see."""
    run = home.path / asking.RUN
    words = trouble.kept(run)
    if words and lock.holder(run, name="service.lock") is not None:
        terminal.note(f"the service has trouble with {'; '.join(words)}")


def _answer(
    found: dict[str, Any], report: ImportReport, sweep: dict[str, Any], *, sample: bool
) -> dict[str, Any]:
    return {
        "sample": sample,
        "import": {
            "done": report.done,
            "busy": report.busy,
            "files_done": report.files_done,
            "files_total": report.files_total,
            "unreadable": [{"path": path, "why": why} for path, why in report.unreadable],
        },
        "by_state": found["by_state"],
        "totals": found["totals"],
        "interrupted": [s["id"] for s in found["interrupted"]],
        "definitions": found["definitions"],
        "sweep": sweep,
        "sessions": found["sessions"],
    }


def _print(found: dict[str, Any], sweep: dict[str, Any], now_us: int) -> None:
    out = terminal.console()
    totals = found["totals"]
    states = ", ".join(f"{number} {name}" for name, number in found["by_state"].items() if number)
    parts = [
        f"{terminal.some(totals['sessions'], 'session')} ({states or 'none'})",
        terminal.some(totals["agents"], "agent"),
        f"{terminal.some(totals['tool_calls'], 'tool call')}, {terminal.some(totals['errors'], 'error')}",
        f"{terminal.count(terminal.all_tokens(totals['tokens']))} tokens",
        terminal.usd(totals["cost_usd"], complete=totals["cost_complete"]),
    ]
    out.print(terminal.lines_of(parts, out.width))
    out.print()
    out.print(sessions_table(found["sessions"][:_ROWS], now_us, out.width))
    if len(found["sessions"]) > _ROWS:
        out.print(f"… and {len(found['sessions']) - _ROWS} more: holdfast sessions")
    if any(s["state_grade"] == "inferred" for s in found["sessions"][:_ROWS]):
        out.print("? inferred; `holdfast show SESSION` says from what", style="dim")
    _print_waiting(out, found["sessions"], now_us)
    _print_interrupted(out, found["interrupted"], now_us)
    links.say_overview(out, found["definitions"])
    _print_sweep(out, sweep)
    if totals["unpriced_calls"]:
        calls = terminal.some(totals["unpriced_calls"], "model call")
        out.print(f"\n+ the cost of {calls} is unknown (no known price) and not in the sum")
    elif not totals["cost_complete"]:
        out.print("\n+ the cost of agents without a recorded model call is unknown and not in the sum")


def sessions_table(found: list[dict[str, Any]], now_us: int, width: int) -> Columns:
    """Sessions as rows; a narrow terminal gets the columns that matter most."""
    numbers = (
        ("agents", "turns", "tools", "errors", "tokens", "cost") if width >= _WIDE else ("errors", "cost")
    )
    words = ("title", "workspace") if width >= _WIDE else ("title",)
    made = terminal.table("session", "state", "active", *numbers, *words, right=numbers, flexible=words)
    for s in found:
        shown: dict[str, str | Cell] = {
            "agents": str(s["agents"]),
            "turns": str(s["turns"]),
            "tools": str(s["tool_calls"]),
            "errors": str(s["errors"] or ""),
            "tokens": terminal.count(terminal.all_tokens(s["tokens"])),
            "cost": terminal.usd(s["cost_usd"], complete=s["cost_complete"]),
            "title": terminal.safe(s["title"] or "(no prompt)", 60),
            "workspace": terminal.safe((s["workspace"] or "").rsplit("/", 1)[-1], 20, "dim"),
        }
        made.add_row(
            terminal.safe(terminal.short_id(s["id"]), style="bold"),
            terminal.standing(s["state"], s["state_grade"]),
            terminal.age(clock.parse_us(s["activity"]["last_sign_at"]), now_us),
            *(shown[name] for name in (*numbers, *words)),
        )
    return made


def _print_waiting(out: Any, found: list[dict[str, Any]], now_us: int) -> None:  # noqa: ANN401 - rich's Console
    waiting = [s for s in found if s["state"] == "waiting"]
    if waiting:
        out.print(f"\n{len(waiting)} waiting for you")
        _print_whys(out, waiting[:_LISTED], now_us)


def _print_interrupted(out: Any, cut: list[dict[str, Any]], now_us: int) -> None:  # noqa: ANN401 - rich's Console
    if cut:
        out.print(f"\n{len(cut)} interrupted")
        _print_whys(out, cut[:_LISTED], now_us)
        out.print("  which agents, what is open, how to carry on: holdfast recover list")


def _print_whys(out: Any, found: list[dict[str, Any]], now_us: int) -> None:  # noqa: ANN401 - rich's Console
    for s in found:
        when = terminal.age(clock.parse_us(s["activity"]["last_sign_at"]), now_us)
        line = terminal.cell(f"  {terminal.short_id(s['id'])}  {when} ago  ")
        out.print(line.append_text(terminal.cell(s["state_why"], 100)))


def _print_sweep(out: Any, sweep: dict[str, Any]) -> None:  # noqa: ANN401 - rich's Console
    due = sweep["sessions"]
    if due:
        lost = sum(not s["recorded"] for s in due)
        kept = (
            "all of them are recorded here"
            if not lost
            else f"{lost} of them are NOT recorded yet: holdfast import"
        )
        out.print(
            f"\n{terminal.some(len(due), 'session')} will be deleted by Claude Code within {sweep['within_days']} days "
            f"(it keeps {sweep['after_days']} days); {kept}"
        )
    elif sweep["after_days"] is None:
        out.print("\nWhen Claude Code deletes its history is unknown: its settings.json cannot be read")
