"""`docs/reference/json.md` says exactly what `--json` answers: every key path, its type, and where null may stand."""

from __future__ import annotations

import fcntl
import json
import os
import platform
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
from tests import old_layouts, warm
from tests.checkpoint.builders import git, made
from tests.e2e import linked
from tests.e2e.test_definition_history import write_transcript
from tests.e2e.test_redact_apply import DOOR
from tests.recover.builders import agent_call, rich
from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "json.md"
SCENARIOS = ROOT / "tests" / "data" / "claude-code"
REF = "refs/holdfast/checkpoints/main"
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


def included(text):
    """(shape, shape whose fields stand in it too) for each "all of" row of the page."""
    heading = ""
    for line in text.splitlines():
        if line.startswith("##"):
            heading = line.lstrip("# ").strip()
        elif line.startswith("| all of "):
            yield heading, _LINK.search(line)[1]


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
    environment["VISUAL"] = "sed -i s/opus/haiku/"  # the editor of `definitions edit`
    out = []

    def ask(*args, stdin="", code=0, shape=None, aliases=(), cwd=place, program=None):
        at = args.index("--") if "--" in args else len(args)
        words = (*args[:at], "--json", *args[at:])
        if program is None:
            done = warm.run_holdfast(
                tuple(map(str, words)), stdin=stdin.encode(), env=environment, cwd=cwd, limit_s=60
            )
        else:
            command = [sys.executable, *program, *words]
            done = subprocess.run(
                command,
                input=stdin.encode(),
                capture_output=True,
                timeout=60,
                env=environment,
                cwd=cwd,
                check=False,
            )
        assert done.returncode == code, done.stderr
        words = (
            args[:2]
            if args
            and args[0]
            in (
                "journal",
                "workspace",
                "redact",
                "hooks",
                "restore",
                "service",
                "recover",
                "checkpoint",
                "requests",
                "definitions",
            )
            else args[:1]
        )
        name = shape or f"holdfast {' '.join(words)}"
        lines = name in ("holdfast record", "holdfast watch")
        said = done.stdout.decode()
        many = said.splitlines() if lines else [said]
        out.extend((each, json.loads(text)) for text in many for each in (*aliases, name))
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
        {"kind": "tool.started", "session": "own", "span": "b", "parent": "x", "fields": {"tool": "T"}},
        {"kind": "of.my.own", "session": "own", "fields": {"any": ["thing", None, 1]}},
    ]
    ask("record", stdin="".join(json.dumps(event) + "\n" for event in events))
    with next((home / "journal").iterdir()).open("ab") as segment:
        segment.write(b"\ndamage\n")
    ask(shape="holdfast")
    said = {"role": "assistant", "text": "x " * 500 + "zebra"}
    lost = {"kind": "message.sent", "session": "own", "fields": said}
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
    _ask_about_what_was_cut(ask, place)
    _ask_about_handing_over(ask, place)
    _ask_about_resuming(ask, place, environment)
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
    _ask_about_the_service(ask, place)
    _ask_about_agents(ask, place, environment)
    _ask_about_requests(ask, place)
    _ask_about_checkpoints(ask, place, environment)
    _ask_about_moving(ask, place)
    _ask_about_definitions(ask, place, claude)
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


_WHOLE_AGENT = """
import os, sys
from holdfast import settings, supervising
from holdfast.home import Home
from holdfast.supervise.spec import Wish
leaving = "import os, time; os.fork() or (os.setsid(), time.sleep(20)); time.sleep(60)"
wish = Wish(argv=(sys.executable, "-c", leaving), cwd="/", name="whole", external_id="L2.1", agent_type="t", request="r", tool="other")
print(supervising.launch(Home(settings.load(None, os.environ, {})), wish).id)
"""


