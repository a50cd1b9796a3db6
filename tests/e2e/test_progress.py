"""How far agents are: said with one line of shell, by the command, or told by the list of tasks of their session."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
LIMIT_S = 60
SCENARIOS = Path(__file__).resolve().parent.parent / "data" / "claude-code"


class Gate:
    """Agents that stay until it is opened."""

    def __init__(self, path):
        self.path, self._waiting = path, 0
        os.mkfifo(path)

    def argv(self, *before):
        self._waiting += 1
        return ["sh", "-c", "; ".join([*before, f"read line < {self.path}"])]

    def open(self):
        with self.path.open("w") as file:
            file.write("go\n" * self._waiting)


class Place:
    """A home with agents in it."""

    def __init__(self, home, run, path):
        self.home, self.run, self.path = home, run, path

    def start(self, argv):
        """Start an agent; its id."""
        done = self.run("run", "--detach", "--cwd", self.path, "--", *argv)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def far(self, agent):
        """How far it is, as `holdfast ps` tells."""
        listed = json.loads(self.run("ps", "--all", "--json").stdout)["agents"]
        return next(one["progress"] for one in listed if one["id"] == agent)

    def said(self):
        """Wait until the agent has said what it was to say."""
        deadline_s = time.monotonic() + LIMIT_S
        while not (self.path / "said").exists():
            assert time.monotonic() < deadline_s, "it said nothing"
            time.sleep(0.02)

    def ended(self):
        """Wait until every agent is over: its shim lets go of its lock."""
        for lock in (self.home / "run").glob("*/*/lock"):
            with lock.open("rb+") as file:
                fcntl.lockf(file, fcntl.LOCK_EX)

    def inbox(self):
        return sorted(path.name for path in (self.home / "inbox").iterdir())


@pytest.fixture
def place(home, run, tmp_path):
    return Place(home, run, tmp_path)


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


def test_an_agent_says_how_far_it_is_with_one_line_and_without_holdfast(place, gate):
    """What was said is known before anybody recorded it, and afterwards the same."""
    said = [
        'echo "40% half of it" >> "$HOLDFAST_PROGRESS"',
        'printf \'{"progress": 30, "current_task": "tests"}\\n\' >> "$HOLDFAST_PROGRESS"',
        ": > said",
    ]
    agent = place.start(gate.argv(*said))
    try:
        place.said()
        before = place.far(agent)
        assert (before["percent"], before["message"], before["current_task"]) == (40, "half of it", "tests")
        assert before["grade"] == "observed"
        assert place.inbox() == [f"progress-{agent}"]
        assert "40 %  tests: half" in place.run("ps").stdout
        assert place.run("sessions").returncode == 0
        assert place.inbox() == []
        assert place.far(agent) | {"at": None} == before | {"at": None}
        assert place.run("progress", agent, "20").returncode == 0
        assert place.far(agent)["percent"] == 40
        assert place.run("progress", agent, "20", "--reset", "--message", "anew").returncode == 0
        after = place.far(agent)
        assert (after["percent"], after["message"], after["current_task"]) == (20, "anew", None)
        place.run("rebuild")
        assert place.run("sessions").returncode == 0
        assert place.far(agent) | {"at": None} == after | {"at": None}
    finally:
        gate.open()
    place.ended()


def test_the_command_says_it_for_the_agent_that_runs_it(place):
    words = "holdfast progress 55 --task build --message halfway"
    agent = place.start([sys.executable, "-m", *words.split()])
    place.ended()
    found = place.far(agent)
    assert (found["percent"], found["current_task"], found["message"]) == (55, "build", "halfway")


@pytest.mark.parametrize("words", [["140"], ["-1"], ["much"], ["nan"], ["a", "b", "3"], ["40"]])
def test_what_cannot_be_meant_is_refused(run, words):
    """The last one: outside of an agent it must be said which one is meant."""
    assert run("progress", *words).returncode == 2


def test_progress_of_an_agent_that_is_not_there_is_refused(run):
    assert run("progress", "nobody", "40").returncode == 3


def test_of_an_agent_that_says_nothing_nothing_is_known(place):
    agent = place.start(["true"])
    place.ended()
    assert place.far(agent) is None


def test_another_attempt_begins_anew(place):
    """Also where the last one said its word late, and before anybody recorded it."""
    program = 'if [ -e again ]; then echo "5% anew" >> "$HOLDFAST_PROGRESS"; else echo 90 >> "$HOLDFAST_PROGRESS"; exit 1; fi'
    agent = place.start(["sh", "-c", program])
    place.ended()
    assert place.far(agent)["percent"] == 90
    (place.path / "again").touch()
    done = place.run("run", "--again", agent)
    assert done.returncode == 0, done.stderr
    place.ended()
    for _ in range(2):
        assert (place.far(agent)["percent"], place.far(agent)["message"]) == (5, "anew")
        place.run("sessions")
    place.run("rebuild")
    assert place.far(agent)["percent"] == 5


def test_an_agent_may_count_attempts_of_its_own(place):
    """What begins another attempt is said by whoever starts it, and by no word that an agent has for something else."""
    agent = place.start(["true"])
    place.ended()
    spool = place.home / "inbox" / f"progress-{agent}"
    for said, percent in (
        ({"progress": 40, "attempt": 1, "message": "hi"}, 40),
        ({"progress": 60, "attempt": 3}, 60),
        ({"attempt": 99, "time": "2026-11-22T10:00:00Z"}, 60),
        ({"progress": 70, "holdfast_attempt": 9}, 70),
    ):
        with spool.open("a") as file:
            file.write(json.dumps(said) + "\n")
        assert (place.far(agent)["percent"], place.far(agent)["message"]) == (percent, "hi")
    place.run("sessions")
    assert place.far(agent)["percent"] == 70


def test_of_an_attempt_that_says_nothing_nothing_is_known(place):
    agent = place.start(["sh", "-c", '[ -e again ] || { touch again; echo 90 >> "$HOLDFAST_PROGRESS"; }'])
    place.ended()
    place.run("sessions")
    assert place.run("run", "--again", agent).returncode == 0
    place.ended()
    assert place.far(agent) is None


def test_of_many_lines_that_wait_the_newest_count(place):
    agent = place.start(["true"])
    place.ended()
    spool = place.home / "inbox" / f"progress-{agent}"
    lines = [f'{{"progress": {number // 1_000}, "message": "{number:-<60}"}}\n' for number in range(20_000)]
    spool.write_text("".join(lines) + "99% last")
    found = place.far(agent)
    assert (found["percent"], found["message"]) == (19, f"{19_999:-<60}")


def test_a_pipe_in_the_place_of_a_spool_is_not_waited_for(place):
    agent = place.start(["true"])
    place.ended()
    os.mkfifo(place.home / "inbox" / f"progress-{agent}")
    assert place.far(agent) is None
    said = place.run("progress", agent, "40")
    assert (said.returncode, str(place.home / "inbox") in said.stderr) == (30, True), said.stderr
    assert place.run("sessions").returncode == 0


@pytest.mark.parametrize(
    "line",
    ["404 not found", "3 tests fail", "2 of 5 done", "{building}", "{x: 1}", "-5", "1e3", "12.5.1 is out"],
)
def test_a_message_is_no_percentage(place, line):
    agent = place.start(
        ["sh", "-c", f'echo "40%" >> "$HOLDFAST_PROGRESS"; echo "{line}" >> "$HOLDFAST_PROGRESS"']
    )
    place.ended()
    found = place.far(agent)
    assert (found["percent"], found["message"]) == (40, line)


def test_a_line_that_cannot_be_meant_is_kept_and_counts_for_nothing(place):
    agent = place.start(["sh", "-c", 'printf "40\\n140\\n" >> "$HOLDFAST_PROGRESS"'])
    place.ended()
    place.run("sessions")
    assert place.far(agent)["percent"] == 40
    told = json.loads(place.run("timeline", f"{agent}", "--json").stdout)["entries"]
    assert [entry["kind"] for entry in told if entry["kind"] in ("run.progress", "invalid")] == [
        "run.progress",
        "invalid",
    ]


def test_a_spool_that_is_held_open_loses_nothing(place, gate):
    """The agent keeps the file that it opened first, while commands record what stands in it."""
    opened = ['exec 3>> "$HOLDFAST_PROGRESS"', "echo 10 >&3", ": > said"]
    program = gate.argv(*opened)
    agent = place.start([*program[:-1], f"{program[-1]}; echo 60% more >&3"])
    place.said()
    place.run("sessions")
    assert place.far(agent)["percent"] == 10
    gate.open()
    place.ended()
    assert place.far(agent)["percent"] == 60
    place.run("sessions")
    assert place.inbox() == []
    assert (place.far(agent)["percent"], place.far(agent)["message"]) == (60, "more")


@pytest.mark.parametrize("failpoint", ["inbox.taken", "inbox.appended", "inbox.recorded"])
def test_a_kill_while_it_is_recorded_counts_nothing_twice(place, failpoint):
    agent = place.start(
        ["sh", "-c", 'printf "10\\n{\\"progress\\":5,\\"reset\\":true}\\n7\\n" >> "$HOLDFAST_PROGRESS"']
    )
    place.ended()
    before = place.far(agent)
    assert place.run("sessions", env={"HOLDFAST_FAILPOINTS": f"{failpoint}=kill"}).returncode == -9
    assert place.far(agent)["percent"] == before["percent"] == 7
    place.run("sessions")
    assert place.far(agent)["percent"] == 7
    told = json.loads(place.run("timeline", agent, "--json").stdout)["entries"]
    assert [entry["kind"] for entry in told].count("run.progress") == 3


def test_a_session_that_was_forgotten_says_no_progress_any_more(place):
    agent = place.start(["sh", "-c", 'echo "40% hidden" >> "$HOLDFAST_PROGRESS"'])
    place.ended()
    place.run("sessions")
    forgot = place.run("forget", agent, "--yes")
    assert forgot.returncode == 0, forgot.stderr
    place.run("progress", agent, "50", "--message", "hidden")
    place.run("sessions")
    assert json.loads(place.run("sessions", "--json").stdout)["sessions"] == []
    for path in place.home.joinpath("journal").iterdir():
        assert b"hidden" not in path.read_bytes()


def test_the_list_of_tasks_of_its_session_tells_where_the_agent_says_nothing(place):
    """Graded inferred; its own word counts before it."""
    from holdfast import supervising
    from holdfast.home import Home
    from holdfast.settings import load
    from holdfast.supervise.spec import Wish

    place.run("import", SCENARIOS / "task-tools")
    [session] = json.loads(place.run("sessions", "--json").stdout)["sessions"]
    wish = Wish(argv=("true",), cwd="/", session=f"claude:{session['id']}")
    agent = supervising.launch(Home(load(None, os.environ, {})), wish).id
    place.ended()
    tasks = json.loads(place.run("recover", "packet", session["id"], "--json").stdout)["tasks"]
    done = sum(task["status"] == "completed" for task in tasks)
    found = place.far(agent)
    assert (found["percent"], found["grade"]) == (100 * done / len(tasks), "inferred")
    assert found["message"] == f"{done} of {len(tasks)} tasks"
    place.run("progress", agent, "7")
    place.run("sessions")
    assert (place.far(agent)["percent"], place.far(agent)["grade"]) == (7, "observed")
    assert len(json.loads(place.run("sessions", "--json").stdout)["sessions"]) == 1
