"""TOML and JSON as plain values with line numbers, as far as those can be told: the parsers of the standard library do not say them."""

from __future__ import annotations

import json as stdlib_json
import re
import tomllib
from collections import Counter
from typing import Any, Final

from holdfast.definitions.findings import ERROR, WARNING, Finding
from holdfast.definitions.plain_yaml import Field, Read

_MOST_DEEP = 32
_MOST_TOLD = 200
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
    return Read(_with_lines(told, _lines(text, _TOML_KEY)), [])


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
    found = [
        Finding(WARNING, "duplicate-key", f"`{key}` stands here more than once", hint, lines.get(key))
        for key in sorted(twice)[:_MOST_TOLD]
    ]
    return Read(_with_lines(told, lines), found)


def _refused(code: str, why: str, line: int | None = None) -> Read:
    return Read(None, [Finding(ERROR, code, why, "", line)])


def _with_lines(told: dict[str, Any], lines: dict[str, int]) -> dict[str, Field]:
    return {key: Field(_plain(value, 0), lines.get(key)) for key, value in told.items()}


def _lines(text: str, key: re.Pattern[str]) -> dict[str, int]:
    """The line where each key stands first, as far as can be told without the parser's help."""
    out: dict[str, int] = {}
    line, at = 1, 0
    for found in key.finditer(text):
        line += text.count("\n", at, found.start(1))
        at = found.start(1)
        out.setdefault(found[1], line)
    return out


def _plain(value: Any, deep: int) -> Any:  # noqa: ANN401 - what TOML and JSON have
    """A value as YAML has it: times become text, and what is nested too deeply to be meant becomes nothing."""
    if deep > _MOST_DEEP:
        return None
    if isinstance(value, list):
        return [_plain(item, deep + 1) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, deep + 1) for key, item in value.items()}
    return value if isinstance(value, str | bool | int | float) or value is None else str(value)
