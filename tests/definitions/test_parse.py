"""What a definition says of itself, read from any bytes, without running, following or repeating any of it."""

from __future__ import annotations

import json

import msgspec
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.definitions import plain_yaml
from holdfast.definitions.parse import SUFFIXES, parse


def codes(parsed):
    return [one.code for one in parsed.findings]


def front(keys: str, body: str = "Do it.\n") -> bytes:
    return f"---\n{keys}\n---\n{body}".encode()


def test_front_matter_and_what_follows_it():
    said = "name: qa\ndescription: Reads\ntools: Read, Bash(git diff:*, git log:*), mcp__a__b\nmodel: opus\ntype: t"
    parsed = parse(front(said, "# QA\n\n## Capabilities\n\n- one\n- two\n\n## Else\n\n- three\n"), ".md")
    assert (parsed.name, parsed.description, parsed.model, parsed.kind) == ("qa", "Reads", "opus", "t")
    assert parsed.tools == ("Read", "Bash(git diff:*, git log:*)", "mcp__a__b")
    assert parsed.capabilities == ("one", "two")
    assert parsed.body_line == 8
    assert parsed.headings == ((8, "# QA"), (10, "## Capabilities"), (15, "## Else"))
    assert codes(parsed) == []


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".toml", 'name = "qa"\ndescription = "d"\ntools = ["Read"]\ncapabilities = ["c"]\n'),
        (".json", '{"name": "qa",\n"description": "d",\n"tools": "Read", "capabilities": ["c"]}'),
        (".yaml", "name: qa\ndescription: d\ntools: [Read]\ncapabilities:\n- c\n"),
        (".py", 'NAME = "qa"\ndescription: str = "d"\n__tools__ = ("Read",)\nCapabilities = {"c"}\n'),
        (".md", "---\nname: qa\ndescription: d\ntools: Read\ncapabilities: c\n---\nx\n"),
    ],
)
def test_each_format_says_the_same(suffix, text):
    parsed = parse(text.encode(), suffix)
    assert (parsed.name, parsed.description, parsed.tools, parsed.capabilities) == (
        "qa",
        "d",
        ("Read",),
        ("c",),
    )
    assert parsed.fields["description"].line is not None
    assert not parsed.salvaged


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("2026-01-01", "2026-01-01"),
        ("12:30:00", "12:30:00"),
        ("0x1f", "0x1f"),
        ("12", 12),
        ("1.5", 1.5),
        ("true", True),
        ("~", None),
        ("'12'", "12"),
        ('"true"', "true"),
        ("[a, 1]", ["a", 1]),
        ("{a: b}", {"a": "b"}),
        ("|\n  a\n  b", "a\nb"),
    ],
)
def test_words_are_what_the_tools_take_them_for(written, value):
    """YAML 1.2, as the libraries of the tools have it; 1.1 makes a truth value of `on`, and a number of 12:30:00."""
    assert parse(front(f"x: {written}"), ".md").fields["x"].value == value


def test_where_the_whole_cannot_be_read_single_lines_are():
    parsed = parse(front("name: qa\ndescription: Use when: needed\nmodel: opus"), ".md")
    assert (parsed.salvaged, parsed.name, parsed.description, parsed.model) == (
        True,
        "qa",
        "Use when: needed",
        "opus",
    )
    assert codes(parsed) == ["yaml"]


def test_a_bomb_is_not_unpacked():
    """Without the limits this text has 9^10 values."""
    keys = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    keys += [f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)]
    parsed = parse(front("name: qa\n" + "\n".join(keys)), ".md")
    assert codes(parsed) == ["too-large"]
    assert parsed.name == "qa"


def test_the_limits_of_yaml_are_kept(monkeypatch):
    """Negative control: with higher limits, what they refuse is read."""
    deep = front("name: qa\nx: " + "[" * 40 + "]" * 40)
    assert codes(parse(deep, ".md")) == ["too-large"]
    monkeypatch.setattr(plain_yaml, "_MOST_DEEP", 50)
    assert codes(parse(deep, ".md")) == []


