"""A project that moved: its sessions are shown where it lies today, however and whenever that is learned."""

from __future__ import annotations

import json
import random
import shutil

import pytest

from tests.e2e.conftest import CAPTURED, NOW, everything

DAY = "2026-11-{:02d}T10:00:00.000Z"


def session_id(number):
    return f"{number:08d}-0000-4000-8000-000000000000"


def transcript(place, number, cwd, day=1, turns=1):
    """A transcript of one session that was started in `cwd` on a day of November."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{session_id(number)}.jsonl"
    lines = [
        {
            "type": "user",
            "uuid": f"{number}-{turn}",
            "sessionId": session_id(number),
            "timestamp": DAY.format(day + turn),
            "version": "2.1.330",
            "cwd": cwd,
            "message": {"role": "user", "content": f"turn {turn}"},
        }
        for turn in range(turns)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def at(run):
    """Run a command on a day of November."""

    def run_at(day, *args, **more):
        env = {"HOLDFAST_NOW": DAY.format(day)} | more.pop("env", {})
        return run(*args, env=env, **more)

    return run_at


def shown(run, env=None):
    done = run("sessions", "--json", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return {int(one["id"][:8]): one["workspace"] for one in json.loads(done.stdout)["sessions"]}


def moved(at, old, new, day=20, code=0, **more):
    done = at(day, "workspace", "move", old, new, **more)
    assert done.returncode == code, done.stderr
    return done


def test_a_moved_project_takes_what_lies_below_it_along_and_nothing_else(at, run, tmp_path):
    for number, cwd in enumerate(["/a/b", "/a/b/sub/deep", "/a/bc", "/a", "/a/b c"]):
        transcript(tmp_path / "p", number, cwd)
    run("import", tmp_path / "p")
    done = moved(at, "/a/b", "/n/new")
    assert "2 sessions" in done.stdout
    assert "/n/new is not there" in done.stderr
    expected = {0: "/n/new", 1: "/n/new/sub/deep", 2: "/a/bc", 3: "/a", 4: "/a/b c"}
    assert shown(run) == expected
    for view in ("show", "tree"):
        assert (
            json.loads(run(view, session_id(1), "--json").stdout)["session"]["workspace"] == "/n/new/sub/deep"
        )
    run("rebuild")
    assert shown(run) == expected


def test_moves_chain_and_can_be_undone(at, run, tmp_path):
    run("import", transcript(tmp_path / "p", 1, "/a"))
    for old, new in (("/a", "/b"), ("/b", "/c"), ("/c", "/d")):
        moved(at, old, new)
        assert shown(run) == {1: new}
    for old, new in (("/d", "/c"), ("/c", "/a")):
        moved(at, old, new)
        assert shown(run) == {1: new}
    run("rebuild")
    assert shown(run) == {1: "/a"}


def test_a_new_project_at_the_old_place_stays_there(at, run, tmp_path):
    run("import", transcript(tmp_path / "p", 1, "/a", day=1))
    moved(at, "/a", "/b", day=10)
    run("import", transcript(tmp_path / "p", 2, "/a", day=12), transcript(tmp_path / "p", 3, "/a", day=5))
    assert shown(run) == {1: "/b", 2: "/a", 3: "/b"}  # 3 is older than the move, though it came later


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_arrival_of_sessions_and_moves_does_not_matter(seed, at, run, tmp_path):
    paths = [transcript(tmp_path / "p", n, f"/a/{n}", day=n) for n in range(1, 5)]
    moves = [("/a", "/b"), ("/b/2", "/b/two"), ("/b", "/a")]
    chance = random.Random(seed)
    steps = [("import", path) for path in chance.sample(paths, 4)]
    for move in moves:  # the moves keep their order; sessions may come before, between and after them
        steps.insert(
            chance.randint(1 + max([n for n, s in enumerate(steps) if s in moves], default=-1), len(steps)),
            move,
        )
    for step in steps:
        if step in moves:
            body = {
                "kind": "workspace.moved",
                "time": DAY.format(20),
                "fields": dict(zip(("old", "new"), step, strict=True)),
            }
            assert run("record", "--strict", stdin=json.dumps(body)).returncode == 0
        else:
            run(*step)
    assert shown(run) == {1: "/a/1", 2: "/a/two", 3: "/a/3", 4: "/a/4"}
    assert {int(s[:8]) for s in (session_id(n) for n in shown(run))} == {1, 2, 3, 4}  # a move is no session


def test_moves_travel_with_an_export_whole_or_of_one_session(at, run, tmp_path):
    run("import", transcript(tmp_path / "p", 1, "/a/x"), transcript(tmp_path / "p", 2, "/elsewhere"))
    moved(at, "/a", "/b")
    moved(at, "/b/x", "/c")
    moved(at, "/elsewhere", "/private")
    for args, expected in (((), {1: "/c", 2: "/private"}), (("--session", "00000001"), {1: "/c"})):
        file, env = tmp_path / "out.jsonl", {"HOLDFAST_HOME": str(tmp_path / f"other{len(args)}")}
        assert run("export", file, *args).returncode == 0
        assert run("import", file, env=env).returncode == 0
        assert shown(run, env) == expected
        run("rebuild", env=env)
        assert shown(run, env) == expected
        assert (b"/private" in file.read_bytes()) == (not args)


def test_transcripts_found_again_under_the_new_directory_do_not_count_twice(at, run, tmp_path):
    """Claude Code keeps histories in a directory named after the project's path; who moves a project may move or copy that."""
    claude = tmp_path / "claude" / "projects"
    old = transcript(claude / "-a", 1, "/a", turns=2)
    assert shown(run) == {1: "/a"}
    before = json.loads(run("sessions", "--json").stdout)["sessions"][0]
    moved(at, "/a", "/b")
    (claude / "-b").mkdir()
    new = claude / "-b" / old.name
    shutil.copy(old, new)
    after = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert after == [before | {"workspace": "/b"}]
    old.unlink()
    with new.open("a") as file:  # the session is resumed in the new place
        line = json.loads(new.read_text().splitlines()[-1]) | {
            "uuid": "1-2",
            "cwd": "/b",
            "timestamp": DAY.format(21),
        }
        file.write(json.dumps(line) + "\n")
    [resumed] = json.loads(run("sessions", "--json").stdout)["sessions"]
    assert (resumed["turns"], resumed["workspace"]) == (3, "/b")
    assert json.loads(run("stats", "--json").stdout)["agent_types"][0]["agents"] == 1


