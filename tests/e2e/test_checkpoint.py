"""`holdfast checkpoint` as a person uses it: taken, killed, raced, collected, given back by a process that knows nothing of the one before."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast import checkpointing
from holdfast.failpoints import NAMES
from holdfast.home import Home
from holdfast.settings import load
from tests.checkpoint.builders import clean, git, lying, made, of_git
from tests.conftest import RUN_LIMIT_S

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
REF = "refs/holdfast/checkpoints/main"
LIMIT_S = 60


@pytest.fixture
def repository(home, tmp_path):
    return made(tmp_path / "work")


def start(cwd, *args, **env):
    return subprocess.Popen(
        [sys.executable, "-m", "holdfast", *map(str, args)],
        cwd=cwd,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def hold(cwd, *args, code=0, **env):
    """Run the command somewhere; what it prints."""
    process = start(cwd, *args, **env)
    out, said = process.communicate(timeout=RUN_LIMIT_S)
    assert process.returncode == code, (out, said)
    return out if code == 0 else said


def taken(cwd, *args):
    return json.loads(hold(cwd, "checkpoint", *args, "--json"))


def test_work_that_was_never_committed_comes_back_in_another_directory(repository, tmp_path):
    (repository / "a.txt").write_text("changed, not added\n")
    (repository / "u.txt").write_text("untracked\n")
    (repository / ".env").write_text("KEY=1\n")
    before = of_git(repository / ".git")
    said = hold(repository, "checkpoint", "-m", "before the risky part")
    assert "left out: 1 look as if they held secrets (--include-secrets): .env" in said
    assert "left out: what git is told to ignore" in said
    assert of_git(repository / ".git") == before
    [one] = json.loads(hold(repository, "checkpoint", "list", "--json"))["checkpoints"]
    assert (one["message"], one["files"], one["left_out"]) == ("before the risky part", 3, 1)
    for name in ("a.txt", "u.txt", "sub/b.txt"):
        (repository / name).unlink()
    assert "1 added" not in hold(repository, "checkpoint", "diff")
    to = tmp_path / "back"
    said = hold(tmp_path, "restore", "checkpoint", one["id"][:10], "--to", to)
    assert "3 files" in said
    assert {name: content for name, (_, _, content) in lying(to).items()} == {
        b"a.txt": b"changed, not added\n",
        b"u.txt": b"untracked\n",
        b"sub/b.txt": b"b\n",
    }
    assert "is not empty" in hold(tmp_path, "restore", "checkpoint", one["id"], "--to", to, code=76)
    tree = tmp_path / "tree"
    hold(repository, "restore", "checkpoint", one["id"], "--to", tree, "--worktree")
    assert git(tree, "status", "--porcelain").splitlines() == ["M a.txt", "?? u.txt"]


def test_what_is_listed_shown_and_compared(repository, tmp_path):
    first = taken(repository)
    (repository / "a.txt").write_text("changed\n")
    (repository / "new\x1b[31m.txt").write_text("new\n")
    second = taken(repository, "-m", "second")
    assert (second["is_new"], second["parent"], second["files"]) == (True, first["id"], 3)
    assert taken(repository)["is_new"] is False
    assert "nothing changed" in hold(repository, "checkpoint")
    listed = json.loads(hold(repository / "sub", "checkpoint", "list", "--json"))
    assert [one["id"] for one in listed["checkpoints"]] == [second["id"], first["id"]]
    shown = json.loads(hold(repository, "checkpoint", "show", "--json"))
    assert shown["told"]["message"] == "second"
    assert shown["changes"] == {
        "added": ["new\x1b[31m.txt"],
        "changed": ["a.txt"],
        "modes": [],
        "deleted": [],
        "unknown": [],
    }
    for words in (["show"], ["diff", first["id"], second["id"]], ["list"], ["list", "--all"]):
        assert "\x1b" not in hold(repository, "checkpoint", *words)
    told = json.loads(hold(tmp_path, "checkpoint", "diff", first["id"][:8], second["id"][:8], "--json"))
    assert (told["from"], told["to"], told["changes"]["changed"]) == (first["id"], second["id"], ["a.txt"])
    every = json.loads(hold(tmp_path, "checkpoint", "list", "--all", "--json"))
    [last] = every["workspaces"]
    assert (last["workspace"], last["commit"], last["checkpoints"]) == (str(repository), second["id"], 2)
    assert every["untold"] == []


def test_a_worktree_that_was_moved_is_compared_where_it_lies_now(repository, tmp_path):
    for name in ("moved", "other"):
        git(repository, "worktree", "add", "-q", "-b", name, tmp_path / name)
    (tmp_path / "moved" / "mine.txt").write_text("mine\n")
    one = taken(tmp_path / "moved")
    git(repository, "worktree", "move", tmp_path / "moved", tmp_path / "there")
    git(repository, "worktree", "move", tmp_path / "other", tmp_path / "moved")
    (tmp_path / "there" / "new.txt").write_text("new\n")
    for words in ([], [one["id"]]):
        found = json.loads(hold(tmp_path / "there", "checkpoint", "diff", *words, "--json"))["changes"]
        assert (found["added"], found["deleted"]) == (["new.txt"], [])
    for cwd in (repository, tmp_path / "moved", tmp_path):
        said = hold(cwd, "checkpoint", "diff", one["id"], code=76)
        assert "is not the worktree that it was taken of" in said


def test_a_repository_that_was_moved_is_compared_where_it_lies_now(repository, tmp_path):
    taken(repository)
    repository.rename(tmp_path / "there")
    (tmp_path / "there" / "a.txt").write_text("changed\n")
    assert "~ a.txt" in hold(tmp_path / "there", "checkpoint", "diff")


def test_a_repository_whose_path_is_no_utf8_has_checkpoints_too(home, tmp_path):
    at = tmp_path / os.fsdecode(b"work-\xff")
    at.mkdir()
    made(at / "in")
    one = taken(at / "in", "-m", "mine")
    repository = f"{tmp_path}/work-\\xff/in/.git"
    assert (one["repository"], one["is_new"]) == (repository, True)
    (at / "in" / "a.txt").write_text("changed\n")
    assert "~ a.txt" in hold(at / "in", "checkpoint", "diff")
    for words in (["checkpoint", "show", one["id"]], ["checkpoint", "diff", one["id"], one["id"]]):
        assert json.loads(hold(tmp_path, *words, "--json"))["repository"] == repository
    words = ["restore", "checkpoint", one["id"], "--to", tmp_path / "back", "--json"]
    assert json.loads(hold(tmp_path, *words))["repository"] == repository
    assert (tmp_path / "back" / "a.txt").read_text() == "a\n"
    assert json.loads(hold(tmp_path, "checkpoint", "list", "--all", "--json"))["untold"] == []
    found = json.loads(hold(tmp_path, "uninstall", "--dry-run", "--json"))
    assert ([each["repository"] for each in found["references"]], found["unreached"]) == ([repository], [])
    hold(tmp_path, "uninstall", "--purge", "--checkpoints", "--yes")
    assert git(at / "in", "for-each-ref", "refs/holdfast") == ""
    assert not home.exists()


def test_one_is_taken_where_what_is_known_of_its_files_cannot_be_kept(repository, home):
    """It is a hint: the next one reads every file again."""
    taken(repository)
    [index] = (home / "checkpoints").glob("*.index")
    index.unlink()
    index.mkdir()
    for content in ("changed\n", "again\n"):
        (repository / "a.txt").write_text(content)
        one = taken(repository)
        assert (one["is_new"], one["read_files"]) == (True, 2)
        assert "could not be kept: Is a directory" in one["notes"][0]
        assert git(repository, "rev-parse", REF) == one["id"]
    every = json.loads(hold(repository, "checkpoint", "list", "--all", "--json"))
    assert ([last["commit"] for last in every["workspaces"]], every["untold"]) == ([one["id"]], [])
    assert sorted(path.suffix for path in (home / "checkpoints").iterdir()) == [".index", ".lock"]


def test_the_workspace_of_a_session_is_meant_by_its_id(repository, run):
    started = {"kind": "session.started", "session": "painter", "fields": {"cwd": str(repository / "sub")}}
    run("record", stdin=json.dumps(started))
    done = run("checkpoint", "painter", "--json")
    assert json.loads(done.stdout)["workspace"] == str(repository)
    last = json.loads(done.stdout)["id"]
    handed = json.loads(run("handoff", "painter", "--json").stdout)
    assert handed["worktree"][0]["checkpoint"] == last
    assert f"Last checkpoint of its files: `{last[:12]}`" in run("handoff", "painter").stdout
    assert run("checkpoint", "nobody").returncode == 3
    shutil.rmtree(repository)
    gone = run("checkpoint", "painter")
    assert (gone.returncode, "is not there" in gone.stderr) == (76, True)
    forgotten = run("forget", "painter", "--yes")
    assert forgotten.returncode == 0, forgotten.stderr
    assert json.loads(run("checkpoint", "list", "--all", "--json").stdout)["workspaces"] == []


def test_what_is_asked_for_wrongly_is_told(repository, run, tmp_path):
    for args, code, words in (
        (["checkpoint"], 76, "no git repository"),
        (["checkpoint", "list"], 76, "no git repository"),
        (["checkpoint", "show", "deadbeef"], 3, "no checkpoint"),
        (["checkpoint", "show", "no-id"], 2, "no checkpoint's id"),
        (["restore", "checkpoint", "deadbeef", "--to", tmp_path / "to"], 3, "no checkpoint"),
    ):
        done = run(*args)
        assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "no checkpoint of" in hold(repository, "checkpoint", "list")
    assert "no checkpoint of" in hold(repository, "checkpoint", "show", code=3)


POINTS = [
    name
    for name in NAMES
    if name.startswith("checkpoint.") and name not in ("checkpoint.written", "checkpoint.led")
]


@pytest.mark.parametrize("point", POINTS)
def test_whoever_is_killed_leaves_a_repository_that_is_whole_and_the_next_one_goes_on(repository, point):
    before = taken(repository)
    (repository / "a.txt").write_text("changed\n")
    (repository / "u.txt").write_text("untracked\n")
    state = of_git(repository / ".git")
    killed = start(repository, "checkpoint", HOLDFAST_FAILPOINTS=f"{point}=kill")
    killed.communicate(timeout=RUN_LIMIT_S)
    assert killed.returncode == -signal.SIGKILL
    clean(repository)
    assert of_git(repository / ".git") == state
    named = git(repository, "rev-parse", REF)
    assert (named != before["id"]) == (point == "checkpoint.named")
    [untold] = json.loads(hold(repository, "checkpoint", "list", "--all", "--json"))["untold"]
    assert untold["workspace"] == str(repository)
    after = taken(repository)
    assert after["is_new"] == (point != "checkpoint.named")
    assert git(repository, "cat-file", "-p", f"{after['id']}:a.txt") == "changed"
    assert git(repository, "rev-list", "--count", REF) == "2"
    clean(repository)


@pytest.mark.parametrize(
    ("point", "more"),
    [("checkpoint.written", []), ("checkpoint.written", ["--worktree"]), ("checkpoint.led", ["--worktree"])],
)
def test_what_is_left_of_whoever_is_killed_giving_back_is_removed_by_the_next_one(
    repository, tmp_path, point, more
):
    one = taken(repository)["id"]
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / ".to.part").mkdir()
    to = tmp_path / "below" / "to"
    words = ["restore", "checkpoint", one, "--to", to, *more]
    killed = start(repository, *words, HOLDFAST_FAILPOINTS=f"{point}=kill")
    killed.communicate(timeout=RUN_LIMIT_S)
    assert killed.returncode == -signal.SIGKILL
    assert not to.exists()
    [part] = (tmp_path / "below").glob(".to.*-*.part")
    said = hold(repository, *words)
    assert f"removed what a run left that was killed: {part}" in said
    assert lying(to) == lying(repository)
    assert sorted(path.name for path in (tmp_path / "below").iterdir()) == [".to.part", "to"]
    known = git(repository, "worktree", "list", "--porcelain").split("\n\n")
    assert [one.splitlines()[0] for one in known] == [
        f"worktree {path}" for path in (repository, to)[: len(more) + 1]
    ]
    assert "prunable" not in "".join(known)
    if more:
        assert git(to, "status", "--porcelain") == ""
        assert taken(to)["ref"] == "refs/holdfast/checkpoints/worktrees/to"
        assert list((repository / ".git" / "worktrees").glob("*/holdfast-part")) == []


def test_a_worktree_that_got_the_name_of_one_that_was_not_finished_is_left_alone(repository, tmp_path):
    """git gives the id of a worktree again once it was pruned, also to one that lies elsewhere now."""
    one = taken(repository)["id"]
    out = tmp_path / "below" / "out"
    words = ["restore", "checkpoint", one, "--to", out]
    killed = start(repository, *words, "--worktree", HOLDFAST_FAILPOINTS="checkpoint.led=kill")
    killed.communicate(timeout=RUN_LIMIT_S)
    assert killed.returncode == -signal.SIGKILL
    git(repository, "worktree", "prune")
    theirs = tmp_path / "else" / "out"
    git(repository, "worktree", "add", "-q", "--detach", str(theirs))
    git(theirs, "commit", "-q", "--allow-empty", "-m", "only here")
    assert (repository / ".git" / "worktrees").joinpath("out").is_dir()
    for place in ("elsewhere", "at the place, then moved"):
        if place != "elsewhere":
            shutil.rmtree(out)
            git(repository, "worktree", "move", str(theirs), str(out))
            out.rename(tmp_path / "moved")
            theirs = tmp_path / "moved"
            part = out.with_name(".out.00000000-0000-4000-8000-000000000000.part") / "out"
            part.mkdir(parents=True)
            shutil.copy(theirs / ".git", part)
        assert "removed what a run left" in hold(repository, *words)
        assert git(theirs, "log", "--format=%s").splitlines() == ["only here", "begin"]
        assert lying(theirs) == lying(repository)


def test_whose_git_file_was_planted_in_what_a_run_left_is_left_alone(repository, tmp_path):
    one = taken(repository)["id"]
    theirs = tmp_path / "theirs"
    git(repository, "worktree", "add", "-q", "--detach", str(theirs))
    for name in ("out", "x"):
        planted = tmp_path / f".out.00000000-0000-4000-8000-00000000000{len(name)}.part" / name
        planted.mkdir(parents=True)
        shutil.copy(theirs / ".git", planted)
    assert "removed what a run left" in hold(
        repository, "restore", "checkpoint", one, "--to", tmp_path / "out"
    )
    assert git(theirs, "status", "--porcelain") == ""
    assert list(tmp_path.glob(".out.*")) == []


def test_who_is_at_work_on_the_same_directory_is_left_alone(repository, tmp_path):
    one = taken(repository)["id"]
    to = tmp_path / "to"
    stands = start(
        repository, "restore", "checkpoint", one, "--to", to, HOLDFAST_FAILPOINTS="checkpoint.written=stop"
    )
    os.waitid(os.P_PID, stands.pid, os.WSTOPPED)
    try:
        assert "removed" not in hold(repository, "restore", "checkpoint", one, "--to", to)
        assert len(list(tmp_path.glob(".to.*.part"))) == 1
    finally:
        stands.send_signal(signal.SIGCONT)
    _, said = stands.communicate(timeout=RUN_LIMIT_S)
    assert (stands.returncode, "is not empty" in said) == (76, True), said
    assert list(tmp_path.glob(".to.*.part")) == []
    assert lying(to) == lying(repository)


@pytest.mark.slow
def test_kills_at_random_instants_lose_no_checkpoint_that_was_told(repository):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    drawn = random.Random(seed)
    began = time.monotonic()
    told = taken(repository)["id"]
    usual_s = time.monotonic() - began
    for number in range(12):
        (repository / "a.txt").write_text(f"{number}\n")
        process = start(repository, "checkpoint", "--json")
        try:
            process.wait(drawn.uniform(0.3, 1.3) * usual_s)
        except subprocess.TimeoutExpired:
            process.kill()
        out, _ = process.communicate(timeout=RUN_LIMIT_S)
        if process.returncode == 0:
            told = json.loads(out)["id"]
        git(repository, "merge-base", "--is-ancestor", told, REF)
    clean(repository)
    assert taken(repository)["files"] == 2


def test_several_at_once_make_one_chain(repository):
    for number in range(3):
        (repository / f"{number}.txt").write_text(f"{number}\n")
        many = [start(repository, "checkpoint", "--json") for _ in range(4)]
        done = [process.communicate(timeout=RUN_LIMIT_S) for process in many]
        assert [process.returncode for process in many] == [0] * 4, done
        told = [json.loads(out) for out, _ in done]
        assert len({one["id"] for one in told}) == 1
        assert sum(one["is_new"] for one in told) == 1
    assert git(repository, "rev-list", "--count", REF) == "3"
    clean(repository)


@pytest.mark.slow
def test_two_homes_at_once_make_one_chain(repository, tmp_path):
    """They share no lock but git's."""
    homes = [tmp_path / f"home-{number}" for number in range(3)]
    ids = set()
    for number in range(4):
        (repository / "a.txt").write_text(f"{number}\n")
        many = [start(repository, "checkpoint", "--json", HOLDFAST_HOME=str(home)) for home in homes]
        for process in many:
            out, said = process.communicate(timeout=RUN_LIMIT_S)
            assert process.returncode == 0, said
            ids.add(json.loads(out)["id"])
    chain = git(repository, "rev-list", "--first-parent", REF).split()
    assert set(chain) == ids
    clean(repository)


