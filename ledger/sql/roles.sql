-- Roles belong to the cluster, and several databases may share one: whoever comes second finds them there.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['ledger_owner', 'ledger_service'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
      END;
    END IF;
  END LOOP;
  -- Since PostgreSQL 16 a role's creator administers it but may not act as it until it says so.
  BEGIN
    SET LOCAL ROLE ledger_owner;
    RESET ROLE;
  EXCEPTION WHEN insufficient_privilege THEN
    EXECUTE format('GRANT ledger_owner TO %I', current_user);
  END;
END
$$
