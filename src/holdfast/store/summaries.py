"""Titles that stand in another session's file: a `summary` record names a line, and titles the session that holds it.

Line and summary arrive in any order, so both are kept. Of several summaries the one about the latest line wins.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_SQL = statements("fold")
_encode = msgspec.json.Encoder().encode


def mark(line: str) -> int:
    """What a line's id is kept as: 64 bits of a digest, because there is one for every line."""
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), signed=True)


def settle(db: apsw.Connection, marks: Iterable[int]) -> list[tuple[int, str]]:
    """Title the sessions that hold one of the lines, where a summary is about it; gives (session, title) of each."""
    found: list[Any] = db.execute(
        _SQL["summaries_of_lines"], {"marks": _encode(sorted(set(marks))).decode()}
    ).fetchall()
    for session_id, rank, position, title in found:
        values = {
            "session_id": session_id,
            "title": title,
            "title_rank": rank,
            "title_order": position,
        }
        db.execute(_SQL["session_title"], values)
    return [(session_id, title) for session_id, _, _, title in found]
