"""What is changed of a launch so that a process, its tool's session and its spans are one. Pure: it reads nothing and asks nobody.

Only what joins them is added; every word that a person gave stays as it is, and where words contradict each other the tool says so.
Facts used here, each seen on Claude Code 2.1.330 and Codex 0.169.0:

- `claude --session-id UUID` begins a session of that id, and fails where there is one. With `--resume` or `--continue` it wants
  `--fork-session` too. `--resume` goes on in the same session; what it is given may be a title, and none means a list to pick from.
- `claude --settings` takes JSON or a file. Given twice, only the last counts. Its hooks are run beside those of the user's and the
  project's files, and one that is the same in both is run once. What rules call "/x" lies below the directory of the file that says so.
- A hook of SessionStart is told the id of the session as `session_id`, on one line of JSON.
- Codex chooses the ids of its threads itself. `codex exec` writes it first: `{"type":"thread.started","thread_id":…}` with `--json`,
  else a line "session id: …". As long as a process writes a thread, it holds that thread's lock.
- Both adopt TRACEPARENT, and hand their environment on to what they run.
"""

from __future__ import annotations

import json
import re
import shlex
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from holdfast.ids import derived

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

AGENT: Final = "HOLDFAST_AGENT"  # in the environment of an agent, and so of what it starts: its id
TRACE: Final = "TRACEPARENT"
LOG_HEAD_BYTES: Final = 64 << 10  # of an agent's output, in which its tool names its session
_IS_AGENT = re.compile(r"[0-9a-f]{12}\Z")
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_IS_UUID = re.compile(_UUID + r"\Z")
_THREAD = re.compile(
    rb'^\{"type":"thread\.started","thread_id":"(' + _UUID.encode() + rb')"[,}]', re.MULTILINE
)
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_BANNER = re.compile(rb"^session id: (" + _UUID.encode() + rb")\r?$", re.MULTILINE)

# Words of Claude Code that begin no session of this process, or one of a place of its own.
_CLAUDE_COMMANDS: Final = frozenset(
    {
        "agents", "attach", "auth", "auto-mode", "config", "doctor", "gateway", "import", "install", "logs", "mcp", "migrate-installer",
        "plugin", "plugins", "purge", "respawn", "rm", "setup-token", "stop", "kill", "ultrareview", "update", "upgrade",
    }
)  # fmt: skip
_CLAUDE_ASIDE: Final = frozenset(
    {"-h", "--help", "-v", "--version", "--bg", "--background", "--cloud", "--desktop", "--teleport"}
)
_CLAUDE_FLAGS: Final = "pchv"  # letters that may stand together and take no value
_CLAUDE_RESUMES: Final = frozenset({"-r", "--resume", "-c", "--continue", "--from-pr"})
_CLAUDE_SOURCES: Final = frozenset({"--setting-sources", "--restricted"})  # leave files of settings out
_CODEX_COMMANDS: Final = frozenset(
    {
        "agents", "login", "logout", "mcp", "plugin", "app-server", "remote-control", "completion", "update", "doctor", "sandbox", "debug",
        "apply", "a", "queue", "archive", "delete", "migrate-rollouts", "migrate-nfs-db", "unarchive", "cloud", "exec-server", "features",
        "help", "-h", "--help", "-V", "--version",
    }
)  # fmt: skip


class Asked(NamedTuple):
    """A launch as it is asked for.

    Attributes:
        agent: the agent's id.
        attempt: which life of it this is, from 1.
        argv: the words, the program first.
        environment: all that the process would be given.
        programs: what each tool is called here, by "claude" and "codex": a name or a path.
        hooks: what our hooks add to settings of Claude Code, as its member `hooks` has it.
        installed: the events of these that files of settings hold already.
        files: a directory that is this launch's own.
        own_settings: what the file holds that `settings_file` names; None: there is none, or it cannot be read.
    """

    agent: str
    attempt: int
    argv: Sequence[str]
    environment: Mapping[str, str]
    programs: Mapping[str, str]
    hooks: Mapping[str, list[Any]]
    files: PurePath
    installed: Collection[str] = ()
    own_settings: bytes | None = None


class Prepared(NamedTuple):
    """What is started.

    Attributes:
        argv: the words.
        environment: what is added to the environment.
        tool: "claude", "codex", or None: a command like any other.
        session: the key of the session that it will work in; None: it cannot be known beforehand.
        files: what is to lie in the launch's own directory before it starts, by name. They may hold what a person keeps secret.
        notes: what could not be done, in words.
    """

    argv: list[str]
    environment: dict[str, str]
    tool: str | None
    session: str | None
    files: dict[str, bytes]
    notes: list[str]


def prepare(asked: Asked) -> Prepared:
    """What is started for a launch."""
    environment = _joined(asked)
    tool = tool_of(asked.argv, asked.programs)
    if tool == "claude":
        return _claude(asked, environment)
    session = _codex_session(asked.argv[1:]) if tool == "codex" else None
    return Prepared(list(asked.argv), environment, tool, session, {}, [])


