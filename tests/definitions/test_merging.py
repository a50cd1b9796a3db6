"""Three texts in, one out: what only one changed is taken, what both changed is told, and nothing that nobody touched is lost."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.definitions import lines
from holdfast.definitions.merging import merge
from holdfast.definitions.parse import parse

HEAD = """---
name: qa
# what it may use
tools: Read
model: opus   # the large

description: |
  Looks at changes.
  # no comment, but text
  Says what is wrong.
---
"""
BODY = "one\ntwo\nthree\nfour\nfive\n"
AGENT = HEAD + BODY
ROLE = '''name = "qa"
# for whom
description = "d"
developer_instructions = """
one
name = "no key"
[no.table]
four
"""

[mcp_servers.a]
command = "x"
args = [
  "[1]", # one
]
'''


def changed(text, *pairs):
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def merged(base, ours, theirs, suffix=".md"):
    return merge(base and base.encode(), ours.encode(), theirs.encode(), suffix)


LOOSE = "---\nname: qa\ndescription: Use this: now\n\ntools: Read\n---\n" + BODY
TWICE = "---\nname: qa\nname: qa\n\ntools: Read\n---\n" + BODY
SHORT = '# for whom\nname = "qa"\ndeveloper_instructions = """\n# one\n# two"""\nmodel = "o"\n'


CLEAN = {
    "another key each": (AGENT, [("Read", "Read, Bash")], [("opus ", "haiku ")]),
    "a key and the body": (AGENT, [("Read", "Read, Bash")], [("two", "2")]),
    "both ends of the body": (AGENT, [("one", "1")], [("five", "5")]),
    "a comment and its key": (AGENT, [("# what it may use", "# all that it may use")], [("Read", "Bash")]),
    "a new key each in one place": (
        AGENT,
        [("tools", "color: red\ntools")],
        [("tools", "effort: low\ntools")],
    ),
    "a key goes, its neighbour changes": (AGENT, [("tools: Read\n", "")], [("opus ", "haiku ")]),
    "a key goes twice": (AGENT, [("tools: Read\n", "")], [("tools: Read\n", "")]),
    "the same said twice": (AGENT, [("Read", "Read, Bash")], [("Read", "Read, Bash"), ("two", "2")]),
    "the same spelled differently": (
        AGENT,
        [("tools: Read", "tools: 'Bash'")],
        [("tools: Read", 'tools: "Bash"')],
    ),
    "two lines of one long value": (AGENT, [("Looks", "Looked")], [("Says", "Said")]),
    "keys in another order": (AGENT, [("name: qa\n", ""), ("model", "name: qa\nmodel")], [("Read", "Bash")]),
    "two tables": (
        ROLE,
        [('"x"', '"y"')],
        [("[mcp_servers.a]", "[mcp_servers.b]\ncommand = 'z'\n\n[mcp_servers.a]")],
    ),
    "a table, and a key behind the last": (
        ROLE,
        [('"""\n\n[', '"""\nmodel = "o"\n\n[')],
        [('"""\n\n[', '"""\n\n[tools]\nweb = true\n[')],
    ),
    "a text that ends like a comment, and the key below goes": (
        SHORT,
        [('model = "o"\n', "")],
        [('"qa"', '"qb"')],
    ),
    "a text whose last line looks like a comment": (
        ROLE.replace('four\n"""', 'four\n# five"""\nmodel = "o"'),
        [("model", 'service_tier = "s"\nmodel')],
        [("# five", "# 5")],
    ),
    "lines of a text that look like keys": (ROLE, [('"no key"', '"no"')], [('"d"', '"e"')]),
}


@pytest.mark.parametrize(("base", "ours", "theirs"), CLEAN.values(), ids=CLEAN)
def test_what_only_one_changed_is_taken(base, ours, theirs):
    suffix = ".md" if base is AGENT else ".toml"
    one, other = changed(base, *ours), changed(base, *theirs)
    found = merged(base, one, other, suffix)
    assert found.conflicts == ()
    text = found.content.decode()
    for _, new in [*ours, *theirs]:
        assert new.strip().split("\n")[0].split(": ")[-1].strip("'\"") in text
    before, after = ({k: f.value for k, f in parse(t.encode(), suffix).fields.items()} for t in (base, text))
    mine, yours = ({k: f.value for k, f in parse(t.encode(), suffix).fields.items()} for t in (one, other))
    for key in {*before, *after, *mine, *yours}:
        if mine.get(key) == before.get(key):
            assert after.get(key) == yours.get(key)
        elif yours.get(key) == before.get(key):
            assert after.get(key) == mine.get(key)
    for kept in (
        ("# what it may use", "# the large", "# no comment, but text")
        if suffix == ".md"
        else ("# for whom", "# one")
    ):
        assert kept in text or any(kept in old for old, _ in [*ours, *theirs])


