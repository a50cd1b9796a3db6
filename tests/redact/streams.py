"""Secrets cut into pieces over consecutive records, as streaming clients deliver them."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from tests.redact.carriers import body, event

if TYPE_CHECKING:
    from tests.redact.model import Dice, Snippet


def cut(text: str, look: Dice, secret_start: int, secret_end: int) -> list[str]:
    """Two to six pieces; at least one cut falls inside the secret."""
    wanted = look.randint(1, 5)
    places = {look.randint(secret_start + 1, secret_end - 1)}
    low, high = max(1, secret_start - 12), min(len(text) - 1, secret_end + 12)
    for _ in range(wanted - 1):
        places.add(look.randint(low, high))
    borders = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(borders)]


def _anthropic_text(look, pieces):
    return [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
        for piece in pieces
    ]


def _anthropic_thinking(look, pieces):
    return [
        {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": piece}}
        for piece in pieces
    ]


def _claude_stream_event(look, pieces):
    session = look.uuid()
    return [
        {
            "type": "stream_event",
            "event": one,
            "session_id": session,
            "parent_tool_use_id": None,
            "uuid": look.uuid(),
        }
        for one in _anthropic_text(look, pieces)
    ]


def _openai_chunk(look, pieces):
    ident = "chatcmpl-" + look.text("b", 29)
    return [
        {
            "id": ident,
            "object": "chat.completion.chunk",
            "created": 1_760_000_000,
            "model": "gpt-5",
            "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}],
        }
        for piece in pieces
    ]


def _openai_response(look, pieces):
    ident = "msg_" + look.text("h", 48)
    return [
        {
            "type": "response.output_text.delta",
            "item_id": ident,
            "output_index": 0,
            "content_index": 0,
            "delta": piece,
        }
        for piece in pieces
    ]


def _own_delta(look, pieces):
    session = look.uuid()
    return [{"kind": "message.delta", "session": session, "fields": {"text": piece}} for piece in pieces]


def _own_output(look, pieces):
    call = "call_" + look.text("b", 24)
    return [
        {"kind": "tool.output.delta", "session": "s", "fields": {"call": call, "chunk": piece}}
        for piece in pieces
    ]


TEXT_STREAMS = {
    "stream-anthropic-text": _anthropic_text,
    "stream-anthropic-thinking": _anthropic_thinking,
    "stream-claude-event": _claude_stream_event,
    "stream-openai-chunk": _openai_chunk,
    "stream-openai-response": _openai_response,
    "stream-own-delta": _own_delta,
    "stream-own-output": _own_output,
}


def _anthropic_json(look, pieces):
    return [
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": piece},
        }
        for piece in pieces
    ]


def _openai_arguments(look, pieces):
    ident = "chatcmpl-" + look.text("b", 29)
    return [
        {
            "id": ident,
            "object": "chat.completion.chunk",
            "choices": [
                {"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}
            ],
        }
        for piece in pieces
    ]


JSON_STREAMS = {"stream-anthropic-json": _anthropic_json, "stream-openai-arguments": _openai_arguments}


def stream(look: Dice, snippet: Snippet, cores: tuple[str, ...], carrier: str) -> tuple[bytes, ...]:
    """The snippet as consecutive records of one stream."""
    text = snippet.text
    make = TEXT_STREAMS.get(carrier)
    if make is None:
        make = JSON_STREAMS[carrier]
        text = json.dumps({"command": snippet.text}, ensure_ascii=False)
    start = min(place for place in (text.find(core) for core in cores) if place >= 0)
    end = max(text.find(core) + len(core) for core in cores)
    records = make(look, cut(text, look, start, end))
    return tuple(json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode() for one in records)


def interleaved(look: Dice, snippet: Snippet, cores: tuple[str, ...], carrier: str) -> tuple[bytes, ...]:
    """A stream with records of other kinds between its pieces."""
    records: list[bytes] = []
    for piece in stream(look, snippet, cores, carrier):
        records.append(piece)
        if look.random() < 0.4:
            records.append(body(look, event(look, "heartbeat", at=look.iso())))
    return tuple(records)
