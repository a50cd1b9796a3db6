"""Values of this process's own environment that look like secrets: taken out wherever they stand, letter for letter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from holdfast.redact.gate import Gate
from holdfast.redact.members import inside_strings, is_escaped, stands_alone
from holdfast.redact.named import Found
from holdfast.redact.plausible import Place, is_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.redact.rules import Rules

_LEAST_CHARS = 8
_LONG_BYTES = 16
_DRAWN = re.compile(rb"(?=.*[0-9])(?=.*[a-z])(?=.*[A-Z])", re.DOTALL)
_MOST_VALUES = 200


def secret_values(environment: Mapping[str, str], rules: Rules) -> dict[bytes, str]:
    """Value → kind of each variable whose name and value say that it is a secret."""
    found: dict[bytes, str] = {}
    for name, text in environment.items():
        told = rules.names.kind(name.encode("utf-8", "surrogateescape"))
        value = text.encode("utf-8", "surrogateescape")
        if told is None or len(value) < _LEAST_CHARS or len(found) >= _MOST_VALUES:
            continue
        if len(value) < _LONG_BYTES and (value.isalpha() or value.isdigit()):
            continue  # a word or a number stands in many places that have nothing to do with it
        if is_secret(value, Place.ARGUMENT, strong=told[1]) and not rules.lets_through(value):
            found[value] = told[0]
    return found


class Known:
    """Finds given values in bodies, as they stand and as JSON writes them, once or twice escaped."""

    def __init__(self, values: Mapping[bytes, str]) -> None:
        self._spellings = [
            (spelling, value, kind)
            for value, kind in values.items()
            for spelling in dict.fromkeys((value, _in_json(value), _in_json(_in_json(value))))
        ]
        gate = (
            Gate([re.escape(spelling) for spelling, _, _ in self._spellings], apart_bytes=1)
            if self._spellings
            else None
        )
        self._hits = gate.hits if gate is not None else None

    def find(self, body: bytes) -> list[Found]:
        """Where one of the values stands: in a string if the body is JSON; a short one by itself."""
        hits = self._hits(body) if self._hits is not None else None
        if not hits:
            return []
        found = []
        for number, end in hits:
            spelling, value, kind = self._spellings[number]
            start = end - len(spelling)
            if stands_alone(body, start, len(spelling)) or (
                (len(value) >= _LONG_BYTES or _DRAWN.match(value)) and not is_escaped(body, start)
            ):
                found.append(Found(start, end, kind, value))
        return inside_strings(body, found)


def _in_json(value: bytes) -> bytes:
    try:
        return msgspec.json.encode(value.decode())[1:-1]
    except UnicodeDecodeError:
        return value
