"""Retire old history: what will go, and doing it. Nothing is retired without a person's word.

See `store/retire.py` for what stays.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast import clock, rewriting
from holdfast.errors import RetireRefused, SealFailed
from holdfast.home import translators
from holdfast.journal import reader, segments
from holdfast.store.retire import WHY, Candidate, Retirement

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from holdfast.home import Home

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
    with rewriting.alone(home, "what was retired stays so; the next command folds the store again"):
        if (bad := rewriting.first_fault(home)) is not None:
            raise RetireRefused(f"{bad.path}: {bad.what}", hint=_VERIFY_HINT)
        return _retire(home, _still(home, planned), report)


def _still(home: Home, planned: Plan) -> Plan:
    """The plan as it stands now that nobody else imports: a session may have gone on since it was made."""
    wanted = {candidate.segment for candidate in planned.going}
    now = _look(home, planned.before_us)
    return Plan(planned.before_us, [c for c in now.candidates if c.segment in wanted], now.journal_bytes)


def _retire(home: Home, planned: Plan, report: Callable[[int], None]) -> Done:
    with contextlib.closing(home.reader()) as db:
        retirement = _retirement(home, db)
    numbers = [candidate.segment for candidate in planned.going]
    made = rewriting.anew(home, numbers, retirement.lines, WHY, report)
    return Done(numbers, made.stored_before, made.stored_after, made.blob_bytes)
