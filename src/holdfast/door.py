"""The Python door: append typed events from any program.

`record` returns once the event survives the death of this process: it is written in the calling thread, with one
system call, and nothing is queued. What the fields mean is looked at later, when answers are made; `strict=True`
looks first.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import forks
from holdfast.errors import AppendFailed, HoldfastError, InvalidEvent, RuleError
from holdfast.ids import derived, uuid7

if TYPE_CHECKING:
    from holdfast.journal.writer import Writer

SOURCE = "sdk"
_lock = threading.Lock()
_writers: dict[str, Writer] = {}
_default: Writer | None = None  # of the home that the environment named at the first event
_encode = msgspec.json.Encoder(enc_hook=repr).encode


def record(
    kind: str,
    /,
    *,
    key: str | None = None,
    session: str | None = None,
    agent: str | dict[str, Any] | None = None,
    span: str | None = None,
    parent: str | None = None,
    time: str | int | None = None,
    durable: bool = False,
    strict: bool = False,
    **fields: Any,  # noqa: ANN401 - each kind has its own
) -> str:
    """Append one event and return its id; it then survives the death of this process.

    Args:
        kind: what happened, such as "tool.used" or the classic "tool_usage"; unknown kinds are kept.
        key: the same key (in the same session) twice is one event, and gives the same id.
        session: your name for the piece of work; None is "default".
        agent: which agent it is about; None is the session's main agent. A dictionary is taken as a field.
        span: your id for what it is about.
        parent: your id for what that is part of.
        time: when it happened, ISO 8601 or UTC microseconds; None is now.
        durable: also survive a power cut (forces the disk).
        strict: check the fields against the kind first.
        fields: the kind's fields (`docs/reference/events.md`).

    Raises:
        AppendFailed: it was not written; nothing was acknowledged. Also when the home's own rules of redaction cannot be used.
        InvalidEvent: with `strict`, the fields do not fit the kind.
    """
    if agent is not None and not isinstance(
        agent, str
    ):  # the classic nested layout: {"name": …, "invoked_by": …}
        fields["agent"], agent = agent, None
    body: dict[str, Any] = {"kind": kind}
    if time is not None:
        body["time"] = time
    if session is not None:
        body["session"] = session
    if agent is not None:
        body["agent"] = agent
    if span is not None:
        body["span"] = span
    if parent is not None:
        body["parent"] = parent
    if key is not None:
        body["key"] = key
    body["fields"] = fields
    try:
        return append(body, durable=durable, strict=strict)
    except (
        RuleError
    ) as exc:  # what the user's rules protect is recorded by none less; the host did nothing wrong
        failed = AppendFailed(exc.place, exc.why)
        failed.hint = exc.hint
        raise failed from exc


def append(
    body: dict[str, Any], *, durable: bool = False, strict: bool = False, home: str | None = None
) -> str:
    """Append an event given as the object that `holdfast record` reads. Raises as `record`, and RuleError for such rules."""
    if strict:
        check(body)
    key = body.get("key")
    record_id = uuid7() if key is None else derived(SOURCE, _session_of(body), str(key))
    try:
        raw = _encode(body)
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidEvent(str(body.get("kind")), f"cannot be written as JSON: {exc}") from exc
    writer = _writer(home) if home is not None else _default or _open_default()
    return writer.append(SOURCE, raw, record_id=record_id, durable=durable)


def force(home: str) -> None:
    """Have what this process recorded in a home survive a loss of power. Raises AppendFailed: the disk refused."""
    _writer(home).sync()


def _session_of(body: dict[str, Any]) -> str:
    """The session whose keys these are; classic lines call it session_id."""
    return str(body.get("session") or body.get("session_id") or "default")


def check(body: dict[str, Any]) -> None:
    """Check an event against its kind. Raises InvalidEvent."""
    from holdfast.capture import sdk  # noqa: PLC0415 - only the strict path needs the event catalogue
    from holdfast.events import Invalid  # noqa: PLC0415

    for event in sdk.translate(body, record_id="", received_us=0, order=0):
        if isinstance(event.data, Invalid):
            raise InvalidEvent(event.data.kind, event.data.why)


def _writer(home: str) -> Writer:
    """The process's writer for a home."""
    writer = _writers.get(home)
    return writer if writer is not None else _open(home)


def _open_default() -> Writer:
    """The process's writer for the home that the environment names; it is asked once, until `close`."""
    global _default  # noqa: PLW0603 - module state is the point
    _default = _writer(os.environ.get("HOLDFAST_HOME", ""))
    return _default


def _open(name: str) -> Writer:
    with _lock:  # imports too: a fork between must not leave the child a module lock that nobody frees
        from holdfast.home import Home  # noqa: PLC0415 - opened on first use
        from holdfast.settings import load  # noqa: PLC0415

        if name not in _writers:
            flags = {"home": name} if name else {}
            writer = Home(load(None, os.environ, flags)).writer()
            assert writer.redactor is not None  # made here, for the same reason
            _writers[name] = writer
        return _writers[name]


def close() -> None:
    """Force what was recorded to disk and release the journal; the next `record` opens it again."""
    global _default  # noqa: PLW0603 - module state is the point
    with _lock:
        _default = None
        while _writers:
            _writers.popitem()[1].close()


def _forget_after_fork() -> None:
    global _lock  # noqa: PLW0603 - module state is the point
    _lock = threading.Lock()


# A first `record` under way in another thread would leave the child the locks of modules that are just being imported.
forks.hold(lambda: (_lock,), _forget_after_fork)


def _close_at_exit() -> None:
    try:
        close()
    except (HoldfastError, OSError, MemoryError) as exc:  # nobody is left to raise it to
        print(f"holdfast: {str(exc) or 'out of memory'}", file=sys.stderr)  # noqa: T201 - the process's last word


atexit.register(_close_at_exit)
