"""Hooks: installed by the command, run as the tool runs them, recorded by whoever catches up next."""

from __future__ import annotations

import json
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast import hooks
from holdfast.capture import sink
from holdfast.journal import reader
from tests.conftest import REPO_ROOT

RECORDED = REPO_ROOT / "tests" / "data" / "claude-code"
SCENARIOS = sorted(path.parent.name for path in RECORDED.glob("*/hooks.ndjson"))
SOURCE = "claude.hook"
LIMIT_S = 60
NO_COMPILER = next(
    (None for name in ("cc", "gcc", "clang") if shutil.which(name)), "there is no C compiler here"
)
if not Path("/proc/sys/kernel/arch").exists():
    NO_COMPILER = "the kernel does not tell its processor"


@pytest.fixture
def user_settings(home) -> Path:
    path = Path(os.environ["CLAUDE_CONFIG_DIR"], "settings.json")
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def line(run, user_settings, home, request, monkeypatch) -> str:
    """The installed line of shell; with `dd`: as it is without our own program, with `perl`: as it is on macOS."""
    program = getattr(request, "param", "native")
    if program == "native" and NO_COMPILER:
        pytest.skip(NO_COMPILER)
    assert run("hooks", "install").returncode == 0
    if program != "native":
        shutil.rmtree(home / "bin", ignore_errors=True)
    if program == "perl":
        monkeypatch.setattr(sink.sys, "platform", "darwin")
        return sink.line(home / "inbox", "claude")
    return command_of(user_settings)


@pytest.fixture
def fire(line, user_settings):
    """Give a payload to the installed hook, as the tool does: by a shell, on standard input."""
    command = command_of(user_settings)

    def fired(payload: bytes, event: str = "PreToolUse", **options) -> subprocess.CompletedProcess[bytes]:
        assert json.loads(user_settings.read_bytes())["hooks"][event][-1]["hooks"][0]["command"] == command
        return subprocess.run(
            ["/bin/sh", "-c", line],
            input=payload,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            **options,
        )

    return fired


by_each = pytest.mark.parametrize("line", ["native", "dd", "perl"], indirect=True)


def command_of(path: Path) -> str:
    return json.loads(path.read_bytes())["hooks"]["SessionStart"][-1]["hooks"][0]["command"]


def payloads(scenario: str) -> list[bytes]:
    return (RECORDED / scenario / "hooks.ndjson").read_bytes().splitlines(keepends=True)


def recorded(home: Path) -> list[bytes]:
    """The payloads in the journal, in its order."""
    found = []
    for item in reader.read(home / "journal"):
        assert isinstance(item, reader.Found)
        if item.record.s == SOURCE and item.record.z is None:
            record = item.record
            raw = record.body_bytes()
            if raw is None:
                assert record.f is not None
                raw = (home / "blobs" / record.f.sha256).read_bytes()
            found.append(raw)
    return found


def silent(done: subprocess.CompletedProcess[bytes]) -> bool:
    return (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# ── installing ──


@pytest.mark.parametrize("scope", hooks.SCOPES)
def test_installing_adds_ours_and_keeps_theirs(scope, run, user_settings, tmp_path):
    """Every event gets one; what a person put there keeps its value; saying it again changes nothing; it can be taken back."""
    theirs = {
        "model": "opus",
        "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say done ✓"}]}], "Odd": []},
        "env": {"A": "1"},
    }
    path = {
        "user": user_settings,
        "project": tmp_path / "workspace" / ".claude" / "settings.json",
        "local": tmp_path / "workspace" / ".claude" / "settings.local.json",
    }[scope]
    path.parent.mkdir(exist_ok=True)
    before = json.dumps(theirs, indent=4, ensure_ascii=False)
    path.write_text(before)
    path.chmod(0o640)

    said = json.loads(run("hooks", "install", "--scope", scope, "--json").stdout)
    assert said["places"][0]["changed"] == list(hooks.EVENTS)
    now = json.loads(path.read_text())
    assert now["model"] == "opus"
    assert now["hooks"]["Stop"][0] == theirs["hooks"]["Stop"][0]
    assert all(now["hooks"][event][-1]["hooks"][0]["timeout"] == 5 for event in hooks.EVENTS)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_text().startswith('{\n    "')
    assert path.with_name(path.name + hooks.BACKUP_SUFFIX).read_text() == before

    written = path.read_bytes()
    assert "nothing to change" in run("hooks", "install", "--scope", scope).stdout
    assert path.read_bytes() == written
    [place] = [
        one
        for one in json.loads(run("hooks", "status", "--json").stdout)["places"]
        if (one["tool"], one["scope"]) == ("claude", scope)
    ]
    assert sorted(place["installed"]) == sorted(hooks.EVENTS)
    assert place["outdated"] == place["missing"] == []

    assert run("hooks", "uninstall", "--scope", scope).returncode == 0
    left = json.loads(path.read_text())
    theirs["hooks"].pop("Odd")
    left["hooks"].pop("Odd", None)
    assert left == theirs


