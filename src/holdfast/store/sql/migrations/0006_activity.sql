-- Who is at work, and what tools tell meanwhile. What was recorded before is folded again.

-- ── Who is at work ──
-- Processes that a tool listed as its own, what it said of each last. `start_ticks` is -1 where it is not told. `position` orders what
-- was said of one: by the moment its status began, then by when it was recorded.

CREATE TABLE IF NOT EXISTS process (
    session_id INTEGER NOT NULL,
    host TEXT NOT NULL,
    boot TEXT NOT NULL,
    namespace TEXT NOT NULL,
    pid INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    began_us INTEGER,
    status TEXT,
    waiting_for TEXT,
    since_us INTEGER NOT NULL,
    seen_us INTEGER NOT NULL,
    PRIMARY KEY (session_id, host, boot, namespace, pid, start_ticks)
) WITHOUT ROWID;

-- What an agent's tool told last of each kind (`events.run.ActivityNoted`). `position` orders them among each other: it is the moment of
-- recording, at or after the moment it is about.
CREATE TABLE IF NOT EXISTS sign (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    sign TEXT NOT NULL,
    position INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (session_id, agent, sign)
) WITHOUT ROWID;

-- Turns and tool calls as hooks told of them. Positions are moments of recording, at or after those they are about.
CREATE TABLE IF NOT EXISTS told_span (
    session_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    name TEXT,
    input TEXT,
    path TEXT,
    operation TEXT,
    position INTEGER NOT NULL,
    end_position INTEGER,
    status TEXT,
    output TEXT,
    error_type TEXT,
    exit_code INTEGER,
    duration_ms INTEGER,
    lines_added INTEGER,
    lines_removed INTEGER,
    shown_position INTEGER,
    shown TEXT,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS told_span_agent ON told_span (session_id, agent);

-- What is shown of it: that of agents without a transcript. A call that was shown to the model but never reported had been denied.
DROP VIEW IF EXISTS told_work;
CREATE VIEW told_work AS
SELECT t.id, t.session_id, t.kind, t.agent, t.name, NULL AS parent, t.position,
    coalesce(t.end_position, t.shown_position) AS end_position, t.position AS start_us,
    coalesce(t.end_position, t.shown_position) AS end_us,
    coalesce(t.status, CASE WHEN t.shown_position IS NOT NULL THEN 'cancelled' END) AS status, t.input,
    coalesce(t.shown, t.output) AS output, t.path, t.operation,
    coalesce(t.error_type, CASE WHEN t.status IS NULL AND t.shown_position IS NOT NULL THEN 'denied' END) AS error_type,
    t.exit_code, t.duration_ms, t.lines_added, t.lines_removed, 0 AS inherited,
    CASE WHEN t.status IS NULL THEN 'inferred' ELSE 'observed' END AS grade
FROM told_span AS t
WHERE NOT EXISTS (SELECT 1 FROM span AS s WHERE s.session_id = t.session_id AND s.agent = t.agent)
    AND NOT EXISTS (SELECT 1 FROM llm AS l WHERE l.session_id = t.session_id AND l.agent = t.agent);

DROP VIEW IF EXISTS shown_span;
CREATE VIEW shown_span AS
SELECT id, session_id, kind, agent, name, parent, position, end_position, start_us, end_us, status, input, output, path, operation,
    error_type, exit_code, duration_ms, lines_added, lines_removed, inherited, 'observed' AS grade
FROM span
UNION ALL SELECT * FROM told_work;

-- What each source told of a session: from which file (empty: a source without), how much of it, and when. Times of what was told are
-- null where it says none; `recorded_from` and `recorded_to` are moments of recording.
CREATE TABLE IF NOT EXISTS session_source (
    session_id INTEGER NOT NULL,
    source TEXT NOT NULL,
    file TEXT NOT NULL,
    records INTEGER NOT NULL,
    repeated INTEGER NOT NULL,
    events INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    first_us INTEGER,
    last_us INTEGER,
    recorded_from INTEGER NOT NULL,
    recorded_to INTEGER NOT NULL,
    PRIMARY KEY (session_id, source, file)
) WITHOUT ROWID;
