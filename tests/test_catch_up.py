"""A catch-up that is limited in time has its answers ready when the time is over."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from holdfast.home import Home
from holdfast.settings import load

if TYPE_CHECKING:
    from pathlib import Path


def line(**more: str) -> bytes:
    return json.dumps({"type": "user", "message": {"content": "go"}} | more).encode() + b"\n"


@pytest.mark.slow
def test_many_short_files_are_folded_on_the_way(tmp_path: Path):
    """They hold few bytes, but each is work; left for the end, they would be folded after the limit."""
    projects = tmp_path / "projects"
    projects.mkdir()
    for number in range(1_200):
        session = str(uuid.UUID(int=number))
        (projects / f"{session}.jsonl").write_bytes(line(sessionId=session, uuid=f"u{number}"))
    home = Home(load(None, {}, {"home": str(tmp_path / "home")}))
    folded: list[int] = []
    report = home.catch_up([projects], report=lambda now: folded.append(now.records))
    assert report.records >= 2_400, "a line and a declaration for each file"
    assert len({count for count in folded if 0 < count < report.records}) >= 2


@pytest.mark.slow
def test_a_limit_is_kept_within_a_file_and_the_next_catch_up_goes_on(tmp_path: Path):
    session = str(uuid.UUID(int=1))
    transcript = tmp_path / f"{session}.jsonl"
    lines = [line(sessionId=session, uuid=f"u{n}", padding="x" * 100_000) for n in range(150)]
    transcript.write_bytes(b"".join(lines))
    home = Home(load(None, {}, {"home": str(tmp_path / "home")}))
    done = []
    while not done or not done[-1].done:
        done.append(home.catch_up([transcript], limit_s=0))
        assert done[-1].records > 0
    assert len(done) > 2
    turns = home.reader().execute("SELECT count(*) FROM span WHERE kind = 'turn'").get
    assert turns == len(lines)