def test_a_dry_run_changes_nothing(run, user_settings, home):
    done = run("hooks", "install", "--dry-run")
    assert f"{len(hooks.EVENTS)} hooks would be installed in" in done.stdout
    assert not user_settings.exists()


def test_an_outdated_hook_of_this_home_is_renewed_and_one_of_another_home_stays(run, user_settings, home):
    place = home / "inbox" / "claude"
    old = {"type": "command", "command": f"{sink.OURS} 0; cat >> {shlex.quote(str(place))}"}
    other = {"type": "command", "command": f"{sink.OURS} 1; cat >> /elsewhere/inbox/claude"}
    user_settings.write_text(json.dumps({"hooks": {"Stop": [{"hooks": [old, other]}]}}))
    assert "to renew: 1 outdated" in run("hooks", "status").stdout
    assert run("hooks", "install").returncode == 0
    groups = json.loads(user_settings.read_text())["hooks"]["Stop"]
    assert groups[0] == {"hooks": [other]}
    assert [entry["command"][: len(sink.OURS) + 2] for entry in groups[1]["hooks"]] == [f"{sink.OURS} 1"]
    assert run("hooks", "uninstall").returncode == 0
    assert json.loads(user_settings.read_text()) == {"hooks": {"Stop": [{"hooks": [other]}]}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"a": 1,}', "no JSON"),
        ('{"hooks": {}, "hooks": {"Stop": []}}', "stands in it twice"),
        ("[]", "no JSON object"),
        ('{"hooks": []}', "not an object of lists"),
        ('{"hooks": {"Stop": {}}}', "not an object of lists"),
        ("\udcff", "no JSON"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_settings_that_cannot_be_understood_are_not_touched(content, why, run, user_settings):
    raw = content.encode("utf-8", "surrogateescape")
    user_settings.write_bytes(raw)
    for command in ("install", "uninstall"):
        done = run("hooks", command)
        assert done.returncode == 50, done.stderr
        assert why in done.stderr
        assert str(user_settings) in done.stderr
    assert "cannot be read" in run("hooks", "status").stdout
    assert user_settings.read_bytes() == raw
    assert [path.name for path in user_settings.parent.iterdir()] == ["settings.json"]


def test_a_pipe_in_place_of_settings_is_told_and_holds_nobody_up(run, user_settings):
    os.mkfifo(user_settings)
    for command in ("install", "uninstall"):
        done = run("hooks", command)
        assert (done.returncode, "it is no plain file" in done.stderr) == (50, True)
    assert "cannot be read" in run("hooks", "status").stdout
    [found] = json.loads(run("uninstall", "--dry-run", "--json").stdout)["outside"]
    assert (found["where"], "it is no plain file" in found["what"]) == (str(user_settings), True)
    assert run().returncode == 0  # the first screen asks for how long the tool keeps sessions
    assert user_settings.is_fifo()


def test_a_link_stays_one(run, user_settings, tmp_path):
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    user_settings.symlink_to(real)
    assert run("hooks", "install").returncode == 0
    assert user_settings.is_symlink()
    assert "hooks" in json.loads(real.read_text())


def test_leaving_names_the_hooks_and_how_they_are_removed(run, user_settings):
    run("hooks", "install")
    found = json.loads(run("uninstall", "--dry-run", "--json").stdout)["outside"]
    assert [one["remedy"] for one in found] == ["holdfast hooks uninstall"]


# ── our own program ──


@pytest.mark.skipif(NO_COMPILER is not None, reason=NO_COMPILER or "")
def test_our_own_program_is_compiled_once_and_goes_with_the_home(run, user_settings, home):
    said = json.loads(run("hooks", "install", "--json").stdout)
    program = home / "bin" / f"hook-{Path('/proc/sys/kernel/arch').read_text().strip()}"
    assert (said["program"], said["program_why"]) == (str(program), None)
    made = program.stat()
    assert made.st_mode & 0o777 == 0o700
    assert str(program) in run("hooks", "install").stdout
    assert program.stat().st_ino == made.st_ino
    assert sorted((path.name for path in program.parent.iterdir()), key=len, reverse=True) == [
        program.name,
        "hook.c",
    ]
    (program.parent / "hook.c").write_text("/* of an earlier version */")
    run("hooks", "install")
    assert program.stat().st_ino != made.st_ino
    assert json.loads(run("hooks", "status", "--json").stdout)["program"] == str(program)
    assert run("hooks", "uninstall").returncode == 0
    assert run("uninstall", "--purge", "--yes").returncode == 0
    assert not home.exists()


@pytest.mark.parametrize(
    ("compiler", "why"),
    [
        (None, "there is no C compiler"),
        ("echo no room >&2; exit 1", "no room"),
        ('while [ "$1" != -o ]; do shift; done; printf "#!/bin/sh\\nexit 3" > "$2"', "does not work here"),
        ('while [ "$1" != -o ]; do shift; done; : > "$2"', "bin/.hook."),
    ],
)
def test_where_it_cannot_be_compiled_hooks_work_without(compiler, why, run, user_settings, home, tmp_path):
    """It is said why, and nothing is left of it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dd", "cat", "sh"):
        (tools / name).symlink_to(shutil.which(name))
    if compiler is not None:
        (tools / "cc").write_text(f"#!/bin/sh\n{compiler}\n")
        (tools / "cc").chmod(0o700)
    done = run("hooks", "install", env={"PATH": str(tools)})
    assert done.returncode == 0, done.stderr
    assert "they run programs of the system" in done.stdout
    assert why in done.stdout
    assert "programs of the system" in run("hooks", "status").stdout
    assert not any((home / "bin").glob("*"))
    given = b'{"session_id":"a"}\n'
    command = command_of(user_settings)
    assert silent(subprocess.run(["/bin/sh", "-c", command], input=given, capture_output=True, check=False))
    assert (home / "inbox" / "claude").read_bytes() == given


# ── what hooks leave ──


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_recorded_payloads_come_through_the_installed_hook_once(scenario, fire, run, home):
    """Each in its order; the spool is gone then; answers about the transcript stay as they are without hooks."""
    given = payloads(scenario)
    transcripts = RECORDED / scenario / "transcript"
    assert run("import", transcripts).returncode == 0
    known = json.loads(run("sessions", "--json").stdout)["sessions"]
    for payload in given:
        assert silent(fire(payload, json.loads(payload)["hook_event_name"]))
    assert (home / "inbox" / "claude").stat().st_mode & 0o777 == 0o600
    assert run("sessions").returncode == 0
    assert recorded(home) == [payload.rstrip(b"\n") for payload in given]
    assert list((home / "inbox").iterdir()) == []
    assert run("import", transcripts).returncode == 0
    assert len(recorded(home)) == len(given)
    assert json.loads(run("sessions", "--json").stdout)["sessions"] == known


def test_what_transcripts_lack_is_shown(fire, run):
    """Who was asked, and that the session was left."""
    scenario = "tui-esc-interrupts-sigterm"
    run("import", RECORDED / scenario / "transcript")
    for payload in payloads(scenario):
        fire(payload)
    [session] = json.loads(run("sessions", "--json").stdout)["sessions"]
    told = json.loads(run("timeline", session["id"], "--json").stdout)["entries"]
    kinds = [event["kind"] for event in told]
    assert "session.ended" in kinds
    assert "notice.raised" in kinds


@by_each
def test_fifty_at_once_come_whole(fire, run, home):
    """Of 100 bytes to 8 MB each; a recorder comes by meanwhile."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    sizes = [100, 8 << 20, (8 << 20) - 1, 1 << 20, (1 << 20) + 1] + [
        dice.choice((200, 5_000, 70_000, 400_000)) for _ in range(45)
    ]
    given = []
    for number, size in enumerate(sizes):
        head = b'{"session_id":"s","n":%d,"pad":"' % number
        given.append(head + b"x" * (size - len(head) - 3) + b'"}\n')
    with ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(fire, payload) for payload in given]
        while not all(future.done() for future in futures):
            run("sessions")
        assert all(silent(future.result()) for future in futures)
    run("sessions")
    assert sorted(recorded(home)) == sorted(payload[:-1] for payload in given)
    assert list((home / "inbox").iterdir()) == []


