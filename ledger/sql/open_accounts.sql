CREATE OR REPLACE FUNCTION ledger.open_accounts(
  book integer, ids uuid[], units text[], kinds text[], systems boolean[], floors bigint[]
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_nestloop = off
SET jit = off
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ledger.book AS b WHERE b.id = book) THEN
    RETURN 'book_unknown';
  END IF;
  -- In one order, so that two sessions opening the same accounts wait for each other and never in a circle.
  INSERT INTO ledger.account (book_id, id, unit, kind, system, floor)
  SELECT book, a.id, a.unit, a.kind, a.system, a.floor
  FROM unnest(ids, units, kinds, systems, floors) AS a (id, unit, kind, system, floor)
  ORDER BY a.id
  ON CONFLICT DO NOTHING;
  IF EXISTS (
    SELECT
    FROM unnest(ids, units, kinds, systems, floors) AS a (id, unit, kind, system, floor)
    LEFT JOIN (SELECT * FROM ledger.account WHERE book_id = book AND id = ANY (ids)) AS opened ON opened.id = a.id
    WHERE (opened.unit, opened.kind, opened.system, opened.floor) IS DISTINCT FROM (a.unit, a.kind, a.system, a.floor)
  ) THEN
    RETURN 'account_conflict';
  END IF;
  RETURN 'ok';
END
$$
