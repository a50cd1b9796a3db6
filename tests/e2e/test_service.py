"""`holdfast up`: keeps a home caught up, gives way to who works in it, and loses nothing however it ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast import processes
from holdfast.journal import reader
from tests.e2e.following import (
    LIMIT_S,
    SESSION,
    Process,
    append,
    next_prompt,
    prompt,
    serving,
    told,
    transcript,
    watching,
)
from tests.store import version

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="waits for what Linux tells of changes"),
]


def prompts_recorded(home: Path) -> list[int]:
    """The numbers of the prompts in the journal, in its order."""
    found = []
    for item in reader.read(home / "journal"):
        assert isinstance(item, reader.Found)
        if item.record.s == "claude.transcript" and (body := item.record.body_bytes()):
            found.append(int(json.loads(body)["message"]["content"].split()[1]))
    return found


def test_what_is_appended_is_told_and_answered(home, run):
    with serving() as service, watching() as watcher:
        append(transcript(), prompt(1))
        assert next_prompt(watcher)[1] == 1
        shown = json.loads(run("sessions", "--json").stdout)["sessions"]
        assert [(one["id"], one["turns"]) for one in shown] == [(SESSION, 1)]
        assert (
            "process" not in run("--catch-up-wait-ms", "60000", "sessions").stderr
        )  # nobody had to wait for anybody
        done = run("status", "--json")
        answer = json.loads(done.stdout)
        assert (answer["pid"], answer["answer"]["problem"]) == (service.process.pid, None)
        assert run("down").stdout == f"ended: process {service.process.pid}\n"
        assert service.end() == 0
    assert run("status").returncode == 62
    assert run("down").returncode == 0
    assert prompts_recorded(home) == [1]


def test_there_is_one_service_of_a_home(home, run):
    with serving():
        second = run("up")
        assert second.returncode == 61
        assert "runs already" in second.stderr
        assert run("up", "--detach").returncode == 61


def test_it_runs_in_the_background_until_it_is_told_to_end(home, run):
    began = run("up", "--detach", "--json")
    assert began.returncode == 0, began.stderr
    pid = json.loads(began.stdout)["pid"]
    try:
        append(transcript(), prompt(1))
        assert SESSION[:8] in run("sessions").stdout
        assert json.loads(run("status", "--json").stdout)["pid"] == pid
    finally:
        ended = run("down", "--json")
    assert json.loads(ended.stdout) == {"home": str(home), "ended": pid, "stopped": []}
    assert processes.started_ticks(pid) is None
    assert "told to" in (home / "run" / "service.log").read_text()


def test_a_service_that_cannot_start_says_why(home, run, tmp_path):
    (home / "journal").mkdir(parents=True)
    (home / "home.json").write_text('{"format":99,"redaction":1}')
    done = run("up")
    assert done.returncode == 12
    assert run("up", "--detach").returncode == 12


@pytest.mark.parametrize("seed", range(2))
def test_killed_and_started_again_it_loses_nothing_and_repeats_nothing(home, run, seed):
    """A watcher that comes back with its last `seq` gets each event once, in order, over kills of both."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    path = transcript()
    seen: list[int] = []
    after: list[str] = []
    written = 0
    append(path, prompt(0))
    run("import")
    for _ in range(6):
        with watching(*after) as watcher:
            with serving() as service:
                for _ in range(chance.randrange(1, 20)):
                    written += 1
                    append(path, prompt(written))
                for _ in range(chance.randrange(0, 3)):
                    next_prompt_into(watcher, seen, after)
                service.end(signal.SIGKILL)
            written += 1
            append(path, prompt(written))
            while not seen or seen[-1] < chance.randrange(1, written + 1):
                next_prompt_into(watcher, seen, after)
            watcher.end(signal.SIGKILL)
    with watching(*after) as watcher:
        while seen[-1] < written:
            next_prompt_into(watcher, seen, after)
    assert seen == list(range(1, written + 1))
    assert prompts_recorded(home) == list(range(written + 1))
    assert run("journal", "verify").returncode == 0


