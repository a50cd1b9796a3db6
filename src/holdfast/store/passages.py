"""What of an event can be searched: its passages, and where each stands in the index.

A passage is one piece of text that somebody or something said: a prompt, an answer, a tool's input, the head of its output.
Everything here is pure: folding and reading back for context derive the same passages from the same event.

The number of a passage, which is its row id in the index, follows time, so that the newest matches of a word are read first
and no others:

    id = (time in units of 2^17 µs, about 0.13 s) << 16 | slot        slot: any free one, tried from the key's last bits

Passages without a time, of a time before 1970, or for which 64 slots were taken have a negative id, -1 - key. These are few, stand
in no order, and every question reads all of them that match.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast import events as ev

KINDS = ("prompt", "answer", "thinking", "input", "output", "error", "message", "event", "title")
TEXT_CHARS = (
    2_000  # indexed of each text unless set otherwise; what it costs: docs/decisions/0008-search-index.md
)
TIME_SHIFT, SLOT_BITS = 17, 16
SLOT_TRIES = 64
_SLOTS = (1 << SLOT_BITS) - 1
_KEY_BITS = 62
_digest = hashlib.blake2b
_MOST_ITEMS = 2_000  # looked at in one event of a program's own kind

# Written without spaces between words: each character is a word of its own, so that any run of them can be found.
_UNSPACED = re.compile(
    "[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
SPLIT = "\u2063"  # INVISIBLE SEPARATOR stands behind each of those; a code point without meaning would count as a letter


class Passage(NamedTuple):
    """One searchable text. `native` is the id of the span or event it belongs to, `part` which of its texts it is."""

    kind: str
    native: str
    part: str
    text: str


def key(session: str, native: str, part: str) -> int:
    """What makes it one passage however often its record arrives: 62 bits, the same on every machine."""
    named = f"{session}\0{native}\0{part}".encode()
    return int.from_bytes(_digest(named, digest_size=8).digest(), "big") >> (64 - _KEY_BITS)


def wanted_id(time_us: int | None, key: int) -> int:
    """The id a passage gets unless another one holds it."""
    if time_us is None or time_us < 0:
        return -1 - key
    return (time_us >> TIME_SHIFT) << SLOT_BITS | key & _SLOTS


def other_ids(wanted: int, key: int) -> Iterator[int]:
    """Ids to try when the wanted one is taken: slots of the same time, at last the one without order."""
    if wanted >= 0:
        for step in range(1, SLOT_TRIES):
            yield wanted & ~_SLOTS | wanted + step & _SLOTS
    yield -1 - key


def ids_from(time_us: int | None) -> int:
    """The least id of passages of this moment or later."""
    return 0 if time_us is None or time_us < 0 else (time_us >> TIME_SHIFT) << SLOT_BITS


def ids_until(time_us: int | None) -> int:
    """The greatest id of passages of this moment or earlier; -1: there can be none that is not negative."""
    if time_us is None:
        return 2**63 - 1
    return -1 if time_us < 0 else (time_us >> TIME_SHIFT) << SLOT_BITS | _SLOTS


def same_moment(one: int, other: int) -> bool:
    """Whether ids do not tell which of two passages is newer."""
    return one >> SLOT_BITS == other >> SLOT_BITS


def spaced(text: str) -> str:
    """The text as it is handed to the index and to queries alike."""
    return text if text.isascii() else _UNSPACED.sub(_behind, text)


def _behind(found: re.Match[str]) -> str:
    return found[0] + SPLIT


# ── which texts an event holds ──


def of(event: ev.Event) -> Sequence[Passage]:
    """The passages of an event, none for most kinds."""
    return _READERS.get(event.kind, _of_own_kind)(event, event.data)


def _turn(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401 - the payload of its kind
    return (Passage("prompt", event.span or event.id, "input", data.text),) if data.text else ()


def _message(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    kind = "thinking" if data.thinking else _ROLES.get(data.role, "message")
    return (Passage(kind, event.id, "text", data.text),)


_ROLES = {"user": "prompt", "assistant": "answer"}


def _tool_started(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    text = _joined(data.description, data.input, None if data.path == data.input else data.path)
    return (Passage("input", event.span or event.id, "input", text),) if text else ()


def _tool_ended(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    return _output(event, data.status, data.output)


def _tool_used(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    output = _joined(data.output, data.error_type, data.error_message)
    return (*_tool_started(event, data), *_output(event, data.status, output))


def _code(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    code = (Passage("input", event.span or event.id, "input", data.code),) if data.code else ()
    return (*code, *_output(event, data.status, _joined(data.output, data.error_type)))


def _output(event: ev.Event, status: str | None, text: str | None) -> Sequence[Passage]:
    kind = "error" if status in _NOT_WELL else "output"
    return (Passage(kind, event.span or event.id, "output", text),) if text else ()


_NOT_WELL = frozenset({"failed", "cancelled", "interrupted"})


def _error(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    text = _joined(data.error_type, data.message, data.attempted_fix, data.stack_trace)
    return (Passage("error", event.id, "text", text),)


def _agent_started(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    text = _joined(data.prompt, data.reason, data.user_request)
    return (Passage("prompt", event.span or event.id, "prompt", text),) if text else ()


def _agent_ended(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    return (Passage("answer", event.span or event.id, "result", data.result),) if data.result else ()


def _noted(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    return _title(event, data.title) if data.title_rank >= _TOLD_RANK else ()


def _session_started(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    return _title(event, _joined(data.title, data.goal))


def _title(event: ev.Event, text: str | None) -> Sequence[Passage]:
    """The same title told again is the same passage."""
    return (Passage("title", event.session.partition(":")[2], f"title {text}", text),) if text else ()


_TOLD_RANK = 2  # a title of lower rank was taken from a prompt, which is a passage anyway


def _silent(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401, ARG001
    return ()


def _of_own_kind(event: ev.Event, data: Any) -> Sequence[Passage]:  # noqa: ANN401
    try:
        text = joined_leaves(msgspec.to_builtins(data))
    except RecursionError:  # nested too deeply to be shown, and to be searched
        return ()
    return (Passage("event", event.id, "text", text),) if text else ()


def joined_leaves(value: Any) -> str:  # noqa: ANN401 - JSON
    """Every text in a payload, outermost first, of so many items at most."""
    out: list[str] = []
    todo: list[Any] = [value]
    for n, item in enumerate(todo):
        if n == _MOST_ITEMS:
            break
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return _joined(*out)


def _joined(*texts: str | None) -> str:
    return "\n".join(text for text in texts if text)


# Kinds that say nothing in words, or say what another event says too.
_SILENT = (
    "context.compacted",
    "context.snapshot",
    "cost.tracked",
    "llm.called",
    "process.ended",
    "process.started",
    "session.cost_reported",
    "session.ended",
    "span.linked",
    "turn.ended",
)

_READERS: dict[str, Callable[[ev.Event, Any], Sequence[Passage]]] = {
    **dict.fromkeys(_SILENT, _silent),
    "turn.started": _turn,
    "message.sent": _message,
    "tool.started": _tool_started,
    "tool.ended": _tool_ended,
    "tool.used": _tool_used,
    "code.executed": _code,
    "error.raised": _error,
    "agent.started": _agent_started,
    "agent.ended": _agent_ended,
    "session.noted": _noted,
    "session.started": _session_started,
}