CLASHES = {
    "one key": (AGENT, ".md", [("Read", "Bash")], [("Read", "Edit")], ["tools"]),
    "a key goes, and changes": (AGENT, ".md", [("tools: Read\n", "")], [("Read", "Edit")], ["tools"]),
    "a new key twice": (AGENT, ".md", [("tools", "color: red\ntools")], [("tools", "color: blue\ntools")], ["color"]),
    "one line of the body": (AGENT, ".md", [("two", "2")], [("two", "zwei")], [""]),
    "lines that touch": (AGENT, ".md", [("two", "2")], [("three", "3")], [""]),
    "a key and a line": (AGENT, ".md", [("Read", "Bash"), ("two", "2")], [("Read", "Edit"), ("two", "II")], ["tools", ""]),
    "1 is not true": (AGENT, ".md", [("tools: Read", "tools: 1")], [("tools: Read", "tools: true")], ["tools"]),
    "no front matter": (AGENT, ".md", [(HEAD, "one more\n")], [("Read", "Bash")], [""]),
    "a table's key": (ROLE, ".toml", [('"x"', '"y"')], [('"x"', '"z"')], ["[mcp_servers.a]"]),
    "one line of a text": (ROLE, ".toml", [("four", "4")], [("four", "IV")], ["developer_instructions"]),
    "a new key twice, in another place each": (
        '{\n"a": 1,\n\n"b": 2,\n\n"c": 3\n}\n', ".json", [("1,\n", '1,\n"d": 4,\n')], [("2,\n", '2,\n"d": 5,\n')], [""],
    ),
    "a new key twice in Python": (
        "a = 1\n\nb = 2\n\nc = 3\n", ".py", [("1\n", "1\nd = 4\n")], [("2\n", "2\nD = 5\n")], [""],
    ),
    "a key written over in Python, and changed": (
        "a = 1\n\nb = 2\n\nc = 3\n", ".py", [("a = 1", "a = 4")], [("3\n", "3\na = 5\n")], [""],
    ),
    "a new key twice beside one that is none in a line": (
        "? a\n: 1\nb: 2\n\nc: 3\n", ".yaml", [("1\n", "1\nd: 4\n")], [("3\n", "3\nd: 5\n")], [""],
    ),
    "two keys of a front matter that is none": (
        AGENT, ".md", [("name: qa", "name: qa: 1\nmodel: haiku")], [("Read", "Edit: all")], [""],
    ),
    "a new key twice in one that is none": (LOOSE, ".md", [("qa\n", "qa\nmodel: opus\n")], [("Read\n", "Read\nmodel: haiku\n")], [""]),
    "a new key twice beside one that stands twice": (
        TWICE, ".md", [("qa\n\n", "qa\nmodel: opus\n\n")], [("Read\n", "Read\nmodel: haiku\n")], [""],
    ),
    "keys by lines": ('{\n"a": 1,\n"b": 2\n}\n', ".json", [("1", "3")], [("2", "4")], [""]),
}  # fmt: skip


@pytest.mark.parametrize(("base", "suffix", "ours", "theirs", "where"), CLASHES.values(), ids=CLASHES)
def test_what_both_changed_is_told_with_all_that_was_said(base, suffix, ours, theirs, where):
    one, other = changed(base, *ours), changed(base, *theirs)
    found = merged(base, one, other, suffix)
    assert found.content is None
    assert [each.where for each in found.conflicts] == where
    for each in found.conflicts:
        assert each.ours.strip() in one
        assert each.theirs.strip() in other
        assert each.base.strip() in base
        if each.ours:
            assert one.split("\n")[each.line - 1] == each.ours.split("\n")[0]
    for said in (one, other):
        lines = dict.fromkeys(said.split("\n"))
        assert all(line in found.marked.decode().split("\n") for line in lines)


def test_what_would_be_well_formed_no_more_is_a_conflict():
    base = '{\n"a": 1,\n\n"b": 2,\n\n"c": 3\n}\n'
    ours = base.replace('"b": 2,\n\n"c": 3\n', '"b": 2\n')
    theirs = base.replace('"a": 1,\n', '"a": 1,\n"d": 4,\n')
    assert merged(base, ours, theirs, ".json").content
    broken = base.replace('"c": 3\n', '"c": 3,\n\n"d": 4\n')
    gone = base.replace('"a": 1,\n', "").replace('"b": 2,\n\n"c": 3\n', '"b": 2\n\n')
    found = merged(base, gone, broken, ".json")
    assert found.content is None


@pytest.mark.parametrize("base", [LOOSE, TWICE], ids=["no YAML", "a key twice"])
def test_a_front_matter_that_only_one_changed_is_theirs_whatever_it_is(base):
    found = merged(base, changed(base, ("Read", "Bash")), changed(base, ("three", "3")))
    assert found.content == changed(base, ("Read", "Bash"), ("three", "3")).encode()


def test_keys_that_are_each_right_and_wrong_together_are_a_conflict():
    """An anchor goes, and something new names it."""
    base = "a: &x [1]\nb: 2\n\nc: 3\n"
    found = merged(base, base.replace("a: &x [1]\n", ""), base.replace("3", "*x"), ".yaml")
    assert found.content is None
    assert "neither" in found.conflicts[0].why


