"""What tells of a session beside its transcript: whether a process of it is at work, and what its hooks told last.

Three clocks meet here. A transcript's lines and a process's status bear the moment they were written. What a hook told bears the
moment it was recorded, at or after the one it is about. So among hooks their own order decides; against a transcript a sign of a
hook counts unless something is written there that is later than its recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from holdfast.events import ProcessSighted
from holdfast.store import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.store.runs import Run

_AFTER = (
    "began",
    "left",
    "prompted",
    "answered",
    "stopped",
    "failed",
)  # none of these leaves a question open
_APPROVALS = ("permission", "approv", "sandbox")  # in what a tool says it waits for


class Vital(NamedTuple):
    """A session's process. `process` is alive, dead, or unseen: there is one, or was, that cannot be looked at from here; `why` is how
    that is known.

    `status` is the tool's word, `busy`, `idle`, `waiting` or another, for what the process does since `since_us`. `last_word`: that is the last
    it said, for it can be read where the tool left it; else it is what was recorded last, and it may have said more since. `run` is the life of
    an agent that was started here, where it is that which tells.
    """

    process: str
    why: str
    status: str | None = None
    waiting_for: str | None = None
    since_us: int | None = None
    last_word: bool = True
    run: Run | None = None


def seen(vital: Vital | None) -> Vital | None:
    """What is known of a session's process; None: nothing, or it cannot be looked at."""
    return None if vital is None or vital.process == "unseen" else vital


Vitals: TypeAlias = "Callable[[str, ProcessSighted | None, Sequence[Run]], Vital | None]"
"""Says what is known of the process of the session with a key, given the last one recorded, and the lives of agents in it."""


def nobody_looked(_key: str, _known: ProcessSighted | None, lives: Sequence[Run] = ()) -> Vital | None:
    """Nothing is known of any process but what is recorded of its end."""
    return supervised(runs.last(lives))


def supervised(run: Run | None) -> Vital | None:
    """What a life of an agent says of its session's process; None: nothing."""
    if run is None or not (run.is_alive or run.is_over):
        return None
    return Vital("alive" if run.is_alive else "dead", run.words, run=run)


class Sign(NamedTuple):
    """What a hook told last of one kind. `at_us` is when it was recorded."""

    at_us: int
    text: str | None = None
    tasks: int | None = None
    agents: int | None = None


class Wait(NamedTuple):
    """That a person is waited for; `approval`: for leave, not for words; `asked`: for what, in the words of the one who told it."""

    approval: bool
    why: str
    asked: str | None = None


class Signs:
    """What hooks told last of one session. `of[agent][sign]` is the last of each; "" is the main agent."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Sign]] = {}
        self.written_us: dict[str, int | None] = {}  # when each agent's transcript was written last

    def add(self, agent: str, sign: str, at_us: int, data: str, written_us: int | None) -> None:
        """Take in one row of the query `signs`."""
        said = msgspec.json.decode(data)
        found = Sign(at_us, said.get("text"), said.get("tasks"), said.get("agents"))
        self.of.setdefault(agent, {})[sign] = found
        self.written_us[agent] = written_us

    def at(self, *signs: str, agent: str = "") -> int:
        """When the last of these was told; -1: never."""
        told = self.of.get(agent, {})
        return max((told[sign].at_us for sign in signs if sign in told), default=-1)

    def times(self) -> list[int]:
        """When something was told."""
        return [sign.at_us for told in self.of.values() for sign in told.values()]

    @property
    def last_us(self) -> int | None:
        """When something was told last."""
        return max(self.times(), default=None)

    def left(self) -> Sign | None:
        """That the session was left, if nothing shows that it went on."""
        left = self.of.get("", {}).get("left")
        if left is None or self.at("began", "prompted", "worked", "answered") > left.at_us:
            return None
        return None if self._wrote_after("", left) else left

    def wait(self) -> Wait | None:
        """What a person was asked for and has not answered, as far as is known."""
        return next(filter(None, map(self.wait_of, sorted(self.of))), None)

    def wait_of(self, agent: str) -> Wait | None:
        """What one agent asked a person for and got no answer to."""
        told = self.of.get(agent, {})
        after = max(self.at(*_AFTER, agent=agent), self.at("left", "failed", "prompted"))
        for name, before in (("asked", after), ("needed", max(after, self.at("worked", agent=agent)))):
            sign = told.get(name)
            if sign is not None and sign.at_us > before and not self._wrote_after(agent, sign):
                who = f"agent {agent} asks" if agent else "it asks"
                what = sign.text if name == "asked" else f"a person: {sign.text}"
                return Wait(name == "asked", f"{who} {'for ' if name == 'asked' else ''}{what}", sign.text)
        return None

    def stop(self) -> Sign | None:
        """How the last turn stopped, if nothing was told since."""
        stopped = self.of.get("", {}).get("stopped")
        if stopped is None or self.at("prompted", "worked", "answered", "failed") > stopped.at_us:
            return None
        return stopped

    def _wrote_after(self, agent: str, sign: Sign) -> bool:
        written_us = self.written_us.get(agent)
        return written_us is not None and written_us > sign.at_us


def waits(vital: Vital) -> Wait:
    """What a process says it waits for."""
    what = vital.waiting_for or "a person"
    approval = any(word in what.lower() for word in _APPROVALS)
    return Wait(approval, f"its process says that it waits for {what}")


def signs_by_session(rows: Iterable[dict[str, Any]]) -> dict[int, Signs]:
    """The rows of the query `signs`, by session."""
    out: dict[int, Signs] = {}
    for row in rows:
        of = out.setdefault(row["session_id"], Signs())
        of.add(row["agent"], row["sign"], row["position"], row["data"], row["written_us"])
    return out


def sighted(row: dict[str, Any]) -> ProcessSighted:
    """A row of the query `processes` as it was recorded."""
    return ProcessSighted(
        pid=row["pid"],
        host=row["host"] or None,
        boot_id=row["boot"] or None,
        namespace=row["namespace"] or None,
        start_ticks=None if row["start_ticks"] < 0 else row["start_ticks"],
        began_us=row["began_us"],
        status=row["status"],
        waiting_for=row["waiting_for"],
        since_us=None if row["since_us"] < 0 else row["since_us"],
    )
