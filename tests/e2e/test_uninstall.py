"""Leaving: what is removed, what is kept, and when it is refused."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys

import pytest

from tests.crash import points
from tests.e2e.conftest import CAPTURED


@pytest.fixture
def used(home, run):
    """A home with records, blobs, a damaged store that was set aside, samples, and settings."""
    assert run().returncode == 0  # no history anywhere: the samples are shown
    run("record", stdin=json.dumps({"kind": "info", "text": "l" * 300_000}) + "\n")
    run("import", CAPTURED / "task-tools")
    (home / "store-0001.db.damaged").touch()
    (home / "config.toml").write_text("")
    (home / "blobs" / ".writing-0123").write_text("")
    (home / "blobs" / ".writing-0123").unlink()
    assert len(list((home / "blobs").iterdir())) == 1
    assert (home / "sample" / "home.json").exists()
    return home


def tree(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*"))


def test_without_purge_nothing_is_removed_and_the_truth_is_told(used, run, tmp_path):
    before = tree(used)
    done = run("uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert "outside the home: nothing was installed" in done.stdout
    assert "pip uninstall holdfast" in done.stdout
    assert tree(used) == before


def test_purge_removes_the_home_and_nothing_beside_it(used, run, tmp_path):
    beside = used.parent / "beside"
    beside.write_text("mine")
    shown = run("uninstall", "--purge", "--dry-run")
    assert shown.returncode == 0
    assert (used / "home.json").exists()
    done = run("uninstall", "--purge", "--yes", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert (answer["home_is_gone"], answer["kept"], answer["outside"]) == (True, [], [])
    assert not used.exists()
    assert beside.read_text() == "mine"
    assert "is not there" in run("uninstall", "--purge", "--yes").stdout
    assert not used.exists()  # asking made no new one


def test_it_asks_first_and_where_nobody_can_answer_it_needs_yes(used, run):
    before = tree(used)
    done = run("uninstall", "--purge", stdin="y\n")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert tree(used) == before


@pytest.mark.parametrize(("answer", "gone"), [("n", False), ("y", True)])
def test_on_a_terminal_it_asks(answer, gone, used):
    pty = pytest.importorskip("pty")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "uninstall", "--purge"],
        stdin=child,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.write(parent, f"{answer}\n".encode())
    process.communicate(timeout=60)
    os.close(parent)
    os.close(child)
    assert process.returncode == (0 if gone else 130)
    assert used.exists() == (not gone)


def test_what_is_not_ours_is_kept_and_named(used, run, tmp_path):
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "photo").write_text("mine")
    mine = [
        "notes.txt",
        "journal/notes.txt",
        "blobs/README",
        "run/agent.log",
        "store-0009.db/x",
        "sample/mine",
    ]
    for name in mine:
        (used / name).parent.mkdir(exist_ok=True)
        (used / name).write_text("mine")
    (used / "inbox").symlink_to(outside)
    (used / "journal" / "00000009.jsonl").symlink_to(outside / "photo")
    done = run("uninstall", "--purge", "--yes")
    assert done.returncode == 0
    kept = {*mine, "journal", "blobs", "run", "sample", "store-0009.db", "inbox", "journal/00000009.jsonl"}
    assert set(tree(used)) == kept
    assert (outside / "photo").read_text() == "mine"
    for name in ("notes.txt", "run/agent.log", "inbox", "store-0009.db", "journal/00000009.jsonl"):
        assert f"kept: {used / name}" in done.stderr


def test_no_home_of_ours_is_left_alone(home, run, tmp_path):
    home.mkdir()
    (home / "photo").write_text("mine")
    done = run("uninstall", "--purge", "--yes")
    assert (done.returncode, tree(home)) == (10, ["photo"])
    (home / "home.json").write_text("no JSON")
    assert run("uninstall", "--purge", "--yes").returncode == 10
    (home / "home.json").unlink()
    (home / "home.json").symlink_to(home / "photo")
    assert run("uninstall", "--purge", "--yes").returncode == 10
    assert (home / "photo").read_text() == "mine"


def test_a_home_behind_a_link_is_refused(used, run, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(used)
    done = run("uninstall", "--purge", "--yes", env={"HOLDFAST_HOME": str(link)})
    assert (done.returncode, "symbolic link" in done.stderr) == (10, True)
    assert (used / "home.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_home_of_somebody_else_is_refused(used, run):
    os.chown(used, 65534, 65534)
    done = run("uninstall", "--purge", "--yes")
    assert (done.returncode, "belongs to user 65534" in done.stderr) == (10, True)


def test_a_home_that_is_imported_into_is_refused(used, run):
    before = tree(used)
    with (used / "writer.lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run("uninstall", "--purge", "--yes")
    assert done.returncode == 31
    assert tree(used) == before


def test_a_home_that_a_program_records_into_is_refused_until_it_ends(used, run):
    program = (
        "import holdfast; holdfast.record('info', session='alive'); print('recorded', flush=True); input()"
    )
    recording = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert recording.stdout.readline() == "recorded\n"
    done = run("uninstall", "--purge", "--yes")
    assert (done.returncode, "is recording" in done.stderr) == (31, True)
    assert "alive" in run("sessions").stdout
    recording.communicate("\n")
    assert recording.returncode == 0
    assert run("uninstall", "--purge", "--yes").returncode == 0
    assert not used.exists()


def test_hooks_services_and_checkpoints_that_are_there_are_told(run, used, tmp_path):
    """Nothing of this version installs them; the answer comes from looking."""
    claude, user = tmp_path / "claude", tmp_path / "user"
    claude.mkdir()
    hook = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "/x/holdfast hook stop"}]}]}}
    (claude / "settings.json").write_text(json.dumps(hook))
    (user / ".codex").mkdir()
    (user / ".codex" / "config.toml").write_text(
        'notify = ["holdfast", "notify"]\n[projects."/x/holdfast-src"]\na = 1\n'
    )
    units = user / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "holdfast.service").touch()
    found = json.loads(run("uninstall", "--json").stdout)["outside"]
    assert [one["where"] for one in found] == [
        str(claude / "settings.json"),
        str(user / ".codex" / "config.toml"),
        str(units / "holdfast.service"),
    ]
    (claude / "settings.json").write_text('{"hooks":{"Stop":"my-holdfaster"},"x":"holdfast"}')
    (user / ".codex" / "config.toml").write_text("no TOML")
    found = json.loads(run("uninstall", "--json").stdout)["outside"]
    assert [("cannot be read" in one["what"]) for one in found] == [True, False]
    assert "outside the home: " in run("uninstall").stdout


@pytest.fixture
def repository(run, used, tmp_path):
    """A workspace of which a session is known, with a checkpoint, and a reference of somebody else's below our name."""
    path = tmp_path / "repository"
    git = ["git", "-C", str(path), "-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*git, "update-ref", "refs/holdfast/one", "HEAD"], check=True)
    started = {"kind": "session.started", "session": "checked", "fields": {"cwd": str(path)}}
    run("record", stdin=json.dumps(started))
    run("sessions")
    assert run("checkpoint", "checked").returncode == 0
    return path


def references(path):
    said = subprocess.run(
        ["git", "-C", path, "for-each-ref", "--format=%(refname)"], capture_output=True, text=True, check=True
    )
    return [name for name in said.stdout.split() if name.startswith("refs/holdfast")]


def test_checkpoints_in_a_workspace_are_told_and_stay(run, repository):
    told = json.loads(run("uninstall", "--json").stdout)["references"]
    assert [(one["repository"], one["name"], one["checkpoints"], one["removed"]) for one in told] == [
        (str(repository / ".git"), "refs/holdfast/checkpoints/main", 1, False),
        (str(repository / ".git"), "refs/holdfast/one", 0, False),
    ]
    said = run("uninstall").stdout
    assert "1 checkpoint below refs/holdfast/checkpoints/main: stay; --checkpoints removes them" in said
    assert "not of this version's making" in said
    assert len(references(repository)) == 2


def test_checkpoints_are_removed_when_that_is_said_and_nothing_else_is(run, used, repository):
    refused = run("uninstall", "--checkpoints")
    assert (refused.returncode, len(references(repository))) == (2, 2)
    tried = run("uninstall", "--checkpoints", "--dry-run", "--yes")
    assert (tried.returncode, len(references(repository))) == (0, 2)
    done = run("uninstall", "--checkpoints", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert references(repository) == ["refs/holdfast/one"]
    assert used.exists()


def test_a_purge_that_is_refused_removes_nothing(run, used, repository):
    agent = run("run", "--detach", "--", "sleep", "60").stdout.strip()
    before = sorted(path for path in used.rglob("*") if path.name != "store.db")
    refused = run("uninstall", "--purge", "--checkpoints", "--yes")
    assert (refused.returncode, agent in refused.stderr) == (73, True), refused.stderr
    assert set(before) <= set(used.rglob("*"))
    assert run("kill", agent).returncode == 0
    told = json.loads(run("uninstall", "--dry-run", "--json").stdout)["references"]
    assert [one["checkpoints"] for one in told if "checkpoints" in one["name"]] == [1]


def test_a_purge_removes_checkpoints_with_the_home(run, used, repository):
    done = run("uninstall", "--purge", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert references(repository) == ["refs/holdfast/one"]
    assert not used.exists()


@pytest.mark.parametrize("how", ["--checkpoints", "--purge"])
@pytest.mark.parametrize("point", [None, "checkpoint.named"])
def test_checkpoints_that_no_answer_was_made_of_yet_are_removed_too(run, home, tmp_path, how, point):
    """Also that of somebody who was killed before it was recorded that it was taken."""
    path = tmp_path / "elsewhere"
    subprocess.run(["git", "init", "-q", path], check=True)
    (path / "a.txt").write_text("a\n")
    taken = subprocess.run(
        [sys.executable, "-m", "holdfast", "checkpoint"],
        cwd=path,
        env=os.environ | ({"HOLDFAST_FAILPOINTS": f"{point}=kill"} if point else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert taken.returncode == (-signal.SIGKILL if point else 0)
    assert references(path) == ["refs/holdfast/checkpoints/main"]
    done = run("uninstall", how, "--yes", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert [one["removed"] for one in json.loads(done.stdout)["references"]] == [True]
    assert references(path) == []


@pytest.mark.parametrize("lost", ["forgotten", "damaged"])
def test_checkpoints_that_nothing_recorded_tells_of_are_removed_too(run, used, repository, lost):
    """The session that they were taken for is forgotten, or the history cannot be read."""
    if lost == "forgotten":
        assert run("forget", "checked", "--yes").returncode == 0
    else:
        for path in [*used.glob("store*"), *used.glob("journal/*")]:
            path.unlink()
    done = run("uninstall", "--checkpoints", "--yes")
    assert done.returncode == 0, done.stderr
    assert references(repository) == ["refs/holdfast/one"]


def test_a_repository_that_cannot_be_asked_is_told_and_its_home_is_not_purged_for_that(
    run, used, repository, tmp_path
):
    second = tmp_path / "second"
    shutil.copytree(repository, second)
    run(
        "record",
        stdin=json.dumps({"kind": "session.started", "session": "2", "fields": {"cwd": str(second)}}),
    )
    assert run("checkpoint", "2").returncode == 0
    repository.rename(tmp_path / "moved")
    (second / ".git" / "HEAD").rename(second / ".git" / "HEAD.x")
    told = json.loads(run("uninstall", "--json").stdout)
    assert [one["repository"] for one in told["unreached"]] == [
        str(path / ".git") for path in sorted([repository, second])
    ]
    assert told["references"] == []
    for words in (["--purge", "--yes"], ["--purge", "--yes", "--checkpoints"]):
        refused = run("uninstall", *words)
        assert (refused.returncode, used.exists()) == (77, True), refused.stderr
        assert "it is not there any more" in refused.stdout
        assert "nothing was installed" not in refused.stdout
        assert "--leave-behind" in refused.stderr
    said = run("uninstall", "--checkpoints", "--yes")
    assert (said.returncode, "whether it keeps them cannot be told, and they stay" in said.stdout) == (
        0,
        True,
    )
    (second / ".git" / "HEAD.x").rename(second / ".git" / "HEAD")
    done = run("uninstall", "--purge", "--yes", "--leave-behind", "--json")
    assert (done.returncode, used.exists()) == (0, False), done.stderr
    assert references(second) == ["refs/holdfast/one"]
    assert len(references(tmp_path / "moved")) == 2


def test_a_home_that_is_in_use_keeps_its_checkpoints(run, used, repository):
    with (used / "writer.lock").open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_EX)
        done = run("uninstall", "--purge", "--yes")
    assert done.returncode != 0
    assert len(references(repository)) == 2


@pytest.mark.parametrize("left", [[], ["writer.lock"]], ids=["empty", "with a lock"])
@pytest.mark.parametrize("where", [".", "sample"])
def test_what_a_killed_purge_left_last_is_purged(used, run, where, left):
    home = used / where
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    for name in left:
        (home / name).touch()
    done = run("uninstall", "--purge", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert not used.exists()


@pytest.mark.slow
@pytest.mark.skipif(points.missing() is not None, reason=points.missing() or "")
def test_a_purge_killed_at_any_call_can_be_done_again_or_leaves_a_home_that_opens(used, run, tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    command = [sys.executable, "-m", "holdfast", "uninstall", "--purge", "--yes"]
    home = tmp_path / "copy"
    env = os.environ | {"HOLDFAST_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}

    def fresh():
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(used, home, symlinks=True)

    fresh()
    clean = points.trace(command, env, home, tmp_path / "trace")
    assert clean.status == 0, clean.errors
    removing = [p for p in clean.points if p.syscall in {"unlink", "unlinkat", "rmdir"}]
    assert len(removing) > 20
    for number, point in enumerate(random.Random(seed).sample(removing, 6) + removing[-2:]):
        fresh()
        killed = points.kill_at(command, env, home, tmp_path / "trace", point)
        assert killed.status == -signal.SIGKILL, point
        assert home.exists()
        if number % 2 and (home / "home.json").exists():
            opened = run("sessions", env={"HOLDFAST_HOME": str(home)})
            assert opened.returncode == 0, (point, opened.stderr)
        done = run("uninstall", "--purge", "--yes", env={"HOLDFAST_HOME": str(home)})
        assert done.returncode == 0, (point, done.stderr)
        assert not home.exists(), point
