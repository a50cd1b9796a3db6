-- Roll-ups that `store/rollups.py` keeps, totals above them, and rows that lie together by session. Questions read all of it.
-- Taken again, it copies the three tables once more.

DROP VIEW IF EXISTS known_agent;
DROP VIEW IF EXISTS shown_span; -- these two are of a later step, where all are taken again
DROP VIEW IF EXISTS told_work;

DROP TABLE IF EXISTS span_by_session;
CREATE TABLE span_by_session (
    id TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    name TEXT,
    parent TEXT,
    position INTEGER NOT NULL,
    end_position INTEGER,
    start_us INTEGER,
    end_us INTEGER,
    status TEXT,
    status_rank INTEGER NOT NULL DEFAULT -1,
    status_us INTEGER NOT NULL DEFAULT -1,
    status_place INTEGER NOT NULL DEFAULT -1,
    input TEXT,
    output TEXT,
    path TEXT,
    operation TEXT,
    error_type TEXT,
    exit_code INTEGER,
    duration_ms INTEGER,
    lines_added INTEGER,
    lines_removed INTEGER,
    inherited INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
INSERT INTO span_by_session SELECT * FROM span;
DROP TABLE span;
ALTER TABLE span_by_session RENAME TO span;
CREATE INDEX span_id ON span (id);
CREATE INDEX span_stream ON span (session_id, agent, kind, position);
CREATE INDEX span_turn ON span (session_id, position) WHERE kind = 'turn';

DROP TABLE IF EXISTS llm_by_session;
CREATE TABLE llm_by_session (
    id TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    position INTEGER NOT NULL,
    end_position INTEGER NOT NULL,
    start_us INTEGER,
    end_us INTEGER,
    model TEXT,
    final INTEGER NOT NULL DEFAULT 0,
    stop_reason TEXT,
    usage_us INTEGER NOT NULL DEFAULT -1,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_5m_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    cost_pico INTEGER,
    inherited INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
INSERT INTO llm_by_session SELECT * FROM llm;
DROP TABLE llm;
ALTER TABLE llm_by_session RENAME TO llm;
CREATE INDEX llm_id ON llm (id);
CREATE INDEX llm_stream ON llm (session_id, agent, position);

DROP TABLE IF EXISTS event_by_session;
CREATE TABLE event_by_session (
    id TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    span TEXT,
    position INTEGER NOT NULL,
    time_us INTEGER,
    data TEXT NOT NULL,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    inherited INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
INSERT INTO event_by_session SELECT * FROM event;
DROP TABLE event;
ALTER TABLE event_by_session RENAME TO event;
CREATE INDEX event_kind ON event (session_id, kind, inherited);
CREATE INDEX event_mark ON event (session_id, agent, position)
    WHERE kind IN ('turn.ended', 'session.cost_reported', 'session.ended');

CREATE VIEW known_agent AS
SELECT * FROM agent WHERE coalesce(first_us, parent_tool, agent_type, name) IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM span
        WHERE span.id = agent.parent_tool AND span.session_id = agent.session_id AND span.inherited);

CREATE INDEX tool_day_day ON tool_day (day);
CREATE INDEX llm_day_day ON llm_day (day);

CREATE TABLE error_day (
    session_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    agent TEXT NOT NULL,
    raised INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session_id, day, agent)
) WITHOUT ROWID;

CREATE TABLE session_day (
    day INTEGER NOT NULL,
    session_id INTEGER NOT NULL,
    PRIMARY KEY (day, session_id)
) WITHOUT ROWID;

CREATE TABLE agent_kind (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    agent_type TEXT NOT NULL,
    known INTEGER NOT NULL,
    uses_tools INTEGER NOT NULL,
    calls_models INTEGER NOT NULL,
    PRIMARY KEY (session_id, agent)
) WITHOUT ROWID;
CREATE INDEX agent_kind_type ON agent_kind (agent_type, known, uses_tools, calls_models);

CREATE TABLE tool_total (
    day INTEGER NOT NULL,
    agent_type TEXT NOT NULL,
    tool TEXT NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    denied INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    open INTEGER NOT NULL DEFAULT 0,
    timed INTEGER NOT NULL DEFAULT 0,
    duration_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, agent_type, tool)
) WITHOUT ROWID;

CREATE TABLE llm_total (
    day INTEGER NOT NULL,
    agent_type TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_5m_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0,
    unreliable INTEGER NOT NULL DEFAULT 0,
    untold INTEGER NOT NULL DEFAULT 0,
    cost_pico INTEGER NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, agent_type, model)
) WITHOUT ROWID;

CREATE TABLE error_total (
    day INTEGER NOT NULL,
    agent_type TEXT NOT NULL,
    raised INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, agent_type)
) WITHOUT ROWID;

