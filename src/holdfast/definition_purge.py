"""Remove old contents of definitions for good. That they were there stays recorded, and each revision says that its content was removed.

Kept is what lies somewhere now, what a snapshot or a conflict that waits for a decision names, what lay somewhere within the time given, and what no revision names: that belongs to something that is
not decided yet. That they are about to go is recorded first, so that a kill leaves more than is said, never less.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast import clock, defining
from holdfast.errors import DefinitionsBusy, StoreError
from holdfast.failpoints import failpoint
from holdfast.journal import blobs
from holdfast.store import definitions

if TYPE_CHECKING:
    import apsw

    from holdfast.definitions.ledger import Held, Texts
    from holdfast.home import Home

_AT_ONCE = 1_000  # contents in one record


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes and what stays.

    Attributes:
        before_us: what goes lay nowhere since then.
        going: sizes in bytes by SHA-256.
        kept: how many contents stay, and `kept_bytes` of what size.
    """

    before_us: int
    going: dict[str, int]
    kept: int
    kept_bytes: int

    @property
    def size_bytes(self) -> int:
        return sum(self.going.values())


def purge(home: Home, older_than_days: int, *, dry_run: bool) -> Plan:
    """Remove contents that lay nowhere for so many days; what went, or would go.

    Args:
        home: whose; everything recorded has to be folded.
        older_than_days: at least 0.
        dry_run: remove nothing.

    Raises:
        DefinitionsBusy: another process looks at definitions or writes one, or not all that is recorded is folded.
        StoreError, AppendFailed: the system refused; what is left goes with the next run.
    """
    with defining.ledger_of(home).held() as held:
        if not home.catch_up([]).done:
            raise DefinitionsBusy(
                "another process is importing, and what is recorded of definitions has to be read first",
                hint="run the same command again",
            )
        with contextlib.closing(home.reader()) as db:
            planned = _plan(held, db, home.now_us() - older_than_days * clock.DAY_US)
        if not dry_run:
            _remove(home, held.texts, planned, older_than_days)
    return planned


def _plan(held: Held, db: apsw.Connection, before_us: int) -> Plan:
    rows = definitions.every(db)
    by_id = {one.id: one for one in rows}
    stays = {known.sha256 for known in held.index.known.values()}
    stays |= {one.sha256 for one in definitions.current(rows).values() if one.sha256}
    for one in definitions.snapshots(db):
        stays |= {row.sha256 for each in one.data["revisions"] if (row := by_id.get(each)) and row.sha256}
    for waiting in definitions.conflicts(db):
        stays |= {sha256 for sha256 in (waiting.base, waiting.ours, waiting.theirs) if sha256}
    last_us: dict[str, int] = {}
    for row in rows:  # it lay there until then
        for sha256 in (row.sha256, row.before_sha256):
            if sha256 is not None:
                last_us[sha256] = max(last_us.get(sha256, 0), row.time_us)
    sizes = blobs.sizes(held.texts.directory)
    going = {
        sha256: size
        for sha256, size in sorted(sizes.items())
        if sha256 not in stays and sha256 in last_us and last_us[sha256] < before_us
    }
    kept_bytes = sum(sizes.values()) - sum(going.values())
    return Plan(before_us, going, len(sizes) - len(going), kept_bytes)


def _remove(home: Home, texts: Texts, planned: Plan, older_than_days: int) -> None:
    names = list(planned.going)
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        fields = {
            "hashes": some,
            "older_than_days": older_than_days,
            "size_bytes": sum(planned.going[name] for name in some),
        }
        body = {"kind": "definition.purged", "time": home.now_us(), "fields": fields}
        defining.append(home, body, durable=True)
        failpoint("definition.purging")
        try:
            for name in some:
                (texts.directory / name).unlink(missing_ok=True)
            blobs.sync_directory(texts.directory)
        except OSError as exc:
            raise StoreError(
                f"{texts.directory}: {exc.strerror}", hint="repair access, then run the same command again"
            ) from exc
