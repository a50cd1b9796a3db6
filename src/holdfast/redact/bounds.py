"""What may be asked of a rule that somebody else wrote: that it ends soon on any text, and that the gate can know of it.

An expression is looked at as Python's own parser of them sees it. Every repeat must have a limit, and repeats within repeats may
not multiply to more than `_REPEATS_LIMIT`. The gate is a stretch that every match holds: at least three fixed characters,
written alike in the text and in the JSON that carries it.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

LONGEST_MATCH = 2_600  # bytes that `shapes.Pattern` reads from where a match may begin
_GATE_LIMIT = 380  # bytes from there to the end of the gate's match
_LEAST_FIXED = 3
_RUN_LIMIT = 12
_REPEATS_LIMIT = 20_000
_REPEATS = frozenset(("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"))
_parser: Any = importlib.import_module("re._parser")  # no stubs describe it
_FEW = 3
_CATEGORIES = {
    "CATEGORY_DIGIT": frozenset(b"0123456789"),
    "CATEGORY_WORD": frozenset(b"_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
}
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


def examples(match: str) -> list[bytes]:
    """Texts that an expression may match, or nearly: as short as they can be, and long ones."""
    tree = _parsed(match)
    return [_example(tree, limit) for limit in (0, 60)]


def _example(tree: Any, limit: int) -> bytes:  # noqa: ANN401
    """`limit`: how often what may be repeated is repeated beyond what it must."""
    out = b""
    for number, (name, value) in enumerate(_flat(tree)):
        if name == "LITERAL":
            out += bytes([value])
        elif name == "IN":
            members = sorted(_members(value) or b"a")
            out += bytes([members[number * 7 % len(members)]])
        elif name in _REPEATS:
            times = min(int(value[1]), max(int(value[0]), limit))
            out += b"".join(_turn(value[2], limit, turn) for turn in range(times))
        elif name == "BRANCH":
            out += _example(value[1][0], limit)
        else:
            out += b"a"
    return out


def _turn(tree: Any, limit: int, turn: int) -> bytes:  # noqa: ANN401
    """One turn of a repeat; classes give another member each time."""
    nodes = _flat(tree)
    if len(nodes) == 1 and nodes[0][0] == "IN":
        members = sorted(_members(nodes[0][1]) or b"a")
        return bytes([members[turn * 7 % len(members)]])
    return _example(tree, limit)
