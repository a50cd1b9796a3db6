"""What the reading commands share: catch up first, then ask the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast import clock
from holdfast.catch_up import ImportReport
from holdfast.cli import terminal
from holdfast.errors import JournalError, StoreError
from holdfast.store import database

if TYPE_CHECKING:
    import apsw

    from holdfast.cli.app import Context
    from holdfast.home import Home


def ready(context: Context) -> apsw.Connection:
    """The store, caught up with every source as far as it may be."""
    home = context.home
    catch_up(home)
    return home.reader()


def catch_up(home: Home, *, limit_s: float | None = None) -> ImportReport:
    """Record what is new, with a progress line; says so when another process is at it."""
    line = terminal.ProgressLine("importing")
    try:
        report = home.catch_up(report=line.show, limit_s=limit_s)
    except (JournalError, StoreError, OSError) as exc:
        terminal.note(f"note: what is new could not be recorded, this answer may lack it: {exc}")
        return ImportReport(done=False)
    finally:
        line.done()
    if report.busy:
        terminal.note(f"note: another process is importing; {_standing(home)}")
    for path, why in report.unreadable[:5]:
        terminal.note(f"note: {path}: {why}")
    if len(report.unreadable) > 5:
        terminal.note(
            f"note: and {len(report.unreadable) - 5} more that cannot be read; `holdfast doctor` lists them"
        )
    return report


def _standing(home: Home) -> str:
    """How old an answer is that could not be caught up, and how much it lacks."""
    db = home.reader()
    folded_us = database.folded_us(db)
    age = (
        "nothing is folded yet"
        if folded_us is None
        else f"this answer is {terminal.age(folded_us, clock.now_us())} old"
    )
    behind = database.backlog_bytes(db, home.journal)
    return f"{age}, {terminal.size(behind)} of the journal are not in it, and what that process has not reached yet"
