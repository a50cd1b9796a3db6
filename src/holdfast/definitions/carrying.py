"""Carry out what is to be done to files, and record it: all of it, or none.

    keep      the new contents, and those whose place they take, for good
    intend    what is about to be done to which files is written down (`ledger.py`)
    prepare   the new contents lie beside the files
    swap      both change places, and what came out is looked at (`swapping.py`)
    record    the journal has it
    finish    the index has it, and nothing lies beside the files any more

Whatever ends before all files are swapped is undone, by this process or by whoever holds the lock next; what is swapped is recorded, by one of them. If the
system refuses anything until the first record is appended, every file is left as it was.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.definitions import reading, swapping
from holdfast.definitions.swapping import Overtaken
from holdfast.errors import DefinitionNotWritten, HoldfastError
from holdfast.failpoints import failpoint
from holdfast.journal.blobs import sync_directory
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from holdfast.definitions.ledger import Held, Step
    from holdfast.definitions.swapping import Action, Rights


@dataclass(slots=True)
class Plan:
    """What is to be done: to files, with their contents (None: to be removed) and the rights that they get, and what is recorded of it.

    Attributes:
        time_ns: which time new contents get.
    """

    time_ns: int
    actions: list[Action] = field(default_factory=list)
    contents: list[bytes | None] = field(default_factory=list)
    like: list[Rights | None] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def carry_out(held: Held, plan: Plan) -> list[str]:
    """Do what was planned; the ids of the events of its steps.

    Raises:
        Overtaken: somebody else changed one of the files; nothing was done.
        DefinitionNotWritten, AppendFailed: the system refused; nothing was done, unless the message says so.
    """
    if not plan.actions:
        return held.note(plan.steps)
    begun: list[Action] = []
    made: list[Path] = []
    try:
        _keep(held, plan, made)
        held.intend(plan.steps, plan.actions)
        for action, content, like in zip(plan.actions, plan.contents, plan.like, strict=True):
            if content is not None:
                swapping.prepare(action, content, like, plan.time_ns)
        failpoint("definition.written")
        for action in plan.actions:
            begun.append(action)
            swapping.apply(action)
            failpoint("definition.replaced")
        swapping.sync_around(plan.actions)
        held.applied()
    except BaseException as exc:
        _give_up(held, plan, begun, made)
        if isinstance(exc, OSError):
            raise _refused(plan, "it was not changed", exc) from exc
        raise
    ids = _recorded(held, plan, made)
    try:
        held.force()
        held.finish(plan.steps, plan.actions)
    except (OSError, HoldfastError):  # it is done and recorded; whoever holds the lock next tidies up
        held.leave()
    return ids


def _keep(held: Held, plan: Plan, made: list[Path]) -> None:
    """Keep every content for good, and make the directories of new files."""
    for action, content in zip(plan.actions, plan.contents, strict=True):
        if content is not None:
            held.texts.keep(content, sync=True)
            _make_directory(Path(os.fsdecode(action.path)).parent, made)
        if action.before:
            try:
                before = reading.content(os.fsdecode(action.path))
            except FileNotFoundError as exc:
                raise Overtaken(action.path) from exc
            held.texts.keep(before, sync=True)


def _recorded(held: Held, plan: Plan, made: list[Path]) -> list[str]:
    later = "it is written, and could not be recorded; the next command records it"
    try:
        return held.record(plan.steps)
    except HoldfastError:
        if not _give_up(held, plan, plan.actions, made):
            raise _refused(plan, later) from None
        raise
    except OSError as exc:
        raise _refused(plan, later, exc) from exc


def _give_up(held: Held, plan: Plan, begun: list[Action], made: list[Path]) -> bool:
    """Undo what was done; what the system does not let us undo now, whoever holds the lock next does. False: it cannot even be said to be undone."""
    try:
        held.unapplied()
    except OSError:
        return False
    with contextlib.suppress(OSError):
        swapping.undo(begun, held.texts.keep, held.texts.get)
        for action in plan.actions:
            swapping.clear(action)
        held.undone()
        for directory in reversed(made):
            directory.rmdir()
    return True


def _make_directory(path: Path, made: list[Path]) -> None:
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir()
        made.append(directory)
        sync_directory(directory.parent)


def _refused(plan: Plan, what: str, exc: OSError | None = None) -> DefinitionNotWritten:
    path = visible(printable_path(os.fsdecode(plan.actions[0].path)))
    return DefinitionNotWritten(path, what if exc is None else f"{what}: {exc.strerror or exc}")
