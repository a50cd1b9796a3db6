"""Canary: secrets go in by every way there is, and then every byte below the home and every word of every command is searched.

The secrets are thrown anew in each run; the seed stands in the failure. A second home is filled with the engine switched off by a
plug-in of the test: there the same search must find them, in every sort of place.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import string
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import apsw
import pytest
import zstandard

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("HOLDFAST_TEST_SEED", "20261121"))
SESSION = "77777777-2222-4333-8444-555555555555"
LETTERS = string.ascii_letters + string.digits
WINDOW = 10  # so many characters of a secret in a row are a leak
OFF = """
import sys
from holdfast.redact import redactor
redactor.Redactor.clean = lambda self, body: redactor.Cleaned(body, {})
redactor.Redactor.stream = lambda self, chunks, kinds: chunks
"""
PROGRAM = """
import json, sys, holdfast
for event in json.load(sys.stdin):
    holdfast.record(event.pop("kind"), **event)
"""

ASK = """
import contextlib, io, json, sys
from holdfast.cli.app import main
said = []
for args in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(args)
        except SystemExit as exc:
            said.append((args, exc.code, out.getvalue(), err.getvalue()))
print(json.dumps(said))
"""


class Dice:
    """Throws secrets in the forms that everybody knows. No tail of one stands in a source."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def tail(self, length: int, alphabet: str = LETTERS) -> str:
        return "".join(self._random.choice(alphabet) for _ in range(length))

    def password(self) -> str:
        return f"{self.tail(3)}7{self.tail(9)}!{self.tail(4)}q"

    def pem(self) -> tuple[str, str]:
        """A private key's block, and one line of its inside."""
        lines = [self.tail(64, LETTERS + "+/") for _ in range(12)]
        mark = "RSA PRIVATE" + " KEY"
        return "\n".join([f"-----BEGIN {mark}-----", *lines, f"-----END {mark}-----"]), lines[5]

    def jwt(self) -> tuple[str, str]:
        def part(text: str) -> str:
            return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

        signature = self.tail(43)
        head, claims = part(json.dumps({"alg": "HS256"})), part(json.dumps({"sub": self.tail(9)}))
        return f"{head}.{claims}.{signature}", signature


def forms(dice: Dice) -> dict[str, tuple[str, str]]:
    """name → (a text that holds a secret, the part of it that may be nowhere)."""
    github, stripe, npm = dice.tail(36), dice.tail(24), dice.tail(36)
    aws, slack, bearer = dice.tail(40, LETTERS + "/+"), dice.tail(24), dice.tail(40)
    in_url, in_env, encoded = dice.password(), dice.password(), dice.password()
    pem, jwt = dice.pem(), dice.jwt()
    hidden = base64.b64encode(f"DB_PASSWORD={encoded}\n".encode()).decode()
    return {
        "github": (f"clone with gh{'p_'}{github} please", github),
        "stripe": (f"the key is sk{'_live_'}{stripe}.", stripe),
        "npm": (f"//registry.example.org/:_authToken=npm{'_'}{npm}", npm),
        "aws": (f"aws_secret_access_key = {aws}", aws),
        "slack": (f"SLACK_BOT_TOKEN=xox{'b-'}123456789012-1234567890123-{slack}", slack),
        "bearer": (f"curl -H 'Authorization: Bearer {bearer}' https://api.example.org/v1", bearer),
        "url": (f"psql postgres://app:{in_url}@db.example.org:5432/main", in_url),
        "env": (f"cat .env\nPORT=8080\nDB_PASSWORD={in_env}\nDEBUG=1\n", in_env),
        "key": (f"cat id_rsa\n{pem[0]}\n", pem[1]),
        "jwt": (f"session eyJ-token: {jwt[0]}", jwt[1]),
        "base64": (f"echo {hidden} | base64 -d", hidden[16:32]),
    }


