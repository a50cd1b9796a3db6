"""Claude Code's tool calls and their results: what a call is about, how it went, what it changed.

How a result that is an error came about is told by its text; the texts are those of versions 1.0 to 2.1.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from holdfast.capture.claude_json import blocks, text_in

AGENT_TOOLS: Final = frozenset({"Agent", "Task"})
FILE_TOOLS: Final = {
    "Read": "read",
    "Edit": "modify",
    "MultiEdit": "modify",
    "NotebookEdit": "modify",
    "NotebookRead": "read",
    "Write": "write",
}
INTERRUPTED: Final = "[Request interrupted by user"  # of a prompt, or of a tool call as its result
_CUT_CALL = "[Tool call interrupted:"
_DENIALS = ("The user doesn't want to ", "User rejected tool use")
_FORBIDDEN = re.compile(r"Permission to use [^\n]{1,400} (?:has been|was) denied\b")
_EXIT = re.compile(r"(?:Error: )?Exit code (\d{1,9})\b")
_TELLING_INPUTS = (
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "url",
    "query",
    "prompt",
    "skill",
    "subject",
)
SUMMARY: Final = re.compile(
    r"<summary>([^<]{1,400})</summary>"
)  # of a notice that a task in the background is done
_dumps = msgspec.json.Encoder().encode


def head_of_input(given: dict[str, Any]) -> str | None:
    """What a person wants to read of a tool's input: its command, pattern or path; else the input as JSON."""
    for key in _TELLING_INPUTS:
        if text := text_in(given.get(key)):
            return text
    return _dumps(given).decode() if given else None


def call_of(tool: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """What a call is about: its `name`, `input` as a person wants to read it, `path`, and `operation` on that, or the agent asked for."""
    name = tool or "(unnamed)"
    path = text_in(given.get("file_path")) or text_in(given.get("notebook_path"))
    operation = FILE_TOOLS.get(name) if path else None
    if name in AGENT_TOOLS:
        operation = text_in(given.get("subagent_type"))
    return {
        "name": name,
        "input": head_of_input(given),
        "path": path if name in FILE_TOOLS else None,
        "operation": operation,
    }


def what_failed(text: str, denial: str | None) -> tuple[str, str, int | None]:
    """(status, error type, exit code) of a result that is an error."""
    if denial == "interrupted" or text.startswith((_CUT_CALL, INTERRUPTED)):
        return "interrupted", "interrupted", None
    if denial is not None or text.startswith(_DENIALS) or _FORBIDDEN.match(text):
        return "cancelled", "denied", None
    if found := _EXIT.match(text):
        return "failed", "exit code", int(found[1])
    if text.startswith("<tool_use_error>"):
        return "failed", text[16:].split("</", 1)[0].split(":", 1)[0].strip()[:60] or "tool error", None
    return "failed", "tool error", None


def patch_size(patch: object) -> tuple[int | None, int | None]:
    """Lines added and removed by a structured patch; None when there is none."""
    if not isinstance(patch, list) or not patch:
        return None, None
    lines = [line for hunk in blocks(patch) for line in hunk.get("lines") or [] if isinstance(line, str)]
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)
