"""What the store and the journal hold of one session, as a dossier needs it.

Rows hold the head of each text. The rest is read back from the journal where a record can still be found: by the place of its
passage in the search index, so nothing of a session of any size is read but what is asked for. Where that fails (nothing is
indexed, the history was retired) the head is what there is, and says that it is one.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.recover.texts import Text
from holdfast.store import passages, queries
from holdfast.store.context import Gone
from holdfast.store.database import rows
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from holdfast.store.context import Recall

Json = dict[str, Any]
_SQL = statements("dossier", "holdfast.recover")
_CUT = "…"  # what a row ends with when it holds only the head of a text
_MOST_VALUES = 100_000  # looked at in one record
_decode = msgspec.json.Decoder().decode


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a tool, or code that was run; `input` and `output` are heads. Times are UTC microseconds."""

    id: str
    agent: str
    tool: str
    position: int
    start_us: int | None
    end_us: int | None
    status: str | None
    input: str | None
    output: str | None
    path: str | None
    operation: str | None
    error_type: str | None
    exit_code: int | None
    lines_added: int | None
    lines_removed: int | None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody gave the main agent to do. `origin` is the source's word for who: human, sdk, exec, task_notification."""

    id: str
    origin: str | None
    position: int
    start_us: int | None
    input: str | None


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said; `text` is its head. `segment` and `offset_bytes` are the place of its record in the journal."""

    id: str
    agent: str
    position: int
    time_us: int | None
    role: str
    text: str
    thinking: bool
    sender: str | None
    segment: int
    offset_bytes: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Any other event that a dossier tells of; `data` is its payload with long texts cut to their heads."""

    id: str
    kind: str
    agent: str
    span: str | None
    position: int
    time_us: int | None
    data: Json


class Reading:
    """One session, read once; `missing` collects why texts could not be read whole."""

    def __init__(self, db: apsw.Connection, recall: Recall, session: int) -> None:
        self._db, self._recall, self._session = db, recall, session
        self._key = queries.session_origin(db, session)[0]
        self.missing: set[str] = set()

    # ── rows ──

    @cached_property
    def _spans(self) -> list[Json]:
        return rows(self._db, _SQL["spans"], session_id=self._session)

    @cached_property
    def calls(self) -> list[Call]:
        """By time where it is known, else by agent and place."""
        return in_time(_calls(row for row in self._spans if row["kind"] != "turn"))

    @property
    def task_calls(self) -> list[Call]:
        """Those with which the main agent kept its list of tasks, in their order; no others are read."""
        return _calls(rows(self._db, _SQL["task_calls"], session_id=self._session))

    @cached_property
    def turns(self) -> list[Turn]:
        return [
            Turn(origin=row["name"], **{name: row[name] for name in ("id", "position", "start_us", "input")})
            for row in self._spans
            if row["kind"] == "turn" and not row["agent"]
        ]

    @cached_property
    def words(self) -> list[Word]:
        """By agent and place."""
        out = []
        for row in rows(self._db, _SQL["words"], session_id=self._session):
            data = _decode(row.pop("data"))
            out.append(
                Word(
                    role=data.get("role") or "agent",
                    text=data.get("text") or "",
                    thinking=data.get("thinking") is True,
                    sender=data.get("sender"),
                    **row,
                )
            )
        return out

    @cached_property
    def told(self) -> list[Told]:
        """By agent and place."""
        found = rows(self._db, _SQL["told"], session_id=self._session)
        return [
            Told(data=_decode(row["data"]), **{name: row[name] for name in _TOLD_COLUMNS}) for row in found
        ]

    # ── whole texts ──

    def prompt(self, turn: Turn) -> Text:
        return self._passage(turn.id, "input", turn.input, f"prompt, {turn.origin or 'origin unknown'}")

    def said(self, word: Word) -> Text:
        source = f"{'thoughts' if word.thinking else 'words'} of {word.agent or 'the main agent'}"
        if not word.text.endswith(_CUT):
            return Text.of(word.text, source)
        key = passages.key(self._key, word.id, "text")
        return self._text(key, word.segment, word.offset_bytes, word.text, source)

    def output(self, call: Call) -> Text:
        """What a call gave back: the end of it, because that is where results stand."""
        return self._passage(call.id, "output", call.output, f"output of {call.tool}", from_end=True)

    def given(self, call: Call) -> Any:  # noqa: ANN401 - JSON of the tool's own shape
        """What a call was given, whole, as its tool got it: mostly an object. The head of it where no record can be read."""
        head = _json_in(call.input)
        place = self._db.execute(_SQL["place"], (passages.key(self._key, call.id, "input"),)).fetchone()
        if place is None:
            return head
        try:
            found = given(self._recall.body(*place), call.id)
        except Gone as exc:
            self.missing.add(str(exc))
            return head
        return head if found is None else found

    def _passage(
        self, native: str, part: str, head: str | None, source: str, *, from_end: bool = False
    ) -> Text:
        if head is None or not head.endswith(_CUT):
            return Text.of(head or "", source, from_end=from_end)
        key = passages.key(self._key, native, part)
        place = self._db.execute(_SQL["place"], (key,)).fetchone()
        if place is None:
            return Text.beginning(head.removesuffix(_CUT), source)
        segment, offset_bytes = place
        return self._text(key, segment, offset_bytes, head, source, from_end=from_end)

    def _text(
        self, key: int, segment: int, offset_bytes: int, head: str, source: str, *, from_end: bool = False
    ) -> Text:
        try:
            found = self._recall.text(self._db, key, segment, offset_bytes)
        except Gone as exc:
            self.missing.add(str(exc))
            return Text.beginning(head.removesuffix(_CUT), source)
        return Text.of(found, source, from_end=from_end)


