"""`holdfast forget`: nothing of a session stays below the home, all else stays as it was, and it does not come back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import apsw
import pytest

from holdfast.capture.claude_files import file_id
from holdfast.journal import format as fmt
from holdfast.journal import reader, segments
from holdfast.store import outline
from tests import old_layouts
from tests.e2e.conftest import CAPTURED, ask, everything
from tests.old_layouts import BESIDE, PARALLEL, POINTER

ASYNC = "1a163ba8-73d3-4f4b-bfc8-18d368e10cb5"  # has subagents with files and meta files of their own
SMALL = ["--segment-size-bytes", "40000", "--inline-body-size-bytes", "2000"]
MINE = "99999999-9999-4999-8999-999999999999"
TEXTS = ("umbrella-of-mine", "/srv/only-mine", "A title of mine", MINE)


def line(session=MINE, **more):
    record = {
        "type": "user",
        "sessionId": session,
        "cwd": "/srv/only-mine",
        "version": "2.1.40",
        "uuid": f"u-{session}-{len(str(more))}",
        "timestamp": "2026-11-20T10:00:00.000Z",
        "message": {"role": "user", "content": "umbrella-of-mine"},
    }
    return json.dumps(record | more).encode() + b"\n"


def mine():
    """A transcript with a title, a long body, and lines that name no session."""
    return b"".join(
        [
            b'{"type":"file-history-snapshot","snapshot":{"umbrella-of-mine":1}}\n',
            line(),
            json.dumps({"type": "ai-title", "sessionId": MINE, "aiTitle": "A title of mine"}).encode()
            + b"\n",
            line(message={"role": "user", "content": "umbrella-of-mine " * 40_000}),
            b"no JSON, but umbrella-of-mine\n",
        ]
    )


def holds(home, *needles):
    """Which of the texts stand anywhere below the home: in names, raw, decompressed, in the pages of databases and their logs."""
    found = set()
    for path in [home, *home.rglob("*")]:
        contents = [str(path.relative_to(home.parent)).encode()]
        if path.is_file():
            contents.append(path.read_bytes())
        if path.name.endswith(".zst"):
            contents.append(plain(path))
        found |= {needle for needle in needles for content in contents if needle.encode() in content}
    return found


def plain(path):
    number = int(path.name.partition(".")[0])
    return b"".join(text for _, text, _ in reader.every_line(path.parent, number))


def verified(run):
    done = run("journal", "verify", "--json")
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def answer(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def project(tmp_path, history):
    """The agents' own history: every captured session, those of old layouts, and one of mine with a directory of its own."""
    old_layouts.write(history)
    place = history / "projects" / "-srv-only-mine"
    place.mkdir()
    (place / f"{MINE}.jsonl").write_bytes(mine())
    below = place / MINE / "subagents"
    below.mkdir(parents=True)
    (below / "agent-abc.jsonl").write_bytes(line(agentId="abc", isSidechain=True))
    (below / "agent-abc.meta.json").write_text(json.dumps({"agentType": "umbrella-of-mine"}))
    return history / "projects"


@pytest.fixture
def filled(home, project, run):
    """A home with all of it, spread over many segments, bodies in blobs; the last segments are not sealed."""
    assert run(*SMALL, "import").returncode == 0
    assert len(segments.sealed_numbers(home / "journal")) > 8
    return home


def without(answers, *sessions):
    """Every answer about other sessions."""
    views = {name: text for name, text in answers.items() if not any(one in name for one in sessions)}
    views["sessions"] = [s for s in json.loads(views["sessions"])["sessions"] if s["id"] not in sessions]
    return {name: text for name, text in views.items() if name != "stats"}


