"""Every way in: cards with PINs, posters, home visits, entries by a manager, shifts, and what becomes of a held scan.

The core's rules hold here too: evidence and decisions are INSERT and SELECT only, for the owner as well.
"""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_24_ways_in"
down_revision = "bank_2026_11_24_rewards"
branch_labels = None
depends_on = None

APPEND_ONLY = ("confirmation", "punch_decision")
CHANGEABLE = ("door_code", "shift")
# A PIN is forgotten when a second person resets it, and when its owner is erased.
PASSING = ("pin",)


def upgrade() -> None:
    """Create the tables, their guards and their grants."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timebank.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION timebank.refuse_change()"
        )
        op.execute(f"ALTER TABLE timebank.{table} ENABLE ALWAYS TRIGGER append_only")
    grant("SELECT, INSERT", APPEND_ONLY)
    grant("SELECT, INSERT, UPDATE", CHANGEABLE)
    grant("SELECT, INSERT, UPDATE, DELETE", PASSING)


def grant(privileges: str, tables: tuple[str, ...]) -> None:
    """Give the service's role `privileges` on `tables`."""
    listed = ", ".join(f"timebank.{table}" for table in tables)
    op.execute(f"GRANT {privileges} ON {listed} TO timebank_service")
