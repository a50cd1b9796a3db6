"""Where sessions stand: from what was written, what hooks told, and whether a process of theirs is at work."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast import processes
from holdfast.capture import claude_registry, liveness
from holdfast.events import ProcessSighted
from holdfast.journal import reader
from tests.e2e.conftest import CAPTURED, NOW, SCENARIOS, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

KILLED = "11111111-1111-4111-8111-111111111111"  # the session of kill9-during-tool
LATER_S = 5
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started")


@pytest.fixture
def config(home) -> Path:
    path = Path(os.environ["CLAUDE_CONFIG_DIR"])
    (path / "sessions").mkdir(parents=True)
    return path


@contextmanager
def running() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until it is killed."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def list_process(config: Path, session: str, pid: int, status: str = "busy", **more: object) -> Path:
    """Write what Claude Code writes of a process of its own."""
    now_ms = 1_795_300_000_000  # after every captured scenario
    said = {
        "pid": pid,
        "sessionId": session,
        "cwd": "/home/dev/demo",
        "startedAt": 1_795_000_000_000,  # and before
        "procStart": str(processes.started_ticks(pid)),
        "version": "2.1.330",
        "pidDomain": f"linux:0123456789abcdef:{Path('/proc/self/ns/pid').readlink()}",
        "somethingNew": {"a": [1, None]},
        "status": status,
        "updatedAt": now_ms,
        "statusUpdatedAt": now_ms,
    }
    path = config / "sessions" / f"{pid}.json"
    path.write_text(json.dumps(said | more))
    return path


def hooks_told(home: Path, scenario: str, until: str = "") -> None:
    """Leave a scenario's payloads in the inbox, up to the first of an event."""
    given = (CAPTURED / scenario / "hooks.ndjson").read_bytes().splitlines(keepends=True)
    if until:
        names = [json.loads(line)["hook_event_name"] for line in given]
        given = given[: names.index(until) + 1]
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    (home / "inbox" / "claude").write_bytes(b"".join(given))


def transcripts(scenario: str, into: Path, until: str = "") -> Path:
    """A scenario's transcripts; with `until`, as they were when the first main line of that kind was written."""
    source = CAPTURED / scenario / "transcript"
    shutil.copytree(source, into, dirs_exist_ok=True)
    if until:
        [main] = source.glob("*.jsonl")
        lines = main.read_text().splitlines()
        place = next(n for n, line in enumerate(lines) if until in line)
        (into / main.name).write_text("".join(f"{line}\n" for line in lines[: place + 1]))
        moment = json.loads(lines[place])["timestamp"]
        for path in into.glob("*/subagents/*"):
            kept = [line for line in path.read_text().splitlines() if is_before(line, moment)]
            path.write_text("".join(f"{line}\n" for line in kept))
    return into


def is_before(line: str, moment: str) -> bool:
    return str(json.loads(line).get("timestamp") or "") <= moment and '"finished"' not in line


def only(home: Path, now: str = NOW) -> dict:
    [session] = json.loads(ask(home, ["sessions", "--json"], now=now)[0])["sessions"]
    return session


def soon_after(session: dict) -> str:
    last = datetime.fromisoformat(session["last_activity_at"])
    return (last + timedelta(seconds=LATER_S)).isoformat()


# ── the table: what each source says by itself, and all of them together ──

OPEN = ("working", "inferred")
CUT, STOPPED = ("interrupted", "inferred"), ("interrupted", "observed")
DONE, FAILED = ("ended", "observed"), ("failed", "observed")