def _ask_about_agents(ask, place, environment):
    """One that runs, and is asked for everything; others that ended well, badly, never began, and left something behind."""
    whole = [sys.executable, "-c", _WHOLE_AGENT]
    subprocess.run(whole, env=environment, check=True, capture_output=True)
    busy = ask("run", "--detach", "--name", "busy", "--model", "m", "--task", "t", "--", "sleep", "60")["id"]
    ask("progress", busy, "40", "--message", "m", "--task", "t")
    ask("ps")
    for how in ("pause", "unpause"):
        ask(how, busy, "--why", "w")
    ask("attempts", busy)
    time.sleep(0.3)  # one leaves a process in a session of its own meanwhile
    ask("stop", "whole")
    ask("attempts", "whole")
    said = ask("run", "--detach", "--", "echo", "said")["id"]
    ask("logs", said, "-n", "3")
    ask("kill", busy)
    bad = Path(environment["HOME"], "bad")
    bad.write_text("#!/nowhere\n")
    bad.chmod(0o700)
    failed = ask("run", "--detach", "--", str(bad), code=72)["id"]
    ask("attempts", failed)
    other = ask("run", "--detach", "--parent", busy, "--", "sleep", "60")["id"]
    ask("stop", other)
    left = "import os, time; os.fork() or (os.setsid(), time.sleep(20)); time.sleep(0.3)"
    ask("run", "--", sys.executable, "-c", left, shape="started agent")
    waits = ask("run", "--detach", "--restart", "on-failure", "--", "sh", "-c", "exit 3")["id"]
    ask("attempts", waits)
    ask("ps")
    ask("ps", "--all")
    tool = ask("run", "--detach", "--", str(_tool_at_work(ask, place)), "--resume", AT_WORK)["id"]
    ask("ps")
    ask("pause", tool)
    ask("kill", tool)
    ask("sessions")
    ask("attempts", other)
    ask("stop", waits)
    ask("rm", other)
    ask("run", "--detach", "--", "sleep", "60")
    ask("down", "--kill")


def _ask_about_definitions(ask, place, claude):
    """One that hides another, one of a plugin, one that is linked, one that says everything, and some that cannot be read."""
    work, plugin = place / "defined", place / "kit"
    (work / ".git").mkdir(parents=True)
    for root in (work / ".claude" / "agents", claude / "agents", plugin / "agents", claude / "plugins"):
        root.mkdir(parents=True)
    for root in (claude, work / ".claude"):
        (root / "agents" / "ops.md").write_text("---\nname: ops\ndescription: x\n---\n")
        os.utime(root / "agents" / "ops.md", (1e9, 1e9))
    says = "name: rich\ndescription: x\ntools: Read\nmodel: opus\ntype: t\ncapabilities: [c]\nspecialisations: [s]\n"
    (claude / "agents" / "rich.md").write_text(f"---\n{says}---\nDo it.\n")
    for stem in ("twin", "twin-2"):
        (claude / "agents" / f"{stem}.md").write_text("---\nname: twin\ndescription: x\n---\n")
    (claude / "agents" / "linked.md").symlink_to("rich.md")
    (claude / "agents" / "loop.md").symlink_to("loop.md")
    (claude / "agents" / "none.md").write_bytes(b"no \xff")
    (plugin / "agents" / "of.md").write_text("---\nname: ops\ndescription: x\n---\n")
    installed = {"plugins": {"kit@m": [{"installPath": str(plugin)}]}}
    (claude / "plugins" / "installed_plugins.json").write_text(json.dumps(installed))
    (claude / "settings.json").write_text('{"enabledPlugins": {"kit@m": true}}')
    (work / ".claude" / "settings.json").write_text("{")
    (work / ".codex" / "agents").mkdir(parents=True)
    (work / ".codex" / "agents" / "scout.toml").write_text('name = "scout"\n')
    (work / ".agents").symlink_to(claude / "agents")
    own = json.dumps({"mine": [".agents", "project", "claude"]})
    ask("--definition-roots", own, "definitions", "list", cwd=work, shape="holdfast definitions list")
    for name in ("ops", "kit:ops", "none", "scout", "loop"):
        ask("definitions", "show", name, cwd=work)
        ask("definitions", "why", name, cwd=work)
    _ask_about_texts_in_use(ask, claude, work)
    ask("definitions", "validate", code=42, cwd=work)
    ask("definitions", "validate", str(claude / "agents" / "rich.md"), cwd=work)
    _ask_about_revisions(ask, place)
    _ask_about_writing(ask, place)


