-- The store: answers folded from the journal. Everything here can be deleted and folded again.
--
-- Every fact is kept per session, so a fork that copies lines keeps its own view; `inherited` marks rows that
-- belong to another session and count only there. Winners among rival facts are chosen by comparison (min, max, rank),
-- never by arrival, so any order of records gives the same rows.
-- `status_rank` is `spans.strength`, `status_place` breaks ties. Times are UTC microseconds, money is integer pico-dollars, NULL is unknown.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- How far the projection has read each journal segment, and which record stood last (empty: a damaged range).
CREATE TABLE cursor (
    segment INTEGER PRIMARY KEY,
    offset_bytes INTEGER NOT NULL,
    last_start INTEGER NOT NULL,
    last_id TEXT NOT NULL
);

-- Records that programs wrote under a key of their own: the first one is the event.
CREATE TABLE keyed (
    id TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each source file has been recorded, from the records themselves.
CREATE TABLE source_file (
    id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    path TEXT,
    generation INTEGER NOT NULL DEFAULT 0,
    consumed_bytes INTEGER NOT NULL DEFAULT 0,
    last_start INTEGER NOT NULL DEFAULT 0,
    last_crc INTEGER NOT NULL DEFAULT 0,
    records INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX source_file_path ON source_file (path);

-- Record types that were kept without being read further, per source file.
CREATE TABLE kept (
    file TEXT NOT NULL,
    type TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (file, type)
) WITHOUT ROWID;

-- What could not be read: damaged journal ranges, source lines that are not what they should be.
CREATE TABLE problem (
    place TEXT NOT NULL,
    start_byte INTEGER NOT NULL,
    end_byte INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (place, start_byte, why)
) WITHOUT ROWID;

-- A hint about unchanged source files, not derived from the journal; dropping it costs one look at each file.
CREATE TABLE scan_hint (
    path TEXT PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest TEXT
) WITHOUT ROWID;

CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    native TEXT NOT NULL,
    title TEXT,
    title_rank INTEGER NOT NULL DEFAULT 0,
    title_order INTEGER NOT NULL DEFAULT 0,
    cwd TEXT,
    cwd_us INTEGER NOT NULL DEFAULT 9223372036854775807,
    git_branch TEXT,
    tool_version TEXT,
    entrypoint TEXT,
    latest_us INTEGER NOT NULL DEFAULT -1,
    own_position INTEGER,
    own_from_us INTEGER,
    first_us INTEGER,
    last_us INTEGER,
    last_entry_us INTEGER,
    reported_us INTEGER NOT NULL DEFAULT -1,
    reported_cost_usd REAL,
    forked_from INTEGER
);
CREATE INDEX session_native ON session (native);
CREATE INDEX session_last ON session (last_us);

-- Pairs of sessions that hold rows with the same native id: forks and their originals.
CREATE TABLE kin (
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (low, high)
) WITHOUT ROWID;

CREATE TABLE agent (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    agent_type TEXT,
    name TEXT,
    description TEXT,
    parent_tool TEXT,
    parent_agent TEXT,
    depth INTEGER,
    model TEXT,
    background INTEGER,
    first_us INTEGER,
    last_us INTEGER,
    status TEXT,
    status_rank INTEGER NOT NULL DEFAULT -1,
    status_us INTEGER NOT NULL DEFAULT -1,
    status_place INTEGER NOT NULL DEFAULT -1,
    reason TEXT,
    PRIMARY KEY (session_id, agent)
) WITHOUT ROWID;
CREATE INDEX agent_parent_tool ON agent (session_id, parent_tool);

-- Agents there is evidence of, beyond a notice that something ended (commands in the background are announced alike).
-- Those that a copied call started, or all of whose lines are copies, belong to the session they were copied from.
CREATE VIEW known_agent AS
SELECT * FROM agent WHERE coalesce(first_us, parent_tool, agent_type, name) IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM span
        WHERE span.id = agent.parent_tool AND span.session_id = agent.session_id AND span.inherited)
    AND NOT EXISTS (SELECT 1 FROM chain AS c WHERE c.session_id = agent.session_id AND c.chain = agent.agent
        AND EXISTS (SELECT 1 FROM event AS e WHERE e.session_id = c.session_id AND e.agent = c.chain AND e.inherited)
        AND NOT EXISTS (SELECT 1 FROM event AS e WHERE e.session_id = c.session_id AND e.agent = c.chain AND NOT e.inherited)
        AND NOT EXISTS (SELECT 1 FROM span AS t WHERE t.session_id = c.session_id AND t.agent = c.chain AND NOT t.inherited)
        AND NOT EXISTS (SELECT 1 FROM llm AS l WHERE l.session_id = c.session_id AND l.agent = c.chain AND NOT l.inherited));

