"""Write definitions of agents, with a home: what is asked for by name becomes files, and is recorded.

Each act holds the ledger's lock from looking to recording, so what somebody else changed before is recorded as such, and nobody who takes the lock too can come
between. Who does not (an editor) is noticed when files are swapped; then everything is looked at again.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from holdfast import clock, defining
from holdfast.definitions import (
    choosing,
    ledger,
    lines,
    looking,
    merging,
    placing,
    registry,
    swapping,
    tools,
    writing,
)
from holdfast.definitions.ledger import RESOLVED, Step
from holdfast.definitions.placing import TIER_SPECIFIC, Wanted
from holdfast.definitions.swapping import NOTHING, Overtaken
from holdfast.definitions.writing import By, Write, Written
from holdfast.errors import (
    AmbiguousId,
    BlobDamaged,
    DefinitionConflict,
    DefinitionRefused,
    DefinitionsBusy,
    NotFound,
    UsageError,
)
from holdfast.store import definitions
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.definitions.choosing import Where
    from holdfast.definitions.ledger import Held
    from holdfast.definitions.registry import Found
    from holdfast.definitions.roots import Root
    from holdfast.definitions.tiers import Place
    from holdfast.home import Home
    from holdfast.store.definitions import Conflict

OURS: Final = "ours"
THEIRS: Final = "theirs"
MERGE: Final = "merge"
TEXT: Final = "text"
CHOICES: Final = (OURS, THEIRS, MERGE, TEXT)

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_WAIT_MS: Final = 20_000  # for others who write; each takes some hundredths of a second
_TRIES: Final = 5  # where somebody changes a file while it is looked at
_T = TypeVar("_T")


def sha256_of(words: object) -> str:
    """What names a content, as it is compared. Raises UsageError: nothing is named so."""
    lower = words.lower() if isinstance(words, str) else ""
    if not _SHA256.fullmatch(lower):
        hint = "`holdfast definitions show NAME --json` says the SHA-256 of what lies there"
        raise UsageError(f"{str(words)[:80]!r} is no SHA-256", hint=hint)
    return lower


def by(author: str | None, reason: str | None) -> By:
    """Who writes, and why. Who does not say who it is, is whose process this is. Raises UsageError: it cannot be recorded."""
    for label, words in (("author", author), ("reason", reason)):
        if words and _SURROGATE.search(words):
            raise UsageError(f"the {label} has no UTF-8 form", hint="write it in UTF-8")
    if not author:
        user = os.getuid()
        try:
            author = pwd.getpwuid(user).pw_name
        except KeyError:
            author = str(user)
    return By(author, "observed", reason)


class Copy(NamedTuple):
    """A content of a file, and what names it."""

    content: bytes
    sha256: str
    place: Place


class Writer:
    """Writes definitions as they are seen from a directory.

    Args:
        home: where it is recorded.
        cwd: an absolute path, without links.
        by: who writes, and why.
        own: conflicts that came of what they wrote before, and of what they write now.
        wait_ms: how long to wait for another process that looks or writes.

    Each act raises:
        NotFound, UsageError: there is none of the name, or several tools have one.
        DefinitionConflict: somebody else changed a file since it was read; both contents are kept.
        DefinitionRefused: it may not be written there, or not with this content.
        DefinitionNotWritten, StoreError, AppendFailed: the system refused.
        DefinitionsBusy: another process is at it, or changes a file again and again.
        BlobDamaged: a content that is kept is not what it was.
        SettingError: `definition_roots` names what it may not.
    """

    def __init__(
        self,
        home: Home,
        cwd: str,
        by: By = By(),  # noqa: B008 - it is frozen
        *,
        own: set[str] | None = None,
        wait_ms: int = _WAIT_MS,
    ) -> None:
        self._home, self._cwd, self._by, self._wait_ms = home, cwd, by, wait_ms
        self._own = set() if own is None else own
        self._ledger = defining.ledger_of(home)
        self._registry = registry.Registry(home.settings, str(Path.home()))

    def read(self, where: Where) -> Copy:
        """What a definition says now: the file that counts, or the strongest of the tier that is asked for. It is read to be changed."""

        def act(held: Held, found: Found) -> Copy:
            place = choosing.source(found, where)
            content = _content(held, place)
            for one in choosing.puts(found, where, content, place.sha256):
                writing.check_rights(one)
            return Copy(content, place.sha256 or NOTHING, place)

        return self._act(act)

    def create(self, where: Where, content: bytes, *, suffix: str | None = None) -> list[Written]:
        """Write a definition that there is not, or not there. `suffix`: of its files; None: the usual one of its tool."""
        assert where.name is not None
        _check_text(content)
        name, tool = where.name, where.tool or tools.CLAUDE

        def act(held: Held, found: Found) -> list[Written]:
            wanted = Wanted(tool, name, choosing.called(found, tool, name), suffix=suffix)
            chosen = choosing.targets(found, wanted, where.strategy, where.tier)
            if there := next((one.place for one in chosen if one.place), None):
                if there.sha256 is None and os.path.islink(there.file.path):  # noqa: PTH114 - any bytes
                    raise choosing.linked(there)
                raise DefinitionRefused(
                    f"{visible(name)} lies in {choosing.shown(there.file.path)} already",
                    hint="`holdfast definitions edit` changes it; --tier TIER says where another one is to lie",
                )
            return self._write(held, [choosing.new_called(one, content, name) for one in chosen])

        return self._act(act)

    def put(self, where: Where, content: bytes, base: str | None) -> list[Written]:
        """Write a definition over what its writer read.

        Args:
            where: what and where.
            content: all of it.
            base: the SHA-256 of what was read; None: there was none.
        """
        _check_text(content)

        def act(held: Held, found: Found) -> list[Written]:
            gone = self._gone(found, where, content, base)
            writes = [gone] if gone else choosing.puts(found, where, content, base)
            return self._write_alone(held, found, writes, self._decided(held, writes))

        return self._act(act)

    def delete(self, where: Where, base: str | None = None) -> list[Written]:
        """Remove a definition's file; its contents are kept. `base`: the SHA-256 of what was read; None: whatever it says."""

        def act(held: Held, found: Found) -> list[Written]:
            places = choosing.removable(found, where)
            return self._write(held, [choosing.over(one, None, base or _lies(held, one)) for one in places])

        return self._act(act)

    def migrate(self, where: Where, to: str) -> Written:
        """Move a definition's file into another tier; its history goes on there. What lies there already is not written over."""

        def act(held: Held, found: Found) -> Written:
            [place] = choosing.removable(found, where)
            if choosing.is_of(place, to):
                raise UsageError(f"{choosing.shown(place.file.path)} lies in the tier {to} already")
            content = _content(held, place)
            old = choosing.over(place, None, place.sha256)
            if others := choosing.in_tier(found, place, to):
                if others[0].sha256 == place.sha256:
                    return self._write(held, [old])[0]
                raise DefinitionRefused(
                    f"{choosing.shown(others[0].file.path)} ({to}) has the same name, and says something else",
                    hint="`holdfast definitions put` or `delete` decides which one stays",
                )
            [target] = choosing.targets(found, _wanted(place, []), TIER_SPECIFIC, to)
            new = choosing.new(target, content, place.file.real)
            return writing.move(held, old, new, self._by, self._home.now_us())

        return self._act(act)

    def replicate(self, where: Where, to: Sequence[str], base: str | None = None) -> list[Written]:
        """Write a definition into other tiers too.

        Args:
            where: which; its tier says from where, if not from what counts.
            to: the tiers.
            base: the SHA-256 of what lies there and may be written over; None: nothing but the same may lie there.
        """

        def act(held: Held, found: Found) -> list[Written]:
            place = choosing.source(found, where)
            content, writes = _content(held, place), []
            for tier in dict.fromkeys(to):
                wanted = _wanted(place, choosing.in_tier(found, place, tier))
                [one] = choosing.targets(found, wanted, TIER_SPECIFIC, tier)
                writes.append(
                    choosing.over(one.place, content, base)
                    if one.place
                    else choosing.new(one, content, place.file.real)
                )
            return self._write_alone(held, found, writes)

        return self._act(act)

    def resolve(
        self, conflict: Conflict, choice: str, content: bytes | None = None, base: str | None = None
    ) -> Written | None:
        """Decide a conflict; what became of the file, None: it stays as it is.

        Args:
            conflict: which.
            choice: OURS: what was to be written; THEIRS: what lies there; MERGE: both; TEXT: `content`.
            content: of another text.
            base: the SHA-256 of what lies there now and may be written over ("": nothing lies there); None: what lay there when it came to
                the conflict. If something else does, `content` is kept as another conflict.
        """
        if choice not in CHOICES:
            raise UsageError(f"{choice!r} is no choice", hint=f"there is {', '.join(CHOICES)}")
        if content is not None:
            _check_decision(content)
        stored = bytes.fromhex(conflict.path_bytes) if conflict.path_bytes else os.fsencode(conflict.path)
        real = os.path.realpath(os.fsdecode(stored))  # what was no link then may be one by now
        root, every = self._reached(conflict, real)

        def act(held: Held, _found: Found) -> Written | None:
            if conflict.id not in held.index.conflicts:
                is_over = "over: what was to be written came to lie there"
                raise UsageError(
                    f"the conflict {conflict.id} is {'decided already' if conflict.choice else is_over}"
                )
            known = held.index.known.get(os.fsencode(real))
            lies = known.sha256 if known else NOTHING
            if choice == THEIRS:
                held.note([self._resolution(conflict.id, choice, lies)])
                return None
            if root is None:
                raise DefinitionRefused(
                    f"{choosing.shown(real)} lies in no directory of definitions any more",
                    hint="decide for theirs; `holdfast definitions put` writes elsewhere",
                )
            if (why := placing.protected(root, real, every)) is not None:
                raise DefinitionRefused(f"nothing was written: {why}", hint="decide for theirs")
            text, over = content, conflict.theirs if base is None else base
            if choice == OURS:
                text = held.texts.get(conflict.ours) if conflict.ours else None
            elif choice == MERGE:
                text, over = _merged(held, conflict, lies), lies
            one = Write(root, real, real, text, over or NOTHING)
            done = self._resolution(conflict.id, choice, one.after)
            return self._write(held, [one], [done], keep_conflicts=choice == TEXT)[0]

        return self._act(act, also=[root] if root else ())

    # ── inside ──

    def _gone(self, found: Found, where: Where, content: bytes, base: str | None) -> Write | None:
        """The file that was read, where it is not there any more: to write over another one of the name would be to write over what was not read."""
        if base is None or where.name is None or not choosing.reads_anew(found, where, content, base):
            return None
        seen: set[tuple[str, str | None]] = set()
        for one in reversed(defining.recorded(self._home)):
            if (file := (one.path, one.path_bytes)) in seen:
                continue
            seen.add(file)
            if (one.name, one.sha256, one.before_sha256) == (where.name, None, base):
                path = os.fsdecode(bytes.fromhex(one.path_bytes) if one.path_bytes else one.path)
                if write := choosing.at_gone(found, where, path, one.tool, content, base):
                    return write
        return None

    def _reached(self, conflict: Conflict, real: str) -> tuple[Root | None, list[Root]]:
        """The directory through which a file is reached now (None: through none any more), and every one around it."""
        seen_from = [*(os.path.dirname(path) for path in (real, conflict.root) if path), self._cwd]  # noqa: PTH120 - any bytes
        every = defining.roots_around(self._home, seen_from).found
        ours = [one for one in every if one.tool == conflict.tool]
        holds = [one for one in ours if real.startswith(f"{one.real.rstrip('/')}/")]
        linked = next((one for one in ours if printable_path(one.real) == conflict.root), None)
        return max(holds, key=lambda one: len(one.real), default=linked), every

    def _act(self, act: Callable[[Held, Found], _T], also: Iterable[Root] = ()) -> _T:
        """Look, act, and if somebody else came between, look and act again."""
        overtaken = ""
        with self._ledger.held(self._wait_ms) as held:
            for _ in range(_TRIES):
                now_us = self._home.now_us()
                found = self._registry.look(self._cwd, clock.date_in(now_us, UTC))
                every = {(root.tool, root.real): root for root in (*also, *found.roots)}
                looking.look(held, every.values(), now_us)
                try:
                    return act(held, found)
                except Overtaken as exc:
                    overtaken = choosing.shown(os.fsdecode(exc.path))
        raise DefinitionsBusy(
            f"{overtaken}: somebody changes it again and again, or it cannot be read",
            hint="`holdfast definitions validate` says what it is; run the same command again",
        )

    def _write_alone(
        self, held: Held, found: Found, writes: list[Write], more: Sequence[Step] = ()
    ) -> list[Written]:
        """Write files, none of which takes a name that another one in its directory has."""
        for one in writes:
            choosing.check_is_only(found, one)
        return self._write(held, writes, more)

    def _write(
        self, held: Held, writes: list[Write], more: Sequence[Step] = (), *, keep_conflicts: bool = True
    ) -> list[Written]:
        now_us = self._home.now_us()
        try:
            return writing.write(held, writes, self._by, now_us, more=more, keep_conflicts=keep_conflicts)
        except DefinitionConflict as exc:
            self._own.update(exc.ids)
            raise

    def _decided(self, held: Held, writes: list[Write]) -> list[Step]:
        """The writer's own conflicts about files that they have read since, and write: what they want now is what is to become of them."""
        self._own.intersection_update(held.index.conflicts)
        return [
            self._resolution(event, TEXT, one.after)
            for one in writes
            for event, waiting in held.index.conflicts.items()
            if event in self._own
            and waiting.path == one.raw
            and one.base != waiting.base
            and one.after != waiting.ours
        ]

    def _resolution(self, conflict: str, choice: str, after: str) -> Step:
        fields = {"conflict": conflict, "choice": choice, "hash_after": after or None, **self._by.fields}
        return Step(
            {
                "kind": RESOLVED,
                "time": self._home.now_us(),
                "key": f"definition-resolved:{conflict}",
                "fields": {name: value for name, value in fields.items() if value is not None},
            }
        )


