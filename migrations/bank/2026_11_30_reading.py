"""Tokens with which other programs read, and the addresses of calendars of shifts."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_reading"
down_revision = "bank_2026_11_30_uploads"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and their grants."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON timebank.read_token, timebank.shift_feed TO timebank_service")
