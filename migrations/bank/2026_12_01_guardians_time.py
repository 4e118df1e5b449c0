"""When a guardian's time is over, the child's ways in are closed, once: by a job, which finds whose it is."""

from pathlib import Path

from alembic import op

revision = "bank_2026_12_01_guardians_time"
down_revision = "bank_2026_12_01_honour_indexes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the index. Of whom a guardian's time was over before, nothing is closed: they got in since."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
