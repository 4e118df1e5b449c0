"""The core of the bank: places, people, service, rewards, commands, audit entries.

The service's role may read and write, with three exceptions that hold whatever its code does: evidence and answers
are INSERT and SELECT only, members and money-like rows are never deleted, and nothing is truncated. Statement
triggers refuse the same to the owner.
"""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_24_core"
down_revision = None
branch_labels = ("bank",)
depends_on = "ledger_2026_11_24_book"

APPEND_ONLY = ("audit_entry", "command", "decision", "policy_version", "punch", "redemption_part")
CHANGEABLE = (
    "attendance",
    "card",
    "device",
    "fund",
    "member",
    "poster",
    "purse",
    "record",
    "redemption",
    "region",
    "reward",
    "role_grant",
    "service_kind",
    "station",
)
PASSING = ("attempt", "phone_code", "reward_place", "session")

REFUSE_CHANGE = """
CREATE FUNCTION timebank.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$
"""


def upgrade() -> None:
    """Create the schema, the guards and the grants."""
    for part in ("core", "core_service"):
        source = Path(__file__).with_name(f"2026_11_24_{part}.sql").read_text(encoding="utf-8")
        for statement in source.split(";\n\n"):
            op.execute(statement.strip().removesuffix(";"))
    op.execute(REFUSE_CHANGE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timebank.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION timebank.refuse_change()"
        )
        # Also where triggers are set aside for replication or a restore.
        op.execute(f"ALTER TABLE timebank.{table} ENABLE ALWAYS TRIGGER append_only")
    op.execute("GRANT USAGE ON SCHEMA timebank TO timebank_service")
    grant("SELECT, INSERT", APPEND_ONLY)
    grant("SELECT, INSERT, UPDATE", CHANGEABLE)
    grant("SELECT, INSERT, UPDATE, DELETE", PASSING)


def grant(privileges: str, tables: tuple[str, ...]) -> None:
    """Give the service's role `privileges` on `tables`."""
    listed = ", ".join(f"timebank.{table}" for table in tables)
    op.execute(f"GRANT {privileges} ON {listed} TO timebank_service")
