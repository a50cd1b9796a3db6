"""How recorded lives of agents stand now: asked of their run directories, and so of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.supervise import look
from holdfast.supervise import spec as specs

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.store.runs import Looks, Run


def looks(run: Path, host: str) -> Looks:
    """What looks at lives whose directories lie in `run`, on this host; of others it says what is recorded."""

    def looked(one: Run) -> Run:
        foreign = one.host is not None and one.host != host
        if one.is_over or foreign or not one.attempt or not specs.ID.fullmatch(one.agent):
            return one
        directory = run / one.agent
        if not look.attempt_directory(directory, one.attempt).is_dir():
            return one
        return _as_it_is(one, look.life(directory, one.attempt))

    return looked


def _as_it_is(one: Run, life: look.Life) -> Run:
    return one._replace(
        state=life.state,
        is_halted=life.is_halted,
        why=life.reason,
        started_us=one.started_us if life.started_us is None else life.started_us,
        ended_us=life.ended_us,
        seen_us=life.seen_us,
        exit_code=life.exit_code,
        signal=life.signal,
        asked=life.was_asked,
        pid=life.pid,
        start_ticks=life.start_ticks,
        boot=life.boot_id,
    )
