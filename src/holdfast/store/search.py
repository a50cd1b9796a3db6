"""Full-text search: what was typed becomes a query of the index, and matches become hits.

Any text is a query. Words stand between spaces; all of them must be in a passage. "Words in quotation marks" must stand there side by
side, and so must the parts of a word that is made of several, such as `foo/bar.py` or `my_function`. A `*` at the end of a word stands
for any ending. Nothing else has a meaning.

Newest first, nothing is sorted that is not shown: the index gives the numbers of matches falling, and they follow time
(`passages`). Only passages so close together that their numbers do not tell are read whole and ordered here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast import clock
from holdfast.store import context, database, passages
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

Json = dict[str, Any]
MOST_HITS = 1_000
MOST_WORDS = 64  # looked for at once; each costs a look into every piece of the index
MOST_PARTS = 200  # of all words together
TOKENIZER = ("unicode61", "remove_diacritics", "2")  # as `passage_text` has it
_FIRST_PROJECTION = 2  # stores folded by earlier ones hold no passages
_SQL = statements("search")
_PIECE = re.compile(r'"([^"]*)(?:"(\*?)|\Z)|([^\s"]+)')
_LEAST_ID = -(2**63)


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for, and where. `session_id` is the store's row; times are UTC microseconds, both ends included."""

    text: str
    session_id: int | None = None
    agent: str | None = None
    tool: str | None = None
    kind: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    ranked: bool = False
    limit: int = 20


class Word(NamedTuple):
    """Parts that must stand side by side, as the index spells them; with `is_start` the last may go on."""

    parts: tuple[str, ...]
    is_start: bool

    @property
    def match(self) -> str:
        """The word as the index is asked for it. Parts hold letters and digits only, so nothing needs escaping."""
        return f'"{" ".join(self.parts)}"' + (" *" if self.is_start else "")

    @property
    def shown(self) -> str:
        """The word as it can be typed."""
        text = " ".join(self.parts)
        return (f'"{text}"' if len(self.parts) > 1 else text) + ("*" if self.is_start else "")


class Query(NamedTuple):
    """The words looked for, and how many more were typed than can be."""

    words: tuple[Word, ...]
    left_out: int

    @property
    def match(self) -> str:
        return " ".join(word.match for word in self.words)


def query(db: apsw.Connection, text: str) -> Query:
    """Read what a person typed. Any text will do."""
    tokenize = partial(db.fts5_tokenizer(TOKENIZER[0], list(TOKENIZER[1:])), flags=_AS_QUERY, locale=None)
    words: dict[Word, None] = {}
    parts = left_out = 0
    for typed, is_start in _pieces(text):
        found = tokenize(passages.spaced(typed).encode(), include_offsets=False, include_colocated=False)
        tokens = list(found)
        word = Word(tuple(str(token) for token in tokens), is_start)
        if not tokens or word in words:
            continue
        if len(words) == MOST_WORDS or parts + len(tokens) > MOST_PARTS:
            left_out += 1
            continue
        words[word] = None
        parts += len(tokens)
    return Query(tuple(words), left_out)


_AS_QUERY = 1  # FTS5_TOKENIZE_QUERY


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """(text, whether any ending will do) of each word and each phrase."""
    typed = text.replace("\0", " ").encode("utf-8", "replace").decode()
    for found in _PIECE.finditer(typed):
        phrase, star, word = found.groups()
        if word is None:
            yield phrase, bool(star)
        else:
            yield word, word.endswith("*")


# ── asking ──


def is_indexed(db: apsw.Connection) -> bool:
    """Whether this store's passages are all in the index; one that an earlier version folded has none."""
    return database.versions(db)["projection_version"] >= _FIRST_PROJECTION