def _check_decision(content: bytes) -> None:
    """Raises DefinitionRefused: a text that decides a conflict is empty, or still says both."""
    _check_text(content)
    if mark := lines.mark(content):
        raise DefinitionRefused(
            f"line {mark.number} still says `{mark.text}`, so both texts stand in it",
            hint="leave one of them, or what is to be of both; `put` writes any text",
        )


def _check_text(content: bytes) -> None:
    if not content.strip():
        hint = "`holdfast definitions delete` removes a definition"
        raise DefinitionRefused("nothing is to be written: the text is empty", hint=hint)


def _lies(held: Held, place: Place) -> str | None:
    """The SHA-256 of what lies in a file; None: it is not known."""
    known = held.index.known.get(os.fsencode(place.file.real))
    return known.sha256 if known else None


def _content(held: Held, place: Place) -> bytes:
    """What a file says, as it was looked at.

    Raises:
        Overtaken: it was changed since.
        DefinitionRefused: it cannot be read.
    """
    raw = os.fsencode(place.file.real)
    if place.sha256 is None:
        why = "; ".join(one.text for one in place.verdict.findings)
        raise DefinitionRefused(f"{choosing.shown(place.file.path)} cannot be read: {why}")
    if not place.sha256 == _lies(held, place) == swapping.digest(raw):
        raise Overtaken(raw)
    return held.texts.get(place.sha256)


