"""The list of what was forgotten: keyed, whole or refused, and what it leaves out."""

from __future__ import annotations

import json

import pytest

from holdfast.capture.claude_files import SourceFile, session_named
from holdfast.errors import HomeError, UsageError
from holdfast.forgotten import NAME, Entry, Forgotten

KEY = b"k" * 32
ID = "3e8f6aeb-f469-423f-893c-9e87ee5eee7e"


def listed(home, key=KEY):
    return Forgotten(home, lambda: key)


def entry(forgotten, session=ID, path="/p/odd.jsonl", **more):
    hashes = forgotten.hashes
    return Entry(session=hashes.session(f"claude:{session}"), paths=frozenset([hashes.path(path)]), **more)


def source(path):
    found = path.stat()
    return SourceFile(
        str(path), found.st_size, found.st_mtime_ns, found.st_ino, path.name.endswith(".meta.json")
    )


@pytest.mark.parametrize(
    ("path", "session"),
    [
        (f"/p/-srv/{ID}.jsonl", ID),
        (f"/p/-srv/{ID}/subagents/agent-1.jsonl", ID),
        (f"/p/-srv/{ID}/subagents/agent-1.meta.json", ID),
        (f"/p/-srv/{ID}/subagents/workflows/w/agent-1.jsonl", ID),
        ("/p/subagents/x/agent-1.jsonl", None),
        (f"/p/{ID}/agent-1.jsonl", None),
        ("/p/notes.jsonl", None),
    ],
)
def test_a_path_names_a_session(path, session):
    assert session_named(path) == session


def test_a_list_says_nothing_without_the_key(tmp_path):
    """The same names under another key are other hashes, and a name as a session and as a path too."""
    forgotten = listed(tmp_path)
    forgotten.save([entry(forgotten, unfinished=True)])
    text = (tmp_path / NAME).read_text()
    assert ID not in text
    assert "odd" not in text
    other = Forgotten(tmp_path / "absent", lambda: b"o" * 32).hashes
    assert other.session(f"claude:{ID}") not in text
    assert forgotten.hashes.session("x") != forgotten.hashes.path("x")
    with pytest.raises(HomeError, match="another redaction-key"):
        listed(tmp_path, b"o" * 32)


def test_nothing_is_left_out_without_a_list(tmp_path):
    forgotten = listed(tmp_path, None)
    assert not forgotten
    assert not forgotten.holds_path(f"/p/{ID}.jsonl")
    assert not forgotten.holds_session(f"claude:{ID}")
    forgotten.remember_files([])


def test_what_is_left_out(tmp_path):
    """By the path it had, by the session it names, or, where it names none, by the one it tells of."""
    first = listed(tmp_path)
    first.save([entry(first)])
    forgotten = listed(tmp_path)
    assert forgotten.holds_path("/p/odd.jsonl")
    assert forgotten.holds_path(f"/elsewhere/{ID}.jsonl")
    assert not forgotten.holds_path("/p/even.jsonl")
    told = tmp_path / "agent-1.jsonl"
    told.write_text('no JSON\n{"type":"user"}\n' + json.dumps({"type": "user", "sessionId": ID}) + "\n")
    other = tmp_path / "agent-2.jsonl"
    other.write_text(json.dumps({"type": "user", "sessionId": ID.replace("3", "4")}) + "\n")
    assert forgotten.holds(source(told))
    assert not forgotten.holds(source(other))
    gone = source(told)
    told.unlink()
    assert not forgotten.holds(gone)


def test_what_is_remembered_again_is_off_the_list(tmp_path):
    first = listed(tmp_path)
    first.save([entry(first), entry(first, ID.replace("3", "4"), "/p/even.jsonl")])
    listed(tmp_path).remember([], ["/p/odd.jsonl"])
    assert len(listed(tmp_path).entries) == 2
    assert not listed(tmp_path).holds_path("/p/odd.jsonl")
    assert listed(tmp_path).holds_session(f"claude:{ID}")
    listed(tmp_path).remember([f"claude:{ID}"], ["/p/nothing"])
    assert len(listed(tmp_path).entries) == 1
    listed(tmp_path).save([entry(first, unfinished=True)])
    with pytest.raises(UsageError, match="not wholly forgotten"):
        listed(tmp_path).remember([f"claude:{ID}"], [])


def test_work_that_is_not_done_is_listed_until_it_is(tmp_path):
    forgotten = listed(tmp_path)
    more = entry(forgotten).with_more(["p2"], ["r"], ["f"])
    forgotten.save([more])
    again = listed(tmp_path)
    assert again.unfinished == [more]
    again.save(e.finished() for e in again.entries)
    done = listed(tmp_path)
    assert done.unfinished == []
    assert done.entries[0].files == frozenset()
    assert done.entries[0].paths == more.paths
    assert not (tmp_path / ".forgotten.new").exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format":1}', b'{"format":2,"key":"","sessions":[]}', b"\xff"]
)
def test_what_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(HomeError):
        listed(tmp_path)
