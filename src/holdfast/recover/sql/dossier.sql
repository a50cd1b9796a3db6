-- What a packet is made of. Copied lines are read too: a fork carries on what was copied.

-- name: spans
SELECT id, kind, agent, name, position, end_position, start_us, end_us, status, input, output, path, operation, error_type,
    exit_code, lines_added, lines_removed, inherited
FROM shown_span WHERE session_id = :session_id AND kind IN ('turn', 'tool', 'code') ORDER BY agent, position, id;

-- name: task_calls
SELECT id, kind, agent, name, position, end_position, start_us, end_us, status, input, output, path, operation, error_type,
    exit_code, lines_added, lines_removed, inherited
FROM shown_span WHERE session_id = :session_id AND agent = '' AND kind = 'tool'
    AND name IN ('TodoWrite', 'TaskCreate', 'TaskUpdate', 'update_plan') ORDER BY position, id;

-- name: words
SELECT id, agent, position, time_us, data, segment, offset_bytes FROM event
WHERE session_id = :session_id AND kind = 'message.sent' ORDER BY agent, position, id;

-- name: told
SELECT id, kind, agent, span, position, time_us, data, segment, offset_bytes FROM event
WHERE session_id = :session_id AND kind IN ('case.closed', 'case.decided', 'case.opened', 'decision.made', 'error.raised',
    'file.changed', 'session.started', 'task.completed', 'task.progressed', 'task.started', 'turn.ended', 'validation.completed')
ORDER BY agent, position, id;

-- name: place
SELECT segment, offset_bytes FROM passage WHERE key = ?;
