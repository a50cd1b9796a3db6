"""Finding and reading source files."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.capture import claude_files
from holdfast.errors import NotFound

LINES = st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")), max_size=30)


@settings(deadline=None)
@given(LINES, st.integers(min_value=1, max_value=64))
def test_lines_come_back_whole_whatever_the_chunk_size(lines, chunk):
    before = claude_files._CHUNK_BYTES
    claude_files._CHUNK_BYTES = chunk
    content = b"".join(line + b"\n" for line in lines)
    fd = os.memfd_create("lines") if hasattr(os, "memfd_create") else pytest.skip("needs memfd_create")
    try:
        os.write(fd, content)
        found = list(claude_files.read_lines(fd, 0))
    finally:
        claude_files._CHUNK_BYTES = before
        os.close(fd)
    assert b"".join(line + end.encode() for _, line, end in found) == content
    assert [at for at, _, _ in found] == [sum(len(one) + 1 for one in lines[:n]) for n in range(len(lines))]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b'{"a": 1}', [b'{"a": 1}']),
        (b'{"a": {"b": 1}', []),
        (b'{"a": "}', []),
        (b"123", []),
        (b'"text"', []),
        (b"}", []),
        (b"", []),
    ],
)
def test_a_last_line_without_end_is_held_back_unless_it_is_a_whole_object(tail, expected, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"first\n" + tail)
    fd = os.open(path, os.O_RDONLY)
    assert [line for _, line, _ in claude_files.read_lines(fd, 0)] == [b"first", *expected]
    os.close(fd)


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


def test_paths_that_are_no_utf8_can_be_named():
    assert claude_files.printable_path(os.fsdecode(b"/w/\xff")) == "/w/\\xff"