def _ask_about_revisions(ask, place):
    """A definition that was changed by an agent, in a commit and by us, renamed, moved, removed, given back, and purged."""
    work = place / "revised"
    path = work / ".claude" / "agents" / "lead.md"
    path.parent.mkdir(parents=True)
    path.write_text("---\nname: lead\ndescription: x\n---\nDo 1.\n")
    made(work)
    ask("definitions", "snapshot", cwd=work)
    path.write_text("---\nname: second\ndescription: x\n---\nDo 2.\n")
    at_s = 1_780_000_000
    os.utime(path, (at_s, at_s))
    session = "99999999-9999-4999-8999-999999999999"
    agent = place / "revisers" / session / "subagents" / "agent-a1b2c3.jsonl"
    write_transcript(agent, session, work, [("toolu_second", str(path), 0)], at_s, agent="a1b2c3")
    agent.with_suffix(".meta.json").write_text('{"agentType": "writer"}')
    ask("import", str(agent.parents[2]))
    ask("definitions", "history", "lead", cwd=work)
    path = path.rename(path.with_name("moved.md"))
    ask("definitions", "history", "second", cwd=work)
    ask("definitions", "snapshot", "--message", "m", "--cwd", str(work))
    path.unlink()
    ask("definitions", "diff", "lead", cwd=work)
    ask("definitions", "history")
    ask("definitions", "history", "ops", cwd=work)
    restore = ("restore", "definition")
    for revision in ("1", "2", "2"):
        ask(*restore, "lead", "--revision", revision, "--yes", "--reason", "r", cwd=work)
    ask("definitions", "diff", "lead", "1", "2", cwd=work)
    ask("definitions", "history", "lead", cwd=work)
    path.with_name("came.md").write_text("---\nname: came\ndescription: x\n---\nDo it.\n")
    ask("record", stdin="".join(json.dumps(event) + "\n" for event in _of_another_home()))
    ask("definitions", "history", "lead", "--all", cwd=work)
    ask("definitions", "snapshots")
    ask("definitions", "snapshots", "last")
    ask(*restore, "--snapshot", "last", "--to", str(place / "given back"), "--yes", cwd=work)
    path.write_bytes(b"no \xff")
    ask("definitions", "diff", "lead", "1", cwd=work)
    path.write_text("---\nname: lead\ndescription: x\n---\nDo 3.\n")
    ask(*restore, "--snapshot", "last", "--dry-run", cwd=work)
    managed = place / "managed" / ".claude" / "agents" / "boss.md"
    managed.parent.mkdir(parents=True)
    managed.write_text("---\nname: boss\ndescription: x\n---\nDo it.\n")
    settings = ("--claude-managed-dir", str(place / "managed"))
    ask(*settings, "definitions", "snapshot", cwd=work, shape="holdfast definitions snapshot")
    managed.write_text("---\nname: boss\ndescription: x\n---\nDo another thing.\n")
    words = (*settings, *restore, "--snapshot", "last", "--dry-run")
    ask(*words, cwd=work, code=26, shape="holdfast restore definition")
    ask("definitions", "purge", "--older-than", "0", "--dry-run")


def _of_another_home():
    """What an export of one brings."""
    seen = {
        "name": "lead",
        "operation": "create",
        "tool": "claude",
        "path": "/there/lead.md",
        "hash_after": "0" * 64,
    }
    taken = {"cwd": "/there", "revisions": []}
    return [
        {"kind": "definition.revised", "fields": seen | {"host": "there"}},
        {"kind": "definition.snapshot", "fields": taken | {"host": "there"}},
    ]


