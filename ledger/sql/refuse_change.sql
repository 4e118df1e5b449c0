-- Guards only: no rule of the book depends on a trigger. Privileges refuse the service before this is reached;
-- this refuses the owner too, so that a change by hand takes a deliberate act that `audit` looks for.
CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'insufficient_privilege';
END
$$
