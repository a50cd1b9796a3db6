"""What a definition tells its agent → a prompt. Pure; the same text, variables and sections give the same prompt.

`{{name}}` stands for a variable: letters, digits, `_`, `-` and `.`, with or without blanks around. What is put in is not looked through again.
Braces behind a `$`, as in `${{ secrets.token }}`, and any others are text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.definitions.parse import Parsed

TOLD_BY: Final = ("prompt", "system_prompt", "instructions", "developer_instructions")
_VARIABLE = re.compile(r"(?<![${])\{\{[ \t]*([A-Za-z_][\w.-]{0,99})[ \t]*\}\}(?!\})")
_TITLE = re.compile(r"[^\r\n]*[^\s][^\r\n]*")
_SHOWN = 10


class Told(NamedTuple):
    """What a definition tells its agent.

    Attributes:
        first_line: in its file; None: not known.
        open_fence: the line of a block of code in it that never ends, as far as its lines are known.
    """

    text: str
    first_line: int | None = None
    open_fence: int | None = None


class Rendered(NamedTuple):
    """A prompt, and the variables that stand in its text."""

    text: str
    variables: tuple[str, ...]


class CannotRender(Exception):
    """Why there is no prompt, and what to do."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


def told(parsed: Parsed, suffix: str) -> Told:
    """What an agent is told: the text of a Markdown file, the key that its tool reads, else the first text among the keys of `TOLD_BY`."""
    if parsed.is_markdown:
        return Told(parsed.body, parsed.body_line, parsed.open_fence)
    if parsed.body and suffix.lower() != ".py":
        return Told(parsed.body, None, parsed.open_fence)
    for key in TOLD_BY:
        if (said := parsed.fields.get(key)) and isinstance(said.value, str) and said.value.strip():
            return Told(said.value)
    return Told("")


def check(variables: object, sections: object) -> None:
    """Whether values for a prompt have the right form.

    Raises:
        CannotRender: one has not.
    """
    for what, given in (("variables", {} if variables is None else variables), ("sections", sections)):
        if not isinstance(given, Mapping):
            raise CannotRender(f"{what} is {type(given).__name__}, and no mapping", "give names and texts")
        for name, value in given.items():
            if not isinstance(name, str) or (what == "sections" and not _TITLE.fullmatch(name)):
                raise CannotRender(f"{name!r:.80} cannot stand among the {what}", "give one line of text")
            if not isinstance(value, str):
                why = f"{name!r:.80} of the {what} is {type(value).__name__}, and not text"
                raise CannotRender(why, "give it as a string")


def render(told: Told, variables: Mapping[str, str] | None, sections: Mapping[str, str]) -> Rendered:
    """Make a prompt.

    Args:
        told: what the definition tells its agent.
        variables: a value for each that the text names, and no other; None: the text stays as it stands. They have passed `check`.
        sections: title → text, put behind it in this order as Markdown.

    Raises:
        CannotRender: a variable is not given or not known, or there is nothing to render.
    """
    if not told.text.strip():
        raise CannotRender("it tells the agent nothing", "fill it, or remove it")
    if sections and told.open_fence is not None:
        where = "" if told.first_line is None else f" in line {told.open_fence}"
        why = f"a block of code begins{where} and never ends, so sections behind it would be part of it"
        raise CannotRender(why, "end the block, or give no sections")
    names = () if variables is None else tuple(dict.fromkeys(_VARIABLE.findall(told.text)))
    text = told.text
    if variables is not None:
        _compare(told, names, variables)
        text = _VARIABLE.sub(lambda found: variables[found[1]], text)
    return Rendered("\n\n".join([text.strip("\n"), *_sections(sections)]) + "\n", names)


def _compare(told: Told, names: tuple[str, ...], given: Mapping[str, str]) -> None:
    lacking = [name for name in names if name not in given]
    if lacking:
        where = ", ".join(f"{name}{_line(told, name)}" for name in lacking[:_SHOWN])
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        why = f"it names variables that were not given: {where}{more}"
        raise CannotRender(why, "give them, or variables=None to leave its text as it stands")
    if unknown := [name for name in given if name not in names]:
        knows = f"it knows {', '.join(names[:_SHOWN])}" if names else "it knows none"
        why = f"it knows no variable {', '.join(map(repr, unknown[:_SHOWN]))}; {knows}"
        raise CannotRender(
            why, "a variable stands in its text as {{name}}; sections take what it does not name"
        )


def _line(told: Told, name: str) -> str:
    """Where a variable stands first, where that is known."""
    if told.first_line is None:
        return ""
    at = next(found.start() for found in _VARIABLE.finditer(told.text) if found[1] == name)
    return f" (line {told.first_line + told.text.count(chr(10), 0, at)})"


def _sections(sections: Mapping[str, str]) -> Iterator[str]:
    for title, text in sections.items():
        yield f"## {title.strip()}\n\n{text.strip(chr(10))}"
