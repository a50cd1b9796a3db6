"""Take secrets out of bodies.

A body is looked at as it stands by the gate. Only where that hits, its strings are told apart and the ones that were hit are
decoded and read closely; what is found is replaced in the body's own bytes, and everything else stays as it was, byte for byte.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import time
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from holdfast.redact import rules as rules_module
from holdfast.redact.deltas import TEXTS, Deltas, stream_of
from holdfast.redact.environment import Known, secret_values
from holdfast.redact.finder import Finder, TooLong
from holdfast.redact.named import Found, united
from holdfast.redact.plausible import Place, is_secret
from holdfast.redact.shapes import KeyBlock
from holdfast.redact.views import View, unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from holdfast.redact.rules import Rules

UNCHECKED = "unchecked"  # the kind of what could not be looked at
LIMIT_S = 0.050  # of processor time for one field; over it, the whole field goes
_LONG_NAME_BYTES = 16  # a member's name of this length may be a secret itself
_KEY_LINE = re.compile(rb"[A-Za-z0-9+/=]{5,}(?:\\r|\\n|[A-Za-z0-9+/=])*\Z")
_NESTED = 6  # JSON in a string of JSON, so often
_as_raw = msgspec.json.Decoder(msgspec.Raw).decode
_LONG_FIELD_BYTES = 2 << 10
_BEFORE_BYTES = 768
_AFTER_BYTES = 1_280
_WIDE_BYTES = 80 << 10
_EDGE_BYTES = 8
_LONG_JSON_BYTES = 256 << 10
_CONTINUED = re.compile(  # literals and lines that go on elsewhere
    rb"[\w-]{2}[\"'][ ]{0,4}(?:\+|\|\||&|\.)[ ]{0,4}[\"'][\w-]{2}|[\w-]{2}\\?[\"'][ +]{0,8}\\?\r?(?:\\n|\n)[ +\t]{0,40}\\?[\"'][\w-]{2}|[\w=+/.-]{12}\\{1,8}(?:\n|n)"
)
_REPEATS = 64  # so many secrets of a body are looked for again in it
_LEAST_REPEATED_BYTES = 8
_PIECE_BYTES = 256 << 10  # of a body that is not held whole
_TAIL_BYTES = 64 << 10
_LEAST_TAIL_BYTES = 8 << 10
_LONG_PIECE_BYTES = 64 << 10
_BINARY = re.compile(rb"[A-Za-z0-9+/=_\\-]{64,}\Z")


class Cleaned(NamedTuple):
    """What may be written, and how many places of each kind were taken out. Nothing was: `body` is the object given."""

    body: bytes
    kinds: Mapping[str, int]


class Redactor:
    """Takes secrets out of bodies. Safe for threads.

    Args:
        key: of the placeholders' keyed hashes; None: one that lasts as long as this object.
        rules: what is a secret; None: the bundled rules.
        load, keep: see `Gate`.
        environment: variables; values of theirs that look like secrets are taken out wherever they stand.
    """

    def __init__(
        self,
        key: bytes | None = None,
        rules: Rules | None = None,
        *,
        load: Callable[[str], bytes | None] = lambda _: None,
        keep: Callable[[str, bytes], None] = lambda _, __: None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._key = os.urandom(32) if key is None else key
        self._rules = rules_module.load() if rules is None else rules
        self._finder = Finder(self._rules, load, keep)
        self._hits = self._finder.gate.hits
        self._deltas = Deltas(self._finder)
        self._known = Known(secret_values(environment or {}, self._rules))

    def placeholder(self, kind: str, value: bytes) -> bytes:
        """What stands in a secret's place: equal secrets of one home get equal ones."""
        return b"[REDACTED:%b:%b]" % (
            kind.encode(),
            hmac.digest(self._key, value, hashlib.sha256).hex()[:4].encode(),
        )

    def clean(self, body: bytes) -> Cleaned:
        """Take the secrets out of one record's body."""
        try:
            hits, known = self._hits(body), self._known.find(body)
            return self._closely(body, hits, known) if hits or known else Cleaned(body, {})
        except Exception:  # noqa: BLE001 - what cannot be looked at must not be written; the record is
            return Cleaned(b'"%b"' % self.placeholder(UNCHECKED, body), {UNCHECKED: 1})

    def _closely(self, body: bytes, hits: list[tuple[int, int]], known: list[Found]) -> Cleaned:
        found = [*self.places(body, hits), *known]
        if any(number == self._finder.stream_mark for number, _ in hits):
            found += self._pieces(body)
        if not found:
            return Cleaned(body, {})
        kinds: Counter[str] = Counter()
        return Cleaned(self._replaced(body, _repeated(body, united(found)), kinds), kinds)

    def _replaced(self, body: bytes, found: list[Found], kinds: Counter[str]) -> bytes:
        parts: list[bytes] = []
        at = 0
        for secret in found:
            kinds[secret.kind] += 1
            parts += (
                body[at : secret.start],
                self.placeholder(secret.kind, secret.value or body[secret.start : secret.end]),
            )
            at = secret.end
        parts.append(body[at:])
        return b"".join(parts)

    def places(self, body: bytes, hits: list[tuple[int, int]] | None = None, depth: int = 0) -> list[Found]:
        """Where the secrets stand in a body; `depth`: how many strings of JSON are around it."""
        hits = self._hits(body) if hits is None else hits
        if not _is_json(body):
            return self._in_field(body, 0, len(body), self._look(hits, depth))
        return self._in_members(body, hits, depth)

    def _look(self, hits: list[tuple[int, int]], depth: int) -> _Look:
        numbers = {number for number, _ in hits}
        ends = sorted({end for _, end in hits})
        return _Look(
            ends, depth, bool(numbers & self._finder.joining), bool(numbers & self._finder.key_blocks)
        )

    def _in_members(self, body: bytes, hits: list[tuple[int, int]], depth: int) -> list[Found]:
        look = self._look(hits, depth)
        found: list[Found] = []
        blocks = look.blocks
        opened = False
        for member in _members(body):
            if opened:  # a key block over the lines of an array
                found += _rest_of_block(body, member)
            else:
                found += self._in_member(body, member, look)
            if blocks:
                value = body[member.start : member.end]
                opened = (opened or KeyBlock.begin.search(value) is not None) and not KeyBlock.end.search(
                    value
                )
        return found

    def _pieces(self, body: bytes) -> list[Found]:
        """What a record that is a piece of a stream holds of secrets that began before it, or go on after it."""
        found: list[Found] = []
        for member in _members(body):
            if member.name not in TEXTS or member.end - member.start > _LONG_PIECE_BYTES:
                continue
            try:
                said = _said(body[member.start : member.end])
                secrets = self._deltas.find(stream_of(body, member.name), said.text, _clock())
                found += _back(secrets, said, member.start)
            except Exception:  # noqa: BLE001 - what cannot be looked at must not be written
                found.append(Found(member.start, member.end, UNCHECKED))
        return found

    def _in_member(self, body: bytes, member: _Member, look: _Look) -> list[Found]:
        start, end = member.start, member.end
        if end - start < 5:
            return []
        value = body[start:end]
        if member.name in self._rules.skipped_members and _BINARY.match(value):
            return []
        try:
            told = self._by_name(member, value)
        except Exception:  # noqa: BLE001 - what cannot be looked at must not be written
            return [Found(start, end, UNCHECKED)]
        if told is not None:
            return [Found(start, end, *told)]
        return self._in_field(body, start, end, look)

    def _by_name(self, member: _Member, value: bytes) -> tuple[str, bytes] | None:
        names = [(name, True) for name in (member.name, member.label) if name]
        if member.around:
            names += [(name, member.name in _NEUTRAL) for name in member.around[-3:] if name != member.name]
            if member.around[-1][-1:] == b"s":
                names.append((member.around[-1], True))
        for name, sure in names:
            told = self._rules.names.kind(name)
            if told is None:
                if sure and name == member.name and self._rules.names.denies(name):
                    return None
                continue
            text = _said(value).text
            if is_secret(text, Place.QUOTED, strong=told[1] and sure) and not self._rules.lets_through(text):
                return told[0], text
        return None

    def _in_field(self, body: bytes, start: int, end: int, look: _Look) -> list[Found]:
        """The secrets in the string that stands at [start, end) of a body, read around the places that the gate named."""
        windows = _windows(body, start, end, look)
        if not windows:
            return []
        check = _clock()
        try:
            inner = _json_in(body[start:end], look.depth)
            if inner is not None:
                return _back(self.places(inner.text, depth=look.depth + 1), inner, start)
            found: list[Found] = []
            for first, last in windows:
                found += self._in_stretch(body, first, last, check, joined=look.joined)
                if found and found[-1].end >= last - _EDGE_BYTES and last < end:  # it may go on
                    wide = _safe(body, found[-1].start - _BEFORE_BYTES, start), min(end, last + _WIDE_BYTES)
                    found += self._in_stretch(body, *wide, check, joined=look.joined)
        except Exception:  # noqa: BLE001 - what cannot be looked at must not be written
            return [Found(start, end, UNCHECKED)]
        return united(found)

    def _in_stretch(
        self, body: bytes, first: int, last: int, check: Callable[[], None], *, joined: bool
    ) -> list[Found]:
        said = _said(body[first:last])
        joined = joined or _CONTINUED.search(said.text) is not None
        return _back(self._finder.find(said.text, check, joined=joined), said, first)

    # ── bodies too large to be held whole ──

    def stream(self, chunks: Iterable[bytes], kinds: Counter[str]) -> Iterator[bytes]:
        """The same for a body too large to be held whole.

        The chunks are cut anywhere, also within a character or an escape. What comes out may be cut elsewhere, and may
        be shorter or longer. `kinds` counts what was taken out.
        """
        held, in_string = b"", False
        for chunk in chunks:
            held += chunk
            if len(held) < _PIECE_BYTES:
                continue
            cut = _cut(held)
            piece, held = held[:cut], held[cut:]
            ends_in_string = in_string ^ _opens(piece)
            yield self._piece(piece, in_string, ends_in_string, kinds)
            in_string = ends_in_string
        if held:
            yield self._piece(held, in_string, in_string ^ _opens(held), kinds)

    def _piece(self, piece: bytes, in_string: bool, ends_in_string: bool, kinds: Counter[str]) -> bytes:  # noqa: FBT001 - a state
        """One piece of a JSON text, which may begin and end within a string."""
        text = b'"' * in_string + piece + b'"' * ends_in_string
        try:
            hits, known = self._hits(text), self._known.find(text)
            if not hits and not known:
                return piece
            found = _repeated(text, united([*self._in_members(text, hits, 0), *known]))
        except Exception:  # noqa: BLE001 - what cannot be looked at must not be written
            found = _all_said(text) or [Found(in_string, len(text) - ends_in_string, UNCHECKED)]
        cleaned = self._replaced(text, found, kinds)
        return cleaned[in_string : len(cleaned) - ends_in_string]


