"""Requests to deploy agents: answered once, whatever is killed when, also those written while nobody looked."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from holdfast.failpoints import NAMES
from holdfast.supervise import look, process
from tests import waiting

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
_KILLED = -9
# Who starts an agent under another id each time, and so twice: what the checks below must see.
_FORGETFUL = (
    "import secrets; from holdfast import deploying; deploying._Office._agent_of = lambda *_: secrets.token_hex(6); "
    "from holdfast.cli import main; main()"
)


class Box:
    """The directories of a home, as a coordinator sees them."""

    def __init__(self, home: Path, run, place: Path) -> None:
        self.home, self.run, self.place = home, run, place
        self.requests, self.responses = home / "requests", home / "responses"
        self.requests.mkdir(mode=0o700, parents=True)
        home.chmod(0o700)

    def put(self, name: str, body, *, age_s: float = 0) -> Path:
        path = self.requests / f".{name}.tmp"
        path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        if age_s:
            then = path.stat().st_mtime - age_s
            os.utime(path, (then, then))
        return path.rename(self.requests / f"{name}.json")

    def marking(self, request_id: str, **more):
        """A request for an agent that leaves one mark each time it runs."""
        return {"request_id": request_id, "argv": ["sh", "-c", f"echo x >> {self.mark(request_id)}"]} | more

    def mark(self, request_id: str) -> Path:
        return self.place / f"mark-{request_id}"

    def process(self, *args, **more):
        return self.run("requests", "process", *args, **more)

    def answer(self, stem: str):
        return json.loads((self.responses / f"{stem}_response.json").read_bytes())

    def agents(self) -> list[Path]:
        return sorted(
            path for path in (self.home / "run").iterdir() if re.fullmatch("[0-9a-f]{12}", path.name)
        )

    def ended(self) -> None:
        """Wait until every agent that was started is over: its shim lets go of its lock."""
        for lock in (self.home / "run").glob("*/*/lock"):
            with lock.open("rb+") as file:
                fcntl.lockf(file, fcntl.LOCK_EX)

    def refused(self) -> list[dict]:
        return json.loads(self.run("requests", "list", "--json").stdout)["requests"]


@pytest.fixture
def box(home, run, tmp_path):
    return Box(home, run, tmp_path)


def test_a_request_that_was_written_while_nobody_looked_is_answered_once(box):
    box.put(
        "any name", box.marking("r1", agent_id="L2.2.1", agent_name="one", agent_type="L2", metadata={"w": 3})
    )
    assert "1 request waits" in box.run("ps").stderr
    assert box.process().returncode == 0
    assert box.run("ps").stderr == ""
    box.ended()
    answer = box.answer("r1")
    [agent] = box.agents()
    assert (answer["request_id"], answer["agent_id"], answer["agent"]) == ("r1", "L2.2.1", agent.name)
    assert answer["status"] in ("spawning", "running", "completed")
    assert answer["error"] is None
    assert box.mark("r1").read_text() == "x\n"
    spec = json.loads((agent / "spec.json").read_text())
    assert (spec["external_id"], spec["request"], spec["metadata"]) == ("L2.2.1", "r1", {"w": 3})
    assert not list(box.requests.glob("*.json"))


def test_the_same_id_again_gets_the_same_answer_and_no_second_agent(box):
    """Also when the second file comes before the first is answered, with other fields, after the agent ended, and after its answer is gone."""
    box.put("a", box.marking("r1"), age_s=1)
    box.put("b", box.marking("r1", model="other"))
    box.process()
    first = (box.responses / "r1_response.json").read_bytes()
    box.ended()
    for again in ({}, {"argv": [7]}, {"prompt": "else"}):
        box.put("again", box.marking("r1", **again))
        (box.responses / "r1_response.json").unlink()
        box.process()
        assert (box.responses / "r1_response.json").read_bytes() == first
    assert len(box.agents()) == 1
    assert box.mark("r1").read_text() == "x\n"


def test_requests_are_answered_in_the_order_in_which_they_were_written(box):
    for place, name in enumerate(("c", "a", "b")):
        box.put(name, box.marking(name), age_s=100 - place)
    answers = json.loads(box.process("--json").stdout)["answers"]
    assert [answer["request_id"] for answer in answers] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("body", "stem", "why"),
    [
        (b"no json", "bad", "it is not JSON"),
        (b"", "bad", "it is empty"),
        (b"[]", "bad", "expected one JSON object"),
        (b'{"request_id":"r","argv":["true"]', "bad", "it is not JSON"),
        (b'{"request_id":"r","prompt":"' + b"x" * (1 << 20) + b'"}', "bad", "larger than 1,048,576 bytes"),
        ({"argv": ["true"]}, "bad", "request_id: required but not given"),
        ({"request_id": "r"}, "r", "argv: not given, and the setting deploy_commands"),
        ({"request_id": "r", "argv": "true"}, "r", "argv: expected a list"),
        ({"request_id": 7, "argv": ["true"]}, "bad", "request_id: expected"),
        ({"request_id": "r", "argv": ["true"], "cwd": "/no/such"}, "r", "cwd: there is no such directory"),
        ({"request_id": "r", "argv": ["no-such-program-here"]}, "r", "there is no such program"),
        (
            {"request_id": "../x", "argv": ["true"]},
            "%5f8d1e7ae5efaffb5a7de7ed5ee0a4e5",
            "request_id: expected",
        ),
        ({"request_id": "a\0b", "argv": ["true"]}, None, "request_id: expected"),
        ({"request_id": "x" * 300, "argv": ["true"]}, None, "request_id: expected"),
    ],
)
def test_what_cannot_be_carried_out_is_answered_with_what_is_wrong_and_kept(box, body, stem, why):
    from holdfast.supervise import requests

    written = (
        box.put("bad", body, age_s=3_600).read_bytes()
        if isinstance(body, bytes)
        else json.dumps(body).encode()
    )
    if not isinstance(body, bytes):
        box.put("bad", body)
    done = box.process()
    assert done.returncode == 0, done.stderr
    if isinstance(body, dict) and isinstance(body.get("request_id"), str):
        stem = requests.stem(body["request_id"])
    answer = box.answer(stem)
    assert (answer["status"], answer["agent"]) == ("failed", None)
    assert why in answer["error"]
    assert why in done.stderr
    [kept] = [path for path in (box.requests / "refused").iterdir() if not path.name.endswith(".why.json")]
    assert kept.read_bytes() == written
    [listed] = box.refused()
    assert (listed["file"], listed["state"]) == ("bad.json", "refused")
    assert why in listed["why"]
    assert not (box.home / "run").exists() or not box.agents()
    below = {path for path in box.place.rglob("*") if path.is_file() and box.home not in path.parents}
    assert not [path for path in below if "_response" in path.name]


def test_a_refused_request_binds_nothing_and_may_be_mended(box):
    box.put("r", {"request_id": "r", "argv": []})
    box.process()
    assert box.answer("r")["status"] == "failed"
    box.put("r", box.marking("r"))
    box.process()
    box.ended()
    assert box.answer("r")["error"] is None
    assert box.mark("r").read_text() == "x\n"
    box.put("r", {"argv": []})  # a file of that name does not overwrite the answer of the request of that id
    box.process()
    assert box.answer("r")["error"] is None


def test_half_a_file_is_read_again_when_it_is_whole(box):
    """One that is written in place, in two pieces."""
    raw = json.dumps(box.marking("r")).encode()
    path = box.put("r", raw[:20])
    assert "1 file not whole yet" in box.process().stderr
    assert not box.responses.joinpath("r_response.json").exists()
    with path.open("ab") as file:
        file.write(raw[20:])
    box.process()
    box.ended()
    assert box.mark("r").read_text() == "x\n"


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo"])
def test_what_is_no_file_is_moved_aside(box, kind):
    path = box.requests / "odd.json"
    if kind == "symlink":
        target = box.place / "elsewhere.json"
        target.write_text(json.dumps(box.marking("r")))
        path.symlink_to(target)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert box.process().returncode == 0
    assert box.answer("odd")["error"] == "it is no file"
    assert not os.path.lexists(path)


def test_names_of_files_mean_nothing_and_hidden_ones_are_not_read(box):
    box.put("ä ö '\"\\ %s" + "x" * 200, box.marking("r"))
    (box.requests / ".r.json").write_text("{")
    (box.requests / "r.json.tmp").write_text("{")
    os.utime(box.requests / ".r.json", (1, 1))
    (box.requests / os.fsdecode(b"\xff.json")).write_text("no")
    os.utime(box.requests / os.fsdecode(b"\xff.json"), (1, 1))
    done = box.process()
    assert done.returncode == 0, done.stderr
    assert box.answer("r")["error"] is None
    assert sorted(path.name for path in box.requests.iterdir()) == [
        ".r.json", "answered", "claimed", "prompts", "r.json.tmp", "refused",
    ]  # fmt: skip
    assert box.refused()[0]["file"] == "\\udcff.json"


def test_everything_is_for_its_owner_alone(box):
    box.requests.chmod(0o755)
    box.put("r", box.marking("r"))
    box.put("bad", b"no", age_s=60)
    box.process()
    for top in (box.requests, box.responses):
        for path in (top, *top.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600) or path.parent.name == "refused", path


def test_a_parent_is_found_by_the_name_that_its_coordinator_gave_it(box):
    sleep = {"argv": ["sleep", "0.1"]}
    box.put("a", {"request_id": "a", "agent_id": "L1.1", "cwd": str(box.place)} | sleep, age_s=9)
    box.put("b", {"request_id": "b", "agent_id": "L2.1.1", "parent_agent_id": "L1.1"} | sleep)
    box.process()
    box.ended()
    specs = [json.loads((path / "spec.json").read_text()) for path in box.agents()]
    by_id = {spec["external_id"]: spec for spec in specs}
    assert by_id["L2.1.1"]["parent"] == by_id["L1.1"]["id"]
    assert by_id["L2.1.1"]["cwd"] == str(box.place)


def test_a_name_that_is_at_work_is_not_given_twice(box):
    box.put("a", {"request_id": "a", "agent_id": "L1.1", "argv": ["cat"], "env": {}}, age_s=9)
    gate = box.place / "gate"
    os.mkfifo(gate)
    (box.requests / "a.json").unlink()
    box.put("a", {"request_id": "a", "agent_id": "L1.1", "argv": ["sh", "-c", f"read x < {gate}"]}, age_s=9)
    box.put("b", {"request_id": "b", "agent_id": "L1.1", "argv": ["true"]})
    box.process()
    try:
        assert "is at work already" in box.answer("b")["error"]
    finally:
        gate.write_text("go\n")
    box.ended()
    box.put("b", {"request_id": "b", "agent_id": "L1.1", "argv": ["true"]})
    box.process()
    assert box.answer("b")["error"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who is in a group")
def test_a_name_of_which_something_runs_on_is_not_given_twice(box):
    box.put("a", {"request_id": "a", "agent_id": "L1.1", "argv": ["sh", "-c", "sleep 600 & exec sleep 600"]})
    box.process()
    [agent] = box.agents()
    child = json.loads((look.attempt_directory(agent, 1) / "child.json").read_text())
    waiting.until(lambda: len(process.group(child["pid"])) == 2)
    for pid in (child["shim_pid"], child["pid"]):
        os.kill(pid, signal.SIGKILL)
    waiting.until(lambda: look.look(agent).last.state == "lost")
    try:
        box.put("b", {"request_id": "b", "agent_id": "L1.1", "argv": ["true"]})
        box.process()
        assert "something of it still runs" in box.answer("b")["error"]
    finally:
        box.run("stop", agent.name)
    box.put("b", {"request_id": "b", "agent_id": "L1.1", "argv": ["true"]})
    box.process()
    assert box.answer("b")["error"] is None


def test_a_template_makes_a_command_of_a_prompt(box):
    box.home.joinpath("config.toml").write_text(
        "[deploy_commands]\n"
        f'"L2/haiku" = ["sh", "-c", "printf %s \\"$1\\" > {box.place}/said; cat \\"$2\\" >> {box.place}/said", "-", '
        '"{model}:{prompt}", "{prompt_file}"]\n'
    )
    prompt = "say {model}'\"; rm -rf /\n"
    box.put("r", {"request_id": "r", "agent_type": "L2", "model": "haiku", "prompt": prompt})
    box.process()
    box.ended()
    assert (box.place / "said").read_text() == f"haiku:{prompt}{prompt}"
    [spec] = [json.loads((path / "spec.json").read_text()) for path in box.agents()]
    assert (spec["task"], spec["metadata"]["prompt"]) == (prompt.strip(), prompt)
    box.put("s", {"request_id": "s", "agent_type": "L2", "model": "haiku"})
    box.process()
    assert box.answer("s")["error"] == "prompt, prompt_file: the command in deploy_commands needs it"


def test_a_full_disk_keeps_a_request_waiting(box):
    box.put("r", box.marking("r"))
    done = box.process(env={"HOLDFAST_FAILPOINTS": "request.launched=error:ENOSPC"})
    assert done.returncode == 1
    assert "1 request could not be answered: r.json: " in done.stderr
    box.process()
    box.ended()
    assert box.mark("r").read_text() == "x\n"
    assert box.answer("r")["error"] is None


def test_two_who_answer_at_once_start_one_agent(box):
    for number in range(6):
        box.put(f"{number}", box.marking(f"r{number % 3}"))
    both = [
        subprocess.Popen([sys.executable, "-m", "holdfast", "requests", "process"], stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [one.wait() for one in both] == [0, 0]
    box.ended()
    assert len(box.agents()) == 3
    assert [box.mark(f"r{number}").read_text() for number in range(3)] == ["x\n"] * 3


# ── a kill at every step ──

POINTS = [name for name in NAMES if name.startswith("request.")] + [
    name for name in NAMES if name.startswith("run.") and name in ("run.requested", "run.making", "run.made", "run.starting", "run.started", "run.told")
]  # fmt: skip


def drill(box: Box, failpoint: str, command: list[str]) -> list[str]:
    """Kill who answers, let the next one carry on, ask again; what is wrong then."""
    box.put("1", box.marking("r1"), age_s=50)
    box.put("2", box.marking("r1"), age_s=40)
    box.put("3", {"request_id": "r2", "argv": []}, age_s=30)
    box.put("4", box.marking("r3", parent_agent_id=None), age_s=20)
    killed = subprocess.run(
        command, env=os.environ | {"HOLDFAST_FAILPOINTS": f"{failpoint}=kill"}, check=False
    )
    wrong = [] if killed.returncode == _KILLED else [f"not hit: ended with {killed.returncode}"]
    early = {path.name: path.read_bytes() for path in box.responses.glob("*_response.json")}
    for _ in range(2):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        box.put("again", box.marking("r1"))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    box.ended()
    for request_id in ("r1", "r3"):
        marks = box.mark(request_id).read_text().count("x")
        wrong += [] if marks == 1 else [f"{request_id} ran {marks} times"]
        wrong += (
            []
            if box.answer(request_id)["agent"]
            else [f"{request_id} is answered with {box.answer(request_id)}"]
        )
    wrong += [] if len(box.agents()) == 2 else [f"there are {len(box.agents())} agents"]
    wrong += [
        f"{name} was answered otherwise"
        for name, raw in early.items()
        if (box.responses / name).read_bytes() != raw
    ]
    wrong += [] if box.answer("r2")["error"].startswith("argv: ") else ["r2 is not told what is wrong"]
    listed = [(one["state"], one["request_id"]) for one in box.refused()]
    wrong += [] if listed == [("refused", "r2")] else [f"listed are {listed}"]
    left = [*box.requests.glob("*.json"), *(box.requests / "claimed").iterdir()]
    return wrong + [f"{path} lies there" for path in left]


@pytest.mark.parametrize("failpoint", POINTS)
def test_a_kill_at_any_step_leaves_one_agent_and_one_answer(box, failpoint):
    assert drill(box, failpoint, [sys.executable, "-m", "holdfast", "requests", "process"]) == []


@pytest.mark.parametrize("failpoint", ["request.launched", "run.started"])
def test_who_forgets_which_agent_a_request_has_is_noticed(box, failpoint):
    """Negative control."""
    wrong = drill(box, failpoint, [sys.executable, "-c", _FORGETFUL, "requests", "process"])
    assert "r1 ran 2 times" in wrong
    assert "there are 3 agents" in wrong


def test_a_step_that_is_not_passed_is_noticed(box):
    """Negative control."""
    assert "not hit" in drill(box, "tail.read", [sys.executable, "-m", "holdfast", "requests", "process"])[0]


def test_ids_that_differ_in_case_alone_are_not_taken_for_each_other(box):
    """Where the file system does not tell them apart; here, where it does, as its file would be found."""
    box.put("a", box.marking("a"))
    box.process()
    (box.requests / "answered" / "a.json").rename(box.requests / "answered" / "A.json")
    box.put("A", box.marking("A"))
    assert "differs in case alone" in box.process().stderr
    assert box.answer("a")["error"] is None
    box.ended()


# ── the service ──


@pytest.fixture
def service(box):
    """Start and end the service."""
    yield lambda: box.run("up", "--detach")
    box.run("down")


LIMIT_S = 60


def until(path, words=""):
    """Wait for a file that somebody else writes, and for words in it."""
    deadline_s = time.monotonic() + LIMIT_S
    while not (path.exists() and words in path.read_text()):
        assert time.monotonic() < deadline_s, f"{path}: it did not come"
        time.sleep(0.02)


def test_the_service_answers_what_was_written_while_nobody_looked_and_what_comes(box, service):
    box.put("before", box.marking("before"))
    assert service().returncode == 0
    until(box.responses / "before_response.json")
    box.put("later", box.marking("later"))
    until(box.responses / "later_response.json")
    box.put("again", box.marking("before"))
    box.put("bad", {"request_id": "bad"})
    until(box.responses / "bad_response.json")
    raw = json.dumps(box.marking("torn")).encode()
    path = box.put("torn", raw[:20])
    with path.open("ab") as file:
        file.write(raw[20:])
    until(box.responses / "torn_response.json")
    box.run("down")
    box.ended()
    assert [box.mark(name).read_text() for name in ("before", "later", "torn")] == ["x\n"] * 3
    assert len(box.agents()) == 3
    said = (box.home / "run" / "service.log").read_text()
    assert "request bad: refused: argv: not given" in said


def test_a_service_that_is_killed_while_it_answers_is_followed_by_one_that_carries_on(box, service):
    box.put("r", box.marking("r"))
    command = [sys.executable, "-m", "holdfast", "up"]
    killed = subprocess.run(
        command, env=os.environ | {"HOLDFAST_FAILPOINTS": "request.launched=kill"}, check=False
    )
    assert killed.returncode == _KILLED
    service()
    until(box.responses / "r_response.json")
    box.run("down")
    box.ended()
    assert box.mark("r").read_text() == "x\n"
    assert len(box.agents()) == 1


def test_trouble_is_told_and_ends_no_service(box, service):
    """Here the directory is somebody else's thing."""
    service()
    box.put("r", box.marking("r"))
    until(box.responses / "r_response.json")
    (box.requests / "answered" / "bad.json").write_text("{")
    box.put("bad", box.marking("bad"))
    log = box.home / "run" / "service.log"
    until(log, "it cannot be read")
    box.put("s", box.marking("s"))
    until(box.responses / "s_response.json")
    assert box.run("status").returncode == 0


