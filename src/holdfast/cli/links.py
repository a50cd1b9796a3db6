"""Which text of its definition each agent ran with, as `show`, `tree` and the first screen say it.

What works it out is imported where an agent ran under a name that may be a definition's: most sessions have none, and the first screen is to be quick.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from holdfast.cli import answers, terminal
from holdfast.cli.columns import Cell
from holdfast.definitions import tools
from holdfast.definitions.findings import CHANGED, ERROR, NOTE, WARNING
from holdfast.definitions.used import Lying, Run, Used
from holdfast.store import definitions, queries, uses
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import apsw

    from holdfast.definitions.past import Look
    from holdfast.home import Home

AT_WORK = frozenset({"working", "waiting", "idle"})
_LOOK = {ERROR: "red", WARNING: "yellow", NOTE: "dim"}
_MOST_TOLD = 20
_MOST_HIDDEN = 3  # files that are named
_MOST_NAMED = 2  # agents
_MOST_UNUSED = 5  # definitions that the first screen names
_ID_CHARS = 17  # of an agent's id
_AGENT_AT_WORK = frozenset({"pending", "spawning", "running", "waiting", "paused"})


Json = dict[str, Any]


def of_session(
    home: Home, db: apsw.Connection, session: int, state: str, statuses: dict[str, str]
) -> dict[str, Json]:
    """What the agents of a session ran with, by agent, as the JSON has it."""
    found = uses.of_session(db, session)
    if not found:
        return {}
    live, db = _looked(home, db, {use.cwd for use in found})
    from holdfast import linking

    links = linking.of_session(
        home,
        db,
        session,
        live,
        at_work={agent for agent, one in statuses.items() if one in _AGENT_AT_WORK},
        goes_on=state in AT_WORK,
    )
    return {agent: linking.answer(link) for agent, link in links.items()}


def _looked(
    home: Home, db: apsw.Connection, directories: Iterable[str | None]
) -> tuple[list[Look], apsw.Connection]:
    """Look at the definitions that count in directories, and fold what changed; the store, opened again where something did."""
    from holdfast import linking

    seen = linking.look(home, directories)
    if not seen.noted:
        return seen.looks, db
    answers.catch_up(home, sources=False)
    return seen.looks, home.reader()


def words(found: Json) -> str:
    """The text that an agent ran with, as a person reads it: `5e1f3c2a`, with a `?` where a rule decided, or `unknown` and what fits."""
    if found["grade"] == "unknown":
        fit = " or ".join(one["sha256"][:8] for one in found["either"])
        return f"unknown ({fit})" if fit else "unknown"
    what = "built in" if found["origin"] == "built-in" else found["sha256"][:8]
    return what + ("" if found["grade"] == "observed" else "?")


def say(out: Any, links: dict[str, Json]) -> None:  # noqa: ANN401 - rich's Console
    """The definitions of a session's agents, each text once, and what is to be told of them."""
    if not links:
        return
    heads = ("definition", "text", "version", "tier", "agents", "file")
    made = terminal.table(*heads, flexible=("agents", "file"))
    rows: dict[tuple[str, ...], list[str]] = {}
    for agent, link in links.items():
        rows.setdefault(_row(link), []).append(agent)
    for (name, text, version, tier, path), agents in rows.items():
        cells = (terminal.safe(name, 40, "bold"), terminal.safe(text), version, terminal.safe(tier))
        made.add_row(*cells, _agents(agents), terminal.safe(path, 90))
    out.print("\nDefinitions")
    out.print(made)
    for line in dict.fromkeys(hiding for link in links.values() for hiding in _hidden(link)):
        out.print(terminal.cell(line, 400))
    for line in _reasons(links):
        out.print(terminal.cell(line, 400, "dim"))
    findings = _told(links)
    for name, each, agents in findings[:_MOST_TOLD]:
        line = f"{each['level']}: {name} {_agents(agents)}: {each['text']}"
        out.print(terminal.cell(line, 400, _LOOK[each["level"]]))
        if each["hint"]:
            out.print(terminal.cell(f"  {each['hint']}", 200, "dim"))
    if len(findings) > _MOST_TOLD:
        out.print(f"… and {len(findings) - _MOST_TOLD} more: --json has all")


def _told(links: dict[str, Json]) -> list[tuple[str, Json, list[str]]]:
    """What is to be told of a session's agents: the name, the finding, and of which agents. That a file changed is told in the gravest way only."""
    every = [(agent, link["name"], each) for agent, link in links.items() for each in link["findings"]]
    codes = {(name, each["code"]) for _, name, each in every}
    out: dict[tuple[str, str, str], tuple[str, Json, list[str]]] = {}
    for agent, name, each in every:
        code = each["code"]
        graver = CHANGED[: CHANGED.index(code)] if code in CHANGED else ()
        if not any((name, other) in codes for other in graver):
            out.setdefault((name, code, each["text"]), (name, each, []))[2].append(agent)
    return list(out.values())


def _row(link: Json) -> tuple[str, ...]:
    tier = link["tier"] if link["tier"] not in (None, tools.BUILT_IN) else ""
    version = "" if link["version"] is None else f"{link['version']} of {link['versions']}"
    path = "" if link["revision"] is None else link["revision"]["path"]
    return link["name"], words(link), version, tier, path


