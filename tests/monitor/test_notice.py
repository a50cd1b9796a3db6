"""Hints about changed directories: what is told, and when it is said that nothing is known."""

from __future__ import annotations

import os
import random
import shutil
import sys
import threading
from pathlib import Path

import pytest

from holdfast.monitor import inotify, notice
from holdfast.monitor.notice import Notices

LONG_S = 30  # never waited for: something has happened already
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has inotify")
pytestmark = linux_only


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def notices(root):
    with Notices([root]) as watching:
        assert watching.wait(LONG_S) is None  # what was before the first wait is unknown
        yield watching


def append(root):
    with (root / "log").open("ab") as log:
        log.write(b"x")


def test_nothing_has_changed(notices):
    assert notices.wait(0) == set()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "new").write_bytes(b""),
        append,
        lambda root: (root / "log").rename(root / "log.1"),
        lambda root: (root / "log").unlink(),
        lambda root: os.truncate(root / "log", 0),
        lambda root: os.utime(root / "log", (1, 1)),
        lambda root: (root / "log").chmod(0o600),
        lambda root: (root / "link").symlink_to("log"),
    ],
    ids=["create", "append", "rename", "delete", "truncate", "touch", "chmod", "link"],
)
def test_a_change_names_its_directory(root, change):
    (root / "log").write_bytes(b"a line\n")
    with Notices([root]) as notices:
        notices.wait(LONG_S)
        change(root)
        assert notices.wait(LONG_S) == {str(root)}
        assert notices.wait(0) == set()


def test_reading_is_no_change(root, notices):
    (root / "log").write_bytes(b"a line\n")
    notices.wait(LONG_S)
    assert (root / "log").read_bytes()
    assert sorted(root.iterdir())
    assert notices.wait(0) == set()


def test_a_tree_that_appears_is_watched_and_told_with_all_its_directories(root, notices):
    deep = root / "a" / "b" / "c"
    deep.mkdir(parents=True)
    assert notices.wait(LONG_S) == {str(each) for each in (root, root / "a", root / "a" / "b", deep)}
    (deep / "log").write_bytes(b"x")
    assert notices.wait(LONG_S) == {str(deep)}


def test_a_tree_that_is_moved_in_is_told_and_followed(root, notices, tmp_path):
    (tmp_path / "elsewhere" / "below").mkdir(parents=True)
    (tmp_path / "elsewhere").rename(root / "in")
    assert notices.wait(LONG_S) == {str(root), str(root / "in"), str(root / "in" / "below")}
    (root / "in").rename(root / "renamed")
    assert notices.wait(LONG_S) == {str(root), str(root / "renamed"), str(root / "renamed" / "below")}
    (root / "renamed" / "below" / "log").write_bytes(b"x")
    assert notices.wait(LONG_S) == {str(root / "renamed" / "below")}
    (root / "renamed").rename(tmp_path / "out")
    assert notices.wait(LONG_S) == {str(root)}
    (tmp_path / "out" / "below" / "log").write_bytes(b"y")
    assert notices.wait(0) == set()
    assert notices.watch_count == 1


def test_a_deleted_tree_is_given_up(root, notices):
    (root / "a" / "b").mkdir(parents=True)
    notices.wait(LONG_S)
    shutil.rmtree(root / "a")
    assert str(root) in notices.wait(LONG_S)
    assert notices.watch_count == 1
    (root / "a").mkdir()
    assert notices.wait(LONG_S) == {str(root), str(root / "a")}


def test_a_root_may_come_later_and_go(tmp_path):
    late = tmp_path / "late"
    with Notices([late]) as notices:
        assert notices.is_complete  # nothing is hidden there
        notices.wait(LONG_S)
        assert notices.wait(0) == set()
        (late / "below").mkdir(parents=True)
        assert notices.wait(LONG_S) == {str(late), str(late / "below")}
        late.rename(tmp_path / "gone")
        assert str(late) in notices.wait(LONG_S)
        assert notices.watch_count == 0
        late.mkdir()
        assert notices.wait(LONG_S) == {str(late)}


def test_links_to_directories_are_followed_also_in_a_circle(root, tmp_path):
    outside = tmp_path / "outside"
    (outside / "below").mkdir(parents=True)
    (root / "loop").symlink_to(root)
    (root / "self").symlink_to("self")
    with Notices([root]) as notices:
        notices.wait(LONG_S)
        (root / "link").symlink_to(outside)
        assert {str(root / "link"), str(root / "link" / "below")} <= notices.wait(LONG_S)
        (outside / "below" / "log").write_bytes(b"x")
        assert notices.wait(LONG_S) == {str(root / "link" / "below")}
        (root / "log").write_bytes(b"x")
        assert notices.wait(LONG_S) == {str(root), str(root / "loop")}
        (root / "link").unlink()
        notices.wait(LONG_S)
        (outside / "below" / "log").write_bytes(b"y")
        assert notices.wait(0) == set()


