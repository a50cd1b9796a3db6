"""`holdfast up` when the world is not as it should be: it says so, goes on, and gets in nobody's way."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from holdfast import service as services
from holdfast.store import asking, database
from tests.e2e.following import (
    LIMIT_S,
    SESSION,
    Process,
    append,
    next_prompt,
    prompt,
    serving,
    transcript,
    watching,
)
from tests.store import version

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="waits for what Linux tells of changes"),
]

OTHER = SESSION.replace("1", "2")


def answer(run) -> dict[str, object]:
    return json.loads(run("status", "--json").stdout)["answer"]


def listed(run, **environment: str) -> list[str]:
    done = run("sessions", "--json", env=environment)
    assert done.returncode == 0, done.stderr
    return sorted(one["id"] for one in json.loads(done.stdout)["sessions"])


def break_rules(home: Path) -> Path:
    """Make rules of redaction that nobody understands: until they are gone, nothing is recorded."""
    rules = home / "redact.toml"
    rules.write_text("[[rule]\n")
    append(transcript(), prompt(90))
    return rules


# ── what it meets ──


def test_a_name_that_is_no_text_is_told(home, run):
    append(transcript(), prompt(1))
    with serving() as service:
        link = os.fsencode(transcript().parent) + b"/loop\xff.jsonl"
        os.symlink(os.path.basename(link), link)  # noqa: PTH119, PTH211 - bytes
        assert listed(run) == [SESSION]
        assert answer(run)["unreadable"] == 1
        assert "loop\\xff" in run("doctor").stdout
        assert service.process.poll() is None


def test_very_many_and_long_names_are_told_too(home, run):
    append(transcript(), prompt(1))
    with serving():
        directory = os.open(transcript().parent, os.O_RDONLY)
        for _ in range(9):
            os.mkdir("d" * 245, dir_fd=directory)
            below = os.open("d" * 245, os.O_RDONLY, dir_fd=directory)
            os.close(directory)
            directory = below
        for number in range(110):
            name = f"{number}-{'e' * 200}.jsonl"
            os.symlink(name, name, dir_fd=directory)
        os.close(directory)
        append(transcript(), prompt(2))
        done = run("--catch-up-wait-ms", "60000", "sessions")
        assert SESSION[:8] in done.stdout
        assert "process" not in done.stderr  # it was answered, and is not old


def test_what_nobody_foresaw_is_told_and_tried_again(home, run):
    append(transcript(), prompt(1))
    with serving("breaks", "seldom") as service, watching() as watcher:
        broken = transcript().with_name("break.jsonl")
        broken.touch()
        append(transcript(), prompt(2))
        assert "KeyError" in service.notes_until("trouble")
        broken.unlink()
        service.notes_until("the trouble is over")
        assert next_prompt(watcher)[1] == 2


def test_nobody_need_listen_to_what_it_says(home, run):
    append(transcript(), prompt(1))
    with serving() as service:
        assert service.process.stderr is not None
        service.process.stderr.close()
        rules = break_rules(home)
        while answer(run)["problem"] is None:
            pass
        rules.unlink()
        while answer(run)["problem"] is not None:
            pass
        assert service.process.poll() is None


@pytest.mark.parametrize("by", ["another's lock", "a yield"])
def test_it_is_patient_while_in_trouble(home, run, by):
    append(transcript(), prompt(1))
    with serving("waits", "seldom") as service:
        break_rules(home)
        service.notes_until("trouble")
        if by == "a yield":
            with asking.yielded(home, LIMIT_S) as is_yielded:
                assert is_yielded
                assert_patient(service)
        else:
            with (home / "writer.lock").open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                assert_patient(service)


def assert_patient(service: Process) -> None:
    told = [float(service.notes_until("waits ").split()[1]) for _ in range(12)][6:]
    assert sum(wait_s > 0.1 for wait_s in told) > len(told) / 2, told


def test_a_directory_that_vanishes_while_it_is_looked_into_is_no_trouble(home, run):
    append(transcript(), prompt(1))
    with serving("vanishes", "seldom") as service, watching() as watcher:
        append(transcript(), prompt(2))
        assert next_prompt(watcher)[1] == 2
        assert run("down").returncode == 0
        assert "trouble" not in service.process.communicate(timeout=LIMIT_S)[1].decode()


def test_the_first_project_ever_and_one_made_anew_are_found(home, run):
    with serving("seldom"), watching() as watcher:
        append(transcript(), prompt(1))
        assert next_prompt(watcher)[1] == 1
        shutil.rmtree(os.environ["CLAUDE_CONFIG_DIR"])
        append(transcript(OTHER), prompt(2, OTHER))
        assert next_prompt(watcher)[1] == 2


@pytest.mark.parametrize("why", ["forgotten", "unreadable"])
def test_what_is_passed_over_makes_no_look_at_everything(home, run, why):
    append(transcript(), prompt(1))
    passed = transcript(OTHER)
    append(passed, prompt(2, OTHER))
    if why == "forgotten":
        run("import")
        assert run("forget", OTHER, "--yes").returncode == 0
        append(passed, prompt(3, OTHER))
    elif os.geteuid() == 0:
        pytest.skip("root may read everything")
    else:
        passed.chmod(0)
    with serving("looks", "seldom") as service:
        for number in range(4, 7):
            append(transcript(), prompt(number))
            assert "everything" not in service.notes_until("looks at ['-home-dev-demo']")
        append(transcript(), prompt(7))
        while "-home-dev-demo" not in (line := service.notes_until("looks at")):
            assert "everything" not in line


def test_roots_of_another_environment_are_looked_at(home, run, tmp_path, monkeypatch):
    append(transcript(), prompt(1))
    with serving("seldom") as service, watching() as watcher:
        with monkeypatch.context() as other:
            other.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "other"))
            append(transcript(OTHER), prompt(2, OTHER))
            assert listed(run) == [SESSION, OTHER]
        assert next_prompt(watcher)[1] == 2
        append(transcript(), prompt(3))
        assert next_prompt(watcher)[1] == 3
        assert service.process.poll() is None


def test_a_store_that_is_removed_is_made_anew(home, run):
    append(transcript(), prompt(1))
    with serving("seldom") as service:
        for path in home.glob("store*"):
            path.unlink()
        append(transcript(), prompt(2))
        while not (home / "store.db").exists():
            run("sessions")
        assert listed(run) == [SESSION]
        assert json.loads(run("sessions", "--json").stdout)["sessions"][0]["turns"] == 2
        assert answer(run)["problem"] is None
        assert service.process.poll() is None
    assert run("doctor").returncode == 0


# ── its place ──


def test_without_its_lock_file_it_ends_and_no_second_one_begins(home, run):
    append(transcript(), prompt(1))
    with serving() as service:
        service.process.send_signal(signal.SIGSTOP)
        shutil.rmtree(home / "run")
        refused = run("up")
        assert refused.returncode == 61
        assert str(service.process.pid) in refused.stderr
        service.process.send_signal(signal.SIGCONT)
        service.notes_until("took it away")
        assert service.process.wait(LIMIT_S) == 60
    with serving():
        assert answer(run)["files"] == 1


def test_what_stands_in_the_socket_s_place_is_named(home, run):
    run("import")
    (home / "run" / "service.sock").mkdir(parents=True)
    done = run("up")
    assert done.returncode == 60
    assert "service.sock: " in done.stderr
    assert "remove what stands there" in done.stderr


@pytest.mark.parametrize("mode", ["anew", "folds"])
def test_a_signal_ends_folding(home, run, mode):
    """What is folded anew is begun again; otherwise what was folded stays so."""
    append(transcript(), *map(prompt, range(1, 9)))
    if mode == "anew":
        run("import")
        for path in home.glob("store*"):
            path.unlink()
    else:
        run("sessions")
        with (transcript().with_name(f"{OTHER}.jsonl")).open("wb") as file:
            file.write(b"".join(prompt(number, OTHER) for number in range(10, 20)))
    service = Process(mode, module="tests.e2e.hindered")
    service.notes_until("folds")
    assert service.end() == 0
    if mode == "anew":
        assert database.current(home) is None
    else:
        db = database.open_reader(home)
        assert database.backlog_bytes(db, home / "journal") > 0
        db.close()
    assert sum(one["turns"] for one in json.loads(run("sessions", "--json").stdout)["sessions"]) == (
        8 if mode == "anew" else 18
    )
    assert run("doctor").returncode == 0


def test_a_home_is_not_removed_beneath_a_service_in_trouble(home, run):
    append(transcript(), prompt(1))
    with serving() as service:
        break_rules(home)
        service.notes_until("trouble")
        refused = run("uninstall", "--purge", "--yes")
        assert refused.returncode == 31
        assert "holdfast down" in refused.stderr
        assert (home / "home.json").exists()
    assert run("uninstall", "--purge", "--yes").returncode == 0
    assert not home.exists()


# ── in the background ──


def test_one_that_ends_at_once_is_not_said_to_run(home, run, tmp_path):
    append(transcript(), prompt(1))
    run("import")
    job = json.dumps({"sql": str(version.later(tmp_path / "sql", optional=False)), "holdfast": "9.9.9"})
    subprocess.run(
        [sys.executable, "-m", "tests.store.version", job, "rebuild"], check=True, capture_output=True
    )
    done = run("up", "--detach")
    assert done.returncode == 60
    assert "exit code 32" in done.stderr
    assert "newer Holdfast" in done.stderr
    assert "error: " in run("status").stderr


def test_of_two_that_begin_at_once_one_runs(home, run):
    append(transcript(), prompt(1))
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "holdfast", "up", "--detach"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=LIMIT_S)[1] for one in both]
    try:
        assert sorted(one.returncode for one in both) == [0, 61], said
        assert "keeping" in services.log_path(home).read_text()
        assert "error" not in services.log_path(home).read_text()
    finally:
        run("down")


def test_a_service_of_another_version_is_told_of_as_far_as_it_says(home, run):
    home.mkdir()
    with services.alone(home):
        listener = asking.Listener(home)

        def serve() -> None:
            while not (asked := listener.hear(0.05)):
                pass
            listener.answer(asked[0], {"pid": 1, "looks": 7, "tomorrow": []})

        thread = threading.Thread(target=serve)
        thread.start()
        done = run("status")
        thread.join(LIMIT_S)
        listener.close()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["7 looks"]