def test_nothing_of_a_forgotten_session_is_left(filled, run):
    """Neither its id, its path, its directory, its title nor its words, in segments, blobs, and the store; others answer as before."""
    before = everything(filled)
    assert holds(filled, *TEXTS) == set(TEXTS)
    done = answer(run("forget", MINE[:8], "--yes", "--json"))
    assert done["done"]
    assert done["files"] == 2
    assert done["records"] > 7
    assert done["others"] == []
    assert len(done["transcripts"]) == 2
    assert holds(filled, *TEXTS) == set()
    assert without(everything(filled), MINE) == without(before, MINE)
    assert verified(run)["anchor"] == done["anchor"]
    assert run("show", MINE).returncode == 3
    assert json.loads(run("search", "umbrella", "--json").stdout)["hits"] == []


def test_a_real_session_with_subagents_is_forgotten(filled, run):
    """Its subagents' files and meta files go with it."""
    before = everything(filled)
    agents = [path.name.split(".")[0] for path in CAPTURED.rglob("agent-*.jsonl") if ASYNC in path.parts]
    assert holds(filled, ASYNC, *agents) == {ASYNC, *agents}
    done = answer(run("forget", ASYNC, "--yes", "--json"))
    assert done["sessions"][0]["agents"] == len(agents) + 1
    assert holds(filled, ASYNC, *agents) == set()
    assert without(everything(filled), ASYNC) == without(before, ASYNC)
    verified(run)
    assert run("doctor").returncode == 0


def test_it_stays_forgotten_when_its_transcript_is_there_and_grows(filled, project, run):
    """Catching up, importing, and naming the file leave it out; `--forgotten` imports it all the same."""
    answer(run("forget", MINE, "--yes", "--json"))
    file = project / "-srv-only-mine" / f"{MINE}.jsonl"
    file.write_bytes(file.read_bytes() + line(more="grown"))
    (file.parent / MINE / "subagents" / "agent-new.jsonl").write_bytes(line(agentId="new", isSidechain=True))
    moved = project / "-moved" / file.name
    moved.parent.mkdir()
    shutil.copy(file, moved)
    first = run("--json")
    assert MINE not in first.stdout
    assert first.stderr == ""
    assert run("import").stderr == ""
    named = run("import", file)
    assert "1 file left out" in named.stdout
    assert holds(filled, *TEXTS) == set()
    assert run("doctor").returncode == 0
    assert run("doctor").stderr == ""
    assert answer(run("import", "--json"))["left_out"] == 5
    back = answer(run("import", file, "--forgotten", "--json"))
    assert back["records"] == 7
    assert MINE in run("sessions", "--json").stdout
    assert answer(run("import", "--json"))["left_out"] == 0


@pytest.mark.parametrize("words", [8_000, 200_000])
def test_a_moved_copy_with_a_long_first_line_stays_away(words, filled, project, run):
    """Its name says nothing, and the line that tells of the session is longer than what is usually looked at."""
    answer(run("forget", MINE, "--yes", "--json"))
    moved = project / "-moved" / "agent-abc.jsonl"
    moved.parent.mkdir()
    long = line(message={"role": "user", "content": "umbrella-of-mine " * words}, agentId="abc")
    moved.write_bytes(b'{"type":"summary"}\n' + long)
    assert answer(run("import", moved, "--json"))["left_out"] == 1
    assert holds(filled, *TEXTS) == set()


def test_the_sweep_of_a_forgotten_transcript_is_no_concern(filled, project, run):
    """The first screen does not warn that it will be swept unrecorded."""
    file = project / "-srv-only-mine" / f"{MINE}.jsonl"
    os.utime(file, (1, 1))
    assert MINE in json.dumps(json.loads(run("--json").stdout)["sweep"])
    answer(run("forget", MINE, "--yes", "--json"))
    assert MINE not in run("--json").stdout


def test_it_is_left_out_of_an_export_that_comes_later(filled, run, tmp_path):
    """Records of it in an export are counted and not appended; with `--forgotten` they come, and it is off the list."""
    export = tmp_path / "export.jsonl"
    assert run("export", export).returncode == 0
    answer(run("forget", MINE, "--yes", "--json"))
    taken = answer(run("import", export, "--json"))["exports"][0]
    assert taken["new"] == 0
    assert taken["left_out"] > 6
    assert holds(filled, *TEXTS) == set()
    taken = answer(run("import", export, "--forgotten", "--json"))["exports"][0]
    assert taken["new"] > 6
    assert MINE in run("sessions", "--json").stdout
    again = tmp_path / "again.jsonl"
    assert run("export", again).returncode == 0
    assert sorted(again.read_bytes().split(b"\n")) == sorted(export.read_bytes().split(b"\n"))


