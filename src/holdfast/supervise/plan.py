"""What is to be done about an agent. Pure: a look at it, and the moment, decide.

The numbers are those that held up elsewhere: 30 s, doubled each time up to 10 min; five failures in 15 min end it; what stood for half an
hour begins anew, and so does what a person starts again. What the machine or we ourselves cut (another boot, an attempt that never began) is no failure of the
agent's, nor is an end that nobody saw.

Moments are those of the clock, which may be set: back, and what ended seems to have ended later. Ends before such a step are not compared with those
after it, and nobody waits more than twice as long as he should.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import structs

from holdfast.supervise.look import ENDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.supervise.look import AgentLook, Life

_US: Final = 1_000_000
BACKOFF_US: Final = 30 * _US
MOST_BACKOFF_US: Final = 600 * _US
LOOP_FAILURES: Final = 5
LOOP_US: Final = 900 * _US
STABLE_US: Final = 1_800 * _US
STARTING_US: Final = 5 * _US  # so long an attempt may take to show that it began
WANTED_US: Final = 600 * _US  # after this, what was asked for and never began is asked about, not begun


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before `until_us`; None: before something happens to the agent."""

    why: str
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Tell what became of these attempts."""

    attempts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Start the attempt; `failures` of its run so far."""

    attempt: int
    why: str
    failures: int = 0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It failed too often; only a person starts it again."""

    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """It may be started again, and a person is to say so."""

    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """It is over."""

    why: str


Action = Wait | Record | Start | GiveUp | Ask | Done


def next_action(agent: AgentLook, now_us: int) -> Action:
    """Decide about one agent; `now_us` is UTC microseconds."""
    untold = tuple(life.attempt for life in agent.lives if is_untold(life))
    if untold:
        return Record(untold)
    if agent.spec is None:
        return Done(agent.problem or "what was asked for cannot be read")
    last = agent.last
    if last is None:
        return Ask("it was asked for and has no attempt")
    if last.is_alive:
        return Wait(f"it is {last.state}")
    if _is_unwanted(last):
        return Done("somebody ended it")
    if last.state == "never_started":
        return _begin(last, now_us)
    if last.state == "exited" and last.exit_code == 0:
        return Done("it ended well")
    return _again(agent.lives, agent.spec.restart, now_us)


def is_untold(life: Life) -> bool:
    """Whether there is more to tell of an attempt than is told."""
    if life.is_over:
        return life.told != "ended"
    return life.is_alive and life.started_us is not None and not life.told


def is_settled(agent: AgentLook) -> bool:
    """Whether nothing more happens to it by itself, once everything is told. No moment changes that."""
    return isinstance(once_told(agent, 0), Done | GiveUp | Ask)


def once_told(agent: AgentLook, now_us: int) -> Action:
    """What is to be done once all that happened is told."""
    lives = tuple(structs.replace(life, told="ended" if life.is_over else "started") for life in agent.lives)
    return next_action(structs.replace(agent, lives=lives), now_us)


def _is_unwanted(life: Life) -> bool:
    return life.asked is not None or (life.stop is not None and life.stop.how in ENDS)


def _begin(life: Life, now_us: int) -> Action:
    """An attempt was made, and nobody started it: who wanted to was killed, or does it just now."""
    made_us = life.created_us if life.created_us is not None else 0
    if made_us <= now_us < made_us + STARTING_US:
        return Wait("it is being started", made_us + STARTING_US)
    if now_us >= made_us + WANTED_US:
        return Ask("it was asked for long ago, and never began")
    return Start(life.attempt, "who wanted to start it did not get to it")


def _again(lives: Sequence[Life], restart: str, now_us: int) -> Action:
    last = lives[-1]
    if restart == "never":
        return Done("it is not to be started again")
    if is_interruption(last):
        why = f"it was interrupted: {last.why}"
        return Ask(why) if restart == "ask" else Start(last.attempt + 1, why, len(failures(lives)))
    if last.state == "lost":
        return Ask(f"how it ended is not known: {last.why}")
    if restart == "ask":
        return Ask("it failed")
    ends = failures(lives)
    if is_loop(ends):
        return GiveUp(f"it failed {LOOP_FAILURES} times within {LOOP_US // 60 // _US} min")
    pause_us = backoff_us(len(ends))
    due_us = ends[-1] + pause_us
    if now_us < due_us <= now_us + 2 * pause_us:
        return Wait(f"it failed, and is started again after {pause_us // _US} s", due_us)
    return Start(last.attempt + 1, "it failed", len(ends))


def is_interruption(life: Life) -> bool:
    """Whether an attempt was cut by the machine, not by a failure of its own."""
    return life.state == "never_started" or (life.state == "lost" and life.rebooted)


def failures(lives: Sequence[Life]) -> list[int]:
    """When the attempts ended that count against the last one: back to one that stood long enough, ended well, or was started by a person."""
    out: list[int] = []
    for life in reversed(lives):
        if life.state == "exited" and life.exit_code == 0:
            break
        end_us = _end_us(life)
        if life.state == "exited":
            out.append(end_us)
        if life.is_again or (life.is_over and end_us - (life.started_us or end_us) >= STABLE_US):
            break
    return out[::-1]


def _end_us(life: Life) -> int:
    known = (life.ended_us, life.seen_us, life.started_us, life.created_us)
    return next((at for at in known if at is not None), 0)


def is_loop(ends_us: Sequence[int]) -> bool:
    """Whether failures came so close together that the next one would too."""
    last = list(ends_us[-LOOP_FAILURES:])
    return len(last) == LOOP_FAILURES and last == sorted(last) and last[-1] - last[0] <= LOOP_US


def backoff_us(count: int) -> int:
    """How long is waited after so many failures, 1 or more."""
    return int(min(BACKOFF_US << min(count - 1, 10), MOST_BACKOFF_US))
