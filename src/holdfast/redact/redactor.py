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
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from holdfast.redact import rules as rules_module
from holdfast.redact.deltas import TEXTS, Deltas, stream_of
from holdfast.redact.environment import Known, secret_values
from holdfast.redact.finder import Finder, TooLong
from holdfast.redact.members import (
    VALUED,
    Member,
    inside_strings,
    is_escaped,
    members,
    opens,
    safe,
    safe_end,
    stands_alone,
    strings,
)
from holdfast.redact.named import Found, united
from holdfast.redact.plausible import Place, is_secret
from holdfast.redact.shapes import KeyBlock, SignedToken, Token
from holdfast.redact.views import View, unescaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from holdfast.redact.rules import Rules

UNCHECKED = "unchecked"  # the kind of what could not be looked at
LIMIT_S = 0.050  # of processor time for one field; late twice, the whole field goes
_NEUTRAL = VALUED | frozenset(b" key current old new previous next data raw plain text plaintext".split(b" "))
_KEY_LINE = re.compile(rb"[A-Za-z0-9+/=](?:\\[rn]|[A-Za-z0-9+/=])*+\Z")
_LEAST_KEY_LINE_BYTES = 16  # of the first one
_HEADER_LINE = re.compile(rb"[+ \t-]*(?:[A-Z][A-Za-z-]{2,20}: [^\"]{0,120})?(?:\\[rn])*\Z")
_ONLY_KEY = re.compile(rb"(?:\\[rn]|[A-Za-z0-9+/=\s])*\Z")
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
_LONG_REPEATED_BYTES = 16
_PIECE_BYTES = 256 << 10  # of a body that is not held whole
_LINES_BYTES = 16 << 10  # of a text that is no JSON
_TAIL_BYTES = 64 << 10
_LEAST_TAIL_BYTES = 8 << 10
_LONG_PIECE_BYTES = 64 << 10
_LONGEST_HELD_BYTES = 4 * _PIECE_BYTES
_PLACEHOLDER = re.compile(rb"\[REDACTED:[a-z0-9-]{1,40}:[0-9a-f]{4}\]")
_OF_DEFINITION = re.compile(
    rb'\{"session":"holdfast\.definitions","kind":"definition\.'
)  # as Holdfast writes them
_IDENTITIES = frozenset((b"path", b"path_before", b"root", b"name", b"name_before"))
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

    @property
    def certain_kinds(self) -> frozenset[str]:
        """The kinds of secrets that are told by their own form, wherever they stand: tokens of providers, keys."""
        shapes = self._rules.shapes
        return frozenset(shape.kind for shape in shapes if isinstance(shape, Token | KeyBlock | SignedToken))

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
        found = _but_identities(body, _repeated(body, united(found)))
        if not found:
            return Cleaned(body, {})
        kinds: Counter[str] = Counter()
        return Cleaned(self._replaced(body, found, kinds), kinds)

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
        block = _Block()
        for member in members(body):
            found += self._in_member(body, member, look)
            if look.blocks:  # a key block may go on over the strings of an array
                found += block.line(body, member)
        return found

    def _pieces(self, body: bytes) -> list[Found]:
        """What a record that is a piece of a stream holds of secrets that began before it, or go on after it."""
        found: list[Found] = []
        for member in members(body):
            if member.name not in TEXTS or member.end - member.start > _LONG_PIECE_BYTES:
                continue
            try:
                said = _said(body[member.start : member.end])
                before = self._deltas.go_on(stream_of(body, member.name), said.text)
                secrets = _in_time(partial(self._deltas.find, before, said.text))
                found += _back(secrets, said, member.start)
            except Exception:  # noqa: BLE001 - what cannot be looked at must not be written
                found.append(Found(member.start, member.end, UNCHECKED))
        return found

    def _in_member(self, body: bytes, member: Member, look: _Look) -> list[Found]:
        start, end = member.start, member.end
        if end - start < 5:
            return []
        value = body[start:end]
        if (
            member.name in self._rules.skipped_members
            and _BINARY.match(value)
            and not self._finder.begins_a_token(value)
        ):
            return []
        try:
            told = self._by_name(member, value)
        except Exception:  # noqa: BLE001 - what cannot be looked at must not be written
            return [Found(start, end, UNCHECKED)]
        if told is not None:
            return [Found(start, end, *told)]
        return self._in_field(body, start, end, look)

    def _by_name(self, member: Member, value: bytes) -> tuple[str, bytes] | None:
        label = _PLACEHOLDER.sub(b"", member.label)  # what was taken out of it names nothing
        names = [(name, True) for name in (member.name, label) if name]
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
        try:
            inner = _json_in(body[start:end], look.depth)
            if inner is not None:
                return _back(self.places(inner.text, depth=look.depth + 1), inner, start)
            found = _in_time(partial(self._in_windows, body, start, end, windows, look))
        except Exception:  # noqa: BLE001 - what cannot be looked at must not be written
            return [Found(start, end, UNCHECKED)]
        return united(found)

    def _in_windows(
        self,
        body: bytes,
        start: int,
        end: int,
        windows: list[tuple[int, int]],
        look: _Look,
        check: Callable[[], None],
    ) -> list[Found]:
        found: list[Found] = []
        for first, last in windows:
            found += self._in_stretch(body, first, last, check, joined=look.joined)
            if found and found[-1].end >= last - _EDGE_BYTES and last < end:  # it may go on
                wide = safe(body, found[-1].start - _BEFORE_BYTES, start), min(end, last + _WIDE_BYTES)
                found += self._in_stretch(body, *wide, check, joined=look.joined)
        return found

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
        held, in_string, least = b"", False, _PIECE_BYTES
        for chunk in chunks:
            held += chunk
            if len(held) < least:
                continue
            found = self._in_piece(held, in_string)
            cut = _clear_cut(held, found)
            least = len(held) + _PIECE_BYTES - cut  # when a secret may go on at its end, more is awaited
            if cut:
                piece, held = held[:cut], held[cut:]
                yield self._replaced(piece, [secret for secret in found if secret.start < cut], kinds)
                in_string ^= opens(piece)
        if held:
            yield self._replaced(held, self._in_piece(held, in_string), kinds)

    def _in_piece(self, piece: bytes, in_string: bool) -> list[Found]:  # noqa: FBT001 - a state
        """The secrets in a piece of a text, which may begin and end within a string if it is JSON."""
        text = b'"' * in_string + piece
        text += b'"' * opens(text)
        try:
            hits, known = self._hits(text), self._known.find(text)
            if not hits and not known:
                return []
            if strings(text) is None:  # no JSON, or damaged before
                return self._in_text(piece)
            found = _repeated(text, united([*self._in_members(text, hits, 0), *known]))
        except Exception:  # noqa: BLE001 - what cannot be looked at must not be written
            spans = strings(text)
            if spans is None:
                return [Found(0, len(piece), UNCHECKED)]
            found = [Found(start, end, UNCHECKED) for start, end in spans if start < end]
        return [
            secret._replace(start=secret.start - in_string, end=secret.end - in_string) for secret in found
        ]

    def _in_text(self, text: bytes) -> list[Found]:
        """The secrets in a long text that is no JSON, so many lines at a time."""
        look = self._look(self._hits(text), 0)
        found = self._known.find(text)
        start = 0
        while start < len(text):
            line_end = text.find(b"\n", start + _LINES_BYTES)
            end = line_end + 1 if 0 <= line_end < start + 2 * _LINES_BYTES else start + 2 * _LINES_BYTES
            end = safe_end(text, start, min(end, len(text)), len(text))
            found += self._in_field(text, start, end, look)
            start = end
        return united(found)


