"""The book: accounts and transfers, one posting function, append-only by privilege and by guard.

Everything belongs to `ledger_owner`, which nobody signs in as. `ledger_service` may read, and may write only through
the functions below; a branch of its own, so that the ledger installs without the bank.
"""

from importlib.resources import files
from pathlib import Path

from alembic import op

revision = "ledger_2026_11_24_book"
down_revision = None
branch_labels = ("ledger",)
depends_on = None

TABLES = ("book", "account", "transfer", "leaf", "checkpoint")
NEVER_CHANGED = ("book", "transfer", "leaf", "checkpoint")
FUNCTIONS = ("create_book", "open_accounts", "close_accounts", "post")

# Balances are written by `post` and closing by `close_accounts`, which say so around their one UPDATE; who and
# what an account is never changes.
GUARD_ACCOUNT = """
CREATE TRIGGER account_guard BEFORE UPDATE ON ledger.account FOR EACH ROW
WHEN (
  current_setting('ledger.posting', true) IS DISTINCT FROM 'on'
  OR (OLD.book_id, OLD.id, OLD.unit, OLD.kind, OLD.system, OLD.floor)
    IS DISTINCT FROM (NEW.book_id, NEW.id, NEW.unit, NEW.kind, NEW.system, NEW.floor)
)
EXECUTE FUNCTION ledger.refuse_change()
"""


def upgrade() -> None:
    """Create the roles, the schema, the functions, the guards and the grants."""
    execute(sql("roles"))
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        execute(statement.strip().removesuffix(";"))
    execute(sql("refuse_change"))
    for table in NEVER_CHANGED:
        guard(table, "append_only", "UPDATE OR DELETE OR TRUNCATE")
    guard("account", "append_only", "DELETE OR TRUNCATE")
    execute(GUARD_ACCOUNT)
    execute("ALTER TABLE ledger.account ENABLE ALWAYS TRIGGER account_guard")
    for function in FUNCTIONS:
        execute(sql(function))
    execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC")
    execute("GRANT USAGE ON SCHEMA ledger TO ledger_service")
    execute("GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO ledger_service")
    for function in FUNCTIONS:
        execute(f"GRANT EXECUTE ON FUNCTION ledger.{function} TO ledger_service")
    execute("RESET ROLE")


def guard(table: str, suffix: str, events: str) -> None:
    """Refuse `events` on `table`, also where triggers are set aside for replication or a restore."""
    execute(
        f"CREATE TRIGGER {table}_{suffix} BEFORE {events} ON ledger.{table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
    )
    execute(f"ALTER TABLE ledger.{table} ENABLE ALWAYS TRIGGER {table}_{suffix}")


def sql(name: str) -> str:
    """One statement out of the ledger's own SQL files."""
    return (files("ledger") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def execute(statement: str) -> None:
    """Run one statement as it is: `text()` would take the colons of PL/pgSQL for parameters."""
    op.get_bind().exec_driver_sql(statement)
