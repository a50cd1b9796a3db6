"""After something died: what was cut, what is open, which lines prove it, and what a person says of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from holdfast import clock, settings
from holdfast.capture import liveness
from holdfast.home import Home
from holdfast.recover import survey, triage
from holdfast.store import queries
from holdfast.store.activity import nobody_looked
from tests.e2e.conftest import CAPTURED, SCENARIOS, ask
from tests.e2e.test_liveness import hooks_told, list_process, running, transcripts

CODEX = CAPTURED.parent / "codex"
CODEX_SCENARIOS = sorted(path.name for path in CODEX.iterdir())
KILLED = "11111111-1111-4111-8111-111111111111"  # the session of kill9-during-tool
DONE, FAILED, CUT = ("finished", "completed"), ("finished", "failed"), ("interrupted", None)

# scenario: its session; how it was ended, by what was written alone; its subagents by how they were described; its open calls
TABLE = {
    "api-error-400": (FAILED, None, {}, {}),
    "async-subagents": (
        DONE,
        None,
        {"Count words": DONE, "Review notes": DONE, "Inline agent": DONE},
        {},
    ),
    "foreground-nested-subagents": (
        DONE,
        None,
        {"Count words": DONE, "Review notes": DONE, "Inline agent": DONE, "Nested": DONE, "Deep": DONE},
        {},
    ),
    "fork-after-kill9": (DONE, None, {}, {}),
    "kill9-during-tool": (CUT, None, {}, {"Bash": CUT}),
    "kill9-foreground-subagent": (CUT, None, {"Slow": CUT}, {"Agent": CUT, "Bash": CUT}),
    "max-turns": (CUT, "stopped", {}, {}),
    "resume-after-kill9-and-compact": (DONE, None, {}, {}),
    "sigterm-during-tool": (CUT, "exited", {}, {}),
    "task-tools": (DONE, None, {}, {}),
    "tui-esc-interrupts-sigterm": (CUT, "stopped", {}, {}),
    "codex/api-error": (FAILED, None, {}, {}),
    "codex/kill9-then-resume": (DONE, None, {}, {"exec_command": CUT}),
    "codex/multi-agent-v2": (DONE, None, {"reviewer": DONE, "lister": DONE}, {}),
    "codex/sigint": (CUT, "stopped", {}, {}),
    "codex/tools-and-patch": (DONE, None, {}, {}),
}


@pytest.fixture
def config(home) -> Path:
    path = Path(os.environ["CLAUDE_CONFIG_DIR"])
    (path / "sessions").mkdir(parents=True)
    return path


def source_of(scenario: str) -> Path:
    return (
        CODEX / scenario[6:] / "sessions"
        if scenario.startswith("codex/")
        else CAPTURED / scenario / "transcript"
    )


def surveyed(home: Path, *more: str) -> list[dict]:
    return json.loads(ask(home, ["recover", "list", "--json", *more])[0])["sessions"]


def only(home: Path) -> dict:
    [one] = surveyed(home, "--all")
    return one


def stands(one: dict) -> tuple[str, str | None]:
    return one["status"], one.get("outcome")


def shape(one: dict) -> tuple:
    agents = {agent["description"]: stands(agent) for agent in one["agents"] if agent["id"]}
    return stands(one), one["cause"], agents, {call["tool"]: stands(call) for call in one["calls"]}


def line_at(evidence: dict) -> dict:
    """The line that a piece of evidence names: it begins there, and is a whole one."""
    raw, at = Path(evidence["file"]).read_bytes(), evidence["offset_bytes"]
    assert at == 0 or raw[at - 1 : at] == b"\n"
    return json.loads(raw[at : raw.index(b"\n", at)])


# ── recorded scenarios ──


def test_the_table_holds_every_recorded_scenario():
    assert sorted(TABLE) == sorted([*SCENARIOS, *(f"codex/{name}" for name in CODEX_SCENARIOS)])


@pytest.mark.parametrize("scenario", TABLE)
def test_every_status_of_a_recorded_scenario_is_right(scenario, imported):
    """The session's, its subagents' and its open calls'; each with lines that are really there."""
    home = imported(source_of(scenario))
    one = only(home)
    assert shape(one) == TABLE[scenario]
    assert one["status"] in triage.STATUSES
    for claim in (one, *one["agents"], *one["calls"]):
        assert claim["grade"] in {"observed", "inferred"}
        assert claim["evidence"], claim
        for evidence in claim["evidence"]:
            if evidence["offset_bytes"] is not None:
                assert line_at(evidence)
    for call in one["calls"]:
        assert call["id"] in json.dumps([line_at(evidence) for evidence in call["evidence"]])
    for agent in filter(lambda agent: agent["id"] and agent["grade"] == "observed", one["agents"]):
        lines = [evidence for evidence in agent["evidence"] if evidence["says"] == "what told of its end"]
        if agent["status"] == "finished":
            assert agent["reported"]
        if agent["why"].startswith("its meta.json"):
            assert lines == []
        else:
            [line] = lines
            assert scenario.startswith("codex/") or agent["id"] in json.dumps(line_at(line))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_hooks_and_a_dead_process_change_no_status(scenario, home, config, imported):
    """They only say better how it is known."""
    imported(source_of(scenario), into=home)
    before = only(home)
    hooks_told(home, scenario)
    with running() as process:
        list_process(config, before["session"]["id"], process.pid)
    one = only(home)
    expected, cause, agents, calls = TABLE[scenario]
    assert (shape(one)[0], *shape(one)[2:]) == (expected, agents, calls)
    assert one["alive"] is False
    assert one["cause"] == (cause or ("died" if expected == CUT else None))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started")
