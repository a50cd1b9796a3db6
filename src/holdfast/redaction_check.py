"""Say what would be taken out of a file, and why. Nothing is written, no home is made, and no secret is given out.

What is looked at is what recording would look at: each line of a transcript or of JSON lines is a record; a file that is one
JSON value is one; anything else is text, in blocks that overlap, since how much of it a record will hold is not known.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import msgspec

from holdfast import redaction_rules
from holdfast.errors import NotFound, UsageError
from holdfast.redact import Redactor, rules, views
from holdfast.redact.shapes import Header, Named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from holdfast.redact.shapes import Shape

KEY = "redaction-key"
UNCHECKED = "unchecked"
_WHOLE_LIMIT_BYTES = 16 << 20  # of a line, or of one JSON value, that is looked at as one
_READ_BYTES = 1 << 20
_BLOCK_BYTES, _BEFORE_BYTES, _AFTER_BYTES = 64 << 10, 4 << 10, 8 << 10
_LEAST_BLOCK_BYTES = 1 << 10
_AROUND_BYTES = 60  # of what is shown before and after a place
_WHY_BEFORE_BYTES, _WHY_AFTER_BYTES = 700, 300
_as_raw = msgspec.json.Decoder(msgspec.Raw).decode
_MEMBER = re.compile(rb"\"([^\"\\]{1,160})\"\s{0,8}:\s{0,8}\"\Z")
_NAME = re.compile(rb"([A-Za-z0-9_.-]{1,80})[^A-Za-z0-9_]{0,12}\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """A secret in a file, told without it.

    Attributes:
        file: as it was named.
        line: counted from 1. column: in characters, from 1; None in the midst of a line of megabytes.
        record: which record of JSON lines, from 1; None in other files.
        start_byte, end_byte: [start, end) in the file.
        kind: as in the placeholder. rule: the form of the rule, "" when it cannot be told.
        why: what the rule looks for. provider: whose secrets these are, where one is known.
        placeholder: what would stand in its place.
        before, after: its line around it, other secrets of it replaced.
    """

    file: str
    line: int
    column: int | None
    record: int | None
    start_byte: int
    end_byte: int
    kind: str
    rule: str
    why: str
    provider: str | None
    placeholder: str
    before: str
    after: str


@dataclass(slots=True)
class Looked:
    """What was looked at, and how many places of each kind there were."""

    size_bytes: int = 0
    records: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


class _Unit(NamedTuple):
    """Bytes that are looked at together; only what begins in [first, last) of them counts."""

    data: bytes
    base: int  # where in the file they begin
    first: int
    last: int
    line: int  # of `first`
    starts_line: bool  # whether the line of `first` begins in `data`
    record: int | None
    text: bool  # a block of text; not a record, nor one JSON value


class Checker:
    """Looks through files with the rules of a home, which need not exist.

    Args:
        home: whose rules and whose key for placeholders.
        report: called with the number of bytes looked at so far.
        load: gives a compiled gate that was kept; see `gate.Gate`.

    Raises:
        RuleError: the home's own rules cannot be used.
    """

    def __init__(
        self,
        home: Path,
        report: Callable[[int], None] = lambda _: None,
        load: Callable[[str], bytes | None] = lambda _: None,
    ) -> None:
        own = home / rules.FILE_NAME
        self._rules = rules.load(own)
        self._own = redaction_rules.own_count(own)
        self._teller = _Teller(_key(home / KEY), self._rules, load)
        self._known = {value.encode("utf-8", "surrogateescape"): name for name, value in os.environ.items()}
        self._report = report
        self.looked = Looked()

    def file(self, path: Path) -> Iterator[Place]:
        """The places in a file.

        Raises:
            NotFound: there is none of this name, or it cannot be read, or no further.
            UsageError: it is a directory.
        """
        with _readable(os.fspath(path)), path.open("rb") as stream:
            yield from self._places(stream, os.fspath(path))

    def stream(self, stream: BinaryIO, name: str) -> Iterator[Place]:
        """The places in what a stream gives. Raises as `file`."""
        with _readable(name):
            yield from self._places(stream, name)

    def _places(self, stream: BinaryIO, name: str) -> Iterator[Place]:
        before = self.looked.size_bytes
        for unit in _units(stream):
            yield from self._in_unit(unit, name)
            self.looked.records += unit.record is not None and unit.first == 0
            self.looked.size_bytes = before + unit.base + unit.last
            self._report(self.looked.size_bytes)

    def _in_unit(self, unit: _Unit, name: str) -> Iterator[Place]:
        found = self._teller.told(unit.data, as_text=unit.text)
        mine = [told for told in found if unit.first <= told.start < unit.last]
        if unit.text and any(told.kind == UNCHECKED for told in mine) and (halves := _halves(unit)):
            for half in halves:
                yield from self._in_unit(half, name)
            return
        for told in mine:
            self.looked.kinds[told.kind] += 1
            yield self._place(unit, found, told, name)

    def _place(self, unit: _Unit, found: list[_Told], told: _Told, name: str) -> Place:
        data = unit.data
        begun = data.rfind(b"\n", 0, told.start) + 1
        known = begun > 0 or unit.starts_line
        ended = data.find(b"\n", told.end)
        end = len(data) if ended < 0 else ended
        line = unit.line + data.count(b"\n", unit.first, told.start)
        rule, why = self._why(data, found, told)
        if not rule and any(other.placeholder == told.placeholder for other in found if other is not told):
            rule, why = "repeat", "the same stands elsewhere in it"
        return Place(
            file=name,
            line=line,
            column=len(data[begun : told.start].decode(errors="replace")) + 1 if known else None,
            record=unit.record,
            start_byte=unit.base + told.start,
            end_byte=unit.base + told.end,
            kind=told.kind,
            rule=rule,
            why=why,
            provider=redaction_rules.provider(told.kind) if rule.endswith(("token", "pattern")) else None,
            placeholder=told.placeholder.decode(),
            before=_shown(data, found, max(begun, told.start - _AROUND_BYTES), told.start),
            after=_shown(data, found, told.end, min(end, told.end + _AROUND_BYTES)),
        )

    # ── why ──

    def _why(self, data: bytes, found: list[_Told], told: _Told) -> tuple[str, str]:
        """(the form of the rule that finds it, what that looks for); empty when no single rule does."""
        if told.kind == UNCHECKED:
            return "limit", "it could not be looked at within the time for one text"
        if told.value in self._known:
            return "environment", f"the value of the variable {self._known[told.value]}"
        low = max(0, told.start - _WHY_BEFORE_BYTES)
        member = _MEMBER.search(data, low, told.start)
        if member is not None and self._names(member[1], told.kind) and not _touches(found, member.span(1)):
            return "named", f"the member {member[1].decode(errors='replace')!r}"
        raw = views.View(data[low : told.end + _WHY_AFTER_BYTES])
        said = views.unescaped(raw) or raw
        place = told.start - low, told.end - low
        for number, shape in enumerate(self._rules.shapes):
            if (
                self._may_tell(shape, told.kind)
                and (name := self._finds(shape, said, place, told.kind)) is not None
            ):
                form, what = redaction_rules.told_by(shape, number, self._own)
                return form, f"the name {name}" if name else what
        return "", ""

    def _names(self, name: bytes, kind: str) -> bool:
        named = self._rules.names.kind(name)
        return named is not None and named[0] == kind

    def _may_tell(self, shape: Shape, kind: str) -> bool:
        if isinstance(shape, Header):
            return kind in {shape.kind, "bearer-token", "basic-auth"}
        return isinstance(shape, Named) or getattr(shape, "kind", None) == kind

    def _finds(self, shape: Shape, said: views.View, place: tuple[int, int], kind: str) -> str | None:
        """Whether a rule finds what stands at a place, in any reading: the name that tells it, "" without one, or None."""
        near: str | None = None
        for view in views.readings(said.text):
            runs = [(text, (start, end)) for start, end, text, *_ in views.base64_runs(view)]
            for text, run in [(view.text, None), *runs]:
                for secret in shape.find(text, 0, len(text)):
                    found = said.places(*view.places(*(run or (secret.start, secret.end))))
                    if secret.kind != kind or found[1] <= place[0] or place[1] <= found[0]:
                        continue
                    name = self._named(shape, text[max(0, secret.start - 100) : secret.start], kind)
                    if found == place:
                        return name
                    near = name if near is None and not view.joined else near
        return near

    def _named(self, shape: Shape, before: bytes, kind: str) -> str:
        """The name that tells of a secret, out of what stands before it; "" when no name does."""
        name = _NAME.search(before) if isinstance(shape, Named) else None
        return name[1].decode() if name is not None and self._names(name[1], kind) else ""


def without_secrets(text: str) -> str:
    """A short text, such as an error message, without secrets of the bundled forms; for people, not for records.

    No gate is made ready for it: that would take longer than all of the rest.
    """
    data = text.encode("utf-8", "replace")
    try:
        found = [
            (*view.places(secret.start, secret.end), secret.kind)
            for view in views.readings(data)
            for shape in rules.load().shapes
            if _may_begin(shape, view.text)
            for secret in shape.find(view.text, 0, len(view.text))
        ]
    except Exception:  # noqa: BLE001 - what cannot be looked at is not shown
        return "(a message that could not be looked through)"
    parts, at = [], 0
    for start, end, kind in sorted(found):
        if end > at:
            parts += [data[at : max(at, start)], b"[REDACTED:%b]" % kind.encode()] if start >= at else []
            at = end
    return b"".join([*parts, data[at:]]).decode(errors="replace")


def _may_begin(shape: Shape, text: bytes) -> bool:
    """Whether one of the beginnings that a shape needs is there: it spares compiling hundreds of expressions for one line."""
    prefixes: tuple[bytes, ...] = getattr(shape, "prefixes", ())
    return not prefixes or any(prefix in text for prefix in prefixes)


def _touches(found: list[_Told], span: tuple[int, int]) -> bool:
    return any(told.start < span[1] and span[0] < told.end for told in found)


def _shown(data: bytes, found: list[_Told], start: int, end: int) -> str:
    """A stretch with every secret of it, whole or in part, as its placeholder."""
    parts, at = [], start
    for told in found:
        if told.end <= at or told.start >= end:
            continue
        parts += [data[at : told.start], told.placeholder]
        at = told.end
    parts.append(data[at:end] if at < end else b"")
    return b"".join(parts).decode(errors="replace")


def _key(path: Path) -> bytes | None:
    """The key of a home's placeholders; None when there is no home yet, or its key cannot be read."""
    try:
        return bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError):
        return None


