"""Splitting a file into lines, short and long."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.capture import lines

HOLD = 12  # bytes; what is longer is long here
LINES = st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")), max_size=30)
TAILS = st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from(
        [b'{"a": 1}', b'{"a": {"b": 1}', b'{"a": "}', b'{"a": "b \xff", "c": [1, 2, 3]}', b"[1]", b"}"]
    ),
)


def whole(found):
    """A line as bytes, whichever form it came in."""
    return found if isinstance(found, bytes) else b"".join(found.chunks())


def expected(content: bytes):
    """What the file holds, said in the plainest way."""
    *complete, tail = content.split(b"\n")
    out = [(line[:-1], "\r\n") if line.endswith(b"\r") else (line, "\n") for line in complete]
    try:
        held_back = not (tail.endswith(b"}") and isinstance(json.loads(tail.decode("latin-1")), dict))
    except ValueError:
        held_back = True
    return out if held_back else [*out, (tail, "")]


@settings(deadline=None, max_examples=300)
@given(LINES, TAILS, st.integers(min_value=1, max_value=64))
def test_lines_come_back_whole_whatever_their_length_and_the_chunk_size(of, tail, chunk):
    before = lines.CHUNK_BYTES
    lines.CHUNK_BYTES = chunk
    content = b"".join(line + b"\n" for line in of) + tail
    fd = os.memfd_create("lines") if hasattr(os, "memfd_create") else pytest.skip("needs memfd_create")
    try:
        os.write(fd, content)
        found = [(at, whole(line), end) for at, line, end in lines.read_lines(fd, 0, HOLD)]
    finally:
        lines.CHUNK_BYTES = before
        os.close(fd)
    assert [(line, end) for _, line, end in found] == expected(content)
    assert [at for at, _, _ in found] == [
        sum(len(line) + len(end) for _, line, end in found[:n]) for n in range(len(found))
    ]


@pytest.mark.parametrize("length", [5, 3_000_000])
@pytest.mark.parametrize(
    ("tail", "is_whole"),
    [
        (b'{"a": "%b"}', True),
        (b'{"a": {"b": "%b"}', False),
        (b'{"a": "%b}', False),
        (b'{"a": "%b\\q"}', False),
        (b'"%b"', False),
        (b"%b}", False),
    ],
)
def test_a_last_line_without_end_is_held_back_unless_it_is_a_whole_object(length, tail, is_whole, tmp_path):
    path = tmp_path / "f"
    last = tail % (b"x" * length)
    path.write_bytes(b"first\n" + last)
    fd = os.open(path, os.O_RDONLY)
    assert [whole(line) for _, line, _ in lines.read_lines(fd, 0)] == [
        b"first",
        *([last] if is_whole else []),
    ]
    os.close(fd)


def test_a_last_line_that_is_hardly_anything_but_structure_is_looked_at_whole(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b'{"a": [' + b"1," * 5_000_000 + b"1]}")
    fd = os.open(path, os.O_RDONLY)
    assert [len(line) for _, line, _ in lines.read_lines(fd, 0)] == [path.stat().st_size]
    os.close(fd)


@pytest.mark.parametrize("after", [b"", b"x" * 1_500_000 + b"\n" + b"y" * 1_500_000])
def test_a_long_line_that_is_not_what_it_was_is_not_taken(after, tmp_path):
    """Between looking for its end and reading it, the file may be cut short or written anew."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * 3_000_000 + b"\n")
    fd = os.open(path, os.O_RDONLY)
    ((_, line, _),) = lines.read_lines(fd, 0)
    path.write_bytes(after)
    with pytest.raises(lines.Unsteady, match="changed while it was read"):
        whole(line)
    os.close(fd)
