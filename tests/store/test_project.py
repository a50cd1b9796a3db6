"""The projection: what it does with what translators hand it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast import events as ev
from holdfast.journal.writer import Writer
from holdfast.store import database
from holdfast.store.project import Entry, Projector, Translation

if TYPE_CHECKING:
    from pathlib import Path


def test_a_number_that_no_column_holds_is_unknown_and_nothing_else_is_lost(tmp_path: Path):
    (tmp_path / "journal").mkdir()
    writer = Writer(tmp_path / "journal", tmp_path / "blobs", "host", fsync_interval_s=0)
    for code in (1, 2**70, 3):
        writer.append("test", b"%d" % code)
    writer.close()

    def translate(entry: Entry) -> Translation:
        ended = ev.ToolEnded(status="failed", exit_code=int(entry.body), output=entry.body.decode())
        event = ev.Event(id=entry.record_id, kind="tool.ended", session="test:s", time_us=1, data=ended)
        return Translation(events=[event], kept=["seen"])

    db = database.create(tmp_path / "store.db")
    projector = Projector(db, tmp_path / "journal", tmp_path / "blobs", {"test": translate}, 300)
    assert projector.catch_up().records == 4, "three, and the segment's header"
    assert db.execute("SELECT exit_code, output FROM span ORDER BY position").fetchall() == [
        (1, "1"),
        (None, str(2**70)),
        (3, "3"),
    ]
    assert db.execute("SELECT records FROM kept").get == 3
    db.close()
