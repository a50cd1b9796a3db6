"""History leaves one home as a file and arrives in another, through the public commands."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

from holdfast.ids import uuid7
from holdfast.transfer import lines
from tests.e2e.conftest import CAPTURED, NOW, ask, everything

if TYPE_CHECKING:
    from pathlib import Path

AWKWARD = [
    {
        "kind": "of.my.own",
        "session": "own",
        "extra": {"any": ["thing", None, 10**40]},
        "more": "\x00\u2028",
    },
    {"kind": "info", "session": "own", "key": "k", "text": "first"},
    {"kind": "info", "session": "own", "key": "k", "text": "again"},
    {"kind": "tool.used", "session": "own", "agent": "a", "fields": {"tool": "Bash", "status": "completed"}},
    {"kind": "info", "session": "own", "text": "l" * 300_000},
    {"kind": "tool.used", "session": "own", "fields": {}},
]


@pytest.fixture
def full(imported, run):
    """A home with every captured scenario and a program's events."""
    home = imported(CAPTURED)
    events = "".join(json.dumps(event) + "\n" for event in AWKWARD)
    assert run("record", stdin=events, env={"HOLDFAST_HOME": str(home)}).returncode == 0
    return home


@pytest.fixture
def into(run):
    """Run a command in a home."""

    def run_in(home, *args, **more):
        return run(*args, env={"HOLDFAST_HOME": str(home), "HOLDFAST_NOW": NOW}, **more)

    return run_in


