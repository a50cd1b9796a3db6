-- Statements that keep roll-ups: differences of a batch are added, what comes to nothing goes.

-- name: tool_day
INSERT INTO tool_day VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    calls = calls + excluded.calls, completed = completed + excluded.completed, failed = failed + excluded.failed,
    denied = denied + excluded.denied, interrupted = interrupted + excluded.interrupted, open = open + excluded.open,
    timed = timed + excluded.timed, duration_ms = duration_ms + excluded.duration_ms;

-- name: tool_total
INSERT INTO tool_total VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    calls = calls + excluded.calls, completed = completed + excluded.completed, failed = failed + excluded.failed,
    denied = denied + excluded.denied, interrupted = interrupted + excluded.interrupted, open = open + excluded.open,
    timed = timed + excluded.timed, duration_ms = duration_ms + excluded.duration_ms;

-- name: llm_day
INSERT INTO llm_day VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    calls = calls + excluded.calls, input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
    cache_write_5m_tokens = cache_write_5m_tokens + excluded.cache_write_5m_tokens,
    cache_write_1h_tokens = cache_write_1h_tokens + excluded.cache_write_1h_tokens,
    unreliable = unreliable + excluded.unreliable, untold = untold + excluded.untold,
    cost_pico = cost_pico + excluded.cost_pico, unpriced = unpriced + excluded.unpriced;

-- name: llm_total
INSERT INTO llm_total VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    calls = calls + excluded.calls, input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
    cache_write_5m_tokens = cache_write_5m_tokens + excluded.cache_write_5m_tokens,
    cache_write_1h_tokens = cache_write_1h_tokens + excluded.cache_write_1h_tokens,
    unreliable = unreliable + excluded.unreliable, untold = untold + excluded.untold,
    cost_pico = cost_pico + excluded.cost_pico, unpriced = unpriced + excluded.unpriced;

-- name: error_day
INSERT INTO error_day VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET raised = raised + excluded.raised;

-- name: error_total
INSERT INTO error_total VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET raised = raised + excluded.raised;

-- name: drop_tool_day
DELETE FROM tool_day WHERE session_id = ? AND agent = ? AND day = ? AND tool = ? AND calls = 0;

-- name: drop_tool_total
DELETE FROM tool_total WHERE day = ? AND agent_type = ? AND tool = ? AND calls = 0;

-- name: drop_llm_day
DELETE FROM llm_day WHERE session_id = ? AND agent = ? AND day = ? AND model = ? AND calls = 0;

-- name: drop_llm_total
DELETE FROM llm_total WHERE day = ? AND agent_type = ? AND model = ? AND calls = 0;

-- name: drop_error_day
DELETE FROM error_day WHERE session_id = ? AND day = ? AND agent = ? AND raised = 0;

-- name: drop_error_total
DELETE FROM error_total WHERE day = ? AND agent_type = ? AND raised = 0;

-- name: day_of_session
INSERT OR IGNORE INTO session_day VALUES (:day, :session_id);

-- name: drop_day_of_session
DELETE FROM session_day WHERE day = :day AND session_id = :session_id
    AND NOT EXISTS (SELECT 1 FROM tool_day WHERE day = :day AND session_id = :session_id)
    AND NOT EXISTS (SELECT 1 FROM llm_day WHERE day = :day AND session_id = :session_id)
    AND NOT EXISTS (SELECT 1 FROM error_day WHERE day = :day AND session_id = :session_id);

-- name: agent_kind
-- What an agent is now, and what `agent_kind` holds of it.
SELECT CASE WHEN :agent = '' THEN 'main' WHEN k.agent IS NULL THEN '' ELSE coalesce(k.agent_type, p.operation, '') END,
    k.agent IS NOT NULL, held.agent_type, coalesce(held.known, 0), coalesce(held.uses_tools, 0),
    coalesce(held.calls_models, 0)
FROM (SELECT 1)
LEFT JOIN known_agent AS k ON k.session_id = :session_id AND k.agent = :agent
LEFT JOIN span AS p ON p.session_id = k.session_id AND p.id = k.parent_tool
LEFT JOIN agent_kind AS held ON held.session_id = :session_id AND held.agent = :agent;

