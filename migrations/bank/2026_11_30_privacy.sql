ALTER TABLE timebank.member ADD COLUMN refused TEXT[] DEFAULT '{}' NOT NULL;

CREATE TABLE timebank.consent (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  purpose TEXT NOT NULL,
  number INTEGER NOT NULL,
  agreed BOOLEAN NOT NULL,
  answered_by UUID,
  answered_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT consent_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT consent_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT consent_answered_by_fkey FOREIGN KEY(book_id, answered_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT consent_purpose_check CHECK (purpose IN ('service', 'location', 'honour'))
);

CREATE INDEX consent_book_id_member_id_answered_at_idx ON timebank.consent (book_id, member_id, answered_at);

CREATE TABLE timebank.reading (
  book_id INTEGER NOT NULL,
  member_id UUID NOT NULL,
  day DATE NOT NULL,
  reader_id UUID NOT NULL,
  what TEXT NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT reading_pkey PRIMARY KEY (book_id, member_id, day, reader_id, what),
  CONSTRAINT reading_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT reading_reader_id_fkey FOREIGN KEY(book_id, reader_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT reading_what_check CHECK (what IN ('file', 'search', 'record', 'statement'))
);
