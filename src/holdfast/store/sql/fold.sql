-- Statements that fold events into rows. Rival values are settled by comparison, so arrival order does not matter.

-- name: session_id
SELECT id FROM session WHERE key = :key;

-- name: session_highest
SELECT coalesce(max(id), 0) FROM session;

-- name: session_met
INSERT INTO session (id, key, source, native) VALUES (?, ?, ?, ?);

-- name: session_key
SELECT key FROM session WHERE id = :session_id;

-- name: session_seen
UPDATE session SET
    first_us = coalesce(min(first_us, :first_us), first_us, :first_us),
    last_us = coalesce(max(last_us, :last_us), last_us, :last_us),
    last_entry_us = coalesce(max(last_entry_us, :last_entry_us), last_entry_us, :last_entry_us)
WHERE id = :session_id;

-- name: session_entry
SELECT last_entry_us FROM session WHERE id = :session_id;

-- name: session_own
-- The first record that is never copied into a fork, by its place in the transcript.
UPDATE session SET own_position = :own_position, own_from_us = :own_from_us
WHERE id = :session_id AND (own_position IS NULL
    OR (:own_position, :own_from_us) < (own_position, own_from_us))
RETURNING id;

-- name: session_title
UPDATE session SET title = :title, title_rank = :title_rank, title_order = :title_order
WHERE id = :session_id
    AND (:title_rank, :title_order, :title) > (title_rank, title_order, coalesce(title, ''));

-- name: session_cwd
UPDATE session SET cwd = :cwd, cwd_us = :cwd_us
WHERE id = :session_id AND (:cwd_us, :cwd) < (cwd_us, coalesce(cwd, :cwd || x'ff'));

-- name: session_latest
UPDATE session SET
    git_branch = :git_branch, tool_version = :tool_version, entrypoint = :entrypoint, latest_us = :latest_us
WHERE id = :session_id
    AND (:latest_us, coalesce(:tool_version, ''), coalesce(:git_branch, ''), coalesce(:entrypoint, ''))
    > (latest_us, coalesce(tool_version, ''), coalesce(git_branch, ''), coalesce(entrypoint, ''));

-- name: session_cost
UPDATE session SET reported_us = :time_us, reported_cost_usd = :cost_usd
WHERE id = :session_id AND (:time_us, :cost_usd) > (reported_us, coalesce(reported_cost_usd, -1));

-- name: agent_seen
INSERT INTO agent (session_id, agent, first_us, last_us) VALUES (:session_id, :agent, :first_us, :last_us)
ON CONFLICT DO UPDATE SET
    first_us = coalesce(min(first_us, excluded.first_us), first_us, excluded.first_us),
    last_us = coalesce(max(last_us, excluded.last_us), last_us, excluded.last_us);

-- name: agent_started
INSERT INTO agent (session_id, agent, agent_type, name, description, parent_tool, parent_agent, depth, model, background,
    built_in, definition)
VALUES (:session_id, :agent, :agent_type, :name, :description, :parent_tool, :parent_agent, :depth, :model, :background, :built_in, :definition)
ON CONFLICT DO UPDATE SET
    agent_type = coalesce(max(agent_type, excluded.agent_type), agent_type, excluded.agent_type),
    name = coalesce(max(name, excluded.name), name, excluded.name),
    description = coalesce(max(description, excluded.description), description, excluded.description),
    parent_tool = coalesce(max(parent_tool, excluded.parent_tool), parent_tool, excluded.parent_tool),
    parent_agent = coalesce(max(parent_agent, excluded.parent_agent), parent_agent, excluded.parent_agent),
    depth = coalesce(max(depth, excluded.depth), depth, excluded.depth),
    model = coalesce(max(model, excluded.model), model, excluded.model),
    background = coalesce(max(background, excluded.background), background, excluded.background),
    built_in = coalesce(max(built_in, excluded.built_in), built_in, excluded.built_in),
    definition = coalesce(max(definition, excluded.definition), definition, excluded.definition);

