"""A scripted endpoint of the Responses API on the loopback address, for the real Codex.

What it answers follows from the conversation it is sent: the last message of a person names a script, and the number of tool
outputs behind it says how far the script has come.
"""

from __future__ import annotations

import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 400},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 1030,
}


def say(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def shell(command: str) -> dict[str, Any]:
    arguments = json.dumps({"cmd": command})
    return {"type": "function_call", "name": "exec_command", "arguments": arguments}


def spawn(name: str, prompt: str) -> dict[str, Any]:
    arguments = json.dumps({"task_name": name, "message": prompt, "fork_turns": "none"})
    return {
        "type": "function_call",
        "name": "spawn_agent",
        "namespace": "collaboration",
        "arguments": arguments,
    }


def wait() -> dict[str, Any]:
    arguments = json.dumps({"timeout_ms": 30_000})
    return {
        "type": "function_call",
        "name": "wait_agent",
        "namespace": "collaboration",
        "arguments": arguments,
    }


SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "plain": [say("Nothing to do.")],
    "tools": [shell("echo one"), shell("exit 3"), say("Two calls made.")],
    "slow": [shell("echo one"), shell("sleep 30; echo late"), say("Never said.")],
    "leave": [shell("touch there"), say("It was refused.")],
    "team": [
        spawn("quick", "SCRIPT:quick go"),
        spawn("late", "SCRIPT:late go"),
        wait(),
        wait(),
        say("Never said."),
    ],
    "quick": [shell("echo quick"), say("quick is done")],
    "late": [shell("echo begun >> begun; sleep 30"), say("Never said.")],
    "again": [shell("echo resumed"), say("Resumed and done.")],
}


class Endpoint(ThreadingHTTPServer):
    """Answers on a port of its own; `asked` is every body it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.numbers = itertools.count(1)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        script, step = _place(body["input"])
        if script == "error":
            self._reply(400, "application/json", json.dumps({"error": {"message": "refused"}}).encode())
            return
        number = next(self.server.numbers)
        item = {"id": f"item_{number}", **SCRIPTS[script][step]}
        if item["type"] == "function_call":
            item["call_id"] = f"call_{script}_{step}_{number}"
        self._reply(200, "text/event-stream", _stream(f"resp_{number}", item))

    def do_GET(self) -> None:
        self._reply(404, "application/json", b"{}")

    def _reply(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _place(conversation: list[dict[str, Any]]) -> tuple[str, int]:
    """(script, how many of its calls came back)."""
    script, step = "plain", 0
    for item in conversation:
        if item.get("type") == "agent_message" or (item.get("type"), item.get("role")) == ("message", "user"):
            for part in item[
                "content"
            ]:  # what an agent is told is "encrypted", which is left to the provider
                text = part.get("text") or part.get("encrypted_content") or ""
                if text.startswith("SCRIPT:"):
                    script, step = text.split()[0].removeprefix("SCRIPT:"), 0
        elif item.get("type") == "function_call_output":
            step += 1
    return script, step


def _stream(response: str, item: dict[str, Any]) -> bytes:
    events = [
        {"type": "response.created", "response": {"id": response}},
        {"type": "response.output_item.done", "item": item},
        {"type": "response.completed", "response": {"id": response, "usage": USAGE}},
    ]
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events)
