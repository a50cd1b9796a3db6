"""Definitions of agents, with a home: what is recorded of them, and looking at them."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import clock, door
from holdfast.definitions import ledger, looking, roots, tools
from holdfast.definitions.ledger import Index, Known, Ledger
from holdfast.definitions.roots import Root
from holdfast.errors import DefinitionsBusy
from holdfast.store import definitions
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.definitions.looking import Looked
    from holdfast.home import Home
    from holdfast.store.definitions import Revision

Json = dict[str, Any]


def ledger_of(home: Home) -> Ledger:
    """What a home keeps of definitions."""
    path = os.fspath(home.path)

    def record(body: Json) -> str:
        return door.append(body, strict=True, home=path)

    return Ledger(home.path, record, lambda: _from_store(home))


def look(
    home: Home,
    directories: Iterable[str],
    *,
    everywhere: bool = False,
    kept: Ledger | None = None,
    wait_ms: int = ledger.WAIT_MS,
) -> Looked:
    """Look at the definitions that count in working directories, and record what happened to them since the last look.

    Args:
        home: where it is recorded.
        directories: absolute paths.
        everywhere: look into every directory, too, in which definitions were ever found.
        kept: of an earlier look; reads less.
        wait_ms: how long to wait for another process that looks or writes.

    Raises:
        DefinitionsBusy: another process is at it.
        SettingError: `definition_roots` names what it may not.
        StoreError, AppendFailed: the system refused; the next look finds the same.
    """
    now_us = home.now_us()
    today = clock.date_in(now_us, UTC)
    found: dict[tuple[str, str], Root] = {}
    unreadable: list[tuple[str, str]] = []
    for directory in dict.fromkeys(directories):
        there = roots.find(home.settings, directory, str(Path.home()), today)
        unreadable += there.unreadable
        for root in there.found:
            found.setdefault((root.tool, root.real), root)
    with (kept or ledger_of(home)).held(wait_ms) as held:
        if everywhere:
            for raw, (tool, tier) in held.index.roots.items():
                found.setdefault((tool, os.fsdecode(raw)), _known_root(os.fsdecode(raw), tool, tier))
        out = looking.look(held, found.values(), now_us)
    out.unreadable = list(dict.fromkeys([*unreadable, *out.unreadable]))
    return out


def _known_root(real: str, tool: str, tier: str) -> Root:
    """A directory in which definitions were found before, seen from nowhere."""
    rank = (tools.TIERS.index(tier), 0)
    exists = os.path.isdir(real)  # noqa: PTH112 - any bytes
    return Root(tool, tier, real, real, rank, exists=exists, writable=False, why="it had definitions")


def _from_store(home: Home) -> Index:
    """What lies where by what is recorded.

    Raises:
        DefinitionsBusy: what is recorded is not folded yet, because another process is at it.
    """
    out = Index()
    if not home.has_records():
        return out
    report = home.catch_up([])
    if not report.done:
        raise DefinitionsBusy(
            "another process is importing, and what is recorded of definitions has to be read first",
            hint="run the same command again",
        )
    db = home.reader()
    try:
        every = definitions.every(db)
    finally:
        db.close()
    for one in every:
        raw = _raw(one.path, one.path_bytes)
        if one.path_before is not None:
            before = next((path for path in out.known if _is(path, one.path_before)), None)
            if before is not None:
                del out.known[before]
                out.gone[before] = one.id
        if one.sha256 is None:
            out.known.pop(raw, None)
            out.gone[raw] = one.id
            continue
        out.gone.pop(raw, None)
        out.known[raw] = _known(one)
        had = out.had.setdefault(f"{one.tool}:{one.name}", [])
        if (digest := bytes.fromhex(one.sha256)) not in had:
            had.append(digest)
        out.roots.setdefault(os.fsencode(one.root or ""), (one.tool, one.tier or tools.PROJECT))
    return out


def _known(one: Revision) -> Known:
    assert one.sha256 is not None
    tier, root = one.tier or tools.PROJECT, one.root or ""
    return Known(one.tool, one.name, tier, root, one.sha256, one.size_bytes or 0, one.id)


def _raw(path: str, path_bytes: str | None) -> bytes:
    return bytes.fromhex(path_bytes) if path_bytes else os.fsencode(path)


def _is(raw: bytes, path: str) -> bool:
    return printable_path(os.fsdecode(raw)) == path
