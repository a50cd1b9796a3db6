"""Agents that the command starts: they outlive it, and whoever looks next knows how they ended."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from holdfast import processes, settings, supervising
from holdfast.errors import AgentRuns
from holdfast.failpoints import NAMES
from holdfast.home import Home
from holdfast.supervise import look, reach
from holdfast.supervise import start as starting
from tests.waiting import LIMIT_S, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def ask(run, home):
    """The answer of a command, which must end with the code given."""

    def answer(*args, code=0, env=None):
        at = args.index("--") if "--" in args else len(args)
        done = run(*args[:at], "--json", *args[at:], env=env)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr

    yield answer
    for agent in look.agent_directories(home / "run"):
        last = look.look(agent).last
        if last is not None and last.is_alive:
            reach.ask(look.attempt_directory(agent, last.attempt), last, "kill")


@pytest.fixture
def start(ask):
    """Start a shell command in the background; its id."""

    def started(command, *options, code=0, env=None):
        told = ask("run", "--detach", *options, "--", "sh", "-c", command, code=code, env=env)
        return told["id"]

    return started


def room(home, agent, attempt=1):
    return home / "run" / agent / f"{attempt:04d}"


def over(home, agent, attempt=1):
    until((room(home, agent, attempt) / "exit.json").exists)


def one(ask, agent):
    [found] = [each for each in ask("ps", "--all")["agents"] if each["id"] == agent]
    return found


@pytest.mark.parametrize(
    ("command", "code", "state"),
    [("exit 0", 0, "completed"), ("exit 5", 5, "failed"), ("kill -6 $$", 134, "failed")],
)
def test_attached_it_shows_the_output_and_ends_as_the_agent_does(run, command, code, state):
    done = run("run", "--name", "x", "--", "sh", "-c", f"echo out; echo err >&2; {command}")
    assert (done.returncode, done.stdout) == (code, "out\nerr\n")
    [told] = json.loads(run("ps", "--all", "--json").stdout)["agents"]
    assert (told["name"], told["state"]) == ("x", state)


def test_its_output_passes_byte_for_byte(run, home, start):
    agent = start(r"printf '\377\033[31m\000x'")
    over(home, agent)
    done = subprocess.run([sys.executable, "-m", "holdfast", "logs", agent], capture_output=True, check=True)
    assert done.stdout == b"\xff\x1b[31m\x00x"


def test_its_output_passes_whole_where_who_reads_is_slow_and_writing_does_not_wait(home, start):
    """A pipe or terminal may have been made so by whoever else has it; the parent here reads nothing before it is full."""
    agent = start("head -c 300000 /dev/zero | tr '\\0' x")
    over(home, agent)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    full = fcntl.fcntl(theirs, fcntl.F_GETPIPE_SZ)
    command = [sys.executable, "-m", "holdfast", "logs", agent]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        until(lambda: struct.unpack("i", fcntl.ioctl(ours, termios.FIONREAD, b"0000"))[0] >= full)
        with os.fdopen(ours, "rb") as file:
            assert file.read() == b"x" * 300_000
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


LOADED = """
import sys
from holdfast.cli.app import cli
cli.main(args=["run", "--detach", "--", "true"], prog_name="holdfast", standalone_mode=False)
print(*sys.modules)
"""


def test_to_start_one_neither_service_nor_store_is_loaded(ask):
    """They take longer than all the rest."""
    command = [sys.executable, "-c", LOADED]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    heavy = {"service", "store.fold", "store.project", "catch_up", "checkpointing", "deploying", "recover"}
    assert not {f"holdfast.{name}" for name in heavy} & set(loaded)
    assert "holdfast.supervising" in loaded


def test_logs_gives_the_last_lines(run, home, start):
    agent = start("for i in 1 2 3; do echo $i; done; printf 4")
    over(home, agent)
    assert [run("logs", agent, "-n", n).stdout for n in ("0", "1", "2", "9")] == [
        "",
        "4",
        "3\n4",
        "1\n2\n3\n4",
    ]


GIVEN = """
import sys
from holdfast.cli.app import cli
cli.main(args=sys.argv[1:], prog_name="holdfast", standalone_mode=False)
said = dict(line.split(": ") for line in open("/proc/self/io"))
print(said["rchar"], file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much a process read")
def test_of_a_huge_log_only_what_is_shown_is_read(home, start):
    agent = start("echo 1")
    over(home, agent)

    def read(*options):
        command = [sys.executable, "-c", GIVEN, "logs", agent, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout, int(done.stderr)

    _, least = read("--json")
    with (room(home, agent) / "out.log").open("ab") as log:
        log.truncate(1 << 34)
        log.write(b"\n\xc3\xa4\nlast\n")
    shown, bytes_read = read("-n", "2")
    assert (shown, bytes_read < least + (1 << 18)) == ("ä\nlast\n", True)
    answer, bytes_read = read("--json")
    told = json.loads(answer)
    assert bytes_read < least + (1 << 21)
    assert len(told["text"].encode()) == (1 << 34) + 9 - told["first_byte"] <= 1 << 20
    assert told["text"].endswith("\nä\nlast\n")


PIPES = (
    "lock",
    "start.json",
    "child.json",
    "exit.json",
    "stop.json",
    "told",
    "linked",
    "out.log",
    "../settled",
    "../spec.json",
)


def test_pipes_in_an_agents_directory_hold_up_nobody(ask, run, home, start):
    """An agent knows where that is, and one that tries it harms its own answers, not those about others."""
    agents = {start("exit 3", "--name", name.rpartition("/")[2]): name for name in PIPES}
    for agent in agents:
        over(home, agent)
    ask("ps", "--all")  # what is settled is not looked at any more
    for agent, name in agents.items():
        path = room(home, agent) / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    assert {one["id"] for one in ask("ps", "--all")["agents"]} == set(agents)
    assert "it is no plain file" in run("logs", "out.log").stderr
    assert run("sessions").returncode == 0


@pytest.mark.parametrize("number", [10**400, 10**30], ids=["401 digits", "31 digits"])
def test_numbers_that_no_process_has_are_unknown(ask, home, start, number):
    agent = start("exit 3")
    over(home, agent)
    path = room(home, agent) / "exit.json"
    said = json.loads(path.read_text())
    path.write_text(
        json.dumps(said | dict.fromkeys(("user_us", "ended_us", "max_rss_bytes", "exit_code"), number))
    )
    told = one(ask, agent)
    assert (told["exit_code"], told["cpu_s"], told["ended_at"]) == (None, None, None)
    [life] = ask("attempts", agent)["attempts"]
    assert life["max_rss_bytes"] is None


def test_logs_follow_to_the_end(run, home, start, tmp_path):
    go = tmp_path / "go"
    agent = start(f"echo one; while [ ! -e {go} ]; do sleep 0.01; done; echo two")
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", "logs", "-f", agent], stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout.readline() == "one\n"
        go.touch()
        assert following.stdout.read() == "two\n"


def test_ctrl_c_leaves_it_running_and_says_so(ask, run, home):
    command = [
        sys.executable,
        "-m",
        "holdfast",
        "run",
        "--name",
        "mine",
        "--",
        "sh",
        "-c",
        "echo up; sleep 60",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as attached:
        assert attached.stdout.readline() == "up\n"
        attached.send_signal(signal.SIGINT)
        assert attached.wait(LIMIT_S) == 130
        assert "goes on without this command" in attached.stderr.read()
    [told] = ask("ps")["agents"]
    assert (told["name"], told["state"]) == ("mine", "running")


def test_ctrl_c_stops_it_where_that_was_asked_for(ask, home):
    command = [sys.executable, "-m", "holdfast", "run", "--kill", "--", "sh", "-c", "echo up; sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as attached:
        assert attached.stdout.readline() == "up\n"
        attached.send_signal(signal.SIGINT)
        assert attached.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert ask("ps")["agents"] == []


def test_an_end_that_nobody_saw_is_told_by_whoever_looks_next(run, home, start):
    agent = start("exit 7")
    over(home, agent)
    told = json.loads(run("timeline", agent, "--json").stdout)
    ends = [event for event in told["entries"] if event["kind"] == "run.ended"]
    assert len(ends) == 1
    run("ps", "--all")
    again = json.loads(run("timeline", agent, "--json").stdout)
    assert [event for event in again["entries"] if event["kind"] == "run.ended"] == ends


@pytest.mark.parametrize(
    ("command", "session", "main"),
    [("exit 0", "ended", "completed"), ("exit 1", "failed", "failed"), ("sleep 60", "working", "running")],
)
def test_a_plain_command_is_a_session(run, home, start, command, session, main):
    agent = start(command, "--task", "see to it")
    if session != "working":
        over(home, agent)
    told = json.loads(run("tree", agent, "--json").stdout)
    assert (told["session"]["state"], told["session"]["title"]) == (session, "see to it")
    [root] = told["roots"]
    assert (root["kind"], root["status"]) == ("agent", main)
    [turn] = root["children"]
    assert (turn["kind"], turn["text"], turn["status"]) == ("turn", "see to it", main)


def test_stopped_it_is_cancelled_and_a_session_that_is_over(ask, run, start):
    agent = start("sleep 60", "--name", "n")
    [told] = ask("stop", "n", "--why", "enough")["agents"]
    assert (told["state"], told["signal"], told["done"]) == ("cancelled", 15, True)
    tree = json.loads(run("tree", agent, "--json").stdout)
    assert (tree["session"]["state"], tree["roots"][0]["status"]) == ("ended", "cancelled")
    [life] = ask("attempts", agent)["attempts"]
    assert (life["asked"], life["stop"]["why"], life["stop"]["by"]) == ("stop", "enough", "person")
    assert "is not running" in ask("stop", agent, code=74)


def test_pause_and_unpause(ask, start):
    agent = start("sleep 60")
    assert ask("pause", agent)["agents"][0]["state"] == "paused"
    assert one(ask, agent)["state"] == "paused"
    assert ask("unpause", agent)["agents"][0]["state"] == "running"


def test_its_environment_parent_and_directory(ask, home, start, tmp_path):
    variables = tmp_path / "env"
    variables.write_text("# mine\nexport A='1 2'\nB=x=y\n\n")
    place = tmp_path / "ä place"
    place.mkdir()
    parent = start("sleep 60", "--name", "boss")
    command = 'echo "$A|$B|$PWD|$HOLDFAST_AGENT"; holdfast --version >/dev/null 2>&1; exec sleep 60'
    child = start(
        command, "--env-file", str(variables), "--cwd", str(place), "--parent", "boss", "--model", "m"
    )
    assert until((room(home, child) / "out.log").read_text) == f"1 2|x=y|{place}|{child}\n"
    told = ask("ps")["agents"]
    assert [(each["id"], each["parent"], each["level"]) for each in told] == [
        (parent, None, 0),
        (child, parent, 1),
    ]
    assert told[1]["model"] == "m"
    said = b"".join(path.read_bytes() for path in (home / "journal").iterdir())
    assert b'"environment":["A","B"]' in said
    assert b"x=y" not in said


def test_an_agent_s_own_agents_are_below_it(ask, home, start):
    inner = f"{sys.executable} -m holdfast run --detach -- sleep 60; exec sleep 60"
    outer = start(inner)
    until(lambda: len(list((home / "run").glob("*/0001/child.json"))) == 2)
    told = ask("ps")["agents"]
    assert told[1]["parent"] == outer
    ask("kill", outer)
    [left] = ask("ps")["agents"]
    assert left["parent"] == outer, "what another shim watches does not end with it"
    assert one(ask, outer)["left"] == []


@pytest.mark.parametrize("above", ["x\ny", "../x", ".", "..", "a" * 10_000, "\udcff"])
def test_an_environment_that_names_no_agent_gives_no_parent_and_says_so(above, run, ask):
    done = run("run", "--", "true", env={"HOLDFAST_AGENT": above})
    assert done.returncode == 0, done.stderr
    assert "note: HOLDFAST_AGENT is no id of an agent" in done.stderr
    assert len(done.stderr) < 200
    [agent] = ask("ps", "--all")["agents"]
    assert agent["parent"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--", "no-such-program"], "there is no such program in PATH"),
        (["--", "./nothing"], "there is no such program"),
        (["--cwd", "/nowhere", "--", "true"], "there is no such directory"),
        (["--env-file", "/nowhere", "--", "true"], "No such file"),
        (["--parent", "nobody", "--", "true"], "no agent has the id or name"),
    ],
)
def test_what_cannot_be_started_leaves_nothing(run, home, words, said):
    done = run("run", *words)
    assert done.returncode in {1, 3, 72}, done.stderr
    assert said in done.stderr
    assert not any((home / "run").glob("*/spec.json"))


def test_a_program_that_the_kernel_refuses_is_told(ask, run, tmp_path):
    bad = tmp_path / "bad"
    bad.write_text("#!/nowhere\n")
    bad.chmod(0o700)
    for words in (["run"], ["run", "--detach"]):
        done = run(*words, "--", bad)
        assert done.returncode == 72
        assert "could not be started: No such file or directory" in done.stderr
    assert [one["exit_code"] for one in ask("ps", "--all")["agents"]] == [127, 127]


def test_names(ask, start):
    first, second = start("exit 0", "--name", "twin"), start("sleep 60", "--name", "twin")
    assert ask("attempts", "twin")["id"] == second, "the one that is alive is meant"
    ask("kill", "twin")
    assert "fits 2 agents" in ask("attempts", "twin", code=2)
    assert ask("attempts", first[:11])["id"] == first
    third = start("exit 0", "--name", first[:4])
    assert ask("attempts", first[:4])["id"] == third, "a name counts before the beginning of an id"
    assert ask("attempts", first[:5])["id"] == first
    fourth = start("exit 0", "--name", first)
    assert ask("attempts", first)["id"] == first, "an id counts before a name"
    assert ask("attempts", fourth[:11])["id"] == fourth
    assert "no agent has" in ask("attempts", "nobody", code=3)


def test_again_starts_what_is_over_once_more_as_it_was_started(ask, run, home, start, tmp_path):
    go = tmp_path / "go"
    agent = start(f'echo "$A"; test -e {go}', "--restart", "ask", env={"A": "as it was"})
    over(home, agent)
    assert (one(ask, agent)["state"], ask("attempts", agent)["next"]) == ("failed", "it failed")
    go.touch()
    done = run("run", "--again", agent)
    assert (done.returncode, done.stdout) == (0, "as it was\n")
    assert [life["state"] for life in ask("attempts", agent)["attempts"]] == ["failed", "completed"]
    running = start("sleep 60")
    assert ask("run", "--again", running, code=73)
    assert "takes no program" in ask("run", "--again", agent, "--", "true", code=2)


def test_what_a_person_starts_again_begins_counting_anew(ask, run, home, start):
    agent = start("exit 3", "--restart", "on-failure")
    over(home, agent)
    for attempt, later_s in enumerate((40, 70, 130, 250), 2):
        assert agent in _supervised(agent, later_s).stdout
        over(home, agent, attempt)
    assert ask("attempts", agent)["next"] == "it failed 5 times within 15 min"
    assert run("run", "--detach", "--again", agent).returncode == 0
    over(home, agent, 6)
    assert "it failed, and is started again after 30 s" in ask("attempts", agent)["next"]
    done = run("uninstall", "--purge", "--yes")
    assert (done.returncode, home.exists()) == (0, False), "nothing of it is unknown"


def test_rm_refuses_the_living_and_keeps_what_is_recorded(ask, run, home, start):
    agent = start("sleep 60")
    assert "is alive" in ask("rm", agent, code=73)
    ask("kill", agent)
    assert ask("rm", agent) == {"removed": [agent]}
    assert [
        path.name for path in (home / "run").iterdir() if len(path.name) >= 12 and "." not in path.name
    ] == []
    assert agent in run("sessions", "--json").stdout
    assert ask("ps", "--all")["agents"] == []


def test_rm_gives_back_what_was_started_again_meanwhile(ask, run, home, start, monkeypatch):
    agent = start("test -e again || exit 3; sleep 60")
    over(home, agent)

    def started_again(name):
        if name == "run.removing":
            (home.parent / "workspace" / "again").touch()
            assert run("run", "--detach", "--again", agent).returncode == 0

    monkeypatch.setattr(supervising, "failpoint", started_again)
    with pytest.raises(AgentRuns):
        supervising.remove(Home(settings.load(None, os.environ, {})), agent)
    told = one(ask, agent)
    assert (told["state"], told["attempt"]) == ("running", 2)
    assert ask("stop", agent)["agents"][0]["done"]


def test_what_is_being_removed_is_not_taken_for_what_was_left_long_ago(ask, home, start, monkeypatch):
    """Whoever starts an agent meanwhile clears that away; an old agent's directory is as old as the agent."""
    agent = start("exit 0")
    over(home, agent)
    ask("ps", "--all")
    looked_at = look.look

    def looks(directory):
        if directory.name.endswith(".gone"):
            starting.drop_leftovers(home / "run")
            assert directory.is_dir()
        return looked_at(directory)

    monkeypatch.setattr(look, "look", looks)
    monkeypatch.setattr(supervising, "failpoint", lambda _: os.utime(home / "run" / agent, (1, 1)))
    supervising.remove(Home(settings.load(None, os.environ, {})), agent)
    assert look.agent_directories(home / "run") == []


def test_a_spec_that_cannot_be_read_is_told_and_left(ask, home, start):
    agent = start("sleep 60")
    (home / "run" / agent / "spec.json").write_text("{")
    told = one(ask, agent)
    assert (told["state"], told["command"]) == ("running", [])
    assert ask("kill", agent)["agents"][0]["done"]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("run.")])
def test_a_kill_at_each_step_leaves_what_the_next_command_gets_right(ask, run, home, start, name):
    """An agent is begun once or not at all, an end is told once, what is asked for is asked for again."""
    env = {"HOLDFAST_FAILPOINTS": f"{name}=kill"}
    if name in {"run.stopping", "run.removing"}:
        agent = start("sleep 60" if name == "run.stopping" else "exit 3")
        if name == "run.removing":
            over(home, agent)
        done = run("stop" if name == "run.stopping" else "rm", agent, env=env)
        assert done.returncode == -signal.SIGKILL
        if name == "run.stopping":
            assert one(ask, agent)["state"] == "running"
            assert ask("stop", agent)["agents"][0]["state"] == "cancelled"
        else:
            assert ask("rm", agent) == {"removed": [agent]}
        return
    if name == "run.again":
        agent = start("exit 3", "--restart", "on-failure")
        over(home, agent)
        assert _supervised(agent, 40, env).returncode == -signal.SIGKILL
        assert one(ask, agent)["attempt"] == 2
        assert (room(home, agent, 2) / "child.json").exists() is False
        assert agent in _supervised(agent, 60).stdout
        over(home, agent, 2)
        assert [life["exit_code"] for life in ask("attempts", agent)["attempts"]] == [3, 3]
        return
    done = run("run", "--detach", "--", "sh", "-c", "echo begun; exit 3", env=env)
    assert done.returncode == -signal.SIGKILL
    made = [path for path in (home / "run").glob("*/spec.json") if path.parent.name[0] != "."]
    assert len(made) == (0 if name in {"run.requested", "run.making"} else 1)
    for path in made:
        agent = path.parent.name
        if name in {"run.made", "run.starting"}:
            assert one(ask, agent)["state"] == "pending"
            assert agent in _supervised(agent, 10).stdout
        over(home, agent)
        told = one(ask, agent)
        assert (told["state"], told["exit_code"], told["attempt"]) == ("failed", 3, 1)
        assert (room(home, agent) / "out.log").read_text() == "begun\n"
        events = [event["kind"] for event in json.loads(run("timeline", agent, "--json").stdout)["entries"]]
        assert [events.count(kind) for kind in ("run.requested", "run.started", "run.ended")] == [1, 1, 1]


HAS = """umask; nice; ulimit -Sn; ulimit -Sc; grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/$$/fd; exit 3"""
ASKED = "trap '' HUP USR1; umask 027; ulimit -Sn 301; exec nice -n 3 \"$@\""
OTHER = "trap '' INT QUIT USR2; umask 077; ulimit -Sn 257; exec \"$@\""
_OF_THE_LIBRARY = 1 << 31 | 1 << 32  # signals 32 and 33
BLOCKED = (
    "import os, signal, sys; signal.pthread_sigmask(0, [15, 12]); os.execv(sys.executable, sys.argv[1:])"
)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what a process has")
def test_it_has_the_same_from_whoever_starts_it(ask, home):
    """Mask, niceness and limits as where it was asked for; no signal is ignored or blocked, and no descriptor is left."""

    def within(shell, *command):
        blocked = [sys.executable, "-c", BLOCKED, sys.executable, *command]
        done = subprocess.run(["sh", "-c", shell, "-", *blocked], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    ours = ["-m", "holdfast", "run", "--detach", "--restart", "on-failure"]
    agent = within(ASKED, *ours, "--", "sh", "-c", HAS)
    over(home, agent)
    assert agent in within(OTHER, "-c", _ticking(agent, 40))
    over(home, agent, 2)
    first, again = ((room(home, agent, attempt) / "out.log").read_text().split() for attempt in (1, 2))
    assert first == again
    for place in (5, 7):  # but those of the C library, of which nobody may say anything
        first[place] = f"{int(first[place], 16) & ~_OF_THE_LIBRARY:016x}"
    core = first[3]
    nothing = "0" * 16
    assert first == ["0027", "3", "301", core, "SigBlk:", nothing, "SigIgn:", nothing, "0", "1", "2"]


@pytest.mark.parametrize(("answering", "has"), [("077", "0077"), ("027", "0027"), ("000", "0022")])
def test_what_is_asked_for_by_a_file_has_no_looser_mask_than_is_usual_or_than_who_answers(
    run, ask, home, tmp_path, answering, has
):
    """Nobody knows that of who asked."""
    ask("ps")
    (home / "requests").mkdir(mode=0o700)
    asked = {"request_id": "r", "argv": ["sh", "-c", "umask"], "cwd": str(tmp_path)}
    (home / "requests" / "r.json").write_text(json.dumps(asked))
    command = f"umask {answering}; exec {sys.executable} -m holdfast requests process"
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    [agent] = ask("ps", "--all")["agents"]
    over(home, agent["id"])
    assert (room(home, agent["id"]) / "out.log").read_text() == f"{has}\n"


def _supervised(agent, later_s, env=None):
    """What a supervisor does some seconds later."""
    command = [sys.executable, "-c", _ticking(agent, later_s)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (env or {}))


def _ticking(agent, later_s):
    return (
        "import os; from holdfast import clock, settings, supervising; from holdfast.home import Home;"
        "home = Home(settings.load(None, os.environ, {}));"
        f"print(supervising.Supervisor(home, {agent!r}).tick(clock.now_us() + {later_s}_000_000).started)"
    )


def test_purging_the_home_is_refused_while_an_agent_lives_and_takes_all_it_left(ask, run, home, start):
    ended, agent = start("exit 3"), start("sleep 60")
    over(home, ended)
    done = run("uninstall", "--purge", "--yes")
    assert done.returncode == 73, done.stderr
    assert agent in done.stderr
    run("down", "--kill")
    shim = json.loads((room(home, agent) / "child.json").read_text())["shim_pid"]
    until(lambda: not _runs(shim))
    done = run("uninstall", "--purge", "--yes")
    assert (done.returncode, home.exists()) == (0, False), done.stderr


def _runs(pid):
    return processes.started_ticks(pid) is not None


def test_doctor_tells_of_an_agent_that_nobody_watches(ask, run, home, start):
    agent, broken = start("sleep 60"), start("sleep 60")
    child = json.loads((room(home, agent) / "child.json").read_text())
    os.kill(child["shim_pid"], signal.SIGKILL)
    until(lambda: not _runs(child["shim_pid"]))
    (home / "run" / broken / "spec.json").write_text("[]")
    told = {finding["what"] for finding in ask("doctor", code=40)["findings"]}
    assert any(agent in what and "shim is gone" in what for what in told), told
    assert any("what was asked for of an agent cannot be read" in what for what in told), told
    assert one(ask, agent)["life"] == "unshimmed"
    assert ask("pause", agent)["agents"][0]["done"]
    assert ask("unpause", agent)["agents"][0]["done"]
    assert ask("stop", agent)["agents"][0]["state"] == "cancelled"


class TestService:
    """With a service, ends are told and failures are followed by starts without anybody looking."""

    @pytest.fixture
    def service(self, run):
        assert run("up", "--detach").returncode == 0
        yield
        run("down")

    def test_an_end_is_told_at_once(self, service, home, start):
        agent = start("exit 3")
        until(lambda: "ended" in _read(room(home, agent) / "told"))

    def test_down_leaves_agents_and_down_kill_ends_them(self, service, ask, start):
        agent = start("sleep 60")
        assert ask("down")["stopped"] == []
        assert one(ask, agent)["state"] == "running"
        assert ask("down", "--kill")["stopped"] == [agent]
        assert one(ask, agent)["state"] == "cancelled"

    def test_a_killed_service_leaves_agents_and_the_next_one_knows_them(self, service, ask, home, start, run):
        agent = start("sleep 60")
        os.kill(ask("status")["pid"], signal.SIGKILL)
        assert one(ask, agent)["state"] == "running"
        assert run("up", "--detach").returncode == 0
        os.kill(json.loads((room(home, agent) / "child.json").read_text())["pid"], signal.SIGTERM)
        until(lambda: "ended" in _read(room(home, agent) / "told"))
        assert one(ask, agent)["signal"] == 15


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
