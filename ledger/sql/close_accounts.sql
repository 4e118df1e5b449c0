CREATE OR REPLACE FUNCTION ledger.close_accounts(book integer, ids uuid[], clock timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
  locked_count integer;
BEGIN
  -- The order in which `post` locks, so that closing and posting never wait for each other in a circle.
  SELECT count(*) INTO locked_count FROM (
    SELECT FROM ledger.account WHERE book_id = book AND id = ANY (ids) ORDER BY system, id FOR NO KEY UPDATE
  ) AS locked;
  IF locked_count < (SELECT count(DISTINCT id) FROM unnest(ids) AS id) THEN
    RETURN 'account_unknown';
  END IF;
  -- Opens the guard on accounts for this one statement.
  PERFORM set_config('ledger.posting', 'on', true);
  UPDATE ledger.account SET closed_at = greatest(clock, last_recorded_at)
  WHERE book_id = book AND id = ANY (ids) AND closed_at IS NULL;
  PERFORM set_config('ledger.posting', 'off', true);
  RETURN 'ok';
END
$$
