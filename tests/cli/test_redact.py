"""`holdfast redact …`, as a user runs it: nothing it says holds a secret, and a user's file stays as they wrote it."""

from __future__ import annotations

import json
import os
import random
import string
from pathlib import Path

import pytest

from holdfast.ids import uuid7
from holdfast.journal import format as fmt
from holdfast.journal import segments

pytestmark = pytest.mark.slow
LETTERS = string.ascii_letters + string.digits

SAMPLES = Path(__file__).resolve().parent.parent.parent / "src" / "holdfast" / "samples" / "projects"


@pytest.fixture
def dice():
    return random.Random(20261121)


def tail(dice, length):
    return "".join(dice.choice(LETTERS) for _ in range(length))


@pytest.fixture
def token(dice):
    return f"gh{'p_'}{tail(dice, 36)}"


@pytest.fixture
def password(dice):
    return f"{tail(dice, 6)}7!{tail(dice, 6)}"


@pytest.fixture
def place(tmp_path):
    """Where the files to be checked are."""
    made = tmp_path / "files"
    made.mkdir()
    return made


def check(run, *args, code=41, stdin=""):
    done = run("redact", "check", *args, "--json", stdin=stdin)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout), done


# ── check ──


def test_a_file_without_secrets_is_said_to_have_none_and_no_home_is_made(run, home, place):
    (place / "notes").write_text("nothing here\nmax_tokens = 4096\npassword: str\n")
    done = run("redact", "check", place / "notes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "nothing would be taken out of 1 file, 45 B\n"
    assert not home.exists()


@pytest.mark.parametrize("sort", ["text", "JSON", "JSON lines", "transcript"])
def test_each_place_is_told_by_line_bytes_kind_and_rule_and_never_by_the_secret(
    run, home, place, token, password, sort
):
    texts = {
        "text": f"# é settings\nTOKEN={token}\nDB_PASSWORD={password}\n",
        "JSON": json.dumps(
            {"a": f"use {token} é", "b": {"clientSecret": password}}, indent=2, ensure_ascii=False
        ),
        "JSON lines": json.dumps({"a": f"é {token}"}) + "\n\n" + json.dumps({"password": password}) + "\n",
        "transcript": json.dumps(
            {"type": "user", "message": {"content": json.dumps({"t": token, "password": password})}}
        )
        + "\n",
    }
    file = place / "file"
    file.write_text(texts[sort])
    answer, done = check(run, file)
    raw = file.read_bytes()
    taken = {raw[each["start_byte"] : each["end_byte"]].decode() for each in answer["places"]}
    assert taken == {token, password}
    first, second = answer["places"]
    assert first["kind"] == "github-token"
    assert (first["rule"], first["provider"]) == ("token", "github")
    assert second["rule"] == "named"
    line = raw.decode().splitlines()[first["line"] - 1]
    assert line[first["column"] - 1 :].startswith(token)
    assert first["record"] == (1 if sort in {"JSON lines", "transcript"} else None)
    assert answer["kinds"] == {"github-token": 1, second["kind"]: 1}
    for shown in (done, run("redact", "check", file), run("redact", "check", "--plain", file)):
        assert shown.returncode == 41
        for secret in (token, password):
            assert secret[:8] not in shown.stdout + shown.stderr
        assert "[REDACTED:github-token:" in shown.stdout
    assert not home.exists()


def test_standard_input_is_checked_like_a_file(run, token):
    answer, _ = check(run, "-", stdin=f"one\ntwo {token}\n")
    assert [(each["file"], each["line"], each["column"]) for each in answer["places"]] == [("-", 2, 5)]
    done = run("redact", "check", "-", "--plain", stdin=f"two {token}\n")
    assert done.stdout.split("\t")[:4] == ["-:1:5", "4-44", "github-token", "token"]


def test_a_secret_in_base64_and_one_that_stands_again_are_told_as_such(run, place, password):
    import base64

    code = base64.b64encode(f"password={password}\n".encode()).decode()
    (place / "a").write_text(f"echo {code} | base64 -d\n")
    (place / "b").write_text(f"DB_PASSWORD={password}\nthe word is {password} here\n")
    [hidden] = check(run, place / "a")[0]["places"]
    assert (hidden["kind"], hidden["why"]) == ("password", "the name password")
    assert [each["rule"] for each in check(run, place / "b")[0]["places"]] == ["named", "repeat"]


def test_huge_and_binary_files_are_looked_through_in_blocks(run, place, token, dice):
    (place / "huge").write_text("lorem ipsum dolor sit amet\n" * 800_000 + f"x {token}\n" + "y z\n" * 30_000)
    (place / "binary").write_bytes(
        dice.randbytes(200_000) + b" " + token.encode() + b" " + dice.randbytes(200_000)
    )
    (place / "line").write_text('{"a":"' + "x y " * 5_000_000 + token + '"}\n{"b":1}\n')
    answer, _ = check(run, place / "huge", place / "binary", place / "line")
    assert [os.path.basename(each["file"]) for each in answer["places"]] == ["huge", "binary", "line"]  # noqa: PTH119
    assert answer["places"][0]["line"] == 800_001
    for each in answer["places"]:
        with open(each["file"], "rb") as file:  # noqa: PTH123
            file.seek(each["start_byte"])
            assert file.read(each["end_byte"] - each["start_byte"]).decode() == token


def test_a_file_full_of_secrets_is_told_to_its_end(run, place, dice):
    lines = [f"KEY{number}_TOKEN={tail(dice, 30)}" for number in range(400)]
    (place / "dense.env").write_text("\n".join(lines) + "\n")
    assert [each["line"] for each in check(run, place / "dense.env")[0]["places"]] == list(range(1, 401))


def test_a_text_that_begins_like_json_is_looked_at_as_text(run, place, password):
    (place / "settings.ini").write_text(f"[database]\npassword = {password}\n")
    (place / "torn.json").write_text(f'{{"a": 1,\npassword = {password}\n')
    answer, _ = check(run, place / "settings.ini", place / "torn.json")
    assert [each["line"] for each in answer["places"]] == [2, 2]


def test_what_cannot_be_checked_is_an_error_of_its_own(run, place):
    assert run("redact", "check", place / "absent").returncode == 3
    assert run("redact", "check", place).returncode == 2
    assert run("redact", "check").returncode == 2


def test_a_file_that_cannot_be_read_does_not_hide_the_others(run, place, token):
    (place / "clean").write_text("nothing here\n")
    (place / "leaky").write_text(f"TOKEN={token}\n")
    absent, below, long = place / "absent", place / "clean" / "below", place / ("n" * 300)
    found, done = check(run, absent, place / "leaky", below, long, place, place / "clean")
    assert found["kinds"] == {"github-token": 1}
    assert found["files"] == 2
    assert found["unread"] == [str(path) for path in (absent, below, long, place)]
    for said in (
        f"not read: {absent} does not exist",
        f"not read: {below} cannot be read: Not a directory",
        f"not read: {long} cannot be read: File name too long",
        f"not read: {place} is a directory",
        "error: 1 place would be taken out",
    ):
        assert said in done.stderr
    told = run("redact", "check", absent, place / "leaky")
    assert told.returncode == 41
    assert "1 place in 1 file" in told.stdout

    found, done = check(run, below, place / "clean", absent, code=3)
    assert (found["places"], found["unread"]) == ([], [str(below), str(absent)])
    assert f"not read: {absent} does not exist" in done.stderr
    assert f"error: {below} cannot be read: Not a directory" in done.stderr
    assert run("redact", "check", absent).stdout == ""
    done = run("redact", "check", "/proc/self/mem")  # it can be opened, and not be read from its beginning
    assert (done.returncode, done.stdout) == (3, "")
    assert "error: /proc/self/mem cannot be read: Input/output error" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named_and_the_others_are_checked(run, place, token):
    (place / "closed").write_text("nobody may read this\n")
    (place / "closed").chmod(0)
    (place / "leaky").write_text(f"TOKEN={token}\n")
    found, done = check(run, place / "closed", place / "leaky")
    assert found["unread"] == [str(place / "closed")]
    assert f"not read: {place / 'closed'} cannot be read: Permission denied" in done.stderr
    assert run("redact", "check", place / "closed").returncode == 3


def test_errors_do_not_repeat_the_secrets_they_are_about(run, token):
    for args, stdin in (
        (["show", token], ""),
        ([f"--{token}"], ""),
        (["redact", "check", f"/{token}"], ""),
        (["record"], json.dumps({"kind": "tool.used", "fields": {"status": token}}) + "\n"),
    ):
        done = run(*args, *(["--strict"] if stdin else []), stdin=stdin)
        assert done.returncode in (2, 3)
        assert token[:12] not in done.stderr
        assert "[REDACTED:github-token]" in done.stderr


# ── rules of one's own ──


def record(run, text, **more):
    done = run("record", stdin=json.dumps({"kind": "message.sent", "fields": {"text": text}} | more) + "\n")
    assert done.returncode == 0, done.stderr


def written(home):
    return b"".join(
        segments.path(home / "journal", n).read_bytes() for n in segments.plain_numbers(home / "journal")
    )


def test_rules_added_allowed_and_removed_change_what_is_recorded_and_keep_what_the_user_wrote(
    run, home, dice
):
    first, second, third = (tail(dice, 24) for _ in range(3))
    home.mkdir(mode=0o700)
    (home / "redact.toml").write_text(
        "# mine; do not touch\n\n[allow]\nvalues = [  # known to all\n    'known-to-all-1',\n]\n"
    )
    for args in (
        ["add", "--kind", "acme-key", "--prefix", "acme_", "--least", "20"],
        ["add", "--kind", "corp-key", "--pattern", "CORP: (?P<secret>[A-Za-z0-9]{24})"],
        ["allow", f"acme_{third}", "--sure"],
        ["allow", "--pattern", "acme_test[A-Za-z0-9]{20}"],
        ["emails", "on"],
    ):
        done = run("redact", *args)
        assert done.returncode == 0, done.stderr
    text = (home / "redact.toml").read_text()
    assert "# mine; do not touch" in text
    assert "# known to all" in text
    assert os.stat(home / "redact.toml").st_mode & 0o777 == 0o600  # noqa: PTH116
    record(run, f"acme_{first} CORP: {second} acme_{third} acme_test{first[:20]}")
    journal = written(home)
    assert first.encode() not in journal
    assert second.encode() not in journal
    assert third.encode() in journal
    assert f"acme_test{first[:20]}".encode() in journal

    listed = json.loads(run("redact", "rules", "--own", "--json").stdout)
    assert [rule["kind"] for rule in listed["rules"] if rule["own"]] == ["acme-key", "corp-key"]
    assert listed["values"] == [f"acme_{third}", "known-to-all-1"]
    assert listed["emails"] is True
    for name in ("acme-key", "corp-key", f"acme_{third}", "acme_test[A-Za-z0-9]{20}"):
        assert run("redact", "remove", name).returncode == 0
    assert run("redact", "remove", "acme-key").returncode == 3
    assert run("redact", "emails", "off").returncode == 0
    left = (home / "redact.toml").read_text()
    assert left.startswith("emails = false\n# mine; do not touch\n\n[allow]\n")
    assert "values = [  # known to all\n    'known-to-all-1',\n]\n" in left
    assert "acme" not in left


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--kind", "x", "--pattern", "acme_[a-z]+"], "without a limit"),
        (["--kind", "x", "--pattern", "[a-z]{30}"], "three fixed characters"),
        (["--kind", "x", "--pattern", "abc(?:x{0,200}){3}(?:x{0,200}){3}y"], "too slow"),
        (["--kind", "x", "--pattern", "PIN: (?P<secret>[0-9]{4})"], "would take nothing out"),
        (["--kind", "x", "--pattern", "acme: (?P<secret>none|x{4,40})"], "would take nothing out"),
        (["--kind", "x", "--pattern", "the long job"], "would take nothing out"),
        (["--kind", "x", "--prefix", "xxx", "--chars", "x"], "would take nothing out"),
        (["--kind", "Big", "--pattern", "acme_[a-z]{20}"], "lower-case letters"),
        (["--kind", "unchecked", "--pattern", "acme_[a-z]{20}"], "a kind is"),
        (["--kind", "x", "--prefix", "a"], "three letters"),
        (["--kind", "x", "--prefix", "acme_", "--chars", "z-a"], "bad character range"),
        (["--kind", "x", "--prefix", "acme_", "--least", "9", "--most", "3"], "the least comes first"),
        (["--kind", "x"], "either --pattern or --prefix"),
        (["--kind", "x", "--pattern", "acme_[a-z]{20}", "--least", "3"], "belong to --prefix"),
    ],
)
def test_a_rule_that_cannot_be_one_is_refused_and_nothing_is_written(run, home, args, why):
    done = run("redact", "add", *args)
    assert done.returncode == 2
    assert why in done.stderr
    assert not (home / "redact.toml").exists()


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"acme_[^\s\"]{20}", "acme_Xk29fLq83mZp01Tb64Wd"),
        (r"acme_\S{20,40}", "acme_Xk29fLq83mZp01Tb64Wd"),
        ("acme: (?P<secret>none|null|true|[a-z0-9]{12})", "acme: k29fq83mzp01"),
        ("code (?P<secret>[0-9]{3}-[0-9]{3})", "code 381-946"),
        ("(?<=pass )corp[0-9]{8,20}", "pass corp38194627"),
        ("corp[0-9]{8,20}(?= end)", "corp38194627 end"),
        ("corp(?=[0-9])(?P<secret>[0-9a-f]{8,20})", "corp3819a627"),
    ],
)
def test_a_rule_that_takes_out_what_it_is_for_is_added(run, pattern, text):
    done = run("redact", "add", "--kind", "acme-key", "--pattern", pattern)
    assert done.returncode == 0, done.stderr
    assert check(run, "-", stdin=f"it is {text} there\n")[0]["kinds"] == {"acme-key": 1}