def _ask_about_writing(ask, place):
    """One that is made, changed, moved, copied and removed; writes over what was not read, decided in each way."""
    work, name = place / "writing", "writer"
    (work / ".git").mkdir(parents=True)
    texts = [f"---\nname: {name}\ndescription: {word}\nmodel: opus\n---\nDo it.\n" for word in "abc"]
    for number, text in enumerate(texts):
        (work / f"{number}.md").write_text(text)

    (work / "3.md").write_text(texts[0].replace("model: opus\n", ""))
    acts = ("create", "edit", "put", "delete", "migrate", "replicate", "resolve")  # all answer alike

    def write(*words, code=0):
        alike = [f"holdfast definitions {one}" for one in acts if words[0] in acts and one != words[0]]
        return ask("definitions", *words, cwd=work, code=code, aliases=alike)

    made = write("create", name, "--from", "0.md", "--reason", "r")["files"][0]
    base = ("--base", made["sha256"])
    write("edit", name)
    write("edit", name)
    first = write("put", name, *base, "--from", "1.md", code=44)["conflicts"][0]
    second = write("put", name, *base, "--from", "2.md", "--reason", "r", code=44)["conflicts"][0]
    removed = write("delete", name, *base, code=44)["conflicts"][0]
    for one in (first, removed):
        write("conflicts", one)
    write("show", name)
    write("resolve", first, "merge", "--reason", "r")
    third = write("put", name, *base, "--from", "2.md", code=44)["conflicts"][0]
    fourth = write("put", name, *base, "--from", "3.md", code=44)["conflicts"][0]
    for one in (second, third, fourth):
        write("conflicts", one)
    for one in (third, fourth):
        write("resolve", one, "theirs")
    write("resolve", second, "theirs")
    write("resolve", removed, "theirs")
    write("conflicts", "--all")
    write("migrate", name, "--to", "user")
    write("replicate", name, "--to", "project")
    write("replicate", name, "--to", "project")
    write("delete", name)
    write("delete", name, "--tier", "user")
    write("list", "--state", "deleted")
    for word in ("other", "another"):
        (work / f"{word}.md").write_text(f"---\nname: {word}\ndescription: x\ntols: Read\n---\nDo it.\n")
    other = write("create", "other", "--from", "other.md")["files"][0]
    write("put", "other", "--base", other["sha256"], "--from", "another.md")


def _ask_about_texts_in_use(ask, claude, work):
    """Agents at work and ended, with a text that changed while their session ran; enough runs of one text, and of another one."""
    ops, now = work / ".claude" / "agents" / "ops.md", time.time() / 60
    minutes = now - linked.DAY_US / 60e6
    first = [linked.Agent("ops", minutes - 20 + number / 10) for number in range(21)]
    linked.session(claude / "projects", work, minutes - 30, first)
    ops.write_text("---\nname: ops\ndescription: y\n---\n" + "Go.\n" * 99)
    ask("definitions", "list", cwd=work)
    second = [linked.Agent("ops", minutes + 2 + number / 10, model="m") for number in range(21)]
    linked.session(claude / "projects", work, minutes + 1, second)
    name = linked.session(
        claude / "projects", work, minutes - 1, [linked.Agent("ops", minutes + 3, ends=None)]
    )
    ask("show", name, cwd=work)
    ask("tree", name, cwd=work)
    ask(shape="holdfast", cwd=work)
    other = work.with_name("defined too")
    (other / ".git").mkdir(parents=True)
    shutil.copytree(work / ".claude" / "agents", other / ".claude" / "agents")
    ask("definitions", "list", cwd=other)
    linked.session(claude / "projects", other, minutes + 4, [linked.Agent("ops", minutes + 5)])
    ask("definitions", "outcomes", "ops", cwd=work)


AT_WORK = "55555555-5555-4555-8555-555555555555"


def _tool_at_work(ask, place):
    """A stand-in for Claude Code that only runs, and a session for it whose history is recorded."""
    program = place / "a tool" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    message = {"role": "user", "content": "do it"}
    said = {"type": "user", "sessionId": AT_WORK, "uuid": AT_WORK, "cwd": "/srv/x", "message": message}
    transcript = program.with_name(f"{AT_WORK}.jsonl")
    transcript.write_text(json.dumps(said | {"timestamp": "2026-11-21T12:00:00Z", "version": "2"}) + "\n")
    ask("import", str(transcript))
    return program


