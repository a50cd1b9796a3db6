"""Which text each agent ran with, through the command: how sure that is, what is wrong with it, and what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from holdfast import clock
from holdfast.capture import sink
from tests.conftest import SHARED_DATA
from tests.e2e.linked import DAY, DAY_US, OLD_DAY, Agent, at, put, session, text

pytestmark = pytest.mark.slow  # each of these starts the command several times
ROOT = Path(__file__).resolve().parent.parent.parent
SCENARIOS = ROOT / "tests" / "data" / "claude-code"
SHARED = SHARED_DATA / "claude-code"
LONG_AGO = -3_000  # minutes before the day: two days


class World:
    """A project with Claude Code's directories, and a command whose clock is set."""

    def __init__(self, place, run):
        self.work, self.claude, self._run = place / "work", place / "claude", run
        (self.work / ".git").mkdir(parents=True)
        self.qa = self.work / ".claude" / "agents" / "qa.md"
        self.of_user = self.claude / "agents" / "qa.md"
        self.day = DAY

    def hold(self, minute, *args, code=0):
        done = self._run(*args, env={"HOLDFAST_NOW": at(minute, self.day)})
        assert done.returncode == code, done.stderr
        return done.stdout

    def asked(self, minute, *args):
        return json.loads(self.hold(minute, *args, "--json"))

    def look(self, minute):
        self.hold(minute, "definitions", "list", "--cwd", str(self.work))

    def put(self, minute, said="Read it.", path=None, **keys):
        return put(path or self.qa, text("qa", said, **keys), minute, self.day)

    def session(self, began, *agents, name=None):
        return session(self.claude / "projects", self.work, began, list(agents), day=self.day, name=name)

    def hook(self, minute, home, **payload):
        """A hook of Claude Code tells something, and it is recorded at once."""
        (home / "inbox").mkdir(mode=0o700, exist_ok=True)
        told = json.dumps({"cwd": str(self.work)} | payload) + "\n"
        subprocess.run(
            ["/bin/sh", "-c", sink.line(home / "inbox", "claude")], input=told.encode(), check=True
        )
        self.hold(minute, "sessions")

    def goes_on(self, name, began, *agents, copied_to=None):
        """More of a session, or a session that begins with a copy of its lines."""
        own = self.claude / "projects" / "-w" / f"{name}.jsonl"
        before = own.read_text("utf-8")
        more = self.session(began, *agents, name=copied_to or str(uuid.uuid4()))
        path = own.with_name(f"{more}.jsonl")
        if copied_to is not None:
            path.write_text(before.replace(name, more) + path.read_text("utf-8"), "utf-8")
            return
        own.write_text(before + path.read_text("utf-8").replace(f'"{more}"', f'"{name}"'), "utf-8")
        for file in (path.with_suffix("") / "subagents").iterdir():
            text = file.read_text("utf-8").replace(f'"{more}"', f'"{name}"')
            put(own.with_suffix("") / "subagents" / file.name, text, began)
        path.unlink()
        shutil.rmtree(path.with_suffix(""))

    def definition(self, minute, name):
        """What the only subagent of a session ran with."""
        [found] = [one["definition"] for one in self.asked(minute, "show", name)["agents"] if one["id"]]
        return found


@pytest.fixture
def world(tmp_path, run):
    return World(tmp_path, run)


def said(found):
    sha = found["sha256"] and found["revision"]["sha256"][:8]
    return found["origin"], sha, found["grade"], found["rule"], [one["code"] for one in found["findings"]]


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def test_a_text_that_lay_there_before_and_after_is_observed_and_a_rebuild_says_the_same(world):
    world.put(LONG_AGO)
    world.look(5)
    name = world.session(30, Agent("qa", 40))
    found = world.definition(60, name)
    assert said(found) == ("file", sha(world.qa), "observed", "looks", [])
    assert found["revision"]["path"] == str(world.qa)
    assert (found["version"], found["versions"]) == (1, 1)
    world.hold(61, "rebuild")
    assert world.definition(60, name) == found


def test_a_text_that_was_seen_later_is_inferred_by_its_files_time_or_unknown(world):
    world.put(LONG_AGO)
    name = world.session(30, Agent("qa", 40))
    assert said(world.definition(60, name)) == ("file", sha(world.qa), "inferred", "mtime", [])
    other = world.session(30, Agent("web", 40))
    put(world.qa.with_name("web.md"), text("web"), 50)
    found = world.definition(61, other)
    assert said(found)[:4] == ("file", None, "unknown", "never-seen")
    assert [one["path"] for one in found["either"]] == [str(world.qa.with_name("web.md"))]
    fits = f"unknown ({found['either'][0]['sha256'][:8]})"
    assert fits in world.hold(61, "show", other)
    assert f"text {fits}" in world.hold(61, "tree", other)


