"""Write passages into the search index, so that any order of arrival gives the same ones.

A passage is a row of `passage` and, under the same number, its text in `passage_text`, which keeps the words but not the text.
Of two records that say different things about the same passage the longer text wins, then its checksum.
"""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from holdfast.store import passages
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast import events as ev

_SQL = statements("search")


class _Row(NamedTuple):
    """A row of `passage`, in the order of its columns."""

    id: int
    key: int
    session_id: int
    kind: str
    agent: str
    native: str
    time_us: int | None
    segment: int
    offset_bytes: int
    text_chars: int
    text_check: int

    def claim(self) -> tuple[object, ...]:
        """What decides between rivals; the greatest wins. The place in the journal decides only between equal ones."""
        time = (0, 0) if self.time_us is None else (1, -self.time_us)
        place = (-self.segment, -self.offset_bytes)
        return self.text_chars, self.text_check, time, self.agent, self.kind, self.native, place


class Index:
    """Collects the passages of one batch and writes them. Call `add` for each event, then `write` inside a transaction."""

    def __init__(self, db: apsw.Connection, search_chars: int, head_chars: int) -> None:
        self._db = db
        self._search_chars = search_chars
        self._output_chars = min(
            search_chars, head_chars
        )  # outputs can be long, and their beginning says most
        self._rows: list[tuple[Any, ...]] = []  # as `_Row`, without its cost
        self._texts: list[str] = []  # beside `_rows`
        self._dropped = 0  # passages of earlier batches, replaced by this one

    def add(self, event: ev.Event, session_id: int, segment: int, offset_bytes: int) -> None:
        """Take in the passages of one event, read from the record at this place of the journal."""
        for passage in passages.of(event):
            kind, native, part, text = passage
            text = text[: self._output_chars if part == "output" else self._search_chars]
            if not text:
                continue
            key = passages.key(event.session, native, part)
            time_us = None if kind == "title" else event.time_us
            text_check = zlib.crc32(text.encode())
            self._texts.append(text)
            self._rows.append(
                (
                    passages.wanted_id(time_us, key),
                    key,
                    session_id,
                    kind,
                    event.agent,
                    native,
                    time_us,
                    segment,
                    offset_bytes,
                    len(text),
                    text_check,
                )
            )

    def add_title(self, session: str, session_id: int, title: str) -> None:
        """Take in a title that another session's file gives this one."""
        native = session.partition(":")[2]
        text = title[: self._search_chars]
        key = passages.key(session, native, f"title {title}")
        row = (passages.wanted_id(None, key), key, session_id, "title", "", native, None, 0, 0)
        self._texts.append(text)
        self._rows.append((*row, len(text), zlib.crc32(text.encode())))

    def write(self) -> None:
        """Write everything taken in. Runs inside the caller's transaction."""
        if not self._rows:
            return
        fresh: dict[int, str] = {}  # id → text
        self._dropped = start = 0
        while start < len(self._rows):
            met = self._insert_from(start)
            fresh.update((self._rows[n][0], self._texts[n]) for n in range(start, met))
            if met < len(self._rows):
                self._meet(_Row(*self._rows[met]), self._texts[met], fresh)
            start = met + 1
        # Rising, because the index writes itself to disk at each id that is lower than the last.
        texts = [(id_, passages.spaced(fresh[id_])) for id_ in sorted(fresh)]
        self._db.executemany(_SQL["text_added"], texts)
        self._db.execute(_SQL["total_changed"], (len(fresh) - self._dropped,))
        self.forget()

    def forget(self) -> None:
        """Drop what was taken in."""
        self._rows, self._texts = [], []

    def _insert_from(self, start: int) -> int:
        """Insert rows until one meets a row that is there; the number of that row, or how many there are.

        Nearly every row is new, so that meeting one may cost more than asking first would cost for all.
        """
        drawn = start

        def draw() -> Iterator[tuple[Any, ...]]:
            nonlocal drawn
            for n in range(start, len(self._rows)):
                drawn = n
                yield self._rows[n]
            drawn = len(self._rows)

        with contextlib.suppress(apsw.ConstraintError):
            self._db.executemany(_SQL["passage_added"], draw())
        return drawn

    def _meet(self, row: _Row, text: str, fresh: dict[int, str]) -> None:
        """Insert a row whose passage or number is taken, if it is the better record or the passage is new."""
        found = self._db.execute(_SQL["passage_by_key"], (row.key,)).fetchone()
        if found is not None:
            known = _Row(*found)
            if row.claim() <= known.claim():
                return
            self._db.execute(_SQL["passage_dropped"], (known.id,))
            if fresh.pop(known.id, None) is None:
                self._db.execute(_SQL["text_dropped"], (known.id,))
                self._dropped += 1
        for id_ in (row.id, *passages.other_ids(row.id, row.key)):
            if self._db.execute(_SQL["passage_held"], (id_,)).fetchone() is None:
                self._db.execute(_SQL["passage_added"], row._replace(id=id_))
                fresh[id_] = text
                return
        raise AssertionError(f"passage {row.key}: its own number is taken")  # ids without order are keys
