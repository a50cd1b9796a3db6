"""The Python side of definitions: what an agent is told here, which revision that is, and when it changes. `holdfast.Definitions`.

Whatever is asked is answered from the files as they lie at that moment: each question looks at the times of all files that may count, and reads those
that changed. What was read and made of them is kept in memory (`definitions/cache.py`), and every content that is given out is recorded first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from holdfast import clock
from holdfast.definition_editing import Editing
from holdfast.errors import HoldfastError, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from holdfast.definition_answers import Definition, DefinitionChange, Prompt
    from holdfast.definition_views import Chosen
    from holdfast.definitions.prompts import Rendered
    from holdfast.definitions.registry import Found
    from holdfast.definitions.subscribers import Subscribers
    from holdfast.definitions.tiers import Place
    from holdfast.hearing import Cursor, Heard, Listener
    from holdfast.home import Home

_NOTHING: Mapping[str, str] = MappingProxyType({})
_TRIES: Final = 5  # to read a file that is just being written
_KEEP_WAIT_MS: Final = 200
_MADE_BYTES: Final = 2_000  # of memory, for what is made of a definition beside its text


class Definitions(Editing):
    """Definitions of agents as they count in a directory. Any thread may use it; in a forked child it has no subscribers.

    Use it as a context manager, or `close` it, where something subscribes.

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
        self._begin()

    def _begin(self) -> None:
        from holdfast.definitions.subscribers import Subscribers  # noqa: PLC0415 - as above
        from holdfast.hearing import Looker  # noqa: PLC0415

        self._pid = os.getpid()
        self._own = {}
        self._looker = Looker(self._home, self._cwd)
        self._subscribers: Subscribers[DefinitionChange] = Subscribers(_with_missed)
        self._subscribing, self._refreshing = threading.Lock(), threading.Lock()
        self._listener: Listener | None = None
        self._since: Cursor | None = None  # the last refresh

    def _mine(self) -> None:
        """In a forked child begin anew: threads are not there, and locks may be held by one of them."""
        if self._pid != os.getpid():
            self._begin()

    # ── what counts ──

    def get(
        self, name: str, *, tool: str | None = None, tier: str | None = None, revision: str | None = None
    ) -> Definition:
        """The definition of a name as it lies now.

        Args:
            name: as its tool calls it, such as "reviewer", or "kit:reviewer" of a plugin.
            tool: claude, codex or custom; None: the only one that has such an agent.
            tier: the strongest file of this tier, even where another one hides it; None: the one that counts.
            revision: as it was once: how the SHA-256 of its content begins, or the id of a change. `tier` says nothing then.

        Raises:
            NotFound: there is none, or none in this tier, or no such revision.
            UsageError: several tools have one; a revision is meant by several.
            BlobDamaged: the content of that revision is not kept any more, or not as it was.
            SettingError: `definition_roots` names what it may not.
            HoldfastError: what is recorded cannot be read now; its file changes faster than it can be read.
        """
        from holdfast import definition_views as views  # noqa: PLC0415 - as above

        self._mine()
        if revision is not None:
            was = self._revised(name, tool, revision)
            return views.definition(was.chosen, was.text, counts=None, recorded=True)
        for _ in range(_TRIES):
            if (it := self._read(views.chosen(self._look(), name, tool, tier))) is not None:
                return views.definition(it.chosen, it.text, counts=it.counts, recorded=self._keep(it.chosen))
        raise _restless(name)

    def all(self, *, tool: str | None = None, tier: str | None = None) -> list[Definition]:
        """Every definition as it lies now, by tool and name.

        Args:
            tool: of this tool only.
            tier: only those whose file that counts is of this tier.

        Raises:
            SettingError: as for `get`.
            HoldfastError: a file changes faster than it can be read.
        """
        from holdfast import definition_views as views  # noqa: PLC0415 - as above

        for _ in range(_TRIES):
            every = [
                self._read((one, one.shown))
                for one in self._look().definitions
                if tool in (None, one.tool) and tier in (None, one.shown.file.root.tier)
            ]
            found = [it for it in every if it is not None]
            if len(found) == len(every):
                kept = [self._keep(it.chosen) for it in found]
                return [
                    views.definition(it.chosen, it.text, counts=it.counts, recorded=recorded)
                    for it, recorded in zip(found, kept, strict=True)
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
        revision: str | None = None,
    ) -> Prompt:
        """What an agent is told, with values for its variables. The same revision, variables and sections give the same text.

        Args:
            name: as for `get`.
            variables: a value for each `{{variable}}` in its text, and no other; None: the text stays as it stands.
            sections: title → text, put behind it in this order as Markdown.
            tool: as for `get`.
            tier: as for `get`.
            revision: as for `get`.

        Raises:
            UsageError: a variable is not given, or unknown; the definition tells its agent nothing, or cannot be read. Also as for `get`.
            HoldfastError: as for `get`.
        """
        from holdfast import definition_views as views  # noqa: PLC0415 - as above
        from holdfast.definitions import prompts  # noqa: PLC0415

        self._mine()
        if revision is None:
            it = views.chosen(self._look(), name, tool, tier)
        else:
            it = self._revised(name, tool, revision).chosen
        try:
            prompts.check(variables, sections)
            rendered = self._rendered(it[1], variables, sections)
        except prompts.CannotRender as exc:
            raise views.no_prompt(it, exc) from exc
        if revision is not None:
            return views.prompt(it, rendered, sections, counts=None, recorded=True)
        counts = it[1] is it[0].winner
        return views.prompt(it, rendered, sections, counts=counts, recorded=self._keep(it))

    # ── what changes ──

    def refresh(self) -> list[DefinitionChange]:
        """Look at every definition that may count here, record what happened to them, and say what that was, in order.

        Returns:
            What is recorded since the last refresh, whoever saw it; the first time: since anybody looked last.

        Raises:
            DefinitionsBusy: another process looks or writes, and did not end within 5 s.
            SettingError, StoreError, AppendFailed: it could not be looked at or recorded; the next look finds the same.
        """
        from holdfast.hearing import Cursor  # noqa: PLC0415 - as above

        self._mine()
        with self._refreshing:
            if self._since is None:
                self._since = Cursor(self._home, self._cwd)
            self._looker.look()
            return self._taken(self._since.new())

    def subscribe(
        self, callback: Callable[[DefinitionChange], object], pattern: str = "*"
    ) -> Callable[[], None]:
        """Have a function called with each change of definitions that count here, whoever makes or sees it: once, in order.

        It is called in a thread of its own. What it raises is logged and counted (`figures`), and it is told of the next change all the same. While anything
        subscribes, this looks at the files every second, or every ten while a service does; of the time, 5 % at most.

        Args:
            callback: takes one `DefinitionChange`.
            pattern: which names, as for `invalidate`; of a definition that is renamed, the new or the old one.

        Returns:
            A function that ends it: after it has returned, `callback` is not called any more.

        Raises:
            UsageError: `callback` cannot be called, or `pattern` is no text.
            HoldfastError: the journal cannot be read.
        """
        from holdfast.hearing import Listener  # noqa: PLC0415 - as above

        if not callable(callback):
            raise UsageError(f"{callback!r} cannot be called", hint="give a function that takes a change")
        _check_pattern(pattern)
        self._mine()
        with self._subscribing:
            listener = self._listener or Listener(self._home, self._cwd, self._looker, self._tell)
            listener.read_on()  # what is recorded already is no news for this one
            leave = self._subscribers.add(callback, pattern)
            if self._listener is None:
                listener.start()
                self._listener = listener
        pid = self._pid

        def unsubscribe() -> None:
            leave()
            if os.getpid() != pid:
                return
            with self._subscribing:
                if self._listener is not None and not self._subscribers.figures().subscribers:
                    self._listener.stop()
                    self._listener = None

        return unsubscribe

    def invalidate(self, pattern: str = "*") -> int:
        """Keep nothing in memory that was read or made of definitions with such names; how much that was.

        Nobody has to call this after a change: each question sees it by itself.

        Args:
            pattern: `*`, `?` and `[…]` as in file names, for the whole name: "qa" is not "qa-web".

        Raises:
            UsageError: it is no text.
        """
        _check_pattern(pattern)
        return self._cache.invalidate(pattern)

    def figures(self) -> dict[str, int]:
        """What is kept in memory, how it was used, and what became of changes that were told.

        `entries`, `size_bytes`, `hits`, `misses`, `evicted`, `refused`, `invalidated`; `subscribers`, `told`, `failed`, `missed`, `waiting`.
        """
        self._mine()
        return asdict(self._cache.figures()) | asdict(self._subscribers.figures())

    def close(self, timeout_s: float = 5.0) -> bool:
        """Tell subscribers what is recorded, and call them no more. What is asked afterwards is answered as before.

        Args:
            timeout_s: how long to wait for a look under way, and for calls that are still to be made.

        Returns:
            Whether all of them were made.
        """
        self._mine()
        until_s = time.monotonic() + timeout_s
        with self._subscribing:
            listener, self._listener = self._listener, None
            is_read = listener is None or listener.finish(timeout_s)
        return self._subscribers.close(max(until_s - time.monotonic(), 0)) and is_read

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ── inside ──

    def _look(self) -> Found:
        return self._registry.look(self._cwd, clock.date_in(self._home.now_us(), UTC))

    def _revised(self, name: str, tool: str | None, revision: str) -> _It:
        from holdfast import definition_views as views  # noqa: PLC0415 - as above

        one = views.revised(views.recorded(self._home, revision), name, revision, tool)
        content = self._looker.text(one.sha256 or "")
        return _It(views.as_it_was(one, content), _decoded(content), counts=False)

    def _read(self, chosen: Chosen) -> _It | None:
        """A definition with its text; None: its file changed since it was looked at."""
        from holdfast.definitions import reading  # noqa: PLC0415 - as above

        one, place = chosen
        counts = place is one.winner
        if place.sha256 is None:
            return _It(chosen, None, counts)
        key = ("text", place.file.path, place.sha256)
        kept: tuple[str | None] | None = self._cache.get(key)
        if kept is not None:
            return _It(chosen, kept[0], counts)
        since = self._cache.invalidations
        try:
            content = reading.content(place.file.path)
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != place.sha256:
            return None
        text = _decoded(content)
        self._cache.put(key, one.name, (text,), _MADE_BYTES + sys.getsizeof(text), since=since)
        return _It(chosen, text, counts)

    def _keep(self, chosen: Chosen) -> bool:
        """Have what is given out recorded; whether it is."""
        sha256 = chosen[1].sha256
        if sha256 is None:
            return False
        if not self._looker.keeps(sha256):
            with contextlib.suppress(
                HoldfastError, OSError
            ):  # that it is not kept is no reason not to answer
                self._looker.look(wait_ms=_KEEP_WAIT_MS)
        return self._looker.keeps(sha256)

    def _rendered(
        self, place: Place, variables: Mapping[str, str] | None, sections: Mapping[str, str]
    ) -> Rendered:
        from holdfast import definition_views as views  # noqa: PLC0415 - as above
        from holdfast.definitions import prompts  # noqa: PLC0415

        given = None if variables is None else tuple(sorted(variables.items()))
        file = place.file
        key = (
            "prompt",
            file.root.tool,
            file.suffix,
            place.name,
            place.sha256,
            given,
            tuple(sections.items()),
        )
        kept: Rendered | None = self._cache.get(key)
        if kept is None:
            since = self._cache.invalidations
            kept = prompts.render(views.told(place), variables, sections)
            size_bytes = _MADE_BYTES + 2 * sys.getsizeof(kept.text)  # what stands in the key too
            self._cache.put(key, place.name, kept, size_bytes, since=since)
        return kept

    def _taken(self, heard: list[Heard]) -> list[DefinitionChange]:
        """Changes that were heard; what was made of such definitions is dropped."""
        from holdfast import definition_views as views  # noqa: PLC0415 - as above

        out = [views.change(one) for one in heard]
        for name in {name for one in out for name in one.names}:
            self._cache.invalidate_name(name)
        return out

    def _tell(self, heard: list[Heard]) -> None:
        self._subscribers.tell(self._taken(heard))


class _It(NamedTuple):
    """A definition that is asked for, read.

    Attributes:
        text: of its file; None: it cannot be read, or is no UTF-8.
        counts: whether its tool takes this file.
    """

    chosen: Chosen
    text: str | None
    counts: bool


def _check_pattern(pattern: str) -> None:
    if not isinstance(pattern, str):
        raise UsageError(f"a pattern is text, and {pattern!r} is not")


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _with_missed(change: DefinitionChange, missed: int) -> DefinitionChange:
    return msgspec.structs.replace(change, missed=missed)


def _restless(name: str) -> HoldfastError:
    return HoldfastError(
        f"{name}: its file changed each of {_TRIES} times while it was read", hint="ask again later"
    )


def _home(home: str | Path | None) -> Home:
    from holdfast.home import Home  # noqa: PLC0415 - importing holdfast stays light
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