-- Things that start and end, but for language model calls.
CREATE TABLE span (
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
    PRIMARY KEY (id, session_id)
) WITHOUT ROWID;
CREATE INDEX span_stream ON span (session_id, agent, position);
CREATE INDEX span_turn ON span (session_id, position) WHERE kind = 'turn';

CREATE TABLE llm (
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
    PRIMARY KEY (id, session_id)
) WITHOUT ROWID;
CREATE INDEX llm_stream ON llm (session_id, agent, position);

-- Everything else worth telling, one row a fact. `data` is the typed payload with long texts cut to the head.
CREATE TABLE event (
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
    PRIMARY KEY (id, session_id)
) WITHOUT ROWID;
CREATE INDEX event_stream ON event (session_id, agent, position);
CREATE INDEX event_kind ON event (kind, session_id);
CREATE INDEX event_mark ON event (session_id, agent, position)
    WHERE kind IN ('turn.ended', 'session.cost_reported', 'session.ended');

CREATE TABLE link (
    session_id INTEGER NOT NULL,
    source_span TEXT NOT NULL,
    target_span TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (session_id, source_span, target_span, kind)
) WITHOUT ROWID;

-- ── Roll-ups, kept by triggers: always the sum of the rows that are not inherited ──
-- A tool result whose call was never seen is no call. `day` counts days since 1970-01-01 UTC, -1 = unknown.

CREATE TABLE tool_day (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    day INTEGER NOT NULL,
    tool TEXT NOT NULL,
    calls INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    denied INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    open INTEGER NOT NULL DEFAULT 0,
    timed INTEGER NOT NULL DEFAULT 0,
    duration_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session_id, agent, day, tool)
) WITHOUT ROWID;

CREATE TABLE llm_day (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    day INTEGER NOT NULL,
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
    PRIMARY KEY (session_id, agent, day, model)
) WITHOUT ROWID;

CREATE TRIGGER tool_added AFTER INSERT ON span WHEN NEW.kind = 'tool' AND NEW.name IS NOT NULL AND NOT NEW.inherited
BEGIN
    INSERT INTO tool_day (session_id, agent, day, tool, calls, completed, failed, denied, interrupted, open, timed,
        duration_ms)
    VALUES (NEW.session_id, NEW.agent, coalesce(coalesce(NEW.start_us, NEW.end_us) / 86400000000, -1),
        NEW.name, 1, NEW.status IS 'completed', NEW.status IS 'failed', NEW.status IS 'cancelled',
        NEW.status IS 'interrupted', NEW.status IS NULL,
        coalesce(NEW.duration_ms, (NEW.end_us - NEW.start_us) / 1000) IS NOT NULL,
        coalesce(NEW.duration_ms, (NEW.end_us - NEW.start_us) / 1000, 0))
    ON CONFLICT DO UPDATE SET
        calls = calls + 1,
        completed = completed + excluded.completed,
        failed = failed + excluded.failed,
        denied = denied + excluded.denied,
        interrupted = interrupted + excluded.interrupted,
        open = open + excluded.open,
        timed = timed + excluded.timed,
        duration_ms = duration_ms + excluded.duration_ms;
END;

CREATE TRIGGER tool_changed_old AFTER UPDATE ON span WHEN OLD.kind = 'tool' AND OLD.name IS NOT NULL AND NOT OLD.inherited
    AND (OLD.status IS NOT NEW.status OR OLD.inherited IS NOT NEW.inherited OR OLD.name IS NOT NEW.name
        OR OLD.start_us IS NOT NEW.start_us OR OLD.end_us IS NOT NEW.end_us OR OLD.agent IS NOT NEW.agent
        OR OLD.duration_ms IS NOT NEW.duration_ms OR OLD.kind IS NOT NEW.kind)
