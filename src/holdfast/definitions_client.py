"""The Python side of definitions: what an agent is told here, which revision that is, and when it changes. `holdfast.Definitions`.

Whatever is asked is answered from the files as they lie at that moment: each question looks at the times of all files that may count, and reads those
that changed. What was read and made of them is kept (`definitions/cache.py`).
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from holdfast import clock
from holdfast.errors import HoldfastError, NotFound, UsageError
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.definitions.findings import Finding
    from holdfast.definitions.prompts import Rendered, Told
    from holdfast.definitions.registry import Found
    from holdfast.definitions.tiers import Definition as Resolved
    from holdfast.definitions.tiers import Place
    from holdfast.home import Home

_NOTHING: Mapping[str, str] = MappingProxyType({})
_TRIES: Final = 5  # to read a file that is just being written
_MADE_BYTES: Final = 2_000  # of memory, for what is made of a definition beside its text


class HiddenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that would count without another one.

    Attributes:
        path: as text, with surrogate escapes where it is no UTF-8, as `os.fsencode` takes it.
        sha256: None: its content could not be read.
        why: it is hidden.
    """

    path: str
    tier: str
    sha256: str | None
    size_bytes: int | None
    why: str


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """The file that says what an agent is, as it lay when it was asked for. None: it does not say, or that is not known.

    Attributes:
        tool: whose agent it is: claude, codex or custom.
        tier: managed, project, user, plugin or system.
        path: as text, with surrogate escapes where it is no UTF-8, as `os.fsencode` takes it.
        sha256: of its content, which names the revision; None: it could not be read.
        text: all of it; None: it could not be read, or is no UTF-8.
        body: what the agent is told.
        counts: whether its tool takes this file here; `counts_why` says why, or why not.
        grade: observed, or inferred: a rule of Holdfast had to decide which file counts (`grade_why`).
        hides: the files of its name that would count without it, the strongest first.
        metadata: its keys with plain values.
        validity: valid, invalid or unchecked (its content could not be read).
        score: from 0 to 100.
        findings: what is wrong with it, or worth knowing: level, code, text, hint, line.
    """

    name: str
    tool: str
    tier: str
    path: str
    sha256: str | None
    size_bytes: int | None
    text: str | None
    body: str
    counts: bool
    counts_why: str
    grade: str
    grade_why: str | None
    hides: tuple[HiddenFile, ...]
    aliases: tuple[str, ...]
    type: str | None
    description: str | None
    model: str | None
    tools: tuple[str, ...] | None
    capabilities: tuple[str, ...]
    specialisations: tuple[str, ...]
    metadata: dict[str, Any]
    validity: str
    score: int | None
    findings: tuple[Finding, ...]


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is told, and of which revision of which definition that was made.

    Attributes:
        sha256: of the definition's content.
        text_sha256: of `text`.
        counts, grade, hides: as in `Definition`.
        variables: those that were put in, in the order in which they stand in the text.
        sections: titles of those that were put behind it.
    """

    text: str
    text_sha256: str
    name: str
    tool: str
    tier: str
    path: str
    sha256: str
    counts: bool
    grade: str
    hides: tuple[HiddenFile, ...]
    variables: tuple[str, ...]
    sections: tuple[str, ...]


class Definitions:
    """Definitions of agents as they count in a directory. Any thread may use it.

    Args:
        cwd: the directory; None: the current one.
        home: None: the one that the environment names.

    Raises:
        NotFound: `cwd` is no directory.
        SettingError: a setting has a bad value.
    """

    def __init__(self, cwd: str | Path | None = None, *, home: str | Path | None = None) -> None:
        from holdfast.definitions.cache import Cache  # noqa: PLC0415 - importing holdfast stays light
        from holdfast.definitions.registry import Registry  # noqa: PLC0415

        self._home = _home(home)
        self._cwd = _directory(cwd)
        self._cache = Cache()
        self._registry = Registry(self._home.settings, str(Path.home()), self._cache)

    # ── what counts ──

    def get(self, name: str, *, tool: str | None = None, tier: str | None = None) -> Definition:
        """The definition of a name as it lies now.

        Args:
            name: as its tool calls it, such as "reviewer", or "kit:reviewer" of a plugin.
            tool: claude, codex or custom; None: the only one that has such an agent.
            tier: the strongest file of this tier, even where another one hides it; None: the one that counts.

        Raises:
            NotFound: there is none, or none in this tier.
            UsageError: several tools have one.
            SettingError: `definition_roots` names what it may not.
        """
        for _ in range(_TRIES):
            one, place = self._chosen(name, tool, tier)
            if (text := self._text(one, place)) is not None:
                return _definition(one, place, text.text)
        raise _restless(name)

    def all(self, *, tool: str | None = None, tier: str | None = None) -> list[Definition]:
        """Every definition as it lies now, by tool and name.

        Args:
            tool: of this tool only.
            tier: only those whose file that counts is of this tier.

        Raises:
            SettingError: as for `get`.
        """
        for _ in range(_TRIES):
            chosen = [
                one
                for one in self._look().definitions
                if tool in (None, one.tool) and tier in (None, one.shown.file.root.tier)
            ]
            texts = [self._text(one, one.shown) for one in chosen]
            if None not in texts:
                return [
                    _definition(one, one.shown, text.text)
                    for one, text in zip(chosen, texts, strict=True)
                    if text is not None
                ]
        raise _restless("one of them")

    def prompt(
        self,
        name: str,
        *,
        variables: Mapping[str, str] | None = _NOTHING,
        sections: Mapping[str, str] = _NOTHING,
        tool: str | None = None,
        tier: str | None = None,
    ) -> Prompt:
        """What an agent is told, with values for its variables. The same revision, variables and sections give the same text.

        Args:
            name: as for `get`.
            variables: a value for each `{{variable}}` in its text, and no other; None: the text stays as it stands.
            sections: title → text, put behind it in this order as Markdown.
            tool: as for `get`.
            tier: as for `get`.

        Raises:
            NotFound, SettingError: as for `get`.
            UsageError: a variable is not given, or unknown; the definition tells its agent nothing, or cannot be read.
        """
        one, place = self._chosen(name, tool, tier)
        rendered = self._rendered(one, place, variables, sections)
        assert place.sha256 is not None  # what was not read is not rendered
        return Prompt(
            text=rendered.text,
            text_sha256=hashlib.sha256(rendered.text.encode()).hexdigest(),
            name=one.name,
            tool=one.tool,
            tier=place.file.root.tier,
            path=place.file.path,
            sha256=place.sha256,
            counts=place is one.winner,
            grade=one.grade,
            hides=_hides(one, place),
            variables=rendered.variables,
            sections=tuple(sections),
        )

    # ── what is kept ──

    def invalidate(self, pattern: str = "*") -> int:
        """Keep nothing that was read or made of definitions with such names; how much that was. The next question reads their files again.

        Nobody has to call this after a change: each question sees it by itself.

        Args:
            pattern: `*`, `?` and `[…]` as in file names, for the whole name: "qa" is not "qa-web".
        """
        return self._cache.invalidate(pattern)

    def figures(self) -> dict[str, int]:
        """What is kept (`entries`, `size_bytes`), and how it was used (`hits`, `misses`, `evicted`, `refused`, `invalidated`)."""
        return asdict(self._cache.figures())

    # ── inside ──

    def _look(self) -> Found:
        settings = self._home.settings
        now_us = clock.parse_us(settings.now) or clock.now_us()
        return self._registry.look(self._cwd, clock.date_in(now_us, UTC))

    def _chosen(self, name: str, tool: str | None, tier: str | None) -> tuple[Resolved, Place]:
        from holdfast.definitions import tiers  # noqa: PLC0415 - as above

        found = self._look()
        ones = [one for one in found.the(name) if tool in (None, one.tool)]
        if not ones:
            raise NotFound(f"{name!r} is no definition of {tool}", hint="leave the tool out")
        if len(ones) > 1:
            which = " and of ".join(one.tool for one in ones)
            raise UsageError(f"{name!r} is a definition of {which}", hint="say which with tool=…")
        [one] = ones
        if tier is None:
            return one, one.shown
        for each in one.order:
            if each.place.file.root.tier == tier and each.state != tiers.PASSED_OVER:
                return one, each.place
        has = ", ".join(dict.fromkeys(each.place.file.root.tier for each in one.order))
        raise NotFound(f"no file of {name!r} counts in the tier {tier!r}", hint=f"it lies in: {has}")

    def _text(self, one: Resolved, place: Place) -> _Text | None:
        """The text of a file as it was read; None: it changed since."""
        from holdfast.definitions import reading  # noqa: PLC0415 - as above

        if place.sha256 is None:
            return _Text(None)
        key = ("text", place.file.path, place.sha256)
        kept: _Text | None = self._cache.get(key)
        if kept is None:
            since = self._cache.invalidations
            try:
                content = reading.content(place.file.path)
            except OSError:
                return None
            if hashlib.sha256(content).hexdigest() != place.sha256:
                return None
            kept = _Text(_decoded(content))
            self._cache.put(key, one.name, kept, _MADE_BYTES + sys.getsizeof(kept.text), since=since)
        return kept

    def _rendered(
        self,
        one: Resolved,
        place: Place,
        variables: Mapping[str, str] | None,
        sections: Mapping[str, str],
    ) -> Rendered:
        from holdfast.definitions import prompts  # noqa: PLC0415 - as above

        try:
            prompts.check(variables, sections)
            given = None if variables is None else tuple(sorted(variables.items()))
            tool, suffix = place.file.root.tool, place.file.suffix
            key = ("prompt", tool, suffix, place.name, place.sha256, given, tuple(sections.items()))
            kept: Rendered | None = self._cache.get(key)
            if kept is None:
                since = self._cache.invalidations
                kept = prompts.render(_told(place), variables, sections)
                size_bytes = _MADE_BYTES + 2 * sys.getsizeof(kept.text)  # what stands in the key too
                self._cache.put(key, place.name, kept, size_bytes, since=since)
        except prompts.CannotRender as exc:
            where = f"{place.name!r} ({place.file.root.tier}, {_shown(place.file.path)})"
            hint = exc.hint
            if place.is_empty and (
                other := [file for file in _hides(one, place) if file.tier != place.file.root.tier]
            ):
                hint += f"; it hides {_shown(other[0].path)}, of which tier={other[0].tier!r} makes one"
            raise UsageError(f"no prompt of {where}: {exc}", hint=hint) from exc
        return kept


class _Text(NamedTuple):
    """The text of a file; None: it cannot be read, or is no UTF-8."""

    text: str | None


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _told(place: Place) -> Told:
    from holdfast.definitions import prompts  # noqa: PLC0415 - as above

    if place.parsed is None:
        why = "; ".join(one.text for one in place.verdict.findings)
        raise prompts.CannotRender(f"it cannot be read: {why}", "make it a plain file that can be read")
    if any(one.code == "encoding" for one in place.parsed.findings):
        raise prompts.CannotRender("it is no UTF-8", "save the file as UTF-8")
    return prompts.told(place.parsed, place.file.suffix)


def _definition(one: Resolved, place: Place, text: str | None) -> Definition:
    parsed, verdict = place.parsed, place.verdict
    standing = next(each for each in one.order if each.place is place)
    return Definition(
        name=one.name,
        tool=one.tool,
        tier=place.file.root.tier,
        path=place.file.path,
        sha256=place.sha256,
        size_bytes=place.size_bytes,
        text=text,
        body=parsed.body if parsed else "",
        counts=place is one.winner,
        counts_why=standing.why,
        grade=one.grade,
        grade_why=one.why or None,
        hides=_hides(one, place),
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


def _hides(one: Resolved, place: Place) -> tuple[HiddenFile, ...]:
    """What stands behind a file, and would count."""
    from holdfast.definitions import tiers  # noqa: PLC0415 - as above

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


def _restless(name: str) -> HoldfastError:
    return HoldfastError(
        f"{name}: its file changed each of {_TRIES} times while it was read", hint="ask again later"
    )


def _home(home: str | Path | None) -> Home:
    from holdfast.home import Home  # noqa: PLC0415 - as above
    from holdfast.settings import load  # noqa: PLC0415

    return Home(load(None, os.environ, {} if home is None else {"home": os.fspath(home)}))


def _directory(cwd: str | Path | None) -> str:
    try:
        directory = os.path.realpath(os.getcwd() if cwd is None else cwd)  # noqa: PTH109 - text, whatever bytes it has
    except FileNotFoundError:
        directory = ""
    if not os.path.isdir(directory):  # noqa: PTH112
        raise NotFound(f"{cwd or 'the current directory'} is no directory", hint="name one with cwd=…")
    return directory
