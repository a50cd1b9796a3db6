"""Snapshots: all definitions that lie in the directories that count somewhere, by one id."""

from __future__ import annotations

import contextlib
import getpass
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import clock, defining
from holdfast.definitions import looking, roots
from holdfast.errors import AmbiguousId, NotFound
from holdfast.store import definitions
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from holdfast.definitions.ledger import Known
    from holdfast.home import Home
    from holdfast.store.definitions import Revision

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All definitions as they lay at a moment.

    Attributes:
        cwd: the directory that they were seen from, as text.
        revisions: ids of the events that say what each file had.
        unreadable: how much could not be looked at; that is not in it.
        host: the other home in which it was taken; None: this one.
    """

    id: str
    at_us: int
    cwd: str
    message: str | None
    revisions: tuple[str, ...]
    size_bytes: int | None
    unreadable: int
    author: str | None
    host: str | None = None


def take(home: Home, directory: str, message: str | None) -> Snapshot:
    """Take a snapshot of the definitions that count in a directory, of every tool and tier, those that are hidden too.

    Args:
        home: where it is recorded.
        directory: an absolute path.
        message: what it is for.

    Raises:
        NotFound: no definition lies there.
        DefinitionsBusy, StoreError, AppendFailed: as for `defining.look`.
    """
    now_us = home.now_us()
    there = roots.find(home.settings, directory, str(Path.home()), clock.date_in(now_us, UTC))
    with defining.ledger_of(home).held() as held:
        looked = looking.look(held, there.found, now_us)
        real = {printable_path(root.real) for root in there.found}
        lying = {
            path: known
            for path, known in held.index.known.items()
            if known.root in real and path in looked.lying
        }
        if not lying:
            raise NotFound(
                f"no definition lies in a directory that counts in {printable_path(directory)}",
                hint="`holdfast definitions` says which do; name another directory with --cwd",
            )
        held.texts.force({known.sha256 for known in lying.values()})
        unreadable = len({*there.unreadable, *looked.unreadable})
        return _record(home, directory, message, lying, unreadable, now_us)


def _record(
    home: Home,
    directory: str,
    message: str | None,
    lying: dict[bytes, Known],
    unreadable: int,
    now_us: int,
) -> Snapshot:
    revisions = tuple(known.revision for _, known in sorted(lying.items()))
    size_bytes = sum(known.size_bytes for known in lying.values())
    fields: Json = {
        "cwd": printable_path(directory),
        "revisions": list(revisions),
        "message": message,
        "size_bytes": size_bytes,
        "unreadable": unreadable,
        "author": _user(),
    }
    body = {
        "kind": "definition.snapshot",
        "time": now_us,
        "fields": {name: value for name, value in fields.items() if value is not None},
    }
    made = defining.append(home, body, durable=True)
    return Snapshot(made, now_us, fields["cwd"], message, revisions, size_bytes, unreadable, fields["author"])


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None


def every(home: Home) -> list[Snapshot]:
    """Every snapshot, the oldest first; of every home."""
    with contextlib.closing(home.reader()) as db:
        return [_read(one) for one in definitions.snapshots(db)]


def _read(one: definitions.Told) -> Snapshot:
    data = one.data
    return Snapshot(
        one.id, one.time_us, data["cwd"], data.get("message"), tuple(data["revisions"]),
        data.get("size_bytes"), data.get("unreadable", 0), data.get("author"), one.host,
    )  # fmt: skip


def find(home: Home, begins: str) -> Snapshot:
    """The snapshot whose id begins so; `last` is the last one of this home.

    Raises:
        NotFound, AmbiguousId: there is none, or there are several.
    """
    there = every(home)
    ours = [one for one in there if one.host is None]
    if begins == "last" and ours:
        return ours[-1]
    found = [one for one in there if one.id.startswith(begins.lower())]
    if not found or not begins:
        raise NotFound(
            f"no snapshot's id begins with {begins[:80]!r}",
            hint="`holdfast definitions snapshots` lists them",
        )
    if len(found) > 1:
        raise AmbiguousId(begins, [one.id for one in found], what="snapshots")
    return found[0]


def rows(home: Home, one: Snapshot) -> tuple[list[Revision], list[Revision]]:
    """What each file had, by path, and every revision of this home.

    Raises:
        NotFound: the store does not know all of them (yet).
    """
    with contextlib.closing(home.reader()) as db:
        chosen = definitions.of_ids(db, one.revisions)
        all_rows = definitions.every(db)
    if len(chosen) < len(set(one.revisions)):
        raise NotFound(
            f"{len(set(one.revisions)) - len(chosen)} revisions of this snapshot are not in the store",
            hint="`holdfast doctor` says whether the store is behind or the journal damaged",
        )
    return sorted(chosen, key=lambda each: each.path), all_rows


def since(chosen: list[Revision], all_rows: list[Revision]) -> list[str]:
    """Files that lie now in the directories of a snapshot, and were not there then; of another home's, that is not known."""
    roots_then = {one.root for one in chosen if one.host is None}
    were = {one.path for one in chosen}
    now = definitions.current(all_rows)
    return sorted(path for path, one in now.items() if one.root in roots_then and path not in were)
