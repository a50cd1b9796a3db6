"""A cache keeps what fits, gives back only what was put, and drops what is named, nothing else."""

from __future__ import annotations

import os
import threading
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import forks
from holdfast.definitions import cache
from holdfast.definitions.cache import Cache

NAMES = ("qa", "qa-web", "QA", "kit:qa", "kit:review:qa", "q", "a*b", "axb", "[x]", "x", "naïve", "")


def filled(names=NAMES, **limits):
    out = Cache(**limits)
    for name in names:
        for part in ("file", "prompt"):
            assert out.put((part, name), name, f"{part} of {name}", 10, since=out.invalidations)
    return out


def left(kept, names=NAMES):
    return {name for name in names for part in ("file", "prompt") if kept.get((part, name))}


@pytest.mark.parametrize(
    ("pattern", "dropped"),
    [
        ("qa", {"qa"}),
        ("qa*", {"qa", "qa-web"}),
        ("*qa", {"qa", "kit:qa", "kit:review:qa"}),
        ("kit:*", {"kit:qa", "kit:review:qa"}),
        ("q?", {"qa"}),
        ("[qx]", {"q", "x"}),
        ("[[]x]", {"[x]"}),
        ("a*b", {"a*b", "axb"}),
        ("a[*]b", {"a*b"}),
        ("naïve", {"naïve"}),
        ("", {""}),
        ("*", set(NAMES)),
        ("nothing", set()),
        ("qa/../*", set()),
        ("[", set()),
    ],
)
def test_a_pattern_drops_every_entry_of_the_names_that_it_fits_and_says_how_many(pattern, dropped):
    kept = filled()
    assert kept.invalidate(pattern) == 2 * len(dropped)
    assert left(kept) == set(NAMES) - dropped
    assert kept.figures().invalidated == 2 * len(dropped)
    assert kept.invalidate(pattern) == 0


def test_one_name_can_be_dropped_whatever_characters_it_has():
    kept = filled()
    assert kept.invalidate_name("a*b") == 2
    assert left(kept) == set(NAMES) - {"a*b"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("put", "get", "drop", "invalidate", "round")),
            st.sampled_from(NAMES),
            st.integers(0, 40),
        )
    ),
    st.integers(0, 4),
    st.integers(0, 60),
)
def test_it_stays_within_its_limits_and_gives_back_what_was_put_last(steps, most_entries, most_bytes):
    kept, model = Cache(most_entries, most_bytes), {}
    for number, (step, name, size) in enumerate(steps):
        key = (name, size % 2)
        if step == "put":
            model.pop(key, None)
            if kept.put(key, name, number + 1, size, since=kept.invalidations):
                model[key] = (number + 1, size)
        elif step == "get":
            assert kept.get(key) in (None, model.get(key, (None,))[0])
        elif step == "drop":
            kept.drop(key)
            model.pop(key, None)
        elif step == "round":
            kept.round()
        else:
            kept.invalidate(name)
            model = {
                at: value for at, value in model.items() if not (at[0] == name or fnmatchcase(at[0], name))
            }
        there = {at for at in model if kept.get(at) is not None}
        assert all(kept.get(at) == model[at][0] for at in there)
        model = {at: model[at] for at in there}  # others made room
        figures = kept.figures()
        assert (figures.entries, figures.size_bytes) == (len(model), sum(size for _, size in model.values()))
        assert figures.entries <= most_entries
        assert figures.size_bytes <= most_bytes


def test_what_is_not_used_longest_makes_room():
    kept = filled(("a", "b"), most_entries=4)
    kept.round()
    kept.get(("file", "a"))
    assert kept.put("new", "c", 1, 1, since=0)
    assert kept.get(("prompt", "a")) is None  # `a` was put first, and of it only the file was used since
    assert kept.get(("file", "a")) == "file of a"


def test_a_look_through_more_than_there_is_room_for_keeps_what_it_can():
    """If each newcomer pushed out what is asked for next, nothing would ever be found."""
    kept = Cache(most_entries=80)
    found = []
    for _ in range(3):
        kept.round()
        found.append(0)
        for file in range(100):
            if kept.get(file) is None:
                kept.put(file, str(file), "x", 1, since=0)
            else:
                found[-1] += 1
    assert found == [0, 80, 80]
    kept.round()
    assert all(kept.put(("other", file), "o", "x", 1, since=0) for file in range(80)), "another look has room"


def test_what_was_made_while_something_was_invalidated_is_not_kept():
    """It may have been made of what was there before."""
    kept = Cache()
    since = kept.invalidations
    kept.invalidate("qa")
    assert not kept.put("key", "qa", "made of the old text", 1, since=since)
    assert kept.get("key") is None
    assert kept.put("key", "qa", "made of the new text", 1, since=kept.invalidations)


def test_threads_use_it_at_once():
    kept, wrong = Cache(most_entries=50, most_bytes=5_000), []

    def work(seed):
        for at in range(2_000):
            key = (seed * at) % 97
            found = kept.get(key)
            if found not in (None, key):
                wrong.append((key, found))
            kept.put(key, f"n{key % 7}", key, key, since=kept.invalidations)
            if at % 50 == 0:
                kept.invalidate(f"n{seed}")
                kept.round()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    figures = kept.figures()
    assert (figures.entries, figures.size_bytes) == (
        sum(kept.get(key) is not None for key in range(97)),
        sum(key for key in range(97) if kept.get(key) is not None),
    )
    kept.invalidate("*")
    assert (kept.figures().entries, kept.figures().size_bytes) == (0, 0)


def in_a_child(act):
    """What `act` says in a forked child; it must not hang there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(act()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read().decode()
    assert os.waitpid(child, 0)[1] == 0
    return said


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_was_forked_while_a_thread_held_the_lock_begins_empty(monkeypatch):
    monkeypatch.setattr(forks, "WAIT_S", 0.05)
    kept = filled()
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with cache._lock:
            held.set()
            go_on.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert (
            in_a_child(lambda: (kept.figures().entries, kept.put(1, "n", 2, 3, since=0), kept.get(1)))
            == "(0, True, 2)"
        )
    finally:
        go_on.set()
        thread.join()
    assert kept.figures().entries == 2 * len(NAMES), "who forked it keeps what it has"