-- name: agent_ended
INSERT INTO agent (session_id, agent, status, status_rank, status_us, status_place, reason, told_by, told_at)
VALUES (:session_id, :agent, :status, :status_rank, :status_us, :status_place, :reason, :told_by, :told_at)
ON CONFLICT DO UPDATE SET
    status = excluded.status, status_rank = excluded.status_rank, status_us = excluded.status_us,
    status_place = excluded.status_place, reason = excluded.reason, told_by = excluded.told_by, told_at = excluded.told_at
WHERE (excluded.status_rank, excluded.status_us, excluded.status_place, excluded.status, coalesce(excluded.reason, ''),
        coalesce(excluded.told_by, ''), coalesce(excluded.told_at, -1))
    > (status_rank, status_us, status_place, coalesce(status, ''), coalesce(reason, ''), coalesce(told_by, ''), coalesce(told_at, -1));

-- name: agent_heard
UPDATE agent SET heard = 1 WHERE session_id = :session_id AND agent = :agent;

-- name: span_started
INSERT INTO span (id, session_id, kind, agent, name, parent, position, start_us, input, path, operation)
VALUES (:id, :session_id, :kind, :agent, :name, :parent, :position, :start_us, :input, :path, :operation)
ON CONFLICT DO UPDATE SET
    kind = min(kind, excluded.kind),
    agent = max(agent, excluded.agent),
    name = coalesce(max(name, excluded.name), name, excluded.name),
    parent = coalesce(max(parent, excluded.parent), parent, excluded.parent),
    position = min(position, excluded.position),
    start_us = coalesce(min(start_us, excluded.start_us), start_us, excluded.start_us),
    input = coalesce(max(input, excluded.input), input, excluded.input),
    path = coalesce(max(path, excluded.path), path, excluded.path),
    operation = coalesce(max(operation, excluded.operation), operation, excluded.operation);

-- name: span_touched
-- An end may arrive before its start: make the row, then `span_ended` decides whose end counts.
INSERT INTO span (id, session_id, kind, agent, name, position, end_position, operation)
VALUES (:id, :session_id, :kind, :agent, :name, :position, :position, :operation)
ON CONFLICT DO UPDATE SET
    kind = min(kind, excluded.kind),
    agent = max(agent, excluded.agent),
    name = coalesce(max(name, excluded.name), name, excluded.name),
    position = min(position, excluded.position),
    end_position = coalesce(min(end_position, excluded.end_position), excluded.end_position),
    operation = coalesce(max(operation, excluded.operation), operation, excluded.operation);

-- name: span_ended
UPDATE span SET
    end_us = :end_us, status = :status, status_rank = :status_rank, status_us = :status_us,
    status_place = :status_place, output = :output,
    error_type = :error_type, exit_code = :exit_code, duration_ms = :duration_ms,
    lines_added = :lines_added, lines_removed = :lines_removed
WHERE id = :id AND session_id = :session_id
    AND (:status_rank, :status_us, :status_place, :status, coalesce(:output, ''))
    > (status_rank, status_us, status_place, coalesce(status, ''), coalesce(output, ''));

-- name: llm_called
INSERT INTO llm (id, session_id, agent, position, end_position, start_us, end_us, model, final, stop_reason, usage_us,
    input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cost_pico)
VALUES (:id, :session_id, :agent, :position, :position, :time_us, :time_us, :model, :final, :stop_reason, :usage_us,
    :input_tokens, :output_tokens, :cache_read_tokens, :cache_write_5m_tokens, :cache_write_1h_tokens, :cost_pico)
ON CONFLICT DO UPDATE SET
    agent = max(agent, excluded.agent),
    position = min(position, excluded.position),
    end_position = max(end_position, excluded.end_position),
    start_us = coalesce(min(start_us, excluded.start_us), start_us, excluded.start_us),
    end_us = coalesce(max(end_us, excluded.end_us), end_us, excluded.end_us);

-- name: llm_usage
-- The last line of a message holds its usage; a line with a stop reason is later than one without.
UPDATE llm SET
    model = :model, final = :final, stop_reason = :stop_reason, usage_us = :usage_us,
    input_tokens = :input_tokens, output_tokens = :output_tokens, cache_read_tokens = :cache_read_tokens,
    cache_write_5m_tokens = :cache_write_5m_tokens, cache_write_1h_tokens = :cache_write_1h_tokens,
    cost_pico = :cost_pico
