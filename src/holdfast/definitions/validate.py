"""Whether its tool can use a definition, and whether it says what it seems to say. Pure: what was read goes in, a judgement comes out.

The score begins at 100. An error leaves at most 40; each warning takes 10, down to 50 of what is valid, so 50 and more is what works.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from holdfast.definitions import tools
from holdfast.definitions.findings import ERROR, NOTE, WARNING, Finding, in_order
from holdfast.definitions.parse import parted
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.definitions.parse import Parsed
    from holdfast.definitions.plain_yaml import Field
    from holdfast.definitions.tools import Tool

VALID: Final = "valid"
INVALID: Final = "invalid"
UNCHECKED: Final = "unchecked"
_WHOLE, _WITH_ERROR, _LEAST_VALID, _WARNING_COSTS = 100, 40, 50, 10
_MOST_NAME_CHARS = 200
_MOST_FINDINGS = 100  # the worst of them
_CLAUDE_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CLAUDE_NEEDS = {"no-name", "name-no-text", "colon-in-name", "no-description"}
_NICKNAME = re.compile(r"[A-Za-z0-9 _-]+")
_BASE_OF_TOOL = re.compile(r"[A-Za-z_][\w-]*")
_SECTIONS = ("role", "capabilities")  # what earlier systems of this kind ask of a Markdown file
_NEAR = 2  # edits between a key that is known and one that is not


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be thought of a definition.

    Attributes:
        score: 0 to 100; None: it was not checked.
        validity: `valid`, `invalid`, `unchecked` (its content could not be read).
        loads: whether its tool takes it; None: that is not known.
        why: it does not, or why that is not known; "" where it does.
    """

    score: int | None
    validity: str
    findings: tuple[Finding, ...]
    loads: bool | None = True
    why: str = ""


def unread(why: str, hint: str, *, loads: bool | None = None) -> Verdict:
    """The verdict on a file whose content could not be read; `loads` as in Verdict."""
    return Verdict(None, UNCHECKED, (Finding(ERROR, "unread", why, hint),), loads, why)


def judge(parsed: Parsed, tool: Tool, *, stem: str, size_bytes: int = 0, in_plugin: bool = False) -> Verdict:
    """Judge what a definition says.

    Args:
        parsed: what was read.
        tool: whose definition it is.
        stem: its file's name without the suffix.
        size_bytes: of the file.
        in_plugin: whether a plugin brings it.
    """
    found = [*parsed.findings, *_name(parsed, tool, stem), *_required(parsed, tool), *_values(parsed, tool)]
    found += [*_keys(parsed, tool, in_plugin=in_plugin), *_tools(parsed, tool), *_model(parsed, tool)]
    found += [*_body(parsed, tool), *_limits(parsed, tool, size_bytes), *_nicknames(parsed, tool)]
    findings = in_order(found)[:_MOST_FINDINGS]
    errors = sum(one.level == ERROR for one in findings)
    warnings = sum(one.level == WARNING for one in findings)
    if errors:
        score = max(0, _WITH_ERROR - _WARNING_COSTS * (errors - 1 + warnings))
    else:
        score = max(_LEAST_VALID, _WHOLE - _WARNING_COSTS * warnings)
    loads, why = _loads(parsed, tool, findings, in_plugin=in_plugin)
    return Verdict(score, INVALID if errors else VALID, findings, loads, why)


def _loads(
    parsed: Parsed, tool: Tool, findings: tuple[Finding, ...], *, in_plugin: bool
) -> tuple[bool | None, str]:
    """Whether a tool takes it, by what its documents and its source say."""
    if tool.name == tools.CUSTOM:
        return True, ""
    if tool.name == tools.CODEX:
        return _codex_loads(findings)
    if parsed.salvaged and not in_plugin:
        return None, "its front matter is no YAML; Claude Code takes some of such files, and drops others"
    if in_plugin:
        return True, ""  # it gets a name and a description then
    missing = next((one for one in findings if one.code in _CLAUDE_NEEDS), None)
    return (True, "") if missing is None else (False, f"Claude Code passes it over: {missing.text}")


def _codex_loads(findings: tuple[Finding, ...]) -> tuple[bool | None, str]:
    """The same for Codex, which takes a description that is missing from a weaker definition of the name."""
    errors = [one for one in findings if one.level == ERROR]
    if not errors:
        return True, ""
    if all(one.code == "no-description" and one.line is None for one in errors):
        return None, "it has no description, so Codex takes it only where a weaker one of this name has one"
    return False, f"Codex passes it over: {errors[0].text}"


