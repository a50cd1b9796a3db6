-- Passages and their search index. Folding again fills them.

CREATE TABLE IF NOT EXISTS passage (
    id INTEGER PRIMARY KEY,
    key INTEGER NOT NULL UNIQUE,
    session_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    native TEXT NOT NULL,
    time_us INTEGER,
    segment INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,
    text_chars INTEGER NOT NULL,
    text_check INTEGER NOT NULL
);

-- The words of the passage with the same number. The texts themselves stay in the journal.
CREATE VIRTUAL TABLE IF NOT EXISTS passage_text USING fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

-- Let 16 pieces of the index gather before they are merged (not 4): a fifth less work for each import, for questions that look into
-- a few more pieces. Merging is forced at 64.
INSERT INTO passage_text (passage_text, rank) VALUES ('automerge', 16), ('crisismerge', 64);
