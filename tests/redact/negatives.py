"""Look-alikes that must come through byte for byte: identifiers, digests, placeholders, code about secrets."""

from __future__ import annotations

import json

from tests.redact.carriers import body, carry, event, rollout, tool_use, transcript
from tests.redact.lookalikes import FORMS, WORDED
from tests.redact.model import Dice, Item, Snippet, assemble, fill, password
from tests.redact.streams import TEXT_STREAMS, cut


def generate(seed: int, copies: int) -> list[Item]:
    """Every look-alike at least `copies` times, every template of it at least once."""
    items: list[Item] = []
    for form, (kind, templates) in {**FORMS, **WORDED}.items():
        for number in range(max(copies, len(templates))):
            look = Dice(f"{seed}/negative/{form}/{number}")
            items.append(_from_template(form, kind, templates[number % len(templates)], look, number))
    items += [_stream(number, Dice(f"{seed}/negative/stream/{number}")) for number in range(STREAMS)]
    for form, (build, count) in RECORDS.items():
        for number in range(max(copies, count)):
            look = Dice(f"{seed}/negative/{form}/{number}")
            items.append(_item(form, "record", number, body(look, build(look))))
    return items


def _from_template(form: str, kind: str, template: str, look: Dice, number: int) -> Item:
    drawn, _ = assemble(template, look)
    text, _ = fill(drawn, look, {})
    carrier, record = carry(look, Snippet("text", kind, text, (), look.path(".txt")))
    return _item(form, carrier, number, record)


def _stream(number: int, look: Dice) -> Item:
    """A harmless text in pieces: ids and words about secrets, cut where a redactor might wait for more."""
    _, templates = {**FORMS, **WORDED}[look.pick(STREAMED_FORMS)]
    drawn, _ = assemble(look.pick(templates), look)
    text, _ = fill("I looked: " + drawn + " That is all.", look, {})
    carrier = look.pick(tuple(TEXT_STREAMS))
    pieces = cut(text, look, 1, len(text) - 1)
    records = TEXT_STREAMS[carrier](look, pieces)
    bodies = tuple(json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode() for one in records)
    form = "harmless-stream"
    return Item(f"negative/{form}/{carrier}#s{number}", "negative", "hard-negative", form, carrier, bodies)


def _item(form: str, carrier: str, number: int, record: bytes) -> Item:
    return Item(f"negative/{form}/{carrier}#{number}", "negative", "hard-negative", form, carrier, (record,))


# Whole records whose opaque fields belong to the format


def thinking_signature(look):
    block = {
        "type": "thinking",
        "thinking": "I should look at the tests.",
        "signature": look.text("B", 380) + "==",
    }
    return transcript(look, "assistant", [block])


def redacted_thinking(look):
    return transcript(look, "assistant", [{"type": "redacted_thinking", "data": "Eo" + look.text("B", 600)}])


def signature_delta(look):
    delta = {"type": "signature_delta", "signature": look.text("B", 300) + "="}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def image_source(look):
    kind, start = look.pick(
        (("image/png", "iVBORw0KGgoAAAANSUhEUgAA"), ("image/jpeg", "/9j/4AAQSkZJRgABAQAAAQ"))
    )
    source = {"type": "base64", "media_type": kind, "data": start + look.text("B", 900) + "="}
    return transcript(look, "user", [{"type": "image", "source": source}])


def image_result(look):
    source = {
        "type": "base64",
        "media_type": "image/png",
        "data": "iVBORw0KGgoAAAANSUhEUgAA" + look.text("B", 700),
    }
    block = {"type": "tool_result", "tool_use_id": "toolu_01" + look.text("b", 22)}
    return transcript(look, "user", [block | {"content": [{"type": "image", "source": source}]}])


def pdf_document(look):
    source = {
        "type": "base64",
        "media_type": "application/pdf",
        "data": "JVBERi0xLjcKJ" + look.text("B", 800),
    }
    return transcript(look, "user", [{"type": "document", "source": source}])


def encrypted_reasoning(look):
    payload = {
        "type": "reasoning",
        "summary": [],
        "content": None,
        "encrypted_content": "gAAAAAB" + look.text("u", 500) + "==",
    }
    return rollout(look, "response_item", payload)


def usage_numbers(look):
    usage = {
        "input_tokens": look.randint(1, 90000),
        "cache_creation_input_tokens": look.randint(0, 9000),
        "cache_read_input_tokens": look.randint(0, 900000),
        "output_tokens": look.randint(1, 9000),
        "output_tokens_details": {"thinking_tokens": 0},
    }
    record = transcript(
        look, "assistant", [{"type": "text", "text": "Done."}], requestId="req_011" + look.text("b", 22)
    )
    record["message"]["usage"] = usage
    return record


def token_count(look):
    usage = {
        "input_tokens": look.randint(1, 9999),
        "cached_input_tokens": 0,
        "output_tokens": 40,
        "total_tokens": look.randint(1, 99999),
    }
    return rollout(
        look,
        "event_msg",
        {"type": "token_count", "info": {"total_token_usage": usage, "model_context_window": 258400}},
    )


def plain_tool_use(look):
    return transcript(
        look, "assistant", [tool_use(look, "Bash", {"command": "make test", "description": "Run tests"})]
    )


def codex_call(look):
    payload = {
        "type": "function_call",
        "name": "exec",
        "arguments": '{"cmd":"ls"}',
        "call_id": "call_" + look.text("b", 24),
    }
    return rollout(look, "response_item", payload | {"id": "fc_" + look.text("h", 50)})


