ALTER TABLE timebank.reward
  ADD COLUMN limit_pieces INTEGER,
  ADD COLUMN limit_period TEXT;

UPDATE timebank.reward SET limit_pieces = limit_per_month, limit_period = 'month' WHERE limit_per_month IS NOT NULL;

ALTER TABLE timebank.reward
  DROP COLUMN limit_per_month,
  ADD CONSTRAINT reward_limit_pieces_check CHECK (limit_pieces > 0),
  ADD CONSTRAINT reward_limit_period_check CHECK (limit_period IN ('day', 'week', 'month', 'year', 'ever')),
  ADD CONSTRAINT reward_limit_is_whole_check CHECK ((limit_pieces IS NULL) = (limit_period IS NULL));

ALTER TABLE timebank.redemption
  DROP CONSTRAINT redemption_fulfilled_somewhere_check,
  ADD CONSTRAINT redemption_only_fulfilled_has_a_place_check CHECK (station_id IS NULL OR state = 'fulfilled');

CREATE TABLE timebank.fulfilment (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  redemption_id UUID NOT NULL,
  station_id UUID NOT NULL,
  clerk_id UUID NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT fulfilment_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT fulfilment_redemption_id_fkey FOREIGN KEY(book_id, redemption_id) REFERENCES timebank.redemption (book_id, id),
  CONSTRAINT fulfilment_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT fulfilment_clerk_id_fkey FOREIGN KEY(book_id, clerk_id) REFERENCES timebank.member (book_id, id)
);

CREATE INDEX fulfilment_book_id_station_id_at_idx ON timebank.fulfilment (book_id, station_id, at);

CREATE INDEX fulfilment_book_id_redemption_id_idx ON timebank.fulfilment (book_id, redemption_id);

INSERT INTO timebank.fulfilment (book_id, id, redemption_id, station_id, clerk_id, at)
SELECT book_id, id, id, station_id, ended_by, ended_at FROM timebank.redemption WHERE state = 'fulfilled';

CREATE TABLE timebank.fulfilment_undo (
  book_id INTEGER NOT NULL,
  fulfilment_id UUID NOT NULL,
  clerk_id UUID NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT fulfilment_undo_pkey PRIMARY KEY (book_id, fulfilment_id),
  CONSTRAINT fulfilment_undo_fulfilment_id_fkey FOREIGN KEY(book_id, fulfilment_id) REFERENCES timebank.fulfilment (book_id, id),
  CONSTRAINT fulfilment_undo_clerk_id_fkey FOREIGN KEY(book_id, clerk_id) REFERENCES timebank.member (book_id, id)
);

CREATE TABLE timebank.reward_picture (
  book_id INTEGER NOT NULL,
  reward_id UUID NOT NULL,
  digest TEXT NOT NULL,
  content BYTEA NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT reward_picture_pkey PRIMARY KEY (book_id, reward_id),
  CONSTRAINT reward_picture_reward_id_fkey FOREIGN KEY(book_id, reward_id) REFERENCES timebank.reward (book_id, id),
  CONSTRAINT reward_picture_digest_check CHECK (digest ~ '^[0-9a-f]{64}$'),
  CONSTRAINT reward_picture_size_check CHECK (octet_length(content) <= 1048576)
);
