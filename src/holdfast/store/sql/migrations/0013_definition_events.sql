-- Snapshots of definitions, and contents of them that were removed. Nothing recorded before tells of any.

CREATE TABLE IF NOT EXISTS definition_event (
    id TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
) WITHOUT ROWID;