def _wanted(place: Place, others: list[Place]) -> Wanted:
    """The same definition in another tier, in a file of the same name."""
    stem = os.path.basename(place.file.stem)  # noqa: PTH119 - any bytes
    return Wanted(place.file.root.tool, place.name, others, printable_path(stem), place.file.suffix)


# ── conflicts ──


def conflicts(home: Home, *, resolved: bool = False) -> list[Conflict]:
    """Conflicts that wait for a decision, the oldest first; `resolved`: the others too.

    Raises:
        DefinitionsBusy: what is recorded is not folded yet, because another process is at it, or it looks or writes.
        StoreError, AppendFailed: what somebody else wrote meanwhile cannot be recorded.
    """
    if not home.has_records():
        return []
    with contextlib.closing(defining.folded(home)) as db:
        found = definitions.conflicts(db, resolved=resolved)
    if not _changed(home, {(one.tool, one.root) for one in found if one.is_open}):
        return found
    with contextlib.closing(defining.folded(home)) as db:
        return definitions.conflicts(db, resolved=resolved)


def _changed(home: Home, directories: set[tuple[str, str | None]]) -> bool:
    """Look into directories in which something waits for a decision; whether anything happened there."""
    if not directories:
        return False
    with defining.ledger_of(home).held() as held:
        known = defining.known_roots(held.index)
        some = [root for root in known if (root.tool, printable_path(root.real)) in directories]
        return bool(looking.look(held, some, home.now_us()).noted)


