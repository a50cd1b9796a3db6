-- Questions. Nothing here scans events: counts come from roll-ups, order from indexes.

-- name: sessions
SELECT
    s.id, s.key, s.source, s.native, s.title, s.cwd, s.cwd_us, s.git_branch, s.tool_version, s.entrypoint, s.first_us, s.last_us,
    s.reported_cost_usd, origin.native AS forked_from,
    (SELECT count(*) FROM llm_reported AS r CROSS JOIN llm AS c ON c.id = r.id AND c.session_id = r.session_id
        WHERE r.session_id = s.id AND NOT c.inherited) AS reported_calls,
    (SELECT sum(r.cost_pico) FROM llm_reported AS r CROSS JOIN llm AS c ON c.id = r.id AND c.session_id = r.session_id
        WHERE r.session_id = s.id AND NOT c.inherited) AS reported_pico,
    t.tool_calls, t.tool_failed, t.tool_denied, t.tool_interrupted, t.tool_open, t.llm_calls, t.input_tokens,
    t.output_tokens, t.cache_read_tokens, t.cache_write_5m_tokens, t.cache_write_1h_tokens, t.unreliable, t.untold,
    t.cost_pico, t.unpriced, t.agents, t.silent_agents, t.turns, t.errors_raised, t.open_spans,
    t.turn_at, t.llm_from, t.llm_to, t.stop_reason, t.tool_at, t.tool_end_at, t.mark_at, t.mark, t.exit_at,
    (SELECT last_us FROM agent WHERE session_id = s.id AND agent = '') AS main_last_us
FROM session AS s
CROSS JOIN session_total AS t ON t.session_id = s.id
LEFT JOIN session AS origin ON origin.id = s.forked_from
WHERE s.source <> 'run' OR NOT EXISTS (SELECT 1 FROM run_session AS own
    CROSS JOIN run_session AS other ON other.agent = own.agent AND other.session_id <> s.id WHERE own.session_id = s.id)
ORDER BY s.last_us DESC, s.key;

-- name: session
SELECT
    s.id, s.key, s.source, s.native, s.title, s.cwd, s.cwd_us, s.git_branch, s.tool_version, s.entrypoint, s.first_us, s.last_us,
    s.reported_cost_usd, origin.native AS forked_from,
    (SELECT count(*) FROM llm_reported AS r CROSS JOIN llm AS c ON c.id = r.id AND c.session_id = r.session_id
        WHERE r.session_id = s.id AND NOT c.inherited) AS reported_calls,
    (SELECT sum(r.cost_pico) FROM llm_reported AS r CROSS JOIN llm AS c ON c.id = r.id AND c.session_id = r.session_id
        WHERE r.session_id = s.id AND NOT c.inherited) AS reported_pico,
    t.tool_calls, t.tool_failed, t.tool_denied, t.tool_interrupted, t.tool_open, t.llm_calls, t.input_tokens,
    t.output_tokens, t.cache_read_tokens, t.cache_write_5m_tokens, t.cache_write_1h_tokens, t.unreliable, t.untold,
    t.cost_pico, t.unpriced, t.agents, t.silent_agents, t.turns, t.errors_raised, t.open_spans,
    t.turn_at, t.llm_from, t.llm_to, t.stop_reason, t.tool_at, t.tool_end_at, t.mark_at, t.mark, t.exit_at,
    (SELECT last_us FROM agent WHERE session_id = s.id AND agent = '') AS main_last_us
FROM session AS s
CROSS JOIN session_total AS t ON t.session_id = s.id
LEFT JOIN session AS origin ON origin.id = s.forked_from
WHERE s.id = :session_id;

-- name: processes
-- Of each session the process that began last, as it was recorded last, in the boot in which it was seen first: what a process leaves
-- behind is found there in later boots too.
SELECT session_id, host, (SELECT boot FROM process AS first WHERE first.session_id = last.session_id AND first.host = last.host
        AND first.pid = last.pid AND first.start_ticks = last.start_ticks AND first.began_us IS last.began_us
        ORDER BY first.seen_us, first.boot LIMIT 1) AS boot,
    namespace, pid, start_ticks, began_us, status, waiting_for, since_us FROM (
    SELECT *, row_number() OVER (PARTITION BY session_id
        ORDER BY coalesce(began_us, -1) DESC, since_us DESC, seen_us DESC, boot, pid, start_ticks) AS place
    FROM process WHERE :session_id IS NULL OR session_id = :session_id
) AS last WHERE place = 1;

-- name: life_began
-- When the last life of a session began that is known of: that of its process, or the one that it was resumed to.
SELECT max(us) AS us FROM (
    SELECT began_us AS us FROM process WHERE session_id = :session_id
    UNION ALL SELECT tried.time_us FROM event AS done JOIN event AS tried
        ON tried.session_id = done.session_id AND tried.id = done.data ->> 'attempt' AND tried.kind = 'session.resuming'
    WHERE done.session_id = :session_id AND done.kind = 'session.resumed' AND NOT done.inherited AND done.data ->> 'new_session' = (
        SELECT native FROM session WHERE id = :session_id));

