"""What `audit` asks the database: each check gives rows of (code, subject, detail), none where the book is right."""

from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from ledger.tables import metadata


def choose(subject: str, detail: str, source: str, conditions: dict[str, str]) -> str:
    """SQL giving one row for each line of `source` and each of the `conditions`, by code, that holds for it."""
    broken = " OR ".join(f"({condition}) IS TRUE" for condition in conditions.values())
    codes = ", ".join(f"('{code}', ({condition}) IS TRUE)" for code, condition in conditions.items())
    return f"""
    SELECT finding.code, ({subject})::text AS subject, {detail} AS detail
    FROM (SELECT * FROM {source} WHERE {broken}) AS line
    CROSS JOIN LATERAL (VALUES {codes}) AS finding (code, holds)
    WHERE finding.holds
    """  # noqa: S608 - every part is written in this file


# One line for each side of each transfer, in the order in which the account saw them. Looking one line back proves
# by induction what the whole account must be: versions 1, 2, 3 …, each balance the last plus the change.
CHAIN = choose(
    "account_id",
    "format('transfer %s, version %s', transfer_id, version)",
    """(
      SELECT side.*, lag(side.version, 1, 0::bigint) OVER account AS version_before,
        lag(side.balance, 1, 0::bigint) OVER account AS balance_before,
        lag(side.recorded_at) OVER account AS recorded_before, lead(side.version) OVER account IS NULL AS is_last,
        a.id AS found_id, a.unit AS account_unit, a.floor, a.closed_at, a.balance AS cached_balance,
        a.version AS cached_version, a.last_recorded_at
      FROM (
        SELECT debit_id AS account_id, id AS transfer_id, debit_version AS version, debit_balance AS balance,
          -amount AS change, unit, recorded_at
        FROM ledger.transfer WHERE book_id = :book_id
        UNION ALL
        SELECT credit_id, id, credit_version, credit_balance, amount, unit, recorded_at
        FROM ledger.transfer WHERE book_id = :book_id
      ) AS side
      LEFT JOIN ledger.account AS a ON a.book_id = :book_id AND a.id = side.account_id
      WINDOW account AS (PARTITION BY side.account_id ORDER BY side.version)
    ) AS chain""",
    {
        "version_gap": "version <> version_before + 1",
        "running_balance_wrong": "balance <> balance_before::numeric + change",
        "time_backwards": "recorded_at < recorded_before",
        "below_floor": "balance < floor",
        "account_missing": "found_id IS NULL",
        "unit_wrong": "unit <> account_unit",
        "moved_after_closing": "recorded_at > closed_at",
        "cached_balance_wrong": "is_last AND cached_balance <> balance",
        "cached_version_wrong": "is_last AND cached_version <> version",
        "cached_time_wrong": "is_last AND found_id IS NOT NULL AND last_recorded_at IS DISTINCT FROM recorded_at",
    },
)

# What the chain cannot see: accounts that no transfer names.
UNTOUCHED = choose(
    "id",
    "'no transfer names this account'",
    """(
      SELECT * FROM ledger.account AS a
      WHERE a.book_id = :book_id AND (a.balance <> 0 OR a.version <> 0 OR a.last_recorded_at IS NOT NULL)
        AND NOT EXISTS (SELECT FROM ledger.transfer AS t WHERE t.book_id = :book_id AND t.debit_id = a.id)
        AND NOT EXISTS (SELECT FROM ledger.transfer AS t WHERE t.book_id = :book_id AND t.credit_id = a.id)
    ) AS untouched""",
    {
        "cached_balance_wrong": "balance <> 0",
        "cached_version_wrong": "version <> 0",
        "cached_time_wrong": "last_recorded_at IS NOT NULL",
    },
)

# For every unit, debits equal credits: all balances of a unit add up to nothing.
UNITS = choose(
    "unit",
    "format('balances add up to %s', total)",
    "(SELECT unit, sum(balance) AS total FROM ledger.account WHERE book_id = :book_id GROUP BY unit) AS units",
    {"unit_unbalanced": "total <> 0"},
)

TRANSFERS = choose(
    "id",
    "format('amount %s, group of %s', amount, group_size)",
    "(SELECT * FROM ledger.transfer WHERE book_id = :book_id) AS transfers",
    {
        "amount_not_positive": "amount <= 0",
        "same_account": "debit_id = credit_id",
        "group_wrong": "group_id IS NULL AND (group_size <> 1 OR group_position <> 1)",
    },
)

GROUPS = choose(
    "group_id",
    "format('%s transfers of %s', present, size)",
    """(
      SELECT group_id, max(group_size) AS size, count(*) AS present, count(DISTINCT group_position) AS places,
        min(group_size) AS size_min, min(group_position) AS first, max(group_position) AS last,
        count(DISTINCT xid) AS transactions
      FROM ledger.transfer WHERE book_id = :book_id AND group_id IS NOT NULL GROUP BY group_id
    ) AS groups""",
    {
        "group_incomplete": "present <> size OR places <> size OR size_min <> size OR first <> 1 OR last <> size",
        "group_in_pieces": "transactions > 1",
    },
)

