"""Names and order of segments."""

from __future__ import annotations

from holdfast.journal import segments


def test_numbers_sort_as_numbers(tmp_path):
    """Segments are ordered by number, also past eight digits, sealed or not; other files are not segments."""
    names = ["00000010.jsonl", "00000002.jsonl", "123456789.jsonl", "99999999.jsonl"]
    names += ["00000003.jsonl.zst", "00000002.jsonl.zst"]
    for name in [*names, "1.jsonl", "00000004.jsonl~", "00000006.zst", ".00000005.jsonl", "chain.jsonl"]:
        (tmp_path / name).touch()
    assert segments.numbers(tmp_path) == [2, 3, 10, 99_999_999, 123_456_789]
    assert segments.plain_numbers(tmp_path) == [2, 10, 99_999_999, 123_456_789]
    assert segments.sealed_numbers(tmp_path) == [2, 3]
    assert segments.present(tmp_path, 2).name == "00000002.jsonl"
    assert segments.present(tmp_path, 3).name == "00000003.jsonl.zst"


def test_an_absent_directory_has_no_segments(tmp_path):
    """A journal that was never written has no segments."""
    assert segments.numbers(tmp_path / "nothing") == []


def test_path_and_number_agree(tmp_path):
    """The file of a number is found again under that number."""
    for number in (1, 99_999_999, 123_456_789):
        segments.path(tmp_path, number).touch()
    assert segments.numbers(tmp_path) == [1, 99_999_999, 123_456_789]