BEGIN
    UPDATE tool_day SET
        calls = calls - 1,
        completed = completed - (OLD.status IS 'completed'),
        failed = failed - (OLD.status IS 'failed'),
        denied = denied - (OLD.status IS 'cancelled'),
        interrupted = interrupted - (OLD.status IS 'interrupted'),
        open = open - (OLD.status IS NULL),
        timed = timed - (coalesce(OLD.duration_ms, (OLD.end_us - OLD.start_us) / 1000) IS NOT NULL),
        duration_ms = duration_ms - coalesce(OLD.duration_ms, (OLD.end_us - OLD.start_us) / 1000, 0)
    WHERE session_id = OLD.session_id AND agent = OLD.agent AND tool = OLD.name
        AND day = coalesce(coalesce(OLD.start_us, OLD.end_us) / 86400000000, -1);
    DELETE FROM tool_day
    WHERE session_id = OLD.session_id AND agent = OLD.agent AND tool = OLD.name
        AND day = coalesce(coalesce(OLD.start_us, OLD.end_us) / 86400000000, -1) AND calls = 0;
END;

CREATE TRIGGER tool_changed_new AFTER UPDATE ON span WHEN NEW.kind = 'tool' AND NEW.name IS NOT NULL AND NOT NEW.inherited
    AND (OLD.status IS NOT NEW.status OR OLD.inherited IS NOT NEW.inherited OR OLD.name IS NOT NEW.name
        OR OLD.start_us IS NOT NEW.start_us OR OLD.end_us IS NOT NEW.end_us OR OLD.agent IS NOT NEW.agent
        OR OLD.duration_ms IS NOT NEW.duration_ms OR OLD.kind IS NOT NEW.kind)
BEGIN
    INSERT INTO tool_day (session_id, agent, day, tool, calls, completed, failed, denied, interrupted, open, timed,
        duration_ms)
    VALUES (NEW.session_id, NEW.agent, coalesce(coalesce(NEW.start_us, NEW.end_us) / 86400000000, -1),
        NEW.name, 1, NEW.status IS 'completed', NEW.status IS 'failed', NEW.status IS 'cancelled',
        NEW.status IS 'interrupted', NEW.status IS NULL,
        coalesce(NEW.duration_ms, (NEW.end_us - NEW.start_us) / 1000) IS NOT NULL,
        coalesce(NEW.duration_ms, (NEW.end_us - NEW.start_us) / 1000, 0))
    ON CONFLICT DO UPDATE SET
        calls = calls + 1,
        completed = completed + excluded.completed,
        failed = failed + excluded.failed,
        denied = denied + excluded.denied,
        interrupted = interrupted + excluded.interrupted,
        open = open + excluded.open,
        timed = timed + excluded.timed,
        duration_ms = duration_ms + excluded.duration_ms;
END;

CREATE TRIGGER llm_added AFTER INSERT ON llm WHEN NOT NEW.inherited
BEGIN
    INSERT INTO llm_day VALUES (NEW.session_id, NEW.agent, coalesce(NEW.start_us / 86400000000, -1),
        coalesce(NEW.model, ''), 1, coalesce(NEW.input_tokens, 0), coalesce(NEW.output_tokens, 0),
        coalesce(NEW.cache_read_tokens, 0), coalesce(NEW.cache_write_5m_tokens, 0),
        coalesce(NEW.cache_write_1h_tokens, 0), NOT NEW.final,
        NEW.input_tokens IS NULL OR NEW.output_tokens IS NULL, coalesce(NEW.cost_pico, 0), NEW.cost_pico IS NULL)
    ON CONFLICT DO UPDATE SET
        calls = calls + 1,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
        cache_write_5m_tokens = cache_write_5m_tokens + excluded.cache_write_5m_tokens,
        cache_write_1h_tokens = cache_write_1h_tokens + excluded.cache_write_1h_tokens,
        unreliable = unreliable + excluded.unreliable,
        untold = untold + excluded.untold,
        cost_pico = cost_pico + excluded.cost_pico,
        unpriced = unpriced + excluded.unpriced;
END;

