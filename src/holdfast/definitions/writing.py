"""Write definitions: only over what the writer has read, all files of an act or none, and each revision once.

A conflict is one thing only: there lies something else than the writer read, and than is to lie there. Then nothing is written; both contents are kept, and
that is recorded. How files are changed stands in `carrying.py`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast import clock
from holdfast.definitions import reading, registry, swapping, tools
from holdfast.definitions.carrying import Plan, carry_out
from holdfast.definitions.ledger import CONFLICT, Known, Step, Waiting, revised
from holdfast.definitions.parse import MOST_BYTES
from holdfast.definitions.revisions import CREATE, DELETE, MODIFY, RENAME, RESTORE
from holdfast.definitions.swapping import NOTHING
from holdfast.errors import DefinitionConflict, DefinitionNotWritten, DefinitionRefused
from holdfast.ids import uuid7
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.definitions.ledger import Held
    from holdfast.definitions.roots import Root
    from holdfast.definitions.swapping import Rights
    from holdfast.definitions.tiers import Place

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class By:
    """Who writes, how sure that is (observed or inferred), and why. None: not known."""

    author: str | None = None
    grade: str | None = None
    reason: str | None = None

    @property
    def fields(self) -> Json:
        """For an event."""
        grade = self.grade if self.author is not None else None
        return {"author": self.author, "author_grade": grade, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Write:
    """One file that is to be written.

    Attributes:
        root: in which it lies.
        path: as it is reached from there.
        real: the same without links.
        content: None: it is to be removed.
        base: the SHA-256 of what its writer read, and may write over; NOTHING: there was no file.
        like: a file whose rights a new one gets; None: the usual ones.
    """

    root: Root
    path: str
    real: str
    content: bytes | None
    base: str
    like: str | None = None

    @property
    def after(self) -> str:
        """The SHA-256 of what is to lie there; NOTHING: no file."""
        return NOTHING if self.content is None else hashlib.sha256(self.content).hexdigest()

    @property
    def raw(self) -> bytes:
        return os.fsencode(self.real)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a file.

    Attributes:
        path: as it is reached.
        real: without links.
        name: of the definition; `name_before` where it said another one before.
        operation: create, modify, delete, rename or restore; None: it was so already.
        revision: the event that says so; None: nothing changed.
        sha256: of what lies there now; None: no file.
        before: of what lay there; None: no file.
        place: what was read of it; None: it is gone.
        size_bytes: None: it is gone.
        path_before: where it lay, if it was moved.
    """

    root: Root
    path: str
    real: str
    name: str
    operation: str | None
    revision: str | None
    sha256: str | None
    before: str | None
    place: Place | None = None
    name_before: str | None = None
    path_before: str | None = None
    size_bytes: int | None = None


def write(
    held: Held,
    writes: Sequence[Write],
    by: By,
    now_us: int,
    *,
    more: Sequence[Step] = (),
    operation: str | None = None,
    keep_conflicts: bool = True,
) -> list[Written]:
    """Write files: all of them, or none.

    Args:
        held: the ledger; what lies where was just looked at.
        writes: the files, each once.
        by: who, and why.
        now_us: when this is.
        more: what is recorded with it.
        operation: what this is; None: as what lies there and what is to lie there says.
        keep_conflicts: record what is not written because something else lies there; else only say it.

    Raises:
        DefinitionConflict: something else lies there than `base` says, and than is to lie there.
        DefinitionRefused: this content cannot be written there.
        DefinitionNotWritten, AppendFailed: the system refused; nothing was written.
        Overtaken: somebody changed a file this very moment; look again, and try again.
    """
    lying = [swapping.digest(one.raw) for one in writes]
    for one, now in zip(writes, lying, strict=True):
        known = held.index.known.get(one.raw)
        if now != (known.sha256 if known else NOTHING):
            _check_is_definition(one, now, known)
            raise swapping.Overtaken(one.raw)
    clashes = [(one, now) for one, now in zip(writes, lying, strict=True) if now not in {one.base, one.after}]
    if clashes:
        exc = _conflict(held, clashes, by, now_us, keep=keep_conflicts)
        others = [one for one, now in zip(writes, lying, strict=True) if now == one.base != one.after]
        raise _with_others(exc, others)
    plan, out = Plan(time.time_ns()), []
    how = _How(by, now_us, uuid7() if len(writes) > 1 else None, operation)
    for one, now in zip(writes, lying, strict=True):
        out.append(_planned(held, plan, one, now, how))
    plan.steps += more
    ids = iter(carry_out(held, plan))
    return [replace(one, revision=next(ids)) if one.operation else one for one in out]