def tool_of(argv: Sequence[str], programs: Mapping[str, str]) -> str | None:
    """Which tool a command begins a session of; None: of none that is known here."""
    program = argv[0] if argv else ""
    for tool, aside in (("claude", _CLAUDE_COMMANDS), ("codex", _CODEX_COMMANDS)):
        named = programs.get(tool, tool)
        if program == named or PurePath(program).name in {tool, PurePath(named).name}:
            return None if _command_of(argv[1:]) in aside else tool
    return None


def _command_of(words: Sequence[str]) -> str:
    """The first word; a tool's command stands there, or behind options whose number only the tool knows."""
    return words[0] if words else ""


def session_of(launched: str, agent: str, attempt: int) -> str:
    """The key of the session of one life, given that of the first: each has its own where we chose it."""
    return _chosen(agent, attempt) if launched == _chosen(agent, 1) else launched


def _chosen(agent: str, attempt: int) -> str:
    return f"claude:{derived('session of agent', agent, str(attempt))}"


def parent_of(environment: Mapping[str, str]) -> str | None:
    """Which supervised agent this process was started by, as its environment says; None: by none."""
    found = environment.get(AGENT, "")
    return found if _IS_AGENT.match(found) else None


# ── spans ──


def trace_id(agent: str) -> str:
    """The trace that spans of an agent's tool belong to, as W3C trace context writes it."""
    return sha256(f"holdfast agent {agent}".encode()).hexdigest()[:32]


def _traceparent(agent: str) -> str:
    return f"00-{trace_id(agent)}-{sha256(f'holdfast span {agent}'.encode()).hexdigest()[:16]}-01"


def _joined(asked: Asked) -> dict[str, str]:
    """What every agent finds in its environment. A trace that somebody else began goes on; one of the agent above is that one's own."""
    out = {AGENT: asked.agent}
    above = parent_of(asked.environment)
    given = asked.environment.get(TRACE)
    if not given or (above is not None and given == _traceparent(above)):
        out[TRACE] = _traceparent(asked.agent)
    return out


# ── Claude Code ──


class _Option(NamedTuple):
    """One option among words: its name, its value if it has one, and the places of the words that say so."""

    name: str
    value: str | None
    at: int
    until: int


def _claude(asked: Asked, environment: dict[str, str]) -> Prepared:
    program, *words = asked.argv
    options = list(_options(words))
    named = {option.name for option in options}
    if named & _CLAUDE_ASIDE:
        return Prepared(list(asked.argv), environment, "claude", None, {}, [])
    added: list[str] = []
    session = _claude_session(options)
    if session is None and "--session-id" not in named and _begins(named):
        session = _chosen(asked.agent, asked.attempt).partition(":")[2]
        added += ["--session-id", session]
    key = None if session is None else f"claude:{session}"
    words, files, notes = _with_hooks(asked, words, options, learns=session is None)
    return Prepared([program, *added, *words], environment, "claude", key, files, notes)


def _begins(named: set[str]) -> bool:
    """Whether what is started is a session that has no id yet."""
    return not named & _CLAUDE_RESUMES or "--fork-session" in named


def _claude_session(options: list[_Option]) -> str | None:
    """The session that the words themselves name."""
    values = {option.name: option.value for option in options}
    if "--session-id" in values:
        found = values["--session-id"]
    else:
        found = None if "--fork-session" in values else values.get("--resume") or values.get("-r")
    return found if found is not None and _IS_UUID.match(found) else None


def _options(words: Sequence[str]) -> Iterator[_Option]:
    """The options among a command's words. A value is what follows a name, unless it is a name itself."""
    for at, word in enumerate(words):
        if word == "--":
            return
        if word.startswith("--"):
            name, given, value = word.partition("=")
            yield _Option(name, value, at, at + 1) if given else _valued(name, words, at)
        elif len(word) > 1 and word[0] == "-":
            yield from _letters(word, words, at)


def _letters(word: str, words: Sequence[str], at: int) -> Iterator[_Option]:
    """Options of one letter, which may stand in one word, a value behind the last."""
    for place, letter in enumerate(word[1:], 2):
        name, rest = f"-{letter}", word[place:]
        if letter in _CLAUDE_FLAGS:
            yield _Option(name, None, at, at + 1)
            continue
        yield _Option(name, rest, at, at + 1) if rest else _valued(name, words, at)
        return


def _valued(name: str, words: Sequence[str], at: int) -> _Option:
    value = words[at + 1] if at + 1 < len(words) else None
    if value is None or value.startswith("-"):
        return _Option(name, None, at, at + 1)
    return _Option(name, value, at, at + 2)


# ── hooks for one launch ──


_SETTINGS_FILE: Final = "settings.json"
SESSIONS_FILE: Final = (
    "sessions.jsonl"  # what the hook of a launch keeps whose session cannot be known beforehand
)
_ANCHORED = re.compile(r"(?:\A|\()/(?!/)")  # a place below the directory of the file that names it


