"""Drills as programs of their own, as `make` starts them."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import REPO_ROOT

LIMIT_S = 1800


def drilled(drill: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A drill of `tests/e2e` to its end, with what it printed."""
    return subprocess.run(
        [sys.executable, "-m", f"tests.e2e.{drill}", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=REPO_ROOT,
        timeout=LIMIT_S,
        check=False,
    )