CREATE TRIGGER llm_changed_old AFTER UPDATE ON llm WHEN NOT OLD.inherited
    AND (OLD.inherited IS NOT NEW.inherited OR OLD.start_us IS NOT NEW.start_us OR OLD.model IS NOT NEW.model
        OR OLD.final IS NOT NEW.final OR OLD.input_tokens IS NOT NEW.input_tokens OR OLD.agent IS NOT NEW.agent
        OR OLD.output_tokens IS NOT NEW.output_tokens OR OLD.cache_read_tokens IS NOT NEW.cache_read_tokens
        OR OLD.cache_write_5m_tokens IS NOT NEW.cache_write_5m_tokens
        OR OLD.cache_write_1h_tokens IS NOT NEW.cache_write_1h_tokens OR OLD.cost_pico IS NOT NEW.cost_pico)
BEGIN
    UPDATE llm_day SET
        calls = calls - 1,
        input_tokens = input_tokens - coalesce(OLD.input_tokens, 0),
        output_tokens = output_tokens - coalesce(OLD.output_tokens, 0),
        cache_read_tokens = cache_read_tokens - coalesce(OLD.cache_read_tokens, 0),
        cache_write_5m_tokens = cache_write_5m_tokens - coalesce(OLD.cache_write_5m_tokens, 0),
        cache_write_1h_tokens = cache_write_1h_tokens - coalesce(OLD.cache_write_1h_tokens, 0),
        unreliable = unreliable - (NOT OLD.final),
        untold = untold - (OLD.input_tokens IS NULL OR OLD.output_tokens IS NULL),
        cost_pico = cost_pico - coalesce(OLD.cost_pico, 0),
        unpriced = unpriced - (OLD.cost_pico IS NULL)
    WHERE session_id = OLD.session_id AND agent = OLD.agent AND model = coalesce(OLD.model, '')
        AND day = coalesce(OLD.start_us / 86400000000, -1);
    DELETE FROM llm_day
    WHERE session_id = OLD.session_id AND agent = OLD.agent AND model = coalesce(OLD.model, '')
        AND day = coalesce(OLD.start_us / 86400000000, -1) AND calls = 0;
END;

CREATE TRIGGER llm_changed_new AFTER UPDATE ON llm WHEN NOT NEW.inherited
    AND (OLD.inherited IS NOT NEW.inherited OR OLD.start_us IS NOT NEW.start_us OR OLD.model IS NOT NEW.model
        OR OLD.final IS NOT NEW.final OR OLD.input_tokens IS NOT NEW.input_tokens OR OLD.agent IS NOT NEW.agent
        OR OLD.output_tokens IS NOT NEW.output_tokens OR OLD.cache_read_tokens IS NOT NEW.cache_read_tokens
        OR OLD.cache_write_5m_tokens IS NOT NEW.cache_write_5m_tokens
        OR OLD.cache_write_1h_tokens IS NOT NEW.cache_write_1h_tokens OR OLD.cost_pico IS NOT NEW.cost_pico)
BEGIN
    INSERT INTO llm_day VALUES (NEW.session_id, NEW.agent, coalesce(NEW.start_us / 86400000000, -1),
        coalesce(NEW.model, ''), 1, coalesce(NEW.input_tokens, 0), coalesce(NEW.output_tokens, 0),
        coalesce(NEW.cache_read_tokens, 0), coalesce(NEW.cache_write_5m_tokens, 0),
        coalesce(NEW.cache_write_1h_tokens, 0), NOT NEW.final,
        NEW.input_tokens IS NULL OR NEW.output_tokens IS NULL, coalesce(NEW.cost_pico, 0), NEW.cost_pico IS NULL)
    ON CONFLICT DO UPDATE SET
        calls = calls + 1,
        input_tokens = input_tokens + excluded.input_tokens,
        output_tokens = output_tokens + excluded.output_tokens,
        cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
        cache_write_5m_tokens = cache_write_5m_tokens + excluded.cache_write_5m_tokens,
        cache_write_1h_tokens = cache_write_1h_tokens + excluded.cache_write_1h_tokens,
        unreliable = unreliable + excluded.unreliable,
        untold = untold + excluded.untold,
        cost_pico = cost_pico + excluded.cost_pico,
        unpriced = unpriced + excluded.unpriced;