def test_older_layouts_go_with_their_files_beside_and_their_titles_elsewhere(filled, project, run):
    """A subagent's file beside the session's, and the title that another session's file holds; what grows there goes on."""
    before = everything(filled)
    pointer = project / "-home-dev-old" / f"{POINTER}.jsonl"
    assert holds(filled, BESIDE, "d00d1234", "Where the door is") == {BESIDE, "d00d1234", "Where the door is"}
    answer(run("forget", BESIDE, "--yes", "--json"))
    assert holds(filled, BESIDE, "d00d1234", "Where the door is") == set()
    assert without(everything(filled), BESIDE) == without(before, BESIDE)
    agents = old_layouts.lines(old_layouts.beside_agent())
    (pointer.parent / "agent-0000ffff.jsonl").write_bytes(agents.replace(b"d00d1234", b"0000ffff"))
    pointer.write_bytes(pointer.read_bytes() + line(POINTER, cwd="/home/dev/old"))
    assert run("import").returncode == 0
    assert holds(filled, BESIDE, "0000ffff", "Where the door is") == set()
    shown = json.loads(run("show", POINTER, "--json").stdout)
    assert shown["session"]["turns"] == 1
    assert answer(run("import", "--json"))["records"] == 0


def test_meta_files_go_with_the_transcript_beside_them_and_stay_away(home, project, run, tmp_path):
    """In a flat layout, and deep below the session's directory; also when they are moved, and in an export."""
    flat, deep = project / "-flat", project / "-srv-only-mine" / MINE / "subagents" / "workflows" / "w1"
    flat.mkdir()
    deep.mkdir(parents=True)
    for place, agent in ((flat, "flat"), (deep, "deep")):
        (place / f"agent-{agent}.jsonl").write_bytes(line(agentId=agent, isSidechain=True))
        (place / f"agent-{agent}.meta.json").write_text(json.dumps({"agentType": f"parasol {agent}"}))
    (flat / "agent-else.meta.json").write_text(json.dumps({"agentType": "sunshade"}))
    assert run("import").returncode == 0
    export = tmp_path / "export.jsonl"
    assert run("export", export).returncode == 0
    answer(run("forget", MINE, "--yes", "--json"))
    assert holds(home, *TEXTS, "parasol", "sunshade") == {"sunshade"}
    assert answer(run("import", export, "--json"))["exports"][0]["new"] == 0
    moved = project / "-moved"
    flat.rename(moved)
    assert run("import").returncode == 0
    assert holds(home, *TEXTS, "parasol", "sunshade") == {"sunshade"}
    assert run("import", export, "--forgotten").returncode == 0
    assert holds(home, MINE, "parasol flat", "parasol deep") == {MINE, "parasol flat", "parasol deep"}


def test_forks_stay_and_are_named(filled, run):
    """A fork holds copies of lines under its own id: it stays, and the person is told."""
    forked = [s for s in json.loads(run("sessions", "--json").stdout)["sessions"] if s["forked_from"]]
    original = forked[0]["forked_from"]
    shown = run("forget", original)
    assert f"stays: {forked[0]['id']}, a fork" in shown.stdout
    answer(run("forget", original, "--yes", "--json"))
    assert forked[0]["id"] in run("sessions", "--json").stdout
    verified(run)


def test_it_only_tells_where_nobody_can_be_asked(filled, run):
    """Without --yes nothing is changed."""
    before = {path: path.read_bytes() for path in (filled / "journal").iterdir()}
    done = run("forget", MINE, stdin="y\n")
    assert done.returncode == 0
    assert "nothing was changed" in done.stdout
    assert "to go: " in done.stdout
    assert "A title of mine" in done.stdout
    assert not answer(run("forget", MINE, "--json"))["done"]
    assert {path: path.read_bytes() for path in (filled / "journal").iterdir()} == before
    assert not (filled / "forgotten").exists()


