"""Evidence + time → graded truth, for sessions, their agents and their tool calls. Pure: it reads nothing and asks nobody.

What a session or agent is about is judged in one place, `store.state`; here it is said what that means after something died:

    finished       it came to an end of its own; `outcome` says which
    in_flight      it is at work
    waiting        it waits for a person
    never_started  it was asked for, and nothing shows that it began
    interrupted    it was cut: what it had under way may have happened, or not
    lost           a record says that nobody knows what became of it
    unknown        nothing tells

A machine that sleeps is silent too. Where silence alone says that something was cut, the time it slept does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.store.activity import Vital, Wait
    from holdfast.store.runs import Run
    from holdfast.store.state import Standing

STATUSES: Final = ("finished", "in_flight", "waiting", "never_started", "interrupted", "lost", "unknown")
CUT: Final = frozenset({"interrupted", "lost", "unknown"})  # what somebody has to look at
VERDICTS: Final = ("completed", "failed", "cancelled")
_OF_SESSION: Final = {
    "working": ("in_flight", None),
    "waiting": ("waiting", None),
    "idle": ("finished", "completed"),
    "interrupted": ("interrupted", None),
    "failed": ("finished", "failed"),
    "ended": ("finished", "completed"),
    "empty": ("never_started", None),
}
_OF_AGENT: Final = {
    "completed": ("finished", "completed"),
    "failed": ("finished", "failed"),
    "cancelled": ("finished", "cancelled"),
    "running": ("in_flight", None),
    "paused": ("in_flight", None),
    "waiting": ("waiting", None),
    "interrupted": ("interrupted", None),
    "pending": ("never_started", None),
    "spawning": ("never_started", None),
    "lost": ("lost", None),
}


class Verdict(NamedTuple):
    """Where something stands; `outcome` is how it finished."""

    status: str
    outcome: str | None
    grade: str
    why: str


class Silence(NamedTuple):
    """How long nothing was heard of a session, how much of that the machine may have slept, and from when on silence counts;
    `unseen` says that it has a process which cannot be looked at from here.
    """

    for_us: int
    slept_us: int
    stale_us: int
    unseen: str | None = None


def of_session(standing: Standing, silence: Silence | None, *, run: Run | None = None) -> Verdict:
    """What a session's state means. `silence`: what it is judged by, where nothing else tells that it is over. `run`: the life that
    Holdfast started, where the session is all that this life was.
    """
    status, outcome = _OF_SESSION[standing.state]
    if status == "interrupted" and silence is not None and silence.unseen:
        return Verdict("unknown", None, "unknown", f"{standing.why}; {silence.unseen}")
    if run is not None and run.status in VERDICTS:
        return Verdict("finished", run.status, standing.grade, standing.why)
    if (
        status == "interrupted"
        and silence is not None
        and silence.for_us - silence.slept_us < silence.stale_us
    ):
        minutes, slept = silence.for_us // 60_000_000, silence.slept_us // 60_000_000
        why = f"silent for {minutes} min, of which the machine may have slept {slept}"
        return Verdict("unknown", None, "unknown", why)
    return Verdict(status, outcome, standing.grade, standing.why)


def of_agent(standing: Standing, session: Verdict, *, began: bool, wait: Wait | None = None) -> Verdict:
    """Where a subagent stands.

    Args:
        standing: as it is shown.
        session: where its session stands.
        began: whether anything of it was seen but the call that asked for it.
        wait: what it asked a person for and got no answer to.
    """
    status, outcome = _OF_AGENT.get(standing.state, ("unknown", None))
    if status == "in_flight" and wait is not None:
        return Verdict("waiting", None, "inferred", wait.why)
    if status == "interrupted" and not began and standing.grade == "inferred":
        return Verdict("never_started", None, "inferred", "it was asked for, and nothing of it was recorded")
    if status == "interrupted" and session.status == "unknown" and standing.grade == "inferred":
        return Verdict("unknown", None, "unknown", session.why)
    return Verdict(status, outcome, standing.grade, standing.why)


def of_call(
    tool: str | None,
    agent: Verdict,
    *,
    current: bool,
    wait: Wait | None,
    likewise: int,
    others: bool,
    process: str | None,
) -> Verdict:
    """Where a tool call without a result stands.

    Args:
        tool: what it calls.
        agent: its agent.
        current: it is of the last thing that the agent said.
        wait: what its agent asked a person for and got no answer to, as far as hooks tell: none tells that leave was given.
        likewise: how many calls of this tool its agent has open.
        others: another agent asked for something too.
        process: what its process said last that it does.
    """
    if not current:
        return Verdict("interrupted", None, "inferred", "it has no result, and its agent went on without")
    if agent.status == "unknown":
        return Verdict("unknown", None, "unknown", agent.why)
    open_ = agent.status in {"in_flight", "waiting"}
    if wait is not None and is_asked_for(wait, tool):
        return _of_asking(wait, likewise=likewise, others=others, process=process, open_=open_)
    if agent.status == "waiting" and wait is None:
        return Verdict("waiting", None, agent.grade, agent.why)
    if open_:
        return Verdict("in_flight", None, agent.grade, "it has no result yet")
    return Verdict("interrupted", None, "inferred", "it has no result; whether it took effect is unknown")


def is_asked_for(wait: Wait, tool: str | None) -> bool:
    """Whether leave was asked for to use a tool."""
    return bool(wait.approval and tool and (wait.asked or "").endswith(f" {tool}"))


def _of_asking(wait: Wait, *, likewise: int, others: bool, process: str | None, open_: bool) -> Verdict:
    """A call for which leave was asked. Only a process that says that it waits shows that nobody gave it."""
    if likewise > 1:
        return Verdict("unknown", None, "unknown", f"{wait.why}, for this call or another")
    if process == "busy":
        if open_:
            return Verdict("in_flight", None, "inferred", "it asked for leave, and its process is busy")
        return Verdict("unknown", None, "unknown", f"{wait.why}; its process was busy, so it may have run")
    if open_:
        return Verdict("waiting", None, "inferred", wait.why)
    if process == "waiting" and others:
        return Verdict(
            "unknown", None, "unknown", f"{wait.why}; its process waited, for this or for another agent"
        )
    if process == "waiting":
        return Verdict("never_started", None, "inferred", f"{wait.why}, and nobody answered")
    return Verdict("unknown", None, "unknown", f"{wait.why}; whether it was given leave, and ran, is unknown")


def cause_of(
    vital: Vital | None, verdict: Verdict, *, rebooted: bool, exited: bool, by_person: bool
) -> str | None:
    """How a session that was cut was ended; None: unknown.

    `stopped`: a person ended its turn. `exited`: the tool said that it exits. `rebooted`: its process was of an earlier boot of this
    host. `died`: its process is gone, and it did not say why. Of a process that was started here, its end tells which.
    """
    if verdict.status not in CUT:
        return None
    run = None if vital is None else vital.run
    if by_person or (run is not None and run.asked is not None):
        return "stopped"
    if run is not None and run.state == "exited":
        return "died" if run.signal is not None else "exited"
    if exited:
        return "exited"
    if vital is not None and vital.process == "dead":
        return "rebooted" if rebooted else "died"
    return None


def judged(verdict: Verdict, said: str | None, why: str | None) -> Verdict:
    """What a person said counts more; `cleared` says nothing about what became of it."""
    if said not in VERDICTS or verdict.status not in CUT:
        return verdict
    return Verdict("finished", said, "observed", f"a person said so{f': {why}' if why else ''}")


def inconsistencies(
    session: Verdict, agents: list[dict[str, Any]], calls: list[dict[str, Any]], process: Sequence[str] = ()
) -> list[str]:
    """What the evidence says against itself, in words. `process`: what an observed end of its process says against its records."""
    found = list(process)
    if session.status == "finished" and session.outcome == "completed":
        cut = [
            one
            for one in agents
            if one["id"] and one["status"] == "interrupted" and one["grade"] == "observed"
        ]
        found += [f"the session ended, and agent {one['id']} in it was cut: {one['why']}" for one in cut]
    reported = {one["id"] for one in agents if one["reported"]}
    found += [
        f"agent {one['id']} is told as finished, and its call {call['id']} has no result"
        for one in agents
        for call in calls
        if one["id"] in reported and call["agent"] == one["id"] and call["status"] == "interrupted"
    ]
    return found
