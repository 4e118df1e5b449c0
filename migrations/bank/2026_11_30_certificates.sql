CREATE TABLE timebank.certificate (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  number BIGINT NOT NULL,
  member_id UUID NOT NULL,
  sealed_name BYTEA NOT NULL,
  since DATE,
  until DATE,
  unit TEXT NOT NULL,
  issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
  issued_by UUID NOT NULL,
  CONSTRAINT certificate_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT certificate_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT certificate_issued_by_fkey FOREIGN KEY(book_id, issued_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT certificate_period_check CHECK (since <= until),
  CONSTRAINT certificate_book_id_number_key UNIQUE (book_id, number)
);

CREATE INDEX certificate_book_id_member_id_issued_at_idx ON timebank.certificate (book_id, member_id, issued_at);

CREATE TABLE timebank.certificate_record (
  book_id INTEGER NOT NULL,
  certificate_id UUID NOT NULL,
  record_id UUID NOT NULL,
  minutes INTEGER NOT NULL,
  correction_id UUID,
  CONSTRAINT certificate_record_pkey PRIMARY KEY (book_id, certificate_id, record_id),
  CONSTRAINT certificate_record_certificate_id_fkey FOREIGN KEY(book_id, certificate_id) REFERENCES timebank.certificate (book_id, id),
  CONSTRAINT certificate_record_record_id_fkey FOREIGN KEY(book_id, record_id) REFERENCES timebank.record (book_id, id),
  CONSTRAINT certificate_record_correction_id_fkey FOREIGN KEY(book_id, correction_id) REFERENCES timebank.correction (book_id, id),
  CONSTRAINT certificate_record_minutes_check CHECK (minutes > 0)
);

CREATE INDEX certificate_record_book_id_record_id_idx ON timebank.certificate_record (book_id, record_id);
