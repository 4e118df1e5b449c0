"""What administrators look up and change: members by their names, members who became one, entries by branch."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_24_admin"
down_revision = "bank_2026_11_24_ways_in"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; the grants of their tables cover them. Names are indexed by a job that has the keys."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