CREATE TABLE session_total (
    session_id INTEGER PRIMARY KEY,
    turns INTEGER NOT NULL DEFAULT 0,
    open_spans INTEGER NOT NULL DEFAULT 0,
    errors_raised INTEGER NOT NULL DEFAULT 0,
    agents INTEGER NOT NULL DEFAULT 0,
    silent_agents INTEGER NOT NULL DEFAULT 0,
    tool_calls INTEGER NOT NULL DEFAULT 0,
    tool_failed INTEGER NOT NULL DEFAULT 0,
    tool_denied INTEGER NOT NULL DEFAULT 0,
    tool_interrupted INTEGER NOT NULL DEFAULT 0,
    tool_open INTEGER NOT NULL DEFAULT 0,
    llm_calls INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_5m_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0,
    unreliable INTEGER NOT NULL DEFAULT 0,
    untold INTEGER NOT NULL DEFAULT 0,
    cost_pico INTEGER NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0,
    turn_at INTEGER,
    llm_from INTEGER,
    llm_to INTEGER,
    stop_reason TEXT,
    tool_at INTEGER,
    tool_end_at INTEGER,
    mark_at INTEGER,
    mark TEXT,
    exit_at INTEGER
);

DROP TRIGGER IF EXISTS llm_shared;
CREATE TRIGGER llm_shared AFTER INSERT ON llm
    WHEN EXISTS (SELECT 1 FROM llm WHERE id = NEW.id AND session_id <> NEW.session_id)
BEGIN
    INSERT INTO kin (low, high)
    SELECT min(holder, NEW.session_id), max(holder, NEW.session_id) FROM (
        SELECT min(session_id) AS holder FROM llm WHERE id = NEW.id AND session_id <> NEW.session_id)
    WHERE true ON CONFLICT DO NOTHING;
END;

DROP TRIGGER IF EXISTS span_shared;
CREATE TRIGGER span_shared AFTER INSERT ON span
    WHEN EXISTS (SELECT 1 FROM span WHERE id = NEW.id AND session_id <> NEW.session_id)
BEGIN
    INSERT INTO kin (low, high)
    SELECT min(holder, NEW.session_id), max(holder, NEW.session_id) FROM (
        SELECT min(session_id) AS holder FROM span WHERE id = NEW.id AND session_id <> NEW.session_id)
    WHERE true ON CONFLICT DO NOTHING;
END;

DROP TRIGGER IF EXISTS span_counted;
CREATE TRIGGER span_counted AFTER INSERT ON span
BEGIN
    SELECT holdfast_span(1, NEW.session_id, NEW.kind, NEW.agent, NEW.name, NEW.start_us, NEW.end_us, NEW.status,
        NEW.duration_ms, NEW.inherited);
END;

DROP TRIGGER IF EXISTS span_recounted;
CREATE TRIGGER span_recounted AFTER UPDATE ON span
    WHEN OLD.status IS NOT NEW.status OR OLD.start_us IS NOT NEW.start_us OR OLD.end_us IS NOT NEW.end_us
        OR OLD.inherited IS NOT NEW.inherited OR OLD.name IS NOT NEW.name OR OLD.agent IS NOT NEW.agent
        OR OLD.duration_ms IS NOT NEW.duration_ms OR OLD.kind IS NOT NEW.kind
BEGIN
    SELECT holdfast_span(-1, OLD.session_id, OLD.kind, OLD.agent, OLD.name, OLD.start_us, OLD.end_us, OLD.status,
        OLD.duration_ms, OLD.inherited);
    SELECT holdfast_span(1, NEW.session_id, NEW.kind, NEW.agent, NEW.name, NEW.start_us, NEW.end_us, NEW.status,
        NEW.duration_ms, NEW.inherited);
END;

DROP TRIGGER IF EXISTS llm_counted;
CREATE TRIGGER llm_counted AFTER INSERT ON llm WHEN NOT NEW.inherited
BEGIN
    SELECT holdfast_llm(1, NEW.session_id, NEW.agent, NEW.start_us, NEW.model, NEW.final, NEW.input_tokens,
        NEW.output_tokens, NEW.cache_read_tokens, NEW.cache_write_5m_tokens, NEW.cache_write_1h_tokens, NEW.cost_pico);
END;

DROP TRIGGER IF EXISTS llm_uncounted;
CREATE TRIGGER llm_uncounted AFTER UPDATE ON llm WHEN NOT OLD.inherited
    AND (OLD.inherited IS NOT NEW.inherited OR OLD.start_us IS NOT NEW.start_us OR OLD.model IS NOT NEW.model
        OR OLD.final IS NOT NEW.final OR OLD.input_tokens IS NOT NEW.input_tokens OR OLD.agent IS NOT NEW.agent
        OR OLD.output_tokens IS NOT NEW.output_tokens OR OLD.cache_read_tokens IS NOT NEW.cache_read_tokens
        OR OLD.cache_write_5m_tokens IS NOT NEW.cache_write_5m_tokens
        OR OLD.cache_write_1h_tokens IS NOT NEW.cache_write_1h_tokens OR OLD.cost_pico IS NOT NEW.cost_pico)
