"""Ids: random ones that sort by time (UUIDv7) and derived ones that repeat (UUIDv8).

UUID layouts: RFC 9562, sections 5.7 and 5.8. The random part of every UUIDv7 made by one process comes from
`os.urandom`; inside a millisecond a 12-bit counter keeps ids strictly rising, and a clock that is set
back does not: the last millisecond used is kept.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time

_COUNTER_MAX = 0xFFF
_POOL_IDS = 128  # random bytes are fetched for this many ids at once: one system call instead of 128

_lock = threading.Lock()
_last_ms = 0
_counter = 0
_head = ""  # what the ids of the last millisecond begin with
_pool = ""
_pool_at = 0
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def _forget_after_fork() -> None:
    """Drop the random pool in a forked child, so that parent and child never hand out the same bytes."""
    global _lock, _pool, _pool_at  # noqa: PLW0603 - module state is the point
    _lock = threading.Lock()
    _pool, _pool_at = "", 0


os.register_at_fork(after_in_child=_forget_after_fork)


def uuid7() -> str:
    """Make a new id; ids of one process rise strictly, whatever the clock does."""
    global _last_ms, _counter, _head, _pool, _pool_at  # noqa: PLW0603 - module state is the point
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        _counter += 1
        if now_ms > _last_ms or _counter > _COUNTER_MAX:
            _last_ms, _counter = max(now_ms, _last_ms + 1), 0
            _head = f"{_last_ms >> 16:08x}-{_last_ms & 0xFFFF:04x}-7"
        if _pool_at >= len(_pool):
            _pool, _pool_at = os.urandom(8 * _POOL_IDS).hex(), 0
        tail = _pool[_pool_at : _pool_at + 16]
        _pool_at += 16
        head = f"{_head}{_counter:03x}"
    return f"{head}-{_VARIANT[tail[0]]}{tail[1:4]}-{tail[4:]}"


def derived(*parts: str) -> str:
    """The id that the same parts always give (UUIDv8 over SHA-256).

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ. Any text is accepted, lone surrogates too.
    """
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    h = digest.hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def short(text: str, chars: int = 16) -> str:
    """A short fixed-length hex name for any text, safe as a file name: ids from outside never become paths."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:chars]
