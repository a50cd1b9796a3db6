-- Revisions of definitions. Nothing recorded before tells of any.

CREATE TABLE IF NOT EXISTS definition_revision (
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
    sha256 TEXT,
    before_sha256 TEXT,
    previous TEXT,
    path_before TEXT,
    name_before TEXT,
    size_bytes INTEGER,
    changed_us INTEGER,
    validity TEXT,
    score INTEGER,
    batch TEXT,
    own INTEGER NOT NULL,
    author TEXT,
    author_grade TEXT,
    reason TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS definition_revision_name ON definition_revision (name, tool);
CREATE INDEX IF NOT EXISTS definition_revision_path ON definition_revision (path);
