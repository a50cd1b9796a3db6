-- Ids of records, each with a digest of its body; a scratch table that never outlives its process.

-- name: open
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -16384;
CREATE TABLE known (id BLOB PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
BEGIN;

-- name: add
INSERT INTO known (id, digest) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1;

-- name: digest_of
SELECT digest FROM known WHERE id = ?;
