-- Subagents whose lines stand in their session's own file: chains of lines, and the calls that started them.

-- name: known_nodes
SELECT n.node, n.chain FROM json_each(:nodes) AS j
CROSS JOIN sidechain AS n ON n.session_id = :session_id AND n.node = j.value;

-- name: known_chains
SELECT c.chain, c.headless, c.position, c.prompt FROM json_each(:chains) AS j
CROSS JOIN chain AS c ON c.session_id = :session_id AND c.chain = j.value;

-- name: node_known
INSERT INTO sidechain (session_id, node, chain) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- name: chain_known
INSERT INTO chain (session_id, chain, headless, position, prompt)
VALUES (:session_id, :name, :headless, :position, :prompt)
ON CONFLICT DO UPDATE SET headless = excluded.headless, position = excluded.position, prompt = excluded.prompt;

-- name: prompts_within
-- What a chain's own calls said: none of them can have started it.
SELECT DISTINCT c.prompt FROM agent_call AS c CROSS JOIN span AS s ON s.id = c.id AND s.session_id = c.session_id
WHERE c.session_id = :session_id AND s.agent = :old;

-- name: move_nodes
UPDATE sidechain SET chain = :new WHERE session_id = :session_id AND chain = :old;

-- name: move_spans
UPDATE span SET agent = :new WHERE session_id = :session_id AND agent = :old;

-- name: move_llm
UPDATE llm SET agent = :new WHERE session_id = :session_id AND agent = :old;

-- name: move_events
UPDATE event SET agent = :new WHERE session_id = :session_id AND agent = :old;

-- name: merge_agent
-- Which call started it is not carried over: that is settled anew for every chain that changes.
INSERT INTO agent (session_id, agent, agent_type, name, model, first_us, last_us)
SELECT session_id, :new, agent_type, name, model, first_us, last_us FROM agent
WHERE session_id = :session_id AND agent = :old
ON CONFLICT DO UPDATE SET
    agent_type = coalesce(max(agent_type, excluded.agent_type), agent_type, excluded.agent_type),
    name = coalesce(max(name, excluded.name), name, excluded.name),
    model = coalesce(max(model, excluded.model), model, excluded.model),
    first_us = coalesce(min(first_us, excluded.first_us), first_us, excluded.first_us),
    last_us = coalesce(max(last_us, excluded.last_us), last_us, excluded.last_us);

-- name: drop_agent
DELETE FROM agent WHERE session_id = :session_id AND agent = :old;

-- name: drop_chain
DELETE FROM chain WHERE session_id = :session_id AND chain = :old;

-- name: call_known
SELECT prompt FROM agent_call WHERE session_id = :session_id AND id = :id;

-- name: agent_called
INSERT INTO agent_call (session_id, id, prompt, description) VALUES (:session_id, :id, :prompt, :description)
ON CONFLICT DO UPDATE SET
    prompt = max(prompt, excluded.prompt),
    description = coalesce(max(description, excluded.description), description, excluded.description);

-- name: sessions_with_chains
SELECT j.value FROM json_each(:sessions) AS j
WHERE EXISTS (SELECT 1 FROM chain WHERE chain.session_id = j.value);

-- name: prompts_of_calls
SELECT DISTINCT c.prompt FROM json_each(:ids) AS j
CROSS JOIN agent_call AS c ON c.session_id = :session_id AND c.id = j.value;

-- name: chains_told
SELECT chain, position, call FROM chain WHERE session_id = :session_id AND prompt = :prompt;

-- name: calls_telling
SELECT s.position, s.id, s.agent, s.end_position, c.description FROM agent_call AS c
JOIN span AS s ON s.id = c.id AND s.session_id = c.session_id
WHERE c.session_id = :session_id AND c.prompt = :prompt;

-- name: chain_called
UPDATE chain SET call = :call WHERE session_id = :session_id AND chain = :chain;

-- name: agent_called_by
UPDATE agent SET parent_tool = :call, description = :description WHERE session_id = :session_id AND agent = :chain
    AND (parent_tool IS NOT :call OR description IS NOT :description);