def search(db: apsw.Connection, recall: context.Recall, question: Question, width_chars: int) -> Json:
    """The hits of a question, with `width_chars` of context each."""
    asked = query(db, question.text)
    answer: Json = {
        "words": [word.shown for word in asked.words],
        "words_left_out": asked.left_out,
        "order": "rank" if question.ranked else "newest",
        "index": "complete",
        "passages": None,
        "more": False,
        "hits": [],
    }
    if not is_indexed(db):
        return answer | {"index": "building"}
    answer["passages"] = db.execute(_SQL["passage_count"]).get
    found = matches(db, asked, question)
    shown = found[: question.limit]
    contexts = context.contexts(db, recall, shown, asked.match, width_chars)
    answer["more"] = len(found) > len(shown)
    answer["hits"] = [_hit(row, told) for row, told in zip(shown, contexts, strict=True)]
    return answer


def matches(db: apsw.Connection, asked: Query, question: Question) -> list[Json]:
    """What matches, in order, one more than the question's limit if there are that many."""
    values = _values(db, question)
    if not asked.words or values is None:
        return []
    values |= {"words": asked.match, "most": question.limit + 1}
    if question.ranked:
        return database.rows(db, _SQL["ranked"], **values)
    found = database.rows(db, _SQL["newest"], **values | {"from_id": _LEAST_ID, "until_id": -1})
    if question.kind != "title":  # titles stand in no order, and have been read
        found += _newest(db, values, question.limit + 1)
    found.sort(key=_newest_first)
    return found[: question.limit + 1]


def _values(db: apsw.Connection, question: Question) -> Json | None:
    """What the statements are given; None when no session can hold a match.

    Where few sessions can, only their time is searched: else a common word would be looked at wherever it stands.
    """
    values: Json = {name: getattr(question, name) for name in _FILTERS}
    values |= {"sessions": None}
    since_us, until_us = question.since_us, question.until_us
    if question.session_id is not None or question.tool is not None or question.agent not in {None, "main"}:
        found = db.execute(_SQL["sessions_to_search"], values).fetchall()
        if not found:
            return None
        values["sessions"] = "[" + ",".join(str(row[0]) for row in found) + "]"
        first = min((int(row[1]) for row in found if row[1] is not None), default=0)
        last = max((int(row[2]) for row in found if row[2] is not None), default=0)
        since_us = first if since_us is None else max(first, since_us)
        until_us = last if until_us is None else min(last, until_us)
    return values | {"from_id": passages.ids_from(since_us), "until_id": passages.ids_until(until_us)}


_FILTERS = ("session_id", "agent", "tool", "kind", "since_us", "until_us")


def _newest(db: apsw.Connection, values: Json, most: int) -> list[Json]:
    """Matches from the newest on: `most`, and those that may be as new as the last of them."""
    found: list[Json] = []
    cursor = db.execute(_SQL["newest"], values)
    for row in cursor:
        if len(found) >= most and not passages.same_moment(found[-1]["id"], row[0]):
            break
        found.append(dict(zip(_COLUMNS, row, strict=True)))
    cursor.close()
    return found


_COLUMNS = (
    "id",
    "key",
    "session_id",
    "kind",
    "agent",
    "native",
    "segment",
    "offset_bytes",
    "text_chars",
    "at_us",
    "session",
    "title",
    "tool",
    "inherited",
    "score",
)


def _newest_first(row: Json) -> tuple[bool, int, int]:
    at_us = row["at_us"]
    return at_us is None, -(at_us or 0), row["key"]


def _hit(row: Json, told: context.Context) -> Json:
    return {
        "session": row["session"],
        "session_title": row["title"],
        "agent": row["agent"],
        "at": clock.iso(row["at_us"]),
        "kind": row["kind"],
        "tool": row["tool"],
        "id": row["native"],
        "inherited": bool(row["inherited"]),
        "segment": row["segment"],
        "offset": row["offset_bytes"],
        "score": row["score"],
        "context": told.text,
        "matches": [{"from": start, "to": end} for start, end in told.matches],
        "context_from": told.origin,
        "context_why": told.why,
    }
