"""Look at definitions, and record what happened to them since somebody looked last.

What the system says of a file (its inode, size and times) tells whether it has to be read. A file that changed within the last moments, before the
system's clock could tell another change apart, is read again at the next look. Every content is kept before its change is recorded, and kept again
where it is not there any more.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from holdfast import clock
from holdfast.definitions import reading, registry, tools
from holdfast.definitions.ledger import Known, revised
from holdfast.definitions.revisions import LINK, MODIFY, RESTORE, Lying, changes
from holdfast.ids import uuid7
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.definitions.ledger import Held, Step
    from holdfast.definitions.past import Look
    from holdfast.definitions.reading import File
    from holdfast.definitions.revisions import Change
    from holdfast.definitions.roots import Root
    from holdfast.definitions.scanning import Still
    from holdfast.definitions.validate import Verdict

_LEAST_OF_A_BATCH: Final = 2  # changes that were seen at once
_READ_AGAIN: Final = 3  # times, where a file changes while it is read
_OF_ONE_FILE: Final = {MODIFY, RESTORE, LINK}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Noted:
    """A change, and the event that says so."""

    change: Change
    revision: str


@dataclass(slots=True)
class Looked:
    """What a look found.

    Attributes:
        noted: changes, by path.
        files: how many definitions lie there.
        lying: the paths of those whose content is known.
        unreadable: what could not be looked at (path, why).
        is_restless: something did not hold still, and waits for the next look.
        is_unsettled: something changed so lately that the next look has to read it again.
        looks: what was reached from each directory.
        batch: what the changes have in common; None: one stands by itself.
    """

    noted: list[Noted] = field(default_factory=list)
    files: int = 0
    lying: set[bytes] = field(default_factory=set)
    is_restless: bool = False
    is_unsettled: bool = False
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    batch: str | None = None


@dataclass(slots=True)
class _Seen:
    """What lies there: by real path, and `reached` from which roots."""

    reached: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    looked_in: set[str] = field(default_factory=set)
    lying: dict[str, Lying] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)


def look(
    held: Held, roots: Iterable[Root], now_us: int, still: Still | None = None, batch: str | None = None
) -> Looked:
    """Look through directories and record what happened in them.

    Args:
        held: what was kept before.
        roots: the directories, also those that are not there (any more): what lay in them is gone.
        now_us: when this is.
        still: what held still for a moment; a file that did not, or changed since, waits for the next look. None: all is taken as it lies.
        batch: of changes that were seen a moment ago, with which these are one act.

    Raises:
        OSError, AppendFailed: it could not be recorded; the next look finds it again.
    """
    roots = list(roots)
    out = Looked()
    seen = _see(held, roots, out, still)
    last = [
        _lying(os.fsdecode(path), known)
        for path, known in held.index.known.items()
        if known.root in seen.looked_in or os.fsdecode(path) in seen.lying  # a link leads to it from here too
    ]
    had = {
        path: {digest.hex() for digest in held.index.had.get(os.fsencode(path), ())} for path in seen.verdicts
    }
    left = [one.path for one in last if one.path not in seen.lying and _lies_there(one.path, seen)]
    unlinked = {os.fsdecode(path) for path in held.index.unlinked}
    found = changes(last, seen.lying.values(), had=had, unseen=seen.unseen, left=left, unlinked=unlinked)
    if out.is_restless:
        found = [change for change in found if _is_whole(change, still)]
    out.batch = batch or (uuid7() if len(found) >= _LEAST_OF_A_BATCH else None)
    steps = [_step(held, seen, change, now_us, out.batch) for change in found]
    out.noted = [Noted(*pair) for pair in zip(found, held.note(steps), strict=True)]
    out.files = len(seen.lying)
    out.lying = {os.fsencode(path) for path, one in seen.lying.items() if one.sha256 is not None}
    settled = {
        os.fsencode(path): _state(file)
        for path, file in seen.files.items()
        if os.fsencode(path) in held.index.known
    }
    out.is_unsettled = not all(settled.values())
    held.remember(settled, {os.fsencode(r.real): (r.tool, r.tier) for r in roots if r.exists})
    return out


def _see(held: Held, roots: list[Root], out: Looked, still: Still | None) -> _Seen:
    seen, found = _Seen(), []
    for root in roots:
        listed = reading.files(root, tools.TOOLS[root.tool])
        found += listed.files
        out.unreadable += listed.unreadable
        seen.unseen += map(os.path.realpath, listed.unseen)
        real = printable_path(root.real)
        for file in listed.files:
            seen.reached[file.real].add(real)
    seen.looked_in = {printable_path(root.real) for root in roots if root.real not in seen.unseen}
    for file in found:
        if still is not None and file.state is not None and still.files.get(file.path) != file.state:
            out.is_restless = True
            _pass_over(held, file, seen)
        elif file.real not in seen.files:
            seen.files[file.real] = file
            _see_file(held, file, seen, out, is_still=still is not None)
    if still is not None and not out.is_restless:
        out.is_restless = bool(still.moving) or not all(map(os.path.lexists, still.files))
    return seen


def _is_whole(change: Change, still: Still | None) -> bool:
    """Whether a change is no half of one that is still under way."""
    if still is None or (change.kind in _OF_ONE_FILE and change.before is not None):
        return True
    return not still.is_patient and (change.before is None or change.before.path not in still.moving)


def _pass_over(held: Held, file: File, seen: _Seen) -> None:
    """Nothing is known of a change of this file."""
    known = held.index.known.get(os.fsencode(file.real))
    if known is not None:
        seen.lying[file.real] = replace(_lying(file.real, known), sha256=None, size_bytes=None)


def _see_file(held: Held, file: File, seen: _Seen, out: Looked, *, is_still: bool) -> None:
    known = held.index.known.get(os.fsencode(file.real))
    is_there = known is not None and _is_reached(known, file, seen)
    if known is not None and is_there and _is_as_it_was(held, known, file):
        seen.lying[file.real] = _lying(file.real, known)
        return
    try:
        content = None if file.problem else _content(file, is_still=is_still)
    except _Restless:
        out.is_restless = True
        _pass_over(held, file, seen)
        return
    if content is None:
        if file.state is None and file.problem in (reading.WENT_AWAY, reading.NO_TARGET):
            return
        out.unreadable.append((file.path, file.problem.why if file.problem else "it cannot be read"))
        _pass_over(held, file, seen)
        return
    tool = tools.TOOLS[file.root.tool]
    place = registry.place_of(file, tool, content)
    if place is None:
        return
    sha256 = held.texts.keep(content)
    if known is not None and known.sha256 == sha256 and is_there:
        seen.lying[file.real] = _lying(file.real, known)
        return
    seen.verdicts[file.real] = place.verdict
    root = printable_path(file.root.real)
    seen.lying[file.real] = Lying(
        file.real, tool.name, place.name, file.root.tier, sha256, len(content), root
    )


def _lying(path: str, known: Known) -> Lying:
    """A file as it was recorded last."""
    return Lying(path, known.tool, known.name, known.tier, known.sha256, known.size_bytes, known.root)


def _is_reached(known: Known, file: File, seen: _Seen) -> bool:
    """Whether the root through which a file was reached leads to it still, as far as anybody looked."""
    return known.root in seen.reached[file.real] or known.root not in seen.looked_in


def _lies_there(path: str, seen: _Seen) -> bool:
    """Whether a file that is not reached lies where it lay, and is not one that is reached by another spelling of its path."""
    try:
        about = os.lstat(path)
    except OSError:
        return False
    here = (about.st_dev, about.st_ino)
    return stat.S_ISREG(about.st_mode) and all(
        file.state is None or file.state[:2] != here for file in seen.files.values()
    )


def _is_as_it_was(held: Held, known: Known, file: File) -> bool:
    """Whether a file has the content that is recorded, which is kept, so that nobody has to read it."""
    if not known.state or file.state is None or known.state != tuple(file.state):
        return False
    return held.texts.has(known.sha256)


class _Restless(Exception):
    """A file changed while it was read."""


def _content(file: File, *, is_still: bool) -> bytes | None:
    """The bytes of a file; None: it cannot be read. One that is just being written is read until it holds still.

    Raises:
        _Restless: it was to be still, and is not.
    """
    try:
        before, found = file.state, b""
        for _ in range(_READ_AGAIN):
            found = reading.content(file.path)
            after = reading.state_of(os.stat(file.path))  # noqa: PTH116 - any bytes
            if before == after:
                break
            if is_still:
                raise _Restless
            before = after
    except OSError:
        return None
    return found


def _state(file: File) -> tuple[int, ...]:
    """What tells whether the file changed; empty: what the system says would not tell it yet."""
    return tuple(file.state) if file.state is not None and registry.is_settled(file.state) else ()


def _step(held: Held, seen: _Seen, change: Change, now_us: int, batch: str | None) -> Step:
    path, before, after = change.path, change.before, change.after
    raw = os.fsencode(path)
    old = held.index.known.get(os.fsencode(before.path)) if before else None
    previous = old.revision if old else held.index.gone.get(raw)
    lying = after or before
    assert lying is not None
    file, verdict = seen.files.get(path), seen.verdicts.get(path)
    fields: Json = {
        "name": lying.name,
        "operation": change.kind,
        "tool": lying.tool,
        "tier": lying.tier,
        "path": printable_path(path),
        "root": printable_path(file.root.real) if file else old.root if old else "",
        "path_bytes": raw.hex() if printable_path(path) != path else None,
        "hash_before": before.sha256 if before else None,
        "hash_after": after.sha256 if after else None,
        "size_bytes": after.size_bytes if after else None,
        "previous": previous,
        "path_before": printable_path(before.path) if before and before.path != path else None,
        "name_before": change.renamed_from,
        "changed_at": _changed_at(file, change),
        "validity": verdict.validity if verdict else None,
        "score": verdict.score if verdict else None,
        "batch": batch,
        "reason": change.why or None,
    }
    path_before = os.fsencode(before.path) if before and before.path != path else None
    return revised(fields, now_us, raw, _known(file, after) if after and file else None, path_before)


def _changed_at(file: File | None, change: Change) -> str | None:
    """The file's own time, which says nothing of a link."""
    if file is None or file.state is None or change.after is None or change.kind == LINK:
        return None
    return clock.iso(file.state.mtime_ns // 1_000)


def _known(file: File, after: Lying) -> Known:
    assert after.sha256 is not None
    root = printable_path(file.root.real)
    state = _state(file)
    return Known(after.tool, after.name, after.tier, root, after.sha256, after.size_bytes or 0, "", state)
