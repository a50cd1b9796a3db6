"""Whole records without any secret whose fields are long and random by nature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.redact.second.dice import chars, timestamp, uuid, word
from tests.redact.second.envelopes import assistant, claude, codex, dump, event, inner, tool_result

if TYPE_CHECKING:
    import random


def thinking(rng: random.Random) -> bytes:
    """A thinking block with its signature."""
    text = f"The user wants the {word(rng, 'noun')} fixed. I look at the token handling first."
    return assistant(
        rng, {"type": "thinking", "thinking": text, "signature": "Er" + chars(rng, "b300-900") + "=="}
    )


def thinking_bare(rng: random.Random) -> bytes:
    """A thinking block as a message of its own."""
    return dump(rng, {"type": "thinking", "thinking": "", "signature": "Eu" + chars(rng, "b344") + "="})


def redacted_thinking(rng: random.Random) -> bytes:
    """A redacted thinking block with its data."""
    return assistant(rng, {"type": "redacted_thinking", "data": "Em" + chars(rng, "b500") + "=="})


def signature_delta(rng: random.Random) -> bytes:
    """A signature as it is streamed."""
    delta = {"type": "signature_delta", "signature": "Eq" + chars(rng, "b340") + "=="}
    return dump(rng, {"type": "content_block_delta", "index": 0, "delta": delta})


def image(rng: random.Random) -> bytes:
    """An image in a tool result."""
    source = {
        "type": "base64",
        "media_type": "image/png",
        "data": "iVBORw0KGgoAAAANSUhEUgAA" + chars(rng, "b800") + "==",
    }
    return tool_result(rng, [{"type": "image", "source": source}])


def image_url(rng: random.Random) -> bytes:
    """An image in a chat request."""
    url = "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ" + chars(rng, "b600")
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    return dump(
        rng,
        {
            "kind": "llm.request",
            "session": "s",
            "fields": {"messages": [{"role": "user", "content": content}]},
        },
    )


def document(rng: random.Random) -> bytes:
    """A document in a user message."""
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjcKJ" + chars(rng, "b500")}
    return claude(rng, "user", {"role": "user", "content": [{"type": "document", "source": source}]})


def encrypted_reasoning(rng: random.Random) -> bytes:
    """An encrypted reasoning item of Codex."""
    payload = {
        "type": "reasoning",
        "id": "rs_" + chars(rng, "h48"),
        "summary": [],
        "encrypted_content": "gAAAAABp" + chars(rng, "B600") + "==",
    }
    return codex(rng, "response_item", payload)


def token_count(rng: random.Random) -> bytes:
    """A token count of Codex."""
    usage = {
        name: rng.randint(1, 99999)
        for name in ("input_tokens", "cached_input_tokens", "output_tokens", "total_tokens")
    }
    info = {"total_token_usage": usage, "last_token_usage": usage, "model_context_window": 258400}
    return codex(rng, "event_msg", {"type": "token_count", "info": info, "rate_limits": None})


def session_meta(rng: random.Random) -> bytes:
    """The first line of a rollout."""
    git = {
        "commit_hash": chars(rng, "h40"),
        "branch": word(rng, "branch"),
        "repository_url": "git@github.com:acme/shop.git",
    }
    return codex(
        rng, "session_meta", {"id": uuid(rng), "cwd": word(rng, "dir"), "cli_version": "0.169.0", "git": git}
    )


def snapshot(rng: random.Random) -> bytes:
    """A file snapshot of a transcript."""
    backups = {
        word(rng, "file"): {
            "backupFileName": chars(rng, "h16") + "@v2",
            "version": 2,
            "backupTime": timestamp(rng),
        }
    }
    return dump(
        rng,
        {
            "type": "file-history-snapshot",
            "messageId": uuid(rng),
            "snapshot": {"messageId": uuid(rng), "trackedFileBackups": backups, "timestamp": timestamp(rng)},
        },
    )


def api_key_source(rng: random.Random) -> bytes:
    """The start of a session; it names the source of a key but holds none."""
    return dump(
        rng,
        {
            "type": "system",
            "subtype": "init",
            "session_id": uuid(rng),
            "apiKeySource": "ANTHROPIC_API_KEY",
            "tools": ["Bash", "Read"],
            "mcp_servers": [{"name": "token-store", "status": "connected"}],
            "uuid": uuid(rng),
        },
    )


def usage_result(rng: random.Random) -> bytes:
    """The result of a run with its usage."""
    usage = {
        "input_tokens": rng.randint(1, 9999),
        "cache_creation": {"ephemeral_5m_input_tokens": rng.randint(1, 9999)},
    }
    return dump(
        rng,
        {
            "type": "result",
            "subtype": "success",
            "session_id": uuid(rng),
            "total_cost_usd": rng.random(),
            "usage": usage,
            "result": "The password form now checks the token.",
        },
    )


def edit_auth_code(rng: random.Random) -> bytes:
    """An edit of code that handles secrets without holding one."""
    old = "if token is None:\n    token = get_token(password)"
    new = "token = token or get_token(password=password, secret=self.secret)"
    return assistant(
        rng,
        {
            "type": "tool_use",
            "id": "toolu_01" + chars(rng, "A22"),
            "name": "Edit",
            "input": {"file_path": word(rng, "dir") + "/auth/token.py", "old_string": old, "new_string": new},
        },
    )


def structured_patch(rng: random.Random) -> bytes:
    """The result of an edit as a structured patch."""
    lines = [
        " def login(user: str, password: str) -> Token:",
        "-    token = issue(user)",
        "+    token = issue(user, password=password)",
    ]
    patch = [{"oldStart": 12, "oldLines": 2, "newStart": 12, "newLines": 2, "lines": lines}]
    return tool_result(
        rng,
        "updated",
        toolUseResult={"filePath": word(rng, "file"), "structuredPatch": patch, "userModified": False},
    )


def todo_list(rng: random.Random) -> bytes:
    """A list of tasks about secrets."""
    todos = [
        {
            "content": "Move the password to the vault",
            "status": "pending",
            "activeForm": "Moving the password",
        },
        {"content": "Rotate token: staging", "status": "completed", "activeForm": "Rotating token: staging"},
    ]
    return assistant(
        rng,
        {
            "type": "tool_use",
            "id": "toolu_01" + chars(rng, "A22"),
            "name": "TodoWrite",
            "input": {"todos": todos},
        },
    )


def span(rng: random.Random) -> bytes:
    """A span with ids and token counts."""
    attributes = [
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": rng.randint(1, 9999)}},
        {"key": "session.id", "value": {"stringValue": uuid(rng)}},
    ]
    spans = [
        {
            "traceId": chars(rng, "h32"),
            "spanId": chars(rng, "h16"),
            "parentSpanId": chars(rng, "h16"),
            "attributes": attributes,
        }
    ]
    return dump(rng, {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})


def nested_ids(rng: random.Random) -> bytes:
    """Ids and hashes in JSON in a string in a string."""
    value = {
        "digest": "sha256:" + chars(rng, "h64"),
        "request_id": "req_" + chars(rng, "h32"),
        "etag": f'"{chars(rng, "h32")}"',
    }
    return event(
        rng,
        "tool.used",
        {"output": inner(rng, {"response": inner(rng, value)}), "tokens": rng.randint(1, 9999)},
    )


def logprobs(rng: random.Random) -> bytes:
    """Log probabilities: a list of tokens of text."""
    content = [{"token": word(rng, "noun"), "logprob": -rng.random(), "bytes": [104, 105]} for _ in range(4)]
    return dump(
        rng,
        {"id": "chatcmpl-" + chars(rng, "A29"), "choices": [{"index": 0, "logprobs": {"content": content}}]},
    )


def odd_spelling(rng: random.Random) -> bytes:
    """A harmless record in a spelling that re-serialising would change."""
    return (
        b'{ "kind":"note" ,\t"session": "s", "n": 1.0e3, "big": 12345678901234567890, '
        b'"fields": {"text":"caf\\u00e9 \\/ ' + word(rng, "noun").encode() + b'", "x":[ ] , "x":{ } }}'
    )


def lone_surrogate(rng: random.Random) -> bytes:
    """A harmless record with a lone surrogate and control escapes."""
    return (
        b'{"kind":"log","session":"s","fields":{"text":"cut \\ud83d here \\u0000 \\u001b[0m '
        + word(rng, "app").encode()
        + b'"}}'
    )


RECORDS = {
    "thinking-signature": thinking,
    "thinking-bare": thinking_bare,
    "redacted-thinking": redacted_thinking,
    "signature-delta": signature_delta,
    "image-source": image,
    "image-url": image_url,
    "document-source": document,
    "encrypted-reasoning": encrypted_reasoning,
    "token-count": token_count,
    "session-meta": session_meta,
    "file-snapshot": snapshot,
    "api-key-source": api_key_source,
    "usage-result": usage_result,
    "edit-auth-code": edit_auth_code,
    "structured-patch": structured_patch,
    "todo-list": todo_list,
    "span-ids": span,
    "nested-ids": nested_ids,
    "logprobs": logprobs,
    "odd-spelling": odd_spelling,
    "lone-surrogate": lone_surrogate,
}