-- name: runs
-- The lives in each session, or in one, in the order in which they began; what was only asked for is life 0.
SELECT w.session_id, r.*, a.name AS name, a.parent AS parent, a.started_us AS asked_us
FROM run_session AS w CROSS JOIN run AS r ON r.agent = w.agent AND r.attempt = w.attempt
LEFT JOIN run AS a ON a.agent = r.agent AND a.attempt = 0
WHERE (:session_id IS NULL OR w.session_id = :session_id)
    AND (r.attempt > 0 OR NOT EXISTS (SELECT 1 FROM run AS later WHERE later.agent = r.agent AND later.attempt > 0))
ORDER BY coalesce(r.started_us, a.started_us), r.agent, r.attempt;

-- name: sessions_of_run
-- Where an agent works, or worked: the session of its tool, where one is known, before its own; that of its last life first.
SELECT s.id, s.key, s.native FROM run_session AS w JOIN session AS s ON s.id = w.session_id
WHERE w.agent = :agent ORDER BY s.source = 'run', w.attempt DESC, s.last_us DESC, s.key;

-- name: own_runs
SELECT DISTINCT s.id FROM run_session AS w JOIN run_session AS own ON own.agent = w.agent
JOIN session AS s ON s.id = own.session_id AND s.source = 'run'
WHERE w.session_id = :session_id AND s.id <> :session_id ORDER BY s.id;

-- name: runs_below
-- The agents that work for those of a session.
SELECT DISTINCT below.agent FROM run_session AS w JOIN run AS below ON below.parent = w.agent
WHERE w.session_id = :session_id ORDER BY below.started_us, below.agent;

-- name: runs_by_prefix
-- The agents whose id begins so, or that are called so.
SELECT DISTINCT agent FROM run WHERE (agent >= :prefix AND agent < :prefix || char(1114111)) OR name = :prefix;

-- name: running_agents
-- How many agents were sent to the background, did not end, and were not answered last, or with a message that goes on. What ran in
-- an earlier life of the session does not run any more.
SELECT count(*) AS n FROM known_agent AS a
WHERE a.session_id = :session_id AND a.background = 1 AND a.status IS NULL
    AND (a.last_us IS NULL OR :life_us IS NULL OR a.last_us >= :life_us)
    AND (coalesce((SELECT max(position) FROM llm WHERE session_id = :session_id AND agent = a.agent), -1)
        <= coalesce((SELECT max(position) FROM span WHERE session_id = :session_id AND agent = a.agent AND kind = 'tool'), -1)
    OR (SELECT stop_reason FROM llm WHERE session_id = :session_id AND agent = a.agent
        ORDER BY position DESC LIMIT 1) IN ('tool_use', 'pause_turn'));

-- name: signs
SELECT s.session_id, s.agent, s.sign, s.position, s.data, a.last_us AS written_us
FROM sign AS s LEFT JOIN agent AS a ON a.session_id = s.session_id AND a.agent = s.agent
WHERE :session_id IS NULL OR s.session_id = :session_id;

-- name: told_work
-- What hooks told of agents without a transcript.
SELECT agent, sum(kind = 'turn') AS turns, sum(kind = 'tool') AS tool_calls, sum(status IS 'failed') AS tool_failed,
    sum(status IS 'cancelled') AS tool_denied, sum(status IS 'interrupted') AS tool_interrupted,
    min(position) AS first_us, max(coalesce(end_position, position)) AS last_us
FROM told_work WHERE session_id = :session_id GROUP BY agent;

-- name: told_parents
-- Calls that started agents, as hooks told of them.
SELECT id, agent AS holder, operation AS asked_type, status AS tool_status, input AS tool_input FROM told_span
WHERE session_id = :session_id AND id IN (SELECT parent_tool FROM agent WHERE session_id = :session_id);

-- name: is_transcribed
-- Whether a session is known otherwise than by its hooks and processes.
SELECT EXISTS (SELECT 1 FROM span WHERE session_id = :session_id) OR EXISTS (SELECT 1 FROM llm WHERE session_id = :session_id)
    OR NOT (EXISTS (SELECT 1 FROM sign WHERE session_id = :session_id)
        OR EXISTS (SELECT 1 FROM process WHERE session_id = :session_id)
        OR EXISTS (SELECT 1 FROM run_session WHERE session_id = :session_id)) AS found;

-- name: told_fork
SELECT json_extract(data, '$.forked_from') FROM event WHERE session_id = :session_id AND kind = 'session.started' AND NOT inherited
    AND json_extract(data, '$.forked_from') IS NOT NULL ORDER BY position LIMIT 1;

-- name: session_by_prefix
SELECT id, native, key FROM session WHERE native >= :prefix AND native < :prefix || char(1114111)
UNION SELECT id, native, key FROM session WHERE key = :prefix OR native = :prefix
ORDER BY 2, 3;

