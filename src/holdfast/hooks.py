"""Install hooks: lines of shell that a tool runs at each of its events (`capture/sink.py` says what they do).

A tool's settings belong to a person. Only entries that leave what they are told in this home's inbox are added, changed or
removed; everything else keeps its value and its place. A file that cannot be understood is not touched. Before a file is changed,
what it held is kept beside it, and the new content replaces it at once or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from holdfast.capture import sink
from holdfast.errors import HooksRefused
from holdfast.journal.blobs import write_over
from holdfast.plain_files import content_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.settings import Settings

SCOPES: Final = ("user", "project", "local")
BACKUP_SUFFIX: Final = ".before-holdfast"

# Every event of Claude Code 2.1.330 but WorktreeCreate, whose output is where the worktree lies. Versions that do not know one of
# them pass over it.
EVENTS: Final = (
    "SessionStart", "SessionEnd", "Setup", "InstructionsLoaded", "ConfigChange", "CwdChanged", "DirectoryAdded", "FileChanged",
    "UserPromptSubmit", "UserPromptExpansion", "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch",
    "PermissionRequest", "PermissionDenied", "Notification", "Elicitation", "ElicitationResult", "MessageDisplay",
    "SubagentStart", "SubagentStop", "TeammateIdle", "TaskCreated", "TaskCompleted", "Stop", "StopFailure",
    "PreCompact", "PostCompact", "PreModelSwitch", "PostModelSwitch", "WorktreeRemove",
)  # fmt: skip
# Every event of Codex 0.169.0. It passes over those that it does not know.
CODEX_EVENTS: Final = (
    "SessionStart", "SessionEnd", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PermissionRequest", "PreCompact", "PostCompact",
    "SubagentStart", "SubagentStop", "Stop", "Interrupt",
)  # fmt: skip


class Tool(NamedTuple):
    """A tool that runs hooks: at which events, and after how long it ends one. Codex says so aloud of more than 3 s at some."""

    name: str
    events: tuple[str, ...]
    timeout_s: int


TOOLS: Final = {"claude": Tool("claude", EVENTS, 5), "codex": Tool("codex", CODEX_EVENTS, 3)}


class Ours(NamedTuple):
    """A hook of ours in a file: which of its event's groups, which of that group's entries."""

    event: str
    group: int
    entry: int


@dataclass(frozen=True, slots=True)
class Place:
    """A settings file of a tool, and how our hooks stand in it.

    Attributes:
        installed: events with exactly the hook of this version.
        outdated: events with one of another version of ours.
        problem: why the file cannot be understood; None when it can, or is not there.
        found: where in the file those of this version stand.
    """

    tool: str
    scope: str
    path: Path
    installed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    problem: str | None = None
    found: tuple[Ours, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Events without one of ours; none where the file cannot be understood."""
        there = (*self.installed, *self.outdated)
        return () if self.problem else tuple(e for e in TOOLS[self.tool].events if e not in there)


def settings_file(settings: Settings, tool: str, scope: str) -> Path | None:
    """Where a tool reads hooks of a scope; the project is the current directory. None: it has no such scope."""
    if tool == "codex":
        above = {"user": settings.codex_home, "project": Path.cwd() / ".codex"}.get(scope)
        return None if above is None else above / "hooks.json"
    if scope == "user":
        return settings.claude_config_dir / "settings.json"
    return Path.cwd() / ".claude" / ("settings.json" if scope == "project" else "settings.local.json")


def settings(inbox_directory: Path) -> dict[str, list[Any]]:
    """What our hooks are in settings of Claude Code, as their member `hooks`, for one launch of it."""
    entry = _entry(TOOLS["claude"], sink.line(inbox_directory, "claude"))
    return {event: [{"hooks": [entry]}] for event in EVENTS}


def _entry(tool: Tool, command: str) -> dict[str, Any]:
    return {"type": "command", "command": command, "timeout": tool.timeout_s}


def backup_of(path: str | Path) -> Path:
    """Where what a settings file held before is kept."""
    target = Path(os.path.realpath(path))
    return target.with_name(target.name + BACKUP_SUFFIX)


def tools_here(settings: Settings) -> list[str]:
    """The tools whose own directory is there."""
    homes = {"claude": settings.claude_config_dir, "codex": settings.codex_home}
    return [tool for tool, home in homes.items() if home.is_dir()]