# scenario: what its transcript tells soon after its end and much later; what its hooks tell; and both, with a process
# that is dead, and one that runs.
TABLE = {
    "api-error-400": (FAILED, FAILED, FAILED, FAILED, FAILED),
    "async-subagents": (DONE, DONE, DONE, DONE, ("idle", "inferred")),
    "foreground-nested-subagents": (DONE, DONE, DONE, DONE, ("idle", "inferred")),
    "fork-after-kill9": (DONE, DONE, DONE, DONE, ("idle", "inferred")),
    "kill9-during-tool": (OPEN, CUT, CUT, CUT, OPEN),
    "kill9-foreground-subagent": (OPEN, CUT, CUT, CUT, OPEN),
    "max-turns": (STOPPED, STOPPED, CUT, STOPPED, STOPPED),
    "resume-after-kill9-and-compact": (DONE, DONE, DONE, DONE, ("idle", "inferred")),
    "sigterm-during-tool": (CUT, CUT, CUT, CUT, OPEN),
    "task-tools": (DONE, DONE, DONE, DONE, ("idle", "inferred")),
    "tui-esc-interrupts-sigterm": (STOPPED, STOPPED, CUT, STOPPED, STOPPED),
}


def test_the_table_names_every_scenario():
    assert sorted(TABLE) == SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_source_alone_and_all_together(scenario, home, config, tmp_path):
    soon, late, told, dead, alive = TABLE[scenario]
    stands = []
    alone = tmp_path / "transcript-alone"
    ask(alone, ["import", str(CAPTURED / scenario / "transcript")])
    session = only(alone)
    stands += [only(alone, soon_after(session)), session]

    by_hooks = tmp_path / "hooks-alone"
    ask(by_hooks, ["sessions"])
    hooks_told(by_hooks, scenario)
    stands.append(only(by_hooks, "2027-01-01T00:00:00Z"))
    assert stands[-1]["id"] == session["id"]

    ask(home, ["import", str(CAPTURED / scenario / "transcript")])
    hooks_told(home, scenario)
    with running() as process:
        list_process(config, session["id"], process.pid, "something new")
        stands.append(only(home))
        assert stands[-1]["activity"]["process"] == "alive"
    stands.insert(3, only(home))
    assert stands[3]["activity"]["process"] == "dead"

    assert [(s["state"], s["state_grade"]) for s in stands] == [soon, late, told, dead, alive]


# ── processes ──


def test_a_killed_process_is_told_at_once(home, config):
    """Not after ten minutes of silence; by a dead number, by one that is somebody else's now, and when its entry is gone."""
    ask(home, ["import", str(CAPTURED / "kill9-during-tool" / "transcript")])
    now = soon_after(only(home))
    with running() as process:
        path = list_process(config, KILLED, process.pid)
        session = only(home, now)
        assert (session["state"], session["state_grade"]) == ("working", "observed")
        assert session["activity"]["state"] == "busy"
        list_process(config, KILLED, process.pid, procStart="1")
        session = only(home, now)
        assert (session["state"], session["activity"]["process"]) == ("interrupted", "dead")
        list_process(config, KILLED, process.pid)
    session = only(home, now)
    assert (session["state"], session["state_grade"]) == ("interrupted", "inferred")
    assert session["state_why"] == (
        f"its process {process.pid} died and left its entry behind while a tool call has no result"
    )
    path.unlink()
    session = only(home, now)
    assert (session["state"], session["state_why"]) == (
        "interrupted",
        f"its process {process.pid} is gone while a tool call has no result",
    )


def test_who_waits_for_what(home, config):
    """As the process says, while nothing was written since."""
    ask(home, ["import", str(CAPTURED / "kill9-during-tool" / "transcript")])
    with running() as process:
        for said, expected in (
            ({"waitingFor": "permission prompt"}, ("waiting", "observed", "waiting_for_approval")),
            ({"waitingFor": "input needed"}, ("waiting", "observed", "waiting_for_input")),
            ({"waitingFor": "input needed", "statusUpdatedAt": 1}, ("working", "inferred", "busy")),
            ({"status": "idle"}, ("idle", "observed", "idle")),
            ({"status": "idle", "statusUpdatedAt": 1}, ("working", "inferred", "busy")),
        ):
            list_process(config, KILLED, process.pid, **{"status": "waiting"} | said)
            found = only(home)
            assert (found["state"], found["state_grade"], found["activity"]["state"]) == expected


