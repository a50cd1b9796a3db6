"""History that is sealed, and history that is retired, gives the same answers; whoever changes it is found out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from holdfast.journal import blobs, segments
from tests.e2e.conftest import CAPTURED, ask, everything
from tests.journal.sealing_cases import TAMPERINGS, tampered

SMALL = ["--segment-size-bytes", "40000", "--inline-body-size-bytes", "2000"]
LATER = "2027-03-01T00:00:00Z"  # every captured session is quiet, and was received long ago


@pytest.fixture
def plain(imported):
    """The answers from a journal of which nothing is sealed."""
    home = imported(CAPTURED)
    assert segments.sealed_numbers(home / "journal") == []
    return everything(home)


@pytest.fixture
def small(home):
    """A home whose history is spread over many segments, all but the newest sealed, with large bodies in blobs."""
    ask(home, [*SMALL, "import", str(CAPTURED)])
    return home


def retire(home, *more):
    (answer,) = ask(home, ["--now", LATER, "journal", "retire", "--keep-days", "5", "--json", *more])
    return json.loads(answer)


def test_sealed_history_gives_the_same_answers(small, plain):
    """An import seals what it fills; live, sealed, folded again: the same answers, byte for byte."""
    (answer,) = ask(small, ["journal", "verify", "--json"])
    found = json.loads(answer)
    assert found["sealed"] > 8
    assert found["findings"] == []
    assert everything(small) == plain
    ask(small, ["rebuild"])
    assert everything(small) == plain


def test_everything_can_be_sealed_now(home, plain, imported):
    """`journal seal --all` closes the newest segment too; an empty journal stays empty."""
    assert json.loads(ask(home, ["journal", "seal", "--all", "--json"])[0]) == {
        "sealed": [],
        "still_written": [],
    }
    assert not list((home / "journal").iterdir())
    imported(CAPTURED, into=home)
    (answer,) = ask(home, ["journal", "seal", "--all", "--json"])
    assert [seal["segment"] for seal in json.loads(answer)["sealed"]] == [1]
    assert everything(home) == plain
    assert json.loads(ask(home, ["journal", "verify", "--json"])[0])["sealed"] == 1


def test_retired_history_gives_the_same_answers(small, plain):
    """Bodies go, answers stay: totals, agents, trees, timelines, also folded again from what is left, and importing goes on."""
    before = sum(path.stat().st_size for path in small.rglob("*") if path.is_file())
    done = retire(small, "--yes", "--without-backup", "--most", "100")
    assert len(done["retired"]) > 8
    assert done["stored_bytes_after"] < done["stored_bytes_before"]
    assert done["blob_bytes_removed"] > 0
    assert everything(small) == plain
    ask(small, ["rebuild"])
    assert everything(small) == plain
    (again,) = ask(small, ["import", str(CAPTURED), "--json"])
    assert json.loads(again)["records"] == 0
    assert everything(small) == plain
    assert sum(path.stat().st_size for path in small.rglob("*") if path.is_file()) < before
    (verified,) = ask(small, ["journal", "verify", "--json"])
    assert [number for number, _ in json.loads(verified)["rewritten"]] == done["retired"]
    assert retire(small)["retired"] == []
    assert {c["kept_because"] for c in retire(small)["segments"]} == {"it is retired already"}


def test_retired_history_is_searched_as_before(home, small):
    """What can be searched is kept: words far behind the heads that answers show, and the agents' types."""
    questions = [["search", text, "--limit", "500", "--json"] for text in ("notes", "the", "wc")]
    questions += [["search", "notes", "--agent", "reviewer", "--json"]]

    def hits():
        found = [json.loads(answer)["hits"] for answer in ask(small, *questions)]
        return [
            [{k: v for k, v in hit.items() if k not in ("segment", "offset", "start_byte")} for hit in f]
            for f in found
        ]

    before = hits()
    assert all(before)
    assert len(retire(small, "--yes", "--without-backup", "--most", "100")["retired"]) > 8
    assert hits() == before


def test_a_retirement_that_was_killed_is_ended_by_the_next(home, small, run):
    """Blobs that nothing names any more go with the next run, also when no segment is left to be retired."""
    env = {"HOLDFAST_FAILPOINTS": "rewrite.removing=kill"}
    args = (
        "--now",
        LATER,
        "journal",
        "retire",
        "--keep-days",
        "5",
        "--yes",
        "--without-backup",
        "--most",
        "100",
    )
    assert run(*args, env=env).returncode == -signal.SIGKILL
    left = len(list((small / "blobs").iterdir()))
    done = run(*args, "--json")
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer["retired"] == []
    assert answer["blob_bytes_removed"] > 0
    assert len(list((small / "blobs").iterdir())) < left
    assert run("journal", "verify").returncode == 0


