"""What an agent wrote, read back: the last lines from the end, and no more than there was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.supervise import output
from holdfast.supervise.output import Output


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    directory = tmp_path_factory.mktemp("agent")
    (directory / "0001").mkdir()
    return directory


def log(agent):
    return agent / "0001" / "out.log"


def last(content, lines):
    """By the obvious way."""
    found = content.splitlines(keepends=True)
    return b"".join(found[-lines:] if lines else [])


@given(
    st.lists(st.sampled_from([b"\n", b"x", b"\xff\n", b"yyyyy"]), max_size=60).map(b"".join),
    st.integers(0, 9),
)
def test_the_last_lines_are_found_whatever_the_block(agent, content, lines):
    log(agent).write_bytes(content)
    for block in (1, 2, 7, 1 << 16):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(output, "_BACK_BYTES", block)
            assert b"".join(Output(agent, last_lines=lines).parts()) == last(content, lines)


@pytest.mark.parametrize(
    ("content", "most", "given", "first"),
    [
        (b"one\ntwo\nthree\n", 7, b"three\n", 8),
        (b"one\ntwo\nthree\n", 6, b"three\n", 8),
        (b"one\ntwo\nthree\n", 5, b"hree\n", 9),
        (b"one\ntwo", 100, b"one\ntwo", 0),
        (b"nothing ends here", 4, b"here", 13),
    ],
)
def test_no_more_than_asked_for_is_given_and_it_begins_with_a_line(agent, content, most, given, first):
    log(agent).write_bytes(content)
    found = Output(agent, most_bytes=most)
    assert (b"".join(found.parts()), found.first_byte) == (given, first)


def test_what_is_written_while_it_is_read_comes_next_time(agent, monkeypatch):
    """One that writes without pause keeps nobody."""
    monkeypatch.setattr(output, "_AT_ONCE_BYTES", 2)
    log(agent).write_bytes(b"abcd")
    found = Output(agent)
    first = []
    for part in found.parts():
        first.append(part)
        with log(agent).open("ab") as more:
            more.write(b"more")
    assert b"".join(first) == b"abcd"
    assert b"".join(found.parts()) == b"moremore"