def _but_identities(body: bytes, found: list[Found]) -> list[Found]:
    """Without what stands in a definition's path or name: by these its file is found and given back, so no other may stand for them."""
    if not found or not _OF_DEFINITION.match(body):
        return found
    exact = [(member.start, member.end) for member in members(body) if member.name in _IDENTITIES]
    return [one for one in found if not any(start <= one.start and one.end <= end for start, end in exact)]


def _clear_cut(held: bytes, found: list[Found]) -> int:
    """Where to cut a JSON text so that no secret is torn, nor what names it; 0: more of it must be known first."""
    cut = _cut(held)
    for secret in found:
        if secret.start >= cut + _BEFORE_BYTES:
            break
        cut = max(cut, secret.end)
    if len(held) - cut < _EDGE_BYTES and len(held) < _LONGEST_HELD_BYTES:
        return 0
    return cut


def _cut(held: bytes) -> int:
    """Where to cut a JSON text, so that nothing that belongs together is torn: not in an escape, and if it can be helped at the
    end of a line or a word, before a key block that is still open.
    """
    low = len(held) - _TAIL_BYTES
    opened = held.rfind(b"-----BEGIN ", len(held) // 2)
    if opened > 0 and b"-----END " not in held[opened:]:
        return safe(held, opened, 0)
    for mark, after in ((b"\\n", 2), (b'",', 2), (b" ", 1), (b",", 1)):
        at = held.rfind(mark, low, len(held) - _LEAST_TAIL_BYTES)
        if at >= 0 and not is_escaped(held, at):
            return at + after
    return safe(held, len(held) - _LEAST_TAIL_BYTES, 0)


def _in_time(find: Callable[[Callable[[], None]], list[Found]]) -> list[Found]:
    """What it finds within the limit. A first time may be late for what is none of its doing: a collection of garbage, a cold start.

    Raises:
        TooLong: it was late twice.
    """
    try:
        return find(_clock())
    except TooLong:
        return find(_clock())


def _clock() -> Callable[[], None]:
    """Raises TooLong when it is called and more than the limit has gone by."""
    limit = time.thread_time() + LIMIT_S

    def check() -> None:
        if time.thread_time() > limit:
            raise TooLong

    return check


def _repeated(body: bytes, found: list[Found]) -> list[Found]:
    """What was found, and the places where the same bytes stand again, in strings and by themselves."""
    more: list[Found] = []
    seen: set[bytes] = set()
    for secret in found[:_REPEATS]:
        raw = body[secret.start : secret.end]
        if raw in seen or secret.kind == UNCHECKED or not _is_telling(raw):
            continue
        seen.add(raw)
        more += (
            secret._replace(start=at, end=at + len(raw))
            for at in _again(body, raw)
            if stands_alone(body, at, len(raw))
        )
    return united([*found, *inside_strings(body, more)])


def _again(body: bytes, raw: bytes) -> Iterator[int]:
    at = body.find(raw)
    while at >= 0:
        yield at
        at = body.find(raw, at + len(raw))


def _is_telling(raw: bytes) -> bool:
    """Whether the same bytes elsewhere are the same secret; a word or a number may be just that."""
    return len(raw) >= _LEAST_REPEATED_BYTES and (
        len(raw) >= _LONG_REPEATED_BYTES or not (raw.isalpha() or raw.isdigit())
    )


class _Block:
    """A key block whose lines are strings of one array."""

    def __init__(self) -> None:
        self._array = 0  # the one it stands in; 0: none is open
        self._lines = 0

    def line(self, body: bytes, member: Member) -> list[Found]:
        """What the next string of the body holds of a block that began in an earlier one: all of it but its indentation."""
        value = body[member.start : member.end]
        found: list[Found] = []
        if self._array:
            found = self._rest(member, value)
            if (
                member.array != self._array
                or KeyBlock.end.search(value)
                or not (found or _HEADER_LINE.match(value))
            ):
                self._array = 0
        opened = [*KeyBlock.begin.finditer(value)]
        if opened and member.array and _ONLY_KEY.match(value, opened[-1].end()):
            self._array, self._lines = member.array, 0
        return found

    def _rest(self, member: Member, value: bytes) -> list[Found]:
        closed = KeyBlock.end.search(value)
        line = value[: closed.start()] if closed else value
        start = len(line) - len(line.lstrip(b"+- \t"))
        size = len(line) - start
        if member.array != self._array or size < (1 if self._lines else _LEAST_KEY_LINE_BYTES):
            return []
        if not _KEY_LINE.match(line[start:]):
            return []
        self._lines += 1
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
            high = safe_end(body, low, high, end)
            found.append((low, high))
            low = safe(body, max(high, hit - _BEFORE_BYTES), high)
        elif high == start:
            low = safe(body, max(start, hit - _BEFORE_BYTES), start)
        high = max(high, min(end, hit + after))
    return [*found, (low, safe_end(body, low, high, end))]
