CREATE TABLE timebank.webhook (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  region_id UUID NOT NULL,
  url TEXT NOT NULL,
  events TEXT[] NOT NULL,
  added_by UUID NOT NULL,
  added_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT webhook_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT webhook_region_id_fkey FOREIGN KEY(book_id, region_id) REFERENCES timebank.region (book_id, id),
  CONSTRAINT webhook_added_by_fkey FOREIGN KEY(book_id, added_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT webhook_events_check CHECK (events <@ ARRAY['record.verified', 'record.corrected', 'redemption.fulfilled', 'certificate.issued', 'shift.planned', 'shift.cancelled'])
);

CREATE TABLE timebank.webhook_message (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  webhook_id UUID NOT NULL,
  event TEXT NOT NULL,
  subject_id UUID NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  state TEXT NOT NULL,
  tries INTEGER NOT NULL,
  due_at TIMESTAMP WITH TIME ZONE NOT NULL,
  status INTEGER,
  failure TEXT,
  sent_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT webhook_message_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT webhook_message_webhook_id_fkey FOREIGN KEY(book_id, webhook_id) REFERENCES timebank.webhook (book_id, id),
  CONSTRAINT webhook_message_state_check CHECK (state IN ('waiting', 'sent', 'dead'))
);

CREATE INDEX webhook_message_due_idx ON timebank.webhook_message (book_id, state, due_at);

CREATE INDEX webhook_message_book_id_webhook_id_at_idx ON timebank.webhook_message (book_id, webhook_id, at);