def _ask_about_requests(ask, place):
    """One that is carried out and says how far it is, others that are refused, half written, and kept by the system; and cleaning up."""
    ask("requests", "process")
    box = place / "home" / "requests"
    good = {
        "request_id": "good",
        "agent_id": "L1.1",
        "agent_name": "asked",
        "agent_type": "L1",
        "argv": ["sleep", "60"],
    }
    (box / "good.json").write_text(json.dumps(good))
    (box / "bad.json").write_text('{"request_id": "bad", "argv": []}')
    (box / "half.json").write_text('{"request_id')
    ask("requests", "list")
    (box / "answered" / "kept.json").write_text("{")
    (box / "kept.json").write_text(json.dumps(good | {"request_id": "kept"}))
    ask("requests", "process", code=1)
    ask("requests", "list")
    ask("ps")
    for name in ("answered/kept.json", "claimed/kept.json", "half.json"):
        (box / name).unlink()
    ask("kill", "asked")
    ask("cleanup", "--keep-days", "1", "--dry-run")
    writes = (
        "import os\nr, w = os.pipe()\nif os.fork() == 0:\n os.setsid()\n os.write(w, b'x')\n"
        " while not os.path.exists('stop'): os.write(1, b'x')\n os._exit(0)\nos.read(r, 1)"
    )
    ask("run", "--detach", "--cwd", str(place), "--", sys.executable, "-c", writes)
    deadline_s = time.monotonic() + 60
    while ask("ps")["agents"]:  # it ends, and leaves behind what writes
        assert time.monotonic() < deadline_s
    ask("cleanup", "--keep-days", "0", "--archive", str(place / "archive"))
    (place / "stop").touch()


def _ask_about_handing_over(ask, place):
    """Every session, and one with something of everything in a repository that has it too."""
    work, other = place / "work", place / "other"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x", "-c", "init.defaultBranch=main", "-C"]
    work.mkdir()
    (work / "a").write_text("a")

    def run(*words, at=work):
        subprocess.run([*git, at, *words], check=True, capture_output=True)

    for words in (["init"], ["add", "a"], ["commit", "-m", "one"], ["clone", ".", other]):
        run(*words)
    (other / "a").write_text("b")
    run("stash", at=other)
    run("worktree", "add", place / "beside", at=other)
    run("commit", "--allow-empty", "-m", "two", at=other)
    run("config", "filter.x.clean", "cat", at=other)
    (other / ".gitattributes").write_text("a filter=x")
    (other / "a").write_text("c")
    ask("checkpoint", "take", cwd=other)
    transcript = rich(str(other))
    transcript.agent(place / "rich", "a1", agent_call(transcript), "It has a flaw.", finished=True)
    transcript.write(place / "rich")
    ask("import", str(place / "rich"))
    case = {"kind": "case.opened", "session": "own", "fields": {"case_id": "c", "summary": "deploy?"}}
    ask("record", stdin=json.dumps(case) + "\n")
    for session in ask("sessions")["sessions"]:
        packet = ask("handoff", session["id"], aliases=("holdfast recover packet",))
    assert ask("recover", "packet", session["id"]) == packet
    for words in (["handoff"], ["recover", "packet"]):
        ask(*words, transcript.session, "--budget-tokens", "1000")


def _ask_about_what_was_cut(ask, place):
    """A process that died while it wrote, an agent that was cut in a session that ended, and what a person says of some."""
    cut = place / "99999999-9999-4999-8999-999999999999.jsonl"
    call = {
        "type": "tool_use",
        "id": "toolu_w",
        "name": "Write",
        "input": {"file_path": "/home/dev/x", "content": "x"},
    }
    told = [
        ("user", {"role": "user", "content": "x"}),
        ("assistant", {"id": "m", "role": "assistant", "content": [call]}),
    ]
    common = {"timestamp": "2026-01-01T00:00:00Z", "sessionId": cut.stem}
    cut.write_text("".join(json.dumps(common | {"type": t, "uuid": t, "message": m}) + "\n" for t, m in told))
    entry = {"pid": 2**31 - 1, "sessionId": cut.stem, "status": "busy", "startedAt": 1, "statusUpdatedAt": 1}
    (place / "claude" / "sessions").mkdir()
    (place / "claude" / "sessions" / "9.json").write_text(json.dumps(entry))
    ask("import", str(cut))
    ended = [
        {"kind": f"agent.{kind}", "session": "cut", "agent": "b", "fields": fields}
        for kind, fields in (("started", {}), ("ended", {"status": "interrupted"}))
    ]
    ask("record", stdin="".join(json.dumps(event) + "\n" for event in ended))
    ask("recover", "check", code=3)
    cut = ask("recover", "list")["sessions"]
    ask("recover", "mark", cut[0]["session"]["id"], "completed", "--why", "by hand")
    ask("recover", "mark", cut[1]["session"]["id"], "failed")
    ask("recover", "mark", "a3cf8bd9", "failed")
    every = ask("recover", "list", "--all")["sessions"]
    for one in every:
        ask("recover", "show", one["session"]["id"])
    ask("recover", "clear", "--older-than", "0d")
    ask("recover", "clear", "--yes")
    ask("recover", "check")