def conflict_of(home: Home, begins: str) -> Conflict:
    """The conflict whose id begins so.

    Raises:
        NotFound: there is none.
        AmbiguousId: there are several.
        DefinitionsBusy: as `conflicts`.
    """
    every = [one for one in conflicts(home, resolved=True) if one.id.startswith(begins.lower())]
    if not every or not begins:
        shown = visible(begins[:80])
        raise NotFound(
            f"no conflict has the id {shown!r}", hint="`holdfast definitions conflicts` lists them"
        )
    if len(every) > 1:
        raise AmbiguousId(begins, [one.id for one in every], what="conflicts")
    return every[0]


def text_of(home: Home, sha256: str | None) -> bytes:
    """One of the two texts of a conflict. Raises DefinitionRefused: it is none, since no file was to lie there, or did."""
    if sha256 is None:
        hint = "`--ours` and `--theirs` print the other one"
        raise DefinitionRefused("there was to be no file, or there was none, so there is no text", hint=hint)
    return defining.ledger_of(home).texts.get(sha256)


def merged(home: Home, conflict: Conflict) -> merging.Merged:
    """What comes out if what was to be written is merged with what lay there when it came to the conflict.

    Raises:
        DefinitionRefused: there is nothing to merge, or nothing to merge it by.
    """
    return _merge(defining.ledger_of(home).texts, conflict, conflict.theirs or NOTHING)


