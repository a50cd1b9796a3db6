"""Which file of a name counts: the rules by themselves, on made-up places."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest

from holdfast.definitions import tiers, tools
from holdfast.definitions.parse import parse
from holdfast.definitions.reading import File, State
from holdfast.definitions.roots import Root
from holdfast.definitions.validate import judge

ORDER = tools.TOOLS["claude"].tiers(tools.LATEST)


def place(
    tier="user",
    *,
    name="qa",
    within=0,
    listed=0,
    file="qa.md",
    tool="claude",
    counts=True,
    body="Do it.",
    extra="",
):
    """A file of a name in a root of a tier."""
    number = ORDER.index(tier) if tool == "claude" else 0
    path = f"/{tier}{within}"
    root = Root(tool, tier, path, path, (number, within), exists=True, writable=True, why="w", counts=counts)
    content = f"---\nname: {name}\ndescription: d\n{extra}---\n{body}".encode()
    parsed = parse(content, ".md")
    state = State(1, hash((path, file)), len(content), 0, 0)
    verdict = judge(parsed, tools.TOOLS["claude"], stem="qa")
    made = File(root, f"{path}/{file}", f"{path}/{file}", file, ".md", listed, state)
    return tiers.Place(made, name, "name", (), parsed, f"{hash(content)}", verdict)


def test_the_order_of_tiers_holds_in_whatever_order_files_are_found():
    every = [place(tier) for tier in ("managed", "project", "user", "plugin")]
    for some in permutations(every):
        [one] = tiers.resolve(some)
        assert [each.place for each in one.order] == every
        assert one.grade == tiers.OBSERVED


def test_of_nested_roots_the_nearest_wins():
    near, far = place("project", within=0), place("project", within=1)
    [one] = tiers.resolve([far, near])
    assert (one.winner, one.shadowed) == (near, (far,))
    assert one.order[1].why == "another one is nearer"


@pytest.mark.parametrize(
    ("tool", "first", "grade"), [("claude", "z.md", "inferred"), ("codex", "a.md", "observed")]
)
def test_of_two_in_one_directory_the_tool_decides_or_nobody_knows(tool, first, grade):
    two = [place(file="z.md", listed=0, tool=tool), place(file="a.md", listed=1, tool=tool)]
    [one] = tiers.resolve(two)
    assert (one.winner.file.inner, one.grade) == (first, grade)
    assert "duplicate" in {finding.code for finding in one.findings}


def test_what_is_not_looked_into_hides_nothing():
    passed, own = place("project", counts=False), place("user")
    [one] = tiers.resolve([passed, own])
    assert (one.winner, one.shadowed) == (own, ())
    assert one.order[1].state == tiers.PASSED_OVER


@pytest.mark.parametrize(
    ("sizes", "told"),
    [((10, 10_000), True), ((3_000, 10_000), False), ((10, 100), False), ((10_000, 10), False)],
)
def test_only_what_hides_something_much_larger_is_told(sizes, told):
    here, there = (
        place(tier, body="x" * size) for tier, size in zip(("project", "user"), sizes, strict=True)
    )
    [one] = tiers.resolve([here, there])
    assert ("hides-larger" in {finding.code for finding in one.findings}) == told


def test_names_are_compared_as_they_are_written():
    names = {
        one.name: one
        for one in tiers.resolve([place(name=name) for name in ("qa", "QA", "qa-web", "Straße", "STRASSE")])
    }
    assert len(names) == 5
    assert {name for name, one in names.items() if one.findings} == {"qa", "QA", "Straße", "STRASSE"}


def test_the_order_of_tiers_is_that_of_the_day():
    claude = tools.TOOLS["claude"]
    assert claude.tiers(date(2026, 4, 1))[:2] == (tools.COMMAND_LINE, tools.MANAGED)
    assert claude.tiers(date(2026, 4, 2))[:2] == (tools.MANAGED, tools.COMMAND_LINE)
