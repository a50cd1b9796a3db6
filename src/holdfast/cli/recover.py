"""`holdfast recover check`, `list`, `show`, `mark` and `clear`: what was cut, and what a person says of it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from holdfast import clock, door
from holdfast.cli import answers, handoff, terminal, when
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import AmbiguousId, NotFound, StillAlive, UsageError
from holdfast.recover import survey, triage
from holdfast.recover.resume import carry_on
from holdfast.store import asking, queries

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

Json = dict[str, Any]
CUT_EXIT = 3
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
_YES = click.option(
    "--yes", is_flag=True, help="Do not ask. Where nobody can be asked, nothing is done without it."
)
_FILES = 20
_NO_BUDGET = 10**9
_CALLS = 5  # of an agent, in text
_LINE_CHARS = 400
_INDENT = " " * 10


def now(context: Context) -> survey.Now:
    """This moment on this host."""
    return survey.Now.here(context.home.now_us(), context.stale_us)


def surveyed(context: Context, db: apsw.Connection, *, finished: bool = False) -> list[Json]:
    """What was cut; with `finished`, every session."""
    return survey.sessions(db, now(context), context.home.vitals(), finished=finished)


def found(context: Context, db: apsw.Connection, name: str) -> tuple[Json, str]:
    """The survey of the session that a name means, and which of its agents it means ("": the session itself).

    A name is how a session's id begins, `SESSION/AGENT`, or how an agent's id begins.

    Raises:
        NotFound, AmbiguousId: it means none, or several.
    """
    session, slash, agent = name.partition("/")
    if slash:
        one = survey.session(db, queries.session_id(db, session), now(context), context.home.vitals())
        matching = [each["id"] for each in one["agents"] if each["id"].startswith(agent) and agent]
        if len(matching) != 1 and agent not in matching:
            raise _unknown(name, matching)
        return one, agent if agent in matching else matching[0]
    try:
        session_id = queries.session_id(db, name)
    except NotFound:
        pairs = queries.agents_by_prefix(db, name)
        if len(pairs) != 1:
            raise _unknown(name, [f"{pair[1]}/{pair[2]}" for pair in pairs]) from None
        [(session_id, _, agent)] = pairs
    return survey.session(db, session_id, now(context), context.home.vitals()), agent


def _unknown(name: str, matching: list[str]) -> AmbiguousId | NotFound:
    if matching:
        return AmbiguousId(name, matching)
    return NotFound(
        f"no session or agent starts with {name!r}", hint="`holdfast recover list --all` lists them"
    )


# ── check and list ──


@click.command("check", help=f"{COMMANDS['recover check'][1]}\n\nExit code 0: nothing was; 3: something was.")
@_JSON
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:  # noqa: FBT001
    context: Context = ctx.obj
    cut = surveyed(context, answers.ready(context))
    told = summary(cut)
    if as_json:
        terminal.print_json(told)
    else:
        for line in told_lines(told, context.home.now_us()):
            click.echo(terminal.plain(line))
    ctx.exit(CUT_EXIT if cut else 0)


def summary(cut: list[Json]) -> Json:
    """How much was cut: sessions, and the agents in them that did not come to an end, by status and by type."""
    agents = [agent for one in cut for agent in one["agents"] if agent["status"] in triage.CUT]
    times = sorted(filter(None, (one["session"]["activity"]["last_sign_at"] for one in cut)))
    return {
        "sessions": len(cut),
        "agents": len(agents),
        "calls": sum(one["cut_calls"] for one in cut),
        "by_status": dict(sorted(Counter(agent["status"] for agent in agents).items())),
        "by_type": dict(sorted(Counter(agent["type"] or "(unknown)" for agent in agents).items())),
        "by_cause": dict(sorted(Counter(one["cause"] or "unknown" for one in cut).items())),
        "first_at": times[0] if times else None,
        "last_at": times[-1] if times else None,
        "ids": [one["session"]["id"] for one in cut],
    }


def told_lines(told: Json, now_us: int) -> list[str]:
    """A summary in words."""
    if not told["sessions"]:
        return ["nothing was cut"]
    first, last = (_age(told[name], now_us) for name in ("first_at", "last_at"))
    span = f"{last} ago" if told["sessions"] == 1 else f"between {first} and {last} ago"
    number, agents = terminal.some(told["sessions"], "session"), terminal.some(told["agents"], "agent")
    were = "was" if told["sessions"] == 1 else "were"
    return [
        f"{number} with {agents} {were} cut, {span}; nothing recorded is lost",
        f"  by status: {_counted(told['by_status'])}",
        f"  by type:   {_counted(told['by_type'])}",
        f"  by cause:  {_counted(told['by_cause'])}",
        "  look: holdfast recover list",
    ]


def _counted(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items()) or "none"


def _age(at: str | None, now_us: int) -> str:
    us = clock.parse_us(at)
    return "unknown" if us is None else terminal.age(us, now_us)


def _put(out: Any, *parts: tuple[object, str]) -> None:  # noqa: ANN401 - rich's Console
    """One line of (text, style)."""
    line = terminal.cell("")
    for text, style in parts:
        line.append_text(terminal.cell(text, _LINE_CHARS, style))
    out.print(line, soft_wrap=True)


def _standing(one: Json) -> tuple[str, str]:
    shown = terminal.state(_word(one), one["grade"])
    return shown.plain, str(shown.style)


@click.command("list", help=COMMANDS["recover list"][1])
@click.option("--all", "every", is_flag=True, help="Every session, also those that are over or at work.")
@_JSON
@click.pass_obj
def list_(context: Context, every: bool, as_json: bool) -> None:  # noqa: FBT001
    cut = surveyed(context, answers.ready(context), finished=every)
    if as_json:
        terminal.print_json({"sessions": cut})
        return
    out = terminal.console()
    if not cut:
        out.print("nothing was cut")
    for one in cut:
        _print_session(out, one, context.home.now_us())


def _print_session(out: Any, one: Json, now_us: int) -> None:  # noqa: ANN401 - rich's Console
    said = one["session"]
    age = _age(said["activity"]["last_sign_at"], now_us)
    title = terminal.plain(said["title"] or "(no prompt)", 70)
    _put(out, (f"{terminal.short_id(said['id'])}  ", "bold"), _standing(one), (f"  {age} ago  {title}", ""))
    _put(out, (f"{_INDENT}{one['why']}{_CAUSES.get(one['cause'] or '', '')}", "dim"))
    children: dict[str, list[Json]] = {}
    for agent in one["agents"]:
        if agent["id"]:
            children.setdefault(agent["parent_agent"] or "", []).append(agent)
    _print_calls(out, one, "", _INDENT)
    _print_agents(out, one, children, "", _INDENT)
    for task in one["background"]:
        if task["status"] != "finished":
            said = terminal.plain((task["input"] or "").replace("\n", " "), 60)
            _put(out, (f"{_INDENT}in the background: {said}  {task['status'].replace('_', ' ')}", ""))
    out.print()


def _print_agents(out: Any, one: Json, children: dict[str, list[Json]], parent: str, indent: str) -> None:  # noqa: ANN401
    for agent in children.pop(parent, []):
        named = f"{indent}{agent['type'] or 'agent'} {terminal.short_id(agent['id'])}  "
        silent = "  not reported to the one who asked" if agent["reported"] is False else ""
        task = terminal.plain(agent["description"] or "", 60)
        _put(out, (named, ""), _standing(agent), (f"  {task}", ""), (silent, "bold"))
        _print_calls(out, one, agent["id"], f"{indent}  ")
        _print_agents(out, one, children, agent["id"], f"{indent}  ")


def _print_calls(out: Any, one: Json, agent: str, indent: str) -> None:  # noqa: ANN401
    theirs = [call for call in one["calls"] if call["agent"] == agent]
    for call in theirs[:_CALLS]:
        said = terminal.plain((call["input"] or call["path"] or "").replace("\n", " "), 60)
        unknown = ", outcome unknown" if call["status"] == "interrupted" else ""
        _put(out, (f"{indent}{call['tool']} {said}  ", ""), _standing(call), (unknown, ""))
    if len(theirs) > _CALLS:
        out.print(f"{indent}… and {terminal.some(len(theirs) - _CALLS, 'call')} more")


def _word(one: Json) -> str:
    finished: str | None = one["outcome"] if one["status"] == "finished" else None
    return finished or str(one["status"]).replace("_", " ")


_CAUSES = {"rebooted": "; the machine was started anew since"}


# ── show ──


def _carry_on(session: dict[str, Any], home: Path) -> str:
    """The command that goes on with a session, short, or that there is none."""
    again = carry_on(session["source"], session["id"], home / asking.RUN)
    if again is None:
        return "it was removed; start it anew with `holdfast run`"
    return again.replace(session["id"], terminal.short_id(session["id"]))


@click.command("show", help=COMMANDS["recover show"][1])
@click.argument("name", metavar="ID")
@_JSON
@click.pass_obj
def show(context: Context, name: str, as_json: bool) -> None:  # noqa: FBT001
    db = answers.ready(context)
    one, _ = found(context, db, name)
    whole = handoff.made(context, db, _row(db, one), _NO_BUDGET).data
    if as_json:
        effects = [*whole["possible_effects"], *whole["effects"]]
        more = {part: whole[part] for part in ("files", "worktree", "resume")}
        terminal.print_json({**one, **more, "effects": effects})
        return
    out = terminal.console()
    _print_session(out, one, context.home.now_us())
    _print_world(out, whole)
    if one["needs_attention"]:
        _put(out, (f"carry on: {_carry_on(one['session'], context.home.path)}", ""))
    out.print("evidence")
    _print_evidence(out, "session", one["evidence"])
    for agent in one["agents"]:
        if agent["id"]:
            _print_evidence(out, terminal.short_id(agent["id"]), agent["evidence"])
    for call in one["calls"]:
        _print_evidence(out, call["tool"] or "call", call["evidence"])
    for text in one["findings"]:
        _put(out, (f"inconsistent: {text}", "bold"))
    if one["judgement"]:
        told = one["judgement"]
        _put(out, (f"a person said {told['verdict']} at {told['at']}: {told['why'] or ''}", ""))
    for tried in one["resumes"]:
        _put(out, (f"resumed at {tried['at']}: {_became(tried)}", ""))
    if one["continued_by"]:
        _put(out, (f"it goes on in {one['continued_by']}", ""))


def _row(db: apsw.Connection, one: Json) -> int:
    return queries.session_id(db, f"{one['session']['source']}:{one['session']['id']}")


def _print_world(out: Any, whole: Json) -> None:  # noqa: ANN401 - rich's Console
    """What it changed, and where that stands now."""
    for effect in whole["possible_effects"]:
        _put(out, (f"may have happened: {_deed(effect)} ({effect['why']})", "bold"))
    for effect in whole["effects"]:
        _put(out, (f"done: {_deed(effect)}", ""))
    for file in whole["files"][:_FILES]:
        cut = ", and a call that was cut may have changed it" if file["cut"] else ""
        _put(out, (f"{file['change']}: {file['path']}{cut}", ""))
    if len(whole["files"]) > _FILES:
        out.print(f"… and {len(whole['files']) - _FILES} more files")
    for tree in whole["worktree"]:
        _put(out, (f"worktree {tree['root'] or tree['directory']}: {_standing_of_tree(tree)}", ""))


def _deed(effect: Json) -> str:
    return f"{effect['kind'].replace('_', ' ')} {effect['what']['text']}"


def _standing_of_tree(tree: Json) -> str:
    if tree["root"] is None:
        return f"unknown ({tree['why']})"
    parts = [
        f"branch {tree['branch']}" if tree["branch"] else "detached" if tree["detached"] else "branch unknown"
    ]
    for name, word in (
        ("staged", "staged"),
        ("changed", "changed"),
        ("unmerged", "in conflict"),
        ("untracked", "untracked"),
    ):
        if tree[name] is None:
            parts.append(f"{word}: unknown")
        elif tree[name]["count"]:
            parts.append(f"{tree[name]['count']} {word}")
    if tree["unpushed"] and tree["unpushed"].get("count"):
        parts.append(f"{terminal.some(tree['unpushed']['count'], 'commit')} not pushed")
    if tree["stashes"] and tree["stashes"]["count"]:
        parts.append(f"{tree['stashes']['count']} stashed")
    if tree["operation"]:
        parts.append(f"in the middle of a {tree['operation']}")
    return ", ".join(parts)


@click.command(
    "packet",
    help=f"{COMMANDS['recover packet'][1]}\n\nMarkdown for the agent or person who carries on; the same as `holdfast handoff`.",
)
@click.argument("name", metavar="ID")
@handoff.BUDGET
@handoff.JSON
@handoff.OUT
@click.pass_obj
def packet(context: Context, name: str, budget_tokens: int, as_json: bool, out: Path | None) -> None:  # noqa: FBT001
    db = answers.ready(context)
    one, _ = found(context, db, name)
    handoff.give(handoff.made(context, db, _row(db, one), budget_tokens), out, as_json=as_json)


def _became(tried: Json) -> str:
    """What became of an attempt to resume a session."""
    if tried["outcome"] is None:
        return f"what became of it is not recorded; process {tried['pid']} was about to do it"
    return f"{'it works' if tried['outcome'] == 'resumed' else 'failed'}: {tried['why'] or ''}"


def _print_evidence(out: Any, whose: str, evidence: list[Json]) -> None:  # noqa: ANN401 - rich's Console
    for one in evidence:
        where = one["source"] if one["file"] is None else one["file"]
        if one["offset_bytes"] is not None:
            where += f" at byte {one['offset_bytes']:,}"
        _put(out, (f"  {terminal.plain(whose, 13):13} {one['says']}: {where}", ""))


# ── what a person says ──


@click.command(
    "mark",
    help=f"{COMMANDS['recover mark'][1]}\n\nID is a session, SESSION/AGENT, or an agent. One that is alive is refused.",
)
@click.argument("name", metavar="ID")
@click.argument("verdict", type=click.Choice(triage.VERDICTS))
@click.option("--why", help="Why, for those who look later.")
@_JSON
@click.pass_obj
def mark(context: Context, name: str, verdict: str, why: str | None, as_json: bool) -> None:  # noqa: FBT001
    db = answers.ready(context)
    one, agent = found(context, db, name)
    _refuse_alive(one)
    _say(context, [one["session"]], verdict, why, agent)
    if as_json:
        terminal.print_json(
            {"id": one["session"]["id"], "agent": agent or None, "verdict": verdict, "why": why}
        )
        return
    whose = f"{terminal.short_id(one['session']['id'])}{f'/{agent}' if agent else ''}"
    click.echo(terminal.plain(f"{whose} is {verdict}, as you say"))


@click.command(
    "clear",
    help=f"{COMMANDS['recover clear'][1]}\n\nWithout ID, all that were cut. They stay recorded, and `recover list --all` shows them. "
    "One that is alive is refused.",
)
@click.argument("name", metavar="[ID]", required=False)
@click.option(
    "--older-than", metavar="TIME", help="Only those without a sign of life since: 7d, or 2026-11-01."
)
@_YES
@_JSON
@click.pass_obj
def clear(context: Context, name: str | None, older_than: str | None, yes: bool, as_json: bool) -> None:  # noqa: FBT001
    if name is not None and older_than is not None:
        raise UsageError("an ID and --older-than exclude each other", hint="say one of them")
    db = answers.ready(context)
    if name is not None:
        one, agent = found(context, db, name)
        if agent:
            raise UsageError(
                f"{name} is an agent", hint="`holdfast recover mark` says what became of an agent"
            )
        _refuse_alive(one)
        chosen = [one]
    else:
        chosen = _older(surveyed(context, db), older_than, context.home.now_us())
    ids = [one["session"]["id"] for one in chosen]
    agreed = bool(chosen) and (yes or (not as_json and _agreed(chosen)))
    if agreed:
        _say(context, [one["session"] for one in chosen], "cleared", None, "")
    if as_json:
        terminal.print_json({"ids": ids, "cleared": agreed})
    elif not chosen:
        click.echo("nothing is to be cleared")
    elif agreed:
        click.echo(f"{terminal.some(len(ids), 'session')} cleared; they stay recorded")
    else:
        click.echo("nothing was changed (--yes does it)")


def _older(cut: list[Json], older_than: str | None, now_us: int) -> list[Json]:
    before = when.first_us(older_than, now_us, "--older-than", None)
    if before is None:
        return cut
    return [one for one in cut if (clock.parse_us(one["session"]["activity"]["last_sign_at"]) or 0) < before]


def _agreed(chosen: list[Json]) -> bool:
    for one in chosen[:10]:
        said = one["session"]
        click.echo(terminal.plain(f"{terminal.short_id(said['id'])}  {said['title'] or '(no prompt)'}", 100))
    if len(chosen) > 10:
        click.echo(f"… and {len(chosen) - 10} more")
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    return click.confirm(f"Clear {terminal.some(len(chosen), 'session')}? They stay recorded")


def _refuse_alive(one: Json) -> None:
    if one["alive"]:
        said = one["session"]
        raise StillAlive(
            f"{said['id']} is alive: {said['state_why']}", hint="end it first, or wait until it ends"
        )


def _say(context: Context, sessions: list[Json], verdict: str, why: str | None, agent: str) -> None:
    home = context.home
    for said in sessions:
        fields = {"about": f"{said['source']}:{said['id']}", "verdict": verdict, "why": why}
        body = {
            "kind": "recovery.judged",
            "time": home.now_us(),
            "fields": {k: v for k, v in fields.items() if v},
        }
        door.append(
            body | ({"agent": agent} if agent else {}), durable=True, strict=True, home=os.fspath(home.path)
        )
    door.close()
    answers.catch_up(home)


commands = {
    "recover check": check,
    "recover list": list_,
    "recover show": show,
    "recover packet": packet,
    "recover mark": mark,
    "recover clear": clear,
}
