ALTER TABLE timebank.member ADD COLUMN name_index BYTEA;

ALTER TABLE timebank.member ADD COLUMN merged_into UUID;

ALTER TABLE timebank.member DROP CONSTRAINT member_state_check;

ALTER TABLE timebank.member ADD CONSTRAINT member_state_check CHECK (state IN ('active', 'suspended', 'erased', 'merged'));

ALTER TABLE timebank.member ADD CONSTRAINT member_merged_check CHECK ((state = 'merged') = (merged_into IS NOT NULL));

ALTER TABLE timebank.member ADD CONSTRAINT member_merged_into_fkey FOREIGN KEY(book_id, merged_into) REFERENCES timebank.member (book_id, id);

CREATE INDEX member_book_id_name_index_idx ON timebank.member (book_id, name_index);

CREATE INDEX member_book_id_joined_at_id_idx ON timebank.member (book_id, joined_at, id);

CREATE INDEX member_merged_idx ON timebank.member (book_id, merged_into) WHERE merged_into IS NOT NULL;

CREATE INDEX member_unindexed_idx ON timebank.member (book_id, id) WHERE name_index IS NULL AND data_key IS NOT NULL;

ALTER TABLE timebank.audit_entry ADD COLUMN region_id UUID;

CREATE INDEX audit_entry_book_id_region_id_at_idx ON timebank.audit_entry (book_id, region_id, at);
