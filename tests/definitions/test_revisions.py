"""What happened between two looks at definitions: each change once, with the right kind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.definitions.revisions import (
    CREATE,
    DELETE,
    LINK,
    MODIFY,
    RENAME,
    RESTORE,
    UNLINK,
    Lying,
    changes,
)


def at(path, content="1", name="qa", tool="claude"):
    return Lying(path, tool, name, "user", content, 1, path.rpartition("/")[0])


A, B = "/r/a.md", "/r/b.md"


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        ([], [at(A)], [(CREATE, A)]),
        ([at(A)], [], [(DELETE, A)]),
        ([at(A)], [at(A)], []),
        ([at(A)], [at(A, "2")], [(MODIFY, A)]),
        ([at(A)], [at(B)], [(RENAME, B)]),
        ([at(A)], [at(B, "2")], [(RENAME, B)]),
        ([at(A)], [at(B, "2", "other")], [(DELETE, A), (CREATE, B)]),
        ([at(A)], [at("/s/a.md")], [(RENAME, "/s/a.md")]),
        ([at(A)], [at("/s/a.md", "2")], [(DELETE, A), (CREATE, "/s/a.md")]),
        ([at(A)], [at("/r/A.md")], [(RENAME, "/r/A.md")]),
        ([at(A)], [at(A), at(B)], [(CREATE, B)]),
        ([at(A), at(B)], [at(A)], [(DELETE, B)]),
        ([at(A), at(B, "2", "web")], [at(A, "2", "web"), at(B)], [(MODIFY, A), (MODIFY, B)]),
        ([at(A)], [at(A, None)], []),
        ([], [at(A, None)], []),
        ([at(A, None)], [at(A)], [(MODIFY, A)]),
        ([at(A)], [at(B, "1", "qa", "codex")], [(DELETE, A), (CREATE, B)]),
    ],
    ids=[
        "create", "delete", "nothing", "modify", "move", "moved and edited", "another one", "moved into another root",
        "another text of the name in another root", "case of the name",
        "copy", "one of two copies goes", "two swap names", "cannot be read now", "cannot be read yet",
        "can be read again", "another tool",
    ],
)  # fmt: skip
def test_what_happened(last, now, expected):
    found = changes(last, now)
    assert sorted((one.kind, one.path) for one in found) == sorted(expected)


@pytest.mark.parametrize(
    ("last", "now", "kind"),
    [
        ([at(A, "2")], [at(A)], RESTORE),
        ([], [at(A)], RESTORE),
        ([at(A)], [at(A, "3")], MODIFY),
        ([], [at(A, "3")], CREATE),
    ],
)
def test_a_content_that_the_file_had_before_is_a_restore(last, now, kind):
    [one] = changes(last, now, had={A: {"1", "2"}, B: {"3"}})
    assert one.kind == kind


def test_a_name_that_changes_in_a_file_is_told():
    [one] = changes([at(A)], [at(A, "2", "qa-web")])
    assert (one.kind, one.renamed_from) == (MODIFY, "qa")
    assert changes([at(A)], [at(A, "2")])[0].renamed_from is None


def test_a_move_says_what_it_rests_on():
    assert changes([at(A)], [at(B)])[0].why == "the same content"
    assert changes([at(A)], [at(B, "2")])[0].why == "the same name"


def test_of_files_with_one_content_those_of_one_name_are_paired_first():
    last = [at("/r/1.md", "x", "a"), at("/r/2.md", "x", "b")]
    now = [at("/r/3.md", "x", "b"), at("/r/4.md", "x", "a")]
    assert {(one.before.path, one.after.path) for one in changes(last, now)} == {
        ("/r/1.md", "/r/4.md"),
        ("/r/2.md", "/r/3.md"),
    }


OUTSIDE = replace(at("/outside/a.md"), root="/r")


@pytest.mark.parametrize(
    ("now", "kind", "path"),
    [
        ([], UNLINK, "/outside/a.md"),
        ([at(B)], UNLINK, "/outside/a.md"),
        ([replace(OUTSIDE, root="/s")], LINK, "/outside/a.md"),
        ([replace(OUTSIDE, root="/s", sha256="2")], MODIFY, "/outside/a.md"),
        ([OUTSIDE], None, None),
    ],
    ids=["the link goes", "it leads elsewhere", "another link", "another link and text", "nothing"],
)
def test_what_still_lies_there_is_not_gone(now, kind, path):
    found = changes([OUTSIDE], now, left=["/outside/a.md"])
    assert (kind, path) in [(one.kind, one.path) for one in found] or not (kind or found)
    assert {one.kind for one in found} <= {kind, CREATE}


def test_what_is_reached_again_was_not_put_there_anew():
    found = changes([], [OUTSIDE, at(A)], had={OUTSIDE.path: {"1"}}, unlinked=[OUTSIDE.path])
    assert [(one.kind, one.path) for one in found] == [(LINK, OUTSIDE.path), (CREATE, A)]


@pytest.mark.parametrize(("unseen", "kinds"), [("/r/closed", []), ("/s/closed", [UNLINK])])
def test_a_link_where_nobody_could_look_may_be_there(unseen, kinds):
    found = changes([OUTSIDE], [], left=[OUTSIDE.path], unseen=[unseen])
    assert [one.kind for one in found] == kinds


def test_where_two_could_be_meant_nothing_is_called_a_move():
    last, now = [at("/r/1.md", "x"), at("/r/2.md", "y")], [at("/r/3.md", "z")]
    assert sorted(one.kind for one in changes(last, now)) == [CREATE, DELETE, DELETE]


def test_what_could_not_be_looked_at_is_not_gone():
    last = [at("/closed/a.md"), at("/closed-not/a.md", "2")]
    [one] = changes(last, [], unseen=["/closed"])
    assert (one.kind, one.path) == (DELETE, "/closed-not/a.md")


PATHS = st.sampled_from([f"/{root}/{name}.md" for root in "rs" for name in "abcd"])
STATES = st.dictionaries(
    PATHS,
    st.builds(lambda content, name: (content, name), st.sampled_from("123"), st.sampled_from(("qa", "web"))),
    max_size=6,
)


@given(STATES, STATES, st.randoms(use_true_random=False))
def test_the_changes_lead_from_the_one_state_to_the_other(last, now, random):
    """Each path is left and reached at most once, and the order in which files were found does not matter."""
    before, after = ([at(path, *value) for path, value in state.items()] for state in (last, now))
    found = changes(before, after)
    state = {lying.path: lying for lying in before}
    left = [one.before.path for one in found if one.before]
    reached = [one.after.path for one in found if one.after]
    assert len(set(left)) == len(left)
    assert len(set(reached)) == len(reached)
    for one in found:
        assert one.before is None or state[one.before.path] == one.before
    for path in left:
        del state[path]
    state |= {one.after.path: one.after for one in found if one.after}
    same = {path: lying.sha256 for path, lying in state.items()}
    assert same == {lying.path: lying.sha256 for lying in after}
    for some in (before, after):
        random.shuffle(some)
    assert changes(before, after) == found
