-- The tables of `holdfast export --format parquet`, column by column in the order of `transfer/tables.py`.
-- :sessions is a JSON list of session rows, or null for all.

-- name: sessions
SELECT s.source, s.native, s.title, s.cwd, s.git_branch, s.tool_version, s.entrypoint, s.first_us, s.last_us,
    s.reported_cost_usd,
    coalesce((SELECT json_extract(data, '$.forked_from') FROM event WHERE session_id = s.id AND kind = 'session.started'
        AND NOT inherited AND json_extract(data, '$.forked_from') IS NOT NULL ORDER BY position LIMIT 1), origin.native),
    s.cwd_us
FROM session AS s LEFT JOIN session AS origin ON origin.id = s.forked_from
WHERE :sessions IS NULL OR s.id IN (SELECT value FROM json_each(:sessions))
ORDER BY s.key;

-- name: agents
SELECT s.source, s.native, a.agent, a.agent_type, a.name, a.description, a.parent_tool, a.parent_agent, a.depth, a.model,
    a.background, a.first_us, a.last_us, a.status, a.reason
FROM session AS s JOIN known_agent AS a ON a.session_id = s.id
WHERE :sessions IS NULL OR s.id IN (SELECT value FROM json_each(:sessions))
ORDER BY s.key, a.agent;

-- name: spans
SELECT s.source, s.native, p.id, p.kind, p.agent, p.name, p.parent, p.start_us, p.end_us, p.status, p.input, p.output,
    p.path, p.operation, p.error_type, p.exit_code, p.duration_ms, p.lines_added, p.lines_removed, p.position, p.inherited
FROM session AS s JOIN span AS p ON p.session_id = s.id
WHERE :sessions IS NULL OR s.id IN (SELECT value FROM json_each(:sessions))
ORDER BY s.key, p.agent, p.position, p.id;

-- name: llm_calls
SELECT s.source, s.native, l.id, l.agent, l.model, l.start_us, l.end_us, l.stop_reason, l.final, l.input_tokens,
    l.output_tokens, l.cache_read_tokens, l.cache_write_5m_tokens, l.cache_write_1h_tokens, l.cost_pico, l.position,
    l.inherited
FROM session AS s JOIN llm AS l ON l.session_id = s.id
WHERE :sessions IS NULL OR s.id IN (SELECT value FROM json_each(:sessions))
ORDER BY s.key, l.agent, l.position, l.id;

-- name: events
SELECT s.source, s.native, e.id, e.kind, e.agent, e.span, e.time_us, e.data, e.position, e.inherited
FROM session AS s JOIN event AS e ON e.session_id = s.id
WHERE :sessions IS NULL OR s.id IN (SELECT value FROM json_each(:sessions))
ORDER BY s.key, e.agent, e.position, e.id;
