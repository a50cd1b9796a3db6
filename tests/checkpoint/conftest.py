"""A home, and checkpoints taken in it by calls of the library."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from holdfast import checkpointing, door
from holdfast.checkpointing import Asked
from holdfast.home import Home
from holdfast.settings import load
from tests.checkpoint.builders import made

if TYPE_CHECKING:
    from pathlib import Path


def pytest_collection_modifyitems(items):
    if shutil.which("git") is None:
        for item in items:
            if "tests/checkpoint" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="git is not installed"))


class Taker:
    """Takes and gives back in one home."""

    def __init__(self, path: Path) -> None:
        self._flags = {"home": path}

    @property
    def home(self) -> Home:
        return Home(load(None, os.environ, self._flags))

    def take(self, directory: Path, message: str | None = None, **asked):
        try:
            return checkpointing.take(self.home, os.fspath(directory), Asked(message, **asked))
        finally:
            door.close()

    def back(self, oid: str, repository: Path, to: Path, *, worktree: bool = False) -> Path:
        found = checkpointing.Kept(repository, checkpointing.reading.one(repository, oid))
        checkpointing.give_back(self.home, found, to, worktree=worktree)
        return to

    def events(self) -> list[str]:
        home = self.home
        home.catch_up([])
        db = home.reader()
        try:
            return [kind for (kind,) in db.execute("SELECT kind FROM checkpoint ORDER BY time_us, id")]
        finally:
            db.close()


@pytest.fixture
def taker(home):
    return Taker(home)


@pytest.fixture
def repository(home, tmp_path):
    return made(tmp_path / "work")
