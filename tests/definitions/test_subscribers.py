"""Who subscribes is told of each change once, in order, whatever other subscribers do; who left is left alone."""

from __future__ import annotations

import os
import threading
from typing import NamedTuple

import pytest

from holdfast.definitions.subscribers import Subscribers
from tests.waiting import until

LONG_S = 60


class Change(NamedTuple):
    number: int
    names: tuple[str, ...]
    missed: int = 0


def changes(count, name="qa"):
    return [Change(number, (name,)) for number in range(count)]


def made(most_waiting=1_000):
    return Subscribers(lambda change, missed: change._replace(missed=missed), most_waiting)


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("*", [0, 1, 2, 3]),
        ("qa", [0, 3]),
        ("qa*", [0, 1, 3]),
        ("old", [3]),
        ("QA", []),
        ("[x]", []),
        ("[[]x]", [2]),
    ],
)
def test_a_pattern_is_compared_with_whole_names_old_ones_too(pattern, heard):
    told, subscribers = [], made()
    subscribers.add(told.append, pattern)
    names = [("qa",), ("qa-web",), ("[x]",), ("qa", "old")]
    subscribers.tell(Change(number, each) for number, each in enumerate(names))
    assert subscribers.close(LONG_S)
    assert [one.number for one in told] == heard


def test_one_that_fails_is_counted_and_logged_and_everybody_is_told_all_the_same(caplog):
    told, failed, subscribers = [], [], made()

    def fail(change):
        failed.append(change.number)
        raise (ValueError, SystemExit, KeyboardInterrupt)[change.number % 3]("no")

    subscribers.add(fail, "*")
    subscribers.add(told.append, "*")
    subscribers.tell(changes(6))
    assert subscribers.close(LONG_S)
    assert failed == [one.number for one in told] == list(range(6))
    figures = subscribers.figures()
    assert (figures.told, figures.failed, figures.missed, figures.waiting, figures.subscribers) == (
        6,
        6,
        0,
        0,
        0,
    )
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 6
    assert "ValueError: no" in caplog.text


def test_one_that_takes_long_delays_neither_who_tells_nor_others():
    told, go_on, subscribers = [], threading.Event(), made()
    slow = []
    subscribers.add(lambda change: (go_on.wait(LONG_S), slow.append(change.number)), "*")
    subscribers.add(told.append, "*")
    subscribers.tell(changes(100))  # comes back, though nobody goes on
    until(lambda: len(told) == 100)
    assert slow == []
    assert subscribers.figures().waiting == 100
    go_on.set()
    assert subscribers.close(LONG_S)
    assert slow == list(range(100))


def test_what_is_too_much_for_one_is_left_out_from_the_oldest_on_and_told():
    told, go_on, began, subscribers = [], threading.Event(), threading.Event(), made(most_waiting=3)
    subscribers.add(lambda change: (began.set(), go_on.wait(LONG_S), told.append(change)), "*")
    subscribers.tell(changes(1))
    began.wait(LONG_S)
    subscribers.tell(changes(10)[1:])
    assert subscribers.figures().missed == 6
    go_on.set()
    assert subscribers.close(LONG_S)
    assert [(one.number, one.missed) for one in told] == [(0, 0), (7, 6), (8, 0), (9, 0)]


def test_nobody_is_called_after_unsubscribing_and_a_call_under_way_is_waited_for():
    began, go_on, over, subscribers = threading.Event(), threading.Event(), [], made()

    def slow(change):
        began.set()
        go_on.wait(LONG_S)
        over.append(change.number)

    unsubscribe = subscribers.add(slow, "*")
    subscribers.tell(changes(5))
    began.wait(LONG_S)
    leaving = threading.Thread(target=unsubscribe)
    leaving.start()
    until(
        lambda: subscribers.figures().waiting == 1
    )  # what waited is dropped; the call under way is not over
    assert leaving.is_alive()
    go_on.set()
    leaving.join(LONG_S)
    assert over == [0]
    subscribers.tell(changes(5))
    unsubscribe()
    assert subscribers.close(LONG_S)
    assert over == [0]


def test_one_may_leave_subscribe_and_tell_from_within_its_call():
    told, more, subscribers = [], [], made()

    def once(change):
        told.append(change.number)
        leave[0]()
        subscribers.add(more.append, "*")
        subscribers.tell(changes(1))

    leave = [subscribers.add(once, "*")]
    subscribers.tell(changes(3))
    until(lambda: len(more) == 1)
    assert subscribers.close(LONG_S)
    assert told == [0]


def test_two_that_make_each_other_leave_do_not_wait_for_each_other_for_ever():
    both, subscribers, over = threading.Barrier(2), made(), []
    leave = []

    def act(other):
        both.wait(LONG_S)
        leave[other]()
        over.append(other)

    leave += [subscribers.add(lambda _, other=other: act(other), "*") for other in (1, 0)]
    subscribers.tell(changes(1))
    until(lambda: len(over) == 2)
    assert subscribers.figures().subscribers == 0


def test_closing_waits_no_longer_than_it_was_told_to():
    go_on, subscribers = threading.Event(), made()
    subscribers.add(lambda _: go_on.wait(LONG_S), "*")
    subscribers.tell(changes(2))
    assert subscribers.close(0.01) is False
    go_on.set()


def test_many_threads_tell_and_each_subscriber_hears_the_same_order():
    heard, subscribers = [[], []], made(100_000)
    for each in heard:
        subscribers.add(each.append, "*")
    threads = [threading.Thread(target=lambda: subscribers.tell(changes(300))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert subscribers.close(LONG_S)
    assert len(heard[0]) == 1_200
    assert heard[0] == heard[1]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_no_subscribers_of_its_parent_and_may_have_its_own():
    told, subscribers = [], made()
    unsubscribe = subscribers.add(told.append, "*")
    subscribers.tell(changes(1))
    until(lambda: told)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        unsubscribe()
        subscribers.tell(changes(2))
        own = []
        subscribers.add(own.append, "*")
        subscribers.tell(changes(3))
        closed = subscribers.close(LONG_S)
        os.write(writing, repr((len(told), len(own), closed)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        assert said.read() == b"(1, 3, True)"
    assert os.waitpid(child, 0)[1] == 0
    assert subscribers.figures().subscribers == 1
    assert subscribers.close(LONG_S)
