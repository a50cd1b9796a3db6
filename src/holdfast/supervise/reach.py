"""How what is asked of a life reaches it: through its shim, and where that is gone, as signals to all of its group.

A group is known by its number, and a number is given out again. As long as the life's leader holds it, also as a zombie, it can be no other group; the
kernel gives it to nobody else while anybody is in that group. Once the leader is gone, only who was seen in the group before, or bears
the life's mark in the environment that it was started with, is its own. Of others nothing is known, and nobody is signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast import processes
from holdfast.errors import SuperviseError
from holdfast.supervise import look, process, shim

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.processes import Identity
    from holdfast.supervise.look import AgentLook, Life
    from holdfast.supervise.process import Member

ENDS: Final = look.ENDS
_TO_SHIM: Final = {"stop": shim.STOP, "kill": shim.KILL, "pause": shim.PAUSE, "unpause": shim.GO_ON}
_TO_GROUP: Final = {
    "stop": (signal.SIGTERM, signal.SIGCONT),  # what is paused could not hear it
    "kill": (signal.SIGKILL,),
    "pause": (signal.SIGSTOP,),
    "unpause": (signal.SIGCONT,),
}
_AFTER_GRACE_S: Final = 10.0
_PAUSE_S: Final = 2.0
_LOOK_AGAIN_S: Final = 0.01


class Sight:
    """All processes as they are when somebody first asks for them: one look, for however many agents."""

    @cached_property
    def everybody(self) -> list[Member]:
        return process.everybody()

    @cached_property
    def by_mark(self) -> dict[bytes, list[Member]]:
        """Those that bear the mark of a life, by that."""
        out: dict[bytes, list[Member]] = defaultdict(list)
        for one in self.everybody:
            if (mark := process.mark(one.pid)) is not None:
                out[mark].append(one)
        return dict(out)


class Members(NamedTuple):
    """Who is in a life's group: its own, and those of which nobody can tell."""

    own: list[Member]
    unsure: list[Member]


class Group:
    """The processes of a life that nobody watches. Linux only; elsewhere it is empty.

    Args:
        leader: the agent, alive or not.
        room: the directory of its attempt.
    """

    def __init__(self, leader: Identity, room: Path) -> None:
        self._leader = leader
        self._mark = os.fsencode(f"/{room.parent.name}/{room.name}")
        self._seen: set[tuple[int, int]] = set()

    def members(self, sight: Sight | None = None) -> Members:
        """Who runs in it, now or as `sight` has it."""
        leader = self._leader
        if not self._is_of_this_boot():
            return Members([], [])
        holder = process.member(leader.pid)
        if holder is not None and holder.start_ticks != leader.started_ticks:
            return Members([], [])  # the number was given out again, so the group had ended before
        found = self._not_older(process.group(leader.pid, None if sight is None else sight.everybody))
        still_held = holder is not None and _holds(process.member(leader.pid), leader)
        out = Members([], [])
        for one in found:
            is_own = still_held or one.identity in self._seen or process.mark(one.pid) == self._mark
            (out.own if is_own else out.unsure).append(one)
        self._seen.update(one.identity for one in out.own)
        return out

    def outside(self, sight: Sight) -> list[Member]:
        """Who left it, and bears its mark: a daemon of the life's, say. Nobody else can have this mark, and nobody is signalled for it."""
        if not self._is_of_this_boot():
            return []
        number, mine = self._leader.pid, os.getpid()
        return [
            one
            for one in self._not_older(sight.by_mark.get(self._mark, []))
            if number not in {one.group, one.session} and one.pid != mine
        ]

    def _is_of_this_boot(self) -> bool:
        leader = self._leader
        return (
            leader.started_ticks is not None
            and leader.boot is not None
            and leader.boot == processes.boot_id()
        )

    def _not_older(self, found: list[Member]) -> list[Member]:
        return [one for one in found if one.start_ticks >= (self._leader.started_ticks or 0)]

    def send(self, *numbers: int) -> int:
        """Give signals to all of its own; how many were there. Each is opened first and looked at again then."""
        sent = 0
        for one in self.members().own:
            handle = process.handle(one.pid)
            if handle is None:
                continue
            with contextlib.closing(handle):
                now = process.member(one.pid)
                if now is not None and now.identity == one.identity and now.group == self._leader.pid:
                    reached = [handle.send(number) for number in numbers]
                    sent += reached[0]
        return sent


