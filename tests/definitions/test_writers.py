"""Definitions are written by many at once, by processes that are killed, and where the system refuses: nothing is lost, and the record is right."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import signal
from collections import Counter

import pytest

from holdfast.definitions import ledger, swapping
from holdfast.definitions_client import Definitions
from holdfast.errors import DefinitionConflict
from tests.amount import THOROUGH, some
from tests.definitions import faulty
from tests.definitions.faulty import (
    ACTS,
    PROJECT,
    begun,
    carried_out,
    in_process,
    recorded,
    sha,
    text,
    violations,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("home")]
WRITERS, EDITS = (8, 40) if THOROUGH else (4, 6)


# ── many at once ──


def edits(world, writer):
    """Add so many lines, each to what was read just before; those that were written, and those that were refused with their conflicts."""
    os.environ.update(world.environment)
    written, refused = [], []
    with Definitions(world.project) as agents:
        for number in range(EDITS):
            line = f"{writer}-{number}"
            read = agents.get("qa")
            try:
                agents.put("qa", f"{read.text}{line}\n", base=read.sha256)
            except DefinitionConflict as exc:
                refused.append((line, exc.ids[0]))
            else:
                written.append(line)
    return written, refused


def crowd(world):
    """What the writers say, in no order: (written, refused)."""
    reading, writing = os.pipe()
    pids = []
    for number in range(WRITERS):
        pid = os.fork()
        if pid == 0:
            code, said = in_process(lambda number=number: edits(world, number))
            faulty.real_write(writing, json.dumps([code, said]).encode() + b"\n")
            os._exit(0)
        pids.append(pid)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = [json.loads(line) for line in pipe]
    for pid in pids:
        os.waitpid(pid, 0)
    return said


def wrong_in(world, said):
    """What is wrong after a crowd: edits that are nowhere, and a record that does not agree."""
    out = [f"a writer ended with {code}: {words}" for code, words in said if code]
    lines = set((world.user / PROJECT).read_text().splitlines())
    texts = ledger.Texts(world.home / "definitions" / "texts")
    asked = 0
    conflicts = {
        one["id"]: one["b"]["fields"]
        for one in faulty.records(world)
        if one["b"]["kind"] == "definition.conflict"
    }
    for written, refused in (words for code, words in said if not code):
        asked += len(written) + len(refused)
        out += [f"{line} was written, and is lost" for line in written if line not in lines]
        out += [f"{line} was refused, and is there" for line, _ in refused if line in lines]
        for line, event in refused:
            told = conflicts.get(event)
            if (
                told is None
                or f"\n{line}\n".encode() not in texts.get(told["ours"])
                or not texts.has(told["theirs"])
            ):
                out.append(f"{line} was refused, and not both texts are kept")
    if asked != WRITERS * EDITS:
        out.append(f"{asked} of {WRITERS * EDITS} edits were answered")
    try:
        out += recorded(world)["wrong"]
    except AssertionError as exc:
        out.append(str(exc))
    times = Counter(one.sha256 for one in faulty.revisions(world))
    return out + [f"{sha256} was recorded {count} times" for sha256, count in times.items() if count > 1]


def test_of_many_writers_each_edit_is_kept_or_refused_with_both_texts(tmp_path):
    world = begun(tmp_path / "world", ACTS["put"])
    said = crowd(world)
    assert wrong_in(world, said) == []
    written = sum(len(words[0]) for _, words in said)
    print(
        f"{WRITERS} writers, {EDITS} edits each: {written} kept, {WRITERS * EDITS - written} refused with both texts"
    )
    assert len(faulty.revisions(world)) == written + 1


def test_without_the_lock_that_test_goes_red(tmp_path, monkeypatch):
    world = begun(tmp_path / "world", ACTS["put"])
    monkeypatch.setattr(ledger, "_lock", lambda *_: None)
    assert wrong_in(world, crowd(world))


# ── killed ──


@pytest.fixture(params=ACTS)
def act(request):
    return ACTS[request.param]


def calls_of(act, place, error=None):
    """How many calls of an act write; done to its end it leaves no question."""
    world = begun(place, act)
    code, count = carried_out(world, act, None if error is None else 10**9, error)
    assert code == 0
    assert violations(world, act, acknowledged=True) == []
    return count


def test_a_kill_at_any_call_that_writes_leaves_old_or_new_and_the_record_agrees(act, tmp_path):
    count = calls_of(act, tmp_path / "clean")
    for at in some(range(1, count + 1), 3):
        world = begun(tmp_path / str(at), act)
        code, said = carried_out(world, act, at)
        assert (code, said) == (-signal.SIGKILL, None)
        assert violations(world, act, acknowledged=None) == [], f"killed at call {at} of {count}"


@pytest.mark.parametrize("name", ["put", "migrate"])
def test_if_nobody_looked_what_was_intended_kills_would_leave_a_question(name, tmp_path, monkeypatch):
    """The control of the test above."""
    act, red = ACTS[name], 0
    count = calls_of(act, tmp_path / "clean")
    monkeypatch.setattr(swapping, "settle", lambda *_: False)
    for at in some(range(count // 3, count * 2 // 3), 5):
        world = begun(tmp_path / str(at), act)
        carried_out(world, act, at)
        red += bool(violations(world, act, acknowledged=None))
    assert red


def test_who_is_killed_while_ending_what_another_one_began_leaves_it_to_the_next(tmp_path):
    """Killed in the middle of a move, and then again at each call of the look that undoes it."""
    act = ACTS["migrate"]
    count = calls_of(act, tmp_path / "clean")
    for at in some(range(count // 2 - 6, count // 2 + 10), 2):
        for again in some(range(1, 12), 2):
            world = begun(tmp_path / f"{at}-{again}", act)
            carried_out(world, act, at)
            look = faulty.Act(act.before, act.after, lambda writer: writer._act(lambda _held, _found: None))
            in_process(lambda world=world, again=again, look=look: faulty.counted(world, look, again))
            assert violations(world, act, acknowledged=None) == [], f"killed at {at}, and again at {again}"


# ── refused ──


ERRORS = ("ENOSPC", "EIO", "EACCES")


def test_what_the_system_refuses_is_not_done_or_said_to_be_done(act, tmp_path):
    count = calls_of(act, tmp_path / "clean", "EIO")
    for number, (at, error) in enumerate(some(itertools.product(range(1, count + 1), ERRORS), 3)):
        world = begun(tmp_path / str(number), act)
        code, said = carried_out(world, act, at, error)
        assert code in {0, 10, 21, 30, 43, 45}, (at, error, said)
        acknowledged = True if code == 0 else None if "it is written" in said else False
        assert violations(world, act, acknowledged=acknowledged) == [], (at, error, said)


# ── between ──


def test_what_somebody_else_saves_during_an_act_is_recorded_first_and_is_a_conflict(tmp_path):
    """An editor saves between the look and the swap."""
    world = begun(tmp_path / "world", ACTS["put"])
    path = world.user / PROJECT

    def put():
        writer = world.writer()
        real = swapping.prepare

        def late(*given):
            real(*given)
            beside = path.with_name("beside")
            beside.write_bytes(text("theirs"))
            beside.replace(path)

        swapping.prepare = late
        writer.put(faulty.QA, text("new"), sha(text("old")))

    code, said = in_process(put)
    assert code == DefinitionConflict.exit_code, said
    assert path.read_bytes() == text("theirs")
    found = recorded(world)
    assert found["wrong"] == []
    assert found["revisions"] == [("create", PROJECT, False), ("modify", PROJECT, False)]
    assert world.left() == []


def test_what_another_one_is_writing_is_waited_for(tmp_path):
    world = begun(tmp_path / "world", ACTS["put"])
    fd = os.open(world.home / "definitions" / ledger.LOCK, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    code, said = in_process(lambda: world.writer(wait_ms=10).put(faulty.QA, text("new"), sha(text("old"))))
    assert (code, said.partition(":")[0]) == (31, "DefinitionsBusy")
    os.close(fd)
    assert carried_out(world, ACTS["put"], None)[0] == 0
