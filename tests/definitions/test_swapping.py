"""A file changes at once or not at all, and what somebody else writes at the worst moment is there afterwards."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from holdfast.definitions import swapping
from holdfast.definitions.swapping import NOTHING, Overtaken

OLD, NEW, THEIRS = b"old\n", b"new\n", b"theirs\n"


def sha(content):
    return NOTHING if content is None else hashlib.sha256(content).hexdigest()


@pytest.fixture(params=["exchange", "rename"])
def system(request, monkeypatch):
    """One that can have files change places, and one that cannot."""
    if request.param == "rename":
        monkeypatch.setattr(swapping, "_rename", lambda *_: False)
    return request.param


class Place:
    """A file, what is to be done to it, and what somebody else's contents were kept."""

    def __init__(self, directory, before, after):
        self.path = directory / "qa.md"
        self.before, self.after = before, after
        if before is not None:
            self.path.write_bytes(before)
        self.action = swapping.action(os.fsencode(self.path), sha(before), sha(after))
        self.kept = []

    def prepare(self):
        if self.after is not None:
            swapping.prepare(self.action, self.after, None)

    def texts(self, name):
        return {sha(content): content for content in (OLD, NEW)}[name]

    @property
    def content(self):
        return self.path.read_bytes() if self.path.exists() else None

    def settle(self):
        done = swapping.settle([self.action], self.kept.append, self.texts)
        if done:
            swapping.clear(self.action)
        assert list(self.path.parent.iterdir()) in ([], [self.path])
        return done


ACTS = {"create": (None, NEW), "replace": (OLD, NEW), "remove": (OLD, None)}


@pytest.fixture(params=ACTS)
def place(request, tmp_path):
    return Place(tmp_path, *ACTS[request.param])


def test_what_is_prepared_and_applied_is_done(place, system):
    place.prepare()
    assert place.content == place.before
    swapping.apply(place.action)
    assert place.content == place.after
    assert place.settle()
    assert place.content == place.after


@pytest.mark.parametrize("prepared", [False, True])
def test_what_was_not_applied_is_as_it_was(place, system, prepared):
    if prepared:
        place.prepare()
    assert not place.settle()
    assert place.content == place.before


def test_what_was_applied_can_be_undone(place, system):
    place.prepare()
    swapping.apply(place.action)
    swapping.undo([place.action], place.kept.append, place.texts)
    assert place.content == place.before
    assert list(place.path.parent.iterdir()) in ([], [place.path])


def saved_by_rename(path):
    beside = path.with_name("beside")
    beside.write_bytes(THEIRS)
    beside.replace(path)


def saved_in_place(path):
    path.write_bytes(THEIRS)


def removed(path):
    path.unlink(missing_ok=True)


def linked(path):
    path.unlink(missing_ok=True)
    target = path.parent.parent / "elsewhere.md"
    target.write_bytes(THEIRS)
    path.symlink_to(target)


STRANGERS = {
    "renamed over": saved_by_rename,
    "written in place": saved_in_place,
    "removed": removed,
    "made a link": linked,
}


@pytest.fixture(params=STRANGERS)
def stranger(request):
    return STRANGERS[request.param]


def test_what_somebody_else_saved_before_the_swap_stays(place, system, stranger):
    place.prepare()
    stranger(place.path)
    theirs = place.content
    if theirs == place.before:  # nothing was there, and nothing is
        return
    with pytest.raises(Overtaken):
        swapping.apply(place.action)
    swapping.undo([place.action], place.kept.append, place.texts)
    assert place.content == theirs
    assert not place.settle()


def test_what_somebody_else_saves_in_the_last_moment_comes_back(place, stranger, monkeypatch):
    """Between the look and the swap there is no moment in which a content gets lost: what comes out is looked at."""
    real = swapping._rename
    taken = []

    def late(old, new, flags):
        if not taken:
            taken.append(True)
            stranger(place.path)
            taken.append(place.content)
        return real(old, new, flags)

    real_rename = os.rename

    def late_too(old, new):
        if os.fsencode(old) == os.fsencode(place.path) and not taken:
            taken.append(True)
            stranger(place.path)
            taken.append(place.content)
        real_rename(old, new)

    place.prepare()
    monkeypatch.setattr(swapping, "_rename", late)
    monkeypatch.setattr(os, "rename", late_too)
    try:
        swapping.apply(place.action)
    except Overtaken:
        assert place.content == taken[1]
    else:
        assert taken[1] == place.before  # nothing was there, and nothing is


def test_without_a_look_at_what_came_out_it_would_be_lost(tmp_path, monkeypatch):
    """The control of the test above."""
    place = Place(tmp_path, OLD, NEW)
    place.prepare()
    monkeypatch.setattr(swapping, "digest", lambda _: sha(OLD))
    saved_by_rename(place.path)
    swapping.apply(place.action)
    assert place.content == NEW


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_and_somebody_else_together_lose_nothing(place, system, stranger, moment):
    """Whoever looks next finds what somebody else saved, or has it among what is kept, or it is what is there."""
    place.prepare()
    if moment == "before":
        stranger(place.path)
        theirs = place.content
        if (
            system == "exchange"
            and place.path.exists()
            and place.before is not None
            and place.after is not None
        ):
            swapping._exchange(
                place.action.temporary, place.action.path
            )  # and killed before it looked at what came out
    else:
        swapping.apply(place.action)
        stranger(place.path)
        theirs = place.content
    done = place.settle()
    assert place.content in {theirs, place.before, place.after}
    if theirs not in (place.before, place.after, None):
        assert place.content == theirs or theirs in place.kept
    if moment == "before" and theirs != place.before:
        assert not done or theirs == place.after


def test_two_files_are_both_new_or_both_old(tmp_path, system):
    for done in range(3):
        directories = [tmp_path / f"{done}{letter}" for letter in "ab"]
        for directory in directories:
            directory.mkdir()
        two = [Place(directory, OLD, NEW) for directory in directories]
        for one in two:
            one.prepare()
        for one in two[:done]:
            swapping.apply(one.action)
        actions = [one.action for one in two]
        assert swapping.settle(actions, two[0].kept.append, two[0].texts) == (done == 2)
        assert {one.content for one in two} == {NEW if done == 2 else OLD}


def test_a_part_of_a_content_is_taken_for_no_content(tmp_path):
    """A write that was cut where the old content ends looks like the old content, and has another name."""
    place = Place(tmp_path, OLD, OLD + NEW)
    Path(os.fsdecode(place.action.temporary + b".part")).write_bytes(OLD)
    saved_in_place(place.path)
    assert not place.settle()
    assert place.content == THEIRS


def test_rights_are_kept(tmp_path):
    place = Place(tmp_path, OLD, NEW)
    place.path.chmod(0o640)
    swapping.prepare(place.action, NEW, swapping.rights_of(str(place.path)))
    swapping.apply(place.action)
    assert place.path.stat().st_mode & 0o7777 == 0o640


def test_where_links_are_not_possible_either_a_new_file_is_not_put_over_another_one(tmp_path, monkeypatch):
    place = Place(tmp_path, None, NEW)
    monkeypatch.setattr(swapping, "_rename", lambda *_: False)
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(PermissionError(1, "no links here")))
    place.prepare()
    place.path.write_bytes(THEIRS)
    with pytest.raises(Overtaken):
        swapping.apply(place.action)
    place.path.unlink()
    swapping.apply(place.action)
    assert place.content == NEW
