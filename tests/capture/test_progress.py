"""What an agent says of its progress: lines of text or JSON, which never go back unless they say so."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.capture import progress
from holdfast.capture.progress import Progress
from holdfast.store.project import Entry

AGENT = "0123456789ab"
TAKEN = "progress-0123456789ab-01a1fe84-711c-7000-844d-e939f7aad918"


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"40", {"percent": 40.0}),
        (b" 40.5 % ", {"percent": 40.5}),
        (b"100% done\r", {"percent": 100.0, "message": "done"}),
        (b"7 of 9 tests", {"message": "7 of 9 tests"}),
        (b"2026 is no percentage", {"message": "2026 is no percentage"}),
        (b"looking for the cause", {"message": "looking for the cause"}),
        (
            b'{"progress":40,"message":"m","current_task":"t"}',
            {"percent": 40, "message": "m", "current_task": "t"},
        ),
        (
            b'{"progress_pct":40,"progress_message":"m","task":"t"}',
            {"percent": 40, "message": "m", "current_task": "t"},
        ),
        (
            b'{"tasks_completed":3,"tasks_total":8,"reset":true}',
            {"tasks_completed": 3, "tasks_total": 8, "reset": True},
        ),
        (b'{"progress":null,"other":1}', {}),
        ("\xe4 \xff".encode("latin-1"), {"message": "\ufffd \ufffd"}),
    ],
)
def test_a_line_is_text_or_an_object(raw, fields):
    assert progress.line(raw) == (fields, None)


def test_an_empty_line_says_nothing():
    assert progress.line(b" \t") is None


def test_a_line_may_say_when_it_was_written():
    assert progress.line(b'{"progress":1,"time":"1970-01-01T00:00:01Z"}') == ({"percent": 1}, 1_000_000)
    assert progress.line(b'{"progress":1,"time":"soon"}') == ({"percent": 1}, None)


def test_what_the_command_writes_is_read_as_it_was_meant():
    assert progress.line(progress.told(40, "m", None, 1_000_000, reset=True)) == (
        {"percent": 40.0, "message": "m", "reset": True},
        1_000_000,
    )


@pytest.mark.parametrize(
    "raw",
    [b"140", b'{"progress":-1}', b'{"progress":"x"}', b'{"progress":', b'{"a":' * 9_999, b'{"message":7}'],
)
def test_what_cannot_be_meant_is_kept_as_invalid_and_counts_for_nothing(raw):
    [event] = progress.translate(_entry(raw)).events
    assert (event.kind, event.data.kind) == ("invalid", "run.progress")
    assert event.data.why
    assert progress.read(raw, AGENT) is None


def _entry(raw, file=TAKEN):
    return Entry(body=raw, record_id="r", received_us=5_000_000, file=file, path=None, start=0)


def test_a_line_belongs_to_the_session_that_the_agent_is():
    [own] = progress.translate(_entry(b"40")).events
    [tool] = progress.translate(_entry(b"40", f"{TAKEN}-claude.0a-b_c.d")).events
    assert (own.session, own.kind, own.data.run, own.time_us) == (
        f"run:{AGENT}",
        "run.progress",
        AGENT,
        5_000_000,
    )
    assert tool.session == "claude:0a-b_c.d"


def test_no_line_is_from_the_future():
    [event] = progress.translate(_entry(b'{"progress":1,"time":"2099-01-01T00:00:00Z"}')).events
    assert event.time_us == 5_000_000


@pytest.mark.parametrize(
    "session",
    [None, "run:0123456789ab", "claude:3e8f6aeb-f469-423f-893c-9e87ee5eee7e", "codex:x.y", "sdk:a/b", "no"],
)
def test_names_of_spools_hold_no_foreign_id_that_is_no_name(session):
    name = progress.taken_name(progress.spool_name(AGENT), TAKEN[22:], session)
    assert progress.TAKEN.fullmatch(name)
    assert "/" not in name
    known = session is not None and session not in ("sdk:a/b", "no")
    assert progress.session_of(name) == (session if known else f"run:{AGENT}")


def test_how_far_does_not_go_back_unless_it_begins_anew():
    told = [
        (1, {"percent": 40, "message": "a"}),
        (2, {"percent": 30, "current_task": "t"}),
        (3, {"message": "b"}),
    ]
    assert progress.latest(told) == Progress(percent=40, message="b", task="t", at_us=3)
    told.append((4, {"percent": 10, "reset": True}))
    assert progress.latest(told) == Progress(percent=10, message=None, task=None, at_us=4)


def test_what_is_done_over_what_is_to_be_done_counts_where_nothing_else_is_said():
    assert progress.latest([(1, {"tasks_completed": 3, "tasks_total": 8})]).percent == 37.5
    assert progress.latest([(1, {"tasks_completed": 9, "tasks_total": 8})]).percent == 100
    assert progress.latest([(1, {"tasks_completed": 0, "tasks_total": 0})]).percent is None
    assert progress.latest([(1, {"percent": 1, "tasks_completed": 3, "tasks_total": 8})]).percent == 1


def test_nothing_said_is_nothing_known():
    assert progress.latest([]) is None
    assert progress.latest([(1, {"message": "m"})]).percent is None


_LINE = st.fixed_dictionaries(
    {}, optional={"percent": st.integers(0, 100), "message": st.text(max_size=2), "reset": st.booleans()}
)


@given(st.lists(_LINE, max_size=12), st.integers(0, 12))
def test_lines_that_are_met_twice_at_the_end_come_to_the_same(lines, again):
    """A spool is read while it is recorded: its last lines may be met in the store too."""
    told = [(at, line) for at, line in enumerate(lines)]
    assert progress.latest([*told, *told[len(told) - min(again, len(told)) :]]) == progress.latest(told)


@given(st.lists(_LINE, max_size=12))
def test_without_a_reset_how_far_never_falls(lines):
    """Unless it begins anew."""
    before = None
    for end in range(1, len(lines) + 1):
        now = progress.latest(list(enumerate(lines[:end]))).percent
        assert lines[end - 1].get("reset") or before is None or (now is not None and now >= before)
        before = now


def test_a_list_of_tasks_tells_how_far_it_is_inferred():
    found = progress.of_tasks(
        [("completed", "a"), ("in_progress", "b"), ("pending", "c"), ("pending", "d")], 7
    )
    assert found == Progress(percent=25, message="1 of 4 tasks", task="b", at_us=7, grade="inferred")
    assert progress.of_tasks([], 7) is None


def test_a_line_is_one_line():
    assert json.loads(progress.told(None, "a\nb", "t", 0)) == {
        "message": "a\nb",
        "current_task": "t",
        "time": "1970-01-01T00:00:00.000Z",
    }
    assert progress.told(None, "a\nb", "t", 0).count(b"\n") == 1
