"""In which sessions of its tool an agent turned out to work, where only the tool knew: what it said, and what of that is recorded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from holdfast.plain_files import opened
from holdfast.supervise import tools

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "linked"
_MOST_BYTES = 1 << 20


def said(tool: str | None, room: Path) -> list[str]:
    """The keys of the sessions that the tool of a life said that it works in, as far as it said so."""
    if tool == "claude":
        return [f"claude:{one}" for one in tools.sessions_in(_head(room / tools.SESSIONS_FILE, _MOST_BYTES))]
    if tool == "codex":
        thread = tools.thread_in(_head(room / "out.log", tools.LOG_HEAD_BYTES))
        return [] if thread is None else [f"codex:{thread}"]
    return []


def told(room: Path) -> list[str]:
    """Those that are recorded."""
    return _head(room / NAME, _MOST_BYTES).decode("utf-8", "replace").splitlines()


def written(sessions: list[str]) -> bytes:
    """How that is noted."""
    return "".join(f"{one}\n" for one in sessions).encode()


def _head(path: Path, most_bytes: int) -> bytes:
    try:
        with os.fdopen(opened(path), "rb") as file:
            return file.read(most_bytes)
    except OSError:
        return b""
