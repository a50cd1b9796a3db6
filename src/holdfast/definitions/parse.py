"""The bytes of a definition → what it says of itself, and what is wrong with them. Nothing raises, and nothing in a file is run.

.md            front matter between two lines of `---` (YAML), then what the agent is told
.toml          keys; what the agent is told is one of them
.yaml .yml     one mapping
.json          one object
.py            what it assigns, and its docstring (`python_file.py`)

What cannot be read as its format is read as far as single lines of `key: value` go, and said to be so (`salvaged`).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.definitions import plain_data, plain_yaml, python_file
from holdfast.definitions.findings import ERROR, NOTE, WARNING, Finding
from holdfast.definitions.plain_yaml import Field, Read

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES: Final = 1024 * 1024  # of a file that is read
_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(r"([A-Za-z][\w-]*)[ \t]*:(?![^ \t])(.*)")
_ITEM = re.compile(r"[ \t]*[-*+][ \t]+(.+)")
_HEADING = re.compile(r"#{1,6}[ \t](.*)")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_PART = re.compile(r"[^,()]+|[,()]")
_MOST_ITEMS = 200
_MOST_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a definition says of itself. None, or (): it does not say.

    Attributes:
        fields: every key with its value and line.
        name: of the agent, if it is text.
        aliases: other names that it answers to.
        kind: what sort of agent it is (`type`, `agent_type`, `kind`).
        tools: None: not said, so all that there are.
        body: what the agent is told.
        body_line: where that begins; None: there is none.
        headings: of the body, with their lines.
        open_fence: the line of a block of code that never ends.
        salvaged: its keys were read line by line, because as a whole they could not be.
        is_markdown: whether what the agent is told is Markdown text of the file.
        findings: what is wrong with its form.
    """

    fields: dict[str, Field]
    findings: tuple[Finding, ...]
    name: str | None = None
    aliases: tuple[str, ...] = ()
    kind: str | None = None
    description: str | None = None
    tools: tuple[str, ...] | None = None
    model: str | None = None
    capabilities: tuple[str, ...] = ()
    specialisations: tuple[str, ...] = ()
    body: str = ""
    body_line: int | None = None
    headings: tuple[tuple[int, str], ...] = ()
    open_fence: int | None = None
    salvaged: bool = False
    is_markdown: bool = False


def parse(content: bytes, suffix: str, body_key: str | None = None) -> Parsed:
    """Read a definition.

    Args:
        content: all of the file.
        suffix: of its name (".md"), which says what it is.
        body_key: the key that holds what the agent is told, where its tool has one.
    """
    text, found = _text(content)
    keys, body, body_line = _READERS[suffix.lower()](text)
    found += keys.findings
    fields, salvaged = keys.fields, False
    if fields is None:
        fields, salvaged = _salvaged(text, suffix), True
    if len(fields) > _MOST_KEYS:
        many = f"it has {len(fields):,} keys, of which the first {_MOST_KEYS:,} are looked at"
        found.append(Finding(WARNING, "too-large", many))
        fields = dict(itertools.islice(fields.items(), _MOST_KEYS))
    if body_line is None and (told := fields.get(body_key or "")):
        body, body_line = (told.value if isinstance(told.value, str) else ""), told.line
    headings, open_fence = _outline(body, body_line or 1)
    return Parsed(
        fields,
        tuple(found),
        name=_said(fields, "name", "agent_name"),
        aliases=_list(fields, "aliases", "alias") or (),
        kind=_said(fields, "type", "agent_type", "kind"),
        description=_said(fields, "description"),
        tools=_list(fields, "tools"),
        model=_said(fields, "model"),
        capabilities=_list(fields, "capabilities") or _below(body, "capabilities"),
        specialisations=_list(fields, "specializations", "specialisations")
        or _below(body, "specializations"),
        body=body,
        body_line=body_line,
        headings=headings,
        open_fence=open_fence,
        salvaged=salvaged,
        is_markdown=suffix.lower() == ".md",
    )


