"""What was read of a file is kept until the file changes, and not a moment longer."""

from __future__ import annotations

import os
from datetime import date

import pytest

from holdfast.definitions import reading, registry
from holdfast.definitions.reading import State
from holdfast.settings import load

TODAY = date(2026, 11, 22)


@pytest.fixture
def look(tmp_path):
    """Ask one registry again and again; the files' contents are counted as they are read."""
    agents = tmp_path / ".claude" / "agents"
    agents.mkdir(parents=True)
    settings = load(tmp_path / "home", {"HOME": str(tmp_path)}, {})
    asked = registry.Registry(settings, str(tmp_path))
    return agents, lambda: {one.name: one for one in asked.look(str(tmp_path), TODAY).definitions}


def write(path, description):
    path.write_text(f"---\nname: {path.stem}\ndescription: {description}\n---\nDo it.\n")


def counted(monkeypatch):
    reads = []
    real = registry.reading.content
    monkeypatch.setattr(registry.reading, "content", lambda path: reads.append(path) or real(path))
    return reads


def test_only_what_changed_is_read_again(look, monkeypatch):
    agents, ask = look
    for name in ("a", "b"):
        write(agents / f"{name}.md", "one")
        os.utime(agents / f"{name}.md", ns=(1, 1))
    monkeypatch.setattr(registry, "_FINE_TICK_NS", -(10**18))  # every file counts as settled
    monkeypatch.setattr(registry, "_COARSE_TICK_NS", -(10**18))
    reads = counted(monkeypatch)
    ask()
    assert len(reads) == 2
    ask()
    assert len(reads) == 2
    write(agents / "a.md", "two!")
    assert ask()["a"].shown.parsed.description == "two!"
    assert len(reads) == 3
    (agents / "b.md").unlink()
    assert set(ask()) == {"a"}
    write(agents / "b.md", "again")
    assert ask()["b"].shown.parsed.description == "again"


def test_a_file_that_changed_just_now_is_not_kept(look, monkeypatch):
    """Two changes within one tick of the file system's clock leave the same times and may leave the same size."""
    agents, ask = look
    write(agents / "a.md", "one")
    monkeypatch.setattr(registry, "_FINE_TICK_NS", 10**18)
    reads = counted(monkeypatch)
    ask()
    ask()
    assert len(reads) == 2


def test_what_nobody_foresaw_in_one_file_hides_no_other(look, monkeypatch):
    agents, ask = look
    for name in ("a", "b"):
        write(agents / f"{name}.md", name)
    parse = registry.parse

    def fails(content, *more):
        if b"name: a" in content:
            raise LookupError("no such thing")
        return parse(content, *more)

    monkeypatch.setattr(registry, "parse", fails)
    found = ask()
    [why] = found["a"].shown.verdict.findings
    assert (found["a"].shown.verdict.validity, found["b"].shown.verdict.validity) == ("unchecked", "valid")
    assert why.text == "it could not be understood, which is Holdfast's fault: LookupError: no such thing"
    assert found["a"].shown.sha256 is not None


@pytest.mark.parametrize(
    ("limit", "most", "told", "found"),
    [
        ("_MOST_FILES", 3, None, 3),
        ("_MOST_FILES", 2, "has more than 2 definitions; others are left out", 2),
        ("_MOST_ENTRIES", 6, None, 3),
        ("_MOST_ENTRIES", 5, "has more than 5 entries; others are left out", 2),
    ],
)
def test_where_a_root_has_more_than_is_looked_at_the_reason_is_told(
    tmp_path, monkeypatch, limit, most, told, found
):
    agents = tmp_path / ".claude" / "agents"
    for number, entry in enumerate(("a.md", "b/c.md", "b/d.md")):  # six entries with those that are none
        (agents / entry).parent.mkdir(parents=True, exist_ok=True)
        write(agents / entry, f"{number}")
    (agents / "notes.txt").touch()
    (agents / "empty").mkdir()
    monkeypatch.setattr(reading, limit, most)
    asked = registry.Registry(load(tmp_path / "home", {"HOME": str(tmp_path)}, {}), str(tmp_path))
    out = asked.look(str(tmp_path), TODAY)
    assert out.unreadable == (() if told is None else ((str(agents), told),))
    assert len(out.definitions) == found


@pytest.mark.parametrize(
    ("age_ns", "nanoseconds", "settled"),
    [(10**8, 1, True), (10**6, 1, False), (10**9, 0, False), (3 * 10**9, 0, True)],
)
def test_how_long_a_change_takes_to_settle_depends_on_the_clock_of_the_file_system(
    monkeypatch, age_ns, nanoseconds, settled
):
    changed_ns = 1_700_000_000 * 10**9 + nanoseconds
    monkeypatch.setattr(registry.time, "time_ns", lambda: changed_ns + age_ns)
    assert registry.is_settled(State(1, 1, 1, changed_ns, changed_ns)) is settled
