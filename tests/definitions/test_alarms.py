"""What is to be told of the text that an agent ran with."""

from __future__ import annotations

import dataclasses

import pytest

from holdfast.definitions.alarms import Ran, alarms, doubted
from holdfast.definitions.effective import BUILT_IN, FILE, NOT_FOUND, Effective, Stand
from holdfast.definitions.parse import parse
from holdfast.definitions.past import Revision


def revision(sha="aaaaaaaaaa", path="/w/qa.md", **more):
    more = {"tier": "project", "size_bytes": 1_000, "validity": "valid"} | more
    return Revision(sha, 1, "claude", "qa", root="/w", path=path, sha256=sha, **more)


def ran_with(one=None, **more):
    one = one or revision()
    return Effective(FILE, "observed", "looks", "", one, one.sha256, **more)


def lies(*options):
    return Stand(options, (), ())


OTHER = revision("bbbbbbbbbb")
STUB, BIG = revision(size_bytes=32), revision("cccccccccc", "/u/qa.md", tier="user", size_bytes=25_455)


@pytest.mark.parametrize(
    ("found", "ran", "now", "codes"),
    [
        (ran_with(), Ran(), lies(revision()), []),
        (ran_with(), Ran(), lies(OTHER), ["changed-since"]),
        (ran_with(), Ran(), lies(), ["changed-since"]),
        (ran_with(), Ran(), lies(OTHER, BIG), ["changed-since"]),
        (ran_with(), Ran(), None, []),
        (ran_with(), Ran(at_work=True), lies(revision()), []),
        (ran_with(), Ran(at_work=True, goes_on=True), lies(OTHER), ["stale"]),
        (ran_with(), Ran(goes_on=True), lies(OTHER), ["stale-session"]),
        (ran_with(either=(OTHER,)), Ran(), lies(revision()), ["maybe-other"]),
        (ran_with(either=(OTHER,)), Ran(at_work=True, goes_on=True), lies(OTHER), ["stale"]),
        (ran_with(either=(OTHER,)), Ran(goes_on=True), lies(OTHER), ["stale-session"]),
        (ran_with(either=(OTHER,)), Ran(), lies(OTHER), ["maybe-other"]),
        (ran_with(STUB, shadowed=(BIG,)), Ran(), lies(STUB), ["hides-larger"]),
        (ran_with(shadowed=(BIG,)), Ran(), lies(revision()), ["hides-larger"]),
        (ran_with(shadowed=(OTHER,)), Ran(), lies(revision()), []),
        (ran_with(STUB, shadowed=(revision(size_bytes=150),)), Ran(), lies(STUB), []),
        (ran_with(STUB, shadowed=(revision("bb", size_bytes=150),)), Ran(), lies(STUB), []),
        (ran_with(revision(validity="invalid"), shadowed=(OTHER,)), Ran(), lies(revision()), ["hides-valid"]),
        (Effective(BUILT_IN, "observed", "tool-says", ""), Ran(), lies(), []),
        (Effective(BUILT_IN, "observed", "tool-says", "", shadowed=(OTHER,)), Ran(), lies(OTHER), ["built-in-ran"]),
        (Effective(NOT_FOUND, "unknown", "no-file", ""), Ran(at_work=True), lies(OTHER), []),
    ],
    ids=[
        "nothing", "changed since", "gone since", "nobody knows what lies there", "nobody looked", "at work on what lies there",
        "at work on an older text", "a session that would start it again", "it may have been another one",
        "at work on one of two", "a session that goes on with one of two", "one of two, and something lies there", "a stub that hides an agent",
        "a fourth of it", "as large", "the same text hidden", "a small one hidden", "invalid, and hides a valid one",
        "built in", "built in, though a file lay there", "not found",
    ],
)  # fmt: skip
def test_alarms(found, ran, now, codes):
    assert [one.code for one in alarms(found, "claude", ran, now, None)] == codes


def test_what_is_not_sure_is_not_said_as_a_fact():
    at_work, now = Ran(at_work=True), lies(OTHER)
    for found, words in (
        (ran_with(), "it is at work on aaaaaaaa, an older text: its file holds bbbbbbbb now"),
        (
            dataclasses.replace(ran_with(), grade="inferred"),
            "it is at work on aaaaaaaa, an older text, as far as is known: its file holds bbbbbbbb now",
        ),
        (
            dataclasses.replace(ran_with(either=(OTHER,)), grade="inferred"),
            "it is at work on aaaaaaaa or bbbbbbbb (its file changed after its session began): its file holds bbbbbbbb now",
        ),
    ):
        assert [one.text for one in alarms(found, "claude", at_work, now, None)] == [words]


