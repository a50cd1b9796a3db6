"""Telling in a home's journal what becomes of the agents that were started in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.supervise import look
from holdfast.supervise.telling import Telling, tell_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.home import Home
    from holdfast.supervise.look import AgentLook


def opened(home: Home) -> Telling:
    """What writes into the home's journal what becomes of agents."""
    return Telling(
        look.run_directory(home.path), lambda: home.writer(fsync_interval_s=0), lambda: home.host_id
    )


def told_up_to_date(home: Home, found: Iterable[AgentLook]) -> int:
    """Tell what happened to agents and is not told; how many events that took."""
    with opened(home) as telling:
        return tell_all(telling, found)
