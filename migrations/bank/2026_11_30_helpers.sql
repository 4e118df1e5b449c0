CREATE TABLE timebank.helping (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  helper_id UUID NOT NULL,
  starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
  vouched TEXT NOT NULL,
  granted_by UUID NOT NULL,
  granted_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  ended_by UUID,
  CONSTRAINT helping_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT helping_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT helping_helper_id_fkey FOREIGN KEY(book_id, helper_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT helping_granted_by_fkey FOREIGN KEY(book_id, granted_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT helping_ended_by_fkey FOREIGN KEY(book_id, ended_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT helping_vouched_check CHECK (vouched IN ('self', 'pin', 'card')),
  CONSTRAINT helping_somebody_else_check CHECK (member_id <> helper_id),
  CONSTRAINT helping_ends_after_start_check CHECK (ends_at > starts_at),
  CONSTRAINT helping_ended_by_somebody_check CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);

CREATE INDEX helping_book_id_member_id_idx ON timebank.helping (book_id, member_id);

CREATE INDEX helping_book_id_helper_id_idx ON timebank.helping (book_id, helper_id);

ALTER TABLE timebank.session
  ADD COLUMN helping_id UUID,
  ADD CONSTRAINT session_helping_id_fkey FOREIGN KEY(book_id, helping_id) REFERENCES timebank.helping (book_id, id);

ALTER TABLE timebank.redemption ADD COLUMN by_helper BOOLEAN DEFAULT false NOT NULL;