@pytest.mark.parametrize(
    ("suffix", "content", "expected"),
    [
        (".toml", "a." * 30_000 + "a = 1", ["too-large"]),
        (".toml", 'x = """\n' + "a." * 500 + '"""\nb.' + "a." * 500 + "c = 1", ["too-large"]),
        (".toml", 'x = """' + "a." * 500 + '"""', []),
        (".toml", "# " + "." * 500 + "\na = 1", []),
        (".toml", "a." * 99 + "a = 1", []),
        (".toml", 'a = "' + '\\"' * 400_000, ["toml"]),
        (".toml", 'a = """' + '\\"""' * 200_000 + "\\", ["toml"]),
        (".toml", 'x = """\\"""' + "a." * 500 + '""""', []),
        (".json", '{"a":' * 900 + "1" + "}" * 900, []),
        (".json", "{" + ",".join(f'"k{n}": 1' for n in range(90_000)) + "}", ["too-large"]),
        (".json", "{" + ",".join('"k": 1' for _ in range(100_000)) + "}", ["duplicate-key"]),
        (".md", "---\ntools: " + "(," * 30_000 + "\n---\nx", []),
        (
            ".md",
            "---\na: b: " + " " * 60_000 + "x\n---\n# " + " " * 900_000 + "x\n## Capabilities\n",
            ["yaml"],
        ),
    ],
    ids=[
        "dots",
        "dots behind a string",
        "dots in a string",
        "dots in a comment",
        "some dots",
        "a text that never ends",
        "a text of several lines that never ends",
        "dots behind quotes in a string",
        "deep",
        "keys",
        "one key",
        "commas",
        "spaces",
    ],
)
def test_what_was_made_to_be_slow_or_deep_is_read_or_told(suffix, content, expected):
    """Each of these took minutes, or more frames than Python has, before there was a limit or a plainer way."""
    parsed = parse(content.encode(), suffix)
    assert codes(parsed) == expected
    json.dumps({key: field.value for key, field in parsed.fields.items()})


@pytest.mark.parametrize(
    "content",
    [
        front("name: a\ndescription: Use when: it"),
        front("name: 12\nx: on\ny: true\nz: 'true'\nw: |\n  a\n  b"),
        front("name: a\nx: " + "[" * 5_000),
        front("name: a\nx: \x01"),
        front("name: a\n\tx: 1"),
        front("a: &a [1, 1]\nb: [*a, *a]\nb: !x y"),
        front('name: "\\ud800x"'),
    ],
)
def test_without_libyaml_the_same_is_said(content, monkeypatch):
    """PyYAML's own parser takes its place where a wheel has none; only the words of its errors differ."""
    with_it = parse(content, ".md")
    monkeypatch.setattr(plain_yaml, "_LOADER", yaml.SafeLoader)
    without = parse(content, ".md")
    assert without.fields == with_it.fields
    assert [(one.code, one.line) for one in without.findings] == [
        (one.code, one.line) for one in with_it.findings
    ]


TEXT = st.text(
    st.sampled_from("abn: \t-[]{}#&*!|>'\"\n\r,~<%@`?.0=(") | st.characters(codec="utf-8"), max_size=80
)
PIECE = st.sampled_from(
    [
        "---\n",
        "name: a\n",
        "\ufeff",
        "x: &a [*a]\n",
        "- ",
        "tools: [",
        '{"a": ',
        "'''",
        '"""',
        "```\n",
        "# A\n",
        "\0",
    ]
)


@given(
    st.sampled_from(SUFFIXES),
    st.lists(PIECE | TEXT, max_size=12).map("".join).map(str.encode) | st.binary(max_size=200),
)
@example(".md", b"---\n? [a]\n: b\n---\n")
@example(".yaml", b"a: b: c")
@example(".json", b'{"name": "\\ud800", "x": {"\\udc80": 1}, "x": 2, "\\ud800": 1, "\\ud800": 1}')
@example(".py", b'name = "\\ud800"\nX = {(1, 0x' + b"f" * 5_000 + b"): 1}\nY = 0x" + b"f" * 5_000 + b"+1j")
@example(".toml", b"name = 'big'\ntools = [0x" + b"f" * 5_000 + b"]")
@example(".toml", b"a = 1979-05-27T07:32:00Z")
def test_no_bytes_raise_and_what_is_said_can_be_printed(suffix, content):
    parsed = parse(content, suffix, "developer_instructions")
    said = (parsed.name, parsed.aliases, parsed.description, parsed.tools, parsed.model, parsed.capabilities)
    msgspec.json.encode([said, [(one.level, one.text, one.line) for one in parsed.findings], parsed.fields])
    lines = content.count(b"\n") + content.count(b"\r") + 1
    assert all(one.line is None or 1 <= one.line <= lines + 1 for one in parsed.findings)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "-\\\n" * 80_000 + "1",
        "x = (a\n" + ".b\n" * 60_000 + ")",
        "x = (\n" + "1 +\n" * 50_000 + "1)",
        "x = (\n" + "not\n" * 50_000 + "1)",
        "x = " + "lambda:" * 2_800 + "1",
        "x = " + "[" * 3_000,
        "if 1: pass\n" + "elif 1: pass\n" * 15_000,
    ],
    ids=["unary", "attribute", "sum", "not", "lambda", "brackets", "elif"],
)
def test_python_made_to_exhaust_its_parser_is_a_finding(text):
    """Each of these makes Python's own parser give up, or take seconds."""
    assert {one.level for one in parse(text.encode(), ".py").findings} == {"error"}
