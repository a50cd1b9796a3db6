from __future__ import annotations

import multiprocessing
import threading
import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from holdfast import ids


def test_new_ids_are_version_7_and_rise_strictly():
    made = [ids.uuid7() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {uuid.UUID(one).version for one in made} == {7}
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}


def test_ids_still_rise_when_the_clock_is_set_back(monkeypatch):
    before = ids.uuid7()
    an_hour_ago = time.time_ns() - 3_600 * 10**9
    monkeypatch.setattr(ids.time, "time_ns", lambda: an_hour_ago)
    after = [ids.uuid7() for _ in range(5_000)]
    assert [before, *after] == sorted({before, *after})


def test_threads_never_share_an_id():
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend(ids.uuid7() for _ in range(2_000))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16_000


def test_forked_children_never_share_an_id():
    ids.uuid7()  # the parent's pool of random bytes is filled
    with multiprocessing.get_context("fork").Pool(4) as pool:
        made = pool.map(_some, range(16))
    flat = [one for batch in made for one in batch]
    assert len(set(flat)) == len(flat)


def _some(_: int) -> list[str]:
    return [ids.uuid7() for _ in range(500)]


@given(st.lists(st.text(), min_size=1, max_size=4), st.lists(st.text(), min_size=1, max_size=4))
def test_derived_ids_repeat_and_differ_with_their_parts(a, b):
    assert ids.derived(*a) == ids.derived(*a)
    assert (ids.derived(*a) == ids.derived(*b)) == (a == b)
    assert uuid.UUID(ids.derived(*a)).version == 8


@given(st.text())
def test_short_names_are_safe_as_file_names(text):
    assert set(ids.short(text)) <= set("0123456789abcdef")
    assert len(ids.short(text)) == 16


def test_text_with_lone_surrogates_has_ids_too():
    assert ids.derived("\ud800") != ids.derived("\udfff")
    assert ids.short("\ud800")
