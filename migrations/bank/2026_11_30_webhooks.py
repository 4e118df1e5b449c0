"""Webhooks, and the outbox of their messages."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_webhooks"
down_revision = "bank_2026_11_30_reading"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and their grants."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON timebank.webhook, timebank.webhook_message TO timebank_service")
