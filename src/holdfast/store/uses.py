"""Agents as uses of definitions: under which name each ran, from where and when, and what it did that its definition may not allow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast.store.statements import statements
from holdfast.store.workspaces import Moves

if TYPE_CHECKING:
    import apsw

_SQL = statements("uses")
_AGENTS_OPTION = "--agents"
_LEFT_WITHIN_US = (
    10_000_000  # two hooks of one process, which tell that it left a session and went on with another
)
_CUT = "…"  # stands where the rest of a long text was left out
_KEEP_A_PART = frozenset({"claude", "codex"})
_COMMANDS = frozenset(  # tools whose text is all of their input
    {"Bash", "PowerShell", "apply_patch", "exec", "exec_command", "local_shell", "shell"}
)


class Use(NamedTuple):
    """An agent that ran under a definition's name.

    Attributes:
        session_id: of the store; `session` is its native id.
        source: of the session.
        cwd: where it was started, as that directory is called today.
        session_us: its first record with a time, in a fork the first that is not copied; `started_us`, `last_us` are the agent's.
        built_in: what its tool says of that; None: nothing.
        told: SHA-256 of the text that it was given, as whoever started it says.
        models: that answered it; where no answer is recorded, what was said of it.
        is_named: whether the name was told; else it is the one that its tool takes then.
    """

    session_id: int
    session: str
    source: str
    cwd: str | None
    session_us: int | None
    agent: str
    name: str
    built_in: bool | None
    told: str | None
    models: tuple[str, ...]
    started_us: int | None
    last_us: int | None
    is_named: bool = True


def of_session(db: apsw.Connection, session: int) -> list[Use]:
    """Those of a session: agents whose type is known, and a main agent that was started under a name."""
    return _uses(db, "uses_of_session", {"session_id": session})


def of_name(db: apsw.Connection, name: str) -> list[Use]:
    """Those of a name, in any session."""
    return _uses(db, "uses_of_name", {"name": name})


def _uses(db: apsw.Connection, statement: str, values: dict[str, Any]) -> list[Use]:
    moves, places = Moves.of(db), {}
    out = []
    for one in (Use(*row) for row in db.execute(_SQL[statement], values)):
        if not one.name:
            continue
        if one.session_id not in places:
            places[one.session_id] = db.execute(
                _SQL["places_of_session"], {"session_id": one.session_id}
            ).fetchall()
        out.append(_read(one)._replace(cwd=_place(one, places[one.session_id], moves)))
    return out


def _read(row: Use) -> Use:
    models = tuple(sorted(model for model in json.loads(str(row.models)) if model is not None))
    return row._replace(
        built_in=None if row.built_in is None else bool(row.built_in),
        models=models,
        is_named=bool(row.is_named),
    )


def _place(use: Use, places: list[Any], moves: Moves) -> str | None:
    """Where the session was when an agent started, as that directory is called today."""
    before = [place for place in places[1:] if use.started_us is not None and place[0] <= use.started_us]
    at_us, cwd = (before or places[:1] or [(0, None)])[-1]
    return moves.now(cwd, at_us)


def last(db: apsw.Connection) -> list[tuple[str, str, str | None, int | None]]:
    """(source, name, directory) of agents, and when one of them started last; None: not known."""
    return list(db.execute(_SQL["uses_last"]))


def names_of_main(db: apsw.Connection, session: int) -> list[str]:
    """Under which names the main agent of a session was started, one after the other."""
    return [name for (name,) in db.execute(_SQL["names_of_main"], {"session_id": session})]


def hosts(db: apsw.Connection, session: int) -> list[str]:
    """On which hosts processes of a session ran, as far as that is recorded."""
    return [host for (host,) in db.execute(_SQL["hosts_of_session"], {"session_id": session})]


def transcripts(db: apsw.Connection, session: int) -> list[str]:
    """Paths of the files that told of a session, those of its main agent first."""
    return [path for (path,) in db.execute(_SQL["transcripts_of_session"], {"session_id": session})]


def lying(db: apsw.Connection) -> list[tuple[str, str, str | None, str | None, str]]:
    """(tool, name, tier, root, path) of every file of a definition that lies somewhere, as it was recorded last."""
    return list(db.execute(_SQL["definitions_lying"]))


def names_in_plugins(db: apsw.Connection) -> dict[str, list[str]]:
    """What agents of plugins are called, by the plain name that they answer to."""
    out: dict[str, list[str]] = {}
    for (name,) in db.execute(_SQL["names_in_plugins"]):
        out.setdefault(name.rpartition(":")[2], []).append(name)
    return out


class Life(NamedTuple):
    """When a process went on with a session: when it began or not before that (`process`), or when a hook told of it (`resume`, `clear`)."""

    us: int
    sign: str


def lives(db: apsw.Connection, session: int) -> list[Life]:
    """Processes of a session as far as they are known, in their order."""
    return [Life(*row) for row in db.execute(_SQL["lives"], {"session_id": session})]


def left_for(db: apsw.Connection, session: int, at_us: int) -> tuple[int, int | None] | None:
    """The session that a process left at a moment to go on with this one, and its first record; None: none is known, or several may be it."""
    values = {"session_id": session, "at_us": at_us, "slack_us": _LEFT_WITHIN_US}
    found: list[Any] = db.execute(_SQL["left_for"], values).fetchall()
    return found[0] if len(found) == 1 else None


class Given(NamedTuple):
    """A definition that a session was given in its call (`--agents`), as JSON text, and the life that it was given to; `until_us` None: no end is known."""

    text: str
    from_us: int
    until_us: int | None


def given(db: apsw.Connection, session: int) -> dict[str, list[Given]]:
    """What a session was given in its calls, by name; of a session that Holdfast started."""
    out: dict[str, list[Given]] = {}
    for from_us, until_us, data in db.execute(_SQL["calls_of_session"], {"session_id": session}):
        argv = msgspec.json.decode(data).get("argv")
        for text in _values(
            [word for word in argv if isinstance(word, str)] if isinstance(argv, list) else []
        ):
            for name, what in _definitions(text).items():
                out.setdefault(name, []).append(Given(what, from_us, until_us))
    return out


def _values(argv: list[str]) -> list[str]:
    """What stands behind `--agents`."""
    behind = [argv[place + 1] for place, word in enumerate(argv[:-1]) if word == _AGENTS_OPTION]
    return behind + [word.partition("=")[2] for word in argv if word.startswith(f"{_AGENTS_OPTION}=")]


def _definitions(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # it was cut, or is none
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        str(name): json.dumps(what, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        for name, what in found.items()
        if isinstance(what, dict)
    }


def tools_used(db: apsw.Connection, session: int, agent: str) -> set[str]:
    """Tools of which an agent completed a call."""
    return {name for (name,) in db.execute(_SQL["tools_used"], {"session_id": session, "agent": agent})}


class Work(NamedTuple):
    """What an agent's calls say of a run: how many were tried again, and whether one was denied, or a judgement says it was blocked."""

    retries: int
    blocked: bool


def work(db: apsw.Connection, use: Use) -> Work:
    """Of one run. A call is tried again where one of the same tool with the same input had failed last, or a link says so."""
    who = {"session_id": use.session_id, "agent": use.agent}
    failed: set[tuple[str, str]] = set()
    retries, blocked = 0, False
    for name, text, status, linked in db.execute(_SQL["calls_of_agent"], who):
        call = (name, text) if _is_whole(use.source, name, text) else None
        retries += bool(linked) or call in failed
        blocked = blocked or status == "cancelled"
        if call is not None and status == "failed":
            failed.add(call)
        elif call is not None and status == "completed":
            failed.discard(call)
    return Work(retries, blocked or bool(db.execute(_SQL["judged_blocked"], who).fetchone()))


def _is_whole(source: str, name: str | None, text: str | None) -> bool:
    """Whether what is kept of a call's input is all of it: of most tools of Claude Code and Codex that is what tells a person most."""
    if name is None or text is None or text.endswith(_CUT):
        return False
    return source not in _KEEP_A_PART or name in _COMMANDS or (text.startswith('{"') and text.endswith("}"))
