-- Agents that Holdfast started, and the sessions that they work in.

CREATE TABLE IF NOT EXISTS run (
    agent TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    name TEXT,
    parent TEXT,
    host TEXT,
    boot TEXT,
    pid INTEGER,
    start_ticks INTEGER,
    started_us INTEGER,
    state TEXT,
    exit_code INTEGER,
    signal INTEGER,
    asked TEXT,
    why TEXT,
    ended_us INTEGER,
    segment INTEGER,
    offset_bytes INTEGER,
    PRIMARY KEY (agent, attempt)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_parent ON run (parent) WHERE parent IS NOT NULL;

-- Which sessions a life works in; of a tool that chooses its session itself, that becomes known later.
CREATE TABLE IF NOT EXISTS run_session (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (session_id, agent, attempt)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_session_run ON run_session (agent, attempt);
