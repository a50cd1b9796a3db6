"""What a body says of whose it is, where it is too long or too damaged to be translated as a whole.

One pass over the bytes keeps the few members of the outermost object by which translators tell a session, and nothing below
them. What is held is one such text at most, whatever the body's size.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import BlobDamaged
from holdfast.store import bodies
from holdfast.store.bodies import Body
from holdfast.store.project import Translation, translated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from holdfast.events import Event
    from holdfast.journal.format import Record
    from holdfast.store.project import Translator

HEAD_CHARS = 300  # of texts, which say nothing about whose they are
_OWNERS = frozenset({"session", "session_id", "sessionId", "path"})
_KEPT = _OWNERS | {"kind", "event_type", "type"}
_TEXT_LIMIT_BYTES = 192 << 10  # as of condensed bodies: what is longer is no id
_OUTSIDE = re.compile(rb'["\[\]{}:,]')
_PASSED = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)  # nothing that is nested
_WITHIN = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_encode = msgspec.json.Encoder().encode


def events_of(
    translator: Translator, record: Record, blob_directory: Path, path: str | None, start: int
) -> list[Event] | None:
    """What a record says, texts cut, as far as it is needed to tell whose it is; None: that cannot be told."""
    whole = False
    try:
        body = bodies.read(record, blob_directory, HEAD_CHARS)
        found = _understood(translator, record, body, path, start)
        if record.z is not None or found.events or found.kept:
            return found.events or (None if record.z is not None else [])
        whole = body.text is None
    except BlobDamaged:
        pass
    members = outline(bodies.as_it_is(record, blob_directory))
    if not whole and not any(members.get(name) for name in _OWNERS):
        return None
    return _understood(translator, record, Body(_encode(members), 0, None), path, start).events


def _understood(
    translator: Translator, record: Record, body: Body, path: str | None, start: int
) -> Translation:
    try:
        return translated(translator, record, body, path, start)
    except Exception:  # noqa: BLE001 - one record no translator was ready for must not keep all others; folding it tells of it
        return Translation()


def outline(chunks: Iterable[bytes]) -> dict[str, str | None]:
    """The members of the outermost object that tell whose a body is; None: the value is no text.

    The body need not be JSON to its end, nor what was written.
    """
    scan = _Scan()
    for chunk in chunks:
        scan.feed(chunk)
    return scan.found


class _Scan:
    """Where in the body we are, and what was found."""

    def __init__(self) -> None:
        self.found: dict[str, str | None] = {}
        self._depth = 0
        self._over = False  # the outermost object has ended, or there is none
        self._name: str | None = None  # of the member whose value comes
        self._text: bytearray | None = None  # of the string we are in; None: we are in none
        self._last: str | None = None  # the string that ended last, where it may be a name
        self._held = b""  # a backslash that the next chunk goes on from

    def feed(self, chunk: bytes) -> None:
        data, at = self._held + chunk, 0
        self._held = b""
        while at < len(data) and not self._over:
            at = self._outside(data, at) if self._text is None else self._inside(data, at, self._text)

    def _outside(self, data: bytes, at: int) -> int:
        if self._depth > 1 and (passed := _PASSED.match(data, at)):
            at = passed.end()
        found = _OUTSIDE.search(data, at)
        if found is None:
            return len(data)
        self._sign(found[0])
        return found.end()

    def _sign(self, sign: bytes) -> None:
        if sign == b'"':
            self._text = bytearray()
        elif sign in b"{[":
            self._over = self._depth == 0 and sign == b"["
            self._depth += 1
        elif sign in b"}]":
            self._depth -= 1
            self._over = self._depth <= 0
        elif self._depth == 1:
            self._name = self._last if sign == b":" and self._last in _KEPT else None
            self._last = None
            if self._name is not None:
                self.found[self._name] = None

    def _inside(self, data: bytes, at: int, text: bytearray) -> int:
        found = _WITHIN.match(data, at)
        end = found.end() if found else at
        if self._depth == 1 and len(text) <= _TEXT_LIMIT_BYTES:
            text += data[at:end]
        if data[end : end + 1] == b'"':
            self._close(text)
        else:
            self._held = data[end:]
        return end + 1

    def _close(self, text: bytearray) -> None:
        self._text = None
        said = _decoded(text) if self._depth == 1 and len(text) <= _TEXT_LIMIT_BYTES else None
        if self._name is not None:
            self.found[self._name] = said
            self._name = None
        else:
            self._last = said


def _decoded(text: bytearray) -> str | None:
    try:
        return msgspec.json.decode(b'"' + text + b'"', type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
