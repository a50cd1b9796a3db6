"""Where definitions may lie, seen from a working directory: the one place that knows which directory counts in which tier.

Claude Code: `.claude/agents` of the working directory and of each one above it up to the repository's root, the nearest first (documented since
2.1.178); in a linked worktree the main worktree's too; outside a repository, and in which order the main worktree's counts, is not documented. Of
plugins those that are installed (`plugins/installed_plugins.json`) and enabled (`enabledPlugins` of the settings).
Codex: `.codex/agents` of the same directories, where the project is trusted (`projects` in config.toml); the user's; those of /etc/codex.

A directory that is reached in two ways is one root, in the stronger tier; which one that is, its real path says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast.definitions import plain_data, tools
from holdfast.definitions.parse import MOST_BYTES
from holdfast.errors import SettingError
from holdfast.plain_files import content_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from holdfast.settings import Settings

CODEX_SYSTEM: Final = "/etc/codex"
_MOST_ABOVE = 64  # directories above the working directory
_MOST_SETTINGS_BYTES = 8 * 1024 * 1024
_MOST_GIT_BYTES = 1024 * 1024  # of a file `.git`, as git has it
_READ_ONLY = frozenset({tools.MANAGED, tools.PLUGIN, tools.SYSTEM})
_OWN_TIERS = (tools.PROJECT, tools.USER, tools.SYSTEM)


@dataclass(frozen=True, slots=True)
class Root:
    """A directory that may hold definitions of one tool in one tier.

    Attributes:
        path: as it is reached; bytes that are no UTF-8 as surrogate escapes.
        real: the same without links.
        rank: the stronger of two has the lesser one: its tier's, then its own within the tier.
        exists: whether it is there, and is a directory.
        writable: whether a definition may be put there.
        why: why it counts.
        counts: False: its tool passes it over; None: that is not known.
        plugin: the plugin's name, with which its agents' names begin.
        also: other tiers in which it is reached.
    """

    tool: str
    tier: str
    path: str
    real: str
    rank: tuple[int, int]
    exists: bool
    writable: bool
    why: str
    counts: bool | None = True
    plugin: str | None = None
    also: tuple[str, ...] = ()


@dataclass(slots=True)
class Roots:
    """What counts for a working directory.

    Attributes:
        found: every root, the strongest first within a tool.
        unreadable: what could not be learnt (path, why).
        declared: names of roles that a config.toml of Codex declares, and which one does.
    """

    found: list[Root] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    declared: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Around:
    """A working directory, and what lies around it."""

    directories: tuple[str, ...]  # from the working directory up to the repository's root
    repository: str | None
    main_worktree: str | None  # of a linked worktree


def around(cwd: str, user_home: str) -> Around:
    """Look from a working directory upwards, both paths without links.

    Without a repository, no directory above counts that is the user's home or that the home lies in.
    """
    above: list[str] = []
    at = cwd
    while len(above) < _MOST_ABOVE:
        above.append(at)
        if os.path.lexists(os.path.join(at, ".git")):  # noqa: PTH118 - paths here are text, whatever bytes they have
            return Around(tuple(above), at, _main_worktree(at))
        parent = os.path.dirname(at)  # noqa: PTH120
        if parent == at:
            break
        at = parent
    inside = [path for path in above if path == cwd or not f"{user_home}/".startswith(f"{path.rstrip('/')}/")]
    return Around(tuple(inside), None, None)


def _main_worktree(root: str) -> str | None:
    """Of a linked worktree the one that it belongs to, by git's own files (gitrepository-layout(5)); None: it is none."""
    said = _first_line(f"{root}/.git")
    if said is None or not said.startswith("gitdir: "):
        return None
    git_dir = os.path.join(root, said.removeprefix("gitdir: "))  # noqa: PTH118
    common = _first_line(f"{git_dir}/commondir")
    if common is None:
        return None
    common = os.path.realpath(os.path.join(git_dir, common))  # noqa: PTH118
    main, name = os.path.split(common)
    return main if name == ".git" and main != os.path.realpath(root) else None


