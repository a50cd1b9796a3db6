"""Holdfast as another version: with other steps to its tables, or another projection.

    python -m tests.store.version JOB ARGUMENTS…          `holdfast ARGUMENTS` as that version
    python -m tests.store.version JOB --hold HOME         hold the writer's lock of a home until standard input ends

JOB is JSON: {"sql": directory, "projection": n, "holdfast": "9.9.9"}; what is absent is as it is. A holder may also say
{"doing": "fold", "done_bytes": n, "total_bytes": n}.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from holdfast.cli.app import main
from holdfast.store import database, schema

# What a later version might add: a table, a column, an index, a trigger that is there already and changes.
STEPS = {
    "_more.sql": """
CREATE TABLE extra (id TEXT PRIMARY KEY, note TEXT NOT NULL DEFAULT 'a;b') WITHOUT ROWID;  -- a ; in a comment
ALTER TABLE extra ADD COLUMN measured_bytes INTEGER;
CREATE INDEX extra_size ON extra (measured_bytes) WHERE measured_bytes > 0;
""",
    "_changed.sql": """
DROP TRIGGER IF EXISTS span_shared;
CREATE TRIGGER span_shared AFTER INSERT ON span
    WHEN EXISTS (SELECT 1 FROM span WHERE id = NEW.id AND session_id <> NEW.session_id)
BEGIN
    INSERT INTO kin (low, high)
    SELECT min(session_id, NEW.session_id), max(session_id, NEW.session_id) FROM span
    WHERE id = NEW.id AND session_id <> NEW.session_id
    ON CONFLICT DO UPDATE SET settled = 0 WHERE settled;
END;
ALTER TABLE extra ADD COLUMN further TEXT;
CREATE VIEW extra_seen AS SELECT id, note FROM extra;
""",
}
OPTIONAL = "-- questions do without this step\n"
TRIGGER = "CREATE TRIGGER span_shared"
MADE = r"(?:CREATE (?:VIRTUAL )?(?:TABLE|VIEW) (?:IF NOT EXISTS )?|ADD COLUMN )(\w+)"  # what a question could read


def later(directory: Path, *, optional: bool = True) -> Path:
    """Today's schema and steps with two more; `optional`: questions of that version do without them."""
    shutil.copytree(Path(str(schema.ours()._directory)), directory)
    latest = schema.ours().version
    today = (directory / "schema.sql").read_text()
    before, _, rest = today.partition(TRIGGER)
    today = before + rest.partition("END;\n")[2]  # the changed trigger comes with its step
    for number, (name, sql) in enumerate(STEPS.items(), latest + 1):
        text = (OPTIONAL if optional else "") + sql
        (directory / "migrations" / f"{number:04d}{name}").write_text(text)
        today += sql.replace("DROP TRIGGER IF EXISTS span_shared;", "")
    (directory / "schema.sql").write_text(today)
    return directory


def become(job: dict[str, object]) -> None:
    """Make this process that version."""
    if "sql" in job:
        database.SCHEMA = schema.Schema(Path(str(job["sql"])))
        database.SCHEMA_VERSION = database.SCHEMA.version
    database.PROJECTION_VERSION = job.get("projection", database.PROJECTION_VERSION)
    database.__version__ = job.get("holdfast", database.__version__)


def hold(home: Path, job: dict[str, object]) -> None:
    with database.writer_lock(home) as mine:
        if "doing" in job:
            database.tell(home, job["doing"], job["done_bytes"], job["total_bytes"])
        print(mine, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    become(asked)
    if sys.argv[2:3] == ["--hold"]:
        hold(Path(sys.argv[3]), asked)
    else:
        main(sys.argv[2:])