def session_meta(look):
    git = {
        "commit_hash": look.text("h", 40),
        "branch": "main",
        "repository_url": "git@github.com:acme/atlas.git",
    }
    return rollout(
        look,
        "session_meta",
        {"id": look.uuid(), "cwd": "/home/dev/demo", "originator": "codex_exec", "git": git},
    )


def shape_hash(look):
    return {
        "type": "api-request-shape",
        "sessionId": look.uuid(),
        "shapeHash": look.text("h", 64),
        "timestamp": look.iso(),
    }


def file_history(look):
    backup = {"backupFileName": look.text("h", 16) + "@v1", "version": 1, "backupTime": look.iso()}
    snapshot = {
        "messageId": look.uuid(),
        "trackedFileBackups": {"src/token.py": backup},
        "timestamp": look.iso(),
    }
    return {"type": "file-history-snapshot", "messageId": look.uuid(), "snapshot": snapshot}


def trace_event(look):
    return event(
        look,
        "span.ended",
        trace_id=look.text("h", 32),
        span_id=look.text("h", 16),
        parent_span_id=look.text("h", 16),
    )


def harmless_keys(look):
    """Telling names over values that are no secrets: flags, numbers, nothing at all, references."""
    options = (
        {"password": None, "secret": False, "token": ""},
        {"max_tokens": 4096, "token_type": "bearer", "tokenizer": "cl100k_base"},
        {"password_min_length": 12, "password_policy": "strict", "passwordless": True},
        {"api_key": "${API_KEY}", "token": "$GITHUB_TOKEN", "secret": "<redacted>"},
        {
            "secretName": f"{look.pick(('orders', 'mail'))}-tls",
            "secretKeyRef": {"name": "db-auth", "key": "password"},
        },
        {"next_page_token": look.text("u", 44), "has_more": True},
        {"cursor": look.text("u", 60), "etag": f'W/"{look.text("h", 32)}"', "limit": 50},
        {"primary_key": "id", "foreign_key": "user_id", "sort_key": "created_at", "partition_key": "tenant"},
        {
            "tokens": look.randint(1, 9999),
            "tokens_per_second": 31.5,
            "prompt_tokens": 12,
            "completion_tokens": 7,
        },
        {"password": "[REDACTED:password:" + look.text("h", 4) + "]", "user": "svc"},
        {"api_key": "your-api-key-here", "password": "********", "secret": "changeme"},
        {
            "token_count": 12,
            "token_budget": 4000,
            "stop_token": "</s>",
            "pad_token": "<pad>",
            "eos_token": "<|endoftext|>",
        },
        {"auth_method": "password", "auth": "none", "credential_type": "oauth", "authorization": "required"},
        {"session_id": look.uuid(), "request_id": look.uuid(), "idempotency_key": look.uuid()},
        {"checksum": look.text("h", 64), "digest": "sha256:" + look.text("h", 64), "size": 4096},
        {"public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + look.text("B", 43) + " dev@laptop"},
        {"author": "mara", "authority": "https://login.example.com", "authors": ["kofi", "ines"]},
        {"passed": 12, "pass_rate": 0.98, "passes": True, "compass": "north", "bypass": "no"},
        {
            "keyboard": "de",
            "key": "Enter",
            "keycode": 13,
            "hotkey": "ctrl+shift+p",
            "keyframes": [0, 50, 100],
        },
    )
    fields = look.pick(options)
    if look.random() < 0.4:
        return event(look, "tool.used", tool="http", request=json.dumps(fields))
    return event(look, "config.read", **fields)


def harmless_stream(look):
    session = look.uuid()
    return {
        "kind": "message.delta",
        "session": session,
        "fields": {"text": look.pick(("the pass", "word", " tok", "en is", "sk-", "gh"))},
    }


def ids_in_answer(look):
    return {
        "id": "chatcmpl-" + look.text("b", 29),
        "object": "chat.completion",
        "system_fingerprint": "fp_" + look.text("h", 10),
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }


def described_password(look):
    """A word that only a made-up password would be, as a plain word of a text."""
    return event(look, "note", text=f"The branch is called {password(look, 'human').lower().rstrip('!?*.')}.")


def schema_of_tool(look):
    schema = {
        "type": "object",
        "properties": {
            "password": {"type": "string", "description": "The password to check"},
            "api_key": {"type": "string", "minLength": 20, "default": None},
        },
        "required": ["password"],
    }
    return event(look, "tool.declared", name="login", input_schema=schema)


STREAMS = 30
STREAMED_FORMS = (
    "git-commit",
    "uuid",
    "prose-about-secrets",
    "placeholders",
    "error-messages",
    "client-ids",
    "paths",
    "docker-digest",
)
RECORDS = {
    "thinking-signature": (thinking_signature, 5),
    "redacted-thinking": (redacted_thinking, 4),
    "signature-delta": (signature_delta, 4),
    "image-source": (image_source, 4),
    "image-result": (image_result, 3),
    "pdf-document": (pdf_document, 3),
    "encrypted-reasoning": (encrypted_reasoning, 4),
    "usage-numbers": (usage_numbers, 4),
    "token-count-event": (token_count, 3),
    "plain-tool-use": (plain_tool_use, 3),
    "codex-call-id": (codex_call, 3),
    "session-meta": (session_meta, 3),
    "request-shape-hash": (shape_hash, 3),
    "file-history": (file_history, 3),
    "trace-ids": (trace_event, 3),
    "harmless-keys": (harmless_keys, 40),
    "harmless-stream": (harmless_stream, 4),
    "answer-ids": (ids_in_answer, 3),
    "plain-word": (described_password, 3),
    "tool-schema": (schema_of_tool, 3),
}
