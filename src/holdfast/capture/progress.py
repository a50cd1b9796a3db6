"""How far an agent is, by its own account: what a line of its spool says, and what many of them come to. Pure.

An agent appends lines to the file that `HOLDFAST_PROGRESS` names. A line is plain text or a JSON object:

    40                              it is at 40 of 100
    40% half of the tests run       … and what it is doing
    looking for the cause           what it is doing, how far is not said; also `3 tests fail` and `{building}`
    {"progress": 40, "message": text, "current_task": text, "tasks_completed": 3, "tasks_total": 8,
     "reset": true, "time": ISO 8601}

All members are optional. What is done over all that is to be done counts where `progress` is not said. Whoever starts another attempt of an agent
says so there before, in a line that says nothing else ({"holdfast_attempt": 2, "time": ISO 8601}): how far the last one was means nothing any more.

The spool is `inbox/progress-<agent>`; once it is taken, its name says which session the agent is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdfast import clock
from holdfast.errors import InvalidEvent
from holdfast.events import Data, Event, Invalid, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.store.project import Entry, Translation

SOURCE: Final = "run.progress"
KIND: Final = "run.progress"
VARIABLE: Final = "HOLDFAST_PROGRESS"
SPOOL: Final = re.compile("progress-[0-9a-f]{12}")
TAKEN: Final = re.compile(
    r"progress-([0-9a-f]{12})-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:-([a-z]{1,20})\.([A-Za-z0-9._-]{1,80}))?"
)
_SESSION = re.compile(r"([a-z]{1,20}):([A-Za-z0-9._-]{1,80})")
MESSAGE_CHARS: Final = 2_000
_PLAIN = re.compile(r"(\d{1,3}(?:\.\d+)?)(?:\s*%(?:\s+(.*))?)?\Z", re.DOTALL)
_OBJECT = re.compile(r"\{\s*[\"}]")
_SPELLINGS: Final = {
    "progress": "percent",
    "progress_pct": "percent",
    "percent": "percent",
    "message": "message",
    "progress_message": "message",
    "current_task": "current_task",
    "task": "current_task",
    "tasks_completed": "tasks_completed",
    "tasks_total": "tasks_total",
    "reset": "reset",
}
_BEGUN: Final = "holdfast_attempt"  # no agent says so by accident
_TIMES: Final = ("time", "last_update", "timestamp")


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an agent is.

    Attributes:
        percent: from 0 to 100; None: not known.
        message: what it said last.
        task: what it works on, as it said last.
        at_us: when it last said anything of this, in UTC microseconds.
        grade: observed, by its own word, or inferred, from its list of tasks.
    """

    percent: float | None = None
    message: str | None = None
    task: str | None = None
    at_us: int | None = None
    grade: str = "observed"


def line(raw: bytes) -> tuple[dict[str, Any], int | None] | None:
    """The fields of `run.progress` that a line tells, unchecked, and when it says it was written; None: an empty line."""
    text = raw.decode("utf-8", "replace").strip()
    if not text:
        return None
    if _OBJECT.match(text):
        try:
            said = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            return {"percent": f"a line that is not JSON: {exc}"}, None
        fields = {"attempt": said[_BEGUN]} if said.keys() == {_BEGUN, "time"} else _fields(said)
        return fields, next(
            (at for name in _TIMES if (at := clock.parse_us(said.get(name))) is not None), None
        )
    found = _PLAIN.match(text)
    if found is None:
        return {"message": text[:MESSAGE_CHARS]}, None
    percent = {"percent": float(found[1])}
    return percent | ({"message": found[2].strip()[:MESSAGE_CHARS]} if found[2] else {}), None


