"""Definitions of agents, with a home: what is recorded of them, and looking at them."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holdfast import clock, door
from holdfast.capture import sdk
from holdfast.definitions import ledger, looking, looks, roots, tools
from holdfast.definitions.ledger import Index, Known, Ledger, Waiting
from holdfast.definitions.roots import Root, Roots
from holdfast.errors import DefinitionsBusy, StoreError
from holdfast.events import DefinitionConflicted, DefinitionResolved, DefinitionRevised
from holdfast.journal import reader
from holdfast.store import database, definitions
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import apsw

    from holdfast.definitions.looking import Looked
    from holdfast.events import Event
    from holdfast.home import Home
    from holdfast.store.definitions import Conflict, Revision

Json = dict[str, Any]
_KIND = b'"definition.'
SESSION = "holdfast.definitions"  # of every record about definitions, so that forgetting one of programs' takes none of them along


def append(home: Home, body: Json, *, durable: bool = False) -> str:
    """Record something about definitions; the id of the event. Raises AppendFailed.

    It names the host: paths and contents are this home's, wherever the record is imported. So does its key, or else equal files of two homes would
    be one event.
    """
    named = {"session": SESSION, **body, "fields": body["fields"] | {"host": home.host_id}}
    if "key" in body:
        named["key"] = f"{home.host_id}:{body['key']}"
    return door.append(named, durable=durable, strict=True, home=os.fspath(home.path))


def ledger_of(home: Home) -> Ledger:
    """What a home keeps of definitions."""
    return Ledger(
        home.path,
        lambda body: append(home, body),
        lambda: _from_store(home),
        lambda: door.force(os.fspath(home.path)),
    )


def look(
    home: Home,
    directories: Iterable[str],
    *,
    above: Iterable[str] = (),
    everywhere: bool = False,
    kept: Ledger | None = None,
    wait_ms: int = ledger.WAIT_MS,
) -> Looked:
    """Look at the definitions that count in working directories, and record what happened to them since the last look.

    Args:
        home: where it is recorded.
        directories: absolute paths.
        above: others, from which no answer is ever asked for: that nothing changed there is not recorded.
        everywhere: look into every directory, too, in which definitions were ever found.
        kept: of an earlier look; reads less.
        wait_ms: how long to wait for another process that looks or writes.

    Raises:
        DefinitionsBusy: another process is at it.
        SettingError: `definition_roots` names what it may not.
        StoreError, AppendFailed: the system refused; the next look finds the same.
    """
    there, now_us = roots_from(home, directories), home.now_us()
    around = _together([*there.values(), *roots_from(home, above).values()])
    kept = kept or ledger_of(home)
    with kept.held(wait_ms) as held:
        before = known_roots(held.index)
        if not everywhere:  # a directory that is gone may have been moved to here
            before = [root for root in before if not root.exists]
        found = each_once([*around.found, *before])
        out = looking.look(held, found, now_us)
        broken = [path for path, _ in out.unreadable]
        reached = {printable_path(cwd): looks.reach(of.found, broken) for cwd, of in there.items()}
        out.looks = looks.note(kept, reached, now_us)
    out.unreadable = list(dict.fromkeys([*around.unreadable, *out.unreadable]))
    return out


def roots_around(home: Home, directories: Iterable[str]) -> Roots:
    """The directories of definitions that count in working directories, each once. Raises SettingError."""
    return _together(roots_from(home, directories).values())


def roots_from(home: Home, directories: Iterable[str]) -> dict[str, Roots]:
    """The directories of definitions that count in each of some working directories. Raises SettingError."""
    today, user = clock.date_in(home.now_us(), UTC), str(Path.home())
    return {each: roots.find(home.settings, each, user, today) for each in dict.fromkeys(directories)}


def _together(found: Iterable[Roots]) -> Roots:
    out = Roots()
    for there in found:
        out.found += there.found
        out.unreadable += there.unreadable
    out.found = each_once(out.found)
    out.unreadable = list(dict.fromkeys(out.unreadable))
    return out


def known_roots(index: Index) -> list[Root]:
    """The directories in which definitions were ever found."""
    return [_known_root(os.fsdecode(raw), tool, tier) for raw, (tool, tier) in index.roots.items()]


def each_once(found: Iterable[Root]) -> list[Root]:
    """Of several ways to one directory of a tool, the first."""
    out: dict[tuple[str, str], Root] = {}
    for root in found:
        out.setdefault((root.tool, root.real), root)
    return list(out.values())


def recorded(home: Home) -> list[Revision]:
    """Everything that is recorded of this home's definitions, in its order. It waits for nobody."""
    return _recorded(home).revisions