def _ask_about_resuming(ask, place, environment):
    """A session of a program's own that goes on, and one that does not; and of Claude Code what would be started."""
    began = {"kind": "session.started", "session": "resumable", "fields": {"cwd": str(place)}}
    ask("record", stdin=json.dumps(began) + "\n")
    work = json.dumps({"kind": "info", "session": "resumable", "fields": {"text": "x"}})
    goes_on = f"echo '{work}' | {sys.executable} -m holdfast record"
    environment["HOLDFAST_RESUME_COMMANDS"] = json.dumps({"sdk": ["sh", "-c", goes_on]})
    ask("recover", "resume", "resumable")
    environment["HOLDFAST_RESUME_COMMANDS"] = json.dumps({"sdk": ["sh", "-c", "exit 5"]})
    ask("recover", "resume", "resumable", code=67)
    ask("recover", "list", "--all")
    ask("recover", "show", "resumable")
    native = "98989898-9898-4898-9898-989898989898"
    said = {
        "type": "user",
        "uuid": native,
        "sessionId": native,
        "cwd": str(place),
        "timestamp": "2020-01-01T00:00:00Z",
    }
    transcript = place / "claude" / "projects" / "-home-dev-demo" / f"{native}.jsonl"
    transcript.write_text(json.dumps(said | {"message": {"role": "user", "content": "x"}}) + "\n")
    ask("recover", "resume", native, "--print")


def _ask_about_hooks(ask, place):
    """Two that are outdated, a file that cannot be read, no room for our program, and something that waits."""
    path = place / "claude" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    spool = place / "home" / "inbox" / "claude"
    old = {"type": "command", "command": f": holdfast hook 0; cat >> {spool}"}
    path.write_text(json.dumps({"hooks": {"Stop": [{"hooks": [old]}]}}))
    local = place / ".claude" / "settings.local.json"
    local.parent.mkdir()
    local.write_text("{")
    (place / ".codex").mkdir()
    program = place / "home" / "bin" / f"hook-{platform.machine()}"
    program.parent.touch()
    ask("hooks", "status")
    ask("hooks", "install")
    program.parent.unlink()
    program.parent.mkdir(mode=0o700)
    program.touch(0o700)
    ask("hooks", "install")
    ask("hooks", "status")
    ask("hooks", "uninstall")
    path.unlink()
    task = {"id": "b1", "type": "shell", "status": "running"}
    stop = {"session_id": "told", "hook_event_name": "Stop", "background_tasks": [task]}
    call = {"tool_use_id": "toolu_1", "tool_name": "Bash", "agent_id": "a1", "session_id": "told"}
    called = call | {"hook_event_name": "PostToolUse", "tool_input": {"command": "ls"}}
    spool.write_text(json.dumps(stop) + "\n" + json.dumps(called) + "\n")
    ask("sessions")
    listed = {"pid": 2**31 - 1, "sessionId": "told", "status": "waiting", "waitingFor": "you", "startedAt": 1}
    (path.parent / "sessions" / "7.json").write_text(json.dumps(listed | {"statusUpdatedAt": 1}))
    damaged = place / "88888888-8888-4888-8888-888888888888.jsonl"
    said = {
        "type": "user",
        "timestamp": "2025-01-01T00:00:00Z",
        "sessionId": damaged.stem,
        "message": {"role": "user", "content": "x"},
    }
    damaged.write_text(json.dumps(said) + "\nnot JSON\n")
    ask("import", str(damaged))
    for session in ("told", damaged.stem):
        ask("show", session, "--coverage")


