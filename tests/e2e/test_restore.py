"""Transcripts come back from the journal after the tool deleted them, through the public command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import zlib
from pathlib import Path

import pytest

from holdfast.capture.claude_files import file_id
from holdfast.ids import derived
from tests.e2e.conftest import CAPTURED, everything

ASYNC = "3e8f6aeb-f469-423f-893c-9e87ee5eee7e"
NESTED = "1a163ba8-73d3-4f4b-bfc8-18d368e10cb5"
MINE = "99999999-9999-4999-8999-999999999999"
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"[:36]
SMALL = ["--segment-size-bytes", "40000", "--inline-body-size-bytes", "2000"]


def line(text, session=MINE, **more):
    record = {
        "type": "user",
        "sessionId": session,
        "cwd": "/srv/mine",
        "version": "2.1.40",
        "uuid": f"u-{zlib.crc32(text.encode())}",
        "timestamp": "2026-11-20T10:00:00.000Z",
        "message": {"role": "user", "content": text},
    }
    return json.dumps(record | more).encode() + b"\n"


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def of(session: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if session in name}


def answer(done, code=0):
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def states(answered) -> list[str]:
    return sorted(file["state"] for file in answered["files"])


@pytest.fixture
def projects(history):
    return history / "projects"


@pytest.fixture
def mine(projects):
    """A transcript of mine, to be written by the test."""
    place = projects / "-srv-mine"
    place.mkdir()
    return place / f"{MINE}.jsonl"


# ── what comes back ──


def test_every_recorded_session_comes_back_byte_for_byte(projects, run):
    """Main transcripts, subagents' transcripts and their meta files, after the whole directory was deleted."""
    before = tree(projects)
    assert run("import").returncode == 0
    shutil.rmtree(projects)
    sessions = answer(run("sessions", "--json"))["sessions"]
    for session in sessions:
        done = answer(run("restore", "session", session["id"], "--json"))
        assert set(states(done)) == {"written"}
        assert all(file["redacted"] == {"places": {}, "lines": []} for file in done["files"])
    assert tree(projects) == before
    for path in [projects, *projects.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


def test_what_is_restored_is_known_and_changes_no_answer(home, projects, run):
    run("import")
    before = everything(home)
    shutil.rmtree(projects)
    for session in (ASYNC, NESTED):
        assert run("restore", "session", session).returncode == 0
    known = answer(run("import", "--json"))
    assert (known["records"], known["files_done"]) == (0, known["files_total"])
    assert everything(home) == before


def test_a_second_time_all_of_it_is_there_already(projects, run):
    before = tree(projects)
    run("import")
    done = answer(run("restore", "session", ASYNC[:8], "--json"))
    assert set(states(done)) == {"there"}
    assert done["session"] == ASYNC
    assert {file["path"]: file["bytes"] for file in done["files"]} == {
        str(projects / name): len(content) for name, content in of(ASYNC, before).items()
    }
    assert tree(projects) == before


def test_another_directory_gets_the_same_tree(projects, run, tmp_path):
    before = tree(projects)
    run("import")
    shutil.rmtree(projects)
    there = tmp_path / "some" / "where"
    assert run("restore", "session", NESTED, "--to", there).returncode == 0
    assert tree(there) == of(NESTED, before)
    assert not projects.exists()


def test_what_was_imported_from_elsewhere_goes_where_it_is_told(run, tmp_path):
    """A backup lay outside of the tool's directory: nothing is written there, nor guessed."""
    backup = tmp_path / "backup"
    shutil.copytree(CAPTURED / "async-subagents" / "transcript", backup / "-home-dev-demo")
    before = tree(backup)
    run("import", backup)
    shutil.rmtree(backup)
    done = run("restore", "session", ASYNC)
    assert done.returncode == 26
    assert "--to DIR" in done.stdout
    assert not backup.exists()
    assert run("restore", "session", ASYNC, "--to", tmp_path / "out").returncode == 0
    assert tree(tmp_path / "out") == before


def test_awkward_lines_come_back_as_they_were(mine, run):
    """Line ends, empty and broken lines, bytes that are no text, long lines kept as blobs, no end at the end."""
    content = b"".join(
        [
            line("one").replace(b"\n", b"\r\n"),
            b"\n",
            b"no JSON at all\n",
            b'  {"padded": 1.0000000000000000001, "padded": 2}  \n',
            b"\xff\xfe\x00\n",
            line("x" * 700_000),
            '{"a":"\u2028\u0085"}\n'.encode(),
            line("last").rstrip(),
        ]
    )
    mine.write_bytes(content)
    run("import")
    mine.write_bytes(content + b"\n" + line("more"))
    run("import")
    content = mine.read_bytes()
    mine.unlink()
    assert run("restore", "session", MINE).returncode == 0
    assert mine.read_bytes() == content


def test_sealed_history_comes_back_too(projects, run):
    before = tree(projects)
    assert run(*SMALL, "import").returncode == 0
    run("journal", "seal", "--all")
    shutil.rmtree(projects)
    for session in (ASYNC, NESTED):
        assert run("restore", "session", session).returncode == 0
    assert tree(projects) == of(ASYNC, before) | of(NESTED, before)


def test_agents_files_beside_the_session_are_found_by_their_lines(mine, run):
    """As versions up to 2.0 laid them out: `agent-<id>.jsonl` names no session."""
    mine.write_bytes(line("main"))
    agent = mine.with_name("agent-abc.jsonl")
    agent.write_bytes(
        b'{"type":"summary","summary":"s","leafUuid":"u"}\n' + line("sub", agentId="abc", isSidechain=True)
    )
    other = mine.with_name("agent-def.jsonl")
    other.write_bytes(line("other", MINE.replace("9", "8"), agentId="def", isSidechain=True))
    before = tree(mine.parent)
    run("import")
    shutil.rmtree(mine.parent)
    assert run("restore", "session", MINE).returncode == 0
    assert tree(mine.parent) == {name: before[name] for name in (mine.name, agent.name)}


def test_the_newest_content_of_a_path_is_given_back(mine, run):
    mine.write_bytes(line("first") + line("second"))
    below = mine.with_suffix("") / "subagents"
    below.mkdir(parents=True)
    (below / "agent-a.jsonl").write_bytes(line("sub", agentId="a", isSidechain=True))
    meta = below / "agent-a.meta.json"
    for text in ('{"agentType":"one"}', '{"agentType":"two"}', '{"agentType":"one"}'):
        meta.write_text(text)
        run("import")
    mine.write_bytes(line("another"))
    run("import")
    before = tree(mine.parent)
    shutil.rmtree(mine.parent)
    assert run("restore", "session", MINE).returncode == 0
    assert tree(mine.parent) == before


# ── secrets ──


def test_lines_with_something_taken_out_are_listed_and_all_others_are_equal(mine, run):
    original = [line("plain"), line(f"my key is {SECRET}"), line("plain too"), line(f"{SECRET} again")]
    mine.write_bytes(b"".join(original))
    run("import")
    mine.unlink()
    said = run("restore", "session", MINE)
    assert said.returncode == 0
    assert "lines 2, 4" in said.stdout
    restored = mine.read_bytes().splitlines(keepends=True)
    assert [n for n, (a, b) in enumerate(zip(original, restored, strict=True), 1) if a != b] == [2, 4]
    assert SECRET.encode() not in mine.read_bytes()
    [file] = answer(run("restore", "session", MINE, "--json"))["files"]
    assert file["state"] == "there"
    assert file["redacted"]["lines"] == [2, 4]
    assert sum(file["redacted"]["places"].values()) == 2


def test_a_restored_file_with_something_taken_out_changes_no_answer(home, mine, run):
    """The tool goes on in it, and what it adds is recorded."""
    mine.write_bytes(line("plain") + line(f"my key is {SECRET}"))
    run("import")
    before = everything(home)
    mine.unlink()
    run("restore", "session", MINE)
    run("import")
    assert everything(home) == before
    with mine.open("ab") as file:
        file.write(line("more"))
    run("import")
    content = mine.read_bytes()
    mine.unlink()
    run("restore", "session", MINE)
    assert mine.read_bytes() == content


# ── what stands there stays ──


@pytest.mark.parametrize("change", ["other", "shorter", "longer", "empty", "link", "directory"])
def test_a_file_that_differs_is_left_as_it_is(change, mine, run, tmp_path):
    content = line("one") + line("two")
    mine.write_bytes(content)
    below = mine.with_suffix("") / "subagents"
    below.mkdir(parents=True)
    agent = below / "agent-a.jsonl"
    agent.write_bytes(line("sub", agentId="a", isSidechain=True))
    run("import")
    before = tree(mine.parent)
    shutil.rmtree(below)
    mine.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine\n")
    if change == "link":
        mine.symlink_to(elsewhere)
    elif change == "directory":
        mine.mkdir()
    else:
        texts = {
            "other": content.replace(b"two", b"TWO"),
            "shorter": line("one"),
            "longer": content * 2,
            "empty": b"",
        }
        mine.write_bytes(texts[change])
    stood = os.lstat(mine)
    done = run("restore", "session", MINE)
    assert done.returncode == 26
    assert "differs" in done.stdout
    assert agent.read_bytes() == before[str(agent.relative_to(mine.parent))]
    now = os.lstat(mine)
    assert (now.st_ino, now.st_size, now.st_mtime_ns) == (stood.st_ino, stood.st_size, stood.st_mtime_ns)
    assert elsewhere.read_bytes() == b"mine\n"
    assert sorted(path.name for path in mine.parent.iterdir()) == sorted([MINE, mine.name])


def test_a_dry_run_writes_nothing_and_says_the_same(projects, run, tmp_path):
    run("import")
    shutil.rmtree(projects)
    target = tmp_path / "out"
    for more in ([], ["--to", target]):
        done = answer(run("restore", "session", ASYNC, "--dry-run", "--json", *more))
        assert done["dry_run"]
        assert set(states(done)) == {"written"}
    assert not projects.exists()
    assert not target.exists()


# ── nothing is written outside ──


def test_a_directory_that_is_a_link_is_not_followed(mine, run, tmp_path):
    mine.write_bytes(line("one"))
    run("import")
    shutil.rmtree(mine.parent)
    outside = tmp_path / "outside"
    outside.mkdir()
    mine.parent.symlink_to(outside)
    done = run("restore", "session", MINE)
    assert done.returncode == 26
    assert "-srv-mine is a link" in done.stdout
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("to", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        "{projects}/../../evil/{session}.jsonl",
        "{projects}/-p/../{session}.jsonl",
        "/evil/{session}/../../{session}.jsonl",
        "{projects}//{session}.jsonl",
        "{projects}/-p\\xff/{session}.jsonl",
        "../{session}.jsonl",
        "{projects}/./{session}.jsonl",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_by_name(path, to, projects, run, tmp_path):
    """Such paths come with exports that were made by somebody else."""
    path = path.format(projects=projects, session=MINE)
    export = tmp_path / "made.jsonl"
    export.write_bytes(made_up(path, line("one")))
    assert run("import", export).returncode == 0
    before = sorted(map(str, tmp_path.rglob("*")))
    done = answer(run("restore", "session", MINE, "--json", *(["--to", tmp_path / "user"] if to else [])), 26)
    assert states(done) == ["refused"]
    left = [name for name in map(str, tmp_path.rglob("*")) if "holdfast-home" not in name]
    assert sorted(left) == [name for name in before if "holdfast-home" not in name]


def made_up(path: str, content: bytes) -> bytes:
    """An export that says that a transcript lay there."""

    def record(source, body, record_id, more=""):
        time = 0 if source == "holdfast.export" else 1
        text = f'{{"v":1,"id":"{record_id}","t":{time},"s":"{source}",{more}"b":{body}'
        return f'{text},"c":"{zlib.crc32(text.encode()):08x}"}}\n'

    file = file_id(path, 0)
    declared = json.dumps({"id": file, "source": "claude.transcript", "path": path, "generation": 0})
    nobody = "00000000-0000-0000-0000-000000000000"
    position = f'"p":["{file}",0,{len(content)}],'
    return "".join(
        [
            record("holdfast.export", '{"format":1,"redaction":9}', nobody),
            record("holdfast.file", declared, derived("holdfast.file", file)),
            record(
                "claude.transcript",
                content.decode().strip(),
                derived(f"claude.transcript:{file}", "0"),
                position,
            ),
            record("holdfast.export", '{"records":2}', nobody),
        ]
    ).encode()


def test_a_session_of_another_machine_goes_where_it_is_told(history, home, run, tmp_path):
    """Its paths lie below a directory that is not there, or somebody else's."""
    before = tree(history / "projects")
    run("import")
    export = tmp_path / "out.jsonl"
    run("export", export)
    shutil.rmtree(history)
    other = {"HOLDFAST_HOME": str(tmp_path / "other"), "CLAUDE_CONFIG_DIR": str(tmp_path / "their")}
    assert run("import", export, env=other).returncode == 0
    assert run("restore", "session", NESTED, env=other).returncode == 26
    target = tmp_path / "their" / "projects"
    assert run("restore", "session", NESTED, "--to", target, env=other).returncode == 0
    assert tree(target) == of(NESTED, before)


def test_the_home_is_no_target(home, projects, run):
    run("import")
    done = run("restore", "session", ASYNC, "--to", home / "inside")
    assert done.returncode == 2
    assert not (home / "inside").exists()


def test_a_target_that_cannot_be_made_is_told_in_words(projects, run, tmp_path):
    run("import")
    (tmp_path / "file").touch()
    for more in ([], ["--dry-run"]):
        done = run("restore", "session", ASYNC, "--to", tmp_path / "file", *more)
        assert done.returncode == 28
        assert str(tmp_path / "file") in done.stderr


# ── what is missing ──


def journal(home):
    [segment] = (home / "journal").glob("*.jsonl")
    return segment


def flip(segment: Path, needle: bytes, *, last=False):
    raw = bytearray(segment.read_bytes())
    at = raw.rindex(needle) if last else raw.index(needle)
    raw[at] ^= 1
    segment.write_bytes(raw)


@pytest.mark.parametrize("rebuilt", [False, True])
@pytest.mark.parametrize("which", ["one", "two", "three"])
def test_a_damaged_record_is_a_gap_that_is_named(which, rebuilt, home, mine, run):
    """Also of the last line, after which nothing shows that something is missing."""
    lines = {name: line(f"it says {name}") for name in ("one", "two", "three")}
    mine.write_bytes(b"".join(lines.values()))
    other = mine.with_suffix("") / "subagents" / "agent-a.jsonl"
    other.parent.mkdir(parents=True)
    other.write_bytes(line("sub", agentId="a", isSidechain=True))
    before = other.read_bytes()
    run("import")
    flip(journal(home), f"it says {which}".encode())
    if rebuilt:
        run("rebuild")
    shutil.rmtree(mine.parent)
    done = answer(run("restore", "session", MINE, "--json"), 26)
    [file] = [file for file in done["files"] if file["state"] == "refused"]
    start = b"".join(lines.values()).index(lines[which])
    [gap] = file["gaps"]
    assert (gap["start_byte"], gap["end_byte"]) == (start, start + len(lines[which]))
    assert "damaged: journal segment 1 bytes" in gap["why"]
    assert not mine.exists()
    assert other.read_bytes() == before


def test_damage_that_names_nobody_is_told(home, mine, run):
    mine.write_bytes(line("one"))
    run("import")
    with journal(home).open("ab") as file:
        file.write(b"\ndamage\n")
    shutil.rmtree(mine.parent)
    done = run("restore", "session", MINE)
    assert done.returncode == 26
    assert "journal segment 1 bytes" in done.stderr
    assert mine.read_bytes() == line("one")


def test_damage_of_others_is_not_ours(home, mine, run):
    """Of another source, of another file, and a torn line that was recorded again."""
    mine.write_bytes(line("one"))
    run("import")
    run("record", stdin='{"kind":"info","session":"own","text":"needle"}\n')
    raw = journal(home).read_bytes()
    record = next(one for one in raw.split(b"\n") if MINE.encode() in one and b'"p":' in one)
    journal(home).write_bytes(raw.replace(record, record[: len(record) // 2] + b"\n" + record))
    flip(journal(home), b"needle")
    flip(journal(home), ASYNC.encode(), last=True)
    shutil.rmtree(mine.parent)
    assert run("restore", "session", MINE).returncode == 0
    assert mine.read_bytes() == line("one")


def test_a_damaged_blob_is_a_gap(home, mine, run):
    mine.write_bytes(line("one") + line("x" * 5_000) + line("two"))
    run(*SMALL, "import", mine)
    [blob] = (home / "blobs").iterdir()
    for damage in (lambda: blob.write_bytes(b"damage"), blob.unlink):
        damage()
        mine.unlink(missing_ok=True)
        [file] = answer(run("restore", "session", MINE, "--json"), 26)["files"]
        assert file["gaps"][0]["start_byte"] == len(line("one"))
        assert "blob" in file["gaps"][0]["why"]
        assert list(mine.parent.iterdir()) == []


def test_a_damaged_meta_file_is_refused_unless_it_was_recorded_again(home, mine, run):
    agent = mine.with_suffix("") / "subagents" / "agent-a.jsonl"
    agent.parent.mkdir(parents=True)
    mine.write_bytes(line("main"))
    agent.write_bytes(line("sub", agentId="a", isSidechain=True))
    meta = agent.with_name("agent-a.meta.json")
    meta.write_text('{"agentType":"needle"}')
    run("import")
    flip(journal(home), b"needle")
    shutil.rmtree(mine.parent)
    done = answer(run("restore", "session", MINE, "--json"), 26)
    assert [file["path"] for file in done["files"] if file["state"] == "refused"] == [str(meta)]
    meta.write_text('{"agentType":"mended"}')
    run("import")
    meta.unlink()
    assert run("restore", "session", MINE).returncode == 0
    assert meta.read_text() == '{"agentType":"mended"}'


def test_a_meta_file_whose_bytes_are_not_recorded_is_refused(mine, run):
    mine.write_bytes(line("main"))
    below = mine.with_suffix("") / "subagents"
    below.mkdir(parents=True)
    bad, good = below / "agent-a.meta.json", below / "agent-b.meta.json"
    bad.write_bytes(b'{"description":"\xff"}')
    good.write_text('{"description":"\ufffd"}')
    before = good.read_bytes()
    run("import")
    shutil.rmtree(mine.parent)
    done = answer(run("restore", "session", MINE, "--json"), 26)
    assert [file["path"] for file in done["files"] if file["state"] == "refused"] == [str(bad)]
    assert good.read_bytes() == before


def test_retired_history_says_so(projects, run):
    run(*SMALL, "import")
    run("record", stdin='{"kind":"info"}\n', env={"HOLDFAST_SEGMENT_SIZE_BYTES": "1"})
    run("journal", "seal", "--all")
    shutil.rmtree(projects)
    retire = ["--now", "2100-01-01T00:00:00Z", "journal", "retire", "--keep-days", "1"]
    assert run(*retire, "--yes", "--without-backup", "--most", "100").returncode == 0
    done = answer(run("restore", "session", ASYNC, "--json"), 26)
    assert "retired" in json.dumps(done)
    assert any(file["gaps"] for file in done["files"])
    for file in done["files"]:
        if file["state"] == "refused":
            assert "retired" in file["why"]
            assert file["path"] is None or not Path(file["path"]).exists()
        else:
            assert Path(file["path"]).exists()


def test_a_forgotten_session_is_gone_and_others_come_back(projects, run):
    before = tree(projects)
    run("import")
    assert run("forget", ASYNC, "--yes").returncode == 0
    shutil.rmtree(projects)
    for name in (ASYNC, f"claude:{ASYNC}"):
        done = run("restore", "session", name)
        assert done.returncode == 3
        assert "forgotten" in done.stderr
    assert run("restore", "session", NESTED).returncode == 0
    assert tree(projects) == of(NESTED, before)


def test_a_forgotten_line_in_a_file_of_another_session_is_a_gap(mine, run):
    lines = [line("mine"), line("theirs", MINE.replace("9", "8")), line("mine again")]
    mine.write_bytes(b"".join(lines))
    run("import")
    assert run("forget", MINE.replace("9", "8"), "--yes").returncode == 0
    mine.unlink()
    [file] = answer(run("restore", "session", MINE, "--json"), 26)["files"]
    assert file["gaps"] == [
        {"start_byte": len(lines[0]), "end_byte": len(lines[0]) + len(lines[1]), "why": "it was forgotten"}
    ]
    assert not mine.exists()


# ── names ──


def test_a_session_without_a_transcript_or_of_no_such_name_is_not_found(projects, run):
    run("import")
    run("record", stdin='{"kind":"info","session":"own"}\n')
    for name in ("nobody", "sdk:own", "own"):
        assert run("restore", "session", name).returncode == 3
    done = run("restore", "session", "")
    assert done.returncode == 3
    listed = answer(run("sessions", "--json"))["sessions"]
    first = [one["id"][0] for one in listed if one["source"] == "claude"]
    twice = next(each for each in first if first.count(each) > 1)
    assert run("restore", "session", twice).returncode == 2


# ── a kill ──


@pytest.mark.parametrize(
    "at", ["restore.written=kill@2", "restore.linked=kill@2", "restore.written=error:ENOSPC@2"]
)
def test_a_cut_leaves_no_half_file_and_the_next_run_ends_it(at, projects, run):
    before = of(NESTED, tree(projects))
    run("import")
    shutil.rmtree(projects)
    done = run("restore", "session", NESTED, env={"HOLDFAST_FAILPOINTS": at})
    assert done.returncode == (26 if "ENOSPC" in at else -signal.SIGKILL)
    found = {name: content for name, content in tree(projects).items() if not name.endswith(".part")}
    assert found.items() <= before.items()
    assert len(found) < len(before)
    again = answer(run("restore", "session", NESTED, "--json"))
    assert states(again).count("there") == len(found)
    assert tree(projects) == before


def test_a_file_that_appears_meanwhile_is_not_replaced(mine, run, tmp_path, monkeypatch):
    """It is made between the look and the link."""
    from holdfast.transfer import placing

    def appear(name):
        if name == "restore.written":
            (tmp_path / "x" / "file").write_bytes(b"theirs")

    monkeypatch.setattr(placing, "failpoint", appear)
    out = placing.put(tmp_path, ("x", "file"), lambda: iter([b"ours"]))
    assert out.state == placing.DIFFERS
    assert (tmp_path / "x" / "file").read_bytes() == b"theirs"
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["file"]
