"""`holdfast redact apply`: what is stored already passes the door of today.

The door here takes out `hunter2-…` and gives equal tokens equal placeholders; what the real one finds is tested elsewhere.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys

import pytest

from holdfast.journal import reader, segments
from tests.amount import some
from tests.e2e.conftest import CAPTURED, everything
from tests.e2e.test_forget import MINE, answer, holds, line, verified

SMALL = ["--segment-size-bytes", "40000", "--inline-body-size-bytes", "2000"]
SECRET = "hunter2-Abc123"
OTHER = "hunter2-xyz789"
DOOR = """
import hashlib, hmac, re
import holdfast.redact as redact
from holdfast.redact import redactor
redact.LEVEL = {level}
class Door(redactor.Redactor):
    def _placeholder(self, found):
        return b"[REDACTED:password:" + hmac.digest(self._key, found[0], "sha256").hex()[:4].encode() + b"]"
    def clean(self, body):
        clean, places = re.subn(rb"hunter2-[A-Za-z0-9]+", self._placeholder, body)
        return redactor.Cleaned(clean, {{"password": places}}) if places else redactor.Cleaned(body, {{}})
    def stream(self, chunks, kinds):
        body, found = self.clean(b"".join(chunks))
        kinds.update(found)
        yield body
redact.Redactor = redactor.Redactor = Door
"""


@pytest.fixture
def door(tmp_path):
    """The environment of a process that has the door, at a level."""

    def at(level):
        directory = tmp_path / f"door-{level}"
        directory.mkdir(exist_ok=True)
        (directory / "sitecustomize.py").write_text(DOOR.format(level=level))
        return {"PYTHONPATH": str(directory)}

    return at


@pytest.fixture
def leaky(home, run, history):
    """A home with secrets in short bodies, blobs, a body that is no JSON, a meta file, and a program's event; most of it sealed."""
    place = history / "projects" / "-srv-only-mine"
    below = place / MINE / "subagents"
    below.mkdir(parents=True)
    (place / f"{MINE}.jsonl").write_bytes(
        b"".join(
            [
                line(message={"role": "user", "content": f"the word is {SECRET}, really {SECRET}"}),
                line(message={"role": "user", "content": f"{OTHER} " + "x" * 30_000}),
                line(message={"role": "user", "content": f"{OTHER} " + "y" * 3_000_000}),
                f"no JSON but {SECRET}\n".encode(),
                line(message={"role": "user", "content": f"last: {SECRET}"}),
            ]
        )
    )
    (below / "agent-abc.jsonl").write_bytes(line(agentId="abc", isSidechain=True))
    (below / "agent-abc.meta.json").write_text(json.dumps({"description": SECRET}))
    assert run(*SMALL, "import").returncode == 0
    event = {"kind": "message.sent", "session": "own", "fields": {"role": "user", "text": OTHER}}
    run("record", stdin=json.dumps(event) + "\n")
    assert run("sessions").returncode == 0
    assert holds(home, SECRET, OTHER) == {SECRET, OTHER}
    return home


def untouched(home):
    """Every line of a record in which there is no secret, by its id."""
    return {
        item.record.id: item.line
        for item in reader.read(home / "journal")
        if isinstance(item, reader.Found)
        and "[REDACTED" not in str(item.line)
        and "hunter2" not in str(item.line)
    }


def test_what_is_stored_passes_the_door_of_today(leaky, run, door):
    """Counts by kind first; then no file holds a secret, and whatever held none is byte for byte what it was."""
    env, before, answers = door(1), untouched(leaky), everything(leaky)
    shown = answer(run("redact", "apply", "--json", env=env))
    assert (shown["records"], shown["kinds"], shown["done"]) == (7, {"password": 8}, False)
    assert holds(leaky, SECRET, OTHER) == {SECRET, OTHER}
    done = answer(run("redact", "apply", "--yes", "--json", env=env))
    assert (done["records"], done["kinds"], done["done"]) == (7, {"password": 8}, True)
    assert done["blob_bytes"] > 3_000_000
    assert holds(leaky, SECRET, OTHER) == set()
    after = untouched(leaky)
    blobs = {name for name, text in before.items() if b'"f":' in text}
    assert {name: after.get(name) for name in before.keys() - blobs} == {
        n: before[n] for n in before.keys() - blobs
    }
    assert verified(run)["anchor"] == done["anchor"]
    told = [i.record.r for i in reader.read(leaky / "journal") if isinstance(i, reader.Found) and i.record.r]
    assert sorted(r["password"] for r in told) == [1, 1, 1, 1, 1, 1, 2]
    now = everything(leaky)
    assert {k for k in answers if answers[k] != now[k]} <= {
        "sessions",
        *(k for k in answers if MINE in k or "own" in k),
    }
    hits = json.loads(run("search", "password", "--json").stdout)["hits"]
    assert any("REDACTED" in json.dumps(hit) for hit in hits)