@by_each
def test_a_payload_that_is_too_long_is_told_and_harms_no_other(fire, run, home):
    assert silent(fire(b'{"session_id":"a"}\n'))
    assert silent(fire(b'{"session_id":"b","pad":"' + b"x" * (9 << 20) + b'"}\n'))
    assert silent(fire(b'{"session_id":"c"}\n'))
    assert run("sessions").returncode == 0
    first, note, last = recorded(home)
    assert (first, last) == (b'{"session_id":"a"}', b'{"session_id":"c"}')
    assert json.loads(note) == {"too_long": True, "least_bytes": (8 << 20) + 1}
    assert "a payload of more than 8,388,609 bytes" in run("doctor").stdout


def test_payloads_that_are_too_long_are_told_where_nothing_follows(fire, run, home):
    """The last in a spool, and two at once: neither has a line end."""
    for _ in range(2):
        assert silent(fire(b"x" * (9 << 20)))
    assert run("sessions").returncode == 0
    assert list(map(json.loads, recorded(home))) == [{"too_long": True, "least_bytes": (8 << 20) + 1}] * 2


def test_a_spool_that_somebody_has_open_stays_until_he_lets_go(fire, run, home):
    """What he writes then is recorded too, and nothing twice."""
    fire(b'{"session_id":"a"}\n')
    with (home / "inbox" / "claude").open("ab", buffering=0) as slow:
        assert run("sessions").returncode == 0
        assert len(recorded(home)) == 1
        slow.write(b'{"session_id":"b"}\n')
        assert run("sessions").returncode == 0
        slow.write(b'{"session_id":"c","torn')
        fire(b'{"session_id":"d"}\n')
    assert run("sessions").returncode == 0
    ids = [payload[15:16] for payload in recorded(home)]
    assert sorted(ids) == [b"a", b"b", b"c", b"d"]
    assert list((home / "inbox").iterdir()) == []


