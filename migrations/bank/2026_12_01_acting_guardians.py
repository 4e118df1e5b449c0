"""A guardian goes on as a child in the guardian's own session, so that it can be said, and stopped."""

from pathlib import Path

from alembic import op

revision = "bank_2026_12_01_acting_guardians"
down_revision = "bank_2026_11_30_identities"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
