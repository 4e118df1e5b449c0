CREATE TABLE timebank.correction (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  record_id UUID NOT NULL,
  minutes INTEGER,
  minutes_before INTEGER NOT NULL,
  minutes_after INTEGER NOT NULL,
  points_before BIGINT NOT NULL,
  points_after BIGINT NOT NULL,
  debt_points BIGINT NOT NULL,
  policy_number INTEGER NOT NULL,
  reason BYTEA,
  made_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT correction_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT correction_id_fkey FOREIGN KEY(book_id, id) REFERENCES timebank.decision (book_id, id),
  CONSTRAINT correction_record_id_fkey FOREIGN KEY(book_id, record_id) REFERENCES timebank.record (book_id, id),
  CONSTRAINT correction_policy_number_fkey FOREIGN KEY(book_id, policy_number) REFERENCES timebank.policy_version (book_id, number),
  CONSTRAINT correction_minutes_check CHECK (minutes >= 0),
  CONSTRAINT correction_credit_check CHECK (minutes_before >= 0 AND minutes_after >= 0),
  CONSTRAINT correction_points_check CHECK (points_before >= 0 AND points_after >= 0 AND debt_points >= 0)
);

CREATE INDEX correction_book_id_record_id_idx ON timebank.correction (book_id, record_id);

CREATE TABLE timebank.inquiry (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  record_id UUID NOT NULL,
  member_id UUID NOT NULL,
  question BYTEA NOT NULL,
  asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
  state TEXT NOT NULL,
  answer BYTEA,
  answered_by UUID,
  answered_at TIMESTAMP WITH TIME ZONE,
  correction_id UUID,
  CONSTRAINT inquiry_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT inquiry_record_id_fkey FOREIGN KEY(book_id, record_id) REFERENCES timebank.record (book_id, id),
  CONSTRAINT inquiry_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT inquiry_answered_by_fkey FOREIGN KEY(book_id, answered_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT inquiry_correction_id_fkey FOREIGN KEY(book_id, correction_id) REFERENCES timebank.correction (book_id, id),
  CONSTRAINT inquiry_state_check CHECK (state IN ('open', 'corrected', 'declined')),
  CONSTRAINT inquiry_open_has_no_answer_check CHECK ((state = 'open') = (answered_at IS NULL)),
  CONSTRAINT inquiry_corrected_by_one_check CHECK ((state = 'corrected') = (correction_id IS NOT NULL))
);

CREATE INDEX inquiry_book_id_record_id_asked_at_idx ON timebank.inquiry (book_id, record_id, asked_at);

CREATE UNIQUE INDEX inquiry_open_key ON timebank.inquiry (book_id, record_id) WHERE state = 'open';

CREATE INDEX inquiry_queue_idx ON timebank.inquiry (book_id, asked_at) WHERE state = 'open';

ALTER TABLE timebank.record
  ADD COLUMN correction_id UUID,
  ADD COLUMN kept_points BIGINT DEFAULT 0 NOT NULL,
  ADD CONSTRAINT record_correction_id_fkey FOREIGN KEY(book_id, correction_id) REFERENCES timebank.correction (book_id, id),
  ADD CONSTRAINT record_kept_points_check CHECK (kept_points = 0 OR kept_points BETWEEN 1 AND points);

ALTER TABLE timebank.purse ADD COLUMN swept_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX purse_unswept_idx ON timebank.purse (book_id, expires_on) WHERE swept_at IS NULL;

DROP INDEX timebank.policy_version_book_id_starts_on_idx;

CREATE INDEX policy_version_book_id_starts_on_idx ON timebank.policy_version (book_id, starts_on);
