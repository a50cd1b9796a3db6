"""What Codex's `config.toml` says about hooks: which of them a person trusts, and the command that is told of turns (`notify`).

Codex runs a hook only when a person approved it in its `/hooks`, and says nothing of one that it passes over. What was approved
stands in the user's `config.toml`, seen at 0.169.0:

    [hooks.state."<path of hooks.json>:<event, in snake case>:<number of the group>:<number of the entry>"]
    trusted_hash = "sha256:…"      of the hook as it was approved
    enabled = false                it was switched off

That is read, never written: to trust is a person's decision. `notify` needs no trust, and is one line at the top of the file.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from holdfast.capture import sink
from holdfast.errors import HooksRefused
from holdfast.hooks import TOOLS, replace
from holdfast.plain_files import content_of

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.hooks import Ours, Place

NAME: Final = "config.toml"
_MOST_LINES = 40  # of one `notify`, however it was laid out
_NOTIFY = re.compile(r"[ \t]*(?:notify|\"notify\"|'notify')[ \t]*=")
_HEAD = re.compile(r"#[:!]")  # a line that editors look for at the top of a file


# ── trust ──


class Trust(NamedTuple):
    """Whether Codex runs our hooks of a file.

    Attributes:
        word: `trusted`, `untrusted` (some are not), or `unknown`.
        events: those that it does not run.
        why: of `untrusted` and `unknown`, in words.
    """

    word: str
    events: tuple[str, ...] = ()
    why: str | None = None


def trust(config: Path, place: Place, inbox_directory: Path) -> Trust | None:
    """Whether our hooks of a Codex file are trusted, by the user's `config.toml`; None: there are none of this version."""
    if not place.installed:
        return None
    try:
        _, told = _read(config)
    except HooksRefused as exc:
        return Trust("unknown", why=str(exc))
    if _table(told, "features").get("hooks") is False:
        return Trust(
            "untrusted", place.installed, "hooks are switched off in its settings (`features.hooks`)"
        )
    if place.scope == "project" and not _is_trusted_project(told, place.path.parent.parent):
        return Trust("untrusted", place.installed, "Codex does not trust this project")
    states = _table(_table(told, "hooks"), "state")
    command = sink.line(inbox_directory, "codex")
    waiting = [ours.event for ours in place.found if not _is_trusted(states, place.path, ours, command)]
    if not waiting:
        return Trust("trusted")
    return Trust("untrusted", tuple(waiting), "they are not approved as they are")


def _is_trusted(states: dict[str, Any], path: Path, ours: Ours, command: str) -> bool:
    event = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", ours.event).lower()
    for spelled in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):  # noqa: PTH100 - as it is spelled
        state = _table(states, f"{spelled}:{event}:{ours.group}:{ours.entry}")
        if state.get("trusted_hash") == _hash(event, command):
            return state.get("enabled") is not False
    return False


def _hash(event: str, command: str) -> str:
    """What Codex knows a hook by: its event and its entry as JSON, with sorted keys and without spaces."""
    entry = {"async": False, "command": command, "timeout": TOOLS["codex"].timeout_s, "type": "command"}
    text = msgspec.json.encode({"event_name": event, "hooks": [entry]}, order="sorted")
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _is_trusted_project(told: dict[str, Any], directory: Path) -> bool:
    projects = _table(told, "projects")
    return any(
        _table(projects, os.fspath(above)).get("trust_level") == "trusted"
        for above in (directory, *directory.parents)
    )


def holds_hooks(config: Path) -> bool:
    """Whether a `config.toml` holds hooks itself. Codex runs those of `hooks.json` beside it too, and says at each start that both are there."""
    try:
        _, told = _read(config)
    except HooksRefused:
        return False
    return any(isinstance(groups, list) and groups for groups in _table(told, "hooks").values())


# ── notify ──