ENDS = {
    "LF": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "no last end": lambda text: text.removesuffix("\n"),
    "mark": lambda text: "\ufeff" + text,
    "mixed": lambda text: text.replace("\n", "\r\n", 3),
}


@pytest.mark.parametrize(("mine", "yours"), [*itertools.permutations(ENDS, 2)])
def test_ends_of_lines_contradict_nothing(mine, yours):
    """One saves with other ends, the other changes a line: both count."""
    one = ENDS[mine](changed(AGENT, ("two", "2")))
    other = ENDS[yours](changed(AGENT, ("Read", "Bash")))
    found = merged(AGENT, one, other)
    assert found.conflicts == ()
    text = found.content.decode()
    assert text.removeprefix("\ufeff").replace("\r\n", "\n").rstrip("\n") == changed(
        AGENT, ("two", "2"), ("Read", "Bash")
    ).rstrip("\n")
    assert text.startswith("\ufeff") == ("mark" in (mine, yours))
    assert text.endswith("\n") == ("no last end" not in (mine, yours))
    assert text.count("\r\n") == (
        text.count("\n") if "CRLF" in (mine, yours) else 3 if "mixed" in (mine, yours) else 0
    )


def test_both_that_were_made_of_nothing_are_merged_by_key():
    found = merged(None, HEAD + "x\n", HEAD.replace("model: opus   # the large\n\n", "") + "x\n")
    assert found.content == (HEAD + "x\n").encode()
    assert [each.where for each in merged(None, AGENT, AGENT.replace("Read", "Bash")).conflicts] == ["tools"]
    assert [each.where for each in merged(None, HEAD + "x\n", HEAD + "y\n").conflicts] == [""]


@pytest.mark.parametrize("suffix", [".md", ".toml", ".yaml", ".json", ".py", ".other"])
@given(data=st.data())
def test_nothing_that_somebody_wrote_breaks_it(suffix, data):
    """Whatever bytes the three have: what is clean comes from somewhere, and the order of the two decides no conflict."""
    pieces = st.sampled_from(
        [b"---\n", b"a: 1\n", b"a: [\n", b"# x\n", b"\n", b"b = 2\n", b"[t]\n", b'"""', b"\xff", b"\r\n", b"{", b"}", b"- x\n", b"a: |\n", b" y\n"]
    )  # fmt: skip
    base, ours, theirs = (data.draw(st.lists(pieces, max_size=8).map(b"".join)) for _ in range(3))
    found = merge(base, ours, theirs, suffix)
    assert (found.content is None) == bool(found.conflicts)
    assert bool(merge(base, theirs, ours, suffix).conflicts) == bool(found.conflicts)
    lines = {
        line.strip()
        for text in (base, ours, theirs)
        for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    }
    if found.content is not None:
        assert {line.strip() for line in found.content.split(b"\n")} <= lines | {b""}


LINES = st.lists(st.integers(0, 30), max_size=12, unique=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@settings(max_examples=60)
@given(
    base=LINES,
    edits=st.lists(st.tuples(st.integers(0, 12), st.sampled_from("dra"), st.booleans()), max_size=4),
)
def test_git_merges_lines_that_cannot_be_mistaken_the_same_way(tmp_path_factory, base, edits):
    sides = [[str(n) for n in base] for _ in range(2)]
    for number, (at, kind, which) in enumerate(edits):
        side = sides[which]
        if at < len(side):
            side[at : at + 1] = {"d": [], "r": [f"new {number}"], "a": [side[at], f"new {number}"]}[kind]
    texts = ["".join(f"{line}\n" for line in lines).encode() for lines in (sides[0], base, sides[1])]
    place = tmp_path_factory.mktemp("git")
    for name, text in zip(("ours", "base", "theirs"), texts, strict=True):
        (place / name).write_bytes(text)
    done = subprocess.run(
        ["git", "merge-file", "-p", "-q", "ours", "base", "theirs"],
        cwd=place,
        capture_output=True,
        check=False,
    )
    found = merge(texts[1], texts[0], texts[2], ".txt")
    assert (found.content is None) == (done.returncode != 0)
    if found.content is not None:
        assert found.content == done.stdout


def test_lines_that_are_all_alike_are_given_up_before_they_take_long(monkeypatch):
    monkeypatch.setattr(lines, "_MOST_PAIRS", 10)
    base = "x\ny\n" * 10
    found = merged(base, base.replace("x", "z"), base.replace("y\nx", "y\nw", 1), ".txt")
    [conflict] = found.conflicts
    assert len(conflict.base) > len(base) / 2
    assert merged(base, "z\n" + base, base + "w\n", ".txt").content == ("z\n" + base + "w\n").encode()


def test_a_text_of_half_a_mebibyte_is_merged():
    lines = [f"line {number} {'x' * 40}\n\n" for number in range(9_000)]
    base = "".join(lines)
    ours, theirs = base.replace("line 17 ", "line 17! "), base.replace("line 8000 ", "line 8000! ")
    assert (
        merged(base, ours, theirs).content
        == base.replace("line 17 ", "line 17! ").replace("line 8000 ", "line 8000! ").encode()
    )