# ── names ──


def _name(parsed: Parsed, tool: Tool, stem: str) -> Iterator[Finding]:
    field = parsed.fields.get("name")
    line = field.line if field else None
    if field is not None and not isinstance(field.value, str):
        kind = _kind(field.value)
        yield Finding(ERROR, "name-no-text", f"the name is {kind}, not text", "put it between quotes", line)
    name = parsed.name
    if name is None:
        if tool.named_by_file:
            yield Finding(NOTE, "no-name", f"it has no name, so it has that of its file: {visible(stem)}")
        return
    if visible(name) != name:
        text = f"the name holds characters that are not shown: {visible(name[:_MOST_NAME_CHARS])}"
        yield Finding(ERROR, "name-characters", text, "write it without them", line)
    elif len(name) > _MOST_NAME_CHARS:
        yield Finding(WARNING, "name-long", f"the name has {len(name)} characters", "make it shorter", line)
    if tool.name == tools.CLAUDE and ":" in name:
        hint = "use `-`; `:` is kept for agents of plugins"
        yield Finding(ERROR, "colon-in-name", "the name holds a `:`", hint, line)
    elif tool.name == tools.CLAUDE and not _CLAUDE_NAME.fullmatch(name):
        hint = "use small letters, digits and `-`"
        yield Finding(WARNING, "name-form", "the name is none of small letters, digits and `-`", hint, line)
    if name != stem:
        text = f"the file is called {visible(stem)}; the name is what counts"
        yield Finding(NOTE, "name-not-file", text, "", line)


def _required(parsed: Parsed, tool: Tool) -> Iterator[Finding]:
    for key in tool.required:
        field = parsed.fields.get(key)
        if field is None:
            text = f"it has no {key}"
        elif field.value is None or (isinstance(field.value, str) and not field.value.strip()):
            text = f"its {key} is empty"
        else:
            continue
        where = "front matter" if tool.name == tools.CLAUDE else "file"
        yield Finding(
            ERROR, f"no-{key}", text, f"write `{key}` into its {where}", field.line if field else None
        )


# ── keys and values ──


def _values(parsed: Parsed, tool: Tool) -> Iterator[Finding]:
    for key, field in parsed.fields.items():
        if field.value is None or key == "name":
            continue
        if key in tool.texts and not isinstance(field.value, str):
            text = f"`{key}` is {_kind(field.value)}, not text"
            yield Finding(WARNING, "value-kind", text, "", field.line)
        elif key in tool.choices and field.value not in tool.choices[key]:
            choices = ", ".join(tool.choices[key])
            text = f"`{key}` is {visible(str(field.value))[:60]!r}"
            yield Finding(WARNING, "value", text, f"it takes {choices}", field.line)


def _kind(value: Any) -> str:  # noqa: ANN401 - what YAML has
    for kind, word in (
        (bool, "a truth value"),
        (int | float, "a number"),
        (list, "a list"),
        (dict, "a mapping"),
    ):
        if isinstance(value, kind):
            return word
    return "nothing" if value is None else "text"


def _keys(parsed: Parsed, tool: Tool, *, in_plugin: bool) -> Iterator[Finding]:
    for key, field in parsed.fields.items():
        if in_plugin and key in tool.not_in_plugins:
            yield Finding(WARNING, "not-in-plugin", f"`{key}` is ignored in a plugin", "", field.line)
        if not tool.known or key in tool.known or (parsed.salvaged and not _near(key, tool)):
            continue
        near = _near(key, tool)
        text = f"{tool.title} knows no `{visible(key)[:60]}`"
        level = WARNING if near else NOTE
        yield Finding(level, "unknown-key", text, f"did you mean `{near}`?" if near else "", field.line)


def _near(key: str, tool: Tool) -> str | None:
    """A known key that this one may have been meant for."""
    folded = key.lower().replace("_", "").replace("-", "")
    for known in sorted(tool.known):
        plain = known.lower().replace("_", "")
        if plain == folded or (
            len(plain) > 4 and abs(len(plain) - len(folded)) < _NEAR and _edits(plain, folded) < _NEAR
        ):
            return known
    return None


