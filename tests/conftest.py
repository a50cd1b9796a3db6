"""What every test may ask for: a home of its own, and the command run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import settings

import holdfast.door
from tests import warm
from tests.amount import THOROUGH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPO_ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = REPO_ROOT.parent / "shared" / "data"
RUN_LIMIT_S = 120
_CACHE = (
    Path(tempfile.gettempdir()) / f"holdfast-tests-{os.getuid()}"
)  # compiled gates; shared by all tests and runs

# A property is true or not, however busy the machine. The suite tries the same examples each time; `make thorough` others, and says how
# to try again what failed.
settings.register_profile("holdfast", deadline=None, print_blob=True, derandomize=not THOROUGH)
settings.load_profile("holdfast")


def pytest_sessionstart() -> None:
    """Compile the gate of redaction once: tests that count system calls must not meet the process that does it."""
    from holdfast.home import KeptGates
    from holdfast.redact import Redactor

    os.environ["XDG_CACHE_HOME"] = str(_CACHE)
    kept = KeptGates()
    Redactor(b"", load=kept.load, keep=kept.keep)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SHARED_DATA.is_dir():
        return
    absent = pytest.mark.skip(reason="the large recordings (../shared/data) are not on this machine")
    for item in items:
        if item.get_closest_marker("needs_shared"):
            item.add_marker(absent)


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    """What a test opened and left is closed: some thousand tests share a process, its descriptors, and where it records."""
    before = set(map(id, apsw.connections()))
    yield
    holdfast.door.close()
    for connection in apsw.connections():
        if id(connection) not in before:
            connection.close(True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty Holdfast home; nothing of the real user is visible to the test or to what it starts."""
    for name in [name for name in os.environ if name.startswith(("HOLDFAST_", "CLAUDE", "CODEX_", "XDG_"))]:
        monkeypatch.delenv(name)
    user = tmp_path / "user"
    user.mkdir()
    path = tmp_path / "holdfast-home"
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("HOLDFAST_HOME", str(path))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(_CACHE))
    monkeypatch.setenv("NO_COLOR", "1")
    for forcing_colour in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(forcing_colour, raising=False)
    yield path
    holdfast.door.close()  # while the environment still names this home


def _text(data: bytes) -> str:
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `holdfast ARGS` in a process of its own, as a user would, in an empty working directory."""
    assert os.environ["HOLDFAST_HOME"] == str(home)
    workspace = tmp_path / "workspace"
    workspace.mkdir()

    def run_holdfast(
        *args: str | Path, stdin: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = warm.run_holdfast(
            tuple(map(str, args)),
            stdin=stdin.encode(),
            env=os.environ | (env or {}),
            cwd=workspace,
            limit_s=RUN_LIMIT_S,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, _text(done.stdout), _text(done.stderr))

    return run_holdfast
