CREATE OR REPLACE FUNCTION ledger.create_book(book integer, called text, zone text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO ledger.book (id, name, time_zone) VALUES (book, called, zone) ON CONFLICT DO NOTHING;
  -- A later statement, so that a book another session has just created is seen.
  IF EXISTS (SELECT FROM ledger.book AS b WHERE b.id = book AND b.name = called AND b.time_zone = zone) THEN
    RETURN 'ok';
  END IF;
  RETURN 'book_conflict';
END
$$
