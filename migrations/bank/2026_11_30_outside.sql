CREATE TABLE timebank.outside_account (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  issuer TEXT NOT NULL,
  subject_hash BYTEA NOT NULL,
  linked_at TIMESTAMP WITH TIME ZONE NOT NULL,
  used_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT outside_account_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT outside_account_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT outside_account_book_id_issuer_subject_hash_key UNIQUE (book_id, issuer, subject_hash)
);

CREATE INDEX outside_account_book_id_member_id_idx ON timebank.outside_account (book_id, member_id);

CREATE TABLE timebank.outside_errand (
  book_id INTEGER NOT NULL,
  state_hash BYTEA NOT NULL,
  provider TEXT NOT NULL,
  browser_hash BYTEA NOT NULL,
  member_id UUID,
  following TEXT NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT outside_errand_pkey PRIMARY KEY (book_id, state_hash),
  CONSTRAINT outside_errand_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id)
);

CREATE INDEX outside_errand_book_id_expires_at_idx ON timebank.outside_errand (book_id, expires_at);