@dataclass(frozen=True, slots=True)
class Notify:
    """The command in `config.toml` that is told of every turn.

    Args:
        path: the file; a link stays one.
        inbox_directory: where it leaves what it is told.
    """

    path: Path
    inbox_directory: Path

    def look(self) -> str:
        """`installed`, `outdated`, `missing`, `theirs` (another command stands there), or `unknown`: the file cannot be understood."""
        try:
            _, told = _read(self.path)
        except HooksRefused:
            return "unknown"
        return self._standing(told)

    def install(self, *, dry_run: bool = False) -> bool:
        """Put ours where no other stands; whether anything changed.

        Raises:
            HooksRefused: the file cannot be understood or written; it is as it was.
        """
        before, told = _read(self.path)
        standing = self._standing(told)
        if standing in {"installed", "theirs"}:
            return False
        rest = (before or b"").decode()
        rest = self._without(rest) if standing == "outdated" else rest
        line = f"notify = {msgspec.json.encode(sink.notified(self.inbox_directory)).decode()}\n"
        self._write(before, _at_the_top(rest, line), told, sink.notified(self.inbox_directory), dry_run)
        return True

    def uninstall(self, *, dry_run: bool = False) -> bool:
        """Remove ours; whether anything changed. Raises as `install`."""
        before, told = _read(self.path)
        if self._standing(told) not in {"installed", "outdated"}:
            return False
        self._write(before, self._without((before or b"").decode()), told, None, dry_run)
        return True

    def _standing(self, told: dict[str, Any]) -> str:
        found = told.get("notify")
        if found is None:
            return "missing"
        if found == sink.notified(self.inbox_directory):
            return "installed"
        script = found[2] if isinstance(found, list) and len(found) == 4 else None
        place = os.fspath(self.inbox_directory / "codex")
        ours = isinstance(script, str) and script.startswith(sink.OURS) and place in script
        return "outdated" if ours else "theirs"

    def _without(self, text: str) -> str:
        """The text without the lines of `notify`: the fewest whose absence takes that away and changes nothing else.

        Raises:
            HooksRefused: there are none.
        """
        lines = text.splitlines(keepends=True)
        wanted = {name: value for name, value in tomllib.loads(text).items() if name != "notify"}
        for first, line in enumerate(lines):
            if _NOTIFY.match(line):
                for last in range(first + 1, min(first + _MOST_LINES, len(lines)) + 1):
                    rest = "".join(lines[:first] + lines[last:])
                    if _says(rest, wanted):
                        return rest
        raise HooksRefused(self.path, "its `notify` does not stand on lines of its own")

    def _write(
        self,
        before: bytes | None,
        text: str,
        told: dict[str, Any],
        notify: list[str] | None,
        dry_run: bool,  # noqa: FBT001 - passed through
    ) -> None:
        wanted = {name: value for name, value in told.items() if name != "notify"}
        if notify is not None:
            wanted["notify"] = notify
        if not _says(text, wanted):
            raise HooksRefused(self.path, "`notify` cannot be changed in it without changing something else")
        if not dry_run:
            replace(self.path, before, text.encode())


def _at_the_top(text: str, line: str) -> str:
    """The text with a line more: the first, but for those that editors look for there. Nothing can stand above it but comments."""
    lines = text.splitlines(keepends=True)
    head = next((n for n, one in enumerate(lines) if not _HEAD.match(one)), len(lines))
    if head and not lines[head - 1].endswith("\n"):
        lines[head - 1] += "\n"
    return "".join([*lines[:head], line, *lines[head:]])


def _says(text: str, wanted: dict[str, Any]) -> bool:
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return repr(sorted(found.items())) == repr(
        sorted(wanted.items())
    )  # by their text: not every number equals itself


def _read(path: Path) -> tuple[bytes | None, dict[str, Any]]:
    """What the file holds, and what that says; an absent one says nothing.

    Raises:
        HooksRefused: it cannot be understood.
    """
    try:
        raw = content_of(path)
    except FileNotFoundError:
        return None, {}
    except OSError as exc:
        raise HooksRefused(path, exc.strerror or str(exc)) from exc
    try:
        return raw, tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as exc:
        raise HooksRefused(path, f"it is no TOML: {exc}") from exc


def _table(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
