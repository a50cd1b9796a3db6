"""Install hooks: lines of shell that a tool runs at each of its events (`capture/inbox.py` says what they do).

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
from typing import TYPE_CHECKING, Any, Final

from holdfast.capture import inbox
from holdfast.errors import HooksRefused
from holdfast.journal.blobs import write_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.settings import Settings

SCOPES: Final = ("user", "project", "local")
TIMEOUT_S: Final = 5  # the tool ends a hook that takes longer
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


@dataclass(frozen=True, slots=True)
class Place:
    """A settings file of a tool, and how our hooks stand in it.

    Attributes:
        installed: events with exactly the hook of this version.
        outdated: events with one of another version of ours.
        problem: why the file cannot be understood; None when it can, or is not there.
    """

    tool: str
    scope: str
    path: Path
    installed: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    problem: str | None = None


def settings_file(settings: Settings, scope: str) -> Path:
    """Where Claude Code reads settings of a scope; the project is the current directory."""
    if scope == "user":
        return settings.claude_config_dir / "settings.json"
    return Path.cwd() / ".claude" / ("settings.json" if scope == "project" else "settings.local.json")


class Hooks:
    """Our hooks in one settings file.

    Args:
        path: the file; a link stays one.
        inbox_directory: where hooks of this home leave what they are told.
    """

    def __init__(self, path: Path, inbox_directory: Path) -> None:
        self.path = path
        self._command = inbox.sink(inbox_directory, "claude")
        self._place = shlex.quote(os.fspath(inbox_directory / "claude"))

    def look(self, scope: str) -> Place:
        """How they stand there."""
        try:
            _, value = self._read()
        except HooksRefused as exc:
            return Place("claude", scope, self.path, problem=str(exc))
        installed: list[str] = []
        outdated: list[str] = []
        for event, groups in _events(value).items():
            ours = [entry for entry in _entries(groups) if self._is_ours(entry)]
            if ours:
                (installed if ours == [self._entry()] else outdated).append(event)
        return Place("claude", scope, self.path, tuple(installed), tuple(outdated))

    def install(self, *, dry_run: bool = False) -> tuple[str, ...]:
        """Add what is missing and renew what is outdated; the events that changed.

        Raises:
            HooksRefused: the file cannot be understood or written; it is as it was.
        """
        before, value = self._read()
        events = _events(value)
        changed: list[str] = []
        for event in EVENTS:
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
        return {"type": "command", "command": self._command, "timeout": TIMEOUT_S}

    def _is_ours(self, entry: object) -> bool:
        command = entry.get("command") if isinstance(entry, dict) else None
        return isinstance(command, str) and command.startswith(inbox.OURS) and self._place in command

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
            raw = self.path.read_bytes()
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
        target = Path(os.path.realpath(self.path))
        text = json.dumps(value, indent=_indent(before), ensure_ascii=False)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            mode = stat.S_IMODE(target.stat().st_mode) if before is not None else None
            if before is not None:
                write_over(target.with_name(target.name + BACKUP_SUFFIX), before, mode=mode)
            if (target.read_bytes() if target.exists() else None) != before:
                raise HooksRefused(self.path, "another program changed it meanwhile")
            write_over(target, text.encode() + b"\n", mode=mode)
        except OSError as exc:
            raise HooksRefused(self.path, exc.strerror or str(exc)) from exc


def _events(value: dict[str, Any]) -> dict[str, list[Any]]:
    return dict(value.get("hooks") or {})


def _entries(groups: list[Any]) -> Iterator[object]:
    for group in groups:
        entries = group.get("hooks") if isinstance(group, dict) else None
        if isinstance(entries, list):
            yield from entries


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands in it twice")
    return found


def _indent(raw: bytes | None) -> str | int:
    """What the file is indented with; two spaces if it cannot be told."""
    found = re.search(rb"\n([ \t]+)\S", raw or b"")
    return found[1].decode() if found else 2
