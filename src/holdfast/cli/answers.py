"""What the reading commands share: catch up first, then ask the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast import background, clock
from holdfast.catch_up import ImportReport
from holdfast.cli import terminal
from holdfast.errors import JournalError, RuleError, StoreBusy, StoreError, StoreFromFuture
from holdfast.release import __version__
from holdfast.store import database, lock

if TYPE_CHECKING:
    import apsw

    from holdfast.cli.app import Context
    from holdfast.home import Home


def ready(context: Context) -> apsw.Connection:
    """The store, caught up with every source as far as it may be."""
    home = context.home
    catch_up(home)
    return home.reader()


def catch_up(home: Home, *, limit_s: float | None = None, sources: bool = True) -> ImportReport:
    """Record what is new, with a progress line; says so when that has to wait.

    Args:
        home: where it is recorded.
        limit_s: stop after about this long.
        sources: look into source files; else only what is recorded already is folded.

    Raises:
        StoreFromFuture: a newer Holdfast made the store.
    """
    line = terminal.ProgressLine("importing")
    try:
        report = home.catch_up(None if sources else [], report=line.show, limit_s=limit_s, defer=True)
    except StoreFromFuture:
        raise
    except (JournalError, RuleError, StoreError, OSError) as exc:
        terminal.note(f"note: what is new could not be recorded, this answer may lack it: {exc}")
        return ImportReport(done=False)
    finally:
        line.done()
    if report.busy:
        terminal.note(f"note: {_why_old(home, report)}")
    for path, why in report.unreadable[:5]:
        terminal.note(f"note: {path}: {why}")
    if len(report.unreadable) > 5:
        terminal.note(
            f"note: and {len(report.unreadable) - 5} more that cannot be read; `holdfast doctor` lists them"
        )
    return report


def busy(home: Home) -> StoreBusy:
    """What a command says that needs the writer's lock itself."""
    holder = lock.holder(home.path)
    far = "" if holder is None or holder.percent is None else f" ({holder.percent} %)"
    folding = holder is not None and holder.doing == "fold"
    what = f"is folding the store of this home again{far}" if folding else "is importing into this home"
    return StoreBusy(f"{_named(holder)} {what}", hint="wait for it, then run this again")


def _why_old(home: Home, report: ImportReport) -> str:
    """Why this answer could not be caught up, how old it is, and what to do where something is to be done."""
    holder = lock.holder(home.path)
    db = home.reader()
    try:
        age, behind = _age(db), terminal.size(database.backlog_bytes(db, home.journal))
        outdated = database.is_outdated(db)
    finally:
        db.close()
    lacks = f"{behind} of the journal are not in it, and what that process has not reached yet"
    if report.deferred or (holder is not None and holder.doing == "fold"):
        return f"{age}: {_folding(home, holder)}. {behind} of the journal are not in it; {_MEANWHILE}"
    if outdated and (holder is None or database.is_older(holder)):
        return (
            f"{age}; {lacks}. {_named(holder)} keeps the store for an older Holdfast: stop it and start it again with "
            f"this version ({__version__})"
        )
    return f"{_named(holder)} is importing; {age}, {lacks}"


_MEANWHILE = "programs go on recording, transcripts are read when that is done"


def _folding(home: Home, holder: lock.Holder | None) -> str:
    """How far folding the store again is, or why it is not being done."""
    if holder is not None or background.is_running(home.path):
        far = "" if holder is None or holder.percent is None else f", {holder.percent} %"
        return f"the store is being folded again for this version{far} ({_named(holder)})"
    said = background.last_words(home.path)
    what = f"the store must be folded again for this version, and the last try ended with {said or 'nothing said'!r}"
    return f"{what}; `holdfast rebuild` does it while you wait"


def _named(holder: lock.Holder | None) -> str:
    return "another process" if holder is None else str(holder)


def _age(db: apsw.Connection) -> str:
    folded_us = database.folded_us(db)
    if folded_us is None:
        return "nothing is folded yet"
    return f"this answer is {terminal.age(folded_us, clock.now_us())} old"