def test_the_list_says_where_projects_lie_and_what_they_were_recorded_as(at, run, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    run(
        "import",
        *(transcript(tmp_path / "p", n, cwd, day=n) for n, cwd in ((1, "/a"), (2, str(here)), (3, "/a"))),
    )
    moved(at, "/a", "/b")
    found = json.loads(run("workspace", "list", "--json").stdout)["workspaces"]
    assert [(w["path"], w["sessions"], w["exists"], w["recorded_as"]) for w in found] == [
        ("/b", 2, False, ["/a"]),
        (str(here), 1, True, []),
    ]
    assert json.loads(run("--json", "workspace", "list").stdout)["workspaces"] == found
    assert "recorded as /a; is not there" in run("workspace", "list").stdout


def test_what_makes_no_sense_is_refused_with_what_was_perhaps_meant(at, run, tmp_path):
    assert run("workspace", "list").stdout == "no workspaces\n"
    run("import", transcript(tmp_path / "p", 1, "/home/you/demo"), transcript(tmp_path / "p", 2, "/w/other"))
    assert "/home/you/demo" in moved(at, "/home/me/demo", "/x", code=3).stderr
    assert "/home/you/demo" in moved(at, "/home/you/dmo", "/x", code=3).stderr
    assert "workspace list" in moved(at, "/qqq", "/x", code=3).stderr
    moved(at, "/w/other", "/w/other/", code=2)
    moved(at, "/", "/x", code=2)
    moved(at, "/w/other", "/w/second")
    assert "moved to /w/second" in moved(at, "/w/other", "/x", code=3).stderr
    assert shown(run) == {1: "/home/you/demo", 2: "/w/second"}


def test_relative_paths_mean_the_directory_one_is_in(at, run, tmp_path):
    workspace = tmp_path / "workspace"
    (tmp_path / "new").mkdir()
    run("import", transcript(tmp_path / "p", 1, str(workspace / "app")))
    done = moved(at, "app", "../new")
    assert done.stderr == ""
    assert shown(run) == {1: str(tmp_path / "new")}


def test_moving_changes_no_other_answer(run, imported):
    home = imported(CAPTURED)
    env = {"HOLDFAST_HOME": str(home), "HOLDFAST_NOW": NOW}
    before = everything(home)
    assert run("workspace", "move", "/home/dev/demo", "/n", env=env).returncode == 0
    after = everything(home)
    assert {
        name: text.replace('"workspace": "/n"', '"workspace": "/home/dev/demo"')
        for name, text in after.items()
    } == before
    assert run("workspace", "move", "/n", "/home/dev/demo", env=env).returncode == 0
    assert everything(home) == before
