"""What may be asked of a rule that somebody else wrote: that it ends soon on any text, and that the gate can know of it.

An expression is looked at as Python's own parser of them sees it. Every repeat must have a limit, and repeats within repeats may
not multiply to more than `_REPEATS_LIMIT`. The gate is a stretch that every match holds: at least three fixed characters,
written alike in the text and in the JSON that carries it.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

LONGEST_MATCH = 2_600  # bytes that `shapes.Pattern` reads from where a match may begin
_GATE_LIMIT = 380  # bytes from there to the end of the gate's match
_LEAST_FIXED = 3
_RUN_LIMIT = 12
_REPEATS_LIMIT = 20_000
_REPEATS = frozenset(("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"))
_parser: Any = importlib.import_module("re._parser")  # no stubs describe it
_FEW = 3
_DRAWS = 16
_LONG = 60
_NEARLY_ANY = 128  # so many of 256 bytes
_CATEGORIES = {
    "CATEGORY_DIGIT": frozenset(b"0123456789"),
    "CATEGORY_WORD": frozenset(b"_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
}
_WRITTEN = {
    "CATEGORY_DIGIT": rb"\d",
    "CATEGORY_NOT_DIGIT": rb"\D",
    "CATEGORY_SPACE": rb"\s",
    "CATEGORY_NOT_SPACE": rb"\S",
    "CATEGORY_WORD": rb"\w",
    "CATEGORY_NOT_WORD": rb"\W",
}
_LETTERS_AND_DIGITS = _CATEGORIES["CATEGORY_WORD"] - frozenset(b"_")
_AS_IT_IS = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 !#$%()*+,-.:;=?@[]^_`{|}~"
)


class Unfit(ValueError):
    """An expression that cannot be a rule; `str()` of it says why."""


def check(match: str) -> None:
    """Refuse an expression that could take long on some text.

    Raises:
        Unfit: it is no regular expression, or may repeat without end.
    """
    tree = _parsed(match)
    _check_repeats(tree, 1)
    least, most = tree.getwidth()
    if least == 0:
        raise Unfit("it matches nothing at all, which is everywhere")
    if most > LONGEST_MATCH:
        raise Unfit(
            f"it may match {most} bytes; {LONGEST_MATCH} is the most (write smaller limits into the repeats)"
        )


def gate_of(match: str) -> str:
    """An expression for the gate: one that is found wherever `match` is, in the text and in the JSON that carries it.

    Raises:
        Unfit: there is no stretch of three fixed characters in it.
    """
    tree = _parsed(match)
    best = _best(_flat(tree))
    if best is None or best.fixed < _LEAST_FIXED:
        raise Unfit(
            "every match must hold three fixed characters in a row (letters, digits, - or _), or nearly every text would be "
            "looked at closely"
        )
    text = best.text
    return f"(?i:{text})" if tree.state.flags & re.IGNORECASE or _ignores_case(tree) else text


def _parsed(match: str) -> Any:  # noqa: ANN401 - the parser's own tree
    try:
        return _parser.parse(match.encode())
    except (re.error, RecursionError, OverflowError) as exc:
        raise Unfit(f"it is no regular expression: {exc}") from exc


def _ignores_case(tree: Any) -> bool:  # noqa: ANN401
    """Whether case is of no account in any part of it."""
    return any(
        (name == "SUBPATTERN" and value[1] & re.IGNORECASE) or any(map(_ignores_case, _inside(name, value)))
        for name, value in _nodes(tree)
    )


def _nodes(tree: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    return [(str(op), value) for op, value in tree]


# ── repeats ──


def _check_repeats(tree: Any, above: int) -> None:  # noqa: ANN401
    """`above`: how often the surroundings may repeat this."""
    for name, value in _nodes(tree):
        if name in _REPEATS:
            _, most, inside = value
            if most >= _parser.MAXREPEAT:
                raise Unfit("`*`, `+` and `{n,}` repeat without a limit; write {1,200}, say")
            times = above * max(1, most)
            if times > _REPEATS_LIMIT:
                raise Unfit(f"repeats within repeats come to {times} times; {_REPEATS_LIMIT} is the most")
            if most > _FEW and not _is_told_apart(inside):
                raise Unfit(
                    "a repeat within a repeat could divide one text in too many ways; let a fixed character stand between, one "
                    "that the inner repeat does not match"
                )
            _check_repeats(inside, times)
        elif name in {"GROUPREF", "GROUPREF_EXISTS"}:
            raise Unfit("it refers back to what it matched before; the gate cannot do that")
        else:
            for inside in _inside(name, value):
                _check_repeats(inside, above)


def _is_told_apart(inside: Any) -> bool:  # noqa: ANN401
    """Whether there is one way only to cut a text into turns of a repeat: each turn has one length, or holds a separator."""
    least, most = inside.getwidth()
    if least == most:
        return True
    nodes = _flat(inside)
    repeated: set[int] = set()
    for name, value in nodes:
        if name in _REPEATS:
            matched = _bytes_of(value[2])
            if matched is None:
                return False
            repeated |= matched
        elif name == "BRANCH":
            return False
    return any(name == "LITERAL" and value not in repeated for name, value in nodes)


def _bytes_of(tree: Any) -> set[int] | None:  # noqa: ANN401
    """The bytes that a single character or class matches; None: it is more than that, or nearly all."""
    nodes = _flat(tree)
    if len(nodes) != 1:
        return None
    name, value = nodes[0]
    if name == "LITERAL":
        return {value}
    return _members(value) if name == "IN" else None


def _inside(name: str, value: Any) -> list[Any]:  # noqa: ANN401
    if name == "SUBPATTERN":
        return [value[3]]
    if name == "BRANCH":
        return list(value[1])
    if name in {"ASSERT", "ASSERT_NOT"}:
        return [value[1]]
    if name in _REPEATS:
        return [value[2]]
    return [value] if name == "ATOMIC_GROUP" else []


# ── the gate ──


@dataclass(frozen=True)
class _Stretch:
    """A run of what stands in every match, side by side: as an expression, and how much of it is fixed."""

    text: str = ""
    fixed: int = 0  # the most fixed characters in a row
    run: int = 0  # those at its end
    before: int = 0  # bytes of a match that may stand before its end

    def with_(self, text: str, width: int, *, fixed: bool = False) -> _Stretch:
        run = self.run + 1 if fixed else 0
        return _Stretch(self.text + text, max(self.fixed, run), run, self.before + width)


def _flat(tree: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    """The nodes of a sequence, groups taken apart; what only looks around is left out."""
    out: list[tuple[str, Any]] = []
    for name, value in _nodes(tree):
        if name == "SUBPATTERN":
            out += _flat(value[3])
        elif name == "ATOMIC_GROUP":
            out += _flat(value)
        elif name not in {"ASSERT", "ASSERT_NOT", "AT"}:
            out.append((name, value))
    return out


def _best(nodes: list[tuple[str, Any]], before: int = 0) -> _Stretch | None:
    """The stretch with the longest fixed run, near enough to the beginning of a match."""
    found: list[_Stretch] = []
    stretch = _Stretch(before=before)
    for name, value in nodes:
        width = _width(name, value)
        one = _plain(name, value)
        ended, stretch = _longer(stretch, one, width)
        found += [each for each in ended if each.before <= _GATE_LIMIT]
        if one is None:
            found += _of_branches(name, value, stretch.before - width)
        if stretch.before > _GATE_LIMIT:
            break
    return max(found, key=lambda each: (each.fixed, len(each.text)), default=None)


def _longer(stretch: _Stretch, one: _Plain | None, width: int) -> tuple[list[_Stretch], _Stretch]:
    """(what a stretch may end as with this node, the stretch that goes on behind it)."""
    if one is None:
        return [], _Stretch(before=stretch.before + width)
    if one.least == one.most == 1:
        more = stretch.with_(one.text, width, fixed=one.fixed)
        return [more], more
    short = min(one.least, _RUN_LIMIT)
    ended = [stretch.with_(f"{one.text}{{{short}}}", short)] if short else []
    if one.least > _RUN_LIMIT:  # the end of it begins what follows
        return ended, _Stretch(f"{one.text}{{{short}}}", before=stretch.before + width)
    return ended, stretch.with_(f"{one.text}{{{one.least},{one.most}}}", width)


def _of_branches(name: str, value: Any, before: int) -> list[_Stretch]:  # noqa: ANN401
    """Of alternatives: the best stretch of each, if each has one. Of a group that is repeated: the best inside."""
    if name == "BRANCH":
        each = [_best(_flat(branch), before) for branch in value[1]]
        sure = [one for one in each if one is not None and one.fixed >= _LEAST_FIXED]
        if len(sure) == len(each):
            text = "|".join(one.text for one in sure)
            return [_Stretch(f"(?:{text})", min(one.fixed for one in sure), before=before)]
    if name in _REPEATS and value[0] > 0:
        one = _best(_flat(value[2]), before)
        return [] if one is None else [one]
    return []


def _width(name: str, value: Any) -> int:  # noqa: ANN401
    """The most bytes that a node takes."""
    if name in _REPEATS:
        return int(value[1]) * sum(_width(*node) for node in _flat(value[2]))
    if name == "BRANCH":
        return max(sum(_width(*node) for node in _flat(branch)) for branch in value[1])
    return 1


class _Plain(NamedTuple):
    """What JSON writes as it is: one character (`fixed`) or one of a class, so many times."""

    text: str
    fixed: bool
    least: int = 1
    most: int = 1


def _plain(name: str, value: Any) -> _Plain | None:  # noqa: ANN401
    if name == "LITERAL":
        return _Plain(re.escape(chr(value)), fixed=True) if value in _AS_IT_IS else None
    if name == "IN":
        return _class(value)
    if name in _REPEATS:
        inside = _flat(value[2])
        one = _plain(*inside[0]) if len(inside) == 1 else None
        if one is None or (one.least, one.most) != (1, 1):
            return None
        return _Plain(one.text, fixed=False, least=int(value[0]), most=int(value[1]))
    return None


def _class(members: Any) -> _Plain | None:  # noqa: ANN401
    """A class of characters that JSON writes as they are."""
    matched = _members(members)
    if matched is None or not matched <= _AS_IT_IS:
        return None
    return _Plain("[" + "".join(re.escape(chr(byte)) for byte in sorted(matched)) + "]", fixed=False)


def _members(members: Any) -> set[int] | None:  # noqa: ANN401
    """The bytes of a class; None: it is told by what it is not."""
    found: set[int] = set()
    for op, value in members:
        name = str(op)
        if name == "LITERAL":
            found.add(value)
        elif name == "RANGE":
            found.update(range(value[0], value[1] + 1))
        elif name == "CATEGORY" and str(value) in _CATEGORIES:
            found |= _CATEGORIES[str(value)]
        else:
            return None
    return found


# ── examples ──


def examples(match: str) -> list[bytes]:
    """Texts that an expression may match, or nearly: one as short as it can be and a long one, then others of both."""
    tree = _parsed(match)
    out = []
    for draw in range(_DRAWS):
        for limit in (0, _LONG):
            text = bytearray()
            _write(text, tree, limit, draw)
            out.append(bytes(text))
    return out


def _write(out: bytearray, tree: Any, limit: int, draw: int) -> None:  # noqa: ANN401
    """Append one example.

    Args:
        out: what it is appended to.
        tree: the expression.
        limit: how often what may be repeated is repeated beyond what it must.
        draw: which of many: another branch, other characters; and what must stand around, in every second one.
    """
    for name, value in _nodes(tree):
        if name == "LITERAL":
            out.append(value)
        elif name == "BRANCH":
            _write(out, value[1][draw // 2 % len(value[1])], limit, draw)
        elif name in _REPEATS:
            for _ in range(min(int(value[1]), max(int(value[0]), limit))):
                _write(out, value[2], limit, draw)
        elif name in {"SUBPATTERN", "ATOMIC_GROUP"} or (name == "ASSERT" and draw % 2):
            for inside in _inside(name, value):
                _write(out, inside, limit, draw)
        elif name not in {"ASSERT", "ASSERT_NOT", "AT"}:
            choices = _choices(name, tuple(value) if name == "IN" else value)
            step = 7 if len(choices) % 7 else 11  # so that neighbours differ
            out.append(choices[(len(out) * step + draw) % len(choices)])


@cache
def _choices(name: str, value: Any) -> list[int]:  # noqa: ANN401
    """Bytes for one character of an example; letters and digits where nearly any would do."""
    members = {"NOT_LITERAL": (("NEGATE", None), ("LITERAL", value)), "IN": value}.get(name, ())
    negated = bool(members) and str(members[0][0]) == "NEGATE"
    matched = [byte for byte in range(256) if any(_is_member(byte, *each) for each in members) is not negated]
    found = matched or list(range(256))
    simple = [byte for byte in found if byte in _LETTERS_AND_DIGITS]
    return simple if simple and len(found) > _NEARLY_ANY else found


def _is_member(byte: int, op: object, value: Any) -> bool:  # noqa: ANN401
    if str(op) == "LITERAL":
        return bool(byte == value)
    if str(op) == "RANGE":
        return bool(value[0] <= byte <= value[1])
    written = _WRITTEN.get(str(value))
    return written is not None and re.match(written, bytes([byte])) is not None
