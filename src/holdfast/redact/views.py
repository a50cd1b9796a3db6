"""Other readings of a text, each with the way back to the places it was made from.

A secret may stand in a text escaped, percent-encoded, coloured, wrapped or in base64. Rules are written for what it says,
so they look at readings ("views") of a text; what they find is taken out of the text itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH_LIMIT = 5  # how often a text is unescaped: JSON in JSON in JSON, and the escapes of a language inside

_SIMPLE = {
    b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f",
    b'"': b'"', b"'": b"'", b"\\": b"\\", b"/": b"/", b"`": b"`",
    b"e": b"\x1b", b"033": b"\x1b",
}  # fmt: skip
_ESCAPE = re.compile(
    rb"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|([nrtbf\"'\\/`])|((?:e|033)(?=\[)))"
)
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
_ANSI = re.compile(
    rb"\x1b(?:\[[0-9;:?<=>]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,256}(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78])"
)
_INVISIBLE = re.compile(rb"\xe2\x80[\x8b-\x8d]|\xe2\x81\xa0|\xef\xbb\xbf|\xc2\xad")
_WRAP = re.compile(
    rb"[ \t]{0,2}\\\r?\n[ \t>+]{0,16}"
    rb"|(?P<same>[\"'])[ \t]{0,4}(?:\+|\|\||\.|&)[ \t]{0,4}(?P=same)(?=[A-Za-z0-9_+/=.-])"
    rb"|(?P<quote>[\"'])[ \t]{0,4}[+.&\\]?[ \t]{0,4}\r?\n[ \t+]{0,40}[+.&]?[ \t]{0,4}(?P=quote)(?=[A-Za-z0-9_+/=.-])"
    rb"|(?P<plain>(?<=[A-Za-z0-9_+/=.-])[ \t]{0,120}(?:\xe2\x94\x82|\||=)?\r?\n[ \t]{0,16}(?:(?:\xe2\x94\x82|\|)[ \t]?)?(?P<next>[A-Za-z0-9_+/=.-]{1,600}))"
)
_WRAP_COLUMNS = frozenset((40, 48, 50, 60, 64, 70, 72, 75, 76, 77, 78, 79, 80, 100, 120, 132))
_NEXT_SETTING = re.compile(rb"[A-Za-z_][\w.-]{1,60}[ \t]{0,4}(?:=(?![=\s]|\Z)|= |: )")
_LEAST_COLUMN = 24
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{20,20000}={0,2}")
_READABLE = frozenset(b"\t\n\r") | frozenset(range(0x20, 0x7F))


class View:
    """A reading of a text. `places` gives the bytes of the text that a stretch of the reading stands for."""

    __slots__ = ("_ends", "_froms", "_outer", "_starts", "guessed", "joined", "text")

    def __init__(self, text: bytes, outer: View | None = None) -> None:
        self.text = text
        self.guessed: bool = (
            outer is not None and outer.guessed
        )  # only what is certain by its form counts in it
        self.joined: bool = outer is not None and outer.joined  # lines of it were put together
        self._outer = outer
        self._starts: list[int] = []  # in `text`, where each piece begins
        self._froms: list[int] = []  # in the outer reading, where it begins ...
        self._ends: list[int] = []  # ... and ends; a piece of equal lengths goes byte by byte

    @classmethod
    def replacing(cls, outer: View, found: list[tuple[int, int, bytes]]) -> View:
        """The reading in which each (start, end) of the outer one stands for other bytes."""
        view = cls(b"", outer)
        text, parts, at, length = outer.text, [], 0, 0
        for start, end, instead in found:
            for piece, begin, stop in ((text[at:start], at, start), (instead, start, end)):
                if piece:
                    view._starts.append(length)
                    view._froms.append(begin)
                    view._ends.append(stop)
                    parts.append(piece)
                    length += len(piece)
            at = end
        if at < len(text):
            view._starts.append(length)
            view._froms.append(at)
            view._ends.append(len(text))
            parts.append(text[at:])
        view.text = b"".join(parts)
        return view

    def places(self, start: int, end: int) -> tuple[int, int]:
        """Where [start, end) of this reading stands in the text that all readings are of."""
        if self._outer is None:
            return start, end
        return self._outer.places(self._place(start, after=False), self._place(end, after=True))

    def _place(self, at: int, *, after: bool) -> int:
        if not self._starts:
            return at
        piece = max(bisect_right(self._starts, at - 1 if after and at else at) - 1, 0)
        begin, stop = self._froms[piece], self._ends[piece]
        inside = at - self._starts[piece]
        next_start = self._starts[piece + 1] if piece + 1 < len(self._starts) else len(self.text)
        if stop - begin == next_start - self._starts[piece]:
            return min(begin + inside, stop)
        return stop if after and inside else begin


def unescaped(outer: View) -> View | None:
    """One level of backslash escapes read; None when there is none."""
    if b"\\" not in outer.text:
        return None
    found = [(m.start(), m.end(), _meaning(m)) for m in _ESCAPE.finditer(outer.text)]
    return View.replacing(outer, found) if found else None


def _meaning(found: re.Match[bytes]) -> bytes:
    for group in (1, 2, 3):
        if (digits := found[group]) is not None:
            number = int(digits, 16)
            return chr(number).encode("utf-8", "surrogatepass") if number < 0x110000 else b"?"
    return _SIMPLE[found[4] if found[4] is not None else found[5]]


def visible(outer: View) -> View | None:
    """Without characters that have no width; None when there are none."""
    found = [(m.start(), m.end(), b"") for m in _INVISIBLE.finditer(outer.text)]
    return View.replacing(outer, found) if found else None


def percent_decoded(outer: View) -> View | None:
    """Percent-encoding read; None when there is none."""
    if b"%" not in outer.text:
        return None
    found = [(m.start(), m.end(), bytes([int(m[1], 16)])) for m in _PERCENT.finditer(outer.text)]
    return View.replacing(outer, found) if found else None


def uncoloured(outer: View) -> View | None:
    """Without the escape sequences of terminals; None when there are none."""
    if b"\x1b" not in outer.text:
        return None
    found = [(m.start(), m.end(), b"") for m in _ANSI.finditer(outer.text)]
    return View.replacing(outer, found) if found else None


def unwrapped(outer: View, *, guessed: bool) -> View | None:
    """Lines that were broken at a column, or continued with a backslash, in one piece; None when there are none.

    `guessed`: also those whose next line begins with what is no word.
    """
    found = []
    at = 0
    guesses = False
    while m := _WRAP.search(outer.text, at):
        end = m.end() if m["plain"] is None else m.start("next")
        broken = m["plain"] is None or _at_a_column(outer.text, m)
        if broken or (guessed and _goes_on(outer.text, m)):
            guesses |= not broken
            found.append((m.start(), end, b""))
        at = max(end, m.start() + 1)
    if not found or guesses != guessed:
        return None
    view = View.replacing(outer, found)
    view.guessed, view.joined = guessed, True
    return view


def _column(text: bytes, at: int) -> int:
    return at - text.rfind(b"\n", 0, at) - 1


def _at_a_column(text: bytes, wrap: re.Match[bytes]) -> bool:
    return _column(text, wrap.start()) in _WRAP_COLUMNS and not _NEXT_SETTING.match(text, wrap.start("next"))


def _goes_on(text: bytes, wrap: re.Match[bytes]) -> bool:
    """Whether the next line begins with what is no word."""
    rest = wrap["next"]
    if _NEXT_SETTING.match(text, wrap.start("next")):
        return False
    mixed = any(byte in b"0123456789" for byte in rest) or (
        rest != rest.lower() and not rest.isupper() and not rest.istitle()
    )
    return _column(text, wrap.start()) >= _LEAST_COLUMN and len(rest) >= 3 and mixed


def base64_runs(outer: View) -> Iterator[tuple[int, int, bytes, int]]:
    """(start, end, what it says, bytes for a character) of each run of base64 that says something readable."""
    for m in _BASE64_RUN.finditer(outer.text):
        run = m[0].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        run = run[: len(run) - (len(run) % 4 == 1)]
        try:
            said = base64.b64decode(run + b"=" * (-len(run) % 4))
        except (binascii.Error, ValueError):
            continue
        if said[1:2] == b"\0" and said[3:4] == b"\0":  # UTF-16, as PowerShell has it
            yield m.start(), m.end(), said[::2], 2
            continue
        if said and sum(byte in _READABLE for byte in said[:64]) * 10 >= 9 * min(len(said), 64):
            yield m.start(), m.end(), said, 1


def readings(text: bytes, *, joined: bool = True) -> Iterator[View]:
    """Every reading of the decoded text `text` that may say something else than the text itself, and it first; `joined`: also with lines put together.

    Each is made when it is asked for: a text of nothing but escapes has many, and each takes its time.
    """
    levels = [View(text)]
    yield levels[0]
    for _ in range(DEPTH_LIMIT):
        level = unescaped(levels[-1])
        if level is None:
            break
        levels.append(level)
        yield level
    for plain in levels:
        shown = uncoloured(plain)
        encoded = percent_decoded(plain)
        twice = percent_decoded(encoded) if encoded is not None else None
        yield from (view for view in (shown, encoded, twice, visible(plain)) if view is not None)
        for broken in (plain, shown):
            if broken is not None and joined:
                whole = (unwrapped(broken, guessed=False), unwrapped(broken, guessed=True))
                yield from (view for view in whole if view is not None)
