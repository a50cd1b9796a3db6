"""What is to be written, how, and what may be → which files."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.definitions import placing, tools
from holdfast.definitions.parse import parse
from holdfast.definitions.placing import DISTRIBUTED, SYSTEM_FALLBACK, TIER_SPECIFIC, USER_OVERRIDE, Wanted
from holdfast.definitions.reading import File, State
from holdfast.definitions.roots import Root
from holdfast.definitions.tiers import Place
from holdfast.definitions.validate import judge
from holdfast.errors import DefinitionRefused, NotFound

TIERS = ("managed", "project", "user", "plugin", "system")


def roots(writable, tool="claude", *, missing=()):
    """One root a tier."""
    return [
        Root(tool, tier, f"/{tier}", f"/{tier}", (rank, 0), tier not in missing, tier in writable, "w")
        for rank, tier in enumerate(TIERS)
    ]


def lying(root, file="qa.md", name="qa", real=None):
    parsed, state = parse(b"", ".md"), State(1, 1, 1, 0, 0)
    path = f"{root.path}/{file}"
    made = File(root, path, real or path, file, file[file.rindex(".") :], 0, state)
    return Place(made, name, "name", (), parsed, "0", judge(parsed, tools.TOOLS["claude"], stem="qa"))


def chosen(at, writable, strategy, tier=None, *, taken=(), **more):
    every = roots(writable, **more)
    places = [lying(root) for one in at for root in every if root.tier == one]
    found = placing.targets(
        Wanted(every[0].tool, "qa", places), every, strategy, tier, is_taken=taken.__contains__
    )
    return [one.path for one in found]


ALL, USUAL = frozenset(TIERS), frozenset({"project", "user"})
P, U, S, G, M = (f"/{tier}/qa.md" for tier in ("project", "user", "system", "plugin", "managed"))
R = None  # refused


@pytest.mark.parametrize(
    ("at", "writable", "tier", "expected"),
    # the tiers where it lies, the first counting; the tiers that may be written; the tier that is asked for → by each strategy
    #                                        tier_specific  user_override  system_fallback  distributed
    [
        ([], USUAL, None, ([P], [U], [P], [P, U])),
        ([], {"user"}, None, ([U], [U], [U], [U])),
        ([], {"system"}, None, ([S], R, [S], [S])),
        ([], {"user", "system"}, None, ([U], [U], [U], [U, S])),
        ([], set(), None, (R, R, R, R)),
        ([], USUAL, "user", ([U], [U], [U], [P, U])),
        ([], USUAL, "system", (R, [U], [P], [P, U])),
        ([], {"user"}, "project", (R, [U], [U], [U])),
        (["project"], USUAL, None, ([P], [U], [P], [P, U])),
        (["user"], USUAL, None, ([U], [U], [U], [P, U])),
        (["user"], {"project"}, None, (R, R, [P], [P])),
        (["plugin"], USUAL, None, (R, [U], [P], [P, U])),
        (["managed"], {"user"}, None, (R, [U], [U], [U])),
        (["managed"], {"system"}, None, (R, R, [S], [S])),
        (["system"], {"user"}, None, (R, [U], [U], [U])),
        (["system"], {"system"}, None, ([S], R, [S], [S])),
        (["project", "user"], USUAL, "user", ([U], [U], [U], [P, U])),
        (["project", "user"], {"user"}, None, (R, [U], [U], [U])),
        (["user", "system"], ALL, "system", ([S], [U], [S], [M, P, U, G, S])),
    ],
)
def test_which_files_are_written(at, writable, tier, expected):
    strategies = (TIER_SPECIFIC, USER_OVERRIDE, SYSTEM_FALLBACK, DISTRIBUTED)
    for strategy, paths in zip(strategies, expected, strict=True):
        if paths is R:
            with pytest.raises(DefinitionRefused, match="qa is not written"):
                chosen(at, writable, strategy, tier)
        else:
            assert chosen(at, writable, strategy, tier) == paths


@given(
    st.lists(st.sampled_from(TIERS), unique=True),
    st.sets(st.sampled_from(TIERS)),
    st.sampled_from(placing.STRATEGIES),
    st.none() | st.sampled_from(TIERS),
)
def test_what_may_not_be_written_is_never_chosen(at, writable, strategy, tier):
    try:
        found = chosen(at, writable, strategy, tier)
    except DefinitionRefused:
        return
    assert found
    assert {path.split("/")[1] for path in found} <= writable


def test_a_new_file_goes_into_the_nearest_root_that_is_there():
    near, far, above = (
        Root("claude", "project", f"/p/{n}", f"/p/{n}", (1, n), exists=n == 1, writable=True, why="")
        for n in range(3)
    )
    [one] = placing.targets(Wanted("claude", "qa"), [near, far, above], is_taken=lambda _: False)
    assert one.path == "/p/1/qa.md"
    none = [replace(root, exists=False) for root in (near, far, above)]
    [one] = placing.targets(Wanted("claude", "qa"), none, is_taken=lambda _: False)
    assert one.path == "/p/0/qa.md"
    maybe = [replace(root, counts=None) for root in (near, far, above)]
    for of, where in (
        ([near, *maybe[1:]], 0),
        (maybe, 1),
    ):  # not where it counts less surely than the nearest
        [one] = placing.targets(Wanted("claude", "qa"), of, is_taken=lambda _: False)
        assert one.path == f"/p/{where}/qa.md"


def test_what_lies_there_keeps_its_file_whatever_that_is_called():
    every = roots(USUAL)
    place = lying(every[1], "deep/other.md")
    [one] = placing.targets(Wanted("claude", "qa", [place]), every, is_taken=lambda _: True)
    assert (one.path, one.place) == ("/project/deep/other.md", place)


def test_a_link_is_followed_and_what_it_leads_to_decides():
    every = roots(USUAL)
    linked = lying(every[2], real="/elsewhere/qa.md")
    [one] = placing.targets(Wanted("claude", "qa", [linked]), every, is_taken=lambda _: False)
    assert (one.path, one.real) == (U, "/elsewhere/qa.md")
    into = lying(every[2], real="/plugin/qa.md")
    with pytest.raises(DefinitionRefused, match="lies in the tier plugin"):
        placing.targets(Wanted("claude", "qa", [into]), every, is_taken=lambda _: False)


def test_two_tiers_with_one_file_have_it_written_once():
    """A root that is reached in two tiers."""
    user = Root("custom", "user", "/u", "/u", (0, 0), exists=True, writable=True, why="", also=("project",))
    for tier in ("user", "project", None):
        [one] = placing.targets(Wanted("custom", "qa"), [user], DISTRIBUTED, tier, is_taken=lambda _: False)
        assert one.path == "/u/qa.md"


def test_a_tier_that_there_is_not_is_told():
    with pytest.raises(NotFound, match="no tier command-line here"):
        chosen([], ALL, TIER_SPECIFIC, "command-line")


def test_what_lies_at_the_path_of_a_new_file_is_left_alone():
    assert chosen([], USUAL, TIER_SPECIFIC, taken={P}) == ["/project/qa-2.md"]
    every = roots(USUAL)
    with pytest.raises(DefinitionRefused, match="no name left"):
        placing.targets(Wanted("claude", "qa"), every, is_taken=lambda _: True)


def test_the_suffix_is_that_of_the_tool_or_of_what_is_there():
    for wanted, expected in (
        (Wanted("claude", "qa"), "qa.md"),
        (Wanted("codex", "qa"), "qa.toml"),
        (Wanted("custom", "qa"), "qa.md"),
        (Wanted("custom", "qa", suffix=".py"), "qa.py"),
    ):
        every = roots(USUAL, wanted.tool)
        [one] = placing.targets(wanted, every, is_taken=lambda _: False)
        assert one.path == f"/project/{expected}"
    every = roots({"user"}, "custom")
    yaml = lying(every[1], "qa.yaml")
    [one] = placing.targets(Wanted("custom", "qa", [yaml]), every, USER_OVERRIDE, is_taken=lambda _: False)
    assert one.path == "/user/qa.yaml"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("qa", "qa.md"),
        ("../x", "x.md"),
        ("a/b", "a-b.md"),
        ("kit:review", "kit-review.md"),
        (".hidden", "hidden.md"),
        ("a\0b\nc", "a-b-c.md"),
        ("Prüfer der Änderungen", "Prüfer der Änderungen.md"),
        ("名" * 200, "名" * 82 + ".md"),
        ("x" * 300, "x" * 247 + ".md"),
        (" qa ", "qa.md"),
        ("con*?|", "con---.md"),
        ("a\udcffb", "a-b.md"),
        ("con", "agent-con.md"),
        ("Aux.old", "agent-Aux.old.md"),
        ("COM1", "agent-COM1.md"),
        ("console", "console.md"),
    ],
)
def test_a_name_becomes_a_files(name, file):
    assert placing.file_name(name, ".md") == file


@pytest.mark.parametrize("name", ["", ".", "..", "/", "\0", "   ", "-./"])
def test_of_some_names_no_file_can_be_called(name):
    with pytest.raises(DefinitionRefused, match="no file can be called"):
        placing.file_name(name, ".md")


@given(st.text(), st.sampled_from([".md", ".py", ".toml"]), st.integers(1, 999))
def test_no_name_leaves_its_directory_or_is_too_long(name, suffix, number):
    try:
        file = placing.file_name(name, suffix, number)
    except DefinitionRefused:
        return
    assert len(file.encode()) <= 255
    assert "/" not in file
    assert "\0" not in file
    assert not file.startswith((".", "-"))
    assert file.endswith(suffix)
