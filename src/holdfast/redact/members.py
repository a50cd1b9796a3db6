"""The strings of a JSON text: where they stand, what names them, and where a text may be cut."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.redact.named import Found

_LONG_NAME_BYTES = 16  # a member's name of this length may be a secret itself
_WORD = re.compile(rb"[A-Za-z0-9_]")


class Member(NamedTuple):
    """A string of a JSON text that is a value: where its inside stands, the name of the member it is the value of (b"": of
    none), names that something beside it gives it ({"name": "DB_PASSWORD", "value": …}, ["--password", …]), and the names of
    the objects around it. `array`: a number of the array that it is an element of; 0: of none.
    """

    start: int
    end: int
    name: bytes
    label: bytes
    around: tuple[bytes, ...]
    array: int


_WHITE = frozenset((b" ", b"\t", b"\r", b"\n"))
_NAMING = frozenset((b"name", b"key", b"Name", b"Key", b"variable", b"header", b"field", b"param"))
VALUED = frozenset((b"value", b"Value", b"val", b"default", b"secret", b"content", b"result"))
_FLAG = re.compile(
    rb"--?[A-Za-z][\w-]{1,40}\Z|[A-Z][A-Z0-9_]{2,60}\Z|[a-z_]{2,20}(?:password|secret|token|key)\Z"
)
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([{}\[\]])', re.DOTALL)
_OUTSIDE = re.compile(  # all that JSON has outside of its strings; a word of it may be cut
    rb'(?:r?ue|(?:al|l)?se|u?ll|[el])?(?:[\s{}\[\]:,"0-9.eE+-]|true|false|null)*+(?:tr?u?|fa?l?s?|nu?l?)?'
)


def members(body: bytes) -> Iterator[Member]:
    """The strings of a JSON text that are values, with their names."""
    stack: list[
        tuple[bytes, int]
    ] = []  # (name that the container has, the number of the array; 0: an object)
    arrays = 0
    name = naming = before = b""
    for found in _TOKEN.finditer(body):
        bracket = found[2]
        if bracket is None:
            after = found.end()
            while body[after : after + 1] in _WHITE:
                after += 1
            if body[after : after + 1] == b":":
                name = found[1]
                if len(name) >= _LONG_NAME_BYTES:
                    yield Member(*found.span(1), b"", b"", (), 0)
                continue
            in_array = stack[-1][1] if stack else 0
            label = naming if name in VALUED else before if in_array and _FLAG.match(before) else b""
            own = stack[-1][0] if in_array else name
            yield Member(
                *found.span(1), own, label.lstrip(b"-"), tuple(outer for outer, _ in stack if outer), in_array
            )
            if name in _NAMING:
                naming = found[1]
            before = found[1] if in_array else b""
            if not in_array:
                name = b""
        elif bracket in b"{[":
            arrays += bracket == b"["
            stack.append(
                (name or (stack[-1][0] if bracket == b"[" and stack else b""), arrays * (bracket == b"["))
            )
            name = before = naming = b""
        elif stack:
            stack.pop()
            name = before = b""


def strings(text: bytes) -> list[tuple[int, int]] | None:
    """Where the strings of a JSON text stand; None: there is more in it than JSON has outside of strings."""
    spans = [string.span(1) for string in _TOKEN.finditer(text) if string[1] is not None]
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    between = b"".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    return spans if _OUTSIDE.fullmatch(between) else None


def is_escaped(body: bytes, at: int, start: int = 0) -> bool:
    """Whether an odd number of backslashes stands before a place."""
    low = max(start, at - 64)
    before = body[low:at]
    if before and before.count(b"\\") == len(before) and low > start:
        before = body[start:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def stands_alone(body: bytes, at: int, length: int) -> bool:
    """Whether the bytes at a place begin and end as a word does, and not within an escape."""
    if is_escaped(body, at):
        return False
    before = b"" if _ends_escape(body, at) else body[max(0, at - 1) : at]
    return not (_WORD.match(before) and _WORD.match(body, at)) and not (
        _WORD.match(body, at + length) and _WORD.match(body, at + length - 1)
    )


def _ends_escape(body: bytes, at: int) -> bool:
    short = at >= 2 and body[at - 2 : at - 1] == b"\\" and not is_escaped(body, at - 2)
    long = at >= 6 and body[at - 6 : at - 4] == b"\\u" and not is_escaped(body, at - 6)
    return short or long


def inside_strings(body: bytes, found: list[Found]) -> list[Found]:
    """Those that stand in strings, when the body is JSON: a number or a bracket that is replaced would make it none."""
    spans = strings(body) if found else None
    if spans is None:
        return found
    starts = [start for start, _ in spans]
    kept = []
    for secret in found:
        number = bisect_right(starts, secret.start) - 1
        if number >= 0 and secret.end <= spans[number][1]:
            kept.append(secret)
    return kept


def opens(piece: bytes) -> bool:
    """Whether a piece of JSON, cut outside of escapes, holds an odd number of the quotes that begin and end strings."""
    return piece.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"') % 2 == 1


# ── where a text may be cut ──


_CUT_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*+(\\(?:u[0-9a-fA-F]{0,3})?)\Z")


def safe(body: bytes, at: int, start: int) -> int:
    """A place at or before `at` that is not inside an escape."""
    escape = body.rfind(b"\\", max(start, at - 5), at)
    if escape < 0 or is_escaped(body, escape, start):
        return at
    return escape if escape + (6 if body[escape + 1 : escape + 2] == b"u" else 2) > at else at


def safe_end(body: bytes, low: int, at: int, end: int) -> int:
    """A place at or after `at` that is not inside an escape; otherwise what is found there might end within one.

    `low`: a place before it that is not inside one either.
    """
    cut = _CUT_ESCAPE.search(body, low, at)
    if cut is None:
        return at
    return min(end, cut.start(1) + (6 if body[cut.start(1) + 1 : cut.start(1) + 2] == b"u" else 2))
