CREATE INDEX record_honour_idx ON timebank.record (book_id, station_id, local_day) INCLUDE (member_id, credited_minutes) WHERE state = 'verified';

CREATE INDEX consent_honour_idx ON timebank.consent (book_id, member_id, answered_at DESC, id DESC) INCLUDE (agreed) WHERE purpose = 'honour';
