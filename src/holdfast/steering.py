"""Asking agents to end, to halt, and to go on: what is wanted is written down before anything is done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from holdfast import clock
from holdfast.errors import AgentEnded, HoldfastError, SuperviseError
from holdfast.failpoints import failpoint
from holdfast.run_telling import opened, told_up_to_date
from holdfast.run_views import View, find
from holdfast.supervise import look, reach, start
from holdfast.supervise.spec import GRACE_S

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from holdfast.home import Home
    from holdfast.supervise.look import Life
    from holdfast.supervise.process import Member


class Steered(NamedTuple):
    """What came of asking an agent for something.

    Attributes:
        view: how it stands afterwards.
        reached: whether there was somebody to ask.
        done: whether what was asked for is so.
        unsure: who runs on in its group, and is not known to be its own.
    """

    view: View
    reached: bool
    done: bool
    unsure: tuple[Member, ...] = ()


class _Wish(NamedTuple):
    """What is asked for, by whom and why."""

    how: str
    by: str | None
    why: str | None


class _Under(NamedTuple):
    """An agent that was asked for something, and its lives that were, by attempt, the last one too."""

    view: View
    asked: dict[int, reach.Asked]

    @property
    def last(self) -> int:
        return max(self.asked)

    @property
    def is_reached(self) -> bool:
        return any(one.reached for one in self.asked.values())


_MOST_LIVES: Final = (
    5  # of one agent that are asked, each because it was begun while the one before was asked
)


def stop(home: Home, name: str, *, by: str | None = None, why: str | None = None) -> Steered:
    """Ask an agent to end: SIGTERM to its group, and SIGKILL after its grace. One that waits to be started again is not. Of one whose end nobody saw,
    what it left in its group is ended.

    Raises:
        NotFound, AmbiguousId: as `find`.
        AgentEnded: it is over.
        SuperviseError: nobody can be asked from here.
    """
    return _steer(home, name, "stop", by, why)


def stop_all(
    home: Home, names: Iterable[str], *, by: str | None = None, why: str | None = None
) -> tuple[list[Steered], list[HoldfastError]]:
    """Ask agents to end, and wait for all of them together; also what kept one from being asked. One that ended meanwhile is left out."""
    wish = _Wish("stop", by, why)
    under: list[_Under] = []
    failed: list[HoldfastError] = []
    for name in names:
        try:
            under.append(_ask(home, find(home, name), wish))
        except AgentEnded:
            continue
        except HoldfastError as exc:
            failed.append(exc)
    out = []
    for one in under:
        try:
            out.append(_seen_through(home, one, wish))
        except HoldfastError as exc:
            failed.append(exc)
    return out, failed


def kill(home: Home, name: str, *, by: str | None = None, why: str | None = None) -> Steered:
    """End an agent and its group at once (SIGKILL). Raises as `stop`."""
    return _steer(home, name, "kill", by, why)


def pause(home: Home, name: str, *, by: str | None = None, why: str | None = None) -> Steered:
    """Halt an agent and its group (SIGSTOP) until `unpause`. Raises as `stop`."""
    return _steer(home, name, "pause", by, why)


def unpause(home: Home, name: str, *, by: str | None = None, why: str | None = None) -> Steered:
    """Have a paused agent go on (SIGCONT). Raises as `stop`."""
    return _steer(home, name, "unpause", by, why)


def _steer(home: Home, name: str, how: str, by: str | None, why: str | None) -> Steered:
    wish = _Wish(how, by, why)
    return _seen_through(home, _ask(home, find(home, name), wish), wish)


def _ask(home: Home, view: View, wish: _Wish) -> _Under:
    last, is_end = view.last, wish.how in reach.ENDS
    left = reach.survivors(view.look, view.directory) if is_end else {}
    if last is None or not (view.is_alive or left or (is_end and not view.is_ended)):
        raise AgentEnded(
            f"agent {view.id} is not running: {view.status}",
            hint="`holdfast ps --all` lists those that ended",
        )
    _intend(home, view, last, wish)
    failpoint("run.stopping")
    asked = {
        life.attempt: reach.ask(_room(view, life), life, wish.how)
        for life in view.look.lives
        if life.attempt in left
    }
    if last.attempt not in asked:
        nobody = reach.Asked(None, reached=False)
        asked[last.attempt] = reach.ask(_room(view, last), last, wish.how) if view.is_alive else nobody
    return _Under(view, asked)


def _room(view: View, life: Life) -> Path:
    return look.attempt_directory(view.directory, life.attempt)


def _intend(home: Home, view: View, life: Life, wish: _Wish) -> None:
    """Write down what is wanted, before anything is done about it. What is wanted of one that is lost is no reason why it was."""
    now_us = clock.now_us()
    how, by, why = wish
    room = _room(view, life)
    asked = look.Asked(how=how, over=life.is_over, by=by, why=why, at_us=now_us)
    about = view.spec if view.spec is not None else view.id
    with opened(home) as telling:
        telling.catch_up(view.look)
        key = f"{life.attempt}/{how}/{now_us}"
        telling.tell(
            "run.stopping", about, key, now_us, durable=True, attempt=life.attempt, how=how, by=by, why=why
        )
    if view.is_ended:
        return
    try:
        start.leave(room / "stop.json", msgspec.json.encode(asked) + b"\n")
    except OSError as exc:
        raise SuperviseError(
            f"{room}: {exc.strerror}", hint="nothing was done; make room or repair access"
        ) from exc


def _seen_through(home: Home, under: _Under, wish: _Wish) -> Steered:
    """Wait until what was asked for is so, as long as that may take, and tell what became of it. Who restarts it may have looked before it was asked."""
    done = reached = False
    for _ in range(_MOST_LIVES):
        late = [attempt for attempt in under.asked if not _waited_for(under, attempt, wish.how)]
        done = not late
        reached |= under.is_reached
        newer = find(home, under.view.id)
        if not (done and wish.how in reach.ENDS and _was_begun_meanwhile(newer, under.last)):
            break
        under, done = _ask(home, newer, wish), False
    told_up_to_date(home, [look.look(under.view.directory)])
    view = find(home, under.view.id)
    left = reach.survivors(view.look, view.directory).values() if wish.how in reach.ENDS else ()
    return Steered(view, reached, done and not left, tuple(one for group in left for one in group.unsure))


def _waited_for(under: _Under, attempt: int, how: str) -> bool:
    """Whether what was asked of a life is so, once it had the time for it."""
    view, asked = under.view, under.asked[attempt]
    if not asked.reached:
        return not look.life(view.directory, attempt).is_alive
    grace_s = GRACE_S if view.spec is None else view.spec.stop_grace_s
    return reach.wait(view.directory, attempt, how, grace_s, asked)


def _was_begun_meanwhile(view: View, attempt: int) -> bool:
    """Whether an agent has a later life than this one, which no person wanted after it."""
    last = view.last
    return last is not None and last.attempt > attempt and not last.is_again and not view.is_ended
