CREATE SCHEMA timebank;

CREATE TABLE timebank.attempt (
  book_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  subject BYTEA NOT NULL,
  window_starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
  count INTEGER NOT NULL,
  CONSTRAINT attempt_pkey PRIMARY KEY (book_id, kind, subject, window_starts_at)
);

CREATE INDEX attempt_book_id_window_starts_at_idx ON timebank.attempt (book_id, window_starts_at);

CREATE TABLE timebank.audit_entry (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  actor_id UUID,
  action TEXT NOT NULL,
  subject_kind TEXT NOT NULL,
  subject_id UUID NOT NULL,
  before JSONB,
  after JSONB,
  personal BYTEA,
  request_id TEXT,
  CONSTRAINT audit_entry_pkey PRIMARY KEY (book_id, id)
);

CREATE INDEX audit_entry_book_id_actor_id_at_idx ON timebank.audit_entry (book_id, actor_id, at);

CREATE INDEX audit_entry_book_id_at_idx ON timebank.audit_entry (book_id, at);

CREATE INDEX audit_entry_book_id_subject_id_at_idx ON timebank.audit_entry (book_id, subject_id, at);

CREATE TABLE timebank.command (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  kind TEXT NOT NULL,
  actor_id UUID NOT NULL,
  content_hash BYTEA NOT NULL,
  answer JSONB NOT NULL,
  recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT command_pkey PRIMARY KEY (book_id, id)
);

CREATE TABLE timebank.phone_code (
  book_id INTEGER NOT NULL,
  phone_index BYTEA NOT NULL,
  code_hash BYTEA NOT NULL,
  tries SMALLINT NOT NULL,
  sent_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT phone_code_pkey PRIMARY KEY (book_id, phone_index)
);

CREATE TABLE timebank.policy_version (
  book_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  starts_on DATE NOT NULL,
  rules JSONB NOT NULL,
  created_by UUID,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT policy_version_pkey PRIMARY KEY (book_id, number)
);

CREATE UNIQUE INDEX policy_version_book_id_starts_on_idx ON timebank.policy_version (book_id, starts_on);

CREATE TABLE timebank.region (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  code CHAR(12),
  level TEXT NOT NULL,
  parent_id UUID,
  path UUID[] NOT NULL,
  name_zh TEXT NOT NULL,
  name_en TEXT,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT region_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT region_parent_id_fkey FOREIGN KEY(book_id, parent_id) REFERENCES timebank.region (book_id, id),
  CONSTRAINT region_book_id_code_key UNIQUE (book_id, code),
  CONSTRAINT region_level_check CHECK (level IN ('city', 'district', 'street', 'community', 'grid', 'building', 'unit')),
  CONSTRAINT region_code_check CHECK (code ~ '^[0-9]{12}$'),
  CONSTRAINT region_path_ends_here_check CHECK (path[array_upper(path, 1)] = id),
  CONSTRAINT region_depth_check CHECK (array_length(path, 1) <= 7)
);

CREATE INDEX region_book_id_parent_id_idx ON timebank.region (book_id, parent_id);

CREATE INDEX region_path_idx ON timebank.region USING gin (path);

CREATE TABLE timebank.service_kind (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  code TEXT NOT NULL,
  catalogue TEXT NOT NULL,
  name_zh TEXT NOT NULL,
  name_en TEXT NOT NULL,
  position INTEGER NOT NULL,
  active BOOLEAN DEFAULT true NOT NULL,
  CONSTRAINT service_kind_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT service_kind_book_id_code_key UNIQUE (book_id, code),
  CONSTRAINT service_kind_catalogue_check CHECK (catalogue IN ('seven_helps', 'four_aids', 'community'))
);

CREATE TABLE timebank.fund (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  name_zh TEXT NOT NULL,
  name_en TEXT NOT NULL,
  region_id UUID NOT NULL,
  account_id UUID NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT fund_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT fund_region_id_fkey FOREIGN KEY(book_id, region_id) REFERENCES timebank.region (book_id, id),
  CONSTRAINT fund_book_id_account_id_key UNIQUE (book_id, account_id)
);

CREATE TABLE timebank.member (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  region_id UUID NOT NULL,
  household_id UUID,
  key_id SMALLINT,
  data_key BYTEA,
  personal BYTEA,
  phone_index BYTEA,
  password_hash TEXT,
  locale TEXT NOT NULL,
  state TEXT NOT NULL,
  version INTEGER DEFAULT 1 NOT NULL,
  joined_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT member_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT member_region_id_fkey FOREIGN KEY(book_id, region_id) REFERENCES timebank.region (book_id, id),
  CONSTRAINT member_book_id_phone_index_key UNIQUE (book_id, phone_index),
  CONSTRAINT member_state_check CHECK (state IN ('active', 'suspended', 'erased')),
  CONSTRAINT member_locale_check CHECK (locale IN ('zh-CN', 'en'))
);

