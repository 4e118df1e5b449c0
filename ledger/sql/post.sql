-- The only writer of transfers and balances. One batch of one book, as arrays of equal length, or NULL where none is of a
-- group or a reversal; the answer is one outcome for each, in the order of the batch. The order of the steps matters:
--   1. turn reversals into transfers (originals never change, so they may be read before any lock),
--   2. lock every account named, in one order, and read it,
--   3. read known ids in later statements: a snapshot taken before the lock wait may be old,
--   4. walk the batch in memory,
--   5. one INSERT, one UPDATE.
-- The settings pin the plans, whatever the tables held when a plan was first made: index lookups, and hash joins of what
-- is in memory. A transfer is looked up as the first of a range of one id, in order: only the key of ids has that order.
-- Where nothing is known of the table yet, `id = ...` looks no dearer by any other key that begins with the book, and such
-- a plan reads the whole book for each transfer.
CREATE OR REPLACE FUNCTION ledger.post(
  book integer, clock timestamptz, ids uuid[], debits uuid[], credits uuid[], units text[], amounts bigint[],
  codes text[], groups uuid[], reversed uuid[], occurred timestamptz[], sources text[]
) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_nestloop = off
SET jit = off
AS $$
DECLARE
  lowest CONSTANT bigint := -9223372036854775807;
  highest CONSTANT bigint := 9223372036854775807;
  batch_size CONSTANT integer := cardinality(ids);
  has_groups CONSTANT boolean := groups IS NOT NULL;
  has_reversals CONSTANT boolean := reversed IS NOT NULL;
  has_repeats CONSTANT boolean := (SELECT count(DISTINCT i) FROM unnest(ids) AS i) < batch_size;
  -- One element for each account, in the order in which they are locked.
  accounts uuid[];
  account_units text[];
  account_closed boolean[];
  floors bigint[];
  balances bigint[];
  versions bigint[];
  lasts timestamptz[];
  first_versions bigint[];
  -- One element for each transfer of the batch.
  outcomes text[];
  debit_at integer[];
  credit_at integer[];
  group_sizes integer[];
  group_positions integer[];
  -- Filled at full length: the first write to an empty array sets where it begins.
  debit_balances bigint[] := array_fill(NULL::bigint, ARRAY[batch_size]);
  debit_versions bigint[] := debit_balances;
  credit_balances bigint[] := debit_balances;
  credit_versions bigint[] := debit_balances;
  recorded timestamptz[] := array_fill(NULL::timestamptz, ARRAY[batch_size]);
  debit_lasts timestamptz[];
  credit_lasts timestamptz[];
  -- Of the transfer, and of the group, that the walk has come to.
  spent uuid[] := '{}';
  verdict text;
  debit integer;
  credit integer;
  amount bigint;
  earlier integer;
  debit_before bigint;
  moment timestamptz;
  group_failed boolean := false;
  known record;