def next_prompt_into(watcher: Process, seen: list[int], after: list[str]) -> None:
    """Read one prompt; events of another kind move the place, too."""
    while True:
        line = watcher.line()
        after[:] = ["--after", json.loads(line)["seq"]]
        if (found := told(line)) is not None:
            seen.append(found[1])
            return


def test_who_works_in_the_home_gets_it_and_the_service_takes_it_again(home, run, tmp_path):
    append(transcript(), prompt(1), prompt(2))
    other = transcript(SESSION.replace("1", "2"))
    append(other, prompt(3, other.stem))
    given = tmp_path / "given.jsonl"
    append(given, prompt(4, SESSION.replace("1", "3")))
    with serving(), watching() as watcher:
        number = 10
        for command in (
            ["import", str(given)],
            ["journal", "seal", "--all"],
            ["forget", other.stem, "--yes"],
            ["rebuild"],
            ["redact", "apply", "--yes"],
            ["workspace", "move", "/home/dev/demo", "/home/dev/other"],
        ):
            done = run(*command)
            assert done.returncode == 0, (command, done.stderr)
            number += 1
            append(transcript(), prompt(number))
            while next_prompt(watcher)[1] != number:
                pass
        assert json.loads(run("status", "--json").stdout)["answer"]["problem"] is None
        listed = {one["id"] for one in json.loads(run("sessions", "--json").stdout)["sessions"]}
    assert listed == {SESSION, SESSION.replace("1", "3")}
    assert prompts_recorded(home).count(3) == 0
    assert run("doctor").returncode == 0