-- name: agents
SELECT a.*, (SELECT source FROM session WHERE id = a.session_id) AS source,
    coalesce(t.calls, 0) AS tool_calls, coalesce(t.failed, 0) AS tool_failed, coalesce(t.denied, 0) AS tool_denied,
    coalesce(t.interrupted, 0) AS tool_interrupted,
    coalesce(l.calls, 0) AS llm_calls, coalesce(l.input_tokens, 0) AS input_tokens,
    coalesce(l.output_tokens, 0) AS output_tokens, coalesce(l.cache_read_tokens, 0) AS cache_read_tokens,
    coalesce(l.cache_write_5m_tokens, 0) AS cache_write_5m_tokens,
    coalesce(l.cache_write_1h_tokens, 0) AS cache_write_1h_tokens, coalesce(l.unreliable, 0) AS unreliable, coalesce(l.untold, 0) AS untold,
    coalesce(l.cost_pico, 0) AS cost_pico, coalesce(l.unpriced, 0) AS unpriced,
    ch.chain IS NOT NULL AS inline, p.agent AS holder, p.operation AS asked_type, p.status AS tool_status, p.input AS tool_input,
    (SELECT position FROM llm WHERE session_id = a.session_id AND agent = a.agent
        ORDER BY position DESC LIMIT 1) AS llm_from,
    (SELECT stop_reason FROM llm WHERE session_id = a.session_id AND agent = a.agent
        ORDER BY position DESC LIMIT 1) AS stop_reason,
    (SELECT position FROM span WHERE session_id = a.session_id AND agent = a.agent AND kind = 'tool'
        ORDER BY position DESC LIMIT 1) AS tool_at
FROM known_agent AS a
LEFT JOIN (
    SELECT agent, sum(calls) AS calls, sum(failed) AS failed, sum(denied) AS denied, sum(interrupted) AS interrupted
    FROM tool_day WHERE session_id = :session_id GROUP BY agent
) AS t ON t.agent = a.agent
LEFT JOIN (
    SELECT agent, sum(calls) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_5m_tokens) AS cache_write_5m_tokens,
        sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(unreliable) AS unreliable, sum(untold) AS untold,
        sum(cost_pico) AS cost_pico, sum(unpriced) AS unpriced
    FROM llm_day WHERE session_id = :session_id GROUP BY agent
) AS l ON l.agent = a.agent
LEFT JOIN span AS p ON p.id = a.parent_tool AND p.session_id = a.session_id
LEFT JOIN chain AS ch ON ch.session_id = a.session_id AND ch.chain = a.agent
WHERE a.session_id = :session_id
ORDER BY a.agent <> '', a.first_us NULLS LAST, a.agent;

-- name: copied_agents
-- Subagents whose lines were copied from another session, and belong there.
SELECT a.agent, a.description, a.parent_tool, a.first_us, coalesce(a.agent_type, p.operation) AS type,
    p.status AS tool_status
FROM chain AS c JOIN agent AS a ON a.session_id = c.session_id AND a.agent = c.chain
LEFT JOIN span AS p ON p.id = a.parent_tool AND p.session_id = a.session_id
WHERE c.session_id = :session_id AND NOT EXISTS (
    SELECT 1 FROM known_agent AS k WHERE k.session_id = a.session_id AND k.agent = a.agent)
ORDER BY a.first_us NULLS LAST, a.agent;

-- name: files
SELECT path, operation, count(*) AS calls, sum(status IS 'completed') AS completed,
    sum(lines_added) AS lines_added, sum(lines_removed) AS lines_removed, max(coalesce(end_us, start_us)) AS last_us
FROM (
    SELECT path, operation, status, lines_added, lines_removed, end_us, start_us
    FROM shown_span WHERE session_id = :session_id AND kind = 'tool' AND path IS NOT NULL AND NOT inherited
    UNION ALL
    SELECT json_extract(data, '$.path'), json_extract(data, '$.operation'), 'completed',
        json_extract(data, '$.lines_added'), json_extract(data, '$.lines_removed'), time_us, time_us
    FROM event WHERE session_id = :session_id AND kind = 'file.changed' AND NOT inherited
)
GROUP BY path, operation ORDER BY path, operation;

-- name: failed_tools
SELECT id, agent, name, status, error_type, exit_code, input, output, position, coalesce(end_us, start_us) AS time_us
FROM shown_span WHERE session_id = :session_id AND kind = 'tool' AND NOT inherited
    AND status IN ('failed', 'cancelled', 'interrupted')
ORDER BY agent, position;

-- name: errors_raised
SELECT id, agent, data, position, time_us FROM event
WHERE kind = 'error.raised' AND session_id = :session_id AND NOT inherited ORDER BY agent, position;

-- name: told
SELECT kind, count(*) AS n FROM event WHERE session_id = :session_id AND NOT inherited GROUP BY kind ORDER BY kind;

-- name: session_keys
SELECT key FROM session;

-- name: resumes
-- Attempts to resume a session, and how they went, each with what was found out first.
SELECT id, kind, time_us, data FROM event
WHERE session_id = :session_id AND kind IN ('session.resuming', 'session.resumed', 'session.resume_failed')
    AND NOT inherited ORDER BY time_us, id;

