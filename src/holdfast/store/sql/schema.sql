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
    told_by TEXT,
    told_at INTEGER,
    heard INTEGER NOT NULL DEFAULT 0,
    built_in INTEGER,
    definition TEXT,
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

-- Things that start and end, but for language model calls. Like `llm` and `event` they lie together by session,
-- because questions are about one; the indexes by id serve the search for forks.
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
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
CREATE INDEX span_id ON span (id);
CREATE INDEX span_stream ON span (session_id, agent, kind, position);
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
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
CREATE INDEX llm_id ON llm (id);
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
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
CREATE INDEX event_kind ON event (session_id, kind, inherited);
CREATE INDEX event_mark ON event (session_id, agent, position)
    WHERE kind IN ('turn.ended', 'session.cost_reported', 'session.ended');

CREATE TABLE link (
    session_id INTEGER NOT NULL,
    source_span TEXT NOT NULL,
    target_span TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (session_id, source_span, target_span, kind)
) WITHOUT ROWID;

-- ── Roll-ups: always the sum of the rows that are not inherited ──
-- Triggers report each row that comes or changes to `store/rollups.py`, which adds the differences up and writes them
-- with the batch. Where nobody listens (`holdfast_span` …) the write fails, so no row can pass by uncounted.
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
CREATE INDEX tool_day_day ON tool_day (day);

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
CREATE INDEX llm_day_day ON llm_day (day);

-- Forks are noticed where they show: a row whose native id another session holds too. One of those sessions is enough to
-- find the whole family.
CREATE TRIGGER llm_shared AFTER INSERT ON llm
    WHEN EXISTS (SELECT 1 FROM llm WHERE id = NEW.id AND session_id <> NEW.session_id)
BEGIN
    INSERT INTO kin (low, high)
    SELECT min(holder, NEW.session_id), max(holder, NEW.session_id) FROM (
        SELECT min(session_id) AS holder FROM llm WHERE id = NEW.id AND session_id <> NEW.session_id)
    WHERE true ON CONFLICT DO NOTHING;
END;

CREATE TRIGGER span_shared AFTER INSERT ON span
    WHEN EXISTS (SELECT 1 FROM span WHERE id = NEW.id AND session_id <> NEW.session_id)
BEGIN
    INSERT INTO kin (low, high)
    SELECT min(holder, NEW.session_id), max(holder, NEW.session_id) FROM (
        SELECT min(session_id) AS holder FROM span WHERE id = NEW.id AND session_id <> NEW.session_id)
    WHERE true ON CONFLICT DO NOTHING;
END;

-- ── Totals: roll-ups whose size does not grow with the number of events ──

CREATE TABLE error_day (
    session_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    agent TEXT NOT NULL,
    raised INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session_id, day, agent)
) WITHOUT ROWID;

-- On which days something of a session counts.
CREATE TABLE session_day (
    day INTEGER NOT NULL,
    session_id INTEGER NOT NULL,
    PRIMARY KEY (day, session_id)
) WITHOUT ROWID;

-- Each agent's type as statistics name it ('' = unknown), whether there is evidence of it (`known_agent`), and whether
-- calls of tools and of models count for it.
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

-- One row a session: sums, and what came last in its main agent's stream. `open_spans` counts inherited rows too.
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

CREATE TRIGGER span_counted AFTER INSERT ON span
BEGIN
    SELECT holdfast_span(1, NEW.session_id, NEW.kind, NEW.agent, NEW.name, NEW.start_us, NEW.end_us, NEW.status,
        NEW.duration_ms, NEW.inherited);
END;

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

CREATE TRIGGER llm_counted AFTER INSERT ON llm WHEN NOT NEW.inherited
BEGIN
    SELECT holdfast_llm(1, NEW.session_id, NEW.agent, NEW.start_us, NEW.model, NEW.final, NEW.input_tokens,
        NEW.output_tokens, NEW.cache_read_tokens, NEW.cache_write_5m_tokens, NEW.cache_write_1h_tokens, NEW.cost_pico);
END;

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

CREATE TRIGGER error_counted AFTER INSERT ON event WHEN NEW.kind = 'error.raised' AND NOT NEW.inherited
BEGIN
    SELECT holdfast_error(1, NEW.session_id, NEW.agent, NEW.time_us);
END;

CREATE TRIGGER error_uncounted AFTER UPDATE ON event WHEN OLD.kind = 'error.raised' AND NOT OLD.inherited
BEGIN
    SELECT holdfast_error(-1, OLD.session_id, OLD.agent, OLD.time_us);
END;

CREATE TRIGGER error_recounted AFTER UPDATE ON event WHEN NEW.kind = 'error.raised' AND NOT NEW.inherited
BEGIN
    SELECT holdfast_error(1, NEW.session_id, NEW.agent, NEW.time_us);
END;

-- What an agent is called, and whether it is known, hangs on its own row and on that of the call which started it.
CREATE TRIGGER agent_came AFTER INSERT ON agent
BEGIN
    SELECT holdfast_agent(NEW.session_id, NEW.agent);
END;

CREATE TRIGGER agent_changed AFTER UPDATE ON agent
    WHEN OLD.agent_type IS NOT NEW.agent_type OR OLD.parent_tool IS NOT NEW.parent_tool
        OR coalesce(OLD.first_us, OLD.parent_tool, OLD.agent_type, OLD.name) IS NULL