def test_names_of_any_bytes(root, notices):
    odd = os.fsdecode(b"a b:\xff\n-\xc3\xa9")
    (root / odd).mkdir()
    assert str(root / odd) in notices.wait(LONG_S)
    (root / odd / odd).write_bytes(b"")
    assert notices.wait(LONG_S) == {str(root / odd)}


def test_waking_from_another_thread(notices):
    thread = threading.Thread(target=notices.wake)
    thread.start()
    assert notices.wait(LONG_S) == set()
    thread.join()
    for _ in range(100_000):  # more than the pipe holds
        notices.wake()


def test_beyond_the_limit_it_says_unknown_when_the_time_has_passed(root):
    for number in range(5):
        (root / str(number)).mkdir()
    with Notices([root], watch_limit=3) as notices:
        notices.wait(LONG_S)
        assert not notices.is_complete
        assert notices.watch_count == 3
        assert notices.wait(0) is None
        (root / "log").write_bytes(b"")
        assert notices.wait(LONG_S) == {str(root)}  # what is watched is told at once all the same


def test_an_overflow_of_the_kernel_s_queue_says_unknown_and_all_is_watched_again(root, monkeypatch):
    with Notices([root]) as notices:
        notices.wait(LONG_S)
        read = inotify.Inotify.read
        monkeypatch.setattr(
            inotify.Inotify,
            "read",
            lambda queue: iter([inotify.Event(-1, inotify.QUEUE_OVERFLOW, "")]),
        )
        (root / "missed").mkdir()
        assert notices.wait(LONG_S) is None
        monkeypatch.setattr(inotify.Inotify, "read", read)
        (root / "missed" / "log").write_bytes(b"")
        assert notices.wait(LONG_S) == {str(root / "missed")}


def test_a_real_overflow(root):
    with Path("/proc/sys/fs/inotify/max_queued_events").open() as told:
        limit = int(told.read())
    if limit > 100_000:
        pytest.skip(f"the queue holds {limit} notes: it would take long to fill")
    with Notices([root]) as notices:
        notices.wait(LONG_S)
        for number in range(limit // 2 + 10):  # two notes each that are not joined
            os.close(os.open(root / f"{number % 2}", os.O_CREAT | os.O_WRONLY))
            (root / f"{number % 2}").unlink()
        answers = [notices.wait(0) for _ in range(100)]
        assert None in answers
        assert answers[-1] == set()


def test_where_there_are_no_notes_it_is_a_timeout(root, monkeypatch):
    def refuse():
        raise OSError("this system has no inotify")

    monkeypatch.setattr(notice.inotify, "Inotify", refuse)
    with Notices([root]) as notices:
        assert notices.wait(LONG_S) is None
        (root / "log").write_bytes(b"")
        assert notices.wait(0.001) is None
        notices.wake()
        assert notices.wait(LONG_S) == set()


def test_nothing_is_left_open(root):
    before = sorted(Path("/proc/self/fd").iterdir())
    with Notices([root]) as notices:
        notices.wait(LONG_S)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_a_random_tree_is_watched_as_it_is(root):
    """After any history every directory of the tree is watched: a file made in each is told."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    choose = random.Random(seed)
    with Notices([root]) as notices:
        notices.wait(LONG_S)
        for _ in range(400):
            here = [root, *(each for each in root.rglob("*") if each.is_dir())]
            one, other = choose.choice(here), choose.choice(here)
            name = choose.choice("abc")
            what = choose.random()
            if what < 0.5:
                (one / name).mkdir(exist_ok=True)
            elif what < 0.8 and one != root and one not in [other, *other.parents]:
                if not (other / name).exists():
                    one.rename(other / name)
            elif what < 0.9 and one != root:
                shutil.rmtree(one)
            elif choose.random() < 0.5:
                notices.wait(0)
        while notices.wait(0):
            pass
        here = {root, *(each for each in root.rglob("*") if each.is_dir())}
        assert notices.watch_count == len(here)
        for each in here:
            (each / "file").write_bytes(b"")
        assert notices.wait(LONG_S) == {str(each) for each in here}
