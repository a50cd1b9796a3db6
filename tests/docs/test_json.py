"""`docs/reference/json.md` says exactly what `--json` answers: every key path, its type, and where null may stand."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast.cli.app import COMMANDS
from holdfast.journal import segments
from tests import old_layouts
from tests.e2e.test_redact_apply import DOOR

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "json.md"
SCENARIOS = ROOT / "tests" / "data" / "claude-code"
HEAD = ["field", "type", "unit", "null means", "meaning"]
_LINK = re.compile(r"\[([^\]]+)\]\(#[^)]*\)")
_WORDS = {
    "text": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "true/false": lambda v: isinstance(v, bool),
    "time": lambda v: isinstance(v, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", v),
    "day": lambda v: isinstance(v, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", v),
    "null": lambda v: v is None,
}


def shapes(text):
    """The page's tables: heading → field → (type, what null means)."""
    out, heading = {}, ""
    for line in text.splitlines():
        if line.startswith("##"):
            heading = line.lstrip("# ").strip()
        elif line.startswith("|") and not line.startswith("|---"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells == HEAD:
                out[heading] = {}
            elif heading in out:
                assert len(cells) == len(HEAD), f"{heading}: {line}"
                out[heading][cells[0].strip("`")] = (cells[1], cells[3])
    return {heading: _flat(out, rows) for heading, rows in out.items()}


def _flat(every, rows):
    """Put the fields of an "all of" row in its place."""
    flat = {}
    for name, row in rows.items():
        if name.startswith("all of "):
            flat |= _flat(every, every[_LINK.search(name)[1]])
        else:
            flat[name] = row
    return flat


SHAPES = shapes(PAGE.read_text("utf-8"))


@dataclass
class Walk:
    """Compares values with the page; remembers what it met."""

    wrong: list[str] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    with_value: set[str] = field(default_factory=set)

    def object(self, value, shape, path):
        rows = SHAPES[shape]
        if not isinstance(value, dict):
            self.wrong.append(f"{path}: {value!r:.60} is no object")
            return
        for name in value.keys() - rows.keys():
            self.wrong.append(f"{path}.{name}: not documented under {shape!r}")
        for name in rows.keys() - value.keys():
            self.wrong.append(f"{path}.{name}: documented under {shape!r}, but not there")
        for name in rows.keys() & value.keys():
            self.met.add(f"{shape}.{name}")
            if value[name] not in (None, [], {}):
                self.with_value.add(f"{shape}.{name}")
            self.value(value[name], rows[name][0], f"{path}.{name}")

    def value(self, value, type_, path):
        link = _LINK.search(type_)
        if type_.endswith(" or null") and value is None:
            return
        if type_.startswith("list of "):
            if not isinstance(value, list):
                self.wrong.append(f"{path}: {value!r:.60} is no list")
                return
            for item in value:
                self.value(item, type_.removeprefix("list of "), f"{path}[]")
        elif type_.startswith("map of "):
            for key, item in value.items():
                self.value(item, type_.removeprefix("map of "), f"{path}.{key}")
        elif link:
            self.object(value, link[1], path)
        elif type_ != "any" and not any(_WORDS[word](value) for word in type_.split(" or ")):
            self.wrong.append(f"{path}: {value!r:.60} is not {type_}")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Every command's --json on all captured scenarios, on events of a program, and on damaged things."""
    place = tmp_path_factory.mktemp("json")
    claude, home = place / "claude", place / "home"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "CLAUDE"))}
    environment |= {"HOLDFAST_HOME": str(home), "CLAUDE_CONFIG_DIR": str(claude), "HOME": str(place)}
    out = []

    def ask(*args, stdin="", code=0, shape=None):
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", *args, "--json"],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            cwd=place,
            check=False,
        )
        assert done.returncode == code, done.stderr
        words = (
            args[:2]
            if args and args[0] in ("journal", "workspace", "redact", "hooks", "restore")
            else args[:1]
        )
        name = shape or f"holdfast {' '.join(words)}"
        many = done.stdout.splitlines() if name == "holdfast record" else [done.stdout]
        out.extend((name, json.loads(text)) for text in many)
        return out[-1][1]

    ask(shape="holdfast")  # nothing anywhere: the samples
    project = claude / "projects" / "-home-dev-demo"
    project.mkdir(parents=True)
    swept = project / "3e8f6aeb-f469-423f-893c-9e87ee5eee7e.jsonl"
    [original] = SCENARIOS.rglob(swept.name)
    shutil.copy(original, swept)
    old_s = time.time() - 25 * 86_400
    os.utime(swept, (old_s, old_s))
    (project / "44444444-4444-4444-8444-444444444444.jsonl").symlink_to("nowhere")
    ask("import", str(SCENARIOS))
    ask("import", str(old_layouts.write(place / "old")))
    ask("import")
    events = [
        {
            "kind": "code.executed",
            "session": "own",
            "agent": "a",
            "fields": {"language": "python", "status": "failed"},
        },
        {
            "kind": "agent.started",
            "session": "own",
            "agent": "a",
            "fields": {"agent_type": "planner", "depth": 1},
        },
        {
            "kind": "span.linked",
            "session": "own",
            "span": "x",
            "fields": {"link_kind": "retry_of", "target": "y"},
        },
        {"kind": "llm.called", "session": "own", "fields": {"model": "nobody-knows", "output_tokens": 1}},
        {"kind": "llm.called", "session": "own", "fields": {"input_tokens": 1}},
        {"kind": "error.raised", "session": "own", "fields": {"message": "no"}},
        {"kind": "of.my.own", "session": "own", "fields": {"any": ["thing", None, 1]}},
    ]
    ask("record", stdin="".join(json.dumps(event) + "\n" for event in events))
    with next((home / "journal").iterdir()).open("ab") as segment:
        segment.write(b"\ndamage\n")
    ask(shape="holdfast")
    lost = {"kind": "message.sent", "session": "own", "fields": {"text": "x " * 500 + "zebra"}}
    ask("record", stdin=json.dumps(lost) + "\n")
    ask("search", "please work")
    ask("search", "agent", "--ranked")
    ask("search", "zebra")
    segment = next((home / "journal").iterdir())
    segment.write_bytes(segment.read_bytes().replace(b"zebra", b"zebu "))
    ask("search", "zebra")
    for session in ask("sessions")["sessions"]:
        for name in ("show", "tree", "timeline"):
            ask(name, session["id"])
    ask("stats")
    ask("cost")
    for by in ("day", "model", "project", "agent-type", "session"):
        ask("cost", "--by", by)
    ask("cost", "--since", "2020-01-01", "--until", "0d", "--utc")
    ask("doctor", code=40)
    ask("config")
    ask("rebuild")
    _ask_about_secrets(ask, place)
    _ask_about_hooks(ask, place)
    _ask_about_moving(ask, place)
    _ask_about_restoring(ask, place)
    ask("journal", "verify", code=24)
    environment |= {
        "HOLDFAST_SEGMENT_SIZE_BYTES": "30000",
        "HOLDFAST_INLINE_BODY_SIZE_BYTES": "2000",
        "HOLDFAST_HOME": str(place / "small"),
    }
    ask("import", str(SCENARIOS / "max-turns"))
    ask("record", stdin=json.dumps({"kind": "of.my.own", "text": "x" * 40_000}) + "\n")
    ask("record", stdin=(json.dumps(events[0] | {"text": "x" * 1_000}) + "\n") * 60)
    in_the_way = place / "small" / "journal" / ".sealing-chain"
    in_the_way.mkdir()
    ask("import", str(SCENARIOS / "max-turns"))  # cannot seal
    in_the_way.rmdir()
    waiting = segments.plain_numbers(place / "small" / "journal")
    with segments.path(place / "small" / "journal", waiting[0]).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        ask("journal", "seal")
    ask("journal", "seal")
    late = (
        "--now",
        "2100-01-01T00:00:00Z",
        "journal",
        "retire",
        "--keep-days",
        "1",
        "--yes",
        "--without-backup",
    )
    ask(*late, "--most", "100", shape="holdfast journal retire")
    ask(*late, "--most", "100", shape="holdfast journal retire")
    ask("journal", "verify")
    ask("restore", "session", "803189e9", "--to", str(place / "back"), code=26)  # retired
    _ask_about_forgetting(ask, place, environment)
    return out