BEGIN
  -- The walk reads by subscript and the INSERT by element: these must be the same thing.
  IF (format('[1:%s]', batch_size) = ALL (ARRAY[
    array_dims(ids), array_dims(debits), array_dims(credits), array_dims(units), array_dims(amounts), array_dims(codes),
    array_dims(coalesce(groups, ids)), array_dims(coalesce(reversed, ids)), array_dims(occurred), array_dims(sources)
  ])) IS NOT TRUE THEN
    RAISE EXCEPTION 'the arrays of a batch differ in length' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF has_groups THEN
    PERFORM FROM unnest(groups, ids) WITH ORDINALITY AS t (g, id, n) WHERE t.g IS NOT NULL
    GROUP BY t.g HAVING max(t.n) - min(t.n) + 1 <> count(DISTINCT t.id);
    IF FOUND THEN
      RAISE EXCEPTION 'a group is split, or repeats an id' USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END IF;

  IF has_reversals THEN
    SELECT array_agg(coalesce(b.debit_id, o.credit_id) ORDER BY b.n),
      array_agg(coalesce(b.credit_id, o.debit_id) ORDER BY b.n),
      array_agg(coalesce(b.unit, o.unit) ORDER BY b.n), array_agg(coalesce(b.amount, o.amount) ORDER BY b.n)
    INTO debits, credits, units, amounts
    FROM unnest(debits, credits, units, amounts, reversed) WITH ORDINALITY
      AS b (debit_id, credit_id, unit, amount, reverses_id, n)
    LEFT JOIN LATERAL (
      SELECT * FROM ledger.transfer
      WHERE book_id = book AND id BETWEEN b.reverses_id AND b.reverses_id ORDER BY id LIMIT 1
    ) AS o ON true;
  END IF;

  -- Locking gives each row as it is once its lock is held, however old the snapshot.
  SELECT array_agg(a.id), array_agg(a.unit), array_agg(a.closed_at IS NOT NULL), array_agg(coalesce(a.floor, lowest)),
    array_agg(a.balance), array_agg(a.version), array_agg(a.last_recorded_at)
  INTO accounts, account_units, account_closed, floors, balances, versions, lasts
  FROM (
    SELECT * FROM ledger.account WHERE book_id = book AND id = ANY (debits || credits)
    ORDER BY system, id FOR NO KEY UPDATE
  ) AS a;
  first_versions := versions;

  -- What can be said of each transfer without knowing what came before it; NULL where the walk must decide.
  SELECT array_agg(b.debit_at), array_agg(b.credit_at), array_agg(b.verdict), array_agg(b.size), array_agg(b.position)
  INTO debit_at, credit_at, outcomes, group_sizes, group_positions
  FROM (
    SELECT d.n::integer AS debit_at, c.n::integer AS credit_at, 1 AS size, 1 AS position,
      CASE
        WHEN d.n IS NULL OR c.n IS NULL THEN 'account_unknown'
        WHEN d.closed OR c.closed THEN 'account_closed'
        WHEN t.unit <> d.unit OR t.unit <> c.unit THEN 'unit_mismatch'
        WHEN d.n = c.n THEN 'same_account'
        WHEN t.amount <= 0 THEN 'amount_not_positive'
      END AS verdict
    FROM unnest(debits, credits, units, amounts) WITH ORDINALITY AS t (debit_id, credit_id, unit, amount, n)
    LEFT JOIN unnest(accounts, account_units, account_closed) WITH ORDINALITY AS d (id, unit, closed, n)
      ON d.id = t.debit_id
    LEFT JOIN unnest(accounts, account_units, account_closed) WITH ORDINALITY AS c (id, unit, closed, n)
      ON c.id = t.credit_id
    ORDER BY t.n
  ) AS b;

  IF has_groups THEN
    SELECT array_agg(b.size ORDER BY b.n), array_agg(b.position ORDER BY b.n) INTO group_sizes, group_positions
    FROM (
      SELECT t.n, CASE WHEN t.g IS NULL THEN 1 ELSE count(*) OVER (PARTITION BY t.g) END AS size,
        CASE WHEN t.g IS NULL THEN 1 ELSE row_number() OVER (PARTITION BY t.g ORDER BY t.n) END AS position
      FROM unnest(groups) WITH ORDINALITY AS t (g, n)
    ) AS b;
    -- Part of a posted group, or another group under its id: its own transfers answer from their rows, below.
    FOR known IN
      SELECT t.n FROM unnest(groups) WITH ORDINALITY AS t (g, n)
      CROSS JOIN LATERAL (
        SELECT FROM ledger.transfer WHERE book_id = book AND group_id BETWEEN t.g AND t.g ORDER BY group_id LIMIT 1
      ) AS posted
    LOOP
      outcomes[known.n] := 'id_reused';
    END LOOP;
  END IF;

  IF has_reversals THEN
    SELECT coalesce(array_agg(posted.reverses_id), '{}') INTO spent
    FROM unnest(reversed) AS r (id)
    CROSS JOIN LATERAL (
      SELECT reverses_id FROM ledger.transfer
      WHERE book_id = book AND reverses_id BETWEEN r.id AND r.id ORDER BY reverses_id LIMIT 1
    ) AS posted;
  END IF;

  PERFORM FROM unnest(ids) AS b (id)
  CROSS JOIN LATERAL (
    SELECT FROM ledger.transfer WHERE book_id = book AND id BETWEEN b.id AND b.id ORDER BY id LIMIT 1
  ) AS posted LIMIT 1;
  IF FOUND THEN
    FOR known IN
      SELECT b.n,
        (t.code, t.group_id, t.group_size, t.reverses_id, t.occurred_at, t.source)
          IS NOT DISTINCT FROM (b.code, b.group_id, b.group_size, b.reverses_id, b.occurred_at, b.source::jsonb)
        AND (t.reverses_id IS NOT NULL
          OR (t.debit_id, t.credit_id, t.unit, t.amount) = (b.debit_id, b.credit_id, b.unit, b.amount)) AS same
      FROM unnest(ids, debits, credits, units, amounts, codes, groups, group_sizes, reversed, occurred, sources)
        WITH ORDINALITY AS b (
          id, debit_id, credit_id, unit, amount, code, group_id, group_size, reverses_id, occurred_at, source, n
        )
      CROSS JOIN LATERAL (
        SELECT * FROM ledger.transfer WHERE book_id = book AND id BETWEEN b.id AND b.id ORDER BY id LIMIT 1
      ) AS t
    LOOP
      outcomes[known.n] := CASE WHEN known.same THEN 'already_posted' ELSE 'id_reused' END;
    END LOOP;
  END IF;

  FOR i IN 1 .. batch_size LOOP
    verdict := outcomes[i];

    IF has_repeats AND verdict IS DISTINCT FROM 'already_posted' AND verdict IS DISTINCT FROM 'id_reused' THEN
      SELECT e.n INTO earlier FROM unnest(ids, outcomes) WITH ORDINALITY AS e (id, outcome, n)
      WHERE e.n < i AND e.id = ids[i] AND e.outcome = 'ok';
      IF FOUND THEN
        verdict := CASE
          WHEN groups[i] IS NULL
            AND (codes[i], groups[earlier], reversed[i], occurred[i], sources[i]::jsonb)
              IS NOT DISTINCT FROM (codes[earlier], NULL, reversed[earlier], occurred[earlier], sources[earlier]::jsonb)
            AND (debits[i], credits[i], units[i], amounts[i])
              = (debits[earlier], credits[earlier], units[earlier], amounts[earlier])
          THEN 'already_posted' ELSE 'id_reused' END;
      END IF;
    END IF;

    IF verdict IS NULL THEN
      debit := debit_at[i];
      credit := credit_at[i];
      amount := amounts[i];
      debit_before := balances[debit];
      IF (CASE WHEN debit_before < lowest + amount THEN true ELSE debit_before - amount < floors[debit] END) THEN
        verdict := CASE WHEN floors[debit] = lowest THEN 'overflow' ELSE 'below_floor' END;
      END IF;
      IF has_reversals AND verdict IS DISTINCT FROM 'below_floor' AND reversed[i] = ANY (spent) THEN
        verdict := 'already_reversed';
      END IF;
      IF verdict IS NULL AND balances[credit] > highest - amount THEN
        verdict := 'overflow';
      END IF;
      IF verdict IS NULL THEN
        verdict := 'ok';
        IF has_groups THEN
          debit_lasts[i] := lasts[debit];
          credit_lasts[i] := lasts[credit];
        END IF;
        moment := greatest(clock, lasts[debit], lasts[credit]);
        lasts[debit] := moment;
        lasts[credit] := moment;
        recorded[i] := moment;
        balances[debit] := debit_before - amount;
        balances[credit] := balances[credit] + amount;
        versions[debit] := versions[debit] + 1;
        versions[credit] := versions[credit] + 1;
        debit_balances[i] := balances[debit];
        debit_versions[i] := versions[debit];
        credit_balances[i] := balances[credit];
        credit_versions[i] := versions[credit];
        IF has_reversals AND reversed[i] IS NOT NULL THEN
          spent := spent || reversed[i];
        END IF;
      END IF;
    END IF;
    outcomes[i] := verdict;

    IF has_groups AND group_sizes[i] > 1 THEN
      group_failed := verdict NOT IN ('ok', 'already_posted') OR (group_failed AND group_positions[i] > 1);
      IF group_failed AND group_positions[i] = group_sizes[i] THEN
        FOR j IN REVERSE i .. i - group_sizes[i] + 1 LOOP
          CONTINUE WHEN outcomes[j] <> 'ok';
          outcomes[j] := 'group_refused';
          balances[debit_at[j]] := balances[debit_at[j]] + amounts[j];
          balances[credit_at[j]] := balances[credit_at[j]] - amounts[j];
          versions[debit_at[j]] := versions[debit_at[j]] - 1;
          versions[credit_at[j]] := versions[credit_at[j]] - 1;
          lasts[debit_at[j]] := debit_lasts[j];
          lasts[credit_at[j]] := credit_lasts[j];
          spent := array_remove(spent, reversed[j]);
        END LOOP;
      END IF;
    END IF;
  END LOOP;

  INSERT INTO ledger.transfer (
    book_id, id, debit_id, credit_id, unit, amount, code, group_id, group_size, group_position, reverses_id,
    occurred_at, recorded_at, debit_balance, debit_version, credit_balance, credit_version, source
  )
  SELECT book, ids[i], debits[i], credits[i], b.unit, amounts[i], b.code, b.group_id, group_sizes[i], group_positions[i],
    b.reverses_id, occurred[i], recorded[i], debit_balances[i], debit_versions[i], credit_balances[i],
    credit_versions[i], b.source::jsonb
  FROM unnest(units, codes, groups, reversed, sources, outcomes) WITH ORDINALITY
    AS b (unit, code, group_id, reverses_id, source, outcome, i)
  WHERE b.outcome = 'ok';

  -- Opens the guard on balances for this one statement.
  PERFORM set_config('ledger.posting', 'on', true);
  UPDATE ledger.account AS a SET balance = n.balance, version = n.version, last_recorded_at = n.last_recorded_at
  FROM unnest(accounts, balances, versions, lasts, first_versions)
    AS n (id, balance, version, last_recorded_at, first_version)
  WHERE a.book_id = book AND a.id = ANY (accounts) AND a.id = n.id AND n.version > n.first_version;
  PERFORM set_config('ledger.posting', 'off', true);

  RETURN outcomes;
END
$$