def move(held: Held, source: Write, target: Write, by: By, now_us: int) -> Written:
    """Move a file to where nothing lies; one revision, with which its history goes on.

    Args:
        held: the ledger; what lies where was just looked at.
        source: `content` None, and as `base` what lies there.
        target: with that content, and as `base` NOTHING.
        by: who, and why.
        now_us: when this is.

    Raises:
        as `write`.
    """
    known = held.index.known.get(source.raw)
    for one in (source, target):
        if swapping.digest(one.raw) != one.base or (
            one is source and (known is None or known.sha256 != one.base)
        ):
            raise swapping.Overtaken(one.raw)
    assert known is not None
    assert target.content is not None
    place = _place(target, target.content)
    about = _about(source.real)
    plan = Plan(
        about.st_mtime_ns,
        [
            swapping.action(target.raw, NOTHING, target.after),
            swapping.action(source.raw, source.base, NOTHING),
        ],
        [target.content, None],
        [swapping.rights_of(source.real), None],
    )
    fields = _fields(target, place, RENAME, known, known.revision, by) | {
        "hash_before": known.sha256,
        "path_before": printable_path(source.real),
        "changed_at": clock.iso(about.st_mtime_ns // 1_000),
    }
    plan.steps = [_step(target, fields, now_us, place, source.raw)]
    [revision] = carry_out(held, plan)
    before = known.name if known.name != place.name else None
    made = Written(
        target.root, target.path, target.real, place.name, RENAME, revision, target.after, known.sha256
    )
    return replace(
        made, place=place, name_before=before, path_before=source.path, size_bytes=len(target.content)
    )


# ── what is to be done ──


class _How(NamedTuple):
    """What all files of an act have in common."""

    by: By
    now_us: int
    batch: str | None
    operation: str | None


def _planned(held: Held, plan: Plan, one: Write, now: str, how: _How) -> Written:
    """Add a file to the plan, unless it is so already."""
    known = held.index.known.get(one.raw)
    place = None if one.content is None else _place(one, one.content)
    name = place.name if place else known.name if known else ""
    before = now or None
    if now == one.after:
        same = Written(one.root, one.path, one.real, name, None, None, before, before, place)
        return replace(same, size_bytes=_size(one))
    check_rights(one)
    again = bool(one.after) and bytes.fromhex(one.after) in held.index.had.get(one.raw, ())
    operation = how.operation or (
        DELETE if not one.after else RESTORE if again else MODIFY if before else CREATE
    )
    plan.actions.append(swapping.action(one.raw, now, one.after))
    plan.contents.append(one.content)
    plan.like.append(_rights(one, now))
    previous = known.revision if known else held.index.gone.get(one.raw)
    fields = _fields(one, place, operation, known, previous, how.by) | {
        "hash_before": before,
        "batch": how.batch,
        "changed_at": clock.iso(plan.time_ns // 1_000) if one.after else None,
    }
    plan.steps.append(_step(one, fields, how.now_us, place, None))
    renamed = known.name if known and place and known.name != place.name else None
    made = Written(one.root, one.path, one.real, name, operation, None, one.after or None, before)
    return replace(made, place=place, name_before=renamed, size_bytes=_size(one))


def _size(one: Write) -> int | None:
    return None if one.content is None else len(one.content)


def _place(one: Write, content: bytes) -> Place:
    """What a file is with a content. Raises DefinitionRefused: none that is read."""
    if len(content) > MOST_BYTES:
        raise DefinitionRefused(
            f"{_shown(one.path)}: it would have {len(content):,} bytes, and at most {MOST_BYTES:,} are read",
            hint="write less",
        )
    tool, name = tools.TOOLS[one.root.tool], os.path.basename(one.path)  # noqa: PTH119 - any bytes
    suffix = reading.suffix_of(name, tool)
    inner = os.path.relpath(one.path, one.root.path)
    file = reading.File(one.root, one.path, one.real, inner, suffix or "", 0, None)
    place = registry.place_of(file, tool, content) if suffix else None
    if place is None:
        raise DefinitionRefused(
            f"{_shown(one.path)}: {tool.title} would not take this for a definition",
            hint=f"its files end with {', '.join(tool.suffixes)}, and have a name and keys",
        )
    return place


def place_of(one: Write) -> Place:
    """What a file is that is to be written. Raises DefinitionRefused: no definition."""
    assert one.content is not None
    return _place(one, one.content)


def check_rights(one: Write) -> None:
    """Raises DefinitionRefused: nobody may write the file that lies there."""
    if not os.path.lexists(one.real):
        return
    mode = stat.S_IMODE(_about(one.real).st_mode)
    if not mode & 0o222:
        raise DefinitionRefused(
            f"{_shown(one.path)}: nobody may write it (mode {mode:04o})",
            hint=f"chmod u+w {_shown(one.path)}",
        )


def _rights(one: Write, now: str) -> Rights | None:
    """What a file gets: what it has; a new one those of the file that it is like, but its owner may write it."""
    if (path := one.real if now != NOTHING else one.like) is None:
        return None
    try:
        rights = swapping.rights_of(path)
    except OSError as exc:
        raise DefinitionNotWritten(_shown(path), f"it was not changed: {exc.strerror}") from exc
    return rights._replace(mode=rights.mode | stat.S_IWUSR) if now == NOTHING else rights


def _about(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116 - any bytes
    except OSError as exc:
        raise DefinitionNotWritten(_shown(path), f"it was not changed: {exc.strerror}") from exc


def _check_is_definition(one: Write, now: str, known: Known | None) -> None:
    """Raises DefinitionRefused: what lies there is no definition, so that nothing of it is kept."""
    if now == NOTHING or known is not None:
        return
    try:
        _place(one, reading.content(one.real))
    except OSError as exc:
        raise DefinitionRefused(
            f"{_shown(one.path)}: {exc.strerror or exc}; it was not changed", hint="put it aside first"
        ) from exc
    except DefinitionRefused as exc:
        raise DefinitionRefused(
            f"{_shown(one.path)}: something else lies there, which is no definition",
            hint="put it aside first",
        ) from exc


def _fields(
    one: Write, place: Place | None, operation: str, known: Known | None, previous: str | None, by: By
) -> Json:
    """Of a revision, without what lay there before."""
    verdict = place.verdict if place else None
    name = place.name if place else known.name if known else ""
    return {
        "name": name,
        "operation": operation,
        "tool": one.root.tool,
        "tier": one.root.tier,
        "path": printable_path(one.real),
        "root": printable_path(one.root.real),
        "path_bytes": one.raw.hex() if printable_path(one.real) != one.real else None,
        "hash_after": one.after or None,
        "size_bytes": _size(one),
        "previous": previous,
        "name_before": known.name if known and place and known.name != name else None,
        "validity": verdict.validity if verdict else None,
        "score": verdict.score if verdict else None,
        "own": True,
        **by.fields,
    }


def _step(one: Write, fields: Json, now_us: int, place: Place | None, path_before: bytes | None) -> Step:
    after = fields["hash_after"] or ""
    root, size = fields["root"], fields["size_bytes"] or 0
    known = Known(one.root.tool, place.name, one.root.tier, root, after, size, "") if place else None
    return revised(fields, now_us, one.raw, known, path_before)


# ── conflicts ──


def _conflict(
    held: Held, clashes: list[tuple[Write, str]], by: By, now_us: int, *, keep: bool
) -> DefinitionConflict:
    """Keep both contents of each, and say so. What waits for a decision already is the same conflict again."""
    ids: tuple[str, ...] = ()
    if keep:
        same = [Waiting(one.raw, one.after, one.base, now) for one, now in clashes]
        had = {*held.index.conflicts.values()}
        new = [clash for clash, waiting in zip(clashes, same, strict=True) if waiting not in had]
        for one, _ in new:
            if one.content is not None:
                _keep(held, one, one.content)
        held.note([_conflict_step(held, one, now, by, now_us) for one, now in new])
        events = {waiting: event for event, waiting in held.index.conflicts.items()}
        ids = tuple(events[waiting] for waiting in same)
    one, now = clashes[0]
    what = (
        "it is not there any more"
        if now == NOTHING
        else "it was changed"
        if one.base
        else "it is there already"
    )
    names = f" and {len(clashes) - 1} more" if len(clashes) > 1 else ""
    lies = f"SHA-256 {now}" if now else "nothing"
    return DefinitionConflict(
        f"{_shown(one.path)}{names}: {what} since it was read (now {lies}), so nothing was written",
        hint=_how_to_decide(ids[0], one, now)
        if ids
        else f"look at what lies there now; with `--base {now or 'absent'}` it is written over",
        ids=ids,
    )


def _with_others(exc: DefinitionConflict, others: list[Write]) -> DefinitionConflict:
    """To decide a conflict writes one file; the others of the act are told."""
    if others:
        exc.hint = f"{exc.hint}; not written either: {', '.join(_shown(one.path) for one in others)}"
    return exc


def _how_to_decide(conflict: str, one: Write, now: str) -> str:
    resolve = f"`holdfast definitions resolve {conflict}"
    if one.content is None:
        return f"{resolve} ours` removes it all the same, theirs leaves it"
    if now == NOTHING:
        return f"the text is kept: {resolve} ours` writes it, theirs leaves it unwritten"
    return f"both texts are kept: {resolve} merge`, or ours, theirs or a FILE"


def _keep(held: Held, one: Write, content: bytes) -> None:
    try:
        held.texts.keep(content, sync=True)
    except OSError as exc:
        why = f"somebody else changed it, and what was to be written could not be kept: {exc.strerror}"
        raise DefinitionNotWritten(_shown(one.path), why) from exc


def _conflict_step(held: Held, one: Write, now: str, by: By, now_us: int) -> Step:
    known = held.index.known.get(one.raw)
    try:
        place = None if one.content is None else _place(one, one.content)
    except DefinitionRefused:
        place = None
    operation = DELETE if one.content is None else MODIFY if one.base else CREATE
    fields = {
        "name": known.name if known else place.name if place else "",
        "operation": operation,
        "tool": one.root.tool,
        "tier": one.root.tier,
        "path": printable_path(one.real),
        "root": printable_path(one.root.real),
        "path_bytes": one.raw.hex() if printable_path(one.real) != one.real else None,
        "base": one.base or None,
        "ours": one.after or None,
        "theirs": now or None,
        **by.fields,
    }
    body = {"kind": CONFLICT, "time": now_us, "key": f"definition-conflict:{uuid7()}"}
    return Step(body | {"fields": {k: v for k, v in fields.items() if v is not None}}, one.raw)


def _shown(path: str) -> str:
    return visible(printable_path(path))
