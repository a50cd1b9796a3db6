"""From a kind and its fields, as somebody wrote them, to a checked payload."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from holdfast.errors import InvalidEvent
from holdfast.events.base import Data, Unknown
from holdfast.events.classic import BadWord, normalise
from holdfast.events.kinds import KINDS, canonical, type_name
from holdfast.events.work import DecisionMade

_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_FIELDS = {name: frozenset(kind.payload.__struct_fields__) for name, kind in KINDS.items()}


def parse(kind: str, fields: Mapping[str, Any]) -> tuple[str, Data]:
    """Read an event in any known spelling and layout; returns the canonical kind and its payload.

    Unknown fields are kept in `extra`; an unknown kind becomes Unknown. Raises InvalidEvent, which names the
    field, its value and what is expected, if a known kind does not fit.
    """
    name = canonical(kind)
    if name not in KINDS:
        return kind, Unknown(fields=dict(fields))
    try:
        name, shaped = normalise(name, kind, fields, _FIELDS)
    except BadWord as exc:
        raise InvalidEvent(kind, str(exc)) from exc
    shaped = _sort_extra(shaped, _FIELDS[name])
    payload = KINDS[name].payload
    try:
        data = msgspec.convert(shaped, payload)
    except msgspec.ValidationError as exc:
        raise InvalidEvent(kind, _why(str(exc), shaped, payload)) from exc
    if isinstance(data, DecisionMade):
        _check_selected(kind, data)
    return name, data


def _sort_extra(fields: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Keep what the payload knows, leave out nulls, for which its defaults stand, and move the rest to
    `extra`.
    """
    given = fields.get("extra")
    extra = dict(given) if isinstance(given, Mapping) else {}
    out: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in known:
            extra[name] = value
        elif name != "extra" and value is not None:
            out[name] = value
        elif name == "extra" and not isinstance(given, Mapping):
            extra["extra"] = given
    return out | {"extra": extra}


def _check_selected(kind: str, data: DecisionMade) -> None:
    choices = [option.choice for option in data.options]
    if choices and data.selected is not None and data.selected not in choices:
        raise InvalidEvent(
            kind, f"selected: expected one of the options {choices!r:.200}, got {data.selected!r:.80}"
        )


def _why(message: str, fields: Mapping[str, Any], payload: type[Data]) -> str:
    """Say "field: expected …, got …" for a message of msgspec's."""
    found = _AT.match(message)
    what, path = (found["what"], found["path"] or "") if found else (message, "")
    missing = _MISSING.match(what)
    if missing:
        name = ".".join(filter(None, (path, missing[1])))
        wanted = _expected(payload, missing[1]) if not path else ""
        return f"{name}: required but not given{wanted and f'; expected {wanted}'}"
    what = what.partition(", got")[0].replace("`", "")
    wanted = _expected(payload, path)
    bound = re.search(r"(>=|<=).*", what)
    expected = f"{wanted or what.removeprefix('Expected ')}{f' {bound[0]}' if bound and wanted else ''}"
    return f"{path}: expected {expected}, got {_value_at(fields, path)!r:.80}"


def _expected(payload: type[Data], name: str) -> str:
    """The type of a field in words, "" for a path that is no plain field."""
    for field in msgspec.structs.fields(payload):
        if field.name == name:
            return type_name(field.type)
    return ""


def _value_at(fields: Mapping[str, Any], path: str) -> object:
    """The value at a path such as `options[0].confidence`; where a step cannot be taken, the value
    before it.
    """
    value: Any = fields
    for key, index in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[key]
        except (KeyError, IndexError, TypeError):
            break
    return value
