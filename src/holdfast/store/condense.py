r"""Make a huge JSON body small enough to be held: long strings are cut to their head, all else stands as it stood.

Rows keep the head of a text, so a translator needs no more of a 50 MB tool result or picture than its structure and
the beginnings of its strings. What comes out is JSON exactly when what went in was (a body that is damaged inside a
part that was cut gets the damage back in its place), and the same bytes whatever the chunks were.

What a translator may take from a condensed body, and what not:

- Numbers, literals, the number of elements of an array, the members of an object: exact.
- Strings up to the limit: exact. So are ids: what is far longer than any id, but below the limit, is taken for none.
- Longer strings: their head. Nothing may be computed from their length, their end or a digest of them.
- Offsets on a damaged line: unknown.

Work is done by regular expressions and `find`, a few steps for each string, none for each byte.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Possessive quantifiers: nothing here ever needs to be tried a second time.
_ESCAPE = re.compile(rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_UNFINISHED = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
_WITHIN = re.compile(
    rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+'
)  # what may stand in a string
_SHORT = re.compile(
    rb'(?:[^"]*+"[^"\\\x00-\x1f]{0,256}+")*+'
)  # from outside: everything up to the next odd string
_QUOTE, _BACKSLASH = 0x22, 0x5C
CONDENSED_LIMIT_BYTES = 8 << 20  # what is parsed takes up to eleven times as much memory
LEAST_STRING_LIMIT_BYTES = 512  # above what `_SHORT` passes


def condense(chunks: Iterable[bytes], *, string_limit_bytes: int, limit_bytes: int) -> bytes | None:
    """The body in `chunks` with every string cut to about `string_limit_bytes` of its raw form.

    None when even so it is longer than `limit_bytes`. All chunks are taken, whatever the outcome.
    """
    assert string_limit_bytes >= LEAST_STRING_LIMIT_BYTES
    condenser = _Condenser(string_limit_bytes)
    for chunk in chunks:
        if condenser.size_bytes <= limit_bytes:
            condenser.feed(chunk)
    condenser.end()
    return b"".join(condenser.out) if condenser.size_bytes <= limit_bytes else None


class _Condenser:
    """Where in the body we are, and what of it is kept."""

    def __init__(self, string_limit_bytes: int) -> None:
        self.out: list[bytes] = []
        self.size_bytes = 0
        self._limit = string_limit_bytes
        self._held = b""  # the beginning of an escape that the next chunk ends
        self._in_string = False
        self._head = bytearray()  # of the string we are in, until it ends or is too long
        self._cut = False  # it was too long; the rest is only looked at
        self._hurt = False  # damage in the rest was passed on
        self._wrong: tuple[int, bytes] | None = None  # the last damage in the head: where, and what
        self._rest = codecs.getincrementaldecoder("utf-8")()

    def feed(self, chunk: bytes) -> None:
        data, at = self._held + chunk, 0
        self._held = b""
        while at < len(data):
            at = self._inside(data, at) if self._in_string else self._outside(data, at)

    def end(self) -> None:
        """The body is over; a string that is still open stays so."""
        if self._in_string:
            self._text(self._held)
            self._put(bytes(self._head))

    def _put(self, data: bytes) -> None:
        self.out.append(data)
        self.size_bytes += len(data)

    def _outside(self, data: bytes, at: int) -> int:
        passed = _SHORT.match(data, at)
        quote = data.find(b'"', passed.end() if passed else at)
        end = len(data) if quote < 0 else quote + 1
        self._in_string = quote >= 0
        self._put(data[at:end])
        return end

    def _inside(self, data: bytes, at: int) -> int:
        found = _WITHIN.match(data, at)
        end = found.end() if found else at
        self._text(data[at:end])
        if end == len(data):
            return end
        if data[end] == _QUOTE:
            self._close()
            return end + 1
        if _UNFINISHED.match(data, end):
            self._held = data[end:]
            return len(data)
        after = end + 2 if data[end] == _BACKSLASH else end + 1
        self._damage(data[end:after])
        return after

    def _text(self, piece: bytes) -> None:
        if self._cut:
            self._check(piece)
            return
        room = self._limit - len(self._head)
        self._head += piece[:room]
        if len(piece) > room:
            whole = _whole(self._head)
            rest = bytes(self._head[whole:]) + piece[room:]
            self._put(bytes(self._head[:whole]))
            self._head.clear()
            self._cut = True
            self._check(rest)
            if self._wrong is not None and self._wrong[0] >= whole:  # it looked like an escape that was cut
                self._damage(self._wrong[1])

    def _check(self, rest: bytes, *, final: bool = False) -> None:
        """Look whether what is cut off is UTF-8; if not, the damage is kept."""
        try:
            self._rest.decode(rest, final)
        except UnicodeDecodeError:
            self._rest.reset()
            self._damage(b"\xff")

    def _damage(self, what: bytes) -> None:
        if not self._cut:
            self._wrong = len(self._head), what
            self._text(what)
        elif not self._hurt:
            self._hurt = True
            self._put(what)

    def _close(self) -> None:
        if self._cut:
            self._check(b"", final=True)
            self._rest.reset()
        self._put(bytes(self._head) + b'"')
        self._head.clear()
        self._in_string = self._cut = self._hurt = False
        self._wrong = None


def _whole(head: bytearray) -> int:
    """The longest beginning of `head` that ends neither within a character nor within an escape or a pair of them."""
    at = len(head)
    for back in (1, 2, 3):
        if head[-back] >= 0xC0:  # the first byte of a character of two to four bytes
            at -= back if back < (2 if head[-back] < 0xE0 else 3 if head[-back] < 0xF0 else 4) else 0
            break
        if head[-back] < 0x80:
            break
    slash = head.rfind(b"\\", max(0, at - 5), at)
    if slash >= 0 and _begins_escape(head, slash) and not _ESCAPE.match(head, slash, at):
        at = slash
    if _HIGH_SURROGATE.match(head[at - 6 : at]) and _begins_escape(head, at - 6):
        at -= 6
    return at


def _begins_escape(head: bytearray, slash: int) -> bool:
    """Whether the backslash is not itself escaped."""
    before = head[: slash + 1]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1