def _first_line(path: str) -> str | None:
    """The first line of one of git's small files; None: it is no such file."""
    try:
        said = content_of(path, _MOST_GIT_BYTES).partition(b"\n")[0]
    except OSError:
        return None
    return None if b"\0" in said else os.fsdecode(said)


def find(settings: Settings, cwd: str, user_home: str, today: date) -> Roots:
    """Every root that counts for a working directory.

    Args:
        settings: where the tools keep their files, and roots of the user's own.
        cwd: an absolute path.
        user_home: the user's home directory.
        today: by which the order of tiers is chosen.

    Raises:
        SettingError: `definition_roots` names what it may not.
    """
    out = Roots()
    real_home = os.path.realpath(user_home)
    here = around(os.path.realpath(cwd), real_home)
    candidates = [
        *_claude(settings, here, out),
        *_codex(settings, here, out),
        *_own(settings, here, user_home),
    ]
    numbered: dict[tuple[str, str], int] = {}
    ranked = []
    for one in candidates:
        order = tools.TOOLS[one.tool].tiers(today)
        within = numbered[one.tool, one.tier] = numbered.get((one.tool, one.tier), -1) + 1
        ranked.append(replace(one, rank=(order.index(one.tier), within)))
    ranked.sort(key=lambda one: (list(tools.TOOLS).index(one.tool), one.rank))
    users = {
        (
            one.tool,
            real_home + one.path[len(user_home) :] if one.path.startswith(f"{user_home}/") else one.path,
        )
        for one in ranked
        if one.tier == tools.USER
    }
    out.found = _each_once(ranked, users)
    return out


def _each_once(ranked: list[Root], users: set[tuple[str, str]]) -> list[Root]:
    """Each root once; `users`: where the user's own lie (tool, path), with the user's home as it is without links."""
    kept: dict[tuple[str, str], Root] = {}
    for one in ranked:
        if one.tier == tools.PROJECT and (one.tool, one.path) in users:
            continue  # the user's own directory is no project's, though it lies above the working directory
        key = (one.tool, one.real)
        before = kept.setdefault(key, one)
        if before is not one and one.tier not in (before.tier, *before.also):
            kept[key] = replace(before, also=(*before.also, one.tier))
    return list(kept.values())


def _root(tool: str, tier: str, path: str, why: str, **more: Any) -> Root:  # noqa: ANN401 - fields of Root
    read_only = more.pop("read_only", tier in _READ_ONLY)
    return Root(
        tool,
        tier,
        path,
        os.path.realpath(path),
        (0, 0),
        exists=os.path.isdir(path),  # noqa: PTH112
        writable=not read_only and may_write(path),
        why=why,
        **more,
    )


def alone(tool: str, real: str) -> Root:
    """A root for a file that is looked at by itself."""
    directory = os.path.dirname(real)  # noqa: PTH120
    return Root(
        tool, tools.PROJECT, directory, directory, (0, 0), exists=True, writable=False, why="named by you"
    )