def test_a_second_run_changes_nothing_and_says_so(leaky, run, door):
    env = door(1)
    answer(run("redact", "apply", "--yes", "--json", env=env))

    def files():
        return {p: p.read_bytes() for p in leaky.rglob("*") if p.is_file() and p.suffix != ".db-shm"}

    before = files()
    done = run("redact", "apply", "--yes", env=env)
    assert done.returncode == 0
    assert "no record" in done.stdout
    assert "had to be changed" in done.stdout
    assert files() == before


def test_importing_goes_on_after_it(leaky, run, door, history):
    """The line that was recorded last is known again, though the file holds the secret and the home does not."""
    env = door(1)
    answer(run("redact", "apply", "--yes", "--json", env=env))
    assert answer(run("import", "--json", env=env))["records"] == 0
    file = history / "projects" / "-srv-only-mine" / f"{MINE}.jsonl"
    file.write_bytes(file.read_bytes() + line(message={"role": "user", "content": f"more {OTHER}"}))
    assert answer(run("import", "--json", env=env))["records"] == 2
    assert answer(run("import", "--json", env=env))["records"] == 0
    assert holds(leaky, SECRET, OTHER) == set()


def test_a_home_of_a_lower_level_is_refused_until_it_is_clean(leaky, run, door):
    """Every command names the one that helps; that one cleans, and then raises the mark."""
    env = door(2)
    for command in (["sessions"], ["import"], ["forget", MINE], ["doctor"], ["record"]):
        done = run(*command, env=env)
        assert done.returncode == 11
        assert "was written before" in done.stderr
        assert "holdfast redact apply" in done.stderr
    shown = answer(run("redact", "apply", "--json", env=env))
    assert (shown["level_before"], shown["level"]) == (1, 2)
    assert run("sessions", env=env).returncode == 11
    done = run("redact", "apply", "--yes", env=env)
    assert done.returncode == 0
    assert "redaction level 2 now" in done.stdout
    assert json.loads((leaky / "home.json").read_text()) == {"format": 1, "redaction": 2}
    assert (leaky / "home.json").stat().st_mode & 0o777 == 0o600
    assert run("sessions", env=env).returncode == 0
    assert run("doctor", env=env).returncode == 0
    assert holds(leaky, SECRET, OTHER) == set()
    assert run("sessions", env=door(1)).returncode == 12
    assert run("sessions", env=door(3)).returncode == 11


def test_the_samples_are_shown_after_an_upgrade(home, run, door):
    """They hold no secrets: their home needs no cleaning."""
    assert "33333333" in run().stdout
    answer(run("redact", "apply", "--yes", "--json", env=door(2)))
    done = run(env=door(2))
    assert done.returncode == 0, done.stderr
    assert "33333333" in done.stdout


def test_an_empty_home_is_raised_too(home, run, door):
    assert run("record", stdin="").returncode == 0
    assert answer(run("redact", "apply", "--yes", "--json", env=door(2)))["records"] == 0
    assert run("doctor", env=door(2)).returncode == 0


def test_retired_bodies_are_cleaned(leaky, run, door):
    """What was understood in them passes the door, and the hash that a guess could be compared with goes."""
    run("journal", "seal", "--all")
    late = ["--now", "2027-03-01T00:00:00Z", "journal", "retire", "--keep-days", "5", "--json"]
    assert answer(run(*late, "--yes", "--without-backup", "--most", "100"))["retired"]
    assert holds(leaky, SECRET, OTHER) == {SECRET, OTHER}
    done = answer(run("redact", "apply", "--yes", "--json", env=door(1)))
    assert done["records"] > 3
    assert holds(leaky, SECRET, OTHER) == set()
    removed = [
        i.record
        for i in reader.read(leaky / "journal")
        if isinstance(i, reader.Found) and i.record.z and i.record.r
    ]
    assert removed
    assert {record.z.sha256 for record in removed} == {""}
    assert MINE in run("sessions", "--json").stdout
    assert answer(run("import", "--json", env=door(1)))["records"] == 0


