"""JSON records that carry a text: transcripts, rollouts, events, nested JSON, streams of deltas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.redact.second.dice import Dice, chars, timestamp, uuid, word

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Body = bytes


def dump(rng: random.Random, record: object) -> Body:
    """Write a record as one line of JSON in one of the usual styles."""
    style = rng.randrange(3)
    if style == 0:
        return json.dumps(record).encode()
    separators = (",", ":") if style == 1 else (", ", ": ")
    return json.dumps(record, ensure_ascii=False, separators=separators).encode()


def inner(rng: random.Random, value: object) -> str:
    """Write a value as JSON text that goes into a string."""
    return dump(rng, value).decode()


def claude(rng: random.Random, kind: str, message: dict, **more: object) -> Body:
    """A transcript line of Claude Code."""
    record = {
        "parentUuid": uuid(rng),
        "isSidechain": False,
        "userType": "external",
        "cwd": word(rng, "dir"),
        "sessionId": uuid(rng),
        "version": "2.1." + chars(rng, "d2"),
        "gitBranch": word(rng, "branch"),
        "type": kind,
        "message": message,
        "uuid": uuid(rng),
        "timestamp": timestamp(rng),
        **more,
    }
    return dump(rng, record)


def assistant(rng: random.Random, block: dict) -> Body:
    """An assistant line with one content block."""
    usage = {
        "input_tokens": rng.randint(3, 900),
        "cache_creation_input_tokens": rng.randint(0, 60000),
        "cache_read_input_tokens": rng.randint(0, 90000),
        "output_tokens": rng.randint(1, 900),
        "service_tier": "standard",
    }
    message = {
        "model": "claude-opus-4-5-20251101",
        "id": "msg_01" + chars(rng, "A22"),
        "type": "message",
        "role": "assistant",
        "content": [block],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return claude(rng, "assistant", message, requestId="req_011C" + chars(rng, "A20"))


def tool_use(rng: random.Random, name: str, arguments: dict) -> Body:
    """An assistant line that uses a tool."""
    return assistant(
        rng, {"type": "tool_use", "id": "toolu_01" + chars(rng, "A22"), "name": name, "input": arguments}
    )


def tool_result(rng: random.Random, content: object, **more: object) -> Body:
    """A user line that returns the result of a tool."""
    block = {"tool_use_id": "toolu_01" + chars(rng, "A22"), "type": "tool_result", "content": content}
    return claude(rng, "user", {"role": "user", "content": [block]}, **more)


def claude_user(rng: random.Random, text: str) -> Body:
    """A message typed by the user."""
    content = text if rng.random() < 0.6 else [{"type": "text", "text": text}]
    return claude(rng, "user", {"role": "user", "content": content}, permissionMode="default")


def claude_text(rng: random.Random, text: str) -> Body:
    """A text block of the assistant."""
    return assistant(rng, {"type": "text", "text": text})


def claude_thinking(rng: random.Random, text: str) -> Body:
    """A thinking block of the assistant, with its signature."""
    return assistant(
        rng, {"type": "thinking", "thinking": text, "signature": "Ev" + chars(rng, "b200") + "=="}
    )


def claude_bash(rng: random.Random, text: str) -> Body:
    """A Bash call."""
    return tool_use(rng, "Bash", {"command": text, "description": f"Run the {word(rng, 'app')} step"})


def claude_write(rng: random.Random, text: str) -> Body:
    """A Write call."""
    return tool_use(rng, "Write", {"file_path": word(rng, "dir") + "/" + word(rng, "file"), "content": text})


def claude_edit(rng: random.Random, text: str) -> Body:
    """An Edit call; the text is the new string."""
    path = word(rng, "dir") + "/" + word(rng, "file")
    return tool_use(
        rng,
        "Edit",
        {"file_path": path, "old_string": "TODO: fill in", "new_string": text, "replace_all": False},
    )


def claude_result(rng: random.Random, text: str) -> Body:
    """A tool result as a string."""
    return tool_result(rng, text, toolUseResult="Done" if rng.random() < 0.5 else text)


def claude_result_array(rng: random.Random, text: str) -> Body:
    """A tool result as an array of blocks."""
    return tool_result(rng, [{"type": "text", "text": text}])


def claude_stdout(rng: random.Random, text: str) -> Body:
    """A tool result with its stdout kept beside it."""
    result = {"stdout": text, "stderr": "", "interrupted": False, "isImage": False, "noOutputExpected": False}
    return tool_result(rng, text, toolUseResult=result)


def claude_stderr(rng: random.Random, text: str) -> Body:
    """A failed command whose stderr is kept beside it."""
    result = {"stdout": "", "stderr": text, "interrupted": False, "isImage": False}
    return tool_result(rng, "Exit code 1\n" + text, is_error=True, toolUseResult=result)


def claude_read(rng: random.Random, text: str) -> Body:
    """A Read result: numbered lines in the message, plain lines beside it."""
    lines = text.split("\n")
    numbered = "\n".join(f"{i:6}\u2192{line}" for i, line in enumerate(lines, 1))
    file = {
        "filePath": word(rng, "dir") + "/" + word(rng, "file"),
        "content": text,
        "numLines": len(lines),
        "startLine": 1,
        "totalLines": len(lines),
    }
    return tool_result(rng, numbered, toolUseResult={"type": "text", "file": file})


def claude_hook(rng: random.Random, text: str) -> Body:
    """The payload of a PreToolUse hook."""
    payload = {
        "session_id": uuid(rng),
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "cwd": word(rng, "dir"),
        "tool_input": {"command": text},
        "tool_use_id": "toolu_01" + chars(rng, "A22"),
    }
    return dump(rng, {"recv_ns": rng.randint(10**18, 2 * 10**18), "payload": payload})


def codex(rng: random.Random, kind: str, payload: dict) -> Body:
    """A line of a Codex rollout."""
    return dump(rng, {"timestamp": timestamp(rng), "type": kind, "payload": payload})


def codex_call(rng: random.Random, text: str) -> Body:
    """A shell call of Codex, its arguments as JSON in a string."""
    arguments = (
        {"cmd": text}
        if rng.random() < 0.5
        else {"command": ["bash", "-lc", text], "workdir": word(rng, "dir")}
    )
    payload = {
        "type": "function_call",
        "name": "exec_command",
        "arguments": inner(rng, arguments),
        "call_id": "call_" + chars(rng, "A24"),
    }
    return codex(rng, "response_item", payload)


def codex_output(rng: random.Random, text: str) -> Body:
    """The output of a Codex call."""
    head = f"Chunk ID: {chars(rng, 'h6')}\nWall time: 0.0{chars(rng, 'd3')} seconds\n"
    output = f"{head}Process exited with code 0\nOutput:\n{text}\n"
    if rng.random() < 0.4:
        output = inner(rng, {"output": text, "metadata": {"exit_code": 0, "duration_seconds": 0.1}})
    return codex(
        rng,
        "response_item",
        {"type": "function_call_output", "call_id": "call_" + chars(rng, "A24"), "output": output},
    )


def codex_patch(rng: random.Random, text: str) -> Body:
    """A patch applied by Codex."""
    patch = f"*** Begin Patch\n*** Add File: {word(rng, 'file')}\n" + "\n".join(
        "+" + line for line in text.split("\n")
    )
    payload = {
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": "call_" + chars(rng, "A24"),
        "name": "apply_patch",
        "input": patch + "\n*** End Patch\n",
    }
    return codex(rng, "response_item", payload)


def codex_message(rng: random.Random, text: str) -> Body:
    """A message in a Codex rollout."""
    role, kind = rng.choice([("user", "input_text"), ("assistant", "output_text")])
    return codex(
        rng, "response_item", {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    )


def codex_exec_end(rng: random.Random, text: str) -> Body:
    """The end of a command as an event of Codex."""
    payload = {
        "type": "exec_command_end",
        "call_id": "call_" + chars(rng, "A24"),
        "stdout": text,
        "stderr": "",
        "aggregated_output": text,
        "exit_code": 0,
        "duration": {"secs": 0, "nanos": rng.randint(1, 10**8)},
    }
    return codex(rng, "event_msg", payload)


def event(rng: random.Random, kind: str, fields: dict) -> Body:
    """An event of the recorder itself."""
    return dump(rng, {"kind": kind, "session": "s" + chars(rng, "l6"), "fields": fields})


def event_text(rng: random.Random, text: str) -> Body:
    """A plain text field of an event."""
    return event(
        rng,
        rng.choice(["message", "note", "log"]),
        {"text": text, "role": rng.choice(["user", "assistant", "system"])},
    )


def event_command(rng: random.Random, text: str) -> Body:
    """A tool event with a command."""
    return event(rng, "tool.used", {"tool": "shell", "input": {"command": text}, "ok": True})


def event_output(rng: random.Random, text: str) -> Body:
    """A tool event with an output."""
    return event(
        rng,
        "tool.used",
        {"tool": word(rng, "app"), "output": text, "exit_code": 0, "tokens": rng.randint(1, 9999)},
    )


def event_file(rng: random.Random, text: str) -> Body:
    """A tool event that writes a file."""
    return event(
        rng, "tool.used", {"tool": "write_file", "input": {"path": word(rng, "file"), "content": text}}
    )


def nested(levels: int) -> Callable[[random.Random, str], Body]:
    """Make an envelope that holds the text in JSON in a string, so many levels deep."""

    def envelope(rng: random.Random, text: str) -> Body:
        value: object = {rng.choice(["text", "command", "content", "body", "result"]): text}
        for level in range(levels):
            value = {
                rng.choice(["arguments", "payload", "response", "data", "line"]): inner(rng, value),
                "n": level,
            }
        return event(rng, "tool.used", value)

    return envelope


def otel(rng: random.Random, text: str) -> Body:
    """A span of OpenTelemetry with the text as an attribute."""
    attributes = [
        {"key": "service.name", "value": {"stringValue": word(rng, "app")}},
        {
            "key": rng.choice(["input.value", "gen_ai.prompt", "exception.stacktrace"]),
            "value": {"stringValue": text},
        },
    ]
    span = {
        "traceId": chars(rng, "h32"),
        "spanId": chars(rng, "h16"),
        "name": "execute_tool",
        "attributes": attributes,
    }
    return dump(rng, {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


def chat_request(rng: random.Random, text: str) -> Body:
    """A chat request as a Python client records it."""
    messages = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": text}]
    return dump(
        rng,
        {
            "kind": "llm.request",
            "session": "s",
            "fields": {"model": "m-large", "messages": messages, "max_tokens": 1024},
        },
    )


def mcp_result(rng: random.Random, text: str) -> Body:
    """A result of an MCP tool as JSON-RPC."""
    return dump(
        rng,
        {
            "jsonrpc": "2.0",
            "id": rng.randint(1, 99),
            "result": {"content": [{"type": "text", "text": text}], "isError": False},
        },
    )


PROSE = {
    "claude-user": claude_user,
    "event-text": event_text,
    "claude-assistant": claude_text,
    "codex-message": codex_message,
    "claude-thinking": claude_thinking,
    "chat-request": chat_request,
    "nested-1": nested(1),
    "nested-2": nested(2),
}
COMMAND = {
    "claude-bash": claude_bash,
    "codex-call": codex_call,
    "event-command": event_command,
    "claude-hook": claude_hook,
    "nested-1": nested(1),
    "nested-2": nested(2),
    "nested-3": nested(3),
    "claude-user": claude_user,
}
OUTPUT = {
    "claude-result": claude_result,
    "codex-output": codex_output,
    "event-output": event_output,
    "claude-stdout": claude_stdout,
    "claude-result-array": claude_result_array,
    "codex-exec-end": codex_exec_end,
    "otel-span": otel,
    "mcp-result": mcp_result,
    "claude-stderr": claude_stderr,
    "nested-1": nested(1),
    "nested-2": nested(2),
    "nested-3": nested(3),
}
FILE = {
    "claude-write": claude_write,
    "claude-read": claude_read,
    "codex-patch": codex_patch,
    "event-file": event_file,
    "claude-edit": claude_edit,
    "claude-result": claude_result,
    "nested-1": nested(1),
    "nested-3": nested(3),
    "claude-user": claude_user,
    "codex-output": codex_output,
}
BY_KIND = {"prose": PROSE, "command": COMMAND, "output": OUTPUT, "file": FILE}


def wrap_object(rng: random.Random, value: object, place: int) -> tuple[str, Body]:
    """Put a JSON value, not a text, into a record; returns the name of the carrier and the body."""
    places = [
        ("object-event", lambda: event(rng, "tool.used", {"tool": word(rng, "app"), "input": value})),
        ("object-tool-input", lambda: tool_use(rng, "mcp__ops__apply", {"config": value})),
        ("object-tool-use-result", lambda: tool_result(rng, "ok", toolUseResult={"data": value})),
        (
            "object-codex-arguments",
            lambda: codex(
                rng,
                "response_item",
                {
                    "type": "function_call",
                    "name": "mcp_apply",
                    "arguments": inner(rng, value),
                    "call_id": "call_" + chars(rng, "A24"),
                },
            ),
        ),
        (
            "object-in-string-2",
            lambda: event(rng, "tool.used", {"result": inner(rng, {"body": inner(rng, value)})}),
        ),
        ("object-in-array", lambda: event(rng, "state", {"items": [{"n": 1}, value, {"n": 2}]})),
    ]
    name, build = places[place % len(places)]
    return name, build()


def wrap(dice: Dice, kind: str, text: str, place: int) -> tuple[str, Body]:
    """Put a text into one of the records for its kind; returns the carrier's name and the body."""
    if kind == "object":
        return wrap_object(dice.around, json.loads(text), place)
    names = list(BY_KIND[kind])
    name = names[place % len(names)]
    return name, BY_KIND[kind][name](dice.around, text)