def folded(home: Home) -> apsw.Connection:
    """A store that says all that is recorded.

    Raises:
        DefinitionsBusy: it is not folded yet, because another process is at it.
    """
    if not home.catch_up([]).done:
        raise DefinitionsBusy(
            "another process is importing, and what is recorded of definitions has to be read first",
            hint="run the same command again",
        )
    return home.reader()


def _known_root(real: str, tool: str, tier: str) -> Root:
    """A directory in which definitions were found before, seen from nowhere."""
    rank = (tools.TIERS.index(tier), 0)
    exists = os.path.isdir(real)  # noqa: PTH112 - any bytes
    return Root(tool, tier, real, real, rank, exists=exists, writable=False, why="it had definitions")


def _from_store(home: Home) -> Index:
    """What lies where by what is recorded. It waits for nobody: what is not folded yet is read in the journal."""
    out = Index()
    told = _recorded(home)
    out.conflicts = told.conflicts
    for one in told.revisions:
        raw = _raw(one.path, one.path_bytes)
        last = out.known.pop(raw, None)
        before = _lay(out.known, one.path_before) if one.path_before is not None else None
        if before is not None:
            last = out.known.pop(before)
            out.gone[before] = one.id
        if one.sha256 is None:
            out.leave(raw, one.id, one.operation)
            continue
        out.known[raw] = _known(one, last.first if last else one.sha256)
        out.add_content(one.sha256, raw, before)
        out.roots.setdefault(os.fsencode(one.root or ""), (one.tool, one.tier or tools.PROJECT))
    return out


class _Recorded(NamedTuple):
    """Every revision of this home, in the order of the journal, and conflicts that wait for a decision."""

    revisions: list[Revision]
    conflicts: dict[str, Waiting]


def _recorded(home: Home) -> _Recorded:
    """What the store says, and what was recorded since it was folded."""
    found: dict[str, Revision] = {}
    conflicts: dict[str, Waiting] = {}
    cursor: dict[int, int] = {}
    with (
        contextlib.suppress(StoreError),  # the journal says the same, and takes longer
        contextlib.closing(database.open_reader(home.path)) as db,
    ):
        found = {one.id: one for one in definitions.every(db)}
        waiting = definitions.conflicts(db)
        conflicts = {one.id: _waiting(one) for one in waiting}
        cursor = database.cursor(db)
    for item in reader.read(home.journal, cursor):
        if isinstance(item, reader.Found) and item.record.s == door.SOURCE and _KIND in item.line:
            for event in _in_record(item):
                _add(found, conflicts, event, item, home.host_id)
    return _Recorded(list(found.values()), conflicts)


def _in_record(item: reader.Found) -> Iterable[Event]:
    """What a record tells."""
    try:
        body = msgspec.json.decode(item.record.body_bytes() or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    if not isinstance(body, dict):
        return []
    record = item.record
    return sdk.translate(body, record_id=record.id, received_us=record.t, order=item.start)


def _add(
    found: dict[str, Revision],
    conflicts: dict[str, Waiting],
    event: Event,
    item: reader.Found,
    own_host: str,
) -> None:
    data = event.data
    if definitions.other(getattr(data, "host", None), own_host) is not None:
        return
    if isinstance(data, DefinitionRevised) and data.tool and data.path:
        one = found.setdefault(event.id, definitions.told(event, data, item.segment, item.start, own_host))
        lies = _raw(one.path, one.path_bytes)
        for each, waiting in [*conflicts.items()]:
            if waiting.path == lies or printable_path(os.fsdecode(waiting.path)) == one.path_before:
                conflicts[each] = waiting._replace(path=lies)
                if waiting.ours == (one.sha256 or ""):
                    del conflicts[each]
    elif isinstance(data, DefinitionConflicted):
        conflicts[event.id] = _waiting(data)
    elif isinstance(data, DefinitionResolved):
        conflicts.pop(data.conflict, None)


def _waiting(one: Conflict | DefinitionConflicted) -> Waiting:
    raw = _raw(one.path, one.path_bytes)
    return Waiting(raw, one.ours or "", one.base or "", one.theirs or "")


def _known(one: Revision, first: str) -> Known:
    assert one.sha256 is not None
    tier, root = one.tier or tools.PROJECT, one.root or ""
    return Known(one.tool, one.name, tier, root, one.sha256, one.size_bytes or 0, one.id, first=first)


def _raw(path: str, path_bytes: str | None) -> bytes:
    return bytes.fromhex(path_bytes) if path_bytes else os.fsencode(path)


def _lay(known: Collection[bytes], path: str) -> bytes | None:
    """The file that was recorded under a path as text."""
    raw = os.fsencode(path)
    if raw in known or "\\x" not in path:
        return raw if raw in known else None
    return next((each for each in known if printable_path(os.fsdecode(each)) == path), None)