def _all_said(text: bytes) -> list[Found]:
    """Every string of a JSON text; none if there is more in it than JSON has outside of strings."""
    strings = [string for string in _TOKEN.finditer(text) if string[1]]
    edges = [0, *(edge for string in strings for edge in string.span(1)), len(text)]
    between = b"".join(text[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))
    return [Found(*s.span(1), UNCHECKED) for s in strings] if _OUTSIDE.fullmatch(between) else []


def _opens(piece: bytes) -> bool:
    """Whether a piece of JSON, cut outside of escapes, holds an odd number of the quotes that begin and end strings."""
    return piece.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"') % 2 == 1


def _cut(held: bytes) -> int:
    """Where to cut a JSON text, so that nothing that belongs together is torn: not in an escape, and if it can be helped at the
    end of a line or a word, before a key block that is still open.
    """
    low = len(held) - _TAIL_BYTES
    opened = held.rfind(b"-----BEGIN ", len(held) // 2)
    if opened > 0 and b"-----END " not in held[opened:]:
        return _safe(held, opened, 0)
    for mark, after in ((b"\\n", 2), (b'",', 2), (b" ", 1), (b",", 1)):
        at = held.rfind(mark, low, len(held) - _LEAST_TAIL_BYTES)
        if at >= 0 and not _is_escaped(held, at):
            return at + after
    return _safe(held, len(held) - _LEAST_TAIL_BYTES, 0)


def _is_escaped(held: bytes, at: int) -> bool:
    """Whether an odd number of backslashes stands before a place."""
    before = held[max(0, at - 64) : at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _clock() -> Callable[[], None]:
    """Raises TooLong when it is called and more than the limit has gone by."""
    limit = time.thread_time() + LIMIT_S

    def check() -> None:
        if time.thread_time() > limit:
            raise TooLong

    return check


def _repeated(body: bytes, found: list[Found]) -> list[Found]:
    """What was found, and the places where the same bytes stand again."""
    more: list[Found] = []
    seen: set[bytes] = set()
    for secret in found[:_REPEATS]:
        raw = body[secret.start : secret.end]
        if len(raw) < _LEAST_REPEATED_BYTES or raw in seen or secret.kind == UNCHECKED:
            continue
        seen.add(raw)
        at = body.find(raw)
        while at >= 0:
            more.append(secret._replace(start=at, end=at + len(raw)))
            at = body.find(raw, at + len(raw))
    return united([*found, *more])


def _rest_of_block(body: bytes, member: _Member) -> list[Found]:
    """What a line of a key block holds that began in an earlier string: all of it but its indentation, or what is before the end."""
    value = body[member.start : member.end]
    closed = KeyBlock.end.search(value)
    line = value[: closed.start()] if closed else value
    start = len(line) - len(line.lstrip(b"+- \t"))
    if len(line) - start < 5 or not _KEY_LINE.match(line[start:]):
        return []
    return [Found(member.start + start, member.start + len(line), KeyBlock.kind, line[start:])]


def _is_json(text: bytes) -> bool:
    try:
        _as_raw(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _json_in(raw: bytes, depth: int) -> View | None:
    """What a string says that is JSON itself; None: it is none, or `depth` strings of JSON are around it already."""
    if depth >= _NESTED or raw[:1] not in {b"{", b"["} or len(raw) > _LONG_JSON_BYTES or b'\\"' not in raw:
        return None
    said = _said(raw)
    return said if _is_json(said.text) else None


def _said(raw: bytes) -> View:
    """What the inside of a JSON string says."""
    outer = View(raw)
    return unescaped(outer) or outer


def _back(found: list[Found], said: View, at: int) -> list[Found]:
    """What was found in what the bytes of a body at `at` say, in terms of the body."""
    out = []
    for secret in found:
        start, end = said.places(secret.start, secret.end)
        out.append(secret._replace(start=at + start, end=at + end))
    return out


class _Member(NamedTuple):
    """A string of a JSON text that is a value: where its inside stands, the name of the member it is the value of (b"": of
    none), names that something beside it gives it ({"name": "DB_PASSWORD", "value": …}, ["--password", …]), and the names of
    the objects around it.
    """

    start: int
    end: int
    name: bytes
    label: bytes
    around: tuple[bytes, ...]


_NAMING = frozenset((b"name", b"key", b"Name", b"Key", b"variable", b"header", b"field", b"param"))
_VALUED = frozenset((b"value", b"Value", b"val", b"default", b"secret", b"content", b"result"))
_NEUTRAL = (
    frozenset((b"key",))
    | _VALUED
    | frozenset(
        (
            b"",
            b"current",
            b"old",
            b"new",
            b"previous",
            b"next",
            b"data",
            b"raw",
            b"plain",
            b"text",
            b"plaintext",
        )
    )
)
_FLAG = re.compile(
    rb"--?[A-Za-z][\w-]{1,40}\Z|[A-Z][A-Z0-9_]{2,60}\Z|[a-z_]{2,20}(?:password|secret|token|key)\Z"
)
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"|([{}\[\]])', re.DOTALL)
_OUTSIDE = re.compile(
    rb'(?:[\s{}\[\]:,"0-9.eE+-]|true|false|null)*+'
)  # all that JSON has outside of its strings


def _members(body: bytes) -> Iterator[_Member]:
    """The strings of a JSON text that are values, with their names."""
    stack: list[tuple[bytes, bytes]] = []  # (name that the container has, its opening bracket)
    name = naming = before = b""
    for found in _TOKEN.finditer(body):
        bracket = found[2]
        if bracket is None:
            after = found.end()
            while body[after : after + 1] in (b" ", b"\t"):
                after += 1
            if body[after : after + 1] == b":":
                name = found[1]
                if len(name) >= _LONG_NAME_BYTES:
                    yield _Member(*found.span(1), b"", b"", ())
                continue
            in_array = bool(stack) and stack[-1][1] == b"["
            label = naming if name in _VALUED else before if in_array and _FLAG.match(before) else b""
            own = stack[-1][0] if in_array else name
            yield _Member(
                *found.span(1), own, label.lstrip(b"-"), tuple(outer for outer, _ in stack if outer)
            )
            if name in _NAMING:
                naming = found[1]
            before = found[1] if in_array else b""
            if not in_array:
                name = b""
        elif bracket in b"{[":
            stack.append((name or (stack[-1][0] if bracket == b"[" and stack else b""), bracket))
            name = before = naming = b""
        elif stack:
            stack.pop()
            name = before = b""


class _Look(NamedTuple):
    """What the gate said of a body: where its expressions matched, and whether one was that of a key block, or of what may be
    broken over lines. `depth`: how many strings of JSON are around the body.
    """

    ends: list[int]
    depth: int
    joined: bool
    blocks: bool


def _windows(body: bytes, start: int, end: int, look: _Look) -> list[tuple[int, int]]:
    """The stretches of a field worth reading: none of one that was not hit, all of a short one, else what surrounds the hits."""
    ends, after = look.ends, _WIDE_BYTES if look.blocks else _AFTER_BYTES
    first = bisect_left(ends, start)
    last = bisect_left(ends, end + 1)
    if first == last:
        return []
    if end - start <= _LONG_FIELD_BYTES:
        return [(start, end)]
    found: list[tuple[int, int]] = []
    low = high = start
    for hit in ends[first:last]:
        if high > start and hit - _BEFORE_BYTES > high:
            high = _safe_end(body, low, high, end)
            found.append((low, high))
            low = _safe(body, max(high, hit - _BEFORE_BYTES), high)
        elif high == start:
            low = _safe(body, max(start, hit - _BEFORE_BYTES), start)
        high = max(high, min(end, hit + after))
    return [*found, (low, _safe_end(body, low, high, end))]


_CUT_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*+(\\(?:u[0-9a-fA-F]{0,3})?)\Z")


def _safe(body: bytes, at: int, start: int) -> int:
    """A place at or before `at` that is not inside an escape."""
    while at > start and b"\\" in body[max(start, at - 6) : at]:
        at -= 1
    return at


def _safe_end(body: bytes, low: int, at: int, end: int) -> int:
    """A place at or after `at` that is not inside an escape; otherwise what is found there might end within one.

    `low`: a place before it that is not inside one either.
    """
    cut = _CUT_ESCAPE.search(body, low, at)
    if cut is None:
        return at
    return min(end, cut.start(1) + (6 if body[cut.start(1) + 1 : cut.start(1) + 2] == b"u" else 2))