WHERE id = :id AND session_id = :session_id
    AND (:final, :usage_us, coalesce(:output_tokens, -1), coalesce(:input_tokens, -1),
        coalesce(:cache_read_tokens, -1), coalesce(:cache_write_5m_tokens, -1),
        coalesce(:cache_write_1h_tokens, -1), coalesce(:stop_reason, ''), coalesce(:model, ''))
    > (final, usage_us, coalesce(output_tokens, -1), coalesce(input_tokens, -1),
        coalesce(cache_read_tokens, -1), coalesce(cache_write_5m_tokens, -1),
        coalesce(cache_write_1h_tokens, -1), coalesce(stop_reason, ''), coalesce(model, ''));

-- name: calls_without_model
-- Answers of a turn that name no model, with the one that the turn names.
SELECT llm.id, json_extract(event.data, '$.model'), input_tokens, output_tokens, cache_read_tokens,
    cache_write_5m_tokens, cache_write_1h_tokens
FROM event JOIN llm ON llm.session_id = event.session_id AND llm.id >= :turn || '/' AND llm.id < :turn || '0'
WHERE event.session_id = :session_id AND event.id = :context AND event.kind = 'turn.noted' AND llm.model IS NULL
    AND json_extract(event.data, '$.model') IS NOT NULL;

-- name: llm_model
UPDATE llm SET model = :model, cost_pico = :cost_pico WHERE session_id = :session_id AND id = :id AND model IS NULL;

-- name: llm_reported
INSERT INTO llm_reported (session_id, id, cost_pico) VALUES (:session_id, :id, :cost_pico)
ON CONFLICT DO UPDATE SET cost_pico = max(cost_pico, excluded.cost_pico);

-- name: line_noted
INSERT INTO line (mark, session_id, position) VALUES (:mark, :session_id, :position)
ON CONFLICT DO UPDATE SET position = excluded.position WHERE excluded.position > position;

-- name: summary_told
INSERT INTO summary (mark, title, title_rank) VALUES (:mark, :title, :title_rank)
ON CONFLICT DO UPDATE SET title_rank = excluded.title_rank WHERE excluded.title_rank > title_rank;

-- name: summaries_of_lines
SELECT line.session_id, summary.title_rank, line.position, summary.title FROM json_each(:marks) AS j
CROSS JOIN summary ON summary.mark = j.value CROSS JOIN line ON line.mark = summary.mark;

-- name: event_told
INSERT INTO event (id, session_id, kind, agent, span, position, time_us, data, segment, offset_bytes)
VALUES (:id, :session_id, :kind, :agent, :span, :position, :time_us, :data, :segment, :offset_bytes)
ON CONFLICT DO UPDATE SET
    position = min(position, excluded.position),
    time_us = coalesce(min(time_us, excluded.time_us), time_us, excluded.time_us),
    kind = max(kind, excluded.kind),
    data = max(data, excluded.data);

-- name: link_told
INSERT INTO link (session_id, source_span, target_span, kind)
VALUES (:session_id, :source_span, :target_span, :kind) ON CONFLICT DO NOTHING;

-- name: source_declared
INSERT INTO source_file (id, source, path, generation) VALUES (:id, :source, :path, :generation)
ON CONFLICT DO UPDATE SET source = excluded.source, path = excluded.path, generation = excluded.generation;

-- name: source_read
INSERT INTO source_file (id, source, consumed_bytes, last_start, last_crc, records)
VALUES (:id, :source, :consumed_bytes, :last_start, :last_crc, :records)
ON CONFLICT DO UPDATE SET
    records = records + excluded.records,
    last_start = excluded.last_start, last_crc = excluded.last_crc, consumed_bytes = excluded.consumed_bytes;

-- name: kept_more
INSERT INTO kept (file, type, records) VALUES (:file, :type, :records)
ON CONFLICT DO UPDATE SET records = records + excluded.records;

-- name: problem_seen
INSERT INTO problem (place, start_byte, end_byte, why) VALUES (:place, :start_byte, :end_byte, :why)
ON CONFLICT DO NOTHING;

