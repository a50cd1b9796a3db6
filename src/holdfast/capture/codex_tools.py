"""Codex's tool calls and their results: what a call is about, how it went, what it changed.

A call's end is told twice: in an `item_completed` event with status, exit code and duration, and in what the model was shown of it
(`…_call_output`), whose first lines say less. The second is all there is of some tools, and of older rollouts.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from holdfast import events as ev
from holdfast.capture.claude_json import count_in, object_in, text_in, text_of

_TELLING_INPUTS = ("cmd", "command", "path", "pattern", "query", "url", "message", "prompt")
_EXIT = re.compile(r"(?:Process exited with|Exit) code:? (-?\d{1,9})\b")
_ABORTED = re.compile(r"(?:Wall time: [^\n]{1,40}\n)?aborted by user")
_UNSUPPORTED = "unsupported call:"
_HEAD_LINES = 5
_LAUNCHERS = 2  # words before the script in `bash -lc script`
_OPERATIONS = {"add": "create", "delete": "delete", "update": "modify"}
_STATUS = {"completed": "completed", "failed": "failed", "declined": "cancelled", "denied": "cancelled"}
_loads = msgspec.json.Decoder().decode
_dumps = msgspec.json.Encoder().encode


def given(arguments: object) -> dict[str, Any]:
    """The arguments of a call, which stand as JSON in a string."""
    try:
        return object_in(_loads(arguments) if isinstance(arguments, str) else arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def head_of_input(arguments: dict[str, Any]) -> str | None:
    """What a person wants to read of a call: its command, path or question; else its arguments as JSON."""
    for key in _TELLING_INPUTS:
        value = arguments.get(key)
        if text := text_in(value) or _command(value):
            return text
    return _dumps(arguments).decode() if arguments else None


def _command(value: object) -> str | None:
    """A command given as a list of words: without the shell that runs it."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return None
    words = value[_LAUNCHERS:] if len(value) > _LAUNCHERS and value[1] in {"-c", "-lc"} else value
    return " ".join(words) or None


def shown(output: object) -> ev.ToolEnded:
    """How a call went by what the model was shown of it."""
    text, told = _shown_text(output)
    found = _EXIT.search("\n".join(text.split("\n", _HEAD_LINES)[:_HEAD_LINES]))
    code = told if told is not None else int(found[1]) if found else None
    if _ABORTED.match(text):
        return ev.ToolEnded(status="interrupted", output=text, error_type="interrupted", as_shown=True)
    if text.startswith(_UNSUPPORTED):
        return ev.ToolEnded(status="failed", output=text, error_type="unsupported call", as_shown=True)
    return ev.ToolEnded(
        status="failed" if code else "completed",
        output=text or None,
        error_type="exit code" if code else None,
        exit_code=code,
        as_shown=True,
    )


def _shown_text(output: object) -> tuple[str, int | None]:
    """The text of an output, and the exit code beside it: older versions wrote both as JSON in a string."""
    if not isinstance(output, str):
        return text_of(output), None
    if output.startswith('{"output":'):
        told = given(output)
        if (text := told.get("output")) is not None and isinstance(text, str):
            code = object_in(told.get("metadata")).get("exit_code")
            return text, code if isinstance(code, int) and not isinstance(code, bool) else None
    return output, None


def command_ended(item: dict[str, Any]) -> ev.ToolEnded:
    """How a command went. One that was cut has no exit code of its own, and -1 stands in its place."""
    code: Any = item.get("exit_code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    status = _STATUS.get(text_in(item.get("status")) or "", "failed" if code else "completed")
    cut = code is not None and code < 0
    return ev.ToolEnded(
        status="interrupted" if cut else status,
        output=text_in(item.get("aggregated_output")),
        error_type="interrupted" if cut else _why(status, code),
        exit_code=None if cut else code,
        duration_ms=_duration_ms(item.get("duration")),
    )


def _why(status: str, code: int | None) -> str | None:
    if status == "completed":
        return None
    return "denied" if status == "cancelled" else "exit code" if code else "tool error"


def item_ended(item: dict[str, Any], duration_ms: int | None) -> ev.ToolEnded:
    """How a call of any other tool went."""
    status = _STATUS.get(text_in(item.get("status")) or "", "completed")
    error = text_in(item.get("error")) or text_in(object_in(item.get("error")).get("message"))
    output = error or text_of(object_in(item.get("result")).get("content"))
    return ev.ToolEnded(
        status=status, output=output or None, error_type=_why(status, None), duration_ms=duration_ms
    )


def _duration_ms(value: object) -> int | None:
    found = object_in(value)
    seconds, nanos = count_in(found.get("secs")), count_in(found.get("nanos"))
    return None if seconds is None or nanos is None else seconds * 1000 + nanos // 1_000_000


class Patch(NamedTuple):
    """A patch: how it went, and what it changed."""

    ended: ev.ToolEnded
    files: list[ev.FileChanged]


def patch(item: dict[str, Any], duration_ms: int | None) -> Patch:
    """A patch that came back; of one that was not applied no file is said to have changed."""
    status = _STATUS.get(text_in(item.get("status")) or "", "completed")
    files = [
        _changed(path, object_in(change)) for path, change in sorted(object_in(item.get("changes")).items())
    ]
    if status != "completed":
        files = []
    ended = ev.ToolEnded(
        status=status,
        output=text_in(item.get("stdout")) if status == "completed" else text_in(item.get("stderr")),
        error_type=_why(status, None),
        duration_ms=duration_ms,
        lines_added=sum(file.lines_added or 0 for file in files) if files else None,
        lines_removed=sum(file.lines_removed or 0 for file in files) if files else None,
    )
    return Patch(ended, files)


def _changed(path: str, change: dict[str, Any]) -> ev.FileChanged:
    kind = text_in(change.get("type")) or "update"
    moved, diff, content = (change.get(name) for name in ("move_path", "unified_diff", "content"))
    added, removed = _lines_of_diff(diff) if isinstance(diff, str) else (None, None)
    if isinstance(content, str):
        whole = len(content.splitlines())
        added, removed = (0, whole) if kind == "delete" else (whole, 0)
    renamed = text_in(moved)
    return ev.FileChanged(
        operation="rename" if renamed else _OPERATIONS.get(kind, "modify"),
        path=renamed or path,
        old_path=path if renamed else None,
        lines_added=added,
        lines_removed=removed,
        diff=text_in(diff),
    )


def _lines_of_diff(diff: str) -> tuple[int, int]:
    """Lines added and removed by a unified diff, whose head may be missing."""
    lines = diff.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("@@")), 0)
    body = lines[start:]
    return sum(line.startswith("+") for line in body), sum(line.startswith("-") for line in body)
