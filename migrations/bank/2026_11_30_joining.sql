CREATE TABLE timebank.activation (
  book_id INTEGER NOT NULL,
  member_id UUID NOT NULL,
  code_hash BYTEA NOT NULL,
  tries SMALLINT NOT NULL,
  issued_by UUID NOT NULL,
  issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT activation_pkey PRIMARY KEY (book_id, member_id),
  CONSTRAINT activation_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT activation_issued_by_fkey FOREIGN KEY(book_id, issued_by) REFERENCES timebank.member (book_id, id)
);

CREATE TABLE timebank.guardian (
  book_id INTEGER NOT NULL,
  child_id UUID NOT NULL,
  guardian_id UUID NOT NULL,
  since TIMESTAMP WITH TIME ZONE NOT NULL,
  until TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT guardian_pkey PRIMARY KEY (book_id, child_id, guardian_id),
  CONSTRAINT guardian_child_id_fkey FOREIGN KEY(book_id, child_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT guardian_guardian_id_fkey FOREIGN KEY(book_id, guardian_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT guardian_somebody_else_check CHECK (child_id <> guardian_id)
);

CREATE INDEX guardian_book_id_guardian_id_idx ON timebank.guardian (book_id, guardian_id);