@pytest.mark.parametrize(("reply", "gone"), [("n", False), ("y", True)])
def test_on_a_terminal_it_asks(reply, gone, filled):
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "forget", MINE],
        stdin=child,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(child)
    os.write(parent, reply.encode() + b"\n")
    process.communicate(timeout=60)
    os.close(parent)
    assert (process.returncode == 0) is gone
    assert (holds(filled, MINE) == set()) is gone


def test_names_that_are_none(filled, run):
    """No name, an unknown one, and one that is forgotten already."""
    assert run("forget").returncode == 2
    assert run("forget", "nothing").returncode == 3
    answer(run("forget", MINE, "--yes", "--json"))
    done = run("forget", MINE, "--yes")
    assert done.returncode == 0
    assert "is forgotten already" in done.stdout
    assert run("forget").returncode == 2


def test_events_of_a_program_are_forgotten(filled, run):
    """Records without a file, and a workspace's move that concerns no other session; keys say nothing afterwards."""
    events = [
        {"kind": "session.started", "session": "nightly", "fields": {"cwd": "/srv/nightly"}},
        {
            "kind": "message.sent",
            "session": "nightly",
            "key": "k",
            "fields": {"role": "user", "text": "parasol " * 900},
        },
        {"kind": "message.sent", "session": "daily", "fields": {"role": "user", "text": "sunshade"}},
    ]
    run("record", stdin="".join(json.dumps(event) + "\n" for event in events))
    run("workspace", "move", "/srv/only-mine", "/srv/elsewhere-mine")
    run("workspace", "move", "/home/dev", "/home/moved")
    answer(run("forget", MINE, "--yes", "--json"))
    answer(run("forget", "nightly", "--yes", "--json"))
    assert holds(filled, "nightly", "parasol", "sunshade", "elsewhere-mine", "/home/moved") == {
        "sunshade",
        "/home/moved",
    }
    verified(run)
    ids = {item.record.id for item in reader.read(filled / "journal") if isinstance(item, reader.Found)}
    from holdfast.ids import derived

    assert derived("sdk", "nightly", "k") not in ids
    assert derived("sdk", "sdk:nightly", "k") not in ids


def test_a_tombstone_tells_nothing_that_a_guess_could_be_compared_with(filled, run):
    answer(run("forget", MINE, "--yes", "--json"))
    stones = [
        item
        for item in reader.read(filled / "journal")
        if isinstance(item, reader.Found) and fmt.is_tombstone(item.record)
    ]
    assert len(stones) > 6
    for item in stones:
        members = json.loads(item.line)
        assert set(members) == {"v", "id", "t", "s", "z", "c"}
        assert members["z"] == {"why": "forgotten"}
        assert members["t"] % 3_600_000_000 == 0
        assert members["id"][14] == "7"
    assert (filled / "forgotten").stat().st_mode & 0o777 == 0o600


def test_a_retired_session_is_forgotten(filled, run):
    """What was kept of its bodies goes too, and what is retired stays so."""
    late = ["--now", "2027-03-01T00:00:00Z", "journal", "retire", "--keep-days", "5", "--json"]
    run("journal", "seal", "--all")
    retired = answer(run(*late, "--yes", "--without-backup", "--most", "100"))["retired"]
    assert len(retired) > 8
    assert holds(filled, *TEXTS) == set(TEXTS)
    answer(run("forget", MINE, "--yes", "--json"))
    assert holds(filled, *TEXTS) == set()
    verified(run)
    assert {c["kept_because"] for c in answer(run(*late))["segments"] if c["segment"] in retired} == {
        "it is retired already"
    }