# ── the redactor, asked where ──


class _Told(NamedTuple):
    """What would be taken out: [start, end) of a body, and what would stand there."""

    start: int
    end: int
    kind: str
    placeholder: bytes
    value: bytes = b""


class _Teller(Redactor):
    """Cleans with marks in the place of placeholders, and finds by them where it took something out.

    Everything that `clean` does is told so: also repeats of what was found elsewhere, and pieces of streams.
    """

    def __init__(self, key: bytes | None, own: rules.Rules, load: Callable[[str], bytes | None]) -> None:
        super().__init__(key, own, load=load, environment=os.environ)
        self._mark = b"\0%b:" % os.urandom(12).hex().encode()
        self._taken: list[tuple[str, bytes, bytes]] = []  # kind, placeholder, value

    def placeholder(self, kind: str, value: bytes) -> bytes:
        self._taken.append((kind, super().placeholder(kind, value), value))
        return b"%b%d\0" % (self._mark, len(self._taken) - 1)

    def told(self, data: bytes, *, as_text: bool) -> list[_Told]:
        """What would be taken out of a body. `as_text`: it is none of JSON, however it begins."""
        body = b"\n" + data if as_text else data
        self._taken = []
        cleaned = self.clean(body).body
        if cleaned is body:
            return []
        ends = {found.start: found.end for found in self.places(body)}
        pieces = re.split(re.escape(self._mark) + rb"(\d+)\0", cleaned)
        out: list[_Told] = []
        at = len(pieces[0])
        for number, after in zip(map(int, pieces[1::2]), pieces[2::2], strict=True):
            kind, placeholder, value = self._taken[number]
            last = len(out) * 2 + 3 >= len(pieces)
            end = len(body) - len(after) if last else _end(body, at, after, value, ends)
            out.append(_Told(at - as_text, end - as_text, kind, placeholder, value))
            at = end + len(after)
        return out


