"""Codex's hooks and `notify`: installed by the command, trusted by nobody else, run as Codex runs them."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast import hooks
from holdfast.capture import sink
from holdfast.journal import reader
from tests.conftest import REPO_ROOT
from tests.e2e.test_hooks import LIMIT_S, NO_COMPILER, silent

RECORDED = REPO_ROOT / "tests" / "data" / "codex"
SCENARIOS = sorted(path.name for path in RECORDED.iterdir())
CONFIG = '#:schema ./codex.json\n# of mine\nmodel = "gpt"  # the best\n\n[features]\nweb = true\n'


@pytest.fixture
def codex(home, tmp_path, monkeypatch) -> Path:
    path = tmp_path / "codex"
    path.mkdir()
    monkeypatch.setenv("CODEX_HOME", str(path))
    return path


by_each = pytest.mark.parametrize("program", ["native", "dd"])


def installed(run, home, program: str) -> None:
    """With `dd`: as it is without our own program."""
    if program == "native" and NO_COMPILER:
        pytest.skip(NO_COMPILER)
    assert run("hooks", "install").returncode == 0
    if program == "dd":
        shutil.rmtree(home / "bin", ignore_errors=True)


def places(run, tool: str = "codex") -> dict[str, dict]:
    found = json.loads(run("hooks", "status", "--json").stdout)["places"]
    return {place["scope"]: place for place in found if place["tool"] == tool}


def approve(codex: Path, path: Path) -> None:
    """What `/hooks` of Codex writes: the key and the digest of each hook of a file."""
    lines = []
    for event, groups in json.loads(path.read_text())["hooks"].items():
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in event).strip("_")
        for number, group in enumerate(groups):
            for at, entry in enumerate(group["hooks"]):
                known = {"event_name": name, "hooks": [entry | {"async": False}]}
                text = json.dumps(known, sort_keys=True, separators=(",", ":")).encode()
                lines += [f"[hooks.state.{json.dumps(f'{path}:{name}:{number}:{at}')}]"]
                lines += [f'trusted_hash = "sha256:{hashlib.sha256(text).hexdigest()}"']
    with (codex / "config.toml").open("a") as config:
        config.write("\n".join(["", *lines, ""]))


# ── installing ──


def test_what_stands_in_the_files_stays(run, codex):
    """Hooks beside theirs, `notify` on one line of its own; twice changes nothing; both can be taken back."""
    theirs = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say done"}]}]}}
    (codex / "hooks.json").write_text(json.dumps(theirs))
    (codex / "config.toml").write_text(CONFIG)
    [said] = json.loads(run("hooks", "install", "--json").stdout)["places"]
    assert said["changed"] == list(hooks.CODEX_EVENTS)
    assert (said["notify"], said["notify_changed"], said["trust"]) == ("installed", True, "untrusted")
    now = json.loads((codex / "hooks.json").read_text())["hooks"]
    assert now["Stop"][0] == theirs["hooks"]["Stop"][0]
    assert {groups[-1]["hooks"][0]["timeout"] for groups in now.values()} == {3}
    text = (codex / "config.toml").read_text()
    assert tomllib.loads(text) == tomllib.loads(CONFIG) | {"notify": tomllib.loads(text)["notify"]}
    assert [line for line in text.splitlines() if not line.startswith("notify")] == CONFIG.splitlines()
    assert (codex / "config.toml.before-holdfast").read_text() == CONFIG

    written = {path.name: path.read_bytes() for path in codex.iterdir()}
    assert "nothing to change" in run("hooks", "install").stdout
    assert {path.name: path.read_bytes() for path in codex.iterdir()} == written

    assert run("hooks", "uninstall").returncode == 0
    assert json.loads((codex / "hooks.json").read_text()) == theirs
    assert (codex / "config.toml").read_text() == CONFIG


def test_every_tool_whose_directory_is_there_gets_them(run, codex, tmp_path):
    (tmp_path / "claude").mkdir()
    done = run("hooks", "install")
    assert str(tmp_path / "claude" / "settings.json") in done.stdout
    assert str(codex / "hooks.json") in done.stdout
    assert run("hooks", "uninstall", "--tool", "claude").returncode == 0
    assert len(places(run)["user"]["installed"]) == len(hooks.CODEX_EVENTS)
    assert places(run, "claude")["user"]["installed"] == []


def test_a_tool_must_be_named_where_none_is_found(run, home):
    done = run("hooks", "install")
    assert done.returncode == 2
    assert "--tool" in done.stderr
    assert run("hooks", "install", "--tool", "codex", "--scope", "local").returncode == 2


@pytest.mark.parametrize(
    "config",
    ['notify = ["bell"]\n', 'model = "x"\nnotify = [\n  "bell", # mine\n]\n[t]\n', 'notify = "bell"\n'],
)
def test_a_notify_of_theirs_stays(config, run, codex):
    (codex / "config.toml").write_text(config)
    done = run("hooks", "install")
    assert "runs another command, and stays" in done.stdout
    assert run("hooks", "uninstall").returncode == 0
    assert (codex / "config.toml").read_text() == config


@pytest.mark.parametrize("config", ["model = \n", "\udcff", 'a = "\n[b]\n', "a=1\na=2\n"])
def test_a_config_that_cannot_be_understood_is_not_touched(config, run, codex):
    raw = config.encode("utf-8", "surrogateescape")
    (codex / "config.toml").write_bytes(raw)
    done = run("hooks", "install")
    assert done.returncode == 50
    assert "no TOML" in done.stderr
    assert (codex / "config.toml").read_bytes() == raw
    assert places(run)["user"]["trust"] == "unknown"
    assert places(run)["user"]["notify"] == "unknown"


@pytest.mark.parametrize("file", ["config.toml", "hooks.json"])
def test_a_pipe_in_place_of_settings_is_told_and_holds_nobody_up(file, run, codex):
    os.mkfifo(codex / file)
    for command in ("install", "uninstall"):
        done = run("hooks", command)
        assert (done.returncode, f"{file}: it is no plain file" in done.stderr) == (50, True)
    assert run("hooks", "status").returncode == 0
    assert (codex / file).is_fifo()


@pytest.mark.parametrize(
    "config",
    [
        "",
        "[a]\nb = 1\n",
        'x = """\n[t]\nnotify = 1\n"""\n',
        "#:schema a",
        "a = 1\r\n[b]\r\nc = nan\r\n",
        "#!x\n#:y\n",
    ],
)
def test_notify_is_put_in_and_taken_out_of_any_config(config, run, codex):
    """However it is laid out meanwhile."""
    path = codex / "config.toml"
    path.write_bytes(config.encode())
    assert run("hooks", "install").returncode == 0
    ours = tomllib.loads(path.read_bytes().decode())["notify"]
    laid_out = "notify = [\n" + "".join(f"  {json.dumps(word)},\n" for word in ours) + "]\n"
    lines = path.read_bytes().decode().splitlines(keepends=True)
    path.write_bytes("".join(laid_out if one.startswith("notify = [") else one for one in lines).encode())
    assert "nothing to change" in run("hooks", "install").stdout
    assert run("hooks", "uninstall").returncode == 0
    assert path.read_bytes().decode().rstrip("\n") == config.rstrip("\n")


def test_an_outdated_notify_of_this_home_is_renewed(run, codex, home):
    place = shlex.quote(str(home / "inbox" / "codex"))
    old = ["sh", "-c", f"{sink.OURS} 0; cat >> {place}", "x"]
    (codex / "config.toml").write_text(f"a = 1\nnotify = {json.dumps(old)}\n")
    assert places(run)["user"]["notify"] == "outdated"
    assert run("hooks", "install").returncode == 0
    assert tomllib.loads((codex / "config.toml").read_text())["notify"] == sink.notified(home / "inbox")


def test_leaving_names_them_and_how_they_are_removed(run, codex, tmp_path):
    run("hooks", "install")
    found = json.loads(run("uninstall", "--dry-run", "--json").stdout)["outside"]
    assert [Path(one["where"]).name for one in found] == ["hooks.json", "config.toml"]
    assert {one["remedy"] for one in found} == {"holdfast hooks uninstall"}


def test_hooks_in_two_places_are_told(run, codex):
    """Codex runs both, and says so at each start; what it keeps of trust is no hook."""
    config = '[[hooks.Stop]]\n[[hooks.Stop.hooks]]\ntype = "command"\ncommand = "true"\n'
    (codex / "config.toml").write_text("[hooks.state]\n")
    assert "holds hooks too" not in run("hooks", "install").stdout
    (codex / "config.toml").write_text(config)
    assert "holds hooks too" in run("hooks", "status").stdout
    assert run("hooks", "uninstall").returncode == 0
    assert (codex / "config.toml").read_text() == config
    assert "config.toml beside it holds hooks too" in run("hooks", "install").stdout
    assert places(run)["user"]["two_places"]


def test_links_stay_links(run, codex, tmp_path):
    (tmp_path / "dotfiles.toml").write_text(CONFIG)
    (codex / "config.toml").symlink_to(tmp_path / "dotfiles.toml")
    assert run("hooks", "install").returncode == 0
    assert (codex / "config.toml").is_symlink()
    assert "notify" in (tmp_path / "dotfiles.toml").read_text()


# ── trust ──


def test_trust_is_told_as_a_person_gave_it(run, codex):
    """Approved as they are they are trusted; not once one was changed, or switched off, or all of them."""
    assert run("hooks", "install").returncode == 0
    user = places(run)["user"]
    assert (user["trust"], user["untrusted"]) == ("untrusted", user["installed"])
    assert "say /hooks in Codex" in run("hooks", "status").stdout
    config = codex / "config.toml"
    approve(codex, codex / "hooks.json")
    assert places(run)["user"]["trust"] == "trusted"
    assert "trusted: Codex runs them" in run("hooks", "status").stdout

    approved = config.read_text()
    config.write_text(approved.replace('stop:0:0"]', 'stop:0:0"]\nenabled = false', 1))
    assert len(places(run)["user"]["untrusted"]) == 1
    config.write_text(approved.replace("sha256:", "sha256:0", 1))
    assert len(places(run)["user"]["untrusted"]) == 1
    config.write_text(f"features.hooks = false\n{approved}")
    assert "switched off" in places(run)["user"]["trust_why"]
    config.write_text(approved)

    entry = {"hooks": [{"type": "command", "command": "before ours"}]}
    value = json.loads((codex / "hooks.json").read_text())
    value["hooks"]["Stop"].insert(0, entry)
    (codex / "hooks.json").write_text(json.dumps(value))
    assert places(run)["user"]["untrusted"] == ["Stop"]


def test_hooks_of_a_project_need_a_trusted_project_too(run, codex, tmp_path):
    workspace = tmp_path / "workspace"
    assert run("hooks", "install", "--scope", "project", "--tool", "codex").returncode == 0
    path = workspace / ".codex" / "hooks.json"
    assert not (codex / "config.toml").exists()
    approve(codex, path)
    assert "does not trust this project" in places(run)["project"]["trust_why"]
    with (codex / "config.toml").open("a") as config:
        config.write(f'\n[projects.{json.dumps(str(tmp_path))}]\ntrust_level = "trusted"\n')
    assert places(run)["project"]["trust"] == "trusted"


def test_sessions_that_no_hook_told_of_are_counted(run, codex):
    """Rollouts that began since the installation, and how many of them hooks told of."""
    assert run("hooks", "install").returncode == 0
    os.utime(codex / "hooks.json", (0, 0))
    assert run("import", RECORDED / "sigint", RECORDED / "api-error").returncode == 0
    user = places(run)["user"]
    assert (user["sessions_since"], user["sessions_told"]) == (2, 0)
    for payload in payloads("sigint", "hooks"):
        assert silent(fire(codex, payload))
    run("sessions")
    user = places(run)["user"]
    assert (user["sessions_since"], user["sessions_told"]) == (2, 1)
    assert (
        "2 sessions of Codex began since they were installed; hooks told of 1"
        in run("hooks", "status").stdout
    )


# ── what they leave ──


def payloads(scenario: str, kind: str) -> list[bytes]:
    path = RECORDED / scenario / f"{kind}.ndjson"
    return path.read_bytes().splitlines() if path.exists() else []


def fire(codex: Path, payload: bytes, **options) -> subprocess.CompletedProcess[bytes]:
    """As Codex runs a hook: by a shell, what happened on standard input, without a line end."""
    event = json.loads(payload).get("hook_event_name", "PreToolUse")
    [group] = json.loads((codex / "hooks.json").read_bytes())["hooks"][event]
    words = ["/bin/sh", "-c", group["hooks"][0]["command"]]
    return subprocess.run(words, input=payload, capture_output=True, timeout=LIMIT_S, check=False, **options)


def notify(codex: Path, payload: bytes, **options) -> subprocess.CompletedProcess[bytes]:
    """As Codex runs it: what happened is one more argument."""
    words = tomllib.loads((codex / "config.toml").read_text())["notify"]
    return subprocess.run([*words, payload], capture_output=True, timeout=LIMIT_S, check=False, **options)


def recorded(home: Path) -> list[bytes]:
    found = [item.record for item in reader.read(home / "journal")]
    return [record.body_bytes() for record in found if record.s == "codex.hook" and record.z is None]


def bodies(home: Path) -> list[bytes]:
    """As `recorded`, with those that are too long for a line of the journal."""
    found = [item.record for item in reader.read(home / "journal")]
    hooks_left = [record for record in found if record.s == "codex.hook"]
    return [record.body_bytes() or (home / "blobs" / record.f.sha256).read_bytes() for record in hooks_left]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_recorded_payloads_come_through_the_installed_commands_once(scenario, run, codex, home):
    """Each in its order, of both."""
    assert run("hooks", "install").returncode == 0
    told = [(fire, one) for one in payloads(scenario, "hooks")]
    told += [(notify, one) for one in payloads(scenario, "notify")]
    for give, payload in told:
        assert silent(give(codex, payload))
    assert (home / "inbox" / "codex").stat().st_mode & 0o777 == 0o600
    assert run("sessions").returncode == 0
    assert recorded(home) == [payload for _, payload in told]
    assert list((home / "inbox").iterdir()) == []
    assert "not understood" not in run("doctor").stdout


@by_each
def test_payloads_of_every_size_come_whole_at_once(program, run, codex, home):
    """Of 100 bytes to 8 MiB, without line ends; a longer one is told, and harms no other."""
    installed(run, home, program)
    sizes = [100, 65_536, 65_537, 1 << 20, (8 << 20) - 1, 8 << 20, 9 << 20] + [5_000] * 20
    given = []
    for number, size in enumerate(sizes):
        head = b'{"session_id":"s","n":%d,"pad":"' % number
        given.append(head + b"x" * (size - len(head) - 2) + b'"}')
    with ThreadPoolExecutor(8) as pool:
        assert all(silent(done) for done in pool.map(lambda payload: fire(codex, payload), given))
    assert run("sessions").returncode == 0
    whole = sorted(payload for payload in given if len(payload) <= 8 << 20)
    note = b'{"too_long":true,"least_bytes":8388609}'
    assert sorted(bodies(home)) == sorted([*whole, note])


@by_each
@pytest.mark.parametrize("spoil", ["inbox gone", "inbox a file", "home gone", "disk full", "no programs"])
def test_hooks_and_notify_harm_nobody(spoil, program, run, codex, home):
    """Whatever is wrong: nothing said, success."""
    installed(run, home, program)
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
            (place / "codex").symlink_to("/dev/full")
        case "no programs":
            env["PATH"] = "/nonexistent"
    payload = payloads("sigint", "hooks")[0]
    assert silent(fire(codex, payload, env=env))
    words = tomllib.loads((codex / "config.toml").read_text())["notify"]
    words[0] = shutil.which("sh")
    done = subprocess.run([*words, payload], capture_output=True, timeout=LIMIT_S, check=False, env=env)
    assert silent(done)


@by_each
def test_notify_takes_any_text_and_harms_nobody(program, run, codex, home):
    """Quotes, line ends in a string, the longest argument; and nothing to write to."""
    installed(run, home, program)
    texts = ["%s \\n '\"$(id)` \\", "ü✓", "x" * 120_000]
    given = [json.dumps({"type": "agent-turn-complete", "thread-id": text}).encode() for text in texts]
    for payload in given:
        assert silent(notify(codex, payload))
    assert run("sessions").returncode == 0
    assert recorded(home) == given
    (home / "inbox").rmdir()
    assert silent(notify(codex, given[0]))
    assert silent(fire(codex, given[0]))


def test_a_forgotten_session_takes_its_payloads_along(run, codex, home):
    """Those of hooks, and of `notify`, also of its subagents, and those that come afterwards; no others."""
    for scenario in ("multi-agent-v2", "sigint"):
        assert run("import", RECORDED / scenario / "sessions").returncode == 0
    assert run("hooks", "install").returncode == 0
    for scenario in ("multi-agent-v2", "sigint"):
        for give, kind in ((fire, "hooks"), (notify, "notify")):
            for payload in payloads(scenario, kind):
                give(codex, payload)
    root = json.loads(payloads("multi-agent-v2", "hooks")[0])["session_id"]
    assert run("forget", root, "--yes").returncode == 0
    for payload in payloads("multi-agent-v2", "hooks"):
        fire(codex, payload)
    notify(codex, payloads("multi-agent-v2", "notify")[-1])
    run("sessions")
    assert recorded(home) == payloads("sigint", "hooks")
    held = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert root.encode() not in held
    assert b"LGTM" not in held
