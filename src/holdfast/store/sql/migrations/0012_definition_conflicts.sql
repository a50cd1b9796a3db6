-- Definitions that were not written because somebody else had. Nothing recorded before tells of any.

CREATE TABLE IF NOT EXISTS definition_conflict (
    id TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    operation TEXT NOT NULL,
    tool TEXT NOT NULL,
    name TEXT NOT NULL,
    tier TEXT,
    path TEXT NOT NULL,
    path_bytes TEXT,
    root TEXT,
    base TEXT,
    ours TEXT,
    theirs TEXT,
    author TEXT,
    author_grade TEXT,
    reason TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS definition_resolution (
    conflict TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    choice TEXT NOT NULL,
    sha256 TEXT,
    author TEXT,
    author_grade TEXT,
    reason TEXT
) WITHOUT ROWID;
