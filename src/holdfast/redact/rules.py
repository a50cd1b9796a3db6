"""The rules: what `rules.toml` beside this file says, and what a home's `redact.toml` adds in the same form."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import RuleError
from holdfast.redact import bounds
from holdfast.redact.gate import Gate
from holdfast.redact.named import Names
from holdfast.redact.shapes import (
    Address,
    Cookies,
    Header,
    KeyBlock,
    Named,
    Pattern,
    SignedToken,
    Token,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.redact.shapes import Shape

FILE_NAME = "redact.toml"
_OWN = frozenset(("token", "pattern", "allow", "emails"))
_EMAIL_GATE = r"[A-Za-z0-9_%+-]@[A-Za-z0-9-]+\.[A-Za-z]"
_EMAIL = r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
_KIND = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")


@dataclass(frozen=True)
class Rules:
    """All rules at work: shapes in their order (the first to find a place names its kind), names, what is let through."""

    shapes: tuple[Shape, ...]
    names: Names
    allowed: frozenset[bytes] = frozenset()
    allowed_patterns: tuple[re.Pattern[bytes], ...] = ()
    skipped_members: frozenset[bytes] = field(default=frozenset())

    def lets_through(self, value: bytes) -> bool:
        """Whether somebody said that this is no secret."""
        return value in self.allowed or any(pattern.fullmatch(value) for pattern in self.allowed_patterns)


def load(own: Path | None = None) -> Rules:
    """The rules at work; `own` is the user's file, which may be absent.

    Raises:
        RuleError: the user's file cannot be read, or a rule of it cannot be used.
    """
    bundled = _bundled()
    added = {} if own is None else _read_own(own)
    if not added:
        return _made(bundled, {}, "")
    return _made(bundled, added, str(own))


@cache
def _bundled() -> dict[str, Any]:
    text = (resources.files("holdfast.redact") / "rules.toml").read_text("utf-8")
    return tomllib.loads(text)


def _read_own(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise RuleError(path, str(exc)) from exc


def _made(bundled: dict[str, Any], own: dict[str, Any], place: str) -> Rules:
    names = bundled["names"]
    table = Names(
        names["strong"],
        names["weak"],
        names["short"],
        names["never"],
        names["never_cased"],
        names["seen"],
        names["hint"],
    )
    mine = [*_own_shapes(own, place)]
    shapes: list[Shape] = [
        *mine,
        KeyBlock(),
        *(_token(entry) for entry in bundled.get("token", ())),
        *(_pattern(entry) for entry in bundled.get("pattern", ())),
        SignedToken(),
        Address(),
        Header(),
        Cookies(),
        Named(table),
    ]
    if own.get("emails", False):
        shapes.append(Pattern("email", _EMAIL_GATE, _EMAIL, distinct=3))
    allowed, patterns = _allowed(own, place)
    return Rules(
        tuple(shapes),
        table,
        frozenset(value.encode() for value in [*bundled["allow"]["values"], *allowed]),
        tuple(patterns),
        skipped_members=frozenset(name.encode() for name in bundled["skipped_members"]["names"]),
    )


def _token(entry: dict[str, Any]) -> Token:
    return Token(
        entry["kind"],
        entry["prefixes"],
        entry["chars"],
        entry["least"],
        entry["most"],
        entry.get("tail", ""),
        digits=entry.get("digits", False),
        edge=entry.get("edge", False),
    )


def _pattern(entry: dict[str, Any]) -> Pattern:
    return Pattern(entry["kind"], entry["gate"], entry["match"], entry.get("near", ()))


def _own_shapes(own: dict[str, Any], place: str) -> list[Shape]:
    if unknown := sorted(own.keys() - _OWN):
        raise RuleError(place, f"there is no {unknown[0]!r}; there are {', '.join(sorted(_OWN))}")
    if not isinstance(own.get("emails", False), bool):
        raise RuleError(place, "`emails` is true or false")
    found: list[Shape] = []
    for table, make in (("token", _token), ("pattern", _own_pattern)):
        entries = own.get(table, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise RuleError(place, f"{table} is not a list of tables; write [[{table}]]")
        found += [_tried(make, entry, _nth(place, table, number)) for number, entry in enumerate(entries, 1)]
    return found


def _own_pattern(entry: dict[str, Any]) -> Pattern:
    """Without a gate of its own, it gets one that is made from it."""
    bounds.check(entry["match"])
    return _pattern({"gate": bounds.gate_of(entry["match"]), **entry} if "gate" not in entry else entry)


def _nth(path: str, table: str, number: int) -> str:
    """Where a rule of the user's file stands, for people."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    heads = [at for at, line in enumerate(lines, 1) if re.match(rf"\s*\[\[\s*{table}\s*\]\]", line)]
    at = f"line {heads[number - 1]}: " if number <= len(heads) else ""
    return f"{path}: {at}{table} {number}"


def _tried(make: Callable[[dict[str, Any]], Pattern], entry: dict[str, Any], place: str) -> Shape:
    if not _KIND.match(str(entry.get("kind", ""))):
        raise RuleError(place, "`kind` is missing, or is more than lower-case letters, digits and hyphens")
    try:
        made = make(entry)
        made.match.groups  # noqa: B018 - compiles it
        _try_gate(made)
    except KeyError as exc:
        raise RuleError(place, f"`{exc.args[0]}` is missing") from exc
    except (re.error, AttributeError, TypeError, ValueError, OverflowError) as exc:
        raise RuleError(place, str(exc)) from exc
    return made


def _try_gate(shape: Shape) -> None:
    """Refuse what the gate cannot look for: one rule that does not fit would leave it without all others."""
    try:
        Gate(shape.gates)
    except Exception as exc:  # its error classes differ between versions
        raise bounds.Unfit(
            f"the gate cannot look for {shape.gates[0].decode(errors='replace')!r}: {exc}"
        ) from exc


def _allowed(own: dict[str, Any], place: str) -> tuple[list[str], list[re.Pattern[bytes]]]:
    told = own.get("allow", {})
    if not isinstance(told, dict) or (told.keys() - {"values", "patterns"}):
        raise RuleError(place, "[allow] holds `values` and `patterns`")
    lists = told.get("values", []), told.get("patterns", [])
    if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in lists):
        raise RuleError(f"{place}: allow", "`values` and `patterns` are lists of texts")
    found = []
    for number, pattern in enumerate(lists[1], 1):
        try:
            bounds.check(pattern)
        except bounds.Unfit as exc:
            raise RuleError(f"{place}: allow: pattern {number}", str(exc)) from exc
        found.append(re.compile(pattern.encode()))
    return lists[0], found