def test_other_sessions_in_the_same_file_are_named(filled, project, run):
    """A file whose path names nobody is one piece: who else stands in it loses records too, and the person is told before."""
    other = "88888888-8888-4888-8888-888888888888"
    file = project / "-srv-only-mine" / "agent-both.jsonl"
    file.write_bytes(line(other) + line())
    shown = answer(run("forget", MINE, "--json"))
    assert shown["others"] == [f"claude:{other}"]
    assert f"loses records: claude:{other}" in run("forget", MINE).stdout
    answer(run("forget", MINE, "--yes", "--json"))
    file.write_bytes(file.read_bytes() + line(other))
    assert answer(run("import", "--json"))["records"] == 0
    assert holds(filled, *TEXTS, other) == set()


def test_a_stray_line_in_the_file_of_another_goes_alone(home, project, run, tmp_path, monkeypatch):
    """The other session stays and grows; the line does not come back when its file is read again, nor from an export."""
    other = "88888888-8888-4888-8888-888888888888"
    file = project / "-other" / f"{other}.jsonl"
    file.parent.mkdir()
    kept = line(other, cwd="/srv/kept", message={"role": "user", "content": "sunshade"})
    long = line(uuid="long", message={"role": "user", "content": "umbrella-of-mine " * 200_000})
    file.write_bytes(kept + line() + kept.replace(b"u-", b"v-") + long)
    assert run("import").returncode == 0
    export = tmp_path / "export.jsonl"
    assert run("export", export).returncode == 0
    before = everything(home)
    shown = answer(run("forget", MINE, "--yes", "--json"))
    assert shown["others"] == []
    assert holds(home, *TEXTS, "sunshade") == {"sunshade"}
    assert without(everything(home), MINE) == without(before, MINE)
    verified(run)
    assert answer(run("import", "--json"))["records"] == 0
    file.write_bytes(file.read_bytes() + line(more="again") + kept.replace(b"u-", b"w-"))
    assert answer(run("import", "--json"))["records"] == 3
    assert answer(run("import", "--json"))["records"] == 0
    file.write_bytes(line() + kept.replace(b"u-", b"x-") + long + b"no JSON " + line())
    assert answer(run("import", "--json"))["records"] == 5
    assert holds(home, *TEXTS, "sunshade") == {"sunshade"}
    assert json.loads(run("show", other, "--json").stdout)["session"]["turns"] == 4
    fresh = tmp_path / "fresh"
    shutil.copytree(home, fresh, ignore=lambda *_: {"journal", "blobs", "store.db", "store.db-wal"})
    monkeypatch.setenv("HOLDFAST_HOME", str(fresh))
    assert answer(run("import", export, "--json"))["exports"][0]["left_out"] > 2
    assert holds(fresh, *TEXTS, "sunshade") == {"sunshade"}


def test_two_sessions_at_once_and_one_of_them_comes_back(filled, project, run):
    answer(run("forget", MINE, ASYNC, "--yes", "--json"))
    assert holds(filled, MINE, ASYNC) == set()
    assert run("import", project / "-srv-only-mine", "--forgotten").returncode == 0
    assert holds(filled, MINE, ASYNC) == {MINE}
    answer(run("import", "--json"))
    assert holds(filled, MINE, ASYNC) == {MINE}


def test_a_file_that_comes_back_does_not_bring_the_session_of_another(filled, project, run):
    """Its path is off the list; the session that was forgotten, of which it held a line, stays forgotten."""
    mixed = project / "-mixed" / "agent-mixed.jsonl"
    mixed.parent.mkdir()
    mixed.write_bytes(line(ASYNC, agentId="mixed") + line(agentId="mixed"))
    answer(run("forget", MINE, "--yes", "--json"))
    mixed.write_bytes(line(ASYNC, agentId="mixed"))
    assert run("import", mixed, "--forgotten").returncode == 0
    assert answer(run("import", "--json"))["left_out"] == 3
    assert holds(filled, MINE) == set()
    assert MINE not in run("sessions", "--json").stdout


def test_purging_removes_the_list(filled, run):
    answer(run("forget", MINE, "--yes", "--json"))
    assert run("uninstall", "--purge", "--yes").returncode == 0
    assert not filled.exists()


