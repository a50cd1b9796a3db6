"""The words around a match. The index keeps none, so they are cut from what the rows hold, else from the record itself.

A small index in memory, of the same tokenizer, says where in a text the words stand: so it can never disagree with the one that
found them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw
import msgspec

from holdfast.errors import BlobDamaged
from holdfast.journal import format as fmt
from holdfast.journal import reader
from holdfast.store import bodies, passages, project
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from holdfast.store.project import Translator

Json = dict[str, Any]
Range = tuple[int, int]
_SQL = statements("search")
_BEGIN, _END = "\u2061", "\u2062"  # invisible operators: no parts of a word, as passages.SPLIT
_MARK = re.compile(f"([{passages.SPLIT}{_BEGIN}{_END}])")
_TEXT_CHARS = 100_000  # more than can be searched in one passage
_LEAD = 0.3  # of the width stands before the first match
_WORD_CHARS = 20  # up to here, a window does not begin within a word
_OF_SPANS = {"prompt": 0, "input": 0, "output": 1, "error": 1}  # kind → column of `heads`


class Context(NamedTuple):
    """Some text with the places of what matched, in characters. `why` says what is missing from it, if anything is."""

    text: str | None
    matches: tuple[Range, ...] = ()
    origin: str | None = None
    why: str | None = None


class Gone(Exception):
    """A record cannot be read back, or does not hold the passage any more."""


class Recall:
    """Reads passages back out of the journal."""

    def __init__(self, journal: Path, blob_directory: Path, translators: Mapping[str, Translator]) -> None:
        self._journal, self._blobs, self._translators = journal, blob_directory, translators

    def text(self, db: apsw.Connection, key: int, segment: int, offset_bytes: int) -> str:
        """The whole text of a passage, from the record at this place.

        Raises:
            Gone: it is not there any more.
        """
        record, body = self._read(segment, offset_bytes)
        path = db.execute(_SQL["path_of_file"], (record.p.file if record.p else "",)).get
        start = project.start_of(record, segment, offset_bytes)
        translator = self._translators.get(record.s)
        understood = project.translated(translator, record, body, path, start) if translator else None
        for event in understood.events if understood else ():
            for passage in passages.of(event):
                if passages.key(event.session, passage.native, passage.part) == key:
                    return passage.text
        raise Gone("another record stands in its place")

    def body(self, segment: int, offset_bytes: int) -> bytes:
        """The body of the record at this place as it was received, long texts in a very long one cut.

        Raises:
            Gone: it is not there any more, or its full text was removed.
        """
        record, body = self._read(segment, offset_bytes)
        if record.z is not None or body.text is None:
            raise Gone("its full text was removed" if record.z is not None else "it is too long to be read")
        return body.text

    def _read(self, segment: int, offset_bytes: int) -> tuple[fmt.Record, bodies.Body]:
        try:
            record = reader.record_at(self._journal, segment, offset_bytes)
            return record, bodies.read(record, self._blobs, _TEXT_CHARS)
        except fmt.Damaged as exc:
            raise Gone(f"its record cannot be read: {exc.why}") from exc
        except fmt.Newer as exc:
            raise Gone("its record was written by a newer Holdfast") from exc
        except (BlobDamaged, OSError) as exc:
            raise Gone(f"its record cannot be read: {exc}") from exc


def contexts(
    db: apsw.Connection, recall: Recall, found: Sequence[Json], match: str, width_chars: int
) -> list[Context]:
    """The context of each match, in their order; work is bounded by their number and the limit of what is indexed."""
    heads = [_head(db, row) for row in found]
    marked = _marked(heads, match)
    whole: dict[int, str] = {}
    why: dict[int, str] = {}
    for n, row in enumerate(found):
        if n not in marked:
            try:
                text = recall.text(db, row["key"], row["segment"], row["offset_bytes"])
                whole[n] = text[: row["text_chars"]]
            except Gone as exc:
                why[n] = str(exc)
    again = _marked([whole.get(n) for n in range(len(found))], match)
    out = []
    for n, head in enumerate(heads):
        if n in marked:
            out.append(_window(*marked[n], width_chars)._replace(origin="row"))
        elif n in again:
            out.append(_window(*again[n], width_chars)._replace(origin="record"))
        else:
            out.append(_unmarked(head, why.get(n), width_chars))
    return out


def _unmarked(head: str | None, why: str | None, width_chars: int) -> Context:
    """What there is to show when the words are not to be found again."""
    why = why or "the words do not stand in its record any more"
    if not head:
        return Context(None, why=why)
    return _window(head, (), width_chars)._replace(origin="row", why=why)


def _head(db: apsw.Connection, row: Json) -> str | None:
    """The beginning of a passage's text, as far as rows keep it."""
    if row["kind"] == "title":
        return str(row["title"]) if row["title"] else None
    found = next(iter(db.execute(_SQL["heads"], row)))  # always one row
    text = found[_OF_SPANS[row["kind"]]] if row["kind"] in _OF_SPANS else None
    if text is None and found[2] is not None:
        data = msgspec.json.decode(found[2])
        told = (data.get(name) for name in ("text", "message"))
        text = next((text for text in told if isinstance(text, str)), None) or passages.joined_leaves(data)
    return text


def _marked(texts: Sequence[str | None], match: str) -> dict[int, tuple[str, tuple[Range, ...]]]:
    """Those of the texts that the query matches, with the places of what matched."""
    given = [(n, passages.spaced(_MARK.sub(" ", text))) for n, text in enumerate(texts) if text is not None]
    if not given:
        return {}
    db = apsw.Connection(":memory:")
    try:
        db.execute(_SQL["marking_table"])
        db.executemany(_SQL["marking_text"], given)
        return {n: _read_marks(text) for n, text in db.execute(_SQL["marked"], (_BEGIN, _END, match))}
    finally:
        db.close()


def _read_marks(marked: str) -> tuple[str, tuple[Range, ...]]:
    """Take the marks out of a text; give it with the ranges they enclosed."""
    out: list[str] = []
    ranges: list[Range] = []
    length = begin = 0
    for piece in _MARK.split(marked):
        if piece == _BEGIN:
            begin = length
        elif piece == _END:
            ranges.append((begin, length))
        elif piece != passages.SPLIT:
            out.append(piece)
            length += len(piece)
    return "".join(out), tuple(ranges)


def _window(text: str, ranges: Sequence[Range], width_chars: int) -> Context:
    """The stretch of `width_chars` that shows most of what matched; of equals the first."""
    start = 0
    if ranges:
        first = ranges[_best(ranges, width_chars)][0]
        start = max(0, min(first - int(width_chars * _LEAD), len(text) - width_chars))
        if start and (space := text.find(" ", start, first)) >= 0 and space - start < _WORD_CHARS:
            start = space + 1
    end = min(len(text), start + width_chars)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    shift = len(before) - start
    inside = ((max(a, start), min(b, end)) for a, b in ranges if start <= a < end)
    return Context(before + text[start:end] + after, tuple((a + shift, b + shift) for a, b in inside))


def _best(ranges: Sequence[Range], width_chars: int) -> int:
    """The match from which on most others follow within the rest of a window."""
    room = width_chars - int(width_chars * _LEAD)
    best, most, last = 0, 0, 0
    for n, (start, _) in enumerate(ranges):
        last = max(last, n)
        while last < len(ranges) and ranges[last][1] <= start + room:
            last += 1
        if last - n > most:
            best, most = n, last - n
    return best