CREATE INDEX member_book_id_region_id_idx ON timebank.member (book_id, region_id);

CREATE TABLE timebank.reward (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  kind TEXT NOT NULL,
  name_zh TEXT NOT NULL,
  name_en TEXT NOT NULL,
  description_zh TEXT NOT NULL,
  description_en TEXT NOT NULL,
  region_id UUID NOT NULL,
  price_points BIGINT NOT NULL,
  stock INTEGER NOT NULL,
  limit_per_month INTEGER,
  starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ends_at TIMESTAMP WITH TIME ZONE,
  hold_minutes INTEGER NOT NULL,
  state TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT reward_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT reward_region_id_fkey FOREIGN KEY(book_id, region_id) REFERENCES timebank.region (book_id, id),
  CONSTRAINT reward_kind_check CHECK (kind IN ('goods', 'service', 'voucher', 'honour')),
  CONSTRAINT reward_price_points_check CHECK (price_points > 0),
  CONSTRAINT reward_stock_check CHECK (stock >= 0),
  CONSTRAINT reward_limit_per_month_check CHECK (limit_per_month > 0),
  CONSTRAINT reward_hold_minutes_check CHECK (hold_minutes BETWEEN 1 AND 525600),
  CONSTRAINT reward_state_check CHECK (state IN ('open', 'closed'))
);

CREATE TABLE timebank.card (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  number BIGINT NOT NULL,
  member_id UUID NOT NULL,
  issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
  revoked_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT card_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT card_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT card_book_id_number_key UNIQUE (book_id, number)
);

CREATE UNIQUE INDEX card_live_key ON timebank.card (book_id, member_id) WHERE revoked_at IS NULL;

CREATE TABLE timebank.purse (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  fund_id UUID NOT NULL,
  expires_on DATE NOT NULL,
  CONSTRAINT purse_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT purse_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT purse_fund_id_fkey FOREIGN KEY(book_id, fund_id) REFERENCES timebank.fund (book_id, id),
  CONSTRAINT purse_book_id_member_id_expires_on_fund_id_key UNIQUE (book_id, member_id, expires_on, fund_id)
);

CREATE TABLE timebank.session (
  book_id INTEGER NOT NULL,
  token_hash BYTEA NOT NULL,
  member_id UUID NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT session_pkey PRIMARY KEY (book_id, token_hash),
  CONSTRAINT session_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id)
);

CREATE INDEX session_book_id_expires_at_idx ON timebank.session (book_id, expires_at);

CREATE INDEX session_book_id_member_id_idx ON timebank.session (book_id, member_id);

CREATE TABLE timebank.station (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  number INTEGER NOT NULL,
  region_id UUID NOT NULL,
  fund_id UUID NOT NULL,
  service_kind_id UUID NOT NULL,
  name_zh TEXT NOT NULL,
  name_en TEXT NOT NULL,
  address TEXT NOT NULL,
  organising_unit TEXT NOT NULL,
  person_in_charge TEXT NOT NULL,
  cap_minutes INTEGER DEFAULT 240 NOT NULL,
  state TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT station_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT station_region_id_fkey FOREIGN KEY(book_id, region_id) REFERENCES timebank.region (book_id, id),
  CONSTRAINT station_fund_id_fkey FOREIGN KEY(book_id, fund_id) REFERENCES timebank.fund (book_id, id),
  CONSTRAINT station_service_kind_id_fkey FOREIGN KEY(book_id, service_kind_id) REFERENCES timebank.service_kind (book_id, id),
  CONSTRAINT station_book_id_number_key UNIQUE (book_id, number),
  CONSTRAINT station_number_check CHECK (number BETWEEN 1 AND 1048575),
  CONSTRAINT station_cap_minutes_check CHECK (cap_minutes BETWEEN 1 AND 1440),
  CONSTRAINT station_state_check CHECK (state IN ('open', 'closed'))
);

CREATE INDEX station_book_id_region_id_idx ON timebank.station (book_id, region_id);

CREATE TABLE timebank.device (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  number INTEGER NOT NULL,
  station_id UUID NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  public_key BYTEA,
  enrolled_at TIMESTAMP WITH TIME ZONE NOT NULL,
  revoked_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT device_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT device_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT device_book_id_number_key UNIQUE (book_id, number),
  CONSTRAINT device_number_check CHECK (number BETWEEN 1 AND 33554431),
  CONSTRAINT device_kind_check CHECK (kind IN ('screen', 'kiosk', 'scanner'))
);