def test_a_session_that_is_being_forgotten_is_not_imported(filled, project, run):
    """First what was begun is ended."""
    export = project.parent / "export.jsonl"
    assert run("export", export).returncode == 0
    run("forget", MINE, "--yes", env={"HOLDFAST_FAILPOINTS": "forget.listed=kill"})
    done = run("import", project, "--forgotten")
    assert done.returncode == 2
    assert "holdfast forget" in done.stderr
    assert run("import", export, "--forgotten").returncode == 2
    answer(run("forget", "--yes", "--json"))
    assert run("import", project, "--forgotten").returncode == 0
    assert MINE in run("sessions", "--json").stdout


def test_copies_of_older_stores_and_leftovers_go(filled, run):
    """A store that was set aside, a backup of one, what a killed importer left: all may hold it."""
    (filled / "backups").mkdir(mode=0o700)
    shutil.copy(filled / "store.db", filled / "backups" / "store-schema-3.db")
    shutil.copy(filled / "store.db", filled / "store-0001.db.damaged")
    (filled / "blobs" / ".writing-0190-x").write_text("umbrella-of-mine")
    (filled / "journal" / ".sealing-00000077").write_text("umbrella-of-mine")
    (filled / "run").mkdir(exist_ok=True)
    (filled / "run" / "rebuild.log").write_text("umbrella-of-mine")
    answer(run("forget", MINE, "--yes", "--json"))
    assert holds(filled, *TEXTS) == set()


def test_damage_that_tells_of_it_goes_other_damage_stays(filled, project, run):
    """A record that is no record any more holds its words all the same."""
    newest = segments.path(filled / "journal", max(segments.numbers(filled / "journal")))
    torn = (
        b'\n{"v":1,"id":"x","t":1,"s":"claude.transcript","p":["0123456789abcdef",0,9],"b":{"sessionId":"%b","x":"umbrella-of-mine\n'
        % MINE.encode()
    )
    with newest.open("ab") as file:
        file.write(torn + b"\nother damage\n")
        of_file = file_id(os.path.realpath(project / "-srv-only-mine" / f"{MINE}.jsonl"), 0).encode()
        file.write(
            b'\n{"v":1,"id":"x","t":1,"s":"claude.transcript","p":["%b",0,9],"b":"half an umbrella\n'
            % of_file
        )
    answer(run("forget", MINE, "--yes", "--json"))
    assert holds(filled, *TEXTS, "half an umbrella", "other damage") == {"other damage"}


def test_a_program_that_holds_a_segment_is_named_and_nothing_is_done(home, project, run):
    """A segment that somebody writes is not rewritten under his hands; when he is gone, the same command does it."""
    assert run("import").returncode == 0
    code = "import holdfast, sys\nholdfast.record('of.my.own', session='x')\nprint('held', flush=True)\nsys.stdin.read()\n"
    program = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert program.stdout.readline() == b"held\n"
        done = run("forget", MINE, "--yes")
        assert done.returncode == 34
        assert "00000001.jsonl" in done.stderr
        assert "hint: " in done.stderr
        assert MINE in run("sessions", "--json").stdout
        assert not (home / "forgotten").exists()
    finally:
        program.communicate()
    answer(run("forget", MINE, "--yes", "--json"))
    assert holds(home, *TEXTS) == set()


