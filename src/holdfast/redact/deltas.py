"""Secrets that a stream brings in pieces: "ghp_ab" in one record, the rest of it in the next.

The end of what a stream said so far is kept in memory, and each new piece is read behind it. A piece is written when it
comes, not when its secret is complete, so an end that could be the beginning of a secret is taken out at once.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from holdfast.redact.named import Found
from holdfast.redact.shapes import KeyBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holdfast.redact.finder import Finder

# In raw JSON, what says that a record is a piece of something.
MARK = (
    rb"\"(?:type|kind|event|object|name|op|method|channel|stream)\"[ ]?:[ ]?\"[a-zA-Z0-9_./-]*"
    rb"(?:delta|chunk|partial|stream|fragment|piece)[a-zA-Z0-9_./-]*\"|\"(?:delta|chunk)\"[ ]?:"
)
TEXTS = frozenset(
    b"text delta content thinking reasoning partial_json arguments chunk output stdout stderr data value message body input token line part".split()
)
_NAMES = (
    rb"type|kind|event|object|session|session_id|sessionId|thread|thread_id|threadId|turn_id|item_id|itemId|message_id|call|call_id|callId|tool_call_id|"
    rb"tool_use_id|span|span_id|agent|agent_id|agentId|id|output_index|content_index|summary_index|stream|channel|parent_tool_use_id|run_id|name|part"
)
_ABOUT = re.compile(rb"\"(%b)\"[ ]?:[ ]?(\"[^\"\\]{0,120}\"|[0-9]{1,9})" % _NAMES)
_KEPT_BYTES = 2_048
_STREAMS = 512
_LEAST_BYTES = 5  # what a shorter beginning gives away is not worth a false alarm
_GOES_ON = b"x7Kq2Vw9Rt4Zb8Nc3Mf6Yh5Jd1Lg0Pz7Sv2Qk9Wj4Xn8Bt3Hr6Df5Tm1Gc0Fy7Lp2Ks9Zv4Nq8Wx3Rb6Jh5Vd1"  # any secret might go on so
_RUN_BYTES = 600  # so much of the word that a stream ends in is looked at
_BREAK = re.compile(rb"[\s\"'`<>(){}\[\],;]")
_DRAWN = re.compile(rb"[0-9]|[a-z][A-Z][^_-]*[a-z]")
_MEANT = re.compile(rb"[A-Z][A-Z0-9_]{3,60}=[\"']?\Z|--[a-z-]{3,30}[= ][\"']?\Z")
_LETTERS = re.compile(rb"[A-Za-z_.]{1,40}\Z")


class Deltas:
    """The streams under way in this process."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._lock = threading.Lock()
        self._said: OrderedDict[bytes, bytes] = OrderedDict()

    def go_on(self, streams: Iterable[bytes], piece: bytes) -> list[bytes]:
        """Take the next piece of a stream, which may be one of several (`stream_of`); what was said before it."""
        return list(dict.fromkeys([self._go_on(stream, piece) for stream in streams]))

    def find(self, before: Iterable[bytes], piece: bytes, check: Callable[[], None]) -> list[Found]:
        """The secrets, whole or in part, in a piece, after what may have been said before it."""
        found: list[Found] = []
        for said in before:
            text, at = said + piece, len(said)
            found += [
                secret._replace(start=max(0, secret.start - at), end=min(secret.end, len(text)) - at)
                for secret in (*self._finder.find(text, check), *self._begun(text, check))
                if secret.end > at
            ]
        return found

    def _go_on(self, stream: bytes, piece: bytes) -> bytes:
        """What a stream said so far; from now on, the piece too."""
        with self._lock:
            said = self._said.pop(stream, b"")
            self._said[stream] = _kept(said + piece)
            while len(self._said) > _STREAMS:
                self._said.popitem(last=False)
        return said

    def _begun(self, text: bytes, check: Callable[[], None]) -> list[Found]:
        """Where a secret may have begun that goes on in the next piece."""
        run = _BREAK.split(text[-_RUN_BYTES:])[-1]
        if len(run) < _LEAST_BYTES:
            return []
        tail = text[-_KEPT_BYTES:]
        for token in self._tokens_begun(run):
            return [Found(len(text) - len(token[0]), len(text), token[1], token[0])]
        skipped = len(text) - len(tail)
        more = _GOES_ON + (b"@h1.host.net/ " if b"://" in run else b'" ')
        for secret in self._finder.find(tail + more, check):
            start = secret.start + skipped
            if start < len(text) < secret.end + skipped and len(text) - start >= _LEAST_BYTES:
                so_far = text[start:]
                if _MEANT.search(text, max(0, start - 80), start) or not (
                    _LETTERS.match(so_far) and so_far.lower() == so_far
                ):
                    return [Found(start, len(text), secret.kind, so_far)]
        return []

    def _tokens_begun(self, run: bytes) -> Iterator[tuple[bytes, str]]:
        for shape in self._finder.tokens:
            if not any(prefix in run for prefix in shape.prefixes):
                continue
            found = shape.begun.search(run)
            if found and len(found[0]) >= _LEAST_BYTES + 2 and _DRAWN.search(found[0]):
                yield found[0], shape.kind


def _kept(said: bytes) -> bytes:
    """The end of what was said; of a key block that is not closed also how it began."""
    end = said[-_KEPT_BYTES:]
    opened = list(KeyBlock.begin.finditer(said))
    if opened and len(said) > _KEPT_BYTES and not KeyBlock.end.search(said, opened[-1].end()):
        return opened[-1][0] + b"\n" + end
    return end


def stream_of(body: bytes, text_name: bytes) -> tuple[bytes, ...]:
    """What tells the stream that a piece belongs to: the ids, names and numbers beside its text.

    An `id` may be the stream's, or that of the piece alone. Where there is one, the piece is taken for one of either stream.
    """
    told = set(_ABOUT.findall(body))
    without = {pair for pair in told if pair[0] != b"id"}
    return tuple(dict.fromkeys(_key(pairs, text_name) for pairs in (told, without)))


def _key(pairs: Iterable[tuple[bytes, bytes]], text_name: bytes) -> bytes:
    return b"\0".join(sorted(b"=".join(pair) for pair in pairs)) + b"\0" + text_name