def test_purging_a_home_takes_requests_and_answers_along(box):
    box.put("r", {"request_id": "r", "argv": ["true"], "prompt": "p"})
    box.put("bad", {"request_id": "bad"})
    box.process()
    box.ended()
    box.put("waiting", box.marking("waiting"))
    assert box.run("rm", box.answer("r")["agent"]).returncode == 0
    done = box.run("uninstall", "--purge", "--yes")
    assert done.returncode == 0, done.stderr
    assert not box.home.exists()


def test_a_parent_that_is_not_known_here_is_kept_as_it_is_told(box):
    """Coordinators name agents that Holdfast never started."""
    box.put("r", box.marking("r", agent_id="L2.1", parent_agent_id="L1.OVERWATCH.2"))
    box.process()
    box.ended()
    [told] = json.loads(box.run("ps", "--all", "--json").stdout)["agents"]
    assert (box.answer("r")["error"], told["parent"], told["parent_known"]) == (None, "L1.OVERWATCH.2", False)
    assert "L1.OVERWATCH.2, who is not known" in box.run("ps", "--all", env={"COLUMNS": "250"}).stdout
    box.put("below", box.marking("below", parent_agent_id="L2.1"))
    box.process()
    box.ended()
    told = json.loads(box.run("ps", "--all", "--json").stdout)["agents"]
    assert [(one["parent_known"], one["level"]) for one in told] == [(False, 0), (True, 1)]
    for words in (["tree"], ["show"]):
        assert box.run(*words, told[0]["id"]).returncode == 0


def test_commands_find_an_agent_by_what_its_coordinator_calls_it(box):
    for request_id in ("one", "two"):
        box.put(
            request_id, {"request_id": request_id, "argv": ["sleep", "600"], "agent_id": f"L2.{request_id}"}
        )
    box.process()
    try:
        for words in (["logs"], ["attempts"], ["pause"], ["unpause"]):
            done = box.run(*words, "L2.one")
            assert done.returncode == 0, done.stderr
    finally:
        stopped = [box.run("stop", f"L2.{name}") for name in ("one", "two")]
    assert [done.returncode for done in stopped] == [0, 0], stopped
    box.put("again", {"request_id": "again", "argv": ["true"], "agent_id": "L2.one"})
    box.process()
    box.ended()
    assert "fits 2 agents" in box.run("attempts", "L2.one").stderr
    assert box.run("rm", "L2.two").returncode == 0
