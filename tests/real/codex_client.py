"""The real Codex, started the way a person starts it, with nothing to talk to but the scripted endpoint.

HOLDFAST_TEST_CODEX names its binary; else it is the one that `npm install @openai/codex` put below `build/real-clients`. It runs only
where no network can be reached.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import REPO_ROOT
from tests.waiting import LIMIT_S

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

    from tests.real.codex_endpoint import Endpoint

_BUNDLED = "build/real-clients/node_modules/@openai/codex-*/vendor/*/bin/codex"
_NAMED = os.environ.get("HOLDFAST_TEST_CODEX")
BINARY = Path(_NAMED) if _NAMED else next(REPO_ROOT.glob(_BUNDLED), None)
FREE = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")


def is_shut_in() -> bool:
    """Whether no network can be reached from here: no route leads anywhere but to the loopback."""
    old, new = Path("/proc/net/route"), Path("/proc/net/ipv6_route")
    if not old.exists():
        return False
    ways = [line.split()[0] for line in old.read_text().splitlines()[1:]]
    ways += [line.split()[-1] for line in new.read_text().splitlines()] if new.exists() else []
    return set(ways) <= {"lo"}


@dataclass(frozen=True)
class Done:
    """How a run ended: its exit code (negative: the signal) and the lines it printed."""

    code: int
    lines: list[dict[str, Any]]

    @property
    def thread(self) -> str:
        return next(line["thread_id"] for line in self.lines if line["type"] == "thread.started")

    @property
    def told(self) -> list[dict[str, Any]]:
        """What it printed, without ids."""
        return [{k: v for k, v in line.items() if k != "thread_id"} for line in self.lines]


@dataclass
class Codex:
    """One user of Codex.

    Args:
        home: where it keeps its files.
        work: where it works.
        endpoint: what it talks to.
    """

    home: Path
    work: Path
    endpoint: Endpoint

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return kept | {"HOME": str(self.work), "CODEX_HOME": str(self.home)}

    def exec(self, prompt: str, *options: str, resume: str | None = None, fork: str | None = None) -> Done:
        """Run one prompt to its end, in a new thread, or one that goes on or branches off."""
        with self.started(prompt, *options, resume=resume, fork=fork) as process:
            out, _ = process.communicate(timeout=LIMIT_S)
        return Done(process.returncode, [json.loads(line) for line in out.splitlines()])

    def cut(self, prompt: str, number: signal.Signals, *options: str) -> Done:
        """Run one prompt, and send a signal while its second command is at work."""
        with self.started(prompt, *options) as process:
            lines, begun = [], 0
            while begun < 2:
                lines.append(json.loads(process.stdout.readline()))
                begun += (
                    lines[-1]["type"] == "item.started" and lines[-1]["item"]["type"] == "command_execution"
                )
            process.send_signal(number)
            out, _ = process.communicate(timeout=LIMIT_S)
        return Done(process.returncode, lines + [json.loads(line) for line in out.splitlines()])

    @contextmanager
    def started(
        self, prompt: str, *options: str, resume: str | None = None, fork: str | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        again = ["resume"] if resume else ["fork"] if fork else []
        names = [name for name in (resume, fork) if name]
        words = ["exec", *again, "--json", *FREE, *options, *names, prompt]
        process = subprocess.Popen(
            [BINARY, *self._provider(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.work,
            env=self.environment,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def _provider(self) -> list[str]:
        told = f'{{name="scripted",base_url="{self.endpoint.url}",wire_api="responses",supports_websockets=false,'
        told += "stream_max_retries=0,request_max_retries=0}"
        return [
            "-c",
            'model_provider="scripted"',
            "-c",
            f"model_providers.scripted={told}",
            "-c",
            'model="gpt-6.1-sol"',
        ]

    # ── as its own interface does ──

    @contextmanager
    def server(self) -> Iterator[Server]:
        process = subprocess.Popen(
            [BINARY, *self._provider(), "app-server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.work,
            env=self.environment,
        )
        with process:
            try:
                server = Server(process)
                server.ask("initialize", clientInfo={"name": "test", "title": "test", "version": "0"})
                server.tell("initialized")
                yield server
            finally:
                process.kill()

    def hooks(self) -> dict[str, dict[str, Any]]:
        """What it says of each hook, by its key."""
        with self.server() as server:
            (found,) = server.ask("hooks/list", cwds=[str(self.work)])["data"]
        assert found["errors"] == [], found["errors"]
        return {hook["key"]: hook for hook in found["hooks"]} | {"": {"warnings": found["warnings"]}}

    def approve(self) -> None:
        """What a person does in `/hooks`."""
        found = self.hooks()
        found.pop("")
        states = {key: {"trusted_hash": hook["currentHash"]} for key, hook in found.items()}
        edit = {"keyPath": "hooks.state", "value": states, "mergeStrategy": "upsert"}
        with self.server() as server:
            server.ask("config/batchWrite", edits=[edit])

    @property
    def rollouts(self) -> list[Path]:
        return sorted(self.home.glob("sessions/*/*/*/rollout-*"))


class Server:
    """A conversation with `codex app-server`: JSON-RPC, a line a message."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._number = 0
        self.heard: list[dict[str, Any]] = []

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def answer(self, number: int, result: dict[str, Any]) -> None:
        self._send({"id": number, "result": result})

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            said = self.next()
            if said.get("id") == self._number and "method" not in said:
                assert "result" in said, said
                return said["result"]

    def next(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        assert line, "it ended"
        self.heard.append(json.loads(line))
        return self.heard[-1]

    def until(self, method: str) -> dict[str, Any]:
        while (said := self.next()).get("method") != method:
            pass
        return said

    def _send(self, message: dict[str, Any]) -> None:
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