@pytest.mark.parametrize(
    ("day", "rule", "codes"),
    [
        (OLD_DAY, "read-at-session", ["stale-session"]),
        (DAY, "read-at-session?", ["stale-session"]),
    ],
)
def test_a_session_that_began_before_the_edit_ran_with_the_text_from_then(world, day, rule, codes):
    world.day = day
    world.put(LONG_AGO)
    before = sha(world.qa)
    world.look(5)
    name = world.session(30, Agent("qa", 50))
    world.put(40, "Another text.")
    world.look(45)
    found = world.definition(60, name)
    assert said(found) == ("file", before, "inferred", rule, codes)
    [later] = world.definition(5_000, name)["findings"]
    assert later["code"] == ("changed-since" if day == OLD_DAY else "maybe-other")
    assert [one["sha256"][:8] for one in found["either"]] == ([] if day == OLD_DAY else [sha(world.qa)])


def test_agents_that_the_tool_brings_along_are_told_as_built_in(world):
    name = world.session(30, Agent("Explore", 40, built_in=True))
    assert said(world.definition(60, name)) == ("built-in", None, "observed", "tool-says", [])
    older = world.session(30, Agent("Explore", 40, built_in=None))
    assert said(world.definition(60, older)) == ("built-in", None, "inferred", "built-in-name", [])
    given = world.session(30, Agent("inliner", 40))
    assert said(world.definition(60, given)) == ("not found", None, "unknown", "no-file", [])


def test_a_built_in_agent_that_ran_although_a_file_lay_there_is_an_alarm(world):
    put(world.qa.with_name("Explore.md"), text("Explore"), LONG_AGO)
    world.look(5)
    name = world.session(30, Agent("Explore", 40, built_in=True))
    found = world.definition(60, name)
    assert said(found) == ("built-in", None, "observed", "tool-says", ["built-in-ran"])
    assert [one["path"] for one in found["shadowed"]] == [str(world.qa.with_name("Explore.md"))]