def test_only_what_is_no_secret_is_let_through(run, home, token):
    for args, why in (
        ([token], "has the form of a secret"),
        (["[REDACTED:password:12ab]"], "a placeholder does not say"),
        (["--pattern", ".{1,200}"], "nearly everything"),
        ([], "either a value or --pattern"),
    ):
        done = run("redact", "allow", *args)
        assert done.returncode == 2
        assert why in done.stderr
        assert token[:12] not in done.stderr
    assert not (home / "redact.toml").exists()
    assert run("redact", "allow", "-", "--sure", stdin=f"{token}\n").returncode == 0
    assert json.loads(run("redact", "allow", token, "--json").stdout)["added"] is False
    assert run("redact", "check", "-", stdin=f"it is {token}\n").returncode == 0


def test_a_file_that_was_written_in_another_way_is_not_changed_by_commands(run, home):
    home.mkdir(mode=0o700)
    for text in ("allow = { values = ['a-known-one'] }\n", "allow.values = ['a-known-one']\n"):
        (home / "redact.toml").write_text(text)
        done = run("redact", "allow", "another-one")
        assert done.returncode == 2
        assert "cannot be" in done.stderr
        assert (home / "redact.toml").read_text() == text


def test_while_the_rules_cannot_be_used_nothing_is_recorded_and_questions_are_answered(run, home, tmp_path):
    record(run, "before")
    (home / "redact.toml").write_text("# mine\n[[pattern]]\nkind = 'acme'\nmatch = 'acme_[0-9]+'\n")
    before = written(home)
    program = (
        "import holdfast\n"
        "from holdfast.errors import AppendFailed\n"
        "try: holdfast.record('info', text='x')\n"
        "except AppendFailed as exc: print(exc, exc.hint, sep='\\n')\n"
    )
    for args in (
        ["record"],
        ["redact", "rules"],
        ["redact", "check", "-"],
        ["redact", "allow", "some-value"],
        ["import", SAMPLES],
    ):
        done = run(*args, stdin='{"kind":"info"}\n')
        assert done.returncode == 2, args
        assert "line 2: pattern 1: `*`, `+` and `{n,}` repeat without a limit" in done.stderr
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    said, hint = done.stdout.splitlines()
    assert said.startswith(f"{home}/redact.toml: line 2: pattern 1: the record was not written: `*`")
    assert "redaction.md" in hint
    assert (done.returncode, done.stderr) == (0, "")
    assert written(home) == before
    done = run("sessions")
    assert done.returncode == 0
    done = run("doctor")
    assert done.returncode == 40
    assert "your rules of redaction cannot be used" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "bad = [\n",
        "token = 5\n",
        "allow = 3\n",
        "[allow]\nvalues = 3\n",
        "unknown = 1\n",
        'emails = "x"\n',
    ],
)
def test_rules_that_cannot_be_used_are_not_changed_by_commands(run, home, text):
    home.mkdir(mode=0o700)
    (home / "redact.toml").write_text(text)
    said = run("redact", "rules").stderr
    assert "redact.toml" in said
    for args in (["emails", "on"], ["emails", "off"], ["remove", "acme-key"], ["remove", "some-value"]):
        done = run("redact", *args)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", said), args
        assert (home / "redact.toml").read_text() == text


