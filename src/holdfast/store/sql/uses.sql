-- Which definitions agents ran with: their uses, and looks at definitions.

-- name: definitions_looks
-- Looks from a directory about a moment: those that began last until then, and first after it.
SELECT from_us, to_us, reach FROM (SELECT from_us, to_us, reach FROM definition_look
    WHERE host = :host AND cwd = :cwd AND from_us <= :at_us ORDER BY from_us DESC, to_us DESC LIMIT :most)
UNION SELECT from_us, to_us, reach FROM (SELECT from_us, to_us, reach FROM definition_look
    WHERE host = :host AND cwd = :cwd AND from_us > :at_us ORDER BY from_us, to_us DESC LIMIT :most);

-- name: definitions_reach
SELECT roots FROM definition_reach WHERE id = :reach;

-- name: uses_of_session
-- Agents of a session under the names of their types. One that Codex started without a role has the one that Codex takes then.
SELECT a.session_id, s.native, s.source, s.cwd, CASE WHEN s.forked_from IS NULL THEN s.first_us
    ELSE coalesce((SELECT min(start_us) FROM span WHERE session_id = s.id AND NOT inherited), s.first_us) END AS began_us, a.agent,
    CASE WHEN a.agent = '' THEN nullif(a.agent_type, 'main') WHEN k.agent_type = '' AND s.source = 'codex' AND a.depth > 0 THEN 'default'
        ELSE k.agent_type END, a.built_in, a.definition,
    coalesce((SELECT nullif(json_group_array(DISTINCT d.model), '[]') FROM llm_day AS d
        WHERE d.session_id = a.session_id AND d.agent = a.agent AND d.model <> ''), json_array(a.model)),
    coalesce(a.first_us, (SELECT min(position) FROM told_span AS t WHERE t.session_id = a.session_id AND t.agent = a.agent)), a.last_us, a.agent = '' OR k.agent_type <> ''
FROM agent_kind AS k JOIN agent AS a ON a.session_id = k.session_id AND a.agent = k.agent JOIN session AS s ON s.id = a.session_id
WHERE k.session_id = :session_id AND k.known
ORDER BY a.agent <> '', a.first_us NULLS LAST, a.agent;

-- name: uses_of_name
SELECT a.session_id, s.native, s.source, s.cwd, CASE WHEN s.forked_from IS NULL THEN s.first_us
    ELSE coalesce((SELECT min(start_us) FROM span WHERE session_id = s.id AND NOT inherited), s.first_us) END AS began_us, a.agent, :name, a.built_in, a.definition,
    coalesce((SELECT nullif(json_group_array(DISTINCT d.model), '[]') FROM llm_day AS d
        WHERE d.session_id = a.session_id AND d.agent = a.agent AND d.model <> ''), json_array(a.model)),
    coalesce(a.first_us, (SELECT min(position) FROM told_span AS t WHERE t.session_id = a.session_id AND t.agent = a.agent)), a.last_us, a.agent_type IS NOT NULL OR :name <> 'default'
FROM agent AS a JOIN session AS s ON s.id = a.session_id
WHERE (a.session_id, a.agent) IN (SELECT session_id, agent FROM agent_kind WHERE agent_type = :name AND known AND agent <> '')
    OR (a.agent = '' AND a.agent_type = :name)
    OR (:name = 'default' AND s.source = 'codex' AND a.depth > 0
        AND (a.session_id, a.agent) IN (SELECT session_id, agent FROM agent_kind WHERE agent_type = '' AND known AND agent <> ''))
ORDER BY a.first_us NULLS LAST, a.session_id, a.agent;

-- name: places_of_session
-- Where a session was when, as its first record and its begins say.
SELECT cwd_us, cwd FROM session WHERE id = :session_id AND cwd IS NOT NULL
UNION ALL SELECT * FROM (SELECT coalesce(time_us, position) AS us, data ->> 'cwd' FROM event
    WHERE session_id = :session_id AND kind = 'session.started' AND NOT inherited AND data ->> 'cwd' IS NOT NULL ORDER BY us);

-- name: names_of_main
SELECT DISTINCT data ->> 'agent_type' FROM event WHERE session_id = :session_id AND kind = 'session.started' AND NOT inherited
    AND data ->> 'agent_type' IS NOT NULL ORDER BY 1;

-- name: uses_last
-- When agents of each name started last, by directory; those that a tool brought along itself ran with no definition.
SELECT s.source, k.agent_type, s.cwd, max(coalesce(a.first_us, a.last_us)) FROM agent_kind AS k
JOIN agent AS a ON a.session_id = k.session_id AND a.agent = k.agent JOIN session AS s ON s.id = k.session_id
WHERE k.known AND k.agent <> '' AND k.agent_type <> '' AND a.built_in IS NOT 1 GROUP BY s.source, k.agent_type, s.cwd
UNION ALL SELECT s.source, a.agent_type, s.cwd, max(coalesce(a.first_us, a.last_us)) FROM agent AS a JOIN session AS s ON s.id = a.session_id
WHERE a.agent = '' AND a.agent_type <> 'main' GROUP BY s.source, a.agent_type, s.cwd
UNION ALL SELECT s.source, 'default', s.cwd, max(coalesce(a.first_us, a.last_us)) FROM session AS s JOIN agent AS a ON a.session_id = s.id
    JOIN agent_kind AS k ON k.session_id = a.session_id AND k.agent = a.agent
