"""Finding and reading source files."""

from __future__ import annotations

import os

import pytest

from holdfast.capture import claude_files
from holdfast.errors import NotFound


def test_only_transcripts_and_meta_files_are_found(tmp_path):
    session = tmp_path / "11111111-1111-4111-8111-111111111111.jsonl"
    session.write_text("")
    (tmp_path / "agent-a1.jsonl").write_text("")
    (tmp_path / "agent-a1.meta.json").write_text("{}")
    (tmp_path / "hooks.jsonl").write_text('{"payload": {}, "sessionId": "x"}\n')
    (tmp_path / "renamed.jsonl").write_text('{"type": "user", "sessionId": "x"}\n')
    (tmp_path / "settings.json").write_text("{}")
    os.mkfifo(tmp_path / "agent-pipe.jsonl")
    (tmp_path / "agent-dangling.jsonl").symlink_to(tmp_path / "nowhere")
    files, unreadable = claude_files.find([tmp_path])
    assert {file.path.rsplit("/", 1)[-1] for file in files} == {
        session.name,
        "agent-a1.jsonl",
        "agent-a1.meta.json",
        "renamed.jsonl",
    }
    assert [found.path.rsplit("/", 1)[-1] for found in unreadable] == ["agent-dangling.jsonl"]


def test_a_path_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(NotFound):
        claude_files.find([tmp_path / "absent"])


@pytest.mark.parametrize(
    ("text", "days"), [("{}", 30), ('{"cleanupPeriodDays": 5}', 5), ("torn", None), (None, 30)]
)
def test_the_tool_tells_when_it_sweeps_or_it_is_unknown(text, days, tmp_path):
    if text is not None:
        (tmp_path / "settings.json").write_text(text)
    assert claude_files.sweep_days(tmp_path) == days
