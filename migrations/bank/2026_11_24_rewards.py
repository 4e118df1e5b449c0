"""Rewards: limits for a period, hand-overs that can be undone, pictures.

A limit a month becomes pieces a period. Each hand-over becomes a row of its own, kept for ever beside what undid it;
those from before take their redemption's id, from which the id of their transfer followed.
"""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_24_rewards"
down_revision = "bank_2026_11_24_corrections"
branch_labels = None
depends_on = None

APPEND_ONLY = ("fulfilment", "fulfilment_undo")
PASSING = ("reward_picture",)


def upgrade() -> None:
    """Change the tables, guard the new ones, and let the service use them."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timebank.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION timebank.refuse_change()"
        )
        op.execute(f"ALTER TABLE timebank.{table} ENABLE ALWAYS TRIGGER append_only")
    grant("SELECT, INSERT", APPEND_ONLY)
    grant("SELECT, INSERT, UPDATE, DELETE", PASSING)


def grant(privileges: str, tables: tuple[str, ...]) -> None:
    """Give the service's role `privileges` on `tables`."""
    listed = ", ".join(f"timebank.{table}" for table in tables)
    op.execute(f"GRANT {privileges} ON {listed} TO timebank_service")
