"""Passkeys, what their devices were asked, and the sessions that they began."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_passkeys"
down_revision = "bank_2026_11_30_joining"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and their grants, and the column of sessions."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON timebank.passkey, timebank.passkey_challenge TO timebank_service"
    )
