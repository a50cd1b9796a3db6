"""From the layouts and spellings of other systems to the fields of our payloads.

The classic nested layout puts fields into sections (`{"tool": {"name": …}, "execution": {…}}`), the classic
flat one beside each other under longer names; both end as the fields of one payload. `normalise` applies the
tables of `spellings` in order, then the few shapes that no table can say.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from holdfast.events.spellings import IMPLIED, INVOCATIONS, RENAMES, RESULT_WORDS, SECTIONS, WORDS
from holdfast.spans import STATUS_WORDS, TERMINAL

Fields = dict[str, Any]


class BadWord(ValueError):
    """A field holds a word that is none of those its kind accepts."""

    def __init__(self, field: str, value: object, accepted: Iterable[str]) -> None:
        super().__init__(f"{field}: expected one of {', '.join(dict.fromkeys(accepted))}, got {value!r:.80}")


def normalise(
    kind: str, spelling: str, fields: Mapping[str, Any], known: Mapping[str, frozenset[str]]
) -> tuple[str, Fields]:
    """Turn fields as they came into fields of a payload; raises BadWord.

    `kind` is canonical, `spelling` the kind as it came, `known` the fields of each kind's payload. Returns the
    kind too: a classic agent invocation is a start or an end depending on its status.
    """
    out = _unnest(fields, SECTIONS.get(kind, {}))
    for name, value in IMPLIED.get(spelling, {}).items():
        if out.get(name) is None:
            out[name] = value
    if kind == "agent.started" and spelling in INVOCATIONS:
        kind = _start_or_end(out)
    _rename(out, RENAMES.get(kind, {}))
    if kind in _SHAPES:
        _SHAPES[kind](out)
    _replace_words(kind, out, known[kind])
    return kind, {name: _whole_ms(name, value) for name, value in out.items()}


def _unnest(fields: Mapping[str, Any], sections: Mapping[str, Mapping[str, str]]) -> Fields:
    """Lift the named keys out of their sections; what a section holds beyond them goes to `extra`."""
    out = dict(fields)
    left: Fields = {}
    for section, keys in sections.items():
        inner = fields.get(section)
        if not isinstance(inner, Mapping) or not inner.keys() & keys.keys():
            continue  # the flat layout has a plain value under this name, or there is nothing
        del out[section]
        rest = {key: value for key, value in inner.items() if key not in keys or keys[key] in out}
        out |= {keys[key]: value for key, value in inner.items() if key not in rest}
        if rest:
            left[section] = rest
    if left:
        given = out.get("extra")
        out["extra"] = {**given, **left} if isinstance(given, Mapping) else left
    return out


def _rename(fields: Fields, names: Mapping[str, str]) -> None:
    """Move values to our names; where ours is taken, the other stays, to be kept as extra."""
    for theirs, ours in names.items():
        if theirs in fields and fields.get(ours) is None:
            fields[ours] = fields.pop(theirs)


def _replace_words(kind: str, fields: Fields, known: frozenset[str]) -> None:
    for field, words in (WORDS[""] | WORDS.get(kind, {})).items():
        value = fields.get(field)
        if value is None or field not in known:
            continue
        word = _word(value)
        if word not in words:
            raise BadWord(field, value, words.values())
        fields[field] = words[word]


def _word(value: object) -> str:
    """A word as the tables write it: "In Progress" is "in_progress", True is "true"."""
    return str(value).strip().lower().replace(" ", "_").replace("-", "_")


def _whole_ms(name: str, value: object) -> object:
    """Durations are whole milliseconds; clocks often give fractions."""
    if name.endswith("_ms") and isinstance(value, float) and abs(value) < 2**53:
        return round(value)
    return value


def _text(value: object) -> object:
    """Structured arguments as JSON text; anything else as it is."""
    if not isinstance(value, dict | list):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, TypeError, UnicodeEncodeError):
        return json.dumps(
            value, default=str
        )  # integers beyond 64 bits, objects of a program, lone surrogates


# ── One kind's own shape ──────────────────────────────────────────────────────────────────────


def _start_or_end(fields: Fields) -> str:
    """An invocation with an outcome is an end; why it was invoked is then not why it ended."""
    status = STATUS_WORDS.get(_word(fields.get("status") or "running"))
    if status in TERMINAL:
        if "reason" in fields:
            fields["invocation_reason"] = fields.pop("reason")
        return "agent.ended"
    if status == "running":
        fields.pop("status", None)
    return "agent.started"


def _shape_agent(fields: Fields) -> None:
    """The answer becomes text; the tokens of the context are also the event's."""
    if "result" in fields:
        fields["result"] = _text(fields["result"])
    context = fields.get("context")
    if isinstance(context, Mapping) and "tokens_consumed" in context:
        fields.setdefault("tokens_consumed", context["tokens_consumed"])


def _shape_tool(fields: Fields) -> None:
    """`success` becomes a status; arguments and results become text."""
    if isinstance(fields.get("success"), bool) and fields.get("status") is None:
        fields["status"] = "completed" if fields.pop("success") else "failed"
    for name in ("input", "output"):
        if name in fields:
            fields[name] = _text(fields[name])


def _shape_file(fields: Fields) -> None:
    """A write over nothing, said to be over nothing, is a creation."""
    if fields.get("operation") == "write" and not fields.get("hash_before", ...):
        fields["operation"] = "create"


def _shape_decision(fields: Fields) -> None:
    """Options may be plain words; the decision is as sure as its selected option."""
    options = fields.get("options")
    if not isinstance(options, list):
        return
    fields["options"] = [{"choice": option} if isinstance(option, str) else option for option in options]
    if isinstance(fields.get("alternatives"), str):
        fields["alternatives"] = [fields["alternatives"]]
    for option in fields["options"]:
        if fields.get("confidence") is None and _is_selected(option, fields.get("selected")):
            fields["confidence"] = option.get("confidence")


def _is_selected(option: object, selected: object) -> bool:
    return isinstance(option, Mapping) and selected is not None and option.get("choice") == selected


def _shape_error(fields: Fields) -> None:
    if "attempted_fix" in fields:
        fields["attempted_fix"] = _text(fields["attempted_fix"])


def _shape_validation(fields: Fields) -> None:
    """Checks come as a list with `pass`, or as an object from name to result."""
    checks = fields.get("checks")
    if isinstance(checks, Mapping):
        fields["checks"] = [{"name": name, "result": _result(result)} for name, result in checks.items()]
    elif isinstance(checks, list):
        fields["checks"] = [_check(check) for check in checks]


def _check(check: object) -> object:
    if not isinstance(check, Mapping):
        return check
    out = dict(check)
    if "pass" in out and "result" not in out:
        out["result"] = out.pop("pass")
    if "result" in out:
        out["result"] = _result(out["result"])
    return out


def _result(value: object) -> str:
    word = _word(value)
    if word not in RESULT_WORDS:
        raise BadWord("checks", value, RESULT_WORDS.values())
    return RESULT_WORDS[word]


_SHAPES: dict[str, Callable[[Fields], None]] = {
    "agent.started": _shape_agent,
    "agent.ended": _shape_agent,
    "tool.started": _shape_tool,
    "tool.ended": _shape_tool,
    "tool.used": _shape_tool,
    "code.executed": _shape_tool,
    "file.changed": _shape_file,
    "decision.made": _shape_decision,
    "error.raised": _shape_error,
    "validation.completed": _shape_validation,
}