def _ask_about_secrets(ask, place):
    """Rules, a file with a secret that only they know, and what was taken out."""
    ask("redact", "add", "--kind", "acme-key", "--prefix", "acme_")
    ask("redact", "allow", "known-to-all")
    ask("redact", "allow", "--pattern", "acme_test_[a-z]{8}")
    ask("redact", "emails", "on")
    ask("redact", "rules")
    lines = place / "lines.jsonl"
    lines.write_text(json.dumps({"text": "acme_" + "a1b2c3d4" * 4}) + "\n")
    ask("redact", "check", str(lines), str(place / "absent"), code=41)
    ask("redact", "check", "-", stdin="nothing\n")
    ask("record", stdin=lines.read_text().replace('"text"', '"kind": "info", "text"'))
    ask("redact", "stats")
    ask("redact", "remove", "acme-key")


def _ask_about_hooks(ask, place):
    """Two that are outdated, a file that cannot be read, and something that waits."""
    path = place / "claude" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    spool = place / "home" / "inbox" / "claude"
    old = {"type": "command", "command": f": holdfast hook 0; cat >> {spool}"}
    path.write_text(json.dumps({"hooks": {"Stop": [{"hooks": [old]}]}}))
    local = place / ".claude" / "settings.local.json"
    local.parent.mkdir()
    local.write_text("{")
    ask("hooks", "status")
    ask("hooks", "install")
    ask("hooks", "status")
    ask("hooks", "uninstall")
    path.unlink()


