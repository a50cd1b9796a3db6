"""Compiled gates in the user's cache: the same again, nothing that is damaged, and those that are used."""

from __future__ import annotations

import os

from holdfast.home import KeptGates


def test_what_is_used_outlives_what_is_not(tmp_path):
    kept = KeptGates(tmp_path / "cache")
    for at_s, name in enumerate(("first", "second", "third", "fourth")):
        kept.keep(name, name.encode())
        [path] = (tmp_path / "cache").glob(f"*-{name}")
        os.utime(path, (at_s, at_s))
    assert kept.load("first") == b"first"
    kept.keep("fifth", b"fifth")
    assert [name for name in ("first", "second", "third", "fourth", "fifth") if kept.load(name)] == [
        "first",
        "third",
        "fourth",
        "fifth",
    ]


def test_a_damaged_gate_is_no_gate(tmp_path):
    kept = KeptGates(tmp_path / "cache")
    kept.keep("one", b"gate")
    [path] = (tmp_path / "cache").iterdir()
    path.write_bytes(path.read_bytes().replace(b"gate", b"goat"))
    assert kept.load("one") is None
    assert kept.load("another") is None