def test_what_a_program_records_meanwhile_is_not_said_to_be_forgotten(home, run):
    """The command ends with a code of its own, says what is done, and the next one ends it."""
    event = json.dumps({"kind": "of.my.own", "session": "nightly", "fields": {"text": "parasol"}}) + "\n"
    run("record", stdin=event)
    program = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "forget", "nightly", "--yes"],
        env=os.environ | {"HOLDFAST_FAILPOINTS": "rewrite.copies=stop"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        os.waitid(os.P_PID, program.pid, os.WSTOPPED)
        run("record", stdin=event)
    finally:
        os.kill(program.pid, signal.SIGCONT)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 34
    assert "all else of it is forgotten" in said
    assert holds(home, "parasol", "nightly") == {"parasol", "nightly"}
    assert "not wholly forgotten" in run("doctor").stdout
    assert answer(run("forget", "--yes", "--json"))["records"] == 1
    assert holds(home, "parasol", "nightly") == set()
    assert run("doctor").returncode == 0


def test_sealed_history_that_was_changed_is_not_written_anew(filled, run):
    """What is not as it was sealed would pass for it afterwards."""
    numbers = [
        item.segment
        for item in reader.read(filled / "journal")
        if isinstance(item, reader.Found) and b"umbrella" in item.line
    ]
    sealed = [n for n in numbers if n in segments.sealed_numbers(filled / "journal")] or [1]
    run("journal", "seal", "--all")
    path = segments.sealed_path(filled / "journal", (numbers or sealed)[0])
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    done = run("forget", MINE, "--yes")
    assert done.returncode == 35
    assert str(path) in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "forget.listed",
        "forget.naming",
        "rewrite.rewritten",
        "seal.rewritten",
        "rewrite.removing",
        "store.rebuilt",
        "rewrite.copies",
        "forget.ending",
    ],
)
@pytest.mark.parametrize("argument", [[], [MINE]], ids=["no name", "its name"])
def test_what_was_cut_is_ended_by_the_next(name, argument, filled, run):
    """Killed anywhere, it does not come back meanwhile, `doctor` says that it is unfinished, and the next run ends it."""
    done = run("forget", MINE, "--yes", env={"HOLDFAST_FAILPOINTS": f"{name}=kill"})
    assert done.returncode == -signal.SIGKILL
    listed = name != "forget.naming"
    doctor = run("doctor")
    assert ("not wholly forgotten" in doctor.stdout) is listed
    verified(run)
    if not listed:
        argument = [MINE]
    answer(run("forget", *argument, "--yes", "--json"))
    assert holds(filled, *TEXTS) == set()
    verified(run)
    assert run("doctor").returncode == 0
    assert answer(run("import", "--json"))["records"] == 0