@pytest.mark.parametrize("scenario", ["kill9-during-tool", "kill9-foreground-subagent"])
def test_what_is_alive_is_in_flight_and_not_offered(scenario, home, config, imported):
    imported(source_of(scenario), into=home)
    session = only(home)["session"]["id"]
    with running() as process:
        list_process(config, session, process.pid)
        one = only(home)
        assert {claim["status"] for claim in (one, *one["agents"], *one["calls"])} == {"in_flight"}
        assert (one["alive"], one["cause"]) == (True, None)
        assert surveyed(home) == []
    assert [one["session"]["id"] for one in surveyed(home)] == [session]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started")
@pytest.mark.parametrize(
    ("scenario", "kind"), [("kill9-foreground-subagent", "Slow"), ("async-subagents", "Review notes")]
)
def test_what_an_earlier_life_ran_does_not_run_in_the_next(scenario, kind, home, config, tmp_path):
    """Agents and commands without an end were cut with the process that ran them, whatever the one after it does."""
    files = transcripts(
        scenario, tmp_path / "cut", until="stop_hook_summary" if kind == "Review notes" else ""
    )
    ask(home, ["import", str(files)])
    session = only(home)["session"]["id"]
    with running() as process:
        list_process(config, session, process.pid)
        one = only(home)
        [before] = [agent for agent in one["agents"] if agent["description"] == kind]
        list_process(config, session, process.pid, "idle", startedAt=1_795_300_000_000)
        one = only(home)
        [after] = [agent for agent in one["agents"] if agent["description"] == kind]
        assert one["alive"]
        [shown] = json.loads(ask(home, ["sessions", "--json"])[0])["sessions"]
    assert (before["status"], after["status"]) == ("in_flight", "interrupted")
    assert "began later" in after["why"]
    assert (shown["state"], shown["activity"]["background_tasks"]) == ("idle", None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process was started")
def test_a_call_that_waited_for_leave_never_started(home, config, imported):
    """While its process runs it waits; and where its agent has two such calls open, nobody knows which."""
    imported(source_of("kill9-during-tool"), into=home)
    asked = {
        "session_id": KILLED,
        "hook_event_name": "PermissionRequest",
        "tool_name": "Bash",
        "tool_input": {},
    }
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    (home / "inbox" / "claude").write_text(json.dumps(asked) + "\n")
    with running() as process:
        list_process(config, KILLED, process.pid, "waiting", waitingFor="permission prompt")
        one = only(home)
        assert (one["status"], one["calls"][0]["status"]) == ("waiting", "waiting")
    one = only(home)
    assert (one["status"], one["calls"][0]["status"]) == ("interrupted", "never_started")
    again = home.with_name("twice")
    given = source_of("kill9-during-tool") / f"{KILLED}.jsonl"
    lines = given.read_text().splitlines()
    call = next(line for line in reversed(lines) if '"tool_use"' in line)
    made = call.replace(one["calls"][0]["id"], "toolu_other").replace(
        json.loads(call)["uuid"], "another-uuid"
    )
    copy = home.with_name("copy") / given.name
    copy.parent.mkdir()
    copy.write_text("\n".join([*lines, made]) + "\n")
    imported(copy, into=again)
    (again / "inbox").mkdir(mode=0o700, exist_ok=True)
    (again / "inbox" / "claude").write_text(json.dumps(asked) + "\n")
    assert [call["status"] for call in only(again)["calls"]] == ["unknown", "unknown"]


def test_another_boot_of_this_host_is_told_from_a_crash(home, config, imported):
    """And so is a number that was given out again."""
    imported(source_of("kill9-during-tool"), into=home)
    with running() as process:
        entry = list_process(config, KILLED, process.pid)
        assert only(home)["cause"] is None
        said = json.loads(entry.read_text())
        entry.write_text(json.dumps(said | {"procStart": str(int(said["procStart"]) - 1)}))
        assert (only(home)["status"], only(home)["cause"]) == ("interrupted", "died")
        entry.unlink()
    opened = Home(settings.load(None, os.environ, {}))
    here = liveness.here(opened.host_id)
    later = liveness.Liveness(config / "sessions", config, here._replace(boot="the next one"))
    with contextlib.closing(opened.reader()) as db:
        now = survey.Now(clock.now_us(), 600_000_000, boot="the next one")
        one = survey.session(db, queries.session_id(db, KILLED), now, later)
    assert (one["status"], one["cause"], one["alive"]) == ("interrupted", "rebooted", False)


def test_a_machine_that_slept_was_silent_too(imported):
    """Silence alone tells nothing about the hours in which the machine may have slept."""
    home = imported(source_of("kill9-during-tool"))
    with contextlib.closing(
        Home(settings.load(None, os.environ | {"HOLDFAST_HOME": str(home)}, {})).reader()
    ) as db:
        session = queries.session_id(db, KILLED)
        [row] = queries.session_rows(db, session)
        hour_us, stale_us = 3_600_000_000, 600_000_000
        for slept_us, status in (
            (0, "interrupted"),
            (hour_us - stale_us, "interrupted"),
            (hour_us, "unknown"),
        ):
            now = survey.Now(row["last_us"] + hour_us, stale_us, slept_us)
            assert survey.session(db, session, now, nobody_looked)["status"] == status


# ── what a person says ──


def test_nothing_cut_is_told_by_the_exit_code(run, imported):
    home = {"HOLDFAST_HOME": str(imported(source_of("task-tools")))}
    done = run("recover", "check", env=home)
    assert (done.returncode, done.stdout) == (0, "nothing was cut\n")
    assert "nothing was cut" in run("recover", "list", env=home).stdout


def test_what_was_cut_is_counted_by_status_type_and_cause(run, imported):
    home = imported(
        *(source_of(name) for name in ("kill9-foreground-subagent", "sigterm-during-tool", "task-tools"))
    )
    done = run("recover", "check", "--json", env={"HOLDFAST_HOME": str(home)})
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert (told["sessions"], told["agents"], told["calls"]) == (2, 3, 2)
    assert told["by_status"] == {"interrupted": 3}
    assert told["by_type"] == {"general-purpose": 1, "main": 2}
    assert told["by_cause"] == {"exited": 1, "unknown": 1}
    assert told["first_at"] <= told["last_at"]
    first = run(env={"HOLDFAST_HOME": str(home)}).stdout
    assert "2 interrupted" in first
    assert "holdfast recover list" in first


def test_what_a_person_says_holds_and_survives_a_rebuild(run, imported):
    home = {
        "HOLDFAST_HOME": str(
            imported(source_of("kill9-foreground-subagent"), source_of("sigterm-during-tool"))
        )
    }
    assert (
        run("recover", "mark", "a3cf8bd9", "completed", "--why", "its file is there", env=home).returncode
        == 0
    )
    assert run("recover", "mark", "5555", "failed", env=home).returncode == 0
    for _ in range(2):
        every = json.loads(run("recover", "list", "--json", "--all", env=home).stdout)["sessions"]
        by_id = {one["session"]["id"][:4]: one for one in every}
        assert stands(by_id["5555"]) == FAILED
        [agent] = [agent for agent in by_id["3333"]["agents"] if agent["id"]]
        assert stands(agent) == DONE
        assert agent["why"] == "a person said so: its file is there"
        cut = json.loads(run("recover", "check", "--json", env=home).stdout)
        assert [one[:4] for one in cut["ids"]] == ["3333"]
        assert run("rebuild", env=home).returncode == 0


def test_clearing_asks_keeps_everything_and_refuses_the_living(run, home, config, imported):
    imported(source_of("kill9-during-tool"), into=home)
    assert run("recover", "clear").stdout.endswith("nothing was changed (--yes does it)\n")
    assert run("recover", "check").returncode == 3
    assert "nothing is to be cleared" in run("recover", "clear", "--older-than", "2020-01-01", "--yes").stdout
    with running() as process:
        entry = list_process(config, KILLED, process.pid)
        for command in (["clear", KILLED, "--yes"], ["mark", KILLED, "failed"]):
            refused = run("recover", *command)
            assert refused.returncode == 4
            assert f"{KILLED} is alive" in refused.stderr
        entry.unlink()
    records = b"".join(path.read_bytes() for path in sorted((home / "journal").iterdir()))
    assert "1 session cleared" in run("recover", "clear", "--yes").stdout
    assert run("recover", "check").returncode == 0
    assert b"".join(path.read_bytes() for path in sorted((home / "journal").iterdir())).startswith(
        records[:1000]
    )
    assert KILLED in run("recover", "list", "--all", "--json").stdout


def test_one_session_is_shown_with_its_files_effects_and_packet(run, imported):
    home = {
        "HOLDFAST_HOME": str(imported(source_of("async-subagents"), source_of("kill9-foreground-subagent")))
    }
    shown = run("recover", "show", "3e8f", env=home).stdout
    assert "created: notes.md" in shown
    assert "done: delete ./should-be-denied" in shown
    assert "carry on" not in shown
    assert "carry on: holdfast recover resume 33333333" in run("recover", "show", "3333", env=home).stdout
    packet = run("recover", "packet", "a3cf8bd9", env=home).stdout
    assert packet == run("handoff", "3333", env=home).stdout
    assert "**outcome unknown**" in packet


def grown(path: Path, session: str, moment: str) -> None:
    """A prompt and a call without a result, as if somebody had gone on and died again."""
    call = {"type": "tool_use", "id": f"toolu_{moment[:10]}", "name": "Bash", "input": {"command": "make"}}
    told = [
        ("user", {"role": "user", "content": "go on"}),
        ("assistant", {"id": f"msg_{moment[:10]}", "role": "assistant", "content": [call]}),
    ]
    common = {"timestamp": moment, "sessionId": session}
    with path.open("a") as file:
        for kind, message in told:
            line = common | {"type": kind, "uuid": f"{kind}-{moment}", "message": message}
            file.write(json.dumps(line) + "\n")


@pytest.mark.parametrize("said", [["mark", "completed"], ["clear", "--yes"], ["fork"]])
def test_what_settled_it_settles_nothing_that_came_later(said, run, home, tmp_path):
    """A word of a person, and a fork that went on, are about what there was then."""
    place = tmp_path / "copy"
    shutil.copytree(source_of("kill9-foreground-subagent"), place)
    [transcript] = place.glob("*.jsonl")
    assert run("import", place).returncode == 0
    if said == ["fork"]:
        assert run("import", source_of("fork-after-kill9")).returncode == 0
    else:
        assert run("recover", said[0], transcript.stem, *said[1:]).returncode == 0
    assert run("recover", "check").returncode == 0
    grown(transcript, transcript.stem, "2099-01-01T00:00:00Z")
    assert run("import", place).returncode == 0
    done = run("recover", "check", "--json", env={"HOLDFAST_NOW": "2099-01-02T00:00:00Z"})
    assert (done.returncode, json.loads(done.stdout)["ids"]) == (3, [transcript.stem])


def test_an_agent_that_was_cut_in_a_session_that_ended_is_told(run, home, tmp_path):
    """A background agent that died with its session, which said goodbye."""
    place = tmp_path / "copy"
    shutil.copytree(source_of("async-subagents"), place)
    [main] = place.glob("*.jsonl")
    main.write_text("".join(main.read_text().splitlines(keepends=True)[:72]))
    [own] = place.rglob("agent-a0412924*.jsonl")
    lines = own.read_text().splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if '"tool_use"' in line)
    own.write_text("".join(lines[: last + 1]))
    [meta] = place.rglob("agent-a0412924*.meta.json")
    said = json.loads(meta.read_text())
    meta.write_text(json.dumps({name: value for name, value in said.items() if name != "finished"}))
    assert run("recover", "check").returncode == 0
    (home / "inbox").mkdir(mode=0o700, exist_ok=True)
    left = {"session_id": main.stem, "hook_event_name": "SessionEnd", "reason": "other"}
    (home / "inbox" / "claude").write_text(json.dumps(left) + "\n")
    assert run("import", place).returncode == 0
    done = run("recover", "check", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["by_type"] == {"reviewer": 1}


def test_a_name_that_fits_nothing_or_several_is_refused(run, imported):
    home = {
        "HOLDFAST_HOME": str(imported(source_of("async-subagents"), source_of("kill9-foreground-subagent")))
    }
    nothing = run("recover", "show", "zzz", env=home)
    assert nothing.returncode == 3
    assert "no session or agent starts with 'zzz'" in nothing.stderr
    several = run("recover", "show", "a", env=home)
    assert several.returncode == 2
    one = run("recover", "show", "3333/a3cf", env=home)
    assert one.returncode == 0
    assert "at byte" in one.stdout