def said(**keys):
    head = "".join(f"{key}: {value}\n" for key, value in keys.items())
    return parse(f"---\nname: qa\ndescription: x\n{head}---\nDo it.\n".encode(), ".md")


@pytest.mark.parametrize(
    ("keys", "ran", "codes"),
    [
        ({}, Ran(models=("claude-opus-5-5",), tools=frozenset({"Bash"})), []),
        ({"model": "haiku"}, Ran(models=("claude-haiku-5-5",)), []),
        ({"model": "haiku"}, Ran(models=("claude-opus-5-5",)), ["other-model"]),
        ({"model": "haiku"}, Ran(models=("claude-haiku-5-5", "claude-opus-5-5")), ["other-model"]),
        ({"model": "claude-opus-5-5[1m]"}, Ran(models=("claude-opus-5-5",)), []),
        ({"model": "opus"}, Ran(models=("claude-opus-5-5[1m]",)), []),
        ({"model": "sonnet"}, Ran(models=("us.anthropic.claude-sonnet-4-5-v1:0",)), []),
        ({"model": "claude-3-5-sonnet-latest"}, Ran(models=("claude-3-5-sonnet-20241022",)), []),
        ({"model": "claude-sonnet-4-5@20250929"}, Ran(models=("claude-sonnet-4-5-20250929",)), []),
        (
            {"model": "arn:aws:bedrock:us-east-1:1:application-inference-profile/a"},
            Ran(models=("claude-opus-5-5",)),
            [],
        ),
        ({"model": "best"}, Ran(models=("claude-opus-5-5",)), []),
        ({"model": "inherit"}, Ran(models=("claude-opus-5-5",)), []),
        ({"model": "haiku"}, Ran(), []),
        ({"tools": "Read, Grep"}, Ran(tools=frozenset({"Read"})), []),
        ({"tools": "Read, Grep"}, Ran(tools=frozenset({"Read", "Bash"})), ["other-tools"]),
        ({"tools": "Read"}, Ran(tools=frozenset({"mcp__x__y", "SendMessage"})), []),
        ({"tools": "Task(web)"}, Ran(tools=frozenset({"Agent"})), []),
        ({"tools": "Grep", "memory": "user"}, Ran(tools=frozenset({"Grep", "Read", "Write", "Edit"})), []),
        ({"tools": "Grep", "memory": "user"}, Ran(tools=frozenset({"Bash"})), ["other-tools"]),
        ({"tools": "Read, MultiEdit"}, Ran(tools=frozenset({"Edit"})), []),
        ({"tools": "Bash"}, Ran(tools=frozenset({"BashOutput", "KillShell", "Monitor", "TaskOutput"})), []),
        ({"tools": "Read"}, Ran(tools=frozenset({"BashOutput"})), ["other-tools"]),
        ({"tools": "'*'"}, Ran(tools=frozenset({"Bash"})), []),
        ({"disallowedTools": "Bash"}, Ran(tools=frozenset({"Bash"})), ["other-tools"]),
        ({"disallowedTools": "Bash"}, Ran(tools=frozenset({"Read"})), []),
        ({"disallowedTools": "[Read, 'Bash(rm:*)']"}, Ran(tools=frozenset({"Bash"})), []),
    ],
)
def test_what_a_run_did_is_compared_with_what_its_text_says(keys, ran, codes):
    found = alarms(ran_with(), "claude", ran, lies(revision()), said(**keys))
    assert [one.code for one in found] == codes
    less = doubted(ran_with(), "claude", ran, said(**keys))
    assert (less.grade, less.rule) == (
        ("inferred", "contradicted") if "other-tools" in codes else ("observed", "looks")
    )


def test_another_model_is_a_warning_where_no_call_can_ask_for_it():
    ran = Ran(models=("gpt-6.1-sol",))
    [of_codex] = alarms(ran_with(), "codex", ran, lies(revision()), said(model="gpt-nothing"))
    [of_claude] = alarms(ran_with(), "claude", ran, lies(revision()), said(model="haiku"))
    assert [(one.code, one.level) for one in (of_codex, of_claude)] == [
        ("other-model", "warning"),
        ("other-model", "note"),
    ]


def test_what_is_not_shown_of_a_path_is_escaped():
    one = dataclasses.replace(BIG, path="/u/\x1b[31mqa.md")
    [found] = alarms(ran_with(STUB, shadowed=(one,)), "claude", Ran(), lies(STUB), None)
    assert "\x1b" not in found.text
    assert "\\x1b" in found.text