END;

-- Forks are noticed where they show: a row whose native id another session holds too.
CREATE TRIGGER llm_shared AFTER INSERT ON llm
    WHEN EXISTS (SELECT 1 FROM llm WHERE id = NEW.id AND session_id <> NEW.session_id)
BEGIN
    INSERT INTO kin (low, high)
    SELECT min(session_id, NEW.session_id), max(session_id, NEW.session_id) FROM llm
    WHERE id = NEW.id AND session_id <> NEW.session_id
    ON CONFLICT DO UPDATE SET settled = 0;
END;

CREATE TRIGGER span_shared AFTER INSERT ON span
    WHEN EXISTS (SELECT 1 FROM span WHERE id = NEW.id AND session_id <> NEW.session_id)
BEGIN
    INSERT INTO kin (low, high)
    SELECT min(session_id, NEW.session_id), max(session_id, NEW.session_id) FROM span
    WHERE id = NEW.id AND session_id <> NEW.session_id
    ON CONFLICT DO UPDATE SET settled = 0;
END;

-- ── Workspaces: where projects were moved to, in the order of the journal ──

CREATE TABLE workspace_move (
    id TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    old TEXT NOT NULL,
    new TEXT NOT NULL
) WITHOUT ROWID;

-- ── Full-text search ──
-- One row a passage. `id` follows time (store/passages.py), `key` is a digest of what makes it one passage, `native` the id of its
-- span or event. `text_chars` and `text_check` are of the text as indexed, and settle rivals.

CREATE TABLE IF NOT EXISTS passage (
    id INTEGER PRIMARY KEY,
    key INTEGER NOT NULL UNIQUE,
    session_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    native TEXT NOT NULL,
    time_us INTEGER,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    text_chars INTEGER NOT NULL,
    text_check INTEGER NOT NULL
);

-- The words of the passage with the same number. The texts themselves stay in the journal.
CREATE VIRTUAL TABLE IF NOT EXISTS passage_text USING fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

-- Let 16 pieces of the index gather before they are merged (not 4): a fifth less work for each import, for questions that look into
-- a few more pieces. Merging is forced at 64.
INSERT INTO passage_text (passage_text, rank) VALUES ('automerge', 16), ('crisismerge', 64);

-- ── Older layouts of transcripts ──

-- Lines of subagents that stand in their session's own file, with the calls and messages on them: what has the same chain
-- hangs together. `chain` is the agent's name: that of its first line, with `inline-` before.
CREATE TABLE sidechain (
    session_id INTEGER NOT NULL,
    node TEXT NOT NULL,
    chain TEXT NOT NULL,
    PRIMARY KEY (session_id, node)
) WITHOUT ROWID;
CREATE INDEX sidechain_chain ON sidechain (session_id, chain);

-- What begins a chain: `headless` is 0 if its first line follows none; `prompt` is a digest of that line's text; `call` is the
-- tool call that said so, NULL if none is known.
CREATE TABLE chain (
    session_id INTEGER NOT NULL,
    chain TEXT NOT NULL,
    headless INTEGER NOT NULL,
    position INTEGER NOT NULL,
    prompt TEXT,
    call TEXT,
    PRIMARY KEY (session_id, chain)
) WITHOUT ROWID;
CREATE INDEX chain_prompt ON chain (session_id, prompt);

CREATE TABLE agent_call (
    session_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    prompt TEXT NOT NULL,
    description TEXT,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
CREATE INDEX agent_call_prompt ON agent_call (session_id, prompt);

-- Lines that a summary may name, and summaries; `mark` is 64 bits of a digest of the line's id.
CREATE TABLE line (
    mark INTEGER NOT NULL,
    session_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (mark, session_id)
) WITHOUT ROWID;

CREATE TABLE summary (
    mark INTEGER NOT NULL,
    title TEXT NOT NULL,
    title_rank INTEGER NOT NULL,
    PRIMARY KEY (mark, title)
) WITHOUT ROWID;

-- What the tool said that a model call cost; never part of a cost of ours.
CREATE TABLE llm_reported (
    session_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    cost_pico INTEGER NOT NULL,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
