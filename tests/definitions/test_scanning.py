"""What the system says of files that may be definitions, and what of it held still."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.definitions import reading, roots, scanning, tools


def root_of(path):
    return roots.alone(tools.CLAUDE, str(path / "x"))


def test_a_scan_says_of_each_file_what_reading_says(tmp_path):
    """By the same paths too, also where links lead to one directory in two ways: else nothing would ever be still."""
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "z").symlink_to(tmp_path / "a" / "deep")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "up").symlink_to("/")
    for name in ("one.md", "a/two.md", "a/deep/three.md", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link.md").symlink_to(tmp_path / "one.md")
    root = root_of(tmp_path)
    found = scanning.scan([root])
    listed = reading.files(root, tools.TOOLS[tools.CLAUDE])
    assert found.files == {file.path: file.state for file in listed.files}
    about = tmp_path.stat()
    assert found.places == {root.path: (about.st_dev, about.st_ino)}


def test_what_cannot_be_looked_at_is_said_and_hides_nothing(tmp_path):
    (tmp_path / "nothing.md").symlink_to(tmp_path / "not there")
    (tmp_path / "self.md").symlink_to(tmp_path / "self.md")
    (tmp_path / "one.md").write_text("x")
    found = scanning.scan([root_of(tmp_path), root_of(tmp_path / "gone")])
    assert {Path(path).name: len(state) for path, state in found.files.items()} == {
        "nothing.md": 1,
        "self.md": 1,
        "one.md": 5,
    }
    assert found.places[str(tmp_path / "gone")] is None


A, B = (1, 2, 3, 4, 5), (1, 2, 4, 5, 6)


@pytest.mark.parametrize(
    ("before", "now", "files", "moving"),
    [
        ({"a": A}, {"a": A}, {"a": A}, set()),
        ({"a": A, "b": A}, {"a": A, "b": B}, {"a": A}, {"b"}),
        ({"a": A}, {"a": A, "b": A}, {"a": A}, {"b"}),
        ({"a": A, "b": A}, {"a": A}, {"a": A}, {"b"}),
        ({}, {}, {}, set()),
    ],
)
def test_what_two_scans_say_alike_held_still(before, now, files, moving):
    assert scanning.still(before, now, is_patient=True) == (files, moving, True)
