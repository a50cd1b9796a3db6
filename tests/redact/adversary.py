"""Long fields made to be hard on one rule, from the rule's own expressions.

A sample of an expression is a text that it matches. What makes an expression slow is seldom a match: it is many places
where one could begin (the head of a sample over and over), one that nearly ends (a sample without its last letters), one
that goes on for ever (a sample and a run of the letter it ends with), and many matches at once.
"""

from __future__ import annotations

import json
import random
import re
from re import _constants as ops  # the parts of a parsed expression have no public names
from re import _parser as parser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 11
_LONGEST_REPEAT = 400
_HIT_EVERY_CHARS = 1_500  # the gate must open around all of the field
_LETTERS = [chr(code) for code in range(0x20, 0x7F)]
_CATEGORIES = {
    ops.CATEGORY_DIGIT: "0123456789",
    ops.CATEGORY_WORD: "abcXYZ019_",
    ops.CATEGORY_SPACE: " ",
    ops.CATEGORY_NOT_SPACE: "aZ9_-",
    ops.CATEGORY_NOT_WORD: " -",
    ops.CATEGORY_NOT_DIGIT: "aZ",
}


class _Sampler:
    """Makes texts that an expression matches, but for its assertions."""

    def __init__(self, dice: random.Random, *, long: bool) -> None:
        self._dice = dice
        self._room = _LONGEST_REPEAT if long else 0
        self._groups: dict[int, str] = {}

    def sequence(self, parts) -> str:
        return "".join(self._part(op, of) for op, of in parts)

    def _part(self, op, of) -> str:
        if op in {ops.LITERAL, ops.NOT_LITERAL}:
            return chr(of) if op is ops.LITERAL else self._other(chr(of))
        if op is ops.ANY:
            return self._dice.choice("aQ7x")
        if op is ops.IN:
            return self._dice.choice(_set(of))
        if op in {ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT}:
            least, most, inner = of
            count = min(int(most), max(least, self._room))
            room, self._room = self._room, self._room // max(count, 1)  # repeats of repeats share it
            text = "".join(self.sequence(inner) for _ in range(count))
            self._room = room
            return text
        if op is ops.SUBPATTERN:
            self._groups[of[0]] = text = self.sequence(of[3])
            return text
        if op is ops.ATOMIC_GROUP:
            return self.sequence(of)
        if op is ops.BRANCH:  # the first of them is most often the plain one
            return self.sequence(of[1][0] if self._dice.random() < 0.5 else self._dice.choice(of[1]))
        if op is ops.GROUPREF:
            return self._groups.get(of, "")
        return ""  # an anchor, or looks ahead or behind

    def _other(self, letter: str) -> str:
        return self._dice.choice([one for one in "aQ7x" if one != letter])


def _set(parts) -> list[str]:
    inside: set[str] = set()
    negated = False
    for op, of in parts:
        if op is ops.NEGATE:
            negated = True
        elif op is ops.LITERAL:
            inside.add(chr(of))
        elif op is ops.RANGE:
            inside |= {chr(code) for code in range(of[0], min(of[1], 0x17F) + 1)}
        elif op is ops.CATEGORY:
            inside |= set(_CATEGORIES[of])
    chosen = [letter for letter in _LETTERS if letter not in inside] if negated else sorted(inside)
    usual = [letter for letter in chosen if letter.isalnum()]
    return usual or chosen or ["a"]


def samples(expression: bytes, *, count: int = 4) -> list[str]:
    """Texts that an expression matches, short ones and long ones."""
    parsed = parser.parse(expression.decode("utf-8"))
    dice = random.Random(SEED)
    return [_Sampler(dice, long=turn % 2 == 1).sequence(parsed) for turn in range(count)]


def heads(expression: bytes) -> list[str]:
    """Texts that begin as a match does, each a part of the expression longer."""
    parsed = list(parser.parse(expression.decode("utf-8")))
    dice = random.Random(SEED)
    found = [
        _Sampler(dice, long=long).sequence(parsed[:length])
        for length in range(1, len(parsed))
        for long in (False, True)
    ]
    return [text for text in dict.fromkeys(found) if text]