def may_write(path: str) -> bool:
    """Whether a file may be put into a directory, which may have to be made first."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)  # noqa: PTH120
    return os.access(path, os.W_OK | os.X_OK)


def _project(tool: str, here: Around, inner: str, **more: Any) -> Iterator[Root]:  # noqa: ANN401
    for number, directory in enumerate(here.directories):
        near = "the working directory" if number == 0 else "above the working directory"
        if number and here.repository is None and tool == tools.CLAUDE:
            near += ", in no repository: that it counts is not documented"
            more |= {"counts": None}
        yield _root(tool, tools.PROJECT, f"{directory.rstrip('/')}/{inner}", near, **more)
    if here.main_worktree:
        why = "of the repository's main worktree"
        yield _root(tool, tools.PROJECT, f"{here.main_worktree}/{inner}", why, **more)


# ── Claude Code ──


def _claude(settings: Settings, here: Around, out: Roots) -> Iterator[Root]:
    managed = f"{settings.claude_managed_dir}/.claude/agents"
    yield _root(tools.CLAUDE, tools.MANAGED, managed, "what an organisation manages")
    yield from _project(tools.CLAUDE, here, ".claude/agents")
    yield _root(tools.CLAUDE, tools.USER, f"{settings.claude_config_dir}/agents", "your own, in all projects")
    yield from _plugins(settings, here, out)


def _plugins(settings: Settings, here: Around, out: Roots) -> Iterator[Root]:
    installed = _object(
        _read_json(f"{settings.claude_config_dir}/plugins/installed_plugins.json", out), "plugins"
    )
    if not installed:
        return
    enabled = _enabled_plugins(settings, here, out)
    for name, entries in sorted(installed.items()):
        directory = _installed_at(entries, here)
        if directory is None or enabled.get(name) is not True:
            continue
        manifest = _read_json(f"{directory}/.claude-plugin/plugin.json", out)
        called = manifest.get("name")
        plugin = called if isinstance(called, str) and called else name.partition("@")[0]
        for path in _agents_of(directory, manifest):
            yield _root(tools.CLAUDE, tools.PLUGIN, path, f"of plugin {name}", plugin=plugin)


def _installed_at(entries: object, here: Around) -> str | None:
    """Where a plugin lies, by what is installed for this project or for the user. Version 1 of the file has one entry, version 2 a list."""
    places = {*here.directories, here.main_worktree}
    for entry in entries if isinstance(entries, list) else [entries]:
        if (
            isinstance(entry, dict)
            and isinstance(path := entry.get("installPath"), str)
            and path.startswith("/")
            and "\0" not in path
        ):
            project = entry.get("projectPath")
            if project is None or project in places:
                return path
    return None


def _agents_of(directory: str, manifest: dict[str, Any]) -> list[str]:
    """A plugin's directories of agents: `agents`, and what its manifest names, as far as that lies inside it."""
    named = manifest.get("agents")
    more = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    real = os.path.realpath(directory)
    out = [f"{directory}/agents"]
    for inner in more:
        path = (
            os.path.normpath(f"{directory}/{inner}")
            if isinstance(inner, str) and "\0" not in inner
            else directory
        )
        if os.path.realpath(path).startswith(f"{real}/") and os.path.isdir(path) and path not in out:  # noqa: PTH112
            out.append(path)
    return out


def _enabled_plugins(settings: Settings, here: Around, out: Roots) -> dict[str, Any]:
    """Which plugins are switched on: managed settings win over local ones of the project, those over the project's, those over the user's."""
    projects = [
        directory
        for directory in reversed(here.directories)
        if directory != os.path.realpath(settings.claude_config_dir.parent)
    ]
    paths = [f"{settings.claude_config_dir}/settings.json"]
    paths += [f"{directory}/.claude/settings.json" for directory in projects]
    paths += [f"{directory}/.claude/settings.local.json" for directory in projects]
    paths.append(f"{settings.claude_managed_dir}/managed-settings.json")
    enabled: dict[str, Any] = {}
    for path in paths:
        enabled |= _object(_read_json(path, out), "enabledPlugins")
    return enabled