-- name: spans
SELECT id, kind, agent, name, position, end_position, start_us, end_us, status, input, output, path, error_type, exit_code,
    inherited
FROM shown_span WHERE session_id = :session_id AND kind IN ('tool', 'turn');

-- name: span_nodes
-- Turns stand before model calls, and these before anything else at one position.
SELECT agent, position * 4 + CASE kind WHEN 'turn' THEN 0 ELSE 2 END, id, kind, parent, name, input, status, start_us, end_us, duration_ms, inherited, grade
FROM shown_span WHERE session_id = :session_id ORDER BY id;

-- name: turns
SELECT agent, position, id FROM shown_span WHERE session_id = :session_id AND kind = 'turn' ORDER BY agent, position, id;

-- name: llm_nodes
SELECT agent, position * 4 + 1, id, model, stop_reason, final, NOT final, start_us, input_tokens, output_tokens,
    cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, input_tokens IS NULL OR output_tokens IS NULL,
    cost_pico, inherited
FROM llm WHERE session_id = :session_id ORDER BY id;

-- name: llm_calls
SELECT id, agent, position, start_us, model, stop_reason, input_tokens, output_tokens, inherited
FROM llm WHERE session_id = :session_id;

-- name: events
SELECT id, kind, agent, position, time_us, data, inherited
FROM event WHERE session_id = :session_id;

-- name: span_exists
SELECT 1 AS found FROM shown_span WHERE id = :id AND session_id = :session_id;

-- name: marks
SELECT agent, position, data FROM event
WHERE session_id = :session_id AND kind = 'turn.ended' AND kind IN ('turn.ended', 'session.cost_reported', 'session.ended')
    AND (time_us IS NOT NULL OR NOT EXISTS (SELECT 1 FROM span
        WHERE session_id = :session_id AND kind = 'turn' AND start_us IS NOT NULL))
ORDER BY agent, position;

-- name: links
SELECT source_span, target_span, kind FROM link WHERE session_id = :session_id ORDER BY 1, 2, 3;

-- name: stats_tools
SELECT tool, sum(calls) AS calls, sum(completed) AS completed, sum(failed) AS failed, sum(denied) AS denied,
    sum(interrupted) AS interrupted, sum(open) AS open, sum(timed) AS timed, sum(duration_ms) AS duration_ms
FROM tool_total WHERE day BETWEEN :from_day AND :to_day
GROUP BY tool ORDER BY calls DESC, tool;

-- name: stats_models
SELECT model, sum(calls) AS llm_calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(unreliable) AS unreliable, sum(untold) AS untold, sum(cost_pico) AS cost_pico,
    sum(unpriced) AS unpriced
FROM llm_total WHERE day BETWEEN :from_day AND :to_day
GROUP BY model ORDER BY cost_pico DESC, llm_calls DESC, model;

-- name: stats_days
SELECT day, sum(tool_calls) AS tool_calls, sum(not_ok) AS not_ok, sum(llm_calls) AS llm_calls,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(unreliable) AS unreliable, sum(untold) AS untold,
    sum(cost_pico) AS cost_pico, sum(unpriced) AS unpriced,
    (SELECT count(*) FROM session_day AS d WHERE d.day = u.day) AS sessions
FROM (
    SELECT day, calls AS tool_calls, failed + denied + interrupted AS not_ok, 0 AS llm_calls,
        0 AS input_tokens, 0 AS output_tokens, 0 AS cache_read_tokens, 0 AS cache_write_5m_tokens,
        0 AS cache_write_1h_tokens, 0 AS unreliable, 0 AS untold, 0 AS cost_pico, 0 AS unpriced
    FROM tool_total WHERE day BETWEEN :from_day AND :to_day
    UNION ALL
    SELECT day, 0, 0, calls, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
        cache_write_1h_tokens, unreliable, untold, cost_pico, unpriced
    FROM llm_total WHERE day BETWEEN :from_day AND :to_day
    UNION ALL
    SELECT day, 0, raised, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM error_total WHERE day BETWEEN :from_day AND :to_day
) AS u GROUP BY day ORDER BY day;

-- name: stats_agent_tools
SELECT agent_type, sum(calls) AS tool_calls, sum(failed + denied + interrupted) AS not_ok
FROM tool_total WHERE day BETWEEN :from_day AND :to_day GROUP BY agent_type;

-- name: stats_agent_errors
SELECT agent_type, sum(raised) AS raised
FROM error_total WHERE day BETWEEN :from_day AND :to_day GROUP BY agent_type;

-- name: stats_agent_llm
SELECT agent_type, sum(calls) AS llm_calls,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(unreliable) AS unreliable, sum(untold) AS untold,
    sum(cost_pico) AS cost_pico, sum(unpriced) AS unpriced
FROM llm_total WHERE day BETWEEN :from_day AND :to_day GROUP BY agent_type;

-- name: stats_agent_count
SELECT agent_type, sum(known) AS known, sum(uses_tools) AS tool_users, sum(calls_models) AS model_callers
FROM agent_kind GROUP BY agent_type;

