"""Definitions as the JSON answers have them, and what the commands about them share."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import clock, defining
from holdfast.cli import answers, links, terminal
from holdfast.definitions import registry, revisions, states, tools
from holdfast.definitions.used import Lying, Used
from holdfast.errors import DefinitionsBusy, HoldfastError, NotFound
from holdfast.store import uses
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.cli.app import Context
    from holdfast.definitions.findings import Finding
    from holdfast.definitions.registry import Found
    from holdfast.definitions.roots import Root
    from holdfast.definitions.tiers import Definition, Place
    from holdfast.store.definitions import Revision

Json = dict[str, Any]
_WAIT_MS = 200


def looked(context: Context, cwd: str | None) -> Found:
    """What counts in a directory, by default in the current one. What happened to definitions since somebody looked last is recorded.

    Raises:
        NotFound: it is no directory.
    """
    settings = context.settings
    now_us = clock.parse_us(settings.now) or clock.now_us()
    where = directory(cwd)
    found = registry.Registry(settings, str(Path.home())).look(where, clock.date_in(now_us, UTC))
    _record(context, where)
    return found


def directory(cwd: str | None) -> str:
    """A directory without links; None: the current one. Raises NotFound: it is none."""
    try:
        found = os.path.realpath(cwd if cwd is not None else os.getcwd())  # noqa: PTH109 - text, whatever bytes it has
    except FileNotFoundError:
        found = ""
    if not os.path.isdir(found):  # noqa: PTH112
        raise NotFound(f"{cwd or 'the current directory'} is no directory", hint="name one with --cwd DIR")
    return found


def _record(context: Context, directory: str) -> None:
    """Record what happened to definitions; what keeps it from being recorded is no reason not to answer."""
    try:
        defining.look(context.home, [directory], wait_ms=_WAIT_MS)
    except DefinitionsBusy:
        terminal.note(
            "note: another process writes definitions; what changed is recorded by the next command"
        )
    except HoldfastError as exc:
        terminal.note(f"note: what changed since the last look could not be recorded: {exc}")


def named(found: Found, name: str, context: Context | None = None) -> list[Definition]:
    """The definitions of a name, which is never taken for a path. `context`: say, too, whether it was deleted.

    Raises:
        NotFound: there is none.
    """
    try:
        return found.the(name)
    except NotFound as exc:
        with contextlib.suppress(HoldfastError):
            for one in deleted(context, found) if context else ():
                if one.name == name:
                    what = "is not reached any more" if one.operation == revisions.UNLINK else "is gone"
                    exc.hint = f"it was deleted; that {visible(one.path)} {what} was seen at {clock.iso(one.time_us)}"
        raise


def deleted(
    context: Context, found: Found, tool: str | None = None, tier: str | None = None
) -> list[Revision]:
    """The last revision of each definition that lay here, and does not any more.

    Raises:
        DefinitionsBusy: what is recorded is not folded yet, because another process is at it.
    """
    return [
        one
        for one in states.deleted(found, defining.recorded(context.home))
        if tool in (None, one.tool) and tier in (None, one.tier)
    ]


def gone(one: Revision) -> Json:
    """A definition that lies nowhere here any more."""
    return {
        "tool": one.tool,
        "name": one.name,
        "tier": one.tier,
        "root": one.root,
        "path": one.path,
        "state": states.DELETED,
        "revision": one.id,
        "sha256": one.before_sha256,
        "at": clock.iso(one.time_us),
    }


def standing(context: Context) -> Callable[[Definition], str | None]:
    """What says of each definition in which state it is; None: not known."""
    try:
        index, under_way = defining.ledger_of(context.home).peek()
    except HoldfastError as exc:
        terminal.note(f"note: in which state definitions are is not known: {exc}")
        return lambda _: None
    return lambda one: states.state_of(one, index, under_way)


@dataclass(frozen=True, slots=True)
class LastUsed:
    """When agents started last with each definition; None in place of it all: nobody can tell."""

    used: Used | None

    def answer(self, one: Definition) -> Json:
        """As `definitions list` has it."""
        if self.used is None:
            return {"used": None, "last_used_at": None}
        file = one.shown.file
        real = printable_path(file.root.real), printable_path(file.real)
        runs = self.used.of(Lying(one.tool, one.name, file.root.tier, *real))
        times = [run.last_us for run in runs if run.last_us is not None]
        return {"used": bool(runs), "last_used_at": clock.iso(max(times, default=None))}

    def words(self, one: Definition, now_us: int) -> str:
        """How long ago, for people."""
        found = self.answer(one)
        if found["used"] is None:
            return "?"
        if not found["used"]:
            return "never"
        return terminal.age(clock.parse_us(found["last_used_at"]), now_us)


def last_used(context: Context) -> LastUsed:
    """When agents of each name started last, as far as is recorded. History is read as long as the first screen reads it before it answers."""
    try:
        report = answers.catch_up(context.home, limit_s=context.settings.first_answer_s)
        db = context.home.reader()
    except HoldfastError as exc:
        terminal.note(f"note: when definitions were used last cannot be told: {exc}")
        return LastUsed(None)
    if not report.done and not report.busy and report.files_total:
        terminal.note(
            f"note: {report.files_done} of {report.files_total} files of history imported so far, so `used` is not certain yet"
        )
    try:
        return LastUsed(Used(links.runs(db), [Lying(*row) for row in uses.lying(db)]))
    finally:
        db.close()


def definition(one: Definition) -> Json:
    """A definition as `definitions why` has it."""
    return {
        "tool": one.tool,
        "name": one.name,
        "counts": one.winner is not None,
        "grade": one.grade,
        "grade_why": one.why or None,
        "file": file(one.shown),
        "hides": len(one.shadowed),
        "findings": findings(one.findings),
    }


def explained(one: Definition) -> Json:
    """The same with every file of its name."""
    order = [{"state": each.state, "why": each.why, "file": file(each.place)} for each in one.order]
    return definition(one) | {"order": order}


def file(place: Place) -> Json:
    """A file that may be a definition."""
    parsed, root, verdict = place.parsed, place.file.root, place.verdict
    return {
        "path": printable_path(place.file.path),
        "real_path": printable_path(place.file.real),
        "also_at": [printable_path(path) for path in place.also_at],
        "root": printable_path(root.path),
        "tier": root.tier,
        "plugin": root.plugin,
        "writable": root.writable,
        "name": place.name,
        "named_by": place.named_by,
        "aliases": list(place.aliases),
        "type": parsed.kind if parsed else None,
        "description": parsed.description if parsed else None,
        "model": parsed.model if parsed else None,
        "tools": None if parsed is None or parsed.tools is None else list(parsed.tools),
        "capabilities": list(parsed.capabilities) if parsed else [],
        "specialisations": list(parsed.specialisations) if parsed else [],
        "keys": list(parsed.fields) if parsed else [],
        "size_bytes": place.size_bytes,
        "sha256": place.sha256,
        "validity": verdict.validity,
        "score": verdict.score,
        "loads": verdict.loads,
        "loads_why": verdict.why or None,
        "findings": findings(verdict.findings),
    }


def findings(found: Iterable[Finding]) -> list[Json]:
    return [
        {"level": one.level, "code": one.code, "line": one.line, "text": one.text, "hint": one.hint or None}
        for one in found
    ]


def root(one: Root) -> Json:
    return {
        "tool": one.tool,
        "tier": one.tier,
        "also_tiers": list(one.also),
        "path": printable_path(one.path),
        "real_path": printable_path(one.real),
        "exists": one.exists,
        "writable": one.writable,
        "counts": one.counts,
        "why": one.why,
    }


def unseen(names: Iterable[str]) -> list[Json]:
    """What of these tools stands in no file, and can hide or be hidden unseen."""
    return [
        {"tool": name, "tier": tier, "what": what}
        for name in tools.TOOLS
        if name in set(names)
        for tier, what in tools.TOOLS[name].unseen
    ]


def unreadable(found: Found) -> list[Json]:
    return [{"path": printable_path(path), "why": why} for path, why in found.unreadable]