def test_retiring_only_tells_unless_it_is_asked_twice(small, run):
    """Without --yes nothing changes; without a backup, or for most of the history at once, it is refused."""
    before = {path: path.read_bytes() for path in (small / "journal").iterdir()}
    assert len([c for c in retire(small)["segments"] if c["kept_because"] is None]) > 8
    for more in ([], ["--without-backup"]):
        done = run("--now", LATER, "journal", "retire", "--keep-days", "5", "--yes", *more)
        assert done.returncode == 25
        assert "hint: " in done.stderr
    assert {path: path.read_bytes() for path in (small / "journal").iterdir()} == before


def test_what_is_young_or_active_is_not_retired(small):
    """Nothing that was received within the days to keep goes, nor anything of a session that was active in them."""
    (answer,) = ask(
        small, ["journal", "retire", "--keep-days", "5", "--json"], now=datetime.now(UTC).isoformat()
    )
    assert {c["kept_because"] for c in json.loads(answer)["segments"]} == {
        "it holds records that are not old enough"
    }
    sessions = {s["id"] for s in json.loads(ask(small, ["sessions", "--json"])[0])["sessions"]}
    for session in sessions:  # each goes on later: everything is kept because of them
        body = {"kind": "of.my.own", "session": session, "time": "2027-02-28T00:00:00Z"}
        subprocess.run(
            [sys.executable, "-m", "holdfast", "record"],
            input=json.dumps(body),
            text=True,
            env=os.environ | {"HOLDFAST_HOME": str(small)},
            check=True,
            capture_output=True,
        )
    going = [c for c in retire(small)["segments"] if c["kept_because"] is None]
    assert going  # a program's session of the same name is another session
    assert not [c for c in retire(small)["segments"] if "claude" in (c["kept_because"] or "")]


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_the_command_finds_what_was_changed(kind, small, run, tmp_path):
    """`holdfast journal verify` names the file, says what to do, and ends with 24; every other command still answers."""
    changed = tmp_path / "changed"
    what = tampered(small, changed, kind, f"command {kind}")
    done = run("--home", changed, "journal", "verify")
    assert done.returncode == 24, what
    assert str(changed / "journal") in done.stdout
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert run("--home", changed, "sessions").returncode == 0
    rebuilt = run("--home", changed, "rebuild")
    assert (rebuilt.returncode, "Traceback" in rebuilt.stderr) == (0, False)


def test_doctor_misses_a_segment_that_is_gone(small, run):
    """What the chain names must be there; everything else is still answered."""
    path = segments.sealed_path(small / "journal", 2)
    path.unlink()
    done = run("doctor")
    assert done.returncode == 40
    assert str(path) in done.stdout
    assert "is missing" in done.stdout
    assert run("sessions").returncode == 0


def test_a_frozen_program_holds_up_nobody(home, run):
    """While a stopped process holds a segment, others record and answer; sealing says what it waits for, and goes on later."""
    code = (
        "import holdfast, os, signal\n"
        "print(holdfast.record('of.my.own', key='frozen'), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
        "print(holdfast.record('of.my.own', key='thawed'), flush=True)\n"
    )
    env = os.environ | {"HOLDFAST_SEGMENT_SIZE_BYTES": "1500"}
    frozen = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
    assert frozen.stdout is not None
    try:
        os.waitid(os.P_PID, frozen.pid, os.WSTOPPED)
        for number in range(4):
            lines = "".join(
                json.dumps({"kind": "of.my.own", "n": n, "text": "x" * 400}) + "\n" for n in range(5)
            )
            assert run("record", stdin=lines, env=env).returncode == 0, number
        done = run("journal", "seal")
        assert done.returncode == 0
        assert "a program still holds segment 1" in done.stdout
        assert segments.sealed_numbers(home / "journal") == []
        assert json.loads(run("sessions", "--json").stdout)["sessions"]
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    said, _ = frozen.communicate()
    assert len(said.split()) == 2
    assert "is sealed" in run("journal", "seal").stdout
    assert json.loads(run("journal", "verify", "--json").stdout)["findings"] == []
    assert len(json.loads(run("timeline", "default", "--json").stdout)["entries"]) == 22


def test_a_blob_that_is_named_while_it_is_removed_stays(home, run):
    """Whoever removes a blob looks again whether it was named meanwhile; whoever names one looks whether it still stands."""
    body = json.dumps({"kind": "of.my.own", "text": "x" * 300_000})
    assert run("record", stdin=body + "\n").returncode == 0
    (name,) = [path.name for path in (home / "blobs").iterdir()]
    assert blobs.remove(home / "blobs", {name: 1}, lambda: {name}) == 0
    assert [path.name for path in (home / "blobs").iterdir()] == [name]
    assert blobs.remove(home / "blobs", {name: 7}, set) == 7
    assert not list((home / "blobs").iterdir())
    assert run("record", stdin=body + "\n").returncode == 0
    assert run("journal", "verify").returncode == 0
    (home / "blobs" / name).rename(home / "blobs" / f".removing-{name}")  # a removal was killed here
    assert run("journal", "verify").returncode == 0
