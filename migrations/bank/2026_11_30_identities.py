"""Documents that somebody at a desk has seen."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_identities"
down_revision = "bank_2026_11_30_helpers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and its grants."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON timebank.identity_check TO timebank_service")
