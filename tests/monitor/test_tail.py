"""What the tailer promises beyond the scenarios: limits, other readers, hints, events, and positions that cannot be written."""

from __future__ import annotations

import os
import resource
from collections import Counter

import apsw
import pytest

from holdfast.errors import TailFailed, TailTaken
from holdfast.monitor import handles, matching, tail
from holdfast.monitor.generation import KINDS
from holdfast.monitor.handles import open_regular as handles_open
from holdfast.monitor.scope import Scope
from holdfast.monitor.tail import Tailer


@pytest.fixture
def top(tmp_path):
    path = tmp_path / "logs"
    path.mkdir()
    return path


@pytest.fixture
def db(tmp_path):
    return apsw.Connection(str(tmp_path / "positions.db"))


def poll(tailer, db, changed=None):
    """Everything that one poll gives."""
    lines, events = [], []
    for batch in tailer.poll(changed):
        with db:
            tailer.keep(batch)
        lines += batch.lines
        events += batch.events
    return lines, events


def texts(found):
    return [line.text for line in found[0]]


def test_a_line_tells_where_it_stands(top, db):
    (top / "app.log").write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\0\0three\nb\xffd\n")
    lines, _ = poll(Tailer(Scope([top]), db), db)
    assert [(line.start, line.end, line.body, line.nul_bytes, line.is_utf8) for line in lines] == [
        (0, 8, b"one", 0, True),
        (8, 12, b"two", 0, True),
        (12, 20, b"three", 2, True),
        (20, 24, b"b\xffd", 0, False),
    ]
    assert {(line.log, line.generation) for line in lines} == {(str(top / "app.log"), 1)}


def test_a_line_that_is_too_long_is_cut_and_told_and_the_next_is_whole(top, db):
    (top / "app.log").write_bytes(b"x" * 100_000 + b"\r\nnext\n" + b"y" * 400_000)
    tailer = Tailer(Scope([top]), db, max_line_bytes=1_000)
    lines, events = poll(tailer, db)
    assert [(len(line.body), line.cut_bytes) for line in lines] == [(1_000, 99_000), (4, 0)]
    with (top / "app.log").open("ab") as file:
        file.write(b"y" * 400_000 + b"\nend\n")
    more, more_events = poll(tailer, db)
    assert [(len(line.body), line.cut_bytes) for line in more] == [(1_000, 799_000), (3, 0)]
    assert [event.figures["cut_bytes"] for event in events + more_events] == [99_000, 799_000]
    assert tailer.cut_lines == 2


def test_a_huge_hole_is_passed_over(top, db):
    with (top / "app.log").open("wb") as file:
        file.truncate(1 << 36)
        file.seek(1 << 36)
        file.write(b"behind it\n")
    lines, _ = poll(Tailer(Scope([top]), db), db)
    assert [(line.text, line.nul_bytes) for line in lines] == [("behind it", 1 << 36)]


def test_what_was_not_kept_is_given_again(top, db):
    (top / "app.log").write_text("one\ntwo\n")
    tailer = Tailer(Scope([top]), db)
    for batch in tailer.poll():
        assert [line.text for line in batch.lines] == ["one", "two"]
    assert texts(poll(tailer, db)) == ["one", "two"]
    assert texts(poll(tailer, db)) == []


def test_what_was_kept_and_rolled_back_is_given_again_also_what_is_deleted_by_then(top, db):
    (top / "app.log").write_text("one\n")
    tailer = Tailer(Scope([top]), db)

    def fail():
        for batch in tailer.poll():
            with db:
                tailer.keep(batch)
                raise OSError("the consumer's own trouble")

    with pytest.raises(OSError, match="own trouble"):
        fail()
    (top / "app.log").unlink()
    assert texts(poll(tailer, db)) == ["one"]


