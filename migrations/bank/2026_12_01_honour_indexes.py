"""The roll of honour is added up from indexes alone: verified service by place and day, and answers to being named.

Like every migration they are made in its one transaction: a million records take a few seconds, in which nothing is
written to those two tables.
"""

from pathlib import Path

from alembic import op

revision = "bank_2026_12_01_honour_indexes"
down_revision = "bank_2026_12_01_acting_guardians"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
