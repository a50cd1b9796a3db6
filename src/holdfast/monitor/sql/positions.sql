-- How far logs were read. These tables lie in the consumer's own database, so that they change with what it made of the lines.

-- name: tables
CREATE TABLE IF NOT EXISTS tail_state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO tail_state VALUES ('version', 1), ('batch', 0);
CREATE TABLE IF NOT EXISTS tail_generation (
  id INTEGER PRIMARY KEY,
  log BLOB NOT NULL,  -- paths are bytes, as the file system has them
  path BLOB NOT NULL,
  dev INTEGER NOT NULL,
  ino INTEGER NOT NULL,
  birth INTEGER,
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  ctime_ns INTEGER NOT NULL,
  looked_ns INTEGER NOT NULL,
  consumed INTEGER NOT NULL,
  crc INTEGER,
  head BLOB NOT NULL,
  blocks BLOB NOT NULL,
  continues INTEGER NOT NULL,
  is_there INTEGER NOT NULL
);

-- name: version
SELECT value FROM tail_state WHERE key = 'version';

-- name: batch
SELECT value FROM tail_state WHERE key = 'batch';

-- name: next_batch
UPDATE tail_state SET value = value + 1 WHERE key = 'batch' AND value = ?;

-- name: generations
SELECT id, log, path, dev, ino, birth, size, mtime_ns, ctime_ns, looked_ns, consumed, crc, head, blocks, continues, is_there
FROM tail_generation ORDER BY id;

-- name: keep
INSERT OR REPLACE INTO tail_generation
  (id, log, path, dev, ino, birth, size, mtime_ns, ctime_ns, looked_ns, consumed, crc, head, blocks, continues, is_there)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: forget
DELETE FROM tail_generation WHERE id = ?;
