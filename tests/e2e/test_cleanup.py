"""Removing what agents left that ended long ago: those of every outcome, never a living one, and nothing before its archive is whole."""

from __future__ import annotations

import fcntl
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

from tests.e2e.test_progress import Gate
from tests.e2e.test_requests import Box

pytestmark = pytest.mark.slow
_KILLED = -9


@pytest.fixture
def box(home, run, tmp_path):
    return Box(home, run, tmp_path)


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


def start(box, **requests):
    """Agents by their requests' ids; their ids."""
    for request_id, argv in requests.items():
        box.put(request_id, {"request_id": request_id, "argv": argv, "agent_name": request_id})
    box.process()
    return {request_id: box.answer(request_id)["agent"] for request_id in requests}


def cleanup(box, *args):
    done = box.run("cleanup", "--keep-days", "0", *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def unpacked(path):
    """Members of an archive, as (name, content)."""
    with path.open("rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_agents_that_ended_go_whatever_became_of_them_and_the_living_stay(box, gate):
    made = start(
        box, ok=["true"], bad=["false"], alive=gate.argv(), stopped=["sleep", "60"], gone=["sleep", "61"]
    )
    try:
        assert box.run("stop", made["stopped"]).returncode == 0
        kill(box, made["gone"])
        listed = cleanup(box, "--dry-run")
        assert listed["dry_run"]
        assert len(box.agents()) == 5
        done = cleanup(box)
        assert {one["name"]: one["status"] for one in done["agents"]} == {
            "ok": "completed",
            "bad": "failed",
            "stopped": "cancelled",
            "gone": "interrupted",
        }
        assert done["agents"] == listed["agents"]
        assert done["size_bytes"] >= sum(one["size_bytes"] for one in done["agents"]) > 0
        assert done["kept"] == {"alive": 1}
        assert [path.name for path in box.agents()] == [made["alive"]]
        assert [path.name for path in box.responses.iterdir()] == ["alive_response.json"]
        assert [path.name for path in (box.requests / "answered").iterdir()] == ["alive.json"]
    finally:
        gate.open()
    box.ended()


def kill(box, agent):
    """Kill an agent and its shim, so that nobody saw its end."""
    room = box.home / "run" / agent / "0001"
    child = json.loads((room / "child.json").read_text())
    for pid in (child["shim_pid"], child["pid"]):
        os.kill(pid, 9)
    while any(Path(f"/proc/{child[name]}/fd/0").exists() for name in ("pid", "shim_pid")):
        pass


def test_what_ended_lately_stays(box):
    start(box, ok=["true"])
    box.ended()
    done = box.run("cleanup", "--keep-days", "1")
    assert done.stdout == "0 agents removed, 0 B; kept: 1 recent\n"
    assert len(box.agents()) == 1


def test_after_it_went_its_request_means_nothing_any_more(box):
    box.put("r", box.marking("r"))
    box.process()
    box.ended()
    cleanup(box)
    first = json.loads(box.run("sessions", "--json").stdout)["sessions"]
    box.put("r", box.marking("r"))
    box.process()
    box.ended()
    assert box.mark("r").read_text() == "x\nx\n"
    [again] = [
        one for one in json.loads(box.run("sessions", "--json").stdout)["sessions"] if one not in first
    ]
    assert again["state"] == "ended"


def test_requests_that_were_refused_go_too(box):
    box.put("r", {"request_id": "r", "argv": []})
    box.process()
    assert cleanup(box)["refused"] == 1
    assert list((box.requests / "refused").iterdir()) == []


def test_an_archive_holds_what_went_but_its_environment(box, tmp_path):
    agent = start(box, r=["sh", "-c", "echo out; echo err >&2; exit 3"])["r"]
    box.ended()
    box.run("sessions")  # what became of it is told
    directory = box.home / "run" / agent
    before = {
        f"{agent}/{path.relative_to(directory)}": path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
    done = cleanup(box, "--archive", tmp_path / "archive")
    [path] = (tmp_path / "archive").iterdir()
    assert done["archives"] == [str(path)]
    assert path.stat().st_mode & 0o777 == 0o600
    found = unpacked(path)
    assert found[f"{agent}/0001/out.log"] == b"out\nerr\n"
    assert {f"{agent}/answered/r.json", f"{agent}/responses/r_response.json"} < found.keys()
    assert {name: found.get(name) for name in before if not name.endswith("start.json")} == {
        name: content for name, content in before.items() if not name.endswith("start.json")
    }
    assert not any(name.endswith("start.json") for name in found)
    assert box.agents() == []


@pytest.mark.parametrize("said", ["production", 7, ["a", "b"], {"KEY": "hunter2"}, "hunter2"])
def test_what_a_request_says_beside_is_no_reason_to_keep_an_agent(box, tmp_path, said):
    """`environment` means nothing in a request; it may hold secrets all the same."""
    box.put("r", box.marking("r", environment=said, env={"HELD": "hunter2"}))
    box.process()
    box.ended()
    assert cleanup(box, "--archive", tmp_path / "archive")["left"] == []
    [path] = (tmp_path / "archive").iterdir()
    assert not any(b"hunter2" in content or b"production" in content for content in unpacked(path).values())


def test_one_whose_output_changes_stays(box, tmp_path):
    """Something that it left behind writes on: here, as fast as it can."""
    loop = (
        "import os\nr, w = os.pipe()\nif os.fork() == 0:\n os.setsid()\n os.write(w, b'x')\n"
        " while not os.path.exists('stop'): os.write(1, b'x')\n os._exit(0)\nos.read(r, 1)"
    )
    box.put("r", {"request_id": "r", "argv": [sys.executable, "-c", loop], "cwd": str(tmp_path)})
    box.process()
    box.ended()
    try:
        [left] = cleanup(box, "--archive", tmp_path / "archive")["left"]
        assert "changes" in left["why"]
        assert len(box.agents()) == 1
        assert list((tmp_path / "archive").iterdir()) == []
    finally:
        (tmp_path / "stop").touch()


def test_what_cannot_be_archived_stays(box, tmp_path):
    start(box, r=["true"])
    box.ended()
    (tmp_path / "file").write_text("")
    done = box.run("cleanup", "--keep-days", "0", "--archive", tmp_path / "file" / "below")
    assert done.returncode == 72
    assert len(box.agents()) == 1


def test_one_that_cannot_be_read_stays_and_is_told(box):
    agent = start(box, r=["true"])["r"]
    box.ended()
    (box.home / "run" / agent / "spec.json").write_text("{")
    assert cleanup(box)["kept"] == {"cannot be read": 1}
    assert len(box.agents()) == 1


@pytest.mark.parametrize("failpoint", ["cleanup.archived", "cleanup.removed"])
def test_a_kill_leaves_an_agent_whole_or_gone_and_archived(box, tmp_path, failpoint):
    agents = start(box, a=["true"], b=["true"])
    box.ended()
    command = [
        sys.executable,
        "-m",
        "holdfast",
        "cleanup",
        "--keep-days",
        "0",
        "--archive",
        str(tmp_path / "archive"),
    ]
    killed = subprocess.run(
        command, env=os.environ | {"HOLDFAST_FAILPOINTS": f"{failpoint}=kill"}, check=False
    )
    assert killed.returncode == _KILLED
    archived = {path.name.partition(".")[0] for path in (tmp_path / "archive").glob("*.zst")}
    assert archived | {path.name for path in box.agents()} == set(agents.values())
    subprocess.run(command, check=True)
    assert {path.name.partition(".")[0] for path in (tmp_path / "archive").glob("*.zst")} == set(
        agents.values()
    )
    assert box.agents() == []
    assert cleanup(box)["requests"] in (0, 1)
    assert list((box.requests / "answered").iterdir()) == []
    assert list(box.responses.iterdir()) == []


def test_the_request_of_an_agent_that_cannot_be_read_is_remembered(box, gate):
    """Otherwise the same request would start a second one beside it."""
    agent = start(box, r=gate.argv())["r"]
    try:
        (box.home / "run" / agent / "spec.json").write_text("{")
        assert cleanup(box)["requests"] == 0
        assert (box.requests / "answered" / "r.json").exists()
        box.put("r", {"request_id": "r", "argv": gate.argv()})
        box.process()
        assert box.answer("r")["agent"] == agent
        assert [path.name for path in box.agents()] == [agent]
    finally:
        gate.open()
    box.ended()


@pytest.mark.parametrize("point", ["request.launched", "request.kept", "request.answered"])
def test_an_agent_whose_request_is_not_answered_yet_stays(box, point):
    """Whoever carries on with the request answers with this one, and starts no second."""
    box.put("r", box.marking("r"))
    assert box.run("requests", "process", env={"HOLDFAST_FAILPOINTS": f"{point}=kill"}).returncode == _KILLED
    box.ended()
    [agent] = box.agents()
    done = cleanup(box)
    assert (done["agents"], done["kept"]) == ([], {"its request waits to be answered": 1})
    box.process()
    assert box.answer("r")["agent"] == agent.name
    assert box.mark("r").read_text() == "x\n"
    assert [one["id"] for one in cleanup(box)["agents"]] == [agent.name]


def test_rm_leaves_an_agent_whose_request_would_start_it_anew(box):
    """Once the request is answered, it may go; the request is answered as before then, and starts nothing."""
    box.put("r", box.marking("r"))
    assert box.run("requests", "process", env={"HOLDFAST_FAILPOINTS": "request.launched=kill"}).returncode < 0
    box.ended()
    [agent] = box.agents()
    done = box.run("rm", agent.name)
    assert (done.returncode, "'r' waits to be answered" in done.stderr) == (72, True), done.stderr
    box.process()
    assert box.answer("r")["agent"] == agent.name
    assert box.run("rm", agent.name).returncode == 0
    box.put("again", box.marking("r"))
    box.process()
    assert (box.agents(), box.answer("r")["agent"]) == ([], agent.name)
    assert box.mark("r").read_text() == "x\n"


@pytest.mark.parametrize("command", [("cleanup", "--keep-days", "0"), ("rm", "one")])
def test_nothing_is_removed_while_requests_are_answered(box, command):
    box.put("r", {"request_id": "r", "agent_id": "one", "argv": ["true"]})
    box.process()
    box.ended()
    with (box.home / "run" / "requests.lock").open("rb+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = box.run(*command)
    assert (done.returncode, "another process answers requests" in done.stderr) == (72, True), done.stderr
    assert len(box.agents()) == 1


def test_what_stands_where_files_of_requests_do_and_is_none_is_left_and_told(box):
    agent = start(box, r=["true"])["r"]
    box.ended()
    box.put("bad", {"request_id": "bad", "argv": []})
    (box.requests / "no-request.json").mkdir()
    (box.requests / "no-request.json" / "mine.txt").write_text("mine")
    (box.requests / "answered" / "other.json").mkdir()
    (box.responses / "other_response.json").mkdir()
    box.process()
    done = cleanup(box)
    assert [one["id"] for one in done["agents"]] == [agent]
    [refused] = [path for path in (box.requests / "refused").iterdir() if path.is_dir()]
    assert (refused / "mine.txt").read_text() == "mine"
    assert {one["id"] for one in done["left"]} == {
        str(refused),
        str(box.requests / "answered" / "other.json"),
        str(box.responses / "other_response.json"),
    }
    assert {one["why"] for one in done["left"]} == {"it is no file"}
    assert cleanup(box)["left"] == done["left"]


def test_answers_and_prompts_that_belong_to_nothing_any_more_go_too(box):
    box.put("bad", {"request_id": "bad", "argv": []})
    agents = start(box, r=["true"], kept=["true"])
    box.ended()
    for agent in agents.values():
        (box.requests / "prompts" / f"{agent}.txt").write_text("prompt")
    assert box.run("rm", agents["r"]).returncode == 0
    young = json.loads(box.run("cleanup", "--keep-days", "1", "--json").stdout)
    assert (young["leftover"], len(list(box.responses.iterdir()))) == (0, 3)
    done = cleanup(box)
    assert (done["requests"], done["refused"], done["leftover"]) == (1, 1, 2)
    for place in (
        box.responses,
        box.requests / "answered",
        box.requests / "prompts",
        box.requests / "refused",
    ):
        assert list(place.iterdir()) == []


def test_no_link_is_followed(box, tmp_path):
    agent = start(box, r=["true"])["r"]
    box.ended()
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("r.json", "x_response.json"):
        (outside / name).write_text("{}")
    (box.home / "run" / agent / "link").symlink_to(outside / "r.json")
    (box.responses / "x_response.json").symlink_to(outside / "x_response.json")
    done = cleanup(box, "--archive", tmp_path / "archive")
    assert ([one["id"] for one in done["agents"]], done["left"]) == ([agent], [])
    assert not (box.responses / "x_response.json").is_symlink()
    (box.requests / "refused").rmdir()
    (box.requests / "refused").symlink_to(outside)
    refused = box.run("cleanup", "--keep-days", "0")
    assert (refused.returncode, "no directory of yours" in refused.stderr) == (10, True), refused.stderr
    assert sorted(path.name for path in outside.iterdir()) == ["r.json", "x_response.json"]


def test_no_value_of_a_variable_is_in_an_archive(box, tmp_path):
    box.put("r", {"request_id": "r", "argv": ["true"], "env": {"OF_REQUEST": "value-of-request"}})
    box.process()
    (tmp_path / "env").write_text("OF_FILE=value-of-file\n")
    settings = json.dumps({"env": {"OF_SETTINGS": "value-of-settings"}})
    claude = tmp_path / "claude"
    claude.write_text("#!/bin/sh\nexit 0\n")
    claude.chmod(0o755)
    for argv in (["true"], [claude, "-p", "--settings", settings, "hello"]):
        done = box.run("run", "--detach", "--env-file", tmp_path / "env", "--", *argv)
        assert done.returncode == 0, done.stderr
    box.ended()
    assert len(cleanup(box, "--archive", tmp_path / "archive")["agents"]) == 3
    whole = [unpacked(path) for path in (tmp_path / "archive").iterdir()]
    content = b"".join(content for members in whole for content in members.values())
    assert b"value-of" not in content
    assert b"OF_REQUEST" in content
    assert b"OF_FILE" in content
    for members in whole:
        [spec] = [json.loads(content) for name, content in members.items() if name.endswith("spec.json")]
        assert all(value.startswith("[REDACTED:environment:") for value in spec["environment"].values())