def test_a_list_that_cannot_be_read_is_never_an_empty_one(filled, run):
    """Nothing is recorded while it is not known what was forgotten."""
    answer(run("forget", MINE, "--yes", "--json"))
    path = filled / "forgotten"
    kept = path.read_bytes()
    for content in (b"", b"{", kept[: len(kept) // 2]):
        path.write_bytes(content)
        done = run("import")
        assert done.returncode == 10
        assert "hint: " in done.stderr
    path.write_bytes(kept)
    key = (filled / "redaction-key").read_text()
    (filled / "redaction-key").write_text("00" * 32)
    assert run("sessions").returncode == 10
    (filled / "redaction-key").write_text(key)
    assert run("sessions").returncode == 0
    assert holds(filled, *TEXTS) == set()


def test_a_search_that_finds_nothing_would_be_noticed(filled):
    """Negative control: what stands compressed, in a blob, and in a page of the store is found."""
    assert holds(filled, MINE, "no such thing") == {MINE}
    db = apsw.Connection(str(filled / "store.db"))
    db.execute("CREATE TABLE elsewhere (x)")
    db.execute("INSERT INTO elsewhere VALUES ('parasol of the page')")
    assert holds(filled, "parasol of the page") == {"parasol of the page"}
    assert PARALLEL in ask(filled, ["sessions", "--json"])[0]


# ── what a program recorded, where it is too long or damaged ──

LONG = {"kind": "message.user", "session": "s6", "fields": {"text": ["parasol of s6"] * 500_000}}


def recorded(run, *events):
    done = run("record", stdin="".join(json.dumps(event) + "\n" for event in events))
    assert done.returncode == 0, done.stderr


def blobs_of(home):
    return [path for path in (home / "blobs").iterdir() if path.is_file()]


def test_what_is_too_long_to_be_translated_is_told_by_its_session(home, run, tmp_path):
    """Its session is read from the outermost members alone: it goes, is exported with its session, and is left out of an import."""
    other = LONG | {"session": "s7", "fields": {"session": "s6", "text": ["sunshade"] * 800_000}}
    recorded(run, {"kind": "of.my.own", "session": "s6", "fields": {}}, LONG, other)
    export, only = tmp_path / "export.jsonl", tmp_path / "only.jsonl"
    assert run("export", export).returncode == 0
    assert run("export", only, "--session", "s6").returncode == 0
    assert b"parasol of s6" in only.read_bytes()
    assert b"sunshade" not in only.read_bytes()
    done = answer(run("forget", "s6", "--yes", "--json"))
    assert (done["records"], done["untold"]) == (2, 0)
    assert len(blobs_of(home)) == 1
    assert holds(home, "parasol of s6", "sunshade") == {"sunshade"}
    taken = answer(run("import", export, "--json"))["exports"][0]
    assert (taken["new"], taken["left_out"]) == (0, 2)
    assert holds(home, "parasol of s6") == set()


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_the_outermost_members_are_read_whatever_the_chunks(chunk):
    """Names below are none, escapes are undone, what is no text is None, and what is cut tells what stands before the cut."""
    body = (
        rb'{"x":[{"session":"a"},"session",":\"}"], "sess\u0069on" : "s\"6\\", "session_id":["b"],'
        rb'"kind":"k","text":"session","path":7}{"session":"c"}'
    )
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    assert outline.outline(pieces) == {"session": 's"6\\', "session_id": None, "kind": "k", "path": None}
    assert outline.outline([body[:80]]) == {"session": 's"6\\'}
    assert outline.outline([b'["session","s6"]']) == outline.outline([b"", b"no JSON"]) == {}


def test_a_damaged_body_goes_when_it_still_tells_its_session_and_is_counted_when_not(home, run):
    """A byte that was changed keeps nothing; what tells of nobody any more is named as staying."""
    recorded(
        run, *[{"session": s, "fields": {"text": "parasol " * 90_000}, "kind": "k"} for s in ("s6", "s7")]
    )
    recorded(run, {"session": "s6", "kind": "k", "fields": {}})
    for path in blobs_of(home):
        raw = path.read_bytes()
        path.write_bytes(
            raw.replace(b'"session":"s7"', b'"sessioX":"s7"').replace(b"parasol ", b"Parasol ", 1)
        )
    assert "1 record whose session cannot be read stays" in run("forget", "s6").stdout
    done = run("forget", "s6", "--yes")
    assert "forgotten: 2 records" in done.stdout
    assert "1 record whose session cannot be read stays" in done.stdout
    [left] = blobs_of(home)
    assert b'"sessioX":"s7"' in left.read_bytes()
    assert answer(run("forget", "s6", "--yes", "--json"))["untold"] == 1


def test_damaged_lines_of_programs_go_however_they_spell_their_session(home, run):
    """With blanks, as a classic log names it, with escapes, in a body that is text; what names nobody is counted."""
    name = 'café "6'
    recorded(run, {"session": name, "kind": "k", "fields": {}}, {"session": "s7", "kind": "k", "fields": {}})
    classic, inside = json.dumps({"session_id": name, "x": "parasol"}), json.dumps({"session": name})
    head = '{"v":1,"id":"0190aaaa-aaaa-7aaa-8aaa-aaaaaaaaaaaa","t":1,"s":"sdk",'
    torn = [
        head + '"b":{"session" : ' + json.dumps(name, ensure_ascii=False) + ',"x":"parasol',
        head + '"b":' + classic,
        head + '"x":' + json.dumps(inside + " parasol"),
        head + '"b":{"kind":"k","x":"sunshade","session":"caf',
        head + '"b":{"session":"s7","x":"awning',
    ]
    newest = segments.path(home / "journal", max(segments.numbers(home / "journal")))
    with newest.open("ab") as file:
        file.write("".join(f"\n{one}\n" for one in torn).encode())
    assert "1 damaged line of the journal in which nobody is named stays" in run("forget", name).stdout
    done = answer(run("forget", name, "--yes", "--json"))
    assert (done["records"], done["nameless"]) == (4, 1)
    assert holds(home, "parasol", "sunshade", "awning") == {"sunshade", "awning"}
