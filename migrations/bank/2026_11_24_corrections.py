"""What comes after a decision: corrections, inquiries, policy versions that are replaced, purses that are swept."""

from pathlib import Path

from alembic import op

revision = "bank_2026_11_24_corrections"
down_revision = "bank_2026_11_24_core"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, the guard of the one that is never changed, and the grants."""
    for statement in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split(";\n\n"):
        op.execute(statement.strip().removesuffix(";"))
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timebank.correction"
        " FOR EACH STATEMENT EXECUTE FUNCTION timebank.refuse_change()"
    )
    op.execute("ALTER TABLE timebank.correction ENABLE ALWAYS TRIGGER append_only")
    op.execute("GRANT SELECT, INSERT ON timebank.correction TO timebank_service")
    op.execute("GRANT SELECT, INSERT, UPDATE ON timebank.inquiry TO timebank_service")