def _merge(texts: ledger.Texts, conflict: Conflict, lies: str) -> merging.Merged:
    if conflict.ours is None or lies == NOTHING:
        hint = "choose ours or theirs"
        raise DefinitionRefused("one of the two removed the file, so there is nothing to merge", hint=hint)
    base = None
    if conflict.base is not None:
        try:
            base = texts.get(conflict.base)
        except BlobDamaged as exc:
            raise DefinitionRefused(
                f"what both were made of (SHA-256 {conflict.base}) was never seen, so they cannot be merged",
                hint="resolve it with ours, theirs or a FILE",
            ) from exc
    suffix = os.path.splitext(conflict.path)[1]  # noqa: PTH122 - any bytes
    return merging.merge(base, texts.get(conflict.ours), texts.get(lies), suffix)


def _merged(held: Held, conflict: Conflict, lies: str) -> bytes:
    """Both texts in one. Raises DefinitionConflict: they contradict each other."""
    found = _merge(held.texts, conflict, lies)
    if found.content is None:
        where = "; ".join(_told(one) for one in found.conflicts)
        raise DefinitionConflict(
            f"both changed the same: {where}",
            hint=f"`holdfast definitions conflicts {conflict.id} --merged` gives both in one text; mend it, and "
            f"`holdfast definitions resolve {conflict.id} FILE`",
            ids=(conflict.id,),
        )
    return found.content


def _told(one: merging.Conflict) -> str:
    where = f"`{visible(one.where)}`" if one.where else "the text"
    line = f" (line {one.line} of ours)" if one.line is not None else ""
    return f"{where}{line}{f': {one.why}' if one.why else ''}"