def test_a_stopped_service_holds_nobody_up(home, run):
    append(transcript(), prompt(1))
    with serving() as service:
        service.process.send_signal(signal.SIGSTOP)
        append(transcript(), prompt(2))
        done = run("sessions", "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["sessions"][0]["turns"] == 1
        assert f"process {service.process.pid}" in done.stderr  # the answer says that it may be old, and why
        service.process.send_signal(signal.SIGCONT)
        while json.loads(run("sessions", "--json").stdout)["sessions"][0]["turns"] < 2:
            pass


def test_new_projects_agents_and_links_are_found_and_each_line_recorded_once(home, run, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serving(), watching() as watcher:
        append(transcript(), prompt(1))
        assert next_prompt(watcher)[1] == 1
        agents = transcript().with_suffix("") / "subagents"
        agents.mkdir(parents=True)
        append(
            agents / "agent-a1.jsonl",
            prompt(2).replace(b'"type"', b'"isSidechain": true, "agentId": "a1", "type"'),
        )
        assert json.loads(watcher.until("prompt 2 end"))["agent"] == "a1"
        projects = transcript().parent.parent
        (projects / "-linked").symlink_to(elsewhere)
        (projects / "-again").symlink_to(projects / "-linked")
        inside = elsewhere / f"{SESSION.replace('1', '2')}.jsonl"
        for number in range(3, 9):
            append(inside, prompt(number, inside.stem))
            assert next_prompt(watcher)[1] == number
    assert sorted(prompts_recorded(home)) == list(range(1, 9))


def test_hooks_and_programs_are_heard(home, run):
    Path(os.environ["CLAUDE_CONFIG_DIR"]).mkdir(parents=True)
    assert run("hooks", "install").returncode == 0
    settings = json.loads(Path(os.environ["CLAUDE_CONFIG_DIR"], "settings.json").read_text())
    hook = settings["hooks"]["Notification"][-1]["hooks"][0]["command"]
    payload = {"session_id": SESSION, "hook_event_name": "Notification", "message": "may I?"}
    with serving(), watching() as watcher:
        subprocess.run(["/bin/sh", "-c", hook], input=json.dumps(payload).encode() + b"\n", check=True)
        assert json.loads(watcher.until("notice.raised"))["data"]["text"] == "may I?"
        event = {"kind": "notice.raised", "session": "sdk:s", "data": {"text": "by a program"}}
        run("record", stdin=json.dumps(event) + "\n")
        watcher.until("by a program")


def test_trouble_is_told_and_ends_when_its_cause_does(home, run):
    with serving() as service, watching() as watcher:
        append(transcript(), prompt(1))
        next_prompt(watcher)
        (home / "redact.toml").write_text("[[rule]\n")
        append(transcript(), prompt(2))
        assert "redact.toml" in service.notes_until("trouble")
        assert "redact.toml" in json.loads(run("status", "--json").stdout)["answer"]["problem"]
        (home / "redact.toml").unlink()
        service.notes_until("the trouble is over")
        assert next_prompt(watcher)[1] == 2
    assert prompts_recorded(home) == [1, 2]


def test_rules_of_redaction_count_from_the_moment_they_are_made(home, run):
    append(transcript(), prompt(1))
    with serving(), watching() as watcher:
        done = run("redact", "add", "--kind", "badge", "--prefix", "BADGE-")
        assert done.returncode == 0, done.stderr
        append(transcript(), prompt(2).replace(b" end", b" BADGE-8811223344556677"))
        said = watcher.until("prompt 2")
    assert "BADGE-88" not in said
    assert b"8811223344556677" not in b"".join(p.read_bytes() for p in (home / "journal").iterdir())


def test_a_newer_version_changes_nothing_beneath_a_live_service(home, run, tmp_path):
    append(transcript(), prompt(1))
    job = json.dumps({"sql": str(version.later(tmp_path / "sql", optional=False)), "holdfast": "9.9.9"})
    with serving() as service:
        before = sorted(path.name for path in home.glob("store-*.db"))
        for command in (["sessions"], ["rebuild"], ["forget", SESSION, "--yes"]):
            done = subprocess.run(
                [sys.executable, "-m", "tests.store.version", job, *command],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 31, (command, done.stdout, done.stderr)
            assert f"process {service.process.pid}" in done.stderr
        assert sorted(path.name for path in home.glob("store-*.db")) == before
        assert json.loads(run("sessions", "--json").stdout)["sessions"][0]["turns"] == 1


def test_a_newer_store_ends_the_service(home, run, tmp_path):
    """What a newer version made while the service had yielded to nobody is not written by an older one."""
    append(transcript(), prompt(1))
    run("import")
    job = json.dumps({"sql": str(version.later(tmp_path / "sql", optional=False)), "holdfast": "9.9.9"})
    subprocess.run(
        [sys.executable, "-m", "tests.store.version", job, "rebuild"], check=True, capture_output=True
    )
    done = run("up")
    assert done.returncode == 32
    assert "newer Holdfast" in done.stderr


def test_a_home_that_is_removed_ends_it(home, run):
    append(transcript(), prompt(1))
    with serving() as service:
        home.rename(home.with_name("moved"))
        append(transcript(), prompt(2))
        assert "not the directory" in service.notes_until("error")
        assert service.process.wait(LIMIT_S) == 10
    assert prompts_recorded(home.with_name("moved")) == [1]


def test_a_home_with_a_very_long_name(home, run, tmp_path, monkeypatch):
    long = tmp_path / ("n" * 90) / ("m" * 90)
    monkeypatch.setenv("HOLDFAST_HOME", str(long))
    append(transcript(), prompt(1))
    with serving():
        assert json.loads(run("status", "--json").stdout)["answer"]["files"] == 1
        assert run("forget", SESSION, "--yes").returncode == 0
        assert run("down").returncode == 0


def test_it_is_seen_while_it_uses_the_home(home, run):
    """What would take the home away from under it is refused."""
    with serving():
        refused = run("uninstall", "--purge", "--yes")
        assert refused.returncode == 31
        assert "holdfast down" in refused.stderr
    assert run("uninstall", "--purge", "--yes").returncode == 0
    assert not home.exists()