@dataclass
class Lived:
    """A home that was lived in: where it is, which secrets went in by which way, and what the commands said."""

    home: Path
    secrets: dict[str, str] = field(default_factory=dict)  # "way, form" → what may be nowhere
    said: dict[str, str] = field(default_factory=dict)  # command → its output and errors
    environment: dict[str, str] = field(default_factory=dict)
    dice: Dice = field(default_factory=lambda: Dice(SEED))

    @property
    def export(self) -> Path:
        return self.home.with_name("export.jsonl")

    def texts(self, way: str) -> dict[str, str]:
        """A text of each form, with fresh secrets, noted as having gone in by this way."""
        out = {}
        for name, (text, secret) in forms(self.dice).items():
            self.secrets[f"{way}, {name}"] = secret
            out[name] = text
        return out

    def one(self, way: str) -> str:
        """A token of a form that needs no surroundings."""
        self.secrets[f"{way}, github"] = tail = self.dice.tail(36)
        return f"gh{'p_'}{tail}"

    def run(self, *args: str, stdin: str = "", codes: tuple[int, ...] = (0,)) -> str:
        """Run the command in a process of its own."""
        done = self._python("-m", "holdfast", *args, stdin=stdin)
        return self._note(list(args), done.returncode, done.stdout, done.stderr, codes)

    def ask(self, *questions: list[str], codes: tuple[int, ...] = (0,)) -> list[str]:
        """What the command answers to each, all in one process."""
        done = self._python("-c", ASK, stdin=json.dumps(questions))
        assert done.returncode == 0, done.stderr
        return [self._note(*answer, codes) for answer in json.loads(done.stdout)]

    def _note(self, args: list[str], code: int, out: str, err: str, codes: tuple[int, ...]) -> str:
        assert code in codes, f"{args}: {code}: {err}"
        self.said[" ".join(args)] = out + err
        return out

    def _python(self, *args: str, stdin: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *args],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=240,
            env=self.environment,
            check=False,
        )


def line(number: int, kind: str, content: object, **more: object) -> dict[str, object]:
    """What Claude Code writes."""
    message: dict[str, object] = {"role": kind, "content": content}
    if kind == "assistant":
        message |= {
            "id": f"msg_{number}",
            "model": "claude-sonnet-4-5",
            "usage": {"input_tokens": 3, "output_tokens": 5},
        }
    return {
        "type": kind,
        "sessionId": SESSION,
        "uuid": f"aaaaaaaa-0000-4000-8000-{number:012d}",
        "timestamp": f"2026-11-20T10:{number // 60:02d}:{number % 60:02d}.000Z",
        "cwd": "/home/dev/demo",
        "version": "2.1.0",
        "message": message,
    } | more


def transcript(lived: Lived) -> list[dict[str, object]]:
    """Secrets in prompts, answers, thoughts, tool inputs and outputs, names of members, titles, errors, and long texts."""
    out = [line(0, "user", "hello there")]

    def add(kind: str, content: object, **more: object) -> None:
        out.append(line(len(out), kind, content, **more))

    for text in lived.texts("a prompt").values():
        add("user", text)
    for text in lived.texts("an answer").values():
        add("assistant", [{"type": "text", "text": text}])
    for text in lived.texts("a thought").values():
        add("assistant", [{"type": "thinking", "thinking": text, "signature": lived.dice.tail(200)}])
    for name, text in lived.texts("a tool's input").items():
        call = {"type": "tool_use", "id": f"toolu_{name}", "name": "Bash", "input": {"command": text}}
        add("assistant", [call])
    for name, text in lived.texts("a tool's output").items():
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{name}",
            "content": text,
            "is_error": name == "env",
        }
        add("user", [result], toolUseResult={"stdout": text, "stderr": "", "interrupted": False})
    for name, text in lived.texts("JSON in a string").items():
        nested = json.dumps({"outer": json.dumps({"result": text, "n": 1})})
        add("user", [{"type": "tool_result", "tool_use_id": f"toolu_{name}", "content": nested}])
    password = lived.dice.password()
    lived.secrets["a member's name says it"] = password
    add("user", "settings", toolUseResult={"config": {"clientSecret": password, "port": 5}})
    add("user", "odd", toolUseResult={lived.one("a member's name"): 1})
    add("assistant", [{"type": "tool_use", "id": "t1", "name": lived.one("a tool's name"), "input": {}}])
    add("system", lived.one("an unknown kind"), subtype="odd", level="error")
    out.append({"type": "summary", "summary": lived.one("a summary"), "leafUuid": out[-1]["uuid"]})
    out.append({"type": "custom-title", "customTitle": lived.one("a title"), "sessionId": SESSION})
    filler = "a line of text that says nothing\n" * 12_000
    add("user", f"{filler}{lived.one('the midst of a long text')}\n{filler}")
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": filler * 6 + lived.one("a blob") + filler,
    }
    add("user", [result])
    return out


