"""Lives of agents that Holdfast started, as they are recorded: which process, in which session, and how it ended.

How one ended is recorded; whether one runs is never recorded, and asked when somebody looks (`Looks`). Where a life has no end that is
recorded, and nobody looked, nothing is known of it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from holdfast import clock
from holdfast.store.database import rows
from holdfast.store.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import apsw

Json = dict[str, Any]
_SQL = statements("queries")
ALIVE: Final = frozenset({"running", "paused", "unshimmed"})
OVER: Final = frozenset({"exited", "lost"})
STATES: Final = (*sorted(ALIVE), *sorted(OVER), "never_started", "unknown")
_SIGNALS: Final = {
    128 + number for number in (1, 2, 9, 15)
}  # what a program returns that was ended by one of these and tidied up


class Run(NamedTuple):
    """One life of an agent.

    Attributes:
        agent, name, parent: its id, what it is called, and the id of the agent that it works for.
        attempt: which of its lives this is, from 1.
        state: one of STATES; unknown: it was started, and nobody looked since.
        is_halted: nobody watches it, and a signal halts it.
        why: how that is known, where it is not the kernel's or the shim's own word.
        started_us, ended_us: UTC microseconds.
        seen_us: when it was alive last, as far as is known, where nobody saw its end.
        exit_code, signal: how it ended, where anybody saw it.
        asked: what it was asked for before it ended, or was lost: stop or kill.
        pid, start_ticks, boot, host: which process it is, or was.
        place: where the journal says that it ended: segment, and byte within it.
    """

    agent: str
    attempt: int
    name: str | None = None
    parent: str | None = None
    state: str = "unknown"
    is_halted: bool = False
    why: str | None = None
    started_us: int | None = None
    ended_us: int | None = None
    seen_us: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    asked: str | None = None
    pid: int | None = None
    start_ticks: int | None = None
    boot: str | None = None
    host: str | None = None
    place: tuple[int, int] | None = None

    @property
    def is_alive(self) -> bool:
        return self.state in ALIVE

    @property
    def is_paused(self) -> bool:
        return self.state == "paused" or self.is_halted

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def duration_ms(self) -> int | None:
        """How long it took, by the clock of its machine; None: it goes on, or its end is not known."""
        if self.started_us is None or self.ended_us is None:
            return None
        return max(0, (self.ended_us - self.started_us) // 1000)

    @property
    def grade(self) -> str:
        """How sure its status is: nobody saw how a lost one ended, or watches one whose shim is gone."""
        return "inferred" if self.state in {"lost", "unshimmed"} else "observed"

    @property
    def was_stopped(self) -> bool:
        """Whether somebody ended it, or the tool says that a signal made it end."""
        return self.asked is not None or self.signal is not None or self.exit_code in _SIGNALS

    @property
    def file(self) -> str:
        """Where its shim says how it ended, below the home."""
        return f"run/{self.agent}/{self.attempt:04d}/exit.json"

    @property
    def lock(self) -> str:
        """What its shim holds as long as it runs, below the home."""
        return f"run/{self.agent}/{self.attempt:04d}/lock"

    @property
    def status(self) -> str:
        """The execution status that it amounts to. An end that nobody saw is no outcome: it was cut, or ended as it was asked to."""
        if self.is_alive:
            return "paused" if self.is_paused else "running"
        if self.state == "unknown":
            return "unknown"
        if self.asked is not None:
            return "cancelled"
        if self.state == "never_started":
            return "pending"
        if self.state == "lost":
            return "interrupted"
        return "completed" if self.exit_code == 0 else "failed"

    @property
    def words(self) -> str:
        """How it stands, as part of a sentence that begins with its process."""
        process = "its supervised process" + ("" if self.pid is None else f" {self.pid}")
        if self.is_alive:
            how = " is paused" if self.is_paused else " runs"
            return process + how + (", and its shim is gone" if self.state == "unshimmed" else "")
        if self.state == "exited":
            how = (
                f"was ended by signal {self.signal}"
                if self.signal is not None
                else f"exited with code {self.exit_code}"
            )
            return f"{process} {how}" + ("" if self.asked is None else f", as it was asked to ({self.asked})")
        if self.state == "lost":
            how = "" if self.asked is None else f"; it was asked to end ({self.asked})"
            return f"{process} is gone, and nobody saw how" + (
                how if self.why is None else f": {self.why}{how}"
            )
        return (
            f"{process} never began"
            if self.state == "never_started"
            else f"of {process} nothing more is known"
        )


Looks: TypeAlias = "Callable[[Run], Run]"
"""Says how a life stands at this moment."""


def recorded_only(run: Run) -> Run:
    """Nobody looks."""
    return run


def last(found: Iterable[Run]) -> Run | None:
    """The life of a session that counts: one that goes on, else the one that began last. Of one agent's lives no clock decides that."""
    latest: dict[str, Run] = {}
    for run in found:
        one = latest.get(run.agent)
        if one is None or (run.is_alive, run.attempt) > (one.is_alive, one.attempt):
            latest[run.agent] = run
    return max(latest.values(), key=_rank, default=None)


def _rank(run: Run) -> tuple[bool, int, str]:
    return run.is_alive, -1 if run.started_us is None else run.started_us, run.agent


def by_session(db: apsw.Connection, only: int | None = None) -> dict[int, list[Run]]:
    """The lives in each session, or in one, in the order in which they began."""
    out: dict[int, list[Run]] = defaultdict(list)
    for row in rows(db, _SQL["runs"], session_id=only):
        out[row["session_id"]].append(_recorded(row))
    return out


def _recorded(row: Json) -> Run:
    """A row of the query `runs`."""
    state = row["state"] or ("never_started" if row["started_us"] is None else "unknown")
    place = None if row["segment"] is None else (row["segment"], row["offset_bytes"])
    same = ("agent", "attempt", "name", "parent", "why", "exit_code", "signal", "asked", "pid")
    is_lost = state == "lost"  # what is recorded as its moment is when it was alive last
    return Run(
        **{name: row[name] for name in same},
        state=state if state in STATES else "unknown",
        started_us=row["started_us"],
        ended_us=None if is_lost else row["ended_us"],
        seen_us=row["ended_us"] if is_lost else None,
        start_ticks=row["start_ticks"],
        boot=row["boot"],
        host=row["host"],
        place=place,
    )


def answer(run: Run | None) -> Json | None:
    """A life as answers tell of it; None: there is none."""
    if run is None:
        return None
    return {
        "agent": run.agent,
        "name": run.name,
        "parent": run.parent,
        "attempt": run.attempt or None,
        "state": run.state,
        "status": run.status,
        "pid": run.pid,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "started_at": clock.iso(run.started_us),
        "ended_at": clock.iso(run.ended_us),
    }
