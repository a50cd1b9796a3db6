"""Ask many questions in one process of the command, so that whole answers can be compared byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

CAPTURED = Path(__file__).resolve().parent.parent / "data" / "claude-code"
SCENARIOS = sorted(path.name for path in CAPTURED.iterdir() if (path / "transcript").is_dir())
NOW = (
    "2126-11-22T12:00:00Z"  # long after everything that was captured, and after anything that a test records
)

# Runs the command for each argument list on standard input, and prints its output as JSON strings.
_ASK = """
import contextlib, io, json, sys
from holdfast.cli.app import cli
for args in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        cli.main(args=args, prog_name="holdfast", standalone_mode=False)
    print(json.dumps(out.getvalue()))
"""


def ask(home: Path, *commands: list[str], now: str = NOW) -> list[str]:
    """What the command prints for each argument list, at a fixed moment, in one process of its own."""
    env = os.environ | {"HOLDFAST_HOME": str(home), "HOLDFAST_NOW": now}
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def everything(home: Path) -> dict[str, str]:
    """Every answer that does not name files: sessions, statistics, and three views of each session."""
    (listed, stats) = ask(home, ["sessions", "--json"], ["stats", "--json"])
    ids = [session["id"] for session in json.loads(listed)["sessions"]]
    views = [[view, session, "--json"] for session in ids for view in ("show", "tree", "timeline")]
    answers = dict(zip([" ".join(view) for view in views], ask(home, *views) if views else [], strict=True))
    return {"sessions": listed, "stats": stats} | answers


@pytest.fixture
def imported(home: Path) -> Callable[..., Path]:
    """Import paths into a fresh home, one after the other, and give the home."""
    made = 0

    def import_into(*paths: Path, into: Path | None = None) -> Path:
        nonlocal made
        made += 1
        target = into or home.with_name(f"home-{made}")
        ask(target, *[["import", str(path)] for path in paths])
        return target

    return import_into


@pytest.fixture
def history(home: Path, tmp_path: Path) -> Path:
    """A Claude Code config directory with every captured scenario below projects/, as the tool lays it out."""
    config = tmp_path / "claude"
    project = config / "projects" / "-home-dev-demo"
    project.mkdir(parents=True)
    for name in SCENARIOS:
        if name != "kill9-during-tool":  # the resumed session's file holds it, and more
            shutil.copytree(CAPTURED / name / "transcript", project, dirs_exist_ok=True)
    return config
