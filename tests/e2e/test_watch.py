"""`holdfast watch`: what is recorded, as it is recorded, with and without a service."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.following import SESSION, Process, append, next_prompt, prompt, serving, transcript, watching

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="waits for what Linux tells of changes"),
]


def test_without_a_service_it_looks_itself(home, run):
    append(transcript(), prompt(1))
    with watching() as watcher:
        for number in (2, 3):
            append(transcript(), prompt(number))
            assert next_prompt(watcher)[1] == number


def test_only_one_session(home, run):
    other = transcript(SESSION.replace("1", "2"))
    append(transcript(), prompt(1))
    append(other, prompt(2, other.stem))
    with watching(SESSION) as watcher:
        append(other, prompt(3, other.stem))
        append(transcript(), prompt(4))
        assert next_prompt(watcher)[1] == 4
    missing = run("watch", "nothing-of-that-name")
    assert missing.returncode == 3


def test_after_a_place(home, run):
    append(transcript(), *map(prompt, range(1, 6)))
    with watching() as watcher:
        append(transcript(), prompt(6))
        seq, number = next_prompt(watcher)
        assert number == 6
        append(transcript(), prompt(7), prompt(8))
        while next_prompt(watcher)[1] != 8:
            pass
    with watching("--after", seq) as watcher:
        assert [next_prompt(watcher)[1] for _ in range(2)] == [7, 8]
    late = {"HOLDFAST_NOW": "2100-01-01T00:00:00Z"}
    retire = ["journal", "retire", "--keep-days", "1", "--most", "100", "--without-backup", "--yes"]
    for command in (["journal", "seal", "--all"], retire):
        done = run(*command, env=late)
        assert done.returncode == 0, done.stderr
        with watching("--after", seq) as watcher:
            assert [next_prompt(watcher)[1] for _ in range(2)] == [7, 8]


@pytest.mark.parametrize(
    ("seq", "code"),
    [("yesterday", 2), ("1.3.0.aaaaaaaaaaaa", 3), ("1.999.0.aaaaaaaaaaaa", 3), ("9.0.0.aaaaaaaaaaaa", 3)],
)
def test_a_place_that_is_none(home, run, seq, code):
    append(transcript(), prompt(1))
    done = run("watch", "--after", seq)
    assert done.returncode == code
    assert seq in done.stderr


def test_in_words(home, run):
    append(transcript(), prompt(1))
    watcher = Process("watch")
    try:
        watcher.notes_until("watching")
        append(transcript(), prompt(2))
        line = watcher.until("prompt 2")
        assert SESSION[:8] in line
        assert "turn.started" in line
        assert watcher.end(signal.SIGINT) == 0
    finally:
        watcher.end(signal.SIGKILL)


def test_terminal_commands_in_what_agents_say_stay_text(home, run):
    append(transcript(), prompt(1))
    watcher = Process("watch")
    try:
        watcher.notes_until("watching")
        append(transcript(), prompt(2).replace(b" end", b"\\u001b[2J end"))
        assert "\x1b" not in watcher.until("prompt 2")
    finally:
        watcher.end(signal.SIGKILL)


def test_what_comes_while_the_journal_is_rewritten_is_told_once(home, run):
    other = transcript(SESSION.replace("1", "2"))
    append(other, *(prompt(number, other.stem) for number in range(100, 200)))
    append(transcript(), prompt(1))
    with watching() as watcher:
        seen = []
        for number in range(2, 8):
            append(transcript(), prompt(number))
            if number == 4:
                assert run("forget", other.stem, "--yes").returncode == 0
            if number == 6:
                assert run("journal", "seal", "--all").returncode == 0
        while not seen or seen[-1] != 7:
            seen.append(next_prompt(watcher)[1])
    assert seen == [2, 3, 4, 5, 6, 7]
    assert Path(home, "journal", "chain.jsonl").exists()
    assert json.loads(run("sessions", "--json").stdout)["sessions"][0]["turns"] == 7


@pytest.mark.parametrize("grows", [True, False])
def test_what_was_not_read_yet_is_found_where_rewriting_put_it(home, run, grows):
    """A watcher that is held up while records before its place become longer, or shorter."""
    other = transcript(SESSION.replace("1", "2"))
    append(
        other,
        *(prompt(number, other.stem).replace(b" end", b" BDG-12345678 end") for number in range(100, 160)),
    )
    append(transcript(), prompt(1))
    with serving(), watching() as watcher:
        watcher.process.send_signal(signal.SIGSTOP)
        append(transcript(), *map(prompt, range(2, 6)))
        run("import")
        if grows:
            run(
                "redact",
                "add",
                "--kind",
                "a-kind-with-a-long-name",
                "--prefix",
                "BDG-",
                "--least",
                "8",
                "--most",
                "8",
            )
            done = run("redact", "apply", "--yes")
        else:
            done = run("forget", other.stem, "--yes")
        assert done.returncode == 0, done.stderr
        append(transcript(), prompt(6))
        watcher.process.send_signal(signal.SIGCONT)
        assert [next_prompt(watcher)[1] for _ in range(5)] == [2, 3, 4, 5, 6]


def test_a_place_outlives_the_record_that_stood_there(home, run):
    """Also where the clock was set back after it."""
    other = transcript(SESSION.replace("1", "2"))
    append(transcript(), prompt(1))
    with watching() as watcher:
        append(other, prompt(2, other.stem))
        seq, _ = next_prompt(watcher)
        append(transcript(), prompt(3), prompt(4))
        while next_prompt(watcher)[1] != 4:
            pass
    assert run("forget", other.stem, "--yes").returncode == 0
    with watching("--after", seq) as watcher:
        assert [next_prompt(watcher)[1] for _ in range(2)] == [3, 4]


def test_a_slow_writer_s_records_are_told_once(home, run, monkeypatch):
    """A program goes on writing an older segment while others write newer ones; a place says how far each was told."""
    monkeypatch.setenv("HOLDFAST_SEGMENT_SIZE_BYTES", "30000")
    slow = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "record"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def record(text: str) -> None:
        assert slow.stdin is not None
        assert slow.stdout is not None
        slow.stdin.write(json.dumps({"kind": "notice.raised", "session": "sdk:s", "text": text}) + "\n")
        slow.stdin.flush()
        assert slow.stdout.readline()

    def words(watcher: Process, number: int) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        while len(found) < number:
            event = json.loads(watcher.line())
            if event["kind"] in ("notice.raised", "turn.started"):
                found.append((event["seq"], event["data"]["text"]))
        return found

    try:
        record("slow 1")
        append(transcript(), *map(prompt, range(1, 120)))
        assert run("import").returncode == 0
        append(transcript(), prompt(150))
        assert run("import").returncode == 0
        assert len(list((home / "journal").glob("*.jsonl"))) == 2
        with watching() as watcher:
            append(transcript(), prompt(200))
            ((seq, text),) = words(watcher, 1)
            assert text.startswith("prompt 200")
            record("slow 2")
            ((later, text),) = words(watcher, 1)
            assert text == "slow 2"
            assert int(later.split(".")[0]) < int(seq.split(".")[0])
        append(transcript(), prompt(201))
        record("slow 3")
        with watching("--after", seq) as watcher:
            assert {text for _, text in words(watcher, 3)} == {"slow 2", "slow 3", "prompt 201 end"}
        with watching("--after", later) as watcher:
            assert {text for _, text in words(watcher, 2)} == {"slow 3", "prompt 201 end"}
            append(transcript(), prompt(202))
            assert words(watcher, 1)[0][1] == "prompt 202 end"
    finally:
        slow.communicate()


def test_it_says_that_a_service_does_not_answer(home, run):
    append(transcript(), prompt(1))
    with serving() as service:
        service.process.send_signal(signal.SIGSTOP)
        with watching() as watcher:
            assert f"process {service.process.pid}" in watcher.notes_until("does not answer")
            service.process.send_signal(signal.SIGCONT)
            append(transcript(), prompt(2))
            assert next_prompt(watcher)[1] == 2