-- name: cursor_moved
INSERT INTO cursor (segment, offset_bytes, last_start, last_id)
VALUES (:segment, :offset_bytes, :last_start, :last_id)
ON CONFLICT DO UPDATE SET
    offset_bytes = excluded.offset_bytes, last_start = excluded.last_start, last_id = excluded.last_id;

-- name: key_used
-- The first record with a key is the event; later ones with the same id say nothing.
INSERT INTO keyed (id, segment, offset_bytes) VALUES (:id, :segment, :offset_bytes)
ON CONFLICT DO NOTHING;

-- name: own_before
-- Copied lines of a fork stand behind its first own record, but are older. Lines of subagents in the same file are copied alike.
SELECT id FROM session WHERE id = :session_id AND first_us < own_from_us - :slack_us;

-- name: inherit_spans
UPDATE span SET inherited = 1
FROM (SELECT own_position, own_from_us - :slack_us AS before_us FROM session WHERE id = :session_id) AS own
WHERE span.session_id = :session_id AND (span.agent = '' OR span.agent BETWEEN 'inline-' AND 'inline.') AND NOT inherited
    AND span.position > own.own_position AND coalesce(start_us, end_us) < own.before_us;

-- name: inherit_llm
UPDATE llm SET inherited = 1
FROM (SELECT own_position, own_from_us - :slack_us AS before_us FROM session WHERE id = :session_id) AS own
WHERE llm.session_id = :session_id AND (llm.agent = '' OR llm.agent BETWEEN 'inline-' AND 'inline.') AND NOT inherited
    AND llm.position > own.own_position AND start_us < own.before_us;

-- name: inherit_events
UPDATE event SET inherited = 1
FROM (SELECT own_position, own_from_us - :slack_us AS before_us FROM session WHERE id = :session_id) AS own
WHERE event.session_id = :session_id AND (event.agent = '' OR event.agent BETWEEN 'inline-' AND 'inline.') AND NOT inherited
    AND event.position > own.own_position AND time_us < own.before_us;

-- name: inherit_some_spans
UPDATE span SET inherited = 1
FROM (SELECT own_position, own_from_us - :slack_us AS before_us FROM session WHERE id = :session_id) AS own
WHERE span.session_id = :session_id AND span.id IN (SELECT value FROM json_each(:ids))
    AND (span.agent = '' OR span.agent BETWEEN 'inline-' AND 'inline.') AND NOT inherited
    AND span.position > own.own_position AND coalesce(start_us, end_us) < own.before_us;

-- name: disown_spans
UPDATE span SET inherited = 0 WHERE session_id = :session_id AND inherited;

-- name: inherit_some_llm
UPDATE llm SET inherited = 1
FROM (SELECT own_position, own_from_us - :slack_us AS before_us FROM session WHERE id = :session_id) AS own
WHERE llm.session_id = :session_id AND llm.id IN (SELECT value FROM json_each(:ids))
    AND (llm.agent = '' OR llm.agent BETWEEN 'inline-' AND 'inline.') AND NOT inherited
    AND llm.position > own.own_position AND start_us < own.before_us;

-- name: disown_llm
UPDATE llm SET inherited = 0 WHERE session_id = :session_id AND inherited;

-- name: inherit_some_events
UPDATE event SET inherited = 1
FROM (SELECT own_position, own_from_us - :slack_us AS before_us FROM session WHERE id = :session_id) AS own
WHERE event.session_id = :session_id AND event.id IN (SELECT value FROM json_each(:ids))
    AND (event.agent = '' OR event.agent BETWEEN 'inline-' AND 'inline.') AND NOT inherited
    AND event.position > own.own_position AND time_us < own.before_us;

-- name: disown_events
UPDATE event SET inherited = 0 WHERE session_id = :session_id AND inherited;

-- name: shared_in_batch
SELECT 1 FROM json_each(:ids) AS j WHERE
    EXISTS (SELECT 1 FROM span WHERE id = j.value AND session_id <> :session_id)
    OR EXISTS (SELECT 1 FROM llm WHERE id = j.value AND session_id <> :session_id)
    OR EXISTS (SELECT 1 FROM event WHERE id = j.value AND session_id <> :session_id) LIMIT 1;