def test_nothing_is_read_ahead_of_the_consumer(top, db, monkeypatch):
    """A batch is bounded; of what comes after it nothing is read before it is asked for."""
    monkeypatch.setattr(tail, "BATCH_BYTES", 300 << 10)
    (top / "app.log").write_bytes(b"x" * 99 + b"\n" + b"y" * 99 + b"\n" * 1)
    with (top / "app.log").open("ab") as file:
        file.write(b"z" * 999 + b"\n" * 1)
        for _ in range(4_000):
            file.write(b"w" * 999 + b"\n")
    tailer = Tailer(Scope([top]), db)
    sizes = []
    for batch in tailer.poll():
        sizes.append(sum(len(line.body) for line in batch.lines))
        with db:
            tailer.keep(batch)
    assert len(sizes) > 5
    assert max(sizes) < 1 << 20
    assert sum(sizes) == 198 + 4_001 * 999


def test_a_quiet_log_is_served_beside_a_noisy_one_and_being_behind_is_told(top, db):
    with (top / "noisy.log").open("wb") as file:
        file.write((b"n" * 99 + b"\n") * 40_000)
    (top / "quiet.log").write_text("quiet\n")
    tailer = Tailer(Scope([top]), db, poll_bytes=1 << 20)
    lines, events = poll(tailer, db)
    assert "quiet" in {line.text for line in lines}
    assert tailer.is_behind
    assert [event.kind for event in events] == ["reader_behind"]
    assert events[0].figures["bytes"] > 2_000_000
    count = len(lines)
    while tailer.is_behind:
        count += len(poll(tailer, db)[0])
    assert count == 40_001


def test_another_reader_of_the_same_positions_is_refused(top, tmp_path, db):
    (top / "app.log").write_text("one\n")
    first = Tailer(Scope([top]), db)
    other_db = apsw.Connection(str(tmp_path / "positions.db"))
    second = Tailer(Scope([top]), other_db)
    assert texts(poll(first, db)) == ["one"]
    with pytest.raises(TailTaken, match="another reader"):
        poll(second, other_db)


def test_positions_of_a_newer_version_are_refused(top, db):
    Tailer(Scope([top]), db)
    db.execute("UPDATE tail_state SET value = 99 WHERE key = 'version'")
    with pytest.raises(TailFailed, match="newer Holdfast"):
        Tailer(Scope([top]), db)


def test_many_files_leave_few_open(top, db):
    for number in range(2_000):
        (top / f"{number}.log").write_text(f"{number}\n")
    tailer = Tailer(Scope([top]), db)
    assert len(texts(poll(tailer, db))) == 2_000
    assert tailer.open_handles <= 64
    tailer.close()