def _ask_about_the_service(ask, place):
    """One that has a problem, and what was recorded so far."""
    ask("up", "--detach")
    try:
        rules = place / "home" / "redact.toml"
        kept = rules.read_bytes()
        rules.write_text("[[rule]")
        ask("sessions")
        assert ask("status")["answer"]["problem"] is not None
        agent = place / "claude" / "agents" / "watched.md"
        agent.parent.mkdir(exist_ok=True)
        agent.write_text("---\nname: watched\ndescription: d\n---\nLook.\n")
        until(lambda: ask("status")["answer"]["definitions"]["problem"], "trouble")
        rules.write_bytes(kept)
        until(lambda: ask("status")["answer"]["definitions"].get("last_change"), "a change")
        shutil.rmtree(agent.parent)
    finally:
        ask("down")
    ask("watch", "--after", "start", "--once")
    ask("service", "install")
    ask("service", "uninstall")


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


# The command where a file grows whenever it is read, and no time is left to look for secrets.
_BUSY = """
from holdfast.checkpoint import looking
from holdfast.cli import main

read = looking._bytes

def grown(fd, limit_bytes):
    with open("log", "a") as file:
        file.write("x")
    return read(fd, limit_bytes)

looking._bytes, looking.SECRETS_LIMIT_S = grown, -1
main()
"""


def _ask_about_checkpoints(ask, place, environment):
    """A checkpoint of which nothing is left out but what must be, one in the middle of a merge, and one that nobody of ours made."""
    work = made(place / "checked")
    ask("checkpoint", "take", "--include-ignored", "--include-secrets", cwd=work)
    ask("checkpoint", "show", cwd=work)
    git(work, "checkout", "-q", "--detach")
    git(work, "update-ref", REF, git(work, "commit-tree", "-m", "none of ours", "HEAD^{tree}"))
    ask("checkpoint", "show", cwd=work)
    (work / "a.txt").write_text("changed")
    (work / "sub" / "b.txt").unlink()
    (work / "run").write_text("x")
    (work / ".env").write_text("A=1")
    os.mkfifo(work / "pipe")
    first = ask("checkpoint", "take", "--message", "one", cwd=work)
    (work / "run").chmod(0o755)
    (work / ".git" / "MERGE_HEAD").write_text(git(work, "rev-parse", "HEAD"))
    second = ask("checkpoint", "take", cwd=work)
    ask("checkpoint", "show", first["id"])
    ask("checkpoint", "show", cwd=work)
    ask("checkpoint", "diff", first["id"], second["id"])
    (work / "new").write_text("x")
    (work / "run").unlink()
    os.mkfifo(work / "run")
    ask("checkpoint", "diff", cwd=work)
    ask("checkpoint", "list", cwd=work)
    killed = subprocess.run(
        [
            sys.executable,
            "-m",
            "holdfast",
            "restore",
            "checkpoint",
            first["id"],
            "--to",
            str(place / "there"),
        ],
        env=environment | {"HOLDFAST_FAILPOINTS": "checkpoint.written=kill"},
        check=False,
    )
    assert killed.returncode < 0
    ask("restore", "checkpoint", first["id"], "--to", str(place / "there"))
    young = place / "young"
    git(place, "init", "-q", str(young))
    ask("checkpoint", "take", cwd=young)
    ask("checkpoint", "take", cwd=young)
    (young / "log").write_text("x")
    ask("checkpoint", "take", "--message", "busy", cwd=young, program=("-c", _BUSY))
    ask("checkpoint", "show", cwd=young)
    ask("checkpoint", "list", cwd=young)
    (young / "log").write_text("killed")
    killed = subprocess.run(
        [sys.executable, "-m", "holdfast", "checkpoint"],
        cwd=young,
        env=environment | {"HOLDFAST_FAILPOINTS": "checkpoint.intended=kill"},
        check=False,
    )
    assert killed.returncode < 0
    ask("checkpoint", "list", "--all")


def _ask_about_moving(ask, place):
    """Export, import, workspaces and leaving, each with something to tell; a repository was moved by hand."""
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
    (place / "young").rename(place / "moved")
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
    assert sorted(documented - walk.met) == []
    seen = walk.with_value  # what is described once has to be seen once
    for shape, other in included(PAGE.read_text("utf-8")):
        seen |= {f"{shape}.{name}" for name in SHAPES[other] if f"{other}.{name}" in seen}
    assert sorted(documented - seen) == [], "never seen with a value: cannot be told from a wrong type"


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
