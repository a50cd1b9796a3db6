"""`holdfast recover resume`: one new life of what was cut, in the right place, and seen to work."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from holdfast import new_life, processes, resuming
from holdfast.home import Home
from holdfast.journal import reader
from holdfast.settings import load
from tests.e2e.conftest import CAPTURED
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

CLAUDE = "11111111-1111-4111-8111-111111111111"
CODEX = "01a1fdde-6e4d-7ba2-b0b8-96c8b730ea5e"
STAND_IN = Path(__file__).parent / "stand_in.py"
LIMIT_S = 60
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them"),
]


def is_alive(pid: int) -> bool:
    return processes.started_ticks(pid) is not None


@dataclass
class World:
    """Two tools with a session each that was killed, and a stand-in for both in PATH."""

    home: Path
    base: Path
    begun: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in (self.project, self.log, self.recorded, self.base / "bin"):
            path.mkdir(parents=True)
        os.mkfifo(self.log / "gate")
        for name in ("claude", "codex"):
            program = self.base / "bin" / name
            program.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
            program.chmod(0o755)
        self._lay_down()

    @property
    def project(self) -> Path:
        return self.base / "a project"

    @property
    def log(self) -> Path:
        return self.base / "log"

    @property
    def recorded(self) -> Path:
        return self.base / "recorded"

    @property
    def claude(self) -> Path:
        return Path(os.environ["CLAUDE_CONFIG_DIR"])

    @property
    def codex(self) -> Path:
        return self.base / "codex"

    @property
    def transcript(self) -> Path:
        return self.claude / "projects" / "-a-project" / f"{CLAUDE}.jsonl"

    @property
    def rollout(self) -> Path:
        [path] = self.codex.glob("sessions/*/*/*/*.jsonl")
        return path

    def _lay_down(self) -> None:
        """The sessions as they were when their processes were killed: of both the recordings know how they went on."""
        name = "resume-after-kill9-and-compact"
        recorded = (CAPTURED / name / "transcript" / f"{CLAUDE}.jsonl").read_text()
        (self.recorded / "claude.jsonl").write_text(recorded)
        self.transcript.parent.mkdir(parents=True)
        self.transcript.write_text(self._here("".join(recorded.splitlines(keepends=True)[:31])))
        dead = {"pid": 2**22 - 1, "procStart": "1", "sessionId": CLAUDE, "startedAt": 1_795_000_000_000}
        domain = f"linux:0:{Path('/proc/self/ns/pid').readlink()}"
        (self.claude / "sessions").mkdir()
        (self.claude / "sessions" / f"{2**22 - 1}.json").write_text(json.dumps({**dead, "pidDomain": domain}))
        [rollout] = (CAPTURED.parent / "codex" / "kill9-then-resume").rglob("*.jsonl")
        recorded = rollout.read_text()
        (self.recorded / "codex.jsonl").write_text(recorded)
        path = self.codex / "sessions" / "2026" / "11" / "21" / rollout.name
        path.parent.mkdir(parents=True)
        path.write_text(self._here("".join(recorded.splitlines(keepends=True)[:22])))
        (self.codex / "thread-writer-locks").mkdir()
        (self.codex / "thread-writer-locks" / f"{CODEX}.lock").touch()

    def _here(self, text: str) -> str:
        return text.replace("/home/dev/demo", str(self.project))

    def environment(self, mode: str = "works", **more: str) -> dict[str, str]:
        return os.environ | {
            "PATH": f"{self.base / 'bin'}:{os.environ['PATH']}",
            "CODEX_HOME": str(self.codex),
            "STAND_IN_LOG": str(self.log),
            "STAND_IN_MODE": mode,
            "STAND_IN_RECORDED": str(self.recorded),
            **more,
        }

    def start(
        self, *args: str, mode: str = "works", before: tuple[str, ...] = (), **more: str
    ) -> subprocess.Popen[bytes]:
        """`holdfast recover resume`, begun. What it says goes to files, which what it started may outlive."""
        number = len(self.begun)
        with self._said(number)[0].open("w") as out, self._said(number)[1].open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "holdfast", *before, "recover", "resume", *args],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.environment(mode, **more),
                cwd=self.base,
            )
        self.begun.append(process)
        return process

    def _said(self, number: int) -> tuple[Path, Path]:
        return self.base / f"out-{number}", self.base / f"err-{number}"

    def end(self, process: subprocess.Popen[bytes]) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        code = process.wait(LIMIT_S)
        out, err = (path.read_text() for path in self._said(self.begun.index(process)))
        return subprocess.CompletedProcess((), code, out, err)

    def run(
        self, *args: str, mode: str = "works", before: tuple[str, ...] = (), **more: str
    ) -> subprocess.CompletedProcess[str]:
        return self.end(self.start(*args, mode=mode, before=before, **more))

    def close(self) -> None:
        """End what a test left."""
        for process in self.begun:
            process.kill()
            process.wait()
        for start in self.starts():
            if is_alive(start["pid"]) and str(self.base) in Path(f"/proc/{start['pid']}/cmdline").read_text():
                os.kill(start["pid"], signal.SIGKILL)

    def ask(self, *args: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", *args, "--json"],
            capture_output=True,
            text=True,
            env=self.environment(),
            cwd=self.base,
            check=True,
        )
        return json.loads(done.stdout)

    def starts(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.log.glob("start-*.json"))]

    def drop_starts(self) -> None:
        for old in self.log.glob("start-*.json"):
            old.unlink()

    def started(self) -> dict[str, Any]:
        """What the stand-in was started with, once it is."""
        until(self.starts, "the stand-in")
        [start] = self.starts()
        return start

    def open_gate(self) -> None:
        """Let the stand-in go on."""
        with (self.log / "gate").open("w"):
            pass

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What is recorded of resumes: kinds and fields."""
        found = [
            json.loads(item.record.body_bytes())
            for item in reader.read(self.home / "journal")
            if item.record.s == "sdk"
        ]
        return [(one["kind"], one["fields"]) for one in found]

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told()]

    def locks(self) -> list[Path]:
        return list((self.home / "run").glob("resume-*.lock"))

    def is_free(self) -> bool:
        """Whether nobody holds a lock."""
        for path in self.locks():
            with path.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
        return True