def _read_json(path: str, out: Roots) -> dict[str, Any]:
    """A tool's own file; {} where there is none, or it cannot be understood, which is told."""
    try:
        found = msgspec.json.decode(content_of(path, _MOST_SETTINGS_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        out.unreadable.append((path, f"cannot be read, so what it says does not count here: {_reason(exc)}"))
        return {}
    return found if isinstance(found, dict) else {}


def _reason(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)


def _object(told: dict[str, Any], key: str) -> dict[str, Any]:
    found = told.get(key)
    return found if isinstance(found, dict) else {}


# ── Codex ──


def _codex(settings: Settings, here: Around, out: Roots) -> Iterator[Root]:
    mine = f"{settings.codex_home}/config.toml"
    config = _read_toml(mine, out, "whether Codex trusts this project and which roles it declares")
    counts, why = _trust(config, here)
    project = here if here.repository else replace(here, directories=here.directories[:1])
    for root in _project(tools.CODEX, project, ".codex/agents"):
        yield replace(root, counts=counts, why=f"{root.why}; {why}" if why else root.why)
    yield _root(tools.CODEX, tools.USER, f"{settings.codex_home}/agents", "your own, in all projects")
    yield _root(tools.CODEX, tools.SYSTEM, f"{CODEX_SYSTEM}/agents", "of this machine")
    theirs = [f"{directory}/.codex/config.toml" for directory in project.directories if counts is not False]
    others = {
        path: _read_toml(path, out, "which roles it declares")
        for path in (*theirs, f"{CODEX_SYSTEM}/config.toml")
    }
    for path, said in ({mine: config} | others).items():
        for name, role in _object(said, "agents").items():
            if isinstance(role, dict):  # others are settings
                out.declared.setdefault(name, path)


def _read_toml(path: str, out: Roots, unknown: str) -> dict[str, Any]:
    """A config.toml; {} where there is none, or it cannot be understood, which is told with what is unknown therefore."""
    try:
        read = plain_data.toml(content_of(path, MOST_BYTES).decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        why = _reason(exc)
    else:
        if read.fields is not None:
            return {key: one.value for key, one in read.fields.items()}
        why = read.findings[0].text
    out.unreadable.append((path, f"cannot be read, so {unknown} is not known: {why}"))
    return {}


def _trust(config: dict[str, Any], here: Around) -> tuple[bool | None, str]:
    """Whether Codex reads what the project says: where it trusts it."""
    projects = _object(config, "projects")
    for directory in (here.directories[0], here.repository, here.main_worktree):
        level = _object(projects, directory).get("trust_level") if directory else None
        if isinstance(level, str) and level in {"trusted", "untrusted"}:
            return (
                level == "trusted",
                "" if level == "trusted" else "Codex does not trust this project, so it passes it over",
            )
    return None, "counts once Codex trusts this project"


# ── roots of the user's own ──


def _own(settings: Settings, here: Around, user_home: str) -> Iterator[Root]:
    for name, words in settings.definition_roots.items():
        path, tier, tool, read_only = _understood(settings, name, words)
        why = f"definition_roots.{name}"
        if path.startswith(("/", "~")):
            whole = user_home + path[1:] if path.startswith("~") else path
            yield _root(tool, tier, whole, why, read_only=read_only)
            continue
        for root in _project(tool, here, path, read_only=read_only):
            yield replace(root, tier=tier, why=f"{why}, {root.why}")


def _understood(settings: Settings, name: str, words: list[str]) -> tuple[str, str, str, bool]:
    """Path, tier, tool and whether nothing may be written there."""
    path, *others = words
    tier = [word for word in others if word in _OWN_TIERS]
    tool = [word for word in others if word in tools.TOOLS]
    wrong = [word for word in others if word not in {*_OWN_TIERS, *tools.TOOLS, "read-only"}]
    why = f"{wrong[0]!r} is no tier, no tool, and not `read-only`" if wrong else ""
    if len(tier) != 1 or len(tool) > 1:
        why = why or f"it takes one of {', '.join(_OWN_TIERS)}, and at most one of {', '.join(tools.TOOLS)}"
    elif tool and tier[0] not in tools.TOOLS[tool[0]].tiers(tools.LATEST):
        why = why or f"{tools.TOOLS[tool[0]].title} has no tier {tier[0]}"
    if path.startswith("~") and not path.startswith("~/"):
        why = why or "only `~/` stands for a home directory"
    if why:
        raise SettingError(f"definition_roots.{name}", words, settings.origin("definition_roots"), why)
    return path, tier[0], tool[0] if tool else tools.CUSTOM, "read-only" in others