def without_settings(argv: Sequence[str]) -> list[str]:
    """A command without what stands in settings that are given in it: they hold variables, which may be secret."""
    out: list[str] = []
    for word in argv:
        name, equals, value = word.partition("=")
        if out and out[-1] == "--settings" and word.lstrip().startswith("{"):
            out.append("{...}")
        elif equals and name == "--settings" and value.lstrip().startswith("{"):
            out.append("--settings={...}")
        else:
            out.append(word)
    return out


def settings_file(argv: Sequence[str]) -> str | None:
    """The file of settings that a command of Claude Code is given; None: it is given none, or JSON."""
    given = _given_settings(list(_options(argv[1:])))
    return None if given is None or given.value is None or _is_json(given.value) else given.value


def _given_settings(options: list[_Option]) -> _Option | None:
    return next((option for option in reversed(options) if option.name == "--settings"), None)


def _is_json(value: str) -> bool:
    return value.lstrip().startswith("{") and value.rstrip().endswith("}")


def _with_hooks(
    asked: Asked, words: list[str], options: list[_Option], *, learns: bool
) -> tuple[list[str], dict[str, bytes], list[str]]:
    """The words, the files and the notes of a launch whose hooks tell us what happens, and, with `learns`, which session began."""
    untouched: tuple[list[str], dict[str, bytes], list[str]] = words, {}, []
    read = not _CLAUDE_SOURCES.intersection(option.name for option in options)
    hooks = {e: groups for e, groups in asked.hooks.items() if not (read and e in asked.installed)}
    if learns:
        hooks = _merged(hooks, {"SessionStart": [{"hooks": [_tells_session(asked.files)]}]})
    given = _given_settings(options)
    if not hooks or (given is not None and given.value is None):
        return untouched
    own: dict[str, Any] = {}
    if given is not None and given.value is not None:
        in_file = not _is_json(given.value)
        found = _object(asked.own_settings if in_file else given.value)
        if found is None:
            return untouched
        if in_file and _is_anchored([found.get("permissions"), found.get("sandbox")]):
            why = "its rules name places below the directory of its file"
            return words, {}, [f"hooks are not passed: --settings {given.value} stays as it is, {why}"]
        own = found
    merged = own | {"hooks": _merged(own.get("hooks"), hooks)}
    content = json.dumps(merged, ensure_ascii=False).encode("utf-8", "surrogateescape")
    ours = ["--settings", str(asked.files / _SETTINGS_FILE)]
    at, until = (0, 0) if given is None else (given.at, given.until)
    return [*words[:at], *ours, *words[until:]], {_SETTINGS_FILE: content}, []


def _tells_session(files: PurePath) -> dict[str, Any]:
    """A hook that keeps what the tool says of each session that it begins or goes on with."""
    place = shlex.quote(str(files / SESSIONS_FILE))
    return {
        "type": "command",
        "command": f": holdfast run 1; umask 077; cat 2>/dev/null >> {place}; :",
        "timeout": 5,
    }


def sessions_in(content: bytes) -> list[str]:
    """The sessions that Claude Code said it began or went on with, in order; what is cut short tells nothing."""
    out: list[str] = []
    for line in content.splitlines():
        said = _object(line)
        session = None if said is None else said.get("session_id")
        if isinstance(session, str) and session and session not in out:
            out.append(session)
    return out


def _object(content: bytes | str | None) -> dict[str, Any] | None:
    """What settings say; None: they cannot be understood, and the tool says so itself."""
    try:
        found = None if content is None else json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("hooks", {}), dict):
        return None
    groups = found.get("hooks", {}).values()
    return found if all(isinstance(group, list) for group in groups) else None


def _is_anchored(value: object) -> bool:
    """Whether any text in it means another place where its file lies elsewhere."""
    if isinstance(value, str):
        return _ANCHORED.search(value) is not None
    if isinstance(value, dict):
        return any(_is_anchored(one) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(map(_is_anchored, value))


def _merged(own: Mapping[str, list[Any]] | None, ours: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Hooks of both; a person's own come first."""
    own = own or {}
    return {event: [*own.get(event, []), *ours.get(event, [])] for event in [*own, *ours]}


# ── Codex ──


def _codex_session(words: Sequence[str]) -> str | None:
    """The thread that a command of Codex goes on with, where its words name one by id."""
    before = list(words[: words.index("--")] if "--" in words else words)
    if "resume" not in before or "--last" in before:
        return None
    behind = before[before.index("resume") + 1 :]
    found = next((word for word in behind if _IS_UUID.match(word)), None)
    return None if found is None else f"codex:{found.lower()}"


def thread_in(log_head: bytes) -> str | None:
    """The thread that `codex exec` said that it writes, in the first bytes of its output; None: it did not, or not yet."""
    plain = _COLOUR.sub(b"", log_head)
    found = [one for one in (_THREAD.search(plain), _BANNER.search(plain)) if one is not None]
    return min(found, key=lambda one: one.start())[1].decode().lower() if found else None
