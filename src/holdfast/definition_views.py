"""Definitions, prompts and changes as programs get them (`definitions_client.py`)."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from holdfast import clock
from holdfast.definition_answers import Definition, DefinitionChange, HiddenFile, Prompt
from holdfast.definitions import prompts, reading, registry, tiers, tools
from holdfast.definitions.roots import Root
from holdfast.errors import AmbiguousId, HoldfastError, NotFound, UsageError
from holdfast.store import definitions
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.definitions.prompts import Rendered, Told
    from holdfast.definitions.registry import Found
    from holdfast.definitions.tiers import Place
    from holdfast.hearing import Heard
    from holdfast.home import Home
    from holdfast.store.definitions import Revision

_SHOWN_DIGITS = 12  # of a SHA-256
Chosen = tuple[tiers.Definition, "Place"]


def chosen(found: Found, name: str, tool: str | None, tier: str | None) -> Chosen:
    """The one that is meant: see `Definitions.get`.

    Raises:
        NotFound: there is none.
        UsageError: several tools have one.
    """
    ones = [one for one in found.the(name) if tool in (None, one.tool)]
    if not ones:
        raise NotFound(f"{visible(name)!r} is no definition of {tool}", hint="leave the tool out")
    if len(ones) > 1:
        which = " and of ".join(one.tool for one in ones)
        raise UsageError(f"{visible(name)!r} is a definition of {which}", hint="say which with tool=…")
    [one] = ones
    if tier is None:
        return one, one.shown
    for each in one.order:
        if each.place.file.root.tier == tier and each.state != tiers.PASSED_OVER:
            return one, each.place
    has = ", ".join(dict.fromkeys(each.place.file.root.tier for each in one.order))
    raise NotFound(f"no file of {visible(name)!r} counts in the tier {tier!r}", hint=f"it lies in: {has}")


def revised(revisions: list[Revision], name: str, begins: str, tool: str | None) -> Revision:
    """The last revision of a name whose content or event is meant.

    Raises:
        NotFound: there is none.
        AmbiguousId: there are several.
    """
    fits = [one for one in revisions if one.name == name and tool in (None, one.tool) and one.sha256]
    if not fits:
        raise NotFound(
            f"no revision of {visible(name)!r} begins with {begins[:80]!r}",
            hint="give digits of its SHA-256, or of the id of a change",
        )
    contents = dict.fromkeys(one.sha256 for one in fits)
    if len(contents) > 1:
        found = [str(sha256)[:_SHOWN_DIGITS] for sha256 in contents]
        raise AmbiguousId(begins, found, what=f"revisions of {visible(name)}")
    return fits[-1]


def as_it_was(one: Revision, content: bytes) -> Chosen:
    """A revision, as its file was then; what it hid then is not known."""
    path = os.fsdecode(bytes.fromhex(one.path_bytes)) if one.path_bytes else one.path
    tool = tools.TOOLS[one.tool]
    root = os.path.dirname(path)  # noqa: PTH120 - any bytes
    tier = one.tier or tools.PROJECT
    where = Root(one.tool, tier, root, root, (0, 0), exists=True, writable=False, why="")
    base = os.path.basename(path)  # noqa: PTH119
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    file = reading.File(
        where, path, path, base, suffix, 0, reading.NO_STATE._replace(size_bytes=len(content))
    )
    place = registry.place_of(file, tool, content)
    assert place is not None  # a text for people is never recorded
    standing = tiers.Standing(place, "", "asked for by its revision")
    return tiers.Definition(one.tool, one.name, (standing,), tiers.OBSERVED, "", ()), place


def definition(it: Chosen, text: str | None, *, counts: bool | None, recorded: bool) -> Definition:
    one, place = it
    parsed, verdict = place.parsed, place.verdict
    return Definition(
        name=one.name,
        tool=one.tool,
        tier=place.file.root.tier,
        path=place.file.path,
        sha256=place.sha256,
        size_bytes=place.size_bytes,
        recorded=recorded,
        text=text,
        body=parsed.body if parsed else "",
        counts=counts,
        counts_why=next(each.why for each in one.order if each.place is place),
        grade=one.grade,
        grade_why=one.why or None,
        hides=_hides(it),
        aliases=place.aliases,
        type=parsed.kind if parsed else None,
        description=parsed.description if parsed else None,
        model=parsed.model if parsed else None,
        tools=parsed.tools if parsed else None,
        capabilities=parsed.capabilities if parsed else (),
        specialisations=parsed.specialisations if parsed else (),
        metadata={key: _plain(field.value) for key, field in parsed.fields.items()} if parsed else {},
        validity=verdict.validity,
        score=verdict.score,
        findings=(*one.findings, *verdict.findings),
    )


def prompt(
    it: Chosen, rendered: Rendered, sections: Mapping[str, str], *, counts: bool | None, recorded: bool
) -> Prompt:
    one, place = it
    assert place.sha256 is not None  # what was not read is not rendered
    return Prompt(
        text=rendered.text,
        text_sha256=hashlib.sha256(rendered.text.encode("utf-8", "surrogatepass")).hexdigest(),
        name=one.name,
        tool=one.tool,
        tier=place.file.root.tier,
        path=place.file.path,
        sha256=place.sha256,
        recorded=recorded,
        counts=counts,
        grade=one.grade,
        hides=_hides(it),
        variables=rendered.variables,
        sections=tuple(sections),
    )


def told(place: Place) -> Told:
    """What a file tells its agent.

    Raises:
        CannotRender: it cannot be read.
    """
    if place.parsed is None:
        why = "; ".join(one.text for one in place.verdict.findings)
        raise prompts.CannotRender(f"it cannot be read: {why}", "make it a plain file that can be read")
    if any(one.code == "encoding" for one in place.parsed.findings):
        raise prompts.CannotRender("it is no UTF-8", "save the file as UTF-8")
    return prompts.told(place.parsed, place.file.suffix)


def no_prompt(it: Chosen, why: prompts.CannotRender) -> UsageError:
    """Why there is no prompt of it, and where else one may be had."""
    one, place = it
    tier, hint = place.file.root.tier, why.hint
    others = [file for file in _hides(it) if file.tier != tier]
    if place.is_empty and others:
        hint += f"; it hides {_shown(others[0].path)}, of which tier={others[0].tier!r} makes one"
    return UsageError(
        f"no prompt of {visible(one.name)!r} ({tier}, {_shown(place.file.path)}): {why}", hint=hint
    )


def change(heard: Heard) -> DefinitionChange:
    event, data = heard
    return DefinitionChange(
        id=event.id,
        operation=data.operation,
        name=data.name,
        name_before=data.name_before,
        tool=data.tool,
        tier=data.tier,
        path=data.path,
        path_before=data.path_before,
        sha256=data.hash_after,
        sha256_before=data.hash_before,
        at=clock.iso(event.time_us),
        own=data.own,
        author=data.author,
        author_grade=data.author_grade,
        reason=data.reason,
        batch=data.batch,
    )


def recorded(home: Home, begins: str) -> list[Revision]:
    """Every revision whose id, or the SHA-256 of whose content, begins so.

    Raises:
        UsageError: those are no digits of an id.
        HoldfastError: what is recorded cannot be read now.
    """
    if not begins or not set(begins.lower()) <= set("0123456789abcdef-"):
        raise UsageError(
            f"{begins[:80]!r} names no revision", hint="give digits of a SHA-256, or of the id of a change"
        )
    if not home.has_records():
        return []
    if not home.catch_up([]).done:
        raise HoldfastError(
            "another process is importing, and what is recorded of definitions has to be read first",
            hint="try again",
        )
    db = home.reader()
    try:
        return definitions.named(db, begins.lower())
    finally:
        db.close()


def _hides(it: Chosen) -> tuple[HiddenFile, ...]:
    """What stands behind a file, and would count."""
    one, place = it
    at = next(number for number, each in enumerate(one.order) if each.place is place)
    return tuple(
        HiddenFile(
            path=each.place.file.path,
            tier=each.place.file.root.tier,
            sha256=each.place.sha256,
            size_bytes=each.place.size_bytes,
            why=each.why,
        )
        for each in one.order[at + 1 :]
        if each.state == tiers.SHADOWED
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - plain values of any format
    """A value of its own, so that who gets it may change it."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _shown(path: str) -> str:
    return visible(printable_path(path))
