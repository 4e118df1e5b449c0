CREATE TABLE timebank.identity_check (
  book_id INTEGER NOT NULL,
  member_id UUID NOT NULL,
  kind TEXT NOT NULL,
  ending BYTEA NOT NULL,
  number_hash BYTEA NOT NULL,
  state TEXT NOT NULL,
  checked_by UUID NOT NULL,
  checked_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT identity_check_pkey PRIMARY KEY (book_id, member_id),
  CONSTRAINT identity_check_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT identity_check_checked_by_fkey FOREIGN KEY(book_id, checked_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT identity_check_kind_check CHECK (kind IN ('id_card', 'passport', 'permit')),
  CONSTRAINT identity_check_state_check CHECK (state IN ('checked', 'held'))
);

CREATE INDEX identity_check_book_id_number_hash_idx ON timebank.identity_check (book_id, number_hash);

CREATE INDEX identity_check_book_id_state_checked_at_idx ON timebank.identity_check (book_id, state, checked_at);

CREATE UNIQUE INDEX identity_check_checked_key ON timebank.identity_check (book_id, number_hash) WHERE state = 'checked';
