"""`holdfast up` sees what happens to definitions: each change once, with the right kind, whatever the system tells of it, and says when it is blind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections import Counter

import pytest

from tests.e2e import changing
from tests.e2e.changing import sha256, text, torn_saves, watched, work_in
from tests.e2e.following import Process
from tests.e2e.test_definitions import world  # noqa: F401 - a fixture
from tests.waiting import until

BURST = int(os.environ.get("HOLDFAST_TEST_DEFINITION_BURST", "200"))  # files of a checkout
FLOOD = int(
    os.environ.get("HOLDFAST_TEST_DEFINITION_FLOOD", "0")
)  # files made while the service stands still; 0: saves of few instead
NOTES = 20_000  # the system keeps 16,384
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="waits for what Linux tells of changes"),
]


def roots(world, number):  # noqa: F811 - the fixture
    """Directories of definitions of projects in which somebody works."""
    out = []
    for at in range(number):
        project = world.user / f"p{at}"
        (project / ".git").mkdir(parents=True)
        work_in(project, at + 1)
        out.append(project / ".claude" / "agents")
        out[-1].mkdir(parents=True)
    return out


@pytest.mark.parametrize("modes", [(), ("deaf", "often")], ids=["told by the system", "by scans alone"])
def test_each_change_is_recorded_once_with_its_kind(home, world, modes):  # noqa: F811
    scenes = changing.SCENES
    if shutil.which("vim"):
        scenes = scenes | {"saved_by_vim": changing.saved_by_vim}
    places = dict(zip(scenes, roots(world, len(scenes)), strict=True))
    with watched(home, *modes, directories=len(scenes)) as seen:
        wanted = {name: scene(seen, places[name]) for name, scene in scenes.items()}
        seen.settle()
        for name, expected in wanted.items():
            assert seen.of(places[name]) == expected, name
        assert (places["through_links"].parent.parent / "linked").is_dir()
        seen.assert_sound()
        alarms = [(one["what"], one.get("is_over", False)) for one in seen.alarms]
        assert alarms == ([("notes", False)] if modes else [])


def test_that_nothing_changed_is_recorded_once_where_somebody_works(home, world):  # noqa: F811
    """So that a text can be called observed that was there before and after; not again with each scan."""
    one, other = roots(world, 2)
    (one / "qa.md").write_bytes(text("qa"))
    with watched(home, directories=2) as seen:
        until(lambda: seen.told() and seen.looks, "a look")
        seen.settle()
        seen.settle()
        seen.told()
        told = [(each["cwd"], look["roots"]) for look in seen.looks for each in look["directories"]]
        assert sorted(cwd for cwd, _ in told) == sorted(str(agents.parent.parent) for agents in (one, other))
        assert all(str(one) in {root["path"] for root in reached} for cwd, reached in told if cwd in str(one))


@pytest.mark.skipif(not shutil.which("vim"), reason="needs vim, whose scene above is left out")
def test_vim_is_there():
    changing.run("vim", "--version")


def test_a_service_that_neither_hears_nor_scans_is_found_out(home, world):  # noqa: F811
    """The negative control of the test above."""
    [agents] = roots(world, 1)
    with watched(home, "deaf", "scanless", directories=1) as seen:
        until(lambda: seen.status()["looks"], "its first look, which is the last")
        (agents / "one.md").write_bytes(text("one"))
        with pytest.raises(AssertionError, match="waited in vain for 1 changes"):
            seen.until(agents, 1, limit_s=2)


def test_a_checkout_of_many_files_is_one_act(home, world):  # noqa: F811
    [agents] = roots(world, 1)
    project = agents.parent.parent
    shutil.rmtree(project / ".git")
    git = lambda *words: changing.run("git", "-c", "user.name=n", "-c", "user.email=e", *words, cwd=project)  # noqa: E731
    git("init", "-q")
    names = [f"a{at:04}" for at in range(BURST)]
    for name in names:
        (agents / f"{name}.md").write_bytes(text(name))
    git("add", "-A")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "other")
    for name in names[: BURST // 2]:
        (agents / f"{name}.md").write_bytes(text(name, "other"))
    for name in names[BURST // 2 : BURST // 2 + 10]:
        (agents / f"{name}.md").unlink()
    for at in range(10):
        (agents / f"new{at}.md").write_bytes(text(f"new{at}"))
    git("add", "-A")
    git("commit", "-qm", "two")
    git("checkout", "-q", "-")
    with watched(home, directories=1) as seen:
        seen.until(agents, BURST)
        git("checkout", "-q", "other")
        seen.until(agents, BURST + BURST // 2 + 20)
        seen.settle()
        told = seen.told()[BURST:]
        kinds = [one["operation"] for one in told]
        assert {kind: kinds.count(kind) for kind in set(kinds)} == {
            "modify": BURST // 2,
            "delete": 10,
            "create": 10,
        }
        [(batch, changes)] = Counter(one.get("batch") for one in told).most_common(1)
        assert batch is not None
        assert (
            changes > len(told) // 2
        )  # however many looks it took; a machine that lets git wait makes a pause
        seen.assert_sound()


def test_of_rapid_saves_whole_ones_are_kept_and_always_the_last(home, world):  # noqa: F811
    agents, other = roots(world, 2)
    path = agents / "torn.md"
    path.write_bytes(text("torn"))
    with watched(home, directories=2) as seen:
        seen.until(agents, 1)
        held = torn_saves(path, 20)
        seen.until_holds(path.read_bytes())
        seen.settle()
        told = seen.told()[1:]
        assert {one["hash_after"] for one in told} <= held
        assert {one["operation"] for one in told} == {"modify"}
        for at in range(20):  # each content that is waited for is kept
            (other / "whole.md").write_bytes(text("whole", f"save {at}"))
            seen.until_holds(text("whole", f"save {at}"))
        seen.settle()
        assert seen.of(other) == [("create", "whole.md"), *[("modify", "whole.md")] * 19]
        seen.assert_sound()


def test_a_service_that_takes_files_as_they_lie_is_found_out(home, world):  # noqa: F811
    """The negative control of the test above: it keeps halves."""
    [agents] = roots(world, 1)
    path = agents / "torn.md"
    path.write_bytes(text("torn"))
    with watched(home, "hasty", directories=1) as seen:
        seen.until(agents, 1)
        found: set[str] = set()
        for _ in range(20):
            held = torn_saves(path, 20)
            seen.until_holds(path.read_bytes())
            found |= {one["hash_after"] for one in seen.told()[1:]} - held
            if found & {sha256(b""), sha256(text("torn")[:30])}:
                return
    pytest.fail("it kept no half")


def test_what_was_changed_while_nobody_looked_is_found_at_the_start(home, world):  # noqa: F811
    [agents] = roots(world, 1)
    for name in ("one", "two", "three"):
        (agents / f"{name}.md").write_bytes(text(name))
    with watched(home, directories=1) as seen:
        seen.until(agents, 3)
    (agents / "one.md").write_bytes(text("one", "more"))
    (agents / "two.md").rename(agents / "four.md")
    (agents / "three.md").unlink()
    with watched(home, directories=1) as seen:
        seen.until(agents, 6)
        seen.settle()
        assert sorted(seen.of(agents)[3:]) == [
            ("delete", "three.md"),
            ("modify", "one.md"),
            ("rename", "four.md"),
        ]
        seen.assert_sound()


def test_more_changes_than_the_system_keeps_are_all_found_and_told(home, world):  # noqa: F811
    """The service stands still meanwhile, so that its queue overflows."""
    every = roots(world, 4)
    number = FLOOD or 40
    paths = [every[at % 4] / f"a{at:05}.md" for at in range(number)]
    if not FLOOD:
        for path in paths:
            path.write_bytes(text(path.stem))
    with watched(home, directories=4) as seen:
        until(lambda: len(seen.told()) >= (0 if FLOOD else number), "what lies there")
        before = len(seen.told())
        seen.process.process.send_signal(signal.SIGSTOP)
        if FLOOD:
            for path in paths:
                path.write_bytes(text(path.stem))
        else:
            save_again_and_again(paths)
        seen.process.process.send_signal(signal.SIGCONT)
        until(lambda: len(seen.told()) >= before + number, f"{number} changes", 600)
        seen.settle()
        assert len(seen.told()) == before + number
        assert seen.status()["overflows"] >= 1
        assert seen.alarms_of("overflow") == [False, True]
        seen.assert_sound()


def save_again_and_again(paths):
    """Write as often into these files, one after the other, that the system has more to tell than it keeps."""
    with contextlib.ExitStack() as stack:
        files = [(stack.enter_context(path.open("r+b", buffering=0)), path.stem) for path in paths]
        for at in range(NOTES):
            file, name = files[at % len(files)]
            os.pwrite(file.fileno(), text(name, f"save {at:05}"), 0)


@pytest.mark.parametrize(("mode", "file"), [("dies", "end"), ("fails", "fail")])
def test_a_watch_that_ends_is_told_and_begun_anew(home, world, run, mode, file):  # noqa: F811
    [agents] = roots(world, 1)
    with watched(home, mode, directories=1) as seen:
        (agents / f"{file}.md").write_bytes(text(file))
        assert "definitions: " in seen.process.notes_until("anew" if mode == "fails" else "ended")
        seen.until(agents, 1)
        seen.process.notes_until("definitions: over")
        until(lambda: seen.status()["problem"] is None, "its recovery")
        assert seen.alarms_of("watch") == [False, True]
        assert seen.of(agents) == [("create", f"{file}.md")]


def test_that_watching_fails_is_over_once_it_has_looked_at_everything(home, world):  # noqa: F811
    """Not with the next step that did not fail: that one only waits."""
    [agents] = roots(world, 1)
    (agents / "keep.md").write_bytes(text("keep"))
    with watched(home, "keeps", directories=1) as seen:
        for _ in range(3):
            seen.process.notes_until("looks in vain")
        (agents / "keep.md").unlink()
        seen.process.notes_until("definitions: over")
        assert seen.alarms_of("watch") == [False, True]


def test_blindness_is_told_wherever_somebody_looks(home, world, run):  # noqa: F811
    [agents] = roots(world, 1)
    with watched(home, "deaf", directories=1) as seen:
        (agents / "one.md").write_bytes(text("one"))
        seen.until(agents, 1)
        words = "the system does not tell of every change"
        said = run("status").stdout
        assert "watches 1 definition in 1 directory; the last change, " in said
        assert "create one" in said
        assert f"trouble with definitions: {words}" in said
        assert words in run().stderr
        assert words in run("doctor").stdout
    assert words not in run().stderr  # it ended, and nobody is blind


def test_trouble_with_one_directory_stops_no_other(home, world, run, monkeypatch):  # noqa: F811
    """One that is no directory any more, links to nothing and to themselves, and a setting that cannot be."""
    monkeypatch.setenv("HOLDFAST_DEFINITION_ROOTS", '{"mine": ["~other", "user"]}')
    first, second = roots(world, 2)
    (first / "one.md").write_bytes(text("one"))
    (second / "nothing.md").symlink_to(second / "not there")
    (second / "loop.md").symlink_to(second / "loop.md")
    with watched(home, directories=2) as seen:
        seen.until(first, 1)
        shutil.rmtree(first)
        first.write_text("no directory")
        seen.until(first, 2)
        (second / "two.md").write_bytes(text("two"))
        seen.until(second, 1)
        assert "definition_roots is passed over" in seen.status()["problem"]
        assert seen.status()["unreadable"] >= 2
        assert seen.of(first) == [("create", "one.md"), ("delete", "one.md")]


def test_a_long_import_keeps_no_change_from_being_seen(home, world):  # noqa: F811
    """The service's own work stands still in the middle of a fold; definitions are seen, from the first look on."""
    [agents] = roots(world, 1)
    (agents / "one.md").write_bytes(text("one"))
    work_in(agents.parent.parent, 2)
    world.agent(world.claude, "own.md")
    service = Process("folds", module="tests.e2e.hindered")
    try:
        service.notes_until("folds")
        seen = changing.Watched(home, service)
        own = world.claude / "agents"
        seen.until(own, 1)
        (own / "own.md").write_bytes(text("own", "more"))
        seen.until(own, 2)
        assert seen.of(own) == [("create", "own.md"), ("modify", "own.md")]
    finally:
        service.end(signal.SIGKILL)
