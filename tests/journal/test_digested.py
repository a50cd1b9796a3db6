"""Small files of ours: whole, or known to be worth nothing."""

from __future__ import annotations

import msgspec
import pytest

from holdfast.journal import digested


class Note(msgspec.Struct):
    says: str = ""


@pytest.mark.parametrize("write", [digested.write, digested.write_over])
def test_what_was_written_is_read_and_longer_ones_leave_nothing_behind(tmp_path, write):
    path = tmp_path / "note"
    for says in ("a", "long " * 10_000, "b"):
        write(path, Note(says))
        assert digested.read(path, Note) == Note(says)
        assert not digested.is_empty(path)
    assert [each.name for each in tmp_path.iterdir()] == ["note"]
    assert path.stat().st_mode & 0o777 == 0o600
    digested.empty(path)
    assert digested.is_empty(path)
    assert digested.read(path, Note) is None


def test_what_is_torn_damaged_or_of_another_kind_is_not_believed(tmp_path):
    path = tmp_path / "note"
    digested.write(path, Note("as it was"))
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        assert digested.read(path, Note) is None
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert digested.read(path, Note) is None
    path.write_bytes(whole)
    assert digested.read(path, list[int]) is None
    with pytest.raises(FileNotFoundError):
        digested.read(tmp_path / "absent", Note)
    assert digested.is_empty(tmp_path / "absent")
