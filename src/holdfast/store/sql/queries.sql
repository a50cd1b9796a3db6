-- Questions. Nothing here scans events: counts come from roll-ups, order from indexes.

-- name: sessions
SELECT
    s.id, s.key, s.source, s.native, s.title, s.cwd, s.cwd_us, s.git_branch, s.tool_version, s.entrypoint, s.first_us, s.last_us,
    s.reported_cost_usd, origin.native AS forked_from,
    coalesce(t.calls, 0) AS tool_calls, coalesce(t.failed, 0) AS tool_failed, coalesce(t.denied, 0) AS tool_denied,
    coalesce(t.interrupted, 0) AS tool_interrupted, coalesce(t.open, 0) AS tool_open,
    coalesce(l.calls, 0) AS llm_calls, coalesce(l.input_tokens, 0) AS input_tokens,
    coalesce(l.output_tokens, 0) AS output_tokens, coalesce(l.cache_read_tokens, 0) AS cache_read_tokens,
    coalesce(l.cache_write_5m_tokens, 0) AS cache_write_5m_tokens,
    coalesce(l.cache_write_1h_tokens, 0) AS cache_write_1h_tokens, coalesce(l.unreliable, 0) AS unreliable, coalesce(l.untold, 0) AS untold,
    coalesce(l.cost_pico, 0) AS cost_pico, coalesce(l.unpriced, 0) AS unpriced,
    (SELECT count(*) FROM known_agent WHERE session_id = s.id) AS agents,
    (SELECT count(*) FROM known_agent AS k WHERE k.session_id = s.id AND k.agent <> '' AND NOT EXISTS (
        SELECT 1 FROM llm_day AS d WHERE d.session_id = k.session_id AND d.agent = k.agent)) AS silent_agents,
    (SELECT count(*) FROM span WHERE session_id = s.id AND kind = 'turn' AND NOT inherited) AS turns,
    (SELECT count(*) FROM event WHERE kind = 'error.raised' AND session_id = s.id AND NOT inherited) AS errors_raised,
    (SELECT count(*) FROM llm_reported AS r JOIN llm AS c ON c.id = r.id AND c.session_id = r.session_id
        WHERE r.session_id = s.id AND NOT c.inherited) AS reported_calls,
    (SELECT sum(r.cost_pico) FROM llm_reported AS r JOIN llm AS c ON c.id = r.id AND c.session_id = r.session_id
        WHERE r.session_id = s.id AND NOT c.inherited) AS reported_pico,
    CASE WHEN s.source <> 'claude' THEN
        (SELECT count(*) FROM span WHERE session_id = s.id AND status IS NULL) END AS open_spans,
    (SELECT position FROM span WHERE session_id = s.id AND kind = 'turn' ORDER BY position DESC LIMIT 1) AS turn_at,
    (SELECT position FROM llm WHERE session_id = s.id AND agent = '' ORDER BY position DESC LIMIT 1) AS llm_from,
    (SELECT end_position FROM llm WHERE session_id = s.id AND agent = '' ORDER BY position DESC LIMIT 1) AS llm_to,
    (SELECT stop_reason FROM llm WHERE session_id = s.id AND agent = '' ORDER BY position DESC LIMIT 1) AS stop_reason,
    (SELECT position FROM span WHERE session_id = s.id AND agent = '' AND kind = 'tool'
        ORDER BY position DESC LIMIT 1) AS tool_at,
    (SELECT end_position FROM span WHERE session_id = s.id AND agent = '' AND kind = 'tool'
        ORDER BY position DESC LIMIT 1) AS tool_end_at,
    (SELECT position FROM event WHERE session_id = s.id AND agent = '' AND kind = 'turn.ended'
        AND kind IN ('turn.ended', 'session.cost_reported', 'session.ended') ORDER BY position DESC LIMIT 1) AS mark_at,
    (SELECT data FROM event WHERE session_id = s.id AND agent = '' AND kind = 'turn.ended'
        AND kind IN ('turn.ended', 'session.cost_reported', 'session.ended') ORDER BY position DESC LIMIT 1) AS mark,
    (SELECT position FROM event WHERE session_id = s.id AND agent = ''
        AND kind IN ('session.cost_reported', 'session.ended')
        AND kind IN ('turn.ended', 'session.cost_reported', 'session.ended') ORDER BY position DESC LIMIT 1) AS exit_at