-- name: stats_agent_count_of_days
-- Those at work on some days: one look at each agent and day.
SELECT k.agent_type, 0 AS known, sum(w.tools) AS tool_users, sum(w.models) AS model_callers
FROM (
    SELECT session_id, agent, max(tools) AS tools, max(models) AS models FROM (
        SELECT session_id, agent, 1 AS tools, 0 AS models FROM tool_day WHERE day BETWEEN :from_day AND :to_day
        UNION SELECT session_id, agent, 0, 1 FROM llm_day WHERE day BETWEEN :from_day AND :to_day
    ) GROUP BY session_id, agent
) AS w
CROSS JOIN agent_kind AS k ON k.session_id = w.session_id AND k.agent = w.agent
GROUP BY k.agent_type;

-- name: cost
-- Sums by day, model, agent type or session, straight from the calls: a day may be one of any time zone, and a call that
-- lacks several figures counts once in `incomplete`. Only sessions that were at work on these days are read.
SELECT
    CASE :by WHEN 'day' THEN date(start_us / 1000000, 'unixepoch', :zone)
        WHEN 'model' THEN model
        WHEN 'agent-type' THEN CASE agent WHEN '' THEN 'main' ELSE (SELECT agent_type FROM agent_kind AS k
            WHERE k.session_id = llm.session_id AND k.agent = llm.agent) END
        ELSE session_id END AS key,
    count(*) AS llm_calls, coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cache_read_tokens), 0) AS cache_read_tokens,
    coalesce(sum(cache_write_5m_tokens), 0) AS cache_write_5m_tokens,
    coalesce(sum(cache_write_1h_tokens), 0) AS cache_write_1h_tokens,
    sum(NOT final) AS unreliable, sum(input_tokens IS NULL OR output_tokens IS NULL) AS untold,
    coalesce(sum(cost_pico), 0) AS cost_pico, sum(cost_pico IS NULL) AS unpriced,
    sum(NOT final OR input_tokens IS NULL OR output_tokens IS NULL OR cost_pico IS NULL) AS incomplete
FROM llm
WHERE NOT inherited AND session_id IN (SELECT session_id FROM session_day WHERE day BETWEEN :from_day AND :to_day
        AND (:session_id IS NULL OR session_id = :session_id))
    AND (:since_us IS NULL OR start_us >= :since_us) AND (:until_us IS NULL OR start_us <= :until_us)
GROUP BY key;

-- name: cost_silent
-- Subagents of which no model call is recorded, by the same keys.
SELECT
    CASE :by WHEN 'day' THEN date(a.first_us / 1000000, 'unixepoch', :zone)
        WHEN 'model' THEN a.model WHEN 'agent-type' THEN k.agent_type ELSE k.session_id END AS key,
    count(*) AS silent_agents
FROM agent_kind AS k JOIN agent AS a ON a.session_id = k.session_id AND a.agent = k.agent
WHERE k.known AND NOT k.calls_models AND k.agent <> '' AND (:session_id IS NULL OR k.session_id = :session_id)
    AND (:since_us IS NULL OR a.first_us >= :since_us) AND (:until_us IS NULL OR a.first_us <= :until_us)
GROUP BY key;

-- name: cost_sessions
SELECT id, native, title, cwd, cwd_us FROM session;

-- name: problems
SELECT place, start_byte, end_byte, why FROM problem ORDER BY place, start_byte, why LIMIT :most;

-- name: problem_count
SELECT count(*) AS n FROM problem;

-- name: told_by_hooks
-- Sessions of a tool that began since, and those of them that a hook told of: a beginning without a time is a hook's.
SELECT count(*), coalesce(sum(EXISTS (SELECT 1 FROM event AS e
    WHERE e.session_id = s.id AND e.kind = 'session.started' AND e.time_us IS NULL)), 0)
FROM session AS s WHERE source = :source AND first_us >= :since_us;

-- name: kept_types
SELECT type, sum(records) AS records FROM kept GROUP BY type ORDER BY records DESC, type;

-- name: cursors_of_path
SELECT id, generation, consumed_bytes, last_start, last_crc FROM source_file
WHERE path = :path ORDER BY generation DESC LIMIT 1;

-- name: consumed_of_file
SELECT consumed_bytes FROM source_file WHERE id = :id;

-- name: hints
SELECT path, size_bytes, mtime_ns, inode, digest FROM scan_hint;

-- name: workspace_moves
SELECT time_us, old, new FROM workspace_move ORDER BY segment, offset_bytes;

-- name: session_origin
SELECT key, cwd FROM session WHERE id = :session_id;

-- name: forks_of
SELECT native FROM session WHERE forked_from = :session_id
UNION SELECT fork.native FROM session AS origin
    JOIN session AS fork ON fork.source = origin.source AND fork.id <> origin.id
    JOIN event AS e ON e.session_id = fork.id AND e.kind = 'session.started' AND NOT e.inherited
        AND json_extract(e.data, '$.forked_from') = origin.native
    WHERE origin.id = :session_id
