CREATE TABLE timebank.import_run (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  kind TEXT NOT NULL,
  file_name TEXT NOT NULL,
  file_digest BYTEA NOT NULL,
  actor_id UUID,
  columns JSONB NOT NULL,
  state TEXT NOT NULL,
  added INTEGER DEFAULT 0 NOT NULL,
  same INTEGER DEFAULT 0 NOT NULL,
  left_out INTEGER DEFAULT 0 NOT NULL,
  refused INTEGER DEFAULT 0 NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT import_run_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT import_run_actor_id_fkey FOREIGN KEY(book_id, actor_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT import_run_kind_check CHECK (kind IN ('regions', 'stations', 'members', 'cards', 'hours', 'points')),
  CONSTRAINT import_run_state_check CHECK (state IN ('running', 'stopped', 'done')),
  CONSTRAINT import_run_running_has_no_end_check CHECK ((state = 'running') = (ended_at IS NULL))
);

CREATE INDEX import_run_book_id_started_at_idx ON timebank.import_run (book_id, started_at);

CREATE TABLE timebank.import_row (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  run_id UUID NOT NULL,
  number INTEGER NOT NULL,
  state TEXT NOT NULL,
  code TEXT,
  field TEXT,
  subject_id UUID,
  settled_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT import_row_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT import_row_run_id_fkey FOREIGN KEY(book_id, run_id) REFERENCES timebank.import_run (book_id, id),
  CONSTRAINT import_row_state_check CHECK (state IN ('added', 'same', 'left', 'refused')),
  CONSTRAINT import_row_refused_has_a_code_check CHECK ((state = 'refused') = (code IS NOT NULL))
);

CREATE INDEX import_row_refused_idx ON timebank.import_row (book_id, run_id, number) WHERE state = 'refused';
