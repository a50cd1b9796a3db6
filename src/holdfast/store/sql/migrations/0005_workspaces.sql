-- Where projects were moved to. What was recorded before is folded again, because the projection changed too.

CREATE TABLE IF NOT EXISTS workspace_move (
    id TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    old TEXT NOT NULL,
    new TEXT NOT NULL
) WITHOUT ROWID;
