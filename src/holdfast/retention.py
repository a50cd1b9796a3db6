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
from holdfast.journal import blobs, reader, sealed, sealing, segments, verify
from holdfast.store import database
from holdfast.store.retire import WHY, Candidate, Retirement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.home import Home

_WAIT_MS = 5_000
_VERIFY_HINT = "`holdfast journal verify` lists what is wrong; nothing was retired"


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
    """What retiring did: segments, and bytes on disk of them before and after, and of blobs that nothing names any more."""

    segments: list[int]
    stored_before: int
    stored_after: int
    blob_bytes: int


def plan(home: Home, keep_days: int) -> Plan:
    """Look at every sealed segment; changes nothing.

    Raises:
        SealFailed: a segment cannot be read.
    """
    return _look(home, home.now_us() - keep_days * clock.DAY_US)


def _look(home: Home, before_us: int) -> Plan:
    try:
        return _plan(home, before_us)
    except OSError as exc:
        raise SealFailed(home.journal, exc.strerror or str(exc)) from exc


def _plan(home: Home, before_us: int) -> Plan:
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
    head_chars = home.settings.head_size_chars
    text_chars = max(head_chars, home.settings.search_size_chars)
    return Retirement(home.journal, home.blobs, translators(), head_chars, text_chars, paths)


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
            return _retire(home, _still(home, planned), report)
        except (apsw.Error, OSError) as exc:
            place = exc.filename if isinstance(exc, OSError) and exc.filename else home.path
            hint = "what was retired stays so; the next command folds the store again"
            raise StoreError(f"{place}: {getattr(exc, 'strerror', None) or exc}", hint=hint) from exc


def _verify(home: Home) -> None:
    sealing.finish_rewriting(home.journal)
    bad = verify.verify(home.journal, home.blobs).findings
    if bad:
        raise RetireRefused(f"{bad[0].path}: {bad[0].what}", hint=_VERIFY_HINT)


def _still(home: Home, planned: Plan) -> Plan:
    """The plan as it stands now that nobody else imports: a session may have gone on since it was made."""
    wanted = {candidate.segment for candidate in planned.going}
    now = _look(home, planned.before_us)
    return Plan(planned.before_us, [c for c in now.candidates if c.segment in wanted], now.journal_bytes)


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
    removed = _remove_blobs(home)
    if (folded := home.upkeep().open()) is not None:
        folded.close()
    return Done([c.segment for c in planned.going], before, after, removed)


class _Names:
    """The SHA-256 of every blob that records name, also records of a newer format and damaged ones: looked for in the raw bytes."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._read_bytes: dict[int, int] = {}

    def more(self) -> set[str]:
        """What is named in what was not read yet; a name may stand across the place where reading ended."""
        found: set[str] = set()
        for number in segments.numbers(self._journal):
            start = max(0, self._read_bytes.get(number, 0) - verify.OVERLAP_BYTES)
            if 0 < reader.size(self._journal, number) <= self._read_bytes.get(number, 0):
                continue
            rest, at = b"", start
            for piece in reader.pieces(self._journal, number, start):
                if isinstance(piece, sealed.Hole):
                    raise RetireRefused(f"segment {number} cannot be read", hint=_VERIFY_HINT)
                found.update(name.decode() for name, _ in verify.NAMED_BLOB.findall(rest + piece))
                rest, at = (rest + piece)[-verify.OVERLAP_BYTES :], at + len(piece)
            self._read_bytes[number] = at
        return found


def _remove_blobs(home: Home) -> int:
    """Remove what no record names any more, also what an earlier run that was killed left."""
    blobs.restore_aside(home.blobs)
    names = _Names(home.journal)
    wanted = blobs.unnamed(home.blobs, names.more())
    failpoint("retire.removing")
    return blobs.remove(home.blobs, wanted, names.more)