@pytest.mark.slow
@pytest.mark.parametrize("prune", ["2.weeks.ago", "now"])
def test_git_may_collect_at_any_moment(repository, prune):
    """As `git gc` does by itself, every checkpoint is taken. Told to spare nothing, it takes files away that are just being written: then
    one may be refused, but none is broken.
    """
    collecting = subprocess.Popen(
        ["sh", "-c", f"while :; do git gc -q --prune={prune}; done"],
        cwd=repository,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    count = 0
    try:
        for number in range(12):
            (repository / "a.txt").write_text(f"{number}\n")
            (repository / f"u{number}.txt").write_text(f"untracked {number}\n")
            process = start(repository, "checkpoint", "--json")
            _, said = process.communicate(timeout=RUN_LIMIT_S)
            assert process.returncode == 0 or (prune == "now" and process.returncode == 77), said
            count += process.returncode == 0
    finally:
        os.killpg(collecting.pid, signal.SIGKILL)
        collecting.wait()
    print(f"{count} of 12 taken")
    for lock in (repository / ".git").rglob("*.lock"):
        lock.unlink()
    assert int(git(repository, "rev-list", "--count", REF)) == count > 0
    clean(repository)


# ── timed ──


def waits(what, *, told):
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(told())


@pytest.mark.slow
def test_the_service_takes_them_where_a_session_is_at_work(repository, tmp_path, home, run):
    idle = made(tmp_path / "idle")
    lines = [
        {"kind": "session.started", "session": "busy", "fields": {"cwd": str(repository)}},
        {"kind": "turn.started", "session": "busy", "span": "t", "fields": {"text": "go"}},
        {"kind": "session.started", "session": "done", "fields": {"cwd": str(idle)}},
        {"kind": "session.ended", "session": "done", "fields": {}},
    ]
    run("record", stdin="".join(json.dumps(line) + "\n" for line in lines))
    states = {one["id"]: one["state"] for one in json.loads(run("sessions", "--json").stdout)["sessions"]}
    assert states["busy"] == "working", states
    service = start(tmp_path, "up", HOLDFAST_CHECKPOINT_EVERY_S="0.3")
    log = home / "run" / "checkpoint.log"

    def said():
        return log.read_text() if log.exists() else "no round began"

    try:
        first = waits(lambda: git(repository, "for-each-ref", "--format=%(objectname)", REF), told=said)
        (repository / "a.txt").write_text("changed\n")
        waits(lambda: git(repository, "rev-list", "--count", REF) == "2", told=said)
    finally:
        service.terminate()
        service.communicate(timeout=RUN_LIMIT_S)
    assert git(repository, "rev-parse", f"{REF}~1") == first
    assert git(idle, "for-each-ref", "refs/holdfast") == ""
    [one, _] = json.loads(hold(repository, "checkpoint", "list", "--json"))["checkpoints"]
    assert one["trigger"] == "timed"


def test_a_round_that_hangs_is_ended_with_what_it_asked_git(repository, home, tmp_path, run, monkeypatch):
    lines = [
        {"kind": "session.started", "session": "busy", "fields": {"cwd": str(repository)}},
        {"kind": "turn.started", "session": "busy", "span": "t", "fields": {"text": "go"}},
    ]
    run("record", stdin="".join(json.dumps(line) + "\n" for line in lines))
    run("sessions")
    (tmp_path / "bin").mkdir()
    pid = tmp_path / "pid"
    (tmp_path / "bin" / "git").write_text(
        f"#!/bin/sh\necho $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600\n"
    )
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOLDFAST_CHECKPOINT_EVERY_S", "0.01")
    said = []
    timer = checkpointing.Timer(Home(load(None, os.environ, {"home": home})), said.append)
    waits(lambda: timer.tick() or pid.exists(), told=(home / "run" / "checkpoint.log").read_text)
    asked = Path("/proc", pid.read_text().strip())
    monkeypatch.setattr(checkpointing, "_ROUND_LIMIT_S", 0.0)
    child = timer._child
    timer.tick()
    assert child.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert not asked.exists()
    assert said == ["a round of timed checkpoints took longer than 0 s and was ended"]
    monkeypatch.setattr(checkpointing, "_ROUND_LIMIT_S", 1e9)
    timer.tick()
    assert timer._child is not child


def test_no_checkpoint_is_timed_unless_that_was_set(run):
    settings = {one["name"]: one["value"] for one in json.loads(run("config", "--json").stdout)["settings"]}
    assert settings["checkpoint_every_s"] == 0


# ── what looks like a secret ──

DRAWN = "Zq8vX2mT9pLk4HnB7wRy3cJf"
BY_NAME = [
    ".env", ".env~", ".env.swp", "..env.swp", "#.env#", ".env.local.orig", "id_rsa~", "id_rsa.bak", "id_ed25519.bak", ".id_ed25519.swp",
    "credentials.json", ".credentials.json", "credentials.json~", ".credentials.json.swp", "server.pem.old", "secrets.yaml.save", "token.json.1",
    "default.keystore", "sample.pfx", "template.kdbx~", "example.KEY",
]  # fmt: skip
BY_KEY = {
    "a.json": json.dumps({"aws_secret_access_key": DRAWN}),
    "b.json": json.dumps({"account": {"private_key": DRAWN}}, indent=1),
    "c.yaml": f"oauth:\n  refresh_token: {DRAWN}\n",
    "d.ini": f"[default]\naws_secret_access_key = {DRAWN}\n",
    "e.toml": f'client_secret = "{DRAWN}"\n',
    "f.properties": f"db.password={DRAWN}\n",
    ".toolrc": f"api_key: {DRAWN}\n",
    "g.json~": json.dumps({"refresh_token": DRAWN}),
}
HARMLESS = {
    "tokens.py": f'PASSWORD = "{DRAWN}"\n',
    "tsconfig.json": json.dumps({"compilerOptions": {"strict": True, "keyofStringsOnly": False}}),
    "compose.yaml": "environment:\n  POSTGRES_PASSWORD: ${DB_PASSWORD}\n  MAX_TOKENS: 4096\n",
    ".env.example": "KEY=\n",
    ".env.example~": "KEY=\n",
    "env": "python\n",
    "keyboard.json": json.dumps({"key": "value", "secret_name": "db", "password": "changeme"}),
    "notes.md": f"the password is {DRAWN}\n",
    "wide.txt": "nothing",
}


def test_no_secret_that_a_name_or_a_key_tells_is_kept(repository):
    token = "ghp_" + "abcdEFGHijklMNOPqrstUVWXyz0123456789"
    by_content = {
        "wide-le.txt": token.encode("utf-16"),
        "wide-be.txt": b"\xfe\xff" + token.encode("utf-16-be"),
    }
    by_content |= {"no-mark.txt": ("x = 1\n" + token).encode("utf-16-le")}
    by_content |= {"long.txt": (token + "\n").encode() + b"line\n" * 30_000}
    for name in BY_NAME:
        (repository / name).write_text("?\n")
    for name, content in (BY_KEY | HARMLESS).items():
        (repository / name).write_text(content)
    for name, content in by_content.items():
        (repository / name).write_bytes(content)
    (repository / "wide.txt").write_bytes("nothing".encode("utf-16"))
    [left] = taken(repository)["left_out"]
    assert (left["reason"], left["count"]) == ("secret", len(BY_NAME) + len(BY_KEY) + len(by_content))
    names = set(git(repository, "ls-tree", "-r", "--name-only", REF).splitlines())
    assert names == {"a.txt", "sub/b.txt", *HARMLESS}
    assert json.loads(hold(repository, "checkpoint", "show", "--json"))["told"]["left_out"] == [left]
    [listed] = json.loads(hold(repository, "checkpoint", "list", "--json"))["checkpoints"]
    assert listed["left_out"] == left["count"]
    assert f" {left['count']} " in hold(repository, "checkpoint", "list")
