"""The packet of one session, from the store and the world as it is now: what `holdfast handoff` and `holdfast recover packet` give."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from holdfast.recover import assembly, packet, survey, worktree
from holdfast.recover.reading import Reading
from holdfast.recover.resume import carry_on
from holdfast.store import checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import apsw

    from holdfast.recover.packet import Packet
    from holdfast.recover.survey import Now
    from holdfast.store.activity import Vitals
    from holdfast.store.context import Recall

Json = dict[str, Any]


def of_session(
    db: apsw.Connection,
    recall: Recall,
    clean: Callable[[Json], Json],
    session: int,
    now: Now,
    vitals: Vitals,
    run: Path,
    budget_tokens: int = packet.BUDGET_TOKENS,
) -> Packet:
    """The packet of a session.

    Args:
        db: the store.
        recall: reads what rows do not hold.
        clean: takes the secrets out of what is not from the store.
        session: its row.
        now: the moment and host that evidence is judged at.
        vitals: what tells whether its process is at work.
        run: where run directories lie.
        budget_tokens: how much it may take, in tokens as `tokens.estimate` counts them.
    """
    standing = survey.session(db, session, now, vitals)
    directory = standing["session"]["workspace"]
    made = assembly.assemble(
        Reading(db, recall, session),
        standing,
        worktree=(clean(_worktree(db, directory)) or None) if directory else None,
        resume={
            "command": carry_on(standing["session"]["source"], standing["session"]["id"], run),
            "cwd": directory,
        },
    )
    return packet.packet(made, budget_tokens)


def _worktree(db: apsw.Connection, directory: str) -> Json:
    """The worktree that holds a directory, now, and the last checkpoint that is recorded of it."""
    found = asdict(worktree.look(directory))
    return found | {"checkpoint": checkpoints.last_of(db, found["root"])}