def _edits(one: str, other: str) -> int:
    """How many letters must change to come from one short word to another."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def _tools(parsed: Parsed, tool: Tool) -> Iterator[Finding]:
    if not tool.tools:
        return
    for key in ("tools", "disallowedTools"):
        field = parsed.fields.get(key)
        if field is None:
            continue
        names = list(_tool_names(field))
        if key == "tools" and not names and field.value is not None:
            yield Finding(
                WARNING,
                "no-tools",
                "the list of tools is empty",
                "leave `tools` out to give it all",
                field.line,
            )
        for name in names:
            base = found[0] if (found := _BASE_OF_TOOL.match(name)) else name
            if base.startswith("mcp__") or base in tool.tools or name == "*":
                continue
            if base in tool.former_tools:
                text = f"{tool.title} has no tool {base} any more"
            else:
                text = f"{tool.title} has no tool {visible(name)[:60]}, as far as is known"
            yield Finding(WARNING, "unknown-tool", text, _tool_hint(base, tool), field.line)


def _tool_names(field: Field) -> Iterator[str]:
    if isinstance(field.value, str):
        yield from filter(None, parted(field.value))
    elif isinstance(field.value, list):
        yield from (str(item).strip() for item in field.value)


def _tool_hint(name: str, tool: Tool) -> str:
    if name in tool.former_tools:
        return f"write {tool.former_tools[name]}"
    near = next((known for known in sorted(tool.tools) if known.lower() == name.lower()), None)
    return f"did you mean {near}?" if near else "a tool of an MCP server begins with `mcp__`"


def _model(parsed: Parsed, tool: Tool) -> Iterator[Finding]:
    if parsed.model is None or not tool.models:
        return
    name = parsed.model.lower().removesuffix("[1m]")
    if name not in tool.models and not name.startswith(tool.model_begins):
        text = f"{tool.title} has no model {visible(parsed.model)[:60]}, as far as is known"
        aliases = ", ".join(sorted(tool.models - {"default"}))
        yield Finding(
            WARNING, "unknown-model", text, f"it takes {aliases}, or a whole id", parsed.fields["model"].line
        )


def _nicknames(parsed: Parsed, tool: Tool) -> Iterator[Finding]:
    field = parsed.fields.get("nickname_candidates")
    if tool.name != tools.CODEX or field is None:
        return
    names = field.value if isinstance(field.value, list) else [None]
    plain = [name.strip() for name in names if isinstance(name, str)]
    if (
        not names
        or len(plain) < len(names)
        or len(set(plain)) < len(plain)
        or not all(map(_NICKNAME.fullmatch, plain))
    ):
        hint = "list names of letters, digits, spaces, `-` and `_`, each once"
        yield Finding(ERROR, "nicknames", "nickname_candidates is not what Codex takes", hint, field.line)


# ── what the agent is told ──


def _body(parsed: Parsed, tool: Tool) -> Iterator[Finding]:
    if tool.body_key is None and not parsed.body.strip() and parsed.body_line is not None:
        yield Finding(
            WARNING,
            "empty",
            "it tells the agent nothing",
            "write what the agent is to do behind the front matter",
        )
    if parsed.open_fence is not None:
        text = "a block of code begins here and never ends"
        yield Finding(WARNING, "open-fence", text, "end it with the same mark", parsed.open_fence)
    if tool.name == tools.CUSTOM and parsed.is_markdown:
        words = {heading.lstrip("# ").lower() for _, heading in parsed.headings}
        if not any(heading.startswith("# ") for _, heading in parsed.headings):
            yield Finding(WARNING, "no-title", "it has no title (`# …`)", "begin with one", parsed.body_line)
        for section in _SECTIONS:
            if section not in words and not parsed.fields.get(section):
                hint = f"write a section `## {section.title()}`"
                yield Finding(
                    WARNING, f"no-{section}", f"it has no section `{section.title()}`", hint, parsed.body_line
                )


def _limits(parsed: Parsed, tool: Tool, size_bytes: int) -> Iterator[Finding]:
    if tool.most_bytes is not None and size_bytes > tool.most_bytes:
        text = f"the file has {size_bytes:,} bytes, and {tool.title} reads at most {tool.most_bytes:,}"
        yield Finding(ERROR, "too-large", text, "make it shorter")
    told = len(parsed.body.encode("utf-8", "replace"))
    if tool.most_body_bytes is not None and told > tool.most_body_bytes:
        text = f"{tool.body_key} has {told:,} bytes, and {tool.title} takes at most {tool.most_body_bytes:,}"
        yield Finding(ERROR, "too-large", text, "make it shorter", parsed.body_line)
