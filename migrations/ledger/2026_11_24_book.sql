CREATE SCHEMA ledger AUTHORIZATION ledger_owner;

SET LOCAL ROLE ledger_owner;

CREATE TABLE ledger.book (
  id INTEGER NOT NULL,
  name TEXT NOT NULL,
  time_zone TEXT NOT NULL,
  CONSTRAINT book_pkey PRIMARY KEY (id)
);

CREATE TABLE ledger.account (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  unit TEXT NOT NULL,
  kind TEXT NOT NULL,
  system BOOLEAN NOT NULL,
  floor BIGINT,
  balance BIGINT NOT NULL DEFAULT 0,
  version BIGINT NOT NULL DEFAULT 0,
  last_recorded_at TIMESTAMP WITH TIME ZONE,
  closed_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT account_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT account_book_id_fkey FOREIGN KEY (book_id) REFERENCES ledger.book (id),
  CONSTRAINT account_floor_check CHECK (floor BETWEEN -9223372036854775806 AND 0),
  CONSTRAINT account_balance_check CHECK (balance >= coalesce(floor, -9223372036854775807)),
  CONSTRAINT account_version_check CHECK (version >= 0)
) WITH (fillfactor = 70);

CREATE TABLE ledger.transfer (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  debit_id UUID NOT NULL,
  credit_id UUID NOT NULL,
  unit TEXT NOT NULL,
  amount BIGINT NOT NULL,
  code TEXT NOT NULL,
  group_id UUID,
  group_size INTEGER NOT NULL,
  group_position INTEGER NOT NULL,
  reverses_id UUID,
  occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
  recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
  xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
  debit_balance BIGINT NOT NULL,
  debit_version BIGINT NOT NULL,
  credit_balance BIGINT NOT NULL,
  credit_version BIGINT NOT NULL,
  source JSONB NOT NULL,
  CONSTRAINT transfer_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT transfer_debit_version_key UNIQUE (book_id, debit_id, debit_version),
  CONSTRAINT transfer_credit_version_key UNIQUE (book_id, credit_id, credit_version),
  CONSTRAINT transfer_reverses_id_fkey FOREIGN KEY (book_id, reverses_id) REFERENCES ledger.transfer (book_id, id),
  CONSTRAINT transfer_sides_check CHECK (debit_id <> credit_id),
  CONSTRAINT transfer_amount_check CHECK (amount > 0),
  CONSTRAINT transfer_versions_check CHECK (debit_version > 0 AND credit_version > 0),
  CONSTRAINT transfer_group_check CHECK (
    group_position BETWEEN 1 AND group_size AND (group_id IS NOT NULL OR group_size = 1)
  ),
  CONSTRAINT transfer_reverses_check CHECK (reverses_id <> id)
);

CREATE UNIQUE INDEX transfer_reverses_id_key ON ledger.transfer (book_id, reverses_id) WHERE reverses_id IS NOT NULL;

CREATE UNIQUE INDEX transfer_group_id_key ON ledger.transfer (book_id, group_id, group_position)
WHERE group_id IS NOT NULL;

CREATE TABLE ledger.leaf (
  book_id INTEGER NOT NULL,
  index BIGINT NOT NULL,
  transfer_id UUID NOT NULL,
  hash BYTEA NOT NULL,
  CONSTRAINT leaf_pkey PRIMARY KEY (book_id, index),
  CONSTRAINT leaf_transfer_id_key UNIQUE (book_id, transfer_id),
  CONSTRAINT leaf_transfer_id_fkey FOREIGN KEY (book_id, transfer_id) REFERENCES ledger.transfer (book_id, id),
  CONSTRAINT leaf_index_check CHECK (index >= 0),
  CONSTRAINT leaf_hash_check CHECK (length(hash) = 32)
);

CREATE TABLE ledger.checkpoint (
  book_id INTEGER NOT NULL,
  size BIGINT NOT NULL,
  root BYTEA NOT NULL,
  signature BYTEA NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT checkpoint_pkey PRIMARY KEY (book_id, size),
  CONSTRAINT checkpoint_book_id_fkey FOREIGN KEY (book_id) REFERENCES ledger.book (id),
  CONSTRAINT checkpoint_size_check CHECK (size >= 0),
  CONSTRAINT checkpoint_root_check CHECK (length(root) = 32)
);
