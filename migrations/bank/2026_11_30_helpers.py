"""Helpers: who may act for whom, until when, and for whom a session acts."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_helpers"
down_revision = "bank_2026_11_30_webhooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, its grants, and the column of the sessions."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute("GRANT SELECT, INSERT, UPDATE ON timebank.helping TO timebank_service")