-- name: kin_open
SELECT low, high FROM kin WHERE NOT settled;

-- name: kin_of
SELECT low, high FROM kin WHERE low = :session_id OR high = :session_id;

-- name: kin_settled
UPDATE kin SET settled = 1 WHERE NOT settled;

-- name: session_ages
SELECT id, own_position, own_from_us, last_entry_us, key FROM session WHERE id IN (SELECT value FROM json_each(:sessions));

-- name: shared_spans
SELECT id, session_id, agent, position, coalesce(start_us, end_us), inherited FROM span
WHERE session_id IN (SELECT value FROM json_each(:sessions)) AND id IN (
    SELECT id FROM span WHERE session_id IN (SELECT value FROM json_each(:sessions))
    GROUP BY id HAVING count(*) > 1);

-- name: shared_llm
SELECT id, session_id, agent, position, start_us, inherited FROM llm
WHERE session_id IN (SELECT value FROM json_each(:sessions)) AND id IN (
    SELECT id FROM llm WHERE session_id IN (SELECT value FROM json_each(:sessions))
    GROUP BY id HAVING count(*) > 1);

-- name: shared_events
SELECT id, session_id, agent, position, time_us, inherited FROM event
WHERE session_id IN (SELECT value FROM json_each(:sessions)) AND id IN (
    SELECT id FROM event WHERE session_id IN (SELECT value FROM json_each(:sessions))
    GROUP BY id HAVING count(*) > 1);

-- name: mark_span
UPDATE span SET inherited = :inherited WHERE id = :id AND session_id = :session_id;

-- name: mark_llm
UPDATE llm SET inherited = :inherited WHERE id = :id AND session_id = :session_id;

-- name: mark_event
UPDATE event SET inherited = :inherited WHERE id = :id AND session_id = :session_id;

-- name: session_forked
UPDATE session SET forked_from = :origin WHERE id = :session_id AND forked_from IS NOT :origin;

-- name: hint_kept
INSERT OR REPLACE INTO scan_hint (path, size_bytes, mtime_ns, inode, digest) VALUES (?, ?, ?, ?, ?);

-- name: hint_dropped
DELETE FROM scan_hint WHERE path = ?;

-- name: workspace_moved
-- The first record with an id is the move, whichever is folded first.
INSERT INTO workspace_move (id, segment, offset_bytes, time_us, old, new)
VALUES (:id, :segment, :offset_bytes, :time_us, :old, :new)
ON CONFLICT DO UPDATE SET
    segment = excluded.segment, offset_bytes = excluded.offset_bytes, time_us = excluded.time_us,
    old = excluded.old, new = excluded.new
WHERE (excluded.segment, excluded.offset_bytes) < (segment, offset_bytes);

-- name: recovery_judged
-- What was said last holds, in the order of the journal.
INSERT INTO judgement (session_id, agent, segment, offset_bytes, time_us, verdict, why)
VALUES (:session_id, :agent, :segment, :offset_bytes, :time_us, :verdict, :why)
ON CONFLICT DO UPDATE SET
    segment = excluded.segment, offset_bytes = excluded.offset_bytes, time_us = excluded.time_us,
    verdict = excluded.verdict, why = excluded.why
WHERE (excluded.segment, excluded.offset_bytes) > (segment, offset_bytes);

-- name: run_asked
INSERT INTO run (agent, attempt, name, parent, started_us) VALUES (:agent, 0, :name, :parent, :started_us)
ON CONFLICT DO UPDATE SET
    name = coalesce(max(name, excluded.name), name, excluded.name),
    parent = coalesce(max(parent, excluded.parent), parent, excluded.parent),
    started_us = coalesce(min(started_us, excluded.started_us), started_us, excluded.started_us);

-- name: run_begun
INSERT INTO run (agent, attempt, host, boot, pid, start_ticks, started_us)
VALUES (:agent, :attempt, :host, :boot, :pid, :start_ticks, :started_us)
ON CONFLICT DO UPDATE SET
    host = coalesce(max(host, excluded.host), host, excluded.host),
    boot = coalesce(max(boot, excluded.boot), boot, excluded.boot),
    pid = coalesce(max(pid, excluded.pid), pid, excluded.pid),
    start_ticks = coalesce(max(start_ticks, excluded.start_ticks), start_ticks, excluded.start_ticks),
    started_us = coalesce(min(started_us, excluded.started_us), started_us, excluded.started_us);

