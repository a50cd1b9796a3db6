"""Where a definition stands in its life. Pure: made of what lies there and what is recorded, and kept nowhere.

    deleted      no file of the name lies here any more
    conflicted   what somebody wanted to write over one of its files waits for a decision
    migrating    it is being moved, or whoever did was killed and nobody has looked since
    validating   its content could not be checked yet
    modified     it says something else than when it was first recorded, since it last was not there
    active       it says the same

The first that is true. Where nothing is recorded, it is not known.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from holdfast.definitions.validate import UNCHECKED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.definitions.ledger import Index, Pending
    from holdfast.definitions.registry import Found
    from holdfast.definitions.tiers import Definition
    from holdfast.store.definitions import Revision

ACTIVE: Final = "active"
MODIFIED: Final = "modified"
DELETED: Final = "deleted"
CONFLICTED: Final = "conflicted"
MIGRATING: Final = "migrating"
VALIDATING: Final = "validating"
STATES: Final = (ACTIVE, MODIFIED, DELETED, CONFLICTED, MIGRATING, VALIDATING)


def state_of(one: Definition, index: Index, under_way: Pending | None) -> str | None:
    """The state of a definition that has a file; None: not known.

    Args:
        one: as it was looked at.
        index: what is recorded.
        under_way: what is being done to files.
    """
    paths = {os.fsencode(each.place.file.real) for each in one.order}
    if any(waiting.path in paths for waiting in index.conflicts.values()):
        return CONFLICTED
    moved = [step for step in under_way.steps if step.path_before is not None] if under_way else []
    if any(step.path in paths or step.path_before in paths for step in moved):
        return MIGRATING
    if one.shown.verdict.validity == UNCHECKED:
        return VALIDATING
    known = index.known.get(os.fsencode(one.shown.file.real))
    if known is None or not known.first:
        return None
    return ACTIVE if known.first == one.shown.sha256 else MODIFIED


def deleted(found: Found, revisions: Iterable[Revision]) -> list[Revision]:
    """The last revision of each definition that lay in one of these directories, and of which no file does any more.

    Args:
        found: what was looked at.
        revisions: everything that is recorded, in its order.
    """
    roots = {(root.tool, root.real) for root in found.roots}
    there = {(one.tool, one.name) for one in found.definitions}
    last: dict[str, Revision] = {}
    for one in revisions:
        if one.path_before is not None:
            last.pop(one.path_before, None)
        last[one.path] = one
    gone = [one for one in last.values() if one.sha256 is None and (one.tool, one.root or "") in roots]
    by_name = {(one.tool, one.name): one for one in sorted(gone, key=lambda one: one.time_us)}
    return [one for key, one in by_name.items() if key not in there]