def expressions(shape) -> list[bytes]:
    """What a shape is looked for with: its gates and its own expressions."""
    own = [value for value in vars(type(shape)).values() if isinstance(value, re.Pattern)]
    own += [value for value in vars(shape).values() if isinstance(value, re.Pattern)]
    return [*shape.gates, *(pattern.pattern for pattern in own)]


def fields(shape, size: int) -> Iterator[tuple[str, str]]:
    """(name, text of about `size` characters) of fields that are hard on one shape."""
    hit = _hit(shape.gates[0])
    sampled = {text for gate in expressions(shape) for text in samples(gate) if text}
    longest, shortest = (
        max(sampled, key=lambda text: (len(text), text)),
        min(sampled, key=lambda text: (len(text), text)),
    )
    yield "many hits", _filled(f"{shortest} ", size)
    yield "many hits, nothing between", _filled(shortest, size)
    yield "long hits, line by line", _filled(f"{longest}\n", size)
    yield "quoted in quotes", _filled(json.dumps(json.dumps(json.dumps({shortest: hit}))) + " ", size)
    yield "nearly a hit", _with_hits(longest[:-1] + "\x00", hit, size)
    yield "goes on for ever", hit + longest[-1] * size
    yield "goes on for ever, and backslashes", hit + "\\" * size
    yield "percent signs", _filled(f"{hit}%25%41%zz", size)
    for number, head in enumerate(_telling(shape)):
        yield f"head {number} again and again", _with_hits(head, hit, size)


def _hit(gate: bytes) -> str:
    """A text that still opens the gate when it stands in JSON."""
    opening = [text for text in samples(gate, count=40) if re.search(gate, body(f" {text} "))]
    return max(opening, key=len) if opening else samples(gate)[0]


def _telling(shape) -> list[str]:
    """The shortest, a middle and the longest head of the expressions of a shape."""
    found = sorted({head for gate in expressions(shape) for head in heads(gate)}, key=len)
    return list(dict.fromkeys((found[0], found[len(found) // 2], found[-1]))) if found else []


def _filled(text: str, size: int) -> str:
    return (text * (size // len(text) + 1))[:size]


def _with_hits(text: str, hit: str, size: int) -> str:
    """A text again and again, with a hit now and then, so that the gate opens around all of it."""
    return _filled(_filled(text, max(_HIT_EVERY_CHARS, len(text))) + f" {hit} ", size)


def general(size: int) -> Iterator[tuple[str, str]]:
    """Fields that are hard on the readings of a text, whatever the rule."""
    hit = "password=" + "k7Qz2Vw9Rt4" + " "
    for name, text in (
        ("backslashes", "\\"),
        ("escapes of letters", "\\u0061"),
        ("escapes of escapes", "\\\\\\\\u0061"),
        ("halves of pairs", "\\ud83d"),
        ("percent signs of percent signs", "%2525"),
        ("colours", "\x1b[31ma\x1b[0m"),
        ("colours that do not end", "\x1b[3"),
        ("titles that do not end", "\x1b]0;"),
        ("lines of 76 letters", "a7" * 38 + "\n"),
        ("lines of blanks", "a" + " " * 118 + "\n"),
        ("continued lines", "a\\\n"),
        ("base64", "cGFzc3dvcmQ9azdRejJWdzlSdDQ"),
        ("base64 with blanks", "cGFzc3dvcmQ9azdRejJWdzlSdDQ "),
        ("quotes", "\"'`"),
        ("names", "password"),
        ("names in code", "password_token.secret_key["),
        ("names and colons", "password:"),
        ("brackets", "password: [{("),
        ("key blocks that do not end", "-----BEGIN PRIVATE " + "KEY-----\n"),
        ("key blocks on one line", "-----BEGIN PRIVATE " + "KEY----- -----END "),
        ("addresses", "https://a:b"),
        ("addresses of addresses", "https://a:https://b:"),
        ("commas and equals", "cookie: a=b,"),
        ("other scripts", "пароль密码🔑"),
    ):
        yield name, _with_hits(text, hit, size)


def body(text: str) -> bytes:
    """A record with such a field in it."""
    record = {"kind": "tool.used", "session": "s", "fields": {"tool": "Bash", "output": text}}
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")


def name_of(number: int, shape) -> str:
    return f"{number}-{getattr(shape, 'kind', type(shape).__name__.lower())}"