def _ask_about_forgetting(ask, place, environment):
    """A session with forks, one that shares its file with another, secrets, and a blob that cannot be read."""
    mixed = "77777777-7777-4777-8777-777777777777"
    said = {"type": "user", "cwd": "/srv/mixed", "message": {"role": "user", "content": "hunter2-Abc"}}
    lines = [json.dumps(said | {"sessionId": one, "uuid": one}) for one in (mixed, mixed.replace("7", "6"))]
    transcript = place / "mixed" / f"{mixed}.jsonl"
    transcript.parent.mkdir()
    transcript.write_text("\n".join(lines) + "\n")
    ask("import", str(SCENARIOS), str(transcript))
    original = next(s["forked_from"] for s in ask("sessions")["sessions"] if s["forked_from"])
    ask("forget", original, mixed)
    ask("forget", original, mixed, "--yes")
    ask("forget", original, "--yes")
    ask("record", stdin=json.dumps({"kind": "of.my.own", "text": "hunter2-Abc " + "x" * 5_000}) + "\n")
    ask("record", stdin=json.dumps({"kind": "of.my.own", "text": "hunter2-Abc"}) + "\n")
    ask("import", str(SCENARIOS / "max-turns"))
    blob = next((place / "small" / "blobs").iterdir())
    blob.write_bytes(b"damage")
    door = place / "door"
    door.mkdir()
    (door / "sitecustomize.py").write_text(DOOR.format(level=2))
    environment["PYTHONPATH"] = str(door)
    ask("redact", "apply")
    ask("redact", "apply", "--yes")


def _ask_about_restoring(ask, place):
    """A session of which something was taken out, in a journal with damage that names nobody."""
    session = "88888888-8888-4888-8888-888888888888"
    said = {"type": "user", "sessionId": session, "uuid": session, "message": {"role": "user"}}
    transcript = place / "restored" / f"{session}.jsonl"
    transcript.parent.mkdir()
    transcript.write_text(
        json.dumps(said | {"message": {"role": "user", "content": "ghp_" + "a1B2" * 9}}) + "\n"
    )
    ask("import", str(transcript))
    ask("restore", "session", session, "--to", str(place / "back"), code=26)


def _ask_about_moving(ask, place):
    """Export, import, workspaces and leaving, each with something to tell."""
    pytest.importorskip("pyarrow")
    ask("workspace", "move", "/home/dev/demo", "/elsewhere")
    ask("workspace", "list")
    export = place / "export.jsonl"
    ask("export", str(export), code=26)
    ask("export", str(place / "tables"), "--format", "parquet")
    lines = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(b"".join([*lines[:-1], b"damage\n", lines[-1]]))
    ask("import", str(export), code=26)
    hook = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "holdfast hook"}]}]}}
    (place / "claude" / "settings.json").write_text(json.dumps(hook))
    (place / "home" / "mine").touch()
    ask("uninstall", "--purge", "--dry-run")


@pytest.mark.slow
def test_every_answer_has_the_documented_shape(answers):
    """No key path is undocumented, none is documented in vain, and each value has a type the page names.

    "cost" stands nowhere by itself: its fields are checked where "all of cost" puts them.
    """
    walk = Walk()
    for shape, value in answers:
        walk.object(value, shape, shape)
    assert walk.wrong == []
    documented = {f"{shape}.{name}" for shape, rows in SHAPES.items() for name in rows if shape != "cost"}
    assert documented - walk.met == set()
    assert documented - walk.with_value == set(), "never seen with a value: cannot be told from a wrong type"


def test_every_command_has_its_shape_documented():
    commands = {"holdfast", *(f"holdfast {name}" for name in COMMANDS)}
    assert commands == {shape for shape in SHAPES if shape.startswith("holdfast")}


def test_null_is_explained_where_it_may_stand_and_only_there():
    for shape, rows in SHAPES.items():
        for name, (type_, null_means) in rows.items():
            assert type_.endswith(" or null") == bool(null_means), f"{shape}.{name}"


def test_every_linked_type_is_described():
    for shape, rows in SHAPES.items():
        for name, (type_, _) in rows.items():
            for link in _LINK.findall(type_):
                assert link in SHAPES, f"{shape}.{name}"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"records": 1, "more": 2}, "not documented"),
        ({}, "not there"),
        ({"records": None}, "is not integer"),
        ({"records": True}, "is not integer"),
    ],
)
def test_the_comparison_notices_every_difference(value, complaint):
    """The check above would go red: an unknown key, an absent one, a null, another type."""
    walk = Walk()
    walk.object(value, "holdfast rebuild", "answer")
    assert complaint in " ".join(walk.wrong)