def records(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[1:-2]


def test_a_history_moves_whole_and_answers_the_same(full, into, tmp_path):
    file, other = tmp_path / "out.jsonl", tmp_path / "other"
    done = into(full, "export", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.stat().st_mode & 0o777 == 0o600
    done = into(other, "import", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(records(file))} new records" in done.stdout
    assert everything(other) == everything(full)
    again = tmp_path / "again.jsonl"
    assert into(other, "export", again).returncode == 0
    assert again.read_bytes() == file.read_bytes()
    assert "; 0 new records" in into(other, "import", file).stdout
    assert "; 0 new records" in into(full, "import", file).stdout
    assert everything(other) == everything(full)
    assert into(other, "rebuild").returncode == 0
    assert everything(other) == everything(full)
    assert into(other, "doctor").returncode == into(full, "doctor").returncode


def test_standard_output_and_input_do_as_well(full, into, tmp_path):
    out = into(full, "export")
    assert out.returncode == 0
    assert into(full, "export", "-").stdout == out.stdout
    other = tmp_path / "other"
    done = into(other, "import", "-", stdin=out.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert everything(other) == everything(full)


def test_an_export_is_made_for_jq(full, into, tmp_path):
    if shutil.which("jq") is None:
        pytest.skip("needs jq")
    file = tmp_path / "out.jsonl"
    into(full, "export", file)
    asked = ["jq", "-r", 'select(.s == "sdk") | .b.kind // (.x | length)', str(file)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "of.my.own" in done.stdout


def test_what_was_read_from_the_transcripts_already_is_not_appended_again(full, into, tmp_path):
    """Both homes read the same paths: their records have the same ids."""
    file, other = tmp_path / "out.jsonl", tmp_path / "other"
    into(full, "export", file)
    into(other, "import", CAPTURED / "async-subagents", CAPTURED / "task-tools")
    [before] = [json.loads(into(other, "import", file, "--json").stdout)["exports"][0]]
    assert before["known"] > 100
    assert before["new"] == before["records"] - before["known"]
    assert before["differing"] == 0
    assert everything(other) == everything(full)


def test_reading_the_transcripts_goes_on_where_the_exported_records_end(into, tmp_path):
    """The cursor is in the records: only what was written after the export is read."""
    source = tmp_path / "projects" / "11111111-1111-4111-8111-111111111111.jsonl"
    source.parent.mkdir()
    lines = (
        (CAPTURED / "resume-after-kill9-and-compact" / "transcript" / source.name)
        .read_bytes()
        .splitlines(True)
    )
    source.write_bytes(b"".join(lines[:20]))
    one, two, file = tmp_path / "one", tmp_path / "two", tmp_path / "out.jsonl"
    into(one, "import", source)
    into(one, "export", file)
    into(two, "import", file)
    assert json.loads(into(two, "import", source, "--json").stdout)["records"] == 0
    source.write_bytes(b"".join(lines))
    assert json.loads(into(two, "import", source, "--json").stdout)["records"] == 1 + len(lines) - 20
    into(one, "import", source)
    assert everything(two) == everything(one)


# ── a part of it ──


@pytest.mark.parametrize("session", ["1a163ba8", "3e8f6aeb", "33333333", "sdk:own"])
def test_one_session_alone_is_all_that_is_needed_to_understand_it(session, full, into, tmp_path):
    file, other, again = tmp_path / "out.jsonl", tmp_path / "other", tmp_path / "again.jsonl"
    assert into(full, "export", file, "--session", session).returncode == 0
    into(other, "import", file)
    views = [[view, session, "--json"] for view in ("show", "tree", "timeline")]
    assert ask(other, *views) == ask(full, *views)
    listed = json.loads(into(other, "sessions", "--json").stdout)["sessions"]
    assert len(listed) == 1
    into(other, "export", again)
    assert again.read_bytes() == file.read_bytes()


def test_a_session_takes_every_line_of_its_files_along(full, into, tmp_path):
    """Also those that no answer uses: the original transcript is then known to its end."""
    scenario = CAPTURED / "async-subagents"
    file, other = tmp_path / "out.jsonl", tmp_path / "other"
    into(full, "export", file, "--session", "3e8f6aeb")
    into(other, "import", file)
    metas = len(list(scenario.rglob("*.meta.json")))  # small, and looked at anew in every home
    assert json.loads(into(other, "import", scenario, "--json").stdout)["records"] == metas
    wanted = sum(path.read_bytes().count(b"\n") for path in scenario.rglob("*.jsonl"))
    assert sum(b'"s":"claude.transcript"' in line[:120] for line in records(file)) == wanted


def test_several_sessions_and_unknown_ones(full, into, tmp_path):
    file = tmp_path / "out.jsonl"
    assert into(full, "export", file, "--session", "3e8f6aeb", "--session", "sdk:own").returncode == 0
    into(tmp_path / "other", "import", file)
    assert len(json.loads(into(tmp_path / "other", "sessions", "--json").stdout)["sessions"]) == 2
    done = into(full, "export", tmp_path / "no.jsonl", "--session", "nobody")
    assert (done.returncode, "nobody" in done.stderr) == (3, True)
    assert not (tmp_path / "no.jsonl").exists()


def test_a_time_chooses_records_by_when_they_were_received(home, into, tmp_path):
    segment_times = []
    for number in range(4):
        into(home, "record", stdin=f'{{"kind":"info","session":"s","text":"{number}"}}\n')
        segment_times.append(number)
    whole = tmp_path / "whole.jsonl"
    into(home, "export", whole)
    times = [json.loads(line)["t"] for line in records(whole)]
    from holdfast import clock

    def iso(us):
        return f"{clock.iso(us)[:-4]}{us % 1_000_000:06d}Z"

    file = tmp_path / "part.jsonl"
    into(home, "export", file, "--since", iso(times[1]), "--until", iso(times[2]))
    assert [json.loads(line)["t"] for line in records(file)] == times[1:3]
    day = clock.iso(times[0])[:10]
    assert clock.iso(times[3])[:10] == day, "run over midnight"
    into(home, "export", file, "--since", day, "--until", day)
    assert len(records(file)) == 4
    assert into(home, "export", file, "--since", "soon").returncode == 2


# ── what goes wrong ──


def test_damage_in_the_journal_is_told_so_that_nobody_overlooks_it(full, into, tmp_path):
    segment = next((full / "journal").iterdir())
    with segment.open("ab") as opened:
        opened.write(b"\ndamage\n")
    done = into(full, "export", tmp_path / "out.jsonl")
    assert done.returncode == 26
    assert "bytes" in done.stderr
    assert "1 range" in done.stderr
    done = into(full, "export", tmp_path / "out.jsonl", "--json")
    assert done.returncode == 26
    assert json.loads(done.stdout)["lost"][0]["why"] == "no checksum at its end"
    into(tmp_path / "other", "import", tmp_path / "out.jsonl")
    assert everything(tmp_path / "other") == everything(full)


def test_a_flipped_line_is_named_with_its_bytes_and_costs_itself(full, into, tmp_path):
    file, other = tmp_path / "out.jsonl", tmp_path / "other"
    into(full, "export", file)
    raw = bytearray(file.read_bytes())
    at = raw.index(b'"s":"sdk"')
    raw[at + 30] ^= 1
    file.write_bytes(raw)
    done = into(other, "import", file)
    assert done.returncode == 26
    start = raw.rindex(b"\n", 0, at) + 1
    end = raw.index(b"\n", at) + 1
    assert f"bytes {start} to {end}" in done.stderr
    count = len(records(file))
    assert f"{count - 1} new records" in done.stdout
    raw[at + 30] ^= 1
    file.write_bytes(raw)
    done = into(other, "import", file)
    assert done.returncode == 0
    assert "1 new record" in done.stdout


def test_a_damaged_first_line_does_not_make_it_a_transcript(full, into, tmp_path):
    file, other = tmp_path / "out.jsonl", tmp_path / "other"
    into(full, "export", file)
    raw = file.read_bytes()
    for damaged in (raw[:8] + b"X" + raw[9:], raw.split(b"\n", 1)[1]):
        file.write_bytes(damaged)
        done = into(other, "import", file, "--json")
        assert done.returncode == 26
        assert json.loads(done.stdout)["exports"][0]["whole"] is False
        assert everything(other) == everything(full)


def test_nothing_but_an_export_is_written_over(full, into, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    for target in (mine, tmp_path, tmp_path / "absent" / "x", full / "x.jsonl", "/dev/null"):
        done = into(full, "export", target)
        assert done.returncode == 2, done.stdout
        assert "hint:" in done.stderr
    assert mine.read_text() == "mine"
    file = tmp_path / "out.jsonl"
    file.touch()
    for _ in range(2):
        assert into(full, "export", file).returncode == 0
    assert into(full, "export", "--json").returncode == 2


def test_a_killed_export_leaves_no_half_file_and_the_next_one_clears_up(full, into, tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    place = tmp_path / "place"
    place.mkdir()
    file = place / "out.jsonl"
    env = os.environ | {"HOLDFAST_HOME": str(full)}
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "export", str(file)], env=env, stdout=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=chance.uniform(0.1, 0.4))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        assert not file.exists() or file.read_bytes().endswith(b"}\n")
    assert into(full, "export", file).returncode == 0
    assert [path.name for path in place.iterdir()] == ["out.jsonl"]


@pytest.mark.slow
def test_a_killed_import_of_an_export_goes_on_where_it_stopped(full, into, tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    file, other = tmp_path / "out.jsonl", tmp_path / "other"
    into(full, "export", file)
    env = os.environ | {"HOLDFAST_HOME": str(other), "HOLDFAST_NOW": NOW}
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "import", str(file)], env=env, stdout=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=chance.uniform(0.1, 0.45))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
    assert into(other, "import", file).returncode == 0
    assert everything(other) == everything(full)
    for left in other.glob(".known-*"):  # by a kill between two calls; a fresh one might be at work
        os.utime(left, (0, 0))
    into(other, "export", tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()
    assert not [path.name for path in other.iterdir() if path.name.startswith(".known-")]


def test_an_import_waits_for_nobody_for_long(full, into, tmp_path):
    import fcntl

    file = tmp_path / "out.jsonl"
    into(full, "export", file)
    with (full / "writer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert into(full, "import", file).returncode == 31
        assert into(full, "export", file).returncode == 0


def test_what_nobody_understands_is_exported_byte_for_byte(into, home, tmp_path):
    """An unknown type with extra fields, odd spacing and huge numbers; listed by doctor, the same in the next home."""
    odd = b'{"type":"never-seen",  "n": 1e400, "big": 123456789012345678901234567890, "extra" : {"a":[1 ,2]}, "extra":0}'
    source = tmp_path / "p" / "22222222-2222-4222-8222-222222222222.jsonl"
    source.parent.mkdir()
    source.write_bytes(odd + b"\r\n" + odd[:-9])
    into(home, "import", source.parent)
    source.write_bytes(odd + b"\r\n" + odd[:-9] + b"\n")
    into(home, "import", source.parent)
    file, again, other = tmp_path / "out.jsonl", tmp_path / "again.jsonl", tmp_path / "other"
    into(home, "export", file)
    assert b'"e":"\\r\\n","b":' + odd + b',"c":"' in file.read_bytes()
    into(other, "import", file)
    into(other, "export", again)
    assert again.read_bytes() == file.read_bytes()
    assert "1 never-seen" in into(other, "doctor").stdout


def foreign(*parts: str) -> bytes:
    """An export of records that consist of these parts, by a program that we know nothing of."""
    sealed = [f'{{"v":1,"id":"{uuid7()}","t":5,"s":"sdk",{part}'.encode() for part in parts]
    made = [b'%b,"c":"%08x"}\n' % (head, zlib.crc32(head)) for head in sealed]
    return b"".join([lines.first_line(), *made, lines.last_line(len(made))])


def test_nothing_of_a_foreign_record_passes_redaction_by(into, home, tmp_path):
    """What is kept of a removed body, and members of a later version: without their secrets, and otherwise as they were."""
    hashed = f'"sha256":"{"0a" * 32}","size":7,"crc":9,"why":"retired","later":[1, 2]'
    token = f"gh{'p_'}Zk4Xw8Rt2Vb6Nq9Mc3Lf7Jh5Pd1Gs0Ty8Ua"
    parts = [
        '"z":{HASHED,"kept":["TOKEN"]}',
        '"z":{HASHED,"problems":["password=TOKEN"],"events":[{"kind":"info","fields":{"text":"TOKEN"}}]}',
        '"z":{HASHED,"soon":{"TOKEN":"TOKEN"}}',
        '"b":{"kind":"info"},"q":["TOKEN", 2],"TOKEN":1',
        '"z":{"why":"x","kept":["TOKEN"]}, "z":{HASHED}',
    ]
    file, again = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_bytes(foreign(*(part.replace("TOKEN", token).replace("HASHED", hashed) for part in parts)))
    assert into(home, "import", file).returncode == 0
    stored = b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())
    assert token[4:].encode() not in stored
    into(home, "export", again)
    *changed, twice = map(json.loads, records(again))
    assert len(changed) == 4
    assert all(record["r"]["github-token"] for record in changed)
    assert [record["z"]["later"] for record in (*changed[:3], twice)] == [[1, 2]] * 4
    assert not any("sha256" in record["z"] for record in changed[:3]), "a guess could be compared with it"
    assert changed[3]["q"][1] == 2
    assert twice["z"]["sha256"] == "0a" * 32


def test_what_is_harmless_in_a_foreign_record_stays_byte_for_byte(into, home, tmp_path):
    z = '{"sha256":"%s","size":7,"crc":1,"why":"retired","later":[1, 2],"kept":["an é"]}' % ("0a" * 32)
    file, again = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_bytes(
        foreign(f'"z":{z}', f'"z":{z},"q":[1, 2]', '"b":{"kind":"info"},"q":{"é": 1e400},"w":"\\u00e9"')
    )
    into(home, "import", file)
    into(home, "export", again)
    assert again.read_bytes() == file.read_bytes()
