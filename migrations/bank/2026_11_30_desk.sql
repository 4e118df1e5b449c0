ALTER TABLE timebank.pin
  ADD COLUMN witness_id UUID,
  ADD CONSTRAINT pin_witness_id_fkey FOREIGN KEY(book_id, witness_id) REFERENCES timebank.member (book_id, id);

ALTER TABLE timebank.redemption
  ADD COLUMN made_by UUID,
  ADD CONSTRAINT redemption_made_by_fkey FOREIGN KEY(book_id, made_by) REFERENCES timebank.member (book_id, id);