@pytest.fixture
def world(home, tmp_path) -> Iterator[World]:
    made = World(home, tmp_path / "world")
    yield made
    made.close()


# ── it goes on ──


def test_claude_goes_on_in_the_same_session(world):
    before = world.transcript.read_text()
    done = world.run(CLAUDE[:8])
    assert (done.returncode, done.stdout) == (0, "Resumed and finished.\n"), done.stderr
    start = world.started()
    assert start["argv"] == ["-p", "--resume", CLAUDE]
    assert start["cwd"] == str(world.project)
    assert start["env"]["CLAUDE_CONFIG_DIR"] == str(world.claude)
    assert "was interrupted" in start["told"]
    assert world.transcript.read_text().startswith(before)
    assert world.kinds() == ["session.resuming", "session.resumed"]
    (_, intent), (_, outcome) = world.told()
    assert intent["about"] == outcome["about"] == f"claude:{CLAUDE}"
    assert intent["command"][1:] == ["--resume", CLAUDE] or intent["command"] == [
        "claude",
        "-p",
        "--resume",
        CLAUDE,
    ]
    assert outcome["new_session"] == CLAUDE
    assert outcome["pid"] == start["pid"]
    [session] = [one for one in world.ask("sessions")["sessions"] if one["source"] == "claude"]
    assert (session["id"], session["turns"], session["state"]) == (CLAUDE, 2, "ended")


def test_codex_goes_on_in_the_same_thread(world):
    before = world.rollout.read_text()
    done = world.run(CODEX, "--", "--skip-git-repo-check")
    assert (done.returncode, done.stdout) == (0, "Resumed and finished.\n"), done.stderr
    start = world.started()
    assert start["argv"] == ["exec", "resume", CODEX, "-", "--skip-git-repo-check"]
    assert start["cwd"] == str(world.project)
    assert start["env"]["CODEX_HOME"] == str(world.codex)
    assert world.rollout.read_text().startswith(before)
    assert world.kinds() == ["session.resuming", "session.resumed"]
    assert world.told()[1][1]["new_session"] == CODEX


