"""A user of the command who has agents started, and asks of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from holdfast.supervise import look
from tests.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from pathlib import Path


def own_variables() -> dict[str, str]:
    """What the tests themselves say to the command by the environment."""
    return {name: os.environ[name] for name in os.environ if name.startswith(("HOLDFAST_", "XDG_"))}


class User:
    """Args:
    home: where Holdfast keeps what it records.
    project: where the command is run.
    environment: what it is given.
    """

    def __init__(self, home: Path, project: Path, environment: dict[str, str]) -> None:
        self.home, self.project, self.given = home, project, environment

    def call(self, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`holdfast ARGS` to its end; `more` is added to its environment."""
        return subprocess.run(
            [sys.executable, "-m", "holdfast", *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.project,
            env=self.given | more,
            timeout=LIMIT_S,
            check=False,
        )

    def run(self, *words: str, options: tuple[str, ...] = (), **more: str) -> str:
        """Start an agent that goes on by itself; its id."""
        done = self.call("run", "--detach", *options, "--", *words, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, *args: str) -> Any:
        done = self.call(*args, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def agent(self, name: str) -> dict[str, Any]:
        """What `ps` says of an agent."""
        [found] = [one for one in self.ask("ps", "--all")["agents"] if one["id"] == name]
        return found

    def until_it_is(self, name: str, *lives: str) -> dict[str, Any]:
        """Wait until its last attempt is one of these, without asking the command; what `ps` says then."""

        def is_so() -> bool:
            last = look.look(self.home / "run" / name).last
            return last is not None and last.state in lives

        until(is_so, " or ".join(lives))
        return self.agent(name)

    def ended(self, name: str) -> dict[str, Any]:
        """Wait for its end; what `ps` says then."""
        return self.until_it_is(name, "exited", "lost")