def _text(content: bytes) -> tuple[str, list[Finding]]:
    found = []
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
        found.append(
            Finding(NOTE, "bom", "the file begins with a byte order mark", "save it as UTF-8 without one", 1)
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        text = content.decode("utf-8", "replace")
        found.append(Finding(ERROR, "encoding", "this is no UTF-8", "save the file as UTF-8", line))
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        found.append(Finding(ERROR, "nul", "the file holds a NUL character", "remove it", line))
    if "\r" in text:
        line = text[: text.index("\r")].count("\n") + 1
        found.append(Finding(NOTE, "line-ends", "lines end as on Windows (CRLF)", "", line))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text, found


# ── formats ──


class _Format(NamedTuple):
    """What a format makes of a text: its keys, what the agent is told, and where that begins."""

    keys: Read
    body: str = ""
    body_line: int | None = None


def _markdown(text: str) -> _Format:
    first, _, rest = text.partition("\n")
    if first.rstrip() != "---":
        none = "there is no front matter (lines between `---` and `---` at the top)"
        return _Format(Read({}, [Finding(WARNING, "no-front-matter", none, "", 1)]), text, 1)
    lines = rest.split("\n")
    end = next((at for at, line in enumerate(lines) if line.rstrip() == "---"), None)
    if end is None:
        hint = "put a line `---` behind the last key"
        never = Finding(ERROR, "front-matter-end", "the front matter never ends", hint, 1)
        return _Format(Read(None, [never]))
    return _Format(plain_yaml.read("\n".join(lines[:end]), 2), "\n".join(lines[end + 1 :]), end + 3)


_READERS: dict[str, Callable[[str], _Format]] = {
    ".md": _markdown,
    ".toml": lambda text: _Format(plain_data.toml(text)),
    ".yaml": lambda text: _Format(plain_yaml.read(text)),
    ".yml": lambda text: _Format(plain_yaml.read(text)),
    ".json": lambda text: _Format(plain_data.json(text)),
    ".py": lambda text: _Format(python_file.read(text), text, 1),
}
SUFFIXES: Final = tuple(_READERS)


def _salvaged(text: str, suffix: str) -> dict[str, Field]:
    """What single lines say, where the whole could not be read: text only, the first of each key."""
    out: dict[str, Field] = {}
    if suffix.lower() not in {".md", ".yaml", ".yml"}:
        return out
    for number, line in enumerate(text.split("\n", _MOST_ITEMS)[:_MOST_ITEMS], 1):
        if number > 1 and line.rstrip() == "---":
            break
        if (found := _LINE.fullmatch(line)) and found[1] not in out:
            out[found[1]] = Field(found[2].strip().strip("\"'"), number)
    return out


# ── what the keys say ──


def _said(fields: dict[str, Field], *names: str) -> str | None:
    for name in names:
        if (found := fields.get(name)) and isinstance(found.value, str) and found.value.strip():
            return found.value.strip()
    return None


def _list(fields: dict[str, Field], *names: str) -> tuple[str, ...] | None:
    """A list, or text with commas; None: it is not said."""
    for name in names:
        if (found := fields.get(name)) is None:
            continue
        if isinstance(found.value, str):
            items = parted(found.value)
        elif isinstance(found.value, list):
            items = [str(item).strip() for item in found.value if isinstance(item, str | int | float)]
        else:
            continue
        return tuple(item for item in items if item)[:_MOST_ITEMS]
    return None


def parted(text: str) -> list[str]:
    """What stands between commas that are in no brackets: `Read, Bash(a:*, b:*)` are two."""
    parts, deep = [""], 0
    for piece in _PART.findall(text[: plain_yaml.MOST_CHARS]):
        deep = max(0, deep + (piece == "(") - (piece == ")"))
        if piece == "," and not deep:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


def _below(body: str, heading: str) -> tuple[str, ...]:
    """The items of the list that stands below a heading."""
    if heading not in body.lower():
        return ()
    out: list[str] = []
    inside = False
    for line in body.split("\n"):
        if found := _HEADING.fullmatch(line):
            inside = found[1].strip(" \t#").lower() in {heading, heading.replace("z", "s")}
        elif inside and (item := _ITEM.fullmatch(line)):
            out.append(item[1].strip())
    return tuple(out[:_MOST_ITEMS])


def _outline(body: str, first_line: int) -> tuple[tuple[tuple[int, str], ...], int | None]:
    """The headings of a Markdown text, and the line of a fence that is never closed."""
    if "#" not in body and "```" not in body and "~~~" not in body:
        return (), None
    headings: list[tuple[int, str]] = []
    fence, opened = "", None
    for number, line in enumerate(body.split("\n"), first_line):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence, opened = mark[1], number
        elif mark and mark[1].startswith(fence) and not line.strip(" `~"):
            fence, opened = "", None
        elif not fence and line.startswith("#") and _HEADING.fullmatch(line) and len(headings) < _MOST_ITEMS:
            headings.append((number, line.strip()))
    return tuple(headings), opened
