-- Which definition an agent ran with: whether its tool brings it along, and when somebody looked where definitions lie.

ALTER TABLE agent ADD COLUMN built_in INTEGER;
ALTER TABLE agent ADD COLUMN definition TEXT;

-- Looks at definitions from a working directory, and what each reached: directories as JSON, the strongest first. From `from_us` to `to_us`
-- somebody watched.
CREATE TABLE IF NOT EXISTS definition_reach (
    id TEXT PRIMARY KEY,
    roots TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS definition_look (
    cwd TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER NOT NULL,
    reach TEXT NOT NULL,
    PRIMARY KEY (cwd, from_us, to_us, reach)
) WITHOUT ROWID;
