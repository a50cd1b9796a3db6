"""What is changed of a launch so that process, session and spans are one: values in, values out."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest

from holdfast.supervise import tools

AGENT = "0123456789ab"
ABOVE = "ba9876543210"
SESSION = "8f14e45f-ceea-467f-9bd2-2f0d3b6f1c11"
NEW = "99999999-9999-4999-8999-999999999999"
PROGRAMS = {"claude": "claude", "codex": "codex"}
OURS = {"Stop": [{"hooks": [{"type": "command", "command": "ours"}]}]}
FILES = PurePosixPath("/srv/run/agent/0001")


def prepare(*argv, environment=None, hooks=None, own=None, installed=(), programs=PROGRAMS, attempt=1):
    return tools.prepare(
        tools.Asked(AGENT, attempt, argv, environment or {}, programs, hooks or {}, FILES, installed, own)
    )


def chosen(attempt=1):
    """The id that a session gets where none is given."""
    found = prepare("claude", attempt=attempt).session
    return found.removeprefix("claude:")


def trace(environment=None):
    return prepare("sleep", environment=environment).environment.get(tools.TRACE)


# ── which tool ──


@pytest.mark.parametrize(
    ("argv", "tool"),
    [
        (["claude"], "claude"),
        (["/opt/bin/claude", "-p", "x"], "claude"),
        (["codex", "exec", "x"], "codex"),
        (["python", "claude"], None),
        (["claude-squad"], None),
        (["claude", "mcp", "list"], None),
        (["codex", "login"], None),
        (["codex", "review"], "codex"),
        ([], None),
    ],
)
def test_a_tool_is_known_by_its_program_and_plain_commands_of_it_are_none(argv, tool):
    assert tools.tool_of(argv, PROGRAMS) == tool


def test_a_tool_is_known_by_what_the_settings_call_it():
    named = {"claude": "/opt/tools/cc-2.1", "codex": "cx"}
    assert tools.tool_of(["/opt/tools/cc-2.1"], named) == "claude"
    assert tools.tool_of(["/elsewhere/cx"], named) == "codex"
    assert tools.tool_of(["claude"], named) == "claude"


def test_a_command_of_no_tool_is_started_as_it_was_given():
    found = prepare("sh", "-c", "claude --resume", hooks=OURS)
    assert found.argv == ["sh", "-c", "claude --resume"]
    assert (found.tool, found.session, found.files, found.notes) == (None, None, {}, [])


# ── the session of Claude Code ──


def test_a_new_session_gets_its_id_before_it_begins():
    found = prepare("claude", "-p", "do it")
    assert found.argv == ["claude", "--session-id", chosen(), "-p", "do it"]
    assert found.session == f"claude:{chosen()}"


def test_each_life_of_an_agent_is_a_session_of_its_own_and_the_same_when_asked_again():
    assert chosen(1) != chosen(2)
    assert chosen(1) == chosen(1)


def test_the_session_of_a_later_life_is_known_from_that_of_the_first():
    first = prepare("claude").session
    assert tools.session_of(first, AGENT, 1) == first
    assert tools.session_of(first, AGENT, 2) == prepare("claude", attempt=2).session
    for other in (f"claude:{SESSION}", f"run:{AGENT}"):
        assert tools.session_of(other, AGENT, 2) == other


@pytest.mark.parametrize(
    ("words", "session"),
    [
        (["--session-id", SESSION], SESSION),
        ([f"--session-id={SESSION}", "-p", "x"], SESSION),
        (["--resume", SESSION], SESSION),
        ([f"--resume={SESSION}"], SESSION),
        (["-r", SESSION, "-p", "x"], SESSION),
        ([f"-r{SESSION}"], SESSION),
        (["-pr", SESSION, "x"], SESSION),
        (["--resume", SESSION, "--fork-session", "--session-id", NEW], NEW),
        (["--resume", SESSION, "--session-id", NEW], NEW),
        (["--bg", "x"], None),
        (["--version"], None),
        (["-ph"], None),
    ],
)
def test_words_that_choose_a_session_stay_as_they_are(words, session):
    """Also contradictory ones: the tool says what is wrong with them."""
    found = prepare("claude", *words)
    assert found.argv == ["claude", *words]
    assert found.session == (None if session is None else f"claude:{session}")


@pytest.mark.parametrize(
    "words",
    [
        ["--resume"],
        ["--resume", "--model", "x"],
        ["--resume", "a title"],
        ["--continue"],
        ["-c"],
        ["-pc", "x"],
        ["--from-pr", "7"],
    ],
)
def test_a_session_that_only_the_tool_knows_is_told_by_a_hook_of_the_launch(words):
    found = prepare("claude", *words)
    assert found.session is None
    assert found.argv == ["claude", "--settings", "/srv/run/agent/0001/settings.json", *words]
    settings = json.loads(found.files["settings.json"])
    [group] = settings["hooks"]["SessionStart"]
    [entry] = group["hooks"]
    assert tools.SESSIONS_FILE in entry["command"]


@pytest.mark.parametrize("id_", ["x\udcff", "../../x", "x\ny", "", "a" * 5_000, "not-a-uuid"])
def test_an_id_that_is_none_is_left_for_the_tool_to_refuse(id_):
    prepared = prepare("claude", "--session-id", id_, "-p", "go")
    assert (prepared.session, prepared.argv[-4:]) == (None, ["--session-id", id_, "-p", "go"])


def test_what_that_hook_keeps_is_read_in_order_and_what_is_cut_tells_nothing():
    said = [{"session_id": "b", "source": "resume"}, {"session_id": "a"}, {"session_id": "b"}, {"other": 1}]
    content = b"".join(json.dumps(one).encode() + b"\n" for one in said)
    assert tools.sessions_in(content + b'{"session_id": "c", "sou') == ["b", "a"]
    assert tools.sessions_in(b"") == []


@pytest.mark.parametrize("words", [["--resume", SESSION], ["--continue"], ["-r", "a title"], ["-c", "-p"]])
def test_a_fork_is_a_new_session_so_its_id_is_chosen(words):
    found = prepare("claude", *words, "--fork-session")
    assert found.argv == ["claude", "--session-id", chosen(), *words, "--fork-session"]
    assert found.session == f"claude:{chosen()}"


@pytest.mark.parametrize("words", [["-p", "x", "--", "--resume"], ["-n", "resume"], ["-p", "--", "-c"]])
def test_words_behind_two_dashes_and_values_are_no_options(words):
    assert prepare("claude", *words).session == f"claude:{chosen()}"


# ── hooks of one launch ──


def merged(*words, **more):
    found = prepare("claude", "--session-id", SESSION, *words, hooks=OURS, **more)
    return found, json.loads(found.files["settings.json"])


def test_hooks_that_are_not_installed_are_passed_for_this_launch_only():
    found, settings = merged("-p", "x")
    assert found.argv == [
        "claude", "--settings", "/srv/run/agent/0001/settings.json", "--session-id", SESSION, "-p", "x",
    ]  # fmt: skip
    assert settings == {"hooks": OURS}


def test_hooks_that_are_installed_are_not_passed_unless_those_files_are_left_out():
    hooks = OURS | {"Setup": OURS["Stop"]}
    assert prepare("claude", hooks=hooks, installed=set(hooks)).files == {}
    some = prepare("claude", hooks=hooks, installed={"Stop"}).files["settings.json"]
    assert list(json.loads(some)["hooks"]) == ["Setup"]
    for words in (["--setting-sources", "project"], ["--restricted"]):
        every = prepare("claude", *words, hooks=hooks, installed=set(hooks)).files["settings.json"]
        assert list(json.loads(every)["hooks"]) == ["Stop", "Setup"]


@pytest.mark.parametrize("inline", [True, False])
def test_settings_of_a_persons_own_are_kept_and_their_hooks_come_first(inline):
    theirs = {"hooks": [{"type": "command", "command": "theirs"}]}
    own = {
        "model": "x",
        "hooks": {"Stop": [theirs], "Mine": [theirs]},
        "permissions": {"allow": ["Read(//a)"]},
    }
    given = json.dumps(own) if inline else "mine.json"
    found, settings = merged(
        "-p", "--settings", given, "go", own=None if inline else json.dumps(own).encode()
    )
    assert found.argv[3:] == ["-p", "--settings", "/srv/run/agent/0001/settings.json", "go"]
    assert settings == own | {"hooks": {"Stop": [theirs, *OURS["Stop"]], "Mine": [theirs]}}
    assert list(settings["hooks"]) == ["Stop", "Mine"]


def test_of_two_settings_the_last_counts_and_takes_ours():
    found, settings = merged('--settings={"model":"a"}', '--settings={"model":"b"}')
    assert found.argv[3:] == ['--settings={"model":"a"}', "--settings", "/srv/run/agent/0001/settings.json"]
    assert settings["model"] == "b"


@pytest.mark.parametrize(
    ("words", "own"),
    [
        (["--settings", "gone.json"], None),
        (["--settings", "bad.json"], b"{"),
        (["--settings", "list.json"], b"[]"),
        (["--settings", '{"hooks": 1}'], None),
        (["--settings", '{"hooks": {"Stop": 1}}'], None),
        (["--settings"], None),
    ],
)
def test_settings_that_cannot_be_understood_stay_for_the_tool_to_refuse(words, own):
    found = prepare("claude", "--session-id", SESSION, *words, hooks=OURS, own=own)
    assert found.argv == ["claude", "--session-id", SESSION, *words]
    assert found.files == {}


@pytest.mark.parametrize("rule", ["Read(/src/**)", "Edit(/x)"])
def test_settings_whose_rules_depend_on_where_they_lie_are_not_moved(rule):
    own = json.dumps({"permissions": {"deny": [rule]}}).encode()
    found = prepare("claude", "--session-id", SESSION, "--settings", "s.json", hooks=OURS, own=own)
    assert found.argv[3:] == ["--settings", "s.json"]
    assert found.files == {}
    [note] = found.notes
    assert "s.json" in note


def test_the_file_that_has_to_be_read_first_is_named():
    assert tools.settings_file(["claude", "-p", "--settings", "a.json"]) == "a.json"
    assert tools.settings_file(["claude", "--settings=a.json", "--settings=b.json"]) == "b.json"
    assert tools.settings_file(["claude", "--settings", ' {"a": 1}\n']) is None
    assert tools.settings_file(["claude", "--settings"]) is None
    assert tools.settings_file(["claude"]) is None


# ── Codex ──


@pytest.mark.parametrize(
    ("words", "session"),
    [
        (["exec", "x"], None),
        (["exec", "resume", SESSION, "-"], SESSION),
        (["exec", "resume", "-c", 'a="b"', SESSION.upper()], SESSION),
        (["resume", SESSION], SESSION),
        (["resume", "--last"], None),
        (["exec", "resume", "--last", SESSION], None),
        (["exec", "fork", SESSION], None),
        (["exec", "--", "resume", SESSION], None),
    ],
)
def test_a_thread_of_codex_is_known_beforehand_only_where_it_is_gone_on_with(words, session):
    found = prepare("codex", *words, hooks=OURS)
    assert found.argv == ["codex", *words]
    assert (found.session, found.files) == (None if session is None else f"codex:{session}", {})


def test_a_thread_of_codex_is_learnt_from_what_it_prints_first():
    said = b'WARNING: x\nReading\n{"type":"thread.started","thread_id":"%s"}\n{"type":"turn.started"}\n'
    assert tools.thread_in(said % SESSION.encode()) == SESSION
    banner = b"OpenAI Codex\n--------\nworkdir: /srv\nsession id: %s\n--------\nuser\nsession id: %s\n"
    assert tools.thread_in(banner % (SESSION.encode(), ABOVE.encode())) == SESSION
    assert tools.thread_in(b'say "session id: %s"' % SESSION.encode()) is None
    assert tools.thread_in(b'{"type":"thread.started","thread_id":"%s' % SESSION.encode()[:20]) is None
    assert tools.thread_in(b"\x1b[1msession id:\x1b[0m %s\n" % SESSION.encode()) == SESSION
    assert tools.thread_in(b"") is None


# ── spans, and who started whom ──


def test_an_agent_is_told_its_id_and_a_trace_that_is_made_of_it():
    found = prepare("sleep", "1").environment
    assert found[tools.AGENT] == AGENT
    version, trace_id, span, flags = found[tools.TRACE].split("-")
    assert (version, trace_id, flags) == ("00", tools.trace_id(AGENT), "01")
    assert len(bytes.fromhex(trace_id)) == 16
    assert len(bytes.fromhex(span)) == 8


def test_a_trace_that_somebody_else_began_goes_on():
    given = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    assert trace({tools.TRACE: given}) is None
    assert trace({tools.TRACE: given, tools.AGENT: ABOVE}) is None


def test_what_the_agent_above_was_told_of_itself_is_not_taken_for_its_childs():
    above = tools.prepare(tools.Asked(ABOVE, 1, ["sh"], {}, PROGRAMS, {}, FILES)).environment
    assert trace(above) == trace()
    assert trace({tools.TRACE: ""}) == trace()


def test_the_agent_above_is_the_one_that_the_environment_names():
    assert tools.parent_of({tools.AGENT: ABOVE}) == ABOVE
    for other in ({}, {tools.AGENT: ""}, {tools.AGENT: "../../etc"}, {tools.AGENT: ABOVE + "\n"}):
        assert tools.parent_of(other) is None


def test_settings_that_stand_in_a_command_are_not_told():
    inline = '{"env":{"TOKEN":"words"}}'
    command = [
        "claude",
        "--settings",
        inline,
        f"--settings={inline}",
        "-p",
        "{not settings}",
        "--settings",
        "file",
    ]
    told = tools.without_settings(command)
    assert "words" not in " ".join(told)
    assert told == [
        "claude",
        "--settings",
        "{...}",
        "--settings={...}",
        "-p",
        "{not settings}",
        "--settings",
        "file",
    ]
