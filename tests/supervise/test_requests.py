"""Requests are understood whole or refused with everything that is wrong; ids from outside never become paths."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.supervise import requests
from holdfast.supervise.requests import Refused, Request

FULL = {
    "request_id": "req_1",
    "parent_agent_id": "L1.OVERWATCH.2",
    "agent_id": "L2.2.1",
    "agent_name": "Texture checker",
    "agent_type": "L2",
    "model": "haiku",
    "prompt": "Look at every texture.",
    "load_percentage": 12.5,
    "estimated_duration": 1800,
    "metadata": {"wave": 3},
}


def test_every_member_of_a_deployment_request_is_taken():
    made = requests.read(FULL)
    assert isinstance(made, Request)
    assert {name: getattr(made, name) for name in FULL} == FULL
    assert (made.argv, made.env, made.restart) == (None, {}, "never")


def test_our_own_members_are_taken():
    own = {
        "argv": ["true", ""],
        "cwd": "/tmp",
        "env": {"A": "b"},
        "restart": "on-failure",
        "task": "t\nu",
    }
    made = requests.read({"request_id": "r"} | own)
    assert isinstance(made, Request)
    assert {name: getattr(made, name) for name in own} == own


def test_null_is_as_good_as_left_out_and_unknown_members_are_no_fault():
    made = requests.read({"request_id": "r", "prompt": None, "priority": 1})
    assert isinstance(made, Request)
    assert made.prompt is None


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("request_id", 7),
        ("request_id", ""),
        ("request_id", "../x"),
        ("request_id", ".."),
        ("request_id", "a\\b"),
        ("request_id", "a\0b"),
        ("request_id", "x" * 300),
        ("agent_id", "../x"),
        ("parent_agent_id", ["L1"]),
        ("agent_name", "two\nlines"),
        ("agent_type", 2),
        ("model", {}),
        ("prompt", 7),
        ("prompt", "a\0b"),
        ("task", False),
        ("argv", []),
        ("argv", [""]),
        ("argv", "ls -l"),
        ("argv", ["ls", 1]),
        ("argv", ["ls", "\0"]),
        ("argv", ["ls", "x" * 200_000]),
        ("argv", ["x"] * 1_001),
        ("cwd", "relative"),
        ("cwd", "/a\0"),
        ("env", {"A": 1}),
        ("env", {"A=B": "1"}),
        ("env", {"HOLDFAST_AGENT": "x"}),
        ("env", [["A", "b"]]),
        ("restart", "always"),
        ("load_percentage", 101),
        ("load_percentage", True),
        ("estimated_duration", -1),
        ("estimated_duration", "5 minutes"),
        ("metadata", []),
    ],
)
def test_a_member_of_the_wrong_form_is_named_with_what_was_expected(name, bad):
    refused = requests.read({"request_id": "r"} | {name: bad})
    assert isinstance(refused, Refused)
    [fault] = refused.faults
    assert fault.startswith(f"{name}: expected ")
    assert ", got " in fault


def test_all_that_is_wrong_is_told_at_once_and_the_id_is_kept_for_the_answer():
    refused = requests.read({"request_id": "../x", "prompt": 1, "argv": []})
    assert isinstance(refused, Refused)
    assert [fault.partition(":")[0] for fault in refused.faults] == ["request_id", "argv", "prompt"]
    answer = refused.answer()
    assert (answer.request_id, answer.status, answer.agent) == ("../x", "failed", None)
    assert "argv: expected" in answer.error


def test_a_request_without_an_id_is_refused():
    assert requests.read({"argv": ["true"]}) == Refused(
        None,
        (
            "request_id: required but not given; expected 1 to 200 characters without control characters and slashes",
        ),
    )


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"no", "it is not JSON"),
        (b"[1]", "expected one JSON object, got a list of 1"),
        (b'"x"', "expected one JSON object"),
        (b'{"a":1} {"b":2}', "it is not JSON"),
        (b'{"a":"\xff"}', "it is not JSON"),
        (b'{"a":"\\ud800"}', "it is not JSON"),
        (b'{"a":' + b"[" * 100_000, "it is n"),
    ],
)
def test_what_is_no_object_is_told(raw, why):
    assert why in requests.parse(raw)


@given(
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(), st.lists)
    )
)
def test_no_beginning_of_an_object_is_an_object(body):
    """So whoever writes a request in place, in as many pieces as he likes, is never read half."""
    raw = json.dumps(body).encode()
    assert requests.parse(raw) == body
    assert not any(isinstance(requests.parse(raw[:end]), dict) for end in range(len(raw)))


@given(st.text())
def test_a_stem_is_a_plain_file_name(request_id):
    stem = requests.stem(request_id)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}|%[0-9a-f]{32}", stem)
    assert (stem == request_id) is bool(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", request_id))


@pytest.mark.parametrize(
    "request_id", ["../x", ".", "..", ".hidden", "a/b", "a\0b", "x" * 300, "ä", "a b", "%", ""]
)
def test_ids_that_are_no_file_names_are_hashed(request_id):
    assert re.fullmatch("%[0-9a-f]{32}", requests.stem(request_id))


def test_the_agent_of_a_request_has_the_same_id_each_time():
    assert requests.agent_id("r", "1/2") == requests.agent_id("r", "1/2")
    others = (requests.agent_id("s", "1/2"), requests.agent_id("r", "1/3"), requests.agent_id("r", "1/2", 1))
    assert len({requests.agent_id("r", "1/2"), *others}) == 4
    assert re.fullmatch("[0-9a-f]{12}", requests.agent_id("r", "1/2"))


def test_the_nearest_template_counts():
    templates = {"L2/haiku": ["a"], "L2": ["b"], "haiku": ["c"], "*": ["d"]}

    def found(**members):
        return requests.template(Request(request_id="r", **members), templates)

    assert found(agent_type="L2", model="haiku") == ["a"]
    assert found(agent_type="L2", model="other") == ["b"]
    assert found(agent_type="L3", model="haiku") == ["c"]
    assert found() == ["d"]
    assert requests.template(Request(request_id="r"), {"L2": ["b"]}) is None


def test_values_are_put_in_once_and_never_into_each_other():
    words = ["run", "--model={model}", "{prompt}", "{unknown}"]
    values = {"model": "{prompt}", "prompt": "say {model}; rm -rf /"}
    assert requests.command(words, values) == [
        "run",
        "--model={prompt}",
        "say {model}; rm -rf /",
        "{unknown}",
    ]


def test_a_template_that_needs_what_the_request_does_not_say_is_refused():
    refused = requests.command(["run", "{prompt}", "{model}"], {"request_id": "r", "model": "m"})
    assert refused == Refused("r", ("prompt: the command in deploy_commands needs it",))


def test_values_in_messages_are_short():
    refused = requests.read({"request_id": "r", "cwd": "secret " * 50})
    assert isinstance(refused, Refused)
    assert refused.faults == ("cwd: expected an absolute path, got text of 350 characters",)
