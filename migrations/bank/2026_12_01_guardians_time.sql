ALTER TABLE timebank.guardian ADD COLUMN closed_at TIMESTAMP WITH TIME ZONE;

UPDATE timebank.guardian SET closed_at = until WHERE until <= now();

CREATE INDEX guardian_over_idx ON timebank.guardian (book_id, until) WHERE closed_at IS NULL;