ORDER BY 1;

-- name: sources_of_session
SELECT o.source, o.file, f.path, f.generation, f.consumed_bytes, o.records, o.repeated, o.events, o.size_bytes, o.first_us,
    o.last_us, o.recorded_from, o.recorded_to
FROM session_source AS o LEFT JOIN source_file AS f ON f.id = o.file
WHERE o.session_id = :session_id
ORDER BY o.source, f.path, f.generation, o.recorded_from, o.file;

-- name: problems_of_session
SELECT p.place, p.start_byte, p.end_byte, p.why
FROM session_source AS o LEFT JOIN source_file AS f ON f.id = o.file
CROSS JOIN problem AS p ON p.place = coalesce(f.path, 'file ' || o.file)
WHERE o.session_id = :session_id AND o.file <> '' AND o.source <> 'claude.hook'
ORDER BY 1, 2, 4 LIMIT :most;

-- name: calls_seen
SELECT sum(seen = 3) AS both, sum(seen = 1) AS transcript_only, sum(seen = 2) AS hooks_only FROM (
    SELECT sum(how) AS seen FROM (
        SELECT id, 1 AS how FROM span WHERE session_id = :session_id AND kind = 'tool' AND NOT inherited
        UNION ALL SELECT id, 2 FROM told_span WHERE session_id = :session_id AND kind = 'tool')
    GROUP BY id);

-- name: agents_seen
SELECT sum(seen = 3) AS both, sum(seen = 1) AS transcript_only, sum(seen = 2) AS hooks_only FROM (
    SELECT sum(how) AS seen FROM (
        SELECT DISTINCT agent, 1 AS how FROM (SELECT agent FROM span WHERE session_id = :session_id AND NOT inherited
            UNION ALL SELECT agent FROM llm WHERE session_id = :session_id AND NOT inherited)
        UNION ALL SELECT DISTINCT agent, 2 FROM (SELECT agent FROM told_span WHERE session_id = :session_id
            UNION ALL SELECT agent FROM sign WHERE session_id = :session_id))
    GROUP BY agent);

-- name: turns_seen
SELECT (SELECT count(*) FROM span WHERE session_id = :session_id AND kind = 'turn' AND NOT inherited) AS transcript,
    (SELECT count(*) FROM told_span WHERE session_id = :session_id AND kind = 'turn') AS hooks;

-- name: calls_of_hooks_only
SELECT id, agent, name, status FROM told_span AS t
WHERE session_id = :session_id AND kind = 'tool'
    AND NOT EXISTS (SELECT 1 FROM span WHERE session_id = t.session_id AND id = t.id)
ORDER BY position, id LIMIT :most;

-- name: copied
SELECT (SELECT count(*) FROM span WHERE session_id = :session_id AND inherited) AS spans,
    (SELECT count(*) FROM llm WHERE session_id = :session_id AND inherited) AS llm_calls;

-- name: processes_of_session
SELECT host, boot, namespace, pid, start_ticks, began_us, status, waiting_for, since_us, seen_us FROM process
WHERE session_id = :session_id ORDER BY coalesce(began_us, -1), seen_us, pid;

-- name: open_calls
-- Tool calls without a result, with the place of what their agent said last.
SELECT c.id, c.agent, c.name, c.input, c.path, c.position, c.start_us, c.grade,
    (SELECT max(position) FROM llm WHERE session_id = c.session_id AND agent = c.agent) AS said_at,
    EXISTS (SELECT 1 FROM span WHERE session_id = c.session_id AND agent = c.agent AND kind = 'turn' AND position > c.position) AS turned
FROM shown_span AS c WHERE c.session_id = :session_id AND c.kind = 'tool' AND c.status IS NULL AND NOT c.inherited
ORDER BY c.agent, c.position, c.id;

-- name: places_of_calls
SELECT id, agent, position, end_position FROM span
WHERE session_id = :session_id AND id IN (SELECT parent_tool FROM agent WHERE session_id = :session_id);

-- name: files_of_session
SELECT o.source, f.path, o.file FROM session_source AS o JOIN source_file AS f ON f.id = o.file
WHERE o.session_id = :session_id AND f.path IS NOT NULL ORDER BY f.generation DESC, f.path;

-- name: judgements
SELECT agent, verdict, why, time_us FROM judgement WHERE session_id = :session_id;

-- name: judged_sessions
SELECT session_id, verdict, why, time_us FROM judgement WHERE agent = '';

-- name: goes_on_in
-- Forks that did something of their own after all that the session did, the first one first; and the session of a life in which the
-- agent that worked in this one was started again.
SELECT native FROM (
    SELECT f.native, f.first_us FROM session AS s JOIN session AS f ON f.forked_from = s.id
    WHERE s.id = :session_id
        AND (SELECT min(start_us) FROM llm WHERE session_id = f.id AND NOT inherited) >= coalesce(s.last_us, 0)
    UNION SELECT f.native, r.started_us FROM session AS s JOIN run_session AS w ON w.session_id = s.id
    JOIN run AS r ON r.agent = w.agent AND r.attempt > w.attempt AND r.started_us >= coalesce(s.last_us, 0)
    JOIN run_session AS again ON again.agent = r.agent AND again.attempt = r.attempt
    JOIN session AS f ON f.id = again.session_id AND f.id <> s.id AND f.source <> 'run'
    WHERE s.id = :session_id AND w.attempt > 0
) ORDER BY first_us, native;

