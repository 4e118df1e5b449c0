CREATE TABLE timebank.erasure (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  asked_by UUID,
  asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
  state TEXT NOT NULL,
  ended_by UUID,
  ended_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT erasure_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT erasure_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT erasure_asked_by_fkey FOREIGN KEY(book_id, asked_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT erasure_ended_by_fkey FOREIGN KEY(book_id, ended_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT erasure_state_check CHECK (state IN ('asked', 'withdrawn', 'done')),
  CONSTRAINT erasure_asked_has_no_end_check CHECK ((state = 'asked') = (ended_at IS NULL))
);

CREATE UNIQUE INDEX erasure_asked_key ON timebank.erasure (book_id, member_id) WHERE state = 'asked';

CREATE INDEX erasure_book_id_state_asked_at_member_id_idx ON timebank.erasure (book_id, state, asked_at, member_id);

CREATE INDEX punch_phone_kept_idx ON timebank.punch (book_id, recorded_at) WHERE num_nonnulls(phone_id, phone_time) > 0;