def _fields(said: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in said.items():
        if (ours := _SPELLINGS.get(name)) is not None and value is not None:
            fields.setdefault(ours, value[:MESSAGE_CHARS] if isinstance(value, str) else value)
    return fields


def told(
    progress: float | None, message: str | None, task: str | None, at_us: int, *, reset: bool = False
) -> bytes:
    """The line that says so."""
    said = {"progress": progress, "message": message, "current_task": task, "reset": reset or None}
    kept = {name: value for name, value in said.items() if value is not None}
    return msgspec.json.encode(kept | {"time": clock.iso(at_us)}) + b"\n"


def begun(attempt: int, at_us: int) -> bytes:
    """The line that says that another attempt begins."""
    return msgspec.json.encode({_BEGUN: attempt, "time": clock.iso(at_us)}) + b"\n"


def latest(events: Iterable[tuple[int | None, dict[str, Any]]]) -> Progress | None:
    """What (time, fields of `run.progress`) come to, in their order; None: nothing was said.

    How far does not go back: less than was said before counts only after a `reset`, which begins anew. Of messages and tasks the
    last one counts. What was said before an attempt began is of earlier ones; that it began may be said more than once.
    """
    out: Progress | None = None
    attempt = 1
    for at_us, fields in events:
        if (begun := fields.get("attempt")) is not None:
            if begun > attempt:
                attempt, out = begun, None
            continue
        before = Progress() if out is None or fields.get("reset") is True else out
        percent = _percent(fields)
        if percent is not None and before.percent is not None:
            percent = max(percent, before.percent)
        out = Progress(
            percent=before.percent if percent is None else percent,
            message=fields.get("message", before.message),
            task=fields.get("current_task", before.task),
            at_us=before.at_us if at_us is None else at_us,
        )
    return out


def _percent(fields: dict[str, Any]) -> float | None:
    if (said := fields.get("percent")) is not None:
        return float(said)
    done, total = fields.get("tasks_completed"), fields.get("tasks_total")
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        return min(100.0, 100.0 * done / total)
    return None


def of_tasks(statuses: Iterable[tuple[str, str]], at_us: int | None) -> Progress | None:
    """What a list of tasks tells, as (status, text) of each: how many of them are done, and which one is in work; None: there is none."""
    found = list(statuses)
    if not found:
        return None
    done = sum(status == "completed" for status, _ in found)
    current = next((text for status, text in found if status == "in_progress"), None)
    return Progress(
        percent=100.0 * done / len(found),
        message=f"{done} of {len(found)} tasks",
        task=current,
        at_us=at_us,
        grade="inferred",
    )


# ── the spool ──


def spool_name(agent: str) -> str:
    """What the spool of an agent is called, in the inbox."""
    return f"progress-{agent}"


def agent_of(spool: str) -> str:
    """The agent whose spool, taken or not, has this name."""
    return spool.split("-")[1]


def taken_name(spool: str, unique: str, session: str | None) -> str:
    """What a spool is called when it is taken; `session` is the key of the session that the agent is, None: its own."""
    found = _SESSION.fullmatch(session or "")
    return f"{spool}-{unique}" + (f"-{found[1]}.{found[2]}" if found else "")


def session_of(taken: str) -> str:
    """The key of the session that a taken spool is about."""
    found = TAKEN.fullmatch(taken)
    return f"{found[2]}:{found[3]}" if found and found[2] else f"run:{agent_of(taken)}"


def translate(entry: Entry) -> Translation:
    """Understand one line (`Entry.body` without its line end)."""
    from holdfast.store.project import Translation  # noqa: PLC0415 - who starts agents needs the names above, and no store

    out = Translation()
    if TAKEN.fullmatch(entry.file) is None:
        out.problems.append("progress of nobody knows which agent")
        return out
    found = line(entry.body)
    if found is None:
        return out
    fields, said_us = found
    session = session_of(entry.file)
    kind, data = _parsed({"run": agent_of(entry.file), "about": session} | fields)
    out.events.append(
        Event(
            id=entry.record_id,
            kind=kind,
            session=session,
            time_us=entry.received_us if said_us is None else min(said_us, entry.received_us),
            data=data,
            order=entry.received_us,
        )
    )
    return out


def read(raw: bytes, agent: str) -> tuple[dict[str, Any], int | None] | None:
    """The fields of `run.progress` that a line tells, and when it says it was written; None: nothing that can be understood."""
    found = line(raw)
    if found is None:
        return None
    _, data = _parsed({"run": agent, "about": ""} | found[0])
    return None if isinstance(data, Invalid) else (msgspec.to_builtins(data), found[1])


def _parsed(fields: dict[str, Any]) -> tuple[str, Data]:
    try:
        return parse(KIND, fields)
    except InvalidEvent as exc:
        return "invalid", Invalid(kind=KIND, why=exc.why, fields=fields)
