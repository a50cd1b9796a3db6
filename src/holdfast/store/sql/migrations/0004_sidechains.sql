-- 0004: older layouts of transcripts. Subagents inside their session's file, summaries, costs that the tool reports by call.
--
-- The new tables stay empty here: the store is folded again from the journal.

-- Lines of subagents that stand in their session's own file, with the calls and messages on them: what has the same chain
-- hangs together. `chain` is the agent's name: that of its first line, with `inline-` before.
CREATE TABLE IF NOT EXISTS sidechain (
    session_id INTEGER NOT NULL,
    node TEXT NOT NULL,
    chain TEXT NOT NULL,
    PRIMARY KEY (session_id, node)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sidechain_chain ON sidechain (session_id, chain);

-- What begins a chain: `headless` is 0 if its first line follows none; `prompt` is a digest of that line's text; `call` is the
-- tool call that said so, NULL if none is known.
CREATE TABLE IF NOT EXISTS chain (
    session_id INTEGER NOT NULL,
    chain TEXT NOT NULL,
    headless INTEGER NOT NULL,
    position INTEGER NOT NULL,
    prompt TEXT,
    call TEXT,
    PRIMARY KEY (session_id, chain)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS chain_prompt ON chain (session_id, prompt);

CREATE TABLE IF NOT EXISTS agent_call (
    session_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    prompt TEXT NOT NULL,
    description TEXT,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS agent_call_prompt ON agent_call (session_id, prompt);

-- Lines that a summary may name, and summaries; `mark` is 64 bits of a digest of the line's id.
CREATE TABLE IF NOT EXISTS line (
    mark INTEGER NOT NULL,
    session_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (mark, session_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS summary (
    mark INTEGER NOT NULL,
    title TEXT NOT NULL,
    title_rank INTEGER NOT NULL,
    PRIMARY KEY (mark, title)
) WITHOUT ROWID;

-- What the tool said that a model call cost; never part of a cost of ours.
CREATE TABLE IF NOT EXISTS llm_reported (
    session_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    cost_pico INTEGER NOT NULL,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;

DROP VIEW IF EXISTS known_agent;
CREATE VIEW known_agent AS
SELECT * FROM agent WHERE coalesce(first_us, parent_tool, agent_type, name) IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM span
        WHERE span.id = agent.parent_tool AND span.session_id = agent.session_id AND span.inherited)
    AND NOT EXISTS (SELECT 1 FROM chain AS c WHERE c.session_id = agent.session_id AND c.chain = agent.agent
        AND EXISTS (SELECT 1 FROM event AS e WHERE e.session_id = c.session_id AND e.agent = c.chain AND e.inherited)
        AND NOT EXISTS (SELECT 1 FROM event AS e WHERE e.session_id = c.session_id AND e.agent = c.chain AND NOT e.inherited)
        AND NOT EXISTS (SELECT 1 FROM span AS t WHERE t.session_id = c.session_id AND t.agent = c.chain AND NOT t.inherited)
        AND NOT EXISTS (SELECT 1 FROM llm AS l WHERE l.session_id = c.session_id AND l.agent = c.chain AND NOT l.inherited));

-- Chains that turn out to be one leave a name behind.
DROP TRIGGER IF EXISTS agent_went;
CREATE TRIGGER agent_went AFTER DELETE ON agent
BEGIN
    SELECT holdfast_agent(OLD.session_id, OLD.agent);
END;