FROM session AS s
LEFT JOIN session AS origin ON origin.id = s.forked_from
LEFT JOIN (
    SELECT session_id, sum(calls) AS calls, sum(failed) AS failed, sum(denied) AS denied,
        sum(interrupted) AS interrupted, sum(open) AS open
    FROM tool_day WHERE :only IS NULL OR session_id = :only GROUP BY session_id
) AS t ON t.session_id = s.id
LEFT JOIN (
    SELECT session_id, sum(calls) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_5m_tokens) AS cache_write_5m_tokens,
        sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(unreliable) AS unreliable, sum(untold) AS untold,
        sum(cost_pico) AS cost_pico, sum(unpriced) AS unpriced
    FROM llm_day WHERE :only IS NULL OR session_id = :only GROUP BY session_id
) AS l ON l.session_id = s.id
WHERE :only IS NULL OR s.id = :only
ORDER BY s.last_us DESC NULLS LAST, s.key;

-- name: session_by_prefix
SELECT id, native, key FROM session WHERE native >= :prefix AND native < :prefix || char(1114111)
UNION SELECT id, native, key FROM session WHERE key = :prefix OR native = :prefix
ORDER BY 2, 3;

-- name: agents
SELECT a.*,
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
FROM span WHERE session_id = :session_id AND kind = 'tool' AND path IS NOT NULL AND NOT inherited
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
SELECT id, kind, agent, name, parent, position, end_position, start_us, end_us, status, input, output, path, operation,
    error_type, exit_code, duration_ms, lines_added, lines_removed, inherited
FROM span WHERE session_id = :session_id ORDER BY agent, position, id;

-- name: llm_calls
SELECT id, agent, position, end_position, start_us, end_us, model, final, stop_reason, input_tokens, output_tokens,
    cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cost_pico, inherited
FROM llm WHERE session_id = :session_id ORDER BY agent, position, id;

-- name: events
SELECT id, kind, agent, span, position, time_us, data, inherited
FROM event WHERE session_id = :session_id ORDER BY agent, position, id;

-- name: span_exists
SELECT 1 AS found FROM span WHERE id = :id AND session_id = :session_id;

-- name: marks
SELECT agent, position, data FROM event
WHERE session_id = :session_id AND kind = 'turn.ended' ORDER BY agent, position;

-- name: links
SELECT source_span, target_span, kind FROM link WHERE session_id = :session_id ORDER BY 1, 2, 3;

-- name: stats_tools
SELECT tool, sum(calls) AS calls, sum(completed) AS completed, sum(failed) AS failed, sum(denied) AS denied,
    sum(interrupted) AS interrupted, sum(open) AS open, sum(timed) AS timed, sum(duration_ms) AS duration_ms
FROM tool_day WHERE day BETWEEN :from_day AND :to_day
GROUP BY tool ORDER BY calls DESC, tool;

-- name: stats_models
SELECT model, sum(calls) AS llm_calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(unreliable) AS unreliable, sum(untold) AS untold, sum(cost_pico) AS cost_pico,
    sum(unpriced) AS unpriced
FROM llm_day WHERE day BETWEEN :from_day AND :to_day
GROUP BY model ORDER BY cost_pico DESC, llm_calls DESC, model;

-- name: stats_days
SELECT day, sum(tool_calls) AS tool_calls, sum(not_ok) AS not_ok, sum(llm_calls) AS llm_calls,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(unreliable) AS unreliable, sum(untold) AS untold,
    sum(cost_pico) AS cost_pico, sum(unpriced) AS unpriced, count(DISTINCT session_id) AS sessions