@pytest.mark.slow
def test_more_files_than_may_be_open(top, db):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(400):
        (top / f"{number}.log").write_text(f"{number}\n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (160, hard))
    try:
        assert len(texts(poll(Tailer(Scope([top]), db), db))) == 400
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_hint_narrows_the_look(top, db):
    for name in ("one", "two"):
        (top / name).mkdir()
        (top / name / "app.log").write_text(f"{name}\n")
    tailer = Tailer(Scope([top]), db)
    poll(tailer, db)
    for name in ("one", "two"):
        with (top / name / "app.log").open("a") as file:
            file.write(f"more {name}\n")
    assert texts(poll(tailer, db, {str(top / "two")})) == ["more two"]
    (top / "two" / "app.log").rename(top / "two" / "app.log.1")
    (top / "two" / "app.log").write_text("anew\n")
    assert texts(poll(tailer, db, {str(top / "two")})) == ["anew"]
    assert texts(poll(tailer, db)) == ["more one"]


def test_the_last_line_of_a_rotated_file_waits_for_the_writer_to_be_quiet(top, db):
    now = [1_000_000_000]
    (top / "app.log").write_text("one\nla")
    tailer = Tailer(Scope([top]), db, settle_us=2_000_000, now_us=lambda: now[0])
    poll(tailer, db)
    (top / "app.log").rename(top / "app.log.1")
    (top / "app.log").write_text("new\n")
    assert texts(poll(tailer, db)) == ["new"]
    now[0] += 1_000_000
    assert texts(poll(tailer, db)) == []
    with (top / "app.log.1").open("a") as file:
        file.write("s")
    assert texts(poll(tailer, db)) == []
    now[0] += 3_000_000
    lines, _ = poll(tailer, db)
    assert [(line.text, line.is_ended) for line in lines] == [("las", False)]
    with (top / "app.log.1").open("a") as file:
        file.write("t\n")
    lines, _ = poll(tailer, db)
    assert [(line.text, line.continues) for line in lines] == [("t", True)]


def test_events_say_what_happened_to_the_files(top, db):
    (top / "app.log").write_text("one\ntwo\n")
    tailer = Tailer(Scope([top]), db)
    poll(tailer, db)
    (top / "app.log").rename(top / "app.log.1")
    (top / "app.log").write_text("three\n")
    _, events = poll(tailer, db)
    assert [(event.kind, event.generation, event.figures["to"]) for event in events] == [
        ("rotated", 1, str(top / "app.log.1"))
    ]
    (top / "app.log").write_text("four\n")
    _, events = poll(tailer, db)
    assert [(event.kind, event.generation) for event in events] == [("truncated", 2)]
    (top / "app.log").write_text("five\nunfinished")
    poll(tailer, db)
    (top / "app.log").write_text("")
    _, events = poll(tailer, db)
    assert [event.kind for event in events] == ["truncated", "gap"]
    assert events[1].figures["bytes"] == len("unfinished")
    assert {event.kind for event in events} <= set(KINDS)


def refuse(path, *paths):
    if path in paths:
        raise PermissionError(13, "Permission denied", path)
    return handles_open(path)


def test_what_cannot_be_read_is_told_once_and_comes_later(top, db, monkeypatch):
    """Root may read everything, so the refusal is made."""
    log, new = str(top / "app.log"), str(top / "new.log")
    (top / "app.log").write_text("one\n")
    tailer = Tailer(Scope([top]), db)
    assert texts(poll(tailer, db)) == ["one"]
    for module in (matching, handles):
        monkeypatch.setattr(module, "open_regular", lambda path: refuse(path, log, new))
    for name in (log, new):
        with open(name, "a") as file:  # noqa: PTH123
            file.write("two\n")
    found = [poll(tailer, db) for _ in range(3)]
    assert [line for lines, _ in found for line in lines] == []
    events = [event for _, told in found for event in told]
    assert [(event.kind, event.log, event.figures["why"]) for event in events] == [
        ("unreadable", log, "Permission denied"),
        ("unreadable", new, "Permission denied"),
    ]
    for module in (matching, handles):
        monkeypatch.setattr(module, "open_regular", handles_open)
    lines, events = poll(tailer, db)
    assert [line.text for line in lines] == ["two", "two"]
    assert [event.kind for event in events] == ["readable", "readable"]


def test_a_directory_that_cannot_be_listed_is_told_and_nothing_in_it_counts_as_gone(top, db, monkeypatch):
    (top / "below").mkdir()
    (top / "below" / "app.log").write_text("one\n")
    tailer = Tailer(Scope([top]), db)
    poll(tailer, db)
    scandir = os.scandir

    def refusing(path):
        if path == str(top / "below"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert [event.kind for _ in range(3) for event in poll(tailer, db)[1]] == ["unreadable"]
    monkeypatch.setattr(os, "scandir", scandir)
    with (top / "below" / "app.log").open("a") as file:
        file.write("two\n")
    lines, events = poll(tailer, db)
    assert [line.text for line in lines] == ["two"]
    assert [event.kind for event in events] == ["readable"]


def test_rotating_for_ever_keeps_a_bounded_memory_of_it(top, db):
    tailer = Tailer(Scope([top]), db)
    got = Counter()
    for number in range(200):
        (top / "app.log").write_text(f"{number}\n")
        got.update(texts(poll(tailer, db)))
        (top / "app.log").unlink()
    poll(tailer, db)
    assert sorted(map(int, got)) == list(range(200))
    assert set(got.values()) == {1}
    assert db.execute("SELECT count(*) FROM tail_generation").get < 140
