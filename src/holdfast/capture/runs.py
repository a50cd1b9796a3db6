"""Translator of what Holdfast records of agents that it started itself (`supervising.py`).

The body of a record is {"kind": …, "time": UTC microseconds, "fields": {…}}; `fields.about` names the session that the run is. A plain command
is a session of its own, "run:<agent>": there each attempt is a turn of its main agent, as nothing else tells of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import events as ev
from holdfast.capture.claude_json import object_in, text_in
from holdfast.errors import InvalidEvent
from holdfast.store.project import Translation

if TYPE_CHECKING:
    from holdfast.store.project import Entry

SOURCE: Final = "run"
_TELL_THEMSELVES: Final = frozenset({"claude", "codex"})
_TITLE_RANK = 3  # a person's
_OF_OURS = (
    ev.RunRequested,
    ev.RunStarting,
    ev.RunStarted,
    ev.RunEnded,
    ev.RunLinked,
    ev.RunStopping,
    ev.RunProgress,
    ev.RunRemoved,
)


def translate(entry: Entry) -> Translation:
    """Understand one record."""
    out = Translation()
    try:
        body = object_in(msgspec.json.decode(entry.body))
        kind, data = ev.parse(text_in(body.get("kind")) or "", object_in(body.get("fields")))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        out.problems.append("what was recorded of a run is no JSON")
        return out
    except InvalidEvent as exc:
        out.problems.append(f"what was recorded of a run cannot be understood: {exc.why}")
        return out
    if not isinstance(data, _OF_OURS):
        out.kept.append(f"{SOURCE} {kind}")
        return out
    time_us = body.get("time")
    at_us = time_us if isinstance(time_us, int) else entry.received_us
    found = [(kind, data, None), *(_of_plain(data) if _is_plain(data) else [])]
    for name, payload, span in found:
        one = ev.Event(
            id=entry.record_id if name == kind else f"{entry.record_id}/{name}",
            kind=name,
            session=data.about,
            time_us=at_us,
            data=payload,
            span=span,
            order=_order(data),
        )
        out.events.append(one)
    return out


def _order(data: ev.Data) -> int:
    """Where it stands in the run's stream: by attempt, and in it by what it says; no clock decides that."""
    return int(getattr(data, "attempt", 0)) * 10 + _PLACES.get(type(data), 5)


_PLACES: Final[dict[type[ev.Data], int]] = {
    ev.RunRequested: 0,
    ev.RunStarting: 1,
    ev.RunStarted: 2,
    ev.RunEnded: 9,
}


def _is_plain(data: Any) -> bool:  # noqa: ANN401 - one of _OF_OURS
    """Whether nothing but its run tells what it does. One of these tools tells that itself, though its session may not be known yet."""
    return bool(data.about == f"{SOURCE}:{data.run}" and getattr(data, "tool", None) not in _TELL_THEMSELVES)


def _of_plain(data: ev.Data) -> list[tuple[str, Any, str | None]]:
    """What a run that is a session of its own says of that session: (kind, payload, span)."""
    match data:
        case ev.RunRequested():
            title = data.name or data.task or " ".join(data.argv)
            noted = ev.SessionNoted(title=title, title_rank=_TITLE_RANK, cwd=data.cwd, own=True)
            return [("session.noted", noted, None)]
        case ev.RunStarted():
            started = ev.TurnStarted(text=data.text, origin="holdfast")
            return [("turn.started", started, _turn(data.about, data.attempt))]
        case ev.RunEnded() if data.outcome != "lost":  # an end that nobody saw is no record of one
            turn = ev.TurnEnded(status=data.status, reason=_how(data))
            agent = ev.AgentEnded(status=data.status, reason=_how(data))
            return [("turn.ended", turn, _turn(data.about, data.attempt)), ("agent.ended", agent, None)]
    return []


def _turn(session: str, attempt: int) -> str:
    return f"{session}/{attempt}"


def _how(data: ev.RunEnded) -> str:
    """How an attempt ended, in words."""
    if data.signal is not None:
        how = f"signal {data.signal} ended it"
    else:
        how = f"it ended with exit code {data.exit_code}"
        how += f": {data.reason}" if data.reason else ""
    return f"{how}, after it was told to ({data.asked})" if data.asked else how
