"""What a terminal or JSON cannot take as it is, shown."""

from __future__ import annotations

import os

import pytest

from holdfast.visible import printable_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"/w/plain", "/w/plain"),
        ("/w/café".encode(), "/w/café"),
        (b"/w/\xff", "/w/\\xff"),
        ("/w/é".encode() + b"\xc3", "/w/é\\xc3"),
    ],
)
def test_a_path_can_be_named_whatever_bytes_it_has(name, text):
    assert printable_path(os.fsdecode(name)) == text
    assert printable_path(text) == text
