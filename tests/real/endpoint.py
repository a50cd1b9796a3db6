"""A scripted model: answers the Messages API with what a test laid down, and keeps what it was sent.

A prompt that holds `[script NAME]` is answered by the first step of that script, what follows in the same conversation by the
next ones, and when there are no more by "All done.". So a subagent follows the script that its own prompt names. A request
without tools (a title, a summary) is answered with words.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
from collections import defaultdict
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = re.compile(r"\[script ([\w-]+)\]")
_MODEL = "claude-opus-5-5"


@dataclass(frozen=True)
class Say:
    """An answer of words, which ends the turn."""

    text: str


@dataclass(frozen=True)
class Call:
    """An answer that calls tools: (name, input)."""

    calls: tuple[tuple[str, dict[str, Any]], ...]


@dataclass(frozen=True)
class Refuse:
    """An error of the API."""

    status: int
    message: str


@dataclass(frozen=True)
class Wait:
    """An answer that begins, and goes on when `go_on` is set."""

    go_on: threading.Event
    text: str


Step = Say | Call | Refuse | Wait


def bash(command: str, **more: object) -> tuple[str, dict[str, Any]]:
    """A call of the shell."""
    return "Bash", {"command": command, "description": "a step of the script", **more}


def agent(script: str, *, background: bool) -> tuple[str, dict[str, Any]]:
    """A call that starts a subagent, which follows a script of its own."""
    return "Agent", {
        "description": f"follow {script}",
        "prompt": f"[script {script}] go",
        "subagent_type": "general-purpose",
        "run_in_background": background,
    }


class Endpoint:
    """Serves on a port of the loopback, in this process."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self._scripts: dict[str, tuple[Step, ...]] = {}
        self._asked: defaultdict[tuple[str, int], threading.Event] = defaultdict(threading.Event)
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def script(self, name: str, *steps: Step) -> str:
        """Lay down what is answered; the words that a prompt must hold for it."""
        self._scripts[name] = steps
        return f"[script {name}] go"

    def asked(self, name: str, step: int) -> threading.Event:
        """Set once the client has asked for a step of a script, counted from 0."""
        with self._lock:
            return self._asked[name, step]

    def answer(self, request: dict[str, Any]) -> Step:
        """What a request is answered."""
        with self._lock:
            self.requests.append(request)
        name, step = _place(request["messages"])
        if name is None or not request.get("tools"):
            return Say("All done.")
        self.asked(name, step).set()
        steps = self._scripts[name]
        return steps[step] if step < len(steps) else Say("All done.")

    def message_id(self) -> int:
        with self._lock:
            return next(self._ids)


def _place(messages: list[dict[str, Any]]) -> tuple[str | None, int]:
    """Which script a conversation follows, and how far it came: the answers since its prompt."""
    name, step = None, 0
    for message in messages:
        if message["role"] == "assistant":
            step += 1
        elif found := _MARK.findall(" ".join(texts(message))):
            name, step = found[-1], 0
    return name, step


def texts(message: dict[str, Any]) -> list[str]:
    """What is said in a message; results of tools are not."""
    content = message["content"]
    if isinstance(content, str):
        return [content]
    return [block["text"] for block in content if block["type"] == "text"]


# ── the wire: https://docs.anthropic.com/en/docs/build-with-claude/streaming ──


def stream(step: Say | Call | Wait, number: int) -> Iterator[dict[str, Any]]:
    """The events of one answer."""
    yield {
        "type": "message_start",
        "message": {
            "id": f"msg_{number:024}",
            "type": "message",
            "role": "assistant",
            "model": _MODEL,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1000 + number, "output_tokens": 1},
        },
    }
    if isinstance(step, Wait):
        step.go_on.wait()
    blocks = _blocks(step, number)
    for index, (block, delta) in enumerate(blocks):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    reason = "tool_use" if isinstance(step, Call) else "end_turn"
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 10 + number}}
    yield {"type": "message_stop"}


def _blocks(step: Say | Call | Wait, number: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    if not isinstance(step, Call):
        return [({"type": "text", "text": ""}, {"type": "text_delta", "text": step.text})]
    return [
        (
            {"type": "tool_use", "id": f"toolu_{number:020}{at:02}", "name": name, "input": {}},
            {"type": "input_json_delta", "partial_json": json.dumps(given)},
        )
        for at, (name, given) in enumerate(step.calls)
    ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.partition("?")[0] != "/v1/messages":
            self._refuse(404, "not_found_error", "only messages are served here")
            return
        step = self.server.endpoint.answer(json.loads(body))
        if isinstance(step, Refuse):
            self._refuse(step.status, "invalid_request_error", step.message)
        else:
            self._stream(step)

    def do_GET(self) -> None:
        self._refuse(404, "not_found_error", "nothing is to be had here")

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def _refuse(self, status: int, kind: str, message: str) -> None:
        body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, step: Say | Call | Wait) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client was killed, or has given up
            for event in stream(step, self.server.endpoint.message_id()):
                self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
                self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
