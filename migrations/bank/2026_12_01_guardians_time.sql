ALTER TABLE timebank.guardian ADD COLUMN closed_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX guardian_over_idx ON timebank.guardian (book_id, until) WHERE closed_at IS NULL;
