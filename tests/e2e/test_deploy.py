"""Asking for agents from Python, and following them: `holdfast.deploy`, `holdfast.status`, `holdfast.list`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import holdfast
from holdfast.errors import HomeError, NotFound, UsageError
from tests.e2e.test_progress import Gate
from tests.e2e.test_requests import Box

pytestmark = pytest.mark.slow


@pytest.fixture
def box(home, run, tmp_path):
    return Box(home, run, tmp_path)


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


def test_without_anybody_who_answers_a_deployment_is_pending_and_is_answered_later(box):
    asked = holdfast.deploy(["true"], agent_id="L2.1", request_id="r", timeout_s=0)
    assert (asked.status, asked.agent, asked.request_id, asked.error) == ("pending", None, "r", None)
    assert holdfast.status("r").status == "pending"
    box.process()
    box.ended()
    again = holdfast.deploy(["true"], agent_id="L2.1", request_id="r", timeout_s=0)
    assert again.agent == box.agents()[0].name  # nobody needs to answer it again
    assert not list(box.requests.glob("*.json"))
    assert holdfast.deploy(["false"], request_id="r", timeout_s=0) == again
    assert holdfast.status("L2.1").status == "completed"
    assert holdfast.status("r").id == box.agents()[0].name


def test_a_deployment_waits_for_its_answer(box):
    """Here the answer comes from a process that is started before, and finds nothing yet."""
    code = "import holdfast; print(holdfast.deploy(['true'], request_id='r', timeout_s=60).agent)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as waiting:
        while waiting.poll() is None and not box.responses.joinpath("r_response.json").exists():
            box.process()
        assert waiting.stdout.read().strip() == box.agents()[0].name


def test_what_is_wrong_with_the_form_is_raised_at_once_and_nothing_is_written(box):
    with pytest.raises(UsageError, match=r"request_id: expected .*; argv: expected"):
        holdfast.deploy([], request_id="../x")
    assert not list(box.requests.glob("*.json"))


def test_what_else_is_wrong_is_answered_and_may_be_mended(box):
    holdfast.deploy(["true"], cwd="/no/such", request_id="r", timeout_s=0)
    box.process()
    assert holdfast.status("r").status == "failed"
    assert "there is no such directory" in holdfast.status("r").error
    mended = holdfast.deploy(["true"], request_id="r", timeout_s=0)
    assert mended.status == "pending"
    box.process()
    box.ended()
    assert holdfast.status("r").status == "completed"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"no json", "it is no answer"),
        (b'{"request_id": 7, "status": "running"}', "it is no answer"),
        (b'{"request_id": "r"}', "it is no answer"),
        (None, "it is no plain file"),
    ],
)
def test_what_is_no_answer_where_one_is_looked_for_is_named(box, said, why):
    """Somebody else answers in our place, and wrongly."""
    code = "import holdfast; holdfast.deploy(['true'], request_id='r', timeout_s=60)"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as waiting:
        while not box.requests.joinpath("r.json").exists():
            assert waiting.poll() is None
        place = box.responses / "r_response.json"
        place.mkdir() if said is None else place.write_bytes(said)
        box.requests.joinpath("r.json").unlink()
        told = waiting.stderr.read()
    assert "HomeError" in told
    assert f"{place}: {why}" in told
    with pytest.raises(HomeError, match=why):
        holdfast.status("r")


def test_an_answer_that_names_no_request_is_one_to_what_was_asked(box):
    box.responses.mkdir(mode=0o700)
    code = "import holdfast; print(holdfast.deploy(['true'], request_id='r', timeout_s=60).request_id)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as waiting:
        while not box.requests.joinpath("r.json").exists():
            assert waiting.poll() is None
        (box.responses / "r_response.json").write_text(
            '{"request_id": null, "status": "failed", "error": "x"}'
        )
        box.requests.joinpath("r.json").unlink()
        assert waiting.stdout.read() == "r\n"


@pytest.mark.parametrize("metadata", [{"x": object()}, {object(): 1}])
def test_what_cannot_be_written_as_json_is_told_and_nothing_is_asked(box, metadata):
    with pytest.raises(UsageError, match="metadata"):
        holdfast.deploy(["true"], metadata=metadata, request_id="r", timeout_s=0)
    assert not list(box.requests.glob("*.json"))


@pytest.mark.parametrize("member", ["prompt", "task", "agent_id", "request_id", "argv", "env"])
def test_text_that_cannot_be_written_is_told_by_its_member(box, member):
    bad = {"argv": ["\ud800"], "env": {"A": "\ud800"}}.get(member, "\ud800")
    with pytest.raises(UsageError, match=f"^{member}: it cannot be written"):
        holdfast.deploy(**({"argv": ["true"], "timeout_s": 0} | {member: bad}))
    assert not list(box.requests.glob("*.json"))


def test_a_directory_in_the_place_of_an_answer_is_named_before_anything_is_asked(box):
    (box.responses / "r_response.json").mkdir(parents=True)
    with pytest.raises(HomeError, match=r"r_response\.json"):
        holdfast.deploy(["true"], request_id="r", timeout_s=0)
    assert not list(box.requests.glob("*.json"))


def test_nobody_of_a_name_is_told(box):
    with pytest.raises(NotFound, match="no agent and no request"):
        holdfast.status("L9")
    with pytest.raises(NotFound, match="no agent is called"):
        holdfast.list(parent="L9")
    assert holdfast.list() == []


def test_children_are_listed_with_their_levels_recursively_when_that_is_asked_for(box, gate):
    for agent, parent, kind in (
        ("a", None, "L1"),
        ("a.1", "a", "L2"),
        ("a.1.1", "a.1", None),
        ("b", None, "L1"),
    ):
        holdfast.deploy(
            gate.argv(), agent_id=agent, parent=parent, agent_type=kind, request_id=agent, timeout_s=0
        )
    holdfast.deploy(["true"], agent_id="a.2", parent="a", request_id="a.2", timeout_s=0)
    box.process()
    try:
        listed = holdfast.list(parent="a")
        assert [one.agent_id for one in listed if one.agent_id != "a.2"] == ["a.1"]
        deep = holdfast.list(parent="a", recursive=True, ended=True)
        assert [(one.agent_id, one.level) for one in deep] == [("a.1", 2), ("a.1.1", 3), ("a.2", 2)]
        assert [one.agent_id for one in holdfast.list() if one.agent_id != "a.2"] == [
            "a",
            "a.1",
            "a.1.1",
            "b",
        ]
        assert {one.status for one in holdfast.list() if one.agent_id != "a.2"} == {"running"}
    finally:
        gate.open()
    box.ended()
    assert holdfast.list() == []
    assert [one.status for one in holdfast.list(parent="a", ended=True)] == ["completed", "completed"]


def test_a_child_that_was_asked_for_before_its_parent_stands_below_it(box, gate):
    for agent, parent in (("L2.1", "L1.1"), ("L3.1", "L2.1"), ("L1.1", "my-coordinator"), ("L2.9", "L2.9")):
        holdfast.deploy(gate.argv(), agent_id=agent, parent=parent, request_id=agent, timeout_s=0)
        box.process()
        if agent == "L2.1":
            assert holdfast.status("L2.1").parent_known is False
            assert [one.agent_id for one in holdfast.list(parent="L1.1")] == ["L2.1"]
    try:
        above = holdfast.status("L1.1")
        assert (above.parent, above.parent_known) == ("my-coordinator", False)
        child = holdfast.status("L2.1")
        assert (child.parent, child.parent_known, child.level) == (above.id, True, 2)
        assert (holdfast.status("L2.9").parent, holdfast.status("L2.9").parent_known) == ("L2.9", False)
        for parent, recursive, named in (
            ("L1.1", False, ["L2.1"]),
            ("L1.1", True, ["L2.1", "L3.1"]),
            ("my-coordinator", False, ["L1.1"]),
            ("my-coordinator", True, ["L1.1", "L2.1", "L3.1"]),
        ):
            assert [one.agent_id for one in holdfast.list(parent=parent, recursive=recursive)] == named
        told = json.loads(box.run("ps", "--json").stdout)["agents"]
        assert [(one["external_id"], one["parent_known"], one["level"]) for one in told] == [
            ("L1.1", False, 0),
            ("L2.1", True, 1),
            ("L3.1", True, 2),
            ("L2.9", False, 0),
        ]
        assert "L1.1, who is not known" not in box.run("ps", env={"COLUMNS": "250"}).stdout
    finally:
        gate.open()
    box.ended()
    assert holdfast.status("L2.1").parent == above.id
    box.run("run", "--detach", "--name", "L1.1", "true")
    box.ended()
    assert holdfast.status("L2.1").parent == above.id  # a later one of the name takes no children


def test_how_far_an_agent_is_stands_in_its_status(box, gate):
    holdfast.deploy(gate.argv(), agent_id="L2.1", request_id="r", timeout_s=0)
    box.process()
    try:
        assert holdfast.status("L2.1").progress is None
        box.run("progress", holdfast.status("L2.1").id, "40", "--message", "half of it", "--task", "tests")
        found = holdfast.status("L2.1")
        assert (found.progress, found.progress_grade) == (40, "observed")
        assert (found.message, found.current_task) == ("half of it", "tests")
        assert holdfast.list()[0] == found
    finally:
        gate.open()
    box.ended()