def delta_claude(rng: random.Random, pieces: list[str]) -> list[Body]:
    """Text deltas as Claude Code streams them."""
    session = uuid(rng)
    return [
        dump(
            rng,
            {
                "type": "stream_event",
                "session_id": session,
                "event": {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": piece},
                },
            },
        )
        for piece in pieces
    ]


def delta_claude_input(rng: random.Random, pieces: list[str]) -> list[Body]:
    """Deltas of the JSON input of a tool; the pieces together are JSON."""
    return [
        dump(
            rng,
            {
                "type": "content_block_delta",
                "index": 1,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            },
        )
        for piece in pieces
    ]


def delta_openai(rng: random.Random, pieces: list[str]) -> list[Body]:
    """Chunks of a chat completion."""
    ident = "chatcmpl-" + chars(rng, "A29")
    return [
        dump(
            rng,
            {
                "id": ident,
                "object": "chat.completion.chunk",
                "created": 1770000000,
                "model": "m",
                "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}],
            },
        )
        for piece in pieces
    ]


def delta_openai_tool(rng: random.Random, pieces: list[str]) -> list[Body]:
    """Chunks of the arguments of a tool call; the pieces together are JSON."""
    ident = "chatcmpl-" + chars(rng, "A29")
    return [
        dump(
            rng,
            {
                "id": ident,
                "object": "chat.completion.chunk",
                "choices": [
                    {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}
                ],
            },
        )
        for piece in pieces
    ]