def test_a_session_is_known_by_its_process_alone(home, config):
    """Before it wrote anything, and after its entry is gone; what it said of itself stays in the journal, and nothing is said twice."""
    with running() as process:
        path = list_process(config, "new", process.pid)
        assert only(home)["state"] == "working"
        assert only(home)["workspace"] == "/home/dev/demo"
        list_process(config, "new", process.pid, "idle", updatedAt=1_795_300_001_000)
        assert only(home)["state"] == "idle"
        (config / "sessions" / f"{process.pid}.key").write_text("a secret of the tool")
    path.unlink()
    session = only(home)
    assert (session["id"], session["state"]) == ("new", "empty")
    assert session["activity"] == {
        "state": None,
        "process": "dead",
        "background_tasks": None,
        "last_sign_at": "2026-11-21T22:26:40.000Z",
    }
    records = [
        json.loads(item.record.body_bytes())
        for item in reader.read(home / "journal")
        if isinstance(item, reader.Found) and item.record.s == claude_registry.SOURCE
    ]
    assert [record["said"]["status"] for record in records] == ["busy", "idle"]
    assert records[0]["said"]["somethingNew"] == {"a": [1, None]}
    assert records[0]["boot"] == processes.boot_id()


def test_a_process_that_went_on_to_another_session_is_not_the_first_ones(home, config):
    with running() as process:
        list_process(config, "first", process.pid)
        assert only(home)["id"] == "first"
        list_process(config, "second", process.pid, updatedAt=1_795_300_001_000)
        found = json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]
    assert {s["id"]: s["activity"]["process"] for s in found} == {"first": "dead", "second": "alive"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"pid": "x"}',
        b'{"pid": 1e99, "sessionId": "s"}',
        b'{"pid": 2147483648, "sessionId": "s"}',
        b"\xff",
        b"[" * 70_000,
    ],
)
def test_an_entry_that_cannot_be_understood_tells_nothing(content, home, config):
    ask(home, ["import", str(CAPTURED / "kill9-during-tool" / "transcript")])
    (config / "sessions" / "77.json").write_bytes(content)
    (config / "sessions" / "78.json").symlink_to("/dev/full")
    (config / "sessions" / "79.json").mkdir()
    assert only(home)["state_why"].startswith("silent for 10 min")


def test_a_forgotten_session_is_not_recorded_again_by_its_process(home, config):
    with running() as process:
        list_process(config, "mine", process.pid)
        assert only(home)["id"] == "mine"
        ask(home, ["forget", "mine", "--yes"])
        list_process(config, "mine", process.pid, "idle")
        assert json.loads(ask(home, ["sessions", "--json"])[0])["sessions"] == []
    held = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b'"mine"' not in held


def test_another_host_boot_or_namespace_is_not_judged_alive():
    """Of another host or pid namespace nothing is known; a boot that is over took its processes along."""
    here = liveness.here("host")
    look = liveness.Liveness(Path("/nonexistent"), Path("/nonexistent"), here)
    with running() as process:
        ticks = processes.started_ticks(process.pid)
        known = ProcessSighted(
            pid=process.pid, host="host", boot_id=here.boot, namespace=here.namespace, start_ticks=ticks
        )
        found = [
            look("claude:s", one)
            for one in (
                known,
                ProcessSighted(pid=known.pid, host="other", boot_id=known.boot_id, start_ticks=ticks),
                ProcessSighted(pid=known.pid, host="host", boot_id="before", start_ticks=ticks),
                ProcessSighted(
                    pid=known.pid, host="host", boot_id=here.boot, namespace="pid:[1]", start_ticks=ticks
                ),
                ProcessSighted(
                    pid=known.pid, host="host", boot_id=here.boot, namespace=here.namespace, start_ticks=None
                ),
            )
        ]
    assert [one and one.process for one in found] == ["alive", None, "dead", None, None]


