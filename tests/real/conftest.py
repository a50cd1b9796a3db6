"""What tests with a real client may ask for. Without a client, or with a way out to a network, they are skipped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.claude import BINARY, Claude, Gate
from tests.real.endpoint import Endpoint
from tests.real.scenes import Stage

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator


def _is_shut_in() -> bool:
    """Whether no network can be reached from here: no route leads anywhere but to the loopback."""
    old, new = Path("/proc/net/route"), Path("/proc/net/ipv6_route")
    if not old.exists():
        return False
    ways = [line.split()[0] for line in old.read_text().splitlines()[1:]]
    if new.exists():
        ways += [line.split()[-1] for line in new.read_text().splitlines()]
    return set(ways) <= {"lo"}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    served = Endpoint()
    yield served
    served.close()


@pytest.fixture
def client(home: Path, tmp_path: Path, endpoint: Endpoint) -> Iterator[Callable[[str], Claude]]:
    """Make a user of the client, by a name."""
    binary = BINARY
    if binary is None:
        pytest.skip("there is no real client here: `make real-clients` gets one")
    if not _is_shut_in():
        pytest.skip(
            "a real client runs only where it reaches nothing: `make real-clients`, or `python -m tests.real`"
        )
    made: list[Claude] = []

    def make(name: str) -> Claude:
        made.append(Claude(binary, tmp_path / name, endpoint))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Callable[[], Gate]]:
    """Make a gate."""
    made: list[Gate] = []

    def make() -> Gate:
        place = tmp_path / f"gate-{len(made)}"
        place.mkdir()
        made.append(Gate(place))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Played:
    """A client with our hooks installed, and what the command answers about it."""

    def __init__(self, stage: Stage, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        self.stage = stage
        self._run = run
        self._user = {"CLAUDE_CONFIG_DIR": str(stage.claude.config)}
        assert run("hooks", "install", env=self._user).returncode == 0

    @property
    def environment(self) -> dict[str, str]:
        """What the command is started with to find that client's history."""
        return os.environ | self._user

    def ask(self, *args: str, now: str = "", **environment: str) -> Any:
        more = environment | ({"HOLDFAST_NOW": now} if now else {})
        done = self._run(*args, "--json", env=self._user | more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def played(client, endpoint, gate, run) -> Played:
    return Played(Stage(client("hooked"), endpoint, gate), run)