def delta_responses(rng: random.Random, pieces: list[str]) -> list[Body]:
    """Output text deltas of the responses interface."""
    item = "msg_" + chars(rng, "h32")
    return [
        dump(
            rng,
            {
                "type": "response.output_text.delta",
                "item_id": item,
                "output_index": 0,
                "content_index": 0,
                "sequence_number": n,
                "delta": piece,
            },
        )
        for n, piece in enumerate(pieces)
    ]


def delta_own(rng: random.Random, pieces: list[str]) -> list[Body]:
    """Deltas as events of the recorder itself."""
    session = "s" + chars(rng, "l6")
    return [
        dump(rng, {"kind": "message.delta", "session": session, "fields": {"text": piece}})
        for piece in pieces
    ]


def delta_terminal(rng: random.Random, pieces: list[str]) -> list[Body]:
    """Chunks of terminal output as they were read from a pipe."""
    call = "call_" + chars(rng, "A24")
    return [
        dump(
            rng,
            {
                "type": "event_msg",
                "payload": {
                    "type": "exec_command_output_delta",
                    "call_id": call,
                    "stream": "stdout",
                    "chunk": piece,
                },
            },
        )
        for piece in pieces
    ]


def delta_hook(rng: random.Random, pieces: list[str]) -> list[Body]:
    """Deltas as a display hook receives them."""
    session, message = uuid(rng), uuid(rng)
    return [
        dump(
            rng,
            {
                "session_id": session,
                "hook_event_name": "MessageDisplay",
                "message_id": message,
                "index": n,
                "final": n == len(pieces) - 1,
                "delta": piece,
            },
        )
        for n, piece in enumerate(pieces)
    ]


TEXT_STREAMS = {
    "stream-claude": delta_claude,
    "stream-own": delta_own,
    "stream-openai": delta_openai,
    "stream-responses": delta_responses,
    "stream-terminal": delta_terminal,
    "stream-hook": delta_hook,
}
JSON_STREAMS = {"stream-claude-input": delta_claude_input, "stream-openai-tool": delta_openai_tool}
