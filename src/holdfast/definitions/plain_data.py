"""TOML and JSON as plain values with line numbers, as far as those can be told: the parsers of the standard library do not say them."""

from __future__ import annotations

import json as stdlib_json
import re
import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from holdfast.definitions.findings import ERROR, WARNING, Finding
from holdfast.definitions.plain_yaml import SURROGATE, Field, Read
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_DEEP = 32
_MOST_TOLD = 200
_NUMBERS = 2**63  # a number is less, as TOML has it
_HALF, _NUMBER = "surrogate", "number"
_MOST_DOTS = 100  # of a TOML key; reading one takes the square of them
# A text or a comment; it takes in what never ends, so that no text is gone through twice.
TOML_TEXT: Final = re.compile(
    r'"{3}(?:[^"\\]|\\[\s\S]|"(?!""))*(?:"{3,5})?|\'{3}(?:[^\']|\'(?!\'\'))*(?:\'{3,5})?'
    r'|"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?|#[^\n]*'
)
_TOML_KEY = re.compile(r"^[ \t]*[\"']?([\w-]+)[\"']?[ \t]*=", re.MULTILINE)
_TOML_LINE = re.compile(r"at line (\d+)")
_JSON_KEY = re.compile(r'"([^"\\]{0,200})"[ \t\n]{0,20}:')


def toml(text: str) -> Read:
    """Read a TOML document."""
    for number, keys in enumerate(TOML_TEXT.sub(_line_ends, text).split("\n"), 1):
        if keys.count(".") > _MOST_DOTS:
            return _refused("too-large", "a key has too many parts to be read", number)
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        place = _TOML_LINE.search(str(exc))
        line = int(place[1]) if place else text.count("\n") + 1
        why = str(exc).partition(" (at ")[0]
        return _refused("toml", f"this is no TOML: {why}", line)
    except (RecursionError, ValueError) as exc:
        return _refused("toml", f"this TOML cannot be read: {exc}")
    lines = _lines(text, _TOML_KEY)
    return fields_of(((key, value, lines.get(key)) for key, value in told.items()), ERROR)


def _line_ends(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def json(text: str) -> Read:
    """Read a JSON object."""
    twice: set[str] = set()

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        out = dict(pairs)
        if len(out) < len(pairs):
            twice.update(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return out

    try:
        told = stdlib_json.loads(text, object_pairs_hook=members)
    except stdlib_json.JSONDecodeError as exc:
        return _refused("json", f"this is no JSON: {exc.msg}", exc.lineno)
    except (RecursionError, ValueError) as exc:
        return _refused("json", f"this JSON cannot be read: {exc}")
    if not isinstance(told, dict):
        return _refused("no-mapping", "this is no JSON object", 1)
    lines = _lines(text, _JSON_KEY)
    hint = "keep one of them"
    read = fields_of((key, value, lines.get(key)) for key, value in told.items())
    read.findings.extend(
        Finding(
            WARNING, "duplicate-key", f"`{visible(key)}` stands here more than once", hint, lines.get(key)
        )
        for key in sorted(twice)[:_MOST_TOLD]
    )
    return read


def _refused(code: str, why: str, line: int | None = None) -> Read:
    return Read(None, [Finding(ERROR, code, why, "", line)])


def _lines(text: str, key: re.Pattern[str]) -> dict[str, int]:
    """The line where each key stands first, as far as can be told without the parser's help."""
    out: dict[str, int] = {}
    line, at = 1, 0
    for found in key.finditer(text):
        line += text.count("\n", at, found.start(1))
        at = found.start(1)
        out.setdefault(found[1], line)
    return out


def fields_of(told: Iterable[tuple[str, Any, int | None]], number: str = WARNING) -> Read:
    """What a parser says, as YAML has it: times become text, and what is nested too deeply to be meant becomes nothing.

    Args:
        told: key, value and line.
        number: how bad a number is that 64 bits cannot hold.
    """
    fields: dict[str, Field] = {}
    found: list[Finding] = []
    for key, value, line in told:
        wrong: set[str] = set()
        name = _text(key, wrong)
        fields[name] = Field(_plain(value, wrong, 0), line)
        if _HALF in wrong:
            hint = "write the whole character"
            found.append(Finding(ERROR, _HALF, f"`{name}` holds half a character (a surrogate)", hint, line))
        if _NUMBER in wrong:
            hint = "write it as text"
            found.append(
                Finding(number, _NUMBER, f"`{name}` holds a number of more than 64 bits", hint, line)
            )
    return Read(fields, found[:_MOST_TOLD])


def _plain(value: Any, wrong: set[str], deep: int) -> Any:  # noqa: ANN401 - what TOML, JSON and Python have
    if deep > _MOST_DEEP:
        return None
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, wrong, deep + 1) for item in value]
    if isinstance(value, dict):
        return {str(_plain(key, wrong, deep)): _plain(item, wrong, deep + 1) for key, item in value.items()}
    if isinstance(value, int) and not -_NUMBERS <= value < _NUMBERS:
        wrong.add(_NUMBER)
        return None
    return value if isinstance(value, bool | int | float) or value is None else _text(str(value), wrong)


def _text(text: str, wrong: set[str]) -> str:
    """A text with an escape in place of what UTF-8 cannot hold."""
    if SURROGATE.search(text) is None:
        return text
    wrong.add(_HALF)
    return text.encode("utf-8", "backslashreplace").decode()