WHERE s.source = 'codex' AND a.depth > 0 AND k.agent_type = '' AND k.known GROUP BY s.cwd;

-- name: lives
-- When processes of a session began, or an earlier one had ended: as they were seen, as they were started here, or as it was resumed here.
-- And when hooks told that a process went on with it (resume), or began it because another session was left (clear).
SELECT began_us AS us, 'process' FROM process WHERE session_id = :session_id AND began_us IS NOT NULL
UNION SELECT r.started_us, 'process' FROM run_session AS w JOIN run AS r ON r.agent = w.agent AND r.attempt = w.attempt
    WHERE w.session_id = :session_id AND r.started_us IS NOT NULL AND r.attempt > 0
UNION SELECT r.ended_us, 'process' FROM run_session AS w JOIN run AS r ON r.agent = w.agent AND r.attempt = w.attempt
    WHERE w.session_id = :session_id AND r.ended_us IS NOT NULL AND r.attempt > 0
UNION SELECT tried.time_us, 'process' FROM event AS done JOIN event AS tried
    ON tried.session_id = done.session_id AND tried.id = done.data ->> 'attempt' AND tried.kind = 'session.resuming'
    WHERE done.session_id = :session_id AND done.kind = 'session.resumed' AND NOT done.inherited AND tried.time_us IS NOT NULL
        AND done.data ->> 'new_session' = (SELECT native FROM session WHERE id = :session_id)
UNION SELECT coalesce(time_us, position), data ->> 'reason' FROM event
    WHERE session_id = :session_id AND kind = 'session.started' AND NOT inherited AND data ->> 'reason' IN ('resume', 'clear')
ORDER BY us;

-- name: left_for
-- Sessions that were left for this one at a moment, in the same directory: their process went on with it.
SELECT s.id, s.first_us FROM session AS own JOIN session AS s ON s.source = own.source AND s.cwd = own.cwd AND s.id <> own.id
WHERE own.id = :session_id AND EXISTS (SELECT 1 FROM event AS e WHERE e.session_id = s.id AND e.kind = 'session.ended' AND NOT e.inherited
    AND e.data ->> 'reason' IN ('clear', 'resume') AND coalesce(e.time_us, e.position) BETWEEN :at_us - :slack_us AND :at_us + :slack_us)
LIMIT 2;

-- name: hosts_of_session
SELECT host FROM process WHERE session_id = :session_id AND host <> ''
UNION SELECT r.host FROM run_session AS w JOIN run AS r ON r.agent = w.agent AND r.attempt = w.attempt
    WHERE w.session_id = :session_id AND r.host IS NOT NULL
ORDER BY host;

-- name: transcripts_of_session
SELECT DISTINCT f.path FROM session_source AS o JOIN source_file AS f ON f.id = o.file WHERE o.session_id = :session_id AND f.path IS NOT NULL
ORDER BY length(f.path), f.path LIMIT 2;

-- name: calls_of_session
-- How the agents were called that Holdfast started and that work in a session, and when each life of them began and ended.
SELECT DISTINCT r.started_us, r.ended_us, e.data FROM run_session AS w JOIN run AS r ON r.agent = w.agent AND r.attempt = w.attempt
JOIN run_session AS own ON own.agent = w.agent
JOIN event AS e ON e.session_id = own.session_id AND e.kind = 'run.requested' AND NOT e.inherited AND e.data ->> 'run' = w.agent
WHERE w.session_id = :session_id AND r.attempt > 0 AND r.started_us IS NOT NULL ORDER BY r.started_us, e.segment, e.offset_bytes;

-- name: tools_used
SELECT DISTINCT name FROM shown_span WHERE session_id = :session_id AND agent = :agent AND kind = 'tool' AND status = 'completed'
    AND NOT inherited AND name IS NOT NULL;

-- name: calls_of_agent
-- Calls in their order, and whether a link says that one is another's second try.
SELECT name, input, status, EXISTS (SELECT 1 FROM link AS l WHERE l.session_id = s.session_id AND l.source_span = s.id
    AND l.kind IN ('retry_of', 'redo_of')) FROM shown_span AS s
WHERE session_id = :session_id AND agent = :agent AND kind = 'tool' AND NOT inherited ORDER BY position, id;

-- name: judged_blocked
SELECT 1 FROM event WHERE session_id = :session_id AND kind = 'assessment.made' AND agent = :agent AND NOT inherited
    AND data ->> 'alignment' = 'blocked' LIMIT 1;

-- name: definitions_lying
-- What lies where in this home's reach as it was recorded last: the last word about each path, its being moved away included.
SELECT tool, name, tier, root, path FROM (SELECT tool, name, tier, root, path, sha256, row_number() OVER (PARTITION BY path ORDER BY segment DESC, offset_bytes DESC) AS place
    FROM (SELECT tool, name, tier, root, path, sha256, segment, offset_bytes FROM definition_revision WHERE host IS NULL
        UNION ALL SELECT tool, name, tier, root, path_before, NULL, segment, offset_bytes FROM definition_revision WHERE path_before IS NOT NULL AND host IS NULL))
WHERE place = 1 AND sha256 IS NOT NULL ORDER BY tool, name, path;

-- name: names_in_plugins
SELECT DISTINCT name FROM definition_revision WHERE tool = 'claude' AND tier = 'plugin' ORDER BY name;
