"""How far agents are: what they said themselves, else what the lists of tasks of their sessions tell; and saying it.

What was said and is not recorded yet is read from the spool, so that an answer lacks nothing of it, whether or not anybody catches up.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast import clock
from holdfast.capture import progress
from holdfast.errors import StoreError
from holdfast.recover import tasks
from holdfast.recover.reading import Reading
from holdfast.store import database
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import apsw

    from holdfast.capture.progress import Progress
    from holdfast.home import Home
    from holdfast.supervise.spec import Spec

_SQL = statements("queries")
_MOST_BYTES = (
    1 << 20
)  # of one spool, its newest lines; nobody says so much of his progress before it is recorded
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe is not waited for


def say(spool: Path, line: bytes) -> None:
    """Append a line to the spool of an agent, in one write, as the agent itself would.

    Raises:
        StoreError: the system refuses; nothing was said.
    """
    try:
        fd = os.open(spool, _APPEND, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "it is no file")
            if os.write(fd, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(fd)
    except OSError as exc:
        hint = "make room or repair access; nothing was said"
        raise StoreError(f"{spool}: {exc.strerror}", hint=hint) from exc


def begin(spool: Path, attempt: int) -> None:
    """Say that another attempt begins, before it does. Where that cannot be written, it begins all the same."""
    with contextlib.suppress(StoreError):
        say(spool, progress.begun(attempt, clock.now_us()))


def of(home: Home, specs: Iterable[Spec]) -> dict[str, Progress]:
    """How far each agent is, by its id; those of which nothing is known are left out.

    Raises:
        HoldfastError: the store cannot be read.
    """
    out: dict[str, Progress] = {}
    if not (wanted := list(specs)):
        return out
    with contextlib.closing(home.reader()) as db:
        for spec in wanted:
            found = _said(home, db, spec) or _inferred(home, db, spec)
            if found is not None:
                out[spec.id] = found
        return out


def _said(home: Home, db: apsw.Connection, spec: Spec) -> Progress | None:
    """By its own word. Spools are read first: what is recorded meanwhile is met twice then, which comes to the same."""
    waiting = list(_waiting(home.inbox, db, spec.id))
    rows = database.rows(db, _SQL["progress"], key=spec.session, run=spec.id)
    told: list[tuple[int | None, dict[str, Any]]] = [
        (row["time_us"], msgspec.json.decode(row["data"])) for row in rows
    ]
    return progress.latest([*told, *waiting])


def _waiting(directory: Path, db: apsw.Connection, agent: str) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """What stands in the spools of an agent and is not recorded, whole lines only."""
    name = progress.spool_name(agent)
    for path in [*sorted(directory.glob(f"{name}-*")), directory / name]:
        with contextlib.suppress(OSError):  # it is not there, or nobody could record it either
            consumed: Any = db.execute(_SQL["consumed_of_file"], {"id": path.name}).get
            lines, changed_us = _newest(path, consumed or 0)
            for raw in lines:
                if (event := progress.read(raw, agent)) is not None:
                    fields, said_us = event
                    yield (changed_us if said_us is None else min(said_us, changed_us)), fields


def _newest(path: Path, start: int) -> tuple[list[bytes], int]:
    """The whole lines of a spool from a place on, the newest where they are many, and when it was changed. Raises OSError."""
    fd = os.open(path, _READ)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        return [], 0
    with os.fdopen(fd, "rb") as file:
        first = max(start, found.st_size - _MOST_BYTES)
        file.seek(
            first - (first > start)
        )  # with the byte before, so that a line that begins here is seen whole
        lines = file.read(_MOST_BYTES + 1).split(b"\n")[:-1]
        return lines[first > start :], found.st_mtime_ns // 1_000


def _inferred(home: Home, db: apsw.Connection, spec: Spec) -> Progress | None:
    """By the newest list of tasks of the main agent of its session."""
    row: Any = None if spec.is_plain else db.execute(_SQL["session_of_key"], {"key": spec.session}).get
    if row is None:
        return None
    reading = Reading(db, home.recall(), row)
    calls = tasks.since_whole(reading.task_calls)
    found = tasks.newest(calls, reading.given, [])
    at_us = max((call.end_us or call.start_us or 0 for call in calls), default=0)
    return progress.of_tasks(((task.status, task.text) for task in found), at_us or None)