-- name: run_ended
-- What was told first holds, in the order of the journal.
INSERT INTO run (agent, attempt, state, exit_code, signal, asked, why, ended_us, segment, offset_bytes)
VALUES (:agent, :attempt, :state, :exit_code, :signal, :asked, :why, :ended_us, :segment, :offset_bytes)
ON CONFLICT DO UPDATE SET
    state = excluded.state, exit_code = excluded.exit_code, signal = excluded.signal, asked = excluded.asked, why = excluded.why,
    ended_us = excluded.ended_us, segment = excluded.segment, offset_bytes = excluded.offset_bytes
WHERE segment IS NULL OR (excluded.segment, excluded.offset_bytes) < (segment, offset_bytes);

-- name: run_in
INSERT INTO run_session (session_id, agent, attempt) VALUES (:session_id, :agent, :attempt) ON CONFLICT DO NOTHING;

-- name: checkpoint_told
INSERT INTO checkpoint (id, kind, attempt, time_us, workspace, repository, commit_id, trigger_name, note, files, size_bytes)
VALUES (:id, :kind, :attempt, :time_us, :workspace, :repository, :commit_id, :trigger_name, :note, :files, :size_bytes)
ON CONFLICT DO NOTHING;

-- name: definition_revised
INSERT INTO definition_revision (id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, sha256,
    before_sha256, previous, path_before, name_before, size_bytes, changed_us, validity, score, batch, own, author, author_grade, reason, host)
VALUES (:id, :segment, :offset_bytes, :time_us, :operation, :tool, :name, :tier, :path, :path_bytes, :root, :sha256,
    :before_sha256, :previous, :path_before, :name_before, :size_bytes, :changed_us, :validity, :score, :batch, :own, :author, :author_grade, :reason, :host)
ON CONFLICT DO UPDATE SET segment = excluded.segment, offset_bytes = excluded.offset_bytes
WHERE (excluded.segment, excluded.offset_bytes) < (segment, offset_bytes);

-- name: definition_told
INSERT INTO definition_event (id, segment, offset_bytes, time_us, kind, data, host)
VALUES (:id, :segment, :offset_bytes, :time_us, :told, :data, :host) ON CONFLICT DO NOTHING;

-- name: definitions_reached
INSERT INTO definition_reach (id, roots) VALUES (:id, :roots) ON CONFLICT DO NOTHING;

-- name: definitions_looked
INSERT INTO definition_look (host, cwd, from_us, to_us, reach) VALUES (:host, :cwd, :from_us, :to_us, :reach) ON CONFLICT DO NOTHING;

-- name: definition_conflicted
INSERT INTO definition_conflict (id, segment, offset_bytes, time_us, operation, tool, name, tier, path, path_bytes, root, base, ours, theirs,
    author, author_grade, reason, host)
VALUES (:id, :segment, :offset_bytes, :time_us, :operation, :tool, :name, :tier, :path, :path_bytes, :root, :base, :ours, :theirs,
    :author, :author_grade, :reason, :host)
ON CONFLICT DO UPDATE SET segment = excluded.segment, offset_bytes = excluded.offset_bytes
WHERE (excluded.segment, excluded.offset_bytes) < (segment, offset_bytes);

-- name: definition_resolved
INSERT INTO definition_resolution (conflict, segment, offset_bytes, time_us, choice, sha256, author, author_grade, reason)
VALUES (:conflict, :segment, :offset_bytes, :time_us, :choice, :sha256, :author, :author_grade, :reason)
ON CONFLICT DO UPDATE SET segment = excluded.segment, offset_bytes = excluded.offset_bytes, time_us = excluded.time_us, choice = excluded.choice,
    sha256 = excluded.sha256, author = excluded.author, author_grade = excluded.author_grade, reason = excluded.reason
WHERE (excluded.segment, excluded.offset_bytes) < (segment, offset_bytes);

