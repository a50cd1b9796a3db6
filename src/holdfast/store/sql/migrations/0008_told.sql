-- Where a transcript tells of an agent's end: whose it is, and at which byte; and whether one of another agent does, so that who asked
-- for it has heard. What was recorded before is folded again.

ALTER TABLE agent ADD COLUMN told_by TEXT;
ALTER TABLE agent ADD COLUMN told_at INTEGER;
ALTER TABLE agent ADD COLUMN heard INTEGER NOT NULL DEFAULT 0;