def group_of(life: Life, room: Path) -> Group | None:
    """The group of a life that nobody watches; None: it has no process that can be known again."""
    who = life.identity
    if who is None or life.state not in {"unshimmed", "lost"}:
        return None
    return Group(who, room)


def _holds(found: Member | None, leader: Identity) -> bool:
    """Whether who has the leader's number is the leader."""
    return found is not None and found.start_ticks == leader.started_ticks


def survivors(agent: AgentLook, directory: Path, sight: Sight | None = None) -> dict[int, Members]:
    """Who runs on in the groups of lives whose end nobody saw, by attempt: they may still do its work, and nobody watches them."""
    sight, out = sight or Sight(), {}
    for life in agent.lives:
        group = (
            group_of(life, look.attempt_directory(directory, life.attempt)) if life.state == "lost" else None
        )
        found = Members([], []) if group is None else group.members(sight)
        if any(found):
            out[life.attempt] = found
    return out


def left_of(life: Life, room: Path, sight: Sight | None = None) -> list[look.Left]:
    """The processes of a life that is over which run on: those that its shim listed, or, of a lost one, who is in its group, or left it and
    bears its mark.
    """
    group = group_of(life, room) if life.state == "lost" else None
    if group is not None:
        sight = sight or Sight()
        found = group.members(sight)
        return [
            look.Left(one.pid, one.start_ticks, one.name)
            for one in (*found.own, *found.unsure, *group.outside(sight))
        ]
    return [
        one
        for one in life.left
        if processes.is_alive(processes.Identity(one.pid, one.start_ticks, life.boot_id))
    ]


class Asked(NamedTuple):
    """Whom something was asked of: the shim, or the group, and whether anybody was there."""

    group: Group | None
    reached: bool


def ask(room: Path, life: Life, how: str) -> Asked:
    """Give the signals to the shim, else to all of the group that nobody watches.

    Raises:
        SuperviseError: there is a shim, and it cannot be told from here who.
    """
    owner = process.owner_handle(room / "lock")
    if owner is not None:
        with contextlib.closing(owner):
            return Asked(None, owner.send(_TO_SHIM[how]))
    if process.lock_owner(room / "lock") == process.UNNAMED:
        raise SuperviseError(
            f"agent {room.parent.name}: its shim runs in another pid namespace",
            hint="ask from where it was started",
        )
    group = group_of(life, room)
    return Asked(group, group is not None and group.send(*_TO_GROUP[how]) > 0)


def wait(directory: Path, attempt: int, how: str, grace_s: float, asked: Asked) -> bool:
    """Wait until what was asked for is so, as long as that may take; whether it is. Of a group whoever stays after the grace is killed."""
    room = look.attempt_directory(directory, attempt)
    began_s = time.monotonic()
    limit_s = grace_s + _AFTER_GRACE_S if how in ENDS else _PAUSE_S
    while True:
        found = look.life(directory, attempt)
        if (
            asked.group is None and how in ENDS and found.state == "unshimmed"
        ):  # its shim was killed meanwhile
            asked = ask(room, found, how)
        passed_s = time.monotonic() - began_s
        if asked.group is not None and how in ENDS:
            if not asked.group.members().own and not found.is_alive:
                return True
            if how == "kill" or passed_s >= grace_s:
                asked.group.send(signal.SIGKILL)
        elif not found.is_alive or (how not in ENDS and found.is_paused == (how == "pause")):
            return True
        if passed_s >= limit_s:
            return False
        time.sleep(_LOOK_AGAIN_S)
