ALTER TABLE timebank.session
  ADD COLUMN child_id UUID,
  ADD CONSTRAINT session_child_id_fkey FOREIGN KEY(book_id, child_id) REFERENCES timebank.member (book_id, id),
  ADD CONSTRAINT session_for_one_check CHECK (helping_id IS NULL OR child_id IS NULL);
