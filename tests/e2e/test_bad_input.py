"""Whatever stands in a history directory: no traceback, the rest is imported, and doctor says what was skipped and where."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from holdfast.redact.finder import in_base64
from tests.e2e.conftest import CAPTURED, ask

GOOD = CAPTURED / "task-tools" / "transcript" / "8dc736b7-58d4-4829-9256-0231d0f4480b.jsonl"
OTHER = "22222222-2222-4222-8222-222222222222"


def line(**more: object) -> bytes:
    """A user line of session OTHER."""
    given = {
        "type": "user",
        "uuid": "u1",
        "sessionId": OTHER,
        "timestamp": "2026-11-21T10:00:00.000Z",
        "version": "2.1.330",
        "cwd": "/w",
        "message": {"role": "user", "content": "hello"},
    }
    return json.dumps(given | more).encode()


HOSTILE = {
    "truncated": line(uuid="u2")[:-40] + b"\n" + line(),
    "invalid UTF-8": line(uuid="u2").replace(b"hello", b"he\xff\xfello") + b"\n" + line(),
    "NULs": line(uuid="u2").replace(b"hello", b"he\x00llo") + b"\n" + b"\x00" * 100 + b"\n" + line(),
    "deep nesting": b'{"type":"user","sessionId":"%s","message":' % OTHER.encode()
    + b"[" * 5000
    + b"]" * 5000
    + b"}\n"
    + line(),
    "deeper nesting": b"[" * 200_000 + b"\n" + line(),
    "NaN": line(uuid="u2").replace(b'"hello"', b"NaN") + b"\n" + line(),
    "huge numbers": line(uuid="u2", message={"role": "assistant", "content": []}).replace(
        b'"2.1.330"', b"1e999"
    )
    + b"\n"
    + line(),
    "not objects": b"[1,2]\n17\nnull\n" + b'"text"\n' + line(),
    "blank lines": b"\n\n  \n" + line() + b"\n\n",
    "CRLF": line() + b"\r\n" + line(uuid="u3") + b"\r\n",
    "two on a line": line(uuid="u2") + line(uuid="u3") + b"\n" + line(),
    "one inside another": line(uuid="u2")[:60] + line(uuid="u3") + line(uuid="u2")[60:] + b"\n" + line(),
    "byte order mark": b"\xef\xbb\xbf" + line(uuid="u2") + b"\n" + line(),
    "wrong types": line(message=[1], timestamp=5, cwd={"a": 1}, version=[], gitBranch=7, uuid=9)
    + b"\n"
    + line(uuid="u2", message={"content": [1, None, {"type": 5}, {"type": "tool_result", "tool_use_id": {}}]})
    + b"\n"
    + line(
        uuid="u4",
        type="assistant",
        message={"id": 3, "usage": {"input_tokens": "many"}, "content": [{"type": "tool_use", "input": []}]},
    )
    + b"\n"
    + line(type="system", subtype=[], uuid="u5")
    + b"\n"
    + line(type="progress", data="no", uuid="u6")
    + b"\n"
    + line(type="cost-state", totalCostUSD="free", modelUsage=4)
    + b"\n"
    + line(),
    "lone surrogates": line(uuid="u2").replace(b"hello", b"he\\ud800llo") + b"\n" + line(),
    "negative and absurd counts": line(
        uuid="u2",
        type="assistant",
        message={
            "id": "m",
            "model": "claude-opus-5-5",
            "usage": {"input_tokens": -5, "output_tokens": 2**80, "cache_read_input_tokens": 2**63},
            "content": [],
        },
    )
    + b"\n"
    + line(),
    "time travel": line(uuid="u2", timestamp="0001-01-01T00:00:00Z")
    + b"\n"
    + line(uuid="u3", timestamp="9999-12-31T23:59:59Z")
    + b"\n"
    + line(uuid="u4", timestamp="2026-02-31T00:00:00Z")
    + b"\n"
    + line(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_costs_at_most_itself(name, run, home, tmp_path):
    source = tmp_path / "projects" / "-w"
    source.mkdir(parents=True)
    shutil.copy(GOOD, source)
    (source / f"{OTHER}.jsonl").write_bytes(HOSTILE[name] + b"\n")
    done = run("import", tmp_path / "projects")
    assert (done.returncode, done.stderr) == (0, "")
    views = [[view, OTHER, *form] for view in ("show", "tree", "timeline") for form in ([], ["--json"])]
    [said, *_] = ask(home, ["sessions", "--json"], ["stats"], *views)
    found = {session["id"]: session for session in json.loads(said)["sessions"]}
    assert found[GOOD.stem]["tool_calls"] == 3
    assert found[OTHER]["turns"] >= 1
    doctor = run("doctor")
    assert "Traceback" not in doctor.stdout + doctor.stderr
    if name in {
        "truncated",
        "invalid UTF-8",
        "deep nesting",
        "deeper nesting",
        "not objects",
        "one inside another",
    }:
        assert f"{OTHER}.jsonl bytes " in doctor.stdout or name == "invalid UTF-8"


IDS = [
    "../../../etc/passwd",
    "/etc/cron.d/x",
    "a\x00b",
    "x" * 5000,
    "CON",
    ".",
    "..",
    "a:b",
    "\x1b]52;c;aGk=\x07",
    "ünïcode\u202e",
    "%s%n",
    "'; DROP TABLE session; --",
    "--help",
]


@pytest.mark.parametrize("hostile", IDS, ids=range(len(IDS)))
def test_hostile_ids_stay_text(hostile, run, tmp_path, home):
    source = tmp_path / "in.jsonl"
    assistant = line(
        type="assistant",
        sessionId=hostile,
        uuid=hostile,
        agentId=hostile,
        message={
            "id": hostile,
            "model": hostile,
            "usage": {"input_tokens": 1, "output_tokens": 1},
            "content": [
                {"type": "tool_use", "id": hostile, "name": hostile, "input": {"file_path": hostile}}
            ],
        },
    )
    source.write_bytes(line(sessionId=hostile, uuid=hostile) + b"\n" + assistant + b"\n")
    done = run("import", source)
    assert (done.returncode, done.stderr) == (0, "")
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    for said in ask(home, *[[view, "--", session["id"]] for view in ("show", "tree", "timeline")]):
        assert "\x1b" not in said
        assert "\u202e" not in said
    inside = {path for path in tmp_path.rglob("*") if home in path.parents}
    names = {path.name for path in inside}
    assert not any("passwd" in name or name == "CON" or "x" * 50 in name for name in names)


def test_a_line_of_100_megabytes_is_read(run, tmp_path, home):
    source = tmp_path / f"{OTHER}.jsonl"
    big = line(uuid="big", message={"role": "user", "content": "x" * 100_000_000})
    source.write_bytes(big + b"\n" + line(uuid="u3") + b"\n")
    done = run("import", source)
    assert (done.returncode, done.stderr) == (0, "")
    (session,) = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert session["turns"] == 2
    (blob,) = (home / "blobs").iterdir()
    assert blob.stat().st_size == len(big)
    assert (home / "journal" / "00000001.jsonl").stat().st_size < 20_000


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root reads everything; needs setpriv"
)
def test_a_directory_without_permission_is_named_and_the_rest_imported(tmp_path, home):
    source = tmp_path / "projects"
    (source / "closed").mkdir(parents=True)
    shutil.copy(GOOD, source / "closed")
    shutil.copy(CAPTURED / "max-turns" / "transcript" / "803189e9-648d-4505-9f5a-25ad0378621f.jsonl", source)
    for path in (tmp_path, source):
        path.chmod(0o755)
    home.mkdir()
    user = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if user:
        os.chown(home, 65534, -1)
        for parent in tmp_path.parents:
            if parent.stat().st_mode & 0o055 == 0 and parent.stat().st_uid == 0 and "pytest" in str(parent):
                parent.chmod(0o755)
    (source / "closed").chmod(0)

    def as_user(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*user, sys.executable, "-m", "holdfast", *args],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )

    if as_user("--version").returncode != 0:
        pytest.skip("the other user cannot run this Python")
    done = as_user("import", str(source))
    assert done.returncode == 0, done.stderr
    assert "closed: Permission denied" in done.stderr
    assert json.loads(as_user("sessions", "--json").stdout)["sessions"][0]["tool_calls"] == 3
    assert "Traceback" not in done.stderr


def test_any_number_of_records_on_one_line_is_read(run, tmp_path):
    source = tmp_path / f"{OTHER}.jsonl"
    source.write_bytes(b"".join(line(uuid=f"u{number}") for number in range(500)) + b"\n")
    run("import", source)
    assert json.loads(run("sessions", "--json").stdout)["sessions"][0]["turns"] == 500


def test_a_line_of_endless_openings_takes_no_time(run, tmp_path):
    source = tmp_path / f"{OTHER}.jsonl"
    source.write_bytes(b'{"a":' * 190 + b"[" + b"1," * 3_000_000 + b"\n" + line() + b"\n")
    assert run("import", source).returncode == 0
    assert json.loads(run("sessions", "--json").stdout)["sessions"][0]["turns"] == 1


def test_damaged_sources_are_listed_with_their_place(run, tmp_path):
    source = tmp_path / f"{OTHER}.jsonl"
    good = line(uuid="u1") + b"\n"
    source.write_bytes(good + b'{"type": "user", "sess\n' + line(uuid="u2") + b"\n")
    run("import", source)
    found = json.loads(run("doctor", "--json").stdout)
    (problem,) = [f for f in found["findings"] if "not understood" in f["what"]]
    assert problem["where"] == str(source)
    assert (problem["start_byte"], problem["end_byte"]) == (len(good), len(good) + 23)
    assert problem["severity"] == "notice"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["show", "nope"], 3, "no session starts with"),
        (["show", ""], 3, "no session starts with"),
        (["import", "/does/not/exist"], 3, "no such file"),
        (["import"], 3, "no agent history there"),
        (["nonsense"], 2, "No such command"),
        (["sessions", "--state", "bored"], 2, "bored"),
        (["stats", "--since", "yesterday"], 2, "is no day"),
        (["--stale-after-s", "soon", "sessions"], 2, "stale_after_s"),
    ],
)
def test_wrong_calls_are_answered_with_a_code_and_a_hint(args, code, said, run):
    done = run(*args)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("long", [False, True])
def test_a_meta_file_that_is_no_text_passes_redaction(long, run, tmp_path, home):
    """Its secrets are in no record, in no encoding; what it says is understood; read again, it is not new."""
    said = f"use gh{'p_'}Zk4Xw8Rt2Vb6Nq9Mc3Lf7Jh5Pd1Gs0Ty8Ua with password=k7Qz2Vw9Rt4!"
    head = b'{"agentType":"worker-of-mine","description":"%b","name":"' % said.encode()
    odd = (
        b"x" * ((1 << 20) - 1 - len(head)) + "é".encode() if long else b"\xff\xfe"
    )  # cut inside of it, or none at all
    meta = tmp_path / "p" / OTHER / "subagents" / "agent-abc.meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_bytes(head + odd + b'"}')
    run("import", tmp_path / "p")
    stored = b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())
    for secret in (said[4:40], said[-12:]):
        assert secret.encode() not in stored
        assert not any(word.encode() in stored for word in in_base64(secret))
    assert stored.count(b"[REDACTED:") >= 2
    assert long or "worker-of-mine" in run("show", OTHER, "--json").stdout
    os.utime(meta)
    assert json.loads(run("import", tmp_path / "p", "--json").stdout)["records"] == 0


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["show", "\udcff"], "'SESSION'"),
        (["forget", "fine", "\udcff", "--yes"], "'[SESSIONS]...'"),
        (["search", "x", "--tool", "\udcff"], "'--tool'"),
        (["export", "--session", "\udcff", "out.jsonl"], "'--session'"),
        (["redact", "allow", "ab\udcffcdefgh"], "'[VALUE]'"),
        (["redact", "allow", "--pattern", "ab\udcffcdefgh"], "'--pattern'"),
        (["redact", "add", "--kind", "k", "--pattern", "ab\udcffcdefgh"], "'--pattern'"),
        (["redact", "add", "--kind", "k", "--prefix", "acme_", "--chars", "\udcff"], "'--chars'"),
    ],
)
def test_text_that_is_not_utf_8_is_refused_by_its_name(args, named, run, home):
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Error: Invalid value for {named}: it is not UTF-8." in done.stderr
    assert not (home / "redact.toml").exists()


def test_a_value_on_standard_input_that_is_not_utf_8_is_refused(home):
    command = [sys.executable, "-m", "holdfast", "redact", "allow", "-"]
    done = subprocess.run(command, input=b"ab\xffcdefgh\n", capture_output=True, check=False)
    assert done.returncode == 2
    assert b"is not UTF-8" in done.stderr
    assert not (home / "redact.toml").exists()


def test_names_of_files_may_be_any_bytes(run, tmp_path):
    place = tmp_path / "caf\udce9"
    place.mkdir()
    shutil.copy(GOOD, place / GOOD.name)
    assert run("import", place).returncode == 0
    assert json.loads(run("sessions", "--json").stdout)["sessions"]
    assert run("redact", "check", place / GOOD.name).returncode == 0
    assert run("export", place / "all.jsonl").returncode == 0
    assert (place / "all.jsonl").exists()


def test_an_ambiguous_prefix_names_what_it_fits(run):
    run("import", CAPTURED)
    done = run("show", "5")
    assert done.returncode == 2
    assert "53df5679" in done.stderr
    assert "55555555" in done.stderr


def test_a_home_of_someone_else_is_refused(run, home):
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    home.mkdir()
    os.chown(home, 65534, 65534)
    done = run("sessions")
    assert done.returncode == 10
    assert "belongs to user 65534" in done.stderr


def test_homes_are_closed_to_others_under_any_umask(run, home, tmp_path):
    shutil.copy(GOOD, tmp_path)
    big = line(uuid="big", message={"role": "user", "content": "x" * 300_000})
    (tmp_path / f"{OTHER}.jsonl").write_bytes(big + b"\n")
    before = os.umask(0)
    try:
        assert run("import", tmp_path / GOOD.name, tmp_path / f"{OTHER}.jsonl").returncode == 0
    finally:
        os.umask(before)
    open_to_others = [p for p in [home, *home.rglob("*")] if not p.is_symlink() and p.stat().st_mode & 0o077]
    assert open_to_others == []


@pytest.mark.parametrize(
    ("mark", "code"), [('{"format":2,"redaction":0}', 12), ('{"format":1,"redaction":9}', 12), ("torn", 10)]
)
def test_a_home_this_version_cannot_use_is_refused_and_kept(mark, code, run, home):
    run("import", GOOD)
    (home / "home.json").write_text(mark)
    done = run("sessions")
    assert done.returncode == code
    assert "hint:" in done.stderr
    assert (home / "journal" / "00000001.jsonl").stat().st_size > 0


def test_a_home_written_before_redaction_is_refused_with_the_remedy(run, home, tmp_path):
    run("import", GOOD)
    later = tmp_path / "sitecustomize.py"
    later.write_text("import holdfast.redact\nholdfast.redact.LEVEL = 2\n")
    done = run("sessions", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 11
    assert "was written before" in done.stderr
    assert "holdfast redact apply" in done.stderr


def test_a_home_that_is_a_file_is_refused(run, home):
    home.write_text("")
    done = run("sessions")
    assert done.returncode == 10
    assert "cannot be used" in done.stderr


def notice(number: int) -> str:
    return json.dumps({"kind": "notice.raised", "session": "s", "message": f"m{number}"}) + "\n"


def test_records_appended_after_a_power_cut_took_folded_ones_are_not_missed(run, home):
    for number in range(5):
        run("record", stdin=notice(number))
    run("sessions")
    segment = home / "journal" / "00000001.jsonl"
    lines = segment.read_bytes().split(b"\n\n")
    segment.write_bytes(b"\n\n".join(lines[:3]) + b"\n")  # the header and two records are left
    for number in range(10, 20):
        run("record", stdin=notice(number))
    entries = json.loads(run("timeline", "s", "--json").stdout)["entries"]
    assert [entry["text"] for entry in entries] == ["m0", "m1", *(f"m{number}" for number in range(10, 20))]