@pytest.mark.parametrize("session", [CLAUDE, CODEX], ids=["claude", "codex"])
def test_the_new_life_is_linked_to_the_old(world, session):
    """By its first turn, which goes on from the one that was cut; and the answers say so after a rebuild too."""
    assert world.run(session).returncode == 0
    for _ in range(2):
        shown = world.ask("tree", session)
        turns = [node["id"] for node in shown["roots"][0]["children"] if node["kind"] == "turn"]
        assert shown["links"] == [{"from": turns[1], "to": turns[0], "kind": "resumes"}]
        entries = [entry["kind"] for entry in world.ask("timeline", session)["entries"]]
        assert [kind for kind in entries if kind.startswith("session.resum")] == [
            "session.resuming",
            "session.resumed",
        ]
        world.ask("rebuild")


@pytest.mark.parametrize("session", [CLAUDE, CODEX], ids=["claude", "codex"])
def test_a_fork_is_another_session(world, session):
    path = world.transcript if session == CLAUDE else world.rollout
    before = path.read_bytes()
    done = world.run(session, "--fork")
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before
    new = world.told()[1][1]["new_session"]
    found = {one["id"]: one for one in world.ask("sessions")["sessions"]}
    assert found[new]["forked_from"] == session
    links = world.ask("tree", new)["links"]
    assert [link["kind"] for link in links] == ["resumes"]
    assert world.ask("tree", session)["links"] == []