BEGIN
    SELECT holdfast_llm(-1, OLD.session_id, OLD.agent, OLD.start_us, OLD.model, OLD.final, OLD.input_tokens,
        OLD.output_tokens, OLD.cache_read_tokens, OLD.cache_write_5m_tokens, OLD.cache_write_1h_tokens, OLD.cost_pico);
END;

DROP TRIGGER IF EXISTS llm_recounted;
CREATE TRIGGER llm_recounted AFTER UPDATE ON llm WHEN NOT NEW.inherited
    AND (OLD.inherited IS NOT NEW.inherited OR OLD.start_us IS NOT NEW.start_us OR OLD.model IS NOT NEW.model
        OR OLD.final IS NOT NEW.final OR OLD.input_tokens IS NOT NEW.input_tokens OR OLD.agent IS NOT NEW.agent
        OR OLD.output_tokens IS NOT NEW.output_tokens OR OLD.cache_read_tokens IS NOT NEW.cache_read_tokens
        OR OLD.cache_write_5m_tokens IS NOT NEW.cache_write_5m_tokens
        OR OLD.cache_write_1h_tokens IS NOT NEW.cache_write_1h_tokens OR OLD.cost_pico IS NOT NEW.cost_pico)
BEGIN
    SELECT holdfast_llm(1, NEW.session_id, NEW.agent, NEW.start_us, NEW.model, NEW.final, NEW.input_tokens,
        NEW.output_tokens, NEW.cache_read_tokens, NEW.cache_write_5m_tokens, NEW.cache_write_1h_tokens, NEW.cost_pico);
END;

DROP TRIGGER IF EXISTS error_counted;
CREATE TRIGGER error_counted AFTER INSERT ON event WHEN NEW.kind = 'error.raised' AND NOT NEW.inherited
BEGIN
    SELECT holdfast_error(1, NEW.session_id, NEW.agent, NEW.time_us);
END;

DROP TRIGGER IF EXISTS error_uncounted;
CREATE TRIGGER error_uncounted AFTER UPDATE ON event WHEN OLD.kind = 'error.raised' AND NOT OLD.inherited
BEGIN
    SELECT holdfast_error(-1, OLD.session_id, OLD.agent, OLD.time_us);
END;

DROP TRIGGER IF EXISTS error_recounted;
CREATE TRIGGER error_recounted AFTER UPDATE ON event WHEN NEW.kind = 'error.raised' AND NOT NEW.inherited
BEGIN
    SELECT holdfast_error(1, NEW.session_id, NEW.agent, NEW.time_us);
END;

DROP TRIGGER IF EXISTS agent_came;
CREATE TRIGGER agent_came AFTER INSERT ON agent
BEGIN
    SELECT holdfast_agent(NEW.session_id, NEW.agent);
END;

DROP TRIGGER IF EXISTS agent_changed;
CREATE TRIGGER agent_changed AFTER UPDATE ON agent
    WHEN OLD.agent_type IS NOT NEW.agent_type OR OLD.parent_tool IS NOT NEW.parent_tool
        OR coalesce(OLD.first_us, OLD.parent_tool, OLD.agent_type, OLD.name) IS NULL
BEGIN
    SELECT holdfast_agent(NEW.session_id, NEW.agent);
END;

DROP TRIGGER IF EXISTS agent_given_away;
CREATE TRIGGER agent_given_away AFTER UPDATE ON event WHEN OLD.inherited IS NOT NEW.inherited AND NEW.agent <> ''
BEGIN
    SELECT holdfast_agent(NEW.session_id, NEW.agent);
END;

DROP TRIGGER IF EXISTS agent_parent_came;
CREATE TRIGGER agent_parent_came AFTER INSERT ON span
    WHEN EXISTS (SELECT 1 FROM agent WHERE session_id = NEW.session_id AND parent_tool = NEW.id)
BEGIN
    SELECT holdfast_agent(session_id, agent) FROM agent WHERE session_id = NEW.session_id AND parent_tool = NEW.id;
END;

DROP TRIGGER IF EXISTS agent_parent_changed;
CREATE TRIGGER agent_parent_changed AFTER UPDATE ON span
    WHEN OLD.operation IS NOT NEW.operation OR OLD.inherited IS NOT NEW.inherited
BEGIN
    SELECT holdfast_agent(session_id, agent) FROM agent WHERE session_id = NEW.session_id AND parent_tool = NEW.id;
END;
