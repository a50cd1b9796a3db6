"""The definitions that count in a working directory. What was read of a file is kept until the file changes."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.definitions import reading, roots, tiers, tools, validate
from holdfast.definitions.cache import Cache
from holdfast.definitions.parse import SUFFIXES, parse
from holdfast.errors import NotFound
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from datetime import date

    from holdfast.definitions.parse import Parsed
    from holdfast.definitions.reading import File, State
    from holdfast.definitions.roots import Root
    from holdfast.definitions.tiers import Definition, Place
    from holdfast.definitions.tools import Tool
    from holdfast.definitions.validate import Verdict
    from holdfast.settings import Settings

_KEPT_BYTES = 2_700  # of memory for what is kept of any file, without what it says (measured)
_MOST_NEAR, _NAME_CHARS = 5, 80  # that a message names, and of a name
_FINE_TICK_NS, _COARSE_TICK_NS = (
    50_000_000,
    2_000_000_000,
)  # two changes within one cannot be told by a file's times


@dataclass(frozen=True, slots=True)
class Found:
    """What counts in a working directory.

    Attributes:
        cwd: the directory.
        roots: every root, the strongest first within a tool.
        definitions: by tool and name.
        unreadable: what could not be looked at (path, why).
    """

    cwd: str
    roots: tuple[Root, ...]
    definitions: tuple[Definition, ...]
    unreadable: tuple[tuple[str, str], ...]

    def named(self, name: str) -> list[Definition]:
        """The definitions of a name; where there is none, those that answer to it."""
        exact = [one for one in self.definitions if one.name == name]
        return exact or [
            one for one in self.definitions if any(name in each.place.aliases for each in one.order)
        ]

    def the(self, name: str) -> list[Definition]:
        """The same, of at least one; a name is never taken for a path.

        Raises:
            NotFound: there is none.
        """
        if out := self.named(name):
            return out
        near = ", ".join(self.near(name)[:_MOST_NEAR])
        hint = f"there is {near}" if near else "`holdfast definitions` lists them"
        shown = name if len(name) <= _NAME_CHARS else name[:_NAME_CHARS] + "…"
        raise NotFound(f"no definition is called {shown!r}, seen from {printable_path(self.cwd)}", hint=hint)

    def also_called(self, name: str) -> list[str]:
        """Definitions of another name that have this one as an alias."""
        return [one.name for one in self.definitions if one.name != name and name in one.shown.aliases]

    def near(self, name: str) -> list[str]:
        """Names that may have been meant."""
        wanted = tiers.folded(name)
        names = dict.fromkeys(one.name for one in self.definitions)
        return [known for known in names if tiers.folded(known) == wanted] or [
            known
            for known in names
            if wanted and (wanted in tiers.folded(known) or tiers.folded(known) in wanted)
        ]


@dataclass(frozen=True, slots=True)
class _Kept:
    state: State
    parsed: Parsed | None
    sha256: str | None
    verdict: Verdict


class Registry:
    """Resolves definitions again and again; only what changed is read again. Any thread may use it.

    Args:
        cache: where it keeps what it read, under the names of the definitions.
    """

    def __init__(self, settings: Settings, user_home: str, cache: Cache | None = None) -> None:
        self._settings, self._user_home = settings, user_home
        self._cache = Cache() if cache is None else cache

    def look(self, cwd: str, today: date) -> Found:
        """What counts in a working directory.

        Args:
            cwd: an absolute path.
            today: by which each tool's order of tiers is chosen.

        Raises:
            SettingError: `definition_roots` names what it may not.
        """
        self._cache.round()
        where = roots.find(self._settings, cwd, self._user_home, today)
        places: dict[tuple[str, str], Place] = {}
        unreadable = list(where.unreadable)
        unseen = []
        for root in where.found:
            tool = tools.TOOLS[root.tool]
            listed = reading.files(root, tool)
            unreadable += listed.unreadable
            if not listed.is_whole:
                unseen.append(root)
            for file in listed.files:
                if before := places.get((tool.name, file.real)):
                    places[tool.name, file.real] = replace(before, also_at=(*before.also_at, file.path))
                elif not _is_readme(place := self._place(file, tool)):
                    places[tool.name, file.real] = place
        found = tiers.resolve(places.values(), tiers.Aside(unseen, where.declared))
        return Found(cwd, tuple(where.found), tuple(found), tuple(unreadable))

    def _place(self, file: File, tool: Tool) -> Place:
        return _named(file, self._read(file, tool), tool)

    def _read(self, file: File, tool: Tool) -> _Kept:
        if file.state is None or file.problem is not None:
            return _read(file, tool)
        key = ("file", tool.name, file.path, file.real, file.root.plugin is not None)
        kept: _Kept | None = self._cache.get(key)
        if kept is None or kept.state != file.state:
            since = self._cache.invalidations
            kept = _read(file, tool)
            if is_settled(file.state):
                body = kept.parsed.body if kept.parsed else ""
                size_bytes = _KEPT_BYTES + file.state.size_bytes + sys.getsizeof(body)
                self._cache.put(key, _named(file, kept, tool).name, kept, size_bytes, since=since)
            else:
                self._cache.drop(key)
        return kept


def is_settled(state: State) -> bool:
    """Whether another change of the file would change its times: not so shortly after the last one, or where they count seconds."""
    tick_ns = _FINE_TICK_NS if state.ctime_ns % 1_000_000_000 else _COARSE_TICK_NS
    return time.time_ns() - max(state.ctime_ns, state.mtime_ns) > tick_ns


def _read(file: File, tool: Tool) -> _Kept:
    problem = file.problem
    if problem is None:
        try:
            return _judged(file, tool, reading.content(file.path))
        except OSError as exc:
            problem = reading.refused(exc)
    verdict = validate.unread(problem.why, problem.hint, loads=problem.loads)
    return _Kept(file.state or reading.NO_STATE, None, None, verdict)


def _judged(file: File, tool: Tool, content: bytes) -> _Kept:
    state = file.state or reading.NO_STATE
    sha256 = hashlib.sha256(content).hexdigest()
    in_plugin = file.root.plugin is not None
    try:
        parsed = parse(content, file.suffix, tool.body_key)
        verdict = validate.judge(parsed, tool, stem=file.stem, size_bytes=len(content), in_plugin=in_plugin)
    except Exception as exc:  # noqa: BLE001 - the rim: what nobody foresaw in one file must not hide all others
        why = f"it could not be understood, which is Holdfast's fault: {type(exc).__name__}: {exc}"
        return _Kept(state, None, sha256, validate.unread(why, "report it, with the file"))
    return _Kept(state, parsed, sha256, verdict)


def place_of(file: File, tool: Tool, content: bytes) -> Place | None:
    """What a file is with this content; None: something for people to read, and no definition."""
    place = _named(file, _judged(file, tool, content), tool)
    return None if _is_readme(place) else place


def _named(file: File, kept: _Kept, tool: Tool) -> Place:
    own = kept.parsed.name if kept.parsed else None
    plain = own or printable_path(file.stem)
    named_by = "name" if own else "file"
    aliases = kept.parsed.aliases if kept.parsed and tool.named_by_file else ()
    name = plain
    if file.root.plugin is not None:
        between = printable_path(file.inner).split("/")[:-1]
        name, aliases = ":".join((file.root.plugin, *between, plain)), (*aliases, plain)
    return tiers.Place(file, name, named_by, aliases, kept.parsed, kept.sha256, kept.verdict)


def _is_readme(place: Place) -> bool:
    """Whether a file is there to be read by people: such lie beside definitions."""
    return place.file.stem.casefold() == "readme" and place.parsed is not None and not place.parsed.fields


def of_file(path: str, tool: Tool | None = None) -> Place:
    """One file, wherever it lies, judged by itself.

    Args:
        path: of the file.
        tool: whose definition it is to be; None: by its suffix, `.md` Claude Code's, `.toml` Codex's.

    Raises:
        OSError: it cannot be read.
    """
    name, suffix = os.path.basename(path), os.path.splitext(path)[1]  # noqa: PTH119, PTH122 - text, whatever bytes it has
    by_suffix = {".md": tools.CLAUDE, ".toml": tools.CODEX}.get(suffix.lower(), tools.CUSTOM)
    chosen = tools.TOOLS[by_suffix] if tool is None else tool
    about = os.stat(path)  # noqa: PTH116
    real = os.path.realpath(path)
    root = roots.alone(chosen.name, real)
    state, problem = reading.state_of(about), reading.problem_of(about)
    file = reading.File(root, path, real, name, suffix, 0, state, problem)
    return _named(file, _read(file, chosen), chosen)


def is_file_of_ours(name: str) -> bool:
    """Whether a word that names no definition can be a file's: one with a suffix of definitions that is there."""
    return name.lower().endswith(SUFFIXES) and "\0" not in name and os.path.isfile(name)  # noqa: PTH113