def test_the_answer_as_json_is_all_that_stands_on_standard_output(world):
    done = world.run(CLAUDE, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "Resumed and finished." in done.stderr
    assert (answer["outcome"], answer["session"], answer["new_session"]) == ("resumed", CLAUDE, CLAUDE)
    assert answer["command"] == ["claude", "-p", "--resume", CLAUDE]
    assert (answer["exit_code"], answer["fork"], answer["reason"]) == (0, False, None)


def test_without_a_packet_it_is_told_what_this_command_is_told(world):
    with subprocess.Popen(
        [sys.executable, "-m", "holdfast", "recover", "resume", CLAUDE, "--no-packet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=world.environment(),
    ) as process:
        process.communicate("words of a person", timeout=LIMIT_S)
    assert process.returncode == 0
    assert world.started()["told"] == "words of a person"


# ── at a terminal ──


class Terminal:
    """`holdfast recover resume` in a terminal of its own."""

    def __init__(self, world: World, *args: str, mode: str = "works", **more: str) -> None:
        self.child, self._fd = pty.fork()
        if self.child == 0:
            os.chdir(world.base)
            words = [sys.executable, "-m", "holdfast", "recover", "resume", *args]
            os.execve(sys.executable, words, world.environment(mode, **more))
        self.shown = b""

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def end(self) -> int:
        """Wait for its end; how it ended."""
        shown = select.poll()
        shown.register(self._fd, select.POLLIN)
        deadline_s = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline_s:
            if shown.poll(100):
                try:
                    self.shown += os.read(self._fd, 1 << 16)
                except OSError:
                    break
        _, status = os.waitpid(self.child, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("session", [CLAUDE, CODEX], ids=["claude", "codex"])
def test_at_a_terminal_it_is_interactive(world, session):
    terminal = Terminal(world, session)
    assert terminal.end() == 0, terminal.shown
    argv = world.started()["argv"]
    expected = ["--resume", CLAUDE] if session == CLAUDE else ["resume", CODEX]
    assert argv[:2] == expected
    assert "was interrupted" in argv[2]
    assert world.kinds() == ["session.resuming", "session.resumed"]


def test_an_interrupt_at_a_terminal_is_for_the_tool_alone(world):
    """Its tool ends by it; this command says what it saw."""
    terminal = Terminal(world, CLAUDE, mode="silent")
    world.started()
    until(lambda: "Check what is already done" in world.transcript.read_text(), "the prompt")
    terminal.type(b"\x03")
    assert terminal.end() == 67, terminal.shown
    [_, (kind, failed)] = world.told()
    assert (kind, failed["reason"]) == ("session.resume_failed", "exited")


# ── it does not go on ──


def test_acknowledged_but_silent_is_no_resume(world):
    """The tool writes what it writes at once, and nothing more: that is told within the limit, and it is not killed."""
    done = world.run(CLAUDE, mode="silent", HOLDFAST_RESUME_LIMIT_S="1")
    assert done.returncode == 67
    assert "it did no work within 1 s" in done.stderr
    start = world.started()
    assert f"process {start['pid']} runs" in done.stderr
    assert "Check what is already done" in world.transcript.read_text()
    [_, (kind, failed)] = world.told()
    assert (kind, failed["reason"], failed["pid"]) == ("session.resume_failed", "silent", start["pid"])
    assert is_alive(start["pid"])
    again = world.run(CLAUDE)
    assert again.returncode in (4, 66)
    assert str(start["pid"]) in again.stderr
    world.open_gate()
    until(lambda: not is_alive(start["pid"]), "its end")
    world.log.joinpath(f"start-{start['pid']}.json").unlink()
    assert world.run(CLAUDE).returncode == 0


def test_the_limit_is_one_of_the_clock_that_is_given(world, monkeypatch):
    """An hour passes as soon as the tool has written what it writes at once."""
    for name, value in world.environment("silent", HOLDFAST_RESUME_LIMIT_S="3600").items():
        monkeypatch.setenv(name, value)
    home = Home(load(None, os.environ, {}))
    home.catch_up()
    done = new_life.carry_out(
        home,
        resuming.Wish(CLAUDE),
        now_s=lambda: 3_601.0 if "Check what is already done" in world.transcript.read_text() else 0.0,
    )
    assert (done.resumed, done.reason, done.why) == (False, "silent", "it did no work within 3600 s")
    assert done.exit_code is None
    assert is_alive(done.pid)


def test_a_slow_one_is_waited_for(world):
    """As long as the limit lets it."""
    process = world.start(CLAUDE, mode="slow")
    world.started()
    until(lambda: "Check what is already done" in world.transcript.read_text(), "the prompt")
    assert world.kinds() == ["session.resuming"]
    world.open_gate()
    done = world.end(process)
    assert (done.returncode, done.stdout) == (0, "Resumed and finished.\n"), done.stderr
    assert world.kinds() == ["session.resuming", "session.resumed"]


def test_a_tool_that_ends_before_it_works(world):
    done = world.run(CLAUDE, mode="error")
    assert done.returncode == 67
    assert "claude: it does not want to" in done.stderr
    assert "ended (exit code 1)" in done.stderr
    assert world.told()[1][1]["reason"] == "exited"
    assert world.told()[1][1]["exit_code"] == 1
    assert world.is_free()


def test_a_tool_that_answers_in_another_session(world):
    done = world.run(CLAUDE, mode="elsewhere")
    assert done.returncode == 67
    [_, (_, failed)] = world.told()
    assert failed["reason"] == "elsewhere"
    other = next(path.stem for path in world.transcript.parent.glob("*.jsonl") if path.stem != CLAUDE)
    assert other in done.stderr


# ── nothing is started ──


def nothing_started(world: World, done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    for part in parts:
        assert part in done.stderr
    assert world.starts() == []
    assert world.kinds() == []


def test_a_live_session_is_refused_with_its_process(world):
    with subprocess.Popen(["sleep", "600"]) as process:
        path = world.claude / "sessions" / f"{process.pid}.json"
        said = {
            "pid": process.pid,
            "sessionId": CLAUDE,
            "procStart": str(processes.started_ticks(process.pid)),
        }
        path.write_text(json.dumps({**said, "startedAt": 1_795_300_000_000, "status": "busy"}))
        try:
            nothing_started(world, world.run(CLAUDE), 4, f"its process {process.pid} runs", "is alive")
            nothing_started(world, world.run(CLAUDE, "--fork"), 4, f"its process {process.pid} runs")
        finally:
            process.kill()
    with (world.codex / "thread-writer-locks" / f"{CODEX}.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        nothing_started(world, world.run(CODEX), 4, f"process {os.getpid()} holds its lock")


def test_one_that_may_be_alive_is_refused_until_it_is_silent(world):
    """Nothing tells of its process, and it wrote a moment ago."""
    shutil.rmtree(world.claude / "sessions")
    now = {"HOLDFAST_NOW": "2026-11-21T11:13:10Z"}
    nothing_started(world, world.run(CLAUDE, **now), 4, "may be alive", "--stale-after-s 0")
    assert world.run(CLAUDE, before=("--stale-after-s", "0"), **now).returncode == 0


def test_one_whose_process_cannot_be_looked_at_is_refused(world):
    """It is listed as one of another pid namespace, such as a container's: silence does not show that it is dead."""
    [entry] = (world.claude / "sessions").glob("*.json")
    entry.write_text(json.dumps(json.loads(entry.read_text()) | {"pidDomain": "linux:0:pid:[1]"}))
    nothing_started(world, world.run(CLAUDE), 4, "another pid namespace", "--stale-after-s 0")
    shown = world.ask("recover", "show", CLAUDE)
    assert (shown["status"], shown["alive"]) == ("unknown", None)
    assert "another pid namespace" in shown["why"]
    assert world.run(CLAUDE, before=("--stale-after-s", "0")).returncode == 0


def test_what_is_missing_is_named(world):
    nothing_started(world, world.run("nothing"), 3, "no session starts with")
    world.ask("sessions")
    moved = world.project.rename(world.base / "elsewhere")
    nothing_started(world, world.run(CLAUDE), 65, str(world.project), "workspace move OLD NEW")
    moved.rename(world.project)
    kept = world.transcript.rename(world.base / "kept.jsonl")
    nothing_started(world, world.run(CLAUDE), 65, "transcript", f"holdfast restore session {CLAUDE}")
    kept.rename(world.transcript)
    (world.base / "bin" / "claude").rename(world.base / "bin" / "another")
    path = {"PATH": str(world.base / "bin")}
    line = f"cd '{world.project}' &&"
    nothing_started(world, world.run(CLAUDE, **path), 65, "no such program in PATH", "claude_program", line)
    named = {"HOLDFAST_CLAUDE_PROGRAM": str(world.base / "bin" / "another")}
    done = world.run(CLAUDE, mode="error", **path, **named)
    assert "another: it does not want to" in done.stderr


def test_a_restored_transcript_can_be_gone_on_with(world):
    world.ask("sessions")
    before = world.transcript.read_bytes()
    world.transcript.unlink()
    assert world.run(CLAUDE).returncode == 65
    world.ask("restore", "session", CLAUDE)
    assert world.transcript.read_bytes() == before
    assert world.run(CLAUDE).returncode == 0


def test_a_moved_project_is_gone_on_with_where_it_lies(world):
    world.ask("sessions")
    new = world.base / "moved"
    world.project.rename(new)
    world.ask("workspace", "move", str(world.project), str(new))
    assert world.run(CLAUDE).returncode == 0
    assert world.started()["cwd"] == str(new)


def test_a_program_that_cannot_be_started_is_told(world):
    (world.base / "bin" / "claude").write_text("#!/nonexistent/interpreter\n")
    done = world.run(CLAUDE)
    assert done.returncode == 65
    assert world.kinds() == ["session.resuming", "session.resume_failed"]
    assert world.told()[1][1]["reason"] == "not_started"
    assert world.is_free()


def test_printing_starts_nothing_and_what_is_printed_does_it(world):
    done = world.run(CLAUDE, "--print", "--no-packet", "--", "-p")
    assert done.returncode == 0, done.stderr
    nothing_started(world, done, 0)
    [line] = done.stdout.splitlines()
    assert line == f"cd '{world.project}' && CLAUDE_CONFIG_DIR={world.claude} claude --resume {CLAUDE} -p"
    subprocess.run(
        ["sh", "-c", line], env=world.environment(), input="go on", text=True, check=True, capture_output=True
    )
    assert world.started()["cwd"] == str(world.project)
    assert world.started()["told"] == "go on"
    told = world.run(CODEX, "--print", "--fork")
    assert told.stdout.endswith(f'codex fork {CODEX} "$(holdfast --home {world.home} handoff {CODEX})"\n')


# ── other sources ──


OWN = '{"kind": "tool.used", "session": "nightly", "agent": "planner", "fields": {"tool": "Bash", "status": "completed"}}\n'


def record_own(world: World) -> None:
    body = {"kind": "session.started", "session": "nightly", "fields": {"cwd": str(world.project)}}
    subprocess.run(
        [sys.executable, "-m", "holdfast", "record"],
        input=json.dumps(body) + "\n" + OWN,
        env=world.environment(),
        text=True,
        check=True,
        capture_output=True,
    )


def test_another_source_needs_a_command_of_the_users_own(world):
    record_own(world)
    done = world.run("nightly", HOLDFAST_STALE_AFTER_S="0")
    assert done.returncode == 65, done.stderr
    assert "resume_commands" in done.stderr
    program = world.base / "own.sh"
    program.write_text(
        f"""#!/bin/sh
echo "$@" > '{world.log}/words'
cp "$2" '{world.log}/packet'
echo '{OWN.strip()}' | '{sys.executable}' -m holdfast record
"""
    )
    program.chmod(0o755)
    words = [str(program), "{session}", "{packet_file}", "{directory}"]
    (world.home / "config.toml").write_text(f"[resume_commands]\nsdk = {json.dumps(words)}\n")
    done = world.run("nightly", HOLDFAST_STALE_AFTER_S="0")
    assert done.returncode == 0, done.stderr
    said = (world.log / "words").read_text()
    assert said.startswith("nightly ")
    assert said.rstrip().endswith(str(world.project))
    assert "is being resumed" in (world.log / "packet").read_text()
    assert list((world.home / "run").glob("*.md")) == []
    assert world.run("nightly", "--fork", HOLDFAST_STALE_AFTER_S="0").returncode == 65


# ── only one ──


ROUNDS = int(os.environ.get("HOLDFAST_TEST_RESUME_ROUNDS", "4"))  # 12 and more by hand


def at_once(world: World, number: int) -> list[subprocess.CompletedProcess[str]]:
    """So many commands at the same time; the stand-in of the one that starts it works when all others are done."""
    commands = [world.start(CLAUDE, mode="slow") for _ in range(number)]
    world.started()
    until(
        lambda: sum(one.poll() is not None for one in commands) >= number - 1 or len(world.starts()) > 1,
        "the others",
    )
    for _ in world.starts():
        world.open_gate()
    return [world.end(one) for one in commands]


def test_two_terminals_at_once_resume_it_once(world):
    """Whatever their timing: one works, the others are refused with the reason."""
    world.ask(
        "sessions"
    )  # who meets another one that imports for the first time does not know the session yet
    for _ in range(ROUNDS):
        world.drop_starts()
        done = at_once(world, 3)
        assert len(world.starts()) == 1
        [start] = world.starts()
        codes = sorted(one.returncode for one in done)
        assert codes[0] == 0, [one.stderr for one in done]
        assert set(codes[1:]) <= {4, 66}, [one.stderr for one in done]
        for one in done:
            if one.returncode:
                assert "resum" in one.stderr or str(start["pid"]) in one.stderr
        assert world.is_free()


NO_CLAIM = """
import contextlib, sys
from holdfast.recover import claim
@contextlib.contextmanager
def nobody(path, attempt, seen):
    class Nothing:
        def tell_started(self): pass
    path.parent.mkdir(exist_ok=True)
    yield Nothing()
claim.claimed = nobody
from holdfast.cli.app import main
main(sys.argv[1:])
"""


def test_without_the_claim_two_would_start_it_twice(world):
    """Negative control: the race is there."""
    held = world.environment("slow", HOLDFAST_FAILPOINTS="resume.intended=stop")
    words = [sys.executable, "-c", NO_CLAIM, "recover", "resume", CLAUDE]
    both = [
        subprocess.Popen(
            words, env=held, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    for one in both:
        assert os.WIFSTOPPED(os.waitpid(one.pid, os.WUNTRACED)[1])
    for one in both:
        one.send_signal(signal.SIGCONT)
    until(lambda: len(world.starts()) == 2, "two starts")
    for one in both:
        one.kill()
        one.wait()


def test_who_decided_before_another_was_done_is_refused(world):
    """It looked, another one resumed the session and came to its end, and only then it got the claim."""
    late = world.start(CLAUDE, HOLDFAST_FAILPOINTS="resume.looked=stop")
    assert os.WIFSTOPPED(os.waitpid(late.pid, os.WUNTRACED)[1])
    assert world.run(CLAUDE).returncode == 0
    late.send_signal(signal.SIGCONT)
    done = world.end(late)
    assert done.returncode == 66
    assert "another process has resumed it just now" in done.stderr
    assert len(world.starts()) == 1


# ── a death of this command ──


POINTS = [
    "resume.looked",
    "resume.claimed",
    "resume.intended",
    "resume.started",
    "resume.working",
    "resume.told",
]


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_no_lock_and_at_most_a_question(world, point):
    """The next look tells of it, and the session can be resumed as soon as what was started is dead."""
    done = world.run(
        CLAUDE, mode="slow" if point == "resume.started" else "works", HOLDFAST_FAILPOINTS=f"{point}=kill"
    )
    assert done.returncode == -signal.SIGKILL
    assert world.is_free()
    step = POINTS.index(point)
    expected = [[], [], *[["session.resuming"]] * 3, ["session.resuming", "session.resumed"]]
    assert world.kinds() == expected[step]
    if point == "resume.started":
        start = world.started()
        refused = world.run(CLAUDE)
        assert refused.returncode in (4, 66), refused.stderr
        assert str(start["pid"]) in refused.stderr
        world.open_gate()
    if step >= 3:
        until(lambda: not any(is_alive(one["pid"]) for one in world.starts()), "its end")
    again = world.run(CLAUDE)
    assert again.returncode == 0, again.stderr
    assert ("did not say what became of it" in again.stderr) == (step in (2, 3, 4))


def test_what_was_started_is_known_at_every_moment(world):
    """Killed at random moments around the start: nobody starts a second one while the first is alive."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    dice, refused = random.Random(seed), 0
    for number in range(ROUNDS):
        refused += killed_around_the_start(world, dice, number)
    print(f"{refused} of {ROUNDS} met what the first one had started")


def killed_around_the_start(world: World, dice: random.Random, number: int) -> bool:
    """One round; whether the second command was refused."""
    world.drop_starts()
    seen = world.kinds().count("session.resuming")
    first = world.start(CLAUDE, mode="slow")
    while world.kinds().count("session.resuming") == seen:
        assert first.poll() is None
    for _ in range(dice.choice([0, 0, dice.randrange(2_000)])):
        os.sched_yield()
    first.kill()
    first.wait()
    second = world.start(CLAUDE, mode="slow")
    decided = lambda: second.poll() is not None or world.kinds().count("session.resuming") > seen + 1  # noqa: E731
    until(decided, f"either, in round {number}")
    until(world.starts, "the stand-in")
    world.open_gate()
    done = world.end(second)
    assert done.returncode in (0, 4, 66), done.stderr
    assert len(world.starts()) == 1, done.stderr
    until(lambda: not any(is_alive(one["pid"]) for one in world.starts()), "its end")
    return done.returncode != 0


# ── nothing else changes ──


def test_a_resume_that_failed_is_no_activity_of_the_session(world):
    [before] = [one for one in world.ask("sessions")["sessions"] if one["id"] == CLAUDE]
    assert world.run(CLAUDE, mode="error").returncode == 67
    [after] = [one for one in world.ask("sessions")["sessions"] if one["id"] == CLAUDE]
    assert after == before


def test_forgetting_a_session_takes_its_resumes_along(world):
    assert world.run(CLAUDE).returncode == 0
    world.ask("forget", CLAUDE, "--yes")
    held = b"".join(path.read_bytes() for path in world.home.rglob("*") if path.is_file())
    assert CLAUDE.encode() not in held
    assert world.locks() == []