def _end(body: bytes, start: int, after: bytes, value: bytes, ends: dict[int, int]) -> int:
    """Where what was taken out at `start` ends, when `after` stands behind it."""
    for end in (ends.get(start, -1), start + len(value) if body.startswith(value, start) else -1):
        if end > start and body.startswith(after, end):
            return end
    return max(start, body.find(after, start + 1))


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """What the system refuses of a file, in words."""
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFound(f"{name} does not exist", hint="`-` stands for standard input") from exc
    except IsADirectoryError as exc:
        raise UsageError(f"{name} is a directory", hint="name the files") from exc
    except OSError as exc:
        raise NotFound(
            f"{name} cannot be read: {exc.strerror}", hint="repair its name, or access to it"
        ) from exc


# ── what is looked at together ──


def _units(stream: BinaryIO) -> Iterator[_Unit]:
    """A stream in records, as one JSON value, or in blocks of text."""
    first = stream.readline(_WHOLE_LIMIT_BYTES)
    if _is_value(first):
        yield from _records(first, stream)
        return
    whole = first
    if first.lstrip()[:1] in {b"{", b"["}:
        whole += stream.read(_WHOLE_LIMIT_BYTES - len(first) + 1)
        if len(whole) <= _WHOLE_LIMIT_BYTES and _is_value(whole):
            yield _Unit(whole, 0, 0, len(whole), 1, starts_line=True, record=None, text=False)
            return
    yield from _text(_reading(whole, stream.read), 0, 1, None)