def write_history(lived: Lived, claude: Path) -> Path:
    """A project directory with the session, a subagent of it with its meta file, and a broken transcript."""
    project = claude / "projects" / "-home-dev-demo"
    agents = project / SESSION / "subagents"
    agents.mkdir(parents=True)
    records = transcript(lived)
    (project / f"{SESSION}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    agent = [line(0, "user", lived.one("a subagent's task"), isSidechain=True, agentId="abc")]
    (agents / "agent-abc.jsonl").write_text("".join(json.dumps(each) + "\n" for each in agent))
    meta = {"agentType": "worker", "description": lived.one("a meta file"), "toolUseId": "toolu_env"}
    (agents / "agent-abc.meta.json").write_text(json.dumps(meta))
    broken = f'{{"type":"user","message":{{"content":"{lived.one("a torn line")}\n[oops] {lived.one("no JSON at all")}\n'
    (project / "99999999-2222-4333-8444-555555555555.jsonl").write_text(broken)
    return project


def events(lived: Lived, way: str) -> list[dict[str, object]]:
    """Events of a program with secrets wherever it can put one."""
    out: list[dict[str, object]] = [
        {"kind": "message.sent", "session": "own", "fields": {"text": text}}
        for text in lived.texts(way).values()
    ]
    password = lived.dice.password()
    lived.secrets[f"{way}: nested"] = password
    nested = {"a": [{"b": json.dumps({"c": json.dumps({"password": password})})}]}
    filler = "nothing to see here " * 60_000
    return [
        *out,
        {"kind": "of.my.own", "session": "own", "fields": nested},
        {"kind": "of.my.own", "session": "own", "fields": {lived.one(f"{way}: a field's name"): True}},
        {"kind": lived.one(f"{way}: a kind"), "session": "own", "fields": {}},
        {"kind": "info", "session": lived.one(f"{way}: a session's name"), "fields": {"text": "hi"}},
        {
            "kind": "agent.started",
            "session": "own",
            "agent": lived.one(f"{way}: an agent's name"),
            "fields": {},
        },
        {
            "kind": "tool.used",
            "session": "own",
            "fields": {"tool": lived.one(f"{way}: a tool's name"), "status": "completed"},
        },
        {
            "kind": "error.raised",
            "session": "own",
            "fields": {"message": f"401 for {lived.one(f'{way}: an error')}"},
        },
        {
            "kind": "of.my.own",
            "session": "own",
            "fields": {"text": filler + lived.one(f"{way}: a blob") + filler},
        },
        {"kind": "info", "session": "own", "key": lived.one(f"{way}: a key"), "fields": {"text": "once"}},
    ]


def ask_everything(lived: Lived) -> None:
    """Every command that shows something of the history, as words and as JSON."""
    [listed, *_] = lived.ask(["sessions", "--json"], ["sessions"])
    ids = [session["id"] for session in json.loads(listed)["sessions"]]
    views = [[view, session] for session in ids for view in ("show", "tree", "timeline")]
    sums = [[], ["stats"], ["doctor"], ["redact", "stats"], ["journal", "verify"], ["workspace", "list"]]
    words = [["search", word, "--limit", "200"] for word in ("key", "cat", "clone", "DB_PASSWORD")]
    questions = [*views, *sums, *words]
    lived.ask(*questions, *([*question, "--json"] for question in questions), codes=(0, 40))
    lived.run("export", str(lived.export))


def make_mistakes(lived: Lived) -> None:
    """Wrong uses that hold a secret: what is said about them may not."""
    way = "a mistake"
    lived.ask(
        ["show", lived.one(f"{way}: an id")],
        ["sessions", "--" + lived.one(f"{way}: an option")],
        ["sessions", "--state", lived.one(f"{way}: a choice")],
        ["import", f"/nowhere/{lived.one(f'{way}: a path')}"],
        ["redact", "check", f"/nowhere/{lived.one(f'{way}: a file')}"],
        codes=(2, 3),
    )
    lived.run("record", stdin=f'{{"kind": "{lived.one(f"{way}: no JSON")}"\n', codes=(2,))
    bad = {"kind": "tool.used", "fields": {"status": lived.one(f"{way}: a bad event")}}
    lived.run("record", "--strict", stdin=json.dumps(bad) + "\n", codes=(2,))


def live(place: Path, *, off: bool) -> Lived:
    """Fill a home by every way, ask it everything, seal it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "CLAUDE", "XDG_"))}
    lived = Lived(place / "home")
    lived.environment = kept | {
        "HOLDFAST_HOME": str(lived.home),
        "CLAUDE_CONFIG_DIR": str(place / "claude"),
        "HOME": str(place),
        "NO_COLOR": "1",
        "COLUMNS": "400",
        "HOLDFAST_INLINE_BODY_SIZE_BYTES": "100000",
    }
    if off:
        (place / "off").mkdir()
        (place / "off" / "sitecustomize.py").write_text(OFF)
        lived.environment["PYTHONPATH"] = str(place / "off")
    project = write_history(lived, place / "claude")
    lived.run("import", str(project))
    lived.run("record", stdin="".join(json.dumps(each) + "\n" for each in events(lived, "record")))
    calls = [_call(event) for event in events(lived, "the door")]
    assert lived._python("-c", PROGRAM, stdin=json.dumps(calls)).returncode == 0
    ask_everything(lived)
    lived.run("journal", "seal", "--all")
    if not off:
        make_mistakes(lived)
    return lived


def _call(event: dict[str, object]) -> dict[str, object]:
    """An event as arguments of `holdfast.record`."""
    fields = event.pop("fields")
    assert isinstance(fields, dict)
    return fields | event


# ── searching ──


def haystacks(lived: Lived) -> dict[str, bytes]:
    """Everything that could be read of a home, by where it stands: files, what is compressed in them, tables, words of the index."""
    out = {f"said by {command[:40]}": b"" for command in lived.said}
    for command, text in lived.said.items():
        out[f"said by {command[:40]}"] += text.encode()
    out["the export"] = lived.export.read_bytes()
    for path in sorted(lived.home.rglob("*")):
        if path.is_file() and not path.is_symlink():
            raw = path.read_bytes()
            out[f"file {path.relative_to(lived.home)}"] = raw
            if path.name.endswith((".zst", ".zstd")):
                out[f"inside {path.name}"] = unpacked(raw)
    out |= tables(lived.home / "store.db")
    return out


def unpacked(raw: bytes) -> bytes:
    """What the frames of a sealed segment hold."""
    reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return reader.readall()


def tables(path: Path) -> dict[str, bytes]:
    """Every value of every table, and every word of the full-text index, as bytes."""
    out = {}
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        try:
            values = [value for row in db.execute(f'SELECT * FROM "{name}"') for value in row]
        except apsw.Error:
            continue
        out[f"table {name}"] = b"\n".join(_bytes(value) for value in values)
    db.execute("CREATE VIRTUAL TABLE temp.words USING fts5vocab('main', 'passage_text', 'row')")
    out["words of the index"] = b"\n".join(
        word.encode() for (word,) in db.execute("SELECT term FROM temp.words")
    )
    db.close()
    return out


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        try:
            return value + zstandard.ZstdDecompressor().decompress(value, max_output_size=1 << 26)
        except zstandard.ZstdError:
            return value
    return str(value).encode()


def leaks(lived: Lived, found: dict[str, bytes]) -> dict[str, list[str]]:
    """way and form → the places that hold ten characters in a row of that secret, in any case."""
    small = {where: text.lower() for where, text in found.items()}
    out: dict[str, list[str]] = {}
    for name, secret in lived.secrets.items():
        runs = re.findall(rf"[a-z0-9+/]{{{WINDOW},}}", secret.lower()) or [secret.lower()]
        windows = {
            run[at : at + WINDOW].encode() for run in runs for at in range(0, len(run) - WINDOW + 1, 3)
        }
        where = [place for place, text in small.items() if any(window in text for window in windows)]
        if where:
            out[name] = where
    return out


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    return live(tmp_path_factory.mktemp("lived"), off=False)


def test_no_secret_is_anywhere_below_the_home_or_in_any_answer(lived):
    found = leaks(lived, haystacks(lived))
    told = "\n".join(f"{name}: {len(where)} places, such as {where[:3]}" for name, where in found.items())
    assert not found, f"seed {SEED}: {len(found)} of {len(lived.secrets)} secrets\n{told}"


def test_placeholders_stand_where_the_secrets_stood(lived):
    """Equal secrets of a home have equal placeholders, and statistics count them."""
    counts = json.loads(lived.said["redact stats --json"])
    assert counts["kinds"]["github-token"]["records"] > 10
    assert {"claude.transcript", "sdk"} <= set(counts["sources"])
    assert counts["unchecked"] == {"records": 0, "places": 0}
    timeline = next(text for asked, text in lived.said.items() if asked.startswith(f"timeline {SESSION[:8]}"))
    assert "[REDACTED:github-token:" in timeline


def test_the_search_finds_what_an_engine_that_is_switched_off_lets_in(tmp_path):
    """The control: nearly every secret is found, and in each sort of place."""
    lived = live(tmp_path, off=True)
    found = leaks(lived, haystacks(lived))
    missed = set(lived.secrets) - set(found)
    assert len(missed) <= len(lived.secrets) // 20, missed
    everywhere = {place for where in found.values() for place in where}
    for sort in (
        "the export",
        "inside 00000001",
        "file blobs/",
        "file store-",
        "table ",
        "words of the index",
        "said by timeline",
        "said by search",
        "said by tree",
    ):
        assert any(place.startswith(sort) for place in everywhere), sort


@pytest.mark.parametrize("ids", [("evt_1", "evt_2"), ("s1", "s1"), (None, None)])
def test_a_token_that_comes_in_two_events_is_nowhere(ids, run, home):
    """Whether an id tells the stream, or each event has its own."""
    tail = Dice(SEED).tail(36)
    pieces = (f"use gh{'p_'}{tail[:10]}", f"{tail[10:]} please")
    events = [{"kind": "message.delta", "session": "s", "text": piece} for piece in pieces]
    told = [event | ({"id": name} if name else {}) for event, name in zip(events, ids, strict=True)]
    assert run("record", stdin="".join(json.dumps(event) + "\n" for event in told)).returncode == 0
    journal = b"".join(path.read_bytes() for path in sorted((home / "journal").iterdir()))
    assert journal.count(b"[REDACTED:github-token:") == 2
    assert tail[:10].encode() not in journal
    assert tail[10:].encode() not in journal
    assert b" please" in journal


TOLD = {"MY_API_TOKEN": "zzQ81hhsKd92"}
CHANGES = {
    "the environment": (TOLD, []),
    "the environment, and the store is made anew": (TOLD, [["rebuild"]]),
    "a rule that came": (
        {},
        [["redact", "add", "--kind", "ticket", "--pattern", "zzQ[0-9]{2}hhsKd[0-9]{2}"]],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_transcript_goes_on_whatever_changed_since_its_last_line(change, run, tmp_path, home):
    """No line is recorded twice, and nothing comes back that was taken out of one."""
    variables, commands = CHANGES[change]
    source = tmp_path / "p" / f"{SESSION}.jsonl"
    source.parent.mkdir()
    message = {"role": "user", "content": f"it is zzQ81hhsKd92, or gh{'p_'}{Dice(SEED).tail(36)}"}
    line = json.dumps({"type": "user", "uuid": "u0", "sessionId": SESSION, "message": message}) + "\n"
    source.write_text(line)
    run("import", source, env=variables)
    for command in commands:
        done = run(*command)
        assert done.returncode == 0, done.stderr
    source.write_text(line + line.replace("zzQ81hhsKd92", "short").replace("u0", "u1"))
    assert json.loads(run("import", source, "--json").stdout)["records"] == 2, (
        "a line, and the file's declaration"
    )
    journal = b"".join(path.read_bytes() for path in sorted((home / "journal").glob("*.jsonl")))
    assert journal.count(b'"s":"claude.transcript"') == 2
    assert (b"zzQ81hhsKd92" in journal) == (not variables)


def test_a_transcript_that_was_replaced_is_another_one(run, tmp_path, home):
    """Also when what stands in its last line's place is as long."""
    source = tmp_path / "p" / f"{SESSION}.jsonl"
    source.parent.mkdir()
    line = json.dumps({"type": "user", "uuid": "u0", "sessionId": SESSION, "message": "zzQ81hhsKd92"}) + "\n"
    source.write_text(line)
    run("import", source, env=TOLD)
    source.write_text(line.replace("u0", "u1") + line)
    assert json.loads(run("import", source, "--json", env=TOLD).stdout)["records"] == 3
