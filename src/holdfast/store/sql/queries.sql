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
    t.turn_at, t.llm_from, t.llm_to, t.stop_reason, t.tool_at, t.tool_end_at, t.mark_at, t.mark, t.exit_at
FROM session AS s
CROSS JOIN session_total AS t ON t.session_id = s.id
LEFT JOIN session AS origin ON origin.id = s.forked_from
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
    t.turn_at, t.llm_from, t.llm_to, t.stop_reason, t.tool_at, t.tool_end_at, t.mark_at, t.mark, t.exit_at
FROM session AS s
CROSS JOIN session_total AS t ON t.session_id = s.id
LEFT JOIN session AS origin ON origin.id = s.forked_from
WHERE s.id = :session_id;

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
    FROM span WHERE session_id = :session_id AND kind = 'tool' AND path IS NOT NULL AND NOT inherited
    UNION ALL
    SELECT json_extract(data, '$.path'), json_extract(data, '$.operation'), 'completed',
        json_extract(data, '$.lines_added'), json_extract(data, '$.lines_removed'), time_us, time_us
    FROM event WHERE session_id = :session_id AND kind = 'file.changed' AND NOT inherited
)
GROUP BY path, operation ORDER BY path, operation;

-- name: failed_tools
SELECT id, agent, name, status, error_type, exit_code, input, output, position, coalesce(end_us, start_us) AS time_us
FROM span WHERE session_id = :session_id AND kind = 'tool' AND NOT inherited
    AND status IN ('failed', 'cancelled', 'interrupted')
ORDER BY agent, position;

-- name: errors_raised
SELECT id, agent, data, position, time_us FROM event
WHERE kind = 'error.raised' AND session_id = :session_id AND NOT inherited ORDER BY agent, position;

-- name: told
SELECT kind, count(*) AS n FROM event WHERE session_id = :session_id AND NOT inherited GROUP BY kind ORDER BY kind;

-- name: spans
SELECT id, kind, agent, name, position, end_position, start_us, end_us, status, input, output, path, error_type, exit_code,
    inherited
FROM span WHERE session_id = :session_id AND kind IN ('tool', 'turn');

-- name: span_nodes
-- Turns stand before model calls, and these before anything else at one position.
SELECT agent, position * 4 + CASE kind WHEN 'turn' THEN 0 ELSE 2 END, id, kind, parent, name, input, status, start_us, end_us, duration_ms, inherited
FROM span WHERE session_id = :session_id ORDER BY id;

-- name: turns
SELECT agent, position, id FROM span WHERE session_id = :session_id AND kind = 'turn' ORDER BY agent, position, id;

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
SELECT 1 AS found FROM span WHERE id = :id AND session_id = :session_id;

-- name: marks
SELECT agent, position, data FROM event
WHERE session_id = :session_id AND kind = 'turn.ended' AND kind IN ('turn.ended', 'session.cost_reported', 'session.ended')
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
