"""Homes written by earlier versions, kept as they were, open and answer the same.

`tests/golden/store-<schema version>/` is a home, `store-<n>.sessions.json` what `holdfast sessions --json` said of it. A new
schema or projection adds a directory; none is ever changed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import ask

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
HOMES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", HOMES)
def test_a_home_of_an_earlier_version_answers_the_same(name, home):
    shutil.copytree(GOLDEN / name, home, symlinks=True)
    home.chmod(0o700)
    expected = (GOLDEN / f"{name}.sessions.json").read_text()
    assert ask(home, ["sessions", "--json"]) == [expected]
    ask(home, ["rebuild"])
    assert ask(home, ["sessions", "--json"]) == [expected]
