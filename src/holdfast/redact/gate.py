"""The gate: one scan that tells of nearly every text that there is nothing in it.

With `hyperscan` the scan costs about a microsecond and a half for a kilobyte. Without it the same expressions are looked for
with `re`, about a thousand times slower; `doctor` says which one is at work.
"""

from __future__ import annotations

import hashlib
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

hyperscan: Any
try:
    import hyperscan
except ImportError:  # no wheel for this platform
    hyperscan = None

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

APART_BYTES = 16  # matches of one expression that end closer together are told once


_Hits = list[tuple[int, int]]


class Gate:
    """Expressions looked for at once.

    Args:
        expressions: regular expressions over bytes, without assertions and back references; all repeats bounded.
        load: gives the compiled form kept under a name, or None; keep: keeps one. Compiling takes tenths of a second.
        apart_bytes: matches of one expression that end closer together are told once, by the first.
    """

    def __init__(
        self,
        expressions: Sequence[bytes],
        load: Callable[[str], bytes | None] = lambda _: None,
        keep: Callable[[str, bytes], None] = lambda _, __: None,
        *,
        apart_bytes: int = APART_BYTES,
    ) -> None:
        self.hits = (
            _fallback(expressions, apart_bytes)
            if hyperscan is None
            else _hyperscan(expressions, load, keep, apart_bytes)
        )

    hits: Callable[[bytes], list[tuple[int, int]]]
    """(number of the expression, where a match of it ends) for the matches in a text, in no order."""


def engine() -> str:
    """What does the work: "hyperscan", or "re"."""
    return "re" if hyperscan is None else "hyperscan"


def _hyperscan(
    expressions: Sequence[bytes],
    load: Callable[[str], bytes | None],
    keep: Callable[[str, bytes], None],
    apart: int,
) -> Callable[[bytes], _Hits]:
    digest = hashlib.sha256(b"\0".join((hyperscan.__version__.encode(), *expressions))).hexdigest()
    kept = load(digest)
    db = None
    if kept is not None:
        try:
            db = hyperscan.loadb(kept, hyperscan.HS_MODE_BLOCK)
        except hyperscan.HyperscanError:  # of another machine, or damaged
            db = None
    if db is None:
        db = _compiled(tuple(expressions))
        keep(digest, hyperscan.dumpb(db))
    scan, base = db.scan, hyperscan.Scratch(db)
    mine = threading.local()  # a scan under way holds its scratch space, and lets other threads run

    def note(number: int, _start: int, end: int, _flags: int, told: tuple[_Hits, dict[int, int]]) -> None:
        if end - told[1].get(number, -apart) >= apart:
            told[1][number] = end
            told[0].append((number, end))

    def hits(text: bytes) -> _Hits:
        found: _Hits = []
        try:
            scratch = mine.scratch
        except AttributeError:
            scratch = mine.scratch = base.clone()
        scan(text, note, context=(found, {}), scratch=scratch)
        return found

    return hits


@lru_cache(maxsize=2)
def _compiled(expressions: tuple[bytes, ...]) -> Any:  # noqa: ANN401 - a type of a module without types
    """A process that makes several redactors compiles once."""
    db = hyperscan.Database()
    db.compile(
        expressions=list(expressions),
        ids=list(range(len(expressions))),
        elements=len(expressions),
    )
    return db


def _fallback(expressions: Sequence[bytes], apart: int) -> Callable[[bytes], _Hits]:
    """The same with `re`: one look for all, and where that finds something one for each."""
    single = [_localised(expression) for expression in expressions]
    every = re.compile(b"|".join(b"(?:%b)" % expression for expression in single))
    compiled: list[re.Pattern[bytes] | None] = [None] * len(single)

    def hits(text: bytes) -> _Hits:
        if every.search(text) is None:
            return []
        found: _Hits = []
        for number, expression in enumerate(single):
            pattern = compiled[number] = compiled[number] or re.compile(expression)
            last = -apart
            for match in pattern.finditer(text):
                if match.end() - last >= apart:
                    last = match.end()
                    found.append((number, last))
        return found

    return hits


def _localised(expression: bytes) -> bytes:
    """An expression with its flag for all of it as one that may stand inside another."""
    return b"(?i:%b)" % expression[4:] if expression.startswith(b"(?i)") else expression