SPOILT = [
    "inbox gone",
    "inbox a file",
    "home gone",
    "disk full",
    "no programs",
    "a pipe",
    "odd variables",
    "a limit",
]


@by_each
@pytest.mark.parametrize("spoil", SPOILT)
def test_a_hook_harms_nobody(spoil, fire, home):
    """Whatever is wrong: nothing said, success, no wait."""
    env = dict(os.environ)
    place = home / "inbox"
    match spoil:
        case "inbox gone":
            place.rmdir()
        case "inbox a file":
            place.rmdir()
            place.write_text("")
        case "home gone":
            place.rmdir()
            home.rename(home.with_name("elsewhere"))
        case "disk full":
            (place / "claude").symlink_to("/dev/full")
        case "no programs":
            env["PATH"] = "/nonexistent"
        case "a pipe":
            os.mkfifo(place / "claude")
            reader_fd = os.open(place / "claude", os.O_RDONLY | os.O_NONBLOCK)
    assert silent(fire(b'{"session_id":"a"}\n', env=env))
    if spoil == "a pipe":
        os.close(reader_fd)


@pytest.mark.parametrize("line", ["perl"], indirect=True)
def test_variables_of_perl_change_nothing(fire, home):
    """What a person set for programs of his own."""
    odd = {
        "PERL5OPT": "-MNot::There",
        "PERL5LIB": "/nonexistent",
        "PERLIO": ":odd",
        "PERL_UNICODE": "SD",
        "LC_MESSAGES": "xx",
    }
    payload = '{"session_id":"é"}\n'.encode()
    assert silent(fire(payload, env=os.environ | odd))
    assert (home / "inbox" / "claude").read_bytes() == payload