def _is_value(text: bytes) -> bool:
    """Whether a text is one JSON object or list."""
    if text[:1] not in {b"{", b"["}:
        return False
    try:
        _as_raw(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _records(line: bytes, stream: BinaryIO) -> Iterator[_Unit]:
    """JSON lines, from the first on. A line too long to be held is text, in blocks."""
    at, number = 0, 1
    while line:
        if len(line) >= _WHOLE_LIMIT_BYTES and not line.endswith(b"\n"):
            base = at
            for unit in _text(_reading(line, _rest_of_line(stream)), base, number, number):
                at = unit.base + unit.last
                yield unit
        else:
            yield _Unit(line, at, 0, len(line), number, starts_line=True, record=number, text=False)
            at += len(line)
        number += 1
        line = stream.readline(_WHOLE_LIMIT_BYTES)


def _rest_of_line(stream: BinaryIO) -> Callable[[int], bytes]:
    ended = False

    def read(size: int) -> bytes:
        nonlocal ended
        piece = b"" if ended else stream.readline(size)
        ended = ended or piece.endswith(b"\n")
        return piece

    return read


def _reading(begun: bytes, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """What was read already, then the rest."""
    pieces = [begun]

    def both(size: int) -> bytes:
        return pieces.pop() if pieces and pieces[0] else read(size)

    return both


def _text(read: Callable[[int], bytes], base: int, line: int, record: int | None) -> Iterator[_Unit]:
    """Text in blocks that end where a line ends, if they can; each with what stands before and behind it."""
    begun = base
    held, at, ended = b"", 0, False  # `at`: where in `held` the next block begins
    while True:
        while not ended and len(held) - at < _BLOCK_BYTES + _AFTER_BYTES:
            chunk = read(_READ_BYTES)
            ended = not chunk
            held += chunk
        if at >= len(held):
            return
        end = min(len(held), at + _BLOCK_BYTES)
        if end < len(held):
            end = held.rfind(b"\n", at, end) + 1 or end
        low = max(0, at - _BEFORE_BYTES)
        data = held[low : end + _AFTER_BYTES]
        starts = base + low == begun
        yield _Unit(data, base + low, at - low, end - low, line, starts, record, text=True)
        line += held.count(b"\n", at, end)
        drop = max(0, end - _BEFORE_BYTES)
        held, base, at = held[drop:], base + drop, end - drop


def _halves(unit: _Unit) -> list[_Unit]:
    """A block in two, where it was too much for the time that one text may take; none when it is small."""
    size = unit.last - unit.first
    if size < 2 * _LEAST_BLOCK_BYTES:
        return []
    middle = unit.data.rfind(b"\n", unit.first, unit.first + size // 2) + 1 or unit.first + size // 2
    out = []
    for first, last in ((unit.first, middle), (middle, unit.last)):
        low = max(0, first - size // 4)
        high = min(len(unit.data), last + size // 4)
        line = unit.line + unit.data.count(b"\n", unit.first, first)
        starts = unit.starts_line and low == 0
        out.append(
            _Unit(
                unit.data[low:high],
                unit.base + low,
                first - low,
                last - low,
                line,
                starts,
                unit.record,
                text=True,
            )
        )
    return out
