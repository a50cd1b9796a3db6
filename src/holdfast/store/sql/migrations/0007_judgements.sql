-- What persons said of work that was cut.

CREATE TABLE IF NOT EXISTS judgement (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    why TEXT,
    PRIMARY KEY (session_id, agent)
) WITHOUT ROWID;
