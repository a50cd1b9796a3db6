"""What a definition tells its agent becomes a prompt: every variable has a value, and nothing is made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.definitions import prompts
from holdfast.definitions.parse import parse
from holdfast.definitions.prompts import CannotRender, Told, check, render


@pytest.mark.parametrize(
    ("text", "variables", "prompt"),
    [
        ("Do it.", {}, "Do it.\n"),
        ("\n\nDo it.\n\n\n", {}, "Do it.\n"),
        ("On {{branch}}: {{ branch }}, {{\ttask }}", {"branch": "main", "task": "t"}, "On main: main, t\n"),
        ("{{a.b}} {{a-b}} {{_a1}}", {"a.b": "1", "a-b": "2", "_a1": "3"}, "1 2 3\n"),
        ("{{a}}{{b}}", {"a": "{{b}}", "b": r"\1 {{a}}"}, "{{b}}\\1 {{a}}\n"),
        (
            "${{ secrets.token }} {x} {{ }} {{1}} {{a b}} {{{a}}}",
            {},
            "${{ secrets.token }} {x} {{ }} {{1}} {{a b}} {{{a}}}\n",
        ),
        ("{{task}}", None, "{{task}}\n"),
        ("{{task}}", {"task": ""}, "\n"),
    ],
)
def test_each_variable_is_replaced_and_other_braces_stay(text, variables, prompt):
    assert render(Told(text), variables, {}).text == prompt


def test_sections_stand_behind_it_in_their_order():
    found = render(Told("Do {{a}}.\n", 5), {"a": "it"}, {"Task": "\nThis {{one}}.\n", " Limits ": "None."})
    assert found.text == "Do it.\n\n## Task\n\nThis {{one}}.\n\n## Limits\n\nNone.\n"
    assert found.variables == ("a",)


@pytest.mark.parametrize(
    ("text", "variables", "why"),
    [
        ("a\n{{x}}\n{{y}} {{x}}", {}, r"variables that were not given: x \(line 8\), y \(line 9\)"),
        ("{{x}}", {"x": "", "z": "", "y": ""}, r"knows no variable 'z', 'y'; it knows x"),
        ("none", {"x": ""}, r"knows no variable 'x'; it knows none"),
        ("".join(f"{{{{v{at}}}}}" for at in range(12)), {}, r"v9 \(line 7\) and 2 more"),
        (" \n\t", {}, "tells the agent nothing"),
    ],
)
def test_what_is_wrong_with_variables_is_named(text, variables, why):
    with pytest.raises(CannotRender, match=why):
        render(Told(text, 7), variables, {})


@pytest.mark.parametrize(
    ("variables", "sections", "why"),
    [
        ({"x": 1}, {}, "'x' of the variables is int, and not text"),
        (["x"], {}, "variables is list, and no mapping"),
        ({3: "x"}, {}, "3 cannot stand among the variables"),
        ({}, {"Task": None}, "'Task' of the sections is NoneType"),
        ({}, {"two\nlines": ""}, "cannot stand among the sections"),
        ({}, {" ": ""}, "cannot stand among the sections"),
        ({}, "Task", "sections is str, and no mapping"),
    ],
)
def test_what_has_not_the_right_form_is_refused(variables, sections, why):
    with pytest.raises(CannotRender, match=why):
        check(variables, sections)


def test_sections_are_refused_behind_a_block_of_code_that_never_ends():
    told = prompts.told(parse(b"---\nname: a\n---\nRun:\n```\nmake\n", ".md"), ".md")
    assert render(told, {}, {}).text == "Run:\n```\nmake\n"
    with pytest.raises(CannotRender, match="begins in line 5 and never ends"):
        render(told, {}, {"Task": "x"})


@pytest.mark.parametrize(
    ("suffix", "content", "body_key", "told"),
    [
        (".md", b"---\nname: a\nprompt: no\n---\nDo.\n", None, Told("Do.\n", 5)),
        (".md", b"Do.", None, Told("Do.", 1)),
        (".toml", b'name = "a"\ndeveloper_instructions = "Do."', "developer_instructions", Told("Do.")),
        (".toml", b'instructions = "Do."', None, Told("Do.")),
        (".yaml", b"instructions: late\nsystem_prompt: Do.\n", None, Told("Do.")),
        (".json", b'{"prompt": " ", "instructions": "Do."}', None, Told("Do.")),
        (".json", b'{"prompt": ["Do."]}', None, Told("")),
        (".py", b'"""About it."""\nPROMPT = "Do."\n', None, Told("Do.")),
        (".py", b"import os\nos.abort()\n", None, Told("")),
    ],
)
def test_what_an_agent_is_told_stands_where_its_format_has_it(suffix, content, body_key, told):
    assert prompts.told(parse(content, suffix, body_key), suffix) == told


@given(
    st.text(alphabet="{}$ \tab.-_\n"), st.dictionaries(st.sampled_from(["a", "b", "a.b"]), st.text("{a}b"))
)
def test_a_prompt_is_the_same_each_time_and_never_leaves_a_variable_without_a_value(text, variables):
    told = Told(text, 1)
    try:
        found = render(told, variables, {})
    except CannotRender:
        return
    assert found == render(told, variables, {})
    assert set(found.variables) == set(variables)
