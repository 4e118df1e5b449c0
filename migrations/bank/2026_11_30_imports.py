"""Imports: each run, and each row that one settled, so that none is settled twice."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_30_imports"
down_revision = "bank_2026_11_30_certificates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the two tables, and let the service use them."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute("GRANT SELECT, INSERT, UPDATE ON timebank.import_run, timebank.import_row TO timebank_service")
