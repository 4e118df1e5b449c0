CREATE TABLE timebank.read_token (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  name BYTEA NOT NULL,
  token_hash BYTEA NOT NULL,
  scope TEXT NOT NULL,
  made_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  used_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT read_token_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT read_token_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT read_token_book_id_token_hash_key UNIQUE (book_id, token_hash),
  CONSTRAINT read_token_scope_check CHECK (scope IN ('things', 'people', 'statements', 'figures'))
);

CREATE INDEX read_token_book_id_member_id_idx ON timebank.read_token (book_id, member_id);

CREATE TABLE timebank.shift_feed (
  book_id INTEGER NOT NULL,
  member_id UUID NOT NULL,
  token_hash BYTEA NOT NULL,
  made_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT shift_feed_pkey PRIMARY KEY (book_id, member_id),
  CONSTRAINT shift_feed_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT shift_feed_book_id_token_hash_key UNIQUE (book_id, token_hash)
);
