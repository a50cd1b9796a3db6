"""YAML as plain values with line numbers. Nothing is ever made of what the text names, and no text can make this slow or deep.

PyYAML's parser gives events, its composer makes nodes of them, and the nodes are read here: tags are told and not followed, aliases are followed as
far as the limits go. Words are read as YAML 1.2 does, as the tools are written for it: `on` and `2026-01-01` are text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver

from holdfast.definitions.findings import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CHARS = 64 * 1024
_MOST_EVENTS = 20_000
_MOST_DEEP = 32
_MOST_VALUES = 10_000  # with those that aliases repeat
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {
    _TAG + word
    for word in ("str", "null", "bool", "int", "float", "timestamp", "merge", "value", "seq", "map")
}
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}")
_FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
SURROGATE: Final = re.compile("[\ud800-\udfff]")  # half a character, which only an escape can write
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Field(NamedTuple):
    """A value, and the line where it stands."""

    value: Any
    line: int | None


class _TooMuch(Exception):
    """A limit was passed: what, and in which line."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


class Read(NamedTuple):
    """What a text says; `fields` None: it is no YAML, or no mapping."""

    fields: dict[str, Field] | None
    findings: list[Finding]


def read(text: str, first_line: int = 1) -> Read:
    """Read a text that must be one mapping.

    Args:
        text: without the lines around it.
        first_line: where it begins in its file.
    """
    if len(text) > MOST_CHARS:
        much = f"this YAML has {len(text):,} characters, and at most {MOST_CHARS:,} are read"
        return Read(None, [Finding(ERROR, "too-large", much, "keep only metadata here", first_line)])
    try:
        node = _Nodes(list(_events(text))).node()
        return _Values(first_line).fields(node)
    except _TooMuch as exc:
        return Read(
            None,
            [Finding(ERROR, "too-large", str(exc), "write it plainly, with less", first_line + exc.line)],
        )
    except yaml.YAMLError as exc:
        line, why = _place(exc, text)
        hint = "put a value that holds `: ` or ` #` between quotes, and indent with spaces"
        return Read(None, [Finding(ERROR, "yaml", f"this is no YAML: {why}", hint, first_line + line)])


def _place(exc: yaml.YAMLError, text: str) -> tuple[int, str]:
    """In which line something stands that is no YAML, counted from 0, and what is wrong with it."""
    if isinstance(exc, yaml.reader.ReaderError):
        before = text.encode("utf-8", "replace")[: exc.position]
        return before.count(b"\n"), "it holds a control character"
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    why = str(getattr(exc, "problem", None) or exc).splitlines()[0]
    return (mark.line if mark else 0), why


def _events(text: str) -> Iterator[Any]:
    """What the parser says of one document, as far as the limits go."""
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    deep = 0
    for count, event in enumerate(events, 1):
        mark: Any = event.start_mark
        line: int = mark.line
        if count > _MOST_EVENTS:
            raise _TooMuch(f"this YAML has more than {_MOST_EVENTS:,} parts", line)
        if isinstance(event, yaml.events.CollectionStartEvent):
            deep += 1
        elif isinstance(event, yaml.events.CollectionEndEvent):
            deep -= 1
        if deep > _MOST_DEEP:
            raise _TooMuch(f"this YAML is nested more than {_MOST_DEEP} deep", line)
        if isinstance(event, yaml.ScalarEvent) and SURROGATE.search(event.value):  # libyaml refuses it too
            why = "found invalid Unicode character escape code"
            raise yaml.scanner.ScannerError(None, None, why, mark)
        yield event


class _Nodes(Composer, Resolver):
    """Makes nodes of events that were looked at before."""

    def __init__(self, events: list[Any]) -> None:
        Composer.__init__(self)
        Resolver.__init__(self)
        self._events, self._at = events, 0

    def node(self) -> Any:  # noqa: ANN401 - PyYAML's nodes
        """The root of the only document; None: there is none."""
        return self.get_single_node()

    def check_event(self, *choices: type) -> bool:
        return self._at < len(self._events) and (not choices or isinstance(self._events[self._at], choices))

    def peek_event(self) -> Any:  # noqa: ANN401
        return self._events[self._at]

    def get_event(self) -> Any:  # noqa: ANN401
        self._at += 1
        return self._events[self._at - 1]


class _Values:
    """Reads nodes, at most so many."""

    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self._left = _MOST_VALUES
        self._found: list[Finding] = []

    def fields(self, node: Any) -> Read:  # noqa: ANN401
        if node is None:
            return Read({}, [])
        if not isinstance(node, yaml.MappingNode):
            found = Finding(ERROR, "no-mapping", "this is no list of `key: value`", "", self._line(node))
            return Read(None, [found])
        out: dict[str, Field] = {}
        for key, value, line in self._pairs(node, 0):
            out[key] = Field(self._value(value, 1), line)
        return Read(out, self._found)

    def _line(self, node: Any) -> int:  # noqa: ANN401
        return self._first_line + int(node.start_mark.line)

    def _pairs(self, node: Any, deep: int) -> Iterator[tuple[str, Any, int]]:  # noqa: ANN401
        """The key, the node of the value, and the line of each pair."""
        seen: dict[str, int] = {}
        for key_node, value in node.value:
            key, line = self._key(key_node, deep), self._line(key_node)
            if key in seen:
                text = f"`{key}` stood in line {seen[key]} before; the last one is shown, and tools differ"
                self._found.append(Finding(WARNING, "duplicate-key", text, "keep one of them", line))
            seen[key] = line
            yield key, value, line

    def _key(self, node: Any, deep: int) -> str:  # noqa: ANN401
        self._value(node, deep + 1)
        return node.value if isinstance(node, yaml.ScalarNode) else "?"

    def _value(self, node: Any, deep: int) -> Any:  # noqa: ANN401
        self._left -= 1
        if self._left < 0 or deep > 2 * _MOST_DEEP:
            much = f"with what its aliases repeat, this YAML has more than {_MOST_VALUES:,} values"
            raise _TooMuch(much, node.start_mark.line)
        if node.tag not in _PLAIN_TAGS:
            text = f"the tag {node.tag} is not followed"
            self._found.append(Finding(WARNING, "tag", text, "write a plain value", self._line(node)))
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, deep + 1) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return {key: self._value(value, deep + 1) for key, value, _ in self._pairs(node, deep)}
        return _scalar(node)


def _scalar(node: Any) -> Any:  # noqa: ANN401
    text: str = node.value
    if node.style in {"'", '"', "|", ">"} or node.tag == f"{_TAG}str":
        return text
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _NUMBER.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text