FROM (
    SELECT day, session_id, calls AS tool_calls, failed + denied + interrupted AS not_ok, 0 AS llm_calls,
        0 AS input_tokens, 0 AS output_tokens, 0 AS cache_read_tokens, 0 AS cache_write_5m_tokens,
        0 AS cache_write_1h_tokens, 0 AS unreliable, 0 AS untold, 0 AS cost_pico, 0 AS unpriced
    FROM tool_day WHERE day BETWEEN :from_day AND :to_day
    UNION ALL
    SELECT day, session_id, 0, 0, calls, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
        cache_write_1h_tokens, unreliable, untold, cost_pico, unpriced
    FROM llm_day WHERE day BETWEEN :from_day AND :to_day
    UNION ALL
    SELECT coalesce(time_us / 86400000000, -1) AS day, session_id, 0, count(*), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM event WHERE kind = 'error.raised' AND NOT inherited GROUP BY 1, 2
    HAVING coalesce(time_us / 86400000000, -1) BETWEEN :from_day AND :to_day
) GROUP BY day ORDER BY day;

-- name: stats_agent_tools
SELECT coalesce(CASE WHEN d.agent = '' THEN 'main' ELSE coalesce(a.agent_type, p.operation) END, '') AS agent_type,
    count(DISTINCT d.session_id || '/' || d.agent) AS agents, sum(d.calls) AS tool_calls,
    sum(d.failed + d.denied + d.interrupted) AS not_ok
FROM tool_day AS d
LEFT JOIN known_agent AS a ON a.session_id = d.session_id AND a.agent = d.agent
LEFT JOIN span AS p ON p.id = a.parent_tool AND p.session_id = a.session_id
WHERE d.day BETWEEN :from_day AND :to_day GROUP BY 1;

-- name: stats_agent_errors
SELECT coalesce(CASE WHEN e.agent = '' THEN 'main' ELSE coalesce(a.agent_type, p.operation) END, '') AS agent_type,
    count(*) AS raised
FROM event AS e
LEFT JOIN known_agent AS a ON a.session_id = e.session_id AND a.agent = e.agent
LEFT JOIN span AS p ON p.id = a.parent_tool AND p.session_id = a.session_id
WHERE e.kind = 'error.raised' AND NOT e.inherited
    AND coalesce(e.time_us / 86400000000, -1) BETWEEN :from_day AND :to_day
GROUP BY 1;

-- name: stats_agent_llm
SELECT coalesce(CASE WHEN d.agent = '' THEN 'main' ELSE coalesce(a.agent_type, p.operation) END, '') AS agent_type,
    count(DISTINCT d.session_id || '/' || d.agent) AS agents, sum(d.calls) AS llm_calls,
    sum(d.input_tokens) AS input_tokens, sum(d.output_tokens) AS output_tokens,
    sum(d.cache_read_tokens) AS cache_read_tokens, sum(d.cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(d.cache_write_1h_tokens) AS cache_write_1h_tokens, sum(d.unreliable) AS unreliable, sum(d.untold) AS untold,
    sum(d.cost_pico) AS cost_pico, sum(d.unpriced) AS unpriced
FROM llm_day AS d
LEFT JOIN known_agent AS a ON a.session_id = d.session_id AND a.agent = d.agent
LEFT JOIN span AS p ON p.id = a.parent_tool AND p.session_id = a.session_id
WHERE d.day BETWEEN :from_day AND :to_day GROUP BY 1;

-- name: stats_agent_count
SELECT coalesce(CASE WHEN a.agent = '' THEN 'main' ELSE coalesce(a.agent_type, p.operation) END, '') AS agent_type,
    count(*) AS agents
FROM known_agent AS a
LEFT JOIN span AS p ON p.id = a.parent_tool AND p.session_id = a.session_id
GROUP BY 1;

-- name: problems
SELECT place, start_byte, end_byte, why FROM problem ORDER BY place, start_byte, why LIMIT :most;

-- name: problem_count
SELECT count(*) AS n FROM problem;

-- name: kept_types
SELECT type, sum(records) AS records FROM kept GROUP BY type ORDER BY records DESC, type;

-- name: cursors_of_path
SELECT id, generation, consumed_bytes, last_start, last_crc FROM source_file
WHERE path = :path ORDER BY generation DESC LIMIT 1;

-- name: hints
SELECT path, size_bytes, mtime_ns, inode, digest FROM scan_hint;

-- name: workspace_moves
SELECT time_us, old, new FROM workspace_move ORDER BY segment, offset_bytes;

-- name: session_origin
SELECT key, cwd FROM session WHERE id = :session_id;
