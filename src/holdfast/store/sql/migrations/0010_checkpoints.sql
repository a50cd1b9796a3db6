-- Checkpoints of workspaces. Nothing recorded before tells of any.

CREATE TABLE IF NOT EXISTS checkpoint (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    attempt TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    repository TEXT NOT NULL,
    commit_id TEXT,
    trigger_name TEXT,
    note TEXT,
    files INTEGER,
    size_bytes INTEGER
) WITHOUT ROWID;
