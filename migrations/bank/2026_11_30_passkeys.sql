CREATE TABLE timebank.passkey (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  credential_id BYTEA NOT NULL,
  public_key BYTEA NOT NULL,
  sign_count BIGINT NOT NULL,
  name BYTEA NOT NULL,
  added_at TIMESTAMP WITH TIME ZONE NOT NULL,
  used_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT passkey_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT passkey_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT passkey_book_id_credential_id_key UNIQUE (book_id, credential_id)
);

CREATE INDEX passkey_book_id_member_id_idx ON timebank.passkey (book_id, member_id);

CREATE TABLE timebank.passkey_challenge (
  book_id INTEGER NOT NULL,
  challenge_hash BYTEA NOT NULL,
  member_id UUID,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT passkey_challenge_pkey PRIMARY KEY (book_id, challenge_hash),
  CONSTRAINT passkey_challenge_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id)
);

CREATE INDEX passkey_challenge_book_id_expires_at_idx ON timebank.passkey_challenge (book_id, expires_at);

ALTER TABLE timebank.session ADD COLUMN by_passkey BOOLEAN DEFAULT false NOT NULL;