def test_damaged_lines_and_copies_of_stores_are_no_hiding_place(leaky, run, door):
    newest = segments.path(leaky / "journal", max(segments.numbers(leaky / "journal")))
    with newest.open("ab") as file:
        file.write(b'\n{"v":1,"half a record of ' + SECRET.encode() + b"\nother damage\n")
    (leaky / "backups").mkdir(mode=0o700)
    shutil.copy(leaky / "store.db", leaky / "backups" / "store-schema-3.db")
    answer(run("redact", "apply", "--yes", "--json", env=door(1)))
    assert holds(leaky, SECRET, OTHER, "half a record of", "other damage") == {
        "half a record of",
        "other damage",
    }


def test_a_program_that_holds_a_segment_is_named(leaky, run, door):
    code = "import holdfast, sys\nholdfast.record('of.my.own', session='x')\nprint('held', flush=True)\nsys.stdin.read()\n"
    program = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert program.stdout.readline() == b"held\n"
        done = run("redact", "apply", "--yes", env=door(2))
        assert done.returncode == 34
        assert "holds" in done.stderr
        assert json.loads((leaky / "home.json").read_text())["redaction"] == 1
    finally:
        program.communicate()
    answer(run("redact", "apply", "--yes", "--json", env=door(2)))
    assert holds(leaky, SECRET, OTHER) == set()


@pytest.mark.parametrize(
    "name",
    some(
        [
            "blob.renamed",
            "rewrite.rewritten",
            "seal.rewritten",
            "rewrite.removing",
            "store.rebuilt",
            "rewrite.copies",
            "redact.cleaned",
        ],
        3,
    ),
)
def test_what_was_cut_is_ended_by_the_next(name, leaky, run, door):
    """Killed anywhere, the home stays of its old level; the next run takes out the rest."""
    env = door(2)
    done = run("redact", "apply", "--yes", env=env | {"HOLDFAST_FAILPOINTS": f"{name}=kill"})
    assert done.returncode == -signal.SIGKILL
    assert run("sessions", env=env).returncode == 11
    verified_env = run("redact", "apply", "--yes", "--json", env=env)
    answer(verified_env)
    assert holds(leaky, SECRET, OTHER) == set()
    assert run("journal", "verify", env=env).returncode == 0
    assert run("doctor", env=env).returncode == 0
    assert answer(run("redact", "apply", "--json", env=env))["records"] == 0


@pytest.mark.parametrize("aside", [False, True])
def test_blobs_that_a_cut_run_left_are_told_before_they_are_removed(aside, leaky, run, door):
    env = door(1)
    before = answer(run("redact", "apply", "--json", env=env))
    assert before["nameless_blobs"] == 0
    killed = run("redact", "apply", "--yes", env=env | {"HOLDFAST_FAILPOINTS": "rewrite.removing=kill"})
    assert killed.returncode == -signal.SIGKILL
    run("sessions", env=env)  # folds anew, and leaves no other sign of it
    if aside:
        for path in list((leaky / "blobs").glob("[0-9a-f]*")):
            if SECRET.encode() in path.read_bytes():
                path.rename(path.with_name(f".removing-{path.name}"))
    told = answer(run("redact", "apply", "--json", env=env))
    assert told["records"] == 0
    assert told["nameless_blobs"] > 0
    said = run("redact", "apply", env=env).stdout
    assert f"an earlier run was cut short: {told['nameless_blobs']} blob" in said
    assert run("redact", "apply", "--yes", env=env).returncode == 0
    assert answer(run("redact", "apply", "--json", env=env))["nameless_blobs"] == 0
    assert holds(leaky, SECRET, OTHER) == set()


def test_nothing_is_found_where_nothing_is(home, run, door):
    """Real sessions hold none of these: not a byte is changed."""
    run("import", CAPTURED)
    before = (home / "journal" / "00000001.jsonl").read_bytes()
    assert answer(run("redact", "apply", "--yes", "--json", env=door(1)))["records"] == 0
    assert (home / "journal" / "00000001.jsonl").read_bytes() == before
