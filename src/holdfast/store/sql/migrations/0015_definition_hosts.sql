-- In which home definitions were seen; NULL, of looks an empty text: in this one.

ALTER TABLE definition_revision ADD COLUMN host TEXT;
ALTER TABLE definition_event ADD COLUMN host TEXT;
ALTER TABLE definition_conflict ADD COLUMN host TEXT;

-- Filled again when the journal is folded.
DROP TABLE IF EXISTS definition_look;
CREATE TABLE definition_look (
    host TEXT NOT NULL,
    cwd TEXT NOT NULL,
    from_us INTEGER NOT NULL,
    to_us INTEGER NOT NULL,
    reach TEXT NOT NULL,
    PRIMARY KEY (host, cwd, from_us, to_us, reach)
) WITHOUT ROWID;