-- name: agents_by_prefix
SELECT a.session_id, s.native, a.agent FROM known_agent AS a JOIN session AS s ON s.id = a.session_id
WHERE a.agent <> '' AND a.agent >= :prefix AND a.agent < :prefix || char(1114111) ORDER BY s.native, a.agent;

-- name: settled_sessions
-- Those of which a person said what became of them, or that a fork goes on with, and that did nothing since.
SELECT s.native FROM session AS s JOIN judgement AS j ON j.session_id = s.id AND j.agent = ''
WHERE j.time_us >= coalesce(s.last_us, 0)
UNION SELECT s.native FROM session AS s JOIN session AS f ON f.forked_from = s.id
WHERE (SELECT min(start_us) FROM llm WHERE session_id = f.id AND NOT inherited) >= coalesce(s.last_us, 0)
UNION SELECT s.native FROM run_session AS w JOIN session AS s ON s.id = w.session_id
JOIN run AS r ON r.agent = w.agent AND r.attempt > w.attempt AND r.started_us >= coalesce(s.last_us, 0)
JOIN run_session AS again ON again.agent = r.agent AND again.attempt = r.attempt AND again.session_id <> s.id
WHERE w.attempt > 0;

-- name: sessions_with_more
-- Those in which agents have no end that is known, or that somebody tried to resume.
SELECT session_id FROM agent WHERE agent <> '' AND (status IS NULL OR status IN ('interrupted', 'lost'))
UNION SELECT session_id FROM event WHERE kind = 'session.resuming' AND NOT inherited;

-- name: background_commands
SELECT id, agent, input, output, coalesce(end_position, position) AS end_position, coalesce(end_us, start_us) AS at_us FROM span
WHERE session_id = :session_id AND kind = 'tool' AND NOT inherited AND output LIKE 'Command running in background with ID: %'
ORDER BY agent, position, id;

-- name: task_end
SELECT status, told_by, told_at FROM agent WHERE session_id = :session_id AND agent = :task AND status IS NOT NULL;

-- name: checkpoints_last
SELECT workspace, repository, commit_id, max(time_us) AS time_us, trigger_name, note, files, size_bytes,
    count(DISTINCT commit_id) AS checkpoints
FROM checkpoint WHERE kind = 'taken' GROUP BY repository, workspace ORDER BY time_us DESC, workspace;

-- name: checkpoints_named
SELECT DISTINCT commit_id, repository, workspace FROM checkpoint
WHERE kind = 'taken' AND commit_id >= :begins AND commit_id < :begins || 'g' ORDER BY commit_id, repository;

-- name: checkpoints_untold
SELECT t.workspace, t.repository, t.commit_id, t.time_us FROM checkpoint AS t
WHERE t.kind = 'taking' AND NOT EXISTS (SELECT 1 FROM checkpoint AS e WHERE e.attempt = t.id AND e.kind <> 'taking')
ORDER BY t.time_us DESC, t.id;

-- name: checkpoints_repositories
SELECT DISTINCT repository FROM checkpoint ORDER BY repository;

-- name: session_of_key
SELECT id FROM session WHERE key = :key;

-- name: progress
-- What an agent said of its progress, in the order in which it was recorded.
SELECT e.time_us, e.data FROM session AS s CROSS JOIN event AS e ON e.session_id = s.id AND e.kind = 'run.progress'
WHERE s.key = :key AND json_extract(e.data, '$.run') = :run ORDER BY e.segment, e.offset_bytes;

-- name: definitions_all
-- Of this home.
SELECT id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, sha256, before_sha256, previous, path_before, name_before, size_bytes, changed_us, validity, score, batch, own, author, author_grade, reason, host FROM definition_revision WHERE host IS NULL ORDER BY segment, offset_bytes, id;

-- name: definitions_of_homes
SELECT id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, sha256, before_sha256, previous, path_before, name_before, size_bytes, changed_us, validity, score, batch, own, author, author_grade, reason, host FROM definition_revision ORDER BY segment, offset_bytes, id;

-- name: definitions_of_names
-- Every revision of the files that ever had one of these names, also under another one; the name that it is about in front.
WITH wanted AS (SELECT value AS name FROM json_each(:names)), changed AS (
    SELECT name, path, path_before FROM definition_revision WHERE name IN (SELECT name FROM wanted)
    UNION SELECT name_before, path, path_before FROM definition_revision WHERE name_before IN (SELECT name FROM wanted)),
