"""The real Claude Code, started the way a person starts it, with nothing to talk to but the scripted endpoint."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.hooks import EVENTS
from tests.conftest import REPO_ROOT
from tests.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from tests.real.endpoint import Endpoint

_BUNDLED = "build/real-clients/lib/python*/site-packages/claude_agent_sdk/_bundled/claude"
_NAMED = os.environ.get("HOLDFAST_TEST_CLAUDE")
BINARY = Path(_NAMED) if _NAMED else next(REPO_ROOT.glob(_BUNDLED), None)
ALLOWED = ("Bash(echo:*)", "Bash(exit:*)", "Bash(seq:*)", "Agent", "Read", "Write")
_KEY = "made-up-key-of-a-scripted-endpoint"


@dataclass(frozen=True)
class Done:
    """How a run ended: its exit code (negative: the signal), the lines it printed, what it said on standard error."""

    code: int
    lines: list[dict[str, Any]]
    err: str

    @property
    def results(self) -> list[tuple[object, ...]]:
        """What its `result` lines say, without figures."""
        named = ("subtype", "is_error", "terminal_reason", "result")
        return [tuple(line.get(name) for name in named) for line in self.lines if line["type"] == "result"]

    @property
    def hooks_said(self) -> list[dict[str, Any]]:
        """The hooks that were not silent and successful, as the client tells it."""
        return [
            line
            for line in self.lines
            if line.get("subtype") == "hook_response"
            and (line["exit_code"] != 0 or line["outcome"] != "success" or line["stdout"] or line["stderr"])
        ]


@dataclass
class Claude:
    """One user of the client: a home, a config directory and a project of their own."""

    binary: Path
    base: Path
    endpoint: Endpoint
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in (self.user, self.config, self.project, self.base / "heard"):
            path.mkdir(parents=True)
        self._temporary = Path(tempfile.mkdtemp(prefix="real-"))  # sockets need a short path
        (self.config / ".claude.json").write_text(json.dumps(self._told()))
        self.user_hooks()

    @property
    def user(self) -> Path:
        return self.base / "user"

    @property
    def config(self) -> Path:
        return self.base / "config"

    @property
    def project(self) -> Path:
        return self.base / "project"

    def _told(self) -> dict[str, Any]:
        """What a person would have answered on the first start."""
        project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        return {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [_KEY[-20:]], "rejected": []},
            "projects": {str(self.project): project},
        }

    def user_hooks(self) -> None:
        """Hooks of the user's own at every event, which count independently: each payload becomes a file."""
        keep = f'umask 077; cat > "$(mktemp "{self.base}/heard/$$.XXXXXXXXXX")"'
        entry = {"hooks": [{"type": "command", "command": keep}]}
        settings = {"hooks": {event: [entry] for event in EVENTS}}
        (self.config / "settings.json").write_text(json.dumps(settings, indent=2))

    def heard(self) -> list[bytes]:
        """The payloads that the user's own hooks were given whole, in no order."""
        told = [path.read_bytes() for path in (self.base / "heard").iterdir()]
        return [payload for payload in told if payload.endswith(b"\n")]

    def events(self) -> list[str]:
        return [json.loads(payload)["hook_event_name"] for payload in self.heard()]

    def is_listening(self) -> bool:
        """Whether a hook of the user's own is still at work; each names its process."""
        pids = {path.name.partition(".")[0] for path in (self.base / "heard").iterdir()}
        return any(Path("/proc", pid).exists() for pid in pids)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "HOME": str(self.user),
            "TMPDIR": str(self._temporary),
            "CLAUDE_CONFIG_DIR": str(self.config),
            "ANTHROPIC_API_KEY": _KEY,
            "ANTHROPIC_BASE_URL": self.endpoint.url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
        }

    # ── without a terminal ──

    def start(self, prompt: str, *args: str) -> subprocess.Popen[str]:
        """`claude -p PROMPT`, in a process group of its own."""
        stream = ["--output-format", "stream-json", "--verbose", "--include-hook-events"]
        started = subprocess.Popen(
            [str(self.binary), "-p", prompt, *stream, "--allowedTools", ",".join(ALLOWED), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.project,
            env=self.environment,
            start_new_session=True,
        )
        self._started.append(started)
        return started

    def end(self, started: subprocess.Popen[str]) -> Done:
        """Wait for its end, and for that of the user's hooks that outlive it."""
        out, err = started.communicate(timeout=LIMIT_S)
        until(lambda: not self.is_listening(), "the user's own hooks")
        return Done(started.returncode, [json.loads(line) for line in out.splitlines()], err)

    def run(self, prompt: str, *args: str) -> Done:
        return self.end(self.start(prompt, *args))

    def close(self) -> None:
        for started in self._started:
            if started.poll() is None:
                started.kill()
            if started.stdout is not None and not started.stdout.closed:
                started.communicate()
        shutil.rmtree(self._temporary, ignore_errors=True)

    # ── what it leaves ──

    def transcripts(self) -> dict[str, bytes]:
        """Each file below its projects, by path."""
        projects = self.config / "projects"
        return {
            str(path.relative_to(projects)): path.read_bytes()
            for path in projects.rglob("*")
            if path.is_file() and path.suffix in {".jsonl", ".json"}
        }

    def sessions(self) -> list[str]:
        """Ids of its sessions, the oldest first."""
        found = sorted((self.config / "projects").glob("*/*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        return [path.stem for path in found]


class Screen:
    """The client in a terminal."""

    def __init__(self, claude: Claude, *args: str) -> None:
        self._claude = claude
        self.child, self._terminal = pty.fork()
        if self.child == 0:
            os.chdir(claude.project)
            os.execve(claude.binary, [str(claude.binary), *args], claude.environment)
        self.shown = bytearray()
        self._is_over = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._is_over.is_set():
            if select.select([self._terminal], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._terminal, 1 << 16)
                except OSError:  # the other side is closed
                    return

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def end(self) -> int:
        """Ask it to end, as closing a terminal does not; how it ended."""
        os.kill(self.child, signal.SIGTERM)
        _, status = os.waitpid(self.child, 0)
        self._is_over.set()
        self._reader.join()
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(status)


class Gate:
    """A command that says when it runs, and goes on when it is let through. Nothing of it is left when the test ends."""

    def __init__(self, directory: Path) -> None:
        begun, self._open = directory / "begun", directory / "open"
        os.mkfifo(begun)
        os.mkfifo(self._open)
        self._begun_fd = os.open(begun, os.O_RDWR | os.O_NONBLOCK)  # both ways: it is never at its end
        self.command = f"echo begun > {begun}; read word < {self._open}"

    def reached(self) -> None:
        """Wait until it runs."""
        assert select.select([self._begun_fd], [], [], LIMIT_S)[0], "the command was not run"
        os.read(self._begun_fd, 100)

    def close(self) -> None:
        os.close(self._begun_fd)
        self.let_through()

    def let_through(self) -> None:
        """Let all through that wait."""
        with contextlib.suppress(OSError):  # nobody waits
            os.close(os.open(self._open, os.O_WRONLY | os.O_NONBLOCK))