-- name: process_sighted
INSERT INTO process (session_id, host, boot, namespace, pid, start_ticks, began_us, status, waiting_for, since_us, seen_us)
VALUES (:session_id, :host, :boot, :namespace, :pid, :start_ticks, :began_us, :status, :waiting_for, :since_us, :seen_us)
ON CONFLICT DO UPDATE SET
    began_us = excluded.began_us, status = excluded.status, waiting_for = excluded.waiting_for,
    since_us = excluded.since_us, seen_us = excluded.seen_us
WHERE (excluded.since_us, excluded.seen_us, coalesce(excluded.status, ''), coalesce(excluded.waiting_for, ''), coalesce(excluded.began_us, -1))
    > (since_us, seen_us, coalesce(status, ''), coalesce(waiting_for, ''), coalesce(began_us, -1));

-- name: sign_seen
INSERT INTO sign (session_id, agent, sign, position, data) VALUES (:session_id, :agent, :sign, :position, :data)
ON CONFLICT DO UPDATE SET position = excluded.position, data = excluded.data
WHERE (excluded.position, excluded.data) > (position, data);

-- name: work_told
-- What began it counts from the first that told of it, how it ended from the first that told that.
INSERT INTO told_span (session_id, id, kind, agent, name, input, path, operation, position, end_position, status, output, error_type,
    exit_code, duration_ms, lines_added, lines_removed, shown_position, shown)
VALUES (:session_id, :id, :kind, :agent, :name, :input, :path, :operation, :position, :end_position, :status, :output, :error_type,
    :exit_code, :duration_ms, :lines_added, :lines_removed, :shown_position, :shown)
ON CONFLICT DO UPDATE SET
    (kind, agent, name, input, path, operation, position) = (
        SELECT kind, agent, name, input, path, operation, position FROM (
            SELECT told_span.kind AS kind, told_span.agent AS agent, told_span.name AS name, told_span.input AS input,
                told_span.path AS path, told_span.operation AS operation, told_span.position AS position
            UNION ALL SELECT excluded.kind, excluded.agent, excluded.name, excluded.input, excluded.path, excluded.operation,
                excluded.position
        ) ORDER BY position, kind, agent, name, input, path, operation LIMIT 1),
    (end_position, status, output, error_type, exit_code, duration_ms, lines_added, lines_removed) = (
        SELECT end_position, status, output, error_type, exit_code, duration_ms, lines_added, lines_removed FROM (
            SELECT told_span.end_position AS end_position, told_span.status AS status, told_span.output AS output,
                told_span.error_type AS error_type, told_span.exit_code AS exit_code, told_span.duration_ms AS duration_ms,
                told_span.lines_added AS lines_added, told_span.lines_removed AS lines_removed
            UNION ALL SELECT excluded.end_position, excluded.status, excluded.output, excluded.error_type, excluded.exit_code,
                excluded.duration_ms, excluded.lines_added, excluded.lines_removed
        ) ORDER BY end_position IS NULL, end_position, status, output LIMIT 1),
    (shown_position, shown) = (
        SELECT shown_position, shown FROM (
            SELECT told_span.shown_position AS shown_position, told_span.shown AS shown
            UNION ALL SELECT excluded.shown_position, excluded.shown
        ) ORDER BY shown_position IS NULL, shown_position, shown LIMIT 1);

-- name: source_told
INSERT INTO session_source (session_id, source, file, records, repeated, events, size_bytes, first_us, last_us, recorded_from,
    recorded_to)
VALUES (:session_id, :source, :file, :records, :repeated, :events, :size_bytes, :first_us, :last_us, :recorded_from, :recorded_to)
ON CONFLICT DO UPDATE SET
    records = records + excluded.records, repeated = repeated + excluded.repeated, events = events + excluded.events,
    size_bytes = size_bytes + excluded.size_bytes,
    first_us = coalesce(min(first_us, excluded.first_us), first_us, excluded.first_us),
    last_us = coalesce(max(last_us, excluded.last_us), last_us, excluded.last_us),
    recorded_from = min(recorded_from, excluded.recorded_from), recorded_to = max(recorded_to, excluded.recorded_to);