# ── what was taken out ──


def append_raw(home, taken):
    """A record that says of itself what was taken out of it."""
    line = fmt.encode(uuid7(), 1, "sdk", fmt.body_member(b'{"kind":"info"}'), None, "\n", taken)
    with segments.path(home / "journal", 1).open("ab") as segment:
        segment.write(b"\n" + line + b"\n")


def test_statistics_count_what_was_taken_out_by_kind_and_source(run, home, token, password):
    record(run, f"use {token}")
    record(run, f"use {token} and gh{'p_'}{token[:3:-1]}")
    record(run, f"DB_PASSWORD={password}")
    append_raw(home, {"unchecked": 2, "password": 1})
    found = json.loads(run("redact", "stats", "--json").stdout)
    assert found["kinds"] == {
        "github-token": {"records": 2, "places": 3},
        "password": {"records": 2, "places": 2},
    }
    assert found["sources"] == {"sdk": {"records": 4, "places": 5}}
    assert found["changed"] == {"records": 4, "places": 5}
    assert found["unchecked"] == {"records": 1, "places": 2}
    words = run("redact", "stats").stdout
    assert "5 places taken out of 4 records; 5 records read" in words
    assert "2 texts in 1 record could not be looked at in time" in words
    doctor = run("doctor").stdout
    assert "a text was taken out whole, because it could not be looked at in time: 1" in doctor
    assert "redaction: " in doctor


def test_records_from_before_redaction_are_unknown_not_clean(run, home):
    record(run, "before")
    mark = home / "home.json"
    first = segments.path(home / "journal", 1)
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"redaction": 0}))
    lines = [line for line in first.read_bytes().split(b"\n") if line]
    opened = fmt.decode(lines[0])
    body = json.loads(opened.body_bytes() or b"{}") | {"redaction": 0}
    lines[0] = fmt.encode(opened.id, opened.t, opened.s, fmt.body_member(json.dumps(body).encode()))
    first.write_bytes(b"\n" + b"\n\n".join(lines) + b"\n")
    done = run("redact", "stats", "--json")
    assert json.loads(done.stdout)["unknown"] == 1
    assert "unknown: 1 record written before anything was taken out" in run("redact", "stats").stdout


def test_the_doctor_names_the_engine_and_the_rules(run, home):
    run("redact", "add", "--kind", "acme-key", "--prefix", "acme_")
    found = json.loads(run("doctor", "--json").stdout)
    assert found["redaction"]["engine"] in {"hyperscan", "re"}
    assert found["redaction"]["own_rules"] == 1
    assert found["redaction"]["rules"] > 200
    assert ", 1 of them yours" in run("doctor").stdout