REVERSALS = choose(
    "id",
    "format('of transfer %s', reverses_id)",
    """(
      SELECT r.*, o.id AS original_id, count(*) OVER (PARTITION BY r.reverses_id) AS times,
        (r.debit_id, r.credit_id, r.unit, r.amount) <> (o.credit_id, o.debit_id, o.unit, o.amount) AS differs,
        r.debit_version <= o.credit_version OR r.credit_version <= o.debit_version AS earlier
      FROM ledger.transfer AS r
      LEFT JOIN ledger.transfer AS o ON o.book_id = :book_id AND o.id = r.reverses_id
      WHERE r.book_id = :book_id AND r.reverses_id IS NOT NULL
    ) AS reversals""",
    {
        "reversal_without_original": "original_id IS NULL",
        "reversal_differs": "differs",
        "reversal_before_original": "earlier",
        "reversed_twice": "times > 1",
    },
)


def listed(*columns: Sequence[str]) -> str:
    """Rows of literals for VALUES, one for each place in `columns`."""
    return ", ".join("(" + ", ".join(f"'{value}'" for value in row) + ")" for row in zip(*columns, strict=True))


def body_hash(function: str) -> str:
    """SHA-256, in hex, of a function's own text as it is shipped."""
    shipped = (files("ledger") / "sql" / f"{function}.sql").read_text(encoding="utf-8")
    return sha256(shipped.split("$$")[1].encode()).hexdigest()


# What refuses a change for as long as it stands; taken away and put back it leaves no trace here.
FUNCTIONS = ("create_book", "open_accounts", "close_accounts", "post", "refuse_change")
TRIGGERS = (
    "account_append_only",
    "account_guard",
    "book_append_only",
    "checkpoint_append_only",
    "leaf_append_only",
    "transfer_append_only",
)
CONSTRAINTS = [str(constraint.name) for table in metadata.tables.values() for constraint in table.constraints]
INDEXES = [str(index.name) for table in metadata.tables.values() for index in table.indexes]

GUARDS = f"""
SELECT 'trigger_missing' AS code, expected.name AS subject, 'not there, or not always on' AS detail
FROM (VALUES {listed(TRIGGERS)}) AS expected (name)
WHERE NOT EXISTS (
  SELECT FROM pg_trigger AS g JOIN pg_class AS r ON r.oid = g.tgrelid
  WHERE g.tgname = expected.name AND r.relnamespace = 'ledger'::regnamespace AND g.tgenabled = 'A'
)
UNION ALL
SELECT 'constraint_missing', expected.name, 'not there, or not valid'
FROM (VALUES {listed(CONSTRAINTS)}) AS expected (name)
WHERE NOT EXISTS (
  SELECT FROM pg_constraint AS c
  WHERE c.conname = expected.name AND c.connamespace = 'ledger'::regnamespace AND c.convalidated
)
UNION ALL
SELECT 'constraint_missing', expected.name, 'no such unique index'
FROM (VALUES {listed(INDEXES)}) AS expected (name)
WHERE NOT EXISTS (
  SELECT FROM pg_index AS i JOIN pg_class AS r ON r.oid = i.indexrelid
  WHERE r.relname = expected.name AND r.relnamespace = 'ledger'::regnamespace AND i.indisunique AND i.indisvalid
)
UNION ALL
SELECT 'function_changed', expected.name, 'not there, or not as shipped'
FROM (VALUES {listed(FUNCTIONS, [body_hash(name) for name in FUNCTIONS])}) AS expected (name, hash)
WHERE 1 <> (
  SELECT count(*) FILTER (WHERE encode(sha256(convert_to(f.prosrc, 'UTF8')), 'hex') = expected.hash)
    + count(*) FILTER (WHERE encode(sha256(convert_to(f.prosrc, 'UTF8')), 'hex') <> expected.hash) * 2
  FROM pg_proc AS f WHERE f.proname = expected.name AND f.pronamespace = 'ledger'::regnamespace
)
UNION ALL
SELECT 'privilege_too_wide', r.relname, format('%s for %s', p.privilege_type, p.grantee::regrole)
FROM pg_class AS r CROSS JOIN LATERAL aclexplode(r.relacl) AS p
WHERE r.relnamespace = 'ledger'::regnamespace AND p.grantee <> r.relowner AND p.privilege_type <> 'SELECT'
UNION ALL
SELECT 'privilege_too_wide', f.proname, format('%s for %s', p.privilege_type, p.grantee::regrole)
FROM pg_proc AS f CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) AS p
WHERE f.pronamespace = 'ledger'::regnamespace AND p.grantee NOT IN (f.proowner, to_regrole('ledger_service'))
"""  # noqa: S608 - names from this package, no input

CHECKS = {
    "chain": CHAIN,
    "untouched": UNTOUCHED,
    "units": UNITS,
    "transfers": TRANSFERS,
    "groups": GROUPS,
    "reversals": REVERSALS,
    "guards": GUARDS,
}

COUNT_TRANSFERS = "SELECT count(*) FROM ledger.transfer WHERE book_id = :book_id"
COUNT_ACCOUNTS = "SELECT count(*) FROM ledger.account WHERE book_id = :book_id"
