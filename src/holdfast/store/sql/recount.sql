-- Each roll-up counted again from its rows: how many of its rows are wrong, missing or too many.

-- name: tool_day
WITH counted AS (
    SELECT session_id, agent, coalesce(coalesce(start_us, end_us) / 86400000000, -1), name, count(*),
        sum(status IS 'completed'), sum(status IS 'failed'), sum(status IS 'cancelled'), sum(status IS 'interrupted'),
        sum(status IS NULL), sum(coalesce(duration_ms, (end_us - start_us) / 1000) IS NOT NULL),
        sum(coalesce(duration_ms, (end_us - start_us) / 1000, 0))
    FROM span WHERE kind = 'tool' AND name IS NOT NULL AND NOT inherited GROUP BY 1, 2, 3, 4
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM tool_day EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM tool_day));

-- name: llm_day
WITH counted AS (
    SELECT session_id, agent, coalesce(start_us / 86400000000, -1), coalesce(model, ''), count(*),
        sum(coalesce(input_tokens, 0)), sum(coalesce(output_tokens, 0)), sum(coalesce(cache_read_tokens, 0)),
        sum(coalesce(cache_write_5m_tokens, 0)), sum(coalesce(cache_write_1h_tokens, 0)), sum(NOT final),
        sum(input_tokens IS NULL OR output_tokens IS NULL), sum(coalesce(cost_pico, 0)), sum(cost_pico IS NULL)
    FROM llm WHERE NOT inherited GROUP BY 1, 2, 3, 4
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM llm_day EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM llm_day));

-- name: error_day
WITH counted AS (
    SELECT session_id, coalesce(time_us / 86400000000, -1), agent, count(*)
    FROM event WHERE kind = 'error.raised' AND NOT inherited GROUP BY 1, 2, 3
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM error_day EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM error_day));

-- name: session_day
WITH counted AS (
    SELECT day, session_id FROM tool_day UNION SELECT day, session_id FROM llm_day
    UNION SELECT day, session_id FROM error_day
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM session_day EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM session_day));

-- name: agent_kind
WITH agents AS (
    SELECT session_id, agent FROM agent UNION SELECT session_id, agent FROM tool_day
    UNION SELECT session_id, agent FROM llm_day UNION SELECT session_id, agent FROM error_day
), counted AS (
    SELECT a.session_id, a.agent,
        CASE WHEN a.agent = '' THEN 'main' WHEN k.agent IS NULL THEN '' ELSE coalesce(k.agent_type, p.operation, '') END,
        k.agent IS NOT NULL,
        EXISTS (SELECT 1 FROM tool_day AS t WHERE t.session_id = a.session_id AND t.agent = a.agent),
        EXISTS (SELECT 1 FROM llm_day AS l WHERE l.session_id = a.session_id AND l.agent = a.agent)
    FROM agents AS a
    LEFT JOIN known_agent AS k ON k.session_id = a.session_id AND k.agent = a.agent
    LEFT JOIN span AS p ON p.session_id = k.session_id AND p.id = k.parent_tool
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM agent_kind WHERE known OR uses_tools OR calls_models EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM agent_kind));

-- name: tool_total
WITH counted AS (
    SELECT t.day, k.agent_type, t.tool, sum(t.calls), sum(t.completed), sum(t.failed), sum(t.denied), sum(t.interrupted),
        sum(t.open), sum(t.timed), sum(t.duration_ms)
    FROM tool_day AS t JOIN agent_kind AS k ON k.session_id = t.session_id AND k.agent = t.agent GROUP BY 1, 2, 3
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM tool_total EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM tool_total));

-- name: llm_total
WITH counted AS (
    SELECT l.day, k.agent_type, l.model, sum(l.calls), sum(l.input_tokens), sum(l.output_tokens),
        sum(l.cache_read_tokens), sum(l.cache_write_5m_tokens), sum(l.cache_write_1h_tokens), sum(l.unreliable),
        sum(l.untold), sum(l.cost_pico), sum(l.unpriced)
    FROM llm_day AS l JOIN agent_kind AS k ON k.session_id = l.session_id AND k.agent = l.agent GROUP BY 1, 2, 3
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM llm_total EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM llm_total));

