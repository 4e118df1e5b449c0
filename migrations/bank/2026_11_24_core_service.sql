CREATE TABLE timebank.punch (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  station_id UUID NOT NULL,
  device_id UUID,
  kind TEXT NOT NULL,
  source TEXT NOT NULL,
  code TEXT,
  slot BIGINT,
  entered_by UUID,
  reason TEXT,
  phone_id UUID,
  phone_time TIMESTAMP WITH TIME ZONE,
  occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
  recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
  holds TEXT[] NOT NULL,
  CONSTRAINT punch_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT punch_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT punch_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT punch_device_id_fkey FOREIGN KEY(book_id, device_id) REFERENCES timebank.device (book_id, id),
  CONSTRAINT punch_kind_check CHECK (kind IN ('in', 'out')),
  CONSTRAINT punch_source_check CHECK (source IN ('live', 'late', 'card', 'poster', 'digits', 'door', 'manual', 'import'))
);

CREATE INDEX punch_book_id_member_id_occurred_at_idx ON timebank.punch (book_id, member_id, occurred_at);

CREATE INDEX punch_book_id_station_id_recorded_at_idx ON timebank.punch (book_id, station_id, recorded_at);

CREATE TABLE timebank.attendance (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  station_id UUID NOT NULL,
  service_kind_id UUID NOT NULL,
  in_punch_id UUID NOT NULL,
  out_punch_id UUID,
  started_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  state TEXT NOT NULL,
  CONSTRAINT attendance_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT attendance_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT attendance_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT attendance_service_kind_id_fkey FOREIGN KEY(book_id, service_kind_id) REFERENCES timebank.service_kind (book_id, id),
  CONSTRAINT attendance_in_punch_id_fkey FOREIGN KEY(book_id, in_punch_id) REFERENCES timebank.punch (book_id, id),
  CONSTRAINT attendance_out_punch_id_fkey FOREIGN KEY(book_id, out_punch_id) REFERENCES timebank.punch (book_id, id),
  CONSTRAINT attendance_state_check CHECK (state IN ('open', 'closed', 'unconfirmed')),
  CONSTRAINT attendance_open_has_no_end_check CHECK ((state = 'open') = (ended_at IS NULL)),
  CONSTRAINT attendance_ends_after_start_check CHECK (ended_at >= started_at)
);

CREATE UNIQUE INDEX attendance_open_key ON timebank.attendance (book_id, member_id) WHERE state = 'open';

CREATE INDEX attendance_open_station_idx ON timebank.attendance (book_id, station_id, started_at) WHERE state = 'open';

CREATE TABLE timebank.record (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  member_id UUID NOT NULL,
  station_id UUID NOT NULL,
  service_kind_id UUID NOT NULL,
  activity_zh TEXT NOT NULL,
  activity_en TEXT NOT NULL,
  place TEXT NOT NULL,
  content TEXT NOT NULL,
  organising_unit TEXT NOT NULL,
  person_in_charge TEXT NOT NULL,
  started_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE NOT NULL,
  local_day DATE NOT NULL,
  measured_minutes INTEGER NOT NULL,
  grade TEXT NOT NULL,
  holds TEXT[] NOT NULL,
  state TEXT NOT NULL,
  credited_minutes INTEGER,
  points BIGINT,
  points_state TEXT NOT NULL,
  policy_number INTEGER,
  decided_by UUID,
  decided_at TIMESTAMP WITH TIME ZONE,
  recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT record_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT record_id_fkey FOREIGN KEY(book_id, id) REFERENCES timebank.attendance (book_id, id),
  CONSTRAINT record_member_id_fkey FOREIGN KEY(book_id, member_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT record_station_id_fkey FOREIGN KEY(book_id, station_id) REFERENCES timebank.station (book_id, id),
  CONSTRAINT record_service_kind_id_fkey FOREIGN KEY(book_id, service_kind_id) REFERENCES timebank.service_kind (book_id, id),
  CONSTRAINT record_policy_number_fkey FOREIGN KEY(book_id, policy_number) REFERENCES timebank.policy_version (book_id, number),
  CONSTRAINT record_grade_check CHECK (grade IN ('A', 'B', 'C', 'D')),
  CONSTRAINT record_state_check CHECK (state IN ('waiting', 'verified', 'rejected', 'reversed')),
  CONSTRAINT record_points_state_check CHECK (points_state IN ('none', 'posted', 'waiting')),
  CONSTRAINT record_measured_minutes_check CHECK (measured_minutes >= 0),
  CONSTRAINT record_credit_check CHECK (credited_minutes >= 0 AND points >= 0),
  CONSTRAINT record_waiting_is_undecided_check CHECK ((state = 'waiting') = (decided_at IS NULL)),
  CONSTRAINT record_verified_is_whole_check CHECK (state <> 'verified' OR num_nonnulls(credited_minutes, points, policy_number, decided_by) = 4)
);

CREATE INDEX record_book_id_member_id_local_day_idx ON timebank.record (book_id, member_id, local_day);

CREATE INDEX record_queue_idx ON timebank.record (book_id, station_id, started_at) WHERE state = 'waiting';

CREATE INDEX record_unpaid_idx ON timebank.record (book_id, station_id, decided_at) WHERE points_state = 'waiting';

CREATE TABLE timebank.decision (
  book_id INTEGER NOT NULL,
  id UUID NOT NULL,
  record_id UUID NOT NULL,
  actor_id UUID NOT NULL,
  verdict TEXT NOT NULL,
  minutes INTEGER,
  holds TEXT[] NOT NULL,
  reason TEXT,
  decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT decision_pkey PRIMARY KEY (book_id, id),
  CONSTRAINT decision_record_id_fkey FOREIGN KEY(book_id, record_id) REFERENCES timebank.record (book_id, id),
  CONSTRAINT decision_actor_id_fkey FOREIGN KEY(book_id, actor_id) REFERENCES timebank.member (book_id, id),
  CONSTRAINT decision_verdict_check CHECK (verdict IN ('verify', 'adjust', 'reject', 'approve', 'reverse'))
);

CREATE INDEX decision_book_id_record_id_idx ON timebank.decision (book_id, record_id);
