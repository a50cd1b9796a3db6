"""The records a text is carried in: transcript lines, rollout lines, hook payloads, our own events, JSON in JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.redact.model import Dice, Snippet


def body(look: Dice, record: object) -> bytes:
    """One line of JSON, in one of the ways clients write it."""
    compact = look.random() < 0.75
    separators = (",", ":") if compact else (", ", ": ")
    ascii_only = look.random() < 0.25
    return json.dumps(record, ensure_ascii=ascii_only, separators=separators).encode()


# Claude Code transcript lines


def transcript(look: Dice, role: str, content: object, **more: object) -> dict:
    return {
        "parentUuid": look.uuid(),
        "isSidechain": False,
        "type": role,
        "message": _message(look, role, content),
        "uuid": look.uuid(),
        "timestamp": look.iso(),
        **more,
        "userType": "external",
        "cwd": "/home/dev/demo",
        "sessionId": look.uuid(),
        "version": "2.1.330",
        "gitBranch": "main",
    }


def _message(look: Dice, role: str, content: object) -> dict:
    if role == "user":
        return {"role": role, "content": content}
    return {
        "id": "msg_01" + look.text("b", 22),
        "type": "message",
        "role": role,
        "model": "claude-opus-5-5",
        "content": content,
        "stop_reason": None,
        "usage": {"input_tokens": look.randint(1, 900), "output_tokens": look.randint(1, 900)},
    }


def tool_use(look: Dice, name: str, arguments: dict) -> dict:
    return {"type": "tool_use", "id": "toolu_01" + look.text("b", 22), "name": name, "input": arguments}


def _user_text(look, snippet):
    return transcript(look, "user", snippet.text)


def _user_blocks(look, snippet):
    return transcript(look, "user", [{"type": "text", "text": snippet.text}])


def _assistant_text(look, snippet):
    return transcript(look, "assistant", [{"type": "text", "text": snippet.text}])


def _thinking(look, snippet):
    block = {"type": "thinking", "thinking": snippet.text, "signature": look.text("B", 220) + "=="}
    return transcript(look, "assistant", [block])


def _bash(look, snippet):
    arguments = {"command": snippet.text, "description": "Run it"}
    return transcript(look, "assistant", [tool_use(look, "Bash", arguments)])


def _write(look, snippet):
    arguments = {"file_path": snippet.path, "content": snippet.text}
    return transcript(look, "assistant", [tool_use(look, "Write", arguments)])


def _edit(look, snippet):
    arguments = {"file_path": snippet.path, "old_string": "# todo", "new_string": snippet.text}
    if look.random() < 0.4:
        arguments["old_string"], arguments["new_string"] = snippet.text, "# removed"
    return transcript(look, "assistant", [tool_use(look, "Edit", arguments)])


def _result(look, content, **more):
    block = {
        "tool_use_id": "toolu_01" + look.text("b", 22),
        "type": "tool_result",
        "content": content,
        "is_error": False,
    }
    return transcript(look, "user", [block], **more)


def _result_string(look, snippet):
    return _result(look, snippet.text)


def _result_array(look, snippet):
    return _result(look, [{"type": "text", "text": snippet.text}])


def _result_stdout(look, snippet):
    answer = {"stdout": snippet.text, "stderr": "", "interrupted": False, "isImage": False}
    return _result(look, snippet.text, toolUseResult=answer)


def _result_stderr(look, snippet):
    answer = {"stdout": "", "stderr": snippet.text, "interrupted": False, "isImage": False}
    return _result(look, "exit code 1", toolUseResult=answer)


def _read_result(look, snippet):
    count = snippet.text.count("\n") + 1
    answer = {"type": "text", "file": {"filePath": snippet.path, "content": snippet.text, "numLines": count}}
    return _result(look, snippet.text, toolUseResult=answer)


def _edit_result(look, snippet):
    lines = ["+" + line for line in snippet.text.split("\n")]
    hunk = {"oldStart": 1, "oldLines": 0, "newStart": 1, "newLines": len(lines), "lines": lines}
    answer = {"filePath": snippet.path, "oldString": "", "newString": snippet.text, "structuredPatch": [hunk]}
    return _result(look, "The file has been updated.", toolUseResult=answer)


def _hook(look, snippet):
    return {
        "session_id": look.uuid(),
        "transcript_path": "/home/dev/.claude/projects/demo/x.jsonl",
        "hook_event_name": look.pick(("PreToolUse", "PostToolUse")),
        "tool_name": "Bash",
        "tool_input": {"command": snippet.text},
    }


def _prompt_hook(look, snippet):
    return {"session_id": look.uuid(), "hook_event_name": "UserPromptSubmit", "prompt": snippet.text}


def _queue(look, snippet):
    return {
        "type": "queue-operation",
        "operation": "enqueue",
        "timestamp": look.iso(),
        "content": snippet.text,
    }


# Codex rollout lines


def rollout(look: Dice, kind: str, payload: dict) -> dict:
    return {"timestamp": look.iso(), "ordinal": look.randint(1, 400), "type": kind, "payload": payload}


def _codex_call(look, snippet):
    arguments = {"cmd": snippet.text, "workdir": "/home/dev/demo"}
    if look.random() < 0.5:
        arguments = {"command": ["bash", "-lc", snippet.text], "timeout_ms": 10000}
    payload = {
        "type": "function_call",
        "name": "exec_command",
        "arguments": json.dumps(arguments, ensure_ascii=False),
        "call_id": "call_" + look.text("b", 24),
    }
    return rollout(look, "response_item", payload)


def _codex_output(look, snippet):
    output: object = snippet.text
    if look.random() < 0.4:
        output = json.dumps({"output": snippet.text, "metadata": {"exit_code": 0, "duration_seconds": 0.2}})
    payload = {"type": "function_call_output", "call_id": "call_" + look.text("b", 24), "output": output}
    return rollout(look, "response_item", payload)


def _codex_message(look, snippet):
    block = {"type": look.pick(("input_text", "output_text")), "text": snippet.text}
    role = "user" if block["type"] == "input_text" else "assistant"
    return rollout(look, "response_item", {"type": "message", "role": role, "content": [block]})


def _codex_event(look, snippet):
    kind = look.pick(("user_message", "agent_message"))
    return rollout(look, "event_msg", {"type": kind, "message": snippet.text})


def _codex_patch(look, snippet):
    added = "\n".join("+" + line for line in snippet.text.split("\n"))
    patch = f"*** Begin Patch\n*** Add File: {snippet.path}\n{added}\n*** End Patch\n"
    payload = {
        "type": "custom_tool_call",
        "name": "apply_patch",
        "input": patch,
        "call_id": "call_" + look.text("b", 24),
    }
    return rollout(look, "response_item", payload)


# Our own events, and JSON inside strings


def event(look: Dice, kind: str, **fields: object) -> dict:
    return {"kind": kind, "session": look.pick(("s", "nightly", look.uuid())), "fields": fields}


def _event_text(look, snippet):
    return event(look, look.pick(("message.sent", "message.received", "note")), text=snippet.text)


def _event_command(look, snippet):
    return event(look, "tool.used", tool="shell", command=snippet.text, cwd="/srv/app")


def _event_output(look, snippet):
    return event(look, "tool.used", tool="read_file", path=snippet.path, output=snippet.text, ok=True)


def nested(look: Dice, value: object, depth: int) -> str:
    """The value as JSON in a string, `depth` times over."""
    inner = json.dumps(value, ensure_ascii=look.random() < 0.5)
    for level in range(1, depth):
        inner = json.dumps({look.pick(("body", "data", "payload")): inner, "v": level})
    return inner


def _json_in_string(depth: int):
    def make(look, snippet):
        value = {"id": look.randint(1, 99), look.pick(("text", "content", "line", "stdin")): snippet.text}
        return event(look, "tool.used", tool="http", request=nested(look, value, depth))

    return make


ANY = ("prose", "command", "output", "file")
CARRIERS = {
    "claude-user-text": (_user_text, ("prose", "output", "file")),
    "claude-user-blocks": (_user_blocks, ("prose", "output")),
    "claude-assistant-text": (_assistant_text, ("prose", "command")),
    "claude-thinking": (_thinking, ("prose",)),
    "claude-bash": (_bash, ("command",)),
    "claude-write": (_write, ("file",)),
    "claude-edit": (_edit, ("file",)),
    "claude-result-string": (_result_string, ("output", "file")),
    "claude-result-array": (_result_array, ("output", "file")),
    "claude-stdout": (_result_stdout, ("output", "file")),
    "claude-stderr": (_result_stderr, ("output",)),
    "claude-read-result": (_read_result, ("file",)),
    "claude-edit-result": (_edit_result, ("file",)),
    "claude-hook": (_hook, ("command",)),
    "claude-prompt-hook": (_prompt_hook, ("prose",)),
    "claude-queue": (_queue, ("prose",)),
    "codex-call": (_codex_call, ("command",)),
    "codex-output": (_codex_output, ("output", "file")),
    "codex-message": (_codex_message, ("prose", "output")),
    "codex-event": (_codex_event, ("prose",)),
    "codex-patch": (_codex_patch, ("file",)),
    "event-text": (_event_text, ANY),
    "event-command": (_event_command, ("command",)),
    "event-output": (_event_output, ("output", "file")),
    "json-in-string-once": (_json_in_string(1), ANY),
    "json-in-string-twice": (_json_in_string(2), ANY),
    "json-in-string-thrice": (_json_in_string(3), ANY),
}


def carriers_for(kind: str) -> tuple[str, ...]:
    return tuple(name for name, (_, kinds) in CARRIERS.items() if kind in kinds)


def carry(look: Dice, snippet: Snippet, carrier: str | None = None) -> tuple[str, bytes]:
    """Put a snippet into a record; says which carrier it became."""
    chosen = carrier or look.pick(carriers_for(snippet.kind))
    return f"{snippet.setting}/{chosen}", body(look, CARRIERS[chosen][0](look, snippet))


# Structured records: the secret is a JSON value of its own


def _mcp_arguments(look, name, value):
    return transcript(look, "assistant", [tool_use(look, "mcp__store__set", {name: value, "dry_run": False})])


def _codex_arguments(look, name, value):
    arguments = json.dumps({"url": "https://api.example.net/v1", name: value})
    payload = {
        "type": "function_call",
        "name": "configure",
        "arguments": arguments,
        "call_id": "call_" + look.text("b", 24),
    }
    return rollout(look, "response_item", payload)


def _event_field(look, name, value):
    return event(look, "tool.used", tool="configure", **{name: value})


def _event_environment(look, name, value):
    return event(look, "process.started", argv=["worker"], env={"LANG": "C.UTF-8", name: value})


def _event_pair(look, name, value):
    return event(look, "config.read", entry={"name": name, "value": value})


def _string_field(depth: int):
    def make(look, name, value):
        return event(look, "tool.used", tool="http", request=nested(look, {name: value, "retries": 3}, depth))

    return make


KEYED = {
    "json-value-mcp": _mcp_arguments,
    "json-value-codex-arguments": _codex_arguments,
    "json-value-event": _event_field,
    "json-value-environment": _event_environment,
    "json-value-name-value": _event_pair,
    "json-value-string-once": _string_field(1),
    "json-value-string-twice": _string_field(2),
    "json-value-string-thrice": _string_field(3),
}


def carry_keyed(look: Dice, name: str, value: object, carrier: str | None = None) -> tuple[str, bytes]:
    chosen = carrier or look.pick(tuple(KEYED))
    return chosen, body(look, KEYED[chosen](look, name, value))