@by_each
def test_a_limit_on_files_is_not_the_tools_trouble(fire, home):
    """The system ends who writes beyond it, if nothing is done."""
    (home / "inbox" / "claude").write_bytes(b"x" * 4096)

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    assert silent(fire(b'{"session_id":"a"}\n', preexec_fn=limited))


@by_each
@pytest.mark.parametrize("spoil", ["nothing", "home gone", "disk full"])
@pytest.mark.parametrize("size_bytes", [100, 200_000, 8 << 20, (8 << 20) + 1, 20 << 20])
def test_a_hook_takes_all_of_a_payload(spoil, size_bytes, line, home):
    """However long it is, and whatever is wrong: the tool meets no broken pipe."""
    if spoil == "home gone":
        home.rename(home.with_name("elsewhere"))
    elif spoil == "disk full":
        (home / "inbox" / "claude").symlink_to("/dev/full")
    with subprocess.Popen(["/bin/sh", "-c", line], stdin=subprocess.PIPE) as hook:
        assert hook.stdin is not None
        hook.stdin.write(b"x" * size_bytes + b"\n")
        hook.stdin.close()
    assert hook.returncode == 0


def test_a_recorder_that_dies_loses_and_repeats_nothing(fire, run, home):
    """Killed at one step or another, again and again, while hooks go on."""
    given = [b'{"session_id":"s","n":%d}\n' % number for number in range(30)]
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for payload in given:
        fire(payload)
        where = dice.choice(("inbox.taken", "inbox.appended", "inbox.recorded", "store.folded", "", ""))
        done = run("sessions", env={"HOLDFAST_FAILPOINTS": f"{where}=kill"} if where else {})
        assert done.returncode == (-signal.SIGKILL if where else 0)
    assert run("sessions").returncode == 0
    assert sorted(recorded(home)) == sorted(payload[:-1] for payload in given)
    assert list((home / "inbox").iterdir()) == []


def test_what_cannot_be_read_in_the_inbox_holds_up_nothing_else(fire, run, home):
    """It is named, and stays."""
    odd = home / "inbox" / "claude-00000000-0000-0000-0000-000000000000"
    odd.symlink_to("/dev/full")
    fire(b'{"session_id":"a"}\n')
    done = run("import", RECORDED / "api-error-400" / "transcript")
    assert str(odd) in done.stderr
    assert recorded(home) == [b'{"session_id":"a"}']
    assert odd.is_symlink()


def test_a_forgotten_session_takes_its_payloads_along_and_no_others(fire, run, home):
    """Also those that its hooks leave afterwards."""
    for name in ("mine", "theirs"):
        fire(b'{"session_id":"%b","hook_event_name":"SessionStart","source":"startup"}\n' % name.encode())
        fire(b'{"session_id":"%b","hook_event_name":"PreToolUse","tool_name":"x-%b"}\n' % (name.encode(), name.encode()))  # fmt: skip
    run("sessions")
    assert run("forget", "mine", "--yes").returncode == 0
    fire(b'{"session_id":"mine","hook_event_name":"Stop"}\n')
    run("sessions")
    assert [b"theirs" in payload for payload in recorded(home)] == [True, True]
    held = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"x-mine" not in held
    assert b'"mine"' not in held
