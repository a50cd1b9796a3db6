"""Programs hear of changes of definitions: whoever makes or sees one, each once and in order."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading

import pytest

import holdfast
from holdfast import hearing
from holdfast.errors import AmbiguousId, BlobDamaged, DefinitionsBusy, NotFound, UsageError
from holdfast.home import Home
from holdfast.settings import load
from tests.conftest import RUN_LIMIT_S
from tests.e2e.following import LIMIT_S, serving
from tests.e2e.test_definitions_api import project, sha256, user, write  # noqa: F401 - fixtures
from tests.waiting import until

pytestmark = pytest.mark.slow  # most of these start the command, or wait for a thread
# The fixtures are called as what they are.
# ruff: noqa: F811


class Heard:
    """What a subscriber is told, one by one."""

    def __init__(self, agents, pattern="*"):
        self._told = queue.SimpleQueue()
        self.leave = agents.subscribe(self._told.put, pattern)

    def next(self):
        one = self._told.get(timeout=LIMIT_S)
        return one.operation, one.name

    def rest(self):
        """What else was told; asked for when nobody tells any more."""
        out = []
        while not self._told.empty():
            out.append(self.next())
        return out


@pytest.fixture
def agents(project):
    with holdfast.Definitions() as found:
        yield found


@pytest.fixture
def others_look(monkeypatch):
    """A program that subscribes does not look at files by itself, so that what it hears is what others saw."""
    monkeypatch.setattr(hearing.Listener, "_decide", lambda *_: None)
    monkeypatch.setattr(hearing, "_LOOK_EVERY_S", 0.05)  # also whether there is a ledger now


def command(*args, **env):
    """Another process that looks."""
    return subprocess.run(
        [sys.executable, "-m", "holdfast", "definitions", *args],
        env=os.environ | env,
        capture_output=True,
        timeout=RUN_LIMIT_S,
        check=False,
    ).returncode


def steps(found):
    return [(one.operation, one.name) for one in found]


# ── refresh ──


def test_a_refresh_says_each_change_once_and_records_it(agents, project, user, home):
    path = write(project / ".claude", "qa")
    write(user, "dev")
    assert sorted(steps(agents.refresh())) == [("create", "dev"), ("create", "qa")]
    assert agents.refresh() == []
    before = sha256(path)
    write(project / ".claude", "qa", "Anew.\n")
    [one] = agents.refresh()
    assert (one.operation, one.name, one.tool, one.tier, one.path) == (
        "modify",
        "qa",
        "claude",
        "project",
        str(path),
    )
    assert (one.sha256_before, one.sha256, one.own, one.missed) == (before, sha256(path), False, 0)
    assert one.at is not None
    path = path.rename(path.with_name("moved.md"))
    [moved] = agents.refresh()
    assert (moved.operation, moved.path, moved.path_before) == ("rename", str(path), one.path)
    write(project / ".claude", "moved", "Anew.\n", name="tester")
    [renamed] = agents.refresh()
    assert (renamed.operation, renamed.names) == ("modify", ("tester", "qa"))
    path.unlink()
    assert steps(agents.refresh()) == [("delete", "tester")]
    ids = [each.id for each in (one, moved, renamed)]
    opened = Home(load(None, os.environ, {}))
    assert opened.catch_up([]).done
    with contextlib.closing(opened.reader()) as db:
        kept = [
            row[0] for row in db.execute("SELECT id FROM definition_revision ORDER BY segment, offset_bytes")
        ]
    assert kept[2:5] == ids


def test_a_refresh_says_what_others_saw_since_the_last_one_and_nothing_of_other_places(
    agents, project, tmp_path
):
    write(project / ".claude", "qa")
    agents.refresh()
    write(project / ".claude", "qa", "Anew.\n")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ".git").mkdir(parents=True)
    write(elsewhere / ".claude", "other")
    assert command() == command("--cwd", str(elsewhere)) == 0
    assert steps(agents.refresh()) == [("modify", "qa")]
    path = elsewhere / ".claude" / "agents" / "other.md"
    path.rename(project / ".claude" / "agents" / "other.md")
    holdfast.Definitions(elsewhere).refresh()
    assert steps(agents.refresh())[-1][1] == "other", "what comes here from elsewhere is told"


def test_a_definition_that_a_link_leads_to_counts_where_the_link_lies(agents, project, tmp_path):
    real = write(tmp_path / "store", "qa")
    link = project / ".claude" / "agents" / "qa.md"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    [one] = agents.refresh()
    assert (one.operation, one.path) == ("create", str(real))


def test_a_refresh_while_another_looks_waits_and_then_says_so(agents, project, home, monkeypatch):
    write(project / ".claude", "qa")
    agents.refresh()
    monkeypatch.setattr(hearing.Looker.look, "__defaults__", (50,))
    with (home / "definitions" / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DefinitionsBusy):
            agents.refresh()
    assert agents.refresh() == []


# ── what is handed out is kept ──


def test_what_is_handed_out_is_recorded_before(agents, project, home, monkeypatch):
    path = write(project / ".claude", "qa")
    made = agents.prompt("qa", variables={"branch": "main"})
    assert made.recorded
    assert (home / "definitions" / "texts" / made.sha256).read_bytes() == path.read_bytes()
    write(project / ".claude", "qa", "Anew.\n")
    monkeypatch.setattr("holdfast.definitions_client._KEEP_WAIT_MS", 10)
    with (home / "definitions" / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        unkept = agents.get("qa")
    assert (unkept.body, unkept.recorded) == ("Anew.\n", False), (
        "that it cannot be kept is no reason not to answer"
    )
    assert agents.get("qa").recorded
    assert all(one.recorded for one in agents.all())


def test_an_earlier_revision_can_be_asked_for(agents, project, home):
    path = write(project / ".claude", "qa", "{{x}} one\n", model="opus")
    first = agents.get("qa")
    write(project / ".claude", "qa", "two\n")
    [change] = agents.refresh()
    path.unlink()
    agents.refresh()
    was = agents.get("qa", revision=first.sha256[:12])
    assert (was.text, was.sha256, was.model, was.tier, was.path) == (
        first.text, first.sha256, "opus", "project", str(path)
    )  # fmt: skip
    assert (was.counts, was.hides, was.recorded) == (None, (), True)
    made = agents.prompt("qa", revision=first.sha256, variables={"x": "1"})
    assert (made.text, made.sha256, made.counts) == ("1 one\n", first.sha256, None)
    assert agents.get("qa", revision=change.id).body == "two\n"
    with pytest.raises(NotFound, match="no revision of 'qa' begins with 'ffff'"):
        agents.get("qa", revision="ffff")
    with pytest.raises(UsageError, match="names no revision"):
        agents.get("qa", revision="../x")
    (home / "definitions" / "texts" / was.sha256).unlink()
    with pytest.raises(BlobDamaged):
        agents.get("qa", revision=was.sha256)


def test_a_revision_that_several_are_meant_by_is_asked_back(agents, project):
    contents: dict[str, str] = {}
    for number in range(300):  # until two begin with the same digits
        body = f"{number}\n"
        text = f"---\nname: qa\ndescription: Reads changes\n---\n{body}"
        begins = hashlib.sha256(text.encode()).hexdigest()[:2]
        if begins in contents:
            break
        contents[begins] = body
    for each in (contents[begins], body):
        write(project / ".claude", "qa", each)
        agents.refresh()
    with pytest.raises(AmbiguousId, match=f"'{begins}' fits 2 revisions of qa"):
        agents.get("qa", revision=begins)


# ── subscribe ──


def test_edits_are_heard_without_a_service(agents, project, monkeypatch):
    monkeypatch.setattr(hearing, "_LOOK_EVERY_S", 0.05)
    heard = Heard(agents)
    path = write(project / ".claude", "qa")
    assert heard.next() == ("create", "qa")
    write(project / ".claude", "qa", "Anew.\n")
    assert heard.next() == ("modify", "qa")
    path.unlink()
    assert heard.next() == ("delete", "qa")
    assert agents.close()
    assert heard.rest() == []


def test_what_other_processes_saw_is_heard_once_and_in_order(agents, project, others_look):
    write(project / ".claude", "before")
    assert command() == 0
    heard, only = Heard(agents), Heard(agents, "qa")
    for name in ("qa", "qa-web", "qa-api"):
        write(project / ".claude", name)
        assert command() == 0
    write(project / ".claude", "qa", "Anew.\n")
    assert command() == 0
    told = [("create", "qa"), ("create", "qa-web"), ("create", "qa-api"), ("modify", "qa")]
    assert [heard.next() for _ in told] == told
    assert [only.next(), only.next()] == [told[0], told[3]]
    assert agents.close()
    assert heard.rest() == only.rest() == []


def test_what_was_recorded_before_one_subscribed_is_no_news_for_it(agents, project, others_look, monkeypatch):
    monkeypatch.setattr(
        hearing.Listener, "_read", lambda *_: None
    )  # as if the listener were busy all the time
    first = Heard(agents)
    write(project / ".claude", "qa")
    agents.refresh()
    second = Heard(agents)
    assert first.next() == ("create", "qa")
    assert agents.close()
    assert second.rest() == []


def test_what_is_seen_by_asking_is_heard_too(agents, project, others_look):
    write(project / ".claude", "qa")
    heard = Heard(agents)
    agents.get("qa")
    assert heard.next() == ("create", "qa")
    write(project / ".claude", "qa", "Anew.\n")
    agents.prompt("qa")
    agents.refresh()
    assert heard.next() == ("modify", "qa")
    assert agents.close()
    assert heard.rest() == []


@pytest.mark.parametrize("point", ["pending", "recorded", "indexed"])
def test_a_change_whose_recording_was_cut_is_heard_once(agents, project, others_look, point):
    """What was begun is recorded again, so that the journal may hold it twice."""
    write(project / ".claude", "first")
    assert command() == 0
    heard = Heard(agents)
    write(project / ".claude", "qa")
    write(project / ".claude", "dev")
    assert command(HOLDFAST_FAILPOINTS=f"definition.{point}=kill") == -signal.SIGKILL
    write(project / ".claude", "last")
    assert command() == 0
    told = sorted(heard.next() for _ in range(2))
    assert told == [("create", "dev"), ("create", "qa")]
    assert heard.next() == ("create", "last")
    assert agents.close()
    assert heard.rest() == []


def test_what_holdfast_writes_itself_is_heard_once_as_its_own(agents, project, others_look):
    path = write(project / ".claude", "qa")
    agents.refresh()
    heard = []
    agents.subscribe(heard.append)
    content = path.read_bytes() + b"More.\n"
    [after] = agents.put("qa", content, base=agents.get("qa").sha256, author="me", reason="tests")
    assert agents.refresh()[-1].own, "the refresh tells it too, once"
    assert agents.refresh() == []
    assert command() == 0
    assert agents.close()
    [one] = heard
    assert (one.operation, one.own, one.author, one.author_grade, one.reason, one.sha256) == (
        "modify", True, "me", "observed", "tests", after.sha256
    )  # fmt: skip


def test_what_the_service_sees_is_heard_once_and_in_order(agents, project, others_look):
    write(project / ".claude", "qa")
    agents.refresh()
    with serving():
        heard = Heard(agents)
        for text in ("Anew.\n", "And again.\n"):
            write(project / ".claude", "qa", text)
            assert heard.next() == ("modify", "qa"), "the service saw it"
        write(project / ".claude", "qa-web")
        agents.refresh()
        assert heard.next() == ("create", "qa-web")
    assert agents.close()
    assert heard.rest() == []


def test_one_that_fails_and_one_that_is_slow_harm_nobody(agents, project, others_look, caplog):
    go_on, slow = threading.Event(), []

    def fail(change):
        raise ValueError(change.name)

    agents.subscribe(fail)
    agents.subscribe(lambda change: (go_on.wait(LIMIT_S), slow.append(change.name)))
    heard = Heard(agents)
    for name in ("a", "b"):
        write(project / ".claude", name)
        assert steps(agents.refresh()) == [("create", name)]
        assert heard.next() == ("create", name)
    until(lambda: agents.figures()["failed"] == 2)
    assert slow == []
    go_on.set()
    assert agents.close()
    assert slow == ["a", "b"]
    assert {name: agents.figures()[name] for name in ("told", "failed", "missed", "waiting", "subscribers")} == {
        "told": 4, "failed": 2, "missed": 0, "waiting": 0, "subscribers": 0
    }  # fmt: skip
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def listening():
    return [
        thread
        for thread in threading.enumerate()
        if thread.name == "holdfast-definitions" and thread.is_alive()
    ]


def test_who_left_is_called_no_more_and_then_nobody_listens(agents, project, others_look):
    first, second = Heard(agents), Heard(agents)
    write(project / ".claude", "qa")
    agents.refresh()
    assert first.next() == second.next() == ("create", "qa")
    first.leave()
    assert len(listening()) == 1
    write(project / ".claude", "qa", "Anew.\n")
    agents.refresh()
    assert second.next() == ("modify", "qa")
    second.leave()
    second.leave()
    until(lambda: not listening())
    write(project / ".claude", "qa", "And again.\n")
    agents.refresh()
    assert first.rest() == second.rest() == []
    third = Heard(agents)
    write(project / ".claude", "qa", "Once more.\n")
    agents.refresh()
    assert third.next() == ("modify", "qa"), "what happened before it subscribed is no news"


def test_a_listener_that_was_stopped_tells_nothing_to_who_subscribes_afterwards(agents, project, others_look):
    """It may still be at its last round while another one has begun."""
    leave = Heard(agents).leave
    stopped = agents._listener
    leave()
    heard = Heard(agents)
    write(project / ".claude", "qa")
    agents.refresh()
    stopped.read_on()
    assert heard.next() == ("create", "qa")
    assert agents.close()
    assert heard.rest() == []


def test_a_change_drops_what_was_made_of_that_name_and_nothing_else(
    agents, project, others_look, monkeypatch
):
    from holdfast.definitions import registry

    monkeypatch.setattr(registry, "_FINE_TICK_NS", -(10**18))
    monkeypatch.setattr(registry, "_COARSE_TICK_NS", -(10**18))
    for name in ("qa", "qa-web"):
        write(project / ".claude", name)
    agents.refresh()
    agents.all()
    before = agents.figures()
    assert before["entries"] == 4  # of each its file and its text
    heard = Heard(agents)
    write(project / ".claude", "qa", "Anew.\n")
    assert command() == 0
    assert heard.next() == ("modify", "qa")
    assert agents.figures()["entries"] == 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_asks_and_looks_for_itself_and_has_no_subscribers(agents, project, others_look):
    heard = Heard(agents)
    write(project / ".claude", "qa")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = [
            agents.get("qa").name,
            steps(agents.refresh()),
            agents.figures()["subscribers"],
            agents.close(),
        ]
        heard.leave()
        os.write(writing, repr(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        assert (
            told.read() == b"['qa', [], 0, True]"
        )  # `get` recorded it, so that the refresh finds nothing new
    assert os.waitpid(child, 0)[1] == 0
    assert heard.next() == ("create", "qa"), "who forked it hears what the child saw"
    assert agents.close()
    assert heard.rest() == []


@pytest.mark.parametrize(
    ("served", "took_s", "gap_s"),
    [(False, 0.0, 1.0), (False, 0.1, 2.0), (True, 0.1, 10.0), (True, 1.0, 20.0)],
)
def test_how_often_a_program_looks_depends_on_who_else_does_and_what_it_costs(
    agents, monkeypatch, served, took_s, gap_s
):
    class Holder:
        serves = served

    agents.subscribe(print)
    listener = agents._listener
    agents.close()
    monkeypatch.setattr(hearing.lock, "holder", lambda _: Holder)
    assert listener._gap_s(took_s) == gap_s


def test_what_is_being_written_is_taken_when_it_holds_still_and_not_half(agents, project, monkeypatch):
    """As by the service; what never holds still is taken after a second all the same."""
    monkeypatch.setattr(hearing.Listener, "start", lambda _: None)
    agents.subscribe(print)
    listener, agents._listener = agents._listener, None
    looks = []
    real = hearing.Looker.look
    monkeypatch.setattr(hearing.Looker, "look", lambda *_, **more: (looks.append(1), real(*_, **more))[1])

    def at(moment_s):
        listener._decide(listener._looker.scan(), moment_s)
        return len(looks)

    write(project / ".claude", "qa", "half")
    assert at(100.0) == 0
    write(project / ".claude", "qa", "whole now")
    assert at(100.025) == 0
    assert at(100.05) == 1
    again = listener._taken is None  # written so shortly before that another change might not be told
    assert at(101.0) == 1
    assert at(101.025) == 1 + again
    for moment in range(4):
        write(project / ".claude", "qa", "x" * (100 + moment))
        assert at(200.0 + moment * 0.3) == 1 + again
    write(project / ".claude", "qa", "y" * 200)
    assert at(201.2) == 2 + again


def test_closing_waits_no_longer_for_a_look_than_it_was_told_to(agents, project, monkeypatch):
    looks, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(hearing.Looker, "look", lambda *_, **__: (looks.set(), go_on.wait(LIMIT_S))[1])
    agents.subscribe(print)
    assert looks.wait(LIMIT_S)
    assert agents.close(timeout_s=0.01) is False
    go_on.set()
    until(lambda: not listening())


def test_what_keeps_from_following_is_said_once_and_not_for_good(agents, project, monkeypatch, caplog):
    monkeypatch.setattr(hearing, "_LOOK_EVERY_S", 0.01)
    real, failed = hearing.Looker.look, []

    def look(self, wait_ms=0):
        if len(failed) < 3:
            failed.append(1)
            raise OSError("no room")
        return real(self, wait_ms)

    monkeypatch.setattr(hearing.Looker, "look", look)
    heard = Heard(agents)
    write(project / ".claude", "qa")
    assert heard.next() == ("create", "qa")
    assert [record.message for record in caplog.records] == [
        "definitions cannot be followed for now: no room"
    ]
