"""Entries of Claude Code's registry, as version 2.1.330 wrote them."""

from __future__ import annotations

import json

import pytest

from holdfast.capture import claude_registry as registry
from holdfast.store.project import Entry
from tests.conftest import SHARED_DATA

HERE = registry.Place("host", "boot", "pid:[7]")
KILLED = {
    "pid": 22821,
    "sessionId": "11111111-1111-4111-8111-111111111111",
    "cwd": "/home/dev/demo",
    "startedAt": 1795259585907,
    "procStart": "138774",
    "version": "2.1.330",
    "pidDomain": "linux:3d1219c7c4c5404aaa1f6d2a48adfda4:pid:[4026531836]",
    "name": "kp-21",
    "status": "busy",
    "updatedAt": 1795259585989,
    "statusUpdatedAt": 1795259585989,
}


def test_an_entry_says_which_process_is_at_which_session():
    found = registry.listed(KILLED, HERE)
    assert found is not None
    assert found.session == "claude:11111111-1111-4111-8111-111111111111"
    process = found.process
    assert (process.pid, process.start_ticks, process.boot_id) == (22821, 138774, "boot")
    assert process.namespace == "pid:[4026531836]"
    assert (process.status, process.since_us) == ("busy", 1795259585989000)


@pytest.mark.parametrize(
    "change",
    [{"pid": 0}, {"pid": True}, {"pid": 2**31}, {"pid": "7"}, {"sessionId": None}, {"sessionId": {"a": 1}}],
)
def test_an_entry_without_process_or_session_tells_nothing(change):
    assert registry.listed(KILLED | change, HERE) is None


def test_what_is_odd_in_an_entry_is_unknown():
    odd = {"procStart": "soon", "pidDomain": 7, "status": ["busy"], "statusUpdatedAt": -1, "updatedAt": None}
    found = registry.listed(KILLED | odd, HERE)
    assert found is not None
    assert found.process.start_ticks is None
    assert found.process.namespace == "pid:[7]"
    assert (found.process.status, found.process.since_us) == (None, None)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"said": 1}', b'{"host": 1, "said": {}}', b"[" * 9_000])
def test_a_record_that_is_none_gives_no_event(body):
    assert registry.translate(Entry(body, "id", 1, "", None, 0)).events == []


def test_only_entries_are_read(tmp_path):
    """Not the key beside one, no link, nothing that is just being written."""
    (tmp_path / "22821.json").write_text(json.dumps(KILLED))
    (tmp_path / "22821.key").write_text("{}")
    (tmp_path / "1.json").write_text('{"pid":')
    (tmp_path / "2.json").symlink_to(tmp_path / "22821.json")
    (tmp_path / "notes.json").write_text("{}")
    assert [said["pid"] for _, said in registry.files(tmp_path)] == [22821]
    assert list(registry.files(tmp_path / "absent")) == []


@pytest.mark.needs_shared
def test_recorded_entries_are_understood():
    found = [
        registry.listed(said, HERE)
        for _, said in registry.files(SHARED_DATA / "claude-code" / "session-registry")
    ]
    assert [one and one.process.status for one in found] == ["busy", "busy"]
