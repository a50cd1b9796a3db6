-- Statements of the search index: writing it, and asking it.

-- name: passage_added
INSERT INTO passage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: passage_by_key
SELECT * FROM passage WHERE key = ?;

-- name: passage_held
SELECT 1 FROM passage WHERE id = ?;

-- name: passage_dropped
DELETE FROM passage WHERE id = ?;

-- name: text_added
INSERT INTO passage_text (rowid, text) VALUES (?, ?);

-- name: text_dropped
DELETE FROM passage_text WHERE rowid = ?;

-- name: total_changed
INSERT INTO meta (key, value) VALUES ('passages', ?) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value;

-- name: newest
-- A passage of an inline subagent names the agent by its line; which chain that is may show later.
-- Read until enough is found: the index gives its numbers falling, and they follow time. Nothing is sorted here.
SELECT t.rowid AS id, p.key, p.session_id, p.kind, coalesce(n.chain, p.agent) AS agent, p.native, p.segment, p.offset_bytes, p.text_chars,
    CASE p.kind WHEN 'title' THEN s.last_us ELSE p.time_us END AS at_us, s.native AS session, s.title,
    CASE x.kind WHEN 'tool' THEN x.name END AS tool, coalesce(x.inherited, e.inherited, 0) AS inherited, NULL AS score
FROM passage_text(:words) AS t
CROSS JOIN passage AS p ON p.id = t.rowid
CROSS JOIN session AS s ON s.id = p.session_id
LEFT JOIN span AS x ON x.id = p.native AND x.session_id = p.session_id
LEFT JOIN event AS e ON e.id = p.native AND e.session_id = p.session_id
LEFT JOIN sidechain AS n ON n.session_id = p.session_id AND n.node = substr(p.agent, 8) AND p.agent GLOB 'inline-*'
WHERE t.rowid BETWEEN :from_id AND :until_id
    AND (:sessions IS NULL OR p.session_id IN (SELECT value FROM json_each(:sessions)))
    AND (:kind IS NULL OR p.kind = :kind)
    AND (:agent IS NULL OR coalesce(n.chain, p.agent) = :agent OR (:agent = 'main' AND p.agent = '')
        OR (coalesce(n.chain, p.agent) > :agent AND coalesce(n.chain, p.agent) < :agent || char(1114111))
        OR EXISTS (SELECT 1 FROM agent_kind AS k
            WHERE k.session_id = p.session_id AND k.agent = coalesce(n.chain, p.agent) AND k.agent_type = :agent)
        OR EXISTS (SELECT 1 FROM agent AS a
            WHERE a.session_id = p.session_id AND a.agent = coalesce(n.chain, p.agent) AND a.name = :agent))
    AND (:tool IS NULL OR (x.kind = 'tool' AND x.name = :tool))
    AND (:since_us IS NULL OR at_us >= :since_us)
    AND (:until_us IS NULL OR at_us <= :until_us)
    AND (:session_id IS NOT NULL OR NOT coalesce(x.inherited, e.inherited, 0))
ORDER BY t.rowid DESC;

-- name: ranked
-- Every match is weighed, so common words take their time.
SELECT t.rowid AS id, p.key, p.session_id, p.kind, coalesce(n.chain, p.agent) AS agent, p.native, p.segment, p.offset_bytes, p.text_chars,
    CASE p.kind WHEN 'title' THEN s.last_us ELSE p.time_us END AS at_us, s.native AS session, s.title,
    CASE x.kind WHEN 'tool' THEN x.name END AS tool, coalesce(x.inherited, e.inherited, 0) AS inherited, t.rank AS score
FROM passage_text(:words) AS t
CROSS JOIN passage AS p ON p.id = t.rowid
CROSS JOIN session AS s ON s.id = p.session_id
LEFT JOIN span AS x ON x.id = p.native AND x.session_id = p.session_id
LEFT JOIN event AS e ON e.id = p.native AND e.session_id = p.session_id
LEFT JOIN sidechain AS n ON n.session_id = p.session_id AND n.node = substr(p.agent, 8) AND p.agent GLOB 'inline-*'
WHERE (t.rowid < 0 OR t.rowid BETWEEN :from_id AND :until_id)
    AND (:sessions IS NULL OR p.session_id IN (SELECT value FROM json_each(:sessions)))
    AND (:kind IS NULL OR p.kind = :kind)
    AND (:agent IS NULL OR coalesce(n.chain, p.agent) = :agent OR (:agent = 'main' AND p.agent = '')
        OR (coalesce(n.chain, p.agent) > :agent AND coalesce(n.chain, p.agent) < :agent || char(1114111))
        OR EXISTS (SELECT 1 FROM agent_kind AS k
            WHERE k.session_id = p.session_id AND k.agent = coalesce(n.chain, p.agent) AND k.agent_type = :agent)
        OR EXISTS (SELECT 1 FROM agent AS a
            WHERE a.session_id = p.session_id AND a.agent = coalesce(n.chain, p.agent) AND a.name = :agent))
    AND (:tool IS NULL OR (x.kind = 'tool' AND x.name = :tool))
    AND (:since_us IS NULL OR at_us >= :since_us)
    AND (:until_us IS NULL OR at_us <= :until_us)
    AND (:session_id IS NOT NULL OR NOT coalesce(x.inherited, e.inherited, 0))
ORDER BY score, at_us DESC NULLS LAST, p.key LIMIT :most;

-- name: passage_count
-- Counting them would take longer than most searches.
SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'passages'), 0);

-- name: sessions_to_search
-- The sessions that can hold a match, and when they were. What a tool did in copied lines is not in the roll-up.
SELECT s.id, s.first_us, s.last_us FROM session AS s
WHERE (:session_id IS NULL OR s.id = :session_id)
    AND (:tool IS NULL OR :session_id IS NOT NULL
        OR s.id IN (SELECT session_id FROM tool_day WHERE tool = :tool))
    AND (:agent IS NULL OR :agent = 'main' OR s.id IN (SELECT session_id FROM agent
        WHERE (agent >= :agent AND agent < :agent || char(1114111)) OR name = :agent
        UNION SELECT session_id FROM agent_kind WHERE agent_type = :agent));

-- name: heads
-- What the rows beside the index hold of a passage's text.
SELECT
    (SELECT input FROM span WHERE id = :native AND session_id = :session_id),
    (SELECT output FROM span WHERE id = :native AND session_id = :session_id),
    (SELECT data FROM event WHERE id = :native AND session_id = :session_id);

-- name: path_of_file
SELECT path FROM source_file WHERE id = ?;

-- ── in memory: where in a text do the words stand ──

-- name: marking_table
CREATE VIRTUAL TABLE marking USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');

-- name: marking_text
INSERT INTO marking (rowid, text) VALUES (?, ?);

-- name: marked
SELECT rowid, highlight(marking, 0, ?, ?) FROM marking(?);
