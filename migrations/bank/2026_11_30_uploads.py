"""Imports from the office: what was handed in, and how far it is."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_uploads"
down_revision = "bank_2026_11_30_outside"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and let the service use it."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute("GRANT SELECT, INSERT, UPDATE ON timebank.import_upload TO timebank_service")