-- name: agent_calls
SELECT EXISTS (SELECT 1 FROM tool_day WHERE session_id = :session_id AND agent = :agent),
    EXISTS (SELECT 1 FROM llm_day WHERE session_id = :session_id AND agent = :agent);

-- name: agent_kept
INSERT OR REPLACE INTO agent_kind VALUES (?, ?, ?, ?, ?, ?);

-- name: tools_of_agent
SELECT day, tool, calls, completed, failed, denied, interrupted, open, timed, duration_ms
FROM tool_day WHERE session_id = :session_id AND agent = :agent;

-- name: models_of_agent
SELECT day, model, calls, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens,
    cache_write_1h_tokens, unreliable, untold, cost_pico, unpriced
FROM llm_day WHERE session_id = :session_id AND agent = :agent;

-- name: errors_of_agent
SELECT day, raised FROM error_day WHERE session_id = :session_id AND agent = :agent;

-- name: session_sums
INSERT INTO session_total (session_id, turns, open_spans, errors_raised, agents, silent_agents,
    tool_calls, tool_failed, tool_denied, tool_interrupted, tool_open,
    llm_calls, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
    unreliable, untold, cost_pico, unpriced)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    turns = turns + excluded.turns, open_spans = open_spans + excluded.open_spans,
    errors_raised = errors_raised + excluded.errors_raised, agents = agents + excluded.agents,
    silent_agents = silent_agents + excluded.silent_agents, tool_calls = tool_calls + excluded.tool_calls,
    tool_failed = tool_failed + excluded.tool_failed, tool_denied = tool_denied + excluded.tool_denied,
    tool_interrupted = tool_interrupted + excluded.tool_interrupted, tool_open = tool_open + excluded.tool_open,
    llm_calls = llm_calls + excluded.llm_calls, input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cache_read_tokens = cache_read_tokens + excluded.cache_read_tokens,
    cache_write_5m_tokens = cache_write_5m_tokens + excluded.cache_write_5m_tokens,
    cache_write_1h_tokens = cache_write_1h_tokens + excluded.cache_write_1h_tokens,
    unreliable = unreliable + excluded.unreliable, untold = untold + excluded.untold,
    cost_pico = cost_pico + excluded.cost_pico, unpriced = unpriced + excluded.unpriced;

-- name: session_last
-- What came last in a session, each found by one step into an index: a row's position may still fall, so none is a mere maximum.
-- What hooks alone tell has no time, and its position says when it was recorded: of turns it counts where nothing else tells of any, and
-- the end of a session until it is known to go on.
UPDATE session_total SET
    turn_at = coalesce(
        (SELECT position FROM span WHERE session_id = :session_id AND kind = 'turn' AND start_us IS NOT NULL
            ORDER BY position DESC LIMIT 1),
        (SELECT position FROM span WHERE session_id = :session_id AND kind = 'turn' ORDER BY position DESC LIMIT 1)),
    (llm_from, llm_to, stop_reason) = (SELECT position, end_position, stop_reason FROM llm
        WHERE session_id = :session_id AND agent = '' ORDER BY position DESC, id DESC LIMIT 1),
    (tool_at, tool_end_at) = (SELECT position, end_position FROM span
        WHERE session_id = :session_id AND agent = '' AND kind = 'tool' ORDER BY position DESC, id DESC LIMIT 1),
    (mark_at, mark) = (SELECT position, data FROM event WHERE session_id = :session_id AND agent = ''
        AND kind = 'turn.ended' AND kind IN ('turn.ended', 'session.cost_reported', 'session.ended')
        AND (time_us IS NOT NULL OR NOT EXISTS (SELECT 1 FROM span
            WHERE session_id = :session_id AND kind = 'turn' AND start_us IS NOT NULL))
        ORDER BY position DESC, id DESC LIMIT 1),
    exit_at = (SELECT position FROM event WHERE session_id = :session_id AND agent = ''
        AND (kind = 'session.cost_reported'
            OR (kind = 'session.ended' AND (SELECT source FROM session WHERE id = :session_id) = 'sdk'))
        AND kind IN ('turn.ended', 'session.cost_reported', 'session.ended') ORDER BY position DESC LIMIT 1)
WHERE session_id = :session_id;
