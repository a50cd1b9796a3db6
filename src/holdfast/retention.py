"""Retire old history: what will go, and doing it. Nothing is retired without a person's word.

See `store/retire.py` for what stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

from holdfast import clock
from holdfast.errors import RetireRefused, SealFailed, StoreBusy, StoreError
from holdfast.failpoints import failpoint
from holdfast.home import translators
from holdfast.journal import blobs, reader, sealing, segments, verify
from holdfast.store import database
from holdfast.store.retire import WHY, Candidate, Retirement

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.home import Home

_WAIT_MS = 5_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be retired and what not.

    Attributes:
        before_us: everything retired was received earlier.
        candidates: every sealed segment, but one whose sealing was cut.
        journal_bytes: plain size of the whole journal.
    """

    before_us: int
    candidates: list[Candidate]
    journal_bytes: int

    @property
    def going(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.kept_because is None]

    @property
    def share(self) -> float:
        """Which part of the journal will be retired."""
        return sum(c.size for c in self.going) / self.journal_bytes if self.journal_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """What retiring did: segments, and bytes on disk before and after, blobs included (None: none could be removed now)."""

    segments: list[int]
    stored_before: int
    stored_after: int
    blob_bytes: int | None


def plan(home: Home, keep_days: int) -> Plan:
    """Look at every sealed segment; changes nothing.

    Raises:
        SealFailed: a segment cannot be read.
    """
    try:
        return _plan(home, keep_days)
    except OSError as exc:
        raise SealFailed(home.journal, exc.strerror or str(exc)) from exc


def _plan(home: Home, keep_days: int) -> Plan:
    before_us = home.now_us() - keep_days * clock.DAY_US
    db = home.reader()
    active = frozenset(
        key for (key,) in db.execute("SELECT key FROM session WHERE last_us >= ?", (before_us,))
    )
    retirement = _retirement(home, db)
    found = []
    unfinished = set(segments.plain_numbers(home.journal))  # its seal is beside it, and does not count yet
    for number in segments.sealed_numbers(home.journal):
        if number in unfinished:
            continue
        path = segments.sealed_path(home.journal, number)
        try:
            found.append(retirement.look(number, before_us, active))
        except OSError as exc:
            raise SealFailed(path, exc.strerror or str(exc)) from exc
    size = sum(reader.size(home.journal, number) for number in segments.numbers(home.journal))
    return Plan(before_us, found, size)


def _retirement(home: Home, db: apsw.Connection) -> Retirement:
    files: list[Any] = db.execute("SELECT id, path FROM source_file").fetchall()
    paths: dict[str, str | None] = dict(files)
    return Retirement(home.journal, home.blobs, translators(), home.settings.head_size_chars, paths)


def carry_out(
    home: Home, planned: Plan, most_share: float, report: Callable[[int], None] = lambda _: None
) -> Done:
    """Retire what was planned, and fold the store again from what is left.

    Killed at any moment it leaves each segment as it was or retired; the next command folds the store again.

    Args:
        home: the home.
        planned: from `plan`.
        most_share: refuse to retire more than this part of the journal at once.
        report: called with the number of plain bytes dealt with.

    Raises:
        StoreBusy: another process holds the writer's lock.
        RetireRefused: it would be more than `most_share`, or sealed history is not what was sealed.
        SealFailed: the disk refused; what was retired until then stays retired.
    """
    if planned.share > most_share:
        hint = "if that is what you want, say so with --most; a clock that is wrong looks like this too"
        raise RetireRefused(f"{planned.share:.0%} of the journal would be retired at once", hint=hint)
    with database.writer_lock(home.path, wait_ms=_WAIT_MS) as mine:
        if not mine:
            raise StoreBusy("another process is importing", hint="wait for it, then run this again")
        try:
            _verify(home)
            return _retire(home, planned, report)
        except (apsw.Error, OSError) as exc:
            place = exc.filename if isinstance(exc, OSError) and exc.filename else home.path
            hint = "what was retired stays so; the next command folds the store again"
            raise StoreError(f"{place}: {getattr(exc, 'strerror', None) or exc}", hint=hint) from exc


def _verify(home: Home) -> None:
    sealing.finish_rewriting(home.journal)
    bad = verify.verify(home.journal, home.blobs).findings
    if bad:
        hint = "`holdfast journal verify` lists what is wrong; nothing was retired"
        raise RetireRefused(f"{bad[0].path}: {bad[0].what}", hint=hint)


def _retire(home: Home, planned: Plan, report: Callable[[int], None]) -> Done:
    before = after = done_bytes = 0
    db = home.upkeep().open()
    assert db is not None, "nothing was deferred"
    database.fold_again(db)  # from here on the rows are older than the journal they came from
    retirement = _retirement(home, db)
    for candidate in planned.going:
        number = candidate.segment
        made = sealing.rewrite(home.journal, number, home.host_id, retirement.lines(number), WHY)
        failpoint("retire.rewritten")
        database.moved(db, number, made.size)
        before += candidate.stored_size
        after += segments.sealed_path(home.journal, number).stat().st_size
        done_bytes += candidate.size
        report(done_bytes)
    db.close()
    removed = blobs.remove_unnamed(home.blobs, lambda: _named_blobs(home))
    if (folded := home.upkeep().open()) is not None:
        folded.close()
    return Done([c.segment for c in planned.going], before, after, removed)


def _named_blobs(home: Home) -> set[str]:
    """The SHA-256 of every blob that a record names."""
    return {
        item.record.f.sha256
        for item in reader.read(home.journal)
        if isinstance(item, reader.Found) and item.record.f is not None
    }