BEGIN
    SELECT holdfast_agent(NEW.session_id, NEW.agent);
END;

CREATE TRIGGER agent_given_away AFTER UPDATE ON event WHEN OLD.inherited IS NOT NEW.inherited AND NEW.agent <> ''
BEGIN
    SELECT holdfast_agent(NEW.session_id, NEW.agent);
END;

CREATE TRIGGER agent_parent_came AFTER INSERT ON span
    WHEN EXISTS (SELECT 1 FROM agent WHERE session_id = NEW.session_id AND parent_tool = NEW.id)
BEGIN
    SELECT holdfast_agent(session_id, agent) FROM agent WHERE session_id = NEW.session_id AND parent_tool = NEW.id;
END;

CREATE TRIGGER agent_parent_changed AFTER UPDATE ON span
    WHEN OLD.operation IS NOT NEW.operation OR OLD.inherited IS NOT NEW.inherited
BEGIN
    SELECT holdfast_agent(session_id, agent) FROM agent WHERE session_id = NEW.session_id AND parent_tool = NEW.id;
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

-- Chains that turn out to be one leave a name behind.
CREATE TRIGGER agent_went AFTER DELETE ON agent
BEGIN
    SELECT holdfast_agent(OLD.session_id, OLD.agent);
END;

-- ── Who is at work ──
-- Processes that a tool listed as its own, what it said of each last. `start_ticks` is -1 where it is not told. `position` orders what
-- was said of one: by the moment its status began, then by when it was recorded.

CREATE TABLE process (
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
CREATE TABLE sign (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    sign TEXT NOT NULL,
    position INTEGER NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (session_id, agent, sign)
) WITHOUT ROWID;

-- Turns and tool calls as hooks told of them. Positions are moments of recording, at or after those they are about.
CREATE TABLE told_span (
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
CREATE INDEX told_span_agent ON told_span (session_id, agent);

-- What is shown of it: that of agents without a transcript. A call that was shown to the model but never reported had been denied.
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

CREATE VIEW shown_span AS
SELECT id, session_id, kind, agent, name, parent, position, end_position, start_us, end_us, status, input, output, path, operation,
    error_type, exit_code, duration_ms, lines_added, lines_removed, inherited, 'observed' AS grade
FROM span
UNION ALL SELECT * FROM told_work;

-- What persons said of sessions, or of agents in them, that were cut (`recovery.judged`): the last word of the journal.
CREATE TABLE judgement (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    why TEXT,
    PRIMARY KEY (session_id, agent)
) WITHOUT ROWID;

-- What each source told of a session: from which file (empty: a source without), how much of it, and when. Times of what was told are
-- null where it says none; `recorded_from` and `recorded_to` are moments of recording.
CREATE TABLE session_source (
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

-- Agents that Holdfast started (`run.*`), one row a life; life 0 is what was asked for. Each event is told under a key of its own, once; of
-- rivals the greatest counts. `segment` and `offset_bytes` are the place of the record that tells the end.
CREATE TABLE run (
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
CREATE INDEX run_parent ON run (parent) WHERE parent IS NOT NULL;

-- Which sessions a life works in; of a tool that chooses its session itself, that becomes known later.
CREATE TABLE run_session (
    session_id INTEGER NOT NULL,
    agent TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (session_id, agent, attempt)
) WITHOUT ROWID;
CREATE INDEX run_session_run ON run_session (agent, attempt);

-- Checkpoints of workspaces, a row for each event: `kind` is taking, taken or not_taken, `attempt` the id of the first. `note` is a person's
-- word, or why there is none.
CREATE TABLE checkpoint (
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

-- What happened to definitions of agents, a row for each event; `sha256` is of what lay there then, NULL: nothing. `previous` is the row before
-- of the same file, and `before_sha256` what that one left. `host`, as in all tables about definitions, is another home, of which an export was imported;
-- NULL: this home.
CREATE TABLE definition_revision (
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
    reason TEXT,
    host TEXT
) WITHOUT ROWID;
CREATE INDEX definition_revision_name ON definition_revision (name, tool);
CREATE INDEX definition_revision_path ON definition_revision (path);

-- What else was told of definitions: snapshots, and contents that were removed. `data` is all of it.
CREATE TABLE definition_event (
    id TEXT PRIMARY KEY,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    time_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    host TEXT
) WITHOUT ROWID;

-- Looks at definitions from a working directory, and what each reached: directories as JSON, the strongest first. From `from_us` to `to_us`
-- somebody watched. Their `host` is empty for this home.
CREATE TABLE definition_reach (
    id TEXT PRIMARY KEY,
    roots TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE definition_look (
    host TEXT NOT NULL,
    cwd TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER NOT NULL,
    reach TEXT NOT NULL,
    PRIMARY KEY (host, cwd, from_us, to_us, reach)
) WITHOUT ROWID;

-- Definitions that were not written, because something else lay there by then: what was read, what was to be written and what lay there, as
-- SHA-256; NULL: nothing. And what somebody decided of each, the first of them.
CREATE TABLE definition_conflict (
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
    reason TEXT,
    host TEXT
) WITHOUT ROWID;
CREATE TABLE definition_resolution (
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