places AS (SELECT name, path FROM changed UNION SELECT name, path_before FROM changed WHERE path_before IS NOT NULL)
SELECT p.name AS wanted, r.id, r.segment, r.offset_bytes, r.time_us, r.operation, r.tool, r.name, r.tier, r.path, r.path_bytes, r.root, r.sha256, r.before_sha256, r.previous, r.path_before, r.name_before, r.size_bytes, r.changed_us, r.validity, r.score, r.batch, r.own, r.author, r.author_grade, r.reason, r.host
FROM places AS p CROSS JOIN definition_revision AS r ON r.path = p.path ORDER BY r.segment, r.offset_bytes, r.id;

-- name: definitions_of_path
SELECT id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, sha256, before_sha256, previous, path_before, name_before, size_bytes, changed_us, validity, score, batch, own, author, author_grade, reason, host FROM definition_revision WHERE path = :path OR path_before = :path ORDER BY segment, offset_bytes, id;

-- name: definitions_at_path
SELECT id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, sha256, before_sha256, previous, path_before, name_before, size_bytes, changed_us, validity, score, batch, own, author, author_grade, reason, host FROM definition_revision WHERE host IS NULL AND path = :path ORDER BY segment, offset_bytes, id;

-- name: definitions_moved
SELECT id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, sha256, before_sha256, previous, path_before, name_before, size_bytes, changed_us, validity, score, batch, own, author, author_grade, reason, host FROM definition_revision WHERE host IS NULL AND path_before IS NOT NULL ORDER BY segment, offset_bytes, id;

-- name: definitions_like
-- Revisions of this home whose id or content begins so.
SELECT id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, sha256, before_sha256, previous, path_before, name_before, size_bytes, changed_us, validity, score, batch, own, author, author_grade, reason, host FROM definition_revision
WHERE host IS NULL AND ((id >= :begins AND id < :begins || 'g') OR (sha256 >= :begins AND sha256 < :begins || 'g'))
ORDER BY segment, offset_bytes, id;

-- name: recent_directories
-- Where sessions worked, the last one first.
SELECT cwd, cwd_us, max(last_us) AS last_us FROM session WHERE cwd IS NOT NULL AND last_us >= :since_us
GROUP BY cwd ORDER BY last_us DESC, cwd LIMIT :most;

-- name: definition_batches
-- How many changes were seen at once.
SELECT batch, count(*) AS n FROM definition_revision WHERE batch IN (SELECT value FROM json_each(:batches)) GROUP BY batch;

-- name: definition_writers
-- Calls that wrote a file of this name around a moment, in sessions that were at work then.
SELECT s.source, s.native, p.agent, a.agent_type, p.id AS call, p.name AS tool, p.path, s.cwd, p.start_us, p.end_us
FROM session AS s CROSS JOIN span AS p ON p.session_id = s.id LEFT JOIN agent AS a ON a.session_id = s.id AND a.agent = p.agent
WHERE s.last_us >= :from_us AND s.first_us <= :until_us AND p.kind = 'tool' AND p.operation <> 'read' AND p.status IS NOT 'failed'
    AND NOT p.inherited AND p.start_us <= :until_us AND coalesce(p.end_us, p.start_us) >= :from_us
    AND (p.path = :file OR substr(p.path, -length(:file) - 1) = '/' || :file)
UNION ALL
SELECT s.source, s.native, e.agent, a.agent_type, e.span, json_extract(e.data, '$.tool'), json_extract(e.data, '$.path'), s.cwd, e.time_us, e.time_us
FROM session AS s CROSS JOIN event AS e ON e.session_id = s.id AND e.kind = 'file.changed'
    LEFT JOIN agent AS a ON a.session_id = s.id AND a.agent = e.agent
WHERE s.last_us >= :from_us AND s.first_us <= :until_us AND NOT e.inherited AND json_extract(e.data, '$.operation') <> 'read' AND e.time_us BETWEEN :from_us AND :until_us
    AND (json_extract(e.data, '$.path') = :file OR substr(json_extract(e.data, '$.path'), -length(:file) - 1) = '/' || :file);

-- name: definitions_of_ids
SELECT id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, sha256, before_sha256, previous, path_before, name_before, size_bytes, changed_us, validity, score, batch, own, author, author_grade, reason, host FROM definition_revision
WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY segment, offset_bytes, id;

-- name: definition_events
SELECT id, time_us, data, host FROM definition_event WHERE kind = :kind ORDER BY segment, offset_bytes, id;

-- name: definitions_any
SELECT 1 FROM definition_revision WHERE host IS NULL LIMIT 1;

-- name: definition_conflicts
-- Every conflict of this home, with what was decided.
SELECT c.segment, c.offset_bytes, c.id, c.time_us, c.operation, c.tool, c.name, c.tier, c.path, c.path_bytes, c.root, c.base, c.ours, c.theirs, c.author, c.author_grade,
    c.reason, r.time_us, r.choice, r.sha256, r.author, r.author_grade, r.reason
FROM definition_conflict AS c LEFT JOIN definition_resolution AS r ON r.conflict = c.id
WHERE c.host IS NULL
ORDER BY c.segment, c.offset_bytes, c.id;