CREATE INDEX device_book_id_station_id_idx ON timebank.device (book_id, station_id);

CREATE TABLE timebank.poster (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  station_id UUID NOT NULL,
  number INTEGER NOT NULL,
  printed_at TIMESTAMP WITH TIME ZONE NOT NULL,
  revoked_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT poster_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT poster_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT poster_book_id_station_id_number_key UNIQUE (book_id, station_id, number)
);

CREATE TABLE timebank.redemption (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  number BIGINT NOT NULL,
  digits CHAR(8) NOT NULL,
  member_id UUID NOT NULL,
  reward_id UUID NOT NULL,
  points BIGINT NOT NULL,
  state TEXT NOT NULL,
  held_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  ended_by UUID,
  station_id UUID,
  CONSTRAINT redemption_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT redemption_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT redemption_reward_id_fkey FOREIGN KEY(book_id, reward_id) REFERENCES timebank.reward (book_id, id),
  CONSTRAINT redemption_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT redemption_ended_by_fkey FOREIGN KEY(book_id, ended_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT redemption_book_id_number_key UNIQUE (book_id, number),
  CONSTRAINT redemption_state_check CHECK (state IN ('held', 'fulfilled', 'cancelled', 'timed_out')),
  CONSTRAINT redemption_held_has_no_end_check CHECK ((state = 'held') = (ended_at IS NULL)),
  CONSTRAINT redemption_fulfilled_somewhere_check CHECK ((state = 'fulfilled') = (station_id IS NOT NULL)),
  CONSTRAINT redemption_digits_check CHECK (digits ~ '^[0-9]{8}$')
);

CREATE INDEX redemption_book_id_member_id_held_at_idx ON timebank.redemption (book_id, member_id, held_at);

CREATE INDEX redemption_book_id_reward_id_member_id_held_at_idx ON timebank.redemption (book_id, reward_id, member_id, held_at);

CREATE INDEX redemption_book_id_digits_idx ON timebank.redemption (book_id, digits);

CREATE UNIQUE INDEX redemption_digits_key ON timebank.redemption (book_id, digits) WHERE state = 'held';

CREATE INDEX redemption_held_idx ON timebank.redemption (book_id, expires_at) WHERE state = 'held';

CREATE TABLE timebank.reward_place (
  book_id INTEGER NOT NULL,
  reward_id UUID NOT NULL,
  station_id UUID NOT NULL,
  CONSTRAINT reward_place_pkey PRIMARY KEY (book_id, reward_id, station_id),
  CONSTRAINT reward_place_reward_id_fkey FOREIGN KEY(book_id, reward_id) REFERENCES timebank.reward (book_id, id),
  CONSTRAINT reward_place_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id)
);

CREATE TABLE timebank.role_grant (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  role TEXT NOT NULL,
  region_id UUID,
  station_id UUID,
  starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ends_at TIMESTAMP WITH TIME ZONE,
  granted_by UUID,
  granted_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT role_grant_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT role_grant_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT role_grant_region_id_fkey FOREIGN KEY(book_id, region_id) REFERENCES timebank.region (book_id, id),
  CONSTRAINT role_grant_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT role_grant_role_check CHECK (role IN ('manager', 'clerk', 'admin', 'auditor')),
  CONSTRAINT role_grant_one_scope_check CHECK (num_nonnulls(region_id, station_id) = 1),
  CONSTRAINT role_grant_ends_after_start_check CHECK (ends_at IS NULL OR ends_at >= starts_at)
);

CREATE INDEX role_grant_book_id_member_id_idx ON timebank.role_grant (book_id, member_id);

CREATE TABLE timebank.redemption_part (
  book_id INTEGER NOT NULL,
  transfer_id UUID NOT NULL,
  redemption_id UUID NOT NULL,
  purse_id UUID NOT NULL,
  points BIGINT NOT NULL,
  CONSTRAINT redemption_part_pkey PRIMARY KEY (book_id, transfer_id),
  CONSTRAINT redemption_part_redemption_id_fkey FOREIGN KEY(book_id, redemption_id) REFERENCES timebank.redemption (book_id, id),
  CONSTRAINT redemption_part_purse_id_fkey FOREIGN KEY(book_id, purse_id) REFERENCES timebank.purse (book_id, id),
  CONSTRAINT redemption_part_points_check CHECK (points > 0)
);

CREATE INDEX redemption_part_book_id_redemption_id_idx ON timebank.redemption_part (book_id, redemption_id);
