ALTER TABLE timebank.station
  ADD COLUMN latitude DOUBLE PRECISION,
  ADD COLUMN longitude DOUBLE PRECISION,
  ADD CONSTRAINT station_whole_position_check CHECK ((latitude IS NULL) = (longitude IS NULL)),
  ADD CONSTRAINT station_position_check CHECK (latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180);

CREATE TABLE timebank.pin (
  book_id INTEGER NOT NULL,
  member_id UUID NOT NULL,
  pin_hash TEXT NOT NULL,
  tries SMALLINT NOT NULL,
  set_at TIMESTAMP WITH TIME ZONE NOT NULL,
  locked_at TIMESTAMP WITH TIME ZONE,
  locked_by UUID,
  CONSTRAINT pin_pkey PRIMARY KEY (book_id, member_id),
  CONSTRAINT pin_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT pin_locked_by_fkey FOREIGN KEY(book_id, locked_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT pin_locked_by_somebody_check CHECK ((locked_at IS NULL) = (locked_by IS NULL))
);

CREATE TABLE timebank.shift (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  station_id UUID NOT NULL,
  service_kind_id UUID,
  starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ends_at TIMESTAMP WITH TIME ZONE NOT NULL,
  grace_minutes INTEGER NOT NULL,
  capacity INTEGER,
  state TEXT NOT NULL,
  created_by UUID NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT shift_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT shift_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT shift_service_kind_id_fkey FOREIGN KEY(book_id, service_kind_id) REFERENCES timebank.service_kind (book_id, id),
  CONSTRAINT shift_created_by_fkey FOREIGN KEY(book_id, created_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT shift_ends_after_start_check CHECK (ends_at > starts_at),
  CONSTRAINT shift_grace_minutes_check CHECK (grace_minutes BETWEEN 0 AND 240),
  CONSTRAINT shift_capacity_check CHECK (capacity > 0),
  CONSTRAINT shift_state_check CHECK (state IN ('planned', 'cancelled'))
);

CREATE INDEX shift_book_id_station_id_ends_at_idx ON timebank.shift (book_id, station_id, ends_at);

CREATE TABLE timebank.door_code (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  digits_hash BYTEA NOT NULL,
  station_id UUID NOT NULL,
  resident_id UUID NOT NULL,
  issued_by UUID NOT NULL,
  issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  used_by UUID,
  used_at TIMESTAMP WITH TIME ZONE,
  ended_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT door_code_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT door_code_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT door_code_resident_id_fkey FOREIGN KEY(book_id, resident_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT door_code_issued_by_fkey FOREIGN KEY(book_id, issued_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT door_code_used_by_fkey FOREIGN KEY(book_id, used_by) REFERENCES timebank.member (book_id, id),
  CONSTRAINT door_code_book_id_digits_hash_key UNIQUE (book_id, digits_hash),
  CONSTRAINT door_code_used_by_somebody_check CHECK ((used_by IS NULL) = (used_at IS NULL))
);

ALTER TABLE timebank.punch
  ADD COLUMN vouched_by TEXT,
  ADD COLUMN resident_id UUID,
  ADD COLUMN door_code_id UUID,
  ADD COLUMN sealed_reason BYTEA,
  ADD CONSTRAINT punch_resident_id_fkey FOREIGN KEY(book_id, resident_id) REFERENCES timebank.member (book_id, id),
  ADD CONSTRAINT punch_door_code_id_fkey FOREIGN KEY(book_id, door_code_id) REFERENCES timebank.door_code (book_id, id),
  ADD CONSTRAINT punch_vouched_by_check CHECK (vouched_by = 'pin'),
  ADD CONSTRAINT punch_manual_by_somebody_check CHECK (source <> 'manual' OR entered_by IS NOT NULL);

CREATE INDEX punch_astray_idx ON timebank.punch (book_id, station_id, occurred_at) WHERE holds && ARRAY['already_in', 'nothing_open'];

CREATE INDEX punch_entered_idx ON timebank.punch (book_id, entered_by, recorded_at) WHERE entered_by IS NOT NULL;

CREATE INDEX punch_phone_idx ON timebank.punch (book_id, phone_id, recorded_at) WHERE phone_id IS NOT NULL;

ALTER TABLE timebank.attendance
  ADD COLUMN shift_id UUID,
  ADD CONSTRAINT attendance_shift_id_fkey FOREIGN KEY(book_id, shift_id) REFERENCES timebank.shift (book_id, id);

CREATE INDEX attendance_out_punch_idx ON timebank.attendance (book_id, out_punch_id) WHERE out_punch_id IS NOT NULL;

CREATE INDEX attendance_shift_idx ON timebank.attendance (book_id, shift_id) WHERE shift_id IS NOT NULL;

CREATE TABLE timebank.confirmation (
  book_id INTEGER NOT NULL,
  punch_id UUID NOT NULL,
  member_id UUID NOT NULL,
  confirmed_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT confirmation_pkey PRIMARY KEY (book_id, punch_id),
  CONSTRAINT confirmation_punch_id_fkey FOREIGN KEY(book_id, punch_id) REFERENCES timebank.punch (book_id, id),
  CONSTRAINT confirmation_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id)
);

CREATE TABLE timebank.punch_decision (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  punch_id UUID NOT NULL,
  actor_id UUID NOT NULL,
  verdict TEXT NOT NULL,
  holds TEXT[] NOT NULL,
  sealed_reason BYTEA NOT NULL,
  record_id UUID,
  decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT punch_decision_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT punch_decision_punch_id_fkey FOREIGN KEY(book_id, punch_id) REFERENCES timebank.punch (book_id, id),
  CONSTRAINT punch_decision_actor_id_fkey FOREIGN KEY(book_id, actor_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT punch_decision_record_id_fkey FOREIGN KEY(book_id, record_id) REFERENCES timebank.record (book_id, id),
  CONSTRAINT punch_decision_verdict_check CHECK (verdict IN ('enter', 'dismiss')),
  CONSTRAINT punch_decision_entered_as_a_record_check CHECK ((verdict = 'enter') = (record_id IS NOT NULL)),
  CONSTRAINT punch_decision_book_id_punch_id_key UNIQUE (book_id, punch_id)
);

CREATE INDEX punch_decision_book_id_actor_id_decided_at_idx ON timebank.punch_decision (book_id, actor_id, decided_at);