class Hooks:
    """Our hooks in one settings file.

    Args:
        path: the file; a link stays one.
        inbox_directory: where hooks of this home leave what they are told.
        tool: whose file it is.
    """

    def __init__(self, path: Path, inbox_directory: Path, tool: str = "claude") -> None:
        self.path = path
        self._tool = TOOLS[tool]
        self._command = sink.line(inbox_directory, tool)
        self._place = shlex.quote(os.fspath(inbox_directory / tool))

    @property
    def tool(self) -> str:
        """Whose file it is."""
        return self._tool.name

    def look(self, scope: str) -> Place:
        """How they stand there."""
        try:
            _, value = self._read()
        except HooksRefused as exc:
            return Place(self._tool.name, scope, self.path, problem=str(exc))
        installed: list[str] = []
        outdated: list[str] = []
        found: list[Ours] = []
        for event, groups in _events(value).items():
            ours = [(at, entry) for *at, entry in _placed(groups) if self._is_ours(entry)]
            if [entry for _, entry in ours] == [self._entry()]:
                installed.append(event)
                found += [Ours(event, *at) for at, _ in ours]
            elif ours:
                outdated.append(event)
        return Place(self._tool.name, scope, self.path, tuple(installed), tuple(outdated), found=tuple(found))

    def install(self, *, dry_run: bool = False) -> tuple[str, ...]:
        """Add what is missing and renew what is outdated; the events that changed.

        Raises:
            HooksRefused: the file cannot be understood or written; it is as it was.
        """
        before, value = self._read()
        events = _events(value)
        changed: list[str] = []
        for event in self._tool.events:
            groups = events.get(event, [])
            if [entry for entry in _entries(groups) if self._is_ours(entry)] != [self._entry()]:
                events[event] = [*self._without(groups), {"hooks": [self._entry()]}]
                changed.append(event)
        value["hooks"] = events
        if changed and not dry_run:
            self._write(before, value)
        return tuple(changed)

    def uninstall(self, *, dry_run: bool = False) -> tuple[str, ...]:
        """Remove ours, and what they leave empty; the events that changed. Raises as `install`."""
        before, value = self._read()
        events = _events(value)
        changed = [event for event, groups in events.items() if self._without(groups) != groups]
        for event in changed:
            events[event] = self._without(events[event])
            if not events[event]:
                del events[event]
        if events:
            value["hooks"] = events
        elif changed:
            value.pop("hooks", None)
        if changed and not dry_run:
            self._write(before, value)
        return tuple(changed)

    def _entry(self) -> dict[str, Any]:
        return _entry(self._tool, self._command)

    def _is_ours(self, entry: object) -> bool:
        command = entry.get("command") if isinstance(entry, dict) else None
        return isinstance(command, str) and command.startswith(sink.OURS) and self._place in command

    def _without(self, groups: list[Any]) -> list[Any]:
        kept = []
        for group in groups:
            entries = group.get("hooks") if isinstance(group, dict) else None
            if not isinstance(entries, list) or not any(map(self._is_ours, entries)):
                kept.append(group)
                continue
            rest = [entry for entry in entries if not self._is_ours(entry)]
            if rest:
                kept.append({**group, "hooks": rest})
        return kept

    # ── the file ──

    def _read(self) -> tuple[bytes | None, dict[str, Any]]:
        """What the file holds, and what that says; an absent or empty file says nothing."""
        try:
            raw = content_of(self.path)
        except FileNotFoundError:
            return None, {}
        except OSError as exc:
            raise HooksRefused(self.path, exc.strerror or str(exc)) from exc
        if not raw.strip():
            return raw, {}
        try:
            value = json.loads(raw.decode(), object_pairs_hook=_distinct)
        except (ValueError, RecursionError) as exc:
            raise HooksRefused(self.path, f"it is no JSON that could be written back: {exc}") from exc
        if not isinstance(value, dict):
            raise HooksRefused(self.path, "it is no JSON object")
        events = value.get("hooks", {})
        if not isinstance(events, dict) or not all(isinstance(groups, list) for groups in events.values()):
            raise HooksRefused(self.path, "`hooks` is not an object of lists")
        return raw, value

    def _write(self, before: bytes | None, value: dict[str, Any]) -> None:
        text = json.dumps(value, indent=_indent(before), ensure_ascii=False)
        replace(self.path, before, text.encode() + b"\n")


def replace(path: Path, before: bytes | None, content: bytes) -> None:
    """Give a settings file new content, and keep what it held (`before`, None: it is not there) beside it.

    Raises:
        HooksRefused: it could not be written, or holds something else by now; it is as it was.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(target.stat().st_mode) if before is not None else None
        if before is not None:
            write_over(backup_of(target), before, mode=mode)
        if (content_of(target) if target.exists() else None) != before:
            raise HooksRefused(path, "another program changed it meanwhile")
        write_over(target, content, mode=mode)
    except OSError as exc:
        raise HooksRefused(path, exc.strerror or str(exc)) from exc


def _events(value: dict[str, Any]) -> dict[str, list[Any]]:
    return dict(value.get("hooks") or {})


def _entries(groups: list[Any]) -> Iterator[object]:
    for *_, entry in _placed(groups):
        yield entry


def _placed(groups: list[Any]) -> Iterator[tuple[int, int, object]]:
    """Every entry with the numbers of its group and of itself."""
    for group_number, group in enumerate(groups):
        entries = group.get("hooks") if isinstance(group, dict) else None
        if isinstance(entries, list):
            for number, entry in enumerate(entries):
                yield group_number, number, entry


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands in it twice")
    return found


def _indent(raw: bytes | None) -> str | int:
    """What the file is indented with; two spaces if it cannot be told."""
    found = re.search(rb"\n([ \t]+)\S", raw or b"")
    return found[1].decode() if found else 2
