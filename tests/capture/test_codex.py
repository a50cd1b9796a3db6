"""The translator of Codex rollouts, line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.capture import codex, codex_files, codex_tools
from holdfast.store.project import Entry

RECORDED = Path(__file__).resolve().parent.parent / "data" / "codex"
THREAD = "01a1fe00-0000-7000-8000-000000000001"
ROOT = "01a1fe00-0000-7000-8000-000000000002"
FILE = f"0123456789abcdef.{THREAD}"

LINES = [
    json.loads(line) for path in sorted(RECORDED.rglob("*.jsonl")) for line in path.read_text().splitlines()
]
KINDS = sorted({line["type"] for line in LINES})
PAYLOADS = sorted({line["payload"].get("type", "") for line in LINES})
NAMES = sorted({name for line in LINES for name in line["payload"]} | {"item", "status", "changes", "type"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=4)
    ),
    max_leaves=10,
)


def translated(record: object, file: str = FILE):
    body = record if isinstance(record, bytes) else json.dumps(record).encode()
    return codex.translate(Entry(body, "r", 0, file, None, 7))


def test_the_id_of_a_rollout_gives_back_its_thread_and_session():
    for rollout in (codex_files.Rollout(THREAD, THREAD), codex_files.Rollout(ROOT, THREAD)):
        assert codex_files.rollout_of(rollout.file_id("0123456789abcdef")) == rollout
    assert codex_files.rollout_of("0123456789abcdef") is None


@pytest.mark.parametrize(
    ("meta", "root"),
    [
        ({"id": THREAD, "session_id": THREAD}, THREAD),
        ({"id": THREAD}, THREAD),
        ({"id": THREAD, "session_id": ROOT, "parent_thread_id": ROOT}, ROOT),
        ({"id": THREAD, "source": {"subagent": {"thread_spawn": {"parent_thread_id": ROOT}}}}, ROOT),
        ({"id": THREAD, "session_id": ROOT, "forked_from_id": ROOT}, THREAD),
    ],
)
def test_a_thread_counts_in_the_session_of_the_one_that_started_it(meta, root):
    line = json.dumps({"type": "session_meta", "payload": meta}).encode()
    assert codex_files.rollout_told(line) == codex_files.Rollout(root, THREAD)


@pytest.mark.parametrize(
    "line", [b"", b"{", b'{"type":"session_meta"}', b'{"type":"session_meta","payload":{"id":"x"}}', b"[]"]
)
def test_a_first_line_that_names_no_thread_tells_of_no_rollout(line):
    assert codex_files.rollout_told(line) is None


@given(
    kind=st.sampled_from(KINDS),
    payload=st.dictionaries(st.sampled_from(NAMES), JSON),
    sort=st.sampled_from(PAYLOADS),
)
def test_no_record_makes_the_translator_fail(kind, payload, sort):
    """Whatever stands in a record, it is understood, or kept, or told as a problem."""
    found = translated(
        {"type": kind, "timestamp": "2026-11-21T00:00:00Z", "payload": payload | {"type": sort}}
    )
    assert found.events or found.kept or found.problems


@given(st.binary(max_size=60))
def test_no_bytes_make_the_translator_fail(body):
    translated(body)


def test_deep_nesting_is_told_and_no_failure():
    deep = '{"a":' * 3000 + "1" + "}" * 3000
    found = translated(f'{{"type":"event_msg","payload":{{"type":"error","message":{deep}}}}}'.encode())
    assert found.events or found.problems


def test_two_records_on_one_line_are_both_read():
    record = b'{"type":"event_msg","payload":{"type":"turn_aborted","reason":"interrupted"}}'
    assert [event.kind for event in translated(record + record).events] == ["turn.ended", "turn.ended"]


@pytest.mark.parametrize(
    ("output", "status", "code"),
    [
        ("Process exited with code 3\nOutput:\nno", "failed", 3),
        ("Exit code: 0\nWall time: 0 seconds\nOutput:\nfine", "completed", 0),
        ('{"output":"no","metadata":{"exit_code":2}}', "failed", 2),
        ("Wall time: 3.3 seconds\naborted by user", "interrupted", None),
        ("unsupported call: update_plan", "failed", None),
        ([{"type": "input_text", "text": "a picture"}], "completed", None),
        (None, "completed", None),
        ("Output:\n" * 9 + "Exit code: 9", "completed", None),
    ],
)
def test_what_the_model_was_shown_tells_how_a_call_went(output, status, code):
    ended = codex_tools.shown(output)
    assert (ended.status, ended.exit_code, ended.as_shown) == (status, code, True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "add", "content": "a\nb\n"}, ("create", 2, 0, None)),
        ({"type": "delete", "content": "a\nb"}, ("delete", 0, 2, None)),
        ({"type": "update", "unified_diff": "@@ -1,2 +1,2 @@\n a\n-b\n--c\n+d\n"}, ("modify", 1, 2, None)),
        (
            {"type": "update", "unified_diff": "--- a\n+++ b\n@@ @@\n+d", "move_path": "/new"},
            ("rename", 1, 0, "/old"),
        ),
        ({"type": "update"}, ("modify", None, None, None)),
        (17, ("modify", None, None, None)),
    ],
)
def test_a_patch_tells_of_each_file(change, told):
    (file,) = codex_tools.patch({"status": "completed", "changes": {"/old": change}}, 1).files
    assert (file.operation, file.lines_added, file.lines_removed, file.old_path) == told


def test_a_patch_that_was_not_applied_changed_no_file():
    patch = codex_tools.patch(
        {"status": "failed", "stderr": "no", "changes": {"/a": {"type": "add", "content": ""}}}, 1
    )
    assert (patch.ended.status, patch.ended.output, patch.files) == ("failed", "no", [])


def test_input_without_what_it_contains_is_unknown_where_figures_contradict_each_other():
    usage = {"input_tokens": 10, "cached_input_tokens": 20, "output_tokens": 1}
    (event,) = translated({"type": "token_usage_record", "payload": {"usage": usage}}).events
    assert (event.data.input_tokens, event.data.cache_read_tokens) == (None, 20)