def test_codex_locks_tell_who_writes_a_thread(home, tmp_path, monkeypatch):
    """Held: at work. Left behind: killed. Gone: nothing is known. Nobody takes the lock to find out."""
    codex = tmp_path / "codex"
    monkeypatch.setenv("CODEX_HOME", str(codex))
    rollouts = CAPTURED.parent / "codex" / "kill9-then-resume" / "sessions"
    [rollout] = rollouts.rglob("*.jsonl")
    lines = rollout.read_bytes().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if b'"function_call"' in line)
    (tmp_path / rollout.name).write_bytes(b"".join(lines[: cut + 1]))
    ask(home, ["import", str(tmp_path / rollout.name)])
    session = only(home)
    assert session["state_why"].startswith("silent for 10 min")
    lock = codex / "thread-writer-locks" / f"{session['id']}.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = only(home)
        assert (found["state"], found["activity"]["process"]) == ("working", "alive")
    found = only(home)
    assert (found["state"], found["activity"]["process"]) == ("interrupted", "dead")
    assert found["state_why"].startswith("the process that wrote it left its lock behind while")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a pid namespace")
def test_a_codex_outside_of_the_pid_namespace_is_not_dead(home, tmp_path, monkeypatch):
    """The kernel lists no lock of a process that is outside; a lock that nobody holds is left behind there too."""
    codex = tmp_path / "codex"
    monkeypatch.setenv("CODEX_HOME", str(codex))
    ask(home, ["import", str(CAPTURED.parent / "codex" / "kill9-then-resume" / "sessions")])
    lock = codex / "thread-writer-locks" / f"{only(home)['id']}.lock"
    lock.parent.mkdir(parents=True)
    inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", "holdfast"]

    def process() -> str:
        said = subprocess.run([*inside, "sessions", "--json"], capture_output=True, check=True).stdout
        [session] = json.loads(said)["sessions"]
        return session["activity"]["process"]

    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert process() == "alive"
    assert process() == "dead"


# ── hooks ──


def test_a_person_who_is_asked_is_waited_for(home, config, tmp_path):
    """By hooks alone, until something shows that it was answered."""
    ask(home, ["sessions"])
    hooks_told(home, "async-subagents", until="PermissionRequest")
    found = only(home, datetime.now().astimezone().isoformat())
    assert (found["state"], found["state_grade"]) == ("waiting", "inferred")
    assert found["activity"]["state"] == "waiting_for_approval"
    assert found["state_why"] == "it asks for leave to use Bash"
    hooks_told(home, "async-subagents", until="Stop")
    assert only(home)["state"] != "waiting"


def test_a_stop_with_running_agents_is_not_the_end(home, config, tmp_path):
    """Told by hooks and by the transcript, each alone and together; when the process dies, they are cut."""
    told = tmp_path / "told"
    ask(told, ["sessions"])
    hooks_told(told, "async-subagents", until="Stop")
    found = only(told, datetime.now().astimezone().isoformat())
    assert (found["state"], found["activity"]["background_tasks"]) == ("working", 2)
    assert found["state_why"] == "2 agents run in the background"

    files = transcripts("async-subagents", tmp_path / "cut", until="stop_hook_summary")
    ask(home, ["import", str(files)])
    now = soon_after(only(home))
    for _ in range(2):
        found = only(home, now)
        assert (found["state"], found["activity"]["background_tasks"]) == ("working", 2)
        hooks_told(home, "async-subagents", until="Stop")
    with running() as process:
        list_process(config, found["id"], process.pid, "something new")
        assert (only(home)["state"], only(home)["activity"]["state"]) == ("working", "busy")
    found = only(home)
    assert found["state"] == "interrupted"
    assert found["state_why"].endswith("while 2 agents run in the background")
    roots = json.loads(ask(home, ["tree", found["id"], "--json"])[0])["roots"]
    turns = [node["status"] for node in roots[0]["children"] if node["kind"] == "turn"]
    assert turns
    assert set(turns) == {"completed"}