def _hidden(link: Json) -> Iterator[str]:
    """What an agent's text hid."""
    hidden = [f"{visible(one['path'])} ({one['tier']})" for one in link["shadowed"]]
    if hidden and link["origin"] != tools.BUILT_IN:  # which hides nothing: that is an alarm
        more = f" and {len(hidden) - _MOST_HIDDEN} more" if len(hidden) > _MOST_HIDDEN else ""
        listed = ", ".join(hidden[:_MOST_HIDDEN])
        yield f"{visible(link['name'])} {words(link)} hides {len(hidden)}: {listed}{more}"


def _reasons(links: dict[str, Json]) -> Iterator[str]:
    """Why answers are not certain, each reason once, with the agents that it is about."""
    said: dict[tuple[str, str], dict[str, list[str]]] = {}
    for agent, link in links.items():
        if link["grade"] != "observed":
            of = said.setdefault((link["grade"], link["why"]), {})
            of.setdefault(link["name"], []).append(agent)
    for (grade, why), names in said.items():
        whose = "; ".join(f"{visible(name)} {_agents(agents)}" for name, agents in names.items())
        yield f"{'?' if grade == 'inferred' else 'unknown:'} {whose}: {why}"


def _agents(ids: list[str]) -> str:
    """Agents as a person finds them in the table above: the first by their ids."""
    named = ", ".join(visible(each)[:_ID_CHARS] or "main" for each in ids[:_MOST_NAMED])
    return f"{named} and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else named


def of_node(found: Json | None) -> list[Cell]:
    """An agent's definition in a tree: the text, and a mark where something is to be told."""
    if found is None:
        return []
    mark = "!" if any(each["level"] == WARNING for each in found["findings"]) else ""
    prefix = "" if found["origin"] == "built-in" else "text "
    return [Cell(f"  {prefix}{words(found)}{mark}", "yellow" if mark else "dim")]


def runs(db: apsw.Connection) -> list[Run]:
    """Under which names agents ran, where, and when last."""
    return [Run(tools.of_source(source), name, cwd, us) for source, name, cwd, us in uses.last(db)]


# ── the first screen ──


def overview(home: Home, db: apsw.Connection, sessions: list[Json]) -> Json:
    """What is to be told of definitions: of agents that are at work, which were never used, and of writes that wait for a decision."""
    named = {one["id"]: found for one in sessions if (found := _at_work(db, one))}
    alarms = _alarms(home, db, named) if named else []
    waiting = len(definitions.conflicts(db))
    return {"alarms": alarms, "never_used": list(_never_used(db)), "conflicts": waiting}


def _at_work(db: apsw.Connection, session: Json) -> list[uses.Use]:
    """The agents that are at work in a session, and may have a definition."""
    if session["state"] not in AT_WORK:
        return []
    row = queries.session_id(db, session["id"])
    found = uses.of_session(db, row)
    if not found:
        return []
    works = {
        one["id"] for one in queries.agents(db, row, session["state"]) if one["status"] in _AGENT_AT_WORK
    }
    return [use for use in found if use.agent in works]


def _alarms(home: Home, db: apsw.Connection, named: dict[str, list[uses.Use]]) -> list[Json]:
    """What is to be told of agents at work, by their sessions: each thing once in a session, with how many agents it is about."""
    from holdfast import linking

    every = [use for found in named.values() for use in found]
    live, db = _looked(home, db, {use.cwd for use in every})
    links = linking.Linking(home, db, live)
    links.expect(use.name for use in every)
    alarms = []
    for session, found in named.items():
        made = [(use.agent, links.link(use, at_work=True, goes_on=True)) for use in found]
        answered = {agent: linking.answer(link) for agent, link in made if link is not None}
        for name, each, agents in _told(answered):
            if each["level"] != NOTE:
                alarms.append({"session": session, "name": name, "agents": len(agents)} | each)
    return alarms


def _never_used(db: apsw.Connection) -> Iterator[Json]:
    """Definitions with which no agent ran; what is gone, and nobody looked since, is none."""
    lying = [Lying(*row) for row in uses.lying(db)]
    used = Used(runs(db) if lying else (), lying)
    for one in lying:
        if not used.of(one) and os.path.lexists(one.path):
            yield {"tool": one.tool, "name": one.name, "tier": one.tier, "path": one.path}


def say_overview(out: Any, found: dict[str, Any]) -> None:  # noqa: ANN401 - rich's Console
    """The lines of the first screen."""
    if found["alarms"]:
        out.print(f"\n{terminal.some(len(found['alarms']), 'alarm')} about definitions of agents at work")
    for one in found["alarms"][:5]:
        several = f" ({one['agents']} agents)" if one["agents"] > 1 else ""
        line = terminal.cell(f"  {terminal.short_id(one['session'])}  {visible(one['name'])}{several}: ", 80)
        out.print(line.append_text(terminal.cell(one["text"], 300)))
    if len(found["alarms"]) > 5:
        out.print(f"  … and {len(found['alarms']) - 5} more")
    if found["conflicts"]:
        number = terminal.some(found["conflicts"], "conflict")
        out.print(f"\n{number} about definitions to be decided: holdfast definitions conflicts")
    if found["never_used"]:
        number = terminal.some(len(found["never_used"]), "definition")
        names = list(dict.fromkeys(visible(one["name"]) for one in found["never_used"]))
        more = ", …: holdfast --json has all" if len(names) > _MOST_UNUSED else ""
        line = f"{number} never used, as far as is recorded: {', '.join(names[:_MOST_UNUSED])}{more}"
        out.print()
        out.print(terminal.cell(line, 400))