def test_a_file_that_was_made_after_the_run_is_in_no_alarm(world):
    """As where a history is read before anybody looked at definitions."""
    world.put(LONG_AGO)
    built_in = world.session(30, Agent("Explore", 40, built_in=True))
    own = world.session(30, Agent("qa", 40))
    put(world.qa.with_name("Explore.md"), text("Explore"), 50)
    put(world.of_user, text("qa", "You read what was changed. " * 900), 50)
    for name in (built_in, own):
        found = world.definition(60, name)
        assert (found["findings"], found["shadowed"]) == ([], [])


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A program called `claude` that takes down its arguments, one in a line."""
    tool, words = tmp_path / "bin" / "claude", tmp_path / "words"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nprintf "%s\n" "$@" > {words}\ndate -u +%s.%N >> {words}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    return words


def started(world, words, *args):
    """Have Holdfast start an agent; the session that it told it."""
    done = world._run("run", "--", "claude", *args, "-p", "do it")
    assert done.returncode == 0, done.stderr
    return words.read_text().splitlines()[1]  # behind --session-id


@pytest.fixture
def called(world, stand_in):
    """A session that Holdfast started with `--agents`, and a minute at which its process was there, which has ended."""
    world.put(LONG_AGO)
    world.look(5)
    given = json.dumps({"qa": {"description": "x", "prompt": "y"}})
    name = started(world, stand_in, "--agents", given)
    return name, float(stand_in.read_text().splitlines()[-1]) / 60 - DAY_US / 60_000_000


def test_what_a_session_was_given_in_its_call_counts_before_files(world, called):
    name, minute = called
    world.session(minute, Agent("qa", minute), name=name)
    found = world.definition(minute + 10, name)
    assert (found["origin"], found["grade"], found["tier"]) == ("call", "observed", "command-line")
    assert found["revision"] is None
    assert len(found["sha256"]) == 64


def test_what_a_session_was_given_counts_no_more_when_its_process_has_ended(world, called):
    name, minute = called
    world.session(minute, Agent("qa", minute + 3_000), name=name)
    found = world.definition(minute + 3_010, name)
    assert said(found) == ("file", sha(world.qa), "observed", "looks", [])


def test_a_session_that_is_resumed_after_an_edit_takes_the_new_text(world, home):
    now = (clock.now_us() - DAY_US) / 60_000_000  # when the hook is recorded
    world.put(LONG_AGO)
    world.look(now - 195)
    name = world.session(now - 170, Agent("Explore", now - 160, built_in=True))
    world.put(now - 100, "Another text.")
    world.look(now - 95)
    world.hook(now, home, session_id=name, hook_event_name="SessionStart", source="resume")
    world.goes_on(name, now + 1, Agent("qa", now + 5, ends=None))
    told = world.asked(now + 5.5, "show", name)["agents"]
    [found] = [one["definition"] for one in told if one["type"] == "qa"]
    assert said(found) == ("file", sha(world.qa), "inferred", "process-begin", [])
    assert found["either"] == []


@pytest.mark.parametrize("day", [OLD_DAY, DAY])
def test_a_fork_began_with_its_own_first_line(world, day):
    world.day = day
    world.put(LONG_AGO)
    world.look(5)
    name = world.session(30, Agent("Explore", 40, built_in=True))
    world.hold(60, "sessions")
    world.put(100, "Another text.")
    world.look(105)
    fork = str(uuid.uuid4())
    world.goes_on(name, 201, Agent("qa", 205), copied_to=fork)
    world.look(300)
    assert said(world.definition(300, fork)) == ("file", sha(world.qa), "inferred", "process-begin", [])


@pytest.mark.parametrize("left", [True, False])
def test_a_session_that_follows_another_in_one_process_is_no_younger_than_that(world, home, left):
    """As hooks tell of /clear."""
    world.put(LONG_AGO)
    before = sha(world.qa)
    world.look(-10)
    first, then = world.session(1, Agent("Explore", 2, built_in=True)), str(uuid.uuid4())
    world.put(60, "Another text.")
    world.look(65)
    if left:
        world.hook(1_500, home, session_id=first, hook_event_name="SessionEnd", reason="clear")
    world.hook(1_500, home, session_id=then, hook_event_name="SessionStart", source="clear")
    world.session(1_500.1, Agent("qa", 1_501), name=then)
    world.look(1_510)
    found = world.definition(1_520, then)
    texts = [before, sha(world.qa)] if left else [sha(world.qa), before]
    assert said(found)[1:4] == (texts[0], "inferred", "read-at-session?" if left else "process-begin")
    assert [one["sha256"][:8] for one in found["either"]] == texts[1:]


@pytest.mark.parametrize(
    ("is_recorded", "whole", "expected"),
    [
        (False, False, ("here", "inferred", "maybe-elsewhere")),
        (False, True, ("here", "inferred", "maybe-elsewhere")),
        (True, False, (None, "unknown", "no-file")),
        (True, True, ("there", "observed", "looks")),
    ],
    ids=[
        "its process is not known",
        "nor which files lay there are its",
        "its process is known",
        "its files too",
    ],
)
def test_a_session_of_another_machine_ran_with_what_lay_there(
    world, stand_in, tmp_path, monkeypatch, is_recorded, whole, expected
):
    """What lies here, in the same place, was looked at too, before and after."""
    world.put(LONG_AGO)
    there = sha(world.qa)
    world.look(5)
    name = world.session(30, Agent("qa", 40), name=started(world, stand_in) if is_recorded else None)
    world.look(45)
    world.hold(60, "export", tmp_path / "exported.jsonl", *(() if whole else ("--session", name)))
    shutil.rmtree(world.claude / "projects")
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "another-home"))
    world.put(LONG_AGO, "Another text.")
    for minute in (5, 45):
        world.look(minute)
    world.hold(60, "import", tmp_path / "exported.jsonl")
    found = world.definition(70, name)
    text, grade, rule = expected
    texts = {None: None, "here": sha(world.qa), "there": there}
    assert (found["sha256"] and found["sha256"][:8], found["grade"], found["rule"]) == (
        texts[text],
        grade,
        rule,
    )
    assert found["findings"] == []


def test_in_a_directory_whose_path_redaction_takes_apart_only_a_look_says_what_lay_there(world):
    """Of sessions the directory is recorded without what was taken out, of definitions whole."""
    world.hold(1, "redact", "emails", "on")
    world.work = world.work / "ann.smith@corp.com"
    (world.work / ".git").mkdir(parents=True)
    world.qa = world.work / ".claude" / "agents" / "qa.md"
    world.put(LONG_AGO)
    world.put(LONG_AGO, "Another text.", path=world.of_user)
    name = world.session(30, Agent("qa", 40))
    (world.work / "inside").mkdir()
    world.hold(3, "definitions", "list", "--cwd", str(world.work / "inside"))
    found = world.definition(60, name)
    assert (found["grade"], found["rule"], found["sha256"]) == ("unknown", "no-directory", None)
    for minute in (5, 45):
        world.look(minute)
    assert said(world.definition(60, name)) == ("file", sha(world.qa), "observed", "looks", [])


def test_what_ran_here_is_not_told_otherwise_by_what_was_imported(world, tmp_path, monkeypatch):
    own = os.environ["HOLDFAST_HOME"]
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path / "another-home"))
    world.put(LONG_AGO, "Another text.")
    world.look(5)
    world.put(42, "A third text.")
    world.look(45)
    world.hold(60, "export", tmp_path / "exported.jsonl")
    monkeypatch.setenv("HOLDFAST_HOME", own)
    world.put(LONG_AGO)
    world.look(5)
    name = world.session(30, Agent("qa", 40))
    world.look(45)
    before = said(world.definition(60, name))
    world.hold(60, "import", tmp_path / "exported.jsonl")
    assert said(world.definition(60, name)) == before == ("file", sha(world.qa), "observed", "looks", [])


def test_a_program_may_say_which_text_it_gave_an_agent(world):
    world.put(LONG_AGO)
    world.look(5)
    told = world.asked(5, "definitions", "show", "qa", "--cwd", str(world.work))["definitions"][0]["file"][
        "sha256"
    ]
    event = {"kind": "agent.started", "session": "own", "agent": "a1"}
    event["fields"] = {"agent_type": "planner", "definition": told}
    world._run("record", stdin=json.dumps(event) + "\n")
    assert said(world.definition(60, "own") | {"revision": {"sha256": told}})[:4] == (
        "call",
        told[:8],
        "observed",
        "told",
    )


def test_a_main_agent_that_was_started_under_a_name_ran_with_its_text(world, home):
    """As a hook tells of `claude --agent qa`."""
    world.put(LONG_AGO)
    world.look(5)
    name = world.session(30, Agent("Explore", 40, built_in=True))
    world.hook(30, home, session_id=name, hook_event_name="SessionStart", source="startup", agent_type="qa")
    main = world.asked(60, "show", name)["agents"][0]
    assert (main["id"], said(main["definition"])) == ("", ("file", sha(world.qa), "observed", "looks", []))


def test_a_main_agent_that_was_resumed_under_another_name_had_either_text(world, home):
    world.put(LONG_AGO)
    web = put(world.qa.with_name("web.md"), text("web"), LONG_AGO)
    world.look(5)
    name = world.session(30)
    for source, agent_type in (("startup", "web"), ("resume", "qa")):
        said_by_hook = {"hook_event_name": "SessionStart", "source": source, "agent_type": agent_type}
        world.hook(30, home, session_id=name, **said_by_hook)
    main = world.asked(60, "show", name)["agents"][0]["definition"]
    assert said(main) == ("file", None, "unknown", "several-names", [])
    assert {one["sha256"][:8] for one in main["either"]} == {sha(world.qa), sha(web)}


def test_an_agent_that_codex_started_without_a_role_has_the_one_that_codex_takes_then(world, tmp_path):
    codex, world.day = tmp_path / "user" / ".codex", "2026-11-21"
    recording = ROOT / "tests" / "data" / "codex" / "multi-agent-v2" / "sessions"
    for path in recording.rglob("*.jsonl"):
        copy = codex / path.relative_to(recording.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text("utf-8").replace("/home/dev/demo", str(world.work)), "utf-8")
    heads = [path.read_text("utf-8").partition("\n")[0] for path in codex.rglob("*.jsonl")]
    [name] = {json.loads(head)["payload"]["session_id"] for head in heads}
    role = 'name = "{}"\ndescription = "d"\ndeveloper_instructions = "x"\n'
    ours = put(codex / "agents" / "default.toml", role.format("default"), LONG_AGO, world.day)
    put(codex / "agents" / "idle.toml", role.format("idle"), LONG_AGO, world.day)
    world.look(600)
    found = [one["definition"] for one in world.asked(800, "show", name)["agents"] if one["id"]]
    assert {said(one)[:4] for one in found} == {("file", sha(ours), "inferred", "no-role")}
    assert [one["name"] for one in world.asked(801)["definitions"]["never_used"]] == ["idle"]
    [told] = world.asked(802, "definitions", "outcomes", "default")["definitions"]
    assert (told["runs"], told["texts"][0]["grades"]) == (2, {"observed": 0, "inferred": 2})


def test_an_agent_at_work_on_an_older_text_is_an_alarm_everywhere(world):
    world.put(LONG_AGO)
    before = sha(world.qa)
    world.look(5)
    name = world.session(30, Agent("qa", 31, ends=None))
    assert world.asked(31.5, "show", name)["session"]["state"] == "working"
    world.put(32, "Another text.")
    found = world.definition(33, name)
    assert said(found) == ("file", before, "observed", "looks", ["stale"])
    shown = " ".join(world.hold(33, "show", name).split())
    assert (
        f"warning: qa a{name[:8]}0: it is at work on {before}, an older text: its file holds {sha(world.qa)} now"
        in shown
    )
    assert f"text {before}!" in world.hold(33, "tree", name)
    screen = world.asked(33)["definitions"]
    assert [(one["session"], one["name"], one["code"], one["agents"]) for one in screen["alarms"]] == [
        (name, "qa", "stale", 1)
    ]
    assert "1 alarm about definitions of agents at work\n" in world.hold(33)


def test_one_edit_is_told_once_though_some_agents_work_and_others_ended(world):
    world.put(LONG_AGO)
    before = sha(world.qa)
    world.look(5)
    name = world.session(30, Agent("qa", 41), Agent("qa", 42, ends=None))
    world.put(40, "Another text.")
    world.look(40.5)
    codes = [one["definition"]["findings"][0]["code"] for one in world.asked(43, "show", name)["agents"][1:]]
    assert codes == ["stale-session", "stale"]
    shown = " ".join(world.hold(43, "show", name).split())
    assert f"qa {before}? 1 of 2 project " in shown
    assert shown.count("warning: ") == 1
    assert f"? qa a{name[:8]}0, a{name[:8]}1: the file changed after the session began" in shown
    assert (
        f"warning: qa a{name[:8]}1: it is at work on {before} or {sha(world.qa)} (its file changed after its session began)"
        in shown
    )
    assert [one["code"] for one in world.asked(43)["definitions"]["alarms"]] == ["stale"]


def test_the_first_screen_asks_about_every_agent_that_is_at_work_and_no_other(world):
    world.put(LONG_AGO)
    world.look(5)
    names = [world.session(30, Agent("qa", 30.1), Agent("qa", 31, ends=None)) for _ in range(12)]
    world.put(32, "Another text.")
    alarms = world.asked(33)["definitions"]["alarms"]
    assert sorted(one["session"] for one in alarms) == sorted(names)
    assert {(one["code"], one["agents"]) for one in alarms} == {("stale", 1)}


def test_an_agent_of_a_plugin_keeps_its_text_when_a_project_takes_its_name_later(world, tmp_path):
    plugin = put(tmp_path / "kit" / "agents" / "qa.md", text("qa", "The plugin's."), LONG_AGO)
    (tmp_path / "kit" / ".claude-plugin").mkdir()
    (tmp_path / "kit" / ".claude-plugin" / "plugin.json").write_text('{"name": "kit"}')
    (world.claude / "plugins").mkdir(parents=True)
    installed = {"version": 2, "plugins": {"kit@m": [{"installPath": str(tmp_path / "kit")}]}}
    (world.claude / "plugins" / "installed_plugins.json").write_text(json.dumps(installed))
    (world.claude / "settings.json").write_text(json.dumps({"enabledPlugins": {"kit@m": True}}))
    world.look(5)
    name = world.session(30, Agent("qa", 41))
    world.put(80)
    world.look(90)
    found = world.definition(100, name)
    assert said(found)[1:4] == (sha(plugin), "inferred", "mtime-order")
    later = world.session(110, Agent("qa", 120))
    found = world.definition(130, later)
    assert said(found)[1] == sha(world.qa)
    assert [one["path"] for one in found["shadowed"]] == [str(plugin)]


def test_a_stub_that_hid_a_whole_agent_then_is_told_though_it_is_mended_now(world):
    put(world.qa, "---\nname: qa\ndescription: x\n---\n", LONG_AGO)
    put(world.of_user, text("qa", "You read what was changed. " * 900), LONG_AGO)
    world.look(5)
    name = world.session(30, Agent("qa", 40))
    world.look(45)
    world.qa.unlink()
    found = world.definition(60, name)
    assert said(found)[2:] == ("observed", "looks", ["hides-larger", "changed-since"])
    assert found["findings"][0]["text"].startswith("with 32 bytes it hid ")
    assert [one["path"] for one in found["shadowed"]] == [str(world.of_user)]
    assert f"hides1:{world.of_user}(user)" in "".join(world.hold(60, "show", name).split())


def test_a_run_that_its_text_cannot_have_led_to_is_an_alarm(world):
    """Another model, or a tool that the text does not give."""
    world.put(LONG_AGO, model="haiku", tools="Read, Grep")
    world.look(5)
    name = world.session(
        30, Agent("qa", 40, calls=[("Read", "a", False), ("Bash", "b", True), ("Write", "c", False)])
    )
    found = world.definition(60, name)
    assert [one["code"] for one in found["findings"]] == ["other-tools", "other-model"]
    assert found["findings"][0]["text"] == "its definition does not list Write, which it used"
    assert (found["grade"], found["rule"]) == ("inferred", "contradicted")
    [left] = world.asked(60, "definitions", "outcomes", "qa")["definitions"]
    assert (left["runs"], left["left_out"]["contradicted"], left["texts"]) == (1, 1, [])
    assert "1 that did what the text does not allow" in world.hold(60, "definitions", "outcomes", "qa")
    fits = world.session(30, Agent("qa", 40, model="claude-haiku-5-5"))
    assert world.definition(60, fits)["findings"] == []


@pytest.mark.parametrize("announced", ["claude-haiku-5-5", None])
def test_the_model_that_a_run_is_held_against_is_the_one_that_answered(world, announced):
    world.put(LONG_AGO, model="haiku")
    world.look(5)
    name = world.session(30, Agent("qa", 40, announced=announced))
    assert [one["code"] for one in world.definition(60, name)["findings"]] == ["other-model"]
    [found] = world.asked(60, "definitions", "outcomes", "qa")["definitions"]
    assert found["texts"][0]["models"] == [{"model": "claude-opus-5-5", "runs": 1}]


def test_definitions_say_when_they_were_used_and_the_first_screen_which_never(world):
    world.put(LONG_AGO)
    put(world.qa.with_name("idle.md"), text("idle"), LONG_AGO)
    world.look(5)
    world.session(30, Agent("qa", 40))
    listed = world.asked(100, "definitions", "list", "--cwd", str(world.work))["definitions"]
    assert [(one["name"], one["used"], one["last_used_at"]) for one in listed] == [
        ("idle", False, None),
        ("qa", True, at(40)),
    ]
    assert [one["name"] for one in world.asked(100)["definitions"]["never_used"]] == ["idle"]
    assert "1 definition never used, as far as is recorded: idle\n" in world.hold(100)
    for number in range(6):
        put(world.qa.with_name(f"x{number}.md"), text(f"x{number}"), LONG_AGO)
    world.look(101)
    shown = " ".join(world.hold(102).split())
    assert (
        "7 definitions never used, as far as is recorded: idle, x0, x1, x2, x3, …: holdfast --json has all"
        in shown
    )


def test_a_definition_is_used_by_agents_of_its_own_project_and_its_own_name_only(world, tmp_path):
    """Not by what the tool brings along, by another project's agents of the name, or by the project's where a plugin has it too."""
    other, plugin = tmp_path / "other", tmp_path / "plugin"
    (other / ".git").mkdir(parents=True)
    gone = tmp_path / "gone"
    (gone / ".git").mkdir(parents=True)
    (plugin / ".claude-plugin").mkdir(parents=True)
    (plugin / ".claude-plugin" / "plugin.json").write_text('{"name": "acme"}')
    (world.claude / "plugins").mkdir(parents=True)
    installed = {"version": 2, "plugins": {"acme@m": [{"installPath": str(plugin)}]}}
    (world.claude / "plugins" / "installed_plugins.json").write_text(json.dumps(installed))
    (world.claude / "settings.json").write_text(json.dumps({"enabledPlugins": {"acme@m": True}}))
    world.put(LONG_AGO)
    world.put(LONG_AGO, "Other.", path=other / ".claude" / "agents" / "qa.md")
    world.put(LONG_AGO, "Plugin.", path=plugin / "agents" / "qa.md")
    put(world.qa.with_name("Explore.md"), text("Explore"), LONG_AGO)
    put(gone / ".claude" / "agents" / "old.md", text("old"), LONG_AGO)
    world.look(5)
    for where in (other, gone):
        world.hold(5, "definitions", "list", "--cwd", str(where))
    shutil.rmtree(gone)
    world.session(30, Agent("qa", 40), Agent("Explore", 41, built_in=True))
    never = world.asked(60)["definitions"]["never_used"]
    assert [(one["name"], one["path"]) for one in never] == [
        ("Explore", str(world.qa.with_name("Explore.md"))),
        ("acme:qa", str(plugin / "agents" / "qa.md")),
        ("qa", str(other / ".claude" / "agents" / "qa.md")),
    ]
    for where, used in ((world.work, True), (other, False)):
        listed = world.asked(60, "definitions", "list", "--cwd", str(where))["definitions"]
        assert {one["name"]: one["used"] for one in listed} == (
            {"acme:qa": False, "qa": used} | ({"Explore": False} if where == world.work else {})
        )


def test_outcomes_compare_texts_and_claim_nothing_below_twenty_runs(world):
    world.put(LONG_AGO)
    first = sha(world.qa)
    world.look(5)
    cut = [Agent("qa", 40 + n, ends="failed") for n in range(15)]
    tried = [("Bash", "b", True), ("Bash", "b", False)]
    world.session(30, *cut, *[Agent("qa", 60 + n, lasts=2, calls=tried) for n in range(10)])
    world.look(90)
    world.put(95, "Another text.")
    second = sha(world.qa)
    world.look(96)
    world.session(1_000, *[Agent("qa", 1_010 + n) for n in range(22)])
    world.look(1_050)
    world.put(1_051, "A third text.")
    world.look(1_052)
    world.session(2_000, Agent("qa", 2_010, denied=True))
    world.session(1_990, Agent("qa", 1_995, built_in=True))
    [found] = world.asked(2_100, "definitions", "outcomes", "qa")["definitions"]
    assert (found["runs"], found["left_out"]) == (
        49,
        dict.fromkeys(("unknown", "ambiguous", "contradicted"), 0) | {"built_in": 1},
    )
    old, new, few = found["texts"]
    assert [(one["sha256"][:8], one["runs"], one["enough"]) for one in found["texts"]] == [
        (first, 25, True),
        (second, 22, True),
        (sha(world.qa), 1, False),
    ]
    assert [one["grades"]["observed"] for one in found["texts"]] == [25, 22, 1]
    assert (old["completed"]["count"], old["completed"]["of"]) == (10, 25)
    assert (old["completed"]["low"], old["completed"]["high"]) == pytest.approx((0.2340, 0.5926), abs=1e-4)
    assert (old["retries"], old["retried"]["count"], new["retried"]["count"]) == (10, 10, 0)
    assert (old["duration_ms"]["of"], new["duration_ms"]["median"]) == (10, 30_000)
    assert new["cost_usd"]["of"] == 22
    assert (few["completed"]["share"], few["blocked"]["count"]) == (None, 1)
    better, unsure = found["comparisons"]
    assert (better["completed"]["verdict"], unsure["completed"]["verdict"]) == ("higher", "insufficient data")
    assert better["duration_ms"]["verdict"] == "insufficient data"
    assert "-Read it.\n+Another text.\n" in better["diff"]
    shown = world.hold(2_100, "definitions", "outcomes", "qa")
    assert "completed 10 of 25: 40% (23% to 59%)" in shown
    assert "completed 1 of 1: insufficient data" in shown
    assert "+Another text." in shown


def test_outcomes_compare_no_texts_of_different_files(world, tmp_path):
    """Two projects have a definition each of the name, which began as one text."""
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    copy = other / ".claude" / "agents" / "qa.md"
    projects = world.claude / "projects"

    def look(minute):
        for where in (world.work, other):
            world.hold(minute, "definitions", "list", "--cwd", str(where))

    world.put(LONG_AGO)
    world.put(LONG_AGO, path=copy)
    begun = sha(copy)
    for project in (world.work, other):
        put(project / ".claude" / "agents" / "web.md", text("web", project.name), LONG_AGO)
    look(5)
    world.session(30, Agent("qa", 40), Agent("web", 41))
    session(projects, other, 50, [Agent("qa", 60), Agent("web", 61)])
    look(90)
    world.put(95, "Another text.")
    world.put(95, "What the other one says.", path=copy)
    look(96)
    world.session(1_000, Agent("qa", 1_010))
    session(projects, other, 1_020, [Agent("qa", 1_030)])
    [found] = world.asked(1_100, "definitions", "outcomes", "qa")["definitions"]
    first = found["texts"][0]
    assert [first["revision"]["path"], *[one["path"] for one in first["also_at"]]] == [
        str(world.qa),
        str(copy),
    ]
    assert [(one["from"][:8], one["to"][:8]) for one in found["comparisons"]] == [
        (begun, sha(world.qa)),
        (begun, sha(copy)),
    ]
    shown = world.hold(1_100, "definitions", "outcomes", "qa")
    assert f"from {begun} to {sha(copy)}" in shown
    [here] = world.asked(1_100, "definitions", "outcomes", "qa", "--cwd", str(other))["definitions"]
    assert [(one["sha256"][:8], one["runs"]) for one in here["texts"]] == [(begun, 1), (sha(copy), 1)]
    [apart] = world.asked(1_100, "definitions", "outcomes", "web")["definitions"]
    assert (len(apart["texts"]), apart["comparisons"]) == (2, [])
    said = f"{apart['texts'][1]['sha256'][:8]} lay in another file than the texts above"
    assert said in world.hold(1_100, "definitions", "outcomes", "web")


@pytest.mark.parametrize(
    ("calls", "retries"),
    [
        ([("Edit", "a.py", True), ("Edit", "a.py", False), ("Edit", "a.py", False)], 0),
        ([("Bash", "t", True), ("Edit", "a.py", False), ("Bash", "t", False), ("Bash", "t", False)], 1),
        ([("Bash", "t", True), ("Bash", "t", True), ("Bash", "t", False)], 2),
        ([("Bash", "t", True), ("Bash", "u", False)], 0),
        ([("Bash", "t" * 5_000, True), ("Bash", "t" * 5_000 + "u", False)], 0),
    ],
    ids=[
        "of an edit the path is kept",
        "once it had worked",
        "twice",
        "another command",
        "long ones are cut",
    ],
)
def test_a_call_is_tried_again_only_where_its_whole_input_is_the_same(world, calls, retries):
    world.put(LONG_AGO)
    world.look(5)
    world.session(30, Agent("qa", 40, calls=calls))
    [found] = world.asked(60, "definitions", "outcomes", "qa")["definitions"]
    assert found["texts"][0]["retries"] == retries


def test_a_share_is_rounded_to_none_or_all_only_where_it_is(world):
    world.put(LONG_AGO)
    world.look(5)
    world.session(30, *[Agent("qa", 40 + n / 60) for n in range(800)])
    shown = world.hold(2_100, "definitions", "outcomes", "qa")
    assert "completed 800 of 800: 100% (99.5% to 100%)" in shown
    assert "blocked   0 of 800: 0% (0% to 0.5%)" in shown


def test_outcomes_of_a_name_that_nobody_knows_is_an_error_and_of_one_that_never_ran_is_none(world):
    world.put(LONG_AGO)
    world.look(5)
    assert world.hold(60, "definitions", "outcomes", "qa") == "qa (Claude Code): never used\n"
    done = world._run("definitions", "outcomes", "nobody")
    assert (done.returncode, "no agent is known that ran as 'nobody'" in done.stderr) == (3, True)


def recorded(world, scenario, config):
    """A recording as if it had been made in this project; its session."""
    projects = world.claude / "projects" / "-home-dev-demo"
    shutil.copytree(scenario / "transcript", projects)
    for path in projects.rglob("*.jsonl"):
        path.chmod(0o600)
        path.write_text(path.read_text("utf-8").replace("/home/dev/demo", str(world.work)), "utf-8")
    put(
        world.qa.with_name("reviewer.md"),
        (config / ".claude" / "agents" / "reviewer.md").read_text("utf-8"),
        LONG_AGO,
    )
    [own] = projects.glob("*.jsonl")
    return own.stem


def assert_each_agent_names_its_text(world, name):
    agents = [one for one in world.asked(20_000, "show", name)["agents"] if one["id"]]
    told = {(one["type"], one["definition"]["origin"], one["definition"]["grade"]) for one in agents}
    assert told == {
        ("general-purpose", "built-in", "observed"),
        ("reviewer", "file", "inferred"),
        ("inliner", "not found", "unknown"),
    }
    [review] = [one["definition"] for one in agents if one["type"] == "reviewer"]
    assert (review["rule"], review["sha256"][:8]) == ("mtime", "d01cec26")
    assert [one["code"] for one in review["findings"]] == []  # haiku was asked for, and ran


@pytest.mark.parametrize(
    ("has_file", "declares", "expected"),
    [
        (True, "", ("file", "observed", "looks")),
        (True, '[agents.reviewer]\nconfig_file = "roles/r.toml"\n', ("file", "inferred", "declared")),
        (False, '[agents.reviewer]\ndescription = "d"\n', ("not found", "unknown", "declared")),
        (True, "[agents]\nreviewer = 1\n", ("file", "observed", "looks")),
    ],
    ids=["a file", "both", "config.toml", "a setting"],
)
def test_a_role_that_codex_settings_declare_is_not_sure_to_be_a_file(world, has_file, declares, expected):
    world.day = "2026-11-21"
    codex = Path.home() / ".codex"
    recording = ROOT / "tests" / "data" / "codex" / "multi-agent-v2" / "sessions"
    for path in recording.rglob("*.jsonl"):
        copied = codex / "sessions" / path.relative_to(recording)
        copied.parent.mkdir(parents=True, exist_ok=True)
        said = path.read_text("utf-8").replace("/home/dev/demo", str(world.work))
        copied.write_text(re.sub(r'"agent_role": ?null', '"agent_role": "reviewer"', said), "utf-8")
    if has_file:
        role = 'name = "reviewer"\ndescription = "d"\ndeveloper_instructions = "Look."\n'
        put(codex / "agents" / "reviewer.toml", role, LONG_AGO, world.day)
    (codex / "config.toml").write_text(declares)
    world.look(600)
    world.look(750)
    [name] = [one["id"] for one in world.asked(800, "sessions")["sessions"]]
    found = [one["definition"] for one in world.asked(800, "show", name)["agents"] if one["id"]]
    assert {(one["origin"], one["grade"], one["rule"]) for one in found} == {expected}


REVIEWER = "---\nname: reviewer\ndescription: Reviews files\ntools: Read, Grep\nmodel: haiku\ncolor: blue\n---\nYou review files.\n"


@pytest.mark.needs_shared
@pytest.mark.parametrize("scenario", ["async-subagents", "foreground-nested-subagents"])
def test_agents_of_recordings_name_their_texts(world, scenario):
    assert_each_agent_names_its_text(world, recorded(world, SHARED / scenario, SHARED / "project-config"))


def test_agents_of_our_own_copies_of_recordings_name_their_texts(world, tmp_path):
    config = tmp_path / "config"
    put(config / ".claude" / "agents" / "reviewer.md", REVIEWER, 0)
    assert_each_agent_names_its_text(world, recorded(world, SCENARIOS / "async-subagents", config))


@pytest.mark.parametrize("looked", [True, False])
def test_a_workspace_that_moves_takes_its_past_along(world, looked):
    world.put(LONG_AGO)
    if looked:
        world.look(5)
    name = world.session(30, Agent("qa", 40))
    world.hold(46, "sessions")
    new = world.work.rename(world.work.with_name("moved"))
    world.hold(50, "definitions", "list", "--cwd", str(new))
    world.hold(56, "workspace", "move", str(world.work), str(new))
    found = world.definition(57, name)
    grade, rule = ("observed", "looks") if looked else ("inferred", "mtime")
    assert said(found)[:4] == ("file", sha(new / ".claude" / "agents" / "qa.md"), grade, rule)
    assert found["findings"] == []


def test_a_session_that_goes_on_where_its_workspace_lies_now_takes_the_text_from_there(world):
    world.put(LONG_AGO)
    world.look(5)
    name = world.session(30, Agent("Explore", 40, built_in=True))
    world.hold(50, "sessions")
    old, world.work = world.work, world.work.rename(world.work.with_name("moved"))
    world.hold(60, "workspace", "move", str(old), str(world.work))
    world.look(61)
    world.put(70, "Another text.", path=world.work / ".claude" / "agents" / "qa.md")
    world.look(75)
    world.goes_on(name, 100, Agent("qa", 110, ends=None))
    told = world.asked(111, "show", name)["agents"]
    [found] = [one["definition"] for one in told if one["type"] == "qa"]
    texts = {found["sha256"][:8], *(one["sha256"][:8] for one in found["either"])}
    assert sha(world.work / ".claude" / "agents" / "qa.md") in texts
    assert found["grade"] == "inferred"


def test_of_a_directory_that_is_gone_the_users_own_definitions_are_known(world):
    world.put(LONG_AGO, path=world.of_user)
    gone = world.work / "worktrees" / "gone"
    name = session(world.claude / "projects", gone, 30, [Agent("qa", 40)], day=world.day)
    found = world.definition(60, name)
    assert said(found) == ("file", sha(world.of_user), "inferred", "mtime", [])
    assert found["tier"] == "user"


def test_a_directory_that_no_system_can_have_keeps_nobody_from_an_answer(world):
    world.put(LONG_AGO)
    name = session(world.claude / "projects", "/no\0where", 30, [Agent("qa", 31, ends=None)], day=world.day)
    assert said(world.definition(31.5, name)) == ("not found", None, "unknown", "no-file", [])
    for command in (("tree", name), ("definitions", "outcomes", "qa"), ()):
        assert world.hold(31.5, *command)


def test_a_look_that_cannot_be_made_keeps_nobody_from_an_answer(world, home):
    world.put(LONG_AGO)
    world.look(5)
    name = world.session(30, Agent("qa", 40))
    (home / "definitions" / "lock").unlink()
    (home / "definitions" / "lock").mkdir()
    assert world.definition(60, name)["grade"] == "inferred"
    (home / "definitions" / "lock").rmdir()
    assert world.definition(60, name)["grade"] == "observed"
