"""The desk: who redeemed for a member, and at whose desk a PIN was chosen."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_desk"
down_revision = "bank_2026_11_30_passkeys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
