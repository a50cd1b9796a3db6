"""What is told of a definition, and what it costs: the rules by themselves."""

from __future__ import annotations

import pytest

from holdfast.definitions import tools
from holdfast.definitions.parse import parse
from holdfast.definitions.validate import INVALID, VALID, judge

CLAUDE, CODEX, CUSTOM = (tools.TOOLS[name] for name in ("claude", "codex", "custom"))


def markdown(keys="", body="Do it.", tool=CLAUDE, **more):
    text = f"---\nname: qa\ndescription: Reads\n{keys}---\n{body}\n"
    return judge(parse(text.encode(), ".md"), tool, stem="qa", **more)


def toml(keys, tool=CODEX, **more):
    return judge(parse(keys.encode(), ".toml", tool.body_key), tool, stem="qa", **more)


def told(verdict):
    return [(one.level, one.code, one.line) for one in verdict.findings]


def test_nothing_is_said_of_what_is_well():
    verdict = markdown(
        "tools: Read, Bash(git diff:*), mcp__db__query, Agent(worker)\nmodel: claude-opus-5[1m]\n"
    )
    assert (verdict.score, verdict.validity, verdict.findings, verdict.loads) == (100, VALID, (), True)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("tools: []\n", ("warning", "no-tools", 4)),
        ("tools: reed\n", ("warning", "unknown-tool", 4)),
        ("disallowedTools: [MultiEdit]\n", ("warning", "unknown-tool", 4)),
        ("model: 4\n", ("warning", "value-kind", 4)),
        ("effort: huge\n", ("warning", "value", 4)),
        ("max_turns: 3\n", ("warning", "unknown-key", 4)),
        ("collor: red\n", ("warning", "unknown-key", 4)),
        ("priority: 3\n", ("note", "unknown-key", 4)),
        ("hooks: {}\n", None),
    ],
)
def test_a_key_that_does_not_do_what_it_says_is_told(keys, expected):
    assert told(markdown(keys)) == ([expected] if expected else [])


def test_what_a_plugin_may_not_say_is_told():
    assert told(markdown("permissionMode: plan\n", in_plugin=True)) == [("warning", "not-in-plugin", 4)]


@pytest.mark.parametrize(
    ("name", "instead"), [("MultiEdit", "write Edit"), ("bash", "did you mean Bash?"), ("Saw", "begins with")]
)
def test_an_unknown_tool_comes_with_what_may_have_been_meant(name, instead):
    [one] = markdown(f"tools: {name}\n").findings
    assert instead in one.hint


@pytest.mark.parametrize(
    ("keys", "codes", "loads"),
    [
        ('name = "qa"\ndescription = "d"\ndeveloper_instructions = "x"\n', [], True),
        ('name = "qa"\ndescription = ""\ndeveloper_instructions = "x"\n', ["no-description"], False),
        ('name = "qa"\ndeveloper_instructions = "x"\n', ["no-description"], None),
        ('description = "d"\ndeveloper_instructions = "x"\n', ["no-name"], False),
        (
            'name = "qa"\ndescription = "d"\ndeveloper_instructions = "x"\nnickname_candidates = ["A", "A"]\n',
            ["nicknames"],
            False,
        ),
        (
            'name = "qa"\ndescription = "d"\ndeveloper_instructions = "x"\nnickname_candidates = ["Ätna"]\n',
            ["nicknames"],
            False,
        ),
        (
            'name = "qa"\ndescription = "d"\ndeveloper_instructions = "x"\nnickname_candidates = ["Big One"]\n',
            [],
            True,
        ),
    ],
)
def test_what_codex_needs(keys, codes, loads):
    verdict = toml(keys)
    assert [one.code for one in verdict.findings if one.level == "error"] == codes
    assert verdict.loads is loads


def test_the_limits_of_codex_are_those_of_its_source():
    keys = 'name = "qa"\ndescription = "d"\ndeveloper_instructions = "x"\n'
    assert toml(keys, size_bytes=64 * 1024).loads is True
    assert toml(keys, size_bytes=64 * 1024 + 1).loads is False


def test_a_custom_definition_needs_a_title_and_its_sections():
    whole = "# QA\n\n## Role\n\nReads.\n\n## Capabilities\n\n- reading\n"
    assert told(markdown(body=whole, tool=CUSTOM)) == []
    bare = markdown(tool=CUSTOM)
    assert [code for _, code, _ in told(bare)] == ["no-capabilities", "no-role", "no-title"]
    assert (bare.score, bare.validity) == (70, VALID)


def test_the_score_tells_what_works_from_what_does_not():
    """Nine warnings are still valid; one error is not."""
    many = markdown("".join(f"tools: Saw{n}\n" for n in range(9)))
    assert (many.score, many.validity) == (50, VALID)
    one = markdown("", body="").score
    wrong = judge(parse(b"---\nname: qa\n---\nx", ".md"), CLAUDE, stem="qa")
    assert one == 90
    assert (wrong.score, wrong.validity, wrong.loads) == (40, INVALID, False)
    assert judge(parse(b"\0\xff", ".md"), CLAUDE, stem="qa").score == 0