-- name: error_total
WITH counted AS (
    SELECT e.day, k.agent_type, sum(e.raised)
    FROM error_day AS e JOIN agent_kind AS k ON k.session_id = e.session_id AND k.agent = e.agent GROUP BY 1, 2
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM error_total EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM error_total));

-- name: session_total
WITH tools AS (
    SELECT session_id, sum(calls) AS calls, sum(failed) AS failed, sum(denied) AS denied,
        sum(interrupted) AS interrupted, sum(open) AS open
    FROM tool_day GROUP BY session_id
), models AS (
    SELECT session_id, sum(calls) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
        sum(cache_read_tokens) AS cache_read, sum(cache_write_5m_tokens) AS write_5m,
        sum(cache_write_1h_tokens) AS write_1h, sum(unreliable) AS unreliable, sum(untold) AS untold,
        sum(cost_pico) AS cost_pico, sum(unpriced) AS unpriced
    FROM llm_day GROUP BY session_id
), errors AS (SELECT session_id, sum(raised) AS raised FROM error_day GROUP BY session_id),
spans AS (
    SELECT session_id, sum(kind = 'turn' AND NOT inherited) AS turns, sum(status IS NULL) AS open
    FROM span GROUP BY session_id
), agents AS (
    SELECT session_id, sum(known) AS known, sum(known AND agent <> '' AND NOT calls_models) AS silent
    FROM agent_kind GROUP BY session_id
), counted AS (
    SELECT s.id, coalesce(p.turns, 0), coalesce(p.open, 0), coalesce(e.raised, 0), coalesce(a.known, 0),
        coalesce(a.silent, 0), coalesce(t.calls, 0), coalesce(t.failed, 0), coalesce(t.denied, 0),
        coalesce(t.interrupted, 0), coalesce(t.open, 0), coalesce(m.calls, 0), coalesce(m.input_tokens, 0),
        coalesce(m.output_tokens, 0), coalesce(m.cache_read, 0), coalesce(m.write_5m, 0), coalesce(m.write_1h, 0),
        coalesce(m.unreliable, 0), coalesce(m.untold, 0), coalesce(m.cost_pico, 0), coalesce(m.unpriced, 0),
        coalesce((SELECT max(position) FROM span WHERE session_id = s.id AND kind = 'turn' AND start_us IS NOT NULL),
            (SELECT max(position) FROM span WHERE session_id = s.id AND kind = 'turn')),
        (SELECT max(position) FROM llm WHERE session_id = s.id AND agent = ''),
        (SELECT max(position) FROM span WHERE session_id = s.id AND agent = '' AND kind = 'tool'),
        (SELECT max(position) FROM event WHERE session_id = s.id AND agent = '' AND kind = 'turn.ended'
            AND (time_us IS NOT NULL OR NOT EXISTS (SELECT 1 FROM span
                WHERE session_id = s.id AND kind = 'turn' AND start_us IS NOT NULL))),
        (SELECT max(position) FROM event
            WHERE session_id = s.id AND agent = ''
                AND (kind = 'session.cost_reported' OR (kind = 'session.ended' AND s.source = 'sdk')))
    FROM session AS s LEFT JOIN tools AS t ON t.session_id = s.id LEFT JOIN models AS m ON m.session_id = s.id
    LEFT JOIN errors AS e ON e.session_id = s.id LEFT JOIN spans AS p ON p.session_id = s.id
    LEFT JOIN agents AS a ON a.session_id = s.id
), claimed AS (
    SELECT session_id, turns, open_spans, errors_raised, agents, silent_agents, tool_calls, tool_failed, tool_denied,
        tool_interrupted, tool_open, llm_calls, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
        cache_write_1h_tokens, unreliable, untold, cost_pico, unpriced, turn_at, llm_from, tool_at, mark_at, exit_at
    FROM session_total
)
SELECT count(*) FROM (
    SELECT * FROM (SELECT * FROM claimed EXCEPT SELECT * FROM counted)
    UNION ALL SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM claimed));
