-- Lines that were read and may still have to be printed, in the same database as the positions behind them.

-- name: tables
CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY, item BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS outbox_state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,           -- of this sequence of numbers
  last INTEGER NOT NULL,      -- number given
  printed INTEGER NOT NULL,   -- up to here
  acknowledged INTEGER        -- up to here; NULL: never
);

-- name: begin
INSERT OR IGNORE INTO outbox_state VALUES (1, ?, 0, 0, NULL);

-- name: state
SELECT id, last, printed, acknowledged FROM outbox_state;

-- name: sizes
SELECT seq, length(item) FROM outbox ORDER BY seq;

-- name: add
INSERT INTO outbox VALUES (?, ?);

-- name: set_last
UPDATE outbox_state SET last = ?;

-- name: set_printed
UPDATE outbox_state SET printed = ?;

-- name: set_acknowledged
UPDATE outbox_state SET acknowledged = ?;

-- name: items
SELECT seq, item FROM outbox WHERE seq > ? ORDER BY seq LIMIT 1000;

-- name: drop
DELETE FROM outbox WHERE seq <= ?;