def _calls(found: Iterable[Json]) -> list[Call]:
    return [
        Call(
            tool=row["name"] or ("code" if row["kind"] == "code" else "(unnamed)"),
            **{name: row[name] for name in _CALL_COLUMNS},
        )
        for row in found
        if row["input"] is not None or row["start_us"] is not None
    ]


_CALL_COLUMNS = tuple(name for name in Call.__struct_fields__ if name != "tool")
_TOLD_COLUMNS = tuple(name for name in Told.__struct_fields__ if name != "data")


def in_time(calls: list[Call]) -> list[Call]:
    """In the order in which they began: within an agent as written, between agents by time; without a time an agent comes first."""
    latest: dict[str, int] = {}
    placed = []
    for call in calls:
        latest[call.agent] = max(latest.get(call.agent, -1), -1 if call.start_us is None else call.start_us)
        placed.append((latest[call.agent], call.agent, call.position, call.id, call))
    return [call for *_, call in sorted(placed, key=lambda item: item[:4])]


def _json_in(head: str | None) -> Any:  # noqa: ANN401
    """The object that a head is, if it is a whole one; else the head."""
    if head is not None and head.startswith("{"):
        try:
            return _decode(head)
        except (msgspec.DecodeError, RecursionError):
            pass
    return head


def given(body: bytes, call: str) -> Any:  # noqa: ANN401
    """What a call was given, from the record that tells of it; None: it does not say.

    Known are an assistant's `tool_use` block (`id`, `input`), a `function_call` (`call_id`, `arguments` as JSON in a string), a
    `custom_tool_call` (`call_id`, `input`) and a hook's payload (`tool_use_id`, `tool_input`), however deep in the record.
    """
    try:
        todo: list[Any] = [_decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for n, value in enumerate(todo):
        if n == _MOST_VALUES:
            break
        if isinstance(value, dict):
            found = _given_in(value, call)
            if found is not None:
                return found
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return None


def _given_in(value: Json, call: str) -> Any:  # noqa: ANN401
    if value.get("id") == call and "input" in value:
        return value["input"]
    if value.get("call_id") == call and ("arguments" in value or "input" in value):
        arguments = value.get("arguments", value.get("input"))
        return _json_in(arguments) if isinstance(arguments, str) else arguments
    if value.get("tool_use_id") == call:
        return value.get("tool_input")
    return None
