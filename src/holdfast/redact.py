"""The door every body passes before it is first written.

Nothing is removed yet: `LEVEL` 0 marks homes written in that state. They are for development only; a Holdfast
whose level is higher refuses them and asks to import again, because what they hold was never cleaned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LEVEL = 0


def body(raw: bytes) -> bytes:
    """Give back what may be written of `raw` (the exact bytes of one record's body)."""
    return raw


def stream(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """The same for a body too large to be held whole; `Writer` passes every body through one of the two.

    The chunks are cut anywhere, also within a character or an escape. What comes out may be cut elsewhere, and may be
    shorter or longer.
    """
    return chunks
